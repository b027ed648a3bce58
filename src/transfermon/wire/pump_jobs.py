"""The bodies that a pump moves: one from a socket to a file, or from a file to a socket.

Rule: only the pump's thread touches a job once it is posted.
"""

from __future__ import annotations

import asyncio
import errno
import os
import selectors
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from transfermon.http.head_marks import is_final
from transfermon.model.record import record
from transfermon.model.task import Progress
from transfermon.wire.deadlines import WANT
from transfermon.wire.http11 import HEAD_READ_SIZE, SLOWEST
from transfermon.wire.kernel_pipe import KernelPipe
from transfermon.wire.movable_end import MovableEnd
from transfermon.wire.rate_limit import Limiter, admitted, give_back
from transfermon.wire.stream import ended_without_close
from transfermon.wire.tls_socket import GIVEN_AT_ONCE, TlsSocket

# the one buffer; a write of this size is twice as fast as one of 256 KiB on a new file
CHUNK = 1 << 20
# read and given at once: it stays in the processor's cache, four times as much does not
PIECE = 256 * 1024
BURST = 1 << 20  # bytes for one body before the next one has its turn


class Hasher(Protocol):
    """What hashlib's objects offer."""

    def update(self, data: memoryview, /) -> None: ...


@record
class Outcome:
    """How a body ended. All `received` bytes are written and counted, whatever the reason."""

    received: int
    # None: whole; else closed, reset, stalled, cancelled, disk, tls or bug
    reason: str | None = None
    error: BaseException | None = None
    extra: bool = False  # more bytes came after the whole body; none of them is in the file


After = (
    Outcome | float | None
)  # of a turn: the end, seconds until the next one by a limiter, or when the socket is ready


