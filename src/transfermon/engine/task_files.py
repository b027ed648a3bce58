"""The files that belong to a task: what is sent, what is kept of a body, the parts, and the
finished file.

Rule: everything here blocks, but for `noted`, which asks for one file's status. A file that cannot
be removed never keeps a task from ending: it stays, and the log names it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import time
from collections.abc import Collection
from typing import Any

from transfermon.model.errors import Code, TransferFailure
from transfermon.model.task import UNKNOWN, Task
from transfermon.storage import disk_failures, file_identity, file_system, part_names
from transfermon.storage.settings import ensure_private, write_whole

log = logging.getLogger(__name__)
_SPOOL = "spool"  # the folder of the kept bodies
_SETTLED = 60.0  # seconds after which a part file that no task knows is an orphan


def noted(path: str) -> dict[str, Any]:
    """What the record keeps of the file that is to be sent; nothing of one that is not there
    (U-08).
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return {"source_identity": (), "expected_to_send": UNKNOWN}
    return {
        "source_identity": file_identity.identity_of(status),
        "expected_to_send": status.st_size,
    }


def keep_body(path: str, body: bytes) -> None:
    """A private copy of bytes that an upload sends. Raises TransferFailure -3000."""
    try:
        ensure_private(os.path.dirname(path))
        write_whole(path, body)
    except OSError as error:
        raise disk_failures.disk_failure(error, Code.CANNOT_CREATE_FILE, path) from error


def body_path(state_dir: str) -> str:
    """Where the copy of a new task's bytes is to be."""
    return os.path.join(state_dir, _SPOOL, f"{secrets.token_hex(16)}.body")


def drop_bodies(state_dir: str, kept: Collection[str]) -> None:
    """All but those of these names. Call it before tasks are made."""
    folder = os.path.join(state_dir, _SPOOL)
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(folder):
            if name not in kept:
                drop_file(os.path.join(folder, name))


def drop_part(path: str) -> None:
    try:
        part_names.remove_part(path)
    except (
        TransferFailure
    ) as failure:  # the task ends all the same; the part is hidden and named in the log
        log.warning("%s stays: %s", path, failure)


def drop_orphans(folder: str, known: frozenset[str]) -> None:
    """A part made this minute may belong to a task that is just about to say so."""
    for path in part_names.parts_in(folder):
        with contextlib.suppress(OSError):
            if path not in known and time.time() - os.stat(path).st_mtime > _SETTLED:
                drop_part(path)


def delete_written(task: Task) -> tuple[bool, str]:
    """Delete the finished file if it is the one that was written. Whether it was, and the path of
    what stays.
    """
    # of an older version's record
    written = task.final_identity or (0, task.part_inode, task.received, 0)
    path = task.final_path
    if file_system.is_same_file(file_identity.identity_at(path), written) and drop_file(path):
        return True, ""
    return False, path if os.path.lexists(path) else ""


def drop_file(path: str) -> bool:
    """False when it stays."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as exc:
        log.warning("%s stays: %s", path, exc)
        return False
    return True
