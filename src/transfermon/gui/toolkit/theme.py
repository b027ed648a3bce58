"""Colours, fonts, icons and the style sheet, for a light and a dark window.

Rule: one table of colours; the palettes, the style sheet, the icons and everything that is painted are made of it,
again when the theme changes.
"""

from __future__ import annotations

import contextlib
import html
import os
from collections.abc import Iterator
from functools import lru_cache

from PySide6.QtCore import QByteArray, QLoggingCategory, QObject, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QIcon, QIconEngine, QPainter, QPalette, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication
from shiboken6 import isValid

from transfermon.model.record import record
from transfermon.model.translate import marked, tr

ICONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "icons")
APP_SIZES = (16, 22, 24, 32, 48, 64, 128, 256)
FONT_CLASSES = (  # to which a desktop can give fonts of their own
    *("QAbstractItemView", "QListView", "QHeaderView", "QLabel", "QMenu", "QMenuBar", "QStatusBar"),
    *("QPushButton", "QToolButton", "QCheckBox"),
)
ROW = 32  # pixels of a row in a table
SCHEMES = ("system", "light", "dark")


@record
class Colors:
    """Text roles keep 4.5:1 on every ground, selected rows too; the bars' colours are for fills only."""

    window: str
    base: str
    alternate: str
    button: str
    line: str
    track: str
    text: str
    muted: str
    accent: str
    primary: str
    on_accent: str
    good: str
    bad: str
    warn: str
    violet: str
    bar: str
    bar_good: str
    bar_bad: str
    bar_warn: str
    bar_idle: str
    tip: str
    tint: float  # of the accent, under a selected row
    hover: float  # of the text, under the row below the pointer


LIGHT = Colors(
    window="#f5f6f8",
    base="#ffffff",
    alternate="#fafbfc",
    button="#ffffff",
    line="#dcdfe4",
    track="#e3e6ea",
    text="#1f2328",
    muted="#5a626e",
    accent="#155fc9",
    primary="#1a6fe0",
    on_accent="#ffffff",
    good="#14692f",
    bad="#b91c28",
    warn="#845400",
    violet="#6b3fc4",
    bar="#1a6fe0",
    bar_good="#2da44e",
    bar_bad="#d1242f",
    bar_warn="#d29922",
    bar_idle="#9aa3ae",
    tip="#ffffff",
    tint=0.14,
    hover=0.035,
)
DARK = Colors(
    window="#1d1e21",
    base="#232528",
    alternate="#26282c",
    button="#2e3136",
    line="#383b41",
    track="#3b3f46",
    text="#e6e8eb",
    muted="#a8afba",
    accent="#78b7ff",
    primary="#2a70d2",
    on_accent="#ffffff",
    good="#57c878",
    bad="#ff938c",
    warn="#e0b04c",
    violet="#bda4ff",
    bar="#4c9aff",
    bar_good="#3fb35f",
    bar_bad="#f0524f",
    bar_warn="#d9a335",
    bar_idle="#767d88",
    tip="#2e3136",
    tint=0.18,
    hover=0.045,
)


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
    """Show the whole application in "light", "dark" or as the "system" says; an unknown scheme is the system's.

    May be called again at any time. The system's wish is followed while the scheme is "system"; a desktop that
    does not say counts as light.
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
    """Widgets that are made meanwhile get the style once, at the end; else they get it with each parent they get."""
    app.setStyleSheet("")
    _use_font(app)
    try:
        yield
    finally:
        app.setStyleSheet(style_sheet(themed.colors))
        _use_font(app)


def _use_font(app: QApplication) -> None:
    """After each style sheet: it brings the desktop's own fonts back, of the app and of classes of widgets."""
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


def is_dark(app: QApplication | None = None) -> bool:
    return themed.colors is DARK


def font(app: QApplication) -> QFont:
    """Inter where it is installed, with digits of one width so that numbers do not dance; else the desktop's."""
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
    """The colour of a role, which is the name of a field of `Colors`; "selection" and "hover" are tints."""
    return QColor(_color(role))


def _tinted(name: str, alpha: float) -> QColor:
    out = QColor(name)
    out.setAlphaF(alpha)
    return out


