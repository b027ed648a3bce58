"""The composer of silent pushes: writes a payload, says what is wrong with it, delivers it to this app.

Rule: what counts as a mistake is decided in `payload`; here it is only shown.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from transfermon import humanize
from transfermon.payload import Finding, Severity, lint
from transfermon.wakes import Wake, verdict_text

PICTURE = "https://example.com/picture.png"
_MARKS = {Severity.ERROR: "Error", Severity.WARNING: "Note"}


def templates(picture: str) -> dict[str, str]:
    """The usual payloads by name; the first is what the ancestors' samples send."""
    url = picture or PICTURE
    payloads: dict[str, dict[str, Any]] = {
        "Silent, flat": {"alert": "", "content-available": 1, "download_url": url},
        "Silent, with aps": {"aps": {"content-available": 1}, "download_url": url},
        "Banner and silent": {"alert": "A new picture", "content-available": 1, "download_url": url},
    }
    return {name: json.dumps(payload, indent=2, ensure_ascii=False) for name, payload in payloads.items()}


def findings_text(findings: list[Finding]) -> str:
    """One line for each, errors first."""
    ordered = sorted(findings, key=lambda finding: finding.severity is not Severity.ERROR)
    return "\n".join(f"{_MARKS[finding.severity]}: {humanize.clean(finding.message)}" for finding in ordered)


def sendable(findings: list[Finding]) -> bool:
    return all(finding.severity is not Severity.ERROR for finding in findings)


class PushComposer(QDialog):
    """`send_wanted` carries the payload's text; answer with `answered` or `refused`. It stays open: people send
    several.
    """

    send_wanted = Signal(str)

    def __init__(
        self,
        parent: QWidget | None = None,
        *,
        text: str = "",
        picture: str = "",
        allowed_hosts: Collection[str] = (),
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Silent push")
        self.setObjectName("push_composer")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(620, 420)
        self._templates = templates(picture)
        self._allowed_hosts = tuple(allowed_hosts)
        self._build()
        self.editor.setPlainText(text or next(iter(self._templates.values())))

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setSpacing(10)
        layout.addLayout(self._head())
        self.editor = QPlainTextEdit()
        self.editor.setObjectName("push_payload")
        self.editor.setAccessibleName("Payload, JSON")
        self.editor.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.editor.setTabChangesFocus(True)
        self.editor.textChanged.connect(self._check)
        layout.addWidget(self.editor, 1)
        self.findings = _text("push_findings")
        self.answer = _text("push_answer")
        layout.addWidget(self.findings)
        layout.addWidget(self.answer)
        layout.addWidget(self._buttons())

    def _head(self) -> QHBoxLayout:
        label = _text("push_explanation")
        label.setText("The payload is delivered to this app as a silent push. Nothing leaves this computer.")
        label.setProperty("role", "muted")
        self.choice = QComboBox()
        self.choice.setObjectName("push_template")
        self.choice.setAccessibleName("Template")
        self.choice.addItems(list(self._templates))
        self.choice.textActivated.connect(lambda name: self.editor.setPlainText(self._templates[name]))
        row = QHBoxLayout()
        row.addWidget(label, 1)
        row.addWidget(self.choice)
        return row

    def _buttons(self) -> QDialogButtonBox:
        box = QDialogButtonBox()
        close = QPushButton("Close")
        close.setObjectName("push_close")
        close.setAutoDefault(False)
        box.addButton(close, QDialogButtonBox.ButtonRole.RejectRole)
        self.send_button = QPushButton("Send")
        self.send_button.setObjectName("push_send")
        self.send_button.setProperty("primary", True)
        self.send_button.setDefault(True)
        self.send_button.clicked.connect(self._send)
        box.addButton(self.send_button, QDialogButtonBox.ButtonRole.ActionRole)
        box.rejected.connect(self.reject)
        return box

    def _check(self) -> None:
        found = lint(self.editor.toPlainText(), allowed_hosts=self._allowed_hosts)
        self.findings.setText(findings_text(found))
        self.findings.setVisible(bool(found))
        self.send_button.setEnabled(sendable(found))

    def _send(self) -> None:
        self.send_button.setEnabled(False)
        self.answer.setText("")
        self.send_wanted.emit(self.editor.toPlainText())

    def answered(self, wake: Wake) -> None:
        """The push was taken; this is its line in the ledger."""
        handler = f" Handler {wake.handler_id}" if wake.handler_id else ""
        self.answer.setText(f"{verdict_text(wake)}{handler}")
        self._check()

    def refused(self, sentence: str) -> None:
        self.answer.setText(humanize.clean(sentence))
        self._check()


def _text(name: str) -> QLabel:
    label = QLabel()
    label.setObjectName(name)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setWordWrap(True)
    return label
