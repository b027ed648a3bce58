"""Giving way: the rest of the program runs although the streams always have something to do."""

from __future__ import annotations

import asyncio
import time

SLICE = 0.002  # seconds of work for all streams together in one turn of the loop


class Turns:
    """How much of this turn of the loop the streams of one transport have used."""

    def __init__(self) -> None:
        self._began = 0.0
        self._open = False

    async def give_way(self) -> None:
        """Let the rest of the program run when the streams used up their share of this turn of the
        loop.
        """
        now = time.monotonic()
        if self._open and now - self._began > SLICE:
            await asyncio.sleep(0)
            now = time.monotonic()
        if not self._open:
            self._open, self._began = True, now
            asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        self._open = False
