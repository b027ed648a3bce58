from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import os
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import (
    QBuffer,
    QByteArray,
    QCoreApplication,
    QEvent,
    QIODevice,
    QMimeData,
    QPoint,
    QPointF,
    Qt,
    QUrl,
)
from PySide6.QtGui import (
    QAction,
    QDragEnterEvent,
    QDropEvent,
    QGuiApplication,
    QImage,
    QKeySequence,
)
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QFileDialog,
    QInputDialog,
    QLineEdit,
    QMenu,
    QMessageBox,
    QProgressDialog,
    QPushButton,
    QSpinBox,
    QToolButton,
)

from tests.helpers import nginx as nginx_server
from tests.helpers.qt_loop import qt_backend
from tests.helpers.records import tally_of
from tests.helpers.window import give_command
from transfermon.engine.monitor import Monitor
from transfermon.engine.new_task import NewTask
from transfermon.gui.dialogs.add import DOWNLOAD, AddDialog, AddRequest
from transfermon.gui.dialogs.preferences import Preferences
from transfermon.gui.dialogs.upload import WHOLE_FILE, UploadDialog, UploadRequest
from transfermon.gui.list.scope import Scope
from transfermon.gui.panels.details import says_resumable
from transfermon.gui.panels.sidebar import SessionProperties
from transfermon.gui.toolkit import files
from transfermon.gui.window import adding, build, checksum, session_commands, settings_commands
from transfermon.gui.window.bridge import Bridge
from transfermon.gui.window.closing import KEEP, closing, quit_words
from transfermon.gui.window.commands import COMMANDS, TOOLBAR, TRAY, enabled
from transfermon.gui.window.kept_layout import restore_layout, save_layout
from transfermon.gui.window.layout import start_widths
from transfermon.gui.window.main_window import MainWindow, session_progress
from transfermon.gui.window.status_line import counts_line
from transfermon.gui.window.task_commands import PRIORITIES, as_curl, toggled
from transfermon.gui.window.text_file import read_text
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.errors import TransferError
from transfermon.model.task import (
    Action,
    Kind,
    Origin,
    Progress,
    Rate,
    State,
    Task,
    TaskKey,
    changed,
)
from transfermon.storage.settings import Settings
from transfermon.system import autostart
from transfermon.system.runners import Runners
from transfermon.videofarm.sync import VideoSync
from transfermon.wire.simulation import NONE, Simulation

pytestmark = pytest.mark.anyio
BODY = b"picture" * 1000
FAILED = TransferError(code=-1004, message="The server refused the connection.")


@pytest.fixture
def anyio_backend(qapp):
    return qt_backend(qapp)


def a_task(number: int = 1, **fields: Any) -> Task:
    values = {
        "session": "s",
        "number": number,
        "kind": Kind.DOWNLOAD,
        "url": "https://example.com/a",
        **fields,
    }
    return Task(**values)


RUNNING = a_task(1, state=State.RUNNING)
PAUSED = a_task(2, state=State.SUSPENDED, suspend_count=1)
DONE = a_task(3, state=State.COMPLETED)
BROKEN = a_task(4, state=State.COMPLETED, error=FAILED)


# Tables


@pytest.mark.parametrize(
    ("selected", "shown", "can"),
    [
        ([], [], set()),
        ([], [RUNNING, DONE], {"pause", "select_all"}),
        ([], [PAUSED, BROKEN], {"resume", "retry", "select_all"}),
        ([RUNNING], [RUNNING], {"pause", "cancel", "remove", "toggle"}),
        ([PAUSED], [PAUSED], {"resume", "cancel", "remove", "toggle"}),
        ([DONE], [DONE, RUNNING], {"remove"}),
        ([BROKEN], [BROKEN], {"retry", "retry_url", "remove"}),
        ([RUNNING, PAUSED], [RUNNING, PAUSED], {"pause", "resume", "cancel", "remove", "toggle"}),
    ],
)
def test_a_command_can_be_given_where_a_task_can_take_it(selected, shown, can):
    offered = {name for name, yes in enabled(selected, shown).items() if yes}
    assert ("priority_low" in offered) is ("speed_limit" in offered) is ("cancel" in can)
    assert ("copy_events" in offered) is (len(selected) == 1)
    offered -= {"verify"}
    offered -= {*PRIORITIES, "speed_limit", "copy_events"}
    assert offered - {
        "open",
        "show_in_folder",
        "copy_url",
        "copy_curl",
        "remove_and_delete",
        "select_all",
    } == can - {"select_all"}
    assert ("select_all" in offered) is bool(shown)


@pytest.mark.parametrize(
    ("selected", "action"),
    [([RUNNING], Action.SUSPEND), ([PAUSED], Action.RESUME), ([RUNNING, PAUSED], Action.SUSPEND)],
)
def test_space_pauses_while_anything_runs(selected, action):
    assert toggled(selected) is action


@pytest.mark.parametrize(
    ("close_to", "tray", "act"),
    [
        ("ask", True, "ask"),
        ("ask", False, "minimise"),
        ("tray", True, "hide"),
        ("tray", False, "minimise"),
        ("quit", True, "quit"),
        ("quit", False, "quit"),
    ],
)
def test_what_the_x_does(close_to, tray, act):
    assert closing(close_to, tray).act == act


@pytest.mark.parametrize(
    ("outstanding", "after_quit", "words"),
    [
        (0, "ask", ""),
        (1, "no", "1 transfer is saved and resumes at the next start."),
        (3, "no", "3 transfers are saved and resume at the next start."),
        (1, "yes", "1 transfer goes on in the background, without a window."),
        (3, "yes", "3 transfers go on in the background, without a window."),
        (
            3,
            "ask",
            f"3 transfers are saved and resume at the next start. “{KEEP}” lets them go on now, without a window.",
        ),
    ],
)
def test_quitting_says_what_happens(outstanding, after_quit, words):
    assert quit_words(outstanding, after_quit) == words


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("add", "Ctrl+N"),
        ("paste", "Ctrl+V"),
        ("open_list", "Ctrl+O"),
        ("find", "Ctrl+F"),
        ("copy_url", "Ctrl+C"),
        ("select_all", "Ctrl+A"),
        ("open", "Return"),
        ("toggle", "Space"),
        ("remove", "Del"),
        ("remove_and_delete", "Shift+Del"),
        ("fetch", "Ctrl+Shift+B"),
        ("push", "Ctrl+Shift+S"),
        ("close", "Ctrl+W"),
        ("quit", "Ctrl+Q"),
    ],
)
def test_the_keys_that_people_bring_along(name, keys):
    assert {command.id: command.keys for command in COMMANDS}[name] == keys


def test_no_two_commands_share_a_key():
    keys = [command.keys for command in COMMANDS if command.keys]
    assert len(keys) == len(set(keys))


def test_every_command_of_the_bars_exists():
    ids = {command.id for command in COMMANDS}
    assert {name for name in (*TOOLBAR, *TRAY) if name} <= ids


def test_the_counts_leave_out_what_is_not_there():
    assert counts_line(3, 5, 0, 0) == "3 active  ·  5 queued"
    assert counts_line(0, 0, 1, 2) == "0 active  ·  0 queued  ·  1 waiting  ·  2 failed"


