"""Short messages inside the window, with an action such as Undo.

Rule: a toast never takes the focus, and its text is plain.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from transfermon.model import units
from transfermon.model.translate import tr

SHOWN_MS = 6000
MOST = 3
MARGIN = 16


class Toast(QFrame):
    """One message; `ended` when it goes."""

    ended = Signal()

    def __init__(
        self,
        parent: QWidget,
        text: str,
        action: str,
        on_action: Callable[[], None] | None,
        on_end: Callable[[], None] | None,
        ms: int,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("toast")
        self.gone = False
        self._on_end = on_end
        row = QHBoxLayout(self)
        row.setContentsMargins(14, 8, 8, 8)
        self.label = QLabel(units.clean(text))
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        self.label.setObjectName("toast_text")
        self.label.setWordWrap(len(text) > 80)
        row.addWidget(self.label, 1)
        self.action: QPushButton | None = None
        if action and on_action is not None:
            chosen = on_action
            self.action = QPushButton(action)
            self.action.setObjectName("toast_action")
            self.action.clicked.connect(lambda: self._choose(chosen))
            row.addWidget(self.action)
        close = QToolButton()
        close.setObjectName("toast_close")
        close.setText("×")
        close.setAccessibleName(tr("Close the message"))
        close.setAutoRaise(True)
        close.clicked.connect(self.end)
        row.addWidget(close)
        for button in (self.action, close):
            if button is not None:
                button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.end)
        self._timer.start(ms)

    def _choose(self, on_action: Callable[[], None]) -> None:
        self._on_end = None
        on_action()
        self.end()

    def end(self) -> None:
        """Take it away; what was to follow an unanswered message follows now."""
        if self.gone:
            return
        # It keeps its parent until Qt deletes it: without one it would be Python's, and die on the
        # return from here, inside the very signal of its own button or timer that brought us here.
        self.gone = True
        self._timer.stop()
        on_end, self._on_end = self._on_end, None
        self.hide()
        self.ended.emit()
        self.deleteLater()
        if on_end is not None:
            on_end()


class Toasts(QWidget):
    """The stack of messages at the bottom of `host`; as small as what is in it."""

    def __init__(self, host: QWidget) -> None:
        super().__init__(host)
        self.setObjectName("toasts")
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(8)
        host.installEventFilter(self)
        self.hide()

    @property
    def shown(self) -> list[Toast]:
        return [toast for toast in self.findChildren(Toast) if not toast.gone]

    def show_message(
        self,
        text: str,
        *,
        action: str = "",
        on_action: Callable[[], None] | None = None,
        on_end: Callable[[], None] | None = None,
        ms: int = SHOWN_MS,
    ) -> Toast:
        """Show a message for `ms` milliseconds. `on_end` is called when it goes without its action
        being chosen.
        """
        for old in self.shown[: -MOST + 1]:
            old.end()
        toast = Toast(self, text, action, on_action, on_end, ms)
        toast.ended.connect(self.place)
        self._column.addWidget(toast)
        toast.show()
        self.place()
        return toast

    def end_all(self) -> None:
        for toast in self.shown:
            toast.end()

    def place(self) -> None:
        """To the middle of the host's lower edge."""
        host = self.parentWidget()
        if host is None:
            return
        self.setVisible(bool(self.shown))
        self.setMaximumWidth(max(200, host.width() - 2 * MARGIN))
        self.adjustSize()
        self.move((host.width() - self.width()) // 2, host.height() - self.height() - MARGIN)
        self.raise_()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.parent() and event.type() in (QEvent.Type.Resize, QEvent.Type.Show):
            self.place()
        return False
