"""Which events belong together: the delivery of what was stored for a session, and what happened
while a handler was open.

Rule: it listens to events in their order and marks each one. What never ended, because the app did,
is let go when its time is over, so that no bracket stays open for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from transfermon.model import units
from transfermon.model.configuration import BACKGROUND_HANDLER_BUDGET, SESSION_HANDLER_LIMIT
from transfermon.model.events import (
    BackgroundFetchEvent,
    BackgroundTransferEvent,
    Event,
    HandlerEndedEvent,
    HandlerExpiredEvent,
    SessionEventsCompletedEvent,
    SilentPushEvent,
)
from transfermon.model.translate import marked, tr

LANES = 3  # brackets side by side; what is open beside them is not drawn
SLACK = 5.0  # seconds that an end may come too late


class Part(Enum):
    BEGIN = "begins"
    INSIDE = "inside"  # belongs to it
    PAST = "past"  # happened meanwhile
    END = "ends"


_WORDS = {
    Part.BEGIN: marked("{title} begins"),
    Part.INSIDE: marked("Inside: {title}"),
    Part.PAST: marked("Past: {title}"),
    Part.END: marked("{title} ends"),
}
_BEGINNINGS = (
    BackgroundTransferEvent,
    SessionEventsCompletedEvent,
    BackgroundFetchEvent,
    SilentPushEvent,
)


@dataclass(slots=True, eq=False)
class Span:
    """From one event to another; times are epoch seconds."""

    key: str  # the handler's identifier, or the session's key
    delivery: bool
    title: str
    lane: int
    begin: float
    end: float | None = None
    expired: bool = False
    count: int = 0  # events that belong to it, without its ends

    @property
    def limit(self) -> float:
        """Seconds after which nothing can be open any more."""
        return (SESSION_HANDLER_LIMIT if self.delivery else BACKGROUND_HANDLER_BUDGET) + SLACK

    @property
    def role(self) -> str:
        return "bad" if self.expired else "violet" if self.delivery else "accent"

    def used(self, now: float) -> float | None:
        """Seconds of its budget; None for a delivery, which has none, and for a handler that was
        lost.
        """
        if self.delivery:
            return None
        if self.end is None and now - self.begin > self.limit:
            return None
        return max(0.0, (now if self.end is None else self.end) - self.begin)

    def holds(self, event: Event) -> bool:
        if self.delivery:
            return event.session == self.key
        handler = getattr(event, "handler_id", "") or (
            event.task.handler_id if event.task is not None else ""
        )
        return handler == self.key


class Mark(NamedTuple):
    """One event's part in a span."""

    span: Span
    part: Part

    @property
    def words(self) -> str:
        words = tr(_WORDS[self.part]).format(title=self.span.title)
        if self.part is not Part.END or not self.span.delivery:
            return words
        return tr("{words}, %n events", "{words}, 1 event", self.span.count).format(words=words)


class Brackets:
    """The spans that are open after the events so far."""

    def __init__(self) -> None:
        self._open: list[Span] = []
        self._handlers: dict[str, str] = {}  # of the deliveries that are open, by session

    def __repr__(self) -> str:
        return f"<Brackets open={len(self._open)}>"

    def take(self, event: Event) -> tuple[Mark, ...]:
        """The marks of the next event, by lane."""
        if not self._open and not isinstance(event, _BEGINNINGS):
            return ()  # most events
        self._open = [span for span in self._open if event.time - span.begin <= span.limit]
        marks = [Mark(span, self._part(span, event)) for span in self._open]
        for span, part in marks:
            span.count += part is Part.INSIDE
        ending = {span.lane for span, part in marks if part is Part.END}
        self._open = [span for span, part in marks if part is not Part.END]
        if (new := self._begun(event, ending)) is not None:
            # Where one ends and the next begins with the same event, each has a lane; the one begun
            # again has its own.
            marks = [mark for mark in marks if mark.part is Part.END or mark.span in self._open]
            self._open.append(new)
            marks.append(Mark(new, Part.BEGIN))
        return tuple(sorted(marks, key=lambda mark: mark.span.lane))

    def counts_down(self, now: float) -> bool:
        """Whether a handler is open whose budget runs."""
        return any(span.used(now) is not None for span in self._open)

    def _part(self, span: Span, event: Event) -> Part:
        if not span.holds(event):
            return Part.PAST
        if span.delivery:
            ends: tuple[type[Event], ...] = (SessionEventsCompletedEvent,)
        else:
            ends = (HandlerEndedEvent, HandlerExpiredEvent)
        if not isinstance(event, ends):
            return Part.INSIDE
        span.end = event.time
        span.expired = isinstance(event, HandlerExpiredEvent)
        return Part.END

    def _begun(self, event: Event, taken: set[int]) -> Span | None:
        if isinstance(event, BackgroundTransferEvent):
            self._handlers[event.session] = event.handler_id
            # One that is begun again was never completed: the app went away in between.
            self._open = [
                span for span in self._open if not (span.delivery and span.key == event.session)
            ]
            name = units.clean(event.session_identifier or event.session, 100)
            return self._span(
                event,
                taken,
                event.session,
                tr("Delivery to “{name}”").format(name=name),
                delivery=True,
            )
        # from here on the handler has its 30 s (B-12)
        if isinstance(event, SessionEventsCompletedEvent):
            handler = self._handlers.pop(event.session, "")
            return self._span(event, taken, handler, tr("Session handler")) if handler else None
        if isinstance(event, BackgroundFetchEvent) and event.handler_id:
            return self._span(event, taken, event.handler_id, tr("Fetch handler"))
        if isinstance(event, SilentPushEvent) and event.handler_id:
            return self._span(event, taken, event.handler_id, tr("Push handler"))
        return None

    def _span(
        self, event: Event, taken: set[int], key: str, title: str, *, delivery: bool = False
    ) -> Span | None:
        free = set(range(LANES)) - taken - {span.lane for span in self._open}
        if not free:
            return None
        return Span(key=key, delivery=delivery, title=title, lane=min(free), begin=event.time)
