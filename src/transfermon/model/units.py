"""Sizes, rates, durations and outside text, as people read them.

Rule: outside text passes `clean()` before it is shown; an unknown total is never drawn as 0 %.
"""

from __future__ import annotations

import unicodedata

from transfermon.model.translate import marked, tr

_UNITS = (
    "bytes",
    marked("kB"),
    marked("MB"),
    marked("GB"),
    marked("TB"),
    marked("PB"),
    marked("EB"),
)
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def size(count: float) -> str:
    """Decimal units, as file managers show them: "4.7 MB". Below zero is unknown: "–"."""
    if count < 0:
        return "–"
    if round(count) < 1000:
        return tr("%n bytes", "1 byte", round(count))
    value, unit = float(count), 0
    while round(value, 1) >= 1000 and unit < len(_UNITS) - 1:
        value /= 1000
        unit += 1
    number = f"{value:.0f}" if round(value, 1) >= 100 else f"{value:.1f}"
    return f"{number} {tr(_UNITS[unit])}"


def rate(per_second: float) -> str:
    """ "12.4 MB/s"; a dash when nothing moves."""
    return "–" if per_second < 1 else tr("{size}/s").format(size=size(per_second))


def duration(seconds: float) -> str:
    """ "45 s", "8 min", "1 h 04 min", "2 d 3 h"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return tr("{seconds} s").format(seconds=whole)
    minutes = round(whole / 60)
    if minutes < 60:
        return tr("{minutes} min").format(minutes=minutes)
    if minutes < 24 * 60:
        return tr("{hours} h {minutes:02} min").format(hours=minutes // 60, minutes=minutes % 60)
    hours = round(whole / 3600)
    return tr("{days} d {hours} h").format(days=hours // 24, hours=hours % 24)


def countdown(seconds: float) -> str:
    """ "0:12", "5:00", "1:00:00"; never below zero."""
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def time_left(done: int, total: int, per_second: float) -> str:
    """From a smoothed rate; a dash when stalled or when the total is unknown."""
    if total < 0 or per_second < 1:
        return "–"
    left = max(0, total - done) / per_second
    return duration(left) if left < 30 * 86400 else "–"


def percent(done: int, total: int) -> str:
    """ "47 %", rounded down so that 100 % means all of it; "" when the total is unknown."""
    if total < 0:
        return ""
    return "100 %" if done >= total else f"{max(0, done) * 100 // total} %"


def progress(done: int, total: int) -> str:
    """ "4.7 of 12 MB" in full: "4.7 MB of 12 MB (39 %)"; the bytes so far when the total is
    unknown.
    """
    return size(done) if total < 0 else _part(done, total)


def _part(done: int, total: int) -> str:
    return tr("{done} of {total} ({percent})").format(
        done=size(done), total=size(total), percent=percent(done, total)
    )


def clean(text: str, limit: int = 500) -> str:
    """Outside text on one line: controls, direction marks and invisible characters replaced, cut to
    `limit`.
    """
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text  # most are
    shown = "".join(_shown(char) for char in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: max(0, limit - 1)].rstrip() + "…"


def _shown(char: str) -> str:
    if char in "\n\r\t":
        return " "
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) in _HIDDEN else char
