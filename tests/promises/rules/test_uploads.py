"""U-01 to U-13: uploads from files, bytes and streams, to servers that know no resuming."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, reply
from tests.helpers.recorder import Recorder, eventually, recorder_of
from tests.helpers.sessions import code_of, default_session, engine_process, quick_session
from tests.promises.rules.conftest import OpenMonitor
from transfermon.engine.monitor import Monitor, Session
from transfermon.model.errors import InvalidAction, TransferFailure
from transfermon.model.task import Activity, State
from transfermon.storage.records import task_text

pytestmark = pytest.mark.anyio
plain_session = partial(quick_session, upload_protocol="plain")
SIZE = 3_000_000
MEGABYTE = 1 << 20


class Receiver:
    """A handler that takes whole bodies; `answers` come first, then 201 with a text."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.bodies: list[bytes] = []
        # bytes of the next body after which the connection is reset, once
        self.cut_after: int | None = None

    def __call__(self, conn: Conn, request: Request) -> None:
        if self.cut_after is not None:
            cut, self.cut_after = self.cut_after, None
            conn.read_some(cut)
            conn.reset()
            return
        self.bodies.append(conn.read_body(request))
        conn.send(self.answers.pop(0) if self.answers else reply(201, {}, b"thanks"))


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def server(receiver: Receiver) -> Any:
    with ByteServer(receiver, reads_bodies=False) as server:
        yield server


@pytest.fixture
def session(monitor: Monitor) -> Session:
    return plain_session(monitor, "com.example.test")


@pytest.fixture
def body() -> bytes:
    return os.urandom(SIZE)


@pytest.fixture
def source(tmp_path: Path, body: bytes) -> Path:
    path = tmp_path / "movie.bin"
    path.write_bytes(body)
    return path


def stalled(conn: Conn, request: Request) -> None:
    """Takes a part of the body, and no more."""
    conn.read_some(200_000)
    conn.stall()


# ---- U-01


async def test_u01_an_upload_needs_an_address_and_posts_unless_told_otherwise(
    session: Session, server: ByteServer, receiver: Receiver, source: Path, body: bytes
):
    with pytest.raises(ValueError, match="empty"):
        session.upload_task("", source)
    with pytest.raises(TransferFailure):
        session.upload_task("ftp://example.com/a", source)
    with pytest.raises(ValueError, match="method"):
        session.upload_task(server.url("/a"), source, method="PUT /b HTTP/1.1\r\n")
    with pytest.raises(TypeError):
        session.upload_task(server.url("/a"), source, request_headers={"X-A": 1})  # type: ignore[dict-item]
    plain = session.upload_task(server.url("/a"), source, request_headers={"X-A": "1"})
    put = session.upload_task(server.url("/b"), str(source), method="put")
    assert (await plain.wait()).succeeded
    assert (await put.wait()).succeeded
    methods = {request.target: request.method for request in server.requests}
    assert methods == {"/a": "POST", "/b": "PUT"}
    assert [request.header("X-A") for request in server.requests if request.target == "/a"] == ["1"]
    assert receiver.bodies == [body, body]


# ---- U-02


@pytest.mark.parametrize("size", [0, 1, MEGABYTE - 1, MEGABYTE, MEGABYTE + 1, 5 * MEGABYTE])
async def test_u02_a_file_arrives_as_it_is_with_its_length(
    session: Session, server: ByteServer, receiver: Receiver, tmp_path: Path, size: int
):
    content = os.urandom(size)
    (tmp_path / "a").write_bytes(content)
    record = await session.upload_task(server.url("/a"), tmp_path / "a", method="PUT").wait()
    assert record.succeeded
    assert (record.sent, record.expected_to_send) == (size, size)
    assert receiver.bodies == [content]
    assert server.requests[0].header("Content-Length") == str(size)
    assert server.requests[0].header("Transfer-Encoding") == ""


