"""What is stored while several connections write, over all ways to begin, to break, to take over and
to be killed.
"""

from __future__ import annotations

import os
import tempfile
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from transfermon.engine.part_ranges import PartRanges, StoredRange
from transfermon.model.ranges import NOBODY, believed, of_stored, pairs_of, prefix
from transfermon.model.task import Progress
from transfermon.storage.part_file import PartFile
from transfermon.storage.range_map import RangeMap

TOTAL = 400
SEAM = 7  # bytes that two connections compare
BODY = bytes(place % 251 + 1 for place in range(TOTAL))  # no byte is a hole's


class Connections(RuleBasedStateMachine):
    """Each step is one of a connection, or the end of the process; the part and its map are real."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.part = PartFile.create(self.folder.name)
        self.progress = Progress()
        self.told = 0
        self.ranges = PartRanges(TOTAL, ((0, 0, TOTAL),), self.progress)
        self.ranges.scatter(self.part)

    def teardown(self) -> None:
        self.ranges.close()
        self.part.close()
        self.folder.cleanup()

    def bring(self, one: StoredRange, count: int) -> None:
        count = one.movable.claim(one.at, count)
        self.part.write(one.at, BODY[one.at : one.at + count])
        one.add(count)

    def busy(self) -> list[StoredRange]:
        return [one for one in self.ranges.ranges if one.busy]

    @rule()
    def a_connection_begins(self) -> None:
        one = self.ranges.idle()
        if one is not None:
            one.busy = True

    @rule(least=st.integers(1, 20), most=st.integers(0, 60))
    def a_connection_takes_over_the_end_of_the_largest_rest(self, least: int, most: int) -> None:
        one = self.ranges.shared(least, most)
        if one is not None:
            assert one.rest >= least
            assert not most or one.rest <= max(least, most)
            one.busy = True

    @precondition(lambda self: self.busy())
    @rule(data=st.data(), count=st.integers(1, 150))
    def bytes_arrive(self, data: st.DataObject, count: int) -> None:
        self.bring(data.draw(st.sampled_from(self.busy())), count)

    @precondition(lambda self: self.busy())
    @rule(data=st.data())
    def a_connection_breaks(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.busy()))
        one.busy = False
        self.ranges.leave(one)

    @precondition(lambda self: any(not one.rest for one in self.busy()))
    @rule(data=st.data())
    def a_connection_comes_to_what_another_has(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from([one for one in self.busy() if not one.rest]))
        other = self.ranges.after(one)
        if other is not None:
            common = min(SEAM, other.end - other.start)
            if other.received >= common:
                self.ranges.agreed(one, common)
            else:
                other.busy = False  # what worked on it was ended
                self.ranges.absorb(one)
                return
        one.busy = False

    @precondition(lambda self: not self.busy())
    @rule()
    def another_answer_goes_on_with_the_first_one(self) -> None:
        self.ranges.join()
        first = self.ranges.ranges[0]
        assert first.at == prefix(self.ranges.snapshot())
        assert not first.compared

    @rule(synced=st.booleans())
    def the_process_is_killed(self, synced: bool) -> None:
        """`synced`: a checkpoint was recorded just before."""
        before = self.ranges.snapshot()
        checkpoint = before if synced else ((0, 0, TOTAL),)
        mapped = self.part.stored_in_map()
        assert mapped is not None
        found = believed(checkpoint, mapped, os.path.getsize(self.part.path))
        if prefix(before):
            assert found == before  # nothing is lost, and nothing else is taken for it
        self.ranges.close()
        self.progress = Progress(received=sum(at - start for start, at, _ in found))
        self.told = self.progress.received
        self.ranges = PartRanges(TOTAL, found, self.progress)
        self.ranges.scatter(self.part)

    @invariant()
    def what_is_said_to_be_stored_is(self) -> None:
        for start, at in (*pairs_of(self.ranges.snapshot()), *(self.part.stored_in_map() or ())):
            assert self.part.read(start, at - start) == BODY[start:at]

    @invariant()
    def the_map_says_what_the_ranges_say(self) -> None:
        mapped = self.part.stored_in_map()
        assert mapped is not None
        assert of_stored(mapped, TOTAL) == self.ranges.snapshot()

    @invariant()
    def the_ranges_lie_side_by_side_and_cover_the_file(self) -> None:
        ranges = self.ranges.ranges
        assert ranges[0].start == 0
        assert ranges[-1].end == TOTAL
        assert all(one.end == other.start for one, other in pairwise(ranges))
        assert all(one.start <= one.at <= one.end for one in ranges)

    @invariant()
    def what_was_told_never_becomes_less(self) -> None:
        assert self.told <= self.progress.received <= TOTAL
        self.told = self.progress.received

    @invariant()
    def the_picture_shows_who_brings_what(self) -> None:
        picture = self.ranges.picture()
        assert picture[-1].end == TOTAL
        assert sum(one.by != NOBODY for one in picture) == len(self.busy())

    @invariant()
    def whole_is_what_was_compared_everywhere(self) -> None:
        compared = all(one.compared for one in self.ranges.ranges[:-1])
        stored = all(not one.rest for one in self.ranges.ranges)
        assert self.ranges.whole == (compared and stored)


Connections.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestConnections = Connections.TestCase


def test_what_arrives_while_the_map_is_made_is_in_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """What was read before it came is not written over it."""
    put, held, go, first = RangeMap.put, threading.Event(), threading.Event(), [True]

    def slow_once(self: RangeMap, row: int, at: int) -> None:
        if first:
            first.clear()
            held.set()
            go.wait()
        put(self, row, at)

    monkeypatch.setattr(RangeMap, "put", slow_once)
    part = PartFile.create(str(tmp_path))
    found = PartRanges(TOTAL, ((0, 100, TOTAL),), Progress())
    making = threading.Thread(target=found.scatter, args=(part,))
    arriving = threading.Thread(target=found.ranges[0].add, args=(50,))
    making.start()
    held.wait()
    arriving.start()
    while found.ranges[0].at < 150:
        pass
    go.set()
    making.join()
    arriving.join()
    assert part.stored_in_map() == ((0, 150),)
    found.close()
    part.close()
