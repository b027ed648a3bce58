"""Codings are undone in pieces of a bounded size, and damage is found."""

from __future__ import annotations

import gzip
import os
import threading
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.helpers.answers import get
from tests.helpers.byte_server import Conn, Request, chunked, reply
from transfermon.model.errors import Code, TransferFailure
from transfermon.model.task import Progress
from transfermon.wire.call import TAKEOVER, Call
from transfermon.wire.codings import Decoder
from transfermon.wire.movable_end import MovableEnd
from transfermon.wire.rate_limit import Limiter
from transfermon.wire.transport import Transport

pytestmark = pytest.mark.anyio


async def decoded(transport: Transport, url: str, fd: int, **settings: Any) -> bytes:
    answer = await transport.open(Call(url=url))
    try:
        count = await answer.receive(fd, 0, Progress(), decode=answer.content_coding, **settings)
        return os.pread(fd, count, 0)
    finally:
        await answer.aclose()


async def gathered(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


BODY = os.urandom(200_000) + b"x" * 3_000_000
BARE = zlib.compressobj(wbits=-15)
CODED = {
    "gzip": gzip.compress(BODY),
    "x-gzip": gzip.compress(BODY[:100]) + gzip.compress(BODY[100:]) + b"\0\0",
    "deflate": zlib.compress(BODY),
    "Deflate": BARE.compress(BODY) + BARE.flush(),
}


@pytest.mark.parametrize("coding", CODED)
@pytest.mark.parametrize("framed", ["length", "chunked"])
async def test_a_coding_that_the_server_insists_on_is_undone(serve, transport, fd, coding, framed):
    headers = {"Content-Encoding": coding}
    if framed == "chunked":
        coded = CODED[coding]
        answer = reply(
            200,
            {**headers, "Transfer-Encoding": "chunked"},
            chunked(coded[i : i + 999] for i in range(0, len(coded), 999)),
        )
    else:
        answer = reply(200, headers, CODED[coding])
    assert await decoded(transport, serve(answer).url(), fd) == BODY


async def test_a_coded_body_can_be_kept_as_it_came(serve, transport, fd):
    server = serve(reply(200, {"Content-Encoding": "gzip"}, CODED["gzip"]))
    answer = await transport.open(Call(url=server.url()))
    assert answer.content_coding == "gzip"
    count = await answer.receive(fd, 0, Progress())
    await answer.aclose()
    assert os.pread(fd, count, 0) == CODED["gzip"]


@pytest.mark.parametrize(
    ("coding", "coded", "code"),
    [
        ("gzip", CODED["gzip"][:-4], Code.CANNOT_DECODE_RAW_DATA),
        ("gzip", CODED["gzip"][:-8] + b"12345678", Code.CANNOT_DECODE_RAW_DATA),
        ("gzip", b"plain text", Code.CANNOT_DECODE_RAW_DATA),
        ("deflate", CODED["deflate"][:-1], Code.CANNOT_DECODE_RAW_DATA),
        ("br", b"whatever", Code.CANNOT_DECODE_RAW_DATA),
        ("zstd", b"whatever", Code.CANNOT_DECODE_RAW_DATA),
        ("compress", b"whatever", Code.CANNOT_DECODE_CONTENT),
        ("gzip, gzip", gzip.compress(CODED["gzip"]), Code.CANNOT_DECODE_CONTENT),
    ],
)
async def test_a_damaged_or_unknown_coding_is_a_failure(serve, transport, fd, coding, coded, code):
    server = serve(reply(200, {"Content-Encoding": coding}, coded))
    with pytest.raises(TransferFailure) as caught:
        await decoded(transport, server.url(), fd)
    assert caught.value.code == code


async def test_a_coded_body_that_ends_with_the_connection_must_be_whole(serve, transport, fd):
    def handler(conn: Conn, request: Request) -> None:
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + CODED["gzip"][:-100])
        conn.close()

    with pytest.raises(TransferFailure) as caught:
        await decoded(transport, serve(handler).url(), fd)
    assert caught.value.code == Code.CONNECTION_LOST


async def test_a_compression_bomb_stops_at_the_limit(serve, transport, fd):
    server = serve(reply(200, {"Content-Encoding": "gzip"}, gzip.compress(b"\0" * 50_000_000)))
    with pytest.raises(TransferFailure) as caught:
        await decoded(transport, server.url(), fd, limit=2_000_000)
    assert caught.value.error.reason == "pol.too-big"
    assert os.fstat(fd).st_size <= 2_000_000
    assert len((await get(transport, server.url()))[1]) == 10**6


