"""K1 and K2 for small files, which get their names in batches: no record says that one is on its
way.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource
from tests.helpers.harness import (
    Engine,
    check_end,
    checked,
    content,
    eventually,
    gone_on,
    left,
    parts,
    the_task,
    why_no_strace,
)
from transfermon.engine.monitor import Monitor
from transfermon.storage import filer

pytestmark = pytest.mark.anyio

BODY = content(50_000)


class Waiting:
    """No answer before it is released."""

    def __init__(self) -> None:
        self.released = False
        self.file = Resource(BODY, etag='"v1"')

    def __call__(self, conn: Conn, request: Request) -> None:
        eventually(lambda: self.released, "the release")
        self.file(conn, request)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def the_part(state: Path) -> Path:
    """Where the small part of the one task is made."""
    with contextlib.closing(sqlite3.connect(state / "transfermon.db")) as database:
        (mark,) = database.execute("select value from meta where key='database_id'").fetchone()
    task = the_task(left(state)[0])
    return Path(task.folder, filer.part_name(mark, task))


def list_folder(state: Path, folder: Path) -> None:
    with contextlib.closing(sqlite3.connect(state / "transfermon.db")) as database, database:
        database.execute("insert into meta values('value.filer', ?)", (json.dumps([str(folder)]),))


def killed_before_the_answer(state: Path, folder: Path, server: ByteServer) -> None:
    with Engine(state, folder, "--url", server.url("/a.bin")) as engine:
        eventually(lambda: server.requests, "the request")
        engine.kill()


@pytest.mark.parametrize("listed", [True, False])
async def test_fault_k2_a_small_file_that_had_its_name_is_told_of_without_a_request(
    state: Path, folder: Path, *, listed: bool
):
    with ByteServer(Waiting()) as server:
        killed_before_the_answer(state, folder, server)
        part = the_part(state)
        part.write_bytes(BODY)
        os.link(part, folder / "a.bin")
        if listed:
            list_folder(state, folder)
        runs = [await gone_on(state, folder)]
        assert len(server.requests) == 1
        assert isinstance(server.handler, Waiting)
        server.handler.released = True
    check_end(state, folder, {"a.bin": BODY}, runs)


async def test_t08_a_small_file_that_had_its_name_is_finished_also_when_it_is_cancelled_first(
    state: Path, folder: Path
):
    with ByteServer(Waiting()) as server:
        killed_before_the_answer(state, folder, server)
        part = the_part(state)
        part.write_bytes(BODY)
        os.link(part, folder / "a.bin")
        async with Monitor.open(str(state)) as monitor:
            monitor.ready(start_restored=False)
            (record,) = monitor.tasks()
            task = monitor.handle(record.key)
            task.cancel()
            record = await task.wait()
        assert isinstance(server.handler, Waiting)
        server.handler.released = True
    assert record.succeeded
    assert Path(record.final_path) == folder / "a.bin"
    assert not parts(folder)


async def test_fault_k2_a_small_part_without_a_name_is_fetched_again(state: Path, folder: Path):
    waiting = Waiting()
    with ByteServer(waiting) as server:
        killed_before_the_answer(state, folder, server)
        part = the_part(state)
        part.write_bytes(BODY[:1000])
        waiting.released = True
        runs = [await gone_on(state, folder)]
    check_end(state, folder, {"a.bin": BODY}, runs)


async def test_fault_k2_the_second_name_of_a_small_file_that_has_ended_goes(
    state: Path, folder: Path
):
    waiting = Waiting()
    waiting.released = True
    with ByteServer(waiting) as server:
        with Engine(state, folder, "--url", server.url("/a.bin")) as engine:
            engine.wait_for("idle")
            engine.wait_end()
            told = engine.events
        assert not parts(folder)
        os.link(folder / "a.bin", the_part(state))
        list_folder_again = sqlite3.connect(state / "transfermon.db")
        with contextlib.closing(list_folder_again) as database, database:
            database.execute(
                "update meta set value=? where key='value.filer'", (json.dumps([str(folder)]),)
            )
        runs = [told, await gone_on(state, folder, told)]
        assert len(server.requests) == 1
    check_end(state, folder, {"a.bin": BODY}, runs)


async def test_fault_k2_a_disk_that_was_away_is_looked_at_when_it_is_back(
    state: Path, folder: Path, tmp_path: Path
):
    with ByteServer(Waiting()) as server:
        killed_before_the_answer(state, folder, server)
        part = the_part(state)
        part.write_bytes(BODY)
        os.link(part, folder / "a.bin")
        list_folder(state, folder)
        away = tmp_path / "away"
        shutil.move(folder, away)
        with Engine(state, folder, "--wait") as engine:
            engine.wait_for("ready")
            shutil.move(away, folder)
            engine.kill()
        runs = [await gone_on(state, folder)]
        assert isinstance(server.handler, Waiting)
        server.handler.released = True
    check_end(state, folder, {"a.bin": BODY}, runs)


@pytest.mark.parametrize("call", ["openat", "write", "fchmod", "fdatasync", "linkat", "fsync"])
@pytest.mark.parametrize("deaf", [False, True])
async def test_fault_k2_a_kill_at_each_call_that_gives_a_small_file_its_name(
    call: str, state: Path, folder: Path, *, deaf: bool
):
    if why_no_strace():
        pytest.skip(why_no_strace())
    waiting = Waiting()
    words = ["--deaf"] if deaf else []
    with ByteServer(waiting) as server:
        with Engine(state, folder, *words, "--url", server.url("/a.bin")) as engine:
            eventually(lambda: server.requests, "the request")
            part = the_part(state)
            engine.attach(
                *("-P", str(folder), "-P", str(part)),
                *("-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when=1"),
            )
            waiting.released = True
            assert engine.wait_end() == -9
            told = engine.events
        checked(state, folder, {"a.bin": BODY})
        runs = [told, await gone_on(state, folder, told)]
    check_end(state, folder, {"a.bin": BODY}, runs)
