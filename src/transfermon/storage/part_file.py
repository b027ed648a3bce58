"""The part file: made beside its target, reserved, synced, and given its final name (FAULTS W3-W12).

Rule: the final name shows a whole file or nothing, and an existing file is never touched unless its owner said so.
All functions block; call them in a thread. Every OSError leaves as a TransferFailure with a sentence for people.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hmac
import os
import re
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Collection, Iterable
from enum import Enum
from functools import cache
from typing import Any, Self

from transfermon.http import digests, filenames
from transfermon.model.errors import Code, Retry, TransferError, TransferFailure
from transfermon.storage import file_system

_PART_NAME = re.compile(r"\.transfermon-[0-9a-f]{16}\.part")
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)  # opening a pipe put in our place must not wait for its other end
_BINARY = getattr(os, "O_BINARY", 0)
_OPEN = os.O_RDWR | _CLOEXEC | _NOFOLLOW | _BINARY
_HOLDS_FOLDERS = os.open in os.supports_dir_fd and hasattr(os, "O_DIRECTORY")
_PLAIN = 0o600
_LEAST_RESERVED = 1024 * 1024
_BLOCK = 1024 * 1024
_TRIES, _PAUSE = 20, 0.1  # times, seconds
_SHORT_NAME = 140  # bytes; encrypting file systems take no more (eCryptfs: 143)
_UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENODEV, errno.ESPIPE, errno.EPERM})
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_MOST_ON_FAT = (1 << 32) - 1
_ORIGIN = "user.xdg.origin.url"


class PartMissing(Exception):  # noqa: N818 - a state of affairs, which the caller answers by starting over
    """There is no part file of ours at the recorded place; the text is a sentence for people."""


class PartFile:
    """An open part file. The folder is held open too, so a link made later inside it leads nowhere (R9, F10)."""

    def __init__(self, path: str, fd: int, folder_fd: int | None) -> None:
        self.path = path  # absolute
        self.fd = fd
        self.folder = os.path.dirname(path)
        self._name = os.path.basename(path)
        self._folder_fd = folder_fd

    def __repr__(self) -> str:
        return f"<PartFile {self.path!r} fd={self.fd}>"

    @classmethod
    def create(cls, folder: str, *, sync_folder: bool = True, mark: str = "") -> Self:
        """A new, empty part in `folder`, mode 0600. With `sync_folder` its name survives a power cut (W3).

        Up to six hexadecimal digits of `mark` are in the name, so that its maker is known again by `sweep`.

        Raises TransferFailure -3000 when the folder is missing, not a folder or not writable.
        """
        folder = os.path.abspath(folder)
        folder_fd = fd = None
        name = f".transfermon-{(mark[:6] + secrets.token_hex(8))[:16]}.part"
        try:
            folder_fd = _open_folder(folder)
            where, at = _where(folder, name, folder_fd)
            fd = os.open(where, _OPEN | os.O_CREAT | os.O_EXCL, _PLAIN, dir_fd=at)
            if sync_folder and folder_fd is not None:
                _sync_folder(folder_fd)
        except OSError as error:
            _close(fd)
            _close(folder_fd)
            raise failure(error, Code.CANNOT_CREATE_FILE, folder) from error
        return cls(os.path.join(folder, name), fd, folder_fd)

    @classmethod
    def reopen(cls, path: str, durable: int, boot: str, mount: int) -> tuple[Self, int]:
        """The part at `path` and how many of its bytes are good; it is cut to that length (W5, W12).

        On the same boot and mount as the record (`boot`, `mount`) the file's length is the progress; otherwise
        only the `durable` bytes of the last checkpoint are. Fewer than those: 0. After a failed sync pass boot=""
        so that nothing beyond the checkpoint is believed (W9).
        Raises PartMissing when it is gone or is not a regular file of ours, TransferFailure -3001 otherwise.
        """
        path = os.path.abspath(path)
        folder_fd = fd = None
        try:
            folder_fd = _open_folder(os.path.dirname(path))
            where, at = _where(os.path.dirname(path), os.path.basename(path), folder_fd)
            fd = os.open(where, _OPEN | _NONBLOCK, dir_fd=at)
            status = os.fstat(fd)
            if not _is_ours(status) and not _is_ours(status, _owner_of_new(path, folder_fd)):
                raise PartMissing("Something else is in the place of the part that was stored.")
            part = cls(path, fd, folder_fd)
            same = bool(boot) and mount != 0 and boot == boot_id() and mount == mount_id(fd)
            good = (status.st_size if same else durable) if status.st_size >= durable else 0
            part.cut(good)
        except BaseException as error:
            _close(fd)
            _close(folder_fd)
            if isinstance(error, FileNotFoundError | NotADirectoryError):
                raise PartMissing("The part that was stored is gone.") from error
            if isinstance(error, OSError) and error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise PartMissing("Something else is in the place of the part that was stored.") from error
            if isinstance(error, OSError):
                raise failure(error, Code.CANNOT_OPEN_FILE, path) from error
            raise
        return part, good

    def reserve(self, total: int) -> bool:
        """Reserve blocks up to `total` bytes without changing the length (W10); True when they were reserved.

        At most half of the free space is taken: a length is a stranger's word. What cannot be had is given back.
        Call it before anything writes. Raises TransferFailure -3001 for an I/O error only.
        """
        if total < _LEAST_RESERVED or _in_memory(self.fd):
            return False
        try:
            length = os.fstat(self.fd).st_size
            wanted = min(total - length, _free(self.fd) // 2)
            return wanted > 0 and _fallocate(self.fd, length, wanted)
        except OSError as error:
            if error.errno not in (*_NO_SPACE, errno.EFBIG):
                raise failure(error, Code.CANNOT_OPEN_FILE, self.path) from error
            self.cut(self.length())  # ext4 keeps what a failed reservation got
            return False

    @property
    def inode(self) -> int:
        return os.fstat(self.fd).st_ino

    @property
    def identity(self) -> tuple[int, ...]:
        """By which the file is known again under its final name: `filesystem.is_same_file`."""
        return identity_of(os.fstat(self.fd))

    def length(self) -> int:
        try:
            return os.fstat(self.fd).st_size
        except OSError as error:
            raise failure(error, Code.CANNOT_OPEN_FILE, self.path) from error

    def cut(self, length: int) -> None:
        """Cut to `length` bytes; blocks reserved beyond it are given back, where the file system does that."""
        try:
            status = os.fstat(self.fd)
            if file_system.changes_nothing(
                status.st_size, getattr(status, "st_blocks", 0), getattr(status, "st_blksize", 0), length
            ):
                return
            os.ftruncate(self.fd, length)
        except OSError as error:
            if self.length() != length:
                raise failure(error, Code.CANNOT_WRITE_FILE, self.path) from error

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> int:
        """Write all of `data` at `offset`; returns its length. Raises TransferFailure -3003."""
        view = memoryview(data).cast("B")
        done = 0
        try:
            while done < len(view):
                done += os.pwrite(self.fd, view[done:], offset + done)
        except OSError as error:
            raise failure(error, Code.CANNOT_WRITE_FILE, self.path) from error
        return done

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer only at the end of the file."""
        pieces = []
        try:
            while length > 0 and (piece := os.pread(self.fd, min(length, _BLOCK), offset)):
                pieces.append(piece)
                offset += len(piece)
                length -= len(piece)
        except OSError as error:
            if file_system.gives_nothing_back(error.errno or 0):
                raise TransferFailure(_in_one_go()) from error
            raise failure(error, Code.CANNOT_OPEN_FILE, self.path) from error
        return b"".join(pieces)

    def sync(self) -> None:
        """Everything written so far survives a power cut. After a failure do not call it again and believe (W9)."""
        try:
            getattr(os, "fdatasync", os.fsync)(self.fd)
        except OSError as error:
            raise failure(error, Code.CANNOT_WRITE_FILE, self.path) from error

    def digest(self, algorithm: str, until: int) -> str:
        """The hash of the first `until` bytes in hex; `algorithm` as in `Repr-Digest` ("sha-256").

        Raises ValueError for an unknown algorithm, TransferFailure -3001 when there are fewer bytes.
        """
        hashing = digests.new(algorithm)
        offset = 0
        while offset < until:
            piece = self.read(offset, min(_BLOCK, until - offset))
            if not piece:
                raise failure(OSError(errno.EIO, "the file is too short"), Code.CANNOT_OPEN_FILE, self.path)
            hashing.update(piece)
            offset += len(piece)
        return str(hashing.hexdigest())

    def finish(self, name: str, *, overwrite: bool, durable: bool = True) -> str:
        """Give the part its final name and return the absolute path it now has (W11).

        Without `overwrite` an existing file stays and this one becomes `name (1).ext`. With `durable` data and
        name survive a power cut. On failure, TransferFailure -3005 (-3003 for the data's sync), the part is where
        it was, unless only the folder's sync failed: `finish_state` tells. No path is returned that does not lead to
        the file: where the disk was unmounted meanwhile, the part keeps its name there and this fails.
        """
        if name in ("", ".", "..") or os.path.basename(name) != name or "\0" in name:
            raise ValueError(f"{name!r} is not a file name")
        if durable:
            self.sync()
        try:
            self._current_folder()
            self._check_place()
            self._widen(name if overwrite else "")
            try:
                name = self._replace(name) if overwrite else self._place(name)
            except OSError:
                _try_chmod(self.fd, _PLAIN)
                raise
            if durable and self._folder_fd is not None:
                _sync_folder(self._folder_fd)
            self.path = os.path.join(self._current_folder(), name)
            self._check_final(name)
        except OSError as error:
            raise failure(error, Code.CANNOT_MOVE_FILE, os.path.join(self.folder, name)) from error
        return self.path

    def free_name(self, name: str) -> str:
        """The name that `finish` without `overwrite` would give now."""
        where, at = _where(self.folder, name, self._folder_fd)
        try:
            os.stat(where, dir_fd=at, follow_symlinks=False)
            taken = self._names()
        except OSError:  # free, or for `finish` to complain about
            return name
        number = 1
        while filenames.numbered(name, number).casefold() in taken:
            number += 1
        return filenames.numbered(name, number)

    def close(self) -> None:
        """May be called twice."""
        fd, self.fd = self.fd, -1
        folder_fd, self._folder_fd = self._folder_fd, None
        _close(fd)
        _close(folder_fd)

    def discard(self) -> None:
        """Delete the part, if it is still ours, and close. Never raises for a part that is gone already."""
        try:
            self._check_place()
            where, at = _where(self.folder, self._name, self._folder_fd)
            os.unlink(where, dir_fd=at)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise failure(error, Code.CANNOT_REMOVE_FILE, self.path) from error
        finally:
            self.close()

    def _check_place(self) -> None:
        """FileNotFoundError when the part's name leads to another file, or to none."""
        where, at = _where(self.folder, self._name, self._folder_fd)
        if not os.path.samestat(os.stat(where, dir_fd=at, follow_symlinks=False), os.fstat(self.fd)):
            raise FileNotFoundError(errno.ENOENT, "the partial file was replaced", self.path)

    def _check_final(self, name: str) -> None:
        """FileNotFoundError when the final name leads to another file, or to none."""
        where, at = _where(self.folder, name, self._folder_fd)
        found = identity_of(os.stat(where, dir_fd=at, follow_symlinks=False))
        if not file_system.is_same_file(found, self.identity):
            raise FileNotFoundError(errno.ENOENT, "another file has the name", self.path)

    def _widen(self, replaced: str) -> None:
        """From 0600 to what a new file would have, or to what the replaced file has; never executable (F19)."""
        mode = 0o666 & ~_umask()
        if replaced:
            where, at = _where(self.folder, replaced, self._folder_fd)
            try:
                status = os.stat(where, dir_fd=at, follow_symlinks=False)
            except FileNotFoundError:
                pass
            else:
                mode = status.st_mode & 0o666 if stat.S_ISREG(status.st_mode) else mode
        _try_chmod(self.fd, mode)

    def _replace(self, name: str) -> str:
        source, at = _where(self.folder, self._name, self._folder_fd)
        target, _ = _where(self.folder, name, self._folder_fd)
        os.replace(source, target, src_dir_fd=at, dst_dir_fd=at)
        return name

    def _place(self, name: str) -> str:
        """The first free one of `name`, `name (1)`, `name (2)`…; returns it."""
        number, taken, wanted = 0, frozenset[str](), name
        while True:
            try:
                self._move(wanted)
            except FileExistsError:
                if not taken:
                    taken = self._names()
            except OSError as error:
                if error.errno != errno.ENAMETOOLONG or len(os.fsencode(name)) <= _SHORT_NAME:
                    raise
                name = wanted = filenames.shortened(name, _SHORT_NAME - 8)
                continue
            else:
                return wanted
            number += 1
            while (wanted := filenames.numbered(name, number)).casefold() in taken:
                number += 1

    def _move(self, name: str) -> None:
        """To `name`, or FileExistsError; by the best way that this file system knows (W11)."""
        source, at = _where(self.folder, self._name, self._folder_fd)
        target, _ = _where(self.folder, name, self._folder_fd)
        if not _rename_noreplace(source, target, at) and not _link_and_unlink(source, target, at):
            _replace_placeholder(source, target, at)

    def _names(self) -> frozenset[str]:
        where = self.folder if self._folder_fd is None else self._folder_fd
        return frozenset(name.casefold() for name in os.listdir(where))

    def _current_folder(self) -> str:
        """Where the held folder is now; it may have been moved since. TransferFailure -3005 when no path leads there."""
        if self._folder_fd is None:
            return self.folder
        if self._is_held(self.folder):
            return self.folder
        moved = ""
        with contextlib.suppress(OSError):
            moved = os.readlink(f"/proc/self/fd/{self._folder_fd}")  # “/” for one that no mount holds any more
        if moved and self._is_held(moved):
            return moved
        raise TransferFailure(_folder_gone(self.folder))

    def _is_held(self, folder: str) -> bool:
        assert self._folder_fd is not None
        try:
            return os.path.samestat(os.stat(folder), os.fstat(self._folder_fd))
        except OSError:
            return False


