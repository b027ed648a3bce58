"""W12: what a start finds, row by row. Each situation is a real download that was stopped, and then
made worse.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, rest
from tests.helpers.engine_script import SESSION, configuration
from tests.helpers.harness import Held, content, eventually, left, parts, the_task
from transfermon.engine.monitor import Monitor
from transfermon.engine.task_handles import DownloadTask
from transfermon.model.events import Event
from transfermon.model.task import Activity, State, Task, TaskKey
from transfermon.storage.records import task_text
from transfermon.storage.settings import Settings

pytestmark = pytest.mark.anyio

SIZE, STORED = 600_000, 400_000
BODY = content(SIZE)
OTHER = content(SIZE, seed=3)


class Place:
    """A state with one task, "a.bin", of which `STORED` bytes are in its part."""

    def __init__(self, folder: Path, server: ByteServer) -> None:
        self.state, self.out, self.server = folder / "state", folder / "out", server
        self.final = self.out / "a.bin"
        self.told: list[Event] = []
        self.heard: list[Event] = []  # by listeners
        self.requests_before = 0

    @property
    def record(self) -> Task:
        """As the closed engine has left it."""
        return the_task(left(self.state)[0])

    @property
    def part(self) -> Path:
        return Path(self.record.part_path)

    @property
    def names(self) -> list[str]:
        return sorted(os.listdir(self.out))

    @property
    def asked(self) -> list[str]:
        """The ranges asked for since the stop; "" for the whole."""
        return [request.header("Range") for request in self.server.requests[self.requests_before :]]

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self.state / "transfermon.db")
        try:
            yield database
            database.commit()
        finally:
            database.close()

    def edit(self, **changes: Any) -> None:
        record = dataclasses.replace(self.record, **changes)
        with self.database() as database:
            database.execute(
                "update task set state=?, record=?", (record.state.value, task_text(record))
            )

    def was_finishing(self) -> None:
        """All is there and the wish to give the name is recorded."""
        with self.part.open("r+b") as part:
            part.write(BODY)
        self.edit(activity=Activity.FINALIZING, received=SIZE, final_path=str(self.final))

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Monitor]:
        self.told, self.heard = [], []
        async with Monitor.open(
            str(self.state), settings=Settings(download_folder=str(self.out))
        ) as monitor:
            monitor.subscribe(self.told.append)
            for name in ("downloadresumed", "downloadcompleted", "sessioncompleted"):
                monitor.add_event_listener(name, self.heard.append)
            monitor.ready()
            yield monitor

    async def gone_on(self) -> Task:
        """The record when the next engine has done what it can."""
        async with self.opened() as monitor:
            return await monitor.handle(TaskKey(SESSION, 1)).wait()

    def of(self, name: str) -> list[Any]:
        return [event for event in self.told if event.type == name]


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    with ByteServer(Held(BODY, STORED, etag='"v1"')) as server:
        place = Place(tmp_path, server)
        place.out.mkdir()
        async with place.opened() as monitor:
            task = monitor.create_session(configuration()).download_task(server.url("/a.bin"))
            await until_stored(task, STORED)
        assert isinstance(server.handler, Held)
        server.handler.released.set()
        place.requests_before = len(server.requests)
        assert place.record.received == STORED == place.part.stat().st_size
        yield place


async def until_stored(task: DownloadTask, count: int) -> None:
    async with asyncio.timeout(60):
        while task.count_of_bytes_received < count:
            await asyncio.sleep(0.005)


def check_finished(place: Place, record: Task) -> None:
    assert record.succeeded
    assert place.names == ["a.bin"]
    assert place.final.read_bytes() == BODY
    assert len(place.of("downloadcompleted")) == len(place.of("sessioncompleted")) == 1


async def test_w12_a_longer_part_after_another_boot_is_cut_to_the_journal(place: Place):
    with place.part.open("ab") as part:
        part.write(bytes(50_000))  # what a power cut leaves
    place.edit(boot_id="another")
    check_finished(place, await place.gone_on())
    assert place.asked == [rest(STORED)]


async def test_w12_a_longer_part_on_the_same_boot_and_mount_is_taken_as_it_is(place: Place):
    with place.part.open("ab") as part:
        part.write(BODY[STORED : STORED + 50_000])
    check_finished(place, await place.gone_on())
    assert place.asked == [rest(STORED + 50_000)]


async def test_w12_a_shorter_part_starts_over_and_says_so(place: Place):
    os.truncate(place.part, STORED - 1)
    check_finished(place, await place.gone_on())
    assert place.asked == [""]
    (resumed,) = place.of("downloadresumed")
    assert (resumed.file_offset, resumed.reason) == (
        0,
        "The part that was stored is shorter than it was.",
    )


def _remove(part: Path) -> None:
    part.unlink()


def _make_folder(part: Path) -> None:
    part.unlink()
    part.mkdir()


def _make_link(part: Path) -> None:
    target = part.with_name("stranger")
    part.rename(target)
    part.symlink_to(target)


def _add_link(part: Path) -> None:
    os.link(part, part.with_name("stranger"))


GONE = "The part that was stored is gone."
REPLACED = "Something else is in the place of the part that was stored."


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(_remove, GONE), (_make_folder, REPLACED), (_make_link, REPLACED), (_add_link, REPLACED)],
)
async def test_w12_a_part_that_is_gone_or_not_ours_starts_over_and_says_so(
    spoil: Callable[[Path], None], words: str, place: Place
):
    spoil(place.part)
    before = {name for name in place.names if not name.startswith(".transfermon")}
    record = await place.gone_on()
    assert record.succeeded
    assert place.asked == [""]
    assert place.of("downloadresumed")[0].reason == words
    assert place.final.read_bytes() == BODY
    if "stranger" in before:
        assert (place.out / "stranger").read_bytes() == BODY[:STORED], (
            "a stranger's file was touched"
        )


@pytest.mark.parametrize(
    ("body", "name", "instead"),
    [
        (b"<!doctype html>".ljust(SIZE), "a.mp4.html", "a web page instead of a video"),
        (b"\0\0\0\x18ftypmp42".ljust(SIZE, b"\0"), "a.mp4", ""),
    ],
)
async def test_w12_a_page_that_was_about_to_get_its_name_is_judged_again(
    body: bytes, name: str, instead: str, place: Place
):
    place.was_finishing()
    place.part.write_bytes(body)
    found = place.record.validators
    assert found is not None
    place.edit(
        name="a.mp4.html",
        instead="a web page instead of a video",
        final_path=str(place.out / "a.mp4.html"),
        validators=dataclasses.replace(found, content_type="text/html"),
        named=False,
    )
    record = await place.gone_on()
    assert (record.name, record.instead, place.asked) == (name, instead, [])
    assert (place.out / name).read_bytes() == body


async def test_w12_finishing_with_the_part_and_no_file_gives_the_name_without_a_request(
    place: Place,
):
    place.was_finishing()
    check_finished(place, await place.gone_on())
    assert place.asked == []


async def test_w12_finishing_with_two_names_for_one_file_takes_the_part_name_away(place: Place):
    place.was_finishing()
    os.link(place.part, place.final)
    check_finished(place, await place.gone_on())
    assert place.asked == []


async def test_w12_finishing_with_a_second_file_of_the_same_content_is_done(place: Place):
    place.was_finishing()
    place.final.write_bytes(BODY)
    check_finished(place, await place.gone_on())
    assert place.asked == []


async def test_w12_finishing_without_a_part_and_with_the_file_is_done(place: Place):
    place.was_finishing()
    place.part.rename(place.final)
    check_finished(place, await place.gone_on())
    assert place.asked == []


async def test_w12_a_name_that_was_given_without_a_record_is_known_by_the_file_itself(place: Place):
    place.was_finishing()
    place.edit(activity=Activity.TRANSFERRING, received=STORED, final_path="")
    place.part.rename(place.final)
    check_finished(place, await place.gone_on())
    assert place.asked == []


@pytest.mark.parametrize("stranger", [b"", BODY[:-1]])
async def test_w12_finishing_with_neither_part_nor_file_fails_and_can_be_retried(
    stranger: bytes, place: Place
):
    place.was_finishing()
    place.part.unlink()
    if stranger:
        place.final.write_bytes(stranger)
    async with place.opened() as monitor:
        task = monitor.handle(TaskKey(SESSION, 1))
        record = await task.wait()
        assert record.error is not None
        assert (record.error.code, record.error.reason) == (-1100, "file.missing")
        assert "Retry" in record.error.hint
        assert place.asked == []
        monitor.commands.retry(task.key)
        record = await task.wait()
    assert record.succeeded
    assert place.asked == [""]
    assert Path(record.final_path).read_bytes() == BODY
    if stranger:
        assert place.final.read_bytes() == stranger
        assert place.names == ["a (1).bin", "a.bin"]


async def test_w12_finishing_beside_another_file_of_that_name_chooses_a_new_one(place: Place):
    place.was_finishing()
    place.final.write_bytes(OTHER)
    record = await place.gone_on()
    assert record.succeeded
    assert Path(record.final_path).name == "a (1).bin"
    assert Path(record.final_path).read_bytes() == BODY
    assert place.final.read_bytes() == OTHER
    assert place.asked == []


@pytest.mark.parametrize("event", ["downloadcompleted", "sessioncompleted"])
async def test_w12_an_event_that_nobody_heard_is_delivered_once_under_its_number(
    event: str, place: Place
):
    await place.gone_on()
    (first,) = place.of(event)
    with place.database() as database:
        database.execute("update journal set acknowledged=0 where type=?", (event,))
    for times in (1, 0):
        async with place.opened():
            await eventually_heard(place, event, times)
        again = [(one.event_id, one.sequence) for one in place.heard if one.type == event]
        assert again == [(first.event_id, first.sequence)] * times
    assert place.asked == [rest(STORED)]


async def eventually_heard(place: Place, name: str, times: int) -> None:
    async with asyncio.timeout(60):
        while sum(event.type == name for event in place.heard) < times:
            await asyncio.sleep(0.005)


async def test_w12_a_task_that_was_being_cancelled_loses_its_part(place: Place):
    place.edit(state=State.CANCELING, activity=Activity.NONE)
    record = await place.gone_on()
    assert record.error is not None
    assert record.error.code == -999
    assert place.names == []
    assert place.asked == []


async def test_w12_a_cancel_that_came_after_the_name_was_given_comes_too_late(place: Place):
    place.was_finishing()
    place.part.rename(place.final)
    place.edit(state=State.CANCELING)
    check_finished(place, await place.gone_on())


async def test_w12_a_cancel_before_the_name_was_given_leaves_nothing(place: Place):
    place.was_finishing()
    place.edit(state=State.CANCELING)
    record = await place.gone_on()
    assert record.error is not None
    assert record.error.code == -999
    assert place.names == []


async def test_w12_a_part_without_a_row_is_left_alone(place: Place):
    stray = place.part
    with place.database() as database:
        database.execute("delete from task")
    async with place.opened() as monitor:
        assert monitor.tasks() == ()
    assert parts(place.out) == [stray]
    assert stray.stat().st_size == STORED


async def test_w12_an_empty_part_that_was_made_just_before_a_crash_is_swept_away_and_no_other(
    place: Place,
):
    with place.database() as database:
        (mark,) = database.execute("select value from meta where key='database_id'").fetchone()
    ours, theirs, full = (
        place.out / f".transfermon-{name}.part"
        for name in (f"{mark[:6]}0123456789", "000000" + "0" * 10, f"{mark[:6]}9876543210")
    )
    ours.touch()
    theirs.touch()
    full.write_bytes(b"x")
    assert (await place.gone_on()).succeeded
    assert sorted(parts(place.out)) == sorted([theirs, full])


async def test_w12_a_finished_file_that_was_moved_away_keeps_its_row(place: Place):
    await place.gone_on()
    place.final.rename(place.out / "elsewhere.bin")
    async with place.opened() as monitor:
        (record,) = monitor.tasks()
        assert record.succeeded
        assert record.final_path == str(place.final)
    assert place.names == ["elsewhere.bin"]
    eventually(lambda: place.asked == [rest(STORED)])
