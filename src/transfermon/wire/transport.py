"""One exchange over httpx: redirects, connections, bodies, and every failure in words.

Rule: the only module that imports httpx. Nothing of httpx, httpcore or ssl leaves it: failures are `TransferFailure`,
answers are records. Where the bytes are many they go past httpx, through the pump.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import os
import socket
import ssl
import sys
import time
import weakref
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import field, replace
from types import MappingProxyType
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import httpcore
import httpx

from transfermon.http import addresses, carried_headers, labels, proxies, public_suffixes
from transfermon.http.challenges import basic_in, digest_offer, login_in, offers
from transfermon.http.cookies import Cookie, Jar
from transfermon.http.proxies import Proxy
from transfermon.http.retry import IDEMPOTENT
from transfermon.model.errors import Code, Retry, TransferError, TransferFailure, redacted
from transfermon.model.metrics import REDIRECTS, Trace
from transfermon.model.record import record
from transfermon.model.task import Origin, Progress, Response
from transfermon.wire import codings
from transfermon.wire.codings import BATCH, CodingError, Decoder, UnknownCodingError
from transfermon.wire.connect import ProxyFailed
from transfermon.wire.network import (
    AddressRefused,
    Backend,
    ClosedEarly,
    Framing,
    Given,
    HeadTooLarge,
    Limiter,
    NotHTTP,
    Outgoing,
    Reach,
    Stream,
    Watch,
    ended_without_close,
    interim_heads,
    is_public,
)
from transfermon.wire.pump import Hasher, Outcome, Pumps, until_done
from transfermon.wire.simulation import Simulation
from transfermon.wire.socks import NoSocks, Refused

USER_AGENT = "transfermon/0.1.0"
TAKEOVER = 256 * 1024  # bodies above it go through the pump; below it a kept connection is worth more
LONGEST = (1 << 63) - 1  # bytes that a file can have
DISCARDED = 64 * 1024  # of a redirect's body, to keep the connection
IDLE_SECONDS = 20.0  # an unused connection is closed after it
IDLE_CLIENTS = 32
_DEFAULTS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": USER_AGENT}  # D-14
_BLANK = bytes(64 << 20)  # never touched: pages that nobody has seen
_OF_THE_BODY = frozenset({"content-length", "content-type", "content-encoding", "transfer-encoding"})


@record
class FileBody:
    """A part of an open file as the body of a request.

    `check` is called on another thread before the bytes that were read go out, and told whether they are the last; it
    raises TransferFailure when this is no more the file that was meant.
    """

    fd: int
    offset: int
    length: int
    check: Callable[[bool], None] = field(repr=False)


Content = AsyncIterator[bytes] | FileBody


@record
class Call:
    """One request, ready to be sent. Header values stay in here and reach no log and no error."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    content: bytes | Callable[[], Content] | None = field(default=None, repr=False)
    content_length: int | None = None  # of a callable's bytes; without it they go out chunked
    sending: Progress | None = field(default=None, repr=False)  # counts what of the content was given to the network
    limiters: Sequence[Limiter] = field(default=(), repr=False)  # of the content
    on_interim: Callable[[Response, bool], None] | None = field(default=None, repr=False, compare=False)  # told each
    # interim answer as soon as it is there, perhaps twice, and whether its server is a public one
    follows_redirects: bool = True
    session: str = ""  # connections are never shared between sessions
    origin: Origin = Origin.TYPED
    allowed: frozenset[str] = frozenset()  # "host:port" that a given address may reach although it is private
    confined: bool = False  # a typed address that a public server named: it must not lead into a private network
    proxy: str | None = field(default=None, repr=False)  # None: the system's; "": none
    ca_file: str = ""  # of authorities that are trusted besides the system's
    tls_keys: str = ""  # a file that gets the keys of the connections
    proxy_logins: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)  # the system's
    idle_timeout: float = 60.0  # seconds without a byte
    maximum_redirects: int = 20
    allows_insecure_redirects: bool = False
    cookies: bool = False  # whether the session's are sent and kept
    own_cookies: Sequence[Cookie] = field(default=(), repr=False)  # of a file, for whatever host they fit
    sensitive: frozenset[str] = frozenset()  # lower-case names of the person's headers: few follow to another origin
    sent_along: frozenset[str] = frozenset()  # lower-case names of those that the person lets follow all the same
    resumes_at: str = field(default="", repr=False)  # where a redirect of `url` led before: asked in its place
    strayed: bool = False  # another origin was on the way there, so that what stayed behind does not come back
    secret_path: bool = False  # the address is as good as a password: no trace shows more than its origin (U-25)
    traces: list[Trace] | None = field(default=None, repr=False, compare=False)  # gets one for each request sent


@record
class Timing:
    """Monotonic seconds of the last hop."""

    start: float
    connected: float  # equal to start on a connection that was open already
    head: float


@record
class _Key:
    """What must agree before two requests may use the same connection (FAULTS R3, C20)."""

    session: str
    reach: Reach
    proxy: str = field(repr=False)
    secure: bool
    ca_file: str = ""
    tls_keys: str = ""


@record
class _Hop:
    """One request of a chain of redirects."""

    url: str
    method: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    content: bytes | Callable[[], Content] | None = field(repr=False)
    reach: Reach
    proxy: str = field(repr=False)


class _Source(Protocol):
    """httpcore's side of a body."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


class _Body(httpx.AsyncByteStream):
    def __init__(self, stream: _Source) -> None:
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    async def aclose(self) -> None:
        await self._stream.aclose()


class _Content(httpx.AsyncByteStream):
    """A body to send. No generator: one that is given up in the middle would have nobody to end it."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces


class _Blanks:
    """In place of the bytes of a file, which h11 only has to count."""

    def __init__(self, length: int) -> None:
        self._left = length

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        blank = _BLANK if self._left >= len(_BLANK) else bytes(self._left)
        self._left -= len(blank)
        return blank


class _Client(httpx.AsyncBaseTransport):
    """A httpcore pool of one connection under httpx's transport interface.

    The pool's own bookkeeping is quadratic in connections; one pool for each costs a third of the time. The
    transport is called directly: httpx.AsyncClient above it adds cookies, logging of whole URLs, and 0.1 ms.
    """

    def __init__(self, key: _Key, backend: Backend, context: ssl.SSLContext | None, proxy: Proxy | None) -> None:
        self.key = key
        self.backend = backend
        self.origin: addresses.Origin | None = None  # of the last request
        self.idle_since = 0.0
        limits: dict[str, Any] = {"max_connections": 1, "max_keepalive_connections": 1}
        if proxy is not None and not proxy.is_socks:
            self._pool: httpcore.AsyncConnectionPool = _proxy_pool(proxy, backend, context, limits)
        else:
            self._pool = httpcore.AsyncConnectionPool(ssl_context=context, network_backend=backend, **limits)

    def __repr__(self) -> str:
        return f"<_Client {self.origin} {self.backend.stream}>"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        response = await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        if any(name.lower() == b"content-length" and _beyond_files(value) for name, value in response.headers):
            raise httpcore.RemoteProtocolError("no file can have that length")
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(cast(_Source, response.stream)),
            extensions=response.extensions,
        )

    @property
    def open(self) -> bool:
        stream = self.backend.stream
        return stream is not None and not stream.closed and stream.reusable

    def cut(self) -> bool:
        """Break the connection; False when there is none."""
        stream = self.backend.stream
        if stream is None or stream.closed:
            return False
        stream.cut()
        return True

    def close(self) -> None:
        """Close the connection, if there is one. The object is of no use afterwards."""
        if self.backend.stream is not None:
            self.backend.stream.close()

    async def aclose(self) -> None:
        await self._pool.aclose()
        self.close()


