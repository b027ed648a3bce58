"""How many connections a server gets where nobody set a number."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from transfermon.engine.host_pace import (
    MOST,
    PATIENCE,
    QUIET,
    SMALL,
    USUAL,
    WINDOW,
    HostPace,
    HostPaces,
)

FILE = 16 * 1024


def after(*answers: tuple[int, float, int]) -> HostPace:
    """One after the other: status, seconds until the answer, bytes."""
    pace = HostPace()
    add(pace, *answers)
    return pace


def add(pace: HostPace, *answers: tuple[int, float, int], since: float = 0.0) -> float:
    """When the last of them came."""
    for status, seconds, size in answers:
        came = since + seconds
        pace.answered(status, began=since, given=since, came=came, size=size)
        since = came
    return since


def test_it_begins_with_as_many_as_browsers_have():
    assert HostPace().limit == USUAL == 6
    assert HostPaces().limit("http://h:1") == USUAL


def test_many_small_quick_answers_are_a_reason_for_more_up_to_sixteen():
    pace = after(*[(200, 0.05, FILE)] * (WINDOW * 5))
    assert pace.limit == MOST == 16
    assert "16 of 16: its small files" in pace.reason(16)


def test_large_files_keep_to_the_usual_number():
    assert after(*[(200, 0.05, SMALL)] * 100).limit == USUAL
    assert after(*[(200, 0.05, FILE)] * 100, (200, 0.05, SMALL)).limit == USUAL


def test_answers_that_take_longer_and_longer_take_connections_back():
    pace = after(*[(200, 0.05, FILE)] * (WINDOW * 5))
    add(pace, *[(200, 0.5, FILE)] * (WINDOW * 5))
    assert pace.limit == USUAL


def test_one_refusal_halves_them_and_patience_brings_them_back_one_by_one():
    pace = after(*[(200, 0.05, FILE)] * (WINDOW * 5), (429, 0.01, 0))
    assert pace.limit == MOST // 2
    assert "429" in pace.reason(1)
    pace = after((503, 0.01, 0))
    assert pace.limit == USUAL // 2
    now = add(pace, *[(200, 0.05, FILE)] * (PATIENCE - 1), since=1.0)
    assert pace.limit == USUAL // 2
    add(pace, (200, 0.05, FILE), since=now)
    assert pace.limit == USUAL // 2 + 1


def test_a_burst_of_refusals_counts_once_and_the_next_one_again():
    pace = after(*[(200, 0.05, FILE)] * (WINDOW * 5))
    for number in range(MOST):  # all were asked for before the first answer came
        pace.answered(503, began=100.0, given=100.0, came=100.1 + number / 100, size=0)
    assert pace.limit == MOST // 2
    for number in range(MOST // 2):
        pace.answered(503, began=101.0, given=101.0, came=101.1 + number / 100, size=0)
    assert pace.limit == MOST // 4


def test_where_answers_are_few_time_brings_them_back():
    pace = after((503, 0.01, 0))
    now = add(pace, (200, QUIET - 1, SMALL))
    assert pace.limit == USUAL // 2
    add(pace, (200, 2.0, SMALL), since=now)
    assert pace.limit == USUAL // 2 + 1


def test_what_is_sent_is_no_part_of_the_wait_and_makes_it_large():
    pace = after(*[(200, 0.05, FILE)] * (WINDOW * 5))
    for start in range(WINDOW * 5):  # half a second each to give away, and an answer as quick
        pace.answered(200, began=start, given=start + 0.5, came=start + 0.55, size=FILE)
    assert pace.limit == MOST
    pace.answered(201, began=900.0, given=901.0, came=901.05, size=SMALL)
    assert pace.limit == USUAL


def test_other_errors_of_a_server_say_nothing_about_the_number():
    assert after(*[(500, 0.05, 0)] * 100).limit == USUAL


answers = st.tuples(
    st.sampled_from([200, 206, 404, 429, 500, 503]),
    st.floats(0, 100),
    st.integers(0, 4 * SMALL),
)


@given(st.lists(answers, max_size=300))
def test_whatever_comes_it_is_one_to_sixteen(heard: list[tuple[int, float, int]]):
    pace = after(*heard)
    assert 1 <= pace.limit <= MOST
    assert f"0 of {pace.limit}" in pace.reason(0)
