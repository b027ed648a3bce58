"""The theme of the window: its colours, fonts and icons, light or dark.

Rule: everything that is painted is made of one table of colours, again when the theme changes.
"""

from __future__ import annotations

import contextlib
import html
import os
from collections.abc import Iterator
from functools import lru_cache

from PySide6.QtCore import QByteArray, QLoggingCategory, QObject, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QIcon, QIconEngine, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication
from shiboken6 import isValid

from transfermon.gui.toolkit.style_sheet import DARK, LIGHT, icon_file, mixed, palette, style_sheet
from transfermon.model.translate import marked, tr

APP_SIZES = (16, 22, 24, 32, 48, 64, 128, 256)
FONT_CLASSES = (  # to which a desktop can give fonts of their own
    *("QAbstractItemView", "QListView", "QHeaderView", "QLabel", "QMenu", "QMenuBar", "QStatusBar"),
    *("QPushButton", "QToolButton", "QCheckBox"),
)
ROW = 32  # pixels of a row in a table
SCHEMES = ("system", "light", "dark")


class _Themed(QObject):
    """`changed` is emitted after the colours changed: paint again, and make icons anew."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.colors = LIGHT
        self.scheme = "system"
        self.listening = False
        self.applying = False


themed = _Themed()


def apply(app: QApplication, scheme: str) -> None:
    """Show the whole application in "light", "dark" or as the "system" says; an unknown scheme is
    the system's.

    May be called again at any time. The system's wish is followed while the scheme is "system"; a
    desktop that does not say counts as light.
    """
    if themed.applying:
        return
    themed.applying = True
    try:
        themed.scheme = scheme if scheme in SCHEMES else "system"
        themed.colors = DARK if _wants_dark(app, themed.scheme) else LIGHT
        _color.cache_clear()
        _pixmap.cache_clear()
        icon.cache_clear()
        if not themed.listening:
            _begin(app)
        app.setPalette(palette(themed.colors))
        app.setStyleSheet(style_sheet(themed.colors))
        _use_font(app)
    finally:
        themed.applying = False
    themed.changed.emit()


@contextlib.contextmanager
def building(app: QApplication) -> Iterator[None]:
    """Widgets that are made meanwhile get the style once, at the end; else they get it with each
    parent they get.
    """
    app.setStyleSheet("")
    _use_font(app)
    try:
        yield
    finally:
        app.setStyleSheet(style_sheet(themed.colors))
        _use_font(app)


def _use_font(app: QApplication) -> None:
    """After each style sheet: it brings the desktop's own fonts back, of the app and of classes of
    widgets.
    """
    app.setFont(font(app))
    for name in FONT_CLASSES:
        app.setFont(font(app), name)  # type: ignore[arg-type]  # the stub wants bytes, Qt a string


def _begin(app: QApplication) -> None:
    # Once per process: without a portal Qt complains on its own about the desktop's theme.
    QLoggingCategory.setFilterRules("qt.qpa.theme.*=false\nqt.qpa.services=false")
    themed.listening = True
    app.setStyle("Fusion")
    app.styleHints().colorSchemeChanged.connect(lambda _scheme: _follow(app))


def _follow(app: QApplication) -> None:
    if themed.scheme == "system" and _wants_dark(app, "system") != (themed.colors is DARK):
        apply(app, "system")


def _wants_dark(app: QApplication, scheme: str) -> bool:
    if scheme == "system":
        return app.styleHints().colorScheme() is Qt.ColorScheme.Dark
    return scheme == "dark"


def font(app: QApplication) -> QFont:
    """Inter where it is installed, with digits of one width so that numbers do not dance; else the
    desktop's.
    """
    out = QFont(app.font())
    families = set(QFontDatabase.families())
    for family in ("Inter", "Inter Variable"):
        if family in families:
            out = QFont(family)
            out.setFeature(QFont.Tag("tnum"), 1)
            break
    out.setPointSizeF(9.5)
    return out


def fixed_font() -> QFont:
    """For event names, headers and payloads."""
    out = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    out.setPointSizeF(8.5)
    return out


@lru_cache(maxsize=64)
def _color(role: str) -> QColor:
    if role == "selection":
        return _tinted(themed.colors.accent, themed.colors.tint)
    if role == "hover":
        return _tinted(themed.colors.text, themed.colors.hover)
    return QColor(str(getattr(themed.colors, role)))


def color(role: str) -> QColor:
    """The colour of a role, which is the name of a field of `Colors`; "selection" and "hover" are
    tints.
    """
    return QColor(_color(role))


def _tinted(name: str, alpha: float) -> QColor:
    out = QColor(name)
    out.setAlphaF(alpha)
    return out


def plain_tip(text: str) -> str:
    """A tool tip that shows outside text as it is: Qt would read markup in it (R14)."""
    return f"<qt>{html.escape(text)}</qt>" if text else ""


# Icons


@lru_cache(maxsize=256)
def _source(name: str) -> bytes:
    with open(icon_file(name), "rb") as file:
        return file.read()


def _rendered(data: bytes, pixels: int) -> QPixmap:
    out = QPixmap(pixels, pixels)
    out.fill(Qt.GlobalColor.transparent)
    painter = QPainter(out)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    QSvgRenderer(QByteArray(data)).render(painter, QRectF(0, 0, pixels, pixels))
    painter.end()
    return out


def _colored(name: str, value: str) -> bytes:
    # A little finer than Lucide's own stroke: these stand beside 9.5 pt text.
    return (
        _source(name)
        .replace(b"currentColor", value.encode())
        .replace(b'stroke-width="2"', b'stroke-width="1.8"')
    )


@lru_cache(maxsize=1024)
def _pixmap(name: str, value: str, pixels: int) -> QPixmap:
    return _rendered(_colored(name, value), pixels)


class _Engine(QIconEngine):
    """Draws an icon when it is shown, in the size that is asked for: most of them are shown in one
    size or in none.
    """

    def __init__(self, name: str, value: str, faint: str) -> None:
        super().__init__()
        self._name, self._value, self._faint = name, value, faint

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        value = self._faint if mode is QIcon.Mode.Disabled else self._value
        return _pixmap(self._name, value, max(1, min(size.width(), size.height())))

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        ratio = painter.device().devicePixelRatioF()
        side = min(rect.width(), rect.height())
        out = QPixmap(self.pixmap(QSize(round(side * ratio), round(side * ratio)), mode, state))
        out.setDevicePixelRatio(ratio)
        painter.drawPixmap(
            rect.x() + (rect.width() - side) // 2, rect.y() + (rect.height() - side) // 2, out
        )

    def clone(self) -> QIconEngine:
        # Qt owns it from here on, but PySide 6.11 would free it at once if nobody here held it.
        _clones[:] = [held for held in _clones if isValid(held)]
        _clones.append(_Engine(self._name, self._value, self._faint))
        return _clones[-1]


_clones: list[_Engine] = []


@lru_cache(maxsize=256)
def icon(name: str, role: str = "text") -> QIcon:
    """An icon of the set, tinted: `role` is a field of `Colors`. Sharp in every size; make it anew
    on `themed.changed`.

    Raises FileNotFoundError for a name that is not in the set.
    """
    _source(name)
    faint = mixed(themed.colors.text, themed.colors.window, 0.42)
    return QIcon(_Engine(name, color(role).name(), faint))


def pixmap(name: str, role: str, size: int, ratio: float) -> QPixmap:
    """For painting: `size` in logical pixels, `ratio` of the device."""
    out = QPixmap(_pixmap(name, _color(role).name(), round(size * ratio)))
    out.setDevicePixelRatio(ratio)
    return out


def draw_icon(painter: QPainter, name: str, role: str, where: QRect, size: int = 16) -> None:
    """In the middle of `where`."""
    x = where.x() + (where.width() - size) // 2
    y = where.y() + (where.height() - size) // 2
    painter.drawPixmap(x, y, pixmap(name, role, size, painter.device().devicePixelRatioF()))


@lru_cache(maxsize=1)
def app_icon() -> QIcon:
    """The application's own mark."""
    out = QIcon()
    for pixels in APP_SIZES:
        out.addPixmap(_rendered(_source("transfermon"), pixels))
    return out


