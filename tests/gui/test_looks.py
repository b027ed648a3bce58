"""How the window looks and behaves where no panel's own test says it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
    QSplitter,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

import transfermon.gui
from tests.gui.window.test_main_window import anyio_backend, in_a_world, until  # noqa: F401
from tests.helpers.records import a_task
from tests.helpers.window import give_command
from transfermon.gui.dialogs import add
from transfermon.gui.dialogs.add import AddDialog
from transfermon.gui.list.columns import Column
from transfermon.gui.list.model import TaskModel
from transfermon.gui.list.painter import draw_bar
from transfermon.gui.list.table import TaskTable
from transfermon.gui.toolkit import theme
from transfermon.gui.window.layout import start_size
from transfermon.gui.window.main_window import MainWindow
from transfermon.model.task import UNKNOWN

GUI = Path(transfermon.gui.__file__).parent


@pytest.fixture(params=["light", "dark"])
def scheme(request, qapp):
    theme.apply(qapp, request.param)
    yield request.param
    theme.apply(qapp, "light")


@pytest.fixture
def window(qtbot, tmp_path):
    made = MainWindow(state_dir=str(tmp_path), tray_available=lambda: True)
    qtbot.addWidget(made, before_close_func=lambda window: window.let_go())
    made.show()
    return made


def picture(widget: QWidget) -> QImage:
    return widget.grab().toImage()


def test_it_starts_at_a_size_that_shows_everything_and_never_larger_than_the_screen():
    assert start_size(QSize(1920, 1080)) == QSize(1200, 720)
    assert start_size(QSize(1024, 700)) == QSize(1016, 660)


def test_tables_have_no_grid_no_numbers_and_rows_of_one_height(window):
    tables = window.findChildren(QTableView)
    assert {"task_table", "events_table"} <= {table.objectName() for table in tables}
    for table in tables:
        assert not table.showGrid(), table.objectName()
        assert not table.verticalHeader().isVisible(), table.objectName()
        assert not table.wordWrap(), table.objectName()
        assert table.selectionBehavior() is QAbstractItemView.SelectionBehavior.SelectRows
    assert window.panels.table.verticalHeader().defaultSectionSize() == theme.ROW == 32


def test_the_panels_are_parted_by_a_line_of_one_pixel(window):
    splitters = window.findChildren(QSplitter)
    assert len(splitters) >= 2
    assert {splitter.handleWidth() for splitter in splitters} == {1}


def test_the_filter_is_at_the_right_end_of_the_toolbar(window):
    bar = window.toolbar
    others = [
        button for button in bar.findChildren(QToolButton) if button.isVisible() and button.text()
    ]
    assert all(button.geometry().right() < window.panels.words.x() for button in others)
    assert bar.width() - window.panels.words.geometry().right() < 20


def test_numbers_are_on_the_right_and_words_on_the_left(qtbot):
    model = TaskModel()
    model.reset([a_task()])
    right = {Column.SPEED, Column.LEFT, Column.SIZE, Column.DONE, Column.REMAINING, Column.ATTEMPTS}
    for column in Column:
        value = model.headerData(
            column, Qt.Orientation.Horizontal, Qt.ItemDataRole.TextAlignmentRole
        )
        on_the_right = (
            bool(Qt.AlignmentFlag(value) & Qt.AlignmentFlag.AlignRight)
            if value is not None
            else False
        )
        assert on_the_right or column not in right, column
    name = model.headerData(
        Column.NAME, Qt.Orientation.Horizontal, Qt.ItemDataRole.TextAlignmentRole
    )
    assert name is None or not Qt.AlignmentFlag(name) & Qt.AlignmentFlag.AlignRight


def test_an_unknown_total_is_a_piece_that_moves_and_the_bytes_so_far(qtbot):
    def bar(fraction: float | None, step: int) -> QImage:
        image = QImage(200, 8, QImage.Format.Format_RGB32)
        image.fill(0)
        painter = QPainter(image)
        draw_bar(painter, QRectF(0, 0, 200, 8), fraction, "accent", step)
        painter.end()
        return image

    assert bar(None, 0) != bar(None, 4)
    assert bar(None, 0) != bar(0.0, 0)
    assert bar(0.5, 0) == bar(0.5, 4)
    model, table = TaskModel(), TaskTable()
    qtbot.addWidget(table)
    table.setModel(model)
    model.reset([a_task(expected=UNKNOWN, received=5_000_000)])
    text = str(model.index(0, Column.PROGRESS).data())
    assert "%" not in text
    assert "5" in text


@pytest.mark.usefixtures("scheme")
@pytest.mark.parametrize(
    "make",
    [
        lambda: QPushButton("Open"),
        lambda: QLineEdit("text"),
        lambda: QPlainTextEdit("text"),
        lambda: QCheckBox("Remember"),
        lambda: QComboBox(),
        lambda: QSpinBox(),
        lambda: flat(QToolButton()),
    ],
    ids=["button", "line", "text", "check", "choice", "number", "flat"],
)
def test_the_focus_is_seen(qtbot, make):
    ground, control, other = QWidget(), make(), QLineEdit()
    if isinstance(control, QLineEdit | QPlainTextEdit | QSpinBox):
        control.setReadOnly(True)  # a cursor that blinks is no sign of the focus
    column = QVBoxLayout(ground)
    column.addWidget(control)
    column.addWidget(other)
    qtbot.addWidget(ground)
    with qtbot.waitActive(ground):
        ground.show()
        ground.activateWindow()
    other.setFocus(Qt.FocusReason.TabFocusReason)
    without = picture(control)
    control.setFocus(Qt.FocusReason.OtherFocusReason)  # with the key, text would be selected
    assert control.hasFocus()
    assert picture(control) != without


def flat(button: QToolButton) -> QToolButton:
    button.setText("Events")
    button.setProperty("flat", True)
    button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return button


@pytest.mark.anyio
@in_a_world
async def test_the_clipboard_is_read_once_when_the_dialog_opens(world, server):
    window, clipboard = world.window, QGuiApplication.clipboard()
    clipboard.setText("see https://example.com/a and more")
    give_command(window, "add")
    dialog = window.findChild(AddDialog)
    assert dialog.urls.toPlainText() == "https://example.com/a"
    clipboard.setText("https://example.com/b")
    dialog.activateWindow()
    await until(dialog.isVisible)
    assert dialog.urls.toPlainText() == "https://example.com/a"
    dialog.reject()
    clipboard.setText("no link at all")
    give_command(window, "add")
    assert window.findChildren(AddDialog)[-1].urls.toPlainText() == ""


def test_only_a_person_s_click_reads_the_clipboard(monkeypatch, window):
    read: list[str] = []

    class Clipboard:
        def text(self) -> str:
            read.append("read")
            return "https://example.com/a"

    class Application:
        @staticmethod
        def clipboard() -> Clipboard:
            return Clipboard()

    monkeypatch.setattr(add, "QGuiApplication", Application)
    window.hide()
    window.show()
    window.activateWindow()
    assert read == []
    assert add.clipboard_links()
    assert read == ["read"]


def test_no_dialog_stops_the_loop():
    """`exec()` would start a loop inside the one that moves the bytes; only the app's own may
    run.
    """
    found = []
    for path in sorted(GUI.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("exec", "exec_")
            ):
                found.append(f"{path.name}:{node.lineno}")
            if isinstance(node, ast.Attribute) and node.attr in (
                "getOpenFileName",
                "getSaveFileName",
                "getText",
            ):
                found.append(f"{path.name}:{node.lineno}")
    # QDrag's, for as long as the button is down
    assert [name.partition(":")[0] for name in found] == ["dragging.py"]
