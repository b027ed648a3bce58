"""The question for a user name and password, when a server or proxy has asked for them.

Rule: one question for each that asks, however many transfers wait for its answer, and none while
nobody can see the window. What was typed is in memory and in the engine's vault; a cancelled
question leaves the failure as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QLineEdit, QWidget

from transfermon.gui.dialogs.fields import button, form_layout, label
from transfermon.gui.window.context import WindowContext
from transfermon.http.challenges import Challenge, basic_login
from transfermon.model import units
from transfermon.model.errors import InvalidAction, TransfermonError
from transfermon.model.events import Event, TaskCompletedEvent, TaskRemovedEvent
from transfermon.model.record import record
from transfermon.model.task import TaskKey
from transfermon.model.translate import tr

if TYPE_CHECKING:  # the monitor brings the engine, which loads after the window shows
    from transfermon.engine.monitor import Monitor


@record
class Login:
    """What a person has typed."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"<Login {self.user}>"


@record
class _Cancelled:
    """What was on its way when a question was cancelled, and does not ask it again."""

    sequence: int  # what was decided until then, told or not
    keys: set[TaskKey]  # what had not ended; each leaves when it does

    def covers(self, key: TaskKey, sequence: int) -> bool:
        on_its_way = key in self.keys
        self.keys.discard(key)
        return on_its_way or sequence <= self.sequence


def question(challenge: Challenge, *, refused: bool) -> str:
    """What the dialog says."""
    who = (
        tr("The proxy {authority}").format(authority=challenge.authority)
        if challenge.of_proxy
        else challenge.authority
    )
    parts = [
        tr("The last ones were not accepted.") if refused else "",
        tr("{who} asks for a user name and password.").format(who=who),
    ]
    if realm := units.clean(challenge.realm, 80).strip():
        parts.append(tr("It calls itself “{realm}”.").format(realm=realm))
    if not challenge.protected:
        parts.append(
            tr("The connection is not encrypted: others on the way can read the password.")
        )
    return " ".join(part for part in parts if part)


class CredentialsDialog(QDialog):
    """Stays until it is answered with what can be sent, or cancelled; `login` is the answer."""

    def __init__(
        self, parent: QWidget | None, challenge: Challenge, *, user: str = "", refused: bool = False
    ) -> None:
        super().__init__(parent)
        self.login: Login | None = None
        self.setWindowTitle(tr("Sign in"))
        self.setObjectName("credentials")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(480)
        self.text = label(question(challenge, refused=refused), name="credentials_question")
        self.text.setWordWrap(True)
        self.user = QLineEdit(user)
        self.user.setAccessibleName(tr("User name"))
        self.password = QLineEdit()
        self.password.setAccessibleName(tr("Password"))
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        self.others = QCheckBox(tr("Use it for other transfers from there, until the app ends"))
        self.others.setChecked(True)
        self.problem = label("", name="credentials_problem")
        self.problem.setProperty("role", "bad")
        self.problem.setWordWrap(True)
        self.problem.hide()
        self._lay_out()

    def _lay_out(self) -> None:
        form = form_layout(self)
        form.addRow(self.text)
        form.addRow(tr("User name"), self.user)
        form.addRow(tr("Password"), self.password)
        form.addRow("", self.others)
        form.addRow(self.problem)
        buttons = QDialogButtonBox()
        self.cancel = button(tr("Cancel"), "credentials_cancel")
        self.sign_in = button(tr("Sign in"), "credentials_sign_in")
        self.sign_in.setProperty("primary", True)
        self.sign_in.setDefault(True)
        buttons.addButton(self.cancel, QDialogButtonBox.ButtonRole.RejectRole)
        buttons.addButton(self.sign_in, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        form.addRow(buttons)
        (self.password if self.user.text() else self.user).setFocus()

    def accept(self) -> None:
        login = Login(user=self.user.text(), password=self.password.text())
        try:
            basic_login(login.user, login.password)
        except ValueError as exc:
            self.problem.setText(str(exc))
            self.problem.show()
            return
        self.login = login
        super().accept()


class Credentials(QObject):
    """Asks for the failed transfers of one window, one question after the other."""

    def __init__(self, context: WindowContext) -> None:
        super().__init__(context.window)
        self._context = context
        self._monitor: Monitor | None = None
        self._waiting: dict[Challenge, list[TaskKey]] = {}
        self._asking: Challenge | None = None
        self._known: dict[Challenge, Login] = {}  # for other transfers
        self._given: dict[TaskKey, Login] = {}  # what a transfer has been tried with
        self._cancelled: dict[Challenge, _Cancelled] = {}

    def __repr__(self) -> str:
        return f"<Credentials asking={self._asking} waiting={len(self._waiting)}>"

    def attach(self, monitor: Monitor) -> None:
        """Ask for what fails from now on, and for what failed while there was no window."""
        self._monitor = monitor
        for key in monitor.presence.ended_away:
            self._ended(key, monitor, failed=True, sequence=monitor.sequence)

    def detach(self) -> None:
        """Ask for nothing more; an open question does nothing any more."""
        self._monitor = None
        self._waiting.clear()

    def apply(self, event: Event) -> None:
        """Hear one event of the bridge."""
        key = event.task_key
        if key is None or self._monitor is None:
            return
        if isinstance(event, TaskRemovedEvent):
            self._given.pop(key, None)
        elif isinstance(event, TaskCompletedEvent):
            self._ended(key, self._monitor, failed=not event.success, sequence=event.sequence)

    def _ended(self, key: TaskKey, monitor: Monitor, *, failed: bool, sequence: int) -> None:
        try:
            challenge = monitor.logins.challenge(key) if failed else None
        except KeyError:  # it has left the list
            challenge = None
        if challenge is None:
            self._given.pop(key, None)
        elif (cancelled := self._cancelled.get(challenge)) is None or not cancelled.covers(
            key, sequence
        ):
            self._take(key, challenge)

    def _take(self, key: TaskKey, challenge: Challenge) -> None:
        known = self._known.get(challenge)
        if known is not None and self._given.get(key) != known:
            self._give([key], known)
            return
        self._known.pop(challenge, None)
        self._waiting.setdefault(challenge, []).append(key)
        self.look()

    def look(self) -> None:
        """Ask the next question, if one waits and somebody can see it."""
        if self._asking is not None or not self._waiting or not self._context.watched:
            return
        challenge = self._asking = next(iter(self._waiting))
        tried = [self._given[key] for key in self._waiting[challenge] if key in self._given]
        user = tried[-1].user if tried else ""
        dialog = CredentialsDialog(self._context.window, challenge, user=user, refused=bool(tried))
        dialog.finished.connect(
            lambda _: self._answered(challenge, dialog.login, others=dialog.others.isChecked())
        )
        self._context.show_dialog("credentials", dialog)

    def _answered(self, challenge: Challenge, login: Login | None, *, others: bool) -> None:
        self._asking = None
        keys = self._waiting.pop(challenge, [])
        if self._monitor is None:
            return
        if login is None:
            on_their_way = {task.key for task in self._monitor.tasks() if task.outstanding}
            self._cancelled[challenge] = _Cancelled(
                sequence=self._monitor.sequence, keys=on_their_way
            )
        else:
            if others:
                self._known[challenge] = login
            self._give(keys, login)
        self.look()

    def _give(self, keys: list[TaskKey], login: Login) -> None:
        assert self._monitor is not None
        for key in keys:
            try:
                self._monitor.logins.give(key, login.user, login.password)
            except (KeyError, InvalidAction, TransfermonError):  # it went its own way meanwhile
                self._given.pop(key, None)
            else:
                self._given[key] = login
