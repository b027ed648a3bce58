"""What was found, as tables in Markdown and in one line; and what of it is a fault of ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.servers import trials
from tools.servers.setups import Setup

Result = dict[str, Any]


def in_short(result: Result) -> str:
    if "unavailable" in result:
        return f"not to be had: {result['unavailable']}"
    parts = [result["version"]]
    if "downloads" in result:
        parts.append(f"doctor {result['doctor'][0]!r}")
        parts += [f"{change}: {_happened(outcome)}" for change, outcome in result["downloads"].items()]
    parts += [f"{name} upload: {_happened(outcome)}" for name, outcome in result.get("uploads", {}).items()]
    return "; ".join(parts)


def faults(result: Result) -> list[str]:
    """A line for each thing that must not be, of this set-up."""
    found = []
    outcomes = {**result.get("downloads", {}), **result.get("uploads", {})}
    for name, outcome in outcomes.items():
        if outcome["verdict"] in (trials.MIXTURE, trials.UNSENT) or (
            outcome["verdict"] == trials.FAILED and name in trials.CHANGES
        ):
            found.append(f"{result['key']}, {name}: {outcome['verdict']}, {outcome['words']}")
    if "doctor" in result and not _doctor_agrees(result):
        happened = result["downloads"]["unchanged"]["verdict"]
        found.append(f"{result['key']}: doctor says {result['doctor'][0]!r}, but it {happened}")
    return found


def _doctor_agrees(result: Result) -> bool:
    happened = result["downloads"]["unchanged"]["verdict"]
    return bool((result["doctor"][0] in ("yes", "with care")) == (happened == trials.RESUMED)) and happened in (
        trials.RESUMED,
        trials.RESTARTED,
    )


def _happened(outcome: Mapping[str, Any]) -> str:
    verdict, again = outcome["verdict"], outcome["again"]
    if outcome["code"]:
        return f"{verdict}: {outcome['words']}"
    return f"{verdict} ({again / 1000:.0f} kB again)" if again >= 1000 else verdict


def write(path: Path, setups: Mapping[str, Setup], found: Mapping[str, Result]) -> None:
    raise NotImplementedError
