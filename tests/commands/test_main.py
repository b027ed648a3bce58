"""The command line without a network: what is refused with which exit code, and what is printed."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Resource, reply
from transfermon.commands.main import main
from transfermon.system.lock import EngineLock

Run = Callable[..., tuple[int, str, str]]
URL = "http://127.0.0.1:9/a.bin"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys) -> Run:
    """Run a command with a state folder of its own: exit code, stdout, stderr."""
    monkeypatch.setenv("TRANSFERMON_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)

    def one(*argv: str) -> tuple[int, str, str]:
        code = main(argv)
        out, err = capsys.readouterr()
        return code, out, err

    return one


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["get"], "required: URL"),
        (["nothing"], "invalid choice"),
        (["get", ""], "The URL is empty."),
        (["get", "example.org/a"], "Write http:// or https:// in front of it."),
        (["get", "ftp://example.org/a"], "Addresses that start with ftp: cannot be loaded."),
        (["get", "http://exa mple/a"], "not a valid name"),
        (["get", "file:///etc/passwd"], "cannot be loaded"),
        (["get", URL, "-d", "missing"], "missing is not there."),
        (["get", URL, "-o", "missing/a"], "missing is not there."),
        (["get", URL, "-o", "."], "The path . is a folder; name a file, or use --directory."),
        (["get", URL, "-o", "there"], "The file there is there already; --overwrite replaces it."),
        (["get", URL, "-o", "a", "-d", "b"], "not allowed with"),
        (["get", URL, URL + "2", "-o", "a"], "one address at a time"),
        (["get", URL, URL + "2", "--sha256", "0" * 64], "one address at a time"),
        (["get", URL, "--sha256", "abc"], "A SHA-256 digest has 64 hexadecimal digits."),
        (["get", URL, "--limit-rate", "fast"], "“fast” is not a rate"),
        (["get", URL, "-H", "X"], "“X” is not a header; write 'NAME: VALUE'."),
        (["get", URL, "-H", "Host: evil"], "Host is set by transfermon and cannot be given."),
        (["get", URL, "-H", "a b: c"], "is not a header name."),
        (["get", URL, "--session", " "], "The identifier must not be empty."),
        (["get", URL, "--retry", "-1"], "is not a whole number"),
        (["show", "nonsense"], "“nonsense” is not a task; write SESSION:NUMBER"),
        (["show", "cli:1"], "There is no task cli:1."),
        (["pause"], "Name the transfers as SESSION:NUMBER, or say --all."),
        (["pause", "cli:1", "--all"], "Name the transfers as SESSION:NUMBER, or say --all."),
        (["cancel", "cli:7"], "There is no task cli:7."),
        (["events", "--since", "x"], "is not a whole number"),
        (["push", "@missing"], "The payload missing cannot be read: No such file or directory."),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(run, tmp_path, argv, words):
    (tmp_path / "there").touch()
    code, out, err = run(*argv)
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("transfermon")


def test_hostile_text_in_an_argument_reaches_the_terminal_cleaned(run):
    code, _, err = run("get", URL, "-H", "\x1b[2J\u202eX")
    assert code == 2
    assert "\x1b" not in err
    assert "\u202e" not in err


@pytest.mark.parametrize(
    "argv", [["push"], ["fetch"], ["release"], ["quit"], ["events", "--follow"]]
)
def test_what_needs_a_running_engine_says_that_there_is_none(run, argv):
    code, out, err = run(*argv)
    assert (code, out) == (3, "")
    assert err.startswith("transfermon: No transfermon is running")


def test_an_engine_that_owns_the_state_and_does_not_answer_is_named(run, tmp_path):
    (tmp_path / "state").mkdir()
    lock = EngineLock.acquire(str(tmp_path / "state"), "a sleeping engine")
    code, _, err = run("list")
    lock.release()
    assert code == 3
    assert f"in the hands of a sleeping engine (process {os.getpid()})" in err


def test_a_state_folder_that_cannot_be_used_is_a_sentence(run, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = run("--state-dir", str(tmp_path / "file"), "list")
    assert code == 2
    assert "Choose another with --state-dir." in err


def test_reading_works_without_a_running_engine(run):
    assert run("list") == (0, "No transfers.\n", "")
    assert run("sessions") == (0, "No sessions.\n", "")
    assert run("events") == (0, "", "")
    assert run("list", "--json") == (0, "", "")
    assert run("pause", "--all") == (0, "", "")


def test_options_for_all_commands_may_stand_before_or_after_the_command(run, tmp_path):
    for argv in (
        ["--state-dir", str(tmp_path / "other"), "list"],
        ["list", "--state-dir", str(tmp_path / "third")],
    ):
        assert run(*argv)[0] == 0
    assert (tmp_path / "other").is_dir()
    assert (tmp_path / "third").is_dir()
    assert not (tmp_path / "state").exists()


def test_there_is_no_window_without_a_display(run, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    for argv in ([], ["gui"], ["gui", "--demo"]):
        code, _, err = run(*argv)
        assert code == 2
        assert err.startswith("transfermon: ")
        assert "display" in err


def test_help_names_the_commands_and_the_exit_codes(run):
    code, out, _ = run("--help")
    assert code == 0
    commands = (
        "gui",
        "get",
        "list",
        "show",
        "sessions",
        "events",
        "push",
        "fetch",
        "release",
        "quit",
        "videofarm",
    )
    for command in (*commands, "pause", "resume", "cancel", "retry", "remove"):
        assert f"\n    {command} " in out
        assert run(command, "--help")[0] == 0
    assert "130 interrupted" in out
    assert run("--version")[1].startswith("transfermon ")


def test_help_and_commands_to_a_running_engine_load_no_engine():
    code = """
