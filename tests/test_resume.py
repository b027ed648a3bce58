"""What is asked for, and what each answer to it means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfermon.errors import Retry
from transfermon.resume import (
    OVERLAP,
    Ask,
    ContentRange,
    Verdict,
    ask,
    content_range,
    failure_of,
    is_strong,
    judge,
    pack,
    unpack,
    unsatisfied_range,
    validators_of,
    weakness,
    why_not_resumable,
)
from transfermon.task import UNKNOWN, Response, Validators

M = 1024 * 1024
OLD, DATE = "Tue, 10 Nov 2026 10:00:00 GMT", "Tue, 10 Nov 2026 12:00:00 GMT"
SECONDS_AGO = "Tue, 10 Nov 2026 11:59:30 GMT"
STRONG = Validators(etag='"a"', last_modified=OLD, date=DATE, total=M)
WEAK = Validators(etag='W/"a"', last_modified=OLD, date=DATE, total=M)
WEAK_ONLY = Validators(etag='W/"a"', date=DATE, total=M)
DATED = Validators(last_modified=OLD, date=DATE, total=M)
FRESH = Validators(last_modified=SECONDS_AGO, date=DATE, total=M)
NONE = Validators(date=DATE, total=M)
N = 500_000  # bytes stored


def an_answer(status: int = 206, *fields: tuple[str, str], **headers: str) -> Response:
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Response(status=status, url="http://host/f", headers=named + fields)


@pytest.mark.parametrize(
    ("validators", "policy", "start", "headers"),
    [
        (STRONG, "careful", N, {"If-Range": '"a"'}),
        (STRONG, "strict", N, {"If-Range": '"a"'}),
        (STRONG, "lenient", N, {"If-Range": '"a"'}),
        (WEAK, "careful", N - OVERLAP, {}),
        (WEAK, "strict", 0, None),
        (WEAK, "lenient", N, {"If-Unmodified-Since": OLD}),
        (WEAK_ONLY, "lenient", N - OVERLAP, {}),
        (DATED, "careful", N - OVERLAP, {"If-Range": OLD}),
        (DATED, "strict", N, {"If-Range": OLD}),
        (DATED, "lenient", N, {"If-Range": OLD}),
        (FRESH, "careful", 0, None),
        (FRESH, "strict", N, {"If-Range": SECONDS_AGO}),
        (Validators(last_modified=OLD, total=M), "careful", 0, None),
        (Validators(last_modified=OLD, total=M), "strict", 0, None),
        (Validators(last_modified=DATE, date=DATE, total=M), "strict", 0, None),
        (Validators(last_modified=DATE, date=DATE, total=M), "lenient", N, {"If-Unmodified-Since": DATE}),
        (Validators(etag="unquoted", date=DATE, total=M), "careful", N - OVERLAP, {}),
        (NONE, "careful", 0, None),
        (NONE, "lenient", 0, None),
        (None, "careful", 0, None),
        (Validators(etag='"a"', accept_ranges="none", total=M), "careful", 0, None),
        (Validators(etag='"a"', content_encoding="gzip"), "careful", 0, None),
        (Validators(etag='"a"', total=N - 1), "careful", 0, None),
        (Validators(etag='"a"'), "careful", N, {"If-Range": '"a"'}),
    ],
)
def test_what_is_asked_for_follows_from_validators_and_policy(
    validators: Validators | None, policy: str, start: int, headers: dict[str, str] | None
):
    asked = ask(N, validators, policy)
    assert asked.start == start
    if headers is None:
        assert asked.headers == {}
        assert asked.why_not.endswith(".")
    else:
        assert asked.headers == {"Range": f"bytes={start}-", **headers}
        assert asked.overlap == N - start
        assert asked.why_not == ""


def test_with_nothing_stored_the_whole_file_is_asked_for_without_excuse():
    assert ask(0, STRONG, "careful") == Ask(start=0)


def test_a_part_smaller_than_the_overlap_starts_over():
    assert ask(OVERLAP, WEAK, "careful").headers == {}
    assert ask(OVERLAP + 1, WEAK, "careful").start == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD"])
def test_only_get_can_be_resumed(method: str):
    assert why_not_resumable(STRONG, method, "careful")
    assert why_not_resumable(STRONG, "get", "careful") == ""


def test_a_weak_validator_is_told_of():
    assert weakness(STRONG, "careful") == ""
    assert "64 KiB" in weakness(WEAK, "careful")
    assert "64 KiB" in weakness(DATED, "careful")
    assert weakness(DATED, "strict") == ""
    assert weakness(NONE, "careful") == ""


@pytest.mark.parametrize(
    ("etag", "strong"),
    [('"a"', True), ('""', True), ('W/"a"', False), ("a", False), ('"a', False), ('"a", "b"', False), ("", False)],
)
def test_a_strong_tag_is_quoted_and_one(etag: str, strong: bool):
    assert is_strong(etag) is strong


RANGE = f"bytes {N}-{M - 1}/{M}"
PARTIAL = [
    ("right", {"Content_Range": RANGE, "ETag": '"a"'}, Verdict.APPEND),
    ("unit in capitals", {"Content_Range": RANGE.replace("bytes", "Bytes"), "ETag": '"a"'}, Verdict.APPEND),
    ("no tag, but the condition held", {"Content_Range": RANGE}, Verdict.APPEND),
    ("another date under the same tag", {"Content_Range": RANGE, "ETag": '"a"', "Last_Modified": DATE}, Verdict.APPEND),
    ("total not said", {"Content_Range": f"bytes {N}-{M - 1}/*", "ETag": '"a"'}, Verdict.APPEND),
    ("shorter than asked", {"Content_Range": f"bytes {N}-{N + 9}/{M}", "ETag": '"a"'}, Verdict.APPEND),
    ("matching length", {"Content_Range": RANGE, "ETag": '"a"', "Content_Length": str(M - N)}, Verdict.APPEND),
    ("another unit", {"Content_Range": RANGE.replace("bytes", "items"), "ETag": '"a"'}, Verdict.RESTART),
    ("starts earlier", {"Content_Range": f"bytes {N - 1}-{M - 1}/{M}", "ETag": '"a"'}, Verdict.RESTART),
    ("starts later", {"Content_Range": f"bytes {N + 1}-{M - 1}/{M}", "ETag": '"a"'}, Verdict.RESTART),
    ("starts at zero", {"Content_Range": f"bytes 0-{M - 1}/{M}", "ETag": '"a"'}, Verdict.RESTART),
    ("last before first", {"Content_Range": f"bytes {N}-{N - 1}/{M}", "ETag": '"a"'}, Verdict.RESTART),
    ("last beyond its total", {"Content_Range": f"bytes {N}-{M}/{M}", "ETag": '"a"'}, Verdict.RESTART),
    ("last beyond the known total", {"Content_Range": f"bytes {N}-{M}/*", "ETag": '"a"'}, Verdict.RESTART),
    ("another total", {"Content_Range": f"bytes {N}-{M}/{M + 1}", "ETag": '"a"'}, Verdict.RESTART),
    ("another tag", {"Content_Range": RANGE, "ETag": '"b"'}, Verdict.RESTART),
    ("the tag became weak", {"Content_Range": RANGE, "ETag": 'W/"a"'}, Verdict.RESTART),
    ("compressed", {"Content_Range": RANGE, "ETag": '"a"', "Content_Encoding": "gzip"}, Verdict.RESTART),
    ("identity", {"Content_Range": RANGE, "ETag": '"a"', "Content_Encoding": "identity"}, Verdict.APPEND),
    ("several parts", {"Content_Type": "multipart/byteranges; boundary=x", "ETag": '"a"'}, Verdict.RESTART),
    ("contradicts its length", {"Content_Range": RANGE, "ETag": '"a"', "Content_Length": "7"}, Verdict.RESTART),
    ("no Content-Range", {"ETag": '"a"'}, Verdict.FAILED),
    ("malformed Content-Range", {"Content_Range": f"bytes {N}-/{M}", "ETag": '"a"'}, Verdict.FAILED),
    ("the form of a 416", {"Content_Range": f"bytes */{M}", "ETag": '"a"'}, Verdict.FAILED),
]


@pytest.mark.parametrize(("name", "headers", "verdict"), PARTIAL, ids=[row[0] for row in PARTIAL])
def test_a_partial_answer_is_combined_only_without_a_doubt(name: str, headers: dict[str, str], verdict: Verdict):
    asked = ask(N, STRONG, "careful")
    judged = judge(asked, N, STRONG, an_answer(206, **headers), "careful")
    assert judged.verdict is verdict
    if verdict is Verdict.APPEND:
        assert (judged.start, judged.total) == (N, M)
        assert judged.length in (M - N, 10)
    else:
        assert judged.reason.endswith(".")


OVERLAPPED = f"bytes {N - OVERLAP}-{M - 1}/{M}"


@pytest.mark.parametrize(
    ("validators", "headers", "verdict"),
    [
        (WEAK, {"ETag": 'W/"a"', "Last_Modified": OLD}, Verdict.COMPARE),
        (WEAK, {"ETag": '"a"'}, Verdict.COMPARE),
        (WEAK, {"ETag": 'W/"b"', "Last_Modified": OLD}, Verdict.RESTART),
        (WEAK, {"ETag": 'W/"a"', "Last_Modified": DATE}, Verdict.RESTART),
        (WEAK, {"Last_Modified": OLD}, Verdict.RESTART),
        (WEAK, {}, Verdict.RESTART),
        (DATED, {"Last_Modified": OLD}, Verdict.COMPARE),
        (DATED, {}, Verdict.COMPARE),
        (DATED, {"Last_Modified": DATE}, Verdict.RESTART),
    ],
)
def test_a_weak_validator_must_be_there_and_agree(validators: Validators, headers: dict[str, str], verdict: Verdict):
    asked = ask(N, validators, "careful")
    judged = judge(asked, N, validators, an_answer(206, Content_Range=OVERLAPPED, **headers), "careful")
    assert judged.verdict is verdict
    if verdict is Verdict.COMPARE:
        assert (judged.start, judged.length) == (N - OVERLAP, M - N + OVERLAP)


def test_an_answer_within_the_overlap_is_too_little_unless_the_file_ends_there():
    asked = ask(N, WEAK, "careful")
    little = an_answer(206, Content_Range=f"bytes {N - OVERLAP}-{N - 1}/{M}", ETag='W/"a"')
    assert judge(asked, N, WEAK, little, "careful").verdict is Verdict.RESTART
    asked = ask(M, WEAK, "careful")
    rest = an_answer(206, Content_Range=f"bytes {M - OVERLAP}-{M - 1}/{M}", ETag='W/"a"')
    assert judge(asked, M, WEAK, rest, "careful").verdict is Verdict.COMPARE


def test_lenient_trusts_the_condition_that_the_server_confirmed():
    asked = ask(N, WEAK, "lenient")
    assert judge(asked, N, WEAK, an_answer(206, Content_Range=RANGE), "lenient").verdict is Verdict.APPEND
    assert judge(asked, N, WEAK, an_answer(412), "lenient").verdict is Verdict.RESTART


@pytest.mark.parametrize(
    ("status", "headers", "verdict"),
    [
        (200, {"Content_Length": "77"}, Verdict.WHOLE),
        (200, {}, Verdict.WHOLE),
        (204, {}, Verdict.FAILED),
        (304, {}, Verdict.FAILED),
        (404, {}, Verdict.STATUS),
        (412, {}, Verdict.RESTART),
        (416, {"Content_Range": f"bytes */{N}"}, Verdict.RESTART),
        (416, {"Content_Range": f"bytes */{N - 1}"}, Verdict.RESTART),
        (416, {}, Verdict.RESTART),
        (503, {}, Verdict.STATUS),
    ],
)
def test_every_other_answer_to_a_range_has_its_verdict(status: int, headers: dict[str, str], verdict: Verdict):
    asked = ask(N, STRONG, "careful")
    assert judge(asked, N, STRONG, an_answer(status, **headers), "careful").verdict is verdict


@pytest.mark.parametrize(
    ("validators", "headers", "verdict"),
    [
        (STRONG, {"Content_Range": f"bytes */{M}"}, Verdict.COMPLETE),
        (STRONG, {"Content_Range": f"bytes */{M}", "ETag": '"a"'}, Verdict.COMPLETE),
        (STRONG, {"Content_Range": f"bytes */{M}", "ETag": '"b"'}, Verdict.RESTART),
        (STRONG, {"Content_Range": f"bytes */{M - 1}"}, Verdict.RESTART),
        (Validators(etag='"a"'), {"Content_Range": f"bytes */{M}"}, Verdict.COMPLETE),
        (STRONG, {"Content_Range": f"bytes 0-1/{M}"}, Verdict.RESTART),
    ],
)
def test_416_completes_only_when_exactly_everything_is_here(
    validators: Validators, headers: dict[str, str], verdict: Verdict
):
    asked = ask(M, validators, "careful")
    judged = judge(asked, M, validators, an_answer(416, **headers), "careful")
    assert judged.verdict is verdict
    if verdict is Verdict.COMPLETE:
        assert (judged.length, judged.total) == (0, M)


@pytest.mark.parametrize(
    ("status", "headers", "verdict", "length"),
    [
        (200, {"Content_Length": "77"}, Verdict.WHOLE, 77),
        (200, {"Content_Length": "0"}, Verdict.WHOLE, 0),
        (200, {"Content_Length": "77", "Content_Encoding": "gzip"}, Verdict.WHOLE, None),
        (200, {}, Verdict.WHOLE, None),
        (204, {}, Verdict.WHOLE, 0),
        (206, {"Content_Range": RANGE}, Verdict.FAILED, None),
        (416, {}, Verdict.STATUS, None),
        (412, {}, Verdict.STATUS, None),
    ],
)
def test_answers_to_a_plain_request(status: int, headers: dict[str, str], verdict: Verdict, length: int | None):
    judged = judge(Ask(start=0), 0, None, an_answer(status, **headers), "careful")
    assert (judged.verdict, judged.length) == (verdict, length)
    if status == 206:
        assert judged.retry is Retry.FINAL


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"ETag": '"b"'}, "changed"),
        ({"ETag": '"a"'}, "whole file again"),
        ({"Last_Modified": DATE}, "changed"),
        ({"Content_Length": "5"}, "changed"),
        ({}, "whole file again"),
    ],
)
def test_a_whole_file_instead_of_the_rest_says_why(headers: dict[str, str], words: str):
    judged = judge(ask(N, STRONG, "careful"), N, STRONG, an_answer(200, **headers), "careful")
    assert words in judged.reason


def test_starting_over_on_purpose_says_why_too():
    asked = ask(N, NONE, "careful")
    judged = judge(asked, N, NONE, an_answer(200, Content_Length=str(M)), "careful")
    assert judged.reason == asked.why_not


def test_the_error_of_a_judgement_tells_protocol_from_change():
    asked = ask(N, STRONG, "careful")
    odd = judge(asked, N, STRONG, an_answer(206), "careful")
    changed = judge(asked, N, STRONG, an_answer(206, Content_Range=RANGE, ETag='"b"'), "careful")
    error = failure_of(odd, "http://u:p@host/f", 206)
    assert (error.code, error.reason, error.retry, error.url) == (-1011, "srv.protocol", Retry.RETRY, "http://host/f")
    error = failure_of(changed, "http://host/f", 206)
    assert (error.reason, error.retry) == ("srv.changed", Retry.FINAL)
    good = judge(asked, N, STRONG, an_answer(206, Content_Range=RANGE, ETag='"a"'), "careful")
    assert failure_of(good, "http://host/f", 206).retry is Retry.RETRY


def test_validators_come_from_the_head():
    head = an_answer(
        200, ETag=' "a"', Last_Modified=OLD, Date=DATE, Content_Length="12", Accept_Ranges="Bytes", Content_Encoding=""
    )
    assert validators_of(head, decoded=False) == Validators(
        etag='"a"', last_modified=OLD, date=DATE, total=12, accept_ranges="bytes"
    )


def test_a_decoded_body_has_no_known_length_and_cannot_be_resumed():
    validators = validators_of(an_answer(200, ETag='"a"', Content_Length="12", Content_Encoding="gzip"), decoded=True)
    assert (validators.total, validators.content_encoding) == (UNKNOWN, "gzip")
    assert "compress" in why_not_resumable(validators, "GET", "careful")


@pytest.mark.parametrize(
    ("fields", "total"),
    [
        ([("Content-Length", "12"), ("content-length", "12")], 12),
        ([("Content-Length", "12, 12")], 12),
        ([("Content-Length", "12"), ("Content-Length", "13")], UNKNOWN),
        ([("Content-Length", "-1")], UNKNOWN),
        ([("Content-Length", "9" * 30)], UNKNOWN),
        ([("Content-Length", "١٢")], UNKNOWN),
        ([], UNKNOWN),
    ],
)
def test_a_length_is_one_number_or_unknown(fields: list[tuple[str, str]], total: int):
    assert validators_of(an_answer(200, *fields), decoded=False).total == total


def test_the_total_of_a_part_is_that_of_the_file():
    assert validators_of(an_answer(206, Content_Range="bytes 5-9/100", Content_Length="5"), decoded=False).total == 100


@given(first=st.integers(0, 10**18), last=st.integers(0, 10**18), total=st.none() | st.integers(0, 10**18))
def test_a_well_formed_content_range_is_read_exactly(first: int, last: int, total: int | None):
    text = f"bytes {first}-{last}/{'*' if total is None else total}"
    assert content_range(text) == ContentRange("bytes", first, last, UNKNOWN if total is None else total)


@given(st.text(alphabet="bytes 0123456789-/*=:,\t٣") | st.text())
def test_whatever_else_is_read_as_content_range_has_exactly_that_form(text: str):
    found = content_range(text)
    if found is not None:
        unit, _, rest = text.strip(" \t").partition(" ")
        assert unit.lower() == found.unit
        first, _, rest = rest.partition("-")
        last, _, total = rest.partition("/")
        assert all(part.isascii() and part.isdigit() for part in (first, last))
        assert total == "*" or (total.isascii() and total.isdigit())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bytes",
        "bytes 1-2",
        "bytes 1-2/",
        "bytes=1-2/3",
        "bytes: 1-2/3",
        "bytes  1-2/3",
        "bytes 1 - 2/3",
        "bytes +1-2/3",
        "bytes -1-2/3",
        "bytes 1-2/3, bytes 1-2/3",
        "bytes 1-2/٣",
        "bytes 1-2/0x3",
        "bytes 1-2/3\n",
        "1-2/3",
        f"bytes 1-{'9' * 30}/*",
    ],
)
def test_a_malformed_content_range_is_none(text: str):
    assert content_range(text) is None


def test_the_length_in_a_416_is_read_strictly():
    assert unsatisfied_range("bytes */12") == 12
    assert unsatisfied_range("bytes */*") == UNKNOWN
    assert unsatisfied_range("bytes 0-1/12") == UNKNOWN


TOKEN = "AbC-_0123456789abcdef"


def test_resume_data_gives_its_token_back_and_holds_nothing_else():
    data = pack(TOKEN)
    assert unpack(data) == TOKEN
    assert len(data) < 100


@pytest.mark.parametrize(
    "data",
    [b"", b"transfermon-resume\x01", pack(TOKEN)[:-1], pack(TOKEN) + b"\n", pack(TOKEN).replace(b"A", b"B"), "text"],
)
def test_malformed_resume_data_is_refused(data: bytes):
    with pytest.raises(ValueError):
        unpack(data)


@given(st.binary(max_size=200))
def test_random_bytes_are_not_resume_data(data: bytes):
    with pytest.raises(ValueError):
        unpack(data)


@pytest.mark.parametrize("token", ["", "short", "has space in the middle", "x" * 129])
def test_a_token_that_is_none_is_refused(token: str):
    with pytest.raises(ValueError):
        pack(token)
