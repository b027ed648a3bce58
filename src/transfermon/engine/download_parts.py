"""The part files of a download while it runs: opened, kept on the disk from checkpoint to
checkpoint, let go.

Rule: a file goes before the record forgets it, and a record names a file before bytes are in it: a
crash in between leaves a record of what is gone, and no file without a record.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from transfermon.engine.attempt import Attempt
from transfermon.engine.disk_waits import DiskCalls
from transfermon.engine.part_ranges import PartRanges
from transfermon.http import parts
from transfermon.model import ranges
from transfermon.model.errors import Retry, TransferError, TransferFailure
from transfermon.model.events import DownloadResumedEvent
from transfermon.model.ranges import Ranges
from transfermon.model.task import StoredPart, Task, changed
from transfermon.storage import disk_failures, disk_space, linux_calls, part_names
from transfermon.storage.part_file import PartFile, PartMissing
from transfermon.wire.cancellation import until_done

log = logging.getLogger(__name__)
T = TypeVar("T")
SMALL = 256 * 1024  # below this a crash costs less than a directory sync
# what a record says that has no part
_NO_PART = {"part_path": "", "received": 0, "ranges": (), "validators": None}


class DownloadParts:
    """The part that an attempt goes on with, the older one beside it, and those that no record
    names any more.
    """

    def __init__(self, attempt: Attempt, default_folder: Callable[[], str]) -> None:
        self._attempt = attempt
        self._default_folder = default_folder
        self.part: PartFile | None = None  # that it goes on with
        self.stored = 0  # right bytes in it, from the first one on
        self.ranges: PartRanges | None = None  # where several connections write, or wrote
        self.mount_id = 0  # of it
        # of a sync that failed, or of a disk that others fill
        self.error: TransferError | None = None
        self.guarded = False  # the length is not known: a reserve of the disk is kept
        self._synced = 0  # bytes
        self._synced_ranges: Ranges = ()
        self._base = 0  # what was stored before this attempt brought anything
        self._device = 0
        # no record names them (any more): deleted at the latest in `let_go`
        self._unwanted: list[PartFile] = []
        self._calls = DiskCalls()
        self._syncing: asyncio.Future[None] | None = None
        self._one_at_a_time = asyncio.Lock()  # a later checkpoint must not be recorded first

    def __repr__(self) -> str:
        return f"<DownloadParts {self.part} {self.stored} stored, {self._synced} synced>"

    @property
    def at_hand(self) -> PartFile:
        assert self.part is not None
        return self.part

    @property
    def kept(self) -> int:
        """Right bytes in it, wherever they are."""
        return ranges.received(self.ranges.snapshot()) if self.ranges else self.stored

    @property
    def temporary_folder(self) -> str:
        """Of parts whose files go to no folder."""
        return os.path.join(self._attempt.engine.state_dir, "parts")

    async def on_disk(self, call: Callable[..., T], *arguments: Any) -> T:
        """A call that blocks, awaited to the end even when we are cancelled."""
        return await self._calls.run(lambda: call(*arguments))

    async def wait_for_disk(self, answer: Awaitable[T]) -> T:
        """Another thread's work on the disk; whoever looks for silent ones hears of it."""
        return await self._calls.wait_for(answer)

    def is_default(self, folder: str) -> bool:
        """Whether the folder is one that is made where it is missing. Blocking, the first time."""
        return folder == self.temporary_folder or folder == self._default_folder()

    @property
    def silence(self) -> float:
        """Seconds for which the disk that the file goes to has not answered."""
        transport = self._attempt.engine.transport
        pumped = (
            transport.pumps.hung_on(self._device) if transport is not None and self._device else 0.0
        )
        return max(pumped, self._calls.silence)

    # ---- opening

    async def open(self) -> None:
        """Go on with the part of the record, or with the older one; with neither the download
        starts over.
        """
        lost = await self._reopened()
        task = self._attempt.task
        older = task.older_part
        goes_on = older is not None and (
            bool(lost) or parts.goes_on(task.validators, self.kept, older)
        )
        if goes_on and await self.take_the_older():
            lost = await self._reopened()
        if lost:
            self._announce_restart(lost)
        elif self.part is not None:
            await self._sync_what_no_record_says()
        self._base = self.kept
        progress = self._attempt.progress
        # nobody is told of these as new bytes
        progress.received = progress.told = self.kept
        await self._drop_surpassed(self.kept)

    async def _reopened(self) -> str:
        """Open the part at hand, if there is one; why nothing of it can be used, or ""."""
        task = self._attempt.task
        if not task.part_path:
            return ""
        try:
            await self.on_disk(self._reopen, task)
        except PartMissing as missing:
            return str(missing)  # gone, or there and not ours any more
        return (
            "The part that was stored is shorter than it was."
            if task.received > 0 and self.stored == 0
            else ""
        )

    async def _sync_what_no_record_says(self) -> None:
        """The length of the part, or its map, may tell of more than was synced when the process
        died. Raises TransferFailure.
        """
        task = self._attempt.task
        self._synced, self._synced_ranges = task.received, task.ranges
        if self.kept > task.received:
            await self.sync()
        self._synced = self.kept
        self._synced_ranges = self.ranges.snapshot() if self.ranges else ()

    def _reopen(self, task: Task) -> None:
        """Blocking. Keeps the result itself, so that none is lost when the attempt is stopped
        meanwhile.
        """
        place = (task.boot_id, task.mount_id)
        if task.ranges:
            self.part, found = PartFile.reopen_ranges(task.part_path, task.ranges, *place)
            self.stored = ranges.prefix(found)
            if not ranges.is_one_prefix(found):
                self.ranges = PartRanges(task.expected, found, self._attempt.progress)
                self._map_anew(self.ranges)
        else:
            self.part, self.stored = PartFile.reopen(task.part_path, task.received, *place)
        self.mount_id, self._device = linux_calls.mount_id(self.part.fd), self.part.identity[0]

    async def take_the_older(self) -> bool:
        """Go on with the older part; what the newer one holds stays beside it. False where the
        older one is gone.
        """
        task, older, part = self._attempt.task, self._attempt.task.older_part, self.part
        assert older is not None
        if not os.path.lexists(older.path):
            self._attempt.record(changed(task, older_part=None), None)
            return False
        self.part = None
        if part is not None:
            await self.settle()
            if self.stored:
                await asyncio.to_thread(part.close)
            else:  # no record will name it
                self._unwanted.append(part)
                await self.discard_unwanted()
        task = self._attempt.task
        if not task.ranges:
            task = changed(task, received=self.stored)
        self._forget_ranges()
        self._attempt.record(parts.exchanged(task), None)
        self.stored = self._synced = 0
        return True

    def _announce_restart(self, reason: str) -> None:
        task = self._attempt.task
        self._attempt.record(
            changed(task, restarts=task.restarts + 1, **self.without_part()),
            DownloadResumedEvent(file_offset=0, expected_total_bytes=task.expected, reason=reason),
        )
        self._attempt.announced = True

    # ---- a new part in place of the one at hand

    async def begin(self, folder: str, total: int, name: str) -> str:
        """A new, empty part is the one at hand. The name that its file can have there. Raises
        TransferFailure -3000 for a name that cannot be, -3003 at once where the size is known to
        exceed the space (D-17).
        """
        part, name, place = await self.on_disk(
            _new_part, self._attempt, self.is_default, folder, total, name, self._unwanted
        )
        self._forget()
        self.part = part
        self.mount_id, self._device = place
        self._unwanted.remove(part)
        return name

    async def put_aside(self, *, keeps: bool) -> StoredPart | None:
        """Close the part at hand before a new one is made; what of the task's parts is to be kept,
        at most one.

        What is not kept is deleted before the record forgets it.
        """
        task, part = self._attempt.task, self.part
        if part is None:
            return task.older_part
        older = task.older_part
        if keeps and (older is None or older.received < self.stored):
            if self.kept != self._synced:
                await self.sync()
            if older is not None:
                await self.remove(older.path)
            stored = self.ranges.recorded(self.ranges.snapshot()) if self.ranges else ()
            older = parts.newer(changed(task, received=self.stored, ranges=stored))
            self._forget_ranges()
            self.part = None
            await asyncio.to_thread(part.close)
        else:
            self._unwanted.append(part)
            self.part = None
            await self.discard_unwanted()
        return older

    def without_part(self) -> dict[str, Any]:
        """The changes of a record that loses its part."""
        wasted = self._attempt.task.wasted + self._forget()
        return _NO_PART | {"wasted": wasted}

    def _forget(self) -> int:
        """Start over at zero; returns how many bytes that wastes."""
        wasted, self.stored, self._synced, self._base = self.kept, 0, 0, 0
        self._forget_ranges()
        self._attempt.progress.received = self._attempt.progress.told = 0
        if self.part is not None:
            self._unwanted.append(self.part)
            self.part = None
        return wasted

    async def discard_unwanted(self) -> None:
        """Before the record forgets them: a crash in between leaves a record of what is gone, and
        no orphan.
        """
        while self._unwanted:
            try:
                await until_done(asyncio.to_thread(self._unwanted.pop().discard))
            except TransferFailure as failure:
                log.warning("a part stays: %s", failure)

    async def remove(self, path: str) -> None:
        try:
            await self.on_disk(part_names.remove_part, path)
        except TransferFailure as failure:
            log.warning("%s stays: %s", path, failure)

    async def _drop_surpassed(self, stored: int) -> None:
        """The older part goes when the one at hand holds more bytes. Its file goes first: a crash
        in between leaves a record of a file that is gone, and no file without a record.
        """
        older = self._attempt.task.older_part
        if older is not None and stored > older.received:
            await self.remove(older.path)
            self._attempt.record(changed(self._attempt.task, older_part=None), None)

    # ---- several connections

    def share(self, total: int) -> PartRanges:
        """The ranges of the part at hand, which begin with what is stored."""
        if self.ranges is None:
            stored = ((0, self.stored, total),)
            self.ranges = PartRanges(total, stored, self._attempt.progress)
        self.ranges.join()
        return self.ranges

    async def scatter(self) -> None:
        """From now on bytes may be stored behind others that are to come: durable when this
        returns, so that nobody takes the length of the part for its progress.
        """
        found = self.ranges
        assert found is not None
        await self.on_disk(self._map_anew, found)
        await self.checkpoint()
        await self._attempt.record(changed(self._attempt.task, ranges=self._synced_ranges), None)

    def _map_anew(self, found: PartRanges) -> None:
        """Blocking. A new map tells of what comes from now on."""
        try:
            found.scatter(self.at_hand)
        except TransferFailure as failure:
            log.warning("the last checkpoint counts alone: %s", failure)

    def as_recorded(self) -> dict[str, Any]:
        """What a record says of what is stored while it goes on: nothing new where only a map tells
        of it, which is not synced.
        """
        if self.ranges is None or not self.ranges.scattered:
            return {"received": self.kept, "ranges": ()}
        known = self._attempt.task.ranges
        return {"received": ranges.received(known), "ranges": known}

    async def gather(self) -> int:
        """All bytes are there in their order, or only the first ones are to be kept: durable when
        this returns. How many others that drops, of which nobody may have been told in an attempt
        that goes on.
        """
        found = self.ranges
        if found is None:
            return 0
        self.stored = ranges.prefix(found.snapshot())
        if not found.scattered:
            self._forget_ranges()
            return 0
        dropped = self.kept - self.stored
        await self.on_disk(self.at_hand.cut, self.stored)
        await self.sync()
        self._forget_ranges()
        self._synced = self._attempt.progress.received = self.stored
        if dropped:
            self._attempt.progress.told = self.stored
        task = self._attempt.task
        wasted = task.wasted + dropped
        await self._attempt.record(
            changed(task, received=self.stored, ranges=(), wasted=wasted), None
        )
        part_names.remove_map(self.at_hand.path)
        return dropped

    def _forget_ranges(self) -> None:
        """The map goes with the part, or when it is opened again."""
        if self.ranges is not None:
            self.ranges.close()
        self.ranges, self._synced_ranges = None, ()

    # ---- keeping

    async def checkpoint(self) -> None:
        """What arrived until now survives a power cut when this returns and the change is durable
        (W4).
        """
        async with self._one_at_a_time:
            await self._checkpoint()

    async def _checkpoint(self) -> None:
        stored, found = self._attempt.progress.received, self.ranges
        snapshot: Ranges = ()
        if found is not None:
            snapshot = found.snapshot()
            stored = ranges.received(snapshot)
            snapshot = found.recorded(snapshot)
        if self.part is None or (stored == self._synced and snapshot == self._synced_ranges):
            return
        self._syncing = asyncio.ensure_future(self.sync())
        await asyncio.shield(self._syncing)
        self._synced, self._synced_ranges = stored, snapshot
        task = self._attempt.task
        known = task.evidence
        if stored > self._base:
            known = changed(known, brought=stored - self._base)
            if task.older_part is None or stored > task.older_part.received:
                # a plain answer that breaks here would have to begin again
                known = changed(known, no_ranges="")
        self._attempt.record(changed(task, received=stored, ranges=snapshot, evidence=known), None)
        await self._drop_surpassed(stored)
        if self.guarded and not await self.on_disk(disk_space.usable_space, self.part.folder):
            # others write there, too
            self.error = disk_failures.nearly_full(self._attempt.task.url)
            raise TransferFailure(self.error)

    async def sync(self) -> None:
        """Raises TransferFailure, also for one that failed before: no later one tells of it (W9)."""
        if self.error is not None:
            raise TransferFailure(self.error)
        try:
            await self.on_disk(self.at_hand.sync)
        except TransferFailure as failure:
            self.distrust(failure.error)
            raise

    def distrust(self, error: TransferError) -> None:
        """A sync failed: a later one would succeed and mean nothing. Only the last checkpoint is
        believed; what came after it is fetched again, once (W9).
        """
        self.error = changed(error, retry=Retry.RESTART) if error.reason == "disk.io" else error
        synced, task = self._synced_ranges, self._attempt.task
        self._forget_ranges()
        self.stored = ranges.prefix(synced) if synced else self._synced
        self._attempt.record(
            changed(task, received=self._synced, ranges=synced, boot_id="", mount_id=0), None
        )

    async def settle(self) -> None:
        """No thread touches the part when this returns."""
        if self._syncing is not None:
            await asyncio.wait({self._syncing})

    async def let_go(self, *, named: bool) -> None:
        """Store what arrived and close the part, whatever happened. `named`: it is being given its
        final name.
        """
        part = self.part
        if part is None:
            return
        await self.settle()
        try:
            if self.error is None:
                if self.ranges is None:  # else what comes once more was counted once
                    self._attempt.progress.received = self.stored
                await self.checkpoint()
        except TransferFailure:
            log.exception("what arrived last could not be synced")
        finally:
            self.part = None
            if self.ranges is not None:
                self.ranges.close()
            await asyncio.to_thread(part.close)
        task = self._attempt.task
        if not named and parts.goes_on(task.validators, task.received, task.older_part):
            # the longer one is what is stored, for whoever asks
            self._attempt.record(parts.exchanged(task), None)
            await self._drop_surpassed(self._attempt.task.received)


def _new_part(
    attempt: Attempt,
    is_default: Callable[[str], bool],
    folder: str,
    total: int,
    name: str,
    unwanted: list[PartFile],
) -> tuple[PartFile, str, tuple[int, int]]:
    """Blocking: the part, the name that its file can have, and its mount and device. Until it is
    taken it is one of the `unwanted`: the attempt may have been stopped meanwhile.
    """
    task, engine = attempt.task, attempt.engine
    if not os.path.isdir(folder) and is_default(folder):
        with contextlib.suppress(OSError):  # create says better what is wrong
            os.makedirs(folder, mode=0o700 if folder.endswith("/parts") else 0o777, exist_ok=True)
    mark = engine.database_id
    name = engine.targets.settled(
        folder, name, given=task.named, overwrite=task.overwrite, mark=mark
    )
    part = PartFile.create(folder, sync_folder=not 0 <= total < SMALL, mark=mark)
    unwanted.append(part)
    disk_space.require_fit(folder, total)
    if total > disk_space.free_space(folder, total):
        raise TransferFailure(disk_failures.larger_than_the_space(folder, task.url))
    if total > 0:
        part.reserve(total)
    return part, name, (linux_calls.mount_id(part.fd), part.identity[0])
