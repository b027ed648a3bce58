"""A row of the list: its columns, what each shows and is sorted by, and what a filter finds.

Rule: no Qt here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import IntEnum
from typing import Any
from urllib.parse import urlsplit

from transfermon.gui.list.scope import LOOKS, group_of, look_of
from transfermon.http.filenames import from_url
from transfermon.model import units
from transfermon.model.ranges import Picture
from transfermon.model.task import Action, Kind, Progress, Task, parts_of
from transfermon.model.translate import marked, tr
from transfermon.text import humanize

HIDDEN = -1  # the place of a row that is not shown


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
NUMBERS = frozenset(
    {
        Column.SPEED,
        Column.LEFT,
        Column.SIZE,
        Column.ADDED,
        Column.DONE,
        Column.REMAINING,
        Column.ATTEMPTS,
        Column.HTTP,
    }
    | {Column.ACTIVITY, Column.FINISHED, Column.NUMBER}
)
LIVE = frozenset(
    {
        Column.PROGRESS,
        Column.STATUS,
        Column.SPEED,
        Column.LEFT,
        Column.SIZE,
        Column.DONE,
        Column.REMAINING,
    }
    | {Column.ACTIVITY}
)
LAST_LIVE = max(LIVE)
MUTED = frozenset(
    {
        Column.ADDED,
        Column.ACTIVITY,
        Column.FINISHED,
        Column.SESSION,
        Column.HOST,
        Column.NUMBER,
        Column.PATH,
    }
)
KINDS = {
    Kind.DOWNLOAD: ("download", marked("Download")),
    Kind.UPLOAD: ("upload", marked("Upload")),
    Kind.DATA: ("braces", marked("Request")),
}
WHOLE = ("done", "unsure")  # looks of what has moved all its bytes
_ORDER = {look: place for place, look in enumerate(LOOKS)}


class Row:
    """A record with its live counters. `at` is where it was last shown: never less than where it
    is, or HIDDEN.
    """

    __slots__ = (
        "_group",
        "_hay",
        "_name",
        "active",
        "at",
        "expected",
        "live",
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
        self.live: Progress | None = None  # the counters, while it runs
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
            self.live = None

    def counters(self, progress: Progress, now: float) -> None:
        if progress.received != self.received:
            self.active = time.time()
        self.received = progress.received
        self.expected = progress.expected
        self.speed = progress.rate.per_second(now)
        self.step += 1
        self.live = progress

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
        if self.look in WHOLE:
            return 1.0
        if self.expected < 0:
            return None if self.received > 0 or self.look == "running" else 0.0
        return min(1.0, self.received / self.expected) if self.expected else 1.0

    @property
    def parts(self) -> Picture:
        """Where its bytes are when several connections bring it; () for most."""
        return parts_of(self.task, self.live) if self.look not in WHOLE else ()

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
        if self.look in WHOLE:
            return 0
        return max(0, self.expected - self.received) if self.expected >= 0 else -1

    @property
    def last_active(self) -> float:
        """Epoch seconds of the last thing that is known to have happened."""
        return max(
            self.active, self.task.finished or 0.0, self.task.started or 0.0, self.task.added
        )

    @property
    def counts_down(self) -> bool:
        return self.look == "waiting" and self.task.waiting_until is not None


def name_of(task: Task) -> str:
    """The file's name, as far as it is known, on one safe line."""
    return units.clean(task.name or from_url(task.url) or task.url, 200)


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


VALUES: dict[Column, Callable[[Row], Any]] = {
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
        return units.size(row.received) if row.received else "–"
    if row.look in WHOLE:
        return "100 %"
    return units.percent(row.received, row.expected) or "0 %"


TEXTS: dict[Column, Callable[[Row, float], str]] = {
    Column.NAME: lambda row, now: row.name,
    Column.KIND: lambda row, now: tr(KINDS[row.task.kind][1]),
    Column.PROGRESS: lambda row, now: _progress_words(row),
    Column.STATUS: lambda row, now: humanize.status(row.task, now),
    Column.SPEED: lambda row, now: units.rate(row.speed) if row.look == "running" else "",
    Column.LEFT: lambda row, now: (
        units.time_left(row.received, row.expected, row.speed) if row.look == "running" else ""
    ),
    Column.SIZE: lambda row, now: units.size(row.size),
    Column.ADDED: lambda row, now: moment(row.task.added, now),
    Column.SESSION: lambda row, now: units.clean(row.task.session, 100),
    Column.DONE: lambda row, now: units.size(row.received),
    Column.REMAINING: lambda row, now: "" if row.look in WHOLE else units.size(row.remaining),
    Column.ATTEMPTS: lambda row, now: str(row.task.attempt) if row.task.attempt else "",
    Column.HTTP: lambda row, now: str(_http(row.task) or ""),
    Column.RESUMABLE: lambda row, now: tr(resumable(row.task)),
    Column.HOST: lambda row, now: units.clean(host_of(row.task.url), 100),
    Column.ACTIVITY: lambda row, now: moment(row.last_active, now),
    Column.FINISHED: lambda row, now: moment(row.task.finished, now),
    Column.NUMBER: lambda row, now: str(row.task.number),
    Column.PATH: lambda row, now: units.clean(
        row.task.file or row.task.final_path or row.task.folder
    ),
}


_TERMS: dict[str, Callable[[Row, str], bool]] = {
    "state": lambda row, word: (
        word in (row.look, row.group, row.task.state.value, row.task.activity.value)
    ),
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
    """Whether every word is in the name or the address, and every `state:`, `session:`, `host:`,
    `kind:` is so.
    """
    return Search(text).finds(Row(task))
