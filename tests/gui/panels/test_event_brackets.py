from __future__ import annotations

import time

import pytest
from PySide6.QtCore import Qt

from tests.helpers.records import NOW, a_task, completed
from transfermon.gui.panels.event_brackets import LANES, Brackets, Part
from transfermon.gui.panels.event_list import EventsView
from transfermon.gui.panels.event_log import GUTTER, EventColumn
from transfermon.gui.toolkit import theme
from transfermon.model.configuration import BACKGROUND_HANDLER_BUDGET, SESSION_HANDLER_LIMIT
from transfermon.model.events import (
    BackgroundFetchEvent,
    BackgroundTransferEvent,
    HandlerEndedEvent,
    HandlerExpiredEvent,
    SessionCreatedEvent,
    SessionEventsCompletedEvent,
    SilentPushEvent,
)


def at(seconds: float, cls, session: str = "demo", **fields):
    return cls(time=NOW + seconds, session=session, session_identifier=session, **fields)


def of_task(seconds: float, session: str = "demo", **fields):
    return completed(a_task(session=session, **fields), time=NOW + seconds)


def a_delivery(begin: float = 0.0):
    return [
        at(begin, BackgroundTransferEvent, handler_id="Session-1"),
        of_task(begin + 0.1),
        of_task(begin + 0.2, session="films"),
        at(begin + 0.3, SessionEventsCompletedEvent),
        at(
            begin + 4.5,
            HandlerEndedEvent,
            session="",
            handler_id="Session-1",
            result="new_data",
            elapsed=4.5,
        ),
    ]


def taken(events, brackets=None):
    brackets = brackets or Brackets()
    return [brackets.take(event) for event in events]


def parts(marks):
    return [(mark.span.lane, mark.part) for mark in marks]


def test_a_delivery_is_bracketed_and_then_its_handler():
    found = taken(a_delivery())
    assert [parts(marks) for marks in found] == [
        [(0, Part.BEGIN)],
        [(0, Part.INSIDE)],
        [(0, Part.PAST)],
        [(0, Part.END), (1, Part.BEGIN)],
        [(1, Part.END)],
    ]
    assert found[0][0].words == "Delivery to “demo” begins"
    assert found[3][0].words == "Delivery to “demo” ends, 1 event"
    assert found[4][0].words == "Session handler ends"
    assert found[4][0].span.used(NOW + 999) == pytest.approx(4.2)


@pytest.mark.parametrize(
    ("cls", "title"), [(BackgroundFetchEvent, "Fetch handler"), (SilentPushEvent, "Push handler")]
)
def test_what_a_handler_started_belongs_to_it(cls, title):
    found = taken(
        [
            at(0, cls, session="", handler_id="H-1"),
            of_task(1, handler_id="H-1"),
            of_task(2, handler_id="H-2"),
            at(3, HandlerEndedEvent, session="", handler_id="H-1", elapsed=3.0),
            of_task(4, handler_id="H-1"),
        ]
    )
    assert [parts(marks) for marks in found] == [
        [(0, Part.BEGIN)],
        [(0, Part.INSIDE)],
        [(0, Part.PAST)],
        [(0, Part.END)],
        [],
    ]
    assert found[1][0].words == f"Inside: {title}"


def test_a_handler_that_ran_out_of_time_is_marked_so_from_its_beginning():
    begin, end = taken(
        [
            at(0, BackgroundFetchEvent, handler_id="H-1"),
            at(30, HandlerExpiredEvent, handler_id="H-1", elapsed=30.0),
        ]
    )
    assert begin[0].span.role == end[0].span.role == "bad"


def test_handlers_that_are_open_together_stand_side_by_side_and_lanes_are_used_again():
    brackets = Brackets()
    found = taken(
        [at(n, BackgroundFetchEvent, handler_id=f"H-{n}") for n in range(LANES + 1)], brackets
    )
    assert [mark.span.lane for mark in found[-2]] == list(range(LANES))
    assert len(found[-1]) == LANES
    taken([at(9, HandlerEndedEvent, handler_id="H-1")], brackets)
    (again,) = taken([at(10, BackgroundFetchEvent, handler_id="H-9")], brackets)
    assert [(mark.span.key, mark.span.lane) for mark in again] == [
        ("H-0", 0),
        ("H-9", 1),
        ("H-2", 2),
    ]


