"""What to ask for when bytes are stored already, and what the answer means (RFC 9110 §13.1.5, §14, §15.3.7).

Rule: bytes of two versions are never mixed. Where an answer leaves a doubt, the download starts over; where it
is merely unreadable, the attempt fails and the part is kept. No I/O here: every answer is judged by value.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from transfermon import digests
from transfermon.errors import Code, Retry, TransferError, redacted
from transfermon.retry import http_date
from transfermon.task import UNKNOWN, Response, Validators

OVERLAP = 64 * 1024
CAREFUL, STRICT, LENIENT = "careful", "strict", "lenient"
_SETTLED = {CAREFUL: 60.0, STRICT: 1.0, LENIENT: 1.0}  # seconds that a date must be older than the answer (W13, R-05)

_PAGES = ("text/html", "application/xhtml+xml")
_STRONG_TAG = re.compile(r'"[\x21\x23-\x7e\x80-\U0010ffff]*"')
_CONTENT_RANGE = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)", re.ASCII)
_UNSATISFIED = re.compile(r"[Bb][Yy][Tt][Ee][Ss] \*/([0-9]{1,19})", re.ASCII)

CHANGED = "The file changed on the server."
IGNORES_RANGES = "The server sent the whole file again."


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What the next request says about the bytes that are stored."""

    start: int  # the first byte asked for; 0: the whole file, without a Range
    headers: Mapping[str, str] = field(default_factory=dict)
    overlap: int = 0  # bytes before the stored end that are asked for again, to be compared
    why_not: str = ""  # why it starts over although bytes are stored


class Verdict(Enum):
    WHOLE = "whole"  # use the body from byte 0; what is stored is of no use
    APPEND = "append"  # the body goes on at `start`
    COMPARE = "compare"  # the body goes on, but its first `ask.overlap` bytes must equal what is stored
    COMPLETE = "complete"  # there is nothing left to fetch
    RESTART = "restart"  # not to be combined: ask again without a range, once
    FAILED = "failed"  # this attempt failed; what is stored stays good
    STATUS = "status"  # an HTTP error status that says nothing about ranges


@dataclass(frozen=True, kw_only=True)
class Judgement:
    verdict: Verdict
    start: int = 0  # where in the file the body's first byte belongs
    length: int | None = None  # bytes that this body brings; None when unknown
    total: int = UNKNOWN
    reason: str = ""  # a sentence for people; empty where nothing surprising happened
    retry: Retry = Retry.FINAL  # the class of the failure that `failure_of` makes


class ContentRange(NamedTuple):
    unit: str  # lower case
    first: int
    last: int
    total: int  # UNKNOWN for “*”


def validators_of(response: Response, *, decoded: bool) -> Validators:
    """What identifies this version. `decoded`: the body is stored decoded, so its length is not known (D-14)."""
    return Validators(
        etag=response.header("ETag").strip(),
        last_modified=response.header("Last-Modified").strip(),
        date=response.header("Date").strip(),
        total=UNKNOWN if decoded else total_of(response),
        accept_ranges=response.header("Accept-Ranges").strip().lower(),
        content_encoding=coding_of(response),
        content_type=_type_of(response),
        digests=() if decoded else digests.parse(response.header("Repr-Digest")),
    )


def _type_of(response: Response) -> str:
    return response.header("Content-Type").partition(";")[0].strip().lower()


def is_sign_in_page(response: Response, validators: Validators | None, name: str) -> bool:
    """Whether a web page came in place of a file that an earlier answer described as something else (FAULTS C7)."""
    if validators is None or response.status != 200 or _type_of(response) not in _PAGES:
        return False
    if validators.etag and response.header("ETag").strip() == validators.etag:
        return False
    known = validators.content_type
    return known not in _PAGES if known else not name.lower().endswith((".html", ".htm", ".xhtml"))


def captive(url: str, status: int) -> TransferError:
    """The failure of an attempt that met a sign-in page; it waits, and what is stored stays."""
    return TransferError(
        code=Code.NOT_CONNECTED,
        message="This network wants you to sign in.",
        reason="net.captive",
        hint="Open a web page in a browser to sign in.",
        url=redacted(url),
        status=status,
        retry=Retry.WAIT,
    )


def coding_of(response: Response) -> str:
    """The content coding, lower case; "" for none."""
    codings = [part.strip().lower() for part in response.header("Content-Encoding").split(",")]
    return ", ".join(coding for coding in codings if coding and coding != "identity")


def total_of(response: Response) -> int:
    """The length of the whole representation as the head says it, or UNKNOWN."""
    if response.status == 206:
        found = content_range(response.header("Content-Range"))
        return found.total if found else UNKNOWN
    if response.status == 204:
        return 0
    return _content_length(response)


def content_range(value: str) -> ContentRange | None:
    """`unit first-last/total`; None when missing or malformed. What the numbers mean together is not looked at."""
    match = _CONTENT_RANGE.fullmatch(value.strip(" \t"))
    if match is None:
        return None
    unit, first, last, total = match.groups()
    return ContentRange(unit.lower(), int(first), int(last), UNKNOWN if total == "*" else int(total))


