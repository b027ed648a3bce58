"""Faults, group U: what outside text cannot do to the window, the desktop and the sessions."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QApplication, QLabel, QMessageBox, QTextBrowser, QTextEdit, QWidget

from tests.helpers import desktop
from tests.helpers.records import a_failed_task, a_finished_task, a_task
from transfermon.engine.monitor import Monitor
from transfermon.gui.dialogs.questions import tell
from transfermon.gui.list.columns import Column
from transfermon.gui.list.model import TaskModel
from transfermon.gui.list.table import TaskTable
from transfermon.gui.panels.preview import Preview
from transfermon.gui.toolkit.toasts import Toasts
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.errors import Code, TransferError
from transfermon.system.notifier import BODY, TITLE, Notifier

pytestmark = pytest.mark.anyio
PLAIN = Qt.TextFormat.PlainText


def evil(source: str) -> str:
    return f'<b>x</b><img src="{source}"><a href="{source}">y</a>'


def red(folder: Path) -> str:
    image = QImage(40, 40, QImage.Format.Format_RGB32)
    image.fill(QColor(255, 0, 0))
    assert image.save(str(folder / "x.png"))
    return f"file://{folder}/x.png"


def has_red(widget: QWidget) -> bool:
    """Whether the picture of `red` is drawn somewhere in it: a square of that color."""
    shot = widget.grab().toImage()
    return any(
        shot.pixelColor(x, y) == QColor(255, 0, 0) == shot.pixelColor(x + 4, y + 4)
        for x in range(0, shot.width() - 4, 4)
        for y in range(0, shot.height() - 4, 4)
    )


@contextlib.contextmanager
def places_of(qtbot: Any, text: str) -> Iterator[list[QWidget]]:
    """Where outside text is shown, each with this text in it."""
    error = TransferError(
        code=Code.BAD_SERVER_RESPONSE, message=text, hint=text, reason="http.status", status=404
    )
    task = a_failed_task(name=text, url=f"http://example.org/{text}", error=error)
    preview = Preview()
    qtbot.addWidget(preview, before_close_func=lambda preview: preview.pictures.close())
    preview.resize(400, 500)
    preview.show_tasks([task])
    table, model = TaskTable(), TaskModel()
    qtbot.addWidget(table)
    model.reset([task])
    table.setModel(model)
    table.resize(1200, 200)
    host = QWidget()
    qtbot.addWidget(host)
    host.resize(800, 300)
    Toasts(host).show_message(text)
    box = tell(host, text, text)
    yield [preview, table, host, box]
    box.close()


def test_the_eye_of_these_tests_sees_the_picture(qtbot: Any, tmp_path: Path):
    label = QLabel(evil(red(tmp_path)))
    qtbot.addWidget(label)
    assert has_red(label)


def test_fault_u1_markup_is_shown_as_it_is_and_no_picture_is_drawn(qtbot: Any, tmp_path: Path):
    with places_of(qtbot, evil(red(tmp_path))) as places:
        for place in places:
            place.show()
            assert not has_red(place), place


def test_fault_u2_nothing_is_asked_for_by_text(qtbot: Any):
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.setblocking(False)
        with places_of(qtbot, evil(f"http://127.0.0.1:{canary.getsockname()[1]}/x.png")) as places:
            for place in places:
                place.show()
                place.grab()
                QApplication.processEvents()
        with pytest.raises(BlockingIOError):
            canary.accept()


def test_fault_u3_no_widget_reads_markup_in_outside_text(qtbot: Any):
    with places_of(qtbot, evil("x.png")) as places:
        for place in places:
            rich = [
                child
                for child in [place, *place.findChildren(QWidget)]
                if (
                    isinstance(child, QLabel)
                    and "<b>" in child.text()
                    and child.textFormat() is not PLAIN
                )
                or (isinstance(child, QMessageBox) and child.textFormat() is not PLAIN)
                or isinstance(child, QTextBrowser)
                or (isinstance(child, QTextEdit) and child.acceptRichText())
            ]
            assert rich == []


def test_fault_u6_an_ampersand_in_a_name_is_shown_and_makes_no_shortcut(qtbot: Any):
    preview = Preview()
    qtbot.addWidget(preview, before_close_func=lambda preview: preview.pictures.close())
    preview.show_tasks([a_finished_task(name="salt & pepper &x.bin", final_path="/nowhere/x.bin")])
    assert "salt & pepper &x.bin" in preview.foot.name.text().replace("\u200b", "")
    assert preview.foot.name.buddy() is None  # without one a label draws an ampersand as it is
    model = TaskModel()
    model.reset([a_task(name="salt & pepper &x.bin")])
    assert model.index(0, Column.NAME).data() == "salt & pepper &x.bin"


LONG = {
    "long": "x" * 100_000,
    "marks": "a" + "\u0301" * 10_000,
    "family": "\U0001f469\u200d\U0001f469\u200d\U0001f467" * 3_000,
    "arabic": "\u0645\u0644\u0641 123 " * 5_000,
}


@pytest.mark.parametrize("name", LONG)
def test_fault_u7_a_monstrous_name_leaves_the_list_as_it_is(qtbot: Any, name: str):
    table, model = TaskTable(), TaskModel()
    qtbot.addWidget(table)
    table.setModel(model)
    table.resize(900, 300)
    model.reset([a_task(name="a.bin")])
    table.show()
    table.grab()
    before = table.visualRect(model.index(0, Column.NAME))
    model.reset([a_task(name=LONG[name])])
    began = time.thread_time()
    table.grab()
    assert time.thread_time() - began < 1.0  # 100 ms as a rule
    assert table.visualRect(model.index(0, Column.NAME)) == before


async def test_fault_u8_what_reaches_the_desktop_is_escaped_cut_and_on_one_line(
    monkeypatch: pytest.MonkeyPatch,
):
    if desktop.DAEMON is None:
        pytest.skip(desktop.WHY_NOT)
    with desktop.running() as screen:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", screen.address)
        notifier = Notifier()
        text = '<img src="file:///x.png"><a href="http://x">y</a>\x1b]0;z\x07\n\u202e' + "w" * 1000
        assert await notifier.send(text, text)
        (shown,) = screen.shown
        assert "<" not in shown.body
        assert not any(char in shown.title + shown.body for char in "\x1b\x07\n\u202e")
        assert len(shown.title) <= TITLE
        assert len(shown.body) <= BODY + 100  # the escapes


async def test_fault_u10_a_service_that_dies_is_found_out_and_one_that_comes_is_found_again(
    monkeypatch: pytest.MonkeyPatch,
):
    if desktop.DAEMON is None:
        pytest.skip(desktop.WHY_NOT)
    notifier = Notifier()
    with desktop.running() as screen:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", screen.address)
        assert await notifier.send("title", "body")
    assert not await notifier.send("title", "body")
    assert not notifier.available
    with desktop.running() as screen:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", screen.address)
        assert await notifier.send("title", "again")
        assert [shown.body for shown in screen.shown] == ["again"]


@pytest.mark.parametrize("name", ["", " ", "a\0b", "a\nb", "x" * 1_000_000, "\x1b[31m"])
async def test_fault_u16_a_session_name_that_cannot_be_is_refused(monitor: Monitor, name: str):
    with pytest.raises(ValueError, match="identifier"):
        monitor.session(name)
    assert monitor.sessions == ()


@pytest.mark.parametrize(
    "name", ["'; drop table task; --", "../../etc/passwd", "a/b", "%00", "<b>x</b>"]
)
async def test_fault_u16_an_odd_session_name_is_only_a_name(
    monitor: Monitor, tmp_path: Path, name: str
):
    session = monitor.session(name)
    task = session.download_task("http://example.org/a.bin", start=False)
    await task.accepted
    assert monitor.session(name) is session
    assert monitor.create_session(SessionConfiguration.background(name)) is session
    assert [record.key for record in monitor.tasks()] == [task.key]
    assert not [path for path in tmp_path.rglob("*") if "passwd" in path.name]
