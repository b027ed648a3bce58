"""Whether a metered network is found out, and followed, and what an engine makes of it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.helpers import desktop
from tests.helpers.byte_server import ByteServer, Resource
from tests.helpers.network_manager import (
    CONNECTED,
    CONNECTING,
    DISCONNECTED,
    GUESS_NO,
    GUESS_YES,
    NO,
    UNKNOWN,
    YES,
    NetworkManager,
    managing,
)
from tests.helpers.owners import Place, until
from tests.helpers.sessions import quick_session
from transfermon.commands.main import main
from transfermon.engine.monitor import DownloadTask, Monitor
from transfermon.model.task import WAITING, Activity, State, TaskKey
from transfermon.storage.settings import Settings
from transfermon.system import metered
from transfermon.system.metered import MeteredWatch, judged, metered_now

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(desktop.DAEMON is None, reason=desktop.WHY_NOT)]
BODY = bytes(range(256)) * 4000
# leads to this machine, but does not look like it: a task for it needs the network
ELSEWHERE = "0.0.0.0"


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ({"Metered": YES}, True),
        ({"Metered": GUESS_YES, "State": CONNECTED}, True),
        ({"Metered": NO}, False),
        ({"Metered": GUESS_NO, "Startup": True}, False),
        ({"Metered": GUESS_NO, "State": CONNECTING}, False),  # another one beside it
        ({"Metered": UNKNOWN, "State": CONNECTED}, False),
        ({"Metered": UNKNOWN, "State": DISCONNECTED}, False),
        ({"Metered": UNKNOWN, "State": CONNECTING}, None),
        ({"Metered": UNKNOWN, "State": DISCONNECTED, "Startup": True}, None),
        ({"Metered": 17, "State": CONNECTED}, False),
        ({}, False),  # one from before 2015
    ],
)
def test_what_networkmanager_says_is_taken_at_its_word(said: dict[str, Any], known: bool | None):
    assert judged(said).metered is known


@asynccontextmanager
async def following(address: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Any]]:
    """What a watch tells, as long as the block lasts."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    told: list[Any] = []
    watch = MeteredWatch()
    watch.watch(told.append)
    try:
        yield told
    finally:
        await watch.close()


async def comes(what: str, condition: Callable[[], Any]) -> None:
    await asyncio.to_thread(until, what, condition)


async def is_told(told: list[Any], *words: bool | None) -> None:
    """These and no others; what is told twice counts once."""
    await comes(f"{words}", lambda: distinct(told) == list(words))


def distinct(told: list[Any]) -> list[Any]:
    return [word for at, word in enumerate(told) if at == 0 or told[at - 1] is not word]


async def test_changes_are_followed_and_nobody_polls(monkeypatch):
    with managing(Metered=GUESS_NO) as manager:
        async with following(manager.address, monkeypatch) as told:
            await is_told(told, False)
            manager.say(Metered=GUESS_YES)
            await is_told(told, False, True)
            manager.say(Metered=NO)
            await is_told(told, False, True, False)
            assert manager.asked == 3


async def test_on_the_way_to_a_network_it_is_not_known(monkeypatch):
    with managing(Metered=UNKNOWN, State=DISCONNECTED) as manager:
        async with following(manager.address, monkeypatch) as told:
            await is_told(told, False)
            manager.say(State=CONNECTING)
            await is_told(told, False, None)
            manager.say(State=CONNECTED, Metered=YES)
            await is_told(told, False, None, True)


async def test_one_that_never_gets_there_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(metered, "PATIENCE", 0.05)
    with managing(Metered=UNKNOWN, State=CONNECTING) as manager:
        async with following(manager.address, monkeypatch) as told:
            await is_told(told, None, False)


async def test_one_that_comes_later_is_heard(monkeypatch):
    with managing(there=False) as manager:
        async with following(manager.address, monkeypatch) as told:
            await is_told(told, False)
            manager.come(Metered=YES)
            await is_told(told, False, True)


async def test_while_one_restarts_it_is_not_known_and_then_what_it_says_counts(monkeypatch):
    with managing(Metered=YES) as manager:
        async with following(manager.address, monkeypatch) as told:
            await is_told(told, True)
            manager.go()
            await is_told(told, True, None)
            manager.come(Metered=UNKNOWN, Startup=True)
            manager.say(Startup=False, Metered=YES)
            await is_told(told, True, None, True)


async def test_one_that_stays_away_counts_no_more(monkeypatch):
    monkeypatch.setattr(metered, "PATIENCE", 0.05)
    with managing(Metered=YES) as manager:
        async with following(manager.address, monkeypatch) as told:
            await is_told(told, True)
            manager.go()
            await is_told(told, True, None, False)


async def test_one_that_hangs_counts_as_none(monkeypatch):
    monkeypatch.setattr(metered, "ANSWER", 0.5)
    with managing(Metered=YES) as manager:
        manager.hangs = True
        async with following(manager.address, monkeypatch) as told:
            await is_told(told, False)
            manager.hangs = False
            manager.say(Metered=GUESS_YES)
            await is_told(told, False, True)


