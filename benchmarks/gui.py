"""The window with 10,000 transfers, 100 of them at full speed: stalls, frames, repaints, memory,
start, idle.

`python -m benchmarks.gui [--rounds N] [--case NAME]... [--platform NAME]` The app is the real one
with its engine, on a state directory that is filled before; the server is nginx. Without
`--platform` the window is drawn, and shown on no screen. It ends with 1 when a floor does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.helpers.nginx import PATH, WHY_NOT, Nginx, running
from transfermon.engine.monitor import Monitor
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.errors import Code, TransferError
from transfermon.model.events import Event
from transfermon.model.task import UNKNOWN, Activity, State, Task, changed
from transfermon.storage.changes import Change, SessionRow
from transfermon.storage.settings import Settings
from transfermon.storage.store import Store

MIB = 1 << 20
ROWS, HISTORY, AT_ONCE = 10_000, 5_000, 100
GOING = 1_000  # transfers that are to be done, so that so many at once run for the whole time
SIZES = range(16, 49, 4)  # MiB of their files: not all end in the same moment
SESSION = "org.example.bench"
TIMEOUT = 300


class Bench:
    """A folder, the server in front of its files, and the sentences of what does not hold."""

    def __init__(self, folder: Path, nginx: Nginx, rounds: int, platform: str) -> None:
        self.folder, self.nginx, self.rounds, self.platform = folder, nginx, rounds, platform
        self.missed: list[str] = []

    def probe(self, case: str, state: Path) -> dict[str, Any]:
        """What `benchmarks.gui_probe` saw in a process of its own."""
        answer = self.folder / "answer.json"
        words = [
            sys.executable,
            "-m",
            "benchmarks.gui_probe",
            case,
            str(state),
            str(answer),
            repr(time.monotonic()),
        ]
        environment = {
            **os.environ,
            "QT_QPA_PLATFORM": self.platform,
            "PYTHONPYCACHEPREFIX": str(self.folder / "compiled"),
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed app is compiled
        ended = subprocess.run(
            words, env=environment, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT, check=False
        )
        if ended.returncode or not answer.exists():
            raise RuntimeError(f"{case} ended with {ended.returncode}: {ended.stderr[-3000:]}")
        seen: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
        answer.unlink()
        return seen

    @contextmanager
    def state(self, finished: int, going: int = 0) -> Iterator[Path]:
        """A state directory with so many transfers, and nothing of it afterwards."""
        folder = self.folder / "state"
        try:
            asyncio.run(fill(folder, self.nginx, finished, going))
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def floor(
        self,
        what: str,
        value: float,
        most: float,
        unit: str,
        *,
        scale: float = 1.0,
        goal: float = 0.0,
    ) -> None:
        """One line of the report: a value that may not be larger than its floor."""
        held = value <= most
        words = f"floor {most * scale:g}" + (f", goal {goal * scale:g}" if goal else "")
        print(f"  {what:<58}{value * scale:>9.2f} {unit:<4} ({words}){'' if held else '   MISSED'}")
        if not held:
            self.missed.append(what)

    def note(self, what: str, value: float, unit: str) -> None:
        print(f"  {what:<58}{value:>9.2f} {unit}")


async def fill(folder: Path, nginx: Nginx, finished: int, going: int) -> None:
    """Make the state as an app would have left it: real records and events of one real transfer,
    many times.
    """
    out = folder / "downloads"
    out.mkdir(parents=True)
    settings = Settings(path=str(folder / "settings.json"))
    settings.replaced(
        download_folder=str(out),
        running_tasks=AT_ONCE,
        connections_per_host=AT_ONCE,
        keep_transferring=False,
    )
    template, events = await one_real(folder / "template", nginx)
    configuration = SessionConfiguration.background(SESSION)
    configuration.http_maximum_connections_per_host = AT_ONCE
    store = Store(str(folder / "transfermon.db"))
    await store.open()
    store.commit(
        Change(
            session=SessionRow(
                key=SESSION, configuration=configuration, next_number=finished + going + 1
            )
        )
    )
    sequence = 0
    added = time.time() - finished - going
    for number in range(1, finished + going + 1):
        done = number <= finished
        task = (
            ended(template, number, added + number)
            if done
            else due(template, number, added + number, nginx, out)
        )
        store.commit(Change(task=task))
        for event in events[: None if done else 1]:
            sequence += 1
            told = changed(
                event,
                session=SESSION,
                session_identifier=SESSION,
                task_identifier=number,
                task=task,
            )
            store.commit(
                Change(event=changed(told, sequence=sequence, event_id=f"bench-{sequence}"))
            )
    await store.read(lambda database: None)  # an event must be there before it can be acknowledged
    for number in range(1, sequence + 1):
        store.acknowledge(number)
    await store.close()


async def one_real(folder: Path, nginx: Nginx) -> tuple[Task, list[Event]]:
    """The record and the journal of a small download."""
    async with Monitor.open(str(folder), settings=Settings(download_folder=str(folder))) as monitor:
        session = monitor.session(SESSION)
        monitor.ready()
        task = session.download_task(nginx.url("/small.bin"))
        record = await task.wait()
        assert record.succeeded, record.error
        return record, await monitor.overview.history(task=task.key)


def ended(template: Task, number: int, added: float) -> Task:
    name = f"file-{number:05}.bin"
    path = os.path.join(os.path.dirname(template.final_path), name)
    times = {"added": added, "started": added, "finished": added + 1.0}
    task = changed(
        template, number=number, name=name, url=f"{template.url}?{number}", final_path=path, **times
    )
    if number % 20:
        return task
    error = TransferError(
        code=Code.BAD_SERVER_RESPONSE, message="The server does not have this file.", status=404
    )
    return changed(task, error=error, final_path="")


def due(template: Task, number: int, added: float, nginx: Nginx, out: Path) -> Task:
    """One that was waiting for its turn when the app ended."""
    url = nginx.url(f"/big{SIZES[number % len(SIZES)]}.bin?{number}")
    return Task(
        session=SESSION,
        number=number,
        kind=template.kind,
        url=url,
        state=State.RUNNING,
        activity=Activity.QUEUED,
        added=added,
        started=added,
        folder=str(out),
        name=f"going-{number:05}.bin",
        expected=UNKNOWN,
    )


def share(values: Sequence[float], percent: int) -> float:
    """The value that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


