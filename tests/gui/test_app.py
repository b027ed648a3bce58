from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.owners import end_all
from transfermon.control.client import Client
from transfermon.gui.app import display_problem, missing_library, plugin_problem, run
from transfermon.gui.app_life import Presence
from transfermon.model.wake_policy import AppState


@pytest.mark.parametrize(
    ("environment", "platform", "usable"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ""}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"QT_QPA_PLATFORM": "offscreen"}, "linux", True),
        ({}, "darwin", True),
        ({}, "win32", True),
    ],
)
def test_a_missing_display_is_said_before_qt_aborts(environment, platform, usable):
    assert (display_problem(environment, platform) == "") is usable


def test_a_missing_library_is_named_with_the_line_that_brings_it():
    said = missing_library(
        "libxcb-icccm.so.4: cannot open shared object file: No such file or directory"
    )
    assert "libxcb-icccm.so.4" in said
    assert "apt-get install" in said
    assert "libxcb-icccm4" in said


def test_another_import_error_is_not_dressed_up():
    assert missing_library("No module named 'PySide6.QtNothing'") == ""


@pytest.mark.parametrize(
    ("environment", "platform"),
    [
        ({"QT_QPA_PLATFORM": "offscreen"}, "linux"),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux"),
        ({}, "darwin"),
    ],
)
def test_the_x11_part_is_looked_at_only_where_it_is_used(environment, platform):
    assert plugin_problem(environment, platform) == ""


def test_without_a_display_the_app_ends_with_a_sentence(monkeypatch, capsys, tmp_path):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert run(str(tmp_path / "state")) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "display" in said


def test_an_unusable_state_folder_ends_with_a_sentence(capsys, tmp_path):
    (tmp_path / "state").write_text("a file")
    assert run(str(tmp_path / "state")) == 2
    assert str(tmp_path / "state") in capsys.readouterr().err


@contextlib.contextmanager
def an_app(folder: str) -> Iterator[subprocess.Popen[str]]:
    """The real app without a screen, up to its control socket."""
    code = f"import sys; from transfermon.gui.app import run; sys.exit(run({folder!r}))"
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 30
        while not Client(folder).alive():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline, "it did not come up"
            time.sleep(0.02)
        yield process
    finally:
        end_all(Path(folder), [process])


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_the_app_comes_up_and_ends_cleanly_on_a_signal(tmp_path, number):
    with an_app(str(tmp_path / "state")) as process:
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    ours = [line for line in said.splitlines() if not line.startswith(("qt.", "This plugin"))]
    assert ours == []


def test_a_second_launch_shows_the_first_window_and_ends(tmp_path):
    folder = str(tmp_path / "state")
    with an_app(folder) as process:
        second = subprocess.run(
            [
                sys.executable,
                "-c",
                f"import sys; from transfermon.gui.app import run; sys.exit(run({folder!r}))",
            ],
            timeout=60,
            check=False,
        )
        assert second.returncode == 0
        assert process.poll() is None


@pytest.mark.slow
def test_a_launch_with_an_action_reaches_the_app_that_runs(tmp_path):
    folder = str(tmp_path / "state")
    with an_app(folder):
        for words in (["--fetch"], ["--add"], ["--", "https://example.com/a", "-x"]):
            command = [sys.executable, "-m", "transfermon", "--state-dir", folder, "gui", *words]
            assert subprocess.run(command, timeout=60, check=False).returncode == 0
        client = Client(folder)
        assert len(client.request("GET", "/v1/wakes")[1]["wakes"]) == 1
        assert client.request("GET", "/v1/tasks")[1]["tasks"] == []  # a person is asked first


def test_the_app_ends_when_a_command_asks_for_it(tmp_path):
    folder = str(tmp_path / "state")
    with an_app(folder) as process:
        status, _ = Client(folder).request("POST", "/v1/quit")
        assert status == 202
        process.communicate(timeout=60)
    assert process.returncode == 0


class Desktop:
    def __init__(self) -> None:
        self.active = True
        self.visible = True
        self.told: list[AppState] = []


@pytest.fixture
def desktop():
    return Desktop()


@pytest.fixture
def presence(qapp, desktop):
    made = Presence(
        is_active=lambda: desktop.active,
        is_visible=lambda: desktop.visible,
        tell=desktop.told.append,
    )
    yield made
    made.close()
    made.deleteLater()


def test_a_hidden_window_is_background_at_once(desktop, presence):
    desktop.visible = False
    presence.look()
    assert desktop.told == [AppState.BACKGROUND]


def test_a_lost_focus_is_background_after_a_while(desktop, presence, qtbot):
    desktop.active = False
    presence.look()
    assert desktop.told == []
    qtbot.waitUntil(lambda: desktop.told == [AppState.BACKGROUND])


def test_a_focus_that_comes_back_in_time_changes_nothing(desktop, presence):
    desktop.active = False
    presence.look()
    desktop.active = True
    presence.look()
    assert desktop.told == []
    assert presence.state is AppState.FOREGROUND


def test_it_is_foreground_again_when_the_window_is_shown_and_active(desktop, presence):
    desktop.visible = False
    presence.look()
    desktop.visible = True
    presence.look()
    assert desktop.told == [AppState.BACKGROUND, AppState.FOREGROUND]
