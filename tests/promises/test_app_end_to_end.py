"""The real app as a process, with its demo, driven from outside as a person's other programs would
drive it.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import desktop
from tests.helpers.farm import Farm, expected_sha256
from tests.helpers.owners import end_all
from transfermon.control.client import Client, NoEngine

pytestmark = pytest.mark.slow  # the whole demo with its window, and two starts of the app

LIMIT = 60.0
# Qt's platform without a screen says these
OFFSCREEN = ("This plugin does not support", "systemTrayWindowChanged")


def wait_for(what: str, condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}")


class App:
    """`transfermon gui` without a screen, in folders of its own."""

    def __init__(self, folder: Path, bus: str) -> None:
        self.state = folder / "state"
        self.environment = {
            **os.environ,
            "QT_QPA_PLATFORM": "offscreen",
            "DBUS_SESSION_BUS_ADDRESS": bus,
            **{
                f"XDG_{name}_HOME": str(folder / name.lower())
                for name in ("CONFIG", "DATA", "CACHE", "STATE")
            },
            "HOME": str(folder),
        }
        self.processes: list[subprocess.Popen[str]] = []
        self.client = Client(str(self.state))

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "transfermon", "--state-dir", str(self.state), *words]
        process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.processes.append(process)
        return process

    def run(self, *words: str) -> tuple[int, str, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=LIMIT)
        return process.returncode, out, err

    def get(self, path: str) -> dict[str, Any]:
        try:
            status, answer = self.client.request("GET", path)
        except NoEngine:
            return {}
        assert status == 200, answer
        return answer

    def tasks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/v1/tasks").get("tasks", [])
        return found

    def close(self) -> None:
        end_all(self.state, self.processes)


@pytest.fixture
def screen() -> Iterator[desktop.Desktop]:
    if desktop.DAEMON is None:
        pytest.skip(desktop.WHY_NOT)
    with desktop.running() as found:
        yield found


@pytest.fixture
def app(tmp_path: Path, screen: desktop.Desktop) -> Iterator[App]:
    found = App(tmp_path, screen.address)
    try:
        yield found
    finally:
        found.close()


def test_the_demo_runs_finishes_wakes_notifies_and_ends_cleanly(app, screen):
    process = app.start("gui", "--demo", "--minimized")

    # Transfers of every fate: running, queued, finished, waiting and failed.
    wait_for("the demo's transfers", lambda: len(app.tasks()) >= 14)
    statuses = wait_for(
        "a finished, a failed, a running and a waiting one",
        lambda: (
            (found := app.get("/v1/status"))
            and found["finished"]
            and found["failed"]
            and found["running"]
            and found["waiting"]
            and found
        ),
    )
    assert statuses["state"] if "state" in statuses else statuses["pid"] == process.pid
    photos = [
        task for task in app.tasks() if task["session"] == "com.example.photos" and task["path"]
    ]
    assert photos
    assert all(Path(task["path"]).read_bytes().startswith(b"\xff\xd8") for task in photos)

    # The app is in the background, so what finished is told on the desktop.
    told = wait_for(
        "a notification",
        lambda: [shown for shown in screen.shown if "com.example.photos" in shown.body],
    )
    assert "6" in told[0].body

    # A silent push and a background fetch go through a handler and start transfers.
    picture = photos[0]["url"]
    code, out, err = app.run(
        "push", f'{{"alert":"","content-available":1,"download_url":"{picture}"}}'
    )
    assert (code, err) == (0, "")
    pushed = wait_for(
        "the pushed download", lambda: [task for task in app.tasks() if task["session"] == "push"]
    )
    assert pushed[0]["url"] == picture
    assert app.run("fetch")[0] == 0
    wait_for(
        "the fetched videos",
        lambda: [task for task in app.tasks() if task["session"] == "videofarm"],
    )
    code, out, err = app.run("--json", "events")
    assert code == 0
    for name in (
        "silentpush",
        "backgroundfetch",
        "handlerended",
        "downloadcompleted",
        "sessioncompleted",
    ):
        assert f'"{name}"' in out, name

    # Bytes move while nothing is on the screen.
    def received() -> int:
        return sum(
            task["received"] for task in app.tasks() if task["session"] == "com.example.videos"
        )

    before = received()
    wait_for("progress", lambda: received() > before)

    # A second launch on the same state shows the first one's window and ends.
    assert app.run("gui", "--demo")[0] == 0
    assert process.poll() is None

    assert app.run("quit")[0] == 0
    assert process.wait(LIMIT) == 0
    assert process.stderr is not None
    complaints = [
        line
        for line in process.stderr.read().splitlines()
        if not any(word in line for word in OFFSCREEN)
    ]
    assert complaints == []


def test_a_download_goes_on_after_the_app_was_stopped_and_started(app, tmp_path):
    size = 30_000_000
    with Farm.start("--fault", "/bytes:rate=20M") as farm:
        first = app.start("gui", "--minimized")
        wait_for("the engine", lambda: app.get("/v1/status"))
        target = tmp_path / "file.bin"
        getter = app.start("get", "-q", "-o", str(target), f"{farm.url}bytes/{size}")
        wait_for(
            "a part of it", lambda: [task for task in app.tasks() if task["received"] > 2_000_000]
        )
        first.send_signal(signal.SIGKILL)
        first.wait(LIMIT)
        getter.kill()
        getter.wait(LIMIT)
        assert not target.exists()

        second = app.start("gui", "--minimized")
        task = wait_for("its end", lambda: [task for task in app.tasks() if task["path"]])[0]
        assert target.stat().st_size == size
        assert hashlib.sha256(target.read_bytes()).hexdigest() == expected_sha256(size)
        code, out, _ = app.run("--json", "events")
        assert code == 0
        assert '"downloadresumed"' in out
        assert task["attempt"] >= 2
        second.send_signal(signal.SIGTERM)
        assert second.wait(LIMIT) == 0


def test_a_missing_display_is_one_sentence(app):
    environment = {
        name: value for name, value in app.environment.items() if name != "QT_QPA_PLATFORM"
    }
    environment = {
        name: value for name, value in environment.items() if not name.endswith("DISPLAY")
    }
    app.environment = environment
    code, out, err = app.run("gui")
    assert code == 2
    assert out == ""
    assert err.startswith("transfermon: There is no display")
    assert err.count("\n") == 1
