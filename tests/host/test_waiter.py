"""The small process that waits behind the app."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.helpers.owners import a_place, is_held, until
from transfermon.engine.monitor import Monitor
from transfermon.host.waiter import LOCK, SCRIPT, Waiter, goes_on
from transfermon.storage.settings import Settings

pytestmark = pytest.mark.anyio


async def comes(what: str, condition: Callable[[], Any]) -> None:
    await asyncio.to_thread(until, what, condition)


def waits(state: str) -> bool:
    """Whether a waiter holds its lock; then it is in, or just before, its wait for the engine
    lock.
    """
    return is_held(Path(state, LOCK))


@contextmanager
def a_process(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(words)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


async def test_the_waiter_is_small_and_asleep(state, held):
    waiter = Waiter(state)
    waiter.start()
    try:
        stat = Path(f"/proc/{waiter.pid}/status")
        await comes("its sleep", lambda: "State:\tS" in stat.read_text() and waits(state))
        facts = dict(line.split(":\t", 1) for line in stat.read_text().splitlines())
        assert int(facts["VmRSS"].split()[0]) < 15 * 1024
        assert facts["Threads"] == "1"
        # the end of a terminal is not its end
        assert os.getsid(cast(int, waiter.pid)) == waiter.pid
    finally:
        await waiter.end()


async def test_hang_up_and_interrupt_leave_it_alone_and_terminate_ends_it(state, held):
    with a_process(sys.executable, "-I", "-S", SCRIPT, state) as process:
        await comes("its wait", lambda: waits(state))
        for number in (signal.SIGHUP, signal.SIGINT):
            process.send_signal(number)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == -signal.SIGTERM


async def test_a_second_waiter_ends_at_once_and_leaves_no_zombie(state, held):
    first, second = Waiter(state), Waiter(state)
    first.start()
    try:
        await comes("its wait", lambda: waits(state))
        second.start()
        pid = second.pid
        async with asyncio.timeout(60):
            while second.pid is not None:
                await asyncio.sleep(0.01)
        assert not Path(f"/proc/{pid}").exists()
        assert first.pid is not None
    finally:
        await first.end()
        await second.end()


async def test_the_end_of_a_waiter_leaves_no_process(state, held):
    waiter = Waiter(state)
    waiter.start()
    waiter.start()
    pid = waiter.pid
    await waiter.end()
    assert not Path(f"/proc/{pid}").exists()
    assert not waits(state)
    await waiter.end()


async def test_one_of_an_earlier_owner_is_ended_too(state, held):
    with a_process(sys.executable, "-I", "-S", SCRIPT, state) as process:
        await comes("its wait", lambda: waits(state))
        await Waiter(state).end()
        assert process.wait(10) == -signal.SIGTERM


async def test_a_number_that_became_another_process_is_left_alone(state, held):
    with a_process(sys.executable, "-c", "import time; time.sleep(60)") as bystander:
        Path(state, LOCK).write_text(str(bystander.pid))
        await Waiter(state).end()
        assert bystander.poll() is None


async def test_the_window_reaps_a_waiter_that_was_killed(tmp_path):
    with a_place(tmp_path) as place:
        await asyncio.to_thread(place.app)
        waiter = place.waiter()
        assert waiter is not None
        os.kill(waiter, signal.SIGKILL)
        await comes("its end without a zombie", lambda: not Path(f"/proc/{waiter}").exists())


# ---- whether somebody goes on


def monitor_like(
    *, keep: bool, after_quit: str, released: bool, force_quit: bool, busy: bool, wanted: bool
) -> Monitor:
    settings = Settings(keep_transferring=keep, keep_after_quit=after_quit)
    background = SimpleNamespace(open_handlers=("Fetch-1",) if busy else (), expects=False)
    return cast(
        Monitor,
        SimpleNamespace(
            settings=settings,
            released=released,
            force_quit=force_quit,
            keep_going=wanted,
            background=background,
            scheduled_notifications=(),
            sessions=(),
            overview=SimpleNamespace(running_progress=dict),
        ),
    )


@pytest.mark.parametrize(
    ("crashed", "facts", "expected"),
    [
        (True, {}, True),
        (True, {"keep": False}, False),
        (False, {}, False),  # not asked yet
        (False, {"after_quit": "yes"}, True),
        (False, {"after_quit": "no"}, False),
        (False, {"wanted": True}, True),
        (False, {"wanted": True, "busy": False}, False),
        (False, {"after_quit": "yes", "busy": False}, False),
        (False, {"after_quit": "yes", "released": True}, False),
        (False, {"after_quit": "yes", "force_quit": True}, False),
        (True, {"force_quit": True}, False),
    ],
)
def test_who_goes_on_after_the_end_of_the_app(crashed, facts, expected):
    defaults: dict[str, Any] = {
        "keep": True,
        "after_quit": "ask",
        "released": False,
        "force_quit": False,
        "busy": True,
        "wanted": False,
    }
    assert goes_on(monitor_like(**{**defaults, **facts}), crashed=crashed) is expected
