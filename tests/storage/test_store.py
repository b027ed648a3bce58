"""The store: what is durable when it is told, what happens when it cannot be, and what comes
back.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import os
import sqlite3
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from transfermon.model.configuration import WAKES_KEPT, RetryPolicy, SessionConfiguration
from transfermon.model.errors import StateError
from transfermon.model.events import Event, TaskCompletedEvent, TaskCreatedEvent
from transfermon.model.task import Kind, State, Task, TaskKey, Validators, changed
from transfermon.model.wake_policy import Wake, WakeKind
from transfermon.storage import tables
from transfermon.storage.changes import Change, Remembered, ResumeRow, SessionRow
from transfermon.storage.database import PRUNE_EVERY
from transfermon.storage.records import task_text
from transfermon.storage.schema import MIGRATIONS
from transfermon.storage.store import Store
from transfermon.storage.tables import history

pytestmark = pytest.mark.anyio
LIMIT = 60.0


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "transfermon.db")


@pytest.fixture
async def store(path: str) -> AsyncIterator[Store]:
    store = Store(path)
    await store.open()
    yield store
    await store.close()


def a_task(number: int = 1, **changes: Any) -> Task:
    return Task(
        session="s",
        number=number,
        kind=Kind.DOWNLOAD,
        url=f"https://example.org/{number}",
        **changes,
    )


def an_event(sequence: int, number: int = 1) -> Event:
    return TaskCreatedEvent(
        sequence=sequence, session="s", task_identifier=number, url="https://example.org/"
    )


SESSION = SessionRow(key="s", configuration=SessionConfiguration.background("s"))


async def reopened(path: str) -> Remembered:
    store = Store(path)
    remembered = await store.open()
    await store.close()
    return remembered


def sees(path: str, query: str, *values: object) -> Any:
    """What another program reads in the file now."""
    with sqlite3.connect(path) as database:
        row = database.execute(query, values).fetchone()
    database.close()
    return row[0]


# ---- committing


async def test_changes_of_one_turn_are_one_commit_and_told_in_order(store: Store):
    told: list[int] = []
    last = [
        store.commit(Change(task=a_task(n)), then=functools.partial(told.append, n))
        for n in range(1, 501)
    ][-1]
    await last
    assert told == list(range(1, 501))
    assert store.commits == 1


async def test_of_one_turn_each_event_is_kept_and_of_a_task_its_last_record(
    store: Store, monkeypatch
):
    written: list[Task] = []

    def text(task: Task) -> str:
        written.append(task)
        return task_text(task)

    monkeypatch.setattr(tables, "task_text", text)
    store.commit(Change(session=SESSION))
    told: list[int] = []
    for n in range(1, 5):
        change = Change(task=a_task(attempt=n), event=an_event(n))
        store.commit(change, then=functools.partial(told.append, n))
    await store.commit(Change(task=a_task(2)))
    events = await store.read(history(0, None, 100))
    assert [event.sequence for event in events] == told == [1, 2, 3, 4]
    assert [(task.number, task.attempt) for task in written] == [(1, 4), (2, 0)]


async def test_changes_of_one_turn_keep_their_order(store: Store, path: str):
    """A task that is removed is gone, whatever was written of it; the end of a session takes those
    that came before it.
    """
    other = SessionRow(key="t", configuration=SessionConfiguration.background("t"))
    of_other = changed(a_task(5), session="t")
    for change in (
        Change(session=SESSION, task=a_task(1)),
        Change(session=other, task=of_other),
        Change(task=a_task(1, attempt=1)),
        Change(task=a_task(2)),
        Change(task=a_task(1, attempt=2), removed=a_task(1).key),
        Change(task=changed(of_other, attempt=1)),
        Change(session_removed="t"),
        Change(task=a_task(2, attempt=7)),
        Change(value=("n", "1")),
        Change(value=("n", "2")),
    ):
        last = store.commit(change)
    await last
    await store.close()
    remembered = await reopened(path)
    assert [(task.key.number, task.attempt) for task in remembered.tasks] == [(2, 7)]
    assert [(row.key, row.state, row.next_number) for row in remembered.sessions] == [
        ("s", "active", 3),
        ("t", "invalidated", 6),
    ]
    assert remembered.values["n"] == "2"


async def test_what_is_told_is_durable(store: Store, path: str):
    seen: list[tuple[int, str]] = []

    def look(sequence: int) -> None:
        event = sees(path, "select count(*) from journal where sequence=?", sequence)
        seen.append((event, sees(path, "select state from task")))

    store.commit(Change(session=SESSION, task=a_task(), event=an_event(1)), then=lambda: look(1))
    await store.commit(
        Change(task=a_task(state=State.RUNNING), event=an_event(2)), then=lambda: look(2)
    )
    assert [event for event, _ in seen] == [1, 1]
    assert seen[-1][1] == "running"


async def test_a_change_is_told_before_its_future_is_done(store: Store):
    order: list[str] = []
    done = store.commit(Change(task=a_task()), then=lambda: order.append("told"))
    done.add_done_callback(lambda _: order.append("done"))
    await done
    await asyncio.sleep(0)
    assert order == ["told", "done"]


async def test_a_mistake_in_telling_does_not_stop_the_next(store: Store, caplog):
    told: list[int] = []
    store.commit(Change(task=a_task()), then=lambda: 1 // 0)  # type: ignore[arg-type]
    await store.commit(Change(task=a_task()), then=lambda: told.append(2))
    assert told == [2]
    assert "ZeroDivisionError" in caplog.text


async def test_telling_much_gives_way_to_the_loop(store: Store):
    turns = 0

    def turn() -> None:
        nonlocal turns
        turns += 1
        asyncio.get_running_loop().call_soon(turn)

    def work() -> None:
        sum(range(4000))

    done = [store.commit(Change(value=("n", str(n))), then=work) for n in range(400)]
    await done[0]
    turn()
    await done[-1]
    assert turns > 2


async def test_reading_comes_after_what_was_queued_before(store: Store):
    store.commit(Change(task=a_task()))
    assert (
        await store.read(
            lambda database: database.execute("select count(*) from task").fetchone()[0]
        )
        == 1
    )


async def test_a_failing_query_fails_for_who_asked(store: Store):
    with pytest.raises(sqlite3.OperationalError):
        await store.read(lambda database: database.execute("select * from nothing"))
    await store.commit(Change(task=a_task()))


async def test_closing_commits_and_tells_what_is_queued(path: str):
    store = Store(path)
    await store.open()
    told: list[int] = []
    for n in range(1, 200):
        store.commit(Change(task=a_task(n)), then=lambda n=n: told.append(n))  # type: ignore[misc]
    await store.close()
    await store.close()
    assert told == list(range(1, 200))
    assert len((await reopened(path)).tasks) == 199


async def test_the_files_are_the_owners_only(store: Store, path: str):
    await store.commit(Change(task=a_task()))
    modes = {name: stat.S_IMODE(os.stat(path + name).st_mode) for name in ("", "-wal", "-shm")}
    assert set(modes.values()) == {0o600}


async def test_it_is_fully_durable(store: Store):
    assert (
        await store.read(lambda database: database.execute("pragma journal_mode").fetchone()[0])
        == "wal"
    )
    assert (
        await store.read(lambda database: database.execute("pragma synchronous").fetchone()[0]) == 2
    )


# ---- when it cannot be stored


async def frozen(store: Store) -> str:
    async with asyncio.timeout(LIMIT):
        while not store.frozen:
            await asyncio.sleep(0.01)
    return store.frozen


async def fill(store: Store) -> sqlite3.Connection:
    """Let the file grow no more, as on a full disk. Returns the store's connection."""

    def full(database: sqlite3.Connection) -> sqlite3.Connection:
        (pages,) = database.execute("pragma page_count").fetchone()
        database.execute(f"pragma max_page_count={pages}")
        return database

    return await store.read(full)


