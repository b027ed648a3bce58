"""The VideoFarm page: what a video service offers, as a grid of pictures, and what of it is here or
on its way.

Rule: it shows what the client says and turns clicks into the client's commands; nothing here opens
a connection or decodes a picture.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QLabel,
    QListView,
    QMenu,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from transfermon.gui.dialogs.fields import line
from transfermon.gui.toolkit import theme
from transfermon.gui.toolkit.collapsing_bars import Bar, Note
from transfermon.gui.videofarm.cards import (
    CARD_ROLE,
    DOWNLOADING,
    HERE,
    REMOTE,
    SPACING,
    Card,
    CardDelegate,
    VideoFilter,
    VideoModel,
    actions_for,
    state_of,
)
from transfermon.gui.videofarm.thumbnails import Thumbnails
from transfermon.gui.videofarm.upload_dialog import SPAWN, VideoSender
from transfermon.http.addresses import check_url
from transfermon.model import units
from transfermon.model.errors import TransferFailure, TransfermonError
from transfermon.model.task import State, TaskKey
from transfermon.model.translate import tr

if TYPE_CHECKING:  # the client brings the monitor, which loads after the window shows
    from transfermon.videofarm.client import Notice, RemoteVideo, VideoDownload, VideoFarmClient

TICK_MS = 250


class VideoFarmPage(QWidget):
    """`play_wanted` carries the task of a movie that is here, `stream_wanted` the address of one
    that is not yet.
    """

    said = Signal(str)
    server_wanted = Signal(str)
    play_wanted = Signal(object)
    stream_wanted = Signal(str)
    folder_wanted = Signal(object)
    refreshed = Signal()

    def __init__(self, parent: QWidget | None = None, *, state_dir: str) -> None:
        super().__init__(parent)
        self.setObjectName("videofarm")
        self.setProperty("ground", "base")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._client: VideoFarmClient | None = None
        self._spawn: SPAWN | None = None
        self._refreshing = False
        self.model = VideoModel(self)
        self.thumbnails = Thumbnails(
            os.path.join(state_dir, "thumbnails"), self.model.set_image, self
        )
        self.video_sender = VideoSender(self, self.thumbnails)
        self.video_sender.said.connect(self.said)
        self.found = VideoFilter(self)
        self.found.setSourceModel(self.model)
        self._tick = QTimer(self)
        self._tick.setInterval(TICK_MS)
        self._tick.timeout.connect(self.look)
        self._build()
        self._retint()
        theme.themed.changed.connect(self._retint)
        self._enable()

    def __repr__(self) -> str:
        return f"<VideoFarmPage {self.model.rowCount()} videos>"

    # Building

    def _build(self) -> None:
        self.address = line("videofarm_address", tr("Address of the VideoFarm server"))
        self.address.setPlaceholderText(tr("https://…   a VideoFarm server"))
        self.address.editingFinished.connect(self._address_typed)
        self.search = line("videofarm_search", tr("Search videos"))
        self.search.setPlaceholderText(tr("Search"))
        self.search.setClearButtonEnabled(True)
        self.search.setMaximumWidth(180)
        self.search.textChanged.connect(self._search)
        self.buttons = {
            "refresh": self._button("refresh", tr("Refresh"), lambda: self.refresh()),
            "upload": self._button(
                "upload", tr("Upload…"), lambda: self.video_sender.show_dialog()
            ),
            "download": self._button("download", tr("Download"), self.download),
            "pause": self._button("pause", tr("Pause"), self.pause),
            "resume": self._button("resume", tr("Resume"), self.resume),
            "play": self._button("play", tr("Play"), self.play),
            "folder": self._button("folder", tr("Folder"), self.show_folder),
        }
        refresh, upload = self.buttons["refresh"], self.buttons["upload"]
        head = Bar([self.address, refresh, self.search, upload], giving=[[refresh, upload]])
        head.row.setContentsMargins(12, 10, 12, 6)
        head.row.setStretchFactor(self.address, 1)
        self.summary = Note("videofarm_summary")
        buttons = [self.buttons[name] for name in ("download", "pause", "resume", "play", "folder")]
        acts = Bar([self.summary, *buttons], giving=[buttons])
        acts.row.setContentsMargins(12, 0, 12, 6)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(head)
        column.addWidget(acts)
        column.addWidget(self._make_grid(), 1)

    def _make_grid(self) -> QListView:
        grid = self.grid = QListView()
        grid.setObjectName("videofarm_grid")
        grid.setAccessibleName(tr("Videos"))
        grid.setModel(self.found)
        grid.setItemDelegate(CardDelegate(grid))
        grid.setViewMode(QListView.ViewMode.IconMode)
        grid.setResizeMode(QListView.ResizeMode.Adjust)
        grid.setMovement(QListView.Movement.Static)
        grid.setUniformItemSizes(True)
        grid.setSpacing(SPACING)
        grid.setMouseTracking(True)
        grid.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        grid.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        grid.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        grid.customContextMenuRequested.connect(
            lambda at: self.menu().popup(grid.viewport().mapToGlobal(at))
        )
        grid.activated.connect(lambda _index: self._activate())
        grid.selectionModel().selectionChanged.connect(self._enable)
        self.message = QLabel(grid)
        self.message.setObjectName("videofarm_message")
        self.message.setTextFormat(Qt.TextFormat.PlainText)
        self.message.setProperty("role", "muted")
        self.message.setWordWrap(True)
        self.message.move(16, 16)
        self.message.hide()
        return grid

    def _button(self, name: str, text: str, act: Callable[[], object]) -> QToolButton:
        made = QToolButton()
        made.setObjectName(f"videofarm_{name}")
        made.setText(text)
        made.setAccessibleName(text)
        made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        made.clicked.connect(act)
        return made

    def _retint(self) -> None:
        icons = {
            "refresh": "rotate-cw",
            "upload": "upload",
            "download": "download",
            "pause": "pause",
        }
        icons |= {"resume": "play", "play": "film", "folder": "folder-open"}
        for name, icon in icons.items():
            self.buttons[name].setIcon(theme.icon(icon, "text"))
        self.grid.viewport().update()

    # The client

    def attach(self, client: VideoFarmClient, spawn: SPAWN) -> None:
        """Show what this client's server has, from now on."""
        self._client, self._spawn = client, spawn
        self.video_sender.attach(client, spawn)
        client.observe(self._hear)
        self.address.setText(_as_typed(client.endpoint))

    def detach(self) -> None:
        self._tick.stop()
        self.thumbnails.close()
        if self._client is not None:
            self._client.close()
        self.video_sender.detach()
        self._client = self._spawn = None

    def set_server(self, url: str) -> None:
        """Another server; what was shown goes."""
        assert self._client is not None
        if self._client.endpoint != url.rstrip("/") + "/":
            self._client.endpoint = url.rstrip("/") + "/"
            self.address.setText(url)
            self.model.reset(())
            self._summarise()
            self._say("")
            if self.isVisible():
                self.refresh()

    def _address_typed(self) -> None:
        text = self.address.text().strip()
        if self._client is None or text == _as_typed(self._client.endpoint):
            return
        try:
            url = check_url(text) if text else ""
        except (ValueError, TransferFailure) as exc:
            self._say(str(exc))
            return
        self.server_wanted.emit(url)

    def refresh(self) -> None:
        """Ask the server what there is now."""
        if self._client is None or self._refreshing:
            return
        if self._client.endpoint == "/":
            self._say(
                tr("Type the address of a VideoFarm server above, or start the demo (menu Help).")
            )
            return
        self._refreshing = True
        self._run(self._fetch(self._client), "the list of videos")

    async def _fetch(self, client: VideoFarmClient) -> None:
        endpoint = client.endpoint
        try:
            videos = await client.fetch_videos()
        except (TransferFailure, ValueError) as exc:
            if client.endpoint == endpoint:
                self._say(f"{exc} {getattr(exc, 'hint', '')}".strip())
            return
        finally:
            self._refreshing = False
        if client.endpoint != endpoint:
            self.refresh()
            return
        if [card.video for card in reversed(self.model.cards)] != videos:
            self.model.reset(videos)
        words = "" if videos else tr("The server has no videos yet.")
        if left_out := client.left_out:
            words = tr(
                "%n entries of the list cannot be read.",
                "1 entry of the list cannot be read.",
                left_out,
            )
        self._say(words)
        self.look()
        self._summarise()
        await self.thumbnails.fetch(
            client, [card.video.thumbnail_url for card in self.model.cards if card.image is None]
        )
        self.refreshed.emit()

    def _run(self, work: Coroutine[Any, Any, None], name: str) -> None:
        assert self._spawn is not None
        self._spawn(work, name)

    # What it shows

    def look(self) -> None:
        """Take over how far the downloads are; the clock runs only while something moves and can be
        seen.
        """
        if self._client is None:
            return
        known = {download.movie_url: download for download in self._client.downloads}
        moving = False
        for row, card in enumerate(self.model.cards):
            download = known.get(card.video.movie_url)
            state = state_of(self._client, download)
            done, total = self._client.progress(download) if download is not None else (0, -1)
            self.model.update(row, state, done, total)
            moving |= state == DOWNLOADING
        self._enable()
        if moving and self.isVisible():
            if not self._tick.isActive():
                self._tick.start()
        else:
            self._tick.stop()

    def _hear(self, notice: Notice) -> None:
        if notice.upload:
            self.video_sender.hear(notice)
        if notice.kind != "progress" and self.isVisible():
            self.look()
        if notice.upload and notice.kind == "completed" and self.isVisible():
            self.refresh()

    def _say(self, sentence: str) -> None:
        self.message.setText(units.clean(sentence, 400))
        self.message.setFixedWidth(max(200, self.grid.width() - 40))
        self.message.adjustSize()
        self.message.setVisible(bool(sentence) and not self.model.cards)
        if sentence and self.model.cards:
            self.summary.setText(units.clean(sentence, 300))

    def _summarise(self) -> None:
        count, shown = self.model.rowCount(), self.found.rowCount()
        words = tr("%n videos", "1 video", count)
        if shown != count:
            words = tr("{shown} of {videos}").format(shown=shown, videos=words)
        when = time.strftime("%H:%M")
        self.summary.setText(
            tr("{videos}, looked at {time}").format(videos=words, time=when) if count else ""
        )

    def _search(self, text: str) -> None:
        self.found.set_words(text)
        self._summarise()

    @property
    def selected(self) -> list[Card]:
        indexes = self.grid.selectionModel().selectedIndexes()
        return [index.data(CARD_ROLE) for index in sorted(indexes, key=lambda index: index.row())]

    def _enable(self) -> None:
        cards = self.selected
        offered = (
            frozenset().union(*(actions_for(card.state) for card in cards))
            if cards
            else frozenset()
        )
        for name in ("download", "pause", "resume"):
            self.buttons[name].setEnabled(name in offered)
        for name in ("play", "folder"):
            self.buttons[name].setEnabled(len(cards) == 1 and name in offered)
        there = self._client is not None
        self.buttons["refresh"].setEnabled(there)
        self.buttons["upload"].setEnabled(there)

    def menu(self) -> QMenu:
        """What can be done with the selected videos."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for name in ("download", "pause", "resume", "play", "folder"):
            source = self.buttons[name]
            action = menu.addAction(source.icon(), source.text())
            action.setEnabled(source.isEnabled())
            action.triggered.connect(source.click)
        return menu

    # Commands

    def _each(self, name: str, act: Callable[[Card], object]) -> None:
        for card in self.selected:
            if name in actions_for(card.state):
                try:
                    act(card)
                except (TransfermonError, ValueError) as exc:
                    self.said.emit(f"{units.clean(card.video.title, 60)}: {exc}")
        self.look()

    def _download_of(self, card: Card) -> VideoDownload | None:
        assert self._client is not None
        return next(
            (one for one in self._client.downloads if one.movie_url == card.video.movie_url), None
        )

    def download(self) -> None:
        assert self._client is not None
        self._each("download", lambda card: self._begin(card.video))

    def _begin(self, video: RemoteVideo) -> None:
        assert self._client is not None
        self._client.download_movie_and_thumbnail(video)

    def pause(self) -> None:
        self._each("pause", lambda card: self._run(self._pause(card), "pausing a video"))

    async def _pause(self, card: Card) -> None:
        if self._client is not None and (download := self._download_of(card)) is not None:
            await self._client.pause_downloads(download)
            self.look()

    def resume(self) -> None:
        self._each("resume", self._resume)

    def _resume(self, card: Card) -> None:
        assert self._client is not None
        download = self._download_of(card)
        if download is None:
            return
        for key in download.tasks:  # paused in the list of transfers, not here
            try:
                if self._client.monitor.task(key).state is State.SUSPENDED:
                    self._client.monitor.commands.resume(key)
            except KeyError:
                continue
        self._client.resume_downloads(download)

    def _activate(self) -> None:
        for card in self.selected[:1]:
            if card.state == REMOTE:
                self.download()
            else:
                self.play()

    def play(self) -> None:
        """The file where it is here, else the movie's address: the desktop's player streams it."""
        for card in self.selected[:1]:
            download = self._download_of(card)
            if card.state == HERE and download is not None:
                self.play_wanted.emit(TaskKey.parse(download.movie))
            else:
                self.stream_wanted.emit(card.video.movie_url)

    def show_folder(self) -> None:
        for card in self.selected[:1]:
            if (download := self._download_of(card)) is not None and download.movie:
                self.folder_wanted.emit(TaskKey.parse(download.movie))

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.look()
        self.refresh()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._tick.stop()


def _as_typed(endpoint: str) -> str:
    return endpoint.rstrip("/")
