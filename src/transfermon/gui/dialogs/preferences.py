"""The settings: one page for each part of the app, and every change applies at once.

Rule: it shows settings and tells of changes through signals; what cannot be is said beside its field and changes
nothing. Nothing here knows the monitor.
"""

from __future__ import annotations

import dataclasses
import os
import re
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPlainTextEdit,
    QScrollArea,
    QSpinBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from transfermon.gui.dialogs.fetch_intervals import INTERVALS, interval_index
from transfermon.gui.dialogs.fields import button, editor, label, line
from transfermon.gui.toolkit import theme
from transfermon.http.addresses import check_url
from transfermon.model import units
from transfermon.model.configuration import BACKGROUND_FETCH_INTERVAL_NEVER
from transfermon.model.errors import TransferFailure
from transfermon.model.record import record
from transfermon.model.translate import marked, tr
from transfermon.model.wake_policy import FETCH_MODE, PUSH_MODE
from transfermon.storage.settings import NEVER, Settings

MB, GB = 1_000_000, 1_000_000_000
LABELS = 168  # pixels of the column of labels, the same on every page
THEMES = (("system", marked("As the system")), ("light", marked("Light")), ("dark", marked("Dark")))
CLOSING = (("ask", marked("Ask")), ("tray", marked("Keep transferring in the tray")), ("quit", marked("Quit")))
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
_TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")
_HOST = re.compile(r"(?:[A-Za-z0-9_](?:[-A-Za-z0-9_.]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")


@record
class Login:
    """Whether the desktop starts the app at login, and whether hidden in the tray."""

    starts: bool = False
    hidden: bool = False


@record
class Channel:
    """What is known of the push channel: its state in words, where to publish, and whether a token is kept."""

    words: str = ""
    addresses: tuple[str, ...] = ()
    has_token: bool = False


def folder_in(text: str) -> str:
    """An absolute folder that can be used, or "" for none. Raises ValueError with a sentence."""
    if not text.strip():
        return ""
    path = os.path.abspath(os.path.expanduser(text.strip()))
    existing = path
    while not os.path.exists(existing):
        existing = os.path.dirname(existing)
    if not os.path.isdir(existing):
        raise ValueError(tr("{existing} is a file, not a folder.").format(existing=units.clean(existing, 80)))
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(tr("Nothing can be stored in {existing}.").format(existing=units.clean(existing, 80)))
    return path


def address_in(text: str) -> str:
    """A usable address, or "" for none. Raises ValueError with a sentence."""
    if not text.strip():
        return ""
    try:
        return check_url(text)
    except TransferFailure as exc:
        raise ValueError(f"{exc.title} {exc.hint}".strip()) from exc


def server_in(text: str) -> str:
    """The address of a push server. Raises ValueError with a sentence."""
    if not text.strip():
        raise ValueError(tr("The push channel needs a server."))
    return address_in(text).rstrip("/")


def topics_in(text: str) -> tuple[str, ...]:
    """Topics separated by commas, spaces or lines. Raises ValueError with a sentence for one that cannot be."""
    topics = tuple(dict.fromkeys(re.split(r"[\s,]+", text.strip()))) if text.strip() else ()
    for topic in topics:
        if not _TOPIC.fullmatch(topic):
            raise ValueError(
                tr("“{topic}” is no topic: letters, digits, - and _, at most 64.").format(topic=units.clean(topic, 40))
            )
    return topics


def hosts_in(text: str) -> tuple[str, ...]:
    """Hosts with or without a port, one a line. Raises ValueError with a sentence for the first that cannot be."""
    hosts = tuple(dict.fromkeys(host.strip().lower() for host in text.splitlines() if host.strip()))
    for host in hosts:
        match = _HOST.fullmatch(host)
        if match is None or int(match.group(1) or 1) not in range(1, 65_536):
            raise ValueError(tr("“{host}” is no host; write a name, or name:port.").format(host=units.clean(host, 60)))
    return hosts


def ported_in(text: str) -> tuple[str, ...]:
    """Hosts that all have a port. Raises ValueError as `hosts_in`."""
    hosts = hosts_in(text)
    for host in hosts:
        if not re.search(r":[0-9]+$", host) or host.endswith("]"):
            raise ValueError(tr("“{host}” needs its port, as in {host}:443.").format(host=units.clean(host, 60)))
    return hosts


