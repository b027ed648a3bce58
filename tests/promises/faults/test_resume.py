"""Faults, group B: going on after an interruption, against servers that forget, change their mind
or lie about ranges.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, reply, rest
from tests.helpers.recorder import Recorder, eventually, recorder_of
from tests.helpers.sessions import engine_process, parts_in, quick_session, sent
from tests.promises.rules.conftest import OpenMonitor
from tests.promises.rules.test_resuming import as_after_a_reboot
from transfermon.engine.monitor import DownloadTask, Monitor, Session
from transfermon.http import resume
from transfermon.model.errors import Retry
from transfermon.model.task import Activity

pytestmark = pytest.mark.anyio
SIZE, AT = 700_000, 280_000  # 40 %
OLD, SENT = "Mon, 01 Jun 2026 10:00:00 GMT", "Mon, 01 Jun 2026 11:00:00 GMT"


@pytest.fixture
def session(monitor: Monitor) -> Session:
    return quick_session(monitor)


@pytest.fixture
def resource() -> Resource:
    """What nobody can guess, with a strong validator; its first answer stops at 40 %."""
    return Resource(os.urandom(SIZE), etag='"v1"', stall_after=AT)


async def paused(task: DownloadTask, resource: Resource, at: int = AT) -> None:
    """Suspend the task at `at` bytes; the server then sends whole bodies."""
    await eventually(lambda: task.count_of_bytes_received == at, f"{at} bytes")
    task.suspend()
    await eventually(
        lambda: task.session._engine.progress.get(task.key) is None, "the attempt to let go"
    )
    resource.stall_after = None


def asked(server: ByteServer) -> list[str]:
    return [request.header("Range") for request in server.requests]


def partial(
    resource: Resource, value: str | None, *, offset: int = AT
) -> Callable[[Conn, Request], bool]:
    """Answers ranges with 206, the bytes from `offset` on and this Content-Range."""

    def before(conn: Conn, request: Request) -> bool:
        if not request.header("Range"):
            return False
        fields = {"ETag": resource.etag, **({} if value is None else {"Content-Range": value})}
        return sent(conn, reply(206, fields, resource.body[offset:]))

    return before


def only(downloads: Path, body: bytes) -> bool:
    """Whether there is this file, whole, and nothing else."""
    return [path.name for path in downloads.iterdir()] == ["a.bin"] and (
        downloads / "a.bin"
    ).read_bytes() == body


# ---- B1, B26


async def test_fault_b1_after_a_network_loss_one_request_asks_for_the_rest(
    monitor: Monitor,
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
):
    reasons: list[str] = []
    monitor.add_event_listener("taskstate", lambda event: reasons.append(event.reason))
    task = session.download_task(server.url("/a.bin"))
    await eventually(lambda: task.count_of_bytes_received == AT)
    await asyncio.to_thread(server.stop)  # the connection ends, and new ones are refused
    await eventually(lambda: task.record.attempt >= 4, "some attempts in vain")
    assert any("refused" in reason for reason in reasons)
    assert [part.read_bytes() for part in parts_in(downloads)] == [resource.body[:AT]]
    resource.stall_after = None
    with ByteServer(resource, port=server.port) as again:
        record = await task.wait()
        assert record.succeeded
        (request,) = again.requests
    assert (request.header("Range"), request.header("If-Range")) == (rest(AT), '"v1"')
    assert (record.wasted, record.restarts) == (0, 0)
    assert [event.file_offset for event in recorder.of("downloadresumed")] == [AT]
    assert only(downloads, resource.body)


@pytest.mark.parametrize("ending", ["closes", "resets", "both"])
async def test_fault_b26_ten_cuts_anywhere_fetch_every_byte_once(
    session: Session, server: ByteServer, resource: Resource, downloads: Path, ending: str
):
    resource.body, resource.stall_after, left = os.urandom(16 * 1024 * 1024), None, 10
    dice = random.Random(26)

    def cut(conn: Conn, request: Request) -> bool:
        nonlocal left
        begin = int(request.header("Range")[6:-1] or "0")
        resource.cut_after = resource.reset_after = None
        if left:
            at = dice.randrange(1, (len(resource.body) - begin) // 3)
            if ending == "closes" or (ending == "both" and left % 2):
                resource.cut_after = at
            else:
                resource.reset_after = at
            left -= 1
        return False

    resource.before = cut
    digest = hashlib.sha256(resource.body).hexdigest()
    record = await session.download_task(
        server.url("/a.bin"), expected_digest=f"sha-256:{digest}"
    ).wait()
    assert record.succeeded
    assert only(downloads, resource.body)
    assert len(server.requests) == 11
    offsets = [int(value[6:-1] or "0") for value in asked(server)]
    assert offsets == sorted(offsets)
    assert {request.header("If-Range") for request in server.requests[1:]} <= {'"v1"', ""}
    fetched = sum(each.response_body_bytes for each in record.metrics.transactions)
    # Twice is fetched what is compared, at most half of what the connection before brought; no
    # checkpoint.
    assert len(resource.body) < fetched <= len(resource.body) + 10 * resume.OVERLAP
    assert (record.wasted, record.restarts) == (0, 0)


# ---- B2, B3: the whole file in place of the rest


async def test_fault_b2_a_server_that_ignores_the_range_is_taken_at_its_word(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    fields = {"ETag": '"v1"', "Content-Length": str(SIZE)}
    resource.before = lambda conn, request: sent(conn, reply(200, fields, resource.body))
    record = await task.resume().wait()
    assert record.succeeded
    assert asked(server) == ["", rest(AT)]  # the same answer is used
    assert record.wasted == AT
    (event,) = recorder.of("downloadresumed")
    assert (event.file_offset, event.expected_total_bytes) == (0, SIZE)
    assert event.reason
    assert only(downloads, resource.body)


@pytest.mark.parametrize("size", [100, 150_000, 2_000_000])
async def test_fault_b3_a_file_that_changed_is_the_new_one_in_full(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    size: int,
):
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    resource.body, resource.etag = os.urandom(size), '"v2"'
    record = await task.resume().wait()
    assert record.succeeded
    assert record.validators is not None
    assert record.validators.etag == '"v2"'
    assert asked(server) == ["", rest(AT)]
    assert record.wasted == AT
    (event,) = recorder.of("downloadresumed")
    assert (event.file_offset, event.expected_total_bytes) == (0, size)
    assert "changed" in event.reason
    assert only(downloads, resource.body)


# ---- B6, B7: weaker validators


@pytest.mark.parametrize("etag", ['W/"v1"', ""])
@pytest.mark.parametrize("same", [True, False])
async def test_fault_b6_without_a_strong_validator_nothing_is_appended_blindly(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    etag: str,
    same: bool,
):
    resource.etag = etag
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    if not same:  # another version of the same length, which the server calls by the same name
        resource.body = os.urandom(SIZE)
    assert (await task.resume().wait()).succeeded
    assert all(request.header("If-Range") == "" for request in server.requests)
    # without any validator two places must agree
    start = [] if etag else [f"bytes=0-{resume.OVERLAP - 1}"]
    if same:
        assert asked(server) == ["", *start, rest(AT)]
    else:
        assert asked(server) == ["", *(start or [rest(AT)]), ""]
    assert task.record.wasted == (0 if same else AT)
    resumed = recorder.of("downloadresumed")[-1]
    assert resumed.file_offset == (AT if same else 0)
    if same and not etag:
        assert "neither an entity tag nor a date" in resumed.reason
    assert only(downloads, resource.body)


async def test_fault_b7_a_date_that_is_old_enough_guards_the_rest(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    resource.etag, resource.last_modified, resource.headers = "", OLD, {"Date": SENT}
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    record = await task.resume().wait()
    assert record.succeeded
    assert asked(server) == ["", f"bytes={AT - resume.OVERLAP}-"]
    assert server.requests[1].header("If-Range") == OLD
    assert record.wasted == 0
    assert only(downloads, resource.body)


async def test_fault_b7_a_new_date_brings_the_new_file(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    resource.etag, resource.last_modified, resource.headers = "", OLD, {"Date": SENT}
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    resource.body, resource.last_modified = os.urandom(SIZE), "Mon, 01 Jun 2026 10:30:00 GMT"
    assert (await task.resume().wait()).succeeded
    assert len(server.requests) == 2
    assert only(downloads, resource.body)


# ---- B9 to B13: partial answers that lie


@pytest.mark.parametrize("offset", [AT - 1, AT + 1])
async def test_fault_b9_a_206_from_another_byte_is_written_nowhere(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    offset: int,
):
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    resource.before = partial(resource, f"bytes {offset}-{SIZE - 1}/{SIZE}", offset=offset)
    record = await task.resume().wait()
    assert record.succeeded
    assert asked(server) == ["", rest(AT), ""]
    (event,) = recorder.of("downloadresumed")
    assert event.file_offset == 0
    assert "another part" in event.reason
    assert record.wasted == AT
    assert only(downloads, resource.body)


@pytest.mark.parametrize("offset", [0, AT // 65536 * 65536 - 65536])
@pytest.mark.parametrize("same", [True, False])
async def test_fault_b9_a_206_that_begins_earlier_is_compared_and_used(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    offset: int,
    same: bool,
):
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    if not same:
        resource.body = os.urandom(SIZE)
    resource.before = partial(resource, f"bytes {offset}-{SIZE - 1}/{SIZE}", offset=offset)
    record = await task.resume().wait()
    assert record.succeeded
    assert asked(server) == ["", rest(AT), *([] if same else [""])]
    assert [event.file_offset for event in recorder.of("downloadresumed")] == [AT if same else 0]
    assert record.wasted == (0 if same else AT)
    assert only(downloads, resource.body)


@pytest.mark.parametrize(
    "value", [None, "", "junk", f"bytes {AT}-/{SIZE}", f"bytes={AT}--1/{SIZE}"]
)
async def test_fault_b10_a_206_that_does_not_say_what_it_is_is_asked_for_as_a_whole(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    value: str | None,
):
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    resource.before = partial(resource, value, offset=0)
    kept: list[bytes] = []
    answer = resource.before

    def before(conn: Conn, request: Request) -> bool:
        kept.extend(part.read_bytes() for part in parts_in(downloads))
        return answer(conn, request)

    resource.before = before
    record = await task.resume().wait()
    assert record.succeeded
    assert asked(server) == ["", rest(AT), ""]  # at once, and once
    assert set(kept) == {resource.body[:AT]}  # until that answer came the part was there
    assert record.evidence.no_ranges == f"127.0.0.1:{server.port}"
    (event,) = recorder.of("downloadresumed")
    assert (event.file_offset, event.reason) == (
        0,
        "The server did not say which part of the file it sends.",
    )
    assert only(downloads, resource.body)


@pytest.mark.parametrize(
    "form", ["bytes={}-{}/{}", "bytes: {}-{}/{}", "{}-{}/{}", "Bytes  {} - {} / {}", "bytes {}-{}"]
)
async def test_fault_b10_a_form_that_can_be_read_in_one_way_is_read(
    session: Session, server: ByteServer, resource: Resource, downloads: Path, form: str
):
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    begin = int(rest(AT)[6:-1])
    resource.before = partial(resource, form.format(begin, SIZE - 1, SIZE), offset=begin)
    record = await task.resume().wait()
    assert asked(server) == ["", rest(AT)]
    assert (record.wasted, record.restarts) == (0, 0)
    assert only(downloads, resource.body)


@pytest.mark.parametrize("total", [SIZE - 1, SIZE + 1, 10 * SIZE])
async def test_fault_b11_another_total_is_another_file(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    total: int,
):
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    resource.before = partial(resource, f"bytes {AT}-{SIZE - 1}/{total}")
    record = await task.resume().wait()
    assert record.succeeded
    assert asked(server) == ["", rest(AT), ""]
    assert [event.file_offset for event in recorder.of("downloadresumed")] == [0]
    assert record.wasted == AT
    assert only(downloads, resource.body)


async def test_fault_b13_a_part_that_nobody_asked_for_is_no_file(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    resource.before = lambda conn, request: sent(
        conn, reply(206, {"Content-Range": f"bytes 0-{SIZE - 1}/{SIZE + 1}"}, resource.body)
    )
    record = await session.download_task(server.url("/a.bin")).wait()
    assert record.error is not None
    assert (record.error.reason, record.error.retry) == ("srv.protocol", Retry.FINAL)
    assert len(server.requests) == 1
    assert not downloads.exists() or list(downloads.iterdir()) == []


async def test_fault_b13_all_of_it_under_206_is_the_file(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    resource.before = lambda conn, request: sent(
        conn, reply(206, {"Content-Range": f"bytes 0-{SIZE - 1}/{SIZE}"}, resource.body)
    )
    assert (await session.download_task(server.url("/a.bin")).wait()).succeeded
    assert len(server.requests) == 1
    assert only(downloads, resource.body)


# ---- B14, B15: nothing more to send


async def all_there(
    session: Session, server: ByteServer, resource: Resource, digest: str = ""
) -> DownloadTask:
    """A download that has everything without knowing it: the last chunk does not come."""

    def unended(conn: Conn, request: Request) -> bool:
        if request.header("Range"):
            return False
        conn.send(reply(200, {"Transfer-Encoding": "chunked", "ETag": resource.etag}))
        conn.send(b"%x\r\n" % SIZE + resource.body + b"\r\n")
        conn.stall()
        return True

    resource.before = unended
    task = session.download_task(server.url("/a.bin"), expected_digest=digest or None)
    await paused(task, resource, SIZE)
    return task


@pytest.mark.parametrize("with_digest", [True, False])
async def test_fault_b14_a_416_at_the_full_length_completes_after_a_check(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    with_digest: bool,
):
    digest = f"sha-256:{hashlib.sha256(resource.body).hexdigest()}" if with_digest else ""
    task = await all_there(session, server, resource, digest)
    record = await task.resume().wait()
    assert record.succeeded
    assert asked(server) == ["", rest(SIZE)]
    assert (Activity.VERIFYING.value in recorder.activities(task)) is with_digest
    assert (record.wasted, record.expected) == (0, SIZE)
    assert only(downloads, resource.body)


async def test_fault_b14_a_416_does_not_hide_a_wrong_digest(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    task = await all_there(
        session, server, resource, f"sha-256:{hashlib.sha256(b'another').hexdigest()}"
    )
    resource.before = None
    record = await task.resume().wait()
    assert record.error is not None
    assert record.error.reason == "srv.changed"
    assert asked(server) == ["", rest(SIZE), ""]  # once more from the start, and no endless retry
    assert list(downloads.iterdir()) == []


@pytest.mark.parametrize("digest", ["right", "wrong", ""])
async def test_fault_b14_a_part_of_the_whole_length_needs_no_request(
    open_monitor: OpenMonitor, server: ByteServer, resource: Resource, downloads: Path, digest: str
):
    expected = (
        hashlib.sha256(resource.body if digest == "right" else b"another").hexdigest()
        if digest
        else ""
    )
    resource.stall_after = SIZE - 1
    async with open_monitor() as monitor:
        task = quick_session(monitor).download_task(
            server.url("/a.bin"), expected_digest=f"sha-256:{expected}" if expected else None
        )
        await paused(task, resource, SIZE - 1)
    (part,) = parts_in(downloads)
    with part.open("ab") as file:  # as if the engine was killed between this write and its record
        file.write(resource.body[-1:])
    resource.before = lambda conn, request: (
        bool(request.header("Range")) and sent(conn, reply(416, {}, b"no"))
    )
    async with open_monitor() as monitor:
        record = await monitor.handle(task.key).resume().wait()
        assert record.succeeded is (digest != "wrong")
    if digest == "wrong":
        assert record.error is not None
        assert record.error.reason == "srv.changed"
        assert asked(server) == ["", ""]
        assert list(downloads.iterdir()) == []
    else:
        assert asked(server) == [""]
        assert only(downloads, resource.body)


async def test_fault_b15_a_file_that_shrank_is_loaded_anew(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    task = await all_there(session, server, resource)
    resource.before, resource.body = None, os.urandom(100_000)  # and the server keeps the old tag
    record = await task.resume().wait()
    assert record.succeeded
    assert asked(server) == ["", rest(SIZE), ""]
    assert record.wasted == SIZE
    assert [event.file_offset for event in recorder.of("downloadresumed")] == [0]
    assert only(downloads, resource.body)


# ---- B18 to B21: the part is not what the journal says


@pytest.mark.parametrize("boot", ["the same", "another"])
async def test_fault_b18_after_a_kill_between_write_and_record_only_what_is_safe_is_believed(
    open_monitor: OpenMonitor,
    server: ByteServer,
    resource: Resource,
    downloads: Path,
    tmp_path: Path,
    boot: str,
):
    script = f"""
