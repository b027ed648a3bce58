"""A SOCKS server of our own that does exactly what it is told to, byte by byte, or opens the way it
is asked for.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

GRANTED = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x01"


class Talk:
    """One connection of the server, for its script."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.sock.recv(count - len(data))
            if not piece:
                raise ConnectionError("the client has gone")
            data += piece
        return data

    def until_zero(self) -> bytes:
        data = b""
        while (byte := self.read(1)) != b"\0":
            data += byte
        return data

    def send(self, data: bytes, *, singly: bool = False) -> None:
        """`singly`: each byte in a segment of its own."""
        for piece in [data[at : at + 1] for at in range(len(data))] if singly else [data]:
            self.sock.sendall(piece)

    def greet(self, answer: bytes = b"\x05\x00") -> bytes:
        """The methods that the client offers, answered."""
        version, count = self.read(2)
        assert version == 5
        methods = self.read(count)
        self.send(answer)
        return methods

    def login(self, answer: bytes = b"\x01\x00") -> tuple[bytes, bytes]:
        assert self.read(1) == b"\x01"
        user = self.read(self.read(1)[0])
        password = self.read(self.read(1)[0])
        self.send(answer)
        return user, password

    def asked(self) -> tuple[str, int]:
        """What a client of SOCKS 5 wants to reach."""
        assert self.read(3) == b"\x05\x01\x00"
        kind = self.read(1)[0]
        if kind == 3:
            host = self.read(self.read(1)[0]).decode()
        else:
            family, length = {1: (socket.AF_INET, 4), 4: (socket.AF_INET6, 16)}[kind]
            host = socket.inet_ntop(family, self.read(length))
        return host, int.from_bytes(self.read(2))

    def asked_4(self) -> tuple[str, int, bytes]:
        """What a client of SOCKS 4 or 4a wants to reach, and as whom."""
        assert self.read(2) == b"\x04\x01"
        port = int.from_bytes(self.read(2))
        address = self.read(4)
        user = self.until_zero()
        named = address[:3] == b"\0\0\0" and address[3:] != b"\0"
        return self.until_zero().decode() if named else socket.inet_ntoa(address), port, user

    def carry(self, port: int) -> None:
        """Be the way to a port of this machine until one side ends."""
        with socket.create_connection(("127.0.0.1", port)) as far:
            back = threading.Thread(target=_carry, args=(far, self.sock))
            back.start()
            _carry(self.sock, far)
            back.join()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


class SocksServer:
    """Runs `script` on a thread for each connection, until the end of the `with` block; raises what
    a script raised.
    """

    def __init__(self, script: Callable[[Talk], None]) -> None:
        self.script = script
        self.connections = 0
        self.errors: list[Exception] = []
        self._socks: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept)

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join()
        for sock in self._socks:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        if self.errors and value is None:
            raise self.errors[0]

    def url(self, kind: str = "socks5h", login: str = "") -> str:
        return f"{kind}://{login}127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._socks.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.script(Talk(sock))
        except OSError:
            pass
        except Exception as exc:  # noqa: BLE001 - raised again at the end
            self.errors.append(exc)
        finally:
            sock.close()