async def test_u02_over_tls_too(monitor: Monitor, receiver: Receiver, source: Path, body: bytes):
    transport = await monitor._engine.lines()
    transport._contexts.contexts["", ""] = ByteServer.client_context()
    with ByteServer(receiver, reads_bodies=False, tls=True) as server:
        assert (await plain_session(monitor).upload_task(server.url("/a"), source).wait()).succeeded
    assert receiver.bodies == [body]


# ---- U-03


async def test_u03_bytes_of_a_background_session_survive_the_engine(
    open_monitor: OpenMonitor, server: ByteServer, receiver: Receiver, tmp_path: Path, body: bytes
):
    async with open_monitor() as monitor:
        task = plain_session(monitor).upload_task(server.url("/a"), body, method="PUT", start=False)
        await task.accepted
        (kept,) = (Path(monitor.state_dir) / "spool").iterdir()
        assert kept.read_bytes() == body
        assert kept.stat().st_mode & 0o777 == 0o600
    async with open_monitor() as monitor:
        again = monitor.handle(task.key)
        assert (await again.resume().wait()).succeeded
        await eventually(lambda: not kept.exists(), "the private file to go")
    assert receiver.bodies == [body]


async def test_u03_a_removed_task_takes_its_bytes_along(
    session: Session, server: ByteServer, monitor: Monitor
):
    task = session.upload_task(server.url("/a"), b"secret", start=False)
    await task.accepted
    monitor.commands.remove(task.key)
    await eventually(lambda: not list((Path(monitor.state_dir) / "spool").iterdir()))
    assert session.tasks.find(task.task_identifier) is None


async def test_u03_bytes_of_a_default_session_are_in_memory_only(
    monitor: Monitor, server: ByteServer, receiver: Receiver
):
    assert (await default_session(monitor).upload_task(server.url("/a"), b"abc").wait()).succeeded
    assert receiver.bodies == [b"abc"]
    assert not (Path(monitor.state_dir) / "spool").exists()


# ---- U-04


class Pieces:
    """A body in three pieces, as often as it is asked for."""

    def __init__(self) -> None:
        self.times = 0

    async def __call__(self) -> AsyncIterator[bytes]:
        self.times += 1
        for piece in (b"one ", b"two ", b"three"):
            await asyncio.sleep(0)
            yield piece


async def test_u04_a_stream_is_for_default_sessions_and_made_again_for_each_request(
    monitor: Monitor, session: Session, server: ByteServer, receiver: Receiver
):
    pieces = Pieces()
    with pytest.raises(InvalidAction):
        session.upload_task_with_stream(server.url("/a"), pieces.__call__)
    receiver.answers = [reply(307, {"Location": "/b"})]
    task = default_session(monitor).upload_task_with_stream(
        server.url("/a"), pieces.__call__, method="PUT"
    )
    record = await task.wait()
    assert record.succeeded
    assert receiver.bodies == [b"one two three"] * 2
    assert pieces.times == 2
    assert record.sent == 13
    assert [request.header("Transfer-Encoding") for request in server.requests] == ["chunked"] * 2


# ---- U-05, U-06


async def test_u05_progress_adds_up_and_ends_with_the_whole(
    monitor: Monitor, recorder: Recorder, server: ByteServer, source: Path
):
    task = plain_session(monitor).upload_task(server.url("/a"), source, speed_limit=6_000_000)
    assert (await task.wait()).succeeded
    events = recorder.of("uploadprogress", task)
    assert len(events) > 1
    total = 0
    for event in events:
        total += event.bytes_sent
        assert (event.total_bytes_sent, event.total_bytes_expected_to_send) == (total, SIZE)
    assert total == SIZE
    assert recorder.names(task)[-1] == "sessioncompleted"
    assert set(events[0].to_dict()) >= {
        "taskIdentifier",
        "bytesSent",
        "totalBytesSent",
        "totalBytesExpectedToSend",
    }


