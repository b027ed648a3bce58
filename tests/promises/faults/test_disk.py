"""F: full, failing, read-only and vanishing disks, met by real downloads. Mounts need root; calls
are spoilt by strace.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, reply
from tests.helpers.engine_script import configuration
from tests.helpers.harness import (
    LIMIT,
    ROOT,
    Engine,
    Held,
    check_end,
    checked,
    content,
    eventually,
    gone_on,
    left,
    mounted,
    ordered,
    parts,
    the_task,
    why_no_strace,
)
from transfermon.engine.monitor import Monitor
from transfermon.engine.session import Session
from transfermon.engine.task_handles import DownloadTask
from transfermon.http import resume
from transfermon.model.errors import Code
from transfermon.model.events import Event, TaskCompletedEvent, TaskCreatedEvent
from transfermon.model.task import Activity, State
from transfermon.storage.changes import Change
from transfermon.storage.disk_failures import disk_failure
from transfermon.storage.part_file import PartFile
from transfermon.storage.settings import Settings
from transfermon.storage.store import Store

pytestmark = pytest.mark.anyio

ETAG = '"v1"'
M = 1_000_000
strace = pytest.mark.skipif(bool(why_no_strace()), reason=why_no_strace() or "-")
Mount = Callable[[str, str], Path]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """`mount("name", "size=8m")`: a small disk of its own."""
    with ExitStack() as stack:

        def make(name: str, options: str) -> Path:
            if not ROOT:
                pytest.skip("needs the right to mount a small file system")
            try:
                return Path(stack.enter_context(mounted(tmp_path / name, "tmpfs", options)))
            except RuntimeError as exc:
                pytest.skip(f"no small file system can be mounted here: {exc}")

        yield make


class Run:
    """An open monitor with a quick session; `told` is all that it says."""

    def __init__(self, monitor: Monitor, session: Session) -> None:
        self.monitor, self.session = monitor, session
        self.told: list[Event] = []
        monitor.subscribe(self.told.append)

    async def until(self, condition: Callable[[], Any], what: str = "") -> None:
        try:
            async with asyncio.timeout(LIMIT):
                while not condition():
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"waited in vain for {what}; told: {self.told[-4:]}") from None

    async def until_stored(self, task: DownloadTask, count: int) -> None:
        await self.until(lambda: task.count_of_bytes_received >= count, f"{count} bytes")


@asynccontextmanager
async def running(state: Path, out: Path) -> AsyncIterator[Run]:
    async with Monitor.open(str(state), settings=Settings(download_folder=str(out))) as monitor:
        monitor.ready()
        yield Run(monitor, monitor.create_session(configuration()))


def release(server: ByteServer) -> None:
    assert isinstance(server.handler, Held)
    server.handler.released.set()


def fill(disk: Path) -> Path:
    """Take all space of a disk; removing the file gives it back."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(65536)):
                pass
        except OSError:  # full
            pass
    return filler


async def test_fault_f1_a_disk_that_fills_up_is_waited_for_and_what_came_is_kept(
    state: Path, mount: Mount
):
    out, body = mount("disk", "size=4m"), content(3 * M)
    with ByteServer(Held(body, M, etag=ETAG)) as server:
        async with running(state, out) as run:
            task = run.session.download_task(server.url("/a.bin"))
            await run.until_stored(task, M)
            filler = fill(out)
            release(server)
            await run.until(lambda: task.record.activity is Activity.RETRYING, "the wait")
            assert task.record.waiting_reason.startswith("The disk is full")
            await run.until(lambda: "more are needed" in task.record.waiting_reason, "the amount")
            await run.monitor.overview.history()  # the list of transfers still works
            before = len(server.requests)
            await run.until(lambda: task.record.attempt >= 4, "more attempts")
            assert len(server.requests) == before == 1, "no server is asked for what cannot be kept"
            filler.unlink()
            record = await task.wait()
        assert record.succeeded, record.error
        assert (out / "a.bin").read_bytes() == body
        assert int(server.requests[-1].header("Range")[6:-1]) >= M - resume.OVERLAP


