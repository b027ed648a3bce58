"""E-09 to E-14: events that outlive a crash, a listener that comes late, and what events look
like.
"""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Resource
from tests.helpers.recorder import eventually
from tests.helpers.sessions import App, FastLoop, Halves, advance, engine_process
from tests.promises.rules.conftest import OpenMonitor
from tests.promises.rules.test_background_delivery import app, download, headless
from transfermon.engine.monitor import TEMPORARY, Monitor, Session
from transfermon.model import events
from transfermon.model.configuration import BACKGROUND_HANDLER_BUDGET, SESSION_HANDLER_LIMIT
from transfermon.model.events import Event
from transfermon.model.task import TaskKey
from transfermon.storage.finished_file import Blob
from transfermon.storage.settings import Settings

pytestmark = pytest.mark.anyio
PUSH = '{"alert": "", "content-available": 1, "number": %d}'


@pytest.fixture
def anyio_backend() -> Any:
    return "asyncio", {"loop_factory": FastLoop}


def stored(event: Event) -> tuple[str, str, int]:
    return event.type, event.event_id, event.sequence


# ---- E-09


async def test_e09_waiting_for_a_task_waits_for_its_listeners(
    monitor: Monitor, session: Session, server: ByteServer
):
    begun, go = asyncio.Event(), asyncio.Event()
    returned: list[str] = []

    async def slow(event: Event) -> None:
        begun.set()
        await go.wait()
        returned.append(event.type)

    monitor.add_event_listener("sessioncompleted", slow)
    task = session.download_task(server.url("/a"))
    await begun.wait()
    waiting = asyncio.ensure_future(task.wait())
    await session.flush()
    assert not waiting.done()
    go.set()
    await waiting
    assert returned == ["sessioncompleted"]


# ---- E-10


LISTENER = """
async def never(event):
    print(event.type, event.event_id, event.sequence, flush=True)
    await asyncio.Event().wait()
monitor.add_event_listener({name!r}, never)
"""
DOWNLOAD = "await session.download_task({url!r}, destination=TEMPORARY).wait()"


async def killed_while_listening(tmp_path: Path, name: str, *lines: str) -> tuple[str, str, int]:
    """Let an engine's process die inside a listener; what that listener was told."""
    with engine_process(tmp_path, "\n".join([LISTENER.format(name=name), *lines])) as process:
        assert process.stdout is not None
        kind, event_id, sequence = (await asyncio.to_thread(process.stdout.readline)).split()
    return kind, event_id, int(sequence)


async def test_e10_a_file_event_that_was_not_acknowledged_is_told_again(
    open_monitor: OpenMonitor, tmp_path: Path, server: ByteServer, resource: Resource
):
    told = await killed_while_listening(
        tmp_path, "downloadcompleted", DOWNLOAD.format(url=server.url("/a"))
    )
    bodies = []
    async with open_monitor(ready=False) as monitor:
        here = App(monitor)
        monitor.add_event_listener(
            "downloadcompleted", lambda event: bodies.append(event.data.read())
        )
        monitor.ready()
        await here.hears("sessioncompleted")
        await here.settles()
        assert here.names == ["downloadcompleted", "sessioncompleted"]
        assert stored(here.heard[0]) == told
        assert here.heard[1].success
        assert here.heard[1].sequence > here.heard[0].sequence
    assert bodies == [resource.body]
    assert len(server.requests) == 1


async def test_e10_an_end_that_was_not_acknowledged_is_told_again_after_each_crash(
    open_monitor: OpenMonitor, tmp_path: Path, server: ByteServer
):
    told = await killed_while_listening(
        tmp_path, "sessioncompleted", DOWNLOAD.format(url=server.url("/a"))
    )
    again = await killed_while_listening(
        tmp_path, "sessioncompleted", "await asyncio.Event().wait()"
    )
    assert again == told
    async with app(open_monitor) as here:
        await here.hears("sessioneventscompleted")
        assert here.names == ["backgroundtransfer", "sessioncompleted", "sessioneventscompleted"]
        assert stored(here.heard[1]) == told
        assert here.heard[1].task == here.monitor.tasks()[0]
    async with app(open_monitor) as here:
        await here.settles()
        assert here.heard == []
    assert len(server.requests) == 1