async def test_a_bus_that_ends_takes_its_word_along(monkeypatch):
    with managing(Metered=YES) as manager:
        watching = following(manager.address, monkeypatch)
        told = await watching.__aenter__()
        await is_told(told, True)
    await comes("the end of the word", lambda: told[-1] is False)
    await watching.__aexit__(None, None, None)


async def test_fault_d10_without_a_bus_no_network_is_metered(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    async with following(f"unix:path={tmp_path}/none", monkeypatch) as told:
        await is_told(told, False)
    assert (await metered_now()).metered is False
    assert caplog.records == []


async def test_a_bus_that_never_speaks_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(metered, "ANSWER", 0.05)
    path = str(tmp_path / "bus")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        async with following(f"unix:path={path}", monkeypatch) as told:
            await is_told(told, False)


async def test_it_can_end_at_any_moment(monkeypatch):
    with managing(Metered=YES) as manager:
        for turns in range(60):
            async with following(manager.address, monkeypatch):
                for _ in range(turns):
                    await asyncio.sleep(0)


async def test_asked_once_it_says_who_says_so(monkeypatch):
    with managing(Metered=GUESS_YES) as manager:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", manager.address)
        assert (await metered_now()).in_words == "metered, guesses NetworkManager"
        manager.go()
        assert "no NetworkManager" in (await metered_now()).in_words


# ---- the transfers


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[NetworkManager]:
    with managing(Metered=GUESS_YES) as manager:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", manager.address)
        yield manager


@pytest.fixture
def resource() -> Resource:
    return Resource(BODY, etag='"v1"')


@pytest.fixture
def server(resource: Resource) -> Iterator[ByteServer]:
    with ByteServer(resource) as server:
        yield server


async def waits(monitor: Monitor, key: TaskKey) -> None:
    """Until it waits because the network is metered."""
    await comes(
        "the wait",
        lambda: (
            monitor.task(key).activity in WAITING
            and monitor.task(key).waiting_reason == "The network is metered."
        ),
    )


async def moves(task: DownloadTask) -> None:
    await comes("bytes", lambda: task.activity is Activity.TRANSFERRING)


async def test_on_a_metered_network_what_minds_it_never_starts_until_it_changes(
    manager, server, resource, tmp_path
):
    settings = Settings(download_folder=str(tmp_path / "out"))
    async with Monitor.open(str(tmp_path / "state"), settings=settings) as monitor:
        monitor.ready()
        refusing = quick_session(monitor, "refusing", allows_metered_access=False)
        discretionary = quick_session(monitor, "discretionary", is_discretionary=True)
        tasks = [
            refusing.download_task(server.url("/a", ELSEWHERE)),
            discretionary.download_task(server.url("/b", ELSEWHERE)),
        ]
        for task in tasks:
            await waits(monitor, task.key)
        assert server.connections == 0
        resource.stall_after = 50_000
        manager.say(Metered=NO)
        for task in tasks:
            await moves(task)
        manager.say(Metered=YES)
        await waits(monitor, tasks[0].key)
        assert tasks[1].activity is Activity.TRANSFERRING  # what has started goes on
        tasks[1].cancel()
    resource.stall_after = None
    async with Monitor.open(str(tmp_path / "state"), settings=settings) as monitor:  # anew
        monitor.ready()
        key = tasks[0].key
        await waits(monitor, key)
        manager.say(Metered=GUESS_NO)
        assert (await monitor.handle(key).wait()).succeeded


async def test_nobody_asks_where_no_task_minds(manager, server, tmp_path):
    settings = Settings(download_folder=str(tmp_path / "out"))
    async with Monitor.open(str(tmp_path / "state"), settings=settings) as monitor:
        monitor.ready()
        await quick_session(monitor).download_task(server.url("/a", ELSEWHERE)).wait()
        assert not monitor.overview.status().metered
    assert manager.asked == 0


async def test_without_networkmanager_what_minds_it_starts(server, tmp_path, monkeypatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")
    settings = Settings(download_folder=str(tmp_path / "out"))
    async with Monitor.open(str(tmp_path / "state"), settings=settings) as monitor:
        monitor.ready()
        session = quick_session(monitor, allows_metered_access=False, is_discretionary=True)
        task = session.download_task(server.url("/a", ELSEWHERE))
        assert (await task.wait()).state is State.COMPLETED


def test_the_app_finds_it_out_by_itself(place: Place, manager):
    place.environment.update(manager.environment)
    place.app()
    until("the word", lambda: place.status()["metered"])
    manager.say(Metered=NO)
    until("the next word", lambda: not place.status()["metered"])


def test_doctor_says_who_says_so(manager, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TRANSFERMON_STATE_DIR", str(tmp_path / "state"))
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["Network"] == "metered, guesses NetworkManager"
