"""Whole files and resuming against nginx, Apache and the byte-level server alike: the same scenes,
whoever serves the file.

Answers that no such server gives (R-10, R-11) and rows without a server (R-03, R-14) are in
`test_resuming`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import http.client
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, reply, rest
from tests.helpers.opponents import NAMES, Asked, Opponent, Traits, serving, why_not
from tests.helpers.recorder import Recorder, eventually, recorder_of
from tests.helpers.sessions import code_of, engine_process, parts_in, quick_session
from tests.promises.rules.conftest import OpenMonitor
from transfermon.engine.monitor import Monitor, TransferTask
from transfermon.http import resume

pytestmark = pytest.mark.anyio
SIZE = 2_000_000
ENOUGH = 300_000  # bytes after which a scene looks on
HOUR = 3600.0

Serve = Callable[..., Opponent]


@pytest.fixture
def body() -> bytes:
    """Of /a.bin, which is an hour old."""
    return os.urandom(SIZE)


@pytest.fixture(params=NAMES)
def serve(request: pytest.FixtureRequest, tmp_path: Path, body: bytes) -> Iterator[Serve]:
    """Starts the server of this run, with these traits."""
    if reason := why_not(request.param):
        pytest.skip(reason)
    with contextlib.ExitStack() as running:

        def start(traits: Traits = Traits()) -> Opponent:  # noqa: B008 - frozen
            server = running.enter_context(serving(request.param, tmp_path / "server", traits))
            server.put(body, age=HOUR)
            return server

        yield start


async def until_enough(task: TransferTask) -> None:
    await eventually(lambda: task.count_of_bytes_received >= ENOUGH, f"{ENOUGH} bytes")


async def paused(task: TransferTask) -> int:
    """What is in the part once it was suspended in the middle."""
    await until_enough(task)
    task.suspend()
    await eventually(
        lambda: task.session._engine.progress.get(task.key) is None, "the attempt to let go"
    )
    assert task.record.received < SIZE
    return task.record.received


async def asked(server: Opponent, count: int) -> list[Asked]:
    """Real servers write a line when they are done with a request: after the client is, and not
    always in order.
    """
    await eventually(lambda: len(server.asked()) >= count, f"{count} requests in the log")
    return server.asked()


def tag_of(task: TransferTask) -> str:
    assert task.record.validators is not None
    return task.record.validators.etag


def check_file(downloads: Path, content: bytes) -> None:
    assert (downloads / "a.bin").read_bytes() == content
    assert os.listdir(downloads) == ["a.bin"]


@pytest.mark.parametrize("size", [0, 1, 100_000, 262_145, 20_000_000])
async def test_a_file_arrives_as_it_is(monitor: Monitor, serve: Serve, downloads: Path, size: int):
    server, content = serve(Traits(slow=False)), os.urandom(size)
    server.put(content, age=HOUR)
    digest = hashlib.sha256(content).hexdigest()
    task = quick_session(monitor).download_task(
        server.url("/a.bin"), expected_digest=f"sha-256:{digest}"
    )
    record = await task.wait()
    assert record.succeeded
    assert (record.expected, record.received) == (size, size)
    assert record.response is not None
    assert record.response.status == 200
    assert resume.is_strong(tag_of(task))
    assert await asked(server, 1) == [Asked("/a.bin", "", "")]
    check_file(downloads, content)


@pytest.mark.parametrize("length_known", [True, False])
async def test_a_file_that_is_all_there_is_finished_without_an_endless_retry(
    monitor: Monitor, serve: Serve, body: bytes, downloads: Path, length_known: bool
):
    """Its end is asked for once more and compared; a question for what is behind it is never
    asked.
    """
    server = serve(Traits(slow=False))
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    with contextlib.closing(connection):
        connection.request("HEAD", "/a.bin")
        tag = connection.getresponse().getheader("ETag", "")
    server.stop()

    def unended(conn: Conn, request: Request) -> None:
        if length_known:
            conn.send(reply(200, {"Content-Length": str(SIZE), "ETag": tag}) + body[:-1])
        else:
            conn.send(reply(200, {"Transfer-Encoding": "chunked", "ETag": tag}))
            conn.send(b"%x\r\n" % SIZE + body + b"\r\n")
        conn.stall()

    with ByteServer(unended, port=server.port):
        task = quick_session(monitor).download_task(server.url("/a.bin"))
        await eventually(lambda: task.count_of_bytes_received >= SIZE - 1, "all but its end")
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
    later = (await asked(server, 1 if length_known else 2))[1:]  # the first is ours, for the tag
    assert [one.range for one in later] == ([] if length_known else [rest(SIZE)])
    check_file(downloads, body)


async def test_r01_r04_r07_cancelling_gives_data_that_a_new_task_goes_on_with(
    monitor: Monitor, serve: Serve, body: bytes, downloads: Path
):
    server = serve()
    session = quick_session(monitor)
    task = session.download_task(server.url("/a.bin"))
    await until_enough(task)
    data = await task.cancel_by_producing_resume_data()
    assert data is not None
    assert code_of(await task.wait()) == -999
    at = task.record.received
    again = session.download_task_with_resume_data(data)
    assert again.task_identifier > task.task_identifier
    assert (await again.wait()).succeeded
    assert Asked("/a.bin", rest(at), tag_of(again)) in await asked(server, 2)
    check_file(downloads, body)


async def test_r02_without_a_validator_there_is_no_data(
    monitor: Monitor, serve: Serve, body: bytes
):
    server = serve(Traits(tag="none", dates=False))
    task = quick_session(monitor, resume_policy="strict").download_task(server.url("/a.bin"))
    await until_enough(task)
    assert task.record.not_resumable
    assert await task.cancel_by_producing_resume_data() is None


async def test_r05_if_range_has_the_date_only_where_there_is_no_tag(
    monitor: Monitor, serve: Serve, body: bytes, downloads: Path
):
    server = serve(Traits(tag="none"))
    task = quick_session(monitor).download_task(server.url("/a.bin"))
    at = await paused(task)
    assert task.record.not_resumable == ""
    record = await task.resume().wait()
    assert record.succeeded
    assert record.validators is not None
    assert record.validators.etag == ""
    expected = Asked("/a.bin", f"bytes={at - resume.OVERLAP}-", record.validators.last_modified)
    assert expected in await asked(server, 2)
    check_file(downloads, body)


async def test_r02_without_a_validator_two_places_are_compared(
    monitor: Monitor, serve: Serve, body: bytes, downloads: Path
):
    server = serve(Traits(tag="none", dates=False))
    task = quick_session(monitor).download_task(server.url("/a.bin"))
    at = await paused(task)
    assert task.record.not_resumable == ""
    record = await task.resume().wait()
    assert (record.succeeded, record.wasted) == (True, 0)
    start = f"bytes=0-{resume.OVERLAP - 1}"
    assert set(await asked(server, 3)) == {
        Asked("/a.bin", value, "") for value in ("", start, rest(at))
    }
    check_file(downloads, body)


async def test_r05_a_fresh_date_is_no_validator(
    monitor: Monitor, serve: Serve, body: bytes, downloads: Path
):
    server = serve(Traits(tag="none"))
    server.put(body, age=5)
    task = quick_session(monitor).download_task(server.url("/a.bin"))
    at = await paused(task)
    assert (await task.resume().wait()).succeeded
    start = f"bytes=0-{resume.OVERLAP - 1}"  # it is no condition: two places are compared
    assert set(await asked(server, 3)) == {
        Asked("/a.bin", value, "") for value in ("", start, rest(at))
    }
    check_file(downloads, body)


async def test_r06_a_weak_tag_is_never_in_if_range(
    monitor: Monitor, serve: Serve, body: bytes, downloads: Path
):
    server = serve(Traits(tag="weak"))
    task = quick_session(monitor).download_task(server.url("/a.bin"))
    at = await paused(task)
    record = await task.resume().wait()
    assert record.succeeded
    assert (record.wasted, record.restarts) == (0, 0)
    assert Asked("/a.bin", f"bytes={at - resume.OVERLAP}-", "") in await asked(server, 2)
    check_file(downloads, body)


async def test_r06_under_strict_a_weak_tag_starts_over(
    monitor: Monitor, serve: Serve, body: bytes, downloads: Path
):
    server = serve(Traits(tag="weak"))
    task = quick_session(monitor, resume_policy="strict").download_task(server.url("/a.bin"))
    await paused(task)
    assert task.record.not_resumable
    assert (await task.resume().wait()).succeeded
    assert await asked(server, 2) == [Asked("/a.bin", "", "")] * 2
    check_file(downloads, body)


async def test_r08_r17_a_pause_goes_on_by_range_and_the_offset_is_told_first(
    monitor: Monitor, recorder: Recorder, serve: Serve, body: bytes, downloads: Path
):
    server = serve()
    task = quick_session(monitor).download_task(server.url("/a.bin"))
    at = await paused(task)
    before = len(recorder.events)
    record = await task.resume().wait()
    assert record.succeeded
    assert (record.wasted, record.restarts) == (0, 0)
    later = [
        event
        for event in recorder.events[before:]
        if event.type in ("downloadresumed", "downloadprogress")
    ]
    assert (later[0]["fileOffset"], later[0]["expectedTotalBytes"]) == (at, SIZE)
    first = later[1]
    assert first["totalBytesWritten"] == at + first["bytesWritten"]
    assert Asked("/a.bin", rest(at), tag_of(task)) in await asked(server, 2)
    check_file(downloads, body)


async def test_r09_a_file_that_changed_is_loaded_whole(
    monitor: Monitor, recorder: Recorder, serve: Serve, downloads: Path
):
    server, new = serve(), os.urandom(700_000)
    task = quick_session(monitor).download_task(server.url("/a.bin"))
    at = await paused(task)
    server.put(new, age=0)
    record = await task.resume().wait()
    assert record.succeeded
    assert record.wasted == at
    (event,) = recorder.of("downloadresumed")
    assert event.file_offset == 0
    assert "changed" in event.reason
    assert rest(at) in {request.range for request in await asked(server, 2)}
    check_file(downloads, new)


async def test_r09_a_server_that_serves_no_ranges_sends_all_again(
    monitor: Monitor, serve: Serve, body: bytes, downloads: Path
):
    server = serve(Traits(ranges=False))
    task = quick_session(monitor).download_task(server.url("/a.bin"))
    at = await paused(task)
    record = await task.resume().wait()
    assert record.succeeded
    assert record.wasted == at
    check_file(downloads, body)


async def test_r12_what_is_whole_without_knowing_it_is_finished_by_its_end(
    monitor: Monitor, serve: Serve, body: bytes, downloads: Path
):
    server = serve(Traits(slow=False))
    session = quick_session(monitor)
    first = session.download_task(server.url("/a.bin"), destination=str(downloads.parent / "first"))
    assert (await first.wait()).succeeded
    server.stop()

    def unended(conn: Conn, request: Request) -> None:
        conn.send(reply(200, {"Transfer-Encoding": "chunked", "ETag": tag_of(first)}))
        conn.send(b"%x\r\n" % SIZE + body + b"\r\n")
        conn.stall()

    task = session.download_task(server.url("/a.bin"), start=False)
    with ByteServer(unended, port=server.port):
        task.resume()
        await eventually(lambda: task.count_of_bytes_received == SIZE)
        task.suspend()
        await eventually(
            lambda: monitor.overview.progress(task.key) is None, "the attempt to let go"
        )
    server.start()
    record = await task.resume().wait()
    assert record.succeeded
    requests = await asked(server, 2)
    assert Asked("/a.bin", rest(SIZE), tag_of(first)) in requests
    assert (record.restarts, len(requests)) == (0, 2)
    check_file(downloads, body)


async def test_r13_a_part_that_is_gone_starts_over(
    monitor: Monitor, serve: Serve, body: bytes, downloads: Path
):
    server = serve()
    task = quick_session(monitor).download_task(server.url("/a.bin"))
    await paused(task)
    (part,) = parts_in(downloads)
    part.unlink()
    assert (await task.resume().wait()).succeeded
    assert await asked(server, 2) == [Asked("/a.bin", "", "")] * 2
    check_file(downloads, body)


async def test_r15_r16_a_failed_download_offers_data_that_serves_once(
    monitor: Monitor, serve: Serve, body: bytes, downloads: Path
):
    server = serve()
    session = quick_session(monitor)
    task = session.download_task(server.url("/a.bin"), maximum_attempts=2)
    await until_enough(task)
    server.stop()
    assert (await task.wait()).failed
    at, data = task.record.received, task.resume_data
    assert data is not None
    server.start()
    again = session.download_task_with_resume_data(data)
    assert code_of(await session.download_task_with_resume_data(data).wait()) == -1002
    assert (await again.wait()).succeeded
    assert Asked("/a.bin", rest(at), tag_of(again)) in await asked(server, 1)
    check_file(downloads, body)


async def test_r17_a_server_that_is_started_again_in_the_middle_costs_nothing(
    monitor: Monitor, serve: Serve, body: bytes, downloads: Path
):
    server = serve()
    task = quick_session(monitor).download_task(server.url("/a.bin"))
    await until_enough(task)
    server.stop()
    await eventually(lambda: task.record.attempt >= 3, "some attempts in vain")
    at = task.record.received
    server.start()
    record = await task.wait()
    assert record.succeeded
    assert record.restarts == 0
    assert Asked("/a.bin", rest(at), tag_of(task)) in await asked(server, 1)
    check_file(downloads, body)


async def test_r18_a_killed_engine_goes_on_from_what_it_had_stored(
    serve: Serve, open_monitor: OpenMonitor, body: bytes, tmp_path: Path, downloads: Path
):
    server = serve()
    script = f"""