class FinishState(Enum):
    """What a start-up finds for a task whose record says "finishing" (W12)."""

    REPEAT = "repeat"  # the part is there and the name is free, or taken by another file: finish again
    DONE = "done"  # the final file is there; no part is left
    DONE_REMOVE_PART = "done_remove_part"  # the final file is there; `remove()` what is left of the part
    MISSING = "missing"  # neither is there: file.missing


def finish_state(part_path: str, final_path: str, *, size: int = -1, digest: str = "") -> FinishState:
    """Compare what is on disk with the record: `size` bytes (-1: unknown), `digest` as "sha-256:HEX" or "".

    Changes nothing. A final file counts as ours when it is the same inode as the part, or has the size and digest of
    the record; with neither known, when the part is gone.
    """
    part, final = _regular(part_path), _regular(final_path)
    if part is None:
        return (
            FinishState.DONE if final is not None and _matches(final_path, final, size, digest) else FinishState.MISSING
        )
    if final is None:
        return FinishState.REPEAT
    if os.path.samestat(part, final):
        return FinishState.DONE_REMOVE_PART
    if final.st_size == part.st_size and _same_content(part_path, final_path):
        return FinishState.DONE_REMOVE_PART
    return FinishState.REPEAT


def drop_claim(part_path: str, final_path: str) -> bool:
    """Delete the empty file with which a crash has left the final name claimed, where names are given so.

    The name was free when it was settled, so an empty file of the same owner that is no older than the part is ours.
    """
    part, claim = _regular(part_path), _regular(final_path)
    if part is None or claim is None or claim.st_size or claim.st_uid != part.st_uid:
        return False
    if claim.st_mtime_ns + file_system.COARSE < part.st_mtime_ns:
        return False
    with contextlib.suppress(OSError):
        os.unlink(final_path)
        return True
    return False


