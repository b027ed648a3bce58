from __future__ import annotations

import json
import shlex
import time

import pytest
from PySide6.QtTest import QAbstractItemModelTester

from transfermon.gui.dialogs.fetch_intervals import INTERVALS, interval_index
from transfermon.gui.dialogs.push_composer import PushComposer, earlier_payloads
from transfermon.gui.panels.wake_ledger import WakeColumn, WakeModel, WakesView, cell_text
from transfermon.model.configuration import BACKGROUND_FETCH_INTERVAL_NEVER, WAKES_KEPT
from transfermon.model.push_payload import COMMAND_TOOLS, commands_in
from transfermon.model.task import changed
from transfermon.model.wake_policy import (
    AppState,
    FetchState,
    Wake,
    WakeKind,
    WakeOutcome,
    WakeVerdict,
    schedule_text,
    verdict_text,
)

NOW = 1_800_000_000.0
PUSH = Wake(
    identifier="p",
    kind=WakeKind.PUSH,
    source="photos",
    time=NOW - 60,
    payload={"content-available": 1, "n": 1},
)
OPEN = changed(PUSH, delivered=NOW - 10, handler_id="SilentPush-1")
HELD = changed(
    PUSH, verdict=WakeVerdict.HELD, until=NOW + 754, reason="3 pushes came in the last hour."
)


@pytest.mark.parametrize(
    ("wake", "verdict", "outcome"),
    [
        (OPEN, "Granted", "open, 0:20 left"),
        (HELD, "Held", "due in 12:34"),
        (
            changed(OPEN, outcome=WakeOutcome.NEW_DATA, ended=NOW - 8.5),
            "Granted",
            "new data after 1.5 s",
        ),
        (
            changed(OPEN, outcome=WakeOutcome.EXPIRED, ended=NOW + 20),
            "Granted",
            "ran out of time after 30.0 s",
        ),
        (
            changed(OPEN, outcome=WakeOutcome.INTERRUPTED),
            "Granted",
            "the app ended before its handler did",
        ),
        (
            changed(PUSH, verdict=WakeVerdict.REFUSED, outcome=WakeOutcome.DROPPED),
            "Refused",
            "never delivered",
        ),
        (
            changed(HELD, outcome=WakeOutcome.DROPPED, note="A newer push took its place."),
            "Held",
            "A newer push took its place.",
        ),
    ],
)
def test_a_line_says_what_was_said_and_what_came_of_it(wake, verdict, outcome):
    assert (cell_text(wake, WakeColumn.VERDICT, NOW), cell_text(wake, WakeColumn.OUTCOME, NOW)) == (
        verdict,
        outcome,
    )


def test_a_wake_by_hand_says_what_the_policy_would_have_done():
    wake = changed(OPEN, source="button", policy="It is the fourth in an hour.")
    assert cell_text(wake, WakeColumn.KIND, NOW) == "Push, by hand"
    assert (
        cell_text(wake, WakeColumn.REASON, NOW)
        == "iOS would not have done so now: It is the fourth in an hour."
    )
    assert verdict_text(wake).startswith("Silent push delivered by hand.")


@pytest.mark.parametrize(
    ("fetch", "state", "modes", "words"),
    [
        (FetchState(), AppState.BACKGROUND, ("fetch",), "No fetch comes by itself."),
        (FetchState(interval=0), AppState.BACKGROUND, (), "“fetch” is off"),
        (
            FetchState(interval=0, since=NOW),
            AppState.BACKGROUND,
            ("fetch",),
            "Next fetch in 15:00; every 15 min",
        ),
        (
            FetchState(interval=0, since=NOW),
            AppState.FOREGROUND,
            ("fetch",),
            "while the app is in the background",
        ),
        (
            FetchState(interval=0, last=NOW - 9000),
            AppState.BACKGROUND,
            ("fetch",),
            "A fetch is due now",
        ),
        (
            FetchState(interval=0, last=NOW).overran(NOW),
            AppState.BACKGROUND,
            ("fetch",),
            "every 30 min at most, 1 overrun",
        ),
    ],
)
def test_the_schedule_is_a_sentence(fetch, state, modes, words):
    assert words in schedule_text(fetch, now=NOW, state=state, modes=modes)


@pytest.mark.parametrize(
    ("seconds", "row"), [(BACKGROUND_FETCH_INTERVAL_NEVER, 0), (0, 1), (60, 1), (1800, 2), (9e9, 5)]
)
def test_any_interval_has_a_place_in_the_list(seconds, row):
    assert interval_index(seconds) == row


def test_the_model_keeps_the_newest_on_top_and_changes_lines_in_place(qapp):
    model = WakeModel(now=lambda: NOW)
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    model.reset([PUSH, changed(PUSH, identifier="q")])
    assert [wake.identifier for wake in model.wakes] == ["q", "p"]
    model.apply(changed(PUSH, identifier="r"))
    model.apply(changed(OPEN, outcome=WakeOutcome.NO_DATA))
    assert [wake.identifier for wake in model.wakes] == ["r", "q", "p"]
    assert model.wakes[2].outcome is WakeOutcome.NO_DATA


