"""The end of a download: a whole part gets its final name, and everybody is told; also when a crash
came in between.

Rule: before the final name appears, the wish to give it is durable.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial

from transfermon.engine.attempt import Attempt, UntoldEnd
from transfermon.engine.download_parts import SMALL, DownloadParts
from transfermon.engine.small_download import SmallDownload
from transfermon.http import endings, filenames
from transfermon.http.addresses import check_url, without_query
from transfermon.model.errors import Code, TransferError, TransferFailure, redacted
from transfermon.model.events import DownloadCompletedEvent, DownloadProgressEvent, activity_event
from transfermon.model.task import Activity, Task, changed
from transfermon.storage import (
    file_identity,
    final_name,
    finish_state,
    held_folder,
    part_names,
    small_parts,
)
from transfermon.storage.finish_state import FinishState
from transfermon.storage.finished_file import Blob
from transfermon.storage.part_file import PartFile


class Finish:
    """Of one attempt."""

    def __init__(self, attempt: Attempt, parts: DownloadParts, small: SmallDownload) -> None:
        self._attempt = attempt
        self._parts = parts
        self._small = small
        self.untold: UntoldEnd | None = None  # the end that the run records
        self.sealed = False  # the final name is being given: too late to stop (T-08)

    def __repr__(self) -> str:
        return f"<Finish of {self._attempt.task.key}{' sealed' if self.sealed else ''}>"

    # ---- when the engine ended in the middle of it

    async def was_finished(self) -> bool:
        """Whether the engine ended after the final name was given and before everybody was told;
        then it is told now.

        Raises TransferFailure -1100 where the name was being given and neither part nor file is
        left (W12).
        """
        task = self._attempt.task
        if task.named_path:  # the event is stored; the session has told it again
            self.sealed = True
            return True
        if not task.part_path:
            return await self._was_filed(task)
        if task.final_path:
            return await self._was_named(task)
        if os.path.lexists(task.part_path):
            return False
        folder = os.path.dirname(task.part_path)
        path = finish_state.find_renamed_part(folder, task.part_inode, task.expected)
        if not path:
            return False
        await self._close_finished(changed(task, final_path=path, received=task.expected))
        return True

    async def _was_filed(self, task: Task) -> bool:
        """Whether the small part of the task has its final name."""
        filer = self._attempt.engine.filer
        if not filer.may_be_named(task):
            return False
        part = filer.part_of(task)
        found = await asyncio.to_thread(small_parts.named_file, part)
        if found is None:
            filer.forget(part)
            return False
        filer.remember(part)
        now = self._attempt.engine.now()
        task = changed(
            self._attempt.task,
            name=task.name or os.path.basename(found.path),
            started=task.started or now,
            attempt=max(1, task.attempt),
            final_path=found.path,
            expected=found.size,
            received=found.size,
        )
        await self._close_finished(task, filed=part)
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
            await self._attempt.record(
                changed(task, final_path="", **self._parts.without_part()), None
            )
            raise TransferFailure(_vanished(task))
        if state is FinishState.REPEAT:
            if not task.overwrite:
                await asyncio.to_thread(finish_state.drop_claim, task.part_path, task.final_path)
            return False
        if state is FinishState.DONE_REMOVE_PART:
            await asyncio.to_thread(part_names.remove_part, task.part_path)
        await self._close_finished(task)
        return True

    async def _close_finished(self, task: Task, *, filed: str = "") -> None:
        self.sealed = True
        await asyncio.to_thread(held_folder.sync_folder, os.path.dirname(task.final_path))
        identity = await asyncio.to_thread(file_identity.identity_at, task.final_path)
        await self._deliver(
            changed(task, part_path="", final_identity=identity, activity=Activity.FINALIZING),
            filed=filed,
        )

    # ---- the name

    async def give_name(self) -> None:
        """What came is whole: in the part at hand, or in memory."""
        name, instead = await self._what_came()
        if self._small.whole is not None:
            if await self._file_small(name, instead):
                return
            name = self._attempt.task.name
        part, size, final = self._parts.at_hand, self._parts.stored, ""
        task = self._attempt.task
        # a small file is known again by its size and inode
        recorded = size >= SMALL or size != task.expected
        if recorded:
            await self._parts.sync()
            # The name is settled before it is given: another file of that name must not be taken
            # for ours (W12).
            free = name if task.overwrite else await self._parts.on_disk(part.free_name, name)
            final = os.path.join(part.folder, free)
        # No await from here to the record: a command comes before it and ends the attempt, or too
        # late (T-08).
        self.sealed = True
        task = changed(
            self._attempt.task,
            activity=Activity.FINALIZING,
            expected=size,
            received=size,
            name=name,
            instead=instead,
            final_path=final,
            **self._attempt.metrics(),
        )
        self._attempt.progress.expected = size
        durable = self._attempt.record(task, activity_event(task), store=recorded)
        if recorded:
            await durable
        try:
            path = await self._parts.on_disk(self._name, part, task)
        except TransferFailure as failure:
            if failure.code == Code.CANNOT_WRITE_FILE:
                self._parts.distrust(failure.error)
            if os.path.lexists(part.path) or not os.path.lexists(final):
                # else only the folder's sync failed: the next attempt finds the file
                self._attempt.record(changed(self._attempt.task, final_path=""), None)
            raise
        self._parts.part = None
        identity = part.identity
        part.close()  # nothing is dirty any more: this does not wait for the disk
        await self._deliver(
            changed(self._attempt.task, final_path=path, final_identity=identity, part_path="")
        )

    async def _file_small(self, name: str, instead: str) -> bool:
        """Hand it to the filer. False where the ordinary way goes on with it, in a part."""
        small, size = self._small, self._parts.stored
        # no await before this record, as in `give_name`
        self.sealed = True
        task = changed(
            self._attempt.task,
            activity=Activity.FINALIZING,
            received=size,
            name=name,
            instead=instead,
            **self._attempt.metrics(),
        )
        self._attempt.record(task, None, store=False)
        one = await small.give_name(name)
        if one is None:
            await small.move_to_part()
            return False
        ended = {"name": one.name, "final_path": one.path, "final_identity": one.identity}
        if self._attempt.engine.bus.listens(DownloadCompletedEvent.type):
            await self._deliver(changed(self._attempt.task, **ended), filed=one.part_path)
            return True
        task = changed(self._attempt.task, **ended)
        events = (self._last_progress(task), _completed(task, Blob.of(task)))
        self.untold = UntoldEnd(events=events, changes=ended, part=one.part_path)
        return True

    async def _what_came(self) -> tuple[str, str]:
        """The final name, and what came in place of the file that it promises: a page that asks to
        sign in, under 200.

        Such a page gets the ending of a page. Raises TransferFailure where the name was given: then
        nothing gets it.
        """
        task = self._attempt.task
        name = task.name or "download"
        if task.instead:  # the engine ended after it was judged
            name = os.path.splitext(name)[0]
        whole = self._small.whole
        found = task.validators
        if found is None or not endings.is_page_type(found.content_type):
            return name, ""
        if (
            task.expected_digest
            or not task.folder
            or (task.response and task.response.status >= 400)
        ):
            return name, ""
        size = min(self._parts.stored, endings.FIRST_BYTES)
        head = (
            await self._parts.on_disk(self._parts.at_hand.read, 0, size)
            if whole is None
            else bytes(whole[:size])
        )
        address_name = filenames.from_url(task.current_url or task.url)
        instead = endings.instead(name, address_name, found.content_type, head)
        if instead and task.named:
            self._small.drop()
            await self._attempt.record(changed(task, **self._parts.without_part()), None)
            raise TransferFailure(_not_it(instead, task.current_url or task.url))
        return (endings.as_page(name, found.content_type), instead) if instead else (name, "")

    def _name(self, part: PartFile, task: Task) -> str:
        """Blocking. The final path."""
        if (
            self._attempt.engine.settings.note_origin
            and not self._attempt.configuration.is_ephemeral
        ):
            final_name.mark_origin(
                part.path, without_query(check_url(task.current_url or task.url))
            )
        return part.finish(task.name, overwrite=task.overwrite, durable=True)

    async def _deliver(self, task: Task, *, filed: str = "") -> None:
        """Tell the last progress, then the completion; return when every listener has had it (D-05,
        D-08). `filed` is a small part whose own name goes when that is durable.
        """
        if task.older_part is not None:
            await self._parts.remove(task.older_part.path)
            task = changed(task, older_part=None)
        self._attempt.record(None, self._last_progress(task))
        blob = Blob.of(task)
        delivered = asyncio.get_running_loop().create_future()
        durable = self._attempt.record(
            task, _completed(task, blob), delivered=lambda: delivered.set_result(None)
        )
        if filed:
            durable.add_done_callback(partial(self._attempt.engine.filer.forget_after, filed))
        await delivered
        if filed:
            gone = asyncio.Event()
            self._attempt.engine.filer.when_gone(filed, gone.set)
            await gone.wait()
        if blob.is_temporary:
            await asyncio.to_thread(blob.expire)

    def _last_progress(self, task: Task) -> DownloadProgressEvent:
        progress = self._attempt.progress
        told, progress.told = progress.told, task.expected
        return DownloadProgressEvent(
            task=task,
            bytes_written=max(0, task.expected - told),
            total_bytes_written=task.expected,
            total_bytes_expected_to_write=task.expected,
            total_known=True,
            fraction=1.0,
            attempt=task.attempt,
        )


def _completed(task: Task, blob: Blob) -> DownloadCompletedEvent:
    return DownloadCompletedEvent(data=blob, location=task.final_path, suggested_filename=task.name)


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
