"""What can be seen of a head before it is read: whether one begins, where it ends, its status.

Rule: everybody who meets the first bytes of an answer asks here, and nobody else's grammar is
needed for it. No I/O here.
"""

from __future__ import annotations

import re

from transfermon.model.lazy_pattern import lazy_pattern

_STATUS = lazy_pattern(rb"HTTP(?:/[0-9.]*)?[ \t]+([0-9]{3})", re.IGNORECASE)
_LONGEST_STATUS = 64  # bytes in which the status of an answer is found, or never
# a strict parser ends a header block here, too, bare line feeds included
HEAD_END = lazy_pattern(rb"\n\r?\n")


class HeadError(ValueError):
    """A header block, or the framing of a body, that can be understood in two ways or in none."""


def may_begin(data: bytes | bytearray) -> bool:
    """Whether an HTTP/1 answer may begin like this."""
    return data[:4].upper() == b"HTTP"[: len(data)]


def status_in(data: bytes, at: int = 0) -> int | None:
    """The status in a status line that begins at `at`; None when there is none, or not yet."""
    match = _STATUS.match(data, at)
    return int(match[1]) if match else None


def is_final(data: bytes) -> bool:
    """Whether a final answer begins in these bytes; whole interim ones (1xx) before it are passed
    over.
    """
    at = 0
    while len(data) > at + 12:
        status = status_in(data, at)
        if status is None:
            return len(data) > at + _LONGEST_STATUS  # no answer at all
        if status >= 200 or status == 101:
            return True
        end = HEAD_END.search(data, at)
        if end is None:
            return False
        at = end.end()
    return False


def interim_heads(data: bytes) -> list[bytes]:
    """The whole interim answers (1xx) at the beginning of these bytes."""
    found, at = [], 0
    while data[at + 9 : at + 10] == b"1" and (end := HEAD_END.search(data, at)) is not None:
        found.append(data[at : end.end()])
        at = end.end()
    return found
