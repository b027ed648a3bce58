from __future__ import annotations

import time

import pytest
from PySide6.QtCore import QEvent, QObject

from tests.helpers.records import a_task
from transfermon.gui.panels.details import Details
from transfermon.gui.panels.speed_graph import (
    EMPTY,
    LEFT,
    MOST_TASKS,
    SPAN,
    SpeedGraph,
    Speeds,
    graph_scale,
    speed_summary,
)
from transfermon.gui.toolkit import theme
from transfermon.model.task import TaskKey

KEY = TaskKey("demo", 1)


def steady(speeds, *, seconds, rate=1000, start=0.0, total=0, key=KEY):
    """One total a second from `start` on; returns the last."""
    for second in range(seconds + 1):
        speeds.add(key, total + second * rate, start + second)
    return total + seconds * rate


def test_a_steady_speed_is_flat():
    speeds = Speeds()
    steady(speeds, seconds=20)
    columns = speeds.columns(KEY, 20.4)
    assert len(columns) == SPAN
    assert columns[-20:] == pytest.approx([1000] * 20)
    assert sum(columns[:-20]) == 0


def test_what_was_there_before_is_not_speed():
    speeds = Speeds()
    steady(speeds, seconds=2, total=50_000_000)
    assert max(speeds.columns(KEY, 2.0)) == pytest.approx(1000)


def test_a_stall_is_zero_and_what_comes_after_it_is_not_spread_over_it():
    speeds = Speeds()
    total = steady(speeds, seconds=5)
    speeds.add(KEY, total + 3000, 15.0)
    columns = speeds.columns(KEY, 15.0)
    assert columns[-1] == pytest.approx(3000)
    assert columns[-10:-1] == pytest.approx([0] * 9)
    assert columns[-11] == pytest.approx(1000)


def test_a_transfer_that_starts_over_begins_anew():
    speeds = Speeds()
    steady(speeds, seconds=3)
    speeds.add(KEY, 0, 4.0)
    speeds.add(KEY, 500, 5.0)
    assert speeds.columns(KEY, 5.0)[-2:] == pytest.approx([0, 500])


def test_samples_that_are_a_little_late_keep_the_bytes():
    speeds = Speeds()
    for second in range(31):
        speeds.add(KEY, second * 1070, second * 1.07)
    assert sum(speeds.columns(KEY, 32.1)) == pytest.approx(30 * 1070)
    assert max(speeds.columns(KEY, 32.1)) == pytest.approx(1000)


def test_one_sample_a_second_at_the_most():
    speeds = Speeds()
    for tenth in range(101):
        speeds.add(KEY, tenth * 100, tenth / 10)
    assert max(speeds.columns(KEY, 10.0)) == pytest.approx(1000)
    assert len(speeds._tracks[KEY].samples) == 10


def test_after_five_minutes_nothing_is_left():
    speeds = Speeds()
    steady(speeds, seconds=10)
    assert speeds.columns(KEY, 200.0)
    assert speeds.columns(KEY, 10.0 + SPAN) == []
    assert speeds.columns(TaskKey("demo", 2), 10.0) == []


def test_it_is_bounded_and_forgets_who_moved_longest_ago():
    speeds = Speeds()
    steady(speeds, seconds=2)
    for number in range(2, MOST_TASKS + 1):
        speeds.add(TaskKey("demo", number), 0, 3.0)
    speeds.add(KEY, 9000, 4.0)
    speeds.add(TaskKey("demo", 999), 0, 5.0)
    assert len(speeds) == MOST_TASKS
    assert speeds.columns(KEY, 5.0)
    steady(speeds, seconds=2 * SPAN, start=10.0, total=9000)
    assert len(speeds._tracks[KEY].samples) == SPAN


@pytest.mark.parametrize(
    ("highest", "top"),
    [(0, 1000), (1000, 1000), (1001, 2000), (2100, 5000), (5001, 10_000), (12_400_000, 20_000_000)],
)
def test_the_top_of_the_graph_is_a_round_number(highest, top):
    assert graph_scale(highest) == top


def test_the_words():
    columns = [0.0] * (SPAN - 4) + [4e6, 1e6, 2e6, 3e6]
    assert speed_summary(columns).words == "Now 2.0 MB/s, average 2.5 MB/s, highest 4.0 MB/s"
    assert speed_summary([0.0] * SPAN).words == "Now –, average –, highest –"


class Painted(QObject):
    """Counts the paint events of a widget."""

    def __init__(self, widget):
        super().__init__(widget)
        self.count = 0
        widget.installEventFilter(self)

    def eventFilter(self, watched, event):
        self.count += event.type() == QEvent.Type.Paint
        return False


@pytest.fixture
def graph(qtbot):
    graph = SpeedGraph()
    qtbot.addWidget(graph)
    graph.resize(600, 220)
    return graph


def test_a_hidden_graph_neither_ticks_nor_paints_but_remembers(graph, qtbot):
    painted = Painted(graph)
    graph.show_key(KEY)
    steady(graph, seconds=5, start=time.monotonic() - 5)
    assert not graph.ticking
    assert graph.columns == []
    assert painted.count == 0
    graph.show()
    assert graph.ticking
    assert max(graph.columns) == pytest.approx(1000)
    qtbot.waitUntil(lambda: painted.count > 0)
    graph.hide()
    assert not graph.ticking


def test_a_graph_with_nothing_to_show_does_not_tick_until_something_moves(graph):
    graph.show()
    graph.show_key(KEY)
    assert not graph.ticking
    assert graph.accessibleDescription() == EMPTY
    steady(graph, seconds=3, start=time.monotonic() - 3)
    assert graph.ticking
    assert graph.accessibleDescription().endswith("highest 1.0 kB/s")
    graph.show_key(TaskKey("demo", 2))
    assert not graph.ticking


def test_it_paints_a_curve_and_says_the_speed_at_a_place(graph):
    graph.show()
    graph.show_key(KEY)
    steady(graph, seconds=100, start=time.monotonic() - 100)
    graph.refresh()
    picture = graph.grab().toImage()
    seen = {
        picture.pixelColor(x, y).name() for x in range(LEFT, 590) for y in range(picture.height())
    }
    assert theme.color("bar").name() in seen
    assert graph.words_at(600 - 16) == "1.0 kB/s, now"
    assert graph.words_at(LEFT) == "–, 5 min ago"
    assert graph.words_at(3) == ""


def test_details_keep_samples_of_transfers_that_are_not_selected(qtbot):
    details = Details()
    qtbot.addWidget(details)
    details.show()
    details.tabs.setCurrentWidget(details.speed)
    details.show_task(a_task(number=2))
    steady(details.speed, seconds=5, start=time.monotonic() - 5)
    assert details.speed.columns == []
    details.show_task(a_task(number=1))
    assert max(details.speed.columns) == pytest.approx(1000)