async def test_fault_f2_a_file_that_is_known_to_be_too_large_is_refused_before_its_first_byte(
    state: Path, mount: Mount
):
    out = mount("disk", "size=2m")
    with ByteServer(Resource(content(8 * M), etag=ETAG)) as server:
        async with running(state, out) as run:
            record = await run.session.download_task(server.url("/a.bin")).wait()
            assert record.error is not None
            assert (record.error.code, record.error.reason) == (-3003, "disk.full")
            assert record.received == 0
            assert os.listdir(out) == []


async def test_fault_f3_nothing_goes_on_that_cannot_be_remembered(mount: Mount, out: Path):
    state, body = mount("state", "size=1m"), content(2 * M)
    with ByteServer(Held(body, M, etag=ETAG)) as server:
        async with running(state, out) as run:
            said: list[str] = []
            run.monitor.system_watch.on_frozen = said.append
            task = run.session.download_task(server.url("/a.bin"))
            await run.until_stored(task, M)
            filler = fill(state)
            task.task_description = "a change" * 4000
            await run.until(lambda: said, "the word that nothing can be stored")
            assert "cannot be stored" in said[0]
            assert run.monitor.overview.frozen_reason == said[0]
            await run.until(lambda: not run.monitor.overview.running_progress(), "the pause")
            release(server)
            stored = parts(out)[0].stat().st_size
            other = run.session.download_task(server.url("/b.bin"))
            assert not other.accepted.done()  # type: ignore[attr-defined]  # a future
            assert parts(out)[0].stat().st_size == stored
            assert len(server.requests) == 1
            filler.unlink()
            for one in (task, other):
                assert (await one.wait()).succeeded
            assert said[-1] == run.monitor.overview.frozen_reason == ""
        assert (out / "a.bin").read_bytes() == (out / "b.bin").read_bytes() == body


async def test_fault_f4_a_disk_without_room_for_another_file_says_so_and_goes_on(
    state: Path, mount: Mount
):
    out, body = mount("disk", "size=4m,nr_inodes=6"), content(100_000)
    fillers = []
    while os.statvfs(out).f_favail:
        fillers.append(out / str(len(fillers)))
        fillers[-1].touch()
    with ByteServer(Resource(body, etag=ETAG)) as server:
        async with running(state, out) as run:
            task = run.session.download_task(server.url("/a.bin"))
            await run.until(lambda: task.record.activity is Activity.RETRYING, "the wait")
            assert task.record.waiting_reason == "The disk can hold no more files."
            fillers.pop().unlink()
            assert (await task.wait()).succeeded


def spoil(engine: Engine, place: Path, call: str, how: str) -> None:
    engine.attach("-P", str(place), "-e", f"trace={call}", "-e", f"inject={call}:{how}")


