"""The app on a real X server, which has its own platform plugin, fonts and window states."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PySide6.QtGui import QImage

from tests.helpers import desktop, screen
from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, reply
from tests.helpers.farm import Farm
from tests.helpers.owners import end_all
from transfermon.control.client import Client, NoEngine

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(screen.why_not()), reason=screen.why_not())]
LONGEST = 90.0  # seconds, on a machine with other work


@pytest.fixture
def display(tmp_path: Path) -> Iterator[screen.Screen]:
    (folder := tmp_path / "screen").mkdir()
    with screen.running(folder) as made:
        yield made


def until(condition: Callable[[], Any], process: subprocess.Popen[str]) -> Any:
    deadline = time.monotonic() + LONGEST
    while not (found := condition()):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)
    return found


def answered(folder: str, path: str) -> dict[str, Any]:
    try:
        status, body = Client(folder).request("GET", path)
    except NoEngine:
        return {}
    return body if status == 200 else {}


def test_the_demo_shows_a_window_transfers_and_ends_cleanly(display, tmp_path):
    folder = str(tmp_path / "state")
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("WAYLAND_DISPLAY", "XAUTHORITY")
    }
    environment |= {"DISPLAY": display.name, "QT_QPA_PLATFORM": "xcb"}
    command = [sys.executable, "-m", "transfermon", "gui", "--demo", "--state-dir", folder]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        status = until(lambda: answered(folder, "/v1/status"), process)
        assert status["window"] is True
        until(lambda: answered(folder, "/v1/status").get("finished"), process)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=LONGEST)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert process.returncode == 0
    assert [line for line in said.splitlines() if not line.startswith("qt.")] == []


class App:
    """`transfermon gui` on a screen, with a tray and notifications, in folders of its own."""

    def __init__(self, folder: Path, display: screen.Screen, bus: desktop.Desktop) -> None:
        self.state = folder / "state"
        self.state.mkdir(mode=0o700)
        self.display, self.bus = display, bus
        keep = {
            name: value
            for name, value in os.environ.items()
            if name not in ("WAYLAND_DISPLAY", "XAUTHORITY")
        }
        self.environment = {
            **keep,
            "DISPLAY": display.name,
            "QT_QPA_PLATFORM": "xcb",
            "DBUS_SESSION_BUS_ADDRESS": bus.address,
            **{
                f"XDG_{name}_HOME": str(folder / name.lower())
                for name in ("CONFIG", "DATA", "CACHE", "STATE")
            },
            "HOME": str(folder),
        }
        self.processes: list[subprocess.Popen[str]] = []

    def set(self, **settings: Any) -> None:
        (self.state / "settings.json").write_text(json.dumps(settings))

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "transfermon", "--state-dir", str(self.state), *words]
        process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.processes.append(process)
        return process

    def run(self, *words: str) -> str:
        """A command in a terminal; what it printed."""
        process = self.start(*words)
        out, err = process.communicate(timeout=LONGEST)
        assert (process.returncode, err) == (0, ""), (words, err)
        return out

    def get(self, path: str) -> dict[str, Any]:
        return answered(str(self.state), path)

    def add(self, url: str, folder: str) -> None:
        order = {"url": url, "destination": f"{folder}/", "session": "org.example.test"}
        status, answer = Client(str(self.state)).request("POST", "/v1/tasks", order)
        assert status == 201, answer

    def tasks(self, session: str) -> list[dict[str, Any]]:
        return [
            task for task in self.get("/v1/tasks").get("tasks", []) if task["session"] == session
        ]

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run("--json", "events").splitlines()]

    def end(self) -> None:
        end_all(self.state, self.processes)


@pytest.fixture
def app(tmp_path: Path, display: screen.Screen) -> Iterator[App]:
    if desktop.DAEMON is None:
        pytest.skip(desktop.WHY_NOT)
    with desktop.running(tray=True) as bus:
        made = App(tmp_path, display, bus)
        try:
            yield made
        finally:
            made.end()


def upload_of_another(farm: Farm, title: str, movie: bytes) -> None:
    """Another client's video: a picture and a movie."""
    with httpx.Client(base_url=farm.url, trust_env=False) as web:
        picture = web.get("photos/2").content
        made = web.post(
            "videos", data={"title": title}, files={"thumbnail": ("t.jpg", picture, "image/jpeg")}
        )
        assert made.status_code == 303, made.text
        put = web.put(made.headers["location"].lstrip("/") + "/movie", content=movie)
        assert put.status_code == 201, put.text


