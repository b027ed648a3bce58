"""Tasks in general."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import itertools
import math
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, reply
from tests.helpers.recorder import BOTH_LOOPS, LIMIT, Recorder, eventually, recorder_of
from tests.helpers.scripts import answers, stalls
from tests.helpers.sessions import quick_session
from tests.promises.rules.conftest import OpenMonitor
from transfermon.engine.monitor import DownloadTask, Monitor, Session, TransferTask
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.errors import Code, TransferFailure
from transfermon.model.task import UNKNOWN, Activity, State
from transfermon.wire.transport import Transport

pytestmark = pytest.mark.anyio


def code_of(task: TransferTask) -> int:
    assert task.error is not None
    return task.error.code


# ---- T-01, T-02


async def test_t01_numbers_start_at_one_and_grow_in_each_session(
    monitor: Monitor, server: ByteServer
):
    one, two = monitor.session("com.example.one"), monitor.session("com.example.two")
    numbers = [one.download_task(server.url("/a"), start=False).task_identifier for _ in range(3)]
    assert numbers == [1, 2, 3]
    assert all(type(number) is int for number in numbers)
    assert two.download_task(server.url("/a"), start=False).task_identifier == 1


async def test_t01_numbers_are_never_used_again(open_monitor: OpenMonitor, server: ByteServer):
    async with open_monitor() as monitor:
        session = monitor.session("com.example.test")
        for n in range(3):
            await session.download_task(server.url(f"/{n}")).wait()
        for task in session.tasks.records():
            monitor.commands.remove(task.key)
        await recorder_of(monitor).wait_for("taskremoved", count=3)
        assert session.tasks.records() == []
        assert session.download_task(server.url("/a"), start=False).task_identifier == 4
        monitor.commands.remove(session.task(4).key)
        await recorder_of(monitor).wait_for("taskremoved", count=4)
    async with open_monitor() as monitor:
        session = monitor.session("com.example.test")
        assert session.download_task(server.url("/a"), start=False).task_identifier == 5


async def test_t01_a_refused_call_uses_up_no_number(session: Session, server: ByteServer):
    for bad in (
        {"url": ""},
        {"url": server.url("/a"), "priority": 2.0},
        {"url": "ftp://example.org/a"},
    ):
        with pytest.raises((ValueError, TransferFailure)):
            session.download_task(**bad)
    assert session.tasks.records() == []
    assert session.download_task(server.url("/a"), start=False).task_identifier == 1


@BOTH_LOOPS
async def test_t02_a_task_starts_by_itself(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    task = session.download_task(server.url("/a.bin"))
    assert task.state is State.RUNNING
    assert (await task.wait()).succeeded
    assert (downloads / "a.bin").read_bytes() == resource.body


async def test_t02_start_false_waits_for_resume(
    session: Session, server: ByteServer, recorder: Recorder
):
    waiting = session.download_task(server.url("/waiting"), start=False)
    assert waiting.state is State.SUSPENDED
    await session.download_task(server.url("/other")).wait()
    assert [request.target for request in server.requests] == ["/other"]
    assert waiting.resume().state is State.RUNNING
    assert (await waiting.wait()).succeeded


# ---- T-03, T-04, T-05


@pytest.mark.parametrize("times", [1, 2, 5])
async def test_t03_as_many_resumes_as_suspensions(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, times: int
):
    resource.stall_after = 50_000
    task = session.download_task(server.url("/a"))
    await recorder.wait_for("downloadprogress", task)
    for _ in range(times):
        assert task.suspend().state is State.SUSPENDED
    resource.stall_after = None
    for _ in range(times - 1):
        assert task.resume().state is State.SUSPENDED
    assert task.resume().state is State.RUNNING
    for _ in range(3):
        task.resume()  # too many are no-ops
    assert (await task.wait()).succeeded
    assert task.record.suspend_count == 0


async def test_t03_start_false_counts_as_one_suspension(session: Session, server: ByteServer):
    task = session.download_task(server.url("/a"), start=False)
    task.suspend()
    assert task.resume().state is State.SUSPENDED
    assert task.resume().state is State.RUNNING
    assert (await task.wait()).succeeded


async def test_t03_surplus_resumes_are_not_saved_up(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.stall_after = 50_000
    task = session.download_task(server.url("/a"))
    await recorder.wait_for("downloadprogress", task)
    for _ in range(3):
        task.resume()
    assert task.suspend().state is State.SUSPENDED
    await recorder.wait_for_state(task, State.SUSPENDED)


async def test_t03_suspensions_are_counted_across_a_restart(
    open_monitor: OpenMonitor, server: ByteServer
):
    async with open_monitor() as monitor:
        task = monitor.session("com.example.test").download_task(server.url("/a"), start=False)
        task.suspend()
    async with open_monitor() as monitor:
        again = monitor.handle(task.key)
        assert again.resume().state is State.SUSPENDED
        assert again.resume().state is State.RUNNING
        assert (await again.wait()).succeeded


@BOTH_LOOPS
async def test_t03_suspending_and_resuming_in_one_turn_loses_nothing(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    resource.pause, resource.piece = 0.001, 10_000
    task = session.download_task(server.url("/a.bin"))
    for _ in range(6):
        task.suspend().resume()
        seen = len(recorder.events)
        await recorder.until(lambda seen=seen: len(recorder.events) > seen, "something to happen")  # type: ignore[misc]
    assert (await task.wait()).succeeded
    assert (downloads / "a.bin").read_bytes() == resource.body
    assert recorder.of("sessioncompleted")[0].success


async def test_t04_a_suspended_task_sends_no_request_and_takes_no_bytes(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    sent: list[int] = []
    ended = threading.Event()

    def drip(conn: Conn, request: Request) -> bool:
        size = 8_000_000
        conn.send(reply(200, {"Content-Length": str(size), "ETag": '"v1"'}))
        try:
            for _ in range(size // 1000):
                conn.send(b"x" * 1000)
                sent.append(1000)
                conn.server.stopping.wait(0.001)
        except OSError:
            ended.set()
            raise  # the client ended the connection
        return True

    resource.before = drip
    task = session.download_task(server.url("/a"))
    await recorder.wait_for("downloadprogress", task)
    task.suspend()
    await recorder.wait_for_state(task, State.SUSPENDED)
    await eventually(ended.is_set, "the connection to end")
    stored, requests = task.count_of_bytes_received, len(server.requests)
    resource.before = None
    other = session.download_task(server.url("/other"))
    await other.wait()
    assert [request.target for request in server.requests[requests:]] == ["/other"]
    assert task.count_of_bytes_received == stored <= sum(sent)
    assert task.state is State.SUSPENDED


async def test_t04_a_task_suspended_while_it_waits_for_its_retry_sends_nothing(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.before = answers(reply(503, {"Retry-After": "0"}))
    task = session.download_task(server.url("/a"))
    await recorder.until(lambda: task.record.waiting, "the wait for the next attempt")
    task.suspend()
    requests = len(server.requests)
    resource.before = None
    await session.download_task(server.url("/other")).wait()
    assert [request.target for request in server.requests[requests:]] == ["/other"]
    assert task.state is State.SUSPENDED
    assert (await task.resume().wait()).succeeded


async def test_t05_no_timer_runs_while_a_task_is_suspended(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    recorder = recorder_of(monitor)
    resource.stall_after = 50_000
    configuration = SessionConfiguration.background("com.example.timers")
    configuration.timeout_interval_for_request = configuration.timeout_interval_for_resource = 0.6
    session = monitor.create_session(configuration)
    task = session.download_task(server.url("/a"))
    await recorder.wait_for("downloadprogress", task)
    task.suspend()
    witness = session.download_task(server.url("/witness"))  # the same limits, not suspended
    assert not (await witness.wait()).succeeded
    assert code_of(witness) == Code.TIMED_OUT
    assert task.state is State.SUSPENDED
    resource.stall_after = None
    assert (await task.resume().wait()).succeeded
    assert task.record.suspended_seconds > 0.3


async def test_t05_suspended_time_does_not_count_after_a_restart(
    open_monitor: OpenMonitor, server: ByteServer, resource: Resource
):
    resource.stall_after = 50_000
    async with open_monitor() as monitor:
        task = monitor.session("com.example.test").download_task(server.url("/a"))
        await recorder_of(monitor).wait_for("downloadprogress", task)
        task.suspend()
        hour = 3600.0
        monitor._engine.now = lambda clock=monitor._engine.now: clock() + hour  # type: ignore[misc]
        task.resume()
        assert task.record.suspended_seconds == pytest.approx(hour, abs=LIMIT)
    async with open_monitor(ready=False) as monitor:
        assert monitor.task(task.key).suspended_seconds == pytest.approx(hour, abs=LIMIT)


# ---- T-06, T-07, T-08


@BOTH_LOOPS
@pytest.mark.parametrize(
    "when", ["queued", "connecting", "transferring", "suspended", "never started", "retrying"]
)
async def test_t06_cancel_ends_a_task_with_minus_999_wherever_it_is(
    monitor: Monitor, server: ByteServer, resource: Resource, downloads: Path, when: str
):
    recorder = recorder_of(monitor)
    configuration = SessionConfiguration.background("com.example.cancel")
    configuration.http_maximum_connections_per_host = 1
    session = monitor.create_session(configuration)
    resource.stall_after = 50_000
    if when == "queued":
        session.download_task(server.url("/first"))
    if when == "connecting":
        resource.before = stalls()
    if when == "retrying":
        resource.before = answers(reply(503, {"Retry-After": "100"}))
    task = session.download_task(server.url("/a"), start=when != "never started")
    if when in ("transferring", "suspended"):
        await recorder.wait_for("downloadprogress", task)
    if when == "suspended":
        task.suspend()
        await recorder.wait_for_state(task, State.SUSPENDED)
    if when == "connecting":
        await eventually(lambda: server.requests)
    if when == "retrying":
        await recorder.until(lambda: task.record.waiting, "the wait for the next attempt")
    assert task.cancel().state is State.CANCELING
    ended = await recorder.wait_for("sessioncompleted", task)
    assert (ended.success, ended.error_code, task.state) == (False, -999, State.COMPLETED)
    assert ended.message
    assert [e.state for e in recorder.of("taskstate", task)][-1] == "canceling"
    session.invalidate_and_cancel()
    await recorder.wait_for("sessioninvalidated")
    assert not downloads.exists() or list(downloads.iterdir()) == []


@BOTH_LOOPS
async def test_t06_quick_commands_one_after_the_other_end_well(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    resource.pause, resource.piece = 0.001, 20_000
    commands = [
        "suspend",
        "resume",
        "suspend",
        "suspend",
        "resume",
        "resume",
        "cancel",
        "resume",
        "suspend",
    ]
    for turns in range(24):  # the commands meet the attempt at another point of its life each time
        task = session.download_task(server.url(f"/{turns}.bin"))
        for _ in range(turns):
            await asyncio.sleep(0)
        for command in commands:
            getattr(task, command)()
            await asyncio.sleep(0)
        record = await task.wait()
        assert record.error is not None
        assert record.error.code == Code.CANCELLED
        assert len(recorder.of("sessioncompleted", task)) == 1
    await eventually(
        lambda: not downloads.exists() or list(downloads.iterdir()) == [], "no part to stay behind"
    )
    assert session.outstanding == 0


@pytest.mark.parametrize("outcome", ["cancelled", "failed", "succeeded"])
async def test_t07_commands_on_an_ended_task_change_nothing(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, outcome: str
):
    if outcome == "cancelled":
        resource.stall_after = 1
    if outcome == "failed":
        resource.before = answers(reply(404))
    task = session.download_task(server.url("/a"))
    if outcome == "cancelled":
        task.cancel()
    await task.wait()
    before, events, requests = task.record, len(recorder.events), len(server.requests)
    for command in (task.cancel, task.suspend, task.resume, task.cancel):
        command()
    assert await task.cancel_by_producing_resume_data() is None
    resource.stall_after, resource.before = None, None
    await session.download_task(server.url("/other")).wait()
    assert task.record == before
    assert [request.target for request in server.requests[requests:]] == ["/other"]
    assert [event for event in recorder.events[events:] if event.task_key == task.key] == []
    assert len(recorder.of("sessioncompleted", task)) == 1


async def test_t07_commands_on_a_cancelling_task_change_nothing(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.stall_after = 50_000
    task = session.download_task(server.url("/a"))
    await recorder.wait_for("downloadprogress", task)
    task.cancel()
    for command in (task.suspend, task.resume, task.cancel):
        assert command().state is State.CANCELING
    await task.wait()
    assert code_of(task) == Code.CANCELLED
    assert len(recorder.of("sessioncompleted", task)) == 1
    assert len(server.requests) == 1


async def test_t07_a_cancel_meets_a_failure_that_comes_fast(session: Session, recorder: Recorder):
    tasks = [
        session.download_task("http://127.0.0.1:1/refused", maximum_attempts=1) for _ in range(12)
    ]
    for turns, task in enumerate(tasks):
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
    for task in tasks:
        await task.wait()
    for task in tasks:
        assert len(recorder.of("sessioncompleted", task)) == 1


async def test_t07_commands_inside_listeners_of_the_end_change_nothing(
    monitor: Monitor, session: Session, server: ByteServer, recorder: Recorder
):
    tasks: list[DownloadTask] = []

    def meddle(event: Any) -> None:
        for task in tasks:
            task.cancel().resume().suspend().cancel()

    monitor.add_event_listener("sessioncompleted", meddle)
    tasks.append(session.download_task(server.url("/a")))
    assert (await tasks[0].wait()).succeeded
    assert recorder.names(tasks[0]) == ["taskcreated", "downloadcompleted", "sessioncompleted"]


@BOTH_LOOPS
async def test_t08_a_cancel_that_comes_too_late_gives_the_true_result(
    monitor: Monitor,
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
):
    task = session.download_task(server.url("/a.bin"))
    states: list[State] = []

    def cancel(event: Any) -> None:
        task.cancel()
        states.append(task.state)

    monitor.add_event_listener("downloadcompleted", cancel)
    record = await task.wait()
    assert states == [State.CANCELING]
    assert record.succeeded
    assert (downloads / "a.bin").read_bytes() == resource.body
    (ended,) = recorder.of("sessioncompleted", task)
    assert (ended.success, ended.error_code) == (True, 0)


async def test_t08_resume_data_that_is_asked_for_too_late_is_none(
    monitor: Monitor, session: Session, server: ByteServer
):
    task = session.download_task(server.url("/a.bin"))
    asked: list[asyncio.Future[bytes | None]] = []

    async def cancel(event: Any) -> None:
        asked.append(asyncio.ensure_future(task.cancel_by_producing_resume_data()))
        await asyncio.sleep(0)
        assert task.state is State.CANCELING

    monitor.add_event_listener("downloadcompleted", cancel)
    assert (await task.wait()).succeeded
    async with asyncio.timeout(60):
        assert await asked[0] is None


async def test_t08_a_cancel_at_any_moment_of_the_end_gives_one_true_result(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    seen = set()
    for turns in range(40):
        task = session.download_task(server.url(f"/{turns}.bin"))
        await recorder.wait_for_state(task, State.RUNNING, Activity.TRANSFERRING)
        await eventually(
            lambda task=task: task.count_of_bytes_received or task.state is State.COMPLETED  # type: ignore[misc]
        )
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        record = await task.wait()
        (ended,) = recorder.of("sessioncompleted", task)
        whole = downloads / f"{turns}.bin"
        assert ended.success == record.succeeded == whole.exists()
        if ended.success:
            assert whole.read_bytes() == resource.body
        else:
            assert ended.error_code == Code.CANCELLED
        seen.add(ended.success)
    await eventually(
        lambda: all(path.suffix == ".bin" for path in downloads.iterdir()), "no part to stay behind"
    )


async def test_t08_a_suspension_at_any_moment_of_the_end_is_kept_or_comes_too_late(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    for turns in range(40):
        task = session.download_task(server.url(f"/{turns}.bin"))
        await recorder.wait_for_state(task, State.RUNNING, Activity.TRANSFERRING)
        await eventually(
            lambda task=task: task.count_of_bytes_received or task.state is State.COMPLETED  # type: ignore[misc]
        )
        for _ in range(turns):
            await asyncio.sleep(0)
        if task.suspend().state is State.SUSPENDED:
            await recorder.wait_for_state(task, State.SUSPENDED)
            await session.download_task(server.url(f"/other{turns}")).wait()
            assert task.state is State.SUSPENDED
            assert not (downloads / f"{turns}.bin").exists()
            task.resume()
        assert (await task.wait()).succeeded
        assert (downloads / f"{turns}.bin").read_bytes() == resource.body


# ---- T-09


async def test_t09_a_priority_is_a_number_from_zero_to_one(session: Session, server: ByteServer):
    task = session.download_task(server.url("/a"), start=False)
    assert task.priority == 0.5
    for bad in (-0.01, 1.01, math.nan, math.inf):
        with pytest.raises(ValueError):
            task.priority = bad
        with pytest.raises(ValueError):
            session.download_task(server.url("/b"), priority=bad)
    for good in (0.0, 0.25, 0.75, 1.0):
        task.priority = good
        assert task.priority == good
    assert session.outstanding == 1


async def test_t09_the_priority_may_change_at_any_time(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.stall_after = 50_000
    task = session.download_task(server.url("/a"))
    await recorder.wait_for("downloadprogress", task)
    task.priority = 1.0
    task.suspend()
    task.priority = 0.9
    resource.stall_after = None
    task.resume()
    assert (await task.wait()).succeeded
    task.priority = 0.1
    assert task.record.priority == 0.1


async def test_t09_the_highest_priority_starts_first(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    recorder = recorder_of(monitor)
    configuration = SessionConfiguration.background("com.example.queue")
    configuration.http_maximum_connections_per_host = 1
    session = monitor.create_session(configuration)
    resource.stall_after = 1000
    first = session.download_task(server.url("/first"))
    await recorder.wait_for("downloadprogress", first)
    tasks = {
        name: session.download_task(server.url(f"/{name}"), priority=priority)
        for name, priority in [
            ("low", 0.1),
            ("one", 0.5),
            ("two", 0.5),
            ("high", 0.9),
            ("raised", 0.0),
            ("same", 0.5),
        ]
    }
    tasks["raised"].priority = 1.0
    tasks["one"].priority = 0.5  # changes nothing: it keeps its place
    resource.stall_after = None
    first.cancel()
    for task in tasks.values():
        await task.wait()
    order = [request.target.strip("/") for request in server.requests]
    assert order == ["first", "raised", "high", "one", "two", "same", "low"]


# ---- T-11


async def test_t11_unknown_counts_are_minus_one(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    task = session.download_task(server.url("/a"), start=False)
    assert UNKNOWN == -1
    assert task.count_of_bytes_expected_to_receive == -1
    assert task.count_of_bytes_expected_to_send == -1
    assert (task.count_of_bytes_received, task.count_of_bytes_sent) == (0, 0)
    assert (task.progress.completed, task.progress.total, task.progress.fraction) == (0, -1, None)
    gate = threading.Event()

    def unknown_length(conn: Conn, request: Request) -> bool:
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        while not gate.wait(0.01) and not conn.server.stopping.is_set():
            pass
        conn.send(b"0\r\n\r\n")
        return True

    resource.before = unknown_length
    task.resume()
    told = await recorder.wait_for("downloadprogress", task)
    assert (told.total_bytes_written, told.total_bytes_expected_to_write, told.total_known) == (
        5,
        0,
        False,
    )
    assert (task.count_of_bytes_received, task.count_of_bytes_expected_to_receive) == (5, -1)
    gate.set()
    assert (await task.wait()).succeeded
    assert (task.count_of_bytes_received, task.count_of_bytes_expected_to_receive) == (5, 5)


async def test_t11_the_original_request_stays_and_the_current_one_follows_redirects(
    session: Session, server: ByteServer, resource: Resource
):
    resource.before = answers(reply(302, {"Location": "/to/b.bin"}), only="/from")
    task = session.download_task(server.url("/from"))
    assert task.original_request == task.current_request == server.url("/from")
    await task.wait()
    assert task.original_request == server.url("/from")
    assert task.current_request == server.url("/to/b.bin")


# ---- T-12


@pytest.mark.parametrize("limit", [1, 2, 6])
async def test_t12_a_session_opens_no_more_connections_to_a_host_than_allowed(
    monitor: Monitor, server: ByteServer, resource: Resource, limit: int
):
    configuration = SessionConfiguration.background("com.example.limit")
    configuration.http_maximum_connections_per_host = limit
    session = monitor.create_session(configuration)
    resource.pause, resource.piece = 0.002, 50_000
    tasks = [session.download_task(server.url(f"/{n}")) for n in range(14)]
    for task in tasks:
        assert (await task.wait()).succeeded
    assert server.most_open == limit


async def test_t12_where_nobody_set_a_number_many_small_files_get_more_than_six(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    session = monitor.create_session(SessionConfiguration.background("com.example.many"))
    assert session.configuration.http_maximum_connections_per_host == 6
    resource.body = resource.body[:1000]
    tasks = [session.download_task(server.url(f"/{n}")) for n in range(150)]
    for task in tasks:
        assert (await task.wait()).succeeded
    assert 6 < server.most_open <= 16


async def test_t12_a_server_that_says_it_is_too_much_gets_fewer(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    session = quick_session(monitor)
    turns = itertools.count()
    resource.body = resource.body[:1000]

    def refuses_once(conn: Conn, request: Request) -> bool:
        refused = next(turns) == 0
        if refused:
            conn.send(reply(429, {"Retry-After": "0"}))
        return refused

    resource.before = refuses_once
    refused = session.download_task(server.url("/first"))
    assert (await refused.wait()).succeeded
    server.most_open = 0
    for task in [session.download_task(server.url(f"/{n}")) for n in range(20)]:
        assert (await task.wait()).succeeded
    assert server.most_open <= 3


async def test_t12_the_limit_is_per_session_and_the_setting_holds_over_all(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    monitor.preferences.update(running_tasks=5)
    sessions = []
    for name in ("one", "two", "three"):
        configuration = SessionConfiguration.background(f"com.example.{name}")
        configuration.http_maximum_connections_per_host = 2
        sessions.append(monitor.create_session(configuration))
    resource.stall_after = 1000
    for session in sessions:
        for n in range(4):
            session.download_task(server.url(f"/{session.key}/{n}"))
    await eventually(lambda: len(server.requests) == 5)
    per_session = [
        sum(f"/{session.key}/" in r.target for r in server.requests) for session in sessions
    ]
    assert sorted(per_session) == [1, 2, 2]
    monitor.preferences.update(running_tasks=50)
    await eventually(lambda: len(server.requests) == 6)
    assert server.most_open == 6


async def test_t12_redirects_lead_to_no_more_connections(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    configuration = SessionConfiguration.background("com.example.limit")
    configuration.http_maximum_connections_per_host = 2
    session = monitor.create_session(configuration)
    resource.pause, resource.piece = 0.002, 50_000
    resource.before = answers(reply(307, {"Location": "/to"}), only="/from")
    tasks = [session.download_task(server.url(f"/from/{n}")) for n in range(8)]
    for task in tasks:
        assert (await task.wait()).succeeded
    assert server.most_open <= 2


# ---- T-13, T-14


def counting_redirects(conn: Conn, request: Request) -> bool:
    """/N answers with a redirect to /N-1; /0 is the file."""
    left = int(request.target.strip("/"))
    if left:
        conn.send(reply((301, 302, 303, 307, 308)[left % 5], {"Location": f"/{left - 1}"}))
    return left > 0


async def test_t13_twenty_redirects_are_followed_and_the_next_ends_the_task(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    resource.before = counting_redirects
    good = session.download_task(server.url("/20"), destination=downloads / "good")
    assert (await good.wait()).succeeded
    assert len(server.requests) == 21
    assert (downloads / "good").read_bytes() == resource.body
    bad = session.download_task(server.url("/21"), destination=downloads / "bad")
    await bad.wait()
    assert code_of(bad) == -1007
    assert len(server.requests) == 21 + 21
    assert not (downloads / "bad").exists()


async def test_t13_a_circle_of_redirects_ends(
    session: Session, server: ByteServer, resource: Resource
):
    resource.before = answers(reply(302, {"Location": "/round"}))
    task = session.download_task(server.url("/round"))
    await task.wait()
    assert code_of(task) == Code.TOO_MANY_REDIRECTS


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_t14_a_redirect_to_another_origin_drops_what_identifies_the_user(
    monitor: Monitor, server: ByteServer, resource: Resource, status: int
):
    """What says how to read the answer goes along; an API key is a secret whatever it is called."""
    session_headers = {"Cookie": "c=1", "X-Api-Key": "session-secret", "User-Agent": "mine/1"}
    configuration = dataclasses.replace(
        SessionConfiguration.background("com.example.secret"), http_header_fields=session_headers
    )
    with ByteServer(Resource(b"other")) as other:
        resource.before = answers(reply(status, {"Location": other.url("/b")}), only="/away")
        session = monitor.create_session(configuration)
        url = server.url("/away").replace("://", "://user:secret@")
        await session.download_task(url).wait()
        await session.download_task(
            server.url("/away"), request_headers={"authorization": "Bearer t"}
        ).wait()
        await session.download_task(
            server.url("/stays"), request_headers={"Authorization": "Bearer t"}
        ).wait()
        basic = "Basic " + base64.b64encode(b"user:secret").decode()
        assert [r.header("Authorization") for r in server.requests] == [
            basic,
            "Bearer t",
            "Bearer t",
        ]
        assert [r.header("Cookie") for r in server.requests] == ["c=1"] * 3
        assert len(other.requests) == 2
        for request in other.requests:
            assert b"secret" not in request.raw
            assert b"Bearer" not in request.raw
            assert b"c=1" not in request.raw
            assert (request.header("User-Agent"), request.header("Accept")) == ("mine/1", "*/*")


@pytest.fixture
def trusting(monitor: Monitor) -> Monitor:
    """The monitor, with trust in the test authority."""
    monitor._engine.transport = Transport(tls_context=ByteServer.client_context())
    return monitor


@pytest.mark.parametrize("allowed", [False, True])
async def test_t14_a_redirect_from_https_to_http_is_refused_unless_allowed(
    trusting: Monitor, server: ByteServer, resource: Resource, allowed: bool
):
    configuration = SessionConfiguration.background("com.example.secure")
    configuration.allows_insecure_redirects = allowed
    session = trusting.create_session(configuration)

    def away(conn: Conn, request: Request) -> None:
        conn.send(reply(302, {"Location": server.url("/plain")}))

    with ByteServer(away, tls=True) as secure:
        task = session.download_task(
            secure.url("/a"), request_headers={"Authorization": "Bearer t"}
        )
        record = await task.wait()
    if allowed:
        assert record.succeeded
        assert server.requests[0].header("Authorization") == ""
    else:
        assert code_of(task) == -1022
        assert server.requests == []


# ---- T-16


async def test_t16_the_resource_timer_ends_a_task_for_good(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    configuration = SessionConfiguration.background("com.example.limit")
    configuration.timeout_interval_for_resource = 0.4
    session = monitor.create_session(configuration)
    resource.stall_after = 50_000
    task = session.download_task(server.url("/a"))
    record = await task.wait()
    assert code_of(task) == -1001
    assert record.attempt == 1
    assert record.error is not None
    assert not record.error.retryable


async def test_t16_the_resource_timer_ends_a_task_that_waits_for_its_retry(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    configuration = SessionConfiguration.background("com.example.limit")
    configuration.timeout_interval_for_resource = 0.4
    session = monitor.create_session(configuration)
    resource.before = answers(reply(503, {"Retry-After": "100"}))
    task = session.download_task(server.url("/a"))
    async with asyncio.timeout(LIMIT):
        await task.wait()
    assert code_of(task) == -1001


async def test_t16_restarts_of_the_engine_count(
    open_monitor: OpenMonitor, server: ByteServer, resource: Resource
):
    resource.stall_after = 50_000
    async with open_monitor() as monitor:
        task = monitor.session("com.example.test").download_task(server.url("/a"))
        await recorder_of(monitor).wait_for("downloadprogress", task)
        limit = task.session.configuration.timeout_interval_for_resource
    async with open_monitor(ready=False) as monitor:
        monitor._engine.now = lambda clock=monitor._engine.now: clock() + limit + 1  # type: ignore[misc]
        monitor.ready()
        await monitor.handle(task.key).wait()
        assert code_of(monitor.handle(task.key)) == -1001
