"""K1, K2 and U-10 for uploads: what a kill, a pause or a cancel in the turns of an upload's end
leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, reply
from tests.helpers.recorder import LIMIT, Recorder, eventually
from tests.helpers.records import a_task
from tests.helpers.sessions import default_session, engine_process, quick_session
from tests.helpers.upload_server import UploadServer
from tests.promises.rules.conftest import OpenMonitor
from transfermon.engine import obstacles
from transfermon.engine.monitor import Monitor, TransferTask
from transfermon.http.retry import once_only
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.errors import Code, Retry, TransferError
from transfermon.model.task import Activity, Kind, State, Task, changed
from transfermon.system.network_status import Connectivity

pytestmark = pytest.mark.anyio
plain_session = partial(quick_session, upload_protocol="plain")
TURNS = range(4)  # of the loop after the answer was taken


class Receiver:
    """Takes whole bodies."""

    def __init__(self, status: int = 201) -> None:
        self.status = status
        self.bodies: list[bytes] = []

    def __call__(self, conn: Conn, request: Request) -> None:
        self.bodies.append(conn.read_body(request))
        conn.send(reply(self.status, {"Content-Type": "text/plain"}, b"stored"))


# An engine that dies some turns after an answer is in its record, when all that it had decided
# until then is stored.
DIES = """
import os, signal, time
from transfermon.storage.store import _Entry

task = session.upload_task({url!r}, {source!r}, method={method!r}, protocol="plain")
while task.record.response is None:
    await asyncio.sleep(0)
for _ in range({turns}):
    await asyncio.sleep(0)
store, all = monitor._engine.store, _Entry(read=lambda database: True)
store._put(all)
store._hand_over()
while not all.answer:
    time.sleep(0.001)
