"""Sessions and their configuration."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import logging
import weakref
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, reply, rest
from tests.helpers.recorder import BOTH_LOOPS, LIMIT, Recorder, eventually, recorder_of
from tests.promises.rules.conftest import OpenMonitor
from transfermon.engine.monitor import Monitor, Session
from transfermon.engine.session_core import SessionState
from transfermon.model.configuration import REFUSED_HEADERS, USUAL_CONNECTIONS, SessionConfiguration
from transfermon.model.errors import Code, SessionInvalidatedError, SessionInvalidatingError
from transfermon.model.task import State

pytestmark = pytest.mark.anyio


def background(identifier: str = "com.example.one", **changes: Any) -> SessionConfiguration:
    return dataclasses.replace(SessionConfiguration.background(identifier), **changes)


# ---- S-01, S-02


@pytest.mark.parametrize(
    ("identifier", "error"),
    [
        ("", ValueError),
        ("  ", ValueError),
        (None, TypeError),
        (7, TypeError),
        (b"com.example", TypeError),
    ],
)
def test_s01_a_background_configuration_refuses_a_missing_or_empty_identifier(identifier, error):
    with pytest.raises(error):
        SessionConfiguration.background(identifier)


def test_s01_a_background_configuration_has_its_identifier():
    configuration = SessionConfiguration.background("com.example.photos")
    assert configuration.identifier == "com.example.photos"
    assert configuration.is_background


def test_s01_a_background_configuration_needs_an_identifier():
    with pytest.raises(TypeError):
        SessionConfiguration.background()  # type: ignore[call-arg]  # the point of the test


@pytest.mark.parametrize(
    "headers", [["X-A", "1"], "X-A: 1", {"X-A": 1}, {1: "a"}, {"X-A": None}, {b"X-A": b"1"}]
)
async def test_s02_header_fields_of_another_type_raise_type_error(monitor: Monitor, headers):
    with pytest.raises(TypeError):
        monitor.create_session(background(http_header_fields=headers))
    assert monitor.find_session("com.example.one") is None


@pytest.mark.parametrize("how", ["at creation", "assigned"])
async def test_s02_header_fields_are_sent_whenever_they_were_given(
    monitor: Monitor, server: ByteServer, how
):
    if how == "at creation":
        configuration = SessionConfiguration(
            identifier="com.example.one", http_header_fields={"X-App": "photos"}
        )
    else:
        configuration = background()
        configuration.http_header_fields = {"X-App": "photos"}
    task = monitor.create_session(configuration).download_task(server.url("/a"))
    assert (await task.wait()).succeeded
    assert server.requests[0].header("X-App") == "photos"


async def test_s02_header_fields_are_sent_by_the_next_engine_too(
    open_monitor: OpenMonitor, server: ByteServer
):
    async with open_monitor() as monitor:
        session = monitor.create_session(background(http_header_fields={"X-App": "photos"}))
        task = session.download_task(server.url("/a"), request_headers={"X-Own": "1"}, start=False)
        await task.accepted
    async with open_monitor() as monitor:
        monitor.commands.resume(task.key)
        assert (await monitor.handle(task.key).wait()).succeeded
    assert server.requests[0].header("X-App") == "photos"
    assert server.requests[0].header("X-Own") == "1"


# ---- S-03, S-04


async def test_s03_a_request_header_replaces_the_sessions_and_the_session_fills_in_the_rest(
    monitor: Monitor, server: ByteServer
):
    session = monitor.create_session(
        background(http_header_fields={"X-Who": "session", "X-Only": "session"})
    )
    task = session.download_task(
        server.url("/a"), request_headers={"x-who": "request", "X-Extra": "request"}
    )
    await task.wait()
    sent = [
        (name.lower(), value)
        for name, value in server.requests[0].headers
        if name.lower().startswith("x-")
    ]
    assert sorted(sent) == [("x-extra", "request"), ("x-only", "session"), ("x-who", "request")]


async def test_s03_a_given_user_agent_and_accept_replace_our_own(
    monitor: Monitor, server: ByteServer
):
    session = monitor.create_session(background(http_header_fields={"user-agent": "photos/1"}))
    await session.download_task(server.url("/a"), request_headers={"ACCEPT": "image/png"}).wait()
    names = [name.lower() for name, _ in server.requests[0].headers]
    assert len(names) == len(set(names))
    assert server.requests[0].header("User-Agent") == "photos/1"
    assert server.requests[0].header("Accept") == "image/png"


@pytest.mark.parametrize("name", sorted(REFUSED_HEADERS))
@pytest.mark.parametrize("spelling", [str.lower, str.upper, str.title])
async def test_s04_headers_that_are_ours_to_set_are_refused_at_both_levels(
    monitor: Monitor, session, name, spelling
):
    with pytest.raises(ValueError, match="cannot be given"):
        session.download_task("http://127.0.0.1:9/", request_headers={spelling(name): "1"})
    with pytest.raises(ValueError, match="cannot be given"):
        monitor.create_session(
            background("com.example.bad", http_header_fields={spelling(name): "1"})
        )
    assert session.tasks.records() == []
    assert monitor.find_session("com.example.bad") is None


def test_s04_the_refused_headers_are_those_of_the_row():
    row = "Host, Connection, Content-Length, Transfer-Encoding, TE, Upgrade, Range, If-Range"
    assert {name.lower() for name in row.split(", ")} == REFUSED_HEADERS


@pytest.mark.parametrize(
    "headers", [{"X-A": "1\r\nRange: bytes=0-0"}, {"X-A\r\nRange": "1"}, {"X A": "1"}, {"": "1"}]
)
async def test_s04_a_refused_header_cannot_be_smuggled_in(session: Session, headers):
    with pytest.raises(ValueError):
        session.download_task("http://127.0.0.1:9/", request_headers=headers)


# ---- S-05, S-06


async def test_s05_the_session_works_on_a_copy(monitor: Monitor, server: ByteServer):
    configuration = background(http_header_fields={"X-App": "before"})
    session = monitor.create_session(configuration)
    configuration.http_header_fields["X-App"] = "after"
    configuration.http_header_fields["X-New"] = "after"
    configuration.http_maximum_connections_per_host = 1
    configuration.identifier = "com.example.other"
    assert session.identifier == "com.example.one"
    assert session.configuration.http_maximum_connections_per_host == 6
    await session.download_task(server.url("/a")).wait()
    assert server.requests[0].header("X-App") == "before"
    assert server.requests[0].header("X-New") == ""


async def test_s05_the_sessions_configuration_cannot_be_changed(
    monitor: Monitor, server: ByteServer
):
    session = monitor.create_session(background(http_header_fields={"X-App": "before"}))
    own = session.configuration
    own.http_header_fields["X-App"] = "after"
    own.timeout_interval_for_request = 1.0
    own.retry_policy = dataclasses.replace(own.retry_policy, attempts=1)
    assert session.configuration.http_header_fields == {"X-App": "before"}
    assert session.configuration.timeout_interval_for_request == 60.0
    assert session.configuration.retry_policy.attempts == 0
    with pytest.raises(AttributeError):
        session.configuration = own  # type: ignore[misc]  # the point of the test
    await session.download_task(server.url("/a")).wait()
    assert server.requests[0].header("X-App") == "before"


async def test_s06_the_identifier_of_an_active_session_gives_the_identical_object(
    monitor: Monitor, caplog
):
    first = monitor.create_session(background())
    with caplog.at_level(logging.WARNING):
        assert monitor.create_session(background()) is first
    assert caplog.messages == []


@pytest.mark.parametrize(
    "changes",
    [{"http_maximum_connections_per_host": 1}, {"http_header_fields": {"X-App": "other"}}],
)
async def test_s06_differing_settings_are_ignored_with_a_warning(monitor: Monitor, caplog, changes):
    first = monitor.create_session(background(http_header_fields={"X-App": "one"}))
    same = background(http_header_fields={"X-App": "one"})
    with caplog.at_level(logging.WARNING):
        assert monitor.create_session(dataclasses.replace(same, **changes)) is first
    assert ["com.example.one" in message for message in caplog.messages] == [True]
    assert first.configuration.http_maximum_connections_per_host == 6
    assert first.configuration.http_header_fields == {"X-App": "one"}


async def test_s06_default_sessions_are_never_the_same_object(monitor: Monitor):
    first, second = (monitor.create_session(SessionConfiguration.default()) for _ in range(2))
    assert first is not second
    assert first.identifier is None


# ---- S-07, S-08


async def test_s07_a_finishing_identifier_cannot_be_used_until_it_is_invalidated(
    monitor: Monitor, session: Session, server: ByteServer, recorder: Recorder
):
    refused: list[str] = []

    def try_again(when: str) -> None:
        with pytest.raises(SessionInvalidatingError):
            monitor.create_session(background("com.example.test"))
        refused.append(when)

    session.download_task(server.url("/a"))
    for name in ("sessioncompleted", "sessioninvalidated"):
        monitor.add_event_listener(name, lambda event: try_again(event.type))
    session.finish_tasks_and_invalidate()
    try_again("finishing")
    await recorder.wait_for("sessioninvalidated")
    await eventually(lambda: monitor.find_session("com.example.test") is None)
    assert refused == ["finishing", "sessioncompleted", "sessioninvalidated"]
    assert monitor.create_session(background("com.example.test")) is not session


async def test_s08_a_new_session_of_the_same_name_counts_on(
    monitor: Monitor, session: Session, server: ByteServer, recorder: Recorder
):
    used = [session.download_task(server.url(f"/{n}")).task_identifier for n in range(3)]
    session.finish_tasks_and_invalidate()
    await recorder.wait_for("sessioninvalidated")
    await eventually(lambda: monitor.find_session("com.example.test") is None)
    again = monitor.session("com.example.test")
    assert again.state is SessionState.ACTIVE
    assert again.tasks.records() == []
    task = again.download_task(server.url("/after"))
    assert task.task_identifier == max(used) + 1
    assert (await task.wait()).succeeded


async def test_s08_the_numbers_go_on_after_a_restart_too(
    open_monitor: OpenMonitor, server: ByteServer
):
    async with open_monitor() as monitor:
        session = monitor.session("com.example.test")
        last = [session.download_task(server.url(f"/{n}")) for n in range(2)][-1]
        session.invalidate_and_cancel()
        await recorder_of(monitor).wait_for("sessioninvalidated")
    async with open_monitor() as monitor:
        assert monitor.find_session("com.example.test") is None
        task = monitor.session("com.example.test").download_task(server.url("/after"), start=False)
        assert task.task_identifier == last.task_identifier + 1


# ---- S-09


async def test_s09_a_restarted_engine_lists_the_same_outstanding_tasks(
    open_monitor: OpenMonitor, server: ByteServer, resource: Resource
):
    resource.stall_after = 100_000
    async with open_monitor() as monitor:
        recorder = recorder_of(monitor)
        session = monitor.session("com.example.test")
        done = session.download_task(server.url("/done"), start=False)
        moving = session.download_task(server.url("/moving"), description="moves")
        paused = session.download_task(server.url("/paused?q=1"), description="waits", start=False)
        moving.priority = 0.75
        await recorder.wait_for("downloadprogress", moving)
        await eventually(lambda: moving.count_of_bytes_received == 100_000)
        done.cancel()
        await done.wait()
    async with open_monitor(ready=False) as monitor:
        session = monitor.session("com.example.test")
        assert [task.number for task in session.tasks.records() if task.outstanding] == [2, 3]
        first, second = session.task(moving.task_identifier), session.task(paused.task_identifier)
        assert (first.original_request, first.task_description) == (server.url("/moving"), "moves")
        assert (first.state, first.priority) == (State.RUNNING, 0.75)
        assert first.count_of_bytes_received == 100_000
        assert first.count_of_bytes_expected_to_receive == len(resource.body)
        assert (second.original_request, second.task_description) == (
            server.url("/paused?q=1"),
            "waits",
        )
        assert (second.state, second.count_of_bytes_received) == (State.SUSPENDED, 0)
        resource.stall_after = None
        monitor.ready()
        assert (await first.wait()).succeeded
    assert server.requests[-1].header("Range") == rest(100_000)


# ---- S-11, S-12


async def test_s11_finishing_returns_at_once_and_every_task_reaches_its_own_end(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    gate = Gate(resource)
    good, bad = (
        session.download_task(server.url("/good")),
        session.download_task(server.url("/gone")),
    )
    paused = session.download_task(server.url("/paused"), start=False)
    await eventually(lambda: len(server.requests) == 2)
    session.finish_tasks_and_invalidate()
    assert (session.state, session.canceling) == (SessionState.FINISHING, False)
    assert [task.state for task in (good, bad, paused)] == [
        State.RUNNING,
        State.RUNNING,
        State.SUSPENDED,
    ]
    gate.open()
    assert (await good.wait()).succeeded
    record = await bad.wait()
    assert record.error is not None
    assert record.error.code == Code.BAD_SERVER_RESPONSE
    # it waits for that one
    assert (session.state, paused.state) == (SessionState.FINISHING, State.SUSPENDED)
    paused.resume()
    assert (await paused.wait()).succeeded
    await recorder.wait_for("sessioninvalidated")
    assert session.state is SessionState.INVALIDATED


async def test_s11_an_idle_session_is_invalidated_at_once(session: Session, recorder: Recorder):
    session.finish_tasks_and_invalidate()
    await recorder.wait_for("sessioninvalidated")
    session.finish_tasks_and_invalidate()
    session.invalidate_and_cancel()
    assert session.state is SessionState.INVALIDATED


class Gate:
    """Holds all answers of a resource until `open()`; a path with "gone" in it is answered 404."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._held = True
        resource.before = self._wait

    def _wait(self, conn: Conn, request: Request) -> bool:
        while self._held and not conn.server.stopping.wait(0.01):
            pass
        if "gone" in request.target:
            conn.send(reply(404, {}, b"no"))
            return True
        return False

    def open(self) -> None:
        self._held = False


