"""The commands for one task, by its key. Each raises KeyError for a task that is not in the
list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from transfermon.engine import task_orders
from transfermon.engine.session import Session
from transfermon.engine.shared import Engine
from transfermon.engine.task_run import TaskRun
from transfermon.http.cookies import Cookie
from transfermon.model.request_options import RequestOptions
from transfermon.model.task import TaskKey


class TaskCommands:
    """For the tasks of one engine."""

    def __init__(self, engine: Engine, sessions: Mapping[str, Session]) -> None:
        self._engine = engine
        self._sessions = sessions

    def _run_of(self, key: TaskKey) -> TaskRun:
        return self._sessions[key.session].tasks.run_of(key.number)

    def resume(self, key: TaskKey) -> None:
        self._run_of(key).resume()

    def suspend(self, key: TaskKey) -> None:
        self._run_of(key).suspend()

    def cancel(self, key: TaskKey) -> None:
        self._run_of(key).cancel()

    def hasten(self, key: TaskKey, url: str | None = None) -> None:
        """End a task's wait for its next attempt; with `url`, ask that address from now on."""
        task_orders.hasten(self._run_of(key), url)

    def retry(self, key: TaskKey, url: str | None = None) -> None:
        """Raises InvalidAction for a task that has not failed."""
        self._run_of(key).retry(url)

    def remove(self, key: TaskKey, *, delete_file: bool = False) -> None:
        self._run_of(key).remove(delete_file=delete_file)

    def move_in_queue(self, keys: Sequence[TaskKey], *, first: bool) -> None:
        """Let queued tasks start before, or after, all others of the same priority; among them they
        keep this order. Others are passed over. It holds until this engine ends: the next one
        starts with the order of their adding.
        """
        for key in reversed(keys) if first else keys:
            self._engine.slots.move(key, first=first)

    def adjust(
        self,
        key: TaskKey,
        *,
        speed_limit: int | None = None,
        maximum_attempts: int | None = None,
        request_headers: Mapping[str, str] | None = None,
        options: RequestOptions | None = None,
        cookies: Sequence[Cookie] | None = None,
        method: str = "",
        protocol: str = "",
    ) -> None:
        """Other options for a task that exists. Raises as `task_orders.adjust`."""
        task_orders.adjust(
            self._run_of(key),
            speed_limit=speed_limit,
            maximum_attempts=maximum_attempts,
            request_headers=request_headers,
            options=options,
            cookies=cookies,
            method=method,
            protocol=protocol,
        )

    def take_back(self, tasks: tuple[str, ...]) -> None:
        """Take tasks off the list that nobody has begun with; others, and those that are gone, are
        passed over.
        """
        for key in map(TaskKey.parse, tasks):
            session = self._sessions.get(key.session)
            task = session.tasks.find(key.number) if session is not None else None
            if (
                session is not None
                and task is not None
                and task.outstanding
                and task.started is None
            ):
                session.tasks.run_of(key.number).remove()