def order(events: list[dict[str, Any]], *names: str) -> list[int]:
    """The place of the first event of each name."""
    kinds = [event["type"] for event in events]
    assert set(names) <= set(kinds), kinds
    return [kinds.index(name) for name in names]


def test_pushes_and_fetches_reach_the_app_in_the_tray_and_the_picture_is_there_when_it_comes_back(
    app,
):
    with Farm.start("--empty") as farm:
        app.set(
            videofarm_url=farm.url,
            allowed_hosts=[f"127.0.0.1:{farm.port}"],
            download_folder=str(app.state.parent / "downloads"),
            keep_transferring=False,
        )
        process = app.start("gui", "--minimized")
        until(lambda: app.get("/v1/status"), process)
        until(lambda: app.bus.tray_items, process)
        assert app.get("/v1/status")["appState"] == "background"

        payload = {"alert": "", "content-available": 1, "download_url": f"{farm.url}photos/4"}
        app.run("push", json.dumps(payload))
        (photo,) = until(lambda: [task for task in app.tasks("push") if task["path"]], process)
        told = until(
            lambda: [one for one in app.bus.shown if one.title == "Transfer finished"], process
        )
        upload_of_another(farm, "Of another", b"movie" * 50_000)
        app.run("fetch")
        until(lambda: [task for task in app.tasks("videofarm") if task["path"]][1:], process)

        events = app.events()
        numbers = [event["sequence"] for event in events]
        assert numbers == sorted(set(numbers))
        pushed = [
            event
            for event in events
            if event["type"] == "silentpush" or event.get("session") == "push"
        ]
        places = order(pushed, "silentpush", "taskcreated", "downloadcompleted", "sessioncompleted")
        assert places == sorted(places)
        places = order(events, "silentpush", "backgroundfetch")
        assert places == sorted(places)
        results = [event["result"] for event in events if event["type"] == "handlerended"]
        assert results == ["new_data", "new_data"]
        app.run("fetch")
        until(lambda: app.events()[-1]["type"] in ("handlerended", "notification"), process)
        assert [event["result"] for event in app.events() if event["type"] == "handlerended"][
            -1
        ] == "no_data"

        picture = QImage(photo["path"])
        assert not screen.is_seen(picture, app.display.picture())
        clicked(
            app,
            told[0],
            "default",
            lambda: app.get("/v1/status")["appState"] == "foreground",
            process,
        )
        until(lambda: screen.is_seen(picture, app.display.picture()), process)
        app.bus.click_tray()
        until(lambda: app.get("/v1/status")["appState"] == "background", process)
    app.run("quit")
    assert process.wait(LONGEST) == 0


def test_a_second_launch_brings_the_first_window_back_and_ends(app):
    process = app.start("gui", "--minimized")
    until(lambda: app.bus.tray_items, process)
    until(lambda: app.get("/v1/status").get("appState") == "background", process)
    app.run("gui")
    until(lambda: app.get("/v1/status")["appState"] == "foreground", process)
    app.run("quit")
    assert process.wait(LONGEST) == 0


FONTS = """
import sys
from PySide6.QtGui import QFont, QFontDatabase
from PySide6.QtWidgets import QApplication, QWidget
from transfermon.gui.toolkit import theme
from transfermon.gui.window.main_window import MainWindow

app = QApplication(sys.argv)
family = next(name for name in QFontDatabase.families() if name != app.font().family())
theme.font = lambda app: QFont(family, 10)
theme.apply(app, "light")
with theme.building(app):
    window = MainWindow(state_dir=sys.argv[1])
window.show()
app.processEvents()
for scheme in ("dark", "light"):
    theme.apply(app, scheme)
    app.processEvents()
fixed = theme.fixed_font().family()
print({(type(one).__name__, one.objectName()) for one in window.findChildren(QWidget) if one.font().family() not in (family, fixed)})
window.let_go()
"""


