"""The wake ledger: each fetch and push, what was said to it, how long its handler has, and what
came of it.

Rule: it shows what `wakes` has decided; a clock runs only while something counts down and somebody
can see it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QRectF,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QHideEvent, QPainter, QPen, QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QLabel,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from transfermon.gui.dialogs.fetch_intervals import INTERVALS, interval_index
from transfermon.gui.panels.event_log import clock_text
from transfermon.gui.toolkit import theme
from transfermon.gui.toolkit.collapsing_bars import Bar
from transfermon.gui.toolkit.giving_columns import GivingColumns
from transfermon.gui.toolkit.plain_table import make_plain_table
from transfermon.model import units
from transfermon.model.configuration import BACKGROUND_HANDLER_BUDGET, WAKES_KEPT
from transfermon.model.translate import marked, tr
from transfermon.model.wake_policy import (
    Wake,
    WakeKind,
    WakeVerdict,
    outcome_text,
    reason_text,
    source_text,
)

Index = QModelIndex | QPersistentModelIndex
ROW_HEIGHT = 28
TICK_MS = 500
WAKE_ROLE = int(Qt.ItemDataRole.UserRole) + 1
_VERDICTS = {
    WakeVerdict.GRANTED: (marked("Granted"), "good"),
    WakeVerdict.DELAYED: (marked("Delayed"), "warn"),
    WakeVerdict.HELD: (marked("Held"), "warn"),
    WakeVerdict.REFUSED: (marked("Refused"), "bad"),
}


class WakeColumn(IntEnum):
    TIME = 0
    KIND = 1
    VERDICT = 2
    OUTCOME = 3
    STARTED = 4
    REASON = 5


TITLES = (
    marked("Came"),
    marked("Wake"),
    marked("Verdict"),
    marked("Handler"),
    marked("Started"),
    marked("Why"),
)
LONGEST_REASON = 400  # characters
WIDTHS = (108, 150, 88, 164, 62)
REASON_LEAST = 80  # pixels of the last one


def cell_text(wake: Wake, column: int, now: float) -> str:
    """The words of one cell. `now` in epoch seconds."""
    if column == WakeColumn.TIME:
        return clock_text(wake.time)
    if column == WakeColumn.KIND:
        name = tr("Fetch") if wake.kind is WakeKind.FETCH else tr("Push")
        return units.clean(f"{name}, {source_text(wake)}", 100)
    if column == WakeColumn.VERDICT:
        return tr(_VERDICTS[wake.verdict][0])
    if column == WakeColumn.OUTCOME:
        return outcome_text(wake, now)
    if column == WakeColumn.STARTED:
        return str(len(wake.tasks)) if wake.tasks else ""
    return units.clean(reason_text(wake), LONGEST_REASON)


class WakeModel(QAbstractTableModel):
    """Newest first."""

    def __init__(
        self, parent: QObject | None = None, *, now: Callable[[], float] = time.time
    ) -> None:
        super().__init__(parent)
        self._wakes: list[Wake] = []
        self._now = now

    def __repr__(self) -> str:
        return f"<WakeModel {len(self._wakes)}>"

    @property
    def wakes(self) -> Sequence[Wake]:
        """To read only."""
        return self._wakes

    @property
    def counts(self) -> bool:
        """Whether a cell changes by itself."""
        return any(wake.open or wake.waiting for wake in self._wakes)

    def reset(self, ledger: Sequence[Wake]) -> None:
        """`ledger` is oldest first."""
        self.beginResetModel()
        self._wakes = list(reversed(ledger))
        self.endResetModel()

    def apply(self, wake: Wake) -> None:
        """A new line, or one that has changed."""
        for row, known in enumerate(self._wakes):
            if known.identifier == wake.identifier:
                self._wakes[row] = wake
                self.dataChanged.emit(self.index(row, 0), self.index(row, len(WakeColumn) - 1))
                return
        if len(self._wakes) >= WAKES_KEPT:
            last = len(self._wakes) - 1
            self.beginRemoveRows(QModelIndex(), last, last)
            self._wakes.pop()
            self.endRemoveRows()
        self.beginInsertRows(QModelIndex(), 0, 0)
        self._wakes.insert(0, wake)
        self.endInsertRows()

    def tick(self) -> None:
        """Paint again what counts down."""
        for row, wake in enumerate(self._wakes):
            if wake.open or wake.waiting:
                where = self.index(row, WakeColumn.OUTCOME)
                self.dataChanged.emit(where, where)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(self._wakes)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(WakeColumn)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._wakes):
            return None
        wake = self._wakes[index.row()]
        if role == WAKE_ROLE:
            return wake
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return cell_text(wake, index.column(), self._now())
        if role == Qt.ItemDataRole.ToolTipRole:
            return theme.plain_tip(cell_text(wake, WakeColumn.REASON, self._now()))
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(WakeColumn):
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return tr(TITLES[section])
        return _alignment(section) if role == Qt.ItemDataRole.TextAlignmentRole else None


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = (
        Qt.AlignmentFlag.AlignRight if column == WakeColumn.STARTED else Qt.AlignmentFlag.AlignLeft
    )
    return side | Qt.AlignmentFlag.AlignVCenter


class _Delegate(QStyledItemDelegate):
    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(option.fontMetrics.horizontalAdvance(str(index.data())) + 36, ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        wake: Wake = index.data(WAKE_ROLE)
        column = index.column()
        painter.save()
        painter.fillRect(option.rect, theme.color("base"))
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(option.rect, theme.color("selection"))
        where = option.rect.adjusted(8, 0, -8, 0)
        if column == WakeColumn.KIND:
            icon = "download-cloud" if wake.kind is WakeKind.FETCH else "bell"
            theme.draw_icon(painter, icon, "muted", QRect(where.x(), where.y(), 16, where.height()))
            where.adjust(24, 0, 0, 0)
        elif column == WakeColumn.VERDICT:
            self._dot(painter, where, _VERDICTS[wake.verdict][1])
            where.adjust(16, 0, 0, 0)
        elif column == WakeColumn.OUTCOME and wake.open and wake.delivered is not None:
            self._ring(
                painter, where, 1 - (time.time() - wake.delivered) / BACKGROUND_HANDLER_BUDGET
            )
            where.adjust(24, 0, 0, 0)
        painter.setPen(
            theme.color("text" if column in (WakeColumn.KIND, WakeColumn.VERDICT) else "muted")
        )
        text = painter.fontMetrics().elidedText(
            str(index.data()), Qt.TextElideMode.ElideRight, where.width()
        )
        painter.drawText(where, _alignment(column), text)
        painter.restore()

    def _dot(self, painter: QPainter, where: QRect, role: str) -> None:
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color(role))
        painter.drawEllipse(QRectF(where.x(), where.center().y() - 3, 7, 7))
        painter.restore()

    def _ring(self, painter: QPainter, where: QRect, left: float) -> None:
        """How much of the handler's 30 s is left."""
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ring = QRectF(where.x() + 1, where.center().y() - 6.5, 14, 14)
        painter.setPen(QPen(theme.color("track"), 2.5))
        painter.drawEllipse(ring)
        painter.setPen(QPen(theme.color("accent" if left > 1 / 3 else "warn"), 2.5))
        painter.drawArc(ring, 90 * 16, round(360 * 16 * min(1.0, max(0.0, left))))
        painter.restore()


