"""A list of events, oldest first: the model, how a line is painted, and the table. Two panels show
it.

Rule: bounded, and made for bursts: many events are one insertion, and the words of a line are made
when it is seen.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import (
    QFont,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPainterPath,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QTableView, QWidget

from transfermon.gui.panels.event_brackets import LANES, Mark, Part
from transfermon.gui.toolkit import theme
from transfermon.gui.toolkit.giving_columns import GivingColumns
from transfermon.gui.toolkit.plain_table import make_plain_table
from transfermon.model import units
from transfermon.model.configuration import BACKGROUND_HANDLER_BUDGET
from transfermon.model.events import (
    Event,
    NotificationEvent,
    SessionCreatedEvent,
    SessionFinishingEvent,
    SessionIdleEvent,
    SessionInvalidatedEvent,
    TaskCompletedEvent,
    TaskEvent,
)
from transfermon.model.translate import marked, tr
from transfermon.text import humanize

Index = QModelIndex | QPersistentModelIndex
MOST = 5000
ROW_HEIGHT = 26
LANE = 9  # pixels of a bracket
GUTTER = LANES * LANE + 8
BUDGET = 132  # pixels for what a handler has used of its time
BUDGET_BAR = 50  # of them for the bar
LINE_ROLE = int(Qt.ItemDataRole.UserRole) + 1

TRANSFERS, SESSIONS, BACKGROUND, NOTIFICATIONS = (
    marked("Transfers"),
    marked("Sessions"),
    marked("Background"),
    marked("Notifications"),
)
GROUPS = (TRANSFERS, SESSIONS, BACKGROUND, NOTIFICATIONS)
_OF_SESSIONS = (
    SessionCreatedEvent,
    SessionFinishingEvent,
    SessionIdleEvent,
    SessionInvalidatedEvent,
)
_ROLES = {
    "taskcreated": "accent",
    "downloadresumed": "accent",
    "downloadcompleted": "good",
    "mirrordropped": "warn",
    "taskwaiting": "warn",
    "backgroundhandlerexpired": "bad",
    "notification": "warn",
}


def group_of(event: Event) -> str:
    """One of `GROUPS`."""
    if isinstance(event, TaskEvent):
        return TRANSFERS
    if isinstance(event, NotificationEvent):
        return NOTIFICATIONS
    return SESSIONS if isinstance(event, _OF_SESSIONS) else BACKGROUND


class EventColumn(IntEnum):
    TIME = 0
    SEQUENCE = 1
    SESSION = 2
    TASK = 3
    EVENT = 4
    WORDS = 5


TITLES = (
    marked("Time"),
    marked("No."),
    marked("Session"),
    marked("Task"),
    marked("Event"),
    marked("What happened"),
)
WIDTHS = (104, 52, 110, 52, 190)
WORDS_LEAST = 200  # pixels of the last one


class EventLine:
    """An event and its words, which are made once."""

    __slots__ = ("_words", "event", "marks")

    def __init__(self, event: Event) -> None:
        self.event = event
        self.marks: tuple[Mark, ...] = ()  # brackets beside it, where a view draws them
        self._words: str | None = None

    @property
    def words(self) -> str:
        if self._words is None:
            self._words = humanize.event(self.event)
        return self._words

    @property
    def session(self) -> str:
        return units.clean(self.event.session_identifier or self.event.session, 100)

    @property
    def task(self) -> str:
        key = self.event.task_key
        return str(key.number) if key else ""

    @property
    def clock(self) -> str:
        return clock_text(self.event.time)

    @property
    def role(self) -> str:
        if isinstance(self.event, TaskCompletedEvent):
            return "good" if self.event.success else "bad"
        return _ROLES.get(
            self.event.type, "violet" if group_of(self.event) == BACKGROUND else "muted"
        )

    def has_all(self, words: Iterable[str]) -> bool:
        """Whether all of these, in lower case, are in its type, its session or its words."""
        hay = f"{self.event.type} {self.session} {self.words}".lower()
        return all(word in hay for word in words)

    @property
    def bracket_words(self) -> str:
        """What its brackets say, without those that only pass by."""
        return ". ".join(mark.words for mark in self.marks if mark.part is not Part.PAST)

    def budget(self, now: float) -> tuple[float, str] | None:
        """Seconds that a handler which ends here, or is open since here, has used; and a colour.
        None elsewhere.
        """
        for span, part in self.marks:
            used = span.used(now)
            if used is not None and (part is Part.END or (part is Part.BEGIN and span.end is None)):
                return used, "bar_bad" if span.expired else "bar"
        return None

    @property
    def text(self) -> str:
        """For the clipboard."""
        return "  ".join(
            part
            for part in (self.clock, self.session, self.task, self.event.type, self.words)
            if part
        )

    def cell(self, column: int) -> str:
        if column == EventColumn.SEQUENCE:
            return str(self.event.sequence or "")
        return (self.clock, "", self.session, self.task, self.event.type, self.words)[column]


def clock_text(when: float) -> str:
    """Local "14:03:07.250"."""
    whole = int(when)
    return f"{time.strftime('%H:%M:%S', time.localtime(whole))}.{int((when - whole) * 1000):03}"


def as_ndjson(events: Iterable[Event]) -> str:
    """One JSON object a line, as listeners get them."""
    return "".join(
        json.dumps(event.to_dict(), ensure_ascii=False, default=str) + "\n" for event in events
    )


def merged_events(history: Sequence[Event], live: Iterable[Event]) -> list[Event]:
    """What was read from the journal, and then what was told while it was being read."""
    last = max((event.sequence for event in history), default=0)
    begin = history[-1].time if history else 0.0
    return [
        *history,
        *(e for e in live if e.sequence > last or (not e.journalled and e.time >= begin)),
    ]


class EventModel(QAbstractTableModel):
    """At most `MOST` lines; the oldest go first."""

    def __init__(self, parent: QObject | None = None, *, most: int = MOST) -> None:
        super().__init__(parent)
        self._lines: list[EventLine] = []
        self._most = most

    def __repr__(self) -> str:
        return f"<EventModel lines={len(self._lines)}>"

    @property
    def lines(self) -> Sequence[EventLine]:
        """To read only."""
        return self._lines

    def reset(self, lines: Sequence[EventLine]) -> None:
        self.beginResetModel()
        self._lines = list(lines[-self._most :])
        self.endResetModel()

    def append(self, lines: Sequence[EventLine]) -> None:
        """Add in one go; makes room at the top, a tenth more than needed so that it is not done for
        each.
        """
        new = lines[-self._most :]
        surplus = len(self._lines) + len(new) - self._most
        if surplus > 0:
            surplus = min(len(self._lines), surplus + self._most // 10)
            self.beginRemoveRows(QModelIndex(), 0, surplus - 1)
            del self._lines[:surplus]
            self.endRemoveRows()
        if new:
            at = len(self._lines)
            self.beginInsertRows(QModelIndex(), at, at + len(new) - 1)
            self._lines += new
            self.endInsertRows()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(self._lines)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(EventColumn)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._lines):
            return None
        line = self._lines[index.row()]
        if role == LINE_ROLE:
            return line
        if role == Qt.ItemDataRole.DisplayRole:
            return line.cell(index.column())
        if role == Qt.ItemDataRole.ToolTipRole and index.column() == EventColumn.WORDS:
            return theme.plain_tip(line.words)
        if role == Qt.ItemDataRole.ToolTipRole and index.column() == EventColumn.TIME:
            return theme.plain_tip(line.bracket_words)
        if role == Qt.ItemDataRole.AccessibleTextRole and index.column() == EventColumn.TIME:
            return ". ".join(part for part in (line.clock, line.bracket_words) if part)
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(EventColumn):
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return tr(TITLES[section])
        return _alignment(section) if role == Qt.ItemDataRole.TextAlignmentRole else None


def _alignment(column: int) -> Qt.AlignmentFlag:
    right = column in (EventColumn.SEQUENCE, EventColumn.TASK)
    return (
        Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
    ) | Qt.AlignmentFlag.AlignVCenter


class _Delegate(QStyledItemDelegate):
    def __init__(self, table: EventTable) -> None:
        super().__init__(table)
        self._fixed = theme.fixed_font()

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(option.fontMetrics.horizontalAdvance(str(index.data())) + 28, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        line: EventLine = index.data(LINE_ROLE)
        column = index.column()
        painter.save()
        painter.fillRect(option.rect, theme.color("base"))
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(option.rect, theme.color("selection"))
        cell = option.rect.adjusted(8, 0, -8, 0)
        font = QFont(self._fixed if column == EventColumn.EVENT else option.font)
        painter.setFont(font)
        painter.setPen(
            theme.color("text" if column in (EventColumn.EVENT, EventColumn.WORDS) else "muted")
        )
        if column == EventColumn.EVENT:
            self._dot(painter, cell, line.role)
            cell.adjust(16, 0, 0, 0)
        elif column == EventColumn.TIME and line.marks:
            self._brackets(painter, option.rect, line.marks)
        elif column == EventColumn.WORDS and (used := line.budget(time.time())) is not None:
            # no bar where words need the room
            width = BUDGET if cell.width() > 2 * BUDGET else BUDGET - BUDGET_BAR
            self._budget(
                painter, QRect(cell.right() - width, cell.y(), width, cell.height()), *used
            )
            cell.adjust(0, 0, -width - 12, 0)
        text = painter.fontMetrics().elidedText(
            line.cell(column), Qt.TextElideMode.ElideRight, cell.width()
        )
        painter.drawText(cell, _alignment(column), text)
        painter.restore()

    def _dot(self, painter: QPainter, cell: QRect, role: str) -> None:
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color(role))
        painter.drawEllipse(QRectF(cell.x(), cell.center().y() - 3, 7, 7))
        painter.restore()

    def _brackets(self, painter: QPainter, cell: QRect, marks: Sequence[Mark]) -> None:
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        right, middle = cell.right() - 3.0, cell.center().y() + 0.5
        for span, part in marks:
            x = cell.right() - GUTTER + span.lane * LANE + 4.0
            color = theme.color(span.role)
            painter.setPen(QPen(color, 1.8, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap))
            painter.drawPath(_shape(part, x, right, cell.top(), middle, cell.bottom() + 1.0))
        painter.restore()

    def _budget(self, painter: QPainter, where: QRect, used: float, role: str) -> None:
        words = tr("{used:.1f} of {budget:.0f} s").format(
            used=used, budget=BACKGROUND_HANDLER_BUDGET
        )
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(theme.color("muted"))
        painter.drawText(where, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, words)
        if where.width() < BUDGET:
            painter.restore()
            return
        track = QRectF(where.x(), where.center().y() - 2, BUDGET_BAR, 6)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color("track"))
        painter.drawRoundedRect(track, 3, 3)
        share = min(1.0, used / BACKGROUND_HANDLER_BUDGET)
        painter.setBrush(theme.color(role))
        painter.drawRoundedRect(
            QRectF(track.x(), track.y(), max(6.0, track.width() * share), 6), 3, 3
        )
        painter.restore()


def _shape(
    part: Part, x: float, right: float, top: float, middle: float, bottom: float
) -> QPainterPath:
    """A piece of a bracket in one row: a corner where it begins or ends, a branch to what belongs
    to it.
    """
    out = QPainterPath(
        QPointF(right, middle) if part in (Part.BEGIN, Part.END) else QPointF(x, top)
    )
    if part in (Part.BEGIN, Part.END):
        out.lineTo(x + 4, middle)
        far = bottom if part is Part.BEGIN else top
        out.quadTo(QPointF(x, middle), QPointF(x, middle + 4 if part is Part.BEGIN else middle - 4))
        out.lineTo(x, far)
        return out
    out.lineTo(x, bottom)
    if part is Part.INSIDE:
        out.moveTo(x, middle)
        out.lineTo(x + 5, middle)
    return out


class EventTable(QTableView):
    """Follows the newest line while the end is in view; Ctrl+C copies the selected lines."""

    def __init__(
        self, model: EventModel, name: str, parent: QWidget | None = None, *, brackets: bool = False
    ) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setAccessibleName(tr("Events"))
        self._model = model
        self._at_end = True
        self.setModel(model)
        self.setItemDelegate(_Delegate(self))
        make_plain_table(self, ROW_HEIGHT, 30)
        header = self.horizontalHeader()
        header.setStretchLastSection(True)
        for column, width in enumerate(WIDTHS):  # the last one takes the rest
            self.setColumnWidth(column, width)
        if brackets:
            self.setColumnWidth(EventColumn.TIME, WIDTHS[EventColumn.TIME] + GUTTER)
        self._giving = GivingColumns(
            self, (EventColumn.SESSION, EventColumn.TASK, EventColumn.SEQUENCE), least=WORDS_LEAST
        )
        model.rowsAboutToBeInserted.connect(self._note_end)
        model.rowsInserted.connect(self._follow)
        model.modelReset.connect(self.scrollToBottom)
        theme.themed.changed.connect(self.viewport().update)

    def __repr__(self) -> str:
        return f"<EventTable {self.objectName()} lines={len(self._model.lines)}>"

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._giving.fit()

    def _note_end(self) -> None:
        bar = self.verticalScrollBar()
        self._at_end = bar.value() >= bar.maximum() - ROW_HEIGHT

    def _follow(self) -> None:
        if self._at_end:
            self.scrollToBottom()

    def selected_lines(self) -> list[EventLine]:
        """The selected ones, or all when none is."""
        rows = sorted(index.row() for index in self.selectionModel().selectedRows())
        return [self._model.lines[row] for row in rows] or list(self._model.lines)

    def copy(self) -> None:
        QGuiApplication.clipboard().setText("\n".join(line.text for line in self.selected_lines()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        else:
            super().keyPressEvent(event)
