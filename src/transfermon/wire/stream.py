"""Bytes in and out of one socket, plain or under TLS.

Rule: what the bytes mean is not known here, and nothing blocks.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import ssl
import sys
from collections.abc import Callable

from transfermon.http.proxies import is_loopback
from transfermon.wire.deadlines import WANT
from transfermon.wire.network_errors import ConnectError, ConnectTimeout, ReadTimeout
from transfermon.wire.surroundings import Surroundings
from transfermon.wire.tls_socket import TlsSocket

# bytes that the system has not sent yet, from which on a socket takes no more
SHORT_QUEUE = 64 * 1024
_MIN_RTT = slice(148, 152)  # the place of tcpi_min_rtt, microseconds, in Linux's struct tcp_info
_NONE_YET = 0xFFFFFFFF


def ended_without_close(exc: BaseException | None) -> bool:
    """Whether TLS ended without its close_notify; Python before 3.11.4 has only a reason for it, no
    class.
    """
    return isinstance(exc, ssl.SSLEOFError) or (
        isinstance(exc, ssl.SSLError)
        and getattr(exc, "reason", "") == "UNEXPECTED_EOF_WHILE_READING"
    )


class Stream:
    """A connected socket. Owns it until `close()`, also while the pump reads from it.

    The loop is told once that somebody reads, and goes on looking between two reads: bytes are
    taken for whoever waits in `receive`, and while nobody does the loop looks away.
    """

    def __init__(self, sock: socket.socket, surroundings: Surroundings) -> None:
        self.socket = sock
        self.is_tls = isinstance(sock, TlsSocket)
        self.remote_address = _peer(sock)
        self.closed = False
        self.failure: OSError | None = None  # came after bytes that had to be handed over first
        self._surroundings = surroundings
        self._fd = sock.fileno()
        self._loop: asyncio.AbstractEventLoop | None = None  # that looks for bytes
        self._waiter: asyncio.Future[None] | None = None
        self._wanted = 0
        self._arrived = b""  # taken, and not fetched by the one who waited
        self.resting = False  # nothing is expected: any news is the end of the connection
        self._poll: Callable[[int], list[tuple[int, int]]] | None = None

    def __repr__(self) -> str:
        return f"<Stream {self.remote_address}{' tls' if self.is_tls else ''}>"

    # ---- reading

    def receive_now(self, size: int) -> bytes:
        """At most so many bytes; b"" at the end. Raises one of `WANT` when there are none yet,
        OSError for a failure.
        """
        if self._arrived:
            data, self._arrived = self._arrived[:size], self._arrived[size:]
            return data
        if self.failure is not None:
            raise self.failure
        if not isinstance(self.socket, TlsSocket):
            return self.socket.recv(size)
        view = self._surroundings.buffer
        count = self.socket.recv_into(view[:size])
        self.failure = self.socket.failure  # it came after these bytes
        return bytes(view[:count])

    async def receive(self, size: int, timeout: float | None) -> bytes:
        """At most so many bytes as soon as some come; b"" at the end. Only where `receive_now`
        found none, or nothing can be there yet. Raises ReadTimeout, OSError for a failure.
        """
        if self._arrived:
            return self.receive_now(size)
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiter, self._wanted = waiter, size
        deadlines = self._surroundings.deadlines
        if timeout is not None:
            deadlines.add_wait(waiter, timeout, ReadTimeout)
        if self._loop is None:
            loop.add_reader(self._fd, self._on_readable)
            self._loop = loop
        try:
            await waiter
        except BaseException:
            self.look_away()
            raise
        finally:
            self._waiter = None
            deadlines.drop_wait(waiter)
        data, self._arrived = self._arrived, b""
        return data

    def look_away(self) -> None:
        """The loop reads no more: somebody else does, or nobody."""
        if self._loop is not None:
            loop, self._loop = self._loop, None
            if not loop.is_closed():
                loop.remove_reader(self._fd)

    def let_go(self) -> bytes:
        """For another reader: the bytes that were taken for nobody."""
        self.look_away()
        data, self._arrived = self._arrived, b""
        return data

    def _on_readable(self) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            if self.resting:
                self._look_at_news()
            else:
                self.look_away()
            return
        try:
            self._arrived = self.receive_now(self._wanted)
        except WANT:
            pass
        except OSError as exc:
            self.failure = exc
            waiter.set_exception(exc)
        else:
            waiter.set_result(None)

    def _look_at_news(self) -> None:
        if self.is_tls:
            with contextlib.suppress(OSError):
                try:
                    self.socket.recv(1)
                except WANT:
                    return  # a ticket, or other words of TLS alone
        self.close()

    async def wait_until_readable(self, timeout: float | None, error: type[Exception]) -> None:
        self.look_away()
        await self._surroundings.deadlines.wait_for_socket(self._fd, False, timeout, error)

    async def wait_until_writable(
        self, timeout: float | None, error: type[Exception], *, or_readable: bool = False
    ) -> None:
        self.look_away()
        deadlines = self._surroundings.deadlines
        await deadlines.wait_for_socket(self._fd, True, timeout, error, readable=or_readable)

    def shorten_queue(self) -> None:
        """For a long body: a program on this machine has no more queued for it than it takes at
        once. What it takes is in the processor's cache then, and costs it a sixth less. On a real
        line the queue bridges the moments in which we are busy, and stays as it is.
        """
        if is_loopback(self.remote_address) and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            with contextlib.suppress(OSError):
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, SHORT_QUEUE)

    @property
    def round_trip(self) -> float:
        """Seconds of the shortest one that the system has measured on this connection; 0 where it
        tells of none.
        """
        if not sys.platform.startswith("linux"):
            return 0.0
        try:
            told = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _MIN_RTT.stop)
        except OSError:  # no TCP, or closed
            return 0.0
        if len(told) < _MIN_RTT.stop:
            return 0.0  # an older system
        microseconds = int.from_bytes(told[_MIN_RTT], sys.byteorder)
        return 0.0 if microseconds == _NONE_YET else microseconds / 1e6

    @property
    def has_news(self) -> bool:
        """Whether bytes or the end are there."""
        if self._arrived or (isinstance(self.socket, TlsSocket) and self.socket.has_unread):
            return True
        if self._poll is None:
            poll = select.poll()
            poll.register(self._fd, select.POLLIN)
            self._poll = poll.poll
        return bool(self._poll(0))

    def under_tls(self, context: ssl.SSLContext, server_hostname: str | None) -> Stream:
        """The stream inside TLS, before the handshake; this one is closed. Raises
        ConnectError.
        """
        self.look_away()
        try:
            # A body that ends with the connection must not end where somebody cut it: no
            # close_notify is an error. Python before 3.11.4 asks OpenSSL 3 to overlook it.
            context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
            secure = TlsSocket(
                self.socket, context, server_hostname.rstrip(".") if server_hostname else None
            )
        except (OSError, ValueError) as exc:
            self.close()
            raise ConnectError(str(exc)) from exc
        self.closed = True  # the descriptor moved on
        return Stream(secure, self._surroundings)

    async def shake_hands(self, timeout: float | None) -> None:
        """Raises ConnectError and ConnectTimeout."""
        assert isinstance(self.socket, TlsSocket)
        while True:
            try:
                self.socket.do_handshake()
            except ssl.SSLWantReadError:
                await self.wait_until_readable(timeout, ConnectTimeout)
            except ssl.SSLWantWriteError:
                await self.wait_until_writable(timeout, ConnectTimeout)
            except (OSError, ValueError) as exc:
                raise ConnectError(str(exc)) from exc
            else:
                return

    def close(self) -> None:
        if not self.closed:
            self.look_away()
            self.closed = True
            self.socket.close()

    def cut(self) -> None:
        """Break the connection as a bad line would: whoever uses the socket, on whatever thread,
        meets its end.
        """
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


def _peer(sock: socket.socket) -> str:
    try:
        name = sock.getpeername()
    except OSError:
        return ""
    return str(name[0]) if isinstance(name, tuple) else ""
