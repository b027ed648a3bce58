"""The pictures of the README: the real window with the real demo, in light and dark.

    .venv/bin/python tools/screenshots.py [--size 1200x720] [--folder assets]

Takes about a minute, and needs no screen; QT_SCALE_FACTOR=2 makes them twice as sharp.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication

import qasync  # isort: skip - it takes another Qt when PySide6 is not there first

from transfermon.demo import Demo, fresh_folder
from transfermon.gui import theme
from transfermon.gui.bridge import Bridge
from transfermon.gui.main_window import MainWindow
from transfermon.gui.scope import look_of
from transfermon.monitor import Monitor
from transfermon.runners import Runners
from transfermon.settings import Settings

PATIENCE = 120.0  # seconds


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.1)


def full_of_life(monitor: Monitor) -> bool:
    """Three run and are well under way, one waits for its server, one has failed, and all photos are there."""
    looks = [look_of(task) for task in monitor.tasks()]
    shares = [live.received / live.expected for live in monitor.running_progress().values() if live.expected > 0]
    under_way = sum(0.3 < share < 0.9 for share in shares)
    enough = under_way >= 3 and looks.count("running") >= 3 and looks.count("done") >= 6
    return enough and "waiting" in looks and "failed" in looks


async def show(window: MainWindow, monitor: Monitor) -> None:
    await until(lambda: full_of_life(monitor))
    photo = next(task for task in monitor.tasks() if task.succeeded and task.name.startswith("Sheep"))
    window.select(photo.key)
    await until(lambda: window.preview.canvas.image is not None)


async def take(window: MainWindow, scheme: str, path: str) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.apply(app, scheme)
    window.toasts.end_all()
    window.table.scrollToTop()
    await asyncio.sleep(1)  # one tick of progress, and what the new colours want painted anew
    if not window.grab().save(path, "PNG"):
        raise OSError(f"{path} cannot be written")
    print(f"{path}: {os.path.getsize(path) // 1000} kB")


async def main(state: str, folder: str, width: int, height: int) -> None:
    settings = Settings(download_folder=os.path.join(state, "downloads"), keep_transferring=False)
    async with Monitor.open(state, settings=settings) as monitor:
        window, runners, demo = MainWindow(state_dir=state), Runners(), Demo(monitor)
        bridge = Bridge(monitor, window)
        window.resize(width, height)
        window.show()
        window.attach(monitor, bridge, runners)
        monitor.ready()
        try:
            await demo.start()
            await show(window, monitor)
            for scheme in ("light", "dark"):
                await take(window, scheme, os.path.join(folder, f"window-{scheme}.png"))
        finally:
            window.detach()
            bridge.close()
            await runners.close()
            await demo.stop()
            window.let_go()
            window.deleteLater()
            await asyncio.sleep(0)
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def run() -> int:
    parser = argparse.ArgumentParser(description="Take the pictures of the README.")
    parser.add_argument("--size", default="1200x720", help="of the window, WIDTHxHEIGHT")
    parser.add_argument("--folder", default="assets")
    given = parser.parse_args()
    width, height = (int(part) for part in given.size.split("x"))
    app = QApplication(sys.argv[:1])
    app.setQuitOnLastWindowClosed(False)
    theme.apply(app, "light")
    state = tempfile.mkdtemp(prefix="transfermon-")
    begin = time.monotonic()
    try:
        with asyncio.Runner(loop_factory=lambda: qasync.QEventLoop(app)) as runner:
            runner.run(main(fresh_folder(state), given.folder, width, height))
    finally:
        shutil.rmtree(state, ignore_errors=True)
    print(f"took {time.monotonic() - begin:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(run())
