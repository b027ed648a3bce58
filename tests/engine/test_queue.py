"""Who may run: limits over all and per group, priorities, and changes while waiting."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfermon.engine.queue import Slots
from transfermon.model.task import TaskKey


class Queue:
    """Slots, and the order in which tasks were started. A group's name is its session and host."""

    def __init__(self, running: int = 100) -> None:
        self.slots = Slots(running)
        self.started: list[int] = []

    def ask(
        self, number: int, group: str = "a", *, limit: int = 1, priority: float = 0.5
    ) -> TaskKey:
        key = TaskKey("s", number)
        self.slots.ask(
            key,
            (group, "host"),
            limit=limit,
            priority=priority,
            start=lambda: self.started.append(number),
        )
        return key


def says_yes(asked: list[int], number: int) -> Callable[[], bool]:
    def wanted_back() -> bool:
        asked.append(number)
        return True

    return wanted_back


def test_as_many_run_as_the_limit_over_all_allows():
    queue = Queue(running=2)
    keys = [queue.ask(n, limit=10) for n in range(4)]
    assert queue.started == [0, 1]
    queue.slots.release(keys[1])
    assert queue.started == [0, 1, 2]


def test_slow_ones_do_not_keep_others_waiting_but_no_more_than_sixteen():
    queue = Queue(running=2)
    keys = [queue.ask(n, str(n)) for n in range(30)]
    for number in range(2, 18):
        queue.slots.set_slow(keys[:number])
        assert queue.started == list(range(min(number, 16) + 2))
    queue.slots.set_slow([])
    assert len(queue.started) == 18, "none is stopped when it is fast again"
    queue.slots.release(keys[0])
    assert len(queue.started) == 18


def test_a_slow_one_counts_against_its_host():
    queue = Queue(running=2)
    keys = [queue.ask(n, limit=2) for n in range(4)]
    queue.slots.set_slow(keys)
    assert queue.started == [0, 1]


def test_each_group_has_its_own_limit():
    queue = Queue()
    for n in range(3):
        queue.ask(n, "a", limit=1)
    for n in range(10, 13):
        queue.ask(n, "b", limit=2)
    assert queue.started == [0, 10, 11]


def test_a_full_group_does_not_hold_up_another():
    queue = Queue(running=3)
    for n in range(5):
        queue.ask(n, "a", limit=1, priority=1.0)
    queue.ask(10, "b", priority=0.0)
    assert queue.started == [0, 10]


def test_the_most_important_starts_first_and_equals_in_order():
    queue = Queue(running=1)
    first = queue.ask(0)
    for number, priority in [(1, 0.5), (2, 0.9), (3, 0.5), (4, 0.1)]:
        queue.ask(number, priority=priority)
    for number in (0, 2, 1, 3):
        queue.slots.release(TaskKey("s", number))
    assert queue.started == [0, 2, 1, 3, 4]
    assert first == TaskKey("s", 0)


def test_a_new_priority_moves_a_waiting_task_and_equals_keep_their_place():
    queue = Queue(running=1)
    for number in range(5):
        queue.ask(number)
    queue.slots.reprioritise(TaskKey("s", 4), 0.9)
    queue.slots.reprioritise(TaskKey("s", 1), 0.5)
    queue.slots.reprioritise(TaskKey("s", 0), 0.0)  # it runs: nothing to change
    for number in (0, 4, 1, 2):
        queue.slots.release(TaskKey("s", number))
    assert queue.started == [0, 4, 1, 2, 3]


def test_who_moves_starts_first_or_last_among_the_equally_important():
    queue = Queue(running=1)
    for number in range(6):
        queue.ask(number, priority=0.9 if number == 5 else 0.5)
    queue.slots.move(TaskKey("s", 3), first=True)
    queue.slots.move(TaskKey("s", 4), first=True)
    queue.slots.move(TaskKey("s", 1), first=False)
    queue.slots.move(TaskKey("s", 0), first=False)  # it runs
    queue.slots.move(TaskKey("s", 99), first=False)  # nobody knows it
    for number in (0, 5, 4, 3, 2):
        queue.slots.release(TaskKey("s", number))
    assert queue.started == [0, 5, 4, 3, 2, 1]


