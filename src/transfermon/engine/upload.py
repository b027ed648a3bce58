"""One attempt of an upload or of a data task: from its slot to the server's answer, or to the reason why not.

Rule: what an answer means is decided in `probing`, `resumable` and `receipts`; here it is asked for, sent and written down.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, NoReturn

from transfermon.engine.download import Record, Result, metrics_of, shortened
from transfermon.engine.shared import Engine
from transfermon.engine.task_calls import own_headers
from transfermon.engine.upload_requests import Exchanges, Heard
from transfermon.http import retry
from transfermon.http.upload_protocols import probing, receipts, rules
from transfermon.http.upload_protocols.rules import Next
from transfermon.model import upload_protocol
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.errors import Retry, TransferError, TransferFailure, redacted
from transfermon.model.events import UploadProgressEvent, activity_event
from transfermon.model.task import (
    PLAIN_UPLOAD,
    UNKNOWN,
    Activity,
    Kind,
    Origin,
    Progress,
    Response,
    Task,
    UploadResource,
    changed,
)
from transfermon.model.upload_protocol import IETF, PLAIN
from transfermon.wire.body_source import Counted, Source
from transfermon.wire.call import TAKEOVER, Content
from transfermon.wire.cancellation import until_done
from transfermon.wire.rate_limit import Limiter

log = logging.getLogger(__name__)
_CUT = frozenset({408, 502, 504})  # of a proxy that gave up waiting: as good as no answer

Pieces = Callable[[], AsyncIterator[bytes]]  # makes a body, again each time it must be sent


class Upload:
    """Made for one attempt, used once. `stream` makes the body of a task that has no file."""

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
        stream: Pieces | bytes | None = None,
    ) -> None:
        self._engine = engine
        self._configuration = configuration
        self._current = current
        self._record = record
        self._accepted = accepted
        self._progress = progress
        self._lines = Exchanges(engine, configuration, current, progress, limiters, counts=not callable(stream))
        self._stream = stream
        self._file: Source | None = None
        self._counted: Counted | None = None  # the stream that goes out
        self._inner: asyncio.Task[None] | None = None
        self._stopping = False
        self._begun = False  # a first byte of the body went out in this attempt
        self._given = 0  # most bytes that went out before the request that runs; -1: not known
        self._began_at = 0.0
        self.restarted = False  # as `Download` has it: an upload that starts over is no reason to give up
        self.text: str | None = None  # of the server's last answer
        self.text_is_whole = True

    def __repr__(self) -> str:
        return f"<Upload {self._current().key} at {self._progress.received}>"

    def stop(self) -> None:
        self._stopping = True
        if self._inner is not None:
            self._inner.cancel()

    async def run(self) -> Result:
        """One attempt. Raises nothing of the outside world: failures are in the result."""
        self._inner = asyncio.ensure_future(self._attempt())
        if self._stopping:
            self._inner.cancel()
        try:
            await self._inner
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            return Result(stopped=True)
        except TransferFailure as failure:
            return Result(error=self._as_it_is(failure.error), text=self.text, text_is_whole=self.text_is_whole)
        finally:
            await self._let_go()
        return Result(text=self.text, text_is_whole=self.text_is_whole)

    def _as_it_is(self, error: TransferError) -> TransferError:
        task = self._current()
        error = changed(error, url=redacted(task.url))  # never that of an upload resource (U-25)
        if task.upload is not None or retry.repeatable(task.method, task.header_names):
            return error
        return retry.once_only(error, sent=self._progress.received > 0)

    async def _attempt(self) -> None:
        await asyncio.shield(self._accepted)  # others wait for it too: a stop must not cancel it
        await until_done(self._engine.vault.saved())
        task = self._current()
        sent = task.upload.offset if task.upload is not None else 0
        self._given = task.upload.given if task.upload is not None else 0
        self._progress.received = self._progress.told = sent
        self._tell(Activity.CONNECTING, attempt=task.attempt + 1, started=task.started or self._engine.now(), sent=sent)
        if task.source:
            self._file = await until_done(asyncio.to_thread(Source.open, task.source, task.source_identity))
        protocol = await self._protocol()
        if protocol == PLAIN or not await self._send_resumably():
            await self._send_whole()

    # ---- which way

    async def _protocol(self) -> str:
        """Decided once, and recorded: what a pause costs must be known before it (U-14). What trouble decided is not
        recorded, so that the next attempt asks again.
        """
        task = self._current()
        if task.upload is not None:
            return task.upload.protocol
        if task.protocol:
            return task.protocol
        finding = await self._found() if self._offers_more else probing.Finding(protocol=PLAIN)
        if finding.error is not None:
            if finding.answer is not None:
                self._record(changed(self._current(), response=shortened(finding.answer)), None)
            raise TransferFailure(finding.error)
        plain = finding.protocol == PLAIN
        protocol = finding.protocol if finding.sure else ""
        self._record(changed(self._current(), protocol=protocol, not_resumable=PLAIN_UPLOAD if plain else ""), None)
        return finding.protocol

    @property
    def _offers_more(self) -> bool:
        """Whether there is anything to win by asking, and by the draft's fields in a request with the whole body."""
        return self._is_open and self._size > TAKEOVER

    @property
    def _is_open(self) -> bool:
        """Whether the way is ours to choose."""
        task = self._current()
        return self._file is not None and task.kind is Kind.UPLOAD and not upload_protocol.decided(task.wanted_protocol)

    async def _found(self) -> probing.Finding:
        """Ask the server, once, and again for other versions of the draft where they may be what it speaks."""
        assert self._file is not None
        task, interops = self._current(), self._engine.interops
        left = list(interops.order(task.url))
        found = await self._probe(left.pop(0))
        if found.version and found.protocol == PLAIN:  # it is for another version, and says for which
            left = [found.version]
        elif not found.others:
            left = []
        while left and found.protocol == PLAIN:
            found = await self._probe(left.pop(0))
        if found.protocol == IETF:
            interops.heard(task.url, found.version)
            if self._file.size < found.limits.min_size:
                return probing.Finding(protocol=PLAIN)
        if error := rules.too_large(self._file.size, found.limits, task.url):
            raise TransferFailure(error)
        return found

    async def _probe(self, version: str) -> probing.Finding:
        task = self._current()
        try:
            answer = await self._lines.head("OPTIONS", task.url, probing.probe(version))
        except TransferFailure as failure:
            if (finding := probing.judge_failure(failure.error)) is not None:
                return finding
            raise
        return probing.judge(answer, version, now=self._engine.now(), attempt=task.attempt)

    # ---- resumable

    async def _send_resumably(self) -> bool:
        """U-15 to U-21; False where the server offers nothing of the kind after all, and nobody insists on it. No two
        requests at the same time: each one here has ended before the next (U-23).
        """
        upload, offset = self._current().upload, -1
        if upload is not None and upload.expires and self._engine.now() >= upload.expires:
            upload = None  # U-19
        stuck = 0
        final: Heard | None = None  # what the server said to the last byte, while it is asked what it has
        while True:
            if upload is None:
                made = await self._create()
                if isinstance(made, bool):
                    return made
                upload, offset, final = made, 0, None
            appended = offset >= 0
            if appended:
                upload, step, heard = await self._append(upload, offset)
                final = heard if step.next is Next.ASK and rules.may_be_last(upload, heard.response) else None
            else:
                heard = await self._lines.exchange("HEAD", upload.url, rules.query(upload))
                step = rules.judge_query(upload, heard.response, given=self._handed)
                if final is not None and (ended := receipts.confirm(step, upload, heard.response)) is not None:
                    self._take(final, unconfirmed=ended.why)
                    return True
            match step.next:
                case Next.RESULT:
                    self._progress.received = max(self._progress.received, step.offset)
                    self._take(heard)
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
                        self._fail(heard, None)
                    upload = less
                    continue
                case Next.FAIL:
                    self._fail(heard, step.error)
            if not appended:
                upload = rules.after_cut(upload, step.offset)
                if self._given == UNKNOWN:
                    self._given = step.offset
            stuck = 0 if step.offset > upload.offset else stuck + appended
            if stuck >= rules.MISMATCHES:
                self._fail(heard, rules.conflict(heard.response, stuck=True))
            final, offset = None, step.offset
            upload = changed(upload, offset=offset, tried=0)
            self._record(changed(self._current(), upload=upload, sent=offset), None)

    async def _append(self, upload: UploadResource, offset: int) -> tuple[UploadResource, rules.Step, Heard]:
        assert self._file is not None
        end, last = rules.piece(upload, offset)
        self._began(offset)
        unmarked = (upload.tried, upload.given) != (end - offset, UNKNOWN)
        upload = changed(upload, offset=offset, tried=end - offset, given=UNKNOWN)
        if unmarked:
            marked = self._record(changed(self._current(), upload=upload), None)
            if not self._begun:
                await marked  # durable before the first byte: after a crash nobody knows how many went out
        self._begun = True
        body = self._file.body(offset, end)
        headers = rules.append(upload, offset, last=last)
        heard = await self._lines.exchange("PATCH", upload.url, headers, body)
        step = rules.judge_append(
            upload, end, heard.response, heard.text, last=last, sent=self._progress.received, given=self._handed
        )
        return upload, step, heard

    async def _create(self) -> UploadResource | bool:
        """Durable before any data is sent (U-15). True when the answer was the task's result, False when the server
        offers nothing that can go on.
        """
        assert self._file is not None
        task = self._current()
        digest = ""
        if self._configuration.upload_digests:
            digest = await until_done(asyncio.to_thread(self._file.digest))
        _, asked = upload_protocol.parse(task.wanted_protocol or task.protocol)
        url = task.url if task.protocol == upload_protocol.TUS else rules.target(task)
        versions = [asked] if asked else list(self._engine.interops.order(url))
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
            self._engine.interops.heard(url, version)
        if limit := rules.too_large(self._file.size, rules.limits(heard.response.header("Upload-Limit")), task.url):
            raise TransferFailure(limit)
        self._given = self._progress.received = 0
        found = changed(found, tried=rules.piece(found, 0)[0])
        await self._record(changed(self._current(), upload=found, sent=0, not_resumable=""), None)
        return found

    async def _created(self, task: Task, url: str, version: str, digest: str) -> tuple[UploadResource | None, Heard]:
        assert self._file is not None
        own = {name.lower(): value for name, value in own_headers(self._engine, task).items()}
        method, headers = rules.creation(
            task.protocol,
            self._file.size,
            version=version,
            name=task.name,
            media_type=own.get("content-type", ""),
            digest=digest,
        )
        headers = {name: value for name, value in headers.items() if name.lower() not in own}
        interim: list[UploadResource] = []
        listen = partial(self._announced, interim.append, version) if task.protocol == IETF else None
        heard = await self._lines.exchange(method or task.method, url, headers, on_interim=listen)
        found = rules.created(task.protocol, heard.response, self._file.size, self._engine.now(), version=version)
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
        task, response = self._current(), heard.response
        if upload_protocol.decided(task.wanted_protocol):
            if response.status < 400:
                raise TransferFailure(rules.not_offered(response))
        elif rules.may_go_whole(task.protocol, response):
            self._record(changed(task, protocol=PLAIN, not_resumable=PLAIN_UPLOAD), None)
            return False
        self._take(heard)
        return True

    def _start_over(self, response: Response, upload: UploadResource) -> None:
        if self._current().renewed:
            raise TransferFailure(rules.gone(response.status, upload.url))
        self._record(changed(self._current(), upload=None, renewed=True, sent=0), None)

    def _announced(
        self, take: Callable[[UploadResource], None], version: str, interim: Response, confines: bool
    ) -> None:
        """An interim answer: where the upload can go on, should this request not come to its end."""
        task = self._current()
        found = rules.announced(interim, version, self._size, self._engine.now())
        if found is not None and not (found.elsewhere and task.origin is not Origin.TYPED):
            take(changed(found, confined=confines))

    def _began(self, offset: int) -> None:
        """Bytes go out from here; a fall of the counters is a new attempt (U-06)."""
        task = self._current()
        again = self._begun and offset < self._progress.received
        if self._given != UNKNOWN:
            self._given = max(self._given, self._progress.received)
        self._progress.received = self._progress.told = offset
        if again or task.activity is not Activity.TRANSFERRING:
            self._tell(Activity.TRANSFERRING, attempt=task.attempt + again, sent=offset)

    @property
    def _size(self) -> int:
        return self._file.size if self._file is not None else 0

    @property
    def _handed(self) -> int:
        """Most bytes that ever went out; -1: not known."""
        return UNKNOWN if self._given == UNKNOWN else max(self._given, self._progress.received)

    def _fail(self, heard: Heard, error: TransferError | None) -> NoReturn:
        """U-21: a refusal ends it, trouble in the server leads to another attempt, which asks for the offset."""
        self.text, response = heard.text, heard.response
        found = error or retry.judge_status(response, "status", now=self._engine.now(), url=response.url)
        assert found is not None
        task = changed(self._current(), response=changed(shortened(response), url=self._current().url))
        if task.upload is not None and rules.is_spent(found):
            task = changed(task, upload=None)
        elif task.upload is not None and response.status not in _CUT:
            task = changed(task, upload=changed(task.upload, tried=0))
        self._record(task, None)
        raise TransferFailure(self._with_words(found, heard))

    def _with_words(self, error: TransferError, heard: Heard) -> TransferError:
        if heard.response.status < 400:
            return error
        return changed(error, said=receipts.said(heard.text, heard.response.header("Content-Type")))

    # ---- whole

    async def _send_whole(self) -> None:
        """The body at once: with the draft's fields where a server may offer to resume it, and bare where it is wished.
        Where it may be repeated, a server that reads nothing of them in that version gets the one that it names, or none.
        """
        version = self._engine.interops.next(rules.target(self._current())) if self._offers_more else ""
        heard = await self._sent_whole(version)
        if heard is not None and version:
            named = rules.version_of(heard.response)
            if named not in ("", version):
                heard = await self._sent_whole(named)
            if heard is not None:
                heard = await self._sent_whole("")
        assert heard is None

    async def _sent_whole(self, version: str) -> Heard | None:
        """None when all is done; else the answer of a server that perhaps only did not understand the draft's fields."""
        task = self._current()
        if not retry.repeatable(task.method, task.header_names):
            await self._record(changed(task, exposed=True), None)  # durable before the first byte (U-10)
        content: Callable[[], Content] | bytes | None = None
        if self._file is not None or callable(self._stream):
            content = self._content
        elif self._stream is not None:
            content = self._stream
        url, size = rules.target(task), self._file.size if self._file is not None else None
        headers = {"Content-Type": "application/octet-stream"} if content is not None else {}
        if task.options.no_content_type or any(name.lower() == "content-type" for name in task.header_names):
            headers = {}
        if version:
            headers |= rules.whole(version, size or 0)
        listen = partial(self._announced, self._adopt, version) if version else None
        self._began_at = time.monotonic()
        try:
            heard = await self._lines.exchange(task.method, url, headers, content, length=size, on_interim=listen)
        finally:
            if version and self._current().upload is None:
                self._engine.interops.silent(url, version)
        if version and self._current().upload is None and rules.completeness(heard.response) is False:
            self._incomplete(heard, version)
        if self._current().upload is not None:
            await self._resumed(heard)
        elif version and heard.response.status == 400 and retry.repeatable(task.method, task.header_names):
            return heard
        elif not await self._sent_by_tus(heard.response):
            await self._judge_whole(heard)
        return None

    async def _sent_by_tus(self, refusal: Response) -> bool:
        """A small file goes without a question. Where it is refused like that, the server may take it by tus alone."""
        if not self._is_open or self._size > TAKEOVER or refusal.status not in probing.NOT_THIS_WAY:
            return False
        found = await self._probe(upload_protocol.INTEROP)
        if found.protocol != upload_protocol.TUS:
            return False
        self._record(changed(self._current(), protocol=upload_protocol.TUS, exposed=False, not_resumable=""), None)
        return await self._send_resumably()

    def _adopt(self, upload: UploadResource) -> None:
        """What a 104 offered for the request that runs."""
        task = self._current()
        if task.upload is None:
            self._engine.interops.heard(rules.target(task), upload.version)
            upload = changed(upload, tried=upload.length)
            self._record(changed(task, protocol=IETF, upload=upload, not_resumable="", exposed=False), None)

    def _incomplete(self, heard: Heard, version: str) -> None:
        """The server has read the draft's fields, sent no 104, and says that there is more to come."""
        found = rules.created(IETF, heard.response, self._size, self._engine.now(), version=version)
        if isinstance(found, TransferError):
            raise TransferFailure(found)
        if found is not None and found.elsewhere and self._current().origin is not Origin.TYPED:
            raise TransferFailure(rules.refused_elsewhere(found.url))
        if found is not None:
            self._adopt(changed(found, confined=heard.confines))
        elif heard.response.status < 300:
            self._fail(heard, rules.early(heard.response, self._progress.received))

    async def _resumed(self, heard: Heard) -> None:
        """The end of a request with the whole body for which a 104 made an upload resource."""
        upload = self._current().upload
        assert upload is not None
        step = rules.judge_append(
            upload,
            upload.length,
            heard.response,
            heard.text,
            last=True,
            sent=self._progress.received,
            given=self._handed,
        )
        if step.next is Next.RESULT:
            self._take(heard)
        elif step.next is Next.FAIL or (step.next is Next.START_OVER and heard.response.status >= 400):
            self._fail(heard, step.error)
        elif step.next is Next.ASK and rules.may_be_last(upload, heard.response):
            answer = await self._lines.head("HEAD", upload.url, rules.query(upload))
            found = rules.judge_query(upload, answer, given=self._handed)
            if (ended := receipts.confirm(found, upload, answer)) is not None:
                self._take(heard, unconfirmed=ended.why)
            else:
                await self._send_resumably()
        else:  # it has a part, or wants smaller ones
            if step.next is not Next.SMALLER:  # it has had an answer, so that nothing speaks for smaller ones
                self._record(changed(self._current(), upload=changed(upload, tried=0)), None)
            await self._send_resumably()

    async def _judge_whole(self, heard: Heard) -> None:
        task, response = self._current(), heard.response
        followed = self._configuration.follows_redirects
        if task.kind is not Kind.UPLOAD or response.status >= 400 or (response.status >= 300 and not followed):
            self._take(heard)
            return
        size, handed = task.expected_to_send, self._progress.received
        if self._counted is not None:
            size, handed = 1, int(self._counted.ended)
        receipt = receipts.judge(response, method=task.method, size=size, handed=handed, body=heard.body)
        if receipt.means is receipts.Means.LOOK:
            receipt = receipts.for_method(await self._looked(heard, size), task.method)
        if receipt.error is not None:
            self._fail(heard, receipt.error)
        self._take(heard, unconfirmed=receipt.why)

    async def _looked(self, heard: Heard, size: int) -> receipts.Receipt:
        """What HEAD says of the address that took the file, and what the answer shows of it."""
        began, now, response = self._began_at, time.monotonic(), heard.response
        try:
            answer = await self._lines.head("HEAD", response.url, {})
        except TransferFailure:
            receipt = receipts.Receipt(means=receipts.Means.UNSURE, why=receipts.UNSURE)
        else:
            receipt = receipts.look(answer, size=size, began=began, now=now)
        if self._file is None:
            return receipt
        if receipt.means is receipts.Means.DONE:
            begin = receipts.shown(response, heard.body, size=size, most=heard.most)
            if begin and begin != await until_done(asyncio.to_thread(self._file.read, 0, len(begin))):
                return receipts.not_stored(response)
        elif receipt.means is receipts.Means.UNSURE and (tag := receipts.md5_in(response)):
            return receipts.DONE if tag == await until_done(asyncio.to_thread(self._file.md5)) else receipt
        return receipt

    def _content(self) -> Content:
        """The body from its first byte, as often as it must be sent."""
        self._began(0)
        self._begun = True
        if self._file is not None:
            return self._file.body(0)
        assert callable(self._stream)
        self._counted = Counted(aiter(self._stream()), self._progress)
        return self._counted

    # ---- the end

    def _take(self, heard: Heard, *, unconfirmed: str = "") -> None:
        """The answer is the result, whatever it says."""
        task = self._current()
        sent = self._progress.received
        self.text, self.text_is_whole = heard.text, heard.whole
        error = retry.judge_status(
            heard.response, self._configuration.http_error_policy, now=self._engine.now(), url=task.url
        )
        if error is not None and task.upload is not None:
            error = changed(error, retry=Retry.FINAL)  # the upload is complete, whatever came of it (U-20)
        response = shortened(heard.response)
        stored_as = ""
        if task.upload is not None:
            response = changed(response, url=task.url)
        elif error is None and task.kind is Kind.UPLOAD:
            stored_as = receipts.stored_as(heard.response, heard.response.url)
        task = changed(
            self._current(),
            response=response,
            current_url=response.url,
            received=len(heard.body),
            sent=sent,
            exposed=False,
            unconfirmed=unconfirmed,
            stored_as=stored_as,
            expected_to_send=sent if task.expected_to_send == UNKNOWN else task.expected_to_send,
        )
        if error is not None:
            self._record(task, None)
            raise TransferFailure(self._with_words(error, heard) if task.kind is Kind.UPLOAD else error)
        if task.kind is Kind.UPLOAD:
            event = UploadProgressEvent(
                task=task,
                bytes_sent=max(0, sent - self._progress.told),
                total_bytes_sent=sent,
                total_bytes_expected_to_send=task.expected_to_send,
                attempt=task.attempt,
            )
            self._progress.told = sent
            self._record(task, event)
        else:
            self._record(task, None)

    async def _let_go(self) -> None:
        if self._file is not None:
            self._file.close()
        task, sent = self._current(), self._progress.received
        changes = metrics_of(task, self._lines.sent, self._engine.now() - time.monotonic())
        self._lines.sent.clear()
        if task.upload is not None:
            changes["upload"] = changed(task.upload, given=self._handed)
        self._record(changed(task, sent=sent, exposed=task.exposed and sent > 0, **changes), None)

    def _tell(self, activity: Activity, **changes: Any) -> None:
        task = changed(self._current(), activity=activity, waiting_until=None, waiting_reason="", **changes)
        self._progress.attempt = task.attempt
        self._record(task, activity_event(task), store=False)
