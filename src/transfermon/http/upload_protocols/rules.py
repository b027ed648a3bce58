"""Resumable uploads as rules: what to ask a server, and what its answers mean.

Two protocols: the IETF draft "Resumable Uploads for HTTP" (draft-ietf-httpbis-resumable-upload) in
its interop versions 8, 6, 5 and 3, and tus 1.0.0. Rule: nothing here does I/O; where the server
says how much it has, that and nothing else is believed, and never more than was given to it.
"""

from __future__ import annotations

import base64
import mimetypes
import re
from enum import Enum
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from transfermon.model.errors import Code, Retry, TransferError, redacted
from transfermon.model.record import record
from transfermon.model.task import UNKNOWN, Response, Task, UploadResource, changed
from transfermon.model.upload_protocol import IETF, INTEROP, TUS, VERSIONS

MISMATCHES = 3  # in a row without progress (U-18)
MIB = 1 << 20
LARGEST_PIECE, SMALLEST_PIECE = 64 * MIB, MIB
_PARTIAL = "application/partial-upload"
_TUS = {"Tus-Resumable": "1.0.0"}
_PORTS = {"http": 80, "https": 443}
_MEMBER = re.compile(r"([a-z*][a-z0-9_.*-]*)(?:=(-?[0-9]{1,15}))?(?:;[^,]*)?")
# creations that were perhaps not understood
_ANOTHER_VERSION = frozenset({400, 412, 415, 422, 501})


@record
class Limits:
    """What a server takes: bytes and seconds; 0: no limit that it told of."""

    max_size: int = 0
    min_size: int = 0
    max_append: int = 0
    min_append: int = 0
    max_age: int = 0


class Next(Enum):
    """What follows an answer."""

    GO_ON = "go on"  # send from the offset
    ASK = "ask"  # the answer does not say where the server stands: HEAD
    RESULT = "result"  # the answer is the task's, whatever its status (U-20)
    SMALLER = "smaller"  # the same again in smaller appends
    START_OVER = "start over"  # the upload is gone: once, a new one
    FAIL = "fail"


@record
class Step:
    next: Next
    offset: int = 0
    mismatch: bool = False
    error: TransferError | None = None


# ---- what was asked for


def in_folder(url: str, name: str) -> str:
    """The address of a file of that name in the folder that `url`, which ends with a slash, is."""
    parts = urlsplit(url)
    file = quote(name.encode("utf-8", "surrogateescape"), safe="")
    return urlunsplit((parts.scheme, parts.netloc, parts.path + file, parts.query, ""))


def target(task: Task) -> str:
    """Where the file itself goes: its name is put behind the slash of a folder that it is PUT
    into.
    """
    if (
        task.into_folder
        and task.method == "PUT"
        and task.name
        and urlsplit(task.url).path.endswith("/")
    ):
        return in_folder(task.url, task.name)
    return task.url


# ---- fields


def boolean(text: str) -> bool | None:
    """A structured boolean (RFC 9651 §3.3.6); None for anything else."""
    return {"?1": True, "?0": False}.get(text.strip().partition(";")[0].strip())


def integer(text: str) -> int | None:
    """A structured integer of zero or more; None for anything else."""
    bare = text.strip().partition(";")[0].strip()
    return int(bare) if bare.isascii() and bare.isdigit() and len(bare) <= 15 else None


def completeness(answer: Response) -> bool | None:
    """Whether the answer says that the upload is complete; None when it does not say.

    Version 3 has the opposite field. Both are read under every version: a server in the field mixes
    them up.
    """
    complete = boolean(answer.header("Upload-Complete"))
    incomplete = boolean(answer.header("Upload-Incomplete"))
    return (
        complete
        if incomplete is None
        else not incomplete
        if complete is None
        else complete and not incomplete
    )


def version_of(answer: Response) -> str:
    """The interop version that the answer names, where it is one of ours; else ""."""
    named = integer(answer.header("Upload-Draft-Interop-Version"))
    return str(named) if str(named) in VERSIONS else ""


