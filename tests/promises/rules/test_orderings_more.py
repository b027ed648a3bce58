"""O-09 to O-17: orderings around resume data, invalidation, background delivery and crashes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from tests.helpers.byte_server import ByteServer, Resource
from tests.helpers.recorder import LIMIT, eventually
from tests.helpers.sessions import App, FastLoop, Halves, advance, engine_process
from tests.promises.rules.conftest import OpenMonitor
from tests.promises.rules.test_background_delivery import (
    BRACKET,
    app,
    download,
    headless,
    in_order,
)
from tests.promises.rules.test_events_more import PUSH, stored
from transfermon.engine.monitor import Monitor, Session
from transfermon.gui.window.context import WindowContext
from transfermon.gui.window.notifications import Notifications
from transfermon.model.configuration import BACKGROUND_HANDLER_BUDGET, LISTENER_LIMIT
from transfermon.model.events import Event
from transfermon.storage.settings import Settings
from transfermon.system.notifier import Notifier
from transfermon.system.runners import Runners

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return "asyncio", {"loop_factory": FastLoop}


# ---- O-09


async def test_o09_resume_data_is_stored_before_it_is_given_and_is_that_of_the_event(
    monitor: Monitor, session: Session, server: ByteServer, resource: Resource
):
    resource.before = Halves(resource, 1000)
    here = App(monitor, "sessioncompleted")
    task = session.download_task(server.url("/a"))
    await eventually(lambda: task.count_of_bytes_received == 1000)
    heard_when_given: list[int] = []

    async def take() -> bytes | None:
        data = await task.cancel_by_producing_resume_data()
        heard_when_given.append(len(here.heard))
        return data

    data = await take()
    (event,) = await here.hears("sessioncompleted")
    assert data is not None
    assert heard_when_given == [0]
    assert event.resume_data == data
    assert (event.error_code, event.resumable) == (-999, True)


# ---- O-10, O-11


@pytest.mark.parametrize("way", ["finish_tasks_and_invalidate", "invalidate_and_cancel"])
async def test_o10_o11_the_last_end_then_idle_then_invalidated_then_nothing(
    monitor: Monitor, session: Session, server: ByteServer, resource: Resource, way: str
):
    halves = Halves(resource, 1000)
    resource.before = halves
    here = App(
        monitor,
        "downloadprogress",
        "downloadcompleted",
        "sessioncompleted",
        "sessionidle",
        "sessioninvalidated",
    )

    async def slow(event: Event) -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    monitor.add_event_listener("sessioncompleted", slow)
    tasks = [session.download_task(server.url(f"/{n}")) for n in range(3)]
    await eventually(lambda: all(task.count_of_bytes_received == 1000 for task in tasks))
    getattr(session, way)()
    halves.go.set()
    await here.hears("sessioninvalidated")
    await here.settles()
    ends = [name for name in here.names if name not in ("downloadprogress", "downloadcompleted")]
    assert ends == ["sessioncompleted"] * 3 + ["sessionidle", "sessioninvalidated"]
    assert here.names[-1] == "sessioninvalidated"


# ---- telling, and who is slow


async def test_a_snapshot_holds_everything_up_to_its_sequence_and_later_events_are_greater(
    monitor: Monitor, session: Session, server: ByteServer
):
    later: list[Event] = []
    task = session.download_task(server.url("/a"), start=False)
    monitor.subscribe(later.append)
    snapshot = monitor.overview.snapshot()
    assert [found.key for found in snapshot.tasks] == [task.key]
    assert snapshot.sequence == monitor.sequence
    task.resume()
    await task.wait()
    known = [event for event in later if event.journalled and event.sequence <= snapshot.sequence]
    # decided before, told after it
    assert {event.type for event in known} <= {"sessioncreated", "taskcreated"}
    states = [event for event in later if event.type == "taskstate"]
    assert states
    assert all(event.sequence > snapshot.sequence for event in states)


async def test_a_listener_that_takes_over_thirty_seconds_is_passed_and_logged(
    monitor: Monitor, session: Session, server: ByteServer, caplog: pytest.LogCaptureFixture
):
    begun = asyncio.Event()

    async def endless(event: Event) -> None:
        begun.set()
        await asyncio.Event().wait()

    monitor.add_event_listener("downloadcompleted", endless)
    here = App(monitor, "downloadcompleted", "sessioncompleted")
    task = session.download_task(server.url("/a"))
    await begun.wait()
    await session.flush()
    assert here.heard == []  # registered after the slow one, and waits for it
    advance(LISTENER_LIMIT + 1)
    await task.wait()
    assert here.names == ["downloadcompleted", "sessioncompleted"]
    assert "was passed" in caplog.text


# ---- O-12


async def test_o12_the_success_that_cancels_its_session_is_told_as_a_success_first(
    monitor: Monitor, session: Session, server: ByteServer, resource: Resource
):
    here = App(monitor, "sessioncompleted", "sessioninvalidated")
    resource.before = Halves(resource, 1000)
    others = [session.download_task(server.url(f"/{n}")) for n in range(2)]
    await eventually(lambda: all(task.count_of_bytes_received == 1000 for task in others))
    resource.before = None

    async def cancel(event: Event) -> None:
        session.invalidate_and_cancel()
        await asyncio.sleep(0)

    monitor.add_event_listener("downloadcompleted", cancel)
    winner = session.download_task(server.url("/winner"))
    await here.hears("sessioninvalidated")
    first, *rest, last = here.heard
    assert (first.task_key, first.success) == (winner.key, True)
    assert {(event.task_key, event.error_code) for event in rest} == {
        (task.key, -999) for task in others
    }
    assert last.type == "sessioninvalidated"


# ---- O-13, O-14


async def test_o13_a_delivery_is_a_bracket_around_the_stored_events_in_their_order(
    open_monitor: OpenMonitor, tmp_path: Path, settings: Settings, server: ByteServer
):
    async with headless(tmp_path, settings) as monitor:
        await download(monitor.session("com.example.test"), server, *(f"/{n}" for n in range(5)))
    async with open_monitor(ready=False) as monitor:
        here = App(monitor)
        returned: list[str] = []

        async def slow(event: Event) -> None:
            await asyncio.sleep(0)
            returned.append(event.type)

        for name in ("backgroundtransfer", "downloadcompleted", "sessioncompleted"):
            monitor.add_event_listener(name, slow)
        monitor.add_event_listener(
            "sessioneventscompleted", lambda event: returned.append(event.type)
        )
        monitor.ready()
        (end,) = await here.hears("sessioneventscompleted")
        assert (here.names[0], here.names[-1]) == BRACKET
        assert (returned[0], returned[-1], len(returned)) == (*BRACKET, 12)
        for name in (
            "downloadcompleted",
            "sessioncompleted",
        ):  # a slow listener holds its own task's events only (E-09)
            assert in_order(here.of(name))
        assert end.session_identifier == "com.example.test"
        (begin,) = here.of("backgroundtransfer")
        assert monitor.end_background_handler(begin.handler_id)


async def test_o14_sessions_are_handed_over_in_the_order_in_which_their_last_task_finished(
    open_monitor: OpenMonitor, tmp_path: Path, settings: Settings, server: ByteServer
):
    async with headless(tmp_path, settings) as monitor:
        one, two, three = (
            monitor.session(f"com.example.{name}") for name in ("one", "two", "three")
        )
        for session in (one, two, three, one):
            await download(session, server, "/a")
    async with app(open_monitor) as here:
        await here.hears("sessioneventscompleted", 3)
        order = [event.session for event in here.of("backgroundtransfer")]
        assert order == ["com.example.two", "com.example.three", "com.example.one"]
        for name in order:
            events = [event for event in here.heard if event.session == name]
            assert (events[0].type, events[-1].type) == BRACKET
            assert in_order(events)


# ---- O-15


async def test_o15_wake_ups_come_in_order_of_arrival_with_their_handler_open(monitor: Monitor):
    heard: list[tuple[str, bool]] = []

    def listen(event: Any) -> None:
        heard.append((event.handler_id, event.handler_id in monitor.background.open_handlers))

    monitor.add_event_listener("backgroundfetch", listen)
    monitor.add_event_listener("silentpush", listen)
    sent = [
        (await monitor.fetch()).handler_id,
        (await monitor.push(PUSH % 1)).handler_id,
        (await monitor.fetch()).handler_id,
        (await monitor.push(PUSH % 2)).handler_id,
    ]
    await eventually(lambda: len(heard) == 4)
    assert heard == [(handler, True) for handler in sent]


async def test_o15_a_handler_has_its_thirty_seconds_from_the_event_on(monitor: Monitor):
    here = App(monitor, "silentpush", "backgroundhandlerexpired")
    handler = (await monitor.push(PUSH % 1)).handler_id
    await here.hears("silentpush")
    advance(BACKGROUND_HANDLER_BUDGET - 5)
    await here.settles()
    assert monitor.background.open_handlers == (handler,)
    advance(6)
    (expired,) = await here.hears("backgroundhandlerexpired")
    assert expired.elapsed >= BACKGROUND_HANDLER_BUDGET


# ---- O-16


async def test_o16_the_desktop_hears_of_a_finished_transfer_after_its_listeners(
    qapp: Any, monitor: Monitor, session: Session, server: ByteServer
):
    monitor.preferences.update(notify="task")
    runners = Runners()
    window = cast(WindowContext, None)
    notifications = Notifications(
        monitor, cast(Notifier, None), window, runners, in_background=lambda: False
    )
    leave = monitor.subscribe(notifications.apply)
    begun, go = asyncio.Event(), asyncio.Event()
    order: list[str] = []

    async def slow(event: Event) -> None:
        begun.set()
        await go.wait()
        order.append(event.type)

    monitor.add_event_listener("sessioncompleted", slow)
    monitor.add_event_listener("notification", lambda event: order.append(event.type))
    task = session.download_task(server.url("/a"))
    await begun.wait()
    await session.flush()
    assert order == []
    go.set()
    await task.wait()
    await eventually(lambda: len(order) == 2)
    assert order == ["sessioncompleted", "notification"]
    leave()
    notifications.batches.close()
    await runners.close()


# ---- O-17


COUNTING = """
import os
def count(event):
    with open({log!r}, "a") as log:
        print(event.type, event.event_id, event.sequence, file=log)
        log.flush()
        os.fsync(log.fileno())
