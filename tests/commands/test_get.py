"""`transfermon get`: the bar, the lines, and whole runs against a server, in processes of their
own.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource
from transfermon.commands.progress_screens import progress_bar
from transfermon.commands.transfer import OwnEngine
from transfermon.control.client import Client, NoEngine
from transfermon.control.server import ControlServer
from transfermon.engine.monitor import Monitor
from transfermon.host.terminal import Wrong
from transfermon.model.errors import EngineBusyError
from transfermon.model.task import TaskKey
from transfermon.storage.settings import Settings

LIMIT = 60.0  # seconds that something may take that must come
BODY = bytes(range(256)) * 8192  # 2 MiB
DIGEST = hashlib.sha256(BODY).hexdigest()


def a_task(**fields: Any) -> dict[str, Any]:
    base = {
        "id": "cli:1",
        "name": "a.bin",
        "url": "http://h/x",
        "state": "running",
        "status": "Downloading",
    }
    return {**base, "received": 500_000, "expected": 1_000_000, "speed": 100_000.0, **fields}


@pytest.mark.parametrize(
    ("tasks", "line"),
    [
        ([a_task()], "a.bin  " + "=" * 20 + "-" * 20 + "  50 %  500 kB of 1.0 MB  100 kB/s  5 s"),
        ([a_task(expected=-1)], "a.bin  500 kB  100 kB/s"),
        (
            [a_task(expected=-1, received=0, speed=0, status="Connecting")],
            "a.bin  0 bytes  connecting",
        ),
        (
            [a_task(speed=0, status="Waiting: refused, retrying in 0:12", expected=-1)],
            "a.bin  500 kB  waiting",
        ),
        (
            [a_task(), a_task(state="completed", received=1_000_000, speed=0)],
            "1 of 2 done  " + "=" * 30 + "-" * 10 + "  75 %  1.5 MB of 2.0 MB  100 kB/s  5 s",
        ),
        (
            [a_task(name="\x1b[2Jevil")],
            "\ufffd[2Jevil  " + "=" * 20 + "-" * 20 + "  50 %  500 kB of 1.0 MB  100 kB/s  5 s",
        ),
    ],
)
def test_the_bar_says_how_far_it_is(tasks, line):
    assert progress_bar(tasks, 120) == line


@pytest.mark.parametrize("width", [0, 1, 5, 20, 35, 50, 79, 200])
@pytest.mark.parametrize("name", ["a.bin", "写真" * 40, "e\u0301" * 50])
def test_the_bar_is_never_wider_than_the_terminal(width, name):
    import unicodedata

    for tasks in ([a_task(name=name)], [a_task(expected=-1, name=name)], [a_task(), a_task()]):
        line = progress_bar(tasks, width)
        wide = sum(unicodedata.east_asian_width(char) in "WF" for char in line)
        marks = sum(unicodedata.combining(char) > 0 for char in line)
        assert len(line) + wide - marks <= width


# ---- whole runs


@pytest.fixture
def resource() -> Resource:
    return Resource(BODY, etag='"v1"')


def slow(resource: Resource) -> None:
    """2 MiB take forty seconds from now on: longer than a start on a busy machine."""
    resource.piece, resource.pause = 8192, 0.15


def quick(resource: Resource) -> None:
    resource.pause = 0.0


@pytest.fixture
def server(resource) -> Iterator[ByteServer]:
    with ByteServer(resource) as found:
        yield found


class Shell:
    """Starts commands with one state folder, and ends what a test leaves running."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.out = folder / "out"
        self.out.mkdir()
        self.client = Client(str(self.state))
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *argv: str, **more: Any) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "TRANSFERMON_STATE_DIR": str(self.state),
            "PYTHONWARNINGS": "error",
        }
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        process = subprocess.Popen(
            [sys.executable, "-m", "transfermon", *argv],
            cwd=self.out,
            env=environment,
            text=True,
            **streams,
        )
        self._started.append(process)
        return process

    def run(self, *argv: str) -> tuple[int, str, str]:
        return finish(self.start(*argv))

    def tasks(self) -> list[dict[str, Any]]:
        try:
            found: list[dict[str, Any]] = self.client.request("GET", "/v1/tasks")[1]["tasks"]
        except NoEngine:
            return []
        return found

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.communicate()


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


