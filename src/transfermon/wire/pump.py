"""The pump thread: bodies of known length, from socket to part file or from a file to a socket, past httpx and h11.

Rule: the loop only posts commands. Every touch of a job happens on the pump thread, and whoever cancels waits for
that thread's answer before socket and file are closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from transfermon.model.record import record
from transfermon.wire.network import (
    HEAD_READ_SIZE,
    SLOWEST,
    WANT,
    Counter,
    Given,
    Limiter,
    admitted,
    ended_without_close,
    give_back,
    is_final,
)

CHUNK = 1 << 20  # the one buffer; a write of this size is twice as fast as one of 256 KiB on a new file
PIECE = 256 * 1024  # read and given at once: it stays in the processor's cache, four times as much does not
PIECE_OF_TLS = 64 * 1024  # given to OpenSSL at once
BURST = 1 << 20  # bytes for one body before the next one has its turn

T = TypeVar("T")


class Hasher(Protocol):
    """What hashlib's objects offer."""

    def update(self, data: memoryview, /) -> None: ...


@record
class Outcome:
    """How a body ended. All `received` bytes are written and counted, whatever the reason."""

    received: int
    reason: str | None = None  # None: whole; else closed, reset, stalled, cancelled, disk, tls or bug
    error: BaseException | None = None
    extra: bool = False  # more bytes came after the whole body; none of them is in the file


async def until_done(work: Awaitable[T]) -> T:
    """The result, awaited to the end even when we are cancelled: a thread may still use the descriptors."""
    future = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            try:
                await asyncio.wait({future})
            except asyncio.CancelledError:
                continue
        if not future.cancelled():
            future.exception()  # seen; the cancel is what counts
        raise


class _Job:
    """One body. Only the pump thread touches it once it is posted."""

    def __init__(
        self,
        sock: socket.socket,
        first: bytes,
        fd: int,
        offset: int,
        length: int,
        counter: Counter,
        stall: float,
        limiters: Sequence[Limiter],
        hasher: Hasher | None,
        ends: bool,
    ) -> None:
        self.sock = sock
        self.key = sock.fileno()
        self.tls = isinstance(sock, ssl.SSLSocket)
        self.first = first
        self.fd = fd
        self.offset = offset
        self.left = length
        self.received = 0
        self.counter = counter
        self.stall = stall
        self.limiters = tuple(limiters)
        # What nobody here has to look at goes through a kernel pipe: half the processor time.
        self.spliced = hasattr(os, "splice") and not self.tls and hasher is None
        self.spliced = self.spliced and not any(limiter.rate for limiter in limiters)  # small pieces gain nothing
        self.hasher = hasher
        self.ends = ends
        self.registered = False
        self.done = asyncio.get_running_loop().create_future()
        self.last = self.window_began = time.monotonic()
        self.window_bytes = 0

    def __repr__(self) -> str:
        return f"<_Job {self.key} -> {self.fd}, {self.left} left>"


class _Giving(_Job):
    """One body on its way out. Its bytes are copied before they are checked: what went out cannot change any more."""

    def __init__(
        self,
        sock: socket.socket,
        fd: int,
        offset: int,
        length: int,
        counter: Counter,
        stall: float,
        limiters: Sequence[Limiter],
        check: Callable[[bool], None],
        heard: Callable[[bytes], object] | None = None,
    ) -> None:
        super().__init__(sock, b"", fd, offset, length, counter, stall, limiters, None, ends=True)
        self.spliced = False
        self.check = check
        self.heard = heard
        self.piece = memoryview(bytearray(min(PIECE_OF_TLS if self.tls else PIECE, length)))
        self.ready = self.piece[:0]  # read, and not given yet
        self.owed = 0  # bytes that OpenSSL wants to be offered again
        self.early = b""

    def read(self) -> None:
        """Raises OSError, or what `check` raises."""
        count = os.preadv(self.fd, [self.piece[: min(len(self.piece), self.left)]], self.offset)
        self.check(count == self.left)
        if not count:
            raise OSError(errno.EIO, "the file is too short")
        self.ready = self.piece[:count]


