"""Sizes, rates, durations, states, events and errors in words.

Rule: outside text passes `clean()` before it is shown; an unknown total is never drawn as 0 %.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

from transfermon import events
from transfermon.errors import Code, TransferError
from transfermon.task import Activity, Kind, State, Task

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB", "EB")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_MOVING = {Kind.DOWNLOAD: "Downloading", Kind.UPLOAD: "Uploading", Kind.DATA: "Sending"}
_ACTIVITIES = {
    Activity.QUEUED: "Queued",
    Activity.WAITING_FOR_CONNECTIVITY: "Waiting for a network",
    Activity.CONNECTING: "Connecting",
    Activity.VERIFYING: "Checking",
    Activity.FINALIZING: "Saving",
}
_KINDS = {"download": "Download", "upload": "Upload", "data": "Request"}
_STATES = {"suspended": "Paused", "running": "Running", "canceling": "Cancelling", "completed": "Ended"}


def size(count: float) -> str:
    """Decimal units, as file managers show them: "4.7 MB". Below zero is unknown: "–"."""
    if count < 0:
        return "–"
    if round(count) < 1000:
        return "1 byte" if round(count) == 1 else f"{round(count)} bytes"
    value, unit = float(count), 0
    while round(value, 1) >= 1000 and unit < len(_UNITS) - 1:
        value /= 1000
        unit += 1
    return f"{value:.0f} {_UNITS[unit]}" if round(value, 1) >= 100 else f"{value:.1f} {_UNITS[unit]}"


def rate(per_second: float) -> str:
    """ "12.4 MB/s"; a dash when nothing moves."""
    return "–" if per_second < 1 else f"{size(per_second)}/s"


def duration(seconds: float) -> str:
    """ "45 s", "8 min", "1 h 04 min", "2 d 3 h"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    hours = round(whole / 3600)
    return f"{hours // 24} d {hours % 24} h"


def countdown(seconds: float) -> str:
    """ "0:12", "5:00", "1:00:00"; never below zero."""
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def time_left(done: int, total: int, per_second: float) -> str:
    """From a smoothed rate; a dash when stalled or when the total is unknown."""
    if total < 0 or per_second < 1:
        return "–"
    left = max(0, total - done) / per_second
    return duration(left) if left < 30 * 86400 else "–"


def percent(done: int, total: int) -> str:
    """ "47 %", rounded down so that 100 % means all of it; "" when the total is unknown."""
    if total < 0:
        return ""
    return "100 %" if done >= total else f"{max(0, done) * 100 // total} %"


def progress(done: int, total: int) -> str:
    """ "4.7 of 12 MB" in full: "4.7 MB of 12 MB (39 %)"; the bytes so far when the total is unknown."""
    return size(done) if total < 0 else f"{size(done)} of {size(total)} ({percent(done, total)})"


def clean(text: str, limit: int = 500) -> str:
    """Outside text on one line: controls, direction marks and invisible characters replaced, cut to `limit`."""
    shown = "".join(_shown(char) for char in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: max(0, limit - 1)].rstrip() + "…"


def status(task: Task, now: float) -> str:
    """The state of a task in words; `now` in epoch seconds. A waiting one says why and until when."""
    if task.state is State.COMPLETED:
        return _outcome(task)
    if task.state is State.CANCELING:
        return "Cancelling"
    if task.state is State.SUSPENDED:
        return "Paused"
    if task.activity is Activity.RETRYING:
        reason = _clause(task.waiting_reason)
        until = "" if task.waiting_until is None else f"retrying in {countdown(task.waiting_until - now)}"
        said = ", ".join(part for part in (reason, until) if part)
        return f"Waiting: {said}" if said else "Waiting"
    if task.activity is Activity.WAITING_UNTIL:
        start = task.waiting_until if task.waiting_until is not None else task.earliest_begin
        left = "" if start is None else countdown(start - now)
        if task.waiting_reason:
            return ", ".join(part for part in (f"Waiting: {_clause(task.waiting_reason)}", left) if part)
        return f"Starts in {left}" if left else "Waiting"
    if task.activity is Activity.WAITING_FOR_CONNECTIVITY and task.waiting_reason:
        return f"Waiting: {_clause(task.waiting_reason)}"
    if task.activity is Activity.TRANSFERRING:
        return _MOVING[task.kind]
    return _ACTIVITIES.get(task.activity, "Queued")


def error(failure: TransferError) -> str:
    """What happened and what to do, on one line."""
    return clean(" ".join(part for part in (failure.message, failure.hint) if part))


def event(told: events.Event) -> str:
    """One line for any event; one of a class that is not known here reads like its parent, or is its type."""
    words = next((_EVENTS[cls] for cls in type(told).__mro__ if cls in _EVENTS), None)
    return clean(words(told) if words else told.type)


def _shown(char: str) -> str:
    if char in "\n\r\t":
        return " "
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) in _HIDDEN else char


def _outcome(task: Task) -> str:
    if task.error is None:
        return "Done"
    if task.error.code == Code.CANCELLED:
        return "Cancelled"
    return f"Failed: {_clause(task.error.message)}"


def _clause(sentence: str) -> str:
    """A sentence as the part of another: no full stop, a small first letter where it is a plain word."""
    text = clean(sentence).strip().removesuffix(".")
    first = text.partition(" ")[0]
    return text[:1].lower() + text[1:] if first[1:].islower() or len(first) == 1 else text


def _number(told: Any) -> str:
    return f"Task {told.task_identifier}"


def _name(told: Any) -> str:
    task = told.task
    return f"“{task.name}”" if task is not None and task.name else _number(told)


def _created(told: events.TaskCreatedEvent) -> str:
    return f"{_KINDS.get(told.kind, 'Task')} {told.task_identifier} added: {told.url}"


