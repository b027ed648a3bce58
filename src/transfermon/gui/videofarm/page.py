"""The VideoFarm page: what a video service offers, as a grid of pictures, and what of it is here or on its way.

Rule: it shows what the client says and turns clicks into the client's commands; nothing here opens a connection or
decodes a picture.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QRectF,
    QSize,
    QSortFilterProxyModel,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QHideEvent, QImage, QPainter, QPainterPath, QPen, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListView,
    QMenu,
    QPlainTextEdit,
    QProgressBar,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from transfermon.gui.dialogs.fields import button, editor, form_layout, label, line, row_label
from transfermon.gui.panels.pictures import Answer, Pictures, Question
from transfermon.gui.toolkit import theme
from transfermon.gui.toolkit.collapsing_bars import Bar, Note
from transfermon.http.addresses import check_url
from transfermon.model import units
from transfermon.model.errors import TransferFailure, TransfermonError
from transfermon.model.record import record
from transfermon.model.task import State, TaskKey
from transfermon.model.translate import marked, tr
from transfermon.storage.settings import write_whole

if TYPE_CHECKING:  # the client brings the monitor, which loads after the window shows
    from transfermon.videofarm.client import Notice, RemoteVideo, VideoDownload, VideoFarmClient

Index = QModelIndex | QPersistentModelIndex
CARD_ROLE = int(Qt.ItemDataRole.UserRole) + 1
SPAWN = Callable[[Coroutine[Any, Any, None], str], object]
PICTURE = QSize(208, 117)  # 16:9; at the least, as cards share the room of a row
CARD_MORE = QSize(16, 60)  # than the picture
SPACING = 6
LARGEST_THUMBNAIL = 4 << 20  # bytes that are fetched of one
AT_ONCE = 4  # thumbnails on their way
KEPT = 500  # thumbnails on the disk, the last ones that were fetched
TICK_MS = 250
UPLOAD_PICTURE = QSize(640, 360)  # as large as the picture of a new video becomes
REMOTE, DOWNLOADING, PAUSED, FAILED, HERE = "remote", "downloading", "paused", "failed", "here"
WORDS = {
    REMOTE: marked("At the server"),
    DOWNLOADING: marked("Downloading"),
    PAUSED: marked("Paused"),
    FAILED: marked("Failed"),
    HERE: marked("Here"),
}
_LOOKS = {
    REMOTE: ("download-cloud", "muted"),
    DOWNLOADING: ("circle-arrow-down", "accent"),
    PAUSED: ("circle-pause", "warn"),
    FAILED: ("circle-x", "bad"),
    HERE: ("circle-check", "good"),
}


@dataclass(kw_only=True)
class Card:
    """One video as it is shown."""

    video: RemoteVideo
    state: str = REMOTE
    done: int = 0
    total: int = -1
    image: QImage | None = None

    @property
    def words(self) -> str:
        """The state, and how far it is."""
        if self.state in (DOWNLOADING, PAUSED) and self.total > 0:
            return f"{tr(WORDS[self.state])}, {units.percent(self.done, self.total)}"
        return tr(WORDS[self.state])

    @property
    def line(self) -> str:
        """Under the title."""
        length = f"{units.duration(self.video.duration)}  ·  " if self.video.duration is not None else ""
        return f"{length}{self.words}"


def state_of(client: VideoFarmClient, download: VideoDownload | None) -> str:
    """One of `WORDS`, by the tasks that the client remembers of a video."""
    if download is None:
        return REMOTE
    if not download.movie:
        return PAUSED
    try:
        task = client.monitor.task(TaskKey.parse(download.movie))
    except KeyError:  # taken off the list
        return REMOTE
    if task.outstanding:
        return PAUSED if task.state is State.SUSPENDED else DOWNLOADING
    return HERE if task.succeeded else FAILED


def can(state: str) -> frozenset[str]:
    """What a person can do with a video in this state."""
    return {
        REMOTE: frozenset({"download", "play"}),
        DOWNLOADING: frozenset({"pause", "play"}),
        PAUSED: frozenset({"resume", "play"}),
        FAILED: frozenset({"resume", "play"}),
        HERE: frozenset({"play", "folder"}),
    }[state]


def thumbnail_of(path: str) -> str:
    """The picture that the desktop has made of a file (freedesktop thumbnail specification), or ""."""
    name = hashlib.md5(f"file://{quote(os.path.abspath(path))}".encode(), usedforsecurity=False).hexdigest() + ".png"
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    for size in ("xx-large", "x-large", "large", "normal"):
        found = os.path.join(cache, "thumbnails", size, name)
        if os.path.isfile(found):
            return found
    return ""


def prune(folder: str, keep: int = KEPT) -> None:
    """Take away the oldest files until `keep` are left. Blocks."""
    with contextlib.suppress(OSError):  # nothing was fetched yet, or another run is at it
        with os.scandir(folder) as entries:
            files = sorted((entry.stat().st_mtime, entry.path) for entry in entries if entry.is_file())
        for _, path in files[:-keep]:
            os.unlink(path)


class VideoModel(QAbstractListModel):
    """The videos in the server's order, newest first."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.cards: list[Card] = []

    def __repr__(self) -> str:
        return f"<VideoModel {len(self.cards)}>"

    def reset(self, videos: Sequence[RemoteVideo]) -> None:
        """Other videos; pictures of known ones stay."""
        images = {card.video.thumbnail_url: card.image for card in self.cards}
        self.beginResetModel()
        self.cards = [Card(video=video, image=images.get(video.thumbnail_url)) for video in reversed(videos)]
        self.endResetModel()

    def update(self, row: int, state: str, done: int, total: int) -> None:
        """How far one is; nothing happens when that is what it was."""
        card = self.cards[row]
        if (card.state, card.done, card.total) != (state, done, total):
            card.state, card.done, card.total = state, done, total
            self._changed(row)

    def set_image(self, url: str, image: QImage) -> None:
        for row, card in enumerate(self.cards):
            if card.video.thumbnail_url == url:
                card.image = image
                self._changed(row)

    def _changed(self, row: int) -> None:
        self.dataChanged.emit(self.index(row), self.index(row))

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(self.cards)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self.cards):
            return None
        card = self.cards[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return units.clean(card.video.title, 200)
        if role == CARD_ROLE:
            return card
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{units.clean(card.video.title, 200)}, {card.line}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return theme.plain_tip(units.clean(card.video.description or card.video.title, 400))
        return None


class _Found(QSortFilterProxyModel):
    """The videos whose title or description has every word."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._words: list[str] = []

    def set_words(self, text: str) -> None:
        self.beginFilterChange()
        self._words = text.lower().split()
        self.endFilterChange(QSortFilterProxyModel.Direction.Rows)

    def filterAcceptsRow(self, row: int, _parent: Index) -> bool:
        model = self.sourceModel()
        assert isinstance(model, VideoModel)
        video = model.cards[row].video
        text = f"{video.title} {video.description}".lower()
        return all(word in text for word in self._words)


def card_size(room: int) -> QSize:
    """So that whole cards fill a row of so many pixels."""
    least = PICTURE.width() + CARD_MORE.width() + SPACING
    columns = max(1, (room - SPACING) // least)
    width = max(PICTURE.width(), (room - SPACING) // columns - SPACING - CARD_MORE.width())
    return QSize(width, width * PICTURE.height() // PICTURE.width()) + CARD_MORE


class _Delegate(QStyledItemDelegate):
    def __init__(self, grid: QListView) -> None:
        super().__init__(grid)
        self._grid = grid

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        bar = self._grid.verticalScrollBar().sizeHint().width()  # whether it is there or not: else cards jump with it
        return card_size(self._grid.width() - bar - 4)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        card: Card = index.data(CARD_ROLE)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        if chosen or option.state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.color("selection" if chosen else "track"))
            painter.drawRoundedRect(QRectF(option.rect), 9, 9)
        if option.state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(QPen(theme.color("accent"), 1.5))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(option.rect).adjusted(1, 1, -1, -1), 9, 9)
        picture = QRect(option.rect.topLeft() + QPoint(8, 8), option.rect.size() - CARD_MORE)
        self._picture(painter, picture, card)
        self._words(painter, option, picture, card, str(index.data()))
        painter.restore()

    def _picture(self, painter: QPainter, where: QRect, card: Card) -> None:
        shape = QPainterPath()
        shape.addRoundedRect(QRectF(where), 7, 7)
        painter.save()
        painter.setClipPath(shape)
        painter.fillRect(where, theme.color("track"))
        if card.image is not None:
            size = card.image.size().scaled(where.size(), Qt.AspectRatioMode.KeepAspectRatioByExpanding)
            target = QRect(QPoint(0, 0), size)
            target.moveCenter(where.center())
            painter.drawImage(target, card.image)
        else:
            theme.draw_icon(painter, "film", "muted", where, 32)
        if card.state in (DOWNLOADING, PAUSED):
            veil = theme.color("base")
            veil.setAlpha(150)
            painter.fillRect(where, veil)
        painter.restore()
        if card.state in (DOWNLOADING, PAUSED):
            self._ring(painter, where, card)

    def _ring(self, painter: QPainter, where: QRect, card: Card) -> None:
        ring = QRectF(0, 0, 46, 46)
        ring.moveCenter(QRectF(where).center())
        role = _LOOKS[card.state][1]
        share = min(1.0, card.done / card.total) if card.total > 0 else 0.0
        painter.setBrush(theme.color("base"))
        painter.setPen(QPen(theme.color("track"), 4))
        painter.drawEllipse(ring)
        painter.setPen(QPen(theme.color(role), 4, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap))
        painter.drawArc(ring, 90 * 16, -round(360 * 16 * share))
        middle = ring.toRect()
        if card.state == PAUSED:
            theme.draw_icon(painter, "pause", "warn", middle, 18)
        else:
            painter.setPen(theme.color("text"))
            words = units.percent(card.done, card.total) if card.total > 0 else "…"
            font = painter.font()
            font.setPointSizeF(max(6.5, font.pointSizeF() - 1.5))
            painter.setFont(font)
            painter.drawText(middle, Qt.AlignmentFlag.AlignCenter, words)

    def _words(self, painter: QPainter, option: QStyleOptionViewItem, picture: QRect, card: Card, title: str) -> None:
        painter.setFont(option.font)
        metrics = option.fontMetrics
        first = QRect(picture.left() + 2, picture.bottom() + 7, picture.width() - 4, metrics.height())
        painter.setPen(theme.color("text"))
        text = metrics.elidedText(title, Qt.TextElideMode.ElideMiddle, first.width())
        painter.drawText(first, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, text)
        second = first.translated(0, metrics.height() + 3)
        icon, role = _LOOKS[card.state]
        theme.draw_icon(painter, icon, role, QRect(second.left(), second.top(), 14, second.height()), 14)
        second.adjust(20, 0, 0, 0)
        painter.setPen(theme.color("muted"))
        text = metrics.elidedText(card.line, Qt.TextElideMode.ElideRight, second.width())
        painter.drawText(second, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, text)


class VideoFarmPage(QWidget):
    """`play_wanted` carries the task of a movie that is here, `stream_wanted` the address of one that is not yet."""

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
        self._folder = os.path.join(state_dir, "thumbnails")
        self._client: VideoFarmClient | None = None
        self._spawn: SPAWN | None = None
        self._asked: set[str] = set()  # thumbnails on their way, or refused
        self._questions: dict[int, Callable[[Answer], None]] = {}
        self._number = 0  # of the last question
        self._refreshing = False
        self._upload: VideoUploadDialog | None = None
        self.pictures = Pictures(self)
        self.pictures.answered.connect(self._answered)
        self._generation = self.pictures.new_generation()
        self.model = VideoModel(self)
        self.found = _Found(self)
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
            "upload": self._button("upload", tr("Upload…"), lambda: self.show_upload()),
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
        grid.setItemDelegate(_Delegate(grid))
        grid.setViewMode(QListView.ViewMode.IconMode)
        grid.setResizeMode(QListView.ResizeMode.Adjust)
        grid.setMovement(QListView.Movement.Static)
        grid.setUniformItemSizes(True)
        grid.setSpacing(SPACING)
        grid.setMouseTracking(True)
        grid.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        grid.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        grid.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        grid.customContextMenuRequested.connect(lambda at: self.menu().popup(grid.viewport().mapToGlobal(at)))
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
        icons = {"refresh": "rotate-cw", "upload": "upload", "download": "download", "pause": "pause"}
        icons |= {"resume": "play", "play": "film", "folder": "folder-open"}
        for name, icon in icons.items():
            self.buttons[name].setIcon(theme.icon(icon, "text"))
        self.grid.viewport().update()

    # The client

    def attach(self, client: VideoFarmClient, spawn: SPAWN) -> None:
        """Show what this client's server has, from now on."""
        self._client, self._spawn = client, spawn
        client.observe(self._hear)
        self.address.setText(_as_typed(client.endpoint))

    def detach(self) -> None:
        self._tick.stop()
        self.pictures.close()
        if self._client is not None:
            self._client.close()
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
            self._say(tr("Type the address of a VideoFarm server above, or start the demo (menu Help)."))
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
            words = tr("%n entries of the list cannot be read.", "1 entry of the list cannot be read.", left_out)
        self._say(words)
        self.look()
        self._summarise()
        await self._fetch_thumbnails(client)
        self.refreshed.emit()

    async def _fetch_thumbnails(self, client: VideoFarmClient) -> None:
        wanted = [card.video.thumbnail_url for card in self.model.cards if card.image is None]
        wanted = [url for url in dict.fromkeys(wanted) if url not in self._asked]
        self._asked.update(wanted)
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(url: str) -> None:
            async with gate:
                await self._fetch_thumbnail(client, url)

        await asyncio.gather(*(one(url) for url in wanted))
        await asyncio.to_thread(prune, self._folder)

    async def _fetch_thumbnail(self, client: VideoFarmClient, url: str) -> None:
        path = os.path.join(self._folder, hashlib.sha256(url.encode()).hexdigest()[:32])
        if not os.path.exists(path):
            try:
                data = await client.monitor.read(url, limit=LARGEST_THUMBNAIL, origin=client.origin_of(url))
                await asyncio.to_thread(self._keep, path, data)
            except (TransferFailure, ValueError, OSError):
                self._asked.discard(url)  # another refresh may try again; the card shows a film
                return
        self._ask(path, PICTURE * 2, lambda answer: self._take_thumbnail(url, answer))

    def _keep(self, path: str, data: bytes) -> None:
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        write_whole(path, data)

    def _take_thumbnail(self, url: str, answer: Answer) -> None:
        if answer.image is not None:
            self.model.set_image(url, answer.image)

    def _ask(self, path: str, room: QSize, take: Callable[[Answer], None]) -> None:
        self._number += 1
        number = self._number
        self._questions[number] = take
        self.pictures.ask(
            Question(generation=self._generation, number=number, path=path, width=room.width(), height=room.height())
        )

    def _answered(self, answer: Answer) -> None:
        if (take := self._questions.pop(answer.question.number, None)) is not None:
            take(answer)

    def _run(self, work: Coroutine[Any, Any, None], name: str) -> None:
        assert self._spawn is not None
        self._spawn(work, name)

    # What it shows

    def look(self) -> None:
        """Take over how far the downloads are; the clock runs only while something moves and can be seen."""
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
        if self._upload is not None and notice.upload:
            self._upload.hear(notice)
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
        self.summary.setText(tr("{videos}, looked at {time}").format(videos=words, time=when) if count else "")

    def _search(self, text: str) -> None:
        self.found.set_words(text)
        self._summarise()

    @property
    def selected(self) -> list[Card]:
        indexes = self.grid.selectionModel().selectedIndexes()
        return [index.data(CARD_ROLE) for index in sorted(indexes, key=lambda index: index.row())]

    def _enable(self) -> None:
        cards = self.selected
        offered = frozenset().union(*(can(card.state) for card in cards)) if cards else frozenset()
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
            if name in can(card.state):
                try:
                    act(card)
                except (TransfermonError, ValueError) as exc:
                    self.said.emit(f"{units.clean(card.video.title, 60)}: {exc}")
        self.look()

    def _download_of(self, card: Card) -> VideoDownload | None:
        assert self._client is not None
        return next((one for one in self._client.downloads if one.movie_url == card.video.movie_url), None)

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
                    self._client.monitor.resume(key)
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

    # A new video

    def show_upload(self, movie: str = "") -> None:
        """The dialog for a new video."""
        if self._client is None:
            return
        dialog = self._upload = VideoUploadDialog(self, movie=movie)
        dialog.requested.connect(self._upload_video)
        dialog.finished.connect(self._upload_closed)
        dialog.open()

    def _upload_closed(self) -> None:
        self._upload = None

    def _upload_video(self, request: NewVideo) -> None:
        """The picture becomes a small one first, in the helper that reads strangers' pictures."""
        self._ask(request.picture, UPLOAD_PICTURE, lambda answer: self._picture_made(request, answer))

    def _picture_made(self, request: NewVideo, answer: Answer) -> None:
        if answer.image is None:
            self._refuse(tr("The picture cannot be read; choose another."))
            return
        path = os.path.join(self._folder, "new.png")
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        if not answer.image.save(path):
            self._refuse(tr("The picture cannot be stored."))
            return
        self._run(self._send(request, path), "a new video")

    async def _send(self, request: NewVideo, picture: str) -> None:
        assert self._client is not None
        try:
            place = await self._client.prepare_video(request.title, picture, request.description)
            task = self._client.upload_video(request.movie, place)
        except (TransferFailure, ValueError, OSError) as exc:
            self._refuse(str(exc))
        else:
            if self._upload is not None:
                self._upload.under_way(task.key)

    def _refuse(self, sentence: str) -> None:
        if self._upload is not None:
            self._upload.refuse(sentence)
        else:
            self.said.emit(sentence)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.look()
        self.refresh()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._tick.stop()


@record
class NewVideo:
    """What the person wants to send."""

    title: str
    description: str
    picture: str
    movie: str


class VideoUploadDialog(QDialog):
    """`requested` carries a NewVideo; then the dialog shows how far it is, and may be closed: the upload goes on."""

    requested = Signal(object)

    def __init__(self, parent: QWidget | None = None, *, movie: str = "") -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Upload a video"))
        self.setObjectName("video_upload")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(560)
        self._key: TaskKey | None = None
        self._build()
        self.movie.setText(movie)
        self._check()

    def _build(self) -> None:
        self.title = line("video_title", tr("Title"))
        self.description: QPlainTextEdit = editor("video_description", tr("Description"), height=64)
        self.picture = line("video_picture", tr("Picture"))
        self.picture.setPlaceholderText(tr("A picture; of a film the desktop knows it is found by itself"))
        self.movie = line("video_movie", tr("Movie"))
        for field in (self.title, self.picture, self.movie):
            field.textChanged.connect(self._check)
        self.movie.textChanged.connect(self._movie_changed)
        form = form_layout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(row_label(tr("Movie"), self.movie), self._with_choice(self.movie, tr("Movie to upload")))
        form.addRow(row_label(tr("Title"), self.title), self.title)
        form.addRow(row_label(tr("Description"), self.description), self.description)
        form.addRow(row_label(tr("Picture"), self.picture), self._with_choice(self.picture, tr("Picture of the video")))
        self.problem = label("", name="video_problem")
        self.problem.setProperty("role", "bad")
        self.problem.setWordWrap(True)
        self.bar = QProgressBar()
        self.bar.setObjectName("video_progress")
        self.bar.setAccessibleName(tr("Upload progress"))
        self.bar.hide()
        self.words = label("", name="video_words")
        self.words.setProperty("role", "muted")
        box = QDialogButtonBox()
        self.close_button = button(tr("Cancel"), "video_close")
        self.start_button = button(tr("Upload"), "video_start")
        self.start_button.setProperty("primary", True)
        self.start_button.setDefault(True)
        box.addButton(self.close_button, QDialogButtonBox.ButtonRole.RejectRole)
        box.addButton(self.start_button, QDialogButtonBox.ButtonRole.ActionRole)
        box.rejected.connect(self.reject)
        self.start_button.clicked.connect(self._start)
        column = QVBoxLayout(self)
        column.setSpacing(10)
        column.addLayout(form)
        column.addWidget(self.problem)
        column.addWidget(self.bar)
        column.addWidget(self.words)
        column.addStretch(1)
        column.addWidget(box)

    def _with_choice(self, field: QLineEdit, title: str) -> QWidget:
        choose = button(tr("Choose…"), f"{field.objectName()}_choose")
        choose.setAutoDefault(False)
        choose.clicked.connect(lambda: self._choose(field, title))
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(field, 1)
        row.addWidget(choose)
        return holder

    def _choose(self, field: QLineEdit, title: str) -> None:
        chooser = QFileDialog(self, title, os.path.dirname(field.text()) or os.path.expanduser("~"))
        chooser.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        chooser.setFileMode(QFileDialog.FileMode.ExistingFile)
        chooser.fileSelected.connect(field.setText)
        chooser.open()

    def _movie_changed(self, text: str) -> None:
        path = os.path.expanduser(text.strip())
        if not os.path.isfile(path):
            return
        if not self.title.text():
            self.title.setText(os.path.splitext(os.path.basename(path))[0])
        if not self.picture.text() and (found := thumbnail_of(path)):
            self.picture.setText(found)

    def _check(self) -> None:
        fields = (self.movie.text(), self.picture.text())
        missing = [path for path in fields if path.strip() and not os.path.isfile(os.path.expanduser(path.strip()))]
        self.refuse(tr("There is no file “{name}”.").format(name=units.clean(missing[0], 80)) if missing else "")
        if missing:
            self.start_button.setEnabled(False)

    def _complete(self) -> bool:
        return all(field.text().strip() for field in (self.title, self.picture, self.movie))

    def _start(self) -> None:
        self._hold(True)
        self.bar.setRange(0, 0)
        self.bar.show()
        self.words.setText(tr("The video is announced to the server."))
        paths = [os.path.abspath(os.path.expanduser(field.text().strip())) for field in (self.picture, self.movie)]
        self.requested.emit(
            NewVideo(
                title=self.title.text().strip(),
                description=self.description.toPlainText().strip(),
                picture=paths[0],
                movie=paths[1],
            )
        )

    def _hold(self, on: bool) -> None:
        for field in (self.title, self.description, self.picture, self.movie):
            field.setReadOnly(on)
        self.start_button.setEnabled(not on and self._complete())

    def refuse(self, sentence: str) -> None:
        """Say why not, and let the person try again."""
        self.problem.setText(units.clean(sentence, 300))
        self.problem.setVisible(bool(sentence))
        self.bar.hide()
        self.words.setText("")
        self._hold(False)

    def under_way(self, key: TaskKey) -> None:
        """The server has the video; this task brings the movie."""
        self._key = key
        self.close_button.setText(tr("Close"))
        self.words.setText(tr("Uploading; it goes on when this is closed."))

    def hear(self, notice: Notice) -> None:
        """How far an upload is."""
        if self._key != TaskKey(notice.session, notice.task):
            return
        if notice.total > 0:
            self.bar.setRange(0, 1000)
            self.bar.setValue(round(1000 * notice.done / notice.total))
        if notice.kind == "completed":
            self.bar.setRange(0, 1)
            self.bar.setValue(1)
            self.words.setText(tr("The video is at the server."))
        elif notice.kind == "failed" and notice.error is not None:
            self._key = None
            self.refuse(notice.error.message)


def _as_typed(endpoint: str) -> str:
    return endpoint.rstrip("/")
