"""What is remembered: sessions, tasks, the journal, resume data. One SQLite file, one connection, one thread.

Rule: `commit` puts a change in the queue and returns; the writer thread takes all that is there, commits it at once
(WAL, synchronous=FULL: durable when it says so), and only then is each change told, in the order it was decided.
Nothing else in the program opens the database (FAULTS W7, W8).
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import os
import secrets
import shutil
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any, TypeVar

from transfermon.model import events
from transfermon.model.configuration import WAKES_KEPT, RetryPolicy, SessionConfiguration
from transfermon.model.errors import Retry, StateError, TransferError
from transfermon.model.events import Event
from transfermon.model.record import record
from transfermon.model.request_options import RequestOptions
from transfermon.model.task import (
    Activity,
    Evidence,
    Kind,
    Origin,
    Response,
    State,
    StoredPart,
    Task,
    TaskKey,
    UploadResource,
    Validators,
    changed,
)
from transfermon.model.wake_policy import Wake, wake_of

log = logging.getLogger(__name__)
T = TypeVar("T")

SLICE = 0.002  # seconds that telling may take before the window gets its turn
RETRY_SECONDS = 1.0  # between two tries to commit while the disk is full
BUSY_SECONDS = 1.0  # that a commit waits while another program has the file locked
KEPT = 100_000  # journal rows; older ones go, unless nobody has heard of them (FAULTS F26)
PRUNE_EVERY = 5_000  # new rows
BACKUP_SECONDS = 86_400.0  # between two copies of the file (FAULTS W16)
SQLITE_VERSION = sqlite3.sqlite_version
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

# Spelled out, not bound: only the same text lets SQLite use the index. The types are those of `events.TERMINAL`.
_COPY, _SUSPECT = ".copy", ".suspect"  # beside the file
_UNHEARD = "acknowledged=0 and type in ('downloadcompleted', 'sessioncompleted', 'sessioninvalidated')"

MIGRATIONS = [
    """
    create table meta(key text primary key, value text not null) strict;
    create table session(
        key text primary key, identifier text, configuration text not null, state text not null,
        next_number integer not null) strict;
    create table task(
        session text not null, number integer not null, state text not null, record text not null,
        primary key(session, number)) strict;
    create table journal(
        sequence integer primary key, session text not null, number integer, type text not null,
        time real not null, body text not null, acknowledged integer not null default 0) strict;
    create index journal_task on journal(session, number);
    create table resume_data(token text primary key, record text not null, spent integer not null default 0) strict;
    """,
    f"create index journal_unheard on journal(sequence) where {_UNHEARD};",
    "create table wake(identifier text primary key, record text not null) strict;",
]


@record
class SessionRow:
    """A session as it is remembered. Header values are in secrets.json, not here."""

    key: str
    configuration: SessionConfiguration
    state: str = "active"
    next_number: int = 1


@record
class ResumeRow:
    """What a resume data value stands for: the record of the cancelled task (R-03, R-15)."""

    token: str
    task: Task
    spent: bool = False


@record
class Change:
    """Everything in one change is committed in one transaction, with all other changes that wait."""

    task: Task | None = None
    removed: TaskKey | None = None
    session: SessionRow | None = None
    session_removed: str | None = None
    event: Event | None = None
    resume: ResumeRow | None = None
    value: tuple[str, str] | None = None  # a small setting of the engine's own
    wake: Wake | None = None


@record
class Unheard:
    """What was told to nobody, or not to everybody, before the last engine of the app ended."""

    events: tuple[Event, ...] = ()  # terminal ones, in their order
    idle: frozenset[str] = frozenset()  # sessions whose last task ended in that time
    notified: bool = False  # somebody has shown a banner since


@record
class Remembered:
    """The state as found when the store was opened."""

    sessions: tuple[SessionRow, ...]
    tasks: tuple[Task, ...]
    resume: tuple[ResumeRow, ...]
    sequence: int
    database_id: str
    values: dict[str, str]
    set_aside: str = ""  # the damaged file's new path, when there was one
    from_backup: float | None = None  # epoch seconds of the copy that is used in its place; None: the list is empty
    unheard: Unheard = Unheard()
    wakes: tuple[Wake, ...] = ()  # the ledger, oldest first


@dataclass(slots=True)
class _Entry:
    change: Change | None = None
    then: Callable[[], None] | None = None
    done: asyncio.Future[None] | None = None
    read: Callable[[sqlite3.Connection], Any] | None = None
    result: asyncio.Future[Any] | None = None
    answer: Any = field(default=None)


class Store:
    """The one writer. Made and used on the loop; the database lives on a thread of its own."""

    def __init__(self, path: str, *, kept: int = KEPT) -> None:
        self.path = path
        self._kept = kept
        self.frozen = ""  # why nothing can be stored now, in words; "" when all is well
        self.on_frozen: Callable[[str], None] | None = None
        self._queue: deque[_Entry] = deque()
        self._acknowledged: deque[int] = deque()
        self._ready = threading.Condition()
        self._stop = False
        self._ended = False
        self._told: deque[_Entry] = deque()
        self._telling = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lease = 0
        self._since_pruned = 0
        self.commits = 0

    def __repr__(self) -> str:
        return f"<Store {self.path} lease={self._lease} queued={len(self._queue)}>"

    async def open(self) -> Remembered:
        """Open or make the file, bring it to the newest version, take the next lease.

        A damaged file is set aside under a name with the date, and the last copy takes its place (FAULTS K18);
        `Remembered.set_aside` says so. Raises StateError when the file is from a newer version or cannot be written.
        Once a day, and before a migration, a copy is kept (FAULTS W16).
        """
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[Remembered] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, args=(opened,), name="store", daemon=True)
        self._thread.start()
        return await opened

    def commit(self, change: Change, then: Callable[[], None] | None = None) -> asyncio.Future[None]:
        """Queue a change. The result is done when it is durable; `then` is called just before, in order.

        Where nothing will ever be stored any more (another process has the list, or the thread has failed), the
        result raises StateError and `then` is not called.
        """
        assert self._loop is not None
        entry = _Entry(change=change, then=then, done=self._loop.create_future())
        self._put(entry)
        assert entry.done is not None
        return entry.done

    def acknowledge(self, sequence: int) -> None:
        """Every listener has had this event. Kept with the next commit: a crash before it tells the event again."""
        self._acknowledged.append(sequence)

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query on the store's thread, after everything queued before it. StateError: that thread has ended."""
        assert self._loop is not None
        entry = _Entry(read=query, result=self._loop.create_future())
        assert entry.result is not None
        self._put(entry)
        answer: T = await entry.result
        return answer

    async def close(self) -> None:
        """Commit what is queued (unless the disk refuses), tell it, and end the thread."""
        if self._thread is None:
            return
        if self._acknowledged:
            self._put(_Entry(change=Change()))
        with self._ready:
            self._stop = True
            self._ready.notify()
        await asyncio.to_thread(self._thread.join)
        self._thread = None
        await asyncio.sleep(0)  # the last batch was posted to the loop by the thread
        while self._told:
            await asyncio.sleep(0)

    def _put(self, entry: _Entry) -> None:
        if self._ended:
            self._give_up([entry])
            return
        with self._ready:
            self._queue.append(entry)
            if len(self._queue) == 1:
                self._ready.notify()

    # ---- loop: tell what is durable, in slices, so that a burst does not stall the window

    def _durable(self, batch: list[_Entry]) -> None:
        self._told.extend(batch)
        if not self._telling:
            self._tell()

    def _tell(self) -> None:
        assert self._loop is not None
        self._telling = False
        end = time.perf_counter() + SLICE
        while self._told:
            entry = self._told.popleft()
            if entry.then is not None:
                try:
                    entry.then()
                except Exception:
                    log.exception("telling a change failed")
            for future, value in ((entry.done, None), (entry.result, entry.answer)):
                if future is not None:
                    _resolve(future, value)
            if self._told and time.perf_counter() > end:
                self._telling = True
                self._loop.call_soon(self._tell)
                return

    def _give_up(self, batch: list[_Entry]) -> None:
        """Nobody writes or reads any more: whoever waits hears so; what could not be stored is not told."""
        self._ended = True
        with self._ready:
            batch = [*batch, *self._queue]
            self._queue.clear()
        for entry in batch:
            for future in (entry.done, entry.result):
                if future is not None and not future.done():
                    future.set_exception(StateError(self.frozen or "The list of transfers is closed."))
                    future.exception()  # most changes are awaited by nobody, which is no mistake

    def _freeze(self, reason: str) -> None:
        if reason == self.frozen:
            return
        self.frozen = reason
        log.warning("the store %s", f"is frozen: {reason}" if reason else "goes on")
        if self.on_frozen is not None:
            self.on_frozen(reason)

    # ---- writer thread

    def _post(self, function: Callable[..., None], *args: Any) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:  # the loop is gone: there is nobody left to tell
            log.debug("the loop ended before the store did")

    def _run(self, opened: asyncio.Future[Remembered]) -> None:
        try:
            try:
                database, remembered = self._load()
            except _Damaged as damage:
                log.warning("the database is damaged: %s", damage)
                aside, copied = self._set_aside()
                database, remembered = self._load(fresh=True)
                remembered = changed(remembered, set_aside=aside, from_backup=copied)
        except Exception as exc:  # noqa: BLE001 - whoever opens it waits for this thread
            self._post(self._give_up, [])
            ours = not isinstance(exc, sqlite3.Error | OSError | _Damaged)
            self._post(_resolve, opened, exc if ours else self._unusable(exc))
            return
        self._post(_resolve, opened, remembered)
        try:
            self._keep_copy(database)
            while self._write(database):
                pass
        finally:
            database.close()

    def _load(self, *, fresh: bool = False) -> tuple[sqlite3.Connection, Remembered]:
        """Raises _Damaged when the content cannot be what was written."""
        if not fresh and os.path.exists(self.path) and not os.path.getsize(self.path):
            raise _Damaged("it is empty")
        database = self._connect()
        try:
            if os.path.exists(self.path + _SUSPECT):
                _check(database)
                os.unlink(self.path + _SUSPECT)
            self._prepare(database)
            if fresh:  # numbers may be given again: with another identity they are other events
                _set(database, "database_id", secrets.token_hex(6))
            return database, _load(database)
        except (sqlite3.Error, ValueError, TypeError, KeyError, AttributeError) as exc:
            database.close()
            if not isinstance(exc, sqlite3.Error) or _is_damage(exc):
                raise _Damaged(str(exc)) from exc
            raise
        except BaseException:
            database.close()
            raise

    def _set_aside(self) -> tuple[str, float | None]:
        """Move the damaged file away and put the last copy in its place; returns its path, and the copy's time."""
        aside = f"{self.path}.damaged-{time.strftime('%Y-%m-%dT%H%M%S')}"
        for end in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                os.replace(self.path + end, aside + end)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path + _SUSPECT)
        try:
            copied = os.path.getmtime(self.path + _COPY)
            shutil.copyfile(self.path + _COPY, self.path)
            with contextlib.closing(self._connect()) as database:
                _check(database)
        except (OSError, sqlite3.Error):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
            return aside, None
        return aside, copied

    def _keep_copy(self, database: sqlite3.Connection) -> None:
        """Once a day, for the day on which the file is damaged."""
        path, temporary = self.path + _COPY, self.path + _COPY + ".new"
        try:
            if os.path.exists(path) and time.time() - os.path.getmtime(path) < BACKUP_SECONDS:
                return
            if not database.execute("select count(*) from session").fetchone()[0]:
                return
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            with contextlib.closing(sqlite3.connect(temporary)) as copy:
                database.backup(copy)
            os.replace(temporary, path)
        except Exception as exc:  # noqa: BLE001 - a full disk: the list itself says so soon enough
            log.warning("no copy of the list of transfers was kept: %s", exc)

    def _unusable(self, exc: Exception) -> StateError:
        return StateError(
            f"The database {self.path} cannot be used: {exc}.",
            "Move it away to start with an empty list; the files already downloaded are not touched.",
        )

    def _connect(self) -> sqlite3.Connection:
        old = os.umask(0o077)
        try:
            return sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        finally:
            os.umask(old)

    def _prepare(self, database: sqlite3.Connection) -> None:
        for pragma in ("journal_mode=wal", "synchronous=full", "foreign_keys=on", "wal_autocheckpoint=1000"):
            database.execute(f"pragma {pragma}")
        self._migrate(database)
        database.execute("begin immediate")
        row = database.execute("select value from meta where key='lease'").fetchone()
        self._lease = int(row[0]) + 1 if row else 1
        _set(database, "lease", str(self._lease))
        if not row:
            _set(database, "database_id", secrets.token_hex(6))
        _prune(database, self._kept)
        database.execute("commit")

    def _migrate(self, database: sqlite3.Connection) -> None:
        (version,) = database.execute("pragma user_version").fetchone()
        if version > len(MIGRATIONS):
            raise StateError(
                f"The database {self.path} was made by a newer transfermon (version {version}).",
                "Start that one, or choose another folder with --state-dir.",
            )
        if 0 < version < len(MIGRATIONS):
            kept = f"{self.path}.v{version}"
            os.close(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))  # SQLite would go by the umask
            with sqlite3.connect(kept) as copy:
                database.backup(copy)
            copy.close()
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            database.executescript(f"begin immediate; {script}; pragma user_version={number}; commit;")

    def _write(self, database: sqlite3.Connection) -> bool:
        """One batch; nothing of it is held on to while waiting for the next. False at the end."""
        with self._ready:
            while not self._queue and not self._stop:
                self._ready.wait()
            batch = list(self._queue)
            self._queue.clear()
        try:
            committed = self._commit(database, [entry.change for entry in batch if entry.change is not None])
        except Exception as exc:  # a mistake of ours: everybody hears of it, and nothing goes on as if all were well
            log.exception("the store's thread failed")
            self._post(self._freeze, f"transfermon made a mistake ({exc!r}). Quit it and start it again.")
            committed = False
        if not batch or not committed:
            self._post(self._give_up, batch)
            return False
        for entry in batch:
            if entry.read is not None:
                entry.answer = _answer(database, entry.read)
        self._post(self._durable, batch)
        return True

    def _commit(self, database: sqlite3.Connection, changes: list[Change]) -> bool:
        """Until it succeeds: what was decided is not rolled back in memory. False when the engine must end."""
        while changes:
            try:
                self._apply(database, changes)
            except sqlite3.Error as exc:
                if database.in_transaction:
                    database.execute("rollback")
                if _is_damage(exc):  # the next start looks at all of it
                    with contextlib.suppress(OSError):
                        os.close(os.open(self.path + _SUSPECT, os.O_WRONLY | os.O_CREAT, 0o600))
                self._post(self._freeze, f"The list of transfers cannot be stored: {exc}.")
                with self._ready:
                    if self._stop:
                        log.error("%d changes could not be stored: %s", len(changes), exc)
                        return False
                    self._ready.wait(RETRY_SECONDS)
            except _LeaseLost:
                self._post(self._freeze, "Another process has taken over the list of transfers.")
                return False
            else:
                self.commits += 1
                if self.frozen:
                    self._post(self._freeze, "")
                return True
        return True

    def _apply(self, database: sqlite3.Connection, changes: list[Change]) -> None:
        database.execute("begin immediate")
        (lease,) = database.execute("select value from meta where key='lease'").fetchone()
        if int(lease) != self._lease:
            database.execute("rollback")
            raise _LeaseLost
        for change in changes:
            _apply(database, change)
        self._since_pruned += sum(change.event is not None or change.wake is not None for change in changes)
        if self._since_pruned >= PRUNE_EVERY:
            _prune(database, self._kept)
            self._since_pruned = 0
        heard = list(self._acknowledged)
        database.executemany("update journal set acknowledged=1 where sequence=?", ((number,) for number in heard))
        database.execute("commit")
        for _ in heard:
            self._acknowledged.popleft()


