"""Every command of the window in one table, the menus that they are in, and what can be done now.

Rule: the window makes one action of each row, and the menus, the toolbar and the tray share them.
"""

from __future__ import annotations

from collections.abc import Sequence

from transfermon.gui.window import (
    adding,
    background_commands,
    closing,
    settings_commands,
    task_commands,
    view_commands,
)
from transfermon.gui.window.command import ChosenTasks, Command
from transfermon.model.task import Task
from transfermon.model.translate import marked

COMMANDS: tuple[Command, ...] = (  # a menu has them in this order
    *adding.COMMANDS,
    *task_commands.COMMANDS,
    *closing.COMMANDS,
    *background_commands.COMMANDS,
    *view_commands.COMMANDS,
    *settings_commands.COMMANDS,
)
MENUS = {  # a menu's title, by what `Command.menu` calls it
    "Transfer": marked("&Transfer"),
    "Edit": marked("&Edit"),
    "Background": marked("&Background"),
    "View": marked("&View"),
    "Help": marked("&Help"),
}
BY_ID = {command.id: command for command in COMMANDS}

TOOLBAR: tuple[str, ...] = (
    "add",
    "upload",
    "",
    "resume",
    "pause",
    "cancel",
    "retry",
    "",
    "fetch",
    "push",
)
# Where there is little room these groups lose their words, the last first.
GIVING = (("fetch", "push"), ("upload",), ("resume", "pause", "cancel", "retry"))
TRAY: tuple[str, ...] = (
    "add",
    "upload",
    "",
    "pause_all",
    "resume_all",
    "",
    "fetch",
    "push",
    "channel",
    "",
    "settings",
    "quit",
)


def enabled(selected: Sequence[Task], shown: Sequence[Task]) -> dict[str, bool]:
    """Which commands about transfers can do something now, by id; the others always can. `shown` is
    looked at only while nothing is selected.
    """
    choice = ChosenTasks(selected, shown)
    return {command.id: command.can(choice) for command in COMMANDS if command.can is not None}
