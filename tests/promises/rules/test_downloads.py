"""Downloads."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import gzip
import hashlib
import itertools
import os
import shutil
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, chunked, reply, rest
from tests.helpers.recorder import BOTH_LOOPS, LIMIT, Recorder, eventually, recorder_of
from tests.helpers.sessions import (
    Halves,
    check_sums,
    code_of,
    default_session,
    engine_process,
    parts_in,
    quick_session,
    sent,
)
from tests.promises.rules.conftest import OpenMonitor
from transfermon.engine.attempt import Attempt
from transfermon.engine.monitor import TEMPORARY, Monitor, Session
from transfermon.engine.session_core import Recorded
from transfermon.model.events import DownloadProgressEvent
from transfermon.model.task import UNKNOWN, Activity, Progress, State
from transfermon.storage.settings import Settings

pytestmark = pytest.mark.anyio
MiB = 1 << 20


@pytest.fixture
def session(monitor: Monitor) -> Session:
    return quick_session(monitor)


def answers(data: bytes) -> Callable[[Conn, Request], bool]:
    def answer(conn: Conn, request: Request) -> bool:
        conn.send(data)
        return True

    return answer


def closes_after(data: bytes) -> Callable[[Conn, Request], bool]:
    def answer(conn: Conn, request: Request) -> bool:
        conn.send(data)
        conn.close()
        return True

    return answer


# ---- D-01


@pytest.mark.parametrize("framed", ["length", "chunked"])
async def test_d01_the_body_goes_to_a_hidden_part_while_it_arrives(
    session: Session, server: ByteServer, resource: Resource, downloads: Path, framed: str
):
    resource.stall_after = 100_000
    if framed == "chunked":

        def begin(conn: Conn, request: Request) -> bool:
            head = reply(200, {"Transfer-Encoding": "chunked"})
            conn.send(head + b"%x\r\n" % len(resource.body) + resource.body[:100_000])
            conn.stall()
            return True

        resource.before = begin
    task = session.download_task(server.url("/a.bin"))
    await eventually(lambda: task.count_of_bytes_received == 100_000)
    (part,) = downloads.iterdir()
    assert [part] == parts_in(downloads)
    assert part.read_bytes() == resource.body[:100_000]
    assert part.stat().st_mode & 0o777 == 0o600
    task.cancel()
    await task.wait()
    assert list(downloads.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
@pytest.mark.parametrize("framed", ["length", "hashed", "chunked", "gzip"])
async def test_d01_memory_does_not_grow_with_the_file(
    session: Session, server: ByteServer, resource: Resource, downloads: Path, framed: str
):
    count, block = 96, bytes(range(256)) * 4096

    def send(conn: Conn, request: Request) -> bool:
        if framed in ("length", "hashed"):
            conn.send(reply(200, {"Content-Length": str(count * MiB)}))
        else:
            coding = {"Content-Encoding": "gzip"} if framed == "gzip" else {}
            conn.send(reply(200, {"Transfer-Encoding": "chunked", **coding}))
        packer = zlib.compressobj(1, wbits=31)
        for n in range(count):
            data = block
            if framed == "gzip":
                data = packer.compress(block) + (packer.flush() if n == count - 1 else b"")
            if framed in ("chunked", "gzip") and data:
                data = b"%x\r\n" % len(data) + data + b"\r\n"
            conn.send(data)
        if framed in ("chunked", "gzip"):
            conn.send(b"0\r\n\r\n")
        return True

    def peak() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024

    resource.before = send
    await session.download_task(server.url("/warm-up"), destination=downloads / "w").wait()
    digest = hashlib.sha256(block * count).hexdigest()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = peak()
    expected = f"sha-256:{digest}" if framed == "hashed" else None
    record = await session.download_task(server.url("/a.bin"), expected_digest=expected).wait()
    assert record.succeeded
    assert peak() - before < 24 * MiB
    assert hashlib.sha256((downloads / "a.bin").read_bytes()).hexdigest() == digest


# ---- D-02 to D-05


@BOTH_LOOPS
async def test_d02_progress_tells_the_task_and_its_bytes(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.piece, resource.pause = 20_000, 0.04
    one, two = session.download_task(server.url("/one")), session.download_task(server.url("/two"))
    await one.wait()
    await two.wait()
    for task in (one, two):
        events = recorder.of("downloadprogress", task)
        assert len(events) > 2
        for event in events:
            assert event["taskIdentifier"] == task.task_identifier
            assert event["sessionIdentifier"] == "com.example.quick"
            assert event["totalBytesExpectedToWrite"] == len(resource.body)
            assert event["totalKnown"] is True
        told = [0, *(event["totalBytesWritten"] for event in events)]
        assert [event["bytesWritten"] for event in events] == [
            b - a for a, b in itertools.pairwise(told)
        ]
        assert told[-1] == len(resource.body)


async def test_d03_the_expected_total_is_the_content_length(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    halves = resource.before = Halves(resource, 1000)
    task = session.download_task(server.url("/a"))
    event = await recorder.wait_for("downloadprogress", task)
    assert (event.total_bytes_expected_to_write, event.total_known) == (len(resource.body), True)
    assert event.fraction == 1000 / len(resource.body)
    assert task.count_of_bytes_expected_to_receive == len(resource.body)
    halves.go.set()
    assert (await task.wait()).succeeded


@pytest.mark.parametrize("framed", ["chunked", "until the end"])
async def test_d03_without_content_length_the_total_is_unknown(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, framed: str
):
    go = threading.Event()

    def send(conn: Conn, request: Request) -> bool:
        if framed == "chunked":
            conn.send(reply(200, {"Transfer-Encoding": "chunked"}) + b"5\r\nhello\r\n")
            go.wait(LIMIT)
            conn.send(b"0\r\n\r\n")
        else:
            conn.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
            go.wait(LIMIT)
            conn.close()
        return True

    resource.before = send
    task = session.download_task(server.url("/a"))
    event = await recorder.wait_for("downloadprogress", task)
    assert event["totalBytesExpectedToWrite"] == 0
    assert (event.total_known, event.fraction) == (False, None)
    assert task.count_of_bytes_expected_to_receive == UNKNOWN
    go.set()
    assert (await task.wait()).succeeded
    last = recorder.of("downloadprogress", task)[-1]
    assert (last.total_bytes_written, last.total_bytes_expected_to_write) == (5, 5)


async def test_d04_what_is_told_adds_up_over_interruptions(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.cut_after, resource.piece, resource.pause = 110_000, 10_000, 0.05
    task = session.download_task(server.url("/a"))
    assert (await task.wait()).succeeded
    attempts: dict[int, list[DownloadProgressEvent]] = {}
    for event in recorder.of("downloadprogress", task):
        attempts.setdefault(event.attempt, []).append(event)
    offsets = {
        event.task.attempt: event.file_offset for event in recorder.of("downloadresumed", task)
    }
    assert offsets == {2: 110_000, 3: 165_000, 4: 247_500}  # half of what came last is compared
    for attempt, events in attempts.items():
        check_sums(events, offsets.get(attempt, 0))
    assert sum(len(events) for events in attempts.values()) > 3


async def test_d04_what_is_told_adds_up_when_it_starts_over(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.stall_after, resource.ranges = 200_000, False
    task = session.download_task(server.url("/a"))
    await recorder.until(lambda: bool(task.progress.told == 200_000))
    task.suspend()
    await recorder.wait_for_state(task, State.SUSPENDED)
    resource.stall_after, resource.piece, resource.pause = None, 20_000, 0.03
    seen = len(recorder.of("downloadprogress", task))
    assert (await task.resume().wait()).succeeded
    events = recorder.of("downloadprogress", task)[seen:]
    check_sums(events, 0)
    assert len(events) > 2


@BOTH_LOOPS
async def test_d05_at_most_ten_a_second_and_a_full_count_at_the_end(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.body *= 2
    resource.piece, resource.pause = 3000, 0.008
    tasks = [session.download_task(server.url(f"/{n}")) for n in range(3)]
    for task in tasks:
        await task.wait()
    for task in tasks:
        events = recorder.of("downloadprogress", task)
        times = [event.time for event in events]
        assert times[-1] - times[0] > 1.0
        assert all(sum(begin <= time < begin + 1.0 for time in times) <= 10 for begin in times)
        names = [
            event.type
            for event in recorder.events
            if event.task_key == task.key and event.journalled is False
        ]
        assert names.count("downloadprogress") == len(events)
        order = [
            e for e in recorder.events if e.task_key == task.key and e.type.startswith("download")
        ]
        assert [event.type for event in order[-2:]] == ["downloadprogress", "downloadcompleted"]
        last = order[-2]
        assert isinstance(last, DownloadProgressEvent)
        assert last.total_bytes_written == last.total_bytes_expected_to_write == len(resource.body)


# ---- D-06, D-07


async def test_d06_completed_once_for_a_success_and_never_otherwise(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.before = lambda conn, request: request.target == "/failed" and sent(conn, reply(404))
    good, failed = (
        session.download_task(server.url("/good")),
        session.download_task(server.url("/failed")),
    )
    cancelled = session.download_task(server.url("/cancelled")).cancel()
    for task in (good, failed, cancelled):
        await task.wait()
    (event,) = recorder.of("downloadcompleted")
    assert event["taskIdentifier"] == good.task_identifier
    assert event["data"]["path"] == event["location"] == good.record.final_path
    assert event["suggestedFilename"] == "good"


async def test_d06_completed_once_after_interruptions(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.reset_after = 130_000
    task = session.download_task(server.url("/a"))
    assert (await task.wait()).succeeded
    assert len(server.requests) >= 3
    assert (
        len(recorder.of("downloadcompleted", task))
        == len(recorder.of("sessioncompleted", task))
        == 1
    )


@pytest.mark.parametrize("size", [0, 1, 70_000, 300_032])
async def test_d07_the_data_is_a_file_with_the_server_s_bytes(
    monitor: Monitor,
    session: Session,
    server: ByteServer,
    resource: Resource,
    tmp_path: Path,
    size: int,
):
    resource.body = resource.body[:size]
    found: list[bytes] = []

    def read(event: Any) -> None:
        blob = event.data
        with blob.open() as file:
            found.append(b"".join(iter(lambda: file.read(4096), b"")))
        found.append(blob.read())
        found.append(Path(blob.save_to(tmp_path / "saved")).read_bytes())
        assert (blob.size, blob.mime_type) == (size, "application/octet-stream")

    monitor.add_event_listener("downloadcompleted", read)
    task = session.download_task(server.url("/a"), destination=TEMPORARY)
    assert (await task.wait()).succeeded
    assert found == [resource.body] * 3


# ---- D-08, D-09


@BOTH_LOOPS
async def test_d08_a_temporary_file_goes_when_all_listeners_have_returned(
    monitor: Monitor, session: Session, server: ByteServer, resource: Resource
):
    seen: list[tuple[str, bool]] = []
    go = asyncio.Event()

    async def slow(event: Any) -> None:
        await go.wait()
        seen.append(("slow", event.data.read() == resource.body))

    def quick(event: Any) -> None:
        seen.append(("quick", Path(event.location).exists()))

    monitor.add_event_listener("downloadcompleted", slow)
    monitor.add_event_listener("downloadcompleted", quick)
    monitor.add_event_listener(
        "sessioncompleted", lambda event: seen.append(("end", bool(list(parts.iterdir()))))
    )
    parts = Path(monitor.state_dir) / "parts"
    task = session.download_task(server.url("/a.bin"), destination=TEMPORARY)
    await recorder_of(monitor).wait_for("downloadcompleted", task)
    assert [path.name for path in parts.iterdir()] == ["a.bin"]
    go.set()
    await task.wait()
    assert seen == [("slow", True), ("quick", True), ("end", False)]


@pytest.mark.parametrize("how", ["keep", "save_to", "moved", "destination"])
async def test_d08_a_file_that_was_kept_or_moved_stays(
    monitor: Monitor,
    session: Session,
    server: ByteServer,
    resource: Resource,
    tmp_path: Path,
    how: str,
):
    where: list[Path] = []

    def take(event: Any) -> None:
        if how == "keep":
            where.append(Path(event.data.keep()))
        elif how == "save_to":
            where.append(Path(event.data.save_to(tmp_path / "saved")))
        elif how == "moved":
            where.append(Path(event.location).rename(tmp_path / "moved"))
        else:
            where.append(Path(event.location))

    monitor.add_event_listener("downloadcompleted", take)
    destination = tmp_path / "mine.bin" if how == "destination" else TEMPORARY
    task = session.download_task(server.url("/a.bin"), destination=destination)
    assert (await task.wait()).succeeded
    assert where[0].read_bytes() == resource.body
    left = list((Path(monitor.state_dir) / "parts").glob("*"))
    assert left == ([where[0]] if how == "keep" else [])


async def test_d08_two_temporary_files_of_one_name_do_not_meet(
    monitor: Monitor, session: Session, server: ByteServer, resource: Resource
):
    resource.before = lambda conn, request: sent(conn, reply(200, {}, request.target.encode()))
    found: dict[int, bytes] = {}

    async def read(event: Any) -> None:
        await asyncio.sleep(0.01)
        found[event.task_identifier] = event.data.read()

    monitor.add_event_listener("downloadcompleted", read)
    tasks = [
        session.download_task(server.url(f"/{n}/same.bin"), destination=TEMPORARY) for n in range(5)
    ]
    for task in tasks:
        assert (await task.wait()).succeeded
    assert found == {n + 1: f"/{n}/same.bin".encode() for n in range(5)}


@pytest.mark.parametrize("size", [70_000, 300_032])
async def test_d09_a_temporary_file_waits_for_its_event_over_a_restart(
    open_monitor: OpenMonitor, server: ByteServer, resource: Resource, tmp_path: Path, size: int
):
    resource.body = resource.body[:size]
    body = f"""
