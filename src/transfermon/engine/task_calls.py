"""What goes along with the requests of a task: its headers, its options, and what its session says
of connections.

Rule: at another origin than the task's no header of its own and no cookie of its file does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transfermon.engine.shared import Engine
from transfermon.model.configuration import SessionConfiguration, merged_headers
from transfermon.model.task import Task
from transfermon.wire.call import Call


def own_headers(engine: Engine, task: Task) -> dict[str, str]:
    """The session's and the task's, with their values."""
    return merged_headers(engine.vault.get(task.session), engine.secrets_of(task))


def call_for_task(
    engine: Engine,
    configuration: SessionConfiguration,
    task: Task,
    headers: Mapping[str, str],
    *,
    elsewhere: bool = False,
    **more: Any,
) -> Call:
    """A request for the task, to its address unless `more` names another one. `headers` are those
    of this request, over the task's own; `elsewhere` says that the address is at another origin.
    `more` are fields of the call, over those that the task and its session give.
    """
    own = {} if elsewhere else own_headers(engine, task)
    fields: dict[str, Any] = {
        "url": task.url,
        "headers": merged_headers(own, headers),
        "session": task.session,
        "origin": task.origin,
        "allowed": frozenset(engine.allowed_hosts),
        "proxy": engine.proxy_of(task.session, configuration.proxy),
        "proxy_logins": engine.proxy_logins(task.session),
        **engine.options_of(task, configuration),
        "idle_timeout": configuration.timeout_interval_for_request,
        "maximum_redirects": configuration.maximum_redirects,
        "sensitive": frozenset(name.lower() for name in own),
    }
    if elsewhere:
        fields |= {"cookies": False, "own_cookies": ()}
    return Call(**{**fields, **more})
