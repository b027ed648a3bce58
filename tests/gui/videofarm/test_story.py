"""The whole story of VideoFarm in a real window: browse, download, pause, be killed, come back,
resume, upload, and be woken by a fetch that finds what another client has uploaded.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from PySide6.QtGui import QImage

from tests.gui.test_real_window import LONGEST, App, answered, display, until, upload_of_another  # noqa: F401
from tests.helpers import desktop, screen
from tests.helpers.farm import Farm

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(screen.why_not()) or desktop.DAEMON is None, reason=screen.why_not() or desktop.WHY_NOT
    ),
]
MOVIE = 3_000_000

COMMON = """
import asyncio, sys
from pathlib import Path

from PySide6.QtWidgets import QApplication

from transfermon.gui.window.main_window import MainWindow
from transfermon.gui.videofarm.cards import DOWNLOADING, HERE, PAUSED
from transfermon.gui.videofarm.upload_dialog import VideoUploadDialog

REPORT, FOLDER = Path(sys.argv[1]), Path(sys.argv[2])


async def until(condition):
    while not condition():
        await asyncio.sleep(0.02)


async def page():
    window = next(one for one in QApplication.topLevelWidgets() if isinstance(one, MainWindow))
    await until(lambda: window.context.attached)
    window.context.actions["videofarm"].trigger()
    made = window.videofarm
    await until(lambda: made.model.rowCount() >= 2 and all(card.image is not None for card in made.model.cards))
    return window, made


def card(page, title):
    return next(one for one in page.model.cards if one.video.title == title)


def choose(page, *titles):
    chosen = page.grid.selectionModel()
    chosen.clear()
    for row in range(page.found.rowCount()):
        if page.found.index(row, 0).data() in titles:
            chosen.select(page.found.index(row, 0), chosen.SelectionFlag.Select)


def tell(*words):
    REPORT.with_suffix(".new").write_text(" ".join(map(str, words)))
    REPORT.with_suffix(".new").replace(REPORT)
"""

FIRST = (
    COMMON
    + """

async def main():
    window, page_ = await page()
    choose(page_, "One", "Two")
    page_.buttons["download"].click()
    await until(lambda: all(card(page_, title).done > 200_000 for title in ("One", "Two")))
    choose(page_, "Two")
    page_.buttons["pause"].click()
    await until(lambda: card(page_, "Two").state == PAUSED and card(page_, "One").state == DOWNLOADING)
    tell("paused", card(page_, "Two").done)
    await asyncio.Event().wait()
"""
)

SECOND = (
    COMMON
    + """

async def main():
    window, page_ = await page()
    await until(lambda: card(page_, "Two").state == PAUSED)
    kept = card(page_, "Two").done
    choose(page_, "Two")
    page_.buttons["resume"].click()
    await until(lambda: all(card(page_, title).state == HERE for title in ("One", "Two")))
    page_.video_sender.show_dialog(str(FOLDER / "Holiday.avi"))
    (dialog,) = page_.findChildren(VideoUploadDialog)
    dialog.picture.setText(str(FOLDER / "picture.jpg"))
    dialog.start_button.click()
    await until(lambda: dialog.words.text() == "The video is at the server.")
    dialog.reject()
    await until(lambda: page_.model.rowCount() == 3)
    window.context.actions["close"].trigger()
    tell("uploaded", kept)
    await asyncio.Event().wait()
"""
)


@pytest.fixture
def app(tmp_path: Path, display: screen.Screen) -> Iterator[App]:  # noqa: F811
    with desktop.running(tray=True) as bus:
        made = App(tmp_path, display, bus)
        try:
            yield made
        finally:
            made.end()


def told(report: Path, word: str) -> Callable[[], int]:
    """What the script has reported under this word."""

    def look() -> int:
        words = report.read_text().split() if report.exists() else []
        return int(words[1]) if words[:1] == [word] else 0

    return look


def begin(app: App, folder: Path, text: str) -> tuple[subprocess.Popen[str], Path]:
    (script := folder / "story.py").write_text(text)
    report = folder / "report"
    report.unlink(missing_ok=True)
    process = app.start("run", str(script), str(report), str(folder))
    until(lambda: app.get("/v1/status"), process)
    return process, report


def test_the_story_of_videofarm(app, tmp_path):
    movies = {
        title: random.Random(title).randbytes(MOVIE)
        for title in ("One", "Two", "Holiday", "Of another")
    }
    (tmp_path / "Holiday.avi").write_bytes(movies["Holiday"])
    with Farm.start("--empty", "--fault", "/videos:rate=1M") as farm:
        (tmp_path / "picture.jpg").write_bytes(
            httpx.get(f"{farm.url}photos/2", trust_env=False).content
        )
        for title in ("One", "Two"):
            upload_of_another(farm, title, movies[title])
        app.set(
            videofarm_url=farm.url.rstrip("/"),
            download_folder=str(tmp_path / "downloads"),
            keep_transferring=False,
            close_to="tray",
        )

        process, report = begin(app, tmp_path, FIRST)
        paused = until(told(report, "paused"), process)
        process.kill()
        process.communicate()

        process, report = begin(app, tmp_path, SECOND)
        kept = until(told(report, "uploaded"), process)
        assert kept == paused
        until(lambda: app.get("/v1/status")["appState"] == "background", process)
        assert httpx.get(f"{farm.url}videos/3/movie", trust_env=False).content == movies["Holiday"]

        upload_of_another(farm, "Of another", movies["Of another"])
        before = len(app.bus.shown)
        app.run("fetch")
        shown = until(
            lambda: [one for one in app.bus.shown[before:] if one.title == "Transfers finished"],
            process,
        )[0]
        assert [event["result"] for event in app.events() if event["type"] == "handlerended"] == [
            "new_data"
        ]

        files = [Path(task["path"]) for task in app.tasks("videofarm") if task["path"]]
        here = {path.read_bytes() for path in files if path.stat().st_size == MOVIE}
        # one's own upload is not fetched back
        assert here == {movies[title] for title in ("One", "Two", "Of another")}

        picture = QImage(str(tmp_path / "picture.jpg"))
        app.bus.click_notification(shown)
        until(lambda: app.get("/v1/status")["appState"] == "foreground", process)
        until(lambda: screen.is_seen(picture, app.display.picture()), process)
    app.run("quit")
    assert process.wait(LONGEST) == 0
