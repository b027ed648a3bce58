"""The network under httpcore: makes the connections of one client.

Rule: the address that is connected to is the one that was checked (R2, R3).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Iterable

import httpcore

from transfermon.http.proxies import Proxy
from transfermon.wire.connect import Dialer
from transfermon.wire.connection import Connection
from transfermon.wire.reach import Reach
from transfermon.wire.request_writer import Outgoing
from transfermon.wire.stream import Stream
from transfermon.wire.surroundings import Surroundings

CONNECT_LIMIT = 15.0  # seconds for all addresses of a host together (D2)


class Backend(httpcore.AsyncNetworkBackend):
    """Connects for one client; remembers the connection that it made last."""

    def __init__(
        self, reach: Reach, surroundings: Surroundings, proxy: Proxy | None = None
    ) -> None:
        """With an http proxy, hosts are its own; a SOCKS proxy opens a way to each host, which
        `reach` judges where the names are looked up here.
        """
        self._surroundings = surroundings
        self._proxy = proxy
        self._dialer = Dialer(reach.permits, surroundings.deadlines, proxy)
        self._connection: Connection | None = None
        self._outgoing: Outgoing | None = None
        self.lookup: tuple[float, float] | None = None  # of the last connection
        self.connecting: tuple[float, float] | None = None

    @property
    def connection(self) -> Connection | None:
        """The one in use, the one inside TLS where there is any."""
        return self._connection

    @property
    def target(self) -> str:
        """The server's address behind a proxy, where it was looked up here."""
        return self._dialer.target

    @property
    def speaker(self) -> Proxy | None:
        """The proxy while it is the one at the other end; None when that is the server."""
        if self._proxy is None or self._proxy.is_socks:
            return None
        inside = (
            self._proxy.kind == "http"
            and self._connection is not None
            and self._connection.stream.is_tls
        )
        return None if inside else self._proxy

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve once, check every address, connect to a checked one. A ConnectError's context has
        the errno.
        """
        limit = CONNECT_LIMIT if timeout is None else min(timeout, CONNECT_LIMIT)
        deadline = time.monotonic() + limit
        self.lookup = self.connecting = None
        bad_network = self._surroundings.bad_network
        if bad_network.simulation.on:
            bad_network.require_network()
            if status := bad_network.take_answer():
                return self._keep(AnsweringConnection(status, self._surroundings))
            await bad_network.delay()
        try:
            sock = await self._dialer.dial(host, port, deadline, timeout)
        finally:
            self.lookup = self._dialer.lookup
        try:
            bad_network.require_network()  # it may be gone meanwhile
        except httpcore.ConnectError:
            sock.close()
            raise
        connection = Connection(Stream(sock, self._surroundings), self._surroundings, self._keep)
        self.connecting = (self._dialer.resolved, time.monotonic())
        return self._keep(connection)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def expect_upload(self, outgoing: Outgoing | None) -> None:
        """How the body of the next request is counted and limited."""
        self._outgoing = outgoing
        if self._connection is not None:
            self._connection.outgoing = outgoing

    def _keep(self, connection: Connection) -> Connection:
        self._connection, connection.outgoing = connection, self._outgoing
        return connection


class AnsweringConnection(Connection):
    """In place of a connection: every request is answered with one status, and no server hears of
    it.
    """

    def __init__(self, status: int, surroundings: Surroundings) -> None:
        near, self._far = socket.socketpair()
        near.setblocking(False)
        super().__init__(Stream(near, surroundings), surroundings)
        self._status = status

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if buffer and (not self.exchanges or self.reader.head_seen):
            tunnel = bytes(buffer[:8]) == b"CONNECT "  # a proxy opens the way first
            self._far.sendall(
                b"HTTP/1.1 200 Simulated\r\n\r\n" if tunnel else _answer(self._status)
            )
        await super().write(buffer, timeout)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return self

    def close(self) -> None:
        super().close()
        self._far.close()


def _answer(status: int) -> bytes:
    body = b"The network simulation answered this request.\n"
    fields = f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close"
    return f"HTTP/1.1 {status} Simulated\r\n{fields}\r\n\r\n".encode() + body
