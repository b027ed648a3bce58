"""The programs that are compared, and how one run of one of them is measured.

Rule: a run is a whole process, from its start to its end, with its output file removed just before,
so that each pays for new pages alike. Rounds are interleaved and the order rotates; a ratio is the
median of the ratios of the rounds, so it survives a machine that is slower now than before.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one process took."""

    seconds: float
    cpu: float  # user and system seconds
    resident: tuple[int, ...]  # bytes of resident memory, sampled while it ran

    @property
    def peak(self) -> int:
        """Bytes. Sampled, since the kernel's own figure for a child begins with its parent's
        memory.
        """
        return max(self.resident, default=0)

    @property
    def flat(self) -> float:
        """Growth of the resident memory from the first quarter of the run to its end, in bytes."""
        quarter = self.resident[len(self.resident) // 4 :]
        return max(quarter) - quarter[0] if quarter else 0


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A program and how it is called; `prepare` runs before each run and is not timed."""

    name: str
    command: Sequence[str]
    prepare: Callable[[], None]
    stdin: str = ""
    timed: Callable[[str], float] | None = None  # reads the seconds that count from what it printed

    @property
    def available(self) -> bool:
        return shutil.which(self.command[0]) is not None


def transfermon(*words: str) -> list[str]:
    return [sys.executable, "-m", "transfermon", *words]


def measure(peer: Peer) -> Run:
    """Raises RuntimeError when the program fails: a quick failure must not look like speed."""
    peer.prepare()
    output = tempfile.TemporaryFile("w+") if peer.timed else None  # noqa: SIM115 - closed below
    begin = time.perf_counter()
    process = subprocess.Popen(
        peer.command,
        stdin=subprocess.PIPE,
        stdout=output or subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    samples: list[int] = []
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, samples, over))
    watcher.start()
    try:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(peer.stdin)
        process.stdin.close()
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stderr.close()
    finally:
        over.set()
        watcher.join()
    if process.returncode:
        raise RuntimeError(f"{peer.name} ended with {process.returncode}: {errors.strip()[-500:]}")
    if output is not None and peer.timed is not None:
        output.seek(0)
        seconds = peer.timed(output.read())
        output.close()
    return Run(
        seconds=seconds,
        cpu=usage.ru_utime + usage.ru_stime,
        resident=tuple(samples),
    )


def _watch(pid: int, samples: list[int], over: threading.Event) -> None:
    page = os.sysconf("SC_PAGE_SIZE")
    while not over.wait(0.005):
        try:
            samples.append(
                int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * page
            )
        except (OSError, IndexError, ValueError):
            return


def compare(
    title: str, peers: Sequence[Peer], *, rounds: int, amount: float, unit: str
) -> dict[str, list[Run]]:
    """Run all peers in turn, print a table; the first peer is ours, ratios say how much quicker it
    is.
    """
    present = [peer for peer in peers if peer.available]
    missing = [peer.name for peer in peers if not peer.available]
    for peer in present:
        measure(peer)  # once for the caches
    runs: dict[str, list[Run]] = {peer.name: [] for peer in present}
    for number in range(rounds):
        turn = number % len(present)
        for peer in present[turn:] + present[:turn]:
            runs[peer.name].append(measure(peer))
    ours = runs[present[0].name]
    print(f"\n{title} ({rounds} rounds, medians)")
    print(f"  {'program':<16}{unit:>10}{'seconds':>10}{'CPU s':>9}{'peak MB':>9}   quicker by")
    for name, found in runs.items():
        seconds = statistics.median(run.seconds for run in found)
        ratio = statistics.median(
            theirs.seconds / own.seconds for own, theirs in zip(ours, found, strict=True)
        )
        print(
            f"  {name:<16}{amount / seconds:>10.0f}{seconds:>10.2f}"
            f"{statistics.median(run.cpu for run in found):>9.2f}"
            f"{max(run.peak for run in found) / 1e6:>9.0f}   {'' if found is ours else f'{ratio:.2f}x'}"
        )
    for name in missing:
        print(f"  {name:<16}not installed")
    return runs