@pytest.mark.parametrize("name", ["XFCE", "GNOME", "KDE", ""])
def test_the_desktop_s_own_font_does_not_come_between(display, tmp_path, name):
    environment = {
        **os.environ,
        "DISPLAY": display.name,
        "QT_QPA_PLATFORM": "xcb",
        "XDG_CURRENT_DESKTOP": name,
    }
    words = [sys.executable, "-c", FONTS, str(tmp_path)]
    said = subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=LONGEST, check=False
    )
    assert said.stdout.strip() == "set()", said.stderr


def windows(app: App, name: str, *, visible: bool = True) -> list[str]:
    """The X windows with that name, as xdotool numbers them."""
    words = ["xdotool", "search", *(["--onlyvisible"] if visible else []), "--name", name]
    environment = {**os.environ, "DISPLAY": app.display.name}
    found = subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=LONGEST, check=False
    )
    return found.stdout.split()


def pointer(app: App, *words: str) -> None:
    """What a hand does with the mouse."""
    environment = {**os.environ, "DISPLAY": app.display.name}
    subprocess.run(["xdotool", *words], env=environment, timeout=LONGEST, check=True)


def with_a_file(app: App, server: ByteServer, folder: Path) -> tuple[subprocess.Popen[str], str]:
    """The window in the corner of the screen with one finished file in its list; the process, and
    the file.
    """
    process = app.start("gui")
    until(lambda: app.get("/v1/status"), process)
    app.add(server.url("/a%20picture.png"), str(folder / "downloads"))
    (path,) = until(
        lambda: [task["path"] for task in app.get("/v1/tasks")["tasks"] if task["path"]], process
    )
    window = until(lambda: windows(app, "^Transfermon$"), process)[-1]
    pointer(app, "windowmove", window, "0", "0")
    return process, path


TARGET = """
import sys
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLabel

class Target(QLabel):
    def dragEnterEvent(self, event):
        event.acceptProposedAction()
    def dropEvent(self, event):
        event.acceptProposedAction()
        print(event.proposedAction().name, *(url.toLocalFile() for url in event.mimeData().urls()), flush=True)

app = QApplication(sys.argv)
target = Target("Drop here")
target.setWindowTitle("Target")
target.setAcceptDrops(True)
target.setWindowFlag(Qt.WindowType.FramelessWindowHint)
target.setGeometry(int(sys.argv[1]), 0, 200, 780)
target.show()
app.exec()
"""


@pytest.mark.skipif(
    shutil.which("xdotool") is None, reason="xdotool is not installed (make test-all installs it)"
)
def test_a_finished_file_is_dragged_out_of_the_list_into_another_program(app, tmp_path):
    (tmp_path / "downloads").mkdir()
    app.set(keep_transferring=False)
    with ByteServer(Resource(b"picture" * 1000)) as server:
        process, path = with_a_file(app, server, tmp_path)
        target = another_program(app, TARGET, "1070")
        until(lambda: windows(app, "^Target$"), target)
        dropped: list[str] = []
        printed = target.stdout
        assert printed is not None
        reader = threading.Thread(target=lambda: dropped.append(printed.readline()))
        reader.start()

        def carried() -> list[str]:
            """Once more until it lands: the first row may not have been painted yet."""
            pointer(app, "mousemove", "230", "128", "mousedown", "1")
            for x in range(240, 1170, 60):
                pointer(app, "mousemove", str(x), "200")
            pointer(app, "mousemove", "1170", "300", "mouseup", "1")
            reader.join(2)
            return dropped

        until(carried, process)
    assert dropped == [f"CopyAction {path}\n"]
    assert Path(path).read_bytes() == b"picture" * 1000
    app.run("quit")
    assert process.wait(LONGEST) == 0


