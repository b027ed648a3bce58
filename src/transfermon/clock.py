"""The time, and timers: the scheduler and the notifications get theirs from here, so that a test can move it.

Rule: only what waits for minutes and hours asks this clock; transfers measure with the system's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


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
        """Call on the running loop. Time spent asleep may not count: whoever waits long looks at `now` again."""
        return asyncio.get_running_loop().call_later(max(0.0, seconds), call)
