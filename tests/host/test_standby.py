"""The waiter behind the app, and the engine without a window."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.helpers import desktop
from tests.helpers.banners import Banners
from tests.helpers.byte_server import ByteServer, Resource
from tests.helpers.owners import a_place, alive, is_held, quick, slow, until
from transfermon.engine.monitor import Monitor
from transfermon.host import standby
from transfermon.host.announcer import Announcer
from transfermon.host.standby import SCRIPT, Standby, Waiter
from transfermon.model.errors import EngineBusyError, StateError
from transfermon.model.events import NotificationEvent
from transfermon.storage.settings import Settings, ensure_private
from transfermon.system.lock import NAME, EngineLock, owner

pytestmark = pytest.mark.anyio
BODY = bytes(range(256)) * 47_000  # 12 MB


@pytest.fixture
def state(tmp_path: Path) -> str:
    folder = str(tmp_path / "state")
    ensure_private(folder)
    return folder


@pytest.fixture
def held(state: str) -> Iterator[EngineLock]:
    """The engine lock, so that a waiter waits."""
    lock = EngineLock.acquire(state, "a test")
    yield lock
    lock.release()


@pytest.fixture
def resource() -> Resource:
    return Resource(BODY, etag='"v1"')


@pytest.fixture
def server(resource: Resource) -> Iterator[ByteServer]:
    with ByteServer(resource) as server:
        yield server


async def comes(what: str, condition: Callable[[], Any]) -> None:
    await asyncio.to_thread(until, what, condition)


def waits(state: str) -> bool:
    """Whether a waiter holds its lock; then it is in, or just before, its wait for the engine
    lock.
    """
    return is_held(Path(state, standby.LOCK))


# ---- the waiter


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
        Path(state, standby.LOCK).write_text(str(bystander.pid))
        await Waiter(state).end()
        assert bystander.poll() is None


# ---- the lock that was handed over


def test_an_adopted_lock_is_ours_and_no_child_gets_it(state, held):
    fd = os.dup(held._fd)  # the same open file, as after exec
    os.set_inheritable(fd, True)
    adopted = EngineLock.adopt(state, fd, "a successor")
    assert not os.get_inheritable(fd)
    with pytest.raises(EngineBusyError, match="a successor") as refused:
        EngineLock.acquire(state)
    assert str(os.getpid()) in refused.value.title
    os.close(held._fd)
    held._fd = -1
    assert owner(state) == os.getpid()
    with pytest.raises(EngineBusyError):
        EngineLock.acquire(state)
    adopted.release()
    assert owner(state) == 0
    EngineLock.acquire(state).release()


def test_another_file_is_not_taken_for_the_lock(state, held, tmp_path):
    other = tmp_path / "other"
    fd = os.open(other, os.O_RDWR | os.O_CREAT)
    try:
        with pytest.raises(StateError, match="is not"):
            EngineLock.adopt(state, fd)
        assert not os.get_inheritable(fd)
    finally:
        os.close(fd)


def test_a_lock_file_that_was_replaced_is_noticed(state, held):
    Path(state, NAME).rename(Path(state, "old"))
    Path(state, NAME).touch()
    with pytest.raises(StateError, match="is not"):
        EngineLock.adopt(state, held._fd)


def test_an_open_file_without_the_lock_is_refused(state, held):
    fd = os.open(Path(state, NAME), os.O_RDWR)
    try:
        with pytest.raises(EngineBusyError):
            EngineLock.adopt(state, fd)
    finally:
        os.close(fd)


def test_a_number_that_is_no_open_file_is_wrong_usage(tmp_path):
    with a_place(tmp_path) as place:
        code, out, err = place.run("standby", "--lock-fd", "77")
        assert (code, out) == (2, "")
        assert err == "transfermon: There is no open file 77.\n"


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
    assert standby.goes_on(monitor_like(**{**defaults, **facts}), crashed=crashed) is expected


# ---- the engine without a window


@pytest.fixture
def interrupted(state: str, tmp_path: Path, server: ByteServer) -> Callable[..., Any]:
    """Leaves a running task behind, as an app that ended in the middle."""

    async def leave(name: str = "a.bin", *, start: bool = True) -> None:
        async with Monitor.open(state, settings=Settings()) as monitor:
            session = monitor.session("com.example.test")
            await session.download_task(
                server.url(f"/{name}"), destination=tmp_path / name, start=start
            ).accepted

    return leave


def journal(state: str) -> list[tuple[str, int]]:
    database = sqlite3.connect(Path(state, "transfermon.db"))
    try:
        rows = database.execute(
            "select type, acknowledged from journal order by sequence"
        ).fetchall()
    finally:
        database.close()
    return rows


async def test_it_finishes_what_is_left_and_ends_by_itself(state, interrupted, tmp_path):
    await interrupted()
    async with asyncio.timeout(60):
        await Standby(state).live()
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert owner(state) == 0
    assert not Path(state, "control.sock").exists()


async def test_terminal_events_wait_for_the_app(state, interrupted):
    await interrupted()
    await Standby(state).live()
    terminal = [
        row for row in journal(state) if row[0] in ("downloadcompleted", "sessioncompleted")
    ]
    assert terminal == [("downloadcompleted", 0), ("sessioncompleted", 0)]


async def test_the_end_is_told_once(state, interrupted):
    await interrupted("a.bin")
    await interrupted("b.bin")
    await Standby(state).live()
    async with Monitor.open(state, settings=Settings()) as monitor:
        told = [
            event
            for event in await monitor.overview.history()
            if isinstance(event, NotificationEvent)
        ]
    assert [(event.alert_title, event.alert_body) for event in told] == [
        ("Transfers finished", "2 files, 24.1 MB in com.example.test")
    ]


async def test_nothing_left_to_do_ends_it_at_once(state, interrupted):
    await interrupted(start=False)  # paused: it waits for a person
    async with asyncio.timeout(60):
        await Standby(state).live()
    async with Monitor.open(state, settings=Settings()) as monitor:
        assert monitor.tasks()[0].state.value == "suspended"


async def test_what_is_added_meanwhile_is_work_too(state, interrupted, resource, server, tmp_path):
    slow(resource)
    await interrupted()
    with a_place(tmp_path) as place:
        process = place.start("standby")
        await comes("bytes", lambda: place.received() > 100_000)
        place.add(server.url("/more.bin"))
        quick(resource)
        assert process.communicate(timeout=60) == ("", "")
        assert process.returncode == 0
        assert (place.out / "more.bin").read_bytes() == BODY
        assert (tmp_path / "a.bin").read_bytes() == BODY


def test_the_command_refuses_while_there_is_an_engine(tmp_path, state, held):
    with a_place(tmp_path) as place:
        code, out, err = place.run("standby")
    assert (code, out) == (3, "")
    assert "in the hands of a test" in err


def test_the_command_has_nothing_to_do_in_a_fresh_folder(tmp_path):
    with a_place(tmp_path) as place:
        assert place.run("standby") == (0, "", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_and_keeps_what_is_there(
    state, interrupted, resource, tmp_path, number
):
    slow(resource)
    await interrupted()
    with a_place(tmp_path) as place:
        process = place.start("standby")
        await comes("bytes", lambda: place.received() > 100_000)
        process.send_signal(number)
        assert process.communicate(timeout=60) == ("", "")
        assert process.returncode == 0
    async with Monitor.open(state, settings=Settings()) as monitor:
        (task,) = monitor.tasks()
        assert task.state.value == "running"
        assert 0 < task.received < len(BODY)


async def test_a_person_is_told_on_the_desktop(state, interrupted, tmp_path):
    if desktop.DAEMON is None:
        pytest.skip(desktop.WHY_NOT)
    await interrupted()
    with desktop.running() as screen, a_place(tmp_path, screen.address) as place:
        assert await asyncio.to_thread(place.run, "standby") == (0, "", "")
        assert [(shown.title, shown.body) for shown in screen.shown] == [
            ("Transfer finished", "a.bin, 12.0 MB")
        ]


async def test_a_person_hears_that_it_goes_on_and_can_stop_it(state):
    banners = Banners()
    async with Monitor.open(state, settings=Settings()) as monitor:
        announcer = Announcer(monitor, banners)
        announcer.batches.tell_that_transfers_go_on(2, after=0.0)
        async with asyncio.timeout(60):
            while not banners.shown:
                await asyncio.sleep(0.01)
        await announcer.close()
        assert banners.shown == [("Still transferring", "2 transfers go on without a window")]
        (stop,) = banners.buttons
        assert stop.title == "Stop"
        stop.pressed()
        assert monitor.quitting.is_set()


@pytest.mark.parametrize(
    ("how", "titles"),
    [("task", ["Transfer finished"] * 2), ("off", []), ("batch", ["Transfers finished"])],
)
async def test_it_tells_as_the_settings_say(state, server, tmp_path, how, titles):
    banners = Banners()
    async with Monitor.open(state, settings=Settings(notify=how)) as monitor:
        announcer = Announcer(monitor, banners)
        session = monitor.session("com.example.test")
        tasks = [
            session.download_task(server.url(f"/{name}"), destination=tmp_path / name)
            for name in "ab"
        ]
        for task in tasks:
            await task.wait()
        await announcer.finish()
        await announcer.close()
    assert [title for title, _ in banners.shown] == titles


async def test_the_window_reaps_a_waiter_that_was_killed(tmp_path):
    with a_place(tmp_path) as place:
        await asyncio.to_thread(place.app)
        waiter = place.waiter()
        assert waiter is not None
        os.kill(waiter, signal.SIGKILL)
        await comes("its end without a zombie", lambda: not Path(f"/proc/{waiter}").exists())


def test_whoever_waits_writes_what_goes_wrong_into_a_private_file(tmp_path):
    with a_place(tmp_path) as place:
        process = place.small_app()
        waiter = place.waiter()
        place.kill(process)
        until("its end", lambda: waiter is not None and not alive(waiter))
        log = place.state / standby.LOG
        assert log.read_text() == ""
        assert log.stat().st_mode & 0o777 == 0o600
