"""F24, K6, K7: what a power cut leaves. The file system is shut down under the engine and mounted
again.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Resource, rest
from tests.helpers.harness import (
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
)
from tests.helpers.shared_file import Paced
from transfermon.http.segments import SEAM
from transfermon.model.ranges import pairs_of
from transfermon.storage.held_folder import HeldFolder
from transfermon.storage.range_map import RangeMap

pytestmark = pytest.mark.anyio

_EXT4_SHUTDOWN, _WITHOUT_THE_LOG = 0x8004587D, 2
M = 1_000_000
ETAG = '"v1"'


class Disk:
    """An ext4 file system in a file, with a state and a download folder on it.

    After a cut it is mounted from a copy of the file: another program that has taken a copy of all
    mounts (`unshare`) may hold the dead one for a while, and a second mount of the same file would
    be that one.
    """

    def __init__(self, folder: Path) -> None:
        self.image, self.place = folder / "image", folder / "disk"
        self.state, self.out = self.place / "state", self.place / "out"
        with self.image.open("wb") as file:
            file.truncate(64 * M)
        if not ROOT or not ordered("mkfs.ext4", "-q", str(self.image)):
            pytest.skip("needs the right to make and mount a file system")
        with self.mounted():
            self.out.mkdir()

    @contextmanager
    def mounted(self) -> Iterator[None]:
        try:
            with mounted(self.place, "ext4", "loop", str(self.image)):
                yield
        except RuntimeError as exc:
            pytest.skip(f"no file system can be mounted here: {exc}")

    def cut(self) -> None:
        """From now on nothing reaches the disk; what was not synced is lost."""
        fd = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _EXT4_SHUTDOWN, struct.pack("I", _WITHOUT_THE_LOG))
        except OSError as exc:
            pytest.skip(f"the file system cannot be shut down here: {exc}")
        finally:
            os.close(fd)
        after = self.image.with_name("image-after")
        subprocess.run(["cp", "--sparse=always", str(self.image), str(after)], check=True)
        self.image = after


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


async def test_fault_k6_after_a_power_cut_a_download_goes_on_from_its_checkpoint(disk: Disk):
    files = {"a.bin": content(8 * M)}
    with ByteServer(Resource(files["a.bin"], etag=ETAG, piece=40_000, pause=0.01)) as server:
        with disk.mounted(), Engine(disk.state, disk.out, "--url", server.url("/a.bin")) as engine:
            engine.wait_for("accepted")
            synced = eventually(lambda: the_task(left(disk.state)[0]).received, "a checkpoint")
            eventually(
                lambda: parts(disk.out)[0].stat().st_size > synced + 400_000,
                "bytes that are not synced",
            )
            disk.cut()
            engine.kill()
            told = engine.events
        with disk.mounted():
            record = the_task(checked(disk.state, disk.out, files)[0])
            assert record.received >= synced
            server.handler = Resource(files["a.bin"], etag=ETAG)
            check_end(
                disk.state, disk.out, files, [told, await gone_on(disk.state, disk.out, told)]
            )
        assert [request.header("Range") for request in server.requests] == [
            "",
            rest(record.received),
        ]


async def test_fault_f24_zeros_of_a_reserved_part_never_reach_the_file(disk: Disk):
    files = {"a.bin": content(8 * M)}
    with ByteServer(Held(files["a.bin"], 3 * M, etag=ETAG)) as server:
        with disk.mounted(), Engine(disk.state, disk.out, "--url", server.url("/a.bin")) as engine:
            eventually(
                lambda: parts(disk.out) and parts(disk.out)[0].stat().st_size == 3 * M,
                "bytes in the part",
            )
            disk.cut()
            engine.kill()
        with disk.mounted():
            # as a file system that writes the length before the data would leave it
            for part in parts(disk.out):
                os.truncate(part, 8 * M)
            assert isinstance(server.handler, Held)
            server.handler.released.set()
            await gone_on(disk.state, disk.out)
            tasks, _ = checked(disk.state, disk.out, files)
            if tasks:
                assert the_task(tasks).succeeded


@pytest.mark.parametrize("size", [100_000, 2 * M])
@pytest.mark.parametrize("word", ["downloadcompleted", "sessioncompleted"])
async def test_fault_k7_a_power_cut_right_after_completed_was_said_leaves_the_whole_file(
    word: str, size: int, disk: Disk
):
    files = {"a.bin": content(size)}
    with ByteServer(Resource(files["a.bin"], etag=ETAG)) as server:
        with (
            disk.mounted(),
            Engine(disk.state, disk.out, "--url", server.url("/a.bin"), "--stay") as engine,
        ):
            engine.wait_for("event", type=word)
            disk.cut()
            engine.kill()
            told = [
                event
                for event in engine.events
                if event["type"] != "sessioncompleted" or word == event["type"]
            ]
        with disk.mounted():
            tasks, journal = checked(disk.state, disk.out, files)
            assert (disk.out / "a.bin").read_bytes() == files["a.bin"]
            assert word in [event["type"] for event in journal], "it was said before it was durable"
            if word == "sessioncompleted":
                assert the_task(tasks).succeeded
            check_end(
                disk.state, disk.out, files, [told, await gone_on(disk.state, disk.out, told)]
            )
        assert len(server.requests) == 1


SHARED = content(12 << 20, seed=3)  # brought by several connections


def several(server: ByteServer) -> tuple[str, ...]:
    return ("--url", server.url("/a.bin"), "--connections", "4")


def ranges_of(disk: Disk) -> tuple[tuple[int, int], ...]:
    """What the journal says is stored, once it says that it is in several places."""
    tasks, _ = left(disk.state)
    pairs = pairs_of(the_task(tasks).ranges) if tasks else ()
    return pairs if len(pairs) > 1 else ()


async def test_fault_k6_after_a_power_cut_several_connections_go_on_from_their_checkpoint(
    disk: Disk,
):
    files, file = {"a.bin": SHARED}, Paced(SHARED, pause=0.06)
    with ByteServer(file) as server:
        with disk.mounted(), Engine(disk.state, disk.out, *several(server)) as engine:
            engine.wait_for("accepted")
            synced = eventually(lambda: ranges_of(disk), "a checkpoint of several ranges")
            eventually(
                lambda: file.sent > sum(at - start for start, at in synced) + 400_000,
                "bytes that are not synced",
            )
            disk.cut()
            engine.kill()
            told = engine.events
        with disk.mounted():
            record = the_task(checked(disk.state, disk.out, files)[0])
            known = pairs_of(record.ranges)
            assert len(known) > 1
            asked = len(file.ranges)
            file.hurry.set()
            check_end(
                disk.state, disk.out, files, [told, await gone_on(disk.state, disk.out, told)]
            )
        assert file.plain == 1
        for start, end in file.ranges[asked:]:
            twice = sum(max(0, min(end, at) - max(start, begin)) for begin, at in known)
            # the first of them asks for all the rest, and stops where others have been
            assert twice <= 2 * SEAM or end == len(SHARED)


async def test_fault_f24_zeros_between_the_ranges_of_a_part_never_reach_the_file(disk: Disk):
    files, file = {"a.bin": SHARED}, Paced(SHARED, pause=0.06)
    with ByteServer(file) as server:
        with disk.mounted(), Engine(disk.state, disk.out, *several(server)) as engine:
            eventually(lambda: ranges_of(disk), "a checkpoint of several ranges")
            disk.cut()
            engine.kill()
            told = engine.events
        with disk.mounted():
            # as a file system that writes the length before the data would leave it, and a map
            # that was written and not synced
            known = the_task(left(disk.state)[0]).ranges
            (part,) = parts(disk.out)
            with part.open("r+b") as torn:
                torn.truncate(len(SHARED))
                for _, at, end in known:
                    torn.seek(at)
                    torn.write(b"\0" * (end - at))
            held = HeldFolder.open(str(disk.out))
            every = [(0, len(SHARED))]
            RangeMap.create(held, part.name, part.stat().st_ino, len(SHARED), every).close()
            held.close()
            file.hurry.set()
            check_end(
                disk.state, disk.out, files, [told, await gone_on(disk.state, disk.out, told)]
            )


async def test_fault_k7_a_power_cut_right_after_several_connections_brought_a_file_leaves_it_whole(
    disk: Disk,
):
    files, file = {"a.bin": SHARED}, Paced(SHARED, pause=0.06)
    file.hurry.set()
    with ByteServer(file) as server:
        words = (*several(server), "--stay")
        with disk.mounted(), Engine(disk.state, disk.out, *words) as engine:
            engine.wait_for("event", type="sessioncompleted")
            disk.cut()
            engine.kill()
            told = engine.events
        with disk.mounted():
            assert the_task(checked(disk.state, disk.out, files)[0]).succeeded
            check_end(
                disk.state, disk.out, files, [told, await gone_on(disk.state, disk.out, told)]
            )


@pytest.mark.slow
@pytest.mark.parametrize("number", range(12))
async def test_fault_k6_a_power_cut_at_any_moment_of_several_connections(number: int, disk: Disk):
    files, file = {"a.bin": SHARED}, Paced(SHARED, pause=0.06)
    with ByteServer(file) as server:
        with disk.mounted(), Engine(disk.state, disk.out, *several(server)) as engine:
            engine.wait_for("accepted")
            until = number * 1_000_000 + 300_000
            eventually(lambda: file.sent >= until, "some bytes")
            disk.cut()
            engine.kill()
        with disk.mounted():
            tasks, _ = checked(disk.state, disk.out, files)
            assert tasks, "K3: it was accepted, and is gone"
            file.hurry.set()
            await gone_on(disk.state, disk.out)
            tasks, _ = checked(disk.state, disk.out, files)
            assert the_task(tasks).succeeded
            assert (disk.out / "a.bin").read_bytes() == SHARED


@pytest.mark.slow
@pytest.mark.parametrize("number", range(12))
async def test_fault_k6_a_power_cut_at_any_moment(number: int, disk: Disk):
    files = {"a.bin": content(4 * M)}
    with ByteServer(Resource(files["a.bin"], etag=ETAG, piece=100_000, pause=0.05)) as server:
        with disk.mounted(), Engine(disk.state, disk.out, "--url", server.url("/a.bin")) as engine:
            engine.wait_for("accepted")
            eventually(lambda: server.requests, "the request")
            until = number * 200_000 + 100_000
            eventually(
                lambda: any(p.stat().st_size >= until for p in disk.out.iterdir()), "some bytes"
            )
            disk.cut()
            engine.kill()
        with disk.mounted():
            tasks, _ = checked(disk.state, disk.out, files)
            assert tasks, "K3: it was accepted, and is gone"
            server.handler = Resource(files["a.bin"], etag=ETAG)
            await gone_on(disk.state, disk.out)
            tasks, _ = checked(disk.state, disk.out, files)
            assert the_task(tasks).succeeded
            assert (disk.out / "a.bin").exists()
