"""Dates in the fields of a head (RFC 9110 §5.6.7): read in any of their three forms, written in the
one that is left.

Rule: a form that nobody should write any more is read by the standard library, which takes as long
to load as a small transfer takes, and is loaded for it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from transfermon.model.lazy_pattern import lazy_pattern

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_USUAL = lazy_pattern(
    rf"(?:{'|'.join(_DAYS)}), ([0-9]{{2}}) ({'|'.join(_MONTHS)}) ([1-9][0-9]{{3}})"
    r" ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)


def http_date(text: str) -> float | None:
    """Epoch seconds of a date in any of the three forms; None for anything else."""
    text = text.strip()
    if not text:
        return None
    try:
        usual = _USUAL.fullmatch(text)
        if usual is None:
            return _odd_date(text)
        day, month, year, *clock = usual.groups()
        hour, minute, second = map(int, clock)
        when = datetime(
            int(year), _MONTHS.index(month) + 1, int(day), hour, minute, second, tzinfo=UTC
        )
        return when.timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None


def _odd_date(text: str) -> float:
    from email.utils import parsedate_to_datetime

    return parsedate_to_datetime(text).timestamp()


def date_field(now: float) -> str:
    """Epoch seconds as a field has them; what is behind the second is left out."""
    when = time.gmtime(now)
    return (
        f"{_DAYS[when.tm_wday]}, {when.tm_mday:02} {_MONTHS[when.tm_mon - 1]} {when.tm_year:04}"
        f" {when.tm_hour:02}:{when.tm_min:02}:{when.tm_sec:02} GMT"
    )
