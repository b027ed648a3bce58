"""B-01 to B-05, B-12: what happened while the app was away, told when it is back."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Resource
from tests.helpers.qt_loop import qt_backend
from tests.helpers.recorder import BOTH_LOOPS, LIMIT, eventually
from tests.helpers.sessions import (
    DELIVERED,
    App,
    FastLoop,
    Halves,
    advance,
    engine_process,
    quick_session,
)
from tests.promises.rules.conftest import OpenMonitor
from transfermon.control.api import Api
from transfermon.engine.handlers import FetchResult
from transfermon.engine.monitor import TEMPORARY, DownloadTask, Monitor, Session
from transfermon.model.configuration import (
    BACKGROUND_HANDLER_BUDGET,
    SESSION_HANDLER_LIMIT,
    SessionConfiguration,
)
from transfermon.model.events import BackgroundTransferEvent, Event
from transfermon.model.task import TaskKey
from transfermon.model.wake_policy import AppState
from transfermon.storage.settings import Settings

pytestmark = pytest.mark.anyio

BRACKET = ("backgroundtransfer", "sessioneventscompleted")


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """A `FastLoop`; with the mark `BOTH_LOOPS` also Qt's loop, whose time cannot be moved."""
    if getattr(request, "param", "asyncio") == "asyncio":
        return "asyncio", {"loop_factory": FastLoop}
    return qt_backend(request.getfixturevalue("qapp"))


@contextlib.asynccontextmanager
async def app(open_monitor: OpenMonitor, *names: str) -> AsyncIterator[App]:
    """The app is started: its listeners are there before it is ready."""
    async with open_monitor(ready=False) as monitor:
        app = App(monitor, *names)
        monitor.ready()
        yield app


@contextlib.asynccontextmanager
async def headless(tmp_path: Path, settings: Settings) -> AsyncIterator[Monitor]:
    """An engine that goes on while no app is there."""
    async with Monitor.open(str(tmp_path / "state"), settings=settings, attached=False) as monitor:
        monitor.ready()
        yield monitor


async def download(
    session: Session, server: ByteServer, *paths: str, **options: Any
) -> list[DownloadTask]:
    tasks = [session.download_task(server.url(path), **options) for path in paths]
    async with asyncio.timeout(LIMIT):
        for task in tasks:
            await task.wait()
    return tasks


def in_order(events: list[Event]) -> bool:
    numbers = [event.sequence for event in events if event.type not in BRACKET]
    return numbers == sorted(numbers) and len(set(numbers)) == len(numbers)


@pytest.fixture
def halves(resource: Resource) -> Iterator[Halves]:
    """Bodies stop in the middle until `go` is set."""
    halves = Halves(resource, 1000)
    resource.before = halves
    yield halves
    halves.go.set()


# ---- B-01


@BOTH_LOOPS
async def test_b01_what_ended_in_a_suspension_is_delivered_on_wake(
    session: Session, monitor: Monitor, server: ByteServer
):
    app = App(monitor)
    monitor.presence.suspend()
    await download(session, server, "/a", "/b")
    await app.settles()
    assert app.heard == []
    monitor.presence.wake()
    await app.hears("sessioneventscompleted")
    first, *between, last = app.names
    assert (first, last) == ("backgroundtransfer", "sessioneventscompleted")
    assert sorted(between) == ["downloadcompleted"] * 2 + ["sessioncompleted"] * 2
    assert in_order(app.heard)
    event = app.heard[0]
    assert monitor.background.open_handlers == (event.handler_id,)
    assert event.handler_id.startswith("Session-")
    assert event.to_dict()["sessionId"] == "com.example.test"


async def test_b01_what_ended_while_the_app_was_gone_is_delivered_at_the_relaunch(
    open_monitor: OpenMonitor,
    tmp_path: Path,
    settings: Settings,
    server: ByteServer,
    resource: Resource,
    halves: Halves,
):
    async with open_monitor() as monitor:
        (task,) = [monitor.session("com.example.test").download_task(server.url("/a"))]
        await task.accepted
    halves.go.set()
    async with headless(tmp_path, settings) as monitor:
        assert (await monitor.handle(task.key).wait()).succeeded
    async with app(open_monitor) as here:
        await here.hears("sessioneventscompleted")
        assert here.names == list(DELIVERED)
        transfer, completed, ended, _ = here.heard
        assert transfer.session_identifier == completed.session_identifier == "com.example.test"
        assert completed.task_key == ended.task_key == task.key
        assert completed.data.read() == resource.body
        assert completed.task == ended.task == here.monitor.task(task.key)
        assert ended.success