def renamed(folder: str, inode: int, size: int) -> str:
    """Where in `folder` a part of that inode and size is now, under a name that is no part's; "" when nowhere.

    A small file gets its name without a record of the wish: after a crash in between only the inode tells (W12).
    """
    if not inode or size < 0:
        return ""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.inode() == inode and not _PART_NAME.fullmatch(entry.name):
                    status = _regular(entry.path)
                    ours = status is not None and (_is_ours(status) or _is_ours(status, os.stat(folder).st_uid))
                    return entry.path if ours and status is not None and status.st_size == size else ""
    except OSError:
        pass
    return ""


def sweep(folders: Iterable[str], mark: str, known: Collection[str]) -> None:
    """Delete the empty parts with that mark that nobody knows: made just before a crash, never recorded, never
    written. Call it before parts are made.
    """
    for path in (path for folder in folders for path in parts_in(folder)):
        if path in known or not os.path.basename(path).startswith(f".transfermon-{mark[:6]}"):
            continue
        with contextlib.suppress(OSError):
            if os.path.getsize(path) == 0:
                os.unlink(path)


def require_writable(folder: str) -> None:
    """Raises TransferFailure -3000 where a new file is bound to fail; a folder that is missing passes."""
    if not os.path.isdir(folder) or os.access(folder, os.W_OK | os.X_OK):
        return
    read_only = hasattr(os, "statvfs") and os.statvfs(folder).f_flag & os.ST_RDONLY
    number = errno.EROFS if read_only else errno.EACCES
    raise failure(OSError(number, os.strerror(number)), Code.CANNOT_CREATE_FILE, folder)


