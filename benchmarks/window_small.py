"""Small files that arrive while the window is shown, for the table."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.builds import Build
from benchmarks.window_builds import LIVE, SlowServer, copied, run_probe
from tests.helpers.nginx import Nginx


@contextlib.contextmanager
def files_in_window(
    folder: Path, nginx: Nginx, names: Sequence[str]
) -> Iterator[Callable[[Build], Mapping[str, float]]]:
    """A function that lets these files come into the window of a build; what it gives is in seconds,
    and milliseconds for how late its timer was. The rows that are live get a little, ten times a
    second.
    """
    server = SlowServer()
    states: dict[str, Path] = {}

    def state_of(build: Build) -> Path:
        if build.name not in states:
            state = states[build.name] = folder / build.name / "state"
            state.mkdir(parents=True)
            slow = f"http://127.0.0.1:{server.port}"
            words = [str(state), slow, str(LIVE), nginx.url("").rstrip("/"), str(len(names))]
            run_probe(build, ["fill_paused", *words], "offscreen")
        return states[build.name]

    def run(build: Build) -> Mapping[str, float]:
        filled, answer = state_of(build), folder / "answer.json"
        with copied(filled) as state:
            shutil.rmtree(filled.with_name("downloads"), ignore_errors=True)
            filled.with_name("downloads").mkdir()
            words = [str(state), str(answer), str(build.checkout), str(len(names) + LIVE)]
            run_probe(build, ["arrivals", *words, repr(time.monotonic())], "offscreen")
        seen: dict[str, float] = json.loads(answer.read_text(encoding="utf-8"))
        answer.unlink()
        return {key: seen[key] for key in ("seconds", "cpu", "late_p99", "late_max")}

    try:
        yield run
    finally:
        server.close()
        for state in states.values():
            shutil.rmtree(state.parent)