async def test_u06_an_attempt_from_zero_counts_from_zero(
    monitor: Monitor,
    recorder: Recorder,
    server: ByteServer,
    receiver: Receiver,
    source: Path,
    body: bytes,
):
    receiver.cut_after = 1_000_000
    task = plain_session(monitor).upload_task(
        server.url("/a"), source, method="PUT", speed_limit=8_000_000
    )
    record = await task.wait()
    assert record.succeeded
    assert record.attempt == 2
    assert receiver.bodies == [body]
    second = [event for event in recorder.of("uploadprogress", task) if event.attempt == 2]
    assert second[0].total_bytes_sent == second[0].bytes_sent


# ---- U-07


@pytest.mark.parametrize(
    ("kind", "sent", "text"),
    [
        ("text/plain; charset=iso-8859-1", "naïve".encode("latin-1"), "naïve"),
        ('text/html; charset="UTF-8"', "naïve".encode(), "naïve"),
        ("application/json", '{"a": "ü"}'.encode(), '{"a": "ü"}'),
        ("text/plain; charset=no-such-thing", b"abc", "abc"),
        ("text/plain", b"\xff\xfeabc", "��abc"),
        ("text/plain", b"x" * (MEGABYTE + 100), "x" * MEGABYTE),
        ("text/plain", b"", ""),
    ],
    ids=["latin-1", "utf-8", "json", "unknown", "damaged", "long", "empty"],
)
async def test_u07_the_end_tells_status_and_text(
    monitor: Monitor,
    recorder: Recorder,
    server: ByteServer,
    receiver: Receiver,
    kind: str,
    sent: bytes,
    text: str,
):
    receiver.answers = [reply(200, {"Content-Type": kind}, sent)]
    task = plain_session(monitor).upload_task(server.url("/a"), b"x")
    assert (await task.wait()).succeeded
    (event,) = recorder.of("sessioncompleted", task)
    assert (event["statusCode"], event["responseText"]) == (200, text)


async def test_u07_a_refusal_has_its_text_too(
    monitor: Monitor, recorder: Recorder, server: ByteServer, receiver: Receiver
):
    receiver.answers = [reply(422, {"Content-Type": "text/plain"}, b"no such album")]
    task = plain_session(monitor).upload_task(server.url("/a"), b"x")
    assert code_of(await task.wait()) == -1011
    (event,) = recorder.of("sessioncompleted", task)
    assert (event.success, event.status_code, event.response_text) == (False, 422, "no such album")


# ---- U-08, U-09


async def test_u08_what_is_no_readable_file_fails_without_a_request(
    session: Session, server: ByteServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "folder").mkdir()
    (tmp_path / "closed").write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe")
    found = {}
    for name in ("missing", "folder", "pipe"):
        found[name] = code_of(
            await session.upload_task(server.url("/a"), tmp_path / name, method="PUT").wait()
        )

    def refused(path: Any, *rest: Any, before: Any = os.open, **named: Any) -> int:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return int(before(path, *rest, **named))

    monkeypatch.setattr(os, "open", refused)  # root may read everything
    found["closed"] = code_of(
        await session.upload_task(server.url("/a"), tmp_path / "closed").wait()
    )
    assert found == {"missing": -1100, "folder": -1101, "pipe": -1102, "closed": -1102}
    assert server.requests == []


@pytest.mark.parametrize("how", ["longer", "touched", "replaced", "deleted"])
async def test_u09_a_file_that_changed_before_is_not_sent(
    session: Session, server: ByteServer, source: Path, body: bytes, how: str
):
    task = session.upload_task(server.url("/a"), source, start=False)
    await task.accepted
    change(source, body, how)
    assert code_of(await task.resume().wait()) == (-1100 if how == "deleted" else -1021)
    assert server.requests == []


