"""How many tasks there are of each fate, and how far the ones are that have not ended: kept, not
counted anew.

Rule: a tally that has followed every change equals one made from the tasks as they are. Ten
thousand tasks are then as quickly counted as ten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import Enum

from transfermon.model.errors import Code
from transfermon.model.task import WAITING, Activity, Progress, State, Task, TaskKey


class Fate(Enum):
    """Where a task stands, for people: each task has exactly one."""

    __hash__ = object.__hash__  # there is one of each: by identity, in C

    RUNNING = "running"
    QUEUED = "queued"
    WAITING = "waiting"
    PAUSED = "paused"
    ENDING = "ending"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"


_RUNNING = dict.fromkeys(Activity, Fate.RUNNING) | dict.fromkeys(WAITING, Fate.WAITING)
_RUNNING[Activity.QUEUED] = Fate.QUEUED


def fate_of(task: Task) -> Fate:
    if task.state is State.RUNNING:
        return _RUNNING[task.activity]
    if task.state is State.SUSPENDED:
        return Fate.PAUSED
    if task.state is State.CANCELING:
        return Fate.ENDING
    if task.error is None:
        return Fate.FINISHED
    return Fate.CANCELLED if task.error.code == Code.CANCELLED else Fate.FAILED


class Tally:
    """Made from tasks; `change` follows them from then on."""

    def __init__(self, tasks: Iterable[Task] = ()) -> None:
        self.fates: Counter[Fate] = Counter()
        self.running: dict[TaskKey, Task] = {}  # those that hold a slot, so few
        self._done = self._total = 0  # bytes of those that have not ended and whose size is known
        for task in tasks:
            self.change(None, task)

    def __repr__(self) -> str:
        return f"<Tally {dict(self.fates)}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tally) and self._all() == other._all()

    __hash__ = None  # type: ignore[assignment]

    def _all(self) -> tuple[object, ...]:
        return +self.fates, self.running, self._done, self._total

    def change(self, before: Task | None, after: Task | None) -> None:
        """A task took the place of its earlier record; None: it came, or it went."""
        if before is after:
            return
        was, now = _standing(before), _standing(after)
        if was != now:  # most changes of a running task are of something else
            self._count(was, -1)
            self._count(now, 1)
        if after is not None and now[0] is Fate.RUNNING:
            self.running[after.key] = after  # one that goes on running keeps its place
        elif before is not None and was[0] is Fate.RUNNING:
            self.running.pop(before.key, None)

    def _count(self, standing: _Standing, sign: int) -> None:
        fate, done, total = standing
        if fate is not None:
            self.fates[fate] += sign
        self._done += sign * done
        self._total += sign * total

    @property
    def all(self) -> int:
        return sum(self.fates.values())

    @property
    def outstanding(self) -> int:
        return (
            self.all
            - self.fates[Fate.FINISHED]
            - self.fates[Fate.CANCELLED]
            - self.fates[Fate.FAILED]
        )

    def progress(self, live: Mapping[TaskKey, Progress]) -> float | None:
        """How far those are that have not ended, 0.0 to 1.0, with these live counters; None when no
        total is known.
        """
        done, total = self._done, self._total
        for key, task in self.running.items():
            if (counters := live.get(key)) is not None:
                stored, now = _bytes(task, None), _bytes(task, counters)
                done += now[0] - stored[0]
                total += now[1] - stored[1]
        return done / total if total else None


_Standing = tuple[Fate | None, int, int]  # with the bytes so far, and of the whole


def _standing(task: Task | None) -> _Standing:
    if task is None:
        return None, 0, 0
    fate = fate_of(task)
    if task.state is State.COMPLETED:
        return fate, 0, 0
    done, total = task.moved, task.total
    return (fate, min(done, total), total) if total > 0 else (fate, 0, 0)


def _bytes(task: Task, live: Progress | None) -> tuple[int, int]:
    """So far and of the whole; nothing of an ended one or while the whole is not known."""
    done, total = (live.received, live.expected) if live is not None else (task.moved, task.total)
    return (min(done, total), total) if task.outstanding and total > 0 else (0, 0)
