"""Cyclic garbage is collected on Qt's thread only.

Rule: Python's collector runs on whichever thread allocates; one that met a window's objects on the
pump's or an executor's thread would destroy them there, which Qt answers with a crash. So it is
switched off and called when the loop is about to wait, if enough has gathered: no timer, and no
wake-up when nothing happens.
"""

from __future__ import annotations

import gc
import time

from PySide6.QtCore import QAbstractEventDispatcher, QObject

# new ones often, and the middle ones with every second look, so that no look takes long
YOUNG, MIDDLE, OLD = 1000, 1, 100
SHARE = 100  # a look at everything may take one part in so many of the time


class Collector(QObject):
    """Collects from construction to `close`, which gives the work back to Python."""

    def __init__(self, dispatcher: QAbstractEventDispatcher) -> None:
        super().__init__()
        self._dispatcher = dispatcher
        self._next_whole = 0.0  # monotonic seconds
        dispatcher.aboutToBlock.connect(self.look)
        gc.disable()

    def __repr__(self) -> str:
        return f"<Collector {gc.get_count()}>"

    def look(self) -> None:
        """Collect the generation that is due."""
        young, middle, old = gc.get_count()
        if young < YOUNG:
            return
        if old > OLD and middle > MIDDLE and (begin := time.monotonic()) >= self._next_whole:
            gc.collect()
            took = time.monotonic() - begin
            self._next_whole = begin + took * SHARE
        else:
            gc.collect(1 if middle > MIDDLE else 0)

    def close(self) -> None:
        self._dispatcher.aboutToBlock.disconnect(self.look)
        gc.enable()
