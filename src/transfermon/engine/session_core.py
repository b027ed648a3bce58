"""What the tasks of one session share: its settings, their numbers by fate, and the one door for
changes.

Rule: every change of a task or of a session goes through here. `record_task` changes the record in
memory without an await, so that nothing slips in between, queues the commit, and tells when it is
durable, in order. Nothing else writes `Recorded.record`.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any

from transfermon.engine.shared import Engine
from transfermon.http.upload_protocols.registry import check_name
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.errors import SessionInvalidatedError
from transfermon.model.events import (
    Event,
    SessionCreatedEvent,
    SessionFinishingEvent,
    SessionIdleEvent,
    SessionInvalidatedEvent,
    TaskEvent,
    TaskRemovedEvent,
)
from transfermon.model.tally import Tally
from transfermon.model.task import Task, changed
from transfermon.storage.changes import Change, ResumeRow, SessionRow


class SessionState(Enum):
    """What a session takes: tasks, none any more, nothing."""

    ACTIVE = "active"
    FINISHING = "finishing"
    INVALIDATED = "invalidated"


def checked_copy(configuration: SessionConfiguration) -> SessionConfiguration:
    """An independent copy. Raises TypeError or ValueError where a setting is impossible; whether
    the upload protocol is one says the registry.
    """
    own = configuration.copy()
    try:
        check_name(own.upload_protocol)
    except ValueError as exc:
        raise ValueError(f"upload_protocol: {exc}") from None
    return own


class Recorded:
    """One task, as the door knows it."""

    on_the_way = 0  # events that are not told yet
    gone = False  # it has left the list
    noted = False  # an activity was remembered that nobody was told of

    def __init__(self, record: Task) -> None:
        self.record = record  # as it is now; as it was last once the task has left the list
        self.key = record.key


class SessionCore:
    """Made with its session; each task's run has it."""

    def __init__(
        self,
        engine: Engine,
        row: SessionRow,
        *,
        on_idle: Callable[[], None],
        on_gone: Callable[[int], None],
    ) -> None:
        self.engine = engine
        self.row = row  # what the store keeps of the session
        self.tally = Tally()  # to read only
        # cancels and removals that the end of the engine waits for
        self.leaving: set[asyncio.Task[None]] = set()
        self._on_idle = on_idle
        self._on_gone = on_gone
        self._by_url: dict[str, list[Recorded]] = {}
        self._succeeded_since_idle = self._failed_since_idle = 0
        self._done: asyncio.Future[None] | None = None  # of what is not stored

    def __repr__(self) -> str:
        return f"<SessionCore {self.key}>"

    @property
    def key(self) -> str:
        return self.row.key

    @property
    def configuration(self) -> SessionConfiguration:
        """The settings as they are now, without headers and credentials. To read only."""
        return self.row.configuration

    def reconfigure(self, changes: dict[str, Any]) -> None:
        """Raises TypeError or ValueError where a setting is impossible."""
        wanted = checked_copy(dataclasses.replace(self.configuration, **changes))
        if wanted != self.configuration:
            self.row = changed(self.row, configuration=wanted)
            self.engine.store.commit(Change(session=self.row))

    @property
    def state(self) -> SessionState:
        return SessionState(self.row.state)

    def check_open(self) -> None:
        if self.state is not SessionState.ACTIVE:
            raise SessionInvalidatedError(
                f"session {self.key} was invalidated and takes no more tasks"
            )

    # ---- the tasks of the list

    def add(self, one: Recorded) -> None:
        self.tally.change(None, one.record)
        self._by_url.setdefault(one.record.url, []).append(one)

    def drop(self, one: Recorded) -> None:
        self.tally.change(one.record, None)
        self._leave_address(one)
        self.engine.drop_limiter(one.record.key)
        one.gone = True
        self._on_gone(one.record.number)

    def move_to_address(self, one: Recorded, url: str) -> None:
        """It asks that address from now on, which its next record names, and counts as the last
        that was added there.
        """
        self._leave_address(one)
        self._by_url.setdefault(url, []).append(one)

    def _leave_address(self, one: Recorded) -> None:
        url = one.record.url
        self._by_url[url].remove(one)
        if not self._by_url[url]:
            del self._by_url[url]

    def records_of(self, url: str) -> list[Task]:
        """The remembered tasks of this address, oldest first, without looking through all the
        others.
        """
        return [one.record for one in self._by_url.get(url, ())]

    def count_end(self, *, success: bool) -> None:
        """A task has ended, and its record says so. With the last one the session is idle."""
        self._succeeded_since_idle += success
        self._failed_since_idle += not success
        if not self.tally.outstanding:
            idle = SessionIdleEvent(
                completed=self._succeeded_since_idle, failed=self._failed_since_idle
            )
            self._succeeded_since_idle = self._failed_since_idle = 0
            self.record_session(idle)
            self._on_idle()

    def see_out(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run what ends a task; the end of the engine waits for it."""
        runner = self.engine.runners.spawn(work, name)
        self.leaving.add(runner)
        runner.add_done_callback(self.leaving.discard)

    # ---- the one door

    def record_task(
        self,
        one: Recorded,
        task: Task | None,
        event: TaskEvent | None,
        *,
        delivered: Callable[[], None] | None = None,
        resume_row: ResumeRow | None = None,
        store: bool = True,
        before: tuple[TaskEvent, ...] = (),
    ) -> asyncio.Future[None]:
        """Remember `task` as the record, store it, then tell.

        Await the result only where the next step must not happen before the change is durable.
        Without an event the change is stored silently (checkpoints); without a task the event is
        only told in its place; without `store` a change of activity is told in its place and stored
        with the next one. With neither it is what is mostly over before anybody could see it: told
        with the next event, or by the progress clock where it lasts. Events that come `before` are
        told just before it, and stored in one change with it. Raises KeyError for a task that has
        left.
        """
        if one.gone:
            raise KeyError(str(one.record.key))
        if task is not None:
            self.tally.change(one.record, task)
            one.record = task
        if event is None and not store:
            one.noted = True
            return self._at_once()
        if event is None:
            return self.engine.store.commit(Change(task=task))
        subject = task or event.task or one.record
        one.noted = False
        first = tuple(self._stamped(earlier, earlier.task or subject) for earlier in before)
        told = self._stamped(event, subject)
        one.on_the_way += 1
        change = Change(
            task=task if store else None,
            removed=task.key if task is not None and isinstance(told, TaskRemovedEvent) else None,
            event=told if told.journalled else None,
            before=tuple(earlier for earlier in first if earlier.journalled),
            resume=resume_row,
        )

        def publish() -> None:
            one.on_the_way -= 1
            for earlier in first:
                self.engine.tell(earlier, None)
            self.engine.tell(told, delivered)

        return self.engine.store.commit(change, then=publish)

    def _at_once(self) -> asyncio.Future[None]:
        if self._done is None:
            self._done = asyncio.get_running_loop().create_future()
            self._done.set_result(None)
        return self._done

    def _stamped(self, event: TaskEvent, subject: Task) -> TaskEvent:
        return self.engine.stamp(
            event,
            session=self.key,
            session_identifier=self.configuration.identifier,
            task_identifier=subject.number,
            task=subject,
        )

    def record_session(
        self, event: Event, *, delivered: Callable[[], None] | None = None
    ) -> asyncio.Future[None]:
        """Tell an event of the session itself, and store what it is now where the event is about
        that.
        """
        told = self.engine.stamp(
            event, session=self.key, session_identifier=self.configuration.identifier
        )
        change = Change(
            event=told if told.journalled else None,
            session=self.row
            if isinstance(told, SessionCreatedEvent | SessionFinishingEvent)
            else None,
            session_removed=self.key if isinstance(told, SessionInvalidatedEvent) else None,
        )
        return self.engine.store.commit(change, then=lambda: self.engine.tell(told, delivered))