task = session.download_task({server.url("/a.bin")!r})
while task.count_of_bytes_received < {AT}:
    await asyncio.sleep(0.005)
print("there", flush=True)
await asyncio.Event().wait()
"""
    with engine_process(tmp_path, script) as process:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "there\n"
    (part,) = parts_in(downloads)
    assert part.read_bytes() == resource.body[:AT]
    at = AT
    if boot == "another":
        at = 100_000
        as_after_a_reboot(tmp_path, at)
        with part.open("r+b") as file:  # what was not flushed may be anything after a power cut
            file.seek(at)
            file.write(bytes(AT - at))
    resource.stall_after = None
    async with open_monitor() as monitor:
        (record,) = monitor.tasks()
        assert (await monitor.handle(record.key).wait()).succeeded
        assert [event.file_offset for event in recorder_of(monitor).of("downloadresumed")] == [at]
    assert asked(server) == ["", rest(at)]
    assert only(downloads, resource.body)


@pytest.mark.parametrize("length", [0, 1, AT - 1])
@pytest.mark.parametrize("reopened", [True, False])
async def test_fault_b19_a_part_that_became_shorter_leaves_no_hole(
    open_monitor: OpenMonitor,
    server: ByteServer,
    resource: Resource,
    downloads: Path,
    length: int,
    reopened: bool,
):
    async with open_monitor() as monitor:
        task = quick_session(monitor).download_task(server.url("/a.bin"))
        await paused(task, resource)
        if not reopened:
            os.truncate(parts_in(downloads)[0], length)
            assert (await task.resume().wait()).succeeded
            (event,) = recorder_of(monitor).of("downloadresumed")
    if reopened:
        os.truncate(parts_in(downloads)[0], length)
        async with open_monitor() as monitor:
            assert (await monitor.handle(task.key).resume().wait()).succeeded
            (event,) = recorder_of(monitor).of("downloadresumed")
    assert event.file_offset == 0
    assert "shorter" in event.reason
    assert asked(server) == ["", ""]
    assert only(downloads, resource.body)


async def test_fault_b21_a_part_that_was_deleted_while_paused_costs_one_line(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    parts_in(downloads)[0].unlink()
    record = await task.resume().wait()
    assert record.succeeded
    (event,) = recorder.of("downloadresumed")
    assert event.file_offset == 0
    assert "gone" in event.reason
    assert record.restarts == 1
    assert asked(server) == ["", ""]
    assert only(downloads, resource.body)


# ---- B23, B25: other answers on the way


@pytest.mark.parametrize(
    "there", ["the same file", "another tag", "another length", "no validator"]
)
async def test_fault_b23_a_redirect_of_the_rest_must_lead_to_the_same_file(
    monitor: Monitor,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    there: str,
):
    session = quick_session(
        monitor, http_header_fields={"Authorization": "Bearer secret", "X-Api-Key": "secret"}
    )
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    other = Resource(resource.body, etag='"v1"')
    if there == "another tag":
        other = Resource(os.urandom(SIZE), etag='"v2"')
    elif there == "another length":
        other = Resource(resource.body + b"more", etag='"v1"')
    elif there == "no validator":
        other = Resource(os.urandom(SIZE))
    with ByteServer(other) as place:
        resource.before = lambda conn, request: sent(
            conn, reply(302, {"Location": place.url("/else.bin")})
        )
        record = await task.resume().wait()
        assert record.succeeded
        asked_there = [
            (request.header("Range"), request.header("If-Range")) for request in place.requests
        ]
        for request in place.requests:
            assert "secret" not in request.raw.decode("latin-1")
    assert server.requests[-1].header("Authorization") == "Bearer secret"  # at its own origin
    assert asked_there[0] == (rest(AT), '"v1"')
    goes_on = there == "the same file"
    assert record.wasted == (0 if goes_on else AT)
    assert [event.file_offset for event in recorder.of("downloadresumed")] == [AT if goes_on else 0]
    assert only(downloads, other.body)


async def test_fault_b23_a_redirect_to_a_forbidden_scheme_keeps_the_part(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    resource.before = lambda conn, request: sent(
        conn, reply(302, {"Location": "file:///etc/passwd"})
    )
    record = await task.resume().wait()
    assert record.error is not None
    assert record.error.reason == "pol.scheme"
    assert [part.read_bytes() for part in parts_in(downloads)] == [resource.body[:AT]]


async def test_fault_b25_the_bodies_of_errors_are_never_appended(
    monitor: Monitor, session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    page = b"<html>" + bytes(300_000)
    errors = [
        reply(503, {"Content-Type": "text/html"}, page),
        reply(500, {"Content-Range": f"bytes {AT}-{SIZE - 1}/{SIZE}", "ETag": '"v1"'}, page),
        reply(200, {"Content-Type": "text/html"}, page),
        reply(502, {}, page),
        reply(404, {"ETag": '"v1"'}, page),
    ]
    left = iter(errors)
    seen: list[bytes] = []

    def before(conn: Conn, request: Request) -> bool:
        seen.extend(part.read_bytes() for part in parts_in(downloads))
        answer = next(left, None)
        if answer is not None:
            conn.send(answer)
        return answer is not None

    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    resource.before = before
    record = await task.resume().wait()
    assert record.error is not None
    # both are final: only the user tries again
    assert (record.error.status, record.error.reason) == (200, "srv.note")
    monitor.commands.retry(task.key)
    record = await task.wait()
    assert record.error is not None
    assert record.error.status == 404
    monitor.commands.retry(task.key)
    record = await task.wait()
    assert record.succeeded
    assert asked(server) == ["", *[rest(AT)] * 6]
    assert set(seen) == {resource.body[:AT]}
    assert (record.wasted, record.restarts) == (0, 0)
    assert only(downloads, resource.body)
