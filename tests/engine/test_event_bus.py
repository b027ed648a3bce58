"""Delivery: order, chains, barriers, and listeners that fail or dawdle."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import transfermon.engine.event_bus
from transfermon.engine.event_bus import EventBus, handling
from transfermon.model.events import (
    BackgroundFetchEvent,
    DownloadCompletedEvent,
    DownloadProgressEvent,
    Event,
    SessionIdleEvent,
    TaskCompletedEvent,
)
from transfermon.system.runners import Runners

pytestmark = pytest.mark.anyio


class Bench:
    """A bus, and a log of what was heard and acknowledged."""

    def __init__(self) -> None:
        self.runners = Runners()
        self.bus = EventBus(self.runners)
        self.log: list[Any] = []

    def listen(self, name: str, label: str) -> Callable[[Any], None]:
        def listener(event: Any) -> None:
            self.log.append(f"{label} {event.session}:{getattr(event, 'task_identifier', '')}")

        self.bus.add_listener(name, listener)
        return listener

    def publish(self, event: Event) -> None:
        self.bus.publish(event, lambda: self.log.append(f"acknowledged {event.type}"))

    async def settled(self) -> None:
        async with asyncio.timeout(5):
            while self.runners:
                await asyncio.sleep(0)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.runners.close()


def done(session: str = "s", number: int = 1) -> TaskCompletedEvent:
    return TaskCompletedEvent(session=session, task_identifier=number, success=True)


def file_there(session: str = "s", number: int = 1) -> DownloadCompletedEvent:
    return DownloadCompletedEvent(session=session, task_identifier=number)


async def test_listeners_run_in_the_order_of_registration(bench: Bench):
    for label in "abc":
        bench.listen("sessioncompleted", label)
    bench.publish(done())
    assert bench.log == ["a s:1", "b s:1", "c s:1", "acknowledged sessioncompleted"]


async def test_a_listener_hears_its_own_name_only(bench: Bench):
    bench.listen("downloadcompleted", "file")
    bench.publish(done())
    assert bench.log == ["acknowledged sessioncompleted"]
    assert bench.bus.listens("downloadcompleted")
    assert not bench.bus.listens("sessioncompleted")


async def test_removing_takes_one_registration_and_no_other(bench: Bench):
    first, second = bench.listen("sessioncompleted", "a"), bench.listen("sessioncompleted", "b")
    bench.bus.add_listener("sessioncompleted", first)
    bench.bus.remove_listener("sessioncompleted", first)
    bench.bus.remove_listener("sessioncompleted", lambda event: None)
    bench.bus.remove_listener("downloadcompleted", second)
    bench.publish(done())
    assert bench.log == ["b s:1", "a s:1", "acknowledged sessioncompleted"]


async def test_a_coroutine_listener_holds_later_events_of_its_own_task_only(bench: Bench):
    gate = asyncio.Event()

    async def slow(event: Any) -> None:
        bench.log.append(f"begins {event.task_identifier}")
        if event.task_identifier == 1:
            await gate.wait()
        bench.log.append(f"ends {event.task_identifier}")

    bench.bus.add_listener("downloadcompleted", slow)
    bench.listen("sessioncompleted", "done")
    for event in (file_there(number=1), done(number=1), file_there(number=2), done(number=2)):
        bench.bus.publish(event)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert bench.log == ["begins 1", "begins 2", "ends 2", "done s:2"]
    gate.set()
    await bench.settled()
    assert bench.log[4:] == ["ends 1", "done s:1"]


async def test_the_same_number_in_another_session_is_another_task(bench: Bench):
    gate = asyncio.Event()

    async def slow(event: Any) -> None:
        await gate.wait()

    bench.bus.add_listener("downloadcompleted", slow)
    bench.listen("sessioncompleted", "done")
    bench.bus.publish(file_there("one"))
    bench.bus.publish(done("one"))
    bench.bus.publish(done("two"))
    assert bench.log == ["done two:1"]
    gate.set()
    await bench.settled()
    assert bench.log == ["done two:1", "done one:1"]


async def test_plain_listeners_after_a_coroutine_wait_for_it(bench: Bench):
    async def slow(event: Any) -> None:
        await asyncio.sleep(0)
        bench.log.append("slow")

    bench.bus.add_listener("sessioncompleted", slow)
    bench.listen("sessioncompleted", "after")
    bench.publish(done())
    await bench.settled()
    assert bench.log == ["slow", "after s:1", "acknowledged sessioncompleted"]


async def test_a_sessions_event_waits_for_the_tasks_before_it(bench: Bench):
    gate = asyncio.Event()

    async def slow(event: Any) -> None:
        await gate.wait()
        bench.log.append(f"slow {event.session}")

    bench.bus.add_listener("sessioncompleted", slow)
    bench.listen("sessionidle", "idle")
    bench.bus.publish(done("one"))
    bench.bus.publish(SessionIdleEvent(session="one"))
    bench.bus.publish(SessionIdleEvent(session="one"))
    bench.bus.publish(SessionIdleEvent(session="two"))
    assert bench.log == ["idle two:"]
    gate.set()
    await bench.settled()
    assert bench.log == ["idle two:", "slow one", "idle one:", "idle one:"]


async def test_observers_hear_everything_at_once(bench: Bench):
    async def never(event: Any) -> None:
        await asyncio.Event().wait()

    seen: list[str] = []
    leave = bench.bus.subscribe(lambda event: seen.append(event.type))
    bench.bus.add_listener("downloadcompleted", never)
    bench.bus.publish(file_there())
    bench.bus.publish(done())
    assert seen == ["downloadcompleted", "sessioncompleted"]
    leave()
    leave()
    bench.bus.publish(done())
    assert len(seen) == 2


@pytest.mark.parametrize("kind", ["plain", "coroutine", "observer"])
async def test_a_failing_listener_is_logged_and_stops_nothing(bench: Bench, caplog, kind: str):
    def fails(event: Any) -> None:
        raise RuntimeError("the listener's own mistake")

    async def fails_later(event: Any) -> None:
        fails(event)

    if kind == "observer":
        bench.bus.subscribe(fails)
    else:
        bench.bus.add_listener("sessioncompleted", fails if kind == "plain" else fails_later)
    bench.listen("sessioncompleted", "next")
    with caplog.at_level(logging.ERROR):
        bench.publish(done())
        await bench.settled()
    assert bench.log == ["next s:1", "acknowledged sessioncompleted"]
    assert [record.exc_info is not None for record in caplog.records] == [True]


async def test_a_listener_that_takes_too_long_is_passed(bench: Bench, caplog, monkeypatch):
    monkeypatch.setattr(transfermon.engine.event_bus, "LISTENER_LIMIT", 0.01)
    ended: list[str] = []

    async def hangs(event: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    bench.bus.add_listener("sessioncompleted", hangs)
    bench.listen("sessioncompleted", "next")
    bench.publish(done())
    await bench.settled()
    assert bench.log == ["next s:1", "acknowledged sessioncompleted"]
    assert ended == ["cancelled"]
    assert "was passed" in caplog.text


async def test_a_listener_added_during_delivery_gets_the_next_event_only(bench: Bench):
    def adds(event: Any) -> None:
        bench.bus.remove_listener("sessioncompleted", adds)
        bench.listen("sessioncompleted", "new")

    bench.bus.add_listener("sessioncompleted", adds)
    bench.publish(done(number=1))
    assert bench.log == ["acknowledged sessioncompleted"]
    bench.publish(done(number=2))
    assert bench.log[1:] == ["new s:2", "acknowledged sessioncompleted"]


async def test_a_stream_gives_the_named_events_in_order(bench: Bench):
    stream = bench.bus.stream("downloadprogress", "sessioncompleted")
    first = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    bench.bus.publish(file_there())
    for received in (1, 2):
        bench.bus.publish(
            DownloadProgressEvent(session="s", task_identifier=1, total_bytes_written=received)
        )
    bench.bus.publish(done())
    events = [await first, await anext(stream), await anext(stream)]
    assert [event.type for event in events] == [
        "downloadprogress",
        "downloadprogress",
        "sessioncompleted",
    ]
    await stream.aclose()  # type: ignore[attr-defined]  # it is a generator
    bench.bus.publish(done())
    assert not bench.bus._observers


@pytest.mark.parametrize("later", [False, True])
async def test_code_in_a_wakes_listener_knows_its_handler(bench: Bench, later: bool):
    seen: list[str] = []

    def plain(event: Any) -> None:
        seen.append(handling.get())

    async def coroutine(event: Any) -> None:
        await asyncio.sleep(0)
        seen.append(handling.get())

    for name in ("backgroundfetch", "sessioncompleted"):
        bench.bus.add_listener(name, coroutine if later else plain)
    bench.bus.publish(BackgroundFetchEvent(handler_id="Fetch-1"))
    bench.bus.publish(done())
    await bench.settled()
    assert seen == ["Fetch-1", ""]
    assert handling.get() == ""


async def test_a_closed_bus_calls_no_listener_and_acknowledges_nothing(bench: Bench):
    seen: list[str] = []
    bench.bus.subscribe(lambda event: seen.append(event.type))
    bench.listen("sessioncompleted", "late")
    bench.bus.close()
    bench.publish(done())
    assert (bench.log, seen) == ([], ["sessioncompleted"])


async def test_no_chain_is_left_when_all_is_delivered(bench: Bench):
    async def slow(event: Any) -> None:
        await asyncio.sleep(0)

    bench.bus.add_listener("sessioncompleted", slow)
    for number in range(20):
        bench.bus.publish(done(number=number % 5 + 1))
        bench.bus.publish(SessionIdleEvent(session="s"))
    await bench.settled()
    assert (bench.bus._chains, bench.bus._busy, bench.bus._barriers) == ({}, set(), {})