class Transport:
    """Connections, pumps and trust of one engine. Everything on one loop."""

    def __init__(self, *, tls_context: ssl.SSLContext | None = None) -> None:
        # by the files of own authorities and of keys
        self._contexts = {} if tls_context is None else {"": tls_context}
        self._building = asyncio.Lock()
        self._watch = Watch()
        self._pumps = Pumps()
        self._idle: list[_Client] = []
        self._clients: weakref.WeakSet[_Client] = weakref.WeakSet()  # all there are, idle or in use
        self._losing: asyncio.Handle | None = None
        self._cookies: dict[str, Jar] = {}  # by session
        self._digests: dict[tuple[str, addresses.Origin, tuple[str, str]], _Digest] = {}
        self._sweeper: asyncio.Handle | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<Transport, {len(self._idle)} idle connections>"

    @property
    def pumps(self) -> Pumps:
        return self._pumps

    async def open(self, call: Call) -> Answer:
        """Send it, follow redirects, and return when the final head is there.

        Raises TransferFailure for everything that the world does wrong. Credentials in a typed URL become an
        Authorization field; on a redirect to another origin that, Cookie and every header in `sensitive` are dropped for
        good but for those that `carried_headers` lets go along.
        """
        hop = _first_hop(call)
        passed: list[str] = []
        if call.resumes_at:
            passed.append(hop.url)
            hop = _straight_hop(call, hop)
        while True:
            signed = self._signed(call, hop)
            exchange = await self._send(call, signed or hop)
            if signed is not None and (again := self._signed(call, hop, exchange.head)) is not None:
                await exchange.discard(self)
                exchange = await self._send(call, again)
            if (failure := _login_refused(exchange)) is not None:
                await exchange.discard(self)
                raise TransferFailure(failure)
            try:
                target = _target(call, hop, exchange.head) if call.follows_redirects else None
                if target is None:
                    return Answer(self, exchange, hop, call, tuple(passed))
                if len(passed) >= call.maximum_redirects:
                    raise _failure(
                        Code.TOO_MANY_REDIRECTS,
                        f"The server redirected more than {call.maximum_redirects} times.",
                        "srv.redirect",
                        target,
                        hint="The addresses may point at each other; ask the server's owner.",
                    )
                following = _next_hop(call, hop, exchange, target)
            except BaseException:
                exchange.client.close()
                raise
            passed.append(hop.url)
            await exchange.discard(self)
            hop = following

    def forget(self, session: str) -> None:
        """Its cookies, and the logins that were answered for it."""
        self._cookies.pop(session, None)
        for key in [key for key in self._digests if key[0] == session]:
            del self._digests[key]

    def drop_idle(self, session: str | None = None) -> None:
        """Close unused connections, of one session or of all."""
        for client in [client for client in self._idle if session is None or client.key.session == session]:
            self._idle.remove(client)
            client.close()

    @property
    def on_answered(self) -> Callable[[Simulation], None] | None:
        """Told what is left of a simulation when one of its counted answers was given."""
        return self._watch.on_answered

    @on_answered.setter
    def on_answered(self, hook: Callable[[Simulation], None] | None) -> None:
        self._watch.on_answered = hook

    def simulate(self, simulation: Simulation) -> None:
        """Let all connections meet that network from now on; its rate is up to who makes the limiters."""
        self._watch.simulation = simulation
        if simulation.on:
            self.drop_idle()
        if simulation.offline:
            self.cut()
        if self._losing is not None:
            self._losing.cancel()
            self._losing = None
        if simulation.loss and not self._closed:
            self._losing = asyncio.get_running_loop().call_later(1.0, self._lose)

    def _lose(self) -> None:
        simulation = self._watch.simulation
        for client in list(self._clients):
            if self._watch.random() < simulation.loss:
                client.cut()
        self._losing = asyncio.get_running_loop().call_later(1.0, self._lose)

    def cut(self) -> int:
        """Break every connection as a bad line would, and say how many were in use."""
        self.drop_idle()
        return sum(client.cut() for client in list(self._clients))

    async def aclose(self) -> None:
        """Close what is idle and end the pump threads. Answers still open must be closed before."""
        self._closed = True
        self.drop_idle()
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._losing is not None:
            self._losing.cancel()
        self._watch.close()
        await asyncio.to_thread(self._pumps.close)

    def take_back(self, client: _Client) -> None:
        """Keep the client's connection for the next request, if it can serve one."""
        simulation = self._watch.simulation
        if self._closed or not client.open or simulation.offline or simulation.status:
            client.close()
            return
        client.idle_since = time.monotonic()
        self._idle.append(client)
        if len(self._idle) > IDLE_CLIENTS:
            self._idle.pop(0).close()
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        now = time.monotonic()
        for client in [client for client in self._idle if now - client.idle_since >= IDLE_SECONDS]:
            self._idle.remove(client)
            client.close()
        if self._idle and not self._closed:
            self._sweeper = asyncio.get_running_loop().call_later(IDLE_SECONDS / 2, self._sweep)

    async def _client(self, key: _Key, origin: addresses.Origin, *, fresh: bool) -> _Client:
        # Connections to one host never outnumber the calls that ran to it at once (T-12): an idle one is used
        # first, and one that must not be used is closed before another is made.
        same = [client for client in self._idle if client.key.session == key.session and client.origin == origin]
        fit = None if fresh else next((client for client in reversed(same) if client.key == key), None)
        if fit is None and same:
            self._idle.remove(same[0])
            same[0].close()
        if fit is not None:
            self._idle.remove(fit)
            return fit
        context = (
            await self._trust(key.ca_file, key.tls_keys)
            if key.secure or key.proxy.lower().startswith("https:")
            else None
        )
        proxy = proxies.parse(key.proxy) if key.proxy else None
        if proxy is not None and proxy.kind == "https" and key.secure:
            raise ValueError("Addresses with https cannot be loaded through an https proxy.")
        client = _Client(key, Backend(key.reach, self._watch, proxy), context, proxy)
        client.origin = origin
        self._clients.add(client)
        return client

    async def _trust(self, ca_file: str, tls_keys: str) -> ssl.SSLContext:
        async with self._building:
            wanted = f"{ca_file}\0{tls_keys}" if tls_keys else ca_file
            if wanted not in self._contexts:
                self._contexts[wanted] = await asyncio.to_thread(trust, ca_file, tls_keys)
            return self._contexts[wanted]

    async def _send(self, call: Call, hop: _Hop) -> _Exchange:
        origin = addresses.origin_of(hop.url)
        key = _Key(
            session=call.session,
            reach=hop.reach,
            proxy=hop.proxy,
            secure=origin.scheme == "https",
            ca_file=call.ca_file,
            tls_keys=call.tls_keys,
        )
        fresh = False
        simulation = self._watch.simulation
        if simulation.version:
            hop = replace(hop, headers=simulation.asks(hop.headers))
        while True:
            try:
                client = await self._client(key, origin, fresh=fresh)
            except ValueError as exc:
                hint = proxies.ADDRESS_HINT
                raise _failure(Code.CANNOT_CONNECT, str(exc), "net.proxy", hop.url, hint=hint) from exc
            except OSError as exc:
                raise _failure(
                    Code.TLS_UNTRUSTED,
                    f"The own authorities cannot be read from {call.ca_file}.",
                    "tls.ca-file",
                    hop.url,
                    hint="Put the PEM file there again, or go without it.",
                ) from exc
            except KeysUnwritable as exc:
                raise _failure(
                    Code.CANNOT_CREATE_FILE,
                    f"The keys of the connections cannot be written to {call.tls_keys}: {exc}.",
                    "tls.keys-file",
                    hop.url,
                    hint="Name another file, or go without it.",
                ) from exc
            start = time.monotonic()
            shown = f"{origin.scheme}://{origin.authority}/…" if call.secret_path else redacted(hop.url)
            trace = Trace(method=hop.method, url=shown, fetch_start=start)
            content = hop.content() if callable(hop.content) else hop.content
            client.backend.expect_upload(self._outgoing(call, content, hop, client))
            try:
                response = await client.handle_async_request(_request(call, self._with_cookies(call, hop), content))
            except (asyncio.CancelledError, TransferFailure):  # the latter of whoever makes the content
                client.close()
                _mark(trace, client)
                if call.traces is not None:
                    call.traces.append(trace)
                raise
            except Exception as exc:
                stream = client.backend.stream
                client.close()
                answered = stream is not None and stream.answered
                died = stream is not None and stream.reused and not answered and isinstance(exc, httpcore.NetworkError)
                if died and not fresh and hop.method in IDEMPOTENT:
                    fresh = True  # the server closed a kept connection as we wrote: not a failure of this attempt
                    continue
                _mark(trace, client)
                if call.traces is not None:
                    call.traces.append(trace)
                failure = translate(exc, hop.url, responded=answered, speaker=client.backend.speaker)
                raise TransferFailure(failure) from exc
            exchange = _Exchange(client, response, hop, trace)
            if simulation.version:
                exchange.head = replace(exchange.head, headers=simulation.answer(exchange.head.headers))
            await self._keep_cookies(call, hop, exchange.head)
            if call.traces is not None:
                call.traces.append(trace)
            return exchange

    def _signed(self, call: Call, hop: _Hop, refusal: Response | None = None) -> _Hop | None:
        """With the answer to the Digest challenge of a 401, or, before there was one, to the last that the login met.
        None where the request has no login, or the refusal no such challenge. Basic stays where it is wanted.
        """
        value = next((value for name, value in hop.headers if name.lower() == "authorization"), "")
        waits, plain = login_in(value), basic_in(value)
        if (login := waits or plain) is None:
            return None
        key = (call.session, addresses.origin_of(hop.url), login)
        answer = ""
        if refusal is not None:
            field = refusal.header("WWW-Authenticate") if refusal.status == 401 else ""
            offer = digest_offer(field)
            if offer is None or (plain and any(scheme == "basic" for scheme, _ in offers(field))):
                return None
            answer = self._digests.setdefault(key, _Digest(login)).first(hop, offer)
        elif key in self._digests:
            answer = self._digests[key].next(hop)
        elif plain:
            return hop
        others = tuple((name, text) for name, text in hop.headers if name.lower() != "authorization")
        return replace(hop, headers=(*others, ("Authorization", answer)) if answer else others)

    def _outgoing(self, call: Call, content: bytes | Content | None, hop: _Hop, client: _Client) -> Outgoing | None:
        heard = functools.partial(_tell_interim, call, hop, client) if call.on_interim is not None else None
        if call.sending is None or content is None:
            return None if heard is None else Outgoing(counter=Progress(), heard=heard)
        counter, limiters = call.sending, call.limiters
        if not isinstance(content, FileBody):
            return Outgoing(counter=counter, limiters=limiters, heard=heard)
        body, pump = content, self._pumps.for_fd(content.fd)
        told: Callable[[bytes], object] | None = None
        if heard is not None:
            told = functools.partial(asyncio.get_running_loop().call_soon_threadsafe, heard)

        async def give(sock: socket.socket, at: int, count: int, stall: float) -> Given:
            return await pump.give(
                sock,
                body.fd,
                body.offset + at,
                count,
                counter,
                check=body.check,
                heard=told,
                stall=stall,
                limiters=limiters,
            )

        return Outgoing(counter=counter, limiters=limiters, give=give, heard=heard)

    def _with_cookies(self, call: Call, hop: _Hop) -> _Hop:
        """The request's own cookies, those of its file and the session's, in one field."""
        jar = (self._cookies.get(call.session) if call.cookies else None) or Jar(public_suffixes.is_public)
        pairs = jar.pairs(hop.url, time.time(), call.own_cookies)
        return replace(hop, headers=carried_headers.with_cookies(hop.headers, pairs)) if pairs else hop

    async def _keep_cookies(self, call: Call, hop: _Hop, head: Response) -> None:
        fields = [value for name, value in head.headers if name.lower() == "set-cookie"] if call.cookies else []
        if not fields:
            return
        if any("domain" in text.lower() for text in fields):
            await asyncio.to_thread(public_suffixes.load)
        self._cookies.setdefault(call.session, Jar(public_suffixes.is_public)).take(hop.url, fields, time.time())


