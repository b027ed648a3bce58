"""Bytes in and out of one socket, plain or under TLS.

Rule: what the bytes mean is not known here, and nothing blocks.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl

import httpcore

from transfermon.wire.deadlines import WANT
from transfermon.wire.surroundings import Surroundings


def ended_without_close(exc: BaseException | None) -> bool:
    """Whether TLS ended without its close_notify; Python before 3.11.4 has only a reason for it, no
    class.
    """
    return isinstance(exc, ssl.SSLEOFError) or (
        isinstance(exc, ssl.SSLError)
        and getattr(exc, "reason", "") == "UNEXPECTED_EOF_WHILE_READING"
    )


class Stream:
    """A connected socket. Owns it until `close()`, also while the pump reads from it."""

    def __init__(self, sock: socket.socket, surroundings: Surroundings) -> None:
        self.socket = sock
        self.is_tls = isinstance(sock, ssl.SSLSocket)
        self.remote_address = _peer(sock)
        self.closed = False
        self.failure: OSError | None = None  # came after bytes that had to be handed over first
        self._surroundings = surroundings

    def __repr__(self) -> str:
        return f"<Stream {self.remote_address}{' tls' if self.is_tls else ''}>"

    def receive_now(self, size: int) -> bytes:
        """At most so many bytes; b"" at the end. Raises one of `WANT` when there are none yet,
        OSError for a failure.
        """
        if not self.is_tls:
            return self.socket.recv(size)
        if self.failure is not None:
            raise self.failure
        got, view = 0, self._surroundings.buffer
        while got < size:  # one record of 16 KiB a call
            try:
                count = self.socket.recv_into(view[got:size])
            except OSError as exc:
                if not got:
                    raise
                if not isinstance(exc, WANT):
                    self.failure = exc
                break
            if not count:
                break
            got += count
        return bytes(view[:got])

    async def wait_until_readable(self, timeout: float | None, error: type[Exception]) -> None:
        await self._surroundings.deadlines.wait_for_socket(
            self.socket.fileno(), False, timeout, error
        )

    async def wait_until_writable(
        self, timeout: float | None, error: type[Exception], *, or_readable: bool = False
    ) -> None:
        deadlines = self._surroundings.deadlines
        await deadlines.wait_for_socket(
            self.socket.fileno(), True, timeout, error, readable=or_readable
        )

    @property
    def has_news(self) -> bool:
        """Whether bytes or the end are there."""
        if isinstance(self.socket, ssl.SSLSocket) and self.socket.pending():
            return True
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return bool(poll.poll(0))

    def under_tls(self, context: ssl.SSLContext, server_hostname: str | None) -> Stream:
        """The stream inside TLS, before the handshake; this one is closed. Raises
        httpcore.ConnectError.
        """
        try:
            # A body that ends with the connection must not end where somebody cut it: no
            # close_notify is an error. Python before 3.11.4 asks OpenSSL 3 to overlook it.
            context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
            secure = context.wrap_socket(
                self.socket,
                server_hostname=server_hostname.rstrip(".") if server_hostname else None,
                do_handshake_on_connect=False,
                suppress_ragged_eofs=False,
            )
        except (OSError, ValueError) as exc:
            self.close()
            raise httpcore.ConnectError(str(exc)) from exc
        self.closed = True  # the descriptor moved on
        return Stream(secure, self._surroundings)

    async def shake_hands(self, timeout: float | None) -> None:
        """Raises httpcore's ConnectError and ConnectTimeout."""
        assert isinstance(self.socket, ssl.SSLSocket)
        while True:
            try:
                self.socket.do_handshake()
            except ssl.SSLWantReadError:
                await self.wait_until_readable(timeout, httpcore.ConnectTimeout)
            except ssl.SSLWantWriteError:
                await self.wait_until_writable(timeout, httpcore.ConnectTimeout)
            except (OSError, ValueError) as exc:
                raise httpcore.ConnectError(str(exc)) from exc
            else:
                return

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.socket.close()

    def cut(self) -> None:
        """Break the connection as a bad line would: whoever uses the socket, on whatever thread,
        meets its end.
        """
        with contextlib.suppress(OSError):
            # that of SSLSocket forgets its TLS under the reader
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)


def _peer(sock: socket.socket) -> str:
    try:
        name = sock.getpeername()
    except OSError:
        return ""
    return str(name[0]) if isinstance(name, tuple) else ""
