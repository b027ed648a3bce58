"""A body that several connections bring: the one at hand, and more beside it as long as they make
it faster.

Rule: a connection brings one range at a time and compares both its ends with what others have
brought there. What contradicts ends all of them; one that only fails leaves its range to the
others. More connections take free slots of the host alone, and none is asked for any more after
the first one that was refused.
"""

from __future__ import annotations

import asyncio
import os
import time

from transfermon.engine.attempt import Attempt
from transfermon.engine.connection_growth import ConnectionGrowth
from transfermon.engine.download_parts import DownloadParts
from transfermon.engine.host_pace import USUAL
from transfermon.engine.part_ranges import PartRanges, StoredRange
from transfermon.engine.queue import Loan
from transfermon.engine.task_calls import call_for_task
from transfermon.http import evidence, segments
from transfermon.http.digests import Hashes
from transfermon.http.segments import SEAM, SegmentVerdict
from transfermon.model.errors import Code, TransferFailure
from transfermon.model.task import Progress
from transfermon.wire.answer import Answer
from transfermon.wire.cancellation import until_done
from transfermon.wire.rate_limit import Limiter

MOST_AUTOMATIC = 4  # connections, where nobody gave a number
LEAST = 1 << 20  # bytes that are worth a request of their own
LEAST_SECONDS = 0.2  # that they take
ENOUGH = 8 << 20  # bytes that must be left for one connection more
ENOUGH_SECONDS = 2.0  # that they take without it
_TICK = 0.05  # seconds between two looks at the rate
_LONG_TICK = 1.0  # where nothing is to be decided
_AFTER_A_CUT = 1.0  # seconds before one that broke is replaced


class Contradicted(Exception):  # noqa: N818 - a state of affairs, which the caller answers by starting over
    """What the connections bring is not one file; the text is a sentence for people. `mixed`: what
    is stored may be of two versions.
    """

    def __init__(self, reason: str, *, mixed: bool) -> None:
        super().__init__(reason)
        self.mixed = mixed


class Segments:
    """Of one attempt."""

    def __init__(self, attempt: Attempt, parts: DownloadParts, limiters: list[Limiter]) -> None:
        self._attempt = attempt
        self._parts = parts
        self._limiters = limiters
        self._refused = False  # no further connection is to be asked for
        self._sharing: _Sharing | None = None

    def __repr__(self) -> str:
        return f"<Segments of {self._attempt.task.key}, {self._sharing or 'one connection'}>"

    @property
    def wanted(self) -> int:
        """Connections at once that somebody wants; 0: as many as help."""
        own = self._attempt.configuration.connections
        return max(0, self._attempt.task.options.connections or own)

    def may_share(self, answer: Answer, offset: int) -> bool:
        """Whether several connections may bring the file, of which this answer's body is what
        begins at `offset`.
        """
        task, most = self._attempt.task, self._attempt.configuration.maximum_bytes
        if answer.content_length is None or task.validators is None or task.method != "GET":
            return False
        if not segments.may_share(answer.response, task.validators, task.evidence):
            return False
        if 0 < most < task.validators.total:
            return False
        if self._parts.ranges is not None:
            return True
        return self.wanted != 1 and task.validators.total - offset >= ENOUGH

    async def receive(self, answer: Answer, hashes: Hashes | None) -> None:
        """Take the body, which goes on with the first bytes that are stored, and whatever else the
        file lacks. `hashes` are dropped where bytes do not come in their order.

        It returns when all is there, or when the rest is to be asked for in another way. Raises
        Contradicted, and TransferFailure when the last connection has failed.
        """
        task = self._attempt.task
        assert task.validators is not None
        found = self._parts.share(task.validators.total)
        wanted = 1 if self._refused else self.wanted
        sharing = self._sharing = _Sharing(
            self._attempt, self._parts, found, self._limiters, hashes, wanted
        )
        try:
            await sharing.run(answer)
        finally:
            self._sharing = None
            self._refused |= sharing.refused