def limits(text: str) -> Limits:
    """`Upload-Limit`, a dictionary; members that are unknown or malformed count as not told."""
    found: dict[str, int] = {}
    for member in text.split(","):
        match = _MEMBER.fullmatch(member.strip())
        if match is not None and match[2] is not None and int(match[2]) >= 0:
            found[match[1]] = int(match[2])
    return Limits(
        max_size=found.get("max-size", 0),
        min_size=found.get("min-size", 0),
        max_append=found.get("max-append-size", 0),
        min_append=found.get("min-append-size", 0),
        max_age=found.get("max-age", found.get("expires", 0)),  # the name until version 6
    )


def too_large(size: int, found: Limits, url: str) -> TransferError | None:
    """U-19."""
    if not found.max_size or size <= found.max_size:
        return None
    return TransferError(
        code=Code.DATA_TOO_LARGE,
        message=f"The server takes {found.max_size} bytes at the most; this file has {size}.",
        reason="srv.too-big",
        hint="Send a smaller file.",
        url=redacted(url),
    )


def _complete(version: str, complete: bool) -> dict[str, str]:
    name, value = (
        ("Upload-Incomplete", not complete) if version == "3" else ("Upload-Complete", complete)
    )
    return {"Upload-Draft-Interop-Version": version, name: "?1" if value else "?0"}


# ---- U-15: creation


def type_of(name: str) -> str:
    """The media type that a file's name stands for."""
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def creation(
    protocol: str,
    length: int,
    *,
    version: str = INTEROP,
    name: str = "",
    media_type: str = "",
    digest: str = "",
) -> tuple[str, dict[str, str]]:
    """The method ("": the task's own) and the headers of a request with an empty body. `digest`:
    Repr-Digest's value.
    """
    if protocol == TUS:
        pairs = [("filename", name), ("filetype", media_type or type_of(name))] if name else []
        coded = (
            f"{key} {base64.b64encode(value.encode('utf-8', 'replace')).decode()}"
            for key, value in pairs
        )
        metadata = {"Upload-Metadata": ",".join(coded)} if pairs else {}
        return "POST", {**_TUS, "Upload-Length": str(length), "Content-Length": "0", **metadata}
    headers = {**_complete(version, False), "Upload-Length": str(length), "Content-Length": "0"}
    if name:
        headers["Content-Type"] = media_type or type_of(name)
        headers["Content-Disposition"] = (
            f"inline; filename*=UTF-8''{quote(name.encode('utf-8', 'replace'), safe='')}"
        )
    return "", {**headers, **({"Repr-Digest": digest} if digest else {})}


def whole(version: str, length: int) -> dict[str, str]:
    """The draft's fields of a request with the whole body, by which a server may offer to resume it
    (104).
    """
    return {**_complete(version, True), "Upload-Length": str(length)}


def created(
    protocol: str, answer: Response, length: int, now: float, *, version: str = INTEROP
) -> UploadResource | TransferError | None:
    """The upload resource; None when the answer is a final one of a server that does not know the
    protocol.

    A resource at another origin says so in `elsewhere`. The error is that of an address that cannot
    be used (U-25).
    """
    if not 200 <= answer.status < 300 or (protocol == IETF and completeness(answer) is True):
        return None
    return _resource(protocol, answer, length, now, version)


def announced(answer: Response, version: str, length: int, now: float) -> UploadResource | None:
    """The upload resource that an interim answer offers; None for one of another version, or
    without a usable one.
    """
    if answer.status != 104 or version_of(answer) != version:
        return None
    found = _resource(IETF, answer, length, now, version)
    return found if isinstance(found, UploadResource) else None


def another_version(answer: Response, asked: str) -> bool:
    """Whether the answer to a creation leaves it possible that the server speaks another version
    than `asked`.
    """
    named = version_of(answer)
    if completeness(answer) is True or (named == asked and answer.status >= 400):
        return False
    return 200 <= answer.status < 300 or answer.status in _ANOTHER_VERSION


