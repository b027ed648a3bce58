"""New tasks from a program's arguments: the record, the headers and the body, checked before
anything is remembered.

Rule: nothing here touches a session or the store. What is wrong with the arguments is raised; what
is wrong with a file that is to be sent is the task's own error later.
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any, Final

from transfermon.engine.event_bus import handling
from transfermon.engine.task_files import noted
from transfermon.http.addresses import check_url, without_credentials
from transfermon.http.upload_protocols.registry import check_name
from transfermon.model import upload_protocol
from transfermon.model.checked_text import checked_path
from transfermon.model.configuration import SessionConfiguration, checked_headers
from transfermon.model.record import record
from transfermon.model.request_options import RequestOptions
from transfermon.model.task import PLAIN_UPLOAD, Kind, Origin, Task, TaskKey, changed
from transfermon.model.task_steps import asked_anew
from transfermon.storage.settings import Settings, download_folder


class _Temporary:
    def __repr__(self) -> str:
        return "TEMPORARY"


# a destination: a file that goes when its listeners have returned (D-08)
TEMPORARY: Final = _Temporary()
Destination = str | os.PathLike[str] | _Temporary | None
Pieces = Callable[[], AsyncIterator[bytes]]  # makes a body, again each time it must be sent


@record
class NewTask:
    """A task that is not in the list yet."""

    task: Task
    headers: dict[str, str] = dataclasses.field(default_factory=dict, repr=False)
    # of a task that sends no file
    body: Pieces | bytes | None = dataclasses.field(default=None, repr=False)


def wishes(
    *,
    speed_limit: int,
    priority: float,
    user_initiated: bool,
    description: str | None,
    maximum_attempts: int,
    earliest_begin_date: datetime | None,
) -> dict[str, Any]:
    """What downloads and uploads have in common, as fields of the record. Raises ValueError for a
    bad priority.
    """
    check_priority(priority)
    return {
        "speed_limit": max(0, speed_limit),
        "priority": priority,
        "user_initiated": user_initiated,
        "description": description,
        "maximum_attempts": max(0, maximum_attempts),
        "earliest_begin": None if earliest_begin_date is None else earliest_begin_date.timestamp(),
    }


def new_download(
    key: TaskKey,
    url: str,
    *,
    request_headers: Mapping[str, str] | None,
    place: tuple[str, str],
    name: str,
    expected_digest: str | None,
    overwrite: bool,
    origin: Origin | None,
    **fields: Any,
) -> NewTask:
    """`place` is that of `place_of`, `fields` are those of `wishes`. Raises ValueError and
    TransferFailure.
    """
    address, headers = _request(url, request_headers)
    folder, given = place
    task = Task(
        session=key.session,
        number=key.number,
        kind=Kind.DOWNLOAD,
        url=address,
        header_names=tuple(headers),
        folder=folder,
        name=given or name,
        named=bool(given or name),
        overwrite=overwrite,
        expected_digest=_checked_digest(expected_digest),
        **_made_by(origin),
        **fields,
    )
    return NewTask(task=task, headers=headers)


def new_upload(
    key: TaskKey,
    url: str,
    data: str | os.PathLike[str] | bytes,
    *,
    method: str,
    request_headers: Mapping[str, str] | None,
    origin: Origin | None,
    protocol: str,
    spool: str,
    **fields: Any,
) -> NewTask:
    """`protocol` is what was asked for, `spool` the folder for a copy of bytes ("": they stay in
    memory), `fields` are those of `wishes` and `into_folder`. Raises ValueError and
    TransferFailure.
    """
    check_name(protocol or upload_protocol.AUTO)
    asked = asked_anew(protocol)
    new = _sending(key, Kind.UPLOAD, url, method, request_headers, origin)
    body: bytes | None = None
    file: dict[str, Any]
    if isinstance(data, bytes | bytearray | memoryview):
        body = bytes(data)
        file = {"expected_to_send": len(body), "name": "data"}
        if spool:
            file |= {
                "source": os.path.join(spool, f"{secrets.token_hex(16)}.body"),
                "spooled": True,
            }
    else:
        path = os.path.abspath(os.path.expanduser(os.fspath(data)))
        file = {
            "source": checked_path(path, "the path"),
            "name": os.path.basename(path),
            **noted(path),
        }
    if not file.get("source"):
        asked["not_resumable"] = PLAIN_UPLOAD
    wanted = protocol if asked["protocol"] else ""
    return changed(
        new, task=changed(new.task, wanted_protocol=wanted, **asked, **file, **fields), body=body
    )


def new_stream(
    key: TaskKey,
    url: str,
    factory: Pieces,
    *,
    method: str,
    request_headers: Mapping[str, str] | None,
    origin: Origin | None,
) -> NewTask:
    """An upload of what `factory()` yields. Raises ValueError and TransferFailure."""
    new = _sending(key, Kind.UPLOAD, url, method, request_headers, origin)
    task = changed(
        new.task, name="stream", protocol=upload_protocol.PLAIN, not_resumable=PLAIN_UPLOAD
    )
    return changed(new, task=task, body=factory)


def new_request(
    key: TaskKey,
    url: str,
    data: object,
    *,
    method: str,
    request_headers: Mapping[str, str] | None,
    origin: Origin | None,
    user_initiated: bool,
    maximum_attempts: int,
    options: RequestOptions,
) -> NewTask:
    """A data task. Raises ValueError and TransferFailure, and TypeError or ValueError for what is
    no JSON.
    """
    new = _sending(key, Kind.DATA, url, method, request_headers, origin)
    headers = dict(new.headers)
    body: bytes | None = None
    if isinstance(data, bytes | bytearray | memoryview):
        body = bytes(data)
    elif data is not None:
        body = json.dumps(data, allow_nan=False).encode()
        if not options.no_content_type and not any(
            name.lower() == "content-type" for name in headers
        ):
            headers["Content-Type"] = "application/json"
    task = changed(
        new.task,
        expected_to_send=len(body or b""),
        user_initiated=user_initiated,
        header_names=tuple(headers),
        maximum_attempts=max(0, maximum_attempts),
    )
    return NewTask(task=task, headers=headers, body=body)


def _sending(
    key: TaskKey,
    kind: Kind,
    url: str,
    method: str,
    request_headers: Mapping[str, str] | None,
    origin: Origin | None,
) -> NewTask:
    address, headers = _request(url, request_headers)
    if not isinstance(method, str) or not method.isascii() or not method.isalpha():
        raise ValueError("a method is a word such as PUT or POST")
    task = Task(
        session=key.session,
        number=key.number,
        kind=kind,
        url=address,
        method=method.upper(),
        header_names=tuple(headers),
        **_made_by(origin),
    )
    return NewTask(task=task, headers=headers)


def _request(url: str, request_headers: Mapping[str, str] | None) -> tuple[str, dict[str, str]]:
    address, credentials = split_credentials(url)
    return address, {**credentials, **checked_headers(request_headers)}


def _made_by(origin: Origin | None) -> dict[str, Any]:
    """What is made while a fetch or a push is handled belongs to it."""
    handler = handling.get()
    return {"origin": origin or (Origin.GIVEN if handler else Origin.TYPED), "handler_id": handler}


def place_of(destination: Destination, default: str) -> tuple[str, str]:
    """Folder and given name; no folder stands for a temporary file."""
    if isinstance(destination, _Temporary):
        return "", ""
    if destination is None:
        return default, ""
    path = checked_path(os.fspath(destination), "the destination")
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