def parts_in(folder: str) -> list[str]:
    """The paths of all part files of ours in a folder, whoever may know of them; none where it cannot be read."""
    try:
        return sorted(os.path.join(folder, name) for name in os.listdir(folder) if _PART_NAME.fullmatch(name))
    except OSError:
        return []


def remove(path: str) -> bool:
    """Delete a part file by its path and sync its folder; False when there was none.

    Anything that is not called like a part of ours, or is no regular file, is left alone.
    """
    if not _PART_NAME.fullmatch(os.path.basename(path)):
        raise ValueError(f"{path!r} is not a part file")
    if _regular(path) is None:
        return False
    folder_fd = None
    try:
        folder_fd = _open_folder(os.path.dirname(path))
        where, at = _where(os.path.dirname(path), os.path.basename(path), folder_fd)
        os.unlink(where, dir_fd=at)
        if folder_fd is not None:
            _sync_folder(folder_fd)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise failure(error, Code.CANNOT_REMOVE_FILE, path) from error
    finally:
        _close(folder_fd)
    return True


def sync_folder(folder: str) -> None:
    """The names in it survive a power cut. Raises TransferFailure -3005."""
    folder_fd = None
    try:
        folder_fd = _open_folder(folder)
        if folder_fd is not None:
            _sync_folder(folder_fd)
    except OSError as error:
        raise failure(error, Code.CANNOT_MOVE_FILE, folder) from error
    finally:
        _close(folder_fd)