@pytest.fixture
def shell(tmp_path) -> Iterator[Shell]:
    found = Shell(tmp_path)
    yield found
    found.close()


def some_bytes_are_there(shell: Shell, count: int = 1) -> bool:
    return (
        any(0 < task["received"] < len(BODY) for task in shell.tasks())
        and len(shell.tasks()) >= count
    )


def test_get_saves_the_whole_file_under_its_name(shell, server):
    code, out, err = shell.run("get", server.url("/pic%20ture.jpg"), "--sha256", DIGEST.upper())
    assert (code, out) == (0, f"Saved {shell.out}/pic ture.jpg (2.1 MB)\n")
    assert "Traceback" not in err
    assert (shell.out / "pic ture.jpg").read_bytes() == BODY
    assert sorted(os.listdir(shell.out)) == ["pic ture.jpg"]
    assert shell.run("list")[1].splitlines()[1].split() == [
        "cli:1",
        "100",
        "%",
        "2.1",
        "MB",
        "–",
        "pic",
        "ture.jpg",
        "Done",
    ]


@pytest.mark.slow
def test_get_takes_several_addresses_headers_and_a_file_name(shell, server):
    assert shell.run("get", server.url("/a"), server.url("/b"), "-H", "X-Key: 1", "-q")[:2] == (
        0,
        "",
    )
    assert (shell.out / "a").read_bytes() == (shell.out / "b").read_bytes() == BODY
    assert {request.header("X-Key") for request in server.requests} == {"1"}
    assert shell.run("get", server.url("/a"), "-o", "c", "--session", "other/one")[0] == 0
    assert (shell.out / "c").read_bytes() == BODY
    assert shell.run("get", server.url("/a"), "-o", "c")[0] == 2
    assert shell.run("get", server.url("/a"), "-o", "c", "--overwrite")[0] == 0
    assert sorted(os.listdir(shell.out)) == ["a", "b", "c"]


@pytest.mark.parametrize("quiet", [[], ["-q"], ["--json"]])
def test_a_transfer_that_fails_is_exit_code_1_with_the_reason(shell, server, quiet):
    code, _, err = shell.run("get", server.url("/a.bin"), "--sha256", "0" * 64, *quiet)
    assert code == 1
    assert "transfermon: a.bin: " in err
    assert "Traceback" not in err
    assert os.listdir(shell.out) == []


def test_get_gives_up_after_the_attempts_it_is_given(shell, server, resource):
    resource.cut_after = 1000
    resource.ranges = False
    code, _, err = shell.run("get", server.url("/a.bin"), "--retry", "2")
    assert (code, len(server.requests)) == (1, 2)
    assert "transfermon: a.bin: " in err


def test_orders_are_all_checked_before_the_first_is_taken(tmp_path, server):
    async def take(*urls: str) -> None:
        async with Monitor.open(str(tmp_path / "state"), settings=Settings()) as monitor:
            engine = OwnEngine(monitor, follows=False)
            orders = [{"url": url, "destination": f"{tmp_path}/"} for url in urls]
            with pytest.raises(Wrong, match="absolute"):
                await engine.take([*orders, {"url": server.url("/b"), "destination": "here"}])
            assert monitor.tasks() == ()
            (name,) = await engine.take(orders)
            monitor.commands.remove(TaskKey.parse(name))
            async with asyncio.timeout(LIMIT):
                while not (ends := list(engine.ends({name: {}}))):
                    await asyncio.sleep(0.01)
            assert {(key, task["state"]) for key, task in ends} == {(name, "removed")}

    asyncio.run(take(server.url("/a")))


