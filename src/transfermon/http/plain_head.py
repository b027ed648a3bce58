"""The head that nearly every answer has, read at once: HTTP/1.1, and a body whose length is told.

Rule: what is read here, `heads.heal` leaves as it is and a strict parser reads alike. Everything
else, however slight, is none of its business: nothing is healed here, and nothing is guessed.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from transfermon.model.lazy_pattern import lazy_pattern

_STATUS_LINE = lazy_pattern(r"HTTP/1\.1 ([2-5][0-9][0-9])(?: .*)?")
_NAME = lazy_pattern(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TEXT = bytes([*b"\t\r\n", *range(0x20, 0x7F), *range(0x80, 0x100)])  # all that may be there
_LONGEST_LENGTH = 18  # digits; what is longer may be no file's
_NO_BODY = ("204", "304")  # whatever their fields say (RFC 9112 §6.3)


class PlainHead(NamedTuple):
    """A final head. `length` is that of the body behind it."""

    status: int
    fields: tuple[tuple[str, str], ...]
    length: int
    keeps: bool  # whether its server lets another request follow on this connection


def plain_head(block: bytes) -> PlainHead | None:
    """The head in a header block, down to its blank line; None where anything is unusual."""
    if block.translate(None, _TEXT):
        return None
    first, *lines = block.decode("latin-1").split("\r\n")
    match = _STATUS_LINE.fullmatch(first)
    ends = len(lines)
    if match is None or lines[-2:] != ["", ""]:
        return None
    if block.count(b"\r") != ends or block.count(b"\n") != ends:
        return None
    status, fields = match[1], []
    length, keeps = -1, True
    for line in lines[:-2]:
        name, colon, value = line.partition(":")
        value = value.strip(" \t")
        name, kind = _known(name) if colon else (name, "none")
        fields.append((name, value))
        if not kind:
            continue
        if kind == "content-length":
            if length >= 0 or not value.isdecimal() or len(value) > _LONGEST_LENGTH:
                return None
            length = int(value)
        elif kind == "connection" and value.lower() in ("close", "keep-alive"):
            keeps = keeps and value.lower() != "close"
        else:
            return None
    if status in _NO_BODY:
        length = 0
    if length < 0:
        return None
    return PlainHead(int(status), tuple(fields), length, keeps)


@functools.lru_cache(maxsize=1024)
def _known(name: str) -> tuple[str, str]:
    """The name, one object for all the heads that have it, and what its field is about, where it
    decides about the body's end or the connection's; "" for any other one, "none" for what is no
    name.
    """
    if not _NAME.fullmatch(name):
        return name, "none"
    lower = name.lower()
    return name, lower if lower in _DECISIVE else ""


_DECISIVE = frozenset({"content-length", "connection", "transfer-encoding"})