def test_curl_gets_the_address_quoted_and_no_secret():
    task = a_task(url="https://example.com/a?b=1&c='x'", header_names=("Authorization",))
    said = as_curl(task)
    assert "Authorization: …" in said
    assert said.endswith("""-- 'https://example.com/a?b=1&c='"'"'x'"'"''""")


def test_curl_gets_what_a_request_sends():
    data = a_task(kind=Kind.DATA, method="PATCH", url="https://example.com/a", expected_to_send=3)
    assert as_curl(data) == "curl -L -X PATCH -d '…' -- https://example.com/a"
    upload = a_task(kind=Kind.UPLOAD, method="PUT", url="https://example.com/a", source="/tmp/a b")
    assert as_curl(upload) == "curl -L -X PUT -T '/tmp/a b' -- https://example.com/a"


def test_a_sessions_progress_counts_what_is_outstanding():
    tasks = [
        a_task(1, state=State.RUNNING, expected=100),
        a_task(2, state=State.RUNNING, received=50, expected=100),
    ]
    live = {TaskKey("s", 1): Progress(received=25, expected=100)}
    assert session_progress(tally_of([*tasks, DONE]), live) == {"s": 75 / 200}
    assert session_progress(tally_of([RUNNING]), {}) == {"s": None}
    assert session_progress(tally_of([DONE]), {}) == {}


def test_only_an_ordinary_finished_file_can_be_opened(tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(b"x")
    os.symlink(file, tmp_path / "link.png")
    assert files.why_not(RUNNING)
    assert files.why_not(a_task(state=State.COMPLETED, error=FAILED, final_path=str(file)))
    assert files.why_not(a_task(state=State.COMPLETED, final_path=str(tmp_path / "link.png")))
    assert files.why_not(a_task(state=State.COMPLETED, final_path=str(tmp_path)))
    assert files.why_not(a_task(state=State.COMPLETED, final_path=str(tmp_path / "gone.png")))
    assert files.why_not(a_task(state=State.COMPLETED, final_path=str(file))) == ""


@pytest.mark.parametrize(
    ("path", "runs"),
    [("/a/b.png", False), ("/a/b.EXE", True), ("/a/b.desktop", True), ("/a/b", False)],
)
def test_a_file_that_may_run_is_known_by_its_name(path, runs):
    assert files.may_run(path) is runs


# The window with a real monitor behind it


class Server:
    """Answers every path with the same body, at once or when told to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            if "/slow" in head:
                await self.go.wait()
            if "/echo" in head:
                writer.write(await self._echo(head, reader))
                await writer.drain()
                return
            if "/photo" in head:
                writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(PHOTO)}\r\n\r\n".encode())
                writer.write(PHOTO[: len(PHOTO) // 2])
                await self.go.wait()
                writer.write(PHOTO[len(PHOTO) // 2 :])
                await writer.drain()
                return
            if "/steady" in head:
                writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                while not self.go.is_set():
                    writer.write(BODY)
                    await writer.drain()
                    await asyncio.sleep(0.02)
                return
            status = "404 Not Found" if "/missing" in head else "200 OK"
            length = (
                f"HTTP/1.1 {status}\r\nContent-Length: {len(BODY)}\r\nConnection: close\r\n\r\n"
            )
            writer.write(length.encode() + BODY)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _echo(self, head: str, reader: asyncio.StreamReader) -> bytes:
        """What was asked."""
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = (await reader.readexactly(int(fields.get("content-length", "0")))).decode()
        answer = json.dumps([head.split()[0], fields.get("content-type"), body]).encode()
        kind = "Content-Type: application/json"
        return (
            f"HTTP/1.1 200 OK\r\n{kind}\r\nContent-Length: {len(answer)}\r\n\r\n".encode() + answer
        )


def a_jpeg() -> bytes:
    image = QImage(1200, 900, QImage.Format.Format_RGB32)
    image.fill(0)
    for y in range(900):
        for x in range(0, 1200, 7):
            image.setPixel(x, y, (x * y * 2654435761) & 0xFFFFFF)
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    assert image.save(buffer, "JPEG", 95)  # type: ignore[call-overload]  # the stub wants bytes, Qt a string
    return bytes(data.data())


PHOTO = a_jpeg()


@asynccontextmanager
async def a_server() -> AsyncIterator[Server]:
    made = Server()
    listener = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        made.go.set()
        listener.close()


class Tray:
    available = True


class World:
    """A window, its monitor, and a tray that can come and go."""

    def __init__(self, window: MainWindow, monitor: Monitor, tray: Tray) -> None:
        self.window, self.monitor, self.tray = window, monitor, tray
        self.quits = 0
        window.context.quit_wanted.connect(self._quit)

    def _quit(self) -> None:
        self.quits += 1

    def add(self, *urls: str, start: bool = True) -> None:
        adding.add_addresses(
            self.window.context, AddRequest(urls=urls, new=changed(DOWNLOAD, start=start))
        )

    def select(self, *keys: TaskKey) -> None:
        self.window.panels.table.clearSelection()
        for key in keys:
            self.window.panels.table.select(key)

    def question(self) -> QMessageBox | None:
        shown = [box for box in self.window.findChildren(QMessageBox) if box.isVisible()]
        return shown[-1] if shown else None

    def answer(self, text: str) -> None:
        box = self.question()
        assert box is not None, "no question was asked"
        next(button for button in box.buttons() if button.text() == text).click()

    def said(self) -> list[str]:
        return [toast.label.text() for toast in self.window.panels.toasts.shown]

    def states(self) -> list[State]:
        return [task.state for task in self.monitor.tasks()]


async def until(condition: Any, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def a_world(folder: str) -> AsyncIterator[World]:
    settings = Settings(download_folder=os.path.join(folder, "downloads"))
    tray = Tray()
    async with Monitor.open(folder, settings=settings) as monitor:
        window = MainWindow(state_dir=folder, tray_available=lambda: tray.available)
        runners, bridge = Runners(), Bridge(monitor, window)
        window.show()
        window.attach(monitor, bridge, runners)
        monitor.ready()
        try:
            yield World(window, monitor, tray)
        finally:
            window.detach()
            bridge.close()
            await runners.close()
            window.let_go()
            window.deleteLater()
            await asyncio.sleep(0)
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def in_a_world(test: Callable[[World, Server], Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Not a fixture: pytest-qt turns Qt's loop between fixture and test, while asyncio's does not
    run.
    """

    async def wrapper(tmp_path: Path) -> None:
        async with a_server() as server, a_world(str(tmp_path)) as world:
            await test(world, server)

    wrapper.__name__ = getattr(test, "__name__", "test")
    return wrapper


@in_a_world
async def test_an_empty_window_says_so_and_offers_two_ways_out(world, server):
    window = world.window
    assert window.panels.pages.currentWidget() is window.panels.empty
    assert [button.text() for button in window.panels.empty.findChildren(QPushButton)] == [
        "Add a URL",
        "Start the demo",
    ]


@in_a_world
async def test_an_added_address_becomes_a_row_and_a_file(world, server):
    world.add(f"{server.url}/a.bin")
    await until(lambda: world.monitor.tasks() and world.monitor.tasks()[0].succeeded)
    assert world.window.panels.model.rowCount() == 1
    await until(lambda: world.window.panels.pages.currentWidget() is world.window.panels.table)
    assert world.monitor.tasks()[0].session == "downloads"


@in_a_world
async def test_fault_l15_addresses_of_other_programs_are_asked_about_and_reach_no_private_network(
    world, server
):
    hostile = [
        "--demo",
        "-https://example.com/a",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://a b",
        "\udcff",
    ]
    adding.show_given(world.window.context, hostile)
    assert world.said() == ["6 addresses were left out."]
    assert world.window.findChildren(AddDialog) == []
    adding.show_given(world.window.context, [f"{server.url}/a.bin", "-x", f"{server.url}/a.bin"])
    (dialog,) = world.window.findChildren(AddDialog)
    assert dialog.urls.toPlainText() == f"{server.url}/a.bin"
    assert world.monitor.tasks() == ()
    dialog.start_button.click()
    await until(lambda: world.monitor.tasks() and world.monitor.tasks()[0].failed)
    assert world.monitor.tasks()[0].origin is Origin.GIVEN
    assert world.monitor.tasks()[0].error.reason == "pol.private-address"


@in_a_world
async def test_fault_l16_a_list_of_a_stranger_is_asked_about_and_reaches_no_private_network(
    world, server
):
    path = os.path.join(world.monitor.state_dir, "list.txt")
    Path(path).write_text(
        f"\ufeff# mine\n\n{server.url}/a.bin\nfile:///etc/passwd\n../x\n", encoding="utf-8"
    )
    give_command(world.window, "open_list")
    world.window.findChild(QFileDialog, "open_list").fileSelected.emit(path)
    await until(lambda: world.window.findChildren(AddDialog))
    (dialog,) = world.window.findChildren(AddDialog)
    assert dialog.urls.toPlainText() == f"{server.url}/a.bin"
    assert world.said() == ["2 addresses were left out."]
    assert world.monitor.tasks() == ()
    dialog.start_button.click()
    await until(lambda: world.monitor.tasks() and world.monitor.tasks()[0].failed)
    assert world.monitor.tasks()[0].origin is Origin.GIVEN
    assert world.monitor.tasks()[0].error.reason == "pol.private-address"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "no address"),
        (b'{"tasks": [{"url": "https://example.com/a", "path": "/etc/x"}]}', "neither"),
        (b"https://example.com/a\0", "not text"),
        (b"\xff\xfe", "not text"),
        (b"https://example.com/a\n" * 1001, "split it"),
        (b"a" * 1_000_001, "too large"),
        (None, "cannot be read"),
    ],
)
async def test_fault_l16_what_is_no_list_is_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "list.txt"
    if content is not None:
        path.write_bytes(content)
    async with a_world(str(tmp_path)) as world:
        adding.open_list(world.window.context, str(path))
        await until(world.said)
        assert len(world.said()) == 1
        assert sentence in world.said()[0]
        assert world.window.findChildren(AddDialog) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_fault_l16_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="ordinary"):
        read_text(str(tmp_path / "pipe"), 10)


