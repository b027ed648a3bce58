"""A resumable protocol of our own, and a server that speaks nothing else: what one must write to
add a protocol.

The rule to keep: it has other methods, other fields and other words than the protocols that there
are, so that what asks for one of those by name does not go through here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.helpers.byte_server import Conn, Request, reply
from transfermon.http.upload_protocols.base import (
    ProtocolRequest,
    Recognition,
    ResumableProtocol,
)
from transfermon.http.upload_protocols.fields import integer
from transfermon.model.task import Response, UploadResource


class Parcels(ResumableProtocol):
    """Created and appended to with POST, asked with GET; the offset is in `Parcel-Has`."""

    name = "parcels"
    title = "Resumable, in parcels"
    label = "parcels"
    versions = ("2", "1")

    def probe_fields(self, version: str) -> dict[str, str]:
        return {"Parcel-Version": version}

    def recognised(self, answer: Response, asked: str) -> Recognition | None:
        version = self.version_in(answer)
        return Recognition(version=version) if version == asked else None

    def version_in(self, answer: Response) -> str:
        named = answer.header("Parcel-Version")
        return named if named in self.versions else ""

    def creation(
        self,
        length: int,
        *,
        version: str = "",
        name: str = "",
        media_type: str = "",
        digest: str = "",
    ) -> ProtocolRequest:
        fields = {"Parcel-Version": version, "Parcel-Length": str(length), "Content-Length": "0"}
        return ProtocolRequest(method="POST", fields=fields)

    def question(self, upload: UploadResource) -> ProtocolRequest:
        return ProtocolRequest(method="GET", fields=self.resource_fields(upload))

    def append(self, upload: UploadResource, offset: int, *, last: bool) -> ProtocolRequest:
        fields = self.resource_fields(upload) | {"Parcel-From": str(offset)}
        return ProtocolRequest(method="POST", fields=fields)

    def cancellation(self, upload: UploadResource) -> ProtocolRequest:
        fields = self.resource_fields(upload) | {"Parcel-Forget": "yes", "Content-Length": "0"}
        return ProtocolRequest(method="POST", fields=fields)

    def resource_fields(self, upload: UploadResource) -> dict[str, str]:
        return {"Parcel-Version": upload.version}

    def offset_in(self, answer: Response) -> int | None:
        return integer(answer.header("Parcel-Has"))


PROTOCOL = Parcels()


@dataclass
class ParcelServer:
    """A handler for `ByteServer(..., reads_bodies=False)`, of one upload."""

    version: str = "1"
    cuts: list[int] = field(default_factory=list)  # bytes of the next appends before a reset
    body: bytearray = field(default_factory=bytearray)
    length: int = -1
    said: list[str] = field(default_factory=list)  # method, and what it is for

    def __call__(self, conn: Conn, request: Request) -> None:
        spoken = request.header("Parcel-Version") == self.version
        if request.method == "OPTIONS":
            self.said.append(f"OPTIONS {request.header('Parcel-Version')}")
            conn.send(reply(200, {"Parcel-Version": self.version} if spoken else {}))
        elif not spoken:
            conn.send(reply(400))
            conn.close()
        elif request.header("Parcel-Length"):
            self.said.append("POST creation")
            self.length = int(request.header("Parcel-Length"))
            conn.send(reply(201, {"Location": "/parcel"}))
        elif request.method == "GET":
            self.said.append("GET")
            conn.send(reply(200, {"Parcel-Has": str(len(self.body))}))
        elif request.header("Parcel-Forget"):
            self.said.append("POST forget")
            self.body.clear()
            conn.send(reply(200))
        else:
            self._append(conn, request)

    def _append(self, conn: Conn, request: Request) -> None:
        self.said.append(f"POST from {request.header('Parcel-From')}")
        assert int(request.header("Parcel-From")) == len(self.body)
        left = int(request.header("Content-Length"))
        cut = self.cuts.pop(0) if self.cuts else None
        left = left if cut is None else min(cut, left)
        while left:
            piece = conn.read_some(min(left, 65536))
            self.body += piece
            left -= len(piece)
        if cut is None:
            conn.send(reply(200, {"Parcel-Has": str(len(self.body))}))
        else:
            conn.reset()
