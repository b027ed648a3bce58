"""The rows of a dialog about what the requests carry and trust, as the options of the command line
are.

Rule: they say what was typed; the files are looked at by whoever sends.
"""

from __future__ import annotations

import os
from collections.abc import Callable

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

from transfermon.model.request_options import RequestOptions
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
        self.along = self._line("along", tr("Send along"))
        self.along.setPlaceholderText(
            tr("Names of headers that another server gets after a redirect, too")
        )
        form.addRow(label(tr("Send along"), self.along), self.along)
        self.authorities = self._file(
            "ca_file", tr("Authorities"), tr("A PEM file of authorities to trust, too")
        )
        self.keys = self._line("tls_keys", tr("TLS keys"))
        self.keys.setPlaceholderText(
            tr("A file that gets the keys: who has them can read what is sent")
        )
        form.addRow(label(tr("TLS keys"), self.keys), self.keys)
        self.insecure = self._tick("insecure", tr("Follow redirects from https to http"))
        self.bare = self._tick("bare", tr("Send no Content-Type"))
        ticks = QHBoxLayout()
        ticks.addWidget(self.insecure)
        ticks.addWidget(self.bare)
        ticks.addStretch(1)
        form.addRow("", ticks)

    def __repr__(self) -> str:
        return f"<RequestRows of {self._parent.objectName()}>"

    def show_body(self, on: bool) -> None:
        """Whether there is a body whose type may be left out."""
        self.bare.setVisible(on)

    @property
    def cookie_file(self) -> str:
        """Absolute; "" for none."""
        return _absolute(self.cookies.text())

    def options(self) -> RequestOptions:
        """Raises ValueError with a sentence."""
        options = RequestOptions(
            send_along=tuple(name.lower() for name in self.along.text().replace(",", " ").split()),
            insecure_redirects=self.insecure.isChecked(),
            ca_file=_absolute(self.authorities.text()),
            tls_keys=_absolute(self.keys.text()),
            no_content_type=self.bare.isChecked() and not self.bare.isHidden(),
        )
        options.check()
        return options

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
