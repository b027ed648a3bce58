"""Lines of ntfy's stream, and the payloads in them."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfermon.engine.ntfy import line_of, payload_in

URL = "https://ntfy.example/file/abc.jpg"
NOW = 1_800_000_000.0


def a_file(**more: Any) -> dict[str, Any]:
    return {"name": "a.jpg", "type": "image/jpeg", "size": 9000, "url": URL, **more}


@pytest.mark.parametrize(
    ("said", "sequence"),
    [
        ({"event": "message", "id": "a"}, "a"),
        ({"event": "message", "id": "b", "sequence_id": "a"}, "a"),
        ({"event": "message_delete", "id": "c", "sequence_id": "a"}, "a"),
        ({"event": "message_clear", "id": "c", "sequence_id": "a"}, "a"),
        ({"event": "message", "id": "b", "sequence_id": 5}, "b"),
    ],
)
def test_a_message_its_updates_and_its_deletion_are_one_sequence(
    said: dict[str, Any], sequence: str
):
    line = line_of(json.dumps(said).encode())
    assert line is not None
    assert (line.event, line.identifier, line.sequence) == (said["event"], said["id"], sequence)


@pytest.mark.parametrize(
    "text",
    [b"[1]", b"1", b"{}", b'{"event":1}', b'{"event":"message"}', b'{"event":"message","id":7}'],
)
def test_what_is_no_line_is_none(text: bytes):
    assert line_of(text) is None


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 200_000, b'{"a":' * 60_000])
def test_what_is_no_json_is_refused(text: bytes):
    with pytest.raises(ValueError):
        line_of(text)


@pytest.mark.parametrize("time", [None, True, "5", -1, 0, 1e300, float("nan"), {}])
def test_a_time_that_is_none_counts_as_none(time: Any):
    line = line_of(json.dumps({"event": "open", "time": time}).encode())
    assert line is not None
    assert line.time == 0.0


@pytest.mark.parametrize(
    ("said", "alert", "wakes", "url"),
    [
        ({"message": "Hello", "title": "T"}, ("T", "Hello"), False, None),
        ({"message": '{"content-available": 1, "download_url": "u"}'}, ("", ""), True, "u"),
        # A file hangs on it: what was said with it is kept
        (
            {"message": "See this", "title": "T", "attachment": a_file()},
            ("T", "See this"),
            True,
            URL,
        ),
        ({"message": "You received a file: a.jpg", "attachment": a_file()}, ("", ""), True, URL),
        (
            {"message": "You received a file: a.jpg", "title": "T", "attachment": a_file()},
            ("T", ""),
            True,
            URL,
        ),
        (
            {"message": "You received a file: b.jpg", "attachment": a_file()},
            ("", "You received a file: b.jpg"),
            True,
            URL,
        ),
        ({"message": "triggered", "attachment": {"url": URL}}, ("", ""), True, URL),
        ({"attachment": {"url": URL, "name": "x"}}, ("", ""), True, URL),
        ({"message": '{"content-available": 1}', "attachment": a_file()}, ("", ""), True, URL),
        (
            {"message": '{"content-available": 1, "download_url": "u"}', "attachment": a_file()},
            ("", ""),
            True,
            "u",
        ),
        # Its time on the server
        (
            {"message": "See this", "attachment": a_file(expires=NOW - 1)},
            ("", "See this"),
            False,
            None,
        ),
        (
            {"message": "See this", "attachment": a_file(expires=NOW + 60)},
            ("", "See this"),
            True,
            URL,
        ),
        (
            {"message": '{"content-available": 1}', "attachment": a_file(expires=NOW - 1)},
            ("", ""),
            True,
            None,
        ),
        # A file of the sender's own that is a text
        (
            {"message": "x", "attachment": a_file(name="notes.txt", type="text/plain")},
            ("", "x"),
            True,
            URL,
        ),
        (
            {"message": "x", "attachment": a_file(name="attachment.txt", type="text/plain")},
            ("", "x"),
            True,
            URL,
        ),
        ({"message": "x", "attachment": 5}, ("", "x"), False, None),
        ({"message": "x", "attachment": {"url": 5}}, ("", "x"), False, None),
        # Bytes
        (
            {"message": base64.b64encode("Grüße".encode()).decode(), "encoding": "base64"},
            ("", "Grüße"),
            False,
            None,
        ),
        (
            {
                "message": base64.b64encode(b'{"content-available": 1}').decode(),
                "encoding": "base64",
            },
            ("", ""),
            True,
            None,
        ),
    ],
)
def test_a_message_becomes_a_payload(
    said: dict[str, Any], alert: tuple[str, str], wakes: bool, url: str | None
):
    payload = payload_in(said, NOW)
    assert (payload.title, payload.alert) == alert
    assert (payload.content_available, payload.custom.get("download_url")) == (wakes, url)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"message": "{ no JSON"}, "Line 1"),
        ({"message": "_w==", "encoding": "base64"}, "bytes that are no text"),
        (
            {"message": base64.b64encode(b"\xff\xfe").decode(), "encoding": "base64"},
            "bytes that are no text",
        ),
        (
            {
                "message": "You received a file: attachment.json",
                "attachment": a_file(name="attachment.json", type="application/json", size=5000),
            },
            "5000 bytes; at most 4096",
        ),
        (
            {
                "message": "You received a file: attachment.txt",
                "attachment": a_file(
                    name="attachment.txt", type="text/plain; charset=utf-8", size=4097
                ),
            },
            "4097 bytes; at most 4096",
        ),
        (
            {"message": "You received a file: a.jpg", "attachment": a_file(expires=NOW - 1)},
            "expired on the server",
        ),
    ],
)
def test_what_is_no_payload_is_refused_in_words(said: dict[str, Any], words: str):
    with pytest.raises(ValueError) as caught:
        payload_in(said, NOW)
    assert words in str(caught.value)


@given(
    st.dictionaries(
        st.sampled_from(["message", "title", "attachment", "encoding", "expires"]),
        st.none() | st.text() | st.integers() | st.dictionaries(st.sampled_from(["url", "name", "type", "size"]), st.text() | st.floats()),
    )
)  # fmt: skip
def test_no_message_breaks_it(said: dict[str, Any]):
    with contextlib.suppress(ValueError):
        payload_in(said, NOW)
