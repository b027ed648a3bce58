"""Part files by their names: how they are called, which there are in a folder, and how those go
that nobody needs.

Rule: what is not called like a part of ours is never deleted here.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Collection, Iterable

from transfermon.model.errors import Code
from transfermon.model.lazy_pattern import lazy_pattern
from transfermon.storage.disk_failures import disk_failure
from transfermon.storage.file_identity import regular_at
from transfermon.storage.held_folder import HeldFolder

_PREFIX = ".transfermon-"
_PART_NAME = lazy_pattern(r"\.transfermon-[0-9a-f]{16}\.part")
_MAP_NAME = lazy_pattern(r"\.transfermon-[0-9a-f]{16}\.map")


def new_name(mark: str) -> str:
    """Up to six hexadecimal digits of `mark` are in it, so that its maker is known again by
    `sweep_parts`.
    """
    return f"{_PREFIX}{(mark[:6] + secrets.token_hex(8))[:16]}.part"


def another_name(part: str) -> str:
    """Of the same maker as that part."""
    return f"{part[: len(_PREFIX) + 6]}{secrets.token_hex(5)}.part"


def small_name(mark: str, task: str) -> str:
    """That of a small file's part, which follows from the words that name its task: no record has
    to say it.
    """
    follows = hashlib.blake2b(task.encode(), digest_size=8).hexdigest()
    return f"{_PREFIX}{(mark[:6] + follows)[:16]}.part"


def has_mark(name: str, mark: str) -> bool:
    """Whether it is a part's name by that maker."""
    return is_part(name) and name.startswith(f"{_PREFIX}{mark[:6]}")


def is_part(name: str) -> bool:
    return _PART_NAME.fullmatch(name) is not None


def map_of(part: str) -> str:
    """The name, or the path, of the range map beside a part of that name or path."""
    return f"{part.removesuffix('.part')}.map"


def maps_in(folder: str) -> list[str]:
    """The paths of all range maps in a folder; none where it cannot be read."""
    try:
        return sorted(
            os.path.join(folder, name) for name in os.listdir(folder) if _MAP_NAME.fullmatch(name)
        )
    except OSError:
        return []


def parts_in(folder: str) -> list[str]:
    """The paths of all part files of ours in a folder, whoever may know of them; none where it
    cannot be read.
    """
    try:
        return sorted(os.path.join(folder, name) for name in os.listdir(folder) if is_part(name))
    except OSError:
        return []


def sweep_parts(folders: Iterable[str], mark: str, known: Collection[str]) -> None:
    """Delete the empty parts with that mark that nobody knows: made just before a crash, never
    recorded, never written; and maps whose part is gone. Call it before parts are made.
    """
    begin = f"{_PREFIX}{mark[:6]}"
    for folder in folders:
        for path in parts_in(folder):
            if path in known or not os.path.basename(path).startswith(begin):
                continue
            with contextlib.suppress(OSError):
                if os.path.getsize(path) == 0:
                    os.unlink(path)
        for path in maps_in(folder):
            part = f"{path.removesuffix('.map')}.part"
            if os.path.basename(path).startswith(begin) and not os.path.lexists(part):
                with contextlib.suppress(OSError):
                    os.unlink(path)


def remove_part(path: str) -> bool:
    """Delete a part file by its path, with its map, and sync its folder; False when there was none.

    Anything that is not called like a part of ours, or is no regular file, is left alone. Raises
    TransferFailure -3004.
    """
    name = os.path.basename(path)
    if not is_part(name):
        raise ValueError(f"{path!r} is not a part file")
    remove_map(path)
    if regular_at(path) is None:
        return False
    try:
        with contextlib.closing(HeldFolder.open(os.path.dirname(path))) as folder:
            folder.unlink(name)
            folder.sync()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise disk_failure(error, Code.CANNOT_REMOVE_FILE, path) from error
    return True


def remove_map(path: str) -> None:
    """Delete the range map beside the part at `path`, if there is one."""
    with contextlib.suppress(OSError):
        os.unlink(map_of(path))