class _Damaged(Exception):  # noqa: N818 - a signal inside this module
    pass


class _LeaseLost(Exception):  # noqa: N818 - a signal inside this module
    pass


def _resolve(future: asyncio.Future[Any], value: Any) -> None:
    if future.done():  # whoever asked has gone
        return
    if isinstance(value, BaseException):
        future.set_exception(value)
    else:
        future.set_result(value)


def _answer(database: sqlite3.Connection, query: Callable[[sqlite3.Connection], Any]) -> Any:
    try:
        return query(database)
    except Exception as exc:  # noqa: BLE001 - handed to whoever asked
        return exc


def _is_damage(exc: Exception) -> bool:
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def _check(database: sqlite3.Connection) -> None:
    """Raises sqlite3.DatabaseError for a file whose pages do not fit together."""
    (found,) = database.execute("pragma quick_check(1)").fetchone()
    if found != "ok":
        error = sqlite3.DatabaseError(found)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def _prune(database: sqlite3.Connection, kept: int) -> None:
    database.execute(
        f"delete from journal where sequence <= (select max(sequence) from journal) - ? and not ({_UNHEARD})",  # noqa: S608 - no outside text
        (kept,),
    )
    database.execute("delete from wake where rowid <= (select max(rowid) from wake) - ?", (WAKES_KEPT,))