@in_a_world
async def test_a_payload_file_opens_the_composer(world, server):
    path = Path(world.monitor.state_dir, "push.json")
    path.write_text('{"aps": {"content-available": 1}}', encoding="utf-8")
    adding.open_list(world.window.context, str(path))
    await until(lambda: "push" in world.window.context.dialogs)
    assert world.monitor.tasks() == ()


@in_a_world
async def test_what_a_person_has_typed_stays_when_another_program_gives_an_address(world, server):
    adding.show_add(world.window.context, "https://example.com/typed")
    adding.show_given(world.window.context, ["https://example.com/given"])
    texts = {
        dialog.urls.toPlainText()
        for dialog in world.window.findChildren(AddDialog)
        if dialog.isVisible()
    }
    assert texts == {"https://example.com/typed", "https://example.com/given"}


@pytest.mark.skipif(nginx_server.PATH is None, reason=nginx_server.WHY_NOT)
@in_a_world
async def test_a_plain_upload_to_nginx_says_before_a_pause_that_it_would_start_over(world, server):
    place = Path(world.monitor.state_dir)
    root, source = place / "root", place / "a.bin"
    (root / "in").mkdir(parents=True)
    source.write_bytes(os.urandom(1 << 20) * 8)
    told: list[str] = []
    world.monitor.subscribe(
        lambda event: (
            told.append(says_resumable(event.task))
            if event.task and event.task.state is State.RUNNING
            else None
        )
    )
    dav = "location /in/ { dav_methods PUT; client_max_body_size 0; }"
    world.monitor.preferences.update(speed_limit=4_000_000)  # long enough for news of it on the way
    with nginx_server.running(place / "nginx", root, server=dav) as nginx:
        url = f"http://127.0.0.1:{nginx.port}/in/"
        adding.upload_files(
            world.window.context, UploadRequest(files=((str(source), url + "a.bin"),))
        )
        await until(lambda: world.monitor.tasks()[0].state is State.COMPLETED)
        assert world.monitor.tasks()[0].succeeded
        assert (root / "in" / "a.bin").read_bytes() == source.read_bytes()
    assert "No: A plain upload: after a pause it starts over." in told
    give_command(world.window, "upload")
    (dialog,) = world.window.findChildren(UploadDialog)
    assert dialog.address.currentText() == url  # where files went last
    dialog.reject()


@in_a_world
async def test_an_upload_to_an_address_that_cannot_be_is_said_and_leaves_no_row(world, server):
    adding.upload_files(
        world.window.context, UploadRequest(files=((__file__, "ftp://example.com/a"),))
    )
    box = world.question()
    assert box is not None
    assert box.text() == "Some files were not added."
    assert world.monitor.tasks() == ()


@in_a_world
async def test_who_walks_through_the_sidebar_with_the_keys_stays_there(world, server):
    window = world.window
    world.add(f"{server.url}/a.bin")
    await until(lambda: window.panels.pages.currentWidget() is window.panels.table)
    window.activateWindow()
    await until(window.panels.table.hasFocus)  # from the start
    window.panels.sidebar.list.setFocus()
    await until(window.panels.sidebar.list.hasFocus)
    for _ in range(5):
        QTest.keyClick(window.panels.sidebar.list, Qt.Key.Key_Down)
    assert window.panels.pages.currentWidget() is window.videofarm
    assert window.panels.sidebar.list.hasFocus()
    QTest.keyClick(window.panels.sidebar.list, Qt.Key.Key_Up)
    assert window.panels.pages.currentWidget() is window.panels.table
    assert window.panels.sidebar.list.hasFocus()


@in_a_world
async def test_the_videofarm_page_has_the_whole_room_and_the_panels_come_back_as_they_were(
    world, server
):
    window = world.window
    world.add(f"{server.url}/a.bin")
    await until(lambda: window.panels.pages.currentWidget() is window.panels.table)
    window.panels.middle.setSizes([300, 200])
    before = window.panels.middle.sizes(), window.panels.across.sizes()
    give_command(window, "videofarm")
    await until(lambda: window.panels.pages.height() > window.panels.middle.height() - 2)
    assert not window.panels.preview.isVisible()
    give_command(window, "events")
    assert window.panels.events.isVisible()
    window.panels.sidebar.select(Scope(kind="all"))
    await until(lambda: (window.panels.middle.sizes(), window.panels.across.sizes()) == before)
    give_command(window, "videofarm")
    save_layout(window, window.panels, window.context.state_dir)
    window.panels.sidebar.select(Scope(kind="all"))
    restore_layout(window, window.panels, window.context.state_dir)
    await until(lambda: (window.panels.middle.sizes(), window.panels.across.sizes()) == before)


