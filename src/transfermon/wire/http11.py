"""HTTP/1 as it is read: one answer on its way from the stream, its head whole, the body to its end.

Rule: while a head is expected, nothing that lies behind it is handed on, so that a body can be
taken over by the pump. A plain answer is read here; h11 reads any other, healed, from its first
byte.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from transfermon.http import head_marks
from transfermon.http.framing import Framing
from transfermon.http.plain_head import plain_head
from transfermon.wire.deadlines import WANT
from transfermon.wire.network_errors import (
    BadAnswer,
    ClosedEarly,
    HeadTooLarge,
    NotHTTP,
    ReadError,
    ReadTimeout,
)
from transfermon.wire.rate_limit import Limiter, admitted, give_back
from transfermon.wire.stream import Stream, ended_without_close
from transfermon.wire.surroundings import READ_SIZE, Surroundings
from transfermon.wire.wire_request import WireRequest, field_bytes

if TYPE_CHECKING:
    from transfermon.http.chunks import Chunks
    from transfermon.wire.unusual_answer import UnusualAnswer

HEAD_READ_SIZE = 64 * 1024
HEAD_LIMIT = 100_000  # bytes of one header block (R6)
INTERIM_LIMIT = 20  # 1xx answers before the final one (R6)
# bytes per second over the time limit; a server that drips below it counts as silent (D5)
SLOWEST = 16
_NEVER_PLAIN = frozenset({"HEAD", "CONNECT"})  # what follows their answers has rules of its own
_OF_THE_BODY = frozenset({"content-length", "transfer-encoding"})


class AnswerHead(NamedTuple):
    """A final head."""

    status: int
    fields: tuple[tuple[str, str], ...]
    version: str = "HTTP/1.1"
    reason: str = ""  # of an unusual one


class AnswerReader:
    """The answer to one request. `left` came behind the answer before; `heard` is told each interim
    head.
    """

    def __init__(
        self,
        stream: Stream,
        surroundings: Surroundings,
        *,
        left: bytes = b"",
        healed: bool = False,
        heard: Callable[[bytes], None] | None = None,
    ) -> None:
        self._stream = stream
        self._surroundings = surroundings
        self._heard = heard
        # what is there of the current header block; most come in one piece
        self._head: bytes | bytearray = b""
        self._block_began = 0.0
        self._interim = 0
        self._slow_bytes = 0
        self._slow_seconds = 0.0
        self._unusual: UnusualAnswer | None = None  # h11's part
        self._keeps = False  # a plain head said so
        self._remaining: int | None = None
        self._framing: Framing | None = None
        self._chunks: Chunks | None = None  # of a chunked body
        self.left = left  # received, but behind the end of the head
        # a head on this connection had to be: its other end is not to be trusted with a next one
        self.healed = healed
        self.limiters: Sequence[Limiter] = ()
        # called when a body has no more bytes for now
        self.before_wait: Callable[[], None] | None = None
        self.head_seen = False  # we saw the end of the final head ourselves
        self.answered = False  # a byte came since the request was written
        self.head_bytes = 0
        self.head_began: float | None = None  # when the first byte of the answer came

    def __repr__(self) -> str:
        return f"<AnswerReader {'body' if self.head_seen else 'head'} of {self._stream}>"

    async def read_head(self, request: WireRequest, timeout: float) -> AnswerHead:
        """The final head. Raises BadAnswer, ReadError and ReadTimeout."""
        if self._surroundings.bad_network.simulation.on:
            await self._meet_bad_network()
        block = await self._next_block(timeout)
        plain = None if request.method in _NEVER_PLAIN else plain_head(block)
        if plain is not None:
            self.head_seen, self._keeps, self._remaining = True, plain.keeps, plain.length
            return AnswerHead(plain.status, plain.fields)
        from transfermon.wire.unusual_answer import UnusualAnswer  # brings h11

        self._unusual = UnusualAnswer(
            request.method,
            [
                (name.encode("latin-1"), field_bytes(value))
                for name, value in request.fields
                if name.lower() not in _OF_THE_BODY
            ],
        )
        while (head := self._unusual.head(self._healed(block))) is None:
            block = await self._next_block(timeout)
        return AnswerHead(head.status, head.fields, head.version, head.reason)

    async def next_chunk(self, timeout: float) -> bytes:
        """The next bytes of the body; b"" at its end. Raises as `read_head`."""
        if self._unusual is None:
            return await self._read_raw(timeout) if self._remaining else b""
        return await self._unusual.next_chunk(lambda: self._read_framed(timeout))

    def expect_body(self, framing: int | Framing) -> None:
        """How the body is framed: bytes behind its end never reach h11, and an early end is told
        apart.
        """
        if isinstance(framing, Framing):
            self._remaining, self._framing = None, framing
            self._chunks = _new_chunks() if framing is Framing.CHUNKED else None
        else:
            self._remaining, self._framing = framing, None

    async def peek(self, count: int, timeout: float) -> bytes:
        """The first bytes of a body of known length, `count` or more; they stay for whoever reads
        it.
        """
        while len(self.left) < count:
            data = await self._receive(HEAD_READ_SIZE, timeout)
            if not data:
                raise ClosedEarly("the connection ended before the body did")
            self.left += data
        return self.left

    def take_whole(self) -> bytes | None:
        """A plain body that has come with its head, all of it and nothing more; None where it has
        to be waited for, or h11 reads it.
        """
        if self._unusual is not None or not self._remaining or len(self.left) != self._remaining:
            return None
        data, self.left, self._remaining = self.left, b"", 0
        return data

    def pass_over_rest(self) -> None:
        """Of a plain body that nobody wants, where all of it has come: most refusals came with
        their heads, and what is asked next needs no connection of its own.
        """
        if self._unusual is None and self._remaining and len(self.left) == self._remaining:
            self.left, self._remaining = b"", 0

    @property
    def leaves_all_well(self) -> bool:
        """Whether the answer was read to its end, nothing was odd, and nothing followed. A chunked
        body must end exactly at its last chunk.
        """
        if self.left or self.healed or not self.head_seen:
            return False
        if self._unusual is None:
            return self._keeps and self._remaining == 0
        if self._chunks is not None and (not self._chunks.done or self._chunks.healed):
            return False
        return self._framing is not Framing.UNTIL_CLOSE and self._unusual.keeps

    async def give_way(self) -> None:
        """To the rest of the program, where the streams used up their share of this turn."""
        await self._surroundings.turns.give_way()

    # ---- heads

    async def _next_block(self, timeout: float) -> bytes:
        """One header block, as it came."""
        while (end := await self._more_head(timeout)) is None:
            pass
        whole = self._head if isinstance(self._head, bytes) else bytes(self._head)
        self._head = b""
        self.head_bytes += end
        self.left = whole[end:]
        return whole[:end]

    def _healed(self, block: bytes) -> bytes:
        from transfermon.http.heads import heal  # its grammar takes a while to be compiled

        try:
            healed = heal(block)
        except head_marks.HeadError as exc:
            raise BadAnswer(str(exc)) from exc
        self.healed = self.healed or healed is not block
        self._end_of_head(healed)
        return healed

    async def _more_head(self, timeout: float) -> int | None:
        """Take more bytes; where the header block ends in them, or None."""
        data, self.left = self.left, b""
        if not data:
            data = await self._receive(HEAD_READ_SIZE, timeout)
            if not data:
                raise ClosedEarly("the connection ended before the answer's head did")
        if not self._head:
            self._block_began = time.monotonic()
            if self.head_began is None:
                self.head_began = self._block_began
        self.answered = True
        searched = max(0, len(self._head) - 2)  # the end may be split over reads
        self._head = self._with(data)
        if not head_marks.may_begin(self._head):
            raise NotHTTP("the answer is not HTTP")
        found = head_marks.HEAD_END.search(self._head, searched)
        if (found.end() if found else len(self._head)) > HEAD_LIMIT:
            raise HeadTooLarge("the answer's head is too large")
        return found.end() if found else None

    def _with(self, data: bytes) -> bytes | bytearray:
        if not self._head:
            return data
        if isinstance(self._head, bytes):
            return bytearray(self._head + data)
        self._head += data
        return self._head

    async def _meet_bad_network(self) -> None:
        bad_network = self._surroundings.bad_network
        if bad_network.loses:
            raise ClosedEarly("the answer was lost in the simulation")
        await bad_network.delay()
        if self._stream.closed:
            raise ReadError("the connection was closed on our side")

    def _end_of_head(self, head: bytes) -> None:
        status = head_marks.status_in(head)
        if status is not None and status < 200 and status != 101:
            if self._heard is not None:
                self._heard(head)
            self._interim += 1
            if self._interim > INTERIM_LIMIT:
                raise HeadTooLarge("too many interim answers")
            return
        self.head_seen = True

    # ---- the body

    async def _read_framed(self, timeout: float) -> bytes:
        """Bytes of the body for h11, as they came."""
        if self._chunks is None:
            return await self._read_raw(timeout)
        return await self._read_chunks(self._chunks, timeout)

    async def _read_chunks(self, chunks: Chunks, timeout: float) -> bytes:
        while not chunks.done:
            try:
                data = chunks.feed(await self._read_raw(timeout))
            except head_marks.HeadError as exc:
                raise BadAnswer(str(exc)) from exc
            if chunks.done:
                self.left = chunks.extra + self.left
            if data:
                return data
        return b""

    async def _read_raw(self, timeout: float) -> bytes:
        size = READ_SIZE if self._remaining is None else min(READ_SIZE, self._remaining)
        if size == 0:
            return b""
        granted = await self._admitted(size)
        if self.left:
            data, self.left = self.left[:granted], self.left[granted:]
        else:
            data = await self._receive(granted, timeout)
        give_back(self.limiters, granted - len(data))
        if not data:
            if self._framing is not Framing.UNTIL_CLOSE:
                raise ClosedEarly("the connection ended before the body did")
        elif self._remaining is not None:
            self._remaining -= len(data)
        return data

    async def _admitted(self, size: int) -> int:
        while True:
            granted, delay = admitted(self.limiters, size) if self.limiters else (size, 0.0)
            if granted:
                return granted
            await asyncio.sleep(delay)

    # ---- bytes, and how long they may take

    async def _receive(self, size: int, timeout: float) -> bytes:
        stream = self._stream
        if self.head_seen:
            await self.give_way()
        if stream.closed:
            raise ReadError("the connection was closed on our side")
        # before a request is answered nothing is there, but what TLS may have to tell
        looks = self.answered or stream.is_tls
        while True:
            try:
                data = stream.receive_now(size) if looks else await self._awaited(size, timeout)
            except WANT:
                looks = False
            except OSError as exc:
                if ended_without_close(exc):
                    raise ClosedEarly("the connection ended without the end of TLS") from exc
                raise ReadError(str(exc)) from exc
            else:
                self._slow_bytes += len(data)
                return data

    async def _awaited(self, size: int, timeout: float) -> bytes:
        limit = timeout
        if self._head:
            # One header block is a small thing: a server that drips it is silent.
            limit = max(0.0, self._block_began + limit - time.monotonic())
        if not self.head_seen:
            return await self._stream.receive(size, limit)
        if self.before_wait is not None:
            self.before_wait()
        began = time.monotonic()
        data = await self._stream.receive(size, limit)
        self._slow_seconds += time.monotonic() - began
        if self._slow_seconds >= timeout:
            if self._slow_bytes < SLOWEST * timeout:
                raise ReadTimeout("hardly a byte arrived in time")
            self._slow_bytes, self._slow_seconds = 0, 0.0
        return data


def _new_chunks() -> Chunks:
    from transfermon.http.chunks import Chunks  # as `heads`

    return Chunks()
