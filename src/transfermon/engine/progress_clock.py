"""The progress clock: it tells how far transfers are, and runs only while something moves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from transfermon.engine import task_progress
from transfermon.engine.pace import Pace, by_our_doing
from transfermon.engine.session import Session
from transfermon.engine.shared import Engine
from transfermon.model.configuration import PROGRESS_PER_SECOND

# slower than the limit: the last one comes on top, and Qt's timers are early (D-05)
_TICK = 1.2 / PROGRESS_PER_SECOND
_LOOK = 1.0  # seconds between two looks at what goes too slowly


class ProgressClock:
    """The one of an engine."""

    def __init__(self, engine: Engine, sessions: Mapping[str, Session]) -> None:
        self._engine = engine
        self._sessions = sessions
        self._timer: asyncio.TimerHandle | None = None
        self.pace = Pace()
        self._next_look = 0.0
        engine.on_moving = self._start

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _start(self) -> None:
        if self._timer is None and not self._engine.closing:
            self._timer = asyncio.get_running_loop().call_later(_TICK, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = time.monotonic()
        for key, progress in list(self._engine.progress.items()):
            progress.rate.add(now, progress.received)
            if (run := self._sessions[key.session].tasks.find_run(key.number)) is not None:
                task_progress.tell_activity(run)
                task_progress.tell_progress(run, progress, progress.rate.per_second(now))
        if now >= self._next_look:
            self._next_look = now + _LOOK
            self._look_after(now)
        if self._engine.progress:
            self._start()

    def _look_after(self, now: float) -> None:
        """Let no slow transfer and no silent disk go unnoticed."""
        engine = self._engine
        moved = {key: progress.received for key, progress in engine.progress.items()}
        slow = self.pace.look(now, moved)
        engine.slots.set_slow({key for key in slow if not by_our_doing(engine.rates_of(key))})
        for key in moved:
            if (run := self._sessions[key.session].tasks.find_run(key.number)) is not None:
                task_progress.tell_disk(run)
