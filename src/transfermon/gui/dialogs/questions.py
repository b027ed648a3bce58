"""Questions and sentences in a box of their own.

Rule: a box is shown and answers through a call or a signal, never with `exec()`. Every outside text
is plain text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractButton,
    QCheckBox,
    QGridLayout,
    QInputDialog,
    QLabel,
    QMessageBox,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from transfermon.model.translate import marked, tr


def ask(
    parent: QWidget | None,
    title: str,
    text: str,
    answers: Sequence[str],
    on_answer: Callable[[str, bool], None],
    *,
    remember: str = "",
    warning: bool = False,
) -> QMessageBox:
    """Ask with a button for each answer; they are `marked` texts, and what is compared is English.
    The last is what Escape means; the first is the default, but for a warning the last is that too.
    `on_answer` gets the answer and whether the box with the text `remember` was ticked.
    """
    box = QMessageBox(parent)
    box.setObjectName("question")
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setWindowTitle("Transfermon")
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setIcon(QMessageBox.Icon.Warning if warning else QMessageBox.Icon.NoIcon)
    box.setText(title)
    box.setInformativeText(text)
    for label in box.findChildren(QLabel):  # the informative text has no format of its own
        label.setTextFormat(Qt.TextFormat.PlainText)
    # PySide does not keep one without a parent: the box would hold a dead pointer
    tick = QCheckBox(remember, box)
    tick.setVisible(bool(remember))
    if remember:
        box.setCheckBox(tick)
    buttons: dict[QAbstractButton, str] = {}
    for answer in answers:
        button = box.addButton(tr(answer), QMessageBox.ButtonRole.ActionRole)
        button.setObjectName("answer_" + answer.lower().replace(" ", "_"))
        buttons[button] = answer
    ordered = list(buttons)
    default = _pushed(ordered[-1 if warning else 0])
    default.setProperty("primary", not warning)
    default.style().unpolish(default)
    default.style().polish(default)
    box.setDefaultButton(default)
    box.setEscapeButton(_pushed(ordered[-1]))

    if not warning:
        _close_gap(box)

    def finished(_result: int) -> None:
        on_answer(buttons.get(box.clickedButton(), answers[-1]), tick.isChecked())

    box.finished.connect(finished)
    box.open()
    return box


def _close_gap(box: QMessageBox) -> None:
    """Where an icon would be: its place is kept free without one."""
    layout = box.layout()
    assert isinstance(layout, QGridLayout)
    for item in filter(None, map(layout.itemAt, range(layout.count()))):
        if (gap := item.spacerItem()) is not None:
            gap.changeSize(0, 0, QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
    layout.setColumnStretch(1, 1)


def text_question(
    parent: QWidget, name: str, *, title: str, label: str, text: str, ok: str
) -> QInputDialog:
    """Ask for one line, to be shown by the caller; `textValueSelected` carries it."""
    dialog = QInputDialog(parent)
    dialog.setObjectName(name)
    dialog.setWindowTitle(title)
    dialog.setLabelText(label)
    dialog.setTextValue(text)
    dialog.setOkButtonText(ok)
    dialog.resize(560, dialog.sizeHint().height())
    return dialog


def tell(parent: QWidget | None, title: str, text: str) -> QMessageBox:
    """Say something that must be read."""
    return ask(parent, title, text, [marked("Close")], lambda _answer, _remember: None)


def _pushed(button: QAbstractButton) -> QPushButton:
    assert isinstance(button, QPushButton)
    return button
