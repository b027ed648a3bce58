"""What a task waits for before it may ask for a slot: a time, or somebody who says that it may go
on.

Rule: nothing runs meanwhile; a timer does where the end is known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_LONGEST_TIMER = 1e6  # seconds; Qt counts no more than 24 days at a time


class TaskWait:
    """Of one task."""

    __slots__ = ("_timer", "curable", "held")

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self.held = False  # without a timer: for the network, or for the policy
        self.curable = False  # for the next attempt, which a network that returns may hasten

    @property
    def timed(self) -> bool:
        return self._timer is not None

    def for_seconds(self, delay: float, then: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        if delay > _LONGEST_TIMER:
            rest = delay - _LONGEST_TIMER
            self._timer = loop.call_later(_LONGEST_TIMER, self.for_seconds, rest, then)
        else:
            self._timer = loop.call_later(max(0.0, delay), then)

    def end(self) -> None:
        """It waits no longer, for whatever it was."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.held = self.curable = False
