"""One attempt of an upload or of a data task: from its slot to the server's answer, or to the
reason why not.

Rule: here the way is taken; what goes on it is in `upload_resumable` and `upload_whole`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from transfermon.engine.attempt import Record, Result
from transfermon.engine.session_core import Recorded
from transfermon.engine.shared import Engine
from transfermon.engine.upload_attempt import Pieces, UploadAttempt
from transfermon.engine.upload_choice import ProtocolChoice
from transfermon.engine.upload_resumable import ResumableUpload
from transfermon.engine.upload_whole import WholeUpload
from transfermon.http import retry
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.errors import TransferError, TransferFailure, redacted
from transfermon.model.task import Progress, changed
from transfermon.model.upload_protocol import PLAIN
from transfermon.wire.cancellation import until_done
from transfermon.wire.rate_limit import Limiter


class Upload:
    """Made for one attempt, used once. `stream` makes the body of a task that has no file."""

    def __init__(
        self,
        engine: Engine,
        configuration: SessionConfiguration,
        *,
        one: Recorded,
        record: Record,
        accepted: Awaitable[None],
        progress: Progress,
        limiters: list[Limiter],
        stream: Pieces | bytes | None = None,
    ) -> None:
        self._engine = engine
        self._accepted = accepted
        self._attempt = UploadAttempt(
            engine,
            configuration,
            one=one,
            record=record,
            progress=progress,
            limiters=limiters,
            stream=stream,
        )
        self._inner: asyncio.Task[None] | None = None
        self._stopping = False
        # as `Download` has it: an upload that starts over is no reason to give up
        self.restarted = False

    def __repr__(self) -> str:
        return f"<Upload {self._attempt.task.key} at {self._attempt.progress.received}>"

    def stop(self) -> None:
        self._stopping = True
        if self._inner is not None:
            self._inner.cancel()

    async def run(self) -> Result:
        """One attempt. Raises nothing of the outside world: failures are in the result."""
        self._inner = asyncio.ensure_future(self._go())
        if self._stopping:
            self._inner.cancel()
        try:
            await self._inner
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            return Result(stopped=True)
        except TransferFailure as failure:
            return Result(
                error=self._as_it_is(failure.error),
                text=self._attempt.text,
                text_is_whole=self._attempt.text_is_whole,
            )
        finally:
            self._attempt.close()
        return Result(
            text=self._attempt.text,
            text_is_whole=self._attempt.text_is_whole,
            untold=self._attempt.untold_end(),
        )

    def _as_it_is(self, error: TransferError) -> TransferError:
        task = self._attempt.task
        error = changed(error, url=redacted(task.url))  # never that of an upload resource (U-25)
        if task.upload is not None or retry.repeatable(task.method, task.header_names):
            return error
        return retry.once_only(error, sent=self._attempt.lines.gave)

    async def _go(self) -> None:
        await asyncio.shield(self._accepted)  # others wait for it too: a stop must not cancel it
        await until_done(self._engine.vault.saved())
        attempt = self._attempt
        await attempt.open()
        choice, resumable = ProtocolChoice(attempt), ResumableUpload(attempt)
        if await choice.protocol() == PLAIN or not await resumable.send():
            await WholeUpload(attempt, choice, resumable).send()
