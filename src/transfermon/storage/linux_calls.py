"""What Python has no names for: calls of the Linux kernel, and what /proc says.

Rule: where a system knows a call not, the answer says so (False, 0 or ""); only what was tried and
failed raises OSError.
"""

from __future__ import annotations

import errno
import os
import sys
from functools import cache
from typing import Any

from transfermon.storage import file_system

_UNSUPPORTED = frozenset(
    {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENODEV, errno.ESPIPE, errno.EPERM}
)
_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_STATX_MNT_ID_UNIQUE = 0x4000
_FALLOC_FL_KEEP_SIZE = 1
_RENAME_NOREPLACE = 1


@cache
def boot_id() -> str:
    """A name for this run of the kernel; "" where there is none to be had."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def mount_id(fd: int) -> int:
    """A number for the mount that the file is on, never given again on this boot where the kernel
    can say so.
    """
    import ctypes  # few small files need it

    libc = _libc()
    if libc is not None and hasattr(libc, "statx"):
        buffer = ctypes.create_string_buffer(256)
        if libc.statx(fd, b"", _AT_EMPTY_PATH, _STATX_MNT_ID_UNIQUE, buffer) == 0:
            mask = int.from_bytes(buffer.raw[:4], sys.byteorder)
            if mask & _STATX_MNT_ID_UNIQUE:
                return int.from_bytes(buffer.raw[144:152], sys.byteorder)
    return os.fstat(fd).st_dev


def umask() -> int:
    """The mode bits that this process takes away from new files; os.umask() would change them for
    every thread.
    """
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("Umask:"):
                    return int(line.split()[1], 8)
    except (OSError, ValueError):
        pass
    return 0o022


def reserve_blocks(fd: int, offset: int, length: int) -> bool:
    """False when this file system cannot; never posix_fallocate, which writes and sets the length
    instead.
    """
    import ctypes  # few small files need it

    libc = _libc()
    if libc is None or not hasattr(libc, "fallocate64"):
        return False
    while libc.fallocate64(fd, _FALLOC_FL_KEEP_SIZE, offset, length) != 0:
        number = ctypes.get_errno()
        if number == errno.EINTR:
            continue
        if number in _UNSUPPORTED:
            return False
        raise OSError(number, os.strerror(number))
    return True


def rename_noreplace(source: str, target: str, folder_fd: int | None) -> bool:
    """False where it cannot be done so; FileExistsError when the name is taken."""
    import ctypes  # few small files need it

    libc = _libc()
    if libc is None or not hasattr(libc, "renameat2"):
        return False
    at = _AT_FDCWD if folder_fd is None else folder_fd
    while libc.renameat2(at, os.fsencode(source), at, os.fsencode(target), _RENAME_NOREPLACE) != 0:
        number = ctypes.get_errno()
        if number == errno.EINTR:
            continue
        if file_system.may_try_another_way(number):
            return False
        raise OSError(number, os.strerror(number), target)
    return True


def sync_file_system(fd: int) -> bool:
    """All of the file system that the file is on; False where that cannot be had."""
    libc = _libc()
    return libc is not None and hasattr(libc, "syncfs") and libc.syncfs(fd) == 0


def file_system_number(fd: int) -> int:
    """The number of the file system's kind; 0 where it cannot be learnt."""
    import ctypes  # few small files need it

    libc = _libc()
    if libc is None or not hasattr(libc, "fstatfs"):
        return 0
    buffer = (ctypes.c_long * 64)()
    return int(buffer[0]) if libc.fstatfs(fd, buffer) == 0 else 0


def file_system_type(folder: str) -> str:
    """The type of the one that holds a folder, as the kernel names it; "" where that cannot be
    learnt.
    """
    try:
        device = os.stat(folder).st_dev
        pair = f"{os.major(device)}:{os.minor(device)}"
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            found = [
                line.partition(" - ")[2].split(" ")[0]
                for line in mounts
                if line.split(" ")[2] == pair
            ]
    except OSError:
        return ""
    return found[-1] if found else ""


@cache
def _libc() -> Any:
    import ctypes  # few small files need it

    if not sys.platform.startswith("linux"):
        return None
    try:
        libc = ctypes.CDLL(None, use_errno=True)
    except OSError:
        return None
    prototypes = {
        "fallocate64": (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64),
        "renameat2": (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint),
        "statx": (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p),
        "fstatfs": (ctypes.c_int, ctypes.c_void_p),
        "syncfs": (ctypes.c_int,),
    }
    for name, types in prototypes.items():
        if hasattr(libc, name):
            getattr(libc, name).argtypes = types
    return libc
