"""Odd header blocks: what is dropped, read and refused, and that nothing of it changes where a body
ends.
"""

from __future__ import annotations

import re

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transfermon.http.head_marks import HeadError, may_begin, status_in
from transfermon.http.heads import heal

OK = b"HTTP/1.1 200 OK\r\n"
FIELD = b"X-Kept: 1\r\n"
FRAMING = (b"content-length", b"transfer-encoding")


def block(*lines: bytes) -> bytes:
    return OK + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


@pytest.mark.parametrize(
    "head",
    [
        OK + b"\r\n",
        b"HTTP/1.1 200\r\n\r\n",
        b"HTTP/1.0 404 \r\n\r\n",
        b"HTTP/1.1 200 \xfcber alles\n\n",
        OK + b"A: b\nC:d\r\n\n",
        OK + b"A: one\r\n two\r\n\tthree\r\nB:\r\n\r\n",
        OK + b"A: \xff\xe4\x1b[31m  \r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\nA: b\r\n\r\n",
        OK + b"A: b\r\ntransfer-encoding:\tChunked \r\n\r\n",
        OK + b"Transfer-Encoding:\r\n chunked\r\n\r\n",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        OK + b"Content_Length: 3\r\nX-Content-Length: 4\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    ],
)
def test_what_the_parser_can_judge_is_handed_on_byte_for_byte(head: bytes):
    assert heal(head) is head


@pytest.mark.parametrize(
    ("line", "read"),
    [
        (b"http/1.1 200 OK", b"HTTP/1.1 200 OK"),
        (b"Http/1.0 200", b"HTTP/1.0 200 "),
        (b"HTTP/1 200 OK", b"HTTP/1.0 200 OK"),
        (b"HTTP/1 200", b"HTTP/1.0 200 "),
        (b"HTTP 200 OK", b"HTTP/1.0 200 OK"),
        (b"HTTP/2 200", b"HTTP/1.1 200 "),
        (b"HTTP/1.10 200 OK", b"HTTP/1.1 200 OK"),
        (b"HTTP/1.1  200  OK", b"HTTP/1.1 200 OK"),
        (b"HTTP/1.1\t200\tOK", b"HTTP/1.1 200 OK"),
        (b"HTTP/1.1 200OK", b"HTTP/1.1 200 OK"),
        (b"HTTP/1.1 200 O\x0bK", b"HTTP/1.1 200 "),
        (b"HTTP/1.1  100 Continue", b"HTTP/1.1 100 Continue"),
    ],
)
def test_a_status_line_in_another_form_is_read(line: bytes, read: bytes):
    assert heal(line + b"\r\n" + FIELD + b"\r\n") == read + b"\r\n" + FIELD + b"\r\n"
    assert may_begin(line)
    assert status_in(line) == int(read[9:12])


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 OK",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1",
        b"HTTP/1.1200 OK",
        b"HTTP/1.1:200 OK",
        b"HTTP/x 200 OK",
        b"HTTPS 200 OK",
        b" HTTP/1.1 200 OK",
        b"ICY 200 OK",
    ],
)
def test_a_status_line_that_says_no_status_is_refused(line: bytes):
    with pytest.raises(HeadError):
        heal(line + b"\r\n\r\n")


@pytest.mark.parametrize(
    "line",
    [
        b"Last Modified: yesterday",
        b"X-Served-By : cache-7",
        b"get-to-cache/forum.php: userdata not supported",
        b'"X-XSS-Protection: 0"',
        b"X@Y: 1",
        b"X-F\xc3\xb6\xc3\xb6: 1",
        b"X-Cache[hit]: 1",
        b": nothing",
        b"no colon at all",
        b"<b>Warning</b>: something in index.php",
        b"Content Length: 7",
        b"X-A: a\x0bb",
        b"X-A: a\x0cb",
        b"Location: /a\x0cb",
        b" folded to nothing",
        b"   ",
    ],
)
@pytest.mark.parametrize("folded", [b"", b"\r\n  more of it", b"\r\n\tX-More: 1\r\n \r\n x"])
def test_a_line_that_no_parser_reads_is_left_out_with_what_is_folded_to_it(
    line: bytes, folded: bytes
):
    first = not line.startswith(b" ")
    before = [b"Content-Length: 5"] if first else []
    assert heal(block(*before, line + folded, b"X-Kept: 1")) == block(*before, b"X-Kept: 1")
    if first:
        assert heal(line + folded + b"\r\n" + FIELD + b"\r\n", trailers=True) == FIELD + b"\r\n"


