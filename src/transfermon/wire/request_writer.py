"""One request on its way out: its head, then the body, framed, counted and no faster than it may
be.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from transfermon.http.head_marks import is_final
from transfermon.wire.deadlines import WANT
from transfermon.wire.http11 import HEAD_READ_SIZE, AnswerReader
from transfermon.wire.network_errors import BadRequest, WriteError, WriteTimeout
from transfermon.wire.rate_limit import admitted
from transfermon.wire.stream import Stream
from transfermon.wire.wire_request import Given, Outgoing, WireRequest


class RequestWriter:
    """The request whose answer `reader` reads."""

    def __init__(self, stream: Stream, reader: AnswerReader, outgoing: Outgoing | None) -> None:
        self._stream = stream
        self._reader = reader
        self._outgoing = outgoing
        self.began = self.ended = 0.0  # when the writing began, and when its last piece was out
        self.head_bytes = self.body_bytes = 0
        self.whole = False  # all of the request is out

    def __repr__(self) -> str:
        return f"<RequestWriter {self.head_bytes} and {self.body_bytes} bytes to {self._stream}>"

    async def write(self, request: WireRequest, timeout: float) -> None:
        """Raises WriteError, also when the server answers before the body is whole, for it wants no
        more of it (U-13); WriteTimeout, and BadRequest for a body of another length.
        """
        self.began, self.head_bytes = time.monotonic(), len(request.head)
        await self._write(memoryview(request.head), timeout, body=False)
        self.ended = time.monotonic()
        if request.length is None or request.length or request.body:
            await self._write_body(request, timeout)
            self.ended = time.monotonic()
        self.whole = True

    async def _write_body(self, request: WireRequest, timeout: float) -> None:
        give = self._outgoing.give if self._outgoing is not None else None
        body, left = request.body, request.length
        if give is not None and left is not None:
            await self._give(give, left, timeout)
            return
        if isinstance(body, bytes | None):
            body = _Once(body)
        async for piece in body:
            if left is None:
                if piece:
                    await self._write_piece(b"%x\r\n%b\r\n" % (len(piece), piece), timeout)
                continue
            left -= len(piece)
            if left < 0:
                raise BadRequest("the body is longer than it was announced")
            await self._write_piece(piece, timeout)
        if left is None:
            await self._write_piece(b"0\r\n\r\n", timeout)
        elif left:
            raise BadRequest("the body is shorter than it was announced")

    async def _write_piece(self, piece: bytes, timeout: float) -> None:
        view = memoryview(piece)
        limiters = self._outgoing.limiters if self._outgoing is not None else ()
        while view:
            granted, delay = admitted(limiters, len(view)) if limiters else (len(view), 0.0)
            if not granted:
                await asyncio.sleep(delay)
                continue
            await self._write(view[:granted], timeout, body=True)
            view = view[granted:]
        await self._reader.give_way()

    async def _give(
        self,
        give: Callable[[socket.socket, int, float], Awaitable[Given]],
        count: int,
        timeout: float,
    ) -> None:
        self._stream.look_away()
        self._stream.shorten_queue()
        given = await give(self._stream.socket, count, timeout)
        self.body_bytes += given.count
        self._reader.left += given.early
        if given.reason == "stalled":
            raise WriteTimeout("no byte was taken in time")
        if given.reason in ("source", "bug"):
            assert given.error is not None
            raise given.error
        if given.reason is not None:
            raise WriteError(str(given.error or given.reason)) from given.error

    async def _write(self, view: memoryview, timeout: float, *, body: bool) -> None:
        while view:
            if body:
                self._look_for_answer()
            try:
                count = self._stream.socket.send(view)
            except ssl.SSLWantReadError:
                await self._stream.wait_until_readable(timeout, WriteTimeout)
            except WANT:  # until there is room, or news from the server
                await self._stream.wait_until_writable(timeout, WriteTimeout, or_readable=True)
            except OSError as exc:
                raise WriteError(str(exc)) from exc
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
            raise WriteError(str(exc)) from exc
        self._reader.left += data
        if self._outgoing is not None and self._outgoing.heard is not None:
            self._outgoing.heard(self._reader.left)
        if not data or is_final(self._reader.left):
            raise WriteError("the server answered before the body was sent")


class _Once:
    """A body that is there, as an iterator. No generator: one that is given up in the middle would
    have nobody to end it.
    """

    def __init__(self, data: bytes | None) -> None:
        self._data = data

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data, self._data = self._data, None
        if not data:
            raise StopAsyncIteration
        return data
