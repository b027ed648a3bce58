"""The settings: one page for each part of the app, and every change applies at once.

Rule: it shows settings and tells of changes through signals. Nothing here knows the monitor.
"""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from transfermon.gui.dialogs.fields import button, label
from transfermon.gui.dialogs.preference_fields import Draft
from transfermon.gui.dialogs.preference_pages import (
    AdvancedPage,
    BackgroundPage,
    Channel,
    GeneralPage,
    NotificationsPage,
    PushPage,
    StartAtLogin,
    TransfersPage,
)
from transfermon.gui.toolkit import theme
from transfermon.model.translate import marked, tr
from transfermon.storage.settings import Settings


class Preferences(QDialog):
    """`changed` carries the new values by the names of `Settings`; the other signals what is kept
    elsewhere.
    """

    changed = Signal(dict)
    login_changed = Signal(object)  # a Login
    channel_switched = Signal(bool)
    token_given = Signal(str)  # "" forgets it

    def __init__(
        self,
        parent: QWidget | None = None,
        *,
        settings: Settings,
        login: StartAtLogin,
        channel: Channel,
        state_dir: str = "",
        tray: bool = True,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Settings"))
        self.setObjectName("preferences")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(760, 520)
        self._draft = Draft(settings, self)
        self._draft.changed.connect(self.changed)
        self.general = GeneralPage(self._draft, login, tray=tray)
        self.general.login_changed.connect(self.login_changed)
        self.background = BackgroundPage(self._draft)
        self.push = PushPage(self._draft, channel)
        self.push.channel_switched.connect(self.channel_switched)
        self.push.token_given.connect(self.token_given)
        self._titles: list[str] = []
        self._pages = QStackedWidget()
        self._list = self._make_list()
        self._add_page(marked("General"), "sliders-horizontal", self.general)
        self._add_page(marked("Transfers"), "download", TransfersPage(self._draft))
        self._add_page(marked("Background"), "download-cloud", self.background)
        self._add_page(marked("Push"), "bell", self.push)
        self._add_page(marked("Notifications"), "inbox", NotificationsPage(self._draft))
        self._add_page(marked("Advanced"), "terminal", AdvancedPage(self._draft, state_dir))
        self._list.setCurrentRow(0)
        self._retint()
        theme.themed.changed.connect(self._retint)
        self._lay_out()

    def _make_list(self) -> QListWidget:
        made = QListWidget()
        made.setObjectName("preferences_pages")
        made.setAccessibleName(tr("Pages"))
        made.setFixedWidth(172)
        made.setIconSize(QSize(16, 16))
        made.setSpacing(1)
        made.currentRowChanged.connect(self._pages.setCurrentIndex)
        return made

    def _retint(self) -> None:
        for row in range(self._list.count()):
            item = self._list.item(row)
            item.setIcon(theme.icon(item.data(Qt.ItemDataRole.UserRole), "muted"))

    def _add_page(self, title: str, icon: str, page: QWidget) -> None:
        self._titles.append(title)
        item = QListWidgetItem(tr(title))
        item.setData(Qt.ItemDataRole.UserRole, icon)
        item.setSizeHint(QSize(0, 32))
        self._list.addItem(item)
        area = QScrollArea()
        area.setObjectName(f"page_{title.lower()}")
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(page)
        self._pages.addWidget(area)

    def _lay_out(self) -> None:
        across = QHBoxLayout()
        across.setContentsMargins(0, 0, 0, 0)
        across.setSpacing(0)
        across.addWidget(self._list)
        across.addWidget(self._pages, 1)
        box = QDialogButtonBox()
        close = button(tr("Close"), "preferences_close")
        close.setDefault(True)
        box.addButton(close, QDialogButtonBox.ButtonRole.RejectRole)
        box.rejected.connect(self.reject)
        foot = QHBoxLayout()
        foot.setContentsMargins(16, 8, 16, 12)
        note = label(tr("Changes apply at once."), name="preferences_note")
        note.setProperty("role", "muted")
        foot.addWidget(note, 1)
        foot.addWidget(box)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(across, 1)
        column.addLayout(foot)

    def show_page(self, title: str) -> None:
        """Turn to the page of this title, in English."""
        if title in self._titles:
            self._list.setCurrentRow(self._titles.index(title))
