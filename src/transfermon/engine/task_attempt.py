"""One attempt of a task, from the slot that it was granted until it has given it back.

Rule: how the bytes move is the affair of `Download` and `Upload`; what the outcome means for the
task is its run's.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from transfermon.engine import task_ends
from transfermon.engine.attempt import UntoldEnd
from transfermon.engine.new_task import Pieces
from transfermon.engine.prepared_task import default_folder_of
from transfermon.engine.session_core import Recorded, SessionCore
from transfermon.model.errors import TransferError
from transfermon.model.task import Kind, Progress, State

if TYPE_CHECKING:
    from transfermon.engine.download import Download
    from transfermon.engine.upload import Upload

log = logging.getLogger(__name__)


class TaskAttempt:
    """Made for one attempt, used once."""

    def __init__(
        self,
        core: SessionCore,
        one: Recorded,
        *,
        accepted: asyncio.Future[None],
        body: Pieces | bytes | None,
        may_restart: bool,
    ) -> None:
        self._core = core
        self._engine = core.engine
        self._one = one
        self._key = one.key
        self._accepted = accepted
        self._body = body
        self._may_restart = may_restart
        self._transfer: Any = None  # the Download or Upload, while it is at work
        self.overdue = False  # the time that the task has for everything is over
        # it was started over because of an answer that could not be combined
        self.restarted = False
        self.untold: UntoldEnd | None = None  # that its success is to record and tell

    def __repr__(self) -> str:
        return f"<TaskAttempt of {self._key}>"

    @property
    def moving(self) -> bool:
        return self._transfer is not None

    @property
    def disk_silence(self) -> float:
        """Seconds since the disk of a download was asked for something that it has not done; 0.0
        where it has.
        """
        return (
            self._transfer.disk_silence
            if self._one.record.kind is Kind.DOWNLOAD and self.moving
            else 0.0
        )

    def stop(self) -> None:
        """Let go as soon as what arrived is stored; a no-op while nothing moves."""
        if self._transfer is not None:
            self._transfer.stop()

    def time_out(self) -> None:
        self.overdue = True
        self.stop()

    async def run(self, progress: Progress) -> tuple[TransferError | None, bool]:
        """The failure, and whether it was stopped before its end."""
        engine = self._engine
        try:
            if engine.transport is None:
                await engine.lines()
            of_kind = self._download if self._one.record.kind is Kind.DOWNLOAD else self._upload
            transfer = self._transfer = of_kind(progress)
            if self._one.record.state is not State.RUNNING or engine.closing or self.overdue:
                transfer.stop()
            result = await transfer.run()
            self.restarted = transfer.restarted
            self.untold = result.untold
            if result.text is not None:
                engine.answers.put(self._key, result.text, whole=result.text_is_whole)
            return result.error, result.stopped
        except Exception:
            log.exception("%s ended by a mistake of ours", self._key)
            return task_ends.OUR_MISTAKE, False
        finally:
            self._transfer = None
            engine.progress.pop(self._key, None)
            engine.slots.release(self._key)

    async def was_finished(self) -> bool:
        """Whether a download that an engine before this one has left had given its file the name.
        Raises TransferFailure.
        """
        await self._engine.lines()
        return await self._download(Progress(received=self._one.record.received)).was_finished()

    def _download(self, progress: Progress) -> Download:
        # it brings TLS and h11: loaded with the first transfer
        from transfermon.engine.download import Download

        own = self._core.configuration
        return Download(
            self._engine,
            own,
            one=self._one,
            record=self._record,
            accepted=self._accepted,
            progress=progress,
            limiters=self._engine.limiters_for(self._one.record, own.speed_limit),
            default_folder=partial(default_folder_of, own, self._engine.settings),
            may_restart=self._may_restart,
        )

    def _upload(self, progress: Progress) -> Upload:
        from transfermon.engine.upload import Upload

        own = self._core.configuration
        return Upload(
            self._engine,
            own,
            one=self._one,
            record=self._record,
            accepted=self._accepted,
            progress=progress,
            limiters=self._engine.limiters_for(self._one.record, own.speed_limit),
            stream=self._body,
        )

    def _record(self, *change: Any, **how: Any) -> asyncio.Future[None]:
        return self._core.record_task(self._one, *change, **how)
