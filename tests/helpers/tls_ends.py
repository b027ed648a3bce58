"""Both ends of TLS in one thread: our socket, and a server whose bytes a test cuts as it likes."""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
from collections.abc import Iterator

from tests.helpers.byte_server import ByteServer, authority
from transfermon.wire.tls_socket import TlsSocket


class TlsServer:
    """What it says goes to nobody until the test sends it: `far` is a plain socket."""

    def __init__(self, far: socket.socket, context: ssl.SSLContext) -> None:
        self.far = far
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def says(self, data: bytes) -> bytes:
        """The records of these bytes: 16 KiB each, and a last one."""
        if data:
            self.tls.write(data)
        return self._outgoing.read()

    def bids_farewell(self) -> bytes:
        """The announced end."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self._outgoing.read()

    def hears(self, most: int = 1 << 20) -> bytes:
        """What came meanwhile, decrypted; b"" for none."""
        heard = b""
        self._takes()
        with contextlib.suppress(ssl.SSLWantReadError):
            while len(heard) < most and (data := self.tls.read(most - len(heard))):
                heard += data
        return heard

    def _takes(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while data := self.far.recv(65536, socket.MSG_DONTWAIT):
                self._incoming.write(data)

    def answers_handshake(self) -> bool:
        """One step of it; whether it was the last."""
        self._takes()
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            self.far.sendall(self._outgoing.read())
        return True


@functools.cache
def server_context(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = version
    authority().issue_cert("localhost").configure_cert(context)
    if version == ssl.TLSVersion.TLSv1_3:  # may ask who we are, in the middle of everything
        context.verify_mode, context.post_handshake_auth = ssl.CERT_OPTIONAL, True
        authority().configure_trust(context)
    return context


@functools.cache
def client_context() -> ssl.SSLContext:
    context = ByteServer.client_context()
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    context.post_handshake_auth = True
    return context


@contextlib.contextmanager
def tls_ends(
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    pair: tuple[socket.socket, socket.socket] | None = None,
) -> Iterator[tuple[TlsSocket, TlsServer]]:
    """After the handshake."""
    near, far = pair or socket.socketpair()
    ours = TlsSocket(near, client_context(), "localhost")
    server = TlsServer(far, server_context(version))
    try:
        shaken = False
        while not shaken:
            with contextlib.suppress(ssl.SSLWantReadError):
                ours.do_handshake()
            shaken = server.answers_handshake()
        ours.do_handshake()
        yield ours, server
    finally:
        ours.close()
        far.close()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Connected, so that one end can reset the other."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        return near, listener.accept()[0]