@in_a_world
async def test_a_file_gets_the_name_that_a_person_gave_it(world, server):
    adding.add_addresses(
        world.window.context,
        AddRequest(urls=(f"{server.url}/a.bin",), new=changed(DOWNLOAD, name="mine.bin")),
    )
    await until(lambda: world.monitor.tasks() and world.monitor.tasks()[0].succeeded)
    assert os.path.basename(world.monitor.tasks()[0].final_path) == "mine.bin"


@in_a_world
async def test_another_method_sends_its_body_and_the_answer_is_shown(world, server):
    adding.add_addresses(
        world.window.context,
        AddRequest(
            urls=(f"{server.url}/echo",),
            new=NewTask(
                kind=Kind.DATA,
                url="",
                data='{"a": "é"}'.encode(),
                request_headers={"Content-Type": "application/json"},
            ),
        ),
    )
    await until(lambda: world.monitor.tasks() and world.monitor.tasks()[0].succeeded)
    task = world.monitor.tasks()[0]
    await until(lambda: world.window.panels.model.rowCount() == 1)
    world.select(task.key)
    preview = world.window.panels.preview
    assert preview.text.isVisible()
    assert json.loads(preview.text.toPlainText()) == ["POST", "application/json", '{"a": "é"}']
    assert task.kind is Kind.DATA


@in_a_world
async def test_the_cookies_of_a_file_go_with_what_was_asked_for(world, server):
    file = Path(world.monitor.state_dir) / "cookies.txt"
    file.write_text(
        "127.0.0.1\tFALSE\t/\tFALSE\t0\tsid\t1\nother.example\tFALSE\t/\tFALSE\t0\tb\t2\n"
    )
    request = AddRequest(
        urls=(f"{server.url}/a.bin",),
        new=changed(DOWNLOAD, start=False),
        cookie_file=str(file),
    )
    adding.add_addresses(world.window.context, request)
    await until(lambda: world.monitor.tasks())
    (task,) = world.monitor.tasks()
    assert [
        cookie.name
        for cookie in world.monitor._engine.options_of(task, SessionConfiguration())["own_cookies"]
    ] == ["sid"]
    file.write_text("<html>")
    adding.add_addresses(
        world.window.context, dataclasses.replace(request, urls=(f"{server.url}/b.bin",))
    )
    await until(
        lambda: any(
            "Netscape" in box.informativeText() for box in world.window.findChildren(QMessageBox)
        )
    )
    assert len(world.monitor.tasks()) == 1


@in_a_world
async def test_a_picture_is_seen_while_it_arrives(world, server):
    preview = world.window.panels.preview
    world.add(f"{server.url}/photo.jpg")
    await until(lambda: world.window.panels.model.rowCount() == 1)
    world.select(world.monitor.tasks()[0].key)
    await until(lambda: "still arriving" in preview.foot.facts.text())
    assert preview.pages.currentWidget() is preview.canvas
    server.go.set()
    await until(lambda: world.monitor.tasks()[0].succeeded)
    await until(
        lambda: preview.foot.buttons.isVisible() and "still" not in preview.foot.facts.text()
    )
    assert preview.pages.currentWidget() is preview.canvas


@in_a_world
async def test_an_address_that_is_there_already_asks(world, server):
    url = f"{server.url}/slow"
    world.add(url)
    world.add(url)
    world.answer("Leave it out")
    assert len(world.monitor.tasks()) == 1
    world.add(url)
    world.answer("Add again")
    assert len(world.monitor.tasks()) == 2
    world.add(url)
    await until(lambda: world.window.panels.model.rowCount() == 2)
    world.answer("Show it")
    assert len(world.monitor.tasks()) == 2
    assert world.window.context.selected


@in_a_world
async def test_pause_without_a_selection_means_all_that_are_shown(world, server):
    world.add(f"{server.url}/slow1", f"{server.url}/slow2")
    await until(lambda: world.window.panels.model.rowCount() == 2)
    give_command(world.window, "pause")
    await until(lambda: world.states() == [State.SUSPENDED] * 2)
    give_command(world.window, "resume")
    await until(lambda: world.states() == [State.RUNNING] * 2)


@in_a_world
async def test_a_command_is_for_the_selected_only(world, server):
    world.add(f"{server.url}/slow1", f"{server.url}/slow2")
    await until(lambda: world.window.panels.model.rowCount() == 2)
    first = world.monitor.tasks()[0].key
    world.select(first)
    give_command(world.window, "cancel")
    await until(lambda: world.monitor.task(first).failed)
    assert State.RUNNING in world.states()


@in_a_world
async def test_a_removed_transfer_comes_back_with_undo(world, server):
    world.add(f"{server.url}/slow")
    await until(lambda: world.window.panels.model.rowCount() == 1)
    key = world.monitor.tasks()[0].key
    world.select(key)
    give_command(world.window, "remove")
    assert world.window.panels.model.rowCount() == 0
    # nothing more is loaded meanwhile
    await until(lambda: world.monitor.task(key).state is State.SUSPENDED)
    toast = world.window.panels.toasts.shown[-1]
    assert toast.action is not None
    toast.action.click()
    await until(lambda: world.window.panels.model.rowCount() == 1)
    await until(lambda: world.monitor.task(key).state is State.RUNNING)


@in_a_world
async def test_a_removed_transfer_is_gone_when_the_message_goes(world, server):
    world.add(f"{server.url}/a.bin")
    await until(lambda: world.monitor.tasks() and world.monitor.tasks()[0].succeeded)
    path = world.monitor.tasks()[0].final_path
    world.select(world.monitor.tasks()[0].key)
    give_command(world.window, "remove")
    world.window.panels.toasts.shown[-1].end()
    await until(lambda: not world.monitor.tasks())
    assert os.path.exists(path)


async def test_what_could_still_be_undone_is_removed_when_the_app_ends(qapp, tmp_path):
    async with a_server() as server, a_world(str(tmp_path)) as world:
        world.add(f"{server.url}/a.bin", f"{server.url}/b.bin")
        await until(lambda: sum(task.succeeded for task in world.monitor.tasks()) == 2)
        await until(lambda: world.window.panels.model.rowCount() == 2)
        world.select(world.monitor.tasks()[0].key)
        give_command(world.window, "remove")
        world.window.detach()
        await until(lambda: len(world.monitor.tasks()) == 1)


@in_a_world
async def test_deleting_the_file_asks_first(world, server):
    world.add(f"{server.url}/a.bin")
    await until(lambda: world.monitor.tasks() and world.monitor.tasks()[0].succeeded)
    path = world.monitor.tasks()[0].final_path
    world.select(world.monitor.tasks()[0].key)
    give_command(world.window, "remove_and_delete")
    world.answer("Cancel")
    assert os.path.exists(path)
    give_command(world.window, "remove_and_delete")
    world.answer("Delete")
    await until(lambda: not world.monitor.tasks())
    assert not os.path.exists(path)


@in_a_world
async def test_ctrl_v_adds_the_links_on_the_clipboard(world, server):
    QGuiApplication.clipboard().setText(f"see {server.url}/slow and more")
    give_command(world.window, "paste")
    assert [task.url for task in world.monitor.tasks()] == [f"{server.url}/slow"]
    QGuiApplication.clipboard().setText("nothing")
    give_command(world.window, "paste")
    assert "no link" in world.window.panels.toasts.shown[-1].label.text()


