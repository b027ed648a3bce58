"""A server for resumable uploads that keeps to the letter of both protocols, and breaks off where
it is told to.

The one rule to keep: what it counts as received is what it kept, also when a connection ended in
the middle.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.helpers.byte_server import ByteServer, Conn, Request, reply


@dataclass
class Kept:
    """An upload that the server knows."""

    length: int
    method: str
    body: bytearray = field(default_factory=bytearray)
    complete: bool = False


@dataclass
class UploadServer:
    """A handler for `ByteServer(..., reads_bodies=False)`. Change it at any time."""

    version: str = "8"  # of the draft, the only one that it answers for
    names_version: bool = False  # a request in another version is refused, with its own (400)
    offers: bool = False  # a 104 to a request with a whole body
    limit: str = ""  # Upload-Limit
    announce: str = "accept"  # or "limit", "none": how OPTIONS shows the IETF protocol
    # bytes of the next appends after which the connection is reset
    cuts: list[int] = field(default_factory=list)
    forget: int = 0  # so many requests for an upload find nothing
    # by method, in place of the next answers
    answers: dict[str, list[bytes]] = field(default_factory=dict)
    shift: int = 0  # added to the offset that the next append is checked against
    final: bytes = reply(200, {"Upload-Complete": "?1", "Content-Type": "text/plain"}, b"stored")
    uploads: dict[str, Kept] = field(default_factory=dict)
    whole: list[bytes] = field(default_factory=list)  # bodies of plain requests
    said: list[tuple[str, str, str]] = field(default_factory=list)  # method, target, Upload-Offset
    heads: list[Request] = field(default_factory=list)
    received: int = 0  # bytes of all appends
    location: Callable[[str], str] = lambda path: path
    busy: int = 0
    most_busy: int = 0  # requests for uploads at the same time
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, conn: Conn, request: Request) -> None:
        self.said.append((request.method, request.target, request.header("Upload-Offset")))
        self.heads.append(request)
        with self._lock:
            self.busy += 1
            self.most_busy = max(self.most_busy, self.busy)
        try:
            self._answer(conn, request)
        finally:
            with self._lock:
                self.busy -= 1

    def _answer(self, conn: Conn, request: Request) -> None:
        scripted = self.answers.get(request.method)
        if scripted:
            answer = scripted.pop(0)
            if request.method == "PATCH":
                _last(conn, answer)
            else:
                conn.send(answer)
        elif self.names_version and self._version(request) not in ("", self.version):
            _last(conn, reply(400, {"Upload-Draft-Interop-Version": self.version}))
        elif request.method == "OPTIONS":
            conn.send(
                reply(204, self._announcement() if self._speaks(request) else {"Allow": "GET, PUT"})
            )
        elif request.target.startswith("/uploads/"):
            self._of_upload(conn, request)
        else:
            self._create(conn, request)

    def _announcement(self) -> dict[str, str]:
        if self.announce == "accept":
            return {"Accept-Patch": "text/x, application/partial-upload"}
        return (
            {"Upload-Limit": self.limit or "max-age=3600"}
            if self.announce == "limit"
            else {"Allow": "GET, PUT"}
        )

    def _create(self, conn: Conn, request: Request) -> None:
        tus = bool(request.header("Tus-Resumable"))
        told = request.header("Upload-Incomplete" if self.version == "3" else "Upload-Complete")
        incomplete = told == ("?1" if self.version == "3" else "?0") and self._speaks(request)
        path = f"/uploads/{len(self.uploads) + 1}"
        if (
            not tus
            and not incomplete
            and (not self.offers or not told or not self._speaks(request))
        ):
            body = conn.read_body(request)
            self.whole.append(body)
            conn.send(reply(201, {}, b"plain %d" % len(body)))
            return
        self.uploads[path] = Kept(int(request.header("Upload-Length")), request.method)
        fields = {"Location": self.location(path)}
        if not tus and not incomplete:
            named = {"Upload-Draft-Interop-Version": self.version}
            conn.send(
                reply(104, fields | named | ({"Upload-Limit": self.limit} if self.limit else {}))
            )
            self._receive(conn, request, self.uploads[path], last=True)
            return
        assert conn.read_body(request) == b""
        fields |= {"Tus-Resumable": "1.0.0"} if tus else self._complete(False)
        conn.send(reply(201, fields | ({"Upload-Limit": self.limit} if self.limit else {})))

    def _of_upload(self, conn: Conn, request: Request) -> None:
        upload = self.uploads.get(request.target)
        if self.forget or upload is None:
            self.forget = max(0, self.forget - 1)
            self.uploads.pop(request.target, None)
            _last(conn, reply(404))
            return
        if request.method == "HEAD":
            fields = {"Upload-Offset": str(len(upload.body)), "Upload-Length": str(upload.length)}
            conn.send(reply(204, fields | self._complete(upload.complete)))
        elif request.method == "DELETE":
            del self.uploads[request.target]
            conn.send(reply(204))
        else:
            self._append(conn, request, upload)

    def _append(self, conn: Conn, request: Request, upload: Kept) -> None:
        tus = bool(request.header("Tus-Resumable"))
        assert request.method == "PATCH"
        assert tus or self._version(request) == self.version
        kind = "application/partial-upload" if int(self.version) >= 6 else ""
        assert request.header("Content-Type") == (
            "application/offset+octet-stream" if tus else kind
        )
        shift, self.shift = self.shift, 0
        if int(request.header("Upload-Offset")) != len(upload.body) + shift:
            problem = json.dumps({"type": "x", "expected-offset": len(upload.body)}).encode()
            fields = {
                "Upload-Offset": str(len(upload.body)),
                "Content-Type": "application/problem+json",
            }
            _last(conn, reply(409, fields if not shift else {}, problem))
            return
        told = request.header("Upload-Incomplete" if self.version == "3" else "Upload-Complete")
        self._receive(
            conn, request, upload, last=tus or told == ("?0" if self.version == "3" else "?1")
        )

    def _receive(self, conn: Conn, request: Request, upload: Kept, *, last: bool) -> None:
        length = int(request.header("Content-Length"))
        cut = self.cuts.pop(0) if self.cuts else None
        left = length if cut is None else min(cut, length)
        with contextlib.suppress(ConnectionError):
            while left:
                piece = conn.read_some(min(left, 65536))
                upload.body += piece
                self.received += len(piece)
                left -= len(piece)
        if cut is not None:
            conn.reset()
            return
        if left:  # the client ended the connection
            conn.cut()
            return
        upload.complete = last and len(upload.body) == upload.length
        if upload.complete and not request.header("Tus-Resumable"):
            conn.send(self.final)
        else:
            conn.send(reply(204, {"Upload-Offset": str(len(upload.body)), **self._complete(False)}))

    def _version(self, request: Request) -> str:
        return request.header("Upload-Draft-Interop-Version")

    def _speaks(self, request: Request) -> bool:
        return self._version(request) == self.version

    def _complete(self, complete: bool) -> dict[str, str]:
        if self.version == "3":
            return {"Upload-Incomplete": "?0" if complete else "?1"}
        return {"Upload-Complete": "?1" if complete else "?0"}

    @property
    def stored(self) -> list[bytes]:
        """What was uploaded to its end."""
        return [bytes(upload.body) for upload in self.uploads.values() if upload.complete]


def serving(server: UploadServer, port: int = 0) -> ByteServer:
    return ByteServer(server, reads_bodies=False, port=port)


def _last(conn: Conn, answer: bytes) -> None:
    """Answer and end the connection, whose body was not read. The answer says so, or a client that
    has sent it all would send its next request into our lingering close (RFC 9112 §9.6).
    """
    line, _, rest = answer.partition(b"\r\n")
    conn.send(line + b"\r\nConnection: close\r\n" + rest)
    conn.close()