def test_a_plain_download_loads_no_library_that_it_has_no_use_for(shell, server):
    code = """
import sys
from transfermon.commands.main import main
code = main(sys.argv[1:])
unused = {"h11", "httpx", "socksio", "idna", "publicsuffixlist", "dbus_fast", "email.utils", "mimetypes", "statistics", "uuid", "platformdirs"}
print(code, sorted(unused & set(sys.modules)))
"""
    words = ["--state-dir", str(shell.state), "get", "-q", server.url("/a.bin")]
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=shell.out,
        check=True,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.stdout == "0 []\n"
    assert (shell.out / "a.bin").read_bytes() == BODY


@pytest.mark.parametrize(
    "stop",
    [
        signal.SIGINT,
        *(pytest.param(other, marks=pytest.mark.slow) for other in (signal.SIGTERM, signal.SIGHUP)),
    ],
)
@pytest.mark.parametrize("quiet", [[], ["-q"]])
def test_an_interrupted_get_keeps_what_is_there_and_the_same_command_goes_on(
    shell, server, resource, stop, quiet
):
    slow(resource)
    process = shell.start("get", server.url("/a.bin"), *quiet)
    until(lambda: some_bytes_are_there(shell))
    process.send_signal(stop)
    code, out, err = finish(process)
    assert (code, out) == (130, "")
    assert "What is there is kept; the same command goes on." in err
    assert not (shell.out / "a.bin").exists()
    listed = shell.run("list")[1]
    assert "Interrupted" in listed
    quick(resource)
    assert shell.run("get", server.url("/a.bin"))[0] == 0
    assert (shell.out / "a.bin").read_bytes() == BODY
    assert server.requests[1].header("Range").startswith("bytes=")
    assert len(shell.run("list", "--json")[1].splitlines()) == 1


def test_a_killed_get_goes_on_from_its_checkpoint(shell, server, resource):
    slow(resource)
    process = shell.start("get", server.url("/a.bin"))
    until(lambda: any(task["received"] > 600_000 for task in shell.tasks()))
    process.kill()
    finish(process)
    quick(resource)
    assert shell.run("get", server.url("/a.bin"))[0] == 0
    assert (shell.out / "a.bin").read_bytes() == BODY
    assert server.requests[-1].header("Range").startswith("bytes=")


def test_json_is_the_events_of_the_tasks(shell, server):
    code, out, _ = shell.run("get", server.url("/a.bin"), "--json")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    kinds = [event["type"] for event in events]
    assert kinds[0] == "taskcreated"
    assert kinds[-2:] == ["downloadcompleted", "sessioncompleted"]
    assert {(event["session"], event["taskIdentifier"]) for event in events} == {("cli", 1)}