@pytest.mark.parametrize(
    "line",
    [
        b"Content-Length : 5",
        b" Content-Length: 5",
        b'"Content-Length: 5"',
        b"Content-Length 5",
        b"X Content-Length: 5",
        b"Content-L\xc3\xa4ength: 5",
        b"Content-\xadLength: 5",
        b"CONTENT-LENGTH\x0b: 5",
        b"Content-Length: 5\x0b",
        b"transfer-encoding\t: chunked",
        b"Transfer-Encoding\xff: chunked",
        b"(Transfer-Encoding): chunked",
        b"Transfer-Encoding: \x0bchunked",
        b"X Y: 1\r\n Content-Length: 5",
    ],
)
def test_what_may_be_about_the_end_of_the_body_is_never_left_out(line: bytes):
    with pytest.raises(HeadError):
        heal(block(line, b"Content-Length: 5"))
    with pytest.raises(HeadError):
        heal(b"HTTP/1.1 103 Early\r\n" + line + b"\r\n\r\n")


@pytest.mark.parametrize(
    "line", [b"X: a\0b", b"X\0: a", b"X: a\rb", b"X: a\r", b"X Y: a\rb", b"\rX: a", b"X@Y\0: 1"]
)
@pytest.mark.parametrize("trailers", [False, True])
def test_nul_and_a_bare_return_are_refused_wherever_they_stand(line: bytes, trailers: bool):
    with pytest.raises(HeadError):
        heal(line + b"\r\n\r\n" if trailers else block(line), trailers=trailers)


CHUNKED = [b"Transfer-Encoding: chunked"]


