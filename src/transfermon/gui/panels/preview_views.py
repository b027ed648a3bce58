"""What the preview shows a file with: one picture, or a sheet of small ones, and the words below.
Nothing is read or decoded here.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QFocusEvent,
    QFont,
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from transfermon.gui.toolkit import theme
from transfermon.model.translate import tr

MARGIN = 12  # left and right of a picture
TILE = 96


class Canvas(QWidget):
    """One picture, fitted or at 100 %; then it is dragged, or moved by wheel and arrow keys."""

    zoom_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("preview_picture")
        self.setAccessibleName(tr("Picture"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._image: QImage | None = None
        self._full = (0, 0)
        self.actual = False
        self._offset = QPointF()
        self._dragged: QPointF | None = None

    def show_image(self, image: QImage | None, full: tuple[int, int], *, actual: bool) -> None:
        self._image, self._full = image, full
        if actual != self.actual:
            self._offset = QPointF()
        self.actual = actual
        self.setCursor(Qt.CursorShape.OpenHandCursor if actual else Qt.CursorShape.ArrowCursor)
        self.update()

    @property
    def image(self) -> QImage | None:
        return self._image

    def target(self) -> QRectF:
        """Where the picture is drawn, in logical pixels."""
        assert self._image is not None
        room = self.size()
        size = self._whole() if self.actual else self.fitted(room)
        x, y = (room.width() - size.width()) / 2, (room.height() - size.height()) / 2
        if self.actual:
            x, y = x + self._offset.x(), y + self._offset.y()
        return QRectF(round(x), round(y), size.width(), size.height())

    def _whole(self) -> QSize:
        assert self._image is not None
        full = QSize(*self._full) if self._full[0] else self._image.size()
        return full / self.devicePixelRatioF()

    def fitted(self, room: QSize) -> QSize:
        """The picture's size in this room: it is made smaller where it must, never larger."""
        size, room = self._whole(), room - QSize(2 * MARGIN, 0)
        if size.width() > room.width() or size.height() > room.height():
            size = size.scaled(room, Qt.AspectRatioMode.KeepAspectRatio)
        return size

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._image is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        target = self.target()
        if self._image.hasAlphaChannel() and not self.actual:
            painter.fillRect(target, theme.color("track"))
        painter.drawImage(target, self._image)
        if self.hasFocus():
            painter.setPen(theme.color("accent"))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))

    def _pan(self, x: float, y: float) -> None:
        if not self.actual or self._image is None:
            return
        target = self.target()
        most_x = max(0.0, (target.width() - self.width()) / 2)
        most_y = max(0.0, (target.height() - self.height()) / 2)
        self._offset = QPointF(
            max(-most_x, min(most_x, self._offset.x() + x)),
            max(-most_y, min(most_y, self._offset.y() + y)),
        )
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._dragged = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._dragged is not None:
            step = event.position() - self._dragged
            self._dragged = event.position()
            self._pan(step.x(), step.y())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._dragged = None

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.zoom_wanted.emit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        self._pan(event.angleDelta().x() / 2, event.angleDelta().y() / 2)

    def keyPressEvent(self, event: QEvent) -> None:
        steps = {
            Qt.Key.Key_Left: (40, 0),
            Qt.Key.Key_Right: (-40, 0),
            Qt.Key.Key_Up: (0, 40),
            Qt.Key.Key_Down: (0, -40),
        }
        key = event.key()  # type: ignore[attr-defined]
        if key in steps and self.actual:
            self._pan(*steps[key])
        else:
            super().keyPressEvent(event)  # type: ignore[arg-type]

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.update()


