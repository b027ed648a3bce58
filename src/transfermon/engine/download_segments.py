"""A body that several connections bring: the one at hand, and more beside it as long as they make
it faster, from the same address or from its mirrors.

Rule: a connection brings one range at a time and compares both its ends with what others have
brought there. What contradicts ends all of them; one that only fails leaves its range to the
others. More connections take free slots of the host alone, and none is asked of an address any more
after the first one that it refused.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from transfermon.engine.attempt import Attempt
from transfermon.engine.connection_growth import ConnectionGrowth, stands_in_line
from transfermon.engine.download_parts import DownloadParts
from transfermon.engine.download_sources import MOST_CUTS, FileSource, Openings, Sources
from transfermon.engine.part_ranges import PartRanges, StoredRange
from transfermon.engine.queue import Loan, Slots
from transfermon.http import evidence, mirrors, segments
from transfermon.http.digests import Hashes
from transfermon.http.segments import SEAM, SegmentAsk, SegmentVerdict
from transfermon.model.errors import Code, TransferFailure
from transfermon.model.task import UNKNOWN, Response, Validators
from transfermon.wire.answer import Answer
from transfermon.wire.cancellation import until_done
from transfermon.wire.rate_limit import Limiter

LEAST = 1 << 20  # bytes that are worth a request of their own
LEAST_SECONDS = 0.2  # that they take
ENOUGH = 8 << 20  # bytes that must be left for one connection more
ENOUGH_SECONDS = 2.0  # that they take without it
_TICK = 0.05  # seconds between two looks at the rate
_LONG_TICK = 1.0  # where nothing is to be decided
_AFTER_A_CUT = 1.0  # seconds before one that broke is replaced
_FAIR = 2.0  # seconds, and
_FAIR_TRIPS = 8  # round trips, that one has to show how fast it is before it is judged
_LAGS = 4  # times as long as another one would take, and a second: then one is left behind


class Contradicted(Exception):  # noqa: N818 - a state of affairs, which the caller answers by starting over
    """What the connections bring is not one file; the text is a sentence for people. `mixed`: what
    is stored may be of two versions.
    """

    def __init__(self, reason: str, *, mixed: bool) -> None:
        super().__init__(reason)
        self.mixed = mixed


class Segments:
    """Of one attempt."""

    def __init__(
        self, attempt: Attempt, parts: DownloadParts, sources: Sources, limiters: list[Limiter]
    ) -> None:
        self._attempt = attempt
        self._parts = parts
        self._sources = sources
        self._limiters = limiters
        self._sharing: _Sharing | None = None

    def __repr__(self) -> str:
        return f"<Segments of {self._attempt.task.key}, {self._sharing or 'one connection'}>"

    @property
    def wanted(self) -> int:
        """Connections at once that somebody wants; 0: as many as help."""
        own = self._attempt.configuration.connections
        return max(0, self._attempt.task.options.connections or own)

    def may_share(self, answer: Answer, offset: int, validators: Validators | None = None) -> bool:
        """Whether several connections may bring the file, of which this answer's body is what
        begins at `offset`. `validators` are those of the stored bytes, where the record does not
        say them yet.
        """
        task, most = self._attempt.task, self._attempt.configuration.maximum_bytes
        validators = validators or task.validators
        if answer.content_length is None or validators is None or task.method != "GET":
            return False
        if not segments.may_share(answer.response, validators, task.evidence):
            return False
        if 0 < most < validators.total:
            return False
        if self._parts.ranges is not None:
            return True
        return self.wanted != 1 and validators.total - offset >= ENOUGH

    async def receive(
        self, answer: Answer | None, source: FileSource | None, hashes: Hashes | None
    ) -> None:
        """Take the body, which goes on with the first bytes that are stored and is of `source`, and
        whatever else the file lacks; without an answer all of it comes from mirrors. `hashes` go
        as far as bytes come in their order.

        It returns when all is there, or when the rest is to be asked for in another way. Raises
        Contradicted, and TransferFailure when the last connection has failed.
        """
        task = self._attempt.task
        assert task.validators is not None
        found = self._parts.share(task.validators.total)
        if answer is not None and source is not None:
            source.has_shown(answer, task.validators)
        sharing = self._sharing = _Sharing(
            self._attempt, self._parts, found, self._sources, self._limiters, hashes, self.wanted
        )
        self._attempt.progress.shared = found.picture
        try:
            await sharing.run(answer, source)
        finally:
            self._sharing = None
            self._attempt.progress.shared = None


class _Connection:
    """One that brings a range, or is about to."""

    def __init__(self, source: FileSource, one: StoredRange | None) -> None:
        self.source = source
        self.one: StoredRange | None = one
        self.since = time.monotonic()  # it brings that one, or is about to
        self.behind: StoredRange | None = None  # of another one, in whose place it comes
        self.loan: Loan | None = None
        self.brings = False  # its first answer is there

    def __repr__(self) -> str:
        return f"<_Connection to {self.source} for {self.one}>"

    @property
    def is_awaited(self) -> bool:
        """Whether it is on its way: they come one after the other. A mirror that has yet to show
        what it has may never answer, and holds up nobody.
        """
        return not (self.brings or (self.source.is_mirror and self.source.validators is None))


class _Crew:
    """The connections at work, each with the range that it brings."""

    def __init__(self, ranges: PartRanges, slots: Slots, ended: asyncio.Event) -> None:
        self._ranges = ranges
        self._slots = slots
        self._ended = ended  # set when one has
        self.working: dict[asyncio.Task[None], _Connection] = {}

    def __repr__(self) -> str:
        return f"<_Crew of {len(self.working)}>"

    def start(self, one: _Connection, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        work = asyncio.ensure_future(job)
        self.take_up(one, one.one)

        def ended(_: object) -> None:
            # one that was cancelled before it began has let go of nothing
            found = one.one
            if work.cancelled() and found is not None and found.busy and not self.bringing(found):
                self.let_go(one)
            self._ended.set()

        work.add_done_callback(ended)
        self.working[work] = one
        return work

    def take_up(self, connection: _Connection, one: StoredRange | None) -> None:
        connection.one, connection.since = one, time.monotonic()
        if one is not None:
            one.busy, one.by = True, connection.source.number
            one.rate.reset()
            one.rate.add(connection.since, one.received)

    def let_go(self, connection: _Connection) -> None:
        if (one := connection.one) is not None:
            one.busy = False
            self._ranges.leave(one)

    def leave(self, work: asyncio.Task[None]) -> None:
        loan = self.working.pop(work).loan
        if loan is not None:
            self._slots.give_back(loan)

    def others_stay(self, than: list[asyncio.Task[None]]) -> bool:
        """Whether another connection works, whose slot is not wanted back."""
        return any(
            not (work in than or work.done() or (one.loan is not None and one.loan.asked_back))
            for work, one in self.working.items()
        )

    def bringing(self, one: StoredRange) -> set[asyncio.Task[None]]:
        return {
            work
            for work, connection in self.working.items()
            if connection.one is one and not work.done()
        }

    async def end_work_on(self, one: StoredRange) -> None:
        while one.busy:  # another connection may take it up before we are woken
            works = self.bringing(one)
            if not works:
                return
            for work in works:
                work.cancel()
            await asyncio.wait(works)


class _Sharing:
    """What the file lacks, shared by connections."""

    def __init__(
        self,
        attempt: Attempt,
        parts: DownloadParts,
        ranges: PartRanges,
        sources: Sources,
        limiters: list[Limiter],
        hashes: Hashes | None,
        wanted: int,
    ) -> None:
        self._attempt = attempt
        self._parts = parts
        self._ranges = ranges
        self._sources = sources
        self._limiters = limiters
        self._hashes = hashes
        self._wanted = wanted
        self._openings = Openings(attempt, sources, wanted)
        self._ended = asyncio.Event()  # a connection, or the look for more
        self._crew = _Crew(ranges, attempt.engine.slots, self._ended)
        self._working = self._crew.working
        self._adding = asyncio.Lock()
        self._failures: list[TransferFailure] = []
        self._growth = ConnectionGrowth(0.0, time.monotonic(), attempt.progress.received)
        self._round_trip = 0.0
        self._shortest_trip = 0.0  # of the first connection's packets, to `_peer`
        self._peer = ""

    def __repr__(self) -> str:
        return f"{len(self._working)} connections"

    async def run(self, answer: Answer | None, source: FileSource | None) -> None:
        """As `Segments.receive`."""
        if answer is not None and source is not None:
            self._openings.home = source
            timing = answer.timing
            self._round_trip = max(0.0, timing.head - timing.connected)
            self._shortest_trip, self._peer = answer.round_trip, answer.response.remote_address
            self._growth = ConnectionGrowth(
                self._round_trip, time.monotonic(), self._attempt.progress.received
            )
            first = _Connection(source, self._ranges.ranges[0])
            self._crew.start(first, self._work(first, answer))
        growing = asyncio.ensure_future(self._grow())
        growing.add_done_callback(lambda _: self._ended.set())
        try:
            while self._working or await self._goes_on():
                await self._ended.wait()
                self._ended.clear()
                if growing.done():
                    growing.result()
                for work in [work for work in self._working if work.done()]:
                    self._crew.leave(work)
                    if not work.cancelled():
                        work.result()
        finally:
            growing.cancel()
            for work in self._working:
                work.cancel()
            try:
                await until_done(asyncio.wait({*self._working, growing}))
            finally:  # also for whoever is stopped a second time meanwhile
                for work in list(self._working):
                    self._crew.leave(work)
                    _pass_over(work)
                _pass_over(growing)
        if self._hashes is not None and self._hashes.count != self._ranges.ranges[0].at:
            self._hashes.stop()
        if self._failures and not self._ranges.whole:
            # what passes gives more hope than what does not
            passing = [failure for failure in self._failures if failure.retryable]
            raise (passing or self._failures)[-1]

    # ---- more connections

    async def _grow(self) -> None:
        """Add connections as long as they help, and replace those that broke."""
        progress = self._attempt.progress
        openings = self._openings
        while openings.left():
            now = time.monotonic()
            if self._is_limited:
                # what is found out under a limit says nothing of the line
                self._growth = ConnectionGrowth(self._round_trip, now, progress.received)
                await asyncio.sleep(_LONG_TICK)
                continue
            self._growth.note(now, progress.received, time.process_time())
            for one in filter(None, (each.one for each in self._working.values())):
                one.rate.add(now, one.received)
            count, useful = len(self._working), openings.useful
            if self._next_source() is None:  # mostly where many files arrive
                # a mirror has to show bytes that are there first, and those come soon
                waits = any(one.validators is None for one in openings.left())
                soon = waits and self._ranges.ranges[0].at < SEAM
                await asyncio.sleep(_TICK if soon else _LONG_TICK)
                continue
            if count < useful:
                while len(self._working) < openings.useful and await self._add():
                    pass
            elif (
                useful <= count < openings.most
                and not any(one.is_awaited for one in self._working.values())
                and self._growth.wants_another(now)  # first: it judges the last one, too
                and self._enough_left(now)
                and await self._add()
            ):
                openings.more += 1
            settled = self._growth.exhausted and (
                len(self._working) >= openings.useful or self._growth.in_vain(now)
            )
            await asyncio.sleep(_LONG_TICK if settled else _TICK)

    @property
    def _is_limited(self) -> bool:
        """Whether it is a limit of ours that decides how fast it is, and nobody gave a number."""
        return not self._wanted and any(limiter.rate for limiter in self._limiters)

    def _next_source(self, *, of_mirrors: bool = False) -> FileSource | None:
        """The address that one more connection would go to now."""
        having = Counter(one.source for one in self._working.values())
        return self._openings.choose(having, self._ranges.ranges[0].at, of_mirrors=of_mirrors)

    def _enough_left(self, now: float) -> bool:
        return self._ranges.rest >= max(ENOUGH, ENOUGH_SECONDS * self._growth.rate(now))

    async def _goes_on(self) -> bool:
        """Whether a mirror goes on where nobody brings anything any more."""
        waiting = [one.not_before for one in self._openings.left() if one.is_mirror]
        if not waiting or self._ranges.whole:
            return False
        wait = min(waiting) - time.monotonic()
        if wait > _AFTER_A_CUT:
            return False
        await asyncio.sleep(max(0.0, wait))
        return await self._add(of_mirrors=True) or bool(self._working)

    async def _add(self, *, of_mirrors: bool = False) -> bool:
        """One more connection; False where none can be had now, or has anything to do. `of_mirrors`:
        only where nobody else brings anything.
        """
        async with self._adding:  # the part is made ready for several of them once
            if of_mirrors and self._working:
                return True
            return await self._add_one(of_mirrors=of_mirrors)

    async def _add_one(self, *, of_mirrors: bool) -> bool:
        slots = self._attempt.engine.slots
        started: list[asyncio.Task[None]] = []
        source = self._next_source(of_mirrors=of_mirrors)
        if source is None:
            return False

        def give_back() -> bool:
            if source.is_mirror and not self._crew.others_stay(started):
                return False  # nobody else brings anything
            for work in started:
                work.cancel()
            return True

        loan = slots.lend(
            self._attempt.task.key,
            limit=self._openings.limit,
            wanted_back=give_back,
            origin=source.origin,
        )
        if loan is None:
            return False
        one = slow = None
        try:
            if not self._ranges.scattered:
                # to its end: whoever comes next takes it for done
                await until_done(self._parts.scatter())
            if len(self._working) < self._openings.most:  # another may have come meanwhile
                one = self._next(source)
                slow = self._left_behind(source) if one is None else None
        finally:
            if one is None and slow is None:
                slots.give_back(loan)
        if one is None and slow is None:
            return False
        connection = _Connection(source, one)
        connection.loan, connection.behind = loan, slow
        self._openings.overtaken += slow is not None
        work = self._crew.start(connection, self._work(connection, None))
        started.append(work)
        if loan.asked_back:
            work.cancel()
        return True

    def _next(self, source: FileSource) -> StoredRange | None:
        """What a connection that has nothing to do brings next."""
        if source.refused:
            return None
        now, growth = time.monotonic(), self._growth
        idle = self._ranges.idle()
        if idle is not None or (not self._wanted and growth.in_vain(now)):
            return idle  # an end that is moved costs what was on its way
        rate = growth.rate(now) / max(1, len(self._working))
        least = int(rate * max(LEAST_SECONDS, 2 * self._round_trip))
        most = 0 if self._wanted else growth.first_piece(now)
        return self._ranges.shared(max(LEAST, least), most)

    def _left_behind(self, source: FileSource) -> StoredRange | None:
        """What a connection brings that is so slow, or stands still, that one to this address is
        better in its place: where nothing else is to be had any more, others would have to wait.
        """
        if source.refused or not source.pace or self._is_limited:
            return None
        now = time.monotonic()
        for connection in self._working.values():
            one = connection.one
            if one is None or now - connection.since < max(_FAIR, _FAIR_TRIPS * self._round_trip):
                continue
            left, pace = one.rest + SEAM, one.rate.per_second(now)
            new = _FAIR_TRIPS / 2 * self._round_trip + (left + SEAM) / source.pace
            if left > pace * (1 + _LAGS * new):
                return one
        return None

    # ---- one connection after the other

    async def _work(self, connection: _Connection, answer: Answer | None) -> None:
        """Bring one range after the other. Raises what ends all."""
        one, source = connection.one, connection.source
        added, before = answer is None, UNKNOWN
        try:
            if connection.behind is not None:
                await self._crew.end_work_on(connection.behind)
                one = self._next(source)
            while one is not None:
                self._crew.take_up(connection, one)
                before = UNKNOWN
                if answer is None:
                    answer = await self._open(one, source)
                if answer is None:
                    return
                try:
                    if added and self._brings_nothing_more(source, answer):
                        return
                    await self._sources.will_bring(source)
                    connection.brings = True
                    if added:
                        self._growth.added(time.monotonic())
                        added = False
                    before = one.received
                    await self._bring(one, answer)
                finally:
                    await answer.aclose()
                answer = None
                if one.rest or self._has_open_end(one):
                    if one.received > before:
                        continue  # it was an answer to less than what was asked for
                    self._refused(source, mirrors.ODD_ANSWER)
                one.busy = False
                source.note_pace(one.received - before, time.monotonic() - connection.since)
                if self._speaks_for_all(source):
                    self._failures.clear()  # the address is well: those are overcome
                one = self._next(source)
        except TransferFailure as failure:
            if failure.code in (Code.CANNOT_WRITE_FILE, Code.CANNOT_OPEN_FILE):
                raise
            moved = before != UNKNOWN and one is not None and one.received > before
            self._has_failed(source, failure, opened=before != UNKNOWN, moved=moved)
        finally:
            connection.one = one
            self._crew.let_go(connection)

    def _brings_nothing_more(self, source: FileSource, answer: Answer) -> bool:
        """Whether one more connection tells that the line is full; then it is not wanted."""
        full = (
            not self._wanted
            and len(self._working) > 1
            and source is self._openings.home
            and answer.response.remote_address == self._peer
            and stands_in_line(answer.round_trip, self._shortest_trip)
        )
        if full:
            self._growth.line_is_full(time.monotonic())
            self._openings.more = max(0, self._openings.more - 1)
        return full

    def _has_failed(
        self, source: FileSource, failure: TransferFailure, *, opened: bool, moved: bool
    ) -> None:
        if self._speaks_for_all(source):
            self._failures.append(failure)
        source.not_before = time.monotonic() + _AFTER_A_CUT
        source.cuts += 1
        if source.is_mirror:
            if not moved:
                self._sources.drop(source, failure.title)
            elif source.cuts >= MOST_CUTS:
                self._sources.drop(source, mirrors.KEEPS_BREAKING)
        elif not opened:
            source.refused = True

    def _speaks_for_all(self, source: FileSource) -> bool:
        """Whether its failures are the attempt's."""
        return not source.is_mirror or self._openings.home in (None, source)

    def _refused(self, source: FileSource, reason: str) -> None:
        """No further connection is asked of it; a mirror that has no other one is left out."""
        source.refused = True
        others = sum(one.source is source for one in self._working.values())
        if source.is_mirror and others < 2:
            self._sources.drop(source, reason)

    def _has_open_end(self, one: StoredRange) -> bool:
        return one.end < self._ranges.total and not one.compared

    async def _open(self, one: StoredRange, source: FileSource) -> Answer | None:
        """An answer whose next byte is the next one of that range; None where none can be had.
        Raises Contradicted.
        """
        stored = self._ranges.ranges[0].at
        if source.validators is None and not await self._sources.prove(source, stored):
            return None
        validators = source.validators
        assert validators is not None
        asked = segments.ask(one.start, one.at, one.end, self._ranges.total)
        answer = await source.ask(self._attempt, asked.headers(validators))
        taken = False
        try:
            verdict = segments.judge(asked, validators, answer.response)
            if verdict is not SegmentVerdict.TAKE:
                self._turned_down(source, verdict, asked, answer.response)
                return None
            if asked.before and not await self._sources.equal(answer, asked.start, asked.before):
                if source.brought or not source.is_mirror:
                    raise self._contradicted()
                self._sources.drop(source, mirrors.OTHER_BYTES)
                return None
            taken = True
            return answer
        finally:
            if not taken:
                await answer.aclose()

    def _turned_down(
        self, source: FileSource, verdict: SegmentVerdict, asked: SegmentAsk, response: Response
    ) -> None:
        """Raises Contradicted where the file of the first address is another one now."""
        changed_there = verdict is SegmentVerdict.CHANGED
        if source.is_mirror:
            total = self._ranges.total
            reason = mirrors.why_not_used(asked, total, response) or mirrors.ODD_ANSWER
            self._refused(source, mirrors.NEW_VERSION if changed_there else reason)
        elif changed_there:
            raise Contradicted(evidence.CHANGED, mixed=False)
        else:
            source.refused = True

    def _contradicted(self) -> Contradicted:
        """Where two ranges meet, or one goes on, there are other bytes than before."""
        mirrored = self._attempt.task.evidence.mirrored
        return Contradicted(mirrors.DIFFER if mirrored else evidence.CHANGED, mixed=True)

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
                if not await self._sources.equal(answer, other.start, common):
                    raise self._contradicted()
                self._ranges.agreed(one, common)
                return
            # it has hardly begun: this connection brings that one's bytes, too
            await self._crew.end_work_on(other)
            if self._ranges.after(one) is other:
                self._ranges.absorb(one)


def _pass_over(work: asyncio.Task[None]) -> None:
    """What it failed by is seen, and does not count: what came first does."""
    if not work.cancelled():
        work.exception()
