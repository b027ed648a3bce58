"""One frozen class per event, named and keyed as the ancestors name them.

Rule: an event has happened and is worth telling. `to_dict()` gives the ancestors' camelCase keys,
and `event["totalBytesWritten"]` works too; attributes are snake_case. `from_dict` reads back what
was stored.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import field
from enum import Enum
from functools import cache
from typing import Any, ClassVar

from transfermon.model.metrics import TaskMetrics
from transfermon.model.record import record
from transfermon.model.task import Kind, Progress, Task, TaskKey, changed
from transfermon.model.translate import marked

_COMMON = {
    "sequence": "sequence",
    "event_id": "eventId",
    "time": "time",
    "session_identifier": "sessionIdentifier",
}


@record
class Event:
    """Fields of every event. `event_id` and `sequence` stay the same when an event is delivered
    again.
    """

    type: ClassVar[str] = ""
    # attribute -> the ancestors' key, in the order of to_dict()
    keys: ClassVar[dict[str, str]] = {}
    journalled: ClassVar[bool] = True
    # its sentence in English, with its fields, {name} of its task and {session} in braces; "" where
    # `text.humanize` makes it
    words: ClassVar[str] = ""

    sequence: int = 0
    event_id: str = ""
    time: float = 0.0  # epoch seconds
    session: str = ""  # the session's key in this engine; always there
    session_identifier: str | None = None  # None for default sessions
    # the record after the change
    task: Task | None = field(default=None, repr=False, compare=False)

    @property
    def task_key(self) -> TaskKey | None:
        number = getattr(self, "task_identifier", None)
        return TaskKey(self.session, number) if number else None

    def to_dict(self) -> dict[str, Any]:
        """What a listener of the ancestors, the control API and the journal see: JSON types
        only.
        """
        out: dict[str, Any] = {"type": self.type}
        values = self.__dict__
        for name, key in _named(type(self)):  # type: ignore[arg-type]  # a class can be a key
            value = values[name]
            if type(value) not in _PLAIN:
                value = _plain(value)
            elif value is None and name == "session_identifier":
                continue
            out[key] = value
        return out

    def __getitem__(self, key: str) -> Any:
        return self.to_dict()[key]


@cache
def _named(cls: type[Event]) -> tuple[tuple[str, str], ...]:
    return tuple({**_COMMON, **cls.keys}.items())


_PLAIN = frozenset({str, int, float, bool, type(None)})  # most values: they stay as they are


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    return value.to_dict()


@record
class TaskEvent(Event):
    """An event of one task."""

    task_identifier: int = 0


@record
class TaskCreatedEvent(TaskEvent):
    """[beyond] A task was accepted: it is durable when this is told (W2)."""

    type = "taskcreated"
    keys = {"task_identifier": "taskIdentifier", "kind": "kind", "url": "url"}
    kind: str = ""
    url: str = ""  # redacted


@record
class TaskStateEvent(TaskEvent):
    """[beyond] State or activity changed; `reason` says why in words, `until` when a waiting one
    goes on.
    """

    type = "taskstate"
    keys = {
        "task_identifier": "taskIdentifier",
        "state": "state",
        "activity": "activity",
        "reason": "reason",
        "until": "until",
        "attempt": "attempt",
    }
    state: str = ""
    activity: str = ""
    reason: str = ""
    until: float | None = None
    attempt: int = 0


@record
class TaskActivityEvent(TaskStateEvent):
    """[beyond] A running task went on to the next activity; told in order, not kept in the
    journal.
    """

    type = "taskactivity"
    journalled = False


@record
class TaskRemovedEvent(TaskEvent):
    """[beyond] The record left the list; its file was deleted too where `file_deleted` says so.

    `file_kept` is the path of one that should have been deleted and stays: it is not the file that
    was written, or it cannot be deleted.
    """

    type = "taskremoved"
    keys = {
        "task_identifier": "taskIdentifier",
        "file_deleted": "fileDeleted",
        "file_kept": "fileKept",
    }
    file_deleted: bool = False
    file_kept: str = ""


@record
class TaskWaitingEvent(TaskEvent):
    """`taskIsWaitingForConnectivity`: at most once per task, default sessions only."""

    type = "taskwaiting"
    words = marked("{name} waits for a network")
    keys = {"task_identifier": "taskIdentifier"}


@record
class DownloadProgressEvent(TaskEvent):
    """At most ten a second and task; never stored (D-02 to D-05). An unknown total is 0 here."""

    type = "downloadprogress"
    journalled = False
    keys = {
        "task_identifier": "taskIdentifier",
        "bytes_written": "bytesWritten",
        "total_bytes_written": "totalBytesWritten",
        "total_bytes_expected_to_write": "totalBytesExpectedToWrite",
        "total_known": "totalKnown",
        "fraction": "fraction",
        "attempt": "attempt",
        "speed": "speed",
    }
    bytes_written: int = 0  # since the previous event
    total_bytes_written: int = 0
    total_bytes_expected_to_write: int = 0
    total_known: bool = False
    fraction: float | None = None
    attempt: int = 0
    speed: float = 0.0  # [beyond] bytes per second, smoothed


@record
class DownloadResumedEvent(TaskEvent):
    """The body continues at `file_offset`; 0 announces a start from zero (R-08, R-09)."""

    type = "downloadresumed"
    keys = {
        "task_identifier": "taskIdentifier",
        "file_offset": "fileOffset",
        "expected_total_bytes": "expectedTotalBytes",
        "reason": "reason",
    }
    file_offset: int = 0
    expected_total_bytes: int = -1
    reason: str = ""  # [beyond] why it starts over, in words


@record
class MirrorDroppedEvent(TaskEvent):
    """[beyond] A mirror of the file is not used any more in this attempt; the others go on."""

    type = "mirrordropped"
    keys = {"task_identifier": "taskIdentifier", "mirror": "mirror", "reason": "reason"}
    mirror: str = ""  # its address, redacted
    reason: str = ""  # a sentence


@record
class DownloadCompletedEvent(TaskEvent):
    """The file is whole and under its final name (D-06, D-07)."""

    type = "downloadcompleted"
    keys = {
        "task_identifier": "taskIdentifier",
        "data": "data",
        "location": "location",
        "suggested_filename": "suggestedFilename",
    }
    data: Any = None  # a blob.Blob, backed by the file; None in an event read back from the journal
    location: str = ""
    suggested_filename: str = ""


@record
class UploadProgressEvent(TaskEvent):
    """Bytes given to the network so far; totals restart with each attempt from zero (U-05,
    U-06).
    """

    type = "uploadprogress"
    journalled = False
    keys = {
        "task_identifier": "taskIdentifier",
        "bytes_sent": "bytesSent",
        "total_bytes_sent": "totalBytesSent",
        "total_bytes_expected_to_send": "totalBytesExpectedToSend",
        "attempt": "attempt",
    }
    bytes_sent: int = 0
    total_bytes_sent: int = 0
    total_bytes_expected_to_send: int = 0
    attempt: int = 0


@record
class TaskCompletedEvent(TaskEvent):
    """`sessioncompleted`: exactly once for every task that was started (E-03, E-04)."""

    type = "sessioncompleted"
    keys = {
        "task_identifier": "taskIdentifier",
        "success": "success",
        "error_code": "errorCode",
        "message": "message",
        "status_code": "statusCode",
        "response_text": "responseText",
        "reason": "reason",
        "cancel_reason": "cancelReason",
        "resumable": "resumable",
    }
    success: bool = False
    error_code: int = 0
    message: str = ""
    status_code: int = 0
    response_text: str | None = None
    reason: str = ""
    cancel_reason: int | None = None
    resumable: bool = False  # resume data exists; the data itself is never in an event
    resume_data: bytes | None = field(default=None, repr=False, compare=False)

    @property
    def metrics(self) -> TaskMetrics | None:
        """[beyond] T-19; None in an event that was read back from the journal."""
        return self.task.metrics if self.task is not None else None


@record
class SessionCreatedEvent(Event):
    """[beyond] A session was made or restored."""

    type = "sessioncreated"
    words = marked("{session} opened")


@record
class SessionFinishingEvent(Event):
    """[beyond] The session takes no more tasks; it ends with its last one."""

    type = "sessionfinishing"
    keys = {"canceling": "canceling"}
    canceling: bool = False


@record
class SessionIdleEvent(Event):
    """[beyond] The last outstanding task is done (E-05); the counts are those since the session
    last was idle.
    """

    type = "sessionidle"
    keys = {"completed": "completed", "failed": "failed"}
    completed: int = 0
    failed: int = 0


@record
class SessionInvalidatedEvent(Event):
    """The last event of a session (S-14)."""

    type = "sessioninvalidated"
    keys = {"error": "error"}
    error: str | None = None


@record
class BackgroundTransferEvent(Event):
    """Stored events of a session wait; the key `sessionId` is the ancestors'."""

    type = "backgroundtransfer"
    words = marked("{session}: stored events are delivered")
    keys = {"handler_id": "handlerId", "session_identifier": "sessionId"}
    handler_id: str = ""