def mixed(over: str, under: str, share: float) -> str:
    """`share` of one colour over another, as it is seen."""
    top, ground = QColor(over), QColor(under)
    pairs = zip((top.red(), top.green(), top.blue()), (ground.red(), ground.green(), ground.blue()), strict=True)
    return QColor(*(round(a * share + b * (1 - share)) for a, b in pairs)).name()


def palette(of: Colors) -> QPalette:
    """Complete for Active, Inactive and Disabled."""
    role, group = QPalette.ColorRole, QPalette.ColorGroup
    table = {
        role.Window: of.window,
        role.WindowText: of.text,
        role.Base: of.base,
        role.AlternateBase: of.alternate,
        role.Text: of.text,
        role.PlaceholderText: of.muted,
        role.Button: of.button,
        role.ButtonText: of.text,
        role.BrightText: of.on_accent,
        role.Highlight: of.primary,
        role.HighlightedText: of.on_accent,
        role.Accent: of.accent,
        role.Link: of.accent,
        role.LinkVisited: of.violet,
        role.ToolTipBase: of.tip,
        role.ToolTipText: of.text,
        role.Light: mixed("#ffffff", of.button, 0.2),
        role.Midlight: mixed("#ffffff", of.line, 0.2),
        role.Mid: of.line,
        role.Dark: mixed("#000000", of.line, 0.3),
        role.Shadow: "#000000",
    }
    faint = mixed(of.text, of.window, 0.42)
    disabled = {
        **dict.fromkeys((role.WindowText, role.Text, role.ButtonText, role.PlaceholderText, role.BrightText), faint),
        **dict.fromkeys((role.Highlight, role.Accent), of.line),
        role.HighlightedText: of.muted,
        role.Base: of.window,
    }
    out = QPalette()
    for which in (group.Active, group.Inactive, group.Disabled):
        for name, value in (table | disabled if which is group.Disabled else table).items():
            out.setColor(which, name, QColor(value))
    return out


