"""Connections that bring one file: what they leave to one another when they are ended."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tests.helpers.recorder import eventually
from transfermon.engine import download_segments
from transfermon.engine.connection_growth import ConnectionGrowth
from transfermon.engine.download_body import ArrivingBody
from transfermon.engine.download_segments import _Connection, _Sharing
from transfermon.engine.download_sources import FileSource
from transfermon.engine.part_ranges import PartRanges
from transfermon.engine.queue import Slots
from transfermon.model.task import Progress, TaskKey, Validators
from transfermon.wire.cancellation import until_done
from transfermon.wire.rate_limit import Limiter

pytestmark = pytest.mark.anyio
M = 1 << 20


def sharing_of(ranges: PartRanges, attempt: Any, wanted: int = 1) -> _Sharing:
    nothing: Any = None
    return _Sharing(attempt, nothing, ranges, nothing, [], None, wanted)


async def test_a_range_that_is_taken_up_again_while_it_is_ended_is_ended_again(monkeypatch):
    """The second one is ended before it has begun."""
    attempt: Any = SimpleNamespace(progress=Progress(), engine=SimpleNamespace(slots=None))
    ranges = PartRanges(100, ((0, 10, 50), (50, 60, 100)), attempt.progress)
    sharing, one = sharing_of(ranges, attempt), ranges.ranges[1]
    works, source = [], FileSource("http://h.example/a")

    def start() -> Any:
        connection = _Connection(source, one)
        return sharing._crew.start(connection, sharing._work(connection, None))

    async def work(self: Any, connection: Any, answer: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            one.busy = False
            if len(works) == 1:
                asyncio.get_running_loop().call_soon(
                    lambda: works.append(start())
                )  # by somebody who looks for one that is idle

    monkeypatch.setattr(_Sharing, "_work", work)
    works.append(start())
    await asyncio.sleep(0)
    await sharing._crew.end_work_on(one)
    assert [work.cancelled() for work in works] == [True, True]
    assert not one.busy


@pytest.mark.parametrize(("vain", "wanted"), [(False, 0), (True, 0), (True, 2)])
def test_nothing_is_taken_over_from_a_connection_that_fills_the_line_alone(vain: bool, wanted: int):
    """What was on its way to it would come in vain; a number that a person gave is kept."""
    attempt: Any = SimpleNamespace(progress=Progress(), engine=SimpleNamespace(slots=None))
    ranges = PartRanges(100 * M, ((0, 0, 50 * M), (50 * M, 50 * M, 100 * M)), attempt.progress)
    sharing, source = sharing_of(ranges, attempt, wanted), FileSource("http://h.example/a")
    first, second = ranges.ranges
    first.busy = True
    growth: Any = SimpleNamespace(
        in_vain=lambda now: vain, rate=lambda now: 0.0, first_piece=lambda now: 3 * M
    )
    sharing._growth = growth
    assert sharing._next(source) is second  # a range that nobody brings is always one to bring
    second.busy = True
    taken = sharing._next(source)
    assert (taken is None) == (vain and not wanted)
    if taken is not None:  # until one has helped, little is taken over
        assert taken.end - taken.start == (25 * M if wanted else 3 * M)
    source.refused = True
    assert sharing._next(source) is None


class Line:
    """Answers of a made-up line, in which packets stand for `waiting` seconds."""

    def __init__(self, waiting: float) -> None:
        self.waiting = waiting
        self.opened = asyncio.Event()
        self.let_in = asyncio.Event()
        self.answers = list[Any]()

    def answer(self, waiting: float, address: str = "192.0.2.1") -> Any:
        async def aclose() -> None:
            one.closed = True

        one = SimpleNamespace(
            round_trip=0.05 + waiting,
            response=SimpleNamespace(remote_address=address),
            timing=SimpleNamespace(head=0.05, connected=0.0),
            aclose=aclose,
            closed=False,
        )
        self.answers.append(one)
        return one

    async def open(self, *_: object) -> Any:
        self.opened.set()
        await self.let_in.wait()
        return self.answer(self.waiting)


@pytest.mark.parametrize(
    ("waiting", "wanted", "brought"), [(0.0, 0, True), (0.05, 0, False), (0.05, 2, True)]
)
async def test_a_connection_that_only_stands_in_line_brings_nothing(
    monkeypatch, waiting: float, wanted: int, brought: bool
):
    """Its range is the first one's again; a number that a person gave is kept."""
    lent = list[Any]()
    slots = SimpleNamespace(
        lend=lambda *_, **__: SimpleNamespace(asked_back=False),
        may_lend=lambda *_, **__: True,
        give_back=lent.append,
    )
    attempt: Any = SimpleNamespace(
        progress=Progress(),
        engine=SimpleNamespace(slots=slots),
        task=SimpleNamespace(key=1),
        configuration=SimpleNamespace(connections_to_a_host=0),
    )
    ranges = PartRanges(100 * M, ((0, 10 * M, 100 * M),), attempt.progress)
    ranges.scattered = True
    nothing: Any = None
    sources: Any = SimpleNamespace(mirrors=list, will_bring=lambda _: asyncio.sleep(0))
    sharing = _Sharing(attempt, nothing, ranges, sources, [], None, wanted)
    line, source = Line(waiting), FileSource("http://h.example/a")
    source.validators = nothing
    brings = list[Any]()

    async def bring(_: Any, one: Any, answer: Any) -> None:
        brings.append(one)
        await asyncio.Event().wait()

    asks = list[bool]()

    def wants_another(now: float) -> bool:
        asks.append(True)
        return len(asks) == 1

    monkeypatch.setattr(_Sharing, "_open", line.open)
    monkeypatch.setattr(_Sharing, "_bring", bring)
    monkeypatch.setattr(
        sharing._growth.__class__, "wants_another", lambda _, now: wants_another(now)
    )
    running = asyncio.ensure_future(sharing.run(line.answer(0.0), source))
    await line.opened.wait()
    assert sharing._openings.choose({}, ranges.ranges[0].at, of_mirrors=False) is source
    looks = len(asks)
    for _ in range(3):  # while it is on its way nobody looks whether there should be a third
        await asyncio.sleep(2 * download_segments._TICK)
    assert len(asks) == looks
    assert len(sharing._working) == 2
    line.let_in.set()
    while not (len(brings) == 2 if brought else lent):
        await asyncio.sleep(0.01)
    if not brought:
        assert line.answers[1].closed
        assert [(one.start, one.end) for one in ranges.ranges] == [(0, 100 * M)]
        assert sharing._openings.useful == 1
    running.cancel()
    await asyncio.wait([running])


