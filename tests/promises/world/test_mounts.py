"""Downloads into file systems that people really have: each is made, mounted and taken away by the
test.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.helpers import mounts
from tests.helpers.byte_server import ByteServer, Conn, Request, reply
from tests.helpers.engine_script import configuration
from tests.helpers.harness import (
    LIMIT,
    Engine,
    content,
    eventually,
    gone_on,
    mounted,
    ordered,
    parts,
    why_no_strace,
)
from tests.helpers.recorder import eventually as until
from transfermon.engine.monitor import Monitor
from transfermon.engine.session import Session
from transfermon.model.task import Task
from transfermon.storage import disk_space
from transfermon.storage.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.slow]  # file systems that are made and mounted for it

BODY = content(1_000_000)
Mount = Callable[[Path], AbstractContextManager[Path]]
MOUNTS: list[Mount] = [
    mounts.btrfs,
    mounts.exfat,
    mounts.fat,
    mounts.ntfs,
    mounts.other_owner,
    mounts.rclone,
    mounts.rclone_without_cache,
]
RESUME = [one for one in MOUNTS if one is not mounts.rclone_without_cache]


class Breaking:
    """A file whose first answers break off after `each` bytes."""

    def __init__(self, each: int, breaks: int, name: str = "") -> None:
        self.each, self.breaks = each, breaks
        self.fields = {"ETag": '"v1"', "Accept-Ranges": "bytes"}
        if name:
            self.fields["Content-Disposition"] = name
        self.asked: list[int] = []

    def __call__(self, conn: Conn, request: Request) -> None:
        begin = int(request.header("Range", "bytes=0-").partition("=")[2].partition("-")[0])
        self.asked.append(begin)
        fields = dict(self.fields)
        if begin:
            fields["Content-Range"] = f"bytes {begin}-{len(BODY) - 1}/{len(BODY)}"
        whole = reply(206 if begin else 200, fields, BODY[begin:])
        if len(self.asked) <= self.breaks:
            conn.send(whole[: len(whole) - len(BODY) + begin + self.each])
            conn.close()
        else:
            conn.send(whole)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[Mount], Path]]:
    with ExitStack() as stack:

        def make(mount: Mount) -> Path:
            (tmp_path / "disk").mkdir()
            try:
                return stack.enter_context(mount(tmp_path / "disk"))
            except mounts.Unavailable as why:
                pytest.skip(str(why))

        yield make


@asynccontextmanager
async def running(state: Path, out: Path) -> AsyncIterator[Session]:
    async with Monitor.open(str(state), settings=Settings(download_folder=str(out))) as monitor:
        monitor.ready()
        yield monitor.create_session(configuration())


async def content_of(path: str | Path) -> bytes:
    """Of a finished file; rclone without a cache refuses it while it sends it on its way."""
    found: list[bytes] = []

    def is_read() -> bool:
        with suppress(OSError):
            found.append(Path(path).read_bytes())
        return bool(found)

    await until(is_read, "the file to be read")
    return found[0]


async def fetched(
    state: Path, out: Path, server: ByteServer, destination: str | None = None
) -> Task:
    async with running(state, out) as session:
        return await session.download_task(server.url("/f.bin"), destination=destination).wait()


@pytest.mark.parametrize("mount", MOUNTS, ids=lambda mount: mount.__name__)
async def test_a_download_that_breaks_ends_whole_and_nothing_else_is_left(
    mount: Mount, tmp_path: Path, disk
):
    out = disk(mount)
    with ByteServer(serve := Breaking(300_000, 2)) as server:
        task = await fetched(tmp_path / "state", out, server)
    assert task.error is None
    assert await content_of(out / "f.bin") == BODY
    assert os.listdir(out) == ["f.bin"]
    assert len(serve.asked) == 3 or mount is mounts.rclone_without_cache
    if mount in RESUME:
        assert serve.asked[1] >= 300_000 - 65_536, "what was stored was used"


@pytest.mark.parametrize("mount", MOUNTS, ids=lambda mount: mount.__name__)
async def test_the_name_of_a_file_that_is_there_is_not_taken(mount: Mount, tmp_path: Path, disk):
    out = disk(mount)
    (out / "f.bin").write_bytes(b"mine")
    with ByteServer(Breaking(0, 0)) as server:
        task = await fetched(tmp_path / "state", out, server)
    assert Path(task.final_path).name == "f (1).bin"
    assert (out / "f.bin").read_bytes() == b"mine"
    assert await content_of(out / "f (1).bin") == BODY


@pytest.mark.parametrize("mount", MOUNTS, ids=lambda mount: mount.__name__)
async def test_a_name_that_the_disk_refuses_is_replaced_when_it_is_the_servers(
    mount: Mount, tmp_path: Path, disk
):
    out = disk(mount)
    name = "attachment; filename*=UTF-8''na%C3%AFve%20%F0%9F%98%80.bin"
    with ByteServer(Breaking(0, 0, name)) as server:
        task = await fetched(tmp_path / "state", out, server)
    assert task.error is None
    assert Path(task.final_path).name == ("naive _.bin" if mount is mounts.fat else "naïve 😀.bin")
    assert await content_of(task.final_path) == BODY


@pytest.mark.parametrize("mount", [mounts.exfat, mounts.fat], ids=lambda mount: mount.__name__)
async def test_a_name_that_the_disk_refuses_fails_before_the_first_byte_when_it_is_a_persons(
    mount: Mount, tmp_path: Path, disk
):
    out = disk(mount)
    with ByteServer(Breaking(0, 0)) as server:
        task = await fetched(tmp_path / "state", out, server, str(out / "a:b.bin"))
    assert task.error is not None
    assert (task.error.code, task.error.reason, task.received) == (-3000, "disk.name", 0)
    assert "a:b.bin" in task.error.message
    assert os.listdir(out) == []


@pytest.mark.skipif(bool(why_no_strace()), reason=why_no_strace() or "-")
@pytest.mark.parametrize("mount", [mounts.exfat, mounts.rclone], ids=lambda mount: mount.__name__)
async def test_a_crash_between_claiming_a_name_and_giving_it_leaves_one_whole_file(
    mount: Mount, tmp_path: Path, disk
):
    out, state = disk(mount), tmp_path / "state"
    rule = ["-e", "trace=renameat", "-e", "inject=renameat:signal=KILL:when=1"]
    with ByteServer(Breaking(0, 0)) as server:
        with Engine(state, out, "--url", server.url("/a.bin"), strace=rule) as engine:
            engine.process.wait(LIMIT)
        assert (out / "a.bin").read_bytes() == b"", "the claim"
        assert len(parts(out)) == 1
        await gone_on(state, out)
        assert len(server.requests) == 1
    assert os.listdir(out) == ["a.bin"]
    assert (out / "a.bin").read_bytes() == BODY


async def test_btrfs_is_asked_again_where_it_gives_back_room_late(tmp_path: Path, disk):
    out = disk(mounts.btrfs)
    with (out / "filler").open("wb", buffering=0) as file:
        try:
            while file.write(bytes(range(256)) * 1024):
                pass
        except OSError:  # full
            pass
        os.fsync(file.fileno())
    ctypes.CDLL(None).sync()
    assert disk_space.free_space(str(out)) < 2_000_000
    (out / "filler").unlink()
    assert disk_space.free_space(str(out), 2_000_000) > 2_000_000


async def test_a_disk_that_is_unmounted_meanwhile_gives_no_path_and_keeps_the_bytes(tmp_path: Path):
    place, again = tmp_path / "disk", tmp_path / "again"
    with ExitStack() as stack:
        try:
            stack.enter_context(mounted(place, "tmpfs", "size=8m"))
        except RuntimeError as why:
            pytest.skip(f"needs the right to mount: {why}")
        again.mkdir()
        assert ordered("mount", "--bind", str(place), str(again))
        stack.callback(ordered, "umount", "-l", str(again))

        def serve(conn: Conn, request: Request) -> None:
            whole = reply(200, {"ETag": '"v1"', "Accept-Ranges": "bytes"}, BODY)
            conn.send(whole[:500_000])
            eventually(
                lambda: [part for part in parts(place) if part.stat().st_size], "the first bytes"
            )
            assert ordered("umount", "-l", str(place))
            conn.send(whole[500_000:])

        with ByteServer(serve) as server:
            task = await fetched(tmp_path / "state", place, server)
        assert task.error is not None
        assert task.error.reason == "disk.missing-folder"
        assert "unmounted" in task.error.message
        assert not task.final_path
        assert os.listdir(place) == []
        (part,) = again.iterdir()
        assert part.read_bytes() == BODY, "under its own name, on its own disk"
        assert ordered("mount", "--bind", str(again), str(place))
        stack.callback(ordered, "umount", "-l", str(place))
        with ByteServer(Breaking(0, 0)) as server:
            async with running(tmp_path / "state", place) as session:
                session.tasks.run_of(task.number).retry(server.url("/f.bin"))
                ended = await session.task(task.number).wait()
            assert server.requests == [], "nothing is fetched twice"
        assert ended.error is None
        assert (place / "f.bin").read_bytes() == BODY


async def test_a_folder_that_was_renamed_is_told_by_its_new_name(tmp_path: Path):
    out, moved = tmp_path / "out", tmp_path / "moved"
    out.mkdir()

    def serve(conn: Conn, request: Request) -> None:
        whole = reply(200, {"ETag": '"v1"'}, BODY)
        conn.send(whole[:500_000])
        eventually(lambda: [part for part in parts(out) if part.stat().st_size], "the first bytes")
        out.rename(moved)
        conn.send(whole[500_000:])

    with ByteServer(serve) as server:
        task = await fetched(tmp_path / "state", out, server)
    assert task.final_path == str(moved / "f.bin")
