"""What VideoFarm does wrong on purpose: the grammar of --fault and the choice per request.

    SPEC   = [/PATH:] FAULT [,FAULT]...        for PATH and everything below it; without PATH for all

    rate=BYTES      send each body at so many bytes per second (500k, 2M, 1Mi)
    latency=SECS    wait before the answer begins
    cut=N           close the connection after N bytes of the body
    reset=N         the same with a TCP reset
    stall=N         send nothing more after N bytes of the body, and keep the connection
    short=N         send N bytes less than Content-Length says, then close
    no-range        know nothing of ranges
    no-length       send no Content-Length (chunked)
    gzip            compress, although nobody asked
    etag=change     a new entity tag and new bytes for each request; etag=weak and etag=none as named
    modified=none   send no Last-Modified
    status=CODE     answer with CODE and no content; retry-after=SECS in the same SPEC adds Retry-After

cut, reset, stall, short and status take a count: cut=1Mx2 is for the first two requests of each
path, then all is well. Several faults combine; of two with the same name the later one wins.

The one rule to keep: nothing here touches a connection. A fault is a value; `bodies` acts on it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from transfermon.model.record import record

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
_COUNTED = frozenset({"cut", "reset", "stall", "short", "status"})


class FaultError(ValueError):
    """A SPEC that cannot be understood; the text is one sentence for the person who wrote it."""


@record
class Faults:
    """What goes wrong with one answer. Sizes in bytes of the body as sent, times in seconds."""

    rate: int | None = None
    latency: float = 0.0
    cut: int | None = None
    reset: int | None = None
    stall: int | None = None
    short: int = 0
    no_range: bool = False
    no_length: bool = False
    gzip: bool = False
    etag: str = "strong"
    version: int = 0  # with etag=change: how many answers this path has given before
    modified: str = "as-is"
    status: int | None = None
    retry_after: int | None = None


@record
class Fault:
    """One fault as written. `times` is None when it holds for every request."""

    name: str
    value: Any
    times: int | None = None


@record
class Rule:
    """The faults of one SPEC. `prefix` is empty when it holds for every path."""

    prefix: str
    faults: tuple[Fault, ...]

    def covers(self, path: str) -> bool:
        folder = self.prefix.rstrip("/")
        return path == self.prefix or path == folder or path.startswith(folder + "/")


def parse_size(text: str) -> int:
    """Bytes from `500k`, `2M`, `1Mi` or a plain number; k, M and G are powers of 1000. Raises
    FaultError.
    """
    match = re.fullmatch(r"([0-9]{1,15})([kmg]i?)?b?", text, re.ASCII | re.IGNORECASE)
    if match is None:
        raise FaultError(f"'{text}' is not a size like 500k, 2M or 1048576")
    return int(match[1]) * _UNITS[(match[2] or "").lower()]


def _rate(text: str) -> int:
    rate = parse_size(text)
    if rate == 0:
        raise FaultError("a rate of 0 would never end; use stall=0")
    return rate


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text, re.ASCII):
        raise FaultError(f"'{text}' is not a number of seconds")
    return float(text)


def _whole_seconds(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
        raise FaultError(f"'{text}' is not a whole number of seconds")
    return int(text)


def _status(text: str) -> int:
    if not re.fullmatch(r"[45][0-9]{2}", text, re.ASCII):
        raise FaultError(f"'{text}' is not a status from 400 to 599")
    return int(text)


def _one_of(*words: str) -> Callable[[str], str]:
    def choose(text: str) -> str:
        if text not in words:
            raise FaultError(f"'{text}' is not one of {', '.join(words)}")
        return text

    return choose


_VALUES: dict[str, Callable[[str], Any] | None] = {  # None: a switch without a value
    "rate": _rate,
    "latency": _seconds,
    "cut": parse_size,
    "reset": parse_size,
    "stall": parse_size,
    "short": parse_size,
    "no-range": None,
    "no-length": None,
    "gzip": None,
    "etag": _one_of("change", "weak", "none"),
    "modified": _one_of("none"),
    "status": _status,
    "retry-after": _whole_seconds,
}


def parse_fault(text: str) -> Fault:
    """One `name`, `name=value` or `name=valuexTIMES`. Raises FaultError."""
    name, equals, value = text.partition("=")
    if name not in _VALUES:
        raise FaultError(f"there is no fault '{name}'; there are {', '.join(_VALUES)}")
    read = _VALUES[name]
    if read is None:
        if equals:
            raise FaultError(f"{name} takes no value")
        return Fault(name=name, value=True)
    if not value:
        raise FaultError(f"{name} needs a value, as in {name}=…")
    times = None
    if name in _COUNTED and (counted := re.fullmatch(r"(.+)x([1-9][0-9]{0,5})", value, re.ASCII)):
        value, times = counted[1], int(counted[2])
    return Fault(name=name, value=read(value), times=times)


def parse_rule(spec: str) -> Rule:
    """One SPEC as in the module's head. Raises FaultError with the SPEC and what is wrong
    with it.
    """
    prefix, colon, rest = spec.rpartition(":")
    try:
        if colon and not prefix.startswith("/"):
            raise FaultError(f"the path '{prefix}' must begin with /")
        if spec.startswith("/") and not colon:
            raise FaultError("after the path come a colon and a fault")
        faults = tuple(parse_fault(part.strip()) for part in rest.split(","))
        if any(fault.name == "retry-after" for fault in faults) and all(
            fault.name != "status" for fault in faults
        ):
            raise FaultError(
                "retry-after needs a status in the same SPEC, as in status=503x2,retry-after=1"
            )
    except FaultError as error:
        raise FaultError(f"Bad fault '{spec}': {error}.") from None
    return Rule(prefix=prefix, faults=faults)


class FaultPlan:
    """The rules of a server and how often each counted fault has struck. Used on one thread
    only.
    """

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self._rules = tuple(rules)
        self._struck: Counter[tuple[str, Rule, Fault]] = Counter()
        self._versions: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<FaultPlan rules={len(self._rules)} struck={sum(self._struck.values())}>"

    def choose(self, path: str, more: Sequence[Rule] = ()) -> Faults:
        """The faults of the next answer for `path`; counts it. `more` are rules of this request
        alone.

        While a status fault strikes, the other counted faults wait for an answer with content.
        """
        rules = [rule for rule in (*self._rules, *more) if rule.covers(path)]
        written = {fault.name: (rule, fault) for rule in rules for fault in rule.faults}
        found = Faults()
        status = written.get("status")
        if status is not None and self._strikes(path, *status):
            wait = next(
                (fault.value for fault in status[0].faults if fault.name == "retry-after"), None
            )
            found = replace(found, status=status[1].value, retry_after=wait)
        for name, (rule, fault) in written.items():
            if name not in ("status", "retry-after") and (
                name not in _COUNTED or (found.status is None and self._strikes(path, rule, fault))
            ):
                found = replace(found, **{name.replace("-", "_"): fault.value})
        if found.etag == "change" and found.status is None:
            found = replace(found, version=self._versions[path])
            self._versions[path] += 1
        return found

    def _strikes(self, path: str, rule: Rule, fault: Fault) -> bool:
        if fault.times is None:
            return True
        self._struck[path, rule, fault] += 1
        return self._struck[path, rule, fault] <= fault.times