def unsatisfied_range(value: str) -> int:
    """The length in the `bytes */length` of a 416 answer, or UNKNOWN."""
    match = _UNSATISFIED.fullmatch(value.strip(" \t"))
    return int(match[1]) if match else UNKNOWN


def is_strong(etag: str) -> bool:
    """Whether this is a well-formed strong entity tag, the only kind that If-Range may carry (§13.1.5)."""
    return _STRONG_TAG.fullmatch(etag) is not None


def ask(stored: int, validators: Validators | None, policy: str) -> Ask:
    """What to ask for when `stored` bytes are there.

    Under "careful" a validator that is not strong by itself means an overlap to compare; under "strict" (R-05) it
    means starting over; under "lenient" (R-06) the date guards the request and 412 starts over.
    """
    if stored <= 0:
        return Ask(start=0)
    why_not = why_not_resumable(validators, "GET", policy)
    if why_not or validators is None:
        return Ask(start=0, why_not=why_not)
    if 0 <= validators.total < stored:
        return Ask(start=0, why_not="More is stored than the file is long.")
    condition = _condition(validators, policy)
    overlap = OVERLAP if _must_compare(validators, policy) else 0
    if overlap >= stored:
        return Ask(start=0, why_not="Too little is stored to be compared with the server's file.")
    start = stored - overlap
    return Ask(start=start, headers={"Range": f"bytes={start}-", **condition}, overlap=overlap)


def why_not_resumable(validators: Validators | None, method: str, policy: str) -> str:
    """Why a pause would start over, in one sentence, or "" (R-02). No validators: nothing has been answered yet."""
    if method.upper() != "GET":
        return "Only plain downloads can go on where they stopped."
    if validators is None:
        return "Nothing is known of the file on the server."
    if validators.content_encoding:
        return "The server compresses its answer."
    if validators.accept_ranges == "none":
        return "The server does not support ranges."
    if not validators.etag and not validators.last_modified:
        return "The server sends neither an entity tag nor a date."
    if policy == LENIENT or is_strong(validators.etag):
        return ""
    if validators.etag:
        return "The server's entity tag is weak." if policy == STRICT else ""
    if not _settled(validators, policy):
        return "The file was changed too shortly before it was sent."
    return ""


def weakness(validators: Validators | None, policy: str) -> str:
    """What to say of a download that can be resumed, but not by a strong validator alone; "" otherwise."""
    if validators is None or why_not_resumable(validators, "GET", policy) or not _must_compare(validators, policy):
        return ""
    return f"No strong validator: the last {OVERLAP // 1024} KiB are fetched again and compared."


def judge(asked: Ask, stored: int, validators: Validators | None, response: Response, policy: str) -> Judgement:
    """What the final answer to `asked` means. `validators` are those of the stored bytes."""
    ranged = "Range" in asked.headers
    if response.status == 206:
        return _judge_partial(asked, stored, validators, response) if ranged else _unasked()
    if response.status == 416 and ranged:
        return _judge_unsatisfied(stored, validators, response)
    if response.status == 412 and ranged:
        return _restart(CHANGED)
    if response.status >= 400:
        return Judgement(verdict=Verdict.STATUS)
    if response.status >= 300 or (response.status != 200 and ranged):
        # Another 2xx is not an answer to a question for the rest; a sign-in page's 204 must not cost the part.
        reason = f"The server answered {response.status}, which is no file."
        return Judgement(verdict=Verdict.FAILED, reason=reason, retry=Retry.RETRY)
    return _whole(asked, stored, validators, response)


def failure_of(judgement: Judgement, url: str, status: int) -> TransferError:
    """The error of an attempt that was judged FAILED, or RESTART once too often; the latter is final (6.2)."""
    changed = judgement.verdict is Verdict.RESTART
    retry = judgement.retry if judgement.verdict is Verdict.FAILED else Retry.RETRY  # a good head, a bad body
    return TransferError(
        code=Code.BAD_SERVER_RESPONSE,
        message=judgement.reason or "The server's answer cannot be used.",
        reason="srv.changed" if changed else "srv.protocol",
        hint="Start the download again later." if changed else "The server is at fault; try again later.",
        url=redacted(url),
        status=status,
        retry=Retry.FINAL if changed else retry,
    )


# Resume data: a name for a record in our own store and nothing else, so it can be shown to anybody.

_MAGIC = b"transfermon-resume\x01"
_RESUME_DATA = re.compile(re.escape(_MAGIC) + rb"([A-Za-z0-9_-]{16,128})\.([0-9a-f]{16})")


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


def _condition(validators: Validators, policy: str) -> dict[str, str]:
    """The header that makes the server look first. A date goes into If-Range only where there is no tag (R-05)."""
    if is_strong(validators.etag):
        return {"If-Range": validators.etag}
    if not validators.etag and _settled(validators, policy):
        return {"If-Range": validators.last_modified}
    if policy == LENIENT and validators.last_modified:
        return {"If-Unmodified-Since": validators.last_modified}
    return {}


