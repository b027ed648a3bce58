"""K1 to K3, K17, K21: an engine that is killed at each step, and the one that goes on after it."""

from __future__ import annotations

import asyncio
import itertools
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Resource
from tests.helpers.harness import (
    STRACE,
    Engine,
    Held,
    check_end,
    checked,
    content,
    eventually,
    gone_on,
    parts,
    the_task,
    why_no_strace,
)
from transfermon.model.errors import EngineBusyError, StateError
from transfermon.storage.settings import Settings
from transfermon.system.lock import EngineLock

pytestmark = pytest.mark.anyio

# above and below the size whose wish to finish is recorded by itself
LARGE, SMALL = 1_000_000, 100_000
FINISHING = {  # what is touched: the calls that can be the last ones
    "part": ("pwrite64,splice", "fdatasync", "fchmod"),
    "folder": ("renameat2", "fsync"),
    "journal": ("pwrite64", "fdatasync", "unlink"),
    "database": ("pwrite64", "ftruncate", "fdatasync"),
    "told": ("write",),
}
ACCEPTING = {"journal": ("pwrite64", "fdatasync"), "told": ("write",)}
ETAG = '"v1"'


@pytest.fixture(autouse=True)
def _traced() -> None:
    if why_no_strace():
        pytest.skip(why_no_strace())


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def rules(state: Path, folder: Path, what: str, call: str, number: int) -> list[str]:
    """Kill at the `number`-th such call from now on, before it is made."""
    places = {
        "part": [str(path) for path in parts(folder)],
        "folder": [str(folder)],
        "journal": [str(state / "transfermon.db-wal")],
        "database": [str(state / "transfermon.db")],
    }.get(what, [])
    paths = [word for place in places for word in ("-P", place)]
    return [*paths, "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"]


async def killed_while_finishing(place: Path, what: str, call: str, number: int, size: int) -> bool:
    """False when the engine ended before it came to that call."""
    state, folder, files = place / "state", place / "out", {"a.bin": content(size)}
    folder.mkdir(parents=True)
    with ByteServer(Held(files["a.bin"], size - 1, etag=ETAG)) as server:
        url = server.url("/a.bin")
        with Engine(state, folder, "--url", url) as engine:
            eventually(
                lambda: parts(folder) and parts(folder)[0].stat().st_size == size - 1, "the part"
            )
            engine.attach(*rules(state, folder, what, call, number))
            assert isinstance(server.handler, Held)
            server.handler.released.set()
            code = engine.wait_end()
            told = engine.events
        checked(state, folder, files)
        runs = [told, await gone_on(state, folder, told)]
        check_end(state, folder, files, runs)
        assert sum(request.target == "/a.bin" for request in server.requests) <= 2
    assert code in (0, -9), engine.errors
    return code == -9


@pytest.mark.parametrize(
    ("what", "call", "number", "size"),
    [
        ("part", "fdatasync", 1, LARGE),
        ("folder", "renameat2", 1, LARGE),
        ("folder", "fsync", 1, LARGE),
        ("folder", "fsync", 1, SMALL),
        ("journal", "fdatasync", 2, LARGE),
        ("journal", "pwrite64", 3, SMALL),
    ],
)
async def test_fault_k2_a_kill_while_finishing_leaves_one_whole_file_and_one_completion(
    what: str, call: str, number: int, size: int, tmp_path: Path
):
    assert await killed_while_finishing(tmp_path, what, call, number, size)


@pytest.mark.slow
@pytest.mark.parametrize("size", [LARGE, SMALL])
@pytest.mark.parametrize(
    ("what", "call"), [(what, call) for what, calls in FINISHING.items() for call in calls]
)
async def test_fault_k2_a_kill_at_every_call_of_finishing(
    what: str, call: str, size: int, tmp_path: Path
):
    for number in itertools.count(1):
        if not await killed_while_finishing(tmp_path / str(number), what, call, number, size):
            break
    assert number > 1, "never called"


async def killed_while_accepting(place: Path, what: str, call: str, number: int) -> bool:
    state, folder, files = place / "state", place / "out", {"a.bin": content(SMALL)}
    folder.mkdir(parents=True)
    with ByteServer(Resource(files["a.bin"], etag=ETAG)) as server:
        url = server.url("/a.bin")
        with Engine(state, folder, "--url", url, "--wait") as engine:
            engine.wait_for("ready")
            engine.attach(*rules(state, folder, what, call, number))
            engine.go()
            code = engine.wait_end()
            told, accepted = engine.events, any(line["say"] == "accepted" for line in engine.said)
        tasks, _ = checked(state, folder, files)
        assert tasks or not accepted, "K3: it was accepted, and is gone"
        again = await gone_on(state, folder, told)
        if tasks:
            check_end(state, folder, files, [told, again])
        else:
            assert not parts(folder)
            assert not list(folder.iterdir())
    assert code in (0, -9)
    return code == -9


@pytest.mark.parametrize(
    ("what", "call", "number"), [("journal", "pwrite64", 1), ("journal", "fdatasync", 2)]
)
async def test_fault_k3_a_kill_while_accepting_leaves_the_task_or_nobody_was_told(
    what: str, call: str, number: int, tmp_path: Path
):
    assert await killed_while_accepting(tmp_path, what, call, number)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "call"), [(what, call) for what, calls in ACCEPTING.items() for call in calls]
)
async def test_fault_k3_a_kill_at_every_call_of_accepting(what: str, call: str, tmp_path: Path):
    for number in itertools.count(1):
        if not await killed_while_accepting(tmp_path / str(number), what, call, number):
            break
    assert number > 1, "never called"


