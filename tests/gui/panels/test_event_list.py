from __future__ import annotations

import json
import re

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog

from tests.helpers.records import (
    NOW,
    a_failed_task,
    a_finished_task,
    a_task,
    completed,
    created,
    moved,
)
from transfermon.gui.panels.event_list import EventsView
from transfermon.gui.panels.event_log import (
    GROUPS,
    EventColumn,
    EventLine,
    EventModel,
    as_ndjson,
    clock_text,
    group_of,
    merged_events,
)
from transfermon.model.events import (
    CLASSES,
    BackgroundFetchEvent,
    NotificationEvent,
    SessionCreatedEvent,
    TaskActivityEvent,
    TaskEvent,
)


@pytest.fixture
def view(qtbot):
    view = EventsView()
    qtbot.addWidget(view)
    view.resize(900, 300)
    view.show()
    return view


def story():
    """Two transfers of two sessions, a fetch and a notification."""
    one, two = a_task(number=1), a_task(number=2, session="films", name="<b>film</b>.mp4")
    return [
        SessionCreatedEvent(sequence=1, time=NOW, session="demo", session_identifier="demo"),
        created(one),
        created(two),
        completed(a_finished_task(number=1)),
        completed(a_failed_task(number=2, session="films", name="<b>film</b>.mp4")),
        BackgroundFetchEvent(sequence=1_000_000, time=NOW, handler_id="Fetch-1"),
        NotificationEvent(sequence=1_000_001, time=NOW, alert_title="Done", shown=True),
    ]


def types(view):
    return [line.event.type for line in view.model.lines]


def test_the_model_keeps_qts_rules(qapp, qtmodeltester):
    model = EventModel(most=10)
    model.append([EventLine(event) for event in story()])
    qtmodeltester.check(model)
    model.append([EventLine(event) for event in story()])
    model.append([EventLine(event) for event in story() * 3])


def test_every_event_there_is_has_a_group_a_colour_and_words():
    for cls in CLASSES.values():
        line = EventLine(cls(sequence=1, time=NOW, session="demo"))
        assert group_of(line.event) in GROUPS
        assert line.role in ("accent", "good", "bad", "warn", "muted", "violet")
        assert line.words
        assert (group_of(line.event) == "Transfers") == issubclass(cls, TaskEvent)


def test_a_burst_is_shown_with_one_insertion(view, qtbot):
    inserted = []
    view.model.rowsInserted.connect(lambda parent, first, last: inserted.append(last - first + 1))
    for event in story():
        view.apply(event)
    qtbot.waitUntil(lambda: len(view.model.lines) == 7)
    assert inserted == [7]


def test_only_the_newest_are_kept(qtbot):
    view = EventsView(most=100)
    qtbot.addWidget(view)
    for number in range(1, 351):
        view.apply(created(a_task(number=number)))
        view.flush()
    assert len(view.model.lines) <= 100
    assert view.model.lines[-1].task == "350"


def test_history_keeps_what_was_told_while_it_was_read(view):
    events = story()
    view.apply(events[-2])
    view.flush()
    view.apply(events[-1])
    view.reset(events[:-1])
    assert types(view) == [event.type for event in events]


def test_what_is_not_in_the_journal_stays_after_it():
    history = [created(a_task())]
    passing = TaskActivityEvent(sequence=0, time=NOW + 1e6, session="demo", task_identifier=1)
    old = TaskActivityEvent(sequence=0, time=NOW - 1e6, session="demo", task_identifier=1)
    assert merged_events(history, [old, passing]) == [*history, passing]


def test_the_filter_by_words_kind_and_session(view):
    view.reset(story())
    view.words.setText("FAILED film")
    assert types(view) == ["sessioncompleted"]
    assert view.note.text() == "1 of 7"
    view.words.clear()
    view.kinds.setCurrentText("Background")
    assert types(view) == ["backgroundfetch"]
    view.kinds.setCurrentText("All kinds")
    view.sessions.setCurrentText("films")
    assert types(view) == ["taskcreated", "sessioncompleted"]
    view.sessions.setCurrentIndex(0)
    assert len(types(view)) == 7