@strace
async def test_fault_f6_a_quota_that_is_used_up_is_named_and_waited_for(state: Path, out: Path):
    files = {"a.bin": content(M)}
    with (
        ByteServer(Held(files["a.bin"], M // 2, etag=ETAG)) as server,
        Engine(state, out, "--url", server.url("/a.bin")) as engine,
    ):
        eventually(lambda: parts(out) and parts(out)[0].stat().st_size == M // 2)
        spoil(engine, parts(out)[0], "pwrite64,splice", "error=EDQUOT:when=1")
        release(server)
        waits = engine.wait_for("event", type="taskstate", activity="retrying")
        assert "quota" in waits["reason"]
        engine.wait_for("idle")
        engine.wait_end()
        check_end(state, out, files, [engine.events])


@strace
async def test_fault_f7_an_error_while_writing_fails_and_keeps_what_was_written(
    state: Path, out: Path
):
    body = content(M)
    with ByteServer(Held(body, M // 2, etag=ETAG)) as server:
        with Engine(state, out, "--url", server.url("/a.bin")) as engine:
            eventually(lambda: parts(out) and parts(out)[0].stat().st_size == M // 2)
            spoil(engine, parts(out)[0], "pwrite64,splice", "error=EIO:when=1")
            release(server)
            assert engine.wait_for("done")["reason"] == "disk.io"
            engine.wait_end()
        tasks, _ = checked(state, out, {})
        assert the_task(tasks).received == M // 2
        assert parts(out)[0].read_bytes() == body[: M // 2]


@strace
async def test_fault_f7_after_a_sync_that_failed_only_the_last_checkpoint_is_believed(
    state: Path, out: Path
):
    files = {"a.bin": content(M)}
    with ByteServer(Held(files["a.bin"], M // 2, etag=ETAG)) as server:
        with Engine(state, out, "--url", server.url("/a.bin")) as engine:
            eventually(lambda: parts(out) and parts(out)[0].stat().st_size == M // 2)
            spoil(engine, parts(out)[0], "fdatasync", "error=EIO:when=1")
            release(server)
            engine.wait_for("idle")
            engine.wait_end()
            check_end(state, out, files, [engine.events])
        again = [request.header("Range") for request in server.requests[1:]]
        assert again in ([""], [f"bytes={M // 2}-"]), "what was not synced was believed"


async def test_fault_f7_a_sync_that_fails_when_all_is_there_is_not_made_up_for_by_the_next(
    monkeypatch: pytest.MonkeyPatch, state: Path, out: Path
):
    body, sync = content(M), PartFile.sync
    syncing, fail, failed = threading.Event(), threading.Event(), list[str]()

    def spoilt(part: PartFile) -> None:
        if part.path in failed:
            failed.append("believed")
        if not failed:
            syncing.set()
            fail.wait()
            failed.append(part.path)
            raise disk_failure(OSError(errno.EIO, "-"), Code.CANNOT_WRITE_FILE, part.path)
        sync(part)

    monkeypatch.setattr(PartFile, "sync", spoilt)
    with ByteServer(Held(body, M // 2, etag=ETAG)) as server:
        async with running(state, out) as run:
            task = run.session.download_task(server.url("/a.bin"))
            await run.until(syncing.is_set, "a checkpoint")
            release(server)
            await run.until_stored(task, M)
            fail.set()
            await run.until(lambda: task.record.state is State.COMPLETED, "the end")
            assert task.record.error is None
        assert len(server.requests) == 2, "what was not synced was believed"
    assert "believed" not in failed
    assert (out / "a.bin").read_bytes() == body


@strace
async def test_fault_f7_a_second_sync_that_fails_ends_the_task(state: Path, out: Path):
    with (
        ByteServer(Held(content(M), M // 2, etag=ETAG)) as server,
        Engine(state, out, "--url", server.url("/a.bin")) as engine,
    ):
        engine.wait_for("accepted")
        eventually(
            lambda: the_task(left(state)[0]).received == M // 2,
            "a checkpoint, so that this part is kept",
        )
        spoil(engine, parts(out)[0], "fdatasync", "error=EIO")
        release(server)
        assert engine.wait_for("done")["reason"] == "disk.io"
        engine.wait_end()
        tasks, _ = checked(state, out, {})
        assert the_task(tasks).boot_id == "", "a later start would believe the file's length"


@strace
async def test_fault_f7_a_part_that_cannot_be_read_back_is_not_added_to(state: Path, out: Path):
    body = content(M)
    with ByteServer(Held(body, M // 2, etag='W/"weak"')) as server:
        url = server.url("/a.bin")
        with Engine(state, out, "--url", url) as engine:
            eventually(lambda: parts(out) and parts(out)[0].stat().st_size == M // 2)
            engine.kill()
        part = parts(out)[0]
        release(server)
        rule = ["-P", str(part), "-e", "trace=pread64", "-e", "inject=pread64:error=EIO"]
        with Engine(state, out, "--url", url, strace=rule) as engine:
            assert engine.wait_for("done")["reason"] == "disk.io"
            engine.wait_end()
        assert part.read_bytes() == body[: M // 2]
        assert os.listdir(out) == [part.name]


@strace
async def test_fault_f8_interrupted_writes_lose_and_double_nothing(state: Path, out: Path):
    files = {"a.bin": content(4 * M)}
    with ByteServer(Held(files["a.bin"], M, etag=ETAG, piece=50_000)) as server:
        with Engine(state, out, "--url", server.url("/a.bin")) as engine:
            eventually(lambda: parts(out) and parts(out)[0].stat().st_size == M)
            engine.attach(
                "-P",
                str(parts(out)[0]),
                "-e",
                "trace=pwrite64,splice",
                "-e",
                "inject=pwrite64,splice:error=EINTR:when=1+2",
            )
            release(server)
            engine.wait_for("idle")
            engine.wait_end()
            check_end(state, out, files, [engine.events])
        assert len(server.requests) == 1


async def test_fault_f8_a_short_write_is_continued_where_it_stopped(state: Path, mount: Mount):
    out, body = mount("disk", "size=4m"), content(3 * M)
    with ByteServer(Held(body, M, etag=ETAG)) as server:
        async with running(state, out) as run:
            task = run.session.download_task(server.url("/a.bin"))
            await run.until_stored(task, M)
            filler = fill(out)
            # ten pages: the next write is short
            os.truncate(filler, filler.stat().st_size - 40_960)
            release(server)
            await run.until(lambda: task.record.activity is Activity.RETRYING, "the wait")
            part = parts(out)[0]
            stored = part.stat().st_size
            assert M < stored < 3 * M
            assert part.read_bytes() == body[:stored]
            filler.unlink()
            assert (await task.wait()).succeeded
        assert (out / "a.bin").read_bytes() == body


async def test_fault_f9_a_read_only_folder_is_refused_before_any_request(state: Path, mount: Mount):
    out = mount("disk", "size=1m,ro")
    with ByteServer(Resource(content(1000))) as server:
        async with running(state, out) as run:
            record = await run.session.download_task(server.url("/a.bin")).wait()
            assert record.error is not None
            assert (record.error.code, record.error.reason) == (-3000, "disk.read-only")
            assert "another folder" in record.error.hint
        assert server.requests == []


@pytest.mark.skipif(ROOT, reason="root may write everywhere")
async def test_fault_f9_a_folder_without_the_right_to_write_is_refused_before_any_request(
    state: Path, out: Path
):
    out.chmod(0o555)
    with ByteServer(Resource(content(1000))) as server:
        async with running(state, out) as run:
            record = await run.session.download_task(server.url("/a.bin")).wait()
            assert record.error is not None
            assert record.error.reason == "disk.permission"
        assert server.requests == []
    out.chmod(0o755)


@strace
async def test_fault_f9_a_disk_that_becomes_read_only_half_way_fails_and_keeps_the_part(
    state: Path, out: Path
):
    body = content(M)
    with ByteServer(Held(body, M // 2, etag=ETAG)) as server:
        with Engine(state, out, "--url", server.url("/a.bin")) as engine:
            eventually(lambda: parts(out) and parts(out)[0].stat().st_size == M // 2)
            spoil(engine, parts(out)[0], "pwrite64,splice", "error=EROFS")
            release(server)
            assert engine.wait_for("done")["reason"] == "disk.read-only"
            engine.wait_end()
        assert parts(out)[0].read_bytes() == body[: M // 2]


async def test_fault_f10_a_folder_that_is_renamed_takes_the_file_along(
    state: Path, out: Path, tmp_path: Path
):
    body = content(M)
    with ByteServer(Held(body, M // 2, etag=ETAG)) as server:
        async with running(state, out) as run:
            task = run.session.download_task(server.url("/a.bin"))
            await run.until_stored(task, M // 2)
            out.rename(tmp_path / "moved")
            release(server)
            record = await task.wait()
        assert record.succeeded
        assert record.final_path == str(tmp_path / "moved" / "a.bin")
        assert (tmp_path / "moved" / "a.bin").read_bytes() == body
        assert not out.exists()


async def test_fault_f10_a_folder_that_is_removed_fails_the_task_and_creates_nothing(
    state: Path, out: Path, tmp_path: Path
):
    with ByteServer(Held(content(M), M // 2, etag=ETAG)) as server:
        async with running(state, out) as run:
            task = run.session.download_task(
                server.url("/a.bin"), destination=str(out / "inner") + "/", start=False
            )
            (out / "inner").mkdir()
            task.resume()
            await run.until_stored(task, M // 2)
            shutil.rmtree(out / "inner")
            release(server)
            record = await task.wait()
            assert record.error is not None
            assert record.error.reason == "disk.missing-folder"
        assert os.listdir(out) == []
        assert sorted(os.listdir(tmp_path)) == ["out", "state"]


async def test_fault_f10_a_disk_that_is_taken_away_never_gets_the_file_at_a_wrong_place(
    state: Path, mount: Mount
):
    out, body = mount("disk", "size=8m"), content(M)
    with ByteServer(Held(body, M // 2, etag=ETAG)) as server:
        async with running(state, out) as run:
            task = run.session.download_task(server.url("/a.bin"))
            await run.until_stored(task, M // 2)
            assert ordered("umount", "-l", str(out))
            release(server)
            await task.wait()
        assert os.listdir(out) == [], "the empty folder below the mount"


async def test_fault_f12_a_file_that_appears_meanwhile_is_not_touched(state: Path, out: Path):
    body = content(M)
    with ByteServer(Held(body, M // 2, etag=ETAG)) as server:
        async with running(state, out) as run:
            task = run.session.download_task(server.url("/a.bin"))
            await run.until_stored(task, M // 2)
            (out / "a.bin").write_bytes(b"somebody's")
            release(server)
            record = await task.wait()
        assert (out / "a.bin").read_bytes() == b"somebody's"
        assert record.final_path == str(out / "a (1).bin")
        assert (out / "a (1).bin").read_bytes() == body


async def test_fault_f15_two_engines_with_the_same_target_give_two_files(tmp_path: Path, out: Path):
    body = content(M)
    with ByteServer(Held(body, M // 2, etag=ETAG)) as server:
        async with running(tmp_path / "one", out) as one, running(tmp_path / "two", out) as two:
            tasks = [
                run.session.download_task(server.url("/a.bin"), destination=str(out / "a.bin"))
                for run in (one, two)
            ]
            for run, task in zip((one, two), tasks, strict=True):
                await run.until_stored(task, M // 2)
            release(server)
            for task in tasks:
                assert (await task.wait()).succeeded
        assert sorted(os.listdir(out)) == ["a (1).bin", "a.bin"]
        assert all((out / name).read_bytes() == body for name in os.listdir(out))


def test_fault_f16_a_number_is_free_only_if_no_name_differs_by_case_alone(tmp_path: Path):
    for name in ("a.txt", "A (1).TXT"):
        (tmp_path / name).write_text(name)
    part = PartFile.create(str(tmp_path))
    assert part.finish("a.txt", overwrite=False) == str(tmp_path / "a (2).txt")
    part.close()


async def test_fault_f16_on_a_disk_that_ignores_case_nothing_is_replaced(
    state: Path, tmp_path: Path
):
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(16 * M)
    if not ROOT or not ordered("mkfs.ext4", "-q", "-O", "casefold", str(image)):
        pytest.skip("no disk that ignores case can be made here")
    try:
        with mounted(tmp_path / "disk", "ext4", "loop", str(image)) as disk:
            out = disk / "out"
            out.mkdir()
            if not ordered("chattr", "+F", str(out)):
                pytest.skip("no folder that ignores case can be made here")
            (out / "A.TXT").write_text("somebody's")
            (out / "cafe\u0301.txt").write_text("somebody's")
            with ByteServer(Resource(content(1000))) as server:
                async with running(state, out) as run:
                    for name in ("a.txt", "caf\u00e9.txt"):
                        task = run.session.download_task(
                            server.url("/x"), destination=str(out / name)
                        )
                        assert (await task.wait()).succeeded
            assert (
                (out / "A.TXT").read_text() == (out / "cafe\u0301.txt").read_text() == "somebody's"
            )
            assert len(os.listdir(out)) == 4
    except RuntimeError as exc:
        pytest.skip(f"the disk cannot be mounted here: {exc}")


@pytest.fixture
def fat(tmp_path: Path) -> Iterator[Path]:
    """A folder on FAT: no hard links, no modes, no extended attributes, no atomic rename without
    replacing.
    """
    image, place = tmp_path / "fat.img", tmp_path / "stick"
    with image.open("wb") as file:
        file.truncate(32 * M)
    place.mkdir()
    if not ROOT or not ordered("mkfs.vfat", str(image)):
        pytest.skip("no FAT disk can be made here (dosfstools)")
    if not ordered("fusefat", "-o", "rw+", str(image), str(place)):
        pytest.skip("no FAT disk can be mounted here (fusefat)")
    try:
        if not os.path.ismount(place):
            pytest.skip("no FAT disk can be mounted here")
        yield place
    finally:
        ordered("umount", "-l", str(place))


async def test_fault_f17_on_fat_a_file_arrives_whole_and_replaces_nothing(state: Path, fat: Path):
    (fat / "a.bin").write_bytes(b"somebody's")
    body = content(M)
    with ByteServer(Resource(body, etag=ETAG)) as server:
        settings = Settings(download_folder=str(fat), note_origin=True)
        async with Monitor.open(str(state), settings=settings) as monitor:
            monitor.ready()
            record = (
                await monitor.create_session(configuration())
                .download_task(server.url("/a.bin"))
                .wait()
            )
    assert record.succeeded, record.error
    assert record.final_path == str(fat / "a (1).bin")
    assert (fat / "a (1).bin").read_bytes() == body
    assert (fat / "a.bin").read_bytes() == b"somebody's"
    assert len(os.listdir(fat)) == 2


def announce_4_gib(conn: Conn, request: Request) -> None:
    conn.send(reply(200, {"Content-Length": str(1 << 32)}))


async def test_fault_f17_on_fat_more_than_4_gib_is_refused_beforehand(state: Path, fat: Path):
    with ByteServer(announce_4_gib) as server:
        async with running(state, fat) as run:
            record = await run.session.download_task(server.url("/a.bin")).wait()
    assert record.error is not None
    assert (record.error.code, record.error.reason) == (-3003, "disk.too-large")
    assert "4 GiB" in record.error.message
    assert os.listdir(fat) == []


async def test_fault_f18_the_part_is_on_the_disk_of_its_target(mount: Mount):
    state, out, body = mount("state", "size=4m"), mount("out", "size=8m"), content(M)
    with ByteServer(Held(body, M // 2, etag=ETAG)) as server:
        async with running(state, out) as run:
            task = run.session.download_task(server.url("/a.bin"))
            await run.until_stored(task, M // 2)
            (part,) = parts(out)
            inode = part.stat().st_ino
            release(server)
            assert (await task.wait()).succeeded
        assert (out / "a.bin").stat().st_ino == inode, "it was copied"
        assert os.listdir(out) == ["a.bin"]


@pytest.mark.parametrize(("umask", "mode"), [(0o000, 0o666), (0o077, 0o600), (0o022, 0o644)])
async def test_fault_f19_a_file_gets_the_mode_of_a_new_file_and_never_runs(
    umask: int, mode: int, state: Path, out: Path
):
    (out / "old.sh").write_text("old")
    (out / "old.sh").chmod(0o751)
    before = os.umask(umask)
    try:
        with ByteServer(Held(content(M), M // 2, etag=ETAG)) as server:
            async with running(state, out) as run:
                task = run.session.download_task(server.url("/a.sh"))
                over = run.session.download_task(
                    server.url("/b.sh"), destination=str(out / "old.sh"), overwrite=True
                )
                for one in (task, over):
                    await run.until_stored(one, M // 2)
                assert [path.stat().st_mode & 0o777 for path in parts(out)] == [0o600, 0o600]
                release(server)
                for one in (task, over):
                    assert (await one.wait()).succeeded
    finally:
        os.umask(before)
    assert (out / "a.sh").stat().st_mode & 0o777 == mode
    assert (out / "old.sh").stat().st_mode & 0o777 == 0o640
    assert state.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in state.iterdir() if path.is_file()} == {0o600}


async def test_fault_f21_removing_keeps_a_finished_file_and_deletes_an_unfinished_part(
    state: Path, out: Path
):
    with ByteServer(Held(content(M), M // 2, etag=ETAG)) as server:
        async with running(state, out) as run:
            unfinished = run.session.download_task(server.url("/b.bin"))
            await run.until_stored(unfinished, M // 2)
            run.monitor.commands.remove(unfinished.key)
            await run.until(
                lambda: os.listdir(out) == [] and not run.monitor.tasks(), "the removal"
            )
            release(server)
            finished = run.session.download_task(server.url("/a.bin"))
            await finished.wait()
            run.monitor.commands.remove(finished.key)
            await run.until(lambda: not run.monitor.tasks(), "the removal")
        assert os.listdir(out) == ["a.bin"]


async def test_fault_f25_a_folder_may_be_a_link_that_is_followed_once(
    state: Path, out: Path, tmp_path: Path
):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(out)
    with ByteServer(Held(content(M), M // 2, etag=ETAG)) as server:
        async with running(state, tmp_path / "link") as run:
            task = run.session.download_task(server.url("/a.bin"))
            await run.until_stored(task, M // 2)
            (tmp_path / "link").unlink()
            (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
            (tmp_path / "precious").write_text("precious")
            (out / "a.bin").symlink_to(tmp_path / "precious")
            release(server)
            record = await task.wait()
        assert record.succeeded
        assert sorted(os.listdir(out)) == ["a (1).bin", "a.bin"]
        assert os.listdir(tmp_path / "elsewhere") == []
        assert (tmp_path / "precious").read_text() == "precious"


async def test_fault_f26_the_journal_keeps_its_newest_rows_only(tmp_path: Path):
    path, kept, events = str(tmp_path / "db"), 500, 12_000
    store = Store(path, kept=kept)
    await store.open()
    for number in range(1, events + 1):
        done = store.commit(
            Change(event=TaskCreatedEvent(session="s", sequence=number, event_id=str(number)))
        )
        if number % 1000 == 0:
            await done
    rows = await store.read(
        lambda database: database.execute("select count(*), max(sequence) from journal").fetchone()
    )
    assert rows[1] == events
    assert rows[0] <= kept + 6000, "it is pruned while it grows"
    await store.close()
    again = Store(path, kept=kept)
    remembered = await again.open()
    assert remembered.sequence == events
    rows = await again.read(
        lambda database: database.execute("select count(*), min(sequence) from journal").fetchone()
    )
    assert rows == (kept, events - kept + 1)
    await again.close()


async def test_fault_f26_an_event_that_nobody_has_heard_is_not_pruned(tmp_path: Path):
    store = Store(str(tmp_path / "db"), kept=10)
    await store.open()
    for number in range(1, 101):
        kind = TaskCompletedEvent if number == 1 else TaskCreatedEvent
        done = store.commit(Change(event=kind(session="s", sequence=number, event_id=str(number))))
    await done
    await store.close()
    again = Store(str(tmp_path / "db"), kept=10)
    await again.open()
    rows = await again.read(
        lambda database: database.execute("select sequence from journal").fetchall()
    )
    assert [number for (number,) in rows] == [1, *range(91, 101)]
    await again.close()


async def test_fault_f1_a_paused_task_of_a_full_disk_can_be_cancelled(state: Path, mount: Mount):
    out = mount("disk", "size=2m")
    with ByteServer(Held(content(M), M // 2, etag=ETAG)) as server:
        async with running(state, out) as run:
            task = run.session.download_task(server.url("/a.bin"))
            await run.until_stored(task, M // 2)
            fill(out)
            release(server)
            await run.until(lambda: task.record.activity is Activity.RETRYING, "the wait")
            task.cancel()
            record = await task.wait()
            assert record.state is State.COMPLETED
            assert parts(out) == []


@strace
async def test_fault_f7_a_name_whose_folder_cannot_be_synced_is_not_lost(state: Path, out: Path):
    files = {"a.bin": content(M)}
    with ByteServer(Held(files["a.bin"], M // 2, etag=ETAG)) as server:
        with Engine(state, out, "--url", server.url("/a.bin")) as engine:
            eventually(lambda: parts(out) and parts(out)[0].stat().st_size == M // 2)
            engine.attach(
                "-P", str(out), "-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=1"
            )
            release(server)
            engine.wait_for("done")
            engine.wait_end()
            told = engine.events
        checked(state, out, files)
        assert os.listdir(out) == ["a.bin"]
        assert await gone_on(state, out, told) is not None
