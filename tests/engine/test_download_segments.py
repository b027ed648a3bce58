"""Connections that bring one file: what they leave to one another when they are ended."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from transfermon.engine.download_segments import _Connection, _Sharing
from transfermon.engine.download_sources import FileSource
from transfermon.engine.part_ranges import PartRanges
from transfermon.model.task import Progress

pytestmark = pytest.mark.anyio
M = 1 << 20


def sharing_of(ranges: PartRanges, attempt: Any, wanted: int = 1) -> _Sharing:
    nothing: Any = None
    return _Sharing(attempt, nothing, ranges, nothing, [], None, wanted)


async def test_a_range_that_is_taken_up_again_while_it_is_ended_is_ended_again(monkeypatch):
    """The second one is ended before it has begun."""
    attempt: Any = SimpleNamespace(progress=Progress())
    ranges = PartRanges(100, ((0, 10, 50), (50, 60, 100)), attempt.progress)
    sharing, one = sharing_of(ranges, attempt), ranges.ranges[1]
    works, source = [], FileSource("http://h.example/a")

    async def work(self: Any, connection: Any, answer: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            one.busy = False
            if len(works) == 1:
                asyncio.get_running_loop().call_soon(
                    lambda: works.append(sharing._start(_Connection(source, one), None))
                )  # by somebody who looks for one that is idle

    monkeypatch.setattr(_Sharing, "_work", work)
    works.append(sharing._start(_Connection(source, one), None))
    await asyncio.sleep(0)
    await sharing._end_work_on(one)
    assert [work.cancelled() for work in works] == [True, True]
    assert not one.busy


@pytest.mark.parametrize(("vain", "wanted"), [(False, 0), (True, 0), (True, 2)])
def test_nothing_is_taken_over_from_a_connection_that_fills_the_line_alone(vain: bool, wanted: int):
    """What was on its way to it would come in vain; a number that a person gave is kept."""
    attempt: Any = SimpleNamespace(progress=Progress())
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
