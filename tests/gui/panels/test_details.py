from __future__ import annotations

import time

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QLineEdit

from tests.helpers.records import (
    NOW,
    a_cancelled_task,
    a_failed_task,
    a_finished_task,
    a_progress,
    a_task,
    a_waiting_task,
    completed,
    created,
    moved,
)
from transfermon.gui.panels.details import Details, facts_of, says_resumable
from transfermon.model.task import Response, Validators

VALIDATORS = Validators(
    etag='"abc"', last_modified="Sat, 21 Nov 2026 10:00:00 GMT", total=100_000_000
)


@pytest.fixture
def details(qtbot):
    details = Details()
    qtbot.addWidget(details)
    details.resize(700, 300)
    details.show()
    return details


def told(task, progress=None):
    return facts_of(task, progress, NOW, 10.0)


def test_the_facts_of_a_finished_transfer():
    response = Response(status=200, url="https://cdn.example.org/x", http_version="HTTP/2")
    task = a_finished_task(
        final_path="/home/a/x.mp4", response=response, validators=VALIDATORS, added=NOW
    )
    found = told(task)
    assert found["URL"] == task.url
    assert found["Final URL"] == "https://cdn.example.org/x"
    assert found["Save path"] == "/home/a/x.mp4"
    assert found["State"] == "Done"
    assert found["Size"] == "100 MB"
    assert found["HTTP status"] == "200 (HTTP/2)"
    assert found["Validators"] == '"abc", Sat, 21 Nov 2026 10:00:00 GMT'
    assert found["Added"] == time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(NOW))


def test_the_same_final_url_is_not_said_twice():
    task = a_task()
    assert told(a_task(response=Response(status=200, url=task.url)))["Final URL"] == ""


def test_live_counters_are_newer_than_the_record():
    found = told(a_task(), a_progress(50_000_000, 100_000_000, speed=10_000_000))
    assert found["Progress"] == "50.0 MB of 100 MB (50 %)"
    assert found["Speed"] == "10.0 MB/s, 5 s left"


def test_a_total_that_is_not_known_is_said_to_be_so():
    found = told(a_task(expected=-1))
    assert found["Size"] == "Not told by the server"
    assert found["Progress"] == "25.0 MB"


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (a_task(validators=VALIDATORS), "Yes: the server sends an entity tag"),
        (
            a_task(validators=Validators(last_modified="Sat, 21 Nov 2026 10:00:00 GMT")),
            "Yes: the server sends a date",
        ),
        (a_task(validators=Validators(total=9000)), "Yes: its start and end are compared"),
        (a_task(), "Not known before the server answers"),
        (
            a_task(validators=VALIDATORS, not_resumable="The server names no version."),
            "No: The server names no version.",
        ),
        (a_finished_task(validators=VALIDATORS), ""),
        (a_cancelled_task(validators=VALIDATORS), "Yes: the server sends an entity tag"),
        (a_cancelled_task(validators=VALIDATORS, received=0), "Yes, but nothing was kept"),
    ],
)
def test_it_says_whether_a_break_keeps_the_bytes_or_why_not(task, words):
    assert says_resumable(task) == words


def test_a_waiting_transfer_says_why_and_until_when():
    assert (
        told(a_waiting_task())["State"]
        == "Waiting: the server refused the connection, retrying in 0:12"
    )


def test_nothing_is_shown_for_none_or_many(details):
    assert details.pages.currentWidget() is details.nothing
    details.show_task(a_task())
    assert details.pages.currentWidget() is details.tabs
    details.show_task(None)
    assert details.pages.currentWidget() is details.nothing


def test_an_error_is_told_with_its_hint(details):
    details.show_task(a_failed_task())
    assert (
        details.general.problem.text() == "The server does not have this file. Check the address."
    )
    assert details.general.problem.isVisible()
    details.show_task(a_cancelled_task(number=2))
    assert not details.general.problem.isVisible()


def test_values_are_plain_text_that_can_be_selected(details):
    details.show_task(a_task(url="https://example.org/<b>x</b>"))
    value = details.findChild(QLineEdit, "fact_url")
    assert value.text() == "https://example.org/<b>x</b>"
    assert value.isReadOnly()
    value.selectAll()
    assert value.selectedText() == value.text()
    for label in details.findChildren(QLabel):
        assert label.textFormat() in (Qt.TextFormat.PlainText, Qt.TextFormat.AutoText)
    assert details.general.problem.textFormat() is Qt.TextFormat.PlainText


def test_a_selection_survives_news_of_the_same_words(details):
    details.show_task(a_task())
    value = details.findChild(QLineEdit, "fact_url")
    value.setSelection(0, 5)
    details.set_progress(a_progress())
    assert value.selectedText() == "https"


def test_events_of_this_task_only(details):
    details.show_task(a_task(number=1))
    details.apply(moved(a_task(number=2)))
    details.apply(moved(a_task(number=1)))
    assert [line.event.type for line in details.model.lines] == ["taskstate"]


def test_an_event_brings_the_newest_record(details):
    details.show_task(a_task(number=1))
    details.apply(completed(a_finished_task(number=1)))
    assert details.general.text_of("State") == "Done"


def test_history_comes_before_what_was_told_meanwhile(details):
    history = [created(a_task()), moved(a_task())]
    late = completed(a_finished_task())
    details.show_task(a_task())
    details.apply(history[1])
    details.apply(late)
    details.set_history(history)
    assert [line.event for line in details.model.lines] == [*history, late]


def test_another_task_takes_the_events_away(details):
    details.show_task(a_task(number=1))
    details.apply(moved(a_task(number=1)))
    details.show_task(a_task(number=1, received=1))
    assert len(details.model.lines) == 1
    details.show_task(a_task(number=2))
    assert len(details.model.lines) == 0


def test_a_clock_runs_only_while_a_countdown_is_seen(details):
    details.show_task(a_waiting_task())
    assert details._clock.isActive()
    details.hide()
    assert not details._clock.isActive()
    details.show()
    assert details._clock.isActive()
    details.show_task(a_task())
    assert not details._clock.isActive()


def test_a_very_long_address_does_not_widen_the_window(details):
    details.show_task(a_task(url="https://example.org/" + "x" * 100_000))
    assert details.minimumSizeHint().width() < 700
    assert len(details.general.text_of("URL")) <= 4000


def test_a_finished_transfer_says_nothing_of_resuming(qtbot):
    details = Details()
    qtbot.addWidget(details)
    details.show()
    details.show_task(a_finished_task(validators=VALIDATORS))
    line = details.findChild(QLineEdit, "fact_resumable")
    assert line is not None
    assert not line.isVisible()
    details.show_task(a_task(validators=VALIDATORS))
    assert line.isVisible()
    assert details.general.text_of("Resumable").startswith("Yes: ")