def dropped(
    window: MainWindow, data: QMimeData, offered: Qt.DropAction = Qt.DropAction.CopyAction
) -> QDropEvent | None:
    """What the window makes of a drop; None when it does not take it."""
    keys, buttons = Qt.KeyboardModifier.NoModifier, Qt.MouseButton.LeftButton
    with warnings.catch_warnings():
        # Qt 6.12 wants a QPointF, which 6.11 does not take
        warnings.simplefilter("ignore", DeprecationWarning)
        enter = QDragEnterEvent(QPoint(5, 5), offered, data, buttons, keys)
    enter.ignore()
    QCoreApplication.sendEvent(window, enter)
    if not enter.isAccepted():
        return None
    drop = QDropEvent(QPointF(5, 5), offered, data, buttons, keys)
    QCoreApplication.sendEvent(window, drop)
    return drop


def holding(text: str = "", *urls: QUrl) -> QMimeData:
    data = QMimeData()
    if text:
        data.setText(text)
    if urls:
        data.setUrls(list(urls))
    return data


@in_a_world
async def test_a_dropped_link_is_added_and_a_dropped_payload_opens_the_composer(world, server):
    assert dropped(world.window, holding("", QUrl(f"{server.url}/slow")))
    assert len(world.monitor.tasks()) == 1
    assert dropped(
        world.window, holding('{"content-available": 1, "download_url": "https://example.com/a"}')
    )
    assert "push" in world.window.context.dialogs
    assert len(world.monitor.tasks()) == 1
    assert dropped(world.window, holding(f"Look at ({server.url}/b), and {server.url}/c."))
    assert [task.url for task in world.monitor.tasks()][1:] == [
        f"{server.url}/b",
        f"{server.url}/c",
    ]
    assert dropped(world.window, holding("nothing of the kind")) is None


@in_a_world
async def test_a_dropped_file_is_offered_as_an_upload(world, server):
    path = os.path.join(os.path.dirname(world.monitor.settings.download_folder), "a.bin")
    Path(path).write_bytes(b"x")
    assert dropped(world.window, holding("", QUrl.fromLocalFile(path)))
    dialog = world.window.context.dialogs["upload"]
    assert isinstance(dialog, UploadDialog)
    assert dialog.files.toPlainText() == path


@in_a_world
async def test_a_drop_is_never_taken_as_a_move(world, server):
    actions = Qt.DropAction
    link = holding("", QUrl(f"{server.url}/slow"))
    taken = dropped(
        world.window, link, actions.MoveAction | actions.CopyAction | actions.LinkAction
    )
    assert taken is not None
    assert taken.dropAction() is actions.CopyAction
    assert dropped(world.window, link, actions.MoveAction) is None
    taken = dropped(world.window, holding("", QUrl(f"{server.url}/b")), actions.LinkAction)
    assert taken is not None
    assert taken.dropAction() is actions.LinkAction


@in_a_world
async def test_the_keys_of_the_list_do_not_disturb_a_text_box(world, server):
    action = world.window.context.actions["remove"]
    assert action.shortcut() == QKeySequence("Del")
    assert action.shortcutContext() is Qt.ShortcutContext.WidgetWithChildrenShortcut


@in_a_world
async def test_a_push_by_hand_shows_its_handler(world, server):
    give_command(world.window, "push")
    composer = world.window.context.dialogs["push"]
    composer.send_button.click()
    await until(lambda: "SilentPush-" in composer.answer.text())


@in_a_world
async def test_a_fetch_by_hand_is_an_event(world, server):
    give_command(world.window, "fetch")

    async def told() -> bool:
        return any(
            event.type == "backgroundfetch" for event in await world.monitor.overview.history()
        )

    async with asyncio.timeout(60):
        while not await told():
            await asyncio.sleep(0.01)


@in_a_world
async def test_the_details_of_a_transfer_tell_its_headers_and_timings(world, server):
    details = world.window.panels.details
    world.add(f"{server.url}/a.bin?key=canary")
    await until(lambda: world.monitor.tasks() and world.monitor.tasks()[0].succeeded)
    world.select(world.monitor.tasks()[0].key)
    details.tabs.setCurrentWidget(details.headers)
    text = details.headers.toPlainText()
    assert f"GET {server.url}/a.bin?key=…" in text
    assert f"HTTP/1.1 200 OK\nContent-Length: {len(BODY)}" in text
    assert "canary" not in text
    details.tabs.setCurrentWidget(details.timing)
    words = details.timing.accessibleDescription()
    assert words.startswith("Attempt 1, HTTP 200, ")
    assert [part in words for part in ("Connect ", "Waiting ", "Receiving ")] == [True] * 3


@in_a_world
async def test_the_speed_is_measured_before_a_transfer_is_selected(world, server):
    details = world.window.panels.details
    world.add(f"{server.url}/steady")
    await until(lambda: world.monitor.tasks())
    key = world.monitor.tasks()[0].key
    await until(lambda: details.speed.speeds.columns(key, time.monotonic()))
    details.tabs.setCurrentWidget(details.speed)
    world.select(key)
    assert max(details.speed.columns) > 0
    assert details.speed.accessibleDescription().startswith("Now ")
    server.go.set()
    await until(lambda: world.monitor.tasks()[0].succeeded)


@in_a_world
async def test_both_enter_keys_open(world, server):
    keys = [key.toString() for key in world.window.context.actions["open"].shortcuts()]
    assert keys == ["Return", "Enter"]


@in_a_world
async def test_the_first_close_asks_and_keeps_the_answer(world, server):
    window = world.window
    window.close()
    window.close()  # impatient
    assert window.isVisible()
    assert len([box for box in window.findChildren(QMessageBox) if box.isVisible()]) == 1
    box = world.question()
    assert box is not None
    tick = box.checkBox()
    assert tick is not None
    tick.setChecked(True)
    world.answer("Keep in the tray")
    assert not window.isVisible()
    assert world.monitor.settings.close_to == "tray"
    window.show()
    window.close()
    assert not window.isVisible()
    assert world.question() is None


@in_a_world
async def test_without_a_tray_the_window_is_minimised(world, server):
    world.tray.available = False
    world.window.close()
    assert world.window.isMinimized()
    assert world.window.isVisible()


@in_a_world
async def test_quitting_without_transfers_asks_nothing(world, server):
    give_command(world.window, "quit")
    assert world.quits == 1


@in_a_world
async def test_quitting_with_transfers_says_what_happens_and_can_be_taken_back(world, server):
    world.add(f"{server.url}/slow")
    give_command(world.window, "quit")
    box = world.question()
    assert box is not None
    assert "1 transfer is saved" in box.informativeText()
    world.answer("Cancel")
    assert world.quits == 0
    give_command(world.window, "quit")
    world.answer("Quit")
    assert world.quits == 1


@in_a_world
async def test_quitting_can_keep_the_transfers_going_this_once(world, server):
    world.add(f"{server.url}/slow")
    give_command(world.window, "quit")
    world.answer("Keep transferring")
    assert (world.quits, world.monitor.keep_going) == (1, True)
    assert world.monitor.settings.keep_after_quit == "ask"


