"""A pipe of the kernel's: bytes go from a socket to a file, and nobody here has to look at them."""

from __future__ import annotations

import contextlib
import os

WIDTH = 1 << 20  # bytes that it holds


class KernelPipe:
    """Made when it is first used. Empty between two bodies: who leaves something in it drops it."""

    def __init__(self) -> None:
        self._ends: tuple[int, int] | None = None

    def __repr__(self) -> str:
        return f"<KernelPipe {self._ends or 'closed'}>"

    def fill(self, source: int, most: int) -> int:
        """Take at most so many bytes; 0 at the end. Raises OSError: BlockingIOError where there are
        none yet, EINVAL or ENOSYS where the source cannot be spliced.
        """
        if self._ends is None:
            self._ends = _wide_pipe()
        return os.splice(source, self._ends[1], most, flags=os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK)

    def pour(self, target: int, offset: int, count: int) -> int:
        """Put at most `count` of the bytes in it into a file. Raises OSError, EINVAL for a file
        that cannot be spliced.
        """
        assert self._ends is not None
        return os.splice(self._ends[0], target, count, offset_dst=offset, flags=os.SPLICE_F_MOVE)

    def read(self, most: int) -> bytes:
        assert self._ends is not None
        return os.read(self._ends[0], most)

    def drop(self) -> None:
        """Close it, with what is in it."""
        if self._ends is not None:
            os.close(self._ends[0])
            os.close(self._ends[1])
            self._ends = None


def _wide_pipe() -> tuple[int, int]:
    import fcntl  # only where splice is

    ends = os.pipe2(os.O_CLOEXEC)
    # beyond the user's share of pipe memory: a narrow one works too
    with contextlib.suppress(OSError):
        fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, WIDTH)
    return ends
