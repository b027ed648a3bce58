"""Where the body of an answer ends (RFC 9112 §6.3)."""

from __future__ import annotations

from enum import Enum

from transfermon.model.task import Response

LONGEST = (1 << 63) - 1  # bytes that a file can have


class Framing(Enum):
    """How the end of a body is known when it has no length."""

    CHUNKED = "chunked"
    UNTIL_CLOSE = "until close"


def framing_of(head: Response, method: str) -> int | Framing:
    """The body's length, or how its end is known; the parser has refused contradictions before."""
    if method == "HEAD" or head.status in (204, 304):
        return 0
    if head.header("Transfer-Encoding"):
        return Framing.CHUNKED
    length = head.header("Content-Length")
    if length.isdecimal():
        return int(length)
    lengths = {part.strip() for part in length.split(",")} - {""}
    return int(lengths.pop()) if len(lengths) == 1 else Framing.UNTIL_CLOSE


def is_beyond_files(length: bytes) -> bool:
    """Whether a Content-Length is one that no file can have."""
    return any(part.strip().isdigit() and int(part) > LONGEST for part in length[:200].split(b","))
