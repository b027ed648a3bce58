"""What to ask for when bytes are stored already, and what a head says of a file (RFC 9110 §13.1.5,
§14, §15.3.7).

Rule: nobody is believed alone. After an interruption the end of what is stored is asked for once
more, to be compared, whatever the validators say; `evidence` judges the answer. No I/O here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import field
from typing import NamedTuple
from urllib.parse import urlsplit

from transfermon.http import digests, labels
from transfermon.http.dates import date_field, http_date
from transfermon.model.lazy_pattern import lazy_pattern
from transfermon.model.record import record
from transfermon.model.task import UNKNOWN, Evidence, Response, Validators

OVERLAP = 64 * 1024  # bytes that are asked for again at the most
LEAST = 4 * 1024  # and at the least
CAREFUL, STRICT, LENIENT = "careful", "strict", "lenient"
# seconds that a date must be older than the answer (W13, R-05)
_SETTLED = {CAREFUL: 60.0, STRICT: 1.0, LENIENT: 1.0}

# what may not be in it; the same as what may be takes forty times as long to be compiled
_STRONG_TAG = lazy_pattern(r'"[^\x00-\x20"\x7f]*"')
# As it should be: `bytes 0-9/10`. As some servers write it: `bytes=0-9/10`, `bytes: 0-9/10`,
# `0-9/10`, `bytes 0-9`.
_CONTENT_RANGE = lazy_pattern(
    r"(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]*[A-Za-z][!#$%&'*+\-.^_`|~0-9A-Za-z]*)(?:[ \t]*[=:][ \t]*|[ \t]+))?"
    r"([0-9]{1,19})[ \t]*-[ \t]*([0-9]{1,19})(?:[ \t]*/[ \t]*([0-9]{1,19}|\*))?",
    re.ASCII,
)
_UNSATISFIED = lazy_pattern(
    r"(?:bytes[ \t]*[=:]?[ \t]*)?\*/([0-9]{1,19})", re.ASCII | re.IGNORECASE
)
_PORTS = {"http": 80, "https": 443}


@record
class Ask:
    """What the next request says about the bytes that are stored."""

    start: int  # the first byte asked for; 0: the whole file, without a Range
    headers: Mapping[str, str] = field(default_factory=dict)
    overlap: int = 0  # bytes before the stored end that are asked for again, to be compared
    # compared before, each by a request of its own: 1 the start, 2 the middle as well
    places: int = 0
    # no comparison is needed: nothing was interrupted, or the policy is "lenient"
    trusted: bool = False
    why_not: str = ""  # why it starts over although bytes are stored


class ContentRange(NamedTuple):
    unit: str  # lower case
    first: int
    last: int
    total: int  # UNKNOWN for “*”, and where it is left out


# ---- heads


def validators_of(response: Response, *, decoded: bool, now: float = 0.0) -> Validators:
    """What identifies this version. `decoded`: the body is stored decoded, so its length is not
    known (D-14).

    Without a Date the answer is as old as its receipt: `now`, in epoch seconds (RFC 9110 §6.6.1).
    """
    coding = coding_of(response)
    date = response.header("Date").strip()
    return Validators(
        etag=response.header("ETag").strip(),
        last_modified=response.header("Last-Modified").strip(),
        date=date or (date_field(now) if now else ""),
        total=UNKNOWN if decoded else total_of(response),
        accept_ranges=response.header("Accept-Ranges").strip().lower(),
        content_encoding=coding if decoded else "",
        content_type=type_of(response),
        digests=() if decoded else digests.parse(response.header("Repr-Digest")),
        sums=()
        if coding or not response.has_any(digests.SUM_FIELDS)
        else digests.sums(response.status, response.header),
        host=host_of(response.url),
        label="" if decoded else coding,
    )


def type_of(response: Response) -> str:
    """The media type, lower case, without parameters."""
    return response.header("Content-Type").partition(";")[0].strip().lower()


def host_of(url: str) -> str:
    """ "host:port" of an address, lower case; "" for none."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return ""
    return f"{parts.hostname}:{port}" if parts.hostname else ""


