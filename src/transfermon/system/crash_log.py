"""What is left of a crash: the traceback of a fatal error, for the next start to tell of (K24).

Rule: it holds files, lines and names of functions only, no values: nothing secret can be in it.
"""

from __future__ import annotations

import faulthandler
import os
from typing import TextIO

NOW = "crash.log"
LAST = "crash.last.log"


class CrashLog:
    """Open while the process lives."""

    def __init__(self, state_dir: str) -> None:
        self._path = os.path.join(state_dir, NOW)
        self._last = os.path.join(state_dir, LAST)
        self._file: TextIO | None = None

    def __repr__(self) -> str:
        return f"<CrashLog {self._path}>"

    def begin(self) -> str:
        """Fatal errors are written down from now on. The path of what the last run left when it
        crashed, or "".
        """
        last = ""
        try:
            if os.path.exists(self._path) and os.path.getsize(self._path):
                os.replace(self._path, self._last)
                last = self._last
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = open(os.open(self._path, flags, 0o600), "w", encoding="utf-8")  # noqa: SIM115
        except OSError:
            return last  # a full disk: there is nothing to be done about it here
        faulthandler.enable(self._file)
        return last

    def end(self) -> None:
        """A clean end; a no-op the second time."""
        if self._file is not None:
            faulthandler.disable()
            self._file.close()
            self._file = None
