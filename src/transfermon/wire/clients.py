"""The connections of a transport: one for each client, idle ones kept for the next request.

Rule: connections to one host never outnumber the calls that ran to it at once (T-12), and what must
agree before two requests may use the same one is in the client's key.
"""

from __future__ import annotations

import asyncio
import time
import weakref

from transfermon.http import addresses, proxies
from transfermon.model.errors import Code
from transfermon.wire.failures import final_failure
from transfermon.wire.http_client import ClientKey, HttpClient
from transfermon.wire.simulation import Simulation
from transfermon.wire.surroundings import Surroundings
from transfermon.wire.trust import KeysUnwritable, TlsContexts

IDLE_SECONDS = 20.0  # an unused connection is closed after it
IDLE_CLIENTS = 32


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

    async def take(self, key: ClientKey, url: addresses.Address, *, fresh: bool) -> HttpClient:
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
        if not fresh and (fit := self._fit(key, origin)) is not None:
            return fit
        for client in self._idle:
            if client.origin == origin and client.key.session == key.session:
                self._idle.remove(client)
                client.close()
                break
        context = None
        if key.secure or key.proxy.lower().startswith("https:"):
            context = await self._contexts.context_for(key.ca_file, key.tls_keys)
        proxy = proxies.parse(key.proxy) if key.proxy else None
        if proxy is not None and proxy.kind == "https" and key.secure:
            raise ValueError("Addresses with https cannot be loaded through an https proxy.")
        client = HttpClient(key, origin, self._surroundings, context=context, proxy=proxy)
        self._all.add(client)
        return client

    def _fit(self, key: ClientKey, origin: addresses.ServerOrigin) -> HttpClient | None:
        """The idle one that was used last and still lives."""
        for client in reversed(self._idle.copy()):
            if client.origin == origin and client.key == key:
                self._idle.remove(client)
                if client.waits_well:
                    return client
                client.close()
        return None

    def take_back(self, client: HttpClient) -> None:
        """Keep the client's connection for the next request, if it can serve one."""
        simulation = self._bad_network.simulation
        if self._closed or not client.open or simulation.offline or simulation.status:
            client.close()
            return
        assert client.connection is not None
        client.connection.stream.resting = True
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