@in_a_world
async def test_quitting_asks_only_once_where_the_answer_is_to_be_remembered(world, server):
    world.add(f"{server.url}/slow")
    for answer, setting in (("Keep transferring", "yes"), ("Quit", "no")):
        world.monitor.preferences.update(keep_after_quit="ask")
        give_command(world.window, "quit")
        box = world.question()
        assert box is not None
        box.checkBox().setChecked(True)
        world.answer(answer)
        assert world.monitor.settings.keep_after_quit == setting
        give_command(world.window, "quit")
        again = world.question()
        assert again is not None
        assert "Keep transferring" not in [button.text() for button in again.buttons()]
        world.answer("Cancel")
    assert world.quits == 2


@in_a_world
async def test_quitting_can_stop_everything(world, server):
    world.add(f"{server.url}/slow")
    give_command(world.window, "quit")
    world.answer("Stop all transfers and quit")
    await until(lambda: world.quits == 1)
    assert world.monitor.force_quit
    assert [task.cancel_reason for task in world.monitor.tasks()] == [0]


def test_a_minimised_window_is_not_painted(qtbot, tmp_path):
    window = MainWindow(state_dir=str(tmp_path))
    qtbot.addWidget(window)
    window.show()
    assert window.updatesEnabled()
    window.showMinimized()
    assert not window.panels.table.updatesEnabled()
    window.showNormal()
    assert window.panels.table.updatesEnabled()
    window.let_go()


@in_a_world
async def test_a_hidden_window_is_not_watched(world, server):
    assert world.window.context.watched
    world.window.hide()
    assert not world.window.context.watched
    world.window.show()
    assert world.window.context.watched


@in_a_world
async def test_the_theme_is_saved(world, server):
    settings_commands.set_theme(world.window.context, "dark")
    assert world.monitor.settings.theme == "dark"
    settings_commands.set_theme(world.window.context, "system")


async def test_the_layout_comes_back_at_the_next_start(qapp, tmp_path):
    async with a_world(str(tmp_path)) as first:
        first.window.resize(780, 611)
        first.window.panels.middle.setSizes([150, 300])
        kept = first.window.panels.middle.sizes()
    async with a_world(str(tmp_path)) as second:
        assert second.window.height() == 611
        assert second.window.panels.middle.sizes() == kept


def trigger(menu: QMenu, name: str) -> None:
    action = menu.findChild(QAction, name)
    assert action is not None
    action.trigger()


@in_a_world
async def test_a_session_can_be_ended_from_its_menu(world, server):
    world.add(f"{server.url}/slow")
    menu = session_commands.session_menu(world.window.context, "downloads")
    trigger(menu, "session_cancel")
    world.answer("Cancel all")
    await until(lambda: world.monitor.find_session("downloads") is None)
    menu.deleteLater()


@in_a_world
async def test_a_session_is_flushed_and_reset_and_shows_its_properties(world, server):
    world.monitor.session("films")
    menu = session_commands.session_menu(world.window.context, "films")
    trigger(menu, "session_flush")
    await until(lambda: any("is stored" in words for words in world.said()))
    trigger(menu, "session_reset")
    world.answer("Reset")
    await until(lambda: "The session was reset." in world.said())
    trigger(menu, "session_properties")
    shown = world.window.findChild(SessionProperties)
    values = {line.accessibleName(): line.text() for line in shown.findChildren(QLineEdit)}
    assert values["Identifier"] == "films"
    assert values["Folder"].endswith("downloads")
    menu.deleteLater()


@in_a_world
async def test_the_counts_that_are_kept_are_those_of_the_list(world, server):
    def counted() -> bool:
        return bool(world.monitor.overview.tallies() == tally_of(world.monitor.tasks()))

    world.add(server.url + "/a.bin", server.url + "/missing", server.url + "/slow.bin")
    assert counted()
    await until(lambda: world.states()[1:] == [State.COMPLETED, State.RUNNING])
    done, missing, slow = [task.key for task in world.monitor.tasks()]
    world.monitor.commands.suspend(slow)
    assert counted()
    world.monitor.commands.retry(missing)
    assert counted()
    world.monitor.commands.cancel(slow)
    assert counted()
    world.monitor.commands.remove(done)
    await until(lambda: len(world.monitor.tasks()) == 2 and world.states()[-1] is State.COMPLETED)
    assert counted()


@in_a_world
async def test_the_status_bar_counts(world, server):
    world.add(f"{server.url}/missing")
    await until(lambda: "1 failed" in world.window.panels.status.count_label.text())
    assert world.window.panels.status.state_label.text() == "Foreground"


@pytest.mark.parametrize("width", [1024, 1200, 1920])
def test_the_panels_share_the_width_at_the_start(width):
    sidebar, middle, preview = start_widths(width)
    assert sidebar + middle + preview + 2 == width
    assert 240 <= preview <= 420
    assert middle > 580


@in_a_world
async def test_a_message_may_be_closed_from_its_own_button(world, server):
    window = world.window
    ended: list[str] = []
    window.panels.toasts.show_message("One", action="Do", on_action=lambda: ended.append("did"))
    window.panels.toasts.show_message("Two", on_end=lambda: ended.append("end"))
    for toast in window.panels.toasts.shown:
        (toast.action or toast.findChild(QToolButton, "toast_close")).click()
        assert toast.parent() is window.panels.toasts  # Qt's until it deletes it, not Python's
        toast.end()
    assert ended == ["did", "end"]
    assert window.panels.toasts.shown == []
    await until(lambda: not window.panels.toasts.isVisible())


@in_a_world
async def test_a_cancelled_transfer_is_not_counted_as_failed(world, server):
    world.add(f"{server.url}/slow")
    await until(lambda: world.window.panels.model.rowCount() == 1)
    give_command(world.window, "select_all")
    give_command(world.window, "cancel")
    await until(lambda: world.states() == [State.COMPLETED])
    assert world.monitor.overview.status().failed == 0


@in_a_world
async def test_undo_before_all_are_paused_leaves_none_paused(world, server):
    world.add(*(f"{server.url}/slow{number}" for number in range(20)))
    await until(lambda: world.window.panels.model.rowCount() == 20)
    give_command(world.window, "select_all")
    give_command(world.window, "remove")
    world.window.panels.toasts.shown[-1].action.click()
    await until(lambda: world.window.panels.model.rowCount() == 20)
    await until(lambda: world.states() == [State.RUNNING] * 20)


@pytest.mark.slow
@in_a_world
async def test_two_thousand_paused_at_once_leave_the_window_its_turns(world, server):
    session = world.monitor.session("many")
    for number in range(2000):
        session.download_task(f"{server.url}/{number}", start=False)
        if number % 50 == 0:
            await asyncio.sleep(0)
    await until(lambda: world.window.panels.model.rowCount() == 2000)
    longest = 0.0
    give_command(world.window, "resume_all")
    give_command(world.window, "pause_all")
    give_command(world.window, "select_all")
    give_command(world.window, "remove")
    while len(world.window.context.leaving) and not all(
        state is State.SUSPENDED for state in world.states()
    ):
        begin = time.thread_time()
        await asyncio.sleep(0)
        longest = max(longest, time.thread_time() - begin)
    assert world.window.panels.model.rowCount() == 0
    assert longest < 0.1


@in_a_world
async def test_a_window_in_a_tray_that_went_away_can_be_reached_again(world, server):
    give_command(world.window, "close")
    assert not world.window.isVisible()
    world.window.come_back()
    assert world.window.isVisible()
    assert world.window.isMinimized()
    world.window.showNormal()
    world.window.come_back()
    assert not world.window.isMinimized()


