"""The values of a simulated network: what they refuse, what they say, and what becomes of entity
tags.
"""

from __future__ import annotations

import pytest

from transfermon.wire.simulation import NONE, PROFILES, Simulation, profile_named, slower


@pytest.mark.parametrize(
    ("name", "found"),
    [("3g", "3G"), ("SLOW-4G", "Slow 4G"), ("wi-fi far_away", "Wi-Fi far away"), ("gprs", "GPRS")],
)
def test_a_profile_is_found_however_its_name_is_written(name: str, found: str):
    profile = profile_named(name)
    assert profile is not None
    assert profile.name == found


def test_no_profile_is_a_profile_too_and_an_unknown_one_is_refused():
    assert profile_named("none") is None
    with pytest.raises(ValueError, match="only GPRS, EDGE, 3G"):
        profile_named("5G")


@pytest.mark.parametrize(
    "bad",
    [{"loss": 1.01}, {"loss": -0.1}, {"loss": float("nan")}, {"status": 200}, {"answers": -1}],
)
def test_what_no_network_does_is_refused(bad: dict[str, float]):
    with pytest.raises(ValueError, match=r"per cent|400 to 599|negative"):
        Simulation(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("simulation", "words"),
    [
        (NONE, ""),
        (Simulation(profile=PROFILES[2], loss=0.05), "3G, 5 % lost"),
        (Simulation(offline=True), "offline"),
        (Simulation(status=503), "answers 503"),
        (Simulation(status=503, answers=1), "answers 503 once"),
        (Simulation(status=429, answers=2, version=1), "answers 429 2 times, ETags changed"),
    ],
)
def test_it_says_what_it_does(simulation: Simulation, words: str):
    assert simulation.words == words
    assert simulation.on is bool(words)


def test_counted_answers_come_to_an_end_and_uncounted_ones_do_not():
    assert Simulation(status=503, answers=2).answered().answered() == NONE
    assert Simulation(status=503).answered() == Simulation(status=503)


ASKED = (("Range", "bytes=5-"), ("If-Range", '"v"'), ("Accept", "*/*"))


def test_a_range_of_a_version_that_is_gone_cannot_be_asked_for():
    assert Simulation(version=1).asks(ASKED) == (("Accept", "*/*"),)
    of_the_first = (("Range", "bytes=5-"), ("If-Range", '"v~1"'))
    assert Simulation(version=1).asks(of_the_first) == (("Range", "bytes=5-"), ("If-Range", '"v"'))
    assert Simulation(version=2).asks(of_the_first) == ()
    without = (("Range", "bytes=5-"),)
    assert Simulation(version=1).asks(without) == without


def test_an_answer_bears_the_tag_of_its_version():
    given = (("etag", 'W/"v"'), ("X", "y"))
    assert Simulation(version=3).answer(given) == (("etag", 'W/"v~3"'), ("X", "y"))


@pytest.mark.parametrize(("one", "other", "both"), [(0, 0, 0), (5, 0, 5), (0, 7, 7), (5, 7, 5)])
def test_the_slower_limit_counts(one: int, other: int, both: int):
    assert slower(one, other) == both
