"""Downloads from a real nginx, from end to end: another opponent than the servers that we wrote."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import os
import re
import shlex
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import nginx
from tests.byte_server import ByteServer, Conn, Request, reply
from tests.conformance.helpers import engine_process, parts_in, quick_session
from tests.conformance.recorder import Recorder, eventually
from transfermon import resume
from transfermon.events import DownloadResumedEvent
from transfermon.monitor import DownloadTask, Monitor
from transfermon.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(nginx.PATH is None, reason=nginx.WHY_NOT)]
SIZE = 6_000_000
HOUR = 3600.0

Open = Callable[[], AbstractAsyncContextManager[Monitor]]
Serve = Callable[..., nginx.Nginx]


class Line(NamedTuple):
    """A request as nginx has logged it."""

    method: str
    uri: str
    status: int
    sent: int
    range: str
    if_range: str
    connection: str


def log_of(server: nginx.Nginx) -> list[Line]:
    found = []
    for line in server.requests():
        method, uri, status, sent, asked, condition, connection = shlex.split(re.sub(r"\\x22", r"\"", line))
        asked, condition = (value if value != "-" else "" for value in (asked, condition))
        found.append(Line(method, uri, int(status), int(sent), asked, condition, connection))
    return found


async def logged(server: nginx.Nginx, count: int) -> list[Line]:
    """nginx writes a line when it is done with a request, which may be after the client is."""
    await eventually(lambda: len(server.requests()) >= count, f"{count} requests in the log")
    return log_of(server)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def body(root: Path) -> bytes:
    """Of root/a.bin, which is an hour old."""
    content = os.urandom(SIZE)
    put(root / "a.bin", content, age=HOUR)
    return content


def put(path: Path, content: bytes, *, age: float) -> None:
    path.write_bytes(content)
    os.utime(path, (time.time() - age, time.time() - age))


@pytest.fixture
def serve(tmp_path: Path, root: Path) -> Iterator[Serve]:
    running: list[AbstractContextManager[nginx.Nginx]] = []

    def start(server: str = "", http: str = "") -> nginx.Nginx:
        context = nginx.running(tmp_path / "nginx", root, server=server, http=http)
        running.append(context)
        return context.__enter__()

    yield start
    for context in running:
        context.__exit__(None, None, None)


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    return tmp_path / "downloads"


@pytest.fixture
def open_monitor(tmp_path: Path, downloads: Path) -> Open:
    @contextlib.asynccontextmanager
    async def start() -> AsyncIterator[Monitor]:
        async with Monitor.open(str(tmp_path / "state"), settings=Settings(download_folder=str(downloads))) as monitor:
            recorder = Recorder(monitor)
            monitor.ready()
            yield monitor
        recorder.check()

    return start


async def stored(task: DownloadTask, least: int) -> int:
    """What is in the part once the task has come to `least` bytes and was suspended."""
    await eventually(lambda: task.count_of_bytes_received >= least, f"{least} bytes")
    task.suspend()
    await eventually(lambda: task.session._engine.progress.get(task.key) is None, "the attempt to let go")
    assert task.record.received < SIZE
    return task.record.received


# ---- whole files


@pytest.mark.parametrize("size", [0, 1, 100_000, 262_145, 20_000_000])
async def test_a_file_arrives_as_it_is(serve: Serve, open_monitor: Open, root: Path, downloads: Path, size: int):
    content = os.urandom(size)
    put(root / "a.bin", content, age=HOUR)
    server = serve()
    async with open_monitor() as monitor:
        digest = hashlib.sha256(content).hexdigest()
        record = (
            await quick_session(monitor).download_task(server.url("/a.bin"), expected_digest=f"sha-256:{digest}").wait()
        )
        assert record.succeeded
        assert (record.expected, record.received) == (size, size)
    assert hashlib.sha256((downloads / "a.bin").read_bytes()).hexdigest() == digest
    (line,) = await logged(server, 1)
    assert (line.method, line.uri, line.status, line.sent, line.range) == ("GET", "/a.bin", 200, size, "")


async def test_files_that_are_not_there_fail_and_leave_nothing(serve: Serve, open_monitor: Open, downloads: Path):
    server = serve(server="location /locked { return 403; }")
    async with open_monitor() as monitor:
        session = quick_session(monitor)
        for path, status in (("/missing.bin", 404), ("/locked", 403)):
            record = await session.download_task(server.url(path)).wait()
            assert record.error is not None
            assert (record.error.code, record.error.status) == (-1011, status)
    assert not downloads.exists() or list(downloads.iterdir()) == []


async def test_a_connection_is_kept_for_the_next_file(serve: Serve, open_monitor: Open, root: Path):
    for n in range(5):
        put(root / f"{n}.bin", os.urandom(1000 * n), age=HOUR)
    server = serve()
    async with open_monitor() as monitor:
        for n in range(5):
            assert (await quick_session(monitor).download_task(server.url(f"/{n}.bin")).wait()).succeeded
    assert len({line.connection for line in await logged(server, 5)}) == 1


async def test_many_files_at_once_arrive_whole(serve: Serve, open_monitor: Open, root: Path, downloads: Path):
    contents = {f"{n}.bin": os.urandom(200_000 + 17_000 * n) for n in range(24)}
    for name, content in contents.items():
        put(root / name, content, age=HOUR)
    server = serve()
    async with open_monitor() as monitor:
        session = quick_session(monitor)
        tasks = [session.download_task(server.url(f"/{name}")) for name in contents]
        for task in tasks:
            assert (await task.wait()).succeeded
    assert {path.name: path.read_bytes() for path in downloads.iterdir()} == contents


async def test_a_text_is_not_compressed_for_us_and_stays_resumable(
    serve: Serve, open_monitor: Open, root: Path, downloads: Path
):
    text = b"".join(b"line %d\n" % n for n in range(50_000))
    put(root / "a.txt", text, age=HOUR)
    server = serve(http="gzip on; gzip_types text/plain; gzip_min_length 1;")
    async with open_monitor() as monitor:
        record = await quick_session(monitor).download_task(server.url("/a.txt")).wait()
        assert record.succeeded
        assert record.not_resumable == ""
        assert record.validators is not None
        assert resume.is_strong(record.validators.etag)
    assert (downloads / "a.txt").read_bytes() == text


async def test_a_text_that_is_sent_compressed_all_the_same_is_unpacked(
    serve: Serve, open_monitor: Open, root: Path, downloads: Path
):
    text = b"".join(b"line %d\n" % n for n in range(50_000))
    put(root / "a.txt.gz", gzip.compress(text), age=HOUR)
    server = serve(server="location = /a.txt { add_header Content-Encoding gzip; alias %s; }" % (root / "a.txt.gz"))
    async with open_monitor() as monitor:
        record = await quick_session(monitor).download_task(server.url("/a.txt")).wait()
        assert record.succeeded
        assert record.not_resumable
        assert (await quick_session(monitor).download_task(server.url("/a.txt.gz")).wait()).succeeded
    assert (downloads / "a.txt").read_bytes() == text
    assert (downloads / "a.txt.gz").read_bytes() == (root / "a.txt.gz").read_bytes()


async def test_a_slow_server_is_no_failure(serve: Serve, open_monitor: Open, body: bytes, downloads: Path):
    server = serve(server="limit_rate 5m;")
    async with open_monitor() as monitor:
        task = quick_session(monitor, timeout_interval_for_request=5.0).download_task(server.url("/a.bin"))
        record = await task.wait()
        assert (record.succeeded, record.attempt) == (True, 1)
    assert (downloads / "a.bin").read_bytes() == body


# ---- resuming


async def test_a_download_goes_on_after_the_engine_was_closed_and_opened(
    serve: Serve, open_monitor: Open, body: bytes, downloads: Path
):
    server = serve(server="limit_rate 4m;")
    async with open_monitor() as monitor:
        task = quick_session(monitor).download_task(server.url("/a.bin"))
        await eventually(lambda: task.count_of_bytes_received > 1_000_000)
    (part,) = parts_in(downloads)
    at = part.stat().st_size
    assert part.read_bytes() == body[:at]
    async with open_monitor() as monitor:
        record = await monitor.handle(task.key).wait()
        assert record.succeeded
        assert record.validators is not None
    first, second = await logged(server, 2)
    assert (first.status, first.range) == (200, "")
    assert (second.status, second.range, second.if_range) == (206, f"bytes={at}-", record.validators.etag)
    assert second.sent == SIZE - at
    assert (downloads / "a.bin").read_bytes() == body
    assert list(downloads.iterdir()) == [downloads / "a.bin"]


async def test_a_file_that_changed_meanwhile_is_loaded_whole(
    serve: Serve, open_monitor: Open, body: bytes, root: Path, downloads: Path
):
    server = serve(server="limit_rate 4m;")
    new = os.urandom(1_500_000)
    async with open_monitor() as monitor:
        events: list[DownloadResumedEvent] = []
        monitor.add_event_listener("downloadresumed", events.append)
        task = quick_session(monitor).download_task(server.url("/a.bin"))
        at = await stored(task, 1_000_000)
        put(root / "a.bin", new, age=0)
        assert (await task.resume().wait()).succeeded
        assert [event.file_offset for event in events] == [0]
        assert "changed" in events[0].reason
    _, second = await logged(server, 2)
    assert (second.status, second.range, second.sent) == (200, f"bytes={at}-", len(new))
    assert (downloads / "a.bin").read_bytes() == new


async def test_with_a_date_only_the_last_bytes_are_compared(
    serve: Serve, open_monitor: Open, body: bytes, downloads: Path
):
    server = serve(server="limit_rate 4m; etag off;")
    async with open_monitor() as monitor:
        task = quick_session(monitor).download_task(server.url("/a.bin"))
        at = await stored(task, 1_000_000)
        assert task.record.not_resumable == ""
        record = await task.resume().wait()
        assert record.succeeded
        assert record.validators is not None
        assert record.validators.etag == ""
    _, second = await logged(server, 2)
    assert (second.status, second.range) == (206, f"bytes={at - resume.OVERLAP}-")
    assert second.if_range == record.validators.last_modified
    assert (downloads / "a.bin").read_bytes() == body


async def test_with_a_fresh_date_only_it_starts_over(
    serve: Serve, open_monitor: Open, body: bytes, root: Path, downloads: Path
):
    put(root / "a.bin", body, age=5)
    server = serve(server="limit_rate 4m; etag off;")
    async with open_monitor() as monitor:
        task = quick_session(monitor).download_task(server.url("/a.bin"))
        await stored(task, 1_000_000)
        assert task.record.not_resumable
        assert (await task.resume().wait()).succeeded
    _, second = await logged(server, 2)
    assert (second.status, second.range) == (200, "")
    assert (downloads / "a.bin").read_bytes() == body


async def test_a_server_that_serves_no_ranges_sends_all_again(
    serve: Serve, open_monitor: Open, body: bytes, downloads: Path
):
    server = serve(server="limit_rate 4m; max_ranges 0;")
    async with open_monitor() as monitor:
        task = quick_session(monitor).download_task(server.url("/a.bin"))
        at = await stored(task, 1_000_000)
        record = await task.resume().wait()
        assert record.succeeded
        assert record.wasted == at
    lines = await logged(server, 2)
    assert [line.status for line in lines] == [200, 200]
    assert (downloads / "a.bin").read_bytes() == body
    assert parts_in(downloads) == []


async def test_a_416_at_the_full_length_finishes(
    serve: Serve, open_monitor: Open, body: bytes, root: Path, downloads: Path
):
    server = serve()
    async with open_monitor() as monitor:
        first = await quick_session(monitor).download_task(server.url("/a.bin"), destination=downloads / "1").wait()
        assert first.validators is not None
        tag = first.validators.etag
        server.stop()

        def unended(conn: Conn, request: Request) -> None:
            conn.send(reply(200, {"Transfer-Encoding": "chunked", "ETag": tag}))
            conn.send(b"%x\r\n" % SIZE + body + b"\r\n")
            conn.stall()

        with ByteServer(unended, port=server.port):
            task = quick_session(monitor).download_task(server.url("/a.bin"))
            await eventually(lambda: task.count_of_bytes_received == SIZE)
            task.suspend()
            await eventually(lambda: task.session._engine.progress.get(task.key) is None, "the attempt to let go")
        server.start()
        record = await task.resume().wait()
        assert record.succeeded
        assert (record.wasted, record.restarts) == (0, 0)
    last = (await logged(server, 2))[-1]
    assert (last.status, last.range, last.if_range) == (416, f"bytes={SIZE}-", tag)
    assert (downloads / "a.bin").read_bytes() == body
    assert parts_in(downloads) == []


async def test_a_killed_engine_goes_on_from_what_it_had_stored(
    serve: Serve, open_monitor: Open, body: bytes, tmp_path: Path, downloads: Path
):
    server = serve(server="limit_rate 4m;")
    script = f"""
