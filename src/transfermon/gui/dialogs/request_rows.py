"""The rows of a dialog about what the requests carry and trust, as the options of the command line
are.

Rule: they say what was typed; the files are looked at by whoever sends.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QWidget,
)

from transfermon.model.option_table import ROWS, OptionRow, ValueKind
from transfermon.model.request_options import RequestOptions, connections_of
from transfermon.model.translate import tr


class RequestRows:
    """Adds its rows to a form; `changed` is called when one of them is."""

    def __init__(
        self,
        parent: QWidget,
        form: QFormLayout,
        label: Callable[..., QWidget],
        changed: Callable[[], None],
    ):
        self._parent = parent
        self._form = form
        self._label = label
        self._changed = changed
        self.cookies = self._file(
            "cookies", tr("Cookies"), tr("A file of cookies; the address's host gets its own")
        )
        self.rows: dict[str, QLineEdit | QCheckBox] = {
            row.name: self._row(row) for row in ROWS if row.kind is not ValueKind.FLAG
        }
        for row in ROWS:
            if row.kind is ValueKind.FLAG:
                tick = self.rows[row.name] = self._tick(row.name, tr(row.title))
                form.addRow("", tick)

    def __repr__(self) -> str:
        return f"<RequestRows of {self._parent.objectName()}>"

    def show_body(self, on: bool) -> None:
        """Whether there is a body, and so what is about it."""
        for row in ROWS:
            if row.of_bodies:
                self._form.setRowVisible(self.rows[row.name], on)
            elif row.of_downloads:
                self._form.setRowVisible(self.rows[row.name], not on)

    @property
    def cookie_file(self) -> str:
        """Absolute; "" for none."""
        return _absolute(self.cookies.text())

    def options(self) -> RequestOptions:
        """Raises ValueError with a sentence."""
        options = RequestOptions(**{row.name: self._value(row) for row in ROWS})
        options.check()
        return options

    def _row(self, row: OptionRow) -> QLineEdit:
        if row.kind is ValueKind.FILE_TO_READ:
            return self._file(row.name, tr(row.title), tr(row.hint))
        line = self._line(row.name, tr(row.title))
        line.setPlaceholderText(tr(row.hint))
        self._form.addRow(self._label(tr(row.title), line), line)
        return line

    def _value(self, row: OptionRow) -> Any:
        widget = self.rows[row.name]
        if isinstance(widget, QCheckBox):
            return widget.isChecked() and not widget.isHidden()
        if row.kind is ValueKind.NAMES:
            return tuple(name.lower() for name in widget.text().replace(",", " ").split())
        if row.kind is ValueKind.ADDRESSES:
            return () if widget.isHidden() else tuple(widget.text().split())
        if row.kind is ValueKind.CONNECTIONS:
            return connections_of("" if widget.isHidden() else widget.text())
        return _absolute(widget.text())

    def _line(self, name: str, text: str) -> QLineEdit:
        line = QLineEdit()
        line.setObjectName(f"request_{name}")
        line.setAccessibleName(text)
        line.textChanged.connect(self._changed)
        return line

    def _file(self, name: str, text: str, hint: str) -> QLineEdit:
        line = self._line(name, text)
        line.setPlaceholderText(hint)
        choose = QPushButton(tr("Choose…"))
        choose.setObjectName(f"request_{name}_choose")
        choose.setAccessibleName(tr("Choose: {what}").format(what=text))
        choose.setAutoDefault(False)
        choose.clicked.connect(lambda: self._choose(text, line))
        row = QHBoxLayout()
        row.addWidget(line, 1)
        row.addWidget(choose)
        self._form.addRow(self._label(text, line), row)
        return line

    def _tick(self, name: str, text: str) -> QCheckBox:
        tick = QCheckBox(text)
        tick.setObjectName(f"request_{name}")
        tick.toggled.connect(self._changed)
        return tick

    def _choose(self, title: str, line: QLineEdit) -> None:
        chooser = QFileDialog(
            self._parent, title, os.path.dirname(_absolute(line.text())) or os.path.expanduser("~")
        )
        chooser.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        chooser.setFileMode(QFileDialog.FileMode.ExistingFile)
        chooser.fileSelected.connect(line.setText)
        chooser.open()


def _absolute(text: str) -> str:
    return os.path.abspath(os.path.expanduser(text.strip())) if text.strip() else ""
