from __future__ import annotations

import asyncio
import os

import pytest

from transfermon.engine.monitor import Monitor
from transfermon.model.errors import StateError
from transfermon.model.task import Activity
from transfermon.storage.settings import Settings
from transfermon.system.lock import EngineLock
from transfermon.videofarm.demo import MARK, PHOTOS, VIDEOS, Demo, fresh_folder

pytestmark = pytest.mark.anyio


def test_the_folder_is_emptied_at_each_start(tmp_path):
    folder = fresh_folder(str(tmp_path / "demo"))
    (tmp_path / "demo" / "downloads").mkdir()
    (tmp_path / "demo" / "downloads" / "a.jpg").write_bytes(b"x")
    (tmp_path / "demo" / "transfermon.db").write_bytes(b"x")
    assert fresh_folder(folder) == folder
    assert sorted(os.listdir(folder)) == [MARK, "engine.lock"]


def test_a_folder_that_is_not_a_demos_is_left_alone(tmp_path):
    (tmp_path / "transfermon.db").write_bytes(b"precious")
    with pytest.raises(StateError):
        fresh_folder(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["transfermon.db"]


def test_a_link_in_the_folder_is_removed_and_not_followed(tmp_path):
    folder = fresh_folder(str(tmp_path / "demo"))
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_bytes(b"x")
    os.symlink(tmp_path / "precious", tmp_path / "demo" / "downloads")
    fresh_folder(folder)
    assert (tmp_path / "precious" / "file").exists()


def test_a_demo_that_runs_keeps_its_folder(tmp_path):
    folder = fresh_folder(str(tmp_path / "demo"))
    (tmp_path / "demo" / "transfermon.db").write_bytes(b"x")
    lock = EngineLock.acquire(folder)
    try:
        assert fresh_folder(folder) == folder
        assert (tmp_path / "demo" / "transfermon.db").exists()
    finally:
        lock.release()


def test_without_a_folder_it_is_beside_the_persons_own(monkeypatch, tmp_path):
    monkeypatch.setenv("TRANSFERMON_STATE_DIR", str(tmp_path / "state"))
    assert fresh_folder() == str(tmp_path / "state-demo")
    assert not (tmp_path / "state").exists()


async def until(condition, what: str, seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)
    assert condition(), what


async def test_the_demo_has_transfers_of_every_fate(tmp_path):
    folder = fresh_folder(str(tmp_path / "demo"))
    settings = Settings(download_folder=os.path.join(folder, "downloads"))
    async with Monitor.open(folder, settings=settings) as monitor:
        demo = Demo(monitor)
        monitor.ready()
        await demo.start()
        try:
            tasks = monitor.tasks
            await until(lambda: sum(task.succeeded for task in tasks()) == 6, "the photos arrive")
            await until(lambda: any(task.failed for task in tasks()), "one fails")
            await until(lambda: any(task.waiting for task in tasks()), "one waits")
            await until(
                lambda: any(task.activity is Activity.TRANSFERRING for task in tasks()), "some move"
            )
            assert any(task.activity is Activity.QUEUED for task in tasks())
            assert {session.identifier for session in monitor.sessions} == {PHOTOS, VIDEOS}
            assert "The farm at dusk.jpg" in os.listdir(os.path.join(folder, "downloads"))
            await monitor.fetch()
        finally:
            server = demo._server
            await demo.stop()
        assert server is not None
        assert server.returncode is not None
        assert monitor.settings.allowed_hosts == ()
    assert not (tmp_path / "demo" / "settings.json").exists()
