"""The options of a request: each field has its row, and each row its field."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from transfermon.model.option_table import ROWS, ValueKind, camel_case
from transfermon.model.request_options import NONE, RequestOptions, from_dict, to_dict

VALUES: dict[ValueKind, Any] = {
    ValueKind.FLAG: True,
    ValueKind.NAMES: ("X-One", "X-Two"),
    ValueKind.FILE_TO_READ: "/etc/a.pem",
    ValueKind.FILE_TO_WRITE: "/tmp/keys",
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
    lowered: Any = tuple(name.lower() for name in value) if isinstance(value, tuple) else value
    assert getattr(options.over(NONE), row.name) == lowered
