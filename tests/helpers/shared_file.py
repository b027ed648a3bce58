"""A server of one file that several connections bring.

The one rule to keep: the answer to the plain request waits after its first bytes until `go` is set
or as many ranges were asked for as the test wants, so that no test depends on how fast anybody is.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

from tests.helpers.byte_server import Conn, Request, reply

M = 1 << 20
Ranged = Callable[[Conn, Request, int, int, int], bool]


class SharedFile:
    """A handler. `ranged` may answer a request for [start, end), the N-th, in its place."""

    def __init__(
        self,
        body: bytes,
        *,
        etag: str = '"v1"',
        date: str = "",
        first: int = M,
        after: int = 1,
        ranged: Ranged | None = None,
    ) -> None:
        self.body = body
        self.etag = etag
        self.date = date
        self.first = first
        self.after = after  # ranges that are asked for before the plain answer goes on
        self.ranged = ranged
        self.go = threading.Event()
        self.plain = 0  # requests without a range
        self.ranges: list[tuple[int, int]] = []
        self.conditions: list[str] = []
        self.sent = 0  # bytes of bodies
        self._lock = threading.Lock()

    def fields(self) -> dict[str, str]:
        fields = {"Accept-Ranges": "bytes"}
        if self.etag:
            fields["ETag"] = self.etag
        if self.date:
            fields["Last-Modified"] = self.date
        return fields

    def __call__(self, conn: Conn, request: Request) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.header("Range"))
        if asked is None:
            self._whole(conn)
            return
        start, end = int(asked[1]), int(asked[2]) + 1 if asked[2] else len(self.body)
        with self._lock:
            self.ranges.append((start, end))
            self.conditions.append(request.header("If-Range"))
            number = len(self.ranges)
            if number >= self.after:
                self.go.set()
        if self.ranged is None or not self.ranged(conn, request, start, end, number):
            self.part(conn, start, end)

    def part(
        self,
        conn: Conn,
        start: int,
        end: int,
        *,
        body: bytes | None = None,
        most: int | None = None,
        **fields: str,
    ) -> None:
        """206 with these bytes, or the first `most` of them and the end of the connection."""
        body = self.body if body is None else body
        data = body[start:end]
        head = {**self.fields(), "Content-Range": f"bytes {start}-{end - 1}/{len(body)}"}
        head |= {name.replace("_", "-"): value for name, value in fields.items()}
        head.setdefault("Content-Length", str(len(data)))
        self.give(conn, reply(206, head), data if most is None else data[:most])
        if most is not None and most < len(data):
            conn.close()

    def give(self, conn: Conn, head: bytes, data: bytes) -> None:
        conn.send(head)
        for begin in range(0, len(data), 65536):
            piece = data[begin : begin + 65536]
            conn.send(piece)
            with self._lock:
                self.sent += len(piece)

    def _whole(self, conn: Conn) -> None:
        self.plain += 1
        head = reply(200, {**self.fields(), "Content-Length": str(len(self.body))})
        body = self.body
        self.give(conn, head, body[: self.first])
        while not self.go.wait(0.05):
            if conn.server.stopping.is_set():
                return
        self.give(conn, b"", body[self.first :])


class Paced(SharedFile):
    """So slow that there is time to kill, until `hurry` is set; nobody waits for a range."""

    def __init__(self, body: bytes, *, pause: float = 0.01, **more: Any) -> None:
        super().__init__(body, **more)
        self.pause = pause  # seconds between two pieces of 64 KiB, on each connection
        self.go.set()
        self.hurry = threading.Event()

    def give(self, conn: Conn, head: bytes, data: bytes) -> None:
        conn.send(head)
        for at in range(0, len(data), 65536):
            piece = data[at : at + 65536]
            conn.send(piece)
            with self._lock:
                self.sent += len(piece)
            if not self.hurry.is_set() and not conn.server.stopping.is_set():
                self.hurry.wait(self.pause)
