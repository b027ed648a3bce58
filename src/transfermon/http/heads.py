"""Header blocks as servers really send them, made fit for a parser that is strict (RFC 9112 §2.2,
§5, §6).

Rule: what decides where a body ends is read or refused, never dropped and never guessed. All else
that breaks the grammar may go, because nobody needs it. No I/O here.

| | |
|---|---|
| a valid block | kept, byte for byte |
| NUL, or a return without its line feed, anywhere | refused |
| `http/1.1`, `HTTP/1`, `HTTP`, blanks where one is meant, no blank behind the status, an unreadable reason | read |
| a line whose name is no token | dropped; refused where the name speaks of Content-Length or Transfer-Encoding |
| a folded line | goes or stays with its line, and never joins another one |
| a value with a form feed or a vertical tab | dropped with its line; refused in Content-Length and Transfer-Encoding |
| Transfer-Encoding that is empty or says `identity` (or curl's `none`) and nothing else | dropped: it is none |
| `identity, chunked`, or `chunked` in two lines | read as `chunked` |
| any other Transfer-Encoding, any Content-Length | kept for the parser, which takes or refuses it |
| Content-Length and Transfer-Encoding in trailers | dropped: they mean nothing there (RFC 9110 §6.5.1) |
"""

from __future__ import annotations

import re

from transfermon.http.head_marks import HeadError
from transfermon.model.lazy_pattern import lazy_pattern

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_TEXT = rb"[^\x00\r\n\x0b\x0c]*"
_END = rb"\r?\n"
_CODING = rb"(?i:transfer-encoding):"
_REST = rb"%b:%b%b(?:[ \t]%b%b)*" % (_TOKEN, _TEXT, _END, _TEXT, _END)
_FIELDS = rb"(?:(?!%b)%b)*" % (_CODING, _REST)
_CHUNKED = rb"%b[ \t]*(?i:chunked)[ \t]*%b(?![ \t])" % (_CODING, _END)
_STATUS_LINE = rb"HTTP/[0-9]\.[0-9] [0-9]{3}(?: %b)?%b" % (_TEXT, _END)
_VALID = lazy_pattern(
    rb"%b(?![ \t])%b(?:%b%b)?%b" % (_STATUS_LINE, _FIELDS, _CHUNKED, _FIELDS, _END)
)
_VALID_TRAILERS = lazy_pattern(
    rb"(?![ \t])(?:(?!(?i:content-length):)(?!%b)%b)*%b" % (_CODING, _REST, _END)
)

_VALID_STATUS_LINE = lazy_pattern(_STATUS_LINE)
_ODD_STATUS_LINE = lazy_pattern(
    rb"HTTP(?:/([0-9]{1,3})(?:\.([0-9]{1,3}))?)?[ \t]+([0-9]{3})(?![0-9])([^\n]*)\n", re.IGNORECASE
)
_LINES = lazy_pattern(rb"[^\n]*\n")
_NAME = lazy_pattern(_TOKEN)
_READABLE = lazy_pattern(_TEXT)
_BARE_RETURN = lazy_pattern(rb"\r(?!\n)")
_NO_PART_OF_A_NAME = lazy_pattern(rb"[^0-9A-Za-z-]")
_OF_THE_BODY = (b"content-length", b"transfer-encoding")
_NO_CODING = frozenset({b"identity", b"none"})


def heal(block: bytes, *, trailers: bool = False) -> bytes:
    """A header block, from the status line to the blank line that ends it, as a strict parser reads
    it.

    The same object when the block was valid; else the caller closes the connection after this
    answer. `trailers` are those behind a chunked body and have no status line. Raises HeadError.
    """
    if (_VALID_TRAILERS if trailers else _VALID).fullmatch(block):
        return block
    if b"\0" in block or _BARE_RETURN.search(block):
        raise HeadError("the head holds a NUL or a bare return")
    lines = _LINES.findall(block)
    end = lines.pop()  # the blank line
    healed = [] if trailers else [_status_line(lines.pop(0))]
    codings: list[tuple[int, bytes]] = []
    for group in _groups(lines):
        kept = _kept(group, trailers)
        if kept and _name(group[0]).lower() == b"transfer-encoding":
            codings.append((len(healed), kept))
        healed.append(kept)
    for (at, _), kept in zip(codings, _codings([kept for _, kept in codings]), strict=True):
        healed[at] = kept
    result = b"".join([*healed, end])
    return block if result == block else result


def _groups(lines: list[bytes]) -> list[list[bytes]]:
    """Each line with the folded ones that belong to it; those that belong to none are a group that
    starts folded.
    """
    groups: list[list[bytes]] = []
    for line in lines:
        if groups and line[:1] in (b" ", b"\t"):
            groups[-1].append(line)
        else:
            groups.append([line])
    return groups


def _status_line(line: bytes) -> bytes:
    if _VALID_STATUS_LINE.fullmatch(line):
        return line
    match = _ODD_STATUS_LINE.fullmatch(line)
    if match is None:
        raise HeadError("the status line cannot be read")
    major, minor, status, reason = match.groups()
    version = (
        b"1.1" if int(major or 0) > 1 or (int(major or 0) == 1 and int(minor or 0) >= 1) else b"1.0"
    )
    reason = reason.strip(b" \t\r")
    return b"HTTP/%b %b %b\r\n" % (version, status, reason if _READABLE.fullmatch(reason) else b"")


def _kept(group: list[bytes], trailers: bool) -> bytes:
    """The lines of one field as they are, or nothing. Raises HeadError for what may be about the
    body's end.
    """
    name = _name(group[0])
    whole = b"".join(group)
    about_the_body = name.lower() in _OF_THE_BODY
    if not name:
        if any(_speaks_of_the_body(line) for line in group):
            raise HeadError("a field about the length of the body cannot be read")
        return b""
    if about_the_body and trailers:
        return b""
    if b"\x0b" in whole or b"\x0c" in whole:
        if about_the_body:
            raise HeadError("a field about the length of the body cannot be read")
        return b""
    return whole


def _name(line: bytes) -> bytes:
    """The field's name; b"" where it is no token."""
    name, colon, _ = line.partition(b":")
    return name if colon and _NAME.fullmatch(name) else b""


def _speaks_of_the_body(line: bytes) -> bool:
    name = _NO_PART_OF_A_NAME.sub(b"", line.partition(b":")[0]).lower()
    return any(known in name for known in _OF_THE_BODY)


def _codings(fields: list[bytes]) -> list[bytes]:
    """The Transfer-Encoding fields of one head, each as it is to be read; all as they are where
    that is a question.
    """
    lists = [_members(field) for field in fields]
    codings = [member for members in lists for member in members]
    while codings and codings[0] in _NO_CODING:
        del codings[0]
    if not codings:
        return [b""] * len(fields)
    once = all(members.count(b"chunked") <= 1 for members in lists)
    if (
        set(codings) != {b"chunked"}
        or not once
        or (len(fields) == 1 and _value(fields[0]) == b"chunked")
    ):
        return fields
    return [b"Transfer-Encoding: chunked\r\n", *[b""] * (len(fields) - 1)]


def _members(field: bytes) -> list[bytes]:
    return [member for part in _value(field).split(b",") if (member := part.strip(b" \t"))]


def _value(field: bytes) -> bytes:
    """Unfolded, lower case."""
    return field.partition(b":")[2].replace(b"\r", b"").replace(b"\n", b"").strip(b" \t").lower()