def identity_of(status: os.stat_result) -> tuple[int, ...]:
    """What tells whether a file is still the one that it was (W15)."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def stored_at(path: str) -> int:
    """The length of the part at `path`; 0 where there is none."""
    status = _regular(path)
    return 0 if status is None else status.st_size


def identity_at(path: str) -> tuple[int, ...]:
    """`identity_of` a regular file; () where there is none."""
    status = _regular(path)
    return () if status is None else identity_of(status)


def free_space(folder: str, needed: int = 0) -> int:
    """Bytes that this user may still write there. Raises TransferFailure -3000.

    Where fewer than `needed` are free, a file system that gives back room late (btrfs: up to 30 s) is told to hurry.
    """
    return _space(folder, needed)[0]


def usable_space(folder: str) -> int:
    """Bytes that an answer of unknown length may still take there. Raises TransferFailure -3000."""
    return file_system.usable(*_space(folder, file_system.MOST_RESERVE))


def _space(folder: str, needed: int) -> tuple[int, int]:
    """Free bytes, and all of them."""
    try:
        disk = shutil.disk_usage(folder)
        if disk.free < needed and _hurry(folder):
            disk = shutil.disk_usage(folder)
    except OSError as error:
        raise failure(error, Code.CANNOT_CREATE_FILE, folder) from error
    return (disk.free, disk.total) if disk.total else (sys.maxsize, sys.maxsize)  # a FUSE mount that does not count


def _hurry(folder: str) -> bool:
    """Let what was deleted be free now; False where it is so anyway, or cannot be had."""
    libc = _libc()
    if libc is None or not hasattr(libc, "syncfs"):
        return False
    fd = os.open(folder, os.O_RDONLY | _CLOEXEC)
    try:
        return _magic(fd) in _LATE_FILE_SYSTEMS and libc.syncfs(fd) == 0
    finally:
        os.close(fd)


def require_space(folder: str, needed: int) -> None:
    """Raises a final TransferFailure -3003 when `needed` bytes cannot fit (D-17)."""
    free = free_space(folder, needed)
    if needed <= free:
        return
    raise TransferFailure(
        TransferError(
            code=Code.CANNOT_WRITE_FILE,
            message=f"The disk has no room: {_megabytes(needed - free)} more are needed.",
            reason="disk.full",
            hint="Free some space or choose another folder, then try again.",
        )
    )


def require_fit(folder: str, total: int) -> None:
    """Raises a final TransferFailure -3003 when the file system there cannot hold a file of that length (F17)."""
    if total <= _MOST_ON_FAT or not file_system.ends_at_4_gib(_file_system(folder)):
        return
    raise TransferFailure(
        TransferError(
            code=Code.CANNOT_WRITE_FILE,
            message="This disk cannot hold a file of that size: its file system (FAT) ends at 4 GiB.",
            reason="disk.too-large",
            hint="Choose a folder on another disk, or format this one as exFAT.",
        )
    )


def mark_origin(path: str, url: str) -> None:
    """Note where a file came from as browsers do (`user.xdg.origin.url`), without user information, query and fragment.

    Silent where the file system keeps no such notes (G16).
    """
    with contextlib.suppress(OSError, AttributeError):  # AttributeError: not on this system
        os.setxattr(path, _ORIGIN, url.encode(), follow_symlinks=False)


def failure(error: OSError, code: int, path: str) -> TransferFailure:
    """The OSError in words. A disk that fills up while writing is of the class "wait": the transfer goes on later."""
    reason, message, hint = _words(error, code, path)
    waits = reason == "disk.full" and code in (Code.CANNOT_WRITE_FILE, Code.CANNOT_CREATE_FILE)
    retry = Retry.WAIT if waits else Retry.RETRY if reason == "sys.too-many-files" else Retry.FINAL
    return TransferFailure(TransferError(code=code, message=message, reason=reason, hint=hint, retry=retry))


@cache
def boot_id() -> str:
    """A name for this run of the kernel; "" where there is none to be had."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def mount_id(fd: int) -> int:
    """A number for the mount that the file is on, never given again on this boot where the kernel can say so."""
    libc = _libc()
    if libc is not None and hasattr(libc, "statx"):
        buffer = ctypes.create_string_buffer(256)
        if libc.statx(fd, b"", _AT_EMPTY_PATH, _STATX_MNT_ID_UNIQUE, buffer) == 0:
            mask = int.from_bytes(buffer.raw[:4], sys.byteorder)
            if mask & _STATX_MNT_ID_UNIQUE:
                return int.from_bytes(buffer.raw[144:152], sys.byteorder)
    return os.fstat(fd).st_dev


