"""The window of this checkout beside that of an earlier build: its start and what 50 live rows cost.

    python -m benchmarks --window [--before COMMIT] [--rounds N] [--tasks N] [--platform NAME]

Rule: a run is a whole process of the unchanged `transfermon gui`. Each build has a state directory
that it has filled itself, and gets a fresh copy of it in each round; rounds are interleaved and the
order rotates. What counts is CPU (user and system), which says something on a busy machine, too.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.builds import ROOT, Build, earlier

PROBE = ROOT / "benchmarks" / "window_probe.py"
LIVE = 50  # rows that move
TIMEOUT = 180
LENGTH = 100_000_000  # bytes that a file which moves says it has
PIECE, PAUSE = 2_000, 0.1  # bytes that each of them gets, and seconds until the next ones
FIGURES = (
    ("window_cpu", 1e3, "ms", "CPU until the window is there"),
    ("list_cpu", 1e3, "ms", "CPU until its list is painted"),
    ("list_wall", 1e3, "ms", "time until its list is painted"),
    ("live_cpu", 1e3, "ms", f"CPU of a second with {LIVE} slow transfers"),
    ("update_cpu", 1e3, "ms", f"CPU of an update of {LIVE} rows, painted"),
    ("resident", 1e-6, "MB", "memory at the end"),
)


Figures = dict[str, list[dict[str, float]]]  # of each build, what its rounds have found


def run_probe(build: Build, words: list[str], platform: str) -> None:
    """Raises RuntimeError when it ends badly."""
    ended = subprocess.run(
        [build.python, str(PROBE), *words],
        env={**build.environment, "QT_QPA_PLATFORM": platform},
        stderr=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(f"{build.name}: {words[0]} ended badly: {ended.stderr[-2000:]}")


class SlowServer:
    """Small files come at once; of others, which are large, a little comes ten times a second."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as lines:
            while first := lines.readline():
                while lines.readline() not in (b"\r\n", b""):
                    pass
                small = b"/small" in first
                length = 1 if small else LENGTH
                head = f'HTTP/1.1 200 OK\r\nETag: "a"\r\nContent-Length: {length}\r\n\r\n'.encode()
                connection.sendall(head + b"x" * small)
                while not small:
                    connection.sendall(bytes(PIECE))
                    time.sleep(PAUSE)


@contextlib.contextmanager
def copied(state: Path) -> Iterator[Path]:
    """A copy of a state, for one run."""
    copy = state.with_name("copy")
    shutil.copytree(state, copy)
    try:
        yield copy
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def measure(
    builds: list[tuple[Build, Path]], folder: Path, rounds: int, rows: int, platform: str
) -> Figures:
    """Of builds and the states that they have filled."""
    found: Figures = {build.name: [] for build, _ in builds}
    answer = folder / "answer.json"
    for number in range(rounds + 1):  # the first one fills the caches and does not count
        turn = number % len(builds)
        for build, filled in builds[turn:] + builds[:turn]:
            with copied(filled) as state:
                words = ["watch", str(state), str(answer), str(build.checkout), str(rows)]
                run_probe(build, [*words, repr(time.monotonic())], platform)
            seen = json.loads(answer.read_text(encoding="utf-8"))
            answer.unlink()
            if number:
                found[build.name].append(seen)
    return found


def report(found: Figures, rows: int) -> None:
    print(f"\nthe window with {rows:,} transfers, medians of {len(found['this'])} rounds")
    names = [name for name in ("before", "this") if name in found]
    ratio = f"{'this/before':>14}" if len(names) > 1 else ""
    print(f"  {'':<46}" + "".join(f"{name:>12}" for name in names) + ratio)
    for key, scale, unit, words in FIGURES:
        line = f"  {words:<46}"
        for name in names:
            line += f"{statistics.median(seen[key] for seen in found[name]) * scale:>9.1f} {unit}"
        if len(names) > 1:
            pairs = zip(found["before"], found["this"], strict=True)
            ratios = sorted(this[key] / before[key] for before, this in pairs)
            line += f"{statistics.median(ratios):>8.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(line)


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", metavar="COMMIT", help="an earlier build, or its work tree")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tasks", type=int, default=1_000)
    parser.add_argument(
        "--platform", default="offscreen", help="of Qt: offscreen, xcb, wayland (offscreen)"
    )
    arguments = parser.parse_args(words)
    checkouts = {"this": ROOT}
    if arguments.before is not None:
        checkouts = {"before": earlier(arguments.before), **checkouts}
    server = SlowServer()
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="transfermon-bench.", dir=base) as name:
        folder = Path(name)
        builds = []
        for what, checkout in checkouts.items():
            build = Build(name=what, checkout=checkout, compiled=folder / what / "compiled")
            state = folder / what / "state"
            state.mkdir(parents=True)
            address = f"http://127.0.0.1:{server.port}"
            small = arguments.tasks - LIVE
            run_probe(build, ["fill", str(state), address, str(small), str(LIVE)], "offscreen")
            builds.append((build, state))
        found = measure(builds, folder, arguments.rounds, arguments.tasks, arguments.platform)
    server.close()
    report(found, arguments.tasks)
    return 0


if __name__ == "__main__":
    sys.exit(main())
