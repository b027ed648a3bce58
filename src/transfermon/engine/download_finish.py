"""The end of a download: a whole part gets its final name, and everybody is told; also when a crash
came in between.

Rule: before the final name appears, the wish to give it is durable.
"""

from __future__ import annotations

import asyncio
import os

from transfermon.engine.attempt import Attempt
from transfermon.engine.download_parts import SMALL, DownloadParts
from transfermon.http import endings, filenames
from transfermon.http.addresses import check_url, without_query
from transfermon.model.errors import Code, TransferError, TransferFailure, redacted
from transfermon.model.events import DownloadCompletedEvent, DownloadProgressEvent, activity_event
from transfermon.model.task import Activity, Task, changed
from transfermon.storage import file_identity, final_name, finish_state, held_folder, part_names
from transfermon.storage.finish_state import FinishState
from transfermon.storage.finished_file import Blob
from transfermon.storage.part_file import PartFile


class Finish:
    """Of one attempt."""

    def __init__(self, attempt: Attempt, parts: DownloadParts) -> None:
        self._attempt = attempt
        self._parts = parts
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
            return False
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

    async def _close_finished(self, task: Task) -> None:
        self.sealed = True
        await asyncio.to_thread(held_folder.sync_folder, os.path.dirname(task.final_path))
        identity = await asyncio.to_thread(file_identity.identity_at, task.final_path)
        await self._deliver(
            changed(task, part_path="", final_identity=identity, activity=Activity.FINALIZING)
        )

    # ---- the name

    async def give_name(self) -> None:
        """The part at hand is whole."""
        name, instead = await self._what_came()
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
        head = await self._parts.on_disk(self._parts.at_hand.read, 0, size)
        address_name = filenames.from_url(task.current_url or task.url)
        instead = endings.instead(name, address_name, found.content_type, head)
        if instead and task.named:
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

    async def _deliver(self, task: Task) -> None:
        """Tell the last progress, then the completion; return when every listener has had it (D-05,
        D-08).
        """
        if task.older_part is not None:
            await self._parts.remove(task.older_part.path)
            task = changed(task, older_part=None)
        progress = self._attempt.progress
        told, progress.told = progress.told, task.expected
        self._attempt.record(
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
        self._attempt.record(
            task,
            DownloadCompletedEvent(
                data=blob, location=task.final_path, suggested_filename=task.name
            ),
            delivered=lambda: delivered.set_result(None),
        )
        await delivered
        if blob.is_temporary:
            await asyncio.to_thread(blob.expire)


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
