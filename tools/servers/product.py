"""The program on trial: transfermon as a command, with a state folder of its own for each trial."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SECONDS = 120.0
_BREAK_SECONDS = 40.0  # some never break: what came was shorter, or failed
_PATIENCE = 10.0
_SETTLED = 0.3  # a part that has not grown for so long holds all that arrived


@dataclass(frozen=True, kw_only=True)
class Ended:
    code: int
    words: str


@dataclass(frozen=True, kw_only=True)
class Product:
    command: str
    state: Path

    def run(self, *words: str) -> Ended:
        """To its end; killed after two minutes, which is code -9."""
        process = self._start(*words)
        try:
            out, err = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
        return Ended(code=process.returncode, words=f"{out}\n{err}".strip())

    def run_until(
        self, broken: Sequence[threading.Event], folder: Path, least: int, *words: str
    ) -> Ended | None:
        """Until all connections broke and all that arrived is in the parts (at least so much is
        awaited for some seconds); then `kill -9`. Its end if it came first.
        """
        process = self._start(*words)
        end = time.monotonic() + _BREAK_SECONDS
        while (
            not all(each.wait(0.05) for each in broken)
            and process.poll() is None
            and time.monotonic() < end
        ):
            pass
        patience = time.monotonic() + _PATIENCE
        size, since = -1, time.monotonic()
        while process.poll() is None and (
            time.monotonic() < since + _SETTLED or (size < least and time.monotonic() < patience)
        ):
            now = _stored(folder)
            if now != size:
                size, since = now, time.monotonic()
            time.sleep(0.02)
        ended = process.poll() is not None
        process.kill()
        out, err = process.communicate()
        return Ended(code=process.returncode, words=f"{out}\n{err}".strip()) if ended else None

    def doctor(self, url: str) -> tuple[str, str]:
        """What it says of resuming ("yes", "with care", "no"; "" where it cannot say), and why."""
        ended = self.run("doctor", "--json", url)
        try:
            found = json.loads(ended.words)
        except ValueError:
            return "", ended.words[-300:]
        return found["resumes"], found["reason"]

    def _start(self, *words: str) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "TRANSFERMON_STATE_DIR": str(self.state),
            "QT_QPA_PLATFORM": "offscreen",
        }
        return subprocess.Popen(
            [self.command, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**environment, "NO_PROXY": "*"},
        )


def _stored(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob(".*.part"))
