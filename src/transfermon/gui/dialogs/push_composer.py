"""The composer of silent pushes: writes a payload, says what is wrong with it, delivers it to this
app.

Rule: what counts as a mistake is decided in `payload`; here it is only shown.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from transfermon.model import units
from transfermon.model.push_payload import (
    COMMAND_TOOLS,
    PayloadFinding,
    Severity,
    commands_in,
    lint_payload,
)
from transfermon.model.translate import marked, tr
from transfermon.model.wake_policy import Wake, verdict_text

PICTURE = "https://example.com/picture.png"
EARLIER = 20  # payloads that can be taken back
_MARKS = {Severity.ERROR: marked("Error"), Severity.WARNING: marked("Note")}


def payload_templates(picture: str) -> dict[str, str]:
    """The usual payloads by name; the first is what the ancestors' samples send."""
    url = picture or PICTURE
    payloads: dict[str, dict[str, Any]] = {
        marked("Silent, flat"): {"alert": "", "content-available": 1, "download_url": url},
        marked("Silent, with aps"): {"aps": {"content-available": 1}, "download_url": url},
        marked("Banner and silent"): {
            "alert": "A new picture",
            "content-available": 1,
            "download_url": url,
        },
    }
    return {
        name: json.dumps(payload, indent=2, ensure_ascii=False)
        for name, payload in payloads.items()
    }


def payload_json(wake: Wake) -> str:
    """The payload of a push as people edit it; "" for a wake without one."""
    return "" if wake.payload is None else json.dumps(wake.payload, indent=2, ensure_ascii=False)


def earlier_payloads(ledger: Sequence[Wake]) -> list[str]:
    """Each different payload once, the newest first."""
    texts = [payload_json(wake) for wake in reversed(ledger) if wake.payload is not None]
    return list(dict.fromkeys(texts))[:EARLIER]


def findings_text(findings: list[PayloadFinding]) -> str:
    """One line for each, errors first."""
    ordered = sorted(findings, key=lambda finding: finding.severity is not Severity.ERROR)
    return "\n".join(
        f"{tr(_MARKS[finding.severity])}: {units.clean(finding.message)}" for finding in ordered
    )


def is_sendable(findings: list[PayloadFinding]) -> bool:
    return all(finding.severity is not Severity.ERROR for finding in findings)


class PushComposer(QDialog):
    """`send_wanted` carries the payload's text; answer with `answered` or `refused`. It stays open:
    people send several.
    """

    send_wanted = Signal(str)

    def __init__(
        self,
        parent: QWidget | None = None,
        *,
        text: str = "",
        picture: str = "",
        allowed_hosts: Collection[str] = (),
        earlier: Sequence[str] = (),
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Silent push"))
        self.setObjectName("push_composer")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(620, 420)
        self._templates = payload_templates(picture)
        self._allowed_hosts = tuple(allowed_hosts)
        self._earlier = list(earlier)
        self._build()
        self.editor.setPlainText(text or next(iter(self._templates.values())))
        self.editor.setFocus()

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setSpacing(10)
        layout.addLayout(self._head())
        self.editor = QPlainTextEdit()
        self.editor.setObjectName("push_payload")
        self.editor.setAccessibleName(tr("Payload, JSON"))
        self.editor.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.editor.setTabChangesFocus(True)
        self.editor.textChanged.connect(self._check)
        layout.addWidget(self.editor, 1)
        self.findings = _text("push_findings")
        self.findings.setAccessibleName(tr("What is wrong with it"))
        self.answer = _text("push_answer")
        self.answer.setAccessibleName(tr("What became of it"))
        layout.addWidget(self.findings)
        layout.addWidget(self.answer)
        layout.addWidget(self._buttons())

    def _head(self) -> QHBoxLayout:
        label = _text("push_explanation")
        label.setText(
            tr(
                "The payload is delivered to this app as a silent push. Nothing leaves this computer."
            )
        )
        label.setProperty("role", "muted")
        self.choice = QComboBox()
        self.choice.setObjectName("push_template")
        self.choice.setAccessibleName(tr("Template"))
        for name, text in self._templates.items():
            self.choice.addItem(tr(name), text)
        self.choice.activated.connect(
            lambda row: self.editor.setPlainText(self.choice.itemData(row))
        )
        self.history = QComboBox()
        self.history.setObjectName("push_history")
        self.history.setAccessibleName(tr("Earlier pushes"))
        self.history.addItem(tr("Earlier pushes"))
        self.history.addItems([_one_line(text) for text in self._earlier])
        self.history.setEnabled(bool(self._earlier))
        self.history.setMaximumWidth(170)
        self.history.activated.connect(self._take_earlier)
        row = QHBoxLayout()
        row.addWidget(label, 1)
        row.addWidget(self.choice)
        row.addWidget(self.history)
        return row

    def _take_earlier(self, row: int) -> None:
        if row > 0:
            self.editor.setPlainText(self._earlier[row - 1])

    def copy_menu(self) -> QMenu:
        """The same push as a line for other tools."""
        menu = QMenu(self)
        for name in COMMAND_TOOLS:
            action = menu.addAction(tr("For {name}").format(name=name))
            action.triggered.connect(partial(self._copy_for, name))
        return menu

    def _copy_for(self, tool: str) -> None:
        try:
            line = commands_in(self.editor.toPlainText())[tool]
        except ValueError as exc:
            self.refused(str(exc))
        else:
            QGuiApplication.clipboard().setText(line)
            self.answer.setText(
                tr(
                    "Copied as a command for {tool}. Words in capitals stand for your own values."
                ).format(tool=tool)
            )

    def _buttons(self) -> QDialogButtonBox:
        box = QDialogButtonBox()
        close = QPushButton(tr("Close"))
        close.setObjectName("push_close")
        close.setAutoDefault(False)
        box.addButton(close, QDialogButtonBox.ButtonRole.RejectRole)
        copy = QPushButton(tr("Copy as command"))
        copy.setObjectName("push_copy")
        copy.setAutoDefault(False)
        copy.setMenu(self.copy_menu())
        box.addButton(copy, QDialogButtonBox.ButtonRole.ResetRole)
        self.send_button = QPushButton(tr("Send"))
        self.send_button.setObjectName("push_send")
        self.send_button.setProperty("primary", True)
        self.send_button.setDefault(True)
        self.send_button.clicked.connect(self._send)
        box.addButton(self.send_button, QDialogButtonBox.ButtonRole.ActionRole)
        box.rejected.connect(self.reject)
        return box

    def _check(self) -> None:
        found = lint_payload(self.editor.toPlainText(), allowed_hosts=self._allowed_hosts)
        self.findings.setText(findings_text(found))
        self.findings.setVisible(bool(found))
        self.send_button.setEnabled(is_sendable(found))

    def _send(self) -> None:
        self.send_button.setEnabled(False)
        self.answer.setText("")
        self.send_wanted.emit(self.editor.toPlainText())

    def answered(self, wake: Wake) -> None:
        """The push was taken; this is its line in the ledger."""
        handler = (
            tr("Handler {handler_id}").format(handler_id=wake.handler_id) if wake.handler_id else ""
        )
        self.answer.setText(f"{verdict_text(wake)} {handler}".rstrip())
        self._check()

    def refused(self, sentence: str) -> None:
        self.answer.setText(units.clean(sentence))
        self._check()


def _one_line(text: str) -> str:
    return units.clean(" ".join(text.split()), 60)


def _text(name: str) -> QLabel:
    label = QLabel()
    label.setObjectName(name)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setWordWrap(True)
    return label