class Buffers:
    """What the jobs of one pump use in their turns, one after the other."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(CHUNK))
        self.pipe = KernelPipe()


class Job:
    """One body. `turn` moves some of it."""

    events = selectors.EVENT_READ
    readable = True  # as far as is known, for the next turn

    def __init__(
        self,
        sock: socket.socket,
        fd: int,
        offset: int,
        length: int,
        counter: Progress,
        stall: float,
        limiters: Sequence[Limiter],
    ) -> None:
        self.sock = sock
        self.key = sock.fileno()
        self.tls = isinstance(sock, TlsSocket)
        self.fd = fd
        self.offset = offset
        self.left = length
        self.received = 0
        self.counter = counter
        self.stall = stall
        self.limiters = tuple(limiters)
        self.registered = False
        self.done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.last = self.window_began = time.monotonic()
        self.window_bytes = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key} and {self.fd}, {self.left} left>"

    def begin(self, buffers: Buffers) -> After:
        """The first turn."""
        return self.turn(buffers)

    def turn(self, buffers: Buffers) -> After:
        raise NotImplementedError

    @property
    def has_more(self) -> bool:
        """Whether bytes are there of which the selector does not know."""
        return isinstance(self.sock, TlsSocket) and self.sock.has_unread

    def outcome(
        self, reason: str | None = None, error: BaseException | None = None, *, extra: bool = False
    ) -> Outcome:
        return Outcome(received=self.received, reason=reason, error=error, extra=extra)

    def is_stalled(self, now: float) -> bool:
        """Whether the other end is silent, or as good as that."""
        if now - self.last >= self.stall:
            return True
        if now - self.window_began < self.stall:
            return False
        drips = self.window_bytes < SLOWEST * self.stall and not any(
            limiter.rate for limiter in self.limiters
        )
        self.window_began, self.window_bytes = now, 0
        return drips

    def excuse(self, now: float) -> None:
        """Begin to measure: until now we were slow, not the other end."""
        self.last = self.window_began = now
        self.window_bytes = 0

    def count(self, count: int) -> None:
        self.offset += count
        self.left -= count
        self.received += count
        self.window_bytes += count
        self.counter.add(count)


class Receiving(Job):
    """One body on its way in: `first`, and then the socket's bytes. With `ends`, anything behind
    them is extra. Where its end is moved to before it, it ends there, in good order.
    """

    def __init__(
        self,
        sock: socket.socket,
        first: bytes,
        fd: int,
        offset: int,
        length: int,
        counter: Progress,
        stall: float,
        limiters: Sequence[Limiter],
        hasher: Hasher | None,
        ends: bool,
        movable: MovableEnd | None = None,
    ) -> None:
        super().__init__(sock, fd, offset, length, counter, stall, limiters)
        self.first = first
        self.movable = movable
        self.hasher = hasher
        self.ends = ends
        # What nobody here has to look at goes through a kernel pipe: half the processor time.
        self.spliced = hasattr(os, "splice") and not self.tls and hasher is None
        # small pieces gain nothing
        self.spliced = self.spliced and not any(limiter.rate for limiter in limiters)

    def begin(self, buffers: Buffers) -> After:
        first = memoryview(self.first)
        wanted = min(len(first), self.left)
        granted = self._granted(wanted)
        try:
            self._store(first[:granted])
        except OSError as exc:
            return self.outcome("disk", exc)
        for limiter in self.limiters:
            limiter.charge(self.received)
        if granted < wanted:
            return self.outcome()
        if not self.left:
            return self.outcome(extra=self.ends and (len(first) > self.received or self._more()))
        # at once: bytes that OpenSSL already decrypted are told by no selector
        return self.turn(buffers)

    def turn(self, buffers: Buffers) -> After:
        moved = 0
        while self.left and moved < BURST:
            wanted = self._granted(min(CHUNK, self.left))
            if not wanted:
                return self.outcome()
            if self.limiters:
                wanted, delay = admitted(self.limiters, wanted)
                if not wanted:
                    return delay
            count, ending, error = (
                self._splice_in(buffers, wanted) if self.spliced else self._fill(buffers, wanted)
            )
            give_back(self.limiters, wanted - count)
            if count:
                try:
                    self._keep(buffers, count)  # bytes that came before an error count
                except OSError as exc:
                    return self.outcome("disk", exc)
                moved += count
                self.last = time.monotonic()
            if ending:
                return self.outcome(ending, error)
            if count < wanted:
                break
        return None if self.left else self.outcome(extra=self._more())

    def _granted(self, wanted: int) -> int:
        return wanted if self.movable is None else self.movable.claim(self.offset, wanted)

    def _fill(self, buffers: Buffers, wanted: int) -> tuple[int, str, BaseException | None]:
        try:
            count = self.sock.recv_into(buffers.view[:wanted])
        except WANT:
            return 0, "", None
        except ssl.SSLError as exc:
            return 0, "closed" if ended_without_close(exc) else "tls", exc
        except OSError as exc:
            return 0, "reset", exc
        return (count, "", None) if count else (0, "closed", None)

    def _splice_in(self, buffers: Buffers, wanted: int) -> tuple[int, str, BaseException | None]:
        try:
            count = buffers.pipe.fill(self.key, wanted)
        except BlockingIOError:
            return 0, "", None
        except OSError as exc:
            if exc.errno not in (errno.EINVAL, errno.ENOSYS):
                return 0, "reset", exc
            self.spliced = False
            return self._fill(buffers, wanted)
        return (count, "", None) if count else (0, "closed", None)

    def _keep(self, buffers: Buffers, count: int) -> None:
        if self.spliced:
            self._splice_out(buffers.pipe, count)
        else:
            self._store(buffers.view[:count])

    def _splice_out(self, pipe: KernelPipe, count: int) -> None:
        try:
            while count:
                moved = pipe.pour(self.fd, self.offset, count)
                self.count(moved)
                count -= moved
        except OSError as exc:
            if exc.errno != errno.EINVAL:
                pipe.drop()  # with what is in it; none of that was counted
                raise
            self.spliced = False  # not this kind of file
            self._store_from_pipe(pipe, count)

    def _store_from_pipe(self, pipe: KernelPipe, count: int) -> None:
        try:
            while count:
                data = pipe.read(count)
                count -= len(data)
                self._store(memoryview(data))
        except OSError:
            pipe.drop()
            raise

    def _store(self, data: memoryview) -> None:
        while data:
            count = os.pwrite(self.fd, data, self.offset)
            if self.hasher is not None:
                self.hasher.update(data[:count])
            self.count(count)
            data = data[count:]

    def _more(self) -> bool:
        if not self.ends:
            return False  # under TLS looking means taking
        try:
            return bool(self.sock.recv(1) if self.tls else self.sock.recv(1, socket.MSG_PEEK))
        except OSError:
            return False


class Giving(Job):
    """One body on its way out. Its bytes are copied before they are checked: what went out cannot
    change any more.
    """

    events = selectors.EVENT_READ | selectors.EVENT_WRITE

    def __init__(
        self,
        sock: socket.socket,
        fd: int,
        offset: int,
        length: int,
        counter: Progress,
        stall: float,
        limiters: Sequence[Limiter],
        check: Callable[[bool], None],
        heard: Callable[[bytes], object] | None = None,
    ) -> None:
        super().__init__(sock, fd, offset, length, counter, stall, limiters)
        self.check = check
        self.heard = heard
        self.piece = memoryview(bytearray(min(GIVEN_AT_ONCE if self.tls else PIECE, length)))
        self.ready = self.piece[:0]  # read, and not given yet
        self.owed = 0  # bytes that OpenSSL wants to be offered again
        self.early = b""

    def turn(self, buffers: Buffers) -> After:
        if self.readable and (answered := self._listen()) is not None:
            return answered
        # asked once a turn: most are without any, and their locks cost as much as a piece
        limited = any(limiter.rate for limiter in self.limiters)
        moved = 0
        while self.left and moved < BURST:
            if not self.ready:
                try:
                    self._read()
                except Exception as exc:  # noqa: BLE001 - `check` says in its own words what is wrong with the file
                    return self.outcome("source", exc)
            wanted = self.owed or len(self.ready)
            if limited and not self.owed:
                wanted, delay = admitted(self.limiters, wanted)
                if not wanted:
                    return delay
            try:
                count = self.sock.send(self.ready[:wanted])
            except WANT:
                if self.tls:
                    self.owed = wanted
                elif limited:
                    give_back(self.limiters, wanted)
                break
            except OSError as exc:
                return self.outcome("reset", exc)
            if limited:
                give_back(self.limiters, wanted - count)
            self.owed = 0
            self.ready = self.ready[count:]
            self.count(count)
            moved += count
            self.last = time.monotonic()
            if count < wanted:
                break  # it takes no more now
        return None if self.left else self.outcome()

    def _listen(self) -> Outcome | None:
        """The end, when the server has answered or gone."""
        try:
            data = self.sock.recv(HEAD_READ_SIZE)
        except WANT:
            return None
        except OSError as exc:
            return self.outcome("reset", exc)
        self.early += data
        if not data:
            return self.outcome("closed")
        if is_final(self.early):
            return self.outcome("answered")
        if self.heard is not None:
            self.heard(self.early)
        return None

    def _read(self) -> None:
        """Raises OSError, or what `check` raises."""
        count = os.preadv(self.fd, [self.piece[: min(len(self.piece), self.left)]], self.offset)
        self.check(count == self.left)
        if not count:
            raise OSError(errno.EIO, "the file is too short")
        self.ready = self.piece[:count]