BIG = "x" * 100_000


async def test_a_full_disk_freezes_it_and_space_lets_it_go_on(store: Store, path: str):
    reasons: list[str] = []
    told: list[int] = []
    store.on_frozen = reasons.append
    await store.commit(Change(session=SESSION, task=a_task(1)))
    database = await fill(store)
    first = store.commit(Change(task=a_task(2, description=BIG)), then=lambda: told.append(2))
    second = store.commit(Change(task=a_task(3)), then=lambda: told.append(3))
    assert "full" in await frozen(store)
    assert (told, first.done(), second.done()) == ([], False, False)
    assert sees(path, "select count(*) from task") == 1
    database.execute("pragma max_page_count=1000000")
    async with asyncio.timeout(LIMIT):
        await second
    assert told == [2, 3]
    assert store.frozen == ""
    assert [bool(reason) for reason in reasons] == [True, False]
    assert sees(path, "select count(*) from task") == 3


async def test_closing_while_frozen_ends_and_tells_nothing(path: str, caplog):
    store = Store(path)
    await store.open()
    await store.commit(Change(session=SESSION, task=a_task(1)))
    await fill(store)
    told: list[int] = []
    store.commit(Change(task=a_task(2, description=BIG)), then=lambda: told.append(2))
    query = asyncio.ensure_future(store.read(lambda database: None))
    await frozen(store)
    async with asyncio.timeout(LIMIT):
        await store.close()
        with pytest.raises(StateError):
            await query
    assert told == []
    assert [task.number for task in (await reopened(path)).tasks] == [1]


