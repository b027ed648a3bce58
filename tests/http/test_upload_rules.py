"""The rules of uploads, on plain values: the forms of both protocols, what answers mean, pieces,
and what is a receipt.
"""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfermon.http.upload_protocols import (
    failures,
    pieces,
    places,
    probing,
    receipts,
    registry,
    versions,
)
from transfermon.http.upload_protocols.base import Next, ResumableProtocol
from transfermon.http.upload_protocols.fields import upload_limits
from transfermon.http.upload_protocols.ietf import PROTOCOL as IETF
from transfermon.http.upload_protocols.pieces import LARGEST_PIECE, MIB
from transfermon.http.upload_protocols.tus import PROTOCOL as TUS
from transfermon.model.errors import Code, Retry, TransferFailure
from transfermon.model.task import UNKNOWN, Kind, Response, Task, UploadResource, changed
from transfermon.model.upload_protocol import decided, split_name

URL = "https://example.com/in/a.bin"
SIZE = 10_000_000
QUESTION = {"ietf": "8", "tus": ""}


def answer(status: int, url: str = URL, **fields: str) -> Response:
    return Response(
        status=status,
        url=url,
        headers=tuple((name.replace("_", "-"), value) for name, value in fields.items()),
    )


def resource(protocol: str = "ietf", **changes: object) -> UploadResource:
    return changed(
        UploadResource(protocol=protocol, url="https://example.com/up/1", length=SIZE), **changes
    )


# ---- what goes out


@pytest.mark.parametrize(
    ("version", "begin", "middle", "last", "kind"),
    [
        (
            "8",
            "Upload-Complete: ?0",
            "Upload-Complete: ?0",
            "Upload-Complete: ?1",
            "application/partial-upload",
        ),
        (
            "6",
            "Upload-Complete: ?0",
            "Upload-Complete: ?0",
            "Upload-Complete: ?1",
            "application/partial-upload",
        ),
        ("5", "Upload-Complete: ?0", "Upload-Complete: ?0", "Upload-Complete: ?1", ""),
        ("3", "Upload-Incomplete: ?1", "Upload-Incomplete: ?1", "Upload-Incomplete: ?0", ""),
    ],
)
def test_each_version_of_the_draft_has_its_fields(
    version: str, begin: str, middle: str, last: str, kind: str
):
    def lines(fields: Mapping[str, str]) -> set[str]:
        return {f"{name}: {value}" for name, value in fields.items()}

    created = IETF.creation(SIZE, version=version)
    upload = resource(version=version)
    assert created.method == ""
    assert {
        begin,
        f"Upload-Draft-Interop-Version: {version}",
        f"Upload-Length: {SIZE}",
        "Content-Length: 0",
    } <= lines(created.fields)
    assert last in lines(IETF.whole_fields(version, SIZE))
    for asked, ends in ((middle, False), (last, True)):
        appended = IETF.append(upload, 5, last=ends).fields
        assert {asked, "Upload-Offset: 5", f"Upload-Draft-Interop-Version: {version}"} <= lines(
            appended
        )
        assert appended.get("Content-Type", "") == kind
    assert IETF.question(upload).fields == {"Upload-Draft-Interop-Version": version}


def test_a_name_and_a_type_go_along():
    created = TUS.creation(SIZE, name="grün, 1.mp4")
    told = dict(pair.split(" ") for pair in created.fields["Upload-Metadata"].split(","))
    assert created.method == "POST"
    assert {key: base64.b64decode(value).decode() for key, value in told.items()} == {
        "filename": "grün, 1.mp4",
        "filetype": "video/mp4",
    }
    fields = IETF.creation(SIZE, name="grün.mp4", media_type="video/x").fields
    assert fields["Content-Disposition"] == "inline; filename*=UTF-8''gr%C3%BCn.mp4"
    assert fields["Content-Type"] == "video/x"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("auto", ("auto", "")),
        ("plain", ("plain", "")),
        ("tus", ("tus", "")),
        ("ietf", ("ietf", "")),
        ("ietf:3", ("ietf", "3")),
        ("ietf:8", ("ietf", "8")),
    ],
)
def test_a_protocol_may_name_its_version(text: str, found: tuple[str, str]):
    registry.check_name(text)
    assert split_name(text) == found
    assert decided(text) == ("" if text == "auto" else found[0])


