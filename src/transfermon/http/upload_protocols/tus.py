"""tus 1.0.0: an upload is created with POST at an address for all files, and its name is metadata."""

from __future__ import annotations

import base64

from transfermon.http.upload_protocols.base import (
    ProtocolRequest,
    Recognition,
    ResumableProtocol,
    media_type_of,
)
from transfermon.http.upload_protocols.fields import Limits, integer
from transfermon.model.task import Response, Task, UploadResource
from transfermon.model.translate import marked

_VERSION = "1.0.0"


class Tus(ResumableProtocol):
    """It says of itself what it can, has no word for "complete", and tells every offset."""

    name = "tus"
    title = marked("Resumable, tus 1.0")
    label = "tus"

    def recognised(self, answer: Response, asked: str) -> Recognition | None:
        versions = {part.strip() for part in answer.header("Tus-Version").split(",")}
        if _VERSION not in versions | {answer.header("Tus-Resumable").strip()}:
            return None
        told = answer.header("Tus-Extension").split(",")
        extensions = {part.strip().lower() for part in told} - {""}
        if extensions and "creation" not in extensions:
            return None
        return Recognition(limits=Limits(max_size=integer(answer.header("Tus-Max-Size")) or 0))

    def creation_address(self, task: Task) -> str:
        return task.url

    def creation(
        self,
        length: int,
        *,
        version: str = "",
        name: str = "",
        media_type: str = "",
        digest: str = "",
    ) -> ProtocolRequest:
        fields = {
            "Tus-Resumable": _VERSION,
            "Upload-Length": str(length),
            "Content-Length": "0",
        }
        if name:
            pairs = {"filename": name, "filetype": media_type or media_type_of(name)}
            fields["Upload-Metadata"] = ",".join(
                f"{key} {base64.b64encode(value.encode('utf-8', 'replace')).decode()}"
                for key, value in pairs.items()
            )
        return ProtocolRequest(method="POST", fields=fields)

    def append(self, upload: UploadResource, offset: int, *, last: bool) -> ProtocolRequest:
        fields = {
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
        }
        return ProtocolRequest(method="PATCH", fields=self.resource_fields(upload) | fields)

    def resource_fields(self, upload: UploadResource) -> dict[str, str]:
        return {"Tus-Resumable": _VERSION}


PROTOCOL = Tus()
