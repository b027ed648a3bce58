"""What it means for tasks that the network comes or goes, that the policy changes, or that a person
is there.
"""

from __future__ import annotations

from collections.abc import Collection

from transfermon.engine import obstacles, start_conditions
from transfermon.engine.task_run import TaskRun
from transfermon.model.task import Activity, State


def network_returned(runs: Collection[TaskRun]) -> None:
    """End the wait of every task that waits for the network, or for a failure that it may have
    caused (X-08).
    """
    for run in runs:
        offline = run.wait.held and run.record.activity is Activity.WAITING_FOR_CONNECTIVITY
        if (run.wait.curable or offline) and run.obstacle() is None:
            run.again()


def network_lost(runs: Collection[TaskRun]) -> None:
    """Let tasks wait that need the network; a transfer that could not go on where it stopped is
    left to its luck.
    """
    for run in runs:
        if (
            run.attempt is None
            or run.record.not_resumable
            or not obstacles.waits_for_connectivity(run.own)
        ):
            continue
        if not obstacles.is_online(run.record, run.own, run.engine):
            run.attempt.stop()
    reconsider(runs)


def came_to_front(runs: Collection[TaskRun]) -> None:
    """A person is there: the rate limiter holds nothing back any more (B-16)."""
    for run in runs:
        if run.wait.timed and run.record.waiting_reason == start_conditions.RATE_LIMITED:
            run.again()


def reconsider(runs: Collection[TaskRun]) -> None:
    """The network or the policy changed: who waits in the queue and who waits for them may change
    places.
    """
    for run in runs:
        if run.wait.held:
            if run.obstacle() is None:
                run.again()
        elif (
            run.record.state is State.RUNNING
            and run.record.activity is Activity.QUEUED
            and run.runner is None
        ):
            hold = run.obstacle()
            if hold is not None and run.engine.slots.withdraw(run.key):
                run.wait_for(hold)
