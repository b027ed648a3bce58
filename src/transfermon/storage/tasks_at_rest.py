"""The transfers of a state directory, read by a command that does not become the engine for it.

Rule: nothing is written, and nothing is repaired. Whoever reads holds the engine lock, so that
nobody writes meanwhile; a file that is not as an engine of this version leaves it is for the engine.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from urllib.parse import quote

from transfermon.model.task import Task
from transfermon.storage.records import task_of
from transfermon.storage.schema import SUSPECT, VERSION

# A default session ends with its process. While it has not been ended, the engine has work to do.
_LEFT_BEHIND = "select count(*) from session where identifier is null and state != 'invalidated'"
_TASKS = (
    "select record from task where session in"
    " (select key from session where identifier is not null and state != 'invalidated')"
)


def tasks_at_rest(path: str) -> tuple[Task, ...] | None:
    """All records, in the order in which they were added, as the engine would find them. None where
    only the engine can tell: there is no file, it has another version, or its last owner did not
    close it.
    """
    if any(os.path.lexists(path + end) for end in ("-wal", "-journal", SUSPECT)):
        return None
    try:
        with contextlib.closing(_opened(path)) as database:
            (version,) = database.execute("pragma user_version").fetchone()
            if version != VERSION or database.execute(_LEFT_BEHIND).fetchone()[0]:
                return None
            found = [task_of(record) for (record,) in database.execute(_TASKS)]
    except (sqlite3.Error, ValueError, TypeError, KeyError, AttributeError):
        return None  # no file, or a damaged one
    return tuple(sorted(found, key=lambda task: (task.added, task.session, task.number)))


def _opened(path: str) -> sqlite3.Connection:
    # immutable: SQLite takes the file as it is and makes none beside it
    return sqlite3.connect(f"file:{quote(os.fsencode(path))}?mode=ro&immutable=1", uri=True)
