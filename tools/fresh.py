"""Both commands of the README on machines that have nothing: python3 -m tools.fresh [RELEASE ...]

Each release is a minimal system in a folder, with the HEAD of this checkout cloned into the empty
home of a normal user. `make run` has to come to a window with rows, `make test` to its end; where
they ask for packages, root runs the very line that they print, and they are called again. Logs and
a screenshot of each are in build/fresh. `--pythons` runs the tests alone, on each Python from 3.11
to 3.14. What cannot be had here is a line of the table, not a failure; when nothing at all could be
had, the exit code is 69.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tools import machine, screen
from tools.machine import Machine, UnavailableError, Way

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "fresh"
RELEASES = ("bookworm", "trixie", "testing", "noble")
PYTHONS = ("bookworm", "3.12", "trixie", "testing")  # 3.11 to 3.14; no release of Debian has 3.12
RUN_LIMIT, SUITE_LIMIT = 600, 2400
UNAVAILABLE = 69
HEAD = ("machine", "python", "packages", "make run", "suite", "result")
DEMO = '"$HOME/.local/state/transfermon-demo"'
LIST = f".venv/bin/transfermon --state-dir {DEMO} list --json"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table. Seconds of a command are its own, without the packages that root
    installs for it.
    """

    name: str
    python: str = ""
    packages: float = 0.0
    run: str = ""
    suite: str = ""
    result: str = "green"

    def cells(self) -> tuple[str, ...]:
        return (self.name, self.python, f"{self.packages:.0f} s", self.run, self.suite, self.result)

    @property
    def failed(self) -> bool:
        return self.result == "FAILED"

    @property
    def made(self) -> bool:
        return self.result in ("green", "FAILED")


def unavailable(name: str, why: str) -> Row:
    return Row(name=name, result=f"not to be had here: {why}")


def table(rows: list[Row]) -> str:
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def asked_for(log: str) -> str:
    """The line that a command wants root to run; "" when it wants none."""
    found = re.findall(r"as root, run: (.+)", log)
    return found[-1].strip() if found else ""


def counted(log: str, seconds: float) -> str:
    """A suite in a few words: how long it took and the last line of it that counts tests."""
    found = re.findall(r"\d+ (?:passed|failed)[^\n=]*", log)
    return f"{seconds:.0f} s" + (f", {re.sub(r' in [0-9.]+s.*', '', found[-1])}" if found else "")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    code: int | None  # None: it did not end
    seconds: float  # of its last call
    root_seconds: float  # of the line that it asked root for
    reached: bool


def carry_out(
    on: Machine,
    command: str,
    log: Path,
    limit: float,
    reached: Callable[[], bool] | None = None,
    variables: Mapping[str, str] | None = None,
) -> Outcome:
    """Run a command as the user until it ends, until `reached`, or for `limit` seconds.

    When it ends and asks for packages, root runs that line, once, and the command is called again.
    """
    asked = ""
    root_seconds = 0.0
    with log.open("wb") as output:
        while True:
            before, begun = output.tell(), time.monotonic()
            running = on.start(command, output, variables)
            code, hit = None, False
            while code is None and not hit and time.monotonic() - begun < limit:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    code = running.wait(0.5)
                hit = code is None and reached is not None and reached()
            seconds = time.monotonic() - begun
            line = asked_for(log.read_bytes()[before:].decode(errors="replace"))
            if code is None and not hit:
                on.end_all()
            if not code or not line or asked:
                return Outcome(code=code, seconds=seconds, root_seconds=root_seconds, reached=hit)
            asked, begun = line, time.monotonic()
            code = on.as_root(asked, output)
            root_seconds = time.monotonic() - begun
            if code:
                return Outcome(code=code, seconds=seconds, root_seconds=root_seconds, reached=False)
            output.seek(0, os.SEEK_END)


def run_to_window(on: Machine, name: str, shown: screen.Screen) -> tuple[Outcome, str]:
    """`make run` until its window is on the screen and the demo has rows; then a screenshot. And a
    few words of it.
    """
    seen: list[float] = []

    def reached() -> bool:
        if not seen and shown.has_window("transfermon"):
            seen.append(time.monotonic())
        return bool(seen) and '"id"' in on.answer(LIST)

    outcome = carry_out(
        on, "make run", OUT / f"{name}-run.log", RUN_LIMIT, reached, {"DISPLAY": shown.name}
    )
    if not outcome.reached:
        end = "no end" if outcome.code is None else f"exit code {outcome.code}"
        return outcome, f"no {'rows' if seen else 'window'}: {end} after {outcome.seconds:.0f} s"
    window = outcome.seconds - (time.monotonic() - seen[0])
    time.sleep(2)  # the first rows get their bars and pictures; this is for people to look at
    shown.save(OUT / f"{name}-run.png")
    return outcome, f"window {window:.0f} s, rows {outcome.seconds:.0f} s"


