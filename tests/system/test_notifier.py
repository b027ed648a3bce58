from __future__ import annotations

import pytest

from transfermon.system.notifier import BODY, TITLE, Notifier, escaped_body, plain_title

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a & b", "a &amp; b"),
        ("<b>bold</b>", "&lt;b&gt;bold&lt;/b&gt;"),
        ('<img src="http://example.com/x">', '&lt;img src="http://example.com/x"&gt;'),
    ],
)
def test_markup_in_a_body_is_escaped(text, shown):
    assert escaped_body(text) == shown


def test_controls_and_direction_marks_do_not_reach_the_desktop():
    for made in (plain_title("a\x07\u202eb\nc"), escaped_body("a\x07\u202eb\nc")):
        assert "\x07" not in made
        assert "\u202e" not in made
        assert "\n" not in made


def test_long_texts_are_cut():
    assert len(plain_title("x" * 1000)) == TITLE
    assert len(escaped_body("x" * 1000)) == BODY


async def test_without_a_bus_nothing_fails_and_the_caller_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/no-such-bus")
    notifier = Notifier()
    assert not await notifier.probe()
    assert not notifier.available
    assert not await notifier.send("title", "body")