def test_who_withdraws_is_not_started():
    queue = Queue(running=1)
    keys = [queue.ask(n) for n in range(3)]
    assert queue.slots.withdraw(keys[1])
    assert not queue.slots.withdraw(keys[1])
    assert not queue.slots.withdraw(keys[0])  # it runs, it does not wait
    queue.slots.release(keys[0])
    assert queue.started == [0, 2]


def test_who_withdraws_is_not_held_on_to():
    class Owner:
        def start(self) -> None:
            raise AssertionError("it withdrew")

    queue = Queue(running=1)
    queue.ask(0)
    owner = Owner()
    queue.slots.ask(TaskKey("s", 1), ("a", "host"), limit=1, priority=0.5, start=owner.start)
    queue.slots.withdraw(TaskKey("s", 1))
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None


def test_asking_again_keeps_one_place_only():
    queue = Queue(running=1)
    keys = [queue.ask(n) for n in range(2)]
    queue.ask(1)
    queue.slots.release(keys[0])
    queue.slots.release(keys[1])
    queue.slots.release(keys[1])
    assert queue.started == [0, 1]


def test_a_higher_limit_starts_more_at_once_and_a_lower_one_stops_nobody():
    queue = Queue(running=1)
    for n in range(4):
        queue.ask(n, limit=10)
    queue.slots.set_running(3)
    assert queue.started == [0, 1, 2]
    queue.slots.set_running(1)
    queue.slots.release(TaskKey("s", 0))
    assert queue.started == [0, 1, 2]


def test_a_start_that_gives_its_slot_back_at_once_lets_all_run():
    slots, started = Slots(1), []

    def start(number: int) -> None:
        started.append(number)
        slots.release(TaskKey("s", number))

    for n in range(50):
        slots.ask(TaskKey("s", n), ("a", "host"), limit=1, priority=0.5, start=lambda n=n: start(n))  # type: ignore[misc]
    assert started == list(range(50))


@given(
    running=st.integers(1, 4),
    steps=st.lists(
        st.tuples(
            st.sampled_from(["ask", "withdraw", "release", "priority"]),
            st.integers(0, 9),
            st.floats(0, 1),
        ),
        max_size=60,
    ),
)
def test_limits_hold_and_nobody_is_forgotten(running: int, steps: list[tuple[str, int, float]]):
    slots, held, waiting = Slots(running), set[int](), set[int]()

    def start(number: int) -> None:
        waiting.discard(number)
        held.add(number)

    for what, number, priority in steps:
        key, group = TaskKey("s", number), str(number % 3)
        if what == "ask" and number not in held:
            waiting.add(number)
            slots.ask(
                key,
                (group, "h"),
                limit=2,
                priority=priority,
                start=lambda n=number: start(n),  # type: ignore[misc]
            )
        elif what == "withdraw":
            assert slots.withdraw(key) == (number in waiting)
            waiting.discard(number)
        elif what == "release":
            held.discard(number)
            slots.release(key)
        elif what == "priority":
            slots.reprioritise(key, priority)
        assert len(held) <= running
        for name in "012":
            of_group = [n for n in held if str(n % 3) == name]
            assert len(of_group) <= 2
            if len(held) < running and len(of_group) < 2:
                assert not [n for n in waiting if str(n % 3) == name]


def test_its_repr_says_how_full_it_is():
    queue = Queue(running=2)
    for n in range(3):
        queue.ask(n, limit=5)
    assert repr(queue.slots) == "<Slots 2/2 held, 1 waiting>"


@pytest.mark.parametrize("count", [3000])
def test_many_waiting_tasks_cost_no_time_each(count: int):
    queue = Queue(running=1)
    for n in range(count):
        queue.ask(n)
    for n in range(count):
        queue.slots.release(TaskKey("s", n))
    assert queue.started == list(range(count))