def _state(told: events.TaskStateEvent) -> str:
    activity = next((item for item in Activity if item.value == told.activity), Activity.NONE)
    words = _STATES.get(told.state, told.state)
    if told.state == State.RUNNING.value:
        kind = told.task.kind if told.task is not None else Kind.DOWNLOAD
        words = {**_ACTIVITIES, Activity.TRANSFERRING: _MOVING[kind], Activity.RETRYING: "Waiting to retry"}.get(
            activity, "Waiting for its time" if activity is Activity.WAITING_UNTIL else words
        )
    return f"{_name(told)}: {words}" + (f", {_clause(told.reason)}" if told.reason else "")


def _removed(told: events.TaskRemovedEvent) -> str:
    return f"{_name(told)} removed from the list" + (" and its file deleted" if told.file_deleted else "")


def _progressed(told: events.DownloadProgressEvent) -> str:
    total = told.total_bytes_expected_to_write if told.total_known else -1
    return f"{_name(told)}: {progress(told.total_bytes_written, total)}"


def _resumed(told: events.DownloadResumedEvent) -> str:
    why = f": {_clause(told.reason)}" if told.reason else ""
    if told.file_offset == 0:
        return f"{_name(told)} starts from zero{why}"
    return f"{_name(told)} goes on at {progress(told.file_offset, told.expected_total_bytes)}{why}"


def _downloaded(told: events.DownloadCompletedEvent) -> str:
    return f"{_name(told)} downloaded to {told.location}" if told.location else f"{_name(told)} downloaded"


def _uploaded(told: events.UploadProgressEvent) -> str:
    return f"{_name(told)}: {progress(told.total_bytes_sent, told.total_bytes_expected_to_send)} sent"


def _completed(told: events.TaskCompletedEvent) -> str:
    if told.success:
        return f"{_name(told)} done" + (f" (HTTP {told.status_code})" if told.status_code else "")
    kept = "; what is there can be used to go on" if told.resumable else ""
    if told.error_code == Code.CANCELLED:
        return f"{_name(told)} cancelled{kept}"
    return f"{_name(told)} failed: {_clause(told.message) or f'error {told.error_code}'}{kept}"


def _session(told: events.Event) -> str:
    return f"Session “{told.session_identifier or told.session or 'default'}”"


def _invalidated(told: events.SessionInvalidatedEvent) -> str:
    return f"{_session(told)} ended" + (f": {_clause(told.error)}" if told.error else "")


def _idle(told: events.SessionIdleEvent) -> str:
    return f"{_session(told)} has nothing left to do: {told.completed} done, {told.failed} failed"


def _finishing(told: events.SessionFinishingEvent) -> str:
    return f"{_session(told)} " + ("cancels its tasks and ends" if told.canceling else "ends with its last task")


def _fetch(told: events.BackgroundFetchEvent) -> str:
    return "Background fetch" + (", by hand" if told.by_hand else "")


def _push(told: events.SilentPushEvent) -> str:
    url = told.custom.get("download_url")
    return "Silent push" + (", by hand" if told.by_hand else "") + (f": {url}" if isinstance(url, str) else "")


def _handler_ended(told: events.HandlerEndedEvent) -> str:
    results = {"new_data": "new data", "no_data": "no data", "failed": "failed"}
    tasks = {0: "", 1: ", 1 task started"}.get(told.started_tasks, f", {told.started_tasks} tasks started")
    return f"Handler {told.handler_id} ended after {told.elapsed:.1f} s: {results.get(told.result, told.result)}{tasks}"


def _handler_expired(told: events.HandlerExpiredEvent) -> str:
    return f"Handler {told.handler_id} ran out of time after {told.elapsed:.1f} s"


def _notified(told: events.NotificationEvent) -> str:
    text = ": ".join(part for part in (told.alert_title, told.alert_body) if part)
    return f"Notification{'' if told.shown else ' (in the window)'}: {text}"


def _wake(told: events.WakeChangedEvent) -> str:
    return f"Wake ledger: {told.wake.kind.value} {told.wake.verdict.value}" if told.wake else "The wake ledger changed"


def _channel(told: events.PushChannelEvent) -> str:
    return told.channel.words if told.channel else "The push channel changed"


def _simulated(told: events.NetworkSimulationEvent) -> str:
    return f"Network simulation: {(told.simulation.words if told.simulation else '') or 'off'}"


_EVENTS: dict[type[events.Event], Callable[[Any], str]] = {
    events.TaskCreatedEvent: _created,
    events.TaskStateEvent: _state,
    events.TaskRemovedEvent: _removed,
    events.TaskWaitingEvent: lambda told: f"{_name(told)} waits for a network",
    events.DownloadProgressEvent: _progressed,
    events.DownloadResumedEvent: _resumed,
    events.DownloadCompletedEvent: _downloaded,
    events.UploadProgressEvent: _uploaded,
    events.TaskCompletedEvent: _completed,
    events.SessionCreatedEvent: lambda told: f"{_session(told)} opened",
    events.SessionFinishingEvent: _finishing,
    events.SessionIdleEvent: _idle,
    events.SessionInvalidatedEvent: _invalidated,
    events.BackgroundTransferEvent: lambda told: f"{_session(told)}: stored events are delivered",
    events.SessionEventsCompletedEvent: lambda told: f"{_session(told)}: all stored events were delivered",
    events.BackgroundFetchEvent: _fetch,
    events.SilentPushEvent: _push,
    events.HandlerEndedEvent: _handler_ended,
    events.HandlerExpiredEvent: _handler_expired,
    events.NotificationEvent: _notified,
    events.WakeChangedEvent: _wake,
    events.PushChannelEvent: _channel,
    events.NetworkSimulationEvent: _simulated,
}