def _resource(
    protocol: str, answer: Response, length: int, now: float, version: str
) -> UploadResource | TransferError | None:
    location = answer.header("Location")
    if not location:
        return None
    try:
        parts = urlsplit(_at_home(answer.url, urljoin(answer.url, location)))
        url = urlunsplit(
            (parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, "")
        )
        here, there = _origin(answer.url), _origin(url)
    except ValueError:
        return _unusable(answer)
    if there[0] not in _PORTS or not there[1] or there[2] == UNKNOWN:
        return _unusable(answer)
    if (here[0], there[0]) == ("https", "http"):
        return TransferError(
            code=Code.INSECURE_LOAD_REFUSED,
            message=f"The server wants the upload sent without encryption, to {named(url)}.",
            reason="pol.insecure-redirect",
            hint="Tell the server's owner.",
            url=redacted(answer.url),
        )
    found = limits(answer.header("Upload-Limit"))
    return UploadResource(
        protocol=protocol,
        url=url,
        length=length,
        version=version if protocol == IETF else "",
        max_append=found.max_append,
        min_append=found.min_append,
        expires=now + found.max_age if found.max_age else 0.0,
        elsewhere=there != here,
    )


def _unusable(answer: Response) -> TransferError:
    return TransferError(
        code=Code.REDIRECT_WITHOUT_TARGET,
        message="The server wants the upload sent to an address that cannot be used.",
        reason="srv.redirect",
        hint="Tell the server's owner.",
        url=redacted(answer.url),
    )


def _at_home(base: str, url: str) -> str:
    """What a server means that does not see how it was reached: an http address of the same host
    under an https one is its https one (TLS ends before it), and one without a port has the port
    that was asked (a proxy left it out).
    """
    here, there = urlsplit(base), urlsplit(url)
    lost = (here.scheme, there.scheme) == ("https", "http") or (
        here.scheme == there.scheme and there.port is None
    )
    if lost and here.hostname == there.hostname:
        return urlunsplit(
            (here.scheme, here.netloc.rpartition("@")[2], there.path, there.query, "")
        )
    return url


def refused_elsewhere(url: str) -> TransferError:
    """What a task whose address others gave does with a resource at another origin (U-25)."""
    return TransferError(
        code=Code.REDIRECT_WITHOUT_TARGET,
        message=f"The server wants the upload sent to another server, {named(url)}.",
        reason="pol.redirected-upload",
        hint="Upload to an address there, if you trust that server.",
        url=redacted(url),
    )


def named(url: str) -> str:
    """Scheme, host and port: the rest of such an address is a secret (U-25)."""
    scheme, host, port = _origin(url)
    shown = f"[{host}]" if ":" in host else host
    return (
        f"{scheme}://{shown}"
        if port in (None, _PORTS.get(scheme))
        else f"{scheme}://{shown}:{port}"
    )


# ---- U-17: where the server stands


def query(upload: UploadResource) -> dict[str, str]:
    return (
        dict(_TUS)
        if upload.protocol == TUS
        else {"Upload-Draft-Interop-Version": upload.version or INTEROP}
    )


def judge_query(upload: UploadResource, answer: Response, *, given: int) -> Step:
    """What the answer to HEAD means (U-17, U-20, U-21). `given`: bytes that ever went out; -1: not
    known.
    """
    complete = completeness(answer) if upload.protocol == IETF else None
    if not 200 <= answer.status < 300:
        return Step(next=Next.RESULT) if complete is True else _refused(answer)
    offset = integer(answer.header("Upload-Offset"))
    if offset is None:
        # The draft has the field in every such answer; without it a true Upload-Complete stands for
        # all that was given.
        if complete is True and given in (UNKNOWN, upload.length):
            return Step(next=Next.RESULT, offset=upload.length)
        return Step(
            next=Next.FAIL,
            error=_nonsense(answer) if complete is not True else early(answer, given),
        )
    if error := beyond(answer, offset, upload.length if given == UNKNOWN else given):
        return Step(next=Next.FAIL, error=error)
    if complete is True and offset < upload.length:
        return Step(next=Next.FAIL, error=early(answer, offset))
    if complete is True or (upload.protocol == TUS and offset == upload.length):
        return Step(next=Next.RESULT, offset=upload.length)
    return Step(next=Next.GO_ON, offset=offset)


