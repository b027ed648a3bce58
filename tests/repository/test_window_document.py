"""What docs/window.md promises has the tests that it names."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
DOCUMENT = TESTS.parent / "docs" / "window.md"


def test_every_promise_names_tests_that_are_there():
    there = {
        name
        for path in TESTS.rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text("utf-8"))
    }
    rows = [
        line
        for line in DOCUMENT.read_text("utf-8").splitlines()
        if line.startswith("| ") and "---" not in line
    ]
    promises = [row for row in rows if not row.startswith("| Promise")]
    assert len(promises) > 60
    assert [row for row in promises if not re.search(r"`test_\w+`", row)] == []
    named = {name for row in promises for name in re.findall(r"`(test_\w+)`", row)}
    assert named - there == set()
