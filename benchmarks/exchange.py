"""What one GET of a small file costs on a kept connection, beside an earlier build.

    python -m benchmarks --exchange [--before COMMIT] [--rounds N] [--requests N] [--size BYTES]

Nothing of the engine is in it: a request, the head, the body, the connection given back. What
counts is CPU (user and system), which says something on a busy machine, too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

from benchmarks.builds import ROOT, Build, earlier
from tests.helpers.nginx import PATH, WHY_NOT, running

PROBE = ROOT / "benchmarks" / "exchange_probe.py"
AT_ONCE = (1, 16)  # connections


def run(build: Build, *words: str) -> float:
    """Raises CalledProcessError when it ends badly."""
    command = [build.python, str(PROBE), *words]
    return float(
        subprocess.run(command, env=build.environment, stdout=subprocess.PIPE, check=True).stdout
    )


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks --exchange", description=__doc__)
    parser.add_argument("--before", metavar="COMMIT", help="an earlier build, or its work tree")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--size", type=int, default=16 * 1024)
    asked = parser.parse_args(words)
    if not PATH:
        print(WHY_NOT)
        return 1
    checkouts = [*([earlier(asked.before)] if asked.before else []), ROOT]
    found: dict[tuple[Path, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "root").mkdir()
        (folder / "root" / "file").write_bytes(os.urandom(asked.size))
        builds = [
            Build(name=str(number), checkout=checkout, compiled=folder / f"compiled-{number}")
            for number, checkout in enumerate(checkouts)
        ]
        with running(folder / "nginx", folder / "root", log=False) as nginx:
            for _ in range(asked.rounds):
                for at_once in AT_ONCE:
                    for build in builds:
                        amounts = map(str, (asked.size, asked.requests, at_once))
                        figure = run(build, nginx.url("/file"), *amounts)
                        found.setdefault((build.checkout, at_once), []).append(figure)
    for (checkout, at_once), figures in sorted(found.items(), key=lambda item: item[0][1]):
        lowest, middle = min(figures), statistics.median(figures)
        print(f"{at_once:3} at once  {middle:.3f} ms CPU (best {lowest:.3f})  {checkout}")
    return 0
