"""The time, and timers: the scheduler and the notifications get theirs from here, so that a test
can move it.

Rule: only what waits for minutes and hours asks this clock; transfers measure with the system's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

# seconds; a computer that sleeps does not count them, and its clock may be set
_LONGEST_WAIT = 300.0


class Timer(Protocol):
    def cancel(self) -> None: ...


class Clock:
    """The system's."""

    def now(self) -> float:
        """Epoch seconds; jumps when the system's clock is set."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds of the running loop; they never go back."""
        return asyncio.get_running_loop().time()

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call on the running loop, after so many seconds in which the computer was awake."""
        return asyncio.get_running_loop().call_later(max(0.0, seconds), call)

    def at(self, when: float, call: Callable[[], None]) -> Timer:
        """Call on the running loop when the clock says `when` (epoch seconds), within five minutes
        of it after a sleep or a set clock, never before it.
        """
        return _Alarm(self, when, call)


class _Alarm:
    def __init__(self, clock: Clock, when: float, call: Callable[[], None]) -> None:
        self._clock = clock
        self._when = when
        self._call = call
        self._timer = self._wait()

    def _wait(self) -> Timer:
        return self._clock.later(min(self._when - self._clock.now(), _LONGEST_WAIT), self._look)

    def _look(self) -> None:
        if self._clock.now() >= self._when:
            self._call()
        else:
            self._timer = self._wait()

    def cancel(self) -> None:
        self._timer.cancel()
