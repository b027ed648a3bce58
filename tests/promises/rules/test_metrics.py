"""T-19: what a task remembers of each request that was sent for it."""

from __future__ import annotations

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, reply
from tests.helpers.recorder import Recorder, recorder_of
from tests.helpers.sessions import always, default_session, quick_session, silent
from tests.promises.rules.conftest import OpenMonitor
from transfermon.engine.monitor import Monitor, Session
from transfermon.http.resume import overlap_for
from transfermon.model.events import Event
from transfermon.model.metrics import MOST_KEPT, TransactionMetrics
from transfermon.storage.records import task_of, task_text
from transfermon.wire.transport import Transport

pytestmark = pytest.mark.anyio


def check_times(one: TransactionMetrics) -> None:
    """The marks that are there come one after the other."""
    marks = [
        one.fetch_start,
        one.domain_lookup_start,
        one.domain_lookup_end,
        one.connect_start,
        one.secure_connection_start,
        one.secure_connection_end,
        one.connect_end,
        one.request_start,
        one.request_end,
        one.response_start,
        one.response_end,
    ]
    there = [mark for mark in marks if mark is not None]
    assert there == sorted(there), one


async def test_t19_a_plain_download_has_one_transaction(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    task = session.download_task(server.url("/a?key=secret"))
    record = await task.wait()
    metrics = task.metrics
    begin, end = metrics.task_interval
    assert (begin, end) == (record.added, record.finished)
    assert metrics.redirect_count == 0
    (one,) = metrics.transactions
    check_times(one)
    assert None not in (
        one.fetch_start,
        one.connect_start,
        one.request_start,
        one.response_start,
        one.response_end,
    )
    assert end is not None
    assert one.fetch_start is not None
    assert one.response_end is not None
    assert begin - 0.1 <= one.fetch_start <= one.response_end <= end + 0.1
    # an address, and no TLS
    assert (one.domain_lookup_start, one.secure_connection_start) == (None, None)
    assert (one.request, one.response, one.attempt) == (f"GET {server.url('/a?key=…')}", 200, 1)
    assert (one.network_protocol_name, one.remote_address, one.is_reused_connection) == (
        "http/1.1",
        "127.0.0.1",
        False,
    )
    assert one.request_header_bytes == len(server.requests[0].raw)
    assert one.request_body_bytes == 0
    assert one.response_header_bytes > 50
    assert one.response_body_bytes == len(resource.body)
    assert "secret" not in task_text(record)[task_text(record).index('"transactions"') :]


async def test_t19_each_redirect_is_a_transaction_in_order(
    session: Session, server: ByteServer, resource: Resource
):
    def hops(conn: Conn, request: Request) -> bool:
        number = int(request.target.strip("/"))
        if number == 3:
            return False
        conn.send(reply(302, {"Location": f"/{number + 1}"}, b"see there"))
        return True

    resource.before = hops
    task = session.download_task(server.url("/0"))
    await task.wait()
    metrics = task.metrics
    assert [one.response for one in metrics.transactions] == [302, 302, 302, 200]
    assert [one.url for one in metrics.transactions] == [server.url(f"/{n}") for n in range(4)]
    assert metrics.redirect_count == 3
    assert [one.is_reused_connection for one in metrics.transactions] == [False, True, True, True]
    assert metrics.transactions[0].response_body_bytes == len(b"see there")
    assert metrics.transactions[1].connect_start is None
    for one in metrics.transactions:
        check_times(one)


async def test_t19_each_attempt_is_a_transaction_also_one_without_an_answer(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    answers = iter(["close", "503", "cut", "rest"])

    def before(conn: Conn, request: Request) -> bool:
        kind = next(answers)
        resource.cut_after = 90_000 if kind == "cut" else None
        if kind == "close":
            conn.close()
        elif kind == "503":
            conn.send(reply(503))
        return kind in ("close", "503")

    resource.before = before
    task = quick_session(monitor).download_task(server.url("/a"))
    assert (await task.wait()).succeeded
    transactions = task.metrics.transactions
    assert [(one.attempt, one.response) for one in transactions] == [
        (1, None),
        (2, 503),
        (3, 200),
        (4, 206),
    ]
    assert transactions[0].response_start is None
    assert transactions[2].response_body_bytes == 90_000
    assert transactions[3].response_body_bytes == len(resource.body) - 90_000 + overlap_for(
        90_000, 90_000
    )
    assert task.metrics.redirect_count == 0


async def test_t19_they_are_final_when_sessioncompleted_is_told(
    monitor: Monitor, session: Session, server: ByteServer, resource: Resource
):
    seen: list[int] = []

    def note(event: Event) -> None:
        assert event.task is not None
        metrics = event.task.metrics
        seen.append(len(metrics.transactions))
        assert metrics.task_interval[1] is not None
        assert event.metrics == metrics  # type: ignore[attr-defined]

    monitor.add_event_listener("sessioncompleted", note)
    await session.download_task(server.url("/a")).wait()
    resource.before = always(reply(404))
    await session.download_task(server.url("/b")).wait()
    resource.before = silent
    cancelled = session.download_task(server.url("/c"))
    await recorder_of(monitor).until(
        lambda: len(server.requests) == 3 or cancelled.activity.value == "connecting"
    )
    cancelled.cancel()
    await cancelled.wait()
    assert seen[:2] == [1, 1]


async def test_t19_a_connection_that_fails_is_told_of(monitor: Monitor, server: ByteServer):
    url = server.url("/a")
    server.stop()
    task = default_session(monitor).download_task(url)
    await task.wait()
    (one,) = task.metrics.transactions
    assert (one.response, one.connect_end, one.request_start, one.remote_address) == (
        None,
        None,
        None,
        "",
    )


async def test_t19_tls_and_names_have_times_of_their_own(monitor: Monitor, resource: Resource):
    with ByteServer(resource, tls=True) as server:
        monitor._engine.transport = Transport(tls_context=server.client_context())
        task = monitor.session("com.example.test").download_task(server.url("/a", "localhost"))
        assert (await task.wait()).succeeded
        (one,) = task.metrics.transactions
        check_times(one)
        assert None not in (one.domain_lookup_start, one.domain_lookup_end)
        assert None not in (one.secure_connection_start, one.secure_connection_end)
        assert one.connect_end == one.secure_connection_end


async def test_t19_they_are_stored_with_the_task_and_counted_on(
    open_monitor: OpenMonitor, server: ByteServer, resource: Resource
):
    resource.stall_after = 90_000
    async with open_monitor() as monitor:
        task = monitor.session("com.example.test").download_task(server.url("/a"))
        await recorder_of(monitor).wait_for("downloadprogress", task)
    async with open_monitor(ready=False) as monitor:
        assert [one.attempt for one in monitor.task(task.key).metrics.transactions] == [1]
        resource.stall_after = None
        monitor.ready()
        record = await monitor.handle(task.key).wait()
        assert [(one.attempt, one.response) for one in record.metrics.transactions] == [
            (1, 200),
            (2, 206),
        ]
        assert task_of(task_text(record)).metrics == record.metrics


async def test_t19_the_newest_are_kept_and_all_redirects_counted(
    session: Session, server: ByteServer, resource: Resource, monitor: Monitor
):
    attempts = iter(range(8))

    def before(conn: Conn, request: Request) -> bool:
        if request.target == "/a" and next(attempts, None) is None:
            return False
        number = int(request.target.strip("/") if request.target != "/a" else 0)
        conn.send(reply(503) if number == 10 else reply(302, {"Location": f"/{number + 1}"}))
        return True

    resource.before = before
    task = quick_session(monitor).download_task(server.url("/a"))
    assert (await task.wait()).succeeded
    assert task.metrics.redirect_count == 80
    assert len(task.metrics.transactions) == MOST_KEPT
    assert task.metrics.transactions[-1].response == 200


async def test_t19_a_retry_by_hand_counts_anew(
    session: Session, server: ByteServer, resource: Resource
):
    resource.before = always(reply(404))
    task = session.download_task(server.url("/a"))
    await task.wait()
    resource.before = None
    session.tasks.run_of(task.task_identifier).retry()
    assert (await task.wait()).succeeded
    assert [one.response for one in task.metrics.transactions] == [200]
