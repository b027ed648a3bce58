"""Push payloads: what is read, what is refused, what the composer is told."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfermon.model.events import SilentPushEvent
from transfermon.model.push_payload import (
    LIMIT,
    Severity,
    commands_in,
    lint_payload,
    parse_payload,
    url_problem,
)

SEED = '{"alert":"","content-available":1,"download_url":"https://host/a.png"}'
NESTED = '{"aps":{"alert":"","content-available":1},"download_url":"https://host/a.png"}'
APPLES = '{"aps":{"content-available":1},"download_url":"https://host/a.png"}'


@pytest.mark.parametrize("text", [SEED, NESTED, SEED.encode()])
def test_both_shapes_mean_the_same(text: str | bytes):
    payload = parse_payload(text)
    assert payload.content_available
    assert payload.silent
    assert not payload.visible
    assert payload.custom == {"download_url": "https://host/a.png"}
    assert payload.event_fields() == {
        "alert": "",
        "content-available": 1,
        "download_url": "https://host/a.png",
    }
    assert payload.original == json.loads(text)


@pytest.mark.parametrize(
    ("text", "alert", "title", "visible", "silent"),
    [
        ('{"content-available":1}', "", "", False, True),
        ('{"alert":null,"content-available":1}', "", "", False, True),
        ('{"alert":"New video","content-available":1}', "New video", "", True, False),
        ('{"alert":"New video"}', "New video", "", True, False),
        (
            '{"aps":{"alert":{"title":"Videos","body":"New"},"content-available":1}}',
            "New",
            "Videos",
            True,
            False,
        ),
        ('{"aps":{"alert":{"title":"Videos"}}}', "", "Videos", True, False),
        ('{"aps":{"alert":{"subtitle":"New"},"content-available":1}}', "New", "", True, False),
        ('{"aps":{"alert":{"title":"T","subtitle":"S","body":"B"}}}', "S\nB", "T", True, False),
        (
            '{"aps":{"alert":{"loc-key":"NEW_VIDEO"},"content-available":1}}',
            "NEW_VIDEO",
            "",
            True,
            False,
        ),
        (
            '{"aps":{"alert":{"title-loc-key":"T_KEY","subtitle-loc-key":"S_KEY"}}}',
            "S_KEY",
            "T_KEY",
            True,
            False,
        ),
        ('{"aps":{"alert":{},"content-available":1}}', "", "", False, True),
        ("{}", "", "", False, False),
    ],
)
def test_an_alert_shows_and_only_content_available_wakes(
    text: str, alert: str, title: str, visible: bool, silent: bool
):
    payload = parse_payload(text)
    assert (payload.alert, payload.title, payload.visible, payload.silent) == (
        alert,
        title,
        visible,
        silent,
    )


@pytest.mark.parametrize("value", ["0", "2", '"1"', "true", "[1]", "1.0", "null", "{}"])
def test_content_available_is_the_number_one_and_nothing_else(value: str):
    assert not parse_payload(f'{{"content-available":{value}}}').content_available


def test_json_types_are_kept():
    custom = {"n": 1, "f": 1.5, "b": True, "x": None, "l": [1, "a"], "o": {"k": "v"}}
    assert parse_payload(json.dumps({"content-available": 1, **custom})).custom == custom


def test_custom_fields_win_over_those_of_aps():
    payload = parse_payload('{"aps":{"alert":"banner","sound":"bell"},"alert":"mine"}')
    assert payload.alert == "banner"
    assert payload.event_fields() == {"alert": "mine", "sound": "bell"}


def test_reserved_names_stay_in_the_original_only():
    payload = parse_payload(
        '{"content-available":1,"handlerId":"x","type":"y","source":"z","mine":1}'
    )
    assert payload.event_fields() == {"content-available": 1, "mine": 1}
    assert payload.original["handlerId"] == "x"
    told = SilentPushEvent(
        handler_id="SilentPush-1", custom=payload.event_fields(), payload=payload.original
    ).to_dict()
    assert (told["handlerId"], told["type"], told["mine"]) == ("SilentPush-1", "silentpush", 1)
    assert told["payload"]["type"] == "y"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Line 1, column 1"),
        ('{"a":1,\n "b" 2}', "Line 2, column 6"),
        ("[1]", "must be a JSON object"),
        ('"text"', "must be a JSON object"),
        ('{"a":1,\n "a":2}', "Line 2, column 2: The name “a” is there twice."),
        ('{"o":{"a":1,"a":2}}', "twice"),
        ('{"a":NaN}', "NaN"),
        ('{"a":-Infinity}', "-Infinity"),
        ('{"a":1e999}', "too large"),
        ('{"a":"\\ud800"}', "half a character"),
        ('{"a":"\ud800"}', "half a character"),
        ('{"aps":1}', "“aps” must be an object"),
        ('{"alert":1}', "“alert” must be"),
        ('{"alert":{"body":1}}', "must be texts"),
        (b"\xff\xfe", "not UTF-8"),
        ('{"a":' + "[" * 4000 + "}", "nested too deeply"),
        ('{"a":"' + "x" * LIMIT + '"}', "at most 4096"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(text: str | bytes, words: str):
    with pytest.raises(ValueError) as caught:
        parse_payload(text)
    assert words in str(caught.value)
    assert str(caught.value).endswith((".", "}."))


def test_the_limit_counts_bytes_not_characters():
    room = LIMIT - len('{"a":""}')
    assert parse_payload('{"a":"' + "x" * room + '"}')
    with pytest.raises(ValueError):
        parse_payload('{"a":"' + "x" * (room - 1) + 'ä"}')


@given(st.text() | st.binary())
def test_random_input_is_read_or_refused_and_nothing_else(text: str | bytes):
    try:
        payload = parse_payload(text)
    except ValueError:
        return
    assert isinstance(payload.original.get("alert", ""), str | dict | None)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(st.text(max_size=8).filter(lambda name: name != "alert"), VALUES, max_size=5)
)
def test_every_small_object_is_read_back_as_it_was(value: dict[str, object]):
    if "aps" not in value:
        assert dict(parse_payload(json.dumps(value)).original) == value


def found(text: str, **options: object) -> list[tuple[str, str]]:
    return [(item.severity.value, item.message) for item in lint_payload(text, **options)]  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [SEED, APPLES])
def test_the_seeds_payload_needs_no_advice(text: str):
    assert found(text) == []
    assert found(text, push_type="background", priority=5) == []


@pytest.mark.parametrize(
    ("text", "options", "severity", "words"),
    [
        ("{", {}, "error", "Line 1"),
        ("{}", {}, "warning", "Without “content-available”"),
        ('{"content-available":true}', {}, "warning", "not true"),
        ('{"content_available":1}', {}, "warning", "is written “content-available”"),
        ('{"alert":"x","content-available":1}', {}, "warning", "no alert text"),
        (
            '{"alert":"x","content-available":1}',
            {"push_type": "background"},
            "error",
            "no alert text",
        ),
        ('{"sound":"bell","content-available":1}', {}, "warning", "“sound”"),
        ('{"badge":1,"content-available":1}', {"push_type": "background"}, "error", "“badge”"),
        (NESTED, {}, "warning", "no “alert”, not even an empty one"),
        (NESTED, {"push_type": "background"}, "error", "no “alert”, not even an empty one"),
        (
            '{"aps":{"sound":"","content-available":1}}',
            {},
            "warning",
            "no “sound”, not even an empty one",
        ),
        (
            '{"aps":{"badge":null,"content-available":1}}',
            {},
            "warning",
            "no “badge”, not even an empty one",
        ),
        ('{"aps":{"alert":{"loc-key":"K"},"content-available":1}}', {}, "warning", "no alert text"),
        (
            '{"aps":{"alert":{"subtitle":"S"},"content-available":1}}',
            {"push_type": "background"},
            "error",
            "no alert text",
        ),
        (SEED, {"priority": 7}, "error", "1, 5 or 10"),
        ('{"alert":"x"}', {"priority": 0}, "error", "1, 5 or 10"),
        (
            '{"aps":{"alert":"x"},"interruption-level":"active"}',
            {},
            "warning",
            "“interruption-level” beside it",
        ),
        ('{"aps":{"alert":"x"},"relevance-score":1}', {}, "warning", "“relevance-score” beside it"),
        (
            '{"aps":{"alert":"x"},"target-content-id":"a"}',
            {},
            "warning",
            "“target-content-id” beside it",
        ),
        (SEED, {"priority": 10}, "error", "priority 5"),
        (SEED, {"push_type": "background", "priority": 10}, "error", "priority 5"),
        ('{"content-available":1,"handlerId":"x"}', {}, "warning", "“handlerId”"),
        ('{"aps":{"content-available":1},"badge":1}', {}, "warning", "ordinary custom field"),
        ('{"content-available":1,"download_url":"file:///etc/passwd"}', {}, "error", "http"),
        (
            '{"content-available":1,"download_url":"http://127.0.0.1:8000/"}',
            {},
            "warning",
            "private",
        ),
        ('{"content-available":1,"download_url":"http://[fe80::1]/"}', {}, "warning", "private"),
        ('{"content-available":1,"download_url":"http://localhost/"}', {}, "warning", "private"),
    ],
)
def test_the_composer_is_told_what_would_go_wrong(
    text: str, options: dict[str, object], severity: str, words: str
):
    matching = [item for item in found(text, **options) if words in item[1]]
    assert [item[0] for item in matching] == [severity]


@pytest.mark.parametrize("priority", [1, 5])
def test_a_priority_of_apples_is_no_reason_for_a_word(priority: int):
    assert found(APPLES, push_type="background", priority=priority) == []
    assert found(
        '{"aps":{"alert":"x","content-available":1}}', push_type="alert", priority=priority
    ) == found('{"aps":{"alert":"x","content-available":1}}', push_type="alert")


def test_the_command_for_apples_service_has_nothing_in_aps_that_it_refuses():
    sent = commands_in(SEED)["APNs"]
    assert '"aps": {"content-available": 1}' in sent
    assert "apns-push-type: background" in sent
    shown = commands_in('{"alert":"x","interruption-level":"active","mine":1}')["APNs"]
    assert '"aps": {"alert": "x", "interruption-level": "active"}, "mine": 1' in shown


def test_errors_are_exactly_what_the_service_refuses():
    severities = {
        item.severity
        for item in lint_payload('{"alert":"x","sound":"y","content-available":1}', priority=5)
    }
    assert severities == {Severity.WARNING}


@pytest.mark.parametrize(
    "url",
    [
        "http://host/",
        "https://host:8443/a?b=c#d",
        "HTTPS://HOST/",
        "https://[2001:db8::1]/",
        "https://host/a@b~c.png",
    ],
)
def test_a_web_address_is_fine(url: str):
    assert url_problem(url) == ""


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host/a.png",
        "/a.png",
        "file:///etc/passwd",
        "ftp://host/",
        "data:text/plain,x",
        "javascript:alert(1)",
        "smb://host/x",
        "\\\\host\\share",
        "http:///x",
        "http://",
        "http://host:0/",
        "http://host:99999/",
        "http://user:pw@host/",
        "http://good\\@127.0.0.1/",
        "http://ho st/",
        " http://host/",
        "http://host/\n",
        "http://[broken/",
        1,
        None,
        ["http://host/"],
    ],
)
def test_anything_else_is_no_address_for_a_push(url: object):
    assert url_problem(url).endswith(".")


@pytest.mark.parametrize(
    ("url", "allowed", "quiet"),
    [
        ("http://127.0.0.1:8000/a.png", ["127.0.0.1:8000"], True),
        ("http://127.0.0.1:8000/a.png", ["127.0.0.1:8001"], False),
        ("http://127.0.0.1/a.png", ["127.0.0.1:80"], True),
        ("https://LOCALHOST/a.png", ["Localhost:443"], True),
        ("http://[fe80::1]:8000/a.png", ["[fe80::1]:8000"], True),
        ("http://127.0.0.1:8000/a.png", [], False),
    ],
)
def test_a_host_that_a_setting_allows_is_no_reason_for_a_warning(
    url: str, allowed: list[str], quiet: bool
):
    text = json.dumps({"content-available": 1, "download_url": url})
    assert (lint_payload(text, allowed_hosts=allowed) == []) is quiet
