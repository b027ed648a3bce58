"""What there is and how far it is: sessions, tasks, rates and the journal, for whoever shows them.

Rule: looking changes nothing. A snapshot and the events after its sequence are the whole truth.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping

from transfermon.engine.answers import KeptAnswer
from transfermon.engine.host_pace import base_of
from transfermon.engine.session import Session
from transfermon.engine.shared import Engine
from transfermon.engine.task_handles import UploadTask
from transfermon.model.events import Event
from transfermon.model.record import record
from transfermon.model.tally import Fate, Tally
from transfermon.model.task import Kind, Progress, Task, TaskKey
from transfermon.model.translate import tr
from transfermon.storage import tables

_NONE_KEPT = KeptAnswer()


@record
class SessionInfo:
    """A session as front ends show it."""

    key: str
    identifier: str | None
    state: str
    outstanding: int
    completed: int
    failed: int


@record
class Snapshot:
    """Everything as it was decided up to `sequence`."""

    sequence: int
    tasks: tuple[Task, ...]
    sessions: tuple[SessionInfo, ...]


@record
class Status:
    """What `GET /v1/status` and the status bar say."""

    pid: int
    version: str
    state_dir: str
    app_state: str
    running: int
    queued: int
    waiting: int
    finished: int
    failed: int
    down_rate: float  # bytes per second
    up_rate: float
    online: bool  # whether there is a network, as far as anybody can know
    metered: bool  # whether it is known to be metered; only an engine that needs to know it asks
    sequence: int
    frozen_reason: str  # "" or why nothing can be stored now


class Overview:
    """That of one engine. `app_state` says how the app stands, in the words of the control API."""

    def __init__(
        self, engine: Engine, sessions: Mapping[str, Session], app_state: Callable[[], str]
    ) -> None:
        self._engine = engine
        self._sessions = sessions
        self._app_state = app_state

    def snapshot(self) -> Snapshot:
        """Take it in the turn in which you subscribed."""
        return Snapshot(
            sequence=self._engine.sequence, tasks=self.tasks(), sessions=self.session_infos()
        )

    def session_infos(self) -> tuple[SessionInfo, ...]:
        return tuple(_info(session) for session in self._sessions.values())

    def tallies(self) -> dict[str, Tally]:
        """How many tasks each session has of each fate, by its key, without looking at them all. To
        read only.
        """
        return {key: session.tally for key, session in self._sessions.items()}

    def tasks(self) -> tuple[Task, ...]:
        """All records, in the order in which they were added."""
        found = [task for session in self._sessions.values() for task in session.tasks.records()]
        return tuple(sorted(found, key=lambda task: (task.added, task.session, task.number)))

    def tasks_of(self, session: str, url: str) -> list[Task]:
        """The records of one address in one session, oldest first."""
        found = self._sessions.get(session)
        return found.tasks.records_of(url) if found is not None else []

    def kept_response(self, key: TaskKey) -> KeptAnswer:
        """What the server answered to an upload or a data task, as long as there is room for it
        (U-07), and whether it is all of the answer. KeyError.
        """
        session = self._sessions[key.session]
        if session.tasks.record(key.number).kind is Kind.DOWNLOAD:
            return _NONE_KEPT
        handle = session.task(key.number)
        return handle.kept_response if isinstance(handle, UploadTask) else _NONE_KEPT

    def response_text(self, key: TaskKey) -> str | None:
        """The text of it. KeyError."""
        return self.kept_response(key).text

    def progress(self, key: TaskKey) -> Progress | None:
        """Live counters; None for a task that moves nothing now."""
        return self._engine.progress.get(key)

    def is_leaving(self, key: TaskKey) -> bool:
        """Whether it is on its way out of the list; its end is told before it is gone. KeyError."""
        return self._sessions[key.session].tasks.run_of(key.number).removing is not None

    def running_progress(self) -> Mapping[TaskKey, Progress]:
        return self._engine.progress

    @property
    def frozen_reason(self) -> str:
        """Why nothing can be stored now, in words; "" when all is well."""
        return self._engine.store.frozen

    def status(self) -> Status:
        found: Counter[Fate] = Counter()
        for session in self._sessions.values():
            found.update(session.tally.fates)
        now = time.monotonic()
        rates = {False: 0.0, True: 0.0}  # by whether it goes up
        for key, progress in self._engine.progress.items():
            rates[self._sends(key)] += progress.rate.per_second(now)
        return Status(
            pid=os.getpid(),
            version=_version(),
            state_dir=self._engine.state_dir,
            app_state=self._app_state(),
            running=found[Fate.RUNNING],
            queued=found[Fate.QUEUED],
            waiting=found[Fate.WAITING],
            finished=found[Fate.FINISHED],
            failed=found[Fate.FAILED],
            down_rate=rates[False],
            up_rate=rates[True],
            online=self._engine.connectivity.online,
            metered=bool(self._engine.policy.metered),
            sequence=self._engine.sequence,
            frozen_reason=self._engine.store.frozen,
        )

    def connections_of(self, task: Task) -> str:
        """How many connections the task's session has to its host, how many it may have, and why;
        "" for a task that has ended.
        """
        session = self._sessions.get(task.session)
        if session is None or not task.outstanding:
            return ""
        base = base_of(task.url)
        held = self._engine.slots.held_by((task.session, base))
        if most := session.row.configuration.connections_to_a_host:
            return tr("{held} of {most}, the session's number").format(held=held, most=most)
        return self._engine.paces.pace_of(base).reason(held)

    async def history(
        self, *, since: int = 0, task: TaskKey | None = None, limit: int = 1000
    ) -> list[Event]:
        """Journalled events after `since`, oldest first; the newest `limit` of them."""
        return await self._engine.store.read(tables.history(since, task, limit))

    def _sends(self, key: TaskKey) -> bool:
        session = self._sessions.get(key.session)
        task = session.tasks.find(key.number) if session is not None else None
        return task is not None and task.kind is Kind.UPLOAD


def _info(session: Session) -> SessionInfo:
    fates = session.tally.fates
    return SessionInfo(
        key=session.key,
        identifier=session.identifier,
        state=session.state.value,
        outstanding=session.outstanding,
        completed=fates[Fate.FINISHED],
        failed=fates[Fate.FAILED] + fates[Fate.CANCELLED],
    )


def _version() -> str:
    from transfermon import __version__

    return __version__
