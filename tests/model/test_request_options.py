"""The options of a request: each field has its row, and each row its field."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from transfermon.model.option_table import AUTOMATIC, ROWS, ValueKind, camel_case
from transfermon.model.request_options import (
    NONE,
    RequestOptions,
    connections_of,
    from_dict,
    to_dict,
)

VALUES: dict[ValueKind, Any] = {
    ValueKind.FLAG: True,
    ValueKind.NAMES: ("X-One", "X-Two"),
    ValueKind.FILE_TO_READ: "/etc/a.pem",
    ValueKind.FILE_TO_WRITE: "/tmp/keys",
    ValueKind.CONNECTIONS: 3,
    ValueKind.ADDRESSES: ("https://one.example/A", "http://two.example/B"),
}


def test_every_option_has_a_row_and_every_row_an_option():
    assert [row.name for row in ROWS] == [item.name for item in dataclasses.fields(RequestOptions)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_option_goes_to_json_and_back(row):
    options = RequestOptions(**{row.name: VALUES[row.kind]})
    stored = to_dict(options)
    assert list(stored) == [camel_case(row.name)]
    assert from_dict(stored) == options
    value = VALUES[row.kind]
    names: Any = tuple(name.lower() for name in value) if row.kind is ValueKind.NAMES else value
    assert getattr(options.over(NONE), row.name) == names


@pytest.mark.parametrize(
    ("typed", "number"),
    [("", 0), (" ", 0), ("auto", AUTOMATIC), ("AUTO ", AUTOMATIC), ("1", 1), (" 8 ", 8)],
)
def test_a_number_of_connections_is_a_number_or_auto(typed: str, number: int):
    assert connections_of(typed) == number


@pytest.mark.parametrize("typed", ["0", "9", "-1", "+2", "2.5", "٣", "many", "1 2"])
def test_any_other_number_of_connections_is_refused_in_one_sentence(typed: str):
    with pytest.raises(ValueError, match=r"^One file has 1 to 8 connections at once, or “auto”\.$"):
        connections_of(typed)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ftp://m.example/a", "begins with http"),
        ("m.example/a", "begins with http"),
        ("http:///a", "begins with http"),
        ("http://[::1/a", "begins with http"),
        ("https://user:secret@m.example/a", "no user name and no password"),
    ],
)
def test_no_options_have_such_a_mirror(address: str, words: str):
    with pytest.raises(ValueError, match=words) as refused:
        RequestOptions(mirrors=(address,)).check()
    assert "secret" not in str(refused.value)


def test_no_options_have_hundreds_of_mirrors():
    with pytest.raises(ValueError, match="16 mirrors at the most"):
        RequestOptions(mirrors=tuple(f"http://m.example/{n}" for n in range(17))).check()


def test_mirrors_need_a_checksum_or_a_word():
    given = RequestOptions(mirrors=("http://m.example/a",))
    assert given.lack_proof("")
    assert given.lack_proof(None)
    assert not given.lack_proof("sha-256:00")
    assert not RequestOptions(mirrors=given.mirrors, mirrors_are_the_same=True).lack_proof("")
    assert not NONE.lack_proof("")


@pytest.mark.parametrize("number", [-2, 9])
def test_no_options_have_another_number_of_connections(number: int):
    with pytest.raises(ValueError, match="1 to 8 connections"):
        RequestOptions(connections=number).check()
