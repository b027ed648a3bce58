"""Waiting for sockets: until they are ready, or until a deadline.

Rule: all deadlines of one transport share one timer of the loop.
"""

from __future__ import annotations

import asyncio
import ssl
import time

# a socket is not ready
WANT = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Deadlines:
    """Deadlines of all waiting sockets behind one timer of the loop.

    A timer per read costs a third of the speed, and under Qt a cancelled one lives on until it is
    due.
    """

    def __init__(self) -> None:
        self._waits: dict[asyncio.Future[None], tuple[float, type[Exception]]] = {}
        self._timer: asyncio.Handle | None = None
        self._due = float("inf")

    def __repr__(self) -> str:
        return f"<Deadlines of {len(self._waits)} waits>"

    async def wait_for_socket(
        self,
        fd: int,
        writable: bool,
        timeout: float | None,
        error: type[Exception],
        *,
        readable: bool = False,
    ) -> None:
        """Until it can be written to, or else read from; with `readable`, until either. Raises
        `error` after `timeout`.
        """
        readable = readable or not writable
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        if timeout is not None:
            self.add_wait(waiter, timeout, error)
        if writable:
            loop.add_writer(fd, _wake, waiter)
        if readable:
            loop.add_reader(fd, _wake, waiter)
        try:
            await waiter
        finally:
            self.drop_wait(waiter)
            if writable:
                loop.remove_writer(fd)
            if readable:
                loop.remove_reader(fd)

    def drop_wait(self, waiter: asyncio.Future[None]) -> None:
        self._waits.pop(waiter, None)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def add_wait(
        self, waiter: asyncio.Future[None], timeout: float, error: type[Exception]
    ) -> None:
        """Fail the waiter with `error` after so many seconds, unless it is dropped before."""
        now = time.monotonic()
        deadline = now + timeout
        self._waits[waiter] = (deadline, error)
        due = now + min(1.0, max(0.02, (deadline - now) / 4))
        if self._timer is None or due < self._due - 0.05:
            self._arm(waiter.get_loop(), due, now)

    def _arm(self, loop: asyncio.AbstractEventLoop, due: float, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = loop.call_later(max(0.0, due - now), self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        self._timer = None
        for waiter, (deadline, error) in list(self._waits.items()):
            if now >= deadline and not waiter.done():
                waiter.set_exception(error("no byte arrived in time"))
        nearest = min((deadline for deadline, _ in self._waits.values()), default=None)
        if nearest is not None:
            self._arm(loop, now + min(1.0, max(0.02, (nearest - now) / 4)), now)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
