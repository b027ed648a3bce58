"""Where a body that is being written ends, when somebody may take over its rest meanwhile.

Rule: who writes claims the place before, so that whoever moves the end learns where it really is:
no byte is ever written behind it.
"""

from __future__ import annotations

import threading


class MovableEnd:
    """Of one body, as an offset in its file. Any thread may use it."""

    def __init__(self, end: int) -> None:
        self._lock = threading.Lock()
        self._end = end
        self._claimed = 0

    def __repr__(self) -> str:
        return f"<MovableEnd {self._end}, {self._claimed} claimed>"

    def claim(self, offset: int, wanted: int) -> int:
        """How many of the `wanted` bytes from `offset` on may be written; 0 at the end."""
        with self._lock:
            granted = max(0, min(wanted, self._end - offset))
            self._claimed = max(self._claimed, offset + granted)
            return granted

    def move(self, end: int) -> int:
        """Let it be there, or as near as what was claimed allows. Where it is now."""
        with self._lock:
            self._end = max(end, self._claimed)
            return self._end
