"""Fixtures of the conformance tests: a monitor with a recorder on it, a session, a scripted server.

The one rule to keep: whatever opens a monitor here puts a recorder on it, and section 4 is checked
when it has closed.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Resource
from tests.helpers.qt_loop import qt_backend
from tests.helpers.recorder import RECORDERS, Recorder, recorder_of
from transfermon.engine.monitor import Monitor, Session
from transfermon.storage.settings import Settings
from transfermon.system.clock import Clock
from transfermon.system.network_status import Connectivity, Policy

OpenMonitor = Callable[..., AbstractAsyncContextManager[Monitor]]


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """asyncio; with the mark `BOTH_LOOPS` also Qt's loop."""
    if getattr(request, "param", "asyncio") == "asyncio":
        return "asyncio"
    return qt_backend(request.getfixturevalue("qapp"))


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    """Where files without a destination go; the engine makes it."""
    return tmp_path / "downloads"


@pytest.fixture
def settings(downloads: Path) -> Settings:
    return Settings(download_folder=str(downloads))


@pytest.fixture
def connectivity() -> Connectivity:
    """The network as the engine sees it: there, until a test says otherwise with `update`."""
    return Connectivity()


@pytest.fixture
def policy() -> Policy:
    """Power and price of the network as the engine sees them: mains, free of charge."""
    return Policy()


@pytest.fixture
def open_monitor(
    tmp_path: Path, settings: Settings, connectivity: Connectivity, policy: Policy
) -> OpenMonitor:
    """Opens the same state directory, again after an end; `recorder_of` gives the recorder.

    `ready=False` leaves restored tasks alone until `monitor.ready()`.
    """

    @contextlib.asynccontextmanager
    async def start(
        *, ready: bool = True, settings: Settings = settings, clock: Clock | None = None
    ) -> AsyncIterator[Monitor]:
        async with Monitor.open(
            str(tmp_path / "state"),
            settings=settings,
            connectivity=connectivity,
            policy=policy,
            clock=clock,
        ) as monitor:
            recorder = RECORDERS[monitor] = Recorder(monitor)
            if ready:
                monitor.ready()
            yield monitor
        recorder.check()

    return start


@pytest.fixture
async def monitor(open_monitor: OpenMonitor) -> AsyncIterator[Monitor]:
    async with open_monitor() as monitor:
        yield monitor


@pytest.fixture
def recorder(monitor: Monitor) -> Recorder:
    return recorder_of(monitor)


@pytest.fixture
def session(monitor: Monitor) -> Session:
    """A background session, "com.example.test"."""
    return monitor.session("com.example.test")


@pytest.fixture
def resource() -> Resource:
    """What `server` serves at every path: 300 kB with a strong validator. Change it at any time."""
    return Resource(bytes(range(256)) * 1172, etag='"v1"')


@pytest.fixture
def server(resource: Resource) -> Iterator[ByteServer]:
    with ByteServer(resource) as server:
        yield server