@pytest.mark.parametrize(
    "text", ["", "ftp", "ietf:", "ietf:4", "ietf:9", "tus:1", "plain:8", "IETF"]
)
def test_other_protocols_are_refused(text: str):
    with pytest.raises(ValueError, match="ietf:N"):
        registry.check_name(text)


@pytest.mark.parametrize(
    ("url", "method", "into", "target"),
    [
        ("https://h/in/", "PUT", True, "https://h/in/a%20b.bin"),
        ("https://h/", "PUT", True, "https://h/a%20b.bin"),
        ("https://h/in/?t=1", "PUT", True, "https://h/in/a%20b.bin?t=1"),
        ("https://h/in/", "POST", True, "https://h/in/"),
        ("https://h/in", "PUT", True, "https://h/in"),
        ("https://h/in/", "PUT", False, "https://h/in/"),
    ],
)
def test_a_folder_gets_the_name(url: str, method: str, into: bool, target: str):
    task = Task(
        session="s",
        number=1,
        kind=Kind.UPLOAD,
        url=url,
        method=method,
        name="a b.bin",
        into_folder=into,
    )
    assert places.file_address(task) == target


# ---- where it goes on


@pytest.mark.parametrize(
    ("asked", "location", "url", "elsewhere"),
    [
        ("https://h/in", "/up/1", "https://h/up/1", False),
        ("https://h/in/x", "1", "https://h/in/1", False),
        ("https://h:8443/in", "http://h:8443/up", "https://h:8443/up", False),
        ("https://h/in", "http://h/up", "https://h/up", False),
        ("https://h:8443/in", "http://h/up?t=1", "https://h:8443/up?t=1", False),
        ("https://h/in", "http://h:1080/up", "https://h/up", False),
        ("https://h/in", "https://h:444/up", "https://h:444/up", True),
        ("https://h/in", "https://i/up", "https://i/up", True),
        ("http://h/in", "https://h/up", "https://h/up", True),
        ("http://h/in", "//i/up", "http://i/up", True),
        ("http://h/in", "http://u:p@h/up#x", "http://h/up", False),
        ("http://h/in", "http://h:80/up", "http://h:80/up", False),
        ("http://h:8080/in", "http://h/up", "http://h:8080/up", False),
        ("https://h:8443/in", "https://h/up", "https://h:8443/up", False),
        ("http://h:8080/in", "http://h:80/up", "http://h:80/up", True),
        ("http://h:8080/in", "http://i/up", "http://i/up", True),
    ],
)
def test_where_an_upload_resource_is(asked: str, location: str, url: str, elsewhere: bool):
    found = TUS.created(answer(201, asked, Location=location), SIZE, 0.0)
    assert isinstance(found, UploadResource)
    assert (found.url, found.elsewhere) == (url, elsewhere)


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("http://other/up", Code.INSECURE_LOAD_REFUSED),
        ("ftp://h/up", Code.REDIRECT_WITHOUT_TARGET),
        ("https://[bad/up", Code.REDIRECT_WITHOUT_TARGET),
        ("https://h:99999/up", Code.REDIRECT_WITHOUT_TARGET),
        ("file:///etc/passwd", Code.REDIRECT_WITHOUT_TARGET),
    ],
)
def test_where_none_can_be(location: str, code: Code):
    found = TUS.created(answer(201, Location=location), SIZE, 0.0)
    assert getattr(found, "code", None) == code


@pytest.mark.parametrize(
    ("status", "named", "asked", "found"),
    [
        (104, "8", "8", True),
        (104, "6", "8", False),
        (104, "", "8", False),
        (103, "8", "8", False),
        (104, "8;x", "8", True),
    ],
)
def test_an_interim_answer_is_read_in_its_version_only(
    status: int, named: str, asked: str, found: bool
):
    fields = {"Location": "/up/1"} | ({"Upload-Draft-Interop-Version": named} if named else {})
    interim = Response(status=status, url=URL, headers=tuple(fields.items()))
    assert (IETF.announced(interim, SIZE, 0.0, version=asked) is not None) is found