@pytest.mark.parametrize("how", ["longer", "touched", "replaced", "deleted", "truncated"])
async def test_u09_a_file_that_changes_meanwhile_never_arrives_mixed(
    monitor: Monitor, server: ByteServer, receiver: Receiver, source: Path, body: bytes, how: str
):
    task = plain_session(monitor).upload_task(
        server.url("/a"), source, method="PUT", speed_limit=4_000_000
    )
    await eventually(lambda: task.count_of_bytes_sent > 200_000)
    change(source, body, how)
    record = await task.wait()
    assert code_of(record) == -1021
    assert receiver.bodies == []
    if how in ("longer", "touched", "replaced"):
        monitor.commands.retry(task.key)  # as it is now
        assert (await task.wait()).succeeded
        assert receiver.bodies == [source.read_bytes()]


def change(source: Path, body: bytes, how: str) -> None:
    if how == "longer":
        with source.open("ab") as file:
            file.write(b"more")
    elif how == "touched":
        status = source.stat()
        os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    elif how == "replaced":
        fresh = source.with_name("fresh")
        fresh.write_bytes(body[::-1])
        os.replace(fresh, source)
    elif how == "truncated":
        os.truncate(source, 300_000)
    else:
        source.unlink()


# ---- U-10


@pytest.mark.parametrize(
    ("method", "headers", "cut", "again"),
    [
        ("PUT", {}, 100_000, True),
        ("POST", {}, 100_000, False),
        ("POST", {"Idempotency-Key": '"1"'}, 100_000, True),
        ("PATCH", {}, 100_000, False),
    ],
)
async def test_u10_only_what_may_be_repeated_is_repeated_by_itself(
    monitor: Monitor,
    server: ByteServer,
    receiver: Receiver,
    source: Path,
    body: bytes,
    method: str,
    headers: dict[str, str],
    cut: int,
    again: bool,
):
    receiver.cut_after = cut
    task = plain_session(monitor).upload_task(
        server.url("/a"), source, method=method, request_headers=headers
    )
    record = await task.wait()
    if again:
        assert record.succeeded
        assert receiver.bodies == [body]
        return
    assert code_of(record) == -1005
    assert record.error is not None
    assert record.error.reason == "net.unknown-outcome"
    assert "not known" in record.error.message
    assert len(server.requests) == 1
    monitor.commands.retry(task.key)
    assert (await task.wait()).succeeded
    assert receiver.bodies == [body]


async def test_u10_a_post_is_repeated_where_no_byte_went_out(
    monitor: Monitor, recorder: Recorder, receiver: Receiver, source: Path, body: bytes
):
    with ByteServer(receiver, reads_bodies=False) as other:
        port = other.port
    task = plain_session(monitor).upload_task(f"http://127.0.0.1:{port}/a", source)
    await eventually(lambda: task.record.attempt >= 2, "a refused connection")
    with ByteServer(receiver, reads_bodies=False, port=port):
        assert (await task.wait()).succeeded
    assert receiver.bodies == [body]


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_u10_after_a_kill_only_what_may_be_repeated_is_sent_again(
    open_monitor: OpenMonitor,
    receiver: Receiver,
    source: Path,
    body: bytes,
    tmp_path: Path,
    method: str,
):
    with ByteServer(stalled, reads_bodies=False) as server:
        script = f"""
task = session.upload_task({server.url("/a")!r}, {str(source)!r}, method={method!r}, protocol="plain")
while task.count_of_bytes_sent < 100_000:
    await asyncio.sleep(0.005)
print("there", flush=True)
await asyncio.Event().wait()
"""
        with engine_process(tmp_path, script) as process:
            assert process.stdout is not None
            assert await asyncio.to_thread(process.stdout.readline) == "there\n"
            process.kill()
            process.wait()
    with ByteServer(receiver, reads_bodies=False, port=server.port) as server:
        async with open_monitor() as monitor:
            (record,) = monitor.tasks()
            record = await monitor.handle(record.key).wait()
        assert len(server.requests) == (1 if method == "PUT" else 0)
    if method == "PUT":
        assert record.succeeded
        assert receiver.bodies == [body]
    else:
        assert code_of(record) == -1005


