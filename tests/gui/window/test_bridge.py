from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

import pytest

from transfermon.engine.monitor import Monitor, Snapshot
from transfermon.gui.window.bridge import TICK_MS, Bridge
from transfermon.model.events import (
    DownloadProgressEvent,
    Event,
    NotificationEvent,
    TaskActivityEvent,
)
from transfermon.model.task import Progress, TaskKey

KEY = TaskKey("s", 1)


class Engine:
    """As much of a monitor as a bridge sees."""

    def __init__(self) -> None:
        self.observers: list[Callable[[Event], None]] = []
        self.moving: dict[TaskKey, Progress] = {}
        self.sequence = 0
        self.overview = self

    def subscribe(self, observer: Callable[[Event], None]) -> Callable[[], None]:
        self.observers.append(observer)
        return lambda: self.observers.remove(observer)

    def running_progress(self) -> dict[TaskKey, Progress]:
        return self.moving

    def snapshot(self) -> Snapshot:
        return Snapshot(sequence=self.sequence, tasks=(), sessions=())

    def tell(self, event: Event) -> None:
        for observer in list(self.observers):
            observer(event)

    def move(self, received: int) -> None:
        progress = self.moving.setdefault(KEY, Progress(expected=1000))
        progress.received = received
        self.tell(DownloadProgressEvent(session="s", task_identifier=1, sequence=self.sequence))


@pytest.fixture
def engine():
    return Engine()


@pytest.fixture
def bridge(qapp, engine):
    made = Bridge(cast(Monitor, engine))
    yield made
    made.close()
    made.deleteLater()  # here, not by a collector in another thread


def heard(bridge: Bridge) -> tuple[list[Any], list[Any]]:
    events: list[Any] = []
    progress: list[Any] = []
    bridge.told.connect(events.append)
    bridge.progress.connect(progress.append)
    return events, progress


def test_what_the_snapshot_holds_is_not_told_again(engine, bridge):
    events, _ = heard(bridge)
    engine.sequence = 5
    bridge.snapshot()
    engine.tell(NotificationEvent(sequence=5))
    engine.tell(NotificationEvent(sequence=6))
    assert [event.sequence for event in events] == [6]


def test_an_activity_is_told_although_it_has_no_number_of_its_own(engine, bridge):
    events, _ = heard(bridge)
    engine.sequence = 5
    bridge.snapshot()
    engine.tell(TaskActivityEvent(sequence=5, session="s", task_identifier=1))
    assert len(events) == 1


def test_progress_comes_as_one_dict_of_what_moved(engine, bridge, qtbot):
    events, _ = heard(bridge)
    bridge.set_watched(True)
    with qtbot.waitSignal(bridge.progress) as moved:
        engine.move(10)
        engine.move(20)
    assert moved.args == [{KEY: engine.moving[KEY]}]
    assert events == []


def test_progress_is_told_at_most_four_times_a_second(engine, bridge, qtbot):
    _, told = heard(bridge)
    bridge.set_watched(True)
    begin = time.monotonic()
    received = 0

    def enough() -> bool:
        nonlocal received
        received += 1
        engine.move(received)
        return len(told) >= 3

    qtbot.waitUntil(enough)
    assert time.monotonic() - begin >= 3 * TICK_MS / 1000 * 0.9


def test_no_timer_runs_once_nothing_moves(engine, bridge, qtbot):
    bridge.set_watched(True)
    engine.move(10)
    assert bridge.ticking
    qtbot.waitUntil(lambda: not bridge.ticking)


def test_a_hidden_window_gets_no_progress_and_costs_no_timer(engine, bridge):
    engine.move(10)
    assert not bridge.ticking
    bridge.set_watched(True)
    assert bridge.ticking  # something runs, so it is looked at once
    bridge.set_watched(False)
    assert not bridge.ticking


def test_a_pulse_comes_at_most_once_a_second_and_also_while_hidden(engine, bridge):
    pulses: list[None] = []
    bridge.pulse.connect(lambda: pulses.append(None))
    for received in range(50):
        engine.move(received)
    assert len(pulses) == 1


def test_a_closed_bridge_hears_nothing(engine, bridge):
    events, _ = heard(bridge)
    bridge.close()
    bridge.close()
    engine.tell(NotificationEvent(sequence=9))
    assert events == []
    assert engine.observers == []
