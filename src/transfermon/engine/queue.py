"""Who may run now: so many tasks over all, so many connections per session and host, the important
ones first.

Rule: a waiting task costs an entry in a heap, not a coroutine; granting one costs the same whether
ten wait or ten thousand.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
from collections.abc import Callable, Collection

from transfermon.engine.host_pace import USUAL
from transfermon.model.record import mutable
from transfermon.model.task import TaskKey

Group = tuple[str, str]  # session, and origin as scheme://host:port
MOST_SLOW = 16  # slow transfers that do not count against the limit over all


@mutable
class Loan:
    """A slot for one more connection of a task that holds one."""

    group: Group
    wanted_back: Callable[[], bool]  # a task waits for it: whether it will be given back
    asked_back: bool = False


@mutable
class _Waiter:
    key: TaskKey
    group: Group
    priority: float
    order: int
    limit: int
    start: Callable[[], None]
    gone: bool = False

    def __lt__(self, other: _Waiter) -> bool:
        return (-self.priority, self.order) < (-other.priority, other.order)


class Slots:
    """One for the whole engine. Calls back `start` at once, or later from `release`."""

    def __init__(
        self, running: int, automatic: Callable[[str], int] = lambda origin: USUAL
    ) -> None:
        self._running = running
        self._automatic = automatic  # an origin's number where nobody set one
        self._closed = False
        self._held: dict[TaskKey, Group] = {}
        self._slow: set[TaskKey] = set()  # of the held ones
        self._per_group: dict[Group, int] = {}
        # of those whose number nobody set, how many hold one
        self._unset: dict[Group, int] = {}
        self._loans: dict[Group, list[Loan]] = {}
        self._queues: dict[Group, list[_Waiter]] = {}
        self._waiting: dict[TaskKey, _Waiter] = {}
        self._order = itertools.count()
        self._before = itertools.count(-1, -1)

    def __repr__(self) -> str:
        return f"<Slots {len(self._held)}/{self._running} held, {len(self._waiting)} waiting>"

    def set_running(self, running: int) -> None:
        """Change the limit over all; running tasks go on, more start at once where it grew."""
        self._running = running
        self._grant()

    def set_slow(self, keys: Collection[TaskKey]) -> None:
        """These are so slow that others may run beside them, over the limit; all others count
        again. They go on counting against the connections to their host.
        """
        self._slow = self._held.keys() & set(keys)
        self._grant()

    def close(self, *, closed: bool = True) -> None:
        """Grant nothing until it is opened again: nothing can be stored now (F3)."""
        self._closed = closed
        self._grant()

    def ask(
        self, key: TaskKey, group: Group, *, limit: int, priority: float, start: Callable[[], None]
    ) -> None:
        """Wait for a slot; `limit` is the session's number of connections to one host (T-12), and
        0 the one that turns out to be right. What is above the usual number then, small files that
        come quickly, does not count against the limit over all.
        """
        waiter = _Waiter(
            key=key,
            group=group,
            priority=priority,
            order=next(self._order),
            limit=limit,
            start=start,
        )
        self._put(waiter)
        self._grant()

    def _put(self, waiter: _Waiter) -> None:
        self.withdraw(waiter.key)
        self._waiting[waiter.key] = waiter
        heapq.heappush(self._queues.setdefault(waiter.group, []), waiter)

    def withdraw(self, key: TaskKey) -> bool:
        """Wait no longer. False when it did not wait."""
        waiter = self._waiting.pop(key, None)
        if waiter is None:
            return False
        waiter.gone = True  # the heap drops it when it comes to the top
        waiter.start = _nothing  # and must not keep a session alive until then (S-15)
        return True

    def release(self, key: TaskKey) -> None:
        """Give the slot back; a no-op for one that holds none."""
        self._slow.discard(key)
        group = self._held.pop(key, None)
        if group is None:
            return
        left = self._per_group[group] - 1
        for counts in (self._per_group, self._unset):
            if not left:
                counts.pop(group, None)
            elif group in counts:
                counts[group] = left
        self._grant()

    def may_lend(self, key: TaskKey, *, limit: int, origin: str = "") -> bool:
        """Whether `lend` would give a slot now."""
        group = self._lender(key, origin)
        return (
            group is not None
            and not self._closed
            and self.held_by(group) < (limit or self._automatic(group[1]))
            and (group not in self._queues or self._head(group) is None)
        )

    def _lender(self, key: TaskKey, origin: str) -> Group | None:
        held = self._held.get(key)
        return None if held is None else (held[0], origin or held[1])

    def lend(
        self, key: TaskKey, *, limit: int, wanted_back: Callable[[], bool], origin: str = ""
    ) -> Loan | None:
        """A slot for one more connection of a task, where one of its host is free and nobody waits
        for it; `limit` as for `ask`. It counts against the connections to the host alone. `origin`
        is that of another host, scheme://host:port, that the task has a connection to, too.

        `wanted_back` is called when a task waits for it: where it says True it is to be given back
        soon; else another one is asked for.
        """
        group = self._lender(key, origin)
        if group is None or not self.may_lend(key, limit=limit, origin=origin):
            return None
        loan = Loan(group=group, wanted_back=wanted_back)
        self._loans.setdefault(group, []).append(loan)
        return loan

    def give_back(self, loan: Loan) -> None:
        """A no-op for one that was given back."""
        loans = self._loans.get(loan.group, [])
        if loan not in loans:
            return
        loans.remove(loan)
        if not loans:
            del self._loans[loan.group]
        self._grant()

    def reprioritise(self, key: TaskKey, priority: float) -> None:
        """T-09: the priority may change at any time and decides among those that wait for the same
        host.
        """
        waiter = self._waiting.get(key)
        if waiter is not None:
            # among equals it keeps its place
            self._put(dataclasses.replace(waiter, priority=priority))

    def move(self, key: TaskKey, *, first: bool) -> None:
        """Go before or behind all others that wait and are as important; a no-op for one that does
        not wait.
        """
        waiter = self._waiting.get(key)
        if waiter is not None:
            self._put(
                dataclasses.replace(waiter, order=next(self._before if first else self._order))
            )

    def held_by(self, group: Group) -> int:
        """How many connections a session has to a host."""
        return self._per_group.get(group, 0) + len(self._loans.get(group, ()))

    def reconsider(self) -> None:
        """A number of connections that nobody set may have grown."""
        self._grant()

    @property
    def _counted(self) -> int:
        beyond = sum(max(0, held - USUAL) for held in self._unset.values())
        return len(self._held) - min(len(self._slow), MOST_SLOW) - beyond

    def _limit(self, waiter: _Waiter) -> int:
        return waiter.limit or self._automatic(waiter.group[1])

    def _grant(self) -> None:
        while not self._closed and self._counted < self._running:
            best: _Waiter | None = None
            for group in list(self._queues):
                head = self._head(group)
                if head is None:
                    continue
                if self.held_by(group) >= self._limit(head):
                    self._ask_back(group)
                elif best is None or head < best:
                    best = head
            if best is None:
                return
            heapq.heappop(self._queues[best.group])
            del self._waiting[best.key]
            self._held[best.key] = best.group
            held = self._per_group[best.group] = self._per_group.get(best.group, 0) + 1
            if not best.limit:
                self._unset[best.group] = held
            best.start()

    def _ask_back(self, group: Group) -> None:
        """One at a time: each task that waits needs one."""
        loans = self._loans.get(group, [])
        if any(loan.asked_back for loan in loans):
            return
        for loan in reversed(loans):
            if loan.wanted_back():
                loan.asked_back = True
                return

    def _head(self, group: Group) -> _Waiter | None:
        queue = self._queues[group]
        while queue and queue[0].gone:
            heapq.heappop(queue)
        if not queue:
            del self._queues[group]
            return None
        return queue[0]


def _nothing() -> None:
    pass
