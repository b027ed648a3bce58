"""The clients of a transport: one connection each, idle ones kept for the next request.

Rule: connections to one host never outnumber the calls that ran to it at once (T-12), and what must
agree before two requests may use the same one is in the client's key.
"""

from __future__ import annotations

import asyncio
import ssl
import time
import weakref
from dataclasses import field
from typing import Any

import httpcore

from transfermon.http import addresses, proxies
from transfermon.http.framing import is_beyond_files
from transfermon.http.proxies import Proxy
from transfermon.model.errors import Code
from transfermon.model.record import record
from transfermon.wire.backend import Backend
from transfermon.wire.call import Call
from transfermon.wire.failures import final_failure
from transfermon.wire.reach import Reach
from transfermon.wire.redirects import Hop
from transfermon.wire.simulation import Simulation
from transfermon.wire.surroundings import Surroundings
from transfermon.wire.trust import KeysUnwritable, TlsContexts

IDLE_SECONDS = 20.0  # an unused connection is closed after it
IDLE_CLIENTS = 32


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
    """A httpcore pool of one connection.

    The pool's own bookkeeping is quadratic in connections; one pool for each costs a third of the
    time. It is called directly: httpx.AsyncClient above it adds cookies, logging of whole URLs, and
    0.1 ms.
    """

    def __init__(
        self, key: ClientKey, backend: Backend, context: ssl.SSLContext | None, proxy: Proxy | None
    ) -> None:
        self.key = key
        self.backend = backend
        self.origin: addresses.ServerOrigin | None = None  # of the last request
        self.idle_since = 0.0
        limits: dict[str, Any] = {"max_connections": 1, "max_keepalive_connections": 1}
        if proxy is not None and not proxy.is_socks:
            self._pool: httpcore.AsyncConnectionPool = _proxy_pool(proxy, backend, context, limits)
        else:
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=context, network_backend=backend, **limits
            )

    def __repr__(self) -> str:
        return f"<HttpClient {self.origin} {self.backend.connection}>"

    async def send(self, request: httpcore.Request) -> httpcore.Response:
        """The final head, and the body behind it."""
        response = await self._pool.handle_async_request(request)
        if any(
            name.lower() == b"content-length" and is_beyond_files(value)
            for name, value in response.headers
        ):
            raise httpcore.RemoteProtocolError("no file can have that length")
        return response

    @property
    def open(self) -> bool:
        connection = self.backend.connection
        return connection is not None and connection.reusable

    @property
    def answered(self) -> bool:
        """Whether a byte came since the last request was written."""
        return self.backend.connection is not None and self.backend.connection.reader.answered

    def died_unheard(self, exc: Exception) -> bool:
        """Whether the server closed a kept connection as we wrote, which is not a failure of the
        request.
        """
        connection = self.backend.connection
        reused = connection is not None and connection.reused
        return reused and not self.answered and isinstance(exc, httpcore.NetworkError)

    def cut(self) -> bool:
        """Break the connection; False when there is none."""
        connection = self.backend.connection
        if connection is None or connection.closed:
            return False
        connection.stream.cut()
        return True

    def close(self) -> None:
        """Close the connection, if there is one. The object is of no use afterwards."""
        if self.backend.connection is not None:
            self.backend.connection.close()


