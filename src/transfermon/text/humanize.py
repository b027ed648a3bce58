"""Sizes, rates, durations, states, events and errors in words.

Rule: outside text passes `clean()` before it is shown; an unknown total is never drawn as 0 %.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from transfermon.http.upload_protocols import places
from transfermon.model import events
from transfermon.model.errors import Code, TransferError
from transfermon.model.task import Activity, Kind, State, Task
from transfermon.model.translate import marked, tr
from transfermon.model.units import clean, countdown, progress

_MOVING = {
    Kind.DOWNLOAD: marked("Downloading"),
    Kind.UPLOAD: marked("Uploading"),
    Kind.DATA: marked("Sending"),
}
_ACTIVITIES = {
    Activity.QUEUED: marked("Queued"),
    Activity.WAITING_FOR_CONNECTIVITY: marked("Waiting for a network"),
    Activity.CONNECTING: marked("Connecting"),
    Activity.VERIFYING: marked("Checking"),
    Activity.FINALIZING: marked("Saving"),
}
_KINDS = {"download": marked("Download"), "upload": marked("Upload"), "data": marked("Request")}
_STATES = {
    "suspended": marked("Paused"),
    "running": marked("Running"),
    "canceling": marked("Cancelling"),
    "completed": marked("Ended"),
}


def status(task: Task, now: float) -> str:
    """The state of a task in words; `now` in epoch seconds. A waiting one says why and until
    when.
    """
    if task.state is State.COMPLETED:
        return _outcome(task)
    if task.state is State.CANCELING:
        return tr("Cancelling")
    if task.state is State.SUSPENDED:
        return tr("Paused")
    if task.activity is Activity.RETRYING:
        reason = _clause(task.waiting_reason)
        until = (
            ""
            if task.waiting_until is None
            else tr("retrying in {time}").format(time=countdown(task.waiting_until - now))
        )
        said = ", ".join(part for part in (reason, until) if part)
        return tr("Waiting: {said}").format(said=said) if said else tr("Waiting")
    if task.activity is Activity.WAITING_UNTIL:
        start = task.waiting_until if task.waiting_until is not None else task.earliest_begin
        left = "" if start is None else countdown(start - now)
        if task.waiting_reason:
            return ", ".join(
                part
                for part in (
                    tr("Waiting: {waiting_reason}").format(
                        waiting_reason=_clause(task.waiting_reason)
                    ),
                    left,
                )
                if part
            )
        return tr("Starts in {left}").format(left=left) if left else tr("Waiting")
    if task.activity is Activity.WAITING_FOR_CONNECTIVITY and task.waiting_reason:
        return tr("Waiting: {waiting_reason}").format(waiting_reason=_clause(task.waiting_reason))
    if task.waiting_reason:  # it runs, and something keeps it from going on
        return clean(task.waiting_reason).strip().removesuffix(".")
    if task.activity is Activity.TRANSFERRING:
        if task.upload is not None and task.upload.elsewhere:
            return tr("Uploading to {server}").format(
                server=clean(places.server_name(task.upload.url), 200)
            )
        return tr(_MOVING[task.kind])
    return tr(_ACTIVITIES.get(task.activity, "Queued"))


def error(failure: TransferError) -> str:
    """What happened and what to do, on one line."""
    said = (
        tr("It says: “{said}”.").format(said=failure.said.removesuffix(".")) if failure.said else ""
    )
    return clean(" ".join(part for part in (failure.message, said, failure.hint) if part), 800)


def unconfirmed(task: Task) -> str:
    """Why nobody knows that the server has what was sent, and what to do; "" where that is not the
    question.
    """
    return (
        clean(f"{task.unconfirmed} {tr('Look on the server.')}")
        if task.unconfirmed and task.succeeded
        else ""
    )


def event(told: events.Event) -> str:
    """One line for any event: its own words, or those of the table; one of a class that is not
    known there reads like its parent, or is its type.
    """
    if told.words:
        name = _name(told) if told.task_key is not None else ""
        fields = {**vars(told), "name": name, "session": _session(told)}
        return clean(tr(told.words).format(**fields))
    words = next((_EVENTS[cls] for cls in type(told).__mro__ if cls in _EVENTS), None)
    return clean(words(told) if words else told.type)


def _outcome(task: Task) -> str:
    if task.unconfirmed and task.error is None:
        return tr("Sent, not confirmed")
    if task.stored_as and task.error is None:
        return tr("Done: stored as {place}").format(place=_place(task))
    if task.error is None:
        said = task.instead or task.remark
        return tr("Done: {instead}").format(instead=clean(said)) if said else tr("Done")
    if task.error.code == Code.CANCELLED:
        return tr("Cancelled")
    return tr("Failed: {message}").format(message=_clause(task.error.message))


def _place(task: Task) -> str:
    """A name where the folder is the one that was asked for, else an address."""
    where = places.file_address(task)
    folder, _, name = task.stored_as.rpartition("/")
    return clean(
        unquote(name)
        if name and folder == where.partition("?")[0].rpartition("/")[0]
        else task.stored_as,
        200,
    )


def _clause(sentence: str) -> str:
    """A sentence as the part of another: no full stop, a small first letter where it is a plain
    word.
    """
    text = clean(sentence).strip().removesuffix(".")
    first = text.partition(" ")[0]
    return text[:1].lower() + text[1:] if first[1:].islower() or len(first) == 1 else text


def _number(told: Any) -> str:
    return tr("Task {task_identifier}").format(task_identifier=told.task_identifier)


def _name(told: Any) -> str:
    task = told.task
    return f"“{task.name}”" if task is not None and task.name else _number(told)


def _created(told: events.TaskCreatedEvent) -> str:
    return tr("{kind} {number} added: {url}").format(
        kind=tr(_KINDS.get(told.kind, marked("Task"))), number=told.task_identifier, url=told.url
    )


def _state(told: events.TaskStateEvent) -> str:
    activity = next((item for item in Activity if item.value == told.activity), Activity.NONE)
    words = _STATES.get(told.state, told.state)
    if told.state == State.RUNNING.value:
        kind = told.task.kind if told.task is not None else Kind.DOWNLOAD
        words = {
            **_ACTIVITIES,
            Activity.TRANSFERRING: _MOVING[kind],
            Activity.RETRYING: marked("Waiting to retry"),
        }.get(
            activity,
            marked("Waiting for its time") if activity is Activity.WAITING_UNTIL else words,
        )
    return f"{_name(told)}: {tr(words)}" + (f", {_clause(told.reason)}" if told.reason else "")


def kept_file(path: str) -> str:
    """Of a file that should have been deleted with its transfer."""
    words = tr(
        "“{path}” was not deleted: it is not the file that was downloaded, or it cannot be deleted."
    )
    return words.format(path=clean(path))


def _removed(told: events.TaskRemovedEvent) -> str:
    if told.file_kept:
        return f"{tr('{name} removed from the list').format(name=_name(told))}. {kept_file(told.file_kept)}"
    return (
        tr("{name} removed from the list and its file deleted")
        if told.file_deleted
        else tr("{name} removed from the list")
    ).format(name=_name(told))


def _progressed(told: events.DownloadProgressEvent) -> str:
    total = told.total_bytes_expected_to_write if told.total_known else -1
    return f"{_name(told)}: {progress(told.total_bytes_written, total)}"


def _resumed(told: events.DownloadResumedEvent) -> str:
    why = f": {_clause(told.reason)}" if told.reason else ""
    if told.file_offset == 0:
        return tr("{name} starts from zero").format(name=_name(told)) + why
    return (
        tr("{name} goes on at {progress}").format(
            name=_name(told), progress=progress(told.file_offset, told.expected_total_bytes)
        )
        + why
    )


def _mirror_dropped(told: events.MirrorDroppedEvent) -> str:
    return tr("{name} does without the mirror {mirror}: {reason}").format(
        name=_name(told), mirror=told.mirror, reason=_clause(told.reason)
    )


def _downloaded(told: events.DownloadCompletedEvent) -> str:
    words = tr("{name} downloaded to {location}") if told.location else tr("{name} downloaded")
    return words.format(name=_name(told), location=told.location)


def _uploaded(told: events.UploadProgressEvent) -> str:
    return tr("{name}: {progress} sent").format(
        name=_name(told),
        progress=progress(told.total_bytes_sent, told.total_bytes_expected_to_send),
    )


def _completed(told: events.TaskCompletedEvent) -> str:
    if told.success:
        words = tr("{name} done (HTTP {status})") if told.status_code else tr("{name} done")
        return words.format(name=_name(told), status=told.status_code)
    kept = f"; {tr('what is there can be used to go on')}" if told.resumable else ""
    if told.error_code == Code.CANCELLED:
        return tr("{name} cancelled").format(name=_name(told)) + kept
    return tr("{name} failed: {reason}").format(name=_name(told), reason=_why(told)) + kept


def _why(told: events.TaskCompletedEvent) -> str:
    return _clause(told.message) or tr("error {code}").format(code=told.error_code)


def _session(told: events.Event) -> str:
    return tr("Session “{name}”").format(name=told.session_identifier or told.session or "default")


def _invalidated(told: events.SessionInvalidatedEvent) -> str:
    return tr("{session} ended").format(session=_session(told)) + (
        f": {_clause(told.error)}" if told.error else ""
    )


def _idle(told: events.SessionIdleEvent) -> str:
    return tr("{session} has nothing left to do: {completed} done, {failed} failed").format(
        session=_session(told), completed=told.completed, failed=told.failed
    )


def _finishing(told: events.SessionFinishingEvent) -> str:
    return (
        tr("{session} cancels its tasks and ends")
        if told.canceling
        else tr("{session} ends with its last task")
    ).format(session=_session(told))


def _fetch(told: events.BackgroundFetchEvent) -> str:
    return tr("Background fetch, by hand") if told.by_hand else tr("Background fetch")


def _push(told: events.SilentPushEvent) -> str:
    url = told.custom.get("download_url")
    words = tr("Silent push, by hand") if told.by_hand else tr("Silent push")
    return f"{words}: {url}" if isinstance(url, str) else words


def _handler(identifier: str) -> str:
    """As much of it as tells one from another: `Fetch-6cacb3d3` of a name with a UUID."""
    return re.sub(r"(-[0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f-]{8,}$", r"\1", identifier)


def _handler_ended(told: events.HandlerEndedEvent) -> str:
    results = {
        "new_data": marked("new data"),
        "no_data": marked("no data"),
        "failed": marked("failed"),
    }
    ended = tr("Handler {handler} ended after {seconds:.1f} s: {result}").format(
        handler=_handler(told.handler_id),
        seconds=told.elapsed,
        result=tr(results.get(told.result, told.result)),
    )
    if not told.started_tasks:
        return ended
    return ended + ", " + tr("%n tasks started", "1 task started", told.started_tasks)


def _handler_expired(told: events.HandlerExpiredEvent) -> str:
    return tr("Handler {handler} ran out of time after {seconds:.1f} s").format(
        handler=_handler(told.handler_id), seconds=told.elapsed
    )


def _notified(told: events.NotificationEvent) -> str:
    text = ": ".join(part for part in (told.alert_title, told.alert_body) if part)
    return (
        tr("Notification: {text}") if told.shown else tr("Notification (in the window): {text}")
    ).format(text=text)


def _ledger(wake: Any) -> str:
    return tr("Wake ledger: {kind} {verdict}").format(
        kind=wake.kind.value, verdict=wake.verdict.value
    )


def _wake(told: events.WakeChangedEvent) -> str:
    return _ledger(told.wake) if told.wake else tr("The wake ledger changed")


def _channel(told: events.PushChannelEvent) -> str:
    return told.channel.words if told.channel else tr("The push channel changed")


def _simulated(told: events.NetworkSimulationEvent) -> str:
    return tr("Network simulation: {words}").format(
        words=(told.simulation.words if told.simulation else "") or tr("off")
    )


_EVENTS: dict[type[events.Event], Callable[[Any], str]] = {
    events.TaskCreatedEvent: _created,
    events.TaskStateEvent: _state,
    events.TaskRemovedEvent: _removed,
    events.DownloadProgressEvent: _progressed,
    events.DownloadResumedEvent: _resumed,
    events.MirrorDroppedEvent: _mirror_dropped,
    events.DownloadCompletedEvent: _downloaded,
    events.UploadProgressEvent: _uploaded,
    events.TaskCompletedEvent: _completed,
    events.SessionFinishingEvent: _finishing,
    events.SessionIdleEvent: _idle,
    events.SessionInvalidatedEvent: _invalidated,
    events.BackgroundFetchEvent: _fetch,
    events.SilentPushEvent: _push,
    events.HandlerEndedEvent: _handler_ended,
    events.HandlerExpiredEvent: _handler_expired,
    events.NotificationEvent: _notified,
    events.WakeChangedEvent: _wake,
    events.PushChannelEvent: _channel,
    events.NetworkSimulationEvent: _simulated,
}
