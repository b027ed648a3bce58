"""Faults, group S: ten thousand transfers, two hundred small ones against a big one, a million
events.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtTest import QSignalSpy

from tests.gui.window.test_main_window import World, a_world, until
from tests.helpers import nginx
from tests.helpers.byte_server import ByteServer, Resource
from tests.helpers.qt_loop import qt_backend
from tests.helpers.records import NOW, a_finished_task, downloaded
from transfermon.engine.host_pace import MOST
from transfermon.engine.monitor import Monitor
from transfermon.gui.toolkit import theme
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.events import from_dict
from transfermon.storage.changes import Change, SessionRow
from transfermon.storage.settings import Settings
from transfermon.storage.store import KEPT, Store

pytestmark = pytest.mark.anyio
ROWS, RUNNING = 10_000, 50
DISK = 0.01  # seconds of a commit
BULK = SessionConfiguration.background("org.example.bulk")
BULK.http_maximum_connections_per_host = RUNNING


@pytest.fixture
def anyio_backend(qapp: Any) -> Any:
    return qt_backend(qapp)


async def a_history(folder: Path, count: int) -> None:
    """A state directory with so many finished transfers."""
    store = Store(str(folder / "transfermon.db"))
    await store.open()
    store.commit(
        Change(
            session=SessionRow(key="demo", configuration=SessionConfiguration.background("demo"))
        )
    )
    for number in range(1, count + 1):
        store.commit(Change(task=a_finished_task(number=number, added=NOW + number)))
    await store.close()


class Counted:
    """What the store of a monitor is asked to keep, and in how many transactions it does, on a slow
    disk.
    """

    def __init__(self, monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
        self._store = monitor._engine.store
        self._before = self._store.commits
        self.changes = 0
        commit = self._store.commit

        def counting(*given: Any, **more: Any) -> Any:
            self.changes += 1
            return commit(*given, **more)

        write = self._store._commit

        def slowly(*given: Any) -> bool:
            time.sleep(DISK)
            return write(*given)

        monkeypatch.setattr(self._store, "commit", counting)
        monkeypatch.setattr(self._store, "_commit", slowly)

    @property
    def commits(self) -> int:
        return self._store.commits - self._before


# ---- S1


async def test_fault_s1_ten_thousand_tasks_and_fifty_that_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    await a_history(tmp_path, ROWS - RUNNING)
    body = os.urandom(1_000_000)
    files = Resource(body, etag='"1"', piece=32 * 1024, pause=0.05)
    with ByteServer(files) as server:
        async with a_world(str(tmp_path)) as world:
            assert world.window.panels.model.rowCount() == ROWS - RUNNING
            world.monitor.preferences.update(running_tasks=RUNNING)
            counted = Counted(world.monitor, monkeypatch)
            session = world.monitor.create_session(BULK)
            for number in range(RUNNING):
                session.download_task(server.url(f"/{number}")).resume()
            await until(lambda: len(world.monitor.overview.running_progress()) == RUNNING)
            await until(lambda: world.window.panels.model.rowCount() == ROWS)
            await the_list_asks_for_what_is_in_view(world)
            files.pause = 0.0
            await until(lambda: all(not task.outstanding for task in session.tasks.records()), 60)
            assert all(task.succeeded for task in session.tasks.records())
            assert counted.changes >= 4 * RUNNING
            assert counted.commits < counted.changes / 3  # many changes, one transaction
    async with a_world(str(tmp_path)) as world:
        assert world.window.panels.model.rowCount() == ROWS


async def the_list_asks_for_what_is_in_view(world: World) -> None:
    """A filter is one change of the layout, and scrolling paints the rows that come into sight."""
    table, model = world.window.panels.table, world.window.panels.model
    layout, gone = QSignalSpy(model.layoutChanged), QSignalSpy(model.rowsRemoved)
    world.window.panels.words.setText("state:running")
    await until(lambda: model.rowCount() == RUNNING)
    world.window.panels.words.setText("")
    await until(lambda: model.rowCount() == ROWS)
    assert (layout.count(), gone.count()) == (2, 0)
    asked = 0
    words = type(model).words

    def counting(self: Any, row: Any, column: Any) -> str:
        nonlocal asked
        asked += 1
        return words(self, row, column)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model), "words", counting)
        table.verticalScrollBar().setValue(table.verticalScrollBar().maximum())
        table.viewport().repaint()
    in_view = table.viewport().height() // theme.ROW + 2
    assert 0 < asked <= 2 * in_view * model.columnCount()


# ---- S2


@pytest.mark.skipif(nginx.PATH is None, reason=nginx.WHY_NOT)
async def test_fault_s2_two_hundred_small_files_and_a_big_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (root := tmp_path / "root").mkdir()
    small, big = os.urandom(1000), 200_000_000
    for number in range(200):
        (root / f"{number}.bin").write_bytes(small + b"%d" % number)
    (root / "big.bin").touch()
    os.truncate(root / "big.bin", big)
    settings = Settings(download_folder=str(tmp_path / "out"))
    with nginx.running(tmp_path / "nginx", root) as server:
        async with Monitor.open(str(tmp_path / "state"), settings=settings) as monitor:
            monitor.ready()
            counted = Counted(monitor, monkeypatch)
            session = monitor.session("org.example.small")
            tasks = [session.download_task(server.url(f"/{number}.bin")) for number in range(200)]
            for task in tasks:
                task.resume()
            for number, task in enumerate(tasks):
                record = await task.wait()
                assert Path(record.file).read_bytes() == small + b"%d" % number
            # six and more at a time, and each is told when it is durable
            assert counted.commits < counted.changes / 2
            record = (
                await monitor.session("org.example.big")
                .download_task(server.url("/big.bin"))
                .resume()
                .wait()
            )
            assert digest(Path(record.file)) == digest(root / "big.bin")
        requests = [
            line.split() for line in (tmp_path / "nginx" / "access.log").read_text().splitlines()
        ]
    connections = {words[-1] for words in requests if "big" not in words[1]}
    # each small file was asked for once; the big one by as many connections as helped
    assert sum("big" not in words[1] for words in requests) == 200
    assert len(connections) <= MOST


def digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---- S5


def test_fault_s5_a_million_events_are_pruned_and_replayed_in_bounded_memory(tmp_path: Path):
    asyncio.run(a_history(tmp_path, 1))
    event = downloaded(a_finished_task(final_path="/tmp/clip-001.mp4")).to_dict()
    with contextlib.closing(sqlite3.connect(tmp_path / "transfermon.db")) as database:
        database.execute(
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000000)"
            " insert into journal(sequence, session, number, type, time, body, acknowledged)"
            " select i + 1000, 'demo', i, ?, 0, replace(?, '@', i + 1000), 1 from n",
            (event["type"], json.dumps({**event, "sequence": "@"}).replace('"@"', "@")),
        )
        database.commit()
    code = (
        "import sys; from transfermon.commands.main import main; code = main(sys.argv[1:]);"
        "sys.stderr.write(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0]); sys.exit(code)"
    )
    words = [sys.executable, "-c", code, "--state-dir", str(tmp_path), "--json", "events"]
    with open(tmp_path / "out", "w+", encoding="utf-8") as out:
        process = subprocess.run(
            words, stdout=out, stderr=subprocess.PIPE, text=True, timeout=240, check=False
        )
        assert process.returncode == 0, process.stderr
        out.seek(0)
        numbers = [from_dict(json.loads(line), "demo").sequence for line in out]
    assert numbers == list(range(1_001_001 - KEPT, 1_001_001))  # the newest, in order
    peak = int(process.stderr.split()[-1]) * 1024
    assert peak < 300_000_000  # 200 MB, for as many events as are kept
    with contextlib.closing(sqlite3.connect(tmp_path / "transfermon.db")) as database:
        assert database.execute("select count(*) from journal").fetchone() == (KEPT,)