def _set(database: sqlite3.Connection, key: str, value: str) -> None:
    database.execute("insert into meta values(?,?) on conflict(key) do update set value=excluded.value", (key, value))


def _apply(database: sqlite3.Connection, change: Change) -> None:
    if change.session is not None:
        row = change.session
        database.execute(
            "insert into session values(?,?,?,?,?) on conflict(key) do update set configuration=excluded.configuration,"
            " state=excluded.state, next_number=max(next_number, excluded.next_number)",
            (row.key, row.configuration.identifier, _configuration_text(row.configuration), row.state, row.next_number),
        )
    if change.task is not None:
        task = change.task
        database.execute(
            "insert into task values(?,?,?,?) on conflict(session, number) do update set state=excluded.state,"
            " record=excluded.record",
            (task.session, task.number, task.state.value, task_text(task)),
        )
        database.execute(
            "update session set next_number=max(next_number, ?) where key=?", (task.number + 1, task.session)
        )
    if change.removed is not None:
        database.execute("delete from task where session=? and number=?", change.removed)
    if change.session_removed is not None:
        database.execute("delete from task where session=?", (change.session_removed,))
        database.execute("update session set state='invalidated' where key=?", (change.session_removed,))
    if change.event is not None:
        event = change.event
        number = getattr(event, "task_identifier", None)
        database.execute(
            "insert into journal(sequence, session, number, type, time, body) values(?,?,?,?,?,?)",
            (event.sequence, event.session, number, event.type, event.time, json.dumps(event.to_dict())),
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
        _set(database, "value." + change.value[0], change.value[1])


def _load(database: sqlite3.Connection) -> Remembered:
    sessions = [
        SessionRow(key=key, configuration=_configuration(text), state=state, next_number=number)
        for key, text, state, number in database.execute(
            "select key, configuration, state, next_number from session order by rowid"
        )
    ]
    tasks = [task_of(text) for (text,) in database.execute("select record from task order by session, number")]
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
            wake_of(json.loads(text)) for (text,) in database.execute("select record from wake order by rowid")
        ),
    )


