"""What a start finds of a file that was being given its final name when the engine ended."""

from __future__ import annotations

import contextlib
import hmac
import os
from enum import Enum

from transfermon.storage import file_system, part_names
from transfermon.storage.file_identity import digest_at, is_ours, regular_at


class FinishState(Enum):
    """What a start-up finds for a task whose record says "finishing" (W12)."""

    # the part is there and the name is free, or taken by another file: finish again
    REPEAT = "repeat"
    DONE = "done"  # the final file is there; no part is left
    # the final file is there; `remove_part` what is left of the part
    DONE_REMOVE_PART = "done_remove_part"
    MISSING = "missing"  # neither is there: file.missing


def finish_state(
    part_path: str, final_path: str, *, size: int = -1, digest: str = ""
) -> FinishState:
    """Compare what is on disk with the record: `size` bytes (-1: unknown), `digest` as
    "sha-256:HEX" or "".

    Changes nothing. A final file counts as ours when it is the same inode as the part, or has the
    size and digest of the record; with neither known, when the part is gone.
    """
    part, final = regular_at(part_path), regular_at(final_path)
    if part is None:
        return (
            FinishState.DONE
            if final is not None and _matches(final_path, final, size, digest)
            else FinishState.MISSING
        )
    if final is None:
        return FinishState.REPEAT
    if os.path.samestat(part, final):
        return FinishState.DONE_REMOVE_PART
    if final.st_size == part.st_size and digest_at(part_path, "sha-256") == digest_at(
        final_path, "sha-256"
    ):
        return FinishState.DONE_REMOVE_PART
    return FinishState.REPEAT


def _matches(path: str, status: os.stat_result, size: int, digest: str) -> bool:
    if 0 <= size != status.st_size:
        return False
    algorithm, colon, wanted = digest.partition(":")
    return not colon or hmac.compare_digest(digest_at(path, algorithm), wanted.lower())


def drop_claim(part_path: str, final_path: str) -> bool:
    """Delete the empty file with which a crash has left the final name claimed, where names are
    given so.

    The name was free when it was settled, so an empty file of the same owner that is no older than
    the part is ours.
    """
    part, claim = regular_at(part_path), regular_at(final_path)
    if part is None or claim is None or claim.st_size or claim.st_uid != part.st_uid:
        return False
    if claim.st_mtime_ns + file_system.COARSE < part.st_mtime_ns:
        return False
    with contextlib.suppress(OSError):
        os.unlink(final_path)
        return True
    return False


def find_renamed_part(folder: str, inode: int, size: int) -> str:
    """Where in `folder` a part of that inode and size is now, under a name that is no part's; ""
    when nowhere.

    A small file gets its name without a record of the wish: after a crash in between only the inode
    tells (W12).
    """
    if not inode or size < 0:
        return ""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.inode() == inode and not part_names.is_part(entry.name):
                    status = regular_at(entry.path)
                    ours = status is not None and (
                        is_ours(status) or is_ours(status, os.stat(folder).st_uid)
                    )
                    return (
                        entry.path if ours and status is not None and status.st_size == size else ""
                    )
    except OSError:
        pass
    return ""
