"""K18, K19, W16: a damaged, a foreign and a locked database."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Resource
from tests.helpers.engine_script import configuration
from tests.helpers.harness import LIMIT, Held, content, parts
from transfermon.engine.monitor import Monitor
from transfermon.model.errors import StateError
from transfermon.model.events import NotificationEvent
from transfermon.storage.database import BUSY_SECONDS
from transfermon.storage.settings import Settings

pytestmark = pytest.mark.anyio

SIZE, STORED = 600_000, 400_000
BODY = content(SIZE)


class Place:
    def __init__(self, folder: Path) -> None:
        self.state, self.out = folder / "state", folder / "out"
        self.out.mkdir()
        self.database = self.state / "transfermon.db"

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Monitor]:
        async with Monitor.open(
            str(self.state), settings=Settings(download_folder=str(self.out))
        ) as monitor:
            yield monitor

    def set_aside(self) -> list[Path]:
        return sorted(
            path
            for path in self.state.glob("transfermon.db.damaged-*")
            if path.suffix not in ("-wal", "-shm")
        )


@pytest.fixture
async def place(tmp_path: Path) -> Place:
    """A state with a finished task and one of which a part is stored, and yesterday's copy of
    it.
    """
    place = Place(tmp_path)
    with ByteServer(Held(BODY, STORED, etag='"v1"')) as server:
        async with place.opened() as monitor:
            monitor.ready()
            session = monitor.create_session(configuration())
            task = session.download_task(server.url("/a.bin"))
            for number in range(30):
                session.download_task(f"{server.url()}{'x' * 200}{number}", start=False)
            async with asyncio.timeout(LIMIT):
                while task.count_of_bytes_received < STORED:
                    await asyncio.sleep(0.005)
    return place


async def with_copy(place: Place) -> None:
    async with place.opened():  # opening keeps a copy once a day
        pass
    assert (place.state / "transfermon.db.copy").stat().st_mode & 0o777 == 0o600


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def noise(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))


def half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 + 100)


def noise_inside(path: Path) -> None:
    with path.open("r+b") as file:
        for page in range(1, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(random.Random(page).randbytes(2000))


DAMAGES: list[Callable[[Path], None]] = [nothing, noise, half, noise_inside]


@pytest.mark.parametrize("damage", DAMAGES)
async def test_fault_k18_a_damaged_list_is_set_aside_with_a_date_and_said_so(
    damage: Callable[[Path], None], place: Place
):
    for copy in place.state.glob("*.copy"):
        copy.unlink()
    damage(place.database)
    left = place.database.read_bytes()
    (part,) = parts(place.out)
    told: list[NotificationEvent] = []
    async with place.opened() as monitor:
        monitor.subscribe(
            lambda event: told.append(event) if isinstance(event, NotificationEvent) else None
        )
        monitor.ready()
        (aside,) = place.set_aside()
        assert time.strftime("%Y-%m-%d") in aside.name
        assert aside.read_bytes() == left
        assert aside.stat().st_mode & 0o777 == 0o600
        assert str(aside) in monitor.set_aside
        assert "starts empty" in monitor.set_aside
        assert str(part) in monitor.set_aside
        assert monitor.tasks() == ()
        await monitor.overview.history()
        assert [event.alert_body for event in told] == [monitor.set_aside]
    assert parts(place.out) == [part]
    assert part.stat().st_size == STORED
    async with place.opened() as monitor:
        assert monitor.set_aside == "", "it is said once"


@pytest.mark.parametrize("damage", DAMAGES)
async def test_fault_k18_the_last_copy_takes_the_place_of_a_damaged_list(
    damage: Callable[[Path], None], place: Place
):
    await with_copy(place)
    with contextlib.closing(sqlite3.connect(place.database)) as database:
        old_id = database.execute("select value from meta where key='database_id'").fetchone()
    damage(place.database)
    with ByteServer(Resource(BODY, etag='"v1"')) as server:
        async with place.opened() as monitor:
            assert "is as it was on" in monitor.set_aside
            assert len(monitor.tasks()) == 31
            task = monitor.handle(monitor.tasks()[0].key)
            assert task.record.received == STORED
            monitor.ready()
            monitor.commands.cancel(task.key)
            monitor.commands.remove(task.key)
            (new_id,) = await monitor._engine.store.read(
                lambda database: [
                    database.execute("select value from meta where key='database_id'").fetchone()
                ]
            )
        assert new_id != old_id, "numbers are given again: the events must differ"
        assert server.requests == []


async def test_fault_k18_damage_that_is_met_while_writing_is_looked_for_at_the_next_start(
    place: Place,
):
    await with_copy(place)
    (place.state / "transfermon.db.suspect").touch()
    # the last page only: no start would look there by itself
    with place.database.open("r+b") as file:
        file.seek(-4096, os.SEEK_END)
        file.write(random.Random(1).randbytes(4096))
    async with place.opened() as monitor:
        assert place.set_aside()
        assert len(monitor.tasks()) == 31
    assert not (place.state / "transfermon.db.suspect").exists()


async def test_fault_k18_a_list_of_a_newer_version_is_refused_and_left_alone(place: Place):
    with sqlite3.connect(place.database) as database:
        database.execute("pragma user_version=999")
    database.close()
    before = place.database.read_bytes()
    with pytest.raises(StateError, match="newer"):
        async with place.opened():
            pass
    assert place.database.read_bytes() == before
    assert place.set_aside() == []


async def test_fault_k19_a_list_that_another_program_locks_stops_transfers_until_it_lets_go(
    place: Place,
):
    with ByteServer(Held(BODY, STORED, etag='"v1"')) as server:
        async with place.opened() as monitor:
            monitor.ready()
            task = monitor.create_session(configuration()).download_task(server.url("/b.bin"))
            async with asyncio.timeout(LIMIT):
                while task.count_of_bytes_received < STORED:
                    await asyncio.sleep(0.005)
            other = sqlite3.connect(place.database, isolation_level=None)
            other.execute("begin exclusive")
            task.task_description = "a change"
            longest, last = 0.0, time.monotonic()
            async with asyncio.timeout(LIMIT):
                while not monitor.overview.frozen_reason or monitor.overview.running_progress():
                    await asyncio.sleep(0.005)
                    now = time.monotonic()
                    longest, last = max(longest, now - last), now
            assert "locked" in monitor.overview.frozen_reason
            assert longest < BUSY_SECONDS, "the window would have stood still"
            other.execute("rollback")
            other.close()
            assert isinstance(server.handler, Held)
            server.handler.released.set()
            record = await task.wait()
            assert record.succeeded
            assert record.description == "a change"
            assert monitor.overview.frozen_reason == ""
    assert (place.out / "b.bin").read_bytes() == BODY


async def test_w16_a_copy_of_the_list_is_kept_once_a_day(place: Place):
    copy = place.state / "transfermon.db.copy"
    await with_copy(place)
    first = copy.stat().st_mtime_ns
    await with_copy(place)
    assert copy.stat().st_mtime_ns == first
    os.utime(copy, (time.time() - 90_000, time.time() - 90_000))
    await with_copy(place)
    assert copy.stat().st_mtime_ns > first
