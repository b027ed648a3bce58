"""Where things stood in the window when it was last closed: `window.ini` in the state folder.

Rule: what cannot be read there is as if it had never been kept.
"""

from __future__ import annotations

import os

from PySide6.QtCore import QByteArray, QSettings
from PySide6.QtWidgets import QMainWindow

from transfermon.gui.window.layout import Panels


def save_layout(window: QMainWindow, panels: Panels, state_dir: str) -> None:
    kept = _kept_values(state_dir)
    kept.setValue("geometry", window.saveGeometry())
    kept.setValue("across", panels.across.saveState())
    kept.setValue("middle", panels.middle.saveState())
    kept.setValue("columns", panels.table.save_columns())
    kept.sync()


def restore_layout(window: QMainWindow, panels: Panels, state_dir: str) -> bool:
    """Whether the panels have got widths of their own."""
    kept = _kept_values(state_dir)
    arranged = False
    for name, restore in (
        ("geometry", window.restoreGeometry),
        ("across", panels.across.restoreState),
        ("middle", panels.middle.restoreState),
        ("columns", panels.table.restore_columns),
    ):
        value = kept.value(name)
        if isinstance(value, QByteArray) and not value.isEmpty():
            restore(value)
            arranged |= name == "across"
    return arranged


def _kept_values(state_dir: str) -> QSettings:
    return QSettings(os.path.join(state_dir, "window.ini"), QSettings.Format.IniFormat)