# The cases


def start(bench: Bench) -> None:
    """From the process's start to its first window: empty, bare, and with a history."""
    bare = [bench.probe("bare", bench.folder) for _ in range(bench.rounds)]
    found: dict[int, list[dict[str, Any]]] = {}
    for finished in (0, HISTORY, ROWS):
        with bench.state(finished) as state:
            bench.probe("start", state)  # once for the caches
            found[finished] = [bench.probe("start", state) for _ in range(bench.rounds)]
    print(
        f"\nstart ({bench.rounds} rounds, medians; from the start of the process to the first paint)"
    )

    def middle(finished: int, name: str) -> float:
        return statistics.median(float(seen[name]) for seen in found[finished])

    plain = statistics.median(seen["shown"] for seen in bare)
    bench.note("a bare window of Qt", plain * 1e3, "ms")
    bench.floor("the app's window, against it", middle(0, "shown") / plain, 2.5, "x", goal=1.4)
    bench.note(
        f"the app's window, {HISTORY:,} finished transfers", middle(HISTORY, "shown") * 1e3, "ms"
    )
    bench.floor(
        f"its list with {HISTORY:,} finished transfers",
        middle(HISTORY, "filled"),
        1.0,
        "ms",
        scale=1e3,
    )
    bench.floor(
        f"its list with {ROWS:,} finished transfers", middle(ROWS, "filled"), 3.0, "ms", scale=1e3
    )
    weight = (middle(ROWS, "resident") - middle(0, "resident")) / ROWS
    bench.note("memory of the whole app for a transfer in the list", weight / 1e3, "kB")


