"""The list as CSV (RFC 4180), for spreadsheets.

Rule: no cell is a formula, whoever chose the name of the file (G19).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

COLUMNS = (
    "id",
    "session",
    "kind",
    "state",
    "status",
    "received",
    "expected",
    "name",
    "folder",
    "url",
    "added",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str] = COLUMNS) -> str:
    """A head and a line for each row, with CRLF as line end. Numbers stay numbers; an unknown size
    is an empty cell.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in columns])
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, int | float):
        return "" if value < 0 else value
    text = str(value or "")
    return f"'{text}" if text.startswith(_FORMULA) else text
