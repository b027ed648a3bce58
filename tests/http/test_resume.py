"""What is asked for, and what each answer to it means."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfermon.http.resume import (
    LEAST,
    OVERLAP,
    Ask,
    ContentRange,
    ask,
    content_range,
    host_of,
    is_strong,
    overlap_for,
    pack,
    unpack,
    unsatisfied_range,
    validators_of,
    weakness,
    why_not_resumable,
)
from transfermon.model.task import UNKNOWN, Evidence, Response, Validators

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


BACK = N - OVERLAP


@pytest.mark.parametrize(
    ("validators", "policy", "start", "headers", "places"),
    [
        (STRONG, "careful", BACK, {"If-Range": '"a"'}, 0),
        (STRONG, "strict", BACK, {"If-Range": '"a"'}, 0),
        (STRONG, "lenient", N, {"If-Range": '"a"'}, 0),
        (WEAK, "careful", BACK, {}, 0),
        (WEAK, "strict", 0, None, 0),
        (WEAK, "lenient", N, {"If-Unmodified-Since": OLD}, 0),
        (WEAK_ONLY, "lenient", BACK, {}, 0),
        (DATED, "careful", BACK, {"If-Range": OLD}, 0),
        (DATED, "strict", BACK, {"If-Range": OLD}, 0),
        (DATED, "lenient", N, {"If-Range": OLD}, 0),
        (FRESH, "careful", BACK, {}, 1),
        (FRESH, "strict", BACK, {"If-Range": SECONDS_AGO}, 0),
        (Validators(last_modified=OLD, date="at noon", total=M), "careful", BACK, {}, 1),
        (Validators(last_modified=OLD, date="at noon", total=M), "strict", 0, None, 0),
        (Validators(last_modified=DATE, date=DATE, total=M), "strict", 0, None, 0),
        (
            Validators(last_modified=DATE, date=DATE, total=M),
            "lenient",
            N,
            {"If-Unmodified-Since": DATE},
            0,
        ),
        (Validators(etag="unquoted", date=DATE, total=M), "careful", BACK, {}, 0),
        (NONE, "careful", BACK, {}, 1),
        (NONE, "lenient", BACK, {}, 1),
        (NONE, "strict", 0, None, 0),
        (Validators(date=DATE), "careful", 0, None, 0),
        (Validators(last_modified=DATE, date=DATE), "careful", 0, None, 0),
        (None, "careful", 0, None, 0),
        (Validators(etag='"a"', accept_ranges="none", total=M), "careful", 0, None, 0),
        (Validators(etag='"a"', content_encoding="gzip"), "careful", 0, None, 0),
        (Validators(etag='"a"', label="gzip", total=M), "careful", BACK, {"If-Range": '"a"'}, 0),
        (Validators(etag='"a"', total=N - 1), "careful", 0, None, 0),
        (Validators(etag='"a"'), "careful", BACK, {"If-Range": '"a"'}, 0),
    ],
)
def test_what_is_asked_for_follows_from_validators_and_policy(
    validators: Validators | None,
    policy: str,
    start: int,
    headers: dict[str, str] | None,
    places: int,
):
    asked = ask(N, validators, policy)
    assert (asked.start, asked.places) == (start, places)
    if headers is None:
        assert asked.headers == {}
        assert asked.why_not.endswith(".")
    else:
        assert asked.headers == {"Range": f"bytes={start}-", **headers}
        assert asked.overlap == N - start
        assert asked.trusted is (start == N)
        assert asked.why_not == ""


@pytest.mark.parametrize(
    ("stored", "brought", "overlap"),
    [
        (N, N, OVERLAP),
        (N, 100_000, 50_000),  # half of what the last connection brought: each one gains something
        (N, 5_000, LEAST),
        (N, 1, LEAST),
        (N, 0, OVERLAP),  # not known
        (20_000, 0, 10_000),
        (5_000, 0, LEAST),
        (4_000, 0, 4_000),
        (1, 1, 1),
    ],
)
def test_the_overlap_is_at_most_half_of_what_came_last(stored: int, brought: int, overlap: int):
    assert overlap_for(stored, brought) == overlap


def test_the_overlap_goes_on_where_a_comparison_was_cut():
    assert ask(N, STRONG, "careful", evidence=Evidence(compared=N - 10_000)).start == N - 10_000
    assert ask(N, STRONG, "careful", evidence=Evidence(compared=10_000)).start == BACK
    done = ask(N, STRONG, "careful", evidence=Evidence(compared=N))
    assert (done.start, done.trusted) == (N, True)


def test_what_ended_as_it_announced_was_no_interruption():
    asked = ask(N, NONE, "careful", interrupted=False)
    assert (asked.start, asked.overlap, asked.places, asked.trusted) == (N, 0, 0, True)


def test_a_field_that_contradicted_itself_is_no_condition_and_costs_three_places():
    asked = ask(N, STRONG, "careful", evidence=Evidence(ignored=("etag",)))
    assert asked.headers == {"Range": f"bytes={BACK}-", "If-Range": OLD}
    assert asked.places == 2


def test_a_tag_of_another_host_is_no_condition():
    assert ask(N, STRONG, "careful", conditional=False).headers == {"Range": f"bytes={BACK}-"}


def test_with_nothing_stored_the_whole_file_is_asked_for_without_excuse():
    assert ask(0, STRONG, "careful") == Ask(start=0)


def test_a_part_too_small_to_compare_needs_a_strong_tag():
    assert ask(LEAST, WEAK, "careful").headers == {}
    assert ask(LEAST, STRONG, "careful").start == LEAST
    assert ask(LEAST + 1, WEAK, "careful").start == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD"])
def test_only_get_can_be_resumed(method: str):
    assert why_not_resumable(STRONG, method, "careful")
    assert why_not_resumable(STRONG, "get", "careful") == ""


def test_a_weak_validator_is_told_of():
    assert weakness(STRONG, "careful") == ""
    assert "64 KiB" in weakness(WEAK, "careful")
    assert "64 KiB" in weakness(DATED, "careful")
    assert weakness(DATED, "strict") == ""
    assert "The start and the end" in weakness(NONE, "careful")
    assert weakness(NONE, "strict") == ""


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "neither an entity tag nor a date"),
        ({"last_modified": "yesterday", "date": DATE}, "date of the file cannot be read"),
        ({"last_modified": OLD, "date": "soon"}, "clock cannot be read"),
        ({"last_modified": OLD}, "no date of its answer"),
        ({"last_modified": DATE, "date": DATE}, "changed too shortly before"),
        ({"etag": 'W/"a"'}, "weak"),
    ],
)
def test_the_reason_is_the_true_one(fields: dict[str, str], words: str):
    assert words in why_not_resumable(Validators(**fields), "GET", "strict")  # type: ignore[arg-type]


def test_a_missing_date_is_the_time_of_receipt():
    head = an_answer(200, Last_Modified=OLD, Content_Length="12")
    found = validators_of(head, decoded=False, now=1_794_312_000.0)
    assert found.date == DATE
    assert validators_of(head, decoded=False).date == ""


@pytest.mark.parametrize(
    ("etag", "strong"),
    [
        ('"a"', True),
        ('""', True),
        ('W/"a"', False),
        ("a", False),
        ('"a', False),
        ('"a", "b"', False),
        ("", False),
    ],
)
def test_a_strong_tag_is_quoted_and_one(etag: str, strong: bool):
    assert is_strong(etag) is strong


def test_validators_come_from_the_head():
    head = an_answer(
        200,
        ETag=' "a"',
        Last_Modified=OLD,
        Date=DATE,
        Content_Length="12",
        Accept_Ranges="Bytes",
        Content_Encoding="",
    )
    assert validators_of(head, decoded=False) == Validators(
        etag='"a"', last_modified=OLD, date=DATE, total=12, accept_ranges="bytes", host="host:80"
    )


def test_what_is_stored_as_it_came_keeps_its_label_and_its_length():
    head = an_answer(200, ETag='"a"', Content_Length="12", Content_Encoding="GZip")
    found = validators_of(head, decoded=False)
    assert (found.label, found.content_encoding, found.total) == ("gzip", "", 12)
    assert why_not_resumable(found, "GET", "careful") == ""


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://Host/f", "host:80"),
        ("https://host:8443/f", "host:8443"),
        ("https://[::1]/f", "::1:443"),
        ("http://host:99999/", ""),
        ("", ""),
    ],
)
def test_a_host_has_its_port(url: str, host: str):
    assert host_of(url) == host


def test_a_decoded_body_has_no_known_length_and_cannot_be_resumed():
    validators = validators_of(
        an_answer(200, ETag='"a"', Content_Length="12", Content_Encoding="gzip"), decoded=True
    )
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
    assert (
        validators_of(
            an_answer(206, Content_Range="bytes 5-9/100", Content_Length="5"), decoded=False
        ).total
        == 100
    )


@given(
    first=st.integers(0, 10**18),
    last=st.integers(0, 10**18),
    total=st.none() | st.integers(0, 10**18),
)
def test_a_well_formed_content_range_is_read_exactly(first: int, last: int, total: int | None):
    text = f"bytes {first}-{last}/{'*' if total is None else total}"
    assert content_range(text) == ContentRange(
        "bytes", first, last, UNKNOWN if total is None else total
    )


@given(st.text(alphabet="bytes 0123456789-/*=:,\t٣") | st.text())
def test_whatever_is_read_as_content_range_has_its_numbers_in_order(text: str):
    found = content_range(text)
    if found is not None:
        assert found.unit == found.unit.lower() != ""
        numbers = re.findall(r"[0-9]+", text.split(",")[0], re.ASCII)
        assert [int(number) for number in numbers[-3:]][-2 - (found.total != UNKNOWN) :][:2] == [
            found.first,
            found.last,
        ]


@pytest.mark.parametrize(
    "text",
    [
        "bytes=1-2/3",
        "bytes: 1-2/3",
        "bytes  1-2/3",
        "bytes 1 - 2 / 3",
        "1-2/3",
        "BYTES 1-2/3",
        " bytes 1-2/3 ",
        "bytes 1-2/3, bytes 1-2/3",
    ],
)
def test_odd_forms_that_can_be_read_in_one_way_are_read(text: str):
    assert content_range(text) == ContentRange("bytes", 1, 2, 3)


def test_a_total_that_is_left_out_is_not_known():
    assert (
        content_range("bytes 1-2")
        == content_range("bytes 1-2/*")
        == ContentRange("bytes", 1, 2, UNKNOWN)
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bytes",
        "bytes 1-2/",
        "bytes 1/3",
        "bytes */3",
        "bytes +1-2/3",
        "bytes -1-2/3",
        "bytes 1--2/3",
        "bytes 1-2/-3",
        "bytes 1-2/3, bytes 4-5/6",
        "bytes 1-2/٣",
        "bytes 1-2/0x3",
        "bytes 1-2/3 x",
        f"bytes 1-{'9' * 30}/*",
    ],
)
def test_a_content_range_that_cannot_be_read_is_none(text: str):
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
    [
        b"",
        b"transfermon-resume\x01",
        pack(TOKEN)[:-1],
        pack(TOKEN) + b"\n",
        pack(TOKEN).replace(b"A", b"B"),
        "text",
    ],
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