# ---- pieces


@pytest.mark.parametrize(
    ("tried", "limits", "piece"),
    [
        (1 << 40, "", LARGEST_PIECE),
        (LARGEST_PIECE, "", LARGEST_PIECE // 2),
        (100 * MIB, "", LARGEST_PIECE),
        (3 * MIB, "", 2 * MIB),
        (2 * MIB, "", MIB),
        (MIB, "", None),
        (0, "", None),
        (100 * MIB, "max-append-size=5000000", 4 * MIB),
        (100 * MIB, "max-append-size=5000", 5000),
        (100 * MIB, "min-append-size=70000000", 70_000_000),
        (3 * MIB, "min-append-size=4000000", None),
    ],
)
def test_smaller_pieces(tried: int, limits: str, piece: int | None):
    found = pieces.smaller_pieces(resource(length=1 << 41), tried, upload_limits(limits))
    assert (found.piece if found is not None else None) == piece


@given(length=st.integers(1, 1 << 42), limit=st.integers(1, 1 << 34), least=st.integers(0, 1 << 30))
def test_pieces_come_to_an_end_within_the_limits(length: int, limit: int, least: int):
    """Behind any limit the next try is smaller, never below 1 MiB or the server's least, and there
    are seven at most.
    """
    upload, tries = resource(length=length, min_append=least), 0
    while (end := pieces.next_piece(upload, 0)[0]) > limit:
        less = pieces.smaller_pieces(upload, end)
        if less is None:
            assert limit < max(2 * MIB, least + 1, 2) or end <= MIB
            return
        assert max(MIB, least) <= less.piece < end
        upload, tries = less, tries + 1
    assert tries <= 8


@pytest.mark.parametrize(
    ("tried", "before", "after", "piece"),
    [
        (3 * MIB, 0, 0, 2 * MIB),
        (3 * MIB, 0, 5, 0),
        (3 * MIB, 7, 5, 2 * MIB),
        (0, 0, 0, 0),
        (MIB, 0, 0, 0),
    ],
)
def test_a_cut_makes_pieces_only_where_nothing_came_of_it(
    tried: int, before: int, after: int, piece: int
):
    found = pieces.after_cut(resource(tried=tried, offset=before), after)
    assert (found.piece, found.tried) == (piece, 0)


# ---- what is complete


@given(
    protocol=st.sampled_from(registry.RESUMABLE),
    status=st.sampled_from([200, 201, 204, 206, 299]),
    told=st.one_of(st.none(), st.integers(0, SIZE * 2)),
    complete=st.sampled_from(["", "?1", "?0", "yes"]),
    incomplete=st.sampled_from(["", "?1", "?0"]),
    sent=st.integers(0, SIZE),
    last=st.booleans(),
    version=st.sampled_from(IETF.versions),
)
def test_no_answer_completes_an_upload_before_its_last_byte(
    protocol, status, told, complete, incomplete, sent, last, version
):
    fields = {
        "Upload_Offset": "" if told is None else str(told),
        "Upload_Complete": complete,
        "Upload_Incomplete": incomplete,
    }
    upload = resource(protocol.name, version=version)
    end = SIZE if last else SIZE - 1
    step = protocol.judge_append(
        upload, end, answer(status, **fields), last=last, sent=min(sent, end), given=min(sent, end)
    )
    if told is not None and told > min(sent, end):
        assert step.next is Next.FAIL
        assert step.error is not None
        assert step.error.retry is Retry.FINAL
    if step.next is Next.RESULT:
        assert last
        assert sent >= SIZE
        assert told in (None, SIZE)
        assert told == SIZE or (protocol.completeness(answer(status, **fields)) is True)
    if step.next is Next.GO_ON:
        assert step.offset <= min(sent, end)


@pytest.mark.parametrize(
    ("given", "told", "complete", "protocol", "expected"),
    [
        (5, 5, "", "ietf", Next.GO_ON),
        (5, 6, "", "ietf", Next.FAIL),
        (UNKNOWN, 6, "", "tus", Next.GO_ON),
        (UNKNOWN, SIZE, "", "tus", Next.RESULT),
        (UNKNOWN, SIZE + 1, "", "tus", Next.FAIL),
        (SIZE, SIZE, "", "ietf", Next.GO_ON),
        (SIZE, SIZE, "?1", "ietf", Next.RESULT),
        (SIZE, 5, "?1", "ietf", Next.FAIL),
        (5, 5, "?1", "ietf", Next.FAIL),
        (SIZE, None, "?1", "ietf", Next.RESULT),
        (5, None, "?1", "ietf", Next.FAIL),
        (SIZE, None, "", "tus", Next.FAIL),
    ],
)
def test_where_a_server_stands(
    given: int, told: int | None, complete: str, protocol: str, expected: Next
):
    fields = {"Upload_Offset": "" if told is None else str(told), "Upload_Complete": complete}
    spoken = registry.find_protocol(protocol)
    assert spoken is not None
    step = spoken.judge_question(resource(protocol), answer(200, **fields), given=given)
    assert step.next is expected


@given(
    status=st.integers(200, 399),
    handed=st.integers(0, SIZE),
    fields=st.fixed_dictionaries(
        {},
        optional={
            "Accept_Ranges": st.sampled_from(["bytes", "none"]),
            "Last_Modified": st.just("Mon, 01 Jan 2024 00:00:00 GMT"),
            "Content_Range": st.just("bytes 0-1/2"),
            "Content_Type": st.sampled_from(["text/html", "video/mp4", "application/json", ""]),
        },
    ),
    body=st.sampled_from([b"", b"ok", b"<!DOCTYPE html>", b"\xef\xbb\xbf <HTML>", b"x" * 70_000]),
    method=st.sampled_from(["PUT", "POST"]),
)
def test_only_a_good_answer_behind_the_last_byte_is_a_receipt(status, handed, fields, body, method):
    found = receipts.judge(
        answer(status, **fields), method=method, size=SIZE, handed=handed, body=body
    )
    if found.means is receipts.Means.DONE:
        assert handed >= SIZE
        assert status < 300
        assert status != 206
        assert not (status == 200 and fields.keys() & {"Accept_Ranges", "Last_Modified"})
    else:
        assert (found.error is not None) is (found.means is receipts.Means.FAILED)


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("Quota\r\nexceeded", "text/plain", "Quota exceeded"),
        (
            "<html><head><title>413</title><style>a{}</style></head><h1>Too &amp; Large</h1><hr>nginx",
            "text/html",
            "Too & Large nginx",
        ),
        ("<!DOCTYPE html><p>no", "", "no"),
        ('{"error": "no"}', "application/json", '{"error": "no"}'),
        ("a\x1b[31mb\u202ec", "text/plain", "a�[31mb�c"),
        ("\x89PNG", "image/png", ""),
        ("", "text/html", ""),
    ],
)
def test_what_a_server_said(text: str, kind: str, said: str):
    assert receipts.said(text, kind) == said


