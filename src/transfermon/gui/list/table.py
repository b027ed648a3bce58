"""The list of tasks: a table with columns that can be chosen, moved and remembered, and give way in
a narrow window.
"""

from __future__ import annotations

import time
from typing import Any

from PySide6.QtCore import (
    QByteArray,
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPoint,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QFontMetrics, QHideEvent, QMouseEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QAbstractItemView, QApplication, QMenu, QWidget

from transfermon.gui.list import dragging
from transfermon.gui.list.columns import SHOWN, TITLES, Column, name_of
from transfermon.gui.list.model import TASK_ROLE
from transfermon.gui.list.painter import ICON, PAD, PaintedTable
from transfermon.gui.toolkit import theme
from transfermon.gui.toolkit.plain_table import make_plain_table
from transfermon.model.task import Task, TaskKey
from transfermon.model.translate import tr

LAYOUT = b"columns 2\n"  # before a saved layout; another set of columns needs another mark

WIDTHS = {
    Column.NAME: 222,
    Column.KIND: 32,
    Column.PROGRESS: 104,
    Column.STATUS: 124,
    Column.SPEED: 78,
    Column.LEFT: 80,
    Column.SIZE: 74,
    Column.ADDED: 62,
    Column.SESSION: 120,
    Column.HOST: 150,
    Column.PATH: 260,
}
NAME_LEAST = 130
NAME_WANTED = 220  # with less, the columns that matter least give way, in this order
GIVE_WAY = (Column.ADDED, Column.KIND, Column.LEFT)
NAME_AMPLE, BAR_MOST = 200, 200  # beyond an ample name the bar grows too


class TaskTable(PaintedTable):
    """The list. `selection_changed` carries the keys of the selected rows, `opened` the key of a
    double click, `menu_wanted` the selected keys and a global point.
    """

    selection_changed = Signal(object)
    opened = Signal(object)
    menu_wanted = Signal(object, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("task_table")
        self.setAccessibleName(tr("Transfers"))
        self._grip: QPoint | None = None  # where the button went down on what can be dragged
        self._carried = False  # a drag began, and the button is still down
        self._told: list[TaskKey] = []
        self._bar = WIDTHS[Column.PROGRESS]
        self._away: dict[Column, int] = {}  # columns that give way now, and their widths
        self._held: set[Column] = set()  # these were asked for by hand, and do not
        make_plain_table(self, theme.ROW, theme.ROW)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setMouseTracking(True)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._menu)
        self.doubleClicked.connect(self._open)
        self._prepare_header()
        self._clock = QTimer(self)
        self._clock.setInterval(1000)
        self._clock.timeout.connect(self._tick)
        theme.themed.changed.connect(self.viewport().update)

    def __repr__(self) -> str:
        return f"<TaskTable selected={len(self._told)}>"

    def _prepare_header(self) -> None:
        header = self.horizontalHeader()
        header.setObjectName("task_columns")
        header.setSectionsMovable(True)
        header.setMinimumSectionSize(32)
        header.setTextElideMode(Qt.TextElideMode.ElideRight)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._choose_columns)

    def setModel(self, model: Any) -> None:
        super().setModel(model)
        if model is None:
            return
        self.reset_columns()
        header = self.horizontalHeader()
        # Of its own and empty: with the table's it asks each of ten thousand selected rows, column
        # by column, at a paint.
        header.setSelectionModel(QItemSelectionModel(model, header))
        header.setSortIndicator(Column.ADDED, Qt.SortOrder.DescendingOrder)
        self.setSortingEnabled(True)
        self.tasks.ticking.connect(self._run_clock)
        for signal in (model.rowsRemoved, model.modelReset, model.layoutChanged):
            signal.connect(self._tell)
        self._run_clock()

    # The clock runs only while a visible row counts down

    def _run_clock(self) -> None:
        wanted = self.isVisible() and self.model() is not None and self.tasks.counts_down
        if wanted and not self._clock.isActive():
            self._tick()
            self._clock.start()
        elif not wanted:
            self._clock.stop()

    def _tick(self) -> None:
        self.tasks.tick(time.time())

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._run_clock()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._clock.stop()

    # Columns

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.fit_name()

    def fit_name(self) -> None:
        """The name takes the room that the other columns leave, and the bar a part of plenty."""
        header = self.horizontalHeader()
        if self.model() is None or self.isColumnHidden(Column.NAME):
            return
        self._give_way()
        shown = [column for column in Column if not self.isColumnHidden(column)]
        room = self.viewport().width() - sum(
            header.sectionSize(column) for column in shown if column is not Column.NAME
        )
        if self._fits_bar(header.sectionSize(Column.PROGRESS)):
            room += self._bar
            least = WIDTHS[Column.PROGRESS]
            self._bar = min(BAR_MOST, least + max(0, room - least - NAME_AMPLE) // 2)
            self.setColumnWidth(Column.PROGRESS, self._bar)
            room -= self._bar
        self.setColumnWidth(Column.NAME, max(NAME_LEAST, room))

    def _give_way(self) -> None:
        header = self.horizontalHeader()
        widths = {
            column: header.sectionSize(column)
            for column in Column
            if not self.isColumnHidden(column)
        }
        widths |= self._away
        if self._fits_bar(widths.get(Column.PROGRESS, 0)):
            widths[Column.PROGRESS] = WIDTHS[Column.PROGRESS]
        room = self.viewport().width() - sum(widths.values()) + widths[Column.NAME]
        away: dict[Column, int] = {}
        for column in GIVE_WAY:
            if room < NAME_WANTED and column in widths and column not in self._held:
                away[column] = widths[column]
                room += widths[column]
        if away.keys() != self._away.keys():
            back = [column for column in self._away if column not in away]
            self._away = away
            for column in back:
                self.setColumnHidden(column, False)
            for column in away:
                self.setColumnHidden(column, True)

    def save_columns(self) -> QByteArray:
        """Order, widths and what is shown, whatever had to give way in a narrow window."""
        header = self.horizontalHeader()
        bar = header.sectionSize(Column.PROGRESS)
        if self._fits_bar(bar):
            header.resizeSection(Column.PROGRESS, WIDTHS[Column.PROGRESS])
        for column in self._away:
            header.showSection(column)
        state = header.saveState()
        for column in self._away:
            header.hideSection(column)
        header.resizeSection(Column.PROGRESS, bar)
        return QByteArray(LAYOUT + state.data())

    def restore_columns(self, state: QByteArray) -> None:
        """What `save_columns` gave; anything else changes nothing."""
        if state.startsWith(LAYOUT) and self.horizontalHeader().restoreState(
            state.mid(len(LAYOUT))
        ):
            self._away.clear()
            self._bar = WIDTHS[Column.PROGRESS]
            self.fit_name()

    def _fits_bar(self, width: int) -> bool:
        # A width that somebody chose by hand stays.
        return width == self._bar and not self.isColumnHidden(Column.PROGRESS)

    def _choose_columns(self, point: QPoint) -> None:
        self.columns_menu().popup(self.horizontalHeader().mapToGlobal(point))

    def columns_menu(self) -> QMenu:
        """Which columns are shown; the name always is."""
        menu = QMenu(self)
        menu.setObjectName("columns_menu")
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for column in list(Column)[1:]:
            action = menu.addAction(tr(TITLES[column]))
            action.setCheckable(True)
            action.setChecked(not self.isColumnHidden(column))
            action.toggled.connect(lambda on, column=column: self._show_column(column, on))
        menu.addSeparator()
        menu.addAction(tr("Usual columns"), self.reset_columns).setObjectName("columns_usual")
        return menu

    def reset_columns(self) -> None:
        """Which columns, how wide and in which order, as in a window that is new. The sorting
        stays.
        """
        header = self.horizontalHeader()
        self._away.clear()
        self._held.clear()
        self._bar = WIDTHS[Column.PROGRESS]
        for column in Column:
            header.moveSection(header.visualIndex(column), column)
            self.setColumnHidden(column, column not in SHOWN)
            self.setColumnWidth(column, WIDTHS.get(column, 96))
        self.fit_name()

    def _show_column(self, column: Column, on: bool) -> None:
        self._away.pop(column, None)
        self._held = self._held | {column} if on else self._held - {column}
        self.setColumnHidden(column, not on)
        self.fit_name()

    # Selection

    def selectionChanged(self, selected: QItemSelection, deselected: QItemSelection) -> None:
        super().selectionChanged(selected, deselected)
        self._tell()

    def selected_keys(self) -> list[TaskKey]:
        """Top to bottom."""
        if self.selectionModel() is None or not self.selectionModel().hasSelection():
            return []
        chosen = self.selectionModel().selection()
        parts = [chosen.at(place) for place in range(chosen.count())]
        ranges = sorted((part.top(), part.bottom()) for part in parts)
        rows = dict.fromkeys(row for top, bottom in ranges for row in range(top, bottom + 1))
        if len(rows) == self.model().rowCount() and rows:
            return self.visible_keys()  # all of ten thousand, in one go
        return [self.model().index(row, 0).data(TASK_ROLE).key for row in rows]

    def _tell(self) -> None:
        keys = self.selected_keys()
        if keys != self._told:
            self._told = keys
            self.selection_changed.emit(list(keys))

    def visible_keys(self) -> list[TaskKey]:
        """The keys of every row that passes the filter, in the order shown."""
        return self.tasks.keys()

    def visible_tasks(self) -> list[Task]:
        """As the list knows them: those that it was told of."""
        return self.tasks.records()

    def select(self, key: TaskKey) -> None:
        """Select this row alone and scroll to it; one that is not shown changes nothing."""
        try:
            at = self.tasks.row_of(key)
        except KeyError:
            return
        if at < 0:
            return
        index = self.tasks.index(at, 0)
        flags = QItemSelectionModel.SelectionFlag
        self.selectionModel().setCurrentIndex(index, flags.ClearAndSelect | flags.Rows)
        self.scrollTo(index)

    # Pointer

    def mousePressEvent(self, event: QMouseEvent) -> None:
        point = event.position().toPoint()
        plain = (
            event.button() is Qt.MouseButton.LeftButton
            and event.modifiers() == Qt.KeyboardModifier.NoModifier
        )
        self._grip, self._carried = point if plain and self.grips(point) else None, False
        super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        point = event.position().toPoint()
        pulled = event.buttons() & Qt.MouseButton.LeftButton
        if not pulled or (self._grip is None and not self._carried):
            super().mouseMoveEvent(event)
            self._hover(self.rowAt(point.y()))
        elif (
            self._grip is not None
            and (point - self._grip).manhattanLength() >= QApplication.startDragDistance()
        ):
            self._grip, self._carried = None, True
            self.startDrag(Qt.DropAction.CopyAction)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._grip = None
        super().mouseReleaseEvent(event)

    def grips(self, point: QPoint) -> bool:
        """Whether a pull from here drags the rows, as that of a selected row and of a name does;
        elsewhere it selects.
        """
        index = self.indexAt(point)
        if not index.isValid() or self.selectionModel().isSelected(index):
            return index.isValid()
        words = name_of(self.tasks.task_at(index.row()))
        right = (
            self.columnViewportPosition(Column.NAME)
            + PAD
            + ICON
            + QFontMetrics(self.font()).horizontalAdvance(words)
        )
        return index.column() == Column.NAME and point.x() < right

    def startDrag(self, _supported: Qt.DropAction) -> None:
        """Of the selected rows. No flags of the model say that they can be dragged: those are asked
        for at each paint.
        """
        keys = self.selected_keys()
        tasks = [self.tasks.task_at(self.tasks.row_of(key)) for key in keys]
        if tasks:
            dragging.drag(self, tasks, [name_of(task) for task in tasks])

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._hover(-1)

    def _hover(self, row: int) -> None:
        if row == self.hovered:
            return
        before, self.hovered = self.hovered, row
        for changed in (before, row):
            if changed >= 0:
                top, height = self.rowViewportPosition(changed), self.rowHeight(changed)
                self.viewport().update(0, top, self.viewport().width(), height)

    def _open(self, index: QModelIndex) -> None:
        self.opened.emit(index.data(TASK_ROLE).key)

    def _menu(self, point: QPoint) -> None:
        keys = self.selected_keys()
        if keys:
            self.menu_wanted.emit(keys, self.viewport().mapToGlobal(point))