class Preferences(QDialog):
    """`changed` carries the new values by the names of `Settings`; the other signals what is kept elsewhere."""

    changed = Signal(dict)
    login_changed = Signal(object)  # a Login
    channel_switched = Signal(bool)
    token_given = Signal(str)  # "" forgets it

    def __init__(
        self,
        parent: QWidget | None = None,
        *,
        settings: Settings,
        login: Login,
        channel: Channel,
        state_dir: str = "",
        tray: bool = True,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Settings"))
        self.setObjectName("preferences")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(760, 520)
        self._settings, self._state_dir, self._tray = settings, state_dir, tray
        self._problems: dict[str, QLabel] = {}
        self._pages = QStackedWidget()
        self._list = self._make_list()
        for title, icon, make in self._titles():
            self._add_page(title, icon, make())
        self._list.setCurrentRow(0)
        self._retint()
        theme.themed.changed.connect(self._retint)
        self._lay_out()
        self._show_login(login)
        self.show_channel(settings.push_enabled, channel)

    def _titles(self) -> Sequence[tuple[str, str, Callable[[], QWidget]]]:
        return (
            (marked("General"), "sliders-horizontal", self._general),
            (marked("Transfers"), "download", self._transfers),
            (marked("Background"), "download-cloud", self._background),
            (marked("Push"), "bell", self._push),
            (marked("Notifications"), "inbox", self._notifications),
            (marked("Advanced"), "terminal", self._advanced),
        )

    # Building

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
        titles = [name for name, _, _ in self._titles()]
        if title in titles:
            self._list.setCurrentRow(titles.index(title))

    def _general(self) -> QWidget:
        page, form = _page("General")
        self._choice(form, "theme", tr("Theme"), THEMES)
        self._choice(form, "close_to", tr("Closing the window"), CLOSING)
        self._choice(form, "keep_after_quit", tr("Quitting with transfers"), QUITTING)
        self.login_box = _check("login", tr("Start at login"))
        self.hidden_box = _check("login_hidden", tr("Start hidden in the tray"))
        for box in (self.login_box, self.hidden_box):
            box.clicked.connect(self._login_clicked)
        form.addRow(_row(tr("At login")), self.login_box)
        form.addRow(_row(""), self.hidden_box)
        if not self._tray:
            form.addRow(_row(""), _note(tr("This desktop has no tray now: the app starts as a minimised window.")))
        return page

    def _transfers(self) -> QWidget:
        page, form = _page("Transfers")
        self._folder(form, "download_folder", tr("Download folder"), tr("The desktop's folder for downloads"))
        self._count(form, "running_tasks", tr("Transfers at a time"), 1, 64)
        self._count(form, "connections_per_host", tr("Connections to one host"), 1, 32)
        self._count(form, "attempts", tr("Attempts"), 0, 1000, none=tr("Until it works"))
        form.addRow(
            _row(""), _note(tr("Sessions with limits of their own keep them. A failed attempt keeps its bytes."))
        )
        self._amount(form, "speed_limit", tr("Speed limit"), MB, tr(" MB/s"), tr("No limit"))
        self._tick(form, "inhibit_sleep", tr("Keep the computer awake while transfers run"), head=tr("Sleep"))
        self._tick(form, "note_origin", tr("Note in a finished file where it came from"), head=tr("Files"))
        return page

    def _background(self) -> QWidget:
        page, form = _page("Background")
        self._modes(form)
        self.interval = _combo("fetch_interval", tr("Minimum interval of background fetches"))
        self.interval.addItems([tr(text) for text, _ in INTERVALS])
        interval = self._settings.fetch_interval
        self.interval.setCurrentIndex(interval_index(BACKGROUND_FETCH_INTERVAL_NEVER if interval < 0 else interval))
        self.interval.activated.connect(self._interval_chosen)
        form.addRow(_row(tr("Fetch"), self.interval), self.interval)
        self._text(
            form, "videofarm_url", tr("VideoFarm server"), address_in, tr("https://…   asked for new videos by a fetch")
        )
        self._tick(
            form,
            "wake_policy",
            tr("Hold fetches and pushes by hand to the limits, too"),
            head=tr("Policy"),
            values=("teach", "strict"),
        )
        form.addRow(_row(""), _note(tr("Else they always come, and the ledger says what a phone would have done.")))
        self._tick(form, "inhibit_sleep", tr("Keep the computer awake while transfers run"), head=tr("Sleep"))
        self._tick(
            form, "keep_transferring", tr("Go on without a window when the app dies"), head=tr("Without the app")
        )
        return page

    def _modes(self, form: QFormLayout) -> None:
        names = ((FETCH_MODE, tr("Background fetch")), (PUSH_MODE, tr("Remote notifications (silent push)")))
        self.mode_boxes = {mode: _check(f"mode_{mode}", text) for mode, text in names}
        for row, (mode, box) in enumerate(self.mode_boxes.items()):
            box.setChecked(mode in self._settings.background_modes)
            box.clicked.connect(self._modes_clicked)
            form.addRow(_row("" if row else tr("Background modes")), box)

    def _push(self) -> QWidget:
        page, form = _page("Push")
        self.channel_box = _check("push_enabled", tr("Receive pushes from an ntfy server"))
        self.channel_box.clicked.connect(lambda on: self.channel_switched.emit(on))
        form.addRow(_row(tr("Channel")), self.channel_box)
        self.channel_words = _note("")
        self.channel_words.setObjectName("channel_words")
        self.channel_words.setAccessibleName(tr("State of the push channel"))
        form.addRow(_row(""), self.channel_words)
        self._text(form, "push_server", tr("Server"), server_in, "https://ntfy.sh")
        topics = self._text(
            form, "push_topics", tr("Topics"), topics_in, tr("A random one is made when it is switched on")
        )
        form.addRow(_row(""), self._topic_buttons(topics))
        self.token = line("push_token", tr("Access token"))
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        self.token.editingFinished.connect(self._token_typed)
        form.addRow(_row(tr("Token"), self.token), self.token)
        self._lines(
            form, "push_hosts", tr("May download from"), hosts_in, tr("Others are asked about at their first push")
        )
        self._folder(form, "push_folder", tr("Into the folder"), tr("The download folder"))
        self._amount(form, "push_maximum_bytes", tr("Longest file"), GB, tr(" GB"), tr("Any length"))
        self._lines(
            form,
            "allowed_hosts",
            tr("Private hosts"),
            ported_in,
            tr("host:port, one a line, that pushes may reach although private"),
        )
        return page

    def _topic_buttons(self, topics: QLineEdit) -> QWidget:
        fresh = button(tr("New random topic"), "push_new_topic")
        copy = button(tr("Copy address"), "push_copy_address")
        self.copy_address = copy
        fresh.setAutoDefault(False)
        copy.setAutoDefault(False)

        def renew() -> None:
            topics.setText(secrets.token_hex(16))
            topics.editingFinished.emit()

        fresh.clicked.connect(renew)
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText("\n".join(self._channel.addresses)))
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(fresh)
        row.addWidget(copy)
        row.addStretch(1)
        return holder

    def _notifications(self) -> QWidget:
        page, form = _page("Notifications")
        self._choice(form, "notify", tr("Tell of"), TELLING)
        self._tick(form, "notify_background_start", tr("Downloads that a push or fetch begins"), head="")
        self._tick(form, "notify_names", tr("Names of files, which a locked screen shows as well"), head="")
        form.addRow(
            _row(""), _note(tr("Quiet while the window has the focus. All that was ever told is in All events."))
        )
        return page

    def _advanced(self) -> QWidget:
        page, form = _page("Advanced")
        folder = line("state_dir", tr("State folder"))
        folder.setText(self._state_dir)
        folder.setReadOnly(True)
        folder.setCursorPosition(0)
        form.addRow(_row(tr("State folder"), folder), folder)
        form.addRow(_row(""), _note(tr("The list of transfers, the journal and the secrets, readable for you alone.")))
        simulation = tr("A bad network can be had to order: menu Background, Network simulation. It ends with the app.")
        form.addRow(_row(tr("Network")), _note(simulation))
        return page

    # One kind of field each

    def _choice(self, form: QFormLayout, name: str, title: str, choices: Sequence[tuple[str, str]]) -> None:
        box = _combo(name, title)
        for value, text in choices:
            box.addItem(tr(text), value)
        box.setCurrentIndex(max(0, box.findData(getattr(self._settings, name))))
        box.activated.connect(lambda _row: self._tell(name, box.currentData()))
        form.addRow(_row(title, box), box)

    def _tick(
        self, form: QFormLayout, name: str, text: str, *, head: str, values: tuple[Any, Any] = (False, True)
    ) -> None:
        box = _check(name, text)
        box.setChecked(getattr(self._settings, name) == values[1])
        box.clicked.connect(lambda on: self._tell(name, values[on]))
        form.addRow(_row(head), box)

    def _count(self, form: QFormLayout, name: str, title: str, least: int, most: int, *, none: str = "") -> None:
        box = QSpinBox()
        box.setObjectName(name)
        box.setAccessibleName(title)
        box.setRange(least, most)
        if none:
            box.setSpecialValueText(none)
        box.setValue(getattr(self._settings, name))
        _plain(box)
        box.valueChanged.connect(lambda value: self._tell(name, value))
        form.addRow(_row(title, box), _left(box))

    def _amount(self, form: QFormLayout, name: str, title: str, unit: int, suffix: str, none: str) -> None:
        box = QDoubleSpinBox()
        box.setObjectName(name)
        box.setAccessibleName(title)
        box.setRange(0, 100_000)
        box.setDecimals(1)
        box.setSuffix(suffix)
        box.setSpecialValueText(none)
        box.setValue(getattr(self._settings, name) / unit)
        _plain(box)
        box.valueChanged.connect(lambda value: self._tell(name, round(value * unit)))
        form.addRow(_row(title, box), _left(box))

    def _text(
        self, form: QFormLayout, name: str, title: str, read: Callable[[str], Any], placeholder: str
    ) -> QLineEdit:
        field = line(name, title)
        value = getattr(self._settings, name)
        field.setText(value if isinstance(value, str) else ", ".join(value))
        field.setPlaceholderText(placeholder)
        field.editingFinished.connect(lambda: self._take(name, field.text(), read))
        form.addRow(_row(title, field), field)
        self._add_problem(form, name)
        return field

    def _folder(self, form: QFormLayout, name: str, title: str, placeholder: str) -> None:
        field = line(name, title)
        field.setText(getattr(self._settings, name))
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
        form.addRow(_row(title, field), holder)
        self._add_problem(form, name)

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

    def _lines(self, form: QFormLayout, name: str, title: str, read: Callable[[str], Any], placeholder: str) -> None:
        field = _Lines(editor(name, title, height=58))
        field.edit.setPlainText("\n".join(getattr(self._settings, name)))
        field.edit.setPlaceholderText(placeholder)
        field.left.connect(lambda: self._take(name, field.edit.toPlainText(), read))
        form.addRow(_row(title, field.edit), field)
        self._add_problem(form, name)

    def _add_problem(self, form: QFormLayout, name: str) -> None:
        made = label("", name=f"{name}_problem")
        made.setProperty("role", "bad")
        made.setWordWrap(True)
        form.addRow(_row(""), made)
        form.setRowVisible(made, False)
        self._problems[name] = made

    # Telling

    def _take(self, name: str, text: str, read: Callable[[str], Any]) -> None:
        try:
            value, sentence = read(text), ""
        except ValueError as exc:
            value, sentence = None, str(exc)
        problem = self._problems[name]
        problem.setText(sentence)
        page = problem.parentWidget()
        form = page.layout() if page is not None else None
        assert isinstance(form, QFormLayout)
        form.setRowVisible(problem, bool(sentence))
        if not sentence:
            self._tell(name, value)

    def _tell(self, name: str, value: Any) -> None:
        if getattr(self._settings, name) != value:
            self._settings = dataclasses.replace(self._settings, **{name: value})
            self.changed.emit({name: value})

    def _modes_clicked(self) -> None:
        self._tell("background_modes", tuple(mode for mode, box in self.mode_boxes.items() if box.isChecked()))

    def _interval_chosen(self, row: int) -> None:
        seconds = INTERVALS[row][1]
        self._tell("fetch_interval", NEVER if seconds == BACKGROUND_FETCH_INTERVAL_NEVER else seconds)

    def _login_clicked(self) -> None:
        login = Login(starts=self.login_box.isChecked(), hidden=self.hidden_box.isChecked())
        self.hidden_box.setEnabled(login.starts)
        self.login_changed.emit(login)

    def _show_login(self, login: Login) -> None:
        self.login_box.setChecked(login.starts)
        self.hidden_box.setChecked(login.hidden)
        self.hidden_box.setEnabled(login.starts)

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
        self.channel_words.setText("\n".join([channel.words, *(channel.addresses if on else ())]).strip())
        self.token.setPlaceholderText(
            tr("One is kept; type another to replace it") if channel.has_token else tr("None")
        )
        self.copy_address.setEnabled(bool(channel.addresses))
        field = self.findChild(QLineEdit, "push_topics")
        if topics is not None and field is not None and not field.hasFocus():
            self._settings = dataclasses.replace(self._settings, push_topics=tuple(topics))
            field.setText(", ".join(topics))


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


def _page(title: str) -> tuple[QWidget, QFormLayout]:
    page = QWidget()
    page.setAccessibleName(tr(title))
    form = QFormLayout(page)
    form.setContentsMargins(20, 18, 20, 18)
    form.setHorizontalSpacing(12)
    form.setVerticalSpacing(10)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    return page, form


def _row(text: str, buddy: QWidget | None = None) -> QLabel:
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


def _note(text: str) -> QLabel:
    made = label(text)
    made.setProperty("role", "muted")
    made.setWordWrap(True)
    made.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return made


def _check(name: str, text: str) -> QCheckBox:
    made = QCheckBox(text)
    made.setObjectName(name)
    return made


def _combo(name: str, accessible: str) -> QComboBox:
    made = QComboBox()
    made.setObjectName(name)
    made.setAccessibleName(accessible)
    return made
