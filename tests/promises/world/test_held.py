"""A hard day of faults: full and hanging disks, files that others put in our place, answers that
are too long.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import mounts
from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, reply
from tests.helpers.harness import content, ordered
from tests.promises.faults.test_disk import Mount, Run, fill, mount, running
from transfermon.engine.pace import Pace
from transfermon.model.events import Event, TaskRemovedEvent
from transfermon.model.task import Activity, TaskKey
from transfermon.storage import disk_space, file_system

pytestmark = pytest.mark.anyio
MB = file_system.MB
__all__ = ["mount"]  # a fixture


def endless(fields: dict[str, str], conn: Conn, request: Request) -> None:
    """An answer without a length that ends when the client has had enough, or after 100 MB."""
    conn.send(reply(200, {"Transfer-Encoding": "chunked", **fields}))
    try:
        for _ in range(1600):
            conn.send(b"10000\r\n" + bytes(65_536) + b"\r\n")
    except OSError:
        pass
    conn.close()


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({}, False),
        ({"Accept-Ranges": "none", "ETag": '"v1"'}, False),
        ({"Accept-Ranges": "bytes", "ETag": '"v1"'}, True),
    ],
    ids=["no validator", "no ranges", "ranges"],
)
async def test_an_endless_answer_stops_at_the_reserve_and_is_not_asked_for_again(
    tmp_path: Path, mount: Mount, fields: dict[str, str], kept: bool
):
    out = mount("disk", "size=48m")
    with ByteServer(partial(endless, fields)) as server:
        async with running(tmp_path / "state", out) as run:
            lowest = [1 << 60]
            run.monitor.subscribe(lambda _: lowest.append(disk_space.free_space(str(out))))
            task = run.session.download_task(server.url("/stream"))
            await run.until(
                lambda: task.record.attempt >= 4 and task.record.waiting, "more attempts"
            )
            assert len(server.requests) == 1, "not again before there is more room"
            await run.until(
                lambda: "does not say how long" in task.record.waiting_reason, "the words"
            )
            assert min(lowest) >= file_system.reserve(48 * 1024 * 1024) - 1
            assert bool(os.listdir(out)) == kept, "what cannot go on does not keep the disk full"
            assert bool(task.record.received) == kept
            assert bool(task.record.wasted) != kept
            assert ordered("mount", "-o", "remount,size=64m", str(out))
            await run.until(lambda: len(server.requests) == 2, "another request, with more room")


async def test_a_part_that_can_go_on_is_kept_on_a_full_disk(tmp_path: Path, mount: Mount):
    out, body = mount("disk", "size=4m"), content(3 * MB)
    with ByteServer(Resource(body, etag='"v1"')) as server:
        async with running(tmp_path / "state", out) as run:
            filler = fill(out)
            os.truncate(filler, filler.stat().st_size - MB)
            task = run.session.download_task(server.url("/a.bin"))
            assert (await task.wait()).failed, "it is known to be too large"
            filler.unlink()
            run.monitor.commands.retry(task.key)
            assert (await task.wait()).succeeded


@pytest.mark.parametrize("coding", ["chunked", "until close"])
async def test_a_small_answer_of_unknown_length_is_saved_where_there_is_room(
    tmp_path: Path, mount: Mount, coding: str
):
    out = mount("disk", "size=48m")

    def serve(conn: Conn, request: Request) -> None:
        if coding == "chunked":
            conn.send(reply(200, {"Transfer-Encoding": "chunked"}) + b"5\r\nhello\r\n0\r\n\r\n")
        else:
            conn.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello")
            conn.close()

    with ByteServer(serve) as server:
        async with running(tmp_path / "state", out) as run:
            assert (await run.session.download_task(server.url("/a.txt")).wait()).succeeded
    assert (out / "a.txt").read_bytes() == b"hello"


# ---- a line that breaks all the time


@pytest.mark.slow
def test_five_attempts_are_no_limit_where_each_brings_something_and_nothing_is_fetched_twice(
    tmp_path: Path,
):
    body = content(1_000_000)
    asked: list[int] = []

    def serve(conn: Conn, request: Request) -> None:
        first = int(request.header("Range", "bytes=0-").partition("=")[2].partition("-")[0])
        asked.append(first)
        fields = {"ETag": '"v1"', "Accept-Ranges": "bytes"}
        if first:
            fields["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
        whole = reply(206 if first else 200, fields, body[first:])
        conn.send(whole[: len(whole) - len(body) + first + 120_000])
        conn.close()

    with ByteServer(serve) as server:
        done = command(tmp_path, "get", "--retry", "3", server.url("/f.bin"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "f.bin").read_bytes() == body
    again = [before + 120_000 - after for before, after in pairwise(asked)]
    assert all(0 <= overlap <= 65_536 for overlap in again), asked


# ---- remove with its file


def replaced(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"another file")


def renamed_over(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(bytes(path.stat().st_size))
    os.utime(other, (1, 1))
    other.rename(path)


def written_over(path: Path) -> None:
    path.write_bytes(b"mine")


def untouched(path: Path) -> None:
    pass


def touched(path: Path) -> None:
    os.utime(path, (1, 1))


@pytest.mark.parametrize(
    ("change", "deleted"),
    [
        (untouched, True),
        (touched, True),
        (replaced, False),
        (renamed_over, False),
        (written_over, False),
    ],
)
@pytest.mark.parametrize("later", [False, True], ids=["at once", "by the next engine"])
async def test_remove_deletes_only_the_file_that_was_written(
    tmp_path: Path, change: Callable[[Path], None], deleted: bool, later: bool
):
    out, told = tmp_path / "out", list[Event]()
    out.mkdir()

    async def remove(run: Run, key: TaskKey) -> None:
        run.monitor.subscribe(told.append)
        change(out / "a.bin")
        run.monitor.commands.remove(key, delete_file=True)
        await run.until(lambda: any(isinstance(event, TaskRemovedEvent) for event in told))

    with ByteServer(Resource(content(300_000), etag='"v1"')) as server:
        async with running(tmp_path / "state", out) as run:
            task = run.session.download_task(server.url("/a.bin"))
            await task.wait()
            if not later:
                await remove(run, task.key)
        if later:
            async with running(tmp_path / "state", out) as run:
                await remove(run, task.key)
    assert (out / "a.bin").exists() != deleted
    event = next(event for event in told if isinstance(event, TaskRemovedEvent))
    assert event.file_deleted == deleted
    assert event.file_kept == ("" if deleted else str(out / "a.bin"))


def command(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "transfermon", "--state-dir", str(tmp_path / "state")]
    return subprocess.run(
        [*program, *words], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
    )


@pytest.mark.slow
def test_the_command_says_that_another_file_stays(tmp_path: Path):
    with ByteServer(Resource(content(300_000), etag='"v1"')) as server:
        assert command(tmp_path, "get", server.url("/a.bin")).returncode == 0
    replaced(tmp_path / "a.bin")
    done = command(tmp_path, "remove", "--delete-file", "cli:1")
    assert done.returncode == 1
    assert "was not deleted: it is not the file that was downloaded" in done.stderr
    assert (tmp_path / "a.bin").read_bytes() == b"another file"
    assert "cli:1" not in command(tmp_path, "list").stdout


# ---- send


@pytest.mark.slow
@pytest.mark.parametrize("engine", [False, True], ids=["alone", "with a running engine"])
@pytest.mark.parametrize(("megabytes", "whole"), [(3, True), (9, False)])
async def test_send_prints_all_of_the_answer_or_fails(
    tmp_path: Path, megabytes: int, whole: bool, engine: bool
):
    text = "é" * (megabytes * MB // 2)

    def serve(conn: Conn, request: Request) -> None:
        conn.send(reply(200, {"Content-Type": "text/plain; charset=utf-8"}, text.encode()))

    with ByteServer(serve) as server:
        if engine:
            from tests.control.test_control import an_engine

            async with an_engine(tmp_path / "state"):
                done = await asyncio.to_thread(command, tmp_path, "send", server.url("/"))
        else:
            done = await asyncio.to_thread(command, tmp_path, "send", server.url("/"))
    if whole:
        assert (done.returncode, done.stdout) == (0, text + "\n")
    else:
        assert (done.returncode, done.stdout) == (1, "")
        assert "too long" in done.stderr


# ---- slow transfers


def trickle(conn: Conn, request: Request) -> None:
    conn.send(reply(200, {"Content-Length": "1000000"}) + b"x")
    while not conn.server.stopping.wait(0.2):
        try:
            conn.send(b"x" * 10)
        except OSError:
            break
    conn.close()


async def test_slow_transfers_do_not_keep_another_waiting(tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    with ByteServer(trickle) as slow, ByteServer(Resource(b"quick")) as quick:
        async with running(tmp_path / "state", out) as run:
            run.monitor._clock.pace = Pace(window=2.0)
            run.monitor.preferences.update(running_tasks=2)
            addresses = [
                slow.url("/a").replace("127.0.0.1", host) for host in ("127.0.0.1", "localhost")
            ]
            for address in addresses:
                run.session.download_task(address)
            await run.until(lambda: len(slow.requests) == 2, "both slow ones")
            task = run.session.download_task(quick.url("/b.txt"))
            assert task.record.activity is Activity.QUEUED
            await run.until(lambda: task.record.succeeded, "its turn")
            assert len(run.monitor.overview.running_progress()) == 2, "the slow ones go on"


# ---- a disk that hangs


async def test_a_disk_that_hangs_is_named_in_the_row_and_goes_on_when_it_answers(tmp_path: Path):
    place = tmp_path / "disk"
    place.mkdir()
    body = content(5 * MB)
    try:
        with mounts.hanging(place) as (out, daemon):
            stopped = asyncio.Event()
            loop = asyncio.get_running_loop()

            def serve(conn: Conn, request: Request) -> None:
                whole = reply(200, {"ETag": '"v1"'}, body)
                conn.send(whole[:MB])
                while not stopped.is_set() and not conn.server.stopping.wait(0.02):
                    pass
                conn.send(whole[MB:])

            try:
                with ByteServer(serve) as server:
                    async with running(tmp_path / "state", out) as run:
                        task = run.session.download_task(server.url("/a.bin"))
                        await run.until_stored(task, MB // 2)
                        os.kill(daemon, signal.SIGSTOP)
                        loop.call_soon(stopped.set)
                        await run.until(lambda: task.record.waiting_reason, "the word")
                        assert task.record.waiting_reason == "The disk does not answer."
                        assert task.record.activity is Activity.TRANSFERRING
                        os.kill(daemon, signal.SIGCONT)
                        assert (await task.wait()).succeeded
                        assert task.record.waiting_reason == ""
            finally:
                os.kill(daemon, signal.SIGCONT)
            assert (out / "a.bin").read_bytes() == body
    except mounts.Unavailable as why:
        pytest.skip(str(why))


@pytest.mark.slow
def test_what_is_stored_of_an_interrupted_download_is_counted(tmp_path: Path):
    """`list` without a running app: nothing has looked at the part yet."""
    body = content(8 * MB)

    def serve(conn: Conn, request: Request) -> None:
        conn.send(reply(200, {"ETag": '"v1"', "Accept-Ranges": "bytes"}, body)[: 6 * MB])
        conn.stall()

    with ByteServer(serve) as server:
        program = [
            sys.executable,
            "-m",
            "transfermon",
            "--state-dir",
            str(tmp_path / "state"),
            "get",
        ]
        process = subprocess.Popen(
            [*program, server.url("/a.bin")], cwd=tmp_path, stderr=subprocess.DEVNULL
        )
        try:
            for _ in range(1000):
                part = next(tmp_path.glob(".transfermon-*.part"), None)
                if part is not None and part.stat().st_size > 5 * MB:
                    break
                if server.stopping.wait(0.02):
                    break
        finally:
            process.kill()
            process.wait()
    assert part is not None
    listed: dict[str, Any] = json.loads(command(tmp_path, "--json", "list").stdout)
    assert listed["status"] == "Interrupted"
    assert listed["received"] == part.stat().st_size
    # it was killed somewhere after 5 of the 6 MB that came
    percent = str(listed["received"] * 100 // len(body))
    assert command(tmp_path, "list").stdout.splitlines()[1].split()[1:3] == [percent, "%"]