def _must_compare(validators: Validators, policy: str) -> bool:
    if is_strong(validators.etag) or policy == STRICT:
        return False
    return policy == CAREFUL or not _condition(validators, policy)


def _settled(validators: Validators, policy: str) -> bool:
    """Whether the date is old enough that a second change in the same second cannot hide behind it (§8.8.2.2)."""
    changed, sent = http_date(validators.last_modified), http_date(validators.date)
    return changed is not None and sent is not None and sent - changed >= _SETTLED.get(policy, _SETTLED[CAREFUL])


def _judge_partial(asked: Ask, stored: int, validators: Validators | None, response: Response) -> Judgement:
    if response.header("Content-Type").strip().lower().startswith("multipart/byteranges"):
        return _restart("The server answered with several parts.")
    if coding_of(response):
        return _restart("The server compresses the rest of the file.")
    found = content_range(response.header("Content-Range"))
    if found is None:
        reason = "The server did not say which part of the file it sends."
        return Judgement(verdict=Verdict.FAILED, reason=reason, retry=Retry.RETRY)
    known = validators.total if validators else UNKNOWN
    length = _content_length(response)
    if found.unit != "bytes" or found.first != asked.start:
        return _restart("The server sent another part of the file than asked for.")
    if found.last < found.first or found.last >= found.total != UNKNOWN:
        return _restart("The server's description of the part contradicts itself.")
    if length not in (UNKNOWN, found.last - found.first + 1):
        return _restart("The server's description of the part contradicts its length.")
    if UNKNOWN not in (found.total, known) and found.total != known:
        return _restart("The file on the server has another size now.")
    total = known if found.total == UNKNOWN else found.total
    if found.last >= total != UNKNOWN:
        return _restart("The file on the server has another size now.")
    if not _same_version(asked, validators, response):
        return _restart(CHANGED)
    end = found.last + 1
    if asked.overlap and end <= stored and end != total:
        return _restart("The server sends too little at a time to compare it.")
    verdict = Verdict.COMPARE if asked.overlap else Verdict.APPEND
    return Judgement(verdict=verdict, start=asked.start, length=end - asked.start, total=total)


def _same_version(asked: Ask, validators: Validators | None, response: Response) -> bool:
    """Whether the answer's validators are those of the stored bytes.

    Where the request carried a condition, the 206 itself says that it held, and fields may be left out
    (§15.3.7); without a condition the validator must be there. A strong tag decides alone: servers behind one
    address often disagree about dates.
    """
    if validators is None:
        return False
    conditional = len(asked.headers) > 1
    etag, date = response.header("ETag").strip(), response.header("Last-Modified").strip()
    if is_strong(validators.etag):
        return etag == validators.etag or (not etag and conditional)
    tag_agrees = _opaque(etag) == _opaque(validators.etag) if etag and validators.etag else conditional
    if not validators.etag:
        tag_agrees = True
    if date and validators.last_modified:
        return tag_agrees and date == validators.last_modified
    return tag_agrees and (conditional or bool(validators.etag))


def _opaque(etag: str) -> str:
    return etag.removeprefix("W/").removeprefix("w/")


def _judge_unsatisfied(stored: int, validators: Validators | None, response: Response) -> Judgement:
    length = unsatisfied_range(response.header("Content-Range"))
    known = validators.total if validators else UNKNOWN
    etag = response.header("ETag").strip()
    same_tag = not etag or not validators or not validators.etag or _opaque(etag) == _opaque(validators.etag)
    if length == stored and known in (UNKNOWN, stored) and same_tag:
        return Judgement(verdict=Verdict.COMPLETE, start=stored, length=0, total=stored)
    return _restart("The file on the server has another size now." if length != UNKNOWN else CHANGED)


def _whole(asked: Ask, stored: int, validators: Validators | None, response: Response) -> Judgement:
    total = UNKNOWN if coding_of(response) else total_of(response)
    reason = ""
    if stored > 0:
        reason = asked.why_not or (CHANGED if _differs(validators, response) else IGNORES_RANGES)
    return Judgement(verdict=Verdict.WHOLE, length=None if total == UNKNOWN else total, total=total, reason=reason)


def _differs(validators: Validators | None, response: Response) -> bool:
    if validators is None:
        return False
    etag, date = response.header("ETag").strip(), response.header("Last-Modified").strip()
    if etag and validators.etag:
        return _opaque(etag) != _opaque(validators.etag)
    if date and validators.last_modified:
        return date != validators.last_modified
    total = total_of(response)
    return UNKNOWN not in (total, validators.total) and total != validators.total


def _unasked() -> Judgement:
    return Judgement(verdict=Verdict.FAILED, reason="The server sent a part of the file although all was asked for.")


def _restart(reason: str) -> Judgement:
    return Judgement(verdict=Verdict.RESTART, reason=reason, retry=Retry.RESTART)


def _content_length(response: Response) -> int:
    if response.header("Transfer-Encoding"):
        return UNKNOWN  # the chunks say it, whatever else is said (RFC 9112 §6.3)
    values = {part.strip() for part in response.header("Content-Length").split(",")}
    text = values.pop() if len(values) == 1 else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else UNKNOWN
