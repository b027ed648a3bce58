"""Downloads from a real nginx, from end to end: another opponent than the servers that we wrote."""

from __future__ import annotations

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

from tests.helpers import nginx
from tests.helpers.recorder import Recorder, eventually
from tests.helpers.sessions import quick_session
from transfermon.engine.monitor import DownloadTask, Monitor
from transfermon.http import resume
from transfermon.storage.settings import Settings

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
        method, uri, status, sent, asked, condition, connection = shlex.split(
            re.sub(r"\\x22", r"\"", line)
        )
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
        async with Monitor.open(
            str(tmp_path / "state"), settings=Settings(download_folder=str(downloads))
        ) as monitor:
            recorder = Recorder(monitor)
            monitor.ready()
            yield monitor
        recorder.check()

    return start


async def stored(task: DownloadTask, least: int) -> int:
    """What is in the part once the task has come to `least` bytes and was suspended."""
    await eventually(lambda: task.count_of_bytes_received >= least, f"{least} bytes")
    task.suspend()
    await eventually(
        lambda: task.session._engine.progress.get(task.key) is None, "the attempt to let go"
    )
    assert task.record.received < SIZE
    return task.record.received


# ---- whole files


@pytest.mark.parametrize("size", [0, 1, 100_000, 262_145, 20_000_000])
async def test_a_file_arrives_as_it_is(
    serve: Serve, open_monitor: Open, root: Path, downloads: Path, size: int
):
    content = os.urandom(size)
    put(root / "a.bin", content, age=HOUR)
    server = serve()
    async with open_monitor() as monitor:
        digest = hashlib.sha256(content).hexdigest()
        record = (
            await quick_session(monitor)
            .download_task(server.url("/a.bin"), expected_digest=f"sha-256:{digest}")
            .wait()
        )
        assert record.succeeded
        assert (record.expected, record.received) == (size, size)
    assert hashlib.sha256((downloads / "a.bin").read_bytes()).hexdigest() == digest
    (line,) = await logged(server, 1)
    assert (line.method, line.uri, line.status, line.sent, line.range) == (
        "GET",
        "/a.bin",
        200,
        size,
        "",
    )


async def test_files_that_are_not_there_fail_and_leave_nothing(
    serve: Serve, open_monitor: Open, downloads: Path
):
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
            assert (
                await quick_session(monitor).download_task(server.url(f"/{n}.bin")).wait()
            ).succeeded
    assert len({line.connection for line in await logged(server, 5)}) == 1


async def test_many_files_at_once_arrive_whole(
    serve: Serve, open_monitor: Open, root: Path, downloads: Path
):
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
    server = serve(
        server="location = /a.txt { add_header Content-Encoding gzip; alias %s; }"
        % (root / "a.txt.gz")
    )
    async with open_monitor() as monitor:
        record = await quick_session(monitor).download_task(server.url("/a.txt")).wait()
        assert record.succeeded
        assert record.not_resumable
        assert (
            await quick_session(monitor).download_task(server.url("/a.txt.gz")).wait()
        ).succeeded
    assert (downloads / "a.txt").read_bytes() == text
    assert (downloads / "a.txt.gz").read_bytes() == (root / "a.txt.gz").read_bytes()


async def test_a_slow_server_is_no_failure(
    serve: Serve, open_monitor: Open, body: bytes, downloads: Path
):
    server = serve(server="limit_rate 5m;")
    async with open_monitor() as monitor:
        task = quick_session(monitor, timeout_interval_for_request=5.0).download_task(
            server.url("/a.bin")
        )
        record = await task.wait()
        assert (record.succeeded, record.attempt) == (True, 1)
    assert (downloads / "a.bin").read_bytes() == body
