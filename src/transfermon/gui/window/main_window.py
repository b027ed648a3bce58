"""The main window: puts the panels together, and shows what the monitor tells of.

Rule: nothing changes here because of a click; a click asks the monitor, and the event that follows
changes the view.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QAction, QCloseEvent, QDragEnterEvent, QDropEvent, QHideEvent, QShowEvent
from PySide6.QtWidgets import QMainWindow, QWidget

from transfermon.gui.dialogs.push_composer import payload_json
from transfermon.gui.list.scope import Scope
from transfermon.gui.toolkit import theme
from transfermon.gui.window import adding, build, closing, settings_commands, task_commands
from transfermon.gui.window.background_commands import show_composer
from transfermon.gui.window.commands import COMMANDS, enabled
from transfermon.gui.window.context import WindowContext
from transfermon.gui.window.credentials import Credentials
from transfermon.gui.window.host_questions import HostQuestions
from transfermon.gui.window.kept_layout import restore_layout, save_layout
from transfermon.gui.window.layout import Panels, start_size, start_widths
from transfermon.gui.window.removal import finish_removals
from transfermon.gui.window.session_commands import session_menu
from transfermon.gui.window.tray import Tray
from transfermon.gui.window.videofarm_place import VideoFarmPlace
from transfermon.model.events import (
    Event,
    NetworkSimulationEvent,
    PushChannelEvent,
    TaskEvent,
    TaskRemovedEvent,
    WakeChangedEvent,
)
from transfermon.model.tally import Tally
from transfermon.model.task import Progress, TaskKey
from transfermon.model.translate import tr
from transfermon.system.runners import Runners
from transfermon.text import humanize

if TYPE_CHECKING:  # the monitor brings the engine, which loads after the window shows
    from transfermon.engine.monitor import Monitor
    from transfermon.gui.videofarm.page import VideoFarmPage
    from transfermon.gui.window.bridge import Bridge


class MainWindow(QMainWindow):
    """Shows at once with an empty list; `attach` gives it the monitor. What was asked of it stands
    in its `context`.
    """

    visibility_changed = Signal(bool)
    refreshed = Signal()

    def __init__(
        self, *, state_dir: str, tray_available: Callable[[], bool] = Tray.available
    ) -> None:
        super().__init__()
        self.setObjectName("main_window")
        self.setWindowTitle("Transfermon")
        self.setWindowIcon(theme.app_icon())
        self.setAcceptDrops(True)
        self.resize(start_size(self.screen().availableSize()))
        self.panels = Panels(self)
        self.context = WindowContext(
            self, self.panels, state_dir=state_dir, tray_available=tray_available
        )
        self._bridge: Bridge | None = None
        self._happened = True  # an event came since the commands were looked at
        self._arranged = False  # the panels have their widths
        self._anything = False  # there are transfers
        self._farm = VideoFarmPlace(self.context)
        self._credentials = Credentials(self.context)
        self._hosts = HostQuestions(self.context)
        self.show_action = QAction(tr("&Show window"), self)
        self.show_action.setObjectName("action_show")
        self.show_action.triggered.connect(lambda: self.context.raise_to_front())
        self.context.refresh_due.connect(self._refresh)
        build.make_actions(self.context)
        self._connect_panels()
        build.fill_menu_bar(self.context)
        self.toolbar = build.make_toolbar(self.context)
        build.fill_status_bar(self.context)
        self._retint()
        theme.themed.changed.connect(self._retint)
        self._arranged = restore_layout(self, self.panels, state_dir)
        self._enable()

    def __repr__(self) -> str:
        return f"<MainWindow rows={self.panels.model.rowCount()} selected={len(self.context.selected)}>"

    # Building

    def _connect_panels(self) -> None:
        panels, context = self.panels, self.context
        panels.sidebar.scope_changed.connect(self._set_scope)
        panels.sidebar.menu_wanted.connect(
            lambda key, where: session_menu(context, key).popup(where)
        )
        panels.words.textChanged.connect(self._set_words)
        panels.table.selection_changed.connect(self._selection_changed)
        panels.table.opened.connect(lambda key: task_commands.open_or_show_details(context, key))
        panels.table.menu_wanted.connect(
            lambda keys, where: build.task_menu(context, keys).popup(where)
        )
        panels.preview.open_wanted.connect(lambda key: task_commands.open_task(context, key))
        panels.preview.folder_wanted.connect(
            lambda key: task_commands.show_task_folder(context, key)
        )
        panels.wakes.again_wanted.connect(
            lambda identifier: context.monitor.background.send_again(identifier)
        )
        panels.wakes.compose_wanted.connect(lambda wake: show_composer(context, payload_json(wake)))
        panels.wakes.interval_wanted.connect(
            lambda seconds: settings_commands.set_fetch_interval(context, seconds)
        )
        panels.wakes.channel_wanted.connect(
            lambda on: settings_commands.switch_channel(context, on)
        )

    @property
    def videofarm(self) -> VideoFarmPage:
        """Made when it is first asked for."""
        return self._farm.page

    def _retint(self) -> None:
        build.tint_actions(self.context)

    # The monitor

    def attach(self, monitor: Monitor, bridge: Bridge, runners: Runners) -> None:
        """Show this monitor from now on. The bridge was made in the same turn of the loop."""
        self._bridge = bridge
        self.context.attach(monitor, runners)
        panels = self.panels
        snapshot = bridge.snapshot()
        self._credentials.attach(monitor)
        panels.details.session_headers = self._headers_of
        panels.details.connections = monitor.overview.connections_of
        panels.preview.text_of = monitor.overview.response_text
        panels.model.reset(snapshot.tasks)
        bridge.told.connect(self._apply)
        bridge.progress.connect(self._apply_progress)
        bridge.pulse.connect(self._note_totals)
        bridge.set_watched(self.context.watched)
        self._farm.attach()
        settings_commands.mark_theme(self.context, monitor.settings.theme)
        background = monitor.background
        panels.wakes.reset(
            background.ledger,
            background.interval,
            lambda: background.schedule,
            lambda: background.counts_down,
        )
        settings_commands.show_channel(self.context)
        self._show_simulation()
        self.context.spawn(self._load_events(), "events of the past")
        self._refresh()

    def detach(self) -> None:
        """Finish what can still be undone and let the monitor go."""
        if not self.context.attached:
            return
        finish_removals(self.context)
        self._credentials.detach()
        self._farm.detach()
        if self._bridge is not None:
            self._bridge.told.disconnect(self._apply)
            self._bridge.progress.disconnect(self._apply_progress)
            self._bridge.pulse.disconnect(self._note_totals)
        self._bridge = None
        self.context.detach()

    def _apply(self, event: Event) -> None:
        if isinstance(event, PushChannelEvent):
            settings_commands.show_channel(self.context)
            return
        if isinstance(event, NetworkSimulationEvent):
            self._show_simulation()
            return
        if isinstance(event, WakeChangedEvent):
            self.panels.wakes.apply(event.wake)
            self._farm.apply_wake(event.wake)
            return
        key = event.task_key
        if isinstance(event, TaskRemovedEvent):
            if event.file_kept:
                self.context.toast(humanize.kept_file(event.file_kept))
            if key is not None:
                self.context.leaving.pop(key, None)
        if key not in self.context.leaving:
            self.panels.model.apply(event)
        self.panels.events.apply(event)
        self._credentials.apply(event)
        if isinstance(event, TaskEvent) and self.context.selected == [key]:
            self._apply_to_selection(event)
        self._happened = True
        self.context.refresh_soon()

    def _apply_to_selection(self, event: TaskEvent) -> None:
        self.panels.details.apply(event)
        if event.task is not None and not isinstance(event, TaskRemovedEvent):
            self.panels.details.show_task(event.task)
            self.panels.preview.show_tasks([event.task])

    def _apply_progress(self, moved: Mapping[TaskKey, Progress]) -> None:
        leaving, selected = self.context.leaving, self.context.selected
        self.panels.model.apply_progress(
            {k: p for k, p in moved.items() if k not in leaving}, time.monotonic()
        )
        if len(selected) == 1 and (progress := moved.get(selected[0])) is not None:
            self.panels.details.set_progress(progress)
            for task in self.context.selected_tasks:
                self.panels.preview.note_progress(task, progress.received, progress.expected)
        self.context.refresh_soon()

    def _note_totals(self) -> None:
        running = self.context.monitor.overview.running_progress()
        self.panels.details.note_totals({key: moved.received for key, moved in running.items()})

    def _refresh(self) -> None:
        if not self.context.attached:
            return
        if self.context.watched:
            monitor, sidebar = self.context.monitor, self.panels.sidebar
            tallies = monitor.overview.tallies()
            self._anything = any(tally.all for tally in tallies.values())
            self._show_page(self._page_in_view())
            sidebar.update_counts(tallies, monitor.overview.session_infos())
            sidebar.set_session_progress(
                session_progress(tallies, monitor.overview.running_progress())
            )
            if self.panels.status.show_status(monitor.overview.status()):
                self.panels.wakes.refresh()
            self._farm.follow_settings()
            self._hosts.look()
            if self._happened:  # what only moves changes nothing of what can be done
                self._happened = False
                self._enable()
        self.refreshed.emit()

    def _page_in_view(self) -> QWidget:
        if self.context.scope.kind == "videofarm":
            return self.videofarm
        return self.panels.table if self._anything else self.panels.empty

    def _show_page(self, page: QWidget, *, walking: bool = False) -> None:
        """`walking`: somebody goes through the sidebar with the keys, and stays there."""
        panels = self.panels
        if page is panels.pages.currentWidget():
            return
        panels.pages.setCurrentWidget(page)
        for panel in (panels.tabs, panels.preview):  # they are about transfers of the list
            panel.setVisible(self.context.scope.kind != "videofarm")
        if page is not panels.empty and not (walking or panels.words.hasFocus()):
            place = panels.table if page is panels.table else self.videofarm.grid
            place.setFocus(Qt.FocusReason.OtherFocusReason)

    def _show_simulation(self) -> None:
        simulation = self.context.monitor.bad_network.simulation
        self.panels.simulation_menu.show_state(simulation)
        self.panels.status.simulation_mark.show_state(simulation)

    def _enable(self) -> None:
        attached = self.context.attached
        selected = self.context.selected_tasks
        hidden = bool(selected) or self.context.scope.kind == "videofarm"
        can = (
            enabled(selected, () if hidden else self.panels.table.visible_tasks())
            if attached
            else {}
        )
        for command in COMMANDS:
            always = attached or command.id in ("quit", "close", "about", "find")
            self.context.actions[command.id].setEnabled(
                can.get(command.id, always) if attached else always
            )
        self.context.primary_add.setEnabled(attached)

    def _headers_of(self, session: str) -> list[str]:
        found = self.context.monitor.find_session(session) if self.context.attached else None
        return list(found.configuration.http_header_fields) if found is not None else []

    async def _load_events(self) -> None:
        self.panels.events.reset(await self.context.monitor.overview.history())

    # Selection, filter, scope

    def _set_scope(self, scope: Scope) -> None:
        self.context.scope = scope
        if scope.kind == "videofarm":
            self.panels.table.clearSelection()  # no command reaches what is not seen
            self._farm.follow_settings()
        else:
            self.panels.model.set_scope(scope)
        self._show_page(self._page_in_view(), walking=self.panels.sidebar.list.hasFocus())
        self._enable()

    def _set_words(self, text: str) -> None:
        self.panels.model.set_words(text)
        self._enable()

    def _selection_changed(self, keys: list[TaskKey]) -> None:
        self.context.selected = list(keys)
        tasks = self.context.selected_tasks
        self.panels.preview.show_tasks(tasks)
        self.panels.details.show_task(tasks[0] if len(tasks) == 1 else None)
        if len(tasks) == 1:
            self.context.spawn(self._load_history(tasks[0].key), "history of one transfer")
        self._enable()

    async def _load_history(self, key: TaskKey) -> None:
        history = await self.context.monitor.overview.history(task=key)
        if self.context.selected == [key]:
            self.panels.details.set_history(history)

    # The window itself

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        adding.drag_entered(self.context, event)

    def dropEvent(self, event: QDropEvent) -> None:
        adding.dropped(self.context, event)

    def toggle_visible(self) -> None:
        """What a click on the tray icon does."""
        if self.context.watched and self.isActiveWindow():
            closing.hide_or_minimise(self.context)
        else:
            self.context.raise_to_front()

    def come_back(self) -> None:
        """The tray is gone: a window that is hidden in it could not be reached any more."""
        if not self.isVisible():
            self.showMinimized()

    def let_go(self) -> None:
        """The app ends: save the layout, close without questions."""
        self.context.over = True
        self.detach()
        save_layout(self, self.panels, self.context.state_dir)
        self.panels.preview.close()
        for dialog in list(self.context.dialogs.values()):
            dialog.close()
        self.close()

    def closeEvent(self, event: QCloseEvent) -> None:
        if self.context.over:
            event.accept()
            return
        event.ignore()
        closing.close_window(self.context)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not self._arranged:  # only now is it known how wide it is
            self._arranged = True
            self.panels.across.setSizes(start_widths(self.width()))
        self._visibility()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._visibility()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.WindowStateChange:
            self._visibility()

    def _visibility(self) -> None:
        watched = self.context.watched
        # Qt paints a minimised window as if it were seen
        self.setUpdatesEnabled(not self.isMinimized())
        if self._bridge is not None:
            self._bridge.set_watched(watched)
        if watched:
            self._refresh()
        self._credentials.look()
        self.visibility_changed.emit(watched)


def session_progress(
    tallies: Mapping[str, Tally], live: Mapping[TaskKey, Progress]
) -> dict[str, float | None]:
    """How far each session's outstanding transfers are, 0.0 to 1.0; None when no total is known.
    Sessions with nothing outstanding are left out.
    """
    return {
        session: tally.progress(live) for session, tally in tallies.items() if tally.outstanding
    }