class Pump:
    """One thread, one selector, one buffer. Not made to be shared between loops."""

    def __init__(self, name: str = "pump") -> None:
        self._selector = selectors.DefaultSelector()
        self._wake, self._bell = socket.socketpair()
        self._wake.setblocking(False)
        self._bell.setblocking(False)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._commands: deque[tuple[Callable[[_Job], None], _Job]] = deque()
        self._jobs: dict[int, _Job] = {}
        self._hot: dict[int, _Job] = {}  # has more to read, which the selector may not know of
        self._paused: dict[int, float] = {}  # by a limiter, until then
        self._view = memoryview(bytearray(CHUNK))
        self._pipe: tuple[int, int] | None = None  # empty between two bodies
        self._look_at = float("inf")
        self._stopping = False
        self._closed = False
        self.beat = time.monotonic()  # of the last turn; old while jobs are there: a write hangs (a dead share)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"<Pump {self._thread.name}, {len(self._jobs)} bodies>"

    @property
    def hung(self) -> float:
        """Seconds since the thread last looked up, while it has work; 0.0 when it is well."""
        return max(0.0, time.monotonic() - self.beat - 2.0) if self._jobs else 0.0

    async def receive(
        self,
        sock: socket.socket,
        first: bytes,
        fd: int,
        offset: int,
        length: int,
        counter: Counter,
        *,
        stall: float = 60.0,
        limiters: Sequence[Limiter] = (),
        hasher: Hasher | None = None,
        ends: bool = True,
    ) -> Outcome:
        """Move `length` bytes, `first` and then the socket's, to the file from `offset` on.

        The caller keeps both descriptors open until this returns or raises, and nobody else reads the socket.
        When the caller is cancelled it raises only after the thread let go of both. `stall` is in seconds. `ends` says that
        the body ends with these bytes, so that anything behind them is extra.
        """
        if self._closed:
            raise RuntimeError("the pump is closed")
        return await self._done(_Job(sock, first, fd, offset, length, counter, stall, limiters, hasher, ends))

    async def give(
        self,
        sock: socket.socket,
        fd: int,
        offset: int,
        length: int,
        counter: Counter,
        *,
        check: Callable[[bool], None],
        heard: Callable[[bytes], object] | None = None,
        stall: float = 60.0,
        limiters: Sequence[Limiter] = (),
    ) -> Given:
        """Move `length` bytes of the file from `offset` on to the socket. The caller's duties are those of `receive`.

        `check` is called on the pump's thread after each read, before its bytes go out, and told whether they are the
        last; what it raises ends the job with the reason "source". An answer of the server's ends it, too; `heard` is
        told on that thread what came before one.
        """
        if self._closed:
            raise RuntimeError("the pump is closed")
        job = _Giving(sock, fd, offset, length, counter, stall, limiters, check, heard)
        outcome = await self._done(job)
        return Given(count=outcome.received, reason=outcome.reason, error=outcome.error, early=job.early)

    async def _done(self, job: _Job) -> Outcome:
        self._post(self._add, job)
        try:
            outcome: Outcome = await asyncio.shield(job.done)
        except asyncio.CancelledError:
            self._post(self._cancel, job)
            while not job.done.done():
                try:
                    await asyncio.shield(job.done)
                except asyncio.CancelledError:
                    continue
            raise
        return outcome

    def close(self) -> None:
        """End the thread; bodies under way end as cancelled. Blocks for one turn of the thread."""
        if self._closed:
            return
        self._closed = True
        self._stopping = True
        self._ring()
        self._thread.join(timeout=5)

    # ---- any thread

    def _post(self, command: Callable[[_Job], None], job: _Job) -> None:
        self._commands.append((command, job))
        self._ring()

    def _ring(self) -> None:
        try:
            self._bell.send(b"!")
        except BlockingIOError:
            pass  # it rings already
        except OSError:
            if not self._closed:
                raise

    # ---- the pump thread

    def _run(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select(self._timeout()):
                if key.fd == self._wake.fileno():
                    self._hush()
                else:
                    self._turn_of(key.fd)
            for number in list(self._hot):
                self._turn_of(number)
            while self._commands:
                command, job = self._commands.popleft()
                command(job)
            self._look_after()
        self._shut_down()

    def _timeout(self) -> float | None:
        if self._hot or self._commands or self._stopping:
            return 0
        if not self._jobs:
            return None  # nothing to do, no wake-up at all
        now = time.monotonic()
        due = min([self._look_at, *self._paused.values()])
        return max(0.0, due - now)

    def _hush(self) -> None:
        try:
            while len(self._wake.recv(4096)) == 4096:
                pass
        except BlockingIOError:
            pass

    def _shut_down(self) -> None:
        while self._commands:
            _tell(self._commands.popleft()[1], Outcome(received=0, reason="cancelled"))
        for job in list(self._jobs.values()):
            self._end(job, "cancelled")
        self._drop_pipe()
        self._selector.close()
        self._wake.close()
        self._bell.close()

    def _add(self, job: _Job) -> None:
        self._jobs[job.key] = job
        job.last = job.window_began = time.monotonic()
        self._look_at = min(self._look_at, job.window_began + min(1.0, job.stall / 4))
        if isinstance(job, _Giving):
            self._turn(job)
            return
        try:
            first = memoryview(job.first)
            self._store(job, first[: job.left])
        except OSError as exc:
            self._end(job, "disk", exc)
            return
        for limiter in job.limiters:
            limiter.charge(job.received)
        if not job.left:
            self._end(job, extra=job.ends and (len(first) > job.received or _more(job)))
            return
        # The first turn is here: bytes that OpenSSL already decrypted are told by no selector.
        self._turn(job)

    def _cancel(self, job: _Job) -> None:
        if self._jobs.get(job.key) is job:
            self._end(job, "cancelled")

    def _turn_of(self, number: int) -> None:
        job = self._jobs.get(number)
        if job is not None:
            self._turn(job)

    def _turn(self, job: _Job) -> None:
        self._hot.pop(job.key, None)
        try:
            if isinstance(job, _Giving):
                self._give(job)
            else:
                self._move(job)
        except Exception as exc:  # noqa: BLE001 - reported as the job's outcome; the other bodies go on
            self._end(job, "bug", exc)

    def _move(self, job: _Job) -> None:
        moved = 0
        while job.left and moved < BURST:
            wanted = min(CHUNK, job.left)
            if job.limiters:
                wanted, delay = admitted(job.limiters, wanted)
                if not wanted:
                    self._pause(job, delay)
                    return
            count, ending, error = self._splice_in(job, wanted) if job.spliced else self._fill(job, wanted)
            give_back(job.limiters, wanted - count)
            if count:
                try:
                    self._keep(job, count)  # bytes that came before an error count
                except OSError as exc:
                    self._end(job, "disk", exc)
                    return
                moved += count
                job.last = time.monotonic()
            if ending:
                self._end(job, ending, error)
                return
            if count < wanted:
                break
        if not job.left:
            self._end(job, extra=_more(job))
            return
        if isinstance(job.sock, ssl.SSLSocket) and job.sock.pending():
            self._hot[job.key] = job
        self._listen(job)

    def _give(self, job: _Giving) -> None:
        if not self._listens_still(job):
            return
        moved = 0
        while job.left and moved < BURST:
            if not job.ready:
                try:
                    job.read()
                except Exception as exc:  # noqa: BLE001 - `check` says in its own words what is wrong with the file
                    self._end(job, "source", exc)
                    return
            wanted = job.owed or len(job.ready)
            if job.limiters and not job.owed:
                wanted, delay = admitted(job.limiters, wanted)
                if not wanted:
                    self._pause(job, delay)
                    return
            try:
                count = job.sock.send(job.ready[:wanted])
            except WANT:
                if job.tls:
                    job.owed = wanted
                else:
                    give_back(job.limiters, wanted)
                break
            except OSError as exc:
                self._end(job, "reset", exc)
                return
            give_back(job.limiters, wanted - count)
            job.owed = 0
            job.ready = job.ready[count:]
            self._count(job, count)
            moved += count
            job.last = time.monotonic()
        if not job.left:
            self._end(job)
            return
        self._listen(job)

    def _listens_still(self, job: _Giving) -> bool:
        """False when the server has answered or gone, and the job is ended."""
        try:
            data = job.sock.recv(HEAD_READ_SIZE)
        except WANT:
            return True
        except OSError as exc:
            self._end(job, "reset", exc)
            return False
        job.early += data
        if not data:
            self._end(job, "closed")
        elif is_final(job.early):
            self._end(job, "answered")
        else:
            if job.heard is not None:
                job.heard(job.early)
            return True
        return False

    def _fill(self, job: _Job, wanted: int) -> tuple[int, str, BaseException | None]:
        got = 0
        while got < wanted:
            try:
                count = job.sock.recv_into(self._view[got:wanted])
            except WANT:
                break
            except ssl.SSLError as exc:
                return got, "closed" if ended_without_close(exc) else "tls", exc
            except OSError as exc:
                return got, "reset", exc
            if not count:
                return got, "closed", None
            got += count
            if not job.tls:  # one call empties a plain socket; TLS gives one record of 16 KiB a call
                break
        return got, "", None

    def _keep(self, job: _Job, count: int) -> None:
        if job.spliced:
            self._splice_out(job, count)
        else:
            self._store(job, self._view[:count])

    def _splice_in(self, job: _Job, wanted: int) -> tuple[int, str, BaseException | None]:
        if self._pipe is None:
            self._pipe = _wide_pipe()
        try:
            count = os.splice(job.key, self._pipe[1], wanted, flags=os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            return 0, "", None
        except OSError as exc:
            if exc.errno not in (errno.EINVAL, errno.ENOSYS):
                return 0, "reset", exc
            job.spliced = False
            return self._fill(job, wanted)
        return (count, "", None) if count else (0, "closed", None)

    def _splice_out(self, job: _Job, count: int) -> None:
        assert self._pipe is not None
        try:
            while count:
                moved = os.splice(self._pipe[0], job.fd, count, offset_dst=job.offset, flags=os.SPLICE_F_MOVE)
                self._count(job, moved)
                count -= moved
        except OSError as exc:
            if exc.errno != errno.EINVAL:
                self._drop_pipe()  # with what is in it; none of that was counted
                raise
            job.spliced = False  # not this kind of file
            self._store_from_pipe(job, count)

    def _store_from_pipe(self, job: _Job, count: int) -> None:
        assert self._pipe is not None
        try:
            while count:
                data = os.read(self._pipe[0], count)
                count -= len(data)
                self._store(job, memoryview(data))
        except OSError:
            self._drop_pipe()
            raise

    def _drop_pipe(self) -> None:
        if self._pipe is not None:
            os.close(self._pipe[0])
            os.close(self._pipe[1])
            self._pipe = None

    def _store(self, job: _Job, data: memoryview) -> None:
        while data:
            count = os.pwrite(job.fd, data, job.offset)
            if job.hasher is not None:
                job.hasher.update(data[:count])
            self._count(job, count)
            data = data[count:]

    def _count(self, job: _Job, count: int) -> None:
        job.offset += count
        job.left -= count
        job.received += count
        job.window_bytes += count
        job.counter.received += count

    def _listen(self, job: _Job) -> None:
        if not job.registered:
            giving = isinstance(job, _Giving)
            self._selector.register(job.key, selectors.EVENT_READ | (selectors.EVENT_WRITE if giving else 0))
            job.registered = True

    def _ignore(self, job: _Job) -> None:
        if job.registered:
            job.registered = False
            with contextlib.suppress(KeyError, OSError):  # the descriptor may be gone already
                self._selector.unregister(job.key)

    def _pause(self, job: _Job, delay: float) -> None:
        self._ignore(job)  # an ended connection would wake us without pause otherwise
        self._paused[job.key] = time.monotonic() + delay

    def _look_after(self) -> None:
        self.beat = now = time.monotonic()
        for number, until in list(self._paused.items()):
            if now >= until:
                del self._paused[number]
                self._turn_of(number)
        if now < self._look_at:
            return
        for job in list(self._jobs.values()):
            self._check_speed(job, now)
        shortest = min((job.stall for job in self._jobs.values()), default=None)
        self._look_at = float("inf") if shortest is None else now + min(1.0, shortest / 4)

    def _check_speed(self, job: _Job, now: float) -> None:
        if job.key in self._paused:
            job.last = job.window_began = now  # we are slow, not the server
            job.window_bytes = 0
        elif now - job.last >= job.stall:
            self._end(job, "stalled")
        elif now - job.window_began >= job.stall:
            limited = any(limiter.rate for limiter in job.limiters)
            if job.window_bytes < SLOWEST * job.stall and not limited:
                self._end(job, "stalled")
            job.window_began, job.window_bytes = now, 0

    def _end(
        self, job: _Job, reason: str | None = None, error: BaseException | None = None, *, extra: bool = False
    ) -> None:
        if self._jobs.get(job.key) is not job:
            return
        del self._jobs[job.key]
        self._hot.pop(job.key, None)
        self._paused.pop(job.key, None)
        self._ignore(job)
        _tell(job, Outcome(received=job.received, reason=reason, error=error, extra=extra))


def _tell(job: _Job, outcome: Outcome) -> None:
    def settle() -> None:
        if not job.done.done():
            job.done.set_result(outcome)

    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        job.done.get_loop().call_soon_threadsafe(settle)


def _wide_pipe() -> tuple[int, int]:
    import fcntl  # only where splice is

    ends = os.pipe2(os.O_CLOEXEC)
    with contextlib.suppress(OSError):  # beyond the user's share of pipe memory: a narrow one works too
        fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, BURST)
    return ends


def _more(job: _Job) -> bool:
    if not job.ends:
        return False  # under TLS looking means taking
    try:
        return bool(job.sock.recv(1) if job.tls else job.sock.recv(1, socket.MSG_PEEK))
    except OSError:
        return False


class Pumps:
    """One pump per device that files are on, made on demand: a hung share stops its own downloads only."""

    def __init__(self) -> None:
        self._pumps: dict[int, Pump] = {}

    def for_fd(self, fd: int) -> Pump:
        """The pump of the device that holds this open file."""
        device = os.fstat(fd).st_dev
        pump = self._pumps.get(device)
        if pump is None:
            pump = self._pumps[device] = Pump(f"pump-{device}")
        return pump

    def hung_on(self, device: int) -> float:
        """Seconds for which the pump of that device has been stuck in one call."""
        pump = self._pumps.get(device)
        return pump.hung if pump is not None else 0.0

    @property
    def hung(self) -> float:
        """Seconds for which the worst of them has been stuck in one call; 0.0 when all are well."""
        return max((pump.hung for pump in self._pumps.values()), default=0.0)

    def close(self) -> None:
        """End all threads. Blocks shortly."""
        for pump in self._pumps.values():
            pump.close()
        self._pumps.clear()