def _unheard(database: sqlite3.Connection) -> Unheard:
    rows = database.execute(f"select session, body from journal where {_UNHEARD} order by sequence").fetchall()  # noqa: S608 - no outside text
    found = tuple(events.from_dict(json.loads(body), session) for session, body in rows)
    if not found:
        return Unheard()
    since = found[0].sequence
    idle = database.execute("select distinct session from journal where sequence > ? and type='sessionidle'", (since,))
    shown = "select count(*) from journal where sequence > ? and type='notification' and json_extract(body, '$.shown')"
    return Unheard(
        events=found,
        idle=frozenset(session for (session,) in idle),
        notified=database.execute(shown, (since,)).fetchone()[0] > 0,
    )


def history(since: int, task: TaskKey | None, limit: int) -> Callable[[sqlite3.Connection], list[Event]]:
    """A query for `Store.read`: journalled events after `since`, oldest first; the newest `limit` of them."""

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
    records = database.execute("select record from task union all select record from resume_data where not spent")
    stored = [json.loads(record) for (record,) in records]
    older = [(record.get("older_part") or {}).get("path") for record in stored]
    return frozenset(path for path in (*older, *(record.get("part_path") for record in stored)) if path)


# ---- records to text and back


_COOKIES = ("set-cookie", "set-cookie2")