@in_a_world
async def test_a_failed_transfer_is_retried_from_another_address(world, server):
    world.add(f"{server.url}/missing")
    await until(lambda: world.monitor.tasks() and world.monitor.tasks()[0].failed)
    key = world.monitor.tasks()[0].key
    await until(lambda: world.window.panels.model.rowCount() == 1)
    world.select(key)
    give_command(world.window, "retry_url")
    dialog = world.window.findChild(QInputDialog, "retry_url")
    assert dialog.textValue() == f"{server.url}/missing"
    dialog.setTextValue(f"{server.url}/a.bin")
    dialog.accept()
    await until(lambda: world.monitor.task(key).succeeded)
    assert world.monitor.task(key).url == f"{server.url}/a.bin"


@in_a_world
async def test_priority_and_speed_limit_are_given_to_what_is_not_done(world, server):
    world.add(f"{server.url}/a.bin", f"{server.url}/slow")
    done, slow = (task.key for task in world.monitor.tasks())
    await until(
        lambda: world.monitor.task(done).succeeded and world.window.panels.model.rowCount() == 2
    )
    world.window.panels.table.selectAll()
    give_command(world.window, "priority_high")
    await until(lambda: world.monitor.task(slow).priority == PRIORITIES["priority_high"])
    give_command(world.window, "priority_low")
    await until(lambda: world.monitor.task(slow).priority == PRIORITIES["priority_low"])
    give_command(world.window, "speed_limit")
    dialog = world.window.findChild(QInputDialog, "speed_limit")
    dialog.setDoubleValue(1.5)
    dialog.accept()
    await until(lambda: world.monitor.task(slow).speed_limit == 1_500_000)
    assert (world.monitor.task(done).priority, world.monitor.task(done).speed_limit) == (0.5, 0)


@in_a_world
async def test_a_finished_file_is_compared_with_a_checksum_or_shows_its_own(world, server):
    world.add(f"{server.url}/a.bin")
    await until(
        lambda: (
            world.window.panels.model.rowCount() == 1
            and world.window.panels.model.task_at(0).succeeded
        )
    )
    world.select(world.monitor.tasks()[0].key)
    right = hashlib.sha256(BODY).hexdigest()

    async def told(text: str) -> str:
        count = len(world.said())
        give_command(world.window, "verify")
        dialog = world.window.context.dialogs["verify"]
        dialog.setTextValue(text)
        dialog.accept()
        await until(lambda: len(world.said()) > count)
        said = str(world.said()[-1])
        world.window.panels.toasts.end_all()
        await until(lambda: not world.said())
        return said

    assert await told(right.upper()) == "The checksum is right."
    assert await told("") == f"SHA-256: {right}"
    assert (await told("0" * 64)).startswith("The checksum is another")
    assert "64 hexadecimal digits" in await told("abc")
    os.truncate(world.monitor.tasks()[0].file, 10)
    assert (await told(right)).startswith("The checksum is another")


@in_a_world
async def test_reading_a_long_file_for_its_checksum_shows_how_far_it_is_and_can_be_stopped(
    world, server
):
    path = world.monitor.settings.download_folder
    Path(path).mkdir(exist_ok=True)
    Path(path, "long").touch()
    os.truncate(Path(path, "long"), 20 << 30)
    reading = asyncio.ensure_future(
        checksum._digest_of(world.window.context, str(Path(path, "long")))
    )

    def dialog() -> QProgressDialog | None:
        found = world.window.findChildren(QProgressDialog)
        return found[0] if found and found[0].isVisible() else None

    await until(lambda: (shown := dialog()) is not None and 0 < shown.value() < shown.maximum())
    shown = dialog()
    assert shown is not None
    shown.findChildren(QPushButton)[0].click()
    assert await reading == ""
    await until(lambda: dialog() is None)


@in_a_world
async def test_the_status_bar_has_both_rates_and_the_network(world, server):
    window, engine = world.window, world.monitor._engine
    assert window.panels.status.rate_label.text() == "↓ –   ↑ –"
    world.add(f"{server.url}/slow")
    await until(lambda: world.monitor.overview.running_progress())
    (key,) = world.monitor.overview.running_progress()
    engine.progress[key] = a_rate(2_000_000)
    sent = world.monitor.session("up").data_task(f"{server.url}/x", start=False)
    engine.progress[sent.key] = a_rate(3_000_000)
    world.monitor.session("up").tasks.run_of(sent.key.number).record = changed(
        sent.record, kind=Kind.UPLOAD
    )
    window.panels.status.show_status(world.monitor.overview.status())
    assert window.panels.status.rate_label.text() == "↓ 2.0 MB/s   ↑ 3.0 MB/s"
    assert window.panels.status.network_label.text() == "Online"
    engine.policy.update(metered=True)
    window.panels.status.show_status(world.monitor.overview.status())
    assert window.panels.status.network_label.text() == "Online, metered"
    engine.policy.update(metered=False)
    engine.progress.pop(sent.key)
    world.monitor.bad_network.simulate(Simulation(offline=True))
    await until(lambda: window.panels.status.network_label.text() == "No network")
    world.monitor.bad_network.simulate(NONE)
    await until(lambda: window.panels.status.network_label.text() == "Online")


class Steady(Rate):
    """What moves as fast whenever one looks."""

    def __init__(self, rate: int) -> None:
        super().__init__()
        self._rate = rate

    def per_second(self, now: float) -> float:
        return self._rate


def a_rate(rate: int) -> Progress:
    return Progress(rate=Steady(rate))


@in_a_world
async def test_queued_transfers_change_places(world, server):
    world.monitor.preferences.update(running_tasks=1)
    world.add(*(f"{server.url}/slow{number}" for number in range(4)))
    await until(lambda: len(world.monitor.overview.running_progress()) == 1)
    await until(lambda: world.window.panels.model.rowCount() == 4)
    keys = [task.key for task in world.monitor.tasks()]
    world.select(keys[3])
    assert world.window.context.actions["queue_first"].isEnabled()
    give_command(world.window, "queue_first")
    world.monitor.commands.cancel(keys[0])
    await until(lambda: list(world.monitor.overview.running_progress()) == [keys[3]])
    world.select(keys[1])
    give_command(world.window, "queue_last")
    world.monitor.commands.cancel(keys[3])
    await until(lambda: list(world.monitor.overview.running_progress()) == [keys[2]])
    world.select(keys[2])
    await until(lambda: not world.window.context.actions["queue_first"].isEnabled())


@in_a_world
async def test_the_menu_of_a_task_has_its_priorities_in_a_menu_of_their_own(world, server):
    world.add(f"{server.url}/slow")
    await until(lambda: world.window.panels.model.rowCount() == 1)
    key = world.monitor.tasks()[0].key
    world.select(key)
    give_command(world.window, "priority_high")
    await until(lambda: world.monitor.task(key).priority == PRIORITIES["priority_high"])
    menu = build.task_menu(world.window.context, [key])
    (inner,) = [found for found in menu.findChildren(QMenu) if found.title() == "Priority"]
    assert [(action.text(), action.isChecked()) for action in inner.actions()] == [
        ("High", True),
        ("Normal", False),
        ("Low", False),
    ]
    inner.actions()[2].trigger()
    await until(lambda: world.monitor.task(key).priority == PRIORITIES["priority_low"])
    menu.deleteLater()


