"""A socket under TLS that takes many records with one call of the system.

Rule: what was taken and not read yet lies in here, where no selector sees it. Whoever waits for the
socket looks at `has_unread` before.

SSLSocket lets OpenSSL read each record of 16 KiB by itself, with two calls. That they go through
memory here saves an eighth of the processor's time of a large file.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

# bytes; many more leave the processor's cache before they are decrypted, and from 128 KiB on each
# call would get its memory from the system and give it back, 15 us, also where little came
TAKEN_AT_ONCE = 120 * 1024
GIVEN_AT_ONCE = 64 * 1024  # bytes, encrypted with one call
# the longest: its header, and what TLS 1.2 lets it grow by (RFC 5246 §6.2.3, RFC 8446 §5.2)
RECORD = 5 + 16 * 1024 + 2048

T = TypeVar("T")


class TlsSocket(socket.socket):
    """A connected socket inside TLS as a client, before the handshake. It never blocks: where it
    would, it raises `ssl.SSLWantReadError` or `ssl.SSLWantWriteError`.

    Owns the descriptor of the socket that it is made from. One thread at a time may use it. Raises
    ValueError for a name that no certificate could be checked against.
    """

    def __init__(
        self, sock: socket.socket, context: ssl.SSLContext, server_hostname: str | None
    ) -> None:
        if context.check_hostname and not server_hostname:
            raise ValueError("a certificate is checked against a name")  # `wrap_bio` would not
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_hostname
        )
        super().__init__(sock.family, sock.type, sock.proto, fileno=sock.detach())
        self.setblocking(False)
        self.failure: OSError | None = None  # is raised from now on; the bytes before it were read
        self._lost: OSError | None = None  # of the system; what came before it may be unread
        self._dry = False  # the system has nothing more for us, ever
        self._ended = False  # TLS said that nothing more comes
        self._unsent = memoryview(b"")  # encrypted, and not taken by the system yet
        self._owed = 0  # bytes of the caller's that are in `_unsent`, and were not counted to it

    # ---- reading

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        """As many bytes as are there, of any number of records, at most the buffer's; 0 at the end
        that TLS announces. Raises OSError for a failure, after the bytes that came before it.
        """
        if self.failure is not None:
            raise self.failure
        view = memoryview(buffer)
        try:
            return self._read(view[:nbytes] if nbytes else view)
        finally:
            self._reply()

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        room = bytearray(bufsize)
        count = self.recv_into(room)
        return bytes(memoryview(room)[:count])

    @property
    def has_unread(self) -> bool:
        """Whether something is to be read here that no selector tells of: bytes, perhaps too few to
        be decrypted, an end or a failure.
        """
        return bool(
            self._incoming.pending or self._tls.pending() or self._ended or self.failure is not None
        )

    def _read(self, view: memoryview) -> int:
        # The loop runs once for each record of a large file: no call in it but those it needs.
        read, incoming = self._tls.read, self._incoming
        got, wanted, all_taken = 0, len(view), False
        while got < wanted:
            if not all_taken and incoming.pending < RECORD:
                all_taken = self._take() < TAKEN_AT_ONCE
            try:
                # of a buffer it tells the length, whatever its declaration says
                count: int = read(wanted - got, view[got:])  # type: ignore[assignment]
            except ssl.SSLWantReadError:
                if not all_taken:
                    continue
                self.failure = self._lost
                if got:
                    break
                if self._lost is not None:
                    raise self._lost from None
                raise
            except OSError as exc:
                self.failure = exc
                if got:
                    break
                raise
            if not count:
                self._ended = True
                break
            got += count
        return got

    def _take(self) -> int:
        """What the system has for us; 0 for nothing now, or ever."""
        if self._dry:
            return 0
        try:
            data = super().recv(TAKEN_AT_ONCE)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as exc:
            self._lost, self._dry = exc, True
            return 0
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
            self._dry = True
        return len(data)

    # ---- writing

    def send(self, data: ReadableBuffer, flags: int = 0, /) -> int:
        """Returns how many bytes the system has, encrypted. Where it does not take all that was
        begun, `ssl.SSLWantWriteError` is raised, and the same bytes are to be offered again.
        """
        if not self._owed:
            piece = memoryview(data)[:GIVEN_AT_ONCE]
            self._owed = self._step(lambda: self._tls.write(piece))
        self._flush()
        given, self._owed = self._owed, 0
        return given

    def do_handshake(self) -> None:
        """As far as it goes now. Raises OSError for a failure."""
        self._step(self._tls.do_handshake)
        self._flush()

    def _step(self, step: Callable[[], T]) -> T:
        """Of OpenSSL's, with all that the other end has said. It is told what that leads to."""
        try:
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    if self._lost is not None:
                        raise self._lost from None
                    self._flush()
                    if not self._take() and not self._dry:
                        raise
        except ssl.SSLError:
            self._reply()
            raise

    def _flush(self) -> None:
        while self._unsent or self._outgoing.pending:
            if not self._unsent:
                self._unsent = memoryview(self._outgoing.read())
            try:
                count = super().send(self._unsent)
            except BlockingIOError as exc:
                words = "the system takes no more now"
                raise ssl.SSLWantWriteError(ssl.SSL_ERROR_WANT_WRITE, words) from exc
            self._unsent = self._unsent[count:]

    def _reply(self) -> None:
        """Send what TLS itself has to say: new keys, an alert. What does not go now goes with the
        next bytes; a line that is broken is told of where something is read or sent.
        """
        if self._outgoing.pending or self._unsent:
            with contextlib.suppress(OSError):
                self._flush()