@given(st.text(max_size=2000), st.sampled_from(["text/plain", "text/html", "", "application/json"]))
def test_what_a_server_said_is_short_and_harmless(text: str, kind: str):
    found = receipts.said(text, kind)
    assert len(found) <= receipts.SHOWN
    assert "\n" not in found
    assert not {"Cc", "Cf", "Cs"} & {unicodedata.category(char) for char in found}


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("", ""),
        ("a.bin", ""),
        ("/in/a.bin", ""),
        ("/in/%61.bin", ""),
        ("b.bin", "https://example.com/in/b.bin"),
        ("/in/a.bin?k=s3cret", "https://example.com/in/a.bin?k=…"),
        ("https://u:p@other/x", "https://other/x"),
        ("urn:x:1", ""),
        ("https://[bad", ""),
    ],
)
def test_another_place_is_told_without_secrets(location: str, told: str):
    assert receipts.stored_as(answer(201, Location=location), URL) == told


# ---- the probe


@pytest.mark.parametrize(
    ("status", "fields", "protocol", "sure"),
    [
        (204, {"Upload_Limit": "min-size=0"}, "ietf", True),
        (200, {"Accept_Patch": "a/b, application/partial-upload;x=1"}, "ietf", True),
        (200, {"Tus_Version": "1.0.0"}, "tus", True),
        (200, {"Tus_Resumable": "1.0.0", "Tus_Extension": "Creation"}, "tus", True),
        (200, {"Tus_Resumable": "1.0.0", "Tus_Extension": "termination"}, "plain", True),
        (200, {"Allow": "PUT"}, "plain", True),
        (405, {"Upload_Limit": "min-size=0"}, "plain", True),
        (404, {}, "plain", True),
        (501, {}, "plain", True),
        (403, {}, "plain", False),
        (500, {}, "plain", False),
        *(
            (status, {}, "", False)
            for status in (401, 407, 408, 425, 429, 502, 503, 504, 511, 520, 527, 530)
        ),
    ],
)
def test_what_options_finds(status: int, fields: dict[str, str], protocol: str, sure: bool):
    found = probing.judge_options(answer(status, **fields), QUESTION, now=0.0)
    assert (found.protocol, found.sure) == (protocol, sure)
    assert (found.error is not None) is (protocol == "")


