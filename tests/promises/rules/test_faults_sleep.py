"""T3 and T7: the computer sleeps in the middle of transfers, or its screen is locked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import desktop
from tests.helpers.awake import LOGIN, Keepers, keeping
from tests.helpers.byte_server import ByteServer, Resource
from tests.helpers.owners import Place, a_place, quick, slow, until
from transfermon.engine.monitor import Monitor
from transfermon.model.task import State
from transfermon.storage.settings import Settings
from transfermon.system import sleep
from transfermon.system.sleep import Sleep

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(desktop.DAEMON is None, reason=desktop.WHY_NOT)]
BODY = bytes(range(256)) * 40_000


@pytest.fixture
def keepers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Keepers]:
    with keeping((LOGIN,)) as keepers:
        for name, value in keepers.environment.items():
            monkeypatch.setenv(name, value)
        yield keepers


@pytest.fixture
def resource() -> Resource:
    return Resource(BODY, etag='"v1"')


@pytest.fixture
def server(resource: Resource) -> Iterator[ByteServer]:
    slow(resource)
    with ByteServer(resource) as server:
        yield server


@pytest.fixture
def place(tmp_path: Path, keepers: Keepers) -> Iterator[Place]:
    with a_place(tmp_path) as place:
        place.environment.update(keepers.environment)
        yield place


async def test_fault_t3_what_arrived_is_stored_before_the_sleep_and_goes_on_after_it(
    keepers: Keepers, resource: Resource, server: ByteServer, tmp_path: Path
):
    opened = Monitor.open(str(tmp_path / "state"), settings=Settings(), sleep=Sleep())
    async with opened as monitor:
        monitor.ready()
        session = monitor.session("s")
        tasks = [
            session.download_task(server.url(f"/{n}"), destination=str(tmp_path / f"{n}"))
            for n in range(3)
        ]
        await asyncio.to_thread(until, "the delay", lambda: keepers.delaying == 1)
        await asyncio.to_thread(
            until, "bytes", lambda: all(task.count_of_bytes_received > 0 for task in tasks)
        )
        keepers.sleeps(True)
        await asyncio.to_thread(until, "the sleep", lambda: keepers.delaying == 0)
        for task in tasks:  # nothing moves, and what arrived is in the file and in the database
            record = task.record
            assert (record.state, record.waiting) == (State.RUNNING, False)
            assert Path(record.part_path).stat().st_size >= record.received > 0
        assert monitor.overview.running_progress() == {}
        await asyncio.to_thread(until, "the ends of the connections", lambda: server.open_now == 0)
        asked = len(server.requests)
        quick(resource)
        keepers.sleeps(False)
        ends = [await task.wait() for task in tasks]
        assert all(end.succeeded and Path(end.file).read_bytes() == BODY for end in ends)
        assert len(server.requests) == asked + 3
        assert all(request.header("Range") for request in server.requests[asked:])
        await asyncio.to_thread(until, "the next delay", lambda: keepers.delaying == 1)
    await asyncio.to_thread(until, "the end", lambda: keepers.delaying == 0)


async def test_fault_t3_a_sleep_is_no_failed_attempt(
    keepers: Keepers, resource: Resource, server: ByteServer, tmp_path: Path
):
    opened = Monitor.open(str(tmp_path / "state"), settings=Settings(), sleep=Sleep())
    async with opened as monitor:
        monitor.ready()
        task = monitor.session("s").download_task(server.url(), destination=str(tmp_path / "a"))
        for _ in range(4):
            await asyncio.to_thread(until, "the delay", lambda: keepers.delaying == 1)
            await asyncio.to_thread(until, "bytes", lambda: monitor.overview.running_progress())
            keepers.sleeps(True)
            await asyncio.to_thread(until, "the sleep", lambda: keepers.delaying == 0)
            keepers.sleeps(False)
        quick(resource)
        end = await task.wait()
        assert end.succeeded
        assert end.error is None


async def test_fault_t3_a_wake_that_nobody_tells_of_holds_nothing_up(
    keepers: Keepers,
    resource: Resource,
    server: ByteServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(sleep, "AWAKE", 0.5)
    opened = Monitor.open(str(tmp_path / "state"), settings=Settings(), sleep=Sleep())
    async with opened as monitor:
        monitor.ready()
        task = monitor.session("s").download_task(server.url(), destination=str(tmp_path / "a"))
        await asyncio.to_thread(until, "the delay", lambda: keepers.delaying == 1)
        await asyncio.to_thread(until, "bytes", lambda: monitor.overview.running_progress())
        keepers.sleeps(True)
        await asyncio.to_thread(until, "the sleep", lambda: keepers.delaying == 0)
        quick(resource)
        assert (await task.wait()).succeeded


def test_fault_t3_the_app_sleeps_and_wakes(
    keepers: Keepers, resource: Resource, server: ByteServer, place: Place
):
    place.app()
    place.add(server.url())
    until("the delay", lambda: keepers.delaying == 1)
    until("bytes", lambda: place.received() > 0)
    keepers.sleeps(True)
    until("the sleep", lambda: keepers.delaying == 0)
    until("the end of the connection", lambda: server.open_now == 0)
    quick(resource)
    keepers.sleeps(False)
    until("the end", lambda: [task["state"] for task in place.tasks()] == ["completed"])
    assert next(place.out.iterdir()).read_bytes() == BODY


@pytest.mark.parametrize("names", [True, False])
def test_fault_t7_behind_a_locked_screen_it_goes_on_and_banners_name_nothing_if_a_person_says_so(
    keepers: Keepers, resource: Resource, server: ByteServer, tmp_path: Path, names: bool
):
    (tmp_path / "state").mkdir(mode=0o700)
    settings = {"notify_names": names, "notify": "task"}
    (tmp_path / "state" / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    with desktop.running() as session, a_place(tmp_path, session.address) as place:
        place.environment["DBUS_SYSTEM_BUS_ADDRESS"] = keepers.address
        place.app()
        place.add(server.url("/divorce.pdf"))
        until("bytes", lambda: place.received() > 0)
        keepers.locks()
        quick(resource)
        until("the banner", lambda: session.shown)
        place.client.request(
            "POST", "/v1/push", '{"aps": {"alert": "divorce", "content-available": 1}}'
        )
        until("the other banner", lambda: len(session.shown) >= 2)
        said = " ".join(f"{shown.title} {shown.body}" for shown in session.shown)
        assert ("divorce" in said) is names
        assert session.shown[0].title == "Transfer finished"
        assert "divorce" in json.dumps(place.events())  # the journal is nobody else's to read
