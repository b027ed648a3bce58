"""The body of an answer on its way through the loop to its file."""

from __future__ import annotations

import asyncio
import os

from transfermon.model.task import Progress
from transfermon.wire.call import TAKEOVER
from transfermon.wire.cancellation import until_done
from transfermon.wire.codings import BATCH
from transfermon.wire.pump_jobs import Hasher


class BodyWriter:
    """Writes a body that comes through the loop: small ones at once, large ones in batches in a
    thread.
    """

    SOON = 0.1  # seconds that received bytes may wait for a full batch

    def __init__(self, fd: int, offset: int, progress: Progress, hasher: Hasher | None) -> None:
        self._fd = fd
        self._offset = offset
        self._progress = progress
        self._hasher = hasher
        self._batch: list[bytes] = []
        self._batched = 0
        self._writing: asyncio.Future[tuple[int, OSError | None]] | None = None
        self._timer: asyncio.Handle | None = None
        self._error: OSError | None = None
        self.taken = 0
        self.written = 0

    async def add(self, data: bytes) -> None:
        """Raises OSError of this or an earlier write."""
        self._batch.append(data)
        self._batched += len(data)
        self.taken += len(data)
        if self._batched >= BATCH:
            await self._settle()
            self._start()

    def before_wait(self) -> None:
        """Nothing more is there for now: what came must not wait long for a full batch."""
        if self._batch and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.SOON, self._tick)

    async def finish(self) -> None:
        """Write what is left and wait for the thread, also when cancelled. Raises OSError."""
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is None:
            self._start()
        if self._writing is not None:
            await until_done(self._write_rest())
        if self._error is not None:
            raise self._error

    async def _write_rest(self) -> None:
        await self._settle()
        self._start()
        await self._settle()

    async def _settle(self) -> None:
        while self._writing is not None:
            await until_done(asyncio.wait({self._writing}))
            await asyncio.sleep(0)  # the callback that counts runs first
        if self._error is not None:
            raise self._error

    def _tick(self) -> None:
        self._timer = None
        if self._writing is None:
            self._start()
        else:
            self.before_wait()

    def _start(self) -> None:
        if not self._batch or self._error is not None:  # behind a gap nothing may be written
            return
        batch, self._batch, self._batched = self._batch, [], 0
        if self.taken <= TAKEOVER:
            self._count(*_write_batch(self._fd, batch, self._offset, self._hasher))
            return
        self._writing = asyncio.ensure_future(
            asyncio.to_thread(_write_batch, self._fd, batch, self._offset, self._hasher)
        )
        self._writing.add_done_callback(self._wrote)

    def _wrote(self, writing: asyncio.Future[tuple[int, OSError | None]]) -> None:
        self._writing = None
        self._count(*writing.result())

    def _count(self, written: int, error: OSError | None) -> None:
        self._offset += written
        self.written += written
        self._progress.add(written)
        self._error = error


def _write_batch(
    fd: int, batch: list[bytes], offset: int, hasher: Hasher | None
) -> tuple[int, OSError | None]:
    begin = offset
    for data in batch:
        view = memoryview(data)
        while view:
            try:
                count = os.pwrite(fd, view, offset)
            except OSError as exc:
                return offset - begin, exc
            if hasher is not None:
                hasher.update(view[:count])
            offset += count
            view = view[count:]
    return offset - begin, None
