"""One attempt of an upload or of a data task: from its slot to the server's answer, or to the reason why not.

Rule: the server never gets a whole body of two versions of a file. The file's identity is checked before each piece is
given away, the last one too (FAULTS V2, W15).
"""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import logging
import os
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from transfermon import resumable, retry
from transfermon.answers import LONGEST
from transfermon.configuration import SessionConfiguration, merged_headers
from transfermon.download import Record, Result, metrics_of, shortened
from transfermon.engine import Engine
from transfermon.errors import Code, Retry, TransferError, TransferFailure, redacted
from transfermon.events import UploadProgressEvent, activity_event
from transfermon.metrics import Trace
from transfermon.network import Limiter
from transfermon.partfile import identity_of
from transfermon.pump import until_done
from transfermon.task import (
    PLAIN_UPLOAD,
    UNKNOWN,
    Activity,
    Kind,
    Progress,
    Response,
    Task,
    UploadResource,
    changed,
)
from transfermon.transfer import TAKEOVER, Answer, Call, Content, FileBody

log = logging.getLogger(__name__)
TEXT = LONGEST[Kind.UPLOAD]  # bytes of an answer that are kept (U-07)

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
        self._limiters = limiters  # those without a rate, too: they may get one meanwhile
        self._stream = stream
        self._file: Source | None = None
        self._sent: list[tuple[int, list[Trace]]] = []  # attempt and exchanges of each call, until they are recorded
        self._inner: asyncio.Task[None] | None = None
        self._stopping = False
        self._begun = False  # a first byte of the body went out in this attempt
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
        self._progress.received = self._progress.told = sent
        self._tell(Activity.CONNECTING, attempt=task.attempt + 1, started=task.started or self._engine.now(), sent=sent)
        if task.source:
            self._file = await until_done(asyncio.to_thread(Source.open, task.source, task.source_identity))
        if await self._protocol() == resumable.PLAIN:
            await self._send_plain()
        else:
            await self._send_resumably()

    async def _protocol(self) -> str:
        """Decided once, and recorded: what a pause costs must be known before it (U-14)."""
        task = self._current()
        if task.protocol:
            return task.protocol
        wanted = self._configuration.upload_protocol
        if self._file is None or task.kind is Kind.DATA or self._file.size <= TAKEOVER:
            wanted = resumable.PLAIN  # nothing to win
        elif wanted == resumable.AUTO:
            answer = await self._ask("OPTIONS", task.url, resumable.probe())
            found = resumable.offered(answer)
            if found is not None and (error := resumable.too_large(self._file.size, found, task.url)):
                raise TransferFailure(error)
            wanted = resumable.PLAIN if found is None else resumable.IETF
        plain = wanted == resumable.PLAIN
        self._record(changed(self._current(), protocol=wanted, not_resumable=PLAIN_UPLOAD if plain else ""), None)
        return wanted

    async def _ask(self, method: str, url: str, headers: Mapping[str, str]) -> Response:
        """A request without a body; the head of its answer."""
        answer = await self._open(method, url, headers, None)
        try:
            await answer.read(0)
        finally:
            await answer.aclose()
        return answer.response

    # ---- resumable

    async def _send_resumably(self) -> None:
        """U-15 to U-21. No two requests at the same time: each one here has ended before the next (U-23)."""
        assert self._file is not None
        upload, offset = self._current().upload, -1
        if upload is not None and upload.expires and self._engine.now() >= upload.expires:
            upload = None  # U-19
        mismatches = 0
        while True:
            if upload is None:
                upload = await self._create()
                if upload is None:
                    return None
                offset = 0
            if offset < 0:
                answer = await self._open("HEAD", upload.url, resumable.query(upload.protocol), None)
                step = resumable.judge_query(upload, answer.response)
            else:
                end, last = resumable.piece(upload, offset)
                self._began(offset)
                body = self._file.body(offset, end)
                answer = await self._open("PATCH", upload.url, resumable.append(upload, offset, last=last), body)
                step = resumable.judge_append(upload, end, answer.response, last=last)
            try:
                if step.next is resumable.Next.RESULT:
                    self._progress.received = max(self._progress.received, step.offset)
                    return await self._take(answer)
                text = await answer.read(TEXT)
            finally:
                await answer.aclose()
            if step.next is resumable.Next.START_OVER:
                if self._current().renewed:
                    raise TransferFailure(resumable.gone(answer.response.status, upload.url))
                self._record(changed(self._current(), upload=None, renewed=True, sent=0), None)
                upload, offset = None, -1
                continue
            told = resumable.expected_offset(text.decode("utf-8", "replace")) if answer.response.status == 409 else None
            if step.next is resumable.Next.FAIL and told is not None and told <= upload.length:
                step = resumable.Step(next=resumable.Next.GO_ON, offset=told, mismatch=True)
            if step.next is resumable.Next.FAIL:
                self._fail(answer, step.error, text)
            progressed = step.offset > upload.offset
            mismatches = 0 if progressed else mismatches + step.mismatch
            if mismatches >= resumable.MISMATCHES:
                raise TransferFailure(resumable.conflict(answer.response, stuck=True))
            offset = step.offset
            upload = changed(upload, offset=offset)
            self._record(changed(self._current(), upload=upload, sent=offset), None)

    async def _create(self) -> UploadResource | None:
        """Durable before any data is sent (U-15); None when the server has taken or refused it all the same."""
        assert self._file is not None
        task = self._current()
        digest = ""
        if self._configuration.upload_digests:
            digest = await until_done(asyncio.to_thread(self._file.digest))
        method, headers = resumable.creation(task.protocol, self._file.size, name=task.name, digest=digest)
        answer = await self._open(method or task.method, task.url, headers, None)
        try:
            found = resumable.created(task.protocol, answer.response, self._file.size, self._engine.now())
            if isinstance(found, TransferError):
                raise TransferFailure(found)
            if found is None:
                if answer.response.status < 400:
                    raise TransferFailure(_no_resource(answer))
                await self._take(answer)
                return None
            await answer.read(0)
        finally:
            await answer.aclose()
        if limit := resumable.too_large(
            self._file.size, resumable.limits(answer.response.header("Upload-Limit")), task.url
        ):
            raise TransferFailure(limit)
        await self._record(changed(self._current(), upload=found, sent=0, not_resumable=""), None)
        return found

    def _began(self, offset: int) -> None:
        """Bytes go out from here; a fall of the counters is a new attempt (U-06)."""
        task = self._current()
        again = self._begun and offset < self._progress.received
        self._begun = True
        self._progress.received = self._progress.told = offset
        if again or task.activity is not Activity.TRANSFERRING:
            self._tell(Activity.TRANSFERRING, attempt=task.attempt + again, sent=offset)

    def _fail(self, answer: Answer, error: TransferError | None, text: bytes) -> None:
        """U-21: a refusal ends it, trouble in the server leads to another attempt, which asks for the offset."""
        self.text = decoded(text[:TEXT], answer.response.header("Content-Type"))
        found = error or retry.judge_status(answer.response, "status", now=self._engine.now(), url=answer.response.url)
        assert found is not None
        response = changed(shortened(answer.response), url=self._current().url)
        self._record(changed(self._current(), response=response), None)
        raise TransferFailure(found)

    async def _open(self, method: str, url: str, headers: Mapping[str, str], body: Content | None) -> Answer:
        lines = await self._engine.lines()
        length = body.length if isinstance(body, FileBody | _Small) else None
        return await lines.open(self._call(method, url, headers, (lambda: body) if body is not None else None, length))

    # ---- plain

    async def _send_plain(self) -> None:
        task = self._current()
        if not retry.repeatable(task.method, task.header_names):
            await self._record(changed(task, exposed=True), None)  # durable before the first byte (U-10)
        content: Callable[[], Content] | bytes | None = None
        if self._file is not None or callable(self._stream):
            content = self._content
        elif self._stream is not None:
            content = self._stream
        lines, length = await self._engine.lines(), self._file.size if self._file is not None else None
        kind = {"Content-Type": "application/octet-stream"} if content is not None else {}
        if task.options.no_content_type or any(name.lower() == "content-type" for name in task.header_names):
            kind = {}
        answer = await lines.open(self._call(task.method, task.url, kind, content, length))
        try:
            await self._take(answer)
        finally:
            await answer.aclose()

    def _call(
        self,
        method: str,
        url: str,
        own_headers: Mapping[str, str],
        content: Callable[[], Content] | bytes | None,
        length: int | None,
    ) -> Call:
        task, own = self._current(), self._configuration
        traces: list[Trace] = []
        self._sent.append((task.attempt, traces))
        given = merged_headers(self._engine.vault.get(task.session), self._engine.secrets_of(task))
        headers = {**merged_headers(given, own_headers)}
        return Call(
            url=url,
            method=method,
            headers=headers,
            content=content,
            content_length=length,
            sending=Progress() if callable(self._stream) else self._progress,
            limiters=self._limiters,
            session=task.session,
            origin=task.origin,
            allowed=frozenset(self._engine.allowed_hosts),
            proxy=self._engine.proxy_of(task.session, own.proxy),
            proxy_logins=self._engine.proxy_logins(task.session),
            **self._engine.options_of(task, own),
            idle_timeout=own.timeout_interval_for_request,
            follows_redirects=own.follows_redirects,
            maximum_redirects=own.maximum_redirects,
            cookies=own.http_should_set_cookies,
            sensitive=frozenset(name.lower() for name in given),
            secret_path=task.upload is not None and url == task.upload.url,
            traces=traces,
        )

    def _content(self) -> Content:
        """The body from its first byte, as often as it must be sent."""
        task = self._current()
        again = self._begun
        self._begun = True
        self._progress.received = self._progress.told = 0
        self._tell(Activity.TRANSFERRING, attempt=task.attempt + again, sent=0)
        if self._file is not None:
            return self._file.body(0)
        assert callable(self._stream)
        return _Counted(aiter(self._stream()), self._progress)

    async def _take(self, answer: Answer) -> None:
        """The answer is the result, whatever it says."""
        task = self._current()
        sent = self._progress.received
        most = LONGEST[task.kind]
        text = await answer.read(most + 1)
        self.text, self.text_is_whole = decoded(text[:most], answer.response.header("Content-Type")), len(text) <= most
        error = retry.judge_status(
            answer.response, self._configuration.http_error_policy, now=self._engine.now(), url=task.url
        )
        if error is not None and task.upload is not None:
            error = changed(error, retry=Retry.FINAL)  # the upload is complete, whatever came of it (U-20)
        response = shortened(answer.response)
        if task.upload is not None:
            response = changed(response, url=task.url)
        task = changed(
            self._current(),
            response=response,
            current_url=response.url,
            received=len(text),
            sent=sent,
            exposed=False,
            expected_to_send=sent if task.expected_to_send == UNKNOWN else task.expected_to_send,
        )
        if error is not None:
            self._record(task, None)
            raise TransferFailure(error)
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
        changes = metrics_of(task, self._sent, self._engine.now() - time.monotonic())
        self._sent.clear()
        self._record(changed(task, sent=sent, exposed=task.exposed and sent > 0, **changes), None)

    def _tell(self, activity: Activity, **changes: Any) -> None:
        task = changed(self._current(), activity=activity, waiting_until=None, waiting_reason="", **changes)
        self._progress.attempt = task.attempt
        self._record(task, activity_event(task), store=False)


