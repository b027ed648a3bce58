"""What was found, as tables in Markdown and in one line; and what of it is a fault of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.servers import trials
from tools.servers.setups import Setup

Result = dict[str, Any]

BEGIN, END = "<!-- tables: made by tools/servers, not by hand -->", "<!-- end of the tables -->"
_SENDS = (
    "Set-up",
    "version",
    "tag",
    "date",
    "Range",
    "its tag",
    "another tag",
    "its date",
    "an old date",
    "not told",
)
_HAPPENED = (
    "Set-up",
    "doctor",
    "unchanged",
    "other bytes",
    "other bytes, same time",
    "two bytes, same time",
    "longer",
    "shorter",
)
_UPLOADS = ("Set-up", "version", "connection broken", "program killed, run again", "last words")


def in_short(result: Result) -> str:
    """One line for the terminal."""
    if "unavailable" in result:
        return f"not to be had: {result['unavailable']}"
    parts = [result["version"]]
    if "downloads" in result:
        parts.append(f"doctor {result['doctor'][0]!r}")
        parts += [
            f"{change}: {_with_words(outcome)}" for change, outcome in result["downloads"].items()
        ]
    parts += [
        f"{name} upload: {_with_words(outcome)}"
        for name, outcome in result.get("uploads", {}).items()
    ]
    return "; ".join(parts)


def faults(result: Result) -> list[str]:
    """A line for each thing that must not be, of this set-up."""
    found = [
        f"{result['key']}, {name}: {_with_words(outcome)}"
        for name, outcome in {**result.get("downloads", {}), **result.get("uploads", {})}.items()
        if outcome["verdict"] in (trials.MIXTURE, trials.UNSENT)
        or (outcome["verdict"] == trials.FAILED and name in trials.CHANGES)
    ]
    if "doctor" in result and not _doctor_agrees(result):
        happened = result["downloads"]["unchanged"]["verdict"]
        found.append(f"{result['key']}: doctor says {result['doctor'][0]!r}, but it {happened}")
    return found


def write(path: Path, setups: Mapping[str, Setup], found: Mapping[str, Result]) -> None:
    """The document with new tables between its two marks; the text around them stays."""
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    ran = [result for result in found.values() if "unavailable" not in result]
    downloads = [result for result in ran if "downloads" in result]
    uploads = [result for result in ran if "uploads" in result]
    servers = {setups[result["key"]].group for result in ran}
    parts = [
        BEGIN,
        f"{len(ran)} set-ups of {len(servers)} servers, {len(downloads)} for downloads and {len(uploads)} for uploads.",
        "## What they send",
        _table(_SENDS, map(_sends, downloads)),
        "## What became of a download",
        _table(_HAPPENED, map(_downloads, downloads)),
        *_failures(downloads),
        "## What became of an upload",
        _table(_UPLOADS, map(_uploads, uploads)),
        *_missing(found.values()),
        END,
    ]
    path.write_text(before + "\n\n".join(parts) + after, encoding="utf-8")


# ---- cells


def _sends(result: Result) -> list[str]:
    sends = result["sends"]
    ranges = sends["range"] + ("" if sends["accept_ranges"] else ", unannounced")
    if sends["accept_ranges"] == "none":
        ranges = f"{sends['range']}, says none"
    kept = sends.get("kept")
    told = "own clock" if kept is None else ", ".join(name for name in kept) or "nothing"
    conditions = [
        sends[name] or "–" for name in ("if_tag", "if_other_tag", "if_date", "if_old_date")
    ]
    return [result["name"], result["version"], _tag(sends), _date(sends), ranges, *conditions, told]


def _tag(sends: Mapping[str, Any]) -> str:
    tag = sends["tag"]
    kind = (
        "weak"
        if tag.startswith("W/")
        else "strong"
        if tag.startswith('"')
        else "unquoted"
        if tag
        else "none"
    )
    return ", ".join(
        [kind, *sends["digests"], *([f"coded {sends['coding']}"] if sends["coding"] else [])]
    )


def _date(sends: Mapping[str, Any]) -> str:
    return ("yes" if sends["date"] else "no") + ("" if sends["length"] else ", no length")


def _downloads(result: Result) -> list[str]:
    return [
        result["name"],
        result["doctor"][0] or "error",
        *map(_happened, result["downloads"].values()),
    ]


def _uploads(result: Result) -> list[str]:
    outcomes = result["uploads"]
    words = "" if outcomes["killed"]["code"] == 0 else outcomes["killed"]["words"]
    return [result["name"], result["version"], *map(_happened, outcomes.values()), words]


def _happened(outcome: Mapping[str, Any]) -> str:
    again = outcome["again"]
    if outcome["code"] or again < 1000 or outcome["verdict"] == trials.UNSEEN:
        return str(outcome["verdict"])
    return f"{outcome['verdict']}, {again / 1000:.0f} kB"


def _with_words(outcome: Mapping[str, Any]) -> str:
    words = outcome["words"]
    return (
        f"{_happened(outcome)}: {words}"
        if outcome["code"] or outcome["verdict"] == trials.UNSENT
        else _happened(outcome)
    )


# ---- the rest


def _failures(results: Iterable[Result]) -> list[str]:
    lines = [
        f"- {result['name']}, {change}: {outcome['words']}"
        for result in results
        for change, outcome in result["downloads"].items()
        if outcome["code"]
    ]
    return ["The words of those that failed:", "\n".join(lines)] if lines else []


def _missing(results: Iterable[Result]) -> list[str]:
    lines = [
        f"- {each['name']}: {each['unavailable']}" for each in results if "unavailable" in each
    ]
    return ["## Not to be had", "\n".join(lines)] if lines else []


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '¦') for cell in line)} |" for line in lines)


def _doctor_agrees(result: Result) -> bool:
    happened = result["downloads"]["unchanged"]["verdict"]
    if happened not in (trials.RESUMED, trials.RESTARTED, trials.UNSEEN):
        return False
    return bool((result["doctor"][0] in ("yes", "with care")) == (happened == trials.RESUMED))