def test_the_model_is_bounded_like_the_ledger(qapp):
    model = WakeModel(now=lambda: NOW)
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    model.reset([changed(PUSH, identifier=str(number)) for number in range(WAKES_KEPT)])
    model.apply(changed(PUSH, identifier="newest"))
    assert model.rowCount() == WAKES_KEPT
    assert (model.wakes[0].identifier, model.wakes[-1].identifier) == ("newest", "1")


@pytest.fixture
def view(qtbot):
    made = WakesView()
    qtbot.addWidget(made)
    return made


def test_the_clock_runs_only_while_something_counts_down_and_is_seen(view, qtbot):
    view.reset(
        [changed(OPEN, delivered=time.time())], BACKGROUND_FETCH_INTERVAL_NEVER, lambda: "never"
    )
    assert not view.ticking
    view.show()
    qtbot.waitExposed(view)
    assert view.ticking
    view.apply(changed(OPEN, outcome=WakeOutcome.NEW_DATA, ended=time.time()))
    assert not view.ticking
    view.apply(HELD)
    assert view.ticking
    view.hide()
    assert not view.ticking


def test_a_line_can_be_sent_again_or_edited(view, qtbot):
    view.reset(
        [PUSH, Wake(identifier="f", kind=WakeKind.FETCH, source="timer", time=NOW)], 0.0, str
    )
    assert not view.again_button.isEnabled()
    view.table.selectRow(0)
    assert view.again_button.isEnabled()
    assert not view.edit_button.isEnabled()
    with qtbot.waitSignal(view.again_wanted) as again:
        view.again_button.click()
    assert again.args == ["f"]
    view.table.selectRow(1)
    with qtbot.waitSignal(view.compose_wanted) as edit:
        view.edit_button.click()
    assert edit.args == [PUSH]


def test_the_interval_is_chosen_from_the_list(view, qtbot):
    view.reset([], BACKGROUND_FETCH_INTERVAL_NEVER, str)
    with qtbot.waitSignal(view.interval_wanted) as wanted:
        view.interval.activated.emit(3)
    assert wanted.args == [INTERVALS[3][1]]
    assert not view.empty.isHidden()


def test_earlier_pushes_can_be_taken_back_each_once(qtbot):
    ledger = [
        PUSH,
        changed(PUSH, identifier="2"),
        changed(PUSH, identifier="3", payload={"content-available": 1, "n": 3}),
    ]
    texts = earlier_payloads(ledger)
    assert [json.loads(text)["n"] for text in texts] == [3, 1]
    composer = PushComposer(earlier=texts)
    qtbot.addWidget(composer)
    composer.history.activated.emit(2)
    assert json.loads(composer.editor.toPlainText())["n"] == 1


FLAT = '{"alert": "", "content-available": 1, "title": "it\'s"}'


@pytest.mark.parametrize("tool", COMMAND_TOOLS)
def test_the_same_push_can_be_copied_for_other_tools(tool):
    words = shlex.split(commands_in(FLAT)[tool])
    bodies = [json.loads(word) for word in words if word.startswith("{")]
    assert len(bodies) == 1
    assert bodies[0]["title"] == "it's"
    nested = tool in ("Simulator", "APNs")
    assert (bodies[0]["aps"] if nested else bodies[0])["content-available"] == 1


def test_the_push_type_fits_the_payload():
    assert "apns-push-type: background" in commands_in(FLAT)["APNs"]
    assert "apns-priority: 10" in commands_in('{"alert": "Look"}')["APNs"]


def test_copying_goes_to_the_clipboard_and_says_so(qtbot, qapp):
    composer = PushComposer(text=FLAT)
    qtbot.addWidget(composer)
    actions = composer.copy_menu().actions()
    actions[-1].trigger()
    assert qapp.clipboard().text() == commands_in(FLAT)["ntfy"]
    assert "ntfy" in composer.answer.text()


def test_the_whole_reason_is_below_the_table_while_its_line_is_selected(qtbot):
    view = WakesView()
    qtbot.addWidget(view)
    view.resize(500, 300)
    reason = ", ".join(["the minimum interval of 900 s is not over"] * 4)
    view.reset([changed(PUSH, verdict=WakeVerdict.REFUSED, reason=reason)], 0.0, str, bool)
    view.show()
    assert not view.reason.isVisible()
    view.table.selectRow(0)
    assert view.reason.isVisible()
    assert view.reason.text() == reason
    view.table.clearSelection()
    assert not view.reason.isVisible()


def test_in_a_narrow_window_the_reason_keeps_some_room(qtbot):
    view = WakesView()
    qtbot.addWidget(view)
    view.show()
    for width, hidden in ((590, True), (800, False), (590, True)):
        view.resize(width, 300)
        assert view.table.isColumnHidden(WakeColumn.STARTED) is hidden
        assert view.table.columnWidth(WakeColumn.REASON) >= 70
