"""Cyclic garbage is collected on Qt's thread only.

Rule: Python's collector runs on whichever thread allocates; one that met a window's objects on the pump's or an
executor's thread would destroy them there, which Qt answers with a crash. So it is switched off and called when the
loop is about to wait, if enough has gathered: no timer, and no wake-up when nothing happens.
"""

from __future__ import annotations

import gc

from PySide6.QtCore import QAbstractEventDispatcher, QObject

YOUNG, MIDDLE, OLD = 2000, 10, 10  # as Python's own thresholds, a little rarer


class Collector(QObject):
    """Collects from construction to `close`, which gives the work back to Python."""

    def __init__(self, dispatcher: QAbstractEventDispatcher) -> None:
        super().__init__()
        self._dispatcher = dispatcher
        dispatcher.aboutToBlock.connect(self.look)
        gc.disable()

    def __repr__(self) -> str:
        return f"<Collector {gc.get_count()}>"

    def look(self) -> None:
        """Collect the generation that is due."""
        young, middle, old = gc.get_count()
        if young < YOUNG:
            return
        gc.collect(2 if old > OLD and middle > MIDDLE else 1 if middle > MIDDLE else 0)

    def close(self) -> None:
        self._dispatcher.aboutToBlock.disconnect(self.look)
        gc.enable()
