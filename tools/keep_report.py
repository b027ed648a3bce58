"""build/junit.xml is the fullest report of a commit: a shorter run never takes the place of a
longer one.

Usage: tools/keep_report.py REPORT, after each run of the tests. The suite's name in a report is the
commit.
"""

from __future__ import annotations

import os
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

KEPT = Path("build/junit.xml")


def measure(report: Path) -> tuple[str, int]:
    """The commit and how many tests were really run; ("", 0) where there is no report."""
    try:
        root = ET.parse(report).getroot()
    except (OSError, ET.ParseError):
        return "", 0
    suites = list(root.iter("testsuite"))
    counts = [int(suite.get("tests", 0)) - int(suite.get("skipped", 0)) for suite in suites]
    return suites[0].get("name", "") if suites else "", sum(counts)


def main() -> int:
    new = Path(sys.argv[1])
    commit, count = measure(new)
    if not commit:
        print(f"{new} is no report", file=sys.stderr)
        return 1
    kept_commit, kept_count = measure(KEPT)
    if kept_commit == commit and kept_count > count:
        print(
            f"{KEPT} stays: it has {kept_count} tests of this commit, this run had {count} ({new})"
        )
    else:
        os.replace(new, KEPT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
