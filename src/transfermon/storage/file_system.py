"""What file systems can and cannot do, and how much of a disk is left alone.

Rule: decisions on plain values; who asks the system puts its answers in.
"""

from __future__ import annotations

import errno

MB = 1_000_000
LEAST_RESERVE, MOST_RESERVE = 16 * MB, 100 * MB
# nanoseconds: FAT keeps times to two seconds, and rounds when it is mounted again
COARSE = 2_000_000_000
# a length has 32 bits there; exFAT is another system
_FAT = frozenset({"vfat", "msdos", "umsdos", "fat", "fusefat"})
_TAKEN = frozenset({errno.EEXIST})
_WRITES_ONLY = frozenset(
    {errno.EPERM, errno.EACCES, errno.EBADF, errno.ESPIPE, errno.ENOSYS, errno.EOPNOTSUPP}
)


def ends_at_4_gib(kind: str) -> bool:
    """Whether a file system of that type, as the kernel names it, holds no file of 4 GiB or more.

    Of "fuseblk" alone nobody knows what is behind it: NTFS and exFAT mostly. It is tried.
    """
    return kind.removeprefix("fuseblk.").removeprefix("fuse.") in _FAT


def reserve(size: int) -> int:
    """Bytes of a disk of `size` bytes that an answer of unknown length leaves free: 1 %, at least
    16 MB, at most 100.
    """
    return min(MOST_RESERVE, max(LEAST_RESERVE, size // 100))


def usable(free: int, size: int) -> int:
    """Bytes that an answer of unknown length may still take of a disk of `size` bytes."""
    return max(0, free - reserve(size))


def has_more_room(usable_now: int, usable_then: int) -> bool:
    """Whether it is worth asking again after a full disk. Both are bytes that one file could have;
    logs that grow and shrink, and what a file system needs for itself, do not count.
    """
    return usable_now >= usable_then + MB


def is_of_no_use(reason: str, *, resumable: bool) -> bool:
    """Whether what is stored is of no use for the next attempt: the disk takes files only from
    their beginning, or it is full and the transfer will start over.
    """
    return reason == "disk.append" or (reason == "disk.full" and not resumable)


def may_try_another_way(number: int) -> bool:
    """Whether a name that could not be given in one way may be given in another.

    All but "it exists": file systems without a call answer EPERM, EINVAL, EIO (rclone) or what they
    like.
    """
    return number not in _TAKEN


def gives_nothing_back(number: int) -> bool:
    """Whether an open file cannot be read for what its disk is (rclone without a cache), and not
    for an accident.
    """
    return number in _WRITES_ONLY


def is_same_file(found: tuple[int, ...], written: tuple[int, ...]) -> bool:
    """Whether a file is the one that was written; both are device, inode, size and mtime_ns.

    Its size, and then its inode or its time: an inode alone is given to the next file, and some
    file systems number anew when they are mounted or a file is renamed.
    """
    if len(found) != 4 or len(written) != 4 or found[2] != written[2]:
        return False
    return found[1] == written[1] or abs(found[3] - written[3]) <= COARSE


def changes_nothing(size: int, blocks: int, block_size: int, length: int) -> bool:
    """Whether to cut a file to `length` would be to no purpose: it has that length, and no block
    lies beyond it.

    `blocks` of 512 bytes. Some file systems (rclone, fusefat) refuse such a cut.
    """
    block = max(block_size, 512)
    return size == length and blocks * 512 <= -(-length // block) * block
