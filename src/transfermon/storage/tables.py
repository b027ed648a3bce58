"""The tables of the database: how a change is written down, and what is read from them.

Rule: SQL stands here alone, but for what concerns the file as a whole.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from transfermon.model import events
from transfermon.model.configuration import WAKES_KEPT
from transfermon.model.events import Event
from transfermon.model.task import Task, TaskKey
from transfermon.model.wake_policy import wake_of
from transfermon.storage.changes import Change, Remembered, ResumeRow, SessionRow, Unheard
from transfermon.storage.records import configuration_of, configuration_text, task_of, task_text
from transfermon.storage.schema import UNHEARD

T = TypeVar("T")
Query = Callable[[sqlite3.Connection], T]  # asked of `Store.read`


def prune(database: sqlite3.Connection, kept: int) -> None:
    """Let go of all but the newest `kept` rows of the journal and of what nobody has heard of, and
    of old wakes.
    """
    database.execute(
        f"delete from journal where sequence <= (select max(sequence) from journal) - ? and not ({UNHEARD})",  # noqa: S608 - no outside text
        (kept,),
    )
    database.execute(
        "delete from wake where rowid <= (select max(rowid) from wake) - ?", (WAKES_KEPT,)
    )


def set_value(database: sqlite3.Connection, key: str, value: str) -> None:
    database.execute(
        "insert into meta values(?,?) on conflict(key) do update set value=excluded.value",
        (key, value),
    )


def acknowledge(database: sqlite3.Connection, heard: Sequence[int]) -> None:
    """Every listener has had these events."""
    database.executemany(
        "update journal set acknowledged=1 where sequence=?", ((number,) for number in heard)
    )


def write_changes(database: sqlite3.Connection, changes: Sequence[Change]) -> None:
    """In their order; of several records of one task only the last is written down."""
    tasks: dict[TaskKey, Task] = {}
    rows: list[tuple[int, str, int | None, str, float, str]] = []
    for change in changes:
        rows.extend(_journal_row(event) for event in change.before)
        if change.event is not None:
            rows.append(_journal_row(change.event))
        if _says_more(change):  # which may be about the tasks before it
            _write_tasks(database, tasks)
            tasks.clear()
            _write_change(database, change)
        elif change.task is not None:
            tasks[change.task.key] = change.task
    _write_tasks(database, tasks)
    database.executemany(
        "insert into journal(sequence, session, number, type, time, body) values(?,?,?,?,?,?)", rows
    )


def _says_more(change: Change) -> bool:
    """Than the record of a task, and what happened."""
    return (
        change.removed is not None
        or change.session is not None
        or change.session_removed is not None
        or change.resume is not None
        or change.wake is not None
        or change.value is not None
    )


def _journal_row(event: Event) -> tuple[int, str, int | None, str, float, str]:
    number = getattr(event, "task_identifier", None)
    body = json.dumps(event.to_dict())
    return event.sequence, event.session, number, event.type, event.time, body


def _write_tasks(database: sqlite3.Connection, tasks: Mapping[TaskKey, Task]) -> None:
    database.executemany(
        "insert into task values(?,?,?,?) on conflict(session, number) do update set state=excluded.state,"
        " record=excluded.record",
        [
            (session, number, task.state.value, task_text(task))
            for (session, number), task in tasks.items()
        ],
    )
    highest: dict[str, int] = {}
    for session, number in tasks:
        highest[session] = max(number, highest.get(session, 0))
    database.executemany(
        "update session set next_number=max(next_number, ?) where key=?",
        [(number + 1, session) for session, number in highest.items()],
    )


def _write_change(database: sqlite3.Connection, change: Change) -> None:
    if change.session is not None:
        row = change.session
        database.execute(
            "insert into session values(?,?,?,?,?) on conflict(key) do update set configuration=excluded.configuration,"
            " state=excluded.state, next_number=max(next_number, excluded.next_number)",
            (
                row.key,
                row.configuration.identifier,
                configuration_text(row.configuration),
                row.state,
                row.next_number,
            ),
        )
    if change.task is not None:
        _write_tasks(database, {change.task.key: change.task})
    if change.removed is not None:
        database.execute("delete from task where session=? and number=?", change.removed)
    if change.session_removed is not None:
        database.execute("delete from task where session=?", (change.session_removed,))
        database.execute(
            "update session set state='invalidated' where key=?", (change.session_removed,)
        )
    if change.resume is not None:
        resume = change.resume
        database.execute(
            "insert into resume_data values(?,?,?) on conflict(token) do update set spent=excluded.spent",
            (resume.token, task_text(resume.task), int(resume.spent)),
        )
    if change.wake is not None:
        database.execute(
            "insert into wake values(?,?) on conflict(identifier) do update set record=excluded.record",
            (change.wake.identifier, json.dumps(change.wake.to_dict())),
        )
    if change.value is not None:
        set_value(database, "value." + change.value[0], change.value[1])


def load_everything(database: sqlite3.Connection) -> Remembered:
    sessions = [
        SessionRow(key=key, configuration=configuration_of(text), state=state, next_number=number)
        for key, text, state, number in database.execute(
            "select key, configuration, state, next_number from session order by rowid"
        )
    ]
    tasks = [
        task_of(text)
        for (text,) in database.execute("select record from task order by session, number")
    ]
    resume = [
        ResumeRow(token=token, task=task_of(text), spent=bool(spent))
        for token, text, spent in database.execute("select token, record, spent from resume_data")
    ]
    (sequence,) = database.execute("select coalesce(max(sequence), 0) from journal").fetchone()
    meta = dict(database.execute("select key, value from meta"))
    return Remembered(
        sessions=tuple(sessions),
        tasks=tuple(tasks),
        resume=tuple(resume),
        sequence=max(sequence, int(meta.get("value.sequence", 0))),
        database_id=meta["database_id"],
        values={key[6:]: value for key, value in meta.items() if key.startswith("value.")},
        unheard=_unheard(database),
        wakes=tuple(
            wake_of(json.loads(text))
            for (text,) in database.execute("select record from wake order by rowid")
        ),
    )


def _unheard(database: sqlite3.Connection) -> Unheard:
    query = f"select session, body from journal where {UNHEARD} order by sequence"  # noqa: S608 - no outside text
    rows = database.execute(query).fetchall()
    found = tuple(events.from_dict(json.loads(body), session) for session, body in rows)
    if not found:
        return Unheard()
    since = found[0].sequence
    idle = database.execute(
        "select distinct session from journal where sequence > ? and type='sessionidle'", (since,)
    )
    shown = "select count(*) from journal where sequence > ? and type='notification' and json_extract(body, '$.shown')"
    return Unheard(
        events=found,
        idle=frozenset(session for (session,) in idle),
        notified=database.execute(shown, (since,)).fetchone()[0] > 0,
    )


def history(since: int, task: TaskKey | None, limit: int) -> Query[list[Event]]:
    """A query for `Store.read`: journalled events after `since`, oldest first; the newest `limit`
    of them.
    """

    def query(database: sqlite3.Connection) -> list[Event]:
        where = "sequence > ?"
        values: list[int | str] = [since]
        if task is not None:
            where += " and session = ? and number = ?"
            values += [task.session, task.number]
        rows = database.execute(
            f"select session, body from journal where {where} order by sequence desc limit ?",  # noqa: S608 - no outside text
            [*values, limit],
        ).fetchall()
        return [events.from_dict(json.loads(body), session) for session, body in reversed(rows)]

    return query


def part_paths(database: sqlite3.Connection) -> frozenset[str]:
    """A query for `Store.read`: the part files that any task or unspent resume data names."""
    records = database.execute(
        "select record from task union all select record from resume_data where not spent"
    )
    stored = [json.loads(record) for (record,) in records]
    older = [(record.get("older_part") or {}).get("path") for record in stored]
    return frozenset(
        path for path in (*older, *(record.get("part_path") for record in stored)) if path
    )
