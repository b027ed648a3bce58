"""Records as the control API shows them: plain JSON, with names in camelCase.

Rule: a secret is not in here, nor the words of an error that could hold one.
"""

from __future__ import annotations

import dataclasses
import time
from enum import Enum
from typing import Any

from transfermon.engine.answers import KeptAnswer
from transfermon.http.upload_protocols.places import server_name
from transfermon.model import request_options
from transfermon.model.errors import Code, redacted
from transfermon.model.events import Event
from transfermon.model.request_options import RequestOptions
from transfermon.model.task import Progress, State, Task, changed, progress_of
from transfermon.model.translate import in_english
from transfermon.text import humanize

SECRET_ERRORS = (Code.AUTHENTICATION_REQUIRED, Code.AUTHENTICATION_CANCELLED)


def event_dict(event: Event) -> dict[str, Any]:
    """An event as programs see it: `to_dict()` and the key of its session."""
    return {**event.to_dict(), "session": event.session}


def _status(task: Task) -> str:
    with in_english():
        return humanize.status(task, time.time())


def task_dict(task: Task, progress: Progress | None = None) -> dict[str, Any]:
    """A task as programs see it. Bytes and bytes per second; -1 is an unknown size; times are epoch
    seconds.

    `received` and `expected` are what was moved, and of how much: of an upload, what was sent.
    """
    live = progress or progress_of(task)
    error = task.error
    return {
        "id": str(task.key),
        "session": task.session,
        "number": task.number,
        "kind": task.kind.value,
        "method": task.method,
        "url": redacted(task.url),
        "state": task.state.value,
        "activity": task.activity.value,
        "status": _status(task),
        "received": live.received,
        "expected": live.expected,
        "fraction": live.fraction,
        "speed": round(progress.rate.per_second(time.monotonic())) if progress else 0,
        "name": task.name,
        "folder": task.folder,
        "path": task.named_path,
        "source": "" if task.spooled else task.source,
        "statusCode": task.response.status if task.response else 0,
        "error": None
        if error is None
        else {
            "code": error.code,
            "message": error.message,
            "reason": error.reason,
            "hint": error.hint,
            "said": error.said,
            "status": error.status,
        },
        "instead": task.instead,
        "waitingHint": task.waiting_hint if task.waiting else "",
        "protocol": task.protocol,
        "uploadHost": server_name(task.upload.url) if task.upload is not None else "",
        "unconfirmed": task.unconfirmed,
        "storedAs": task.stored_as,
        "remark": task.remark,
        "attempt": task.attempt,
        "options": request_options.to_dict(_without_secrets(task.options)),
        "added": task.added,
        "finished": task.finished,
        "resumable": not task.not_resumable,
        "notResumable": task.not_resumable,
    }


def _without_secrets(options: RequestOptions) -> RequestOptions:
    mirrors = tuple(redacted(address) for address in options.mirrors)
    return changed(options, mirrors=mirrors) if mirrors else options


def task_dict_at_rest(task: Task) -> dict[str, Any]:
    """The same, of a task that an engine has remembered and that none has gone on with since. A
    look at its part file.
    """
    # nothing has looked since the engine ended
    if task.outstanding and task.part_path and not task.ranges:
        from transfermon.storage import file_identity  # it brings what a mere list needs not

        task = changed(task, received=file_identity.size_at(task.part_path))
    out = task_dict(task)
    if task.state is State.RUNNING:
        out["status"] = "Interrupted"  # it was running, and will be, but nothing runs it now
    return out


def response_dict(kept: KeptAnswer) -> dict[str, Any]:
    """What a server answered, as programs see it; `responseWhole` is false where not all of it is
    kept.
    """
    return {"responseText": kept.text, "responseWhole": kept.whole}


def plain_record(record: Any) -> dict[str, Any]:
    """A frozen record of the engine with camelCase keys."""
    return {
        _camel(item.name): _value(getattr(record, item.name)) for item in dataclasses.fields(record)
    }


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _value(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