def coding_of(response: Response) -> str:
    """The content codings that it names, lower case; "" for none."""
    return ", ".join(labels.codings_in(response.header("Content-Encoding")))


def total_of(response: Response) -> int:
    """The length of the whole representation as the head says it, or UNKNOWN."""
    if response.status == 206:
        found = content_range(response.header("Content-Range"))
        return found.total if found else UNKNOWN
    if response.status == 204:
        return 0
    return content_length(response)


def content_length(response: Response) -> int:
    """The length of the body as the head says it, or UNKNOWN."""
    if response.header("Transfer-Encoding"):
        return UNKNOWN  # the chunks say it, whatever else is said (RFC 9112 §6.3)
    text = response.header("Content-Length")
    if "," in text or not text.isdigit():
        values = {part.strip() for part in text.split(",")}
        text = values.pop() if len(values) == 1 else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else UNKNOWN


def content_range(value: str) -> ContentRange | None:
    """`unit first-last/total`, also in the odd forms that can be read in one way only; None for
    anything else.

    What the numbers mean together is not looked at.
    """
    if not value:
        return None
    values = {part.strip(" \t") for part in value.split(",")}
    match = _CONTENT_RANGE.fullmatch(values.pop()) if len(values) == 1 else None
    if match is None:
        return None
    unit, first, last, total = match.groups()
    return ContentRange(
        (unit or "bytes").lower(),
        int(first),
        int(last),
        UNKNOWN if total in (None, "*") else int(total),
    )


def unsatisfied_range(value: str) -> int:
    """The length in the `bytes */length` of a 416 answer, or UNKNOWN."""
    match = _UNSATISFIED.fullmatch(value.strip(" \t"))
    return int(match[1]) if match else UNKNOWN


def is_strong(etag: str) -> bool:
    """Whether this is a well-formed strong entity tag, the only kind that If-Range may carry
    (§13.1.5).
    """
    return _STRONG_TAG.fullmatch(etag) is not None


# ---- what to ask


def ask(
    stored: int,
    validators: Validators | None,
    policy: str,
    *,
    evidence: Evidence = Evidence(),  # noqa: B008 - a frozen value
    interrupted: bool = True,
    conditional: bool = True,
    places: int = 0,
) -> Ask:
    """What to ask for when `stored` bytes are there.

    `interrupted`: the last answer did not end as it had announced, or it is not known how. Then the
    end is asked for again, unless the policy is "lenient" (R-06), where a condition guards the
    request. Without `conditional` no condition is sent: the tag is another host's. `places` are
    compared at the least, beside the end.
    """
    if stored <= 0:
        return Ask(start=0)
    why_not = why_not_resumable(validators, "GET", policy)
    if why_not or validators is None:
        return Ask(start=0, why_not=why_not)
    if 0 <= validators.total < stored:
        return Ask(start=0, why_not="More is stored than the file is long.")
    known = _believed(validators, evidence)
    condition = _condition(known, policy) if conditional else {}
    trusted = (
        not interrupted or evidence.compared >= stored or (policy == LENIENT and bool(condition))
    )
    overlap = 0 if trusted else overlap_for(stored, evidence.brought)
    if overlap >= stored:
        if not is_strong(known.etag):
            return Ask(
                start=0, why_not="Too little is stored to be compared with the server's file."
            )
        overlap = 0
    start = max(stored - overlap, evidence.compared if overlap else 0)
    if not trusted:
        places = max(places, 2 if evidence.ignored else 0 if _is_usable(known, policy) else 1)
    return Ask(
        start=start,
        headers={"Range": f"bytes={start}-", **condition},
        overlap=stored - start,
        places=0 if trusted else places,
        trusted=trusted,
    )