@pytest.mark.parametrize("state", list(AppState))
async def test_b01_a_running_app_gets_events_live_and_no_backgroundtransfer(
    monitor: Monitor, session: Session, server: ByteServer, state: AppState
):
    app = App(monitor)
    monitor.presence.set_state(state)
    await download(session, server, "/a")
    await app.settles()
    assert app.names == ["downloadcompleted", "sessioncompleted"]


async def test_b01_nothing_is_announced_while_a_task_of_the_session_is_unfinished(
    open_monitor: OpenMonitor, tmp_path: Path, settings: Settings, server: ByteServer
):
    async with headless(tmp_path, settings) as monitor:
        session = monitor.session("com.example.test")
        session.download_task(server.url("/later"), start=False)
        await download(session, server, "/a")
    async with app(open_monitor) as here:
        await here.hears("sessioncompleted")
        await here.settles()
        assert here.names == ["downloadcompleted", "sessioncompleted"]


async def test_b01_a_wake_without_anything_missed_tells_nothing(
    monitor: Monitor, session: Session, server: ByteServer
):
    await download(session, server, "/a")
    app = App(monitor)
    monitor.presence.suspend()
    monitor.presence.suspend()
    assert monitor.overview.status().app_state == "suspended"
    monitor.presence.wake()
    monitor.presence.wake()
    await app.settles()
    assert app.heard == []
    assert monitor.overview.status().app_state == "foreground"


async def test_b01_events_are_delivered_once_and_not_at_the_launch_after_it(
    open_monitor: OpenMonitor, tmp_path: Path, settings: Settings, server: ByteServer
):
    async with headless(tmp_path, settings) as monitor:
        await download(monitor.session("com.example.test"), server, "/a")
    async with app(open_monitor) as here:
        await here.hears("sessioneventscompleted")
    async with app(open_monitor) as here:
        await here.settles()
        assert here.heard == []


async def test_b01_a_command_without_the_app_leaves_the_events_to_it(
    open_monitor: OpenMonitor, tmp_path: Path, settings: Settings, server: ByteServer
):
    async with headless(tmp_path, settings) as monitor:
        await download(monitor.session("com.example.test"), server, "/a")
    async with open_monitor(ready=False) as monitor:
        command = App(monitor)
        monitor.ready(start_restored=False)
        await command.settles()
        assert command.heard == []
    async with app(open_monitor) as here:
        await here.hears("sessioneventscompleted")


async def test_b01_a_failure_is_delivered_like_a_success(
    open_monitor: OpenMonitor,
    tmp_path: Path,
    settings: Settings,
    server: ByteServer,
    resource: Resource,
):
    async with headless(tmp_path, settings) as monitor:
        task = monitor.session("com.example.test").download_task(server.url("/a"), start=False)
        task.cancel()
        await task.wait()
    async with app(open_monitor) as here:
        await here.hears("sessioneventscompleted")
        assert here.names == ["backgroundtransfer", "sessioncompleted", "sessioneventscompleted"]
        assert here.heard[1].error_code == -999


# ---- B-02


async def test_b02_nothing_is_told_before_the_app_is_ready_nor_in_the_same_turn(
    open_monitor: OpenMonitor, tmp_path: Path, settings: Settings, server: ByteServer
):
    async with headless(tmp_path, settings) as monitor:
        await download(monitor.session("com.example.test"), server, "/a")
        other = monitor.session("com.example.unfinished")  # its events drain without a handler
        other.download_task(server.url("/later"), start=False)
        await download(other, server, "/b")
    async with open_monitor(ready=False) as monitor:
        here = App(monitor)
        await here.settles()
        assert here.heard == []
        monitor.ready()
        session = monitor.create_session(SessionConfiguration.background("com.example.test"))
        assert here.heard == []
        assert session is monitor.find_session("com.example.test")
        await here.hears("sessioneventscompleted")
        await here.hears("sessioncompleted", 2)
        assert in_order([event for event in here.heard if event.session == "com.example.test"])


