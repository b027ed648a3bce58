"""Pictures of the real window with the real demo, in light and dark.

    .venv/bin/python tools/screenshots.py [--size 1200x720] [--folder assets] [--all]

Without --all those of the README, else each view and dialog. Takes about a minute, and needs no
screen; QT_SCALE_FACTOR=2 makes them twice as sharp.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication, QDialog, QWidget

import qasync  # isort: skip - it takes another Qt when PySide6 is not there first

from transfermon.engine.monitor import Monitor
from transfermon.engine.new_task import NewTask
from transfermon.gui.dialogs.add import AddDialog, AddRequest
from transfermon.gui.list.scope import Scope, look_of
from transfermon.gui.toolkit import theme
from transfermon.gui.window import adding, session_commands, settings_commands
from transfermon.gui.window.bridge import Bridge
from transfermon.gui.window.commands import BY_ID
from transfermon.gui.window.credentials import CredentialsDialog
from transfermon.gui.window.main_window import MainWindow
from transfermon.http.challenges import Challenge
from transfermon.model.task import Kind
from transfermon.storage.settings import Settings
from transfermon.system.runners import Runners
from transfermon.videofarm.demo import Demo, fresh_folder
from transfermon.videofarm.sync import VideoSync
from transfermon.wire.simulation import NONE, Simulation

PATIENCE = 120.0  # seconds
View = Callable[[MainWindow], Awaitable[None]]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.1)


def full_of_life(monitor: Monitor) -> bool:
    """Three run and are well under way, one waits for its server, one has failed, and all photos
    are there.
    """
    looks = [look_of(task) for task in monitor.tasks()]
    shares = [
        live.received / live.expected
        for live in monitor.overview.running_progress().values()
        if live.expected > 0
    ]
    under_way = sum(0.3 < share < 0.9 for share in shares)
    enough = under_way >= 3 and looks.count("running") >= 3 and looks.count("done") >= 6
    return enough and "waiting" in looks and "failed" in looks


async def show(window: MainWindow, monitor: Monitor) -> None:
    await until(lambda: full_of_life(monitor))
    photo = next(
        task for task in monitor.tasks() if task.succeeded and task.name.startswith("Sheep")
    )
    window.context.select(photo.key)
    await until(lambda: window.panels.preview.canvas.image is not None)


async def the_list(window: MainWindow) -> None:
    window.panels.sidebar.select(Scope(kind="all"))
    shown = [window.context.monitor.task(key) for key in window.panels.table.visible_keys()]
    photo = next(task for task in shown if task.succeeded and task.name.endswith(".jpg"))
    window.context.select(photo.key)
    window.panels.tabs.setCurrentWidget(window.panels.details)
    window.panels.details.tabs.setCurrentIndex(0)
    window.panels.table.scrollToTop()


def detail(number: int) -> View:
    async def view(window: MainWindow) -> None:
        await the_list(window)
        running = [
            key
            for key, live in window.context.monitor.overview.running_progress().items()
            if live.received
        ]
        if number not in (1, 2) and running:
            window.context.select(running[0])
        window.panels.details.tabs.setCurrentIndex(number)

    return view


async def events(window: MainWindow) -> None:
    BY_ID["events"].run(window.context)


async def background(window: MainWindow) -> None:
    BY_ID["background"].run(window.context)


async def videofarm(window: MainWindow) -> None:
    BY_ID["videofarm"].run(window.context)
    page = window.videofarm
    await until(
        lambda: bool(page.model.cards) and all(card.image is not None for card in page.model.cards)
    )
    chosen = page.grid.selectionModel()
    for row in (1, 2):
        chosen.select(page.found.index(row, 0), chosen.SelectionFlag.Select)
    page.download()
    await until(lambda: any(card.done > card.total * 0.1 > 0 for card in page.model.cards))
    chosen.clear()


def dialog(name: str) -> View:
    async def view(window: MainWindow) -> None:
        await the_list(window)
        window.context.actions[name].trigger()

    return view


async def add_more(window: MainWindow) -> None:
    await dialog("add")(window)
    made = next(one for one in window.findChildren(AddDialog) if one.isVisible())
    made.urls.setPlainText("https://api.example.org/v1/exports\nftp://example.org/old.iso")
    made.more_button.setChecked(True)
    made.method.setCurrentText("POST")
    made.body.setPlainText('{"format": "zip", "since": "2026-11-01"}')
    made.headers.setPlainText("Accept: application/zip")


async def sheet(window: MainWindow) -> None:
    """Several finished pictures."""
    window.panels.sidebar.select(Scope(kind="finished"))
    window.panels.table.selectAll()
    pictures = sum(
        task.name.endswith((".jpg", ".png", ".webp"))
        for task in window.context.monitor.tasks()
        if task.succeeded
    )
    await until(lambda: len(window.panels.preview.sheet.images) >= pictures)


async def answer(window: MainWindow) -> None:
    """What a request without a file got."""
    window.panels.sidebar.select(Scope(kind="all"))
    url = window.context.monitor.settings.videofarm_url.rstrip("/") + "/videos.json"
    adding.add_addresses(
        window.context,
        AddRequest(
            urls=(url,),
            new=NewTask(kind=Kind.DATA, url="", data=b"{}", user_initiated=True),
            session="com.example.photos",
        ),
    )
    key = next(task.key for task in window.context.monitor.tasks() if task.kind is Kind.DATA)
    await until(lambda: not window.context.monitor.task(key).outstanding)
    window.context.select(key)


async def session(window: MainWindow) -> None:
    await the_list(window)
    session_commands.show_session(
        window.context, window.context.monitor.overview.session_infos()[0].key
    )


async def sign_in(window: MainWindow) -> None:
    challenge = Challenge(authority="files.example.org", realm="Members", protected=True)
    window.context.show_dialog("credentials", CredentialsDialog(window, challenge, user="anna"))


async def quitting(window: MainWindow) -> None:
    BY_ID["quit"].run(window.context)


async def simulated(window: MainWindow) -> None:
    await the_list(window)
    window.context.monitor.bad_network.simulate(Simulation(status=503, answers=3))


async def empty(window: MainWindow) -> None:
    window.context.monitor.bad_network.simulate(NONE)
    window.panels.sidebar.select(Scope(kind="all"))
    for task in window.context.monitor.tasks():
        window.context.monitor.commands.remove(task.key)
    await until(lambda: window.panels.pages.currentWidget() is window.panels.empty)


def settings(page: str) -> View:
    async def view(window: MainWindow) -> None:
        settings_commands.show_settings(window.context, page)

    return view


README: dict[str, View] = {"window": the_list, "videofarm": videofarm}
ALL: dict[str, View] = {
    "window": the_list,
    "headers": detail(1),
    "timing": detail(2),
    "events-of-one": detail(3),
    "speed": detail(4),
    "events": events,
    "background": background,
    "add": dialog("add"),
    "upload": dialog("upload"),
    "push": dialog("push"),
    "settings-general": settings("General"),
    "settings-transfers": settings("Transfers"),
    "settings-background": settings("Background"),
    "settings-push": settings("Push"),
    "settings-notifications": settings("Notifications"),
    "settings-advanced": settings("Advanced"),
    "add-more": add_more,
    "session": session,
    "sign-in": sign_in,
    "quit": quitting,
    "sheet": sheet,
    "answer": answer,
    "videofarm": videofarm,
    "simulated": simulated,
    "empty": empty,
}


async def take(window: MainWindow, name: str, view: View, folder: str) -> None:
    await view(window)
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    for scheme in ("light", "dark"):
        theme.apply(app, scheme)
        window.panels.toasts.end_all()
        await asyncio.sleep(1)  # one tick of progress, and what the new colours want painted anew
        shown: list[QWidget] = [one for one in window.findChildren(QDialog) if one.isVisible()] or [
            window
        ]
        path = os.path.join(folder, f"{name}-{scheme}.png")
        if not shown[-1].grab().save(path, "PNG"):
            raise OSError(f"{path} cannot be written")
        print(f"{path}: {os.path.getsize(path) // 1000} kB")
    for one in window.findChildren(QDialog):
        one.close()


async def main(state: str, folder: str, width: int, height: int, views: dict[str, View]) -> None:
    preferences = Settings(
        download_folder=os.path.join(state, "downloads"), keep_transferring=False
    )
    async with Monitor.open(state, settings=preferences) as monitor:
        window, runners, demo = MainWindow(state_dir=state), Runners(), Demo(monitor)
        bridge = Bridge(monitor, window)
        window.resize(width, height)
        window.show()
        window.attach(monitor, bridge, runners)
        sync = VideoSync(monitor)
        monitor.ready()
        try:
            await demo.start()
            await show(window, monitor)
            if "background" in views:  # something for the ledger
                await monitor.fetch()
                await monitor.push('{"alert": "", "content-available": 1, "n": 1}')
            for name, view in views.items():
                await take(window, name, view, folder)
        finally:
            sync.close()
            window.detach()
            bridge.close()
            await runners.close()
            await demo.stop()
            window.let_go()
            window.deleteLater()
            await asyncio.sleep(0)
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def run() -> int:
    parser = argparse.ArgumentParser(description="Take pictures of the window.")
    parser.add_argument("--size", default="1200x720", help="of the window, WIDTHxHEIGHT")
    parser.add_argument("--folder", default="assets")
    parser.add_argument(
        "--all", action="store_true", help="each view and dialog, not only those of the README"
    )
    given = parser.parse_args()
    os.makedirs(given.folder, exist_ok=True)
    width, height = (int(part) for part in given.size.split("x"))
    app = QApplication(sys.argv[:1])
    app.setQuitOnLastWindowClosed(False)
    theme.apply(app, "light")
    state = tempfile.mkdtemp(prefix="transfermon-")
    begin = time.monotonic()
    try:
        with asyncio.Runner(loop_factory=lambda: qasync.QEventLoop(app)) as runner:
            runner.run(
                main(fresh_folder(state), given.folder, width, height, ALL if given.all else README)
            )
    finally:
        shutil.rmtree(state, ignore_errors=True)
    print(f"took {time.monotonic() - begin:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(run())
