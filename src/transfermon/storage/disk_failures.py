"""What a disk refuses, in words for people.

Rule: the words of one trouble stand here once. An OSError leaves the storage as a TransferFailure
with a sentence and a hint; a disk that fills up while something is written is waited for, since the
transfer goes on later.
"""

from __future__ import annotations

import errno
import os

from transfermon.model.errors import Code, Retry, TransferError, TransferFailure, redacted

_DEEDS = {
    Code.CANNOT_CREATE_FILE: "The file cannot be created",
    Code.CANNOT_OPEN_FILE: "The partial file cannot be read",
    Code.CANNOT_WRITE_FILE: "Writing failed",
    Code.CANNOT_REMOVE_FILE: "The partial file cannot be deleted",
    Code.CANNOT_MOVE_FILE: "The finished file cannot be given its name",
}


def disk_failure(error: OSError, code: int, path: str) -> TransferFailure:
    """The OSError in words. A disk that fills up while writing is of the class "wait": the transfer
    goes on later.
    """
    reason, message, hint = _words(error, code, path)
    waits = reason == "disk.full" and code in (Code.CANNOT_WRITE_FILE, Code.CANNOT_CREATE_FILE)
    retry = Retry.WAIT if waits else Retry.RETRY if reason == "sys.too-many-files" else Retry.FINAL
    return TransferFailure(
        TransferError(code=code, message=message, reason=reason, hint=hint, retry=retry)
    )


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
        return (
            "disk.permission",
            f"“{folder}” is not writable for you.",
            "Choose another folder or change its rights.",
        )
    if number == errno.ENOTDIR:
        return "disk.missing-folder", f"“{folder}” is not a folder.", "Choose another folder."
    if number == errno.ENOENT and code == Code.CANNOT_MOVE_FILE and os.path.isdir(folder):
        return (
            "disk.missing-folder",
            "The partial file was removed by another program.",
            "Start the download again.",
        )
    if number in (errno.ENOENT, errno.ESTALE):
        return (
            "disk.missing-folder",
            f"The folder “{folder}” does not exist.",
            "Create it or choose another folder.",
        )
    if number == errno.EISDIR:
        return "disk.name", f"A folder has the name “{path}” already.", "Choose another name."
    if number == errno.ENAMETOOLONG:
        return "disk.name", "The file name or its path is too long.", "Choose a shorter name."
    if number == errno.EFBIG:
        return (
            "disk.too-large",
            "This disk cannot hold a file of that size.",
            "Choose a folder on another disk.",
        )
    said = (os.strerror(number) if number else str(error)).lower()
    return (
        "disk.io",
        f"{_DEEDS.get(Code(code), 'The disk failed')}: {said}.",
        "Check the disk, then try again.",
    )


def _room_for_files(folder: str) -> bool:
    try:
        status = os.statvfs(folder)
    except (OSError, AttributeError):
        return True
    return status.f_favail > 0 or status.f_files == 0  # some file systems do not count


# ---- what is known before anything is written


def too_little_space(missing: int, url: str) -> TransferError:
    """Of an attempt for which that many bytes are missing; the next one asks again."""
    return TransferError(
        code=Code.CANNOT_WRITE_FILE,
        message=f"The disk is full: {max(missing, 100_000) / 1e6:,.1f} MB more are needed.",
        reason="disk.full",
        hint="Free some space.",
        url=redacted(url),
        retry=Retry.RETRY,
    )


def nearly_full(url: str) -> TransferError:
    """Of an answer that does not say how long it is."""
    return TransferError(
        code=Code.CANNOT_WRITE_FILE,
        message="The disk is full but for a reserve, and the server does not say how long the file is.",
        reason="disk.full",
        hint="Free some space.",
        url=redacted(url),
        retry=Retry.RETRY,
    )


def larger_than_the_space(folder: str, url: str) -> TransferError:
    return TransferError(
        code=Code.CANNOT_WRITE_FILE,
        message=f"The file is larger than the free space in {folder}.",
        reason="disk.full",
        hint="Free some space or choose another folder, then retry.",
        url=redacted(url),
    )


def ends_at_4_gib() -> TransferError:
    return TransferError(
        code=Code.CANNOT_WRITE_FILE,
        message="This disk cannot hold a file of that size: its file system (FAT) ends at 4 GiB.",
        reason="disk.too-large",
        hint="Choose a folder on another disk, or format this one as exFAT.",
    )


def name_refused(message: str) -> TransferError:
    """A name that a file cannot have; `message` says why."""
    return TransferError(
        code=Code.CANNOT_CREATE_FILE,
        message=message,
        reason="disk.name",
        hint="Choose another name.",
    )


# ---- while a body is written


_WHILE_WRITING = {
    errno.ENOSPC: ("disk.full", "The disk is full."),
    errno.EDQUOT: ("disk.full", "Your quota on this disk is used up."),
    errno.EROFS: ("disk.read-only", "The disk has become read-only."),
    errno.EFBIG: ("disk.too-large", "This disk cannot hold a file of that size."),
    # rclone without cache
    errno.ESPIPE: ("disk.append", "This disk takes a file in one go only, from its beginning."),
}


def disk_failed_a_body(exc: OSError, url: str) -> TransferError:
    """-3003: `disk.full` waits for space, `disk.io` is final; what was written before is kept
    (X-05).
    """
    reason, message = _WHILE_WRITING.get(exc.errno or 0, ("disk.io", ""))
    full, again = reason == "disk.full", reason == "disk.append"
    return TransferError(
        code=Code.CANNOT_WRITE_FILE,
        message=message or f"The file cannot be written: {os.strerror(exc.errno or errno.EIO)}.",
        hint="Free some space." if full else "Check the disk, or choose another folder.",
        reason=reason,
        url=redacted(url),
        retry=Retry.WAIT if full else Retry.RETRY if again else Retry.FINAL,
    )


# ---- while a file is sent


def source_unreadable(error: OSError, path: str) -> TransferError:
    name = os.path.basename(path) or path
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return TransferError(
            code=Code.FILE_MISSING,
            message=f"{name} is not there.",
            reason="file.missing",
            hint="Check the path; then retry.",
        )
    return TransferError(
        code=Code.FILE_UNREADABLE,
        message=f"{name} cannot be read: {os.strerror(error.errno or errno.EIO)}.",
        reason="file.unreadable",
        hint="Check its permissions; then retry.",
    )


# ---- what turns out with a part


def takes_files_in_one_go() -> TransferError:
    return TransferError(
        code=Code.CANNOT_OPEN_FILE,
        message="This disk takes a file in one go only, and gives back nothing of a part.",
        reason="disk.append",
        hint="Choose a folder on another disk where the connection breaks often.",
        retry=Retry.RETRY,
    )


def folder_gone(folder: str) -> TransferError:
    return TransferError(
        code=Code.CANNOT_MOVE_FILE,
        message=f"The folder “{folder}” is no longer where it was: its disk was unmounted, or it was deleted.",
        reason="disk.missing-folder",
        hint="Mount the disk again, then retry: what was received is on it.",
    )
