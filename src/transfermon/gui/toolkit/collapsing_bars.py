"""Rows of buttons that fit into a narrow window: some of them lose their words before anything is
cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLayout, QToolBar, QToolButton, QWidget

ICON, WORDS = Qt.ToolButtonStyle.ToolButtonIconOnly, Qt.ToolButtonStyle.ToolButtonTextBesideIcon
LEAST_WORDS = 60  # pixels
Groups = Sequence[Sequence[QToolButton]]
ANEW = (QEvent.Type.FontChange, QEvent.Type.StyleChange, QEvent.Type.LanguageChange)


def give_way(groups: Groups, wanted: Callable[[], int], room: int) -> None:
    """Let as few groups as possible show their icons alone, the last first; `wanted` is the width
    of the whole row.
    """
    for group in groups:
        _show(group, WORDS)
    for group in reversed(groups):
        if wanted() <= room:
            return
        _show(group, ICON)


def _show(group: Sequence[QToolButton], how: Qt.ToolButtonStyle) -> None:
    for button in group:
        if button.toolButtonStyle() is not how:
            button.setToolButtonStyle(how)
            button.style().unpolish(button)  # the style sheet has another padding for each
            button.style().polish(button)


class Bar(QWidget):
    """A row above a table. Groups in `giving` lose their words where there is too little room, the
    last first.
    """

    def __init__(self, widgets: Sequence[QWidget | None], giving: Groups) -> None:
        """None stands for room that nobody needs."""
        super().__init__()
        self._giving = giving
        self._widgets = [widget for widget in widgets if widget is not None]
        self.row = QHBoxLayout(self)
        self.row.setContentsMargins(8, 5, 8, 5)
        self.row.setSpacing(6)
        self.row.setSizeConstraint(QLayout.SizeConstraint.SetNoConstraint)
        for button in (button for group in giving for button in group):
            button.setIconSize(QSize(20, 16))  # wider than the icons: a little air before the words
        for widget in widgets:
            if widget is None:
                self.row.addStretch(1)
            else:
                self.row.addWidget(widget, 1 if isinstance(widget, Note) else 0)

    def __repr__(self) -> str:
        return f"<Bar {self.width()} of {self._wanted()}>"

    def minimumSizeHint(self) -> QSize:
        hints = [button.sizeHint() for group in self._giving for button in group]
        words = sum(hint.width() - hint.height() for hint in hints)
        return QSize(self._wanted() - max(0, words), self.row.minimumSize().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        give_way(self._giving, self._wanted, self.width())

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in ANEW:
            give_way(self._giving, self._wanted, self.width())

    def _wanted(self) -> int:
        widgets = [widget for widget in self._widgets if not widget.isHidden()]
        edges = self.row.contentsMargins()
        widths = sum(0 if isinstance(widget, Note) else _least(widget) for widget in widgets)
        return widths + self.row.spacing() * (self.row.count() - 1) + edges.left() + edges.right()


def _least(widget: QWidget) -> int:
    if widget.minimumWidth():
        return widget.minimumWidth()
    return (
        widget.sizeHint() if isinstance(widget, QToolButton | QLabel) else widget.minimumSizeHint()
    ).width()


class Toolbar(QToolBar):
    """The window's own; its buttons are made of actions, and the filter takes the room that they
    leave.
    """

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self._giving: Groups = ()
        self.setObjectName("toolbar")
        self.setMovable(False)
        self.setIconSize(QSize(22, 18))  # wider than the icons: a little air before the words
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        self.setToolButtonStyle(WORDS)

    def __repr__(self) -> str:
        return f"<Toolbar {self.width()} of {self._wanted()}>"

    def set_giving(self, groups: Groups) -> None:
        """These lose their words where there is too little room, the last first."""
        self._giving = groups
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in ANEW:
            self._fit()

    def _fit(self) -> None:
        give_way(self._giving, self._wanted, self.width())

    def _wanted(self) -> int:
        widgets = [self.widgetForAction(action) for action in self.actions()]
        layout = cast(QLayout, self.layout())
        edges, inner = self.contentsMargins(), layout.contentsMargins()
        widths = sum(widget.minimumWidth() or widget.sizeHint().width() for widget in widgets)
        around = edges.left() + edges.right() + inner.left() + inner.right()
        return widths + layout.spacing() * (len(widgets) - 1) + around


class Note(QLabel):
    """Words beside buttons, in the room that they leave: cut at their end, and not shown where
    hardly one fits.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setProperty("role", "muted")
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setMinimumWidth(1)
        self._words = ""

    def text(self) -> str:
        """All of it."""
        return self._words

    def setText(self, text: str) -> None:
        self._words = text
        self._cut()

    def sizeHint(self) -> QSize:
        return QSize(
            self.fontMetrics().horizontalAdvance(self._words) + 2, super().sizeHint().height()
        )

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._cut()

    def _cut(self) -> None:
        fits = self.width() >= min(self.sizeHint().width(), LEAST_WORDS)
        cut = self.fontMetrics().elidedText(self._words, Qt.TextElideMode.ElideRight, self.width())
        super().setText(cut if fits else "")
