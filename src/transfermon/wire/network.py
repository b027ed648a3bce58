"""The network under httpx: our own sockets behind httpcore's public backend interface, and the speed limiter.

Rule: the address that is connected to is the one that was checked (FAULTS R2, R3), and while the head of an answer
is expected a read returns nothing that lies behind it, so that a body can be taken over by the pump.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import random
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import Enum
from typing import Any, Protocol

import httpcore

from transfermon.http import heads
from transfermon.http.chunks import Chunks
from transfermon.http.proxies import Proxy
from transfermon.model.record import record
from transfermon.wire.connect import WANT as WANT  # these two are of use to whoever reads and connects
from transfermon.wire.connect import AddressRefused as AddressRefused
from transfermon.wire.connect import Dialer, wait_for
from transfermon.wire.simulation import NONE, Simulation

READ_SIZE = 256 * 1024  # the best size through h11; larger ones make it copy fresh pages
HEAD_READ_SIZE = 64 * 1024
HEAD_LIMIT = 100_000  # bytes of one header block (FAULTS R6)
INTERIM_LIMIT = 20  # 1xx answers before the final one (FAULTS R6)
CONNECT_LIMIT = 15.0  # seconds for all addresses of a host together (FAULTS D2)
SLICE = 0.002  # seconds of work for all streams together in one turn of the loop
SLOWEST = 16  # bytes per second over the time limit; a server that drips below it counts as silent (FAULTS D5)

_HEAD_END = re.compile(rb"\n\r?\n")  # h11 ends a header block here, bare line feeds included
_LONGEST_STATUS = 64  # bytes in which the status of an answer is found, or never
_DENIED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "::/96",  # IPv4-compatible
        "2002::/16",  # 6to4 carries an IPv4 address
        "64:ff9b::/96",  # so does NAT64
        "64:ff9b:1::/48",
        "fec0::/10",  # site-local
        "5f00::/16",  # segment routing
        "192.88.99.0/24",  # 6to4 relays
    )
)


class ClosedEarly(httpcore.ReadError):
    """The server ended the connection before the end of the head or of the body."""


class NotHTTP(httpcore.RemoteProtocolError):
    """The first bytes of the answer are not those of an HTTP/1 answer."""


class HeadTooLarge(httpcore.RemoteProtocolError):
    """More header bytes or interim answers than allowed."""


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the open Internet, by FAULTS R2 (is_global alone lets too much through)."""
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    denied = any(ip.version == network.version and ip in network for network in _DENIED)
    return ip.is_global and not ip.is_multicast and not denied


@record
class Reach:
    """Where a request may connect to. Connections are never shared between different ones."""

    anywhere: bool = True  # the user typed the address
    allowed: frozenset[str] = frozenset()  # "host:port" that may be private all the same

    def permits(self, host: str, port: int, address: str) -> bool:
        name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return self.anywhere or name.lower() in self.allowed or is_public(address)


def ended_without_close(exc: BaseException | None) -> bool:
    """Whether TLS ended without its close_notify; Python before 3.11.4 has only a reason for it, no class."""
    return isinstance(exc, ssl.SSLEOFError) or (
        isinstance(exc, ssl.SSLError) and getattr(exc, "reason", "") == "UNEXPECTED_EOF_WHILE_READING"
    )


