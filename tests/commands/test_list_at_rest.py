"""`transfermon list` while no engine runs: it reads the tasks itself, and says what an engine
would.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from transfermon.commands.main import main
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.errors import TransferError
from transfermon.model.task import Activity, Kind, State, Task, changed
from transfermon.storage import tasks_at_rest as module
from transfermon.storage.changes import Change, SessionRow
from transfermon.storage.schema import SUSPECT, VERSION
from transfermon.storage.store import Store
from transfermon.storage.tasks_at_rest import tasks_at_rest
from transfermon.system.lock import EngineLock

Output = tuple[int, str, str]
FORMATS = ([], ["--json"], ["--csv"])


def a_session(key: str, state: str = "active", *, default: bool = False) -> SessionRow:
    configuration = SessionConfiguration.background(key)
    return SessionRow(
        key=key,
        configuration=changed(configuration, identifier=None) if default else configuration,
        state=state,
    )


def a_task(number: int, session: str = "cli", **fields: Any) -> Task:
    url = f"https://example.org/{number}?key=secret"
    return Task(session=session, number=number, kind=Kind.DOWNLOAD, url=url, **fields)


def stored(folder: Path, *changes: Change) -> str:
    """A state folder as an engine leaves it; returns the path of its database."""
    folder.mkdir(mode=0o700, exist_ok=True)
    path = str(folder / "transfermon.db")

    async def store() -> None:
        database = Store(path)
        await database.open()
        for change in changes:
            database.commit(change)
        await database.close()

    asyncio.run(store())
    return path


def of_each_kind(folder: Path) -> list[Change]:
    (part := folder / "part").write_bytes(b"x" * 700)
    moving: dict[str, Any] = {
        "state": State.RUNNING,
        "activity": Activity.TRANSFERRING,
        "expected": 1000,
    }
    error = TransferError(code=-1011, message="The server answered 404: not found", hint="Check.")
    tasks = [
        a_task(1, state=State.COMPLETED, added=9.0, name="a.bin", received=5, expected=5),
        a_task(2, state=State.COMPLETED, added=2.0, error=error),
        a_task(3, added=3.0, received=100, part_path=str(part), **moving),
        a_task(4, added=4.0, name="=evil\x1b[2J", **moving),
        a_task(5, added=5.0, state=State.SUSPENDED, suspend_count=1),
        a_task(6, added=6.0, state=State.RUNNING, activity=Activity.QUEUED),
        changed(
            a_task(7, added=7.0, state=State.COMPLETED, unconfirmed="Nobody said so."),
            kind=Kind.UPLOAD,
        ),
        a_task(1, "ending", added=3.0, state=State.CANCELING),
        a_task(1, "gone", added=1.0),
    ]
    return [
        Change(session=a_session("cli")),
        Change(session=a_session("ending", "finishing")),
        Change(session=a_session("gone", "invalidated")),
        *(Change(task=task) for task in tasks),
    ]


@pytest.fixture
def listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Output]:
    """What `list` says of the state folder."""

    def run(*words: str) -> Output:
        code = main(["--state-dir", str(tmp_path / "state"), "list", *words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def by_an_engine(
    listed: Callable[..., Output], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Output]:
    """The same, of an engine that lasts as long as the command."""

    def run(*words: str) -> Output:
        with monkeypatch.context() as patch:
            patch.setattr(module, "tasks_at_rest", lambda path: None)
            return listed(*words)

    return run


@pytest.mark.parametrize("words", FORMATS)
def test_it_says_what_an_engine_would(tmp_path, listed, by_an_engine, words):
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "settings.json").write_text('{"running_tasks": "many"}')
    path = stored(tmp_path / "state", *of_each_kind(tmp_path))
    before = Path(path).read_bytes()
    mine = listed(*words)
    assert Path(path).read_bytes() == before
    assert sorted(os.listdir(tmp_path / "state")) == [
        "engine.lock",
        "settings.json",
        "transfermon.db",
    ]
    assert mine == by_an_engine(*words)
    assert "running_tasks" in mine[2]


def test_the_numbers_are_those_of_the_part_file(tmp_path, listed):
    stored(tmp_path / "state", *of_each_kind(tmp_path))
    tasks = {one["id"]: one for one in map(json.loads, listed("--json")[1].splitlines())}
    assert tasks["cli:3"]["received"] == 700
    assert [tasks[f"cli:{n}"]["status"] for n in (3, 5, 6)] == [
        "Interrupted",
        "Paused",
        "Interrupted",
    ]
    assert tasks["cli:3"]["activity"] == "queued"
    assert "gone:1" not in tasks
    assert "secret" not in json.dumps(tasks)


def test_no_engine_and_no_event_loop_is_loaded(tmp_path):
    stored(tmp_path / "state", *of_each_kind(tmp_path))
    code = (
        "import sys\nfrom transfermon.commands.main import main\n"
        f"main(['--state-dir', {str(tmp_path / 'state')!r}, 'list'])\n"
        "print({'asyncio', 'ssl', 'transfermon.engine.monitor'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def _older(path: str) -> None:
    with sqlite3.connect(path) as database:
        database.execute(f"pragma user_version={VERSION - 1}")
        database.execute("drop table wake")
    database.close()


def _newer(path: str) -> None:
    with sqlite3.connect(path) as database:
        database.execute(f"pragma user_version={VERSION + 1}")
    database.close()


def _suspect(path: str) -> None:
    Path(path + SUSPECT).touch()


def _empty(path: str) -> None:
    os.truncate(path, 0)


def _damaged(path: str) -> None:
    Path(path).write_bytes(b"no database at all" * 1000)


def _bad_record(path: str) -> None:
    with sqlite3.connect(path) as database:
        database.execute("update task set record='{' where number=1")
    database.close()


def _missing(path: str) -> None:
    os.unlink(path)


@pytest.mark.parametrize(
    "change", [_older, _newer, _suspect, _empty, _damaged, _bad_record, _missing]
)
def test_a_file_that_is_not_as_it_should_be_is_for_an_engine(tmp_path, listed, change):
    path = stored(tmp_path / "state", *of_each_kind(tmp_path))
    change(path)
    before = sorted(os.listdir(tmp_path / "state"))
    assert tasks_at_rest(path) is None
    assert sorted(os.listdir(tmp_path / "state")) == before
    code, out, err = listed()
    assert code == (2 if change is _newer else 0)
    assert "newer transfermon" in err if change is _newer else out


@pytest.fixture
def other_program(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """One that has the database open, with rows that are not in the file itself."""
    path = stored(tmp_path / "state", *of_each_kind(tmp_path))
    database = sqlite3.connect(path, isolation_level=None)
    yield database
    database.close()


def test_what_is_not_in_the_file_itself_is_listed_too(tmp_path, listed, other_program):
    other_program.execute("delete from task where number > 1")
    assert tasks_at_rest(str(tmp_path / "state" / "transfermon.db")) is None
    assert [line.split()[0] for line in listed()[1].splitlines()] == ["TASK", "ending:1", "cli:1"]


def test_a_default_session_that_was_left_behind_is_ended_by_an_engine(tmp_path, listed):
    path = stored(
        tmp_path / "state",
        Change(session=a_session("(default 1)", default=True)),
        Change(task=a_task(1, "(default 1)", state=State.RUNNING)),
    )
    assert tasks_at_rest(path) is None
    assert listed() == (0, "No transfers.\n", "")
    assert tasks_at_rest(path) == ()


def test_a_state_folder_that_is_in_use_is_left_alone(tmp_path, listed, monkeypatch):
    stored(tmp_path / "state", *of_each_kind(tmp_path))
    lock = EngineLock.acquire(str(tmp_path / "state"), "another engine")
    monkeypatch.setattr("transfermon.commands.engine_access._TAKING_TURNS", 0.0)
    code, out, err = listed()
    lock.release()
    assert (code, out) == (3, "")
    assert "another engine" in err
