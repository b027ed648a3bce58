"""The only QObject that hears the monitor: events as they come, progress gathered at most four
times a second.

Rule: no timer runs unless something moved and a window is visible; a hidden window gets no progress
at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from transfermon.gui.toolkit.plain_signal import PlainSignal
from transfermon.model.events import DownloadProgressEvent, Event, UploadProgressEvent
from transfermon.model.task import Progress, TaskKey

if TYPE_CHECKING:  # the monitor brings the engine, which loads after the window shows
    from transfermon.engine.monitor import Monitor, Snapshot

TICK_MS = 275  # with a late paint now and then, there are still no more than four in a second
PULSE = 1.0  # seconds between two pulses at the least

_Mark = tuple[int, int, int]


class Bridge(QObject):
    """`told` carries every event but progress; `progress` a dict of what moved since the last one;
    `pulse` says, at most once a second and also while no window is visible, that something moved.
    """

    progress = Signal(object)
    pulse = Signal()

    def __init__(self, monitor: Monitor, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.told: PlainSignal[Event] = PlainSignal()
        self._monitor = monitor
        self._seen = 0
        self._watched = False
        self._marks: dict[TaskKey, _Mark] = {}
        self._last_pulse = 0.0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)  # others may come too early
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._unsubscribe: Callable[[], None] | None = monitor.subscribe(self._hear)

    def __repr__(self) -> str:
        return (
            f"<Bridge seen={self._seen} watched={self._watched} ticking={self._timer.isActive()}>"
        )

    @property
    def ticking(self) -> bool:
        return self._timer.isActive()

    def snapshot(self) -> Snapshot:
        """The whole state; events that it already contains are not told again."""
        found = self._monitor.overview.snapshot()
        self._seen = found.sequence
        return found

    def set_watched(self, watched: bool) -> None:
        """Whether a window that shows progress is visible."""
        if watched == self._watched:
            return
        self._watched = watched
        self._marks.clear()
        if not watched:
            self._timer.stop()
        elif self._monitor.overview.running_progress():
            self._timer.start()

    def close(self) -> None:
        """Hear nothing any more. May be called twice."""
        self._timer.stop()
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        self.told.disconnect_all()

    def _hear(self, event: Event) -> None:
        if isinstance(event, (DownloadProgressEvent, UploadProgressEvent)):
            self._moved()
        elif event.journalled and 0 < event.sequence <= self._seen:
            pass  # the snapshot has it
        else:
            self.told.emit(event)

    def _moved(self) -> None:
        if self._watched and not self._timer.isActive():
            self._timer.start()
        now = time.monotonic()
        if now - self._last_pulse >= PULSE:
            self._last_pulse = now
            self.pulse.emit()

    def _tick(self) -> None:
        now = time.monotonic()
        running = self._monitor.overview.running_progress()
        marks = {key: _mark(progress, now) for key, progress in running.items()}
        moved = {key: running[key] for key, mark in marks.items() if self._marks.get(key) != mark}
        self._marks = marks
        if moved:
            self.progress.emit(moved)
            self._timer.start()  # the next progress event starts it again once nothing moves


def _mark(progress: Progress, now: float) -> _Mark:
    # The rate is part of it: a stalled task's speed and time left go on changing for a while.
    return progress.received, progress.expected, int(progress.rate.per_second(now))