@record
class SessionEventsCompletedEvent(Event):
    """All stored events of a background delivery were told."""

    type = "sessioneventscompleted"
    words = marked("{session}: all stored events were delivered")


@record
class BackgroundFetchEvent(Event):
    """The app may look for new content; `handler_id` starts with `Fetch-`."""

    type = "backgroundfetch"
    keys = {"handler_id": "handlerId", "by_hand": "byHand"}
    handler_id: str = ""
    by_hand: bool = False  # [beyond] a button or a command, not the timer


@record
class SilentPushEvent(Event):
    """A push woke the app. Custom fields are fields of `to_dict()`; `payload` is the untouched
    original (P-04).
    """

    type = "silentpush"
    keys = {"handler_id": "handlerId", "by_hand": "byHand", "payload": "payload"}
    handler_id: str = ""
    by_hand: bool = False
    payload: Mapping[str, Any] = field(default_factory=dict)
    custom: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        own = super().to_dict()
        return {**{key: value for key, value in self.custom.items() if key not in own}, **own}


@record
class HandlerEndedEvent(Event):
    """[beyond] A handler was closed; `result` is new_data, no_data or failed."""

    type = "handlerended"
    keys = {
        "handler_id": "handlerId",
        "result": "result",
        "elapsed": "elapsed",
        "started_tasks": "startedTasks",
    }
    handler_id: str = ""
    result: str = ""
    elapsed: float = 0.0
    started_tasks: int = 0


