from __future__ import annotations

import json

import pytest
from PySide6.QtCore import Qt

from transfermon.gui.dialogs.push_composer import (
    PushComposer,
    findings_text,
    is_sendable,
    payload_templates,
)
from transfermon.model.push_payload import lint_payload, parse_payload
from transfermon.model.wake_policy import Wake, WakeKind


@pytest.fixture
def composer(qtbot):
    made = PushComposer(picture="https://example.com/dawn.png")
    made.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    qtbot.addWidget(made)
    made.show()
    return made


@pytest.mark.parametrize("name", list(payload_templates("")))
def test_every_template_can_be_sent_and_wakes_the_app(name):
    text = payload_templates("https://example.com/dawn.png")[name]
    assert is_sendable(lint_payload(text))
    payload = parse_payload(text)
    assert payload.content_available
    assert payload.custom["download_url"] == "https://example.com/dawn.png"


def test_the_composer_opens_with_the_payload_of_the_samples(composer):
    assert json.loads(composer.editor.toPlainText()) == {
        "alert": "",
        "content-available": 1,
        "download_url": "https://example.com/dawn.png",
    }
    assert composer.send_button.isEnabled()


def test_a_mistake_is_named_while_one_types_and_nothing_can_be_sent(composer):
    composer.editor.setPlainText("{")
    assert composer.findings.text().startswith("Error: Line 1")
    assert not composer.send_button.isEnabled()


def test_a_note_does_not_hold_back_the_push(composer):
    composer.editor.setPlainText('{"content-available": 1, "badge": 1}')
    assert composer.findings.text().startswith("Note: ")
    assert composer.send_button.isEnabled()


def test_a_template_replaces_the_text(composer, qtbot):
    composer.choice.setCurrentIndex(1)
    composer.choice.activated.emit(1)
    assert "aps" in json.loads(composer.editor.toPlainText())


def test_send_hands_over_the_text_as_it_stands(composer, qtbot):
    with qtbot.waitSignal(composer.send_wanted) as sent:
        composer.send_button.click()
    assert sent.args == [composer.editor.toPlainText()]
    composer.answered(
        Wake(
            identifier="1", kind=WakeKind.PUSH, source="button", time=0.0, handler_id="SilentPush-1"
        )
    )
    assert "SilentPush-1" in composer.answer.text()
    assert composer.send_button.isEnabled()


def test_a_refusal_is_shown_as_plain_text(composer):
    composer.refused("<b>no</b>")
    assert composer.answer.textFormat() is Qt.TextFormat.PlainText
    assert composer.answer.text() == "<b>no</b>"


def test_errors_come_before_notes():
    lines = findings_text(
        lint_payload('{"content-available": 1, "badge": 1, "download_url": 5}')
    ).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["Error", "Note"]


def test_the_demos_own_server_is_no_reason_for_a_note(qtbot):
    composer = PushComposer(
        picture="http://127.0.0.1:8080/photos/4", allowed_hosts=("127.0.0.1:8080",)
    )
    composer.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    qtbot.addWidget(composer)
    assert composer.findings.text() == ""
