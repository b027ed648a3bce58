"""From durable to heard: who may be told of an event now, and what waits for the app's return.

Rule: a terminal event is acknowledged in the journal when every listener of the app has had it, not
before. Observers (the window, the control socket) hear each event once, at once; what an absence
kept for the listeners is told to them alone, in its old order, under its old numbers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import field
from enum import Enum
from functools import partial

from transfermon.engine.event_bus import WAKES, Delivered
from transfermon.engine.session import Session
from transfermon.engine.session_core import SessionState
from transfermon.engine.shared import Engine
from transfermon.engine.wake_engine import Background
from transfermon.model.events import (
    TERMINAL,
    BackgroundTransferEvent,
    DownloadCompletedEvent,
    DownloadProgressEvent,
    Event,
    SessionEventsCompletedEvent,
    SessionIdleEvent,
    TaskEvent,
    UploadProgressEvent,
    moved_event,
)
from transfermon.model.record import mutable
from transfermon.model.task import Activity, Kind, Progress, State, Task, changed, progress_of
from transfermon.storage.changes import Change
from transfermon.storage.finished_file import Blob
from transfermon.storage.store import SLICE

log = logging.getLogger(__name__)


class Stage(Enum):
    """Of one background delivery: one for each session and absence."""

    IDLE = "idle"
    EVENTS_QUEUED = "events_queued"
    HANDED_OVER = "handed_over"
    DRAINING = "draining"
    DRAINED = "drained"
    ENDED = "ended"


class DeliveryStep(Enum):
    STORED = "a terminal event while nobody was attached"
    HAND_OVER = "the last task had ended, and the session sends launch events"
    ATTACH = "the session is there"
    EMPTY = "the last stored event was told"
    END = "its handler was ended"
    EXPIRE = "its budget is over"


# A pair that is not here cannot happen. ENDED early does not stop the delivery itself.
STAGES: dict[tuple[Stage, DeliveryStep], Stage] = {
    (Stage.IDLE, DeliveryStep.STORED): Stage.EVENTS_QUEUED,
    (Stage.EVENTS_QUEUED, DeliveryStep.STORED): Stage.EVENTS_QUEUED,
    (Stage.EVENTS_QUEUED, DeliveryStep.HAND_OVER): Stage.HANDED_OVER,
    (Stage.EVENTS_QUEUED, DeliveryStep.ATTACH): Stage.DRAINING,  # without a handler
    (Stage.HANDED_OVER, DeliveryStep.ATTACH): Stage.DRAINING,
    (Stage.HANDED_OVER, DeliveryStep.END): Stage.ENDED,
    (Stage.HANDED_OVER, DeliveryStep.EXPIRE): Stage.ENDED,
    (Stage.DRAINING, DeliveryStep.EMPTY): Stage.DRAINED,
    (Stage.DRAINING, DeliveryStep.END): Stage.ENDED,
    (Stage.DRAINING, DeliveryStep.EXPIRE): Stage.ENDED,
    (Stage.DRAINED, DeliveryStep.END): Stage.ENDED,
    (Stage.DRAINED, DeliveryStep.EXPIRE): Stage.ENDED,
    (Stage.ENDED, DeliveryStep.ATTACH): Stage.ENDED,
    (Stage.ENDED, DeliveryStep.EMPTY): Stage.ENDED,
    (Stage.ENDED, DeliveryStep.END): Stage.ENDED,
}
_EARLY = (Stage.HANDED_OVER, Stage.DRAINING)
_LOOKING = 5.0  # seconds to find out which of the finished files are there
_UNKNOWN_TYPE = "application/octet-stream"
_PROGRESS = DownloadProgressEvent | UploadProgressEvent


@mutable
class Absence:
    """The stored events of one session, and how far their delivery is."""

    session: str
    identifier: str | None
    events: deque[Event]
    stage: Stage = Stage.IDLE
    handler_id: str = ""
    attached: bool = False
    missing: frozenset[str] = frozenset()  # finished files that are not there any more
    holds: bool = True  # what the session tells meanwhile comes after the stored events
    later: deque[tuple[Event, Delivered | None]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        for _ in self.events:
            self.take(DeliveryStep.STORED)

    def __repr__(self) -> str:
        return f"<Absence {self.session} {self.stage.value} {len(self.events)} stored>"

    def take(self, step: DeliveryStep) -> None:
        self.stage = STAGES[self.stage, step]


class Delivery:
    """Between the store and the bus, for the listeners of the app."""

    def __init__(
        self, engine: Engine, background: Background, sessions: Mapping[str, Session]
    ) -> None:
        self._engine = engine
        self._background = background
        self._sessions = sessions  # the monitor's own, live
        self.suspended = False
        self._kept: list[Event] = []  # of the suspension that lasts
        # by sequence: who waits until a kept session event is heard
        self._owed: dict[int, Delivered] = {}
        self._idle: set[str] = set()  # sessions whose last task ended in that time
        self._absences: dict[str, Absence] = {}
        # stored again before the last delivery was over
        self._after: dict[str, tuple[list[Event], bool]] = {}
        self._handed: dict[str, Absence] = {}  # by open handler
        self._closing = False
        engine.tell = self.tell
        background.on_closed = self._handler_closed

    def __repr__(self) -> str:
        return f"<Delivery {len(self._absences)} absences{' suspended' if self.suspended else ''}>"

    # ---- what is told now

    def tell(self, event: Event, delivered: Delivered | None = None) -> None:
        """A durable event: observers hear it, and listeners as soon as the app is there for it.

        `delivered` is called when they have had it; of a task's event also when it was kept for
        later.
        """
        self._engine.bus.show(event)
        if self.suspended and event.type in WAKES:
            self.wake()
        self._pass_on(event, delivered)

    def _pass_on(self, event: Event, delivered: Delivered | None) -> None:
        absence = self._absences.get(event.session)
        if (self.suspended and event.session) or (self._closing and absence is not None):
            self._keep(event, delivered)
        elif absence is None or not absence.holds:
            self._offer(event, delivered)
        elif not isinstance(event, _PROGRESS):  # one comes when it is over (E-11)
            absence.later.append((event, delivered))

    def _offer(self, event: Event, delivered: Delivered | None) -> None:
        if event.type not in TERMINAL:
            self._engine.bus.deliver(event, delivered)
            return
        if not self._engine.attached:
            _keep_file(event)

        def heard() -> None:
            if self._engine.attached:
                self._engine.store.acknowledge(event.sequence)
            if delivered is not None:
                delivered()

        self._engine.bus.deliver(event, heard)

    def _keep(self, event: Event, delivered: Delivered | None) -> None:
        """The journal has it, unacknowledged; what is no terminal event nobody will miss."""
        if isinstance(event, SessionIdleEvent):
            self._idle.add(event.session)
        if event.type in TERMINAL:
            _keep_file(event)
            self._kept.append(event)
            if delivered is not None and not isinstance(event, TaskEvent):
                self._owed[event.sequence] = delivered
                return
        if delivered is not None:
            delivered()

    # ---- simulated suspension

    def suspend(self) -> None:
        """From now on the app's listeners hear nothing of sessions; transfers go on. A no-op while
        it is suspended.
        """
        self.suspended = True

    def wake(self) -> None:
        """Tell the listeners what they have missed, as after a relaunch. A no-op when they have
        missed nothing.
        """
        if not self.suspended:
            return
        self.suspended = False
        kept, self._kept = self._kept, []
        idle, self._idle = self._idle, set()
        self.begin(kept, idle)

    # ---- stored events

    def begin(self, stored: Iterable[Event], idle: Collection[str]) -> None:
        """Deliver what an absence has left, not before the loop's next turn (B-02).

        A session whose last task ended meanwhile gets a `backgroundtransfer` first; the others
        drain silently. After it each unfinished task says how far it is (E-11).
        """
        by_session: dict[str, list[Event]] = {}
        for event in stored:
            by_session.setdefault(event.session, []).append(event)
        # O-14
        for key, events in sorted(by_session.items(), key=lambda item: item[1][-1].sequence):
            if key in self._absences:
                before, over = self._after.get(key, ([], False))
                self._after[key] = (before + events, over or key in idle)
            else:
                self._begin_one(key, events, over=key in idle)
        for session in self._sessions.values():
            if session.key not in self._absences:
                asyncio.get_running_loop().call_soon(self._tell_progress, session.key)

    def _begin_one(self, key: str, events: list[Event], *, over: bool) -> None:
        absence = Absence(
            session=key, identifier=events[0].session_identifier, events=deque(events)
        )
        self._absences[key] = absence
        session = self._sessions.get(key)
        if session is not None and _announces(session) and (over or session.outstanding == 0):
            absence.take(DeliveryStep.HAND_OVER)
            absence.handler_id = self._background.open_session()
            self._handed[absence.handler_id] = absence
            self._record(
                absence, BackgroundTransferEvent(handler_id=absence.handler_id), self._hand_over
            )
        else:
            asyncio.get_running_loop().call_soon(self._attach, absence)

    def _record(
        self, absence: Absence, event: Event, then: Callable[[Absence, Event], None]
    ) -> None:
        """Journal an event of the delivery itself; it passes what the session tells meanwhile."""
        told = self._engine.stamp(
            event, session=absence.session, session_identifier=absence.identifier
        )

        def publish() -> None:
            self._engine.bus.show(told)
            then(absence, told)

        self._engine.store.commit(Change(event=told), then=publish)

    def _hand_over(self, absence: Absence, event: Event) -> None:
        bus = self._engine.bus
        if not bus.listens(event.type):
            if any(bus.listens(stored.type) for stored in absence.events):
                asyncio.get_running_loop().call_soon(self._attach, absence)
            else:  # nobody is there at all: the first listener, or the end of the budget, lets it go on (E-12)
                absence.holds = False
        bus.deliver(event, lambda: self._attach(absence))

    def _attach(self, absence: Absence) -> None:
        if absence.attached or self._closing:
            return
        absence.attached = absence.holds = True
        absence.take(DeliveryStep.ATTACH)
        self._engine.runners.spawn(
            self._look_and_drain(absence), f"stored events of {absence.session}"
        )

    async def _look_and_drain(self, absence: Absence) -> None:
        paths = [
            event.location for event in absence.events if isinstance(event, DownloadCompletedEvent)
        ]
        if paths:
            # a share that hangs: whoever opens the file will see
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOKING):
                    absence.missing = await asyncio.to_thread(_missing, paths)
        self._drain(absence)

    def _drain(self, absence: Absence) -> None:
        end = time.perf_counter() + SLICE
        while absence.events:
            if self._closing:
                return
            event = self._attached(absence.events.popleft(), absence.missing)
            self._offer(event, self._owed.pop(event.sequence, None) or self._expiry(event))
            if time.perf_counter() > end:
                asyncio.get_running_loop().call_soon(self._drain, absence)
                return
        if absence.handler_id:
            self._record(absence, SessionEventsCompletedEvent(), self._complete)
        else:
            self._over(absence)

    def _attached(self, event: Event, missing: Collection[str]) -> Event:
        """The stored event as a listener wants it: with the record as it is now, and the file while
        it is there.
        """
        if not isinstance(event, TaskEvent):
            return event
        session = self._sessions.get(event.session)
        task = session.tasks.find(event.task_identifier) if session is not None else None
        task = task or event.task
        if not isinstance(event, DownloadCompletedEvent):
            return changed(event, task=task)
        data = None
        if event.location not in missing:
            data = (
                Blob.of(task)
                if task is not None and task.final_path
                else Blob(event.location, _UNKNOWN_TYPE)
            )
        return changed(event, task=task, data=data)

    def _expiry(self, event: Event) -> Delivered | None:
        """D-08, D-09: a temporary file lives until its event has been delivered."""
        data = event.data if isinstance(event, DownloadCompletedEvent) else None
        if data is None:
            return None

        def expire() -> None:
            self._engine.runners.spawn(
                asyncio.to_thread(data.expire), f"temporary file of {event.task_key}"
            )

        return expire

    def _complete(self, absence: Absence, event: Event) -> None:
        absence.take(DeliveryStep.EMPTY)
        self._background.handlers.drained(absence.handler_id)
        self._engine.bus.deliver(event, lambda: self._over(absence))

    def _over(self, absence: Absence) -> None:
        """From here on the session's events are told as they come."""
        if self._closing:
            return
        del self._absences[absence.session]
        again, over = self._after.pop(absence.session, (None, False))
        if again is not None:
            self._begin_one(absence.session, again, over=over)
        for event, delivered in absence.later:
            self._pass_on(event, delivered)
        self._tell_progress(absence.session)

    def _handler_closed(self, handler_id: str, expired: bool) -> None:
        absence = self._handed.pop(handler_id, None)
        if absence is None:
            return
        if absence.stage in _EARLY:
            log.warning(
                "the handler of session %s was ended before its events were told", absence.session
            )
        absence.take(DeliveryStep.EXPIRE if expired else DeliveryStep.END)

    def _tell_progress(self, key: str) -> None:
        """How far each unfinished task is; the listeners have missed it (E-11)."""
        session = self._sessions.get(key)
        if session is None or self._closing:
            return
        for task in session.tasks.records():
            event = progress_event(task, self._engine.progress.get(task.key))
            if event is not None:
                told = self._engine.stamp(event, session=key, session_identifier=session.identifier)
                # after what was decided before
                self._engine.store.commit(Change(), then=partial(self.tell, told))

    def close(self) -> None:
        """Nobody waits for listeners any more: what is stored stays stored, for the next engine."""
        self._closing = True
        for absence in self._absences.values():
            for event, delivered in absence.later:
                self._keep(event, delivered)
            absence.later.clear()


def progress_event(task: Task, live: Progress | None) -> Event | None:
    """The counters as they are; None where nothing is to come, or everything but the end was told
    already (O-04).
    """
    named = bool(task.named_path)
    if (
        task.state not in (State.RUNNING, State.SUSPENDED)
        or named
        or task.activity is Activity.FINALIZING
    ):
        return None
    if task.kind is Kind.DATA:
        return None
    now = live or progress_of(task)
    now.told = max(now.told, now.received)  # the next one counts from here (D-04)
    return moved_event(task, now, since=now.received)


def _announces(session: Session) -> bool:
    """B-05. Default sessions do not outlive the app; one that is ending says so and nothing after
    it (O-11).
    """
    wanted = session.identifier is not None and session.configuration.session_sends_launch_events
    return wanted and session.state is SessionState.ACTIVE


def _missing(paths: Iterable[str]) -> frozenset[str]:
    """Blocking."""
    return frozenset(path for path in paths if not os.path.exists(path))


def _keep_file(event: Event) -> None:
    """Nobody deletes the temporary file before the app has heard of it (D-09)."""
    if isinstance(event, DownloadCompletedEvent) and event.data is not None:
        event.data.keep()
