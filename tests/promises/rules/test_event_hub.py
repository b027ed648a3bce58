"""The event hub."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, reply
from tests.helpers.recorder import BOTH_LOOPS, Recorder, eventually, recorder_of
from tests.promises.rules.conftest import OpenMonitor
from transfermon.engine.monitor import TEMPORARY, DownloadTask, Monitor, Session
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.task import State

pytestmark = pytest.mark.anyio

NAMES = (
    "downloadprogress",
    "downloadresumed",
    "downloadcompleted",
    "sessioncompleted",
    "sessionidle",
)


def not_there(conn: Conn, request: Request) -> bool:
    """Paths with "gone" in them are answered 404."""
    if "gone" in request.target:
        conn.send(reply(404, {}, b"no"))
        return True
    return False


# ---- E-01, E-02


async def test_e01_an_application_listener_hears_every_session(
    monitor: Monitor, server: ByteServer
):
    heard: dict[str, list[Any]] = {name: [] for name in NAMES}
    for name, events in heard.items():
        monitor.add_event_listener(name, events.append)
    one, two = monitor.session("com.example.one"), monitor.session("com.example.two")
    default = monitor.create_session(SessionConfiguration.default())
    tasks = [session.download_task(server.url("/a")) for session in (one, two, default)]
    for task in tasks:
        await task.wait()
    await eventually(lambda: len(heard["sessionidle"]) == 3)
    for name in ("downloadprogress", "downloadcompleted", "sessioncompleted", "sessionidle"):
        assert {event.session_identifier for event in heard[name]} == {
            one.identifier,
            two.identifier,
            None,
        }
        assert {event.type for event in heard[name]} == {name}
        for event in heard[name]:
            assert ("sessionIdentifier" in event.to_dict()) == (
                event.session_identifier is not None
            )


async def test_e01_sessions_made_after_the_listener_are_heard_too(
    monitor: Monitor, server: ByteServer
):
    heard: list[Any] = []
    monitor.add_event_listener("sessioncompleted", heard.append)
    task = monitor.session("com.example.later").download_task(server.url("/a"))
    await task.wait()
    assert [event.session_identifier for event in heard] == ["com.example.later"]


async def test_e02_removing_a_listener_stops_only_that_one(
    monitor: Monitor, session: Session, server: ByteServer
):
    first: list[Any] = []
    second: list[Any] = []
    monitor.add_event_listener("sessioncompleted", first.append)
    monitor.add_event_listener("sessioncompleted", second.append)
    monitor.add_event_listener("downloadcompleted", first.append)
    await session.download_task(server.url("/1")).wait()
    monitor.remove_event_listener("sessioncompleted", first.append)
    await session.download_task(server.url("/2")).wait()
    assert [event.type for event in first] == [
        "downloadcompleted",
        "sessioncompleted",
        "downloadcompleted",
    ]
    assert len(second) == 2


async def test_e02_removing_an_unknown_listener_changes_nothing(
    monitor: Monitor, session: Session, server: ByteServer
):
    heard: list[Any] = []
    monitor.add_event_listener("sessioncompleted", heard.append)
    monitor.remove_event_listener("sessioncompleted", print)
    monitor.remove_event_listener("no such event", heard.append)
    monitor.remove_event_listener("downloadcompleted", heard.append)
    await session.download_task(server.url("/1")).wait()
    assert len(heard) == 1


async def test_e02_a_listener_can_remove_itself(
    monitor: Monitor, session: Session, server: ByteServer
):
    heard: list[Any] = []

    def once(event: Any) -> None:
        heard.append(event)
        monitor.remove_event_listener("sessioncompleted", once)

    monitor.add_event_listener("sessioncompleted", once)
    for n in range(3):
        await session.download_task(server.url(f"/{n}")).wait()
    assert len(heard) == 1


# ---- E-03, E-04, E-05


@BOTH_LOOPS
async def test_e03_the_end_of_a_task_carries_what_a_listener_needs(
    monitor: Monitor, session: Session, server: ByteServer, resource: Resource
):
    resource.before = not_there
    heard: list[Any] = []
    monitor.add_event_listener("sessioncompleted", heard.append)
    good, gone = session.download_task(server.url("/a")), session.download_task(server.url("/gone"))
    cancelled = session.download_task(server.url("/b"), start=False).cancel()
    for task in (good, gone, cancelled):
        await task.wait()
    by_number = {event.task_identifier: event for event in heard}
    keys = ("taskIdentifier", "success", "errorCode", "statusCode")
    ends = [
        tuple(by_number[task.task_identifier].to_dict()[key] for key in keys)
        for task in (good, gone, cancelled)
    ]
    assert ends == [(1, True, 0, 200), (2, False, -1011, 404), (3, False, -999, 0)]
    assert by_number[1]["message"] == ""
    assert len(by_number[2]["message"]) > 10
    assert len(by_number[3]["message"]) > 10


async def test_e04_every_started_task_is_reported_exactly_once(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.before = not_there
    make: dict[str, Any] = {
        "good": {},
        "gone": {},
        "cancelled": {},
        "temporary": {"destination": TEMPORARY},
    }
    tasks = {
        name: session.download_task(server.url(f"/{name}"), **options)
        for name, options in make.items()
    }
    tasks["cancelled"].cancel()
    tasks["refused"] = session.download_task("http://127.0.0.1:1/", maximum_attempts=1)
    tasks["spent"] = session.download_task_with_resume_data(b"no resume data")
    for task in tasks.values():
        await task.wait()
    await session.download_task(server.url("/last")).wait()
    for task in tasks.values():
        assert len(recorder.of("sessioncompleted", task)) == 1
    codes = {
        name: recorder.of("sessioncompleted", task)[0].error_code for name, task in tasks.items()
    }
    assert codes == {
        "good": 0,
        "gone": -1011,
        "cancelled": -999,
        "temporary": 0,
        "refused": -1004,
        "spent": -1002,
    }


async def test_e05_idle_comes_each_time_the_last_task_ends(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.before = not_there
    for name in ("a", "b", "gone"):
        session.download_task(server.url(f"/{name}"))
    waiting = session.download_task(server.url("/waiting"), start=False)
    await recorder.wait_for("sessioncompleted", count=3)
    assert recorder.of("sessionidle") == []  # a suspended task is outstanding
    await waiting.resume().wait()
    first = await recorder.wait_for("sessionidle")
    assert (first.completed, first.failed) == (3, 1)
    assert recorder.events.index(first) > recorder.events.index(recorder.of("sessioncompleted")[-1])
    session.download_task(server.url("/again"))
    second = await recorder.wait_for("sessionidle", count=2)
    assert (second.completed, second.failed) == (1, 0)
    session.download_task(server.url("/never"), start=False).cancel()
    third = await recorder.wait_for("sessionidle", count=3)
    assert (third.completed, third.failed) == (0, 1)
    assert len(recorder.of("sessionidle")) == 3


async def test_e05_a_retried_task_makes_the_session_busy_again(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.before = not_there
    task = session.download_task(server.url("/gone"))
    await recorder.wait_for("sessionidle")
    resource.before = None
    session.tasks.run_of(task.task_identifier).retry()
    assert session.outstanding == 1
    idle = await recorder.wait_for("sessionidle", count=2)
    assert (idle.completed, idle.failed, task.record.succeeded) == (1, 0, True)


async def test_e05_each_session_has_its_own_idle(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    recorder = recorder_of(monitor)
    resource.stall_after = 1000
    busy = monitor.session("com.example.busy").download_task(server.url("/busy"))
    await recorder.wait_for("downloadprogress", busy)
    resource.stall_after = None
    await monitor.session("com.example.quick").download_task(server.url("/quick")).wait()
    idle = await recorder.wait_for("sessionidle")
    assert idle.session_identifier == "com.example.quick"
    assert len(recorder.of("sessionidle")) == 1


# ---- E-06


@BOTH_LOOPS
@pytest.mark.parametrize(
    ("outcome", "order"),
    [
        ("success", ["downloadcompleted", "sessioncompleted"]),
        ("failure", ["sessioncompleted"]),
        ("cancel", ["sessioncompleted"]),
        ("resumed", ["downloadresumed", "downloadcompleted", "sessioncompleted"]),
        ("restarted", ["downloadresumed", "downloadcompleted", "sessioncompleted"]),
    ],
)
async def test_e06_the_events_of_a_task_come_in_their_order(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    outcome: str,
    order: list[str],
):
    if outcome == "failure":
        resource.before = not_there
    if outcome in ("cancel", "resumed", "restarted"):
        resource.stall_after = 50_000
    task = session.download_task(server.url("/gone" if outcome == "failure" else "/a"))
    if outcome == "cancel":
        await recorder.wait_for("downloadprogress", task)
        task.cancel()
    if outcome in ("resumed", "restarted"):
        await recorder.wait_for("downloadprogress", task)
        task.suspend()
        resource.stall_after = None
        if outcome == "restarted":
            resource.body, resource.etag = resource.body[::-1], '"v2"'
        task.resume()
    await task.wait()
    own = ("taskcreated", "taskstate", "taskactivity", "downloadprogress")
    assert recorder.names(task, but=own) == order
    told = [
        event.type
        for event in recorder.events
        if event.task_key == task.key and event.type in NAMES
    ]
    heard = [
        event.type for event in recorder.heard if event.task_key == task.key and event.type in NAMES
    ]
    assert told == heard
    if outcome in ("resumed", "restarted"):
        resumed = recorder.of("downloadresumed", task)[0]
        assert resumed.file_offset == (50_000 if outcome == "resumed" else 0)


# ---- E-07, E-08


@pytest.mark.parametrize("later", [False, True])
async def test_e07_a_failing_listener_harms_nobody(
    monitor: Monitor,
    session: Session,
    server: ByteServer,
    resource: Resource,
    downloads: Path,
    caplog,
    later: bool,
):
    heard: list[str] = []

    def fails(event: Any) -> None:
        raise RuntimeError("the listener's own mistake")

    async def fails_later(event: Any) -> None:
        fails(event)

    for name in NAMES:
        monitor.add_event_listener(name, fails_later if later else fails)
        monitor.add_event_listener(name, lambda event: heard.append(event.type))
    with caplog.at_level(logging.ERROR):
        task = session.download_task(server.url("/a.bin"))
        assert (await task.wait()).succeeded
        await eventually(lambda: "sessionidle" in heard)
    assert (downloads / "a.bin").read_bytes() == resource.body
    assert heard[-3:] == ["downloadcompleted", "sessioncompleted", "sessionidle"]
    failures = [record for record in caplog.records if record.exc_info]
    assert len(failures) == len(heard)


async def test_e07_a_failing_observer_harms_nobody(
    monitor: Monitor, session: Session, server: ByteServer, caplog
):
    def fails(event: Any) -> None:
        raise RuntimeError("the observer's own mistake")

    monitor.subscribe(fails)
    assert (await session.download_task(server.url("/a")).wait()).succeeded
    assert "the observer's own mistake" in caplog.text


@BOTH_LOOPS
async def test_e08_listeners_run_one_after_the_other_on_the_loops_thread(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    inside = 0
    most = 0
    threads: set[int] = set()

    def listener(event: Any) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        threads.add(threading.get_ident())
        asyncio.get_running_loop()  # raises off the loop
        inside -= 1

    for name in NAMES:
        monitor.add_event_listener(name, listener)
        monitor.add_event_listener(name, listener)
    sessions = [monitor.session(f"com.example.{n}") for n in range(3)]
    for task in [
        session.download_task(server.url(f"/{n}")) for n in range(4) for session in sessions
    ]:
        await task.wait()
    assert most == 1
    assert threads == {threading.get_ident()}


async def test_e08_a_listener_that_commands_hears_of_it_after_it_returned(
    monitor: Monitor, session: Session, server: ByteServer, recorder: Recorder
):
    log: list[str] = []
    other: list[DownloadTask] = []

    def first(event: Any) -> None:
        log.append(f"begins {event.task_identifier}")
        if not other:
            other.append(session.download_task(server.url("/other"), start=False).cancel())
        log.append(f"ends {event.task_identifier}")

    monitor.add_event_listener("sessioncompleted", first)
    await session.download_task(server.url("/a")).wait()
    await other[0].wait()
    assert log == ["begins 1", "ends 1", "begins 2", "ends 2"]


# ---- E-09


async def test_e09_a_coroutine_listener_is_awaited_before_the_end_is_told(
    monitor: Monitor, session: Session, server: ByteServer, recorder: Recorder
):
    gate, log = asyncio.Event(), []

    async def slow(event: Any) -> None:
        if event.task_identifier == 1:
            await gate.wait()
            log.append(
                f"file {event.task_identifier}: {event.data.size} {session.task(1).state.value}"
            )

    monitor.add_event_listener("downloadcompleted", slow)
    monitor.add_event_listener(
        "sessioncompleted", lambda event: log.append(f"end {event.task_identifier}")
    )
    held = session.download_task(server.url("/held"), destination=TEMPORARY)
    await recorder.wait_for("downloadcompleted", held)
    free = session.download_task(server.url("/free"))
    await free.wait()  # other tasks go on
    assert log == ["end 2"]
    assert held.state is State.RUNNING
    gate.set()
    await held.wait()
    size = held.record.received
    assert log == ["end 2", f"file 1: {size} running", "end 1"]


# ---- E-10


async def test_e10_terminal_events_are_in_the_database_before_they_are_told(
    monitor: Monitor, session: Session, server: ByteServer
):
    found: list[list[int]] = []

    async def look(event: Any) -> None:
        stored = await monitor.overview.history(since=event.sequence - 1)
        found.append([one.sequence for one in stored if one.type == event.type])

    for name in ("downloadcompleted", "sessioncompleted"):
        monitor.add_event_listener(name, look)
    await session.download_task(server.url("/a")).wait()
    assert [len(sequences) for sequences in found] == [1, 1]


# ---- E-14


async def test_e14_tasks_of_the_same_number_never_mix(
    monitor: Monitor, server: ByteServer, resource: Resource, tmp_path: Path
):
    recorder = recorder_of(monitor)
    sizes = {"one": 100_000, "two": 290_000, "three": 1000}

    def own(conn: Conn, request: Request) -> bool:
        name = request.target.split("/")[1]
        conn.send(reply(200, {"X-Name": name}, name.encode() * sizes[name]))
        return True

    resource.before = own
    tasks = {}
    for name in sizes:
        session = monitor.session(f"com.example.{name}")
        tasks[name] = session.download_task(
            server.url(f"/{name}/file"),
            destination=tmp_path / name / "",
            description=name,
            request_headers={"X-Own": name},
        )
        (tmp_path / name).mkdir()
    for name, task in tasks.items():
        record = await task.wait()
        assert task.task_identifier == 1
        assert record.received == len(name) * sizes[name]
        assert record.description == name
        assert record.response is not None
        assert record.response.header("X-Name") == name
        assert Path(record.final_path).read_bytes() == name.encode() * sizes[name]
        (ended,) = recorder.of("downloadcompleted", task)
        assert ended.session_identifier == f"com.example.{name}"
        assert {
            event.total_bytes_expected_to_write for event in recorder.of("downloadprogress", task)
        } == {len(name) * sizes[name]}
    assert {request.header("X-Own") for request in server.requests} == set(sizes)


# ---- tasks that listeners make, and the end of the engine


@BOTH_LOOPS
async def test_e08_tasks_made_inside_listeners_run_like_any_other(
    monitor: Monitor, session: Session, server: ByteServer, recorder: Recorder
):
    def one_more(event: Any) -> None:
        if event.task_identifier < 6:
            session.download_task(server.url(f"/{event.task_identifier + 1}"))

    for name in ("downloadcompleted", "sessioncompleted"):
        monitor.add_event_listener(name, one_more)
    session.download_task(server.url("/1"))
    await recorder.until(
        lambda: session.outstanding == 0 and len(session.tasks.records()) >= 6, "all to end"
    )
    assert all(record.succeeded for record in session.tasks.records())


async def test_e09_the_engine_ends_while_a_listener_waits(
    open_monitor: OpenMonitor, server: ByteServer
):
    started: list[str] = []

    async def never(event: Any) -> None:
        started.append(event.type)
        await asyncio.Event().wait()

    async with open_monitor() as monitor:
        session = monitor.session("com.example.test")
        monitor.add_event_listener("sessioncompleted", never)
        task = session.download_task(server.url("/a"))
        await eventually(lambda: started)
    async with open_monitor() as monitor:
        assert monitor.task(task.key).succeeded


async def test_e09_the_engine_ends_while_a_listener_holds_the_finished_file(
    open_monitor: OpenMonitor, server: ByteServer, monkeypatch
):
    monkeypatch.setattr("transfermon.engine.event_bus.LISTENER_LIMIT", 0.5)
    started: list[str] = []

    async def never(event: Any) -> None:
        started.append(event.type)
        await asyncio.Event().wait()

    async with open_monitor() as monitor:
        session = monitor.session("com.example.test")
        monitor.add_event_listener("downloadcompleted", never)
        task = session.download_task(server.url("/a"))
        await eventually(lambda: started)
    async with open_monitor() as monitor:
        assert (await monitor.handle(task.key).wait()).succeeded


async def test_e07_the_engine_ends_with_tasks_in_every_state(
    open_monitor: OpenMonitor, server: ByteServer, resource: Resource, caplog
):
    resource.stall_after = 50_000
    async with open_monitor() as monitor:
        recorder = recorder_of(monitor)
        session = monitor.session("com.example.test")
        tasks = [session.download_task(server.url(f"/{n}")) for n in range(12)]
        await recorder.wait_for("downloadprogress", tasks[0])
        tasks[1].suspend()
        tasks[2].cancel()
        tasks[3].suspend().resume()
        tasks[4].suspend().cancel()
    states = {}
    async with open_monitor(ready=False) as monitor:
        states = {task.number: task.state for task in monitor.tasks()}
        assert states[2] is State.SUSPENDED
        assert {states[1], states[4], states[6]} == {State.RUNNING}
        resource.stall_after = None
        monitor.ready()
        session = monitor.session("com.example.test")
        session.task(2).resume()
        for number in (3, 5):
            assert (await session.task(number).wait()).failed
        for number in {*range(1, 13)} - {3, 5}:
            assert (await session.task(number).wait()).succeeded
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []
