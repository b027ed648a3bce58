"""An upload that can go on where it was: an upload resource is made, asked where it stands, and
given the rest.

Rule: no two requests at the same time (U-23). What an answer means is decided in `rules` and
`receipts`.
"""

from __future__ import annotations

import asyncio
from functools import partial

from transfermon.engine.task_calls import own_headers
from transfermon.engine.upload_attempt import UploadAttempt
from transfermon.engine.upload_requests import Heard
from transfermon.http.upload_protocols import receipts, rules
from transfermon.http.upload_protocols.rules import Next
from transfermon.model import upload_protocol
from transfermon.model.errors import TransferError, TransferFailure
from transfermon.model.task import (
    PLAIN_UPLOAD,
    UNKNOWN,
    Origin,
    Response,
    Task,
    UploadResource,
    changed,
)
from transfermon.model.upload_protocol import IETF, PLAIN
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
        upload, offset = self._attempt.task.upload, -1
        if upload is not None and upload.expires and self._attempt.engine.now() >= upload.expires:
            upload = None  # U-19
        stuck = 0
        # what the server said to the last byte, while it is asked what it has
        final: Heard | None = None
        while True:
            if upload is None:
                made = await self._create()
                if isinstance(made, bool):
                    return made
                upload, offset, final = made, 0, None
            appended = offset >= 0
            if appended:
                upload, step, heard = await self._append(upload, offset)
                final = (
                    heard
                    if step.next is Next.ASK and rules.may_be_last(upload, heard.response)
                    else None
                )
            else:
                heard = await self._attempt.lines.exchange("HEAD", upload.url, rules.query(upload))
                step = rules.judge_query(upload, heard.response, given=self._attempt.handed)
                if (
                    final is not None
                    and (ended := receipts.confirm(step, upload, heard.response)) is not None
                ):
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
                    less = rules.smaller(upload, upload.tried, heard.response)
                    if less is None:
                        self._attempt.fail(heard, None)
                    upload = less
                    continue
                case Next.FAIL:
                    self._attempt.fail(heard, step.error)
            if not appended:
                upload = rules.after_cut(upload, step.offset)
                if self._attempt.given == UNKNOWN:
                    self._attempt.given = step.offset
            stuck = 0 if step.offset > upload.offset else stuck + appended
            if stuck >= rules.MISMATCHES:
                self._attempt.fail(heard, rules.conflict(heard.response, stuck=True))
            final, offset = None, step.offset
            upload = changed(upload, offset=offset, tried=0)
            self._attempt.record(changed(self._attempt.task, upload=upload, sent=offset), None)

    async def _append(
        self, upload: UploadResource, offset: int
    ) -> tuple[UploadResource, rules.Step, Heard]:
        assert self._attempt.file is not None
        end, last = rules.piece(upload, offset)
        self._attempt.began(offset)
        unmarked = (upload.tried, upload.given) != (end - offset, UNKNOWN)
        upload = changed(upload, offset=offset, tried=end - offset, given=UNKNOWN)
        if unmarked:
            marked = self._attempt.record(changed(self._attempt.task, upload=upload), None)
            if not self._attempt.begun:
                # durable before the first byte: after a crash nobody knows how many went out
                await marked
        self._attempt.begun = True
        body = self._attempt.file.body(offset, end)
        headers = rules.append(upload, offset, last=last)
        heard = await self._attempt.lines.exchange("PATCH", upload.url, headers, body)
        step = rules.judge_append(
            upload,
            end,
            heard.response,
            heard.text,
            last=last,
            sent=self._attempt.progress.received,
            given=self._attempt.handed,
        )
        return upload, step, heard

    async def _create(self) -> UploadResource | bool:
        """Durable before any data is sent (U-15). True when the answer was the task's result, False
        when the server offers nothing that can go on.
        """
        assert self._attempt.file is not None
        task = self._attempt.task
        digest = ""
        if self._attempt.configuration.upload_digests:
            digest = await until_done(asyncio.to_thread(self._attempt.file.digest))
        _, asked = upload_protocol.parse(task.wanted_protocol or task.protocol)
        url = task.url if task.protocol == upload_protocol.TUS else rules.target(task)
        versions = [asked] if asked else list(self._attempt.engine.interops.order(url))
        if task.protocol == upload_protocol.TUS:
            versions = [upload_protocol.INTEROP]
        while True:
            version = versions.pop(0)
            found, heard = await self._created(task, url, version, digest)
            if isinstance(found, UploadResource):
                break
            named = rules.version_of(heard.response)
            if named in versions:
                versions = [named]
            elif not versions or not rules.another_version(heard.response, version):
                return self._not_created(heard)
        if task.protocol == IETF:
            self._attempt.engine.interops.heard(url, version)
        if limit := rules.too_large(
            self._attempt.file.size, rules.limits(heard.response.header("Upload-Limit")), task.url
        ):
            raise TransferFailure(limit)
        self._attempt.given = self._attempt.progress.received = 0
        found = changed(found, tried=rules.piece(found, 0)[0])
        await self._attempt.record(
            changed(self._attempt.task, upload=found, sent=0, not_resumable=""), None
        )
        return found

    async def _created(
        self, task: Task, url: str, version: str, digest: str
    ) -> tuple[UploadResource | None, Heard]:
        assert self._attempt.file is not None
        own = {
            name.lower(): value for name, value in own_headers(self._attempt.engine, task).items()
        }
        method, headers = rules.creation(
            task.protocol,
            self._attempt.file.size,
            version=version,
            name=task.name,
            media_type=own.get("content-type", ""),
            digest=digest,
        )
        headers = {name: value for name, value in headers.items() if name.lower() not in own}
        interim: list[UploadResource] = []
        listen = (
            partial(self._attempt.hear_announcement, interim.append, version)
            if task.protocol == IETF
            else None
        )
        heard = await self._attempt.lines.exchange(
            method or task.method, url, headers, on_interim=listen
        )
        found = rules.created(
            task.protocol,
            heard.response,
            self._attempt.file.size,
            self._attempt.engine.now(),
            version=version,
        )
        if isinstance(found, TransferError):
            raise TransferFailure(found)
        if found is not None:
            found = changed(found, confined=heard.confines)
        elif interim and (200 <= heard.response.status < 300 or heard.response.status >= 500):
            found = interim[-1]
        if found is not None and found.elsewhere and task.origin is not Origin.TYPED:
            raise TransferFailure(rules.refused_elsewhere(found.url))
        return found, heard

    def _not_created(self, heard: Heard) -> bool:
        """Nothing that can go on here: an answer to who insists on it, else the file goes whole."""
        task, response = self._attempt.task, heard.response
        if upload_protocol.decided(task.wanted_protocol):
            if response.status < 400:
                raise TransferFailure(rules.not_offered(response))
        elif rules.may_go_whole(task.protocol, response):
            self._attempt.record(changed(task, protocol=PLAIN, not_resumable=PLAIN_UPLOAD), None)
            return False
        self._attempt.take(heard)
        return True

    def _start_over(self, response: Response, upload: UploadResource) -> None:
        if self._attempt.task.renewed:
            raise TransferFailure(rules.gone(response.status, upload.url))
        self._attempt.record(changed(self._attempt.task, upload=None, renewed=True, sent=0), None)
