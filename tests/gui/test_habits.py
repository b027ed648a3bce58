"""What people bring along from other programs: keys, menus, undo, and models that keep Qt's
rules.
"""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from PySide6.QtCore import QAbstractItemModel, QTimer
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QAbstractItemModelTester

import transfermon.gui
from tests.gui.panels.test_event_list import story
from tests.gui.panels.test_sidebar import TASKS, a_session
from tests.gui.videofarm.test_page import a_video
from tests.gui.window.test_main_window import in_a_world, until
from tests.helpers.qt_loop import qt_backend
from tests.helpers.records import (
    a_failed_task,
    a_finished_task,
    a_paused_task,
    a_queued_task,
    a_task,
    tally_of,
)
from tests.helpers.window import give_command
from transfermon.gui.panels.event_log import EventLine, EventModel
from transfermon.gui.panels.sidebar import SidebarModel, session_items
from transfermon.gui.videofarm.cards import VideoFilter, VideoModel
from transfermon.gui.window.main_window import MainWindow
from transfermon.gui.window.task_menu import menu_for
from transfermon.model.task import State

FATAL = QAbstractItemModelTester.FailureReportingMode.Fatal


@pytest.fixture
def anyio_backend(qapp):
    return qt_backend(qapp)


@pytest.fixture
def window(qtbot, tmp_path):
    made = MainWindow(state_dir=str(tmp_path))
    yield made
    made.let_go()
    made.deleteLater()


KEYS = {
    "Ctrl+N": "add",
    "Ctrl+V": "paste",
    "Ctrl+O": "open_list",
    "Ctrl+F": "find",
    "Ctrl+C": "copy_url",
    "Ctrl+A": "select_all",
    "Return": "open",
    "Space": "toggle",
    "Ctrl+I": "details",
    "Del": "remove",
    "Shift+Del": "remove_and_delete",
    "Ctrl+Shift+B": "fetch",
    "Ctrl+Shift+S": "push",
    "Ctrl+,": "settings",
    "Ctrl+W": "close",
    "Ctrl+Q": "quit",
}


def test_every_key_is_shown_in_a_menu_and_every_command_is_in_one(window):
    in_menus = [action for menu in window.menuBar().actions() for action in menu.menu().actions()]
    keys = {
        action.shortcut(): action.objectName()
        for action in in_menus
        if not action.shortcut().isEmpty()
    }
    for key, name in KEYS.items():
        assert keys[QKeySequence(key)] == f"action_{name}"
    assert set(window.context.actions.values()) <= set(in_menus)


def test_the_menu_bar_is_in_the_order_that_people_know(window):
    titles = [action.text().replace("&", "") for action in window.menuBar().actions()]
    assert titles == ["Transfer", "Edit", "Background", "View", "Help"]
    edit = window.menuBar().actions()[1].menu().actions()
    assert [action.objectName().removeprefix("action_") for action in edit] == [
        *("select_all", "", "pause_all", "resume_all", "retry_failed", "", "find", "", "settings")
    ]


MENU = [
    *("open", "show_in_folder", None),
    *("resume", "pause", "cancel", "retry", "retry_url", None),
    *("copy_url", "copy_curl", "copy_events", None),
    *("priority_high", "priority_normal", "priority_low", "queue_first", "queue_last"),
    *("verify", "speed_limit", None),
    *("remove", "remove_and_delete", None),
    "details",
]
ANY = {"copy_url", "copy_curl", "remove", "remove_and_delete"}
ONE = {*ANY, "show_in_folder", "copy_events", "details"}
TO_COME = {"cancel", "priority_high", "priority_normal", "priority_low", "speed_limit"}


@pytest.mark.parametrize(
    ("tasks", "can"),
    [
        ([a_task(number=1)], {*ONE, *TO_COME, "pause"}),
        ([a_queued_task(number=1)], {*ONE, *TO_COME, "pause", "queue_first", "queue_last"}),
        ([a_paused_task(number=1)], {*ONE, *TO_COME, "resume"}),
        ([a_finished_task(number=1)], {*ONE, "open", "verify"}),
        ([a_failed_task(number=1)], {*ONE, "retry", "retry_url"}),
        ([a_task(number=1), a_paused_task(number=2)], {*ANY, *TO_COME, "pause", "resume"}),
        ([a_finished_task(number=1), a_failed_task(number=2)], {*ANY, "retry"}),
    ],
    ids=[
        "running",
        "queued",
        "paused",
        "finished",
        "failed",
        "running and paused",
        "finished and failed",
    ],
)
def test_the_menu_of_transfers(tasks, can):
    items = menu_for(tasks)
    assert [item.action if item else None for item in items] == MENU
    assert {item.action for item in items if item and item.enabled} == can


