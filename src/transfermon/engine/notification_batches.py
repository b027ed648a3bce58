"""When ended transfers are told of: at once after a quiet time, together while more of them end.

Rule: nothing here looks at a clock; `now` is monotonic seconds and passed in. Nothing that is added
is ever lost: it is told by itself or in a sum.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from transfermon.model.task import Task

T = TypeVar("T")
FIRST, MOST = 10.0, 300.0  # seconds between two notices while transfers go on ending; it doubles
BURST = 3  # notices of single transfers in a row, where a person wants each of them


class Gathering(Generic[T]):
    """What waits to be told. `burst`: how many notices may come in a row before they are
    gathered.
    """

    def __init__(self, *, burst: int = 1) -> None:
        self._burst = burst
        self._left = burst
        self._gap = FIRST
        self._next = 0.0  # when the next sum may be told, once the burst is used up
        self._waiting: list[T] = []
        self._called = False  # whether somebody will come and take

    def __repr__(self) -> str:
        return f"<Gathering {len(self._waiting)} waiting>"

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, found: list[T], now: float) -> float | None:
        """Seconds after which `take` is to be called: 0 is at once, None when that was arranged
        before.
        """
        self._waiting += found
        if self._called:
            return None
        self._rest(now)
        wait = 0.0 if self._left > 0 else max(0.0, self._next - now)
        self._called = wait > 0
        return wait

    def take(self, now: float) -> list[T]:
        """All that waits, to be told as one; empty when nothing does."""
        self._called = False
        found, self._waiting = self._waiting, []
        if found:
            self._left = max(0, self._left - 1)
            if not self._left:
                self._gap = min(MOST, self._gap * 2) if self._next else FIRST
                self._next = now + self._gap
        return found

    def _rest(self, now: float) -> None:
        """A whole gap without any end: the next one is news again."""
        if self._next and now >= self._next:
            self._left, self._next, self._gap = self._burst, 0.0, FIRST


def session_of(tasks: list[Task]) -> str:
    """The session that all of them are of; "" when there are several."""
    sessions = {task.session for task in tasks}
    return sessions.pop() if len(sessions) == 1 else ""