class _Table(QTableView):
    def __init__(self) -> None:
        super().__init__()
        self._giving = GivingColumns(self, (WakeColumn.STARTED,), least=REASON_LEAST)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._giving.fit()


class WakesView(QWidget):
    """The schedule above, the ledger below. What a person wants is told by signals; the window does
    it.
    """

    again_wanted = Signal(str)  # the line's identifier
    compose_wanted = Signal(object)  # the wake whose payload is to be edited
    interval_wanted = Signal(float)  # seconds; infinite: never
    channel_wanted = Signal(bool)  # the push channel on or off

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("wakes")
        self._schedule: Callable[[], str] = str
        self._counts_down: Callable[[], bool] = bool
        self.model = WakeModel(self)
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._build()
        self._retint()
        theme.themed.changed.connect(self._retint)

    def __repr__(self) -> str:
        return f"<WakesView {self.model.rowCount()} wakes>"

    def _build(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._bar())
        column.addWidget(self.schedule)
        column.addWidget(self._table(), 1)
        self.reason = QLabel()  # the table has no room for all of it
        self.reason.setObjectName("wakes_reason")
        self.reason.setTextFormat(Qt.TextFormat.PlainText)
        self.reason.setWordWrap(True)
        self.reason.setProperty("role", "muted")
        self.reason.setContentsMargins(8, 6, 8, 6)
        self.reason.hide()
        column.addWidget(self.reason)

    def _bar(self) -> Bar:
        self.interval = QComboBox()
        self.interval.setObjectName("wakes_interval")
        self.interval.setAccessibleName(tr("Minimum interval of background fetches"))
        self.interval.addItems([tr(text) for text, _ in INTERVALS])
        self.interval.activated.connect(lambda row: self.interval_wanted.emit(INTERVALS[row][1]))
        label = QLabel(tr("Fetch in the background"))
        label.setBuddy(self.interval)
        self.schedule = QLabel()
        self.schedule.setObjectName("wakes_schedule")
        self.schedule.setProperty("role", "muted")
        self.schedule.setTextFormat(Qt.TextFormat.PlainText)
        self.schedule.setContentsMargins(8, 0, 8, 6)
        self.schedule.setMinimumWidth(1)  # it gives way in a narrow window
        self.channel_button = self._button(
            "wakes_channel", tr("Push channel"), tr("Receive pushes from ntfy while this is on")
        )
        self.channel_button.setCheckable(True)
        self.channel_button.setEnabled(True)
        self.channel_button.clicked.connect(lambda on: self.channel_wanted.emit(on))
        self.again_button = self._button(
            "wakes_again", tr("Send again"), tr("Deliver the selected fetch or push once more")
        )
        self.again_button.clicked.connect(self._again)
        self.edit_button = self._button(
            "wakes_edit", tr("Edit…"), tr("Open the selected push in the composer")
        )
        self.edit_button.clicked.connect(self._edit)
        buttons = [self.channel_button, self.again_button, self.edit_button]
        return Bar([label, self.interval, None, *buttons], giving=[buttons])

    def _button(self, name: str, text: str, tip: str) -> QToolButton:
        button = QToolButton()
        button.setObjectName(name)
        button.setAccessibleName(text)
        button.setText(text)
        button.setToolTip(tip)
        button.setProperty("flat", True)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setEnabled(False)
        return button

    def _table(self) -> QTableView:
        table = self.table = _Table()
        table.setObjectName("wakes_table")
        table.setAccessibleName(tr("Wake ledger"))
        table.setModel(self.model)
        table.setItemDelegate(_Delegate(table))
        make_plain_table(table, ROW_HEIGHT, 30, many=False)
        header = table.horizontalHeader()
        header.setStretchLastSection(True)
        header.setMinimumSectionSize(40)
        for column, width in enumerate(WIDTHS):
            table.setColumnWidth(column, width)
        table.selectionModel().selectionChanged.connect(self._enable)
        table.doubleClicked.connect(self._edit)
        self.empty = QLabel(
            tr("No fetch and no push yet. “Background fetch” and “Silent push” above try one out."),
            table,
        )
        self.empty.setProperty("role", "muted")
        self.empty.move(QPoint(12, 42))
        return table

    def show_channel(self, on: bool, words: str) -> None:
        """Whether the push channel is switched on, and its state in words."""
        self.channel_button.setChecked(on)
        self.channel_button.setToolTip(theme.plain_tip(words))
        self.channel_button.setAccessibleDescription(words)

    def _retint(self) -> None:
        self.channel_button.setIcon(theme.icon("bell", "muted"))
        self.again_button.setIcon(theme.icon("rotate-cw", "muted"))
        self.edit_button.setIcon(theme.icon("braces", "muted"))
        self.table.viewport().update()

    # What it shows

    def reset(
        self,
        ledger: Sequence[Wake],
        interval: float,
        schedule: Callable[[], str],
        counts_down: Callable[[], bool] = bool,
    ) -> None:
        """Show this ledger, oldest first; `schedule` gives the sentence about the next fetch
        whenever it is asked, `counts_down` says whether that changes by itself.
        """
        self._schedule, self._counts_down = schedule, counts_down
        self.model.reset(ledger)
        self.interval.setCurrentIndex(interval_index(interval))
        self.refresh()

    def apply(self, wake: Wake) -> None:
        self.model.apply(wake)
        self.refresh()

    def set_interval(self, interval: float) -> None:
        self.interval.setCurrentIndex(interval_index(interval))
        self.refresh()

    def refresh(self) -> None:
        """The state of the app or of the schedule may be another."""
        self.schedule.setText(self._schedule())
        self.empty.setVisible(not self.model.wakes)
        self._enable()
        self._run()

    @property
    def selected(self) -> Wake | None:
        rows = self.table.selectionModel().selectedRows()
        return self.model.wakes[rows[0].row()] if rows else None

    @property
    def ticking(self) -> bool:
        return self._timer.isActive()

    def _enable(self) -> None:
        wake = self.selected
        self.again_button.setEnabled(wake is not None)
        self.edit_button.setEnabled(wake is not None and wake.payload is not None)
        words = units.clean(reason_text(wake), LONGEST_REASON) if wake is not None else ""
        self.reason.setText(words)
        self.reason.setVisible(bool(words))

    def _again(self) -> None:
        if (wake := self.selected) is not None:
            self.again_wanted.emit(wake.identifier)

    def _edit(self) -> None:
        wake = self.selected
        if wake is not None and wake.payload is not None:
            self.compose_wanted.emit(wake)

    # The clock

    def _tick(self) -> None:
        self.model.tick()
        self.schedule.setText(self._schedule())
        self._run()

    def _run(self) -> None:
        counts = self.model.counts or self._counts_down()
        if self.isVisible() and counts:
            if not self._timer.isActive():
                self._timer.start()
        else:
            self._timer.stop()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.refresh()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()
