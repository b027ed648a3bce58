"""Tasks and configurations as text, and back: what the tables keep in their columns.

Rule: an older version's text becomes a record of today, and names that this version does not know
are passed over.
"""

from __future__ import annotations

import dataclasses
import json
from enum import Enum
from functools import cache, lru_cache
from typing import Any, TypeVar

from transfermon.model.configuration import USUAL_CONNECTIONS, RetryPolicy, SessionConfiguration
from transfermon.model.errors import Retry, TransferError
from transfermon.model.request_options import RequestOptions
from transfermon.model.task import (
    Activity,
    Evidence,
    Kind,
    Origin,
    Response,
    State,
    StoredPart,
    Task,
    UploadResource,
    Validators,
)

T = TypeVar("T")
_LATER = frozenset({"connections"})
_COOKIES = ("set-cookie", "set-cookie2")


@cache
def _plan(cls: type) -> tuple[tuple[str, Any], ...]:
    return tuple((item.name, item.default) for item in dataclasses.fields(cls))


# what JSON has itself: nothing has to be asked of such a value
_PLAIN = frozenset({str, int, float, bool, tuple, list, dict, type(None)})


def _flat(record: Any) -> dict[str, Any]:
    out: dict[str, Any] = {}
    values = record.__dict__
    for name, default in _plan(type(record)):  # type: ignore[arg-type]  # every class can be a key
        value = values[name]
        if value is default or value == default:
            # defaults are not written: rows stay small, and a new field needs no migration
            continue
        if type(value) not in _PLAIN:
            value = _plain(value)
        out[name] = value
    return out


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value._value_  # `value` is looked up in Python
    return _flat(value) if hasattr(value, "__dataclass_fields__") else value


_encoded = json.JSONEncoder(check_circular=False).encode


def task_text(task: Task) -> str:
    """A record as it is kept. What a server set as a cookie stays in memory (L9)."""
    stored = _flat(task)
    if task.response is not None:
        headers = [
            (name, "" if name.lower() in _COOKIES else value)
            for name, value in task.response.headers
        ]
        stored["response"] = {**stored["response"], "headers": headers}
    return _encoded(stored)


_ENUMS: dict[str, type[Enum]] = {
    "kind": Kind,
    "state": State,
    "activity": Activity,
    "origin": Origin,
    "retry": Retry,
}


@lru_cache(maxsize=16)
def _names(cls: type) -> tuple[frozenset[str], tuple[tuple[str, type[Enum]], ...]]:
    # Asked for each of thousands of records at the start.
    names = frozenset(item.name for item in dataclasses.fields(cls))
    return names, tuple((name, kind) for name, kind in _ENUMS.items() if name in names)


def _made(cls: type[T], stored: dict[str, Any]) -> T:
    """Of what was stored; names that this version does not know are passed over."""
    names, enums = _names(cls)  # type: ignore[arg-type]  # every class can be a key
    for name, kind in enums:
        if name in stored:
            stored[name] = kind(stored[name])
    try:
        return cls(**stored)
    except TypeError:
        return cls(**{name: value for name, value in stored.items() if name in names})


def task_of(text: str) -> Task:
    """The record that `task_text` wrote. Raises ValueError or TypeError when it is not one."""
    stored = json.loads(text)
    if stored.get("validators") is not None:  # {} stands for one without any
        stored["validators"] = _validators(stored["validators"])
    if stored.get("older_part") is not None:
        stored["older_part"]["validators"] = _validators(stored["older_part"].get("validators", {}))
        stored["older_part"] = _made(StoredPart, stored["older_part"])
    if "evidence" in stored:
        for name in ("contradicted", "ignored"):
            stored["evidence"][name] = tuple(stored["evidence"].get(name, ()))
        stored["evidence"] = _made(Evidence, stored["evidence"])
    if stored.get("error") is not None:
        stored["error"] = _made(TransferError, stored["error"])
    if stored.get("response") is not None:
        headers = stored["response"].get("headers", ())
        stored["response"]["headers"] = tuple([(name, value) for name, value in headers])
        stored["response"] = _made(Response, stored["response"])
    if stored.get("upload") is not None:
        stored["upload"] = _made(UploadResource, stored["upload"])
    if stored.get("options") is not None:
        for name in ("send_along", "mirrors"):
            stored["options"][name] = tuple(stored["options"].get(name, ()))
        stored["options"] = _made(RequestOptions, stored["options"])
    stored["header_names"] = tuple(stored.get("header_names", ()))
    for name in ("source_identity", "final_identity"):
        stored[name] = tuple(stored.get(name, ()))
    if "ranges" in stored:
        stored["ranges"] = tuple(map(tuple, stored["ranges"]))
    stored["transactions"] = tuple(map(tuple, stored.get("transactions", ())))
    return _made(Task, stored)


def _validators(stored: dict[str, Any]) -> Validators:
    for name in ("digests", "sums"):
        stored[name] = tuple(stored.get(name, ()))
    return _made(Validators, stored)


def configuration_text(configuration: SessionConfiguration) -> str:
    """A session's configuration as it is kept, without the values of its headers."""
    stored = {
        item.name: getattr(configuration, item.name)
        for item in dataclasses.fields(configuration)
        if item.name not in ("http_header_fields", "retry_policy")
        # what came later is written where it says something: rows of before stay as they are
        and (item.name not in _LATER or getattr(configuration, item.name) != item.default)
    }
    if configuration.http_maximum_connections_per_host is None:
        # an older build reads a number
        stored["http_maximum_connections_per_host"] = USUAL_CONNECTIONS
    elif configuration.http_maximum_connections_per_host in OLD_DEFAULTS:
        stored["connections_set"] = True
    return json.dumps({**stored, "retry_policy": _flat(configuration.retry_policy)})


# connections to one host that stand for none that was set: older builds knew no automatic number
OLD_DEFAULTS = (3, USUAL_CONNECTIONS)


def configuration_of(text: str) -> SessionConfiguration:
    """What `configuration_text` wrote. Raises ValueError or TypeError when it is not one."""
    stored = json.loads(text)
    stored["retry_policy"] = _made(RetryPolicy, stored.get("retry_policy", {}))
    was_set = stored.pop("connections_set", False)
    if not was_set and stored.get("http_maximum_connections_per_host") in OLD_DEFAULTS:
        stored["http_maximum_connections_per_host"] = None
    stored["send_along"] = tuple(stored.get("send_along", ()))
    return _made(SessionConfiguration, stored)
