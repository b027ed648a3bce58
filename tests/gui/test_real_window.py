"""The app on a real X server, which has its own platform plugin, fonts and window states."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from transfermon.control_client import Client, NoEngine
from transfermon.gui.app import plugin_problem

XVFB = shutil.which("Xvfb")
pytestmark = pytest.mark.skipif(XVFB is None, reason="Xvfb is not installed")
LONGEST = 40.0  # seconds, on a machine with other work


@pytest.fixture
def display() -> Iterator[str]:
    """A screen of its own on a free number."""
    assert XVFB is not None
    if problem := plugin_problem({"QT_QPA_PLATFORM": "xcb"}, sys.platform):
        pytest.skip(problem)
    here, there = os.pipe()
    options = ["-displayfd", str(there), "-screen", "0", "1280x800x24", "-nolisten", "tcp", "-noreset"]
    server = subprocess.Popen([XVFB, *options], pass_fds=[there], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(there)
    try:
        with open(here, encoding="ascii") as file:
            number = file.readline().strip()
        if not number:
            pytest.skip("Xvfb does not start here")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()


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
    environment = {name: value for name, value in os.environ.items() if name not in ("WAYLAND_DISPLAY", "XAUTHORITY")}
    environment |= {"DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
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
