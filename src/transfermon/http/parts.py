"""The two parts that a download may have: the newer one, which it goes on with, and an older one
beside it.

Rule: the record names both, so that a crash makes no orphan, and the older one goes when the newer
one is whole or holds more. No I/O here: which part goes on is decided on what is known of them.
"""

from __future__ import annotations

from transfermon.http.evidence import dates_agree, differ, tags_agree
from transfermon.model.ranges import prefix
from transfermon.model.task import UNKNOWN, StoredPart, Task, Validators, changed


def goes_on(validators: Validators | None, received: int, older: StoredPart | None) -> bool:
    """Whether the older one of two parts is the one to go on with: nothing tells them apart, and it
    holds more.
    """
    if older is None or validators is None:
        return older is not None
    tags = (validators.etag, older.validators.etag)
    if validators.host != older.validators.host or (all(tags) and not tags_agree(*tags)):
        return False
    dates = (validators.last_modified, older.validators.last_modified)
    if all(dates) and not dates_agree(*dates):
        return False
    known = any(all(pair) for pair in (tags, dates)) or UNKNOWN not in (
        validators.total,
        older.validators.total,
    )
    return (
        known and not differ(validators.total, older.validators.total) and older.received > received
    )


def newer(task: Task) -> StoredPart | None:
    """The newer part of a task as its older one; None for none, and for one without a byte.

    Of one whose bytes did not come in their order only the first ones are kept, those of the last
    checkpoint: its length says nothing.
    """
    received = prefix(task.ranges) if task.ranges else task.received
    if not task.part_path or not received or task.validators is None:
        return None
    return StoredPart(
        path=task.part_path,
        inode=task.part_inode,
        received=received,
        expected=task.expected,
        validators=task.validators,
        boot_id="" if task.ranges else task.boot_id,
        mount_id=0 if task.ranges else task.mount_id,
    )


def exchanged(task: Task) -> Task:
    """The older part is the one to go on with, the newer one is kept beside it."""
    older = task.older_part
    assert older is not None
    return changed(
        task,
        part_path=older.path,
        part_inode=older.inode,
        received=older.received,
        ranges=(),
        expected=older.expected,
        validators=older.validators,
        boot_id=older.boot_id,
        mount_id=older.mount_id,
        older_part=newer(task),
        wasted=max(0, task.wasted - older.received + task.received),
        evidence=changed(task.evidence, brought=0, compared=0),
    )
