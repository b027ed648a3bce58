"""S-07 to S-10, S-16, S-17 and S-19: sessions that end, come back, are busy elsewhere, are reset or
flushed.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, reply
from tests.helpers.recorder import Recorder, eventually
from tests.helpers.sessions import Halves, engine_process, parts_in
from tests.promises.rules.conftest import OpenMonitor
from transfermon.engine.monitor import TEMPORARY, Monitor, Session
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.errors import (
    EngineBusyError,
    SessionInvalidatedError,
    SessionInvalidatingError,
)
from transfermon.model.task import State
from transfermon.storage.settings import Settings

pytestmark = pytest.mark.anyio
BACKGROUND = SessionConfiguration.background("com.example.test")
ORPHAN = ".transfermon-0123456789abcdef.part"


# ---- S-07, S-08, S-09


async def test_s07_the_identifier_is_taken_until_the_invalidation_was_delivered(
    monitor: Monitor, session: Session, server: ByteServer
):
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(event: Any) -> None:
        begun.set()
        await go.wait()

    monitor.add_event_listener("sessioninvalidated", slow)
    await session.download_task(server.url("/a")).wait()
    session.finish_tasks_and_invalidate()
    await begun.wait()
    with pytest.raises(SessionInvalidatingError):
        monitor.create_session(BACKGROUND)
    go.set()
    await eventually(lambda: monitor.find_session("com.example.test") is None)
    again = monitor.create_session(BACKGROUND)
    assert again is not session
    assert again.download_task(server.url("/b")).task_identifier == 2


async def test_s08_a_session_invalidated_and_forgotten_counts_on_in_the_next_process(
    open_monitor: OpenMonitor, server: ByteServer
):
    async with open_monitor() as monitor:
        session = monitor.create_session(BACKGROUND)
        for _ in range(3):
            await session.download_task(server.url("/a")).wait()
        session.invalidate_and_cancel()
        await eventually(lambda: monitor.find_session("com.example.test") is None)
    async with open_monitor() as monitor:
        assert monitor.find_session("com.example.test") is None
        session = monitor.create_session(BACKGROUND)
        assert session.tasks.records() == []
        assert session.download_task(server.url("/a"), start=False).task_identifier == 4


async def test_s09_a_killed_engine_leaves_the_same_outstanding_tasks(
    open_monitor: OpenMonitor, tmp_path: Path, server: ByteServer, resource: Resource
):
    resource.stall_after = 1000
    body = f"""
first = session.download_task({server.url("/a?secret=1")!r}, description="the first", priority=0.75)
second = session.download_task({server.url("/b")!r}, start=False)
third = session.download_task({server.url("/c")!r})
third.task_description = "changed"
while third.count_of_bytes_received < 1000:
    await asyncio.sleep(0.01)
third.suspend()
third.suspend()
while monitor.overview.running_progress().keys() != {{first.key}}:
    await asyncio.sleep(0.01)
await session.flush()
print("ready", flush=True)
await asyncio.Event().wait()
"""
    with engine_process(tmp_path, body) as process:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "ready\n"
    async with open_monitor(ready=False) as monitor:
        session = monitor.create_session(SessionConfiguration.background("com.example.quick"))
        first, third = await session.get_all_tasks()
        assert (first.task_identifier, first.original_request) == (1, server.url("/a?secret=1"))
        assert (first.state, first.task_description, first.priority) == (
            State.RUNNING,
            "the first",
            0.75,
        )
        assert (third.state, third.record.suspend_count) == (State.SUSPENDED, 2)
        assert third.task_description == "changed"
        assert (third.count_of_bytes_received, third.count_of_bytes_expected_to_receive) == (
            1000,
            len(resource.body),
        )
        second = session.task(2)
        assert (second.state, second.original_request) == (State.SUSPENDED, server.url("/b"))


# ---- S-10


async def test_s10_a_second_process_is_refused_and_does_not_disturb_the_first(
    open_monitor: OpenMonitor,
    tmp_path: Path,
    server: ByteServer,
    resource: Resource,
    settings: Settings,
):
    body = f"""
