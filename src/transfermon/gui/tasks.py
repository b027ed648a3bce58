"""The list of tasks: its model with its filter, how a row is painted, and what its menu offers.

Rule: the model is an adapter that replaces records and says which rows changed. It sorts and filters by itself, by raw
values and in one go: a proxy of Qt would ask for each of ten thousand rows, and the pump's thread could take the
interpreter each time.
"""

from __future__ import annotations

import contextlib
import operator
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any, cast
from urllib.parse import urlsplit

from PySide6.QtCore import (
    QAbstractTableModel,
    QByteArray,
    QEvent,
    QItemSelection,
    QItemSelectionModel,
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
from PySide6.QtGui import (
    QAccessible,
    QFont,
    QFontMetrics,
    QHideEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QShowEvent,
    QStaticText,
    QTextOption,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QHeaderView,
    QMenu,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from transfermon import humanize
from transfermon.events import Event, TaskEvent, TaskRemovedEvent
from transfermon.filenames import from_url
from transfermon.gui import dragging, theme
from transfermon.gui.commands import PRIORITIES, queued
from transfermon.gui.scope import LOOKS, Scope, group_of, look_of
from transfermon.task import Action, Kind, Progress, Task, TaskKey
from transfermon.words import marked, tr

Index = QModelIndex | QPersistentModelIndex
VALUE_ROLE = int(Qt.ItemDataRole.UserRole) + 1
TASK_ROLE = VALUE_ROLE + 1
ROW_ROLE = VALUE_ROLE + 2
AT_ONCE = 32  # rows told of one by one; more at a time are one change of the whole
HIDDEN = -1  # the place of a row that is not shown
GATHER_MS = 50
SETTLE_MS = 150
RESORT_MS = 1000
PACE = 0.26  # seconds between two changes of one row that are told: four paints a second, with some slack
CATCH_UP_MS = 130
MOST_RUNS = 200  # of rows that changed, told one by one; more cost more than to paint what is in view


class Column(IntEnum):
    NAME = 0
    KIND = 1
    PROGRESS = 2
    STATUS = 3
    SPEED = 4
    LEFT = 5
    SIZE = 6
    ADDED = 7
    SESSION = 8
    DONE = 9
    REMAINING = 10
    ATTEMPTS = 11
    HTTP = 12
    RESUMABLE = 13
    HOST = 14
    ACTIVITY = 15
    FINISHED = 16
    NUMBER = 17
    PATH = 18


LAYOUT = b"columns 2\n"  # before a saved layout; another set of columns needs another mark

TITLES = {
    Column.NAME: marked("Name"),
    Column.KIND: marked("Kind"),
    Column.PROGRESS: marked("Progress"),
    Column.STATUS: marked("Status"),
    Column.SPEED: marked("Speed"),
    Column.LEFT: marked("Time left"),
    Column.SIZE: marked("Size"),
    Column.ADDED: marked("Added"),
    Column.SESSION: marked("Session"),
    Column.DONE: marked("Done"),
    Column.REMAINING: marked("Remaining"),
    Column.ATTEMPTS: marked("Attempts"),
    Column.HTTP: marked("HTTP status"),
    Column.RESUMABLE: marked("Resumable"),
    Column.HOST: marked("Host"),
    Column.ACTIVITY: marked("Last activity"),
    Column.FINISHED: marked("Finished"),
    Column.NUMBER: marked("Task id"),
    Column.PATH: marked("Save path"),
}
SHOWN = frozenset(range(Column.SESSION))  # the others can be shown from the header's menu
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
NUMBERS = frozenset(
    {Column.SPEED, Column.LEFT, Column.SIZE, Column.ADDED, Column.DONE, Column.REMAINING, Column.ATTEMPTS, Column.HTTP}
    | {Column.ACTIVITY, Column.FINISHED, Column.NUMBER}
)
LIVE = frozenset(
    {Column.PROGRESS, Column.STATUS, Column.SPEED, Column.LEFT, Column.SIZE, Column.DONE, Column.REMAINING}
    | {Column.ACTIVITY}
)
LAST_LIVE = max(LIVE)
MUTED = frozenset(
    {Column.ADDED, Column.ACTIVITY, Column.FINISHED, Column.SESSION, Column.HOST, Column.NUMBER, Column.PATH}
)
PAD = 8  # pixels left and right of what a cell shows
ICON = 24  # and of an icon before the words
LETTERED = 2048  # texts that are kept laid out
NAME_LEAST = 130
NAME_WANTED = 220  # with less, the columns that matter least give way, in this order
GIVE_WAY = (Column.ADDED, Column.KIND, Column.LEFT)
NAME_AMPLE, BAR_MOST = 200, 200  # beyond an ample name the bar grows too
KINDS = {
    Kind.DOWNLOAD: ("download", marked("Download")),
    Kind.UPLOAD: ("upload", marked("Upload")),
    Kind.DATA: ("braces", marked("Request")),
}
BARS = {"running": "bar", "done": "bar_good", "failed": "bar_bad", "waiting": "bar_warn", "paused": "bar_warn"}
_ORDER = {look: place for place, look in enumerate(LOOKS)}


class Row:
    """A record with its live counters. `at` is where it was last shown: never less than where it is, or HIDDEN."""

    __slots__ = (
        "_group",
        "_hay",
        "_name",
        "active",
        "at",
        "expected",
        "look",
        "received",
        "speed",
        "step",
        "task",
        "told",
    )

    def __init__(self, task: Task) -> None:
        self.at = HIDDEN
        self.step = 0  # of the moving bar of an unknown total
        self.speed = 0.0
        self.told = float("-inf")  # monotonic seconds of the last time that views heard of a change
        self.active = 0.0  # epoch seconds of the last byte that was seen to move; 0.0 for none
        self.take(task)

    def take(self, task: Task) -> None:
        self.task = task
        self.received = task.moved
        self.expected = task.total
        self.look = look_of(task)
        self._name = self._hay = self._group = ""
        if self.look != "running":
            self.speed = 0.0

    def counters(self, progress: Progress, now: float) -> None:
        if progress.received != self.received:
            self.active = time.time()
        self.received = progress.received
        self.expected = progress.expected
        self.speed = progress.rate.per_second(now)
        self.step += 1

    @property
    def name(self) -> str:
        if not self._name:
            self._name = name_of(self.task)
        return self._name

    @property
    def hay(self) -> str:
        """Where the words of a filter are looked for."""
        if not self._hay:
            self._hay = f"{self.task.name} {self.task.url}".lower()
        return self._hay

    @property
    def group(self) -> str:
        if not self._group:
            self._group = group_of(self.task)
        return self._group

    @property
    def fraction(self) -> float | None:
        """0.0 to 1.0; None while the total is not known."""
        if self.look == "done":
            return 1.0
        if self.expected < 0:
            return None if self.received > 0 or self.look == "running" else 0.0
        return min(1.0, self.received / self.expected) if self.expected else 1.0

    @property
    def seconds_left(self) -> float:
        if self.expected < 0 or self.speed < 1 or self.look != "running":
            return float("inf")
        return max(0, self.expected - self.received) / self.speed

    @property
    def size(self) -> int:
        """The whole size; the bytes so far when it is not known, -1 before the first."""
        return self.expected if self.expected >= 0 else (self.received or -1)

    @property
    def remaining(self) -> int:
        """-1 when the whole size is not known."""
        if self.look == "done":
            return 0
        return max(0, self.expected - self.received) if self.expected >= 0 else -1

    @property
    def last_active(self) -> float:
        """Epoch seconds of the last thing that is known to have happened."""
        return max(self.active, self.task.finished or 0.0, self.task.started or 0.0, self.task.added)

    @property
    def counts_down(self) -> bool:
        return self.look == "waiting" and self.task.waiting_until is not None


def name_of(task: Task) -> str:
    """The file's name, as far as it is known, on one safe line."""
    return humanize.clean(task.name or from_url(task.url) or task.url, 200)


def host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def moment(when: float | None, now: float) -> str:
    """ "14:03" today, "21 Nov" this year, "21 Nov 2025" before; "" for none."""
    if not when:
        return ""
    then, today = time.localtime(when), time.localtime(now)
    if then[:3] == today[:3]:
        return time.strftime("%H:%M", then)
    day = f"{then.tm_mday} {time.strftime('%b', then)}"
    return day if then.tm_year == today.tm_year else f"{day} {then.tm_year}"


_VALUES: dict[Column, Callable[[Row], Any]] = {
    Column.NAME: lambda row: row.name.casefold(),
    Column.KIND: lambda row: row.task.kind.value,
    Column.PROGRESS: lambda row: -1.0 if row.fraction is None else row.fraction,
    Column.STATUS: lambda row: _ORDER[row.look],
    Column.SPEED: lambda row: row.speed,
    Column.LEFT: lambda row: row.seconds_left,
    Column.SIZE: lambda row: row.size,
    Column.ADDED: lambda row: row.task.added,
    Column.SESSION: lambda row: row.task.session.casefold(),
    Column.DONE: lambda row: row.received,
    Column.REMAINING: lambda row: row.remaining,
    Column.ATTEMPTS: lambda row: row.task.attempt,
    Column.HTTP: lambda row: _http(row.task),
    Column.RESUMABLE: lambda row: resumable(row.task),
    Column.HOST: lambda row: host_of(row.task.url),
    Column.ACTIVITY: lambda row: row.last_active,
    Column.FINISHED: lambda row: row.task.finished or 0.0,
    Column.NUMBER: lambda row: row.task.number,
    Column.PATH: lambda row: row.task.file or row.task.final_path or row.task.folder,
}


def _http(task: Task) -> int:
    if task.response is not None:
        return task.response.status
    return (task.error.status or 0) if task.error is not None else 0


def resumable(task: Task) -> str:
    """ "Yes", "No" (in English), or "" before a server has answered and for what is over."""
    if not task.outstanding and not task.can(Action.RETRY):
        return ""
    if task.not_resumable:
        return marked("No")
    return marked("Yes") if task.validators is not None or task.upload is not None else ""


def _progress_words(row: Row) -> str:
    if row.fraction is None:
        return humanize.size(row.received) if row.received else "–"
    if row.look == "done":
        return "100 %"
    return humanize.percent(row.received, row.expected) or "0 %"


_TEXTS: dict[Column, Callable[[Row, float], str]] = {
    Column.NAME: lambda row, now: row.name,
    Column.KIND: lambda row, now: tr(KINDS[row.task.kind][1]),
    Column.PROGRESS: lambda row, now: _progress_words(row),
    Column.STATUS: lambda row, now: humanize.status(row.task, now),
    Column.SPEED: lambda row, now: humanize.rate(row.speed) if row.look == "running" else "",
    Column.LEFT: lambda row, now: (
        humanize.time_left(row.received, row.expected, row.speed) if row.look == "running" else ""
    ),
    Column.SIZE: lambda row, now: humanize.size(row.size),
    Column.ADDED: lambda row, now: moment(row.task.added, now),
    Column.SESSION: lambda row, now: humanize.clean(row.task.session, 100),
    Column.DONE: lambda row, now: humanize.size(row.received),
    Column.REMAINING: lambda row, now: "" if row.look == "done" else humanize.size(row.remaining),
    Column.ATTEMPTS: lambda row, now: str(row.task.attempt) if row.task.attempt else "",
    Column.HTTP: lambda row, now: str(_http(row.task) or ""),
    Column.RESUMABLE: lambda row, now: tr(resumable(row.task)),
    Column.HOST: lambda row, now: humanize.clean(host_of(row.task.url), 100),
    Column.ACTIVITY: lambda row, now: moment(row.last_active, now),
    Column.FINISHED: lambda row, now: moment(row.task.finished, now),
    Column.NUMBER: lambda row, now: str(row.task.number),
    Column.PATH: lambda row, now: humanize.clean(row.task.file or row.task.final_path or row.task.folder),
}


def runs(places: Iterable[int]) -> list[tuple[int, int]]:
    """First and last of each unbroken run; one over all when there are very many."""
    out: list[tuple[int, int]] = []
    for place in sorted(places):
        if out and place <= out[-1][1] + 1:
            out[-1] = out[-1][0], place
        else:
            out.append((place, place))
    return out if len(out) <= MOST_RUNS else [(out[0][0], out[-1][1])]


# Filtering

_TERMS: dict[str, Callable[[Row, str], bool]] = {
    "state": lambda row, word: word in (row.look, row.group, row.task.state.value, row.task.activity.value),
    "session": lambda row, word: word in row.task.session.lower(),
    "host": lambda row, word: word in host_of(row.task.url).lower(),
    "kind": lambda row, word: word in (row.task.kind.value, KINDS[row.task.kind][1].lower()),
}


class Search:
    """What was typed, taken apart once and not for each of ten thousand rows."""

    def __init__(self, text: str) -> None:
        self._words: list[str] = []
        self._terms: list[tuple[Callable[[Row, str], bool], str]] = []
        for word in text.lower().split():
            term, colon, value = word.partition(":")
            if not (colon and term in _TERMS):
                self._words.append(word)
            elif value:
                self._terms.append((_TERMS[term], value))

    def finds(self, row: Row) -> bool:
        if self._words:
            hay = row.hay
            for word in self._words:
                if word not in hay:
                    return False
        return all(term(row, value) for term, value in self._terms)


def matches(task: Task, text: str) -> bool:
    """Whether every word is in the name or the address, and every `state:`, `session:`, `host:`, `kind:` is so."""
    return Search(text).finds(Row(task))


class TaskModel(QAbstractTableModel):
    """The tasks of a scope that match the words, in the order of the chosen column.

    `ticking` is emitted with whether a task counts seconds down, so that nobody needs a clock when none does.
    """

    ticking = Signal(bool)

    def __init__(self, parent: QObject | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(parent)
        self._clock = clock
        self._late: dict[int, Row] = {}  # changed too soon after they were told of
        self._all: list[Row] = []
        self._rows: list[Row] = []  # those of them that are shown, in the same order
        self._words, self._search, self._scope = "", Search(""), Scope()
        self._by_key: dict[TaskKey, Row] = {}
        self._shifted = False  # rows were removed since they were numbered
        self._counting: set[TaskKey] = set()
        self._sorted_by, self._order = Column.ADDED, Qt.SortOrder.DescendingOrder
        self._now = time.time()
        self._new: list[Row] = []
        self._inserted = 0
        self._gather = self._timer(GATHER_MS, self.flush)
        self._resort = self._timer(RESORT_MS, self._sort_again)
        self._catch_up = self._timer(CATCH_UP_MS, self._tell_late)
        self._settle = self._timer(SETTLE_MS, self._choose)

    def __repr__(self) -> str:
        return (
            f"<TaskModel {self._scope.kind} {self._words!r} rows={len(self._rows)} of {len(self._all)} "
            f"new={len(self._new)} sorted_by={self._sorted_by.name}>"
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
        self._late.clear()
        self._all = [Row(task) for task in tasks]
        self._by_key = {row.task.key: row for row in self._all}
        self._all = self._sorted(self._all)
        self._rows = self._chosen(self._all)
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
        before = row.look, group_of(row.task), row.task.name
        row.take(task)
        self._count(row)
        self._tell([row], 0, len(Column) - 1)
        if before != (row.look, group_of(task), task.name) and not self._shows_all and not self._settle.isActive():
            self._settle.start()
        if self._sorted_by is not Column.ADDED:
            self._resort_soon()

    def _add(self, key: TaskKey, task: Task) -> None:
        row = self._by_key[key] = Row(task)
        self._inserted += 1
        if self._inserted > AT_ONCE:
            self._new.append(row)
        else:
            self._all.insert(self._place(row, self._all), row)
            if self._passes(row):
                self._insert([row], self._place(row, self._rows))
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
            if shown := self._chosen(new):
                self._insert(shown, len(self._rows))
            self._sort_again()
        for row in new:
            self._count(row)

    def _insert(self, new: Sequence[Row], at: int) -> None:
        self.beginInsertRows(QModelIndex(), at, at + len(new) - 1)
        self._rows[at:at] = new
        self._number(at)
        self.endInsertRows()

    def _place(self, row: Row, rows: Sequence[Row]) -> int:
        value = _VALUES[self._sorted_by]
        if self._order is Qt.SortOrder.AscendingOrder:
            return bisect_left(rows, value(row), key=value)
        low, high, mine = 0, len(rows), value(row)
        while low < high:
            middle = (low + high) // 2
            if value(rows[middle]) > mine:
                low = middle + 1
            else:
                high = middle
        return low

    def apply_progress(self, moved: Mapping[TaskKey, Progress], now: float) -> None:
        """Take live counters; `now` in monotonic seconds."""
        rows = []
        for key, progress in moved.items():
            row = self._by_key.get(key)
            if row is not None:
                row.counters(progress, now)
                rows.append(row)
        self._tell(rows, Column.PROGRESS, LAST_LIVE)
        if rows and self._sorted_by in LIVE:
            self._resort_soon()

    def tick(self, now: float) -> None:
        """Count down in the rows that do; `now` in epoch seconds."""
        self._now = now
        self._tell([self._by_key[key] for key in self._counting], Column.STATUS, Column.STATUS)

    def _tell(self, rows: Iterable[Row], first: int, last: int) -> None:
        # Of rows side by side at once, and of none between those that are not: what is out of sight is not painted.
        # A row that was told of a moment ago has its turn a little later, with all its cells.
        now = self._clock()
        places = []
        for row in rows:
            if now - row.told < PACE:
                self._late[id(row)] = row
            elif (at := self._position(row)) >= 0:
                row.told = now
                places.append(at)
        for top, bottom in runs(places):
            self.dataChanged.emit(self.index(top, first), self.index(bottom, last))
        if self._late and not self._catch_up.isActive():
            self._catch_up.start()

    def _tell_late(self) -> None:
        late = list(self._late.values())
        self._late.clear()
        self._tell(late, 0, len(Column) - 1)

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
        self._words = text.strip()
        self._search = Search(self._words)
        self._choose()

    def set_scope(self, scope: Scope) -> None:
        """Show only what it holds."""
        self._scope = scope
        self._choose()

    @property
    def _shows_all(self) -> bool:
        return self._scope.kind == "all" and not self._words

    def _passes(self, row: Row) -> bool:
        return (self._scope.kind == "all" or self._scope.holds(row.task)) and self._search.finds(row)

    def _chosen(self, rows: Sequence[Row]) -> list[Row]:
        return list(rows) if self._shows_all else [row for row in rows if self._passes(row)]

    def _choose(self) -> None:
        # Few rows come and go one by one, so that the current row stays one; many are one change of the layout.
        self._settle.stop()
        wanted = self._chosen(self._all)
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
        # Rows only move up by removals, and everything else numbers anew: so it is at `at` or before.
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
        return [row.task for row in self._rows]

    def _sort_again(self) -> None:
        self.sort(self._sorted_by, self._order)

    def _resort_soon(self) -> None:
        if not self._resort.isActive():
            self._resort.start()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        if not 0 <= column < len(Column):
            return
        self._sorted_by, self._order = Column(column), order
        self._all = self._sorted(self._all)
        wanted = list(self._all) if len(self._rows) == len(self._all) else self._sorted(self._rows)
        if not all(map(operator.is_, wanted, self._rows)):
            self._lay_out(wanted)

    def _sorted(self, rows: Iterable[Row]) -> list[Row]:
        # Those that are alike keep their order, so the shown ones are always in the order of all.
        descending = self._order is Qt.SortOrder.DescendingOrder
        return sorted(rows, key=_VALUES[self._sorted_by], reverse=descending)

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
        if role == VALUE_ROLE:
            return _VALUES[column](row)
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
        return _TEXTS[column](row, self._now)

    def _tip(self, row: Row, column: Column) -> str:
        if column is Column.STATUS and row.task.error is not None:
            return humanize.error(row.task.error)
        if column is Column.RESUMABLE:
            return row.task.not_resumable
        if column is Column.ADDED:
            return time.strftime("%c", time.localtime(row.task.added))
        return self.words(row, column) if column in (Column.NAME, Column.STATUS, Column.KIND, Column.PATH) else ""

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(Column):
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return "" if section == Column.KIND else tr(TITLES[Column(section)])  # as wide as its icons
        if section == Column.KIND and role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            return tr(TITLES[Column.KIND])
        return _alignment(Column(section)) if role == Qt.ItemDataRole.TextAlignmentRole else None


def _alignment(column: Column) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column in NUMBERS else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter


# The menu


@dataclass(frozen=True, kw_only=True)
class MenuItem:
    action: str
    text: str
    icon: str = ""
    enabled: bool = True
    shortcut: str = ""
    group: str = ""  # the menu inside the menu that it is in
    checked: bool | None = None  # None: it has no mark


def menu_for(tasks: Sequence[Task]) -> list[MenuItem | None]:
    """What the menu of these tasks offers; None is a line between groups."""
    if not tasks:
        return []

    def item(name: str, text: str, icon: str, shortcut: str = "", *, enabled: bool = True) -> MenuItem:
        return MenuItem(action=name, text=text, icon=icon, shortcut=shortcut, enabled=enabled)

    def can(action: Action) -> bool:
        return any(task.can(action) for task in tasks)

    def priority(name: str, text: str, icon: str) -> MenuItem:
        present = {min(PRIORITIES, key=lambda name: abs(PRIORITIES[name] - task.priority)) for task in tasks}
        checked, enabled = present == {name}, can(Action.CANCEL)
        return MenuItem(action=name, text=text, icon=icon, enabled=enabled, group=tr("Priority"), checked=checked)

    def queue(name: str, text: str, icon: str) -> MenuItem:
        waits = any(queued(task) for task in tasks)
        return MenuItem(action=name, text=text, icon=icon, enabled=waits, group=tr("Move in queue"))

    one = tasks[0] if len(tasks) == 1 else None
    return [
        item("open", tr("Open"), "external-link", "Return", enabled=one is not None and one.succeeded),
        item("show_in_folder", tr("Show in folder"), "folder-open", "Ctrl+Return", enabled=one is not None),
        None,
        item("resume", tr("Resume"), "play", enabled=can(Action.RESUME)),
        item("pause", tr("Pause"), "pause", enabled=can(Action.SUSPEND)),
        item("cancel", tr("Cancel"), "x", enabled=can(Action.CANCEL)),
        item("retry", tr("Retry"), "rotate-cw", enabled=can(Action.RETRY)),
        item("retry_url", tr("Retry with a new URL…"), "rotate-cw", enabled=one is not None and can(Action.RETRY)),
        None,
        item("copy_url", tr("Copy %n URLs", "Copy URL", len(tasks)), "copy", "Ctrl+C"),
        item("copy_curl", tr("Copy as curl"), "terminal"),
        item("copy_events", tr("Copy events"), "copy", enabled=one is not None),
        None,
        priority("priority_high", tr("High"), "circle-arrow-up"),
        priority("priority_normal", tr("Normal"), "clock"),
        priority("priority_low", tr("Low"), "circle-arrow-down"),
        queue("queue_first", tr("To the front"), "circle-arrow-up"),
        queue("queue_last", tr("To the back"), "circle-arrow-down"),
        item("verify", tr("Verify checksum…"), "circle-check", enabled=one is not None and one.succeeded),
        item("speed_limit", tr("Speed limit…"), "sliders-horizontal", enabled=can(Action.CANCEL)),
        None,
        item("remove", tr("Remove from list"), "list-x", "Del", enabled=can(Action.REMOVE)),
        item("remove_and_delete", tr("Remove and delete file…"), "trash-2", "Shift+Del", enabled=can(Action.REMOVE)),
        None,
        item("details", tr("Details"), "info", "Ctrl+I", enabled=one is not None),
    ]


# Painting


class TaskDelegate(QStyledItemDelegate):
    """How wide a cell wants to be; `TaskPainter` paints it."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        text = str(index.data(Qt.ItemDataRole.DisplayRole))
        extra = {Column.NAME: 22, Column.STATUS: 22, Column.PROGRESS: 90}.get(Column(index.column()), 0)
        return QSize(option.fontMetrics.horizontalAdvance(text) + extra + 2 * PAD + 2, theme.ROW)


class Lettering:
    """Texts that are cut to a width and laid out, for one font: that costs five times as much as to draw them."""

    def __init__(self) -> None:
        self._font = QFont()
        self._metrics = QFontMetrics(self._font)
        self.cut = lru_cache(maxsize=LETTERED)(self._cut)

    def use(self, font: QFont) -> None:
        if font != self._font:
            self._font, self._metrics = QFont(font), QFontMetrics(font)
            self.cut.cache_clear()

    def width(self, text: str) -> int:
        return self._metrics.horizontalAdvance(text)

    def _cut(self, text: str, mode: Qt.TextElideMode, width: int) -> tuple[QStaticText, int, int]:
        # Laid out, how wide that is, and how far below the top of its row it stands.
        text = self._metrics.elidedText(text, mode, width)
        out = QStaticText(text)
        out.setTextFormat(Qt.TextFormat.PlainText)  # else it would read markup in a name (FAULTS U1)
        out.setTextOption(QTextOption(Qt.AlignmentFlag.AlignLeft))
        out.prepare(font=self._font)
        return out, self.width(text), (theme.ROW - self._metrics.height()) // 2

    def draw(self, painter: QPainter, text: str, where: QRect, *, right: bool = False, middle: bool = False) -> None:
        """In one row; what does not fit is cut at the end or in the `middle`."""
        if not text:
            return
        mode = Qt.TextElideMode.ElideMiddle if middle else Qt.TextElideMode.ElideRight
        out, width, down = self.cut(text, mode, where.width())
        x = where.x() + (where.width() - width if right else 0)
        painter.drawStaticText(x, where.y() + down, out)


@dataclass(frozen=True, slots=True)
class Line:
    """A row that is being painted: its place in the list, its top in the viewport, and what it shows."""

    place: int
    top: int
    row: Row


class TaskPainter:
    """Paints the rows of a table whole, column by column: ground, selection, icon, bar, text. Qt's own way, a call of
    a delegate for each cell, takes four times as long.
    """

    def __init__(self, table: TaskTable) -> None:
        self._table = table
        self._letters = Lettering()

    def paint(self, painter: QPainter, rect: QRect) -> None:
        """Every pixel of a part of the viewport."""
        self._letters.use(painter.font())
        painter.setClipRect(rect)
        lines = self._lines(rect)
        self._grounds(painter, rect, lines)
        for column in self._columns(rect) if lines else ():
            left, width = self._table.columnViewportPosition(column), self._table.columnWidth(column)
            room = self._table.status_room(wide=True)[1] if column is Column.STATUS else width
            painter.setClipRect(QRect(left, rect.y(), room, rect.height()) & rect)
            cells = [(QRect(left + PAD, line.top, width - 2 * PAD, theme.ROW), line.row) for line in lines]
            self._cells(painter, column, cells)

    def _lines(self, rect: QRect) -> list[Line]:
        table, model = self._table, self._table.model()
        place = table.rowAt(rect.top()) if model is not None else -1
        if place < 0:
            return []
        top = table.rowViewportPosition(place)
        end = min(model.rowCount(), place + 1 + (rect.bottom() - top) // theme.ROW)
        return [Line(at, top + (at - place) * theme.ROW, model.index(at, 0).data(ROW_ROLE)) for at in range(place, end)]

    def _columns(self, rect: QRect) -> list[Column]:
        table = self._table
        out = []
        for column in Column:
            if table.isColumnHidden(column):
                continue
            left, width = table.columnViewportPosition(column), table.columnWidth(column)
            if column is Column.STATUS:
                width = table.status_room(wide=True)[1]
            if left <= rect.right() and left + width > rect.left():
                out.append(column)
        return out

    def _grounds(self, painter: QPainter, rect: QRect, lines: Sequence[Line]) -> None:
        table = self._table
        colors = theme.color("base"), theme.color("alternate")
        chosen = table.selectionModel()
        for line in lines:
            ground = QRect(rect.x(), line.top, rect.width(), theme.ROW)
            painter.fillRect(ground, colors[line.place % 2])
            if chosen.isSelected(table.model().index(line.place, 0)):
                painter.fillRect(ground, theme.color("selection"))
            elif line.place == table.hovered:
                painter.fillRect(ground, theme.color("hover"))
        if lines and table.hasFocus():
            current = table.currentIndex().row()
            for line in lines:
                if line.place == current:
                    mark = QRect(-table.horizontalOffset(), line.top + 4, 3, theme.ROW - 8)
                    painter.fillRect(mark, theme.color("accent"))
        below = lines[-1].top + theme.ROW if lines else rect.y()
        if below <= rect.bottom():
            painter.fillRect(QRect(rect.x(), below, rect.width(), rect.bottom() - below + 1), colors[0])

    def _cells(self, painter: QPainter, column: Column, cells: Sequence[tuple[QRect, Row]]) -> None:
        painter.setPen(theme.color("muted" if column in MUTED else "text"))
        if column is Column.NAME:
            self._names(painter, cells)
        elif column is Column.KIND:
            for cell, row in cells:
                theme.draw_icon(painter, KINDS[row.task.kind][0], "muted", _icon_in(cell))
        elif column is Column.PROGRESS:
            self._bars(painter, cells)
        elif column is Column.STATUS:
            for cell, row in cells:
                self._status(painter, cell, row)
        else:
            for cell, row in cells:
                text = self._table.tasks.words(row, column)
                self._letters.draw(painter, text, cell, right=column in NUMBERS, middle=column is Column.PATH)

    def _names(self, painter: QPainter, cells: Sequence[tuple[QRect, Row]]) -> None:
        for cell, row in cells:
            theme.draw_icon(painter, theme.file_icon(row.name), "muted", _icon_in(cell))
            self._letters.draw(painter, row.name, cell.adjusted(ICON, 0, 0, 0), middle=True)

    def _bars(self, painter: QPainter, cells: Sequence[tuple[QRect, Row]]) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for cell, row in cells:
            side = _side(row)
            track = QRectF(cell.x(), cell.center().y() - 2, max(0, cell.width() - side), 6)
            draw_bar(painter, track, row.fraction, BARS.get(row.look, "bar_idle"), row.step)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        for cell, row in cells:
            painter.setPen(theme.color("text" if row.look in ("running", "done") else "muted"))
            words = self._table.tasks.words(row, Column.PROGRESS)
            self._letters.draw(painter, words, cell.adjusted(cell.width() - _side(row), 0, 0, 0), right=True)

    def _status(self, painter: QPainter, cell: QRect, row: Row) -> None:
        words = self._table.tasks.words(row, Column.STATUS)
        icon, role = LOOKS[row.look]
        if row.look == "running" and row.task.kind is not Kind.DOWNLOAD:
            icon = "circle-arrow-up"
        theme.draw_icon(painter, icon, role, _icon_in(cell), 15)
        painter.setPen(theme.color("bad" if row.look == "failed" else "text"))
        # Speed and time left say nothing about a task that does not run: its reason may use their room.
        width = self._table.status_room(wide=row.look != "running")[1] - 2 * PAD
        cell = QRect(cell.x() + 23, cell.y(), width - 23, cell.height())
        if row.counts_down and self._letters.width(words) > cell.width():
            # The end of the sentence is when it goes on: that must be seen, whatever the reason's length.
            when = words.rpartition(" ")[2]
            self._letters.draw(painter, when, cell, right=True)
            cell.adjust(0, 0, -self._letters.width(when) - 10, 0)
        self._letters.draw(painter, words, cell)


def _icon_in(cell: QRect) -> QRect:
    return QRect(cell.x(), cell.y(), 16, cell.height())


def _side(row: Row) -> int:
    return 62 if row.fraction is None else 48  # bytes so far, or percent


def draw_bar(painter: QPainter, track: QRectF, fraction: float | None, role: str, step: int = 0) -> None:
    """A rounded bar; an unknown fraction is a piece that moves with each `step`."""
    radius = track.height() / 2
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme.color("track"))
    painter.drawRoundedRect(track, radius, radius)
    done = QRectF(track)
    if fraction is None:
        place = step % 12 / 11 if step // 12 % 2 == 0 else 1 - step % 12 / 11
        done.setWidth(track.width() * 0.28)
        done.moveLeft(track.x() + (track.width() - done.width()) * place)
    elif fraction <= 0:
        return
    else:
        done.setWidth(max(track.height(), track.width() * fraction))
    painter.setBrush(theme.color(role))
    painter.drawRoundedRect(done, radius, radius)


# The view


class TaskTable(QTableView):
    """The list. `selection_changed` carries the keys of the selected rows, `opened` the key of a double click,
    `menu_wanted` the selected keys and a global point.
    """

    selection_changed = Signal(object)
    opened = Signal(object)
    menu_wanted = Signal(object, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("task_table")
        self.setAccessibleName(tr("Transfers"))
        self.hovered = -1
        self._grip: QPoint | None = None  # where the button went down on what can be dragged
        self._carried = False  # a drag began, and the button is still down
        self._told: list[TaskKey] = []
        self._bar = WIDTHS[Column.PROGRESS]
        self._away: dict[Column, int] = {}  # columns that give way now, and their widths
        self._held: set[Column] = set()  # these were asked for by hand, and do not
        self._painter = TaskPainter(self)
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)  # so that a scrolled row is copied
        self.setItemDelegate(TaskDelegate(self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setTabKeyNavigation(False)
        self.setMouseTracking(True)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._menu)
        self.doubleClicked.connect(self._open)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setMinimumSectionSize(theme.ROW)
        self.verticalHeader().setDefaultSectionSize(theme.ROW)
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
        header.setHighlightSections(False)
        header.setSectionsMovable(True)
        header.setMinimumSectionSize(32)
        header.setFixedHeight(theme.ROW)
        header.setTextElideMode(Qt.TextElideMode.ElideRight)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._choose_columns)

    def setModel(self, model: Any) -> None:
        super().setModel(model)
        if model is None:
            return
        self.reset_columns()
        header = self.horizontalHeader()
        # Of its own and empty: with the table's it asks each of ten thousand selected rows, column by column, at a paint.
        header.setSelectionModel(QItemSelectionModel(model, header))
        header.setSortIndicator(Column.ADDED, Qt.SortOrder.DescendingOrder)
        self.setSortingEnabled(True)
        self.tasks.ticking.connect(self._run_clock)
        for signal in (model.rowsRemoved, model.modelReset, model.layoutChanged):
            signal.connect(self._tell)
        self._run_clock()

    @property
    def tasks(self) -> TaskModel:
        return cast(TaskModel, self.model())

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
        widths = {column: header.sectionSize(column) for column in Column if not self.isColumnHidden(column)}
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
        if state.startsWith(LAYOUT) and self.horizontalHeader().restoreState(state.mid(len(LAYOUT))):
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
        """Which columns, how wide and in which order, as in a window that is new. The sorting stays."""
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

    def visualColumn(self, column: int) -> int:
        return self.horizontalHeader().visualIndex(column)

    def status_runs_over(self) -> bool:
        """Whether speed and time left stand right of the status, so that its words can go on there."""
        place = self.visualColumn(Column.STATUS)
        return [self.visualColumn(Column.SPEED), self.visualColumn(Column.LEFT)] == [place + 1, place + 2]

    def status_room(self, *, wide: bool) -> tuple[int, int]:
        """Left edge and width of what the status may use, in the viewport."""
        columns = [Column.STATUS]
        if wide and self.status_runs_over():
            columns += [Column.SPEED, Column.LEFT]
        return self.columnViewportPosition(Column.STATUS), sum(self.columnWidth(column) for column in columns)

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        for rect in cast(Iterable[QRect], event.region()):  # its type hints leave that out
            self._painter.paint(painter, rect)
        painter.end()

    def dataChanged(self, first: Index, last: Index, roles: Sequence[int] = ()) -> None:
        if QAccessible.isActive():  # a screen reader hears of it from Qt, which paints the whole list for any range
            super().dataChanged(first, last, roles)
        else:
            self.viewport().update(self._place_of(first, last))

    def _place_of(self, first: Index, last: Index) -> QRect:
        # Of these cells, in the viewport; empty when they are out of sight.
        top = self.rowViewportPosition(first.row())
        bottom = self.rowViewportPosition(last.row()) + theme.ROW
        if bottom <= 0 or top >= self.viewport().height():
            return QRect()
        shown = [at for at in range(first.column(), last.column() + 1) if not self.isColumnHidden(at)]
        lefts = [self.columnViewportPosition(at) for at in shown]
        right = max((left + self.columnWidth(at) for left, at in zip(lefts, shown, strict=True)), default=0)
        left = min(lefts, default=0)
        return QRect(left, top, right - left, bottom - top)

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
        plain = event.button() is Qt.MouseButton.LeftButton and event.modifiers() == Qt.KeyboardModifier.NoModifier
        self._grip, self._carried = point if plain and self.grips(point) else None, False
        super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        point = event.position().toPoint()
        pulled = event.buttons() & Qt.MouseButton.LeftButton
        if not pulled or (self._grip is None and not self._carried):
            super().mouseMoveEvent(event)
            self._hover(self.rowAt(point.y()))
        elif self._grip is not None and (point - self._grip).manhattanLength() >= QApplication.startDragDistance():
            self._grip, self._carried = None, True
            self.startDrag(Qt.DropAction.CopyAction)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._grip = None
        super().mouseReleaseEvent(event)

    def grips(self, point: QPoint) -> bool:
        """Whether a pull from here drags the rows, as that of a selected row and of a name does; elsewhere it selects."""
        index = self.indexAt(point)
        if not index.isValid() or self.selectionModel().isSelected(index):
            return index.isValid()
        words = name_of(self.tasks.task_at(index.row()))
        right = (
            self.columnViewportPosition(Column.NAME) + PAD + ICON + QFontMetrics(self.font()).horizontalAdvance(words)
        )
        return index.column() == Column.NAME and point.x() < right

    def startDrag(self, _supported: Qt.DropAction) -> None:
        """Of the selected rows. No flags of the model say that they can be dragged: those are asked for at each paint."""
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
