"""A session's own decisions, and its commands when they come in an unlucky order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Resource, reply, rest
from transfermon.engine.monitor import TEMPORARY, DownloadTask, Monitor, Session
from transfermon.model.errors import Code, InvalidAction, TransferFailure
from transfermon.model.events import Event
from transfermon.model.task import Activity, Origin, State
from transfermon.storage.settings import Settings

pytestmark = pytest.mark.anyio
LIMIT = 60.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(download_folder=str(tmp_path / "downloads"))


@pytest.fixture
async def monitor(tmp_path: Path, settings: Settings) -> AsyncIterator[Monitor]:
    async with Monitor.open(str(tmp_path / "state"), settings=settings) as monitor:
        monitor.ready()
        yield monitor


@pytest.fixture
def session(monitor: Monitor) -> Session:
    return monitor.session("s")


@pytest.fixture
def events(monitor: Monitor) -> list[Event]:
    told: list[Event] = []
    monitor.subscribe(told.append)
    return told


@pytest.fixture
def resource() -> Resource:
    return Resource(b"0123456789" * 30_000, etag='"v1"')


@pytest.fixture
def server(resource: Resource) -> Iterator[ByteServer]:
    with ByteServer(resource) as server:
        yield server


async def until(condition: Any) -> None:
    async with asyncio.timeout(LIMIT):
        while not condition():
            await asyncio.sleep(0.005)


async def failed(session: Session, server: ByteServer, resource: Resource) -> DownloadTask:
    """A task that stored something before it failed."""
    resource.cut_after = 100_000
    task = session.download_task(server.url("/failed.bin"), maximum_attempts=1)
    assert (await task.wait()).failed
    resource.cut_after = None
    return task


# ---- what a new task is


@pytest.mark.parametrize(
    ("destination", "folder", "name"),
    [
        (None, "downloads", ""),
        ("there", "there", ""),
        ("new/", "new", ""),
        ("there/file.bin", "there", "file.bin"),
        ("new/file.bin", "new", "file.bin"),
    ],
)
async def test_a_destination_is_a_folder_or_a_file(
    session: Session, tmp_path: Path, monkeypatch, destination: str | None, folder: str, name: str
):
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path)
    record = session.download_task(
        "http://127.0.0.1:9/x", destination=destination, start=False
    ).record
    assert (record.folder, record.name) == (str(tmp_path / folder), name)


async def test_a_temporary_file_has_no_folder(session: Session):
    record = session.download_task(
        "http://127.0.0.1:9/x", destination=TEMPORARY, start=False
    ).record
    assert (record.folder, record.name) == ("", "")


async def test_user_information_leaves_the_url(session: Session, monitor: Monitor, tmp_path: Path):
    task = session.download_task("http://me:s%40cret@127.0.0.1:9/x", start=False)
    await task.accepted
    assert task.original_request == "http://127.0.0.1:9/x"
    assert task.record.header_names == ("Authorization",)
    await monitor._engine.vault.saved()
    kept = json.loads((tmp_path / "state" / "secrets.json").read_text())
    assert list(kept["s:1"]) == ["Authorization"]
    for path in (tmp_path / "state").glob("transfermon.db*"):
        assert b"s%40cret" not in path.read_bytes()


@pytest.mark.parametrize(
    "digest", ["md5:00", "sha-256:12", "sha-256:" + "g" * 64, "sha-512:" + "0" * 64, "0" * 64]
)
async def test_an_unusable_digest_is_refused(session: Session, digest: str):
    with pytest.raises(ValueError):
        session.download_task("http://127.0.0.1:9/x", expected_digest=digest)
    assert session.tasks.records() == []


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://h/x", Code.UNSUPPORTED_URL),
        ("http://", Code.BAD_URL),
        ("http://h:99999/", Code.BAD_URL),
    ],
)
async def test_an_unusable_address_is_refused(session: Session, url: str, code: Code):
    with pytest.raises(TransferFailure) as refusal:
        session.download_task(url)
    assert refusal.value.code == code


async def test_a_task_made_while_a_wake_is_handled_is_given(monitor: Monitor, session: Session):
    def on_fetch(event: Any) -> None:
        session.download_task("http://192.0.2.1/x", start=False)
        session.download_task("http://192.0.2.1/y", start=False, origin=Origin.TYPED)

    monitor.add_event_listener("backgroundfetch", on_fetch)
    handler = (await monitor.fetch()).handler_id
    await until(lambda: len(session.tasks.records()) == 2)
    assert [record.origin for record in session.tasks.records()] == [Origin.GIVEN, Origin.TYPED]
    assert [record.handler_id for record in session.tasks.records()] == [handler, handler]
    assert session.download_task("http://192.0.2.1/z", start=False).record.origin is Origin.TYPED


async def test_the_same_task_is_the_same_object(session: Session):
    task = session.download_task("http://127.0.0.1:9/x", start=False)
    assert session.task(task.task_identifier) is task
    with pytest.raises(KeyError):
        session.task(99)
    assert repr(task) == "<DownloadTask s:1 suspended>"
    assert repr(session) == "<Session s active 1 outstanding>"


async def test_tasks_are_found_by_their_address(session: Session):
    for path in ("a", "b", "a"):
        session.download_task(f"http://127.0.0.1:9/{path}", start=False)
    assert [task.number for task in session.tasks.records_of("http://127.0.0.1:9/a")] == [1, 3]
    assert session.tasks.records_of("http://127.0.0.1:9/c") == []


# ---- retry and remove


async def test_a_failed_task_runs_again_under_its_number_and_goes_on(
    session: Session, server: ByteServer, resource: Resource
):
    task = await failed(session, server, resource)
    session.tasks.run_of(task.task_identifier).retry()
    assert (await task.wait()).succeeded
    assert server.requests[-1].header("Range") == rest(100_000)
    assert Path(task.record.final_path).read_bytes() == resource.body


async def test_a_retry_may_use_another_address_and_keeps_the_bytes(
    session: Session, server: ByteServer, resource: Resource
):
    task = await failed(session, server, resource)
    session.tasks.run_of(task.task_identifier).retry(server.url("/renewed?token=2"))
    assert (await task.wait()).succeeded
    assert server.requests[-1].target == "/renewed?token=2"
    assert server.requests[-1].header("Range") == rest(100_000)
    assert session.tasks.records_of(server.url("/failed.bin")) == []


@pytest.mark.parametrize("state", ["running", "suspended", "succeeded"])
async def test_only_a_failed_task_can_be_retried(
    session: Session, server: ByteServer, resource: Resource, state: str
):
    if state == "running":
        resource.stall_after = 1
    task = session.download_task(server.url("/a"), start=state != "suspended")
    if state == "succeeded":
        await task.wait()
    before = task.record
    with pytest.raises(InvalidAction):
        session.tasks.run_of(task.task_identifier).retry()
    assert task.record == before


async def test_a_retry_with_an_unusable_address_changes_nothing(
    session: Session, server: ByteServer, resource: Resource
):
    task = await failed(session, server, resource)
    before = task.record
    with pytest.raises(TransferFailure):
        session.tasks.run_of(task.task_identifier).retry("ftp://h/x")
    assert (task.record, session.outstanding) == (before, 0)


async def test_a_removed_task_leaves_no_part_and_no_secret(
    monitor: Monitor,
    session: Session,
    server: ByteServer,
    resource: Resource,
    tmp_path: Path,
    events: list[Event],
):
    resource.cut_after = 100_000
    task = session.download_task(
        server.url("/a"), request_headers={"X-Key": "secret-value"}, maximum_attempts=1
    )
    await task.wait()
    assert list((tmp_path / "downloads").iterdir())
    monitor.commands.remove(task.key)
    monitor.commands.remove(task.key)
    with pytest.raises(InvalidAction):
        monitor.commands.retry(task.key)
    await until(lambda: events[-1].type == "taskremoved")
    assert list((tmp_path / "downloads").iterdir()) == []
    await until(lambda: "secret-value" not in (tmp_path / "state" / "secrets.json").read_text())
    assert [event.type for event in events].count("taskremoved") == 1
    with pytest.raises(KeyError):
        monitor.task(task.key)
    assert task.record.failed  # the object still says how it was


@pytest.mark.parametrize("delete_file", [False, True])
async def test_removing_deletes_the_file_only_if_asked(
    monitor: Monitor, session: Session, server: ByteServer, events: list[Event], delete_file: bool
):
    task = session.download_task(server.url("/a.bin"))
    path = Path((await task.wait()).final_path)
    monitor.commands.remove(task.key, delete_file=delete_file)
    await until(lambda: events[-1].type == "taskremoved")
    assert path.exists() != delete_file
    assert events[-1].to_dict()["fileDeleted"] == delete_file


async def test_a_running_task_is_cancelled_and_then_removed(
    monitor: Monitor,
    session: Session,
    server: ByteServer,
    resource: Resource,
    events: list[Event],
    tmp_path: Path,
):
    resource.stall_after = 50_000
    task = session.download_task(server.url("/a"))
    await until(lambda: task.count_of_bytes_received)
    monitor.commands.remove(task.key)
    monitor.commands.remove(task.key)
    await until(lambda: events[-1].type == "taskremoved")
    told = [event.type for event in events if event.type in ("sessioncompleted", "taskremoved")]
    assert told == ["sessioncompleted", "taskremoved"]
    assert list((tmp_path / "downloads").iterdir()) == []


async def test_a_task_is_removed_once_while_its_listeners_still_run(
    monitor: Monitor, session: Session, server: ByteServer, events: list[Event]
):
    gate = asyncio.Event()

    async def slow(event: Any) -> None:
        monitor.commands.remove(event.task_key)
        await gate.wait()

    monitor.add_event_listener("sessioncompleted", slow)
    task = session.download_task(server.url("/a"))
    await until(lambda: any(event.type == "taskremoved" for event in events))
    gate.set()
    await task.wait()
    await session.download_task(server.url("/other")).wait()
    assert [event.task_key for event in events if event.type == "taskremoved"].count(task.key) == 1


async def test_cancelling_before_the_engine_is_ready_ends_a_task_once(
    tmp_path: Path, settings: Settings, server: ByteServer
):
    async with Monitor.open(str(tmp_path / "state"), settings=settings) as monitor:
        task = monitor.session("s").download_task(server.url("/a"), start=False)
    async with Monitor.open(str(tmp_path / "state"), settings=settings) as monitor:
        events: list[Event] = []
        monitor.subscribe(events.append)
        monitor.commands.cancel(task.key)
        monitor.ready()
        monitor.ready()
        await monitor.handle(task.key).wait()
        await until(lambda: any(event.type == "sessionidle" for event in events))
        assert [event.type for event in events].count("sessioncompleted") == 1
        assert monitor.session("s").outstanding == 0


# ---- changes while an attempt is on its way


async def test_changes_in_the_middle_of_an_attempt_are_kept(
    session: Session, server: ByteServer, resource: Resource
):
    resource.pause, resource.piece = 0.002, 10_000
    task = session.download_task(server.url("/a"))
    wanted = 0
    while task.state is State.RUNNING and wanted < 400:
        wanted += 1
        task.priority = wanted / 1000
        task.task_description = f"change {wanted}"
        await asyncio.sleep(0)
    record = await task.wait()
    assert record.succeeded
    assert (record.priority, record.description) == (wanted / 1000, f"change {wanted}")


async def test_commands_at_every_moment_never_take_a_forbidden_step(
    session: Session, server: ByteServer, resource: Resource, events: list[Event]
):
    allowed = {
        ("running", "suspended"),
        ("suspended", "running"),
        ("running", "canceling"),
        ("suspended", "canceling"),
        ("running", "completed"),
        ("canceling", "completed"),
    }
    resource.body = resource.body[:40_000]
    for turns in range(60):
        task = session.download_task(server.url(f"/{turns}"))
        for turn in range(turns * 2):
            if turn % 7 == 3:
                task.suspend()
            elif turn % 7 == 5:
                task.resume()
            await asyncio.sleep(0)
        if turns % 3 == 0:
            task.cancel()
        for _ in range(turns):
            task.resume()
        await task.wait()
    states: dict[Any, str] = {}
    for event in events:
        if event.task is None or event.task_key is None:
            continue
        before, after = states.get(event.task_key), event.task.state.value
        if before is not None and before != after:
            assert (before, after) in allowed
        states[event.task_key] = after
    assert set(states.values()) == {"completed"}
    assert session.outstanding == 0


# ---- the end of the engine


async def freeze(monitor: Monitor) -> None:
    """Let the database grow no more, as on a full disk."""

    def full(database: Any) -> None:
        (pages,) = database.execute("pragma page_count").fetchone()
        database.execute(f"pragma max_page_count={pages}")

    await monitor._engine.store.read(full)
    monitor.remember("big", "x" * 200_000)
    await until(lambda: monitor.overview.frozen_reason)


async def test_the_engine_ends_although_nothing_can_be_stored(
    tmp_path: Path, settings: Settings, server: ByteServer, resource: Resource
):
    resource.stall_after = 100_000
    async with asyncio.timeout(LIMIT * 2):
        async with Monitor.open(str(tmp_path / "state"), settings=settings) as monitor:
            monitor.ready()
            session = monitor.session("s")
            moving = session.download_task(server.url("/moving"))
            await until(lambda: moving.count_of_bytes_received == 100_000)
            await freeze(monitor)
            unheard: list[Event] = []
            monitor.subscribe(unheard.append)
            late = session.download_task(server.url("/late"))
            session.download_task(server.url("/cancelled"), start=False).cancel()
            moving.suspend()
            assert (moving.state, late.state) == (State.SUSPENDED, State.RUNNING)
        assert [event for event in unheard if event.journalled] == []
        resource.stall_after = None
        async with Monitor.open(str(tmp_path / "state"), settings=settings) as monitor:
            # what was never stored was never promised
            assert [task.number for task in monitor.tasks()] == [1]
            monitor.ready()
            assert (await monitor.handle(moving.key).wait()).succeeded


async def test_a_finished_file_waits_for_the_database_and_the_next_engine_finds_it(
    tmp_path: Path, settings: Settings, server: ByteServer, resource: Resource
):
    async with asyncio.timeout(LIMIT * 2):
        async with Monitor.open(str(tmp_path / "state"), settings=settings) as monitor:
            monitor.ready()
            gate = asyncio.Event()

            async def hold(event: Any) -> None:
                gate.set()
                await freeze(monitor)

            monitor.add_event_listener("downloadcompleted", hold)
            task = monitor.session("s").download_task(server.url("/a.bin"))
            await gate.wait()
            await until(lambda: monitor.overview.frozen_reason)
        async with Monitor.open(str(tmp_path / "state"), settings=settings) as monitor:
            monitor.ready()
            assert (await monitor.handle(task.key).wait()).succeeded
    assert [path.name for path in (tmp_path / "downloads").iterdir()] == ["a.bin"]
    assert (tmp_path / "downloads" / "a.bin").read_bytes() == resource.body


async def test_a_restored_task_is_queued_until_it_runs(
    tmp_path: Path, settings: Settings, server: ByteServer, resource: Resource
):
    resource.stall_after = 100_000
    async with Monitor.open(str(tmp_path / "state"), settings=settings) as monitor:
        monitor.ready()
        task = monitor.session("s").download_task(server.url("/a"))
        await until(lambda: task.activity is Activity.TRANSFERRING)
    async with Monitor.open(str(tmp_path / "state"), settings=settings) as monitor:
        record = monitor.task(task.key)
        assert (record.state, record.activity) == (State.RUNNING, Activity.QUEUED)


async def test_an_invalidated_session_leaves_no_part_and_no_secret(
    monitor: Monitor,
    session: Session,
    server: ByteServer,
    resource: Resource,
    tmp_path: Path,
    events: list[Event],
):
    # nothing that could be resumed
    resource.etag, resource.ranges, resource.cut_after = "", False, 100_000
    task = session.download_task(
        server.url("/a"), request_headers={"X-Key": "secret-value"}, maximum_attempts=1
    )
    assert (await task.wait()).failed
    session.finish_tasks_and_invalidate()
    await until(lambda: events[-1].type == "sessioninvalidated")
    await until(lambda: list((tmp_path / "downloads").iterdir()) == [])
    await monitor._engine.vault.saved()
    assert "secret-value" not in (tmp_path / "state" / "secrets.json").read_text()


async def test_a_task_that_was_overdue_may_be_retried(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    configuration = monitor.session("s").configuration
    configuration.identifier = "impatient"
    configuration.timeout_interval_for_resource = 0.3
    session = monitor.create_session(configuration)
    resource.before = lambda conn, request: bool(
        conn.send(reply(503, {"Retry-After": "60"})) or True  # type: ignore[func-returns-value]
    )
    task = session.download_task(server.url("/a"))
    assert (await task.wait()).failed
    resource.before = None
    session.tasks.run_of(task.task_identifier).retry()
    assert (await task.wait()).succeeded