class Clients:
    """All of one transport, idle or in use."""

    def __init__(self, surroundings: Surroundings, contexts: TlsContexts) -> None:
        self._surroundings = surroundings
        self._bad_network = surroundings.bad_network
        self._contexts = contexts
        self._idle: list[HttpClient] = []
        self._all: weakref.WeakSet[HttpClient] = weakref.WeakSet()
        self._losing: asyncio.Handle | None = None
        self._sweeper: asyncio.Handle | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<Clients, {len(self._idle)} idle>"

    async def take(self, key: ClientKey, url: str, *, fresh: bool) -> HttpClient:
        """One for a request to that address, with a new connection when `fresh`. Raises
        TransferFailure.
        """
        try:
            return await self._take(key, addresses.origin_of(url), fresh=fresh)
        except ValueError as exc:
            raise final_failure(
                Code.CANNOT_CONNECT, str(exc), "net.proxy", url, hint=proxies.ADDRESS_HINT
            ) from exc
        except OSError as exc:
            raise final_failure(
                Code.TLS_UNTRUSTED,
                f"The own authorities cannot be read from {key.ca_file}.",
                "tls.ca-file",
                url,
                hint="Put the PEM file there again, or go without it.",
            ) from exc
        except KeysUnwritable as exc:
            raise final_failure(
                Code.CANNOT_CREATE_FILE,
                f"The keys of the connections cannot be written to {key.tls_keys}: {exc}.",
                "tls.keys-file",
                url,
                hint="Name another file, or go without it.",
            ) from exc

    async def _take(
        self, key: ClientKey, origin: addresses.ServerOrigin, *, fresh: bool
    ) -> HttpClient:
        # An idle one is used first, and one that must not be used is closed before another is made.
        same = [
            client
            for client in self._idle
            if client.key.session == key.session and client.origin == origin
        ]
        fit = (
            None
            if fresh
            else next((client for client in reversed(same) if client.key == key), None)
        )
        if fit is None and same:
            self._idle.remove(same[0])
            same[0].close()
        if fit is not None:
            self._idle.remove(fit)
            return fit
        context = None
        if key.secure or key.proxy.lower().startswith("https:"):
            context = await self._contexts.context_for(key.ca_file, key.tls_keys)
        proxy = proxies.parse(key.proxy) if key.proxy else None
        if proxy is not None and proxy.kind == "https" and key.secure:
            raise ValueError("Addresses with https cannot be loaded through an https proxy.")
        client = HttpClient(key, Backend(key.reach, self._surroundings, proxy), context, proxy)
        client.origin = origin
        self._all.add(client)
        return client

    def take_back(self, client: HttpClient) -> None:
        """Keep the client's connection for the next request, if it can serve one."""
        simulation = self._bad_network.simulation
        if self._closed or not client.open or simulation.offline or simulation.status:
            client.close()
            return
        client.idle_since = time.monotonic()
        self._idle.append(client)
        if len(self._idle) > IDLE_CLIENTS:
            self._idle.pop(0).close()
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._sweep)

    def drop_idle(self, session: str | None = None) -> None:
        """Close unused connections, of one session or of all."""
        for client in [
            client for client in self._idle if session is None or client.key.session == session
        ]:
            self._idle.remove(client)
            client.close()

    def cut(self) -> int:
        """Break every connection as a bad line would, and say how many were in use."""
        self.drop_idle()
        return sum(client.cut() for client in list(self._all))

    def simulate(self, simulation: Simulation) -> None:
        """Let all connections meet that network from now on."""
        self._bad_network.simulation = simulation
        if simulation.on:
            self.drop_idle()
        if simulation.offline:
            self.cut()
        if self._losing is not None:
            self._losing.cancel()
            self._losing = None
        if simulation.loss and not self._closed:
            self._losing = asyncio.get_running_loop().call_later(1.0, self._lose)

    def close(self) -> None:
        """Those in use stay as they are."""
        self._closed = True
        self.drop_idle()
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._losing is not None:
            self._losing.cancel()

    def _lose(self) -> None:
        for client in list(self._all):
            if self._bad_network.loses:
                client.cut()
        self._losing = asyncio.get_running_loop().call_later(1.0, self._lose)

    def _sweep(self) -> None:
        self._sweeper = None
        now = time.monotonic()
        for client in [client for client in self._idle if now - client.idle_since >= IDLE_SECONDS]:
            self._idle.remove(client)
            client.close()
        if self._idle and not self._closed:
            self._sweeper = asyncio.get_running_loop().call_later(IDLE_SECONDS / 2, self._sweep)


def _proxy_pool(
    proxy: Proxy, backend: Backend, context: ssl.SSLContext | None, limits: dict[str, Any]
) -> httpcore.AsyncConnectionPool:
    auth = None
    if proxy.user is not None:
        auth = (proxy.user.encode(), proxy.password.encode())
    return httpcore.AsyncHTTPProxy(
        proxy_url=httpcore.URL(scheme=proxy.kind, host=proxy.host, port=proxy.port, target=b"/"),
        proxy_auth=auth,
        ssl_context=context,
        proxy_ssl_context=context if proxy.kind == "https" else None,
        network_backend=backend,
        **limits,
    )