# ---- U-11


@pytest.mark.parametrize(
    ("method", "status", "then"),
    [
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
        ("PUT", 307, "PUT"),
        ("PUT", 308, "PUT"),
        ("PUT", 301, "PUT"),
        ("PUT", 302, "PUT"),
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("POST", 303, "GET"),
        ("PUT", 303, "GET"),
    ],
)
async def test_u11_redirects_keep_or_drop_the_body(
    monitor: Monitor,
    server: ByteServer,
    receiver: Receiver,
    source: Path,
    body: bytes,
    method: str,
    status: int,
    then: str,
):
    receiver.answers = [reply(status, {"Location": "/b"})]
    record = (
        await plain_session(monitor).upload_task(server.url("/a"), source, method=method).wait()
    )
    assert record.succeeded
    assert [(request.method, request.target) for request in server.requests] == [
        (method, "/a"),
        (then, "/b"),
    ]
    assert receiver.bodies == ([body, body] if then != "GET" else [body, b""])
    assert record.current_url == server.url("/b")


async def test_u11_bytes_that_are_sent_twice_count_once(
    monitor: Monitor, recorder: Recorder, server: ByteServer, receiver: Receiver
):
    receiver.answers = [reply(307, {"Location": "/b"})]
    task = default_session(monitor).upload_task(server.url("/a"), b"x" * 1000, method="PUT")
    record = await task.wait()
    assert record.succeeded
    assert receiver.bodies == [b"x" * 1000] * 2
    assert record.sent == recorder.of("uploadprogress", task)[-1].total_bytes_sent == 1000


async def test_u11_a_body_never_goes_to_another_server(
    monitor: Monitor, server: ByteServer, receiver: Receiver, source: Path
):
    with ByteServer(receiver, reads_bodies=False) as other:
        receiver.answers = [reply(307, {"Location": other.url("/b")})]
        record = (
            await plain_session(monitor).upload_task(server.url("/a"), source, method="PUT").wait()
        )
        assert record.error is not None
        assert record.error.reason == "pol.redirected-upload"
        assert other.requests == []


# ---- U-12


async def test_u12_a_plain_upload_says_that_a_pause_starts_over_and_does(
    monitor: Monitor, receiver: Receiver, source: Path, body: bytes
):
    with ByteServer(stalled, reads_bodies=False) as server:
        task = plain_session(monitor).upload_task(server.url("/a"), source)
        assert "starts over" in task.record.not_resumable
        await eventually(lambda: task.count_of_bytes_sent > 100_000 and server.requests)
        task.suspend()
        await eventually(lambda: monitor.overview.progress(task.key) is None)
        server.handler = receiver
        assert (await task.resume().wait()).succeeded
    assert receiver.bodies == [body]
    assert task.record.attempt == 2


async def test_u12_a_cancelled_plain_upload_gives_no_data(monitor: Monitor, source: Path):
    with ByteServer(stalled, reads_bodies=False) as server:
        task = plain_session(monitor).upload_task(server.url("/a"), source)
        await eventually(lambda: task.count_of_bytes_sent > 100_000)
        assert await task.cancel_by_producing_resume_data() is None
        assert code_of(await task.wait()) == -999
    assert source.exists()


# ---- U-13


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("then", ["keeps", "closes", "resets"])
async def test_u13_an_early_answer_is_the_result(
    monitor: Monitor, recorder: Recorder, tmp_path: Path, then: str, tls: bool
):
    def full(conn: Conn, request: Request) -> None:
        conn.read_some(100_000)
        conn.send(reply(413, {"Content-Type": "text/plain"}, b"too much"))
        if then == "keeps":
            conn.stall()
        elif then == "closes":
            conn.close()
        # a reset may take the answer away from the client's own queue: nobody can promise to see it

    transport = await monitor._engine.lines()
    transport._contexts.contexts["", ""] = ByteServer.client_context()
    (tmp_path / "a").write_bytes(bytes(40_000_000))
    with ByteServer(
        full if then != "resets" else _reset_later, reads_bodies=False, tls=tls
    ) as server:
        task = plain_session(monitor).upload_task(server.url("/a"), tmp_path / "a", method="PUT")
        record = await task.wait()
        assert len(server.requests) == 1
    assert record.error is not None
    assert (record.error.code, record.error.status) == (-1011, 413)
    assert record.sent < 40_000_000
    (event,) = recorder.of("sessioncompleted", task)
    assert event.response_text == "too much"


