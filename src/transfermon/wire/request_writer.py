"""One request on its way out: the head as h11 gives it, then the body, counted and no faster than
it may be.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence

import httpcore

from transfermon.http.heads import is_final
from transfermon.model.record import record
from transfermon.model.task import Progress
from transfermon.wire.deadlines import WANT
from transfermon.wire.http11 import HEAD_READ_SIZE, AnswerReader
from transfermon.wire.rate_limit import Limiter, admitted
from transfermon.wire.stream import Stream


@record
class Outgoing:
    """The body of a request on its way out: who counts what the system has taken, and who slows it
    down.

    With `give`, what httpcore writes are blanks of the right length: the bytes go from a file to
    the socket on another thread. It gets the socket, the first byte and the count, and the seconds
    of silence allowed.
    """

    counter: Progress
    limiters: Sequence[Limiter] = ()
    give: Callable[[socket.socket, int, int, float], Awaitable[Given]] | None = None
    # told what came before the final answer, perhaps twice
    heard: Callable[[bytes], None] | None = None


@record
class Given:
    """How the giving of a body ended."""

    count: int
    # None: all; else answered, closed, reset, stalled, cancelled, source or bug
    reason: str | None = None
    error: BaseException | None = None
    early: bytes = b""  # what the server said meanwhile


class RequestWriter:
    """The request whose answer `reader` reads."""

    def __init__(self, stream: Stream, reader: AnswerReader, outgoing: Outgoing | None) -> None:
        self._stream = stream
        self._reader = reader
        self._outgoing = outgoing
        self.began = self.ended = 0.0  # when the writing began, and when its last piece was out
        self.head_bytes = self.body_bytes = 0

    def __repr__(self) -> str:
        return f"<RequestWriter {self.head_bytes} and {self.body_bytes} bytes to {self._stream}>"

    async def write_head(self, head: bytes, timeout: float | None) -> None:
        """All of it: h11 gives it in one piece."""
        self.began, self.head_bytes = time.monotonic(), len(head)
        await self._write(memoryview(head), timeout, body=False)
        self.ended = time.monotonic()

    async def write_body(self, piece: bytes, timeout: float | None) -> None:
        """Raises WriteError when the server answers before the body is whole: it wants no more of
        it (U-13).
        """
        view = memoryview(piece)
        if self._outgoing is not None and self._outgoing.give is not None:
            await self._give(self._outgoing.give, len(view), timeout)
        else:
            limiters = self._outgoing.limiters if self._outgoing is not None else ()
            while view:
                granted, delay = admitted(limiters, len(view)) if limiters else (len(view), 0.0)
                if not granted:
                    await asyncio.sleep(delay)
                    continue
                await self._write(view[:granted], timeout, body=True)
                view = view[granted:]
        self.ended = time.monotonic()

    async def _give(
        self,
        give: Callable[[socket.socket, int, int, float], Awaitable[Given]],
        count: int,
        timeout: float | None,
    ) -> None:
        given = await give(
            self._stream.socket, self.body_bytes, count, 1e6 if timeout is None else timeout
        )
        self.body_bytes += given.count
        self._reader.left += given.early
        if given.reason == "stalled":
            raise httpcore.WriteTimeout("no byte was taken in time")
        if given.reason in ("source", "bug"):
            assert given.error is not None
            raise given.error
        if given.reason is not None:
            raise httpcore.WriteError(str(given.error or given.reason)) from given.error

    async def _write(self, view: memoryview, timeout: float | None, *, body: bool) -> None:
        while view:
            if body:
                self._look_for_answer()
            try:
                count = self._stream.socket.send(view)
            except ssl.SSLWantReadError:
                await self._stream.wait_until_readable(timeout, httpcore.WriteTimeout)
            except WANT:  # until there is room, or news from the server
                await self._stream.wait_until_writable(
                    timeout, httpcore.WriteTimeout, or_readable=True
                )
            except OSError as exc:
                raise httpcore.WriteError(str(exc)) from exc
            else:
                view = view[count:]
                if body:
                    self.body_bytes += count
                    if self._outgoing is not None:
                        self._outgoing.counter.received += count

    def _look_for_answer(self) -> None:
        try:
            data = self._stream.receive_now(HEAD_READ_SIZE)
        except WANT:
            return
        except OSError as exc:
            raise httpcore.WriteError(str(exc)) from exc
        self._reader.left += data
        if self._outgoing is not None and self._outgoing.heard is not None:
            self._outgoing.heard(self._reader.left)
        if not data or is_final(self._reader.left):
            raise httpcore.WriteError("the server answered before the body was sent")
