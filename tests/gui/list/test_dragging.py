from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel

from tests.helpers.records import a_finished_task, a_task
from transfermon.gui.list.columns import Column
from transfermon.gui.list.dragging import data_of, picture, words_for
from transfermon.gui.list.model import TaskModel
from transfermon.gui.list.table import TaskTable
from transfermon.model.task import TaskKey

NO_KEY, CTRL, SHIFT = (
    getattr(Qt.KeyboardModifier, name)
    for name in ("NoModifier", "ControlModifier", "ShiftModifier")
)
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def file(tmp_path):
    (path := tmp_path / "a b#é.png").write_bytes(b"x")
    return str(path)


def test_files_are_dragged_as_addresses_of_files_and_as_paths(qapp, file):
    data = data_of([a_finished_task(final_path=file)])
    assert data.hasFormat("text/uri-list")
    assert [url.toLocalFile() for url in data.urls()] == [file]
    assert data.text() == file


def test_what_is_not_finished_is_dragged_as_its_address(qapp, file):
    running, done = (
        a_task(number=1, url="https://example.com/a", final_path=file),
        a_finished_task(final_path=file),
    )
    assert not data_of([running]).hasUrls()
    assert data_of([running]).text() == "https://example.com/a"
    mixed = data_of([running, done])
    assert [url.toLocalFile() for url in mixed.urls()] == [file]
    assert mixed.text().splitlines() == ["https://example.com/a", file]


def test_a_file_that_could_not_be_opened_is_not_given_away(qapp, file, tmp_path):
    (tmp_path / "link").symlink_to(file)
    for path in (tmp_path / "gone", tmp_path / "link", tmp_path):
        assert not data_of([a_finished_task(final_path=str(path))]).hasUrls()


@pytest.mark.parametrize(
    ("names", "files", "words"),
    [(["a.png"], 1, "a.png"), (["a", "b", "c"], 3, "3 files"), (["a", "b", "c"], 2, "3 transfers")],
)
def test_the_picture_names_one_and_counts_more(names, files, words):
    assert words_for(names, files) == words


def test_the_picture_stays_small(qtbot):
    source = QLabel()
    qtbot.addWidget(source)
    assert (
        picture("a.png", source, "file").width() < picture("x" * 30, source, "file").width() <= 320
    )
    assert picture("x" * 500, source, "file").width() <= 320


class Table(TaskTable):
    """Says what would be dragged."""

    dragged: list[TaskKey] | None = None

    def startDrag(self, _supported: Qt.DropAction) -> None:
        self.dragged = self.selected_keys()


@pytest.fixture
def table(qtbot):
    model, made = TaskModel(), Table()
    qtbot.addWidget(made)
    model.setParent(made)
    model.reset([a_task(number=number, name=f"{number}.png") for number in (1, 2, 3, 4)])
    made.setModel(model)
    made.sortByColumn(Column.NUMBER, Qt.SortOrder.AscendingOrder)
    made.resize(900, 400)
    made.show()
    return made


def at(table: Table, row: int, column: Column = Column.STATUS) -> QPoint:
    return table.visualRect(table.model().index(row, column)).topLeft() + QPoint(14, 10)


def pull(table: Table, begin: QPoint, end: QPoint, modifier: Qt.KeyboardModifier = NO_KEY) -> None:
    QTest.mousePress(table.viewport(), LEFT, modifier, begin)
    for step in range(1, 5):
        point = QPointF(begin + (end - begin) * step / 4)
        event = QMouseEvent(
            QEvent.Type.MouseMove,
            point,
            table.viewport().mapToGlobal(point),
            Qt.MouseButton.NoButton,
            LEFT,
            modifier,
        )
        QApplication.sendEvent(table.viewport(), event)
    QTest.mouseRelease(table.viewport(), LEFT, modifier, end)


def numbers(keys: list[TaskKey] | None) -> list[int]:
    return [key.number for key in keys or []]


def test_selected_rows_are_dragged_together(table):
    QTest.mouseClick(table.viewport(), LEFT, NO_KEY, at(table, 0))
    QTest.mouseClick(table.viewport(), LEFT, SHIFT, at(table, 2))
    pull(table, at(table, 1), at(table, 3))
    assert numbers(table.dragged) == [1, 2, 3]
    assert numbers(table.selected_keys()) == [1, 2, 3]


def test_a_name_is_dragged_without_a_click_before(table):
    pull(table, at(table, 1, Column.NAME), at(table, 3))
    assert numbers(table.dragged) == [2]


def test_a_pull_beside_the_name_selects(table):
    pull(table, at(table, 0), at(table, 2))
    assert table.dragged is None
    assert numbers(table.selected_keys()) == [1, 2, 3]


@pytest.mark.parametrize("modifier", [CTRL, SHIFT])
def test_a_pull_with_a_key_selects(table, modifier):
    QTest.mouseClick(table.viewport(), LEFT, NO_KEY, at(table, 0))
    pull(table, at(table, 1, Column.NAME), at(table, 2), modifier)
    assert table.dragged is None
    assert len(table.selected_keys()) > 1


def test_a_hand_that_trembles_clicks(table):
    QTest.mouseClick(table.viewport(), LEFT, NO_KEY, at(table, 0))
    QTest.mouseClick(table.viewport(), LEFT, SHIFT, at(table, 2))
    pull(table, at(table, 1), at(table, 1) + QPoint(2, 1))
    assert table.dragged is None
    assert numbers(table.selected_keys()) == [2]


def test_the_model_says_nothing_of_dragging_for_each_cell():
    assert "flags" not in vars(TaskModel)
