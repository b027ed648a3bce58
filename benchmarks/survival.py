"""What a `kill -9` costs: many random kills during many downloads from an nginx, an engine after
the other.

`python -m benchmarks.survival [--kills N] [--files M] [--standby N] [--seed S] [--small]` The engine is
started again by this program at once. With `--standby N` so many more kills are answered by the
standby that waits beside the engine. At the end every file is compared, and every event is looked
for by its identity. With `--small` the files are small ones that come as fast as they can, 600 of
them anew for every four kills, and every other time nobody listens.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.helpers.engine_script import SESSION
from tests.helpers.harness import PART, Engine, content, eventually, left
from tests.helpers.nginx import PATH, WHY_NOT, Nginx, running
from transfermon.host import waiter as waiters
from transfermon.model.events import TERMINAL

MIB = 1 << 20
AT_ONCE = 8  # as the engine's own limit
BETWEEN = 0.6  # seconds of life that an engine has on average
SMALLEST, LARGEST = 1, 64  # MiB
MANY, TINY, KILLS_OF_MANY = 600, 64 * 1024, 4  # files, bytes at the most, kills a round


class Survival:
    """One run: files, server, and what the engines said."""

    def __init__(
        self, folder: Path, files: int, seed: int, *, small: bool = False, deaf: bool = False
    ) -> None:
        self.root, self.out, self.state = folder / "root", folder / "out", folder / "state"
        for path in (self.root, self.out):
            path.mkdir()
        self.die = random.Random(seed)
        self.sizes: dict[str, int] = {}
        for number in range(files):
            if small:
                size = self.die.randrange(TINY)
                self.sizes[f"f{number}.bin"] = size
                (self.root / f"f{number}.bin").write_bytes(self.die.randbytes(size))
                continue
            size = int(
                MIB * 2 ** self.die.uniform(0, LARGEST.bit_length() - 1)
            ) + self.die.randrange(4096)
            self.sizes[f"f{number}.bin"] = size
            (self.root / f"f{number}.bin").write_bytes(content(size, seed=number + 2))
        self.told: list[dict[str, Any]] = []
        self.pauses: dict[str, list[float]] = {"harness": [], "standby": []}
        self.running_at_kills = 0
        self.named_at_kills = 0  # of small files: those with two names
        self.deaf = deaf
        self.kills = 0

    @property
    def total(self) -> int:
        return sum(self.sizes.values())

    def stored(self) -> int:
        """Bytes on the disk, in parts and files."""
        return sum(entry.stat().st_size for entry in os.scandir(self.out))

    def engine(self, nginx: Nginx) -> Engine:
        urls = [word for name in self.sizes for word in ("--url", nginx.url(f"/{name}"))]
        return Engine(self.state, self.out, *(["--deaf"] if self.deaf else []), *urls)

    def kill(self, engine: Engine) -> int:
        """Returns how much is stored at its death."""
        before = [entry for entry in os.scandir(self.out) if PART.fullmatch(entry.name)]
        engine.kill()
        self.kills += 1
        self.named_at_kills += sum(
            entry.stat().st_nlink > 1
            for entry in os.scandir(self.out)
            if PART.fullmatch(entry.name)
        )
        self.running_at_kills += len(before)
        self.told += engine.events
        engine.end()
        return self.stored()

    def by_harness(self, nginx: Nginx, kills: int) -> None:
        """Kill, start again, kill…; the last one lives."""
        engine = self.engine(nginx)
        engine.wait_for("ready")
        for _ in range(kills):
            time.sleep(self.die.uniform(0.2, 2 * BETWEEN - 0.2))
            if engine.process.poll() is not None:
                print(f"  all files were there after {self.kills} kills; make them larger")
                break
            stored = self.kill(engine)
            begin = time.perf_counter()
            engine = self.engine(nginx)
            self._wait_for_bytes("harness", stored, begin)
        self._end(engine)

    def by_standby(self, nginx: Nginx, kills: int) -> None:
        """Kill the engine beside which a standby waits, and then the standby that has taken
        over.
        """
        for _ in range(kills):
            engine = self.engine(nginx)
            engine.wait_for("ready")
            waiter = subprocess.Popen([sys.executable, "-I", "-S", waiters.SCRIPT, str(self.state)])
            try:
                eventually(lambda: (self.state / waiters.LOCK).exists(), "the standby")
                time.sleep(self.die.uniform(0.2, 2 * BETWEEN - 0.2))
                stored = self.kill(engine)
                self._wait_for_bytes("standby", stored, time.perf_counter())
                time.sleep(self.die.uniform(0.0, 0.3))
            finally:
                waiter.kill()
                waiter.wait()
            self.kills += 1
            self.running_at_kills += sum(
                1 for entry in os.scandir(self.out) if PART.fullmatch(entry.name)
            )

    def many_small(self, nginx: Nginx, kills: int) -> None:
        """Kill at any moment of a short life, also while an engine starts."""
        for _ in range(kills):
            engine = self.engine(nginx)
            if self.die.random() < 0.8:
                engine.wait_for("ready")
            time.sleep(self.die.uniform(0.0, 2.0))
            self.kill(engine)
        self._end(self.engine(nginx))

    def _wait_for_bytes(self, who: str, stored: int, begin: float) -> None:
        if stored < self.total:
            eventually(
                lambda: (
                    self.stored() > stored or not any(map(PART.fullmatch, os.listdir(self.out)))
                ),
                "a byte",
            )
            self.pauses[who].append(time.perf_counter() - begin)

    def _end(self, engine: Engine) -> None:
        try:
            eventually(
                lambda: any(line["say"] == "idle" for line in engine.said), "the end", limit=600
            )
            engine.wait_end()
            self.told += engine.events
        finally:
            engine.end()

    # ---- what came of it

    def report(self, nginx: Nginx) -> bool:
        """Print the figures; False when anything is wrong, lost or there twice."""
        sent = sum(int(line.split()[3]) for line in nginx.requests())
        beyond = sent - self.total
        per_kill = beyond / max(1, self.running_at_kills)
        print(
            f"  {self.kills} kills with {self.running_at_kills / max(1, self.kills):.1f} transfers running on average"
        )
        print(
            f"  sent beyond the files: {beyond:,} bytes, {per_kill:,.0f} per running transfer and kill"
        )
        if self.named_at_kills:
            print(f"  files with two names at a kill: {self.named_at_kills}")
        for who, pauses in self.pauses.items():
            if pauses:
                print(
                    f"  from death to the next stored byte ({who}): median {statistics.median(pauses):.2f} s,"
                    f" worst {max(pauses):.2f} s"
                )
        wrong, extra = self._files()
        lost, repeated, again = self._events()
        print(f"  files wrong or missing: {wrong}; other names or parts left: {extra}")
        print(
            f"  events lost: {lost}; repeated as another event: {repeated}; told again under the same number: {again}"
        )
        return not (wrong or extra or lost or repeated)

    def _files(self) -> tuple[int, int]:
        there = set(os.listdir(self.out))
        wrong = sum(
            name not in there or _digest(self.out / name) != _digest(self.root / name)
            for name in self.sizes
        )
        return wrong, len(there - set(self.sizes))

    def _events(self) -> tuple[int, int, int]:
        _, journal = left(self.state)
        due = [event for event in journal if event["type"] in TERMINAL]
        told = {event["eventId"] for event in self.told}
        per_task = Counter((event["type"], event.get("taskIdentifier")) for event in due)
        missing = sum(
            not per_task[name, number + 1]
            for name in _PER_TASK
            for number in range(len(self.sizes))
        )
        shown = Counter(event["eventId"] for event in self.told if _is_shown(event))
        unheard = () if self.deaf else (event for event in due if event["eventId"] not in told)
        return (
            missing + sum(1 for _ in unheard),
            sum(count - 1 for count in per_task.values()),
            sum(count - 1 for count in shown.values()),
        )


_PER_TASK = ("downloadcompleted", "sessioncompleted")


def _is_shown(event: Mapping[str, Any]) -> bool:
    return (
        event["say"] == "heard"
        and event["type"] in TERMINAL
        and event["sessionIdentifier"] == SESSION
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument(
        "--standby", type=int, default=10, metavar="N", help="kills that the standby answers (10)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--small", action="store_true")
    arguments = parser.parse_args(words)
    if PATH is None:
        print(WHY_NOT, file=sys.stderr)
        return 2
    if arguments.small:
        rounds = -(-arguments.kills // KILLS_OF_MANY)
        well = [_many(number, arguments.seed) for number in range(rounds)]
        return 0 if all(well) else 1
    with tempfile.TemporaryDirectory(prefix="transfermon-survival.") as folder:
        run = Survival(Path(folder), arguments.files, arguments.seed)
        seconds = (arguments.kills + 3 * arguments.standby) * BETWEEN
        rate = max(20_000, int(run.total / seconds / AT_ONCE))
        print(
            f"{arguments.files} files of {SMALLEST} to {LARGEST} MiB, {run.total / MIB:.0f} MiB in all,"
            f" {rate / 1000:.0f} kB/s a connection, seed {arguments.seed}"
        )
        with running(Path(folder) / "nginx", run.root, server=f"limit_rate {rate};") as nginx:
            run.by_standby(nginx, arguments.standby)
            run.by_harness(nginx, arguments.kills)
            return 0 if run.report(nginx) else 1


def _many(number: int, seed: int) -> bool:
    """One round with small files."""
    with tempfile.TemporaryDirectory(prefix="transfermon-survival.") as folder:
        run = Survival(Path(folder), MANY, seed + number, small=True, deaf=number % 2 == 1)
        print(f"{MANY} small files, {run.total / MIB:.0f} MiB in all, seed {seed + number}")
        with running(Path(folder) / "nginx", run.root) as nginx:
            run.many_small(nginx, KILLS_OF_MANY)
            return run.report(nginx)


if __name__ == "__main__":
    sys.exit(main())
