"""One connection as httpcore sees it: a stream of bytes, and the request and answer that go over it
now.

Rule: what belongs to one exchange is in its writer and its reader, and gone with the next.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

import httpcore

from transfermon.wire.http11 import AnswerReader, NotHTTP
from transfermon.wire.request_writer import Outgoing, RequestWriter
from transfermon.wire.stream import Stream
from transfermon.wire.surroundings import Surroundings


class Connection(httpcore.AsyncNetworkStream):
    """Owns its stream. `on_secured` is told of the connection inside TLS, before the handshake."""

    def __init__(
        self,
        stream: Stream,
        surroundings: Surroundings,
        on_secured: Callable[[Connection], object] | None = None,
    ) -> None:
        self.stream = stream
        self._surroundings = surroundings
        self._on_secured = on_secured
        self._detached = False
        self.outgoing: Outgoing | None = None  # of the next request
        self.exchanges = 0  # requests written on this connection
        self.connected_at = time.monotonic()
        self.secured: tuple[float, float] | None = None  # begin and end of the TLS handshake
        self.reader = AnswerReader(stream, surroundings.bad_network)
        self.writer = RequestWriter(stream, self.reader, None)

    def __repr__(self) -> str:
        return f"<Connection {self.stream} after {self.exchanges} requests>"

    @property
    def closed(self) -> bool:
        return self.stream.closed

    @property
    def reused(self) -> bool:
        return self.exchanges > 1

    @property
    def reusable(self) -> bool:
        """Whether nothing was odd about the last answer, and nothing followed it."""
        return (
            not (self.stream.closed or self._detached or self.stream.failure)
            and self.reader.leaves_all_well
        )

    def detach_body(self) -> tuple[bytes, socket.socket]:
        """The body's first bytes and the socket, for the pump. The stream still closes the socket,
        afterwards.
        """
        assert self.reader.head_seen, "the reader did not see where the body begins"
        first, self.reader.left = self.reader.left, b""
        self._detached = True
        return first, self.stream.socket

    def close(self) -> None:
        self.stream.close()

    # ---- what httpcore calls

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """As `AnswerReader.read` says, however many bytes are asked for."""
        await self._surroundings.turns.give_way()
        if self.stream.closed:
            raise httpcore.ReadError("the connection was closed on our side")
        return await self.reader.read(timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """A head, when the last answer is there or none was asked for; else some of the body."""
        if not buffer:
            return
        if self.exchanges and not self.reader.head_seen:
            await self.writer.write_body(buffer, timeout)
        else:
            self._begin_exchange()
            await self.writer.write_head(buffer, timeout)
        await self._surroundings.turns.give_way()

    async def aclose(self) -> None:
        self.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        if self.stream.is_tls:
            self.close()
            raise httpcore.ConnectError("TLS inside a TLS connection to a proxy is not supported")
        if self.reader.left:
            self.close()
            raise NotHTTP("bytes before the TLS handshake")
        connection = Connection(
            self.stream.under_tls(ssl_context, server_hostname), self._surroundings
        )
        connection.reader.healed = self.reader.healed  # of a proxy's answer: the same connection
        if self._on_secured is not None:
            self._on_secured(connection)
        began = time.monotonic()
        try:
            await connection.stream.shake_hands(timeout)
        except BaseException:
            connection.close()
            raise
        connection.secured = (began, time.monotonic())
        return connection

    def get_extra_info(self, info: str) -> Any:
        sock = self.stream.socket
        # for an idle one any news is bad news: the end, or bytes that belong to no answer
        if info == "is_readable":
            return not self.reusable or self.stream.has_news
        if info == "ssl_object":
            return sock if self.stream.is_tls else None
        if info == "socket":
            return sock
        if info == "server_addr":
            return sock.getpeername()
        if info == "client_addr":
            return sock.getsockname()
        return None

    def _begin_exchange(self) -> None:
        before, heard = self.reader, self.outgoing.heard if self.outgoing is not None else None
        self.exchanges += 1
        self.reader = AnswerReader(
            self.stream,
            self._surroundings.bad_network,
            left=before.left,
            healed=before.healed,
            heard=heard,
        )
        self.writer = RequestWriter(self.stream, self.reader, self.outgoing)