async def abandon(engine: Engine, configuration: SessionConfiguration, task: Task) -> None:
    """Delete a task's upload resource (U-22). Raises TransferFailure."""
    assert task.upload is not None
    call = Call(
        url=task.upload.url,
        method="DELETE",
        headers=merged_headers(
            merged_headers(engine.vault.get(task.session), engine.secrets_of(task)),
            resumable.query(task.upload.protocol),
        ),
        session=task.session,
        origin=task.origin,
        allowed=frozenset(engine.allowed_hosts),
        proxy=engine.proxy_of(task.session, configuration.proxy),
        proxy_logins=engine.proxy_logins(task.session),
        **engine.options_of(task, configuration),
        idle_timeout=min(10.0, configuration.timeout_interval_for_request),
    )
    answer = await (await engine.lines()).open(call)
    await answer.aclose()


class Source:
    """A file that is being sent, open."""

    def __init__(self, path: str, fd: int, size: int, identity: tuple[int, ...]) -> None:
        self.path, self.size = path, size
        self._fd = fd
        self._identity = identity

    def __repr__(self) -> str:
        return f"<Source {self.path} {self.size}>"

    @classmethod
    def open(cls, path: str, identity: tuple[int, ...]) -> Source:
        """Blocking. Raises TransferFailure -1100 to -1102 for what cannot be sent, -1021 for what has changed since
        `identity` was noted.
        """
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as exc:
            raise TransferFailure(_unreadable(exc, path)) from exc
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise TransferFailure(_no_file(status, path))
            found = identity_of(status)
            if identity and found != identity:
                raise TransferFailure(_changed(path))
        except BaseException:
            os.close(fd)
            raise
        return cls(path, fd, status.st_size, found)

    def body(self, offset: int, until: int = UNKNOWN) -> Content:
        """The bytes from `offset` to `until` (the end). Small ones go the short way, over the loop."""
        length = (self.size if until == UNKNOWN else until) - offset
        if length <= TAKEOVER:
            return _Small(self, offset, length)
        return FileBody(fd=self._fd, offset=offset, length=length, check=self.check)

    def check(self, last: bool) -> None:
        """Blocking. Raises TransferFailure -1021 when it is not the file any more that was opened; at the last bytes it
        must still have its name, too.
        """
        try:
            same = identity_of(os.fstat(self._fd)) == self._identity
            same = same and (not last or identity_of(os.stat(self.path)) == self._identity)
        except OSError:
            same = False
        if not same:
            raise TransferFailure(_changed(self.path))

    def digest(self) -> str:
        """Blocking. The value of a Repr-Digest field. Raises TransferFailure -1102."""
        try:
            with open(self.path, "rb") as file:
                found = hashlib.file_digest(file, "sha256").digest()
        except OSError as exc:
            raise TransferFailure(_unreadable(exc, self.path)) from exc
        return f"sha-256=:{base64.b64encode(found).decode()}:"

    def read(self, offset: int, length: int) -> bytes:
        """Blocking. Raises TransferFailure -1021 or -1102."""
        try:
            data = os.pread(self._fd, length, offset)
        except OSError as exc:
            raise TransferFailure(_unreadable(exc, self.path)) from exc
        self.check(last=offset + length == self.size)
        return data

    def close(self) -> None:
        os.close(self._fd)


