"""Push payloads: both shapes, their limits, and advice for whoever writes one (P-03 to P-12).

Rule: a payload is a stranger's word. It is read strictly, and it can name an address and texts to
show, nothing else.
"""

from __future__ import annotations

import ipaddress
import json
import shlex
from collections.abc import Collection, Mapping
from dataclasses import field
from enum import Enum
from types import MappingProxyType
from typing import Any, NoReturn
from urllib.parse import SplitResult, urlsplit

from transfermon.model import json_text
from transfermon.model.record import record
from transfermon.model.translate import tr

LIMIT = 4096  # bytes, as at Apple (P-11)
RESERVED = frozenset(  # fields of the event itself; a payload cannot replace them (P-07)
    [
        "handlerId",
        "type",
        "source",
        "payload",
        "byHand",
        "sequence",
        "eventId",
        "time",
        "sessionIdentifier",
    ]
)
_OF_ALERTS = (
    "alert",
    "badge",
    "sound",
    "category",
    "thread-id",
    "mutable-content",
    "interruption-level",
)
_OF_ACTIVITIES = ("stale-date", "content-state", "dismissal-date", "attributes-type")
_SYSTEM = frozenset(  # what belongs into “aps” (Apple: Generating a remote notification)
    (
        *_OF_ALERTS,
        *_OF_ACTIVITIES,
        "content-available",
        "relevance-score",
        "filter-criteria",
        "target-content-id",
    )
)
# none of them is in the “aps” of a background push, not even an empty one
_VISIBLE = ("alert", "sound", "badge")
PRIORITIES = (1, 5, 10)
_ALERT = ("title", "title-loc-key", "subtitle", "subtitle-loc-key", "body", "loc-key")
_MISSPELT = frozenset(
    ["content_available", "contentAvailable", "contentavailable", "content-avaliable"]
)


@record
class Payload:
    """A payload that could be read."""

    alert: str  # the text of the banner; "" for none
    # its title; "" for none. Both are the keys themselves where only `loc-key` and the like are
    # given
    title: str
    content_available: bool
    custom: Mapping[str, Any]  # all that is not the system's, JSON types kept (P-04)
    system: Mapping[str, Any]  # alert, badge, sound and so on, from either shape
    original: Mapping[str, Any] = field(repr=False)  # untouched

    @property
    def visible(self) -> bool:
        """Whether a banner belongs to it; an empty alert is none (TR-25)."""
        return bool(self.alert or self.title)

    @property
    def silent(self) -> bool:
        """Whether it wakes without showing anything."""
        return self.content_available and not self.visible

    def event_fields(self) -> dict[str, Any]:
        """What becomes fields of the event: the system's and the custom ones, custom first (P-05),
        reserved names left out (P-07); those stay readable in `original`.
        """
        merged = {**self.system, **self.custom}
        return {name: value for name, value in merged.items() if name not in RESERVED}


class Severity(Enum):
    ERROR = "error"  # it would be refused
    WARNING = "warning"  # it would not do what it seems to


@record
class PayloadFinding:
    severity: Severity
    message: str


def parse_payload(text: str | bytes) -> Payload:
    """Read a payload of either shape: `{"alert": "", "content-available": 1, …}` or `{"aps": {…},
    …}`.

    Raises ValueError with a sentence for people, naming line and column where there is one: not
    JSON, not an object, over 4096 bytes of UTF-8, a name twice, a number that JSON does not have, a
    field of the wrong type.
    """
    return payload_of(_object(_text(text)))


def payload_of(original: Mapping[str, Any]) -> Payload:
    """The same of an object that was read before. Raises ValueError for a field of the wrong
    type.
    """
    nested = "aps" in original
    system = (
        original["aps"]
        if nested
        else {name: original[name] for name in original if name in _SYSTEM}
    )
    if not isinstance(system, dict):
        raise ValueError("“aps” must be an object.")
    custom = {
        name: value
        for name, value in original.items()
        if name != "aps" and (nested or name not in _SYSTEM)
    }
    alert, title = _alert(system.get("alert"))
    return Payload(
        alert=alert,
        title=title,
        content_available=_is_one(system.get("content-available")),
        custom=MappingProxyType(custom),
        system=MappingProxyType(dict(system)),
        original=MappingProxyType(dict(original)),
    )


