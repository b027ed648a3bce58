"""What wakes the app: background fetch and silent push, with a handler each.

Rule: there is one wake path. The button, the command, the timer and the push channel all come through `_wake`, which
opens the handler before the event is told (O-15).
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from transfermon.configuration import BACKGROUND_HANDLER_BUDGET, SESSION_HANDLER_LIMIT
from transfermon.engine import Engine
from transfermon.events import (
    BackgroundFetchEvent,
    Event,
    HandlerEndedEvent,
    HandlerExpiredEvent,
    SilentPushEvent,
    TaskCreatedEvent,
)
from transfermon.payload import Payload, parse

log = logging.getLogger(__name__)


class AppState(Enum):
    """SPEC 0.3, as far as a running process knows it."""

    FOREGROUND = "foreground"
    BACKGROUND = "background"


class FetchResult(Enum):
    NEW_DATA = "new_data"
    NO_DATA = "no_data"
    FAILED = "failed"


@dataclass(slots=True)
class _Handler:
    kind: str
    opened: float  # loop time
    expiry: asyncio.TimerHandle
    started_tasks: int = 0


class Background:
    """The open handlers and the door for wake-ups."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._open: dict[str, _Handler] = {}
        self.on_closed: Callable[[str, bool], None] | None = None  # identifier, and whether its budget ran out
        self._leave = engine.bus.subscribe(self._count)

    def __repr__(self) -> str:
        return f"<Background {len(self._open)} open handlers>"

    @property
    def open_handlers(self) -> tuple[str, ...]:
        return tuple(self._open)

    def fetch(self, *, by_hand: bool) -> str:
        """Deliver `backgroundfetch`; returns the handler's identifier (B-11)."""
        handler_id = f"Fetch-{uuid.uuid4()}"
        return self._wake(handler_id, BackgroundFetchEvent(handler_id=handler_id, by_hand=by_hand))

    def push(self, payload: Payload | str, *, by_hand: bool) -> str:
        """Deliver `silentpush` with the payload's own fields (P-04, P-05, P-07).

        Raises ValueError for a payload that is not a JSON object, is over 4096 bytes, or does not ask for a
        silent delivery with `content-available`.
        """
        if isinstance(payload, str):
            payload = parse(payload)
        if not payload.content_available:
            raise ValueError("The payload has no “content-available”: 1, so it wakes no app.")
        handler_id = f"SilentPush-{uuid.uuid4()}"
        event = SilentPushEvent(
            handler_id=handler_id,
            by_hand=by_hand,
            payload=payload.original,
            custom=payload.event_fields(),
        )
        return self._wake(handler_id, event)

    def _wake(self, handler_id: str, event: Event) -> str:
        loop = asyncio.get_running_loop()
        expiry = loop.call_later(BACKGROUND_HANDLER_BUDGET, self._expire, handler_id)
        self._open[handler_id] = _Handler(event.type, loop.time(), expiry)
        self._engine.record(event)
        return handler_id

    def open_session(self) -> str:
        """Open the handler of a `backgroundtransfer`; it has 120 s in all (SPEC 2.4)."""
        loop = asyncio.get_running_loop()
        handler_id = f"Session-{uuid.uuid4()}"
        expiry = loop.call_later(SESSION_HANDLER_LIMIT, self._expire, handler_id)
        self._open[handler_id] = _Handler("backgroundtransfer", loop.time(), expiry)
        return handler_id

    def drained(self, handler_id: str) -> None:
        """Its stored events were told: 30 s are left, unless the whole budget ends before (B-12)."""
        handler = self._open.get(handler_id)
        loop = asyncio.get_running_loop()
        if handler is not None and loop.time() + BACKGROUND_HANDLER_BUDGET < handler.opened + SESSION_HANDLER_LIMIT:
            handler.expiry.cancel()
            handler.expiry = loop.call_later(BACKGROUND_HANDLER_BUDGET, self._expire, handler_id)

    def end(self, handler_id: str, result: FetchResult = FetchResult.NO_DATA) -> bool:
        """Close the handler named; False, with a log line, when it is not open (B-04)."""
        handler = self._open.pop(handler_id, None)
        if handler is None:
            log.info("handler %s is not open", handler_id)
            return False
        handler.expiry.cancel()
        self._engine.record(
            HandlerEndedEvent(
                handler_id=handler_id,
                result=result.value,
                elapsed=asyncio.get_running_loop().time() - handler.opened,
                started_tasks=handler.started_tasks,
            )
        )
        self._closed(handler_id, expired=False)
        return True

    def _expire(self, handler_id: str) -> None:
        handler = self._open.pop(handler_id)
        elapsed = asyncio.get_running_loop().time() - handler.opened
        self._engine.record(HandlerExpiredEvent(handler_id=handler_id, kind=handler.kind, elapsed=elapsed))
        self._closed(handler_id, expired=True)

    def _closed(self, handler_id: str, *, expired: bool) -> None:
        self._engine.bus.give_up(handler_id)  # an event that still waits for a listener comes too late now
        if self.on_closed is not None:
            self.on_closed(handler_id, expired)

    def _count(self, event: Event) -> None:
        if isinstance(event, TaskCreatedEvent) and event.task is not None:
            handler = self._open.get(event.task.handler_id)
            if handler is not None:
                handler.started_tasks += 1

    def close(self) -> None:
        self._leave()
        for handler in self._open.values():
            handler.expiry.cancel()
        self._open.clear()
