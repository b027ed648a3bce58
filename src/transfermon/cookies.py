"""The cookies of a session, for as long as its engine lives (RFC 6265).

Rule: a cookie goes back to the host that set it and to no other, whatever its Domain says: without a list of public
suffixes nobody can tell a site from a registry (FAULTS C19). They are in memory only: each attempt begins at the
task's own address, where a server sets them again.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Sequence
from email.message import Message
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from urllib.parse import urlsplit

MOST = 300  # of one session
MOST_OF_HOST = 50
LONGEST = 4096  # characters of one


class Cookies:
    """A jar. URLs are those that `check_url` returned."""

    def __init__(self) -> None:
        self._jar = CookieJar(_Policy())

    def __repr__(self) -> str:
        return f"<Cookies {len(self._jar)}>"

    def __len__(self) -> int:
        return len(self._jar)

    def take(self, url: str, fields: Sequence[str]) -> None:
        """Keep what an answer from `url` set with its Set-Cookie fields; what is wrong or too much is left out."""
        answer = _Answer()
        for field in fields[:MOST_OF_HOST]:
            if len(field) <= LONGEST and field.isprintable():
                answer.add(_of_its_host(field, urlsplit(url).hostname or ""))
        self._jar.extract_cookies(answer, _request(url))  # type: ignore[arg-type]  # info() is all it asks
        if len(self._jar) > MOST:
            self._jar.clear()

    def header(self, url: str) -> str:
        """The value of the Cookie field of a request to `url`; "" for none."""
        request = _request(url)
        self._jar.add_cookie_header(request)
        return request.get_header("Cookie", "") or ""


class _Answer:
    """As much of an answer as the jar wants to see."""

    def __init__(self) -> None:
        self._fields = Message()

    def add(self, field: str) -> None:
        if field:
            self._fields["Set-Cookie"] = field

    def info(self) -> Message:
        return self._fields


class _Policy(DefaultCookiePolicy):
    def set_ok(self, cookie: Cookie, request: urllib.request.Request) -> bool:
        https = request.type == "https"
        if cookie.name.startswith(("__Secure-", "__Host-")) and not (cookie.secure and https):
            return False
        if cookie.name.startswith("__Host-") and cookie.path != "/":
            return False
        return super().set_ok(cookie, request)


def _request(url: str) -> urllib.request.Request:
    return urllib.request.Request(url)  # noqa: S310 - the jar looks at it, nobody sends it


def _of_its_host(field: str, host: str) -> str:
    """The field without its Domain; "" where it names a host that the answer does not speak for."""
    kept = []
    for part in field.split(";"):
        name, _, value = part.strip().partition("=")
        if name.strip().lower() != "domain":
            kept.append(part)
            continue
        domain = value.strip().lower().removeprefix(".")
        if field.lstrip().startswith("__Host-") or not (domain == host or _is_parent(domain, host)):
            return ""
    return ";".join(kept)


def _is_parent(domain: str, host: str) -> bool:
    """Whether the host is inside the domain; an address is in none, and a word alone is a registry (RFC 6265 §5.1.3)."""
    return "." in domain and host.endswith(f".{domain}") and not host.rpartition(".")[2].isdigit()
