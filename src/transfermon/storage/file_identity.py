"""Which file is at a path: by what it is known again, how long it is, whose it is."""

from __future__ import annotations

import os
import stat

from transfermon.http import digests
from transfermon.model.errors import Code
from transfermon.storage.disk_failures import disk_failure

_BLOCK = 1024 * 1024


def identity_of(status: os.stat_result) -> tuple[int, ...]:
    """What tells whether a file is still the one that it was (W15): `file_system.is_same_file`
    compares two.
    """
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def identity_at(path: str) -> tuple[int, ...]:
    """`identity_of` a regular file; () where there is none."""
    status = regular_at(path)
    return () if status is None else identity_of(status)


def size_at(path: str) -> int:
    """The length of a regular file; 0 where there is none."""
    status = regular_at(path)
    return 0 if status is None else status.st_size


def regular_at(path: str) -> os.stat_result | None:
    """The status of a regular file; None where there is none. A link is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def is_ours(status: os.stat_result, owner: int | None = None) -> bool:
    """A regular file under one name that belongs to this user, or to the `owner` that its mount
    gives all new files.
    """
    if owner is None:
        owner = os.geteuid() if hasattr(os, "geteuid") else status.st_uid
    return stat.S_ISREG(status.st_mode) and status.st_uid == owner and status.st_nlink <= 1


def digest_at(path: str, algorithm: str) -> str:
    """The hash of a whole file in hex; `algorithm` as in `Repr-Digest`. Raises TransferFailure
    -3001.
    """
    hashing = digests.new(algorithm)
    try:
        with open(path, "rb") as file:
            while piece := file.read(_BLOCK):
                hashing.update(piece)
    except OSError as error:
        raise disk_failure(error, Code.CANNOT_OPEN_FILE, path) from error
    return str(hashing.hexdigest())
