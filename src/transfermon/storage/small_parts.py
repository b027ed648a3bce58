"""What a crash has left of small files on their way to their names; `filer` says how they get them.

Rule: the link count of a part tells. One that an unfinished task claims and that has two links is a
finished file whose end is still to be told; every other part of ours with two links is a second
name of a file that everybody knows of, and goes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from transfermon.storage import part_names
from transfermon.storage.file_identity import regular_at


class Leftover(NamedTuple):
    """What a start has found."""

    named: frozenset[str] = frozenset()  # parts whose files have names, and whose tasks go on
    unseen: frozenset[str] = frozenset()  # folders that could not be read


class NamedFile(NamedTuple):
    """A file that got its name before the journal heard of it."""

    path: str
    size: int


def sweep(
    listed: Iterable[str],
    folders: Iterable[str],
    mark: str,
    known: Collection[str],
    claims: Callable[[], Mapping[str, bool]],
) -> Leftover:
    """Blocking. Drop the small parts of ours that nobody needs. `listed` are the folders that the
    filer wrote down, `folders` where else to look, `known` the parts that records name. `claims`
    says which paths a task's small part has, and whether that task goes on.
    """
    named, unseen = set(), set()
    claimed: Mapping[str, bool] | None = None
    for folder in dict.fromkeys((*listed, *folders)):
        try:
            names = [name for name in os.listdir(folder) if part_names.has_mark(name, mark)]
        except OSError:
            unseen.add(folder)
            continue
        for path in (os.path.join(folder, name) for name in names):
            status = None if path in known else regular_at(path)
            if status is None or not _is_mine(status, folder):
                continue
            claimed = claims() if claimed is None else claimed
            if status.st_nlink > 1 and claimed.get(path):
                named.add(path)
            elif status.st_nlink > 1 or path in claimed:
                with contextlib.suppress(OSError):
                    os.unlink(path)
    return Leftover(frozenset(named), frozenset(unseen) & frozenset(listed))


def named_file(part: str) -> NamedFile | None:
    """Blocking. The file that a part has become; a part without another name in its folder goes,
    and None is the answer.
    """
    folder = os.path.dirname(part)
    status = regular_at(part)
    if status is None or not _is_mine(status, folder):
        return None
    with contextlib.suppress(OSError):
        if status.st_nlink > 1:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.inode() != status.st_ino or part_names.is_part(entry.name):
                        continue
                    found = regular_at(entry.path)
                    if found is not None and os.path.samestat(found, status):
                        return NamedFile(entry.path, status.st_size)
        os.unlink(part)
    return None


def _is_mine(status: os.stat_result, folder: str) -> bool:
    """Belongs to this user, or to the one whom the mount gives all files."""
    if not hasattr(os, "geteuid") or status.st_uid == os.geteuid():
        return True
    try:
        return status.st_uid == os.stat(folder).st_uid
    except OSError:
        return False