def _flat(record: Any) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for item in dataclasses.fields(record):
        value = getattr(record, item.name)
        if value == item.default:
            continue  # defaults are not written: rows stay small, and a new field needs no migration
        if isinstance(value, Enum):
            value = value.value
        elif dataclasses.is_dataclass(value):
            value = _flat(value)
        out[item.name] = value
    return out


def task_text(task: Task) -> str:
    """A record as it is kept. What a server set as a cookie stays in memory (FAULTS L9)."""
    stored = _flat(task)
    if task.response is not None:
        headers = [(name, "" if name.lower() in _COOKIES else value) for name, value in task.response.headers]
        stored["response"] = {**stored["response"], "headers": headers}
    return json.dumps(stored)


_ENUMS: dict[str, type[Enum]] = {"kind": Kind, "state": State, "activity": Activity, "origin": Origin, "retry": Retry}


@lru_cache(maxsize=16)
def _names(cls: type) -> tuple[frozenset[str], tuple[tuple[str, type[Enum]], ...]]:
    # Asked for each of thousands of records at the start.
    names = frozenset(item.name for item in dataclasses.fields(cls))
    return names, tuple((name, kind) for name, kind in _ENUMS.items() if name in names)


def _made(cls: type[T], stored: dict[str, Any]) -> T:
    """Of what was stored; names that this version does not know are passed over."""
    names, enums = _names(cls)  # type: ignore[arg-type]  # every class can be a key
    for name, kind in enums:
        if name in stored:
            stored[name] = kind(stored[name])
    try:
        return cls(**stored)
    except TypeError:
        return cls(**{name: value for name, value in stored.items() if name in names})