def test_the_menu_of_a_session_has_this_order():
    items = [item.action if item else None for item in session_items("active", named=True)]
    assert items == [
        "new",
        None,
        "finish",
        "cancel",
        None,
        "flush",
        "reset",
        None,
        "copy",
        "properties",
    ]


# Models


def test_the_sidebar_keeps_qts_rules_while_sessions_come_and_go(qapp):
    model = SidebarModel()
    tester = QAbstractItemModelTester(model, FATAL)
    films, books, maps = (
        a_session("films"),
        a_session("books"),
        a_session("maps", state="finishing"),
    )
    for sessions in ([films], [books, films, maps], [maps], [], [films, maps]):
        model.update(tally_of(TASKS), sessions)
        model.set_progress({"films": 0.5, "maps": None})
        model.update({}, sessions)
        model.set_progress({})
    assert tester.model() is model


def test_the_events_keep_qts_rules_while_they_come_and_the_oldest_go(qapp):
    model = EventModel(most=10)
    tester = QAbstractItemModelTester(model, FATAL)
    for times in (1, 2, 5, 1):
        model.append([EventLine(event) for event in story() * times])
    model.reset([EventLine(event) for event in story()])
    model.reset([])
    assert tester.model() is model


def test_the_videos_found_keep_qts_rules_while_the_words_change(qapp):
    model = VideoModel()
    found = VideoFilter(model)
    found.setSourceModel(model)
    tester = QAbstractItemModelTester(found, FATAL)
    model.reset([a_video(1), a_video(2)])
    for words in ("nothing has this", "", "1", "2"):
        found.set_words(words)
        model.reset([a_video(2), a_video(3)])
    assert tester.model() is found


def test_each_model_has_a_test_of_qts_rules(qapp):
    for module in pkgutil.iter_modules(transfermon.gui.__path__):
        importlib.import_module(f"transfermon.gui.{module.name}")

    def below(cls):
        for one in cls.__subclasses__():
            yield one
            yield from below(one)

    ours = {
        one.__name__
        for one in below(QAbstractItemModel)
        if one.__module__.startswith("transfermon.")
    }
    assert ours == {
        "TaskModel",
        "SidebarModel",
        "EventModel",
        "WakeModel",
        "VideoModel",
        "VideoFilter",
    }


# In the window


@pytest.mark.anyio
@in_a_world
async def test_select_all_means_what_the_filter_shows(world, server):
    world.add(f"{server.url}/a.bin", f"{server.url}/b.bin", start=False)
    await until(lambda: world.window.panels.model.rowCount() == 2)
    world.window.panels.words.setText("a.bin")
    world.window.context.actions["select_all"].trigger()
    assert [world.monitor.task(key).url for key in world.window.context.selected] == [
        f"{server.url}/a.bin"
    ]


@pytest.mark.anyio
@in_a_world
async def test_undo_can_be_chosen_for_eight_seconds(world, server):
    world.add(f"{server.url}/a.bin", start=False)
    await until(lambda: world.window.panels.model.rowCount() == 1)
    world.select(world.monitor.tasks()[0].key)
    give_command(world.window, "remove")
    toast = world.window.panels.toasts.shown[-1]
    assert toast.findChild(QTimer).interval() == 8000
    assert "files are kept" in toast.label.text()


@pytest.mark.anyio
@in_a_world
async def test_retry_all_failed_leaves_the_others_alone(world, server):
    world.add(f"{server.url}/missing1", f"{server.url}/missing2", f"{server.url}/a.bin")
    await until(lambda: world.states() == [State.COMPLETED] * 3)
    runs = [run for session in world.monitor.sessions for run in session.tasks]
    await until(lambda: not any(run.on_the_way for run in runs))  # all of it was told
    ran = set()
    world.monitor.subscribe(
        lambda event: (
            ran.add(event.task.url) if event.task and event.task.state is State.RUNNING else None
        )
    )
    world.window.context.actions["retry_failed"].trigger()
    await until(lambda: len(ran) == 2 and world.states() == [State.COMPLETED] * 3)
    assert ran == {f"{server.url}/missing1", f"{server.url}/missing2"}


@pytest.mark.anyio
@in_a_world
async def test_each_close_asks_anew_whether_there_is_a_tray(world, server):
    world.monitor.preferences.update(close_to="tray")
    for there in (True, False, True):
        world.tray.available = there
        world.window.showNormal()
        world.window.close()
        assert (world.window.isVisible(), world.window.isMinimized()) == (not there, not there)
        world.window.showNormal()


@pytest.mark.anyio
@in_a_world
async def test_what_was_notified_is_in_the_events(world, server):
    world.monitor.notify("A title", "and its words")
    await until(
        lambda: any("A title" in line.words for line in world.window.panels.events.model.lines)
    )
