"""Heads read to their last byte and no further, addresses checked, rates kept."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator

import httpcore
import pytest

from tests.helpers.byte_server import ByteServer, reply
from transfermon.wire.network import (
    HEAD_LIMIT,
    AddressRefused,
    Backend,
    ClosedEarly,
    Framing,
    HeadTooLarge,
    Limiter,
    NotHTTP,
    Reach,
    Stream,
    Watch,
    admitted,
    is_public,
)

pytestmark = pytest.mark.anyio


class Wire:
    """A stream whose request is written, and the server's end of it."""

    def __init__(self, watch: Watch) -> None:
        near, self.far = socket.socketpair()
        near.setblocking(False)
        self.stream = Stream(near, watch)

    async def head(self, *pieces: bytes) -> bytes:
        """What h11 is given until the final head is there, one piece on the wire at a time."""
        reading = asyncio.ensure_future(self._heads())
        for piece in pieces:
            await asyncio.sleep(0.001)  # the piece before is read
            self.far.sendall(piece)
        return await reading

    async def _heads(self) -> bytes:
        out = b""
        while not self.stream.head_seen:
            out += await self.stream.read(65536, 5)
        return out

    def close(self) -> None:
        self.stream.close()
        self.far.close()


async def read_to_the_end(stream: Stream, timeout: float) -> None:
    while await stream.read(65536, timeout):
        pass


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch()
    yield watch
    watch.close()


@pytest.fixture
async def wire(watch: Watch) -> AsyncIterator[Wire]:
    wire = Wire(watch)
    await wire.stream.write(b"GET / HTTP/1.1\r\n\r\n")
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
async def test_the_head_ends_where_h11_ends_it_however_it_is_split(watch, head):
    for cut in range(1, len(head) + 1):
        wire = Wire(watch)
        await wire.stream.write(b"GET")
        assert await wire.head(head[:cut], head[cut:] + b"body\n\n") == head
        first, sock = wire.stream.detach_body()
        assert first + (sock.recv(100) if cut == len(head) else b"") == b"body\n\n"
        wire.close()


@pytest.mark.parametrize("together", [True, False])
async def test_interim_heads_are_handed_over_one_by_one(wire, together):
    heads = [b"HTTP/1.1 100 C\r\n\r\n", b"HTTP/1.1 103 E\r\nL: x\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]
    if together:
        wire.far.sendall(b"".join(heads) + b"body")
    for head in heads:
        assert not wire.stream.head_seen
        if not together:
            wire.far.sendall(head)
        assert await wire.stream.read(65536, 5) == head
    assert wire.stream.head_seen


async def test_the_next_request_expects_a_head_again(wire):
    await wire.head(b"HTTP/1.1 200 OK\r\n\r\nab")
    wire.stream.expect_body(2)
    assert await wire.stream.read(65536, 5) == b"ab"
    await wire.stream.write(b"GET / HTTP/1.1\r\n\r\n")
    assert (wire.stream.head_seen, wire.stream.answered, wire.stream.reused) == (False, False, True)
    assert await wire.head(b"HTTP/1.1 204 No\r\n\r\n") == b"HTTP/1.1 204 No\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH\r\n", b"\x16\x03\x01\x02\x00", b"<html>", b"HTML/1.1 200 OK\r\n\r\n", b"ICY 200 OK\r\n\r\n"],
)
async def test_what_is_not_http_is_told_at_once(wire, answer):
    with pytest.raises(NotHTTP):
        await wire.head(answer)