async def test_b02_a_listener_of_backgroundtransfer_may_take_its_time(
    open_monitor: OpenMonitor, tmp_path: Path, settings: Settings, server: ByteServer
):
    async with headless(tmp_path, settings) as monitor:
        await download(monitor.session("com.example.test"), server, "/a", "/b")
    go = asyncio.Event()
    async with open_monitor(ready=False) as monitor:
        here = App(monitor, "downloadcompleted", "sessioncompleted", "sessioneventscompleted")

        async def prepare(event: BackgroundTransferEvent) -> None:
            await go.wait()
            here.heard.append(event)

        monitor.add_event_listener("backgroundtransfer", prepare)
        monitor.ready()
        await here.settles()
        assert here.heard == []
        go.set()
        await here.hears("sessioneventscompleted")
        assert here.names[0] == "backgroundtransfer"
        assert len(here.heard) == 6


async def test_b02_hundreds_of_events_come_in_their_order(
    open_monitor: OpenMonitor,
    tmp_path: Path,
    settings: Settings,
    server: ByteServer,
    resource: Resource,
):
    resource.body = b"small"
    async with headless(tmp_path, settings) as monitor:
        await download(
            monitor.session("com.example.test"), server, *(f"/{number}" for number in range(150))
        )
    async with app(open_monitor) as here:
        await here.hears("sessioneventscompleted")
        assert len(here.heard) == 302
        assert in_order(here.heard)


# ---- B-03


async def test_b03_one_end_for_each_beginning(
    open_monitor: OpenMonitor, tmp_path: Path, settings: Settings, server: ByteServer
):
    names = ("com.example.one", "com.example.two", "com.example.three")
    async with headless(tmp_path, settings) as monitor:
        for name in names:
            await download(monitor.session(name), server, "/a", "/b")
    async with app(open_monitor) as here:
        await here.hears("sessioneventscompleted", 3)
        await here.settles()
        for name in names:
            events = [event for event in here.heard if event.session == name]
            assert [event.type for event in events if event.type in BRACKET] == list(BRACKET)
            assert (events[0].type, events[-1].type) == BRACKET


async def test_b03_the_end_waits_for_slow_listeners_of_the_stored_events(
    open_monitor: OpenMonitor, tmp_path: Path, settings: Settings, server: ByteServer
):
    async with headless(tmp_path, settings) as monitor:
        await download(monitor.session("com.example.test"), server, "/a")
    go = asyncio.Event()
    async with open_monitor(ready=False) as monitor:
        here = App(monitor)

        async def slow(event: Event) -> None:
            await go.wait()

        monitor.add_event_listener("sessioncompleted", slow)
        monitor.ready()
        await here.hears("sessioncompleted")
        await here.settles()
        assert here.names[-1] == "sessioncompleted"
        go.set()
        await here.hears("sessioneventscompleted")


async def test_b03_without_a_beginning_there_is_no_end(
    monitor: Monitor, session: Session, server: ByteServer
):
    app = App(monitor)
    session.download_task(server.url("/later"), start=False)
    monitor.presence.suspend()
    await download(session, server, "/a")
    monitor.presence.wake()
    await app.hears("sessioncompleted")
    await app.settles()
    assert app.names == ["downloadcompleted", "sessioncompleted"]


async def test_b03_events_that_arise_during_the_delivery_come_after_it(
    monitor: Monitor, session: Session, server: ByteServer
):
    app = App(monitor)
    monitor.presence.suspend()
    (old,) = await download(session, server, "/a")
    begun = asyncio.Event()
    go = asyncio.Event()

    async def prepare(event: Event) -> None:
        begun.set()
        await go.wait()

    monitor.add_event_listener("backgroundtransfer", prepare)
    monitor.presence.wake()
    await begun.wait()
    new = session.download_task(server.url("/b"))
    await eventually(lambda: new.activity.value == "finalizing", "the new one to be told of")
    assert app.names == ["backgroundtransfer"]
    go.set()
    await new.wait()
    assert [getattr(event, "task_identifier", event.type) for event in app.heard] == [
        "backgroundtransfer",
        *[old.task_identifier] * 2,
        "sessioneventscompleted",
        *[new.task_identifier] * 2,
    ]


async def test_b03_a_second_suspension_is_a_second_delivery(
    monitor: Monitor, session: Session, server: ByteServer
):
    app = App(monitor)
    for count in (1, 2):
        monitor.presence.suspend()
        await download(session, server, "/a")
        monitor.presence.wake()
        await app.hears("sessioneventscompleted", count)
    assert app.names == list(DELIVERED) * 2
    first, second = app.of("backgroundtransfer")
    assert first.handler_id != second.handler_id


