"""When a task begins, how long it waits, and what it waits for (T-10, T-15 to T-18)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Resource, rest
from tests.helpers.recorder import BOTH_LOOPS, LIMIT, Recorder, eventually, recorder_of
from tests.helpers.sessions import code_of, default_session, quick_session, silent
from tests.promises.rules.conftest import OpenMonitor
from transfermon.engine.monitor import Monitor, Session
from transfermon.model.errors import InvalidAction
from transfermon.model.task import Activity, State
from transfermon.system.network_status import Connectivity, Policy
from transfermon.text.humanize import status

pytestmark = pytest.mark.anyio
# leads to this machine, but does not look like it: a task for it needs the network
ELSEWHERE = "0.0.0.0"


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


# ---- T-10


@BOTH_LOOPS
async def test_t10_no_connection_is_opened_before_the_earliest_begin_date(
    session: Session, server: ByteServer, recorder: Recorder
):
    begin = soon(2)
    task = session.download_task(server.url("/later"), earliest_begin_date=begin)
    await session.download_task(server.url("/now")).wait()
    assert server.connections == 1
    assert (task.state, task.activity) == (State.RUNNING, Activity.WAITING_UNTIL)
    assert task.record.waiting_until == begin.timestamp()
    assert (await task.wait()).succeeded
    later = next(request for request in server.requests if request.target == "/later")
    assert later.time >= server.requests[0].time
    assert datetime.now(UTC) >= begin
    assert task.record.started is not None
    # a timer of Qt's may be early by some milliseconds
    assert task.record.started >= begin.timestamp() - 0.05


async def test_t10_the_date_is_set_before_the_first_resume_and_never_after(
    session: Session, server: ByteServer
):
    task = session.download_task(server.url("/a"), start=False)
    assert task.earliest_begin_date is None
    begin = soon(3600)
    task.earliest_begin_date = begin
    assert task.earliest_begin_date is not None
    assert abs(task.earliest_begin_date - begin) < timedelta(milliseconds=1)
    task.resume()
    with pytest.raises(InvalidAction):
        task.earliest_begin_date = None
    assert task.activity is Activity.WAITING_UNTIL
    assert status(task.record, task.record.added).startswith("Starts in ")
    done = session.download_task(server.url("/b"))
    await done.wait()
    with pytest.raises(InvalidAction):
        done.earliest_begin_date = begin
    assert [request.target for request in server.requests] == ["/b"]


async def test_t10_a_default_session_ignores_the_date(monitor: Monitor, server: ByteServer):
    task = default_session(monitor).download_task(server.url("/a"), earliest_begin_date=soon(3600))
    assert (await task.wait()).succeeded


async def test_t10_the_date_holds_over_a_restart_of_the_engine(
    open_monitor: OpenMonitor, server: ByteServer
):
    begin = soon(3600)
    async with open_monitor() as monitor:
        key = (
            monitor.session("com.example.test")
            .download_task(server.url("/a"), earliest_begin_date=begin)
            .key
        )
    async with open_monitor() as monitor:
        task = monitor.handle(key)
        assert task.activity is Activity.WAITING_UNTIL
        assert server.connections == 0
    async with open_monitor(ready=False) as monitor:
        monitor._engine.now = lambda clock=monitor._engine.now: clock() + 3601  # type: ignore[misc]
        monitor.ready()
        assert (await monitor.handle(key).wait()).succeeded


async def test_t10_a_task_that_waits_for_its_time_can_be_suspended_and_cancelled(
    session: Session, server: ByteServer
):
    task = session.download_task(server.url("/a"), earliest_begin_date=soon(3600))
    task.suspend()
    assert task.state is State.SUSPENDED
    task.resume()
    assert task.activity is Activity.WAITING_UNTIL
    task.cancel()
    await task.wait()
    assert code_of(task) == -999
    assert server.connections == 0


# ---- T-15


async def test_t15_a_default_session_fails_when_nothing_arrives(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    resource.stall_after = 50_000
    task = default_session(monitor, timeout_interval_for_request=0.2).download_task(
        server.url("/a")
    )
    async with asyncio.timeout(LIMIT):
        await task.wait()
    assert code_of(task) == -1001
    assert len(server.requests) == 1


async def test_t15_a_background_session_tries_again(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    resource.stall_after = 50_000
    task = quick_session(monitor, timeout_interval_for_request=0.2).download_task(
        server.url("/a.bin")
    )
    waiting = await recorder.wait_for("taskstate", task)
    assert waiting.activity == "retrying"
    resource.stall_after = None
    assert (await task.wait()).succeeded
    assert server.requests[1].header("Range") == rest(50_000)
    assert (downloads / "a.bin").read_bytes() == resource.body


async def test_t15_every_chunk_starts_the_timer_anew(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    resource.piece, resource.pause = 50_000, 0.1  # in all much longer than the limit
    task = default_session(monitor, timeout_interval_for_request=0.3).download_task(
        server.url("/a")
    )
    assert (await task.wait()).succeeded
    assert len(server.requests) == 1


async def test_t15_a_server_that_never_answers_is_silent_too(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    resource.before = silent
    task = default_session(monitor, timeout_interval_for_request=0.2).download_task(
        server.url("/a")
    )
    await task.wait()
    assert code_of(task) == -1001


# ---- T-16


async def test_t16_the_resource_timer_ends_a_task_however_often_it_tries(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    session = quick_session(monitor, timeout_interval_for_resource=3.0)
    # what a first transfer loads is loaded
    assert (await session.download_task(server.url("/first")).wait()).succeeded
    resource.cut_after = 1
    task = session.download_task(server.url("/a"))
    async with asyncio.timeout(LIMIT):
        record = await task.wait()
    assert code_of(task) == -1001
    assert record.attempt > 1
    await session.download_task(server.url("/b")).wait()
    asked = sum(request.target == "/a" for request in server.requests)
    assert asked <= record.attempt, "the last one may have been ended before it was sent"


async def test_t16_it_ends_a_task_that_waits_for_the_network(
    monitor: Monitor,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    connectivity: Connectivity,
):
    resource.stall_after = 50_000
    # the first bytes come before that
    session = quick_session(monitor, timeout_interval_for_resource=2.0)
    task = session.download_task(server.url("/a", ELSEWHERE))
    await recorder.wait_for("downloadprogress", task)
    connectivity.update(False)
    await recorder.wait_for_state(task, State.RUNNING, Activity.WAITING_FOR_CONNECTIVITY)
    async with asyncio.timeout(LIMIT):
        await task.wait()
    assert code_of(task) == -1001


# ---- T-17


@BOTH_LOOPS
async def test_t17_a_background_task_waits_and_starts_when_the_network_returns(
    session: Session, server: ByteServer, recorder: Recorder, connectivity: Connectivity
):
    connectivity.update(False)
    task = session.download_task(server.url("/a", ELSEWHERE))
    assert task.activity is Activity.WAITING_FOR_CONNECTIVITY
    assert "no network" in status(task.record, 0)
    near = session.download_task(server.url("/near"))
    assert (await near.wait()).succeeded  # this machine needs no network
    assert len(server.requests) == 1
    connectivity.update(True)
    assert (await task.wait()).succeeded
    assert task.record.attempt == 1  # none was counted while it waited
    assert recorder.of("taskwaiting") == []  # default sessions only


async def test_t17_a_running_task_waits_when_the_network_goes_and_resumes(
    monitor: Monitor,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    connectivity: Connectivity,
    downloads: Path,
):
    resource.stall_after = 50_000
    task = quick_session(monitor).download_task(server.url("/a.bin", ELSEWHERE))
    await recorder.wait_for("downloadprogress", task)
    connectivity.update(False)
    await recorder.wait_for_state(task, State.RUNNING, Activity.WAITING_FOR_CONNECTIVITY)
    resource.stall_after = None
    assert len(server.requests) == 1
    connectivity.update(True)
    assert (await task.wait()).succeeded
    assert (downloads / "a.bin").read_bytes() == resource.body
    assert server.requests[1].header("Range")
    assert task.record.restarts == 0


async def test_t17_a_transfer_that_cannot_be_resumed_is_not_thrown_away(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    connectivity: Connectivity,
):
    resource.etag, resource.ranges = "", False
    resource.piece, resource.pause = 50_000, 0.02
    task = session.download_task(server.url("/a", ELSEWHERE))
    await recorder.wait_for("downloadprogress", task)
    connectivity.update(False)
    connectivity.update(True)
    assert (await task.wait()).succeeded
    assert len(server.requests) == 1


async def test_t17_queued_tasks_wait_too_and_all_start_again(
    monitor: Monitor,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    connectivity: Connectivity,
):
    resource.stall_after = 50_000
    session = quick_session(monitor, http_maximum_connections_per_host=1)
    tasks = [session.download_task(server.url(f"/{n}", ELSEWHERE)) for n in range(4)]
    await recorder.wait_for("downloadprogress", tasks[0])
    connectivity.update(False)
    for task in tasks:
        await recorder.wait_for_state(task, State.RUNNING, Activity.WAITING_FOR_CONNECTIVITY)
    resource.stall_after = None
    connectivity.update(True)
    for task in tasks:
        assert (await task.wait()).succeeded


async def test_t17_a_default_task_fails_without_network(
    monitor: Monitor, connectivity: Connectivity
):
    """TCP to a multicast address is refused by the kernel itself, as is all without a route."""
    connectivity.update(False)
    task = default_session(monitor, timeout_interval_for_request=2).download_task(
        "http://224.0.0.1/a"
    )
    await task.wait()
    assert code_of(task) == -1009
    assert task.record.error is not None
    assert task.record.error.message


async def test_t17_a_default_task_waits_where_it_was_told_to_and_says_so_once(
    monitor: Monitor, server: ByteServer, recorder: Recorder, connectivity: Connectivity
):
    connectivity.update(False)
    session = default_session(monitor, waits_for_connectivity=True)
    task = session.download_task(server.url("/a", ELSEWHERE))
    await recorder.wait_for("taskwaiting", task)
    task.suspend()
    task.resume()
    await recorder.until(lambda: len(recorder.of("taskstate", task)) >= 4, "the second wait")
    assert server.connections == 0
    connectivity.update(True)
    assert (await task.wait()).succeeded
    assert len(recorder.of("taskwaiting")) == 1


async def test_t17_the_wait_survives_a_restart(
    open_monitor: OpenMonitor, server: ByteServer, connectivity: Connectivity
):
    connectivity.update(False)
    async with open_monitor() as monitor:
        key = monitor.session("com.example.test").download_task(server.url("/a", ELSEWHERE)).key
    async with open_monitor() as monitor:
        assert monitor.task(key).activity is Activity.WAITING_FOR_CONNECTIVITY
        connectivity.update(True)
        assert (await monitor.handle(key).wait()).succeeded


async def test_t17_a_metered_network_counts_as_none_where_it_must_not_be_used(
    monitor: Monitor, server: ByteServer, policy: Policy
):
    policy.update(metered=True)
    task = quick_session(monitor, allows_metered_access=False).download_task(
        server.url("/a", ELSEWHERE)
    )
    assert task.activity is Activity.WAITING_FOR_CONNECTIVITY
    other = quick_session(monitor, "com.example.other").download_task(server.url("/b", ELSEWHERE))
    assert (await other.wait()).succeeded
    policy.update(metered=False)
    assert (await task.wait()).succeeded


async def test_t17_a_transfer_lets_go_of_a_network_that_becomes_metered_and_goes_on_after_it(
    monitor: Monitor,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    policy: Policy,
    downloads: Path,
):
    resource.stall_after = 50_000
    task = quick_session(monitor, allows_metered_access=False).download_task(
        server.url("/a.bin", ELSEWHERE)
    )
    other = quick_session(monitor, "com.example.other").download_task(server.url("/b", ELSEWHERE))
    await recorder.wait_for("downloadprogress", task)
    await recorder.wait_for("downloadprogress", other)
    policy.update(metered=True)
    await recorder.wait_for_state(task, State.RUNNING, Activity.WAITING_FOR_CONNECTIVITY)
    assert status(task.record, 0) == "Waiting: the network is metered"
    assert other.activity is Activity.TRANSFERRING
    resource.stall_after = None
    assert server.requests[-1].header("Range") == ""
    policy.update(metered=False)
    assert (await task.wait()).succeeded
    assert (downloads / "a.bin").read_bytes() == resource.body
    assert server.requests[-1].header("Range")
    assert task.record.restarts == 0
    other.cancel()
    await other.wait()


async def test_t17_what_could_not_be_resumed_lets_go_of_a_metered_network_too(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder, policy: Policy
):
    resource.etag, resource.ranges, resource.stall_after = "", False, 50_000
    session = quick_session(monitor, allows_metered_access=False)
    task = session.download_task(server.url("/a", ELSEWHERE))
    await recorder.wait_for("downloadprogress", task)
    policy.update(metered=True)
    await recorder.wait_for_state(task, State.RUNNING, Activity.WAITING_FOR_CONNECTIVITY)
    resource.stall_after = None
    policy.update(metered=False)
    assert (await task.wait()).succeeded


async def test_t17_a_default_task_fails_where_there_is_only_a_network_that_it_must_not_use(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder, policy: Policy
):
    resource.stall_after = 50_000
    session = default_session(monitor, allows_metered_access=False)
    running = session.download_task(server.url("/a", ELSEWHERE))
    await recorder.wait_for("downloadprogress", running)
    policy.update(metered=True)
    late = session.download_task(server.url("/b", ELSEWHERE))
    for task in (running, late):
        await task.wait()
        assert code_of(task) == -1009
        assert task.record.error is not None
        assert task.record.error.message == "The network is metered."
        assert task.record.error.url == task.record.url
    assert [request.target for request in server.requests] == ["/a"]
    resource.stall_after = None
    assert (await session.download_task(server.url("/here")).wait()).succeeded  # this machine
    policy.update(metered=False)
    monitor.commands.retry(late.key)
    assert (await late.wait()).succeeded


@pytest.mark.parametrize("make", [quick_session, default_session])
async def test_t17_while_nobody_knows_whether_the_network_is_metered_nothing_starts_on_it(
    monitor: Monitor, server: ByteServer, policy: Policy, make: Callable[..., Session]
):
    policy.note_metered(None)
    task = make(monitor, allows_metered_access=False).download_task(server.url("/a", ELSEWHERE))
    assert task.activity is Activity.WAITING_FOR_CONNECTIVITY
    assert "not known yet" in status(task.record, 0)
    assert server.connections == 0
    policy.note_metered(False)
    assert (await task.wait()).succeeded


async def test_t17_a_wait_says_what_it_waits_for_now(
    monitor: Monitor, server: ByteServer, connectivity: Connectivity, policy: Policy
):
    policy.note_metered(None)
    task = quick_session(monitor, allows_metered_access=False).download_task(
        server.url("/a", ELSEWHERE)
    )
    said = []
    for change in (
        lambda: policy.note_metered(True),
        lambda: connectivity.update(False),
        lambda: connectivity.update(True),
    ):
        change()
        said.append(task.record.waiting_reason)
    assert said == ["The network is metered.", "There is no network.", "The network is metered."]
    policy.note_metered(False)
    assert (await task.wait()).succeeded


# ---- T-18


@pytest.mark.parametrize("obstacle", ["on_battery", "metered"])
async def test_t18_a_discretionary_task_waits_for_the_policy(
    monitor: Monitor, server: ByteServer, policy: Policy, obstacle: str
):
    policy.update(**{obstacle: True})
    session = quick_session(monitor, is_discretionary=True)
    task = session.download_task(server.url("/a"))
    assert (task.state, task.activity) == (State.RUNNING, Activity.WAITING_UNTIL)
    assert status(task.record, 0).startswith("Waiting: ")
    asked_for = session.download_task(server.url("/b"), user_initiated=True)
    assert (await asked_for.wait()).succeeded
    assert [request.target for request in server.requests] == ["/b"]
    policy.update(**{obstacle: False})
    assert (await task.wait()).succeeded


async def test_t18_a_discretionary_task_does_not_start_before_it_is_known_what_the_network_costs(
    monitor: Monitor, server: ByteServer, policy: Policy
):
    policy.note_metered(None)
    task = quick_session(monitor, is_discretionary=True).download_task(server.url("/a"))
    assert task.activity is Activity.WAITING_UNTIL
    policy.note_metered(True)
    assert status(task.record, 0) == "Waiting: the network is metered"
    assert server.connections == 0
    policy.note_metered(False)
    assert (await task.wait()).succeeded


async def test_t18_other_tasks_do_not_care(monitor: Monitor, server: ByteServer, policy: Policy):
    policy.update(on_battery=True)
    assert (
        await monitor.session("com.example.test").download_task(server.url("/a")).wait()
    ).succeeded
    own = default_session(monitor, is_discretionary=True)  # background only
    assert (await own.download_task(server.url("/b")).wait()).succeeded


async def test_t18_what_has_started_goes_on_and_what_is_queued_waits(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder, policy: Policy
):
    resource.piece, resource.pause = 50_000, 0.05
    session = quick_session(monitor, is_discretionary=True, http_maximum_connections_per_host=1)
    first, second = session.download_task(server.url("/1")), session.download_task(server.url("/2"))
    await recorder.wait_for("downloadprogress", first)
    policy.update(on_battery=True)
    assert second.activity is Activity.WAITING_UNTIL
    assert (await first.wait()).succeeded
    assert len(server.requests) == 1
    policy.update(on_battery=False)
    assert (await second.wait()).succeeded


async def test_t18_a_task_held_back_can_be_cancelled(
    monitor: Monitor, server: ByteServer, policy: Policy
):
    policy.update(on_battery=True)
    task = quick_session(monitor, is_discretionary=True).download_task(server.url("/a"))
    task.cancel()
    await task.wait()
    policy.update(on_battery=False)
    await eventually(lambda: task.state is State.COMPLETED)
    assert code_of(task) == -999
    assert server.connections == 0


async def test_t18_the_wait_survives_a_restart(
    open_monitor: OpenMonitor, server: ByteServer, policy: Policy
):
    policy.update(on_battery=True)
    async with open_monitor() as monitor:
        key = quick_session(monitor, is_discretionary=True).download_task(server.url("/a")).key
    async with open_monitor() as monitor:
        assert monitor.task(key).activity is Activity.WAITING_UNTIL
        policy.update(on_battery=False)
        assert (await monitor.handle(key).wait()).succeeded
        assert recorder_of(monitor).of("sessioncompleted")[0].success
