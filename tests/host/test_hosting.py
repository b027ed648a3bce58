"""A process as the engine: who may end it, and from whom it takes the state."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import transfermon
from tests.helpers.owners import a_place
from transfermon.host.hosting import Host
from transfermon.model.errors import EngineBusyError
from transfermon.system.lock import EngineLock, owner

pytestmark = pytest.mark.anyio


@contextmanager
def ignored(number: signal.Signals) -> Iterator[None]:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_asks_for_the_end_and_is_no_more_than_that(number):
    host = Host()
    with host.heeding(number):
        os.kill(os.getpid(), number)
        async with asyncio.timeout(60):
            await host.end_wanted.wait()
    assert host.signalled
    assert host.changed.is_set()  # whoever waits for news looks again


async def test_a_signal_that_was_ignored_before_stays_ignored():
    host = Host()
    with ignored(signal.SIGHUP), host.heeding(signal.SIGHUP, signal.SIGTERM):
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(60):
            await host.end_wanted.wait()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


async def test_a_quit_of_the_engine_asks_for_the_end_and_is_no_signal(state):
    host = Host()
    async with host.owning(state, "a test") as monitor:
        assert owner(state) == os.getpid()
        assert not host.ending
        monitor.request_quit()
        async with asyncio.timeout(60):
            await host.end_wanted.wait()
    assert repr(host) == "<Host ending>"
    assert not host.signalled
    assert owner(state) == 0


async def test_an_event_of_the_engine_is_news(state):
    host = Host()
    async with host.owning(state, "a test") as monitor, asyncio.timeout(60):
        host.changed.clear()
        monitor.notify("Hello", "")
        await host.changed.wait()


async def test_without_patience_an_owner_is_not_asked(state):
    lock = EngineLock.acquire(state, "another test")
    try:
        with pytest.raises(EngineBusyError, match="another test"):
            async with Host().owning(state, "a test"):
                pass
    finally:
        lock.release()


async def test_an_owner_without_a_window_is_asked_to_hand_over(tmp_path):
    with a_place(tmp_path) as place:
        first = place.small_app()
        async with Host().owning(str(place.state), "a test", patience=60.0):
            assert place.owner() == os.getpid()
        assert await asyncio.to_thread(first.wait, 60) == 0


async def test_the_socket_is_gone_before_the_lock(state):
    host, path = Host(), Path(state, "control.sock")
    async with host.owning(state, "a test") as monitor:
        async with host.serving(monitor) as server:
            await server.start()
            assert path.is_socket()
            assert monitor.bus.listens("silentpush")
        assert not path.exists()
        assert not monitor.bus.listens("silentpush")
        assert owner(state) == os.getpid()


def test_a_script_does_its_work_where_the_socket_cannot_be_made(tmp_path):
    with a_place(tmp_path) as place:
        (place.state / "control.sock").mkdir(parents=True)
        place.state.chmod(0o700)
        script = tmp_path / "sample.py"
        script.write_text("print('at work')")
        code, out, err = place.run("run", str(script), "--headless")
    assert (code, out, "no control socket" in err, err.count("\n")) == (0, "at work\n", True, 1), (
        err
    )


def test_whoever_is_the_engine_is_it_in_one_way():
    source = Path(transfermon.__file__).parent
    opening = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if "Monitor.open(" in path.read_text()
    }
    assert opening == {"host/hosting.py"}


async def test_while_it_is_the_engine_cycles_are_looked_for_less_often(state):
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    async with Host().owning(state, "a test"):
        assert gc.get_threshold()[0] > before[0]
        assert gc.get_freeze_count() > frozen
    assert gc.get_threshold() == before
