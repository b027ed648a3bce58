"""Whether there is room for what an attempt of a download would bring.

Rule: no server is asked for what cannot be kept.
"""

from __future__ import annotations

import contextlib

from transfermon.engine.attempt import Attempt
from transfermon.engine.download_parts import DownloadParts
from transfermon.model.errors import TransferFailure
from transfermon.model.task import UNKNOWN
from transfermon.storage import disk_failures, disk_space, file_system


async def require_room(attempt: Attempt, parts: DownloadParts) -> None:
    """Before the request. Raises TransferFailure -3000 or -3003."""
    task = attempt.task
    if parts.part is None and task.folder:
        if not attempt.engine.filer.has_worked_in(task.folder):
            disk_space.require_writable(task.folder)
    elif parts.part is not None and task.expected > parts.kept:
        needed = task.expected - parts.kept
        free = await parts.on_disk(disk_space.free_space, parts.part.folder, needed)
        if (missing := needed - free) > 0:
            raise TransferFailure(disk_failures.too_little_space(missing, task.url))
    if task.room and (task.expected == UNKNOWN or parts.part is None):
        await _require_more_room(attempt, parts)


async def _require_more_room(attempt: Attempt, parts: DownloadParts) -> None:
    """After an attempt that a full disk has ended: as much as is needed, or more than there was
    then.
    """
    task = attempt.task
    folder = parts.part.folder if parts.part is not None else task.folder or parts.temporary_folder
    if task.expected != UNKNOWN:
        free = await parts.on_disk(disk_space.free_space, folder, task.expected)
        if (missing := task.expected - free) > 0:
            raise TransferFailure(disk_failures.too_little_space(missing, task.url))
        return
    usable = await parts.on_disk(disk_space.usable_space, folder)
    if not file_system.has_more_room(parts.stored + usable, task.room):
        raise TransferFailure(disk_failures.nearly_full(task.url))


async def has_room(parts: DownloadParts, folder: str, total: int) -> bool:
    """Also where nobody can say."""
    with contextlib.suppress(TransferFailure):
        return total <= await parts.on_disk(disk_space.free_space, folder, total)
    return True
