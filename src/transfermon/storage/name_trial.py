"""Whether a file can have a name in a folder: tried on an empty file, before the first byte comes.

Rule: the trial happens inside a hidden folder of its own beside the target, never under the final
path, and nothing of it stays; what a crash leaves there is swept away at the next start.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
import unicodedata
from collections.abc import Iterable, Sequence

from transfermon.http import filenames
from transfermon.model.errors import TransferFailure
from transfermon.model.lazy_pattern import lazy_pattern
from transfermon.storage import disk_failures

_TRIAL = lazy_pattern(r"\.transfermon-[0-9a-f]{16}\.try")
_ORDINARY = lazy_pattern(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PLAIN = "name"  # no file system refuses it
_CLEARINGS, _PAUSE = 20, 0.05  # times, seconds
_SHORT = 132  # bytes: with a number behind it, it fits where names are encrypted (eCryptfs: 143)
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CLOEXEC | getattr(os, "O_NOFOLLOW", 0)


def candidates(name: str, *, given: bool, overwrite: bool = False) -> tuple[str, ...]:
    """The names to try, best first. One that a person gave is only shortened, one of a file to
    replace not even that; one that a server made may lose what is not ASCII.
    """
    names = [name]
    if not overwrite:
        names.append(filenames.shortened(name, _SHORT))
    if not given:
        names.append(filenames.shortened(filenames.safe(_ascii(name)), _SHORT))
    return tuple(dict.fromkeys(names))


def _ascii(name: str) -> str:
    letters = (
        char for char in unicodedata.normalize("NFKD", name) if not unicodedata.combining(char)
    )
    return "".join(char if char.isascii() else "_" for char in letters)


class Targets:
    """One for the whole engine. A folder that has held one ordinary name holds the others: they are
    not tried again, since to make and remove a folder takes some file systems milliseconds.
    """

    def __init__(self) -> None:
        self._proven: set[tuple[int, int]] = set()  # device and inode of such folders

    def is_proven(self, folder: str) -> bool:
        """Blocking. Whether it has held an ordinary name: `settled` would change none of those."""
        return _identity(folder) in self._proven

    def settled(
        self, folder: str, name: str, *, given: bool, overwrite: bool, mark: str = ""
    ) -> str:
        """Blocking. The name that the file will have. Raises TransferFailure -3000 with a sentence
        where it can have none, or where a folder has the name of the file to replace.
        """
        if overwrite and os.path.isdir(os.path.join(folder, name)):
            raise TransferFailure(
                disk_failures.name_refused(
                    f"A folder has the name “{os.path.join(folder, name)}” already."
                )
            )
        place = _identity(folder)
        ordinary = is_ordinary(name)
        if ordinary and place in self._proven:
            return name
        found = first_fit(folder, candidates(name, given=given, overwrite=overwrite), mark)
        if not found:
            raise TransferFailure(
                disk_failures.name_refused(f"This disk cannot hold a file called “{name}”.")
            )
        if ordinary and found == name and place is not None:
            self._proven.add(place)
        return found


def is_ordinary(name: str) -> bool:
    """Whether a folder that holds one such name holds this one."""
    return _ORDINARY.fullmatch(name) is not None


def _identity(folder: str) -> tuple[int, int] | None:
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def first_fit(folder: str, names: Sequence[str], mark: str = "") -> str:
    """Blocking. The first of the names that a file in `folder` can have, "" for none; names[0]
    where no trial can be made at all, so that the real attempt says why. `mark` as for
    `PartFile.create`.
    """
    trial = os.path.join(folder, f".transfermon-{(mark[:6] + secrets.token_hex(8))[:16]}.try")
    try:
        os.mkdir(trial, 0o700)
        inside = os.open(trial, os.O_RDONLY | _CLOEXEC)
    except OSError:
        _clear(trial)
        return names[0]
    try:
        fit = next((name for name in names if _can_be_made(inside, name)), "")
        return fit if fit or _can_be_made(inside, _PLAIN) else names[0]
    finally:
        os.close(inside)
        _clear(trial)


def _can_be_made(folder: int, name: str) -> bool:
    """By a descriptor: the path to a trial is longer than the one to the target, which may just
    fit.
    """
    try:
        os.close(os.open(name, _FLAGS, 0o600, dir_fd=folder))
    except OSError as error:
        return error.errno == errno.EEXIST
    except ValueError:  # half a character: no path at all
        return False
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=folder)
    return True


def sweep(folders: Iterable[str], mark: str) -> None:
    """Blocking. Take away the trials with that mark that a crash has left; empty files only are in
    them.
    """
    for folder in folders:
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                if _TRIAL.fullmatch(name) and name.startswith(f".transfermon-{mark[:6]}"):
                    _clear(os.path.join(folder, name))


def _clear(trial: str) -> None:
    """Patiently: rclone has a file for a moment still after it was deleted."""
    for _ in range(_CLEARINGS):
        try:
            _empty(trial)
            os.rmdir(trial)
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(_PAUSE)
        else:
            return


def _empty(trial: str) -> None:
    with os.scandir(trial) as entries:
        for entry in entries:
            if (
                entry.is_file(follow_symlinks=False)
                and entry.stat(follow_symlinks=False).st_size == 0
            ):
                os.unlink(entry.path)
