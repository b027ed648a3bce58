"""Word from a thread to the window.

Rule: a thread holds a `Rope` and nothing of Qt's. One that held a QObject might be the last to let
it go, or emit its signal while it dies, and either is a crash.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import weakref
from typing import Any

from PySide6.QtCore import QObject, QSocketNotifier, Signal


class Rope:
    """The end for threads. What it carries arrives in its order, or nowhere when the bell is
    gone.
    """

    def __init__(self, there: socket.socket) -> None:
        self._there = there
        self.values: queue.SimpleQueue[Any] = queue.SimpleQueue()
        weakref.finalize(self, there.close)

    def __repr__(self) -> str:
        return f"<Rope waiting={self.values.qsize()}>"

    def pull(self, value: object) -> None:
        """Tell the window's thread this value."""
        self.values.put(value)
        # full: it will be looked at anyway; closed: nobody listens
        with contextlib.suppress(OSError):
            self._there.send(b"\0")


class Bell(QObject):
    """`rang` carries each value, in the window's thread."""

    rang = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._here, there = socket.socketpair()
        for end in (self._here, there):
            end.setblocking(False)
        weakref.finalize(self, self._here.close)
        self.rope = Rope(there)
        self._notifier = QSocketNotifier(self._here.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._hear)

    def __repr__(self) -> str:
        return f"<Bell {self.rope!r}>"

    def _hear(self) -> None:
        with contextlib.suppress(OSError):
            self._here.recv(4096)
        while self._notifier.isEnabled():
            try:
                value = self.rope.values.get_nowait()
            except queue.Empty:
                return
            self.rang.emit(value)

    def close(self) -> None:
        """Hear nothing any more; the bell goes."""
        self._notifier.setEnabled(False)
        self.deleteLater()
