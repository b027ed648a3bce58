"""`transfermon run`: when a script begins and ends, and what becomes of its mistakes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.banners import Banners
from tests.helpers.byte_server import ByteServer, Resource
from tests.helpers.owners import until
from tests.helpers.recorder import eventually
from transfermon.commands.main import _script_words
from transfermon.engine.monitor import Monitor
from transfermon.host.headless import Headless
from transfermon.host.script import Script
from transfermon.storage.settings import Settings, ensure_private

SIZE = 300_000
DOWNLOAD = """
import sys
from transfermon.urlsession import create_session, create_session_configuration, monitor

def show(event):
    print(event.type, flush=True)

for name in ("downloadcompleted", "sessioncompleted", "sessionidle"):
    monitor.add_event_listener(name, show)
session = create_session(create_session_configuration("com.example.script"))
session.download_task(sys.argv[1])
"""
ORDER = ["downloadcompleted", "sessioncompleted", "sessionidle"]


@pytest.fixture
def resource() -> Resource:
    return Resource(b"x" * SIZE)


@pytest.fixture
def server(resource: Resource) -> Iterator[ByteServer]:
    with ByteServer(resource) as server:
        yield server


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "sample.py"
    path.write_text(DOWNLOAD)
    return path


def test_a_headless_script_ends_when_nothing_is_left_to_wait_for(place, server, script):
    code, out, err = place.run("run", str(script), "--headless", server.url("/a.png"))
    assert (code, out.split(), err) == (0, ORDER, "")


@pytest.mark.slow
def test_a_script_in_the_app_hears_the_same_and_ends_with_it(place, server, script):
    process = place.start("run", str(script), server.url("/a.png"))
    until("its transfer", lambda: place.status().get("finished") == 1)
    assert place.status()["window"]
    assert place.run("quit")[0] == 0
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out.split()) == (0, ORDER), err


@pytest.mark.parametrize(
    ("source", "code", "words"),
    [
        ("1 / 0", 1, "sample.py failed in line 1: ZeroDivisionError: division by zero"),
        (
            "import no_such_module_here",
            2,
            "ModuleNotFoundError: No module named 'no_such_module_here'",
        ),
        ("x = (", 2, "sample.py is not usable in line 1: SyntaxError: '(' was never closed"),
        ("a = '\0'", 2, "not usable"),
        (None, 2, "cannot be read: No such file or directory."),
        ("import sys; sys.exit('give me a URL')", 1, "transfermon: give me a URL\n"),
        ("import sys; sys.exit(5)", 5, ""),
        ("import sys; sys.exit()", 0, ""),
        (
            "async def main():\n    raise ValueError('late')",
            1,
            "sample.py failed in line 2: ValueError: late",
        ),
        ("async def main():\n    raise SystemExit(4)", 4, ""),
        (
            """
def heard(event):
    raise KeyError("gone")
monitor.add_event_listener("sessioncreated", heard)
monitor.session("a")
""",
            1,
            "sample.py failed on sessioncreated in line 3: KeyError: 'gone'",
        ),
        (
            """
import sys
async def heard(event):
    sys.exit(6)
monitor.add_event_listener("backgroundfetch", heard)
async def main():
    await monitor.fetch()
""",
            6,
            "",
        ),
    ],
)
def test_what_goes_wrong_in_a_script_is_one_line_and_an_exit_code(
    place, script, source, code, words
):
    if source is None:
        script.unlink()
    else:
        script.write_text(source)
    found, _, err = place.run("run", str(script), "--headless")
    assert (found, words in err, err.count("\n") <= 1) == (code, True, True), err
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_script_that_fails_in_the_app_ends_it_with_the_same_code(place, script):
    script.write_text("import no_such_module_here")
    code, _, err = place.run("run", str(script))
    assert (code, "No module named 'no_such_module_here'" in err) == (2, True)


def test_a_main_may_wait_for_events_with_the_object_form(place, server, script):
    script.write_text("""
import sys
from pathlib import Path

import transfermon

if __name__ == "__main__":
    print(Path(__file__).name)

async def main():
    session = monitor.create_session(transfermon.SessionConfiguration.background("com.example.object"))
    task = session.download_task(sys.argv[1], destination=sys.argv[2])
    record = await task.wait()
    print(record.succeeded, record.received)
""")
    code, out, err = place.run(
        "run", str(script), "--headless", server.url("/a"), str(place.out / "a")
    )
    assert (code, out, err) == (0, f"sample.py\nTrue {SIZE}\n", "")


@pytest.mark.parametrize("headless", [["--headless"], []], ids=["headless", "app"])
def test_with_an_engine_running_a_script_exits_3_and_says_how(place, script, headless):
    place.small_app()
    code, out, err = place.run("run", str(script), *headless, "http://127.0.0.1:9/")
    assert (code, out) == (3, "")
    assert "running already" in err
    assert "`transfermon release`" in err


def test_a_script_that_listens_for_wakes_stays_and_is_served_by_the_control_socket(place, script):
    script.write_text("""
