"""A folder that is held open while files in it are made, moved and removed, so that a link put in
its place later leads nowhere.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Self

from transfermon.model.errors import Code, TransferFailure
from transfermon.storage import disk_failures
from transfermon.storage.disk_failures import disk_failure

_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_CAN_BE_HELD = os.open in os.supports_dir_fd and hasattr(os, "O_DIRECTORY")
_PRIVATE = 0o600


class HeldFolder:
    """Names of one folder. Where the system cannot hold it, they are plain paths. Raises OSError
    where nothing else is said.
    """

    def __init__(self, path: str, fd: int | None = None) -> None:
        self.path = path  # absolute, as it was when it was opened
        self._fd = fd

    def __repr__(self) -> str:
        return f"<HeldFolder {self.path!r} fd={self._fd}>"

    @classmethod
    def open(cls, path: str) -> Self:
        return cls(
            path, os.open(path, os.O_RDONLY | os.O_DIRECTORY | _CLOEXEC) if _CAN_BE_HELD else None
        )

    def path_of(self, name: str) -> tuple[str, int | None]:
        """A path and the `dir_fd` it is relative to."""
        return (os.path.join(self.path, name), None) if self._fd is None else (name, self._fd)

    def open_name(self, name: str, flags: int) -> int:
        """A descriptor; a file that is made is the owner's only."""
        path, at = self.path_of(name)
        return os.open(path, flags, _PRIVATE, dir_fd=at)

    def status_of(self, name: str) -> os.stat_result:
        """Of the name itself where it is a link."""
        path, at = self.path_of(name)
        return os.stat(path, dir_fd=at, follow_symlinks=False)

    def unlink(self, name: str) -> None:
        path, at = self.path_of(name)
        os.unlink(path, dir_fd=at)

    def folded_names(self) -> frozenset[str]:
        """All names, as they compare without case."""
        return frozenset(
            name.casefold() for name in os.listdir(self.path if self._fd is None else self._fd)
        )

    def sync(self) -> None:
        """The names in it survive a power cut."""
        if self._fd is None:
            return
        try:
            os.fsync(self._fd)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF, errno.ENOSYS):
                raise  # some file systems cannot sync a folder; others really failed

    def current_path(self) -> str:
        """Where it is now; it may have been moved since. TransferFailure -3005 when no path leads
        there.
        """
        if self._fd is None or self._is_at(self.path):
            return self.path
        moved = ""
        with contextlib.suppress(OSError):
            # “/” for one that no mount holds any more
            moved = os.readlink(f"/proc/self/fd/{self._fd}")
        if moved and self._is_at(moved):
            return moved
        raise TransferFailure(disk_failures.folder_gone(self.path))

    def _is_at(self, path: str) -> bool:
        assert self._fd is not None
        try:
            return os.path.samestat(os.stat(path), os.fstat(self._fd))
        except OSError:
            return False

    def close(self) -> None:
        """May be called twice."""
        fd, self._fd = self._fd, None
        close_quietly(fd)


def close_quietly(fd: int | None) -> None:
    if fd is None or fd < 0:
        return
    # Linux has closed it all the same; what matters was synced before
    with contextlib.suppress(OSError):
        os.close(fd)


def sync_folder(path: str) -> None:
    """The names in it survive a power cut. Raises TransferFailure -3005."""
    try:
        with contextlib.closing(HeldFolder.open(path)) as folder:
            folder.sync()
    except OSError as error:
        raise disk_failure(error, Code.CANNOT_MOVE_FILE, path) from error
