"""The head of a request as it is written: its line, Host first, then the fields.

Rule: what is in the plain grammar is joined here; h11 judges all else, and writes it or refuses it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from transfermon.model.lazy_pattern import lazy_pattern
from transfermon.wire.wire_request import Outgoing, WireRequest, field_bytes

Fields = Sequence[tuple[str, str]]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_TARGET = lazy_pattern(r"[!-~]+")
_NAME = lazy_pattern(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = lazy_pattern(r"(?:[!-~\x80-\xff]+(?:[ \t]+[!-~\x80-\xff]+)*)?")
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
# they change what the message means, or where it ends
_DECISIVE = frozenset({"host", "connection", "transfer-encoding", "upgrade"})


def wire_request(
    method: str,
    target: str,
    host: str,
    given: Fields,
    *,
    body: bytes | AsyncIterator[bytes] | None = None,
    length: int | None = 0,
    outgoing: Outgoing | None = None,
) -> WireRequest:
    """With the fields that its body needs. `length` is that of the body, None where nobody knows
    it; a Content-Length that was given counts instead. Raises BadRequest, and UnicodeEncodeError
    for a name beyond ASCII.
    """
    fields, told, coded, keeps = [("Host", host), *given], "", False, True
    plain = method in _METHODS and _TARGET.fullmatch(target) is not None
    for name, value in given:
        lower = name.lower()
        if lower == "content-length":
            plain, told = plain and not told and value.isdecimal(), value
        elif lower in _DECISIVE:
            plain = False
            coded = coded or lower == "transfer-encoding"
            keeps = keeps and not (lower == "connection" and "close" in value.lower())
    if coded:
        length = None
    elif told:
        length = int(told) if told.isdecimal() else 0
    elif length is None:
        fields.append(("Transfer-Encoding", "chunked"))
    elif length or method in _WITH_BODY:
        fields.append(("Content-Length", str(length)))
    head = _plain_head(method, target, fields) if plain else None
    if head is None:
        encoded = [(name.encode("ascii"), field_bytes(value)) for name, value in fields]
        from transfermon.wire.unusual_answer import checked_head  # brings h11

        head = checked_head(method, target, encoded)
    return WireRequest(
        method, head, fields, body=body, length=length, keeps=keeps, outgoing=outgoing
    )


def _plain_head(method: str, target: str, fields: Fields) -> bytes | None:
    lines = [f"{method} {target} HTTP/1.1"]
    for name, value in fields:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            return None
        lines.append(f"{name}: {value}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
