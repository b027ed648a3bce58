"""Processes that own a state directory one after the other: the app, the one that waits behind it,
commands.

The one rule to keep: everything that a test starts in a `Place` has ended when the block ends, the
detached ones too.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.helpers.byte_server import Resource
from transfermon.control.client import Client, NoEngine
from transfermon.system import lock

T = TypeVar("T")
LIMIT = 60.0  # seconds that something may take that must come

# The app without its window: Qt takes half a second to load.
APP = """
import asyncio, sys
from transfermon.control.server import ControlServer
from transfermon.engine.monitor import Monitor
from transfermon.host.waiter import Waiter

async def live():
    async with Monitor.open(sys.argv[1], what="a test's app") as monitor:
        server, waiter = ControlServer(monitor), Waiter(sys.argv[1])
        await server.start()
        waiter.start()
        monitor.ready()
        await monitor.quitting.wait()
        await server.close()
        await waiter.end()

asyncio.run(live())
"""


def until(what: str, condition: Callable[[], T], *, limit: float = LIMIT) -> T:
    """What `condition` gives once it is true."""
    deadline = time.monotonic() + limit
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)
    return found


def alive(pid: int) -> bool:
    """False for a zombie: it holds nothing any more."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in "ZX"


def is_held(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def waiter_of(state: Path) -> int | None:
    """The process that waits for the owner's end."""
    path = state / "standby.lock"
    text = path.read_text() if is_held(path) else ""
    return int(text) if text.isdigit() else None


def owner_of(state: Path) -> int:
    return lock.owner(str(state)) if is_held(state / lock.NAME) else 0


def end_all(state: Path, processes: Sequence[subprocess.Popen[Any]]) -> None:
    """Kill whoever lives in the state directory: the one that waits first, for it would become the
    engine.
    """
    _end(waiter_of(state) or 0, state)
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=60)
    _end(owner_of(state), state)


def _end(pid: int, state: Path) -> None:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return
    if os.fsencode(state) in words:
        os.kill(pid, signal.SIGKILL)
        until("its end", lambda: not alive(pid))


class Place:
    """A state directory and whoever lives in it. Made by `a_place`."""

    def __init__(self, folder: Path, bus: str) -> None:
        self.state = folder / "state"
        self.out = folder / "out"
        self.out.mkdir()
        self.client = Client(str(self.state), timeout=LIMIT)
        self.environment = {
            **{
                name: value for name, value in os.environ.items() if name != "TRANSFERMON_STATE_DIR"
            },
            "QT_QPA_PLATFORM": "offscreen",
            "DBUS_SESSION_BUS_ADDRESS": bus,
            "HOME": str(folder),
            **{
                f"XDG_{name}_HOME": str(folder / name.lower())
                for name in ("CONFIG", "DATA", "CACHE", "STATE")
            },
        }
        self.processes: list[subprocess.Popen[str]] = []

    # ---- who lives here

    def start(self, *words: str) -> subprocess.Popen[str]:
        return self._popen("-m", "transfermon", "--state-dir", str(self.state), *words)

    def run(self, *words: str) -> tuple[int, str, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=LIMIT)
        return process.returncode, out, err

    def app(self, *words: str) -> subprocess.Popen[str]:
        """The real one, up to its answers and the one that waits behind it."""
        return self._up(self.start("gui", "--minimized", *words))

    def small_app(self) -> subprocess.Popen[str]:
        """The same without Qt."""
        return self._up(self._popen("-c", APP, str(self.state)))

    def _popen(self, *words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *words],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def _up(self, process: subprocess.Popen[str]) -> subprocess.Popen[str]:
        def ready() -> bool:
            assert process.poll() is None, process.communicate()[1]
            return self.status().get("pid") == process.pid and self.waiter() is not None

        until("the app", ready)
        return process

    def waiter(self) -> int | None:
        """The process that waits for the owner's end."""
        return waiter_of(self.state)

    def owner(self) -> int:
        return owner_of(self.state)

    def successor(self, waiter: int | None) -> dict[str, Any]:
        """The status of the engine that the waiter has become."""
        until("the standby", lambda: self.status().get("pid") == waiter)
        return self.status()

    def kill(self, process: subprocess.Popen[str], number: int = signal.SIGKILL) -> None:
        process.send_signal(number)
        process.communicate(timeout=LIMIT)

    def close(self) -> None:
        end_all(self.state, self.processes)

    # ---- what is there

    def get(self, path: str) -> dict[str, Any]:
        try:
            status, answer = self.client.request("GET", path)
        except NoEngine:
            return {}
        assert status == 200, answer
        return answer

    def status(self) -> dict[str, Any]:
        return self.get("/v1/status")

    def tasks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/v1/tasks").get("tasks", [])
        return found

    def events(self) -> list[dict[str, Any]]:
        """The journal, whoever the owner is."""
        code, out, err = self.run("events", "--json")
        assert (code, err) == (0, "")
        return [json.loads(line) for line in out.splitlines()]

    def add(self, url: str, **more: Any) -> str:
        """The name of a new task that saves into `out`."""
        order = {"url": url, "destination": f"{self.out}/", "session": "com.example.test", **more}
        status, answer = self.client.request("POST", "/v1/tasks", order)
        assert status == 201, answer
        return str(answer["id"])

    def received(self) -> int:
        return sum(task["received"] for task in self.tasks())


@contextmanager
def a_place(folder: Path, bus: str = "unix:path=/nonexistent") -> Iterator[Place]:
    place = Place(folder, bus)
    try:
        yield place
    finally:
        place.close()


def slow(resource: Resource) -> None:
    """About 160 kB a second from now on: a body of 8 MB outlasts the start of an app on a machine
    that has other things to do.
    """
    resource.piece, resource.pause = 16 * 1024, 0.1


def quick(resource: Resource) -> None:
    resource.pause = 0.0