async def test_a_head_beyond_the_limit_is_refused(wire):
    with pytest.raises(HeadTooLarge):
        await wire.head(b"HTTP/1.1 200 OK\r\nA: ", *[b"x" * 50_000] * (HEAD_LIMIT // 50_000), b"\r\n\r\n")


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
    assert wire.stream.answered == bool(sent)


@pytest.mark.parametrize(("framing", "body"), [(10, b"ab"), (Framing.CHUNKED, b"a\r\nab")])
async def test_an_end_inside_a_framed_body_is_an_early_end(wire, framing, body):
    await wire.head(b"HTTP/1.1 200 OK\r\n\r\n" + body)
    wire.far.shutdown(socket.SHUT_WR)
    wire.stream.expect_body(framing)
    assert await wire.stream.read(65536, 5) == body
    with pytest.raises(ClosedEarly):
        await wire.stream.read(65536, 5)


async def test_bytes_behind_the_body_make_the_connection_useless(wire):
    await wire.head(b"HTTP/1.1 200 OK\r\n\r\nabEXTRA")
    wire.stream.expect_body(2)
    assert await wire.stream.read(65536, 5) == b"ab"
    assert wire.stream.get_extra_info("is_readable")
    assert not wire.stream.reusable


async def test_silence_ends_a_read_in_time_and_leaves_no_timer_behind(wire, watch):
    began = time.monotonic()
    with pytest.raises(httpcore.ReadTimeout):
        await asyncio.wait_for(wire.stream.read(65536, 0.2), 30)
    assert time.monotonic() - began >= 0.2


async def test_a_head_that_drips_is_not_waited_for_for_ever(wire):
    async def drip() -> None:
        for byte in b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100:
            wire.far.send(bytes([byte]))
            await asyncio.sleep(0.02)

    dripping = asyncio.ensure_future(drip())
    with pytest.raises(httpcore.ReadTimeout):
        await read_to_the_end(wire.stream, 0.3)
    dripping.cancel()


async def test_a_cancelled_read_leaves_nothing_registered(wire):
    reading = asyncio.ensure_future(wire.stream.read(65536, 60))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not asyncio.get_running_loop().remove_reader(wire.stream.get_extra_info("socket").fileno())


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("192.0.2.1", False),
        ("192.88.99.1", False),
        ("::1", False),
        ("::", False),
        ("::127.0.0.1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b:1::1", False),
        ("fec0::1", False),
        ("fc00::1", False),
        ("fe80::1%eth0", False),
        ("5f00::1", False),
        ("ff02::1", False),
    ],
)
def test_an_address_is_public_or_not(address, public):
    assert is_public(address) is public


def test_a_given_address_reaches_a_private_one_only_where_that_host_and_port_is_allowed():
    given = Reach(anywhere=False, allowed=frozenset({"127.0.0.1:8080", "[::1]:80"}))
    assert given.permits("127.0.0.1", 8080, "127.0.0.1")
    assert given.permits("::1", 80, "::1")
    assert not given.permits("127.0.0.1", 8081, "127.0.0.1")
    assert not given.permits("rebound.example", 8080, "127.0.0.1")
    assert given.permits("example.org", 80, "93.184.216.34")
    assert Reach().permits("x", 1, "127.0.0.1")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "0177.0.0.1"])
async def test_a_private_address_is_refused_before_anything_is_sent(watch, host):
    with ByteServer(lambda conn, request: conn.send(reply(200))) as server:
        backend = Backend(Reach(anywhere=False), watch)
        with pytest.raises(AddressRefused):
            await backend.connect_tcp(host, server.port, timeout=5)
        assert server.connections == 0


async def test_a_name_with_several_addresses_reaches_the_one_that_answers(watch):
    with ByteServer(lambda conn, request: conn.send(reply(200))) as server:
        stream = await Backend(Reach(), watch).connect_tcp("localhost", server.port, timeout=5)
        assert stream.get_extra_info("server_addr")[1] == server.port
        await stream.aclose()


async def test_a_refused_connection_keeps_its_cause(watch):
    with ByteServer(lambda conn, request: None) as server:
        port = server.port
    with pytest.raises(httpcore.ConnectError) as caught:
        await Backend(Reach(), watch).connect_tcp("127.0.0.1", port, timeout=5)
    assert isinstance(caught.value.__context__, ConnectionRefusedError)


def test_a_limiter_of_zero_lets_everything_pass():
    assert Limiter().take(10**9) == 10**9
    assert admitted([], 5) == (5, 0.0)


def test_a_limiter_gives_a_tenth_of_a_second_at_most_at_once():
    limiter = Limiter(1000)
    assert limiter.take(10**6) == 100
    assert limiter.take(10**6) == 0
    assert 0 < limiter.delay() <= 0.1


def test_of_stacked_limiters_the_slowest_counts_and_the_others_lose_nothing():
    fast, slow = Limiter(1_000_000), Limiter(1000)
    assert admitted([fast, slow], 10**6) == (100, 0.0)
    granted, delay = admitted([fast, slow], 10**6)
    assert granted == 0
    assert 0 < delay <= 0.1
    assert fast.take(10**6) >= 100_000 - 100


def test_the_rate_holds_over_time_and_may_change():
    limiter = Limiter(100_000)
    passed, began = 0, time.monotonic()
    while (took := time.monotonic() - began) < 0.5:
        granted, delay = admitted([limiter], 10**6)
        passed += granted
        time.sleep(delay)
    assert 10_000 <= passed <= 100_000 * (took + 0.1)  # no bucket is filled while nobody is there to take from it
    limiter.rate = 0
    assert limiter.take(10**6) == 10**6


def test_bytes_that_came_unasked_are_waited_for():
    limiter = Limiter(1000)
    limiter.charge(1000)
    assert limiter.take(1) == 0
    assert limiter.delay() > 0.5
