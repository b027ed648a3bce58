"""Commands that turn the window to something, and say what it is."""

from __future__ import annotations

from PySide6.QtCore import Qt

from transfermon.gui.dialogs.questions import tell
from transfermon.gui.list.scope import Scope
from transfermon.gui.window.command import Command
from transfermon.gui.window.context import WindowContext
from transfermon.model.translate import marked, tr


def find(context: WindowContext) -> None:
    context.panels.words.setFocus(Qt.FocusReason.ShortcutFocusReason)
    context.panels.words.selectAll()


def show_details(context: WindowContext) -> None:
    context.panels.turn_to(context.panels.details)


def show_events(context: WindowContext) -> None:
    context.panels.turn_to(context.panels.events)


def show_background(context: WindowContext) -> None:
    context.panels.turn_to(context.panels.wakes)
    context.panels.wakes.table.setFocus()


def show_videofarm(context: WindowContext) -> None:
    context.panels.sidebar.select(Scope(kind="videofarm"))


def show_about(context: WindowContext) -> None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("transfermon")
    except PackageNotFoundError:
        number = tr("(not installed)")
    tell(
        context.window,
        tr("Transfermon {number}").format(number=number),
        tr("Background transfers that survive a closed window, a crash and a reboot."),
    )


COMMANDS = (
    Command(id="find", run=find, text=marked("&Filter"), menu="Edit/", icon="search", keys="Ctrl+F"),
    Command(id="details", run=show_details, text=marked("&Details"), menu="View", icon="info", keys="Ctrl+I", offered=lambda choice: choice.one is not None, of_tasks=marked("Details"), line=True),
    Command(id="events", run=show_events, text=marked("&Events"), menu="View", icon="list", keys="Ctrl+E"),
    Command(id="background", run=show_background, text=marked("&Background"), menu="View", icon="activity", keys="Ctrl+B", tip=marked("Fetches and pushes, and what was said to them")),
    Command(id="videofarm", run=show_videofarm, text=marked("&VideoFarm"), menu="View", icon="video", keys="Ctrl+Shift+V", tip=marked("Browse the videos of a VideoFarm server")),
    Command(id="about", run=show_about, text=marked("&About Transfermon"), menu="Help"),
)  # fmt: skip