def lint_payload(
    text: str,
    *,
    push_type: str = "",
    priority: int | None = None,
    allowed_hosts: Collection[str] = (),
) -> list[PayloadFinding]:
    """What a sender should know before sending; empty when there is nothing to say.

    `push_type` "background" and `priority` are the provider's headers where they are given (P-11).
    `allowed_hosts` are the setting's: each "host:port" may be private.
    """
    try:
        payload = parse_payload(text)
    except ValueError as error:
        return [_error(str(error))]
    return [
        *_lint_push(payload, push_type, priority),
        *_lint_names(payload),
        *_lint_url(payload.custom, allowed_hosts),
    ]


COMMAND_TOOLS = ("transfermon", "Simulator", "APNs", "ntfy")


def commands_in(text: str, *, server: str = "https://ntfy.sh", topic: str = "") -> dict[str, str]:
    """The same push as a line for other tools, by their names; placeholders are in capitals. Raises
    ValueError.
    """
    payload = parse_payload(text)
    system = {
        name: value
        for name, value in payload.system.items()
        if not (payload.silent and name in _VISIBLE)
    }
    nested = json.dumps({"aps": system, **payload.custom}, ensure_ascii=False)
    flat = json.dumps(dict(payload.original), ensure_ascii=False)
    visible = payload.visible or not payload.content_available
    address = f"{server.rstrip('/')}/{topic or 'TOPIC'}"
    kind, priority = ("alert", 10) if visible else ("background", 5)
    return {
        "transfermon": f"transfermon push {shlex.quote(flat)}",
        "Simulator": f"printf %s {shlex.quote(nested)} | xcrun simctl push booted BUNDLE_ID -",
        "APNs": (
            "curl --http2 -H 'apns-topic: BUNDLE_ID'"
            f" -H 'apns-push-type: {kind}' -H 'apns-priority: {priority}' -H 'authorization: bearer JWT'"
            f" -d {shlex.quote(nested)} https://api.push.apple.com/3/device/DEVICE_TOKEN"
        ),
        "ntfy": f"curl -d {shlex.quote(flat)} {shlex.quote(address)}",
    }


def url_problem(value: object) -> str:
    """Why a `download_url` cannot be used, in one sentence, or "" (P-12).

    Only the text is judged; whether the address may be reached is decided when connecting.
    """
    if not isinstance(value, str):
        return "“download_url” must be a text."
    if value != value.strip() or any(
        ord(char) <= 32 or ord(char) == 127 or char == "\\" for char in value
    ):
        return "“download_url” holds blanks, control characters or backslashes."
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "“download_url” is not a valid address."
    if parts.scheme.lower() not in ("http", "https"):
        return "“download_url” must start with http:// or https://."
    if not host or port == 0:
        return "“download_url” names no server."
    if parts.username is not None or parts.password is not None:
        return "“download_url” must not hold a user name or password."
    return ""


def _text(raw: str | bytes) -> str:
    if isinstance(raw, str):
        try:
            size = len(raw.encode("utf-8"))
        except UnicodeEncodeError:
            raise ValueError("The payload holds half a character (a lone surrogate).") from None
    else:
        size = len(raw)
    if size > LIMIT:
        raise ValueError(f"The payload has {size} bytes; at most {LIMIT} are allowed.")
    if isinstance(raw, str):
        return raw
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("The payload is not UTF-8.") from None


def _object(text: str) -> dict[str, Any]:
    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for name, value in found:
            if name in result:
                raise ValueError(f"{_place_of_second(text, name)}The name “{name}” is there twice.")
            result[name] = value
        return result

    if json_text.is_deep(text):
        raise ValueError("The payload is nested too deeply.")
    try:
        value = json.loads(
            text, object_pairs_hook=pairs, parse_constant=_no_number, parse_float=_finite
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"Line {error.lineno}, column {error.colno}: {error.msg}.") from None
    if not isinstance(value, dict):
        raise ValueError("The payload must be a JSON object: { … }.")
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("The payload holds half a character (a lone surrogate).") from None
    return value


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number in JSON.")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"The number {text[:20]} is too large.")
    return number


def _place_of_second(text: str, name: str) -> str:
    quoted = json.dumps(name, ensure_ascii=False)
    first = text.find(quoted)
    second = text.find(quoted, first + 1) if first >= 0 else -1
    if second < 0:
        return ""
    line = text.count("\n", 0, second) + 1
    return f"Line {line}, column {second - text.rfind(chr(10), 0, second)}: "


