"""A relay in front of a server: it counts bytes, keeps the heads, and breaks a connection at a
given byte.

Rule: it changes nothing that it passes on. A break ends the connection as a lost network does for
the program behind it (no more bytes), and until `open` is called every further connection ends at
once.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field

_PIECE = 65536
_HEAD = 16384


@dataclass(kw_only=True)
class Exchange:
    """What went over one connection."""

    up: int = 0
    down: int = 0
    asked: bytes = b""  # the beginning of what the client sent
    answered: bytes = b""


@dataclass(kw_only=True)
class Cut:
    """Break the first connection that has brought so many bytes."""

    down: int = 0
    up: int = 0

    def reached(self, exchange: Exchange) -> bool:
        return bool(
            (self.down and exchange.down >= self.down) or (self.up and exchange.up >= self.up)
        )

    def room(self, exchange: Exchange, *, down: bool) -> int:
        limit, done = (self.down, exchange.down) if down else (self.up, exchange.up)
        return min(_PIECE, max(1, limit - done)) if limit else _PIECE


@dataclass(kw_only=True)
class Relay:
    target: int
    cut: Cut | None = None
    # whether further connections are refused after the break, until `open`
    stay_closed: bool = False
    exchanges: list[Exchange] = field(default_factory=list)
    broken: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name=f"relay to {self.target}", daemon=True).start()

    def open(self) -> list[Exchange]:
        """Let everything through from now on; what went over it until now."""
        before, self.exchanges = self.exchanges, []
        self.cut, self._closed = None, False
        return before

    def close(self) -> None:
        _shut(self._listener, socket.SHUT_RDWR)  # closing alone would not wake who waits in accept
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client:
            if self._closed:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target), 10)
            except OSError:
                return
            with server:
                server.settimeout(None)
                for end in (client, server):  # what is counted shall not merely lie in a buffer
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _PIECE)
                exchange = Exchange()
                self.exchanges.append(exchange)
                upward = threading.Thread(
                    target=self._pump, args=(client, server, exchange, False), daemon=True
                )
                upward.start()
                self._pump(server, client, exchange, True)
                _shut(client, socket.SHUT_RDWR)
                _shut(server, socket.SHUT_RDWR)
                upward.join()

    def _pump(
        self, source: socket.socket, target: socket.socket, exchange: Exchange, down: bool
    ) -> None:
        try:
            while piece := source.recv(self.cut.room(exchange, down=down) if self.cut else _PIECE):
                target.sendall(piece)
                self._count(exchange, piece, down)
                if self.cut and self.cut.reached(exchange):
                    self._break(source, target)
                    return
        except OSError:
            pass  # one side is gone; the other one is told below
        _shut(target, socket.SHUT_WR)

    def _break(self, source: socket.socket, target: socket.socket) -> None:
        self.cut, self._closed = None, self.stay_closed
        for end in (source, target):
            _shut(end, socket.SHUT_RDWR)
        self.broken.set()

    @staticmethod
    def _count(exchange: Exchange, piece: bytes, down: bool) -> None:
        if down:
            exchange.down += len(piece)
            exchange.answered = (
                (exchange.answered + piece)[:_HEAD]
                if len(exchange.answered) < _HEAD
                else exchange.answered
            )
        else:
            exchange.up += len(piece)
            exchange.asked = (
                (exchange.asked + piece)[:_HEAD] if len(exchange.asked) < _HEAD else exchange.asked
            )


def _shut(end: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(how)
