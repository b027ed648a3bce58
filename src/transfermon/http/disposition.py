"""The name in a Content-Disposition field, as browsers read it (RFC 6266, RFC 8187, RFC 2047).

Rule: what Chromium or Firefox take for a name is one here. Where they differ, the reading that
gives a name is taken; a field that none of them can read gives none, and the address names the
file. What comes out is not safe yet.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from transfermon.model.lazy_pattern import lazy_pattern

_TOKEN = lazy_pattern(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_WORD = lazy_pattern(r"=\?([^?\s]+)\?([bBqQ])\?([^?\s]*)\?=")
_Q = lazy_pattern(rb"=([0-9A-Fa-f]{2})")
_EXTENDED = lazy_pattern(r"([^']+)'[^']*'(.+)", re.DOTALL)
_EXTENDED_VALUE = lazy_pattern(r"(?:[^%'\"]|%[0-9A-Fa-f]{2})*", re.DOTALL)
_GB2312 = lazy_pattern(
    rb"(?:[\xb0-\xf7][\xa1-\xfe]){2,}"
)  # two Chinese characters in a row, or more
_HIGH = lazy_pattern(rb"[\x80-\xff]+")

# The names that the web has for its character sets (encoding.spec.whatwg.org), without "-" and "_",
# to Python's codecs.
_CHARSETS = {
    **dict.fromkeys(("utf8", "unicode11utf8"), "utf-8"),
    **dict.fromkeys(("iso88591", "latin1", "usascii", "ascii", "windows1252", "cp1252"), "cp1252"),
    **dict.fromkeys(("gbk", "gb2312", "gb18030", "cp936", "ms936", "xgbk", "euccn", "chinese"), "gb18030"),
    **dict.fromkeys(("big5", "big5hkscs", "cp950", "xxbig5"), "big5hkscs"),
    **dict.fromkeys(("shiftjis", "sjis", "windows31j", "ms932", "cp932", "xsjis", "mskanji"), "cp932"),
    **dict.fromkeys(("euckr", "ksc5601", "ksc56011987", "ksc56011989", "korean", "windows949", "cp949"), "cp949"),
    **dict.fromkeys(("iso88599", "latin5", "windows1254", "cp1254"), "cp1254"),
    **dict.fromkeys(("iso885911", "tis620", "windows874", "cp874"), "cp874"),
    **dict.fromkeys(("eucjp", "xeucjp"), "euc_jp"),
    **dict.fromkeys(("ibm866", "cp866", "866"), "cp866"),
    **dict.fromkeys(("iso2022jp", "csiso2022jp"), "iso2022_jp"),
    **dict.fromkeys(("macintosh", "mac", "xmacroman"), "mac_roman"),
    **{f"{prefix}{number}": f"cp{number}" for number in (1250, 1251, 1253, 1255, 1256, 1257, 1258) for prefix in ("windows", "cp")},
    **{f"iso8859{number}": f"iso8859-{number}" for number in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 16)},
    "iso885915": "iso8859-15",
    "koi8r": "koi8-r",
    "koi8u": "koi8-u",
}  # fmt: skip


def filename_in(value: str, charset: str = "") -> str:
    """The name that a Content-Disposition field gives, or "".

    `filename*` goes before `filename` where it can be read, the first of each before later ones. In
    `filename`, words by RFC 2047 and percent signs are undone. Bytes that are no UTF-8 are read by
    `charset` (of the answer's type), else as Chinese where they are that beyond doubt, else as
    Windows-1252.
    """
    plain = extended = ""
    for name, raw in _parameters(value):
        if name == "filename*":
            extended = extended or _extended(raw)
        elif name == "filename":
            plain = plain or _decoded(_unquoted(raw), charset)
    return extended or plain


def text_of(raw: bytes, charset: str = "") -> str:
    """Bytes in a name as text: UTF-8 where they are that."""
    with contextlib.suppress(UnicodeError):
        return raw.decode("utf-8")
    for name in (_codec(charset), "gb18030" if _is_chinese(raw) else ""):
        if name:
            try:
                return raw.decode(name)
            except UnicodeError:
                continue
    return _western(raw)


def _parameters(value: str) -> Iterator[tuple[str, str]]:
    """Names in lower case and raw values, as they stand; what has no “=” is left out."""
    head, _, rest = value.partition(";")
    if "=" in head:  # the type is missing, as some servers have it
        rest = value
    elif head.strip() and not _TOKEN.fullmatch(head.strip()):
        return
    for part in _split(rest):
        name, equals, raw = part.partition("=")
        if equals:
            yield name.strip().lower(), raw.strip()


def _split(text: str) -> Iterator[str]:
    """The parts between semicolons; those inside quotation marks do not count, and an open mark
    ends with the field.
    """
    start, quoted, position = 0, False, 0
    while position < len(text):
        char = text[position]
        if char == "\\" and quoted:
            position += 1
        elif char == '"':
            quoted = not quoted
        elif char == ";" and not quoted:
            yield text[start:position]
            start = position + 1
        position += 1
    yield text[start:]


def _unquoted(raw: str) -> str:
    if not raw.startswith('"'):
        return raw
    inside = raw[1:]
    if re.search(r'(?<!\\)(?:\\\\)*"\Z', inside):
        inside = inside[:-1]
    return re.sub(r"\\(.)", r"\1", inside, flags=re.DOTALL)


def _decoded(value: str, charset: str) -> str:
    """A value of `filename`, word by word: a blank between two words by RFC 2047 belongs to
    neither.
    """
    made, after_coded = "", False
    value = re.sub(r"\?=[ \t\r\n]+=\?", "?==?", value)
    for piece in re.split(r"([ \t\r\n])", value):
        if piece in ("", " ", "\t", "\r", "\n"):
            made += " " if piece and not after_coded else ""
            continue
        after_coded = piece.startswith("=?")
        word = _words(piece) if after_coded else _plain(piece, charset)
        if word is None:
            return ""  # as in browsers: a broken code is no name
        made += word
    return made


def _words(piece: str) -> str | None:
    """Encoded words in a row; characters may be cut between two of one character set. None when one
    is broken.
    """
    if _WORD.sub("", piece):
        return None
    found: list[tuple[str, bytes]] = []
    for charset, coding, text in _WORD.findall(piece):
        codec, raw = _codec(charset), _undone(coding.lower(), text)
        if not codec or raw is None:
            return None
        if found and found[-1][0] == codec:
            found[-1] = (codec, found[-1][1] + raw)
        else:
            found.append((codec, raw))
    try:
        return "".join(
            _western(raw) if codec == "cp1252" else raw.decode(codec) for codec, raw in found
        )
    except UnicodeError:
        return None


def _undone(coding: str, text: str) -> bytes | None:
    try:
        raw = text.encode("ascii")
        if coding == "b":
            return base64.b64decode(raw + b"=" * (-len(raw) % 4), validate=True)
    except (UnicodeError, binascii.Error):
        return None
    if b"=" in _Q.sub(b"", raw):
        return None
    return _Q.sub(lambda match: bytes([int(match[1], 16)]), raw.replace(b"_", b" "))


def _plain(piece: str, charset: str) -> str:
    """Raw bytes, which reach us as Latin-1, or percent signs that stand for UTF-8."""
    if not piece.isascii():
        try:
            return text_of(piece.encode("latin-1"), charset)
        except UnicodeEncodeError:
            return piece
    try:
        return unquote_to_bytes(piece).decode("utf-8")
    except UnicodeDecodeError:
        return piece


def _extended(raw: str) -> str:
    """`UTF-8''na%C3%AFve.txt` decoded (RFC 8187 §3.2); "" when the charset or the coding is
    wrong.
    """
    match = _EXTENDED.fullmatch(_unquoted(raw))
    codec = _codec(match[1]) if match else ""
    if match is None or not codec or not _EXTENDED_VALUE.fullmatch(match[2]):
        return ""
    try:
        coded = unquote_to_bytes(match[2].encode("latin-1"))
        return _western(coded) if codec == "cp1252" else coded.decode(codec)
    except UnicodeError:
        return ""


def _codec(charset: str) -> str:
    return _CHARSETS.get(re.sub(r"[-_\s]", "", charset).lower(), "")


def _western(raw: bytes) -> str:
    """Windows-1252, as the web reads ISO-8859-1; its five holes are the control characters of the
    latter.
    """
    return "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in raw)


def _is_chinese(raw: bytes) -> bool:
    """Whether all that is not ASCII are pairs of GB 2312, at least two in a row somewhere, and
    mostly common ones.

    Accented letters of western names stand alone or in twos, and those of Windows-1252 are no
    common pairs.
    """
    runs: list[bytes] = _HIGH.findall(raw)
    if not any(_GB2312.fullmatch(run) for run in runs) or any(len(run) % 2 for run in runs):
        return False
    try:
        raw.decode("gb2312")
    except UnicodeDecodeError:
        return False
    leads: list[int] = [byte for run in runs for byte in run[::2]]
    return sum(0xB0 <= byte <= 0xD7 for byte in leads) * 2 >= len(leads)