@pytest.mark.skipif(
    shutil.which("xdotool") is None, reason="xdotool is not installed (make test-all installs it)"
)
def test_the_end_of_the_session_does_not_wait_for_the_end_of_a_drag(app, tmp_path):
    (tmp_path / "downloads").mkdir()
    app.set(keep_transferring=False)
    with ByteServer(Resource(b"picture" * 1000)) as server:
        process, _ = with_a_file(app, server, tmp_path)
        before = app.display.picture()

        def carried() -> bool:
            """The picture of what is dragged is under the pointer."""
            pointer(app, "mousemove", "260", "128", "mousedown", "1")
            for x in range(260, 700, 40):
                pointer(app, "mousemove", str(x), "300")
            if app.display.picture().copy(640, 280, 80, 60) != before.copy(640, 280, 80, 60):
                return True
            pointer(app, "mouseup", "1")
            return False

        until(carried, process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LONGEST) == 0
        pointer(app, "mouseup", "1")


SOURCE = """
import sys
from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtGui import QDrag
from PySide6.QtWidgets import QApplication, QLabel

class Source(QLabel):
    def mouseMoveEvent(self, event):
        drag = QDrag(self)
        data = QMimeData()
        if "://" in sys.argv[2]:
            data.setText("Look at " + sys.argv[2] + ", it is good")
        else:
            data.setUrls([QUrl.fromLocalFile(sys.argv[2])])
        drag.setMimeData(data)
        action = drag.exec(Qt.DropAction.CopyAction | Qt.DropAction.MoveAction, Qt.DropAction.MoveAction)
        print(action.name, flush=True)

app = QApplication(sys.argv)
source = Source("Drag me")
source.setWindowTitle("Source")
source.setWindowFlag(Qt.WindowType.FramelessWindowHint)
source.setGeometry(int(sys.argv[1]), 0, 200, 780)
source.show()
app.exec()
"""


def another_program(app: App, code: str, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "DISPLAY": app.display.name, "QT_QPA_PLATFORM": "xcb"}
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words], env=environment, stdout=subprocess.PIPE, text=True
    )
    app.processes.append(process)
    return process


