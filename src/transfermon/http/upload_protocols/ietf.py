"""The IETF draft "Resumable Uploads for HTTP" (draft-ietf-httpbis-resumable-upload) in its interop
versions 8, 6, 5 and 3.

Rule: a server does not answer for a version that is not its own, so each is asked for by itself.
"""

from __future__ import annotations

from urllib.parse import quote

from transfermon.http.upload_protocols.base import (
    ProtocolRequest,
    Recognition,
    ResumableProtocol,
    media_type_of,
)
from transfermon.http.upload_protocols.fields import boolean, integer
from transfermon.model.errors import TransferError
from transfermon.model.task import Response, UploadResource
from transfermon.model.translate import marked

_PARTIAL = "application/partial-upload"


class Ietf(ResumableProtocol):
    """An upload is created where the file goes, with the request that would send it whole; 3 is
    draft -01, 5 is -03, 6 is -04 and -05, 8 is -08 and later.
    """

    name = "ietf"
    title = marked("Resumable, IETF draft")
    label = marked("IETF draft")
    versions = ("8", "6", "5", "3")
    begins_whole = True
    full_is_complete = False
    always_tells_offset = False

    # ---- who speaks it

    def probe_fields(self, version: str) -> dict[str, str]:
        return {"Upload-Draft-Interop-Version": version or self.versions[0]}

    def recognised(self, answer: Response, asked: str) -> Recognition | None:
        patches = {
            part.partition(";")[0].strip().lower()
            for part in answer.header("Accept-Patch").split(",")
        }
        if not answer.header("Upload-Limit") and _PARTIAL not in patches:
            return None
        return Recognition(version=self.version_in(answer) or asked, limits=self.limits_in(answer))

    def version_in(self, answer: Response) -> str:
        named = integer(answer.header("Upload-Draft-Interop-Version"))
        return str(named) if str(named) in self.versions else ""

    # ---- creation

    def creation(
        self,
        length: int,
        *,
        version: str = "",
        name: str = "",
        media_type: str = "",
        digest: str = "",
    ) -> ProtocolRequest:
        fields = self._complete(version, False)
        fields |= {"Upload-Length": str(length), "Content-Length": "0"}
        if name:
            coded = quote(name.encode("utf-8", "replace"), safe="")
            fields["Content-Type"] = media_type or media_type_of(name)
            fields["Content-Disposition"] = f"inline; filename*=UTF-8''{coded}"
        if digest:
            fields["Repr-Digest"] = digest
        return ProtocolRequest(method="", fields=fields)

    def may_go_whole(self, answer: Response) -> bool:
        return super().may_go_whole(answer) or self.another_version(answer, "")

    def whole_fields(self, version: str, length: int) -> dict[str, str]:
        return {**self._complete(version, True), "Upload-Length": str(length)}

    def announced(
        self, interim: Response, length: int, now: float, *, version: str
    ) -> UploadResource | None:
        if interim.status != 104 or self.version_in(interim) != version:
            return None
        found = self.resource(interim, length, now, version)
        return None if isinstance(found, TransferError) else found

    # ---- the upload resource

    def append(self, upload: UploadResource, offset: int, *, last: bool) -> ProtocolRequest:
        fields = {**self._complete(upload.version, last), "Upload-Offset": str(offset)}
        if int(upload.version or self.versions[0]) >= 6:  # the older ones know no type for it
            fields["Content-Type"] = _PARTIAL
        return ProtocolRequest(method="PATCH", fields=fields)

    def resource_fields(self, upload: UploadResource) -> dict[str, str]:
        return self.probe_fields(upload.version)

    def completeness(self, answer: Response) -> bool | None:
        """Version 3 has the opposite field. Both are read under every version: a server in the
        field mixes them up.
        """
        complete = boolean(answer.header("Upload-Complete"))
        incomplete = boolean(answer.header("Upload-Incomplete"))
        if incomplete is None:
            return complete
        return not incomplete if complete is None else complete and not incomplete

    def _complete(self, version: str, complete: bool) -> dict[str, str]:
        name, value = (
            ("Upload-Incomplete", not complete) if version == "3" else ("Upload-Complete", complete)
        )
        return {**self.probe_fields(version), name: "?1" if value else "?0"}


PROTOCOL = Ietf()
