"""An engine that is killed while several connections bring one file: what each has brought stays,
and nothing else is taken for it.
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, reply
from tests.helpers.harness import (
    Engine,
    check_end,
    checked,
    eventually,
    gone_on,
    left,
    parts,
    the_task,
)
from tests.helpers.shared_file import M, Paced, SharedFile
from transfermon.http.segments import SEAM
from transfermon.model.ranges import pairs_of
from transfermon.storage import part_names
from transfermon.storage.held_folder import HeldFolder
from transfermon.storage.range_map import stored_in_map

pytestmark = pytest.mark.anyio
BODY = os.urandom(12 * M + 17)


class Held(SharedFile):
    """Each range comes up to a place of its own, and the rest when `go` is set."""

    def __init__(self, etag: str = '"v1"') -> None:
        super().__init__(BODY, etag=etag, after=1000, ranged=self._held)

    def _held(self, conn: Conn, request: Request, start: int, end: int, number: int) -> bool:
        if self.go.is_set():
            return False
        head = {
            **self.fields(),
            "Content-Range": f"bytes {start}-{end - 1}/{len(BODY)}",
            "Content-Length": str(end - start),
        }
        self.give(conn, reply(206, head), BODY[start : start + M + 1000 * number])
        while not self.go.wait(0.05) and not conn.server.stopping.is_set():
            pass
        return True


def mapped(folder: Path) -> tuple[tuple[int, int], ...]:
    """What the map beside the one part says is stored."""
    for path in parts(folder):
        held = HeldFolder.open(str(folder))
        try:
            return stored_in_map(held, path.name, path.stat().st_ino) or ()
        finally:
            held.close()
    return ()


def count(pairs: tuple[tuple[int, int], ...]) -> int:
    return sum(at - start for start, at in pairs)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


async def test_a_kill_loses_nothing_that_any_connection_has_brought(state: Path, folder: Path):
    file = Held()
    with ByteServer(file) as server:
        url = server.url("/a.bin")
        with Engine(state, folder, "--url", url, "--connections", "4") as engine:
            eventually(lambda: count(mapped(folder)) == 4 * M + 6000, "what was sent")
            engine.kill()
            told = engine.events
        before, asked = mapped(folder), len(file.ranges)
        checked(state, folder, {"a.bin": BODY})
        file.go.set()
        runs = [told, await gone_on(state, folder, told)]
        check_end(state, folder, {"a.bin": BODY}, runs)
        assert file.plain == 1
        for start, end in file.ranges[asked:]:
            twice = sum(max(0, min(end, at) - max(start, begin)) for begin, at in before)
            # the first of them asks for all the rest, and stops where others have been
            assert twice <= 2 * SEAM or end == len(BODY)


async def test_a_second_kill_loses_nothing_either(state: Path, folder: Path):
    file = Held()
    with ByteServer(file) as server:
        words, told = ("--url", server.url("/a.bin"), "--connections", "4"), []
        with Engine(state, folder, *words) as engine:
            eventually(lambda: count(mapped(folder)) == 4 * M + 6000, "what was sent")
            engine.kill()
            told.append(engine.events)
        with Engine(state, folder, *words) as engine:
            eventually(lambda: count(mapped(folder)) >= 6 * M, "more, in the map of this engine")
            engine.kill()
            told.append(engine.events)
        before, asked = mapped(folder), len(file.ranges)
        checked(state, folder, {"a.bin": BODY})
        file.go.set()
        runs = [*told, await gone_on(state, folder, [*told[0], *told[1]])]
        check_end(state, folder, {"a.bin": BODY}, runs)
        assert file.plain == 1
        for start, end in file.ranges[asked:]:
            twice = sum(max(0, min(end, at) - max(start, begin)) for begin, at in before)
            assert twice <= 2 * SEAM or end == len(BODY)


async def test_without_the_map_the_last_checkpoint_counts(state: Path, folder: Path):
    """As after a power cut: bytes that the journal does not know of are not believed, wherever they
    are.
    """
    file = Held()
    with ByteServer(file) as server:
        url = server.url("/a.bin")
        with Engine(state, folder, "--url", url, "--connections", "4") as engine:
            eventually(lambda: count(mapped(folder)) == 4 * M + 6000, "what was sent")
            eventually(lambda: pairs_of(the_task(left(state)[0]).ranges), "a checkpoint")
            engine.kill()
            told = engine.events
        known = pairs_of(the_task(left(state)[0]).ranges)
        (part,) = parts(folder)
        os.unlink(part_names.map_of(str(part)))
        with part.open("r+b") as torn:  # what was not synced is lost
            for begin, end in zip(
                [at for _, at in known],
                [start for start, _ in known[1:]] + [len(BODY)],
                strict=True,
            ):
                torn.seek(begin)
                torn.write(b"\0" * (end - begin))
        file.go.set()
        runs = [told, await gone_on(state, folder, told)]
        check_end(state, folder, {"a.bin": BODY}, runs)
        assert file.plain <= 2  # the first bytes may be missing


async def test_a_kill_loses_nothing_that_a_mirror_has_brought(state: Path, folder: Path):
    """Both go on afterwards."""
    file, mirror = Held(), Held('"of-the-mirror"')
    with ByteServer(file) as server, ByteServer(mirror) as other:
        words = ("--url", server.url("/a.bin"), "--mirror", other.url("/a.bin"))
        with Engine(state, folder, *words, "--connections", "2") as engine:
            # the mirror's first range shows what it has, or a later one where too little was stored
            eventually(lambda: count(mapped(folder)) >= 2 * M + 2000, "what was sent")
            engine.kill()
            told = engine.events
        record = the_task(left(state)[0])
        assert record.evidence.mirrored
        assert record.options.mirrors == (other.url("/a.bin"),)
        checked(state, folder, {"a.bin": BODY})
        before = len(mirror.ranges)
        mirror.go.set()

        async def release() -> None:
            while len(mirror.ranges) < before + 2 or mirror.sent < 6 * M:
                await asyncio.sleep(0.01)
            file.go.set()

        releasing = asyncio.ensure_future(release())
        runs = [told, await gone_on(state, folder, told)]
        await releasing
        check_end(state, folder, {"a.bin": BODY}, runs)
        assert (file.plain, mirror.plain) == (1, 0)


@pytest.mark.slow
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("seed", range(40))
async def test_kills_at_any_moment_leave_one_whole_file(
    state: Path, folder: Path, seed: int, mirrored: bool
):
    chosen = random.Random(seed)
    file, mirror, runs = Paced(BODY), Paced(BODY, etag='"of-the-mirror"'), []
    with ByteServer(file) as server, ByteServer(mirror) as other:
        words = ["--url", server.url("/a.bin"), "--connections", str(chosen.choice((2, 4, 8)))]
        if mirrored:
            words += ["--mirror", other.url("/a.bin")]
        for _ in range(5):
            with Engine(state, folder, *words) as engine:
                engine.wait_for("ready")
                await asyncio.sleep(
                    chosen.uniform(0.05, 0.6)
                )  # no condition is waited for: any moment
                engine.kill()
                runs.append(engine.events)
            checked(state, folder, {"a.bin": BODY})
        # what the killed ones had written and not told is waited for
        runs.append(await gone_on(state, folder, [event for run in runs for event in run]))
    check_end(state, folder, {"a.bin": BODY}, runs)
    assert file.plain <= 3  # but for kills before anything was synced