def full(bench: Bench) -> None:
    """All at once."""
    with bench.state(ROWS - GOING, GOING) as state:
        seen = bench.probe("full", state)
    print(f"\n{seen['rows']:,} transfers, {AT_ONCE} at once from nginx at full speed")
    bench.note("they bring", seen["rate"] / 1e6, "MB/s")
    bench.note("CPU of the app", seen["cpu"] * 100, "%")
    bench.note(f"still running at the end, of {AT_ONCE}", seen["running"], "")
    late = seen["rest"]
    bench.note("8 ms timer, lateness: median", share(late, 50) * 1e3, "ms")
    bench.floor(
        "8 ms timer, lateness: 99 of 100", share(late, 99), 0.016, "ms", scale=1e3, goal=0.005
    )
    bench.floor("longest stall of the window", max(late), 0.1, "ms", scale=1e3, goal=0.016)
    bench.floor("longest stall while it is scrolled", max(seen["scroll"]), 0.1, "ms", scale=1e3)
    bench.floor("longest stall while it is hidden", max(seen["hidden"]), 0.1, "ms", scale=1e3)
    for name, words in (("steps", "small steps"), ("pages", "whole pages")):
        bench.note(f"a frame of scrolling by {words}: median", share(seen[name], 50) * 1e3, "ms")
        bench.floor(
            f"a frame of scrolling by {words}: 99 of 100",
            share(seen[name], 99),
            0.016,
            "ms",
            scale=1e3,
        )
    bench.floor(
        "a new filter, to the list on the screen: slowest",
        max(seen["filter"]),
        0.1,
        "ms",
        scale=1e3,
    )
    bench.floor("repaints of one row in a second", seen["row_paints"], 4, "")
    bench.floor(
        f"repaints in {3} s while all that moves is out of sight",
        seen["out_of_sight_paints"],
        0,
        "",
    )
    bench.floor(f"repaints in {3} s of the hidden window", seen["hidden_paints"], 0, "")
    bench.note("peak of resident memory", seen["peak"] / 1e6, "MB")


def idle(bench: Bench) -> None:
    """Nothing to do."""
    with bench.state(ROWS) as state:
        seen = bench.probe("idle", state)
    print(f"\n{ROWS:,} finished transfers, nothing to do")
    bench.floor("CPU with the window in view", seen["idle_shown"], 0.01, "%", scale=100)
    bench.floor("CPU with the window hidden", seen["idle_hidden"], 0.01, "%", scale=100, goal=0.002)


def rows(bench: Bench) -> None:
    """The list alone."""
    seen = bench.probe("rows", bench.folder)
    print("\nthe list alone")
    for count, floor, goal in ((10_000, 0.1, 0.03), (100_000, 1.0, 0.25)):
        bench.floor(
            f"{count:,} rows loaded", seen[f"load_{count}"], floor, "ms", scale=1e3, goal=goal
        )
        bench.note(
            f"memory of {count:,} rows, without the records", seen[f"weight_{count}"] / 1e6, "MB"
        )
    bench.note("100 of 10,000 rows move: median", statistics.median(seen["flush_100"]) * 1e3, "ms")
    bench.note(
        "10,000 rows move: median (goal 5)", statistics.median(seen["flush_10000"]) * 1e3, "ms"
    )


CASES: dict[str, Callable[[Bench], None]] = {
    "start": start,
    "full": full,
    "idle": idle,
    "rows": rows,
}


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--case", action="append", choices=sorted(CASES), help="only this one (may be repeated)"
    )
    parser.add_argument(
        "--platform", default="offscreen", help="of Qt: offscreen, xcb, wayland (offscreen)"
    )
    arguments = parser.parse_args(words)
    if PATH is None:
        print(WHY_NOT, file=sys.stderr)
        return 2
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="transfermon-bench.", dir=base) as name:
        folder = Path(name)
        root = folder / "root"
        root.mkdir()
        (root / "small.bin").write_bytes(os.urandom(20_000))
        for size in SIZES:
            with open(root / f"big{size}.bin", "wb") as file:
                file.truncate(size * MIB)
        with running(folder / "nginx", root, log=False) as nginx:
            bench = Bench(folder, nginx, arguments.rounds, arguments.platform)
            for case in arguments.case or CASES:
                CASES[case](bench)
    for what in bench.missed:
        print(f"missed: {what}")
    return 1 if bench.missed else 0


if __name__ == "__main__":
    sys.exit(main())
