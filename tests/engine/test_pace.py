from __future__ import annotations

import pytest

from transfermon.engine.pace import Pace, by_our_doing
from transfermon.model.task import TaskKey

SLOW, FAST = TaskKey("s", 1), TaskKey("s", 2)


def test_a_transfer_is_slow_after_a_minute_below_a_thousand_bytes_a_second():
    pace = Pace()
    for second in range(60):
        assert pace.look(second, {SLOW: second * 50, FAST: second * 2000}) == set()
    assert pace.look(60, {SLOW: 3000, FAST: 120_000}) == {SLOW}
    assert pace.look(61, {SLOW: 90_000, FAST: 122_000}) == set(), "it is fast again"


def test_one_that_stands_still_is_slow_and_one_that_starts_over_is_looked_at_anew():
    pace = Pace()
    pace.look(0, {SLOW: 500_000})
    assert pace.look(60, {SLOW: 500_000}) == {SLOW}
    assert pace.look(61, {SLOW: 0}) == set()


def test_one_that_has_ended_is_forgotten():
    pace = Pace()
    pace.look(0, {SLOW: 0})
    pace.look(30, {})
    assert pace.look(61, {SLOW: 0}) == set()


@pytest.mark.parametrize(
    ("rates", "ours"),
    [
        ([(0, 8)], False),
        ([(2_000_000, 8)], False),
        ([(4_000, 8)], True),
        ([(0, 8), (500, 1)], True),
        ([], False),
    ],
)
def test_a_limit_of_ours_makes_nobody_slow(rates: list[tuple[int, int]], ours: bool):
    assert by_our_doing(rates) == ours
