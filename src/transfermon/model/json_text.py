"""JSON that others wrote: read, or refused with a ValueError, by the same rules in every Python.

Rule: nothing is parsed before it is known how deep it goes. How deep `json` can go, and what
happens then, is another matter in each version of Python, and what was read is walked again by
others.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from transfermon.model.lazy_pattern import lazy_pattern

DEEPEST = 100  # arrays and objects in one another; documents of people have a dozen

_ALL_BUT_BRACKETS = lazy_pattern(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[^"\[\]{}]+', re.DOTALL)
_INNERMOST = lazy_pattern(r"\[\]|\{\}")


def loads(text: str | bytes, **options: Any) -> Any:
    """As `json.loads`, with its options. Raises ValueError for everything that cannot be read,
    JSONDecodeError where there is a place to name.
    """
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "surrogatepass")
    text = text.removeprefix("\ufeff")
    if is_deep(text):
        raise ValueError(
            f"It is nested too deeply: more than {DEEPEST} arrays and objects in one another."
        )
    return json.loads(text, **options)


def is_deep(text: str, most: int = DEEPEST) -> bool:
    """Whether more than `most` brackets are open at some place, or at the end."""
    if text.count("[") + text.count("{") <= most:
        return False
    left = _ALL_BUT_BRACKETS.sub("", text)
    for _ in range(most):
        left, pairs = _INNERMOST.subn("", left)
        if not pairs:
            break
    return left.count("[") + left.count("{") > (0 if _INNERMOST.search(left) else most)


def number(value: object) -> float | None:
    """A finite number; None for anything else, `true` and NaN included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None
