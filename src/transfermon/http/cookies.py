"""The cookies of a session, for as long as its engine lives (RFC 6265).

Rule: a cookie goes where its server said, and no further than a list of public suffixes allows:
without a Domain to its host alone, with one to that domain. Nothing here asks a clock or a file:
the time and the list are handed in.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from transfermon.model.lazy_pattern import lazy_pattern
from transfermon.model.record import record

MOST = 300  # of one session
MOST_OF_DOMAIN = 50
LONGEST = 4096  # characters of a name with its value
LONGEST_FIELD = 8192
LONGEST_HEADER = 32 * 1024  # what a request carries at the most; servers refuse less

NEVER = float("inf")  # the time at which a cookie without an end ends

_BLANK = " \t"
_CONTROL = lazy_pattern(r"[\x00-\x08\x0a-\x1f\x7f]")
_DELIMITERS = lazy_pattern(r"[\x09\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")  # RFC 6265 §5.1.1
_TIME = lazy_pattern(r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\D.*)?", re.ASCII)
_DAY = lazy_pattern(r"(\d{1,2})(?:\D.*)?", re.ASCII)
_YEAR = lazy_pattern(r"(\d{2,4})(?:\D.*)?", re.ASCII)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@record
class Cookie:
    """One that was set. The domain is lower case, ASCII and without a leading dot."""

    name: str
    value: str
    domain: str
    host_only: bool = True
    path: str = "/"
    secure: bool = False
    expires: float = NEVER  # epoch seconds

    @property
    def key(self) -> tuple[str, str, str]:
        """What a later one replaces (RFC 6265 §5.3, 11)."""
        return self.name, self.domain, self.path

    def fits(self, host: str, path: str, *, secure: bool, now: float) -> bool:
        """Whether a request carries it (RFC 6265 §5.4)."""
        if self.expires <= now or (self.secure and not secure):
            return False
        reaches = host == self.domain if self.host_only else domain_matches(host, self.domain)
        return reaches and _path_matches(path, self.path)


class Jar:
    """Cookies in the order in which they were first set. URLs are those that `check_url`
    returned.
    """

    def __init__(self, is_suffix: Callable[[str], bool]) -> None:
        self._is_suffix = is_suffix
        # ended ones too, for a while: they undo what a file gave
        self._kept: dict[tuple[str, str, str], Cookie] = {}

    def __repr__(self) -> str:
        return f"<Jar {len(self._kept)}>"

    def take(self, url: str, fields: Iterable[str], now: float) -> None:
        """Keep what an answer from `url` set with its Set-Cookie fields; what is wrong or too much
        is left out.
        """
        for field in fields:
            cookie = read_cookies(field, url, self._is_suffix, now)
            if cookie is None:
                continue
            self._kept[cookie.key] = cookie  # one that is known keeps its place
            same = [key for key, other in self._kept.items() if other.domain == cookie.domain]
            self._make_room(same, MOST_OF_DOMAIN, now)
            self._make_room(list(self._kept), MOST, now)

    def pairs(self, url: str, now: float, given: Sequence[Cookie] = ()) -> list[tuple[str, str]]:
        """Names and values for a request to `url`: those that were set, and of `given` those that
        none of them has replaced or ended. Longer paths first, then older ones.
        """
        parts = urlsplit(url)
        host, path, secure = parts.hostname or "", parts.path or "/", parts.scheme == "https"
        known = {cookie.key: cookie for cookie in given} | self._kept
        fitting = [
            cookie for cookie in known.values() if cookie.fits(host, path, secure=secure, now=now)
        ]
        out, room = [], LONGEST_HEADER
        for cookie in sorted(fitting, key=lambda cookie: -len(cookie.path)):
            room -= len(cookie.name) + len(cookie.value) + 3
            if room < 0:
                break
            out.append((cookie.name, cookie.value))
        return out

    def _make_room(self, keys: list[tuple[str, str, str]], most: int, now: float) -> None:
        if len(keys) > most:
            # those that ended go first
            oldest_first = sorted(keys, key=lambda key: self._kept[key].expires > now)
            for key in oldest_first[: len(keys) - most]:
                del self._kept[key]


def read_cookies(
    field: str, url: str, is_suffix: Callable[[str], bool], now: float
) -> Cookie | None:
    """What a Set-Cookie field from `url` sets (RFC 6265 §5.2, §5.3); None where it sets nothing.
    One whose end has come is a cookie, too: it ends the one of the same name.
    """
    if len(field) > LONGEST_FIELD or _CONTROL.search(field):
        return None
    pair, *attributes = field.split(";")
    name, equals, value = pair.partition("=")
    name, value = name.strip(_BLANK), value.strip(_BLANK)
    if not equals or not name or len(name) + len(value) > LONGEST:
        return None
    said: dict[str, str] = {}
    for attribute in attributes:
        key, _, text = attribute.partition("=")
        key, text = key.strip(_BLANK).lower(), text.strip(_BLANK)
        if key == "domain" and text:
            said[key] = text  # the last one counts
        elif key == "path":
            said[key] = text if text.startswith("/") else ""
        elif (key == "expires" and cookie_date(text) is not None) or (
            key == "max-age" and _seconds(text) is not None
        ):
            said[key] = text
        elif key == "secure":
            said[key] = ""
    parts = urlsplit(url)
    host = parts.hostname or ""
    domain = _domain(said.get("domain", ""))
    if domain is None or (domain and not domain_matches(host, domain)):
        return None
    if domain and is_suffix(domain):
        if domain != host:
            return None
        domain = ""
    cookie = Cookie(
        name=name,
        value=value,
        domain=domain or host,
        host_only=not domain,
        path=said.get("path") or default_path(parts.path),
        secure="secure" in said,
        expires=_end(said, now),
    )
    return cookie if _keeps_its_promise(cookie, said, parts.scheme) else None


def _keeps_its_promise(cookie: Cookie, said: dict[str, str], scheme: str) -> bool:
    """Names that begin like this promise how they were set; browsers hold servers to it."""
    if cookie.name.startswith(("__Secure-", "__Host-")) and not (
        cookie.secure and scheme == "https"
    ):
        return False
    return not cookie.name.startswith("__Host-") or ("domain" not in said and cookie.path == "/")


def _end(said: dict[str, str], now: float) -> float:
    """Max-Age goes before Expires (RFC 6265 §5.3, 3)."""
    if (seconds := _seconds(said.get("max-age", ""))) is not None:
        return now + seconds if seconds > 0 else 0.0
    found = cookie_date(said.get("expires", ""))
    return NEVER if found is None else found


def _seconds(text: str) -> int | None:
    return int(text[:12]) if re.fullmatch(r"-?[0-9]+", text) else None


def domain_matches(host: str, domain: str) -> bool:
    """RFC 6265 §5.1.3: the same, or inside it; an IP address is inside nothing."""
    return host == domain or (host.endswith(f".{domain}") and not _is_address(host))


def default_path(path: str) -> str:
    """RFC 6265 §5.1.4."""
    return path[: path.rindex("/")] or "/" if path.startswith("/") else "/"


def _path_matches(path: str, of_cookie: str) -> bool:
    if not path.startswith(of_cookie):
        return False
    return len(path) == len(of_cookie) or of_cookie.endswith("/") or path[len(of_cookie)] == "/"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _domain(text: str) -> str | None:
    """As hosts are written in addresses; None for what no host can be."""
    text = text.removeprefix(".").lower()
    if text.isascii():
        return text
    try:
        named = text.encode("latin-1").decode()  # fields are read as a character for each byte
    except UnicodeError:
        named = text
    try:
        import encodings.idna  # its tables are large, and a download without cookies has no use for them

        return ".".join(encodings.idna.ToASCII(label).decode("ascii") for label in named.split("."))
    except UnicodeError:
        return None


def cookie_date(text: str) -> float | None:
    """Epoch seconds of a cookie's date, as loosely as RFC 6265 §5.1.1 reads one; None where it is
    none.
    """
    time = day = month = year = None
    for word in _DELIMITERS.split(text):
        if time is None and (found := _TIME.fullmatch(word)):
            time = [int(part) for part in found.groups()]
        elif day is None and (found := _DAY.fullmatch(word)):
            day = int(found[1])
        elif month is None and word[:3].lower() in _MONTHS:
            month = _MONTHS.index(word[:3].lower()) + 1
        elif year is None and (found := _YEAR.fullmatch(word)):
            year = int(found[1])
            year += 1900 if 70 <= year <= 99 else 2000 if year <= 69 else 0
    if time is None or day is None or month is None or year is None or year < 1601:
        return None
    try:
        return datetime(year, month, day, time[0], time[1], time[2], tzinfo=UTC).timestamp()
    except ValueError:
        return None


# ---- cookies in a file


_HTTP_ONLY = "#HttpOnly_"


def from_file(text: str) -> list[Cookie]:
    """The cookies of a file in Netscape's form, as browsers' extensions, curl and wget write it.

    Raises ValueError with a sentence where a line is none of it.
    """
    found = []
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), 1):
        line = line.rstrip("\r\n")
        of_http = line.startswith(_HTTP_ONLY)
        if not line.strip() or (line.startswith("#") and not of_http):
            continue
        cells = line.removeprefix(_HTTP_ONLY).split("\t")
        if len(cells) == 6:
            cells.append("")
        if (
            len(cells) != 7
            or not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", cells[4])
            or _CONTROL.search("".join(cells))
        ):
            raise ValueError(
                f"Line {number} of the cookie file is not in Netscape's form: seven cells between tabs."
            )
        domain, inside, path, secure, expires, name, value = cells
        found.append(
            Cookie(
                name=name,
                value=value,
                domain=_domain(domain) or "",
                host_only=inside.upper() != "TRUE",
                path=path if path.startswith("/") else "/",
                secure=secure.upper() == "TRUE",
                expires=float(expires) if float(expires) > 0 else NEVER,
            )
        )
    return found


def of_host(
    cookies: Iterable[Cookie], host: str, is_suffix: Callable[[str], bool], now: float
) -> list[Cookie]:
    """Those that a request to the host could carry."""
    return [
        cookie
        for cookie in cookies
        if cookie.name
        and cookie.expires > now
        and (
            host == cookie.domain or (not cookie.host_only and domain_matches(host, cookie.domain))
        )
        and (cookie.host_only or host == cookie.domain or not is_suffix(cookie.domain))
    ]


def to_dict(cookie: Cookie) -> dict[str, Any]:
    """As JSON has it."""
    return {**vars(cookie), "expires": None if cookie.expires == NEVER else cookie.expires}


def from_dict(stored: dict[str, Any]) -> Cookie:
    """What `to_dict` wrote. Raises TypeError or KeyError for anything else."""
    ends = stored["expires"]
    cookie = Cookie(**{**stored, "expires": NEVER if ends is None else float(ends)})
    texts = (cookie.name, cookie.value, cookie.domain, cookie.path)
    if not all(
        isinstance(text, str) and not _CONTROL.search(text) and ";" not in text for text in texts
    ):
        raise TypeError("no cookie")
    return cookie
