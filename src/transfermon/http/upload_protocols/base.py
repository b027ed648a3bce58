"""What a resumable protocol is: the names it goes by, its requests, and what the answers mean.

Rule: nothing here does I/O. Where the server says how much it has, that and nothing else is
believed, and never more than was given to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum
from typing import ClassVar

from transfermon.http.upload_protocols import failures
from transfermon.http.upload_protocols.fields import (
    Limits,
    expected_offset,
    integer,
    upload_limits,
)
from transfermon.http.upload_protocols.places import file_address, resource_address
from transfermon.model.errors import TransferError
from transfermon.model.record import record
from transfermon.model.task import UNKNOWN, Response, Task, UploadResource

MISMATCHES = 3  # in a row without progress (U-18)
_PERHAPS_NOT_UNDERSTOOD = frozenset({400, 412, 415, 422, 501})  # statuses of creations


class Next(Enum):
    """What follows an answer."""

    GO_ON = "go on"  # send from the offset
    ASK = "ask"  # the answer does not say where the server stands: the question
    RESULT = "result"  # the answer is the task's, whatever its status (U-20)
    SMALLER = "smaller"  # the same again in smaller appends
    START_OVER = "start over"  # the upload is gone: once, a new one
    FAIL = "fail"


@record
class Step:
    next: Next
    offset: int = 0
    error: TransferError | None = None


@record
class ProtocolRequest:
    """A request in a protocol's words; whoever sends it has the body."""

    method: str  # "": the task's own
    fields: Mapping[str, str]


@record
class Recognition:
    """What a server that knows the protocol says of itself."""

    version: str = ""  # that it speaks
    limits: Limits = field(default_factory=Limits)


