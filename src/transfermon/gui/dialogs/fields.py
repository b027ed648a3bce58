"""The parts that every dialog is made of: labels, lines, editors, buttons, with their object
names.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFormLayout, QLabel, QLineEdit, QPlainTextEdit, QPushButton, QWidget

from transfermon.model.translate import tr


def label(text: str, *, name: str = "") -> QLabel:
    made = QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setObjectName(name)
    return made


def form_layout(parent: QWidget | None = None) -> QFormLayout:
    form = QFormLayout(parent) if parent is not None else QFormLayout()
    form.setHorizontalSpacing(10)
    form.setVerticalSpacing(10)
    return form


def row_label(text: str, buddy: QWidget | None = None) -> QLabel:
    """As wide as the longest, so that the fields under "More" stand below the others."""
    made = label(text)
    made.setMinimumWidth(made.fontMetrics().horizontalAdvance(tr("Speed limit")) + 8)
    if buddy is not None:
        made.setBuddy(buddy)
    return made


def editor(name: str, accessible: str, *, height: int) -> QPlainTextEdit:
    made = QPlainTextEdit()
    made.setObjectName(name)
    made.setAccessibleName(accessible)
    made.setTabChangesFocus(True)
    made.setFixedHeight(height)
    return made


def headers_row(form: QFormLayout, name: str, changed: Callable[[], None]) -> QPlainTextEdit:
    """The row for headers of the requests; `typed_text.headers_in` reads what is typed there."""
    made = editor(name, tr("Request headers, one a line"), height=64)
    made.setPlaceholderText(tr("Name: value, one a line"))
    made.textChanged.connect(changed)
    form.addRow(row_label(tr("Headers"), made), made)
    return made


def line(name: str, accessible: str) -> QLineEdit:
    made = QLineEdit()
    made.setObjectName(name)
    made.setAccessibleName(accessible)
    return made


def button(text: str, name: str) -> QPushButton:
    made = QPushButton(text)
    made.setObjectName(name)
    return made
