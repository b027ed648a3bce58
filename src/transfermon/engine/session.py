"""Sessions: they make tasks, keep them, and take none any more.

Rule: what happens to one task is its run's affair, and every change goes through the `SessionCore`,
the one door.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Unpack

from transfermon.engine import resume_data, session_cleanup, task_files
from transfermon.engine.new_task import (
    DataWishes,
    DownloadWishes,
    NewTask,
    Pieces,
    Source,
    StreamWishes,
    UploadWishes,
    wished,
)
from transfermon.engine.prepared_task import PreparedTask, default_folder_of, prepared
from transfermon.engine.session_cleanup import Done
from transfermon.engine.session_core import SessionCore, SessionState
from transfermon.engine.session_tasks import SessionTasks
from transfermon.engine.shared import Engine
from transfermon.engine.task_ends import UNUSABLE_RESUME_DATA
from transfermon.engine.task_handles import (
    HANDLES,
    DataTask,
    DownloadTask,
    TransferTask,
    UploadTask,
)
from transfermon.engine.task_run import TaskRun
from transfermon.http.cookies import Cookie
from transfermon.model import task_steps
from transfermon.model.configuration import USUAL_CONNECTIONS, SessionConfiguration
from transfermon.model.errors import SessionInvalidatedError, TransferError, redacted
from transfermon.model.events import (
    SessionCreatedEvent,
    SessionFinishingEvent,
    SessionInvalidatedEvent,
    TaskCreatedEvent,
)
from transfermon.model.tally import Tally
from transfermon.model.task import Action, Activity, Kind, State, Task, changed
from transfermon.model.wake_policy import AppState
from transfermon.storage.changes import ResumeRow, SessionRow


class Session:
    """Tasks with common settings. Made by `Monitor.create_session`, which keeps it until it is
    invalidated.
    """

    def __init__(
        self,
        engine: Engine,
        row: SessionRow,
        *,
        tasks: tuple[Task, ...] = (),
        forget: Callable[[Session], None],
    ) -> None:
        self._engine = engine
        self._forget = forget
        self._core = SessionCore(
            engine, row, on_idle=self._perhaps_invalidated, on_gone=self._take_out
        )
        self.tasks = SessionTasks(self._core, tasks)
        self.canceling = False
        for resume_row in engine.resume_rows.values():
            if (
                resume_row.task.session == self.key
                and (run := self.tasks.find_run(resume_row.task.number)) is not None
            ):
                run.offer.token = resume_row.token

    def __repr__(self) -> str:
        return f"<Session {self.key} {self.state.value} {self.outstanding} outstanding>"

    @property
    def key(self) -> str:
        return self._core.key

    @property
    def state(self) -> SessionState:
        return self._core.state

    @property
    def row(self) -> SessionRow:
        """What the store keeps of it."""
        return self._core.row

    @property
    def identifier(self) -> str | None:
        return self._core.configuration.identifier

    @property
    def configuration(self) -> SessionConfiguration:
        """A copy (S-05)."""
        copy = self.own_configuration
        copy.http_maximum_connections_per_host = copy.connections_to_a_host or USUAL_CONNECTIONS
        return copy

    @property
    def own_configuration(self) -> SessionConfiguration:
        """The same, and what nobody set says so."""
        copy = self._core.configuration.copy()
        copy.http_header_fields = self._engine.vault.get(self.key)
        copy.proxy = self._engine.proxy_of(self.key, copy.proxy)
        return copy

    def reconfigure(self, **changes: Any) -> None:
        """Other limits, folder or policies from now on; what a running transfer has begun with it
        keeps until its next attempt. Remembered like the session itself. Raises TypeError or
        ValueError where a setting is impossible.
        """
        self._core.reconfigure(changes)

    @property
    def tally(self) -> Tally:
        """To read only."""
        return self._core.tally

    @property
    def outstanding(self) -> int:
        return self._core.tally.outstanding

    # ---- making tasks

    def download_task(self, url: str, **wishes: Unpack[DownloadWishes]) -> DownloadTask:
        """A download that starts by itself (T-02), or waits suspended with `start=False`. The
        wishes are the fields of `DownloadWishes`.

        `destination`: None saves into the session's download folder under the server's name; an
        existing folder, or a path that ends in a slash, into that one; any other path is the file
        itself; TEMPORARY is a file that goes when the listeners of its completion have returned.
        `expected_digest` is "sha-256:HEX" or "sha-512:HEX".

        `cookies` are those of a file; what of them the host gets is kept with the other secrets and
        goes with the task.

        Raises ValueError for an empty URL, a refused header or an unusable digest, TransferFailure
        for a malformed URL (-1000) or another scheme than http and https (-1002), TypeError for
        an unknown wish, SessionInvalidatedError after an invalidation.
        """
        return self.add(wished(Kind.DOWNLOAD, url, wishes, DownloadWishes))  # type: ignore[return-value]  # of this kind

    def upload_task(self, url: str, data: Source, **wishes: Unpack[UploadWishes]) -> UploadTask:
        """Send a file, by its path, or bytes, which in a background session are first kept in a
        file of ours (U-01 to U-03). The file must stay as it is until the end: one that changes
        stops the upload with -1021 (U-09). The wishes are the fields of `UploadWishes`.

        `protocol` is "plain", "tus", "ietf" or "ietf:6" (one of its versions), in place
        of the session's `upload_protocol`. With `into_folder` an address that ends with a slash is
        a folder: a PUT goes to the file's name in it. Raises as `download_task`, and ValueError for
        a method that is no token. What is wrong with the file is the task's error, -1100 to -1102
        (U-08).
        """
        return self.add(wished(Kind.UPLOAD, url, wishes, UploadWishes, source=data))  # type: ignore[return-value]  # as above

    def upload_task_with_stream(
        self, url: str, factory: Pieces, **wishes: Unpack[StreamWishes]
    ) -> UploadTask:
        """Send what `factory()` yields; it is called again where the body must be sent again
        (U-04). The wishes are the fields of `StreamWishes`.

        Raises as `download_task`, and InvalidAction in a background session, which outlives any
        stream.
        """
        return self.add(wished(Kind.UPLOAD, url, wishes, StreamWishes, pieces=factory))  # type: ignore[return-value]  # as above

    def data_task(self, url: str, data: object = None, **wishes: Unpack[DataWishes]) -> DataTask:
        """A request with a small body and a small answer, which `sessioncompleted` carries (T-20,
        T-21). The wishes are the fields of `DataWishes`.

        Bytes are sent as they are, other values as JSON. In a background session it ends with the
        engine: the next one reports -997 (T-22). Raises as `download_task`, and TypeError or
        ValueError for what is no JSON.
        """
        return self.add(wished(Kind.DATA, url, wishes, DataWishes, data=data))  # type: ignore[return-value]  # as above

    def add(self, new: NewTask) -> TransferTask:
        """A task of what was asked for, of any kind. Raises as the methods above."""
        self._core.check_open()
        made = prepared(self._core, self.tasks.next_key, new)
        return self._adopt(made, start=new.start, cookies=new.cookies)

    def download_task_with_resume_data(self, data: bytes, *, start: bool = True) -> DownloadTask:
        """A new task that goes on where another was cancelled (R-04).

        Data that is malformed or was used before gives a task that ends with -1002 without a
        request (R-14, R-15).
        """
        return self._from_resume_data(data, Kind.DOWNLOAD, start=start)  # type: ignore[return-value]  # of this kind

    def upload_task_with_resume_data(self, data: bytes, *, start: bool = True) -> UploadTask:
        """A new task that goes on where a resumable upload was cancelled (U-22); as
        `download_task_with_resume_data`.
        """
        return self._from_resume_data(data, Kind.UPLOAD, start=start)  # type: ignore[return-value]  # of this kind

    def _from_resume_data(self, data: bytes, kind: Kind, *, start: bool) -> TransferTask:
        self._core.check_open()
        row = resume_data.row_of(self._engine, data, kind)
        if row is None:
            task = Task(session=self.key, number=self.tasks.next_number, kind=kind, url="")
            return self._adopt(PreparedTask(task=task), start=start, unusable=UNUSABLE_RESUME_DATA)
        spent, headers = resume_data.spend(self._engine, row)
        task = task_steps.made_from(row.task, session=self.key, number=self.tasks.next_number)
        return self._adopt(PreparedTask(task=task, headers=headers), start=start, resume_row=spent)

    @property
    def default_folder(self) -> str:
        """Where downloads without a destination go: the session's folder, the setting, or the
        desktop's.
        """
        return default_folder_of(self._core.configuration, self._engine.settings)

    def _adopt(
        self,
        new: PreparedTask,
        *,
        start: bool,
        cookies: Sequence[Cookie] = (),
        resume_row: ResumeRow | None = None,
        unusable: TransferError | None = None,
    ) -> TransferTask:
        task, engine = new.task, self._engine
        self.tasks.next_number = task.number + 1
        engine.vault.put(str(task.key), new.headers)
        if cookies:
            engine.keep_cookies(task, cookies)
        task = task_steps.accepted(task, now=engine.now(), start=start)
        if engine.app_state is AppState.BACKGROUND and not task.user_initiated:
            now = engine.now()
            delay = engine.limiter.delay(now)
            task = changed(task, in_background=True, limited_until=now + delay if delay else None)
        run = self.tasks.put(task)
        run.unusable = unusable
        if engine.on_created is not None:
            engine.on_created(task)
        event = TaskCreatedEvent(kind=task.kind.value, url=redacted(task.url))
        run.accepted = recorded = self._core.record_task(run, task, event, resume_row=resume_row)
        if task.spooled and isinstance(new.body, bytes):
            both = _body_kept(task.source, new.body, recorded)
            run.accepted = engine.runners.spawn(both, f"keep the body of {task.key}")
        else:
            run.body = new.body
        if start:
            run.enqueue()
        return self._handle(run)

    def _handle(self, run: TaskRun) -> TransferTask:
        handle: TransferTask | None = run.handle() if run.handle is not None else None
        if handle is None:
            handle = HANDLES[run.record.kind](self, run)
            run.handle = weakref.ref(handle)
        return handle

    # ---- looking

    def task(self, number: int) -> TransferTask:
        """Raises KeyError when the session has no such task."""
        return self._handle(self.tasks.run_of(number))

    async def get_all_tasks(self) -> list[TransferTask]:
        """Tasks that run or were suspended after a first start (S-19)."""
        return [
            self._handle(run)
            for run in self.tasks
            if run.record.outstanding
            and (run.record.state is not State.SUSPENDED or run.record.started is not None)
        ]

    async def get_tasks(self) -> tuple[list[TransferTask], list[TransferTask], list[TransferTask]]:
        """Data, upload and download tasks, as `get_all_tasks` counts them."""
        kinds: dict[Kind, list[TransferTask]] = {Kind.DATA: [], Kind.UPLOAD: [], Kind.DOWNLOAD: []}
        for task in await self.get_all_tasks():
            kinds[task.record.kind].append(task)
        return kinds[Kind.DATA], kinds[Kind.UPLOAD], kinds[Kind.DOWNLOAD]

    # ---- all tasks at once

    def _take_out(self, number: int) -> None:
        self.tasks.take_out(number)
        self._perhaps_invalidated()

    def start_restored(self) -> None:
        """Run what was running, end what was ending, when the engine opened (X-11)."""
        for run in self.tasks:
            run.start_restored()
        self._perhaps_invalidated()

    async def end_all(self, reason: int) -> None:
        """Cancel all that is outstanding, with resume data where possible; done when every listener
        was told.
        """
        ending = [run for run in self.tasks if run.record.can(Action.CANCEL)]
        for run in ending:
            if not run.offer.wanted:
                run.offer.want()
            run.cancel(reason=reason)
        await asyncio.gather(*(run.ended() for run in ending))

    def hold(self) -> None:
        """Let go of every transfer that moves; a running task queues again."""
        for run in self.tasks:
            run.stop_attempt()

    async def stop(self) -> None:
        """The engine ends: let go of every transfer. Their records say that they ran; the next
        engine goes on.
        """
        for run in self.tasks:
            run.halt()
        while (
            leaving := {run.runner for run in self.tasks if run.runner is not None}
            | self._core.leaving
        ):
            done, _ = await asyncio.wait(leaving, timeout=1.0)
            if not done and self._engine.store.frozen:
                # they wait for a disk that refuses; the next engine finds them as they were stored
                return

    # ---- the session's own life

    def announce(self) -> asyncio.Future[None]:
        """Remember a new session."""
        return self._core.record_session(SessionCreatedEvent())

    def finish_tasks_and_invalidate(self) -> None:
        """Take no more tasks; the session ends with its last one (S-11). Suspended tasks are not
        resumed.
        """
        if self.state is SessionState.ACTIVE:
            self._finishing(canceling=False)
            self._perhaps_invalidated()

    def invalidate_and_cancel(self) -> None:
        """Take no more tasks and cancel all (S-13)."""
        if self.state is SessionState.INVALIDATED:
            return
        if self.state is SessionState.ACTIVE or not self.canceling:
            self._finishing(canceling=True)
        runs = list(self.tasks)
        finished = {
            run.runner
            for run in runs
            if run.record.activity is Activity.FINALIZING and run.runner is not None
        }
        for run in runs:
            if run.runner not in finished:
                run.ends_after |= finished
            run.cancel()
        self._perhaps_invalidated()

    def _finishing(self, *, canceling: bool) -> None:
        self.canceling = canceling
        self._become(SessionState.FINISHING)
        self._core.record_session(SessionFinishingEvent(canceling=canceling))

    def _perhaps_invalidated(self) -> None:
        over = self.state is SessionState.FINISHING and not self.outstanding
        # their last events come before its own
        if over and not any(run.removing is not None for run in self.tasks):
            self._become(SessionState.INVALIDATED)
            self._core.record_session(SessionInvalidatedEvent(), delivered=self._over)

    def _become(self, state: SessionState) -> None:
        self._core.row = changed(
            self._core.row, state=state.value, next_number=self.tasks.next_number
        )

    def _over(self) -> None:
        session_cleanup.forget(self._core, self.tasks.records())
        self._forget(self)

    # ---- reset and flush (S-16, S-17)

    def flush(self, callback: Done | None = None) -> asyncio.Task[None]:
        """Make everything decided so far durable and drop idle connections, then call back once
        with `{"completed": True}`. Starts by itself; await it if you like. Raises
        SessionInvalidatedError.
        """
        self._check_usable()
        return self._engine.runners.spawn(
            session_cleanup.flush(self._core, callback), f"flush {self.key}"
        )

    def reset(self, callback: Done | None = None) -> asyncio.Task[None]:
        """Forget cookies, the credentials of ended tasks, and delete part files that no task knows,
        then as `flush`.

        Outstanding tasks and their partial files stay as they are. Part files are looked for in the
        engine's own folder only: in a download folder they may be another engine's. Raises
        SessionInvalidatedError.
        """
        self._check_usable()
        return self._engine.runners.spawn(
            session_cleanup.empty(self._core, self.tasks.records(), callback), f"reset {self.key}"
        )

    def _check_usable(self) -> None:
        if self.state is SessionState.INVALIDATED:
            raise SessionInvalidatedError(f"session {self.key} was invalidated")


async def _body_kept(path: str, body: bytes, recorded: asyncio.Future[None]) -> None:
    """Done when both the bytes and the task are durable (U-03)."""
    await asyncio.to_thread(task_files.keep_body, path, body)
    await recorded
