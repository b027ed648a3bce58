"""A final head, and the body behind it: through the pump, or through the loop."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncGenerator, Sequence

from transfermon.http import addresses, labels
from transfermon.http.framing import Framing
from transfermon.model.errors import Code, TransferFailure, redacted
from transfermon.model.task import Progress, Response
from transfermon.storage.disk_failures import disk_failed_a_body
from transfermon.wire import codings
from transfermon.wire.body_writer import BodyWriter
from transfermon.wire.call import TAKEOVER, Call
from transfermon.wire.codings import CodingError, Decoder, UnknownCodingError
from transfermon.wire.exchange import Exchange
from transfermon.wire.failures import final_failure, translate_failure
from transfermon.wire.movable_end import MovableEnd
from transfermon.wire.network_errors import ClosedEarly, ReadError, ReadTimeout
from transfermon.wire.pump import Pumps
from transfermon.wire.pump_jobs import Hasher, Outcome
from transfermon.wire.rate_limit import Limiter


class Answer:
    """A final head, and the body behind it. Close it; reading it to the end is not enough."""

    def __init__(
        self, exchange: Exchange, call: Call, redirects: tuple[addresses.Address, ...], pumps: Pumps
    ) -> None:
        self._exchange = exchange
        self._reader = exchange.reader
        self._pumps = pumps
        self._url = exchange.hop.url
        self._speaker = exchange.speaker
        self._idle_timeout = call.idle_timeout
        self._rest = b""  # of a chunk, behind the end of a part that was asked for
        self._taken = 0  # bytes of the body handed out
        self._detached: tuple[bytes, socket.socket] | None = None
        self._closed = False
        self.response: Response = exchange.head
        origin = addresses.origin_of(self._url)
        self.strayed = call.strayed or any(addresses.origin_of(url) != origin for url in redirects)
        self.redirects = redirects
        self.content_length = exchange.framing if isinstance(exchange.framing, int) else None
        self.content_coding = ", ".join(labels.codings_in(exchange.head.header("Content-Encoding")))
        self.timing = exchange.timing
        self.extra = False  # bytes came behind the announced length; none of them was written

    def __repr__(self) -> str:
        return f"<Answer {self.response.status} {redacted(self._url)}, {self._taken} of {self.content_length}>"

    @property
    def confines(self) -> bool:
        """Whether an address that this server names must not lead into a private network."""
        return self._exchange.confines

    @property
    def round_trip(self) -> float:
        """As `Stream.round_trip`, of the connection that it came over."""
        return self._exchange.connection.stream.round_trip

    @property
    def left(self) -> int:
        """Bytes of a body of known length that were not handed out yet."""
        assert self.content_length is not None
        return self.content_length - self._taken

    @property
    def taken_over(self) -> bool:
        """Whether the body went to the pump."""
        return self._detached is not None

    async def receive(
        self,
        fd: int,
        offset: int,
        progress: Progress,
        *,
        limiters: Sequence[Limiter] = (),
        decode: str = "",
        hasher: Hasher | None = None,
        length: int | None = None,
        limit: int | None = None,
        movable: MovableEnd | None = None,
    ) -> int:
        """Write the body to an open file from `offset` on and return how many bytes were written.

        Every byte that arrived is written and added to `progress.received`, also when this raises
        or is cancelled; it returns or raises only when no thread uses `fd` any more. With `length`
        exactly so many bytes are taken and the next call goes on behind them; where somebody moves
        the end to before it, it ends there. `decode` is a content
        coding that is undone and must be whole. Raises TransferFailure: -1005 for an early end
        (D-15), -1001 when nothing came for the idle time, -1015 or -1016 for a coding that is
        damaged or unknown, -1103 beyond `limit` bytes, -3003 where the disk fails.
        """
        remaining = None if self.content_length is None else self.content_length - self._taken
        expected = 0 if remaining is None else min(remaining, length or remaining)
        if limit is not None and not decode and expected > limit:
            raise self.too_big(limit)
        decoder = Decoder(decode) if decode else None
        if decoder is None and self._may_take_over(remaining):
            assert remaining is not None
            wanted = remaining if length is None else min(length, remaining)
            return await self._pumped(fd, offset, wanted, progress, limiters, hasher, movable)
        self._reader.limiters = limiters
        return await self._written(fd, offset, progress, decoder, hasher, length, limit, movable)

    async def gather(
        self,
        into: bytearray,
        progress: Progress,
        *,
        limiters: Sequence[Limiter] = (),
        hasher: Hasher | None = None,
    ) -> None:
        """All of a body of known length, in memory.

        Every byte that arrived is in `into` and added to `progress.received`, also when this raises
        or is cancelled; after a cancel `receive` goes on behind them. Raises TransferFailure as
        `receive` does.
        """
        assert self.content_length is not None
        self._reader.limiters = limiters
        while self._taken < self.content_length and (chunk := await self._next_in_words()):
            self._gathered(chunk, into, progress, hasher)
        if not self._rest:
            await self._next_in_words()  # as in `receive`: lets h11 see the end

    def gather_at_once(
        self,
        into: bytearray,
        progress: Progress,
        *,
        limiters: Sequence[Limiter] = (),
        hasher: Hasher | None = None,
    ) -> bool:
        """As `gather`, where all came with the head and no rate holds it back; else False."""
        waits = self._taken or self._rest or any(limiter.rate for limiter in limiters)
        if waits or (data := self._reader.take_whole()) is None:
            return False
        self._gathered(data, into, progress, hasher)
        return True

    def _gathered(
        self, data: bytes, into: bytearray, progress: Progress, hasher: Hasher | None
    ) -> None:
        self._taken += len(data)
        into += data
        progress.received += len(data)
        if hasher is not None:
            hasher.update(memoryview(data))

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes, for one that never ends. Raises TransferFailure: -1001 after the
        idle time, -1005.
        """
        while data := await self._next_in_words():
            yield data

    async def peek(self, most: int) -> bytes:
        """The next bytes of the body as they come, still coded, at most so many; they stay to be
        received.

        What was peeked at comes through the loop, and so does all that follows. Raises
        TransferFailure as `receive`.
        """
        ahead = bytearray()
        while len(ahead) < most and (chunk := await self._next_in_words()):
            ahead += chunk
        self._rest = bytes(ahead)
        return self._rest[:most]

    async def read(self, limit: int) -> bytes:
        """At most `limit` bytes of a small body, decoded where it is coded; what is behind them is
        dropped.
        """
        verdict = await self.judged()
        if verdict.still_coded:
            raise self._damaged(UnknownCodingError("not to be undone"))
        decoder = Decoder(verdict.undo) if verdict.undo else None
        out = bytearray()
        try:
            while len(out) < limit and (chunk := await self._next_in_words()):
                for piece in decoder.decode(chunk) if decoder else (chunk,):
                    out += piece
                    if len(out) >= limit:
                        break
        except CodingError as exc:
            raise self._damaged(exc) from exc
        return bytes(out[:limit])

    async def aclose(self) -> None:
        """Give the connection back, or close it when the body was not read to its end."""
        if self._closed:
            return
        self._closed = True
        trace = self._exchange.trace
        trace.response_end, trace.response_body_bytes = time.monotonic(), self._taken
        await self._exchange.close()

    async def judged(self, name: str = "") -> labels.CodingVerdict:
        """What its Content-Encoding is worth; `name` is the server's. The bytes that are looked at
        stay in the body.

        Raises TransferFailure as `receive` does.
        """
        label = self.response.header("Content-Encoding")
        kind = self.response.header("Content-Type")
        first, whole = b"", self.content_length == 0 or not self.content_coding
        try:
            while True:
                verdict = labels.judge(
                    label, name=name, kind=kind, first=first, whole=whole, opens=codings.opens
                )
                if verdict is not None:
                    return verdict
                first, whole = await self._look(len(first) + 1)
        except Exception as exc:
            raise TransferFailure(
                translate_failure(exc, self._url, responded=True, speaker=self._speaker)
            ) from exc

    async def _look(self, count: int) -> tuple[bytes, bool]:
        """The body's first bytes, `count` or more, or all of it."""
        if self.content_length is not None:
            wanted = min(count, self.content_length)
            first = (await self._reader.peek(wanted, self._idle_timeout))[: self.content_length]
            return first, len(first) == self.content_length
        while len(self._rest) < count:
            chunk = await self._exchange.next_chunk()
            if not chunk:
                return self._rest, True
            self._rest += chunk
        return self._rest, False

    # ---- through the pump

    def _may_take_over(self, remaining: int | None) -> bool:
        if self._detached is not None:
            return True
        untouched = self._taken == 0 and not self._rest
        return (
            untouched and remaining is not None and remaining > TAKEOVER and self._reader.head_seen
        )

    async def _pumped(
        self,
        fd: int,
        offset: int,
        wanted: int,
        progress: Progress,
        limiters: Sequence[Limiter],
        hasher: Hasher | None,
        movable: MovableEnd | None,
    ) -> int:
        if self._detached is None:
            self._detached = self._exchange.connection.detach_body()
        first, sock = self._detached
        self._detached = (first[wanted:], sock)
        assert self.content_length is not None
        ends = self._taken + wanted == self.content_length
        before = progress.received
        try:
            outcome = await self._pumps.for_fd(fd).receive(
                sock,
                first if ends else first[:wanted],
                fd,
                offset,
                wanted,
                progress,
                stall=self._idle_timeout,
                limiters=limiters,
                hasher=hasher,
                ends=ends,
                movable=movable,
            )
        finally:
            self._taken += progress.received - before
        self._detached = (first[outcome.received :], sock)
        self.extra = outcome.extra
        if outcome.reason is not None:
            raise self._failed(outcome)
        return outcome.received

    def _failed(self, outcome: Outcome) -> BaseException:
        if outcome.reason == "bug":
            assert outcome.error is not None
            return outcome.error
        if outcome.reason == "disk":
            assert isinstance(outcome.error, OSError)
            return TransferFailure(disk_failed_a_body(outcome.error, self._url))
        exc: Exception
        if outcome.reason == "stalled":
            exc = ReadTimeout("no byte arrived in time")
        elif outcome.reason == "closed":
            exc = ClosedEarly("the connection ended before the body did")
        else:
            exc = ReadError(str(outcome.error))
            exc.__cause__ = outcome.error
        failure = TransferFailure(
            translate_failure(exc, self._url, responded=True, speaker=self._speaker)
        )
        failure.__cause__ = outcome.error
        return failure

    # ---- through the loop

    async def _next(self) -> bytes:
        if self._rest:
            chunk, self._rest = self._rest, b""
            return chunk
        return await self._exchange.next_chunk()

    async def _next_in_words(self) -> bytes:
        """Raises TransferFailure."""
        try:
            return await self._next()
        except Exception as exc:
            raise TransferFailure(
                translate_failure(exc, self._url, responded=True, speaker=self._speaker)
            ) from exc

    async def _written(
        self,
        fd: int,
        offset: int,
        progress: Progress,
        decoder: Decoder | None,
        hasher: Hasher | None,
        length: int | None,
        limit: int | None,
        movable: MovableEnd | None,
    ) -> int:
        writer = BodyWriter(fd, offset, progress, hasher)
        self._reader.before_wait = writer.before_wait
        try:
            try:
                if movable is None:
                    await self._fill(writer, decoder, length, limit)
                else:
                    await self._fill_up_to(writer, offset, movable, length)
            finally:
                self._reader.before_wait = None
                await writer.finish()
        except TransferFailure:
            raise
        except CodingError as exc:
            raise self._damaged(exc) from exc
        except OSError as exc:  # the network's are wrapped; this one is the file's
            raise TransferFailure(disk_failed_a_body(exc, self._url)) from exc
        except Exception as exc:
            raise TransferFailure(
                translate_failure(exc, self._url, responded=True, speaker=self._speaker)
            ) from exc
        return writer.written

    async def _fill(
        self, writer: BodyWriter, decoder: Decoder | None, length: int | None, limit: int | None
    ) -> None:
        while length is None or writer.taken < length:
            chunk = await self._next()
            if not chunk:
                break
            if length is not None and len(chunk) > length - writer.taken:
                cut = length - writer.taken
                chunk, self._rest = chunk[:cut], chunk[cut:]
            self._taken += len(chunk)
            for piece in decoder.decode(chunk) if decoder else (chunk,):
                if limit is not None and writer.taken + len(piece) > limit:
                    raise self.too_big(limit)
                await writer.add(piece)
        if length is not None and writer.taken < length:
            raise ClosedEarly("the body is shorter than it was announced")
        if decoder is not None and not decoder.whole:
            if self._exchange.framing is Framing.UNTIL_CLOSE:
                raise ClosedEarly("the connection ended inside a coded body")
            raise CodingError("the coded body is cut short")
        if self._taken == self.content_length and not self._rest:
            # h11 has to see the end, so that the connection can be kept
            await self._exchange.next_chunk()

    async def _fill_up_to(
        self, writer: BodyWriter, offset: int, movable: MovableEnd, length: int | None
    ) -> None:
        """As `_fill`, as long as the end is not reached that somebody may have moved."""
        assert self.content_length is not None
        rest = self.content_length - self._taken
        length = rest if length is None else min(length, rest)
        while writer.taken < length:
            at = offset + writer.taken
            if not movable.claim(at, 1):
                return
            chunk = await self._next()
            if not chunk:
                raise ClosedEarly("the body is shorter than it was announced")
            granted = movable.claim(at, min(len(chunk), length - writer.taken))
            self._rest = chunk[granted:]
            self._taken += granted
            await writer.add(chunk[:granted])
        if self._taken == self.content_length and not self._rest:
            await self._exchange.next_chunk()

    def _damaged(self, exc: Exception) -> TransferFailure:
        unknown = isinstance(exc, UnknownCodingError)
        return final_failure(
            Code.CANNOT_DECODE_CONTENT if unknown else Code.CANNOT_DECODE_RAW_DATA,
            f"The server sent the file coded as “{self.content_coding[:40]}”, which cannot be undone."
            if unknown
            else "The file arrived damaged: its compression cannot be undone.",
            "srv.coding",
            self._url,
            hint="Try again later, or tell the server's owner.",
        )

    def too_big(self, limit: int) -> TransferFailure:
        """The failure of a body of more than `limit` bytes."""
        return final_failure(
            Code.DATA_TOO_LARGE,
            f"The file is larger than the limit of {limit} bytes.",
            "pol.too-big",
            self._url,
            hint="Raise the limit if you want the whole file.",
        )
