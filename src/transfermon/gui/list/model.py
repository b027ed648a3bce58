"""The list of tasks as a model, with its order and its filter.

Rule: it is an adapter that replaces records and says which rows changed. It sorts and filters by
itself, by raw values and in one go: a proxy of Qt would ask for each of ten thousand rows, and the
pump's thread could take the interpreter each time.
"""

from __future__ import annotations

import contextlib
import operator
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    QTimer,
    Signal,
)

from transfermon.gui.list.columns import (
    HIDDEN,
    LAST_LIVE,
    LIVE,
    NUMBERS,
    TEXTS,
    TITLES,
    Column,
    Row,
)
from transfermon.gui.list.filter import RowFilter, RowOrder
from transfermon.gui.list.row_changes import RowChanges, runs
from transfermon.gui.list.scope import Scope, group_of
from transfermon.gui.toolkit import theme
from transfermon.model.events import Event, TaskEvent, TaskRemovedEvent
from transfermon.model.task import Progress, Task, TaskKey
from transfermon.model.translate import tr
from transfermon.text import humanize

Index = QModelIndex | QPersistentModelIndex
TASK_ROLE = int(Qt.ItemDataRole.UserRole) + 1
ROW_ROLE = TASK_ROLE + 1
AT_ONCE = 32  # rows told of one by one; more at a time are one change of the whole
FEW = 4  # new ones; each at the top gives all others another number
GATHER_MS = 50
SETTLE_MS = 150
RESORT_MS = 1000


def _chosen_by(row: Row) -> tuple[str, str, str]:
    return row.look, group_of(row.task), row.task.name


