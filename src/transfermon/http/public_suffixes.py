"""The list of public suffixes: which domains are nobody's own, so that no cookie may be set for all
of one.

Rule: the only module that knows the list's library. Reading the list takes 60 ms: `load` it on
another thread first.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


@functools.cache
def load() -> PublicSuffixList:
    """Blocking, the first time."""
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()


def is_public(domain: str) -> bool:
    """Whether many owners share the domain: `com`, `co.uk`, `github.io`, and every name without a
    dot.
    """
    return bool(load().is_public(domain))