def task_of(text: str) -> Task:
    """The record that `task_text` wrote. Raises ValueError or TypeError when it is not one."""
    stored = json.loads(text)
    if stored.get("validators") is not None:  # {} stands for one without any
        stored["validators"] = _validators(stored["validators"])
    if stored.get("older_part") is not None:
        stored["older_part"]["validators"] = _validators(stored["older_part"].get("validators", {}))
        stored["older_part"] = _made(StoredPart, stored["older_part"])
    if "evidence" in stored:
        for name in ("contradicted", "ignored"):
            stored["evidence"][name] = tuple(stored["evidence"].get(name, ()))
        stored["evidence"] = _made(Evidence, stored["evidence"])
    if stored.get("error") is not None:
        stored["error"] = _made(TransferError, stored["error"])
    if stored.get("response") is not None:
        headers = stored["response"].get("headers", ())
        stored["response"]["headers"] = tuple([(name, value) for name, value in headers])
        stored["response"] = _made(Response, stored["response"])
    if stored.get("upload") is not None:
        stored["upload"] = _made(UploadResource, stored["upload"])
    if stored.get("options") is not None:
        stored["options"]["send_along"] = tuple(stored["options"].get("send_along", ()))
        stored["options"] = _made(RequestOptions, stored["options"])
    stored["header_names"] = tuple(stored.get("header_names", ()))
    for name in ("source_identity", "final_identity"):
        stored[name] = tuple(stored.get(name, ()))
    stored["transactions"] = tuple(map(tuple, stored.get("transactions", ())))
    return _made(Task, stored)


def _validators(stored: dict[str, Any]) -> Validators:
    for name in ("digests", "sums"):
        stored[name] = tuple(stored.get(name, ()))
    return _made(Validators, stored)


def _configuration_text(configuration: SessionConfiguration) -> str:
    stored = {
        item.name: getattr(configuration, item.name)
        for item in dataclasses.fields(configuration)
        if item.name not in ("http_header_fields", "retry_policy")
    }
    return json.dumps({**stored, "retry_policy": _flat(configuration.retry_policy)})


def _configuration(text: str) -> SessionConfiguration:
    stored = json.loads(text)
    stored["retry_policy"] = _made(RetryPolicy, stored.get("retry_policy", {}))
    stored["send_along"] = tuple(stored.get("send_along", ()))
    return _made(SessionConfiguration, stored)
