"""The dialog for uploads: which files, to which address, and how.

Rule: it answers through a signal; whether a file can be sent is found out again by the task itself.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
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
    row_label,
)
from transfermon.gui.dialogs.request_rows import RequestRows
from transfermon.gui.dialogs.typed_text import headers_in
from transfermon.gui.toolkit import theme
from transfermon.gui.toolkit.thread_signal import Bell
from transfermon.http.addresses import check_url
from transfermon.http.upload_protocols import registry
from transfermon.model import units
from transfermon.model.errors import TransferFailure
from transfermon.model.record import record
from transfermon.model.task import Kind, changed
from transfermon.model.translate import marked, tr
from transfermon.model.upload_protocol import AUTO, PLAIN

METHODS = ("PUT", "POST")
WITHOUT_RESUMING = {
    AUTO: marked("Ask the server (resumable if it can)"),
    PLAIN: marked("Plain: a pause starts over"),
}


def protocol_titles() -> dict[str, str]:
    """What can be chosen, by the name that a session knows it by."""
    return WITHOUT_RESUMING | {protocol.name: protocol.title for protocol in registry.RESUMABLE}


WHOLE_FILE = NewTask(
    kind=Kind.UPLOAD, url="", method="PUT", protocol=AUTO, into_folder=True, user_initiated=True
)


@record
class UploadRequest:
    """What the person asked for: each path with its address."""

    files: tuple[tuple[str, str], ...]
    new: NewTask = WHOLE_FILE  # but for the address and the file
    session: str = ""
    cookie_file: str = ""  # absolute; its cookies go along


def address_for(url: str, path: str) -> str:
    """An address that ends with a slash is a folder there: the file's name is added.

    Not for a PUT: whether it goes to a name or to a folder that takes uploads is seen when the
    server was asked.
    """
    return url + quote(os.path.basename(path)) if url.endswith("/") else url


def looked_at(paths: Sequence[str]) -> dict[str, str]:
    """For each path what keeps it from being sent, in one sentence; "" when nothing does. Blocks
    where a disk does.
    """
    return {path: _look(path) for path in paths}


def _look(path: str) -> str:
    name = units.clean(os.path.basename(path.rstrip("/")) or path, 80)
    if os.path.isdir(path):
        return tr(
            "“{name}” is a folder; pack it into one file first, or choose the files in it."
        ).format(name=name)
    return "" if os.path.isfile(path) else tr("There is no file “{name}”.").format(name=name)


def mistake_in(count: int, url: str, method: str) -> str:
    """What keeps so many files from being sent there, in one sentence; "" when nothing does, or no
    address is given.
    """
    if not url:
        return ""
    try:
        check_url(url)
    except TransferFailure as exc:
        return " ".join(part for part in (exc.title, exc.hint) if part)
    if count > 1 and method == "PUT" and not url.endswith("/"):
        return tr(
            "Several files need an address that ends with “/”, so that each gets its own name there."
        )
    return ""


class UploadDialog(QDialog):
    """Asks what to send where. `requested` carries an UploadRequest."""

    requested = Signal(object)

    def __init__(
        self,
        parent: QWidget | None = None,
        *,
        files: Sequence[str] = (),
        addresses: Sequence[str] = (),
        sessions: Sequence[str] = (),
        session: str = "",
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Upload files"))
        self.setObjectName("upload_dialog")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(620)
        self._known: dict[str, str] = {}  # what `looked_at` said of each path
        self._looking = False
        self._bell = Bell(self)
        self._bell.rang.connect(self._looked)
        self._build(addresses, sessions, session)
        self.files.setPlainText("\n".join(files))
        self._check()

    def _build(self, addresses: Sequence[str], sessions: Sequence[str], session: str) -> None:
        layout = QVBoxLayout(self)
        layout.setSpacing(10)
        self.files = editor("upload_files", tr("Files, one path a line"), height=84)
        self.files.setPlaceholderText(
            tr("One path a line; files can be dropped on the window, too")
        )
        self.files.textChanged.connect(self._files_changed)
        choose = button(tr("Choose…"), "upload_choose")
        choose.setAutoDefault(False)
        choose.clicked.connect(self._choose)
        head = QHBoxLayout()
        head.addWidget(label(tr("Files")), 1)
        head.addWidget(choose)
        layout.addLayout(head)
        layout.addWidget(self.files)
        layout.addLayout(self._places(addresses, sessions, session))
        self.problem = label("", name="upload_problem")
        self.problem.setProperty("role", "bad")
        self.problem.setWordWrap(True)
        layout.addWidget(self.problem)
        self.more_button = QToolButton()
        self.more_button.setObjectName("upload_more")
        self.more_button.setCheckable(True)
        self.more_button.setProperty("role", "disclosure")
        self.more_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.more_button.toggled.connect(self._disclose)
        layout.addWidget(self.more_button, alignment=Qt.AlignmentFlag.AlignLeft)
        self.more = self._more()
        layout.addWidget(self.more)
        self._disclose(False)
        layout.addStretch(1)
        layout.addWidget(self._buttons())

    def _places(
        self, addresses: Sequence[str], sessions: Sequence[str], session: str
    ) -> QFormLayout:
        form = form_layout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.address = _choices("upload_address", tr("Address"), addresses, editable=True)
        edit = self.address.lineEdit()
        assert edit is not None
        edit.setPlaceholderText(tr("https://…   with “/” at the end each file's name is added"))
        self.address.setCurrentText(addresses[0] if addresses else "")
        self.address.editTextChanged.connect(self._check)
        form.addRow(row_label(tr("Address"), self.address), self.address)
        self.method = _choices("upload_method", tr("Method"), METHODS)
        self.method.currentTextChanged.connect(self._check)
        form.addRow(row_label(tr("Method"), self.method), self.method)
        self.session = _choices("upload_session", tr("Session"), sessions, editable=True)
        self.session.setCurrentText(session)
        form.addRow(row_label(tr("Session"), self.session), self.session)
        return form

    def _more(self) -> QWidget:
        box = QWidget()
        form = form_layout(box)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.protocol = _choices(
            "upload_protocol", tr("Protocol"), [tr(text) for text in protocol_titles().values()]
        )
        form.addRow(row_label(tr("Protocol"), self.protocol), self.protocol)
        self.headers = headers_row(form, "upload_headers", self._check)
        self.request = RequestRows(self, form, row_label, self._check)
        self.request.show_body(True)
        return box

    def _disclose(self, on: bool) -> None:
        self.more_button.setIcon(theme.icon("chevron-down" if on else "chevron-right", "muted"))
        self.more_button.setText(tr("Less") if on else tr("More"))
        self.more.setVisible(on)

    def _buttons(self) -> QDialogButtonBox:
        box = QDialogButtonBox()
        box.addButton(button(tr("Cancel"), "upload_cancel"), QDialogButtonBox.ButtonRole.RejectRole)
        self.paused_button = button(tr("Add paused"), "upload_paused")
        self.start_button = button(tr("Upload now"), "upload_start")
        self.start_button.setDefault(True)
        self.start_button.setProperty("primary", True)
        box.addButton(self.paused_button, QDialogButtonBox.ButtonRole.ActionRole)
        box.addButton(self.start_button, QDialogButtonBox.ButtonRole.ActionRole)
        self.start_button.clicked.connect(lambda: self._send(start=True))
        self.paused_button.clicked.connect(lambda: self._send(start=False))
        box.rejected.connect(self.reject)
        return box

    def _choose(self) -> None:
        chooser = QFileDialog(self, tr("Files to upload"), os.path.expanduser("~"))
        chooser.setObjectName("upload_chooser")
        chooser.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        chooser.setFileMode(QFileDialog.FileMode.ExistingFiles)
        chooser.filesSelected.connect(lambda paths: self.files.setPlainText("\n".join(paths)))
        chooser.open()

    @property
    def paths(self) -> list[str]:
        lines = (line.strip() for line in self.files.toPlainText().splitlines())
        return list(
            dict.fromkeys(os.path.abspath(os.path.expanduser(line)) for line in lines if line)
        )

    def _files_changed(self) -> None:
        self._known = {path: sentence for path, sentence in self._known.items() if not sentence}
        self._check()

    def _look_at(self, paths: list[str]) -> None:
        """On a thread, as a disk that is away may take its time to say so; one look at a time."""
        if self._looking or not paths:
            return
        self._looking, rope = True, self._bell.rope
        threading.Thread(
            target=lambda: rope.pull(looked_at(paths)), name="files", daemon=True
        ).start()

    def _looked(self, found: Mapping[str, str]) -> None:
        self._looking = False
        self._known |= found
        self._check()

    def _check(self) -> None:
        paths, url = self.paths, self.address.currentText().strip()
        unknown = [path for path in paths if path not in self._known]
        self._look_at(unknown)
        problem = next(filter(None, (self._known.get(path) for path in paths)), "")
        problem = problem or mistake_in(len(paths), url, self.method.currentText())
        try:
            headers_in(self.headers.toPlainText())
            self.request.options()
        except ValueError as exc:
            problem = problem or str(exc)
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
        usable = bool(paths and url) and not problem and not unknown
        self.start_button.setEnabled(usable)
        self.paused_button.setEnabled(usable)
        self.start_button.setText(tr("Upload %n now", "Upload now", max(1, len(paths))))

    def _send(self, *, start: bool) -> None:
        url, method = self.address.currentText().strip(), self.method.currentText()
        request = UploadRequest(
            files=tuple(
                (path, url if method == "PUT" else address_for(url, path)) for path in self.paths
            ),
            new=changed(
                WHOLE_FILE,
                method=method,
                protocol=list(protocol_titles())[self.protocol.currentIndex()],
                request_headers=headers_in(self.headers.toPlainText()),
                start=start,
                options=self.request.options(),
            ),
            session=self.session.currentText().strip(),
            cookie_file=self.request.cookie_file,
        )
        self.accept()
        self.requested.emit(request)


def _choices(
    name: str, accessible: str, items: Sequence[str], *, editable: bool = False
) -> QComboBox:
    box = QComboBox()
    box.setObjectName(name)
    box.setAccessibleName(accessible)
    box.setEditable(editable)
    box.addItems(list(items))
    return box
