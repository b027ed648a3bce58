"""The engine without a window, and the lock that it is handed."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import desktop
from tests.helpers.banners import Banners
from tests.helpers.byte_server import ByteServer, Resource
from tests.helpers.owners import a_place, alive, quick, slow, until
from transfermon.engine.monitor import Monitor
from transfermon.host import standby
from transfermon.host.announcer import Announcer
from transfermon.host.standby import Standby
from transfermon.model.errors import EngineBusyError, StateError
from transfermon.model.events import NotificationEvent
from transfermon.storage.settings import Settings
from transfermon.system.lock import NAME, EngineLock, owner

pytestmark = pytest.mark.anyio
BODY = bytes(range(256)) * 47_000  # 12 MB


@pytest.fixture
def resource() -> Resource:
    return Resource(BODY, etag='"v1"')


@pytest.fixture
def server(resource: Resource) -> Iterator[ByteServer]:
    with ByteServer(resource) as server:
        yield server


async def comes(what: str, condition: Callable[[], Any]) -> None:
    await asyncio.to_thread(until, what, condition)


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


def test_whoever_waits_writes_what_goes_wrong_into_a_private_file(tmp_path):
    with a_place(tmp_path) as place:
        process = place.small_app()
        waiter = place.waiter()
        place.kill(process)
        until("its end", lambda: waiter is not None and not alive(waiter))
        log = place.state / standby.LOG
        assert log.read_text() == ""
        assert log.stat().st_mode & 0o777 == 0o600
