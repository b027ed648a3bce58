"""Local notifications that wait for their time (N-01 to N-03).

Rule: what is scheduled is stored before it counts, and is shown once: a restart in between shows it
late, never twice and never early.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, field
from datetime import datetime, timedelta
from typing import Any

from transfermon.engine.identifiers import new_identifier
from transfermon.engine.shared import Engine
from transfermon.model.events import NotificationEvent
from transfermon.model.record import record
from transfermon.model.task import changed
from transfermon.model.wake_policy import AppState
from transfermon.storage.changes import Change
from transfermon.system.clock import Timer

log = logging.getLogger(__name__)
PENDING = "notifications"  # the stored value
REPEATS = ("daily", "weekly", "monthly", "yearly")
_MONTHS = {"monthly": 1, "yearly": 12}
_DAYS = {"daily": 1, "weekly": 7}


@record
class LocalNotification:
    """What was scheduled."""

    identifier: str
    alert_body: str
    alert_title: str = ""
    date: float = 0.0  # epoch seconds; not in the future: at once
    repeat: str = ""  # or one of REPEATS
    user_info: Mapping[str, Any] = field(default_factory=dict)
    show_in_foreground: bool = False


class Alerts:
    """The notifications of one engine that are still to come."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pending: dict[str, LocalNotification] = {}
        self._timer: Timer | None = None
        self._ready = False

    def __repr__(self) -> str:
        return f"<Alerts {len(self._pending)} pending>"

    def restore(self, text: str) -> None:
        """Take back what was stored."""
        for stored in json.loads(text or "[]"):
            alert = LocalNotification(**stored)
            self._pending[alert.identifier] = alert

    def ready(self) -> None:
        """Somebody shows them: those whose time has come in between come now."""
        self._ready = True
        self._due()

    def close(self) -> None:
        self._ready = False
        self._stop()

    @property
    def pending(self) -> tuple[LocalNotification, ...]:
        """Next first."""
        return tuple(sorted(self._pending.values(), key=lambda alert: alert.date))

    def schedule(self, alert: LocalNotification) -> None:
        """Show it at its time, or now; one with the same identifier that still waits is
        replaced.
        """
        if alert.date <= self._engine.now():
            self._pending.pop(alert.identifier, None)
            self._show(alert)
            alert = _next(alert, self._engine.now())
        if alert.date > self._engine.now():
            self._pending[alert.identifier] = alert
        self._keep()
        self._arm()

    def cancel(self, identifier: str) -> bool:
        """False when none of that name waits."""
        if self._pending.pop(identifier, None) is None:
            return False
        self._keep()
        self._arm()
        return True

    def cancel_all(self) -> None:
        self._pending.clear()
        self._keep()
        self._arm()

    def _due(self) -> None:
        self._timer = None
        now = self._engine.now()
        for alert in [alert for alert in self.pending if alert.date <= now]:
            self._show(alert)
            del self._pending[alert.identifier]
            if (after := _next(alert, now)).date > now:
                self._pending[alert.identifier] = after
            self._keep()
        self._arm()

    def _show(self, alert: LocalNotification) -> None:
        background = self._engine.app_state is AppState.BACKGROUND
        self._engine.record(
            NotificationEvent(
                alert_title=alert.alert_title,
                alert_body=alert.alert_body,
                user_info=alert.user_info,
                identifier=alert.identifier,
                shown=background or alert.show_in_foreground,
                in_front="banner" if alert.show_in_foreground else "nothing",
            )
        )

    def _keep(self) -> None:
        text = json.dumps([asdict(alert) for alert in self.pending])
        self._engine.store.commit(Change(value=(PENDING, text)))

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self._stop()
        if self._ready and self._pending:
            self._timer = self._engine.clock.at(self.pending[0].date, self._due)


def made(
    alert_body: str,
    *,
    alert_title: str | None = None,
    date: float | datetime | None = None,
    repeat: str | None = None,
    user_info: Mapping[str, Any] | None = None,
    identifier: str | None = None,
    show_in_foreground: bool = False,
) -> LocalNotification:
    """A notification as the ancestors describe it: `date` is in milliseconds since the epoch, or an
    aware datetime.

    Raises ValueError for a datetime without a zone, an unknown `repeat` or an empty text, TypeError
    for a date of another type and for `user_info` that is no JSON object.
    """
    if not alert_body:
        raise ValueError("alert_body is the text to show; it must not be empty")
    if repeat and repeat not in REPEATS:
        raise ValueError("repeat is “daily”, “weekly”, “monthly” or “yearly”")
    info = dict(user_info or {})
    json.dumps(info)  # raises TypeError
    return LocalNotification(
        identifier=identifier or new_identifier(),
        alert_body=alert_body,
        alert_title=alert_title or "",
        date=_epoch(date),
        repeat=repeat or "",
        user_info=info,
        show_in_foreground=show_in_foreground,
    )


def _epoch(date: float | datetime | None) -> float:
    if date is None:
        return 0.0
    if isinstance(date, datetime):
        if date.tzinfo is None:
            raise ValueError("date needs a time zone, as in datetime.now(timezone.utc)")
        return date.timestamp()
    if isinstance(date, bool) or not isinstance(date, int | float):
        raise TypeError(
            f"date is a number of milliseconds or a datetime, not {type(date).__name__}"
        )
    return date / 1000


def _next(alert: LocalNotification, now: float) -> LocalNotification:
    """The same at its next time after `now`; unchanged when it does not repeat."""
    if not alert.repeat:
        return alert
    first = datetime.fromtimestamp(alert.date or now).astimezone()
    turn = 1
    while (date := _turn(first, alert.repeat, turn)).timestamp() <= now:
        turn += 1
    return changed(alert, date=date.timestamp())


def _turn(first: datetime, repeat: str, turn: int) -> datetime:
    """The same time of day, and day of the month where there is one: 31 January is followed by 28
    February.
    """
    local = first.replace(tzinfo=None)
    if repeat in _DAYS:
        return (local + timedelta(days=_DAYS[repeat] * turn)).astimezone()
    months = local.year * 12 + local.month - 1 + _MONTHS[repeat] * turn
    year, month = divmod(months, 12)
    import calendar  # few are told each month

    day = min(local.day, calendar.monthrange(year, month + 1)[1])
    return local.replace(year=year, month=month + 1, day=day).astimezone()
