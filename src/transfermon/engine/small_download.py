"""A small file on its way: received in memory, checked, and handed to the filer, which finishes
many in one turn.

Rule: only what a plain whole answer brings goes this way. A body that breaks off, is stopped or is
slow goes into an ordinary part with its record, and so does one that the filer does not take: from
there on it is a download like any other.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from transfermon.engine.attempt import Attempt
from transfermon.engine.download_body import ArrivingBody
from transfermon.engine.download_checks import Checks, hashes_for
from transfermon.engine.download_inquiry import Inquiry
from transfermon.engine.download_parts import SMALL, DownloadParts
from transfermon.http import digests, naming, resume
from transfermon.http.addresses import check_url, without_query
from transfermon.http.digests import Hashes
from transfermon.http.evidence import Judgement
from transfermon.model.configuration import CHECKPOINT_SECONDS
from transfermon.model.errors import TransferFailure
from transfermon.model.task import Activity, changed
from transfermon.storage import linux_calls
from transfermon.storage.filer import SmallFile, part_name
from transfermon.wire.answer import Answer
from transfermon.wire.rate_limit import Limiter

_OK = 200


class SmallDownload:
    """Of one attempt."""

    def __init__(
        self,
        attempt: Attempt,
        parts: DownloadParts,
        inquiry: Inquiry,
        checks: Checks,
        body: ArrivingBody,
        limiters: list[Limiter],
    ) -> None:
        self._attempt = attempt
        self._parts = parts
        self._inquiry = inquiry
        self._checks = checks
        self._body = body
        self._limiters = limiters
        # what the record says of the version as soon as the file is whole
        self._known: dict[str, Any] = {}
        self._entered = ""  # the folder that the filer keeps in mind for us
        self.whole: bytearray | None = None  # the file, while no part holds it

    def __repr__(self) -> str:
        return f"<SmallDownload of {self._attempt.task.key}>"

    # ---- the body

    def fits(self, answer: Answer, judgement: Judgement) -> bool:
        """Whether the answer is the whole of a small file of which nothing is known yet, for a
        folder where the filer works.
        """
        task, length = self._attempt.task, answer.content_length
        most = self._attempt.configuration.maximum_bytes
        return (
            length is not None
            and length < SMALL
            and judgement.total == length
            and not judgement.reason
            and answer.response.status == _OK
            and not answer.content_coding
            and not task.part_paths
            and task.validators is None
            and bool(task.folder)
            and not task.overwrite
            and not (most and length > most)
            and self._attempt.engine.filer.takes(task.folder)
        )

    async def receive(self, answer: Answer, judgement: Judgement) -> bool:
        """True when the file is whole and right, in memory or in a part."""
        task, response, engine = self._attempt.task, answer.response, self._attempt.engine
        if not await engine.filer.enter(task.folder):
            return await self._body.receive_whole(answer, judgement)
        self._entered = task.folder
        validators = resume.validators_of(response, decoded=False, now=engine.now())
        policy = self._attempt.configuration.resume_policy
        self._known = {"validators": validators, "evidence": self._inquiry.began_anew(response)}
        found = {
            "activity": Activity.TRANSFERRING,
            "name": task.name or naming.suggested(response, response.url),
            "response": response,
            **self._attempt.place_of(answer),
            "expected": judgement.total,
            "received": 0,
            "not_resumable": resume.why_not_resumable(validators, task.method, policy),
            "remark": "",
            "making_since": None,
        }
        progress = self._attempt.progress
        progress.expected, progress.received = judgement.total, 0
        content = digests.parse(response.header("Content-Digest"))
        wanted = tuple(filter(None, (task.expected_digest, *validators.digests)))
        hashes = hashes_for(*(wanted or validators.sums), *content)
        came = bytearray()
        if answer.gather_at_once(came, progress, limiters=self._limiters, hasher=hashes):
            return await self._judge(came, {**found, **self._known}, hashes, content)
        self._attempt.record(changed(self._attempt.task, **found), None, store=False)
        try:
            async with asyncio.timeout(CHECKPOINT_SECONDS):
                await answer.gather(came, progress, limiters=self._limiters, hasher=hashes)
        except TimeoutError:
            await self._move_to_part(came)
            return await self._body.receive_rest(answer, hashes, content)
        except TransferFailure:
            if came:
                await self._move_to_part(came)
            raise
        except asyncio.CancelledError:
            if came:
                with contextlib.suppress(TransferFailure):  # they are fetched again
                    await self._move_to_part(came)
            raise
        return await self._judge(came, self._known, hashes, content)

    async def _judge(
        self,
        came: bytearray,
        found: Mapping[str, Any],
        hashes: Hashes | None,
        announced: tuple[str, ...],
    ) -> bool:
        """All of it came; `found` is what the record says of it from now on."""
        self.whole = came
        self._parts.stored = len(came)
        # Nothing waits from here until the name is given: no record with these is stored while the
        # file is not.
        self._attempt.record(changed(self._attempt.task, **found), None, store=False)
        self._checks.hashes = hashes
        if await self._checks.body_is_right(hashes, announced):
            return True
        self.drop()
        return False

    def drop(self) -> None:
        """It is not the file."""
        self.whole = None
        self._leave()

    def _leave(self) -> None:
        if self._entered:
            self._attempt.engine.filer.leave(self._entered)
            self._entered = ""

    async def move_to_part(self) -> None:
        """The ordinary way, with the body that is here: its failures are in words."""
        assert self.whole is not None
        whole, self.whole = self.whole, None
        try:
            await self._move_to_part(whole)
        finally:
            if self._parts.part is None:
                self._forget_version()

    def _forget_version(self) -> None:
        self._attempt.record(changed(self._attempt.task, **self._parts.without_part()), None)

    async def _move_to_part(self, came: bytearray) -> None:
        task, parts, progress = self._attempt.task, self._parts, self._attempt.progress
        self._leave()
        parts.stored = 0
        received, told = len(came), progress.told
        name = await parts.begin(task.folder, task.expected, task.name)
        progress.received, progress.told = received, told  # they came once
        part = parts.at_hand
        await self._attempt.record(
            changed(
                self._attempt.task,
                **self._known,
                name=name,
                received=0,
                part_path=part.path,
                part_inode=part.inode,
                boot_id=linux_calls.boot_id(),
                mount_id=parts.mount_id,
            ),
            None,
        )
        try:
            await parts.on_disk(part.write, 0, came)
        except TransferFailure:
            parts.stored = part.length()
            raise
        parts.stored = received

    # ---- the name

    async def give_name(self, name: str) -> SmallFile | None:
        """The file under its name, durably. None where the ordinary way is to be taken. Raises
        TransferFailure where it has a name that may not be durable: the next attempt looks for it.
        """
        assert self.whole is not None
        task, engine = self._attempt.task, self._attempt.engine
        noted = engine.settings.note_origin and not self._attempt.configuration.is_ephemeral
        one = SmallFile(
            folder=task.folder,
            part=part_name(engine.database_id, task),
            name=name,
            data=self.whole,
            given=task.named,
            makes_folder=self._parts.is_default,
            origin=without_query(check_url(task.current_url or task.url)) if noted else "",
        )
        await self._parts.wait_for_disk(engine.filer.file(one))
        if one.error is None and not one.path:
            return None
        self.whole = None
        self._entered = ""  # the filer keeps it in mind until the part is forgotten
        if one.error is not None:
            engine.filer.remember(one.part_path)
            raise one.error
        return one

    def let_go(self) -> None:
        """The attempt has ended. What is still in memory then is fetched again."""
        if self.whole is not None:
            self._forget_version()
        self.drop()
