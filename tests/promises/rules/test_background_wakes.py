"""B-08 to B-16 and P-06 to P-10: what may wake the app, when, and what the ledger says of it."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer
from tests.helpers.recorder import eventually
from tests.helpers.sessions import App, FastLoop, LoopClock, advance
from tests.promises.rules.conftest import OpenMonitor
from transfermon.engine.handlers import FetchResult
from transfermon.engine.monitor import Monitor
from transfermon.model.configuration import (
    BACKGROUND_FETCH_INTERVAL_NEVER,
    BACKGROUND_HANDLER_BUDGET,
    FETCH_FLOOR,
    PUSH_WINDOW,
    PUSHES_PER_HOUR,
    RATE_LIMIT_FIRST,
    RATE_LIMIT_MOST,
)
from transfermon.model.events import BackgroundFetchEvent
from transfermon.model.task import Activity, TaskKey
from transfermon.model.wake_policy import (
    AppState,
    FetchState,
    RateLimiter,
    WakeOutcome,
    WakeVerdict,
    effective_interval,
)
from transfermon.storage.settings import Settings

pytestmark = pytest.mark.anyio
FETCHES = ("backgroundfetch", "backgroundhandlerexpired", "handlerended")
SILENT = '{"alert": "", "content-available": 1, "number": %d}'


@pytest.fixture
def anyio_backend() -> Any:
    return "asyncio", {"loop_factory": FastLoop}


@pytest.fixture
def strict(settings: Settings) -> Settings:
    return dataclasses.replace(settings, wake_policy="strict")


@pytest.fixture
async def monitor(open_monitor: OpenMonitor) -> AsyncIterator[Monitor]:
    """In the background, with a clock that `advance` moves."""
    async with open_monitor(clock=LoopClock()) as monitor:
        monitor.presence.set_state(AppState.BACKGROUND)
        yield monitor


@pytest.fixture
async def held(open_monitor: OpenMonitor, strict: Settings) -> AsyncIterator[Monitor]:
    """The same under the policy “strict”."""
    async with open_monitor(clock=LoopClock(), settings=strict) as monitor:
        monitor.presence.set_state(AppState.BACKGROUND)
        yield monitor


def newest(monitor: Monitor) -> Any:
    return monitor.background.ledger[-1]


# ---- B-08


async def test_b08_without_an_interval_no_fetch_comes(monitor: Monitor):
    app = App(monitor, *FETCHES)
    assert monitor.background.interval == BACKGROUND_FETCH_INTERVAL_NEVER == math.inf
    assert monitor.background.next_fetch is None
    advance(30 * 86_400)
    await app.settles()
    assert app.heard == []


@pytest.mark.parametrize(
    ("asked", "kept"), [(-5, 0.0), (0, 0.0), (3600, 3600.0), (math.inf, math.inf)]
)
async def test_b08_the_interval_is_clamped_between_min_and_never(
    monitor: Monitor, asked: float, kept: float
):
    monitor.set_minimum_background_fetch_interval(asked)
    assert monitor.background.interval == kept


async def test_b08_what_is_no_number_is_refused_and_changes_nothing(monitor: Monitor):
    monitor.set_minimum_background_fetch_interval(3600)
    with pytest.raises(ValueError, match="number of seconds"):
        monitor.set_minimum_background_fetch_interval(math.nan)
    assert monitor.background.interval == 3600


async def test_b08_never_again_stops_the_timer(monitor: Monitor):
    app = App(monitor, *FETCHES)
    monitor.set_minimum_background_fetch_interval(0)
    monitor.set_minimum_background_fetch_interval(BACKGROUND_FETCH_INTERVAL_NEVER)
    advance(10 * FETCH_FLOOR)
    await app.settles()
    assert app.heard == []


# ---- B-09


async def test_b09_nothing_is_fetched_in_the_foreground_and_it_comes_when_the_app_goes_back(
    monitor: Monitor,
):
    app = App(monitor, *FETCHES)
    monitor.set_minimum_background_fetch_interval(0)
    monitor.presence.set_state(AppState.FOREGROUND)
    advance(5 * FETCH_FLOOR)
    await app.settles()
    assert app.heard == []
    monitor.presence.set_state(AppState.BACKGROUND)
    (event,) = await app.hears("backgroundfetch")
    assert not event.by_hand


async def test_b09_without_the_mode_a_listener_is_refused_and_nothing_is_fetched(
    monitor: Monitor, caplog: pytest.LogCaptureFixture
):
    monitor.preferences.set_background_modes(["remote-notification"])
    app = App(monitor, *FETCHES)
    assert "the background mode “fetch” is off" in caplog.text
    monitor.set_minimum_background_fetch_interval(0)
    advance(5 * FETCH_FLOOR)
    await monitor.fetch()
    await app.settles()
    assert app.of("backgroundfetch") == []


async def test_b09_an_unknown_mode_is_refused(monitor: Monitor):
    with pytest.raises(ValueError, match="no background mode “location”"):
        monitor.preferences.set_background_modes(["fetch", "location"])
    assert monitor.background_modes == {"fetch", "remote-notification"}


# ---- B-10


async def test_b10_the_timer_keeps_the_effective_interval(monitor: Monitor):
    app = App(monitor, *FETCHES)
    monitor.add_event_listener(
        "backgroundfetch", lambda event: monitor.end_background_handler(event.handler_id)
    )
    monitor.set_minimum_background_fetch_interval(60)
    advance(FETCH_FLOOR - 2)
    await app.settles()
    assert app.heard == []
    advance(2)
    await app.hears("backgroundfetch")
    advance(FETCH_FLOOR - 2)
    await app.settles()
    assert len(app.of("backgroundfetch")) == 1
    advance(2)
    await app.hears("backgroundfetch", 2)


async def test_b10_a_longer_interval_than_the_floor_is_kept(monitor: Monitor):
    monitor.set_minimum_background_fetch_interval(7200)
    assert monitor.background.effective_interval == 7200


async def test_b10_a_restart_does_not_bring_the_next_fetch_nearer(
    open_monitor: OpenMonitor, settings: Settings
):
    async with open_monitor(clock=LoopClock()) as monitor:
        monitor.set_minimum_background_fetch_interval(0)
        monitor.presence.set_state(AppState.BACKGROUND)
        app = App(monitor, *FETCHES)
        advance(FETCH_FLOOR + 1)
        await app.hears("backgroundfetch")
        due = monitor.background.next_fetch
    async with open_monitor(
        clock=LoopClock(), settings=dataclasses.replace(settings, fetch_interval=0.0)
    ) as monitor:
        assert monitor.background.next_fetch == due


async def test_b10_strict_delays_a_fetch_by_hand_that_comes_too_early(held: Monitor):
    app = App(held, *FETCHES)
    held.add_event_listener(
        "backgroundfetch", lambda event: held.end_background_handler(event.handler_id)
    )
    held.set_minimum_background_fetch_interval(0)
    advance(FETCH_FLOOR + 1)
    await app.hears("handlerended")
    wake = await held.fetch()
    assert (wake.verdict, wake.handler_id) == (WakeVerdict.DELAYED, "")
    assert "the next is due in 15 min" in wake.reason
    advance(FETCH_FLOOR)
    await app.hears("backgroundfetch", 2)
    assert held.background.ledger[1].delivered is not None
    assert len(held.background.ledger) == 2  # the delayed one took the timer's place


async def test_b10_by_hand_it_comes_at_once_and_the_ledger_says_what_would_have_been(
    monitor: Monitor,
):
    app = App(monitor, *FETCHES)
    monitor.set_minimum_background_fetch_interval(0)
    advance(FETCH_FLOOR + 1)
    await app.hears("backgroundfetch")
    wake = await monitor.fetch()
    assert (wake.verdict, wake.reason) == (WakeVerdict.GRANTED, "")
    assert "the next is due in 15 min" in wake.policy
    await app.hears("backgroundfetch", 2)


@pytest.mark.parametrize(
    ("state", "interval", "words"),
    [(AppState.FOREGROUND, 0.0, "foreground"), (AppState.BACKGROUND, math.inf, "never")],
)
async def test_b10_strict_refuses_what_could_not_come(
    held: Monitor, state: AppState, interval: float, words: str
):
    held.set_minimum_background_fetch_interval(interval)
    held.presence.set_state(state)
    wake = await held.fetch()
    assert (wake.verdict, wake.outcome) == (WakeVerdict.REFUSED, WakeOutcome.DROPPED)
    assert words in wake.reason


# ---- B-11


async def test_b11_no_two_handlers_share_an_identifier(monitor: Monitor):
    handlers = [(await monitor.fetch()).handler_id for _ in range(20)]
    assert len(set(handlers)) == 20
    assert all(handler.startswith("Fetch-") for handler in handlers)


# ---- B-12, B-13


@pytest.mark.parametrize("kind", ["fetch", "push"])
async def test_b12_a_handler_left_open_expires_after_thirty_seconds(monitor: Monitor, kind: str):
    app = App(monitor, "backgroundhandlerexpired")
    wake = await monitor.fetch() if kind == "fetch" else await monitor.push(SILENT % 1)
    advance(BACKGROUND_HANDLER_BUDGET - 2)
    await app.settles()
    assert monitor.background.open_handlers == (wake.handler_id,)
    advance(3)
    (expired,) = await app.hears("backgroundhandlerexpired")
    assert expired.handler_id == wake.handler_id
    assert monitor.background.overruns == 1
    assert newest(monitor).outcome is WakeOutcome.EXPIRED
    assert not monitor.end_background_handler(wake.handler_id)


async def test_b13_each_overrun_doubles_and_each_good_end_takes_one_back(monitor: Monitor):
    app = App(monitor, *FETCHES)
    monitor.set_minimum_background_fetch_interval(0)
    for number in range(1, 3):
        await monitor.fetch()
        advance(BACKGROUND_HANDLER_BUDGET + 1)
        await app.hears("backgroundhandlerexpired", number)
        assert monitor.background.effective_interval == FETCH_FLOOR * 2**number
    for result, overruns in [
        (FetchResult.FAILED, 2),
        (FetchResult.NEW_DATA, 1),
        (FetchResult.NO_DATA, 0),
    ]:
        monitor.end_background_handler((await monitor.fetch()).handler_id, result)
        assert monitor.background.overruns == overruns
    assert monitor.background.effective_interval == FETCH_FLOOR


@pytest.mark.parametrize(
    ("asked", "overruns", "effective"),
    [
        (0, 0, 900),
        (3600, 0, 3600),
        (3600, 1, 7200),
        (0, 6, 57_600),
        (0, 7, 57_600),
        (math.inf, 3, math.inf),
    ],
)
async def test_b13_the_effective_interval_is_that_of_section_2_4(
    asked: float, overruns: int, effective: float
):
    assert effective_interval(asked, overruns) == effective


async def test_b13_a_day_without_an_overrun_clears_them():
    state = FetchState(interval=0).overran(1000.0).overran(2000.0)
    assert state.at(2000.0 + 86_399).overruns == 2
    assert state.at(2000.0 + 86_400).overruns == 0


async def test_b13_overruns_survive_a_restart(open_monitor: OpenMonitor):
    async with open_monitor(clock=LoopClock()) as monitor:
        app = App(monitor, *FETCHES)
        await monitor.fetch()
        advance(BACKGROUND_HANDLER_BUDGET + 1)
        await app.hears("backgroundhandlerexpired")
    async with open_monitor(clock=LoopClock()) as monitor:
        assert monitor.background.overruns == 1


# ---- B-14


async def test_b14_strict_closes_open_handlers_when_the_app_comes_to_the_front(held: Monitor):
    held.set_minimum_background_fetch_interval(0)
    app = App(held, *FETCHES)
    advance(FETCH_FLOOR + 1)
    await app.hears("backgroundfetch")
    await held.push(SILENT % 1)
    assert len(held.background.open_handlers) == 2
    held.presence.set_state(AppState.FOREGROUND)
    ended = await app.hears("handlerended", 2)
    assert {event.result for event in ended} == {"failed"}
    assert not held.background.open_handlers
    assert held.background.overruns == 0


async def test_b14_otherwise_the_foreground_leaves_them_open(monitor: Monitor):
    handler = (await monitor.fetch()).handler_id
    monitor.presence.set_state(AppState.FOREGROUND)
    assert monitor.background.open_handlers == (handler,)


# ---- B-15


async def test_b15_a_download_goes_on_after_its_handler_was_closed(
    monitor: Monitor, server: ByteServer
):
    def start(event: BackgroundFetchEvent) -> None:
        monitor.session("com.example.fetch").download_task(server.url("/a"), name="a.bin")
        monitor.end_background_handler(event.handler_id, FetchResult.NEW_DATA)

    monitor.add_event_listener("backgroundfetch", start)
    app = App(monitor, "sessioncompleted", "handlerended")
    await monitor.fetch()
    (ended,) = await app.hears("handlerended")
    assert ended.started_tasks == 1
    await app.hears("sessioncompleted")
    assert newest(monitor).tasks == ("com.example.fetch:1",)
    assert newest(monitor).outcome is WakeOutcome.NEW_DATA


# ---- B-16, T-18


async def test_b16_strict_lets_a_task_made_in_the_background_wait_longer_with_each_wake(
    held: Monitor, server: ByteServer
):
    session = held.session("com.example.limited")
    # a push or a fetch makes nothing wait: its handler is there to make tasks
    await held.push(SILENT % 0)
    assert (
        session.download_task(server.url("/a"), name="0.bin").record.activity
        is not Activity.WAITING_UNTIL
    )
    for wakes, delay in enumerate([RATE_LIMIT_FIRST, 120.0, 240.0], 1):
        held.background.open_session()
        task = session.download_task(server.url("/a"), name=f"{wakes}.bin").record
        assert (task.activity, task.in_background) == (Activity.WAITING_UNTIL, True)
        assert task.waiting_until == pytest.approx(held._engine.now() + delay, abs=0.5)
        assert "in the background" in task.waiting_reason
    advance(300)
    for number in range(1, 5):
        await session.task(number).wait()


async def test_b16_the_front_ends_the_wait_at_once_and_the_delay_with_it(
    held: Monitor, server: ByteServer
):
    session = held.session("com.example.limited")
    for _ in range(3):
        held.background.open_session()
    task = session.download_task(server.url("/a"))
    assert task.record.activity is Activity.WAITING_UNTIL
    held.presence.set_state(AppState.FOREGROUND)
    await task.wait()
    held.presence.set_state(AppState.BACKGROUND)
    assert session.download_task(server.url("/b")).record.activity is not Activity.WAITING_UNTIL


async def test_b16_what_a_person_asked_for_and_what_the_policy_teach_lets_go_does_not_wait(
    monitor: Monitor, server: ByteServer
):
    monitor.background.open_session()
    task = monitor.session("com.example.limited").download_task(server.url("/a"))
    assert task.record.activity is not Activity.WAITING_UNTIL
    await task.wait()


async def test_b16_the_delay_doubles_up_to_a_quarter_of_an_hour_and_ends_with_a_quiet_one():
    limiter = RateLimiter()
    assert limiter.delay(0.0) == 0
    delays = []
    for _ in range(12):
        limiter.woken(0.0)
        delays.append(limiter.delay(0.0))
    assert delays == [60, 120, 240, 480, *[RATE_LIMIT_MOST] * 8]
    assert limiter.delay(RATE_LIMIT_MOST - 1) == RATE_LIMIT_MOST
    assert limiter.delay(RATE_LIMIT_MOST) == 0
    limiter.woken(RATE_LIMIT_MOST)
    assert limiter.delay(RATE_LIMIT_MOST) == RATE_LIMIT_FIRST


async def test_t18_strict_lets_a_task_made_in_the_background_wait_for_mains_power(
    held: Monitor, server: ByteServer, policy: Any
):
    policy.update(on_battery=True)
    session = held.session("com.example.strict")
    task = session.download_task(server.url("/a"), name="a")
    asked = session.download_task(server.url("/b"), name="b", user_initiated=True)
    await asked.wait()
    assert (task.record.activity, task.record.waiting_reason) == (
        Activity.WAITING_UNTIL,
        "The computer runs on battery.",
    )
    policy.update(on_battery=False)
    await task.wait()


# ---- P-03 to P-10


async def test_p03_a_silent_push_wakes_and_shows_no_banner(monitor: Monitor):
    app = App(monitor, "silentpush", "notification")
    wake = await monitor.push('{"alert":"","content-available":1}', by_hand=False, source="photos")
    (event,) = await app.hears("silentpush")
    await app.settles()
    assert app.names == ["silentpush"]
    assert event.handler_id == wake.handler_id
    assert event.handler_id.startswith("SilentPush-")
    assert (wake.source, event.by_hand) == ("photos", False)


async def test_p04_custom_fields_keep_their_json_types(monitor: Monitor):
    app = App(monitor, "silentpush")
    fields = {
        "download_url": "https://example.org/a.png",
        "n": 3,
        "f": 1.5,
        "b": True,
        "z": None,
        "l": [1, {"a": 2}],
    }
    await monitor.push(json.dumps({"content-available": 1, **fields}))
    (event,) = await app.hears("silentpush")
    assert {name: event[name] for name in fields} == fields


async def test_p05_the_nested_form_does_the_same_and_its_keys_replace_no_custom_ones(
    monitor: Monitor,
):
    app = App(monitor, "silentpush")
    await monitor.push(
        '{"aps": {"content-available": 1, "badge": 3}, "badge": "mine", "download_url": "x"}'
    )
    (event,) = await app.hears("silentpush")
    assert (event["badge"], event["download_url"]) == ("mine", "x")


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ('{"alert": "New", "content-available": 1}', ["notification", "silentpush"]),
        (
            '{"aps": {"alert": {"title": "T", "body": "New"}, "content-available": 1}}',
            ["notification", "silentpush"],
        ),
        ('{"alert": "New"}', ["notification"]),
        ('{"alert": "", "content-available": 1}', ["silentpush"]),
    ],
)
async def test_p06_an_alert_is_shown_and_only_content_available_wakes(
    monitor: Monitor, payload: str, told: list[str]
):
    app = App(monitor, "silentpush", "notification")
    await monitor.push(payload)
    await eventually(lambda: len(app.heard) == len(told), str(told))
    await app.settles()
    assert sorted(app.names) == told
    for event in app.of("notification"):
        assert event.alert_body == "New"


async def test_p06_a_payload_that_asks_for_nothing_is_refused(monitor: Monitor):
    with pytest.raises(ValueError, match="content-available"):
        await monitor.push('{"alert": ""}')
    assert monitor.background.ledger == ()


async def test_p07_the_events_own_fields_cannot_be_replaced(monitor: Monitor):
    app = App(monitor, "silentpush")
    payload = {"content-available": 1, "handlerId": "mine", "type": "other", "source": "me"}
    wake = await monitor.push(json.dumps(payload))
    (event,) = await app.hears("silentpush")
    assert (event["handlerId"], event["type"]) == (wake.handler_id, "silentpush")
    assert event["payload"] == payload


@pytest.mark.parametrize("state", list(AppState))
async def test_p08_a_push_comes_in_the_foreground_and_in_the_background(
    monitor: Monitor, state: AppState
):
    monitor.presence.set_state(state)
    app = App(monitor, "silentpush")
    await monitor.push(SILENT % 1, by_hand=False)
    await app.hears("silentpush")


async def test_p08_after_a_force_quit_none_comes_until_the_app_is_started(
    open_monitor: OpenMonitor,
):
    async with open_monitor(clock=LoopClock()) as monitor:
        await monitor.stop_transfers()
        wake = await monitor.push(SILENT % 1, by_hand=False)
        assert (wake.verdict, wake.handler_id) == (WakeVerdict.REFUSED, "")
    async with open_monitor(clock=LoopClock()) as monitor:
        assert (await monitor.push(SILENT % 2, by_hand=False)).verdict is WakeVerdict.GRANTED


async def test_p09_without_the_mode_a_listener_is_refused_and_no_push_wakes(
    monitor: Monitor, caplog: pytest.LogCaptureFixture
):
    monitor.preferences.set_background_modes(["fetch"])
    app = App(monitor, "silentpush")
    assert "the background mode “remote-notification” is off" in caplog.text
    wake = await monitor.push(SILENT % 1, by_hand=False)
    assert wake.verdict is WakeVerdict.REFUSED
    await app.settles()
    assert app.heard == []


async def fill_the_hour(monitor: Monitor) -> None:
    for number in range(PUSHES_PER_HOUR):
        wake = await monitor.push(SILENT % number, by_hand=False)
        assert wake.verdict is WakeVerdict.GRANTED
        monitor.end_background_handler(wake.handler_id, FetchResult.NO_DATA)


async def test_p10_the_fourth_push_of_an_hour_is_held_until_the_hour_allows_it(monitor: Monitor):
    app = App(monitor, "silentpush")
    await fill_the_hour(monitor)
    wake = await monitor.push(SILENT % 10, by_hand=False)
    assert (wake.verdict, wake.waiting) == (WakeVerdict.HELD, True)
    assert "3 pushes came in the last hour" in wake.reason
    advance(PUSH_WINDOW - 60)
    await app.settles()
    assert len(app.of("silentpush")) == PUSHES_PER_HOUR
    advance(61)
    *_, last = await app.hears("silentpush", PUSHES_PER_HOUR + 1)
    assert last["number"] == 10
    assert newest(monitor).open


async def test_p10_only_the_newest_is_kept_and_the_opened_app_gets_it(monitor: Monitor):
    app = App(monitor, "silentpush")
    await fill_the_hour(monitor)
    for number in (10, 11):
        await monitor.push(SILENT % number, by_hand=False)
    older, newer = monitor.background.ledger[-2:]
    assert (older.outcome, newer.waiting) == (WakeOutcome.DROPPED, True)
    assert "newer push" in older.note
    monitor.presence.set_state(AppState.FOREGROUND)
    *_, last = await app.hears("silentpush", PUSHES_PER_HOUR + 1)
    assert last["number"] == 11


async def test_p10_a_force_quit_drops_what_is_held(monitor: Monitor):
    await fill_the_hour(monitor)
    await monitor.push(SILENT % 10, by_hand=False)
    await monitor.stop_transfers()
    assert newest(monitor).outcome is WakeOutcome.DROPPED


async def test_p10_what_is_held_survives_a_restart(open_monitor: OpenMonitor):
    async with open_monitor(clock=LoopClock()) as monitor:
        monitor.presence.set_state(AppState.BACKGROUND)
        await fill_the_hour(monitor)
        await monitor.push(SILENT % 10, by_hand=False)
    async with open_monitor(clock=LoopClock(), ready=False) as monitor:
        app = App(monitor, "silentpush")
        monitor.ready()
        (event,) = await app.hears("silentpush")
        assert event["number"] == 10


async def test_p10_by_hand_the_fourth_is_delivered_with_a_remark_and_strict_holds_it(
    open_monitor: OpenMonitor, strict: Settings
):
    async with open_monitor(clock=LoopClock()) as monitor:
        monitor.presence.set_state(AppState.BACKGROUND)
        await fill_the_hour(monitor)
        wake = await monitor.push(SILENT % 10)
        assert (wake.verdict, wake.open) == (WakeVerdict.GRANTED, True)
        assert "3 pushes came in the last hour" in wake.policy
    async with open_monitor(clock=LoopClock(), settings=strict) as monitor:
        monitor.presence.set_state(AppState.BACKGROUND)
        assert (await monitor.push(SILENT % 11)).verdict is WakeVerdict.HELD


# ---- the ledger


async def test_the_ledger_is_the_same_after_a_restart_and_open_handlers_are_interrupted(
    open_monitor: OpenMonitor,
):
    async with open_monitor(clock=LoopClock()) as monitor:
        ended = await monitor.push(SILENT % 1)
        monitor.end_background_handler(ended.handler_id, FetchResult.NEW_DATA)
        left = await monitor.fetch()
        before = monitor.background.ledger
    async with open_monitor(clock=LoopClock()) as monitor:
        first, second = monitor.background.ledger
        assert first == before[0]
        assert (second.identifier, second.outcome) == (left.identifier, WakeOutcome.INTERRUPTED)


async def test_a_line_of_the_ledger_can_be_sent_again(monitor: Monitor):
    app = App(monitor, "silentpush")
    first = await monitor.push(SILENT % 7)
    again = monitor.background.send_again(first.identifier)
    assert again.identifier != first.identifier
    one, two = await app.hears("silentpush", 2)
    assert one.payload == two.payload


async def test_what_a_handler_starts_is_counted_by_task(
    monitor: Monitor, server: ByteServer, tmp_path: Path
):
    started: list[TaskKey] = []

    def start(event: Any) -> None:
        task = monitor.session("com.example.fetch").download_task(
            server.url("/a"), destination=str(tmp_path) + "/"
        )
        started.append(task.record.key)

    monitor.add_event_listener("silentpush", start)
    await monitor.push(SILENT % 1)
    await eventually(lambda: newest(monitor).tasks, "a task in the ledger")
    assert newest(monitor).tasks == (str(started[0]),)


async def test_refusals_are_entered_and_nothing_is_delivered(
    monitor: Monitor, caplog: pytest.LogCaptureFixture
):
    app = App(monitor, "silentpush")
    wake = monitor.background.refuse(None, source="photos", reason="It has expired.")
    await app.settles()
    assert (wake.verdict, wake.reason, app.heard) == (WakeVerdict.REFUSED, "It has expired.", [])
    assert caplog.get_records("call") == [] or all(
        record.levelno < logging.ERROR for record in caplog.records
    )