def test_where_nobody_set_a_number_the_hosts_own_holds_and_grows_over_the_limit_over_all():
    now = 6
    started: list[int] = []
    slots = Slots(8, lambda origin: now)
    keys = [TaskKey("s", number) for number in range(30)]
    for number, key in enumerate(keys):
        slots.ask(
            key,
            ("a", "host"),
            limit=0,
            priority=0.5,
            start=lambda number=number: started.append(number),  # type: ignore[misc]
        )
    assert len(started) == 6
    now = 16
    slots.reconsider()
    assert len(started) == 16
    other = Slots(2, lambda origin: 16)
    for key in keys:
        other.ask(key, ("a", "host"), limit=0, priority=0.5, start=lambda: started.append(-1))
    assert started.count(-1) == 2, "a smaller number over all is somebody's wish"
    now = 3
    for key in keys[:13]:
        slots.release(key)
    assert started.count(-1) + 16 == len(started), "three hold one, and no more may"
    slots.release(keys[13])
    assert len(started) == 16 + 2 + 1


def test_a_task_has_more_connections_only_while_nobody_waits_for_them():
    queue, asked = Queue(), list[int]()
    key = queue.ask(1, limit=3)
    first = queue.slots.lend(key, limit=3, wanted_back=says_yes(asked, 0))
    second = queue.slots.lend(key, limit=3, wanted_back=says_yes(asked, 1))
    assert first is not None
    assert second is not None
    assert queue.slots.lend(key, limit=3, wanted_back=says_yes(asked, 2)) is None
    queue.ask(2, limit=3)
    assert (queue.started, asked) == ([1], [1])  # the newest is asked back
    queue.ask(3, limit=3)
    assert asked == [1]  # one after the other
    queue.slots.give_back(second)
    assert (queue.started, asked) == ([1, 2], [1, 0])
    queue.slots.give_back(second)  # a no-op
    assert queue.slots.lend(key, limit=3, wanted_back=lambda: True) is None
    queue.slots.give_back(first)
    assert queue.started == [1, 2, 3]


def test_one_that_cannot_be_given_back_does_not_stand_before_others():
    queue, asked = Queue(), list[int]()
    key = queue.ask(1, limit=3)
    first = queue.slots.lend(key, limit=3, wanted_back=says_yes(asked, 0))
    second = queue.slots.lend(key, limit=3, wanted_back=lambda: False)
    assert first is not None
    assert second is not None
    queue.ask(2, limit=3)
    assert (queue.started, asked) == ([1], [0])
    queue.slots.give_back(first)
    assert queue.started == [1, 2]


def test_lent_slots_count_against_their_host_alone():
    queue, asked = Queue(running=2), list[int]()
    key = queue.ask(1, limit=2)
    loan = queue.slots.lend(key, limit=2, wanted_back=says_yes(asked, 1))
    queue.ask(2, "b", limit=2)
    assert (queue.started, asked) == ([1, 2], [])
    assert queue.slots.lend(TaskKey("s", 9), limit=2, wanted_back=lambda: True) is None
    queue.slots.release(key)
    assert loan is not None
    queue.slots.give_back(loan)
    queue.ask(3, limit=2)
    assert queue.started == [1, 2, 3]


def test_a_connection_to_another_host_counts_there():
    queue, asked = Queue(), list[int]()
    key = queue.ask(1, limit=1)
    assert not queue.slots.may_lend(key, limit=1)
    assert queue.slots.may_lend(key, limit=1, origin="http://m")
    loan = queue.slots.lend(key, limit=1, wanted_back=says_yes(asked, 1), origin="http://m")
    assert loan is not None
    assert queue.slots.held_by(loan.group) == 1
    assert not queue.slots.may_lend(key, limit=1, origin="http://m")
    queue.slots.ask(
        TaskKey("s", 2),
        ("a", "http://m"),
        limit=1,
        priority=0.5,
        start=lambda: queue.started.append(2),
    )
    assert (queue.started, asked) == ([1], [1])
    queue.slots.give_back(loan)
    assert queue.started == [1, 2]
