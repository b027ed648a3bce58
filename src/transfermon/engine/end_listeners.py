"""Who waits until a task's end has been told to everybody."""

from __future__ import annotations

import asyncio


class EndListeners:
    """Of one task."""

    __slots__ = ("_waiters", "pending")

    def __init__(self) -> None:
        self.pending = False  # the task has ended, and its listeners have not all returned
        self._waiters: tuple[asyncio.Future[None], ...] = ()

    async def returned(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters += (waiter,)
        await waiter

    def have_returned(self) -> None:
        self.pending = False
        waiters, self._waiters = self._waiters, ()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
