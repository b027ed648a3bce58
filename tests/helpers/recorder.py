"""A recorder of everything that a monitor tells, and the orderings of section 4 that hold for every
run.

The one rule to keep: a conformance test that opens a monitor has a recorder on it, and `check()` is
called when that monitor has closed (the fixtures of this folder see to both).
"""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from transfermon.engine.monitor import Monitor
from transfermon.model.events import (
    DownloadCompletedEvent,
    DownloadProgressEvent,
    DownloadResumedEvent,
    Event,
    SessionCreatedEvent,
    SessionIdleEvent,
    SessionInvalidatedEvent,
    TaskCompletedEvent,
    TaskCreatedEvent,
    TaskEvent,
    TaskRemovedEvent,
    TaskStateEvent,
    UploadProgressEvent,
)
from transfermon.model.task import Activity, Kind, State, TaskKey

BOTH_LOOPS = pytest.mark.parametrize("anyio_backend", ["asyncio", "qasync"], indirect=True)
LIMIT = 60.0  # seconds that a test waits for something that must come
HEARD = ("downloadprogress", "downloadresumed", "downloadcompleted", "sessioncompleted")
HEARD_OF_SESSIONS = ("sessionidle", "sessioninvalidated")


class Recorder:
    """All events of one monitor, as an observer sees them and as a listener hears them."""

    def __init__(self, monitor: Monitor) -> None:
        self.events: list[Event] = []
        self.heard: list[Event] = []  # by listeners
        # by listeners, from before this engine: observers do not hear of it
        self.heard_again: list[Event] = []
        self.mistakes: list[str] = []  # seen at the moment of telling
        self._monitor = monitor
        self._since = monitor.sequence
        self._restored = {task.key for task in monitor.tasks()}
        self._restored_sessions = {session.key for session in monitor.sessions}
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        monitor.subscribe(self._take)
        for name in (*HEARD, *HEARD_OF_SESSIONS):
            monitor.add_event_listener(name, self._hear)

    def __repr__(self) -> str:
        return f"<Recorder {len(self.events)} events>"

    # ---- for tests

    def of(self, name: str, task: Any = None, session: str | None = None) -> list[Any]:
        """The events of one name; `task` is a task object or a key."""
        key = getattr(task, "key", task)
        return [
            event
            for event in self.events
            if event.type == name
            and (key is None or event.task_key == key)
            and (session is None or event.session == session)
        ]

    def names(
        self, task: Any = None, *, but: tuple[str, ...] = ("downloadprogress", "taskactivity")
    ) -> list[str]:
        key = getattr(task, "key", task)
        return [
            e.type for e in self.events if e.type not in but and (key is None or e.task_key == key)
        ]

    def activities(self, task: Any) -> list[str]:
        """The activities that a task went through, each once in a row."""
        out: list[str] = []
        for event in self.events:
            if (
                isinstance(event, TaskStateEvent)
                and event.task_key == task.key
                and out[-1:] != [event.activity]
            ):
                out.append(event.activity)
        return out

    async def wait_for(
        self, name: str, task: Any = None, *, count: int = 1, session: str | None = None
    ) -> Any:
        """The event of that name, the `count`th one, now or when it comes."""
        await self.until(lambda: len(self.of(name, task, session)) >= count, f"{count} {name}")
        return self.of(name, task, session)[count - 1]

    async def wait_for_state(
        self, task: Any, state: State, activity: Activity | None = None
    ) -> None:
        """Until an event has said that the task is there."""
        await self.until(
            lambda: any(
                isinstance(event, TaskStateEvent)
                and event.task_key == task.key
                and event.state == state.value
                and (activity is None or event.activity == activity.value)
                for event in self.events
            ),
            f"{task} {state} {activity}",
        )

    async def until(self, condition: Callable[[], bool], what: str = "") -> None:
        """Until a condition holds; it is looked at after every event."""
        if condition():
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((condition, done))
        try:
            async with asyncio.timeout(LIMIT):
                await done
        except TimeoutError:
            raise AssertionError(f"waited in vain for {what}; seen: {self.names(but=())}") from None

    # ---- recording

    def _take(self, event: Event) -> None:
        self.events.append(event)
        self._look_at_the_moment(event)
        for entry in list(self._waiting):
            condition, done = entry
            if condition():
                self._waiting.remove(entry)
                if not done.done():
                    done.set_result(None)

    def _hear(self, event: Event) -> None:
        if event.journalled and event.sequence <= self._since:
            self.heard_again.append(event)
            return
        self.heard.append(event)
        # it waited for the app
        late = event.task is not None and event.task.state is State.COMPLETED
        if isinstance(event, DownloadCompletedEvent) and event.task_key is not None and not late:
            now = self._monitor.task(event.task_key)
            if (now.state, now.activity) not in (
                (State.RUNNING, Activity.FINALIZING),
                (State.CANCELING, Activity.FINALIZING),  # a cancel that came too late (T-08)
            ):
                self.mistakes.append(
                    f"O-05: {now.key} is {now.state}, {now.activity} at downloadcompleted"
                )

    def _look_at_the_moment(self, event: Event) -> None:
        if isinstance(event, TaskEvent) and event.task is None:
            self.mistakes.append(f"{event.type} carries no record")
        if isinstance(event, TaskCompletedEvent):
            task = event.task
            assert task is not None
            if task.state is not State.COMPLETED:
                self.mistakes.append(f"O-05: {task.key} is {task.state} at sessioncompleted")
            if (task.error is None) != event.success or event.error_code != (
                task.error.code if task.error else 0
            ):
                self.mistakes.append(f"O-05: error of {task.key} and of its event differ")

    # ---- section 4

    def check(self) -> None:
        """Raises AssertionError when an ordering that holds for any run was broken."""
        found = [*self.mistakes, *self._order(), *self._sessions()]
        by_task: dict[TaskKey, list[Event]] = defaultdict(list)
        for event in self.events:
            if event.task_key is not None:
                by_task[event.task_key].append(event)
        for key, events in by_task.items():
            found += _Life(key, known=key in self._restored).follow(events)
            told = iter([(event.type, event.sequence) for event in events])
            if not all(
                (event.type, event.sequence) in told
                for event in self.heard
                if event.task_key == key
            ):
                found.append(f"O-01: listeners heard {key} in another order than it was told")
        assert not found, "\n".join(found)

    def _order(self) -> list[str]:
        """O-07 and O-17: numbers grow, nothing is told twice."""
        found = []
        numbers = [event.sequence for event in self.events if event.journalled]
        if any(a >= b for a, b in itertools.pairwise(numbers)):
            found.append(f"O-07: the sequence does not grow: {numbers}")
        ids = [event.event_id for event in self.events if event.journalled]
        if len(set(ids)) != len(ids):
            found.append("O-17: an event was told twice")
        return found

    def _sessions(self) -> list[str]:
        """O-10, O-11, E-05: idle after the last task, invalidated at the very end."""
        found = []
        outstanding: dict[str, int] = defaultdict(int)
        idle_due: set[str] = set()
        over: set[str] = set()
        ended: set[TaskKey] = set()
        for event in self.events:
            session = event.session
            if isinstance(event, SessionCreatedEvent):
                over.discard(session)
            elif session in over:
                found.append(f"O-11: {event.type} after sessioninvalidated of {session}")
            known = session not in self._restored_sessions
            key = event.task_key
            if isinstance(event, TaskCreatedEvent):
                outstanding[session] += 1
                idle_due.discard(session)
            elif (
                isinstance(event, TaskStateEvent)
                and key in ended
                and event.state == State.RUNNING.value
            ):
                ended.discard(key)
                outstanding[session] += 1
                idle_due.discard(session)
            elif isinstance(event, TaskCompletedEvent) and key is not None:
                ended.add(key)
                outstanding[session] -= 1
                if not outstanding[session]:
                    idle_due.add(session)
            elif isinstance(event, SessionIdleEvent) and known:
                if session not in idle_due:
                    found.append(
                        f"O-10: sessionidle of {session} with {outstanding[session]} outstanding"
                    )
                idle_due.discard(session)
            elif isinstance(event, SessionInvalidatedEvent):
                over.add(session)
                if known and (outstanding[session] or session in idle_due):
                    found.append(
                        f"O-10: sessioninvalidated of {session} before its tasks or its idle event"
                    )
        return found


