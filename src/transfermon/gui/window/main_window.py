"""The main window: puts the panels together, turns clicks into commands of the monitor, and shows what comes back.

Rule: nothing changes here because of a click; a click asks the monitor, and the event that follows changes the view.
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QByteArray, QEvent, QProcess, QSettings, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAction,
    QActionGroup,
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
    QGuiApplication,
    QHideEvent,
    QKeySequence,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QHBoxLayout,
    QInputDialog,
    QLabel,
    QLineEdit,
    QMainWindow,
    QMenu,
    QPushButton,
    QSizePolicy,
    QSplitter,
    QStackedWidget,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from transfermon.gui.dialogs.add import clipboard_links
from transfermon.gui.dialogs.preference_pages import Channel, Login
from transfermon.gui.dialogs.preferences import Preferences
from transfermon.gui.dialogs.push_composer import PushComposer, earlier_payloads, payload_json
from transfermon.gui.dialogs.questions import ask, tell, text_question
from transfermon.gui.list.model import TaskModel
from transfermon.gui.list.scope import Scope
from transfermon.gui.list.table import TaskTable
from transfermon.gui.panels.details import Details
from transfermon.gui.panels.event_list import EventsView
from transfermon.gui.panels.event_log import ndjson
from transfermon.gui.panels.preview import Preview
from transfermon.gui.panels.sidebar import SessionProperties, Sidebar, properties_of, session_items
from transfermon.gui.panels.wake_ledger import WakesView
from transfermon.gui.toolkit import files, theme
from transfermon.gui.toolkit.collapsing_bars import Toolbar
from transfermon.gui.toolkit.toasts import Toast, Toasts
from transfermon.gui.window.adding import DEFAULT_SESSION, Adding
from transfermon.gui.window.checksum import Verifying
from transfermon.gui.window.closing import Ending
from transfermon.gui.window.commands import COMMANDS, GIVING, MENUS, PRIORITIES, TABLE, TOOLBAR, enabled, toggled
from transfermon.gui.window.credentials import Credentials
from transfermon.gui.window.removal import Removal
from transfermon.gui.window.simulation_menu import SimulationMark, SimulationMenu
from transfermon.gui.window.slices import in_slices
from transfermon.gui.window.task_menu import MenuItem, menu_for
from transfermon.gui.window.tray import Tray
from transfermon.model import units
from transfermon.model.configuration import BACKGROUND_FETCH_INTERVAL_NEVER
from transfermon.model.errors import InvalidAction, TransfermonError, redacted
from transfermon.model.events import (
    Event,
    NetworkSimulationEvent,
    PushChannelEvent,
    TaskEvent,
    TaskRemovedEvent,
    WakeChangedEvent,
)
from transfermon.model.tally import Tally
from transfermon.model.task import Action, Kind, Progress, Task, TaskKey
from transfermon.model.translate import marked, tr
from transfermon.model.wake_policy import Outcome, Verdict, WakeKind, verdict_text
from transfermon.system import autostart
from transfermon.system.runners import Runners
from transfermon.text import humanize
from transfermon.wire.simulation import NONE

if TYPE_CHECKING:  # the monitor brings httpx, which loads after the window shows
    from transfermon.engine.monitor import Monitor
    from transfermon.gui.videofarm.page import VideoFarmPage
    from transfermon.gui.window.bridge import Bridge

REFRESH_MS = 250
APP_STATES = {"foreground": marked("Foreground"), "background": marked("Background"), "suspended": marked("Suspended")}
START_LIST, START_DETAILS = 9 * theme.ROW + theme.ROW + 31, 260  # ten whole rows at the start size
THEMES = (("system", marked("&System")), ("light", marked("&Light")), ("dark", marked("&Dark")))


class MainWindow(QMainWindow):
    """Shows at once with an empty list; `attach` gives it the monitor. `quit_wanted` is emitted when the person
    wants to quit and was asked; the transfers are then stopped by whoever ends the app.
    """

    quit_wanted = Signal()
    visibility_changed = Signal(bool)
    settings_changed = Signal()
    refreshed = Signal()

    def __init__(self, *, state_dir: str, tray_available: Callable[[], bool] = Tray.available) -> None:
        super().__init__()
        self.setObjectName("main_window")
        self.setWindowTitle("Transfermon")
        self.setWindowIcon(theme.app_icon())
        self.setAcceptDrops(True)
        self.resize(_start_size(self.screen().availableSize()))
        self._state_dir = state_dir
        self._tray_available = tray_available
        self._monitor: Monitor | None = None
        self._bridge: Bridge | None = None
        self._runners: Runners | None = None
        self._selected: list[TaskKey] = []
        self._happened = True  # an event came since the commands were looked at
        self._arranged = False  # the panels have their widths
        self._scope = Scope(kind="all")
        self._anything = False  # there are transfers
        self._dialogs: dict[str, QDialog] = {}
        self._videofarm: VideoFarmPage | None = None
        self._credentials = Credentials(
            self, show=lambda dialog: self.show_dialog("credentials", dialog), is_watched=lambda: self.watched
        )
        self.adding = Adding(self, self)
        self.removal = Removal(self)
        self.verifying = Verifying(self, self)
        self.ending = Ending(self, self)
        self._asked_hosts: set[str] = set()  # that pushes want to download from, and a person was asked about
        self.actions_by_id: dict[str, QAction] = {}
        self._refresh_timer = QTimer(self)
        self._refresh_timer.setSingleShot(True)
        self._refresh_timer.setInterval(REFRESH_MS)
        self._refresh_timer.timeout.connect(self._refresh)
        self._make_actions()
        self._make_panels()
        self._make_menus()
        self._make_toolbar()
        self._make_status_bar()
        self._retint()
        theme.themed.changed.connect(self._retint)
        self._restore_layout()
        self._enable()

    def __repr__(self) -> str:
        return f"<MainWindow rows={self.model.rowCount()} selected={len(self._selected)}>"

    # Building

    def _make_actions(self) -> None:
        for command in COMMANDS:
            action = QAction(tr(command.text), self)
            action.setObjectName(f"action_{command.id}")
            action.setIconText(tr(command.label or command.text).replace("&", ""))
            action.triggered.connect(getattr(self, f"do_{command.id}"))
            if command.keys:
                action.setShortcut(QKeySequence(command.keys))
            if command.keys == "Return":  # the key of the number pad is another one for Qt
                action.setShortcuts([QKeySequence(command.keys), QKeySequence("Enter")])
            if command.where == TABLE:
                action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            keys = f" ({command.keys})" if command.keys else ""
            action.setToolTip(tr(command.tip or command.text).replace("&", "") + keys)
            self.actions_by_id[command.id] = action
        add = self.actions_by_id["add"]
        self.primary_add = QAction(self)  # the same command on the accent colour: an icon has one tint only
        self.primary_add.setIconText(add.iconText())
        self.primary_add.setToolTip(add.toolTip())
        self.primary_add.triggered.connect(add.trigger)
        self.show_action = QAction(tr("&Show window"), self)
        self.show_action.setObjectName("action_show")
        self.show_action.triggered.connect(lambda: self.raise_to_front())

    def _make_panels(self) -> None:
        self.sidebar = Sidebar()
        self.model = TaskModel(self)
        self.table = TaskTable()
        self.table.setModel(self.model)
        for command in COMMANDS:
            if command.where == TABLE:
                self.table.addAction(self.actions_by_id[command.id])
        self.details = Details()
        self.events = EventsView()
        self.wakes = WakesView()
        self.preview = Preview()
        self.empty = self._make_empty()
        self.pages = QStackedWidget()
        self.pages.addWidget(self.empty)
        self.pages.addWidget(self.table)
        self.tabs = QTabWidget()
        self.tabs.setObjectName("bottom_tabs")
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(self.details, tr("Details"))
        self.tabs.addTab(self.events, tr("All events"))
        self.tabs.addTab(self.wakes, tr("Background"))
        self.middle = QSplitter(Qt.Orientation.Vertical)
        self.middle.addWidget(self.pages)
        self.middle.addWidget(self.tabs)
        self.across = QSplitter(Qt.Orientation.Horizontal)
        for panel in (self.sidebar, self.middle, self.preview):
            self.across.addWidget(panel)
        for splitter, sizes in ((self.across, start_widths(self.width())), (self.middle, [START_LIST, START_DETAILS])):
            splitter.setHandleWidth(1)
            splitter.setChildrenCollapsible(False)
            splitter.setSizes(sizes)
        self.across.setStretchFactor(1, 4)
        self.across.setStretchFactor(2, 1)
        self.middle.setStretchFactor(0, 1)
        ground = QWidget()  # a splitter takes every child for a pane, so the messages need another parent
        column = QVBoxLayout(ground)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.across)
        self.setCentralWidget(ground)
        self.toasts = Toasts(ground)
        self._connect_panels()

    def _connect_panels(self) -> None:
        self.sidebar.scope_changed.connect(self._set_scope)
        self.sidebar.menu_wanted.connect(lambda key, where: self.session_menu(key).popup(where))
        self.table.selection_changed.connect(self._selection_changed)
        self.table.opened.connect(self._open_or_details)
        self.table.menu_wanted.connect(lambda keys, where: self.task_menu(keys).popup(where))
        self.preview.open_wanted.connect(self.open_task)
        self.preview.folder_wanted.connect(self.show_task_folder)
        self.wakes.again_wanted.connect(lambda identifier: self.monitor.background.send_again(identifier))
        self.wakes.compose_wanted.connect(lambda wake: self.show_composer(payload_json(wake)))
        self.wakes.interval_wanted.connect(self._set_fetch_interval)
        self.wakes.channel_wanted.connect(self._switch_channel)

    @property
    def videofarm(self) -> VideoFarmPage:
        """Made when it is first asked for."""
        if self._videofarm is None:
            self._videofarm = self._make_videofarm()
        return self._videofarm

    def _make_videofarm(self) -> VideoFarmPage:
        from transfermon.gui.videofarm.page import VideoFarmPage

        page = VideoFarmPage(state_dir=self._state_dir)
        page.said.connect(self.toasts.show_message)
        page.server_wanted.connect(lambda url: self._change_settings({"videofarm_url": url}))
        page.play_wanted.connect(self.open_task)
        page.folder_wanted.connect(self.show_task_folder)
        page.stream_wanted.connect(lambda url: self._complain(files.stream(url, self.monitor.settings.videofarm_url)))
        self.pages.addWidget(page)
        if self._monitor is not None:
            self._attach_videofarm(page)
        return page

    def _attach_videofarm(self, page: VideoFarmPage) -> None:
        from transfermon.videofarm.client import VideoFarmClient

        page.attach(VideoFarmClient(self.monitor, self.monitor.settings.videofarm_url), self.spawn)

    def _make_empty(self) -> QWidget:
        page = QWidget()
        page.setObjectName("empty_state")
        sentence = QLabel(tr("Nothing is being transferred. Add an address, or drop a link here."))
        sentence.setObjectName("empty_text")
        sentence.setProperty("role", "muted")
        sentence.setAlignment(Qt.AlignmentFlag.AlignCenter)
        add = QPushButton(tr("Add a URL"))
        add.setObjectName("empty_add")
        add.setProperty("primary", True)
        add.clicked.connect(self.do_add)
        self.demo_button = QPushButton(tr("Start the demo"))
        self.demo_button.setObjectName("empty_demo")
        self.demo_button.clicked.connect(self.do_demo)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(add)
        row.addWidget(self.demo_button)
        row.addStretch(1)
        column = QVBoxLayout(page)
        column.addStretch(2)
        column.addWidget(sentence)
        column.addSpacing(12)
        column.addLayout(row)
        column.addStretch(3)
        return page

    def _make_menus(self) -> None:
        menus: dict[str, QMenu] = {}
        for command in COMMANDS:
            title, slash, _ = command.menu.partition("/")
            if title not in menus:
                menus[title] = self.menuBar().addMenu(tr(MENUS[title]))
            elif slash:
                menus[title].addSeparator()
            menus[title].addAction(self.actions_by_id[command.id])
        self.simulation_menu = SimulationMenu(self)
        self.simulation_menu.wanted.connect(lambda wanted: self.monitor.simulate(wanted))
        self.simulation_menu.drop_wanted.connect(self._drop_connections)
        menus["Background"].addMenu(self.simulation_menu)
        self.theme_menu = menus["View"].addMenu(tr("&Theme"))
        self.theme_actions = QActionGroup(self)
        for scheme, text in THEMES:
            action = self.theme_menu.addAction(tr(text))
            action.setCheckable(True)
            action.setData(scheme)
            self.theme_actions.addAction(action)
        self.theme_actions.triggered.connect(lambda action: self.set_theme(str(action.data())))

    def _make_toolbar(self) -> None:
        bar = Toolbar(tr("Toolbar"))
        buttons: dict[str, QToolButton] = {}
        for name in TOOLBAR:
            if not name:
                bar.addSeparator()
                continue
            action = self.primary_add if name == "add" else self.actions_by_id[name]
            bar.addAction(action)
            button = bar.widgetForAction(action)
            assert isinstance(button, QToolButton)
            button.setObjectName("primary" if name == "add" else f"tool_{name}")
            buttons[name] = button
            button.setAccessibleName(action.iconText())
        space = QWidget()
        space.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        bar.addWidget(space)
        self.words = QLineEdit()
        self.words.setObjectName("filter")
        self.words.setAccessibleName(tr("Filter"))
        self.words.setPlaceholderText(tr("Filter"))
        self.words.setClearButtonEnabled(True)
        self.words.setMinimumWidth(120)
        self.words.setMaximumWidth(220)
        self.words.textChanged.connect(self._set_words)
        bar.addWidget(self.words)
        bar.set_giving([[buttons[name] for name in group] for group in GIVING])
        self.toolbar = bar
        self.addToolBar(bar)

    def _make_status_bar(self) -> None:
        bar = self.statusBar()
        bar.setSizeGripEnabled(False)
        self.rate_label = _status("status_rate", tr("Rates of downloads and uploads"))
        self.network_label = _status("status_network", tr("Network"))
        self.count_label = _status("status_counts", tr("Transfers"))
        self.warning_label = _status("status_warning", tr("Warning"))
        self.warning_label.setProperty("role", "bad")
        self.warning_label.hide()
        self.state_label = _status("status_app_state", tr("App state"))
        bar.addWidget(self.rate_label)
        bar.addWidget(self.count_label)
        bar.addWidget(self.warning_label, 1)
        self.channel_label = _status("status_channel", tr("Push channel"))
        self.channel_label.hide()
        self.simulation_mark = SimulationMark()
        self.simulation_mark.clicked.connect(lambda: self.monitor.simulate(NONE))
        bar.addPermanentWidget(self.simulation_mark)
        bar.addPermanentWidget(self.channel_label)
        bar.addPermanentWidget(self.network_label)
        bar.addPermanentWidget(self.state_label)

    def _retint(self) -> None:
        for command in COMMANDS:
            if command.icon:
                self.actions_by_id[command.id].setIcon(theme.icon(command.icon))
        self.primary_add.setIcon(theme.icon("plus", "on_accent"))

    # The monitor

    @property
    def monitor(self) -> Monitor:
        assert self._monitor is not None, "the window has no monitor yet"
        return self._monitor

    @property
    def attached(self) -> bool:
        return self._monitor is not None

    def attach(self, monitor: Monitor, bridge: Bridge, runners: Runners) -> None:
        """Show this monitor from now on. The bridge was made in the same turn of the loop."""
        self._monitor, self._bridge, self._runners = monitor, bridge, runners
        snapshot = bridge.snapshot()
        self._credentials.attach(monitor)
        self.details.session_headers = self._headers_of
        self.preview.text_of = monitor.response_text
        self.model.reset(snapshot.tasks)
        bridge.told.connect(self._apply)
        bridge.progress.connect(self._apply_progress)
        bridge.pulse.connect(self._note_totals)
        bridge.set_watched(self.watched)
        if self._videofarm is not None:
            self._attach_videofarm(self._videofarm)
        for action in self.theme_actions.actions():
            action.setChecked(action.data() == monitor.settings.theme)
        background = monitor.background
        self.wakes.reset(
            background.ledger, background.interval, lambda: background.schedule, lambda: background.counts_down
        )
        self._show_channel()
        self._show_simulation()
        self.spawn(self._load_events(), "events of the past")
        self._refresh()

    def detach(self) -> None:
        """Finish what can still be undone and let the monitor go."""
        if self._monitor is None:
            return
        self.removal.finish()
        self._credentials.detach()
        if self._videofarm is not None:
            self._videofarm.detach()
        if self._bridge is not None:
            self._bridge.told.disconnect(self._apply)
            self._bridge.progress.disconnect(self._apply_progress)
            self._bridge.pulse.disconnect(self._note_totals)
        self._refresh_timer.stop()
        self._monitor = self._bridge = self._runners = None

    def spawn(self, work: object, name: str) -> None:
        assert self._runners is not None
        self._runners.spawn(work, name)  # type: ignore[arg-type]

    def _apply(self, event: Event) -> None:
        if isinstance(event, PushChannelEvent):
            self._show_channel()
            return
        if isinstance(event, NetworkSimulationEvent):
            self._show_simulation()
            return
        if isinstance(event, WakeChangedEvent):
            self.wakes.apply(event.wake)
            if (
                event.wake.kind is WakeKind.FETCH
                and event.wake.outcome is Outcome.NEW_DATA
                and self._videofarm is not None
                and self._videofarm.isVisible()
            ):
                self._videofarm.refresh()
            return
        key = event.task_key
        if isinstance(event, TaskRemovedEvent):
            if event.file_kept:
                self.toast(humanize.kept_file(event.file_kept))
            self.removal.gone(event)
        if key not in self.removal:
            self.model.apply(event)
        self.events.apply(event)
        self._credentials.apply(event)
        if isinstance(event, TaskEvent) and len(self._selected) == 1 and key == self._selected[0]:
            self._apply_to_selection(event)
        self._happened = True
        self.refresh_soon()

    def _apply_to_selection(self, event: TaskEvent) -> None:
        self.details.apply(event)
        if event.task is not None and not isinstance(event, TaskRemovedEvent):
            self.details.show_task(event.task)
            self.preview.show_tasks([event.task])

    def _apply_progress(self, moved: Mapping[TaskKey, Progress]) -> None:
        self.model.apply_progress({k: p for k, p in moved.items() if k not in self.removal}, time.monotonic())
        if len(self._selected) == 1 and (progress := moved.get(self._selected[0])) is not None:
            self.details.set_progress(progress)
            for task in self._tasks(self._selected):
                self.preview.note_progress(task, progress.received, progress.expected)
        self.refresh_soon()

    def _note_totals(self) -> None:
        self.details.note_totals({key: moved.received for key, moved in self.monitor.running_progress().items()})

    def refresh_soon(self) -> None:
        if not self._refresh_timer.isActive():
            self._refresh_timer.start()

    def _refresh(self) -> None:
        if self._monitor is None:
            return
        if self.watched:
            tallies = self._monitor.tallies()
            self._anything = any(tally.all for tally in tallies.values())
            self._show_page(self._page_in_view())
            self.sidebar.update_counts(tallies, self._monitor.session_infos())
            self.sidebar.set_session_progress(session_progress(tallies, self._monitor.running_progress()))
            self._show_status()
            if self._videofarm is not None:  # it may have been set elsewhere
                self._videofarm.set_server(self._monitor.settings.videofarm_url)
            self._ask_about_hosts()
            if self._happened:  # what only moves changes nothing of what can be done
                self._happened = False
                self._enable()
        self.refreshed.emit()

    def _page_in_view(self) -> QWidget:
        if self._scope.kind == "videofarm":
            return self.videofarm
        return self.table if self._anything else self.empty

    def _show_page(self, page: QWidget, *, walking: bool = False) -> None:
        """`walking`: somebody goes through the sidebar with the keys, and stays there."""
        if page is self.pages.currentWidget():
            return
        self.pages.setCurrentWidget(page)
        for panel in (self.tabs, self.preview):  # they are about transfers of the list
            panel.setVisible(self._scope.kind != "videofarm")
        if page is not self.empty and not (walking or self.words.hasFocus()):
            place = self.table if page is self.table else self.videofarm.grid
            place.setFocus(Qt.FocusReason.OtherFocusReason)

    def _show_status(self) -> None:
        status = self.monitor.status()
        self.rate_label.setText(f"↓ {_rate(status.down_rate)}   ↑ {_rate(status.up_rate)}")
        self.network_label.setText(tr("Online") if status.online else tr("No network"))
        self.count_label.setText(counts_line(status.running, status.queued, status.waiting, status.failed))
        state = tr(APP_STATES.get(status.app_state, status.app_state))
        if state != self.state_label.text():
            self.state_label.setText(state)
            self.wakes.refresh()
        frozen = status.frozen_reason
        self.warning_label.setText(
            tr("Changes cannot be stored now: {frozen}").format(frozen=units.clean(frozen)) if frozen else ""
        )
        self.warning_label.setVisible(bool(frozen))

    def _enable(self) -> None:
        attached = self.attached
        selected = self._tasks(self._selected)
        hidden = bool(selected) or self._scope.kind == "videofarm"
        can = enabled(selected, () if hidden else self.table.visible_tasks()) if attached else {}
        for command in COMMANDS:
            always = attached or command.id in ("quit", "close", "about", "find")
            self.actions_by_id[command.id].setEnabled(can.get(command.id, always) if attached else always)
        self.primary_add.setEnabled(attached)

    def _tasks(self, keys: Iterable[TaskKey]) -> list[Task]:
        if self._monitor is None:
            return []
        found = []
        for key in keys:
            try:
                found.append(self._monitor.task(key))
            except KeyError:  # removed while it was selected
                continue
        return found

    def _headers_of(self, session: str) -> list[str]:
        found = self._monitor.find_session(session) if self._monitor is not None else None
        return list(found.configuration.http_header_fields) if found is not None else []

    async def _load_events(self) -> None:
        self.events.reset(await self.monitor.history())

    # Selection, filter, scope

    def _set_scope(self, scope: Scope) -> None:
        self._scope = scope
        if scope.kind == "videofarm":
            self.table.clearSelection()  # no command reaches what is not seen
            if self._monitor is not None:
                self.videofarm.set_server(self._monitor.settings.videofarm_url)
        else:
            self.model.set_scope(scope)
        self._show_page(self._page_in_view(), walking=self.sidebar.list.hasFocus())
        self._enable()

    def _set_words(self, text: str) -> None:
        self.model.set_words(text)
        self._enable()

    def _selection_changed(self, keys: list[TaskKey]) -> None:
        self._selected = list(keys)
        tasks = self._tasks(self._selected)
        self.preview.show_tasks(tasks)
        self.details.show_task(tasks[0] if len(tasks) == 1 else None)
        if len(tasks) == 1:
            self.spawn(self._load_history(tasks[0].key), "history of one transfer")
        self._enable()

    async def _load_history(self, key: TaskKey) -> None:
        history = await self.monitor.history(task=key)
        if self._selected == [key]:
            self.details.set_history(history)

    @property
    def selected(self) -> list[TaskKey]:
        """The selected transfers, top to bottom."""
        return list(self._selected)

    def select(self, key: TaskKey) -> None:
        """Select one transfer, and show it whatever the filter was."""
        self.words.clear()
        if key not in self.table.visible_keys():
            self.sidebar.select(Scope(kind="all"))
        self.table.select(key)

    def task_menu(self, keys: Sequence[TaskKey]) -> QMenu:
        """What can be done with these."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        inner: dict[str, QMenu] = {}
        for item in menu_for(self._tasks(keys)):
            if item is None:
                menu.addSeparator()
                continue
            if item.group and item.group not in inner:
                inner[item.group] = menu.addMenu(theme.icon("list"), item.group)
                inner[item.group].setEnabled(item.enabled)
            owner = inner.get(item.group, menu)
            owner.addAction(self._menu_action(item, owner))
        return menu

    def _menu_action(self, item: MenuItem, menu: QMenu) -> QAction:
        keys = f"\t{item.shortcut}" if item.shortcut else ""  # shown only: the key belongs to the window's action
        action = QAction(theme.icon(item.icon), item.text + keys, menu)
        action.setEnabled(item.enabled)
        if item.checked is not None:
            action.setCheckable(True)
            action.setChecked(item.checked)
        action.setObjectName(f"menu_{item.action}")
        action.triggered.connect(getattr(self, f"do_{item.action}"))
        return action

    def session_menu(self, key: str) -> QMenu:
        """What can be done with one session."""
        session = self.monitor.find_session(key)
        name = (session.identifier if session is not None else None) or ""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        does: dict[str, Callable[[], object]] = {
            "new": lambda: self.adding.show_add(clipboard_links(), session=name),
            "finish": lambda: self._end_session(key, cancel=False),
            "cancel": lambda: self._ask_to_end(key),
            "flush": lambda: self._flush(key),
            "reset": lambda: self._ask_to_reset(key),
            "copy": lambda: QGuiApplication.clipboard().setText(name),
            "properties": lambda: self.show_session(key),
        }
        for item in session_items(session.state.value if session is not None else "", named=bool(name)):
            if item is None:
                menu.addSeparator()
            else:
                action = menu.addAction(item.text, does[item.action])
                action.setObjectName(f"session_{item.action}")
                action.setEnabled(item.enabled)
        return menu

    def _flush(self, key: str) -> None:
        session = self.monitor.find_session(key)
        if session is not None:
            session.flush(
                lambda _done: self.toasts.show_message(tr("Everything is stored; idle connections are closed."))
            )

    def _ask_to_reset(self, key: str) -> None:
        def answered(answer: str, _remember: bool) -> None:
            session = self.monitor.find_session(key)
            if answer == "Reset" and session is not None:
                session.reset(lambda _done: self.toasts.show_message(tr("The session was reset.")))

        title = tr("Reset {key}?").format(key=units.clean(key, 60))
        text = tr(
            "Its cookies, the passwords of ended transfers and parts of files that no transfer knows are forgotten. "
            "Transfers and finished files stay."
        )
        ask(self, title, text, [marked("Reset"), marked("Cancel")], answered, warning=True)

    def show_session(self, key: str) -> None:
        """The properties of one session."""
        session = self.monitor.find_session(key)
        infos = [info for info in self.monitor.session_infos() if info.key == key]
        if session is not None and infos:
            rows = properties_of(infos[0], session.configuration, session.default_folder)
            self.show_dialog("session", SessionProperties(self, rows))

    def _ask_to_end(self, key: str) -> None:
        def answered(answer: str, _remember: bool) -> None:
            if answer == "Cancel all":
                self._end_session(key, cancel=True)

        title = tr("Cancel all transfers of {key}?").format(key=units.clean(key, 60))
        text = tr("The session ends. Finished files stay; what is under way is lost.")
        ask(self, title, text, [marked("Cancel all"), marked("Keep them")], answered, warning=True)

    def _end_session(self, key: str, *, cancel: bool) -> None:
        session = self.monitor.find_session(key)
        if session is not None and cancel:
            session.invalidate_and_cancel()
        elif session is not None:
            session.finish_tasks_and_invalidate()

    # Commands about transfers

    def _targets(self) -> list[TaskKey]:
        if self._selected or self._scope.kind == "videofarm":
            return list(self._selected)
        return list(self.table.visible_keys())

    def _each(self, keys: Sequence[TaskKey], action: Action, command: Callable[[TaskKey], object]) -> None:
        """Give a command to every task that can take it, in slices, so that ten thousand do not stall the window."""
        able = [task.key for task in self._tasks(keys) if task.can(action)]
        self.spawn(in_slices(able, command), f"{action.value} {len(able)} transfers")

    def do_resume(self) -> None:
        self._each(self._targets(), Action.RESUME, self.monitor.resume)

    def do_pause(self) -> None:
        self._each(self._targets(), Action.SUSPEND, self.monitor.suspend)

    def do_retry(self) -> None:
        self._each(self._targets(), Action.RETRY, self.monitor.retry)

    def do_retry_url(self) -> None:
        """Another address for the same file; what is stored goes on where the validator agrees."""
        for task in self._tasks(self._selected)[:1]:
            dialog = text_question(
                self,
                "retry_url",
                title=tr("Retry with a new URL"),
                label=tr("The new address of the same file:"),
                text=task.url,
                ok=tr("Retry"),
            )
            dialog.textValueSelected.connect(lambda url, key=task.key: self._retry_from(key, url))
            self.show_dialog("retry_url", dialog)

    def _retry_from(self, key: TaskKey, url: str) -> None:
        try:
            self.monitor.retry(key, url.strip())
        except (ValueError, KeyError, TransfermonError, InvalidAction) as exc:
            self.toasts.show_message(str(exc))

    def do_cancel(self) -> None:
        self._each(self._selected, Action.CANCEL, self.monitor.cancel)

    def do_toggle(self) -> None:
        if toggled(self._tasks(self._selected)) is Action.SUSPEND:
            self._each(self._selected, Action.SUSPEND, self.monitor.suspend)
        else:
            self._each(self._selected, Action.RESUME, self.monitor.resume)

    def do_pause_all(self) -> None:
        self._each(self._all_keys(), Action.SUSPEND, self.monitor.suspend)

    def do_resume_all(self) -> None:
        self._each(self._all_keys(), Action.RESUME, self.monitor.resume)

    def do_retry_failed(self) -> None:
        self._each(self._all_keys(), Action.RETRY, self.monitor.retry)

    def _all_keys(self) -> list[TaskKey]:
        return [task.key for task in self.monitor.tasks()]

    def retry_task(self, key: TaskKey) -> None:
        self._each([key], Action.RETRY, self.monitor.retry)

    def do_copy_url(self) -> None:
        QGuiApplication.clipboard().setText("\n".join(task.url for task in self._tasks(self._selected)))

    def do_copy_curl(self) -> None:
        QGuiApplication.clipboard().setText("\n".join(as_curl(task) for task in self._tasks(self._selected)))

    def do_copy_events(self) -> None:
        if len(self._selected) == 1:
            self.spawn(self._copy_events(self._selected[0]), "copying the events of one transfer")

    async def _copy_events(self, key: TaskKey) -> None:
        history = await self.monitor.history(task=key)
        QGuiApplication.clipboard().setText(ndjson(history))
        self.toasts.show_message(tr("%n events were copied.", "1 event was copied.", len(history)))

    def do_priority_high(self) -> None:
        self._prioritise(PRIORITIES["priority_high"])

    def do_priority_normal(self) -> None:
        self._prioritise(PRIORITIES["priority_normal"])

    def do_priority_low(self) -> None:
        self._prioritise(PRIORITIES["priority_low"])

    def _prioritise(self, priority: float) -> None:
        def give(key: TaskKey) -> None:
            self.monitor.handle(key).priority = priority

        self.spawn(in_slices(self._to_come(), give), f"priority {priority}")

    def do_queue_first(self) -> None:
        self.monitor.move_in_queue(self._selected, first=True)

    def do_queue_last(self) -> None:
        self.monitor.move_in_queue(self._selected, first=False)

    def do_speed_limit(self) -> None:
        """One limit for each of the selected transfers that are not done."""
        keys = self._to_come()
        if not keys:
            return
        dialog = QInputDialog(self)
        dialog.setObjectName("speed_limit")
        dialog.setWindowTitle(tr("Speed limit"))
        dialog.setInputMode(QInputDialog.InputMode.DoubleInput)
        dialog.setLabelText(tr("Megabytes per second for each transfer; 0 is no limit:"))
        dialog.setDoubleRange(0, 10_000)
        dialog.setDoubleDecimals(2)
        dialog.setDoubleValue(self.monitor.task(keys[0]).speed_limit / 1_000_000)
        dialog.doubleValueSelected.connect(lambda value: self._limit(keys, round(value * 1_000_000)))
        self.show_dialog("speed_limit", dialog)

    def _limit(self, keys: Sequence[TaskKey], limit: int) -> None:
        command = in_slices(keys, lambda key: self.monitor.adjust(key, speed_limit=limit))
        self.spawn(command, f"speed limit {limit}")

    def _to_come(self) -> list[TaskKey]:
        return [task.key for task in self._tasks(self._selected) if task.can(Action.CANCEL)]

    def do_verify(self) -> None:
        for task in self._tasks(self._selected[:1]):
            self.verifying.ask(task)

    def do_select_all(self) -> None:
        self.table.selectAll()

    def do_remove(self) -> None:
        tasks = [task for task in self._tasks(self._selected) if task.can(Action.REMOVE)]
        if tasks:
            self.table.clearSelection()
            self.removal.take(tasks)

    def do_remove_and_delete(self) -> None:
        keys = list(self._selected)
        if not keys:
            return

        def answered(answer: str, _remember: bool) -> None:
            if answer == "Delete":
                self._each(keys, Action.REMOVE, lambda key: self.monitor.remove(key, delete_file=True))

        ask(
            self,
            tr("Delete %n transfers and their files?", "Delete this transfer and its file?", len(keys)),
            tr("Files that were deleted cannot be brought back."),
            [marked("Delete"), marked("Cancel")],
            answered,
            warning=True,
        )

    def do_open(self) -> None:
        if len(self._selected) == 1:
            self._open_or_details(self._selected[0])

    def _open_or_details(self, key: TaskKey) -> None:
        for task in self._tasks([key]):
            if task.succeeded:
                self.open_task(key)
            else:
                self.do_details()

    def open_task(self, key: TaskKey) -> None:
        """Open a finished file, after a question when that may run a program."""
        for task in self._tasks([key]):
            if not files.why_not(task) and files.may_run(task.file):
                name = units.clean(os.path.basename(task.file))
                ask(
                    self,
                    tr("Open {name}?").format(name=name),
                    tr("Opening a file of this kind can run a program. Open it only if you trust where it came from."),
                    [marked("Open"), marked("Cancel")],
                    lambda answer, _remember, task=task: (
                        self._complain(files.open_file(task)) if answer == "Open" else None
                    ),  # type: ignore[misc]
                    warning=True,
                )
            else:
                self._complain(files.open_file(task))

    def show_task_folder(self, key: TaskKey) -> None:
        for task in self._tasks([key]):
            self._complain(files.show_in_folder(task))

    def do_show_in_folder(self) -> None:
        if len(self._selected) == 1:
            self.show_task_folder(self._selected[0])

    def _complain(self, sentence: str) -> None:
        if sentence:
            self.toasts.show_message(sentence)

    # Adding

    def do_add(self) -> None:
        self.adding.show_add(clipboard_links())

    def do_paste(self) -> None:
        self.adding.paste()

    def do_open_list(self) -> None:
        self.adding.ask_for_list()

    def do_upload(self) -> None:
        self.adding.show_upload(())

    @property
    def session_in_view(self) -> str:
        """Where new transfers go."""
        if self._scope.kind == "session" and (session := self.monitor.find_session(self._scope.session)) is not None:
            return session.identifier or DEFAULT_SESSION
        return DEFAULT_SESSION

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        self.adding.drag_entered(event)

    def dropEvent(self, event: QDropEvent) -> None:
        self.adding.dropped(event)

    # Background

    def do_fetch(self) -> None:
        self.spawn(self._fetch(), "background fetch by hand")

    async def _fetch(self) -> None:
        try:
            wake = await self.monitor.fetch()
        except (TransfermonError, InvalidAction) as exc:
            self.toasts.show_message(str(exc))
        else:
            if wake.verdict is not Verdict.GRANTED or wake.policy:
                self.toasts.show_message(verdict_text(wake))

    def _set_fetch_interval(self, seconds: float) -> None:
        try:
            self.monitor.set_minimum_background_fetch_interval(seconds)
        except OSError as exc:
            self._not_saved(exc)
        self.wakes.set_interval(self.monitor.background.interval)

    def _switch_channel(self, on: bool) -> None:
        try:
            self.monitor.switch_push_channel(on)
        except OSError as exc:
            self._not_saved(exc)
        if on:
            (address, *_) = self.monitor.push_channel.addresses
            self.toasts.show_message(
                tr("Push channel on. Whoever knows this address can push: {address}").format(address=address),
                action=tr("Copy"),
                on_action=lambda: QGuiApplication.clipboard().setText(address),
            )
        self._show_channel()

    def _ask_about_hosts(self) -> None:
        """A push wants to download from a host for the first time (FAULTS P13); one question for each host."""
        for host, keys in self.monitor.approvals.waiting.items():
            if host in self._asked_hosts:
                continue
            self._asked_hosts.add(host)
            shown = "\n".join(units.clean(redacted(task.url))[:100] for task in self._tasks(keys[:5]))
            ask(
                self,
                tr("May pushes download from {host}?").format(host=host),
                tr(
                    "A push asks for %n files from there:\n{shown}\nNothing was fetched yet.",
                    "A push asks for a file from there:\n{shown}\nNothing was fetched yet.",
                    len(keys),
                ).format(shown=shown),
                [marked("Always"), marked("This time"), marked("Never mind"), marked("Ask later")],
                lambda answer, _remember, host=host: self._answer_for_host(host, answer),  # type: ignore[misc]
                warning=True,
            )

    def _answer_for_host(self, host: str, answer: str) -> None:
        if not self.attached or answer == "Ask later":
            return  # the transfers stay paused in the list
        self._asked_hosts.discard(host)
        if answer == "Always":
            self._change_settings({"push_hosts": (*self.monitor.settings.push_hosts, host)})
        if answer == "Never mind":
            self.monitor.approvals.drop(host)
        else:
            self.monitor.approvals.start(host)

    def do_channel(self) -> None:
        self.show_settings("Push")

    def do_settings(self) -> None:
        self.show_settings("General")

    def show_settings(self, page: str) -> None:
        """The settings, turned to this page."""
        if not self.attached:
            return
        if not self.isVisible():
            self.raise_to_front()  # asked for in the tray
        dialog = Preferences(
            self,
            settings=self.monitor.settings,
            login=Login(starts=autostart.enabled(), hidden=autostart.minimized()),
            channel=self._channel(),
            state_dir=self._state_dir,
            tray=self._tray_available(),
        )
        dialog.changed.connect(self._change_settings)
        dialog.login_changed.connect(self._change_login)
        dialog.channel_switched.connect(self._switch_channel)
        dialog.token_given.connect(self._give_token)
        dialog.show_page(page)
        self.show_dialog("settings", dialog)

    def _change_settings(self, changes: Mapping[str, Any]) -> None:
        """Apply and save at once."""
        changes = dict(changes)
        if (scheme := changes.get("theme")) is not None:
            self.set_theme(str(scheme))
            return
        try:
            if (interval := changes.pop("fetch_interval", None)) is not None:
                self._set_fetch_interval(BACKGROUND_FETCH_INTERVAL_NEVER if interval < 0 else interval)
            if changes:
                self.monitor.update_settings(**changes)
        except OSError as exc:
            self._not_saved(exc)
        self.wakes.refresh()
        self._show_channel()
        self.refresh_soon()
        self.settings_changed.emit()

    def _not_saved(self, exc: OSError) -> None:
        self.toasts.show_message(
            tr("The setting applies now but could not be saved: {strerror}.").format(strerror=exc.strerror)
        )

    def _change_login(self, login: Login) -> None:
        try:
            autostart.set_enabled(login.starts, minimized=login.hidden)
        except OSError as exc:
            self.toasts.show_message(
                tr("The app cannot be started at login: {strerror}.").format(strerror=exc.strerror)
            )

    def _give_token(self, token: str) -> None:
        try:
            self.monitor.switch_push_channel(self.monitor.settings.push_enabled, token=token)
        except OSError as exc:
            self._not_saved(exc)
        self._show_channel()

    def _channel(self) -> Channel:
        channel = self.monitor.push_channel
        return Channel(words=channel.status.words, addresses=channel.addresses, has_token=channel.has_token)

    def _show_channel(self) -> None:
        channel, on = self.monitor.push_channel, self.monitor.settings.push_enabled
        words = channel.status.words
        self.channel_label.setText(words if on else "")
        self.actions_by_id["channel"].setText(f"{words.replace('&', '&&')}…")
        self.channel_label.setVisible(on)
        self.wakes.show_channel(
            on,
            f"{words}\n{', '.join(channel.addresses)}"
            if on
            else tr("{words}; click to switch it on").format(words=words),
        )
        if isinstance(dialog := self._dialogs.get("settings"), Preferences):
            dialog.push.show_channel(on, self._channel(), self.monitor.settings.push_topics)

    def _show_simulation(self) -> None:
        self.simulation_menu.show_state(self.monitor.simulation)
        self.simulation_mark.show_state(self.monitor.simulation)

    def _drop_connections(self) -> None:
        count = self.monitor.drop_connections()
        self.toasts.show_message(tr("%n connections were dropped.", "1 connection was dropped.", count))

    def do_videofarm(self) -> None:
        self.sidebar.select(Scope(kind="videofarm"))

    def do_background(self) -> None:
        self._turn_to(self.wakes)
        self.wakes.table.setFocus()

    def do_simulate(self) -> None:
        """What a phone does to an app that is not in front; a second call wakes it."""
        if self.monitor.suspended:
            self.monitor.wake_app()
            self.toasts.show_message(tr("The app is awake again; what ended meanwhile is told now."))
        else:
            self.monitor.suspend_app()
            self.toasts.show_message(
                tr("The app is suspended: transfers go on, listeners hear nothing until it wakes.")
            )

    def do_push(self) -> None:
        self.show_composer("")

    def show_composer(self, text: str) -> None:
        """The composer of silent pushes, with this payload or the usual one."""
        composer = PushComposer(
            self,
            text=text,
            picture=self._demo_picture(),
            allowed_hosts=self.monitor.settings.allowed_hosts,
            earlier=earlier_payloads(self.monitor.background.ledger),
        )
        composer.send_wanted.connect(lambda payload: self.spawn(self._push(composer, payload), "push by hand"))
        self.show_dialog("push", composer)

    async def _push(self, composer: PushComposer, payload: str) -> None:
        try:
            wake = await self.monitor.push(payload)
        except (ValueError, TransfermonError, InvalidAction) as exc:
            composer.refused(str(exc))
        else:
            composer.answered(wake)

    def _demo_picture(self) -> str:
        farm = self.monitor.settings.videofarm_url
        return farm.rstrip("/") + "/photos/4" if farm else ""

    def do_demo(self) -> None:
        """In a process of its own, with a state folder of its own: a person's transfers are not touched."""
        if not QProcess.startDetached(sys.executable, ["-m", "transfermon", "gui", "--demo"])[0]:
            self.toasts.show_message(tr("The demo could not be started."))

    # The window itself

    def show_dialog(self, name: str, dialog: QDialog) -> None:
        old = self._dialogs.pop(name, None)
        if old is not None:
            old.close()
        self._dialogs[name] = dialog
        dialog.finished.connect(
            lambda _result: self._dialogs.pop(name, None) if self._dialogs.get(name) is dialog else None
        )
        dialog.open()

    def toast(self, text: str, action: str = "", on_action: Callable[[], None] | None = None) -> Toast:
        return self.toasts.show_message(text, action=action, on_action=on_action)

    def do_find(self) -> None:
        self.words.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.words.selectAll()

    def do_details(self) -> None:
        self._turn_to(self.details)

    def do_events(self) -> None:
        self._turn_to(self.events)

    def _turn_to(self, panel: QWidget) -> None:
        self.tabs.setCurrentWidget(panel)
        self.tabs.show()

    def do_about(self) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("transfermon")
        except PackageNotFoundError:
            number = tr("(not installed)")
        tell(
            self,
            tr("Transfermon {number}").format(number=number),
            tr("Background transfers that survive a closed window, a crash and a reboot."),
        )

    def set_theme(self, scheme: str) -> None:
        """Change the colours at once and keep the choice."""
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        theme.apply(app, scheme)
        for action in self.theme_actions.actions():
            action.setChecked(action.data() == scheme)
        if self._monitor is not None:
            try:
                self._monitor.update_settings(theme=scheme)
            except OSError as exc:
                self._not_saved(exc)

    def raise_to_front(self, key: TaskKey | None = None) -> None:
        """Show the window above others, with this transfer selected."""
        if self.isMinimized():
            self.showNormal()
        self.show()
        self.raise_()
        self.activateWindow()
        if key is not None and self.attached:
            self.select(key)

    def toggle_visible(self) -> None:
        """What a click on the tray icon does."""
        if self.watched and self.isActiveWindow():
            self.hide_or_minimise()
        else:
            self.raise_to_front()

    def come_back(self) -> None:
        """The tray is gone: a window that is hidden in it could not be reached any more."""
        if not self.isVisible():
            self.showMinimized()

    @property
    def watched(self) -> bool:
        """Whether something of the window can be seen."""
        return self.isVisible() and not self.isMinimized()

    def do_close(self) -> None:
        self.hide_or_minimise()

    def hide_or_minimise(self) -> None:
        """Out of sight, as far as this desktop can."""
        if self._tray_available():
            self.hide()
        else:
            self.showMinimized()

    def do_quit(self) -> None:
        """Quit, after a question when transfers are not done."""
        self.ending.quit()

    def let_go(self) -> None:
        """The app ends: save the layout, close without questions."""
        self.ending.over = True
        self.detach()
        self._save_layout()
        self.preview.close()
        for dialog in list(self._dialogs.values()):
            dialog.close()
        self.close()

    def closeEvent(self, event: QCloseEvent) -> None:
        if self.ending.over:
            event.accept()
            return
        event.ignore()
        self.ending.close(tray=self._tray_available())

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not self._arranged:  # only now is it known how wide it is
            self._arranged = True
            self.across.setSizes(start_widths(self.width()))
        self._visibility()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._visibility()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.WindowStateChange:
            self._visibility()

    def _visibility(self) -> None:
        self.setUpdatesEnabled(not self.isMinimized())  # Qt paints a minimised window as if it were seen
        if self._bridge is not None:
            self._bridge.set_watched(self.watched)
        if self.watched:
            self._refresh()
        self._credentials.look()
        self.visibility_changed.emit(self.watched)

    # Layout

    def _settings(self) -> QSettings:
        return QSettings(os.path.join(self._state_dir, "window.ini"), QSettings.Format.IniFormat)

    def _save_layout(self) -> None:
        kept = self._settings()
        kept.setValue("geometry", self.saveGeometry())
        kept.setValue("across", self.across.saveState())
        kept.setValue("middle", self.middle.saveState())
        kept.setValue("columns", self.table.save_columns())
        kept.sync()

    def _restore_layout(self) -> None:
        kept = self._settings()
        for name, restore in (
            ("geometry", self.restoreGeometry),
            ("across", self.across.restoreState),
            ("middle", self.middle.restoreState),
            ("columns", self.table.restore_columns),
        ):
            value = kept.value(name)
            if isinstance(value, QByteArray) and not value.isEmpty():
                restore(value)
                self._arranged |= name == "across"


