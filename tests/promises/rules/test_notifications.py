"""N-01 to N-03: local notifications and their time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.helpers.sessions import App, FastLoop, LoopClock, advance
from tests.promises.rules.conftest import OpenMonitor
from transfermon.engine.alerts import made
from transfermon.engine.monitor import Monitor
from transfermon.host.windowless import is_busy
from transfermon.model.wake_policy import AppState

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return "asyncio", {"loop_factory": FastLoop}


@pytest.fixture
async def monitor(open_monitor: OpenMonitor) -> AsyncIterator[Monitor]:
    async with open_monitor(clock=LoopClock()) as monitor:
        monitor.presence.set_state(AppState.BACKGROUND)
        yield monitor


def in_seconds(seconds: float) -> float:
    """As both guides write it: milliseconds since the epoch."""
    return (LoopClock().now() + seconds) * 1000


# ---- N-01


@pytest.mark.parametrize("form", ["milliseconds", "datetime"])
async def test_n01_a_time_in_the_future_is_milliseconds_or_an_aware_datetime(
    monitor: Monitor, form: str
):
    app = App(monitor, "notification")
    date: Any = in_seconds(60)
    if form == "datetime":
        date = datetime.fromtimestamp(date / 1000, UTC)
    monitor.schedule_local_notification("Ready", date=date)
    await app.settles()
    assert app.heard == []
    advance(61)
    (event,) = await app.hears("notification")
    assert event.alert_body == "Ready"


@pytest.mark.parametrize("ahead", [None, 0, -3600])
async def test_n01_no_time_and_a_time_that_is_over_mean_now(monitor: Monitor, ahead: float | None):
    app = App(monitor, "notification")
    monitor.schedule_local_notification("Ready", date=None if ahead is None else in_seconds(ahead))
    await app.hears("notification")
    assert monitor.scheduled_notifications == ()


@pytest.mark.parametrize(
    ("date", "error", "words"),
    [
        (datetime(2030, 1, 1), ValueError, "time zone"),  # noqa: DTZ001 - the mistake
        ("tomorrow", TypeError, "milliseconds"),
        (True, TypeError, "milliseconds"),
    ],
)
async def test_n01_another_time_is_refused_with_a_sentence(
    monitor: Monitor, date: Any, error: type[Exception], words: str
):
    with pytest.raises(error, match=words):
        monitor.schedule_local_notification("Ready", date=date)


# ---- N-02


async def test_n02_it_comes_after_a_restart_and_not_before_its_time(open_monitor: OpenMonitor):
    async with open_monitor(clock=LoopClock()) as monitor:
        monitor.schedule_local_notification("First", date=in_seconds(60), user_info={"n": 1})
        monitor.schedule_local_notification("Second", date=in_seconds(7200))
    advance(100)
    async with open_monitor(clock=LoopClock(), ready=False) as monitor:
        app = App(monitor, "notification")
        monitor.ready()
        (first,) = await app.hears("notification")
        assert (first.alert_body, first.user_info) == ("First", {"n": 1})
        advance(7000)
        await app.settles()
        assert len(app.heard) == 1
        advance(200)
        await app.hears("notification", 2)
    async with open_monitor(clock=LoopClock(), ready=False) as monitor:
        app = App(monitor, "notification")
        monitor.ready()
        await app.settles()
        assert app.heard == []


async def test_n02_one_can_be_cancelled_by_name_and_all_at_once(monitor: Monitor):
    app = App(monitor, "notification")
    one = monitor.schedule_local_notification("One", date=in_seconds(60))
    for number in range(3):
        monitor.schedule_local_notification("More", date=in_seconds(61 + number))
    assert monitor.cancel_local_notification(one.identifier)
    assert not monitor.cancel_local_notification(one.identifier)
    monitor.cancel_all_local_notifications()
    advance(3600)
    await app.settles()
    assert app.heard == []


async def test_n02_the_same_name_replaces_what_waits(monitor: Monitor):
    app = App(monitor, "notification")
    for text in ("old", "new"):
        monitor.schedule_local_notification(text, date=in_seconds(60), identifier="mine")
    advance(61)
    (event,) = await app.hears("notification")
    assert event.alert_body == "new"


async def test_n02_a_daily_one_comes_again(monitor: Monitor):
    app = App(monitor, "notification")
    monitor.schedule_local_notification("Every day", date=in_seconds(60), repeat="daily")
    for day in range(1, 4):
        advance(86_401)
        await app.hears("notification", day)


@pytest.mark.parametrize(
    ("first", "repeat", "after"),
    [
        (datetime(2027, 1, 31, 9), "monthly", datetime(2027, 2, 28, 9)),  # noqa: DTZ001 - local time is meant
        (datetime(2028, 2, 29, 9), "yearly", datetime(2029, 2, 28, 9)),  # noqa: DTZ001
        (datetime(2027, 3, 1, 9), "weekly", datetime(2027, 3, 8, 9)),  # noqa: DTZ001
    ],
)
async def test_n02_repeats_keep_the_day_where_there_is_one(
    open_monitor: OpenMonitor, first: datetime, repeat: str, after: datetime
):
    class Then(LoopClock):
        start = (first.astimezone() - timedelta(minutes=1)).timestamp()

        def now(self) -> float:
            return super().now() - begun

    begun = 0.0
    begun = Then().now() - Then.start
    async with open_monitor(clock=Then()) as monitor:
        app = App(monitor, "notification")
        monitor.schedule_local_notification("Again", date=first.astimezone(), repeat=repeat)
        advance(61)
        await app.hears("notification")
        (pending,) = monitor.scheduled_notifications
        assert datetime.fromtimestamp(pending.date) == after  # noqa: DTZ006


async def test_n02_an_unknown_repetition_is_refused():
    with pytest.raises(ValueError, match="daily"):
        made("x", repeat="hourly")


# ---- N-03


@pytest.mark.parametrize(
    ("state", "show_in_foreground", "shown", "in_front"),
    [
        (AppState.BACKGROUND, False, True, "nothing"),
        (AppState.FOREGROUND, False, False, "nothing"),
        (AppState.FOREGROUND, True, True, "banner"),
    ],
)
async def test_n03_in_front_only_the_event_is_told_unless_asked_otherwise(
    monitor: Monitor, state: AppState, show_in_foreground: bool, shown: bool, in_front: str
):
    monitor.presence.set_state(state)
    app = App(monitor, "notification")
    monitor.schedule_local_notification("Ready", show_in_foreground=show_in_foreground)
    (event,) = await app.hears("notification")
    assert (event.shown, event.in_front) == (shown, in_front)


async def test_an_engine_without_a_window_stays_for_what_is_to_come(monitor: Monitor):
    assert not is_busy(monitor)
    monitor.schedule_local_notification("Ready", date=in_seconds(60), identifier="mine")
    assert is_busy(monitor)
    monitor.cancel_local_notification("mine")
    assert not is_busy(monitor)
    monitor.set_minimum_background_fetch_interval(0)
    assert is_busy(monitor)
