"""Background coroutines by name: kept, reported, cancelled.

Rule: whoever spawns through here need not keep the reference, and a failure is logged with its
name. `close` returns only when all have ended: a coroutine that outlives the loop cannot be
finished.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Runners:
    """The running coroutines of one owner."""

    LIMIT = 10.0  # seconds that `close` waits for the cancelled ones

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __repr__(self) -> str:
        return f"<Runners {sorted(runner.get_name() for runner in self._running)}>"

    def __len__(self) -> int:
        return len(self._running)

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        runner = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(runner)
        runner.add_done_callback(self._ended)
        return runner

    def _ended(self, runner: asyncio.Task[Any]) -> None:
        self._running.discard(runner)
        if not runner.cancelled() and (error := runner.exception()) is not None:
            log.error("%s failed", runner.get_name(), exc_info=error)

    async def close(self) -> None:
        """Cancel all and wait for them."""
        for runner in list(self._running):
            runner.cancel()
        if self._running:
            _, late = await asyncio.wait(list(self._running), timeout=self.LIMIT)
            for runner in late:
                log.error("%s did not end within %s s", runner.get_name(), self.LIMIT)


class LongWork:
    """Lets the window have its turn whenever long work has taken 2 ms."""

    SLICE = 0.002  # seconds

    def __init__(self) -> None:
        self._since = time.perf_counter()

    async def give_way(self) -> None:
        if time.perf_counter() - self._since > self.SLICE:
            await asyncio.sleep(0)
            self._since = time.perf_counter()
