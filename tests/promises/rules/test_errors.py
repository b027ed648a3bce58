"""Errors and retries."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import email.utils
import json
import os
import resource as limits
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, reply, rest
from tests.helpers.recorder import BOTH_LOOPS, Recorder, eventually, recorder_of
from tests.helpers.sessions import (
    QUICK,
    Halves,
    code_of,
    default_session,
    parts_in,
    quick_session,
    sent,
)
from tests.promises.rules.conftest import OpenMonitor
from transfermon.engine.monitor import DownloadTask, Monitor, Session
from transfermon.model.configuration import RetryPolicy, SessionConfiguration
from transfermon.model.errors import DOMAIN, TransferFailure
from transfermon.model.task import Activity, State, Task
from transfermon.system.network_status import Connectivity

pytestmark = pytest.mark.anyio
linux_only = pytest.mark.skipif(
    sys.platform != "linux", reason="uses Linux' ways to make a disk or a network fail"
)
SECRETS = "user:secret@"


@pytest.fixture
def session(monitor: Monitor) -> Session:
    return quick_session(monitor)


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def check_error(task: DownloadTask | Task, recorder: Recorder, code: int) -> None:
    """What X-01 says of every failure."""
    error = task.error
    assert error is not None
    assert (error.domain, error.code) == (DOMAIN, code) == ("NSURLErrorDomain", code)
    assert error.message.strip()
    assert error.reason
    assert error.url
    assert "secret" not in f"{error}"
    assert "user" not in error.url
    event = recorder.of("sessioncompleted", task)[-1]
    assert (event.success, event.error_code, event.message) == (False, code, error.message)
    assert "secret" not in json.dumps(event.to_dict())


# ----


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (reply(404, {}, b"secret"), -1011),
        (reply(401), -1013),
        (reply(302), -1010),
        (reply(302, {"Location": "/a?token=secret"}), -1007),
        (b"SSH-2.0-OpenSSH_9.2\r\n", -1017),
        (
            reply(200, {"Content-Encoding": "gzip"}, b"\x1f\x8b\x08 and nothing of gzip behind it"),
            -1015,
        ),
        (reply(206, {"Content-Range": "bytes 0-0/2"}, b"x"), -1011),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", -1005),
    ],
)
async def test_x01_a_failure_names_its_address_without_secrets(
    monitor: Monitor,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    answer: bytes,
    code: int,
):
    def send(conn: Conn, request: Request) -> bool:
        conn.send(answer)
        if code in (-1005, -1017):
            conn.close()
        return True

    resource.before = send
    url = server.url("/a/b.bin?token=secret&x=secret2").replace("://", f"://{SECRETS}")
    task = default_session(monitor).download_task(url, request_headers={"X-Api-Key": "secret"})
    await task.wait()
    check_error(task, recorder, code)
    assert task.error is not None
    assert task.error.url.startswith(server.url("/a"))


async def test_x01_cancelled_and_refused_tasks_have_words_too(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.stall_after = 100
    url = server.url("/a/b.bin?token=secret").replace("://", f"://{SECRETS}")
    cancelled = session.download_task(url).cancel()
    await cancelled.wait()
    check_error(cancelled, recorder, -999)
    refused = session.download_task_with_resume_data(b"junk")
    await refused.wait()
    assert refused.error is not None
    assert refused.error.message
    assert (refused.error.domain, refused.error.code) == (DOMAIN, -1002)


# ----


async def test_x02_an_unknown_host(
    session: Session,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    connectivity: Connectivity,
):
    # what the system says, without asking anybody on the network
    def unknown(*args: Any, **more: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    task = session.download_task("http://nowhere.example.invalid/a")
    record = await task.wait()
    check_error(task, recorder, -1003)
    assert record.attempt == 3


async def test_x02_a_lookup_that_fails_for_now(
    monitor: Monitor,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    connectivity: Connectivity,
):
    def later(*args: Any, **more: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", later)
    task = default_session(monitor).download_task("http://nowhere.example.invalid/a")
    await task.wait()
    check_error(task, recorder, -1006)


async def test_x02_a_refused_connection(monitor: Monitor, recorder: Recorder):
    task = default_session(monitor).download_task(f"http://127.0.0.1:{closed_port()}/a")
    await task.wait()
    check_error(task, recorder, -1004)


_OFFLINE = """
import asyncio, dataclasses, json, sys
sys.path[:0] = {path!r}
from transfermon.model.configuration import SessionConfiguration
from transfermon.engine.monitor import Monitor
from transfermon.storage.settings import Settings

