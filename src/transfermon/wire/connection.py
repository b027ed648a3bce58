"""One connection: a stream of bytes, and the request and answer that go over it now.

Rule: what belongs to one exchange is in its writer and its reader, and gone with the next.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time

from transfermon.wire.http11 import AnswerHead, AnswerReader
from transfermon.wire.network_errors import ConnectError, NotHTTP, WriteError
from transfermon.wire.request_writer import RequestWriter
from transfermon.wire.stream import Stream
from transfermon.wire.surroundings import Surroundings
from transfermon.wire.wire_request import WireRequest


class Connection:
    """Owns its stream."""

    def __init__(self, stream: Stream, surroundings: Surroundings) -> None:
        self.stream = stream
        self._surroundings = surroundings
        self._detached = False
        self._keeps = False  # the last request lets another one follow
        self.exchanges = 0  # requests written on this connection
        self.connected_at = time.monotonic()
        self.secured: tuple[float, float] | None = None  # begin and end of the TLS handshake
        self.reader = AnswerReader(stream, surroundings)
        self.writer = RequestWriter(stream, self.reader, None)

    def __repr__(self) -> str:
        return f"<Connection {self.stream} after {self.exchanges} requests>"

    async def exchange(self, request: WireRequest, wait: float) -> AnswerHead:
        """Write the request and read the final head. Raises what the two raise; that the server
        takes no more bytes is no failure where it answers.
        """
        before, outgoing = self.reader, request.outgoing
        self.exchanges += 1
        self._keeps = request.keeps
        self.stream.resting = False
        self.reader = AnswerReader(
            self.stream,
            self._surroundings,
            left=before.left,
            healed=before.healed,
            heard=outgoing.heard if outgoing is not None else None,
        )
        self.writer = RequestWriter(self.stream, self.reader, outgoing)
        with contextlib.suppress(WriteError):
            await self.writer.write(request, wait)
        head = await self.reader.read_head(request, wait)
        await self.reader.give_way()
        return head

    @property
    def closed(self) -> bool:
        return self.stream.closed

    @property
    def reused(self) -> bool:
        return self.exchanges > 1

    @property
    def reusable(self) -> bool:
        """Whether the last exchange is over, nothing was odd about it, and nothing followed it."""
        return (
            self._keeps
            and self.writer.whole
            and not (self.stream.closed or self._detached or self.stream.failure)
            and self.reader.leaves_all_well
        )

    def detach_body(self) -> tuple[bytes, socket.socket]:
        """The body's first bytes and the socket, for the pump. The stream still closes the socket,
        afterwards.
        """
        assert self.reader.head_seen, "the reader did not see where the body begins"
        first, self.reader.left = self.reader.left, b""
        self._detached = True
        return first + self.stream.let_go(), self.stream.socket

    def under_tls(self, context: ssl.SSLContext, host: str) -> Connection:
        """The connection inside TLS with that server, before the handshake; this one is closed.
        Raises ConnectError, and NotHTTP when bytes came that nobody asked for.
        """
        if self.stream.is_tls:
            self.close()
            raise ConnectError("TLS inside a TLS connection to a proxy is not supported")
        if self.reader.left:
            self.close()
            raise NotHTTP("bytes before the TLS handshake")
        inside = Connection(self.stream.under_tls(context, host), self._surroundings)
        inside.reader.healed = self.reader.healed  # of a proxy's answer: the same connection
        return inside

    async def shake_hands(self, wait: float) -> None:
        """Raises ConnectError and ConnectTimeout."""
        began = time.monotonic()
        await self.stream.shake_hands(wait)
        self.secured = (began, time.monotonic())

    def close(self) -> None:
        self.stream.close()
