"""The head that nearly every answer has, read at once: HTTP/1.1, and a body whose length is told.

Rule: what is read here, `heads.heal` leaves as it is and a strict parser reads alike. Everything
else, however slight, is none of its business: nothing is healed here, and nothing is guessed.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_VALUE = r"(?:[!-~\x80-\xff]+(?:[ \t]+[!-~\x80-\xff]+)*)?"
_STATUS_LINE = r"HTTP/1\.1 ([2-5][0-9][0-9])(?: [\t -~\x80-\xff]*)?\r\n"
_HEAD = re.compile(rf"{_STATUS_LINE}(?:{_NAME}:[ \t]*{_VALUE}[ \t]*\r\n)*\r\n")
_FIELDS = re.compile(rf"({_NAME}):[ \t]*({_VALUE})[ \t]*\r\n")
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
    text = block.decode("latin-1")
    match = _HEAD.fullmatch(text)
    if match is None:
        return None
    status = match[1]
    fields = _FIELDS.findall(text, text.index("\n") + 1)
    length, keeps = -1, True
    for name, value in fields:
        kind = _DECISIVE.get(name) or _DECISIVE.get(name.lower())
        if kind is None:
            continue
        if kind == "length":
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


_DECISIVE = {
    "content-length": "length",
    "connection": "connection",
    "transfer-encoding": "coding",
}
