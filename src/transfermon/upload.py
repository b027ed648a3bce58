"""One attempt of an upload or of a data task: from its slot to the server's answer, or to the reason why not.

Rule: the server never gets a whole body of two versions of a file. The file's identity is checked before each piece is
given away, the last one too (FAULTS V2, W15).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from transfermon import retry
from transfermon.configuration import SessionConfiguration, merged_headers
from transfermon.download import Record, Result, metrics_of, shortened
from transfermon.engine import Engine
from transfermon.errors import Code, TransferError, TransferFailure
from transfermon.events import UploadProgressEvent, activity_event
from transfermon.metrics import Trace
from transfermon.network import Limiter
from transfermon.partfile import identity_of
from transfermon.pump import until_done
from transfermon.task import UNKNOWN, Activity, Kind, Progress, Task, changed
from transfermon.transfer import TAKEOVER, Answer, Call, Content, FileBody

log = logging.getLogger(__name__)
TEXT = 1 << 20  # bytes of an answer that are kept (U-07)

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
        self._limiters = [limiter for limiter in limiters if limiter.rate]
        self._stream = stream
        self._file: Source | None = None
        self._sent: list[tuple[int, list[Trace]]] = []  # attempt and exchanges of each call, until they are recorded
        self._inner: asyncio.Task[None] | None = None
        self._stopping = False
        self._begun = False  # a first byte of the body went out in this attempt
        self.restarted = False  # as `Download` has it: an upload that starts over is no reason to give up
        self.text: str | None = None  # of the server's last answer

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
            return Result(error=self._as_it_is(failure.error), text=self.text)
        finally:
            await self._let_go()
        return Result(text=self.text)

    def _as_it_is(self, error: TransferError) -> TransferError:
        task = self._current()
        if retry.repeatable(task.method, task.header_names):
            return error
        return retry.once_only(error, sent=self._progress.received > 0)

    async def _attempt(self) -> None:
        await asyncio.shield(self._accepted)  # others wait for it too: a stop must not cancel it
        await until_done(self._engine.vault.saved())
        task = self._current()
        self._progress.received = self._progress.told = 0
        self._tell(Activity.CONNECTING, attempt=task.attempt + 1, started=task.started or self._engine.now(), sent=0)
        if task.source:
            self._file = await until_done(asyncio.to_thread(Source.open, task.source, task.source_identity))
        await self._send_plain()

    async def _send_plain(self) -> None:
        task = self._current()
        if not retry.repeatable(task.method, task.header_names):
            await self._record(changed(task, exposed=True), None)  # durable before the first byte (U-10)
        answer = await (await self._engine.lines()).open(self._call())
        try:
            await self._take(answer)
        finally:
            await answer.aclose()

    def _call(self) -> Call:
        task, own = self._current(), self._configuration
        traces: list[Trace] = []
        self._sent.append((task.attempt, traces))
        headers = merged_headers(self._engine.vault.get(task.session), self._engine.secrets_of(task))
        content: Callable[[], Content] | bytes | None = None
        if self._file is not None or callable(self._stream):
            content = self._content
        elif self._stream is not None:
            content = self._stream
        if content is not None and not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/octet-stream"
        return Call(
            url=task.url,
            method=task.method,
            headers=headers,
            content=content,
            content_length=self._file.size if self._file is not None else None,
            sending=Progress() if callable(self._stream) else self._progress,
            limiters=self._limiters,
            session=task.session,
            origin=task.origin,
            allowed=frozenset(self._engine.allowed_hosts),
            proxy=self._engine.proxy_of(task.session, own.proxy),
            idle_timeout=own.timeout_interval_for_request,
            maximum_redirects=own.maximum_redirects,
            allows_insecure_redirects=own.allows_insecure_redirects,
            cookies=own.http_should_set_cookies,
            sensitive=frozenset(name.lower() for name in headers if name.lower() != "content-type"),
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
        text = await answer.read(TEXT + 1)
        self.text = decoded(text[:TEXT], answer.response.header("Content-Type"))
        error = retry.judge_status(
            answer.response, self._configuration.http_error_policy, now=self._engine.now(), url=task.url
        )
        task = changed(
            self._current(),
            response=shortened(answer.response),
            current_url=answer.response.url,
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
        self._source, self._offset, self._length = source, offset, length

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._length:
            raise StopAsyncIteration
        data = await until_done(asyncio.to_thread(self._source.read, self._offset, self._length))
        self._length = 0
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
