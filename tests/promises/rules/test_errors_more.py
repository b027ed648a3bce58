"""Trust, retries, back-off, the reasons of cancels, and errors in our own process (X-04, X-07 to
X-11).
"""

from __future__ import annotations

import asyncio
import datetime
import email.utils
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, authority, reply
from tests.helpers.recorder import Recorder, eventually, recorder_of
from tests.helpers.sessions import always, code_of, default_session, engine_process, quick_session
from tests.promises.rules.conftest import OpenMonitor
from transfermon.engine.monitor import Monitor, Session
from transfermon.model.configuration import RetryPolicy
from transfermon.model.task import Activity, State
from transfermon.system.network_status import Connectivity
from transfermon.text.humanize import status
from transfermon.wire.transport import Transport

pytestmark = pytest.mark.anyio
DAY = datetime.timedelta(days=1)

# ----


@pytest.fixture(scope="module")
def stranger() -> trustme.CA:
    """An authority that nobody trusts."""
    return trustme.CA()


def certificate(ca: trustme.CA, *names: str, begins: int = -1, ends: int = 1) -> trustme.LeafCert:
    now = datetime.datetime.now(datetime.UTC)
    return ca.issue_cert(*names, not_before=now + begins * DAY, not_after=now + ends * DAY)


async def fails_with(monitor: Monitor, url: str, context: ssl.SSLContext, code: int) -> None:
    """In a background session, which would try again where it may."""
    monitor._engine.transport = Transport(tls_context=context)
    task = quick_session(monitor).download_task(url)
    record = await task.wait()
    assert code_of(task) == code
    assert record.attempt == 1
    assert record.error is not None
    assert not record.error.retryable
    assert record.error.message
    assert record.error.reason.startswith("tls.")


@pytest.mark.parametrize(
    ("code", "names", "dates"),
    [
        (-1201, ["127.0.0.1"], {"begins": -9, "ends": -2}),
        (-1202, ["elsewhere.example"], {}),
        (-1204, ["127.0.0.1"], {"begins": 2, "ends": 9}),
    ],
)
async def test_x04_a_certificate_that_does_not_hold(
    monitor: Monitor, resource: Resource, code: int, names: list[str], dates: dict[str, int]
):
    with ByteServer(
        resource, tls=True, certificate=certificate(authority(), *names, **dates)
    ) as server:
        await fails_with(monitor, server.url("/a"), server.client_context(), code)
        assert server.connections == 1
        assert server.requests == []


async def test_x04_an_authority_that_nobody_knows(
    monitor: Monitor, resource: Resource, stranger: trustme.CA
):
    with ByteServer(resource, tls=True, certificate=certificate(stranger, "127.0.0.1")) as server:
        await fails_with(monitor, server.url("/a"), server.client_context(), -1203)
        assert server.connections == 1


async def test_x04_a_server_that_asks_for_a_certificate_of_ours(
    monitor: Monitor, resource: Resource
):
    with ByteServer(resource, tls=True) as server:
        ask_for_certificate(server)
        await fails_with(monitor, server.url("/a"), server.client_context(), -1206)
        assert server.connections == 1


async def test_x04_a_server_that_rejects_the_certificate_of_ours(
    monitor: Monitor, resource: Resource, stranger: trustme.CA
):
    context = ByteServer.client_context()
    stranger.issue_cert("me@example.org").configure_cert(context)
    with ByteServer(resource, tls=True) as server:
        ask_for_certificate(server)
        await fails_with(monitor, server.url("/a"), context, -1205)
        assert server.connections == 1


def ask_for_certificate(server: ByteServer) -> None:
    assert server._context is not None
    server._context.verify_mode = ssl.CERT_REQUIRED
    authority().configure_trust(server._context)


async def test_x04_a_server_that_does_not_speak_tls(monitor: Monitor):
    listener = socket.create_server(("127.0.0.1", 0))

    async def answer_plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(reply(400))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer_plainly, sock=listener)
    try:
        port = listener.getsockname()[1]
        await fails_with(monitor, f"https://127.0.0.1:{port}/a", ByteServer.client_context(), -1200)
    finally:
        server.close()
        await server.wait_closed()


async def test_x04_what_is_trusted_works(monitor: Monitor, resource: Resource):
    with ByteServer(resource, tls=True) as server:
        monitor._engine.transport = Transport(tls_context=server.client_context())
        assert (
            await monitor.session("com.example.test").download_task(server.url("/a")).wait()
        ).succeeded


# ----


