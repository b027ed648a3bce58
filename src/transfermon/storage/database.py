"""The database file: opened and brought up to date, copied once a day, set aside when it is
damaged, written to.

Rule: one connection, on one thread, and nobody else writes: who opens the file takes the next
lease, and who has lost his writes nothing more.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sqlite3
import time
from collections.abc import Sequence

from transfermon.model.errors import StateError
from transfermon.model.task import changed
from transfermon.storage import tables
from transfermon.storage.changes import Change, Remembered
from transfermon.storage.schema import MIGRATIONS, SUSPECT
from transfermon.storage.tables import Query, T

log = logging.getLogger(__name__)

BUSY_SECONDS = 1.0  # that a commit waits while another program has the file locked
PRUNE_EVERY = 5_000  # new rows
BACKUP_SECONDS = 86_400.0  # between two copies of the file (W16)
SQLITE_VERSION = sqlite3.sqlite_version
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_COPY = ".copy"  # beside the file


class NotStored(Exception):  # noqa: N818 - a state of affairs, which may pass
    """Nothing of a commit was stored: the disk is full, another program has the file locked."""


class LeaseLost(Exception):  # noqa: N818 - a state of affairs
    """Another process has opened the file since."""


class _Damaged(Exception):  # noqa: N818 - a signal inside this module
    pass


class Database:
    """Used on one thread, from `open` to `close`."""

    def __init__(self, path: str, *, kept: int) -> None:
        self.path = path
        self.lease = 0
        self._kept = kept  # rows of the journal
        self._since_pruned = 0
        self._open: sqlite3.Connection | None = None

    def __repr__(self) -> str:
        return f"<Database {self.path} lease={self.lease}>"

    @property
    def _connection(self) -> sqlite3.Connection:
        assert self._open is not None
        return self._open

    def open(self) -> Remembered:
        """Open or make the file, bring it to the newest version, take the next lease.

        A damaged file is set aside under a name with the date, and the last copy takes its place
        (K18); `Remembered.set_aside` says so. Raises StateError when the file is from a newer
        version or cannot be written.
        """
        try:
            try:
                return self._load()
            except _Damaged as damage:
                log.warning("the database is damaged: %s", damage)
                aside, copied = self._set_aside()
                return changed(self._load(fresh=True), set_aside=aside, from_backup=copied)
        except (sqlite3.Error, OSError, _Damaged) as exc:
            raise StateError(
                f"The database {self.path} cannot be used: {exc}.",
                "Move it away to start with an empty list; the files already downloaded are not touched.",
            ) from exc

    def close(self) -> None:
        self._connection.close()

    def read(self, query: Query[T]) -> T:
        return query(self._connection)

    def commit(self, changes: Sequence[Change], heard: Sequence[int]) -> None:
        """Durable when it returns; `heard` are the events that every listener has had. Raises
        NotStored and LeaseLost.
        """
        database = self._connection
        try:
            self._write(database, changes, heard)
        except sqlite3.Error as exc:
            if database.in_transaction:
                database.execute("rollback")
            if _is_damage(exc):  # the next start looks at all of it
                with contextlib.suppress(OSError):
                    os.close(os.open(self.path + SUSPECT, os.O_WRONLY | os.O_CREAT, 0o600))
            raise NotStored(str(exc)) from exc

    def _write(
        self, database: sqlite3.Connection, changes: Sequence[Change], heard: Sequence[int]
    ) -> None:
        database.execute("begin immediate")
        (lease,) = database.execute("select value from meta where key='lease'").fetchone()
        if int(lease) != self.lease:
            database.execute("rollback")
            raise LeaseLost
        tables.write_changes(database, changes)
        self._since_pruned += sum(
            change.event is not None or change.wake is not None for change in changes
        )
        if self._since_pruned >= PRUNE_EVERY:
            tables.prune(database, self._kept)
            self._since_pruned = 0
        tables.acknowledge(database, heard)
        database.execute("commit")

    def keep_copy(self) -> None:
        """Once a day, for the day on which the file is damaged."""
        path, temporary = self.path + _COPY, self.path + _COPY + ".new"
        try:
            if os.path.exists(path) and time.time() - os.path.getmtime(path) < BACKUP_SECONDS:
                return
            if not self._connection.execute("select count(*) from session").fetchone()[0]:
                return
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            with contextlib.closing(sqlite3.connect(temporary)) as copy:
                self._connection.backup(copy)
            os.replace(temporary, path)
        except Exception as exc:  # noqa: BLE001 - a full disk: the list itself says so soon enough
            log.warning("no copy of the list of transfers was kept: %s", exc)

    # ---- opening

    def _load(self, *, fresh: bool = False) -> Remembered:
        """Raises _Damaged when the content cannot be what was written."""
        if not fresh and os.path.exists(self.path) and not os.path.getsize(self.path):
            raise _Damaged("it is empty")
        database = self._connect()
        try:
            if os.path.exists(self.path + SUSPECT):
                _check(database)
                os.unlink(self.path + SUSPECT)
            self._prepare(database)
            if fresh:  # numbers may be given again: with another identity they are other events
                tables.set_value(database, "database_id", secrets.token_hex(6))
            remembered = tables.load_everything(database)
        except (sqlite3.Error, ValueError, TypeError, KeyError, AttributeError) as exc:
            database.close()
            if not isinstance(exc, sqlite3.Error) or _is_damage(exc):
                raise _Damaged(str(exc)) from exc
            raise
        except BaseException:
            database.close()
            raise
        self._open = database
        return remembered

    def _connect(self) -> sqlite3.Connection:
        old = os.umask(0o077)
        try:
            return sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        finally:
            os.umask(old)

    def _prepare(self, database: sqlite3.Connection) -> None:
        for pragma in (
            "journal_mode=wal",
            "synchronous=full",
            "foreign_keys=on",
            "wal_autocheckpoint=1000",
        ):
            database.execute(f"pragma {pragma}")
        self._migrate(database)
        database.execute("begin immediate")
        row = database.execute("select value from meta where key='lease'").fetchone()
        self.lease = int(row[0]) + 1 if row else 1
        tables.set_value(database, "lease", str(self.lease))
        if not row:
            tables.set_value(database, "database_id", secrets.token_hex(6))
        tables.prune(database, self._kept)
        database.execute("commit")

    def _migrate(self, database: sqlite3.Connection) -> None:
        """Before it, a copy of the older file is kept (W16)."""
        (version,) = database.execute("pragma user_version").fetchone()
        if version > len(MIGRATIONS):
            raise StateError(
                f"The database {self.path} was made by a newer transfermon (version {version}).",
                "Start that one, or choose another folder with --state-dir.",
            )
        if 0 < version < len(MIGRATIONS):
            kept = f"{self.path}.v{version}"
            # SQLite would go by the umask
            os.close(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
            with sqlite3.connect(kept) as copy:
                database.backup(copy)
            copy.close()
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            database.executescript(
                f"begin immediate; {script}; pragma user_version={number}; commit;"
            )

    def _set_aside(self) -> tuple[str, float | None]:
        """Move the damaged file away and put the last copy in its place; returns its path, and the
        copy's time.
        """
        aside = f"{self.path}.damaged-{time.strftime('%Y-%m-%dT%H%M%S')}"
        for end in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                os.replace(self.path + end, aside + end)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path + SUSPECT)
        try:
            copied = os.path.getmtime(self.path + _COPY)
            import shutil  # few are damaged

            shutil.copyfile(self.path + _COPY, self.path)
            with contextlib.closing(self._connect()) as database:
                _check(database)
        except (OSError, sqlite3.Error):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
            return aside, None
        return aside, copied


def _is_damage(exc: Exception) -> bool:
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def _check(database: sqlite3.Connection) -> None:
    """Raises sqlite3.DatabaseError for a file whose pages do not fit together."""
    (found,) = database.execute("pragma quick_check(1)").fetchone()
    if found != "ok":
        error = sqlite3.DatabaseError(found)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error