@record
class HandlerExpiredEvent(Event):
    """[beyond] A handler was open when its budget ran out."""

    type = "backgroundhandlerexpired"
    keys = {"handler_id": "handlerId", "kind": "kind", "elapsed": "elapsed"}
    handler_id: str = ""
    kind: str = ""
    elapsed: float = 0.0


@record
class WakeChangedEvent(Event):
    """[beyond] A line of the wake ledger is new or has changed. The ledger itself is remembered,
    not this.
    """

    type = "wakechanged"
    keys = {"wake": "wake"}
    journalled = False
    wake: Any = None  # a wakes.Wake


@record
class PushChannelEvent(Event):
    """[beyond] The push channel is connected, waits, was refused or switched off."""

    type = "pushchannel"
    keys = {"channel": "channel"}
    journalled = False
    channel: Any = None  # a pushchannel.ChannelStatus


@record
class NetworkSimulationEvent(Event):
    """[beyond] What is simulated of a bad network has changed. It is not remembered."""

    type = "networksimulation"
    keys = {"simulation": "simulation"}
    journalled = False
    simulation: Any = None  # a simulation.Simulation


@record
class NotificationEvent(Event):
    """A local notification was shown, or would have been while the app is in front (N-03)."""

    type = "notification"
    keys = {
        "alert_title": "alertTitle",
        "alert_body": "alertBody",
        "user_info": "userInfo",
        "identifier": "identifier",
        "shown": "shown",
        "in_front": "inFront",
    }
    alert_title: str = ""
    alert_body: str = ""
    user_info: Mapping[str, Any] = field(default_factory=dict)
    identifier: str = ""
    shown: bool = False  # on the desktop; False: in the window only
    # while the app is in front: a message in its window, a "banner", or "nothing"
    in_front: str = "message"


def moved_event(task: Task, progress: Progress, *, since: int, speed: float = 0.0) -> TaskEvent:
    """The counters of a download or an upload as they are; `since` is what the event before
    said.
    """
    moved = progress.received
    if task.kind is not Kind.DOWNLOAD:
        return UploadProgressEvent(
            task_identifier=task.number,
            task=changed(task, sent=moved),
            bytes_sent=max(0, moved - since),
            total_bytes_sent=moved,
            total_bytes_expected_to_send=max(0, progress.expected),
            attempt=task.attempt,
        )
    known = progress.expected >= 0
    return DownloadProgressEvent(
        task_identifier=task.number,
        task=changed(task, received=moved),
        bytes_written=max(0, moved - since),
        total_bytes_written=moved,
        total_bytes_expected_to_write=progress.expected if known else 0,
        total_known=known,
        fraction=progress.fraction,
        attempt=task.attempt,
        speed=speed,
    )


def activity_event(task: Task) -> TaskActivityEvent:
    """What a task is doing now."""
    return TaskActivityEvent(
        state=task.state.value, activity=task.activity.value, attempt=task.attempt
    )


def state_event(task: Task) -> TaskStateEvent:
    """Where a task is in its life now, and what it waits for."""
    return TaskStateEvent(
        state=task.state.value,
        activity=task.activity.value,
        reason=task.waiting_reason,
        until=task.waiting_until,
        attempt=task.attempt,
    )


def _all_classes(cls: type[Event]) -> list[type[Event]]:
    return [cls, *(found for child in cls.__subclasses__() for found in _all_classes(child))]


CLASSES: dict[str, type[Event]] = {cls.type: cls for cls in _all_classes(Event) if cls.type}
# must never be lost
TERMINAL = frozenset({"downloadcompleted", "sessioncompleted", "sessioninvalidated"})


def from_dict(stored: Mapping[str, Any], session: str = "") -> Event:
    """The event that `to_dict()` described. Raises ValueError for an unknown type; unknown keys are
    dropped.
    """
    cls = CLASSES.get(str(stored.get("type")))
    if cls is None:
        raise ValueError(f"unknown event type {stored.get('type')!r}")
    known = {item.name for item in dataclasses.fields(cls)}
    values: dict[str, Any] = {"session": session}
    for name, key in {**_COMMON, **cls.keys}.items():
        if name in known and key in stored and name != "data":
            values[name] = stored[key]
    if cls is SilentPushEvent:
        own = {"type", *_COMMON.values(), *cls.keys.values()}
        values["custom"] = {key: value for key, value in stored.items() if key not in own}
    return cls(**values)
