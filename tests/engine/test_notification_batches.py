"""When ended transfers are told of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfermon.engine.notification_batches import BURST, FIRST, MOST, Gathering, session_of
from transfermon.model.task import Kind, Task


def told(times: list[float], *, burst: int = 1) -> list[tuple[float, int]]:
    """When notices are told, and of how many, where transfers end at these times."""
    gathering: Gathering[float] = Gathering(burst=burst)
    out: list[tuple[float, int]] = []
    due: float | None = None
    for time in [*times, float("inf")]:
        if due is not None and due <= time:
            out.append((due, len(gathering.take(due))))
            due = None
        if time == float("inf"):
            break
        wait = gathering.add([time], time)
        if wait == 0:
            out.append((time, len(gathering.take(time))))
        elif wait is not None:
            due = time + wait
    return out


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([100.0], [(100.0, 1)]),
        ([100.0 + number / 4 for number in range(12)], [(100.0, 1), (110.0, 11)]),
        ([100.0, 115.0, 130.0], [(100.0, 1), (115.0, 1), (130.0, 1)]),
        ([100.0, 109.0, 125.0, 400.0], [(100.0, 1), (110.0, 1), (130.0, 1), (400.0, 1)]),
    ],
)
def test_what_ends_within_seconds_is_told_together(
    times: list[float], expected: list[tuple[float, int]]
):
    assert told(times) == expected


def test_five_hundred_one_after_another_are_a_handful_of_notices():
    notices = told([100.0 + 0.14 * number for number in range(500)])
    assert len(notices) <= 5
    assert sum(count for _, count in notices) == 500


def test_where_each_is_wanted_there_is_a_ceiling_all_the_same():
    assert told([100.0, 101.0], burst=BURST) == [(100.0, 1), (101.0, 1)]
    notices = told([100.0 + 0.14 * number for number in range(500)], burst=BURST)
    assert [count for _, count in notices[:BURST]] == [1] * BURST
    assert len(notices) <= BURST + 4
    assert sum(count for _, count in notices) == 500


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=200), st.sampled_from([1, BURST]))
def test_each_is_told_once_within_five_minutes_and_never_many_in_a_row(
    whole: list[int], burst: int
):
    times = sorted(map(float, whole))
    notices = told(times, burst=burst)
    assert sum(count for _, count in notices) == len(times)
    assert all(count > 0 for _, count in notices)
    moments = [moment for moment, _ in notices]
    assert all(
        later - earlier >= FIRST for earlier, later in zip(moments, moments[burst:], strict=False)
    )
    assert moments[-1] - times[-1] <= MOST


def test_a_sum_over_several_sessions_names_none():
    def task(session: str) -> Task:
        return Task(session=session, number=1, kind=Kind.DOWNLOAD, url="http://h/")

    assert session_of([task("a"), task("a")]) == "a"
    assert session_of([task("a"), task("b")]) == ""
