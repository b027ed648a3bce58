"""Calls answered: the loop over redirects and logins, on connections that are kept.

Rule: nothing of sockets, h11 or ssl leaves this folder: failures are `TransferFailure`, answers are
records. Where the bytes are many they go past the loop, through the pump.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import replace

from transfermon.http import addresses
from transfermon.http.retry import IDEMPOTENT
from transfermon.model.errors import TransferFailure, redacted
from transfermon.model.metrics import Trace
from transfermon.wire.answer import Answer
from transfermon.wire.call import Call, FileBody
from transfermon.wire.clients import Clients
from transfermon.wire.cookie_jars import CookieJars
from transfermon.wire.digest_logins import DigestLogins
from transfermon.wire.exchange import Exchange, note_connection
from transfermon.wire.failures import login_refused, translate_failure
from transfermon.wire.http_client import ClientKey, HttpClient
from transfermon.wire.pump import Pumps
from transfermon.wire.redirects import Hop, first_hop, hop_after, straight_hop
from transfermon.wire.requests import request_of
from transfermon.wire.simulation import Simulation
from transfermon.wire.surroundings import Surroundings
from transfermon.wire.trust import TlsContexts


class Transport:
    """Connections, pumps and trust of one engine. Everything on one loop."""

    def __init__(self, *, tls_context: ssl.SSLContext | None = None) -> None:
        self._contexts = TlsContexts(tls_context)
        self._digest_logins = DigestLogins()
        self.pumps = Pumps()
        self._cookies = CookieJars()
        self._surroundings = Surroundings()
        self._clients = Clients(self._surroundings, self._contexts)

    def __repr__(self) -> str:
        return f"<Transport of {self._clients}>"

    async def open(self, call: Call) -> Answer:
        """Send it, follow redirects, and return when the final head is there.

        Raises TransferFailure for everything that the world does wrong. Credentials in a typed URL
        become an Authorization field; on a redirect to another origin that, Cookie and every header
        in `sensitive` are dropped for good but for those that `carried_headers` lets go along.
        """
        hop = first_hop(call)
        passed: list[addresses.Address] = []
        if call.resumes_at:
            passed.append(hop.url)
            hop = straight_hop(call, hop)
        while True:
            exchange = await self._logged_in(call, hop)
            try:
                following = hop_after(call, hop, exchange.head, len(passed), exchange.client.target)
            except BaseException:
                exchange.client.close()
                raise
            if following is None:
                return Answer(exchange, call, tuple(passed), self.pumps)
            passed.append(hop.url)
            await exchange.discard()
            hop = following

    async def _logged_in(self, call: Call, hop: Hop) -> Exchange:
        """The answer to a hop, with its login in the words that the server asks for."""
        signed = self._digest_logins.signed(call.session, hop)
        exchange = await self._exchange(call, signed or hop)
        if signed is not None:
            again = self._digest_logins.signed(call.session, hop, exchange.head)
            if again is not None:
                await exchange.discard()
                exchange = await self._exchange(call, again)
        if (failure := login_refused(exchange.speaker, exchange.head)) is not None:
            await exchange.discard()
            raise TransferFailure(failure)
        return exchange

    async def _exchange(self, call: Call, hop: Hop) -> Exchange:
        """One request and its head; once more, on a new connection, where a kept one had died."""
        simulation = self._surroundings.bad_network.simulation
        if simulation.version:
            hop = replace(hop, headers=simulation.asks(hop.headers))
        key, fresh = ClientKey.of(call, hop), False
        while True:
            content = hop.content() if callable(hop.content) else hop.content
            # a kept one that had died would cost a large body that nobody repeats
            once = isinstance(content, FileBody) and hop.method == "POST"
            client = await self._clients.take(key, hop.url, fresh=fresh or once)
            trace = Trace(method=hop.method, url=_shown(call, hop), fetch_start=time.monotonic())
            try:
                request = request_of(
                    call, self._cookies.with_cookies(call, hop), content, client, self.pumps
                )
                head = await client.send(request, call.idle_timeout)
            except (asyncio.CancelledError, TransferFailure):  # the latter of who makes the content
                client.close()
                _keep_trace(call, trace, client)
                raise
            except Exception as exc:
                client.close()
                if client.died_unheard(exc) and not fresh and hop.method in IDEMPOTENT:
                    fresh = True  # not a failure of this attempt
                    continue
                _keep_trace(call, trace, client)
                failure = translate_failure(
                    exc, hop.url, responded=client.answered, speaker=client.speaker
                )
                raise TransferFailure(failure) from exc
            exchange = Exchange(self._clients, client, head, hop, trace, call.idle_timeout)
            if simulation.version:
                exchange.head = replace(
                    exchange.head, headers=simulation.answer(exchange.head.headers)
                )
            try:
                await self._cookies.keep_cookies(call, exchange.head)
            except BaseException:
                client.close()
                raise
            if call.traces is not None:
                call.traces.append(trace)
            return exchange

    def forget(self, session: str) -> None:
        """Its cookies, and the logins that were answered for it."""
        self._cookies.forget(session)
        self._digest_logins.forget(session)

    def drop_idle(self, session: str | None = None) -> None:
        """Close unused connections, of one session or of all."""
        self._clients.drop_idle(session)

    @property
    def on_answered(self) -> Callable[[Simulation], None] | None:
        """Told what is left of a simulation when one of its counted answers was given."""
        return self._surroundings.bad_network.on_answered

    @on_answered.setter
    def on_answered(self, hook: Callable[[Simulation], None] | None) -> None:
        self._surroundings.bad_network.on_answered = hook

    def simulate(self, simulation: Simulation) -> None:
        """Let all connections meet that network from now on; its rate is up to who makes the
        limiters.
        """
        self._clients.simulate(simulation)

    def cut(self) -> int:
        """Break every connection as a bad line would, and say how many were in use."""
        return self._clients.cut()

    async def aclose(self) -> None:
        """Close what is idle and end the pump threads. Answers still open must be closed before."""
        self._clients.close()
        self._surroundings.close()
        await asyncio.to_thread(self.pumps.close)


def _shown(call: Call, hop: Hop) -> str:
    """The address as a trace may have it."""
    if not call.secret_path:
        return redacted(hop.url)
    origin = addresses.origin_of(hop.url)
    return f"{origin.scheme}://{origin.authority}/…"


def _keep_trace(call: Call, trace: Trace, client: HttpClient) -> None:
    note_connection(trace, client)
    if call.traces is not None:
        call.traces.append(trace)
