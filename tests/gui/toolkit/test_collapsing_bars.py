"""Rows of buttons in a narrow window."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QToolButton

from transfermon.gui.toolkit import theme
from transfermon.gui.toolkit.collapsing_bars import ICON, WORDS, Bar, Note
from transfermon.gui.window.main_window import MainWindow


def button(text: str) -> QToolButton:
    made = QToolButton()
    made.setText(text)
    made.setIcon(theme.icon("pause"))
    return made


@pytest.fixture
def bar(qtbot):
    note, first, second, third = Note("note"), button("First"), button("Second"), button("Third")
    made = Bar([note, first, second, third], giving=[[first], [second, third]])
    qtbot.addWidget(made)
    note.setText("Some words beside the buttons")
    made.show()
    return made, note, (first, second, third)


def styles(buttons):
    return [made.toolButtonStyle() for made in buttons]


def test_groups_of_buttons_lose_their_words_the_last_first_and_get_them_back(bar):
    made, _, buttons = bar
    seen = []
    for width in range(600, made.minimumSizeHint().width() - 1, -1):
        made.resize(width, 40)
        if not seen or seen[-1] != styles(buttons):
            seen.append(styles(buttons))
        assert made.width() == width
    assert seen == [[WORDS, WORDS, WORDS], [WORDS, ICON, ICON], [ICON, ICON, ICON]]
    made.resize(600, 40)
    assert styles(buttons) == [WORDS, WORDS, WORDS]


def test_a_note_is_cut_and_then_gone_and_still_says_all_of_it(bar):
    made, note, _ = bar
    made.resize(900, 40)
    whole = super(Note, note).text()
    made.resize(made.width() - note.width() + note.sizeHint().width() // 2, 40)
    cut = super(Note, note).text()
    made.resize(made.minimumSizeHint().width(), 40)
    assert (whole, cut[-1], super(Note, note).text()) == (note.text(), "…", "")
    assert note.text() == "Some words beside the buttons"


@pytest.mark.parametrize("width", [1024, 1200, 1920])
def test_the_window_fits_its_size_and_nothing_of_the_toolbar_is_cut_off(
    qtbot, qapp, tmp_path, width
):
    theme.apply(qapp, "light")
    window = MainWindow(state_dir=str(tmp_path))
    qtbot.addWidget(window)
    window.resize(width, 700)
    window.show()
    assert window.width() == width
    buttons = window.toolbar.findChildren(
        QToolButton, options=Qt.FindChildOption.FindDirectChildrenOnly
    )
    named = [made for made in buttons if made.objectName().startswith(("tool_", "primary"))]
    qtbot.waitUntil(
        lambda: all(made.isVisible() and made.width() >= made.sizeHint().width() for made in named)
    )
    assert len({made.toolButtonStyle() for made in named}) == (2 if width == 1024 else 1)
    assert window.panels.words.width() >= window.panels.words.minimumWidth()
    assert window.panels.words.geometry().right() < window.toolbar.width()