def test_what_the_app_never_ended_does_not_stay_open():
    brackets = Brackets()
    taken(
        [
            at(0, BackgroundFetchEvent, handler_id="H-1"),
            at(0, BackgroundTransferEvent, handler_id="S-1"),
        ],
        brackets,
    )
    (marks,) = taken([at(BACKGROUND_HANDLER_BUDGET + 60, SessionCreatedEvent)], brackets)
    assert [mark.span.delivery for mark in marks] == [True]
    assert taken([at(SESSION_HANDLER_LIMIT + 60, SessionCreatedEvent)], brackets) == [()]


def test_a_delivery_that_begins_again_takes_the_place_of_the_first():
    brackets = Brackets()
    taken([at(0, BackgroundTransferEvent, handler_id="S-1")], brackets)
    (marks,) = taken([at(5, BackgroundTransferEvent, handler_id="S-2")], brackets)
    assert parts(marks) == [(0, Part.BEGIN)]
    end, after = taken(
        [at(6, SessionEventsCompletedEvent), at(7, HandlerEndedEvent, handler_id="S-2")], brackets
    )
    assert parts(end) == [(0, Part.END), (1, Part.BEGIN)]
    assert parts(after) == [(1, Part.END)]


def test_an_end_without_a_beginning_is_no_bracket():
    ends = [at(0, SessionEventsCompletedEvent), at(1, HandlerEndedEvent, handler_id="H-1")]
    assert taken(ends) == [(), ()]


@pytest.fixture
def view(qtbot):
    view = EventsView()
    qtbot.addWidget(view)
    view.resize(900, 300)
    view.show()
    return view


def test_the_view_marks_history_and_what_comes_after_it(view):
    events = a_delivery()
    view.reset(events[:2])
    for event in events[2:]:
        view.apply(event)
    view.flush()
    assert [len(line.marks) for line in view.model.lines] == [1, 1, 1, 2, 1]
    assert view.model.lines[4].budget(NOW)[0] == pytest.approx(4.2)
    assert view.model.lines[3].budget(NOW) is None
    spoken = view.model.index(0, EventColumn.TIME).data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken.endswith("Delivery to “demo” begins")


def test_a_bracket_is_painted_beside_the_time(view):
    view.reset(a_delivery())
    picture = view.table.viewport().grab().toImage()
    right = view.table.columnWidth(EventColumn.TIME)
    seen = {
        picture.pixelColor(x, y).name()
        for x in range(right - GUTTER, right)
        for y in range(picture.height())
    }
    assert theme.color("violet").name() in seen
    assert theme.color("accent").name() in seen


def test_a_filter_keeps_the_brackets_of_what_is_left(view):
    view.reset(a_delivery())
    view.sessions.setCurrentText("films")
    assert [parts(line.marks) for line in view.model.lines] == [[(0, Part.PAST)]]


def test_a_clock_runs_only_while_a_handler_is_open_and_seen(view):
    now = time.time()
    view.apply(BackgroundFetchEvent(time=now, handler_id="H-1"))
    view.flush()
    assert view.ticking
    used, role = view.model.lines[0].budget(now + 3)
    assert (used, role) == (pytest.approx(3.0), "bar")
    view.hide()
    assert not view.ticking
    view.show()
    assert view.ticking
    view.apply(HandlerEndedEvent(time=now + 4, handler_id="H-1", elapsed=4.0))
    view.flush()
    assert not view.ticking
    assert view.model.lines[0].budget(now) is None
    assert view.model.lines[1].budget(now + 100)[0] == pytest.approx(4.0)


def test_a_handler_of_the_past_that_never_ended_has_no_clock(view):
    view.reset([at(0, BackgroundFetchEvent, handler_id="H-1")])
    assert not view.ticking
    assert view.model.lines[0].budget(time.time()) is None
