"""Resuming downloads."""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, reply, rest
from tests.helpers.recorder import BOTH_LOOPS, Recorder, eventually, recorder_of
from tests.helpers.sessions import (
    code_of,
    default_session,
    engine_process,
    parts_in,
    quick_session,
    sent,
)
from tests.promises.rules.conftest import OpenMonitor
from transfermon.engine.monitor import DownloadTask, Monitor, Session
from transfermon.http import resume
from transfermon.model.task import Activity, State, TaskKey, Validators

pytestmark = pytest.mark.anyio
# an hour: settled by any rule
OLD, SENT = "Mon, 01 Jun 2026 10:00:00 GMT", "Mon, 01 Jun 2026 11:00:00 GMT"
POLICIES = ["careful", "strict", "lenient"]


@pytest.fixture
def session(monitor: Monitor) -> Session:
    return quick_session(monitor)


@pytest.fixture
def resource() -> Resource:
    """700 kB that nobody can guess, with a strong validator."""
    return Resource(os.urandom(700_000), etag='"v1"')


async def paused(task: DownloadTask, recorder: Recorder, resource: Resource, at: int) -> None:
    """Let the task come to `at` bytes and suspend it there; the server then sends whole bodies."""
    assert resource.stall_after == at
    await eventually(lambda: task.count_of_bytes_received == at, f"{at} bytes")
    task.suspend()
    await eventually(
        lambda: task._session._engine.progress.get(task.key) is None, "the attempt to let go"
    )
    resource.stall_after = None


def content_ranges(value: str | None, **more: str) -> Callable[[Conn, Request], bool]:
    """Answers ranges with 206, the right bytes and this Content-Range."""

    def answer(conn: Conn, request: Request) -> bool:
        asked = request.header("Range")
        if not asked:
            return False
        body = conn.server.handler.body[int(asked[6:-1]) :]  # type: ignore[attr-defined]
        fields = {"ETag": '"v1"', **({} if value is None else {"Content-Range": value}), **more}
        conn.send(reply(206, fields, body))
        return True

    return answer


def asked(server: ByteServer) -> list[str]:
    return [request.header("Range") for request in server.requests]


def unended(resource: Resource, count: int) -> Callable[[Conn, Request], bool]:
    """The first answer says no length and stops after so many bytes."""
    left = [True]

    def before(conn: Conn, request: Request) -> bool:
        if not left:
            return False
        left.clear()
        fields = {"ETag": resource.etag} if resource.etag else {}
        conn.send(reply(200, {"Transfer-Encoding": "chunked", **fields}))
        conn.send(b"%x\r\n" % count + resource.body[:count] + b"\r\n")
        conn.stall()
        return True

    return before


# ----


@BOTH_LOOPS
@pytest.mark.parametrize("at", [100_000, 400_000])
async def test_r01_cancelling_gives_data_where_the_download_can_go_on(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    at: int,
):
    resource.stall_after = at
    task = session.download_task(server.url("/a.bin"))
    await eventually(lambda: task.count_of_bytes_received == at)
    data = await task.cancel_by_producing_resume_data()
    assert isinstance(data, bytes)
    assert recorder.of("sessioncompleted", task) == []  # O-09
    await task.wait()
    assert code_of(task) == -999
    (event,) = recorder.of("sessioncompleted", task)
    assert (event.success, event.error_code, event.resumable, event.resume_data) == (
        False,
        -999,
        True,
        data,
    )
    assert [part.stat().st_size for part in parts_in(downloads)] == [at]
    assert task.resume_data == data


