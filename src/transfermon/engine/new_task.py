"""What is asked for of a task that is not there yet: one record for scripts, dialogs and the
control API.

Rule: nothing is looked at here but whether the fields are those of its kind; `prepared_task` checks
them and makes the record of the list. A field that `Task` has under the same name is remembered as
it is. An option that is about requests only belongs into `RequestOptions`, which is one field here.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypedDict

from transfermon.http.cookies import Cookie
from transfermon.model.record import record
from transfermon.model.request_options import NONE as NO_OPTIONS
from transfermon.model.request_options import RequestOptions
from transfermon.model.task import Kind, Origin


class _Temporary:
    def __repr__(self) -> str:
        return "TEMPORARY"


# a destination: a file that goes when its listeners have returned (D-08)
TEMPORARY: Final = _Temporary()
Destination = str | os.PathLike[str] | _Temporary | None
Pieces = Callable[[], AsyncIterator[bytes]]  # makes a body, again each time it must be sent
Source = str | os.PathLike[str] | bytes  # a file by its path, or bytes


@record
class NewTask:
    """What `Session.add` makes a task of. Fields that another kind than the own has are ignored."""

    kind: Kind
    url: str
    method: str = "POST"  # of uploads and data tasks
    request_headers: Mapping[str, str] | None = dataclasses.field(default=None, repr=False)
    cookies: Sequence[Cookie] = dataclasses.field(default=(), repr=False)
    options: RequestOptions = NO_OPTIONS
    start: bool = True
    origin: Origin | None = None  # None: typed, or given where a wake is being handled
    user_initiated: bool = False
    maximum_attempts: int = 0  # 0: the session's retry policy decides
    speed_limit: int = 0  # bytes per second; 0: none
    priority: float = 0.5  # 0.0 to 1.0
    description: str | None = None
    earliest_begin_date: datetime | None = None
    # of a download
    destination: Destination = None  # as in `Session.download_task`
    name: str = ""  # of the file; "": the server's
    expected_digest: str | None = None  # "sha-256:HEX" or "sha-512:HEX"
    overwrite: bool = False
    # of an upload
    source: Source | None = dataclasses.field(default=None, repr=False)
    pieces: Pieces | None = dataclasses.field(default=None, repr=False)  # in place of a source
    protocol: str = ""  # "": the session's
    into_folder: bool = False  # a PUT to an address that ends with a slash goes to the name in it
    # of a data task: bytes, or what becomes JSON
    data: object = dataclasses.field(default=None, repr=False)


class StreamWishes(TypedDict, total=False):
    """What may be asked for of each kind of task that has a body; the fields of `NewTask`."""

    method: str
    request_headers: Mapping[str, str] | None
    start: bool
    origin: Origin | None


class DataWishes(StreamWishes, total=False):
    """What may be asked for of a data task."""

    user_initiated: bool
    maximum_attempts: int
    options: RequestOptions
    cookies: Sequence[Cookie]


class UploadWishes(DataWishes, total=False):
    """What may be asked for of an upload."""

    speed_limit: int
    priority: float
    description: str | None
    earliest_begin_date: datetime | None
    protocol: str
    into_folder: bool


class DownloadWishes(TypedDict, total=False):
    """What may be asked for of a download."""

    request_headers: Mapping[str, str] | None
    destination: Destination
    expected_digest: str | None
    start: bool
    overwrite: bool
    origin: Origin | None
    name: str
    speed_limit: int
    priority: float
    user_initiated: bool
    description: str | None
    maximum_attempts: int
    earliest_begin_date: datetime | None
    options: RequestOptions
    cookies: Sequence[Cookie]


def wished(kind: Kind, url: str, wishes: Mapping[str, Any], known: type, **source: Any) -> NewTask:
    """A task with these wishes. Raises TypeError for one that is not among those of `known`."""
    if unknown := wishes.keys() - known.__annotations__.keys():
        raise TypeError(f"{known.__name__} has no {', '.join(sorted(unknown))}")
    return NewTask(kind=kind, url=url, **wishes, **source)
