"""Which headers of a request follow a redirect, and which cookies go with the person's own.

Rule: at another origin nothing of the person's arrives but what says how to read the answer, and
what they marked by name. An API key is a secret whatever it is called, so the list names what goes
along, never what stays behind.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from urllib.parse import urlsplit

from transfermon.model.request_options import OF_THE_PROXY

Fields = tuple[tuple[str, str], ...]

CARRIED = frozenset({"user-agent", "accept", "accept-language", "referer"})
CREDENTIALS = frozenset({"authorization", "cookie"})


def first(headers: Mapping[str, str], defaults: Mapping[str, str]) -> Fields:
    """The headers of the first request: the person's, and the product's own where they gave
    none.
    """
    if not headers:
        return tuple(defaults.items())
    given = tuple((name, value) for name, value in headers.items() if name.lower() != OF_THE_PROXY)
    return _filled(given, defaults)


def carried(
    headers: Fields,
    *,
    base: str,
    target: str,
    person: Collection[str],
    marked: Collection[str] = (),
    defaults: Mapping[str, str],
) -> Fields:
    """Those that go on from `base` to `target` at another origin. `person` names the person's
    headers and `marked` those that go along all the same, in lower case; other headers are the
    product's and stay. What is missing here is missing at every later hop.
    """
    kept = []
    for name, value in headers:
        lower = name.lower()
        if lower == "referer" and lower not in marked:
            value = referer_for(value, base, target)
            if value:
                kept.append((name, value))
        elif (
            lower in CARRIED
            or lower in marked
            or (lower not in person and lower not in CREDENTIALS)
        ):
            kept.append((name, value))
    return _filled(tuple(kept), defaults)


def referer_for(value: str, base: str, target: str) -> str:
    """The origin of a Referer for another origin; "" where it must not be told: on a way from https
    to http, and what is no address at all.
    """
    try:
        parts = urlsplit(value.strip())
        port = f":{parts.port}" if parts.port else ""
        host = parts.hostname or ""
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host:
        return ""
    if target.startswith("http:") and (parts.scheme == "https" or base.startswith("https:")):
        return ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}/"


def with_cookies(headers: Fields, others: Iterable[tuple[str, str]]) -> Fields:
    """The fields with one Cookie: the person's own pairs first, then the others whose names are not
    among them.
    """
    own = "; ".join(
        value.strip().strip(";").strip() for name, value in headers if name.lower() == "cookie"
    )
    taken = {pair.partition("=")[0].strip() for pair in own.split(";")}
    pairs = [own] if own else []
    pairs += [f"{name}={value}" for name, value in others if name not in taken]
    rest = tuple((name, value) for name, value in headers if name.lower() != "cookie")
    return (*rest, ("Cookie", "; ".join(pairs))) if pairs else rest


def _filled(headers: Fields, defaults: Mapping[str, str]) -> Fields:
    names = {name.lower() for name, _ in headers}
    return (
        *headers,
        *((name, value) for name, value in defaults.items() if name.lower() not in names),
    )