class Limiter:
    """A token bucket of bytes per second, shared by whoever should be slow together; any thread may use it.

    The bucket holds a tenth of a second, so what passes is smooth and no second exceeds the rate by more.
    """

    PIECE = 256 * 1024

    def __init__(self, rate: float = 0) -> None:
        self._lock = threading.Lock()
        self._rate = float(rate)
        self._tokens = self._capacity
        self._then = time.monotonic()

    def __repr__(self) -> str:
        return f"<Limiter {self._rate:.0f} bytes/s>"

    @property
    def rate(self) -> float:
        """Bytes per second; 0 lets everything pass. A new value acts within a tenth of a second."""
        return self._rate

    @rate.setter
    def rate(self, value: float) -> None:
        with self._lock:
            self._refill()
            self._rate = float(value)
            self._tokens = min(self._tokens, self._capacity)

    @property
    def piece(self) -> int:
        """The smallest amount worth a system call at this rate."""
        return max(1, min(self.PIECE, int(self._rate / 20))) if self._rate > 0 else self.PIECE

    def take(self, wanted: int) -> int:
        """How many of `wanted` bytes may pass now; 0 means wait for `delay()`."""
        with self._lock:
            if self._rate <= 0:
                return wanted
            self._refill()
            if self._tokens < min(wanted, self.piece):
                return 0
            granted = min(wanted, int(self._tokens))
            self._tokens -= granted
            return granted

    def charge(self, count: int) -> None:
        """Count bytes that passed unasked, such as those that came with a head; later ones wait for them."""
        with self._lock:
            if self._rate > 0:
                self._refill()
                self._tokens -= count

    def give_back(self, count: int) -> None:
        with self._lock:
            self._tokens = min(self._tokens + count, self._capacity)

    def delay(self) -> float:
        """Seconds until the next piece may pass."""
        with self._lock:
            if self._rate <= 0:
                return 0.0
            self._refill()
            return min(1.0, max(0.0, (self.piece - self._tokens) / self._rate))

    @property
    def _capacity(self) -> float:
        return max(1.0, self._rate / 10)

    def _refill(self) -> None:
        now = time.monotonic()
        self._tokens = min(self._tokens + (now - self._then) * self._rate, self._capacity)
        self._then = now


def admitted(limiters: Sequence[Limiter], wanted: int) -> tuple[int, float]:
    """What all limiters together let pass now, and, when that is nothing, the seconds to wait."""
    granted = wanted
    for index, limiter in enumerate(limiters):
        share = limiter.take(granted)
        for earlier in limiters[:index]:
            earlier.give_back(granted - share)
        granted = share
        if not granted:
            return 0, max(0.001, limiter.delay())
    return granted, 0.0


def give_back(limiters: Sequence[Limiter], count: int) -> None:
    """Return what was admitted and did not arrive."""
    if count > 0:
        for limiter in limiters:
            limiter.give_back(count)


class Counter(Protocol):
    """What counts the bytes of a body; `task.Progress` is one."""

    received: int


@record
class Outgoing:
    """The body of a request on its way out: who counts what the system has taken, and who slows it down.

    With `give`, what httpcore writes are blanks of the right length: the bytes go from a file to the socket on another
    thread. It gets the socket, the first byte and the count, and the seconds of silence allowed.
    """

    counter: Counter
    limiters: Sequence[Limiter] = ()
    give: Callable[[socket.socket, int, int, float], Awaitable[Given]] | None = None
    heard: Callable[[bytes], None] | None = None  # told what came before the final answer, perhaps twice


@record
class Given:
    """How the giving of a body ended."""

    count: int
    reason: str | None = None  # None: all; else answered, closed, reset, stalled, cancelled, source or bug
    error: BaseException | None = None
    early: bytes = b""  # what the server said meanwhile


