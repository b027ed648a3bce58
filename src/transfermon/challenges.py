"""What a server or proxy that wants a user name and password said of itself, and the answer to it.

Rule: a password goes to the one that a person was told of. Where the task's next request would carry it elsewhere,
or Basic (RFC 7617) is not what was asked for, there is no challenge, and the failure stands with its hint.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from transfermon.task import Origin, Task
from transfermon.urls import origin_of

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PART = re.compile(rf'[\s,]*({_WORD})(?:\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,"]*))?')  # a scheme, or name=value
_LOOPBACK = re.compile(r"localhost|.*\.localhost|127\.[0-9.]+|::1")


@dataclass(frozen=True, kw_only=True)
class Challenge:
    """Who asks. Equal ones can be answered together."""

    authority: str  # "host:port" of the server, or of the proxy
    realm: str = ""  # in its own words: a stranger's text
    of_proxy: bool = False
    protected: bool = False  # whether nobody on the way can read the answer


def challenge_of(task: Task, *, proxy: str = "") -> Challenge | None:
    """What a failed task was asked for. `proxy` is the address of the one that its session goes through, or ""."""
    error, response = task.error, task.response
    if error is None or not task.failed or task.origin is not Origin.TYPED:  # no stranger's address brings a dialog
        return None
    if error.reason == "net.proxy-auth":
        through_tunnel = error.status is not None and task.url.startswith("https:")  # then a server said it
        field = response.header("Proxy-Authenticate") if error.status is not None and response else "Basic"
        return None if through_tunnel or not proxy else _made(proxy, field, of_proxy=True)
    if error.status != 401 or response is None or origin_of(response.url) != origin_of(task.url):
        return None
    return _made(task.url, response.header("WWW-Authenticate"), of_proxy=False)


def _made(url: str, field: str, *, of_proxy: bool) -> Challenge | None:
    realm, origin = basic_realm(field), origin_of(url)
    if realm is None:
        return None
    protected = origin.scheme == "https" or _LOOPBACK.fullmatch(origin.host) is not None
    return Challenge(authority=origin.authority, realm=realm, of_proxy=of_proxy, protected=protected)


def basic_realm(field: str) -> str | None:
    """The realm of the Basic challenge in such a field (RFC 9110 §11.6.1), "" when it has none; None without one."""
    found: str | None = None
    inside, at = False, 0
    while match := _PART.match(field, at):
        name, value = match.group(1).lower(), match.group(2)
        if value is None:
            if inside:
                break
            inside = name == "basic"
            found = "" if inside else None
        elif inside and name == "realm":
            found = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
        at = match.end()
    return found


def basic(user: str, password: str) -> str:
    """The value of Authorization. Raises ValueError with a sentence for what it cannot carry (RFC 7617 §2)."""
    if not user:
        raise ValueError("Give a user name.")
    if ":" in user:
        raise ValueError("A user name has no colon.")
    if any(ord(char) < 32 or ord(char) == 127 for char in user + password):
        raise ValueError("A user name or password has no control characters.")
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
