"""U17: no tray, one that goes, no window manager, another scale; the program can always be
reached.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.gui.test_real_window import App, display, until, windows  # noqa: F401 - a fixture
from tests.helpers import desktop, screen

pytestmark = [
    pytest.mark.skipif(bool(screen.why_not()), reason=screen.why_not()),
    pytest.mark.skipif(desktop.DAEMON is None, reason=desktop.WHY_NOT),
    pytest.mark.skipif(
        shutil.which("xdotool") is None,
        reason="xdotool is not installed (make test-all installs it)",
    ),
]
Made = Callable[[bool], AbstractContextManager[App]]


@pytest.fixture
def made(tmp_path: Path, display: screen.Screen) -> Made:  # noqa: F811
    """An app on a screen without a window manager, with a tray or without."""

    @contextmanager
    def on_a_desktop(tray: bool) -> Iterator[App]:
        with desktop.running(tray=tray) as bus:
            app = App(tmp_path, display, bus)
            app.set(keep_transferring=False, close_to="tray")
            try:
                yield app
            finally:
                app.end()

    return on_a_desktop


def test_fault_u17_without_a_tray_it_never_starts_hidden(made: Made):
    with made(False) as app:
        process = app.start("gui", "--minimized")
        until(lambda: app.get("/v1/status"), process)
        until(lambda: windows(app, "^Transfermon$", visible=False), process)
        assert app.get("/v1/status")["window"] is True
        app.run("gui")  # and a second launch brings it to the front
        until(lambda: app.get("/v1/status")["appState"] == "foreground", process)
        until(lambda: windows(app, "^Transfermon$"), process)
        app.run("quit")
        assert process.wait(30) == 0


def test_fault_u17_a_window_in_a_tray_that_goes_comes_back(made: Made):
    with made(True) as app:
        process = app.start("gui", "--minimized")
        until(lambda: app.bus.tray_items, process)
        until(lambda: app.get("/v1/status").get("appState") == "background", process)
        assert windows(app, "^Transfermon$") == []
        app.bus.end_tray()
        until(lambda: windows(app, "^Transfermon$"), process)
        app.bus.begin_tray()
        until(lambda: app.bus.tray_items, process)  # its icon is back as well
        app.run("quit")
        assert process.wait(30) == 0


@pytest.mark.parametrize("scale", ["1.5", "2"])
def test_fault_u17_on_a_sharper_screen_the_window_is_seen_and_answers(
    made: Made, scale: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("QT_SCALE_FACTOR", scale)
    with made(True) as app:
        process = app.start("gui")
        until(lambda: app.get("/v1/status"), process)
        until(lambda: windows(app, "^Transfermon$"), process)
        app.run("quit")
        assert process.wait(30) == 0


def test_fault_u17_from_a_terminal_it_is_reached_without_any_of_it(made: Made):
    with made(False) as app:
        process = app.start("gui", "--minimized")
        until(lambda: app.get("/v1/status"), process)
        assert "No transfers" in app.run("list") or app.run("list") == ""
        app.run("quit")
        assert process.wait(30) == 0
        assert not os.path.exists(app.state / "control.sock")
