"""The words for what a person is told of: transfers that ended together, or that something began by
itself.

Rule: plain values in, plain values out. Who shows them, and where, is the business of the window or
of the standby.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from transfermon.model import units
from transfermon.model.errors import Code
from transfermon.model.record import record
from transfermon.model.task import Task
from transfermon.model.translate import tr


@record
class BannerText:
    """What to tell. `user_info` is JSON and comes back with the event."""

    title: str
    body: str
    user_info: Mapping[str, Any] = field(default_factory=dict)


def discreet(title: str, body: str, user_info: Mapping[str, Any]) -> tuple[str, str]:
    """The same without what a stranger may not read on a locked screen: our own titles only count
    (T7).
    """
    if isinstance(user_info.get("count"), int):
        return title or tr("Transfers finished"), ""
    return "Transfermon", tr("There is news.")


def worth_telling(task: Task) -> bool:
    """Not what the person has cancelled."""
    return task.error is None or task.error.code != Code.CANCELLED


def name_of(task: Task) -> str:
    return units.clean(task.name or task.url.partition("?")[0].rpartition("/")[2] or task.url)


def notice_for(tasks: Sequence[Task], session: str) -> BannerText:
    """The words for transfers that ended together. `tasks` is not empty."""
    failed = [task for task in tasks if task.error is not None]
    good = [task for task in tasks if task.error is None]
    shown = (failed or good)[0]
    info = {"task": str(shown.key), "count": len(tasks), "failed": len(failed)}
    if len(tasks) == 1:
        if shown.error is None:
            size = f", {units.size(shown.moved)}" if shown.moved > 0 else ""
            size = f": {shown.instead}" if shown.instead else size
            return BannerText(
                title=tr("Transfer finished"), body=f"{name_of(shown)}{size}", user_info=info
            )
        return BannerText(
            title=tr("Transfer failed"),
            body=f"{name_of(shown)}: {shown.error.message}",
            user_info=info,
        )
    size = units.size(sum(task.moved for task in good))
    if not failed:
        body = tr("%n files, {size}", "1 file, {size}", len(good)).format(size=size)
        return BannerText(
            title=tr("Transfers finished"), body=_in_session(body, session), user_info=info
        )
    if not good:
        body = tr("%n transfers failed", "1 transfer failed", len(failed))
        return BannerText(
            title=tr("Transfers failed"), body=_in_session(body, session), user_info=info
        )
    title = tr("{failed} of {all} transfers failed").format(failed=len(failed), all=len(tasks))
    body = tr("The other %n finished", "The other 1 finished", len(good))
    return BannerText(title=title, body=_in_session(body, session), user_info=info)


def _in_session(body: str, session: str) -> str:
    return (
        tr("{what} in {session}").format(what=body, session=units.clean(session))
        if session
        else body
    )


def start_notice(tasks: Sequence[Task]) -> BannerText:
    """The words for downloads that a push or fetch has started. `tasks` is not empty."""
    info = {"task": str(tasks[0].key), "count": len(tasks), "started": True}
    if len(tasks) == 1:
        return BannerText(
            title=tr("Background download started"), body=name_of(tasks[0]), user_info=info
        )
    return BannerText(
        title=tr("Background downloads started"),
        body=tr("%n files", "1 file", len(tasks)),
        user_info=info,
    )


def still_notice(tasks: int) -> BannerText:
    """The words of an engine that has taken over without a window."""
    body = tr("%n transfers go on without a window", "1 transfer goes on without a window", tasks)
    return BannerText(
        title=tr("Still transferring"), body=body, user_info={"standby": True, "count": tasks}
    )


def return_notice(tasks: Sequence[Task]) -> BannerText:
    """The words for what ended while the app was away (N-04). `tasks` is not empty."""
    failed = [task for task in tasks if task.error is not None]
    shown, count = (failed or tasks)[0], len(tasks)
    info = {"task": str(shown.key), "count": count, "failed": len(failed)}
    if failed and len(failed) == count:
        body = tr(
            "%n transfers failed while you were away",
            "1 transfer failed while you were away",
            count,
        )
    elif failed:
        body = tr("{failed} of %n transfers failed while you were away", "", count).format(
            failed=len(failed)
        )
    else:
        body = tr(
            "%n transfers finished while you were away, {size} lost",
            "1 transfer finished while you were away, {size} lost",
            count,
        ).format(size=units.size(sum(task.wasted for task in tasks)))
    return BannerText(title=tr("Welcome back"), body=body, user_info=info)