async def test_b03_a_suspension_in_the_middle_of_a_delivery_waits_for_the_next_one(
    monitor: Monitor, session: Session, server: ByteServer
):
    app = App(monitor)
    begun, go = asyncio.Event(), asyncio.Event()

    async def prepare(event: Event) -> None:
        begun.set()
        await go.wait()

    monitor.add_event_listener("backgroundtransfer", prepare)
    monitor.presence.suspend()
    await download(session, server, "/a")
    monitor.presence.wake()
    await begun.wait()
    monitor.presence.suspend()
    await download(session, server, "/b")
    monitor.presence.wake()
    go.set()
    await app.hears("sessioneventscompleted", 2)
    assert app.names == list(DELIVERED) * 2


# ---- B-04


async def test_b04_a_handler_is_closed_once_and_no_other_with_it(
    open_monitor: OpenMonitor,
    tmp_path: Path,
    settings: Settings,
    server: ByteServer,
    caplog: pytest.LogCaptureFixture,
):
    async with headless(tmp_path, settings) as monitor:
        await download(monitor.session("com.example.one"), server, "/a")
        await download(monitor.session("com.example.two"), server, "/a")
    async with app(open_monitor) as here:
        await here.hears("sessioneventscompleted", 2)
        one, two = (event.handler_id for event in here.of("backgroundtransfer"))
        caplog.set_level(logging.INFO)
        assert here.monitor.end_background_handler(one, FetchResult.NEW_DATA)
        assert not here.monitor.end_background_handler(one)
        assert one in caplog.text
        assert not here.monitor.end_background_handler("Session-unknown")
        assert "Session-unknown" in caplog.text
        assert here.monitor.background.open_handlers == (two,)
        assert here.monitor.end_background_handler(two)


async def test_b04_a_handler_that_is_ended_early_does_not_stop_the_delivery(
    monitor: Monitor, session: Session, server: ByteServer, caplog: pytest.LogCaptureFixture
):
    app = App(monitor)
    monitor.add_event_listener(
        "backgroundtransfer", lambda event: monitor.end_background_handler(event.handler_id)
    )
    monitor.presence.suspend()
    await download(session, server, "/a")
    monitor.presence.wake()
    await app.hears("sessioneventscompleted")
    assert app.names == list(DELIVERED)
    assert "before its events were told" in caplog.text
    assert monitor.background.open_handlers == ()


# ---- B-05


async def test_b05_without_launch_events_the_stored_ones_come_without_an_announcement(
    open_monitor: OpenMonitor, tmp_path: Path, settings: Settings, server: ByteServer
):
    async with headless(tmp_path, settings) as monitor:
        session = quick_session(monitor, session_sends_launch_events=False)
        await download(session, server, "/a")
    async with open_monitor(ready=False) as monitor:
        here = App(monitor)
        await here.settles()
        assert here.heard == []
        monitor.ready()
        monitor.create_session(session.configuration)
        await here.hears("sessioncompleted")
        await here.settles()
        assert here.names == ["downloadcompleted", "sessioncompleted"]
        assert monitor.background.open_handlers == ()


# ---- B-12, section 2.4


async def delivered(monitor: Monitor, session: Session, server: ByteServer, app: App) -> str:
    """One delivery up to its end; the handler stays open."""
    monitor.presence.suspend()
    await download(session, server, "/a")
    monitor.presence.wake()
    await app.hears("sessioneventscompleted")
    (event,) = app.of("backgroundtransfer")
    assert monitor.background.open_handlers == (event.handler_id,)
    return str(event.handler_id)


async def test_b12_a_session_handler_has_thirty_seconds_from_the_end_of_the_delivery(
    monitor: Monitor, session: Session, server: ByteServer
):
    app = App(monitor, *DELIVERED, "backgroundhandlerexpired")
    handler = await delivered(monitor, session, server, app)
    advance(BACKGROUND_HANDLER_BUDGET - 5)
    await app.settles()
    assert monitor.background.open_handlers == (handler,)
    advance(6)
    (expired,) = await app.hears("backgroundhandlerexpired")
    assert (expired.handler_id, expired.kind) == (handler, "backgroundtransfer")
    assert not monitor.end_background_handler(handler)


