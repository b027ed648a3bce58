"""The fields of resumable uploads: numbers, yes and no, and what a server takes."""

from __future__ import annotations

import re

from transfermon.model.lazy_pattern import lazy_pattern
from transfermon.model.record import record

_MEMBER = lazy_pattern(r"([a-z*][a-z0-9_.*-]*)(?:=(-?[0-9]{1,15}))?(?:;[^,]*)?")


@record
class Limits:
    """What a server takes: bytes and seconds; 0: no limit that it told of."""

    max_size: int = 0
    min_size: int = 0
    max_append: int = 0
    min_append: int = 0
    max_age: int = 0


def boolean(text: str) -> bool | None:
    """A structured boolean (RFC 9651 §3.3.6); None for anything else."""
    return {"?1": True, "?0": False}.get(text.strip().partition(";")[0].strip())


def integer(text: str) -> int | None:
    """A structured integer of zero or more; None for anything else."""
    bare = text.strip().partition(";")[0].strip()
    return int(bare) if bare.isascii() and bare.isdigit() and len(bare) <= 15 else None


def upload_limits(text: str) -> Limits:
    """`Upload-Limit`, a dictionary; members that are unknown or malformed count as not told."""
    found: dict[str, int] = {}
    for member in text.split(","):
        match = _MEMBER.fullmatch(member.strip())
        if match is not None and match[2] is not None and int(match[2]) >= 0:
            found[match[1]] = int(match[2])
    return Limits(
        max_size=found.get("max-size", 0),
        min_size=found.get("min-size", 0),
        max_append=found.get("max-append-size", 0),
        min_append=found.get("min-append-size", 0),
        max_age=found.get("max-age", found.get("expires", 0)),  # the name until version 6
    )


def expected_offset(body: str) -> int | None:
    """The `expected-offset` of a problem body (RFC 9457), for servers that leave the field out."""
    match = re.search(r'"expected-offset"\s*:\s*([0-9]{1,15})\b', body)
    return int(match[1]) if match else None