class _Digest:
    """One login's answers to the Digest challenges of one server; the hashes are httpx's."""

    def __init__(self, login: tuple[str, str]) -> None:
        self._auth = httpx.DigestAuth(*login)

    def next(self, hop: _Hop) -> str:
        """The answer to the last challenge once more, with the next count."""
        flow = self._auth.auth_flow(httpx.Request(hop.method, hop.url, headers=[_host(hop.url)]))
        return _as_read(next(flow).headers["Authorization"])

    def first(self, hop: _Hop, offer: Mapping[str, str]) -> str:
        """The answer to a new challenge, which `challenges.digest_offer` found."""
        request = httpx.Request(hop.method, hop.url, headers=[_host(hop.url)])
        parts = [f"{name}={offer[name]}" for name in ("realm", "nonce", "opaque", "algorithm") if offer.get(name)]
        parts += ["qop=auth"] if "qop" in offer else []
        field = f"Digest {', '.join(parts)}".encode("latin-1")
        flow = self._auth.auth_flow(request)
        next(flow)
        flow.send(httpx.Response(401, headers=[(b"WWW-Authenticate", field)], request=request))
        return _as_read(request.headers["Authorization"])


def _as_read(value: str) -> str:
    """As fields are kept: a character for each byte."""
    return value.encode().decode("latin-1")


