"""The table of speed and memory: this build beside an earlier one and beside other programs.

    python -m benchmarks --table [--only NAME]... [--rounds N] [--busy no|yes|both] [--before COMMIT]
                                 [--json FILE] [--document FILE]

Each contest is one run of all its programs in turn, with the machine free and again with one core
busy. `--json` keeps what was measured; contests that are measured again replace their lines in it.
`--document` writes the table between the marks in a Markdown file. It ends with 1 when a floor does
not hold, and says what it could not measure.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from benchmarks import tunnel
from benchmarks.builds import ROOT, Build, earlier
from benchmarks.contest import BEFORE, THIS, a_busy_core
from benchmarks.contests import CONTESTS, LINES, Place, place_in
from tests.helpers.nginx import PATH, WHY_NOT

FIRST = "abfcd89"  # the build from which the floors and goals count
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
BUSY = {"no": ("free",), "yes": ("busy",), "both": ("free", "busy")}
LOADS = {"free": "both cores free", "busy": "one core busy"}


def machine() -> dict[str, str]:
    """What the figures depend on."""
    processors = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text("utf-8"))
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text("ascii"))
    programs = {"aria2c": "--version", "curl": "--version", "nginx": "-v", "wget": "--version"}
    found = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": processors[0].strip() if processors else platform.machine(),
        "memory": f"{int(memory[1]) / 2**20:.0f} GiB" if memory else "",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "commit": _output(["git", "-C", str(ROOT), "describe", "--always", "--dirty"]),
    }
    for name, word in programs.items():
        where = shutil.which(name) or f"/usr/sbin/{name}"
        if os.access(where, os.X_OK):
            version = re.search(r"\d+(?:\.\d+)+", _output([where, word]))
            found[name] = version[0] if version else ""
    return found


def _output(command: list[str]) -> str:
    ended = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return ended.stdout.strip()


def measure(place: Place, name: str, rounds: int, load: str) -> dict[str, Any]:
    """One contest, in the words of the JSON."""
    if name in LINES and (reason := tunnel.why_not()):
        return {"name": name, "why_not": reason}
    place.clear()
    beside = a_busy_core() if load == "busy" else nullcontext()
    with beside, contextmanager(CONTESTS[name])(place) as contest:
        result = contest.result(contest.run(rounds), load)
    place.clear()
    return result


def show(result: dict[str, Any], load: str) -> None:
    print(f"\n{result.get('words', result['name'])} ({LOADS[load]})", flush=True)
    if "why_not" in result:
        print(f"  not measured: {result['why_not']}")
        return
    for name, figures in result["programs"].items():
        line = "".join(f"  {key} {value:g}" for key, value in figures.items())
        print(f"  {name:<18}{line}{'  (one run)' if name in result['once'] else ''}")
    for name in result["missing"]:
        print(f"  {name:<18}  not installed, or not asked for")
    for claim in result["claims"]:
        before = f", before {claim['before']}" if claim["before"] else ""
        print(f"  {claim['words']}: {claim['value']}{before} ({claim['marks']}) {claim['verdict']}")


def markdown(measured: dict[str, Any]) -> str:
    """The table as it stands in a document."""
    about = measured["machine"]
    versions = ", ".join(
        f"{name} {about[name]}" for name in ("nginx", "curl", "aria2c", "wget") if name in about
    )
    intro = (
        f"Measured on {about['date']} at {about['commit']}: {about['cores']} cores "
        f"({about['processor']}), {about['memory']}, Linux {about['kernel']}, "
        f'Python {about["python"]}; {versions}. "Before" is the build {measured["before"]}, '
        "measured in the same run."
    )
    lines = [
        intro,
        "",
        "| what | before | now | with one core busy | floor; goal; stretch | reached |",
        "|---|---|---|---|---|---|",
    ]
    busy = measured.get("busy", {})
    free = measured.get("free", {})
    for name in CONTESTS:
        result = free.get(name, {"why_not": "not in this run"})
        if "why_not" in result:
            lines.append(f"| {name} | | not measured: {result['why_not']} | | | |")
            continue
        beside = busy.get(name, {}).get("claims", [])
        lines.append(f"| **{result['words']}** ({result['rounds']} rounds) | | | | | |")
        for number, claim in enumerate(result["claims"]):
            also = beside[number] if number < len(beside) else {**claim, "value": "", "verdict": ""}
            marks, reached = claim["marks"], claim["verdict"]
            if also["marks"] != marks:
                marks += f" (busy: {also['marks']})"
            if also["verdict"] != reached and also["verdict"]:
                reached += f" (busy: {also['verdict']})"
            lines.append(
                f"| {claim['words']} | {claim['before'] or ''} | {claim['value'] or ''} "
                f"| {also['value'] or ''} | {marks} | {reached} |"
            )
    lines += [
        "",
        "Medians of each program, both cores free:",
        "",
        *_programs(free),
    ]
    return "\n".join(lines)


def _programs(free: dict[str, Any]) -> list[str]:
    lines = ["| | program | seconds | CPU seconds | peak MB |", "|---|---|---|---|---|"]
    for result in free.values():
        for name, figures in result.get("programs", {}).items():
            once = " (one run)" if name in result["once"] else ""
            peak = f"{figures['peak']:.0f}" if "peak" in figures else ""
            lines.append(
                f"| {result['words']} | {name}{once} | {figures['seconds']:.3g} "
                f"| {figures['cpu']:.3g} | {peak} |"
            )
    return lines


def write_document(path: Path, measured: dict[str, Any]) -> None:
    """Raises ValueError when the file has no marks."""
    text = path.read_text(encoding="utf-8")
    before, mark, rest = text.partition(BEGIN)
    _, other, after = rest.partition(END)
    if not (mark and other):
        raise ValueError(f"{path} has no {BEGIN} and {END}")
    path.write_text(f"{before}{mark}\n{markdown(measured)}\n{other}{after}", encoding="utf-8")


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks --table",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", action="append", choices=list(CONTESTS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--busy", choices=list(BUSY), default="both")
    parser.add_argument("--before", default=FIRST, metavar="COMMIT", help="or none")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--document", type=Path, metavar="FILE")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    arguments = _arguments(sys.argv[1:] if words is None else words)
    if PATH is None:
        print(WHY_NOT, file=sys.stderr)
        return 2
    measured: dict[str, Any] = {}
    if arguments.json is not None and arguments.json.exists():
        measured = json.loads(arguments.json.read_text(encoding="utf-8"))
    measured |= {"machine": machine(), "before": arguments.before}
    missed: list[str] = []
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="transfermon-bench.", dir=base) as text:
        folder = Path(text)
        builds = {THIS: Build(name=THIS, checkout=ROOT, compiled=folder / "compiled-this")}
        if arguments.before != "none":
            try:
                checkout = earlier(arguments.before)
            except RuntimeError as exc:
                print(f"no build before: {exc}")
            else:
                builds[BEFORE] = Build(
                    name=BEFORE, checkout=checkout, compiled=folder / "compiled-before"
                )
        with place_in(folder, builds) as place:
            for name in arguments.only or CONTESTS:
                for load in BUSY[arguments.busy]:
                    result = measure(place, name, arguments.rounds, load)
                    measured.setdefault(load, {})[name] = result
                    show(result, load)
                    missed += [
                        f"{result['words']}: {claim['words']} ({LOADS[load]})"
                        for claim in result.get("claims", [])
                        if claim["verdict"] == "MISSED"
                    ]
                    if arguments.json is not None:
                        arguments.json.write_text(json.dumps(measured, indent=1), encoding="utf-8")
    if arguments.document is not None:
        write_document(arguments.document, measured)
    for sentence in missed:
        print(f"floor missed: {sentence}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
