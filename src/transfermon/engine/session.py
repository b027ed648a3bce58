"""Sessions and their tasks: the public objects, the queue, retries, and the one door for changes.

Rule: every change of a task or session goes through `Session._record`: it decides on the record in memory without an
await, queues the commit, and tells when it is durable, in order. Nothing else writes `_tasks`.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
import json
import logging
import os
import secrets
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from transfermon.engine import start_conditions
from transfermon.engine.answers import TOLD, Kept
from transfermon.engine.event_bus import handling
from transfermon.engine.shared import Engine
from transfermon.engine.start_conditions import RATE_LIMITED, Hold
from transfermon.http import proxies, resume, retry
from transfermon.http.addresses import check_url, origin_of, without_credentials
from transfermon.http.cookies import Cookie
from transfermon.model import upload_protocol
from transfermon.model.checked_text import checked_path, checked_text
from transfermon.model.configuration import SessionConfiguration, checked_headers
from transfermon.model.errors import (
    Code,
    InvalidAction,
    Retry,
    SessionInvalidatedError,
    TransferError,
    TransferFailure,
    redacted,
)
from transfermon.model.events import (
    Event,
    SessionCreatedEvent,
    SessionFinishingEvent,
    SessionIdleEvent,
    SessionInvalidatedEvent,
    TaskCompletedEvent,
    TaskCreatedEvent,
    TaskEvent,
    TaskRemovedEvent,
    TaskStateEvent,
    TaskWaitingEvent,
    activity_event,
    moved_event,
)
from transfermon.model.metrics import TaskMetrics
from transfermon.model.request_options import NONE as NO_OPTIONS
from transfermon.model.request_options import RequestOptions
from transfermon.model.tally import Tally
from transfermon.model.task import (
    PLAIN_UPLOAD,
    UNKNOWN,
    Action,
    Activity,
    Evidence,
    Kind,
    Origin,
    Progress,
    Response,
    State,
    Task,
    TaskKey,
    changed,
    progress_of,
)
from transfermon.model.wake_policy import AppState
from transfermon.storage import file_system, part_file
from transfermon.storage.settings import download_folder, ensure_private, write_whole
from transfermon.storage.store import Change, ResumeRow, SessionRow, part_paths
from transfermon.system.network_status import is_local
from transfermon.text import advice

if TYPE_CHECKING:
    from transfermon.engine.download import Download
    from transfermon.engine.upload import Upload

log = logging.getLogger(__name__)


class _Temporary:
    def __repr__(self) -> str:
        return "TEMPORARY"


USER_FORCE_QUIT: Final = 0  # a cancel reason: "Quit and stop all transfers"
TEMPORARY: Final = _Temporary()  # a destination: a file that goes when its listeners have returned (D-08)
Destination = str | os.PathLike[str] | _Temporary | None
Pieces = Callable[[], AsyncIterator[bytes]]  # makes a body, again each time it must be sent
Done = Callable[[dict[str, bool]], Any]  # gets {"completed": True}; may return an awaitable
_SETTLED = 60.0  # seconds after which a part file that no task knows is an orphan


class SessionState(Enum):
    """SPEC 2.1."""

    ACTIVE = "active"
    FINISHING = "finishing"
    INVALIDATED = "invalidated"


class TransferTask:
    """A task, as a program holds it: a window on the record, and the commands. Not a copy: it follows."""

    def __init__(self, session: Session, number: int) -> None:
        self._session = session
        self._number = number
        self._last = session._tasks[number]  # noqa: SLF001 - a task is a part of its session

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key} {self.record.state.value}>"

    @property
    def record(self) -> Task:
        """The record now; the last one known once the task has left the list."""
        self._last = self._session._tasks.get(self._number, self._last)  # noqa: SLF001
        return self._last

    @property
    def key(self) -> TaskKey:
        return TaskKey(self._session.key, self._number)

    @property
    def session(self) -> Session:
        return self._session

    @property
    def task_identifier(self) -> int:
        return self._number

    @property
    def state(self) -> State:
        return self.record.state

    @property
    def activity(self) -> Activity:
        return self.record.activity

    @property
    def error(self) -> TransferError | None:
        return self.record.error

    @property
    def response(self) -> Response | None:
        return self.record.response

    @property
    def original_request(self) -> str:
        """The URL first asked for (T-11)."""
        return self.record.url

    @property
    def current_request(self) -> str:
        """The URL after redirects (T-11)."""
        return self.record.current_url or self.record.url

    @property
    def count_of_bytes_received(self) -> int:
        live = self._live if self.record.kind is Kind.DOWNLOAD else None
        return live.received if live is not None else self.record.received

    @property
    def count_of_bytes_expected_to_receive(self) -> int:
        """-1 when unknown."""
        return self.record.expected

    @property
    def count_of_bytes_sent(self) -> int:
        live = self._live if self.record.kind is Kind.UPLOAD else None
        return live.received if live is not None else self.record.sent

    @property
    def count_of_bytes_expected_to_send(self) -> int:
        """-1 when unknown."""
        return self.record.expected_to_send

    @property
    def progress(self) -> Progress:
        """`completed`, `total` (-1 unknown) and `fraction` (None unknown)."""
        return self._live or progress_of(self.record)

    @property
    def _live(self) -> Progress | None:
        return self._session._engine.progress.get(self.key)  # noqa: SLF001

    @property
    def task_description(self) -> str | None:
        return self.record.description

    @task_description.setter
    def task_description(self, text: str | None) -> None:
        described = checked_text(text, "the description") if text is not None else None
        self._session._change(self._number, description=described)  # noqa: SLF001

    @property
    def priority(self) -> float:
        return self.record.priority

    @priority.setter
    def priority(self, priority: float) -> None:
        self._session.set_priority(self._number, priority)

    @property
    def earliest_begin_date(self) -> datetime | None:
        """No connection is opened before it (T-10); default sessions ignore it. One without a zone is local time."""
        begin = self.record.earliest_begin
        return None if begin is None else datetime.fromtimestamp(begin, UTC)

    @earliest_begin_date.setter
    def earliest_begin_date(self, begin: datetime | None) -> None:
        """Raises InvalidAction once the task was resumed (SPEC 2.2)."""
        record = self.record
        if record.state is not State.SUSPENDED or record.started is not None:
            raise InvalidAction("earliest_begin_date is set before the task is resumed for the first time")
        self._session._change(self._number, earliest_begin=None if begin is None else begin.timestamp())  # noqa: SLF001

    @property
    def metrics(self) -> TaskMetrics:
        """T-19; final when `sessioncompleted` is told."""
        return self.record.metrics

    @property
    def accepted(self) -> Awaitable[None]:
        """Done when the task is durable: from then on it survives everything (W2)."""
        return self._session._accepted_of(self._number)  # noqa: SLF001

    def resume(self) -> Self:
        """Take one suspension back; the task runs when none is left (T-03)."""
        self._session.resume(self._number)
        return self

    def suspend(self) -> Self:
        """Stop moving bytes until as many `resume` calls came (T-03, T-04)."""
        self._session.suspend(self._number)
        return self

    def cancel(self) -> Self:
        """End the task with -999, at once (T-06)."""
        self._session.cancel(self._number)
        return self

    async def wait(self) -> Task:
        """The record when the task is completed and every listener has been told."""
        await self._session._ended(self._number)  # noqa: SLF001
        return self.record


class _Resumable(TransferTask):
    async def cancel_by_producing_resume_data(self) -> bytes | None:
        """End the task with -999; opaque data to go on with later, or None where that is impossible (R-01, R-02)."""
        return await self._session.cancel_by_producing_resume_data(self._number)

    @property
    def resume_data(self) -> bytes | None:
        """What the task's end offers to go on with, as long as nobody has used it (R-01, R-16)."""
        return self._session._resume_data_of(self._number)  # noqa: SLF001


class DownloadTask(_Resumable):
    """From the server into a file."""

    @property
    def destination(self) -> str:
        """The final path once the file is there, else where it will be; "" for a temporary file."""
        record = self.record
        return record.final_path or (os.path.join(record.folder, record.name) if record.folder else "")

    @property
    def suggested_filename(self) -> str:
        return self.record.name


class UploadTask(_Resumable):
    """From a file, bytes or a stream to the server."""

    @property
    def response_text(self) -> str | None:
        """The server's answer: its first MiB, of a data task 8 MiB (U-07). None where there was none, and where newer
        ones have taken the room that the engine has for answers, 32 MiB.
        """
        return self.kept_response.text

    @property
    def kept_response(self) -> Kept:
        """`response_text`, and whether it is all of the answer."""
        return self._session._engine.answers.get(self.key)  # noqa: SLF001

    @property
    def upload_resource(self) -> str | None:
        """Whether the server made a place where the upload can go on: its origin; the rest is a secret (U-25)."""
        upload = self.record.upload
        return None if upload is None else f"{urlsplit(upload.url).scheme}://{urlsplit(upload.url).netloc}/…"


