"""The range map: a small file beside a part whose bytes do not come in their order, which says what
of it is stored.

Rule: it is written after the bytes that it tells of, and never synced. So it is right after the
process has died, and means nothing after anything else: whoever opened the part knows whether it
is the same boot and mount, and believes it only then. It is written by calls, not through a
mapping: both are in the same memory of the kernel's when the process is killed, but on a full disk
a call fails, and a mapping kills the process.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Sequence
from typing import Self

from transfermon.model.errors import Code
from transfermon.storage import part_names
from transfermon.storage.disk_failures import disk_failure
from transfermon.storage.file_identity import is_ours
from transfermon.storage.held_folder import HeldFolder, close_quietly

_MAGIC = b"tmranges"
_HEADER = struct.Struct("=8sQQ8x")  # also the inode of the part, and bytes of the whole file
_ROW = struct.Struct("=QQ")  # from where on, and up to where bytes are stored
_AT = struct.Struct("=Q")
ROWS = 2046  # a file of 32 KiB; a row is used once
_SIZE = _HEADER.size + ROWS * _ROW.size
_CREATE = (
    os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
)
_READ = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
)


class RangeMap:
    """An open one. Any thread may write rows, each row one at a time."""

    def __init__(self, folder: HeldFolder, name: str, fd: int, rows: int) -> None:
        self._folder = folder
        self._name = name
        self._fd = fd
        self._rows = rows

    def __repr__(self) -> str:
        return f"<RangeMap {self._name} of {self._rows} rows>"

    @classmethod
    def create(
        cls,
        folder: HeldFolder,
        part: str,
        inode: int,
        total: int,
        pairs: Sequence[tuple[int, int]],
    ) -> Self:
        """A map of the part of that name and inode, with these stretches, [start, at), in its first
        rows, in place of the one that is there. Raises TransferFailure -3000.
        """
        name, fd = part_names.map_of(part), None
        try:
            with contextlib.suppress(FileNotFoundError):
                folder.unlink(name)
            fd = folder.open_name(name, _CREATE)
            rows = b"".join(_ROW.pack(start, at) for start, at in pairs[:ROWS])
            os.pwrite(fd, rows.ljust(_SIZE - _HEADER.size, b"\0"), _HEADER.size)
            # the header comes last: without it nothing is believed
            os.pwrite(fd, _HEADER.pack(_MAGIC, inode, total), 0)
        except OSError as error:
            close_quietly(fd)
            raise disk_failure(error, Code.CANNOT_CREATE_FILE, folder.path) from error
        return cls(folder, name, fd, len(pairs))

    @property
    def full(self) -> bool:
        return self._rows >= ROWS

    def add(self, start: int) -> int:
        """The number of a new row, for bytes from `start` on, with nothing stored. There must be
        one: see `full`.
        """
        assert not self.full
        row, self._rows = self._rows, self._rows + 1
        self._write(_HEADER.size + row * _ROW.size, _ROW.pack(start, start))
        return row

    def put(self, row: int, at: int) -> None:
        """Bytes are stored up to `at`. Where it cannot be written the map says less, which is true,
        too.
        """
        self._write(_HEADER.size + row * _ROW.size + _AT.size, _AT.pack(at))

    def _write(self, place: int, data: bytes) -> None:
        with contextlib.suppress(OSError):
            os.pwrite(self._fd, data, place)

    def close(self) -> None:
        """May be called twice. The file stays."""
        fd, self._fd = self._fd, -1
        close_quietly(fd)

    def drop(self) -> None:
        """Close it, and delete the file."""
        self.close()
        with contextlib.suppress(OSError):
            self._folder.unlink(self._name)


def stored_in_map(folder: HeldFolder, part: str, inode: int) -> tuple[tuple[int, int], ...] | None:
    """What the map beside a part of that name and inode says is stored; None where there is none
    that belongs to it.
    """
    fd = None
    try:
        fd = folder.open_name(part_names.map_of(part), _READ)
        data = os.pread(fd, _SIZE, 0)
        if not is_ours(os.fstat(fd)) or len(data) < _SIZE:
            return None
        magic, its_inode, total = _HEADER.unpack_from(data)
        if magic != _MAGIC or its_inode != inode:
            return None
    except OSError:
        return None
    finally:
        close_quietly(fd)
    rows = _ROW.iter_unpack(data[_HEADER.size :])
    return tuple((start, at) for start, at in rows if start < at <= total)
