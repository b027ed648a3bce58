"""How long a disk has kept a transfer waiting: a share or a stick that hangs answers no call, and
fails none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from transfermon.wire.cancellation import until_done

T = TypeVar("T")


class DiskCalls:
    """The calls of one attempt that are under way, each in a thread."""

    def __init__(self) -> None:
        self._began: dict[object, float] = {}

    async def run(self, call: Callable[[], T]) -> T:
        """The call's result, awaited to the end even when we are cancelled."""
        return await self.wait_for(until_done(asyncio.to_thread(call)))

    async def wait_for(self, answer: Awaitable[T]) -> T:
        """What somebody else asks the disk for counts as well."""
        token = object()
        self._began[token] = time.monotonic()
        try:
            return await answer
        finally:
            del self._began[token]

    @property
    def silence(self) -> float:
        """Seconds that the oldest of them has taken; 0.0 without any."""
        return time.monotonic() - min(self._began.values()) if self._began else 0.0