def carry_in(app: App, source: subprocess.Popen[str], until_it: Callable[[], Any]) -> Any:
    """From the program at the right into the middle of the window, once more until it has
    landed.
    """
    until(lambda: windows(app, "^Source$"), source)

    def carried() -> Any:
        pointer(app, "mousemove", "1170", "300", "mousedown", "1")
        for x in range(1150, 560, -60):
            pointer(app, "mousemove", str(x), "250")
        pointer(app, "mousemove", "500", "250", "mouseup", "1")
        deadline = time.monotonic() + 2
        while not (found := until_it()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    found = until(carried, source)
    source.kill()
    source.wait()
    return found


@pytest.mark.skipif(
    shutil.which("xdotool") is None, reason="xdotool is not installed (make test-all installs it)"
)
def test_a_link_and_a_file_are_dragged_into_the_window_from_another_program(app, tmp_path):
    app.set(keep_transferring=False, download_folder=str(tmp_path / "downloads"))
    (file := tmp_path / "to send.bin").write_bytes(b"mine")
    with ByteServer(Resource(b"film" * 1000)) as server:
        process = app.start("gui")
        until(lambda: app.get("/v1/status"), process)
        window = until(lambda: windows(app, "^Transfermon$"), process)[-1]
        pointer(app, "windowmove", window, "0", "0")
        link = server.url("/film.mp4")
        source = another_program(app, SOURCE, "1070", link)
        carry_in(app, source, lambda: app.get("/v1/tasks").get("tasks"))
        (task,) = until(
            lambda: [one for one in app.get("/v1/tasks")["tasks"] if one["path"]], process
        )
        assert task["url"] == link
        assert source.stdout is not None
        # after a move the other program would delete its own
        assert "MoveAction" not in source.stdout.read()
    source = another_program(app, SOURCE, "1070", str(file))
    carry_in(app, source, lambda: windows(app, "^Upload files$"))
    assert file.read_bytes() == b"mine"
    assert len(app.get("/v1/tasks")["tasks"]) == 1  # it is asked where to before anything is sent
    app.run("quit")
    assert process.wait(LONGEST) == 0


def test_the_buttons_of_a_banner_do_what_they_say(app, tmp_path):
    (tmp_path / "downloads").mkdir()
    (tools := tmp_path / "tools").mkdir()
    asked = tmp_path / "asked"
    (tools / "xdg-open").write_text(f'#!/bin/sh\nprintf "%s\\n" "$1" >> {asked}\n')
    (tools / "xdg-open").chmod(0o755)
    app.environment["PATH"] = f"{tools}:{os.environ['PATH']}"
    app.set(keep_transferring=False, notify="task", attempts=1)
    files = Resource(b"film" * 1000, before=not_found)
    with ByteServer(files) as server:
        process = app.start("gui", "--minimized")
        until(lambda: app.bus.tray_items, process)
        until(lambda: app.get("/v1/status").get("appState") == "background", process)
        app.add(server.url("/film.mp4"), str(tmp_path / "downloads"))
        (failed,) = until(
            lambda: [one for one in app.bus.shown if one.title == "Transfer failed"], process
        )
        files.before = None
        retry = action_of(failed, "Retry")
        (good,) = clicked(
            app,
            failed,
            retry,
            lambda: [one for one in app.bus.shown if "finished" in one.title],
            process,
        )
        assert not any(
            "sound" in hint
            for one in app.bus.shown
            for hint in one.hints
            if hint != "suppress-sound"
        )
        assert (tmp_path / "downloads" / "film.mp4").read_bytes() == files.body
        show, folder = action_of(good, "Show in folder"), str(tmp_path / "downloads")
        clicked(app, good, show, lambda: asked.exists() and folder in asked.read_text(), process)
    app.run("quit")
    assert process.wait(LONGEST) == 0


def not_found(conn: Conn, _request: Request) -> bool:
    conn.send(reply(404))
    return True


def clicked(
    app: App,
    shown: desktop.Shown,
    action: str,
    done: Callable[[], Any],
    process: subprocess.Popen[str],
) -> Any:
    """A click on a banner, once more until it was heard: no person is as quick as the desktop's
    answer to the app.
    """

    def heard() -> Any:
        app.bus.click_notification(shown, action)
        deadline = time.monotonic() + 2
        while not (found := done()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    return until(heard, process)


def action_of(shown: desktop.Shown, label: str) -> str:
    """What the desktop says when that button is pressed."""
    return shown.actions[shown.actions.index(label) - 1]


def test_where_no_service_shows_notifications_the_window_does_and_the_journal_says_so(
    app, tmp_path
):
    (tmp_path / "downloads").mkdir()
    app.environment["DBUS_SESSION_BUS_ADDRESS"] = "unix:path=/nonexistent"
    app.set(keep_transferring=False, notify="task")
    with ByteServer(Resource(b"film" * 1000)) as server:
        process = app.start("gui", "--minimized")
        until(lambda: app.get("/v1/status"), process)
        app.add(server.url("/film.mp4"), str(tmp_path / "downloads"))
        told = until(
            lambda: [one for one in app.events() if one["type"] == "notification"], process
        )
    assert [(one["alertTitle"], one["shown"]) for one in told] == [("Transfer finished", False)]
    assert app.bus.shown == []
    app.run("quit")
    assert process.wait(LONGEST) == 0


def test_without_any_font_the_app_starts_and_says_what_it_lacks(app, tmp_path):
    (tmp_path / "fonts.conf").write_text(
        "<?xml version='1.0'?><fontconfig><cachedir>/nonexistent</cachedir></fontconfig>"
    )
    app.environment["FONTCONFIG_FILE"] = str(tmp_path / "fonts.conf")
    app.set(keep_transferring=False)
    process = app.start("gui")
    until(lambda: app.get("/v1/status"), process)
    until(lambda: windows(app, "^Transfermon$"), process)
    app.run("quit")
    _, said = process.communicate(timeout=LONGEST)
    assert process.returncode == 0
    assert "no font" in said


def test_a_second_launch_with_an_address_asks_in_the_first_window(app):
    with ByteServer(Resource(b"film" * 1000)) as server:
        process = app.start("gui", "--minimized")
        until(lambda: app.bus.tray_items, process)
        until(lambda: app.get("/v1/status").get("appState") == "background", process)
        app.run("gui", server.url("/film.mp4"))
        until(lambda: app.get("/v1/status")["appState"] == "foreground", process)
        until(lambda: windows(app, "^Add"), process)
        assert app.get("/v1/tasks")["tasks"] == []  # nothing is fetched before a person says so
        assert server.requests == []
    app.run("quit")
    assert process.wait(LONGEST) == 0