class _Exchange:
    """A request whose final head is here: the client that carries it, and how its body is framed."""

    def __init__(self, client: _Client, response: httpx.Response, hop: _Hop, trace: Trace) -> None:
        start = trace.fetch_start
        self.trace = trace
        self.client = client
        self.response = response
        self.hop = hop
        stream = client.backend.stream
        assert stream is not None
        self.stream: Stream = stream
        self.head = _record(response, hop.url, stream.remote_address)
        proxy = client.backend.speaker
        if proxy is not None and proxies.answers_itself(self.head.status, self.head.header):
            self.head = replace(self.head, by_proxy=proxy.authority)
        self.framing = _framing(self.head, hop.method)
        stream.expect_body(self.framing)
        self.timing = Timing(
            start=start,
            connected=start if stream.reused else max(start, stream.connected_at),
            head=time.monotonic(),
        )
        _mark(trace, client)
        trace.status, trace.protocol = self.head.status, self.head.http_version.lower()
        self._chunks: AsyncIterator[bytes] | None = None

    async def next_chunk(self) -> bytes:
        """The next bytes of the body as h11 frames them; b"" at its end."""
        if self._chunks is None:
            self._chunks = aiter(cast(_Body, self.response.stream))
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            return b""

    async def discard(self, transport: Transport) -> None:
        """Read a small body to its end, so that the connection can be kept; give up a large one."""
        try:
            if isinstance(self.framing, int) and self.framing <= DISCARDED:
                while chunk := await self.next_chunk():
                    self.trace.response_body_bytes += len(chunk)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException):
            pass
        finally:
            self.trace.response_end = time.monotonic()
            await self.close(transport)

    async def close(self, transport: Transport) -> None:
        """Keep the connection where h11 saw the end of the body, close it otherwise."""
        try:
            if self.framing == 0:
                await self.next_chunk()  # tells h11 the end
            await self.response.aclose()
        except BaseException:
            self.stream.close()
            raise
        finally:
            await self._unwind()
            if self.framing is Framing.CHUNKED and self.head.header("Content-Length"):
                self.stream.close()  # two lengths: who is in between may see another end (RFC 9112 §6.3)
            transport.take_back(self.client)

    async def _unwind(self) -> None:
        # Closing httpcore's nested generators in the middle leaves the inner ones to the garbage collector, which
        # under Qt's loop has nobody to run them. A read that fails on the closed socket ends them all.
        with contextlib.suppress(Exception):
            while self._chunks is not None and await self.next_chunk():
                pass


class Answer:
    """A final head, and the body behind it. Close it; reading it to the end is not enough."""

    def __init__(
        self, transport: Transport, exchange: _Exchange, hop: _Hop, call: Call, redirects: tuple[str, ...]
    ) -> None:
        self._transport = transport
        self._exchange = exchange
        self._url = hop.url
        self._speaker = exchange.client.backend.speaker
        self._idle_timeout = call.idle_timeout
        self._rest = b""  # of a chunk, behind the end of a part that was asked for
        self._taken = 0  # bytes of the body handed out
        self._detached: tuple[bytes, socket.socket] | None = None
        self._closed = False
        self.response: Response = exchange.head
        origin = addresses.origin_of(hop.url)
        self.strayed = call.strayed or any(addresses.origin_of(url) != origin for url in redirects)
        self.redirects = redirects
        self.content_length = exchange.framing if isinstance(exchange.framing, int) else None
        self.content_coding = _coding(exchange.head)
        self.timing = exchange.timing
        self.extra = False  # bytes came behind the announced length; none of them was written

    def __repr__(self) -> str:
        return f"<Answer {self.response.status} {redacted(self._url)}, {self._taken} of {self.content_length}>"

    @property
    def confines(self) -> bool:
        """Whether an address that this server names must not lead into a private network."""
        return _confines(self._exchange.hop, self._exchange.stream.remote_address, self._exchange.client.backend.target)

    @property
    def taken_over(self) -> bool:
        """Whether the body went to the pump, past h11."""
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
    ) -> int:
        """Write the body to an open file from `offset` on and return how many bytes were written.

        Every byte that arrived is written and added to `progress.received`, also when this raises or is cancelled;
        it returns or raises only when no thread uses `fd` any more. With `length` exactly so many bytes are taken
        and the next call goes on behind them. `decode` is a content coding that is undone and must be whole.
        Raises TransferFailure: -1005 for an early end (D-15), -1001 when nothing came for the idle time, -1015 or
        -1016 for a coding that is damaged or unknown, -1103 beyond `limit` bytes, -3003 where the disk fails.
        """
        remaining = None if self.content_length is None else self.content_length - self._taken
        if limit is not None and not decode and remaining is not None and min(remaining, length or remaining) > limit:
            raise self.too_big(limit)
        decoder = Decoder(decode) if decode else None
        if decoder is None and self._may_take_over(remaining):
            assert remaining is not None
            wanted = remaining if length is None else min(length, remaining)
            return await self._pumped(fd, offset, wanted, progress, limiters, hasher)
        self._exchange.stream.limiters = limiters
        return await self._written(fd, offset, progress, decoder, hasher, length, limit)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, for one that never ends. Raises TransferFailure: -1001 after the idle time, -1005."""
        while data := await self._next():
            yield data

    async def peek(self, most: int) -> bytes:
        """The next bytes of the body as they come, still coded, at most so many; they stay to be received.

        What was peeked at comes through the loop, and so does all that follows. Raises TransferFailure as `receive`.
        """
        ahead = bytearray()
        try:
            while len(ahead) < most and (chunk := await self._next()):
                ahead += chunk
        except Exception as exc:
            raise TransferFailure(translate(exc, self._url, responded=True)) from exc
        self._rest = bytes(ahead)
        return self._rest[:most]

    async def read(self, limit: int) -> bytes:
        """At most `limit` bytes of a small body, decoded where it is coded; what is behind them is dropped."""
        verdict = await self.judged()
        if verdict.still_coded:
            raise self._damaged(UnknownCodingError("not to be undone"))
        decoder = Decoder(verdict.undo) if verdict.undo else None
        out = bytearray()
        try:
            while len(out) < limit and (chunk := await self._next()):
                for piece in decoder.decode(chunk) if decoder else (chunk,):
                    out += piece
                    if len(out) >= limit:
                        break
        except CodingError as exc:
            raise self._damaged(exc) from exc
        except Exception as exc:
            raise TransferFailure(translate(exc, self._url, responded=True, speaker=self._speaker)) from exc
        return bytes(out[:limit])

    async def aclose(self) -> None:
        """Give the connection back, or close it when the body was not read to its end."""
        if self._closed:
            return
        self._closed = True
        trace = self._exchange.trace
        trace.response_end, trace.response_body_bytes = time.monotonic(), self._taken
        await self._exchange.close(self._transport)

    async def judged(self, name: str = "") -> labels.Verdict:
        """What its Content-Encoding is worth; `name` is the server's. The bytes that are looked at stay in the body.

        Raises TransferFailure as `receive` does.
        """
        label = self.response.header("Content-Encoding")
        kind = self.response.header("Content-Type")
        first, whole = b"", self.content_length == 0 or not self.content_coding
        try:
            while True:
                verdict = labels.judge(label, name=name, kind=kind, first=first, whole=whole, opens=codings.opens)
                if verdict is not None:
                    return verdict
                first, whole = await self._look(len(first) + 1)
        except Exception as exc:
            raise TransferFailure(translate(exc, self._url, responded=True, speaker=self._speaker)) from exc

    async def _look(self, count: int) -> tuple[bytes, bool]:
        """The body's first bytes, `count` or more, or all of it."""
        if self.content_length is not None:
            wanted = min(count, self.content_length)
            first = (await self._exchange.stream.peek(wanted, self._idle_timeout))[: self.content_length]
            return first, len(first) == self.content_length
        while len(self._rest) < count:
            chunk = await self._exchange.next_chunk()
            if not chunk:
                return self._rest, True
            self._rest += chunk
        return self._rest, False

    # ---- past h11

    def _may_take_over(self, remaining: int | None) -> bool:
        if self._detached is not None:
            return True
        stream = self._exchange.stream
        untouched = self._taken == 0 and not self._rest
        return untouched and remaining is not None and remaining > TAKEOVER and stream.head_seen

    async def _pumped(
        self,
        fd: int,
        offset: int,
        wanted: int,
        progress: Progress,
        limiters: Sequence[Limiter],
        hasher: Hasher | None,
    ) -> int:
        if self._detached is None:
            self._detached = self._exchange.stream.detach_body()
        first, sock = self._detached
        self._detached = (first[wanted:], sock)
        assert self.content_length is not None
        ends = self._taken + wanted == self.content_length
        before = progress.received
        try:
            outcome = await self._transport.pumps.for_fd(fd).receive(
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
            )
        finally:
            self._taken += progress.received - before
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
            return TransferFailure(disk_error(outcome.error, self._url))
        exc: Exception
        if outcome.reason == "stalled":
            exc = httpcore.ReadTimeout("no byte arrived in time")
        elif outcome.reason == "closed":
            exc = ClosedEarly("the connection ended before the body did")
        else:
            exc = httpcore.ReadError(str(outcome.error))
            exc.__cause__ = outcome.error
        failure = TransferFailure(translate(exc, self._url, responded=True, speaker=self._speaker))
        failure.__cause__ = outcome.error
        return failure

    # ---- through h11

    async def _next(self) -> bytes:
        if self._rest:
            chunk, self._rest = self._rest, b""
            return chunk
        return await self._exchange.next_chunk()

    async def _written(
        self,
        fd: int,
        offset: int,
        progress: Progress,
        decoder: Decoder | None,
        hasher: Hasher | None,
        length: int | None,
        limit: int | None,
    ) -> int:
        writer = _Writer(fd, offset, progress, hasher)
        self._exchange.stream.before_wait = writer.before_wait
        try:
            try:
                await self._fill(writer, decoder, length, limit)
            finally:
                self._exchange.stream.before_wait = None
                await writer.finish()
        except TransferFailure:
            raise
        except CodingError as exc:
            raise self._damaged(exc) from exc
        except OSError as exc:  # httpcore wraps the network's; this one is the file's
            raise TransferFailure(disk_error(exc, self._url)) from exc
        except Exception as exc:
            raise TransferFailure(translate(exc, self._url, responded=True, speaker=self._speaker)) from exc
        return writer.written

    async def _fill(self, writer: _Writer, decoder: Decoder | None, length: int | None, limit: int | None) -> None:
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
            await self._exchange.next_chunk()  # lets h11 see the end, so that the connection can be kept

    def _damaged(self, exc: Exception) -> TransferFailure:
        unknown = isinstance(exc, UnknownCodingError)
        return _failure(
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
        return _failure(
            Code.DATA_TOO_LARGE,
            f"The file is larger than the limit of {limit} bytes.",
            "pol.too-big",
            self._url,
            hint="Raise the limit if you want the whole file.",
        )


class _Writer:
    """Writes a body that comes through the loop: small ones at once, large ones in batches in a thread."""

    SOON = 0.1  # seconds that received bytes may wait for a full batch

    def __init__(self, fd: int, offset: int, progress: Progress, hasher: Hasher | None) -> None:
        self._fd = fd
        self._offset = offset
        self._progress = progress
        self._hasher = hasher
        self._batch: list[bytes] = []
        self._batched = 0
        self._writing: asyncio.Future[tuple[int, OSError | None]] | None = None
        self._timer: asyncio.Handle | None = None
        self._error: OSError | None = None
        self.taken = 0
        self.written = 0

    async def add(self, data: bytes) -> None:
        """Raises OSError of this or an earlier write."""
        self._batch.append(data)
        self._batched += len(data)
        self.taken += len(data)
        if self._batched >= BATCH:
            await self._settle()
            self._start()

    def before_wait(self) -> None:
        """Nothing more is there for now: what came must not wait long for a full batch."""
        if self._batch and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.SOON, self._tick)

    async def finish(self) -> None:
        """Write what is left and wait for the thread, also when cancelled. Raises OSError."""
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is None:
            self._start()
        if self._writing is not None:
            await until_done(self._write_rest())
        if self._error is not None:
            raise self._error

    async def _write_rest(self) -> None:
        await self._settle()
        self._start()
        await self._settle()

    async def _settle(self) -> None:
        while self._writing is not None:
            await until_done(asyncio.wait({self._writing}))
            await asyncio.sleep(0)  # the callback that counts runs first
        if self._error is not None:
            raise self._error

    def _tick(self) -> None:
        self._timer = None
        if self._writing is None:
            self._start()
        else:
            self.before_wait()

    def _start(self) -> None:
        if not self._batch or self._error is not None:  # behind a gap nothing may be written
            return
        batch, self._batch, self._batched = self._batch, [], 0
        if self.taken <= TAKEOVER:
            self._count(*_write_batch(self._fd, batch, self._offset, self._hasher))
            return
        self._writing = asyncio.ensure_future(
            asyncio.to_thread(_write_batch, self._fd, batch, self._offset, self._hasher)
        )
        self._writing.add_done_callback(self._wrote)

    def _wrote(self, writing: asyncio.Future[tuple[int, OSError | None]]) -> None:
        self._writing = None
        self._count(*writing.result())

    def _count(self, written: int, error: OSError | None) -> None:
        self._offset += written
        self.written += written
        self._progress.received += written
        self._error = error


