"""The engine lock: one process owns a state directory, and the kernel frees it however that process
ends.

Rule: the file is opened close-on-exec and is never unlinked (two inodes would be two owners). Who
has released does not lock again in the same breath: a waiter gets its turn only when nobody is
quicker.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from typing import Self

from transfermon.model.errors import EngineBusyError, StateError

NAME = "engine.lock"
_OWNER_BYTES = 200


class EngineLock:
    """Held from `acquire` to `release`, or to the end of the process."""

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self._fd = fd

    def __repr__(self) -> str:
        return f"<EngineLock {self.path} {'held' if self.held else 'released'}>"

    @property
    def held(self) -> bool:
        return self._fd >= 0

    @classmethod
    def acquire(cls, state_dir: str, what: str = "") -> Self:
        """Take the lock now. `what` is told to those who find it taken; the program's name when
        empty.

        Raises EngineBusyError, naming the owner, when another engine has it, in this process or
        another; StateError when the file cannot be opened or is a link.
        """
        path = os.path.join(state_dir, NAME)
        fd = _open(path)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write(fd, f"{os.getpid()} {what or _program()}")
        except BlockingIOError:
            busy = _busy(_read(fd))
            os.close(fd)
            raise busy from None
        except OSError as exc:
            os.close(fd)
            raise _unusable(path, exc) from exc
        return cls(path, fd)

    @classmethod
    def adopt(cls, state_dir: str, fd: int, what: str = "") -> Self:
        """Go on with a lock that this process was given over exec; `fd` is its open file.

        Call it before any child is started: until then the descriptor would go along to it. Raises
        StateError when it is not this folder's lock file, EngineBusyError when the lock is
        another's.
        """
        path = os.path.join(state_dir, NAME)
        try:
            os.set_inheritable(fd, False)
            given, there = os.fstat(fd), os.lstat(path)
        except (OSError, OverflowError) as exc:
            raise StateError(f"The lock that was handed over cannot be used: {exc}.") from exc
        if (given.st_dev, given.st_ino) != (there.st_dev, there.st_ino):
            raise StateError(
                f"The lock that was handed over is not {path}.",
                "The state folder was replaced meanwhile.",
            )
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ours already, or free
            _write(fd, f"{os.getpid()} {what or _program()}")
        except BlockingIOError:
            raise _busy(_read(fd)) from None
        except OSError as exc:
            raise _unusable(path, exc) from exc
        return cls(path, fd)

    def release(self) -> None:
        """Let go; a no-op the second time."""
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        try:
            _write(fd, "")
        except OSError:
            pass  # a full disk; the text is a courtesy, the lock is what counts
        finally:
            os.close(fd)


def owner(state_dir: str) -> int:
    """The process that holds the lock, as it says itself; 0 when it was let go. One that was killed
    still stands there until the next owner.
    """
    try:
        fd = os.open(os.path.join(state_dir, NAME), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return 0
    try:
        pid = _read(fd).partition(" ")[0]
    finally:
        os.close(fd)
    return int(pid) if pid.isdigit() else 0


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        raise _unusable(path, exc) from exc


def _unusable(path: str, exc: OSError) -> StateError:
    why = "it is a link" if exc.errno == errno.ELOOP else exc.strerror
    return StateError(
        f"The lock file {path} cannot be used: {why}.", "Choose another folder with --state-dir."
    )


def _busy(text: str) -> EngineBusyError:
    pid, _, what = text.partition(" ")
    who = f"{what or 'transfermon'} (process {pid})" if pid.isdigit() else "another process"
    return EngineBusyError(
        f"The transfers are in the hands of {who}.",
        "End it, or choose another folder with --state-dir.",
    )


def _program() -> str:
    name = os.path.basename(sys.argv[0] if sys.argv else "")
    return "transfermon" if name in ("", "-c", "-m", "__main__.py") else name


def _write(fd: int, text: str) -> None:
    os.ftruncate(fd, 0)
    os.pwrite(fd, text.encode("utf-8", "replace")[:_OWNER_BYTES], 0)


def _read(fd: int) -> str:
    text = os.pread(fd, _OWNER_BYTES, 0).decode("utf-8", "replace")
    return "".join(char for char in text if char.isprintable()).strip()
