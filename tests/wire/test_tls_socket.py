"""Records of any size, cut anywhere: the bytes in them arrive as they were sent, and so does what
comes behind them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import ssl
import struct
import tempfile
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.tls_ends import TlsServer, client_context, tcp_pair, tls_ends
from transfermon.model.task import Progress
from transfermon.wire.movable_end import MovableEnd
from transfermon.wire.pump import Pump
from transfermon.wire.pump_jobs import Outcome
from transfermon.wire.stream import ended_without_close
from transfermon.wire.tls_socket import GIVEN_AT_ONCE, RECORD, TAKEN_AT_ONCE, TlsSocket

LONGEST = 16 * 1024  # of what is in one record
BODY = os.urandom(8 * TAKEN_AT_ONCE)
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
SIZES = st.one_of(
    st.integers(1, 40),
    st.integers(1, 40_000),
    st.sampled_from([LONGEST - 1, LONGEST, LONGEST + 1, RECORD, TAKEN_AT_ONCE]),
)
RECORDS = st.lists(SIZES, min_size=1, max_size=8)  # their lengths
PLACES = st.lists(st.floats(0, 1), max_size=6)  # of cuts, in shares of the whole


def pieces_of(sizes: list[int], longest: int = len(BODY)) -> list[bytes]:
    """So many bytes of the body in each, none longer than `longest`."""
    return [
        BODY[at : min(at + longest, end)]
        for begin, end in pairwise(accumulate(sizes, initial=0))
        for at in range(begin, end, longest)
    ]


def cut(data: bytes, places: list[float]) -> list[bytes]:
    ends = sorted({0, len(data), *(int(place * len(data)) for place in places)})
    return [data[begin:end] for begin, end in pairwise(ends)]


def all_there(ours: TlsSocket, size: int) -> bytes:
    """What can be read now, so many bytes at a time."""
    read, room = b"", bytearray(size)
    with contextlib.suppress(ssl.SSLWantReadError):
        while count := ours.recv_into(room):
            read += room[:count]
    return read


@pytest.mark.parametrize("version", VERSIONS)
@given(records=RECORDS, places=PLACES, size=st.sampled_from([1000, LONGEST, 70_000, 1 << 20]))
def test_records_that_are_cut_anywhere_arrive_whole_and_in_order(version, records, places, size):
    with tls_ends(version) as (ours, server):
        said = b"".join(map(server.says, pieces_of(records)))
        read = b""
        for piece in cut(said, places):
            while piece:
                piece = piece[server.far.send(piece, socket.MSG_DONTWAIT) :]
                read += all_there(ours, size)
                assert not ours.has_unread  # a selector tells of what comes now
        assert read == BODY[: sum(records)]


@given(
    records=RECORDS,
    place=st.floats(0, 1),
    off=st.integers(-3, 3),
    places=PLACES,
    with_head=st.integers(1, 70_000),
    hashed=st.booleans(),
)
def test_a_body_that_breaks_off_at_any_byte_is_written_to_its_last_whole_record(
    records, place, off, places, with_head, hashed
):
    """The first bytes are read before, as those are that come with a head."""
    pieces = pieces_of(records, LONGEST)
    with tls_ends() as (ours, server):
        said = [server.says(piece) for piece in pieces]
        whole = sum(map(len, said))
        end = min(whole, max(0, int(place * whole) + off))
        complete = b"".join(
            piece for piece, at in zip(pieces, accumulate(map(len, said)), strict=True) if at <= end
        )
        outcome, written = received(
            ours,
            server,
            cut(b"".join(said)[:end], places),
            with_head=with_head,
            length=sum(records),
            hasher=Heard() if hashed else None,
        )
    assert written == complete
    assert outcome.received == len(written)
    if end == whole:
        assert outcome.reason is None
    else:
        assert outcome.reason == "closed"
        assert ended_without_close(outcome.error)


class Heard:
    """A hasher that keeps everything."""

    def __init__(self) -> None:
        self.data = b""

    def update(self, data: memoryview, /) -> None:
        self.data += data


def received(
    ours: TlsSocket,
    server: TlsServer,
    pieces: list[bytes],
    *,
    with_head: int,
    length: int,
    hasher: Heard | None,
) -> tuple[Outcome, bytes]:
    """How a pump ended the body, and what it wrote; the connection is cut behind the pieces."""

    async def run(fd: int) -> Outcome:
        begun = b"".join(pieces[:1])
        sent = server.far.send(begun, socket.MSG_DONTWAIT) if begun else 0
        first = b""
        with contextlib.suppress(ssl.SSLWantReadError):
            first = ours.recv(with_head)
        pump, progress = Pump(), Progress()
        try:
            running = asyncio.ensure_future(
                pump.receive(ours, first, fd, 0, length, progress, hasher=hasher)
            )
            for piece in [begun[sent:], *pieces[1:]]:
                await asyncio.sleep(0)
                await asyncio.to_thread(server.far.sendall, piece)
            server.far.shutdown(socket.SHUT_WR)
            outcome = await running
        finally:
            pump.close()
        assert progress.received == outcome.received
        return outcome

    with tempfile.TemporaryFile() as file:
        outcome = asyncio.run(run(file.fileno()))
        written = os.pread(file.fileno(), length + 1, 0)
    if hasher is not None:
        assert hasher.data == written
    return outcome, written


@pytest.fixture
def fresh_fd():
    with tempfile.TemporaryFile() as file:
        yield file.fileno()


@pytest.fixture
def pump():
    pump = Pump()
    yield pump
    pump.close()


@pytest.mark.anyio
async def test_a_part_of_a_body_leaves_the_rest_to_the_next_which_no_selector_tells_of(
    pump, fresh_fd
):
    with tls_ends() as (ours, server):
        server.far.sendall(server.says(BODY[:1000]))
        first = await pump.receive(ours, b"", fresh_fd, 0, 400, Progress(), ends=False)
        assert first == Outcome(received=400)
        rest = await pump.receive(ours, b"", fresh_fd, 400, 600, Progress())
        assert rest == Outcome(received=600)
        assert os.pread(fresh_fd, 2000, 0) == BODY[:1000]


@pytest.mark.anyio
async def test_an_end_that_was_moved_leaves_what_was_taken_to_the_next_reader(pump, fresh_fd):
    with tls_ends() as (ours, server):
        server.far.sendall(server.says(BODY[:50_000]))
        movable = MovableEnd(20_000)
        moved = await pump.receive(ours, b"", fresh_fd, 0, 50_000, Progress(), movable=movable)
        assert moved == Outcome(received=20_000)
        assert all_there(ours, 7000) == BODY[20_000:50_000]


@pytest.mark.anyio
async def test_bytes_behind_the_body_are_noted_and_not_written(pump, fresh_fd):
    with tls_ends() as (ours, server):
        server.far.sendall(server.says(BODY[:1000]) + server.says(b"extra"))
        outcome = await pump.receive(ours, b"", fresh_fd, 0, 1000, Progress())
        assert outcome == Outcome(received=1000, extra=True)
        assert os.pread(fresh_fd, 2000, 0) == BODY[:1000]


@pytest.mark.anyio
@pytest.mark.parametrize("version", VERSIONS)
async def test_an_announced_end_is_one_although_the_connection_stays(pump, fresh_fd, version):
    """The end came with the last bytes, and no selector tells of it."""
    with tls_ends(version) as (ours, server):
        server.far.sendall(server.says(BODY[:1000]) + server.bids_farewell())
        outcome = await asyncio.wait_for(pump.receive(ours, b"", fresh_fd, 0, 5000, Progress()), 30)
        assert outcome == Outcome(received=1000, reason="closed")
        assert ours.recv(10) == b""


def test_what_is_taken_and_not_read_is_told_of():
    with tls_ends() as (ours, server):
        server.far.sendall(server.says(BODY[:1000]) + server.says(BODY[1000:2000]))
        for begin, end in ((0, 400), (400, 1000), (1000, 1999)):
            assert ours.recv(end - begin) == BODY[begin:end]
            assert ours.has_unread
        assert ours.recv(1) == BODY[1999:2000]
        assert not ours.has_unread


@pytest.mark.anyio
@pytest.mark.parametrize("behind", [0, 1000])
async def test_a_record_that_was_changed_on_the_way_ends_the_body_before_it(pump, fresh_fd, behind):
    with tls_ends() as (ours, server):
        good, bad = server.says(BODY[:1000]), bytearray(server.says(BODY[1000:2000]))
        bad[-1] ^= 1
        server.far.sendall(good + bad + server.says(BODY[2000 : 2000 + behind]))
        outcome = await asyncio.wait_for(pump.receive(ours, b"", fresh_fd, 0, 3000, Progress()), 30)
        assert (outcome.received, outcome.reason) == (1000, "tls")
        assert os.pread(fresh_fd, 4000, 0) == BODY[:1000]
        with pytest.raises(ssl.SSLError):
            ours.recv(10)
        with pytest.raises(ssl.SSLError):
            server.hears()  # it was told


def test_what_came_before_a_reset_is_read_before_it():
    with tls_ends(pair=tcp_pair()) as (ours, server):
        said = server.says(BODY[:50_000])
        server.far.sendall(said)
        while len(socket.socket.recv(ours, len(said), socket.MSG_PEEK)) < len(said):
            pass
        assert ours.recv(1) == BODY[:1]
        server.far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        server.far.close()
        reset = select.poll()
        reset.register(ours, 0)  # of which is told in any case
        assert reset.poll(30_000)
        assert ours.recv(60_000) == BODY[1:50_000]
        assert isinstance(ours.failure, ConnectionResetError)
        for _ in range(2):
            with pytest.raises(ConnectionResetError):
                until_something(ours)


def until_something(ours: TlsSocket) -> bytes:
    while True:
        with contextlib.suppress(ssl.SSLWantReadError):
            return ours.recv(10)


def test_tls_answers_in_the_middle_of_a_body_without_being_asked():
    """The server wants to know who we are; its next words are read, and ours go out."""
    with tls_ends() as (ours, server):
        server.tls.verify_client_post_handshake()
        server.far.sendall(server.says(BODY[:20_000]))
        assert all_there(ours, 1 << 20) == BODY[:20_000]
        assert server.far.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        assert server.hears() == b""
        server.far.sendall(server.says(BODY[:5]))
        assert all_there(ours, 10) == BODY[:5]


@given(sizes=st.lists(st.integers(1, 2 * GIVEN_AT_ONCE), min_size=1, max_size=6))
def test_what_is_sent_arrives_once_however_little_the_system_takes(sizes):
    pair = socket.socketpair()
    pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    with tls_ends(pair=pair) as (ours, server):
        sent = heard = b""
        for begin, end in pairwise(accumulate(sizes, initial=0)):
            view = memoryview(BODY[begin:end])
            sent += view
            while view:
                try:
                    view = view[ours.send(view) :]
                except ssl.SSLWantWriteError:
                    heard += server.hears()
        assert heard + server.hears() == sent


def test_a_connection_without_a_name_is_refused_where_names_are_checked():
    near, far = socket.socketpair()
    for name in (None, ""):
        with pytest.raises(ValueError, match="name"):
            TlsSocket(near, client_context(), name)
    assert near.fileno() >= 0  # still its owner's
    near.close()
    far.close()
