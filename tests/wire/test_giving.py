"""Files on their way out through the pump: order, counting, checks, early answers, endings."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trustme

from transfermon.model.task import Progress
from transfermon.wire.pump import Pump
from transfermon.wire.pump_jobs import CHUNK
from transfermon.wire.rate_limit import Limiter
from transfermon.wire.stream import Stream
from transfermon.wire.surroundings import Surroundings
from transfermon.wire.wire_request import Given

pytestmark = pytest.mark.anyio
BODY = os.urandom(6 * CHUNK + 17)


class Sending:
    """A file, and a pair of sockets over which the pump gives it away."""

    def __init__(self, pump: Pump, path: Path, near: socket.socket, far: socket.socket) -> None:
        self.pump = pump
        self.near, self.far = near, far
        self.near.setblocking(False)
        path.write_bytes(BODY)
        self.fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self.progress = Progress()
        self.checks: list[bool] = []
        self.failure: Exception | None = None  # of the next check
        self.heard: list[bytes] = []

    def check(self, last: bool) -> None:
        self.checks.append(last)
        if self.failure is not None:
            raise self.failure

    def start(
        self, length: int = len(BODY), *, offset: int = 0, **settings: object
    ) -> asyncio.Task[Given]:
        return asyncio.ensure_future(
            self.pump.give(
                self.near,
                self.fd,
                offset,
                length,
                self.progress,
                check=self.check,
                heard=self.heard.append,
                **settings,  # type: ignore[arg-type]
            )
        )

    async def taken(self, count: int) -> bytes:
        """So many bytes at the other end, or fewer where it ends."""
        return await asyncio.to_thread(self._take, count)

    def _take(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count and (piece := self.far.recv(min(CHUNK, count - len(data)))):
            data += piece
        return bytes(data)

    async def settled(self) -> int:
        """How much went out, once the queues of both ends are full."""
        before = -1
        while before != self.progress.received or before == 0:
            before = self.progress.received
            await asyncio.sleep(0.05)
        return before

    def close(self) -> None:
        self.near.close()
        self.far.close()
        os.close(self.fd)


@pytest.fixture
def pump() -> Iterator[Pump]:
    pump = Pump()
    yield pump
    pump.close()


@pytest.fixture(params=["unix", "tcp"])
async def sending(
    request: pytest.FixtureRequest, pump: Pump, tmp_path: Path
) -> AsyncIterator[Sending]:
    if request.param == "unix":
        near, far = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as server:
            # far less than the body, whatever the system would allow
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CHUNK // 4)
            near = socket.create_connection(server.getsockname())
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CHUNK // 4)
            far, _ = server.accept()
    sending = Sending(pump, tmp_path / "source", near, far)
    yield sending
    sending.close()


async def test_a_file_arrives_whole_counted_and_checked_to_its_last_piece(sending: Sending):
    running = sending.start()
    assert await sending.taken(len(BODY)) == BODY
    assert await running == Given(count=len(BODY))
    assert sending.progress.received == len(BODY)
    assert sending.checks[-1] is True
    assert not any(sending.checks[:-1])
    assert sending.heard == []


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 1), (7, CHUNK), (CHUNK - 1, 2), (5 * CHUNK, CHUNK + 17)]
)
async def test_a_piece_of_a_file_is_that_piece(sending: Sending, offset: int, length: int):
    running = sending.start(length, offset=offset)
    assert await sending.taken(length) == BODY[offset : offset + length]
    assert await running == Given(count=length)
    assert sending.checks[-1] is True


async def test_no_byte_goes_out_that_was_not_checked(sending: Sending):
    sending.failure = ValueError("another file")
    given = await sending.start()
    assert given == Given(count=0, reason="source", error=sending.failure)
    assert sending.progress.received == 0


async def test_a_file_that_is_another_one_meanwhile_is_never_whole(sending: Sending):
    running = sending.start()
    went = await sending.settled()
    assert 0 < went < len(BODY)
    sending.failure = ValueError("another file")
    arrived = asyncio.ensure_future(sending.taken(len(BODY)))
    given = await running
    assert (given.reason, given.error) == ("source", sending.failure)
    sending.near.shutdown(socket.SHUT_WR)
    assert await arrived == BODY[: given.count]
    assert given.count == sending.progress.received < len(BODY)


async def test_what_went_out_does_not_change_with_the_file(sending: Sending):
    running = sending.start()
    went = await sending.settled()
    os.pwrite(sending.fd, bytes(went), 0)
    assert (await sending.taken(len(BODY)))[:went] == BODY[:went]
    await running


async def test_a_file_that_became_shorter_is_the_file_s_fault(sending: Sending):
    running = sending.start()
    await sending.settled()
    os.ftruncate(sending.fd, 0)
    arrived = asyncio.ensure_future(sending.taken(len(BODY)))
    given = await running
    assert given.reason == "source"
    assert isinstance(given.error, OSError)
    assert given.error.errno == errno.EIO
    sending.near.shutdown(socket.SHUT_WR)
    assert len(await arrived) == given.count


async def test_an_answer_in_the_middle_ends_the_giving(sending: Sending):
    running = sending.start()
    await sending.settled()
    sending.far.sendall(b"HTTP/1.1 413 Too Large\r\n\r\n")
    given = await running
    assert (given.reason, given.early) == ("answered", b"HTTP/1.1 413 Too Large\r\n\r\n")
    assert given.count == sending.progress.received < len(BODY)


async def test_interim_answers_are_told_and_the_giving_goes_on(sending: Sending):
    running = sending.start()
    await sending.settled()
    sending.far.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert await sending.taken(len(BODY)) == BODY
    given = await running
    assert given == Given(count=len(BODY), early=b"HTTP/1.1 100 Continue\r\n\r\n")
    assert sending.heard[0] == b"HTTP/1.1 100 Continue\r\n\r\n"


async def test_an_other_end_that_goes_is_told_apart(sending: Sending):
    running = sending.start()
    await sending.settled()
    if sending.far.family == socket.AF_INET:  # no FIN but a reset
        sending.far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sending.far.close()
    given = await running
    assert given.reason in ("closed", "reset")
    assert given.count == sending.progress.received < len(BODY)


async def test_an_other_end_that_takes_nothing_stalls(sending: Sending):
    given = await sending.start(stall=0.2)
    assert given.reason == "stalled"
    assert given.count == sending.progress.received
    arrived = asyncio.ensure_future(sending.taken(len(BODY)))
    sending.near.shutdown(socket.SHUT_WR)
    assert await arrived == BODY[: given.count]


async def test_a_cancel_returns_only_when_the_thread_let_go(sending: Sending):
    running = sending.start()
    await sending.settled()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    went = sending.progress.received
    sending.near.shutdown(socket.SHUT_WR)
    assert await sending.taken(len(BODY)) == BODY[:went]
    assert sending.progress.received == went < len(BODY)


async def test_a_limit_holds_and_may_be_lifted_meanwhile(sending: Sending):
    limiter = Limiter(100_000)
    running = sending.start(limiters=[limiter])
    arrived = asyncio.ensure_future(sending.taken(len(BODY)))
    while not sending.progress.received:
        await asyncio.sleep(0.002)
    assert sending.progress.received < 100_000
    limiter.rate = 0
    assert (await running).reason is None
    assert await arrived == BODY


async def test_a_new_limit_holds_from_the_next_piece_on(sending: Sending):
    limiter = Limiter()
    running = sending.start(limiters=[limiter])
    went = await sending.settled()
    limiter.rate = 1000
    assert await sending.taken(went) == BODY[:went]
    while sending.progress.received == went:
        await asyncio.sleep(0.002)
    assert sending.progress.received < went + 10_000
    limiter.rate = 0
    assert await sending.taken(len(BODY) - went) == BODY[went:]
    assert (await running).reason is None


async def test_two_files_at_once_do_not_mix(sending: Sending, pump: Pump, tmp_path: Path):
    other = Sending(pump, tmp_path / "other", *socket.socketpair())
    os.pwrite(other.fd, BODY[::-1], 0)
    both = asyncio.gather(sending.start(), other.start())
    arrived = await asyncio.gather(sending.taken(len(BODY)), other.taken(len(BODY)))
    assert list(arrived) == [BODY, BODY[::-1]]
    assert list(await both) == [Given(count=len(BODY))] * 2
    other.close()


async def test_no_thread_is_left(sending: Sending, pump: Pump):
    running = sending.start()
    await sending.settled()
    await asyncio.to_thread(pump.close)
    assert (await running).reason == "cancelled"
    assert not any(thread.name == "pump" for thread in threading.enumerate())


# ---- under TLS


@pytest.fixture
async def secure(pump: Pump, tmp_path: Path) -> AsyncIterator[Sending]:
    authority = trustme.CA()
    ours, theirs = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(ours)
    authority.issue_cert("localhost").configure_cert(theirs)
    near, far = socket.socketpair()
    shaking = asyncio.to_thread(theirs.wrap_socket, far, server_side=True)
    shaken = asyncio.ensure_future(shaking)
    stream = Stream(near, Surroundings()).under_tls(ours, "localhost")
    await stream.shake_hands(30)
    stream.look_away()
    sending = Sending(pump, tmp_path / "source", stream.socket, await shaken)
    yield sending
    sending.close()


async def test_a_file_arrives_whole_under_tls(secure: Sending):
    running = secure.start()
    assert await secure.taken(len(BODY)) == BODY
    assert await running == Given(count=len(BODY))


async def test_what_the_server_says_in_two_records_is_heard_under_tls(secure: Sending):
    running = secure.start()
    await secure.settled()
    secure.far.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: <%b>\r\n\r\n" % (b"x" * 70_000))
    while not secure.heard:
        await asyncio.sleep(0.002)
    secure.far.sendall(b"HTTP/1.1 413 Too Large\r\n\r\n")
    given = await running
    assert given.reason == "answered"
    assert given.early.endswith(b"HTTP/1.1 413 Too Large\r\n\r\n")
    assert len(given.early) > 70_000
