"""Mirrors in the place of the first address, where that one has failed.

Rule: where something is stored, mirrors go on with it by the same comparisons as ever; where
nothing is, one of them brings all of it by a plain request. The failure of the first address stays
where no mirror can help, but for one of a mirror that gives more hope.
"""

from __future__ import annotations

from transfermon.engine.attempt import Attempt
from transfermon.engine.download_body import ArrivingBody
from transfermon.engine.download_parts import DownloadParts
from transfermon.engine.download_sources import FileSource, Sources
from transfermon.engine.small_download import SmallDownload
from transfermon.http import evidence, mirrors, resume
from transfermon.model.errors import TransferFailure
from transfermon.model.events import DownloadResumedEvent, TaskEvent, activity_event
from transfermon.model.task import UNKNOWN, Activity, changed
from transfermon.storage import linux_calls


class MirrorTakeover:
    """Of one attempt."""

    def __init__(
        self,
        attempt: Attempt,
        parts: DownloadParts,
        sources: Sources,
        body: ArrivingBody,
        small: SmallDownload,
    ) -> None:
        self._attempt = attempt
        self._parts = parts
        self._sources = sources
        self._body = body
        self._small = small

    def __repr__(self) -> str:
        return f"<MirrorTakeover of {self._attempt.task.key}>"

    async def brings_the_rest(self, failure: TransferFailure) -> bool:
        """Whether mirrors had what the file lacked after that failure of the first address. Raises
        Contradicted, and TransferFailure where that of a mirror gives more hope, or it is the
        disk's.
        """
        if not mirrors.may_replace(failure.error) or not self._sources.mirrors():
            return False
        try:
            if self._may_go_on():
                return await self._go_on()
            # what is stored would be thrown away
            return self._parts.kept < resume.LEAST and await self._begin()
        except TransferFailure as other:
            if not mirrors.may_replace(other.error) or (other.retryable and not failure.retryable):
                raise
            return False

    # ---- where something is stored

    def _may_go_on(self) -> bool:
        task, most = self._attempt.task, self._attempt.configuration.maximum_bytes
        known, stored = task.validators, self._parts.stored
        return (
            self._parts.part is not None
            and known is not None
            and resume.LEAST <= stored <= known.total != UNKNOWN
            and not known.label
            and not known.content_encoding
            and task.method == "GET"
            and not 0 < most < known.total
        )

    async def _go_on(self) -> bool:
        attempt, parts, task = self._attempt, self._parts, self._attempt.task
        assert task.validators is not None
        total = task.validators.total
        new = changed(
            task,
            activity=Activity.TRANSFERRING,
            expected=total,
            boot_id=linux_calls.boot_id(),
            mount_id=parts.mount_id,
            **parts.as_recorded(),
        )
        attempt.progress.expected = total
        event: TaskEvent = activity_event(new)
        if not attempt.announced:
            attempt.announced = True
            event = DownloadResumedEvent(
                file_offset=parts.kept, expected_total_bytes=total, reason=mirrors.GOES_ON
            )
        attempt.record(new, event)
        await self._body.receive_shared(None, None)
        if head := self._sources.head_of_mirror:  # in the place of the first address's refusal
            attempt.record(changed(attempt.task, response=head), None)
        return parts.stored == total

    # ---- where nothing is

    async def _begin(self) -> bool:
        slots, key = self._attempt.engine.slots, self._attempt.task.key
        limit = self._attempt.configuration.connections_to_a_host
        for mirror in self._sources.mirrors():
            loan = slots.lend(key, limit=limit, wanted_back=_not_now, origin=mirror.origin)
            if loan is None:
                continue
            try:
                if (whole := await self._begin_at(mirror)) is not None:
                    return whole
            finally:
                slots.give_back(loan)
        return False

    async def _begin_at(self, mirror: FileSource) -> bool | None:
        """True when the file is whole; None where it gives none. Raises TransferFailure where it
        breaks in the middle.
        """
        asked = resume.Ask(start=0)
        try:
            answer = await mirror.ask(self._attempt, asked.headers)
        except TransferFailure as failure:
            if not mirrors.may_replace(failure.error):
                raise
            self._sources.drop(mirror, failure.title)
            return None
        try:
            policy = self._attempt.configuration.resume_policy
            judgement = evidence.judge(asked, 0, None, answer.response, policy)
            if reason := mirrors.why_not_begun(answer.response, judgement):
                self._sources.drop(mirror, reason)
                return None
            with self._sources.led_by(mirror):
                if self._small.fits(answer, judgement):
                    return await self._small.receive(answer, judgement)
                return await self._body.receive_whole(answer, judgement)
        finally:
            await answer.aclose()


def _not_now() -> bool:
    """Whether the slot goes to others that wait: it is all that the transfer has there."""
    return False
