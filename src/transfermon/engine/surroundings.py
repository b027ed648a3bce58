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
        if offline:
            _go_on_or_say(run)
        elif run.wait.curable and run.obstacle() is None:
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


def policy_changed(runs: Collection[TaskRun]) -> None:
    """Let those go of a metered network that must not use it, also where that starts them over:
    unlike a network that is gone it would not end the transfer. What may use it goes on.
    """
    for run in runs:
        if run.attempt is not None and obstacles.is_unwanted(run.record, run.own, run.engine):
            run.attempt.stop()
    reconsider(runs)


def reconsider(runs: Collection[TaskRun]) -> None:
    """The network or the policy changed: who waits in the queue and who waits for them may change
    places, and what is waited for may be another thing.
    """
    for run in runs:
        if run.wait.held:
            _go_on_or_say(run)
        elif (
            run.record.state is State.RUNNING
            and run.record.activity is Activity.QUEUED
            and run.runner is None
        ):
            hold = run.obstacle()
            if hold is not None and run.engine.slots.withdraw(run.key):
                run.wait_for(hold)


def _go_on_or_say(run: TaskRun) -> None:
    """For one that was held: nothing holds it any more, or what does is said."""
    hold = run.obstacle()
    if hold is None:
        run.again()
    elif hold.reason != run.record.waiting_reason:
        run.wait_for(hold)