@pytest.mark.parametrize(
    "answer", [408, 425, 429, 500, 502, 503, 504, "close", "reset", "silence", "cut"]
)
async def test_x07_what_may_pass_is_tried_again_in_background_sessions_only(
    monitor: Monitor, server: ByteServer, resource: Resource, answer: Any
):
    limit: dict[str, Any] = {"timeout_interval_for_request": 0.2 if answer == "silence" else 5.0}
    session = quick_session(monitor, **limit)
    resource.before = failing(answer, times=2)
    task = session.download_task(server.url("/a"))
    record = await task.wait()
    assert record.succeeded
    assert (record.attempt, len(server.requests)) == (3, 3)
    server.requests.clear()
    resource.before = failing(answer, times=1)
    once = default_session(monitor, **limit).download_task(server.url("/b"))
    record = await once.wait()
    assert record.failed
    assert record.attempt == 1


def failing(answer: Any, *, times: int) -> Any:
    left = iter(range(times))

    def before(conn: Conn, request: Request) -> bool:
        if next(left, None) is None:
            return False
        if isinstance(answer, int):
            conn.send(reply(answer))
        elif answer == "silence":
            conn.stall()
        elif answer == "cut":
            # as `resource` begins
            conn.send(reply(200, {"Content-Length": "300032", "ETag": '"v1"'}) + b"\0")
            conn.cut()
        elif answer == "reset":
            conn.reset()
        else:
            conn.close()
        return True

    return before


@pytest.mark.parametrize(
    "code", [400, 401, 403, 404, 405, 406, 407, 409, 410, 411, 413, 414, 415, 418, 451, 501, 505]
)
async def test_x07_what_stays_is_not_tried_again(
    monitor: Monitor, server: ByteServer, resource: Resource, code: int
):
    resource.before = always(reply(code))
    task = quick_session(monitor).download_task(server.url("/a"))
    record = await task.wait()
    assert code_of(task) == (-1013 if code in (401, 407) else -1011)
    assert (record.attempt, len(server.requests)) == (1, 1)
    assert record.error is not None
    assert record.error.status == code


async def test_x07_retries_end_with_a_cancel(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.before = failing(503, times=10**6)
    task = quick_session(monitor).download_task(server.url("/a"))
    await eventually(lambda: len(server.requests) >= 4)
    task.cancel()
    await task.wait()
    assert code_of(task) == -999
    assert len(recorder.of("sessioncompleted")) == 1


# ----


def delays_of(recorder: Recorder, task: Any) -> list[float]:
    """Seconds of each wait, as they were told."""
    return [
        event.until - event.time
        for event in recorder.of("taskstate", task)
        if event.until is not None
    ]


async def test_x08_each_wait_may_be_twice_as_long_as_the_one_before(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder
):
    monitor._engine.random = lambda: 1.0
    session = quick_session(monitor, retry_policy=RetryPolicy(minimum=0.1, maximum=0.5))
    resource.before = failing(503, times=5)
    task = session.download_task(server.url("/a"))
    assert (await task.wait()).succeeded
    assert delays_of(recorder, task) == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.5], abs=0.04)


async def test_x08_the_jitter_is_full(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder
):
    dice = iter([0.0, 0.5, 1.0])
    monitor._engine.random = lambda: next(dice)
    session = quick_session(monitor, retry_policy=RetryPolicy(minimum=0.1, maximum=0.5))
    resource.before = failing(503, times=3)
    task = session.download_task(server.url("/a"))
    assert (await task.wait()).succeeded
    assert delays_of(recorder, task) == pytest.approx([0.1, 0.15, 0.4], abs=0.04)


@pytest.mark.parametrize(("progress", "last"), [(140_000, 0.1), (10_000, 0.4)])
async def test_x08_only_progress_of_64_kib_forgives_the_failures_before(
    monitor: Monitor,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    progress: int,
    last: float,
):
    monitor._engine.random = lambda: 1.0
    session = quick_session(monitor, retry_policy=RetryPolicy(minimum=0.1, maximum=1))
    # of which half is compared the next time
    resource.body, resource.cut_after = resource.body * 2, progress
    task = session.download_task(server.url("/a"))
    await recorder.wait_for("taskstate", task, count=3)
    assert delays_of(recorder, task)[2] == pytest.approx(last, abs=0.04)
    resource.cut_after = None
    assert (await task.wait()).succeeded


async def test_x08_a_returning_network_ends_the_wait_at_once(
    monitor: Monitor,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    connectivity: Connectivity,
):
    session = quick_session(monitor, retry_policy=RetryPolicy(minimum=100, maximum=300))
    resource.before = failing("close", times=1)
    broken = session.download_task(server.url("/a"))
    await recorder.wait_for_state(broken, State.RUNNING, Activity.RETRYING)
    resource.before = failing(503, times=1)
    refused = session.download_task(server.url("/b"))
    await recorder.wait_for_state(refused, State.RUNNING, Activity.RETRYING)
    connectivity.update(False)
    connectivity.update(True)
    assert (await broken.wait()).succeeded
    assert refused.activity is Activity.RETRYING  # the network was not what was wrong