_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_STATX_MNT_ID_UNIQUE = 0x4000
_FALLOC_FL_KEEP_SIZE = 1
_RENAME_NOREPLACE = 1
_LATE_FILE_SYSTEMS = frozenset({0x9123683E, 0x2FC12FC1})  # btrfs, ZFS: with the next commit
_MEMORY_FILE_SYSTEMS = frozenset({0x01021994, 0x858458F6})  # tmpfs, ramfs: reserving writes every page


@cache
def _libc() -> Any:
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


def _fallocate(fd: int, offset: int, length: int) -> bool:
    """False when this file system cannot; never posix_fallocate, which writes and sets the length instead."""
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


def _rename_noreplace(source: str, target: str, folder_fd: int | None) -> bool:
    """False where it cannot be done so; FileExistsError when the name is taken."""
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


def _link_and_unlink(source: str, target: str, folder_fd: int | None) -> bool:
    """False where it cannot be done so; FileExistsError when the name is taken."""
    try:
        os.link(source, target, src_dir_fd=folder_fd, dst_dir_fd=folder_fd, follow_symlinks=False)
    except OSError as error:
        if file_system.may_try_another_way(error.errno or 0):
            return False
        theirs = os.stat(target, dir_fd=folder_fd, follow_symlinks=False)
        if not os.path.samestat(theirs, os.stat(source, dir_fd=folder_fd, follow_symlinks=False)):
            raise  # else the link was made, and its answer was lost on the way (NFS)
    os.unlink(source, dir_fd=folder_fd)
    return True


