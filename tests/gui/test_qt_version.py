"""The Qt that we pin keeps its hands off Python's own objects."""

from __future__ import annotations

import sys

from PySide6.QtCore import QObject, QTimerEvent

ROUNDS = 500


class Ticking(QObject):
    """Counts timer events; PySide6 6.12.0 took references from None in each on Python 3.10 and
    3.11.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def timerEvent(self, event: QTimerEvent) -> None:
        self.killTimer(event.timerId())
        self.count += 1
        if self.count < ROUNDS:
            self.startTimer(0)


def test_none_loses_no_references_over_timer_events(qtbot):
    ticking = Ticking()
    before = sys.getrefcount(None)
    ticking.startTimer(0)
    qtbot.waitUntil(lambda: ticking.count >= ROUNDS, timeout=20000)
    assert sys.getrefcount(None) > before - ROUNDS // 2
