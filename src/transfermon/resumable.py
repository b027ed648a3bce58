"""Resumable uploads as rules: what to ask a server, and what its answers mean.

Two protocols: the IETF draft "Resumable Uploads for HTTP" (draft-ietf-httpbis-resumable-upload, interop version 8) and
tus 1.0.0. Rule: nothing here does I/O; where the server says how much it has, that and nothing else is believed.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urljoin, urlsplit

from transfermon.errors import Code, Retry, TransferError, redacted
from transfermon.task import UNKNOWN, Response, UploadResource

INTEROP = "8"  # the version of the draft; an answer to another one is not understood
PLAIN, IETF, TUS, AUTO = "plain", "ietf", "tus", "auto"
PROTOCOLS = (AUTO, PLAIN, IETF, TUS)
MISMATCHES = 3  # in a row without progress (U-18)
_PARTIAL = "application/partial-upload"
_TUS = {"Tus-Resumable": "1.0.0"}
_PORTS = {"http": 80, "https": 443}
_VERSION = {"Upload-Draft-Interop-Version": INTEROP}
_MEMBER = re.compile(r"([a-z*][a-z0-9_.*-]*)(?:=(-?[0-9]{1,15}))?(?:;[^,]*)?")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a server takes: bytes and seconds; 0: no limit that it told of."""

    max_size: int = 0
    max_append: int = 0
    max_age: int = 0


class Next(Enum):
    """What follows an answer."""

    GO_ON = "go on"  # send from the offset
    RESULT = "result"  # the answer is the task's, whatever its status (U-20)
    START_OVER = "start over"  # the upload is gone: once, a new one
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class Step:
    next: Next
    offset: int = 0
    mismatch: bool = False
    error: TransferError | None = None


def boolean(text: str) -> bool | None:
    """A structured boolean (RFC 9651 §3.3.6); None for anything else."""
    return {"?1": True, "?0": False}.get(text.strip().partition(";")[0].strip())


def integer(text: str) -> int | None:
    """A structured integer of zero or more; None for anything else."""
    bare = text.strip().partition(";")[0].strip()
    return int(bare) if bare.isascii() and bare.isdigit() and len(bare) <= 15 else None


def limits(text: str) -> Limits:
    """`Upload-Limit`, a dictionary; members that are unknown or malformed count as not told."""
    found: dict[str, int] = {}
    for member in text.split(","):
        match = _MEMBER.fullmatch(member.strip())
        if match is not None and match[2] is not None and int(match[2]) >= 0:
            found[match[1]] = int(match[2])
    return Limits(
        max_size=found.get("max-size", 0), max_append=found.get("max-append-size", 0), max_age=found.get("max-age", 0)
    )


# ---- U-14: the probe


def probe() -> dict[str, str]:
    return dict(_VERSION)


def offered(answer: Response) -> Limits | None:
    """The limits, when the answer to OPTIONS shows that the resource takes resumable uploads; else None."""
    if not 200 <= answer.status < 300:
        return None
    told = answer.header("Upload-Limit")
    patches = {part.partition(";")[0].strip().lower() for part in answer.header("Accept-Patch").split(",")}
    return limits(told) if told or _PARTIAL in patches else None


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


# ---- U-15: creation


def creation(protocol: str, length: int, *, name: str = "", digest: str = "") -> tuple[str, dict[str, str]]:
    """The method ("": the task's own) and the headers of a request with an empty body. `digest`: Repr-Digest's value."""
    if protocol == TUS:
        metadata = {"Upload-Metadata": f"filename {base64.b64encode(name.encode()).decode()}"} if name else {}
        return "POST", {**_TUS, "Upload-Length": str(length), "Content-Length": "0", **metadata}
    headers = {**_VERSION, "Upload-Complete": "?0", "Upload-Length": str(length), "Content-Length": "0"}
    return "", {**headers, **({"Repr-Digest": digest} if digest else {})}


