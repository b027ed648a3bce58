"""What one attempt of an upload or of a data task knows, and writes down.

Rule: what went out is counted here, and what an answer ends with is recorded here alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import NoReturn

from transfermon.engine.attempt import Attempt, Record, UntoldEnd, shortened
from transfermon.engine.session_core import Recorded
from transfermon.engine.shared import Engine
from transfermon.engine.upload_requests import Exchanges, Heard
from transfermon.http import retry
from transfermon.http.upload_protocols import failures, places, receipts
from transfermon.http.upload_protocols.base import ResumableProtocol
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.errors import Retry, TransferError, TransferFailure
from transfermon.model.events import UploadProgressEvent
from transfermon.model.task import (
    UNKNOWN,
    Activity,
    Kind,
    Origin,
    Progress,
    Response,
    State,
    UploadResource,
    changed,
)
from transfermon.wire.body_source import Source
from transfermon.wire.cancellation import until_done
from transfermon.wire.rate_limit import Limiter

_CUT = frozenset({408, 502, 504})  # of a proxy that gave up waiting: as good as no answer

Pieces = Callable[[], AsyncIterator[bytes]]  # makes a body, again each time it must be sent


class UploadAttempt(Attempt):
    """Made for one attempt. `stream` makes the body of a task that has no file."""

    def __init__(
        self,
        engine: Engine,
        configuration: SessionConfiguration,
        *,
        one: Recorded,
        record: Record,
        progress: Progress,
        limiters: list[Limiter],
        stream: Pieces | bytes | None,
    ) -> None:
        super().__init__(engine, configuration, one=one, record=record, progress=progress)
        self.lines = Exchanges(self, limiters, counts=not callable(stream))
        self.stream = stream
        self.file: Source | None = None
        self.begun = False  # a first byte of the body went out in this attempt
        self.given = 0  # most bytes that went out before the request that runs; -1: not known
        self.text: str | None = None  # of the server's last answer
        self.text_is_whole = True
        self.answered = False  # and the answer is the task's success

    async def open(self) -> None:
        """Begin where the last attempt ended. Raises TransferFailure for a file that cannot be
        sent.
        """
        task = self.task
        sent = task.upload.offset if task.upload is not None else 0
        self.given = task.upload.given if task.upload is not None else 0
        self.progress.received = self.progress.told = sent
        self.tell(
            Activity.CONNECTING,
            attempt=task.attempt + 1,
            started=task.started or self.engine.now(),
            sent=sent,
        )
        if task.source:
            self.file = await until_done(
                asyncio.to_thread(Source.open, task.source, task.source_identity)
            )

    def close(self) -> None:
        """Write down what went out; of a success the end does it."""
        if self.file is not None:
            self.file.close()
        task, sent = self.task, self.progress.received
        changes = self.metrics()
        if task.upload is not None:
            changes["upload"] = changed(task.upload, given=self.handed)
        task = changed(task, sent=sent, exposed=task.exposed and self.lines.gave, **changes)
        self.record(task, None, store=not self.answered)

    @property
    def size(self) -> int:
        return self.file.size if self.file is not None else 0

    @property
    def handed(self) -> int:
        """Most bytes that ever went out; -1: not known."""
        return UNKNOWN if self.given == UNKNOWN else max(self.given, self.progress.received)

    def began(self, offset: int) -> None:
        """Bytes go out from here; a fall of the counters is a new attempt (U-06)."""
        task = self.task
        again = self.begun and offset < self.progress.received
        if self.given != UNKNOWN:
            self.given = max(self.given, self.progress.received)
        self.progress.received = self.progress.told = offset
        if again or task.activity is not Activity.TRANSFERRING:
            self.tell(Activity.TRANSFERRING, attempt=task.attempt + again, sent=offset)

    def hear_announcement(
        self,
        take: Callable[[UploadResource], None],
        protocol: ResumableProtocol,
        version: str,
        interim: Response,
        confines: bool,
    ) -> None:
        """An interim answer: where the upload can go on, should this request not come to its
        end.
        """
        task = self.task
        found = protocol.announced(interim, self.size, self.engine.now(), version=version)
        if found is not None and not (found.elsewhere and task.origin is not Origin.TYPED):
            take(changed(found, confined=confines))

    def check_place(self, found: UploadResource | TransferError | None) -> UploadResource | None:
        """What an answer named, where the task may go there; else raises TransferFailure (U-25)."""
        if isinstance(found, TransferError):
            raise TransferFailure(found)
        if found is not None and found.elsewhere and self.task.origin is not Origin.TYPED:
            raise TransferFailure(
                failures.refused_elsewhere(found.url, places.server_name(found.url))
            )
        return found

    def fail(self, heard: Heard, error: TransferError | None) -> NoReturn:
        """U-21: a refusal ends it, trouble in the server leads to another attempt, which asks for
        the offset.
        """
        self.text, response = heard.text, heard.response
        found = error or retry.judge_status(
            response, "status", now=self.engine.now(), url=response.url
        )
        assert found is not None
        task = changed(self.task, response=changed(shortened(response), url=self.task.url))
        if task.upload is not None and failures.is_spent(found):
            task = changed(task, upload=None)
        elif task.upload is not None and response.status not in _CUT:
            task = changed(task, upload=changed(task.upload, tried=0))
        self.record(task, None)
        raise TransferFailure(self._with_words(found, heard))

    def take(self, heard: Heard, *, unconfirmed: str = "") -> None:
        """The answer is the result, whatever it says. A success is stored with the task's end, in
        one change: a kill finds both or neither. No await from here to the attempt's end: a command
        comes before it and ends the attempt, or too late (T-08). Raises TransferFailure for a
        refusal; what must not be sent twice stays marked until the run has decided.
        """
        task = self.task
        sent = self.progress.received
        self.text, self.text_is_whole = heard.text, heard.whole
        error = retry.judge_status(
            heard.response,
            self.configuration.http_error_policy,
            now=self.engine.now(),
            url=task.url,
        )
        if error is not None and task.upload is not None:
            # the upload is complete, whatever came of it (U-20)
            error = changed(error, retry=Retry.FINAL)
        response = shortened(heard.response)
        stored_as = ""
        if task.upload is not None:
            response = changed(response, url=task.url)
        elif error is None and task.kind is Kind.UPLOAD:
            stored_as = receipts.stored_as(heard.response, heard.response.url)
        task = changed(
            self.task,
            response=response,
            current_url=response.url,
            received=len(heard.body),
            sent=sent,
            unconfirmed=unconfirmed,
            stored_as=stored_as,
            expected_to_send=sent if task.expected_to_send == UNKNOWN else task.expected_to_send,
        )
        if error is not None:
            self.record(task, None)
            raise TransferFailure(
                self._with_words(error, heard) if task.kind is Kind.UPLOAD else error
            )
        task = changed(task, activity=Activity.FINALIZING, exposed=False)
        self.record(task, None, store=False)
        self.answered = True

    def untold_end(self) -> UntoldEnd:
        """The last progress of an upload that was answered; no more after a cancel (O-04)."""
        task = self.task
        if task.kind is not Kind.UPLOAD or task.state is State.CANCELING:
            return UntoldEnd()
        told, self.progress.told = self.progress.told, task.sent
        last = UploadProgressEvent(
            task=task,
            bytes_sent=max(0, task.sent - told),
            total_bytes_sent=task.sent,
            total_bytes_expected_to_send=task.expected_to_send,
            attempt=task.attempt,
        )
        return UntoldEnd(events=(last,))

    def _with_words(self, error: TransferError, heard: Heard) -> TransferError:
        if heard.response.status < 400:
            return error
        return changed(error, said=receipts.said(heard.text, heard.response.header("Content-Type")))
