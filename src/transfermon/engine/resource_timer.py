"""How much time a task has for everything, suspensions not counted (T-05, T-16)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from transfermon.model.task import Task

_LONGEST = 2e6  # seconds; what is longer is as good as for ever


class ResourceTimer:
    """Of one task. The wall clock is asked once in the life of an engine: it may be set meanwhile,
    by years.
    """

    __slots__ = ("_handle", "_span")

    def __init__(self) -> None:
        self._handle: asyncio.TimerHandle | None = None
        # loop's time of the start, seconds suspended until then
        self._span: tuple[float, float] | None = None

    def arm(self, task: Task, limit: float, *, now: float, then: Callable[[], None]) -> None:
        """Call `then` when `limit` seconds are over; `now` is the wall clock's time."""
        self.disarm()
        left = limit - self._elapsed(task, now)
        self._handle = asyncio.get_running_loop().call_later(max(0.0, min(left, _LONGEST)), then)

    def disarm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def forget(self) -> None:
        """The task has ended: one that is tried again has all the time anew."""
        self.disarm()
        self._span = None

    def _elapsed(self, task: Task, wall: float) -> float:
        now = asyncio.get_running_loop().time()
        if task.started is None:
            self._span = (now, 0.0)
            return 0.0
        if self._span is None:
            gone = max(0.0, wall - task.started - task.suspended_seconds)
            self._span = (now - gone, task.suspended_seconds)
        began, suspended = self._span
        return now - began - (task.suspended_seconds - suspended)