@in_a_world
async def test_the_events_of_a_transfer_are_copied_as_ndjson(world, server):
    world.add(f"{server.url}/a.bin")
    await until(
        lambda: (
            world.window.panels.model.rowCount() == 1
            and world.window.panels.model.task_at(0).succeeded
        )
    )
    world.select(world.monitor.tasks()[0].key)
    give_command(world.window, "copy_events")
    await until(lambda: any("copied" in text for text in world.said()))
    kinds = [json.loads(line)["type"] for line in QGuiApplication.clipboard().text().splitlines()]
    assert kinds[0] == "taskcreated"
    assert kinds[-1] == "sessioncompleted"


@in_a_world
async def test_a_suspension_can_be_simulated_and_ended(world, server):
    heard: list[str] = []
    world.monitor.add_event_listener(
        "downloadcompleted", lambda event: heard.append(event.location)
    )
    give_command(world.window, "simulate")
    assert world.monitor.presence.suspended
    world.add(f"{server.url}/a.bin")
    await until(lambda: world.monitor.tasks() and world.monitor.tasks()[0].succeeded)
    assert heard == []
    give_command(world.window, "simulate")
    assert not world.monitor.presence.suspended
    await until(lambda: len(heard) == 1)


@in_a_world
async def test_a_simulated_network_is_ordered_in_a_menu_marked_in_the_status_bar_and_ended_there(
    world, server
):
    window = world.window
    menu, mark = window.panels.simulation_menu, window.panels.status.simulation_mark
    assert mark.isHidden()
    offline = menu.actions_of_choices[0]
    assert offline.text() == "&Offline"
    offline.trigger()
    await until(mark.isVisible)
    assert mark.text() == mark.accessibleName() == "Network simulation: offline"
    assert offline.isChecked()
    world.add(f"{server.url}/a.bin")
    await until(lambda: world.monitor.tasks() and world.monitor.tasks()[0].waiting_reason)
    assert world.monitor.tasks()[0].waiting_reason == "The network simulation is offline."
    mark.click()
    await until(lambda: world.monitor.tasks()[0].succeeded)
    await until(mark.isHidden)
    assert not offline.isChecked()
    menu.drop_action.trigger()
    assert world.said()[-1] == "0 connections were dropped."


@in_a_world
async def test_the_push_channel_is_switched_in_the_background_tab_and_its_state_is_in_the_status_bar(
    world, server
):
    window = world.window
    world.monitor.preferences.update(push_server="http://127.0.0.1:9")  # nobody is there
    assert window.panels.status.channel_label.isHidden()
    window.panels.wakes.channel_button.click()
    (address,) = world.monitor.push_channel.addresses
    assert any(address in text for text in world.said())
    await until(lambda: "waiting" in window.panels.status.channel_label.text())
    assert address in window.panels.wakes.channel_button.accessibleDescription()
    window.panels.wakes.channel_button.click()
    assert window.panels.status.channel_label.isHidden()
    assert not world.monitor.settings.push_enabled


@in_a_world
async def test_the_fetch_interval_is_set_in_the_background_tab(world, server):
    view = world.window.panels.wakes
    view.interval.activated.emit(3)
    assert world.monitor.settings.fetch_interval == 3600
    assert "every 1 h 00 min" in view.schedule.text()
    await world.monitor.fetch()
    await until(lambda: view.model.rowCount() == 1)
    view.table.selectRow(0)
    view.again_button.click()
    await until(lambda: view.model.rowCount() == 2)


@in_a_world
async def test_an_upload_address_with_a_query_is_not_offered_again(world, server):
    for url in (f"{server.url}/in?signature=secret", f"{server.url}/in"):
        adding.upload_files(
            world.window.context,
            UploadRequest(files=((__file__, url),), new=changed(WHOLE_FILE, start=False)),
        )
    assert adding.upload_addresses(world.window.context) == [f"{server.url}/in"]


async def a_push_from_a_new_host(world: World) -> None:
    sync = VideoSync(world.monitor)
    payload = {"content-available": 1, "download_url": "https://files.example.com/a.bin"}
    await world.monitor.push(json.dumps(payload), by_hand=False)
    await until(world.question)
    sync.close()


@in_a_world
async def test_fault_p13_the_first_push_that_names_a_host_asks_and_starts_nothing(world, server):
    await a_push_from_a_new_host(world)
    assert "files.example.com" in world.question().text()
    assert world.states() == [State.SUSPENDED]
    world.question().reject()  # Escape: later
    assert world.states() == [State.SUSPENDED]
    assert world.monitor.settings.push_hosts == ()


@in_a_world
async def test_fault_p13_a_host_is_allowed_for_ever_once_or_not_at_all(world, server):
    await a_push_from_a_new_host(world)
    world.answer("This time")
    assert world.states() == [State.RUNNING]
    assert world.monitor.settings.push_hosts == ()
    await a_push_from_a_new_host(world)
    world.answer("Never mind")
    await until(lambda: len(world.monitor.tasks()) == 1)
    await a_push_from_a_new_host(world)
    world.answer("Always")
    assert world.monitor.settings.push_hosts == ("files.example.com",)
    assert world.states() == [State.RUNNING, State.RUNNING]


@in_a_world
async def test_the_settings_apply_at_once(world, server):
    world.window.context.actions["settings"].trigger()
    (dialog,) = world.window.findChildren(Preferences)
    dialog.findChild(QSpinBox, "connections_per_host").setValue(5)
    assert world.monitor.settings.connections_per_host == 5
    dialog.push.token.setText("tk_1")
    dialog.push.token.editingFinished.emit()
    assert world.monitor.push_channel.has_token
    dialog.findChild(QLineEdit, "push_server").setText(server.url)
    dialog.findChild(QLineEdit, "push_server").editingFinished.emit()
    dialog.push.channel_box.click()
    assert world.monitor.settings.push_enabled
    assert world.monitor.push_channel.addresses[0].startswith(server.url)
    assert (
        dialog.findChild(QLineEdit, "push_topics").text() == world.monitor.settings.push_topics[0]
    )
    action = world.window.context.actions["channel"]
    await until(lambda: action.text() != "Push channel off…")
    dialog.push.channel_box.click()
    assert not world.monitor.settings.push_enabled
    await until(lambda: action.text() == "Push channel off…")
    dialog.close()
    action.trigger()
    (again,) = [one for one in world.window.findChildren(Preferences) if one.isVisible()]
    assert again.push.channel_box.isVisible()


@in_a_world
async def test_the_theme_of_the_settings_and_of_the_menu_are_one(world, server):
    settings_commands.show_settings(world.window.context, "General")
    (dialog,) = world.window.findChildren(Preferences)
    dialog.changed.emit({"theme": "dark"})
    assert world.monitor.settings.theme == "dark"
    assert [
        action.data()
        for action in world.window.context.theme_actions.actions()
        if action.isChecked()
    ] == ["dark"]
    settings_commands.set_theme(world.window.context, "system")


@in_a_world
async def test_start_at_login_is_an_entry_of_the_desktop(world, server):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", world.monitor.state_dir)
        settings_commands.show_settings(world.window.context, "General")
        (dialog,) = world.window.findChildren(Preferences)
        assert not dialog.general.login_box.isChecked()
        dialog.general.login_box.click()
        dialog.general.hidden_box.click()
        assert (autostart.is_autostarted(), autostart.starts_minimized()) == (True, True)
        dialog.general.login_box.click()
        assert not autostart.is_autostarted()