async def test_e10_a_stored_event_reads_back_as_it_was_told(
    open_monitor: OpenMonitor, tmp_path: Path, settings: Settings, server: ByteServer
):
    told: list[Event] = []
    async with headless(tmp_path, settings) as monitor:
        monitor.subscribe(told.append)
        await download(monitor.session("com.example.test"), server, "/a")
    async with app(open_monitor) as here:
        await here.hears("sessioneventscompleted")
        before = [event.to_dict() for event in told if event.type in events.TERMINAL]
        assert [event.to_dict() for event in here.heard if event.type in events.TERMINAL] == before


# ---- E-11


async def test_e11_each_unfinished_task_says_once_how_far_it_is(
    open_monitor: OpenMonitor, server: ByteServer, resource: Resource
):
    halves = Halves(resource, 1000)
    resource.before = halves
    async with open_monitor() as monitor:
        session = monitor.session("com.example.test")
        paused, never = (
            session.download_task(server.url("/a")),
            session.download_task(server.url("/b"), start=False),
        )
        gone = session.download_task(server.url("/c"), start=False)
        await eventually(lambda: paused.count_of_bytes_received == 1000)
        paused.suspend()
        gone.cancel()
        await gone.wait()
    async with app(open_monitor, "downloadprogress") as here:
        await here.hears("downloadprogress", 2)
        await here.settles()
        one, two = here.heard
        assert (one.task_key, two.task_key) == (paused.key, never.key)
        assert (one.total_bytes_written, one.total_bytes_expected_to_write) == (
            1000,
            len(resource.body),
        )
        assert (one.bytes_written, one.total_known) == (0, True)
        assert (two.total_bytes_written, two.total_known, two["totalBytesExpectedToWrite"]) == (
            0,
            False,
            0,
        )
        journalled = await here.monitor.overview.history()
        assert "downloadprogress" not in {event.type for event in journalled}


async def test_e11_progress_of_a_suspension_is_one_event_on_wake(
    monitor: Monitor, session: Session, server: ByteServer, resource: Resource
):
    halves = Halves(resource, 1000)
    resource.before = halves
    here = App(monitor, "downloadprogress", "downloadcompleted")
    monitor.presence.suspend()
    task = session.download_task(server.url("/a"))
    await eventually(lambda: task.count_of_bytes_received == 1000)
    await here.settles()
    assert here.heard == []
    monitor.presence.wake()
    (event,) = await here.hears("downloadprogress")
    assert (event.task_key, event.total_bytes_written) == (task.key, 1000)
    halves.go.set()
    await task.wait()
    last = here.of("downloadprogress")[-1]
    assert last.total_bytes_written == len(resource.body)
    new = sum(event.bytes_written for event in here.of("downloadprogress"))
    assert new == len(resource.body) - 1000


# ---- E-12


async def test_e12_wake_ups_wait_for_their_first_listener_in_order(monitor: Monitor):
    handlers = [(await monitor.push(PUSH % number)).handler_id for number in range(3)]
    fetch = (await monitor.fetch()).handler_id
    assert set(monitor.background.open_handlers) == {*handlers, fetch}
    here = App(monitor, "silentpush")
    assert here.heard == []  # not before the registering call has returned
    await here.hears("silentpush", 3)
    assert [event.handler_id for event in here.heard] == handlers
    assert [event["number"] for event in here.heard] == [0, 1, 2]
    monitor.add_event_listener("backgroundfetch", here.heard.append)
    (event,) = await here.hears("backgroundfetch")
    assert event.handler_id == fetch
    late = App(monitor, "silentpush", "backgroundfetch")
    await late.settles()
    assert late.heard == []


async def test_e12_listeners_registered_together_all_hear_it(monitor: Monitor):
    await monitor.fetch()
    one, two = App(monitor, "backgroundfetch"), App(monitor, "backgroundfetch")
    await one.hears("backgroundfetch")
    assert one.heard == two.heard


async def test_e12_a_stream_is_a_listener_too(monitor: Monitor):
    handler = (await monitor.fetch()).handler_id
    async for event in monitor.events("backgroundfetch"):
        assert event["handlerId"] == handler
        break


async def test_e12_waiting_ends_with_the_budget(monitor: Monitor):
    ends = App(monitor, "backgroundhandlerexpired")
    handler = (await monitor.push(PUSH % 1)).handler_id
    await ends.settles()
    advance(BACKGROUND_HANDLER_BUDGET + 1)
    (expired,) = await ends.hears("backgroundhandlerexpired")
    assert expired.handler_id == handler
    late = App(monitor, "silentpush")
    await late.settles()
    assert late.heard == []


