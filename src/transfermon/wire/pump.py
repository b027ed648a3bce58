"""The pump thread: bodies of known length, from socket to part file or from a file to a socket,
past the loop.

Rule: the loop only posts commands. Every touch of a job happens on the pump thread, and whoever
cancels waits for that thread's answer before socket and file are closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from transfermon.model.task import Progress
from transfermon.wire.movable_end import MovableEnd
from transfermon.wire.pump_jobs import After, Buffers, Giving, Hasher, Job, Outcome, Receiving
from transfermon.wire.rate_limit import Limiter
from transfermon.wire.wire_request import Given


class Pump:
    """One thread, one selector, one buffer. Not made to be shared between loops."""

    def __init__(self, name: str = "pump") -> None:
        self._selector = selectors.DefaultSelector()
        self._wake, self._bell = socket.socketpair()
        self._wake.setblocking(False)
        self._bell.setblocking(False)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._commands: deque[tuple[Callable[[Job], None], Job]] = deque()
        self._jobs: dict[int, Job] = {}
        self._hot: dict[int, Job] = {}  # has more to read, which the selector may not know of
        self._paused: dict[int, float] = {}  # by a limiter, until then
        self._buffers = Buffers()
        self._look_at = float("inf")
        self._stopping = False
        self._closed = False
        # of the last turn; old while jobs are there: a write hangs (a dead share)
        self.beat = time.monotonic()
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
        counter: Progress,
        *,
        stall: float = 60.0,
        limiters: Sequence[Limiter] = (),
        hasher: Hasher | None = None,
        ends: bool = True,
        movable: MovableEnd | None = None,
    ) -> Outcome:
        """Move `length` bytes, `first` and then the socket's, to the file from `offset` on.

        The caller keeps both descriptors open until this returns or raises, and nobody else reads
        the socket. When the caller is cancelled it raises only after the thread let go of both.
        `stall` is in seconds. `ends` says that the body ends with these bytes, so that anything
        behind them is extra. What comes behind an end that was moved is left to the caller, also of
        `first`.
        """
        if self._closed:
            raise RuntimeError("the pump is closed")
        return await self._done(
            Receiving(
                sock, first, fd, offset, length, counter, stall, limiters, hasher, ends, movable
            )
        )

    async def give(
        self,
        sock: socket.socket,
        fd: int,
        offset: int,
        length: int,
        counter: Progress,
        *,
        check: Callable[[bool], None],
        heard: Callable[[bytes], object] | None = None,
        stall: float = 60.0,
        limiters: Sequence[Limiter] = (),
    ) -> Given:
        """Move `length` bytes of the file from `offset` on to the socket. The caller's duties are
        those of `receive`.

        `check` is called on the pump's thread after each read, before its bytes go out, and told
        whether they are the last; what it raises ends the job with the reason "source". An answer
        of the server's ends it, too; `heard` is told on that thread what came before one.
        """
        if self._closed:
            raise RuntimeError("the pump is closed")
        job = Giving(sock, fd, offset, length, counter, stall, limiters, check, heard)
        outcome = await self._done(job)
        return Given(
            count=outcome.received, reason=outcome.reason, error=outcome.error, early=job.early
        )

    async def _done(self, job: Job) -> Outcome:
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

    def _post(self, command: Callable[[Job], None], job: Job) -> None:
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
            for key, events in self._selector.select(self._timeout()):
                if key.fd == self._wake.fileno():
                    self._hush()
                else:
                    self._turn_of(key.fd, readable=bool(events & selectors.EVENT_READ))
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
            self._end(job, job.outcome("cancelled"))
        self._buffers.pipe.drop()
        self._selector.close()
        self._wake.close()
        self._bell.close()

    def _add(self, job: Job) -> None:
        self._jobs[job.key] = job
        now = time.monotonic()
        job.excuse(now)
        self._look_at = min(self._look_at, now + min(1.0, job.stall / 4))
        self._turn(job, job.begin)

    def _cancel(self, job: Job) -> None:
        if self._jobs.get(job.key) is job:
            self._end(job, job.outcome("cancelled"))

    def _turn_of(self, number: int, *, readable: bool = True) -> None:
        job = self._jobs.get(number)
        if job is not None:
            job.readable = readable
            self._turn(job, job.turn)

    def _turn(self, job: Job, turn: Callable[[Buffers], After]) -> None:
        self._hot.pop(job.key, None)
        try:
            after = turn(self._buffers)
        except Exception as exc:  # noqa: BLE001 - reported as the job's outcome; the other bodies go on
            after = job.outcome("bug", exc)
        if isinstance(after, Outcome):
            self._end(job, after)
        elif after is not None:
            self._pause(job, after)
        else:
            if job.has_more:
                self._hot[job.key] = job
            self._listen(job)

    def _listen(self, job: Job) -> None:
        if not job.registered:
            self._selector.register(job.key, job.events)
            job.registered = True

    def _ignore(self, job: Job) -> None:
        if job.registered:
            job.registered = False
            with contextlib.suppress(KeyError, OSError):  # the descriptor may be gone already
                self._selector.unregister(job.key)

    def _pause(self, job: Job, delay: float) -> None:
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
            if job.key in self._paused:
                job.excuse(now)
            elif job.is_stalled(now):
                self._end(job, job.outcome("stalled"))
        shortest = min((job.stall for job in self._jobs.values()), default=None)
        self._look_at = float("inf") if shortest is None else now + min(1.0, shortest / 4)

    def _end(self, job: Job, outcome: Outcome) -> None:
        if self._jobs.get(job.key) is not job:
            return
        del self._jobs[job.key]
        self._hot.pop(job.key, None)
        self._paused.pop(job.key, None)
        self._ignore(job)
        _tell(job, outcome)


def _tell(job: Job, outcome: Outcome) -> None:
    def settle() -> None:
        if not job.done.done():
            job.done.set_result(outcome)

    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        job.done.get_loop().call_soon_threadsafe(settle)


class Pumps:
    """One pump per device that files are on, made on demand: a hung share stops its own downloads
    only.
    """

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
