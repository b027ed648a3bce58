"""An upload that can go on where it was: an upload resource is made, asked where it stands, and
given the rest.

Rule: no two requests at the same time (U-23). What an answer means is decided by the protocol and
in `receipts`.
"""

from __future__ import annotations

import asyncio
from functools import partial

from transfermon.engine.task_calls import own_headers
from transfermon.engine.upload_attempt import UploadAttempt
from transfermon.engine.upload_requests import Heard
from transfermon.http.upload_protocols import failures, pieces, receipts
from transfermon.http.upload_protocols.base import MISMATCHES, Next, ResumableProtocol, Step
from transfermon.http.upload_protocols.registry import protocol_of
from transfermon.model import upload_protocol
from transfermon.model.errors import TransferFailure
from transfermon.model.task import (
    PLAIN_UPLOAD,
    UNKNOWN,
    Response,
    UploadResource,
    changed,
)
from transfermon.model.upload_protocol import PLAIN
from transfermon.wire.body_source import Source
from transfermon.wire.call import Content
from transfermon.wire.cancellation import until_done


class ResumableUpload:
    """Of one attempt, by the protocol that the task's record names."""

    def __init__(self, attempt: UploadAttempt) -> None:
        self._attempt = attempt

    def __repr__(self) -> str:
        return f"<ResumableUpload of {self._attempt}>"

    async def send(self) -> bool:
        """U-15 to U-21; False where the server offers nothing of the kind after all, and nobody
        insists on it. No two requests at the same time: each one here has ended before the next
        (U-23).
        """
        protocol = protocol_of(self._attempt.task)
        upload, offset = self._attempt.task.upload, -1
        if upload is not None and upload.expires and self._attempt.engine.now() >= upload.expires:
            upload = None  # U-19
        stuck = 0
        # what the server said to the last byte, while it is asked what it has
        final: Heard | None = None
        while True:
            if upload is None:
                made = await self._create(protocol)
                if isinstance(made, bool):
                    return made
                upload, offset, final = made, 0, None
            appended = offset >= 0
            if appended:
                upload, step, heard = await self._append(protocol, upload, offset)
                final = (
                    heard
                    if step.next is Next.ASK and protocol.may_be_last(upload, heard.response)
                    else None
                )
            else:
                ask = protocol.question(upload)
                heard = await self._attempt.lines.exchange(ask.method, upload.url, ask.fields)
                step = protocol.judge_question(upload, heard.response, given=self._attempt.handed)
                if final is not None:
                    ended = receipts.confirm(protocol, step, upload, heard.response)
                    if ended is not None:
                        self._attempt.take(final, unconfirmed=ended.why)
                        return True
            match step.next:
                case Next.RESULT:
                    self._attempt.progress.received = max(
                        self._attempt.progress.received, step.offset
                    )
                    self._attempt.take(heard)
                    return True
                case Next.START_OVER:
                    self._start_over(heard.response, upload)
                    upload = None
                    continue
                case Next.ASK:
                    offset = -1
                    continue
                case Next.SMALLER:
                    less = pieces.smaller_pieces(
                        upload, upload.tried, protocol.limits_in(heard.response)
                    )
                    if less is None:
                        self._attempt.fail(heard, None)
                    upload = less
                    continue
                case Next.FAIL:
                    self._attempt.fail(heard, step.error)
            if not appended:
                upload = pieces.after_cut(upload, step.offset)
                if self._attempt.given == UNKNOWN:
                    self._attempt.given = step.offset
            stuck = 0 if step.offset > upload.offset else stuck + appended
            if stuck >= MISMATCHES:
                self._attempt.fail(heard, failures.conflict(heard.response, stuck=True))
            final, offset = None, step.offset
            upload = changed(upload, offset=offset, tried=0)
            self._attempt.record(changed(self._attempt.task, upload=upload, sent=offset), None)

    async def _append(
        self, protocol: ResumableProtocol, upload: UploadResource, offset: int
    ) -> tuple[UploadResource, Step, Heard]:
        assert self._attempt.file is not None
        end, last = pieces.next_piece(upload, offset)
        self._attempt.began(offset)
        unmarked = (upload.tried, upload.given) != (end - offset, UNKNOWN)
        upload = changed(upload, offset=offset, tried=end - offset, given=UNKNOWN)
        if unmarked:
            marked = self._attempt.record(changed(self._attempt.task, upload=upload), None)
            if not self._attempt.begun:
                # durable before the first byte: after a crash nobody knows how many went out
                await marked
        self._attempt.begun = True
        ask = protocol.append(upload, offset, last=last)
        heard = await self._attempt.lines.exchange(
            ask.method,
            upload.url,
            ask.fields,
            partial(self._piece, self._attempt.file, offset, end),
            length=end - offset,
        )
        step = protocol.judge_append(
            upload,
            end,
            heard.response,
            heard.text,
            last=last,
            sent=self._attempt.progress.received,
            given=self._attempt.handed,
        )
        return upload, step, heard

    def _piece(self, file: Source, offset: int, end: int) -> Content:
        """From its first byte, as often as it must be sent."""
        self._attempt.began(offset)
        return file.body(offset, end)

    async def _create(self, protocol: ResumableProtocol) -> UploadResource | bool:
        """Durable before any data is sent (U-15). True when the answer was the task's result, False
        when the server offers nothing that can go on.
        """
        assert self._attempt.file is not None
        task, spoken = self._attempt.task, self._attempt.engine.spoken_versions
        digest = ""
        if self._attempt.configuration.upload_digests:
            digest = await until_done(asyncio.to_thread(self._attempt.file.digest))
        _, asked = upload_protocol.split_name(task.wanted_protocol)
        url = protocol.creation_address(task)
        versions = [asked] if asked else list(spoken.order(url, protocol))
        while True:
            version = versions.pop(0)
            found, heard = await self._created(protocol, version, url, digest)
            if found is not None:
                break
            named = protocol.version_in(heard.response)
            if named in versions:
                versions = [named]
            elif not versions or not protocol.another_version(heard.response, version):
                return self._not_created(protocol, heard)
        spoken.heard(url, protocol, version)
        if limit := failures.too_large(
            self._attempt.file.size, protocol.limits_in(heard.response), task.url
        ):
            raise TransferFailure(limit)
        self._attempt.given = self._attempt.progress.received = 0
        found = changed(found, tried=pieces.next_piece(found, 0)[0])
        await self._attempt.record(
            changed(self._attempt.task, upload=found, sent=0, not_resumable=""), None
        )
        return found

    async def _created(
        self, protocol: ResumableProtocol, version: str, url: str, digest: str
    ) -> tuple[UploadResource | None, Heard]:
        assert self._attempt.file is not None
        task, size = self._attempt.task, self._attempt.file.size
        own = {
            name.lower(): value for name, value in own_headers(self._attempt.engine, task).items()
        }
        ask = protocol.creation(
            size,
            version=version,
            name=task.name,
            media_type=own.get("content-type", ""),
            digest=digest,
        )
        fields = {name: value for name, value in ask.fields.items() if name.lower() not in own}
        interim: list[UploadResource] = []
        heard = await self._attempt.lines.exchange(
            ask.method or task.method,
            url,
            fields,
            on_interim=partial(self._attempt.hear_announcement, interim.append, protocol, version),
        )
        found = self._attempt.check_place(
            protocol.created(heard.response, size, self._attempt.engine.now(), version=version)
        )
        if found is not None:
            found = changed(found, confined=heard.confines)
        elif interim and (200 <= heard.response.status < 300 or heard.response.status >= 500):
            found = interim[-1]
        return found, heard

    def _not_created(self, protocol: ResumableProtocol, heard: Heard) -> bool:
        """Nothing that can go on here: an answer to who insists on it, else the file goes whole."""
        task, response = self._attempt.task, heard.response
        if upload_protocol.decided(task.wanted_protocol):
            if response.status < 400:
                raise TransferFailure(failures.not_offered(response))
        elif protocol.may_go_whole(response):
            self._attempt.record(changed(task, protocol=PLAIN, not_resumable=PLAIN_UPLOAD), None)
            return False
        self._attempt.take(heard)
        return True

    def _start_over(self, response: Response, upload: UploadResource) -> None:
        if self._attempt.task.renewed:
            raise TransferFailure(failures.gone(response, upload.url))
        self._attempt.record(changed(self._attempt.task, upload=None, renewed=True, sent=0), None)