async def test_e12_a_listener_that_is_gone_again_gets_nothing(monitor: Monitor):
    await monitor.fetch()
    heard: list[Event] = []
    monitor.add_event_listener("backgroundfetch", heard.append)
    monitor.remove_event_listener("backgroundfetch", heard.append)
    here = App(monitor, "silentpush")
    await here.settles()
    assert heard == []
    later = App(monitor, "backgroundfetch")
    await later.hears("backgroundfetch")


async def test_e12_a_background_delivery_waits_for_the_first_listener_with_all_its_events(
    open_monitor: OpenMonitor, tmp_path: Path, settings: Settings, server: ByteServer
):
    async with headless(tmp_path, settings) as monitor:
        await download(monitor.session("com.example.test"), server, "/a")
    async with Monitor.open(str(tmp_path / "state"), settings=settings) as monitor:
        monitor.ready()
        await asyncio.wait_for(monitor.session("com.example.test").flush(), 5)
        here = App(monitor, "sessioneventscompleted", "sessioncompleted", "downloadcompleted")
        await here.settles()
        assert here.heard == []
        monitor.add_event_listener("backgroundtransfer", here.heard.append)
        await here.hears("sessioneventscompleted")
        assert here.names == [
            "backgroundtransfer",
            "downloadcompleted",
            "sessioncompleted",
            "sessioneventscompleted",
        ]


async def test_e12_who_listens_for_the_stored_events_only_does_not_wait(
    tmp_path: Path, settings: Settings, server: ByteServer
):
    async with headless(tmp_path, settings) as monitor:
        await download(monitor.session("com.example.test"), server, "/a")
    async with Monitor.open(str(tmp_path / "state"), settings=settings) as monitor:
        here = App(monitor, "sessioncompleted", "sessioneventscompleted")
        monitor.ready()
        await here.hears("sessioneventscompleted")
        late = App(monitor, "backgroundtransfer")
        await late.hears("backgroundtransfer")
        assert here.names == ["sessioncompleted", "sessioneventscompleted"]


async def test_e12_a_delivery_to_nobody_goes_on_when_its_budget_ends_and_holds_nothing_up(
    tmp_path: Path, settings: Settings, server: ByteServer
):
    async with headless(tmp_path, settings) as monitor:
        await download(monitor.session("com.example.test"), server, "/a")
    async with Monitor.open(str(tmp_path / "state"), settings=settings) as monitor:
        monitor.ready()
        session = monitor.session("com.example.test")
        (new,) = await download(session, server, "/b")
        assert new.record.succeeded
        told: list[str] = []
        monitor.subscribe(lambda event: told.append(event.type))
        advance(SESSION_HANDLER_LIMIT + 1)
        await eventually(lambda: "sessioneventscompleted" in told, "the delivery to go on")
        assert told[0] == "backgroundhandlerexpired"
    async with Monitor.open(str(tmp_path / "state"), settings=settings) as monitor:
        here = App(monitor)
        monitor.ready()
        await here.settles()
        assert here.heard == []


# ---- E-13


COMMON = {"type": str, "eventId": str, "sequence": int, "time": float, "sessionIdentifier": str}
NUMBER = {"taskIdentifier": int}
PROGRESS = {**NUMBER, "attempt": int}
DOCUMENTED: dict[str, dict[str, Any]] = {
    "downloadprogress": {
        **PROGRESS,
        **dict.fromkeys(("bytesWritten", "totalBytesWritten", "totalBytesExpectedToWrite"), int),
        "totalKnown": bool,
        "fraction": (float, type(None)),
        "speed": float,
    },
    "downloadcompleted": {
        **NUMBER,
        "data": (dict, type(None)),
        "location": str,
        "suggestedFilename": str,
    },
    "downloadresumed": {**NUMBER, "fileOffset": int, "expectedTotalBytes": int, "reason": str},
    "mirrordropped": {**NUMBER, "mirror": str, "reason": str},
    "uploadprogress": {
        **PROGRESS,
        **dict.fromkeys(("bytesSent", "totalBytesSent", "totalBytesExpectedToSend"), int),
    },
    "sessioncompleted": {
        **NUMBER,
        "success": bool,
        "errorCode": int,
        "message": str,
        "statusCode": int,
        "reason": str,
        "resumable": bool,
        "responseText": (str, type(None)),
        "cancelReason": (int, type(None)),
    },
    "sessionidle": {"completed": int, "failed": int},
    "sessioninvalidated": {"error": (str, type(None))},
    "backgroundtransfer": {"handlerId": str, "sessionId": str},
    "sessioneventscompleted": {},
    "backgroundfetch": {"handlerId": str, "byHand": bool},
    "silentpush": {"handlerId": str, "byHand": bool, "payload": dict},
    "backgroundhandlerexpired": {"handlerId": str, "kind": str, "elapsed": float},
    "taskwaiting": NUMBER,
    "notification": {
        "alertTitle": str,
        "alertBody": str,
        "userInfo": dict,
        "identifier": str,
        "shown": bool,
        "inFront": str,
    },
}


