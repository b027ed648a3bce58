from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt

from tests.helpers.records import (
    a_failed_task,
    a_finished_task,
    a_paused_task,
    a_queued_task,
    a_task,
    tally_of,
)
from transfermon.engine.monitor import SessionInfo
from transfermon.gui.list.scope import Scope
from transfermon.gui.panels.sidebar import ENTRY_ROLE, Sidebar, properties_of, session_items
from transfermon.model.configuration import SessionConfiguration

TASKS = [
    a_task(number=1),
    a_queued_task(number=2),
    a_paused_task(number=3, session="films"),
    a_finished_task(number=4),
    a_failed_task(number=5),
]


def a_session(key, **changes):
    fields = {"identifier": key, "state": "active", "outstanding": 0, "completed": 0, "failed": 0}
    return SessionInfo(key=key, **{**fields, **changes})


@pytest.fixture
def sidebar(qtbot):
    sidebar = Sidebar()
    qtbot.addWidget(sidebar)
    sidebar.resize(210, 500)
    sidebar.update_counts(
        tally_of(TASKS), [a_session("demo"), a_session("films", state="finishing")]
    )
    sidebar.show()
    return sidebar


def counts(sidebar):
    entries = [sidebar.model.entry(row) for row in range(sidebar.model.rowCount())]
    return {entry.text: entry.count for entry in entries if entry.scope and entry.counted}


def test_the_model_keeps_qts_rules(sidebar, qtmodeltester):
    qtmodeltester.check(sidebar.model)


def test_groups_and_sessions_are_counted(sidebar):
    assert counts(sidebar) == {
        "All transfers": 5,
        "Active": 1,
        "Waiting": 2,
        "Finished": 1,
        "Failed": 1,
        "demo": 4,
        "films": 1,
    }


def test_counts_follow(sidebar):
    sidebar.update_counts({}, [a_session("demo")])
    assert counts(sidebar) == {
        "All transfers": 0,
        "Active": 0,
        "Waiting": 0,
        "Finished": 0,
        "Failed": 0,
        "demo": 0,
    }


def test_sessions_come_and_go_in_their_order(sidebar):
    sidebar.update_counts(
        tally_of(TASKS), [a_session("books"), a_session("films"), a_session("maps")]
    )
    assert list(counts(sidebar))[5:] == ["books", "films", "maps"]


def test_a_choice_is_told_once(sidebar, qtbot):
    told = []
    sidebar.scope_changed.connect(told.append)
    sidebar.select(Scope(kind="failed"))
    sidebar.select(Scope(kind="failed"))
    sidebar.select(Scope(kind="session", session="films"))
    sidebar.select(Scope(kind="session", session="not there"))
    assert told == [Scope(kind="failed"), Scope(kind="session", session="films")]


def test_the_keyboard_goes_past_the_headings(sidebar, qtbot):
    sidebar.select(Scope(kind="failed"))
    qtbot.keyClick(sidebar.list, Qt.Key.Key_Down)
    assert sidebar.scope == Scope(kind="videofarm")
    qtbot.keyClick(sidebar.list, Qt.Key.Key_Down)
    assert sidebar.scope == Scope(kind="session", session="demo")


def test_a_chosen_session_that_goes_gives_way_to_all(sidebar):
    told = []
    sidebar.select(Scope(kind="session", session="films"))
    sidebar.scope_changed.connect(told.append)
    sidebar.update_counts(tally_of(TASKS), [a_session("demo")])
    assert sidebar.scope == Scope()
    assert told == [Scope()]


def test_a_heading_cannot_be_chosen(sidebar):
    assert sidebar.model.flags(sidebar.model.index(0)) == Qt.ItemFlag.NoItemFlags


def test_a_session_without_a_name_and_one_with_markup_are_plain_text(sidebar):
    sidebar.update_counts(
        tally_of(TASKS), [a_session("x", identifier=None), a_session("y", identifier="<b>y</b>")]
    )
    row = sidebar.model.row_of(Scope(kind="session", session="y"))
    assert sidebar.model.entry(row - 1).text == "This run only"
    assert sidebar.model.entry(row).text == "<b>y</b>"
    assert "<b>" not in sidebar.model.index(row).data(Qt.ItemDataRole.ToolTipRole)


def test_progress_is_of_the_sessions_that_have_something_to_do(sidebar):
    sidebar.set_session_progress({"demo": 0.5, "films": None})
    entries = {
        entry.text: entry for row in range(6, 11) if (entry := sidebar.model.entry(row)).scope
    }
    assert (entries["demo"].busy, entries["demo"].fraction) == (True, 0.5)
    assert (entries["films"].busy, entries["films"].fraction) == (True, None)
    before = sidebar.grab().toImage()
    sidebar.set_session_progress({})
    assert not entries["demo"].busy
    assert sidebar.grab().toImage() != before


def test_a_screen_reader_hears_count_and_state(sidebar):
    row = sidebar.model.row_of(Scope(kind="session", session="films"))
    assert (
        sidebar.model.index(row).data(Qt.ItemDataRole.AccessibleTextRole)
        == "films, 1, takes no more transfers"
    )


def test_a_session_has_a_menu_and_a_group_has_none(sidebar):
    told = []
    sidebar.menu_wanted.connect(lambda key, point: told.append(key))
    for row in range(sidebar.model.rowCount()):
        where = sidebar.list.visualRect(sidebar.model.index(row)).center()
        sidebar.list.customContextMenuRequested.emit(QPoint(where))
        assert sidebar.model.index(row).data(ENTRY_ROLE) is sidebar.model.entry(row)
    assert told == ["demo", "films"]


@pytest.mark.parametrize(
    ("state", "named", "offered"),
    [
        ("active", True, ["new", "finish", "cancel", "flush", "reset", "copy", "properties"]),
        ("active", False, ["finish", "cancel", "flush", "reset", "properties"]),
        ("finishing", True, ["cancel", "flush", "reset", "copy", "properties"]),
        ("invalidated", True, ["copy"]),
        ("", False, []),  # it has gone while its menu was asked for
    ],
)
def test_the_menu_of_a_session_offers_what_its_state_allows(state, named, offered):
    assert [
        item.action for item in session_items(state, named=named) if item and item.enabled
    ] == offered


def test_the_properties_of_a_session_name_its_headers_and_never_their_values():
    settings = SessionConfiguration.background("films")
    settings.http_header_fields = {"Authorization": "Bearer s3cret", "X-A": "1"}
    settings.speed_limit = 2_000_000
    found = dict(
        properties_of(a_session("films", outstanding=2, failed=1), settings, "/home/me/Films")
    )
    assert found["Headers"] == "Authorization, X-A"
    assert found["Transfers"] == "2 not done, 0 finished, 1 failed"
    assert (found["Speed limit"], found["Folder"]) == ("2.0 MB/s", "/home/me/Films")
    assert "s3cret" not in str(found)


def test_only_the_lines_that_look_different_are_told(sidebar):
    told = []
    sidebar.model.dataChanged.connect(lambda first, last: told.append((first.row(), last.row())))
    films = sidebar.model.row_of(Scope(kind="session", session="films"))
    sidebar.set_session_progress({"films": 0.5})
    assert told == [(films, films)]
    sidebar.set_session_progress({"films": 0.5001})
    assert len(told) == 1
