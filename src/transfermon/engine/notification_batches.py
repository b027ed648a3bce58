"""When a person is told of transfers: at once after a quiet time, together while more of them end.

Rule: no host shows anything by itself. Each hands in how words are shown, and what is told, and
when, is decided here. Nothing that is added is ever lost: it is told by itself or in a sum.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from transfermon.model.events import Event, SessionIdleEvent, TaskCompletedEvent, TaskCreatedEvent
from transfermon.model.task import Task
from transfermon.system.runners import LongWork, Runners
from transfermon.text.notification_texts import (
    BannerText,
    notice_for,
    start_notice,
    still_notice,
    worth_telling,
)

if TYPE_CHECKING:  # handed in
    from transfermon.engine.monitor import Monitor

T = TypeVar("T")
FIRST, MOST = 10.0, 300.0  # seconds between two notices while transfers go on ending; it doubles
BURST = 3  # notices of single transfers in a row, where a person wants each of them
BATCH = 10.0  # a batch that stays open longer is told of
TOGETHER = 1.0  # downloads that one push or fetch starts within this are told of together
STILL = 5.0  # seconds after which a person is told that transfers go on without a window


class Gathering(Generic[T]):
    """What waits to be told. It looks at no clock: `now` is monotonic seconds and passed in.
    `burst`: how many notices may come in a row before they are gathered.
    """

    def __init__(self, *, burst: int = 1) -> None:
        self._burst = burst
        self._left = burst
        self._gap = FIRST
        self._next = 0.0  # when the next sum may be told, once the burst is used up
        self._waiting: list[T] = []
        self._called = False  # whether somebody will come and take

    def __repr__(self) -> str:
        return f"<Gathering {len(self._waiting)} waiting>"

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, found: list[T], now: float) -> float | None:
        """Seconds after which `take` is to be called: 0 is at once, None when that was arranged
        before.
        """
        self._waiting += found
        if self._called:
            return None
        self._rest(now)
        wait = 0.0 if self._left > 0 else max(0.0, self._next - now)
        self._called = wait > 0
        return wait

    def take(self, now: float) -> list[T]:
        """All that waits, to be told as one; empty when nothing does."""
        self._called = False
        found, self._waiting = self._waiting, []
        if found:
            self._left = max(0, self._left - 1)
            if not self._left:
                self._gap = min(MOST, self._gap * 2) if self._next else FIRST
                self._next = now + self._gap
        return found

    def _rest(self, now: float) -> None:
        """A whole gap without any end: the next one is news again."""
        if self._next and now >= self._next:
            self._left, self._next, self._gap = self._burst, 0.0, FIRST


class NotificationBatches:
    """Of one engine, whoever its host is: what ended, what a push or fetch has started, and that
    transfers go on without a window.

    `tell` gets the words, on the loop. Those of a transfer's end come when the app's own listeners
    have had that end (O-16); `runners` has the one who waits for them.
    """

    def __init__(
        self, monitor: Monitor, runners: Runners, tell: Callable[[BannerText], None]
    ) -> None:
        self._monitor = monitor
        self._runners = runners
        self._tell = tell
        self._timers: set[asyncio.Handle] = set()
        self._ended: dict[str, list[Task]] = {}  # by session
        self._together: Gathering[Task] = Gathering()
        self._singly: Gathering[Task] = Gathering(burst=BURST)  # where each is to be told of
        self._started: dict[str, list[Task]] = {}  # by handler

    def __repr__(self) -> str:
        return f"<NotificationBatches ended={len(self._ended)} started={len(self._started)}>"

    def take_event(self, event: Event) -> None:
        """Hear one event of the engine, as an observer does."""
        task = event.task
        if isinstance(event, SessionIdleEvent):
            self._close_session(event.session)
        elif task is None:
            return
        elif isinstance(event, TaskCompletedEvent) and worth_telling(task):
            self._add_ended(task)
        elif isinstance(event, TaskCreatedEvent) and task.handler_id:
            self._add_started(task)

    def tell_that_transfers_go_on(self, tasks: int, *, after: float = STILL) -> None:
        """So many of them, without a window; soon, for most are over before."""
        if self._monitor.settings.notify != "off":
            self._later(after, lambda: self._tell(still_notice(tasks)))

    def close_all(self) -> None:
        """What waits to be told is told now, or as soon as the listeners have had it."""
        for session in list(self._ended):
            self._close_session(session)
        for gathering in (self._together, self._singly):
            self._tell_gathered(gathering)
        for handler in list(self._started):
            self._close_start(handler)

    def close(self) -> None:
        """Nothing more is told."""
        for timer in self._timers:
            timer.cancel()

    def _add_ended(self, task: Task) -> None:
        how = self._monitor.settings.notify
        if how == "task":
            self._gather(self._singly, [task])
        elif how != "off":
            # "session": when it has nothing left, however long that takes
            if how != "session" and task.session not in self._ended:
                self._later(BATCH, lambda: self._close_session(task.session))
            self._ended.setdefault(task.session, []).append(task)

    def _close_session(self, session: str) -> None:
        if tasks := self._ended.pop(session, None):
            self._gather(self._together, tasks)

    def _add_started(self, task: Task) -> None:
        if not self._monitor.settings.notify_background_start:
            return
        if task.handler_id not in self._started:
            self._later(TOGETHER, lambda: self._close_start(task.handler_id))
        self._started.setdefault(task.handler_id, []).append(task)

    def _close_start(self, handler: str) -> None:
        if tasks := self._started.pop(handler, None):
            self._tell(start_notice(tasks))

    def _gather(self, gathering: Gathering[Task], tasks: list[Task]) -> None:
        wait = gathering.add(tasks, asyncio.get_running_loop().time())
        if wait == 0:
            self._tell_gathered(gathering)
        elif wait is not None:
            self._later(wait, lambda: self._tell_gathered(gathering))

    def _tell_gathered(self, gathering: Gathering[Task]) -> None:
        if tasks := gathering.take(asyncio.get_running_loop().time()):
            found = self._monitor.find_session(session_of(tasks))
            notice = notice_for(tasks, (found.identifier or "") if found else "")
            self._runners.spawn(self._tell_when_heard(tasks, notice), "telling what ended")

    async def _tell_when_heard(self, tasks: list[Task], notice: BannerText) -> None:
        work = LongWork()
        for task in tasks:
            await self._monitor.heard(task.key)  # listeners come first (O-16)
            await work.give_way()
        self._tell(notice)

    def _later(self, delay: float, call: Callable[[], None]) -> None:
        def due() -> None:
            self._timers.discard(timer)
            call()

        timer = asyncio.get_running_loop().call_later(delay, due)
        self._timers.add(timer)


def session_of(tasks: list[Task]) -> str:
    """The session that all of them are of; "" when there are several."""
    sessions = {task.session for task in tasks}
    return sessions.pop() if len(sessions) == 1 else ""
