"""The wire form of a server with tus 1.0 and, behind a flag, the draft in the interop versions 3 to
6, as its public description has it: no Upload-Complete in the answer to an append, no Upload-Offset
in a conflict, POST only, 412 for what names neither protocol.

The one rule to keep: what it counts as received is what it kept.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

from tests.helpers.byte_server import Conn, Request, reply


@dataclass
class Tusd:
    """A handler for `ByteServer(..., reads_bodies=False)`."""

    drafts: bool = True  # the flag
    tus: bool = True  # whether OPTIONS announces it
    # bytes of the next bodies after which the connection is reset
    cuts: list[int] = field(default_factory=list)
    uploads: dict[str, tuple[int, bytearray]] = field(default_factory=dict)
    said: list[tuple[str, str]] = field(default_factory=list)  # method and version of the draft
    received: int = 0
    metadata: str = ""

    def __call__(self, conn: Conn, request: Request) -> None:
        version = request.header("Upload-Draft-Interop-Version")
        draft = version if self.drafts and version in ("3", "4", "5", "6") else ""
        self.said.append((request.method, version))
        fields = {} if draft else {"Tus-Resumable": "1.0.0"}
        if request.method == "OPTIONS":
            fields |= {"Upload-Limit": "min-size=0"} if draft else {}
            fields |= (
                {"Tus-Version": "1.0.0", "Tus-Extension": "creation,termination"}
                if self.tus
                else {}
            )
            conn.send(
                reply(
                    200,
                    fields
                    if self.tus
                    else {key: fields[key] for key in fields if "Tus" not in key},
                )
            )
        elif request.method != "HEAD" and not draft and request.header("Tus-Resumable") != "1.0.0":
            self._end(conn, reply(412, fields))
        elif request.method == "POST":
            self._create(conn, request, draft, fields)
        elif request.target not in self.uploads:
            self._end(conn, reply(404, fields))
        elif request.method == "HEAD":
            self._head(conn, request, draft, fields)
        elif request.method == "PATCH":
            self._append(conn, request, draft, fields)
        else:
            self._end(conn, reply(405, fields))

    def _create(self, conn: Conn, request: Request, draft: str, fields: dict[str, str]) -> None:
        path = f"/files/{len(self.uploads) + 1}"
        self.uploads[path] = (int(request.header("Upload-Length")), bytearray())
        self.metadata = request.header("Upload-Metadata")
        fields |= {"Location": path}
        if draft:
            conn.send(
                reply(
                    104,
                    {
                        "Location": path,
                        "Upload-Draft-Interop-Version": draft,
                        "Upload-Limit": "min-size=0",
                    },
                )
            )
            fields |= {"Upload-Limit": "min-size=0", "Upload-Draft-Interop-Version": draft}
            if not self._take(conn, request, path):
                return
            fields |= {"Upload-Offset": str(len(self.uploads[path][1]))}
        conn.send(reply(201, fields))

    def _head(self, conn: Conn, request: Request, draft: str, fields: dict[str, str]) -> None:
        length, body = self.uploads[request.target]
        fields |= {
            "Upload-Offset": str(len(body)),
            "Upload-Length": str(length),
            "Cache-Control": "no-store",
        }
        complete = len(body) == length
        if draft == "3":
            fields |= {"Upload-Incomplete": "?0" if complete else "?1"}
        elif draft:
            fields |= {"Upload-Complete": "?1" if complete else "?0"}
        conn.send(reply(204 if draft else 200, fields))

    def _append(self, conn: Conn, request: Request, draft: str, fields: dict[str, str]) -> None:
        kind = request.header("Content-Type")
        if (not draft and kind != "application/offset+octet-stream") or (
            draft == "6" and kind != "application/partial-upload"
        ):
            self._end(conn, reply(415, fields))
        elif int(request.header("Upload-Offset")) != len(self.uploads[request.target][1]):
            self._end(conn, reply(409, fields))
        elif self._take(conn, request, request.target):
            conn.send(
                reply(204, fields | {"Upload-Offset": str(len(self.uploads[request.target][1]))})
            )

    def _take(self, conn: Conn, request: Request, path: str) -> bool:
        """False when the connection was cut."""
        length = int(request.header("Content-Length"))
        cut = self.cuts.pop(0) if self.cuts and length else None
        left = length if cut is None else min(cut, length)
        with contextlib.suppress(ConnectionError):
            while left:
                piece = conn.read_some(min(left, 65536))
                self.uploads[path][1].extend(piece)
                self.received += len(piece)
                left -= len(piece)
        if cut is not None:
            conn.reset()
        return cut is None

    def _end(self, conn: Conn, answer: bytes) -> None:
        line, _, rest = answer.partition(b"\r\n")
        conn.send(line + b"\r\nConnection: close\r\n" + rest)
        conn.close()
