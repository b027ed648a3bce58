"""How often a task has failed since it last got on, and how long it waits for its next attempt."""

from __future__ import annotations

from collections.abc import Callable

from transfermon.engine import obstacles
from transfermon.http import retry
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.errors import Retry, TransferError
from transfermon.model.task import Kind, Task, changed


class TaskFailures:
    """Of one task, until it ends."""

    __slots__ = ("_count", "_stored", "restarted")

    def __init__(self) -> None:
        self._count = 0  # failures in a row
        self._stored = 0  # bytes at the last one
        self.restarted = False  # because of an answer that could not be combined: once

    def next_delay(
        self,
        task: Task,
        error: TransferError,
        own: SessionConfiguration,
        random: Callable[[], float],
    ) -> float | None:
        """Seconds until the next attempt, or None for the end. Counts the failure."""
        policy, waits = own.retry_policy, error.retry is Retry.WAIT
        if not own.is_background and not (waits and obstacles.waits_for_connectivity(own)):
            return None  # default sessions do not retry by themselves
        if error.retry is Retry.RESTART:
            if self.restarted:
                return None
            self.restarted = True
        if task.kind is Kind.DOWNLOAD and task.received - self._stored >= policy.reset_bytes:
            self._count = 0
        self._stored = task.received
        failures = self._count + 1
        if not waits or task.maximum_attempts:
            self._count = failures
        if task.maximum_attempts:
            policy = changed(policy, attempts=task.maximum_attempts)
            if failures >= task.maximum_attempts:
                return None
        return retry.next_delay(failures, policy, error, random)