async def test_a_lock_of_another_program_is_waited_out(store: Store, path: str):
    await store.read(lambda database: database.execute("pragma busy_timeout=0"))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    done = store.commit(Change(task=a_task()))
    assert "locked" in await frozen(store)
    other.execute("rollback")
    other.close()
    async with asyncio.timeout(LIMIT):
        await done


async def test_who_lost_the_lease_writes_nothing_more(path: str):
    first, second = Store(path), Store(path)
    await first.open()
    await first.commit(Change(session=SESSION, task=a_task(1)))
    await second.open()  # no lock in between: this is what the lock failed to prevent
    told: list[int] = []
    lost = first.commit(Change(task=a_task(2)), then=lambda: told.append(2))
    assert "Another process" in await frozen(first)
    await second.commit(Change(task=a_task(3)))
    async with asyncio.timeout(LIMIT):
        for waiting in (
            lost,
            first.commit(Change(task=a_task(4))),
            first.read(lambda database: None),
        ):
            with pytest.raises(StateError, match="Another process"):
                await waiting
    assert told == []
    await first.close()
    await second.close()
    assert [task.number for task in (await reopened(path)).tasks] == [1, 3]


async def test_whatever_ends_its_thread_is_told_to_everybody_who_waits(path: str, caplog):
    store = Store(path)
    await store.open()
    told: list[int] = []
    # an error that is not SQLite's own
    unfit = SessionRow(key="caf\udce9", configuration=SESSION.configuration)
    lost = store.commit(Change(session=unfit, task=a_task()), then=lambda: told.append(1))
    later = store.commit(Change(task=a_task(2)), then=lambda: told.append(2))
    reading = asyncio.ensure_future(store.read(lambda database: None))
    assert "Quit it and start it again" in await frozen(store)
    async with asyncio.timeout(LIMIT):
        for waiting in (lost, later, reading, store.commit(Change(task=a_task(3)))):
            with pytest.raises(StateError, match="transfermon made a mistake"):
                await waiting
        await store.close()
    assert told == []
    assert "the store's thread failed" in caplog.text
    assert (await reopened(path)).tasks == ()


async def test_what_fails_while_it_is_opened_is_raised_and_not_waited_for(path: str, monkeypatch):
    def connect(*_: object, **__: object) -> None:
        raise DeprecationWarning("not like that")

    monkeypatch.setattr(sqlite3, "connect", connect)
    async with asyncio.timeout(LIMIT):
        with pytest.raises(DeprecationWarning):
            await Store(path).open()


# ---- opening


async def test_an_empty_file_becomes_a_store(path: str):
    Path(path).touch()
    remembered = await reopened(path)
    assert (remembered.tasks, remembered.sessions, remembered.sequence) == ((), (), 0)
    assert sees(path, "pragma user_version") == len(MIGRATIONS)


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
async def test_an_older_file_is_brought_up_to_date_and_kept_as_a_copy(path: str, version: int):
    with sqlite3.connect(path) as old:
        for script in MIGRATIONS[:version]:
            old.executescript(script)
        old.execute(f"pragma user_version={version}")
        old.execute(
            "insert into task values('s', 7, 'running', ?)",
            (task_text(a_task(7, state=State.RUNNING)),),
        )
    old.close()
    assert [task.number for task in (await reopened(path)).tasks] == [7]
    assert sees(path, "pragma user_version") == len(MIGRATIONS)
    assert sees(f"{path}.v{version}", "pragma user_version") == version
    assert sees(f"{path}.v{version}", "select number from task") == 7


async def test_each_opening_takes_the_next_lease_and_keeps_the_identity(path: str):
    first = await reopened(path)
    assert (await reopened(path)).database_id == first.database_id
    assert sees(path, "select value from meta where key='lease'") == "2"


async def refused(path: str) -> StateError:
    before = Path(path).read_bytes()
    store = Store(path)
    with pytest.raises(StateError) as refusal:
        async with asyncio.timeout(LIMIT):
            await store.open()
    await store.close()
    assert Path(path).read_bytes() == before
    assert path in refusal.value.title
    assert refusal.value.title.count("\n") == 0
    assert refusal.value.hint
    return refusal.value


async def test_a_newer_file_is_refused_in_a_sentence(path: str):
    await reopened(path)
    with sqlite3.connect(path) as database:
        database.execute(f"pragma user_version={len(MIGRATIONS) + 1}")
    database.close()
    assert "newer transfermon" in (await refused(path)).title


async def set_aside(path: str) -> str:
    """Opening works, with an empty list; returns the name under which the damaged file is kept."""
    async with asyncio.timeout(LIMIT):
        remembered = await reopened(path)
    assert (remembered.tasks, remembered.sequence) == ((), 0)
    assert remembered.set_aside.startswith(f"{path}.damaged-")
    return remembered.set_aside


