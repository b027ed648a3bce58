"""How many connections a server gets where nobody set a number."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from transfermon.engine.host_pace import MOST, PATIENCE, SMALL, USUAL, WINDOW, HostPace, HostPaces

FILE = 16 * 1024


def after(*answers: tuple[int, float, int]) -> HostPace:
    pace = HostPace()
    for status, seconds, size in answers:
        pace.answered(status, seconds=seconds, size=size)
    return pace


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
    for _ in range(WINDOW * 5):
        pace.answered(200, seconds=0.5, size=FILE)
    assert pace.limit == USUAL


def test_one_refusal_halves_them_and_patience_brings_them_back_one_by_one():
    pace = after(*[(200, 0.05, FILE)] * (WINDOW * 5), (429, 0.01, 0))
    assert pace.limit == MOST // 2
    assert "429" in pace.reason(1)
    pace = after((503, 0.01, 0))
    assert pace.limit == USUAL // 2
    for _ in range(PATIENCE - 1):
        pace.answered(200, seconds=0.05, size=FILE)
    assert pace.limit == USUAL // 2
    pace.answered(200, seconds=0.05, size=FILE)
    assert pace.limit == USUAL // 2 + 1


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
