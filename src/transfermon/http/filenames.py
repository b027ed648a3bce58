"""A safe file name from an address or a stranger.

Rule: whatever comes in, `safe()` gives one component that is legal on every system, and a name that
was already so stays as it is.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote_to_bytes, urlsplit

from transfermon.http.disposition import text_of
from transfermon.model.lazy_pattern import lazy_pattern

FALLBACK = "download"
LONGEST = 255  # bytes of UTF-8

_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"]
    + [f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"]
)
_ILLEGAL = '<>:"|?*'  # on Windows and FAT; a file is carried there sooner or later
# controls, direction marks, zero width, half characters
_REPLACED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# what most names are, and stay
_ORDINARY = lazy_pattern(r"[A-Za-z0-9_](?:[A-Za-z0-9_ .+()-]{0,98}[A-Za-z0-9_])?")
_EXTENSION = lazy_pattern(r"(?:\.tar)?\.[^.\s]{1,20}\Z", re.IGNORECASE)
_PATH_PARAMETER = lazy_pattern(r";[A-Za-z0-9_.-]+=[^;]*\Z")


def from_url(url: str) -> str:
    """The last segment of the path, decoded, without parameters such as `;jsessionid=1A2B` (RFC
    3986 §3.3); "" when there is none.
    """
    try:
        segment = urlsplit(url).path.rpartition("/")[2]
    except ValueError:
        return ""
    while match := _PATH_PARAMETER.search(segment):
        segment = segment[: match.start()]
    return text_of(unquote_to_bytes(segment.encode("utf-8", "surrogatepass")))


def safe(name: str) -> str:
    """One path component of 1 to 255 bytes that no system reads as anything but a visible file's
    name.

    The last component counts; what is illegal somewhere becomes "_"; leading dots and blanks and
    trailing ones go; a device's name gets a "_" in front. Applying it again changes nothing.
    """
    if _ORDINARY.fullmatch(name) and not _is_device(name):
        return name
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
    """`name (2).ext` for the second file of that name; 0 gives the name itself. Fits into 255
    bytes.
    """
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
    if _is_device(name):
        name = "_" + name
    return shortened(name or FALLBACK)


def _is_device(name: str) -> bool:
    return name.partition(".")[0].rstrip(" ").casefold() in _DEVICES


def _portable(char: str) -> str:
    category = unicodedata.category(char)
    if category in _REPLACED or char in _ILLEGAL:
        return "_"
    return " " if category == "Zs" else char
