"""Range maps, over all ways to split, to take over, to merge, to cut and to start again."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfermon.model.ranges import (
    Ranges,
    believed,
    cut,
    is_one_prefix,
    of_stored,
    pairs_of,
    prefix,
    received,
    split,
    steal,
)

TOTAL = 200
PAIRS = st.lists(st.tuples(st.integers(0, TOTAL), st.integers(0, TOTAL)), max_size=12)


def check(ranges: Ranges, total: int = TOTAL) -> None:
    """The rule of the module."""
    assert ranges[0][0] == 0
    assert ranges[-1][2] == total
    assert all(start <= at <= end for start, at, end in ranges)
    assert all(one[2] == other[0] for one, other in pairwise(ranges))


def stored_bytes(pairs: object) -> set[int]:
    return {place for start, at in pairs for place in range(start, at)}  # type: ignore[attr-defined]


@given(PAIRS)
def test_what_is_stored_is_in_the_ranges_and_nothing_else(pairs: list[tuple[int, int]]):
    ranges = of_stored(pairs, TOTAL)
    check(ranges)
    assert stored_bytes(pairs_of(ranges)) == stored_bytes(pairs)
    assert received(ranges) == len(stored_bytes(pairs))
    assert of_stored(pairs_of(ranges), TOTAL) == ranges


def test_ranges_that_overlap_are_one_and_those_that_touch_are_two():
    assert of_stored([(0, 50), (50, 80)], 100) == ((0, 50, 50), (50, 80, 100))
    assert of_stored([(0, 51), (50, 80)], 100) == ((0, 80, 100),)


def test_the_prefix_ends_where_nothing_was_compared():
    assert prefix(of_stored([(0, 50), (50, 100)], 100)) == 50
    assert prefix(of_stored([(0, 51), (50, 100)], 100)) == 100
    assert prefix(of_stored([(10, 50)], 100)) == 0
    assert prefix(()) == 0


@given(PAIRS, st.data())
def test_a_split_moves_no_byte(pairs: list[tuple[int, int]], data: st.DataObject):
    ranges = of_stored(pairs, TOTAL)
    index = data.draw(st.integers(0, len(ranges) - 1))
    start, at, end = ranges[index]
    if max(at, start + 1) >= end:
        with pytest.raises(ValueError, match="cannot be split"):
            split(ranges, index, end)
        return
    middle = data.draw(st.integers(max(at, start + 1), end - 1))
    halves = split(ranges, index, middle)
    check(halves)
    assert len(halves) == len(ranges) + 1
    assert received(halves) == received(ranges)
    assert of_stored(pairs_of(halves), TOTAL) == ranges  # an empty range says nothing


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)).map(sorted).map(tuple)))
def test_the_second_half_of_the_largest_rest_is_taken(rests: list[tuple[int, int]]):
    taken = steal(rests, 10)
    sizes = [end - at for at, end in rests]
    if taken is None:
        assert max(sizes, default=0) < 20
        return
    index, middle = taken
    assert sizes[index] == max(sizes) >= 20
    assert min(middle - rests[index][0], rests[index][1] - middle) >= 10


@given(PAIRS, st.integers(0, TOTAL))
def test_a_shorter_file_has_no_byte_behind_its_end(pairs: list[tuple[int, int]], length: int):
    ranges = of_stored(pairs, TOTAL)
    left = cut(ranges, length)
    check(left)
    kept = stored_bytes(pairs_of(left))
    assert kept <= stored_bytes(pairs_of(ranges))
    assert all(place < length for place in kept)
    assert cut(ranges, TOTAL) == ranges


@given(PAIRS, PAIRS, st.integers(0, TOTAL))
def test_after_a_restart_the_map_counts_where_there_is_one(
    journal: list[tuple[int, int]], mapped: list[tuple[int, int]], length: int
):
    checkpoint = of_stored([(0, 1), *journal], TOTAL)
    for pairs, found in (
        (journal, believed(checkpoint, None, length)),
        (mapped, believed(checkpoint, [(0, 1), *mapped], length)),
    ):
        check(found)
        assert stored_bytes(pairs_of(found)) <= stored_bytes([(0, 1), *pairs])
        assert prefix(found) or not received(found)  # nothing without a beginning
    assert believed(checkpoint, mapped, 0) == ((0, 0, TOTAL),)


@given(st.data())
def test_a_transfer_of_many_ranges_ends_as_one(data: st.DataObject):
    """Whoever fetches, splits, is killed and goes on: the bytes that are stored only grow, and the
    last comparison makes them one.
    """
    ranges: Ranges = ((0, 0, TOTAL),)
    pairs: dict[int, int] = {0: 0}  # as a map has them
    for _ in range(200):
        rests = [(at, end) for _, at, end in ranges]
        if len(rests) < 8 and data.draw(st.booleans()):
            taken = steal(rests, 1)
            if taken is not None:
                ranges = split(ranges, *taken)
                pairs[taken[1]] = taken[1]
        index = data.draw(st.integers(0, len(ranges) - 1))
        start, at, end = ranges[index]
        at = min(end, at + data.draw(st.integers(1, TOTAL // 2)))
        agreed = at == end and index + 1 < len(ranges) and ranges[index + 1][1] > end
        pairs[start] = at + 1 if agreed else at  # it has read into its neighbour
        ranges = (*ranges[:index], (start, at, end), *ranges[index + 1 :])
        check(ranges)
        before = received(of_stored(pairs.items(), TOTAL))
        assert before == received(ranges)
        if data.draw(st.integers(0, 9)) == 0:  # killed
            ranges = of_stored(pairs.items(), TOTAL)
            pairs = dict(pairs_of(ranges)) or {0: 0}
            assert received(ranges) == before
        if is_one_prefix(ranges) and prefix(ranges) == TOTAL:
            return
    for (start, _), (other, _) in pairwise(sorted(pairs.items())):
        pairs[start] = other + 1
    pairs[max(pairs)] = TOTAL
    assert of_stored(pairs.items(), TOTAL) == ((0, TOTAL, TOTAL),)
