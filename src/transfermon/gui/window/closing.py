"""How the window is closed and the app quits, with the questions that belong to it.

Rule: one question at a time; nothing ends before it is answered.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import SignalInstance
from PySide6.QtWidgets import QWidget

from transfermon.gui.dialogs.questions import ask
from transfermon.gui.window.commands import KEEP, STOP, closing, quit_answers, quit_words
from transfermon.model.translate import marked, tr

if TYPE_CHECKING:  # the monitor brings httpx, which loads after the window shows
    from transfermon.engine.monitor import Monitor

STOPPING = 5.0  # seconds that the end of all transfers may take


class Host(Protocol):
    """What the window does for it."""

    @property
    def monitor(self) -> Monitor: ...
    @property
    def attached(self) -> bool: ...
    @property
    def quit_wanted(self) -> SignalInstance: ...
    def spawn(self, work: object, name: str) -> None: ...
    def hide_or_minimise(self) -> None: ...


class Ending:
    """Of one window. Once it is `over`, the window closes without a question."""

    def __init__(self, parent: QWidget, window: Host) -> None:
        """`parent` is the window as Qt knows it."""
        self._parent = parent
        self._window = window
        self._asking = False
        self.over = False

    def __repr__(self) -> str:
        return f"<Ending over={self.over} asking={self._asking}>"

    def close(self, *, tray: bool) -> None:
        """The X was pressed. `tray`: whether there is one now."""
        close_to = self._window.monitor.settings.close_to if self._window.attached else "quit"
        act = closing(close_to, tray).act
        if act == "ask":
            self._ask_where_to_close()
        elif act == "quit":
            self.quit()
        else:
            self._window.hide_or_minimise()

    def _ask_where_to_close(self) -> None:
        if self._asking:
            return

        def answered(answer: str, remember: bool) -> None:
            self._asking = False
            if answer == "Cancel":
                return
            keep = answer == "Keep in the tray"
            if remember:
                self._window.monitor.update_settings(close_to="tray" if keep else "quit")
            if keep:
                self._window.hide_or_minimise()
            else:
                self.quit()

        self._asking = True
        ask(
            self._parent,
            tr("Keep transferring in the tray?"),
            tr("The window closes and the transfers go on. A click on the icon in the tray brings it back."),
            [marked("Keep in the tray"), marked("Quit"), marked("Cancel")],
            answered,
            remember=tr("Remember my choice"),
        )

    def quit(self) -> None:
        """Quit, after a question when transfers are not done."""
        if self._asking:
            return
        outstanding = sum(task.outstanding for task in self._window.monitor.tasks()) if self._window.attached else 0
        if not outstanding:
            self._quit()
            return
        after_quit = self._window.monitor.settings.keep_after_quit

        def answered(answer: str, remember: bool) -> None:
            self._asking = False
            if answer == "Cancel":
                return
            if remember and answer != STOP:
                with contextlib.suppress(OSError):  # it holds for this quit all the same
                    self._window.monitor.update_settings(keep_after_quit="yes" if answer == KEEP else "no")
            self._window.monitor.keep_going = answer == KEEP
            if answer == STOP:
                self._window.spawn(self._stop_and_quit(), "stopping all transfers")
            else:
                self._quit()

        self._asking = True
        ask(
            self._parent,
            tr("Quit Transfermon?"),
            quit_words(outstanding, after_quit),
            quit_answers(after_quit),
            answered,
            remember=tr("Remember my choice") if after_quit == "ask" else "",
        )

    async def _stop_and_quit(self) -> None:
        with contextlib.suppress(TimeoutError):  # one that hangs ends with the app
            async with asyncio.timeout(STOPPING):
                await self._window.monitor.stop_transfers()
        self._quit()

    def _quit(self) -> None:
        self.over = True
        self._window.quit_wanted.emit()
