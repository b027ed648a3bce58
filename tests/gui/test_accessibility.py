"""A walk over everything that takes the focus: each has a name for a screen reader, and the
keyboard gets there.
"""

from __future__ import annotations

import asyncio

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QAbstractSpinBox, QComboBox, QLabel, QTabBar, QWidget

from tests.gui.window.test_main_window import a_server, a_world, anyio_backend, until  # noqa: F401
from tests.helpers.window import give_command
from transfermon.gui.dialogs.add import AddDialog
from transfermon.gui.dialogs.preference_pages import Channel, StartAtLogin
from transfermon.gui.dialogs.preferences import Preferences
from transfermon.gui.dialogs.push_composer import PushComposer
from transfermon.gui.dialogs.upload import UploadDialog
from transfermon.gui.panels.sidebar import SessionProperties
from transfermon.gui.videofarm.upload_dialog import VideoUploadDialog
from transfermon.storage.settings import Settings

PAGES = ("General", "Transfers", "Background", "Push", "Notifications", "Advanced")


def controls(root: QWidget) -> list[QWidget]:
    """What takes the focus now, but for the parts that belong to another control."""
    return [
        widget
        for widget in root.findChildren(QWidget)
        if widget.isVisible()
        and widget.focusPolicy() is not Qt.FocusPolicy.NoFocus
        and widget.focusProxy() is None
        and not isinstance(widget.parent(), QComboBox | QAbstractSpinBox)
        and widget.objectName() != "qt_scrollarea_viewport"
    ]


def nameless(root: QWidget) -> list[str]:
    found = []
    for widget in controls(root):
        reader = QAccessible.queryAccessibleInterface(widget)
        assert reader is not None, widget
        if not reader.text(QAccessible.Text.Name).strip() and not isinstance(widget, QTabBar):
            found.append(f"{type(widget).__name__} {widget.objectName()}")
    return found


def beyond_the_keyboard(root: QWidget) -> list[str]:
    """Enabled controls that Tab does not come to from the first one."""
    reached: set[QWidget] = set()
    widget = root.nextInFocusChain()
    while widget is not None and widget not in reached:
        reached.add(widget)
        widget = widget.nextInFocusChain()
    return [
        f"{type(one).__name__} {one.objectName()}"
        for one in controls(root)
        if one.isEnabled()
        and not isinstance(one, QLabel)  # words to select, not a control
        and (one not in reached or not one.focusPolicy() & Qt.FocusPolicy.TabFocus)
    ]


@pytest.mark.parametrize(
    "make",
    [
        lambda: AddDialog(text="https://example.com/a", sessions=["s"], session="s"),
        lambda: UploadDialog(
            files=["/a"], addresses=["https://example.com/"], sessions=["s"], session="s"
        ),
        lambda: PushComposer(earlier=['{"a": 1}']),
        lambda: VideoUploadDialog(),
        lambda: SessionProperties(None, [("State", "active")]),
    ],
)
def test_fault_u20_every_control_of_a_dialog_has_a_name_and_is_reached_with_tab(qtbot, make):
    dialog = make()
    qtbot.addWidget(dialog)
    for more in ("add_more", "upload_more"):
        if (button := dialog.findChild(QWidget, more)) is not None:
            button.click()
    dialog.show()
    assert controls(dialog)
    assert nameless(dialog) == []
    assert beyond_the_keyboard(dialog) == []


@pytest.mark.parametrize("page", PAGES)
def test_fault_u20_every_setting_has_a_name_and_is_reached_with_tab(qtbot, page):
    dialog = Preferences(
        settings=Settings(), login=StartAtLogin(), channel=Channel(), state_dir="/state"
    )
    qtbot.addWidget(dialog)
    dialog.show()
    dialog.show_page(page)
    assert nameless(dialog) == []
    assert beyond_the_keyboard(dialog) == []


@pytest.mark.anyio
async def test_fault_u20_every_control_of_the_window_has_a_name_and_every_state_is_in_words(
    tmp_path,
):
    async with a_server() as server, a_world(str(tmp_path)) as world:
        window = world.window
        world.add(f"{server.url}/a.bin", f"{server.url}/missing", f"{server.url}/slow")
        await until(
            lambda: (
                window.panels.pages.currentWidget() is window.panels.table
                and window.panels.model.rowCount() == 3
            )
        )
        await until(lambda: sum(task.succeeded for task in world.monitor.tasks()) == 1)
        world.select(world.monitor.tasks()[0].key)
        for tab in range(window.panels.tabs.count()):
            window.panels.tabs.setCurrentIndex(tab)
            await asyncio.sleep(0)
            assert nameless(window) == [], window.panels.tabs.tabText(tab)
        window.panels.tabs.setCurrentWidget(window.panels.details)
        for tab in range(window.panels.details.tabs.count()):
            window.panels.details.tabs.setCurrentIndex(tab)
            await asyncio.sleep(0)
            assert nameless(window) == [], window.panels.details.tabs.tabText(tab)
        give_command(window, "videofarm")
        await asyncio.sleep(0)
        assert nameless(window) == []
        spoken = []
        for row in range(window.panels.model.rowCount()):
            cells = (
                window.panels.model.index(row, column)
                for column in range(window.panels.model.columnCount())
            )
            spoken.append(
                " ".join(
                    str(cell.data(Qt.ItemDataRole.AccessibleTextRole) or cell.data())
                    for cell in cells
                )
            )
        assert any("Done" in words for words in spoken)
        assert any("Failed" in words for words in spoken)
