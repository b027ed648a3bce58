"""The tests of each promise in docs/promises.md: written into its table, or with --check compared
with it.

A test named `test_s01_...` holds the promise S-01, one named `test_fault_a1_...` the promise A1. A
promise that no test holds, and a test of a promise that is not in the page, are mistakes.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "promises.md"
_TEST = re.compile(
    r"^ *(?:async )?def (test_(?:(fault_)([a-z])(\d+)|([stdruebpnvxo])(\d\d))_\w+)\(", re.MULTILINE
)
_ROW = re.compile(r"^\| ([A-Z]-?\d+) \| (.*) \| ([^|]*) \|$", re.MULTILINE)


def tests() -> dict[str, list[str]]:
    """The names of the tests of each promise. Raises nothing: which promises there are is the
    page's affair.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name, _, fault, row, group, number in _TEST.findall(path.read_text(encoding="utf-8")):
            found[f"{fault.upper()}{row}" if fault else f"{group.upper()}-{number}"].append(name)
    return found


def page(text: str, held: dict[str, list[str]]) -> str:
    """The page with the tests that there are."""

    def row(match: re.Match[str]) -> str:
        names = ", ".join(f"`{name}`" for name in sorted(set(held.get(match[1], ()))))
        return f"| {match[1]} | {match[2]} | {names} |"

    return _ROW.sub(row, text)


def mistakes(text: str, held: dict[str, list[str]]) -> list[str]:
    promised = [name for name, _, _ in _ROW.findall(text)]
    return [
        *(
            f"{name} stands twice in {PAGE.name}"
            for name in sorted({n for n in promised if promised.count(n) > 1})
        ),
        *(
            f"{name} is promised, and no test is named after it"
            for name in promised
            if name not in held
        ),
        *(
            f"{held[name][0]}: {name} is not in {PAGE.name}"
            for name in sorted(held.keys() - set(promised))
        ),
    ]


def main(arguments: list[str]) -> int:
    text, held = PAGE.read_text(encoding="utf-8"), tests()
    wrong = mistakes(text, held)
    new = page(text, held)
    if "--check" in arguments:
        wrong += [f"{PAGE.name} is out of date: run tools/promises.py"] if new != text else []
    else:
        PAGE.write_text(new, encoding="utf-8")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
