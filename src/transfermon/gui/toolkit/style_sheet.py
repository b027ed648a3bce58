"""One table of colours for a light and a dark window; the palettes and the style sheets are made of
it.
"""

from __future__ import annotations

import os

from PySide6.QtGui import QColor, QPalette

from transfermon.model.record import record

ICONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "icons")


@record
class Colors:
    """Text roles keep 4.5:1 on every ground, selected rows too; the bars' colours are for fills
    only.
    """

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


def icon_file(name: str) -> str:
    """As a style sheet can name it."""
    return os.path.join(ICONS, f"{name}.svg").replace("\\", "/")


def mixed(over: str, under: str, share: float) -> str:
    """`share` of one colour over another, as it is seen."""
    top, ground = QColor(over), QColor(under)
    pairs = zip(
        (top.red(), top.green(), top.blue()),
        (ground.red(), ground.green(), ground.blue()),
        strict=True,
    )
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
        **dict.fromkeys(
            (role.WindowText, role.Text, role.ButtonText, role.PlaceholderText, role.BrightText),
            faint,
        ),
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
    """Made of the same colours as the palette: a style sheet does not follow a palette by
    itself.
    """
    soft = mixed(of.accent, of.window, of.tint)
    faint = mixed(of.text, of.window, 0.42)
    hover = mixed(of.text, of.button, 0.05)
    primary_hover = mixed("#000000", of.primary, 0.12)
    thumb = mixed(of.text, of.window, 0.22)
    thumb_hover = mixed(of.text, of.window, 0.36)
    arrows = {
        name: icon_file(f"arrow-{name}-{'dark' if of is DARK else 'light'}")
        for name in ("up", "down")
    }
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
    QCheckBox::indicator:checked {{ background: {of.primary}; border-color: {of.primary}; image: url("{icon_file("check-mark")}"); }}
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
