"""The words for what a person is told of: transfers that ended together, or that something began by itself.

Rule: plain values in, plain values out. Who shows them, and where, is the business of the window or of the standby.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from transfermon import humanize
from transfermon.errors import Code
from transfermon.task import Task


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What to tell. `user_info` is JSON and comes back with the event."""

    title: str
    body: str
    user_info: Mapping[str, Any] = field(default_factory=dict)


def worth_telling(task: Task) -> bool:
    """Not what the person has cancelled."""
    return task.error is None or task.error.code != Code.CANCELLED


def name_of(task: Task) -> str:
    return humanize.clean(task.name or task.url.partition("?")[0].rpartition("/")[2] or task.url)


def notice_for(tasks: Sequence[Task], session: str) -> Notice:
    """The words for transfers that ended together. `tasks` is not empty."""
    failed = [task for task in tasks if task.error is not None]
    good = [task for task in tasks if task.error is None]
    shown = (failed or good)[0]
    info = {"task": str(shown.key), "count": len(tasks), "failed": len(failed)}
    if len(tasks) == 1:
        if shown.error is None:
            size = f", {humanize.size(shown.moved)}" if shown.moved > 0 else ""
            return Notice(title="Transfer finished", body=f"{name_of(shown)}{size}", user_info=info)
        return Notice(title="Transfer failed", body=f"{name_of(shown)}: {shown.error.message}", user_info=info)
    where = f" in {humanize.clean(session)}" if session else ""
    total = sum(task.moved for task in good)
    if not failed:
        body = f"{len(good)} files, {humanize.size(total)}{where}"
        return Notice(title="Transfers finished", body=body, user_info=info)
    if not good:
        return Notice(title="Transfers failed", body=f"{len(failed)} transfers failed{where}", user_info=info)
    body = f"The other {len(good)} finished{where}"
    return Notice(title=f"{len(failed)} of {len(tasks)} transfers failed", body=body, user_info=info)


def start_notice(tasks: Sequence[Task]) -> Notice:
    """The words for downloads that a push or fetch has started. `tasks` is not empty."""
    info = {"task": str(tasks[0].key), "count": len(tasks), "started": True}
    if len(tasks) == 1:
        return Notice(title="Background download started", body=name_of(tasks[0]), user_info=info)
    return Notice(title="Background downloads started", body=f"{len(tasks)} files", user_info=info)


def still_notice(tasks: int) -> Notice:
    """The words of an engine that has taken over without a window."""
    body = "1 transfer goes on without a window" if tasks == 1 else f"{tasks} transfers go on without a window"
    return Notice(title="Still transferring", body=body, user_info={"standby": True, "count": tasks})


def return_notice(tasks: Sequence[Task]) -> Notice:
    """The words for what ended while the app was away (N-04). `tasks` is not empty."""
    failed = [task for task in tasks if task.error is not None]
    shown, count = (failed or tasks)[0], len(tasks)
    info = {"task": str(shown.key), "count": count, "failed": len(failed)}
    transfers = "1 transfer" if count == 1 else f"{count} transfers"
    if failed:
        what = f"{transfers} failed" if len(failed) == count else f"{len(failed)} of {transfers} failed"
        return Notice(title="Welcome back", body=f"{what} while you were away", user_info=info)
    lost = humanize.size(sum(task.wasted for task in tasks))
    return Notice(title="Welcome back", body=f"{transfers} finished while you were away, {lost} lost", user_info=info)