async def test_b12_a_session_handler_has_two_minutes_in_all(
    monitor: Monitor, session: Session, server: ByteServer
):
    app = App(monitor, *DELIVERED, "backgroundhandlerexpired")

    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(event: Event) -> None:
        begun.set()
        await go.wait()

    monitor.add_event_listener("backgroundtransfer", slow)
    monitor.presence.suspend()
    await download(session, server, "/a")
    monitor.presence.wake()
    await begun.wait()
    advance(SESSION_HANDLER_LIMIT - BACKGROUND_HANDLER_BUDGET / 2)
    go.set()
    await app.hears("sessioneventscompleted")
    assert len(monitor.background.open_handlers) == 1
    advance(BACKGROUND_HANDLER_BUDGET / 2 + 1)
    await app.hears("backgroundhandlerexpired")


async def test_b12_a_handler_that_was_ended_in_time_never_expires(
    monitor: Monitor, session: Session, server: ByteServer
):
    app = App(monitor, *DELIVERED, "backgroundhandlerexpired", "handlerended")
    handler = await delivered(monitor, session, server, app)
    assert monitor.end_background_handler(handler, FetchResult.NEW_DATA)
    advance(SESSION_HANDLER_LIMIT + 1)
    await app.settles()
    (ended,) = app.of("handlerended")
    assert (ended.handler_id, ended.result) == (handler, "new_data")
    assert app.of("backgroundhandlerexpired") == []


async def test_b12_the_foreground_leaves_a_session_handler_open(
    monitor: Monitor, session: Session, server: ByteServer
):
    monitor.presence.set_state(AppState.BACKGROUND)
    app = App(monitor)
    handler = await delivered(monitor, session, server, app)
    monitor.presence.set_state(AppState.FOREGROUND)
    assert monitor.background.open_handlers == (handler,)


# ---- D-09


async def test_d09_a_temporary_file_lives_until_the_app_has_heard_of_it(
    open_monitor: OpenMonitor,
    tmp_path: Path,
    settings: Settings,
    server: ByteServer,
    resource: Resource,
):
    async with headless(tmp_path, settings) as monitor:
        session = monitor.session("com.example.test")
        await download(session, server, "/a", destination=TEMPORARY)
    async with headless(tmp_path, settings):
        pass
    (file,) = (tmp_path / "state" / "parts").iterdir()
    found = []
    async with open_monitor(ready=False) as monitor:
        monitor.add_event_listener(
            "downloadcompleted", lambda event: found.append(event.data.read())
        )
        monitor.ready()
        await eventually(lambda: not file.exists(), "the temporary file to go")
    assert found == [resource.body]


async def test_d09_a_temporary_file_outlives_a_suspension(
    monitor: Monitor, session: Session, server: ByteServer, resource: Resource
):
    monitor.presence.suspend()
    (task,) = await download(session, server, "/a", destination=TEMPORARY)
    file = Path(task.record.final_path)
    assert file.read_bytes() == resource.body
    found = []
    monitor.add_event_listener("downloadcompleted", lambda event: found.append(event.data.read()))
    monitor.presence.wake()
    await eventually(lambda: not file.exists(), "the temporary file to go")
    assert found == [resource.body]


async def test_d09_a_file_that_is_gone_is_told_without_data(
    open_monitor: OpenMonitor, tmp_path: Path, settings: Settings, server: ByteServer
):
    async with headless(tmp_path, settings) as monitor:
        (task,) = await download(monitor.session("com.example.test"), server, "/a")
    Path(task.record.final_path).unlink()
    async with app(open_monitor) as here:
        (event,) = await here.hears("downloadcompleted")
        assert event.data is None
        assert event.location == task.record.final_path


# ---- the rest of section 2.3


async def test_a_push_wakes_a_suspended_app(monitor: Monitor, session: Session, server: ByteServer):
    app = App(monitor, *DELIVERED, "silentpush")
    monitor.presence.suspend()
    await download(session, server, "/a")
    handler = (await monitor.push('{"content-available": 1, "alert": ""}')).handler_id
    (push,) = await app.hears("silentpush")
    await app.hears("sessioneventscompleted")
    assert push.handler_id == handler
    assert not monitor.presence.suspended


async def test_a_default_session_is_told_of_without_an_announcement(
    monitor: Monitor, server: ByteServer
):
    app = App(monitor)
    session = monitor.create_session(SessionConfiguration.default())
    monitor.presence.suspend()
    await download(session, server, "/a")
    monitor.presence.wake()
    await app.hears("sessioncompleted")
    await app.settles()
    assert app.names == ["downloadcompleted", "sessioncompleted"]