async def never(event):
    print("told", flush=True)
    await asyncio.Event().wait()
monitor.add_event_listener("downloadcompleted", never)
await session.download_task({server.url("/a.bin")!r}, destination=TEMPORARY).wait()
"""
    with engine_process(tmp_path, body) as process:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "told\n"
    (file,) = (tmp_path / "state" / "parts").iterdir()
    assert file.read_bytes() == resource.body
    found: list[bytes] = []
    async with open_monitor(ready=False) as monitor:
        assert file.read_bytes() == resource.body
        monitor.add_event_listener(
            "downloadcompleted", lambda event: found.append(Path(event.location).read_bytes())
        )
        monitor.ready()
        (record,) = monitor.tasks()
        await recorder_of(monitor).until(lambda: monitor.task(record.key).succeeded)
        await eventually(lambda: not file.exists(), "the temporary file to go")
    assert found == [resource.body]
    assert len(server.requests) == 1


# ---- D-10


@pytest.mark.parametrize("status", [400, 403, 404, 410, 416, 451, 501, 505])
async def test_d10_an_error_status_is_a_failure(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    status: int,
):
    resource.before = answers(reply(status, {}, b"<html>sorry</html>"))
    task = session.download_task(server.url("/a"))
    await task.wait()
    (event,) = recorder.of("sessioncompleted", task)
    assert (event.success, event.error_code, event.status_code) == (False, -1011, status)
    assert event["statusCode"] == status
    assert recorder.of("downloadcompleted") == []
    assert not downloads.exists() or list(downloads.iterdir()) == []


@pytest.mark.parametrize("status", [401, 407])
async def test_d10_a_status_that_asks_for_a_password_has_its_own_code(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, status: int
):
    resource.before = answers(reply(status, {"WWW-Authenticate": "Basic realm=x"}))
    await session.download_task(server.url("/a")).wait()
    (event,) = recorder.of("sessioncompleted")
    assert (event.success, event.error_code, event.status_code) == (False, -1013, status)


async def test_d10_under_the_policy_transport_an_error_page_is_a_success(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    session = quick_session(monitor, http_error_policy="transport")
    resource.before = lambda conn, request: sent(
        conn, reply(int(request.target.strip("/")), {}, b"sorry " + request.target.encode())
    )
    for status in (404, 500, 503):
        task = session.download_task(server.url(f"/{status}"))
        assert (await task.wait()).succeeded
        (event,) = recorder.of("sessioncompleted", task)
        assert (event.success, event.error_code, event.status_code) == (True, 0, status)
        assert (downloads / str(status)).read_bytes() == b"sorry /%d" % status
    assert len(server.requests) == 3


# ---- D-11


async def test_d11_the_file_appears_only_when_it_is_whole(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    halves = resource.before = Halves(resource, 200_000)
    final = downloads / "sub" / "wanted.bin"
    final.parent.mkdir(parents=True)
    task = session.download_task(server.url("/a"), destination=final)
    await eventually(lambda: task.count_of_bytes_received == 200_000)
    assert not final.exists()
    (part,) = parts_in(final.parent)  # beside it: the rename stays on one file system
    inode = part.stat().st_ino
    halves.go.set()
    assert (await task.wait()).final_path == str(final)
    assert final.stat().st_ino == inode
    assert final.read_bytes() == resource.body
    assert list(final.parent.iterdir()) == [final]


async def test_d11_an_existing_file_is_kept_and_the_new_one_numbered(
    session: Session, server: ByteServer, resource: Resource, downloads: Path, recorder: Recorder
):
    downloads.mkdir()
    (downloads / "a.tar.gz").write_bytes(b"mine")
    (downloads / "a (1).tar.gz").write_bytes(b"mine too")
    records = [await session.download_task(server.url("/a.tar.gz")).wait() for _ in range(2)]
    assert [Path(record.final_path).name for record in records] == ["a (2).tar.gz", "a (3).tar.gz"]
    assert [event.location for event in recorder.of("downloadcompleted")] == [
        r.final_path for r in records
    ]
    assert (downloads / "a.tar.gz").read_bytes() == b"mine"
    assert (downloads / "a (1).tar.gz").read_bytes() == b"mine too"
    assert all(Path(record.final_path).read_bytes() == resource.body for record in records)


@pytest.mark.parametrize("size", [1000, 300_032])
async def test_d11_a_file_that_appears_meanwhile_is_kept(
    session: Session, server: ByteServer, resource: Resource, downloads: Path, size: int
):
    resource.body = resource.body[:size]
    halves = resource.before = Halves(resource, size // 2)
    task = session.download_task(server.url("/a"), destination=downloads / "a.bin")
    downloads.mkdir()
    await eventually(lambda: task.count_of_bytes_received == size // 2)
    (downloads / "a.bin").write_bytes(b"mine")
    halves.go.set()
    record = await task.wait()
    assert record.final_path == str(downloads / "a (1).bin")
    assert (downloads / "a.bin").read_bytes() == b"mine"
    assert (downloads / "a (1).bin").read_bytes() == resource.body


async def test_d11_many_of_one_name_at_once_all_get_a_name(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    resource.before = lambda conn, request: sent(conn, reply(200, {}, request.target.encode()))
    tasks = [session.download_task(server.url(f"/{n}/a.bin")) for n in range(12)]
    records = [await task.wait() for task in tasks]
    assert sorted(path.read_bytes() for path in downloads.iterdir()) == sorted(
        f"/{n}/a.bin".encode() for n in range(12)
    )
    for n, record in enumerate(records):
        assert Path(record.final_path).read_bytes() == f"/{n}/a.bin".encode()


@pytest.mark.parametrize("size", [1000, 300_032])
async def test_d11_an_existing_file_is_replaced_only_when_asked_for_and_whole(
    session: Session, server: ByteServer, resource: Resource, downloads: Path, size: int
):
    resource.body = resource.body[:size]
    downloads.mkdir()
    (downloads / "a.bin").write_bytes(b"old")
    halves = resource.before = Halves(resource, size // 2)
    task = session.download_task(server.url("/a"), destination=downloads / "a.bin", overwrite=True)
    await eventually(lambda: task.count_of_bytes_received == size // 2)
    assert (downloads / "a.bin").read_bytes() == b"old"
    halves.go.set()
    assert (await task.wait()).final_path == str(downloads / "a.bin")
    assert (downloads / "a.bin").read_bytes() == resource.body
    assert len(list(downloads.iterdir())) == 1


async def test_d11_a_failed_download_leaves_an_existing_file_alone(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    downloads.mkdir()
    (downloads / "a.bin").write_bytes(b"old")
    resource.before = answers(reply(404))
    await session.download_task(
        server.url("/a"), destination=downloads / "a.bin", overwrite=True
    ).wait()
    assert (downloads / "a.bin").read_bytes() == b"old"


# ---- D-12, D-13


@pytest.mark.parametrize(
    ("target", "disposition", "name"),
    [
        (
            "/x",
            "attachment; filename*=UTF-8''na%C3%AFve%20file.txt; filename=plain.txt",
            "naïve file.txt",
        ),
        ("/x", 'attachment; filename="plain name.txt"', "plain name.txt"),
        ("/x", "attachment; filename=plain.txt", "plain.txt"),
        ("/x", "inline; filename*=ISO-8859-1''%E4.txt", "ä.txt"),
        ("/folder/the%20last%20part.bin?name=other.bin#f", "", "the last part.bin"),
        ("/%E2%82%AC.bin", "attachment", "€.bin"),
        ("/", "", "download"),
        ("/folder/", "", "download"),
        ("/redirected", "", "there.bin"),
    ],
)
async def test_d12_the_suggested_name(
    session: Session,
    server: ByteServer,
    resource: Resource,
    downloads: Path,
    recorder: Recorder,
    target,
    disposition,
    name,
):
    def answer(conn: Conn, request: Request) -> bool:
        if request.target == "/redirected":
            conn.send(reply(302, {"Location": "/else/there.bin"}))
            return True
        conn.send(reply(200, {"Content-Disposition": disposition} if disposition else {}, b"x"))
        return True

    resource.before = answer
    task = session.download_task(server.url(target))
    assert (await task.wait()).final_path == str(downloads / name)
    assert task.suggested_filename == recorder.of("downloadcompleted")[0].suggested_filename == name


@pytest.mark.parametrize(
    "raw",
    [
        b"../../etc/passwd",
        b"..%2f..%2fetc%2fpasswd",
        b"/etc/cron.d/evil",
        b"C:\\\\Windows\\\\evil.exe",
        b"..",
        b"...hidden",
        b".bashrc",
        b"CON",
        b"nul.txt",
        b"com1.tar.gz",
        b"a\x01b\x1bc",
        b"a\xe2\x80\xaetxt.exe",
        b"x" * 400 + b".txt",
        "ä".encode() * 200 + b".tar.gz",
        b"trailing. . ",
        b"-rf",
        b"",
        b"a:b|c?d*e<f>g",
    ],
)
async def test_d13_a_name_from_the_server_is_safe(
    session: Session,
    server: ByteServer,
    resource: Resource,
    downloads: Path,
    tmp_path: Path,
    raw: bytes,
):
    head = b'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Disposition: attachment; filename="%b"\r\n\r\nx'
    resource.before = answers(head % raw)
    record = await session.download_task(server.url("/a")).wait()
    assert record.succeeded
    (file,) = downloads.iterdir()
    name = file.name
    assert record.final_path == str(file)
    assert len(name.encode()) <= 255
    assert not set(name) & set('/\\:*?"<>|')
    assert all(char.isprintable() for char in name)
    assert not name.startswith((".", "-", " "))
    assert not name.endswith((".", " "))
    assert name.split(".")[0].lower() not in ("con", "nul", "com1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["downloads", "state"]


# ---- D-14


async def test_d14_requests_ask_for_the_file_as_it_is(session: Session, server: ByteServer):
    await session.download_task(server.url("/a")).wait()
    assert server.requests[0].header("Accept-Encoding") == "identity"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "x-gzip"])
async def test_d14_a_coding_that_the_server_applies_all_the_same_is_undone(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    coding: str,
):
    text = b"line of text\n" * 50_000
    coded = zlib.compress(text) if coding == "deflate" else gzip.compress(text)
    go = threading.Event()

    def send(conn: Conn, request: Request) -> bool:
        fields = {"Content-Encoding": coding, "ETag": '"v1"', "Content-Type": "text/plain"}
        conn.send(reply(200, {**fields, "Content-Length": str(len(coded))}) + coded[:500])
        go.wait(LIMIT)
        conn.send(coded[500:])
        return True

    resource.before = send
    task = session.download_task(server.url("/a.txt"))
    await recorder.wait_for_state(task, State.RUNNING, Activity.TRANSFERRING)
    assert task.count_of_bytes_expected_to_receive == UNKNOWN
    assert task.record.not_resumable
    go.set()
    assert (await task.wait()).succeeded
    assert (downloads / "a.txt").read_bytes() == text
    progress = recorder.of("downloadprogress", task)
    told = [event for event in progress if event.total_known]  # only once all of it is there
    assert all(
        event.total_bytes_written == event.total_bytes_expected_to_write == len(text)
        for event in told
    )
    assert progress[-1].total_bytes_written == len(text)


async def test_d14_a_coded_download_is_not_resumed(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    text = b"".join(b"line %d\n" % n for n in range(200_000))
    coded = gzip.compress(text)
    count = itertools.count()

    def send(conn: Conn, request: Request) -> bool:
        conn.send(
            reply(
                200, {"Content-Encoding": "gzip", "ETag": '"v1"', "Content-Length": str(len(coded))}
            )
        )
        if next(count) == 0:
            conn.send(coded[: len(coded) // 2])
            conn.close()
        else:
            conn.send(coded)
        return True

    resource.before = send
    assert (await session.download_task(server.url("/a.txt")).wait()).succeeded
    assert [request.header("Range") for request in server.requests] == ["", ""]
    assert (downloads / "a.txt").read_bytes() == text


@pytest.mark.parametrize("harm", ["cut", "damaged"])
async def test_d14_a_damaged_or_unknown_coding_is_no_success(
    session: Session, server: ByteServer, resource: Resource, downloads: Path, harm: str
):
    coded = bytearray(gzip.compress(b"line of text\n" * 5000))
    if harm == "cut":
        coded = coded[:-20]
    else:
        coded[-6] ^= 255
    resource.before = answers(reply(200, {"Content-Encoding": "gzip"}, bytes(coded)))
    task = session.download_task(server.url("/a.txt"))
    await task.wait()
    assert code_of(task) == -1015
    assert [path for path in downloads.iterdir() if path not in parts_in(downloads)] == []


async def test_d14_an_unknown_coding_is_stored_as_it_came_and_said(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    coded = b"\x1f\x9d" + os.urandom(300_000)
    resource.before = answers(reply(200, {"Content-Encoding": "compress", "ETag": '"v1"'}, coded))
    record = await session.download_task(server.url("/a.txt")).wait()
    assert record.succeeded
    assert "still coded as “compress”" in record.remark
    assert (downloads / "a.txt").read_bytes() == coded


# ---- D-15, D-16


@pytest.mark.parametrize("size", [90_000, 300_032])
@pytest.mark.parametrize("ending", ["cut_after", "reset_after"])
async def test_d15_a_short_body_goes_on_by_range(
    session: Session,
    server: ByteServer,
    resource: Resource,
    downloads: Path,
    size: int,
    ending: str,
):
    resource.body = resource.body[:size]
    setattr(resource, ending, size // 2 + 1)
    task = session.download_task(server.url("/a.bin"))
    assert (await task.wait()).succeeded
    assert (downloads / "a.bin").read_bytes() == resource.body
    ranges = [request.header("Range") for request in server.requests]
    if ending == "cut_after":  # a reset may throw away what was sent before it
        assert ranges[1] == rest(size // 2 + 1)
    assert len(ranges) >= 2


@pytest.mark.parametrize("size", [90_000, 300_032])
async def test_d15_a_short_body_fails_with_minus_1005_where_nothing_is_tried_again(
    monitor: Monitor, server: ByteServer, resource: Resource, downloads: Path, size: int
):
    resource.body = resource.body[:size]
    resource.cut_after = 50_000
    task = default_session(monitor).download_task(server.url("/a.bin"))
    record = await task.wait()
    assert code_of(task) == -1005
    assert record.received == 50_000
    assert not (downloads / "a.bin").exists()
    assert [part.read_bytes() for part in parts_in(downloads)] == [resource.body[:50_000]]


async def test_d15_a_chunked_body_without_its_last_chunk_is_no_success(
    monitor: Monitor, server: ByteServer, resource: Resource, downloads: Path
):
    resource.before = closes_after(reply(200, {"Transfer-Encoding": "chunked"}) + b"5\r\nhello\r\n")
    task = default_session(monitor).download_task(server.url("/a.bin"))
    await task.wait()
    assert code_of(task) == -1005
    assert not (downloads / "a.bin").exists()


@pytest.mark.parametrize("framed", ["length", "chunked", "until the end"])
async def test_d16_an_empty_body_is_a_file_of_no_bytes(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    framed: str,
):
    resource.before = {
        "length": answers(reply(200, {"Content-Length": "0"})),
        "chunked": answers(reply(200, {"Transfer-Encoding": "chunked"}) + chunked([])),
        "until the end": closes_after(b"HTTP/1.1 200 OK\r\n\r\n"),
    }[framed]
    task = session.download_task(server.url("/empty.bin"))
    assert (await task.wait()).succeeded
    assert (downloads / "empty.bin").read_bytes() == b""
    last = recorder.of("downloadprogress", task)[-1]
    assert (last.total_bytes_written, last.total_known, last.fraction) == (0, True, 1.0)
    assert task.count_of_bytes_expected_to_receive == 0


# ---- D-17


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB."""
    if sys.platform != "linux":
        pytest.skip("a small file system is mounted with Linux' tmpfs")
    folder = tmp_path / "disk"
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, b"size=4m") != 0:
        pytest.skip(f"mounting a small disk needs root ({errno.errorcode[ctypes.get_errno()]})")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_d17_a_file_that_cannot_fit_ends_at_once(
    session: Session, server: ByteServer, resource: Resource, small_disk: Path
):
    resource.body = bytes(5 * MiB)
    task = session.download_task(server.url("/a.bin"), destination=small_disk)
    record = await task.wait()
    assert code_of(task) == -3003
    assert record.error is not None
    assert (record.error.reason, record.attempt) == ("disk.full", 1)
    assert record.received == 0
    assert list(small_disk.iterdir()) == []


