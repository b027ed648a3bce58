"""Heads read to their last byte and no further, bodies to their end, silence noticed."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator

import httpcore
import pytest

from transfermon.http.framing import Framing
from transfermon.wire.connection import Connection
from transfermon.wire.http11 import HEAD_LIMIT, ClosedEarly, HeadTooLarge, NotHTTP
from transfermon.wire.stream import Stream
from transfermon.wire.surroundings import Surroundings

pytestmark = pytest.mark.anyio


class Wire:
    """A connection whose request is written, and the server's end of it."""

    def __init__(self, surroundings: Surroundings) -> None:
        near, self.far = socket.socketpair()
        near.setblocking(False)
        self.connection = Connection(Stream(near, surroundings), surroundings)

    async def head(self, *pieces: bytes) -> bytes:
        """What h11 is given until the final head is there, one piece on the wire at a time."""
        reading = asyncio.ensure_future(self._heads())
        for piece in pieces:
            await asyncio.sleep(0.001)  # the piece before is read
            self.far.sendall(piece)
        return await reading

    async def _heads(self) -> bytes:
        out = b""
        while not self.connection.reader.head_seen:
            out += await self.connection.read(65536, 5)
        return out

    def close(self) -> None:
        self.connection.close()
        self.far.close()


async def read_to_the_end(connection: Connection, timeout: float) -> None:
    while await connection.read(65536, timeout):
        pass


@pytest.fixture
def surroundings() -> Iterator[Surroundings]:
    surroundings = Surroundings()
    yield surroundings
    surroundings.close()


@pytest.fixture
async def wire(surroundings: Surroundings) -> AsyncIterator[Wire]:
    wire = Wire(surroundings)
    await wire.connection.write(b"GET / HTTP/1.1\r\n\r\n")
    yield wire
    wire.close()


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
        b"HTTP/1.1 200 OK\nA: b\n\n",
        b"HTTP/1.1 200 OK\nA: b\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n\n",
    ],
)
async def test_the_head_ends_where_h11_ends_it_however_it_is_split(surroundings, head):
    for cut in range(1, len(head) + 1):
        wire = Wire(surroundings)
        await wire.connection.write(b"GET")
        assert await wire.head(head[:cut], head[cut:] + b"body\n\n") == head
        first, sock = wire.connection.detach_body()
        assert first + (sock.recv(100) if cut == len(head) else b"") == b"body\n\n"
        wire.close()


@pytest.mark.parametrize("together", [True, False])
async def test_interim_heads_are_handed_over_one_by_one(wire, together):
    heads = [
        b"HTTP/1.1 100 C\r\n\r\n",
        b"HTTP/1.1 103 E\r\nL: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ]
    if together:
        wire.far.sendall(b"".join(heads) + b"body")
    for head in heads:
        assert not wire.connection.reader.head_seen
        if not together:
            wire.far.sendall(head)
        assert await wire.connection.read(65536, 5) == head
    assert wire.connection.reader.head_seen


async def test_the_next_request_expects_a_head_again(wire):
    await wire.head(b"HTTP/1.1 200 OK\r\n\r\nab")
    wire.connection.reader.expect_body(2)
    assert await wire.connection.read(65536, 5) == b"ab"
    await wire.connection.write(b"GET / HTTP/1.1\r\n\r\n")
    assert (
        wire.connection.reader.head_seen,
        wire.connection.reader.answered,
        wire.connection.reused,
    ) == (
        False,
        False,
        True,
    )
    assert await wire.head(b"HTTP/1.1 204 No\r\n\r\n") == b"HTTP/1.1 204 No\r\n\r\n"


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
    wire.far.sendall(b"HTTP/1.1 102 P\r\n\r\n" * 50)
    with pytest.raises(HeadTooLarge):
        await wire.head()


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\n"])
async def test_an_end_inside_the_head_is_an_early_end(wire, sent):
    wire.far.sendall(sent)
    wire.far.shutdown(socket.SHUT_WR)
    with pytest.raises(ClosedEarly):
        await wire.head()
    assert wire.connection.reader.answered == bool(sent)


@pytest.mark.parametrize(("framing", "body"), [(10, b"ab"), (Framing.CHUNKED, b"a\r\nab")])
async def test_an_end_inside_a_framed_body_is_an_early_end(wire, framing, body):
    await wire.head(b"HTTP/1.1 200 OK\r\n\r\n" + body)
    wire.far.shutdown(socket.SHUT_WR)
    wire.connection.reader.expect_body(framing)
    assert await wire.connection.read(65536, 5) == body
    with pytest.raises(ClosedEarly):
        await wire.connection.read(65536, 5)


async def test_bytes_behind_the_body_make_the_connection_useless(wire):
    await wire.head(b"HTTP/1.1 200 OK\r\n\r\nabEXTRA")
    wire.connection.reader.expect_body(2)
    assert await wire.connection.read(65536, 5) == b"ab"
    assert wire.connection.get_extra_info("is_readable")
    assert not wire.connection.reusable


async def test_silence_ends_a_read_in_time_and_leaves_no_timer_behind(wire, surroundings):
    began = time.monotonic()
    with pytest.raises(httpcore.ReadTimeout):
        await asyncio.wait_for(wire.connection.read(65536, 0.2), 30)
    assert time.monotonic() - began >= 0.2


async def test_a_head_that_drips_is_not_waited_for_for_ever(wire):
    async def drip() -> None:
        for byte in b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100:
            wire.far.send(bytes([byte]))
            await asyncio.sleep(0.02)

    dripping = asyncio.ensure_future(drip())
    with pytest.raises(httpcore.ReadTimeout):
        await read_to_the_end(wire.connection, 0.3)
    dripping.cancel()


async def test_a_cancelled_read_leaves_nothing_registered(wire):
    reading = asyncio.ensure_future(wire.connection.read(65536, 60))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not asyncio.get_running_loop().remove_reader(
        wire.connection.get_extra_info("socket").fileno()
    )
