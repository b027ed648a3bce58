"""Fixtures for every test."""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.helpers.owners import Place, a_place

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # before PySide6 is imported

# a shell's background job would hand down “ignored”
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and so would nohup
# how fast they come is the machine's affair
for profile, examples in (("suite", 50), ("all", 200)):
    settings.register_profile(
        profile, max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
settings.load_profile("suite")  # `make test-all` asks for the other one

# the collector must not meet Qt's objects on a worker thread: it runs between tests, on this one
gc.disable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    cores = os.cpu_count() or 1
    return min(3 * cores, cores + 8)  # most tests wait for processes and sockets half of their time


def pytest_collection_finish() -> None:
    gc.freeze()  # what the imports made stays anyway


@pytest.fixture(autouse=True)
def _garbage() -> Iterator[None]:
    yield
    gc.collect()


class Guard:
    """Ends this process with a traceback when a test hangs so deep in C that its timeout does
    nothing.

    Armed anew now and then, not for each test: that takes a thread each time.
    """

    LIMIT, PERIOD = 180.0, 30.0  # seconds

    def __init__(self) -> None:
        self._output = os.dup(2)  # the worker's own, which no test captures
        self._armed = 0.0

    def arm(self) -> None:
        if time.monotonic() - self._armed > self.PERIOD:
            self._armed = time.monotonic()
            faulthandler.dump_traceback_later(self.LIMIT, exit=True, file=self._output)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[GUARD] = Guard()


def pytest_unconfigure() -> None:
    faulthandler.cancel_dump_traceback_later()


GUARD = pytest.StashKey[Guard]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """What is left after a test stays for long: looking at it again after each test took half of
    the suite's time.

    Only now, when nothing holds the test's fixtures any more: a window that is frozen alive would
    live for ever.
    """
    item.config.stash[GUARD].arm()
    result = yield
    gc.collect()
    gc.freeze()
    return result


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Folders for the app and its commands, of which nothing is left afterwards."""
    with a_place(tmp_path) as place:
        yield place
