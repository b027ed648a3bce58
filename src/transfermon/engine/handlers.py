"""The handlers that wake-ups open: how long each has, and how it is closed (B-04, B-12, B-13).

Rule: a handler is closed once, by whoever ends it or by its time; an event that still waits for a
listener then comes too late.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum
from functools import partial

from transfermon.engine.shared import Engine
from transfermon.model.configuration import BACKGROUND_HANDLER_BUDGET, SESSION_HANDLER_LIMIT
from transfermon.model.events import HandlerEndedEvent, HandlerExpiredEvent
from transfermon.model.record import mutable
from transfermon.model.task import Task
from transfermon.model.wake_policy import WakeOutcome
from transfermon.system.clock import Timer

log = logging.getLogger(__name__)


class FetchResult(Enum):
    NEW_DATA = "new_data"
    NO_DATA = "no_data"
    FAILED = "failed"


@mutable
class Handler:
    """An open one."""

    kind: str
    opened: float  # monotonic
    expiry: Timer
    wake: str = ""  # its line in the ledger; "" for the handler of a session
    started_tasks: int = 0


class Handlers:
    """The open ones of one engine. `closed` hears of each end: identifier, handler, outcome."""

    def __init__(self, engine: Engine, closed: Callable[[str, Handler, WakeOutcome], None]) -> None:
        self._engine = engine
        self._clock = engine.clock
        self._open: dict[str, Handler] = {}
        self._tell_closed = closed

    def __len__(self) -> int:
        return len(self._open)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._open)

    @property
    def of_wakes(self) -> list[str]:
        """Those of fetches and pushes."""
        return [name for name, handler in self._open.items() if handler.wake]

    def close(self) -> None:
        for handler in self._open.values():
            handler.expiry.cancel()
        self._open.clear()

    def open(self, handler_id: str, kind: str, budget: float, wake: str = "") -> None:
        """`budget` in seconds."""
        expiry = self._clock.later(budget, partial(self._expire, handler_id))
        self._open[handler_id] = Handler(
            kind=kind, opened=self._clock.monotonic(), expiry=expiry, wake=wake
        )

    def drained(self, handler_id: str) -> None:
        """Its stored events were told: 30 s are left, unless the whole budget ends before
        (B-12).
        """
        handler = self._open.get(handler_id)
        if handler is None:
            return
        if (
            self._clock.monotonic() + BACKGROUND_HANDLER_BUDGET
            < handler.opened + SESSION_HANDLER_LIMIT
        ):
            handler.expiry.cancel()
            handler.expiry = self._clock.later(
                BACKGROUND_HANDLER_BUDGET, partial(self._expire, handler_id)
            )

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
                elapsed=self._clock.monotonic() - handler.opened,
                started_tasks=handler.started_tasks,
            )
        )
        self._tell_closed(handler_id, handler, WakeOutcome(result.value))
        return True

    def count(self, task: Task) -> Handler | None:
        """The open handler that made the task, which has started one more now."""
        handler = self._open.get(task.handler_id)
        if handler is not None:
            handler.started_tasks += 1
        return handler

    def _expire(self, handler_id: str) -> None:
        handler = self._open.pop(handler_id)
        elapsed = self._clock.monotonic() - handler.opened
        self._engine.record(
            HandlerExpiredEvent(handler_id=handler_id, kind=handler.kind, elapsed=elapsed)
        )
        self._tell_closed(handler_id, handler, WakeOutcome.EXPIRED)