for name in ("downloadcompleted", "sessioncompleted"):
    monitor.add_event_listener(name, count)
for number in range(20):
    session.download_task({url!r} + str(number))
print("going", flush=True)
while True:
    await asyncio.sleep(0.001)
    if os.path.exists({log!r}):
        with open({log!r}) as log:
            if len(log.readlines()) >= {enough}:
                os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("enough", [1, 7, 24])
async def test_o17_a_kill_at_any_moment_loses_no_event_and_repeats_only_under_the_same_number(
    open_monitor: OpenMonitor, tmp_path: Path, server: ByteServer, resource: Resource, enough: int
):
    resource.body = b"small" * 100
    log = tmp_path / "heard"
    body = COUNTING.format(log=str(log), url=server.url("/"), enough=enough)
    with engine_process(tmp_path, body) as process:
        await asyncio.to_thread(process.wait, LIMIT)
    before = [
        (kind, event_id, int(number))
        for kind, event_id, number in map(str.split, log.read_text().splitlines())
    ]
    assert len(before) == len(set(before))
    async with app(open_monitor, "downloadcompleted", "sessioncompleted") as here:
        session = here.monitor.session("com.example.quick")
        await eventually(lambda: not session.outstanding)
        await here.settles()
        after = [stored(event) for event in here.heard]
    assert len(after) == len(set(after))
    everything = set(before) | set(after)
    made = len({number for _, _, number in everything})
    assert made == len(everything)  # a number stands for one event only
    ends = [kind for kind, _, _ in everything]
    tasks = here_tasks(session)
    assert ends.count("sessioncompleted") == ends.count("downloadcompleted") == tasks
    async with app(open_monitor) as here:
        await here.settles()
        assert here.heard == []


def here_tasks(session: Session) -> int:
    """Those whose making was durable when the process died; the others nobody was told of."""
    return sum(task.succeeded for task in session.tasks.records())


async def test_o17_a_clean_end_and_a_new_start_repeat_nothing(
    open_monitor: OpenMonitor, server: ByteServer
):
    async with open_monitor() as monitor:
        here = App(monitor)
        await download(monitor.session("com.example.test"), server, "/a", "/b")
        assert len(here.heard) == 4
    async with app(open_monitor) as here:
        await here.settles()
        assert here.heard == []