def test_x08_the_default_policy_is_that_of_the_row():
    policy = RetryPolicy()
    assert (policy.minimum, policy.maximum, policy.reset_bytes, policy.attempts) == (
        1.0,
        300.0,
        64 * 1024,
        0,
    )


# ----


@pytest.mark.parametrize("code", [429, 503, 500])
@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_x09_retry_after_sets_the_next_attempt(
    monitor: Monitor,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    code: int,
    form: str,
):
    wanted = 1000 if form == "seconds" else email.utils.formatdate(time.time() + 1000, usegmt=True)
    resource.before = always(reply(code, {"Retry-After": str(wanted)}))
    task = quick_session(monitor).download_task(server.url("/a"))
    await recorder.wait_for("taskstate", task)
    assert task.activity is Activity.WAITING_UNTIL
    assert delays_of(recorder, task) == pytest.approx([1000], abs=2)
    assert "asks to wait" in status(task.record, time.time())


async def test_x09_a_wait_that_the_server_asked_for_holds_over_a_restart(
    open_monitor: OpenMonitor, server: ByteServer, resource: Resource
):
    resource.before = always(reply(503, {"Retry-After": "1000"}))
    async with open_monitor() as monitor:
        task = monitor.session("com.example.test").download_task(server.url("/a"))
        await recorder_of(monitor).wait_for("taskstate", task)
    async with open_monitor() as monitor:
        assert monitor.task(task.key).activity is Activity.WAITING_UNTIL
        await (
            monitor.session("com.example.test")
            .download_task(server.url("/b"), start=False)
            .accepted
        )
        assert len(server.requests) == 1


# ----


@pytest.mark.parametrize("reason", [None, 0, 1, 2])
async def test_x10_a_cancelled_task_carries_its_reason(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, reason: int | None
):
    resource.stall_after = 50_000
    task = session.download_task(server.url("/a"))
    await recorder.wait_for("downloadprogress", task)
    session.tasks.run_of(task.task_identifier).cancel(reason=reason)
    await task.wait()
    assert code_of(task) == -999
    (event,) = recorder.of("sessioncompleted")
    assert (event.cancel_reason, event["cancelReason"]) == (reason, reason)
    (stored,) = [
        e for e in await recorder._monitor.overview.history() if e.type == "sessioncompleted"
    ]
    assert stored["cancelReason"] == reason


async def test_x10_a_failure_has_none(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.before = failing(404, times=1)
    await session.download_task(server.url("/a")).wait()
    assert recorder.of("sessioncompleted")[0].cancel_reason is None


async def test_x10_quit_and_stop_all_transfers_is_a_force_quit(
    monitor: Monitor, session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.stall_after = 50_000
    running = session.download_task(server.url("/a"))
    suspended = session.download_task(server.url("/b"), start=False)
    await recorder.wait_for("downloadprogress", running)
    await monitor.stop_transfers()
    assert {task.record.cancel_reason for task in (running, suspended)} == {0}
    assert code_of(running) == code_of(suspended) == -999


# ----


async def test_x11_a_mistake_of_ours_is_made_good_at_the_next_start(
    open_monitor: OpenMonitor, server: ByteServer, resource: Resource
):
    """The source of randomness is ours to give: this one breaks the engine between two attempts."""
    broken = asyncio.Event()

    def no_dice() -> float:
        broken.set()
        raise ZeroDivisionError("a mistake")

    resource.before = failing(503, times=1)
    async with open_monitor() as monitor:
        monitor._engine.random = no_dice
        task = quick_session(monitor).download_task(server.url("/a"))
        await asyncio.wait_for(broken.wait(), 10)
    async with open_monitor() as monitor:
        record = await monitor.handle(task.key).wait()
        assert record.succeeded
        assert len(recorder_of(monitor).of("sessioncompleted", task)) == 1


async def test_x11_a_task_that_was_being_cancelled_when_the_engine_died_says_so(
    open_monitor: OpenMonitor, server: ByteServer, resource: Resource, tmp_path: Path
):
    resource.stall_after = 50_000
    body = f"""
task = session.download_task({server.url("/a")!r})
async for event in monitor.events("downloadprogress"):
    break
task.cancel()
monitor._engine.store._hand_over()
import time
while monitor._engine.store._queue:  # the loop stands still: what follows the cancel cannot run
    time.sleep(0.01)
time.sleep(0.1)
print("cancelled", flush=True)
time.sleep(60)
"""
    with engine_process(tmp_path, body) as process:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "cancelled\n"
    async with open_monitor(ready=False) as monitor:
        (task,) = monitor.tasks()
        assert task.state is State.CANCELING
        monitor.ready()
        await monitor.handle(task.key).wait()
        (event,) = recorder_of(monitor).of("sessioncompleted")
        assert event.error_code == -999
