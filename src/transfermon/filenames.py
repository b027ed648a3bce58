"""A safe file name from headers, an address or a stranger (SPEC D-12, D-13; RFC 6266, RFC 8187).

Rule: whatever comes in, `safe()` gives one component that is legal on every system, and a name that was
already so stays as it is. A name is never changed for its type.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote_to_bytes, urlsplit

from transfermon.task import Response

FALLBACK = "download"
LONGEST = 255  # bytes of UTF-8

_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"]
    + [f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"]
)
_ILLEGAL = '<>:"|?*'  # on Windows and FAT; a file is carried there sooner or later
_REPLACED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # controls, direction marks, zero width, half characters
_EXTENSION = re.compile(r"(?:\.tar)?\.[^.\s]{1,20}\Z", re.IGNORECASE)
_PARAMETER = re.compile(r'\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"\s*|([^;"][^;]*)|)(?:;|\Z)', re.DOTALL)
_EXTENDED = re.compile(r"([A-Za-z0-9!#$%&+\-^_`{}~]+)'[^']*'((?:[^%]|%[0-9A-Fa-f]{2})*)", re.DOTALL)


def suggested(response: Response | None, url: str) -> str:
    """A safe name: `filename*`, else `filename` of Content-Disposition, else the last segment of the address that
    answered, else "download" (D-12)."""
    if response is not None:
        name = from_disposition(response.header("Content-Disposition"))
        if name:
            return safe(name)
    return safe(from_url(response.url if response is not None and response.url else url))


def from_disposition(value: str) -> str:
    """The name that a Content-Disposition header gives, raw, or "".

    A header that can be read in one way only is read, though it breaks the grammar (a bare name with blanks, raw
    UTF-8); one that contradicts itself gives no name.
    """
    parameters = _parameters(value)
    if parameters is None:
        return ""
    return _extended(parameters.get("filename*", "")) or _guessed(parameters.get("filename", ""))


def from_url(url: str) -> str:
    """The last segment of the path, decoded; "" when there is none."""
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    return _decoded(unquote_to_bytes(path.rpartition("/")[2].encode("utf-8", "surrogatepass")))


def safe(name: str) -> str:
    """One path component of 1 to 255 bytes that no system reads as anything but a visible file's name.

    The last component counts; what is illegal somewhere becomes "_"; leading dots and blanks and trailing ones go; a
    device's name gets a "_" in front. Applying it again changes nothing.
    """
    made = _cleaned(name)
    while made != name:  # shortening can uncover a device's name; two rounds, hardly ever three
        name, made = made, _cleaned(made)
    return made


def shortened(name: str, limit: int = LONGEST) -> str:
    """The name cut to `limit` bytes between two characters, its extension kept."""
    if len(name.encode("utf-8", "replace")) <= limit:
        return name
    stem, extension = split(name)
    room = limit - len(extension.encode("utf-8", "replace"))
    if room < 1:
        stem, extension, room = name, "", limit
    return stem.encode("utf-8", "replace")[:room].decode("utf-8", "ignore") + extension


def numbered(name: str, number: int) -> str:
    """`name (2).ext` for the second file of that name; 0 gives the name itself. Fits into 255 bytes."""
    if number <= 0:
        return name
    mark = f" ({number})"
    stem, extension = split(shortened(name, LONGEST - len(mark)))
    return f"{stem}{mark}{extension}"


def split(name: str) -> tuple[str, str]:
    """Stem and extension; `.tar.gz` and its like are one extension, and a stem is never empty."""
    match = _EXTENSION.search(name)
    if match is None or match.start() == 0:
        return name, ""
    return name[: match.start()], match[0]


def _cleaned(name: str) -> str:
    name = unicodedata.normalize("NFC", name)
    name = re.split(r"[/\\]", name.rstrip("/\\"))[-1]
    name = "".join(_portable(char) for char in name)
    name = name.lstrip(". ").rstrip(". ")
    if name[:1] in ("-", "~"):  # an option, a home folder
        name = "_" + name[1:]
    if name.partition(".")[0].rstrip(" ").casefold() in _DEVICES:
        name = "_" + name
    return shortened(name or FALLBACK)


def _portable(char: str) -> str:
    category = unicodedata.category(char)
    if category in _REPLACED or char in _ILLEGAL:
        return "_"
    return " " if category == "Zs" else char


def _parameters(value: str) -> dict[str, str] | None:
    """Names in lower case to raw values; None when a name has two values or something cannot be read."""
    head, semicolon, rest = value.partition(";")
    if "=" in head:  # the type is missing, as some servers have it
        rest = value
    elif not semicolon:
        return {}
    found: dict[str, str] = {}
    position = 0
    while position < len(rest):
        blank = re.compile(r"[\s;]*").match(rest, position)
        position = blank.end() if blank else position
        if position >= len(rest):
            break
        match = _PARAMETER.match(rest, position)
        if match is None:
            return None
        name, quoted, bare = match.groups()
        text = re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) if quoted is not None else (bare or "").strip()
        if found.setdefault(name.lower(), text) != text:
            return None
        position = match.end()
    return found


def _extended(value: str) -> str:
    """`UTF-8''na%C3%AFve.txt` decoded (RFC 8187 §3.2); "" when the charset or the coding is wrong."""
    match = _EXTENDED.fullmatch(value)
    if match is None or match[1].lower() not in ("utf-8", "iso-8859-1"):
        return ""
    try:
        return unquote_to_bytes(match[2].encode("latin-1")).decode(match[1])
    except UnicodeError:
        return ""


def _guessed(value: str) -> str:
    """Raw bytes in a header reach us as Latin-1; nearly always they are UTF-8."""
    try:
        return _decoded(value.encode("latin-1"))
    except UnicodeEncodeError:
        return value


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