class _Sharing:
    """One answer's body, and what else the file lacks, shared by connections."""

    def __init__(
        self,
        attempt: Attempt,
        parts: DownloadParts,
        ranges: PartRanges,
        limiters: list[Limiter],
        hashes: Hashes | None,
        wanted: int,
    ) -> None:
        self._attempt = attempt
        self._parts = parts
        self._ranges = ranges
        self._limiters = limiters
        self._hashes = hashes
        self._wanted = wanted
        self._working: dict[asyncio.Task[None], StoredRange | None] = {}
        self._ended = asyncio.Event()  # a connection, or the look for more
        self._loans: dict[asyncio.Task[None], Loan] = {}
        self._failure: TransferFailure | None = None  # of the last connection that failed
        self._growth = ConnectionGrowth(0.0, time.monotonic(), attempt.progress.received)
        self._round_trip = 0.0
        self._useful = wanted or 1  # connections
        self._not_before = 0.0  # monotonic seconds: one that broke is replaced then
        self.refused = False

    def __repr__(self) -> str:
        return f"{len(self._working)} connections"

    async def run(self, answer: Answer) -> None:
        """As `Segments.receive`."""
        if self._ranges.scattered:
            self._drop_hashes()
        timing = answer.timing
        self._round_trip = max(0.0, timing.head - timing.connected)
        self._growth = ConnectionGrowth(
            self._round_trip, time.monotonic(), self._attempt.progress.received
        )
        self._start(self._ranges.ranges[0], answer)
        growing = asyncio.ensure_future(self._grow())
        growing.add_done_callback(lambda _: self._ended.set())
        try:
            while self._working:
                await self._ended.wait()
                self._ended.clear()
                if growing.done():
                    growing.result()
                for work in [work for work in self._working if work.done()]:
                    self._leave(work)
                    if not work.cancelled():
                        work.result()
        finally:
            growing.cancel()
            for work in self._working:
                work.cancel()
            await until_done(asyncio.wait({*self._working, growing}))
            for work in list(self._working):
                self._leave(work)
                if not work.cancelled():
                    work.exception()  # seen: what came first counts
        if self._failure is not None and not self._ranges.whole:
            raise self._failure

    def _start(self, one: StoredRange, answer: Answer | None) -> asyncio.Task[None]:
        one.busy = True
        work = asyncio.ensure_future(self._work(one, answer))

        def ended(_: object) -> None:
            # one that was cancelled before it began has let go of nothing
            if work.cancelled() and one.busy and not self._bringing(one):
                one.busy = False
                self._ranges.leave(one)
            self._ended.set()

        work.add_done_callback(ended)
        self._working[work] = one
        return work

    def _leave(self, work: asyncio.Task[None]) -> None:
        del self._working[work]
        loan = self._loans.pop(work, None)
        if loan is not None:
            self._attempt.engine.slots.give_back(loan)

    def _drop_hashes(self) -> None:
        """The file is read again in the end."""
        if self._hashes is not None:
            self._hashes.stop()
            self._hashes = None

    # ---- more connections

    async def _grow(self) -> None:
        """Add connections as long as they help, and replace those that broke."""
        if not self._wanted and any(limiter.rate for limiter in self._limiters):
            return  # it is not the line that is slow
        progress, most = self._attempt.progress, self._wanted or MOST_AUTOMATIC
        while not self.refused:
            now = time.monotonic()
            self._growth.note(now, progress.received, time.process_time())
            count = len(self._working)
            if not self._has_room():
                await asyncio.sleep(_LONG_TICK)
                continue
            if count < self._useful and now >= self._not_before:
                while len(self._working) < self._useful and await self._add():
                    pass
            elif (
                self._useful <= count < most
                and self._enough_left(now)
                and self._growth.wants_another(now)
                and await self._add()
            ):
                self._useful += 1
            settled = self._growth.exhausted and len(self._working) >= self._useful
            await asyncio.sleep(_LONG_TICK if settled else _TICK)

    def _has_room(self) -> bool:
        """Whether one more connection could be had now: mostly none can where many files arrive."""
        return self._attempt.engine.slots.may_lend(self._attempt.task.key, limit=self._limit)

    @property
    def _limit(self) -> int:
        """Of the connections to the host, as `Slots.ask` has it."""
        # a number for one file is as good as one for its host, but where somebody set that
        own = self._attempt.configuration.connections_to_a_host
        return own or (self._wanted and max(self._wanted, USUAL))

    def _enough_left(self, now: float) -> bool:
        return self._ranges.rest >= max(ENOUGH, ENOUGH_SECONDS * self._growth.rate(now))

    async def _add(self) -> bool:
        """One more connection; False where none can be had now, or has anything to do."""
        slots = self._attempt.engine.slots
        started: list[asyncio.Task[None]] = []

        def give_back() -> None:
            for work in started:
                work.cancel()

        loan = slots.lend(
            self._attempt.task.key,
            limit=self._limit,
            wanted_back=give_back,
        )
        if loan is None:
            return False
        one = None
        try:
            if not self._ranges.scattered:
                await self._parts.scatter()
                self._drop_hashes()
            one = self._next()
        finally:
            if one is None:
                slots.give_back(loan)
        if one is None:
            return False
        work = self._start(one, None)
        started.append(work)
        self._loans[work] = loan
        if loan.asked_back:
            work.cancel()
        return True

    def _next(self) -> StoredRange | None:
        """What a connection that has nothing to do brings next."""
        if self.refused:
            return None
        rate = self._growth.rate(time.monotonic()) / max(1, len(self._working))
        least = int(rate * max(LEAST_SECONDS, 2 * self._round_trip))
        return self._ranges.idle() or self._ranges.shared(max(LEAST, least))

    # ---- one connection after the other

    async def _work(self, one: StoredRange | None, answer: Answer | None) -> None:
        """Bring one range after the other. Raises what ends all."""
        me = asyncio.current_task()
        assert me is not None
        added = answer is None
        try:
            while one is not None:
                self._working[me], one.busy = one, True
                if answer is None:
                    answer = await self._open(one)
                if answer is None:
                    return
                if added:
                    self._growth.added(time.monotonic())
                    added = False
                before = one.received
                try:
                    await self._bring(one, answer)
                finally:
                    await answer.aclose()
                answer = None
                if one.rest or self._has_open_end(one):
                    if one.received > before:
                        continue  # it was an answer to less than what was asked for
                    self.refused = True
                one.busy = False
                one = self._next()
        except TransferFailure as failure:
            if failure.code in (Code.CANNOT_WRITE_FILE, Code.CANNOT_OPEN_FILE):
                raise
            self._failure = failure
            self._not_before = time.monotonic() + _AFTER_A_CUT
        finally:
            if one is not None:
                one.busy = False
                self._ranges.leave(one)

    def _has_open_end(self, one: StoredRange) -> bool:
        return one.end < self._ranges.total and not one.compared

    async def _open(self, one: StoredRange) -> Answer | None:
        """An answer whose next byte is the next one of that range; None where none can be had.
        Raises Contradicted.
        """
        attempt, task = self._attempt, self._attempt.task
        validators = task.validators
        assert validators is not None
        asked = segments.ask(one.start, one.at, one.end, self._ranges.total)
        lines = await attempt.engine.lines()
        call = call_for_task(
            attempt.engine,
            attempt.configuration,
            task,
            asked.headers(validators),
            traces=attempt.new_traces(),
            resumes_at=task.current_url if task.current_url != task.url else "",
            strayed=task.strayed,
        )
        try:
            answer = await lines.open(call)
        except TransferFailure:
            self.refused = True
            raise
        taken = False
        try:
            verdict = segments.judge(asked, validators, answer.response)
            if verdict is SegmentVerdict.CHANGED:
                raise Contradicted(evidence.CHANGED, mixed=False)
            if verdict is SegmentVerdict.REFUSED:
                self.refused = True
                return None
            if asked.before and not await self._equal(answer, asked.start, asked.before):
                raise Contradicted(evidence.CHANGED, mixed=True)
            taken = True
            return answer
        finally:
            if not taken:
                await answer.aclose()

    async def _bring(self, one: StoredRange, answer: Answer) -> None:
        """Take the body up to the end of the range, and compare what follows with what its
        neighbour has. Raises Contradicted.
        """
        fd = self._parts.at_hand.fd
        while True:
            while one.rest and answer.left:
                hasher = self._hashes if one.start == 0 else None
                await answer.receive(
                    fd, one.at, one, limiters=self._limiters, hasher=hasher, movable=one.movable
                )
            other = self._ranges.after(one)
            if one.rest or other is None:
                return
            common = min(SEAM, other.end - other.start)
            if other.received >= common:
                if answer.left < common:
                    return
                if not await self._equal(answer, other.start, common):
                    raise Contradicted(evidence.CHANGED, mixed=True)
                self._ranges.agreed(one, common)
                return
            # it has hardly begun: this connection brings that one's bytes, too
            await self._end_work_on(other)
            if self._ranges.after(one) is other:
                self._ranges.absorb(one)

    def _bringing(self, one: StoredRange) -> set[asyncio.Task[None]]:
        return {
            work for work, bringing in self._working.items() if bringing is one and not work.done()
        }

    async def _end_work_on(self, one: StoredRange) -> None:
        while one.busy:  # another connection may take it up before we are woken
            works = self._bringing(one)
            if not works:
                return
            for work in works:
                work.cancel()
            await asyncio.wait(works)

    async def _equal(self, answer: Answer, begin: int, count: int) -> bool:
        """Whether the next bytes of a body are those that are stored there."""
        fd = os.memfd_create("transfermon-seam", os.MFD_CLOEXEC)
        try:
            await answer.receive(fd, 0, Progress(), length=count)
            stored = await self._parts.on_disk(self._parts.at_hand.read, begin, count)
            return os.pread(fd, count, 0) == stored
        finally:
            os.close(fd)
