"""The cards of the VideoFarm page: one video each, with how far its download is; their list, and
how they are painted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
)
from PySide6.QtGui import QImage, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from transfermon.gui.toolkit import theme
from transfermon.model import units
from transfermon.model.task import State, TaskKey
from transfermon.model.translate import marked, tr

if TYPE_CHECKING:  # the client brings the monitor, which loads after the window shows
    from transfermon.videofarm.client import RemoteVideo, VideoDownload, VideoFarmClient


Index = QModelIndex | QPersistentModelIndex
CARD_ROLE = int(Qt.ItemDataRole.UserRole) + 1
PICTURE = QSize(208, 117)  # 16:9; at the least, as cards share the room of a row
CARD_MORE = QSize(16, 60)  # than the picture
SPACING = 6
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
        length = (
            f"{units.duration(self.video.duration)}  ·  " if self.video.duration is not None else ""
        )
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


def actions_for(state: str) -> frozenset[str]:
    """What a person can do with a video in this state."""
    return {
        REMOTE: frozenset({"download", "play"}),
        DOWNLOADING: frozenset({"pause", "play"}),
        PAUSED: frozenset({"resume", "play"}),
        FAILED: frozenset({"resume", "play"}),
        HERE: frozenset({"play", "folder"}),
    }[state]


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
        self.cards = [
            Card(video=video, image=images.get(video.thumbnail_url)) for video in reversed(videos)
        ]
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


class VideoFilter(QSortFilterProxyModel):
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


class CardDelegate(QStyledItemDelegate):
    def __init__(self, grid: QListView) -> None:
        super().__init__(grid)
        self._grid = grid

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        # whether it is there or not: else cards jump with it
        bar = self._grid.verticalScrollBar().sizeHint().width()
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
            size = card.image.size().scaled(
                where.size(), Qt.AspectRatioMode.KeepAspectRatioByExpanding
            )
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

    def _words(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        picture: QRect,
        card: Card,
        title: str,
    ) -> None:
        painter.setFont(option.font)
        metrics = option.fontMetrics
        first = QRect(
            picture.left() + 2, picture.bottom() + 7, picture.width() - 4, metrics.height()
        )
        painter.setPen(theme.color("text"))
        text = metrics.elidedText(title, Qt.TextElideMode.ElideMiddle, first.width())
        painter.drawText(first, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, text)
        second = first.translated(0, metrics.height() + 3)
        icon, role = _LOOKS[card.state]
        theme.draw_icon(
            painter, icon, role, QRect(second.left(), second.top(), 14, second.height()), 14
        )
        second.adjust(20, 0, 0, 0)
        painter.setPen(theme.color("muted"))
        text = metrics.elidedText(card.line, Qt.TextElideMode.ElideRight, second.width())
        painter.drawText(second, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, text)
