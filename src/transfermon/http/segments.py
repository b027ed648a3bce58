"""One more connection for a file that another one is bringing: when it may be asked for, what it
asks, and what its answer is worth (RFC 9110 §13.1.5, §14).

Rule: only under a strong tag, and nobody is believed alone. Every answer must be a 206 under the
same tag with the same total and without a coding; behind its end and before its beginning it
brings bytes that are stored, to be compared. No I/O here. The table, first line that fits:

| the answer | verdict |
|---|---|
| 206 under another tag, with another total or another date | CHANGED |
| 206 of exactly what was asked for, or of its beginning beyond what is stored | TAKE |
| another 206 | REFUSED |
| 200 under another tag, or of another length | CHANGED |
| another 200: ranges do not work here | REFUSED |
| 412, 416 | CHANGED |
| anything else: 429 and 503 above all | REFUSED |
"""

from __future__ import annotations

from enum import Enum

from transfermon.http.evidence import dates_agree
from transfermon.http.resume import (
    OVERLAP,
    coding_of,
    content_length,
    content_range,
    host_of,
    is_strong,
)
from transfermon.model.record import record
from transfermon.model.task import UNKNOWN, Evidence, Response, Validators

SEAM = OVERLAP  # bytes that two connections have in common, to be compared
ONE_BY_ONE = (
    "The server's answers allow one connection only now;"
    " what was stored behind a gap is fetched again."
)


class SegmentVerdict(Enum):
    TAKE = "take"
    # nothing is known to be wrong, but no further connection is to be asked for
    REFUSED = "refused"
    CHANGED = "changed"  # it is another file: all that is stored is in doubt


@record
class SegmentAsk:
    """Bytes [start, end); the first `before` of them are stored, and so are those behind the
    place where another connection has begun.
    """

    start: int
    end: int
    before: int = 0

    def headers(self, validators: Validators | None) -> dict[str, str]:
        """Without a condition where nothing is known of the address yet."""
        condition = {} if validators is None else {"If-Range": validators.etag}
        return {"Range": f"bytes={self.start}-{self.end - 1}", **condition}


def may_share(response: Response, validators: Validators | None, evidence: Evidence) -> bool:
    """Whether several connections may bring the file of which this answer is one, whole or from
    some byte on.
    """
    return (
        validators is not None
        and response.status in (200, 206)
        and is_strong(validators.etag)
        and response.header("ETag").strip() == validators.etag
        and validators.total != UNKNOWN
        and not validators.label
        and not validators.content_encoding
        and not coding_of(response)
        and response.header("Accept-Ranges").strip().lower() != "none"
        and not response.header("Content-Digest")
        and not evidence.one_connection
        and not evidence.no_ranges
        and "etag" not in evidence.ignored
    )


def ask(start: int, at: int, end: int, total: int) -> SegmentAsk:
    """What to ask for where [start, at) is stored of a range that ends at `end`."""
    before = min(SEAM, at - start)
    return SegmentAsk(start=at - before, end=min(total, end + SEAM), before=before)


def judge(asked: SegmentAsk, validators: Validators, response: Response) -> SegmentVerdict:
    """What the final answer to it is worth. `validators` are those of the stored bytes."""
    status, etag = response.status, response.header("ETag").strip()
    if status in (412, 416):
        return SegmentVerdict.CHANGED
    if status not in (200, 206):
        return SegmentVerdict.REFUSED
    if host_of(response.url) != validators.host:
        return SegmentVerdict.REFUSED  # tags of different hosts are not compared
    if etag and etag != validators.etag:
        return SegmentVerdict.CHANGED
    if _dates_differ(response, validators):
        return SegmentVerdict.CHANGED
    if status == 200:
        length = content_length(response)
        resized = length not in (UNKNOWN, validators.total) and not coding_of(response)
        return SegmentVerdict.CHANGED if resized else SegmentVerdict.REFUSED
    found = content_range(response.header("Content-Range"))
    if found is None or coding_of(response) or not etag:
        return SegmentVerdict.REFUSED
    if found.total not in (UNKNOWN, validators.total):
        return SegmentVerdict.CHANGED
    fits = (
        found.unit == "bytes"
        and found.total == validators.total
        and found.first == asked.start
        and asked.start + asked.before <= found.last < asked.end  # it brings something new
        and content_length(response) == found.last - found.first + 1
    )
    return SegmentVerdict.TAKE if fits else SegmentVerdict.REFUSED


def _dates_differ(response: Response, validators: Validators) -> bool:
    date = response.header("Last-Modified").strip()
    return bool(date and validators.last_modified) and not dates_agree(
        date, validators.last_modified
    )