class _Small:
    """A body of one piece."""

    def __init__(self, source: Source, offset: int, length: int) -> None:
        self._source, self._offset, self.length = source, offset, length
        self._left = length

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        data = await until_done(asyncio.to_thread(self._source.read, self._offset, self._left))
        self._left = 0
        return data


class _Counted:
    """A stream's pieces; in chunked coding the network gives away more bytes than these."""

    def __init__(self, pieces: AsyncIterator[bytes], progress: Progress) -> None:
        self._pieces, self._progress = pieces, progress
        self._given = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self._progress.received += self._given
        self._given = 0
        piece = await anext(self._pieces)
        self._given = len(piece)
        return piece


def decoded(body: bytes, content_type: str) -> str:
    """The text of a body, by the charset that its type declares; bytes that are no such text show as �."""
    charset = "utf-8"
    for part in content_type.split(";")[1:]:
        name, _, value = part.partition("=")
        if name.strip().lower() == "charset":
            charset = value.strip().strip('"')
    try:
        return body.decode(charset, "replace")
    except (LookupError, ValueError):
        return body.decode("utf-8", "replace")


def _changed(path: str) -> TransferError:
    return TransferError(
        code=Code.BODY_EXHAUSTED,
        message=f"{os.path.basename(path)} changed since the upload was added.",
        reason="file.changed",
        hint="Retry to send it as it is now.",
    )


