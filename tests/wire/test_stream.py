"""Streams: how much of a body is queued, and how long the way is."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator

import pytest

from transfermon.wire.stream import SHORT_QUEUE, Stream
from transfermon.wire.surroundings import Surroundings

limits_queues = pytest.mark.skipif(
    not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="this system has no such limit"
)


@pytest.fixture(params=["127.0.0.1", "::1"])
def stream(request: pytest.FixtureRequest) -> Iterator[Stream]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    try:
        server = socket.create_server((request.param, 0), family=family)
    except OSError:
        pytest.skip("no IPv6 here")
    with server:
        stream = Stream(socket.create_connection(server.getsockname()[:2]), Surroundings())
    yield stream
    stream.close()


def queue_of(stream: Stream) -> int:
    return stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)


@limits_queues
def test_a_program_on_this_machine_gets_a_short_queue(stream: Stream):
    stream.shorten_queue()
    assert queue_of(stream) == SHORT_QUEUE


@limits_queues
def test_a_real_line_keeps_the_queue_that_the_system_gives_it(stream: Stream):
    before = queue_of(stream)
    stream.remote_address = "192.0.2.1"
    stream.shorten_queue()
    assert queue_of(stream) == before != SHORT_QUEUE


@limits_queues
def test_what_is_no_tcp_has_no_such_queue():
    near, far = socket.socketpair()
    stream = Stream(near, Surroundings())
    stream.remote_address = "127.0.0.1"
    stream.shorten_queue()
    stream.close()
    far.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells of it")
def test_the_system_tells_how_long_the_way_is(stream: Stream):
    assert 0 < stream.round_trip < 1
    stream.close()
    assert stream.round_trip == 0


def test_what_is_no_tcp_tells_of_no_way():
    near, far = socket.socketpair()
    stream = Stream(near, Surroundings())
    assert stream.round_trip == 0
    stream.close()
    far.close()
