"""Builders of records for tests: say what matters, the rest is ordinary."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from transfermon.model.errors import Code, Retry, TransferError
from transfermon.model.events import (
    DownloadCompletedEvent,
    Event,
    TaskCompletedEvent,
    TaskCreatedEvent,
    TaskRemovedEvent,
    TaskStateEvent,
)
from transfermon.model.tally import Tally
from transfermon.model.task import Activity, Kind, Progress, State, Task

NOW = 1_760_000_000.0  # epoch seconds
_sequence = itertools.count(1)


def a_task(**changes: Any) -> Task:
    """A running download, one quarter done; `changes` are fields of `Task`."""
    number = changes.pop("number", 1)
    fields: dict[str, Any] = {
        "session": "demo",
        "number": number,
        "kind": Kind.DOWNLOAD,
        "url": f"https://example.org/files/clip-{number:03}.mp4",
        "name": f"clip-{number:03}.mp4",
        "state": State.RUNNING,
        "activity": Activity.TRANSFERRING,
        "added": NOW + number,
        "received": 25_000_000,
        "expected": 100_000_000,
        "attempt": 1,
    }
    return Task(**{**fields, **changes})


def a_queued_task(**changes: Any) -> Task:
    return a_task(**{"activity": Activity.QUEUED, "received": 0, "attempt": 0, **changes})


def a_paused_task(**changes: Any) -> Task:
    return a_task(
        **{"state": State.SUSPENDED, "activity": Activity.NONE, "suspend_count": 1, **changes}
    )


def a_waiting_task(**changes: Any) -> Task:
    """Tries again 12 s after `NOW`."""
    waiting = {
        "activity": Activity.RETRYING,
        "waiting_until": NOW + 12,
        "waiting_reason": "The server refused the connection.",
    }
    return a_task(**{**waiting, **changes})


def a_finished_task(**changes: Any) -> Task:
    done = {
        "state": State.COMPLETED,
        "activity": Activity.NONE,
        "received": 100_000_000,
        "finished": NOW + 60,
    }
    return a_task(**{**done, **changes})


def a_failed_task(**changes: Any) -> Task:
    error = TransferError(
        code=Code.BAD_SERVER_RESPONSE,
        message="The server does not have this file.",
        reason="http.status",
        hint="Check the address.",
        status=404,
        retry=Retry.FINAL,
    )
    return a_finished_task(**{"received": 25_000_000, "error": error, **changes})


def a_cancelled_task(**changes: Any) -> Task:
    error = TransferError(code=Code.CANCELLED, message="It was cancelled.", reason="cancelled")
    return a_failed_task(**{"error": error, **changes})


def a_progress(
    received: int = 50_000_000,
    expected: int = 100_000_000,
    *,
    speed: float = 0.0,
    now: float = 10.0,
) -> Progress:
    """Live counters whose rate is `speed` bytes per second at `now`."""
    progress = Progress(received=received, expected=expected)
    progress.rate.add(now - 1.0, received - round(speed))
    progress.rate.add(now, received)
    return progress


def _about(task: Task, **changes: Any) -> dict[str, Any]:
    sequence = next(_sequence)
    return {
        "sequence": sequence,
        "event_id": f"e{sequence}",
        "time": NOW + sequence / 8,
        "session": task.session,
        "session_identifier": task.session,
        "task": task,
        "task_identifier": task.number,
        **changes,
    }


def created(task: Task, **changes: Any) -> Event:
    return TaskCreatedEvent(**_about(task, kind=task.kind.value, url=task.url, **changes))


def moved(task: Task, **changes: Any) -> Event:
    """`taskstate` with the state that the record has."""
    return TaskStateEvent(
        **_about(task, state=task.state.value, activity=task.activity.value, **changes)
    )


def removed(task: Task, **changes: Any) -> Event:
    return TaskRemovedEvent(**_about(task, **changes))


def downloaded(task: Task, **changes: Any) -> Event:
    return DownloadCompletedEvent(**_about(task, location=task.final_path, **changes))


def completed(task: Task, **changes: Any) -> Event:
    error = task.error
    outcome: dict[str, Any] = {"success": error is None}
    if error is not None:
        outcome.update(
            error_code=int(error.code), message=error.message, status_code=error.status or 0
        )
    return TaskCompletedEvent(**_about(task, **{**outcome, **changes}))


def tally_of(tasks: Iterable[Task]) -> dict[str, Tally]:
    """By session, from scratch."""
    found: dict[str, Tally] = {}
    for task in tasks:
        found.setdefault(task.session, Tally()).change(None, task)
    return found