def _no_resource(answer: Answer) -> TransferError:
    return TransferError(
        code=Code.BAD_SERVER_RESPONSE,
        message="The server takes no resumable upload here.",
        reason="srv.protocol",
        hint="Upload without resuming (protocol plain).",
        status=answer.response.status,
        url=redacted(answer.response.url),
    )


def _no_file(status: os.stat_result, path: str) -> TransferError:
    name = os.path.basename(path) or path
    if stat.S_ISDIR(status.st_mode):
        return TransferError(
            code=Code.FILE_IS_DIRECTORY,
            message=f"{name} is a folder.",
            reason="file.folder",
            hint="Upload a file; pack a folder first.",
        )
    return TransferError(
        code=Code.FILE_UNREADABLE,
        message=f"{name} is no ordinary file.",
        reason="file.kind",
        hint="Only ordinary files can be uploaded.",
    )


def _unreadable(exc: OSError, path: str) -> TransferError:
    name = os.path.basename(path) or path
    if exc.errno in (errno.ENOENT, errno.ENOTDIR):
        return TransferError(
            code=Code.FILE_MISSING,
            message=f"{name} is not there.",
            reason="file.missing",
            hint="Check the path; then retry.",
        )
    return TransferError(
        code=Code.FILE_UNREADABLE,
        message=f"{name} cannot be read: {os.strerror(exc.errno or errno.EIO)}.",
        reason="file.unreadable",
        hint="Check its permissions; then retry.",
    )