session.download_task({server.url("/first")!r}, start=False)
print("ready", flush=True)
await asyncio.to_thread(sys.stdin.readline)
task = session.task(1)
task.resume()
print((await task.wait()).succeeded, flush=True)
"""
    with engine_process(tmp_path, body) as process:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "ready\n"
        for _ in range(2):
            with pytest.raises(EngineBusyError) as caught:
                async with Monitor.open(str(tmp_path / "state"), settings=settings):
                    raise AssertionError("two engines")
            assert caught.value.code == -996
            assert str(process.pid) in f"{caught.value.title} {caught.value.hint}"
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        assert await asyncio.to_thread(process.stdout.readline) == "True\n"
    assert len(server.requests) == 1


async def test_s10_two_monitors_of_one_process_are_refused_as_well(
    monitor: Monitor, session: Session, server: ByteServer, settings: Settings
):
    with pytest.raises(EngineBusyError):
        async with Monitor.open(monitor.state_dir, settings=settings):
            raise AssertionError("two engines")
    assert (await session.download_task(server.url("/a")).wait()).succeeded


# ---- S-16


def not_allowed(conn: Conn, request: Request) -> bool:
    if request.target == "/secret":
        conn.send(reply(403, {}, b"no"))
        return True
    return False


async def test_s16_reset_forgets_credentials_of_ended_tasks_and_deletes_orphans(
    monitor: Monitor, session: Session, server: ByteServer, resource: Resource
):
    resource.before = not_allowed
    failed = session.download_task(
        server.url("/secret"), request_headers={"Authorization": "Bearer 1"}
    )
    await failed.wait()
    waiting = session.download_task(
        server.url("/b"), request_headers={"Authorization": "Bearer 2"}, start=False
    )
    folder = Path(monitor.state_dir) / "parts"
    folder.mkdir(exist_ok=True)
    old, new, other = folder / ORPHAN, folder / ORPHAN.replace("0", "f"), folder / "notes.txt"
    for path in (old, new, other):
        path.write_bytes(b"x")
        path.chmod(0o600)
    for path in (old, other):
        os.utime(path, (time.time() - 3600,) * 2)
    calls: list[dict[str, bool]] = []
    await session.reset(calls.append)
    assert calls == [{"completed": True}]
    assert not old.exists()
    assert new.exists()  # it may belong to a task that is just beginning
    assert other.exists()
    stored = (Path(monitor.state_dir) / "secrets.json").read_text()
    assert "Bearer 1" not in stored
    assert "Bearer 2" in stored
    waiting.resume()
    assert (await waiting.wait()).succeeded
    assert server.requests[-1].header("Authorization") == "Bearer 2"


async def test_s16_reset_leaves_outstanding_tasks_and_their_parts_alone(
    monitor: Monitor, session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    halves = Halves(resource, 1000)
    resource.before = halves
    tasks = [session.download_task(server.url(f"/{n}"), destination=TEMPORARY) for n in range(2)]
    await eventually(lambda: all(task.count_of_bytes_received == 1000 for task in tasks))
    tasks[1].suspend()
    await eventually(lambda: monitor.overview.running_progress().keys() == {tasks[0].key})
    folder = Path(monitor.state_dir) / "parts"
    parts = parts_in(folder)
    assert len(parts) == 2
    for part in parts:
        os.utime(part, (time.time() - 3600,) * 2)
    before = [task.record for task in tasks]
    await session.reset()
    assert parts_in(folder) == parts
    assert [task.record for task in tasks] == before
    tasks[1].resume()
    halves.go.set()
    for task in tasks:
        assert (await task.wait()).succeeded
    assert len([request for request in server.requests if request.header("Range")]) == 1


async def test_s16_the_callback_may_be_a_coroutine_and_nobody_needs_to_wait(session: Session):
    called = asyncio.Event()

    async def done(answer: dict[str, bool]) -> None:
        assert answer == {"completed": True}
        called.set()

    session.reset(done)
    await called.wait()


async def test_s16_a_finishing_session_can_be_reset_and_an_invalidated_one_cannot(
    session: Session, server: ByteServer
):
    task = session.download_task(server.url("/a"), start=False)
    session.finish_tasks_and_invalidate()
    await session.reset()
    await session.flush()
    task.cancel()
    await task.wait()
    with pytest.raises(SessionInvalidatedError):
        session.reset()
    with pytest.raises(SessionInvalidatedError):
        session.flush()


# ---- S-17


async def test_s17_flush_closes_idle_connections_and_calls_back_once(
    monitor: Monitor, session: Session, server: ByteServer, resource: Resource
):
    resource.body = b"small"
    other = monitor.session("com.example.other")
    await session.download_task(server.url("/a")).wait()
    await other.download_task(server.url("/a")).wait()
    assert server.open_now == 2
    calls: list[dict[str, bool]] = []
    await session.flush(calls.append)
    await eventually(
        lambda: server.open_now == 1, "the idle connection of the session to be closed"
    )
    assert calls == [{"completed": True}]
    await other.download_task(server.url("/b")).wait()
    await session.download_task(server.url("/b")).wait()
    assert server.connections == 3


async def test_s17_what_was_decided_before_a_flush_survives_a_kill(
    open_monitor: OpenMonitor, tmp_path: Path, server: ByteServer
):
    body = f"""
for number in range(50):
    task = session.download_task({server.url("/a")!r}, start=False, request_headers={{"X-Number": str(number)}})
    task.task_description = f"number {{number}}"
await session.flush(lambda answer: print(answer, flush=True))
await asyncio.Event().wait()
"""
    with engine_process(tmp_path, body) as process:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "{'completed': True}\n"
    async with open_monitor(ready=False) as monitor:
        tasks = monitor.tasks()
        assert [task.description for task in tasks] == [f"number {number}" for number in range(50)]
        monitor.ready()
        monitor.commands.resume(tasks[7].key)
        assert (await monitor.handle(tasks[7].key).wait()).succeeded
    assert server.requests[0].header("X-Number") == "7"


# ---- S-19


async def test_s19_restored_tasks_are_listed_like_any_others(
    open_monitor: OpenMonitor, server: ByteServer
):
    async with open_monitor() as monitor:
        session = monitor.create_session(BACKGROUND)
        done = session.download_task(server.url("/done"))
        await done.wait()
        never = session.download_task(server.url("/never"), start=False)
        await never.accepted
    async with open_monitor() as monitor:
        session = monitor.create_session(BACKGROUND)
        assert await session.get_all_tasks() == []
        session.task(never.task_identifier).resume()
        assert [task.key for task in await session.get_all_tasks()] == [never.key]
        data, uploads, downloads = await session.get_tasks()
        assert (data, uploads, [task.key for task in downloads]) == ([], [], [never.key])
        await session.task(never.task_identifier).wait()
        assert await session.get_all_tasks() == []