@pytest.mark.parametrize("end", ["finish_tasks_and_invalidate", "invalidate_and_cancel"])
async def test_s12_no_task_can_be_made_after_an_invalidation(
    session: Session, recorder: Recorder, server: ByteServer, end: str
):
    paused = session.download_task(server.url("/paused"), start=False)
    getattr(session, end)()
    before = len(session.tasks.records())
    for make in (
        lambda: session.download_task(server.url("/late")),
        lambda: session.download_task(server.url("/late"), start=False),
        lambda: session.download_task(""),  # the session's end is what is wrong first
        lambda: session.download_task_with_resume_data(b"anything"),
    ):
        with pytest.raises(SessionInvalidatedError):
            make()
    paused.cancel()
    await recorder.wait_for("sessioninvalidated")
    with pytest.raises(SessionInvalidatedError):
        session.download_task(server.url("/late"))
    assert len(session.tasks.records()) == before
    assert server.requests == []


async def test_s12_a_failed_task_cannot_be_retried_after_an_invalidation(
    session: Session, server: ByteServer, resource: Resource
):
    Gate(resource).open()
    failed = session.download_task(server.url("/gone"))
    await failed.wait()
    waiting = session.download_task(server.url("/waiting"), start=False)
    session.finish_tasks_and_invalidate()
    with pytest.raises(SessionInvalidatedError):
        session.tasks.run_of(failed.task_identifier).retry()
    assert failed.state is State.COMPLETED
    waiting.cancel()


