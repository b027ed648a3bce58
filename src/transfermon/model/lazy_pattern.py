"""Regular expressions that are compiled when they are first used, not when their module is loaded: a
command uses few of them, and all together are a twentieth of its start.
"""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast


class _Lazy:
    """Stands for the pattern; what is asked of it once stays with it."""

    def __init__(self, pattern: str | bytes, flags: re.RegexFlag | int) -> None:
        self._made_from: tuple[Any, ...] = pattern, flags

    def __repr__(self) -> str:
        return f"lazy_pattern({self._made_from[0]!r})"

    def __getattr__(self, name: str) -> Any:
        found = getattr(re.compile(*self._made_from), name)
        setattr(self, name, found)
        return found


def lazy_pattern(pattern: AnyStr, flags: re.RegexFlag | int = 0) -> re.Pattern[AnyStr]:
    """As `re.compile`; a mistake in it is raised with its first use."""
    return cast("re.Pattern[AnyStr]", _Lazy(pattern, flags))