class ResumableProtocol:
    """A subclass is a protocol, and its one object stands in the registry; it remembers nothing.

    What stands here is what a protocol does that has its offsets in `Upload-Offset`, appends with
    PATCH and asks with HEAD: a subclass says where it differs.
    """

    name: ClassVar[str]  # that people choose it by; it stands in records and never changes
    title: ClassVar[str]  # in the dialog of uploads; `marked`
    label: ClassVar[str]  # in a sentence; `marked` where it is more than a name
    # those spoken somewhere, in the order in which they are tried; one without a name where there
    # is nothing to choose
    versions: ClassVar[tuple[str, ...]] = ("",)
    # A request with the whole body may begin an upload of it (`whole_fields`, `announced`). So its
    # servers take whole bodies, and one that refuses them means it.
    begins_whole: ClassVar[bool] = False
    full_is_complete: ClassVar[bool] = True  # once the server has the last byte it is over
    always_tells_offset: ClassVar[bool] = True  # a good answer to an append never leaves it out

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    # ---- who speaks it

    def probe_fields(self, version: str) -> dict[str, str]:
        """Fields of OPTIONS that a server needs to show the protocol."""
        return {}

    def recognised(self, answer: Response, asked: str) -> Recognition | None:
        """What the good answer to OPTIONS, asked in that version, says of the protocol; None:
        nothing.
        """
        raise NotImplementedError

    def version_in(self, answer: Response) -> str:
        """The version that the answer names, where it is one of ours; else ""."""
        return ""

    def another_version(self, answer: Response, asked: str) -> bool:
        """Whether the answer to a creation leaves it possible that the server speaks another
        version than `asked`.
        """
        named = self.version_in(answer)
        if self.completeness(answer) is True or (named == asked and answer.status >= 400):
            return False
        return 200 <= answer.status < 300 or answer.status in _PERHAPS_NOT_UNDERSTOOD

    # ---- U-15: creation

    def creation_address(self, task: Task) -> str:
        return file_address(task)

    def creation(
        self,
        length: int,
        *,
        version: str = "",
        name: str = "",
        media_type: str = "",
        digest: str = "",
    ) -> ProtocolRequest:
        """A request with an empty body. `digest`: Repr-Digest's value."""
        raise NotImplementedError

    def created(
        self, answer: Response, length: int, now: float, *, version: str = ""
    ) -> UploadResource | TransferError | None:
        """The upload resource; None when the answer is a final one of a server that does not know
        the protocol.

        A resource at another origin says so in `elsewhere`. The error is that of an address that
        cannot be used (U-25).
        """
        if not 200 <= answer.status < 300 or self.completeness(answer) is True:
            return None
        return self.resource(answer, length, now, version)

    def resource(
        self, answer: Response, length: int, now: float, version: str
    ) -> UploadResource | TransferError | None:
        """What the answer's Location and limits make."""
        place = resource_address(answer)
        if not isinstance(place, tuple):
            return place
        url, elsewhere = place
        found = self.limits_in(answer)
        return UploadResource(
            protocol=self.name,
            url=url,
            length=length,
            version=version,
            max_append=found.max_append,
            min_append=found.min_append,
            expires=now + found.max_age if found.max_age else 0.0,
            elsewhere=elsewhere,
        )

    def may_go_whole(self, answer: Response) -> bool:
        """Whether the answer to a creation only shows that nothing can be resumed here, so that the
        file may go at once.
        """
        return answer.status in (404, 405, 501) and self.completeness(answer) is not True

    # ---- a whole body that may be resumed: only where `begins_whole`

    def whole_fields(self, version: str, length: int) -> dict[str, str]:
        """Fields of a request with the whole body, by which a server may offer to resume it."""
        return {}

    def announced(
        self, interim: Response, length: int, now: float, *, version: str
    ) -> UploadResource | None:
        """The upload resource that an interim answer offers; None for one of another version, or
        without a usable one.
        """
        return None

    # ---- U-16, U-17, U-22: the upload resource

    def question(self, upload: UploadResource) -> ProtocolRequest:
        """Where does the server stand?"""
        return ProtocolRequest(method="HEAD", fields=self.resource_fields(upload))

    def append(self, upload: UploadResource, offset: int, *, last: bool) -> ProtocolRequest:
        """The body is what follows from the offset on."""
        raise NotImplementedError

    def cancellation(self, upload: UploadResource) -> ProtocolRequest:
        return ProtocolRequest(method="DELETE", fields=self.resource_fields(upload))

    def resource_fields(self, upload: UploadResource) -> dict[str, str]:
        """Fields of every request for an upload resource."""
        return {}

    # ---- what an answer says

    def limits_in(self, answer: Response) -> Limits:
        return upload_limits(answer.header("Upload-Limit"))

    def completeness(self, answer: Response) -> bool | None:
        """Whether the answer says that the upload is complete; None when it does not say."""
        return None

    def offset_in(self, answer: Response) -> int | None:
        """How much the server has; None when the answer does not say."""
        return integer(answer.header("Upload-Offset"))

    def may_be_last(self, upload: UploadResource, answer: Response) -> bool:
        """Whether a good answer that does not say where the server stands can be the one to a whole
        upload.
        """
        last = upload.offset + upload.tried == upload.length
        return last and 200 <= answer.status < 300 and self.completeness(answer) is None

    def judge_question(self, upload: UploadResource, answer: Response, *, given: int) -> Step:
        """What the answer to the question means (U-17, U-20, U-21). `given`: bytes that ever went
        out; -1: not known.
        """
        complete = self.completeness(answer)
        if not 200 <= answer.status < 300:
            return Step(next=Next.RESULT) if complete is True else _refused(answer)
        offset = self.offset_in(answer)
        if offset is None:
            # The draft has the field in every such answer; without it a true Upload-Complete stands
            # for all that was given.
            if complete is True and given in (UNKNOWN, upload.length):
                return Step(next=Next.RESULT, offset=upload.length)
            return Step(
                next=Next.FAIL,
                error=failures.early(answer, given)
                if complete is True
                else failures.nonsense(answer),
            )
        most = upload.length if given == UNKNOWN else given
        if error := failures.beyond(answer, offset, most):
            return Step(next=Next.FAIL, error=error)
        if complete is True and offset < upload.length:
            return Step(next=Next.FAIL, error=failures.early(answer, offset))
        if complete is True or (self.full_is_complete and offset == upload.length):
            return Step(next=Next.RESULT, offset=upload.length)
        return Step(next=Next.GO_ON, offset=offset)

    def judge_append(
        self,
        upload: UploadResource,
        end: int,
        answer: Response,
        text: str = "",
        *,
        last: bool,
        sent: int,
        given: int,
    ) -> Step:
        """What the answer to an append means (U-16, U-18, U-20, U-21). The request should have
        ended at the offset `end` and got to `sent`; `given` is the furthest that ever went out, -1
        where that is not known.
        """
        complete = self.completeness(answer)
        told = self.offset_in(answer)
        if told is None and answer.status == 409:
            told = expected_offset(text)
        succeeded = 200 <= answer.status < 300
        most = upload.length if given == UNKNOWN else given
        if (
            told is not None
            and (succeeded or answer.status == 409)
            and (error := failures.beyond(answer, told, most))
        ):
            return Step(next=Next.FAIL, error=error)
        if complete is True and succeeded:
            if not last or sent < end or told not in (None, upload.length):
                error = failures.early(answer, sent if told is None else told)
                return Step(next=Next.FAIL, error=error)
            return Step(next=Next.RESULT, offset=end)
        if complete is True:
            return Step(next=Next.RESULT, offset=min(end, sent))
        if succeeded and told is None:
            goes_on = not self.always_tells_offset and not last and sent >= end
            return Step(next=Next.GO_ON, offset=end) if goes_on else Step(next=Next.ASK)
        if succeeded and last and sent >= end and told == upload.length and complete is None:
            return Step(next=Next.RESULT, offset=end)
        if told is not None and (succeeded or answer.status == 409):
            return Step(next=Next.GO_ON, offset=told)
        return Step(next=Next.SMALLER) if answer.status == 413 else _refused(answer)


def media_type_of(name: str) -> str:
    """The media type that a file's name stands for."""
    import mimetypes  # only an upload has a use for its tables

    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _refused(answer: Response) -> Step:
    match answer.status:
        case 404 | 410:
            return Step(next=Next.START_OVER)
        case 409:
            return Step(next=Next.FAIL, error=failures.conflict(answer, stuck=False))
        case 423:
            return Step(next=Next.FAIL, error=failures.locked(answer))
        case _:
            return Step(next=Next.FAIL)