GROUP = ("session", "http://h.example")
FIRST = FileSource("http://h.example/a")
FIRST.validators = Validators(etag='"a"', total=100 * M)


def running_of(
    ranges: PartRanges, slots: Slots, mirrors: list[FileSource], *, wanted: int, limiters: Any = ()
) -> _Sharing:
    """Of a task that holds a slot; its disk is made up."""
    key = TaskKey("session", 1)
    slots.ask(key, GROUP, limit=0, priority=0.5, start=lambda: None)
    attempt: Any = SimpleNamespace(
        progress=Progress(),
        engine=SimpleNamespace(slots=slots),
        task=SimpleNamespace(key=key),
        configuration=SimpleNamespace(connections_to_a_host=0),
    )
    sources: Any = SimpleNamespace(
        mirrors=lambda: mirrors, will_bring=lambda _: asyncio.sleep(0), drop=lambda *_: None
    )
    nothing: Any = None
    return _Sharing(attempt, nothing, ranges, sources, list(limiters), None, wanted)


async def test_a_second_stop_gives_the_slots_back_too(monkeypatch):
    """A pause, and a cancel while the connections let go of a slow disk."""
    slots, disk, ranges = (
        Slots(4),
        asyncio.Event(),
        PartRanges(100 * M, ((0, 10 * M, 100 * M),), Progress()),
    )
    ranges.scattered = True
    sharing = running_of(ranges, slots, [], wanted=3)
    begun = list[Any]()

    async def work(self: Any, connection: Any, answer: Any) -> None:
        begun.append(connection)
        try:
            await asyncio.Event().wait()
        finally:
            await until_done(disk.wait())
            self._crew.let_go(connection)

    monkeypatch.setattr(_Sharing, "_work", work)
    running = asyncio.ensure_future(sharing.run(Line(0.0).answer(0.0), FIRST))
    await eventually(lambda: len(begun) == 3)
    assert slots.held_by(GROUP) == 3
    running.cancel()
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.sleep(0)
    disk.set()
    await asyncio.wait([running])
    assert running.cancelled()
    assert slots.held_by(GROUP) == 1  # the task's own


@pytest.mark.parametrize("stopped", [False, True])
async def test_a_part_is_made_ready_for_several_connections_once_and_to_the_end(
    monkeypatch, stopped: bool
):
    """Where the first address has failed, two look for the first connection to a mirror. Whatever
    ends them, no byte is stored behind others before the record says that there may be some.
    """
    begun, durable, made = asyncio.Event(), asyncio.Event(), list[str]()
    ranges = PartRanges(100 * M, ((0, 10 * M, 100 * M),), Progress())
    mirror = FileSource("http://m.example/a", 1)
    sharing = running_of(ranges, slots := Slots(4), [mirror], wanted=0)

    async def scatter() -> None:
        made.append("begun")
        ranges.scattered = True
        begun.set()
        await durable.wait()
        made.append("durable")

    works = list[Any]()

    async def work(self: Any, connection: Any, answer: Any) -> None:
        works.append(connection)
        await asyncio.Event().wait()

    monkeypatch.setattr(_Sharing, "_work", work)
    sharing._parts = SimpleNamespace(scatter=scatter)  # type: ignore[assignment]
    running = asyncio.ensure_future(sharing.run(None, None))
    await begun.wait()
    for _ in range(5):
        await asyncio.sleep(0)
    assert made == ["begun"]
    assert works == []
    if stopped:
        running.cancel()
        await asyncio.sleep(0)
    durable.set()
    if not stopped:
        await eventually(lambda: works)
        await asyncio.sleep(2 * download_segments._TICK)
        assert [one.source for one in works] == [mirror]  # one to each address
    running.cancel()
    await asyncio.wait([running])
    assert made == ["begun", "durable"]
    assert slots.held_by(("session", "http://m.example")) == 0


