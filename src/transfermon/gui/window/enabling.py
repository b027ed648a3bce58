"""What the commands about transfers can do now.

Rule: plain functions on tasks, no Qt; the table that moves a task is asked, so nothing is offered
that it refuses.
"""

from __future__ import annotations

from collections.abc import Sequence

from transfermon.model.task import Action, Activity, State, Task

_ACTIONS = {
    "resume": Action.RESUME,
    "pause": Action.SUSPEND,
    "cancel": Action.CANCEL,
    "retry": Action.RETRY,
    "remove": Action.REMOVE,
    "remove_and_delete": Action.REMOVE,
}
PRIORITIES = {"priority_high": 0.75, "priority_normal": 0.5, "priority_low": 0.25}
# with nothing selected they mean all that are shown
_ON_SHOWN = frozenset({"resume", "pause", "retry"})


def enabled(selected: Sequence[Task], shown: Sequence[Task]) -> dict[str, bool]:
    """Which commands about transfers can do something now, by id; the others always can. `shown` is
    looked at only while nothing is selected.
    """
    mine = _samples(selected)
    over = mine if selected else _samples(shown)
    out: dict[str, bool] = {}
    for name, action in _ACTIONS.items():
        out[name] = any(task.can(action) for task in (over if name in _ON_SHOWN else mine))
    out["toggle"] = bool(selected) and (out["pause"] or out["resume"])
    for name in (*PRIORITIES, "speed_limit"):  # for what is still to come
        out[name] = out["cancel"]
    out["queue_first"] = out["queue_last"] = any(queued(task) for task in selected)
    out["verify"] = len(selected) == 1 and selected[0].succeeded
    out["copy_events"] = len(selected) == 1
    out["open"] = len(selected) == 1
    out["retry_url"] = len(selected) == 1 and out["retry"]
    out["show_in_folder"] = len(selected) == 1
    out["copy_url"] = out["copy_curl"] = bool(selected)
    out["select_all"] = bool(selected or shown)
    return out


def queued(task: Task) -> bool:
    """Whether it waits for its turn, and can have another one."""
    return task.state is State.RUNNING and task.activity is Activity.QUEUED


def _samples(tasks: Sequence[Task]) -> list[Task]:
    """One of each kind that `Task.can` tells apart: ten thousand tasks are asked as quickly as
    five.
    """
    return list({(id(task.state), task.error is None): task for task in tasks}.values())


def toggled(selected: Sequence[Task]) -> Action:
    """What Space means: pause while anything of it runs, else resume."""
    return Action.SUSPEND if any(task.can(Action.SUSPEND) for task in selected) else Action.RESUME
