"""The app's loop: asyncio inside of Qt's, with one timer for everything that is to run soon, and one
for everything that is to run later.

Rule: callbacks run in the order in which they came, 2 ms of them at a time; then Qt has its turn.
qasync starts and ends a timer of Qt's for each, which is a fifth of what a small file costs in the
app, and one that was cancelled lives on until it is due: a week, where it was a task's.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import math
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from typing import Any

from PySide6.QtCore import QObject, Qt, QTimerEvent
from PySide6.QtWidgets import QApplication

from transfermon.gui.toolkit.ready_sockets import ReadySockets

import qasync  # isort: skip - it takes another Qt when PySide6 is not there first

SLICE = 0.002  # seconds
THREADS = 4  # for what blocks
LONGEST = 86_400_000  # milliseconds that a timer of Qt's is set to; it counts no more than 24 days
SPARED = 100  # callbacks that were cancelled and may wait until they are due


class _Alarm(QObject):
    """A timer that is new each time: one that is being told of is not told of again in a loop that
    Qt runs inside, for a menu or a drag.
    """

    def __init__(self, run: Callable[[], None]) -> None:
        super().__init__()
        self._run = run
        self._timer = 0

    def arm(self, milliseconds: int = 0) -> None:
        """A no-op while it is armed."""
        if not self._timer:
            self._timer = self.startTimer(milliseconds, Qt.TimerType.PreciseTimer)

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
        self._soon = _Alarm(self._run_ready)
        self._later: list[asyncio.TimerHandle] = []  # a heap
        self._cancelled = 0  # of them, at most
        self._due = math.inf  # when the alarm tells of the first one
        self._alarm = _Alarm(self._take_due)
        self._sockets = ReadySockets() if ReadySockets.available() else None
        self._woken = False  # by a thread, and not noticed yet
        super().__init__(app)

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """As asyncio has it."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        self._soon.arm()
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As asyncio has it."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As asyncio has it."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._later, handle)
        if when < self._due:
            self._set_alarm()
        return handle

    def _timer_handle_cancelled(self, _handle: asyncio.TimerHandle) -> None:
        """Told by each handle. Most timeouts are cancelled: they must not gather until they are
        due.
        """
        self._cancelled += 1
        if self._cancelled > SPARED and 2 * self._cancelled > len(self._later):
            self._cancelled = 0
            self._later = [handle for handle in self._later if not handle.cancelled()]
            heapq.heapify(self._later)

    def call_soon_threadsafe(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Any:
        """As asyncio has it."""
        if self._sockets is None:
            return super().call_soon_threadsafe(callback, *args, context=context)
        self._check_closed()
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        if not self._woken:
            self._woken = True  # first: whoever is read of then finds the handle
            self._write_to_self()
        return handle

    def _process_self_data(self, data: bytes) -> None:
        """Asyncio has read what was written: by a thread, or by the system for a signal."""
        self._woken = False
        self._soon.arm()
        super()._process_self_data(data)

    # asyncio's own transports and `add_reader` both come here

    def _add_reader(self, fd: Any, callback: Callable[..., object], *args: Any) -> Any:
        self._check_closed()
        if self._sockets is not None:
            handle = asyncio.Handle(callback, args, self)
            with contextlib.suppress(PermissionError):  # a file: no epoll takes one
                self._sockets.add(_number_of(fd), handle)
                return handle
        return super()._add_reader(fd, callback, *args)

    def _remove_reader(self, fd: Any) -> bool:
        if self._sockets is not None and self._sockets.remove(_number_of(fd)):
            return True
        return bool(super()._remove_reader(fd))

    def close(self) -> None:
        super().close()
        if self._sockets is not None:
            self._sockets.close()
        for alarm in (self._soon, self._alarm):
            alarm.disarm()
        self._ready.clear()
        self._later.clear()

    def _set_alarm(self) -> None:
        self._alarm.disarm()
        self._due = self._later[0].when() if self._later else math.inf
        if self._later:
            left = math.ceil((self._due - self.time()) * 1000)
            self._alarm.arm(min(max(0, left), LONGEST))

    def _take_due(self) -> None:
        now, later = self.time(), self._later
        while later and (later[0].cancelled() or later[0].when() <= now):
            handle = heapq.heappop(later)
            if not handle.cancelled():
                self._ready.append(handle)
                self._soon.arm()
        self._set_alarm()

    def _run_ready(self) -> None:
        """Also what they ask for meanwhile: to wait for Qt in between costs more than most do."""
        end, ready = time.perf_counter() + SLICE, self._ready
        while ready:
            handle = ready.popleft()
            if ready:  # before it runs: it may need a loop inside, or fail
                self._soon.arm()
            if not handle.cancelled():
                handle._run()  # noqa: SLF001 - every loop's own
            if time.perf_counter() > end:
                return  # what is left has armed it
        self._soon.disarm()


def _number_of(fd: Any) -> int:
    return fd if isinstance(fd, int) else int(fd.fileno())


def new_loop(app: QApplication) -> asyncio.AbstractEventLoop:
    """The app's, with threads of Python's own for what blocks: qasync's are Qt's, and ten of them
    that begin while the window is built can end the process.
    """
    loop: asyncio.AbstractEventLoop = AppLoop(app)
    loop.set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="transfermon"))
    return loop