import json

def woken(event):
    print(json.dumps(event.to_dict()), flush=True)
    monitor.end_background_handler(event.handler_id)

monitor.add_event_listener("silentpush", woken)
""")
    process = place.start("run", str(script), "--headless")
    until("its engine", lambda: place.status().get("pid") == process.pid)
    assert place.status()["appState"] == "background"
    assert place.run("push", '{"aps": {"content-available": 1}, "colour": "red"}')[0] == 0
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["colour"] == "red"
    # the script took the default's place
    assert not [task for task in place.tasks() if task["session"] == "push"]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, "Stopped." in err) == (130, True)


@pytest.mark.slow
def test_what_was_stopped_goes_on_with_the_same_command(place, server, resource, script):
    resource.piece, resource.pause = 10_000, 0.05
    process = place.start("run", str(script), "--headless", server.url("/a.png"))
    until("its first bytes", lambda: place.received() > 0)
    place.kill(process)
    resource.pause = 0.0
    script.write_text(DOWNLOAD.replace("session.download_task", "session.get_all_tasks and print"))
    code, out, _ = place.run("run", str(script), "--headless", "http")
    assert (code, out.split()) == (0, ["http", *ORDER])


@pytest.mark.parametrize(
    ("words", "headless", "its"),
    [
        ([], False, []),
        (["--headless"], True, []),
        (["a", "--headless", "--own", "b"], True, ["a", "--own", "b"]),
        (["--", "--headless"], False, ["--headless"]),
        (["--headless", "--", "--headless", "--"], True, ["--headless", "--"]),
    ],
)
def test_the_words_behind_a_script_are_its_own_but_for_headless(words, headless, its):
    assert _script_words(words) == (headless, its)


# ---- O-16


class Looking(Banners):
    """Writes down whether the listener had returned when a banner was shown."""

    def __init__(self, returned: Path) -> None:
        super().__init__()
        self._returned = returned
        self.came_after: list[bool] = []

    async def send(self, title: str, body: str, **options: Any) -> bool:
        self.came_after.append(self._returned.exists())
        return await super().send(title, body, **options)


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["batch", "task"])
async def test_o16_without_a_window_the_banner_comes_after_the_listeners_of_the_script(
    tmp_path, server, script, how
):
    script.write_text("""
import asyncio, pathlib, sys

idle = asyncio.Event()
monitor.subscribe(lambda event: idle.set() if event.type == "sessionidle" else None)

async def slow(event):
    await idle.wait()  # the batch is complete from here on
    for _ in range(5):  # and what a banner takes is stored and told meanwhile
        await monitor.overview.history(limit=1)
    pathlib.Path(sys.argv[3]).touch()

monitor.add_event_listener("sessioncompleted", slow)
monitor.session("com.example.script").download_task(sys.argv[1], destination=sys.argv[2])
""")
    state, returned = tmp_path / "state", tmp_path / "returned"
    ensure_private(str(state))
    (state / "settings.json").write_text(json.dumps({"notify": how}))
    banners = Looking(returned)
    words = [server.url("/a"), str(tmp_path / "a"), str(returned)]
    async with asyncio.timeout(60):
        code = await Headless(str(state), Script.read(str(script), words), banners).live()
    assert code == 0
    assert [title for title, _ in banners.shown] == ["Transfer finished"]
    assert banners.came_after == [True]


@pytest.mark.anyio
async def test_o16_what_a_listener_has_not_had_is_not_told_when_the_script_is_stopped(
    tmp_path, server, script
):
    script.write_text("""
import asyncio, pathlib, sys

async def stuck(event):
    pathlib.Path(sys.argv[3]).touch()
    await asyncio.Event().wait()

monitor.add_event_listener("sessioncompleted", stuck)
monitor.session("com.example.script").download_task(sys.argv[1], destination=sys.argv[2])
""")
    state, begun, banners = tmp_path / "state", tmp_path / "begun", Banners()
    ensure_private(str(state))
    words = [server.url("/a"), str(tmp_path / "a"), str(begun)]
    running = asyncio.create_task(
        Headless(str(state), Script.read(str(script), words), banners).live()
    )
    await eventually(begun.exists)
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(60):
        assert await running == 130
    assert banners.shown == []
    async with Monitor.open(str(state), settings=Settings()) as monitor:  # the next start tells it
        assert [key.session for key in monitor.presence.ended_away] == ["com.example.script"]
