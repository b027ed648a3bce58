"""Downloads from nginx, for what only its configuration can order. Scenes that it shares with
others are in `test_resuming_servers`.
"""

from __future__ import annotations

import contextlib
import gzip
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers import nginx
from tests.helpers.recorder import eventually
from tests.helpers.sessions import quick_session
from transfermon.engine.monitor import Monitor
from transfermon.http import resume

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(nginx.PATH is None, reason=nginx.WHY_NOT)]

HOUR = 3600.0

Serve = Callable[..., nginx.Nginx]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def serve(tmp_path: Path, root: Path) -> Iterator[Serve]:
    with contextlib.ExitStack() as running:
        yield lambda server="", http="": running.enter_context(
            nginx.running(tmp_path / "nginx", root, server=server, http=http)
        )


async def test_files_that_are_not_there_fail_and_leave_nothing(
    monitor: Monitor, serve: Serve, downloads: Path
):
    server = serve(server="location /locked { return 403; }")
    session = quick_session(monitor)
    for path, status in (("/missing.bin", 404), ("/locked", 403)):
        record = await session.download_task(server.url(path)).wait()
        assert record.error is not None
        assert (record.error.code, record.error.status) == (-1011, status)
    assert not downloads.exists() or list(downloads.iterdir()) == []


async def test_a_connection_is_kept_for_the_next_file(monitor: Monitor, serve: Serve):
    server = serve()
    for n in range(5):
        server.put(f"{n}.bin", os.urandom(1000 * n), age=HOUR)
    for n in range(5):
        assert (
            await quick_session(monitor).download_task(server.url(f"/{n}.bin")).wait()
        ).succeeded
    # nginx writes a line when it is done with a request, which may be after the client is
    await eventually(lambda: len(server.requests()) >= 5, "5 requests in the log")
    assert len({line.split()[-1] for line in server.requests()}) == 1


async def test_many_files_at_once_arrive_whole(monitor: Monitor, serve: Serve, downloads: Path):
    contents = {f"{n}.bin": os.urandom(200_000 + 17_000 * n) for n in range(24)}
    server = serve()
    for name, content in contents.items():
        server.put(name, content, age=HOUR)
    session = quick_session(monitor)
    tasks = [session.download_task(server.url(f"/{name}")) for name in contents]
    for task in tasks:
        assert (await task.wait()).succeeded
    assert {path.name: path.read_bytes() for path in downloads.iterdir()} == contents


async def test_a_text_is_not_compressed_for_us_and_stays_resumable(
    monitor: Monitor, serve: Serve, downloads: Path
):
    text = b"".join(b"line %d\n" % n for n in range(50_000))
    server = serve(http="gzip on; gzip_types text/plain; gzip_min_length 1;")
    server.put("a.txt", text, age=HOUR)
    record = await quick_session(monitor).download_task(server.url("/a.txt")).wait()
    assert record.succeeded
    assert record.not_resumable == ""
    assert record.validators is not None
    assert resume.is_strong(record.validators.etag)
    assert (downloads / "a.txt").read_bytes() == text


async def test_a_text_that_is_sent_compressed_all_the_same_is_unpacked(
    monitor: Monitor, serve: Serve, root: Path, downloads: Path
):
    text = b"".join(b"line %d\n" % n for n in range(50_000))
    server = serve(
        server="location = /a.txt { add_header Content-Encoding gzip; alias %s; }"
        % (root / "a.txt.gz")
    )
    server.put("a.txt.gz", gzip.compress(text), age=HOUR)
    record = await quick_session(monitor).download_task(server.url("/a.txt")).wait()
    assert record.succeeded
    assert record.not_resumable
    assert (await quick_session(monitor).download_task(server.url("/a.txt.gz")).wait()).succeeded
    assert (downloads / "a.txt").read_bytes() == text
    assert (downloads / "a.txt.gz").read_bytes() == (root / "a.txt.gz").read_bytes()


async def test_a_slow_server_is_no_failure(monitor: Monitor, serve: Serve, downloads: Path):
    body = os.urandom(6_000_000)
    server = serve(server="limit_rate 5m;")
    server.put("a.bin", body, age=HOUR)
    task = quick_session(monitor, timeout_interval_for_request=5.0).download_task(
        server.url("/a.bin")
    )
    record = await task.wait()
    assert (record.succeeded, record.attempt) == (True, 1)
    assert (downloads / "a.bin").read_bytes() == body