def test_new_events_pass_the_filter_too(view):
    view.words.setText("taskcreated")
    for event in story():
        view.apply(event)
    view.flush()
    assert set(types(view)) == {"taskcreated"}


def test_a_pause_holds_events_back_and_loses_none(view):
    view.pause_button.click()
    for event in story():
        view.apply(event)
    view.flush()
    assert types(view) == []
    assert view.pause_button.text() == "Go on (7 new)"
    view.pause_button.click()
    assert len(types(view)) == 7
    assert view.pause_button.text() == "Pause"


def test_clear_empties_the_view(view):
    view.reset(story())
    view.clear_button.click()
    assert types(view) == []
    view.apply(story()[0])
    view.flush()
    assert types(view) == ["sessioncreated"]


def test_copy_takes_the_selected_lines_or_all(view, qtbot):
    view.reset(story())
    view.copy_button.click()
    assert len(QGuiApplication.clipboard().text().splitlines()) == 7
    view.table.selectRow(1)
    qtbot.keyClick(view.table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert "taskcreated" in QGuiApplication.clipboard().text()
    assert "\n" not in QGuiApplication.clipboard().text()


def test_the_export_is_one_json_object_a_line(view, qtbot, tmp_path):
    view.reset(story())
    view.kinds.setCurrentText("Transfers")
    path = tmp_path / "events.ndjson"
    with qtbot.waitSignal(view.exported) as told:
        view.export(str(path))
    assert told.args == [str(path), ""]
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["type"] for line in lines] == [
        "taskcreated",
        "taskcreated",
        "sessioncompleted",
        "sessioncompleted",
    ]
    assert view.note.text() == "Saved as events.ndjson"


def test_an_export_that_fails_is_one_sentence(view, qtbot, tmp_path):
    with qtbot.waitSignal(view.exported) as told:
        view.export(str(tmp_path / "no" / "such" / "folder"))
    assert told.args[1] == "The file could not be written: No such file or directory."


def test_the_export_asks_for_a_file_without_stopping_anything(view, qtbot):
    view.ask_export()
    dialog = view.findChild(QFileDialog, "events_export_dialog")
    assert dialog.isVisible()
    dialog.close()


def test_the_end_is_followed_until_somebody_scrolls_up(view, qtbot):
    view.reset([created(a_task(number=number)) for number in range(100)])
    bar = view.table.verticalScrollBar()
    assert bar.value() == bar.maximum() > 0
    view.apply(story()[0])
    view.flush()
    qtbot.waitUntil(lambda: bar.value() == bar.maximum())
    bar.setValue(0)
    view.apply(story()[0])
    view.flush()
    assert bar.value() == 0


def test_markup_is_plain_text(view):
    view.reset(story())
    index = view.model.index(4, 5)
    assert "<b>film</b>" in index.data()
    assert "<b>" not in index.data(Qt.ItemDataRole.ToolTipRole)


def test_the_clock_has_milliseconds():
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.250", clock_text(NOW + 0.25))


def test_ndjson_has_the_keys_that_listeners_see():
    assert json.loads(as_ndjson([moved(a_task(number=3))]))["taskIdentifier"] == 3


def test_every_control_has_a_name(view):
    for control in (
        view.words,
        view.kinds,
        view.sessions,
        view.pause_button,
        view.clear_button,
        view.copy_button,
    ):
        assert control.objectName()
        assert control.accessibleName()


def test_in_a_narrow_window_what_happened_keeps_its_room(view):
    view.show()
    for width, hidden in (
        (592, [EventColumn.SESSION, EventColumn.TASK]),
        (900, []),
        (592, [EventColumn.SESSION, EventColumn.TASK]),
    ):
        view.resize(width, 300)
        assert [column for column in EventColumn if view.table.isColumnHidden(column)] == hidden
        assert view.table.columnWidth(EventColumn.WORDS) >= 190
