"""What the app does by itself when it is back: closes the handlers of background deliveries, and
says what has ended.

Rule: one summary for all that was stored when the app started, after its last event was told
(N-04).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from transfermon.engine.handlers import FetchResult
from transfermon.model.events import (
    BackgroundTransferEvent,
    SessionEventsCompletedEvent,
    TaskCompletedEvent,
)
from transfermon.model.task import Task
from transfermon.text.notification_texts import BannerText, return_notice, worth_telling

if TYPE_CHECKING:  # the monitor brings the engine, which loads after the window shows
    from transfermon.engine.monitor import Monitor


class Relaunch:
    """The default listener of background deliveries. Made before `monitor.ready()`."""

    def __init__(self, monitor: Monitor, tell: Callable[[BannerText, bool], None]) -> None:
        """`tell` gets the summary, and whether somebody has told it on the desktop already."""
        self._monitor = monitor
        self._tell = tell
        self._handlers: dict[str, str] = {}  # by session
        self._since = monitor.sequence
        self._missing = len(monitor.presence.ended_away)
        self._ended: list[Task] = []
        for name, listener in self._listeners:
            monitor.add_event_listener(name, listener)

    def __repr__(self) -> str:
        return f"<Relaunch {self._missing} to come>"

    @property
    def _listeners(self) -> tuple[tuple[str, Callable[..., None]], ...]:
        return (
            ("backgroundtransfer", self._handed_over),
            ("sessioncompleted", self._completed),
            ("sessioneventscompleted", self._drained),
        )

    def close(self) -> None:
        for name, listener in self._listeners:
            self._monitor.remove_event_listener(name, listener)

    def _handed_over(self, event: BackgroundTransferEvent) -> None:
        self._handlers[event.session] = event.handler_id

    def _drained(self, event: SessionEventsCompletedEvent) -> None:
        handler = self._handlers.pop(event.session, "")
        if handler in self._monitor.background.open_handlers:  # a script may have closed it
            self._monitor.end_background_handler(handler, FetchResult.NEW_DATA)

    def _completed(self, event: TaskCompletedEvent) -> None:
        if event.sequence > self._since:
            return  # it happened before everybody's eyes
        self._missing -= 1
        if event.task is not None and worth_telling(event.task):
            self._ended.append(event.task)
        if self._missing == 0 and self._ended:
            self._tell(return_notice(self._ended), self._monitor.presence.notified_away)
