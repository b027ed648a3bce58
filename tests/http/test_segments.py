"""When a file may be brought by several connections, and what the answers of the further ones are
worth.
"""

from __future__ import annotations

import pytest

from transfermon.http.segments import SEAM, SegmentVerdict, ask, judge, may_share
from transfermon.model.task import Evidence, Response, Validators

TOTAL = 10_000_000
DATE, LATER = "Tue, 10 Nov 2026 10:00:00 GMT", "Tue, 10 Nov 2026 11:00:00 GMT"
URL = "http://files.example/a.bin"
KNOWN = Validators(etag='"a"', last_modified=DATE, total=TOTAL, host="files.example:80")
ASKED = ask(5_000_000, 5_000_000, 8_000_000, TOTAL)
TAKE, REFUSED, CHANGED = SegmentVerdict.TAKE, SegmentVerdict.REFUSED, SegmentVerdict.CHANGED


def response(status: int = 206, url: str = URL, **fields: str) -> Response:
    headers = {"ETag": '"a"', "Last-Modified": DATE}
    if status == 206:
        headers["Content-Range"] = f"bytes {ASKED.start}-{ASKED.end - 1}/{TOTAL}"
        headers["Content-Length"] = str(ASKED.end - ASKED.start)
    else:
        headers["Content-Length"] = str(TOTAL)
    headers |= {name.replace("_", "-"): value for name, value in fields.items()}
    return Response(status=status, url=url, headers=tuple(headers.items()))


def test_a_range_is_asked_for_with_what_its_neighbours_have():
    assert (ASKED.start, ASKED.end, ASKED.before) == (5_000_000, 8_000_000 + SEAM, 0)
    again = ask(5_000_000, 6_000_000, 8_000_000, TOTAL)
    assert (again.start, again.before) == (6_000_000 - SEAM, SEAM)
    assert ask(5_000_000, 5_000_100, 8_000_000, TOTAL).start == 5_000_000
    assert ask(8_000_000, 8_000_000, TOTAL, TOTAL).end == TOTAL
    assert ASKED.headers(KNOWN) == {
        "Range": f"bytes=5000000-{8_000_000 + SEAM - 1}",
        "If-Range": '"a"',
    }


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (response(), TAKE),
        (response(Content_Range=f"bytes 5000000-5999999/{TOTAL}", Content_Length="1000000"), TAKE),
        (response(Last_Modified=""), TAKE),  # a 206 may leave it out
        (response(ETag=""), REFUSED),
        (response(ETag='"b"'), CHANGED),
        (response(ETag='W/"a"'), CHANGED),
        (response(Last_Modified=LATER), CHANGED),
        (response(Content_Range=f"bytes 5000000-{ASKED.end - 1}/{TOTAL + 1}"), CHANGED),
        (response(Content_Range=f"bytes 5000000-{ASKED.end - 1}/*"), REFUSED),
        (response(Content_Range=f"bytes 5000001-{ASKED.end - 1}/{TOTAL}"), REFUSED),
        (response(Content_Range=f"bytes 0-{TOTAL - 1}/{TOTAL}"), REFUSED),
        (response(Content_Range=f"bytes 5000000-{ASKED.end}/{TOTAL}"), REFUSED),
        (response(Content_Range="rubbish"), REFUSED),
        (response(Content_Range=""), REFUSED),
        (response(Content_Range=f"lines 5000000-{ASKED.end - 1}/{TOTAL}"), REFUSED),
        (response(Content_Length="17"), REFUSED),
        (response(Content_Encoding="gzip"), REFUSED),
        (response(url="http://mirror.example/a.bin"), REFUSED),
        (response(200), REFUSED),
        (response(200, ETag='"b"'), CHANGED),
        (response(200, Content_Length="100"), CHANGED),
        (response(200, ETag=""), REFUSED),
        (response(412), CHANGED),
        (response(416), CHANGED),
        *((response(status), REFUSED) for status in (204, 302, 403, 404, 429, 500, 503)),
    ],
)
def test_what_an_answer_is_worth(answer: Response, verdict: SegmentVerdict):
    assert judge(ASKED, KNOWN, answer) is verdict


@pytest.mark.parametrize(("last", "verdict"), [(5_999_999, REFUSED), (6_000_000, TAKE)])
def test_an_answer_that_ends_with_what_is_stored_brings_nothing(last: int, verdict: SegmentVerdict):
    again = ask(5_000_000, 6_000_000, 8_000_000, TOTAL)
    answer = response(
        Content_Range=f"bytes {again.start}-{last}/{TOTAL}",
        Content_Length=str(last + 1 - again.start),
    )
    assert judge(again, KNOWN, answer) is verdict


@pytest.mark.parametrize(
    ("answer", "known", "learnt"),
    [
        (response(200, ETag='W/"a"'), Validators(etag='W/"a"', total=TOTAL), Evidence()),
        (response(200, ETag=""), Validators(last_modified=DATE, total=TOTAL), Evidence()),
        (response(200, ETag='"b"'), KNOWN, Evidence()),
        (response(200, Content_Encoding="gzip"), KNOWN, Evidence()),
        (response(200), Validators(etag='"a"', total=TOTAL, label="gzip"), Evidence()),
        (response(200), Validators(etag='"a"'), Evidence()),
        (response(200, Accept_Ranges="none"), KNOWN, Evidence()),
        (response(200, Content_Digest="sha-256=:AAAA:"), KNOWN, Evidence()),
        (response(404), KNOWN, Evidence()),
        (response(200), KNOWN, Evidence(one_connection=True)),
        (response(200), KNOWN, Evidence(no_ranges="files.example:80")),
        (response(200), KNOWN, Evidence(ignored=("etag",))),
        (response(200), None, Evidence()),
    ],
)
def test_one_connection_is_enough(answer: Response, known: Validators | None, learnt: Evidence):
    assert may_share(response(200), KNOWN, Evidence())
    assert may_share(response(206), KNOWN, Evidence())
    assert not may_share(answer, known, learnt)
