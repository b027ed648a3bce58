"""Is it still the same file? What the answer to a request means for the bytes that are stored.

Rule: evidence, not labels. A tag, a date and a length can rule a continuation out; only bytes that
were compared rule it in. Where the comparison cannot be made the file is asked for once more as a
whole, and what is stored stays until that answer has brought more. No I/O here: every answer is
judged by value. The table, first line that fits:

| asked for | the answer | verdict |
|---|---|---|
| the rest | 206 of another coding, of several parts, of another total, with another validator | PLAIN: a new version |
| | 206 whose Content-Range cannot be read, contradicts itself, or begins behind what is stored | PLAIN, ranges fail here |
| | 206 whose tag or date alone contradicts: the first time | PLAIN: a new version |
| | the same again, with an equal total | AGAIN: start, middle and end are compared, without that field |
| | 206 without any validator, total known and equal | AGAIN: the start is compared too; unknown: PLAIN |
| | 206 from a byte that is stored | COMPARE up to the stored end, then append |
| | 416 that names exactly what is stored | COMPLETE; any other: PLAIN |
| | 412 | PLAIN: a new version |
| | 400, 403, 501; 500, 502, 503, 504, 520 to 530 for the third time | PLAIN, ranges fail here |
| | another error | STATUS |
| | 200 whose Content-Range fits its length and begins at a byte that is stored | COMPARE, then append |
| | 200 of exactly the length of the rest | COMPARE, then append; with another validator: PLAIN |
| | 200 under the same strong tag with another length | PLAIN |
| | 200 of another host than the tag's, total and date equal | AGAIN without the condition |
| | another 200 | WHOLE, unless it is a `note` |
| all | 200, or 206 from the first byte to the last | WHOLE, unless it is a `note` |
| | another 206, 200 with a Content-Range of less | FAILED |
| either | 202; 204 or 205 where everything was asked for | STATUS |
| | 204 to a range, 3xx | FAILED |
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from transfermon.http.dates import http_date
from transfermon.http.resume import (
    LEAST,
    OVERLAP,
    STRICT,
    Ask,
    coding_of,
    content_length,
    content_range,
    host_of,
    is_strong,
    settled,
    total_of,
    type_of,
    unsatisfied_range,
)
from transfermon.http.retry import NO_FILE, NOT_YET
from transfermon.model.errors import Code, Retry, TransferError, redacted
from transfermon.model.record import record
from transfermon.model.task import UNKNOWN, Evidence, Response, Validators

CHANGED = "The file changed on the server."
IGNORES_RANGES = "The server sent the whole file again."
RESIZED = "The file on the server has another size now."
NO_RANGES = "Ranges do not work at this server."
_UNREADABLE = "The server did not say which part of the file it sends."
_NOTHING_TELLS = "Nothing in the server's answer tells whether the file is still the same."
_ANOTHER_PART = "The server sent another part of the file than asked for."

_REFUSES_RANGES = frozenset({400, 403, 501})
_IN_TROUBLE = frozenset({500, 502, 503, 504, *range(520, 531)})
# attempts by range that fail with the same error of the server before it is asked plainly
PATIENCE = 3


class ResumeVerdict(Enum):
    WHOLE = "whole"  # the body is the file from byte 0, for a part of its own
    # the body begins at `start`; its first `compare` bytes must be those that are stored
    COMPARE = "compare"
    COMPLETE = "complete"  # there is nothing left to fetch
    PLAIN = "plain"  # ask once without a range; what is stored stays until that answer is judged
    AGAIN = "again"  # ask by range once more, as the judgement says
    FAILED = "failed"  # this attempt failed; what is stored stays good
    STATUS = "status"  # an HTTP error status that says nothing about ranges


@record
class Judgement:
    verdict: ResumeVerdict
    start: int = 0  # where in the file the body's first byte belongs
    length: int | None = None  # bytes that this body brings; None when unknown
    compare: int = 0  # of those, the first ones that are stored already
    total: int = UNKNOWN
    reason: str = ""  # a sentence for people; empty where nothing surprising happened
    retry: Retry = Retry.FINAL  # the class of the failure that `failure_of` makes
    doubt: str = ""  # the validator that contradicts: "etag" or "last_modified"
    places: int = 0  # AGAIN: to be compared beside the end
    conditional: bool = True  # AGAIN: whether a condition may be sent
    no_ranges: bool = False  # PLAIN: the server is at fault, not the file


class _Labels(NamedTuple):
    """What validators say of an answer to a question for the rest."""

    same: bool = False  # one of them agrees, and means something
    asked: bool = False  # none is there, but the server was asked under a condition
    other: bool = False  # they rule it out
    doubt: str = ""  # one contradicts the others


def judge(
    asked: Ask,
    stored: int,
    validators: Validators | None,
    response: Response,
    policy: str,
    evidence: Evidence = Evidence(),  # noqa: B008 - a frozen value
) -> Judgement:
    """What the final answer to `asked` means. `validators` are those of the stored bytes."""
    if "Range" not in asked.headers or validators is None:
        return _judge_plain(asked, stored, validators, response)
    status = response.status
    if status == 206:
        return _judge_partial(asked, stored, validators, response, policy, evidence)
    if status == 416:
        return _judge_unsatisfied(asked, stored, validators, response)
    if status == 412:
        return _plain(CHANGED)
    patience = evidence.refusals + 1 if evidence.refused == status else 1
    if status in _REFUSES_RANGES or (status in _IN_TROUBLE and patience >= PATIENCE):
        return _plain(f"Asked for the rest, the server answers {status}.", no_ranges=True)
    if status >= 400 or status == NOT_YET:
        return Judgement(verdict=ResumeVerdict.STATUS)
    if status != 200:
        # Another 2xx is not an answer to a question for the rest; a sign-in page's 204 must not
        # cost the part.
        return _failed(f"The server answered {status}, which is no file.", Retry.RETRY)
    return _judge_200(asked, stored, validators, response, evidence)


def failure_of(judgement: Judgement, url: str, status: int) -> TransferError:
    """The error of an attempt whose answer cannot be used."""
    return TransferError(
        code=Code.BAD_SERVER_RESPONSE,
        message=judgement.reason or "The server's answer cannot be used.",
        reason="srv.protocol",
        hint="The server is at fault; try again later.",
        url=redacted(url),
        status=status,
        retry=judgement.retry,
    )


# ---- the rest was asked for


def _judge_partial(
    asked: Ask,
    stored: int,
    validators: Validators,
    response: Response,
    policy: str,
    evidence: Evidence,
) -> Judgement:
    if response.header("Content-Type").strip().lower().startswith("multipart/byteranges"):
        return _plain("The server answered with several parts.", no_ranges=True)
    if coding_of(response) != validators.label:
        return _plain("The server compresses the rest of the file.", no_ranges=True)
    found = content_range(response.header("Content-Range"))
    if found is None:
        return _plain(_UNREADABLE, no_ranges=True)
    if found.unit != "bytes" or found.first > stored:
        return _plain(_ANOTHER_PART, no_ranges=True)
    if found.last < found.first or found.last >= found.total != UNKNOWN:
        return _plain("The server's description of the part contradicts itself.", no_ranges=True)
    length, end = found.last - found.first + 1, found.last + 1
    if content_length(response) not in (UNKNOWN, length):
        return _plain(
            "The server's description of the part contradicts its length.", no_ranges=True
        )
    total = validators.total if found.total == UNKNOWN else found.total
    if differ(found.total, validators.total) or end > total != UNKNOWN:
        return _plain(RESIZED)
    compare = min(stored - found.first, length)
    if end <= asked.start or (end <= stored and not compare):
        return _plain(_ANOTHER_PART, no_ranges=True)
    judgement = Judgement(
        verdict=ResumeVerdict.COMPARE,
        start=found.first,
        length=length,
        compare=compare,
        total=total,
    )
    labels = _labels(asked, validators, response, policy, evidence)
    if labels.other:
        return _plain(CHANGED)
    equal = UNKNOWN != found.total == validators.total
    if labels.doubt:
        if labels.doubt in evidence.contradicted and equal:
            return Judgement(verdict=ResumeVerdict.AGAIN, doubt=labels.doubt, reason=CHANGED)
        return _plain(CHANGED, doubt=labels.doubt)
    if asked.trusted or (labels.same and not asked.overlap):
        return judgement
    if compare < min(asked.overlap, LEAST) or not compare:
        return _plain(_ANOTHER_PART if asked.overlap else _NOTHING_TELLS)
    if labels.same or labels.asked:
        return judgement
    if policy == STRICT or not equal:
        return _plain(_NOTHING_TELLS)
    return judgement if asked.places else Judgement(verdict=ResumeVerdict.AGAIN, places=1)


def _labels(
    asked: Ask, validators: Validators, response: Response, policy: str, evidence: Evidence
) -> _Labels:
    etag, date = response.header("ETag").strip(), response.header("Last-Modified").strip()
    same_host = _same_host(validators, response)
    tags = bool(validators.etag) and same_host and "etag" not in evidence.ignored
    dates = bool(date and validators.last_modified) and "last_modified" not in evidence.ignored
    same_date = dates and dates_agree(date, validators.last_modified)
    if tags and etag and not tags_agree(etag, validators.etag):
        return _Labels(
            other=dates and not same_date, doubt="" if dates and not same_date else "etag"
        )
    if dates and not same_date:
        return _Labels(doubt="last_modified") if tags and etag else _Labels(other=True)
    if (tags and etag) or (same_date and (not same_host or settled(validators, policy))):
        return _Labels(same=True)
    # Where the request carried a condition the 206 itself says that it held, and fields may be left
    # out (§15.3.7).
    return _Labels(asked=same_host and len(asked.headers) > 1)


def _judge_unsatisfied(
    asked: Ask, stored: int, validators: Validators, response: Response
) -> Judgement:
    length = unsatisfied_range(response.header("Content-Range"))
    etag = response.header("ETag").strip()
    tags = bool(etag and validators.etag) and _same_host(validators, response)
    # what is there was asked for, too
    same = tags_agree(etag, validators.etag) if tags else not asked.overlap
    if length == stored and not differ(validators.total, stored) and same:
        return Judgement(verdict=ResumeVerdict.COMPLETE, start=stored, length=0, total=stored)
    return _plain(
        RESIZED if length != UNKNOWN else "The server does not have the rest of the file."
    )


def _judge_200(
    asked: Ask, stored: int, validators: Validators, response: Response, evidence: Evidence
) -> Judgement:
    """A 200 where a 206 was asked for: the rest under a wrong status, or all of it."""
    length, total = content_length(response), validators.total
    same_host = _same_host(validators, response)
    etag = response.header("ETag").strip()
    strong = same_host and is_strong(etag) and etag == validators.etag
    if coding_of(response) == validators.label and length != UNKNOWN:
        first = _begin_of_a_part(response, length)
        if first is None and length == total - asked.start and asked.start > 0:
            # of exactly that length: a new version, or the rest of one?
            if not _may_agree(validators, response):
                return _plain(CHANGED)
            first = asked.start
        if first is not None:
            end, compare = first + length, min(stored - first, length)
            whole = not differ(total, end) and not differ(_total_in_range(response), end)
            if asked.overlap and compare > 0 and end > stored and whole:
                return Judgement(
                    verdict=ResumeVerdict.COMPARE,
                    start=first,
                    length=length,
                    compare=compare,
                    total=end,
                )
            return _plain(
                "The server sent a part of the file as if it were all of it.", no_ranges=True
            )
        if strong and differ(total, length):
            return _plain("The server sent something of another length under the same entity tag.")
    if (
        not same_host
        and len(asked.headers) > 1
        and UNKNOWN != length == total
        and _may_agree(validators, response)
    ):
        return Judgement(verdict=ResumeVerdict.AGAIN, conditional=False)
    return _whole(asked, stored, validators, response)


def _begin_of_a_part(response: Response, length: int) -> int | None:
    """Where the part begins that a 200 holds, if it says so and is not the whole file."""
    found = content_range(response.header("Content-Range"))
    if found is None or found.unit != "bytes" or found.last - found.first + 1 != length:
        return None
    return None if found.first == 0 and found.total in (UNKNOWN, length) else found.first


def _total_in_range(response: Response) -> int:
    """The total that the Content-Range of an answer names, whatever its status; or UNKNOWN."""
    found = content_range(response.header("Content-Range"))
    return found.total if found is not None else UNKNOWN


def _may_agree(validators: Validators, response: Response) -> bool:
    """Whether no validator rules out that this is the same version."""
    etag, date = response.header("ETag").strip(), response.header("Last-Modified").strip()
    if (
        etag
        and validators.etag
        and _same_host(validators, response)
        and not tags_agree(etag, validators.etag)
    ):
        return False
    return not (date and validators.last_modified) or dates_agree(date, validators.last_modified)


# ---- everything was asked for


def _judge_plain(
    asked: Ask, stored: int, validators: Validators | None, response: Response
) -> Judgement:
    status, length = response.status, content_length(response)
    if status in (200, 206) and not coding_of(response):
        found = content_range(response.header("Content-Range"))
        less = found is not None and (found.first != 0 or found.last + 1 != found.total)
        if status == 206 and (found is None or less or length not in (UNKNOWN, found.total)):
            return _failed("The server sent a part of the file although all was asked for.")
        if status == 200 and less and found is not None and found.last - found.first + 1 == length:
            return _failed("The server sent a part of the file although all was asked for.")
    elif status == 206:
        return _failed("The server sent a part of the file although all was asked for.")
    if status >= 400 or status in NO_FILE:
        return Judgement(verdict=ResumeVerdict.STATUS)
    if status >= 300:
        return _failed(f"The server answered {status}, which is no file.", Retry.RETRY)
    return _whole(asked, stored, validators, response)


def _whole(asked: Ask, stored: int, validators: Validators | None, response: Response) -> Judgement:
    total = UNKNOWN if coding_of(response) else total_of(response)
    reason = ""
    if stored > 0:
        reason = asked.why_not or (CHANGED if is_another(validators, response) else IGNORES_RANGES)
    return Judgement(
        verdict=ResumeVerdict.WHOLE,
        length=None if total == UNKNOWN else total,
        total=total,
        reason=reason,
    )


def is_another(validators: Validators | None, response: Response) -> bool:
    """Whether the head of a whole answer says that this is another version than the stored one."""
    if validators is None:
        return False
    return not _may_agree(validators, response) or differ(total_of(response), validators.total)


def is_proven(validators: Validators | None, response: Response) -> bool:
    """Whether a validator, not only a length, says so."""
    return validators is not None and not _may_agree(validators, response)


# ---- notes


_PAGE, _JSON, _XML, _TEXT = "page", "json", "xml", "text"
_KINDS = {
    "text/html": _PAGE,
    "application/xhtml+xml": _PAGE,
    "application/json": _JSON,
    "text/json": _JSON,
    "application/xml": _XML,
    "text/xml": _XML,
    "text/plain": _TEXT,
}
_ENDINGS = {
    _PAGE: (".html", ".htm", ".xhtml"),
    _JSON: (".json",),
    _XML: (".xml",),
    _TEXT: (".txt", ".text"),
}
_FORMATS = (  # offset and bytes by which a kind of file is known
    (0, b"PK\x03\x04"),
    (0, b"\x1f\x8b"),
    (0, b"BZh"),
    (0, b"\xfd7zXZ\0"),
    (0, b"\x28\xb5\x2f\xfd"),
    (0, b"7z\xbc\xaf\x27\x1c"),
    (0, b"Rar!\x1a\x07"),
    (0, b"\x89PNG\r\n"),
    (0, b"\xff\xd8\xff"),
    (0, b"GIF8"),
    (0, b"RIFF"),
    (0, b"%PDF-"),
    (0, b"\x7fELF"),
    (0, b"MZ"),
    (0, b"\x1aE\xdf\xa3"),
    (0, b"OggS"),
    (0, b"ID3"),
    (0, b"fLaC"),
    (0, b"!<arch>\n"),
    (0, b"SQLite format 3\0"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
    (4, b"ftyp"),
    (257, b"ustar"),
)
SHORT = OVERLAP  # bytes below which an answer may be a note only because it is so short
ENOUGH = 1024  # first bytes that tell of what kind a content is


def is_note(
    validators: Validators | None,
    head: bytes,
    stored: int,
    response: Response,
    first: bytes,
    length: int,
    name: str,
) -> bool:
    """Whether a whole answer is a word of the server about the file, and not a version of it: an
    expired link, mostly.

    `head` and `first` are the first bytes of what is stored and of the answer, `length` is the
    answer's, where known. Length, first bytes or tag alone never say so: the same type with a
    validator of its own is a new version.
    """
    if validators is None:
        return False
    etag = response.header("ETag").strip()
    if etag and etag == validators.etag and _same_host(validators, response):
        return False
    same = min(len(head), len(first))
    if same >= ENOUGH and head[:same] == first[:same]:
        return False
    kind, known = type_of(response), validators.content_type
    date = response.header("Last-Modified").strip()
    own = bool(etag and etag != validators.etag) or bool(
        date and not dates_agree(date, validators.last_modified)
    )
    if _becomes_text(_kind(kind), known, head, name):
        return True
    if own and (not kind or not known or kind == known):
        return False
    form = _format(head)
    if form is not None and form != _format(first) and first:
        return True
    agreed = max(validators.total, stored)
    return not own and 0 <= length < min(SHORT, agreed // 2)


def _becomes_text(kind: str, known: str, head: bytes, name: str) -> bool:
    """Whether a page, JSON, XML or plain text came in the place of another type."""
    if not kind:
        return False
    if known:
        return _kind(known) != kind
    if _format(head) is not None or b"\0" in head[:ENOUGH]:
        return True
    return kind == _PAGE and not name.lower().endswith(_ENDINGS[_PAGE])


def _kind(media_type: str) -> str:
    if media_type in _KINDS:
        return _KINDS[media_type]
    if media_type.endswith("+json"):
        return _JSON
    return _XML if media_type.endswith("+xml") and media_type != "image/svg+xml" else ""


def _format(first: bytes) -> tuple[int, bytes] | None:
    return next((form for form in _FORMATS if first[form[0] :].startswith(form[1])), None)


def note(url: str, response: Response, *, elsewhere: bool) -> TransferError:
    """The failure of an attempt that met a note. `elsewhere`: a redirect or another host answered,
    as networks do that want a person to sign in; only then it waits for the network.
    """
    if elsewhere and _kind(type_of(response)) == _PAGE:
        return TransferError(
            code=Code.NOT_CONNECTED,
            message="This network wants you to sign in.",
            reason="net.captive",
            hint="Open a web page in a browser to sign in.",
            url=redacted(url),
            status=response.status,
            retry=Retry.WAIT,
        )
    kind = type_of(response)
    return TransferError(
        code=Code.BAD_SERVER_RESPONSE,
        message="The link seems to have expired: the server sent "
        + (f"a note ({kind[:40]})" if kind else "a note")
        + " in the place of the file.",
        reason="srv.note",
        hint="Get a new address for the file and retry with it.",
        url=redacted(url),
        status=response.status,
        retry=Retry.FINAL,
    )


# ---- comparing

Place = tuple[int, int]  # where it begins, and its bytes
_FAR = 256 * 1024 * 1024  # bytes that are looked through for a block that can be compared


def places(asked: Ask, stored: int, read: Callable[[int, int], bytes]) -> tuple[Place, ...] | None:
    """What must be compared by requests of its own before `asked` is sent; None where that cannot
    tell enough.

    `read` gives stored bytes. A block of one repeated byte counts as none: the nearest earlier one
    that is not is taken, for the start the nearest later one.
    """
    if not asked.overlap:
        return ()
    size, found = asked.overlap, list[Place]()
    end = (asked.start, size)
    if is_blank(read(*end)) and (place := block_before(asked.start, size, read)) is not None:
        end = place
        found.append(place)
    comparable = not is_blank(read(*end))
    for at in (0, asked.start // 2)[: asked.places]:
        place = _from(at, asked.start, size, read)
        if place is not None and all(
            place[0] + place[1] <= at or at + size <= place[0] for at, size in (*found, end)
        ):
            found.append(place)
    enough = len(set(found) | {end}) > 1 and comparable
    return tuple(found) if enough or not asked.places else None


def block_before(end: int, size: int, read: Callable[[int, int], bytes]) -> Place | None:
    """The nearest block of `size` bytes before `end` that can be compared; None where there is
    none.
    """
    for at in range(end - size, max(end - _FAR, 0) - size, -size):
        place = (max(at, 0), min(size, at + size))
        if not is_blank(read(*place)):
            return place
    return None


def _from(begin: int, end: int, size: int, read: Callable[[int, int], bytes]) -> Place | None:
    """The nearest block from `begin` on that can be compared."""
    for at in range(begin, min(end, begin + _FAR), size):
        place = (at, min(size, end - at))
        if not is_blank(read(*place)):
            return place
    return None


def is_blank(block: bytes) -> bool:
    """Whether a block is one repeated byte, or none: equal to too much to tell two files apart."""
    return block.count(block[:1]) == len(block) if block else True


def _same_host(validators: Validators, response: Response) -> bool:
    return not validators.host or validators.host == host_of(response.url)


def tags_agree(one: str, other: str) -> bool:
    """Strong tags agree only with themselves; weak ones with their strong form, too."""
    if is_strong(other):
        return one == other
    return _opaque(one) == _opaque(other)


def dates_agree(one: str, other: str) -> bool:
    return one == other or (http_date(one) is not None and http_date(one) == http_date(other))


def _opaque(etag: str) -> str:
    return etag.removeprefix("W/").removeprefix("w/")


def differ(one: int, other: int) -> bool:
    """Whether both lengths are known and not the same."""
    return UNKNOWN not in (one, other) and one != other


def _plain(reason: str, *, doubt: str = "", no_ranges: bool = False) -> Judgement:
    return Judgement(verdict=ResumeVerdict.PLAIN, reason=reason, doubt=doubt, no_ranges=no_ranges)


def _failed(reason: str, retry: Retry = Retry.FINAL) -> Judgement:
    return Judgement(verdict=ResumeVerdict.FAILED, reason=reason, retry=retry)