class DataTask(UploadTask):
    """A small request whose answer is its result (T-20 to T-22)."""

    @property
    def response_body(self) -> str | None:
        return self.response_text


_HANDLES: dict[Kind, type[TransferTask]] = {
    Kind.DOWNLOAD: DownloadTask,
    Kind.UPLOAD: UploadTask,
    Kind.DATA: DataTask,
}


class Session:
    """SPEC 1.3. Made by `Monitor.create_session`, which keeps it until it is invalidated."""

    def __init__(
        self,
        engine: Engine,
        row: SessionRow,
        *,
        tasks: tuple[Task, ...] = (),
        forget: Callable[[Session], None],
    ) -> None:
        self._engine = engine
        self._row = row
        self._forget = forget
        self.state = SessionState(row.state)
        self.canceling = False
        self._tasks: dict[int, Task] = {task.number: _as_found(task) for task in tasks}
        self.tally = Tally(self._tasks.values())  # to read only
        self._next = max([row.next_number, *(number + 1 for number in self._tasks)])
        self._handles: weakref.WeakValueDictionary[int, TransferTask] = weakref.WeakValueDictionary()
        self._accepted: dict[int, asyncio.Future[None]] = {}
        self._unpublished: dict[int, int] = {}
        self._working: dict[int, Any] = {}  # number -> the running Download
        self._ending: dict[int, asyncio.Task[None]] = {}  # number -> the runner of its last attempt
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._deadlines: dict[int, asyncio.TimerHandle] = {}
        self._failures: dict[int, int] = {}
        self._good: dict[int, int] = {}  # bytes stored at the last failure that counted
        self._untold: set[int] = set()  # completed ones whose listeners have not all returned
        self._waiters: dict[int, list[asyncio.Future[None]]] = {}
        self._removing: dict[int, bool] = {}  # to be taken out of the list when they have ended; True: with the file
        self._going: set[int] = set()  # are being taken out now
        self._offered = {  # number -> token of the resume data that the task's end offered
            row.task.number: row.token for row in engine.resume_rows.values() if row.task.session == self.key
        }
        self._resume_wanted: dict[int, asyncio.Future[bytes | None]] = {}
        self._overdue: set[int] = set()
        self._spans: dict[int, tuple[float, float]] = {}  # loop's time of the start, seconds suspended until then
        self._held: set[int] = set()  # wait without a timer: for the network, or for the policy
        self._curable: set[int] = set()  # wait for their next attempt, which a network that returns may hasten
        self._told_waiting: set[int] = set()
        self._first: set[asyncio.Task[None]] = set()  # attempts that had finished when the session was cancelled
        self._restarted: set[int] = set()  # started over because of an answer that could not be combined: once
        self._spent: set[int] = set()  # made from resume data that cannot be used
        self._bodies: dict[int, Pieces | bytes] = {}  # what tasks without a file send
        self._by_url: dict[str, list[int]] = {}
        for task in tasks:
            self._by_url.setdefault(task.url, []).append(task.number)
        self._leaving: set[asyncio.Task[None]] = set()  # cancels and removals that the end of the engine waits for
        self._outstanding = sum(task.outstanding for task in tasks)
        self._completed_since_idle = self._failed_since_idle = 0

    def __repr__(self) -> str:
        return f"<Session {self.key} {self.state.value} {self._outstanding} outstanding>"

    @property
    def key(self) -> str:
        return self._row.key

    @property
    def row(self) -> SessionRow:
        """What the store keeps of it."""
        return self._row

    @property
    def identifier(self) -> str | None:
        return self._row.configuration.identifier

    @property
    def configuration(self) -> SessionConfiguration:
        """A copy (S-05)."""
        copy = self._row.configuration.copy()
        copy.http_header_fields = self._engine.vault.get(self.key)
        copy.proxy = self._engine.proxy_of(self.key, copy.proxy)
        return copy

    def reconfigure(self, **changes: Any) -> None:
        """Other limits, folder or policies from now on; what a running transfer has begun with it keeps until its next
        attempt. Remembered like the session itself. Raises TypeError or ValueError where a setting is impossible.
        """
        wanted = dataclasses.replace(self._row.configuration, **changes)
        wanted.check()
        if wanted != self._row.configuration:
            self._row = changed(self._row, configuration=wanted)
            self._engine.store.commit(Change(session=self._row))

    @property
    def outstanding(self) -> int:
        return self._outstanding

    # ---- making tasks

    def download_task(
        self,
        url: str,
        *,
        request_headers: Mapping[str, str] | None = None,
        destination: Destination = None,
        expected_digest: str | None = None,
        start: bool = True,
        overwrite: bool = False,
        origin: Origin | None = None,
        name: str = "",
        speed_limit: int = 0,
        priority: float = 0.5,
        user_initiated: bool = False,
        description: str | None = None,
        maximum_attempts: int = 0,
        earliest_begin_date: datetime | None = None,
        options: RequestOptions = NO_OPTIONS,
        cookies: Sequence[Cookie] = (),
    ) -> DownloadTask:
        """A download that starts by itself (T-02), or waits suspended with `start=False`.

        `destination`: None saves into the session's download folder under the server's name; an existing folder, or
        a path that ends in a slash, into that one; any other path is the file itself; TEMPORARY is a file that goes
        when the listeners of its completion have returned. `expected_digest` is "sha-256:HEX" or "sha-512:HEX".

        `cookies` are those of a file; what of them the host gets is kept with the other secrets and goes with the task.

        Raises ValueError for an empty URL, a refused header or an unusable digest, TransferFailure for a malformed
        URL (-1000) or another scheme than http and https (-1002), SessionInvalidatedError after an invalidation.
        """
        self._check_open()
        checked, credentials = _split_credentials(url)
        headers = {**credentials, **checked_headers(request_headers)}
        folder, given = self._place(destination)
        _check_priority(priority)
        task = Task(
            session=self.key,
            number=self._next,
            kind=Kind.DOWNLOAD,
            url=checked,
            header_names=tuple(headers),
            priority=priority,
            description=description,
            origin=origin or (Origin.GIVEN if handling.get() else Origin.TYPED),
            user_initiated=user_initiated,
            handler_id=handling.get(),
            folder=folder,
            name=given or name,
            named=bool(given or name),
            overwrite=overwrite,
            expected_digest=_checked_digest(expected_digest),
            speed_limit=max(0, speed_limit),
            maximum_attempts=max(0, maximum_attempts),
            earliest_begin=None if earliest_begin_date is None else earliest_begin_date.timestamp(),
        )
        return self._adopt(task, headers, start=start, options=options, cookies=cookies)  # type: ignore[return-value]  # of this kind

    def upload_task(
        self,
        url: str,
        data: str | os.PathLike[str] | bytes,
        *,
        method: str = "POST",
        request_headers: Mapping[str, str] | None = None,
        start: bool = True,
        origin: Origin | None = None,
        speed_limit: int = 0,
        priority: float = 0.5,
        user_initiated: bool = False,
        description: str | None = None,
        maximum_attempts: int = 0,
        earliest_begin_date: datetime | None = None,
        protocol: str = "",
        options: RequestOptions = NO_OPTIONS,
        cookies: Sequence[Cookie] = (),
        into_folder: bool = False,
    ) -> UploadTask:
        """Send a file, by its path, or bytes, which in a background session are first kept in a file of ours (U-01 to
        U-03). The file must stay as it is until the end: one that changes stops the upload with -1021 (U-09).

        `protocol` is "plain", "tus", "ietf" or "ietf:6" (an interop version of the draft), in place of the session's
        `upload_protocol`. With `into_folder` an address that ends with a slash is a folder: a PUT goes to the file's name
        in it. Raises as `download_task`, and ValueError for a method that is no token. What is wrong with the file is the
        task's error, -1100 to -1102 (U-08).
        """
        wanted = protocol or self._row.configuration.upload_protocol
        protocol = upload_protocol.decided(wanted)
        task, headers = self._new(Kind.UPLOAD, url, method, request_headers, origin)
        _check_priority(priority)
        body: bytes | None = None
        if isinstance(data, bytes | bytearray | memoryview):
            body = bytes(data)
            task = changed(task, expected_to_send=len(body), name="data")
            if self._row.configuration.is_background:
                path = os.path.join(self._engine.state_dir, "spool", f"{secrets.token_hex(16)}.body")
                task = changed(task, source=path, spooled=True)
        else:
            path = os.path.abspath(os.path.expanduser(os.fspath(data)))
            task = changed(task, source=checked_path(path, "the path"), name=os.path.basename(path), **_noted(path))
        task = changed(
            task,
            speed_limit=max(0, speed_limit),
            priority=priority,
            user_initiated=user_initiated,
            description=description,
            maximum_attempts=max(0, maximum_attempts),
            earliest_begin=None if earliest_begin_date is None else earliest_begin_date.timestamp(),
            wanted_protocol=wanted if protocol else "",
            protocol=protocol,
            into_folder=into_folder,
            not_resumable=PLAIN_UPLOAD if protocol == upload_protocol.PLAIN or not task.source else "",
        )
        return self._adopt(task, headers, start=start, body=body, options=options, cookies=cookies)  # type: ignore[return-value]  # as above

    def upload_task_with_stream(
        self,
        url: str,
        factory: Pieces,
        *,
        method: str = "POST",
        request_headers: Mapping[str, str] | None = None,
        start: bool = True,
        origin: Origin | None = None,
    ) -> UploadTask:
        """Send what `factory()` yields; it is called again where the body must be sent again (U-04).

        Raises as `download_task`, and InvalidAction in a background session, which outlives any stream.
        """
        if self._row.configuration.is_background:
            raise InvalidAction("a background session sends files and bytes only: a stream ends with the process")
        task, headers = self._new(Kind.UPLOAD, url, method, request_headers, origin)
        return self._adopt(  # type: ignore[return-value]  # of this kind
            changed(task, name="stream", protocol=upload_protocol.PLAIN, not_resumable=PLAIN_UPLOAD),
            headers,
            start=start,
            body=factory,
        )

    def data_task(
        self,
        url: str,
        data: object = None,
        *,
        method: str = "POST",
        request_headers: Mapping[str, str] | None = None,
        start: bool = True,
        origin: Origin | None = None,
        user_initiated: bool = False,
        maximum_attempts: int = 0,
        options: RequestOptions = NO_OPTIONS,
        cookies: Sequence[Cookie] = (),
    ) -> DataTask:
        """A request with a small body and a small answer, which `sessioncompleted` carries (T-20, T-21).

        Bytes are sent as they are, other values as JSON. In a background session it ends with the engine: the next
        one reports -997 (T-22). Raises as `download_task`, and TypeError or ValueError for what is no JSON.
        """
        task, headers = self._new(Kind.DATA, url, method, request_headers, origin)
        body: bytes | None = None
        if isinstance(data, bytes | bytearray | memoryview):
            body = bytes(data)
        elif data is not None:
            body = json.dumps(data, allow_nan=False).encode()
            if not options.no_content_type and not any(name.lower() == "content-type" for name in headers):
                headers["Content-Type"] = "application/json"
        task = changed(
            task,
            expected_to_send=len(body or b""),
            user_initiated=user_initiated,
            header_names=tuple(headers),
            maximum_attempts=max(0, maximum_attempts),
        )
        return self._adopt(task, headers, start=start, body=body, options=options, cookies=cookies)  # type: ignore[return-value]  # as above

    def _new(
        self,
        kind: Kind,
        url: str,
        method: str,
        request_headers: Mapping[str, str] | None,
        origin: Origin | None,
    ) -> tuple[Task, dict[str, str]]:
        """The record of a task that sends, and its headers."""
        self._check_open()
        checked, credentials = _split_credentials(url)
        headers = {**credentials, **checked_headers(request_headers)}
        if not isinstance(method, str) or not method.isascii() or not method.isalpha():
            raise ValueError("a method is a word such as PUT or POST")
        task = Task(
            session=self.key,
            number=self._next,
            kind=kind,
            url=checked,
            method=method.upper(),
            header_names=tuple(headers),
            origin=origin or (Origin.GIVEN if handling.get() else Origin.TYPED),
            handler_id=handling.get(),
        )
        return task, headers

    def download_task_with_resume_data(self, data: bytes, *, start: bool = True) -> DownloadTask:
        """A new task that goes on where another was cancelled (R-04).

        Data that is malformed or was used before gives a task that ends with -1002 without a request (R-14, R-15).
        """
        return self._from_resume_data(data, Kind.DOWNLOAD, start=start)  # type: ignore[return-value]  # of this kind

    def upload_task_with_resume_data(self, data: bytes, *, start: bool = True) -> UploadTask:
        """A new task that goes on where a resumable upload was cancelled (U-22); as `download_task_with_resume_data`."""
        return self._from_resume_data(data, Kind.UPLOAD, start=start)  # type: ignore[return-value]  # of this kind

    def _from_resume_data(self, data: bytes, kind: Kind, *, start: bool) -> TransferTask:
        self._check_open()
        row = self._resume_row(data)
        if row is None or row.task.kind is not kind:
            task = Task(session=self.key, number=self._next, kind=kind, url="")
            self._spent.add(task.number)
            return self._adopt(task, {}, start=start)
        spent = changed(row, spent=True)
        self._engine.resume_rows[row.token] = spent
        task = changed(
            row.task,
            session=self.key,
            number=self._next,
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
        headers = self._engine.vault.get(f"resume {row.token}")
        self._engine.vault.drop(f"resume {row.token}")
        return self._adopt(task, headers, start=start, resume_row=spent)

    def _resume_row(self, data: bytes) -> ResumeRow | None:
        try:
            row = self._engine.resume_rows.get(resume.unpack(data))
        except ValueError:
            return None
        return None if row is None or row.spent else row

    def _check_open(self) -> None:
        if self.state is not SessionState.ACTIVE:
            raise SessionInvalidatedError(f"session {self.key} was invalidated and takes no more tasks")

    def _place(self, destination: Destination) -> tuple[str, str]:
        """Folder and given name; no folder stands for a temporary file."""
        if isinstance(destination, _Temporary):
            return "", ""
        if destination is None:
            return self.default_folder, ""
        path = checked_path(os.fspath(destination), "the destination")
        absolute = os.path.abspath(os.path.expanduser(path))
        if path.endswith(os.sep) or os.path.isdir(absolute):
            return absolute, ""
        return os.path.split(absolute)

    @property
    def default_folder(self) -> str:
        """Where downloads without a destination go: the session's folder, the setting, or the desktop's."""
        chosen = self._row.configuration.download_folder or self._engine.settings.download_folder or download_folder()
        return os.path.abspath(os.path.expanduser(chosen))

    def _adopt(
        self,
        task: Task,
        headers: Mapping[str, str],
        *,
        start: bool,
        resume_row: ResumeRow | None = None,
        body: Pieces | bytes | None = None,
        options: RequestOptions = NO_OPTIONS,
        cookies: Sequence[Cookie] = (),
    ) -> TransferTask:
        options.check()
        checked_text(task.description or "", "the description")
        checked_path(task.name, "the name")
        number, self._next = task.number, task.number + 1
        self._engine.vault.put(str(task.key), dict(headers))
        if cookies:
            self._engine.keep_cookies(task, cookies)
        task = changed(
            task if options is NO_OPTIONS else changed(task, options=options),
            added=self._engine.now(),
            state=State.RUNNING if start else State.SUSPENDED,
            activity=Activity.QUEUED if start else Activity.NONE,
            suspend_count=0 if start else 1,
        )
        if self._engine.app_state is AppState.BACKGROUND and not task.user_initiated:
            now = self._engine.now()
            delay = self._engine.limiter.delay(now)
            task = changed(task, in_background=True, limited_until=now + delay if delay else None)
        self._outstanding += 1
        self._by_url.setdefault(task.url, []).append(number)
        if self._engine.on_created is not None:
            self._engine.on_created(task)
        event = TaskCreatedEvent(kind=task.kind.value, url=redacted(task.url))
        self._accepted[number] = self._record(task, event, resume_row=resume_row)
        if task.spooled and isinstance(body, bytes):
            self._accepted[number] = self._engine.runners.spawn(
                self._spooled(task.source, body, self._accepted[number]), f"keep the body of {task.key}"
            )
        elif body is not None:
            self._bodies[number] = body
        if start:
            self._enqueue(number)
        return self._handle(number)

    async def _spooled(self, path: str, body: bytes, recorded: asyncio.Future[None]) -> None:
        """Done when both the bytes and the task are durable (U-03, W2)."""
        await asyncio.to_thread(_spool, path, body)
        await recorded

    def _handle(self, number: int) -> TransferTask:
        handle = self._handles.get(number)
        if handle is None:
            handle = self._handles[number] = _HANDLES[self._tasks[number].kind](self, number)
        return handle

    # ---- looking

    def task(self, number: int) -> TransferTask:
        """Raises KeyError when the session has no such task."""
        if number not in self._tasks:
            raise KeyError(f"{self.key}:{number}")
        return self._handle(number)

    def records(self) -> list[Task]:
        """All remembered tasks, completed ones too."""
        return list(self._tasks.values())

    def record(self, number: int) -> Task:
        return self._tasks[number]

    def find(self, number: int) -> Task | None:
        """The record; None once it has left the list."""
        return self._tasks.get(number)

    def records_of(self, url: str) -> list[Task]:
        """The remembered tasks of this address, oldest first, without looking through all the others."""
        return [self._tasks[number] for number in self._by_url.get(url, ())]

    async def get_all_tasks(self) -> list[TransferTask]:
        """Tasks that run or were suspended after a first start (S-19)."""
        return [
            self._handle(task.number)
            for task in self._tasks.values()
            if task.outstanding and (task.state is not State.SUSPENDED or task.started is not None)
        ]

    async def get_tasks(self) -> tuple[list[TransferTask], list[TransferTask], list[TransferTask]]:
        """Data, upload and download tasks, as `get_all_tasks` counts them."""
        kinds: dict[Kind, list[TransferTask]] = {Kind.DATA: [], Kind.UPLOAD: [], Kind.DOWNLOAD: []}
        for task in await self.get_all_tasks():
            kinds[task.record.kind].append(task)
        return kinds[Kind.DATA], kinds[Kind.UPLOAD], kinds[Kind.DOWNLOAD]

    # ---- the one door

    def _record(
        self,
        task: Task | None,
        event: Event | None,
        *,
        delivered: Callable[[], None] | None = None,
        resume_row: ResumeRow | None = None,
        store: bool = True,
    ) -> asyncio.Future[None]:
        """Every change goes through here: remember it, store it, then tell.

        Await the result only where the next step must not happen before the change is durable (DESIGN 9). Without
        an event the change is stored silently (checkpoints); without a task the event is only told in its place;
        without `store` a change of activity is told in its place and stored with the next one.
        """
        if task is not None:
            self.tally.change(self._tasks.get(task.number), task)
            self._tasks[task.number] = task
        if event is None:
            return self._engine.store.commit(Change(task=task))
        number = 0
        if isinstance(event, TaskEvent):
            subject = task or event.task
            assert subject is not None
            number = subject.number
            event = changed(event, task_identifier=number, task=subject)
        told = self._engine.stamp(event, session=self.key, session_identifier=self.identifier)
        self._unpublished[number] = self._unpublished.get(number, 0) + 1
        change = Change(
            task=task if store else None,
            removed=task.key if task is not None and isinstance(told, TaskRemovedEvent) else None,
            event=told if told.journalled else None,
            session=self._row if isinstance(told, SessionCreatedEvent | SessionFinishingEvent) else None,
            session_removed=self.key if isinstance(told, SessionInvalidatedEvent) else None,
            resume=resume_row,
        )
        return self._engine.store.commit(change, then=lambda: self._publish(number, told, delivered))

    def _publish(self, number: int, event: Event, delivered: Callable[[], None] | None) -> None:
        left = self._unpublished[number] - 1
        if left:
            self._unpublished[number] = left
        else:
            del self._unpublished[number]

        self._engine.tell(event, delivered)

    def tell_progress(self, number: int, progress: Progress, speed: float) -> None:
        """One progress event now, unless an event of the task is still on its way (DESIGN 9) or it has ended."""
        task = self._tasks.get(number)
        if task is None or task.state is not State.RUNNING or number in self._unpublished:
            return
        received, told = progress.received, progress.told
        if received == told:
            return
        progress.told = received
        if task.kind is not Kind.DATA:
            event = moved_event(task, progress, since=told, speed=speed)
            self._engine.tell(self._engine.stamp(event, session=self.key, session_identifier=self.identifier), None)

    def tell_disk(self) -> None:
        """Say of running downloads that their disk does not answer, and when it does again."""
        for number, attempt in list(self._working.items()):
            task = self._tasks[number]
            if task.kind is not Kind.DOWNLOAD or task.state is not State.RUNNING:
                continue
            reason = start_conditions.DISK_SILENT if attempt.disk_silence >= start_conditions.SILENT else ""
            if task.waiting_reason != reason and task.waiting_reason in ("", start_conditions.DISK_SILENT):
                self._change(number, waiting_reason=reason)

    def _change(self, number: int, **changes: Any) -> asyncio.Future[None]:
        """A change of a field that is no step in the task's life."""
        task = changed(self._tasks[number], **changes)
        return self._record(task, activity_event(task))

    # ---- commands

    def resume(self, number: int) -> None:
        """T-03; a no-op for a task that is not suspended (T-07)."""
        task = self._tasks[number]
        if task.state is not State.SUSPENDED:
            return
        left = task.suspend_count - 1
        if left > 0:
            self._record(changed(task, suspend_count=left), _state_event(task))
            return
        away = self._engine.now() - task.suspended_at if task.suspended_at is not None else 0.0
        task = changed(
            task,
            state=task.after(Action.RESUME),
            activity=Activity.QUEUED,
            suspend_count=0,
            suspended_at=None,
            suspended_seconds=task.suspended_seconds + max(0.0, away),
            exposed=False,  # whoever resumes it wants it sent again (U-12)
        )
        self._record(task, _state_event(task))
        self._enqueue(number)

    def suspend(self, number: int) -> None:
        """T-03, T-04, T-05; a no-op for a task that is ending or has ended (T-07)."""
        task = self._tasks[number]
        if task.state not in (State.RUNNING, State.SUSPENDED) or task.activity is Activity.FINALIZING:
            return
        first = task.state is State.RUNNING
        task = changed(
            task,
            state=task.after(Action.SUSPEND),
            activity=Activity.NONE,
            suspend_count=task.suspend_count + 1,
            suspended_at=self._engine.now() if first and task.started is not None else task.suspended_at,
            waiting_until=None,
            waiting_reason="",
        )
        self._record(task, _state_event(task))
        if first:
            self._halt(number)

    def cancel(self, number: int, *, reason: int | None = None) -> None:
        """T-06; a no-op for a task that is ending or has ended (T-07). `reason` is a number of X-10."""
        task = self._tasks[number]
        if not task.can(Action.CANCEL):
            return
        task = changed(
            task,
            state=task.after(Action.CANCEL),
            activity=Activity.NONE if task.activity is not Activity.FINALIZING else task.activity,
            suspend_count=0,
            waiting_until=None,
            waiting_reason="",
            cancel_reason=reason,
        )
        self._record(task, _state_event(task))
        if not self._halt(number):
            self._see_out(self._end_cancelled(number), f"cancel {task.key}")

    async def cancel_by_producing_resume_data(self, number: int) -> bytes | None:
        """R-01, R-02, O-09: resolves before `sessioncompleted`, which carries the same data."""
        task = self._tasks[number]
        if not task.can(Action.CANCEL):
            return None
        wanted: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._resume_wanted[number] = wanted
        self.cancel(number)
        return await wanted

    async def end_all(self, reason: int) -> None:
        """Cancel all that is outstanding, with resume data where possible; done when every listener was told."""
        loop = asyncio.get_running_loop()
        ending = [task.number for task in self._tasks.values() if task.can(Action.CANCEL)]
        for number in ending:
            self._resume_wanted.setdefault(number, loop.create_future())
            self.cancel(number, reason=reason)
        await asyncio.gather(*(self._ended(number) for number in ending))

    def retry(self, number: int, url: str | None = None) -> None:
        """Run a failed or cancelled task again under its own number; with `url`, from another address.

        What is stored is kept and goes on where the server's validator agrees. Raises InvalidAction for a task
        that has not failed or is being removed, ValueError or TransferFailure for an unusable URL.
        """
        task = self._tasks[number]
        self._check_open()
        if number in self._removing:
            raise InvalidAction(f"task {task.key} is being removed")
        state = task.after(Action.RETRY)
        if not task.can(Action.RETRY):
            raise InvalidAction(f"task {task.key} has not failed")
        new_url = task.url
        if url is not None:
            new_url, credentials = _split_credentials(url)
            task = changed(task, current_url="", evidence=Evidence())
            if credentials:
                self._engine.keep_secrets(task, {**self._engine.secrets_of(task), **credentials})
        self._failures.pop(number, None)
        own_part, spent = self._take_back(number)
        if not own_part:
            task = changed(task, part_path="", older_part=None, received=0, validators=None, upload=None)
        if task.kind is Kind.UPLOAD:
            noted = {} if task.spooled or not task.source else _noted(task.source)
            if noted.get("source_identity", task.source_identity) != task.source_identity or new_url != task.url:
                task = changed(task, upload=None)
            if task.upload is None and task.source:  # another server, or another day: ask again
                noted |= _asked_anew(task.wanted_protocol)
            task = changed(
                task,
                sent=task.upload.offset if task.upload else 0,
                exposed=False,
                renewed=False,
                unconfirmed="",
                stored_as="",
                **noted,
            )
        self._engine.answers.drop(task.key)
        self._outstanding += 1
        self._by_url[task.url].remove(number)
        self._by_url.setdefault(new_url, []).append(number)
        task = changed(
            task,
            state=state,
            activity=Activity.QUEUED,
            url=new_url,
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
        self._record(task, _state_event(task), resume_row=spent)
        self._enqueue(number)

    def hasten(self, number: int, url: str | None = None) -> None:
        """End the wait of a running task for its next attempt; with `url`, ask that address from now on.

        An attempt that runs goes on, unless there is another address. Raises as `retry`.
        """
        task = self._tasks[number]
        if task.state is not State.RUNNING:
            raise InvalidAction(f"task {task.key} does not run")
        if url is not None:
            new_url, credentials = _split_credentials(url)
            if credentials:
                self._engine.keep_secrets(task, {**self._engine.secrets_of(task), **credentials})
            self._by_url[task.url].remove(number)
            self._by_url.setdefault(new_url, []).append(number)
            task = changed(task, url=new_url, current_url="", evidence=Evidence())
            self._record(task, activity_event(task))
            if (attempt := self._working.get(number)) is not None:
                attempt.stop()  # the next one asks there
        if number in self._timers and task.activity in (Activity.RETRYING, Activity.WAITING_UNTIL):
            self._again(number)

    def remove(self, number: int, *, delete_file: bool = False) -> None:
        """Take the task out of the list; one that still runs is cancelled first. The file stays unless asked."""
        task = self._tasks[number]
        self._removing[number] = delete_file
        if task.outstanding:
            self.cancel(number)
        else:
            self._start_removal(number)

    def _start_removal(self, number: int) -> None:
        if number not in self._going:
            self._going.add(number)
            self._see_out(self._removed(number), f"remove {self.key}:{number}")

    def _see_out(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run what ends a task; the end of the engine waits for it."""
        runner = self._engine.runners.spawn(work, name)
        self._leaving.add(runner)
        runner.add_done_callback(self._leaving.discard)

    async def _removed(self, number: int) -> None:
        task, delete_file = self._tasks[number], self._removing[number]
        own_part, spent = self._take_back(number)
        for path in task.part_paths if own_part else ():
            await asyncio.to_thread(_drop_part, path)
        deleted, kept = False, ""
        if delete_file and task.final_path:
            deleted, kept = await asyncio.to_thread(_delete_written, task)
        if task.spooled:
            await asyncio.to_thread(_unlink, task.source)
        self._bodies.pop(number, None)
        self._engine.answers.drop(task.key)
        self._engine.vault.drop(str(task.key))
        removed = TaskRemovedEvent(file_deleted=deleted, file_kept=kept)
        self._record(task, removed, resume_row=spent)
        self.tally.change(self._tasks.pop(number), None)
        del self._removing[number]
        self._going.discard(number)
        self._by_url[task.url].remove(number)
        if not self._by_url[task.url]:
            del self._by_url[task.url]
        self._failures.pop(number, None)
        await self._engine.vault.saved()

    def set_priority(self, number: int, priority: float) -> None:
        """T-09. Raises ValueError outside 0.0 to 1.0."""
        _check_priority(priority)
        self._change(number, priority=priority)
        self._engine.slots.reprioritise(TaskKey(self.key, number), priority)

    def adjust(
        self,
        number: int,
        *,
        speed_limit: int | None = None,
        maximum_attempts: int | None = None,
        request_headers: Mapping[str, str] | None = None,
        options: RequestOptions | None = None,
        cookies: Sequence[Cookie] | None = None,
        method: str = "",
        protocol: str = "",
    ) -> None:
        """Other options for a task that exists; headers hold from its next request on. Raises as `download_task`.

        Another `method` or `protocol` of an upload starts it over with that; "" leaves what was asked for before.
        """
        task = self._tasks[number]
        self._send_otherwise(task, method.upper() or task.method, protocol or task.wanted_protocol)
        headers = self._engine.secrets_of(task) if request_headers is None else checked_headers(request_headers)
        if request_headers is not None:
            self._engine.keep_secrets(task, headers)
        if options is not None:
            options.check()
            self._change(number, options=options)
        if cookies is not None:
            self._engine.keep_cookies(task, cookies)
        limit = task.speed_limit if speed_limit is None else max(0, speed_limit)
        attempts = task.maximum_attempts if maximum_attempts is None else max(0, maximum_attempts)
        self._change(number, speed_limit=limit, maximum_attempts=attempts, header_names=tuple(headers))
        self._engine.limit_task(task.key, limit)

    def _send_otherwise(self, task: Task, method: str, wanted: str) -> None:
        wanted = wanted if upload_protocol.decided(wanted) else ""
        if task.kind is not Kind.UPLOAD or (method, wanted) == (task.method, task.wanted_protocol):
            return
        if task.upload is not None and task.number not in self._working:
            self._engine.runners.spawn(self._abandon(task), f"abandon {task.key}")
        anew = _asked_anew(wanted) if task.source else {}
        self._change(task.number, method=method, wanted_protocol=wanted, upload=None, renewed=False, sent=0, **anew)
        if task.number in self._working:
            self._working[task.number].stop()

    # ---- running

    def start_restored(self) -> None:
        """Run what was running, end what was ending, when the engine opened (X-11)."""
        for task in list(self._tasks.values()):
            if (error := _lost(task)) is not None:
                if task.state is State.SUSPENDED:
                    task = changed(task, state=task.after(Action.RESUME), suspend_count=0)
                    self._record(task, _state_event(task))
                self._complete_failed(task.number, error)
            else:
                self.start_one(task.number)
        if self.state is SessionState.FINISHING:
            self._perhaps_invalidated()

    def start_one(self, number: int) -> None:
        task = self._tasks[number]
        if task.state is State.CANCELING:
            self._see_out(self._end_restored(number), f"cancel {task.key}")
        elif task.state is State.RUNNING and number not in self._ending and number not in self._timers:
            self._enqueue(number)

    def _enqueue(self, number: int) -> None:
        task = self._tasks[number]
        if number in self._spent:
            self._engine.runners.spawn(self._refuse(number), f"refuse {task.key}")
            return
        if self._engine.closing or number in self._ending:  # _after asks again when the last attempt has let go
            return
        if task.started is not None:
            self._arm(number)  # waiting counts too (T-16)
        if (hold := self._hold_on(task)) is not None:
            self._wait(number, hold)
            return
        parts = urlsplit(task.url)
        self._engine.slots.ask(
            task.key,
            (self.key, f"{parts.scheme}://{parts.netloc}"),
            limit=self._row.configuration.http_maximum_connections_per_host,
            priority=task.priority,
            start=lambda: self._begin(number),
        )

    def _hold_on(self, task: Task) -> Hold | None:
        """What the task has to wait for before it may ask for a slot (T-10, T-17, T-18)."""
        own, engine = self._row.configuration, self._engine
        # A metered network that must not be used counts as none (SPEC 1.2).
        unwanted = engine.policy.metered and not own.allows_metered_access and not is_local(task.url)
        return start_conditions.hold(
            task,
            now=engine.now(),
            background=own.is_background,
            discretionary=own.is_discretionary or (task.in_background and engine.strict),
            online=not self._waits_for_connectivity or (self._online(task) and not unwanted),
            cut_off=engine.connectivity.cut_off,
            why_not=engine.policy.why_not(),
            limited=engine.strict and engine.app_state is AppState.BACKGROUND,
        )

    @property
    def _waits_for_connectivity(self) -> bool:
        return self._row.configuration.is_background or self._row.configuration.waits_for_connectivity

    def _online(self, task: Task) -> bool:
        """Whether there is a way for this task, as far as anybody can know; a proxy of the session's may have its own."""
        return self._has_way(task) or (bool(self._row.configuration.proxy) and not self._engine.connectivity.cut_off)

    def _has_way(self, task: Task) -> bool:
        """Whether the network leads to the task's server or to the proxy in front of it; to this machine it always does."""
        network, own = self._engine.connectivity, self._row.configuration.proxy
        if network.leads_to(task.url):
            return True
        proxy = proxies.shown(proxies.named_by(os.environ, origin_of(task.url)) if own is None else own)
        return bool(proxy) and network.leads_to(proxy)

    def _wait(self, number: int, hold: Hold) -> None:
        """Hold a task back. Nothing runs meanwhile; a timer does where the end is known."""
        task = changed(
            self._tasks[number],
            activity=hold.activity,
            waiting_until=hold.until,
            waiting_reason=hold.reason,
            waiting_hint=hold.hint,
        )
        self._record(task, _state_event(task))
        if hold.activity is Activity.WAITING_FOR_CONNECTIVITY:
            self._tell_waiting(number)
        if hold.until is None:
            self._held.add(number)
        else:
            self._later(number, hold.until - self._engine.now())

    def _tell_waiting(self, number: int) -> None:
        """`taskwaiting`, once for a task of a default session."""
        if not self._row.configuration.is_background and number not in self._told_waiting:
            self._told_waiting.add(number)
            self._record(self._tasks[number], TaskWaitingEvent())

    def _later(self, number: int, delay: float) -> None:
        """Ask for a slot again after `delay` seconds; Qt counts no more than 24 days at a time."""
        if self._engine.closing:
            return
        loop = asyncio.get_running_loop()
        if delay > _LONGEST_TIMER:
            rest = delay - _LONGEST_TIMER
            self._timers[number] = loop.call_later(_LONGEST_TIMER, self._later, number, rest)
        else:
            self._timers[number] = loop.call_later(max(0.0, delay), self._again, number)

    def _begin(self, number: int) -> None:
        """A slot was granted."""
        key = TaskKey(self.key, number)
        progress = self._engine.progress[key] = progress_of(self._tasks[number])
        name = f"{self._tasks[number].kind.value} {key}"
        self._ending[number] = self._engine.runners.spawn(self._work(number, progress), name)
        self._arm(number)
        if self._engine.on_moving is not None:
            self._engine.on_moving()

    async def _work(self, number: int, progress: Progress) -> None:
        key = TaskKey(self.key, number)
        error: TransferError | None = None
        stopped = True
        try:
            await self._engine.lines()
            of_kind = self._download if self._tasks[number].kind is Kind.DOWNLOAD else self._upload
            attempt = self._working[number] = of_kind(number, progress)
            if self._tasks[number].state is not State.RUNNING or self._engine.closing or number in self._overdue:
                attempt.stop()
            result = await attempt.run()
            error, stopped = result.error, result.stopped
            if attempt.restarted:
                self._restarted.add(number)
            if result.text is not None:
                self._engine.answers.put(key, result.text, whole=result.text_is_whole)
        except Exception:
            log.exception("%s ended by a mistake of ours", key)
            error, stopped = _OUR_MISTAKE, False
        finally:
            self._working.pop(number, None)
            self._engine.progress.pop(key, None)
            self._disarm(number)
            self._engine.slots.release(key)
            self._ending.pop(number, None)
        await self._after(number, error, stopped=stopped)

    def _download(self, number: int, progress: Progress) -> Download:
        from transfermon.engine.download import Download  # it brings httpx: loaded with the first transfer

        return Download(
            self._engine,
            self._row.configuration,
            current=lambda: self._tasks[number],
            record=self._record,
            accepted=self._accepted_of(number),
            progress=progress,
            limiters=self._engine.limiters_for(self._tasks[number], self._row.configuration.speed_limit),
            default_folder=self.default_folder,
            may_restart=number not in self._restarted,
        )

    def _upload(self, number: int, progress: Progress) -> Upload:
        from transfermon.engine.upload import Upload

        return Upload(
            self._engine,
            self._row.configuration,
            current=lambda: self._tasks[number],
            record=self._record,
            accepted=self._accepted_of(number),
            progress=progress,
            limiters=self._engine.limiters_for(self._tasks[number], self._row.configuration.speed_limit),
            stream=self._bodies.get(number),
        )

    async def _end_restored(self, number: int) -> None:
        """The engine ended while it cancelled. A file that already had its name is finished (T-08)."""
        task = self._tasks[number]
        if task.activity is Activity.FINALIZING:
            await self._engine.lines()
            try:
                if await self._download(number, Progress(received=task.received)).was_finished():
                    self._succeeded(number)
                    return
            except TransferFailure as failure:
                log.warning("%s: %s", task.key, failure)
        await self._end_cancelled(number)

    async def _after(self, number: int, error: TransferError | None, *, stopped: bool) -> None:
        """What an attempt's end means for the task."""
        task = self._tasks[number]
        if error is None and not stopped:
            self._succeeded(number)
        elif task.state is State.CANCELING:
            await self._end_cancelled(number)
        elif number in self._overdue and task.state is State.RUNNING:
            self._overdue.discard(number)
            self._complete_failed(number, _overdue_error(task))
        elif task.state is State.RUNNING and error is not None:
            self._failed(number, error)
        elif task.state is State.RUNNING:
            self._enqueue(number)  # suspended and resumed while the attempt was letting go
        # else it is suspended: the record says so already

    def _succeeded(self, number: int) -> None:
        task = self._tasks[number]
        self._engine.vault.drop(str(task.key))
        if task.spooled:
            self._engine.runners.spawn(asyncio.to_thread(_unlink, task.source), f"drop the body of {task.key}")
        self._bodies.pop(number, None)
        if (wanted := self._resume_wanted.pop(number, None)) is not None and not wanted.done():
            wanted.set_result(None)  # it had finished before the cancel reached it (T-08)
        self._complete(
            changed(task, state=task.after(Action.FINISH), error=None),
            TaskCompletedEvent(
                success=True,
                status_code=task.response.status if task.response else 0,
                response_text=self._told_text(task),
            ),
        )

    def _failed(self, number: int, error: TransferError) -> None:
        task = self._tasks[number]
        if not self._engine.attached and self._engine.wants_login(changed(task, state=State.COMPLETED, error=error)):
            self._wait(number, Hold(activity=Activity.WAITING_UNTIL, reason=start_conditions.LOGIN))
            return
        network = self._engine.connectivity
        if not self._has_way(task):
            background = self._row.configuration.is_background
            error = start_conditions.without_network(error, background=background, cut_off=network.cut_off)
            if error.retry is Retry.WAIT and self._waits_for_connectivity:
                hint = advice.hint(error, advice.Decision.WAIT)
                self._wait(number, Hold(activity=Activity.WAITING_FOR_CONNECTIVITY, reason=error.message, hint=hint))
                return
        delay = self._delay(number, error)
        if delay is None:
            self._complete_failed(number, error)
            return
        activity, reason = Activity.RETRYING, error.message
        if error.retry is Retry.WAIT:
            activity = Activity.WAITING_FOR_CONNECTIVITY
        elif error.retry_after == delay > 0:
            activity, reason = Activity.WAITING_UNTIL, "The server asks to wait."
        if error.retry is Retry.WAIT or (error.code in start_conditions.CURABLE and error.retry_after is None):
            self._curable.add(number)
        task = changed(
            self._tasks[number],
            activity=activity,
            waiting_until=self._engine.now() + delay,
            waiting_reason=reason,
            waiting_hint=advice.hint(error, advice.decided(error)),
        )
        self._record(task, _state_event(task))
        if activity is Activity.WAITING_FOR_CONNECTIVITY:
            self._tell_waiting(number)
        self._later(number, delay)
        if not self._engine.closing:
            self._arm(number)

    def _delay(self, number: int, error: TransferError) -> float | None:
        """Seconds until the next attempt, or None for the end (SPEC 6.2)."""
        task, policy = self._tasks[number], self._row.configuration.retry_policy
        waits = error.retry is Retry.WAIT
        if self.identifier is None and not (waits and self._waits_for_connectivity):
            return None  # default sessions do not retry by themselves (SPEC 2.2)
        if error.retry is Retry.RESTART:
            if number in self._restarted:
                return None
            self._restarted.add(number)
        if task.kind is Kind.DOWNLOAD and task.received - self._good.get(number, 0) >= policy.reset_bytes:
            self._failures.pop(number, None)
        self._good[number] = task.received
        failures = self._failures.get(number, 0) + 1
        if not waits or task.maximum_attempts:
            self._failures[number] = failures
        if task.maximum_attempts:
            policy = changed(policy, attempts=task.maximum_attempts)
            if failures >= task.maximum_attempts:
                return None
        return retry.next_delay(failures, policy, error, self._engine.random)

    def _again(self, number: int) -> None:
        timer = self._timers.pop(number, None)
        if timer is not None:
            timer.cancel()
        self._held.discard(number)
        self._curable.discard(number)
        task = self._tasks[number]
        task = changed(task, activity=Activity.QUEUED, waiting_until=None, waiting_reason="")
        self._record(task, activity_event(task))
        self._enqueue(number)

    def network_returned(self) -> None:
        """End the wait of every task that waits for the network, or for a failure that it may have caused (X-08)."""
        for number in [*self._held, *self._curable]:
            task = self._tasks[number]
            for_network = number in self._curable or task.activity is Activity.WAITING_FOR_CONNECTIVITY
            if for_network and self._hold_on(task) is None:
                self._again(number)

    def network_lost(self) -> None:
        """Let tasks wait that need the network; a transfer that could not go on where it stopped is left to its luck."""
        for number, download in list(self._working.items()):
            task = self._tasks[number]
            if self._waits_for_connectivity and not self._online(task) and not task.not_resumable:
                download.stop()
        self.reconsider()

    def came_to_front(self) -> None:
        """A person is there: the rate limiter holds nothing back any more (B-16)."""
        for number in list(self._timers):
            if self._tasks[number].waiting_reason == RATE_LIMITED:
                self._again(number)

    def reconsider(self) -> None:
        """The network or the policy changed: who waits in the queue and who waits for them may change places."""
        for task in list(self._tasks.values()):
            number = task.number
            if number in self._held:
                if self._hold_on(task) is None:
                    self._again(number)
            elif task.state is State.RUNNING and task.activity is Activity.QUEUED and number not in self._ending:
                hold = self._hold_on(task)
                if hold is not None and self._engine.slots.withdraw(task.key):
                    self._wait(number, hold)

    def _complete_failed(self, number: int, error: TransferError) -> None:
        task = self._tasks[number]
        hint = advice.hint(error, advice.Decision.END, kept=advice.kept_of(task), kind=task.kind)
        error = changed(error, url=error.url or redacted(task.url), hint=hint)  # also where the disk failed
        data, row = self._produce(number)
        self._complete(
            changed(task, state=task.after(Action.FAIL), error=error),
            TaskCompletedEvent(
                error_code=error.code,
                message=error.message,
                reason=error.reason,
                status_code=error.status or 0,
                response_text=self._told_text(task),
                resumable=data is not None,
                resume_data=data,
            ),
            resume_row=row,
        )

    async def _refuse(self, number: int) -> None:
        """A task made from resume data that cannot be used (R-14, R-15)."""
        self._spent.discard(number)
        if self._tasks[number].state is State.RUNNING:
            self._complete_failed(
                number,
                TransferError(
                    code=Code.UNSUPPORTED_URL,
                    message="The resume data cannot be used: it is damaged or was used before.",
                    reason="resume.unusable",
                    hint="Start the download again from its address.",
                ),
            )

    async def _end_cancelled(self, number: int) -> None:
        """The engine has let go of a cancelled task: keep or delete its part, then say -999."""
        if self._first:
            await asyncio.wait(self._first)  # O-12: what had finished says so before the cancellations
        task = self._tasks[number]
        if task.state is not State.CANCELING:
            return
        data, row = self._produce(number) if number in self._resume_wanted else (None, None)
        if row is None and task.upload is not None:
            self._engine.runners.spawn(self._abandon(task), f"abandon {task.key}")
            task = changed(self._tasks[number], upload=None)
        if row is None and task.part_paths:
            for path in task.part_paths:
                await asyncio.to_thread(_drop_part, path)
            task = changed(self._tasks[number], part_path="", older_part=None, received=0, validators=None)
        elif row is not None:
            await self._engine.vault.saved()
            await self._engine.store.commit(Change(resume=row))
            if task.cancel_reason != USER_FORCE_QUIT:  # no program was given the data: a retry may use the part
                task = changed(self._tasks[number], part_path="", older_part=None)
        wanted = self._resume_wanted.pop(number, None)
        if wanted is not None and not wanted.done():
            wanted.set_result(data)
            await asyncio.sleep(0)  # whoever waits for the data hears of it before the event (O-09)
        if self._tasks[number].state is not State.CANCELING:
            return
        error = _cancelled_error(task)
        self._complete(
            changed(task, state=task.after(Action.STOPPED), error=error),
            TaskCompletedEvent(
                error_code=error.code,
                message=error.message,
                reason=error.reason,
                status_code=task.response.status if task.response else 0,
                cancel_reason=task.cancel_reason,
                resumable=data is not None,
                resume_data=data,
            ),
        )

    async def _abandon(self, task: Task) -> None:
        """Tell the server once that its half of an upload is of no use any more (U-22)."""
        from transfermon.engine.upload_requests import abandon

        with contextlib.suppress(TransferFailure):
            await abandon(self._engine, self._row.configuration, task)

    def _produce(self, number: int) -> tuple[bytes | None, ResumeRow | None]:
        """Resume data where R-02 does not forbid it. A failed task keeps its part as well: who comes first has it."""
        task = self._tasks[number]
        if task.kind is not Kind.DOWNLOAD:
            if task.upload is None:
                return None, None
        elif not task.part_path or task.received == 0 or self._why_not_resumable(task):
            return None, None
        token = secrets.token_urlsafe(24)
        row = ResumeRow(token=token, task=task)
        self._engine.resume_rows[token] = row
        self._offered[number] = token
        self._engine.vault.put(f"resume {token}", self._engine.vault.get(str(task.key)))
        return resume.pack(token), row

    def _why_not_resumable(self, task: Task) -> str:
        return resume.why_not_resumable(task.validators, task.method, self._row.configuration.resume_policy)

    def _resume_data_of(self, number: int) -> bytes | None:
        row = self._engine.resume_rows.get(self._offered.get(number, ""))
        return None if row is None or row.spent else resume.pack(row.token)

    def _take_back(self, number: int) -> tuple[bool, ResumeRow | None]:
        """Make the data that a failed task offered useless; False when it was used, so that the part is another's."""
        row = self._engine.resume_rows.get(self._offered.pop(number, ""))
        task = self._tasks[number]
        if row is None or not (task.part_paths or task.upload):
            return True, None
        if row.spent:
            return False, None
        spent = self._engine.resume_rows[row.token] = changed(row, spent=True)
        self._engine.vault.drop(f"resume {row.token}")
        return True, spent

    def _told_text(self, task: Task) -> str | None:
        text = self._engine.answers.get(task.key).text
        return None if text is None else text[:TOLD]

    def _complete(self, task: Task, event: TaskCompletedEvent, *, resume_row: ResumeRow | None = None) -> None:
        number = task.number
        task = changed(
            task,
            activity=Activity.NONE,
            finished=self._engine.now(),
            waiting_until=None,
            waiting_reason="",
            suspend_count=0,
        )
        self._outstanding -= 1
        self._completed_since_idle += event.success
        self._failed_since_idle += not event.success
        for of_task in (self._failures, self._good, self._accepted):
            of_task.pop(number, None)
        self._restarted.discard(number)
        self._overdue.discard(number)
        self._spans.pop(number, None)
        self._disarm(number)
        self._untold.add(number)
        self._record(task, event, delivered=lambda: self._was_told(number), resume_row=resume_row)
        if not self._outstanding:
            idle = SessionIdleEvent(completed=self._completed_since_idle, failed=self._failed_since_idle)
            self._completed_since_idle = self._failed_since_idle = 0
            self._record(None, idle)
        self._perhaps_invalidated()

    def _was_told(self, number: int) -> None:
        self._untold.discard(number)
        for waiter in self._waiters.pop(number, []):
            if not waiter.done():
                waiter.set_result(None)
        if number in self._removing:
            self._start_removal(number)

    async def heard(self, number: int) -> None:
        """Done when the listeners of the task's end have returned; at once when none is being told of one."""
        if number in self._untold:
            await self._ended(number)

    async def _ended(self, number: int) -> None:
        task = self._tasks.get(number)
        if task is None or (task.state is State.COMPLETED and number not in self._untold):
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(number, []).append(waiter)
        await waiter

    def _accepted_of(self, number: int) -> asyncio.Future[None]:
        accepted = self._accepted.get(number)
        if accepted is None:
            accepted = asyncio.get_running_loop().create_future()
            accepted.set_result(None)
        return accepted

    def _halt(self, number: int) -> bool:
        """Stop whatever moves or waits. True when a running attempt will report its end."""
        timer = self._timers.pop(number, None)
        if timer is not None:
            timer.cancel()
        self._held.discard(number)
        self._curable.discard(number)
        self._engine.slots.withdraw(TaskKey(self.key, number))
        self._disarm(number)
        download = self._working.get(number)
        if download is not None:
            download.stop()
        return number in self._ending

    # ---- the resource timer (T-05, T-16)

    def _arm(self, number: int) -> None:
        self._disarm(number)
        task = self._tasks[number]
        limit = self._row.configuration.timeout_interval_for_resource - self._elapsed(task)
        handle = asyncio.get_running_loop().call_later(max(0.0, min(limit, 2e6)), self._time_out, number)
        self._deadlines[number] = handle

    def _elapsed(self, task: Task) -> float:
        """Seconds of the resource timer that are gone. The wall clock is asked once in the life of an engine: it may
        be set meanwhile, by years (FAULTS T1).
        """
        now = asyncio.get_running_loop().time()
        if task.started is None:
            self._spans[task.number] = (now, 0.0)
            return 0.0
        if task.number not in self._spans:
            gone = max(0.0, self._engine.now() - task.started - task.suspended_seconds)
            self._spans[task.number] = (now - gone, task.suspended_seconds)
        began, suspended = self._spans[task.number]
        return now - began - (task.suspended_seconds - suspended)

    def _disarm(self, number: int) -> None:
        handle = self._deadlines.pop(number, None)
        if handle is not None:
            handle.cancel()

    def _time_out(self, number: int) -> None:
        self._deadlines.pop(number, None)
        if number in self._ending:
            self._overdue.add(number)
            download = self._working.get(number)
            if download is not None:
                download.stop()
        else:  # it waits for a slot or for its next attempt
            self._halt(number)
            self._complete_failed(number, _overdue_error(self._tasks[number]))

    # ---- the end of the session and of the engine

    def finish_tasks_and_invalidate(self) -> None:
        """Take no more tasks; the session ends with its last one (S-11). Suspended tasks are not resumed."""
        if self.state is SessionState.ACTIVE:
            self._finishing(canceling=False)
            self._perhaps_invalidated()

    def invalidate_and_cancel(self) -> None:
        """Take no more tasks and cancel all (S-13)."""
        if self.state is SessionState.INVALIDATED:
            return
        if self.state is SessionState.ACTIVE or not self.canceling:
            self._finishing(canceling=True)
        finalizing = {task.number for task in self._tasks.values() if task.activity is Activity.FINALIZING}
        self._first |= {self._ending[number] for number in finalizing & self._ending.keys()}
        for task in list(self._tasks.values()):
            self.cancel(task.number)
        self._perhaps_invalidated()

    def _finishing(self, *, canceling: bool) -> None:
        self.state, self.canceling = SessionState.FINISHING, canceling
        self._row = changed(self._row, state=self.state.value, next_number=self._next)
        self._record(None, SessionFinishingEvent(canceling=canceling))

    def _perhaps_invalidated(self) -> None:
        if self.state is SessionState.FINISHING and not self._outstanding:
            self.state = SessionState.INVALIDATED
            self._row = changed(self._row, state=self.state.value, next_number=self._next)
            self._record(None, SessionInvalidatedEvent(), delivered=self._over)

    def _over(self) -> None:
        self._engine.vault.drop(self.key)
        self._engine.vault.drop(f"{self.key} proxy")
        wanted = {path for row in self._engine.resume_rows.values() if not row.spent for path in row.task.part_paths}
        for task in self._tasks.values():
            self._engine.vault.drop(str(task.key))
            if task.spooled:
                self._engine.runners.spawn(asyncio.to_thread(_unlink, task.source), f"drop the body of {task.key}")
            for path in task.part_paths:
                if path not in wanted:
                    self._engine.runners.spawn(asyncio.to_thread(_drop_part, path), f"forget {task.key}")
        if self._engine.transport is not None:
            self._engine.transport.forget(self.key)
            self._engine.transport.drop_idle(self.key)
        self._forget(self)

    def announce(self) -> asyncio.Future[None]:
        """Remember a new session."""
        return self._record(None, SessionCreatedEvent())

    def hold(self) -> None:
        """Let go of every transfer that moves; a running task queues again."""
        for download in list(self._working.values()):
            download.stop()

    # ---- reset and flush (S-16, S-17)

    def flush(self, callback: Done | None = None) -> asyncio.Task[None]:
        """Make everything decided so far durable and drop idle connections, then call back once with
        `{"completed": True}`. Starts by itself; await it if you like. Raises SessionInvalidatedError.
        """
        self._check_usable()
        return self._engine.runners.spawn(self._flushed(callback), f"flush {self.key}")

    def reset(self, callback: Done | None = None) -> asyncio.Task[None]:
        """Forget cookies, the credentials of ended tasks, and delete part files that no task knows, then as `flush`.

        Outstanding tasks and their partial files stay as they are. Part files are looked for in the engine's own
        folder only: in a download folder they may be another engine's. Raises SessionInvalidatedError.
        """
        self._check_usable()
        return self._engine.runners.spawn(self._emptied(callback), f"reset {self.key}")

    def _check_usable(self) -> None:
        if self.state is SessionState.INVALIDATED:
            raise SessionInvalidatedError(f"session {self.key} was invalidated")

    async def _flushed(self, callback: Done | None) -> None:
        await self._engine.vault.saved()
        await self._engine.store.read(lambda database: None)  # after all that was queued before
        if self._engine.transport is not None:
            self._engine.transport.drop_idle(self.key)
        if callback is not None:
            answer = callback({"completed": True})
            if inspect.isawaitable(answer):
                await answer

    async def _emptied(self, callback: Done | None) -> None:
        for task in self._tasks.values():
            if not task.outstanding:
                self._engine.vault.drop(str(task.key))
        if self._engine.transport is not None:
            self._engine.transport.forget(self.key)
        known = await self._engine.store.read(part_paths)  # of all sessions, ended tasks too
        await asyncio.to_thread(_drop_orphans, os.path.join(self._engine.state_dir, "parts"), known)
        await self._flushed(callback)

    async def stop(self) -> None:
        """The engine ends: let go of every transfer. Their records say that they ran; the next engine goes on."""
        for timer in [*self._timers.values(), *self._deadlines.values()]:
            timer.cancel()
        self._timers.clear()
        self._deadlines.clear()
        for task in list(self._tasks.values()):
            if task.outstanding:
                self._engine.slots.withdraw(task.key)
        self.hold()
        while self._ending or self._leaving:
            done, _ = await asyncio.wait({*self._ending.values(), *self._leaving}, timeout=1.0)
            if not done and self._engine.store.frozen:
                return  # they wait for a disk that refuses; the next engine finds them as they were stored


_LONGEST_TIMER = 1e6  # seconds
_OUR_MISTAKE = TransferError(
    code=Code.UNKNOWN,
    message="transfermon made a mistake with this transfer.",
    reason="bug",
    hint="Retry it; the log has the details.",
)


def _cancelled_error(task: Task) -> TransferError:
    url = redacted(task.url)
    if task.cancel_reason == USER_FORCE_QUIT:
        error = TransferError(
            code=Code.CANCELLED,
            message="The transfer was stopped when Transfermon was quit.",
            reason="user-force-quit",
            hint="Retry it.",
            url=url,
        )
        hint = advice.hint(error, advice.Decision.END, kept=advice.kept_of(task), kind=task.kind)
        return changed(error, hint=hint)
    return TransferError(code=Code.CANCELLED, message="The transfer was cancelled.", reason="cancelled", url=url)


def _as_found(task: Task) -> Task:
    """Nothing connects or moves yet when an engine opens."""
    moved = task.activity in (Activity.CONNECTING, Activity.TRANSFERRING, Activity.VERIFYING)
    return changed(task, activity=Activity.QUEUED) if moved else task


def _asked_anew(wanted: str) -> dict[str, Any]:
    """What the record says of an upload whose protocol is to be found out again, unless it was asked for."""
    protocol = upload_protocol.decided(wanted)
    return {"protocol": protocol, "not_resumable": PLAIN_UPLOAD if protocol == upload_protocol.PLAIN else ""}


def _noted(path: str) -> dict[str, Any]:
    """What the record keeps of the file that is to be sent; nothing of one that is not there (U-08)."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return {"source_identity": (), "expected_to_send": UNKNOWN}
    return {"source_identity": part_file.identity_of(status), "expected_to_send": status.st_size}


def _spool(path: str, body: bytes) -> None:
    """Blocking. Raises TransferFailure -3000."""
    try:
        ensure_private(os.path.dirname(path))
        write_whole(path, body)
    except OSError as error:
        raise part_file.failure(error, Code.CANNOT_CREATE_FILE, path) from error


def _lost(task: Task) -> TransferError | None:
    """Why a task cannot go on that an engine before this one has left, or None."""
    if task.state not in (State.RUNNING, State.SUSPENDED):
        return None
    if task.kind is Kind.DATA:
        return TransferError(
            code=Code.SESSION_DISCONNECTED,
            message="The app ended before the answer came.",
            reason="app.ended",
            hint="Send the request again.",
            url=redacted(task.url),
        )
    if task.exposed and task.state is State.RUNNING:
        ended = TransferError(code=Code.CONNECTION_LOST, message="The app ended in the middle.", retry=Retry.RETRY)
        return retry.once_only(ended, sent=True)
    return None


def _overdue_error(task: Task) -> TransferError:
    return TransferError(
        code=Code.TIMED_OUT,
        message="The transfer did not finish in the time that its session allows.",
        reason="net.resource-timeout",
        hint="Retry it, or give the session a longer timeout_interval_for_resource.",
        url=redacted(task.url),
    )


def _state_event(task: Task) -> TaskStateEvent:
    return TaskStateEvent(
        state=task.state.value,
        activity=task.activity.value,
        reason=task.waiting_reason,
        until=task.waiting_until,
        attempt=task.attempt,
    )


def _check_priority(priority: float) -> None:
    if not 0.0 <= priority <= 1.0:
        raise ValueError("a priority is 0.0 to 1.0")


def _checked_digest(digest: str | None) -> str:
    """ "sha-256:HEX" in lower case, or ""."""
    if not digest:
        return ""
    algorithm, _, value = digest.lower().partition(":")
    lengths = {"sha-256": 64, "sha-512": 128}
    if algorithm not in lengths or len(value) != lengths[algorithm] or set(value) - set("0123456789abcdef"):
        raise ValueError("a digest is sha-256: and 64 or sha-512: and 128 hexadecimal digits")
    return f"{algorithm}:{value}"


def _split_credentials(url: str) -> tuple[str, dict[str, str]]:
    """A checked URL; its user information moves into a header (DESIGN 9)."""
    bare, authorization = without_credentials(check_url(url))
    return bare, {"Authorization": authorization} if authorization else {}


def _drop_part(path: str) -> None:
    try:
        part_file.remove(path)
    except TransferFailure as failure:  # the task ends all the same; the part is hidden and named in the log
        log.warning("%s stays: %s", path, failure)


def _delete_written(task: Task) -> tuple[bool, str]:
    """Blocking. Delete the finished file if it is the one that was written. Whether it was, and the path of what stays."""
    written = task.final_identity or (0, task.part_inode, task.received, 0)  # of an older version's record
    path = task.final_path
    if file_system.is_same_file(part_file.identity_at(path), written) and _unlink(path):
        return True, ""
    return False, path if os.path.lexists(path) else ""


def _drop_orphans(folder: str, known: frozenset[str]) -> None:
    """Blocking. A part made this minute may belong to a task that is just about to say so."""
    for path in part_file.parts_in(folder):
        with contextlib.suppress(OSError):
            if path not in known and time.time() - os.stat(path).st_mtime > _SETTLED:
                _drop_part(path)


def _unlink(path: str) -> bool:
    """False when it stays."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as exc:
        log.warning("%s stays: %s", path, exc)
        return False
    return True