import argparse, sys
argparse.ArgumentParser().format_help()
before = set(sys.modules)  # Python's own: its parser brings dataclasses from 3.14 on
from transfermon.commands import main as cli
assert cli.main(["--help"]) == 0
heavy = {"asyncio", "dataclasses", "json", "socket", "transfermon.model.errors"} & (set(sys.modules) - before)
assert not heavy, heavy
assert cli.main(["fetch"]) == 3
heavy = {"asyncio", "h11", "httpx", "sqlite3", "transfermon.engine.monitor"} & set(sys.modules)
assert not heavy, heavy
"""
    environment = {**os.environ, "TRANSFERMON_STATE_DIR": "/nonexistent"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)


def test_a_reader_that_goes_away_ends_the_command_quietly(tmp_path):
    command = f"{sys.executable} -m transfermon --help | true"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


@pytest.mark.parametrize("as_json", [False, True])
def test_paused_records_can_be_listed_changed_and_removed_without_a_running_engine(
    run, tmp_path, as_json
):
    make(tmp_path / "state", tmp_path, "evil\x1b[2J\nname")
    more = ["--json"] if as_json else []
    code, out, err = run("list", *more)
    assert (code, err) == (0, "")
    if as_json:
        assert json.loads(out)["id"] == "cli:1"
    else:
        assert "\x1b" not in out
        assert len(out.splitlines()) == 2
        assert "Paused" in out
    code, out, _ = run("show", "cli:1", *more)
    assert (code, "cli:1" in out) == (0, True)
    code, out, _ = run("events", *more)
    assert (code, len(out.splitlines())) == (0, 2)
    assert run("retry", "cli:1")[0] == 1
    assert run("cancel", "--all", *more)[0] == 0
    assert run("remove", "cli:1", *more)[0] == 0
    assert run("list")[1] == "No transfers.\n"


def test_a_retry_that_nothing_runs_says_so_and_may_be_said_again(run, tmp_path):
    with ByteServer(lambda conn, request: conn.send(reply(404))) as server:
        assert run("get", "--retry", "1", "-d", str(tmp_path), server.url("/f.bin"))[0] == 1
        for address in (None, None, server.url("/g.bin")):  # a task that is queued is no error
            more = ["--url", address] if address else []
            code, out, err = run("retry", "cli:1", *more)
            assert (code, out) == (3, "cli:1 queued\n")
            assert "the app is not open" in err
            assert "transfermon standby" in err
        shown = run("show", "cli:1")[1]
        assert "/g.bin" in shown
        assert "Interrupted" in shown
        assert len(server.requests) <= 4


def test_the_list_counts_what_is_stored_and_not_only_what_was_written_down(run, tmp_path):
    import asyncio

    from transfermon.engine.monitor import Monitor
    from transfermon.storage.settings import Settings

    body = bytes(500_000)
    with ByteServer(Resource(body, etag='"v1"', stall_after=400_000)) as server:

        async def killed() -> None:
            async with Monitor.open(str(tmp_path / "state"), settings=Settings()) as monitor:
                task = monitor.session("cli").download_task(
                    server.url("/f.bin"), destination=f"{tmp_path}/"
                )
                while task.count_of_bytes_received < 400_000:
                    await asyncio.sleep(0.01)

        asyncio.run(killed())
    with sqlite3.connect(tmp_path / "state" / "transfermon.db") as database:
        ((text,),) = database.execute("select record from task")
        # as if it had been killed before the first checkpoint
        record = {**json.loads(text), "received": 0}
        database.execute("update task set record=?", (json.dumps(record),))
    database.close()
    (_, line) = run("list")[1].splitlines()
    assert "80 %" in line
    assert "Interrupted" in line


def make(state: Path, folder: Path, name: str) -> None:
    import asyncio

    from transfermon.engine.monitor import Monitor
    from transfermon.storage.settings import Settings

    async def one() -> None:
        async with Monitor.open(str(state), settings=Settings()) as monitor:
            task = monitor.session("cli").download_task(
                URL, destination=str(folder) + "/", name=name, start=False
            )
            await task.accepted

    asyncio.run(one())


def test_a_payload_may_come_from_standard_input(run, monkeypatch):
    class Stdin:
        buffer = io.BytesIO(b"\xff")

    monkeypatch.setattr(sys, "stdin", Stdin())
    assert run("push", "-")[2] == "transfermon: The payload is not UTF-8.\n"


@pytest.mark.parametrize("qt", [False, True])
def test_a_command_ends_with_its_last_word_and_takes_nothing_apart(qt: bool):
    script = """
