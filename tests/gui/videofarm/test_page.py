"""The VideoFarm page, with a real monitor and a real server behind it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester

from tests.gui.window.test_main_window import (  # noqa: F401
    Server,
    World,
    a_world,
    anyio_backend,
    in_a_world,
    until,
)
from tests.helpers.farm import Farm
from tests.helpers.window import give_command
from transfermon.gui.list.scope import Scope
from transfermon.gui.toolkit import files
from transfermon.gui.videofarm.cards import (
    DOWNLOADING,
    FAILED,
    HERE,
    PAUSED,
    PICTURE,
    REMOTE,
    SPACING,
    WORDS,
    Card,
    VideoModel,
    actions_for,
    card_size,
)
from transfermon.gui.videofarm.thumbnails import prune
from transfermon.gui.videofarm.upload_dialog import VideoUploadDialog, thumbnail_of
from transfermon.videofarm.client import RemoteVideo

pytestmark = pytest.mark.anyio
SLOW = "/videos:rate=1M"


def a_video(number: int, **fields: str) -> RemoteVideo:
    values = {"title": f"Video {number}", "description": "", "created": "", **fields}
    base = f"http://farm/videos/{number}"
    return RemoteVideo(
        id=str(number),
        url=base,
        thumbnail_url=f"{base}/thumbnail",
        movie_url=f"{base}/movie",
        duration=75.0,
        **values,
    )


async def browsing(world: World, farm: Farm) -> None:
    world.monitor.preferences.update(videofarm_url=farm.url.rstrip("/"))
    give_command(world.window, "videofarm")
    page = world.window.videofarm
    await until(
        lambda: page.model.rowCount() and all(card.image is not None for card in page.model.cards)
    )


def choose(world: World, *rows: int) -> None:
    page = world.window.videofarm
    page.grid.clearSelection()
    for row in rows:
        flag = page.grid.selectionModel().SelectionFlag.Select
        page.grid.selectionModel().select(page.found.index(row, 0), flag)


def card(world: World, row: int) -> Card:
    return world.window.videofarm.model.cards[row]


def shortest(world: World) -> int:
    """The row of the video with the smallest movie."""
    cards = world.window.videofarm.model.cards
    return min(range(len(cards)), key=lambda row: cards[row].video.duration or 0)


# Tables


@pytest.mark.parametrize(
    ("state", "offered"),
    [
        (REMOTE, {"download", "play"}),
        (DOWNLOADING, {"pause", "play"}),
        (PAUSED, {"resume", "play"}),
        (FAILED, {"resume", "play"}),
        (HERE, {"play", "folder"}),
    ],
)
def test_what_can_be_done_with_a_video(state, offered):
    assert actions_for(state) == offered
    assert WORDS[state]


def test_a_card_says_how_long_it_is_and_how_far():
    assert Card(video=a_video(1), state=DOWNLOADING, done=50, total=200).line.endswith(
        "Downloading, 25 %"
    )
    assert Card(video=a_video(1)).line.endswith("At the server")


def test_the_model_keeps_qts_rules_and_pictures(qapp):
    model = VideoModel()
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    model.reset([a_video(1), a_video(2)])
    assert [card.video.id for card in model.cards] == ["2", "1"]
    changed: list[int] = []
    model.dataChanged.connect(lambda first, last: changed.append(first.row()))
    model.update(0, HERE, 5, 5)
    model.update(0, HERE, 5, 5)
    assert changed == [0]
    model.reset([a_video(2)])
    assert model.rowCount() == 1


def test_the_desktops_thumbnail_of_a_file_is_found(tmp_path, monkeypatch):
    import hashlib

    film = tmp_path / "a film.mp4"
    film.write_bytes(b"x")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert thumbnail_of(str(film)) == ""
    name = hashlib.md5(film.as_uri().encode(), usedforsecurity=False).hexdigest() + ".png"
    folder = tmp_path / "cache" / "thumbnails" / "large"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(b"png")
    assert thumbnail_of(str(film)) == str(folder / name)


def test_the_oldest_thumbnails_go(tmp_path):
    prune(str(tmp_path / "none"))
    for number in range(5):
        (tmp_path / str(number)).write_bytes(b"x")
        os.utime(tmp_path / str(number), (number, number))
    prune(str(tmp_path), 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3", "4"]


@pytest.mark.parametrize(
    "url", ["http://other/movie", "file:///etc/passwd", "http://farm:81/x", ""]
)
def test_only_a_movie_of_this_server_is_streamed(url):
    assert "not at this server" in files.stream(url, "http://farm")


def test_the_upload_dialog_wants_a_title_a_picture_and_a_movie(qtbot, tmp_path):
    dialog = VideoUploadDialog()
    qtbot.addWidget(dialog)
    assert not dialog.start_button.isEnabled()
    (tmp_path / "My film.avi").write_bytes(b"x")
    (tmp_path / "p.png").write_bytes(b"x")
    dialog.movie.setText(str(tmp_path / "My film.avi"))
    assert dialog.title.text() == "My film"
    dialog.picture.setText(str(tmp_path / "gone.png"))
    assert "There is no file" in dialog.problem.text()
    assert not dialog.start_button.isEnabled()
    dialog.picture.setText(str(tmp_path / "p.png"))
    assert dialog.start_button.isEnabled()


# With a server


@in_a_world
async def test_the_page_shows_what_the_server_has_with_pictures(world, server):
    with Farm.start() as farm:
        await browsing(world, farm)
        page = world.window.videofarm
        assert page.model.rowCount() == 8
        assert page.summary.text().startswith("8 videos, looked at ")
        page.search.setText("no such words")
        assert page.summary.text().startswith("0 of 8 videos")
        page.search.setText(card(world, 3).video.title.split()[0].lower())
        assert 1 <= page.found.rowCount() < 8


@pytest.mark.slow
@in_a_world
async def test_a_video_is_downloaded_paused_resumed_and_played(world, server):
    with Farm.start("--fault", SLOW) as farm:
        await browsing(world, farm)
        page, row = world.window.videofarm, shortest(world)
        choose(world, row)
        assert page.buttons["download"].isEnabled()
        assert not page.buttons["folder"].isEnabled()
        page.buttons["download"].click()
        await until(
            lambda: card(world, row).state == DOWNLOADING and card(world, row).done > 50_000
        )
        page.buttons["pause"].click()
        await until(lambda: card(world, row).state == PAUSED)
        kept = card(world, row).done
        assert kept > 50_000
        page.buttons["resume"].click()
        await until(lambda: card(world, row).state == DOWNLOADING)
        asked: list[object] = []
        page.play_wanted.disconnect()
        page.play_wanted.connect(asked.append)
        await until(lambda: card(world, row).state == HERE, 60)
        page.buttons["play"].click()
        (key,) = asked
        assert Path(world.monitor.task(key).file).stat().st_size == card(
            world, row
        ).total - os.path.getsize(
            next(task.file for task in world.monitor.tasks() if task.key != key and task.succeeded)
        )


@in_a_world
async def test_a_movie_that_is_not_here_is_streamed(world, server):
    with Farm.start() as farm:
        await browsing(world, farm)
        choose(world, 0)
        asked: list[str] = []
        page = world.window.videofarm
        page.stream_wanted.disconnect()
        page.stream_wanted.connect(asked.append)
        page.buttons["play"].click()
        assert asked == [card(world, 0).video.movie_url]


@pytest.mark.slow
@in_a_world
async def test_a_new_video_is_uploaded_and_shown(world, server):
    with Farm.start() as farm:
        await browsing(world, farm)
        folder = Path(world.monitor.state_dir)
        (movie := folder / "Holiday.avi").write_bytes(b"frame" * 100_000)
        page = world.window.videofarm
        page.model.cards[0].image.save(str(folder / "picture.png"))
        page.video_sender.show_dialog(str(movie))
        (dialog,) = page.findChildren(VideoUploadDialog)
        dialog.picture.setText(str(folder / "picture.png"))
        dialog.description.setPlainText("By the sea")
        dialog.start_button.click()
        await until(lambda: dialog.words.text() == "The video is at the server.")
        await until(lambda: page.model.rowCount() == 9)
        newest = card(world, 0).video
        assert (newest.title, newest.description) == ("Holiday", "By the sea")
        assert await world.monitor.read(newest.movie_url) == movie.read_bytes()
        await until(lambda: card(world, 0).image is not None)


@in_a_world
async def test_a_picture_that_is_none_is_refused_and_nothing_is_sent(world, server):
    with Farm.start("--empty") as farm:
        world.monitor.preferences.update(videofarm_url=farm.url.rstrip("/"))
        give_command(world.window, "videofarm")
        page = world.window.videofarm
        await until(lambda: page.message.text() == "The server has no videos yet.")
        (movie := Path(world.monitor.state_dir) / "a.avi").write_bytes(b"no picture")
        page.video_sender.show_dialog(str(movie))
        (dialog,) = page.findChildren(VideoUploadDialog)
        dialog.picture.setText(str(movie))
        dialog.start_button.click()
        await until(lambda: "cannot be read" in dialog.problem.text())
        assert dialog.start_button.isEnabled()
        assert world.monitor.tasks() == ()


@in_a_world
async def test_no_server_and_a_wrong_one_are_said_in_a_sentence(world, server):
    page = world.window.videofarm
    give_command(world.window, "videofarm")
    await until(lambda: "Type the address" in page.message.text())
    page.address.setText("ftp://x")
    page.address.editingFinished.emit()
    assert world.monitor.settings.videofarm_url == ""
    page.address.setText(server.url)
    page.address.editingFinished.emit()
    assert world.monitor.settings.videofarm_url.rstrip("/") == server.url
    await until(lambda: "cannot be read" in page.message.text())
    world.window.panels.sidebar.select(Scope(kind="all"))
    assert world.window.panels.pages.currentWidget() is not page


@in_a_world
async def test_a_double_click_downloads_what_is_not_here(world, server):
    with Farm.start("--fault", SLOW) as farm:
        await browsing(world, farm)
        choose(world, 1)
        world.window.videofarm.grid.activated.emit(world.window.videofarm.found.index(1, 0))
        await until(lambda: card(world, 1).state == DOWNLOADING)
        assert world.window.videofarm.grid.focusPolicy() & Qt.FocusPolicy.TabFocus


@pytest.mark.parametrize("room", [200, 460, 592, 768, 980, 1600])
def test_whole_cards_fill_a_row_of_any_width(room):
    width = card_size(room).width() + SPACING
    columns = (room - SPACING) // width
    assert columns >= 1 or room < PICTURE.width()
    assert room - SPACING - columns * width < max(columns, 1) or room < 240