class Watch:
    """Deadlines of all waiting sockets behind one timer of the loop.

    A timer per read costs a third of the speed, and under Qt a cancelled one lives on until it is due.
    """

    def __init__(self) -> None:
        self._waits: dict[asyncio.Future[None], tuple[float, type[Exception]]] = {}
        self._timer: asyncio.Handle | None = None
        self._due = float("inf")
        self.buffer = memoryview(bytearray(READ_SIZE))  # for records of TLS; used between two awaits only
        self._turn_began = 0.0
        self._turn_open = False
        self.simulation: Simulation = NONE  # what all connections of one transport pretend to meet
        self.on_answered: Callable[[Simulation], None] | None = None  # told when an answer of a count was given
        self.random = random.random

    def take_answer(self) -> int:
        """The status that is simulated for the next request, or 0; a counted one is used up."""
        status, left = self.simulation.status, self.simulation.answered()
        if left != self.simulation:
            self.simulation = left
            if self.on_answered is not None:
                self.on_answered(left)
        return status

    def add(self, waiter: asyncio.Future[None], deadline: float, error: type[Exception]) -> None:
        now = time.monotonic()
        self._waits[waiter] = (deadline, error)
        due = now + min(1.0, max(0.02, (deadline - now) / 4))
        if self._timer is None or due < self._due - 0.05:
            self._arm(waiter.get_loop(), due, now)

    def remove(self, waiter: asyncio.Future[None]) -> None:
        self._waits.pop(waiter, None)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def give_way(self) -> None:
        """Let the rest of the program run when the streams used up their share of this turn of the loop."""
        now = time.monotonic()
        if self._turn_open and now - self._turn_began > SLICE:
            await asyncio.sleep(0)
            now = time.monotonic()
        if not self._turn_open:
            self._turn_open, self._turn_began = True, now
            asyncio.get_running_loop().call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._turn_open = False

    def _arm(self, loop: asyncio.AbstractEventLoop, due: float, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = loop.call_later(max(0.0, due - now), self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        self._timer = None
        for waiter, (deadline, error) in list(self._waits.items()):
            if now >= deadline and not waiter.done():
                waiter.set_exception(error("no byte arrived in time"))
        nearest = min((deadline for deadline, _ in self._waits.values()), default=None)
        if nearest is not None:
            self._arm(loop, now + min(1.0, max(0.02, (nearest - now) / 4)), now)


class Framing(Enum):
    """How the end of a body is known when it has no length."""

    CHUNKED = "chunked"
    UNTIL_CLOSE = "until close"


class _Mode(Enum):
    IDLE = 0
    HEAD = 1
    BODY = 2


class Stream(httpcore.AsyncNetworkStream):
    """One connection. Owns its socket until `aclose()`, also while the pump reads from it."""

    def __init__(self, sock: socket.socket, watch: Watch) -> None:
        self._sock = sock
        self._watch = watch
        self._tls = isinstance(sock, ssl.SSLSocket)
        self._mode = _Mode.IDLE
        self._left = b""  # received, but behind the end of the head
        self._head = bytearray()  # of the current header block
        self._head_began = 0.0
        self._interim = 0
        self._failure: OSError | None = None  # came after bytes that had to be handed over first
        self._slow_bytes = 0
        self._slow_seconds = 0.0
        self._remaining: int | None = None
        self._framing: Framing | None = None
        self._chunks: Chunks | None = None  # of a chunked body
        self._healed = False  # a head on this connection had to be: its other end is not to be trusted with a next one
        self._closed = False
        self._detached = False
        self.outgoing: Outgoing | None = None
        self.limiters: Sequence[Limiter] = ()
        self.before_wait: Callable[[], None] | None = None  # called when a body has no more bytes for now
        self.exchanges = 0  # requests written on this connection
        self.head_seen = False  # we saw the end of the final head ourselves
        self.answered = False  # a byte came since the request was written
        self.connected_at = time.monotonic()
        self.secured: tuple[float, float] | None = None  # begin and end of the TLS handshake
        self.sent = (0.0, 0.0)  # when the writing of the current request began and ended
        self.sent_head = self.sent_body = self.head_bytes = 0  # bytes of the current exchange
        self.head_began: float | None = None  # when the first byte of the answer came
        self.remote_address = _peer(sock)

    def __repr__(self) -> str:
        return f"<Stream {self.remote_address} {'tls ' if self._tls else ''}{self._mode.name.lower()}>"

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def is_tls(self) -> bool:
        return self._tls

    @property
    def reused(self) -> bool:
        return self.exchanges > 1

    # ---- what httpcore calls

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Bytes for h11: in a head up to its end and never more, in a body as many as there are."""
        await self._watch.give_way()
        if self._closed:
            raise httpcore.ReadError("the connection was closed on our side")
        if self._mode is _Mode.BODY:
            return await self._read_body(timeout)
        return await self._read_head(timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """A body ends with a WriteError when the server answers before it is whole: it wants no more of it (U-13)."""
        if not buffer:
            return
        if self._mode is not _Mode.HEAD:
            self._expect_head()
            self.sent, self.sent_head = (time.monotonic(), 0.0), len(buffer)  # h11 gives the head in one piece
            await self._write(memoryview(buffer), timeout, body=False)
        else:
            await self._write_body(memoryview(buffer), timeout)
        self.sent = (self.sent[0], time.monotonic())
        await self._watch.give_way()

    async def _write_body(self, view: memoryview, timeout: float | None) -> None:
        if self.outgoing is not None and self.outgoing.give is not None:
            await self._give(self.outgoing.give, len(view), timeout)
            return
        limiters = self.outgoing.limiters if self.outgoing is not None else ()
        while view:
            granted, delay = admitted(limiters, len(view)) if limiters else (len(view), 0.0)
            if not granted:
                await asyncio.sleep(delay)
                continue
            await self._write(view[:granted], timeout, body=True)
            view = view[granted:]

    async def _give(
        self, give: Callable[[socket.socket, int, int, float], Awaitable[Given]], count: int, timeout: float | None
    ) -> None:
        given = await give(self._sock, self.sent_body, count, 1e6 if timeout is None else timeout)
        self.sent_body += given.count
        self._left += given.early
        if given.reason == "stalled":
            raise httpcore.WriteTimeout("no byte was taken in time")
        if given.reason in ("source", "bug"):
            assert given.error is not None
            raise given.error
        if given.reason is not None:
            raise httpcore.WriteError(str(given.error or given.reason)) from given.error

    async def _write(self, view: memoryview, timeout: float | None, *, body: bool) -> None:
        while view:
            if body:
                self._look_for_answer()
            try:
                count = self._sock.send(view)
            except ssl.SSLWantReadError:
                await self._wait(False, timeout, httpcore.WriteTimeout)
            except WANT:
                await self._wait_to_send(timeout)
            except OSError as exc:
                raise httpcore.WriteError(str(exc)) from exc
            else:
                view = view[count:]
                if body:
                    self.sent_body += count
                    if self.outgoing is not None:
                        self.outgoing.counter.received += count

    def _look_for_answer(self) -> None:
        try:
            data = self._receive_now(HEAD_READ_SIZE)
        except WANT:
            return
        except OSError as exc:
            raise httpcore.WriteError(str(exc)) from exc
        self._left += data
        if self.outgoing is not None and self.outgoing.heard is not None:
            self.outgoing.heard(self._left)
        if not data or is_final(self._left):
            raise httpcore.WriteError("the server answered before the body was sent")

    async def _wait_to_send(self, timeout: float | None) -> None:
        """Until there is room, or news from the server."""
        await wait_for(self._sock.fileno(), True, timeout, httpcore.WriteTimeout, self._watch, readable=True)

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._sock.close()

    def cut(self) -> None:
        """Break the connection as a bad line would: whoever uses the socket, on whatever thread, meets its end."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)  # that of SSLSocket forgets its TLS under the reader

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        if self._tls:
            self.close()
            raise httpcore.ConnectError("TLS inside a TLS connection to a proxy is not supported")
        if self._left:
            self.close()
            raise NotHTTP("bytes before the TLS handshake")
        try:
            # A body that ends with the connection must not end where somebody cut it: no close_notify is an error.
            # Python before 3.11.4 asks OpenSSL 3 to overlook it.
            ssl_context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
            secure = ssl_context.wrap_socket(
                self._sock,
                server_hostname=server_hostname.rstrip(".") if server_hostname else None,
                do_handshake_on_connect=False,
                suppress_ragged_eofs=False,
            )
        except (OSError, ValueError) as exc:
            self.close()
            raise httpcore.ConnectError(str(exc)) from exc
        self._closed = True  # the descriptor moved on
        stream = self._successor(secure)
        stream._healed = self._healed  # noqa: SLF001 - of a proxy's answer: the same connection
        began = time.monotonic()
        try:
            await stream.shake_hands(timeout)
        except BaseException:
            stream.close()
            raise
        stream.secured = (began, time.monotonic())
        return stream

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return self._is_readable()
        if info == "ssl_object":
            return self._sock if self._tls else None
        if info == "socket":
            return self._sock
        if info == "server_addr":
            return self._sock.getpeername()
        if info == "client_addr":
            return self._sock.getsockname()
        return None

    # ---- what the transfer calls

    def expect_body(self, framing: int | Framing) -> None:
        """How the body is framed: bytes behind its end never reach h11, and an early end is told apart."""
        if isinstance(framing, Framing):
            self._remaining, self._framing = None, framing
            self._chunks = Chunks() if framing is Framing.CHUNKED else None
        else:
            self._remaining, self._framing = framing, None

    async def peek(self, count: int, timeout: float | None) -> bytes:
        """The first bytes of a body of known length, `count` or more; they stay for whoever reads it."""
        while len(self._left) < count:
            data = await self._receive(HEAD_READ_SIZE, timeout)
            if not data:
                raise ClosedEarly("the connection ended before the body did")
            self._left += data
        return self._left

    def detach_body(self) -> tuple[bytes, socket.socket]:
        """The body's first bytes and the socket, for the pump. The stream still closes the socket, afterwards."""
        assert self.head_seen, "the stream did not see where the body begins"
        first, self._left = self._left, b""
        self._detached = True
        return first, self._sock

    @property
    def reusable(self) -> bool:
        """Whether nothing was odd, and nothing followed the body. A chunked one must end exactly at its last chunk."""
        if self._closed or self._detached or self._left or self._failure or self._healed:
            return False
        if self._chunks is not None:
            return self._chunks.done and not self._chunks.healed
        return self._framing is None

    # ---- private

    def _successor(self, secure: ssl.SSLSocket) -> Stream:
        return Stream(secure, self._watch)

    async def shake_hands(self, timeout: float | None) -> None:
        assert isinstance(self._sock, ssl.SSLSocket)
        while True:
            try:
                self._sock.do_handshake()
            except ssl.SSLWantReadError:
                await self._wait(False, timeout, httpcore.ConnectTimeout)
            except ssl.SSLWantWriteError:
                await self._wait(True, timeout, httpcore.ConnectTimeout)
            except (OSError, ValueError) as exc:
                raise httpcore.ConnectError(str(exc)) from exc
            else:
                return

    def _expect_head(self) -> None:
        self._mode = _Mode.HEAD
        self._head.clear()
        self._interim = 0
        self._slow_bytes, self._slow_seconds = 0, 0.0
        self._remaining, self._framing, self._chunks = None, None, None
        self.limiters, self.before_wait = (), None
        self.head_seen = self.answered = False
        self.sent_head = self.sent_body = self.head_bytes = 0
        self.head_began = None
        self.exchanges += 1

    async def _read_head(self, timeout: float | None) -> bytes:
        """One header block, healed."""
        if not self.answered and self._watch.simulation.on:
            await self._meet_bad_network()
        while (end := await self._more_head(timeout)) is None:
            pass
        block = bytes(self._head[:end])
        self._left = bytes(self._head[end:])
        self._head.clear()
        self.head_bytes += end
        try:
            healed = heads.heal(block)
        except heads.HeadError as exc:
            raise httpcore.RemoteProtocolError(str(exc)) from exc
        self._healed = self._healed or healed is not block
        self._end_of_head(healed)
        return healed

    async def _more_head(self, timeout: float | None) -> int | None:
        """Take more bytes; where the header block ends in them, or None."""
        data, self._left = self._left, b""
        if not data:
            data = await self._receive(HEAD_READ_SIZE, timeout)
            if not data:
                raise ClosedEarly("the connection ended before the answer's head did")
        if not self._head:
            self._head_began = time.monotonic()
            if self.head_began is None:
                self.head_began = self._head_began
        self.answered = True
        searched = max(0, len(self._head) - 2)  # the end may be split over reads
        self._head += data
        if not heads.may_begin(self._head):
            raise NotHTTP("the answer is not HTTP")
        found = _HEAD_END.search(self._head, searched)
        if (found.end() if found else len(self._head)) > HEAD_LIMIT:
            raise HeadTooLarge("the answer's head is too large")
        return found.end() if found else None

    async def _meet_bad_network(self) -> None:
        simulation = self._watch.simulation
        if simulation.loss and self._watch.random() < simulation.loss:
            raise ClosedEarly("the answer was lost in the simulation")
        await asyncio.sleep(simulation.latency)
        if self._closed:
            raise httpcore.ReadError("the connection was closed on our side")

    def _end_of_head(self, head: bytes) -> None:
        status = heads.status_in(head)
        if status is not None and status < 200 and status != 101:
            if self.outgoing is not None and self.outgoing.heard is not None:
                self.outgoing.heard(head)
            self._interim += 1
            if self._interim > INTERIM_LIMIT:
                raise HeadTooLarge("too many interim answers")
            return
        self._mode = _Mode.BODY
        self.head_seen = True

    async def _read_body(self, timeout: float | None) -> bytes:
        if self._chunks is None:
            return await self._read_raw(timeout)
        while not self._chunks.done:
            try:
                data = self._chunks.feed(await self._read_raw(timeout))
            except heads.HeadError as exc:
                raise httpcore.RemoteProtocolError(str(exc)) from exc
            if self._chunks.done:
                self._left = self._chunks.extra + self._left
            if data:
                return data
        return b""

    async def _read_raw(self, timeout: float | None) -> bytes:
        size = READ_SIZE if self._remaining is None else min(READ_SIZE, self._remaining)
        if size == 0:
            return b""
        granted = await self._admitted(size)
        if self._left:
            data, self._left = self._left[:granted], self._left[granted:]
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

    async def _receive(self, size: int, timeout: float | None) -> bytes:
        while True:
            try:
                data = self._receive_now(size)
            except ssl.SSLWantWriteError:
                await self._wait(True, timeout, httpcore.ReadTimeout)
            except WANT:
                await self._wait_for_bytes(timeout)
            except OSError as exc:
                if ended_without_close(exc):
                    raise ClosedEarly("the connection ended without the end of TLS") from exc
                raise httpcore.ReadError(str(exc)) from exc
            else:
                self._slow_bytes += len(data)
                return data

    def _receive_now(self, size: int) -> bytes:
        if not self._tls:
            return self._sock.recv(size)
        if self._failure is not None:
            raise self._failure
        got, view = 0, self._watch.buffer
        while got < size:  # one record of 16 KiB a call
            try:
                count = self._sock.recv_into(view[got:size])
            except OSError as exc:
                if not got:
                    raise
                if not isinstance(exc, WANT):
                    self._failure = exc
                break
            if not count:
                break
            got += count
        return bytes(view[:got])

    async def _wait_for_bytes(self, timeout: float | None) -> None:
        limit = timeout
        if limit is not None and self._mode is _Mode.HEAD and self._head:
            # One header block is a small thing: a server that drips it is silent.
            limit = max(0.0, self._head_began + limit - time.monotonic())
        if self.before_wait is not None and self._mode is _Mode.BODY:
            self.before_wait()
        began = time.monotonic()
        await self._wait(False, limit, httpcore.ReadTimeout)
        if timeout is None or self._mode is not _Mode.BODY:
            return
        self._slow_seconds += time.monotonic() - began
        if self._slow_seconds >= timeout:
            if self._slow_bytes < SLOWEST * timeout:
                raise httpcore.ReadTimeout("hardly a byte arrived in time")
            self._slow_bytes, self._slow_seconds = 0, 0.0

    async def _wait(self, writable: bool, timeout: float | None, error: type[Exception]) -> None:
        await wait_for(self._sock.fileno(), writable, timeout, error, self._watch)

    def _is_readable(self) -> bool:
        """For an idle connection any news is bad news: the end, or bytes that belong to no answer."""
        if self._closed or not self.reusable:
            return True
        if isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
            return True
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(0))


class Backend(httpcore.AsyncNetworkBackend):
    """Connects for one client; remembers the stream that it made last."""

    def __init__(self, reach: Reach, watch: Watch, proxy: Proxy | None = None) -> None:
        """With an http proxy, hosts are its own; a SOCKS proxy opens a way to each host, which `reach` judges where the
        names are looked up here.
        """
        self._watch = watch
        self._proxy = proxy
        self._dialer = Dialer(reach.permits, watch, proxy)
        self._stream: Stream | None = None
        self._outgoing: Outgoing | None = None
        self.connected_address = ""
        self.lookup: tuple[float, float] | None = None  # of the last connection
        self.connecting: tuple[float, float] | None = None

    @property
    def stream(self) -> Stream | None:
        """The connection in use, the one inside TLS where there is any."""
        return self._stream

    @property
    def target(self) -> str:
        """The server's address behind a proxy, where it was looked up here."""
        return self._dialer.target

    @property
    def speaker(self) -> Proxy | None:
        """The proxy while it is the one at the other end; None when that is the server."""
        if self._proxy is None or self._proxy.is_socks:
            return None
        inside = self._proxy.kind == "http" and self._stream is not None and self._stream.is_tls
        return None if inside else self._proxy

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve once, check every address, connect to a checked one. A ConnectError's context has the errno."""
        limit = CONNECT_LIMIT if timeout is None else min(timeout, CONNECT_LIMIT)
        began = time.monotonic()
        deadline = began + limit
        self.lookup = self.connecting = None
        if self._watch.simulation.on:
            _require_network(self._watch.simulation)
            if status := self._watch.take_answer():
                self._stream = _AnsweringStream(status, self._watch, self)
                self._stream.outgoing = self._outgoing
                return self._stream
            await asyncio.sleep(self._watch.simulation.latency)
        try:
            sock = await self._dialer.dial(host, port, deadline, timeout)
        finally:
            self.lookup = self._dialer.lookup
        try:
            _require_network(self._watch.simulation)  # it may be gone meanwhile
        except httpcore.ConnectError:
            sock.close()
            raise
        self._stream = _NotingStream(sock, self._watch, self)
        self.connecting = (self._dialer.resolved, time.monotonic())
        self.connected_address = self._stream.remote_address
        self._stream.outgoing = self._outgoing
        return self._stream

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def note(self, stream: Stream) -> None:
        self._stream, stream.outgoing = stream, self._outgoing

    def expect_upload(self, outgoing: Outgoing | None) -> None:
        """How the body of the next request is counted and limited."""
        self._outgoing = outgoing
        if self._stream is not None:
            self._stream.outgoing = outgoing


class _NotingStream(Stream):
    """The first stream of a connection: tells the backend when TLS makes another one of it."""

    def __init__(self, sock: socket.socket, watch: Watch, backend: Backend) -> None:
        super().__init__(sock, watch)
        self._backend = backend

    def _successor(self, secure: ssl.SSLSocket) -> Stream:
        stream = super()._successor(secure)
        self._backend.note(stream)
        return stream


class _AnsweringStream(_NotingStream):
    """In place of a connection: every request is answered with one status, and no server hears of it."""

    def __init__(self, status: int, watch: Watch, backend: Backend) -> None:
        ours, self._theirs = socket.socketpair()
        ours.setblocking(False)
        super().__init__(ours, watch, backend)
        self._status = status

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if buffer and self._mode is not _Mode.HEAD:
            tunnel = bytes(buffer[:8]) == b"CONNECT "  # a proxy opens the way first
            self._theirs.sendall(b"HTTP/1.1 200 Simulated\r\n\r\n" if tunnel else _answer(self._status))
        await super().write(buffer, timeout)

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return self

    def close(self) -> None:
        super().close()
        self._theirs.close()


def _answer(status: int) -> bytes:
    body = b"The network simulation answered this request.\n"
    fields = f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close"
    return f"HTTP/1.1 {status} Simulated\r\n{fields}\r\n\r\n".encode() + body


def _require_network(simulation: Simulation) -> None:
    if simulation.offline:
        error = httpcore.ConnectError("the network simulation is offline")
        error.__context__ = OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        raise error


def is_final(data: bytes) -> bool:
    """Whether a final answer begins in these bytes; whole interim ones (1xx) before it are passed over."""
    at = 0
    while len(data) > at + 12:
        status = heads.status_in(data, at)
        if status is None:
            return len(data) > at + _LONGEST_STATUS  # no answer at all
        if status >= 200 or status == 101:
            return True
        end = _HEAD_END.search(data, at)
        if end is None:
            return False
        at = end.end()
    return False


def interim_heads(data: bytes) -> list[bytes]:
    """The whole interim answers (1xx) at the beginning of these bytes."""
    found, at = [], 0
    while data[at + 9 : at + 10] == b"1" and (end := _HEAD_END.search(data, at)) is not None:
        found.append(data[at : end.end()])
        at = end.end()
    return found


def _peer(sock: socket.socket) -> str:
    try:
        name = sock.getpeername()
    except OSError:
        return ""
    return str(name[0]) if isinstance(name, tuple) else ""
