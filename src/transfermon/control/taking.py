"""Orders taken: each becomes a task of this engine, or goes on with the unfinished one that it means.

Rule: whoever asks, a program over the control socket or the command whose own process is the
engine, asks here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, NamedTuple

from transfermon.control.orders import Order, OrderRefused, same_task
from transfermon.http import public_suffixes
from transfermon.model.task import Kind, State, Task, TaskKey

if TYPE_CHECKING:  # handed in
    from transfermon.engine.monitor import Monitor


class TakenOrder(NamedTuple):
    """The task that an order has become."""

    key: TaskKey
    sequence: int  # events after it tell all that happens to the task
    accepted: Awaitable[None] | None  # done when it is durable; None: it was there before


class OrderTaker:
    """The one of an engine. `started`: restored tasks run by themselves; else they wait until
    somebody names them.
    """

    def __init__(self, monitor: Monitor, *, started: bool) -> None:
        self._monitor = monitor
        self._started = started
        self._named: set[TaskKey] = set()

    def __repr__(self) -> str:
        return f"<OrderTaker, {len(self._named)} tasks named>"

    def is_at_rest(self, key: TaskKey) -> bool:
        """Whether it is a restored task that nothing has gone on with."""
        return not self._started and key not in self._named

    def name(self, key: TaskKey) -> None:
        """Somebody has asked for something of that task."""
        self._named.add(key)

    async def take(self, order: Order) -> TakenOrder:
        """A new download, or with `join` the unfinished one of the same address to the same place.

        Raises OrderRefused, ValueError, InvalidAction and TransferFailure, all of which
        `orders.refusal_of` answers.
        """
        if reason := self._monitor.overview.frozen_reason:
            raise OrderRefused(503, "No transfer can be added now.", reason)
        sequence, new = self._monitor.sequence, order.new
        if new.cookies:
            await asyncio.to_thread(public_suffixes.load)
        if new.kind is Kind.UPLOAD and not order.file:
            raise ValueError("An upload needs a “file”, an absolute path.")
        if order.join:
            there = self._monitor.overview.tasks_of(order.session, order.bare_url)
            if there and (found := same_task(there, order)) is not None:
                self._join(found, order)
                return TakenOrder(found.key, sequence, None)
        task = self._monitor.session(order.session).add(new)
        self._named.add(task.key)
        return TakenOrder(task.key, sequence, task.accepted)

    def _join(self, found: Task, order: Order) -> None:
        new = order.new
        self._monitor.commands.adjust(
            found.key,
            speed_limit=new.speed_limit,
            maximum_attempts=new.maximum_attempts,
            request_headers=self._monitor.logins.with_login(found.key, order.all_headers),
            options=new.options,
            cookies=new.cookies,
            method=order.method,
            protocol=new.protocol,
        )
        self._go_on(found)
        self._named.add(found.key)

    def _go_on(self, task: Task) -> None:
        if task.failed:
            self._monitor.commands.retry(task.key)
        for _ in range(max(1, task.suspend_count) if task.state is State.SUSPENDED else 0):
            self._monitor.commands.resume(task.key)
        if task.state is State.RUNNING and self.is_at_rest(task.key):
            self._monitor.run_only([task.key])