def overlap_for(stored: int, brought: int) -> int:
    """Bytes to ask for again: at most 64 KiB and half of what the last connection brought, so that
    each one gains something; at least 4 KiB; never more than is stored. `brought` is 0 where it is
    not known.
    """
    return min(OVERLAP, max(LEAST, (brought or stored) // 2), stored)


def why_not_resumable(validators: Validators | None, method: str, policy: str) -> str:
    """Why a pause would start over, in one sentence, or "" (R-02). No validators: nothing has been
    answered yet.
    """
    if method.upper() != "GET":
        return "Only plain downloads can go on where they stopped."
    if validators is None:
        return "Nothing is known of the file on the server."
    if validators.content_encoding:
        return "The server compresses its answer."
    if validators.accept_ranges == "none":
        return "The server does not support ranges."
    if _is_usable(validators, policy) or (policy != STRICT and validators.total != UNKNOWN):
        return ""
    if policy == LENIENT and validators.last_modified:
        return ""
    return _weakness(validators, policy)


def weakness(validators: Validators | None, policy: str) -> str:
    """What to say of a download that can be resumed, but not by a strong validator alone; ""
    otherwise.
    """
    if (
        validators is None
        or why_not_resumable(validators, "GET", policy)
        or is_strong(validators.etag)
    ):
        return ""
    if _condition(validators, policy) and policy != CAREFUL:
        return ""
    if not _is_usable(validators, policy):
        return f"{_weakness(validators, policy)} The start and the end of what is stored are fetched again and compared."
    return f"No strong validator: the last {OVERLAP // 1024} KiB are fetched again and compared."


def _weakness(validators: Validators, policy: str) -> str:
    """Why the validators alone do not tell whether the file is still the same."""
    if validators.etag:
        return "The server's entity tag is weak."
    if not validators.last_modified:
        return "The server sends neither an entity tag nor a date."
    if http_date(validators.last_modified) is None:
        return "The server's date of the file cannot be read."
    if http_date(validators.date) is None:
        return (
            "The server's clock cannot be read."
            if validators.date
            else "The server sends no date of its answer."
        )
    return "The file was changed too shortly before it was sent."


def _is_usable(validators: Validators, policy: str) -> bool:
    """Whether a validator is there that means something beside a comparison of one place."""
    if validators.etag:
        return is_strong(validators.etag) or policy != STRICT
    return settled(validators, policy)


def _believed(validators: Validators, evidence: Evidence) -> Validators:
    """The validators without the fields that are no evidence any more."""
    without = dict.fromkeys(evidence.ignored, "")
    return Validators(**{**vars(validators), **without}) if without else validators


def _condition(validators: Validators, policy: str) -> dict[str, str]:
    """The header that makes the server look first. A date goes into If-Range only where there is no
    tag (R-05).
    """
    if is_strong(validators.etag):
        return {"If-Range": validators.etag}
    if not validators.etag and settled(validators, policy):
        return {"If-Range": validators.last_modified}
    if policy == LENIENT and validators.last_modified:
        return {"If-Unmodified-Since": validators.last_modified}
    return {}


def settled(validators: Validators, policy: str) -> bool:
    """Whether the date is old enough that a second change in the same second cannot hide behind it
    (§8.8.2.2).
    """
    changed, sent = http_date(validators.last_modified), http_date(validators.date)
    return (
        changed is not None
        and sent is not None
        and sent - changed >= _SETTLED.get(policy, _SETTLED[CAREFUL])
    )


# Resume data: a name for a record in our own store and nothing else, so it can be shown to anybody
#

_MAGIC = b"transfermon-resume\x01"
_RESUME_DATA = lazy_pattern(re.escape(_MAGIC) + rb"([A-Za-z0-9_-]{16,128})\.([0-9a-f]{16})")


def pack(token: str) -> bytes:
    """Opaque resume data for a random base64url token of 16 to 128 characters."""
    name = token.encode("ascii")
    data = _MAGIC + name + b"." + _checksum(name)
    if _RESUME_DATA.fullmatch(data) is None:
        raise ValueError("a token is 16 to 128 characters of base64url")
    return data


def unpack(data: bytes) -> str:
    """The token of `pack`; raises ValueError for anything else (R-14)."""
    match = _RESUME_DATA.fullmatch(data) if isinstance(data, bytes | bytearray) else None
    if match is None or _checksum(match[1]) != match[2]:
        raise ValueError("This is not resume data of transfermon, or it is damaged.")
    return match[1].decode("ascii")


def _checksum(name: bytes) -> bytes:
    return hashlib.sha256(_MAGIC + name).hexdigest()[:16].encode("ascii")