def test_trouble_that_stays_does_not_keep_a_file_back_but_a_missing_login_does():
    assert (
        probing.judge_options(answer(503), QUESTION, now=0.0, attempt=probing.PATIENCE + 1).protocol
        == "plain"
    )
    assert probing.judge_options(answer(401), QUESTION, now=0.0, attempt=99).error is not None


def test_versions_take_turns_until_one_is_heard():
    spoken = versions.SpokenVersions()
    seen = []
    for _ in range(5):
        seen.append(spoken.next(URL, IETF))
        spoken.silent(URL, IETF, seen[-1])
    assert seen == ["8", "6", "5", "3", "8"]
    assert spoken.next("https://other.example/", IETF) == "8"
    spoken.heard("https://EXAMPLE.com/else", IETF, "5")
    assert spoken.next(URL, IETF) == "5"
    assert spoken.order(URL, IETF) == ("5", "8", "6", "3")
    assert spoken.order(URL, TUS) == ("",)
    spoken.silent(URL, IETF, "5")
    assert spoken.next(URL, IETF) != "5"


def test_each_question_asks_in_another_version():
    spoken = versions.SpokenVersions()
    assert list(versions.questions_for(URL, spoken)) == [
        {"ietf": "8", "tus": ""},
        {"ietf": "6"},
        {"ietf": "5"},
        {"ietf": "3"},
    ]
    assert probing.first_question() == QUESTION
    assert probing.probe_fields({"ietf": "5"}) == {"Upload-Draft-Interop-Version": "5"}


def test_a_server_that_names_its_version_is_asked_in_it():
    named = answer(400, Upload_Draft_Interop_Version="5")
    assert probing.judge_options(named, QUESTION, now=0.0).named == {"ietf": "5"}
    assert probing.judge_options(named, {"ietf": "5"}, now=0.0).named == {}


# ---- the registry


def test_every_protocol_is_whole():
    names = [protocol.name for protocol in registry.RESUMABLE]
    assert names == ["ietf", "tus"]
    for protocol in registry.RESUMABLE:
        assert isinstance(protocol, ResumableProtocol)
        assert protocol.title
        assert protocol.label
        assert protocol.versions


def test_a_task_of_an_unknown_protocol_fails_in_words():
    task = Task(session="s", number=1, kind=Kind.UPLOAD, url=URL, protocol="ftp")
    with pytest.raises(TransferFailure, match="does not know the upload protocol “ftp”"):
        registry.protocol_of(task)
    known = changed(task, upload=resource("tus"))
    assert registry.protocol_of(known) is TUS


def test_a_failure_names_an_address_without_its_secrets():
    told = failures.gone(answer(404), "https://u:p@example.com/up?key=s3cret")
    assert (told.status, told.url) == (404, "https://example.com/up?key=…")
