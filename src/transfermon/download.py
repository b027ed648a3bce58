"""One attempt of a download: from its slot to the file under its final name, or to the reason why not.

Rule: data, then directory, then journal, then tell (FAULTS W1). Before the first byte of a new version is written, its
new part name and validators are durable; before the final name appears, so is the wish to give it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from transfermon import digests, endings, filenames, filesystem, naming, partfile, resume, retry, targets
from transfermon.blob import Blob
from transfermon.configuration import CHECKPOINT_SECONDS, SessionConfiguration, merged_headers
from transfermon.digests import Hashes
from transfermon.disks import DiskCalls
from transfermon.engine import Engine
from transfermon.errors import Code, Retry, TransferError, TransferFailure, redacted
from transfermon.events import (
    DownloadCompletedEvent,
    DownloadProgressEvent,
    DownloadResumedEvent,
    TaskEvent,
    activity_event,
)
from transfermon.metrics import MOST_KEPT, REDIRECTS, Trace
from transfermon.network import Limiter
from transfermon.partfile import FinishState, PartFile, PartMissing
from transfermon.pump import until_done
from transfermon.task import UNKNOWN, Activity, Progress, Response, Task, changed
from transfermon.transfer import Answer, Call
from transfermon.urls import without_query

log = logging.getLogger(__name__)
T = TypeVar("T")
SMALL = 256 * 1024  # below this a crash costs less than a directory sync (PERFORMANCE 4)

Record = Callable[..., "asyncio.Future[None]"]  # Session._record


@dataclass(frozen=True, kw_only=True)
class Result:
    """How an attempt ended: neither field set means the file is there."""

    error: TransferError | None = None
    stopped: bool = False  # by suspend, cancel or the end of the engine
    text: str | None = None  # of the answer to an upload or a data task
    text_is_whole: bool = True  # nothing was left out of it


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
        self._disk_error: TransferError | None = None  # of a sync that failed, or of a disk that others fill
        self._guarded = False  # the length is not known: a reserve of the disk is kept
        self._hashes: Hashes | None = None  # over the whole file, where it came in one piece
        self._sent: list[tuple[int, list[Trace]]] = []  # attempt and exchanges of each call, until they are recorded
        self._inner: asyncio.Task[None] | None = None
        self._syncing: asyncio.Future[None] | None = None
        self._stopping = False
        self._sealed = False  # the final name is being given: too late to stop (T-08)
        self._may_restart = may_restart
        self.restarted = False  # an answer that cannot be combined was thrown away: that happens once in a task's life
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
                usable = await self._on_disk(partfile.usable_space, self._part.folder)
                task = changed(self._current(), room=max(1, self._stored + usable))
        if filesystem.is_of_no_use(error.reason, resumable=not task.not_resumable):
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
            asked = self._ask()
            answer = await (await self._engine.lines()).open(self._call(asked))
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
        path = "" if os.path.lexists(task.part_path) else partfile.renamed(folder, task.part_inode, task.expected)
        if not path:
            return False
        await self._close_finished(changed(task, final_path=path, received=task.expected))
        return True

    async def _was_named(self, task: Task) -> bool:
        state = await asyncio.to_thread(
            partfile.finish_state,
            task.part_path,
            task.final_path,
            size=task.expected,
            digest=task.expected_digest,
        )
        if state is FinishState.MISSING:
            await self._record(changed(task, final_path="", **self._without_part()), None)
            raise TransferFailure(_vanished(task))
        if state is FinishState.REPEAT:
            return False
        if state is FinishState.DONE_REMOVE_PART:
            await asyncio.to_thread(partfile.remove, task.part_path)
        await self._close_finished(task)
        return True

    async def _close_finished(self, task: Task) -> None:
        self._sealed = True
        await asyncio.to_thread(partfile.sync_folder, os.path.dirname(task.final_path))
        identity = await asyncio.to_thread(partfile.identity_at, task.final_path)
        await self._deliver(changed(task, part_path="", final_identity=identity, activity=Activity.FINALIZING))

    async def _open_part(self) -> None:
        task = self._current()
        if not task.part_path:
            return
        try:
            await self._on_disk(self._reopen, task)
        except PartMissing as missing:
            self._announce_restart(str(missing))  # gone, or there and not ours any more
        else:
            if task.received > 0 and self._stored == 0:
                self._announce_restart("The part that was stored is shorter than it was.")
        self._synced = self._stored
        self._progress.received = self._progress.told = self._stored  # nobody is told of these as new bytes

    async def _look_at_disk(self) -> None:
        """Ask no server for what cannot be kept: TransferFailure -3000 or -3003 before the request."""
        task = self._current()
        if self._part is None and task.folder:
            partfile.require_writable(task.folder)
        elif self._part is not None and task.expected > self._stored:
            needed = task.expected - self._stored
            free = await self._on_disk(partfile.free_space, self._part.folder, needed)
            if (missing := needed - free) > 0:
                raise TransferFailure(_full(missing, task.url))
        if task.room and (task.expected == UNKNOWN or self._part is None):
            await self._look_for_room(task)

    async def _look_for_room(self, task: Task) -> None:
        """After an attempt that a full disk has ended: as much as is needed, or more than there was then."""
        folder = self._part.folder if self._part is not None else task.folder or self._parts_folder
        if task.expected != UNKNOWN:
            free = await self._on_disk(partfile.free_space, folder, task.expected)
            if (missing := task.expected - free) > 0:
                raise TransferFailure(_full(missing, task.url))
            return
        usable = await self._on_disk(partfile.usable_space, folder)
        if not filesystem.has_more_room(self._stored + usable, task.room):
            raise TransferFailure(_nearly_full(task))

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
        self._mount_id, self._device = partfile.mount_id(self._part.fd), self._part.identity[0]

    def _announce_restart(self, reason: str) -> None:
        task = self._current()
        self._record(
            changed(task, restarts=task.restarts + 1, **self._without_part()),
            DownloadResumedEvent(file_offset=0, expected_total_bytes=task.expected, reason=reason),
        )
        self._announced = True

    def _ask(self) -> resume.Ask:
        return resume.ask(self._stored, self._current().validators, self._configuration.resume_policy)

    def _call(self, asked: resume.Ask) -> Call:
        task, own = self._current(), self._configuration
        traces: list[Trace] = []
        self._sent.append((task.attempt, traces))
        session_headers = self._engine.vault.get(task.session)
        headers = merged_headers(session_headers, self._engine.secrets_of(task))
        return Call(
            url=task.url,
            headers={**headers, **asked.headers},
            session=task.session,
            origin=task.origin,
            allowed=frozenset(self._engine.allowed_hosts),
            proxy=self._engine.proxy_of(task.session, own.proxy),
            proxy_logins=self._engine.proxy_logins(task.session),
            **self._engine.options_of(task, own),
            idle_timeout=own.timeout_interval_for_request,
            maximum_redirects=own.maximum_redirects,
            cookies=own.http_should_set_cookies,
            sensitive=frozenset(name.lower() for name in headers),
            traces=traces,
        )

    async def _use(self, asked: resume.Ask, answer: Answer) -> bool:
        """Take what an answer brings. True when the file is whole."""
        task, policy = self._current(), self._configuration.resume_policy
        judgement = resume.judge(asked, self._stored, task.validators, answer.response, policy)
        verdict = judgement.verdict
        if verdict is resume.Verdict.STATUS:
            self._judge_status(answer)
            verdict = resume.Verdict.WHOLE  # the policy "transport" takes an error page for a file (D-10)
            judgement = changed(judgement, total=resume.total_of(answer.response))
        if verdict is resume.Verdict.COMPLETE:
            return True
        if resume.is_sign_in_page(answer.response, task.validators, task.name):
            raise TransferFailure(resume.captive(task.url, answer.response.status))
        if verdict is resume.Verdict.FAILED or (verdict is resume.Verdict.RESTART and not self._may_restart):
            raise TransferFailure(resume.failure_of(judgement, task.url, answer.response.status))
        if verdict is resume.Verdict.RESTART:
            await self._throw_away(judgement.reason)
            return False
        if verdict is resume.Verdict.WHOLE:
            return await self._receive_new(answer, judgement)
        return await self._receive_more(asked, answer, judgement)

    def _judge_status(self, answer: Answer) -> None:
        task = self._current()
        error = retry.judge_status(
            answer.response, self._configuration.http_error_policy, now=self._engine.now(), url=task.url
        )
        if error is not None:
            self._record(changed(task, response=shortened(answer.response)), None)
            raise TransferFailure(error)

    async def _throw_away(self, reason: str) -> None:
        """What is stored is no beginning of the file. The next request is a new attempt, from zero (R-10)."""
        self.restarted, self._may_restart = True, False
        task = self._current()
        attempt, restarts = task.attempt + 1, task.restarts + 1
        self._progress.attempt = attempt
        self._announced = True
        event = DownloadResumedEvent(file_offset=0, expected_total_bytes=UNKNOWN, reason=reason)
        await self._record(changed(task, attempt=attempt, restarts=restarts, **self._without_part()), event)
        await self._discard_unwanted()

    def _without_part(self) -> dict[str, Any]:
        """The changes of a record that loses its part."""
        wasted = self._current().wasted + self._forget_part()
        return {"part_path": "", "received": 0, "validators": None, "wasted": wasted}

    def _forget_part(self) -> int:
        """Start over at zero; returns how many bytes that wastes."""
        wasted, self._stored, self._synced = self._stored, 0, 0
        self._progress.received = self._progress.told = 0
        if self._part is not None:
            self._unwanted.append(self._part)
            self._part = None
        return wasted

    async def _discard_unwanted(self) -> None:
        while self._unwanted:
            try:
                await until_done(asyncio.to_thread(self._unwanted.pop().discard))
            except TransferFailure as failure:
                log.warning("a part stays: %s", failure)

    async def _receive_new(self, answer: Answer, judgement: resume.Judgement) -> bool:
        task, response = self._current(), answer.response
        decode = bool(answer.content_coding) and not self._compressed_by_itself(answer)
        total = UNKNOWN if decode else judgement.total
        if (most := self._configuration.maximum_bytes) and total > most:
            raise answer.too_big(most)  # before any space is reserved
        validators = resume.validators_of(response, decoded=decode)
        name = task.name or naming.suggested(response, response.url)
        folder = task.folder or self._parts_folder
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
            validators=validators,
            expected=total,
            received=0,
            part_path=part.path,
            part_inode=part.inode,
            boot_id=partfile.boot_id(),
            mount_id=self._mount_id,
            not_resumable=resume.why_not_resumable(validators, task.method, self._configuration.resume_policy),
            wasted=task.wasted + wasted,
            restarts=task.restarts + (1 if wasted else 0),
        )
        if (wasted or judgement.reason) and not self._announced:
            self._announced = True
            event: TaskEvent = DownloadResumedEvent(file_offset=0, expected_total_bytes=total, reason=judgement.reason)
        else:
            event = activity_event(new)
        await self._record(new, event)
        await self._discard_unwanted()
        content = () if decode else digests.parse(response.header("Content-Digest"))
        hashes = _hashes(*self._wanted(), *content)
        written = await self._receive(answer, 0, decode=decode, hashes=hashes)
        self._hashes = hashes
        if not await self._content_agrees(hashes, content):
            return False
        return total == UNKNOWN or written == total

    def _new_part(self, folder: str, total: int, name: str) -> tuple[PartFile, str]:
        """Blocking. The part, and the name that its file can have there. Raises TransferFailure -3000 for a name that
        cannot be, -3003 at once where the size is known to exceed the space (D-17).
        """
        task = self._current()
        if folder in (self._default_folder, self._parts_folder):
            with contextlib.suppress(OSError):  # create says better what is wrong
                os.makedirs(folder, mode=0o700 if folder.endswith("/parts") else 0o777, exist_ok=True)
        mark = self._engine.database_id
        name = targets.settled(folder, name, given=bool(task.name), overwrite=task.overwrite, mark=mark)
        part = PartFile.create(folder, sync_folder=not 0 <= total < SMALL, mark=mark)
        self._unwanted.append(part)  # until it is taken: the attempt may have been stopped meanwhile
        partfile.require_fit(folder, total)
        if total > partfile.free_space(folder, total - self._stored) + self._stored:  # what is stored makes room
            raise TransferFailure(_no_space(folder, task.url))
        if total > 0:
            part.reserve(total)
        self._mount_id, self._device = partfile.mount_id(part.fd), part.identity[0]
        return part, name

    def _compressed_by_itself(self, answer: Answer) -> bool:
        """A coding on a file that is compressed by its name or type is a mislabelled file: keep it as received."""
        kind = answer.response.header("Content-Type").partition(";")[0].strip().lower()
        name = self._current().name or naming.suggested(answer.response, answer.response.url)
        return name.lower().endswith((".gz", ".tgz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".br", ".svgz")) or kind in (
            "application/gzip",
            "application/x-gzip",
            "application/zip",
            "application/x-gtar",
            "application/x-compressed-tar",
        )

    async def _receive_more(self, asked: resume.Ask, answer: Answer, judgement: resume.Judgement) -> bool:
        assert self._part is not None
        task = self._current()
        self._progress.expected = judgement.total
        whole = digests.parse(answer.response.header("Repr-Digest"))
        content = digests.parse(answer.response.header("Content-Digest"))
        hashes = _hashes(*content)
        assert task.validators is not None
        new = changed(
            task,
            validators=changed(task.validators, digests=whole or task.validators.digests),
            activity=Activity.TRANSFERRING,
            response=answer.response,
            current_url=answer.response.url,
            expected=judgement.total,
            received=self._stored,
            boot_id=partfile.boot_id(),
            mount_id=self._mount_id,
        )
        if self._announced:
            self._record(new, activity_event(new))
        else:
            self._announced = True
            self._record(new, DownloadResumedEvent(file_offset=self._stored, expected_total_bytes=judgement.total))
        if asked.overlap and not await self._agrees(asked, answer, hashes):
            if not self._may_restart:
                raise TransferFailure(
                    resume.failure_of(
                        changed(judgement, verdict=resume.Verdict.RESTART, reason=resume.CHANGED),
                        task.url,
                        answer.response.status,
                    )
                )
            await self._throw_away(resume.CHANGED)
            return False
        before = self._stored
        await self._receive(answer, self._stored, decode=False, hashes=hashes)
        if not await self._content_agrees(hashes, content):
            return False
        if self._stored == before and self._stored != judgement.total:
            raise TransferFailure(
                resume.failure_of(
                    changed(judgement, reason="The server sent nothing of what was asked for."),
                    task.url,
                    answer.response.status,
                )
            )
        # A part of an unknown whole is not the end: only a total or a 416 says so.
        return self._stored == judgement.total

    async def _agrees(self, asked: resume.Ask, answer: Answer, hashes: Hashes | None) -> bool:
        """Whether the bytes asked for again are those that are stored; nothing is written while in doubt (W13)."""
        assert self._part is not None
        stored = await asyncio.to_thread(self._part.read, asked.start, asked.overlap)
        fd = os.memfd_create("transfermon-overlap", os.MFD_CLOEXEC)
        try:
            await answer.receive(fd, 0, Progress(), length=asked.overlap, hasher=hashes)
            return os.pread(fd, asked.overlap, 0) == stored
        finally:
            os.close(fd)

    async def _receive(self, answer: Answer, offset: int, *, decode: bool, hashes: Hashes | None) -> int:
        assert self._part is not None
        self._hashes = None
        self._progress.received = offset
        most = self._configuration.maximum_bytes
        limit = max(0, most - offset) if most else None
        room = None
        if self._progress.expected == UNKNOWN:  # it may never end
            room = await self._on_disk(partfile.usable_space, self._part.folder)
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
                limit=min((bound for bound in (limit, room) if bound is not None), default=None),
            )
        except TransferFailure as failure:
            if failure.code == Code.DATA_TOO_LARGE:
                if limit is None or (room is not None and room < limit):
                    raise TransferFailure(_nearly_full(self._current())) from failure
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
        self._record(changed(self._current(), received=stored), None)
        if self._guarded and not await self._on_disk(partfile.usable_space, self._part.folder):
            self._disk_error = _nearly_full(self._current())  # others write there, too
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
        found = task.validators
        if found is None or task.expected_digest or not task.folder or (task.response and task.response.status >= 400):
            return name, ""
        head = await until_done(asyncio.to_thread(self._part.read, 0, min(self._stored, endings.FIRST_BYTES)))
        address_name = filenames.from_url(task.current_url or task.url)
        instead = endings.instead(name, address_name, found.content_type, head)
        if instead and task.named:
            await self._record(changed(task, **self._without_part()), None)
            raise TransferFailure(_not_it(instead, task.current_url or task.url))
        return (endings.as_page(name, found.content_type), instead) if instead else (name, "")

    def _name(self, part: PartFile, task: Task) -> str:
        """Blocking. The final path."""
        if self._engine.settings.note_origin and not self._configuration.is_ephemeral:
            partfile.mark_origin(part.path, without_query(task.current_url or task.url))
        return part.finish(task.name, overwrite=task.overwrite, durable=True)

    async def _deliver(self, task: Task) -> None:
        """Tell the last progress, then the completion; return when every listener has had it (D-05, D-08)."""
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
        """Compare with the digests that the caller gave and the server announced (D-18, R-20)."""
        assert self._part is not None
        if not self._wanted():
            return True
        self._tell(Activity.VERIFYING)
        for digest in self._wanted():
            algorithm, _, wanted = digest.partition(":")
            found = self._hashes.value(algorithm) if self._hashes is not None else None
            if found is None:
                found = await until_done(asyncio.to_thread(self._part.digest, algorithm, self._stored))
            if found != wanted:
                given = digest == self._current().expected_digest
                what = "expected one" if given else "one that the server announced"
                return await self._mismatch(f"The {algorithm} of the file is not the {what}.")
        return True

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


def metrics_of(task: Task, sent: Sequence[tuple[int, list[Trace]]], offset: float) -> dict[str, Any]:
    """The changes of a record that takes up attempts and their exchanges; `offset` turns their times into epochs."""
    rows = tuple(trace.row(attempt, offset) for attempt, traces in sent for trace in traces)
    redirects = sum(trace.status in REDIRECTS for _, traces in sent for trace in traces[:-1])
    return {
        "transactions": (*task.transactions, *rows)[-MOST_KEPT:],
        "redirect_count": task.redirect_count + redirects,
    }


def _hashes(*wanted: str) -> Hashes | None:
    names = digests.algorithms(wanted)
    return Hashes(names) if names else None


def shortened(response: Response) -> Response:
    """What is kept of an error's head: fields such as a realm may be as long as the server likes (FAULTS C24)."""
    return dataclasses.replace(response, headers=tuple((name, value[:500]) for name, value in response.headers[:32]))


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


def _full(missing: int, url: str) -> TransferError:
    return TransferError(
        code=Code.CANNOT_WRITE_FILE,
        message=f"The disk is full: {max(missing, 100_000) / 1e6:,.1f} MB more are needed.",
        reason="disk.full",
        hint="Free some space.",
        url=redacted(url),
        retry=Retry.RETRY,
    )


def _nearly_full(task: Task) -> TransferError:
    """Of an answer that does not say how long it is."""
    return TransferError(
        code=Code.CANNOT_WRITE_FILE,
        message="The disk is full but for a reserve, and the server does not say how long the file is.",
        reason="disk.full",
        hint="Free some space.",
        url=redacted(task.url),
        retry=Retry.RETRY,
    )


def _no_space(folder: str, url: str) -> TransferError:
    return TransferError(
        code=Code.CANNOT_WRITE_FILE,
        message=f"The file is larger than the free space in {folder}.",
        reason="disk.full",
        hint="Free some space or choose another folder, then retry.",
        url=redacted(url),
    )
