"""The lock names packages, versions and hashes, and no place to fetch them from."""

from __future__ import annotations

import re
import sys
from pathlib import Path

PLACE = re.compile(r"https?://|file:|--(extra-)?index-url|--find-links|--trusted-host")


def main() -> int:
    lock = Path(__file__).parent.parent / "requirements.lock"
    lines = lock.read_text(encoding="utf-8").splitlines()
    places = [f"{lock.name}:{number}: {line}" for number, line in enumerate(lines, 1) if PLACE.search(line)]
    names = [line.partition("==")[0] for line in lines if "==" in line]
    if places or not names:
        print("\n".join(places) or f"{lock.name} is empty", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
