"""What one GET of a small file costs on a kept connection, beside an earlier build.

    python -m benchmarks --exchange [--before CHECKOUT] [--rounds N] [--requests N] [--size BYTES]

Nothing of the engine is in it: a request, the head, the body, the connection given back. What
counts is CPU (user and system), which says something on a busy machine, too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.helpers.nginx import PATH, WHY_NOT, running

ROOT = Path(__file__).resolve().parent.parent
PROBE = ROOT / "benchmarks" / "exchange_probe.py"
AT_ONCE = (1, 16)  # connections


def run(checkout: Path, compiled: Path, *words: str) -> float:
    """Raises CalledProcessError when it ends badly."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(checkout / "src"),
        "PYTHONPYCACHEPREFIX": str(compiled),
    }
    command = [sys.executable, str(PROBE), *words]
    return float(
        subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout
    )


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks --exchange", description=__doc__)
    parser.add_argument("--before", type=Path, help="a work tree of an earlier build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--size", type=int, default=16 * 1024)
    asked = parser.parse_args(words)
    if not PATH:
        print(WHY_NOT)
        return 1
    builds = [*([asked.before.resolve()] if asked.before else []), ROOT]
    found: dict[tuple[Path, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "root").mkdir()
        (folder / "root" / "file").write_bytes(os.urandom(asked.size))
        with running(folder / "nginx", folder / "root", log=False) as nginx:
            for _ in range(asked.rounds):
                for at_once in AT_ONCE:
                    for number, build in enumerate(builds):
                        figure = run(
                            build,
                            folder / f"compiled-{number}",
                            nginx.url("/file"),
                            *map(str, (asked.size, asked.requests, at_once)),
                        )
                        found.setdefault((build, at_once), []).append(figure)
    for (build, at_once), figures in sorted(found.items(), key=lambda item: item[0][1]):
        lowest, middle = min(figures), statistics.median(figures)
        print(f"{at_once:3} at once  {middle:.3f} ms CPU (best {lowest:.3f})  {build}")
    return 0
