"""One attempt of a download: from its slot to the file under its final name, or to the reason why not.

Rule: data, then directory, then journal, then tell (FAULTS W1). Before the first byte of a new version is written, its
new part name and validators are durable; before the final name appears, so is the wish to give it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from transfermon.engine.attempt import Record, Result, metrics_of, shortened
from transfermon.engine.disk_waits import DiskCalls
from transfermon.engine.shared import Engine
from transfermon.engine.task_calls import call_for_task
from transfermon.http import digests, endings, evidence, filenames, naming, parts, resume, retry
from transfermon.http.addresses import without_query
from transfermon.http.digests import Hashes
from transfermon.http.evidence import Judgement, Verdict
from transfermon.http.labels import Verdict as Label
from transfermon.http.questions import Questions
from transfermon.model.configuration import CHECKPOINT_SECONDS, SessionConfiguration
from transfermon.model.errors import Code, Retry, TransferError, TransferFailure, redacted
from transfermon.model.events import (
    DownloadCompletedEvent,
    DownloadProgressEvent,
    DownloadResumedEvent,
    TaskEvent,
    activity_event,
)
from transfermon.model.metrics import Trace
from transfermon.model.task import UNKNOWN, Activity, Progress, Response, StoredPart, Task, changed
from transfermon.storage import (
    disk_failures,
    disk_space,
    file_identity,
    file_system,
    final_name,
    finish_state,
    held_folder,
    linux_calls,
    part_names,
)
from transfermon.storage.finish_state import FinishState
from transfermon.storage.finished_file import Blob
from transfermon.storage.part_file import PartFile, PartMissing
from transfermon.wire.answer import Answer
from transfermon.wire.call import Call
from transfermon.wire.cancellation import until_done
from transfermon.wire.rate_limit import Limiter

log = logging.getLogger(__name__)
T = TypeVar("T")
_WRONG_SUM = "the server's checksum does not fit"
_AT_ONCE = 1 << 20  # bytes that are compared at a time
SMALL = 256 * 1024  # below this a crash costs less than a directory sync (PERFORMANCE 4)


class Download:
    """Made for one attempt, used once."""

    def __init__(
        self,
        engine: Engine,
        configuration: SessionConfiguration,
        *,
        current: Callable[[], Task],
        record: Record,
        accepted: Awaitable[None],
        progress: Progress,
        limiters: list[Limiter],
        default_folder: str,
        may_restart: bool = True,
    ) -> None:
        self._engine = engine
        self._configuration = configuration
        self._current = current
        self._record = record
        self._accepted = accepted
        self._progress = progress
        self._limiters = limiters
        self._default_folder = default_folder
        self._part: PartFile | None = None
        self._unwanted: list[PartFile] = []  # no record names them (any more): deleted at the latest in _let_go
        self._mount_id = self._device = 0  # of the part
        self._calls = DiskCalls()
        self._stored = 0  # right bytes in the part
        self._synced = 0
        self._base = 0  # what was stored before this attempt brought anything
        self._questions = Questions(configuration.resume_policy)
        self._agreed: set[evidence.Place] = set()  # places that were compared in this attempt
        self._led = ""  # the address that the answer at hand was asked of, in place of the one that was typed
        self._exchanged = False  # the parts, in this attempt
        self._disk_error: TransferError | None = None  # of a sync that failed, or of a disk that others fill
        self._guarded = False  # the length is not known: a reserve of the disk is kept
        self._hashes: Hashes | None = None  # over the whole file, where it came in one piece
        self._sent: list[tuple[int, list[Trace]]] = []  # attempt and exchanges of each call, until they are recorded
        self._inner: asyncio.Task[None] | None = None
        self._syncing: asyncio.Future[None] | None = None
        self._stopping = False
        self._sealed = False  # the final name is being given: too late to stop (T-08)
        self._may_restart = may_restart
        self.restarted = False  # a body did not fit its digest and was thrown away: that happens once in a task's life
        self._announced = False

    def __repr__(self) -> str:
        return f"<Download {self._current().key} at {self._progress.received}>"

    def stop(self) -> None:
        """Let go as soon as the bytes that arrived are stored; a no-op once the final name is being given."""
        self._stopping = True
        if self._inner is not None and not self._sealed:
            self._inner.cancel()

    async def run(self) -> Result:
        """One attempt. Raises nothing of the outside world: failures are in the result."""
        self._inner = asyncio.ensure_future(self._attempt())
        if self._stopping:
            self._inner.cancel()
        try:
            await self._inner
        except asyncio.CancelledError:
            if self._disk_error is not None:
                return await self._failed(self._disk_error)
            if not self._stopping:
                raise
            return Result(stopped=True)
        except TransferFailure as failure:
            return await self._failed(self._disk_error or failure.error)
        finally:
            await self._let_go()
        return Result()

    async def _failed(self, error: TransferError) -> Result:
        """What the next attempt could not use goes at once: it would only keep the disk full."""
        task = self._current()
        if self._part is None:
            return Result(error=_as_seen_here(error))
        if error.reason == "disk.full":
            with contextlib.suppress(TransferFailure):
                usable = await self._on_disk(disk_space.usable_space, self._part.folder)
                task = changed(self._current(), room=max(1, self._stored + usable))
        if file_system.is_of_no_use(error.reason, resumable=not task.not_resumable):
            task = changed(task, **self._without_part())
        if task is not self._current():
            self._record(task, None)
        return Result(error=_as_seen_here(error))

    # ---- the attempt

    async def _attempt(self) -> None:
        await asyncio.shield(self._accepted)  # others wait for it too: a stop must not cancel it
        await until_done(self._engine.vault.saved())
        task = self._current()
        was_finalizing = task.activity is Activity.FINALIZING
        if await self.was_finished():
            return None
        started = task.started or self._engine.now()
        self._tell(Activity.CONNECTING, attempt=task.attempt + 1, started=started, final_path="")
        await self._open_part()
        if await self._is_all_there(was_finalizing):
            return await self._finish()
        await self._look_at_disk()
        while True:
            asked = self._questions.next(self._current(), self._stored)
            if not await self._places_agree(asked):
                continue
            if (answer := await self._open(asked)) is None:
                continue
            try:
                whole = await self._use(asked, answer)
            finally:
                await answer.aclose()
            if whole and await self._is_as_expected():
                return await self._finish()

    async def _is_all_there(self, was_finalizing: bool) -> bool:
        """Whether nothing was left to fetch when the engine ended (W12); what was not finalizing is checked first.

        To ask the server would not do: one that is asked for what comes behind the end need not say where that is
        (RFC 9110 §15.5.17), and Apache does not.
        """
        if self._part is None or self._stored != self._current().expected:
            return False
        return was_finalizing or (self._stored > 0 and await self._is_as_expected())

    async def was_finished(self) -> bool:
        """Whether the engine ended after the final name was given and before everybody was told; then it is told now.

        Raises TransferFailure -1100 where the name was being given and neither part nor file is left (W12).
        """
        task = self._current()
        if task.named_path:  # the event is stored; the session has told it again
            self._sealed = True
            return True
        if not task.part_path:
            return False
        if task.final_path:
            return await self._was_named(task)
        folder = os.path.dirname(task.part_path)
        path = (
            ""
            if os.path.lexists(task.part_path)
            else finish_state.find_renamed_part(folder, task.part_inode, task.expected)
        )
        if not path:
            return False
        await self._close_finished(changed(task, final_path=path, received=task.expected))
        return True

    async def _was_named(self, task: Task) -> bool:
        state = await asyncio.to_thread(
            finish_state.finish_state,
            task.part_path,
            task.final_path,
            size=task.expected,
            digest=task.expected_digest,
        )
        if state is FinishState.MISSING:
            await self._record(changed(task, final_path="", **self._without_part()), None)
            raise TransferFailure(_vanished(task))
        if state is FinishState.REPEAT:
            if not task.overwrite:
                await asyncio.to_thread(finish_state.drop_claim, task.part_path, task.final_path)
            return False
        if state is FinishState.DONE_REMOVE_PART:
            await asyncio.to_thread(part_names.remove_part, task.part_path)
        await self._close_finished(task)
        return True

    async def _close_finished(self, task: Task) -> None:
        self._sealed = True
        await asyncio.to_thread(held_folder.sync_folder, os.path.dirname(task.final_path))
        identity = await asyncio.to_thread(file_identity.identity_at, task.final_path)
        await self._deliver(changed(task, part_path="", final_identity=identity, activity=Activity.FINALIZING))

    async def _open_part(self) -> None:
        lost = await self._reopened()
        task = self._current()
        older = task.older_part
        goes_on = older is not None and (bool(lost) or parts.goes_on(task.validators, self._stored, older))
        if goes_on and await self._take_the_older():
            lost = await self._reopened()
        if lost:
            self._announce_restart(lost)
        self._synced = self._base = self._stored
        self._progress.received = self._progress.told = self._stored  # nobody is told of these as new bytes
        await self._drop_surpassed(self._stored)

    async def _reopened(self) -> str:
        """Open the part at hand, if there is one; why nothing of it can be used, or ""."""
        task = self._current()
        if not task.part_path:
            return ""
        try:
            await self._on_disk(self._reopen, task)
        except PartMissing as missing:
            return str(missing)  # gone, or there and not ours any more
        return "The part that was stored is shorter than it was." if task.received > 0 and self._stored == 0 else ""

    async def _take_the_older(self) -> bool:
        """Go on with the older part; what the newer one holds stays beside it. False where the older one is gone."""
        task, older, part = self._current(), self._current().older_part, self._part
        assert older is not None
        if not os.path.lexists(older.path):
            self._record(changed(task, older_part=None), None)
            return False
        self._part = None
        if part is not None:
            await self._settle()
            if self._stored:
                await asyncio.to_thread(part.close)
            else:  # no record will name it
                self._unwanted.append(part)
                await self._discard_unwanted()
        self._record(parts.exchanged(changed(self._current(), received=self._stored)), None)
        self._stored = self._synced = 0
        return True

    async def _look_at_disk(self) -> None:
        """Ask no server for what cannot be kept: TransferFailure -3000 or -3003 before the request."""
        task = self._current()
        if self._part is None and task.folder:
            disk_space.require_writable(task.folder)
        elif self._part is not None and task.expected > self._stored:
            needed = task.expected - self._stored
            free = await self._on_disk(disk_space.free_space, self._part.folder, needed)
            if (missing := needed - free) > 0:
                raise TransferFailure(disk_failures.too_little_space(missing, task.url))
        if task.room and (task.expected == UNKNOWN or self._part is None):
            await self._look_for_room(task)

    async def _look_for_room(self, task: Task) -> None:
        """After an attempt that a full disk has ended: as much as is needed, or more than there was then."""
        folder = self._part.folder if self._part is not None else task.folder or self._parts_folder
        if task.expected != UNKNOWN:
            free = await self._on_disk(disk_space.free_space, folder, task.expected)
            if (missing := task.expected - free) > 0:
                raise TransferFailure(disk_failures.too_little_space(missing, task.url))
            return
        usable = await self._on_disk(disk_space.usable_space, folder)
        if not file_system.has_more_room(self._stored + usable, task.room):
            raise TransferFailure(disk_failures.nearly_full(task.url))

    @property
    def disk_silence(self) -> float:
        """Seconds for which the disk that the file goes to has not answered."""
        transport = self._engine.transport
        pumped = transport.pumps.hung_on(self._device) if transport is not None and self._device else 0.0
        return max(pumped, self._calls.silence)

    async def _on_disk(self, call: Callable[..., T], *arguments: Any) -> T:
        return await self._calls.run(lambda: call(*arguments))

    @property
    def _parts_folder(self) -> str:
        return os.path.join(self._engine.state_dir, "parts")

    def _reopen(self, task: Task) -> None:
        """Blocking. Keeps the result itself, so that none is lost when the attempt is stopped meanwhile."""
        self._part, self._stored = PartFile.reopen(task.part_path, task.received, task.boot_id, task.mount_id)
        self._mount_id, self._device = linux_calls.mount_id(self._part.fd), self._part.identity[0]

    def _announce_restart(self, reason: str) -> None:
        task = self._current()
        self._record(
            changed(task, restarts=task.restarts + 1, **self._without_part()),
            DownloadResumedEvent(file_offset=0, expected_total_bytes=task.expected, reason=reason),
        )
        self._announced = True

    async def _open(self, asked: resume.Ask) -> Answer | None:
        """The answer to it; None where another question follows. Where a redirect led before is asked first, which costs
        no attempt: whatever it says that is no part of the file leads to the address that was typed at once.
        """
        lines = await self._engine.lines()
        self._led = self._questions.address(self._current(), asked)
        if self._led:
            with contextlib.suppress(TransferFailure):
                return await lines.open(self._call(asked, resumes_at=self._led, strayed=self._current().strayed))
            self._questions.led_astray()
            self._led = ""
        try:
            return await lines.open(self._call(asked))
        except TransferFailure as failure:
            if not asked.headers or failure.code != Code.CANNOT_PARSE_RESPONSE:
                raise
            self._questions.ask_plainly(failure.error.message, no_ranges=True)
            return None

    def _learn(self, known: Any) -> None:
        if known != self._current().evidence:
            self._record(changed(self._current(), evidence=known), None)

    async def _places_agree(self, asked: resume.Ask) -> bool:
        """Compare what must be compared beside the end, each by a request of its own; False where another question
        follows.
        """
        if self._part is None or not asked.overlap:
            return True
        places = await self._on_disk(evidence.places, asked, self._stored, self._part.read)
        if places is None:
            self._questions.ask_plainly("There is nothing stored that could be compared.")
            return False
        for place in places:
            if place not in self._agreed:
                if not await self._place_agrees(asked, place):
                    return False
                self._agreed.add(place)
        return True

    async def _place_agrees(self, asked: resume.Ask, place: evidence.Place) -> bool:
        begin, size = place
        end = begin + size
        headers = {**asked.headers, "Range": f"bytes={begin}-{end - 1}"}
        probe = changed(asked, start=begin, overlap=size, headers=headers, places=max(asked.places, 1))
        if (answer := await self._open(probe)) is None:
            return False
        try:
            judgement = self._questions.judge(probe, end, self._current(), answer.response)
            if not self._is_of_use(probe, answer, judgement):
                return False
            if judgement.verdict is Verdict.COMPARE and judgement.start + judgement.compare >= end:
                if await self._agrees(answer, judgement.start, end - judgement.start, None):
                    return True
                self._ask_plainly(evidence.CHANGED)
            else:
                self._ask_plainly(evidence.IGNORES_RANGES)
            return False
        finally:
            await answer.aclose()

    def _ask_plainly(self, reason: str) -> None:
        """What was compared differs; an address that only a redirect named decides nothing."""
        if self._led:
            self._questions.led_astray()
        else:
            self._questions.ask_plainly(reason)

    def _is_of_use(self, asked: resume.Ask, answer: Answer, judgement: Judgement) -> bool:
        """False where another question follows. Raises TransferFailure where the attempt has failed."""
        verdict, task = judgement.verdict, self._current()
        if self._led and verdict not in (Verdict.COMPARE, Verdict.COMPLETE):
            self._questions.led_astray()
            return False
        if verdict in (Verdict.PLAIN, Verdict.AGAIN):
            self._learn(self._questions.ask_again(judgement, task.evidence))
            return False
        if verdict is Verdict.STATUS:
            self._learn(self._questions.refused(asked, task.evidence, answer.response.status))
            self._judge_status(answer)
        if verdict is Verdict.FAILED:
            raise TransferFailure(evidence.failure_of(judgement, task.url, answer.response.status))
        return True

    def _call(self, asked: resume.Ask, **more: Any) -> Call:
        task = self._current()
        traces: list[Trace] = []
        self._sent.append((task.attempt, traces))
        return call_for_task(self._engine, self._configuration, task, asked.headers, traces=traces, **more)

    async def _use(self, asked: resume.Ask, answer: Answer) -> bool:
        """Take what an answer brings. True when the file is whole."""
        task = self._current()
        judgement = self._questions.judge(asked, self._stored, task, answer.response)
        if not self._is_of_use(asked, answer, judgement):
            return False
        if judgement.verdict is Verdict.COMPLETE:
            return True
        if judgement.verdict is Verdict.COMPARE:
            return await self._receive_more(answer, judgement)
        if judgement.verdict is Verdict.STATUS:  # the policy "transport" takes an error page for a file (D-10)
            judgement = changed(judgement, total=resume.total_of(answer.response))
        elif await self._is_the_older(answer.response):
            return False
        return await self._receive_whole(answer, judgement)

    async def _is_the_older(self, response: Response) -> bool:
        """Whether the answer is the version of the other part, which then goes on: a name may have nodes of two minds."""
        task, older = self._current(), self._current().older_part
        etag = response.header("ETag").strip()
        if older is None or self._exchanged or not resume.is_strong(etag) or etag != older.validators.etag:
            return False
        if (
            task.validators is None
            or task.validators.etag == etag
            or older.validators.host != resume.host_of(response.url)
        ):
            return False
        self._exchanged = True
        if not await self._take_the_older():
            return False
        self._questions = Questions(self._configuration.resume_policy)
        self._agreed.clear()
        await self._open_part()
        return True

    def _judge_status(self, answer: Answer) -> None:
        task, now = self._current(), self._engine.now()
        since = task.making_since if task.making_since is not None else now
        error = retry.judge_download(
            answer.response, self._configuration.http_error_policy, now=now, making_since=since, url=task.url
        )
        if error is not None:
            waits = since if error.status == retry.NOT_YET else task.making_since
            self._record(
                changed(
                    task,
                    response=shortened(answer.response),
                    making_since=waits if error.retryable else None,
                ),
                None,
            )
            raise TransferFailure(error)

    async def _throw_away(self, reason: str) -> None:
        """What is stored is no beginning of the file. The next request is a new attempt, from zero (D-18)."""
        self.restarted, self._may_restart = True, False
        task = self._current()
        attempt, restarts = task.attempt + 1, task.restarts + 1
        self._progress.attempt = attempt
        self._announced = True
        event = DownloadResumedEvent(file_offset=0, expected_total_bytes=UNKNOWN, reason=reason)
        changes = self._without_part()
        await self._discard_unwanted()
        await self._record(changed(task, attempt=attempt, restarts=restarts, **changes), event)

    def _without_part(self) -> dict[str, Any]:
        """The changes of a record that loses its part."""
        wasted = self._current().wasted + self._forget_part()
        return {"part_path": "", "received": 0, "validators": None, "wasted": wasted}

    def _forget_part(self) -> int:
        """Start over at zero; returns how many bytes that wastes."""
        wasted, self._stored, self._synced, self._base = self._stored, 0, 0, 0
        self._progress.received = self._progress.told = 0
        if self._part is not None:
            self._unwanted.append(self._part)
            self._part = None
        return wasted

    async def _discard_unwanted(self) -> None:
        """Before the record forgets them: a crash in between leaves a record of what is gone, and no orphan."""
        while self._unwanted:
            try:
                await until_done(asyncio.to_thread(self._unwanted.pop().discard))
            except TransferFailure as failure:
                log.warning("a part stays: %s", failure)

    async def _receive_whole(self, answer: Answer, judgement: Judgement) -> bool:
        """The body is the file from byte 0: into a part of its own, unless it is no version of the file at all."""
        task, response = self._current(), answer.response
        folder = task.folder or self._parts_folder
        label = await answer.judged(naming.suggested(response, response.url))
        total = UNKNOWN if answer.content_coding else judgement.total
        keeps = self._stored > 0 and not resume.why_not_resumable(
            task.validators, task.method, self._configuration.resume_policy
        )
        if keeps and not await self._has_room(folder, total):
            # Both do not fit. A validator that proves the new version lets the old one go; else only comparing tells.
            proven = evidence.is_proven(task.validators, response)
            if not proven and self._stored <= total:
                same = Judgement(verdict=Verdict.COMPARE, start=0, length=total, compare=self._stored, total=total)
                return await self._receive_more(answer, same)
            if not proven or not await self._has_room(folder, total - self._stored):
                raise TransferFailure(disk_failures.larger_than_the_space(folder, task.url))
            keeps = False
        first = await self._first_bytes(answer, decode=bool(label.undo))
        return await self._receive_new(answer, judgement, label, first, keeps=keeps)

    async def _has_room(self, folder: str, total: int) -> bool:
        with contextlib.suppress(TransferFailure):
            return total <= await self._on_disk(disk_space.free_space, folder, total)
        return True

    async def _first_bytes(self, answer: Answer, *, decode: bool) -> bytes:
        """The first bytes of a body that takes the place of what is known of the file; b"" where nothing is known, or
        they are still to be received. Raises TransferFailure for a note.
        """
        task, response = self._current(), answer.response
        if task.validators is None:
            return b""
        head = (
            await self._on_disk(self._part.read, 0, evidence.ENOUGH) if self._part is not None and self._stored else b""
        )
        length = answer.content_length if answer.content_length is not None else UNKNOWN
        if decode or length == UNKNOWN:
            ahead, taken = await answer.peek(evidence.SHORT), b""
            length = len(ahead) if length == UNKNOWN and len(ahead) < evidence.SHORT else length
        else:
            taken = ahead = await self._taken(answer, min(length, evidence.ENOUGH))
        shown = b"" if decode else ahead
        if evidence.is_note(task.validators, head, self._stored, response, shown, length, task.name):
            home = task.validators.host in ("", resume.host_of(response.url))
            elsewhere = bool(answer.redirects) and (not home or response.url != task.current_url)
            raise TransferFailure(evidence.note(task.url, response, elsewhere=elsewhere))
        return taken

    async def _taken(self, answer: Answer, count: int, hashes: Hashes | None = None) -> bytes:
        """The next bytes of a body, in memory."""
        fd = os.memfd_create("transfermon-taken", os.MFD_CLOEXEC)
        try:
            await answer.receive(fd, 0, Progress(), length=count, hasher=hashes)
            return os.pread(fd, count, 0)
        finally:
            os.close(fd)

    async def _receive_new(
        self, answer: Answer, judgement: Judgement, label: Label, first: bytes, *, keeps: bool
    ) -> bool:
        task, response = self._current(), answer.response
        decode = bool(label.undo)
        total = UNKNOWN if decode else resume.content_length(response) if answer.content_coding else judgement.total
        if (most := self._configuration.maximum_bytes) and max(total, len(first)) > most:
            raise answer.too_big(most)  # before any space is reserved
        validators = resume.validators_of(response, decoded=decode, now=self._engine.now())
        name = task.name or naming.suggested(response, response.url)
        folder = task.folder or self._parts_folder
        older = await self._put_aside(keeps=keeps)
        part, name = await self._on_disk(self._new_part, folder, total, name)
        task = self._current()  # it may have changed meanwhile
        wasted = self._forget_part()
        self._part = part
        self._unwanted.remove(part)
        self._progress.expected = total
        new = changed(
            task,
            activity=Activity.TRANSFERRING,
            name=name,
            response=response,
            current_url=response.url,
            strayed=answer.strayed,
            validators=validators,
            expected=total,
            received=0,
            part_path=part.path,
            part_inode=part.inode,
            older_part=older,
            evidence=self._questions.began_anew(task.evidence, response),
            boot_id=linux_calls.boot_id(),
            mount_id=self._mount_id,
            not_resumable=resume.why_not_resumable(validators, task.method, self._configuration.resume_policy),
            remark=label.remark,
            making_since=None,
            wasted=task.wasted + wasted,
            restarts=task.restarts + (1 if wasted else 0),
        )
        self._agreed.clear()
        if (wasted or judgement.reason) and not self._announced:
            self._announced = True
            event: TaskEvent = DownloadResumedEvent(file_offset=0, expected_total_bytes=total, reason=judgement.reason)
        else:
            event = activity_event(new)
        await self._record(new, event)
        content = () if decode else digests.parse(response.header("Content-Digest"))
        hashes = _hashes(*(self._wanted() or validators.sums), *content)
        if first:
            await self._on_disk(part.write, 0, first)
            if hashes is not None:
                hashes.update(memoryview(first))
        written = len(first) + await self._receive(answer, len(first), decode=label.undo, hashes=hashes)
        self._hashes = hashes
        if not await self._content_agrees(hashes, content):
            return False
        return total == UNKNOWN or written == total

    async def _put_aside(self, *, keeps: bool) -> StoredPart | None:
        """Close the part at hand before a new one is made; what of the task's parts is to be kept, at most one.

        What is not kept is deleted before the record forgets it.
        """
        task, part = self._current(), self._part
        if part is None:
            return task.older_part
        older = task.older_part
        if keeps and (older is None or older.received < self._stored):
            if self._stored != self._synced:
                await self._sync()
            if older is not None:
                await self._remove(older.path)
            older = parts.newer(changed(task, received=self._stored))
            self._part = None
            await asyncio.to_thread(part.close)
        else:
            self._unwanted.append(part)
            self._part = None
            await self._discard_unwanted()
        return older

    async def _remove(self, path: str) -> None:
        try:
            await self._on_disk(part_names.remove_part, path)
        except TransferFailure as failure:
            log.warning("%s stays: %s", path, failure)

    async def _drop_surpassed(self, stored: int) -> None:
        """The older part goes when the one at hand holds more bytes. Its file goes first: a crash in between leaves a
        record of a file that is gone, and no file without a record.
        """
        older = self._current().older_part
        if older is not None and stored > older.received:
            await self._remove(older.path)
            self._record(changed(self._current(), older_part=None), None)

    def _new_part(self, folder: str, total: int, name: str) -> tuple[PartFile, str]:
        """Blocking. The part, and the name that its file can have there. Raises TransferFailure -3000 for a name that
        cannot be, -3003 at once where the size is known to exceed the space (D-17).
        """
        task = self._current()
        if folder in (self._default_folder, self._parts_folder):
            with contextlib.suppress(OSError):  # create says better what is wrong
                os.makedirs(folder, mode=0o700 if folder.endswith("/parts") else 0o777, exist_ok=True)
        mark = self._engine.database_id
        given, over = bool(task.name), task.overwrite
        name = self._engine.targets.settled(folder, name, given=given, overwrite=over, mark=mark)
        part = PartFile.create(folder, sync_folder=not 0 <= total < SMALL, mark=mark)
        self._unwanted.append(part)  # until it is taken: the attempt may have been stopped meanwhile
        disk_space.require_fit(folder, total)
        if total > disk_space.free_space(folder, total):
            raise TransferFailure(disk_failures.larger_than_the_space(folder, task.url))
        if total > 0:
            part.reserve(total)
        self._mount_id, self._device = linux_calls.mount_id(part.fd), part.identity[0]
        return part, name

    async def _receive_more(self, answer: Answer, judgement: Judgement) -> bool:
        assert self._part is not None
        task = self._current()
        assert task.validators is not None
        content = digests.parse(answer.response.header("Content-Digest"))
        hashes = _hashes(*content)
        if judgement.compare and not await self._agrees(answer, judgement.start, judgement.compare, hashes):
            self._ask_plainly(evidence.CHANGED)
            return False
        known, reached = self._questions.agreed(task.evidence), judgement.start + judgement.compare
        if reached < self._stored:
            known = changed(known, compared=reached)
        whole = digests.parse(answer.response.header("Repr-Digest"))
        new = changed(
            self._current(),
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
            received=self._stored,
            evidence=known,
            boot_id=linux_calls.boot_id(),
            mount_id=self._mount_id,
        )
        self._progress.expected = judgement.total
        if self._announced or reached < self._stored:
            self._record(new, activity_event(new))
        else:
            self._announced = True
            usable = task.validators.etag or resume.settled(task.validators, self._configuration.resume_policy)
            reason = "" if usable else resume.weakness(task.validators, self._configuration.resume_policy)
            self._record(
                new,
                DownloadResumedEvent(file_offset=self._stored, expected_total_bytes=judgement.total, reason=reason),
            )
        if reached < self._stored:  # the server sends little at a time: what is left is compared with the next answer
            return False
        left = None if judgement.length is None else judgement.length - judgement.compare
        before = self._stored
        if left:
            await self._receive(answer, self._stored, decode="", hashes=hashes, length=left)
        if not await self._content_agrees(hashes, content):
            return False
        if self._stored == before and not judgement.compare and self._stored != judgement.total:
            raise TransferFailure(
                evidence.failure_of(
                    changed(judgement, reason="The server sent nothing of what was asked for.", retry=Retry.RETRY),
                    task.url,
                    answer.response.status,
                )
            )
        self._questions.ended_well()
        # A part of an unknown whole is not the end: only a total or a 416 says so.
        return self._stored == judgement.total

    def _validators_now(self, response: Response) -> Any:
        """Those of the stored bytes; another host that was compared has its own from now on."""
        known = self._current().validators
        assert known is not None
        now = resume.validators_of(response, decoded=False, now=self._engine.now())
        if known.host == now.host:
            return known
        if not known.host:
            return changed(known, host=now.host)
        return changed(known, host=now.host, etag=now.etag, last_modified=now.last_modified, date=now.date)

    async def _agrees(self, answer: Answer, begin: int, length: int, hashes: Hashes | None) -> bool:
        """Whether the next bytes of a body are those that are stored; nothing is written while in doubt (W13).

        Where the connection breaks in the middle, what was equal is remembered.
        """
        assert self._part is not None
        at, end = begin, begin + length
        while at < end:
            count = min(_AT_ONCE, end - at)
            stored = await self._on_disk(self._part.read, at, count)
            fd = os.memfd_create("transfermon-overlap", os.MFD_CLOEXEC)
            came = Progress()
            try:
                await answer.receive(fd, 0, came, length=count, hasher=hashes)
                if os.pread(fd, count, 0) != stored:
                    return False
            except TransferFailure:
                if os.pread(fd, came.received, 0) != stored[: came.received]:
                    return False
                if end == self._stored:
                    self._learn(changed(self._current().evidence, compared=at + came.received))
                raise
            finally:
                os.close(fd)
            at += count
        return True

    async def _receive(
        self, answer: Answer, offset: int, *, decode: str, hashes: Hashes | None, length: int | None = None
    ) -> int:
        assert self._part is not None
        self._hashes = None
        self._progress.received = offset
        most = self._configuration.maximum_bytes
        limit = max(0, most - offset) if most else None
        room = None
        if self._progress.expected == UNKNOWN:  # it may never end
            room = await self._on_disk(disk_space.usable_space, self._part.folder)
        self._guarded = room is not None
        checkpoints = asyncio.ensure_future(self._checkpoints())
        try:
            written = await answer.receive(
                self._part.fd,
                offset,
                self._progress,
                limiters=self._limiters,
                decode=decode,
                hasher=hashes,
                length=length if answer.content_length is None else None,
                limit=min((bound for bound in (limit, room) if bound is not None), default=None),
            )
        except TransferFailure as failure:
            if failure.code == Code.DATA_TOO_LARGE:
                if limit is None or (room is not None and room < limit):
                    raise TransferFailure(disk_failures.nearly_full(self._current().url)) from failure
                raise answer.too_big(most) from failure  # with the limit of the whole file in its words
            raise
        finally:
            self._stored = self._progress.received
            self._guarded = False
            checkpoints.cancel()
            await self._settle()
        return written

    # ---- keeping

    async def _checkpoints(self) -> None:
        while True:
            await asyncio.sleep(CHECKPOINT_SECONDS)
            try:
                await self._checkpoint()
            except TransferFailure:
                assert self._inner is not None
                self._inner.cancel()
                return

    async def _checkpoint(self) -> None:
        """What arrived until now survives a power cut when this returns and the change is durable (W4)."""
        stored = self._progress.received
        if self._part is None or stored == self._synced:
            return
        self._syncing = asyncio.ensure_future(self._sync())
        await asyncio.shield(self._syncing)
        self._synced = stored
        task = self._current()
        known = task.evidence
        if stored > self._base:
            known = changed(known, brought=stored - self._base)
            if task.older_part is None or stored > task.older_part.received:
                known = changed(known, no_ranges="")  # a plain answer that breaks here would have to begin again
        self._record(changed(task, received=stored, evidence=known), None)
        await self._drop_surpassed(stored)
        if self._guarded and not await self._on_disk(disk_space.usable_space, self._part.folder):
            self._disk_error = disk_failures.nearly_full(self._current().url)  # others write there, too
            raise TransferFailure(self._disk_error)

    async def _sync(self) -> None:
        assert self._part is not None
        try:
            await self._on_disk(self._part.sync)
        except TransferFailure as failure:
            self._distrust(failure.error)
            raise

    def _distrust(self, error: TransferError) -> None:
        """A sync failed: a later one would succeed and mean nothing. Only the last checkpoint is believed; what came
        after it is fetched again, once (W9).
        """
        self._disk_error = changed(error, retry=Retry.RESTART) if error.reason == "disk.io" else error
        self._stored = self._synced
        self._record(changed(self._current(), received=self._synced, boot_id="", mount_id=0), None)

    async def _settle(self) -> None:
        """No thread touches the part when this returns."""
        if self._syncing is not None:
            await asyncio.wait({self._syncing})

    async def _let_go(self) -> None:
        """Store what arrived and close the part, whatever happened."""
        await self._discard_unwanted()
        if self._sent:
            self._record(changed(self._current(), **self._metrics()), None)
        part = self._part
        if part is None:
            return
        await self._settle()
        self._progress.received = self._stored
        try:
            if self._disk_error is None:
                await self._checkpoint()
        except TransferFailure:
            log.exception("what arrived last could not be synced")
        finally:
            self._part = None
            await asyncio.to_thread(part.close)
        task = self._current()
        if not self._sealed and parts.goes_on(task.validators, task.received, task.older_part):
            self._record(parts.exchanged(task), None)  # the longer one is what is stored, for whoever asks
            await self._drop_surpassed(self._current().received)

    # ---- the end

    async def _finish(self) -> None:
        assert self._part is not None
        name, instead = await self._what_came()
        part, size, final = self._part, self._stored, ""
        task = self._current()
        recorded = size >= SMALL or size != task.expected  # a small file is known again by its size and inode
        if recorded:
            await self._sync()
            # The name is settled before it is given: another file of that name must not be taken for ours (W12).
            free = name if task.overwrite else await self._on_disk(part.free_name, name)
            final = os.path.join(part.folder, free)
        # No await from here to the record: a command comes before it and ends the attempt, or too late (T-08).
        self._sealed = True
        task = changed(
            self._current(),
            activity=Activity.FINALIZING,
            expected=size,
            received=size,
            name=name,
            instead=instead,
            final_path=final,
            **self._metrics(),
        )
        self._progress.expected = size
        durable = self._record(task, activity_event(task), store=recorded)
        if recorded:
            await durable
        try:
            path = await self._on_disk(self._name, part, task)
        except TransferFailure as failure:
            if failure.code == Code.CANNOT_WRITE_FILE:
                self._distrust(failure.error)
            if os.path.lexists(part.path) or not os.path.lexists(final):
                # else only the folder's sync failed: the next attempt finds the file
                self._record(changed(self._current(), final_path=""), None)
            raise
        self._part = None
        identity = part.identity
        part.close()  # nothing is dirty any more: this does not wait for the disk
        await self._deliver(changed(self._current(), final_path=path, final_identity=identity, part_path=""))

    async def _what_came(self) -> tuple[str, str]:
        """The final name, and what came in place of the file that it promises: a page that asks to sign in, under 200.

        Such a page gets the ending of a page. Raises TransferFailure where the name was given: then nothing gets it.
        """
        assert self._part is not None
        task = self._current()
        name = task.name or "download"
        if task.instead:  # the engine ended after it was judged
            name = os.path.splitext(name)[0]
        found = task.validators
        if found is None or not endings.is_page_type(found.content_type):
            return name, ""
        if task.expected_digest or not task.folder or (task.response and task.response.status >= 400):
            return name, ""
        head = await self._on_disk(self._part.read, 0, min(self._stored, endings.FIRST_BYTES))
        address_name = filenames.from_url(task.current_url or task.url)
        instead = endings.instead(name, address_name, found.content_type, head)
        if instead and task.named:
            await self._record(changed(task, **self._without_part()), None)
            raise TransferFailure(_not_it(instead, task.current_url or task.url))
        return (endings.as_page(name, found.content_type), instead) if instead else (name, "")

    def _name(self, part: PartFile, task: Task) -> str:
        """Blocking. The final path."""
        if self._engine.settings.note_origin and not self._configuration.is_ephemeral:
            final_name.mark_origin(part.path, without_query(task.current_url or task.url))
        return part.finish(task.name, overwrite=task.overwrite, durable=True)

    async def _deliver(self, task: Task) -> None:
        """Tell the last progress, then the completion; return when every listener has had it (D-05, D-08)."""
        if task.older_part is not None:
            await self._remove(task.older_part.path)
            task = changed(task, older_part=None)
        told, self._progress.told = self._progress.told, task.expected
        self._record(
            None,
            DownloadProgressEvent(
                task=task,
                bytes_written=max(0, task.expected - told),
                total_bytes_written=task.expected,
                total_bytes_expected_to_write=task.expected,
                total_known=True,
                fraction=1.0,
                attempt=task.attempt,
            ),
        )
        blob = Blob.of(task)
        delivered = asyncio.get_running_loop().create_future()
        self._record(
            task,
            DownloadCompletedEvent(data=blob, location=task.final_path, suggested_filename=task.name),
            delivered=lambda: delivered.set_result(None),
        )
        await delivered
        if blob.is_temporary:
            await asyncio.to_thread(blob.expire)

    async def _is_as_expected(self) -> bool:
        """Compare with the digests that the caller gave and the server announced (D-18, R-20); without any, with the
        sums that storage services send.
        """
        task = self._current()
        wanted = self._wanted()
        for digest in wanted:
            if await self._found(digest) != digest:
                algorithm = digest.partition(":")[0]
                what = "expected one" if digest == task.expected_digest else "one that the server announced"
                return await self._mismatch(f"The {algorithm} of the file is not the {what}.")
        for digest in task.validators.sums if task.validators is not None and not wanted else ():
            if (found := await self._found(digest)) != digest:
                return await self._sum_differs(found)
        return True

    async def _found(self, digest: str) -> str:
        """ "sha-256:HEX" of the file, in the algorithm of `digest`."""
        assert self._part is not None
        if self._current().activity is not Activity.VERIFYING:
            self._tell(Activity.VERIFYING)
        algorithm = digest.partition(":")[0]
        value = self._hashes.value(algorithm) if self._hashes is not None else None
        if value is None:
            value = await self._on_disk(self._part.digest, algorithm, self._stored)
        return f"{algorithm}:{value}"

    async def _sum_differs(self, found: str) -> bool:
        """A sum that does not fit starts over, once. A second body with the sum of the first shows that it is the field
        that is wrong: the file is taken, and that is said.
        """
        task = self._current()
        if found == task.evidence.found_sum:
            self._record(changed(task, remark="; ".join(filter(None, (task.remark, _WRONG_SUM)))), None)
            return True
        reason = f"The {found.partition(':')[0]} of the file is not the one that the server announced."
        if task.evidence.found_sum:
            self._may_restart = False
            return await self._mismatch(reason)
        self._learn(changed(task.evidence, found_sum=found))
        await self._throw_away(reason)
        return False

    def _wanted(self) -> tuple[str, ...]:
        """The digests that the whole file must have."""
        task = self._current()
        announced = task.validators.digests if task.validators is not None else ()
        return tuple(dict.fromkeys(digest for digest in (task.expected_digest, *announced) if digest))

    async def _content_agrees(self, hashes: Hashes | None, announced: tuple[str, ...]) -> bool:
        """Compare the body that came with its own Content-Digest (RFC 9530 §2)."""
        for digest in announced:
            algorithm, _, wanted = digest.partition(":")
            if hashes is not None and hashes.value(algorithm) != wanted:
                return await self._mismatch(
                    f"The {algorithm} of what arrived is not the one that the server announced."
                )
        return True

    async def _mismatch(self, reason: str) -> bool:
        """Throw the file away and start over, once; then fail (D-18)."""
        task = self._current()
        if self._may_restart:
            await self._throw_away(reason)
            return False
        await self._record(changed(task, **self._without_part()), None)
        raise TransferFailure(
            TransferError(
                code=Code.BAD_SERVER_RESPONSE,
                message=reason,
                reason="srv.changed",
                hint="Check the expected value, or ask who published it.",
                url=redacted(task.url),
            )
        )

    def _metrics(self) -> dict[str, Any]:
        """The changes of a record that takes up what was sent since the last time (T-19)."""
        changes = metrics_of(self._current(), self._sent, self._engine.now() - time.monotonic())
        self._sent.clear()
        return changes

    def _tell(self, activity: Activity, **changes: Any) -> None:
        task = changed(self._current(), activity=activity, waiting_until=None, waiting_reason="", **changes)
        self._progress.attempt = task.attempt
        self._record(task, activity_event(task), store=False)


def _hashes(*wanted: str) -> Hashes | None:
    names = digests.algorithms(wanted)
    return Hashes(names) if names else None


def _as_seen_here(error: TransferError) -> TransferError:
    """A full disk is tried again, not waited for like the network: nobody tells when space comes back (DESIGN 9)."""
    return changed(error, retry=Retry.RETRY) if error.retry is Retry.WAIT and error.reason == "disk.full" else error


def _vanished(task: Task) -> TransferError:
    return TransferError(
        code=Code.FILE_MISSING,
        message="The file was whole, but it is gone: neither the part nor the finished file is in its folder.",
        reason="file.missing",
        hint="Retry to fetch it again.",
        url=redacted(task.url),
    )


def _not_it(instead: str, url: str) -> TransferError:
    return TransferError(
        code=Code.BAD_SERVER_RESPONSE,
        message=f"The server sent {instead}.",
        reason="srv.page",
        hint="Open the address in a browser: it may ask you to sign in, or the link may have expired.",
        url=redacted(url),
    )