def created(protocol: str, answer: Response, length: int, now: float) -> UploadResource | TransferError | None:
    """The upload resource; None when the answer is a final one of a server that does not know the protocol."""
    if not 200 <= answer.status < 300:
        return None
    location = answer.header("Location")
    if not location or (protocol == IETF and boolean(answer.header("Upload-Complete")) is True):
        return None
    url = urljoin(answer.url, location)
    if _origin(url) != _origin(answer.url):  # U-25
        return TransferError(
            code=Code.REDIRECT_WITHOUT_TARGET,
            message=f"The server wants the upload sent to another server, {_named(url)}.",
            reason="pol.redirected-upload",
            hint="Upload to an address there, if you trust that server.",
            url=redacted(url),
        )
    found = limits(answer.header("Upload-Limit"))
    expires = now + found.max_age if found.max_age else 0.0
    return UploadResource(
        protocol=protocol, url=url, length=length, max_append=found.max_append, expires=expires, offset=0
    )


# ---- U-17: where the server stands


def query(protocol: str) -> dict[str, str]:
    return dict(_TUS if protocol == TUS else _VERSION)


def judge_query(upload: UploadResource, answer: Response) -> Step:
    """What the answer to HEAD means (U-17, U-20, U-21)."""
    if upload.protocol == IETF and boolean(answer.header("Upload-Complete")) is True:
        if 200 <= answer.status < 300:
            return Step(next=Next.RESULT, offset=upload.length)
        return Step(next=Next.RESULT)
    if 200 <= answer.status < 300:
        offset = integer(answer.header("Upload-Offset"))
        if offset is None or offset > upload.length:
            return Step(next=Next.FAIL, error=_nonsense(answer))
        return Step(next=Next.GO_ON, offset=offset)
    return _refused(answer)


# ---- U-16: appending


def append(upload: UploadResource, offset: int, *, last: bool) -> dict[str, str]:
    if upload.protocol == TUS:
        return {**_TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    return {
        **_VERSION,
        "Upload-Offset": str(offset),
        "Upload-Complete": "?1" if last else "?0",
        "Content-Type": _PARTIAL,
    }


def piece(upload: UploadResource, offset: int) -> tuple[int, bool]:
    """Where the next append ends, and whether it is the last (U-16, U-19)."""
    end = min(upload.length, offset + upload.max_append) if upload.max_append else upload.length
    return end, end == upload.length


def judge_append(upload: UploadResource, end: int, answer: Response, *, last: bool) -> Step:
    """What the answer to PATCH means; the request ended at `end` (U-16, U-18, U-20, U-21)."""
    if upload.protocol == IETF and boolean(answer.header("Upload-Complete")) is True:
        return Step(next=Next.RESULT, offset=end)
    told = integer(answer.header("Upload-Offset"))
    if 200 <= answer.status < 300:
        if last and (upload.protocol == IETF or told in (None, upload.length)):
            return Step(next=Next.RESULT, offset=end)
        offset = end if told is None else told
        if offset > upload.length:
            return Step(next=Next.FAIL, error=_nonsense(answer))
        return Step(next=Next.GO_ON, offset=offset)
    if answer.status == 409 and told is not None and told <= upload.length:
        return Step(next=Next.GO_ON, offset=told, mismatch=True)
    return _refused(answer)


def expected_offset(body: str) -> int | None:
    """The `expected-offset` of a problem body (RFC 9457), for servers that leave the field out."""
    match = re.search(r'"expected-offset"\s*:\s*([0-9]{1,15})\b', body)
    return int(match[1]) if match else None


def conflict(answer: Response, *, stuck: bool) -> TransferError:
    """A 409 that does not say where to go on, or says so again and again."""
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


def _named(url: str) -> str:
    """Scheme, host and port: the rest of such an address is a secret (U-25)."""
    scheme, host, port = _origin(url)
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}" if port == _PORTS.get(scheme) else f"{scheme}://{shown}:{port}"


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = UNKNOWN
    return parts.scheme, parts.hostname or "", port or _PORTS.get(parts.scheme)