def _write_batch(fd: int, batch: list[bytes], offset: int, hasher: Hasher | None) -> tuple[int, OSError | None]:
    begin = offset
    for data in batch:
        view = memoryview(data)
        while view:
            try:
                count = os.pwrite(fd, view, offset)
            except OSError as exc:
                return offset - begin, exc
            if hasher is not None:
                hasher.update(view[:count])
            offset += count
            view = view[count:]
    return offset - begin, None


def _mark(trace: Trace, client: _Client) -> None:
    """Note what the connection knows of the exchange."""
    backend, stream = client.backend, client.backend.stream
    if stream is None:
        trace.lookup = backend.lookup
        return
    trace.reused, trace.remote_address = stream.reused, stream.remote_address
    if not stream.reused:
        trace.lookup, trace.connect, trace.secure = backend.lookup, backend.connecting, stream.secured
    if stream.sent_head:
        began, ended = stream.sent
        trace.request = (began, max(began, ended))
    trace.response_start = stream.head_began
    trace.request_header_bytes, trace.request_body_bytes = stream.sent_head, stream.sent_body
    trace.response_header_bytes = stream.head_bytes


# ---- requests and redirects


def _first_hop(call: Call) -> _Hop:
    url = addresses.check_url(call.url)
    clean, authorization = addresses.without_credentials(url)
    if authorization and call.origin is not Origin.TYPED:
        raise addresses.refused(
            url,
            Code.BAD_URL,
            "The address holds a user name, which addresses from others may not.",
            "Type the address yourself if you trust it.",
            "pol.bad-url",
        )
    headers = dict(call.headers)
    if authorization and "authorization" not in {name.lower() for name in headers}:
        headers["Authorization"] = authorization
    if callable(call.content) and call.content_length is not None:
        headers["Content-Length"] = str(call.content_length)
    reach = Reach(anywhere=call.origin is Origin.TYPED and not call.confined, allowed=call.allowed)
    proxy = _proxy_for(call, clean, reach)
    fields = carried_headers.first(headers, _DEFAULTS)
    return _Hop(url=clean, method=call.method, headers=fields, content=call.content, reach=reach, proxy=proxy)


def _request(call: Call, hop: _Hop, made: bytes | Content | None) -> httpx.Request:
    wait = call.idle_timeout
    content: bytes | _Content | None
    if isinstance(made, FileBody):
        content = _Content(_Blanks(made.length))
    else:
        content = made if isinstance(made, bytes | None) else _Content(made)
    request = httpx.Request(
        hop.method,
        hop.url,
        headers=[_host(hop.url), *((name.encode("ascii"), _header_bytes(value)) for name, value in hop.headers)],
        content=content,
        extensions={"timeout": {"connect": wait, "read": wait, "write": wait, "pool": wait}},
    )
    if isinstance(content, _Content):
        request.stream = content  # in place of a generator around it
    return request


