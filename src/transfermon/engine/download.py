"""One attempt of a download: from its slot to the file under its final name, or to the reason why
not.

Rule: data, then directory, then journal, then tell. Its parts are objects of their own: what is
asked (`Inquiry`), what arrives (`ArrivingBody`, `SmallDownload`), where it is kept (`DownloadParts`), whether it is
right (`Checks`) and its name (`Finish`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from transfermon.engine.attempt import Attempt, Record, Result
from transfermon.engine.download_body import ArrivingBody
from transfermon.engine.download_checks import Checks
from transfermon.engine.download_finish import Finish
from transfermon.engine.download_inquiry import Inquiry
from transfermon.engine.download_parts import DownloadParts
from transfermon.engine.download_room import require_room
from transfermon.engine.download_segments import Contradicted
from transfermon.engine.download_sources import Sources
from transfermon.engine.mirror_takeover import MirrorTakeover
from transfermon.engine.session_core import Recorded
from transfermon.engine.shared import Engine
from transfermon.engine.small_download import SmallDownload
from transfermon.http import resume
from transfermon.http.evidence import ResumeVerdict
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.errors import Retry, TransferError, TransferFailure
from transfermon.model.task import Activity, Progress, Response, changed
from transfermon.storage import disk_space, file_system
from transfermon.wire.answer import Answer
from transfermon.wire.cancellation import until_done
from transfermon.wire.rate_limit import Limiter


class Download:
    """Made for one attempt, used once."""

    def __init__(
        self,
        engine: Engine,
        configuration: SessionConfiguration,
        *,
        one: Recorded,
        record: Record,
        accepted: asyncio.Future[None],
        progress: Progress,
        limiters: list[Limiter],
        default_folder: Callable[[], str],
        may_restart: bool = True,
    ) -> None:
        self._attempt = Attempt(engine, configuration, one=one, record=record, progress=progress)
        self._accepted = accepted
        self._parts = DownloadParts(self._attempt, default_folder)
        self._inquiry = Inquiry(self._attempt, self._parts)
        self._checks = Checks(self._attempt, self._parts, may_restart=may_restart)
        self._sources = Sources(self._attempt, self._parts)
        self._body = ArrivingBody(
            self._attempt, self._parts, self._inquiry, self._checks, self._sources, limiters
        )
        self._small = SmallDownload(
            self._attempt, self._parts, self._inquiry, self._checks, self._body, limiters
        )
        self._takeover = MirrorTakeover(
            self._attempt, self._parts, self._sources, self._body, self._small
        )
        self._finish = Finish(self._attempt, self._parts, self._small)
        self._exchanged = False  # the parts, in this attempt
        self._runner: asyncio.Task[Any] | None = None  # that a stop cancels, while it may
        self._stopping = False

    def __repr__(self) -> str:
        return f"<Download {self._attempt.task.key} at {self._attempt.progress.received}>"

    @property
    def restarted(self) -> bool:
        """Whether a body did not fit its digest and was thrown away: that happens once in a task's
        life.
        """
        return self._checks.restarted

    @property
    def disk_silence(self) -> float:
        """Seconds for which the disk that the file goes to has not answered."""
        return self._parts.silence

    def stop(self) -> None:
        """Let go as soon as the bytes that arrived are stored; a no-op once the final name is being
        given.
        """
        self._stopping = True
        if self._runner is not None and not self._finish.sealed:
            self._runner.cancel()

    async def run(self) -> Result:
        """One attempt. Raises nothing of the outside world: failures are in the result."""
        if self._stopping:
            return Result(stopped=True)
        runner = self._runner = asyncio.current_task()
        assert runner is not None
        try:
            try:
                await self._run()
            finally:
                self._runner = None  # a stop that comes from here on has nothing to end
        except asyncio.CancelledError:
            if self._parts.error is None and not self._stopping:
                raise
            while runner.cancelling():  # it was the attempt that was meant
                runner.uncancel()
            if self._parts.error is not None:
                return await self._failed(self._parts.error)
            return Result(stopped=True)
        except TransferFailure as failure:
            return await self._failed(self._parts.error or failure.error)
        finally:
            await self._let_go()
        return Result(untold=self._finish.untold)

    async def was_finished(self) -> bool:
        """As `Finish.was_finished`, where no attempt runs."""
        return await self._finish.was_finished()

    async def _run(self) -> None:
        if not self._accepted.done():
            # others wait for it too: a stop must not cancel it
            await asyncio.shield(self._accepted)
        vault = self._attempt.engine.vault
        if not vault.is_saved:
            await until_done(vault.saved())
        task = self._attempt.task
        was_finalizing = task.activity is Activity.FINALIZING
        if await self._finish.was_finished():
            return
        started = task.started or self._attempt.engine.now()
        self._attempt.note(
            Activity.CONNECTING, attempt=task.attempt + 1, started=started, final_path=""
        )
        await self._parts.open()
        if not await self._is_all_there(was_finalizing):
            await require_room(self._attempt, self._parts)
            await self._fetch()
        await self._finish.give_name()

    async def _is_all_there(self, was_finalizing: bool) -> bool:
        """Whether nothing was left to fetch when the engine ended (W12); what was not finalizing is
        checked first.

        To ask the server would not do: one that is asked for what comes behind the end need not say
        where that is (RFC 9110 §15.5.17), and Apache does not.
        """
        if self._parts.part is None or self._parts.stored != self._attempt.task.expected:
            return False
        return was_finalizing or (self._parts.stored > 0 and await self._checks.file_is_right())

    async def _fetch(self) -> None:
        """Ask until the file is whole and right."""
        while True:
            try:
                whole = await self._ask()
            except Contradicted as found:
                await self._body.start_over(found)
                continue
            if whole and await self._is_right():
                return

    async def _ask(self) -> bool:
        """One question, and what its answer brings; where the first address fails, its mirrors are
        asked. True when the file is whole.
        """
        try:
            asked = self._inquiry.next()
            if not await self._inquiry.places_agree(asked):
                return False
            if (answer := await self._inquiry.open(asked)) is None:
                return False
            try:
                return await self._use(asked, answer)
            finally:
                await answer.aclose()
        except TransferFailure as failure:
            if not await self._takeover.brings_the_rest(failure):
                raise
            return True

    async def _is_right(self) -> bool:
        right = False
        try:
            right = await self._checks.file_is_right()
        finally:
            if not right:
                self._small.drop()
        return right

    async def _use(self, asked: resume.Ask, answer: Answer) -> bool:
        """Take what an answer brings. True when the file is whole."""
        judgement = self._inquiry.judge(asked, self._parts.stored, answer)
        if judgement is None:
            return False
        if judgement.verdict is ResumeVerdict.COMPLETE:
            return True
        if judgement.verdict is ResumeVerdict.COMPARE:
            return await self._body.receive_more(answer, judgement)
        # the policy "transport" takes an error page for a file (D-10)
        if judgement.verdict is ResumeVerdict.STATUS:
            judgement = changed(judgement, total=resume.total_of(answer.response))
        elif await self._is_the_older(answer.response):
            return False
        if self._small.fits(answer, judgement):
            return await self._small.receive(answer, judgement)
        return await self._body.receive_whole(answer, judgement)

    async def _is_the_older(self, response: Response) -> bool:
        """Whether the answer is the version of the other part, which then goes on: a name may have
        nodes of two minds.
        """
        task, older = self._attempt.task, self._attempt.task.older_part
        etag = response.header("ETag").strip()
        if (
            older is None
            or self._exchanged
            or not resume.is_strong(etag)
            or etag != older.validators.etag
        ):
            return False
        if (
            task.validators is None
            or task.validators.etag == etag
            or older.validators.host != resume.host_of(response.url)
        ):
            return False
        self._exchanged = True
        if not await self._parts.take_the_older():
            return False
        self._inquiry.begin_again()
        if self._attempt.announced:  # of the other part, which may be longer
            self._attempt.begin_next()
        await self._parts.open()
        return True

    async def _failed(self, error: TransferError) -> Result:
        """What the next attempt could not use goes at once: it would only keep the disk full."""
        task, part = self._attempt.task, self._parts.part
        if part is None:
            return Result(error=_as_seen_here(error))
        if error.reason == "disk.full":
            with contextlib.suppress(TransferFailure):
                usable = await self._parts.on_disk(disk_space.usable_space, part.folder)
                task = changed(self._attempt.task, room=max(1, self._parts.stored + usable))
        if file_system.is_of_no_use(error.reason, resumable=not task.not_resumable):
            task = changed(task, **self._parts.without_part())
        if task is not self._attempt.task:
            self._attempt.record(task, None)
        return Result(error=_as_seen_here(error))

    async def _let_go(self) -> None:
        self._small.let_go()
        await self._parts.discard_unwanted()
        self._attempt.keep_metrics()
        await self._parts.let_go(named=self._finish.sealed)


def _as_seen_here(error: TransferError) -> TransferError:
    """A full disk is tried again, not waited for like the network: nobody tells when space comes
    back.
    """
    return (
        changed(error, retry=Retry.RETRY)
        if error.retry is Retry.WAIT and error.reason == "disk.full"
        else error
    )