@pytest.mark.parametrize(
    ("lines", "read"),
    [
        ([b"Transfer-Encoding:"], []),
        ([b"Transfer-Encoding: ,\t,"], []),
        ([b"transfer-encoding: Identity"], []),
        ([b"Transfer-Encoding: identity, identity"], []),
        ([b"Transfer-Encoding: none"], []),
        ([b"Transfer-Encoding: identity", b"Transfer-Encoding:"], []),
        ([b"Transfer-Encoding: identity\r\n , identity"], []),
        ([b"Transfer-Encoding: identity, chunked"], CHUNKED),
        ([b"Transfer-Encoding: identity\r\n , Chunked"], CHUNKED),
        ([b"Transfer-Encoding: , chunked,"], CHUNKED),
        ([b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked"], CHUNKED),
        ([b"Transfer-Encoding: chunked", b"transfer-encoding: CHUNKED"], CHUNKED),
    ],
)
def test_a_transfer_coding_that_is_none_counts_as_absent(lines: list[bytes], read: list[bytes]):
    assert heal(block(b"A: b", *lines, b"C: d")) == block(b"A: b", *read, b"C: d")


@pytest.mark.parametrize(
    "lines",
    [
        [b"Transfer-Encoding: gzip"],
        [b"Transfer-Encoding: identity, gzip"],
        [b"Transfer-Encoding: chunked, identity"],
        [b"Transfer-Encoding: chunked, chunked"],
        [b"Transfer-Encoding: identity;q=1"],
        [b"Transfer-Encoding: chun\r\n ked"],
        [b'Transfer-Encoding: "chunked"'],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"],
        [b"Content-Length: 5", b"Content-Length: 6"],
        [b"Content-Length: -5"],
        [b"Content-Length:"],
        [b"Content-Length: 5\r\n 6"],
    ],
)
@pytest.mark.parametrize("odd", [[], [b"X Y: 1"]])
def test_framing_that_is_a_question_is_left_to_the_parser_which_refuses_it(
    lines: list[bytes], odd: list[bytes]
):
    head = heal(block(*odd, *lines))
    assert head == block(*lines)
    with pytest.raises(h11.RemoteProtocolError):
        parsed(head)


def test_trailers_say_nothing_about_the_body():
    block = b"Content-Length: abc\r\nX-Kept: 1\r\nTransfer-Encoding: gzip\r\n\r\n"
    assert heal(block, trailers=True) == FIELD + b"\r\n"
    for valid in (b"\r\n", b"\n", FIELD + b"\n", b"A: b\r\n c\r\n\r\n"):
        assert heal(valid, trailers=True) is valid


def parsed(head: bytes) -> h11.Response | h11.InformationalResponse:
    """What h11 makes of it."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1_000_000)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    connection.receive_data(head)
    event = connection.next_event()
    assert isinstance(event, h11.Response | h11.InformationalResponse)
    return event


# ---- whatever is sent

names = st.sampled_from(
    [
        *(
            b"A",
            b"X-Long",
            b"X Y",
            b"@",
            b"",
            b"\xff",
            b"Content-Length",
            b"content-length ",
            b"Content Length",
        ),
        *(
            b'"Content-Length',
            b"Transfer-Encoding",
            b"TRANSFER-ENCODING",
            b"Transfer-Encoding\x0b",
            b"Location",
        ),
    ]
)
values = st.sampled_from(
    [
        b"",
        b"5",
        b"6",
        b"chunked",
        b"identity",
        b"identity, chunked",
        b"gzip",
        b"a\x0bb",
        b"a b",
        b"Content-Length: 9",
    ]
) | st.binary(max_size=6).map(lambda raw: raw.replace(b"\n", b""))
ends = st.sampled_from([b"\r\n", b"\r\n", b"\n"])
fields = st.tuples(names, st.sampled_from([b":", b": ", b" : ", b""]), values, ends).map(b"".join)
folds = st.tuples(st.sampled_from([b" ", b"\t", b"  "]), values, ends).map(b"".join)
statuses = st.sampled_from(
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.0 200",
        b"http/1.1 404 No",
        b"HTTP/1 200",
        b"HTTP/1.1  103 E",
        b"HTTP/1.1 OK",
        b"X",
    ]
)
blocks = (
    st.tuples(statuses, ends, st.lists(fields | folds, max_size=6).map(b"".join), ends)
    .map(b"".join)
    .filter(lambda head: re.fullmatch(rb"(?:[^\n]*[^\r\n][^\n]*\n)+\r?\n", head) is not None)
)


def unfolded(head: bytes) -> list[bytes]:
    lines: list[bytes] = []
    for line in head.replace(b"\r\n", b"\n").split(b"\n")[1:-2]:
        if line[:1] in (b" ", b"\t") and lines:
            lines[-1] += line
        else:
            lines.append(line)
    return lines


def framing(head: bytes) -> tuple[list[bytes], list[bytes]]:
    """The lengths and the transfer codings that a head says in fields whose names are clear,
    without those that are none.
    """
    pairs = [
        (name.lower(), value.strip(b" \t"))
        for name, _, value in (line.partition(b":") for line in unfolded(head))
    ]
    codings = [
        coding.strip(b" \t")
        for name, value in pairs
        if name == FRAMING[1]
        for coding in value.lower().split(b",")
    ]
    real = [coding for coding in codings if coding not in (b"", b"identity", b"none")]
    return [value for name, value in pairs if name == FRAMING[0]], real


@settings(deadline=None)
@given(blocks)
def test_whatever_is_sent_the_end_of_the_body_is_where_it_was(head: bytes):
    try:
        healed = heal(head)
    except HeadError:
        with pytest.raises((h11.RemoteProtocolError, AssertionError)):
            parsed(head)
        return
    assert heal(healed) is healed
    lengths, codings = framing(healed)
    assert lengths == framing(head)[0]
    assert codings == framing(head)[1] or (set(codings) == set(framing(head)[1]) == {b"chunked"})
    assert set(healed.split(b"\n")[1:]) <= {
        *head.split(b"\n"),
        b"Transfer-Encoding: chunked\r",
        b"\r",
        b"",
    }
    gone = [line for line in unfolded(head) if line not in unfolded(healed)]
    for line in gone:
        said = line.partition(b":")[0]
        if re.fullmatch(rb"[0-9A-Za-z-]+", said) and said.lower() not in FRAMING:
            continue  # plainly another field
        name = re.sub(rb"[^0-9A-Za-z-]", b"", said).lower()
        assert not any(known in name for known in FRAMING) or line.lower().startswith(
            b"transfer-encoding:"
        )
    try:
        event = parsed(head)
    except h11.RemoteProtocolError:
        return
    assert healed is head
    assert parsed(healed) == event


@given(
    st.lists(
        st.tuples(st.sampled_from(["A", "Content-Type", "ETag"]), st.text("ab\xff \t", max_size=5)),
        max_size=6,
    )
)
def test_a_valid_head_is_untouched(pairs: list[tuple[str, str]]):
    head = block(*(f"{name}: {value}".encode("latin-1") for name, value in pairs))
    assert heal(head) is head
    parsed(head)


@pytest.mark.parametrize(
    "line", [b"X: " + b"a " * 30_000, b"X Y: " + b" " * 60_000, b"a" * 60_000 + b"\x0b: "]
)
def test_a_long_line_takes_no_time(line: bytes):
    heal(block(*[b"A: b"] * 50, line))
