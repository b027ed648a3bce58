"""What an upload sends: a file that must stay as it is, or a stream.

Rule: the file's identity is checked before each piece is given away, the last one too, so that
nobody gets a whole body of two versions of a file.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import stat
from collections.abc import AsyncIterator

from transfermon.model.errors import Code, TransferError, TransferFailure
from transfermon.model.task import UNKNOWN, Progress
from transfermon.storage.disk_failures import source_unreadable
from transfermon.storage.file_identity import identity_of
from transfermon.wire.call import TAKEOVER, Content, FileBody
from transfermon.wire.cancellation import until_done


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
        """Blocking. Raises TransferFailure -1100 to -1102 for what cannot be sent, -1021 for what
        has changed since `identity` was noted.
        """
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as exc:
            raise TransferFailure(source_unreadable(exc, path)) from exc
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
        """The bytes from `offset` to `until` (the end). Small ones go the short way, over the
        loop.
        """
        length = (self.size if until == UNKNOWN else until) - offset
        if length <= TAKEOVER:
            return Small(self, offset, length)
        return FileBody(fd=self._fd, offset=offset, length=length, check=self.check)

    def check(self, last: bool) -> None:
        """Blocking. Raises TransferFailure -1021 when it is not the file any more that was opened;
        at the last bytes it must still have its name, too.
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
            raise TransferFailure(source_unreadable(exc, self.path)) from exc
        return f"sha-256=:{base64.b64encode(found).decode()}:"

    def md5(self) -> str:
        """Blocking. In hexadecimal: what storage servers name a file by. Raises TransferFailure
        -1102.
        """
        try:
            with open(self.path, "rb") as file:
                return hashlib.file_digest(
                    file, lambda: hashlib.md5(usedforsecurity=False)
                ).hexdigest()
        except OSError as exc:
            raise TransferFailure(source_unreadable(exc, self.path)) from exc

    def read(self, offset: int, length: int) -> bytes:
        """Blocking. Raises TransferFailure -1021 or -1102."""
        try:
            data = os.pread(self._fd, length, offset)
        except OSError as exc:
            raise TransferFailure(source_unreadable(exc, self.path)) from exc
        self.check(last=offset + length == self.size)
        return data

    def close(self) -> None:
        os.close(self._fd)


class Small:
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


class Counted:
    """A stream's pieces; in chunked coding the network gives away more bytes than these."""

    def __init__(self, pieces: AsyncIterator[bytes], progress: Progress) -> None:
        self._pieces, self._progress = pieces, progress
        self._given = 0
        self.ended = False  # every piece was given to the network

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self._progress.received += self._given
        self._given = 0
        try:
            piece = await anext(self._pieces)
        except StopAsyncIteration:
            self.ended = True
            raise
        self._given = len(piece)
        return piece


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
