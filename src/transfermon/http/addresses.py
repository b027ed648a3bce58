"""The one parser for addresses: what is checked here is what is shown and what is connected to
(R1).

Rule: an address that two readers could understand in two ways is refused, never repaired.
"""

from __future__ import annotations

import base64
import functools
import ipaddress
from collections.abc import Callable, Iterable
from typing import NamedTuple
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

from transfermon.http.host_names import ascii_name
from transfermon.model.errors import Code, Retry, TransferError, TransferFailure, redacted
from transfermon.model.lazy_pattern import lazy_pattern

LONGEST = 16_384  # characters; servers refuse far shorter ones
DEFAULT_PORTS = {"http": 80, "https": 443}

_SCHEME = lazy_pattern(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_HOST_AND_PORT = lazy_pattern(r"[^/?#@:]+:\d+(?:[/?#]|$)")
_CONTROL = lazy_pattern(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NAME = lazy_pattern(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?")
_STRAY_PERCENT = lazy_pattern(r"%(?![0-9A-Fa-f]{2})")
_DOTS = lazy_pattern("[\u3002\uff0e\uff61]")


# what is in its normal form beyond doubt, as most addresses are: nothing of it has to be looked at
_PLAIN = lazy_pattern(
    r"https?://(?=[a-z0-9])[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63}){0,2}"
    r"(?::(?!80/|443/)(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}))?"
    r"/[A-Za-z0-9/._~-]*(?:\?[A-Za-z0-9/._~=&-]+)?"
)
# of an address without a login, in its normal form; one of IPv6 is none of them
_ORIGIN = lazy_pattern(r"(https?)://([a-z0-9._-]+)(?::([0-9]+))?[/?]")


class ServerOrigin(NamedTuple):
    """Scheme, host and port of an address; equal ones are one origin (RFC 9110 §4.3.1)."""

    scheme: str
    host: str  # lower case, ASCII; an IPv6 address without brackets
    port: int

    @property
    def authority(self) -> str:
        """`host:port`, as lists of allowed hosts write it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Address(str):
    """One that was checked, in its normal form; `check_url` alone makes it, from texts that people
    and servers gave, and passes it through.
    """

    __slots__ = ()


def check_url(url: str) -> Address:
    """The address in its one normal form: ASCII, encoded, without fragment; user information is
    kept.

    Raises ValueError when it is empty, TransferFailure with -1000 when it is malformed, relative or
    ambiguous and with -1002 when its scheme is not http or https (X-06).
    """
    if type(url) is Address:
        return url
    if not isinstance(url, str):
        raise TypeError(f"a URL is a str, not {type(url).__name__}")
    if len(url) <= LONGEST and _PLAIN.fullmatch(url):
        return Address(url)
    text = url.strip(" \t\r\n")
    if not text:
        raise ValueError("The URL is empty.")
    if len(text) > LONGEST:
        raise _bad(text, "The address is too long.")
    if _CONTROL.search(text):
        raise _bad(text, "The address holds a line break or another control character.")
    if "\\" in text:
        raise _bad(
            text,
            "The address holds a backslash, which programs read in different ways.",
            "Write / instead.",
        )
    return Address(_normal(text, _scheme(text)))


def given_addresses(words: Iterable[str]) -> tuple[list[Address], list[str]]:
    """The usable addresses among words that another program gave, each once and in its normal form,
    and a sentence for each of the others (L15). A word is an address as it stands or none: nothing
    is looked for inside it.
    """
    good: dict[Address, None] = {}
    bad: list[str] = []
    for word in words:
        try:
            good[check_url(word)] = None
        except (ValueError, TransferFailure) as exc:
            bad.append(" ".join(part for part in (str(exc), getattr(exc, "hint", "")) if part))
    return list(good), bad


def _origin_of(url: Address) -> ServerOrigin:
    """Scheme, host and port of an address."""
    if match := _ORIGIN.match(url):
        scheme, host, port = match.groups()
        return ServerOrigin(scheme, host, int(port) if port else DEFAULT_PORTS[scheme])
    parts = urlsplit(url)
    return ServerOrigin(
        parts.scheme, parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]
    )


# typed here: the cache's own type takes anything
origin_of: Callable[[Address], ServerOrigin] = functools.lru_cache(maxsize=256)(_origin_of)


def without_credentials(url: Address) -> tuple[Address, str]:
    """The checked address without its user information, and that as a value for Authorization (""
    when none).
    """
    if "@" not in url:
        return url, ""
    parts = urlsplit(url)
    information, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, ""
    user, _, password = information.partition(":")
    pair = f"{unquote(user)}:{unquote(password)}".encode()
    clean = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
    return Address(clean), "Basic " + base64.b64encode(pair).decode("ascii")


def without_dots(path: str) -> str:
    """A path as it is asked for, its segments `.` and `..` resolved (RFC 3986 §5.2.4)."""
    if "/." not in path:
        return path or "/"
    segments = path.split("/")[1:]
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def without_query(url: Address) -> str:
    """What may be noted beside a file: the URL without user information, query and fragment
    (G16).
    """
    parts = urlsplit(without_credentials(url)[0])
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))


def redirect_target(base: str, location: str, *, allows_insecure: bool) -> Address:
    """The checked address that a Location field of `base`'s answer names, without user information
    (R4).

    Raises TransferFailure with -1010 when it is unusable and -1022 for a way from https to http
    (T-14).
    """
    try:
        if not location.strip(" \t"):
            raise ValueError("The field Location is empty.")
        target, _ = without_credentials(check_url(_joined(base, location.strip(" \t"))))
    except (ValueError, TransferFailure) as exc:
        unusable = isinstance(exc, TransferFailure) and exc.code == Code.UNSUPPORTED_URL
        reason = "pol.scheme" if unusable else "srv.redirect"
        raise refused(
            base,
            Code.REDIRECT_WITHOUT_TARGET,
            "The server redirected to an address that cannot be used.",
            str(exc),
            reason,
        ) from exc
    if base.startswith("https:") and target.startswith("http:") and not allows_insecure:
        raise refused(
            target,
            Code.INSECURE_LOAD_REFUSED,
            "The server redirected from https to http, where anyone on the way could read and change the file.",
            "If you trust the network, allow insecure redirects: the option --insecure-redirects, or “More” where "
            "transfers are added.",
            "pol.insecure-redirect",
        )
    return target


def refused(
    url: str, code: Code, message: str, hint: str = "", reason: str = "pol.url"
) -> TransferFailure:
    """A final failure over an address, before anything was sent to it."""
    return TransferFailure(
        TransferError(
            code=code,
            message=message,
            hint=hint,
            reason=reason,
            url=redacted(url),
            retry=Retry.FINAL,
        )
    )


def _joined(base: str, location: str) -> str:
    if _CONTROL.search(location) or "\\" in location:
        raise ValueError("The field Location holds a control character or a backslash.")
    if location.startswith("//"):
        return f"{urlsplit(base).scheme}:{location}"  # urljoin takes an empty host for none
    # urljoin repairs "http://"
    return location if _SCHEME.match(location) else urljoin(base, location)


def _bad(
    url: str, message: str, hint: str = "Check the address and type it again."
) -> TransferFailure:
    return refused(url, Code.BAD_URL, message, hint, "pol.bad-url")


def _scheme(text: str) -> str:
    match = _SCHEME.match(text)
    if match is None or _HOST_AND_PORT.match(text):
        raise _bad(
            text,
            "The address does not say how to reach it.",
            "Write http:// or https:// in front of it.",
        )
    scheme = match[1].lower()
    if scheme not in DEFAULT_PORTS:
        raise refused(
            text,
            Code.UNSUPPORTED_URL,
            f"Addresses that start with {scheme}: cannot be loaded.",
            "Use an address that starts with http:// or https://.",
            "pol.scheme",
        )
    if not text[match.end() :].startswith("//"):
        raise _bad(text, "The address names no host.", f"Write it as {scheme}://host/path.")
    return scheme


def _normal(text: str, scheme: str) -> str:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as exc:
        raise _bad(text, "The host or port in the address is not valid.") from exc
    if port == 0:
        raise _bad(text, "The port in the address is 0.")
    information, at, rest = parts.netloc.rpartition("@")
    if "@" in information:
        raise _bad(
            text,
            "The address holds more than one @ before the path.",
            "Write %40 in user name and password.",
        )
    host = _ascii_host(text, rest)
    authority = host if port is None or port == DEFAULT_PORTS[scheme] else f"{host}:{port}"
    if at and information.strip(":"):
        authority = f"{_encoded(information, ':')}@{authority}"
    path = _encoded(parts.path, "/:@") or "/"
    return urlunsplit((scheme, authority, path, _encoded(parts.query, "/:@?"), ""))


def _encoded(text: str, also_safe: str) -> str:
    return quote(
        _STRAY_PERCENT.sub("%25", text),
        safe="%!$&'()*+,;=~" + also_safe,
        encoding="utf-8",
        errors="strict",
    )


def _ascii_host(url: str, authority: str) -> str:
    if authority.startswith("["):
        return _bracketed(url, authority)
    name = _DOTS.sub(".", authority.partition(":")[0])
    if not name:
        raise _bad(url, "The address names no host.")
    try:
        name = ascii_name(name)
    except UnicodeError as exc:
        raise _bad(url, "The host in the address is not a valid name.") from exc
    if not _NAME.fullmatch(name) or len(name) > 254:
        raise _bad(url, "The host in the address is not a valid name.")
    return name


def _bracketed(url: str, authority: str) -> str:
    inside, bracket, after = authority[1:].partition("]")
    try:
        if not bracket or (after and not after.startswith(":")):
            raise ValueError(authority)
        if "%" in inside:
            raise ValueError("a scope")
        return f"[{ipaddress.IPv6Address(inside).compressed}]"
    except ValueError as exc:
        raise _bad(url, "The host in the address is not a valid IPv6 address.") from exc