class Sheet(QWidget):
    """Small pictures of many files, with their names; what is no picture has the icon of its
    type.
    """

    GAP, NAME = 10, 20

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("preview_sheet")
        self.setAccessibleName(tr("Contact sheet"))
        self._names: list[str] = []
        self._images: dict[int, QImage] = {}
        self._more = 0

    def show_names(self, names: Sequence[str], more: int) -> None:
        self._names, self._more = list(names), more
        self._images.clear()
        self._fit()

    def set_image(self, number: int, image: QImage) -> None:
        self._images[number] = image
        self.update(self._tile(number))

    @property
    def images(self) -> dict[int, QImage]:
        return self._images

    def _columns(self) -> int:
        return max(1, (self.width() - self.GAP) // (TILE + self.GAP))

    def _tile(self, number: int) -> QRect:
        row, column = divmod(number, self._columns())
        return QRect(
            self.GAP + column * (TILE + self.GAP),
            self.GAP + row * (TILE + self.NAME + self.GAP),
            TILE,
            TILE + self.NAME,
        )

    def _fit(self) -> None:
        rows = -(-(len(self._names) + bool(self._more)) // self._columns())
        self.setMinimumHeight(self.GAP + rows * (TILE + self.NAME + self.GAP))
        self.update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        font = QFont(self.font())
        font.setPointSizeF(8.0)
        painter.setFont(font)
        for number, name in enumerate(self._names):
            tile = self._tile(number)
            if tile.intersects(event.rect()):
                self._draw(painter, tile, number, name)
        if self._more:
            painter.setPen(theme.color("muted"))
            tile = self._tile(len(self._names))
            painter.drawText(
                tile.adjusted(0, 0, 0, -self.NAME), Qt.AlignmentFlag.AlignCenter, f"+ {self._more}"
            )

    def _draw(self, painter: QPainter, tile: QRect, number: int, name: str) -> None:
        box = tile.adjusted(0, 0, 0, -self.NAME)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.color("track"))
        painter.drawRoundedRect(box, 6, 6)
        image = self._images.get(number)
        if image is None:
            theme.draw_icon(painter, theme.file_icon(name), "muted", box, 28)
        else:
            size = image.size().scaled(box.size() - QSize(8, 8), Qt.AspectRatioMode.KeepAspectRatio)
            target = QRect(box.topLeft(), size)
            target.moveCenter(box.center())
            painter.drawImage(target, image)
        painter.setPen(theme.color("muted"))
        text = painter.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, TILE)
        painter.drawText(
            QRect(tile.x(), box.bottom() + 3, TILE, 16), Qt.AlignmentFlag.AlignHCenter, text
        )


class Foot(QWidget):
    """A file's name and what is known of it, with the buttons for it; they stand below each other
    where they have no room side by side.
    """

    def __init__(self) -> None:
        super().__init__()
        self.name = label("preview_name", "")
        self.facts = label("preview_facts", "muted")
        self.open_button = QPushButton(tr("Open"))
        self.open_button.setObjectName("preview_open")
        self.folder_button = QPushButton(tr("Show in folder"))
        self.folder_button.setObjectName("preview_folder")
        self.buttons = QWidget()
        row = self._row = QBoxLayout(QBoxLayout.Direction.LeftToRight, self.buttons)
        row.setContentsMargins(0, 6, 0, 0)
        row.setSpacing(6)
        row.addStretch(1)
        row.addWidget(self.open_button)
        row.addWidget(self.folder_button)
        row.addStretch(1)
        column = self._column = QVBoxLayout(self)
        column.setContentsMargins(12, 8, 12, 0)
        column.setSpacing(2)
        for widget in (self.name, self.facts, self.buttons):
            column.addWidget(widget)

    def show_words(self, name: str, words: str, *, buttons: bool) -> None:
        self.name.setText(_breakable(name))
        self.name.setVisible(bool(name))
        self.facts.setText(words)
        self.facts.setVisible(bool(words))
        self.buttons.setVisible(buttons)

    def fit_buttons(self, width: int) -> None:
        """`width` in pixels is what the foot may have."""
        edges = self._column.contentsMargins()
        both = (
            self.open_button.sizeHint().width()
            + self._row.spacing()
            + self.folder_button.sizeHint().width()
        )
        fits = both <= width - edges.left() - edges.right()
        self._row.setDirection(
            QBoxLayout.Direction.LeftToRight if fits else QBoxLayout.Direction.TopToBottom
        )


def label(name: str, role: str) -> QLabel:
    """Centred words that wrap and are shown as they are."""
    made = QLabel()
    made.setObjectName(name)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setAlignment(Qt.AlignmentFlag.AlignCenter)
    made.setWordWrap(True)
    made.setProperty("role", role)
    return made


def _breakable(name: str) -> str:
    # A label breaks lines at blanks only, and would else be as wide as the longest name.
    return "\u200b".join(name[at : at + 12] for at in range(0, len(name), 12))
