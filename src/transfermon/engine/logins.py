"""User names and passwords that servers and proxies ask for: who asked, and the answer to it.

Rule: what a person gives is kept with the other secrets only. That of a server is its task's own,
that of a proxy its session's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from transfermon.engine import task_orders
from transfermon.engine.session import Session
from transfermon.engine.shared import Engine
from transfermon.http import proxies
from transfermon.http.addresses import check_url, origin_of
from transfermon.http.challenges import Challenge, basic_login, challenge_of, digest_login
from transfermon.model.errors import InvalidAction
from transfermon.model.task import Action, Task, TaskKey


class Logins:
    """Those of one engine's tasks."""

    def __init__(self, engine: Engine, sessions: Mapping[str, Session]) -> None:
        self._engine = engine
        self._sessions = sessions
        engine.wants_login = lambda task: self._challenge_of(task) is not None

    def challenge(self, key: TaskKey) -> Challenge | None:
        """Who asked a failed task for a user name and password that `give` can give. Raises
        KeyError.
        """
        return self._challenge_of(self._sessions[key.session].tasks.record(key.number))

    def give(self, key: TaskKey, user: str, password: str) -> None:
        """Answer the challenge of a failed task and run it again. Those of a server go when the
        task has finished or is removed.

        Raises KeyError, ValueError with a sentence for what cannot be given, InvalidAction for a
        task that nobody asked, and as `TaskRun.retry`.
        """
        run = self._sessions[key.session].tasks.run_of(key.number)
        task = run.record
        challenge = self._challenge_of(task)
        if challenge is None or not task.can(Action.RETRY):
            raise InvalidAction(f"nobody asked task {key} for credentials")
        value = (digest_login if challenge.digest else basic_login)(user, password)
        if challenge.of_proxy:
            self._log_in_at_proxy(task, user, password)
        else:
            kept = self._engine.secrets_of(task).items()
            others = {name: text for name, text in kept if name.lower() != "authorization"}
            task_orders.adjust(run, request_headers={**others, "Authorization": value})
            self._engine.note_login(task)
        run.retry()

    def with_login(self, key: TaskKey, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers for a task, with the login that a person gave when it was asked for one, unless
        they bring another. Raises KeyError.
        """
        login = self._engine.login_of(self._sessions[key.session].tasks.record(key.number))
        brings = any(name.lower() == "authorization" for name in headers)
        return {**headers, "Authorization": login} if login and not brings else dict(headers)

    def _challenge_of(self, task: Task) -> Challenge | None:
        if task.error is None:
            return None
        return challenge_of(
            task, proxy=self._proxy_of(task) if task.error.reason == "net.proxy-auth" else ""
        )

    def _proxy_of(self, task: Task) -> str:
        """The bare address of the proxy that a task goes through; "" when through none."""
        own = self._sessions[task.session].row.configuration.proxy
        return proxies.shown(
            proxies.named_by(os.environ, origin_of(check_url(task.url))) if own is None else own
        )

    def _log_in_at_proxy(self, task: Task, user: str, password: str) -> None:
        proxy = self._proxy_of(task)
        login = proxies.parse(proxy).with_login(user, password)
        if self._sessions[task.session].row.configuration.proxy is None:
            self._engine.keep_proxy_login(task.session, proxy, login)
        else:
            self._engine.keep_proxy(task.session, login)
