"""A program that is compared, and how one run of it is measured.

Rule: a run is a whole process, from its start to its end, with its output file removed just before,
so that each pays for new pages alike.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
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


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A program and how it is called; `prepare` runs before each run and is not timed."""

    name: str
    command: Sequence[str]
    prepare: Callable[[], None]
    stdin: str = ""
    environment: Mapping[str, str] | None = None
    check: Callable[[], None] | None = None  # raises RuntimeError when not all is there; not timed

    @property
    def available(self) -> bool:
        return shutil.which(self.command[0]) is not None


def measure(peer: Peer) -> Run:
    """Raises RuntimeError when the program fails: a quick failure must not look like speed."""
    peer.prepare()
    begin = time.perf_counter()
    process = subprocess.Popen(
        peer.command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=None if peer.environment is None else dict(peer.environment),
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
    if peer.check is not None:
        peer.check()
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