@pytest.mark.slow
def test_a_second_get_hands_its_task_to_the_first_and_takes_over_when_that_is_gone(
    shell, server, resource
):
    slow(resource)
    first = shell.start("get", server.url("/a.bin"))
    until(lambda: some_bytes_are_there(shell))
    second = shell.start("get", server.url("/b.bin"), "--json")
    until(lambda: some_bytes_are_there(shell, 2))
    pid = shell.client.request("GET", "/v1/status")[1]["pid"]
    assert pid == first.pid
    quick(resource)
    first.kill()
    finish(first)
    code, out, _ = finish(second)
    assert code == 0
    assert (shell.out / "b.bin").read_bytes() == BODY
    # an engine opened by a command runs that command's tasks
    assert not (shell.out / "a.bin").exists()
    assert json.loads(out.splitlines()[-1])["success"] is True
    assert shell.run("get", server.url("/a.bin"))[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("quiet", [[], ["-q"]])
def test_a_followed_task_that_is_paused_resumed_or_removed_by_others_is_noticed(
    shell, server, resource, quiet
):
    slow(resource)
    process = shell.start("get", server.url("/a.bin"), server.url("/b.bin"), *quiet)
    until(lambda: some_bytes_are_there(shell, 2))
    assert shell.run("pause", "cli:1", "cli:2") == (0, "cli:1 paused\ncli:2 paused\n", "")
    assert {task["status"] for task in shell.tasks()} == {"Paused"}
    quick(resource)
    assert shell.run("resume", "cli:1")[0] == 0
    assert shell.run("remove", "cli:2")[1] == "cli:2 removed\n"
    code, out, err = finish(process)
    assert (code, out) == (1, "" if quiet else f"Saved {shell.out}/a.bin (2.1 MB)\n")
    assert "b.bin: somebody took it out of the list." in err


@pytest.mark.parametrize("quiet", [[], ["-q"]])
def test_a_released_get_follows_its_task_in_the_new_engine(shell, server, resource, quiet):
    slow(resource)
    process = shell.start("get", server.url("/a.bin"), *quiet)
    until(lambda: some_bytes_are_there(shell))

    async def take_over() -> int:
        await asyncio.to_thread(shell.client.request, "POST", "/v1/release")
        quick(resource)
        async with asyncio.timeout(60):
            while True:
                try:
                    async with Monitor.open(str(shell.state), settings=Settings()) as monitor:
                        control = ControlServer(monitor)
                        await control.start()
                        monitor.ready()
                        code, _, _ = await asyncio.to_thread(finish, process)
                        await control.close()
                        assert monitor.tasks()[0].succeeded
                        return code
                except EngineBusyError:
                    await asyncio.sleep(0.02)

    assert asyncio.run(take_over()) == 0
    assert (shell.out / "a.bin").read_bytes() == BODY
    assert len(server.requests) == 2
    assert server.requests[1].header("Range").startswith("bytes=")


def test_ctrl_c_in_a_follower_leaves_the_transfer_to_the_engine(shell, server, resource):
    slow(resource)
    first = shell.start("get", server.url("/a.bin"))
    until(lambda: some_bytes_are_there(shell))
    second = shell.start("get", server.url("/b.bin"))
    assert second.stderr is not None
    assert second.stderr.readline().startswith("cli:2 ")
    second.send_signal(signal.SIGINT)
    code, _, err = finish(second)
    assert code == 130
    assert "transfermon goes on with cli:2" in err
    assert "Traceback" not in err
    assert len(shell.tasks()) == 2
    first.send_signal(signal.SIGINT)
    assert finish(first)[0] == 130


def test_quit_ends_the_engine_and_waits_for_it(shell, server, resource):
    slow(resource)
    process = shell.start("get", server.url("/a.bin"))
    until(lambda: some_bytes_are_there(shell))
    assert shell.run("quit") == (0, "", "")
    assert not os.path.lexists(shell.state / "control.sock")
    assert finish(process)[0] == 130


def test_events_can_be_followed_from_another_process(shell, server, resource):
    followed = threading.Event()

    def once_it_is_followed(conn: Conn, request: Request) -> bool:
        followed.wait(LIMIT)
        return False

    resource.before = once_it_is_followed
    process = shell.start("get", server.url("/a.bin"))
    until(shell.tasks)
    follower = shell.start("events", "--follow", "--json")
    assert follower.stdout is not None
    kinds = []
    for line in follower.stdout:
        followed.set()
        kinds.append(json.loads(line)["type"])
        if kinds[-1] == "sessioncompleted":
            break
    assert kinds[:2] == ["sessioncreated", "taskcreated"]
    assert finish(process)[0] == 0
    assert finish(follower)[::2] == (3, "transfermon: The engine has ended.\n")


def test_a_terminal_gets_a_bar_that_is_gone_in_the_end(shell, server):
    try:
        ours, theirs = pty.openpty()
    except OSError as exc:
        pytest.skip(f"this machine gives no terminal: {exc}")
    process = shell.start("get", server.url("/a.bin"), "--limit-rate", "3M", stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the terminal's other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    assert finish(process)[:2] == (0, f"Saved {shell.out}/a.bin (2.1 MB)\n")
    text = shown.decode()
    assert "%" in text
    assert "of 2.1 MB" in text
    assert text.endswith("\r\x1b[K")
    assert all(len(line) <= 90 for line in text.split("\r"))
