"""A crash harness: an engine in a process of its own that can be killed at any point, and what must
hold after it.

Rule: after each kill `checked` looks at the disk and the database as they were left, then a new
engine goes on, and at the end everything is there once: the invariants I1 to I10 of the fault
matrix.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from tests.helpers.byte_server import Conn, Resource
from tests.helpers.engine_script import SESSION, configuration
from transfermon.engine.monitor import Monitor
from transfermon.model.events import TERMINAL, Event
from transfermon.model.task import State, Task, TaskKey
from transfermon.storage.records import task_of
from transfermon.storage.settings import Settings

ROOT = os.geteuid() == 0
LIMIT = 60.0  # seconds that a test waits for something that must come
PART = re.compile(r"\.transfermon-[0-9a-f]{16}\.part")
STRACE = shutil.which("strace")


def content(size: int, seed: int = 1) -> bytes:
    """Bytes of which no two places look alike."""
    block = bytes((value * seed + value // 251) % 256 for value in range(65_521))
    return (block * (size // len(block) + 1))[:size]


@functools.cache
def why_no_strace() -> str:
    """ "" where a process of ours may be traced."""
    if STRACE is None:
        return "strace is not installed (make test-all installs it where it may)"
    tried = subprocess.run(
        [STRACE, "-f", "-o", os.devnull, "true"], capture_output=True, text=True, check=False
    )
    return (
        "" if tried.returncode == 0 else f"strace may not trace here: {tried.stderr.strip()[:200]}"
    )


class Held(Resource):
    """A resource that keeps the end of its body back until `release`; later answers are whole."""

    def __init__(self, body: bytes, hold_after: int, **fields: Any) -> None:
        super().__init__(body, **fields)
        self.hold_after = hold_after
        self.released = threading.Event()

    def _send(self, conn: Conn, part: bytes) -> None:
        head = part[: self.hold_after] if len(part) == len(self.body) else b""
        conn.send(head)
        while not self.released.wait(0.02):
            if conn.server.stopping.is_set():
                return
        conn.send(part[len(head) :])


class Engine:
    """The engine script as a child; `said` is all that it has said."""

    def __init__(self, state: Path, folder: Path, *words: str, strace: Sequence[str] = ()) -> None:
        prefix = [STRACE or "strace", "-f", "-qq", "-o", os.devnull, *strace] if strace else []
        script = [
            sys.executable,
            "-m",
            "tests.helpers.engine_script",
            str(state),
            str(folder),
            *words,
        ]
        self.said: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `end`
        self._tracer: subprocess.Popen[bytes] | None = None
        self.process = subprocess.Popen(
            [*prefix, *script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=Path(__file__).parents[2],
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def events(self) -> list[dict[str, Any]]:
        """What it told, to observers and to listeners."""
        return [line for line in self.said if line["say"] in ("event", "heard")]

    @property
    def errors(self) -> str:
        """What it wrote to stderr."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def wait_for(self, what: str, **fields: Any) -> dict[str, Any]:
        """The first line of that kind with those fields, now or when it comes."""
        found = self._until(
            lambda: next(
                (s for s in self.said if s["say"] == what and fields.items() <= s.items()), None
            )
        )
        assert found is not None, (
            f"waited in vain for {what} {fields}; {self.said[-5:]}; {self.errors[-2000:]}"
        )
        return found

    def wait_end(self) -> int:
        """Its return code; -9 after a kill."""
        code = self.process.wait(LIMIT)
        self._reader.join(LIMIT)
        return code

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.wait_end()

    def attach(self, *strace: str) -> None:
        """From now on these rules of strace hold; it counts calls from here."""
        assert STRACE is not None
        command = [STRACE, "-f", "-o", os.devnull, *strace, "-p", str(self.process.pid)]
        self._tracer = subprocess.Popen(command, stderr=subprocess.PIPE)
        assert self._tracer.stderr is not None
        line = self._tracer.stderr.readline()
        assert b"attached" in line, line
        self._hush = threading.Thread(target=self._tracer.stderr.read, daemon=True)
        self._hush.start()

    def detach(self) -> None:
        if self._tracer is not None:
            self._tracer.send_signal(signal.SIGINT)
            self._tracer.wait(LIMIT)
            assert self._tracer.stderr is not None
            self._hush.join(LIMIT)
            self._tracer.stderr.close()
            self._tracer = None

    def end(self) -> None:
        """Kill what is left of it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(LIMIT)
        self._reader.join(LIMIT)
        self.detach()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self._errors.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.said.append(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def _until(self, look: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
        with self._changed:
            self._changed.wait_for(
                lambda: look() or not self._reader.is_alive() or self._over(), LIMIT
            )
            return look()

    def _over(self) -> bool:
        return self.process.poll() is not None


# ---- looking at what was left


def left(state: Path) -> tuple[dict[TaskKey, Task], list[dict[str, Any]]]:
    """The records and the journal as a dead engine has left them; its files are read from a
    copy.
    """
    with tempfile.TemporaryDirectory() as copy:
        for name in ("transfermon.db", "transfermon.db-wal"):
            if (state / name).exists():
                shutil.copy(state / name, copy)
        database = sqlite3.connect(f"{copy}/transfermon.db")
        try:
            if not database.execute("select 1 from sqlite_master where name='task'").fetchone():
                return {}, []
            tasks = [task_of(text) for (text,) in database.execute("select record from task")]
            journal = [
                json.loads(body)
                for (body,) in database.execute("select body from journal order by sequence")
            ]
        finally:
            database.close()
    return {task.key: task for task in tasks}, journal


def checked(
    state: Path, folder: Path, files: Mapping[str, bytes]
) -> tuple[dict[TaskKey, Task], list[dict[str, Any]]]:
    """The records and the journal after a crash; raises AssertionError where an invariant is
    broken.
    """
    tasks, journal = left(state)
    for name in os.listdir(folder):
        if PART.fullmatch(name) or PART.fullmatch(f"{name.removesuffix('.map')}.part"):
            continue
        assert name in files, f"I1, I2: {name} is no name that was asked for"
        assert (folder / name).read_bytes() == files[name], f"I1: {name} is not whole"
    for task in tasks.values():
        if task.part_path and os.path.exists(task.part_path):
            assert task.received <= os.path.getsize(task.part_path), (
                "I4: the journal claims more than is there"
            )
        if task.succeeded:
            assert task.name in os.listdir(folder), "I9: completed, and no file"
    ids = [event["eventId"] for event in journal]
    numbers = [event["sequence"] for event in journal]
    assert len(set(ids)) == len(ids), "I5: an event was written twice"
    assert numbers == sorted(numbers), "I5: events out of order"
    return tasks, journal


async def gone_on(
    state: Path, folder: Path, before: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Open the state again in this process, let every task end, and close; what was told.

    `before` is what was told by those that died: what they did not tell must come now.
    """
    told: list[Event] = []
    async with Monitor.open(str(state), settings=Settings(download_folder=str(folder))) as monitor:
        monitor.subscribe(told.append)
        for name in TERMINAL:
            monitor.add_event_listener(name, told.append)
        monitor.ready()
        session = monitor.create_session(configuration())
        for record in session.tasks.records():
            await session.task(record.number).wait()
        heard = {event["eventId"] for event in before}
        async with asyncio.timeout(LIMIT):
            for event in await monitor.overview.history(limit=100_000):
                while event.type in TERMINAL and event.event_id not in heard | {
                    one.event_id for one in told
                }:
                    await asyncio.sleep(0.005)
    return [event.to_dict() for event in told]