def style_sheet(of: Colors) -> str:
    """Made of the same colours as the palette: a style sheet does not follow a palette by itself."""
    soft = mixed(of.accent, of.window, of.tint)
    faint = mixed(of.text, of.window, 0.42)
    hover = mixed(of.text, of.button, 0.05)
    primary_hover = mixed("#000000", of.primary, 0.12)
    thumb = mixed(of.text, of.window, 0.22)
    thumb_hover = mixed(of.text, of.window, 0.36)
    arrows = {name: _file(f"arrow-{name}-{'dark' if of is DARK else 'light'}") for name in ("up", "down")}
    return f"""
    QMainWindow, QDialog {{ background: {of.window}; }}
    QToolTip {{ background: {of.tip}; color: {of.text}; border: 1px solid {of.line}; padding: 4px 6px; }}
    QMenuBar {{ background: {of.window}; padding: 2px 6px; }}
    QMenuBar::item {{ padding: 4px 9px; border-radius: 5px; background: transparent; }}
    QMenuBar::item:selected, QMenuBar::item:pressed {{ background: {soft}; }}
    QMenu {{ background: {of.base}; border: 1px solid {of.line}; padding: 5px; }}
    QMenu::item {{ padding: 6px 26px 6px 10px; border-radius: 5px; }}
    QMenu::icon {{ padding-left: 8px; }}
    QMenu::item:selected {{ background: {soft}; color: {of.text}; }}
    QMenu::item:disabled {{ color: {faint}; }}
    QMenu::separator {{ height: 1px; background: {of.line}; margin: 5px 8px; }}
    QToolBar {{ background: {of.window}; border: 0; border-bottom: 1px solid {of.line}; padding: 7px 10px; spacing: 6px; }}
    QToolBar::separator {{ background: {of.line}; width: 1px; margin: 5px 5px; }}
    QPushButton, QToolButton {{ background: {of.button}; color: {of.text}; border: 1px solid {of.line};
        border-radius: 6px; padding: 5px 11px; }}
    QToolButton[toolButtonStyle="2"] {{ padding: 5px 3px 5px 9px; }}
    QToolButton[toolButtonStyle="0"] {{ padding: 5px 7px; }}
    QPushButton:hover, QToolButton:hover {{ background: {hover}; border-color: {thumb_hover}; }}
    QPushButton:pressed, QToolButton:pressed, QToolButton:checked, QPushButton:checked {{ background: {soft}; border-color: {of.accent}; }}
    QPushButton:focus, QToolButton:focus {{ border: 1px solid {of.accent}; outline: 0; }}
    QPushButton:disabled, QToolButton:disabled {{ color: {faint}; background: transparent; }}
    QPushButton[primary="true"], QToolButton[primary="true"], QToolButton#primary {{ background: {of.primary};
        color: {of.on_accent}; border-color: {of.primary}; font-weight: 600; }}
    QPushButton[primary="true"]:hover, QToolButton#primary:hover {{ background: {primary_hover}; }}
    QPushButton[primary="true"]:focus, QToolButton#primary:focus {{ border: 2px solid {of.text}; padding: 4px 10px; }}
    QPushButton[primary="true"]:disabled, QToolButton#primary:disabled {{ background: {of.line}; border-color: {of.line}; color: {of.muted}; }}
    QToolButton[flat="true"], QPushButton[flat="true"], QToolButton#toast_close {{ background: transparent; border-color: transparent; padding: 4px 8px; }}
    QToolButton[flat="true"][toolButtonStyle="2"] {{ padding: 4px 2px 4px 7px; }}
    QToolButton[flat="true"]:hover, QPushButton[flat="true"]:hover {{ background: {hover}; border-color: transparent; }}
    QToolButton[flat="true"]:checked {{ background: {soft}; color: {of.accent}; }}
    QToolButton[flat="true"]:focus, QPushButton[flat="true"]:focus {{ border-color: {of.accent}; }}
    QToolButton[role="disclosure"] {{ background: transparent; border: 0; border-radius: 4px; padding: 4px 6px 4px 0; }}
    QToolButton[role="disclosure"]:hover {{ color: {of.accent}; }}
    QToolButton[role="disclosure"]:focus {{ color: {of.accent}; }}
    QToolButton::menu-indicator {{ image: none; }}
    QLineEdit, QPlainTextEdit, QTextEdit, QSpinBox, QDoubleSpinBox {{ background: {of.base}; color: {of.text};
        border: 1px solid {of.line}; border-radius: 6px; padding: 4px 7px; selection-background-color: {of.primary};
        selection-color: {of.on_accent}; }}
    QLineEdit:focus, QPlainTextEdit:focus, QTextEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus, QComboBox:focus {{ border-color: {of.accent}; }}
    QLineEdit:disabled, QPlainTextEdit:disabled, QComboBox:disabled {{ background: {of.window}; color: {faint}; }}
    QLineEdit[role="value"] {{ background: transparent; border: 0; border-radius: 3px; padding: 1px 2px; }}
    QPlainTextEdit[role="page"] {{ border: 0; border-radius: 0; padding: 0; }}
    QLineEdit[role="value"]:focus {{ background: {of.window}; }}
    QSpinBox::up-button, QSpinBox::down-button, QDoubleSpinBox::up-button, QDoubleSpinBox::down-button {{ border: 0; width: 18px; background: transparent; }}
    QSpinBox::up-arrow, QDoubleSpinBox::up-arrow {{ image: url("{arrows["up"]}"); width: 10px; height: 10px; }}
    QSpinBox::down-arrow, QDoubleSpinBox::down-arrow {{ image: url("{arrows["down"]}"); width: 10px; height: 10px; }}
    QComboBox {{ background: {of.button}; color: {of.text}; border: 1px solid {of.line}; border-radius: 6px; padding: 4px 8px; }}
    QComboBox:hover {{ border-color: {thumb_hover}; }}
    QComboBox::drop-down {{ border: 0; width: 22px; }}
    QComboBox::down-arrow {{ image: url("{arrows["down"]}"); width: 12px; height: 12px; }}
    QComboBox QAbstractItemView {{ background: {of.base}; border: 1px solid {of.line}; padding: 4px; outline: 0;
        selection-background-color: {soft}; selection-color: {of.text}; }}
    QCheckBox {{ spacing: 7px; }}
    QCheckBox::indicator {{ width: 14px; height: 14px; border: 1px solid {thumb_hover}; border-radius: 4px; background: {of.base}; }}
    QCheckBox::indicator:hover, QCheckBox::indicator:focus {{ border-color: {of.accent}; }}
    QCheckBox::indicator:checked {{ background: {of.primary}; border-color: {of.primary}; image: url("{_file("check-mark")}"); }}
    QCheckBox::indicator:disabled {{ border-color: {of.line}; background: {of.window}; }}
    QCheckBox:disabled {{ color: {faint}; }}
    QCheckBox:focus {{ color: {of.accent}; outline: 0; }}
    QListWidget#preferences_pages {{ background: {of.base}; border: 0; border-right: 1px solid {of.line}; padding: 10px 8px; }}
    QListWidget#preferences_pages::item {{ border-radius: 6px; padding: 0 6px; }}
    QListWidget#preferences_pages::item:selected {{ background: {soft}; color: {of.text}; }}
    QTableView, QListView, QTreeView {{ background: {of.base}; border: 0; outline: 0; gridline-color: transparent;
        selection-background-color: {mixed(of.accent, of.base, of.tint)}; selection-color: {of.text}; }}
    QHeaderView {{ background: {of.base}; border: 0; }}
    QHeaderView::section {{ background: {of.base}; color: {of.muted}; border: 0; border-bottom: 1px solid {of.line};
        padding: 7px 8px; font-weight: 500; }}
    QHeaderView::section:hover {{ color: {of.text}; }}
    QHeaderView::up-arrow {{ image: url("{arrows["up"]}"); width: 10px; height: 10px; subcontrol-position: top center; top: 0px; }}
    QHeaderView::down-arrow {{ image: url("{arrows["down"]}"); width: 10px; height: 10px; subcontrol-position: top center; top: 0px; }}
    QTableCornerButton::section {{ background: {of.base}; border: 0; }}
    QSplitter::handle {{ background: {of.line}; }}
    QTabWidget::pane {{ border: 0; border-top: 1px solid {of.line}; }}
    QTabWidget::tab-bar {{ left: 8px; }}
    QTabBar {{ background: transparent; qproperty-drawBase: 0; }}
    QTabBar::tab {{ background: transparent; color: {of.muted}; border: 0; border-bottom: 2px solid transparent; padding: 7px 10px 6px; margin-right: 4px; }}
    QTabBar::tab:selected {{ color: {of.text}; border-bottom-color: {of.accent}; font-weight: 600; }}
    QTabBar::tab:hover {{ color: {of.text}; }}
    QTabBar::tab:focus {{ border-bottom-color: {of.text}; }}
    QTabWidget#details_tabs QTabBar::tab {{ border: 0; border-radius: 5px; padding: 3px 9px; margin: 4px 3px 4px 0; }}
    QTabWidget#details_tabs QTabBar::tab:selected {{ background: {soft}; font-weight: 500; }}
    QTabWidget#details_tabs::pane {{ border: 0; }}
    QTabWidget#details_tabs QTabBar::tab:focus {{ color: {of.accent}; }}
    QAbstractScrollArea::corner {{ background: transparent; border: 0; }}
    QStatusBar {{ background: {of.window}; color: {of.muted}; border-top: 1px solid {of.line}; }}
    QStatusBar::item {{ border: 0; }}
    QStatusBar QLabel {{ color: {of.muted}; padding: 3px 8px; }}
    QLabel[role="title"] {{ color: {of.muted}; font-weight: 600; }}
    QLabel[role="muted"] {{ color: {of.muted}; }}
    QLabel[role="bad"], QStatusBar QLabel[role="bad"] {{ color: {of.bad}; }}
    QLabel[role="good"] {{ color: {of.good}; }}
    QLabel[role="warn"] {{ color: {of.warn}; }}
    QPushButton[role="warn"] {{ color: {of.warn}; font-weight: 600; background: transparent; border: 0; padding: 0 6px; }}
    QPushButton[role="warn"]:focus {{ text-decoration: underline; }}
    QLabel[role="heading"] {{ font-weight: 600; font-size: 11pt; }}
    QFrame#toast {{ background: {of.tip}; border: 1px solid {thumb}; border-radius: 8px; }}
    QScrollArea {{ background: transparent; border: 0; }}
    QWidget[ground="base"] {{ background: {of.base}; }}
    QScrollBar:vertical {{ background: transparent; width: 10px; margin: 0; }}
    QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 0; }}
    QScrollBar::handle {{ background: {thumb}; border-radius: 3px; margin: 2px; }}
    QScrollBar::handle:vertical {{ min-height: 32px; }}
    QScrollBar::handle:horizontal {{ min-width: 32px; }}
    QScrollBar::handle:hover {{ background: {thumb_hover}; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
    QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
    """