def _host(url: str) -> tuple[bytes, bytes]:
    """The field Host: httpx would decode the name first, and refuses those of IDNA 2003."""
    return b"Host", urlsplit(url).netloc.encode("ascii")


def _header_bytes(value: str) -> bytes:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8")


def _target(call: Call, hop: _Hop, head: Response) -> str | None:
    if head.status not in REDIRECTS:
        return None
    locations = {value for name, value in head.headers if name.lower() == "location"}
    if len(locations) > 1:
        raise _failure(
            Code.REDIRECT_WITHOUT_TARGET, "The server redirected to two addresses at once.", "srv.redirect", hop.url
        )
    location = locations.pop() if locations else ""
    with contextlib.suppress(UnicodeError):
        location = location.encode("latin-1").decode("utf-8")  # some servers send it unencoded
    return addresses.redirect_target(hop.url, location, allows_insecure=call.allows_insecure_redirects)


def _next_hop(call: Call, hop: _Hop, exchange: _Exchange, target: str) -> _Hop:
    method, content, headers = hop.method, hop.content, hop.headers
    status = exchange.head.status
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        method, content = "GET", None
        headers = tuple((name, value) for name, value in headers if name.lower() not in _OF_THE_BODY)
    if addresses.origin_of(target) != addresses.origin_of(hop.url):
        headers = carried_headers.carried(
            headers,
            base=hop.url,
            target=target,
            person=call.sensitive,
            marked=call.sent_along,
            defaults=_DEFAULTS,
        )
        if content:
            raise _failure(
                Code.REDIRECT_WITHOUT_TARGET,
                f"The server wants the upload sent to another server, {addresses.origin_of(target).authority}.",
                "pol.redirected-upload",
                target,
                hint="Upload to an address there, if you trust that server.",
            )
    reach = hop.reach
    behind = exchange.client.backend.target if hop.proxy else ""
    if reach.anywhere and _confines(hop, exchange.stream.remote_address, behind):
        reach = Reach(anywhere=False, allowed=reach.allowed)  # public to private is refused for typed ones too (R2)
    proxy = _proxy_for(call, target, reach)
    return _Hop(url=target, method=method, headers=headers, content=content, reach=reach, proxy=proxy)


def _straight_hop(call: Call, first: _Hop) -> _Hop:
    """To where a redirect of the first hop led before, as if it had led there again.

    Which network the first one is in is not known without asking it, so a target of its own name alone may be private.
    """
    target = addresses.redirect_target(first.url, call.resumes_at, allows_insecure=call.allows_insecure_redirects)
    headers, reach = first.headers, first.reach
    if call.strayed or addresses.origin_of(target) != addresses.origin_of(first.url):
        headers = carried_headers.carried(
            headers, base=first.url, target=target, person=call.sensitive, marked=call.sent_along, defaults=_DEFAULTS
        )
        if addresses.origin_of(target).host != addresses.origin_of(first.url).host:
            reach = Reach(anywhere=False, allowed=reach.allowed)
    proxy = _proxy_for(call, target, reach)
    return replace(first, url=target, headers=headers, reach=reach, proxy=proxy)


def _confines(hop: _Hop, remote_address: str, behind: str = "") -> bool:
    """Whether what this server names must not lead into a private network. `behind` is its address behind a proxy, where
    it was looked up here; else its name alone can say that it is private itself.
    """
    if not hop.reach.anywhere:
        return True
    if not hop.proxy:
        return not remote_address or is_public(remote_address)
    host = behind or addresses.origin_of(hop.url).host
    return not proxies.is_judged_here(host) or _is_public(host)


def _tell_interim(call: Call, hop: _Hop, client: _Client, data: bytes) -> None:
    stream = client.backend.stream
    if stream is None or call.on_interim is None:
        return
    for head in interim_heads(data):
        first, *lines = head.decode("latin-1").splitlines()
        status = first.partition(" ")[2][:3]
        pairs = (line.partition(":") for line in lines if ":" in line)
        response = Response(
            status=int(status) if status.isdigit() else 100,
            url=hop.url,
            headers=tuple((name.strip(), value.strip()) for name, _, value in pairs),
            remote_address=stream.remote_address,
        )
        call.on_interim(response, _confines(hop, stream.remote_address, client.backend.target))


def _record(response: httpx.Response, url: str, remote_address: str) -> Response:
    version = response.extensions.get("http_version", b"HTTP/1.1")
    return Response(
        status=response.status_code,
        url=url,
        headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw),
        http_version=version.decode("ascii", "replace"),
        remote_address=remote_address,
    )


def _framing(head: Response, method: str) -> int | Framing:
    """How the body ends (RFC 9112 §6.3); h11 has refused contradictions before."""
    if method == "HEAD" or head.status in (204, 304):
        return 0
    if head.header("Transfer-Encoding"):
        return Framing.CHUNKED
    lengths = {part.strip() for part in head.header("Content-Length").split(",")} - {""}
    return int(lengths.pop()) if len(lengths) == 1 else Framing.UNTIL_CLOSE


def _beyond_files(length: bytes) -> bool:
    return any(part.strip().isdigit() and int(part) > LONGEST for part in length[:200].split(b","))


def _coding(head: Response) -> str:
    return ", ".join(labels.codings_in(head.header("Content-Encoding")))


# ---- proxies


def _proxy_for(call: Call, url: str, reach: Reach) -> str:
    proxy = _configured_proxy(call, addresses.origin_of(url))
    if proxy and not reach.anywhere:
        _refuse_behind_proxy(proxy, url, reach, given=call.origin is not Origin.TYPED)
    return proxy


def _configured_proxy(call: Call, origin: addresses.Origin) -> str:
    if call.proxy == "" or proxies.is_loopback(origin.host):
        return ""
    if call.proxy is not None:
        return call.proxy
    proxy = system_proxy(origin)
    return call.proxy_logins.get(proxies.shown(proxy), proxy)


def system_proxy(origin: addresses.Origin) -> str:
    """The address of the proxy that the system names for such addresses; "" when it names none."""
    return proxies.named_by(os.environ, origin)


def _refuse_behind_proxy(proxy: str, url: str, reach: Reach, *, given: bool) -> None:
    # A proxy that resolves the name sees alone where it leads (R3). What others name needs a permission; a redirect
    # of a typed address is refused only where the host says by itself that its target is private.
    origin = addresses.origin_of(url)
    if origin.authority in reach.allowed or not _resolves(proxy):
        return
    if proxies.is_judged_here(origin.host) and not _is_public(origin.host):
        raise TransferFailure(_private(origin.host, url))
    if given:
        raise addresses.refused(
            url,
            Code.CANNOT_CONNECT,
            "Addresses from others are not loaded through a proxy, where nobody can check what they lead to.",
            f"Allow {origin.authority} in the settings if you trust it.",
            "pol.proxy",
        )


def _resolves(proxy: str) -> bool:
    try:
        return proxies.parse(proxy).resolves
    except ValueError:
        return True  # it is refused in words before anything is sent


def _is_public(host: str) -> bool:
    try:
        return is_public(host)
    except ValueError:  # no address as such are written: a name of the proxy's own network, or an odd spelling
        return False


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


class KeysUnwritable(Exception):  # noqa: N818 - a failure of the outside, soon in words
    """The file for the keys of connections cannot be written."""