class TaskModel(QAbstractTableModel):
    """The tasks of a scope that match the words, in the order of the chosen column.

    `ticking` is emitted with whether a task counts seconds down, so that nobody needs a clock when
    none does.
    """

    ticking = Signal(bool)

    def __init__(
        self, parent: QObject | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(parent)
        self._changes = RowChanges(self, clock, place=self._position, tell=self._tell)
        self._all: list[Row] = []
        self._rows: list[Row] = []  # those of them that are shown, in the same order
        self._filter = RowFilter()
        self._by_key: dict[TaskKey, Row] = {}
        self._shifted = False  # rows were removed since they were numbered
        self._counting: set[TaskKey] = set()
        self._order = RowOrder()
        self._now = time.time()
        self._new: list[Row] = []
        self._inserted = 0
        self._gather = self._timer(GATHER_MS, self.flush)
        self._resort = self._timer(RESORT_MS, self._sort_again)
        self._settle = self._timer(SETTLE_MS, self._choose)

    def __repr__(self) -> str:
        return (
            f"<TaskModel {self._filter} rows={len(self._rows)} of {len(self._all)} "
            f"new={len(self._new)} sorted_by={self._order.column.name}>"
        )

    def _timer(self, interval: int, then: Callable[[], object]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(interval)
        timer.timeout.connect(then)
        return timer

    # Filling

    def reset(self, tasks: Sequence[Task]) -> None:
        """Have these and no others."""
        self.beginResetModel()
        self._new.clear()
        self._changes.clear()
        self._all = [Row(task) for task in tasks]
        self._by_key = {row.task.key: row for row in self._all}
        self._all = self._order.arranged(self._all)
        self._rows = self._filter.chosen(self._all)
        self._number()
        self.endResetModel()
        self._set_counting({row.task.key for row in self._all if row.counts_down})

    def apply(self, event: Event) -> None:
        """Take the record that the event carries; ones of no task change nothing."""
        if not isinstance(event, TaskEvent):
            return
        key = TaskKey(event.session, event.task_identifier)
        if isinstance(event, TaskRemovedEvent):
            self.remove([key])
        elif event.task is not None:
            self._take(key, event.task)

    def remove(self, keys: Iterable[TaskKey]) -> None:
        """Take rows out; ones that are not there are passed over. Many at once cost one reset."""
        gone = [row for key in keys if (row := self._by_key.pop(key, None)) is not None]
        if not gone:
            return
        if self._new:
            self.flush(but={id(row) for row in gone})
        if len(gone) > AT_ONCE:
            self._remove_many(gone)
        else:
            for row in gone:
                self._remove_one(row)
        self._set_counting(self._counting - {row.task.key for row in gone})

    def _remove_one(self, row: Row) -> None:
        with contextlib.suppress(ValueError):  # it had not been inserted yet
            self._all.remove(row)
        if (at := self._position(row)) >= 0:
            self._take_out(at, at)

    def _take_out(self, first: int, last: int) -> None:
        self.beginRemoveRows(QModelIndex(), first, last)
        for row in self._rows[first : last + 1]:
            row.at = HIDDEN
        del self._rows[first : last + 1]
        self._shifted = True
        self.endRemoveRows()

    def _remove_many(self, gone: Sequence[Row]) -> None:
        out = {id(row) for row in gone}
        self.beginResetModel()
        self._all = [row for row in self._all if id(row) not in out]
        self._rows = [row for row in self._rows if id(row) not in out]
        self._number()
        self.endResetModel()

    def _take(self, key: TaskKey, task: Task) -> None:
        row = self._by_key.get(key)
        if row is None:
            self._add(key, task)
            return
        # several events of one change: the end of a small file
        if row.task is task and (row.received, row.expected) == (task.moved, task.total):
            return
        chooses = not self._filter.shows_all
        before = _chosen_by(row) if chooses else None
        row.take(task)
        self._count(row)
        self._changes.take(row)
        if chooses and before != _chosen_by(row) and not self._settle.isActive():
            self._settle.start()
        if self._order.column is not Column.ADDED:
            self._resort_soon()

    def _add(self, key: TaskKey, task: Task) -> None:
        row = self._by_key[key] = Row(task)
        self._inserted += 1
        if self._inserted > FEW:
            self._new.append(row)
        else:
            self._all.insert(self._order.place(row, self._all), row)
            if self._filter.passes(row):
                self._insert([row], self._order.place(row, self._rows))
            self._count(row)
        if not self._gather.isActive():
            self._gather.start()

    def flush(self, but: set[int] | None = None) -> None:
        """Insert the new rows that were gathered, in one go. Happens by itself."""
        self._inserted = 0
        new = [row for row in self._new if not but or id(row) not in but]
        self._new.clear()
        if new:
            self._all += new
            if shown := self._filter.chosen(new):
                self._insert(shown, len(self._rows))
            self._sort_again()
        for row in new:
            self._count(row)

    def _insert(self, new: Sequence[Row], at: int) -> None:
        self.beginInsertRows(QModelIndex(), at, at + len(new) - 1)
        self._rows[at:at] = new
        self._number(at)
        self.endInsertRows()

    def apply_progress(self, moved: Mapping[TaskKey, Progress], now: float) -> None:
        """Take live counters; `now` in monotonic seconds."""
        rows = []
        for key, progress in moved.items():
            row = self._by_key.get(key)
            if row is not None:
                row.counters(progress, now)
                rows.append(row)
        self._changes.take_together(rows, Column.PROGRESS, LAST_LIVE)
        if rows and self._order.column in LIVE:
            self._resort_soon()

    def tick(self, now: float) -> None:
        """Count down in the rows that do; `now` in epoch seconds."""
        self._now = now
        counting = [self._by_key[key] for key in self._counting]
        self._changes.take_together(counting, Column.STATUS, Column.STATUS)

    def _tell(self, top: int, bottom: int, first: int, last: int) -> None:
        self.dataChanged.emit(self.index(top, first), self.index(bottom, last))

    @property
    def counts_down(self) -> bool:
        return bool(self._counting)

    def _count(self, row: Row) -> None:
        if row.counts_down:
            self._set_counting(self._counting | {row.task.key})
        elif row.task.key in self._counting:
            self._set_counting(self._counting - {row.task.key})

    def _set_counting(self, keys: set[TaskKey]) -> None:
        before, self._counting = bool(self._counting), keys
        if before != bool(keys):
            self._now = time.time()
            self.ticking.emit(not before)

    # Choosing

    def set_words(self, text: str) -> None:
        """Show only what these find, as `Search` reads them."""
        self._filter.set_words(text)
        self._choose()

    def set_scope(self, scope: Scope) -> None:
        """Show only what it holds."""
        self._filter.scope = scope
        self._choose()

    def _choose(self) -> None:
        # Few rows come and go one by one, so that the current row stays one; many are one change of
        # the layout.
        self._settle.stop()
        wanted = self._filter.chosen(self._all)
        new = [at for at, row in enumerate(wanted) if row.at < 0]
        passing = {id(row) for row in wanted}
        gone = [at for at, row in enumerate(self._rows) if id(row) not in passing]
        if len(new) + len(gone) > AT_ONCE:
            self._lay_out(wanted)
            return
        for first, last in reversed(runs(gone)):
            self._take_out(first, last)
        for at in new:
            self._insert([wanted[at]], at)

    def _lay_out(self, wanted: list[Row]) -> None:
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        held = [self._rows[index.row()] for index in before]
        for row in self._rows:
            row.at = HIDDEN
        self._rows = wanted
        self._number()
        after = [
            self.index(row.at, index.column()) if row.at >= 0 else QModelIndex()
            for row, index in zip(held, before, strict=True)
        ]
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    # Places

    def _number(self, begin: int = 0) -> None:
        if self._shifted:
            begin = 0
        for at in range(begin, len(self._rows)):
            self._rows[at].at = at
        self._shifted = False

    def _position(self, row: Row) -> int:
        # Rows only move up by removals, and everything else numbers anew: so it is at `at` or
        # before.
        if row.at < 0:
            return HIDDEN
        if row.at < len(self._rows) and self._rows[row.at] is row:
            return row.at
        for begin, end in ((0, 64), (64, row.at + 1)):  # removed from the top, mostly
            try:
                row.at = self._rows.index(row, begin, end)
            except ValueError:
                continue
            return row.at
        return HIDDEN

    def row_of(self, key: TaskKey) -> int:
        """-1 while the filter hides it. Raises KeyError when there is no such task."""
        self.flush()
        return self._position(self._by_key[key])

    def task_at(self, row: int) -> Task:
        return self._rows[row].task

    @property
    def rows(self) -> Sequence[Row]:
        """In the order shown. To read only."""
        return self._rows

    def keys(self) -> list[TaskKey]:
        """Of what is shown, in that order."""
        self.flush()
        return [row.task.key for row in self._rows]

    def records(self) -> list[Task]:
        """Of what is shown, in that order."""
        return list(map(operator.attrgetter("task"), self._rows))

    def _sort_again(self) -> None:
        self.sort(self._order.column, self._order.direction)

    def _resort_soon(self) -> None:
        if not self._resort.isActive():
            self._resort.start()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        if not 0 <= column < len(Column):
            return
        self._order = RowOrder(column=Column(column), direction=order)
        self._all = self._order.arranged(self._all)
        wanted = (
            list(self._all)
            if len(self._rows) == len(self._all)
            else self._order.arranged(self._rows)
        )
        if not all(map(operator.is_, wanted, self._rows)):
            self._lay_out(wanted)

    # Qt's questions

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(Column)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        row, column = self._rows[index.row()], Column(index.column())
        if role == ROW_ROLE:
            return row
        if role == Qt.ItemDataRole.DisplayRole:
            return self.words(row, column)
        if role == TASK_ROLE:
            return row.task
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return theme.plain_tip(self._tip(row, column))
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{tr(TITLES[column])}: {self.words(row, column)}"
        return None

    def words(self, row: Row, column: Column) -> str:
        """What a cell shows."""
        return TEXTS[column](row, self._now)

    def _tip(self, row: Row, column: Column) -> str:
        if column is Column.STATUS and row.task.error is not None:
            return humanize.error(row.task.error)
        if column is Column.RESUMABLE:
            return row.task.not_resumable
        if column is Column.ADDED:
            return time.strftime("%c", time.localtime(row.task.added))
        return (
            self.words(row, column)
            if column in (Column.NAME, Column.STATUS, Column.KIND, Column.PATH)
            else ""
        )

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(Column):
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            # as wide as its icons
            return "" if section == Column.KIND else tr(TITLES[Column(section)])
        if section == Column.KIND and role in (
            Qt.ItemDataRole.ToolTipRole,
            Qt.ItemDataRole.AccessibleTextRole,
        ):
            return tr(TITLES[Column.KIND])
        return _alignment(Column(section)) if role == Qt.ItemDataRole.TextAlignmentRole else None


def _alignment(column: Column) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column in NUMBERS else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter
