"""Faults, groups T and S: a clock that jumps, odd homes, lists of other versions, files larger than
2^53 bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, reply, rest
from tests.helpers.recorder import LIMIT, eventually
from tests.helpers.records import a_task
from tests.helpers.sessions import FastLoop, LoopClock, advance, quick_session
from tests.promises.rules.conftest import OpenMonitor
from transfermon.engine.monitor import Monitor
from transfermon.gui.list.columns import VALUES, Column
from transfermon.gui.list.model import ROW_ROLE, TaskModel
from transfermon.model import units
from transfermon.model.configuration import RetryPolicy
from transfermon.model.task import Activity, TaskKey
from transfermon.storage.records import task_of, task_text
from transfermon.storage.schema import MIGRATIONS
from transfermon.system.network_status import Policy
from transfermon.text import humanize

pytestmark = pytest.mark.anyio
YEAR = 365 * 86_400.0


@pytest.fixture
def anyio_backend() -> Any:
    return "asyncio", {"loop_factory": FastLoop}


class SetClock(LoopClock):
    """A wall clock that somebody sets."""

    moved = 0.0

    def now(self) -> float:
        return super().now() + self.moved


@pytest.mark.parametrize("jump", [10 * YEAR, -5 * YEAR, 3600.0, -3600.0])
async def test_fault_t1_a_clock_that_jumps_neither_hastens_nor_delays_a_retry(
    open_monitor: OpenMonitor, server: ByteServer, resource: Resource, jump: float
):
    resource.before = busy
    clock = SetClock()
    async with open_monitor(clock=clock) as monitor:
        session = quick_session(monitor, retry_policy=RetryPolicy(minimum=100, maximum=100))
        tasks = [session.download_task(server.url(f"/{number}")) for number in range(5)]
        await eventually(
            lambda: all(task.record.activity is Activity.RETRYING for task in tasks),
            "five that wait",
        )
        clock.moved = jump
        task = session.download_task(server.url("/after"))
        await eventually(
            lambda: task.record.activity is Activity.RETRYING, "one that began after the jump"
        )
        assert len(server.requests) == 6  # the others were not hurried
        resource.before = None
        advance(101)
        async with asyncio.timeout(LIMIT):
            ended = [await task.wait() for task in [*tasks, task]]
        assert all(record.succeeded for record in ended)
        events = await monitor.overview.history(limit=10_000)
        assert [event.sequence for event in events] == sorted({event.sequence for event in events})


def busy(conn: Conn, _request: Request) -> bool:
    conn.send(reply(503))
    return True


async def test_fault_t2_in_1970_a_transfer_runs_and_nothing_has_expired(
    open_monitor: OpenMonitor, server: ByteServer, resource: Resource
):
    async with open_monitor(ready=False) as monitor:
        key = quick_session(monitor).download_task(server.url("/a.bin")).key
    clock = SetClock()
    clock.moved = 1000.0 - clock.start
    async with open_monitor(clock=clock) as monitor:
        assert (await monitor.handle(key).wait()).succeeded
        assert (await quick_session(monitor).download_task(server.url("/b.bin")).wait()).succeeded


async def test_fault_t5_on_battery_what_may_wait_waits_and_says_why(
    monitor: Monitor, server: ByteServer, policy: Policy
):
    policy.update(on_battery=True)
    session = quick_session(monitor, is_discretionary=True)
    waiting = session.download_task(server.url("/may-wait"))
    asked_for = session.download_task(server.url("/asked-for"), user_initiated=True)
    assert (await asked_for.wait()).succeeded
    assert humanize.status(waiting.record, 0) == "Waiting: the computer runs on battery"
    assert [request.target for request in server.requests] == ["/asked-for"]
    policy.update(on_battery=False)
    async with asyncio.timeout(LIMIT):
        assert (await waiting.wait()).succeeded


def command(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """The command line in this environment and no other."""
    base = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    return subprocess.run(
        [sys.executable, "-m", "transfermon", *words],
        env={**base, **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", ["with a space", "line\nbreak", "é ü", "-rf", "日本"])
def test_fault_t11_any_name_of_a_home_will_do(tmp_path: Path, name: str):
    home = tmp_path / name
    home.mkdir()
    done = command({"HOME": str(home), "LC_ALL": "C"}, "standby")
    assert (done.returncode, done.stderr) == (0, "")
    assert (home / ".local" / "state" / "transfermon" / "transfermon.db").exists()


@pytest.mark.skipif(os.name != "posix", reason="the user database is a thing of Unix")
def test_fault_t11_without_a_home_in_the_environment_nothing_breaks(tmp_path: Path):
    done = command({"XDG_STATE_HOME": str(tmp_path / "not" / "there" / "yet")}, "list", "--json")
    assert (done.returncode, done.stderr) == (0, "")


def test_fault_t11_a_home_that_is_none_is_one_sentence(tmp_path: Path):
    (tmp_path / "home").write_text("not a folder")
    done = command({"HOME": str(tmp_path / "home")}, "standby")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "cannot be made" in done.stderr
    assert "--state-dir" in done.stderr


def test_fault_s7_an_older_program_leaves_a_newer_list_untouched_and_says_so(tmp_path: Path):
    state = tmp_path / "state"
    assert command({}, "--state-dir", str(state), "standby").returncode == 0
    path = state / "transfermon.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(f"pragma user_version={len(MIGRATIONS) + 1}")
    before = path.read_bytes()
    done = command({}, "--state-dir", str(state), "standby")
    assert done.returncode == 2
    assert "newer transfermon" in done.stderr
    assert "Traceback" not in done.stderr
    assert path.read_bytes() == before


async def test_fault_s7_an_upgrade_goes_on_with_what_ran(
    open_monitor: OpenMonitor, tmp_path: Path, server: ByteServer, resource: Resource
):
    resource.stall_after = 100_000
    async with open_monitor() as monitor:
        key = quick_session(monitor).download_task(server.url("/a.bin")).key
        await eventually(lambda: received(monitor, key) == 100_000, "a part of it")
    with contextlib.closing(sqlite3.connect(tmp_path / "state" / "transfermon.db")) as oldest:
        oldest.executescript("drop table wake; drop index journal_unheard; pragma user_version=1;")
    resource.stall_after = None
    async with open_monitor() as monitor:
        record = await monitor.handle(key).wait()
    assert record.succeeded
    assert Path(record.final_path).read_bytes() == resource.body
    assert server.requests[-1].header("Range") == rest(100_000)


def received(monitor: Monitor, key: TaskKey) -> int:
    return (monitor.overview.progress(key) or monitor.task(key)).received


@pytest.mark.parametrize("size", [2**32 + 1, 10**12, 2**53 + 1])
def test_fault_s3_sizes_beyond_32_and_53_bits_stay_exact_in_records_words_and_the_window(
    qapp: Any, size: int
):
    task = a_task(received=size - 1, expected=size)
    again = task_of(task_text(task))
    assert (again.received, again.expected) == (size - 1, size)
    assert units.percent(size - 1, size) == "99 %"
    model = TaskModel()
    model.reset([task])
    assert VALUES[Column.SIZE](model.index(0, Column.SIZE).data(ROW_ROLE)) == size
