"""The chunked coding followed through odd line ends, extensions and trailers, however it is
split.
"""

from __future__ import annotations

import itertools

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transfermon.http.chunks import LONGEST, Chunks
from transfermon.http.head_marks import HeadError

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def fed(coded: bytes, cuts: list[int]) -> tuple[bytes, Chunks]:
    """What comes out of `coded`, which arrives in pieces that end at `cuts`."""
    chunks, places = Chunks(), sorted({min(cut, len(coded)) for cut in cuts} | {0, len(coded)})
    out = b"".join(chunks.feed(coded[begin:end]) for begin, end in itertools.pairwise(places))
    return out, chunks


def body(coded: bytes) -> bytes:
    """What h11 makes of it; all of it must be used."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(HEAD + coded)
    out = b""
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        assert not isinstance(event, type)
        out += event.data if isinstance(event, h11.Data) else b""
    assert connection.trailing_data == (b"", False)
    return out


@pytest.mark.parametrize(
    "coded",
    [
        b"5\r\nhello\r\n0\r\n\r\n",
        b"5;a=b\r\nhello\r\n3;c \r\n...\r\n00\r\n\r\n",
        b"05  \r\nhello\r\n0\r\nX-A: b\r\n\r\n",
        b"0\r\n\r\n",
        b"5\r\nhello\r\n0\r\n\n",
    ],
)
def test_what_the_parser_reads_goes_by_as_it_is(coded: bytes):
    for cut in range(len(coded)):
        out, chunks = fed(coded, [cut])
        assert (out, chunks.done, chunks.healed, chunks.extra) == (coded, True, False, b"")
    assert Chunks().feed(coded) is coded


@pytest.mark.parametrize(
    ("coded", "read"),
    [
        (b"5\nhello\n0\n\n", b"5\r\nhello\r\n0\r\n\n"),
        (b"5\r\nhello\n0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
        (b"5 ;a=b\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
        (b"5;a=b\nhello\n1\n!\n0\n\r\n", b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"),
        (b"5\r\nhello\r\n0\r\nX Y: 1\r\nA: b\r\n\r\n", b"5\r\nhello\r\n0\r\nA: b\r\n\r\n"),
        (b"5\nhello\n0\nContent-Length: abc\n\n", b"5\r\nhello\r\n0\r\n\n"),
    ],
)
def test_line_ends_and_trailers_are_healed_and_the_file_is_what_it_was(coded: bytes, read: bytes):
    for cut in range(len(coded)):
        out, chunks = fed(coded, [cut])
        assert (out, chunks.done, chunks.healed) == (read, True, True)
    assert body(read).startswith(b"hello")


@pytest.mark.parametrize(
    "coded",
    [
        b"xyz\r\nhello\r\n",
        b"-5\r\nhello\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"5 x\r\nhello\r\n0\r\n\r\n",
        b"\r\n5\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello\r\n\r\n0\r\n\r\n",
        b"5\r\nhello\r\r\n0\r\n\r\n",
        b"F" * 21 + b"\r\n",
        b"5;" + b"x" * LONGEST,
        b"5\r\nhello\r\n0\r\nX: " + b"x" * LONGEST,
        b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n",
        b"5\r\nhello\r\n0\r\nContent-Length : 5\r\n\r\n",
    ],
)
def test_a_length_that_is_none_is_refused(coded: bytes):
    with pytest.raises(HeadError):
        fed(coded, [])


@pytest.mark.parametrize(
    "coded",
    [b"", b"5", b"5\r", b"5\r\nhel", b"5\r\nhello", b"5\r\nhello\r\n0", b"1\r\n!\r\n0\r\nA: b\r\n"],
)
def test_what_is_not_at_its_end_is_not_done(coded: bytes):
    out, chunks = fed(coded, [])
    assert not chunks.done
    assert coded.startswith(out)


def test_what_comes_behind_the_end_goes_nowhere():
    out, chunks = fed(b"5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n", [])
    assert out == b"5\r\nhello\r\n0\r\n\r\n"
    assert chunks.extra == b"HTTP/1.1 200 OK\r\n"


line_ends = st.sampled_from([b"\r\n", b"\n"])


@settings(deadline=None)
@given(st.data())
def test_the_file_is_the_same_however_it_is_coded_and_split(data: st.DataObject):
    pieces = data.draw(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
    coded = b""
    for piece in pieces:
        extension = data.draw(st.sampled_from([b"", b";a", b" ;a=b", b"  ", b"; a\r;b"]))
        coded += (
            b"%x" % len(piece) + extension + data.draw(line_ends) + piece + data.draw(line_ends)
        )
    trailers = data.draw(
        st.sampled_from([b"", b"A: b\r\n", b"X Y: 1\n", b"A: b\n c\n", b"Content-Length: 5\r\n"])
    )
    coded += b"0" + data.draw(line_ends) + trailers + data.draw(line_ends)
    out, chunks = fed(coded, data.draw(st.lists(st.integers(0, len(coded)), max_size=8)))
    assert chunks.done
    assert body(out) == b"".join(pieces)
    assert chunks.healed is (out != coded)
