from __future__ import annotations

import pytest
from PySide6.QtGui import QTextCursor

from tests.helpers.records import a_failed_task, a_task
from transfermon.gui.panels.details import Details
from transfermon.gui.panels.headers import MASK, MOST, Headers, head_pieces, masked_fields
from transfermon.model.task import Kind, Response

URL = "https://example.org/files/clip-001.mp4"


def text_of(task) -> str:
    return "".join(text for _, text in head_pieces(task))


def answered(*headers, status=200, **changes):
    return a_task(response=Response(status=status, url=URL, headers=headers), **changes)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Content-Type", "video/mp4", "video/mp4"),
        ("ETag", '"abc"', '"abc"'),
        ("Set-Cookie", "id=canary", MASK),
        ("WWW-Authenticate", 'Digest nonce="canary"', MASK),
        ("X-Auth-Token", "canary", MASK),
        ("X-Session-Id", "canary", MASK),
        ("X-Amz-Security-Token", "canary", MASK),
        ("Location", "https://user:canary@cdn.example/x?sig=canary", "https://cdn.example/x?sig=…"),
        ("Link", "</next?token=canary>; rel=next", MASK),
        ("Link", "</style.css>; rel=preload", "</style.css>; rel=preload"),
    ],
)
def test_values_that_could_be_secrets_are_masked(name, value, shown):
    assert masked_fields(Kind.DOWNLOAD, name, value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("https://up.example:8443/canary", "https://up.example:8443/…"),
        ("https://up.example/canary", "https://up.example/…"),
        ("/files/canary", "/…"),
        ("https://[canary", MASK),
    ],
)
def test_of_the_place_of_an_upload_only_the_server_is_named(value, shown):
    assert masked_fields(Kind.UPLOAD, "location", value) == shown


def test_own_headers_are_named_without_their_values():
    text = text_of(a_task(header_names=("Authorization", "X-Trace")))
    assert f"Authorization: {MASK}\nX-Trace: {MASK}\n" in text
    assert "None yet" in text


def test_the_address_of_the_request_is_redacted():
    text = text_of(a_task(url="https://user:canary@example.org/x?key=canary"))
    assert "GET https://example.org/x?key=…\n" in text
    assert "canary" not in text


def test_the_answer_has_its_status_in_words_and_its_fields_in_order():
    text = text_of(answered(("Server", "farm"), ("Accept-Ranges", "bytes"), status=206))
    assert text.endswith("HTTP/1.1 206 Partial Content\nServer: farm\nAccept-Ranges: bytes")
    assert text_of(answered(status=799)).endswith("HTTP/1.1 799")


def test_where_no_answer_came_it_says_so():
    assert text_of(a_failed_task()).endswith("None came")


def test_hostile_fields_stay_on_their_lines_and_are_bounded():
    fields = [("X-A", "one\r\nX-B: \u202etwo" + "x" * 9000)] + [("X", "y")] * (MOST + 9)
    text = text_of(answered(*fields))
    assert "\u202e" not in text
    assert "X-A: one  X-B" in text
    assert len(text) < 5000
    assert text.endswith("… and 10 more")


def test_outside_text_is_plain(qtbot):
    headers = Headers()
    qtbot.addWidget(headers)
    headers.show_task(answered(("X-Note", "<b>bold</b><img src=file:///x>")))
    assert "X-Note: <b>bold</b><img src=file:///x>" in headers.toPlainText()
    assert headers.isReadOnly()


def test_a_selection_survives_news_about_the_same_head(qtbot):
    headers = Headers()
    qtbot.addWidget(headers)
    task = answered(("Server", "farm"))
    headers.show_task(task)
    headers.selectAll()
    headers.show_task(answered(("Server", "farm"), received=26_000_000))
    assert headers.textCursor().hasSelection()
    headers.moveCursor(QTextCursor.MoveOperation.Start)
    headers.show_task(answered(("Server", "other")))
    assert "Server: other" in headers.toPlainText()
    assert "farm" not in headers.toPlainText()


def test_the_tab_is_filled_when_it_is_looked_at(qtbot):
    details = Details()
    qtbot.addWidget(details)
    details.show_task(answered(("Server", "farm")))
    assert details.headers.toPlainText() == ""
    details.tabs.setCurrentWidget(details.headers)
    assert "Server: farm" in details.headers.toPlainText()
    details.show_task(answered(("Server", "other"), number=2))
    assert "Server: other" in details.headers.toPlainText()


def test_headers_that_the_session_adds_are_named_and_hidden_once():
    task = a_task(header_names=("X-Own",))
    said = "".join(text for _, text in head_pieces(task, ["authorization", "x-own", "X-Team"]))
    assert said.count("X-Own") == 1
    assert "x-own" not in said
    assert f"authorization: {MASK}  of the session" in said
    assert f"X-Team: {MASK}  of the session" in said