async def test_what_belongs_to_no_session_is_told_in_a_suspension_too(monitor: Monitor):
    app = App(monitor, "notification", "handlerended")
    handler = (await monitor.fetch()).handler_id
    monitor.presence.suspend()
    monitor.notify("title", "body")
    monitor.end_background_handler(handler)
    await app.hears("handlerended")
    assert app.names == ["notification", "handlerended"]


async def test_the_window_sees_a_suspension_from_outside(
    monitor: Monitor, session: Session, server: ByteServer, recorder: Any
):
    monitor.presence.suspend()
    (task,) = await download(session, server, "/a")
    assert recorder.names(task)[-2:] == ["downloadcompleted", "sessioncompleted"]
    monitor.presence.wake()
    await recorder.wait_for("sessioneventscompleted")
    assert len(recorder.of("sessioncompleted", task)) == 1


async def test_a_suspended_session_that_was_invalidated_tells_its_end_on_wake(
    monitor: Monitor, session: Session, server: ByteServer
):
    app = App(monitor, *DELIVERED, "sessioninvalidated")
    monitor.presence.suspend()
    await download(session, server, "/a")
    session.finish_tasks_and_invalidate()
    await app.settles()
    monitor.presence.wake()
    await app.hears("sessioninvalidated")
    assert in_order(app.heard)
    await eventually(lambda: monitor.find_session(session.key) is None)


async def test_a_session_that_was_invalidated_while_the_app_was_gone_tells_its_end(
    open_monitor: OpenMonitor, tmp_path: Path, settings: Settings, server: ByteServer
):
    async with headless(tmp_path, settings) as monitor:
        session = monitor.session("com.example.test")
        await download(session, server, "/a")
        session.finish_tasks_and_invalidate()
        await eventually(lambda: monitor.find_session("com.example.test") is None)
    async with app(open_monitor, *DELIVERED, "sessioninvalidated") as here:
        await here.hears("sessioninvalidated")
        assert here.names == ["downloadcompleted", "sessioncompleted", "sessioninvalidated"]


async def test_the_end_of_an_engine_does_not_wait_for_a_delivery_that_waits(
    open_monitor: OpenMonitor, tmp_path: Path, settings: Settings, server: ByteServer
):
    async with headless(tmp_path, settings) as monitor:
        await download(monitor.session("com.example.test"), server, "/a")
    async with open_monitor(ready=False) as monitor:
        here = App(monitor, "sessioncompleted")
        begun = asyncio.Event()

        async def never(event: Event) -> None:
            begun.set()
            await asyncio.Event().wait()

        monitor.add_event_listener("backgroundtransfer", never)
        monitor.ready()
        await begun.wait()
        session = monitor.session("com.example.test")
        new = session.download_task(server.url("/b"))
        await eventually(lambda: new.activity.value == "finalizing", "the new one to finish")
    assert here.heard == []
    async with app(open_monitor) as later:
        await later.hears("sessioneventscompleted")
        await later.hears("sessioncompleted", 2)
        assert {event.task_key for event in later.of("downloadcompleted")} == {
            TaskKey("com.example.test", 1),
            TaskKey("com.example.test", 2),
        }


async def test_a_killed_suspended_app_finds_its_events(
    open_monitor: OpenMonitor, tmp_path: Path, server: ByteServer
):
    body = f"""
monitor.presence.suspend()
await session.download_task({server.url("/a")!r}).wait()
print("done", flush=True)
await asyncio.Event().wait()
"""
    with engine_process(tmp_path, body) as process:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "done\n"
    async with app(open_monitor) as here:
        await here.hears("sessioneventscompleted")
        assert here.names == list(DELIVERED)


async def test_b17_a_suspension_is_simulated_through_the_control_api(
    monitor: Monitor, session: Session, server: ByteServer
):
    here = App(monitor)
    api = Api(monitor)
    assert (await api.answer("POST", "/v1/simulate/suspend")).body == {"suspended": True}
    await download(session, server, "/a")
    await here.settles()
    assert here.heard == []
    assert (await api.answer("POST", "/v1/simulate/wake")).body == {"suspended": False}
    await here.hears("sessioneventscompleted")
    assert (await api.answer("GET", "/v1/simulate/wake")).status == 405
    assert (await api.answer("POST", "/v1/simulate/rain")).status == 404


def test_the_defaults_are_those_of_section_2_4():
    assert (BACKGROUND_HANDLER_BUDGET, SESSION_HANDLER_LIMIT) == (30.0, 120.0)
    assert (
        dataclasses.asdict(SessionConfiguration.background("x"))["session_sends_launch_events"]
        is True
    )