task = session.download_task({server.url("/a.bin")!r})
while task.count_of_bytes_received < {ENOUGH}:
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
    assert ENOUGH <= at < SIZE
    assert part.read_bytes() == body[:at]
    async with open_monitor() as monitor:
        (record,) = monitor.tasks()
        task = monitor.handle(record.key)
        assert (await task.wait()).succeeded
        wanted = Asked("/a.bin", rest(at), tag_of(task))
        await eventually(lambda: wanted in server.asked(), "the request for the rest in the log")
    check_file(downloads, body)


async def test_r19_a_resumed_download_asks_first_where_it_was_led(
    monitor: Monitor, serve: Serve, body: bytes, downloads: Path
):
    server = serve()
    task = quick_session(monitor).download_task(server.url("/old"))
    at = await paused(task)
    assert task.current_request == server.url("/a.bin")
    assert (await task.resume().wait()).succeeded
    requests = await asked(server, 3)
    assert sorted(request.target for request in requests) == ["/a.bin", "/a.bin", "/old"]
    assert Asked("/a.bin", rest(at), tag_of(task)) in requests
    check_file(downloads, body)


@pytest.mark.parametrize("right", [True, False])
async def test_r20_the_announced_digest_is_of_the_whole_file(
    monitor: Monitor, serve: Serve, body: bytes, downloads: Path, right: bool
):
    digest = base64.b64encode(hashlib.sha256(body if right else b"").digest()).decode()
    server = serve(Traits(fields=(("Repr-Digest", f"sha-256=:{digest}:"),)))
    task = quick_session(monitor).download_task(server.url("/a.bin"))
    at = await paused(task)
    record = await task.resume().wait()
    assert rest(at) in {request.range for request in await asked(server, 2)}
    if right:
        assert record.succeeded
        check_file(downloads, body)
        return
    assert code_of(record) == -1011
    assert os.listdir(downloads) == []


async def test_a_download_goes_on_in_the_next_engine(
    serve: Serve, open_monitor: OpenMonitor, body: bytes, downloads: Path
):
    server = serve()
    async with open_monitor() as monitor:
        task = quick_session(monitor).download_task(server.url("/a.bin"))
        await until_enough(task)
    (part,) = parts_in(downloads)
    at = part.stat().st_size
    async with open_monitor() as monitor:
        assert (await monitor.handle(task.key).wait()).succeeded
        (event,) = recorder_of(monitor).of("downloadresumed")
        assert event.file_offset == at
    assert rest(at) in {request.range for request in await asked(server, 2)}
    check_file(downloads, body)
