"""How the window is closed and the app quits, with the questions that belong to it.

Rule: one question at a time; nothing ends before it is answered. Once the context is `over`, the
window closes without a question.
"""

from __future__ import annotations

import asyncio
import contextlib

from transfermon.gui.dialogs.questions import ask
from transfermon.gui.window.command import Command
from transfermon.gui.window.context import WindowContext
from transfermon.model.record import record
from transfermon.model.translate import marked, tr

STOPPING = 5.0  # seconds that the end of all transfers may take
KEEP, STOP = marked("Keep transferring"), marked("Stop all transfers and quit")  # answers


@record
class Closing:
    """What the window's X does."""

    act: str  # "hide", "minimise", "quit", "ask"


def closing(close_to: str, tray: bool) -> Closing:
    """From the setting (`ask`, `tray`, `quit`) and whether a tray exists at this moment."""
    if close_to == "quit":
        return Closing(act="quit")
    if not tray:
        return Closing(act="minimise")
    return Closing(act="hide" if close_to == "tray" else "ask")


def quit_words(outstanding: int, after_quit: str = "ask") -> str:
    """What quitting does to the transfers that are not done, by the setting; "" when there are
    none.
    """
    if outstanding == 0:
        return ""
    if after_quit == "yes":
        return tr(
            "%n transfers go on in the background, without a window.",
            "1 transfer goes on in the background, without a window.",
            outstanding,
        )
    saved = tr(
        "%n transfers are saved and resume at the next start.",
        "1 transfer is saved and resumes at the next start.",
        outstanding,
    )
    if after_quit != "ask":
        return saved
    going = tr(
        "“{keep}” lets them go on now, without a window.",
        "“{keep}” lets it go on now, without a window.",
        outstanding,
    )
    return f"{saved} {going.format(keep=tr(KEEP))}"


def quit_answers(after_quit: str) -> list[str]:
    """In English; the first is the default, the last is what Escape means."""
    return [marked("Quit"), *([KEEP] if after_quit == "ask" else []), STOP, marked("Cancel")]


def hide_or_minimise(context: WindowContext) -> None:
    """Out of sight, as far as this desktop can."""
    if context.tray_available():
        context.window.hide()
    else:
        context.window.showMinimized()


def close_window(context: WindowContext) -> None:
    """The X was pressed."""
    close_to = context.monitor.settings.close_to if context.attached else "quit"
    act = closing(close_to, context.tray_available()).act
    if act == "ask":
        _ask_where_to_close(context)
    elif act == "quit":
        quit_app(context)
    else:
        hide_or_minimise(context)


def _ask_where_to_close(context: WindowContext) -> None:
    if context.asks_about_the_end:
        return

    def answered(answer: str, remember: bool) -> None:
        context.asks_about_the_end = False
        if answer == "Cancel":
            return
        keep = answer == "Keep in the tray"
        if remember:
            context.monitor.preferences.update(close_to="tray" if keep else "quit")
        if keep:
            hide_or_minimise(context)
        else:
            quit_app(context)

    context.asks_about_the_end = True
    ask(
        context.window,
        tr("Keep transferring in the tray?"),
        tr(
            "The window closes and the transfers go on. A click on the icon in the tray brings it back."
        ),
        [marked("Keep in the tray"), marked("Quit"), marked("Cancel")],
        answered,
        remember=tr("Remember my choice"),
    )


def quit_app(context: WindowContext) -> None:
    """Quit, after a question when transfers are not done."""
    if context.asks_about_the_end:
        return
    outstanding = (
        sum(task.outstanding for task in context.monitor.tasks()) if context.attached else 0
    )
    if not outstanding:
        _quit_now(context)
        return
    after_quit = context.monitor.settings.keep_after_quit

    def answered(answer: str, remember: bool) -> None:
        context.asks_about_the_end = False
        if answer == "Cancel":
            return
        if remember and answer != STOP:
            with contextlib.suppress(OSError):  # it holds for this quit all the same
                context.monitor.preferences.update(
                    keep_after_quit="yes" if answer == KEEP else "no"
                )
        context.monitor.keep_going = answer == KEEP
        if answer == STOP:
            context.spawn(_stop_and_quit(context), "stopping all transfers")
        else:
            _quit_now(context)

    context.asks_about_the_end = True
    ask(
        context.window,
        tr("Quit Transfermon?"),
        quit_words(outstanding, after_quit),
        quit_answers(after_quit),
        answered,
        remember=tr("Remember my choice") if after_quit == "ask" else "",
    )


async def _stop_and_quit(context: WindowContext) -> None:
    with contextlib.suppress(TimeoutError):  # one that hangs ends with the app
        async with asyncio.timeout(STOPPING):
            await context.monitor.stop_transfers()
    _quit_now(context)


def _quit_now(context: WindowContext) -> None:
    context.over = True
    context.quit_wanted.emit()


COMMANDS = (
    Command(id="close", run=hide_or_minimise, text=marked("Close the &window"), menu="Transfer/", keys="Ctrl+W"),
    Command(id="quit", run=quit_app, text=marked("&Quit"), menu="Transfer", icon="log-out", keys="Ctrl+Q"),
)  # fmt: skip
