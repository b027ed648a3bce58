"""What the sidebar can choose: all transfers, one group of them, or one session.

Rule: every task is in exactly one group, so the counts of the groups add up.
"""

from __future__ import annotations

from transfermon.model.errors import Code
from transfermon.model.record import record
from transfermon.model.tally import Fate, fate_of
from transfermon.model.task import Activity, State, Task

ACTIVE, WAITING, FINISHED, FAILED = "active", "waiting", "finished", "failed"
GROUPS = (ACTIVE, WAITING, FINISHED, FAILED)
GROUP_OF = {
    Fate.RUNNING: ACTIVE,
    Fate.ENDING: ACTIVE,
    Fate.QUEUED: WAITING,
    Fate.WAITING: WAITING,
    Fate.PAUSED: WAITING,
    Fate.FINISHED: FINISHED,
    Fate.CANCELLED: FINISHED,
    Fate.FAILED: FAILED,
}


@record
class Scope:
    """`kind` is "all", one of `GROUPS`, "session" with the session's key, or "videofarm": a page of
    its own.
    """

    kind: str = "all"
    session: str = ""

    def holds(self, task: Task) -> bool:
        if self.kind == "all":
            return True
        if self.kind == "session":
            return task.session == self.session
        return group_of(task) == self.kind


def cancelled(task: Task) -> bool:
    return task.error is not None and task.error.code == Code.CANCELLED


def group_of(task: Task) -> str:
    """One of `GROUPS`. Waiting is everything that has not ended and does not move now; a cancelled
    task has ended as its owner wished and is finished, not failed.
    """
    return GROUP_OF[fate_of(task)]


# The look of a task: the name of its state, with an icon and a colour role for each. Never the
# colour alone.
LOOKS: dict[str, tuple[str, str]] = {
    "running": ("circle-arrow-down", "accent"),
    "queued": ("clock", "muted"),
    "waiting": ("hourglass", "warn"),
    "paused": ("circle-pause", "warn"),
    "cancelled": ("ban", "muted"),
    "done": ("circle-check", "good"),
    "unsure": ("info", "warn"),  # ended without a failure, and nobody knows that the server has it
    "failed": ("circle-x", "bad"),
}


def look_of(task: Task) -> str:
    """One of the names in `LOOKS`; also the words that `state:` finds."""
    if task.state is State.COMPLETED:
        if task.error is None:
            return "unsure" if task.unconfirmed else "done"
        return "cancelled" if cancelled(task) else "failed"
    if task.state is State.CANCELING:
        return "cancelled"
    if task.state is State.SUSPENDED:
        return "paused"
    if task.waiting:
        return "waiting"
    return "queued" if task.activity in (Activity.QUEUED, Activity.NONE) else "running"