def _replace_placeholder(source: str, target: str, folder_fd: int | None) -> None:
    """Claim the name with an empty file of ours, then replace that: for file systems without hard links."""
    os.stat(source, dir_fd=folder_fd, follow_symlinks=False)  # no name is claimed for nothing
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CLOEXEC, _PLAIN, dir_fd=folder_fd))
    try:
        _patiently_replace(source, target, folder_fd)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(target, dir_fd=folder_fd)
        raise


def _patiently_replace(source: str, target: str, folder_fd: int | None) -> None:
    """rclone refuses for a moment while it sends one of the two files on its way."""
    for left in reversed(range(_TRIES)):
        try:
            os.replace(source, target, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
        except OSError as error:
            if not left or error.errno not in (errno.EIO, errno.EBUSY):
                raise
            time.sleep(_PAUSE)
        else:
            return


def _in_memory(fd: int) -> bool:
    return _magic(fd) in _MEMORY_FILE_SYSTEMS


def _magic(fd: int) -> int:
    """The number of the file system's kind; 0 where it cannot be learnt."""
    libc = _libc()
    if libc is None or not hasattr(libc, "fstatfs"):
        return 0
    buffer = (ctypes.c_long * 64)()
    return int(buffer[0]) if libc.fstatfs(fd, buffer) == 0 else 0


def _file_system(folder: str) -> str:
    """The type of the one that holds a folder, as the kernel names it; "" where that cannot be learnt."""
    try:
        device = os.stat(folder).st_dev
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            found = [line.partition(" - ")[2].split(" ")[0] for line in mounts if line.split(" ")[2] == _pair(device)]
    except OSError:
        return ""
    return found[-1] if found else ""


def _pair(device: int) -> str:
    return f"{os.major(device)}:{os.minor(device)}"


def _free(fd: int) -> int:
    if not hasattr(os, "fstatvfs"):
        return 0
    status = os.fstatvfs(fd)
    return status.f_bavail * status.f_frsize


def _open_folder(folder: str) -> int | None:
    if not _HOLDS_FOLDERS:
        return None
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _CLOEXEC)


def _where(folder: str, name: str, folder_fd: int | None) -> tuple[str, int | None]:
    """A path and the `dir_fd` it is relative to."""
    return (os.path.join(folder, name), None) if folder_fd is None else (name, folder_fd)


def _sync_folder(folder_fd: int) -> None:
    try:
        os.fsync(folder_fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF, errno.ENOSYS):
            raise  # some file systems cannot sync a folder; others really failed


def _close(fd: int | None) -> None:
    if fd is None or fd < 0:
        return
    with contextlib.suppress(OSError):  # Linux has closed it all the same; what matters was synced before
        os.close(fd)


def _try_chmod(fd: int, mode: int) -> None:
    with contextlib.suppress(OSError, TypeError):  # FAT has no modes, Windows no fchmod
        os.chmod(fd, mode)


def _umask() -> int:
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("Umask:"):
                    return int(line.split()[1], 8)
    except (OSError, ValueError):
        pass
    return 0o022  # os.umask() would change it for every thread


def _is_ours(status: os.stat_result, owner: int | None = None) -> bool:
    """A regular file under one name that belongs to this user, or to the `owner` that its mount gives all new files."""
    if owner is None:
        owner = os.geteuid() if hasattr(os, "geteuid") else status.st_uid
    return stat.S_ISREG(status.st_mode) and status.st_uid == owner and status.st_nlink <= 1


def _owner_of_new(part: str, folder_fd: int | None) -> int:
    """Whose a file is that is made beside `part` now. By option of the mount it may be another user's (bindfs, SMB, a
    squashing NFS). Raises OSError where none can be made.
    """
    folder, beside = os.path.split(part)
    name = f"{beside[: len('.transfermon-') + 6]}{secrets.token_hex(5)}.part"  # swept like an empty part of ours
    where, at = _where(folder, name, folder_fd)
    fd = os.open(where, _OPEN | os.O_CREAT | os.O_EXCL, _PLAIN, dir_fd=at)
    try:
        return os.fstat(fd).st_uid
    finally:
        _close(fd)
        os.unlink(where, dir_fd=at)


