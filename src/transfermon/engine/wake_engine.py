"""What wakes the app: background fetch and silent push, each with a handler and a line in the
ledger.

Rule: there is one wake path. The button, the command, the timer and the push channel are judged by
`wake_policy`, written down, and delivered by `_deliver`, which opens the handler before the event is told
(O-15).
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Iterable

from transfermon.engine.handlers import FetchResult, Handler, Handlers
from transfermon.engine.identifiers import new_identifier
from transfermon.engine.shared import Engine
from transfermon.engine.wake_lines import WakeLedger
from transfermon.model import wake_policy
from transfermon.model.configuration import (
    BACKGROUND_FETCH_INTERVAL_NEVER,
    BACKGROUND_HANDLER_BUDGET,
    PUSHES_PER_HOUR,
    SESSION_HANDLER_LIMIT,
)
from transfermon.model.events import (
    BackgroundFetchEvent,
    Event,
    NotificationEvent,
    SilentPushEvent,
)
from transfermon.model.push_payload import Payload, parse_payload, payload_of
from transfermon.model.task import Task, changed
from transfermon.model.wake_policy import (
    AppState,
    FetchState,
    Wake,
    WakeJudgement,
    WakeKind,
    WakeOutcome,
    WakeVerdict,
)
from transfermon.storage.changes import Change
from transfermon.system.clock import Timer

log = logging.getLogger(__name__)
BY_HAND, TIMER = "button", "timer"
FETCH_STATE = "background.fetch"  # what the scheduler remembers
# when the last ones were delivered: a flood must not push them out of the ledger
PUSH_TIMES = "background.pushes"


class Background:
    """The ledger, the timer, and the door for wake-ups."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._clock = engine.clock
        self.handlers = Handlers(engine, self._closed)
        self._ledger = WakeLedger(engine)
        self._fetch = FetchState()
        # deliveries by hand count, too
        self._pushes: deque[float] = deque(maxlen=2 * PUSHES_PER_HOUR)
        self._timer: Timer | None = None
        self._ready = False
        self._force_quit = False
        # identifier, and whether its budget ran out
        self.on_closed: Callable[[str, bool], None] | None = None
        self.on_taken_back: Callable[[tuple[str, ...]], None] | None = (
            None  # tasks as SESSION:NUMBER, not to begin any more
        )
        engine.on_created = self._count

    # ---- life

    def restore(self, remembered: Iterable[Wake], state: str, pushes: str) -> None:
        """Take the ledger as it was stored. A handler that was open has nobody to end it any
        more.
        """
        self._fetch = wake_policy.fetch_of(state, self._asked_interval())
        self._pushes.extend(json.loads(pushes or "[]"))
        self._ledger.restore(remembered)

    def ready(self) -> None:
        """Listeners are there: what was held for a start of the app is delivered, and the timer
        runs.
        """
        self._ready = True
        if self._engine.app_state is AppState.FOREGROUND:
            self._deliver_held()
        self._arm()

    def close(self) -> None:
        self._ready = False
        self._engine.on_created = None
        if self._timer is not None:
            self._timer.cancel()
        self.handlers.close()

    # ---- what front ends look at

    @property
    def open_handlers(self) -> tuple[str, ...]:
        return self.handlers.names

    @property
    def ledger(self) -> tuple[Wake, ...]:
        """Oldest first; the newest 1,000."""
        return self._ledger.lines

    @property
    def interval(self) -> float:
        """Seconds between two background fetches as asked for; NEVER is infinite."""
        return self._fetch.interval

    @property
    def effective_interval(self) -> float:
        """Seconds, with the floor and the penalty for overruns."""
        return self._fetch.effective(self._clock.now())

    @property
    def schedule(self) -> str:
        """When the next fetch comes by itself, in a sentence."""
        return wake_policy.schedule_text(
            self._fetch, now=self._clock.now(), state=self._engine.app_state, modes=self._modes
        )

    @property
    def counts_down(self) -> bool:
        """Whether `schedule` is another sentence with each second."""
        return self._engine.app_state is AppState.BACKGROUND and self.next_fetch is not None

    @property
    def overruns(self) -> int:
        return self._fetch.at(self._clock.now()).overruns

    @property
    def next_fetch(self) -> float | None:
        """Epoch seconds before which no fetch comes by itself; None when none is to come."""
        if wake_policy.FETCH_MODE not in self._modes:
            return None
        return self._fetch.due(self._clock.now())

    @property
    def expects(self) -> bool:
        """Whether a wake may still come by itself, so that an engine without a window has a reason
        to stay.
        """
        return self.next_fetch is not None or any(self._ledger.waiting())

    @property
    def _modes(self) -> tuple[str, ...]:
        return self._engine.settings.background_modes

    # ---- what changes

    def settings_changed(self) -> None:
        """The interval or the modes may be others."""
        asked = self._asked_interval()
        if asked != self._fetch.interval:
            self._keep(changed(self._fetch, interval=asked, since=self._clock.now()))
        self._arm()

    def _asked_interval(self) -> float:
        asked = self._engine.settings.fetch_interval
        return BACKGROUND_FETCH_INTERVAL_NEVER if asked < 0 else asked

    def state_changed(self, state: AppState) -> None:
        """The app went to the back, or a person brought it to the front."""
        if state is AppState.FOREGROUND:
            self._engine.limiter.reset()
            if self._engine.strict:
                for handler_id in self.handlers.of_wakes:
                    self.handlers.end(handler_id, FetchResult.FAILED)  # B-14: no overrun
            if self._ready:
                self._deliver_held()
        self._arm()

    def force_quit(self) -> None:
        """Everything was stopped by a person: what is held is dropped, and nothing wakes the app
        (P-08, P-10).
        """
        self._force_quit = True
        for wake in self._ledger.waiting():
            self._ledger.drop(wake, "All transfers were stopped and the app was quit.")

    # ---- wakes

    def fetch(self, *, by_hand: bool) -> Wake:
        """Ask for `backgroundfetch`. By hand it is delivered at once unless the policy is "strict"
        (B-10, B-11).
        """
        judgement = wake_policy.judge_fetch(
            self._fetch, now=self._clock.now(), state=self._engine.app_state, modes=self._modes
        )
        wake = self._enter(
            WakeKind.FETCH, BY_HAND if by_hand else TIMER, judgement, by_hand=by_hand
        )
        if wake.waiting:
            self._ledger.keep_newest(wake, "Another fetch was asked for.")
        elif wake.verdict is WakeVerdict.GRANTED:
            wake = self._deliver(wake)
        self._arm()
        return wake

    def push(
        self, payload: Payload | str, *, by_hand: bool, source: str = "", sequence: str = ""
    ) -> Wake:
        """Take a push: a silent one is delivered with the payload's own fields (P-04, P-05, P-07),
        an alert is shown (P-06). One that the policy holds waits for the hour or for the app, the
        newest only (P-10). It takes the place of an earlier one of the same `sequence`, as far as
        that has not begun anything.

        Raises ValueError for a payload that is not a JSON object, is over 4096 bytes, or asks for
        neither.
        """
        if isinstance(payload, str):
            payload = parse_payload(payload)
        if not payload.content_available and not payload.visible:
            raise ValueError("The payload has no “content-available”: 1, so it wakes no app.")
        judgement = wake_policy.GRANTED
        if payload.content_available:
            judgement = self._judge_push()
        source = source or (BY_HAND if by_hand else "channel")
        self.take_back(sequence, "An update took its place.")
        wake = self._enter(
            WakeKind.PUSH, source, judgement, by_hand=by_hand, payload=payload, sequence=sequence
        )
        if payload.visible and wake.verdict is not WakeVerdict.REFUSED:
            told = NotificationEvent(
                alert_title=payload.title, alert_body=payload.alert, identifier=sequence
            )
            self._engine.record(told)
        if not payload.content_available:
            note = "It has no “content-available”: 1, so it only shows its text."
            wake = self._ledger.update(changed(wake, outcome=WakeOutcome.DROPPED, note=note))
        elif wake.waiting:
            self._ledger.keep_newest(wake, "A newer push took its place.")
        elif wake.verdict is WakeVerdict.GRANTED:
            wake = self._deliver(wake)
        self._arm()
        return wake

    def take_back(self, sequence: str, note: str = "Its sender took it back.") -> None:
        """Undo what pushes of this sequence have not begun: one that waits is dropped, tasks that
        were made for one and have not started leave the list, now or as soon as their handler makes
        them. What has begun goes on.
        """
        for wake in self._ledger.supersede(sequence, note):
            self._cancel_unbegun(wake.tasks)

    def _cancel_unbegun(self, tasks: tuple[str, ...]) -> None:
        if tasks and self.on_taken_back is not None:
            self.on_taken_back(tasks)

    def refuse(self, payload: Payload | None, *, source: str, reason: str) -> Wake:
        """Enter a push that whoever received it does not pass on: a wrong topic or token, a
        repetition, an expiry.
        """
        judgement = WakeJudgement(verdict=WakeVerdict.REFUSED, reason=reason)
        return self._enter(WakeKind.PUSH, source, judgement, by_hand=False, payload=payload)

    def send_again(self, identifier: str) -> Wake:
        """Deliver what a line of the ledger stands for once more, by hand. Raises KeyError."""
        wake = self._ledger[identifier]
        if wake.kind is WakeKind.FETCH or wake.payload is None:
            return self.fetch(by_hand=True)
        return self.push(payload_of(wake.payload), by_hand=True)

    def _judge_push(self) -> WakeJudgement:
        return wake_policy.judge_push(
            self._pushes, now=self._clock.now(), modes=self._modes, force_quit=self._force_quit
        )

    def _enter(
        self,
        kind: WakeKind,
        source: str,
        judgement: WakeJudgement,
        *,
        by_hand: bool,
        payload: Payload | None = None,
        sequence: str = "",
    ) -> Wake:
        policy = ""
        if by_hand and not self._engine.strict and not judgement.granted:
            policy, judgement = judgement.reason, wake_policy.GRANTED
        return self._ledger.update(
            Wake(
                identifier=new_identifier().replace("-", ""),
                kind=kind,
                source=source,
                time=self._clock.now(),
                verdict=judgement.verdict,
                reason=judgement.reason,
                policy=policy,
                until=judgement.until,
                payload=None if payload is None else dict(payload.original),
                sequence=sequence,
                outcome=WakeOutcome.DROPPED
                if judgement.verdict is WakeVerdict.REFUSED
                else WakeOutcome.NONE,
            )
        )

    def _deliver(self, wake: Wake) -> Wake:
        now = self._clock.now()
        by_hand = wake.source == BY_HAND
        event: Event
        if wake.kind is WakeKind.FETCH:
            handler_id = f"Fetch-{new_identifier()}"
            event = BackgroundFetchEvent(handler_id=handler_id, by_hand=by_hand)
            self._keep(changed(self._fetch, last=now))
        else:
            handler_id = f"SilentPush-{new_identifier()}"
            self._pushes.append(now)
            self._engine.store.commit(Change(value=(PUSH_TIMES, json.dumps(list(self._pushes)))))
            payload = payload_of(wake.payload or {})
            event = SilentPushEvent(
                handler_id=handler_id,
                by_hand=by_hand,
                payload=payload.original,
                custom=payload.event_fields(),
            )
        self.handlers.open(handler_id, event.type, BACKGROUND_HANDLER_BUDGET, wake.identifier)
        wake = self._ledger.update(changed(wake, handler_id=handler_id, delivered=now))
        self._engine.record(event)
        return wake

    def _keep(self, fetch: FetchState) -> None:
        self._fetch = fetch
        self._engine.store.commit(Change(value=(FETCH_STATE, wake_policy.fetch_text(fetch))))

    # ---- the timer: one, for whatever comes next

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        next_time = self._next()
        if self._ready and next_time is not None:
            self._timer = self._clock.at(next_time, self._due)

    def _next(self) -> float | None:
        times = [
            wake.until
            for wake in self._ledger.waiting()
            if self._may_come(wake) and wake.until is not None
        ]
        if self._engine.app_state is AppState.BACKGROUND and self.next_fetch is not None:
            times.append(self.next_fetch)
        return min(times, default=None)

    def _may_come(self, wake: Wake) -> bool:
        return wake.kind is WakeKind.PUSH or self._engine.app_state is AppState.BACKGROUND

    def _due(self) -> None:
        self._timer = None
        now = self._clock.now()
        for wake in self._ledger.waiting():
            if self._may_come(wake) and wake.until is not None and wake.until <= now:
                self._try_again(wake)
        if (
            self._engine.app_state is AppState.BACKGROUND
            and self.next_fetch is not None
            and self.next_fetch <= now
        ):
            self.fetch(by_hand=False)
        self._arm()

    def _try_again(self, wake: Wake) -> None:
        """Its time has come; meanwhile the state or the settings may have changed."""
        if wake.kind is WakeKind.PUSH:
            judgement = self._judge_push()
        else:
            judgement = wake_policy.judge_fetch(
                self._fetch, now=self._clock.now(), state=self._engine.app_state, modes=self._modes
            )
        if judgement.granted:
            self._deliver(wake)
        elif judgement.verdict is WakeVerdict.REFUSED:
            self._ledger.drop(wake, judgement.reason)
        else:
            self._ledger.update(changed(wake, until=judgement.until, reason=judgement.reason))

    def _deliver_held(self) -> None:
        """A person has opened the app (P-10)."""
        for wake in self._ledger.waiting():
            if wake.kind is WakeKind.PUSH:
                self._deliver(wake)

    # ---- handlers

    def open_session(self) -> str:
        """Open the handler of a `backgroundtransfer`; it has 120 s in all."""
        handler_id = f"Session-{new_identifier()}"
        if self._engine.app_state is AppState.BACKGROUND:
            self._engine.limiter.woken(self._clock.now())
        self.handlers.open(handler_id, "backgroundtransfer", SESSION_HANDLER_LIMIT)
        return handler_id

    def _closed(self, handler_id: str, handler: Handler, outcome: WakeOutcome) -> None:
        now, expired = self._clock.now(), outcome is WakeOutcome.EXPIRED
        fetch = self._fetch.overran(now) if expired else self._fetch.ended_in_time(outcome, now)
        if fetch != self._fetch:
            self._keep(fetch)
            self._arm()
        if (wake := self._ledger.find(handler.wake)) is not None:
            self._ledger.update(changed(wake, outcome=outcome, ended=now))
        # an event that still waits for a listener comes too late now
        self._engine.bus.give_up(handler_id)
        if self.on_closed is not None:
            self.on_closed(handler_id, expired)

    def _count(self, task: Task) -> None:
        handler = self.handlers.count(task)
        if handler is None:
            return
        if (wake := self._ledger.find(handler.wake)) is not None:
            self._ledger.update(changed(wake, tasks=(*wake.tasks, str(task.key))))
            if wake.superseded:  # it was taken back before its handler came so far
                asyncio.get_running_loop().call_soon(self._cancel_unbegun, (str(task.key),))
