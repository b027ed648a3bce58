"""What the menu of selected tasks offers."""

from __future__ import annotations

from collections.abc import Sequence

from transfermon.gui.window.enabling import PRIORITIES, queued
from transfermon.model.record import record
from transfermon.model.task import Action, Task
from transfermon.model.translate import tr


@record
class MenuItem:
    action: str
    text: str
    icon: str = ""
    enabled: bool = True
    shortcut: str = ""
    group: str = ""  # the menu inside the menu that it is in
    checked: bool | None = None  # None: it has no mark


def menu_for(tasks: Sequence[Task]) -> list[MenuItem | None]:
    """What the menu of these tasks offers; None is a line between groups."""
    if not tasks:
        return []

    def item(
        name: str, text: str, icon: str, shortcut: str = "", *, enabled: bool = True
    ) -> MenuItem:
        return MenuItem(action=name, text=text, icon=icon, shortcut=shortcut, enabled=enabled)

    def can(action: Action) -> bool:
        return any(task.can(action) for task in tasks)

    def priority(name: str, text: str, icon: str) -> MenuItem:
        present = {
            min(PRIORITIES, key=lambda name: abs(PRIORITIES[name] - task.priority))
            for task in tasks
        }
        checked, enabled = present == {name}, can(Action.CANCEL)
        return MenuItem(
            action=name,
            text=text,
            icon=icon,
            enabled=enabled,
            group=tr("Priority"),
            checked=checked,
        )

    def queue(name: str, text: str, icon: str) -> MenuItem:
        waits = any(queued(task) for task in tasks)
        return MenuItem(action=name, text=text, icon=icon, enabled=waits, group=tr("Move in queue"))

    one = tasks[0] if len(tasks) == 1 else None
    return [
        item(
            "open", tr("Open"), "external-link", "Return", enabled=one is not None and one.succeeded
        ),
        item(
            "show_in_folder",
            tr("Show in folder"),
            "folder-open",
            "Ctrl+Return",
            enabled=one is not None,
        ),
        None,
        item("resume", tr("Resume"), "play", enabled=can(Action.RESUME)),
        item("pause", tr("Pause"), "pause", enabled=can(Action.SUSPEND)),
        item("cancel", tr("Cancel"), "x", enabled=can(Action.CANCEL)),
        item("retry", tr("Retry"), "rotate-cw", enabled=can(Action.RETRY)),
        item(
            "retry_url",
            tr("Retry with a new URL…"),
            "rotate-cw",
            enabled=one is not None and can(Action.RETRY),
        ),
        None,
        item("copy_url", tr("Copy %n URLs", "Copy URL", len(tasks)), "copy", "Ctrl+C"),
        item("copy_curl", tr("Copy as curl"), "terminal"),
        item("copy_events", tr("Copy events"), "copy", enabled=one is not None),
        None,
        priority("priority_high", tr("High"), "circle-arrow-up"),
        priority("priority_normal", tr("Normal"), "clock"),
        priority("priority_low", tr("Low"), "circle-arrow-down"),
        queue("queue_first", tr("To the front"), "circle-arrow-up"),
        queue("queue_last", tr("To the back"), "circle-arrow-down"),
        item(
            "verify",
            tr("Verify checksum…"),
            "circle-check",
            enabled=one is not None and one.succeeded,
        ),
        item("speed_limit", tr("Speed limit…"), "sliders-horizontal", enabled=can(Action.CANCEL)),
        None,
        item("remove", tr("Remove from list"), "list-x", "Del", enabled=can(Action.REMOVE)),
        item(
            "remove_and_delete",
            tr("Remove and delete file…"),
            "trash-2",
            "Shift+Del",
            enabled=can(Action.REMOVE),
        ),
        None,
        item("details", tr("Details"), "info", "Ctrl+I", enabled=one is not None),
    ]