RECORDERS: WeakKeyDictionary[Monitor, Recorder] = WeakKeyDictionary()


def recorder_of(monitor: Monitor) -> Recorder:
    """The recorder that a fixture of this folder put on a monitor."""
    return RECORDERS[monitor]


class _Life:
    """Follows the events of one task and notes what must not be: O-01 to O-04."""

    def __init__(self, key: TaskKey, *, known: bool) -> None:
        self.key = key
        self.restored = known  # its earlier events were told by another engine
        self.found: list[str] = []
        self.ended = self.downloaded = self.cancelling = False
        self.attempt = -1
        self.progress = 0
        self.progressed = self.resumed = self.restarted = False

    def follow(self, events: list[Event]) -> list[str]:
        for event in events:
            self._step(event)
        return self.found

    def _wrong(self, row: str, what: str) -> None:
        self.found.append(f"{row}: {self.key}: {what}")

    def _step(self, event: Event) -> None:
        task = event.task
        if task is None:
            return
        if self.ended:
            self._after_the_end(event)
            return
        if task.attempt != self.attempt:
            self.attempt = task.attempt
            self.progressed = self.resumed = False
        if isinstance(event, TaskStateEvent) and event.state == State.CANCELING.value:
            self.cancelling = True
        elif isinstance(event, DownloadResumedEvent):
            self._resumed(event)
        elif isinstance(event, DownloadProgressEvent):
            self._progress(event)
        elif isinstance(event, UploadProgressEvent):
            self._sent(event)
        elif isinstance(event, DownloadCompletedEvent):
            self._completed(event)
        elif isinstance(event, TaskCompletedEvent):
            download = task.kind is Kind.DOWNLOAD
            if event.success and download and not self.downloaded and not self.restored:
                self._wrong("O-02", "success without downloadcompleted")
            if not event.success and self.downloaded:
                self._wrong("O-02", "failure after downloadcompleted")
            self.ended = True

    def _after_the_end(self, event: Event) -> None:
        # a retry: a new life
        if isinstance(event, TaskStateEvent) and event.state == State.RUNNING.value:
            self.__init__(self.key, known=self.restored)  # type: ignore[misc]
        elif isinstance(event, TaskRemovedEvent):
            return
        elif not isinstance(event, TaskStateEvent) or event.state != State.COMPLETED.value:
            self._wrong("O-01", f"{event.type} after sessioncompleted")

    def _resumed(self, event: DownloadResumedEvent) -> None:
        if self.downloaded:
            self._wrong("O-01", "downloadresumed after downloadcompleted")
        if self.resumed:
            self._wrong("O-03", "two downloadresumed in one attempt")
        if self.progressed:
            self._wrong("O-03", "downloadresumed after a progress event of its attempt")
        self.resumed = True
        self.progress = event.file_offset

    def _progress(self, event: DownloadProgressEvent) -> None:
        if self.downloaded:
            self._wrong("O-04", "progress after downloadcompleted")
        if (
            self.cancelling
            and event.task is not None
            and event.task.activity is not Activity.FINALIZING
        ):
            self._wrong("O-04", "progress after a cancel")
        if self.progressed and event.total_bytes_written < self.progress:
            self._wrong(
                "O-04", f"progress falls from {self.progress} to {event.total_bytes_written}"
            )
        self.progressed = True
        self.progress = event.total_bytes_written

    def _sent(self, event: UploadProgressEvent) -> None:
        if self.cancelling:
            self._wrong("O-04", "progress after a cancel")
        if self.progressed and event.total_bytes_sent < self.progress:
            self._wrong(
                "U-05",
                f"progress falls from {self.progress} to {event.total_bytes_sent} in one attempt",
            )
        if 0 < event.total_bytes_expected_to_send < event.total_bytes_sent:
            self._wrong(
                "U-05",
                f"{event.total_bytes_sent} of {event.total_bytes_expected_to_send} bytes sent",
            )
        self.progressed = True
        self.progress = event.total_bytes_sent

    def _completed(self, event: DownloadCompletedEvent) -> None:
        if self.downloaded:
            self._wrong("O-02", "two downloadcompleted")
        self.downloaded = True
        assert event.task is not None
        if self.progress != event.task.received:
            self._wrong("O-04", f"last progress {self.progress} of {event.task.received}")


async def eventually(condition: Callable[[], Any], what: str = "") -> Any:
    """The value of `condition()` once it is true: for what happens on other threads, such as the
    server's.
    """
    try:
        async with asyncio.timeout(LIMIT):
            while not (found := condition()):
                await asyncio.sleep(0.005)
            return found
    except TimeoutError:
        raise AssertionError(f"waited in vain for {what or condition}") from None
