"""The dialog for new transfers: addresses, where they go, and what belongs to their requests.

Rule: it asks and tells what was asked for; nothing is fetched here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from transfermon.engine.new_task import NewTask
from transfermon.gui.dialogs.fields import (
    button,
    editor,
    form_layout,
    headers_row,
    label,
    line,
    row_label,
)
from transfermon.gui.dialogs.request_rows import RequestRows
from transfermon.gui.dialogs.typed_text import digest_in, headers_in, links_in, sorted_out
from transfermon.gui.toolkit import theme
from transfermon.http.filenames import safe
from transfermon.model import units
from transfermon.model.record import record
from transfermon.model.request_options import headers_with_type
from transfermon.model.task import Kind, Origin
from transfermon.model.translate import tr

LARGEST_BODY = 64 * 1024  # bytes; what is more belongs into a file, and that into an upload
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")


DOWNLOAD = NewTask(kind=Kind.DOWNLOAD, url="", origin=Origin.TYPED, user_initiated=True)


@record
class AddRequest:
    """What the person asked for in the Add dialog: the same for each address."""

    urls: tuple[str, ...]
    new: NewTask = DOWNLOAD  # but for the address
    session: str = ""
    cookie_file: str = ""  # absolute; its cookies go along


class AddDialog(QDialog):
    """Asks for addresses. `requested` carries an AddRequest with the good ones; while bad ones are
    left, the dialog stays open with only those in the box.
    """

    requested = Signal(object)

    def __init__(
        self,
        parent: QWidget | None = None,
        *,
        text: str = "",
        sessions: Sequence[str] = (),
        session: str = "",
        folder: str = "",
        given: bool = False,
    ) -> None:
        super().__init__(parent)
        self._given = given
        self.setWindowTitle(tr("Add transfers"))
        self.setObjectName("add_dialog")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(620)
        self._build(sessions, session, folder)
        self.urls.setPlainText(text)
        self._change_method(self.method.currentText())

    def _build(self, sessions: Sequence[str], session: str, folder: str) -> None:
        layout = QVBoxLayout(self)
        layout.setSpacing(10)
        self.urls = editor("add_urls", tr("Addresses, one a line"), height=120)
        self.urls.setPlaceholderText(tr("https://…   one address a line, or any text with links"))
        self.urls.textChanged.connect(self._check)
        layout.addWidget(
            label(tr("Addresses from another program") if self._given else tr("Addresses"))
        )
        layout.addWidget(self.urls)
        self.problems = label("", name="add_problems")
        self.problems.setProperty("role", "bad")
        self.problems.setWordWrap(True)
        layout.addWidget(self.problems)
        layout.addLayout(self._places(sessions, session, folder))
        self.more_button = QToolButton()
        self.more_button.setObjectName("add_more")
        self.more_button.setText(tr("More"))
        self.more_button.setCheckable(True)
        self.more_button.setProperty("role", "disclosure")
        self.more_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        layout.addWidget(self.more_button, alignment=Qt.AlignmentFlag.AlignLeft)
        self.more = self._more()
        self.more_button.toggled.connect(self._disclose)
        self._disclose(False)
        layout.addWidget(self.more)
        layout.addStretch(1)
        layout.addWidget(self._buttons())

    def _places(self, sessions: Sequence[str], session: str, folder: str) -> QFormLayout:
        form = form_layout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.folder = line("add_folder", tr("Folder"))
        self.folder.setText(folder)
        self.folder.setPlaceholderText(tr("The session's download folder"))
        choose = self.choose_folder = QPushButton(tr("Choose…"))
        choose.setObjectName("add_choose_folder")
        choose.setAutoDefault(False)
        choose.clicked.connect(self._choose_folder)
        row = QHBoxLayout()
        row.addWidget(self.folder, 1)
        row.addWidget(choose)
        form.addRow(row_label(tr("Folder")), row)
        self.name = line("add_name", tr("Name of the file"))
        self.name.setPlaceholderText(tr("The server's name; another for a single address"))
        self.name.textChanged.connect(self._check)
        form.addRow(row_label(tr("Name"), self.name), self.name)
        self.session = QComboBox()
        self.session.setObjectName("add_session")
        self.session.setAccessibleName(tr("Session"))
        self.session.setEditable(True)
        self.session.addItems(list(sessions))
        self.session.setCurrentText(session)
        form.addRow(row_label(tr("Session"), self.session), self.session)
        return form

    def _more(self) -> QWidget:
        box = QWidget()
        form = form_layout(box)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.method = QComboBox()
        self.method.setObjectName("add_method")
        self.method.setAccessibleName(tr("Method"))
        self.method.addItems(list(METHODS))
        self.method.currentTextChanged.connect(self._change_method)
        self.method_note = label("", name="add_method_note")
        self.method_note.setProperty("role", "muted")
        row = QHBoxLayout()
        row.addWidget(self.method)
        row.addWidget(self.method_note, 1)
        form.addRow(row_label(tr("Method"), self.method), row)
        self.body = editor("add_body", tr("Body of the request"), height=64)
        self.body.textChanged.connect(self._check)
        self.body.setPlaceholderText(tr("Text; JSON is sent as application/json"))
        form.addRow(row_label(tr("Body"), self.body), self.body)
        self.headers = headers_row(form, "add_headers", self._check)
        self.digest = line("add_digest", tr("SHA-256 checksum"))
        self.digest.setPlaceholderText(tr("64 hexadecimal digits; for a single address"))
        self.digest.textChanged.connect(self._check)
        form.addRow(row_label(tr("SHA-256"), self.digest), self.digest)
        self.limit = QDoubleSpinBox()
        self.limit.setObjectName("add_speed_limit")
        self.limit.setAccessibleName(tr("Speed limit"))
        self.limit.setRange(0, 100_000)
        self.limit.setDecimals(1)
        self.limit.setSuffix(tr(" MB/s"))
        self.limit.setSpecialValueText(tr("No limit"))
        # a style sheet's padding does not reach it
        self.limit.lineEdit().setTextMargins(5, 0, 5, 0)
        form.addRow(row_label(tr("Speed limit"), self.limit), self.limit)
        self.request = RequestRows(self, form, row_label, self._check)
        self._more_form = form
        return box

    def _change_method(self, method: str) -> None:
        """A download has a file and what belongs to it; another request has a body."""
        download, with_body = method == "GET", method not in ("GET", "HEAD")
        self.method_note.setText(
            tr("A download: the answer becomes a file.")
            if download
            else tr("The answer is shown, not saved as a file.")
        )
        for widget, used in (
            (self.body, with_body),
            (self.digest, download),
            (self.limit, download),
        ):
            self._more_form.setRowVisible(widget, used)
        self.request.show_body(with_body)
        for place in (self.folder, self.choose_folder, self.name):
            place.setEnabled(download)
        self._check()
        self._fit()

    def _disclose(self, on: bool) -> None:
        self.more_button.setIcon(theme.icon("chevron-down" if on else "chevron-right", "muted"))
        self.more_button.setText(tr("Less") if on else tr("More"))
        self.more.setVisible(on)
        self._fit()

    def _fit(self) -> None:
        """As high as what is shown now."""
        outer = self.layout()
        if self.isVisible() and outer is not None:
            for layout in (self._more_form, outer):  # the inner one first
                layout.invalidate()
                layout.activate()
            self.resize(self.width(), self.sizeHint().height())

    def _buttons(self) -> QDialogButtonBox:
        box = QDialogButtonBox()
        box.addButton(button(tr("Cancel"), "add_cancel"), QDialogButtonBox.ButtonRole.RejectRole)
        self.paused_button = button(tr("Add paused"), "add_paused")
        self.start_button = button(tr("Start now"), "add_start")
        self.start_button.setDefault(True)
        self.start_button.setProperty("primary", True)
        box.addButton(self.paused_button, QDialogButtonBox.ButtonRole.ActionRole)
        box.addButton(self.start_button, QDialogButtonBox.ButtonRole.ActionRole)
        self.start_button.clicked.connect(lambda: self._send(start=True))
        self.paused_button.clicked.connect(lambda: self._send(start=False))
        box.rejected.connect(self.reject)
        return box

    def _choose_folder(self) -> None:
        chooser = QFileDialog(
            self, tr("Folder for the downloads"), self.folder.text() or os.path.expanduser("~")
        )
        chooser.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        chooser.setFileMode(QFileDialog.FileMode.Directory)
        chooser.setOption(QFileDialog.Option.ShowDirsOnly)
        chooser.fileSelected.connect(self.folder.setText)
        chooser.open()

    def _check(self) -> None:
        found = sorted_out(self.urls.toPlainText())
        lines = [f"{units.clean(address)[:80]}: {sentence}" for address, sentence in found.bad[:5]]
        if len(found.bad) > 5:
            lines.append(tr("… and {count} more.").format(count=len(found.bad) - 5))
        if mistake := self._mistake(len(found.good)):
            lines.append(mistake)
        self.problems.setText("\n".join(lines))
        self.problems.setVisible(bool(lines))
        usable = bool(found.good) and not mistake
        self.start_button.setEnabled(usable)
        self.paused_button.setEnabled(usable)
        count = len(found.good)
        self.start_button.setText(tr("Start %n now", "Start now", max(1, count)))

    def _mistake(self, addresses: int) -> str:
        try:
            headers_in(self.headers.toPlainText())
            digest = digest_in(self.digest.text())
            options = self.request.options()
        except ValueError as exc:
            return str(exc)
        if self.method.currentText() != "GET":
            too_long = len(self._body_text().encode()) > LARGEST_BODY
            return (
                tr("That is too much for a body: put it into a file and upload that.")
                if too_long
                else ""
            )
        if digest and addresses > 1:
            return tr("A checksum fits one address only.")
        if options.mirrors and addresses > 1:
            return tr("Mirrors fit one address only.")
        if options.lack_proof(digest):
            return tr("Mirrors need a SHA-256 checksum, or your word that they have the same file.")
        name = self.name.text().strip()
        if name and addresses > 1:
            return tr("A name fits one address only.")
        if name != (usable := safe(name) if name else ""):
            return tr("No file can have that name everywhere; “{name}” would do.").format(
                name=usable
            )
        return ""

    def _body_text(self) -> str:
        return self.body.toPlainText() if self.method.currentText() not in ("GET", "HEAD") else ""

    def _send(self, *, start: bool) -> None:
        found = sorted_out(self.urls.toPlainText())
        folder = self.folder.text().strip()
        download = self.method.currentText() == "GET"
        body = self._body_text().encode()
        options = self.request.options()
        headers = headers_in(self.headers.toPlainText())
        new = NewTask(
            kind=Kind.DOWNLOAD if download else Kind.DATA,
            url="",
            method=self.method.currentText(),
            data=body or None,
            request_headers=headers
            if download
            else headers_with_type(headers, body or None, options),
            destination=os.path.join(os.path.abspath(os.path.expanduser(folder)), "")
            if folder
            else None,
            name=self.name.text().strip(),
            expected_digest=digest_in(self.digest.text()) or None,
            speed_limit=round(self.limit.value() * 1_000_000),
            start=start,
            user_initiated=True,
            # another program named the addresses: they reach no private network (L15)
            origin=Origin.GIVEN if self._given else Origin.TYPED,
            options=options,
        )
        request = AddRequest(
            urls=found.good,
            new=new,
            session=self.session.currentText().strip(),
            cookie_file=self.request.cookie_file,
        )
        if found.bad:
            self.urls.setPlainText("\n".join(address for address, _ in found.bad))
        else:
            self.accept()
        self.requested.emit(request)


def clipboard_links() -> str:
    """The links on the clipboard, one a line; "" when there are none. Read only when a person asks
    (R17).
    """
    return "\n".join(links_in(QGuiApplication.clipboard().text()))
