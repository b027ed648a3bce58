"""Rates are kept, by each and by all together."""

from __future__ import annotations

import time

from transfermon.wire.rate_limit import Limiter, admitted


def test_a_limiter_of_zero_lets_everything_pass():
    assert Limiter().take(10**9) == 10**9
    assert admitted([], 5) == (5, 0.0)


def test_a_limiter_gives_a_tenth_of_a_second_at_most_at_once():
    limiter = Limiter(1000)
    assert limiter.take(10**6) == 100
    assert limiter.take(10**6) == 0
    assert 0 < limiter.delay() <= 0.1


def test_of_stacked_limiters_the_slowest_counts_and_the_others_lose_nothing():
    fast, slow = Limiter(1_000_000), Limiter(1000)
    assert admitted([fast, slow], 10**6) == (100, 0.0)
    granted, delay = admitted([fast, slow], 10**6)
    assert granted == 0
    assert 0 < delay <= 0.1
    assert fast.take(10**6) >= 100_000 - 100


def test_the_rate_holds_over_time_and_may_change():
    limiter = Limiter(100_000)
    passed, began = 0, time.monotonic()
    while (took := time.monotonic() - began) < 0.5:
        granted, delay = admitted([limiter], 10**6)
        passed += granted
        time.sleep(delay)
    # no bucket is filled while nobody is there to take from it
    assert 10_000 <= passed <= 100_000 * (took + 0.1)
    limiter.rate = 0
    assert limiter.take(10**6) == 10**6


def test_bytes_that_came_unasked_are_waited_for():
    limiter = Limiter(1000)
    limiter.charge(1000)
    assert limiter.take(1) == 0
    assert limiter.delay() > 0.5
