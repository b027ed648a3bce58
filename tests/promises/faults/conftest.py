"""The fixtures of the conformance tests serve the faults too: monitor, session, recorder, server.
Here is a network.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.helpers import namespaces
from tests.helpers.namespaces import Network
from tests.helpers.recorder import RECORDERS, Recorder
from tests.promises.rules.conftest import *  # noqa: F403 - fixtures are found by their names
from transfermon.engine.monitor import Monitor
from transfermon.storage.settings import Settings


@pytest.fixture
def net() -> Iterator[Network]:
    """A network of our own; the monitor of the test must be opened after it."""
    if namespaces.why_not():
        pytest.skip(namespaces.why_not())
    with namespaces.network() as network:
        yield network


@pytest.fixture
async def watching(net: Network, tmp_path: Path, settings: Settings) -> AsyncIterator[Monitor]:
    """A monitor that asks the kernel of our own network for itself."""
    async with Monitor.open(str(tmp_path / "state"), settings=settings) as monitor:
        recorder = RECORDERS[monitor] = Recorder(monitor)
        monitor.ready()
        yield monitor
    recorder.check()