async def test_r01_a_suspended_download_gives_data_too(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.stall_after = 100_000
    task = session.download_task(server.url("/a.bin"))
    await paused(task, recorder, resource, 100_000)
    assert await task.cancel_by_producing_resume_data()
    await task.wait()
    assert code_of(task) == -999


@pytest.mark.parametrize(
    "why", ["no validator", "no ranges", "coded", "nothing stored", "not started", "plain cancel"]
)
async def test_r02_no_data_where_nothing_can_go_on(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    why: str,
):
    resource.stall_after = 100_000
    if why == "no validator":
        resource.etag = ""
        resource.before = unended(resource, 100_000)  # and no length either
    elif why == "no ranges":
        resource.ranges = False
    elif why == "coded":
        packed = b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + b"\x01\x10\x27\xef\xd8" + bytes(10_000)
        resource.headers = {"Content-Encoding": "gzip"}
        resource.body, resource.stall_after = packed + bytes(1000), len(packed)
    elif why == "nothing stored":
        resource.stall_after = 0
    task = session.download_task(server.url("/a.bin"), start=why != "not started")
    if why == "nothing stored":
        await recorder.wait_for_state(task, State.RUNNING, Activity.TRANSFERRING)
    elif why != "not started":
        await eventually(lambda: task.count_of_bytes_received > 0)
    if why == "plain cancel":
        task.cancel()
    else:
        assert await task.cancel_by_producing_resume_data() is None
    await task.wait()
    assert code_of(task) == -999
    (event,) = recorder.of("sessioncompleted", task)
    assert (event.resumable, event.resume_data, task.resume_data) == (False, None, None)
    assert parts_in(downloads) == []


def test_r02_only_a_plain_get_can_go_on():
    validators = Validators(etag='"v1"', total=10)
    assert resume.why_not_resumable(validators, "GET", "careful") == ""
    for method in ("POST", "PUT", "HEAD"):
        for policy in POLICIES:
            assert resume.why_not_resumable(validators, method, policy)


async def test_r03_data_can_be_kept_and_shows_nothing_secret(
    open_monitor: OpenMonitor,
    server: ByteServer,
    resource: Resource,
    downloads: Path,
    tmp_path: Path,
):
    resource.stall_after = 100_000
    url = server.url("/secret-path?token=secret").replace("://", "://user:secret@")
    async with open_monitor() as monitor:
        task = quick_session(monitor).download_task(url, request_headers={"X-Api-Key": "secret"})
        await eventually(lambda: task.count_of_bytes_received == 100_000)
        data = await task.cancel_by_producing_resume_data()
        assert data is not None
        for word in (b"secret", b"user", b"http", b"part", str(tmp_path).encode()):
            assert word not in data
        (tmp_path / "kept").write_bytes(data)
    resource.stall_after = None
    async with open_monitor() as monitor:
        kept = (tmp_path / "kept").read_bytes()
        task = quick_session(monitor).download_task_with_resume_data(kept)
        assert (await task.wait()).succeeded
    first, second = server.requests
    assert second.header("Range") == rest(100_000)
    for name in ("X-Api-Key", "Authorization"):
        assert first.header(name) == second.header(name) != ""
    assert (downloads / "secret-path").read_bytes() == resource.body
    with sqlite3.connect(tmp_path / "state" / "transfermon.db") as database:
        rows = database.execute("select record from resume_data").fetchall()
    database.close()
    assert "X-Api-Key" in rows[0][0]
    assert "user:secret" not in rows[0][0]


# ----


@BOTH_LOOPS
async def test_r04_data_makes_a_new_task_that_asks_for_the_rest(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    resource.stall_after = 400_000
    task = session.download_task(server.url("/a.bin"), request_headers={"X-Own": "1"})
    await eventually(lambda: task.count_of_bytes_received == 400_000)
    data = await task.cancel_by_producing_resume_data()
    assert data is not None
    resource.stall_after = None
    again = session.download_task_with_resume_data(data)
    assert again.task_identifier == 2
    assert (await again.wait()).succeeded
    assert code_of(task) == -999
    request = server.requests[1]
    assert (request.header("Range"), request.header("If-Range")) == (rest(400_000), '"v1"')
    assert request.header("X-Own") == "1"
    assert (downloads / "a.bin").read_bytes() == resource.body
    assert parts_in(downloads) == []


async def test_r04_data_made_in_one_session_works_in_another_and_may_wait(
    monitor: Monitor, session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    resource.stall_after = 400_000
    task = session.download_task(server.url("/a.bin"))
    await eventually(lambda: task.count_of_bytes_received == 400_000)
    data = await task.cancel_by_producing_resume_data()
    assert data is not None
    resource.stall_after = None
    other = quick_session(monitor, "com.example.other")
    again = other.download_task_with_resume_data(data, start=False)
    assert (again.state, again.key) == (State.SUSPENDED, TaskKey("com.example.other", 1))
    assert len(server.requests) == 1
    assert (await again.resume().wait()).succeeded
    assert (downloads / "a.bin").read_bytes() == resource.body


# ----


async def restarted_request(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
) -> Request:
    resource.stall_after = 400_000
    task = session.download_task(server.url("/a.bin"))
    await paused(task, recorder, resource, 400_000)
    assert (await task.resume().wait()).succeeded
    assert Path(task.record.final_path).read_bytes() == resource.body
    return server.requests[1]


@pytest.mark.parametrize("chosen", POLICIES)
async def test_r05_if_range_has_the_strong_tag_even_where_there_is_a_date(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder, chosen: str
):
    resource.last_modified, resource.headers = OLD, {"Date": SENT}
    session = quick_session(monitor, resume_policy=chosen)
    request = await restarted_request(session, server, resource, recorder)
    asked = "bytes=400000-" if chosen == "lenient" else rest(400_000)
    assert (request.header("Range"), request.header("If-Range")) == (asked, '"v1"')
    assert request.header("If-Unmodified-Since") == ""


@pytest.mark.parametrize("chosen", POLICIES)
async def test_r05_if_range_has_a_settled_date_where_there_is_no_tag(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder, chosen: str
):
    resource.etag, resource.last_modified, resource.headers = "", OLD, {"Date": SENT}
    session = quick_session(monitor, resume_policy=chosen)
    request = await restarted_request(session, server, resource, recorder)
    start = 400_000 - (0 if chosen == "lenient" else resume.OVERLAP)
    assert (request.header("Range"), request.header("If-Range")) == (f"bytes={start}-", OLD)


@pytest.mark.parametrize(
    ("chosen", "sent", "goes_on"),
    [
        ("strict", "Mon, 01 Jun 2026 10:00:00 GMT", False),  # the same second
        ("strict", "Mon, 01 Jun 2026 10:00:01 GMT", True),
        ("careful", "Mon, 01 Jun 2026 10:00:59 GMT", False),  # 60 s
        ("careful", "Mon, 01 Jun 2026 10:01:00 GMT", True),
        ("strict", "at noon", False),
        ("strict", "", True),  # the time of receipt counts, and that is long after
    ],
)
async def test_r05_a_date_that_is_not_settled_is_no_validator(
    monitor: Monitor,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    chosen: str,
    sent: str,
    goes_on: bool,
):
    resource.etag, resource.last_modified = "", OLD
    resource.headers = {"Date": sent} if sent else {}
    session = quick_session(monitor, resume_policy=chosen)
    request = await restarted_request(session, server, resource, recorder)
    # which compares two places instead
    assert bool(request.header("Range")) is (goes_on or chosen == "careful")
    assert bool(request.header("If-Range")) is goes_on


@pytest.mark.parametrize("chosen", POLICIES)
async def test_r06_a_weak_tag_is_never_in_if_range(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder, chosen: str
):
    resource.etag, resource.last_modified, resource.headers = 'W/"v1"', OLD, {"Date": SENT}
    session = quick_session(monitor, resume_policy=chosen)
    request = await restarted_request(session, server, resource, recorder)
    assert request.header("If-Range") == ""
    if chosen == "strict":
        assert request.header("Range") == ""
        assert [event.file_offset for event in recorder.of("downloadresumed")] == [0]
    elif chosen == "lenient":
        assert (request.header("Range"), request.header("If-Unmodified-Since")) == (
            "bytes=400000-",
            OLD,
        )
    else:
        assert request.header("Range") == f"bytes={400_000 - resume.OVERLAP}-"
        assert [event.file_offset for event in recorder.of("downloadresumed")] == [400_000]


async def test_r06_under_lenient_412_starts_over(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    resource.etag, resource.last_modified, resource.headers = 'W/"v1"', OLD, {"Date": SENT}
    resource.stall_after = 400_000
    session = quick_session(monitor, resume_policy="lenient")
    task = session.download_task(server.url("/a.bin"))
    await paused(task, recorder, resource, 400_000)
    resource.body, resource.etag = os.urandom(500_000), 'W/"v2"'
    resource.before = lambda conn, request: (
        bool(request.header("If-Unmodified-Since")) and sent(conn, reply(412, {}, b"no"))
    )
    assert (await task.resume().wait()).succeeded
    assert (downloads / "a.bin").read_bytes() == resource.body
    assert asked(server) == ["", "bytes=400000-", ""]


# ---- the overlap of the policy "careful"


# what is left goes through the loop, or through the pump
@pytest.mark.parametrize("at", [70_000, 400_000])
@pytest.mark.parametrize("size", [100_000, 700_000])
async def test_r06_the_overlap_is_compared_and_not_written_again(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    size: int,
    at: int,
):
    resource.body, resource.etag = resource.body[:size], 'W/"v1"'
    resource.stall_after = at = min(at, size - 20_000)
    task = session.download_task(server.url("/a.bin"))
    await paused(task, recorder, resource, at)
    (part,) = parts_in(downloads)
    assert (await task.resume().wait()).succeeded
    assert (downloads / "a.bin").read_bytes() == resource.body
    assert asked(server) == ["", rest(at)]
    assert [event.file_offset for event in recorder.of("downloadresumed")] == [at]
    assert task.record.wasted == 0
    assert not part.exists()


@pytest.mark.parametrize("size", [100_000, 700_000])
@pytest.mark.parametrize("wrong", ["first", "last"])
async def test_r06_an_overlap_that_differs_starts_over(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    size: int,
    wrong: str,
):
    resource.body, resource.etag = resource.body[:size], 'W/"v1"'
    resource.stall_after = at = 90_000
    task = session.download_task(server.url("/a.bin"))
    await paused(task, recorder, resource, at)
    changed = bytearray(resource.body)
    changed[at - 1 if wrong == "last" else at - resume.overlap_for(at, at)] ^= 1
    resource.body = bytes(changed)  # another version, under the same weak tag
    assert (await task.resume().wait()).succeeded
    assert (downloads / "a.bin").read_bytes() == resource.body
    assert asked(server) == ["", rest(at), ""]
    assert [event.file_offset for event in recorder.of("downloadresumed")][-1] == 0
    assert task.record.wasted == at


async def test_r06_a_connection_that_ends_inside_the_overlap_costs_nothing(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    resource.etag, resource.stall_after = 'W/"v1"', 400_000
    task = session.download_task(server.url("/a.bin"))
    await paused(task, recorder, resource, 400_000)

    def cut_the_second(conn: Conn, request: Request) -> bool:
        resource.cut_after = 30_000 if len(server.requests) == 2 else None
        return False

    resource.before = cut_the_second
    assert (await task.resume().wait()).succeeded
    assert (downloads / "a.bin").read_bytes() == resource.body
    # What was equal before the line broke is not compared once more.
    assert asked(server)[1:] == [rest(400_000), f"bytes={400_000 - resume.OVERLAP + 30_000}-"]


@pytest.mark.parametrize("why", ["strict", "unknown length"])
async def test_r06_without_any_validator_it_starts_over(
    monitor: Monitor,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    why: str,
):
    resource.etag = ""
    if why == "unknown length":
        resource.before = unended(resource, 400_000)
    session = quick_session(monitor, resume_policy="strict" if why == "strict" else "careful")
    request = await restarted_request(session, server, resource, recorder)
    assert request.header("Range") == ""
    (event,) = recorder.of("downloadresumed")
    assert event.file_offset == 0
    assert event.reason
    assert parts_in(downloads) == []


async def test_r06_without_any_validator_two_places_are_compared(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    resource.etag = ""
    await restarted_request(session, server, resource, recorder)
    assert asked(server) == ["", f"bytes=0-{resume.OVERLAP - 1}", rest(400_000)]
    (event,) = recorder.of("downloadresumed")
    assert event.file_offset == 400_000
    assert "neither an entity tag nor a date" in event.reason


# ----


@BOTH_LOOPS
@pytest.mark.parametrize("at", [1, 1000, 4096, 4097, 65_536, 262_145, 699_999])
async def test_r07_the_rest_is_appended_at_the_right_place(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    at: int,
):
    resource.stall_after = at
    task = session.download_task(server.url("/a.bin"))
    await paused(task, recorder, resource, at)
    assert (await task.resume().wait()).succeeded
    assert asked(server) == ["", rest(at)]
    assert (downloads / "a.bin").read_bytes() == resource.body


async def test_r07_many_cuts_give_the_same_file(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    resource.cut_after = 49_999
    task = session.download_task(server.url("/a.bin"))
    assert (await task.wait()).succeeded
    assert (downloads / "a.bin").read_bytes() == resource.body
    stored, brought, offsets = 49_999, 49_999, list[str]()
    while stored < 700_000:
        offsets.append(rest(stored, brought))
        brought = 49_999 - resume.overlap_for(stored, brought)
        stored += brought
    assert asked(server) == ["", *offsets]


@BOTH_LOOPS
async def test_r08_the_offset_is_told_before_any_progress(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.stall_after = 400_000
    task = session.download_task(server.url("/a.bin"))
    await paused(task, recorder, resource, 400_000)
    seen = len(recorder.events)
    resource.piece, resource.pause = 20_000, 0.03
    assert (await task.resume().wait()).succeeded
    events = [
        event
        for event in recorder.events[seen:]
        if event.type in ("downloadresumed", "downloadprogress")
    ]
    assert events[0].type == "downloadresumed"
    assert events[0]["fileOffset"] == 400_000
    assert events[0]["expectedTotalBytes"] == 700_000
    total = 400_000
    for event in events[1:]:
        assert event.type == "downloadprogress"
        total += event["bytesWritten"]
        assert event["totalBytesWritten"] == total
    assert total == 700_000
    assert len(events) > 3


# ----


@pytest.mark.parametrize("why", ["ranges ignored", "file changed"])
async def test_r09_a_200_is_used_from_byte_zero(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    why: str,
):
    resource.stall_after = 400_000
    task = session.download_task(server.url("/a.bin"))
    await paused(task, recorder, resource, 400_000)
    if why == "ranges ignored":
        resource.before = lambda conn, request: sent(
            conn, reply(200, {"ETag": '"v1"', "Content-Length": "700000"}, resource.body)
        )
    else:
        resource.body, resource.etag = os.urandom(300_000), '"v2"'
    assert (await task.resume().wait()).succeeded
    assert asked(server) == ["", rest(400_000)]  # the same answer is used
    assert (downloads / "a.bin").read_bytes() == resource.body
    (event,) = recorder.of("downloadresumed")
    assert (event.file_offset, event.expected_total_bytes) == (0, len(resource.body))
    assert ("changed" if why == "file changed" else "whole") in event.reason
    assert task.record.wasted == 400_000
    assert list(downloads.iterdir()) == [downloads / "a.bin"]


# ----


@pytest.mark.parametrize(
    ("value", "more"),
    [
        ("lines {}-699999/700000", {}),
        ("bytes 399999-699999/700000", {}),
        ("bytes 400001-699999/700000", {}),
        ("bytes {}-399/700000", {}),
        ("bytes {}-699999/699999", {}),
        ("bytes {}-699999/800000", {}),
        ("bytes {}-799999/*", {}),
        ("bytes {}-699998/700000", {}),  # contradicts Content-Length
        ("bytes {}-699999/700000", {"ETag": '"v2"'}),
        ("bytes {}-699999/700000", {"ETag": 'W/"v1"'}),
        ("bytes {}-699999/700000", {"Content-Encoding": "gzip"}),
        (None, {"Content-Type": "multipart/byteranges; boundary=x"}),
        ("bytes {}-699999/700000", {"Content-Type": "multipart/byteranges; boundary=x"}),
        *(
            (value, {})
            for value in (None, "", "bytes", "bytes {}-", "bytes -/5", "bytes {}--1/700000", "junk")
        ),
    ],
)
async def test_r10_a_206_that_does_not_fit_starts_over(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    value,
    more,
):
    resource.stall_after = 400_000
    task = session.download_task(server.url("/a.bin"))
    await paused(task, recorder, resource, 400_000)
    resource.before = content_ranges(value and value.format(400_000 - resume.OVERLAP), **more)
    assert (await task.resume().wait()).succeeded
    assert asked(server) == ["", rest(400_000), ""]
    assert (downloads / "a.bin").read_bytes() == resource.body
    (event,) = recorder.of("downloadresumed")
    assert event.file_offset == 0
    assert event.reason
    assert list(downloads.iterdir()) == [downloads / "a.bin"]


async def test_r10_starting_over_happens_as_often_as_there_is_progress(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    resource.cut_after = 400_000
    resource.before = content_ranges("bytes 400001-699999/700000")
    task = session.download_task(server.url("/a.bin"), maximum_attempts=3)
    record = await task.wait()
    assert code_of(task) == -1005  # the line is at fault, not the file
    assert asked(server) == ["", rest(400_000), "", ""]
    assert record.received == 400_000
    resource.cut_after = None
    session.tasks.run_of(task.task_identifier).retry()
    assert (await task.wait()).succeeded
    assert (downloads / "a.bin").read_bytes() == resource.body


async def test_r10_a_server_that_never_says_what_it_sends_is_remembered(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    resource.stall_after = 400_000
    task = session.download_task(server.url("/a.bin"), maximum_attempts=3)
    await paused(task, recorder, resource, 400_000)
    resource.before, resource.cut_after = content_ranges("junk"), 300_000
    record = await task.resume().wait()
    assert code_of(task) == -1005
    assert asked(server) == ["", rest(400_000), "", "", ""]  # by range only once
    assert record.received == 400_000  # the longer part is the one that goes on
    assert task.record.evidence.no_ranges
    assert [part.read_bytes() for part in parts_in(downloads)] == [resource.body[:400_000]]


async def test_r10_a_206_that_nobody_asked_for_is_no_file(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    resource.before = lambda conn, request: sent(
        conn, reply(206, {"Content-Range": "bytes 0-9/100"}, b"0123456789")
    )
    task = session.download_task(server.url("/a.bin"))
    await task.wait()
    assert code_of(task) == -1011
    assert not downloads.exists() or list(downloads.iterdir()) == []


# ----


@BOTH_LOOPS
@pytest.mark.parametrize("most", [100_000, 299_999])
@pytest.mark.parametrize("total", ["700000", "*"])
async def test_r11_the_rest_is_asked_for_until_the_file_is_whole(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    most: int,
    total: str,
):
    def little(conn: Conn, request: Request) -> bool:
        if not request.header("Range"):
            return False
        begin = int(request.header("Range")[6:-1])
        end = min(begin + most, len(resource.body))
        fields = {"ETag": '"v1"', "Content-Range": f"bytes {begin}-{end - 1}/{total}"}
        conn.send(reply(206, fields, resource.body[begin:end]))
        return True

    resource.stall_after = 400_000
    task = session.download_task(server.url("/a.bin"))
    await paused(task, recorder, resource, 400_000)
    resource.before = little
    assert (await task.resume().wait()).succeeded
    assert (downloads / "a.bin").read_bytes() == resource.body
    begin = 400_000 - resume.OVERLAP  # only the first one goes on after an interruption
    assert asked(server) == ["", *(f"bytes={n}-" for n in range(begin, 700_000, most))]
    assert [event.file_offset for event in recorder.of("downloadresumed")] == [400_000]


async def test_r11_a_part_that_stops_fitting_on_the_way_starts_over(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    count = itertools.count()

    def little(conn: Conn, request: Request) -> bool:
        if not request.header("Range"):
            return False
        begin = int(request.header("Range")[6:-1])
        tag = '"v1"' if next(count) == 0 else '"v2"'
        fields = {"ETag": tag, "Content-Range": f"bytes {begin}-{begin + 99_999}/700000"}
        conn.send_slowly([reply(206, {**fields, "Content-Length": "100000"})], 0)
        conn.send_slowly(
            [resource.body[n : n + 25_000] for n in range(begin, begin + 100_000, 25_000)], 0.06
        )
        return True

    resource.stall_after = 400_000
    task = session.download_task(server.url("/a.bin"))
    await paused(task, recorder, resource, 400_000)
    resource.before = little
    assert (await task.resume().wait()).succeeded
    assert (downloads / "a.bin").read_bytes() == resource.body
    begin = 400_000 - resume.OVERLAP
    assert asked(server) == ["", f"bytes={begin}-", f"bytes={begin + 100_000}-", ""]


# ----


async def all_there(session: Session, server: ByteServer, resource: Resource) -> DownloadTask:
    """A download that has stored everything without knowing it: the last chunk does not come."""

    def unended(conn: Conn, request: Request) -> bool:
        if request.header("Range"):
            return False
        conn.send(reply(200, {"Transfer-Encoding": "chunked", "ETag": resource.etag}))
        conn.send(b"%x\r\n" % len(resource.body) + resource.body + b"\r\n")
        conn.stall()
        return True

    resource.before = unended
    task = session.download_task(server.url("/a.bin"))
    await eventually(lambda: task.count_of_bytes_received == len(resource.body))
    task.suspend()
    await eventually(lambda: session._engine.progress.get(task.key) is None)
    return task


async def test_r12_a_416_of_the_stored_length_finishes(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    task = await all_there(session, server, resource)
    assert (await task.resume().wait()).succeeded
    assert asked(server) == ["", rest(700_000)]
    assert server.requests[1].header("If-Range") == '"v1"'
    assert (downloads / "a.bin").read_bytes() == resource.body
    assert len(recorder.of("downloadcompleted", task)) == 1


@pytest.mark.parametrize(
    "answer", ["bytes */600000", "bytes */800000", "bytes */*", "", "another tag"]
)
async def test_r12_any_other_416_starts_over(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    answer: str,
):
    task = await all_there(session, server, resource)
    fields = {"Content-Range": answer} if answer else {}
    if answer == "another tag":
        fields = {"Content-Range": "bytes */700000", "ETag": '"v2"'}
    resource.before = lambda conn, request: (
        bool(request.header("Range")) and sent(conn, reply(416, fields, b"no"))
    )
    resource.body = os.urandom(600_000)
    assert (await task.resume().wait()).succeeded
    assert asked(server) == ["", rest(700_000), ""]
    assert (downloads / "a.bin").read_bytes() == resource.body
    assert task.record.wasted == 700_000


# ----


@pytest.mark.parametrize("harm", ["gone", "shorter", "empty", "a folder", "a link"])
@pytest.mark.parametrize("reopened", [False, True])
async def test_r13_a_part_that_is_not_what_it_was_starts_over(
    open_monitor: OpenMonitor,
    server: ByteServer,
    resource: Resource,
    downloads: Path,
    tmp_path: Path,
    harm: str,
    reopened: bool,
):
    def spoil() -> None:
        (part,) = parts_in(downloads)
        if harm in ("shorter", "empty"):
            os.truncate(part, 399_999 if harm == "shorter" else 0)
            return
        part.unlink()
        if harm == "a folder":
            part.mkdir()
        elif harm == "a link":
            (tmp_path / "victim").write_bytes(bytes(500_000))
            part.symlink_to(tmp_path / "victim")

    async def goes_on(monitor: Monitor, key: TaskKey) -> None:
        resource.stall_after = None
        task = monitor.handle(key)
        assert (await task.resume().wait()).succeeded
        assert asked(server) == ["", ""]
        assert (downloads / "a.bin").read_bytes() == resource.body
        (event,) = recorder_of(monitor).of("downloadresumed")
        assert event.file_offset == 0
        assert event.reason

    resource.stall_after = 400_000
    async with open_monitor() as monitor:
        task = quick_session(monitor).download_task(server.url("/a.bin"))
        await eventually(lambda: task.count_of_bytes_received == 400_000)
        task.suspend()
        await eventually(lambda: monitor.overview.progress(task.key) is None)
        if not reopened:
            spoil()
            await goes_on(monitor, task.key)
    if reopened:
        spoil()
        async with open_monitor() as monitor:
            await goes_on(monitor, task.key)
    if harm == "a link":
        assert (tmp_path / "victim").read_bytes() == bytes(500_000)


async def test_r13_a_part_that_is_longer_is_cut(
    open_monitor: OpenMonitor,
    server: ByteServer,
    resource: Resource,
    downloads: Path,
    tmp_path: Path,
):
    resource.stall_after = 400_000
    async with open_monitor() as monitor:
        task = quick_session(monitor).download_task(server.url("/a.bin"))
        await eventually(lambda: task.count_of_bytes_received == 400_000)
        task.suspend()
        await eventually(lambda: monitor.overview.progress(task.key) is None)
    (part,) = parts_in(downloads)
    with part.open("ab") as file:
        file.write(b"what nobody knows of")
    as_after_a_reboot(tmp_path)
    resource.stall_after = None
    async with open_monitor() as monitor:
        assert (await monitor.handle(task.key).resume().wait()).succeeded
    assert asked(server) == ["", rest(400_000)]
    assert (downloads / "a.bin").read_bytes() == resource.body


def as_after_a_reboot(tmp_path: Path, received: int | None = None) -> int:
    """Let the records say that another run of the kernel wrote them; returns the durable length of
    the first.
    """
    database = sqlite3.connect(tmp_path / "state" / "transfermon.db")
    (text,) = database.execute("select record from task").fetchone()
    record = json.loads(text)
    assert record["boot_id"]
    record["boot_id"] = "another"
    if received is not None:
        record["received"] = received
    database.execute("update task set record=?", (json.dumps(record),))
    database.commit()
    database.close()
    return int(record.get("received", 0))


# ----


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"junk",
        b"\0" * 100,
        resume.pack("A" * 32)[:-1],
        resume.pack("A" * 32) + b"x",
        resume.pack("A" * 32).replace(b"A", b"B", 1),
        resume.pack("A" * 32),  # well-formed, and not ours
        b"<?xml version='1.0'?><plist/>",
    ],
)
@pytest.mark.parametrize("start", [True, False])
async def test_r14_malformed_data_gives_a_task_that_ends_without_a_request(
    session: Session, server: ByteServer, recorder: Recorder, data: bytes, start: bool
):
    task = session.download_task_with_resume_data(data, start=start)
    assert task.task_identifier == 1
    if not start:
        assert task.state is State.SUSPENDED
        task.resume()
    await task.wait()
    assert code_of(task) == -1002
    (event,) = recorder.of("sessioncompleted", task)
    assert (event.success, event.error_code) == (False, -1002)
    assert event.message
    assert (server.connections, server.requests) == (0, [])


@BOTH_LOOPS
async def test_r15_data_is_spent_by_its_first_use(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    resource.stall_after = 400_000
    task = session.download_task(server.url("/a.bin"))
    await eventually(lambda: task.count_of_bytes_received == 400_000)
    data = await task.cancel_by_producing_resume_data()
    assert data is not None
    resource.stall_after = None
    first, second = (session.download_task_with_resume_data(data) for _ in range(2))
    await second.wait()
    assert code_of(second) == -1002
    assert (await first.wait()).succeeded
    assert (downloads / "a.bin").read_bytes() == resource.body
    assert len(server.requests) == 2
    assert task.resume_data is None


async def test_r15_spent_data_stays_spent_over_a_restart(
    open_monitor: OpenMonitor, server: ByteServer, resource: Resource, downloads: Path
):
    resource.stall_after = 400_000
    async with open_monitor() as monitor:
        session = quick_session(monitor)
        task = session.download_task(server.url("/a.bin"))
        await eventually(lambda: task.count_of_bytes_received == 400_000)
        data = await task.cancel_by_producing_resume_data()
        assert data is not None
        first = session.download_task_with_resume_data(data)
        await first.accepted
    resource.stall_after = None
    async with open_monitor() as monitor:
        second = monitor.session("com.example.quick").download_task_with_resume_data(data)
        await second.wait()
        assert code_of(second) == -1002
        assert (await monitor.handle(first.key).wait()).succeeded
    assert (downloads / "a.bin").read_bytes() == resource.body


# ----


async def failed_in_the_middle(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder
) -> DownloadTask:
    resource.cut_after = 400_000
    task = default_session(monitor).download_task(server.url("/a.bin"))
    await task.wait()
    assert code_of(task) == -1005
    resource.cut_after = None
    return task


async def test_r16_a_network_failure_offers_data(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    task = await failed_in_the_middle(monitor, server, resource, recorder)
    (event,) = recorder.of("sessioncompleted", task)
    assert event.resumable
    assert event["resumable"] is True
    assert event.resume_data == task.resume_data is not None
    again = quick_session(monitor).download_task_with_resume_data(event.resume_data)
    assert (await again.wait()).succeeded
    assert asked(server) == ["", rest(400_000)]
    assert (downloads / "a.bin").read_bytes() == resource.body


@pytest.mark.parametrize("validators", ["none", "no ranges"])
async def test_r16_no_data_where_r01_does_not_hold(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder, validators: str
):
    resource.etag = "" if validators == "none" else '"v1"'
    resource.ranges = validators == "none"
    if validators == "none":
        resource.before = unended(resource, 100_000)  # nor a length
        session = default_session(monitor, timeout_interval_for_request=0.5)
        task = session.download_task(server.url("/a.bin"))
        await task.wait()
        assert code_of(task) == -1001
        (event,) = recorder.of("sessioncompleted", task)
        assert (event.resumable, event.resume_data) == (False, None)
        return
    task = await failed_in_the_middle(monitor, server, resource, recorder)
    (event,) = recorder.of("sessioncompleted", task)
    assert (event.resumable, event.resume_data) == (False, None)


async def test_r16_a_retry_of_the_task_spends_the_data(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    task = await failed_in_the_middle(monitor, server, resource, recorder)
    data = task.resume_data
    assert data is not None
    monitor.commands.retry(task.key)
    other = quick_session(monitor).download_task_with_resume_data(data)
    await other.wait()
    assert code_of(other) == -1002
    await recorder.wait_for("sessioncompleted", task, count=2)
    assert asked(server) == ["", rest(400_000)]
    assert (downloads / "a.bin").read_bytes() == resource.body


async def test_r16_a_task_whose_data_was_used_keeps_off_the_part(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    task = await failed_in_the_middle(monitor, server, resource, recorder)
    assert task.resume_data is not None
    other = quick_session(monitor).download_task_with_resume_data(task.resume_data, start=False)
    monitor.commands.retry(task.key)
    await recorder.wait_for("sessioncompleted", task, count=2)
    assert task.record.succeeded
    monitor.commands.remove(task.key)
    await recorder.wait_for("taskremoved", task)
    assert (await other.resume().wait()).succeeded
    assert asked(server) == ["", "", rest(400_000)]
    assert (
        (downloads / "a.bin").read_bytes()
        == (downloads / "a (1).bin").read_bytes()
        == resource.body
    )


async def test_r16_removing_a_failed_task_deletes_its_part_and_ends_its_data(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    task = await failed_in_the_middle(monitor, server, resource, recorder)
    data = task.resume_data
    assert data is not None
    monitor.commands.remove(task.key)
    await recorder.wait_for("taskremoved", task)
    assert parts_in(downloads) == []
    other = quick_session(monitor).download_task_with_resume_data(data)
    await other.wait()
    assert code_of(other) == -1002


# ----


@BOTH_LOOPS
@pytest.mark.parametrize("kind", ["strong", "weak", "date"])
async def test_r17_suspend_and_resume_go_on_by_range(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    kind: str,
):
    if kind == "weak":
        resource.etag = 'W/"v1"'
    elif kind == "date":
        resource.etag, resource.last_modified, resource.headers = "", OLD, {"Date": SENT}
    task = session.download_task(server.url("/a.bin"), start=False)
    overlap, brought, last = 0, 0, 0
    wanted = [""]
    for at in (100_000, 250_000, 600_000):
        resource.stall_after = at - last + overlap
        task.resume()
        await eventually(lambda at=at: task.count_of_bytes_received == at)  # type: ignore[misc]
        task.suspend()
        await eventually(lambda: session._engine.progress.get(task.key) is None)
        brought, last = at - last, at
        overlap = resume.overlap_for(at, brought)
        wanted.append(rest(at, brought))
    resource.stall_after = None
    assert (await task.resume().wait()).succeeded
    assert asked(server) == wanted
    assert (downloads / "a.bin").read_bytes() == resource.body
    assert task.record.restarts == 0


@pytest.mark.parametrize("ending", ["cut", "503", "html", "404-like"])
async def test_r17_automatic_retries_go_on_by_range(
    session: Session, server: ByteServer, resource: Resource, downloads: Path, ending: str
):
    count = itertools.count()

    def bad_once(conn: Conn, request: Request) -> bool:
        if not request.header("Range") or next(count) > 0:
            return False
        if ending == "cut":
            conn.close()
        elif ending == "503":
            conn.send(reply(503, {"Retry-After": "0"}, b"<html>busy</html>"))
        elif ending == "html":
            conn.send(reply(500, {"Content-Type": "text/html"}, b"<html>oops</html>" * 1000))
        else:
            conn.send(reply(204, {}))
        return True

    resource.cut_after, resource.before = 400_000, bad_once
    assert (await session.download_task(server.url("/a.bin")).wait()).succeeded
    assert asked(server) == ["", rest(400_000), rest(400_000)]
    assert (downloads / "a.bin").read_bytes() == resource.body


# ----


@pytest.mark.parametrize("at", [1000, 300_000, 3_000_000])
async def test_r18_after_a_kill_the_download_goes_on_from_what_is_on_disk(
    open_monitor: OpenMonitor,
    server: ByteServer,
    resource: Resource,
    downloads: Path,
    tmp_path: Path,
    at: int,
):
    resource.body, resource.stall_after = os.urandom(4_000_000), at
    body = f"""
task = session.download_task({server.url("/a.bin")!r})
await task.accepted
while task.count_of_bytes_received < {at}:
    await asyncio.sleep(0.005)
print("there", flush=True)
await asyncio.Event().wait()
"""
    with engine_process(tmp_path, body) as process:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "there\n"
    (part,) = parts_in(downloads)
    assert part.read_bytes() == resource.body[:at]
    resource.stall_after = None
    async with open_monitor() as monitor:
        (record,) = monitor.tasks()
        assert (record.key, record.state) == (TaskKey("com.example.quick", 1), State.RUNNING)
        assert (await monitor.handle(record.key).wait()).succeeded
        events = recorder_of(monitor).of("downloadresumed")
        assert [event.file_offset for event in events] == [at]
    assert asked(server) == ["", rest(at)]  # the same boot: what the kernel has is there
    assert (downloads / "a.bin").read_bytes() == resource.body
    assert list(downloads.iterdir()) == [downloads / "a.bin"]


async def test_r18_after_a_reboot_only_what_was_flushed_is_believed(
    open_monitor: OpenMonitor,
    server: ByteServer,
    resource: Resource,
    downloads: Path,
    tmp_path: Path,
):
    resource.body = os.urandom(4_000_000)
    resource.piece, resource.pause = 20_000, 0.01
    body = f"""
task = session.download_task({server.url("/a.bin")!r})
while task.record.received == 0 or task.count_of_bytes_received < task.record.received + 60_000:
    await asyncio.sleep(0.005)
print(task.record.received, flush=True)
await asyncio.Event().wait()
"""
    with engine_process(tmp_path, body) as process:
        assert process.stdout is not None
        flushed = int(await asyncio.to_thread(process.stdout.readline))
    (part,) = parts_in(downloads)
    durable = as_after_a_reboot(tmp_path)
    assert flushed <= durable < part.stat().st_size
    with part.open("r+b") as file:  # what was not flushed may be anything after a power cut
        file.seek(durable)
        file.write(bytes(part.stat().st_size - durable))
    resource.pause, resource.piece = 0.0, 1 << 18
    async with open_monitor() as monitor:
        (record,) = monitor.tasks()
        assert (await monitor.handle(record.key).wait()).succeeded
    assert asked(server) == ["", rest(durable)]
    assert (downloads / "a.bin").read_bytes() == resource.body


async def test_r18_a_kill_at_any_moment_loses_nothing_and_doubles_nothing(
    open_monitor: OpenMonitor,
    server: ByteServer,
    resource: Resource,
    downloads: Path,
    tmp_path: Path,
):
    resource.body = os.urandom(2_000_000)
    resource.piece, resource.pause = 50_000, 0.004
    create = f"session.download_task({server.url('/a.bin')!r})"
    wait = "print('up', flush=True)\nawait asyncio.Event().wait()"

    def has_begun(requests: int) -> bool:
        return len(server.requests) >= requests or (downloads / "a.bin").exists()

    for turn in range(5):
        with engine_process(
            tmp_path, f"await {create}.accepted\n{wait}" if turn == 0 else wait
        ) as process:
            assert process.stdout is not None
            await asyncio.to_thread(process.stdout.readline)
            await eventually(functools.partial(has_begun, turn + 1))
            await asyncio.sleep(0.02 * turn)
    async with open_monitor() as monitor:
        (record,) = monitor.tasks()
        assert (await monitor.handle(record.key).wait()).succeeded
        assert [event.type for event in await monitor.overview.history()].count(
            "sessioncompleted"
        ) == 1
    assert list(downloads.iterdir()) == [downloads / "a.bin"]
    assert (downloads / "a.bin").read_bytes() == resource.body


async def test_r18_a_kill_while_the_final_name_is_given_keeps_the_file_and_its_name(
    open_monitor: OpenMonitor,
    server: ByteServer,
    resource: Resource,
    downloads: Path,
    tmp_path: Path,
):
    downloads.mkdir()
    # somebody else's, of the same length
    (downloads / "a.bin").write_bytes(bytes(len(resource.body)))
    body = f"""
def renamed(event):
    if event.activity == "finalizing":
        print(event.task.final_path, flush=True)
monitor.add_event_listener("taskactivity", renamed)
async def never(event):
    await asyncio.Event().wait()
monitor.add_event_listener("downloadcompleted", never)
await session.download_task({server.url("/a.bin")!r}).wait()
"""
    final = downloads / "a (1).bin"
    with engine_process(tmp_path, body) as process:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == f"{final}\n"
    async with open_monitor() as monitor:
        (record,) = monitor.tasks()
        done = await monitor.handle(record.key).wait()
        assert done.succeeded
        assert done.final_path == str(final)
    assert sorted(downloads.iterdir()) == [final, downloads / "a.bin"]
    assert final.read_bytes() == resource.body
    assert (downloads / "a.bin").read_bytes() == bytes(len(resource.body))
    assert len(server.requests) == 1


@BOTH_LOOPS
async def test_r18_closing_and_opening_the_engine_goes_on_too(
    open_monitor: OpenMonitor, server: ByteServer, resource: Resource, downloads: Path
):
    resource.stall_after = 400_000
    async with open_monitor() as monitor:
        task = quick_session(monitor).download_task(server.url("/a.bin"))
        await eventually(lambda: task.count_of_bytes_received == 400_000)
    resource.stall_after = None
    async with open_monitor() as monitor:
        assert (await monitor.handle(task.key).wait()).succeeded
    assert asked(server) == ["", rest(400_000)]
    assert (downloads / "a.bin").read_bytes() == resource.body


# ----


@pytest.mark.parametrize("there", ["the file", "another file", "gone", "a note", "nobody"])
async def test_r19_a_resumed_download_asks_first_where_it_was_led(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    there: str,
):
    """The address that answered last is asked first; unless it has the rest, the original one is,
    at once.
    """
    places = iter(["/one", "/two"])
    second = Resource(resource.body, etag='"other"')

    def route(conn: Conn, request: Request) -> bool:
        if request.target == "/start":
            return sent(conn, reply(302, {"Location": next(places)}))
        if request.target == "/two":
            second(conn, request)
            return True
        if not request.header("Range"):
            return False
        if there == "nobody":
            conn.close()
            return True
        if there == "gone":
            return sent(conn, reply(410, {}, b"gone"))
        return there == "a note" and sent(
            conn, reply(200, {"Content-Type": "text/html"}, b"<p>expired")
        )

    resource.before, resource.stall_after = route, 400_000
    task = session.download_task(server.url("/start"), destination=downloads / "a.bin")
    await paused(task, recorder, resource, 400_000)
    if there == "another file":
        resource.body, resource.etag = os.urandom(500_000), '"v2"'
        second.body = os.urandom(600_000)
    record = await task.resume().wait()
    assert record.succeeded
    targets = [request.target for request in server.requests]
    if there == "the file":
        assert targets == ["/start", "/one", "/one"]
        assert (downloads / "a.bin").read_bytes() == resource.body
        assert (record.wasted, record.restarts) == (0, 0)
    else:
        # The tag of the second place says nothing of the first's file: the host is the same, so
        # that it counts here.
        assert targets[:2] == ["/start", "/one"]
        assert targets[-1] == "/two"
        assert (downloads / "a.bin").read_bytes() == second.body
    assert record.attempt == 2  # no attempt was lost


async def test_o04_a_new_version_after_a_part_of_the_old_one_is_a_new_attempt(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    """An answer to less than was asked for is gone on with in the same attempt; what it brought
    was told, and is no more when the next answer is another file.
    """
    old, new = resource.body, os.urandom(700_000)
    resource.cut_after = 100_000

    def told(total: int) -> bool:
        return any(event.total_bytes_written == total for event in recorder.of("downloadprogress"))

    def before(conn: Conn, request: Request) -> bool:
        begin = request.header("Range").removeprefix("bytes=").removesuffix("-")
        if not begin:
            return False
        if int(begin) < 300_000:
            fields = {"ETag": '"v1"', "Content-Range": f"bytes {begin}-299999/{len(old)}"}
            conn.send(reply(206, fields, old[int(begin) : 300_000]))
            return True
        while not told(300_000) and not conn.server.stopping.wait(0.01):
            pass
        head = reply(200, {"ETag": '"v2"', "Content-Length": str(len(new))})
        conn.send(head + new[:200_000])
        while not told(200_000) and not conn.server.stopping.wait(0.01):
            pass
        conn.send(new[200_000:])
        return True

    resource.before = before
    task = session.download_task(server.url("/a.bin"))
    await task.wait()
    assert task.record.state is State.COMPLETED
    assert task.record.error is None
    assert Path(task.record.final_path).read_bytes() == new
    first, second = recorder.of("downloadresumed", task)
    assert (first.file_offset, second.file_offset) == (100_000, 0)
    assert second.task.attempt == first.task.attempt + 1
    assert second.reason
    assert (task.record.restarts, task.record.wasted) == (1, 300_000)
