"""The locks name packages, versions and hashes, no place to fetch them from, and fit pyproject.toml
on each Python.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLACE = re.compile(r"https?://|file:|--(extra-)?index-url|--find-links|--trusted-host")


def pins(lock: str) -> tuple[list[Requirement], list[str]]:
    """The pins of a lock, and the lines that are no pin with a hash."""
    blocks = [block for block in re.split(r"\n(?=\S)", lock.strip()) if block]
    good = [
        block
        for block in blocks
        if "==" in block and "--hash=sha256:" in block and not PLACE.search(block)
    ]
    return [Requirement(block.partition(" \\")[0]) for block in good], [
        block for block in blocks if block not in good
    ]


def misfits(wanted: Iterable[str], locked: Iterable[Requirement], python: str) -> list[str]:
    """What pyproject.toml asks for on this Python and the pins do not give exactly once, in its
    range.
    """
    system = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
    }
    here = [pin for pin in locked if pin.marker is None or pin.marker.evaluate(system)]
    found = []
    for need in map(Requirement, wanted):
        if need.marker is not None and not need.marker.evaluate(system):
            continue
        versions = [next(iter(pin.specifier)).version for pin in here if same(pin, need)]
        if len(versions) != 1 or not need.specifier.contains(versions[0], prereleases=True):
            found.append(f"Python {python}: {need} is pinned to {', '.join(versions) or 'nothing'}")
    return found


def same(one: Requirement, other: Requirement) -> bool:
    return canonicalize_name(one.name) == canonicalize_name(other.name)


def main() -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    app, faults = pins((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    dev, more_faults = pins((ROOT / "requirements-dev.lock").read_text(encoding="utf-8"))
    faults += more_faults
    for python in PYTHONS:
        faults += misfits([*project["project"]["dependencies"], *groups["build"]], app, python)
        faults += misfits(groups["dev"], [*app, *dev], python)
    for fault in faults:
        print(f"locks: {fault} (tools/lock.py writes them)", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