os.kill(os.getpid(), signal.SIGKILL)
"""


async def died(tmp_path: Path, **words: object) -> None:
    with engine_process(tmp_path, DIES.format(**words)) as process:
        assert await asyncio.to_thread(process.wait) == -9


@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize("status", [201, 500])
async def test_u10_a_kill_in_any_turn_after_the_answer_sends_no_post_again(
    open_monitor: OpenMonitor, tmp_path: Path, turns: int, status: int
):
    (tmp_path / "a").write_bytes(b"once")
    receiver = Receiver(status)
    with ByteServer(receiver, reads_bodies=False) as server:
        source = str(tmp_path / "a")
        await died(tmp_path, url=server.url("/a"), source=source, method="POST", turns=turns)
        async with open_monitor() as monitor:
            (record,) = monitor.tasks()
            record = await monitor.handle(record.key).wait()
    assert receiver.bodies == [b"once"]
    if record.error is None:
        assert status == 201
        assert record.response is not None
    else:
        assert record.error.status == 500 or record.error.reason == "net.unknown-outcome"


async def test_u10_an_answer_that_was_stored_without_the_end_is_the_end(
    open_monitor: OpenMonitor, tmp_path: Path
):
    """A command in the turn between the two stores the record as it is."""
    (tmp_path / "a").write_bytes(b"once")
    receiver = Receiver()
    with ByteServer(receiver, reads_bodies=False) as server:
        words = DIES.replace("store, all", "task.priority = 0.9\nstore, all").format(
            url=server.url("/a"), source=str(tmp_path / "a"), method="POST", turns=0
        )
        with engine_process(tmp_path, words) as process:
            assert await asyncio.to_thread(process.wait) == -9
        async with open_monitor(ready=False) as monitor:
            (record,) = monitor.tasks()
            assert (record.state, record.activity) == (State.RUNNING, Activity.FINALIZING)
            monitor.ready()
            record = await monitor.handle(record.key).wait()
    assert receiver.bodies == [b"once"]
    assert record.succeeded
    assert record.response is not None
    assert record.response.status == 201


@pytest.mark.parametrize("command", ["suspend", "cancel"])
@pytest.mark.parametrize("kind", ["upload", "data"])
async def test_t08_what_comes_when_the_answer_was_taken_comes_too_late(
    monitor: Monitor, recorder: Recorder, command: str, kind: str
):
    receiver = Receiver()
    with ByteServer(receiver, reads_bodies=False) as server:
        session = plain_session(monitor)
        task = (
            session.upload_task(server.url("/a"), b"once")
            if kind == "upload"
            else session.data_task(server.url("/a"), {"once": 1})
        )
        while task.record.response is None:
            await asyncio.sleep(0)
        getattr(task, command)()
        async with asyncio.timeout(LIMIT):
            record = await task.wait()
    assert record.succeeded
    assert len(receiver.bodies) == 1
    (ended,) = recorder.of("sessioncompleted", task)
    assert (ended.success, ended.status_code, ended.response_text) == (True, 201, "stored")


async def test_t08_a_suspension_at_any_moment_of_an_uploads_end_is_kept_or_comes_too_late(
    monitor: Monitor,
):
    receiver = Receiver()
    with ByteServer(receiver, reads_bodies=False) as server:
        session = plain_session(monitor)
        for turns in range(12):
            before = len(receiver.bodies)
            task = session.upload_task(server.url(f"/{turns}"), b"body", method="PUT")
            await eventually(lambda before=before: len(receiver.bodies) > before)  # type: ignore[misc]
            for _ in range(turns):
                await asyncio.sleep(0)
            if task.suspend().state is State.SUSPENDED:
                await eventually(lambda task=task: monitor.overview.progress(task.key) is None)  # type: ignore[misc]
                assert task.state is State.SUSPENDED
                task.resume()
            assert (await task.wait()).succeeded


# ---- the kept body of a background session


def kept_bodies(monitor: Monitor) -> list[bytes]:
    bodies = []
    for path in (Path(monitor.state_dir) / "spool").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it goes while one looks
            bodies.append(path.read_bytes())
    return bodies


def headers_kept(monitor: Monitor, task: TransferTask) -> bool:
    return bool(monitor._engine.vault.get(str(task.key)))


@contextlib.asynccontextmanager
async def nothing_stored(monitor: Monitor) -> AsyncIterator[None]:
    """As a kill would find it: another program has the list locked."""
    path = Path(monitor.state_dir) / "transfermon.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin exclusive")
        yield
        await eventually(lambda: monitor.overview.frozen_reason)
        other.execute("rollback")


@pytest.mark.parametrize("ends", ["success", "removal"])
async def test_u03_bytes_and_headers_stay_until_the_end_is_stored(monitor: Monitor, ends: str):
    gate = threading.Event()

    def held(conn: Conn, request: Request) -> None:
        conn.read_body(request)
        gate.wait(LIMIT)
        conn.send(reply(201))

    with ByteServer(held, reads_bodies=False) as server:
        task = plain_session(monitor).upload_task(
            server.url("/a"),
            b"once",
            method="PUT",
            start=ends == "success",
            request_headers={"X-Key": "secret"},
        )
        await task.accepted
        if ends == "success":
            await eventually(lambda: task.count_of_bytes_sent)
        else:
            task.cancel()
            await task.wait()
        async with nothing_stored(monitor):
            if ends == "success":
                gate.set()
                await eventually(lambda: task.state is State.COMPLETED)
            else:
                monitor.commands.remove(task.key)
                await eventually(lambda: not monitor.tasks())
            await eventually(lambda: monitor.overview.frozen_reason)
            assert kept_bodies(monitor) == [b"once"]
            assert headers_kept(monitor, task)
        await eventually(lambda: not kept_bodies(monitor))
        await eventually(lambda: not headers_kept(monitor, task))


async def test_u03_bytes_that_a_kill_left_behind_are_swept_and_those_to_be_sent_are_not(
    open_monitor: OpenMonitor,
):
    receiver = Receiver()
    with ByteServer(receiver, reads_bodies=False) as server:
        async with open_monitor() as monitor:
            task = plain_session(monitor).upload_task(server.url("/a"), b"later", start=False)
            await task.accepted
            (Path(monitor.state_dir) / "spool" / "0123.body").write_bytes(b"of a task that ended")
        async with open_monitor() as monitor:
            assert kept_bodies(monitor) == [b"later"]
            assert (await monitor.handle(task.key).resume().wait()).succeeded
    assert receiver.bodies == [b"later"]


async def test_u22_bytes_stay_with_the_task_that_was_made_from_resume_data(monitor: Monitor):
    farm = UploadServer()
    with ByteServer(farm, reads_bodies=False) as server:
        session = quick_session(monitor)
        first = session.upload_task(server.url("/in"), b"x" * 1_000_000, speed_limit=500_000)
        await eventually(lambda: first.count_of_bytes_sent > 100_000)
        data = await first.cancel_by_producing_resume_data()
        assert data is not None
        await first.wait()
        second = session.upload_task_with_resume_data(data, start=False)
        await second.accepted
        monitor.commands.remove(first.key)
        await eventually(lambda: session.tasks.find(first.task_identifier) is None)
        monitor.commands.adjust(second.key, speed_limit=0)
        assert (await second.resume().wait()).succeeded
    assert farm.stored == [b"x" * 1_000_000]


# ---- what must not be sent twice


def half(conn: Conn, request: Request) -> None:
    """Takes a part of the body, and no more."""
    conn.read_some(200_000)
    conn.stall()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "film.bin").write_bytes(bytes(3_000_000))
    return tmp_path / "film.bin"


def check_unknown(record: Task) -> None:
    assert record.error is not None
    assert (record.error.code, record.error.reason) == (-1005, "net.unknown-outcome")
    assert "not known whether the server has" in record.error.message


async def test_u10_a_post_that_was_let_go_of_because_nothing_can_be_stored_is_not_sent_again(
    monitor: Monitor, source: Path
):
    with ByteServer(half, reads_bodies=False) as server:
        task = plain_session(monitor).upload_task(server.url("/a"), source)
        await eventually(lambda: task.count_of_bytes_sent > 100_000)
        async with nothing_stored(monitor):
            task.priority = 0.9
            await eventually(lambda: monitor.overview.frozen_reason)
            await eventually(lambda: monitor.overview.progress(task.key) is None)
        check_unknown(await task.wait())
        assert len(server.requests) == 1
        server.handler = Receiver()
        monitor.commands.retry(task.key)
        assert (await task.wait()).succeeded


@pytest.mark.parametrize("only", [False, True])
async def test_u10_a_post_that_the_end_of_the_engine_broke_is_not_sent_again(
    open_monitor: OpenMonitor, source: Path, *, only: bool
):
    """Neither by an engine that goes on with all tasks, nor by a command's for its own."""
    with ByteServer(half, reads_bodies=False) as server:
        async with open_monitor() as monitor:
            task = plain_session(monitor).upload_task(server.url("/a"), source)
            await eventually(lambda: task.count_of_bytes_sent > 100_000)
        async with open_monitor(ready=False) as monitor:
            monitor.ready(start_restored=not only)
            if only:
                monitor.run_only([task.key])
            check_unknown(await monitor.handle(task.key).wait())
        assert len(server.requests) == 1