def trust(ca_file: str, tls_keys: str = "") -> ssl.SSLContext:
    """What the system trusts, and the authorities in a PEM file; "" for none. With `tls_keys` a context of its own whose
    connections write their keys there, in a file for nobody else's eyes. Raises OSError when the first is no such file,
    KeysUnwritable when the second cannot be written.
    """
    context = system_trust()
    if ca_file:
        context.load_verify_locations(ca_file)
    if tls_keys:
        try:
            os.close(os.open(tls_keys, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600))
            context.keylog_filename = tls_keys
        except OSError as exc:
            raise KeysUnwritable(os.strerror(exc.errno or errno.EIO)) from exc
    return context


def system_trust() -> ssl.SSLContext:
    """A context that trusts what the system trusts. Takes 20 ms: build it in a thread, once.

    truststore asks the system on Windows and macOS. On Linux it would read the bundle again for every connection,
    20 ms each on the loop, so its part is only to find the bundle where OpenSSL does not.
    """
    where = ssl.get_default_verify_paths()
    if sys.platform == "linux" and where.cafile:
        # Not by create_default_context, which lets the variable SSLKEYLOGFILE give all keys away.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_default_certs()
    else:
        import truststore

        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # whatever the system's OpenSSL would still take (RFC 8996)
    return context


# ---- failures in words


def _failure(code: Code, message: str, reason: str, url: str, *, hint: str = "") -> TransferFailure:
    return TransferFailure(
        TransferError(code=code, message=message, reason=reason, hint=hint, url=redacted(url), retry=Retry.FINAL)
    )


_DISK_WORDS = {
    errno.ENOSPC: ("disk.full", "The disk is full."),
    errno.EDQUOT: ("disk.full", "Your quota on this disk is used up."),
    errno.EROFS: ("disk.read-only", "The disk has become read-only."),
    errno.EFBIG: ("disk.too-large", "This disk cannot hold a file of that size."),
    errno.ESPIPE: ("disk.append", "This disk takes a file in one go only, from its beginning."),  # rclone without cache
}


def disk_error(exc: OSError, url: str) -> TransferError:
    """-3003: `disk.full` waits for space, `disk.io` is final; what was written before is kept (X-05)."""
    reason, message = _DISK_WORDS.get(exc.errno or 0, ("disk.io", ""))
    full, again = reason == "disk.full", reason == "disk.append"
    return TransferError(
        code=Code.CANNOT_WRITE_FILE,
        message=message or f"The file cannot be written: {os.strerror(exc.errno or errno.EIO)}.",
        hint="Free some space." if full else "Check the disk, or choose another folder.",
        reason=reason,
        url=redacted(url),
        retry=Retry.WAIT if full else Retry.RETRY if again else Retry.FINAL,
    )


def translate(exc: BaseException, url: str, *, responded: bool, speaker: Proxy | None = None) -> TransferError:
    """The record of what the network, the server or the trust did wrong. Never empty words. `speaker` is
    the proxy where it, and not the server, is at the other end of the connection.
    """
    if isinstance(exc, ProxyFailed):
        return _proxy_failed(exc, url, responded)
    host = f"the proxy at {speaker.authority}" if speaker is not None else urlsplit(url).hostname or "the server"
    error = _translated(exc, host, url, responded)
    return error if speaker is None else replace(error, message=proxies.capital(error.message))


def _login_refused(exchange: _Exchange) -> TransferError | None:
    """The failure of a proxy that refuses its login as if it were the server."""
    proxy, head = exchange.client.backend.speaker, exchange.head
    if proxy is None or not proxies.refuses_login(proxy, head.status, head.header("Server")):
        return None
    return proxies.answered(proxy, "login", exchange.hop.url)


def _proxy_failed(exc: ProxyFailed, url: str, responded: bool) -> TransferError:
    if isinstance(exc.cause, Refused):
        return proxies.answered(exc.proxy, exc.cause.reason, url)
    if isinstance(exc.cause, NoSocks):
        return proxies.answered(exc.proxy, "no socks", url)
    error = translate(exc.cause, url, responded=responded, speaker=exc.proxy)
    if error.reason == "net.refused":
        error = replace(error, reason="net.proxy")
    elif error.reason == "net.unknown-host":
        error = replace(error, message=f"There is no proxy at {exc.proxy.authority}: nobody knows the name.")
    return replace(error, hint=proxies.SETTINGS_HINT) if error.retry is Retry.RETRY else error


def _translated(exc: BaseException, host: str, url: str, responded: bool) -> TransferError:
    say = functools.partial(_say, url=url)
    if isinstance(exc, AddressRefused):
        return _private(host, url)
    if isinstance(exc, (httpcore.TimeoutException, httpx.TimeoutException, TimeoutError)):
        message = f"{host} sent nothing for too long."
        if isinstance(exc, (httpcore.ConnectTimeout, httpx.ConnectTimeout)):
            message = f"{host} could not be reached in time."
        elif isinstance(exc, httpcore.WriteTimeout):
            message = f"{host} took nothing for too long."
        return say(Code.TIMED_OUT, message, "net.timeout", Retry.RETRY)
    if isinstance(exc, (httpcore.ProxyError, httpx.ProxyError)):
        return _proxy_error(exc, host, url)
    if isinstance(exc, ClosedEarly):
        return _lost(host, url, "net.closed", responded)
    if isinstance(exc, NotHTTP):
        hint = "Check the address and the port."
        return say(
            Code.CANNOT_PARSE_RESPONSE, f"{host} answered with something that is not HTTP.", "srv.protocol", hint=hint
        )
    if isinstance(exc, HeadTooLarge):
        return say(Code.CANNOT_PARSE_RESPONSE, f"The head of the answer from {host} is too large.", "srv.protocol")
    if isinstance(exc, (httpcore.RemoteProtocolError, httpx.RemoteProtocolError)):
        return say(Code.CANNOT_PARSE_RESPONSE, f"The answer from {host} is malformed.", "srv.protocol")
    if isinstance(exc, (httpcore.LocalProtocolError, httpx.LocalProtocolError, UnicodeEncodeError)):
        return say(
            Code.UNKNOWN, "The request holds a header that cannot be sent.", "req.header", hint="Check the headers."
        )
    if isinstance(exc, (httpcore.UnsupportedProtocol, httpx.UnsupportedProtocol)):
        return say(Code.UNSUPPORTED_URL, "Only http and https addresses can be loaded.", "pol.scheme")
    if isinstance(exc, httpx.InvalidURL):
        return say(Code.BAD_URL, "The address is not valid.", "pol.bad-url", hint="Check the address.")
    return _from_system(exc, host, url, responded)


def _say(
    code: Code, message: str, reason: str, retry: Retry = Retry.FINAL, hint: str = "", *, url: str
) -> TransferError:
    return TransferError(code=code, message=message, reason=reason, hint=hint, url=redacted(url), retry=retry)


def _from_system(exc: BaseException, host: str, url: str, responded: bool) -> TransferError:
    connecting = isinstance(exc, (httpcore.ConnectError, httpx.ConnectError))
    cause = _system_cause(exc)
    if isinstance(cause, socket.gaierror):
        return _name_error(cause, host, url)
    if ended_without_close(cause):
        return _lost(host, url, "net.closed", responded)
    if isinstance(cause, ssl.SSLError):
        return tls_error(cause, host, url)
    if isinstance(cause, OSError):
        return _socket_error(cause, host, url, connecting, responded)
    if isinstance(cause, UnicodeError):
        return _say(Code.BAD_URL, "The host in the address is not a valid name.", "pol.bad-url", url=url)
    if isinstance(exc, (httpcore.NetworkError, httpx.NetworkError)):
        return _lost(host, url, "net.closed", responded)
    words = " ".join(f"{type(exc).__name__}: {exc}".split())[:200]
    return _say(Code.UNKNOWN, f"The transfer failed ({words}).", "net.unknown", url=url)


