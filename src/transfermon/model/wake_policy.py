"""Which fetch and which push may wake the app now, and why not: the scheduler's rules.

Rule: plain values in, plain values out. The numbers are those of `configuration`; the clock belongs
to whoever asks.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import field
from enum import Enum
from typing import Any

from transfermon.model import units
from transfermon.model.configuration import (
    BACKGROUND_FETCH_INTERVAL_NEVER,
    BACKGROUND_HANDLER_BUDGET,
    FETCH_FLOOR,
    OVERRUN_MEMORY,
    OVERRUNS_COUNTED,
    PUSH_WINDOW,
    PUSHES_PER_HOUR,
    RATE_LIMIT_FIRST,
    RATE_LIMIT_MOST,
)
from transfermon.model.record import mutable, record
from transfermon.model.task import changed
from transfermon.model.translate import marked, tr

FETCH_MODE, PUSH_MODE = "fetch", "remote-notification"
BACKGROUND_MODES = (FETCH_MODE, PUSH_MODE)
# the mode that an event's listener needs
MODE_OF = {"backgroundfetch": FETCH_MODE, "silentpush": PUSH_MODE}


class AppState(Enum):
    """As far as a running process knows it."""

    FOREGROUND = "foreground"
    BACKGROUND = "background"


class WakeKind(Enum):
    FETCH = "fetch"
    PUSH = "push"


class WakeVerdict(Enum):
    GRANTED = "granted"  # delivered at once
    DELAYED = "delayed"  # a fetch that came too early: delivered when it is due
    HELD = "held"  # a push over the budget: delivered when the hour allows it or the app is opened
    REFUSED = "refused"  # never delivered


class WakeOutcome(Enum):
    """How a wake ended."""

    NONE = ""  # it waits, or its handler is open
    NEW_DATA = "new_data"
    NO_DATA = "no_data"
    FAILED = "failed"
    EXPIRED = "expired"  # its handler's budget ran out: FAILED, and an overrun
    INTERRUPTED = "interrupted"  # the engine ended while the handler was open
    DROPPED = "dropped"  # it was never delivered


@record
class WakeJudgement:
    verdict: WakeVerdict
    reason: str = ""  # in words; "" when there is nothing against it
    until: float | None = None  # epoch seconds, of DELAYED and HELD

    @property
    def granted(self) -> bool:
        return self.verdict is WakeVerdict.GRANTED


GRANTED = WakeJudgement(verdict=WakeVerdict.GRANTED)


@record
class Wake:
    """One line of the wake ledger: what came, what was said to it, and what came of it. Kept across
    restarts.
    """

    identifier: str
    kind: WakeKind
    source: str  # "button", "timer", or the name of the channel that brought it
    time: float  # epoch seconds, when it came
    verdict: WakeVerdict = WakeVerdict.GRANTED
    reason: str = ""
    # what the policy would have said to a wake by hand that was delivered all the same
    policy: str = ""
    until: float | None = None
    payload: Mapping[str, Any] | None = None  # of a push, as it came
    handler_id: str = ""
    delivered: float | None = None  # epoch seconds
    outcome: WakeOutcome = WakeOutcome.NONE
    ended: float | None = None  # epoch seconds
    tasks: tuple[str, ...] = ()  # what its handler started, as SESSION:NUMBER
    note: str = ""  # why it was dropped
    # of a push by a channel: what it, its updates and its deletion have in common
    sequence: str = ""
    superseded: bool = False  # an update took its place, or its sender took it back

    @property
    def waiting(self) -> bool:
        """Whether it is still to be delivered."""
        postponed = self.verdict in (WakeVerdict.DELAYED, WakeVerdict.HELD)
        return postponed and self.delivered is None and self.outcome is WakeOutcome.NONE

    @property
    def open(self) -> bool:
        """Whether its handler is open."""
        return self.delivered is not None and self.outcome is WakeOutcome.NONE

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "id": self.identifier,
            "kind": self.kind.value,
            "source": self.source,
            "time": self.time,
            "verdict": self.verdict.value,
            "reason": self.reason,
            "policy": self.policy,
            "until": self.until,
            "payload": self.payload,
            "handlerId": self.handler_id,
            "delivered": self.delivered,
            "outcome": self.outcome.value,
            "ended": self.ended,
            "tasks": list(self.tasks),
            "note": self.note,
            "sequence": self.sequence,
            "superseded": self.superseded,
        }


def wake_of(stored: Mapping[str, Any]) -> Wake:
    """What `to_dict` described. Raises KeyError, TypeError or ValueError for anything else."""
    return Wake(
        identifier=stored["id"],
        kind=WakeKind(stored["kind"]),
        source=stored["source"],
        time=stored["time"],
        verdict=WakeVerdict(stored["verdict"]),
        reason=stored["reason"],
        policy=stored["policy"],
        until=stored["until"],
        payload=stored["payload"],
        handler_id=stored["handlerId"],
        delivered=stored["delivered"],
        outcome=WakeOutcome(stored["outcome"]),
        ended=stored["ended"],
        tasks=tuple(stored["tasks"]),
        note=stored["note"],
        sequence=stored.get("sequence", ""),
        superseded=stored.get("superseded", False),
    )


# ---- background fetch


@record
class FetchState:
    """What the scheduler knows; all but the interval is remembered as it is. Times are epoch
    seconds.
    """

    interval: float = BACKGROUND_FETCH_INTERVAL_NEVER  # seconds, as asked for (B-08)
    since: float = 0.0  # when it was asked for
    last: float | None = None  # the last delivered fetch
    overruns: int = 0
    last_overrun: float = 0.0

    def effective(self, now: float) -> float:
        """Seconds between two fetches at the least (B-10, B-13)."""
        return effective_interval(self.interval, self.at(now).overruns)

    def due(self, now: float) -> float | None:
        """When the next fetch may come; None when none is asked for."""
        effective = self.effective(now)
        if effective == BACKGROUND_FETCH_INTERVAL_NEVER:
            return None
        return (self.since if self.last is None else self.last) + effective

    def at(self, now: float) -> FetchState:
        """A day without an overrun clears them."""
        if self.overruns and now - self.last_overrun >= OVERRUN_MEMORY:
            return changed(self, overruns=0)
        return self

    def overran(self, now: float) -> FetchState:
        return changed(self.at(now), overruns=self.at(now).overruns + 1, last_overrun=now)

    def ended_in_time(self, outcome: WakeOutcome, now: float) -> FetchState:
        """B-13: a handler that said what it found takes one overrun back; FAILED leaves them."""
        state = self.at(now)
        if outcome in (WakeOutcome.NEW_DATA, WakeOutcome.NO_DATA) and state.overruns:
            return changed(state, overruns=state.overruns - 1)
        return state


def clamped_interval(interval: float) -> float:
    """An interval between MIN and NEVER, in seconds. Raises ValueError for a value that is no
    number (B-08).
    """
    seconds = float(interval)
    if seconds != seconds:
        raise ValueError("the interval is a number of seconds")
    return max(0.0, seconds)


def effective_interval(asked: float, overruns: int) -> float:
    """In seconds."""
    return max(asked, FETCH_FLOOR) * float(2 ** min(overruns, OVERRUNS_COUNTED))


def judge_fetch(
    fetch: FetchState, *, now: float, state: AppState, modes: Collection[str]
) -> WakeJudgement:
    """What the policy says to a fetch that is asked for now (B-08 to B-10)."""
    if FETCH_MODE not in modes:
        return _refused("The background mode “fetch” is off.")
    due = fetch.due(now)
    if due is None:
        return _refused("The minimum fetch interval is “never”.")
    if state is AppState.FOREGROUND:
        return _refused("The app is in the foreground, where nothing is fetched in the background.")
    if now < due:
        wait = units.duration(due - now)
        if fetch.last is None:
            reason = f"The first fetch is due in {wait}."
        else:
            reason = f"The last fetch was {units.duration(now - fetch.last)} ago; the next is due in {wait}."
        return WakeJudgement(verdict=WakeVerdict.DELAYED, reason=reason, until=due)
    return GRANTED


def fetch_text(fetch: FetchState) -> str:
    """What is remembered across restarts; the interval is a setting."""
    return json.dumps([fetch.since, fetch.last, fetch.overruns, fetch.last_overrun])


def fetch_of(text: str, interval: float) -> FetchState:
    """What `fetch_text` wrote; a fresh state for "" and for anything else."""
    try:
        since, last, overruns, last_overrun = json.loads(text)
        return FetchState(
            interval=interval,
            since=float(since),
            last=None if last is None else float(last),
            overruns=int(overruns),
            last_overrun=float(last_overrun),
        )
    except (ValueError, TypeError):
        return FetchState(interval=interval)


# ---- silent push


def judge_push(
    delivered: Iterable[float], *, now: float, modes: Collection[str], force_quit: bool = False
) -> WakeJudgement:
    """What the policy says to a silent push that comes now; `delivered` are the times of earlier
    ones (P-08 to P-10).
    """
    if force_quit:
        return _refused(
            "All transfers were stopped and the app was quit; it takes pushes again when it is opened."
        )
    if PUSH_MODE not in modes:
        return _refused("The background mode “remote-notification” is off.")
    recent = sorted(time for time in delivered if now - PUSH_WINDOW < time <= now)
    if len(recent) < PUSHES_PER_HOUR:
        return GRANTED
    until = recent[-PUSHES_PER_HOUR] + PUSH_WINDOW
    reason = (
        f"{len(recent)} pushes came in the last hour, and {PUSHES_PER_HOUR} are allowed; "
        f"the next is delivered in {units.duration(until - now)}, or when the app is opened."
    )
    return WakeJudgement(verdict=WakeVerdict.HELD, reason=reason, until=until)


def _refused(reason: str) -> WakeJudgement:
    return WakeJudgement(verdict=WakeVerdict.REFUSED, reason=reason)


# ---- tasks made in the background


@mutable
class RateLimiter:
    """How long a task waits that was made in the background without a person (B-16)."""

    _delay: float = field(default=0.0)
    _woken: float = field(default=0.0)

    def woken(self, now: float) -> None:
        """The app was woken or launched again in the background for the events of a session."""
        before = self.delay(now)
        self._delay = min(RATE_LIMIT_MOST, before * 2) if before else RATE_LIMIT_FIRST
        self._woken = now

    def delay(self, now: float) -> float:
        """Seconds; 0 once a whole delay has passed without another wake."""
        return self._delay if now - self._woken < self._delay else 0.0

    def reset(self) -> None:
        """A person has brought the app to the front."""
        self._delay = 0.0


# ---- in words


def verdict_text(wake: Wake) -> str:
    """What was said to a wake, for a person."""
    name = tr("Background fetch") if wake.kind is WakeKind.FETCH else tr("Silent push")
    match wake.verdict:
        case WakeVerdict.GRANTED if wake.policy:
            return tr("{name} delivered by hand. iOS would not have done so now: {policy}").format(
                name=name, policy=wake.policy
            )
        case WakeVerdict.GRANTED if wake.handler_id:
            return tr("{name} delivered.").format(name=name)
        case WakeVerdict.GRANTED:
            return tr("The push shows its text and wakes nobody.")
        case WakeVerdict.DELAYED:
            return tr("{name} delayed. {reason}").format(name=name, reason=wake.reason)
        case WakeVerdict.HELD:
            return tr("{name} held. {reason}").format(name=name, reason=wake.reason)
    return tr("{name} refused. {reason}").format(name=name, reason=wake.reason)


_OUTCOMES = {
    WakeOutcome.NEW_DATA: marked("new data"),
    WakeOutcome.NO_DATA: marked("no new data"),
    WakeOutcome.FAILED: marked("failed"),
    WakeOutcome.EXPIRED: marked("ran out of time"),
}
SOURCES = {"button": marked("by hand"), "timer": marked("by the timer")}


def source_text(wake: Wake) -> str:
    """Who or what asked for it."""
    return tr(SOURCES.get(wake.source, "")) or wake.source


def reason_text(wake: Wake) -> str:
    """Why the verdict is what it is."""
    if wake.reason:
        return wake.reason
    return (
        tr("iOS would not have done so now: {policy}").format(policy=wake.policy)
        if wake.policy
        else ""
    )


def outcome_text(wake: Wake, now: float) -> str:
    """What came of it; of one that waits or is open, how long still. `now` in epoch seconds."""
    if wake.waiting:
        return (
            tr("waits")
            if wake.until is None
            else tr("due in {time}").format(time=units.countdown(wake.until - now))
        )
    if wake.open and wake.delivered is not None:
        left = wake.delivered + BACKGROUND_HANDLER_BUDGET - now
        return tr("open, {time} left").format(time=units.countdown(left))
    if wake.outcome is WakeOutcome.INTERRUPTED:
        return tr("the app ended before its handler did")
    if (words := _OUTCOMES.get(wake.outcome)) is None:
        return wake.note or tr("never delivered")
    if wake.ended is None or wake.delivered is None:
        return tr(words)
    return tr("{what} after {seconds:.1f} s").format(
        what=tr(words), seconds=max(0.0, wake.ended - wake.delivered)
    )


def schedule_text(fetch: FetchState, *, now: float, state: AppState, modes: Collection[str]) -> str:
    """When the next background fetch comes by itself, in a sentence."""
    if FETCH_MODE not in modes:
        return tr("The background mode “fetch” is off.")
    due = fetch.due(now)
    if due is None:
        return tr("No fetch comes by itself.")
    every = tr("every {time} at most").format(time=units.duration(fetch.effective(now)))
    overruns = fetch.at(now).overruns
    if overruns:
        every = tr("{every}, %n overruns counted", "{every}, 1 overrun counted", overruns).format(
            every=every
        )
    if state is AppState.FOREGROUND:
        return tr("Fetches {every}, while the app is in the background.").format(every=every)
    when = (
        tr("Next fetch in {time}").format(time=units.countdown(due - now))
        if due > now
        else tr("A fetch is due now")
    )
    return tr("{when}; {every}.").format(when=when, every=every)
