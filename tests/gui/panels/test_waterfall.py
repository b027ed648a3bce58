from __future__ import annotations

import itertools

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

from tests.helpers.records import NOW, a_task
from transfermon.gui.panels.details import Details
from transfermon.gui.panels.waterfall import (
    COLORS,
    EMPTY,
    LEAST,
    Phase,
    Waterfall,
    duration_of,
    phase_bars,
    phase_spans,
)
from transfermon.gui.toolkit import style_sheet, theme
from transfermon.model.metrics import Trace, TransactionMetrics, task_metrics


def a_row(attempt: int, begin: float, **changes):
    """A request over a new connection with TLS, as it is stored; `changes` are fields of
    `Trace`.
    """
    trace = Trace(method="GET", url="https://cdn.example.org/a?key=…", fetch_start=begin)
    trace.lookup, trace.connect = (begin, begin + 0.02), (begin + 0.02, begin + 0.05)
    trace.secure, trace.request = (begin + 0.05, begin + 0.11), (begin + 0.11, begin + 0.111)
    trace.response_start, trace.response_end, trace.status = begin + 0.25, begin + 2.25, 200
    for name, value in changes.items():
        setattr(trace, name, value)
    return trace.row(attempt, NOW)


def sent(*rows) -> tuple[TransactionMetrics, ...]:
    return task_metrics(NOW, None, 0, rows).transactions


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "under 1 ms"),
        (0.0351, "35 ms"),
        (1.2404, "1,240 ms"),
        (41.34, "41.3 s"),
        (480, "8 min"),
    ],
)
def test_a_length_of_time_in_words(seconds, words):
    assert duration_of(seconds) == words


def test_each_phase_is_said_with_its_length():
    assert [bar.words for bar in phase_bars(sent(a_row(1, 0)))] == [
        "Attempt 1, HTTP 200, 2,250 ms: DNS 20 ms, Connect 30 ms, TLS 60 ms, Waiting 139 ms, Receiving 2,000 ms"
    ]


def test_sending_is_a_phase_where_a_body_was_sent():
    (bar,) = phase_bars(sent(a_row(1, 0, request_body_bytes=9, request=(0.11, 0.2))))
    assert "Sending 90 ms, Waiting 50 ms" in bar.words


def test_an_answer_that_came_before_the_end_of_the_body_was_not_waited_for():
    (bar,) = phase_bars(sent(a_row(1, 0, request_body_bytes=9, request=(0.11, 0.5))))
    assert "Waiting under 1 ms" in bar.words


def test_an_attempt_that_reached_nobody_says_so():
    none = {
        "secure": None,
        "request": None,
        "response_start": None,
        "response_end": None,
        "status": None,
    }
    (bar,) = phase_bars(sent(a_row(1, 0, **none)))
    assert bar.words == "Attempt 1, No answer, 50 ms: DNS 20 ms, Connect 30 ms"
    assert bar.role == "bad"


def test_a_redirect_begins_where_it_began_and_an_attempt_at_the_left():
    open_one = {"lookup": None, "connect": None, "secure": None, "reused": True}
    rows = (
        a_row(1, 0),
        a_row(2, 5, status=302, response_end=5.3),
        a_row(2, 5.4, **open_one),
        a_row(3, 90, status=503),
    )
    found = phase_bars(sent(*rows))
    assert [(bar.title, bar.first, round(bar.begin, 3)) for bar in found] == [
        ("Attempt 1", True, 0.0),
        ("Attempt 2", True, 0.0),
        ("Redirected", False, 0.4),
        ("Attempt 3", True, 0.0),
    ]
    assert [bar.role for bar in found] == ["good", "warn", "good", "bad"]
    assert found[2].words.endswith("Receiving 2,000 ms, on an open connection")


def test_what_follows_another_answer_than_a_redirect_is_named_by_its_method():
    found = phase_bars(sent(a_row(1, 0, method="HEAD"), a_row(1, 3, method="PATCH", status=204)))
    assert [bar.title for bar in found] == ["Attempt 1", "Then PATCH"]


def test_a_clock_that_was_set_back_gives_no_negative_length():
    (bar,) = phase_bars(sent(a_row(1, 10, response_start=3.0, response_end=2.0)))
    assert all(phase.end >= phase.begin >= 0 for phase in bar.phases)


@pytest.mark.parametrize("width", [40.0, 300.0])
def test_a_short_phase_is_seen_beside_a_long_one(width):
    phases = [Phase(name="DNS", begin=0, end=0.001), Phase(name="Receiving", begin=0.001, end=500)]
    phases += [Phase(name="Waiting", begin=500, end=500)]
    found = phase_spans(phases, 500.0, width)
    assert all(right - left >= LEAST - 1e-9 for left, right in found)
    assert all(later[0] >= earlier[1] - 1e-9 for earlier, later in itertools.pairwise(found))
    assert found[-1][1] <= width


@pytest.mark.parametrize("colors", [style_sheet.LIGHT, style_sheet.DARK])
def test_every_phase_has_a_colour_of_its_own(colors):
    assert len({getattr(colors, role) for role in COLORS.values()}) == len(COLORS)


def test_the_words_are_there_for_a_screen_reader_and_the_clipboard(qtbot):
    timing = Waterfall()
    qtbot.addWidget(timing)
    timing.show_transactions(())
    assert timing.accessibleDescription() == EMPTY
    timing.show_transactions(sent(*(a_row(number, number * 10) for number in range(1, 60))))
    assert timing.accessibleDescription().startswith("Attempt 48, HTTP 200, 2,250 ms")
    timing.setFocus()
    qtbot.keyClick(timing, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    copied = QGuiApplication.clipboard().text().splitlines()
    assert len(copied) == 59
    assert copied[0].endswith("Receiving 2,000 ms  GET https://cdn.example.org/a?key=…")


def test_the_bar_has_the_colours_of_its_phases(qtbot):
    timing = Waterfall()
    qtbot.addWidget(timing)
    timing.resize(700, 200)
    timing.show_transactions(sent(a_row(1, 0)))
    picture = timing.page.grab().toImage()
    seen = {
        picture.pixelColor(x, y).name() for x in range(180, 600) for y in range(picture.height())
    }
    for name in ("DNS", "Connect", "TLS", "Waiting", "Receiving"):
        assert theme.color(COLORS[name]).name() in seen


def test_hostile_hosts_and_a_narrow_window(qtbot):
    timing = Waterfall()
    qtbot.addWidget(timing)
    timing.show_transactions(
        sent(a_row(1, 0, url="https://" + "\u202ex" * 9000 + "/"), a_row(2, 9, url="http://["))
    )
    timing.resize(120, 90)
    assert not timing.grab().isNull()
    assert timing.page.minimumSizeHint().width() < 120
    assert "\u202e" not in timing.page.bars[0].place + timing.page.bars[0].url
    assert timing.page.row_at(70) is timing.page.bars[1]
    assert timing.page.row_at(900) is None


def test_the_tab_shows_the_timings_of_the_selected_transfer(qtbot):
    details = Details()
    qtbot.addWidget(details)
    details.tabs.setCurrentWidget(details.timing)
    details.show_task(a_task(transactions=(a_row(1, 0),)))
    assert len(details.timing.page.bars) == 1
    details.show_task(a_task(number=2))
    assert details.timing.page.bars == []
