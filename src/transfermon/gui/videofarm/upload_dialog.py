"""The dialog that sends a new video: asked for, announced to the server, and how far it is."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING
from urllib.parse import quote

from PySide6.QtCore import (
    Qt,
    Signal,
)
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

from transfermon.gui.dialogs.fields import button, editor, form_layout, label, line, row_label
from transfermon.model import units
from transfermon.model.record import record
from transfermon.model.task import TaskKey
from transfermon.model.translate import tr

if TYPE_CHECKING:  # the client brings the monitor, which loads after the window shows
    from transfermon.videofarm.client import Notice


def thumbnail_of(path: str) -> str:
    """The picture that the desktop has made of a file (freedesktop thumbnail specification), or ""."""
    name = hashlib.md5(f"file://{quote(os.path.abspath(path))}".encode(), usedforsecurity=False).hexdigest() + ".png"
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    for size in ("xx-large", "x-large", "large", "normal"):
        found = os.path.join(cache, "thumbnails", size, name)
        if os.path.isfile(found):
            return found
    return ""


@record
class NewVideo:
    """What the person wants to send."""

    title: str
    description: str
    picture: str
    movie: str


class VideoUploadDialog(QDialog):
    """`requested` carries a NewVideo; then the dialog shows how far it is, and may be closed: the upload goes on."""

    requested = Signal(object)

    def __init__(self, parent: QWidget | None = None, *, movie: str = "") -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Upload a video"))
        self.setObjectName("video_upload")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(560)
        self._key: TaskKey | None = None
        self._build()
        self.movie.setText(movie)
        self._check()

    def _build(self) -> None:
        self.title = line("video_title", tr("Title"))
        self.description: QPlainTextEdit = editor("video_description", tr("Description"), height=64)
        self.picture = line("video_picture", tr("Picture"))
        self.picture.setPlaceholderText(tr("A picture; of a film the desktop knows it is found by itself"))
        self.movie = line("video_movie", tr("Movie"))
        for field in (self.title, self.picture, self.movie):
            field.textChanged.connect(self._check)
        self.movie.textChanged.connect(self._movie_changed)
        form = form_layout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(row_label(tr("Movie"), self.movie), self._with_choice(self.movie, tr("Movie to upload")))
        form.addRow(row_label(tr("Title"), self.title), self.title)
        form.addRow(row_label(tr("Description"), self.description), self.description)
        form.addRow(row_label(tr("Picture"), self.picture), self._with_choice(self.picture, tr("Picture of the video")))
        self.problem = label("", name="video_problem")
        self.problem.setProperty("role", "bad")
        self.problem.setWordWrap(True)
        self.bar = QProgressBar()
        self.bar.setObjectName("video_progress")
        self.bar.setAccessibleName(tr("Upload progress"))
        self.bar.hide()
        self.words = label("", name="video_words")
        self.words.setProperty("role", "muted")
        box = QDialogButtonBox()
        self.close_button = button(tr("Cancel"), "video_close")
        self.start_button = button(tr("Upload"), "video_start")
        self.start_button.setProperty("primary", True)
        self.start_button.setDefault(True)
        box.addButton(self.close_button, QDialogButtonBox.ButtonRole.RejectRole)
        box.addButton(self.start_button, QDialogButtonBox.ButtonRole.ActionRole)
        box.rejected.connect(self.reject)
        self.start_button.clicked.connect(self._start)
        column = QVBoxLayout(self)
        column.setSpacing(10)
        column.addLayout(form)
        column.addWidget(self.problem)
        column.addWidget(self.bar)
        column.addWidget(self.words)
        column.addStretch(1)
        column.addWidget(box)

    def _with_choice(self, field: QLineEdit, title: str) -> QWidget:
        choose = button(tr("Choose…"), f"{field.objectName()}_choose")
        choose.setAutoDefault(False)
        choose.clicked.connect(lambda: self._choose(field, title))
        holder = QWidget()
        row = QHBoxLayout(holder)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(field, 1)
        row.addWidget(choose)
        return holder

    def _choose(self, field: QLineEdit, title: str) -> None:
        chooser = QFileDialog(self, title, os.path.dirname(field.text()) or os.path.expanduser("~"))
        chooser.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        chooser.setFileMode(QFileDialog.FileMode.ExistingFile)
        chooser.fileSelected.connect(field.setText)
        chooser.open()

    def _movie_changed(self, text: str) -> None:
        path = os.path.expanduser(text.strip())
        if not os.path.isfile(path):
            return
        if not self.title.text():
            self.title.setText(os.path.splitext(os.path.basename(path))[0])
        if not self.picture.text() and (found := thumbnail_of(path)):
            self.picture.setText(found)

    def _check(self) -> None:
        fields = (self.movie.text(), self.picture.text())
        missing = [path for path in fields if path.strip() and not os.path.isfile(os.path.expanduser(path.strip()))]
        self.refuse(tr("There is no file “{name}”.").format(name=units.clean(missing[0], 80)) if missing else "")
        if missing:
            self.start_button.setEnabled(False)

    def _complete(self) -> bool:
        return all(field.text().strip() for field in (self.title, self.picture, self.movie))

    def _start(self) -> None:
        self._hold(True)
        self.bar.setRange(0, 0)
        self.bar.show()
        self.words.setText(tr("The video is announced to the server."))
        paths = [os.path.abspath(os.path.expanduser(field.text().strip())) for field in (self.picture, self.movie)]
        self.requested.emit(
            NewVideo(
                title=self.title.text().strip(),
                description=self.description.toPlainText().strip(),
                picture=paths[0],
                movie=paths[1],
            )
        )

    def _hold(self, on: bool) -> None:
        for field in (self.title, self.description, self.picture, self.movie):
            field.setReadOnly(on)
        self.start_button.setEnabled(not on and self._complete())

    def refuse(self, sentence: str) -> None:
        """Say why not, and let the person try again."""
        self.problem.setText(units.clean(sentence, 300))
        self.problem.setVisible(bool(sentence))
        self.bar.hide()
        self.words.setText("")
        self._hold(False)

    def under_way(self, key: TaskKey) -> None:
        """The server has the video; this task brings the movie."""
        self._key = key
        self.close_button.setText(tr("Close"))
        self.words.setText(tr("Uploading; it goes on when this is closed."))

    def hear(self, notice: Notice) -> None:
        """How far an upload is."""
        if self._key != TaskKey(notice.session, notice.task):
            return
        if notice.total > 0:
            self.bar.setRange(0, 1000)
            self.bar.setValue(round(1000 * notice.done / notice.total))
        if notice.kind == "completed":
            self.bar.setRange(0, 1)
            self.bar.setValue(1)
            self.words.setText(tr("The video is at the server."))
        elif notice.kind == "failed" and notice.error is not None:
            self._key = None
            self.refuse(notice.error.message)