def test_a_decoder_hands_out_small_pieces():
    decoder = Decoder("gzip")
    pieces = list(decoder.decode(gzip.compress(b"\0" * 10_000_000)))
    assert max(map(len, pieces)) <= 1 << 20
    assert sum(map(len, pieces)) == 10_000_000
    assert decoder.whole


@pytest.mark.parametrize("how", ["read", "peek", "chunks"])
async def test_a_body_that_breaks_off_is_told_in_words_however_it_is_read(serve, transport, how):
    def handler(conn: Conn, request: Request) -> None:
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        conn.close()

    server = serve(handler)
    answer = await transport.open(Call(url="http://far.example/x", proxy=server.url().rstrip("/")))
    reads = {
        "read": lambda: answer.read(100),
        "peek": lambda: answer.peek(100),
        "chunks": lambda: gathered(answer.chunks()),
    }
    with pytest.raises(TransferFailure, match=r"The proxy at 127\.0\.0\.1") as caught:
        await reads[how]()
    assert caught.value.code == Code.CONNECTION_LOST
    await answer.aclose()


@pytest.mark.parametrize("size", [200_000, 3_000_000])
async def test_a_body_can_end_earlier_and_go_on(serve, transport, fd, size):
    """A small one comes through the loop, a large one through the pump."""
    body = os.urandom(size)
    answer = await transport.open(Call(url=serve(reply(200, {}, body)).url("/")))
    progress = Progress()
    try:
        first = await answer.receive(fd, 0, progress, movable=MovableEnd(100_001))
        assert first == 100_001 == progress.received
        rest = await answer.receive(fd, first, progress, movable=MovableEnd(size))
        assert first + rest == size
        assert os.pread(fd, size + 1, 0) == body
    finally:
        await answer.aclose()


@pytest.mark.parametrize(
    "size",
    [1, 16_000, 16_384, 65_000, 65_536, TAKEOVER, TAKEOVER + 1, TAKEOVER + 16_384, 1 << 20],
)
async def test_a_body_that_comes_with_its_head_is_whole_under_tls(serve, transport, fd, size):
    """In the same records as the head, and the pump takes over what is not read by then."""
    body = os.urandom(size)
    server = serve(reply(200, {}, body), tls=True)
    for _ in range(2):
        answer = await transport.open(Call(url=server.url("/")))
        progress = Progress()
        assert await answer.receive(fd, 0, progress) == size == progress.received
        await answer.aclose()
        assert os.pread(fd, size + 1, 0) == body
        assert answer.taken_over == (size > TAKEOVER)
        assert not answer.extra
        os.ftruncate(fd, 0)
    assert server.connections == (2 if size > TAKEOVER else 1)


async def test_a_small_body_that_came_with_its_head_is_there_at_once(serve, transport):
    body = os.urandom(1000)
    server = serve(reply(200, {}, body))
    for _ in range(2):
        answer = await transport.open(Call(url=server.url()))
        came, progress = bytearray(), Progress()
        assert answer.gather_at_once(came, progress, limiters=[Limiter()])
        assert came == body
        assert progress.received == 1000
        await answer.aclose()
    assert server.connections == 1


async def test_a_small_body_is_waited_for_where_a_rate_holds_it_back(serve, transport):
    body = os.urandom(1000)
    answer = await transport.open(Call(url=serve(reply(200, {}, body)).url()))
    came, progress, limiters = bytearray(), Progress(), [Limiter(100_000)]
    assert not answer.gather_at_once(came, progress, limiters=limiters)
    assert not came
    await answer.gather(came, progress, limiters=limiters)
    assert came == body
    await answer.aclose()


async def test_a_small_body_is_waited_for_where_only_some_of_it_has_come(serve, transport):
    rest = threading.Event()

    def handler(conn: Conn, request: Request) -> None:
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
        rest.wait(10)
        conn.send(b"def")

    answer = await transport.open(Call(url=serve(handler).url()))
    came, progress = bytearray(), Progress()
    assert not answer.gather_at_once(came, progress)
    assert not came
    rest.set()
    await answer.gather(came, progress)
    assert came == b"abcdef"
    assert progress.received == 6
    await answer.aclose()