def _regular(path: str) -> os.stat_result | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _matches(path: str, status: os.stat_result, size: int, digest: str) -> bool:
    if 0 <= size != status.st_size:
        return False
    algorithm, colon, wanted = digest.partition(":")
    return not colon or hmac.compare_digest(_hash_of(path, algorithm), wanted.lower())


def _same_content(one: str, other: str) -> bool:
    return _hash_of(one, "sha-256") == _hash_of(other, "sha-256")


def _hash_of(path: str, algorithm: str) -> str:
    hashing = digests.new(algorithm)
    try:
        with open(path, "rb") as file:
            while piece := file.read(_BLOCK):
                hashing.update(piece)
    except OSError as error:
        raise failure(error, Code.CANNOT_OPEN_FILE, path) from error
    return str(hashing.hexdigest())


_DEEDS = {
    Code.CANNOT_CREATE_FILE: "The file cannot be created",
    Code.CANNOT_OPEN_FILE: "The partial file cannot be read",
    Code.CANNOT_WRITE_FILE: "Writing failed",
    Code.CANNOT_REMOVE_FILE: "The partial file cannot be deleted",
    Code.CANNOT_MOVE_FILE: "The finished file cannot be given its name",
}


def _words(error: OSError, code: int, path: str) -> tuple[str, str, str]:
    """reason, message, hint"""
    folder = path if code == Code.CANNOT_CREATE_FILE else os.path.dirname(path)
    number = error.errno or 0
    if number == errno.EDQUOT:
        return "disk.full", "Your quota on this disk is used up.", "Free some space."
    if number == errno.ENOSPC and code == Code.CANNOT_CREATE_FILE and not _room_for_files(folder):
        return "disk.full", "The disk can hold no more files.", "Delete some files."
    if number == errno.ENOSPC:
        return "disk.full", "The disk is full.", "Free some space."
    if number in (errno.EMFILE, errno.ENFILE):
        return "sys.too-many-files", "Too many files are open.", "Let fewer tasks run at once."
    if number == errno.EROFS:
        return "disk.read-only", f"“{folder}” is on a read-only disk.", "Choose another folder."
    if number in (errno.EACCES, errno.EPERM):
        return "disk.permission", f"“{folder}” is not writable for you.", "Choose another folder or change its rights."
    if number == errno.ENOTDIR:
        return "disk.missing-folder", f"“{folder}” is not a folder.", "Choose another folder."
    if number == errno.ENOENT and code == Code.CANNOT_MOVE_FILE and os.path.isdir(folder):
        return "disk.missing-folder", "The partial file was removed by another program.", "Start the download again."
    if number in (errno.ENOENT, errno.ESTALE):
        return "disk.missing-folder", f"The folder “{folder}” does not exist.", "Create it or choose another folder."
    if number == errno.EISDIR:
        return "disk.name", f"A folder has the name “{path}” already.", "Choose another name."
    if number == errno.ENAMETOOLONG:
        return "disk.name", "The file name or its path is too long.", "Choose a shorter name."
    if number == errno.EFBIG:
        return "disk.too-large", "This disk cannot hold a file of that size.", "Choose a folder on another disk."
    said = (os.strerror(number) if number else str(error)).lower()
    return "disk.io", f"{_DEEDS.get(Code(code), 'The disk failed')}: {said}.", "Check the disk, then try again."


def _in_one_go() -> TransferError:
    return TransferError(
        code=Code.CANNOT_OPEN_FILE,
        message="This disk takes a file in one go only, and gives back nothing of a part.",
        reason="disk.append",
        hint="Choose a folder on another disk where the connection breaks often.",
        retry=Retry.RETRY,
    )


def _folder_gone(folder: str) -> TransferError:
    return TransferError(
        code=Code.CANNOT_MOVE_FILE,
        message=f"The folder “{folder}” is no longer where it was: its disk was unmounted, or it was deleted.",
        reason="disk.missing-folder",
        hint="Mount the disk again, then retry: what was received is on it.",
    )


def _room_for_files(folder: str) -> bool:
    try:
        status = os.statvfs(folder)
    except (OSError, AttributeError):
        return True
    return status.f_favail > 0 or status.f_files == 0  # some file systems do not count


def _megabytes(count: int) -> str:
    return f"{max(count, 100_000) / 1e6:,.1f} MB"
