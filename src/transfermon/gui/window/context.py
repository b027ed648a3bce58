"""What the commands of one window work with.

Rule: it knows the monitor and the panels, and no command; a command is a function that gets it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QDialog, QMainWindow

from transfermon.gui.list.scope import Scope
from transfermon.gui.toolkit.toasts import Toast
from transfermon.gui.window.layout import Panels
from transfermon.model.task import Task, TaskKey
from transfermon.system.runners import Runners

if TYPE_CHECKING:  # the monitor brings the engine, which loads after the window shows
    from transfermon.engine.monitor import Monitor

REFRESH_MS = 250
DEFAULT_SESSION = "downloads"


class WindowContext(QObject):
    """Its monitor, its panels, what is selected in them, and what was asked and is not answered.

    `quit_wanted` is emitted when the person wants to quit and was asked; the transfers are then
    stopped by whoever ends the app.
    """

    quit_wanted = Signal()
    settings_changed = Signal()
    refresh_due = Signal()

    def __init__(
        self,
        window: QMainWindow,
        panels: Panels,
        *,
        state_dir: str,
        tray_available: Callable[[], bool],
    ) -> None:
        super().__init__(window)
        self.window = window
        self.panels = panels
        self.state_dir = state_dir
        self.tray_available = tray_available
        self.actions: dict[str, QAction] = {}  # by the commands' ids
        # the same command on the accent colour: an icon has one tint only
        self.primary_add = QAction(window)
        self.theme_actions = QActionGroup(window)
        self.scope = Scope(kind="all")
        self.selected: list[TaskKey] = []  # top to bottom
        self.dialogs: dict[str, QDialog] = {}
        # Have left the list. True or False: it was running or not, and can come back; None: its
        # removal was asked for.
        self.leaving: dict[TaskKey, bool | None] = {}
        self.asks_about_the_end = False  # a question about closing or quitting is open
        self.over = False  # the window closes without a question
        self._monitor: Monitor | None = None
        self._runners: Runners | None = None
        self._refresh_timer = QTimer(self)
        self._refresh_timer.setSingleShot(True)
        self._refresh_timer.setInterval(REFRESH_MS)
        self._refresh_timer.timeout.connect(self.refresh_due)

    def __repr__(self) -> str:
        return f"<WindowContext selected={len(self.selected)} dialogs={list(self.dialogs)} over={self.over}>"

    # The monitor

    def attach(self, monitor: Monitor, runners: Runners) -> None:
        self._monitor, self._runners = monitor, runners

    def detach(self) -> None:
        self._refresh_timer.stop()
        self._monitor = self._runners = None

    @property
    def monitor(self) -> Monitor:
        assert self._monitor is not None, "the window has no monitor yet"
        return self._monitor

    @property
    def attached(self) -> bool:
        return self._monitor is not None

    def spawn(self, work: object, name: str) -> None:
        assert self._runners is not None
        self._runners.spawn(work, name)  # type: ignore[arg-type]

    def refresh_soon(self) -> None:
        if not self._refresh_timer.isActive():
            self._refresh_timer.start()

    # Transfers

    def tasks(self, keys: Iterable[TaskKey]) -> list[Task]:
        """Those of them that are there."""
        if self._monitor is None:
            return []
        found = []
        for key in keys:
            try:
                found.append(self._monitor.task(key))
            except KeyError:  # removed while it was selected
                continue
        return found

    @property
    def selected_tasks(self) -> list[Task]:
        return self.tasks(self.selected)

    @property
    def targets(self) -> list[TaskKey]:
        """What a command means: the selected ones, or all that are shown."""
        if self.selected or self.scope.kind == "videofarm":
            return list(self.selected)
        return list(self.panels.table.visible_keys())

    def select(self, key: TaskKey) -> None:
        """Select one transfer, and show it whatever the filter was."""
        self.panels.words.clear()
        if key not in self.panels.table.visible_keys():
            self.panels.sidebar.select(Scope(kind="all"))
        self.panels.table.select(key)

    @property
    def session_in_view(self) -> str:
        """Where new transfers go."""
        if (
            self.scope.kind == "session"
            and (session := self.monitor.find_session(self.scope.session)) is not None
        ):
            return session.identifier or DEFAULT_SESSION
        return DEFAULT_SESSION

    # What a person sees

    def toast(
        self, text: str, action: str = "", on_action: Callable[[], None] | None = None
    ) -> Toast:
        return self.panels.toasts.show_message(text, action=action, on_action=on_action)

    def complain(self, sentence: str) -> None:
        """Where there is something to complain of."""
        if sentence:
            self.toast(sentence)

    def show_dialog(self, name: str, dialog: QDialog) -> None:
        """One of a name at a time."""
        old = self.dialogs.pop(name, None)
        if old is not None:
            old.close()
        self.dialogs[name] = dialog
        dialog.finished.connect(
            lambda _result: (
                self.dialogs.pop(name, None) if self.dialogs.get(name) is dialog else None
            )
        )
        dialog.open()

    @property
    def watched(self) -> bool:
        """Whether something of the window can be seen."""
        return self.window.isVisible() and not self.window.isMinimized()

    def raise_to_front(self, key: TaskKey | None = None) -> None:
        """Show the window above others, with this transfer selected."""
        if self.window.isMinimized():
            self.window.showNormal()
        self.window.show()
        self.window.raise_()
        self.window.activateWindow()
        if key is not None and self.attached:
            self.select(key)
