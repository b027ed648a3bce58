"""What is told of a task while it moves: how far it is, and that its disk does not answer."""

from __future__ import annotations

from transfermon.engine import start_conditions
from transfermon.engine.task_run import TaskRun
from transfermon.model.events import activity_event, moved_event
from transfermon.model.task import Kind, Progress, State


def tell_activity(run: TaskRun) -> None:
    """An activity that was only noted lasts: now it is told."""
    if run.noted:
        run.core.record_task(run, run.record, activity_event(run.record), store=False)


def tell_progress(run: TaskRun, progress: Progress, speed: float) -> None:
    """One progress event now, unless an event of the task is still on its way or it has ended."""
    task, engine = run.record, run.engine
    if task.state is not State.RUNNING or run.on_the_way:
        return
    received, told = progress.received, progress.told
    if received == told:
        return
    progress.told = received
    if task.kind is not Kind.DATA:
        event = moved_event(task, progress, since=told, speed=speed)
        engine.tell(
            engine.stamp(event, session=task.session, session_identifier=run.own.identifier), None
        )


def tell_disk(run: TaskRun) -> None:
    """Say of a running download that its disk does not answer, and when it does again."""
    task = run.record
    if (
        run.attempt is None
        or not run.attempt.moving
        or task.kind is not Kind.DOWNLOAD
        or task.state is not State.RUNNING
    ):
        return
    reason = (
        start_conditions.DISK_SILENT if run.attempt.disk_silence >= start_conditions.SILENT else ""
    )
    if task.waiting_reason != reason and task.waiting_reason in ("", start_conditions.DISK_SILENT):
        run.change(waiting_reason=reason)