# ---- U-16: appending


def append(upload: UploadResource, offset: int, *, last: bool) -> dict[str, str]:
    if upload.protocol == TUS:
        return {
            **_TUS,
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
        }
    version = upload.version or INTEROP
    # the older ones know no type for it
    kind = {"Content-Type": _PARTIAL} if int(version) >= 6 else {}
    return {**_complete(version, last), "Upload-Offset": str(offset), **kind}


def piece(upload: UploadResource, offset: int) -> tuple[int, bool]:
    """Where the next append ends, and whether it is the last (U-16, U-19)."""
    most = min((size for size in (upload.max_append, upload.piece) if size), default=upload.length)
    end = min(upload.length, offset + most)
    return end, end == upload.length


def smaller(
    upload: UploadResource, tried: int, answer: Response | None = None
) -> UploadResource | None:
    """With smaller appends than one of `tried` bytes: 64 MiB, halved down to 1 MiB, within the
    server's limits, also those of a 413. None when that is not possible.
    """
    if answer is not None:
        told = limits(answer.header("Upload-Limit"))
        upload = changed(
            upload,
            max_append=told.max_append or upload.max_append,
            min_append=told.min_append or upload.min_append,
        )
    if tried < 2:
        return None
    size = LARGEST_PIECE
    while size >= tried or size > (upload.max_append or size):
        size //= 2
    if size < SMALLEST_PIECE:  # below it only where the server asks for it
        size = upload.max_append if upload.max_append < tried else 0
    if size:
        size = max(size, upload.min_append)
    return changed(upload, piece=size, tried=0) if 0 < size < tried else None


def after_cut(upload: UploadResource, offset: int) -> UploadResource:
    """Once the server was asked after an append without an answer: what did not grow is tried in
    smaller appends.
    """
    if upload.tried and offset <= upload.offset:
        return smaller(upload, upload.tried) or changed(upload, tried=0)
    return changed(upload, tried=0)


def judge_append(
    upload: UploadResource,
    end: int,
    answer: Response,
    text: str = "",
    *,
    last: bool,
    sent: int,
    given: int,
) -> Step:
    """What the answer to PATCH means (U-16, U-18, U-20, U-21). The request should have ended at the
    offset `end` and got to `sent`; `given` is the furthest that ever went out, -1 where that is not
    known.
    """
    complete = completeness(answer) if upload.protocol == IETF else None
    told = integer(answer.header("Upload-Offset"))
    if told is None and answer.status == 409:
        told = expected_offset(text)
    succeeded = 200 <= answer.status < 300
    most = upload.length if given == UNKNOWN else given
    if (
        told is not None
        and (succeeded or answer.status == 409)
        and (error := beyond(answer, told, most))
    ):
        return Step(next=Next.FAIL, error=error)
    if complete is True and succeeded:
        if not last or sent < end or told not in (None, upload.length):
            return Step(next=Next.FAIL, error=early(answer, sent if told is None else told))
        return Step(next=Next.RESULT, offset=end)
    if complete is True:
        return Step(next=Next.RESULT, offset=min(end, sent))
    if succeeded and told is None:
        goes_on = upload.protocol == IETF and not last and sent >= end  # then it need not say so
        return Step(next=Next.GO_ON, offset=end) if goes_on else Step(next=Next.ASK)
    if succeeded and last and sent >= end and told == upload.length and complete is None:
        return Step(next=Next.RESULT, offset=end)
    if told is not None and (succeeded or answer.status == 409):
        return Step(next=Next.GO_ON, offset=told, mismatch=not succeeded)
    return Step(next=Next.SMALLER) if answer.status == 413 else _refused(answer)


def may_be_last(upload: UploadResource, answer: Response) -> bool:
    """Whether a good answer that does not say where the server stands can be the one to a whole
    upload.
    """
    last = upload.offset + upload.tried == upload.length
    return last and 200 <= answer.status < 300 and completeness(answer) is None


