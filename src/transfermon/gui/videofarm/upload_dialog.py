"""A new video: asked for in a dialog, announced to the server, and how far it is."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from PySide6.QtCore import QObject, QSize, Qt, Signal
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
from transfermon.gui.panels.pictures import PictureAnswer
from transfermon.gui.videofarm.thumbnails import Thumbnails
from transfermon.model import units
from transfermon.model.errors import TransferFailure
from transfermon.model.record import record
from transfermon.model.task import TaskKey
from transfermon.model.translate import tr

if TYPE_CHECKING:  # the client brings the monitor, which loads after the window shows
    from transfermon.videofarm.client import Notice, VideoFarmClient


def thumbnail_of(path: str) -> str:
    """The picture that the desktop has made of a file (freedesktop thumbnail specification),
    or "".
    """
    name = (
        hashlib.md5(
            f"file://{quote(os.path.abspath(path))}".encode(), usedforsecurity=False
        ).hexdigest()
        + ".png"
    )
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    for size in ("xx-large", "x-large", "large", "normal"):
        found = os.path.join(cache, "thumbnails", size, name)
        if os.path.isfile(found):
            return found
    return ""


SPAWN = Callable[[Coroutine[Any, Any, None], str], object]
UPLOAD_PICTURE = QSize(640, 360)  # as large as the picture of a new video becomes


@record
class NewVideo:
    """What the person wants to send."""

    title: str
    description: str
    picture: str
    movie: str


class VideoUploadDialog(QDialog):
    """`requested` carries a NewVideo; then the dialog shows how far it is, and may be closed: the
    upload goes on.
    """

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
        self.picture.setPlaceholderText(
            tr("A picture; of a film the desktop knows it is found by itself")
        )
        self.movie = line("video_movie", tr("Movie"))
        for field in (self.title, self.picture, self.movie):
            field.textChanged.connect(self._check)
        self.movie.textChanged.connect(self._movie_changed)
        form = form_layout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(
            row_label(tr("Movie"), self.movie), self._with_choice(self.movie, tr("Movie to upload"))
        )
        form.addRow(row_label(tr("Title"), self.title), self.title)
        form.addRow(row_label(tr("Description"), self.description), self.description)
        form.addRow(
            row_label(tr("Picture"), self.picture),
            self._with_choice(self.picture, tr("Picture of the video")),
        )
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
        missing = [
            path
            for path in fields
            if path.strip() and not os.path.isfile(os.path.expanduser(path.strip()))
        ]
        self.refuse(
            tr("There is no file “{name}”.").format(name=units.clean(missing[0], 80))
            if missing
            else ""
        )
        if missing:
            self.start_button.setEnabled(False)

    def _complete(self) -> bool:
        return all(field.text().strip() for field in (self.title, self.picture, self.movie))

    def _start(self) -> None:
        self._hold(True)
        self.bar.setRange(0, 0)
        self.bar.show()
        self.words.setText(tr("The video is announced to the server."))
        paths = [
            os.path.abspath(os.path.expanduser(field.text().strip()))
            for field in (self.picture, self.movie)
        ]
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


class VideoSender(QObject):
    """Of one page: its dialog, and what comes of it when that is closed. `said` carries what a
    person is told then.
    """

    said = Signal(str)

    def __init__(self, page: QWidget, thumbnails: Thumbnails) -> None:
        super().__init__(page)
        self._page = page
        self._thumbnails = thumbnails
        self._client: VideoFarmClient | None = None
        self._spawn: SPAWN | None = None
        self._dialog: VideoUploadDialog | None = None

    def __repr__(self) -> str:
        return f"<VideoSender open={self._dialog is not None}>"

    def attach(self, client: VideoFarmClient, spawn: SPAWN) -> None:
        self._client, self._spawn = client, spawn

    def detach(self) -> None:
        self._client = self._spawn = None

    def show_dialog(self, movie: str = "") -> None:
        """For a new video."""
        if self._client is None:
            return
        dialog = self._dialog = VideoUploadDialog(self._page, movie=movie)
        dialog.requested.connect(self._make_picture)
        dialog.finished.connect(self._closed)
        dialog.open()

    def _closed(self) -> None:
        self._dialog = None

    def hear(self, notice: Notice) -> None:
        """How far an upload is."""
        if self._dialog is not None:
            self._dialog.hear(notice)

    def _make_picture(self, request: NewVideo) -> None:
        """It becomes a small one first, in the helper that reads strangers' pictures."""
        self._thumbnails.decode(
            request.picture, UPLOAD_PICTURE, lambda answer: self._picture_made(request, answer)
        )

    def _picture_made(self, request: NewVideo, answer: PictureAnswer) -> None:
        if answer.image is None:
            self._refuse(tr("The picture cannot be read; choose another."))
            return
        folder = self._thumbnails.folder
        path = os.path.join(folder, "new.png")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if not answer.image.save(path):
            self._refuse(tr("The picture cannot be stored."))
            return
        assert self._spawn is not None
        self._spawn(self._send(request, path), "a new video")

    async def _send(self, request: NewVideo, picture: str) -> None:
        assert self._client is not None
        try:
            place = await self._client.prepare_video(request.title, picture, request.description)
            task = self._client.upload_video(request.movie, place)
        except (TransferFailure, ValueError, OSError) as exc:
            self._refuse(str(exc))
        else:
            if self._dialog is not None:
                self._dialog.under_way(task.key)

    def _refuse(self, sentence: str) -> None:
        if self._dialog is not None:
            self._dialog.refuse(sentence)
        else:
            self.said.emit(sentence)
