"""A command of the window, given as a click gives it."""

from __future__ import annotations

from transfermon.gui.window.commands import BY_ID
from transfermon.gui.window.main_window import MainWindow


def give_command(window: MainWindow, name: str) -> None:
    """Whether its action is enabled or not."""
    BY_ID[name].run(window.context)
