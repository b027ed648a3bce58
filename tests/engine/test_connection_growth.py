"""When one more connection for the same file is worth it: lines of every kind, by a made-up clock."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from transfermon.engine.connection_growth import ConnectionGrowth, stands_in_line

M = 1_000_000
TICK = 0.05


def connections(
    rate: Callable[[float, int], float], *, seconds: float, rtt: float = 0.02
) -> list[float]:
    """When connections are added on a line that brings `rate(time, connections)` bytes a second."""
    now, total, added = 0.0, 0.0, list[float]()
    growth = ConnectionGrowth(rtt, now, 0)
    while now < seconds:
        now += TICK
        total += rate(now, 1 + len(added)) * TICK
        growth.note(now, int(total))
        if growth.wants_another(now) and len(added) < 7:
            added.append(round(now, 2))
            growth.added(now)
    return added


def test_a_server_that_limits_each_connection_is_asked_again_and_again():
    added = connections(lambda _, count: 4 * M * count, seconds=3)
    assert len(added) >= 3
    assert added[0] <= 0.35
    assert added[2] <= 1.0


def test_a_line_that_is_full_gets_one_more_and_no_other():
    assert len(connections(lambda _, count: 20 * M, seconds=30)) == 1


@pytest.mark.parametrize(
    ("rate", "vain"),
    [
        (lambda _, count: 20 * M, True),  # one of them fills the line
        (lambda _, count: 4 * M * min(count, 2), False),  # the second helped, the third did not
    ],
)
def test_whether_more_connections_were_in_vain(rate: Callable[[float, int], float], vain: bool):
    now, total, count = 0.0, 0.0, 1
    growth = ConnectionGrowth(0.02, now, 0)
    while not growth.exhausted:
        assert not growth.in_vain(now)
        now += TICK
        total += rate(now, count) * TICK
        growth.note(now, int(total))
        if growth.wants_another(now):
            count += 1
            growth.added(now)
    assert growth.in_vain(now) is vain
    assert (growth.first_piece(now) == 0) is not vain
    if vain:  # what one of them takes over is soon there
        assert growth.first_piece(now) <= 2 * rate(now, count)
    while now < 100 and growth.in_vain(now):  # but it stands still
        now += TICK
        growth.note(now, int(total))
    assert not growth.in_vain(now)


def test_a_line_that_still_warms_up_is_left_to_it():
    added = connections(lambda now, _: min(25 * M, M * 2 ** (now / 0.1)), seconds=30)
    assert len(added) == 1
    assert added[0] > 0.4


@pytest.mark.parametrize("rtt", [0.1, 0.2])
def test_a_long_way_takes_longer(rtt: float):
    added = connections(lambda _, count: 4 * M * count, seconds=3, rtt=rtt)
    assert added[0] >= 4 * rtt


@pytest.mark.parametrize("period", [0.3, 0.5, 1.0])
def test_a_server_that_sends_in_bursts_is_measured_over_them(period: float):
    """As nginx does with limit_rate: half a second's bytes at once."""

    sent: list[float] = []

    def rate(now: float, count: int) -> float:
        while len(sent) < count:
            sent.append(now)  # each connection's own time of the next burst
        bytes_now = 0.0
        for number in range(count):
            if now >= sent[number] - 1e-9:
                sent[number] += period
                bytes_now += 4 * M * period
        return bytes_now / TICK

    added = connections(rate, seconds=8 * period + 2)
    assert len(added) >= 3
    assert added[0] >= period  # not in the first silence
    assert added[2] <= 4 * period + 0.6


def test_nothing_is_added_while_nothing_comes():
    assert connections(lambda now, _: 4 * M if now < 0.1 else 0, seconds=10) == []


def test_a_gain_that_one_window_hides_is_found_over_four():
    def rate(now: float, count: int) -> float:
        if count == 1:
            return 4 * M
        return 4 * M if now < 0.8 else 8 * M

    assert len(connections(rate, seconds=3)) >= 2


def test_a_line_that_is_as_fast_as_this_machine_gets_no_other():
    assert connections(lambda _, count: 120 * M * count, seconds=10) == []


def test_nothing_is_added_while_this_process_is_busy():
    now, worked, growth = 0.0, 0.0, ConnectionGrowth(0.02, 0.0, 0)
    while now < 5:
        now += TICK
        worked += 0.9 * TICK
        growth.note(now, int(4 * M * now), worked)
        assert not growth.wants_another(now)
    while now < 6:  # no longer
        now += TICK
        growth.note(now, int(4 * M * now), worked)
    assert growth.wants_another(now)


@pytest.mark.parametrize(
    ("round_trip", "before", "stands"),
    [
        (0.1, 0.05, True),  # behind a queue of one round trip
        (0.05, 0.05, False),
        (0.06, 0.05, False),  # any line does that
        (0.0044, 0.0002, False),  # a machine that was busy for a moment
        (0.0064, 0.0002, True),
        (0.1, 0.0, False),  # where the system does not tell
        (0.0, 0.05, False),
    ],
)
def test_who_stands_in_line_knows_it_by_the_round_trip(
    round_trip: float, before: float, stands: bool
):
    assert stands_in_line(round_trip, before) is stands


def test_a_line_that_was_full_is_asked_again_less_and_less_often():
    now, asked, growth = 0.0, list[float](), ConnectionGrowth(0.02, 0.0, 0)
    while now < 100:
        now += TICK
        growth.note(now, int(20 * M * now))
        if growth.wants_another(now):
            asked.append(now)
            growth.line_is_full(now)
    assert not growth.exhausted  # it may be another line by then
    pauses = [after - before for before, after in itertools.pairwise(asked)]
    assert pauses == pytest.approx([5, 10, 20, 40], abs=2 * TICK)


def test_a_rate_is_known_between_two_looks():
    """A connection that is done, or comes, asks for it then; to sync a disk takes a while, too."""
    now, growth = 0.0, ConnectionGrowth(0.02, 0.0, 0)
    while now < 1:
        now += TICK
        growth.note(now, int(20 * M * now))
    assert growth.rate(now + 0.9) == pytest.approx(20 * M)
    growth.added(now + 0.9)
    now += 0.9
    while now < 5:  # it brings nothing more: no third one is to be tried
        now += TICK
        growth.note(now, int(20 * M * now))
        assert not growth.wants_another(now)
    assert growth.in_vain(now + 0.9)


def test_a_second_in_which_nobody_looked_is_no_silence_of_the_server():
    now, growth = 0.0, ConnectionGrowth(0.02, 0.0, 0)
    for _ in range(5):  # no slot of the host was free
        now += 1.0
        growth.note(now, int(4 * M * now))
    for _ in range(6):
        now += TICK
        growth.note(now, int(4 * M * now))
    growth.added(now)
    assert growth.first_piece(now) == pytest.approx(4 * M * 5 * 0.25)  # its window is the shortest
