"""A body that goes at once: with a protocol's fields where a server may offer to resume it, and bare
where it is wished.

Rule: what an answer means is decided in `probing`, by the protocol, and in `receipts`.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial

from transfermon.engine.upload_attempt import UploadAttempt
from transfermon.engine.upload_choice import ProtocolChoice
from transfermon.engine.upload_requests import Body, Heard
from transfermon.engine.upload_resumable import ResumableUpload
from transfermon.http import retry
from transfermon.http.upload_protocols import failures, probing, receipts, registry
from transfermon.http.upload_protocols.base import Next, ResumableProtocol
from transfermon.http.upload_protocols.places import file_address
from transfermon.model.errors import TransferFailure
from transfermon.model.record import record
from transfermon.model.task import Kind, Response, UploadResource, changed
from transfermon.wire.body_source import Counted
from transfermon.wire.call import TAKEOVER, Content
from transfermon.wire.cancellation import until_done


@record
class Offer:
    """The protocol, and its version, whose fields go along with the body."""

    protocol: ResumableProtocol
    version: str


class WholeUpload:
    """Of one attempt; `resumable` takes over where the server offers to go on."""

    def __init__(
        self, attempt: UploadAttempt, choice: ProtocolChoice, resumable: ResumableUpload
    ) -> None:
        self._attempt = attempt
        self._choice = choice
        self._resumable = resumable
        self._counted: Counted | None = None  # the stream that goes out
        self._began_at = 0.0

    def __repr__(self) -> str:
        return f"<WholeUpload of {self._attempt}>"

    async def send(self) -> None:
        """The body at once: with a protocol's fields where a server may offer to resume it, and
        bare where it is wished. Where it may be repeated, a server that reads nothing of them in
        that version gets the one that it names, or none.
        """
        offer = self._offer()
        heard = await self._sent_whole(offer)
        if heard is not None and offer is not None:
            named = offer.protocol.version_in(heard.response)
            if named not in ("", offer.version):
                heard = await self._sent_whole(changed(offer, version=named))
            if heard is not None:
                heard = await self._sent_whole(None)
        assert heard is None

    def _offer(self) -> Offer | None:
        protocol = registry.offered_protocol() if self._choice.offers_more else None
        if protocol is None:
            return None
        url = file_address(self._attempt.task)
        version = self._attempt.engine.spoken_versions.next(url, protocol)
        return Offer(protocol=protocol, version=version)

    async def _sent_whole(self, offer: Offer | None) -> Heard | None:
        """None when all is done; else the answer of a server that perhaps only did not understand
        the protocol's fields.
        """
        task = self._attempt.task
        if not retry.repeatable(task.method, task.header_names):
            # durable before the first byte (U-10)
            await self._attempt.record(changed(task, exposed=True), None)
        content: Body = None
        if self._attempt.file is not None or self._attempt.stream:
            content = self._content
        elif self._attempt.stream is not None:
            content = b""
        url, size = (
            file_address(task),
            self._attempt.file.size if self._attempt.file is not None else None,
        )
        headers = {"Content-Type": "application/octet-stream"} if content is not None else {}
        if task.options.no_content_type or any(
            name.lower() == "content-type" for name in task.header_names
        ):
            headers = {}
        listen = None
        if offer is not None:
            headers |= offer.protocol.whole_fields(offer.version, size or 0)
            listen = partial(
                self._attempt.hear_announcement, self._adopt, offer.protocol, offer.version
            )
        self._began_at = time.monotonic()
        try:
            heard = await self._attempt.lines.exchange(
                task.method, url, headers, content, length=size, on_interim=listen
            )
        finally:
            if offer is not None and self._attempt.task.upload is None:
                self._attempt.engine.spoken_versions.silent(url, offer.protocol, offer.version)
        if (
            offer is not None
            and self._attempt.task.upload is None
            and offer.protocol.completeness(heard.response) is False
        ):
            self._incomplete(heard, offer)
        if self._attempt.task.upload is not None:
            await self._resumed(heard)
        elif (
            offer is not None
            and heard.response.status == 400
            and retry.repeatable(task.method, task.header_names)
        ):
            return heard
        elif not await self._sent_after_refusal(heard.response):
            await self._judge_whole(heard)
        return None

    async def _sent_after_refusal(self, refusal: Response) -> bool:
        """A small file goes without a question. Where it is refused like that, the server may take
        it by a protocol that has no whole bodies.
        """
        if (
            not self._choice.is_open
            or self._attempt.size > TAKEOVER
            or refusal.status not in probing.NOT_THIS_WAY
        ):
            return False
        found = await self._choice.probe(probing.first_question())
        protocol = registry.find_protocol(found.protocol)
        if protocol is None or protocol.begins_whole:
            return False
        self._attempt.record(
            changed(self._attempt.task, protocol=protocol.name, exposed=False, not_resumable=""),
            None,
        )
        return await self._resumable.send()

    def _adopt(self, upload: UploadResource) -> None:
        """What an interim answer offered for the request that runs."""
        task = self._attempt.task
        if task.upload is None:
            upload = changed(upload, tried=upload.length)
            task = changed(
                task, protocol=upload.protocol, upload=upload, not_resumable="", exposed=False
            )
            self._attempt.engine.spoken_versions.heard(
                file_address(task), registry.protocol_of(task), upload.version
            )
            self._attempt.record(task, None)

    def _incomplete(self, heard: Heard, offer: Offer) -> None:
        """The server has read the protocol's fields, sent no interim answer, and says that there is
        more to come.
        """
        found = self._attempt.check_place(
            offer.protocol.created(
                heard.response,
                self._attempt.size,
                self._attempt.engine.now(),
                version=offer.version,
            )
        )
        if found is not None:
            self._adopt(changed(found, confined=heard.confines))
        elif heard.response.status < 300:
            self._attempt.fail(
                heard, failures.early(heard.response, self._attempt.progress.received)
            )

    async def _resumed(self, heard: Heard) -> None:
        """The end of a request with the whole body for which an interim answer made an upload
        resource.
        """
        upload = self._attempt.task.upload
        assert upload is not None
        protocol = registry.protocol_of(self._attempt.task)
        step = protocol.judge_append(
            upload,
            upload.length,
            heard.response,
            heard.text,
            last=True,
            sent=self._attempt.progress.received,
            given=self._attempt.handed,
        )
        if step.next is Next.RESULT:
            self._attempt.take(heard)
        elif step.next is Next.FAIL or (
            step.next is Next.START_OVER and heard.response.status >= 400
        ):
            self._attempt.fail(heard, step.error)
        elif step.next is Next.ASK and protocol.may_be_last(upload, heard.response):
            ask = protocol.question(upload)
            answer = await self._attempt.lines.head(ask.method, upload.url, ask.fields)
            found = protocol.judge_question(upload, answer, given=self._attempt.handed)
            ended = receipts.confirm(protocol, found, upload, answer)
            if ended is not None:
                self._attempt.take(heard, unconfirmed=ended.why)
            else:
                await self._resumable.send()
        else:  # it has a part, or wants smaller ones
            # it has had an answer, so that nothing speaks for smaller ones
            if step.next is not Next.SMALLER:
                self._attempt.record(
                    changed(self._attempt.task, upload=changed(upload, tried=0)), None
                )
            await self._resumable.send()

    async def _judge_whole(self, heard: Heard) -> None:
        task, response = self._attempt.task, heard.response
        followed = self._attempt.configuration.follows_redirects
        if (
            task.kind is not Kind.UPLOAD
            or response.status >= 400
            or (response.status >= 300 and not followed)
        ):
            self._attempt.take(heard)
            return
        size, handed = task.expected_to_send, self._attempt.progress.received
        if self._counted is not None:
            size, handed = 1, int(self._counted.ended)
        receipt = receipts.judge(
            response, method=task.method, size=size, handed=handed, body=heard.body
        )
        if receipt.means is receipts.Means.LOOK:
            receipt = receipts.for_method(await self._looked(heard, size), task.method)
        if receipt.error is not None:
            self._attempt.fail(heard, receipt.error)
        self._attempt.take(heard, unconfirmed=receipt.why)

    async def _looked(self, heard: Heard, size: int) -> receipts.Receipt:
        """What HEAD says of the address that took the file, and what the answer shows of it."""
        began, now, response = self._began_at, time.monotonic(), heard.response
        try:
            answer = await self._attempt.lines.head("HEAD", response.url, {})
        except TransferFailure:
            receipt = receipts.Receipt(means=receipts.Means.UNSURE, why=receipts.UNSURE)
        else:
            receipt = receipts.look(answer, size=size, began=began, now=now)
        if self._attempt.file is None:
            return receipt
        if receipt.means is receipts.Means.DONE:
            begin = receipts.shown(response, heard.body, size=size, most=heard.most)
            if begin and begin != await until_done(
                asyncio.to_thread(self._attempt.file.read, 0, len(begin))
            ):
                return receipts.not_stored(response)
        elif receipt.means is receipts.Means.UNSURE and (tag := receipts.md5_in(response)):
            return (
                receipts.DONE
                if tag == await until_done(asyncio.to_thread(self._attempt.file.md5))
                else receipt
            )
        return receipt

    def _content(self) -> Content:
        """The body from its first byte, as often as it must be sent."""
        self._attempt.began(0)
        self._attempt.begun = True
        if self._attempt.file is not None:
            return self._attempt.file.body(0)
        if isinstance(self._attempt.stream, bytes):
            return self._attempt.stream
        assert self._attempt.stream is not None
        self._counted = Counted(aiter(self._attempt.stream()), self._attempt.progress)
        return self._counted