async def test_a_file_that_is_no_database_is_set_aside(path: str):
    Path(path).write_bytes(b"not a database at all\n" * 400)
    assert Path(await set_aside(path)).read_bytes() == b"not a database at all\n" * 400


async def test_a_cut_file_is_set_aside(path: str):
    await reopened(path)
    cut = Path(path).read_bytes()[:5000]
    Path(path).write_bytes(cut)
    assert Path(await set_aside(path)).read_bytes() == cut


@pytest.mark.parametrize(
    "record", ["{", "[]", '{"session": "s"}', '{"session": "s", "number": 1, "kind": "no"}']
)
async def test_a_file_with_a_damaged_record_is_set_aside(path: str, record: str):
    await reopened(path)
    with sqlite3.connect(path) as database:
        database.execute("insert into task values('s', 1, 'running', ?)", (record,))
    database.close()
    assert sees(await set_aside(path), "select record from task") == record


async def test_a_folder_that_is_not_there_is_refused(tmp_path: Path):
    store = Store(str(tmp_path / "missing" / "transfermon.db"))
    with pytest.raises(StateError):
        await store.open()
    await store.close()


# ---- what comes back


async def test_everything_comes_back(store: Store, path: str):
    configuration = SessionConfiguration.background("s")
    configuration.retry_policy = RetryPolicy(attempts=7)
    configuration.http_header_fields = {"Authorization": "secret-value"}
    session = SessionRow(key="s", configuration=configuration, next_number=4)
    tasks = [a_task(1, validators=Validators(etag='"a"')), a_task(2, header_names=("A",))]
    resume = ResumeRow(token="t", task=tasks[0])
    store.commit(Change(session=session, task=tasks[0], event=an_event(1), resume=resume))
    store.commit(Change(task=tasks[1], event=an_event(5, 2), value=("name", "kept")))
    await store.commit(Change(resume=dataclasses.replace(resume, spent=True)))
    await store.close()
    found = await reopened(path)
    assert found.tasks == tuple(tasks)
    assert found.resume == (ResumeRow(token="t", task=tasks[0], spent=True),)
    assert (found.sequence, found.values) == (5, {"name": "kept"})
    (row,) = found.sessions
    assert (row.key, row.next_number, row.configuration.retry_policy.attempts) == ("s", 4, 7)
    assert row.configuration.http_header_fields == {}
    assert b"secret-value" not in Path(path).read_bytes()


async def test_a_sessions_next_number_never_falls(store: Store, path: str):
    store.commit(Change(session=SESSION, task=a_task(9)))
    store.commit(Change(removed=TaskKey("s", 9)))
    await store.commit(Change(session=SESSION))
    await store.close()
    found = await reopened(path)
    assert (found.tasks, found.sessions[0].next_number) == ((), 10)


async def test_an_invalidated_session_keeps_its_name_and_loses_its_tasks(store: Store, path: str):
    store.commit(Change(session=SESSION, task=a_task(1)))
    await store.commit(Change(session_removed="s"))
    await store.close()
    found = await reopened(path)
    assert (found.tasks, found.sessions[0].state, found.sessions[0].next_number) == (
        (),
        "invalidated",
        2,
    )


async def test_history_is_oldest_first_and_the_newest_of_many(store: Store):
    for sequence in range(1, 11):
        store.commit(Change(event=an_event(sequence, number=1 + sequence % 2)))
    everything = await store.read(history(0, None, 1000))
    assert [event.sequence for event in everything] == list(range(1, 11))
    assert [event.sequence for event in await store.read(history(0, None, 3))] == [8, 9, 10]
    assert [event.sequence for event in await store.read(history(4, TaskKey("s", 1), 2))] == [8, 10]
    assert everything[0] == an_event(1, number=2)


async def test_an_acknowledged_event_is_not_unheard_at_the_next_start(store: Store, path: str):
    for sequence in (1, 2, 3):
        ended = TaskCompletedEvent(sequence=sequence, session="s", task_identifier=sequence)
        await store.commit(Change(event=ended))
    store.acknowledge(2)
    await store.close()
    assert [event.sequence for event in (await reopened(path)).unheard.events] == [1, 3]


async def test_a_flood_of_wakes_leaves_the_newest_on_the_disk(tmp_path):
    store = Store(str(tmp_path / "transfermon.db"))
    await store.open()
    for number in range(PRUNE_EVERY + 1):
        wake = Wake(identifier=str(number), kind=WakeKind.PUSH, source="ntfy", time=float(number))
        store.commit(Change(wake=wake))
    rows = await store.read(
        lambda database: [row for (row,) in database.execute("select identifier from wake")]
    )
    await store.close()
    assert WAKES_KEPT <= len(rows) < PRUNE_EVERY
    assert rows[-1] == str(PRUNE_EVERY)
