"""The pages of the settings, one class for each part of the app.

Rule: a page shows settings and tells of changes through signals; nothing here knows the monitor.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QWidget

from transfermon.gui.dialogs.fetch_intervals import INTERVALS, interval_index
from transfermon.gui.dialogs.fields import button, line
from transfermon.gui.dialogs.preference_fields import (
    Draft,
    SettingsPage,
    check_box,
    combo_box,
    note,
    setting_label,
)
from transfermon.gui.dialogs.setting_texts import (
    address_in,
    hosts_in,
    ported_in,
    server_in,
    topics_in,
)
from transfermon.model.configuration import BACKGROUND_FETCH_INTERVAL_NEVER
from transfermon.model.option_table import MOST_CONNECTIONS
from transfermon.model.record import record
from transfermon.model.translate import marked, tr
from transfermon.model.wake_policy import FETCH_MODE, PUSH_MODE
from transfermon.storage.settings import NEVER

MB, GB = 1_000_000, 1_000_000_000
THEMES = (("system", marked("As the system")), ("light", marked("Light")), ("dark", marked("Dark")))
CLOSING = (
    ("ask", marked("Ask")),
    ("tray", marked("Keep transferring in the tray")),
    ("quit", marked("Quit")),
)
QUITTING = (
    ("ask", marked("Ask")),
    ("yes", marked("Go on without a window")),
    ("no", marked("Stop, and go on at the next start")),
)
TELLING = (
    ("batch", marked("What ended within a few seconds, together")),
    ("session", marked("A session, when its last transfer has ended")),
    ("task", marked("Every transfer")),
    ("off", marked("Nothing")),
)


@record
class StartAtLogin:
    """Whether the desktop starts the app at login, and whether hidden in the tray."""

    starts: bool = False
    hidden: bool = False


@record
class Channel:
    """What is known of the push channel: its state in words, where to publish, and whether a token
    is kept.
    """

    words: str = ""
    addresses: tuple[str, ...] = ()
    has_token: bool = False


class GeneralPage(SettingsPage):
    """`login_changed` carries a Login."""

    login_changed = Signal(object)

    def __init__(self, draft: Draft, login: StartAtLogin, *, tray: bool) -> None:
        super().__init__("General", draft)
        self.add_choice("theme", tr("Theme"), THEMES)
        self.add_choice("close_to", tr("Closing the window"), CLOSING)
        self.add_choice("keep_after_quit", tr("Quitting with transfers"), QUITTING)
        self.login_box = check_box("login", tr("Start at login"))
        self.hidden_box = check_box("login_hidden", tr("Start hidden in the tray"))
        for box in (self.login_box, self.hidden_box):
            box.clicked.connect(self._login_clicked)
        self.form.addRow(setting_label(tr("At login")), self.login_box)
        self.form.addRow(setting_label(""), self.hidden_box)
        if not tray:
            self.form.addRow(
                setting_label(""),
                note(tr("This desktop has no tray now: the app starts as a minimised window.")),
            )
        self.login_box.setChecked(login.starts)
        self.hidden_box.setChecked(login.hidden)
        self.hidden_box.setEnabled(login.starts)

    def _login_clicked(self) -> None:
        login = StartAtLogin(starts=self.login_box.isChecked(), hidden=self.hidden_box.isChecked())
        self.hidden_box.setEnabled(login.starts)
        self.login_changed.emit(login)


class TransfersPage(SettingsPage):
    def __init__(self, draft: Draft) -> None:
        super().__init__("Transfers", draft)
        self.add_folder(
            "download_folder", tr("Download folder"), tr("The desktop's folder for downloads")
        )
        self.add_count("running_tasks", tr("Transfers at a time"), 1, 64)
        self.add_count(
            "connections_per_host", tr("Connections to one host"), 0, 32, none=tr("Automatic")
        )
        self.add_count(
            "connections",
            tr("Connections for one file"),
            0,
            MOST_CONNECTIONS,
            none=tr("Automatic"),
        )
        self.add_count("attempts", tr("Attempts"), 0, 1000, none=tr("Until it works"))
        self.form.addRow(
            setting_label(""),
            note(
                tr(
                    "Automatic: six to one host, up to sixteen for many small files while it answers "
                    "quickly, fewer when it says that it is too much. "
                    "Sessions with limits of their own keep them. A failed attempt keeps its bytes."
                )
            ),
        )
        self.add_amount("speed_limit", tr("Speed limit"), MB, tr(" MB/s"), tr("No limit"))
        self.add_tick(
            "inhibit_sleep", tr("Keep the computer awake while transfers run"), head=tr("Sleep")
        )
        self.add_tick(
            "note_origin", tr("Note in a finished file where it came from"), head=tr("Files")
        )


class BackgroundPage(SettingsPage):
    def __init__(self, draft: Draft) -> None:
        super().__init__("Background", draft)
        self._add_modes()
        self.interval = combo_box("fetch_interval", tr("Minimum interval of background fetches"))
        self.interval.addItems([tr(text) for text, _ in INTERVALS])
        interval = self.draft.settings.fetch_interval
        self.interval.setCurrentIndex(
            interval_index(BACKGROUND_FETCH_INTERVAL_NEVER if interval < 0 else interval)
        )
        self.interval.activated.connect(self._interval_chosen)
        self.form.addRow(setting_label(tr("Fetch"), self.interval), self.interval)
        self.add_text(
            "videofarm_url",
            tr("VideoFarm server"),
            address_in,
            tr("https://…   asked for new videos by a fetch"),
        )
        self.add_tick(
            "wake_policy",
            tr("Hold fetches and pushes by hand to the limits, too"),
            head=tr("Policy"),
            values=("teach", "strict"),
        )
        self.form.addRow(
            setting_label(""),
            note(tr("Else they always come, and the ledger says what a phone would have done.")),
        )
        self.add_tick(
            "inhibit_sleep", tr("Keep the computer awake while transfers run"), head=tr("Sleep")
        )
        self.add_tick(
            "keep_transferring",
            tr("Go on without a window when the app dies"),
            head=tr("Without the app"),
        )

    def _add_modes(self) -> None:
        names = (
            (FETCH_MODE, tr("Background fetch")),
            (PUSH_MODE, tr("Remote notifications (silent push)")),
        )
        self.mode_boxes = {mode: check_box(f"mode_{mode}", text) for mode, text in names}
        for row, (mode, box) in enumerate(self.mode_boxes.items()):
            box.setChecked(mode in self.draft.settings.background_modes)
            box.clicked.connect(self._modes_clicked)
            self.form.addRow(setting_label("" if row else tr("Background modes")), box)

    def _modes_clicked(self) -> None:
        self.draft.change(
            "background_modes",
            tuple(mode for mode, box in self.mode_boxes.items() if box.isChecked()),
        )

    def _interval_chosen(self, row: int) -> None:
        seconds = INTERVALS[row][1]
        self.draft.change(
            "fetch_interval", NEVER if seconds == BACKGROUND_FETCH_INTERVAL_NEVER else seconds
        )


class PushPage(SettingsPage):
    """The channel is not a setting only: signals tell of what is kept elsewhere."""

    channel_switched = Signal(bool)
    token_given = Signal(str)  # "" forgets it

    def __init__(self, draft: Draft, channel: Channel) -> None:
        super().__init__("Push", draft)
        self.channel_box = check_box("push_enabled", tr("Receive pushes from an ntfy server"))
        self.channel_box.clicked.connect(lambda on: self.channel_switched.emit(on))
        self.form.addRow(setting_label(tr("Channel")), self.channel_box)
        self.channel_words = note("")
        self.channel_words.setObjectName("channel_words")
        self.channel_words.setAccessibleName(tr("State of the push channel"))
        self.form.addRow(setting_label(""), self.channel_words)
        self.add_text("push_server", tr("Server"), server_in, "https://ntfy.sh")
        self.topics = self.add_text(
            "push_topics",
            tr("Topics"),
            topics_in,
            tr("A random one is made when it is switched on"),
        )
        self.form.addRow(setting_label(""), self._topic_buttons())
        self.token = line("push_token", tr("Access token"))
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        self.token.editingFinished.connect(self._token_typed)
        self.form.addRow(setting_label(tr("Token"), self.token), self.token)
        self.add_lines(
            "push_hosts",
            tr("May download from"),
            hosts_in,
            tr("Others are asked about at their first push"),
        )
        self.add_folder("push_folder", tr("Into the folder"), tr("The download folder"))
        self.add_amount("push_maximum_bytes", tr("Longest file"), GB, tr(" GB"), tr("Any length"))
        self.add_lines(
            "allowed_hosts",
            tr("Private hosts"),
            ported_in,
            tr("host:port, one a line, that pushes may reach although private"),
        )
        self.show_channel(draft.settings.push_enabled, channel)

    def _topic_buttons(self) -> QWidget:
        fresh = button(tr("New random topic"), "push_new_topic")
        copy = button(tr("Copy address"), "push_copy_address")
        self.copy_address = copy
        fresh.setAutoDefault(False)
        copy.setAutoDefault(False)

        def renew() -> None:
            self.topics.setText(secrets.token_hex(16))
            self.topics.editingFinished.emit()

        fresh.clicked.connect(renew)
        copy.clicked.connect(
            lambda: QGuiApplication.clipboard().setText("\n".join(self._channel.addresses))
        )
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(fresh)
        row.addWidget(copy)
        row.addStretch(1)
        return holder

    def _token_typed(self) -> None:
        text = self.token.text().strip()
        if text or (self._channel.has_token and self.token.isModified()):
            self.token.clear()
            self.token.setModified(False)
            self.token_given.emit(text)

    def show_channel(self, on: bool, channel: Channel, topics: Sequence[str] | None = None) -> None:
        """The channel's state has changed; `topics` are those of the settings now."""
        self._channel = channel
        self.channel_box.setChecked(on)
        self.channel_words.setText(
            "\n".join([channel.words, *(channel.addresses if on else ())]).strip()
        )
        self.token.setPlaceholderText(
            tr("One is kept; type another to replace it") if channel.has_token else tr("None")
        )
        self.copy_address.setEnabled(bool(channel.addresses))
        if topics is not None and not self.topics.hasFocus():
            self.draft.replace("push_topics", tuple(topics))
            self.topics.setText(", ".join(topics))


class NotificationsPage(SettingsPage):
    def __init__(self, draft: Draft) -> None:
        super().__init__("Notifications", draft)
        self.add_choice("notify", tr("Tell of"), TELLING)
        self.add_tick(
            "notify_background_start", tr("Downloads that a push or fetch begins"), head=""
        )
        self.add_tick(
            "notify_names", tr("Names of files, which a locked screen shows as well"), head=""
        )
        self.form.addRow(
            setting_label(""),
            note(
                tr("Quiet while the window has the focus. All that was ever told is in All events.")
            ),
        )


class AdvancedPage(SettingsPage):
    def __init__(self, draft: Draft, state_dir: str) -> None:
        super().__init__("Advanced", draft)
        folder = line("state_dir", tr("State folder"))
        folder.setText(state_dir)
        folder.setReadOnly(True)
        folder.setCursorPosition(0)
        self.form.addRow(setting_label(tr("State folder"), folder), folder)
        self.form.addRow(
            setting_label(""),
            note(tr("The list of transfers, the journal and the secrets, readable for you alone.")),
        )
        simulation = tr(
            "A bad network can be had to order: menu Background, Network simulation. It ends with the app."
        )
        self.form.addRow(setting_label(tr("Network")), note(simulation))