def check_end(
    state: Path,
    folder: Path,
    files: Mapping[str, bytes],
    runs: Sequence[Sequence[Mapping[str, Any]]],
) -> None:
    """Everything is there once. `runs` is what each engine told, oldest first."""
    tasks, journal = checked(state, folder, files)
    assert sorted(os.listdir(folder)) == sorted(files), "I1, I6: other files than those asked for"
    assert {task.name for task in tasks.values()} <= set(files)
    for key, task in tasks.items():
        assert task.succeeded, f"{key} ended with {task.error}"
        for name in ("taskcreated", "downloadcompleted", "sessioncompleted"):
            written = {
                e["eventId"]
                for e in journal
                if e["type"] == name and e.get("taskIdentifier") == key.number
            }
            assert len(written) == 1, f"I5: {len(written)} times {name} of {key}"
            if name != "taskcreated":
                told = {
                    e["eventId"]
                    for run in runs
                    for e in run
                    if e["type"] == name and _of(e) == key.number
                }
                assert told == written, (
                    f"I5: {name} of {key} was told as {told}, written as {written}"
                )
    assert {task.state for task in tasks.values()} <= {State.COMPLETED}


def _of(event: Mapping[str, Any]) -> Any:
    return event.get("taskIdentifier")


def the_task(tasks: Mapping[TaskKey, Task]) -> Task:
    return tasks[TaskKey(SESSION, 1)]


def parts(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if PART.fullmatch(path.name)]


def eventually(condition: Callable[[], Any], what: str = "", limit: float = LIMIT) -> Any:
    """The value of `condition()` once it is true: for what happens in other processes."""
    end = time.monotonic() + limit
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain for {what or condition}"
        time.sleep(0.005)
    return found


def ordered(*command: str) -> bool:
    """Whether a command could be run and did what it was told."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@contextmanager
def mounted(place: Path, kind: str, options: str, source: str = "none") -> Iterator[Path]:
    """A file system of its own at `place`; RuntimeError where this user may not mount."""
    place.mkdir(parents=True, exist_ok=True)
    command = ["mount", *(["-t", kind] if kind else []), "-o", options, source, str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or "mount failed")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)