async def test_d17_a_file_of_another_length_than_the_free_space_fits(
    session: Session, server: ByteServer, resource: Resource, small_disk: Path
):
    resource.body = bytes(3 * MiB)
    assert (
        await session.download_task(server.url("/a.bin"), destination=small_disk).wait()
    ).succeeded


@pytest.mark.parametrize("framed", ["length", "chunked"])
async def test_d17_a_disk_that_fills_up_is_waited_for(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    small_disk: Path,
    framed: str,
):
    resource.body = os.urandom(3 * MiB)
    go = threading.Event()

    def send(conn: Conn, request: Request) -> bool:
        if request.header("Range"):
            return False
        half = len(resource.body) // 2
        if framed == "length":
            conn.send(
                reply(200, {"ETag": '"v1"', "Content-Length": str(len(resource.body))})
                + resource.body[:half]
            )
            go.wait(LIMIT)
            conn.send(resource.body[half:])
        else:
            conn.send(reply(200, {"ETag": '"v1"', "Transfer-Encoding": "chunked"}))
            conn.send(b"%x\r\n" % len(resource.body) + resource.body[:half])
            go.wait(LIMIT)
            conn.send(resource.body[half:] + b"\r\n0\r\n\r\n")
        return True

    resource.before = send
    if framed == "chunked":  # of an unknown length: a reserve is left on the disk
        subprocess.run(["mount", "-o", "remount,size=24m", str(small_disk)], check=True)  # noqa: ASYNC221 - short
    task = session.download_task(server.url("/a.bin"), destination=small_disk)
    await eventually(lambda: task.count_of_bytes_received >= MiB)
    (small_disk / "other").write_bytes(bytes(shutil.disk_usage(small_disk).free - MiB // 2))
    go.set()
    await recorder.wait_for_state(task, State.RUNNING, Activity.RETRYING)
    await eventually(lambda: "full" in task.record.waiting_reason)  # between two of its tries
    stored = task.record.received
    (part,) = parts_in(small_disk)
    assert part.read_bytes() == resource.body[:stored]
    assert stored >= MiB
    (small_disk / "other").unlink()
    assert (await task.wait()).succeeded
    assert (small_disk / "a.bin").read_bytes() == resource.body


async def test_d17_a_full_disk_ends_a_task_of_few_attempts_and_keeps_the_part(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    small_disk: Path,
    monitor: Monitor,
):
    resource.body = os.urandom(3 * MiB)
    halves = resource.before = Halves(resource, MiB)
    task = session.download_task(server.url("/a.bin"), destination=small_disk, maximum_attempts=2)
    await eventually(lambda: task.count_of_bytes_received == MiB)
    (small_disk / "other").write_bytes(bytes(2 * MiB))
    halves.go.set()
    record = await task.wait()
    assert code_of(task) == -3003
    assert record.received >= MiB
    (part,) = parts_in(small_disk)
    assert part.read_bytes()[: record.received] == resource.body[: record.received]
    assert recorder.of("sessioncompleted", task)[0].resumable
    (small_disk / "other").unlink()
    monitor.commands.retry(task.key)
    await recorder.wait_for("sessioncompleted", task, count=2)
    assert (small_disk / "a.bin").read_bytes() == resource.body


# ---- D-18, the part with a caller's digest


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-512"])
@pytest.mark.parametrize("cut", [None, 150_000])
async def test_an_expected_digest_is_checked_before_the_file_appears(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    algorithm: str,
    cut,
):
    resource.cut_after = cut
    digest = hashlib.new(algorithm.replace("-", ""), resource.body).hexdigest().upper()
    task = session.download_task(server.url("/a.bin"), expected_digest=f"{algorithm}:{digest}")
    assert (await task.wait()).succeeded
    assert (downloads / "a.bin").read_bytes() == resource.body
    assert len(server.requests) == (1 if cut is None else 3)


@BOTH_LOOPS
async def test_a_wrong_digest_starts_over_once(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    right = resource.body
    resource.body = right[:-1] + b"!"
    task = session.download_task(
        server.url("/a.bin"), expected_digest="sha-256:" + hashlib.sha256(right).hexdigest()
    )
    await recorder.wait_for("downloadresumed", task)
    resource.body = right
    # the second request may have been answered before: then it is the wrong body again, and the end
    record = await task.wait()
    if record.succeeded:
        assert (downloads / "a.bin").read_bytes() == right
    else:
        assert code_of(task) == -1011
    assert len(server.requests) == 2


@pytest.mark.parametrize("kind", ["background", "default"])
async def test_a_digest_that_stays_wrong_fails_and_leaves_nothing(
    monitor: Monitor, server: ByteServer, recorder: Recorder, downloads: Path, kind: str
):
    session = quick_session(monitor) if kind == "background" else default_session(monitor)
    task = session.download_task(server.url("/a.bin"), expected_digest="sha-256:" + "0" * 64)
    record = await task.wait()
    assert code_of(task) == -1011
    assert record.error is not None
    assert not record.error.retryable
    assert [request.header("Range") for request in server.requests] == ["", ""]
    assert [event.file_offset for event in recorder.of("downloadresumed", task)] == [0]
    assert list(downloads.iterdir()) == []


# ---- a download that is stopped somewhere


@pytest.mark.parametrize("how", ["suspend", "cancel"])
async def test_a_stop_at_any_moment_leaves_no_part_behind_that_nobody_knows(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    how: str,
):
    def cut_once(conn: Conn, request: Request) -> bool:
        cuts = "cut" in request.target and not request.header("Range")
        if cuts:
            fields = {"ETag": '"v1"', "Content-Length": str(len(resource.body))}
            conn.send(reply(200, fields) + resource.body[:90_000])
            conn.close()
        return cuts

    resource.before = cut_once
    for turns in range(60):
        task = session.download_task(server.url(f"/{'cut' if turns % 2 else 'whole'}{turns}"))
        for _ in range(turns // 2):
            await asyncio.sleep(0)
        await asyncio.sleep(turns / 4000)
        getattr(task, how)()
        if how == "suspend":
            await eventually(lambda key=task.key: session._engine.progress.get(key) is None)  # type: ignore[misc]
            known = {
                Path(record.part_path) for record in session.tasks.records() if record.part_path
            }
            await eventually(lambda known=known: set(parts_in(downloads)) <= known)  # type: ignore[misc]
            task.resume()
            assert (await task.wait()).succeeded
        else:
            await task.wait()
    assert parts_in(downloads) == []


async def test_the_free_name_is_settled_before_it_is_given(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    downloads.mkdir()
    (downloads / "a.bin").write_bytes(b"x" * len(resource.body))  # as long as ours
    task = session.download_task(server.url("/a.bin"))
    await task.wait()
    wishes = [
        event.task.final_path
        for event in recorder.of("taskactivity", task)
        if event.activity == Activity.FINALIZING.value
    ]
    assert wishes == [str(downloads / "a (1).bin")]


async def test_what_a_download_does_is_told_where_it_lasts(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    asked = threading.Event()
    resource.before = lambda conn, request: bool(asked.wait(LIMIT)) and False
    task = session.download_task(server.url("/a.bin"))
    await recorder.wait_for_state(task, State.RUNNING, Activity.CONNECTING)
    asked.set()
    assert (await task.wait()).attempt == 1


async def test_what_is_mostly_over_before_anybody_could_see_it_is_only_noted(session: Session):
    task = session.download_task("http://127.0.0.1:9/a.bin", start=False).record
    made: list[Any] = []
    attempt = Attempt(
        session._engine,
        session.configuration,
        one=Recorded(task),
        record=lambda *change, **how: made.append((change, how)),  # type: ignore[arg-type]
        progress=Progress(),
    )
    attempt.note(Activity.CONNECTING, attempt=3)
    ((noted, event),) = [change for change, how in made if how == {"store": False}]
    assert (noted.activity, noted.attempt, attempt.progress.attempt) == (Activity.CONNECTING, 3, 3)
    assert event is None


def test_the_settings_of_these_tests_have_a_folder_of_their_own(
    settings: Settings, downloads: Path
):
    assert settings.download_folder == str(downloads)
