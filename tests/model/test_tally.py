from __future__ import annotations

import random

import pytest

from tests.helpers.records import (
    a_cancelled_task,
    a_failed_task,
    a_finished_task,
    a_paused_task,
    a_progress,
    a_queued_task,
    a_task,
    a_waiting_task,
    tally_of,
)
from transfermon.model.tally import Fate, Tally, fate_of
from transfermon.model.task import Kind, State

KINDS = [
    a_task,
    a_queued_task,
    a_waiting_task,
    a_paused_task,
    a_finished_task,
    a_cancelled_task,
    a_failed_task,
]


@pytest.mark.parametrize(
    ("make", "fate"),
    [
        (a_task, Fate.RUNNING),
        (a_queued_task, Fate.QUEUED),
        (a_waiting_task, Fate.WAITING),
        (a_paused_task, Fate.PAUSED),
        (a_finished_task, Fate.FINISHED),
        (a_cancelled_task, Fate.CANCELLED),
        (a_failed_task, Fate.FAILED),
    ],
)
def test_every_task_has_one_fate(make, fate):
    assert fate_of(make()) is fate
    assert fate_of(make(state=State.CANCELING)) is Fate.ENDING


def test_a_tally_that_followed_every_change_equals_one_from_scratch():
    die = random.Random(7)
    tasks, tally = {}, Tally()
    for _ in range(2000):
        number = die.randrange(40)
        before = tasks.pop(number, None)
        after = None
        if before is None or die.random() < 0.8:
            known = die.random() < 0.8
            counts = {"received": die.randrange(1000), "expected": 1000 if known else -1}
            after = die.choice(KINDS)(number=number, kind=die.choice(list(Kind)), **counts)
            tasks[number] = after
        tally.change(before, after)
        assert tally == Tally(tasks.values())
    assert tally.all == len(tasks)
    assert tally.outstanding == sum(task.outstanding for task in tasks.values())


def test_progress_takes_the_live_counters_of_what_runs():
    running, queued = a_task(number=1), a_queued_task(number=2)
    tally = Tally([running, queued, a_finished_task(number=3)])
    assert tally.progress({}) == 25 / 200
    assert tally.progress({running.key: a_progress(75_000_000)}) == 75 / 200
    assert tally.progress({running.key: a_progress(75_000_000, -1)}) == 0.0
    assert Tally([a_task(expected=-1)]).progress({}) is None


def test_one_that_goes_on_running_keeps_its_place():
    first, second = a_task(number=1), a_task(number=2)
    tally = Tally([first, second])
    tally.change(first, a_task(number=1, received=26_000_000))
    assert [key.number for key in tally.running] == [1, 2]
    tally.change(second, a_paused_task(number=2))
    assert [key.number for key in tally.running] == [1]


def test_each_session_has_its_own():
    found = tally_of(
        [
            a_task(number=1),
            a_task(number=1, session="films"),
            a_finished_task(number=2, session="films"),
        ]
    )
    assert {key: tally.all for key, tally in found.items()} == {"demo": 1, "films": 2}
