"""Connections that bring one file: what they leave to one another when they are ended."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from transfermon.engine.download_segments import _Sharing
from transfermon.engine.part_ranges import PartRanges
from transfermon.model.task import Progress

pytestmark = pytest.mark.anyio


async def test_a_range_that_is_taken_up_again_while_it_is_ended_is_ended_again(monkeypatch):
    """The second one is ended before it has begun."""
    attempt: Any = SimpleNamespace(progress=Progress())
    parts: Any = None
    ranges = PartRanges(100, ((0, 10, 50), (50, 60, 100)), attempt.progress)
    sharing, one = _Sharing(attempt, parts, ranges, [], None, 1), ranges.ranges[1]
    works = []

    async def work(self: Any, one: Any, answer: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            one.busy = False
            if len(works) == 1:
                asyncio.get_running_loop().call_soon(
                    lambda: works.append(sharing._start(one, None))
                )  # by somebody who looks for one that is idle

    monkeypatch.setattr(_Sharing, "_work", work)
    works.append(sharing._start(one, None))
    await asyncio.sleep(0)
    await sharing._end_work_on(one)
    assert [work.cancelled() for work in works] == [True, True]
    assert not one.busy