# What a file is, by its name: an icon, and words for it.

_TYPES: dict[str, tuple[str, str, str]] = {
    "image": ("image", marked("Picture"), "png jpg jpeg gif webp bmp svg tif tiff avif heic ico"),
    "film": ("film", marked("Movie"), "mp4 m4v avi mkv mov webm mpg mpeg ogv wmv ts"),
    "music": ("music", marked("Sound"), "mp3 flac ogg opus wav m4a aac"),
    "archive": ("archive", marked("Archive"), "zip tar gz tgz bz2 xz zst 7z rar iso deb rpm"),
    "text": ("file-text", marked("Document"), "txt md pdf doc docx odt rtf epub html htm csv log"),
    "data": (
        "file-code",
        marked("Data"),
        "json ndjson xml yaml yml toml sql sqlite db py js c h rs go",
    ),
}
_BY_EXTENSION = {
    ext: (name, words) for name, words, exts in _TYPES.values() for ext in exts.split()
}


def file_icon(name: str) -> str:
    """The icon's name for a file name."""
    return _BY_EXTENSION.get(_extension(name), ("file", ""))[0]


def file_words(name: str) -> str:
    """ "Movie (MP4)", "File (XYZ)", or "File"."""
    extension = _extension(name)
    words = tr(_BY_EXTENSION.get(extension, ("", marked("File")))[1])
    return (
        f"{words} ({extension.upper()})" if extension.isalnum() and len(extension) <= 6 else words
    )


def _extension(name: str) -> str:
    return os.path.splitext(name)[1].lower().lstrip(".")