@pytest.mark.slow
@pytest.mark.parametrize("call", ["pwrite64", "fdatasync", "openat", "unlink", "rename"])
async def test_fault_k3_a_kill_at_every_call_of_the_first_start_leaves_a_folder_that_opens(
    call: str, tmp_path: Path
):
    for number in itertools.count(1):
        place = tmp_path / str(number)
        (place / "out").mkdir(parents=True)
        files = [f"{place}/state/transfermon.db{end}" for end in ("", "-wal", "-shm", "-journal")]
        paths = [word for path in files for word in ("-P", path)]
        with Engine(
            place / "state",
            place / "out",
            strace=[
                *paths,
                "-e",
                f"trace={call}",
                "-e",
                f"inject={call}:signal=KILL:when={number}",
            ],
        ) as engine:
            killed = engine.wait_end() != 0
        assert await gone_on(place / "state", place / "out") is not None
        if not killed:
            break


async def survives_kills(state: Path, folder: Path, *, size: int, kills: int, rate: int) -> None:
    """One download, an engine after the other, each killed at a moment that a seeded die chose."""
    files, moments = {"a.bin": content(size)}, random.Random(7)
    resource = Resource(files["a.bin"], etag=ETAG, piece=rate // 200, pause=0.005)
    runs: list[list[dict[str, object]]] = []
    with ByteServer(resource) as server:
        stored = 0
        for _ in range(kills):
            with Engine(state, folder, "--url", server.url("/a.bin")) as engine:
                engine.wait_for(
                    "event", activity="transferring"
                ) if not stored else engine.wait_for("ready")
                await asyncio.sleep(moments.uniform(0.0, 0.3))
                engine.kill()
                runs.append(engine.events)
            tasks, _ = checked(state, folder, files)
            assert list(tasks) == [the_task(tasks).key], "K1: the same task"
            if parts(folder):
                length = parts(folder)[0].stat().st_size
                assert length >= stored, "K1: what was stored is still there"
                stored = length
        resource.pause = 0.0
        runs.append(await gone_on(state, folder, [event for run in runs for event in run]))
        check_end(state, folder, files, runs)
        sent = sum(1 for request in server.requests if not request.header("Range"))
        assert sent == 1, "K1: after a mere kill nothing is asked for twice"


async def test_fault_k1_a_download_survives_kills_at_random_moments(state: Path, folder: Path):
    await survives_kills(state, folder, size=4_000_000, kills=3, rate=3_000_000)


@pytest.mark.slow
async def test_fault_k1_a_download_survives_twenty_kills(state: Path, folder: Path):
    await survives_kills(state, folder, size=100_000_000, kills=20, rate=12_000_000)


@pytest.mark.parametrize(
    "event", ["taskcreated", "downloadcompleted", "sessioncompleted", "sessionidle"]
)
async def test_fault_k1_a_kill_while_an_event_is_told_tells_it_once_under_its_number(
    event: str, state: Path, folder: Path
):
    files = {"a.bin": content(SMALL)}
    with ByteServer(Resource(files["a.bin"], etag=ETAG)) as server:
        with Engine(state, folder, "--url", server.url("/a.bin"), "--kill-at", event) as engine:
            assert engine.wait_end() == -9
            told = engine.events
        checked(state, folder, files)
        check_end(state, folder, files, [told, await gone_on(state, folder, told)])


def test_fault_k17_without_locks_on_the_disk_no_engine_starts(state: Path, folder: Path):
    with Engine(
        state, folder, strace=["-e", "trace=flock", "-e", "inject=flock:error=ENOLCK"]
    ) as engine:
        assert engine.wait_end() != 0
        assert StateError.__name__ in engine.errors
        assert "No locks available" in engine.errors
    assert not (state / "transfermon.db").exists(), "nothing was touched without the lock"


def test_fault_k17_a_second_engine_is_refused_by_name(state: Path, folder: Path):
    with Engine(state, folder, "--wait") as engine:
        engine.wait_for("ready")
        with pytest.raises(EngineBusyError, match=f"process {engine.process.pid}"):
            EngineLock.acquire(str(state))


SAVE = """
import sys
from transfermon.storage.settings import Settings
Settings.load(sys.argv[1]).replaced(theme="dark", speed_limit=5)
"""


@pytest.mark.parametrize("call", ["openat", "write", "fsync", "rename"])
def test_fault_k21_a_kill_while_settings_are_saved_leaves_the_old_or_the_new_ones(
    call: str, tmp_path: Path
):
    path = tmp_path / "settings.json"
    Settings.load(str(path)).replaced(theme="light", speed_limit=3)
    assert STRACE is not None
    for number in (1, 2):
        rule = [
            "-P",
            f"{path}.tmp",
            "-P",
            str(tmp_path),
            "-e",
            f"inject={call}:signal=KILL:when={number}",
        ]
        command = [
            STRACE,
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            f"trace={call}",
            *rule,
            sys.executable,
            "-c",
            SAVE,
        ]
        ended = subprocess.run([*command, str(path)], check=False)
        assert ended.returncode == -9 or number == 2
        found = Settings.load(str(path))
        assert (found.theme, found.speed_limit) in (("light", 3), ("dark", 5))
        assert path.stat().st_mode & 0o777 == 0o600