task = session.download_task({server.url("/a.bin")!r})
while task.count_of_bytes_received < 1_000_000:
    await asyncio.sleep(0.005)
print("there", flush=True)
await asyncio.Event().wait()
"""
    with engine_process(tmp_path, script) as process:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "there\n"
        process.kill()
        process.wait()
    (part,) = parts_in(downloads)
    at = part.stat().st_size
    assert 1_000_000 <= at < SIZE
    assert part.read_bytes() == body[:at]
    async with open_monitor() as monitor:
        (record,) = monitor.tasks()
        assert (await monitor.handle(record.key).wait()).succeeded
    _, second = await logged(server, 2)
    assert (second.status, second.range) == (206, f"bytes={at}-")
    assert second.sent == SIZE - at
    assert (downloads / "a.bin").read_bytes() == body
    assert list(downloads.iterdir()) == [downloads / "a.bin"]


async def test_a_server_that_is_started_again_in_the_middle_costs_nothing(
    serve: Serve, open_monitor: Open, body: bytes, downloads: Path
):
    server = serve(server="limit_rate 4m;")
    async with open_monitor() as monitor:
        task = quick_session(monitor).download_task(server.url("/a.bin"))
        await eventually(lambda: task.count_of_bytes_received > 1_000_000)
        server.stop()
        await eventually(lambda: task.record.attempt >= 3, "some attempts in vain")
        at = task.record.received
        server.start()
        record = await task.wait()
        assert record.succeeded
        assert record.restarts == 0
    last = (await logged(server, 1))[-1]  # what ran when the server was stopped may not be in its log
    assert (last.status, last.range, last.sent) == (206, f"bytes={at}-", SIZE - at)
    assert (downloads / "a.bin").read_bytes() == body
