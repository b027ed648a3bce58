"""The body of an answer on its way into a part: a new one from byte 0, or the rest of the one at
hand.

Rule: before the first byte of a new version is written, its part's name and its validators are
durable; what arrives is synced from checkpoint to checkpoint.
"""

from __future__ import annotations

import asyncio
import os

from transfermon.engine.attempt import Attempt
from transfermon.engine.download_checks import Checks, hashes_for
from transfermon.engine.download_inquiry import Inquiry
from transfermon.engine.download_parts import DownloadParts
from transfermon.engine.download_room import has_room
from transfermon.engine.download_segments import Contradicted, Segments
from transfermon.engine.download_sources import Sources
from transfermon.http import digests, evidence, naming, resume, segments
from transfermon.http.digests import Hashes
from transfermon.http.evidence import Judgement, ResumeVerdict
from transfermon.http.labels import CodingVerdict as Label
from transfermon.model.configuration import CHECKPOINT_SECONDS
from transfermon.model.errors import Code, Retry, TransferFailure
from transfermon.model.events import DownloadResumedEvent, TaskEvent, activity_event
from transfermon.model.ranges import prefix
from transfermon.model.task import UNKNOWN, Activity, Progress, Response, Validators, changed
from transfermon.storage import disk_failures, disk_space, linux_calls
from transfermon.storage.memory_file import memory_file
from transfermon.wire.answer import Answer
from transfermon.wire.rate_limit import Limiter


