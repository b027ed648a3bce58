"""One connection to one server, made on the way that its key says: straight, or through a proxy.

Rule: the address that is connected to is the one that was checked (R2, R3), and the connection in
use is known from its first byte on, also while its way is being opened.
"""

from __future__ import annotations

import base64
import socket
import ssl
import time
from dataclasses import field

from transfermon.http import addresses
from transfermon.http.proxies import Proxy
from transfermon.model.record import record
from transfermon.wire.call import Call
from transfermon.wire.connect import Dialer
from transfermon.wire.connection import Connection
from transfermon.wire.http11 import AnswerHead
from transfermon.wire.network_errors import ConnectError, NetworkError, ProxyRefused
from transfermon.wire.reach import Reach
from transfermon.wire.redirects import Hop
from transfermon.wire.request_head import wire_request
from transfermon.wire.stream import Stream
from transfermon.wire.surroundings import Surroundings
from transfermon.wire.wire_request import WireRequest

CONNECT_LIMIT = 15.0  # seconds for all addresses of a host together (D2)


@record
class ClientKey:
    """What must agree before two requests may use the same connection (R3, C20)."""

    session: str
    reach: Reach
    proxy: str = field(repr=False)
    secure: bool
    ca_file: str = ""
    tls_keys: str = ""

    @classmethod
    def of(cls, call: Call, hop: Hop) -> ClientKey:
        return cls(
            session=call.session,
            reach=hop.reach,
            proxy=hop.proxy,
            secure=hop.url.startswith("https:"),
            ca_file=call.ca_file,
            tls_keys=call.tls_keys,
        )


class HttpClient:
    """Carries one request after the other over one connection, and makes it for the first."""

    def __init__(
        self,
        key: ClientKey,
        origin: addresses.ServerOrigin,
        surroundings: Surroundings,
        *,
        context: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        self.key = key
        self.origin = origin
        self.connection: Connection | None = None  # the one inside TLS where there is any
        self.idle_since = 0.0
        self.lookup: tuple[float, float] | None = None  # of the connection
        self.connecting: tuple[float, float] | None = None
        self._surroundings = surroundings
        self._context = context
        self._proxy = proxy
        self._dialer = Dialer(key.reach.permits, surroundings.deadlines, proxy)

    def __repr__(self) -> str:
        return f"<HttpClient {self.origin.authority} {self.connection}>"

    async def send(self, request: WireRequest, wait: float) -> AnswerHead:
        """The final head; its body is read from the connection. `wait` is in seconds without a
        byte. Raises what `network_errors` has, and what the body raises.
        """
        if self.connection is None:
            await self.connect(wait)
        assert self.connection is not None
        return await self.connection.exchange(request, wait)

    async def connect(self, wait: float) -> None:
        """Raises ConnectError, whose context has the errno, ConnectTimeout, AddressRefused and
        ProxyFailed, and for an http proxy what `send` raises, and ProxyRefused.
        """
        deadline = time.monotonic() + min(wait, CONNECT_LIMIT)
        bad_network = self._surroundings.bad_network
        if bad_network.simulation.on:
            bad_network.require_network()
            if status := bad_network.take_answer():
                self.connection = AnsweringConnection(status, self._surroundings)
                return
            await bad_network.delay()
        try:
            sock = await self._dialer.dial(self.origin.host, self.origin.port, deadline, wait)
        finally:
            self.lookup = self._dialer.lookup
        try:
            bad_network.require_network()  # it may be gone meanwhile
        except ConnectError:
            sock.close()
            raise
        self.connection = Connection(Stream(sock, self._surroundings), self._surroundings)
        self.connecting = (self._dialer.resolved, time.monotonic())
        if self._proxy is not None and self._proxy.speaks_http:
            await self._through(self._proxy, self.connection, wait)
        if self.key.secure:
            await self._secure(self.origin.host, wait)

    async def _through(self, proxy: Proxy, connection: Connection, wait: float) -> None:
        """What an http proxy needs before a request can be sent."""
        if proxy.kind == "https":
            await self._secure(proxy.host, wait)
        elif self.key.secure:
            way = self.origin.authority
            fields = [("Accept", "*/*"), *proxy_login(proxy)]
            head = await connection.exchange(wire_request("CONNECT", way, way, fields), wait)
            if not 200 <= head.status < 300:
                raise ProxyRefused(f"{head.status} {head.reason}")

    async def _secure(self, host: str, wait: float) -> None:
        assert self.connection is not None
        assert self._context is not None
        self.connection = self.connection.under_tls(self._context, host)
        await self.connection.shake_hands(wait)

    @property
    def target(self) -> str:
        """The server's address behind a proxy, where it was looked up here."""
        return self._dialer.target

    @property
    def speaker(self) -> Proxy | None:
        """The proxy while it is the one at the other end; None when that is the server."""
        if self._proxy is None or not self._proxy.speaks_http:
            return None
        inside = (
            self._proxy.kind == "http"
            and self.connection is not None
            and self.connection.stream.is_tls
        )
        return None if inside else self._proxy

    @property
    def forwarder(self) -> Proxy | None:
        """The proxy that takes whole requests for other servers; None where there is a way to the
        server itself.
        """
        return None if self.key.secure else self.speaker

    @property
    def open(self) -> bool:
        return self.connection is not None and self.connection.reusable

    @property
    def waits_well(self) -> bool:
        """Whether an idle one can serve another request: for it any news is bad news, the end or
        bytes that belong to no answer.
        """
        return self.open and not (self.connection is not None and self.connection.stream.has_news)

    @property
    def answered(self) -> bool:
        """Whether a byte came since the last request was written."""
        return self.connection is not None and self.connection.reader.answered

    def died_unheard(self, exc: Exception) -> bool:
        """Whether the server closed a kept connection as we wrote, which is not a failure of the
        request.
        """
        reused = self.connection is not None and self.connection.reused
        return reused and not self.answered and isinstance(exc, NetworkError)

    def cut(self) -> bool:
        """Break the connection; False when there is none."""
        if self.connection is None or self.connection.closed:
            return False
        self.connection.stream.cut()
        return True

    def close(self) -> None:
        """Close the connection, if there is one. The object is of no use afterwards."""
        if self.connection is not None:
            self.connection.close()


def proxy_login(proxy: Proxy) -> list[tuple[str, str]]:
    """The field for an http proxy that has a login."""
    if proxy.user is None:
        return []
    pair = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode("ascii")
    return [("Proxy-Authorization", f"Basic {pair}")]


class AnsweringConnection(Connection):
    """In place of a connection: every request is answered with one status, and no server hears of
    it.
    """

    def __init__(self, status: int, surroundings: Surroundings) -> None:
        near, self._far = socket.socketpair()
        near.setblocking(False)
        super().__init__(Stream(near, surroundings), surroundings)
        self._status = status

    async def exchange(self, request: WireRequest, wait: float) -> AnswerHead:
        self._far.sendall(_answer(self._status))
        return await super().exchange(request, wait)

    def close(self) -> None:
        super().close()
        self._far.close()


def _answer(status: int) -> bytes:
    body = b"The network simulation answered this request.\n"
    fields = f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close"
    return f"HTTP/1.1 {status} Simulated\r\n{fields}\r\n\r\n".encode() + body
