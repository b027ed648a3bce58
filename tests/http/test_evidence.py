"""Is it still the same file: the table of the answers, row by row."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfermon.http.evidence import (
    ResumeVerdict,
    failure_of,
    is_another,
    is_blank,
    is_note,
    is_proven,
    judge,
    note,
    places,
)
from transfermon.http.parts import goes_on
from transfermon.http.resume import LEAST, OVERLAP, Ask, ask
from transfermon.model.errors import Retry
from transfermon.model.task import UNKNOWN, Evidence, Response, StoredPart, Validators, changed

M = 1024 * 1024
N = 500_000  # bytes stored
BACK = N - OVERLAP
OLD, DATE = "Tue, 10 Nov 2026 10:00:00 GMT", "Tue, 10 Nov 2026 12:00:00 GMT"
STRONG = Validators(etag='"a"', last_modified=OLD, date=DATE, total=M, host="host:80")
WEAK = changed(STRONG, etag='W/"a"')
DATED = changed(STRONG, etag="")
NONE = Validators(date=DATE, total=M, host="host:80")
RANGE = f"bytes {BACK}-{M - 1}/{M}"
WHOLE, COMPARE, COMPLETE, PLAIN, AGAIN, FAILED, STATUS = ResumeVerdict
NOWHERE = "http://else/f"


def an_answer(status: int = 206, url: str = "http://host/f", /, **headers: str) -> Response:
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Response(status=status, url=url, headers=named)


def verdict(
    validators: Validators, response: Response, *, policy: str = "careful", stored: int = N
) -> ResumeVerdict:
    return judge(ask(stored, validators, policy), stored, validators, response, policy).verdict


# ---- 206


PARTIAL = [
    ("right", {"ETag": '"a"'}, COMPARE),
    (
        "unit in capitals",
        {"Content_Range": RANGE.replace("bytes", "Bytes"), "ETag": '"a"'},
        COMPARE,
    ),
    ("no tag, but the condition held", {}, COMPARE),
    (
        "another total under the same tag",
        {"Content_Range": f"bytes {BACK}-{M}/{M + 1}", "ETag": '"a"'},
        PLAIN,
    ),
    ("another date under the same tag", {"ETag": '"a"', "Last_Modified": DATE}, PLAIN),
    ("no tag and another date", {"Last_Modified": DATE}, PLAIN),
    ("total not said", {"Content_Range": f"bytes {BACK}-{M - 1}/*", "ETag": '"a"'}, COMPARE),
    ("shorter than asked", {"Content_Range": f"bytes {BACK}-{N + 9}/{M}", "ETag": '"a"'}, COMPARE),
    (
        "within what is stored",
        {"Content_Range": f"bytes {BACK}-{N - 9}/{M}", "ETag": '"a"'},
        COMPARE,
    ),
    ("matching length", {"ETag": '"a"', "Content_Length": str(M - BACK)}, COMPARE),
    ("from the first byte", {"Content_Range": f"bytes 0-{M - 1}/{M}", "ETag": '"a"'}, COMPARE),
    ("from a block before", {"Content_Range": f"bytes 65536-{M - 1}/{M}", "ETag": '"a"'}, COMPARE),
    (
        "begins later, but early enough",
        {"Content_Range": f"bytes {N - LEAST}-{M - 1}/{M}", "ETag": '"a"'},
        COMPARE,
    ),
    ("begins too late", {"Content_Range": f"bytes {N - 1}-{M - 1}/{M}", "ETag": '"a"'}, PLAIN),
    (
        "begins behind what is stored",
        {"Content_Range": f"bytes {N + 1}-{M - 1}/{M}", "ETag": '"a"'},
        PLAIN,
    ),
    ("brings nothing new", {"Content_Range": f"bytes 0-{BACK - 1}/{M}", "ETag": '"a"'}, PLAIN),
    ("another unit", {"Content_Range": RANGE.replace("bytes", "items"), "ETag": '"a"'}, PLAIN),
    ("last before first", {"Content_Range": f"bytes {BACK}-{BACK - 1}/{M}", "ETag": '"a"'}, PLAIN),
    ("last beyond its total", {"Content_Range": f"bytes {BACK}-{M}/{M}", "ETag": '"a"'}, PLAIN),
    ("last beyond the known total", {"Content_Range": f"bytes {BACK}-{M}/*", "ETag": '"a"'}, PLAIN),
    ("another tag", {"ETag": '"b"'}, PLAIN),
    ("the tag became weak", {"ETag": 'W/"a"'}, PLAIN),
    ("compressed", {"ETag": '"a"', "Content_Encoding": "gzip"}, PLAIN),
    ("identity", {"ETag": '"a"', "Content_Encoding": "identity"}, COMPARE),
    ("several parts", {"Content_Type": "multipart/byteranges; boundary=x", "ETag": '"a"'}, PLAIN),
    ("contradicts its length", {"ETag": '"a"', "Content_Length": "7"}, PLAIN),
    ("no Content-Range", {"Content_Range": "", "ETag": '"a"'}, PLAIN),
    ("malformed Content-Range", {"Content_Range": f"bytes {BACK}-/{M}", "ETag": '"a"'}, PLAIN),
    ("the form of a 416", {"Content_Range": f"bytes */{M}", "ETag": '"a"'}, PLAIN),
]


@pytest.mark.parametrize(("name", "headers", "expected"), PARTIAL, ids=[row[0] for row in PARTIAL])
def test_a_partial_answer_is_compared_or_given_up_for_a_whole_one(
    name: str, headers: dict[str, str], expected: ResumeVerdict
):
    asked = ask(N, STRONG, "careful")
    judged = judge(asked, N, STRONG, an_answer(**{"Content_Range": RANGE, **headers}), "careful")
    assert judged.verdict is expected
    if expected is COMPARE:
        assert judged.start + judged.compare <= N
        assert judged.start + judged.compare == N or judged.length == judged.compare
        assert judged.total == M
    else:
        assert judged.reason.endswith(".")


@pytest.mark.parametrize(
    ("name", "at_fault"),
    [
        ("no Content-Range", True),
        ("another unit", True),
        ("another tag", False),
        ("another date under the same tag", False),
    ],
)
def test_only_a_server_that_cannot_is_remembered_for_it(name: str, at_fault: bool):
    headers = next(row[1] for row in PARTIAL if row[0] == name)
    judged = judge(
        ask(N, STRONG, "careful"),
        N,
        STRONG,
        an_answer(**{"Content_Range": RANGE, **headers}),
        "careful",
    )
    assert judged.no_ranges is at_fault


@pytest.mark.parametrize(
    ("validators", "headers", "expected"),
    [
        (WEAK, {"ETag": 'W/"a"', "Last_Modified": OLD}, COMPARE),
        (WEAK, {"ETag": '"a"'}, COMPARE),
        (WEAK, {"ETag": 'W/"b"', "Last_Modified": OLD}, PLAIN),
        (WEAK, {"ETag": 'W/"b"'}, PLAIN),
        (WEAK, {"ETag": 'W/"a"', "Last_Modified": DATE}, PLAIN),
        (WEAK, {"Last_Modified": OLD}, COMPARE),  # a settled date speaks as well
        (WEAK, {}, AGAIN),  # neither is there: two places
        (DATED, {"Last_Modified": OLD}, COMPARE),
        # the same in another form
        (DATED, {"Last_Modified": "Tuesday, 10-Nov-26 10:00:00 GMT"}, COMPARE),
        (DATED, {}, COMPARE),
        (DATED, {"Last_Modified": DATE}, PLAIN),
        (NONE, {}, COMPARE),  # the start was compared before
        (NONE, {"ETag": '"new"'}, COMPARE),
        (NONE, {"Content_Range": f"bytes {BACK}-{M - 1}/*"}, PLAIN),
    ],
)
def test_weaker_validators_are_compared_in_more_places(
    validators: Validators, headers: dict[str, str], expected: ResumeVerdict
):
    assert verdict(validators, an_answer(**{"Content_Range": RANGE, **headers})) is expected


def test_a_contradiction_starts_over_once_and_then_costs_three_places():
    asked, answer = (
        ask(N, STRONG, "careful"),
        an_answer(Content_Range=RANGE, ETag='"a"', Last_Modified=DATE),
    )
    first = judge(asked, N, STRONG, answer, "careful")
    assert (first.verdict, first.doubt) == (PLAIN, "last_modified")
    known = Evidence(contradicted=("last_modified",))
    again = judge(asked, N, STRONG, answer, "careful", known)
    assert (again.verdict, again.doubt) == (AGAIN, "last_modified")
    known = Evidence(ignored=("last_modified",))
    asked = ask(N, STRONG, "careful", evidence=known)
    assert asked.places == 2
    assert judge(asked, N, STRONG, answer, "careful", known).verdict is COMPARE


def test_a_tag_for_each_range_is_one_too_but_not_with_another_date_or_total():
    known = Evidence(contradicted=("etag", "last_modified"))

    def judged(**headers: str) -> tuple[ResumeVerdict, str]:
        found = judge(
            ask(N, STRONG, "careful"),
            N,
            STRONG,
            an_answer(**{"Content_Range": RANGE, **headers}),
            "careful",
            known,
        )
        return found.verdict, found.doubt

    assert judged(ETag='"b"') == (AGAIN, "etag")
    assert judged(ETag='"b"', Last_Modified=OLD) == (AGAIN, "etag")
    assert judged(ETag='"b"', Last_Modified=DATE) == (PLAIN, "")
    assert judged(ETag='"b"', Content_Range=f"bytes {BACK}-{M - 1}/*") == (PLAIN, "etag")
    assert judged(ETag='"b"', Content_Range=f"bytes {BACK}-{M}/{M + 1}") == (PLAIN, "")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"ETag": '"other"', "Last_Modified": OLD}, COMPARE),
        ({"Last_Modified": OLD}, COMPARE),
        ({"ETag": '"other"', "Last_Modified": DATE}, PLAIN),
        ({"ETag": '"other"'}, AGAIN),  # no date either: two places
        (
            {"ETag": '"other"', "Last_Modified": OLD, "Content_Range": f"bytes {BACK}-{M}/{M + 1}"},
            PLAIN,
        ),
    ],
)
def test_tags_of_different_hosts_are_not_compared(headers: dict[str, str], expected: ResumeVerdict):
    assert (
        verdict(STRONG, an_answer(206, NOWHERE, **{"Content_Range": RANGE, **headers})) is expected
    )


def test_what_was_not_interrupted_goes_on_without_a_comparison():
    asked = ask(N, NONE, "careful", interrupted=False)
    judged = judge(asked, N, NONE, an_answer(Content_Range=f"bytes {N}-{M - 1}/{M}"), "careful")
    assert (judged.verdict, judged.compare, judged.length) == (COMPARE, 0, M - N)
    other = judge(asked, N, NONE, an_answer(Content_Range=f"bytes {N}-{M}/{M + 1}"), "careful")
    assert other.verdict is PLAIN


def test_too_little_to_compare_goes_on_under_an_agreed_strong_tag_only():
    asked = ask(100, STRONG, "careful")
    found = {"Content_Range": f"bytes 100-{M - 1}/{M}"}
    assert judge(asked, 100, STRONG, an_answer(**found, ETag='"a"'), "careful").verdict is COMPARE
    assert judge(asked, 100, STRONG, an_answer(**found), "careful").verdict is PLAIN


def test_lenient_trusts_the_condition_that_the_server_confirmed():
    asked = ask(N, WEAK, "lenient")
    rest = an_answer(Content_Range=f"bytes {N}-{M - 1}/{M}")
    assert judge(asked, N, WEAK, rest, "lenient").verdict is COMPARE
    assert judge(asked, N, WEAK, an_answer(412), "lenient").verdict is PLAIN


def test_the_same_label_goes_on_and_another_does_not():
    labelled = changed(STRONG, label="gzip")
    answer = {"Content_Range": RANGE, "ETag": '"a"'}
    assert verdict(labelled, an_answer(**answer, Content_Encoding="gzip")) is COMPARE
    assert verdict(labelled, an_answer(**answer)) is PLAIN
    assert verdict(labelled, an_answer(**answer, Content_Encoding="br")) is PLAIN


# ---- other answers to a question for the rest


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (200, {"Content_Length": "77", "ETag": '"b"'}, WHOLE),
        (200, {}, WHOLE),
        (200, {"ETag": '"a"', "Content_Length": str(M)}, WHOLE),
        (200, {"ETag": '"a"', "Content_Length": "77"}, PLAIN),  # a file cannot have two lengths
        (200, {"ETag": '"a"', "Content_Length": str(M - BACK)}, COMPARE),
        (200, {"Content_Length": str(M - BACK)}, COMPARE),
        # or the rest of another version
        (200, {"ETag": '"b"', "Content_Length": str(M - BACK)}, PLAIN),
        (200, {"Content_Length": str(M - BACK), "Last_Modified": DATE}, PLAIN),
        (200, {"Content_Length": str(M - BACK), "Content_Range": RANGE}, COMPARE),
        (200, {"Content_Length": "100", "Content_Range": f"bytes 9-108/{M}"}, PLAIN),
        (200, {"Content_Length": str(M), "Content_Range": f"bytes 0-{M - 1}/{M}"}, WHOLE),
        # it does not fit the length: no meaning
        (200, {"Content_Length": str(M), "Content_Range": RANGE}, WHOLE),
        (200, {"Content_Length": str(M), "Content_Range": f"bytes 100-{M + 99}/{M + 100}"}, PLAIN),
        (200, {"ETag": '"a"', "Content_Length": "77", "Content_Encoding": "gzip"}, WHOLE),
        (204, {}, FAILED),
        (304, {}, FAILED),
        (400, {}, PLAIN),
        (401, {}, STATUS),
        (403, {}, PLAIN),
        (404, {}, STATUS),
        (407, {}, STATUS),
        (412, {}, PLAIN),
        (416, {"Content_Range": f"bytes */{N}"}, PLAIN),
        (416, {"Content_Range": f"bytes */{N - 1}"}, PLAIN),
        (416, {}, PLAIN),
        (429, {}, STATUS),
        (500, {}, STATUS),
        (501, {}, PLAIN),
        (503, {}, STATUS),
        (521, {}, STATUS),
    ],
)
def test_every_other_answer_to_a_range_has_its_verdict(
    status: int, headers: dict[str, str], expected: ResumeVerdict
):
    assert verdict(STRONG, an_answer(status, **headers)) is expected


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 525, 530])
def test_a_server_in_trouble_is_asked_plainly_after_three_attempts(status: int):
    asked = ask(N, STRONG, "careful")

    def judged(known: Evidence) -> ResumeVerdict:
        return judge(asked, N, STRONG, an_answer(status), "careful", known).verdict

    assert judged(Evidence(refused=status, refusals=1)) is STATUS
    assert judged(Evidence(refused=status, refusals=2)) is PLAIN
    assert judged(Evidence(refused=429, refusals=2)) is STATUS


def test_a_200_of_another_host_is_asked_again_without_its_tag():
    answer = an_answer(200, NOWHERE, ETag='"x"', Content_Length=str(M), Last_Modified=OLD)
    judged = judge(ask(N, STRONG, "careful"), N, STRONG, answer, "careful")
    assert (judged.verdict, judged.conditional) == (AGAIN, False)
    asked = ask(N, STRONG, "careful", conditional=False)
    assert judge(asked, N, STRONG, answer, "careful").verdict is WHOLE
    dated = an_answer(200, NOWHERE, Content_Length=str(M), Last_Modified=DATE)
    assert verdict(STRONG, dated) is WHOLE


@pytest.mark.parametrize(
    ("validators", "headers", "expected"),
    [
        (STRONG, {"Content_Range": f"bytes */{M}", "ETag": '"a"'}, COMPLETE),
        (STRONG, {"Content_Range": f"*/{M}", "ETag": '"a"'}, COMPLETE),
        # what is there was asked for: an answer that cannot be
        (STRONG, {"Content_Range": f"bytes */{M}"}, PLAIN),
        (STRONG, {"Content_Range": f"bytes */{M}", "ETag": '"b"'}, PLAIN),
        (STRONG, {"Content_Range": f"bytes */{M - 1}"}, PLAIN),
        (STRONG, {"Content_Range": f"bytes 0-1/{M}"}, PLAIN),
    ],
)
def test_416_completes_only_when_exactly_everything_is_here(
    validators: Validators, headers: dict[str, str], expected: ResumeVerdict
):
    judged = judge(
        ask(M, validators, "careful"), M, validators, an_answer(416, **headers), "careful"
    )
    assert judged.verdict is expected
    if expected is COMPLETE:
        assert (judged.length, judged.total) == (0, M)


def test_416_without_a_tag_completes_where_nothing_that_is_there_was_asked_for():
    asked = ask(M, STRONG, "lenient")
    assert (
        judge(asked, M, STRONG, an_answer(416, Content_Range=f"bytes */{M}"), "lenient").verdict
        is COMPLETE
    )


# ---- everything was asked for


@pytest.mark.parametrize(
    ("status", "headers", "expected", "length"),
    [
        (200, {"Content_Length": "77"}, WHOLE, 77),
        (200, {"Content_Length": "0"}, WHOLE, 0),
        (200, {"Content_Length": "77", "Content_Encoding": "gzip"}, WHOLE, None),
        (200, {}, WHOLE, None),
        (200, {"Content_Length": "77", "Content_Range": "bytes 0-76/77"}, WHOLE, 77),
        (200, {"Content_Length": "77", "Content_Range": "bytes 0-76/100"}, FAILED, None),
        # it does not fit the length
        (200, {"Content_Length": "77", "Content_Range": "bytes 5-9/100"}, WHOLE, 77),
        (203, {"Content_Length": "77"}, WHOLE, 77),
        (202, {"Content_Length": "77"}, STATUS, None),
        (204, {}, STATUS, None),
        (205, {}, STATUS, None),
        (206, {"Content_Range": RANGE}, FAILED, None),
        (206, {"Content_Range": "bytes 0-76/77", "Content_Length": "77"}, WHOLE, 77),
        (206, {"Content_Range": "bytes 0-76/77"}, WHOLE, 77),
        (206, {"Content_Range": "bytes 0-76/77", "Content_Length": "78"}, FAILED, None),
        (206, {"Content_Range": "bytes 0-76/*"}, FAILED, None),
        (206, {}, FAILED, None),
        (416, {}, STATUS, None),
        (412, {}, STATUS, None),
    ],
)
def test_answers_to_a_plain_request(
    status: int, headers: dict[str, str], expected: ResumeVerdict, length: int | None
):
    judged = judge(Ask(start=0), 0, None, an_answer(status, **headers), "careful")
    assert (judged.verdict, judged.length) == (expected, length)


@pytest.mark.parametrize(
    ("headers", "words", "proven"),
    [
        ({"ETag": '"b"'}, "changed", True),
        ({"ETag": '"a"'}, "whole file again", False),
        ({"ETag": '"a"', "Last_Modified": DATE}, "changed", True),
        ({"Last_Modified": DATE}, "changed", True),
        ({"Content_Length": "5"}, "changed", False),
        ({}, "whole file again", False),
    ],
)
def test_a_whole_file_in_place_of_the_rest_says_why(
    headers: dict[str, str], words: str, proven: bool
):
    answer = an_answer(200, **headers)
    judged = judge(ask(N, STRONG, "careful"), N, STRONG, answer, "careful")
    assert words in judged.reason
    assert is_another(STRONG, answer) is (words == "changed")
    assert is_proven(STRONG, answer) is proven


def test_starting_over_on_purpose_says_why_too():
    asked = ask(N, NONE, "strict")
    judged = judge(asked, N, NONE, an_answer(200, Content_Length=str(M)), "strict")
    assert judged.reason == asked.why_not != ""


def test_the_error_of_an_answer_that_cannot_be_used():
    odd = judge(Ask(start=0), 0, None, an_answer(206), "careful")
    error = failure_of(odd, "http://u:p@host/f", 206)
    assert (error.code, error.reason, error.retry, error.url) == (
        -1011,
        "srv.protocol",
        Retry.FINAL,
        "http://host/f",
    )


# ---- notes


ZIP = b"PK\x03\x04" + bytes(range(256)) * 4
KNOWN = changed(STRONG, content_type="application/zip")


@pytest.mark.parametrize(
    ("headers", "first", "length", "expected"),
    [
        ({"Content_Type": "text/plain"}, b"expired", 7, True),
        ({"Content_Type": "application/json", "ETag": '"e"'}, b'{"error": 1}', 12, True),
        ({"Content_Type": "application/problem+json"}, b"{}", 2, True),
        ({"Content_Type": "application/xml"}, b"<Error/>", 8, True),
        ({"Content_Type": "text/html; charset=utf-8"}, b"<p>" * 90_000, 900_000, True),
        ({"Content_Type": "text/html", "ETag": '"a"'}, b"<p>", M, False),  # the very file
        ({"Content_Type": "application/zip", "ETag": '"b"'}, b"another kind of bytes", 21, False),
        # emptied, and it says so
        ({"Content_Type": "application/zip", "ETag": '"b"'}, b"", 0, False),
        ({"Content_Type": "application/zip"}, b"", 0, True),
        # far shorter, and nothing to show for it
        ({"Content_Type": "application/zip"}, ZIP[:100], 100, True),
        ({"Content_Type": "application/zip"}, ZIP, M, False),
        # the date is the old one's
        ({"Content_Type": "application/zip", "Last_Modified": OLD}, ZIP[:100], 100, True),
        ({"Content_Type": "application/zip"}, b"no zip at all", M, True),
        ({"Content_Type": "application/octet-stream"}, b"expired", 7, True),
        (
            {"Content_Type": "application/octet-stream", "Last_Modified": DATE},
            b"no zip at all",
            M,
            True,
        ),
        (
            {"Content_Type": "application/octet-stream", "Last_Modified": DATE},
            b"PK\x03\x04new",
            M,
            False,
        ),
        # the same bytes under another type
        ({"Content_Type": "text/plain", "ETag": '"b"'}, ZIP, M, False),
        ({"ETag": '"b"'}, b"no type, but a validator", 24, False),
        ({}, ZIP[:60], UNKNOWN, False),
    ],
)
def test_what_is_a_note(headers: dict[str, str], first: bytes, length: int, expected: bool):
    assert is_note(KNOWN, ZIP, N, an_answer(200, **headers), first, length, "f.zip") is expected


@pytest.mark.parametrize(
    ("known", "name", "kind", "expected"),
    [
        ("text/html", "f", "text/html", False),
        ("text/html", "f", "application/xhtml+xml", False),
        ("application/json", "f", "text/plain", True),
        ("text/xml", "f", "application/atom+xml", False),
        ("image/svg+xml", "f", "image/svg+xml", False),
        ("", "film.mp4", "text/html", True),
        ("", "page.html", "text/html", False),
        ("", "data", "application/json", False),
    ],
)
def test_a_page_json_xml_or_text_in_the_place_of_another_type_is_one(
    known: str, name: str, kind: str, expected: bool
):
    validators = Validators(content_type=known, etag='"a"', total=UNKNOWN)
    answer = an_answer(200, Content_Type=kind, ETag='"b"')
    assert (
        is_note(validators, b"text of some kind", N, answer, b"another text", M, name) is expected
    )


def test_a_note_is_an_expired_link_and_only_from_elsewhere_a_network():
    page, text = an_answer(200, Content_Type="text/html"), an_answer(200, Content_Type="text/plain")
    for answer, elsewhere in ((page, False), (text, False), (text, True)):
        error = note("http://host/f?sig=1", answer, elsewhere=elsewhere)
        assert (error.reason, error.retry, "expired" in error.message) == (
            "srv.note",
            Retry.FINAL,
            True,
        )
        assert "sig=1" not in error.url
    error = note("http://host/f", page, elsewhere=True)
    assert (error.reason, error.retry) == ("net.captive", Retry.WAIT)


# ---- what is compared


def reader(data: bytes) -> Callable[[int, int], bytes]:
    return lambda at, size: data[at : at + size]


NOISE = bytes(itertools.islice(itertools.cycle(range(251)), N))


def test_the_end_alone_where_a_validator_speaks():
    assert places(ask(N, STRONG, "careful"), N, reader(NOISE)) == ()


def test_the_start_and_the_middle_where_none_does():
    assert places(ask(N, NONE, "careful"), N, reader(NOISE)) == ((0, OVERLAP),)
    asked = ask(N, STRONG, "careful", evidence=Evidence(ignored=("etag",)))
    assert places(asked, N, reader(NOISE)) == ((0, OVERLAP), (BACK // 2, OVERLAP))


def test_a_block_of_one_byte_counts_as_none():
    data = NOISE[:100_000] + bytes(N - 100_000)
    (place,) = places(ask(N, STRONG, "careful"), N, reader(data)) or ()
    assert not is_blank(data[place[0] : place[0] + place[1]])
    assert place[0] + place[1] > 100_000 > place[0]  # the nearest one
    data = bytes(200_000) + NOISE[200_000:]
    ((at, size),) = places(ask(N, NONE, "careful"), N, reader(data)) or ()
    assert not is_blank(data[at : at + size])


def test_one_place_is_not_two():
    assert places(ask(N, NONE, "careful"), N, reader(bytes(N))) is None
    assert places(ask(N, NONE, "careful"), N, reader(bytes(BACK) + NOISE[BACK:])) is None
    # the tag alone; there is nothing to compare
    assert places(ask(N, STRONG, "careful"), N, reader(bytes(N))) == ()


@given(
    st.integers(LEAST + 1, 300_000),
    st.sampled_from([STRONG, NONE]),
    st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_places_are_inside_what_is_stored_before_the_end(
    stored: int, validators: Validators, noisy: list[bool]
):
    size = -(-stored // len(noisy))
    data = b"".join(NOISE[:size] if one else bytes(size) for one in noisy)[:stored]
    asked = ask(stored, validators, "careful")
    found = places(asked, stored, reader(data))
    for at, length in found or ():
        assert 0 <= at < at + length <= stored
        assert not is_blank(data[at : at + length])


# ---- two parts


def a_part(**changes: object) -> StoredPart:
    part = StoredPart(path="/p", inode=1, received=N, expected=M, validators=STRONG)
    return changed(part, **changes)


@pytest.mark.parametrize(
    ("validators", "received", "older", "expected"),
    [
        (STRONG, 1000, None, False),
        (STRONG, 1000, a_part(), True),  # the same version: the longer one
        (STRONG, N + 1, a_part(), False),
        (changed(STRONG, etag='"b"'), 1000, a_part(), False),  # a new version
        (changed(STRONG, last_modified=DATE), 1000, a_part(), False),
        (changed(STRONG, total=M + 1), 1000, a_part(), False),
        (changed(STRONG, host="else:80"), 1000, a_part(), False),
        (NONE, 1000, a_part(validators=NONE), True),
        (Validators(host="host:80"), 1000, a_part(validators=Validators(host="host:80")), False),
        (None, 0, a_part(), True),  # nothing else is there
    ],
)
def test_of_two_parts_the_longer_one_of_a_version_goes_on(
    validators: Validators | None, received: int, older: StoredPart | None, expected: bool
):
    assert goes_on(validators, received, older) is expected