def fresh(release: str, way: Way, suite: str, *, only: str = "", again: bool = False) -> Row:
    """One new machine, and the commands on it."""
    row = Row(name=release)
    why = machine.why_not() or (screen.why_not() if only != "test" else "")
    if why:
        return unavailable(release, why)
    good = True
    try:
        with contextlib.ExitStack() as stack:
            shown = stack.enter_context(screen.running()) if only != "test" else None
            on = stack.enter_context(machine.running(release, way, ROOT, again=again))
            if shown is not None:
                outcome, words = run_to_window(on, release, shown)
                good = outcome.reached
                row = replace(row, run=words, packages=outcome.root_seconds)
                on.end_all()
            if only != "run":
                log = OUT / f"{release}-test.log"
                outcome = carry_out(on, suite, log, SUITE_LIMIT)
                good = good and outcome.code == 0
                words = counted(log.read_text(encoding="utf-8", errors="replace"), outcome.seconds)
                if outcome.code is None:
                    words += ", no end"
                row = replace(row, suite=words, packages=row.packages + outcome.root_seconds)
            python = on.answer("python3 -V").removeprefix("Python ")
    except UnavailableError as exc:
        return unavailable(release, str(exc))
    return replace(row, python=python, result="green" if good else "FAILED")


def python_here(version: str) -> str:
    """A Python of this version that works: named by PYTHON312 or the like, on the path, or one of
    pyenv's.
    """
    named = os.environ.get("PYTHON" + version.replace(".", ""), "")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [str(path) for path in sorted(pyenv.glob(f"{version}.*/bin/python3"), reverse=True)]
    for path in [named, shutil.which(f"python{version}") or "", *found]:
        check = [
            path,
            "-c",
            f"import venv, ensurepip, sys; sys.exit(sys.version_info[:2] != {tuple(map(int, version.split('.')))})",
        ]
        if path and subprocess.run(check, check=False, capture_output=True).returncode == 0:
            return path
    return ""


def here(version: str, suite: str) -> Row:
    """The suite on a Python of this system, in a clone of its own, with the system's packages as
    they are.
    """
    python = python_here(version)
    if not python:
        return unavailable("this system", f"no Python {version}")
    log = OUT / f"python{version}-test.log"
    with tempfile.TemporaryDirectory() as folder, log.open("wb") as output:
        subprocess.run(
            ["git", "clone", "-q", "--no-hardlinks", str(ROOT), f"{folder}/transfermon"], check=True
        )
        begun = time.monotonic()
        command = ["sh", "-c", suite]
        try:
            code: int | None = subprocess.run(
                command,
                cwd=f"{folder}/transfermon",
                env={**os.environ, "PYTHON": python},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=SUITE_LIMIT,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            code = None
        seconds = time.monotonic() - begun
    exact = subprocess.run(
        [python, "-V"], capture_output=True, text=True, check=True
    ).stdout.split()[-1]
    words = counted(log.read_text(encoding="utf-8", errors="replace"), seconds) + (
        "" if code is not None else ", no end"
    )
    return Row(
        name="this system", python=exact, suite=words, result="green" if code == 0 else "FAILED"
    )


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python3 -m tools.fresh", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "release",
        nargs="*",
        default=RELEASES,
        help="bookworm, trixie, testing, noble; 3.12 or the like is a Python of this system",
    )
    parser.add_argument(
        "--only", choices=("run", "test"), default="", help="one of the two commands"
    )
    parser.add_argument(
        "--suite", default="make test", metavar="COMMAND", help="in place of make test"
    )
    parser.add_argument("--pythons", action="store_true", help="the suite on each Python instead")
    parser.add_argument(
        "--again",
        action="store_true",
        help="make the minimal systems anew; else a month's old one does",
    )
    options = parser.parse_args(arguments)
    OUT.mkdir(parents=True, exist_ok=True)
    way = machine.way_here()
    wanted = PYTHONS if options.pythons else options.release
    only = "test" if options.pythons else options.only
    rows: list[Row] = []
    for name in wanted:
        if name[0].isdigit():
            row = here(name, options.suite)
        else:
            row = fresh(name, way, options.suite, only=only, again=options.again)
        print("  ".join(row.cells()), flush=True)
        rows.append(row)
    print(f"\n{table(rows)}\n\nlogs and screenshots: {OUT.relative_to(ROOT)}")
    if not any(row.made for row in rows):
        return UNAVAILABLE
    return 1 if any(row.failed for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