def check_documented(event: Event) -> None:
    found = event.to_dict()
    wanted = {**COMMON, **DOCUMENTED[event.type]}
    # there it has the ancestors' other name (TR-18)
    if event.session_identifier is None or "sessionId" in wanted:
        del wanted["sessionIdentifier"]
    assert found.keys() == wanted.keys()
    for key, kind in wanted.items():
        value = found[key]
        assert isinstance(value, kind), (event.type, key, value)
        assert not (kind is int and isinstance(value, bool)), (event.type, key, value)
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("name", sorted(DOCUMENTED))
def test_e13_an_event_has_exactly_the_documented_keys_in_the_documented_types(
    name: str, tmp_path: Path
):
    check_documented(events.CLASSES[name](session_identifier="com.example.test"))
    if name != "backgroundtransfer":  # there is none of a default session
        check_documented(events.CLASSES[name]())


@pytest.mark.parametrize("name", sorted(DOCUMENTED))
def test_e13_an_event_read_back_is_the_event(name: str):
    event = events.CLASSES[name](
        session="s", session_identifier="s", sequence=7, event_id="x-7", time=1.5
    )
    assert events.from_dict(event.to_dict(), "s") == event


async def test_e13_live_events_are_as_documented(
    monitor: Monitor, session: Session, server: ByteServer, resource: Resource
):
    seen: dict[str, Event] = {}
    monitor.subscribe(lambda event: seen.update({event.type: event}))
    monitor.presence.suspend()
    await download(session, server, "/a")
    monitor.presence.wake()
    await eventually(lambda: "sessioneventscompleted" in seen)
    monitor.notify("title", "body", user_info={"number": 1})
    await monitor.fetch()
    await monitor.push(PUSH % 1)
    session.finish_tasks_and_invalidate()
    await eventually(
        lambda: "sessioninvalidated" in seen and "silentpush" in seen and "notification" in seen
    )
    assert seen["silentpush"].to_dict().pop("number") == 1
    for name in DOCUMENTED.keys() & seen.keys() - {"silentpush"}:
        check_documented(seen[name])
    data = seen["downloadcompleted"]["data"]
    assert data.keys() == {"path", "mimeType"}
    assert math.isfinite(seen["sessioncompleted"].time)


def test_e13_the_blob_of_an_event_is_a_path_and_a_type(tmp_path: Path):
    file = tmp_path / "a.png"
    file.write_bytes(b"x")
    event = events.DownloadCompletedEvent(data=Blob(str(file), "image/png"), location=str(file))
    assert event["data"] == {"path": str(file), "mimeType": "image/png"}


# ---- E-14


async def test_e14_stored_events_of_tasks_with_the_same_number_do_not_mix(
    open_monitor: OpenMonitor,
    tmp_path: Path,
    settings: Settings,
    server: ByteServer,
    resource: Resource,
):
    bodies = {"com.example.one": b"one" * 1000, "com.example.two": b"two" * 1000}
    async with headless(tmp_path, settings) as monitor:
        for name, body in bodies.items():
            resource.body = body
            await download(monitor.session(name), server, "/a", destination=TEMPORARY)
    found: dict[TaskKey, bytes] = {}
    async with open_monitor(ready=False) as monitor:
        here = App(monitor)
        monitor.add_event_listener(
            "downloadcompleted", lambda event: found.update({event.task_key: event.data.read()})
        )
        monitor.ready()
        await here.hears("sessioneventscompleted", 2)
        for event in here.of("sessioncompleted"):
            assert event.task is not None
            assert event.task.session == event.session
    assert found == {TaskKey(name, 1): body for name, body in bodies.items()}
