"""Heads read to their last byte and no further, bodies to their end, silence noticed."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from transfermon.http.framing import Framing
from transfermon.model.task import Progress
from transfermon.wire.connection import Connection
from transfermon.wire.http11 import HEAD_LIMIT, AnswerHead
from transfermon.wire.network_errors import ClosedEarly, HeadTooLarge, NotHTTP, ReadTimeout
from transfermon.wire.request_head import wire_request
from transfermon.wire.stream import Stream
from transfermon.wire.surroundings import Surroundings
from transfermon.wire.wire_request import Outgoing

pytestmark = pytest.mark.anyio


class Wire:
    """A connection, and the server's end of it."""

    def __init__(self, surroundings: Surroundings) -> None:
        near, self.far = socket.socketpair()
        near.setblocking(False)
        self.connection = Connection(Stream(near, surroundings), surroundings)
        self.interim: list[bytes] = []

    @property
    def reader(self):
        return self.connection.reader

    async def head(self, *pieces: bytes, timeout: float = 5) -> AnswerHead:
        """That of the answer to a request, one piece of it on the wire at a time."""
        reading = asyncio.ensure_future(self.ask(timeout))
        for piece in pieces:
            await asyncio.sleep(0.001)  # the piece before is read
            self.far.sendall(piece)
        return await reading

    async def ask(self, timeout: float) -> AnswerHead:
        outgoing = Outgoing(counter=Progress(), heard=self.interim.append)
        request = wire_request("GET", "/", "host", (), outgoing=outgoing)
        return await self.connection.exchange(request, timeout)

    def close(self) -> None:
        self.connection.close()
        self.far.close()


@pytest.fixture
def surroundings() -> Iterator[Surroundings]:
    surroundings = Surroundings()
    yield surroundings
    surroundings.close()


@pytest.fixture
async def wire(surroundings: Surroundings) -> AsyncIterator[Wire]:
    wire = Wire(surroundings)
    yield wire
    wire.close()


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\nA: b\n\n",
        b"HTTP/1.1 200 OK\nA: b\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n\n",
    ],
)
async def test_the_head_ends_where_h11_ends_it_however_it_is_split(surroundings, head):
    for cut in range(1, len(head) + 1):
        wire = Wire(surroundings)
        answer = await wire.head(head[:cut], head[cut:] + b"body\n\n")
        assert answer.status == 200
        assert len(answer.fields) == 1
        first, sock = wire.connection.detach_body()
        assert first + (sock.recv(100) if cut == len(head) else b"") == b"body\n\n"
        wire.close()


@pytest.mark.parametrize("together", [True, False])
async def test_interim_heads_are_told_one_by_one(wire, together):
    heads = [
        b"HTTP/1.1 100 C\r\n\r\n",
        b"HTTP/1.1 103 E\r\nL: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ]
    answer = await wire.head(*([b"".join(heads) + b"body"] if together else heads))
    assert wire.interim == heads[:2]
    assert answer.status == 200
    assert wire.reader.head_seen
    assert wire.reader.left == (b"body" if together else b"")


async def test_the_next_request_expects_a_head_again(wire):
    await wire.head(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab")
    assert await wire.reader.next_chunk(5) == b"ab"
    assert wire.connection.reusable
    assert not wire.connection.reused
    asking = asyncio.ensure_future(wire.ask(5))
    await asyncio.sleep(0)
    reader = wire.reader
    assert (reader.head_seen, reader.answered, wire.connection.reused) == (False, False, True)
    wire.far.sendall(b"HTTP/1.1 204 No\r\n\r\n")
    assert (await asking).status == 204
    assert wire.connection.reusable


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"\x16\x03\x01\x02\x00",
        b"<html>",
        b"HTML/1.1 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_told_at_once(wire, answer):
    with pytest.raises(NotHTTP):
        await wire.head(answer)


async def test_a_head_beyond_the_limit_is_refused(wire):
    with pytest.raises(HeadTooLarge):
        await wire.head(
            b"HTTP/1.1 200 OK\r\nA: ", *[b"x" * 50_000] * (HEAD_LIMIT // 50_000), b"\r\n\r\n"
        )


async def test_endless_interim_answers_are_refused(wire):
    with pytest.raises(HeadTooLarge):
        await wire.head(b"HTTP/1.1 102 P\r\n\r\n" * 50)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\n"])
async def test_an_end_inside_the_head_is_an_early_end(wire, sent):
    wire.far.sendall(sent)
    wire.far.shutdown(socket.SHUT_WR)
    with pytest.raises(ClosedEarly):
        await wire.head()
    assert wire.reader.answered == bool(sent)


@pytest.mark.parametrize(
    ("field", "framing", "body", "part"),
    [
        (b"Content-Length: 10", 10, b"ab", b"ab"),
        (b"Transfer-Encoding: chunked", Framing.CHUNKED, b"a\r\nab", b"ab"),
    ],
)
async def test_an_end_inside_a_framed_body_is_an_early_end(wire, field, framing, body, part):
    await wire.head(b"HTTP/1.1 200 OK\r\n" + field + b"\r\n\r\n" + body)
    wire.far.shutdown(socket.SHUT_WR)
    wire.reader.expect_body(framing)
    assert await wire.reader.next_chunk(5) == part
    with pytest.raises(ClosedEarly):
        await wire.reader.next_chunk(5)


async def test_bytes_behind_the_body_make_the_connection_useless(wire):
    await wire.head(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabEXTRA")
    assert await wire.reader.next_chunk(5) == b"ab"
    assert not wire.connection.reusable


async def test_an_idle_connection_that_hears_something_is_closed(wire):
    await wire.head(b"HTTP/1.1 204 No\r\n\r\n")
    wire.connection.stream.resting = True
    assert wire.connection.reusable
    assert not wire.connection.stream.has_news
    wire.far.sendall(b"HTTP/1.1 408 Too late\r\n\r\n")
    assert wire.connection.stream.has_news
    while not wire.connection.closed:
        await asyncio.sleep(0.001)


async def test_bytes_that_a_cancelled_reader_was_given_are_the_next_ones(wire):
    await wire.head(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
    reading = asyncio.ensure_future(wire.reader.next_chunk(5))
    await asyncio.sleep(0.001)
    wire.far.sendall(b"ab")
    wire.connection.stream._on_readable()  # they are taken, and the reader has not run yet
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await wire.reader.next_chunk(5) == b"ab"
    wire.far.sendall(b"cd")
    assert await wire.reader.next_chunk(5) == b"cd"


async def test_silence_ends_a_read_in_time_and_leaves_no_timer_behind(wire, surroundings):
    began = time.monotonic()
    with pytest.raises(ReadTimeout):
        await asyncio.wait_for(wire.head(timeout=0.2), 30)
    assert time.monotonic() - began >= 0.2


async def test_a_head_that_drips_is_not_waited_for_for_ever(wire):
    async def drip() -> None:
        for byte in b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100:
            wire.far.send(bytes([byte]))
            await asyncio.sleep(0.02)

    dripping = asyncio.ensure_future(drip())
    with pytest.raises(ReadTimeout):
        await wire.head(timeout=0.3)
    dripping.cancel()


async def test_a_cancelled_read_leaves_nothing_registered(wire):
    reading = asyncio.ensure_future(wire.ask(60))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    socket = wire.connection.stream.socket
    assert not asyncio.get_running_loop().remove_reader(socket.fileno())
