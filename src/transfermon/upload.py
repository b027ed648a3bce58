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
from transfermon.network import Limiter, Outgoing
from transfermon.partfile import identity_of
from transfermon.pump import until_done
from transfermon.task import UNKNOWN, Activity, Kind, Progress, Task, changed
from transfermon.transfer import Answer, Call

log = logging.getLogger(__name__)
PIECE = 1 << 20  # bytes given to the network at once; smaller ones cost up to half of the speed
TEXT = 1 << 20  # bytes of an answer that are kept (U-07)

Pieces = Callable[[], AsyncIterator[bytes]]


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
        content: Pieces | bytes | None = None
        if self._file is not None or callable(self._stream):
            content = self._pieces
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
            outgoing=Outgoing(
                counter=Progress() if callable(self._stream) else self._progress, limiters=self._limiters
            ),
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

    def _pieces(self) -> AsyncIterator[bytes]:
        """The body from its first byte, as often as it must be sent."""
        task = self._current()
        again = self._begun
        self._begun = True
        self._progress.received = self._progress.told = 0
        self._tell(Activity.TRANSFERRING, attempt=task.attempt + again, sent=0)
        if self._file is not None:
            return self._file.pieces(0)
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
            await self._file.close()
        task, sent = self._current(), self._progress.received
        changes = metrics_of(task, self._sent, self._engine.now() - time.monotonic())
        self._sent.clear()
        self._record(changed(task, sent=sent, exposed=task.exposed and sent > 0, **changes), None)

    def _tell(self, activity: Activity, **changes: Any) -> None:
        task = changed(self._current(), activity=activity, waiting_until=None, waiting_reason="", **changes)
        self._progress.attempt = task.attempt
        self._record(task, activity_event(task), store=False)


class Source:
    """A file that is being sent, open. All that blocks is done in a thread."""

    def __init__(self, path: str, fd: int, size: int, identity: tuple[int, ...]) -> None:
        self.path, self.size = path, size
        self._fd = fd
        self._identity = identity
        self._reading: asyncio.Future[bytes] | None = None

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

    def pieces(self, offset: int, until: int = UNKNOWN) -> AsyncIterator[bytes]:
        """The bytes from `offset` to `until` (the end), read ahead by one piece."""
        return _Pieces(self, offset, self.size if until == UNKNOWN else until)

    def read_ahead(self, offset: int, length: int) -> None:
        self._reading = asyncio.ensure_future(asyncio.to_thread(self._read, offset, length))

    async def piece(self) -> bytes:
        """What `read_ahead` asked for. Raises TransferFailure -1021 or -1102."""
        assert self._reading is not None
        return await asyncio.shield(self._reading)

    def _read(self, offset: int, length: int) -> bytes:
        try:
            data = os.pread(self._fd, length, offset)
            status = os.fstat(self._fd)
            if offset + length == self.size:  # before the last byte goes out: is this still the file of that name?
                status = os.stat(self.path)
        except FileNotFoundError:
            raise TransferFailure(_changed(self.path)) from None
        except OSError as exc:
            raise TransferFailure(_unreadable(exc, self.path)) from exc
        if len(data) < length or identity_of(status) != self._identity:
            raise TransferFailure(_changed(self.path))
        return data

    async def close(self) -> None:
        if self._reading is not None:
            await until_done(asyncio.wait({self._reading}))
            self._reading.exception()  # nobody waits for it any more
        os.close(self._fd)


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


class _Pieces:
    def __init__(self, source: Source, offset: int, until: int) -> None:
        self._source, self._offset, self._until = source, offset, until
        self._ahead()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._offset == self._until:
            raise StopAsyncIteration
        data = await self._source.piece()
        self._offset += len(data)
        self._ahead()
        return data

    def _ahead(self) -> None:
        if length := min(PIECE, self._until - self._offset):
            self._source.read_ahead(self._offset, length)


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
