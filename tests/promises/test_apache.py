"""Downloads from a real Apache, from end to end: the rules of resuming against another opponent."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import shlex
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helpers import apache
from tests.helpers.byte_server import ByteServer, Conn, Request, reply, rest
from tests.helpers.recorder import Recorder, eventually
from tests.helpers.sessions import parts_in, quick_session
from transfermon.engine.monitor import DownloadTask, Monitor
from transfermon.http import resume
from transfermon.storage.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(apache.PATH is None, reason=apache.WHY_NOT)]
SIZE = 3_000_000
ENOUGH = 400_000  # bytes after which a test looks on
HOUR = 3600.0
SLOWLY = "SetOutputFilter RATE_LIMIT\nSetEnv rate-limit 2500"  # KiB/s

Open = Callable[[], AbstractAsyncContextManager[Monitor]]
Serve = Callable[..., apache.Apache]


class Line(NamedTuple):
    """A request as Apache has logged it."""

    method: str
    uri: str
    status: int
    sent: int
    range: str
    if_range: str
    connection: str


async def logged(server: apache.Apache, count: int) -> list[Line]:
    """Apache writes a line when it is done with a request, which may be after the client is."""
    await eventually(lambda: len(server.requests()) >= count, f"{count} requests in the log")
    found = []
    for line in server.requests():
        method, uri, status, sent, asked, condition, connection = shlex.split(line)
        asked, condition = (value if value != "-" else "" for value in (asked, condition))
        found.append(Line(method, uri, int(status), int(sent), asked, condition, connection))
    return found


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    with contextlib.ExitStack() as running:
        yield lambda directory="": running.enter_context(
            apache.running(tmp_path / "apache", directory=directory)
        )


@pytest.fixture
def body() -> bytes:
    return os.urandom(SIZE)


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


async def stored(task: DownloadTask) -> int:
    """What is in the part once the task has come to `ENOUGH` bytes and was suspended."""
    await eventually(lambda: task.count_of_bytes_received >= ENOUGH, f"{ENOUGH} bytes")
    task.suspend()
    await eventually(
        lambda: task.session._engine.progress.get(task.key) is None, "the attempt to let go"
    )
    assert task.record.received < SIZE
    return task.record.received


def tag_of(server: apache.Apache, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request("HEAD", path)
        return connection.getresponse().getheader("ETag", "")
    finally:
        connection.close()


@pytest.mark.parametrize("size", [0, 1, 100_000, 262_145, 20_000_000])
async def test_a_file_arrives_as_it_is(
    serve: Serve, open_monitor: Open, downloads: Path, size: int
):
    server, content = serve(), os.urandom(size)
    server.put("a.bin", content, age=HOUR)
    digest = hashlib.sha256(content).hexdigest()
    async with open_monitor() as monitor:
        task = quick_session(monitor).download_task(
            server.url("/a.bin"), expected_digest=f"sha-256:{digest}"
        )
        record = await task.wait()
        assert record.succeeded
        assert (record.expected, record.received) == (size, size)
        assert record.validators is not None
        assert resume.is_strong(record.validators.etag)
    assert hashlib.sha256((downloads / "a.bin").read_bytes()).hexdigest() == digest
    (line,) = await logged(server, 1)
    assert (line.method, line.uri, line.status, line.sent, line.range) == (
        "GET",
        "/a.bin",
        200,
        size,
        "",
    )


@pytest.mark.parametrize("length_known", [True, False])
async def test_a_file_that_is_all_there_is_finished_without_an_endless_retry(
    serve: Serve, open_monitor: Open, body: bytes, downloads: Path, length_known: bool
):
    """Its end is asked for once more and compared; a question for what is behind it is never
    asked.
    """
    server = serve()
    server.put("a.bin", body, age=HOUR)
    tag = tag_of(server, "/a.bin")
    server.stop()

    def unended(conn: Conn, request: Request) -> None:
        if length_known:
            conn.send(reply(200, {"Content-Length": str(SIZE), "ETag": tag}) + body[:-1])
        else:
            conn.send(reply(200, {"Transfer-Encoding": "chunked", "ETag": tag}))
            conn.send(b"%x\r\n" % SIZE + body + b"\r\n")
        conn.stall()

    async with open_monitor() as monitor:
        with ByteServer(unended, port=server.port):
            task = quick_session(monitor).download_task(server.url("/a.bin"))
            await eventually(lambda: task.count_of_bytes_received >= SIZE - 1)
            task.suspend()
            await eventually(
                lambda: task.session._engine.progress.get(task.key) is None, "the attempt to let go"
            )
        if length_known:
            (part,) = parts_in(downloads)
            # as if the engine was killed between this write and its record
            with part.open("ab") as file:
                file.write(body[-1:])
        server.start()
        record = await task.resume().wait()
        assert record.succeeded
        assert record.restarts == 0
    lines = (await logged(server, 1 if length_known else 2))[1:]  # the first is ours, for the tag
    assert [(line.status, line.range) for line in lines] == (
        [] if length_known else [(206, rest(SIZE))]
    )
    assert (downloads / "a.bin").read_bytes() == body
    assert parts_in(downloads) == []