import atexit, sys

class Left:
    def __del__(self):
        print("taken apart")

left = Left()
from transfermon.commands import main

def ended():
    atexit.register(print, "told")
    return 3

main.main = ended
if sys.argv[1:]:
    sys.modules["PySide6.QtCore"] = sys
sys.exit(main.program())
"""
    words = [sys.executable, "-c", script, *(["qt"] if qt else [])]
    found = subprocess.run(words, check=False, capture_output=True, text=True)
    assert found.returncode == 3
    assert found.stdout.split("\n", 1)[0] == "told"
    assert ("taken apart" in found.stdout) is qt


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_output_that_cannot_be_written_is_one_sentence(tmp_path):
    words = [sys.executable, "-m", "transfermon", "--state-dir", str(tmp_path), "list"]
    with open("/dev/full", "w") as full:
        found = subprocess.run(words, check=False, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (found.returncode, found.stderr) == (
        1,
        "transfermon: The output cannot be written: No space left on device.\n",
    )


def test_output_that_was_closed_before_the_start_is_no_failure(tmp_path):
    command = f"exec {sys.executable} -m transfermon --state-dir {tmp_path} list >&-"
    found = subprocess.run(["sh", "-c", command], check=False, capture_output=True)
    assert (found.returncode, found.stderr) == (0, b"")
