"""The addresses that one file is brought from: the one that was asked for, and its mirrors.

Rule: a mirror that has not shown bytes which are stored brings none, and before the first of its
bytes counts the record says that there may be some. One that fails, or has another file, is left
out for the rest of the attempt, which is told with the reason. The headers, cookies and credentials
of the task go to no other origin than that of its address.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping

from transfermon.engine.attempt import Attempt
from transfermon.engine.download_parts import DownloadParts
from transfermon.engine.host_pace import USUAL, base_of
from transfermon.engine.task_calls import call_for_task
from transfermon.http import evidence, mirrors, resume
from transfermon.http.segments import SEAM
from transfermon.model.errors import redacted
from transfermon.model.events import MirrorDroppedEvent
from transfermon.model.task import Progress, Response, Validators, changed
from transfermon.storage.memory_file import memory_file
from transfermon.wire.answer import Answer

MOST_AUTOMATIC = 4  # connections, where nobody gave a number
MOST_CUTS = 3  # connections of a mirror that break in the middle
_UNTIL_MORE_IS_STORED = 5.0  # seconds
_EXPIRED = frozenset({400, 401, 403, 404, 410})  # what addresses answer that hold for a while only
_TELLING = 1 << 18  # bytes by which it is seen how fast they come


class FileSource:
    """One of them, in one attempt."""

    def __init__(self, url: str, number: int = 0, *, elsewhere: bool = False) -> None:
        self.url = url
        self.number = number  # 0: the first address; of a mirror, counted from 1
        self.elsewhere = elsewhere  # at another origin than the first address
        self.refused = False  # no further connection to it is to be asked for
        self.dropped = ""  # a mirror: why it is left out
        self.brought = False  # bytes of it, in this attempt
        self.cuts = 0  # connections that broke in the middle
        self.not_before = 0.0  # monotonic seconds: it is asked again then
        self.pace = 0.0  # bytes per second, of the last range that a connection brought to its end
        # of the version that it has; None until it has shown that
        self.validators: Validators | None = None
        self.head: Response | None = None  # of the answer that showed it
        self._led_to = ""  # where it redirects to
        self._strayed = False

    def __repr__(self) -> str:
        return f"<FileSource {self.number} {redacted(self.url)} {self.dropped}>"

    @property
    def is_mirror(self) -> bool:
        return self.number > 0

    @property
    def origin(self) -> str:
        """As `Slots.lend` wants it."""
        return base_of(self.url) if self.is_mirror else ""

    def note_pace(self, count: int, seconds: float) -> None:
        """A connection has brought so many bytes and its range was whole; a few say nothing."""
        if count >= _TELLING:
            self.pace = count / max(seconds, 1e-3)

    def has_shown(self, answer: Answer, validators: Validators) -> None:
        """What it has, by an answer that was compared or is to be stored."""
        self.validators, self.head = validators, answer.response
        self._note_way(answer)

    def _note_way(self, answer: Answer) -> None:
        self._led_to = answer.response.url if answer.response.url != self.url else ""
        self._strayed = answer.strayed

    async def ask(self, attempt: Attempt, headers: Mapping[str, str]) -> Answer:
        """Where it led before; where that has expired, the address itself. Raises TransferFailure."""
        led_to = self._led_to  # another connection may find a new way meanwhile, for itself
        answer = await self._asked(attempt, headers, led_to, strayed=self._strayed)
        if led_to and answer.response.status in _EXPIRED:
            await answer.aclose()
            answer = await self._asked(attempt, headers, "", strayed=False)
            self._note_way(answer)
        return answer

    async def _asked(
        self, attempt: Attempt, headers: Mapping[str, str], led_to: str, *, strayed: bool
    ) -> Answer:
        engine = attempt.engine
        lines = engine.transport or await engine.lines()
        return await lines.open(
            call_for_task(
                engine,
                attempt.configuration,
                attempt.task,
                headers,
                elsewhere=self.elsewhere,
                url=self.url,
                traces=attempt.new_traces(self.url),
                resumes_at=led_to,
                strayed=strayed,
            )
        )


class Sources:
    """Of one attempt."""

    def __init__(self, attempt: Attempt, parts: DownloadParts) -> None:
        self._attempt = attempt
        self._parts = parts
        task = attempt.task
        self.answering = self.first = FileSource(task.url)  # of whom the answer at hand is
        self._mirrors = [
            FileSource(address, number, elsewhere=mirrors.is_elsewhere(address, task.url))
            for number, address in enumerate(task.options.mirrors, start=1)
            if address != task.url
        ]

    def __repr__(self) -> str:
        return f"<Sources of {self._attempt.task.key}, {len(self._mirrors)} mirrors>"

    def mirrors(self) -> list[FileSource]:
        """Those that may be used: none any more once addresses have contradicted each other."""
        if self._attempt.task.evidence.one_connection:
            return []
        return [source for source in self._mirrors if not source.dropped]

    @property
    def head_of_mirror(self) -> Response | None:
        """Of one that has brought something."""
        return next((one.head for one in self._mirrors if one.brought), None)

    @contextlib.contextmanager
    def led_by(self, mirror: FileSource) -> Iterator[None]:
        """A mirror answers in the place of the first address."""
        self.answering, self._attempt.by_mirror = mirror, True
        try:
            yield
        finally:
            self.answering, self._attempt.by_mirror = self.first, False

    def drop(self, mirror: FileSource, reason: str) -> None:
        """Leave it out, and tell why; a no-op for one that is left out."""
        if mirror.dropped:
            return
        mirror.dropped, mirror.refused = reason, True
        told = MirrorDroppedEvent(mirror=redacted(mirror.url), reason=reason)
        self._attempt.record(None, told)

    async def prove(self, mirror: FileSource, stored: int) -> bool:
        """Whether a mirror has the bytes before `stored`, which are there; else it is dropped.
        Raises TransferFailure.
        """
        task, parts = self._attempt.task, self._parts
        assert task.validators is not None
        place = await parts.on_disk(evidence.block_before, stored, SEAM, parts.at_hand.read)
        if place is None:  # a block of one repeated byte is equal to too much
            mirror.not_before = time.monotonic() + _UNTIL_MORE_IS_STORED
            return False
        asked = mirrors.proof(*place)
        answer = await mirror.ask(self._attempt, asked.headers(None))
        try:
            reason = mirrors.why_not_used(asked, task.validators.total, answer.response)
            if not reason and not await self.equal(answer, *place):
                reason = mirrors.OTHER_BYTES
            if reason:
                self.drop(mirror, reason)
                return False
            now = self._attempt.engine.now()
            mirror.has_shown(answer, resume.validators_of(answer.response, decoded=False, now=now))
            return True
        finally:
            await answer.aclose()

    async def equal(self, answer: Answer, begin: int, count: int) -> bool:
        """Whether the next bytes of a body are those that are stored there."""
        with memory_file() as fd:
            await answer.receive(fd, 0, Progress(), length=count)
            stored = await self._parts.on_disk(self._parts.at_hand.read, begin, count)
            return os.pread(fd, count, 0) == stored

    async def will_bring(self, source: FileSource) -> None:
        """Its bytes count from now on; of a mirror that is durable when this returns."""
        source.brought = True
        known = self._attempt.task.evidence
        if source.is_mirror and not known.mirrored:
            task = changed(self._attempt.task, evidence=changed(known, mirrored=True))
            await self._attempt.record(task, None)


class Openings:
    """To which address one more connection may go, and how many are worth having: of one answer's
    sharing.
    """

    def __init__(self, attempt: Attempt, sources: Sources, wanted: int) -> None:
        self._attempt = attempt
        self._sources = sources
        self._wanted = wanted  # connections that somebody gave; 0: as many as help
        self.home: FileSource | None = None  # whose answer was at hand
        self.more = 0  # connections that made it faster, beside one to each address
        self.overtaken = 0  # slow ones in whose place another one came: so many fewer are wanted
        self.most = wanted or MOST_AUTOMATIC

    def __repr__(self) -> str:
        return f"<Openings of {self.left()}>"

    def left(self) -> list[FileSource]:
        """Those that may be asked for a further connection, now or later."""
        home = [] if self.home is None else [self.home]
        others = [one for one in self._sources.mirrors() if one is not self.home]
        return [source for source in (*home, *others) if not source.refused]

    @property
    def useful(self) -> int:
        """Connections that are worth having: one to each address, and those that helped."""
        useful = self._wanted
        if not useful:
            others = sum(source is not self.home for source in self.left())
            useful = min(self.most, max(1, others + (self.home is not None)) + self.more)
        return max(1, useful - self.overtaken)

    @property
    def limit(self) -> int:
        """Of the connections to a host, as `Slots.ask` has it."""
        # a number for one file is as good as one for its host, but where somebody set that
        own = self._attempt.configuration.connections_to_a_host
        return own or (self._wanted and max(self._wanted, USUAL))

    def choose(
        self, having: Mapping[FileSource, int], stored: int, *, of_mirrors: bool
    ) -> FileSource | None:
        """Where the next one goes, the address that has the fewest first; None where none can be
        had now. The first `stored` bytes are there, of which a mirror has some to show first.
        """
        now = time.monotonic()
        least = resume.LEAST if self.home is None or of_mirrors else SEAM
        slots, key = self._attempt.engine.slots, self._attempt.task.key
        free = [
            source
            for source in self.left()
            if now >= source.not_before
            and (source.is_mirror or not of_mirrors)
            and slots.may_lend(key, limit=self.limit, origin=source.origin)
        ]
        best = min(free, key=lambda source: having.get(source, 0), default=None)
        # its turn is not given to another one while it waits for those bytes
        return best if best is None or best.validators or stored >= least else None
