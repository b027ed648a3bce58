"""JSON of others, by the same rules in every Python."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfermon.model.json_text import DEEPEST, is_deep, loads, number


def nested(levels: int) -> str:
    return (
        "".join('{"a":' if level % 2 else "[" for level in range(levels))
        + "1"
        + "".join("}" if level % 2 else "]" for level in reversed(range(levels)))
    )


@pytest.mark.parametrize("wrap", ["{}", '"[[[[" , {}', '{{"[": {}, "x": "\\\\\\""}}', "[] {}"])
def test_a_hundred_levels_are_read_and_no_more(wrap: str):
    assert not is_deep(nested(DEEPEST))
    assert is_deep(nested(DEEPEST + 1))
    assert loads(nested(DEEPEST))
    assert is_deep(wrap.format(nested(DEEPEST + 1)))


@pytest.mark.parametrize("piece", ["[", "{", '{"a":', "[[1],", '[{"a":[', "[}", '["'])
@pytest.mark.parametrize("count", [99_999, 200_000])
def test_what_is_deep_and_never_ends_is_refused_at_once(piece: str, count: int):
    begin = time.process_time()
    with pytest.raises(ValueError):
        loads(piece * count)
    with pytest.raises(ValueError):
        loads((piece * count).encode())
    assert time.process_time() - begin < 3.0


@pytest.mark.parametrize("text", ["", "x", "[1", '{"a":1,}', b"\xff\xff", "1" * 5000, "\ufeff"])
def test_everything_that_cannot_be_read_is_a_value_error(text: str | bytes):
    with pytest.raises(ValueError):
        loads(text)


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_the_codings_that_json_may_have_are_read(coding: str):
    assert loads('{"ä": [1]}'.encode(coding)) == {"ä": [1]}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_what_json_writes_is_read_back(value: Any):
    text = json.dumps(value)
    assert loads(text) == value
    assert loads(text.encode()) == value
    assert not is_deep(text)


@given(st.text(alphabet='[]{}",:\\1a \n', max_size=60))
def test_any_text_is_read_as_json_reads_it_or_refused(text: str):
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):
            loads(text)
    else:
        assert loads(text) == expected


@given(VALUES, st.integers(1, 8))
def test_the_depth_is_the_depth_of_the_value(value: Any, most: int):
    def depth(found: Any) -> int:
        inner = (
            found.values()
            if isinstance(found, dict)
            else found
            if isinstance(found, list)
            else None
        )
        return 0 if inner is None else 1 + max(map(depth, inner), default=0)

    assert is_deep(json.dumps(value), most) is (depth(value) > most)


def test_numbers_that_can_be_used():
    assert [
        number(value) for value in (1, 1.5, True, "1", None, float("nan"), float("inf"), 10**400)
    ] == [
        1.0,
        1.5,
        *[None] * 6,
    ]
