"""What each command, and each end, makes of a task's record.

Rule: a record in, a record out; whether the command is possible at all is asked before, of
`Task.can` and `Task.after`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transfermon.model import upload_protocol
from transfermon.model.errors import TransferError
from transfermon.model.task import (
    PLAIN_UPLOAD,
    Action,
    Activity,
    Evidence,
    Kind,
    State,
    Task,
    changed,
)


def as_found(task: Task) -> Task:
    """Nothing connects or moves yet when an engine opens."""
    moved = task.activity in (Activity.CONNECTING, Activity.TRANSFERRING, Activity.VERIFYING)
    return changed(task, activity=Activity.QUEUED) if moved else task


def accepted(task: Task, *, now: float, start: bool) -> Task:
    """It comes into the list, to run or suspended."""
    return changed(
        task,
        added=now,
        state=State.RUNNING if start else State.SUSPENDED,
        activity=Activity.QUEUED if start else Activity.NONE,
        suspend_count=0 if start else 1,
    )


def made_from(stored: Task, *, session: str, number: int) -> Task:
    """A new task that goes on where another was cancelled (R-04, U-22)."""
    return changed(
        stored,
        session=session,
        number=number,
        state=State.SUSPENDED,
        activity=Activity.NONE,
        attempt=0,
        started=None,
        finished=None,
        error=None,
        cancel_reason=None,
        transactions=(),
        redirect_count=0,
    )


def resumed(task: Task, *, now: float) -> Task:
    """One suspension less (T-03); it runs when none is left."""
    left = task.suspend_count - 1
    if left > 0:
        return changed(task, suspend_count=left)
    away = now - task.suspended_at if task.suspended_at is not None else 0.0
    return changed(
        task,
        state=task.after(Action.RESUME),
        activity=Activity.QUEUED,
        suspend_count=0,
        suspended_at=None,
        suspended_seconds=task.suspended_seconds + max(0.0, away),
        exposed=False,  # whoever resumes it wants it sent again (U-12)
    )


def suspended(task: Task, *, now: float) -> Task:
    """One suspension more (T-03, T-05)."""
    first = task.state is State.RUNNING
    return changed(
        task,
        state=task.after(Action.SUSPEND),
        activity=Activity.NONE,
        suspend_count=task.suspend_count + 1,
        suspended_at=now if first and task.started is not None else task.suspended_at,
        waiting_until=None,
        waiting_reason="",
    )


def cancelled(task: Task, reason: int | None) -> Task:
    """It is about to end (T-06). `reason` is a number of X-10."""
    return changed(
        task,
        state=task.after(Action.CANCEL),
        activity=Activity.NONE if task.activity is not Activity.FINALIZING else task.activity,
        suspend_count=0,
        waiting_until=None,
        waiting_reason="",
        cancel_reason=reason,
    )


def ended(task: Task, action: Action, error: TransferError | None, *, now: float) -> Task:
    """It has ended: finished without an error, failed or stopped with one."""
    return changed(
        task,
        state=task.after(action),
        error=error,
        activity=Activity.NONE,
        finished=now,
        waiting_until=None,
        waiting_reason="",
        suspend_count=0,
    )


def readdressed(task: Task, url: str) -> Task:
    """Another address is asked from now on, also for what the old one may have; what an answer of
    that has told counts no more.
    """
    return changed(task, url=url, current_url="", evidence=Evidence(), exposed=False)


def without_part(task: Task) -> Task:
    return changed(task, part_path="", older_part=None, received=0, ranges=(), validators=None)


def tried_again(task: Task, before: Task, file: Mapping[str, Any]) -> Task:
    """A task that has failed runs again from its first attempt. `before` is its record with the
    address that it had, `file` what its source is like today; nothing for a task without one.
    """
    if task.kind is Kind.UPLOAD:
        task = _sent_again(task, moved=task.url != before.url, file=file)
    return changed(
        task,
        state=task.after(Action.RETRY),
        activity=Activity.QUEUED,
        attempt=0,
        error=None,
        cancel_reason=None,
        started=None,
        finished=None,
        suspended_seconds=0.0,
        suspend_count=0,
        restarts=0,
        room=0,  # whoever asks for it wants it tried
        transactions=(),
        redirect_count=0,
    )


def _sent_again(task: Task, *, moved: bool, file: Mapping[str, Any]) -> Task:
    changes = dict(file)
    if moved or file.get("source_identity", task.source_identity) != task.source_identity:
        task = changed(task, upload=None)
    if task.upload is None and task.source:  # another server, or another day: ask again
        changes |= asked_anew(task.wanted_protocol)
    return changed(
        task,
        sent=task.upload.offset if task.upload else 0,
        exposed=False,
        renewed=False,
        unconfirmed="",
        stored_as="",
        **changes,
    )


def asked_anew(wanted: str) -> dict[str, Any]:
    """What the record says of an upload whose protocol is to be found out again, unless it was
    asked for.
    """
    protocol = upload_protocol.decided(wanted)
    return {
        "protocol": protocol,
        "not_resumable": PLAIN_UPLOAD if protocol == upload_protocol.PLAIN else "",
    }