class ArrivingBody:
    """Takes the bodies of one attempt, one at a time."""

    def __init__(
        self,
        attempt: Attempt,
        parts: DownloadParts,
        inquiry: Inquiry,
        checks: Checks,
        sources: Sources,
        limiters: list[Limiter],
    ) -> None:
        self._attempt = attempt
        self._parts = parts
        self._inquiry = inquiry
        self._sources = sources
        self._checks = checks
        self._limiters = limiters
        self._segments = Segments(attempt, parts, sources, limiters)

    def __repr__(self) -> str:
        return f"<ArrivingBody of {self._attempt.task.key} at {self._attempt.progress.received}>"

    # ---- the whole file

    async def receive_whole(self, answer: Answer, judgement: Judgement) -> bool:
        """The body is the file from byte 0: into a part of its own, unless it is no version of the
        file at all.

        True when the file is whole.
        """
        task, response = self._attempt.task, answer.response
        folder = task.folder or self._parts.temporary_folder
        label = await answer.judged(naming.suggested(response, response.url))
        total = UNKNOWN if answer.content_coding else judgement.total
        stored = self._parts.stored
        keeps = stored > 0 and not resume.why_not_resumable(
            task.validators, task.method, self._attempt.configuration.resume_policy
        )
        if keeps and not await has_room(self._parts, folder, total):
            # Both do not fit. A validator that proves the new version lets the old one go; else
            # only comparing tells.
            proven = evidence.is_proven(task.validators, response)
            if not proven and self._parts.stored <= total:
                compare = self._parts.stored
                same = Judgement(
                    verdict=ResumeVerdict.COMPARE,
                    start=0,
                    length=total,
                    compare=compare,
                    total=total,
                )
                return await self.receive_more(answer, same)
            if not proven or not await has_room(self._parts, folder, total - self._parts.stored):
                raise TransferFailure(disk_failures.larger_than_the_space(folder, task.url))
            keeps = False
        first = await self._first_bytes(answer, decode=bool(label.undo))
        return await self._receive_new(answer, judgement, label, first, keeps=keeps)

    async def _first_bytes(self, answer: Answer, *, decode: bool) -> bytes:
        """The first bytes of a body that takes the place of what is known of the file; b"" where
        nothing is known, or they are still to be received. Raises TransferFailure for a note.
        """
        task, response = self._attempt.task, answer.response
        if task.validators is None:
            return b""
        part, stored = self._parts.part, self._parts.stored
        head = (
            await self._parts.on_disk(part.read, 0, evidence.ENOUGH)
            if part is not None and stored
            else b""
        )
        length = answer.content_length if answer.content_length is not None else UNKNOWN
        if decode or length == UNKNOWN:
            ahead, taken = await answer.peek(evidence.SHORT), b""
            length = len(ahead) if length == UNKNOWN and len(ahead) < evidence.SHORT else length
        else:
            taken = ahead = await _taken(answer, min(length, evidence.ENOUGH))
        shown = b"" if decode else ahead
        if evidence.is_note(
            task.validators, head, self._parts.stored, response, shown, length, task.name
        ):
            home = task.validators.host in ("", resume.host_of(response.url))
            elsewhere = bool(answer.redirects) and (not home or response.url != task.current_url)
            raise TransferFailure(evidence.note(task.url, response, elsewhere=elsewhere))
        return taken

    async def _receive_new(
        self, answer: Answer, judgement: Judgement, label: Label, first: bytes, *, keeps: bool
    ) -> bool:
        task, response, configuration = (
            self._attempt.task,
            answer.response,
            self._attempt.configuration,
        )
        decode = bool(label.undo)
        total = (
            UNKNOWN
            if decode
            else resume.content_length(response)
            if answer.content_coding
            else judgement.total
        )
        if (most := configuration.maximum_bytes) and max(total, len(first)) > most:
            raise answer.too_big(most)  # before any space is reserved
        validators = resume.validators_of(response, decoded=decode, now=self._attempt.engine.now())
        name = task.name or naming.suggested(response, response.url)
        folder = task.folder or self._parts.temporary_folder
        wasted = self._parts.kept
        older = await self._parts.put_aside(keeps=keeps)
        name = await self._parts.begin(folder, total, name)
        part = self._parts.at_hand
        task = self._attempt.task  # it may have changed meanwhile
        # what an earlier answer of this attempt brought was told, and is no more (O-04)
        again = bool(wasted) and self._attempt.announced
        number = self._attempt.progress.attempt = task.attempt + again
        self._attempt.progress.expected = total
        new = changed(
            task,
            attempt=number,
            activity=Activity.TRANSFERRING,
            name=name,
            response=response,
            **self._attempt.place_of(answer),
            validators=validators,
            expected=total,
            received=0,
            ranges=(),
            part_path=part.path,
            part_inode=part.inode,
            older_part=older,
            evidence=self._inquiry.began_anew(response),
            boot_id=linux_calls.boot_id(),
            mount_id=self._parts.mount_id,
            not_resumable=resume.why_not_resumable(
                validators, task.method, configuration.resume_policy
            ),
            remark=label.remark,
            making_since=None,
            wasted=task.wasted + wasted,
            restarts=task.restarts + (1 if wasted else 0),
        )
        if again or ((wasted or judgement.reason) and not self._attempt.announced):
            event: TaskEvent = DownloadResumedEvent(
                file_offset=0, expected_total_bytes=total, reason=judgement.reason
            )
        else:
            event = activity_event(new)
        self._attempt.announced = True
        await self._attempt.record(new, event)
        parts = self._parts
        content = () if decode else digests.parse(response.header("Content-Digest"))
        hashes = hashes_for(*(self._checks.wanted() or validators.sums), *content)
        if first:
            await parts.on_disk(part.write, 0, first)
            parts.stored = len(first)
            if hashes is not None:
                hashes.update(memoryview(first))
        written = len(first)
        if not decode and self._segments.may_share(answer, written):
            written += await self.receive_shared(answer, hashes)
            self._begin_where_ranges_are_left()
        else:
            written += await self._receive(answer, written, decode=label.undo, hashes=hashes)
        self._checks.hashes = hashes
        if not await self._checks.body_is_right(hashes, content):
            return False
        return total == UNKNOWN or written == total

    # ---- the rest

    async def receive_rest(
        self, answer: Answer, hashes: Hashes | None, content: tuple[str, ...]
    ) -> bool:
        """A body that has begun goes on in the part at hand. True when the file is whole."""
        await self._receive(answer, self._parts.stored, decode="", hashes=hashes)
        self._checks.hashes = hashes
        if not await self._checks.body_is_right(hashes, content):
            return False
        return self._parts.stored == self._attempt.progress.expected

    async def receive_more(self, answer: Answer, judgement: Judgement) -> bool:
        """The body goes on with the part at hand, once what it has in common with it is equal. True
        when the file is whole.
        """
        task, parts, questions = self._attempt.task, self._parts, self._inquiry.questions
        assert task.validators is not None
        # a mirror may have begun it, or a redirect lead elsewhere now: each under its own tag
        looked_at = task.options.mirrors or judgement.compare
        now = self._validators_now(answer.response) if looked_at else None
        shared = self._segments.may_share(answer, parts.stored, now)
        dropped = 0 if shared else await parts.gather()
        content = digests.parse(answer.response.header("Content-Digest"))
        hashes = hashes_for(*content)
        start, compare = judgement.start, judgement.compare
        if compare and not await self._inquiry.bytes_agree(answer, start, compare, hashes):
            self._inquiry.ask_plainly(evidence.CHANGED)
            return False
        known, reached = questions.agreed(task.evidence), start + compare
        if reached < parts.stored:
            known = changed(known, compared=reached)
        whole = digests.parse(answer.response.header("Repr-Digest"))
        new = changed(
            self._attempt.task,
            validators=changed(
                self._validators_now(answer.response),
                digests=whole or task.validators.digests,
                sums=digests.sums(206, answer.response.header) or task.validators.sums,
            ),
            activity=Activity.TRANSFERRING,
            response=answer.response,
            current_url=answer.response.url,
            strayed=answer.strayed,
            expected=judgement.total,
            evidence=known,
            boot_id=linux_calls.boot_id(),
            mount_id=parts.mount_id,
            **parts.as_recorded(),
        )
        self._attempt.progress.expected = judgement.total
        if self._attempt.announced or reached < parts.stored:
            self._attempt.record(new, activity_event(new))
        else:
            self._attempt.announced = True
            policy = self._attempt.configuration.resume_policy
            usable = task.validators.etag or resume.settled(task.validators, policy)
            reason = "" if usable else resume.weakness(task.validators, policy)
            if dropped:
                reason = segments.ONE_BY_ONE
            self._attempt.record(
                new,
                DownloadResumedEvent(
                    file_offset=parts.kept, expected_total_bytes=judgement.total, reason=reason
                ),
            )
        # the server sends little at a time: what is left is compared with the next answer
        if reached < parts.stored:
            return False
        left = None if judgement.length is None else judgement.length - judgement.compare
        before = parts.stored, parts.kept
        if shared:
            await self.receive_shared(answer, hashes)
        elif left:
            await self._receive(answer, parts.stored, decode="", hashes=hashes, length=left)
        if not await self._checks.body_is_right(hashes, content):
            return False
        nothing = (parts.stored, parts.kept) == before and (shared or not judgement.compare)
        if nothing and parts.stored != judgement.total:
            raise TransferFailure(
                evidence.failure_of(
                    changed(
                        judgement,
                        reason="The server sent nothing of what was asked for.",
                        retry=Retry.RETRY,
                    ),
                    task.url,
                    answer.response.status,
                )
            )
        if shared:  # what is there may be of several connections: it is compared again
            self._begin_where_ranges_are_left()
        else:
            questions.ended_well()
        # A part of an unknown whole is not the end: only a total or a 416 says so.
        return parts.stored == judgement.total

    def _validators_now(self, response: Response) -> Validators:
        """Those of the stored bytes; another host that was compared has its own from now on."""
        known = self._attempt.task.validators
        assert known is not None
        now = resume.validators_of(response, decoded=False, now=self._attempt.engine.now())
        if known.host == now.host:
            return known
        if not known.host:
            return changed(known, host=now.host)
        return changed(
            known, host=now.host, etag=now.etag, last_modified=now.last_modified, date=now.date
        )

    # ---- bytes

    async def receive_shared(self, answer: Answer | None, hashes: Hashes | None) -> int:
        """As `_receive`, together with other connections, or by those of mirrors alone; how much
        longer what is stored from the first byte on has become. Raises Contradicted.
        """
        parts, before = self._parts, self._parts.stored
        self._checks.hashes = None
        again = 0 if parts.ranges is None else parts.ranges.told_before
        self._attempt.progress.received = parts.kept + again
        checkpoints = asyncio.ensure_future(self._checkpoints(asyncio.current_task()))
        try:
            source = None if answer is None else self._sources.answering
            await self._segments.receive(answer, source, hashes)
        finally:
            if parts.ranges is not None:
                parts.stored = prefix(parts.ranges.snapshot())
            checkpoints.cancel()
            await parts.settle()
        if parts.ranges is not None and parts.ranges.whole:
            await parts.gather()
        return parts.stored - before

    def _begin_where_ranges_are_left(self) -> None:
        if self._parts.ranges is not None:  # no connection is left, and none has failed
            self._begin_attempt()

    def _begin_attempt(self) -> None:
        progress = self._attempt.progress
        progress.received = progress.told = self._parts.kept
        if self._parts.ranges is not None:
            self._parts.ranges.told_before = 0
        self._attempt.begin_next()

    async def start_over(self, found: Contradicted) -> None:
        """What several connections have brought is not one file: one alone goes on. Where only a tag
        or a date was another one, with what is stored: it may have been another server of that
        name, and where it was not, the next answer says so. Else from the beginning.
        """
        attempt, task = self._attempt, self._attempt.task
        attempt.learn(changed(task.evidence, one_connection=True))
        self._begin_attempt()
        self._inquiry.begin_again()
        if not found.mixed:
            return
        attempt.announced = True
        changes = self._parts.without_part()
        await self._parts.discard_unwanted()
        restarts = attempt.task.restarts + 1
        event = DownloadResumedEvent(file_offset=0, expected_total_bytes=UNKNOWN, reason=str(found))
        await attempt.record(changed(attempt.task, restarts=restarts, **changes), event)

    async def _receive(
        self,
        answer: Answer,
        offset: int,
        *,
        decode: str,
        hashes: Hashes | None,
        length: int | None = None,
    ) -> int:
        part, progress = self._parts.at_hand, self._attempt.progress
        self._checks.hashes = None
        progress.received = offset
        most = self._attempt.configuration.maximum_bytes
        limit = max(0, most - offset) if most else None
        room = None
        if progress.expected == UNKNOWN:  # it may never end
            room = await self._parts.on_disk(disk_space.usable_space, part.folder)
        self._parts.guarded = room is not None
        checkpoints = asyncio.ensure_future(self._checkpoints(asyncio.current_task()))
        try:
            written = await answer.receive(
                part.fd,
                offset,
                progress,
                limiters=self._limiters,
                decode=decode,
                hasher=hashes,
                length=length if answer.content_length is None else None,
                limit=min((bound for bound in (limit, room) if bound is not None), default=None),
            )
        except TransferFailure as failure:
            if failure.code == Code.DATA_TOO_LARGE:
                if limit is None or (room is not None and room < limit):
                    raise TransferFailure(
                        disk_failures.nearly_full(self._attempt.task.url)
                    ) from failure
                # with the limit of the whole file in its words
                raise answer.too_big(most) from failure
            raise
        finally:
            self._parts.stored = progress.received
            self._parts.guarded = False
            checkpoints.cancel()
            await self._parts.settle()
        return written

    async def _checkpoints(self, receiving: asyncio.Task[None] | None) -> None:
        """Until cancelled. One that fails ends what receives: `DownloadParts.error` says why."""
        while True:
            await asyncio.sleep(CHECKPOINT_SECONDS)
            try:
                await self._parts.checkpoint()
            except TransferFailure:
                assert receiving is not None
                receiving.cancel()
                return


async def _taken(answer: Answer, count: int) -> bytes:
    """The next bytes of a body, in memory."""
    with memory_file() as fd:
        await answer.receive(fd, 0, Progress(), length=count)
        return os.pread(fd, count, 0)
