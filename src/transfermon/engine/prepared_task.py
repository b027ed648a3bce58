"""From what is asked for to the task of the list: its record, its headers and its body, checked
before anything is remembered.

Rule: the store is not touched here. What is wrong with the arguments is raised; what is wrong with
a file that is to be sent is the task's own error later.
"""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

from transfermon.engine.event_bus import handling
from transfermon.engine.new_task import TEMPORARY, Destination, NewTask, Pieces
from transfermon.engine.session_core import SessionCore
from transfermon.engine.task_files import body_path, noted
from transfermon.http.addresses import check_url, without_credentials
from transfermon.http.mirrors import checked_mirrors
from transfermon.http.upload_protocols.registry import check_name
from transfermon.model import upload_protocol
from transfermon.model.checked_text import checked_path, checked_text
from transfermon.model.configuration import SessionConfiguration, checked_headers
from transfermon.model.errors import InvalidAction
from transfermon.model.record import record
from transfermon.model.task import PLAIN_UPLOAD, Kind, Origin, Task, TaskKey
from transfermon.model.task_steps import asked_anew
from transfermon.storage.settings import Settings, download_folder

# what the task remembers of its order under the same name; the rest is looked at first
_KEPT = {item.name for item in dataclasses.fields(NewTask)} & {
    item.name for item in dataclasses.fields(Task)
} - {"kind", "url", "method", "origin", "name", "source", "protocol"}


@record
class PreparedTask:
    """A task that is not in the list yet."""

    task: Task
    headers: dict[str, str] = dataclasses.field(default_factory=dict, repr=False)
    # of a task that sends no file
    body: Pieces | bytes | None = dataclasses.field(default=None, repr=False)


def prepared(core: SessionCore, key: TaskKey, new: NewTask) -> PreparedTask:
    """Raises ValueError, TransferFailure and TypeError as `Session.download_task` and its likes,
    and InvalidAction for a stream in a background session.
    """
    check_priority(new.priority)
    new.options.check()
    bare, headers = split_credentials(new.url)
    options = checked_mirrors(new.options, bare, new.expected_digest or "")
    headers |= checked_headers(new.request_headers)
    own, body = _OF_KIND[new.kind](core, new)
    if (
        new.kind is Kind.DATA
        and body is not None
        and not isinstance(new.data, bytes | bytearray | memoryview)
    ):
        headers = _with_json_type(headers, new)
    handler = handling.get()
    begin = new.earliest_begin_date
    fields = {
        "origin": new.origin or (Origin.GIVEN if handler else Origin.TYPED),
        "handler_id": handler,
        "header_names": tuple(headers),
        "earliest_begin": None if begin is None else begin.timestamp(),
        **{name: getattr(new, name) for name in _KEPT},
        "options": options,
        **own,
    }
    fields["speed_limit"] = max(0, new.speed_limit)
    fields["maximum_attempts"] = max(0, new.maximum_attempts)
    task = Task(session=key.session, number=key.number, kind=new.kind, url=bare, **fields)
    checked_text(task.description or "", "the description")
    checked_path(task.name, "the name")
    return PreparedTask(task=task, headers=headers, body=body)


Own = tuple[dict[str, Any], Pieces | bytes | None]  # fields of the record, and the body


def _download(core: SessionCore, new: NewTask) -> Own:
    folder, given = place_of(new.destination, core)
    name = given or new.name
    digest = _checked_digest(new.expected_digest)
    return {"folder": folder, "name": name, "named": bool(name), "expected_digest": digest}, None


def _upload(core: SessionCore, new: NewTask) -> Own:
    own: dict[str, Any] = {"method": _checked_method(new.method)}
    if new.pieces is not None:
        if core.configuration.is_background:
            raise InvalidAction(
                "a background session sends files and bytes only: a stream ends with the process"
            )
        plain = {"protocol": upload_protocol.PLAIN, "not_resumable": PLAIN_UPLOAD}
        return own | plain | {"name": "stream"}, new.pieces
    protocol = new.protocol or core.configuration.upload_protocol
    check_name(protocol or upload_protocol.AUTO)
    own |= asked_anew(protocol)
    own["wanted_protocol"] = protocol if own["protocol"] else ""
    if isinstance(new.source, bytes | bytearray | memoryview):
        body = bytes(new.source)
        own |= {"expected_to_send": len(body), "name": "data"}
        if core.configuration.is_background:
            kept = body_path(core.engine.state_dir)
            return own | {"source": kept, "spooled": True}, body
        return own | {"not_resumable": PLAIN_UPLOAD}, body
    if new.source is None:
        raise TypeError("an upload has a source or pieces")
    path = os.path.abspath(os.path.expanduser(os.fspath(new.source)))
    file = {"source": checked_path(path, "the path"), "name": os.path.basename(path)}
    return own | file | noted(path), None


def _data(core: SessionCore, new: NewTask) -> Own:
    body: bytes | None = None
    if isinstance(new.data, bytes | bytearray | memoryview):
        body = bytes(new.data)
    elif new.data is not None:
        body = json.dumps(new.data, allow_nan=False).encode()
    return {"method": _checked_method(new.method), "expected_to_send": len(body or b"")}, body


def _with_json_type(headers: dict[str, str], new: NewTask) -> dict[str, str]:
    named = any(name.lower() == "content-type" for name in headers)
    if named or new.options.no_content_type:
        return headers
    return {**headers, "Content-Type": "application/json"}


_OF_KIND = {Kind.DOWNLOAD: _download, Kind.UPLOAD: _upload, Kind.DATA: _data}


def _checked_method(method: str) -> str:
    if not isinstance(method, str) or not method.isascii() or not method.isalpha():
        raise ValueError("a method is a word such as PUT or POST")
    return method.upper()


def place_of(destination: Destination, core: SessionCore) -> tuple[str, str]:
    """Folder and given name; no folder stands for a temporary file."""
    if destination is TEMPORARY:
        return "", ""
    if destination is None:
        return default_folder_of(core.configuration, core.engine.settings), ""
    path = checked_path(os.fspath(destination), "the destination")  # type: ignore[arg-type]  # no other is left
    absolute = os.path.abspath(os.path.expanduser(path))
    if path.endswith(os.sep) or os.path.isdir(absolute):
        return absolute, ""
    return os.path.split(absolute)


def default_folder_of(own: SessionConfiguration, settings: Settings) -> str:
    """Where downloads without a destination go: the session's folder, the setting, or the
    desktop's.
    """
    chosen = own.download_folder or settings.download_folder or download_folder()
    return os.path.abspath(os.path.expanduser(chosen))


def split_credentials(url: str) -> tuple[str, dict[str, str]]:
    """A checked URL; its user information moves into a header, which is kept with the other
    secrets.
    """
    bare, authorization = without_credentials(check_url(url))
    return bare, {"Authorization": authorization} if authorization else {}


def check_priority(priority: float) -> None:
    if not 0.0 <= priority <= 1.0:
        raise ValueError("a priority is 0.0 to 1.0")


def _checked_digest(digest: str | None) -> str:
    """ "sha-256:HEX" in lower case, or ""."""
    if not digest:
        return ""
    algorithm, _, value = digest.lower().partition(":")
    lengths = {"sha-256": 64, "sha-512": 128}
    if (
        algorithm not in lengths
        or len(value) != lengths[algorithm]
        or set(value) - set("0123456789abcdef")
    ):
        raise ValueError("a digest is sha-256: and 64 or sha-512: and 128 hexadecimal digits")
    return f"{algorithm}:{value}"