async def test_u10_another_method_is_a_wish_to_send_it_again(monitor: Monitor, source: Path):
    receiver = Receiver()
    with ByteServer(half, reads_bodies=False) as server:
        task = plain_session(monitor).upload_task(server.url("/a"), source)
        await eventually(lambda: task.count_of_bytes_sent > 100_000)
        server.handler = receiver
        monitor.commands.adjust(task.key, method="PUT")
        assert (await task.wait()).succeeded
    assert receiver.bodies == [source.read_bytes()]


async def test_u10_the_first_piece_of_a_stream_counts_as_sent(monitor: Monitor):
    async def pieces() -> AsyncIterator[bytes]:
        yield bytes(20_000_000)  # more than the queues of both ends take

    def reset(conn: Conn, request: Request) -> None:
        conn.read_some(5)
        conn.reset()

    with ByteServer(reset, reads_bodies=False) as server:
        session = default_session(monitor)
        check_unknown(await session.upload_task_with_stream(server.url("/a"), pieces).wait())


async def test_u10_what_must_not_be_sent_twice_does_not_wait_for_the_network(
    monitor: Monitor, connectivity: Connectivity
):
    connectivity.update(online=False)
    own = SessionConfiguration.background("s")
    lost = TransferError(code=Code.CONNECTION_LOST, message="lost", retry=Retry.RETRY)
    task = a_task(kind=Kind.UPLOAD, method="POST", url="http://192.0.2.1/a")
    _, hold = obstacles.after_failure(task, own, monitor._engine, lost)
    assert hold is not None
    lost, exposed = once_only(lost, sent=True), changed(task, exposed=True)
    assert obstacles.after_failure(exposed, own, monitor._engine, lost) == (lost, None)
