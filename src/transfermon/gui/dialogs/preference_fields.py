"""Fields for settings, one kind each: a field shows its setting and tells of another value.

Rule: what cannot be is said beside its field and changes nothing.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QSpinBox,
    QWidget,
)

from transfermon.gui.dialogs.fields import button, editor, label, line
from transfermon.gui.dialogs.setting_texts import folder_in
from transfermon.model.translate import tr
from transfermon.storage.settings import Settings

LABELS = 168  # pixels of the column of labels, the same on every page


class Draft(QObject):
    """The settings as the dialog shows them; `changed` carries each new value by its name in
    `Settings`.
    """

    changed = Signal(dict)

    def __init__(self, settings: Settings, parent: QObject) -> None:
        super().__init__(parent)
        self.settings = settings

    def __repr__(self) -> str:
        return f"<Draft of {self.settings}>"

    def change(self, name: str, value: Any) -> None:
        """Nothing is told of a value that was there before."""
        if getattr(self.settings, name) != value:
            self.replace(name, value)
            self.changed.emit({name: value})

    def replace(self, name: str, value: Any) -> None:
        """It was changed elsewhere."""
        self.settings = dataclasses.replace(self.settings, **{name: value})


class SettingsPage(QWidget):
    """One page of fields, in a form."""

    def __init__(self, title: str, draft: Draft) -> None:
        super().__init__()
        self.setAccessibleName(tr(title))
        self.draft = draft
        self._problems: dict[str, QLabel] = {}
        form = self.form = QFormLayout(self)
        form.setContentsMargins(20, 18, 20, 18)
        form.setHorizontalSpacing(12)
        form.setVerticalSpacing(10)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)

    def add_choice(self, name: str, title: str, choices: Sequence[tuple[str, str]]) -> None:
        box = combo_box(name, title)
        for value, text in choices:
            box.addItem(tr(text), value)
        box.setCurrentIndex(max(0, box.findData(getattr(self.draft.settings, name))))
        box.activated.connect(lambda _row: self.draft.change(name, box.currentData()))
        self.form.addRow(setting_label(title, box), box)

    def add_tick(
        self, name: str, text: str, *, head: str, values: tuple[Any, Any] = (False, True)
    ) -> None:
        box = check_box(name, text)
        box.setChecked(getattr(self.draft.settings, name) == values[1])
        box.clicked.connect(lambda on: self.draft.change(name, values[on]))
        self.form.addRow(setting_label(head), box)

    def add_count(self, name: str, title: str, least: int, most: int, *, none: str = "") -> None:
        box = QSpinBox()
        box.setObjectName(name)
        box.setAccessibleName(title)
        box.setRange(least, most)
        if none:
            box.setSpecialValueText(none)
        box.setValue(getattr(self.draft.settings, name))
        _plain(box)
        box.valueChanged.connect(lambda value: self.draft.change(name, value))
        self.form.addRow(setting_label(title, box), _left(box))

    def add_amount(self, name: str, title: str, unit: int, suffix: str, none: str) -> None:
        box = QDoubleSpinBox()
        box.setObjectName(name)
        box.setAccessibleName(title)
        box.setRange(0, 100_000)
        box.setDecimals(1)
        box.setSuffix(suffix)
        box.setSpecialValueText(none)
        box.setValue(getattr(self.draft.settings, name) / unit)
        _plain(box)
        box.valueChanged.connect(lambda value: self.draft.change(name, round(value * unit)))
        self.form.addRow(setting_label(title, box), _left(box))

    def add_text(
        self, name: str, title: str, read: Callable[[str], Any], placeholder: str
    ) -> QLineEdit:
        field = line(name, title)
        value = getattr(self.draft.settings, name)
        field.setText(value if isinstance(value, str) else ", ".join(value))
        field.setPlaceholderText(placeholder)
        field.editingFinished.connect(lambda: self._take(name, field.text(), read))
        self.form.addRow(setting_label(title, field), field)
        self._add_problem(name)
        return field

    def add_folder(self, name: str, title: str, placeholder: str) -> None:
        field = line(name, title)
        field.setText(getattr(self.draft.settings, name))
        field.setPlaceholderText(placeholder)
        field.editingFinished.connect(lambda: self._take(name, field.text(), folder_in))
        choose = button(tr("Choose…"), f"{name}_choose")
        choose.setAutoDefault(False)
        choose.clicked.connect(lambda: self._choose_folder(field, title))
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(field, 1)
        row.addWidget(choose)
        self.form.addRow(setting_label(title, field), holder)
        self._add_problem(name)

    def _choose_folder(self, field: QLineEdit, title: str) -> None:
        chooser = QFileDialog(self, title, field.text() or os.path.expanduser("~"))
        chooser.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        chooser.setFileMode(QFileDialog.FileMode.Directory)
        chooser.setOption(QFileDialog.Option.ShowDirsOnly)

        def chosen(path: str) -> None:
            field.setText(path)
            field.editingFinished.emit()

        chooser.fileSelected.connect(chosen)
        chooser.open()

    def add_lines(
        self, name: str, title: str, read: Callable[[str], Any], placeholder: str
    ) -> None:
        field = _Lines(editor(name, title, height=58))
        field.edit.setPlainText("\n".join(getattr(self.draft.settings, name)))
        field.edit.setPlaceholderText(placeholder)
        field.left.connect(lambda: self._take(name, field.edit.toPlainText(), read))
        self.form.addRow(setting_label(title, field.edit), field)
        self._add_problem(name)

    def _add_problem(self, name: str) -> None:
        made = label("", name=f"{name}_problem")
        made.setProperty("role", "bad")
        made.setWordWrap(True)
        self.form.addRow(setting_label(""), made)
        self.form.setRowVisible(made, False)
        self._problems[name] = made

    def _take(self, name: str, text: str, read: Callable[[str], Any]) -> None:
        try:
            value, sentence = read(text), ""
        except ValueError as exc:
            value, sentence = None, str(exc)
        problem = self._problems[name]
        problem.setText(sentence)
        self.form.setRowVisible(problem, bool(sentence))
        if not sentence:
            self.draft.change(name, value)


class _Lines(QWidget):
    """An editor that tells when the focus leaves it."""

    left = Signal()

    def __init__(self, edit: QPlainTextEdit) -> None:
        super().__init__()
        self.edit = edit
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(edit)
        edit.installEventFilter(self)

    def eventFilter(self, watched: Any, event: Any) -> bool:
        if watched is self.edit and event.type() == event.Type.FocusOut:
            self.left.emit()
        return False


def setting_label(text: str, buddy: QWidget | None = None) -> QLabel:
    made = label(text)
    made.setFixedWidth(LABELS)
    if buddy is not None:
        made.setBuddy(buddy)
    return made


def _plain(box: QSpinBox | QDoubleSpinBox) -> None:
    box.setKeyboardTracking(False)
    box.setFixedWidth(150)
    box.lineEdit().setTextMargins(5, 0, 5, 0)  # a style sheet's padding does not reach it


def _left(widget: QWidget) -> QWidget:
    """As narrow as it likes to be, at the left."""
    holder = QWidget()
    row = QHBoxLayout(holder)
    row.setContentsMargins(0, 0, 0, 0)
    row.addWidget(widget)
    row.addStretch(1)
    return holder


def note(text: str) -> QLabel:
    made = label(text)
    made.setProperty("role", "muted")
    made.setWordWrap(True)
    made.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return made


def check_box(name: str, text: str) -> QCheckBox:
    made = QCheckBox(text)
    made.setObjectName(name)
    return made


def combo_box(name: str, accessible: str) -> QComboBox:
    made = QComboBox()
    made.setObjectName(name)
    made.setAccessibleName(accessible)
    return made