def plain_tip(text: str) -> str:
    """A tool tip that shows outside text as it is: Qt would read markup in it (R14)."""
    return f"<qt>{html.escape(text)}</qt>" if text else ""


# Icons


def _file(name: str) -> str:
    return os.path.join(ICONS, f"{name}.svg").replace("\\", "/")


@lru_cache(maxsize=256)
def _source(name: str) -> bytes:
    with open(_file(name), "rb") as file:
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
    return _source(name).replace(b"currentColor", value.encode()).replace(b'stroke-width="2"', b'stroke-width="1.8"')


@lru_cache(maxsize=1024)
def _pixmap(name: str, value: str, pixels: int) -> QPixmap:
    return _rendered(_colored(name, value), pixels)


class _Engine(QIconEngine):
    """Draws an icon when it is shown, in the size that is asked for: most of them are shown in one size or in none."""

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
        painter.drawPixmap(rect.x() + (rect.width() - side) // 2, rect.y() + (rect.height() - side) // 2, out)

    def clone(self) -> QIconEngine:
        # Qt owns it from here on, but PySide 6.11 would free it at once if nobody here held it.
        _clones[:] = [held for held in _clones if isValid(held)]
        _clones.append(_Engine(self._name, self._value, self._faint))
        return _clones[-1]


_clones: list[_Engine] = []


@lru_cache(maxsize=256)
def icon(name: str, role: str = "text") -> QIcon:
    """An icon of the set, tinted: `role` is a field of `Colors`. Sharp in every size; make it anew on `themed.changed`.

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


def app_pixmap(size: int, ratio: float = 1.0) -> QPixmap:
    out = _rendered(_source("transfermon"), QSize(round(size * ratio), 1).width())
    out.setDevicePixelRatio(ratio)
    return out


# What a file is, by its name: an icon, and words for it.

_TYPES: dict[str, tuple[str, str, str]] = {
    "image": ("image", marked("Picture"), "png jpg jpeg gif webp bmp svg tif tiff avif heic ico"),
    "film": ("film", marked("Movie"), "mp4 m4v avi mkv mov webm mpg mpeg ogv wmv ts"),
    "music": ("music", marked("Sound"), "mp3 flac ogg opus wav m4a aac"),
    "archive": ("archive", marked("Archive"), "zip tar gz tgz bz2 xz zst 7z rar iso deb rpm"),
    "text": ("file-text", marked("Document"), "txt md pdf doc docx odt rtf epub html htm csv log"),
    "data": ("file-code", marked("Data"), "json ndjson xml yaml yml toml sql sqlite db py js c h rs go"),
}
_BY_EXTENSION = {ext: (name, words) for name, words, exts in _TYPES.values() for ext in exts.split()}


def file_icon(name: str) -> str:
    """The icon's name for a file name."""
    return _BY_EXTENSION.get(_extension(name), ("file", ""))[0]


def file_words(name: str) -> str:
    """ "Movie (MP4)", "File (XYZ)", or "File"."""
    extension = _extension(name)
    words = tr(_BY_EXTENSION.get(extension, ("", marked("File")))[1])
    return f"{words} ({extension.upper()})" if extension.isalnum() and len(extension) <= 6 else words


def _extension(name: str) -> str:
    return os.path.splitext(name)[1].lower().lstrip(".")
