"""What the menu of selected tasks offers."""

from __future__ import annotations

from collections.abc import Sequence

from transfermon.gui.window.command import ChosenTasks, Command
from transfermon.gui.window.commands import COMMANDS
from transfermon.model.record import record
from transfermon.model.task import Task
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
    choice = ChosenTasks(tasks)
    items: list[MenuItem | None] = []
    for command in COMMANDS:
        if not command.of_tasks:
            continue
        if command.line:
            items.append(None)
        items.append(
            MenuItem(
                action=command.id,
                text=command.counted(len(tasks)) if command.counted else tr(command.of_tasks),
                icon=command.icon,
                enabled=_is_offered(command, choice),
                shortcut=command.keys,
                group=tr(command.group) if command.group else "",
                checked=command.chosen(choice) if command.chosen is not None else None,
            )
        )
    return items


def _is_offered(command: Command, choice: ChosenTasks) -> bool:
    asked = command.offered or command.can
    return asked is None or asked(choice)