def may_go_whole(protocol: str, answer: Response) -> bool:
    """Whether the answer to a creation only shows that nothing can be resumed here, so that the
    file may go at once.
    """
    if completeness(answer) is True:
        return False
    return answer.status in (404, 405, 501) or (protocol == IETF and another_version(answer, ""))


def expected_offset(body: str) -> int | None:
    """The `expected-offset` of a problem body (RFC 9457), for servers that leave the field out."""
    match = re.search(r'"expected-offset"\s*:\s*([0-9]{1,15})\b', body)
    return int(match[1]) if match else None


# ---- failures


def beyond(answer: Response, told: int, given: int) -> TransferError | None:
    """The failure of a server that has more than it was ever given."""
    if told <= given:
        return None
    return TransferError(
        code=Code.BAD_SERVER_RESPONSE,
        message=f"The server says that it has {told} bytes, but only {given} were ever sent.",
        reason="srv.offset-beyond",
        hint="Start the upload again, or tell the server's owner.",
        status=answer.status,
        url=redacted(answer.url),
    )


def early(answer: Response, has: int) -> TransferError:
    """The failure of a server that says it is done before it has everything."""
    return TransferError(
        code=Code.BAD_SERVER_RESPONSE,
        message=f"The server called the upload complete when it had {max(has, 0)} bytes, which is not all of it.",
        reason="srv.early-answer",
        hint="Try again, or tell the server's owner.",
        status=answer.status,
        url=redacted(answer.url),
    )


def conflict(answer: Response, *, stuck: bool) -> TransferError:
    """A 409 that does not say where to go on, or a server that says again and again to go on where
    it was.
    """
    return TransferError(
        code=Code.BAD_SERVER_RESPONSE,
        message="The server and this upload do not agree how much was sent.",
        reason="srv.offset",
        hint="Start the upload again." if stuck else "",
        status=answer.status,
        url=redacted(answer.url),
        retry=Retry.FINAL if stuck else Retry.RETRY,
    )


def gone(answer_status: int, url: str) -> TransferError:
    """The upload resource vanished twice (U-21)."""
    return TransferError(
        code=Code.BAD_SERVER_RESPONSE,
        message="The server has forgotten the upload, twice.",
        reason="srv.upload-gone",
        hint="Try again later, or upload without resuming.",
        status=answer_status,
        url=redacted(url),
    )


def is_spent(error: TransferError) -> bool:
    """Whether nothing can be built upon the upload resource after this failure: a retry makes
    another.
    """
    final = error.retry is Retry.FINAL
    return final and error.reason in ("srv.offset", "srv.offset-beyond", "srv.early-answer")


def not_offered(answer: Response) -> TransferError:
    """A creation that made no upload resource."""
    return TransferError(
        code=Code.BAD_SERVER_RESPONSE,
        message="The server takes no resumable upload here.",
        reason="srv.protocol",
        hint="Upload without resuming (protocol plain).",
        status=answer.status,
        url=redacted(answer.url),
    )


def _refused(answer: Response) -> Step:
    if answer.status in (404, 410):
        return Step(next=Next.START_OVER)
    if answer.status == 409:
        return Step(next=Next.FAIL, error=conflict(answer, stuck=False))
    if answer.status == 423:  # another request of ours still holds it
        error = TransferError(
            code=Code.BAD_SERVER_RESPONSE,
            message="The server is still busy with an earlier part of this upload.",
            reason="srv.locked",
            status=423,
            url=redacted(answer.url),
            retry=Retry.RETRY,
        )
        return Step(next=Next.FAIL, error=error)
    return Step(next=Next.FAIL)


def _nonsense(answer: Response) -> TransferError:
    return TransferError(
        code=Code.CANNOT_PARSE_RESPONSE,
        message="The server does not say how much of the upload it has.",
        reason="srv.protocol",
        hint="Upload without resuming, or tell the server's owner.",
        status=answer.status,
        url=redacted(answer.url),
    )


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = UNKNOWN
    return parts.scheme, parts.hostname or "", port or _PORTS.get(parts.scheme)
