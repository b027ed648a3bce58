"""The app's loop: asyncio inside of Qt's, with one timer for everything that is to run soon.

Rule: callbacks run in the order in which they came, 2 ms of them at a time; then Qt has its turn.
qasync starts and ends a timer of Qt's for each, which is a fifth of what a small file costs in the
app.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any

from PySide6.QtCore import QObject, QTimerEvent
from PySide6.QtWidgets import QApplication

import qasync  # isort: skip - it takes another Qt when PySide6 is not there first

SLICE = 0.002  # seconds


class _Soon(QObject):
    """A timer that is new each time: one that is being told of is not told of again in a loop that
    Qt runs inside, for a menu or a drag.
    """

    def __init__(self, run: Callable[[], None]) -> None:
        super().__init__()
        self._run = run
        self._timer = 0

    def arm(self) -> None:
        if not self._timer:
            self._timer = self.startTimer(0)

    def disarm(self) -> None:
        if self._timer:
            self.killTimer(self._timer)
            self._timer = 0

    def timerEvent(self, event: QTimerEvent) -> None:
        self.disarm()
        self._run()


class AppLoop(qasync.QEventLoop):  # type: ignore[misc]  # it ships no types
    """One for the process."""

    def __init__(self, app: QApplication) -> None:
        self._ready: deque[asyncio.Handle] = deque()
        self._soon = _Soon(self._run_ready)
        super().__init__(app)

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """As asyncio has it."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        self._soon.arm()
        return handle

    def close(self) -> None:
        super().close()
        self._soon.disarm()
        self._ready.clear()

    def _run_ready(self) -> None:
        end = time.perf_counter() + SLICE
        for _ in range(len(self._ready)):
            if not self._ready:  # a loop inside has run them
                return
            handle = self._ready.popleft()
            if self._ready:  # before it runs: it may need a loop inside, or fail
                self._soon.arm()
            if not handle.cancelled():
                handle._run()  # noqa: SLF001 - every loop's own
            if time.perf_counter() > end:
                return
