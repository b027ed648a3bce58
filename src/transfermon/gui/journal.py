"""A list of events, oldest first: the model, how a line is painted, and the table. Two panels show it.

Rule: bounded, and made for bursts: many events are one insertion, and the words of a line are made when it is seen.
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
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QFont, QGuiApplication, QKeyEvent, QKeySequence, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from transfermon import humanize
from transfermon.events import (
    Event,
    NotificationEvent,
    SessionCreatedEvent,
    SessionFinishingEvent,
    SessionIdleEvent,
    SessionInvalidatedEvent,
    TaskCompletedEvent,
    TaskEvent,
)
from transfermon.gui import theme

Index = QModelIndex | QPersistentModelIndex
MOST = 5000
ROW_HEIGHT = 26
LINE_ROLE = int(Qt.ItemDataRole.UserRole) + 1

TRANSFERS, SESSIONS, BACKGROUND, NOTIFICATIONS = "Transfers", "Sessions", "Background", "Notifications"
GROUPS = (TRANSFERS, SESSIONS, BACKGROUND, NOTIFICATIONS)
_OF_SESSIONS = (SessionCreatedEvent, SessionFinishingEvent, SessionIdleEvent, SessionInvalidatedEvent)
_ROLES = {
    "taskcreated": "accent",
    "downloadresumed": "accent",
    "downloadcompleted": "good",
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


class Column(IntEnum):
    TIME = 0
    SEQUENCE = 1
    SESSION = 2
    TASK = 3
    EVENT = 4
    WORDS = 5


TITLES = ("Time", "No.", "Session", "Task", "Event", "What happened")
WIDTHS = (104, 52, 110, 52, 190)


class Line:
    """An event and its words, which are made once."""

    __slots__ = ("_words", "event")

    def __init__(self, event: Event) -> None:
        self.event = event
        self._words: str | None = None

    @property
    def words(self) -> str:
        if self._words is None:
            self._words = humanize.event(self.event)
        return self._words

    @property
    def session(self) -> str:
        return humanize.clean(self.event.session_identifier or self.event.session, 100)

    @property
    def task(self) -> str:
        key = self.event.task_key
        return str(key.number) if key else ""

    @property
    def clock(self) -> str:
        return clock(self.event.time)

    @property
    def role(self) -> str:
        if isinstance(self.event, TaskCompletedEvent):
            return "good" if self.event.success else "bad"
        return _ROLES.get(self.event.type, "violet" if group_of(self.event) == BACKGROUND else "muted")

    @property
    def text(self) -> str:
        """For the clipboard."""
        return "  ".join(part for part in (self.clock, self.session, self.task, self.event.type, self.words) if part)

    def cell(self, column: int) -> str:
        if column == Column.SEQUENCE:
            return str(self.event.sequence or "")
        return (self.clock, "", self.session, self.task, self.event.type, self.words)[column]


def clock(when: float) -> str:
    """Local "14:03:07.250"."""
    whole = int(when)
    return f"{time.strftime('%H:%M:%S', time.localtime(whole))}.{int((when - whole) * 1000):03}"


def ndjson(events: Iterable[Event]) -> str:
    """One JSON object a line, as listeners get them."""
    return "".join(json.dumps(event.to_dict(), ensure_ascii=False, default=str) + "\n" for event in events)


def merged(history: Sequence[Event], live: Iterable[Event]) -> list[Event]:
    """What was read from the journal, and then what was told while it was being read."""
    last = max((event.sequence for event in history), default=0)
    begin = history[-1].time if history else 0.0
    return [*history, *(e for e in live if e.sequence > last or (not e.journalled and e.time >= begin))]


class EventModel(QAbstractTableModel):
    """At most `MOST` lines; the oldest go first."""

    def __init__(self, parent: QObject | None = None, *, most: int = MOST) -> None:
        super().__init__(parent)
        self._lines: list[Line] = []
        self._most = most

    def __repr__(self) -> str:
        return f"<EventModel lines={len(self._lines)}>"

    @property
    def lines(self) -> Sequence[Line]:
        """To read only."""
        return self._lines

    def reset(self, lines: Sequence[Line]) -> None:
        self.beginResetModel()
        self._lines = list(lines[-self._most :])
        self.endResetModel()

    def append(self, lines: Sequence[Line]) -> None:
        """Add in one go; makes room at the top, a tenth more than needed so that it is not done for each."""
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
        return 0 if parent.isValid() else len(Column)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._lines):
            return None
        line = self._lines[index.row()]
        if role == LINE_ROLE:
            return line
        if role == Qt.ItemDataRole.DisplayRole:
            return line.cell(index.column())
        if role == Qt.ItemDataRole.ToolTipRole and index.column() == Column.WORDS:
            return theme.plain_tip(line.words)
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(Column):
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return TITLES[section]
        return _alignment(section) if role == Qt.ItemDataRole.TextAlignmentRole else None


def _alignment(column: int) -> Qt.AlignmentFlag:
    right = column in (Column.SEQUENCE, Column.TASK)
    return (Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft) | Qt.AlignmentFlag.AlignVCenter


class _Delegate(QStyledItemDelegate):
    def __init__(self, table: EventTable) -> None:
        super().__init__(table)
        self._fixed = theme.fixed_font()

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(option.fontMetrics.horizontalAdvance(str(index.data())) + 28, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        line: Line = index.data(LINE_ROLE)
        column = index.column()
        painter.save()
        painter.fillRect(option.rect, theme.color("base"))
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(option.rect, theme.color("selection"))
        cell = option.rect.adjusted(8, 0, -8, 0)
        font = QFont(self._fixed if column == Column.EVENT else option.font)
        painter.setFont(font)
        painter.setPen(theme.color("text" if column in (Column.EVENT, Column.WORDS) else "muted"))
        if column == Column.EVENT:
            self._dot(painter, cell, line.role)
            cell.adjust(16, 0, 0, 0)
        text = painter.fontMetrics().elidedText(line.cell(column), Qt.TextElideMode.ElideRight, cell.width())
        painter.drawText(cell, _alignment(column), text)
        painter.restore()

    def _dot(self, painter: QPainter, cell: QRect, role: str) -> None:
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color(role))
        painter.drawEllipse(QRectF(cell.x(), cell.center().y() - 3, 7, 7))
        painter.restore()


class EventTable(QTableView):
    """Follows the newest line while the end is in view; Ctrl+C copies the selected lines."""

    def __init__(self, model: EventModel, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setAccessibleName("Events")
        self._model = model
        self._at_end = True
        self.setModel(model)
        self.setItemDelegate(_Delegate(self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setMinimumSectionSize(ROW_HEIGHT)
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setStretchLastSection(True)
        header.setFixedHeight(30)
        for column, width in enumerate(WIDTHS):  # the last one takes the rest
            self.setColumnWidth(column, width)
        model.rowsAboutToBeInserted.connect(self._note_end)
        model.rowsInserted.connect(self._follow)
        model.modelReset.connect(self.scrollToBottom)
        theme.themed.changed.connect(self.viewport().update)

    def __repr__(self) -> str:
        return f"<EventTable {self.objectName()} lines={len(self._model.lines)}>"

    def _note_end(self) -> None:
        bar = self.verticalScrollBar()
        self._at_end = bar.value() >= bar.maximum() - ROW_HEIGHT

    def _follow(self) -> None:
        if self._at_end:
            self.scrollToBottom()

    def selected_lines(self) -> list[Line]:
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
