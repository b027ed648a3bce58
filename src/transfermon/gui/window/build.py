"""Puts a window together of its commands: actions, menus, toolbar, and the menu of selected
transfers.

Rule: one action for each command; menus, toolbar and tray share them.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QSizePolicy, QToolButton, QWidget

from transfermon.gui.toolkit import theme
from transfermon.gui.toolkit.collapsing_bars import Toolbar
from transfermon.gui.window.background_commands import drop_connections
from transfermon.gui.window.command import TABLE, Command
from transfermon.gui.window.commands import BY_ID, COMMANDS, GIVING, MENUS, TOOLBAR
from transfermon.gui.window.context import WindowContext
from transfermon.gui.window.settings_commands import set_theme
from transfermon.gui.window.task_menu import MenuItem, menu_for
from transfermon.model.task import TaskKey
from transfermon.model.translate import marked, tr
from transfermon.wire.simulation import NONE

THEMES = (("system", marked("&System")), ("light", marked("&Light")), ("dark", marked("&Dark")))


def make_actions(context: WindowContext) -> None:
    for command in COMMANDS:
        context.actions[command.id] = _action_of(context, command)
        if command.where == TABLE:
            context.panels.table.addAction(context.actions[command.id])
    add = context.actions["add"]
    context.primary_add.setIconText(add.iconText())
    context.primary_add.setToolTip(add.toolTip())
    context.primary_add.triggered.connect(add.trigger)
    context.panels.empty.add_button.clicked.connect(lambda: BY_ID["add"].run(context))
    context.panels.empty.demo_button.clicked.connect(lambda: BY_ID["demo"].run(context))


def _action_of(context: WindowContext, command: Command) -> QAction:
    action = QAction(tr(command.text), context.window)
    action.setObjectName(f"action_{command.id}")
    action.setIconText(tr(command.label or command.text).replace("&", ""))
    action.triggered.connect(lambda: command.run(context))
    if command.keys:
        action.setShortcut(QKeySequence(command.keys))
    if command.keys == "Return":  # the key of the number pad is another one for Qt
        action.setShortcuts([QKeySequence(command.keys), QKeySequence("Enter")])
    if command.where == TABLE:
        action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
    keys = f" ({command.keys})" if command.keys else ""
    action.setToolTip(tr(command.tip or command.text).replace("&", "") + keys)
    return action


def tint_actions(context: WindowContext) -> None:
    """In the colours of now."""
    for command in COMMANDS:
        if command.icon:
            context.actions[command.id].setIcon(theme.icon(command.icon))
    context.primary_add.setIcon(theme.icon("plus", "on_accent"))


def fill_menu_bar(context: WindowContext) -> None:
    bar = context.window.menuBar()
    menus = {title: bar.addMenu(tr(text)) for title, text in MENUS.items()}
    for command in COMMANDS:
        title, slash, _ = command.menu.partition("/")
        if slash and not menus[title].isEmpty():
            menus[title].addSeparator()
        menus[title].addAction(context.actions[command.id])
    simulation = context.panels.simulation_menu
    simulation.wanted.connect(lambda wanted: context.monitor.bad_network.simulate(wanted))
    simulation.drop_wanted.connect(lambda: drop_connections(context))
    menus["Background"].addMenu(simulation)
    themes = menus["View"].addMenu(tr("&Theme"))
    for scheme, text in THEMES:
        action = themes.addAction(tr(text))
        action.setCheckable(True)
        action.setData(scheme)
        context.theme_actions.addAction(action)
    context.theme_actions.triggered.connect(lambda action: set_theme(context, str(action.data())))


def make_toolbar(context: WindowContext) -> Toolbar:
    bar = Toolbar(tr("Toolbar"))
    buttons: dict[str, QToolButton] = {}
    for name in TOOLBAR:
        if not name:
            bar.addSeparator()
            continue
        action = context.primary_add if name == "add" else context.actions[name]
        bar.addAction(action)
        button = bar.widgetForAction(action)
        assert isinstance(button, QToolButton)
        button.setObjectName("primary" if name == "add" else f"tool_{name}")
        buttons[name] = button
        button.setAccessibleName(action.iconText())
    space = QWidget()
    space.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    bar.addWidget(space)
    bar.addWidget(context.panels.words)
    bar.set_giving([[buttons[name] for name in group] for group in GIVING])
    context.window.addToolBar(bar)
    return bar


def fill_status_bar(context: WindowContext) -> None:
    context.panels.status.place_in(context.window.statusBar())
    context.panels.status.simulation_mark.clicked.connect(
        lambda: context.monitor.bad_network.simulate(NONE)
    )


def task_menu(context: WindowContext, keys: Sequence[TaskKey]) -> QMenu:
    """What can be done with these."""
    menu = QMenu(context.window)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    inner: dict[str, QMenu] = {}
    for item in menu_for(context.tasks(keys)):
        if item is None:
            menu.addSeparator()
            continue
        if item.group and item.group not in inner:
            inner[item.group] = menu.addMenu(theme.icon("list"), item.group)
            inner[item.group].setEnabled(item.enabled)
        owner = inner.get(item.group, menu)
        owner.addAction(_menu_action(context, item, owner))
    return menu


def _menu_action(context: WindowContext, item: MenuItem, menu: QMenu) -> QAction:
    # shown only: the key belongs to the window's action
    keys = f"\t{item.shortcut}" if item.shortcut else ""
    action = QAction(theme.icon(item.icon), item.text + keys, menu)
    action.setEnabled(item.enabled)
    if item.checked is not None:
        action.setCheckable(True)
        action.setChecked(item.checked)
    action.setObjectName(f"menu_{item.action}")
    action.triggered.connect(lambda: BY_ID[item.action].run(context))
    return action
