"""Downloads that a push asked for from a host that nobody has allowed yet: they wait, paused, for a
person (P13).

Rule: what waits is an ordinary paused task, so it is listed, survives a restart, and resuming it by
hand is a permission too; here is only remembered which ones wait, and for which host.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping

from transfermon.engine.session import Session
from transfermon.engine.shared import Engine
from transfermon.http.addresses import DEFAULT_PORTS, check_url, origin_of
from transfermon.model.push_payload import is_private
from transfermon.model.task import State, TaskKey
from transfermon.storage.changes import Change

WAITING = "push.waiting"  # the stored value
MOST = 50  # downloads that may wait at a time; more are refused


class Approvals:
    """Made and used on the loop."""

    def __init__(self, engine: Engine, sessions: Mapping[str, Session]) -> None:
        self._engine = engine
        self._sessions = sessions  # the monitor's own, live
        self._waiting: dict[TaskKey, str] = {}

    def __repr__(self) -> str:
        return f"<Approvals {len(self._waiting)} waiting>"

    def restore(self, text: str) -> None:
        """Take back what waited when the last engine ended."""
        with contextlib.suppress(ValueError, AttributeError):
            self._waiting = {
                TaskKey.parse(key): str(host) for key, host in json.loads(text).items()
            }

    def hold(self, key: TaskKey, host: str) -> None:
        """This paused task waits until somebody allows its host."""
        self._waiting[key] = host
        self._keep()

    @property
    def waiting(self) -> dict[str, list[TaskKey]]:
        """The tasks that wait, by their host. What was resumed, cancelled or removed meanwhile
        waits no more.
        """
        out: dict[str, list[TaskKey]] = {}
        for key, host in self._waiting.items():
            if self._still(key):
                out.setdefault(host, []).append(key)
        return out

    def asks_for(self, url: str) -> bool:
        """Whether a push may start a download from this address only after a question. Not where
        the host was allowed before, and not for a private address that none may name: that one
        fails with its reason, and nobody is asked. Raises TransferFailure for an address that
        cannot be.
        """
        origin = origin_of(check_url(url))
        if (
            host_of(url) in self._engine.settings.push_hosts
            or origin.authority in self._engine.allowed_hosts
        ):
            return False
        return not is_private(origin.host)

    @property
    def full(self) -> bool:
        return sum(map(self._still, self._waiting)) >= MOST

    def start(self, host: str) -> None:
        """Start what waits for this host. That the next ones start at once is a setting,
        `push_hosts`.
        """
        for key in self._taken(host):
            self._sessions[key.session].tasks.run_of(key.number).resume()

    def drop(self, host: str) -> None:
        """Take what waits for this host off the list; nothing of it was fetched."""
        for key in self._taken(host):
            self._sessions[key.session].tasks.run_of(key.number).remove()

    def _taken(self, host: str) -> list[TaskKey]:
        keys = self.waiting.get(host, [])
        self._waiting = {key: other for key, other in self._waiting.items() if other != host}
        self._keep()
        return keys

    def _still(self, key: TaskKey) -> bool:
        session = self._sessions.get(key.session)
        with contextlib.suppress(KeyError):
            return session is not None and session.tasks.record(key.number).state is State.SUSPENDED
        return False

    def _keep(self) -> None:
        self._waiting = {key: host for key, host in self._waiting.items() if self._still(key)}
        value = json.dumps({str(key): host for key, host in self._waiting.items()})
        self._engine.store.commit(Change(value=(WAITING, value)))


def host_of(url: str) -> str:
    """`host`, or `host:port` where the port is not the scheme's own: what a person is asked about,
    and what `push_hosts` holds. Raises TransferFailure for an address that cannot be.
    """
    origin = origin_of(check_url(url))
    return origin.host if origin.port == DEFAULT_PORTS[origin.scheme] else origin.authority