# ---- S-13, S-14


@BOTH_LOOPS
async def test_s13_cancelling_a_session_ends_every_task_once_with_minus_999(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.stall_after = 50_000
    limit = USUAL_CONNECTIONS
    # some move, some are queued
    tasks = [session.download_task(server.url(f"/{n}")) for n in range(limit + 4)]
    tasks.append(session.download_task(server.url("/paused"), start=False))
    await eventually(lambda: len(server.requests) == limit)
    session.invalidate_and_cancel()
    session.invalidate_and_cancel()
    assert {task.state for task in tasks} == {State.CANCELING}
    await recorder.wait_for("sessioninvalidated")
    for task in tasks:
        (ended,) = recorder.of("sessioncompleted", task)
        assert (ended.success, ended.error_code) == (False, -999)
    assert await session.get_all_tasks() == []
    requests, events = len(server.requests), len(recorder.events)
    for task in tasks:
        assert task.resume().state is State.COMPLETED
    assert (len(server.requests), len(recorder.events)) == (requests, events)
    assert requests == limit


async def test_s13_finishing_can_be_turned_into_cancelling(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.stall_after = 50_000
    task = session.download_task(server.url("/a"))
    await recorder.wait_for("downloadprogress", task)
    session.finish_tasks_and_invalidate()
    session.invalidate_and_cancel()
    record = await task.wait()
    assert record.error is not None
    assert record.error.code == Code.CANCELLED
    await recorder.wait_for("sessioninvalidated")


async def test_s13_no_partial_file_of_a_cancelled_session_stays_behind(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    resource.cut_after = 20_000  # what was stored before a failure goes too
    for n in range(3):
        session.download_task(server.url(f"/{n}"))
    await recorder.until(
        lambda: len({e.task_key for e in recorder.of("taskstate")}) == 3, "three failures"
    )
    session.invalidate_and_cancel()
    await recorder.wait_for("sessioninvalidated")
    await eventually(lambda: list(downloads.iterdir()) == [])


async def test_s14_invalidated_comes_once_and_last(
    monitor: Monitor, session: Session, server: ByteServer, recorder: Recorder
):
    told: list[str] = []
    for name in ("downloadcompleted", "sessioncompleted", "sessionidle", "sessioninvalidated"):
        monitor.add_event_listener(name, lambda event: told.append(event.type))
    tasks = [session.download_task(server.url(f"/{n}")) for n in range(5)]
    session.finish_tasks_and_invalidate()
    session.finish_tasks_and_invalidate()
    await recorder.wait_for("sessioninvalidated")
    # a later event of the engine shows that nothing else came
    other = monitor.session("com.example.other")
    await other.download_task(server.url("/other")).wait()
    mine = [event.type for event in recorder.events if event.session == session.key]
    assert mine[-2:] == ["sessionidle", "sessioninvalidated"]
    assert mine.count("sessioninvalidated") == 1
    assert mine.count("sessioncompleted") == len(tasks)
    assert told[: 2 * len(tasks) + 2].count("sessioncompleted") == len(tasks)
    assert told[2 * len(tasks) : 2 * len(tasks) + 2] == ["sessionidle", "sessioninvalidated"]


async def test_s14_invalidated_waits_for_slow_listeners_of_the_last_task(
    monitor: Monitor, session: Session, server: ByteServer, recorder: Recorder
):
    hold, order = asyncio.Event(), []

    async def slow(event: Any) -> None:
        await hold.wait()
        order.append("sessioncompleted")

    monitor.add_event_listener("sessioncompleted", slow)
    monitor.add_event_listener(
        "sessioninvalidated", lambda event: order.append("sessioninvalidated")
    )
    session.download_task(server.url("/a"))
    session.finish_tasks_and_invalidate()
    await recorder.wait_for("sessioninvalidated")  # told to observers
    assert order == []
    hold.set()
    await eventually(lambda: order == ["sessioncompleted", "sessioninvalidated"])


async def test_s14_a_removal_is_told_before_the_session_is_invalidated(
    monitor: Monitor, session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.stall_after = 1000
    task = session.download_task(server.url("/a"))
    await eventually(lambda: bool(server.requests))
    session.finish_tasks_and_invalidate()
    monitor.commands.remove(task.key)
    await recorder.wait_for("sessioninvalidated")
    resource.stall_after = None
    await monitor.session("com.example.other").download_task(server.url("/other")).wait()
    mine = [event.type for event in recorder.events if event.session == session.key]
    assert mine[-4:] == ["sessioncompleted", "sessionidle", "taskremoved", "sessioninvalidated"]


# ---- S-15


async def test_s15_an_active_session_lives_without_references_and_can_go_after_its_end(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder
):
    gate = Gate(resource)

    def start() -> weakref.ref[Session]:
        session = monitor.create_session(background())
        for n in range(9):
            session.download_task(server.url(f"/{n}"))
        return weakref.ref(session)

    session = start()
    gc.collect()
    assert session() is not None
    gate.open()
    await recorder.wait_for("sessioncompleted", count=9)
    gc.collect()
    live = session()
    assert live is not None
    live.invalidate_and_cancel()
    del live
    await recorder.wait_for("sessioninvalidated")
    await eventually(
        lambda: gc.collect() is not None and session() is None, "the session to be collected"
    )


async def test_s15_a_session_cancelled_with_tasks_in_the_queue_can_go_too(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.stall_after = 1000
    keeper = monitor.create_session(
        background("com.example.keeper", http_maximum_connections_per_host=8)
    )
    for n in range(monitor.settings.running_tasks):
        keeper.download_task(server.url(f"/k{n}"))  # these hold on to every slot

    def start() -> weakref.ref[Session]:
        session = monitor.create_session(background())
        for n in range(9):
            session.download_task(server.url(f"/{n}"))
        session.invalidate_and_cancel()
        return weakref.ref(session)

    session = start()
    await recorder.wait_for("sessioninvalidated")
    await eventually(
        lambda: gc.collect() is not None and session() is None, "the session to be collected"
    )


# ---- S-19


async def test_s19_all_tasks_are_those_that_run_or_were_suspended_after_a_start(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.stall_after = 50_000
    never = session.download_task(server.url("/never"), start=False)
    running = session.download_task(server.url("/running"))
    paused = session.download_task(server.url("/paused"))
    cancelled = session.download_task(server.url("/cancelled"))
    for task in (running, paused, cancelled):
        await recorder.wait_for("downloadprogress", task)
    paused.suspend()
    cancelled.cancel()
    await cancelled.wait()
    assert await session.get_all_tasks() == [running, paused]
    assert await session.get_tasks() == ([], [], [running, paused])
    never.resume()
    assert await session.get_all_tasks() == [never, running, paused]
    session.invalidate_and_cancel()
    async with asyncio.timeout(LIMIT):
        for task in (never, running, paused):
            await task.wait()
    assert await session.get_all_tasks() == []