def _start_size(room: QSize) -> QSize:
    """Never larger than the screen, whose frame and title take some of it."""
    return QSize(1200, 720).boundedTo(room - QSize(8, 40))


def start_widths(width: int) -> list[int]:
    """Of sidebar, list and preview: the list's names come first, then sessions and pictures get a part of plenty."""
    sidebar, preview = min(240, max(174, round(width * 0.172))), min(420, max(240, round(width * 0.205)))
    return [sidebar, width - sidebar - preview - 2, preview]


def _status(name: str, accessible: str) -> QLabel:
    label = QLabel()
    label.setObjectName(name)
    label.setAccessibleName(accessible)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label


def _rate(rate: float) -> str:
    return units.rate(rate) if rate >= 1 else "–"


def counts_line(running: int, queued: int, waiting: int, failed: int) -> str:
    """`3 active · 5 queued`, and what else is not zero."""
    parts = [tr("%n active", "1 active", running), tr("%n queued", "1 queued", queued)]
    if waiting:
        parts.append(tr("%n waiting", "1 waiting", waiting))
    if failed:
        parts.append(tr("%n failed", "1 failed", failed))
    return "  ·  ".join(parts)


def as_curl(task: Task) -> str:
    """The same request for curl; “…” stands for what is not in the record: the values of headers, a body."""
    parts = ["curl", "-L"]
    if task.kind is Kind.DOWNLOAD:
        parts += ["-O"]
    elif task.kind is Kind.UPLOAD:
        parts += ["-X", task.method, "-T", task.file or "…"]
    else:
        parts += ["-I"] if task.method == "HEAD" else ["-X", task.method]
        parts += ["-d", "…"] if task.expected_to_send > 0 else []
    for name in task.header_names:
        parts += ["-H", f"{name}: …"]
    parts += ["--", task.url]
    return " ".join(shlex.quote(part) for part in parts)


def session_progress(tallies: Mapping[str, Tally], live: Mapping[TaskKey, Progress]) -> dict[str, float | None]:
    """How far each session's outstanding transfers are, 0.0 to 1.0; None when no total is known. Sessions with
    nothing outstanding are left out.
    """
    return {session: tally.progress(live) for session, tally in tallies.items() if tally.outstanding}