def _system_cause(exc: BaseException) -> BaseException | None:
    seen: BaseException | None = exc
    for _ in range(8):
        if seen is None or isinstance(seen, (OSError, UnicodeError)):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _lost(host: str, url: str, reason: str, responded: bool) -> TransferError:
    if not responded:
        message = f"{host} closed the connection before it answered."
    elif reason == "net.reset":
        message = f"The connection to {host} was reset."
    else:
        message = f"{host} ended the connection too early."
    return _say(Code.CONNECTION_LOST, message, reason, Retry.RETRY, url=url)


def _name_error(cause: socket.gaierror, host: str, url: str) -> TransferError:
    if cause.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
        return _say(
            Code.CANNOT_FIND_HOST,
            f"There is no server named {host}.",
            "net.unknown-host",
            Retry.RETRY,
            "Check the address.",
            url=url,
        )
    return _say(
        Code.DNS_LOOKUP_FAILED,
        f"The address of {host} could not be looked up.",
        "net.dns",
        Retry.RETRY,
        "Check the network connection.",
        url=url,
    )


_NO_NETWORK = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL})


def _socket_error(cause: OSError, host: str, url: str, connecting: bool, responded: bool) -> TransferError:
    number = cause.errno
    if number in (errno.EMFILE, errno.ENFILE):
        message, hint = "Too many files are open.", "Let fewer tasks run at once."
        return _say(Code.CANNOT_CONNECT, message, "sys.too-many-files", Retry.RETRY, hint, url=url)
    if number == errno.ECONNREFUSED:
        who = host if host.startswith("the proxy ") else f"The server at {host}"
        message, hint = f"{who} refused the connection.", "Check the port, or try again later."
        return _say(Code.CANNOT_CONNECT, message, "net.refused", Retry.RETRY, hint, url=url)
    if number == errno.ETIMEDOUT:
        return _say(Code.TIMED_OUT, f"{host} could not be reached in time.", "net.timeout", Retry.RETRY, url=url)
    if connecting and number in _NO_NETWORK:
        message, hint = f"There is no way to {host} from this network.", "Check the network connection."
        return _say(Code.NOT_CONNECTED, message, "net.unreachable", Retry.WAIT, hint, url=url)
    if number == errno.ECONNRESET:
        return _lost(host, url, "net.reset", responded)
    if connecting:
        message = f"{host} cannot be reached: {os.strerror(number or errno.EIO)}."
        return _say(Code.CANNOT_CONNECT, message, "net.connect", Retry.RETRY, "Check the network connection.", url=url)
    return _lost(host, url, "net.closed", responded)


def _private(host: str, url: str) -> TransferError:
    return _say(
        Code.CANNOT_CONNECT,
        f"{host} is inside a private network, where an address from outside may not lead.",
        "pol.private-address",
        Retry.FINAL,
        "Type the address yourself, or allow this host in the settings.",
        url=url,
    )


def _proxy_error(exc: BaseException, host: str, url: str) -> TransferError:
    if str(exc).startswith(("407", "401")):  # tinyproxy says 401 of a wrong password
        return _say(
            Code.AUTHENTICATION_REQUIRED,
            f"{host} needs a user name and password.",
            "net.proxy-auth",
            Retry.FINAL,
            "Try again and give them, or put them into the proxy's address.",
            url=url,
        )
    words = " ".join(str(exc).split())[:80]
    message = f"{host} did not open the way ({words})." if words else f"{host} did not open the way."
    return _say(Code.CANNOT_CONNECT, message, "net.proxy", Retry.RETRY, "Check the proxy in the settings.", url=url)


_VERIFY: dict[int, tuple[Code, str, str]] = {  # X509_V_ERR_*: code, reason, words
    9: (Code.TLS_NOT_YET_VALID, "tls.not-yet-valid", "The certificate of {host} is not valid yet."),
    10: (Code.TLS_BAD_DATE, "tls.expired", "The certificate of {host} has expired."),
    13: (Code.TLS_BAD_DATE, "tls.expired", "The certificate of {host} holds a date that cannot be read."),
    14: (Code.TLS_BAD_DATE, "tls.expired", "The certificate of {host} holds a date that cannot be read."),
    18: (Code.TLS_UNTRUSTED, "tls.untrusted", "The certificate of {host} is signed by itself."),
    2: (Code.TLS_UNKNOWN_ROOT, "tls.unknown-root", "The certificate of {host} comes from an unknown authority."),
    19: (Code.TLS_UNKNOWN_ROOT, "tls.unknown-root", "The certificate of {host} comes from an unknown authority."),
    20: (Code.TLS_UNKNOWN_ROOT, "tls.unknown-root", "The certificate of {host} comes from an unknown authority."),
    21: (Code.TLS_UNKNOWN_ROOT, "tls.unknown-root", "The certificate of {host} comes from an unknown authority."),
    23: (Code.TLS_UNTRUSTED, "tls.revoked", "The certificate of {host} was revoked."),
    62: (Code.TLS_UNTRUSTED, "tls.hostname", "The certificate belongs to another server than {host}."),
    64: (Code.TLS_UNTRUSTED, "tls.hostname", "The certificate belongs to another server than {host}."),
}
_REJECTED = (
    "ALERT_BAD_CERTIFICATE",
    "ALERT_UNKNOWN_CA",
    "ALERT_CERTIFICATE_EXPIRED",
    "ALERT_CERTIFICATE_REVOKED",
    "ALERT_CERTIFICATE_UNKNOWN",
    "ALERT_UNSUPPORTED_CERTIFICATE",
    "ALERT_ACCESS_DENIED",
)


def tls_error(exc: ssl.SSLError, host: str, url: str) -> TransferError:
    """-1200 to -1206; never tried again by itself (X-04)."""
    hint = "Somebody may be listening in, or the server is set up wrongly. Tell its owner."
    say = functools.partial(_say, retry=Retry.FINAL, hint=hint, url=url)
    if isinstance(exc, ssl.SSLCertVerificationError):
        other = (Code.TLS_UNTRUSTED, "tls.untrusted", "The certificate of {host} cannot be trusted.")
        code, reason, words = _VERIFY.get(exc.verify_code, other)
        if code in (Code.TLS_NOT_YET_VALID, Code.TLS_BAD_DATE):  # more often the computer's clock than the server
            say = functools.partial(say, hint=f"Check the date and time of this computer. {hint}")
        return say(code, words.format(host=host), reason)
    name = exc.reason or ""
    if "CERTIFICATE_REQUIRED" in name:
        return say(Code.TLS_CLIENT_REQUIRED, f"{host} asks for a certificate of yours.", "tls.client-required")
    if any(part in name for part in _REJECTED):
        return say(Code.TLS_CLIENT_REJECTED, f"{host} rejected the certificate.", "tls.client-rejected")
    if name in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        return say(Code.TLS_FAILED, f"{host} does not speak TLS on this port.", "tls.not-tls")
    if "PROTOCOL_VERSION" in name or name == "UNSUPPORTED_PROTOCOL":
        return say(Code.TLS_FAILED, f"{host} offers only outdated encryption.", "tls.outdated")
    return say(Code.TLS_FAILED, f"No secure connection to {host} could be made.", "tls.failed")
