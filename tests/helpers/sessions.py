"""What tests about downloads share: a session that tries again at once, bodies that wait in the
middle, a killed engine.

The one rule to keep: nothing here sleeps for a while; a body goes on when the test says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.helpers.byte_server import Conn, Request, Resource, reply
from tests.helpers.recorder import eventually
from transfermon.engine.monitor import Monitor, Session, TransferTask
from transfermon.model.configuration import RetryPolicy, SessionConfiguration
from transfermon.model.events import DownloadProgressEvent
from transfermon.model.task import Task
from transfermon.system.clock import Clock

QUICK = RetryPolicy(minimum=0.01, maximum=0.05)
DELIVERED = (
    "backgroundtransfer",
    "downloadcompleted",
    "sessioncompleted",
    "sessioneventscompleted",
)


class FastLoop(asyncio.SelectorEventLoop):
    """A loop whose time can be moved on."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


def advance(seconds: float) -> None:
    """Move the running `FastLoop` on; what is due then is called in its next turn."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, FastLoop)
    loop.ahead += seconds
    loop.call_soon(lambda: None)


class LoopClock(Clock):
    """A wall clock that goes with the loop."""

    start = 1_800_000_000.0

    def now(self) -> float:
        return self.start + asyncio.get_running_loop().time()


def quick_session(monitor: Monitor, name: str = "com.example.quick", **changes: Any) -> Session:
    """A background session that tries again after some hundredths of a second."""
    configuration = SessionConfiguration.background(name)
    return monitor.create_session(
        dataclasses.replace(configuration, **{"retry_policy": QUICK, **changes})
    )


def default_session(monitor: Monitor, **changes: Any) -> Session:
    """A session that does not try again by itself."""
    return monitor.create_session(dataclasses.replace(SessionConfiguration.default(), **changes))


def sent(conn: Conn, data: bytes) -> bool:
    """Send these bytes in the place of a resource."""
    conn.send(data)
    return True


def code_of(task: TransferTask | Task) -> int:
    assert task.error is not None, task
    return task.error.code


def parts_in(folder: Path) -> list[Path]:
    """The part files in a folder that need not be there."""
    return sorted(folder.glob(".transfermon-*.part")) if folder.is_dir() else []


def always(answer: bytes) -> Callable[[Conn, Request], bool]:
    """In place of a `Resource`'s answers: this one, each time."""

    def before(conn: Conn, request: Request) -> bool:
        conn.send(answer)
        return True

    return before


def silent(conn: Conn, request: Request) -> bool:
    """In place of a `Resource`'s answer: nothing."""
    conn.stall()
    return True


class Halves:
    """In place of a `Resource`'s answer: the head and `first` bytes, the rest when `go` is set."""

    def __init__(self, resource: Resource, first: int) -> None:
        self.resource = resource
        self.first = first
        self.go = threading.Event()

    def __call__(self, conn: Conn, request: Request) -> bool:
        if self.go.is_set() or request.header("Range"):
            return False
        body = self.resource.body
        fields = {
            "ETag": self.resource.etag,
            "Content-Length": str(len(body)),
            **self.resource.headers,
        }
        conn.send(reply(200, fields) + body[: self.first])
        while not self.go.wait(0.01):
            if conn.server.stopping.is_set():
                return True
        conn.send(body[self.first :])
        return True


def check_sums(events: list[DownloadProgressEvent], offset: int) -> None:
    """D-04: totals grow, and the bytes told add up to them from `offset` on, within one attempt."""
    total = offset
    for event in events:
        assert event.bytes_written >= 0
        total += event.bytes_written
        assert event.total_bytes_written == total, events


_ENGINE = """
import asyncio, dataclasses, sys
sys.path[:0] = {path!r}
from transfermon.model.configuration import RetryPolicy, SessionConfiguration
from transfermon.engine.monitor import Monitor, TEMPORARY
from transfermon.storage.settings import Settings

async def main():
    async with Monitor.open({state!r}, settings=Settings(download_folder={downloads!r})) as monitor:
        monitor.ready()
        configuration = dataclasses.replace(
            SessionConfiguration.background("com.example.quick"),
            retry_policy=RetryPolicy(minimum=0.01, maximum=0.05),
        )
        session = monitor.create_session(configuration)
{body}
asyncio.run(main())
"""


@contextlib.contextmanager
def engine_process(tmp_path: Path, body: str) -> Iterator[subprocess.Popen[str]]:
    """An engine of its own on the state directory of `open_monitor`; it dies without warning at the
    end of the block.

    `body` are the lines of a coroutine that has `monitor` and `session` ("com.example.quick").
    """
    script = _ENGINE.format(
        path=[path for path in sys.path if path],
        state=str(tmp_path / "state"),
        downloads=str(tmp_path / "downloads"),
        body="\n".join(" " * 8 + line for line in body.strip("\n").splitlines()),
    )
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=pipe, stdout=pipe, text=True, env=dict(os.environ)
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


class App:
    """What a program that listens hears, in order."""

    def __init__(self, monitor: Monitor, *names: str) -> None:
        self.monitor = monitor
        self.heard: list[Any] = []
        for name in names or DELIVERED:
            monitor.add_event_listener(name, self.heard.append)

    @property
    def names(self) -> list[str]:
        return [event.type for event in self.heard]

    def of(self, name: str, session: str | None = None) -> list[Any]:
        return [
            event for event in self.heard if event.type == name and session in (None, event.session)
        ]

    async def hears(self, name: str, count: int = 1) -> list[Any]:
        await eventually(
            lambda: len(self.of(name)) >= count, f"{count} {name}, heard: {self.names}"
        )
        return self.of(name)

    async def settles(self) -> None:
        """Until everything decided so far has been told, and what that decided, too."""
        for _ in range(3):
            await self.monitor.overview.history(limit=1)
            await asyncio.sleep(0)
