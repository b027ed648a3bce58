"""The pump by itself: endings, order, threads that end, descriptors that stay whose they are."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from transfermon.model.task import Progress
from transfermon.wire.cancellation import until_done
from transfermon.wire.movable_end import MovableEnd
from transfermon.wire.pump import Pump, Pumps
from transfermon.wire.pump_jobs import CHUNK, Outcome
from transfermon.wire.rate_limit import Limiter

pytestmark = pytest.mark.anyio
BODY = os.urandom(3 * CHUNK + 17)


class Body:
    """A pair of sockets and a file between which the pump works."""

    def __init__(self, pump: Pump, path: Path) -> None:
        self.pump = pump
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self.progress = Progress()

    def start(
        self, length: int, *, first: bytes = b"", offset: int = 0, **settings: object
    ) -> asyncio.Task[Outcome]:
        return asyncio.ensure_future(
            self.pump.receive(self.near, first, self.fd, offset, length, self.progress, **settings)  # type: ignore[arg-type]
        )

    async def send(self, data: bytes) -> None:
        await asyncio.to_thread(self.far.sendall, data)

    async def arrived(self, count: int) -> None:
        while self.progress.received < count:
            await asyncio.sleep(0.002)

    def content(self, offset: int = 0) -> bytes:
        return os.pread(self.fd, 10**9, offset)

    def close(self) -> None:
        self.near.close()
        self.far.close()
        os.close(self.fd)


@pytest.fixture
def pump() -> Iterator[Pump]:
    pump = Pump()
    yield pump
    pump.close()


@pytest.fixture
async def body(pump: Pump, tmp_path: Path) -> AsyncIterator[Body]:
    body = Body(pump, tmp_path / "part")
    yield body
    body.close()


async def test_a_whole_body_is_written_counted_and_hashed_in_order(body):
    digest = hashlib.sha256()
    running = body.start(len(BODY), first=BODY[:100], offset=7, hasher=digest)
    await body.send(BODY[100:])
    assert await running == Outcome(received=len(BODY))
    assert body.content(7) == BODY
    assert body.progress.received == len(BODY)
    assert digest.digest() == hashlib.sha256(BODY).digest()


async def test_a_body_that_nobody_hashes_or_slows_is_the_same(body):
    running = body.start(len(BODY), first=BODY[:100], offset=7)
    await body.send(BODY[100:])
    assert await running == Outcome(received=len(BODY))
    assert body.content(7) == BODY


async def test_a_file_that_takes_no_splice_gets_its_bytes_all_the_same(body, tmp_path):
    appending = os.open(
        tmp_path / "appended", os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
    )
    running = asyncio.ensure_future(
        body.pump.receive(body.near, b"", appending, 0, len(BODY), body.progress)
    )
    await body.send(BODY)
    assert await running == Outcome(received=len(BODY))
    assert os.pread(appending, 10**9, 0) == BODY
    os.close(appending)


async def test_a_disk_that_fills_up_leaves_nothing_behind_for_the_next_body(body, pump, tmp_path):
    full = os.open("/dev/full", os.O_WRONLY | os.O_CLOEXEC)
    await body.send(b"lost" * 100)
    assert (await pump.receive(body.near, b"", full, 0, 400, Progress())).reason == "disk"
    os.close(full)
    other = Body(pump, tmp_path / "other")
    await other.send(b"kept")
    assert await other.start(4) == Outcome(received=4)
    assert other.content() == b"kept"
    other.close()


async def test_a_body_that_came_with_the_head_needs_no_socket(body):
    assert await body.start(5, first=b"12345") == Outcome(received=5)
    assert await body.start(0) == Outcome(received=0)


@pytest.mark.parametrize("first", [b"", b"12345extra"])
async def test_bytes_behind_the_body_are_noted_and_not_written(body, first):
    await body.send(b"12345extra" if not first else b"")
    assert await body.start(5, first=first) == Outcome(received=5, extra=True)
    assert body.content() == b"12345"


async def test_a_part_of_a_body_leaves_the_rest_in_the_socket(body):
    await body.send(b"1234567890")
    assert await body.start(4, ends=False) == Outcome(received=4)
    assert await body.start(6, offset=4) == Outcome(received=6)
    assert body.content() == b"1234567890"


async def test_an_early_end_reports_what_is_there(body):
    running = body.start(100)
    await body.send(b"x" * 60)
    body.far.close()
    assert await running == Outcome(received=60, reason="closed")
    assert body.content() == b"x" * 60


async def test_a_stall_ends_the_body_and_no_other(body, pump, tmp_path):
    other = Body(pump, tmp_path / "other")
    slow, fine = body.start(100, stall=0.2), other.start(100, stall=30.0)
    await body.send(b"x" * 10)
    assert (await slow).reason == "stalled"
    await other.send(b"y" * 100)
    assert (await fine).reason is None
    other.close()


async def test_a_failing_write_is_the_disk_s_fault(body):
    full = os.open("/dev/full", os.O_WRONLY | os.O_CLOEXEC)
    await body.send(b"x" * 10)
    outcome = await body.pump.receive(body.near, b"", full, 0, 10, body.progress)
    assert outcome.reason == "disk"
    assert isinstance(outcome.error, OSError)
    assert outcome.error.errno == errno.ENOSPC
    assert body.progress.received == 0
    os.close(full)


async def test_a_closed_file_does_not_stop_the_other_bodies(body, pump, tmp_path):
    fine = body.start(5)
    await body.send(b"123")
    closed = os.open(tmp_path / "gone", os.O_WRONLY | os.O_CREAT)
    os.close(closed)
    near, far = socket.socketpair()
    near.setblocking(False)
    far.send(b"x")
    assert (await pump.receive(near, b"", closed, 0, 1, Progress())).reason == "disk"
    await body.send(b"45")
    assert (await fine).reason is None
    near.close()
    far.close()


async def test_a_cancel_returns_only_when_the_thread_let_go(body):
    running = body.start(len(BODY))
    await body.send(BODY[:1000])
    await body.arrived(1000)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await body.send(b"later")
    assert body.content() == BODY[:1000]
    assert body.near.recv(100) == b"later"  # nobody else reads it


async def test_closing_the_pump_ends_its_thread_and_its_bodies(body, pump):
    running = body.start(100)
    await body.send(b"x")
    await body.arrived(1)
    await asyncio.to_thread(pump.close)
    assert (await running).reason == "cancelled"
    assert not any(thread.name == "pump" for thread in threading.enumerate())
    with pytest.raises(RuntimeError):
        await body.start(1)


async def test_a_limited_body_keeps_its_rate_and_costs_no_time_to_wait(body):
    limiter = Limiter(200_000)
    await body.send(BODY[:100_000])
    began, cpu = time.monotonic(), time.process_time()
    await body.start(100_000, limiters=[limiter])
    seconds = time.monotonic() - began
    assert seconds > 0.35
    assert time.process_time() - cpu < seconds / 4
    assert body.content() == BODY[:100_000]


async def test_a_new_rate_acts_on_a_running_body(body):
    limiter = Limiter(1000)
    running = body.start(100_000, limiters=[limiter])
    await body.send(BODY[:100_000])
    await body.arrived(1)
    assert not running.done()
    limiter.rate = 0
    await asyncio.wait_for(running, 5)
    assert body.content() == BODY[:100_000]


async def test_many_bodies_at_once_do_not_mix(pump, tmp_path):
    bodies = [Body(pump, tmp_path / str(number)) for number in range(20)]
    running = [one.start(50_000) for one in bodies]
    await asyncio.gather(*(one.send(bytes([number]) * 50_000) for number, one in enumerate(bodies)))
    assert [outcome.reason for outcome in await asyncio.gather(*running)] == [None] * 20
    for number, one in enumerate(bodies):
        assert one.content() == bytes([number]) * 50_000
        one.close()


async def test_there_is_one_pump_for_a_device(tmp_path):
    pumps = Pumps()
    fds = [os.open(tmp_path / name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC) for name in "ab"]
    memory = os.memfd_create("x", os.MFD_CLOEXEC)
    try:
        assert pumps.for_fd(fds[0]) is pumps.for_fd(fds[1])
        assert pumps.for_fd(memory) is not pumps.for_fd(fds[0])
        assert pumps.hung == 0.0
    finally:
        for fd in (*fds, memory):
            os.close(fd)
        pumps.close()


async def test_until_done_outlasts_a_cancel():
    finished = threading.Event()
    started = threading.Event()

    def work() -> None:
        started.set()
        finished.wait(5)

    waiting = asyncio.ensure_future(until_done(asyncio.to_thread(work)))
    while not started.is_set():
        await asyncio.sleep(0.001)
    waiting.cancel()
    await asyncio.sleep(0.01)
    assert not waiting.done()
    waiting.cancel()
    finished.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_an_end_that_is_moved_leaves_the_rest_to_the_caller(body: Body):
    movable = MovableEnd(len(BODY))
    moving = body.start(len(BODY), movable=movable)
    await body.send(BODY[:1000])
    await body.arrived(1000)
    end = movable.move(CHUNK + 500)
    assert 1000 < end <= CHUNK + 1000
    sending = asyncio.ensure_future(body.send(BODY[1000:]))
    outcome = await moving
    assert (outcome.received, outcome.reason, outcome.extra) == (end, None, False)
    assert body.content() == BODY[:end]
    rest = Progress()
    last = await body.pump.receive(body.near, b"", body.fd, end, len(BODY) - end, rest)
    await sending
    assert (last.received, last.reason) == (len(BODY) - end, None)
    assert body.content() == BODY


async def test_an_end_inside_of_what_came_with_the_head_is_kept_to(body: Body):
    movable = MovableEnd(300)
    outcome = await body.start(len(BODY), first=BODY[:1000], movable=movable)
    assert (outcome.received, outcome.reason) == (300, None)
    assert body.content() == BODY[:300]


def test_an_end_goes_no_further_back_than_what_was_claimed():
    movable = MovableEnd(1000)
    assert movable.claim(0, 400) == 400
    assert movable.move(200) == 400
    assert movable.claim(400, 10) == 0
    assert movable.move(2000) == 2000
    assert movable.claim(1900, 400) == 100
