"""Commands that turn the window to something, and say what it is."""

from __future__ import annotations

from PySide6.QtCore import Qt

from transfermon.gui.dialogs.questions import tell
from transfermon.gui.list.scope import Scope
from transfermon.gui.window.context import WindowContext
from transfermon.model.translate import tr


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