def _reset_later(conn: Conn, request: Request) -> None:
    """The answer, and the reset only when the client has gone."""
    conn.send(reply(413, {"Content-Type": "text/plain"}, b"too much"))
    conn.stall()
    conn.reset()


async def test_u13_interim_answers_are_not_early_ones(
    session: Session, receiver: Receiver, source: Path, body: bytes
):
    def chatty(conn: Conn, request: Request) -> None:
        conn.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Proc")
        first = conn.read_some(500_000)
        conn.send(b"essing\r\n\r\n")
        receiver.bodies.append(first + conn.read_some(SIZE - 500_000))
        conn.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" + reply(201))

    with ByteServer(chatty, reads_bodies=False) as server:
        assert (await session.upload_task(server.url("/a"), source).wait()).succeeded
    assert receiver.bodies == [body]


# ---- what they share with downloads


async def test_t04_t05_nothing_is_sent_while_it_is_suspended_and_it_may_go_on_in_the_next_engine(
    open_monitor: OpenMonitor, receiver: Receiver, source: Path, body: bytes
):
    with ByteServer(receiver, reads_bodies=False) as server:
        async with open_monitor() as monitor:
            task = plain_session(monitor).upload_task(
                server.url("/a"), source, method="PUT", start=False
            )
            await task.accepted
        assert server.requests == []
        async with open_monitor() as monitor:
            again = monitor.handle(task.key)
            assert again.state is State.SUSPENDED
            assert (await again.resume().wait()).succeeded
            recorder_of(monitor).check()
    assert receiver.bodies == [body]


async def test_t15_a_server_that_takes_nothing_for_too_long_is_tried_again(
    monitor: Monitor, recorder: Recorder, tmp_path: Path
):
    (tmp_path / "a").write_bytes(bytes(40_000_000))
    with ByteServer(stalled_for_good, reads_bodies=False) as server:
        session = plain_session(monitor, timeout_interval_for_request=0.3)
        task = session.upload_task(
            server.url("/a"), tmp_path / "a", method="PUT", maximum_attempts=2
        )
        assert code_of(await task.wait()) == -1001
        assert len(server.requests) == 2
    default = default_session(monitor, timeout_interval_for_request=0.3, upload_protocol="plain")
    with ByteServer(stalled_for_good, reads_bodies=False) as server:
        record = await default.upload_task(server.url("/a"), tmp_path / "a", method="PUT").wait()
        assert code_of(record) == -1001


def stalled_for_good(conn: Conn, request: Request) -> None:
    """Reads nothing; it sees the end of the connection only when the server stops."""
    conn.server.stopping.wait(20)


async def test_t19_metrics_count_what_was_sent(session: Session, server: ByteServer, source: Path):
    record = await session.upload_task(server.url("/a"), source).wait()
    (transaction,) = record.metrics.transactions
    assert transaction.request_body_bytes == SIZE


async def test_r03_no_secret_of_an_upload_is_in_its_record(
    session: Session, server: ByteServer, source: Path
):
    headers = {"Authorization": "Bearer s3cret"}
    task = session.upload_task(server.url("/a"), source, request_headers=headers, start=False)
    assert "s3cret" not in task_text(task.record)
    assert task.record.activity is Activity.NONE
    assert (await task.resume().wait()).succeeded
    assert server.requests[0].header("Authorization") == "Bearer s3cret"
