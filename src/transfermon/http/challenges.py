"""What a server or proxy that wants a user name and password said of itself, and the answer to it.

Rule: a password goes to the one that a person was told of. Where the task's next request would
carry it elsewhere, or neither Basic (RFC 7617) nor Digest (RFC 7616) is asked for, there is no
challenge, and the failure stands with its hint.
"""

from __future__ import annotations

import base64
import re

from transfermon.http.addresses import check_url, origin_of
from transfermon.http.proxies import Proxy, is_loopback, parse
from transfermon.model.lazy_pattern import lazy_pattern
from transfermon.model.record import record
from transfermon.model.task import Origin, Task

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# a scheme, or name=value
_PART = lazy_pattern(rf'[\s,]*({_WORD})(?:\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,"]*))?')
_ALGORITHMS = frozenset(
    f"{name}{end}" for name in ("MD5", "SHA", "SHA-256", "SHA-512") for end in ("", "-SESS")
)
_LOGIN = "Digest-Login "  # in the place of an Authorization that is different for each request


@record
class Challenge:
    """Who asks. Equal ones can be answered together."""

    authority: str  # "host:port" of the server, or of the proxy
    realm: str = ""  # in its own words: a stranger's text
    of_proxy: bool = False
    protected: bool = False  # whether nobody on the way can read the password
    digest: bool = False  # it is answered with a hash of the password (RFC 7616)


def challenge_of(task: Task, *, proxy: str = "") -> Challenge | None:
    """What a failed task was asked for. `proxy` is the address of the one that its session goes
    through, or "".
    """
    error, response = task.error, task.response
    # no stranger's address brings a dialog
    if error is None or not task.failed or task.origin is not Origin.TYPED:
        return None
    if error.reason == "net.proxy-auth":
        # then a server said it
        through_tunnel = error.status is not None and task.url.startswith("https:")
        field = (
            response.header("Proxy-Authenticate")
            if error.status is not None and response
            else "Basic"
        )
        return None if through_tunnel or not proxy else _of_proxy(parse(proxy), field)
    if (
        error.status != 401
        or response is None
        or origin_of(check_url(response.url)) != origin_of(check_url(task.url))
    ):
        return None
    return _made(task.url, response.header("WWW-Authenticate"))


def _of_proxy(proxy: Proxy, field: str) -> Challenge | None:
    plain = next((values for scheme, values in challenges_in(field) if scheme == "basic"), None)
    if plain is None:
        return None
    ours = proxy.kind == "https" or is_loopback(proxy.host)
    return Challenge(
        authority=proxy.authority,
        realm=_bare(plain.get("realm", "")),
        of_proxy=True,
        protected=ours,
    )


def _made(url: str, field: str) -> Challenge | None:
    found, origin = challenges_in(field), origin_of(check_url(url))
    ours = origin.scheme == "https" or is_loopback(origin.host)
    plain = next((values for scheme, values in found if scheme == "basic"), None)
    hashed = digest_offer(field)
    # the password itself does not go over an open line
    if hashed is not None and (plain is None or not ours):
        return Challenge(
            authority=origin.authority, realm=_bare(hashed["realm"]), protected=True, digest=True
        )
    if plain is None:
        return None
    return Challenge(
        authority=origin.authority, realm=_bare(plain.get("realm", "")), protected=ours
    )


def challenges_in(field: str) -> list[tuple[str, dict[str, str]]]:
    """The challenges in such a field (RFC 9110 §11.6.1): scheme and parameters, names in lower
    case, values as they were written. What is no challenge ends the list.
    """
    found: list[tuple[str, dict[str, str]]] = []
    at = 0
    while match := _PART.match(field, at):
        name, value = match.group(1).lower(), match.group(2)
        if value is None:
            found.append((name, {}))
        elif found:
            found[-1][1].setdefault(name, value)
        at = match.end()
    return found


def digest_offer(field: str) -> dict[str, str] | None:
    """The parameters of the first Digest challenge that can be answered: a known algorithm, quality
    “auth” or none.
    """
    for scheme, values in challenges_in(field):
        algorithm = _bare(values.get("algorithm", "MD5"))
        qualities = [one.strip().lower() for one in _bare(values.get("qop", "auth")).split(",")]
        whole = scheme == "digest" and values.get("realm") and values.get("nonce")
        if whole and algorithm.upper() in _ALGORITHMS and "auth" in qualities:
            return {**values, "algorithm": algorithm} if "algorithm" in values else values
    return None


def _bare(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value


def login_hint(status: int, field: str) -> str:
    """What to do about a 401 or 407 that offers nothing that can be given here; "" where there is
    something.
    """
    schemes = list(dict.fromkeys(scheme for scheme, _ in challenges_in(field)))
    if not schemes or "basic" in schemes or (status == 401 and digest_offer(field) is not None):
        return ""
    if "bearer" in schemes:
        return "Give it a token: a request header “Authorization: Bearer …”."
    return f"It wants a way to sign in that Transfermon does not have: {', '.join(schemes)[:60]}."


def basic_login(user: str, password: str) -> str:
    """The value of Authorization. Raises ValueError with a sentence for what it cannot carry (RFC
    7617 §2).
    """
    return "Basic " + _pair(user, password)


def digest_login(user: str, password: str) -> str:
    """What stands for Authorization until a request is made; `login_in` reads it. Raises as
    `basic_login`.
    """
    return _LOGIN + _pair(user, password)


def login_in(value: str) -> tuple[str, str] | None:
    """User and password of a `digest_login`; None for every other value."""
    return _unpaired(value, _LOGIN)


def basic_in(value: str) -> tuple[str, str] | None:
    """User and password of an Authorization by Basic; None for every other value."""
    return _unpaired(value, "Basic ")


def _unpaired(value: str, scheme: str) -> tuple[str, str] | None:
    if not value.startswith(scheme):
        return None
    try:
        user, colon, password = (
            base64.b64decode(value.removeprefix(scheme), validate=True).decode().partition(":")
        )
    except ValueError:
        return None
    return (user, password) if colon else None


def _pair(user: str, password: str) -> str:
    if not user:
        raise ValueError("Give a user name.")
    if ":" in user:
        raise ValueError("A user name has no colon.")
    if any(ord(char) < 32 or ord(char) == 127 for char in user + password):
        raise ValueError("A user name or password has no control characters.")
    return base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