async def main():
    async with Monitor.open({state!r}, settings=Settings(download_folder={state!r})) as monitor:
        monitor.ready()
        session = monitor.create_session(SessionConfiguration.default())
        found = []
        for url in ("http://10.1.2.3/a", "http://[2001:db8::1]/a", "http://127.0.0.1/a"):
            record = await session.download_task(url).wait()
            found.append((record.error.code, record.error.message))
        task = monitor.session("com.example.test").download_task("http://10.1.2.3/a")
        async for event in monitor.events("taskstate"):
            if event.activity == "waiting_for_connectivity":
                break
        print(json.dumps(found))
asyncio.run(main())
"""


@linux_only
def test_x02_no_way_to_the_host(tmp_path: Path):
    unshare = shutil.which("unshare")
    if (
        unshare is None
        or subprocess.run([unshare, "-rn", "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("a network of its own needs unshare and the right to use it")
    script = _OFFLINE.format(
        path=[path for path in sys.path if path], state=str(tmp_path / "state")
    )
    done = subprocess.run(
        [unshare, "-rn", sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    found = json.loads(done.stdout)
    assert [code for code, _ in found] == [-1009] * 3
    assert all(message for _, message in found)


@pytest.mark.parametrize("silent", ["before the head", "in a small body", "in a large body"])
async def test_x02_any_timeout(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder, silent: str
):
    if silent == "before the head":
        resource.before = lambda conn, request: conn.stall() is None  # type: ignore[func-returns-value]
    resource.body = resource.body[: 100_000 if silent == "in a small body" else None]
    resource.stall_after = 50_000
    session = default_session(monitor, timeout_interval_for_request=0.3)
    task = session.download_task(server.url("/a"))
    await task.wait()
    check_error(task, recorder, -1001)


async def test_x02_a_connection_that_nobody_accepts(monitor: Monitor, recorder: Recorder):
    # A full backlog: Linux drops further SYNs, as a host behind a silent firewall does.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        others = [socket.socket() for _ in range(4)]
        try:
            for other in others:
                other.setblocking(False)
                other.connect_ex(listener.getsockname())
            session = default_session(monitor, timeout_interval_for_request=0.3)
            task = session.download_task(f"http://127.0.0.1:{listener.getsockname()[1]}/a")
            await task.wait()
            check_error(task, recorder, -1001)
        finally:
            for other in others:
                other.close()


# ----


@pytest.mark.parametrize("ending", ["close", "reset"])
@pytest.mark.parametrize("size", [100_000, 300_000])
@pytest.mark.parametrize("framed", ["length", "chunked"])
async def test_x03_a_connection_that_breaks_after_the_response_began(
    monitor: Monitor,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    ending: str,
    size: int,
    framed: str,
):
    def send(conn: Conn, request: Request) -> bool:
        fields = (
            {"Content-Length": str(size)}
            if framed == "length"
            else {"Transfer-Encoding": "chunked"}
        )
        conn.send(reply(200, fields) + (b"%x\r\n" % size if framed == "chunked" else b""))
        conn.send(resource.body[: size // 2])
        getattr(conn, ending)()
        return True

    resource.before = send
    task = default_session(monitor).download_task(server.url("/a"))
    await task.wait()
    check_error(task, recorder, -1005)


async def test_x03_a_connection_that_breaks_inside_the_head_or_before(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder
):
    answers = iter([b"", b"HTTP/1.1 200 OK\r\nContent-Le"])

    def send(conn: Conn, request: Request) -> bool:
        conn.send(next(answers))
        conn.close()
        return True

    resource.before = send
    session = default_session(monitor)
    for _ in range(2):
        task = session.download_task(server.url("/a"))
        await task.wait()
        check_error(task, recorder, -1005)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        b"220 mail.example.org ESMTP\r\n",
        b"<html>hello</html>",
        b"\x15\x03\x03\x00\x02\x02\x50",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
    ],
)
async def test_x03_an_answer_that_is_not_http(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    answer: bytes,
):
    def send(conn: Conn, request: Request) -> bool:
        conn.send(answer)
        conn.close()
        return True

    resource.before = send
    task = session.download_task(server.url("/a"))
    await task.wait()
    check_error(task, recorder, -1017)
    assert len(server.requests) == 1
    assert not downloads.exists() or set(downloads.iterdir()) == set(parts_in(downloads))


# ----


async def test_x05_a_folder_where_nothing_can_be_created(
    session: Session, server: ByteServer, recorder: Recorder, tmp_path: Path
):
    (tmp_path / "a file").write_bytes(b"mine")
    for destination in (tmp_path / "missing" / "a.bin", tmp_path / "a file" / "a.bin"):
        task = session.download_task(server.url("/a.bin"), destination=destination)
        await task.wait()
        check_error(task, recorder, -3000)
        assert task.error is not None
        assert task.error.hint
    assert (tmp_path / "a file").read_bytes() == b"mine"
    assert not (tmp_path / "missing").exists()


@contextlib.contextmanager
def running(program: Path) -> Iterator[None]:
    """A running program cannot be opened for writing, not even by root."""
    with subprocess.Popen([str(program), "100"]) as process:
        yield
        process.kill()


@linux_only
async def test_x05_a_part_that_cannot_be_opened_is_kept(
    monitor: Monitor,
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
):
    program = shutil.which("sleep")
    assert program is not None
    resource.body = Path(program).read_bytes() + bytes(1000)
    resource.stall_after = len(resource.body) - 1000
    task = session.download_task(server.url("/a.bin"))
    await eventually(lambda: task.count_of_bytes_received == resource.stall_after)
    task.suspend()
    await eventually(lambda: monitor.overview.progress(task.key) is None)
    resource.stall_after = None
    (part,) = parts_in(downloads)
    part.chmod(0o700)
    with running(part):
        task.resume()
        await task.wait()
        check_error(task, recorder, -3001)
    assert task.record.received == len(resource.body) - 1000
    assert part.read_bytes() == resource.body[:-1000]
    monitor.commands.retry(task.key)
    await recorder.wait_for("sessioncompleted", task, count=2)
    assert (downloads / "a.bin").read_bytes() == resource.body
    assert [request.header("Range") for request in server.requests] == [
        "",
        rest(len(resource.body) - 1000),
    ]


@pytest.fixture
def limited_files() -> Iterator[Callable[[int], None]]:
    """Sets how long a file of this process may become."""
    before = limits.getrlimit(limits.RLIMIT_FSIZE)
    yield lambda size: limits.setrlimit(limits.RLIMIT_FSIZE, (size, before[1]))
    limits.setrlimit(limits.RLIMIT_FSIZE, before)


@linux_only
@pytest.mark.parametrize("framed", ["length", "chunked"])
async def test_x05_a_write_that_fails_keeps_what_was_written(
    monitor: Monitor,
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    limited_files: Callable[[int], None],
    framed: str,
):
    size, most = 12_000_000, 8_000_000
    resource.body = os.urandom(1_000_000) * 12
    go = threading.Event()

    def send(conn: Conn, request: Request) -> bool:
        if request.header("Range"):
            return False
        chunked = framed == "chunked"
        fields = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(size)}
        conn.send(reply(200, {"ETag": '"v1"', **fields}) + (b"%x\r\n" % size if chunked else b""))
        conn.send(resource.body)
        go.wait(10)
        return True

    resource.before = send
    limited_files(most)
    task = session.download_task(server.url("/a.bin"))
    await task.wait()
    go.set()
    check_error(task, recorder, -3003)
    (part,) = parts_in(downloads)
    stored = task.record.received
    assert 0 < stored <= most
    assert part.read_bytes()[:stored] == resource.body[:stored]
    limited_files(limits.RLIM_INFINITY)
    monitor.commands.retry(task.key)
    await recorder.wait_for("sessioncompleted", task, count=2)
    assert (downloads / "a.bin").read_bytes() == resource.body
    assert server.requests[-1].header("Range") == rest(stored)


@pytest.mark.parametrize("size", [1000, 300_000])
@pytest.mark.parametrize("why", ["a folder has the name", "the folder went away"])
async def test_x05_a_final_name_that_cannot_be_given_keeps_the_part(
    monitor: Monitor,
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    size: int,
    why: str,
):
    resource.body = resource.body[:size]
    halves = resource.before = Halves(resource, size // 2)
    downloads.mkdir()
    task = session.download_task(server.url("/a"), destination=downloads / "a.bin", overwrite=True)
    await eventually(lambda: task.count_of_bytes_received == size // 2)
    moved = downloads.with_name("moved")
    if why == "a folder has the name":
        (downloads / "a.bin" / "mine").mkdir(parents=True)
    else:
        (part,) = parts_in(downloads)
        moved = part.rename(downloads.with_name("moved"))
    halves.go.set()
    await task.wait()
    check_error(task, recorder, -3005)
    assert task.record.final_path == ""
    if why == "the folder went away":
        assert moved.read_bytes() == resource.body
        return
    (part,) = parts_in(downloads)
    assert part.read_bytes() == resource.body
    (downloads / "a.bin" / "mine").rmdir()
    (downloads / "a.bin").rmdir()
    monitor.commands.retry(task.key)
    await recorder.wait_for("sessioncompleted", task, count=2)
    assert (downloads / "a.bin").read_bytes() == resource.body
    assert sum(len(request.header("Range")) == 0 for request in server.requests) == 1


# ----


async def test_x06_an_address_that_cannot_be_used_is_refused_at_once(
    session: Session, server: ByteServer
):
    for empty in ("", "  ", "\n"):
        with pytest.raises(ValueError):
            session.download_task(empty)
    for url, code in [
        ("http://", -1000),
        ("http:///path", -1000),
        ("//example.org/a", -1000),
        ("/a/b", -1000),
        ("example.org", -1000),
        ("http://exa mple.org/", -1000),
        ("http://example.org:99999/", -1000),
        ("http://[::1/", -1000),
        ("ftp://example.org/a", -1002),
        ("file:///etc/passwd", -1002),
        ("data:text/plain,x", -1002),
        ("javascript:alert(1)", -1002),
    ]:
        with pytest.raises(TransferFailure) as caught:
            session.download_task(url)
        assert (url, caught.value.code) == (url, code)
        assert caught.value.title
    assert session.tasks.records() == []
    assert server.connections == 0


@pytest.mark.parametrize(
    "location",
    [
        None,
        "",
        "  ",
        "ftp://example.org/a",
        "file:///etc/passwd",
        "http://",
        "http://a b/",
        "http://[::1",
        "//",
    ],
)
async def test_x06_a_redirect_without_a_usable_target(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    location: str | None,
):
    resource.before = lambda conn, request: sent(
        conn, reply(302, {} if location is None else {"Location": location})
    )
    task = session.download_task(server.url("/a"))
    await task.wait()
    check_error(task, recorder, -1010)
    assert len(server.requests) == 1


# ----


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_x07_a_background_session_tries_these_again(
    session: Session, server: ByteServer, resource: Resource, downloads: Path, status: int
):
    left = [1, 2, 3]
    resource.before = lambda conn, request: (
        bool(left) and bool(left.pop()) and sent(conn, reply(status, {}, b"no"))
    )
    assert (await session.download_task(server.url("/a.bin")).wait()).succeeded
    assert len(server.requests) == 4
    assert (downloads / "a.bin").read_bytes() == resource.body


@pytest.mark.parametrize(
    "status", [400, 401, 403, 404, 405, 409, 410, 413, 416, 422, 451, 501, 505]
)
async def test_x07_and_no_others(
    session: Session, server: ByteServer, resource: Resource, status: int
):
    resource.before = lambda conn, request: sent(conn, reply(status, {"Retry-After": "0"}))
    record = await session.download_task(server.url("/a.bin")).wait()
    assert record.failed
    assert (len(server.requests), record.attempt) == (1, 1)


async def test_x07_412_starts_over_once(session: Session, server: ByteServer, resource: Resource):
    resource.before = lambda conn, request: sent(conn, reply(412))
    assert (await session.download_task(server.url("/a.bin")).wait()).failed
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_x07_a_default_session_does_not_try_again(
    monitor: Monitor, server: ByteServer, resource: Resource, status: int
):
    resource.before = lambda conn, request: sent(conn, reply(status, {"Retry-After": "0"}))
    assert (await default_session(monitor).download_task(server.url("/a.bin")).wait()).failed
    assert len(server.requests) == 1


@BOTH_LOOPS
@pytest.mark.parametrize("why", ["refused", "closed", "silent", "lost"])
async def test_x07_a_network_failure_is_tried_again_until_it_works(
    monitor: Monitor, resource: Resource, recorder: Recorder, downloads: Path, why: str
):
    session = quick_session(monitor, timeout_interval_for_request=0.2)
    left = [1, 2]

    def fail(conn: Conn, request: Request) -> bool:
        if not left:
            return False
        left.pop()
        if why == "closed":
            conn.close()
        elif why == "silent":
            conn.stall()
        else:
            conn.send(reply(200, {"Content-Length": "100"}) + b"x")
            conn.reset()
        return True

    resource.before = fail
    with ByteServer(resource) as server:
        url = server.url("/a.bin")
        if why == "refused":
            server.stop()
            task = session.download_task(url)
            await recorder.until(lambda: task.record.attempt >= 3)
            with socket.create_server(("127.0.0.1", server.port)) as listener:
                await asyncio.to_thread(serve_one, listener, resource.body)
        else:
            task = session.download_task(url)
        assert (await task.wait()).succeeded
    assert (downloads / "a.bin").read_bytes() == resource.body


def serve_one(listener: socket.socket, body: bytes) -> None:
    listener.settimeout(10)
    sock, _ = listener.accept()
    with sock:
        sock.recv(65536)
        sock.sendall(reply(200, {"Connection": "close"}, body))


async def test_x07_a_cancel_ends_the_retries(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder
):
    resource.before = lambda conn, request: sent(conn, reply(500))
    task = session.download_task(server.url("/a.bin"))
    await recorder.until(lambda: task.record.attempt >= 3)
    task.cancel()
    await task.wait()
    assert code_of(task) == -999
    resource.before = None
    await session.download_task(server.url("/other")).wait()
    # the server may read the last one after the task has ended
    asked = sum(request.target == "/a.bin" for request in server.requests)
    assert asked <= task.record.attempt


async def test_x07_the_resource_timeout_ends_the_retries(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    resource.before = lambda conn, request: sent(conn, reply(500))
    session = quick_session(monitor, timeout_interval_for_resource=3.0)
    task = session.download_task(server.url("/a.bin"))
    await task.wait()
    assert code_of(task) == -1001
    assert len(server.requests) > 1


# ----


async def waits(session: Session, recorder: Recorder, url: str, count: int) -> list[float]:
    """Seconds between now and the next attempt, as told with each of the first `count` failures."""
    task = session.download_task(url)
    found: list[float] = []
    for n in range(count):
        await recorder.until(
            lambda n=n: sum(e.activity == "retrying" for e in recorder.of("taskstate", task)) > n  # type: ignore[misc]
        )
        event = [e for e in recorder.of("taskstate", task) if e.activity == "retrying"][n]
        found.append(event.until - event.time)
        run = session.tasks.run_of(task.task_identifier)
        if run.wait.timed:  # the wait itself is another test's
            run.again()
    task.cancel()
    await task.wait()
    return found


@pytest.mark.parametrize("random", [0.0, 0.5, 1.0])
async def test_x08_the_wait_doubles_with_full_jitter_between_one_second_and_five_minutes(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder, random: float
):
    resource.before = lambda conn, request: sent(conn, reply(500))
    monitor._engine.random = lambda: random
    session = monitor.create_session(SessionConfiguration.background("com.example.slow"))
    found = await waits(session, recorder, server.url("/a"), 12)
    ceilings = [min(300.0, 2.0**n) for n in range(12)]
    assert found == pytest.approx(
        [1.0 + (ceiling - 1.0) * random for ceiling in ceilings], abs=0.05
    )


async def test_x08_progress_of_64_kib_forgives_earlier_failures(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder
):
    monitor._engine.random = lambda: 1.0
    session = monitor.create_session(SessionConfiguration.background("com.example.slow"))
    # bytes that an attempt brings
    steps = iter([None, None, None, 64 * 1024, None, 64 * 1024 - 1, None])

    def step(conn: Conn, request: Request) -> bool:
        size = next(steps)
        if size is None:
            conn.send(reply(500))
            return True
        begin = int(request.header("Range")[6:-1]) if request.header("Range") else 0
        total = len(resource.body)
        fields = {"ETag": '"v1"', "Content-Length": str(total - begin)}
        if begin:
            fields["Content-Range"] = f"bytes {begin}-{total - 1}/{total}"
        conn.send(reply(206 if begin else 200, fields) + resource.body[begin : begin + size])
        conn.close()
        return True

    resource.before = step
    found = await waits(session, recorder, server.url("/a"), 7)
    assert found == pytest.approx([1.0, 2.0, 4.0, 1.0, 2.0, 4.0, 8.0], abs=0.05)


async def test_x08_a_returning_network_ends_the_wait_at_once(
    monitor: Monitor,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    connectivity: Connectivity,
):
    session = quick_session(monitor, retry_policy=RetryPolicy(minimum=100.0, maximum=100.0))
    left = [1]

    def lose(conn: Conn, request: Request) -> bool:
        if not left:
            return False
        left.pop()
        conn.close()
        return True

    resource.before = lose
    task = session.download_task(server.url("/a"))
    await recorder.wait_for_state(task, State.RUNNING, Activity.RETRYING)
    connectivity.update(False)
    connectivity.update(True)
    assert (await task.wait()).succeeded


# ----


@pytest.mark.parametrize("status", [429, 503, 408, 500])
@pytest.mark.parametrize("form", ["seconds", "date", "a date that is past", "junk"])
async def test_x09_retry_after_sets_the_next_attempt(
    monitor: Monitor,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    status: int,
    form: str,
):
    now = int(monitor._engine.now())
    value = {
        "seconds": "120",
        "date": email.utils.formatdate(now + 120, usegmt=True),
        "a date that is past": email.utils.formatdate(now - 120, usegmt=True),
        "junk": "soon",
    }[form]
    resource.before = lambda conn, request: sent(conn, reply(status, {"Retry-After": value}))
    session = quick_session(
        monitor, retry_policy=dataclasses.replace(QUICK, minimum=10.0, maximum=10.0)
    )
    task = session.download_task(server.url("/a"))
    if form == "a date that is past":
        # at once, and the second time with a wait
        await recorder.until(lambda: task.record.attempt == 2)
    else:
        await recorder.until(lambda: task.record.waiting)
        assert task.record.waiting_until is not None
        wait = task.record.waiting_until - now
        assert wait == pytest.approx(10 if form == "junk" else 120, abs=3)
    task.cancel()
    await task.wait()


async def test_x09_the_wait_that_the_server_asks_for_is_kept(
    session: Session, server: ByteServer, resource: Resource
):
    left = [1]
    resource.before = lambda conn, request: (
        bool(left) and bool(left.pop()) and sent(conn, reply(503, {"Retry-After": "1"}))
    )
    assert (await session.download_task(server.url("/a")).wait()).succeeded
    first, second = server.requests
    assert 1.0 <= second.time - first.time < 5.0


async def test_x09_the_resource_timeout_limits_it(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    resource.before = lambda conn, request: sent(conn, reply(503, {"Retry-After": "99999999999"}))
    task = quick_session(monitor, timeout_interval_for_resource=0.3).download_task(server.url("/a"))
    await task.wait()
    assert code_of(task) == -1001


async def test_x09_it_holds_over_a_restart_of_the_engine(
    open_monitor: OpenMonitor, server: ByteServer, resource: Resource
):
    resource.before = lambda conn, request: sent(conn, reply(503, {"Retry-After": "600"}))
    async with open_monitor() as monitor:
        task = quick_session(monitor).download_task(server.url("/a"))
        await recorder_of(monitor).until(lambda: task.record.waiting)
        until = task.record.waiting_until
    async with open_monitor() as monitor:
        await (
            quick_session(monitor, "com.example.other")
            .download_task(server.url("/other"), maximum_attempts=1)
            .wait()
        )
        assert monitor.task(task.key).waiting_until == until
        assert [request.target for request in server.requests] == ["/a", "/other"]