async def test_a_limit_that_is_lifted_lets_more_connections_come(monkeypatch):
    """And one that is set is no reason for another."""
    ranges, limiter = PartRanges(100 * M, ((0, 10 * M, 100 * M),), Progress()), Limiter(1000)
    ranges.scattered = True
    sharing = running_of(ranges, Slots(4), [], wanted=0, limiters=[limiter])
    monkeypatch.setattr(download_segments, "_LONG_TICK", download_segments._TICK)
    asked = list[float]()

    def wants_another(self: Any, now: float) -> bool:
        asked.append(limiter.rate)
        return len(sharing._working) == 1

    async def work(self: Any, connection: Any, answer: Any) -> None:
        connection.brings = True
        await asyncio.Event().wait()

    monkeypatch.setattr(ConnectionGrowth, "wants_another", wants_another)
    monkeypatch.setattr(_Sharing, "_work", work)
    running = asyncio.ensure_future(sharing.run(Line(0.0).answer(0.0), FIRST))
    before = sharing._growth
    await eventually(lambda: sharing._growth is not before)  # it was looked at
    limiter.rate = 0
    await eventually(lambda: len(sharing._working) == 2)
    limiter.rate, then = 1000, sharing._growth
    await eventually(lambda: sharing._growth is not then)
    assert set(asked) == {0}
    running.cancel()
    await asyncio.wait([running])


async def test_a_mirror_that_does_not_answer_holds_up_no_other_connection(monkeypatch):
    ranges, mirror = (
        PartRanges(100 * M, ((0, 10 * M, 100 * M),), Progress()),
        FileSource("http://m.example/a", 1),
    )
    ranges.scattered = True
    sharing = running_of(ranges, Slots(4), [mirror], wanted=0)

    async def work(self: Any, connection: Any, answer: Any) -> None:
        connection.brings = connection.source is FIRST
        await asyncio.Event().wait()

    monkeypatch.setattr(
        ConnectionGrowth, "wants_another", lambda self, now: len(sharing._working) == 2
    )
    monkeypatch.setattr(_Sharing, "_work", work)
    running = asyncio.ensure_future(sharing.run(Line(0.0).answer(0.0), FIRST))
    await eventually(lambda: len(sharing._working) == 3)
    running.cancel()
    await asyncio.wait([running])


async def test_what_comes_once_more_is_told_once_where_another_answer_goes_on():
    """Mirrors that go on in the same attempt; a new attempt tells of it anew."""
    progress, nothing = Progress(received=60, told=60), SimpleNamespace()
    ranges = PartRanges(100, ((0, 50, 50), (50, 60, 100)), progress)
    ranges.absorb(ranges.ranges[0])  # ten bytes are fetched again

    async def receive(*_: object) -> None:
        pass

    async def checkpoint() -> None:
        pass

    attempt: Any = SimpleNamespace(progress=progress, begin_next=lambda: None)
    parts: Any = SimpleNamespace(
        ranges=ranges, kept=50, stored=50, settle=checkpoint, checkpoint=checkpoint
    )
    some: Any = nothing
    body = ArrivingBody(attempt, parts, some, some, some, [])
    body._segments = SimpleNamespace(receive=receive)  # type: ignore[assignment]
    await body.receive_shared(None, None)
    assert progress.received == 60
    ranges.ranges[0].add(5)
    assert progress.received == 60
    parts.kept = 55
    body._begin_attempt()
    ranges.ranges[0].add(5)
    assert (progress.told, progress.received) == (55, 60)


async def test_two_that_meet_an_expired_address_are_each_led_anew(monkeypatch):
    """Whatever the other one has found out by then."""
    source, asked, both = FileSource("http://h.example/a"), list[str](), asyncio.Event()
    source._led_to = "http://h.example/old"

    async def answer(_: Any, attempt: Any, headers: Any, led_to: str, *, strayed: bool) -> Any:
        asked.append(led_to)
        if len(asked) == 2:
            both.set()
        await both.wait()
        where = led_to or f"http://h.example/new{len(asked)}"
        response = SimpleNamespace(status=403 if led_to else 206, url=where)
        return SimpleNamespace(response=response, strayed=False, aclose=lambda: asyncio.sleep(0))

    monkeypatch.setattr(FileSource, "_asked", answer)
    nothing: Any = None
    found = await asyncio.gather(source.ask(nothing, {}), source.ask(nothing, {}))
    assert [one.response.status for one in found] == [206, 206]
    assert asked == ["http://h.example/old"] * 2 + [""] * 2
