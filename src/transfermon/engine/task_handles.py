"""Tasks as a program holds them: windows on the record, and the commands.

Rule: nothing is kept here. A handle follows its task for as long as somebody holds it, and
afterwards says what was last.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import urlsplit

from transfermon.engine.answers import KeptAnswer
from transfermon.engine.task_orders import set_priority
from transfermon.engine.task_run import TaskRun
from transfermon.model.checked_text import checked_text
from transfermon.model.errors import InvalidAction, TransferError
from transfermon.model.metrics import TaskMetrics
from transfermon.model.task import (
    Activity,
    Kind,
    Progress,
    Response,
    State,
    Task,
    TaskKey,
    progress_of,
)


class TransferTask:
    """A task, as a program holds it: a window on the record, and the commands. Not a copy: it
    follows.
    """

    def __init__(self, session: Any, run: TaskRun) -> None:
        self._session = session
        self._run = run

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key} {self.record.state.value}>"

    @property
    def record(self) -> Task:
        """The record now; the last one known once the task has left the list."""
        return self._run.record

    @property
    def key(self) -> TaskKey:
        return self._run.key

    @property
    def session(self) -> Any:
        """The `Session` that the task belongs to."""
        return self._session  # it makes these objects, so that its class cannot be named here

    @property
    def task_identifier(self) -> int:
        return self._run.record.number

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
        return self._run.engine.progress.get(self.key)

    @property
    def _present(self) -> TaskRun:
        """For commands. Raises KeyError when the task has left the list."""
        if self._run.gone:
            raise KeyError(str(self.key))
        return self._run

    @property
    def task_description(self) -> str | None:
        return self.record.description

    @task_description.setter
    def task_description(self, text: str | None) -> None:
        described = checked_text(text, "the description") if text is not None else None
        self._present.change(description=described)

    @property
    def priority(self) -> float:
        return self.record.priority

    @priority.setter
    def priority(self, priority: float) -> None:
        set_priority(self._present, priority)

    @property
    def earliest_begin_date(self) -> datetime | None:
        """No connection is opened before it (T-10); default sessions ignore it. One without a zone
        is local time.
        """
        begin = self.record.earliest_begin
        return None if begin is None else datetime.fromtimestamp(begin, UTC)

    @earliest_begin_date.setter
    def earliest_begin_date(self, begin: datetime | None) -> None:
        """Raises InvalidAction once the task was resumed."""
        record = self.record
        if record.state is not State.SUSPENDED or record.started is not None:
            raise InvalidAction(
                "earliest_begin_date is set before the task is resumed for the first time"
            )
        self._present.change(earliest_begin=None if begin is None else begin.timestamp())

    @property
    def metrics(self) -> TaskMetrics:
        """T-19; final when `sessioncompleted` is told."""
        return self.record.metrics

    @property
    def accepted(self) -> Awaitable[None]:
        """Done when the task is durable: from then on it survives everything (W2)."""
        return self._run.when_accepted()

    def resume(self) -> Self:
        """Take one suspension back; the task runs when none is left (T-03)."""
        self._present.resume()
        return self

    def suspend(self) -> Self:
        """Stop moving bytes until as many `resume` calls came (T-03, T-04)."""
        self._present.suspend()
        return self

    def cancel(self) -> Self:
        """End the task with -999, at once (T-06)."""
        self._present.cancel()
        return self

    async def wait(self) -> Task:
        """The record when the task is completed and every listener has been told."""
        await self._run.ended()
        return self.record


class _Resumable(TransferTask):
    async def cancel_by_producing_resume_data(self) -> bytes | None:
        """End the task with -999; opaque data to go on with later, or None where that is impossible
        (R-01, R-02).
        """
        return await self._present.cancel_by_producing_resume_data()

    @property
    def resume_data(self) -> bytes | None:
        """What the task's end offers to go on with, as long as nobody has used it (R-01, R-16)."""
        return self._run.offer.data


class DownloadTask(_Resumable):
    """From the server into a file."""

    @property
    def destination(self) -> str:
        """The final path once the file is there, else where it will be; "" for a temporary file."""
        record = self.record
        return record.final_path or (
            os.path.join(record.folder, record.name) if record.folder else ""
        )

    @property
    def suggested_filename(self) -> str:
        return self.record.name


class UploadTask(_Resumable):
    """From a file, bytes or a stream to the server."""

    @property
    def response_text(self) -> str | None:
        """The server's answer: its first MiB, of a data task 8 MiB (U-07). None where there was
        none, and where newer ones have taken the room that the engine has for answers, 32 MiB.
        """
        return self.kept_response.text

    @property
    def kept_response(self) -> KeptAnswer:
        """`response_text`, and whether it is all of the answer."""
        return self._run.engine.answers.get(self.key)

    @property
    def upload_resource(self) -> str | None:
        """Whether the server made a place where the upload can go on: its origin; the rest is a
        secret (U-25).
        """
        upload = self.record.upload
        return (
            None
            if upload is None
            else f"{urlsplit(upload.url).scheme}://{urlsplit(upload.url).netloc}/…"
        )


class DataTask(UploadTask):
    """A small request whose answer is its result (T-20 to T-22)."""

    @property
    def response_body(self) -> str | None:
        return self.response_text


HANDLES: dict[Kind, type[TransferTask]] = {
    Kind.DOWNLOAD: DownloadTask,
    Kind.UPLOAD: UploadTask,
    Kind.DATA: DataTask,
}
