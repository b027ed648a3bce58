"""The part file: made beside its target, reserved, written, synced, and given its final name
(W3-W12).

Rule: all of it blocks; call it in a thread. Every OSError leaves as a TransferFailure with a
sentence for people.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from typing import Self

from transfermon.http.digests import Hashes
from transfermon.model import ranges
from transfermon.model.errors import Code, TransferFailure
from transfermon.model.ranges import Ranges
from transfermon.storage import (
    disk_failures,
    file_system,
    final_name,
    linux_calls,
    part_names,
    range_map,
)
from transfermon.storage.disk_failures import disk_failure
from transfermon.storage.file_identity import identity_of, is_ours
from transfermon.storage.held_folder import HeldFolder, close_quietly
from transfermon.storage.range_map import RangeMap

# opening a pipe put in our place must not wait for its other end
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_OPEN = (
    os.O_RDWR
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_BINARY", 0)
)
_LEAST_RESERVED = 1024 * 1024
_BLOCK = 1024 * 1024
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
# tmpfs, ramfs: reserving writes every page
_MEMORY_FILE_SYSTEMS = frozenset({0x01021994, 0x858458F6})


class PartMissing(Exception):  # noqa: N818 - a state of affairs, which the caller answers by starting over
    """There is no part file of ours at the recorded place; the text is a sentence for people."""


class PartFile:
    """An open part file. The folder is held open too, so a link made later inside it leads nowhere
    (R9, F10).
    """

    def __init__(self, path: str, fd: int, folder: HeldFolder) -> None:
        self.path = path  # absolute
        self.fd = fd
        self._folder = folder
        self._name = os.path.basename(path)

    def __repr__(self) -> str:
        return f"<PartFile {self.path!r} fd={self.fd}>"

    @classmethod
    def create(cls, folder: str, *, sync_folder: bool = True, mark: str = "") -> Self:
        """A new, empty part in `folder`, mode 0600. With `sync_folder` its name survives a power
        cut (W3).

        `mark` as for `part_names.new_name`.

        Raises TransferFailure -3000 when the folder is missing, not a folder or not writable.
        """
        folder = os.path.abspath(folder)
        held = fd = None
        name = part_names.new_name(mark)
        try:
            held = HeldFolder.open(folder)
            fd = held.open_name(name, _OPEN | os.O_CREAT | os.O_EXCL)
            if sync_folder:
                held.sync()
        except OSError as error:
            close_quietly(fd)
            if held is not None:
                held.close()
            raise disk_failure(error, Code.CANNOT_CREATE_FILE, folder) from error
        return cls(os.path.join(folder, name), fd, held)

    @classmethod
    def reopen(cls, path: str, durable: int, boot: str, mount: int) -> tuple[Self, int]:
        """The part at `path` and how many of its bytes are good; it is cut to that length (W5,
        W12).

        On the same boot and mount as the record (`boot`, `mount`) the file's length is the
        progress; otherwise only the `durable` bytes of the last checkpoint are. Fewer than those:
        0. After a failed sync pass boot="" so that nothing beyond the checkpoint is believed (W9).
        Raises PartMissing when it is gone or is not a regular file of ours, TransferFailure -3001
        otherwise.
        """
        part, same = cls._opened(path, boot, mount)
        with _closed_on_failure(part):
            part_names.remove_map(part.path)  # its bytes come in their order now
            length = part.length()
            good = (length if same else durable) if length >= durable else 0
            part.cut(good)
        return part, good

    @classmethod
    def reopen_ranges(
        cls, path: str, checkpoint: Ranges, boot: str, mount: int
    ) -> tuple[Self, Ranges]:
        """As `reopen`, for a part whose bytes did not come in their order: what is good of it.

        On the same boot and mount as the record the map beside it is believed, otherwise the map of
        the last `checkpoint`. The map goes where it is not believed.
        """
        part, same = cls._opened(path, boot, mount)
        with _closed_on_failure(part):
            mapped = part.stored_in_map() if same else None
            good = ranges.believed(checkpoint, mapped, part.length())
            if mapped is None or ranges.is_one_prefix(good):
                part_names.remove_map(part.path)
            part.cut(max(at for _, at, _ in good))
        return part, good

    @classmethod
    def _opened(cls, path: str, boot: str, mount: int) -> tuple[Self, bool]:
        """The part at `path`, and whether it is the boot and mount of the record."""
        path = os.path.abspath(path)
        held = fd = None
        try:
            held = HeldFolder.open(os.path.dirname(path))
            fd = held.open_name(os.path.basename(path), _OPEN | _NONBLOCK)
            status = os.fstat(fd)
            if not is_ours(status) and not is_ours(
                status, _owner_of_new(held, os.path.basename(path))
            ):
                raise PartMissing("Something else is in the place of the part that was stored.")
            same = (
                bool(boot)
                and mount != 0
                and boot == linux_calls.boot_id()
                and mount == linux_calls.mount_id(fd)
            )
        except BaseException as error:
            close_quietly(fd)
            if held is not None:
                held.close()
            if isinstance(error, FileNotFoundError | NotADirectoryError):
                raise PartMissing("The part that was stored is gone.") from error
            if isinstance(error, OSError) and error.errno in (
                errno.ELOOP,
                errno.EISDIR,
                errno.ENXIO,
            ):
                raise PartMissing(
                    "Something else is in the place of the part that was stored."
                ) from error
            if isinstance(error, OSError):
                raise disk_failure(error, Code.CANNOT_OPEN_FILE, path) from error
            raise
        return cls(path, fd, held), same

    def reserve(self, total: int) -> bool:
        """Reserve blocks up to `total` bytes without changing the length (W10); True when they were
        reserved.

        At most half of the free space is taken: a length is a stranger's word. What cannot be had
        is given back. Call it before anything writes. Raises TransferFailure -3001 for an I/O error
        only.
        """
        if (
            total < _LEAST_RESERVED
            or linux_calls.file_system_number(self.fd) in _MEMORY_FILE_SYSTEMS
        ):
            return False
        try:
            length = os.fstat(self.fd).st_size
            wanted = min(total - length, _free(self.fd) // 2)
            return wanted > 0 and linux_calls.reserve_blocks(self.fd, length, wanted)
        except OSError as error:
            if error.errno not in (*_NO_SPACE, errno.EFBIG):
                raise disk_failure(error, Code.CANNOT_OPEN_FILE, self.path) from error
            self.cut(self.length())  # ext4 keeps what a failed reservation got
            return False

    def stored_in_map(self) -> tuple[tuple[int, int], ...] | None:
        """What the range map beside it says is stored; None where there is none of this part."""
        return range_map.stored_in_map(self._folder, self._name, self.inode)

    def new_map(self, total: int, pairs: Sequence[tuple[int, int]]) -> RangeMap:
        """A range map of these stretches beside it, to be closed before the part is. Raises
        TransferFailure -3000.
        """
        return RangeMap.create(self._folder, self._name, self.inode, total, pairs)

    @property
    def folder(self) -> str:
        """Where it was made or opened."""
        return self._folder.path

    @property
    def inode(self) -> int:
        return os.fstat(self.fd).st_ino

    @property
    def identity(self) -> tuple[int, ...]:
        """By which the file is known again under its final name: `file_system.is_same_file`."""
        return identity_of(os.fstat(self.fd))

    def length(self) -> int:
        try:
            return os.fstat(self.fd).st_size
        except OSError as error:
            raise disk_failure(error, Code.CANNOT_OPEN_FILE, self.path) from error

    def cut(self, length: int) -> None:
        """Cut to `length` bytes; blocks reserved beyond it are given back, where the file system
        does that.
        """
        try:
            status = os.fstat(self.fd)
            if file_system.changes_nothing(
                status.st_size,
                getattr(status, "st_blocks", 0),
                getattr(status, "st_blksize", 0),
                length,
            ):
                return
            os.ftruncate(self.fd, length)
        except OSError as error:
            if self.length() != length:
                raise disk_failure(error, Code.CANNOT_WRITE_FILE, self.path) from error

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> int:
        """Write all of `data` at `offset`; returns its length. Raises TransferFailure -3003."""
        view = memoryview(data).cast("B")
        done = 0
        try:
            while done < len(view):
                done += os.pwrite(self.fd, view[done:], offset + done)
        except OSError as error:
            raise disk_failure(error, Code.CANNOT_WRITE_FILE, self.path) from error
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
                raise TransferFailure(disk_failures.takes_files_in_one_go()) from error
            raise disk_failure(error, Code.CANNOT_OPEN_FILE, self.path) from error
        return b"".join(pieces)

    def sync(self) -> None:
        """Everything written so far survives a power cut. After a failure do not call it again and
        believe (W9).
        """
        try:
            getattr(os, "fdatasync", os.fsync)(self.fd)
        except OSError as error:
            raise disk_failure(error, Code.CANNOT_WRITE_FILE, self.path) from error

    def digest(self, algorithm: str, until: int) -> str:
        """The hash of the first `until` bytes in hex; `algorithm` as in `Repr-Digest` ("sha-256").

        Raises ValueError for an unknown algorithm, TransferFailure -3001 when there are fewer
        bytes.
        """
        hashes = Hashes([algorithm])
        self.feed(hashes, until)
        return str(hashes.value(algorithm))

    def feed(self, hashes: Hashes, until: int) -> None:
        """Update them with what follows the bytes that they have had, up to `until`. Raises as
        `digest`.
        """
        while hashes.count < until:
            piece = self.read(hashes.count, min(_BLOCK, until - hashes.count))
            if not piece:
                raise disk_failure(
                    OSError(errno.EIO, "the file is too short"), Code.CANNOT_OPEN_FILE, self.path
                )
            hashes.update(memoryview(piece))

    def finish(self, name: str, *, overwrite: bool, durable: bool = True) -> str:
        """Give the part its final name and return the absolute path it now has (W11).

        Without `overwrite` an existing file stays and this one becomes `name (1).ext`. With
        `durable` data and name survive a power cut. On failure, TransferFailure -3005 (-3003 for
        the data's sync), the part is where it was, unless only the folder's sync failed:
        `finish_state` tells. No path is returned that does not lead to the file: where the disk was
        unmounted meanwhile, the part keeps its name there and this fails.
        """
        if name in ("", ".", "..") or os.path.basename(name) != name or "\0" in name:
            raise ValueError(f"{name!r} is not a file name")
        if durable:
            self.sync()
        try:
            self._folder.current_path()
            self._check_place()
            final_name.widen_rights(self.fd, self._folder, name if overwrite else "")
            try:
                give = final_name.replace if overwrite else final_name.place
                name = give(self._folder, self._name, name)
            except OSError:
                final_name.narrow_rights(self.fd)
                raise
            if durable:
                self._folder.sync()
            self.path = os.path.join(self._folder.current_path(), name)
            self._check_final(name)
        except OSError as error:
            raise disk_failure(
                error, Code.CANNOT_MOVE_FILE, os.path.join(self.folder, name)
            ) from error
        return self.path

    def free_name(self, name: str) -> str:
        """The name that `finish` without `overwrite` would give now."""
        return final_name.first_free(self._folder, name)

    def close(self) -> None:
        """May be called twice."""
        fd, self.fd = self.fd, -1
        close_quietly(fd)
        self._folder.close()

    def discard(self) -> None:
        """Delete the part, if it is still ours, and close. Never raises for a part that is gone
        already.
        """
        try:
            self._check_place()
            with contextlib.suppress(OSError):
                self._folder.unlink(part_names.map_of(self._name))
            self._folder.unlink(self._name)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise disk_failure(error, Code.CANNOT_REMOVE_FILE, self.path) from error
        finally:
            self.close()

    def _check_place(self) -> None:
        """FileNotFoundError when the part's name leads to another file, or to none."""
        if not os.path.samestat(self._folder.status_of(self._name), os.fstat(self.fd)):
            raise FileNotFoundError(errno.ENOENT, "the partial file was replaced", self.path)

    def _check_final(self, name: str) -> None:
        """FileNotFoundError when the final name leads to another file, or to none."""
        if not file_system.is_same_file(identity_of(self._folder.status_of(name)), self.identity):
            raise FileNotFoundError(errno.ENOENT, "another file has the name", self.path)


@contextlib.contextmanager
def _closed_on_failure(part: PartFile) -> Iterator[None]:
    try:
        yield
    except BaseException:
        part.close()
        raise


def _free(fd: int) -> int:
    if not hasattr(os, "fstatvfs"):
        return 0
    status = os.fstatvfs(fd)
    return status.f_bavail * status.f_frsize


def _owner_of_new(folder: HeldFolder, part: str) -> int:
    """Whose a file is that is made beside `part` now. By option of the mount it may be another
    user's (bindfs, SMB, a squashing NFS). Raises OSError where none can be made.
    """
    name = part_names.another_name(part)  # swept like an empty part of ours
    fd = folder.open_name(name, _OPEN | os.O_CREAT | os.O_EXCL)
    try:
        return os.fstat(fd).st_uid
    finally:
        close_quietly(fd)
        folder.unlink(name)