def _alert(value: object) -> tuple[str, str]:
    """body, title"""
    if value is None:
        return "", ""
    if isinstance(value, str):
        return value, ""
    if not isinstance(value, dict):
        raise ValueError("“alert” must be a text, or an object with “title” and “body”.")
    texts = {name: value.get(name, "") for name in _ALERT}
    if not all(isinstance(text, str) for text in texts.values()):
        raise ValueError("“title”, “subtitle” and “body” of “alert” must be texts.")
    body, title = texts["body"] or texts["loc-key"], texts["title"] or texts["title-loc-key"]
    subtitle = texts["subtitle"] or texts["subtitle-loc-key"]
    return "\n".join(part for part in (subtitle, body) if part), title


def _is_one(value: object) -> bool:
    return type(value) is int and value == 1


def _lint_push(payload: Payload, push_type: str, priority: int | None) -> list[PayloadFinding]:
    found = []
    background = push_type == "background"
    if not payload.content_available:
        given = payload.system.get("content-available")
        if given is None:
            words = tr("Without “content-available”: 1 nothing is woken and no silentpush arrives.")
        else:
            words = tr(
                "Without “content-available”: 1, not {given} nothing is woken and no silentpush arrives."
            )
        found.append(_warning(words.format(given=json.dumps(given))))
    if payload.content_available and payload.visible:
        complain = _error if background else _warning
        found.append(
            complain(tr("A background push has no alert text; with it, a banner is shown too."))
        )
    if background or payload.silent:
        complain = _error if background else _warning
        found += [complain(words) for words in _not_silent(payload)]
    if priority is not None and priority not in PRIORITIES:
        found.append(
            _error(
                tr("A priority is 1, 5 or 10; the push service refuses {number}.").format(
                    number=priority
                )
            )
        )
    elif priority == 10 and (background or (not push_type and payload.silent)):
        found.append(_error(tr("A background push has priority 5; the push service refuses 10.")))
    return found


def _not_silent(payload: Payload) -> list[str]:
    """What a background push may not hold. In “aps” the name alone is too much; the flat form
    writes `alert: ""`.
    """
    nested, system = "aps" in payload.original, payload.system
    empty = [name for name in _VISIBLE if name in system and system[name] in (None, "") and nested]
    present = [name for name in _VISIBLE[1:] if system.get(name) not in (None, "")]
    said = [
        tr("The “aps” of a background push has no “{name}”, not even an empty one.") for _ in empty
    ]
    said += [tr("A background push has no “{name}”.") for _ in present]
    return [words.format(name=name) for words, name in zip(said, [*empty, *present], strict=True)]


def _lint_names(payload: Payload) -> list[PayloadFinding]:
    found = [
        _warning(
            tr(
                "“{name}” is a field of the event itself; yours stays readable in “payload” only."
            ).format(name=name)
        )
        for name in payload.custom
        if name in RESERVED
    ]
    misspelt = [name for name in payload.original if name in _MISSPELT]
    found += [
        _warning(tr("“{name}” is written “content-available”.").format(name=name))
        for name in misspelt
    ]
    if "aps" in payload.original:
        found += [
            _warning(
                tr("With “aps”, “{name}” beside it is an ordinary custom field.").format(name=name)
            )
            for name in payload.custom
            if name in _SYSTEM
        ]
    return found


def _lint_url(custom: Mapping[str, Any], allowed_hosts: Collection[str]) -> list[PayloadFinding]:
    if "download_url" not in custom:
        return []
    problem = url_problem(custom["download_url"])
    if problem:
        return [_error(problem)]
    parts = urlsplit(custom["download_url"])
    if is_private(parts.hostname or "") and _with_port(parts) not in {
        host.lower() for host in allowed_hosts
    }:
        return [
            _warning(
                tr(
                    "“download_url” leads to a private address; a push may not, unless a setting allows the host."
                )
            )
        ]
    return []


def _with_port(parts: SplitResult) -> str:
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or (443 if parts.scheme.lower() == 'https' else 80)}"


def is_private(host: str) -> bool:
    """Whether a host is inside a private network as far as its spelling tells; what a name stands
    for is found out when it is connected to. A last label that begins with a digit is an address in
    an old spelling.
    """
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        return not ipaddress.ip_address(host.partition("%")[0]).is_global
    except ValueError:
        return host.rstrip(".").rpartition(".")[2][:1].isdigit()


def _error(message: str) -> PayloadFinding:
    return PayloadFinding(severity=Severity.ERROR, message=message)


def _warning(message: str) -> PayloadFinding:
    return PayloadFinding(severity=Severity.WARNING, message=message)
