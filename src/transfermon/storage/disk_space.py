"""What of a disk may still be written, and whether a folder takes a file at all: asked before bytes
come.
"""

from __future__ import annotations

import errno
import os
import sys

from transfermon.model.errors import Code, TransferFailure
from transfermon.storage import disk_failures, file_system, linux_calls
from transfermon.storage.disk_failures import disk_failure

_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_MOST_ON_FAT = (1 << 32) - 1
_LATE_FILE_SYSTEMS = frozenset({0x9123683E, 0x2FC12FC1})  # btrfs, ZFS: with the next commit


def free_space(folder: str, needed: int = 0) -> int:
    """Bytes that this user may still write there. Raises TransferFailure -3000.

    Where fewer than `needed` are free, a file system that gives back room late (btrfs: up to 30 s)
    is told to hurry.
    """
    return _space(folder, needed)[0]


def usable_space(folder: str) -> int:
    """Bytes that an answer of unknown length may still take there. Raises TransferFailure -3000."""
    return file_system.usable(*_space(folder, file_system.MOST_RESERVE))


def _space(folder: str, needed: int) -> tuple[int, int]:
    """Free bytes, and all of them."""
    try:
        free, total = _counted(folder)
        if free < needed and _hurry(folder):
            free, total = _counted(folder)
    except OSError as error:
        raise disk_failure(error, Code.CANNOT_CREATE_FILE, folder) from error
    # a FUSE mount that does not count
    return (free, total) if total else (sys.maxsize, sys.maxsize)


def _counted(folder: str) -> tuple[int, int]:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize


def _hurry(folder: str) -> bool:
    """Let what was deleted be free now; False where it is so anyway, or cannot be had."""
    if not sys.platform.startswith("linux"):
        return False
    fd = os.open(folder, os.O_RDONLY | _CLOEXEC)
    try:
        return linux_calls.file_system_number(
            fd
        ) in _LATE_FILE_SYSTEMS and linux_calls.sync_file_system(fd)
    finally:
        os.close(fd)


def require_fit(folder: str, total: int) -> None:
    """Raises a final TransferFailure -3003 when the file system there cannot hold a file of that
    length (F17).
    """
    if total > _MOST_ON_FAT and file_system.ends_at_4_gib(linux_calls.file_system_type(folder)):
        raise TransferFailure(disk_failures.ends_at_4_gib())


def require_writable(folder: str) -> None:
    """Raises TransferFailure -3000 where a new file is bound to fail; a folder that is missing
    passes.
    """
    if not os.path.isdir(folder) or os.access(folder, os.W_OK | os.X_OK):
        return
    read_only = hasattr(os, "statvfs") and os.statvfs(folder).f_flag & os.ST_RDONLY
    number = errno.EROFS if read_only else errno.EACCES
    raise disk_failure(OSError(number, os.strerror(number)), Code.CANNOT_CREATE_FILE, folder)
