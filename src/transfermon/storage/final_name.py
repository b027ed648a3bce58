"""How a part gets its final name: the first free one, by the best way that its file system knows,
with ordinary rights.

Rule: the final name shows a whole file or nothing, and an existing file is never touched unless its
owner said so. Raises OSError, which `PartFile.finish` puts in words.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable

from transfermon.http import filenames
from transfermon.storage import file_system, linux_calls
from transfermon.storage.held_folder import HeldFolder

_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_PRIVATE = 0o600
_TRIES, _PAUSE = 20, 0.1  # times, seconds
_SHORT_NAME = 140  # bytes; encrypting file systems take no more (eCryptfs: 143)
_ORIGIN = "user.xdg.origin.url"


def first_free(folder: HeldFolder, name: str) -> str:
    """The name that `place` would give now."""
    try:
        folder.status_of(name)
        taken = folder.folded_names()
    except OSError:  # free, or for `place` to complain about
        return name
    number = 1
    while filenames.numbered(name, number).casefold() in taken:
        number += 1
    return filenames.numbered(name, number)


def replace(folder: HeldFolder, part: str, name: str) -> str:
    """Let the part have the name, in place of what has it; returns the name."""
    source, at = folder.path_of(part)
    target, _ = folder.path_of(name)
    os.replace(source, target, src_dir_fd=at, dst_dir_fd=at)
    return name


def place(folder: HeldFolder, part: str, name: str) -> str:
    """Let the part have the first free one of `name`, `name (1)`, `name (2)`…; returns it."""
    return _given(folder, part, name, _move)


def place_beside(folder: HeldFolder, part: str, name: str) -> str:
    """As `place`, and the part keeps its own name, too. Raises OSError where the file system has no
    second names.
    """
    return _given(folder, part, name, _link)


def _given(
    folder: HeldFolder, part: str, name: str, give: Callable[[HeldFolder, str, str], None]
) -> str:
    number, taken, wanted = 0, frozenset[str](), name
    while True:
        try:
            give(folder, part, wanted)
        except FileExistsError:
            if not taken:
                taken = folder.folded_names()
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


def _move(folder: HeldFolder, part: str, name: str) -> None:
    """To `name`, or FileExistsError; by the best way that this file system knows (W11)."""
    source, at = folder.path_of(part)
    target, _ = folder.path_of(name)
    if not linux_calls.rename_noreplace(source, target, at) and not _link_and_unlink(
        source, target, at
    ):
        _replace_placeholder(source, target, at)


def _link_and_unlink(source: str, target: str, folder_fd: int | None) -> bool:
    """False where it cannot be done so; FileExistsError when the name is taken."""
    try:
        _make_link(source, target, folder_fd)
    except OSError as error:
        if file_system.may_try_another_way(error.errno or 0):
            return False
        raise
    os.unlink(source, dir_fd=folder_fd)
    return True


def _link(folder: HeldFolder, part: str, name: str) -> None:
    source, at = folder.path_of(part)
    target, _ = folder.path_of(name)
    _make_link(source, target, at)


def _make_link(source: str, target: str, folder_fd: int | None) -> None:
    """FileExistsError when the name is another file's."""
    try:
        os.link(source, target, src_dir_fd=folder_fd, dst_dir_fd=folder_fd, follow_symlinks=False)
    except FileExistsError:
        theirs = os.stat(target, dir_fd=folder_fd, follow_symlinks=False)
        if not os.path.samestat(theirs, os.stat(source, dir_fd=folder_fd, follow_symlinks=False)):
            raise  # else the link was made, and its answer was lost on the way (NFS)


def _replace_placeholder(source: str, target: str, folder_fd: int | None) -> None:
    """Claim the name with an empty file of ours, then replace that: for file systems without hard
    links.
    """
    os.stat(source, dir_fd=folder_fd, follow_symlinks=False)  # no name is claimed for nothing
    os.close(
        os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CLOEXEC, _PRIVATE, dir_fd=folder_fd)
    )
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


# ---- what else a finished file has


def widen_rights(fd: int, folder: HeldFolder, replaced: str) -> None:
    """From 0600 to what a new file would have, or to what the replaced file has; never executable
    (F19).
    """
    mode = usual_rights()
    if replaced:
        try:
            status = folder.status_of(replaced)
        except FileNotFoundError:
            pass
        else:
            mode = status.st_mode & 0o666 if stat.S_ISREG(status.st_mode) else mode
    try_chmod(fd, mode)


def usual_rights() -> int:
    """The mode of a new file of this process; never executable."""
    return 0o666 & ~linux_calls.umask()


def narrow_rights(fd: int) -> None:
    """Back to 0600: it stays a part."""
    try_chmod(fd, _PRIVATE)


def try_chmod(fd: int, mode: int) -> None:
    """Silent where there are no modes."""
    with contextlib.suppress(OSError, TypeError):  # FAT has no modes, Windows no fchmod
        os.chmod(fd, mode)


def mark_origin(path: str | int, url: str) -> None:
    """Note where a file, by its path or open, came from as browsers do (`user.xdg.origin.url`),
    without user information, query and fragment.

    Silent where the file system keeps no such notes (G16).
    """
    with contextlib.suppress(OSError, AttributeError):  # AttributeError: not on this system
        os.setxattr(path, _ORIGIN, url.encode(), follow_symlinks=isinstance(path, int))
