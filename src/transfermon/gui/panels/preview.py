"""What the selected file looks like: a picture, a sheet of pictures, or its type; of a request
without a file, its answer.

Rule: it shows what `pictures` answers; nothing is read or decoded here.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Sequence

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QScrollArea,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from transfermon.gui.list.columns import name_of
from transfermon.gui.list.scope import LOOKS, look_of
from transfermon.gui.panels.arriving_picture import ArrivalWatch, arrives
from transfermon.gui.panels.pictures import SENTENCES, PictureAnswer, Pictures, Question
from transfermon.gui.panels.preview_views import MARGIN, TILE, Canvas, Foot, Sheet, label
from transfermon.gui.toolkit import theme
from transfermon.model import json_text, units
from transfermon.model.task import Kind, State, Task, TaskKey
from transfermon.model.translate import tr
from transfermon.text import humanize

CARD = 190  # pixels of height for the icon of a file's type
UNLIMITED = 16_777_215  # Qt's QWIDGETSIZE_MAX
FULL = 4096  # pixels a side at 100 %, at the most
SHEET = 60  # pictures on a sheet
LONGEST_ANSWER = 50_000  # characters that are shown


class Preview(QWidget):
    """`open_wanted` and `folder_wanted` carry a task's key. `shown` is emitted when a picture, or
    the words why there is none, is there.
    """

    open_wanted = Signal(object)
    folder_wanted = Signal(object)
    shown = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("preview")
        self.setMinimumWidth(180)
        self._tasks: list[Task] = []
        self._generation = 0
        self._asked = QSize()
        self._answer: PictureAnswer | None = None
        self._arrival = ArrivalWatch(self, self._look_again)
        # what a server answered to a request
        self.text_of: Callable[[TaskKey], str | None] = lambda _key: None
        self.pictures = Pictures(self)
        self.pictures.answered.connect(self._answered)
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.setInterval(200)
        self._again.timeout.connect(self._ask_larger)
        self._build()
        theme.themed.changed.connect(self._retint)
        self.show_tasks([])
        self._retint()

    def __repr__(self) -> str:
        return f"<Preview {[str(task.key) for task in self._tasks[:3]]}>"

    def _build(self) -> None:
        self.title = QLabel(tr("Preview"))
        self.title.setObjectName("preview_title")
        self.title.setProperty("role", "title")
        self.zoom = QToolButton()
        self.zoom.setObjectName("preview_zoom")
        self.zoom.setText("100 %")
        self.zoom.setAccessibleName(tr("Show the picture at 100 %"))
        self.zoom.setToolTip(tr("Show the picture at 100 %, or fitted"))
        self.zoom.setCheckable(True)
        self.zoom.setProperty("flat", True)
        self.zoom.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.zoom.toggled.connect(self._zoomed)
        top = QHBoxLayout()
        top.setContentsMargins(14, 0, 8, 0)
        top.addWidget(self.title, 1)
        top.addWidget(self.zoom)
        head = QWidget()
        head.setFixedHeight(theme.ROW + 4)
        head.setLayout(top)
        self.foot = Foot()
        self.foot.open_button.clicked.connect(self._open)
        self.foot.folder_button.clicked.connect(self._show_folder)
        self.canvas = Canvas()
        self.canvas.zoom_wanted.connect(self.zoom.toggle)
        self.sheet = Sheet()
        scroll = QScrollArea()
        scroll.setObjectName("preview_scroll")
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(self.sheet)
        self._sheet_page = scroll
        self.pages = QStackedWidget()
        self.text = QPlainTextEdit()
        self.text.setObjectName("preview_text")
        self.text.setAccessibleName(tr("Answer of the server"))
        self.text.setReadOnly(True)
        self.text.setFont(theme.fixed_font())
        self._text_page = QWidget()
        around = QVBoxLayout(self._text_page)
        around.setContentsMargins(MARGIN, 0, MARGIN, 0)
        around.addWidget(self.text)
        for page in (self._make_card(), self.canvas, scroll, self._text_page):
            self.pages.addWidget(page)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 10)
        column.setSpacing(0)
        column.addWidget(head)
        column.addWidget(self.pages, 1000)
        column.addWidget(self.foot)
        column.addStretch(1)  # below: the words stand right under the picture
        self._head = head

    def _make_card(self) -> QWidget:
        self.card = QWidget()
        self.symbol = QLabel()
        self.symbol.setObjectName("preview_symbol")
        self.symbol.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.sentence = label("preview_sentence", "muted")
        column = QVBoxLayout(self.card)
        column.setContentsMargins(18, 12, 18, 12)
        column.setSpacing(10)
        column.addStretch(2)
        column.addWidget(self.symbol)
        column.addWidget(self.sentence)
        column.addStretch(3)
        return self.card

    def _open(self) -> None:
        self.open_wanted.emit(self._tasks[0].key)

    def _show_folder(self) -> None:
        self.folder_wanted.emit(self._tasks[0].key)

    # Showing

    def show_tasks(self, tasks: Sequence[Task]) -> None:
        """Show what is selected now. The same finished files again change nothing."""
        if tasks and [_identity(task) for task in tasks] == [
            _identity(task) for task in self._tasks
        ]:
            return
        goes_on = len(tasks) == len(self._tasks) == 1 and tasks[0].key == self._tasks[0].key
        self._tasks = list(tasks)
        self._generation = self.pictures.new_generation()
        self._arrival.forget()
        if goes_on and self._answer is not None and (tasks[0].file or tasks[0].outstanding):
            self._show_more_of(tasks[0])
            return
        self._answer = None
        self._again.stop()
        self.zoom.setChecked(False)
        self.zoom.hide()
        if len(tasks) > 1:
            self._show_sheet()
        elif tasks:
            self._show_one(tasks[0])
        else:
            self.foot.show_words("", "", buttons=False)
            self._show_card("image", "muted", tr("Select a transfer to see its file."))

    def _show_one(self, task: Task) -> None:
        name = name_of(task)
        done = bool(task.file)
        if arrives(task):
            self._ask_partial(task)
        self.foot.show_words(name, theme.file_words(name), buttons=done)
        if done:
            self._show_card(theme.file_icon(name), "muted", "")
            self._ask(self._room())
        elif (
            task.kind is Kind.DATA
            and task.state is State.COMPLETED
            and (text := self.text_of(task.key))
        ):
            self.foot.show_words(
                name,
                tr("Answer, {size}").format(size=units.size(len(text.encode()))),
                buttons=False,
            )
            self.text.setPlainText(_readable(text))
            self._turn_to(self._text_page)
            self.shown.emit()
        else:
            _, role = LOOKS[look_of(task)]
            words = humanize.status(task, time.time()).partition(":")[0]
            self._show_card(
                theme.file_icon(name), role if role in ("bad", "warn") else "muted", f"{words}."
            )

    def _show_more_of(self, task: Task) -> None:
        """The picture stays until that of the larger, or whole, file is there."""
        if task.file:
            self._ask(self._room())
        elif arrives(task):  # else it gets its name just now
            self._ask_partial(task)

    def note_progress(self, task: Task, received: int, expected: int) -> None:
        """The selected file has grown: a JPEG that arrives is shown as far as it is here."""
        if len(self._tasks) == 1 and self._tasks[0].key == task.key and arrives(task):
            self._arrival.note_progress(task, received, expected)

    def _look_again(self, task: Task) -> None:
        self._tasks = [task]
        self._ask_partial(task)

    def _ask_partial(self, task: Task) -> None:
        self._asked = self._room()
        self._arrival.asked()
        self._put(0, task.part_path, self._asked, partial=True)

    def _show_card(self, icon: str, role: str, sentence: str) -> None:
        self._symbol = icon, role
        self.symbol.setPixmap(theme.pixmap(icon, role, 64, self.devicePixelRatioF()))
        self.sentence.setText(sentence)
        self.sentence.setVisible(bool(sentence))
        self._turn_to(self.card)

    def _turn_to(self, page: QWidget) -> None:
        self.pages.setCurrentWidget(page)
        self._fit_page()

    def _fit_page(self) -> None:
        """A picture or a file's icon is as high as it needs, so that its words are right
        under it.
        """
        page, most = self.pages.currentWidget(), UNLIMITED
        if page is self.canvas and not self.zoom.isChecked() and self.canvas.image is not None:
            most = max(40, self.canvas.fitted(self._space().expandedTo(QSize(60, 60))).height())
        elif page is self.card and self.foot.name.text():
            most = CARD
        self.pages.setMaximumHeight(most)

    def _show_sheet(self) -> None:
        first = self._tasks[:SHEET]
        self.sheet.show_names([name_of(task) for task in first], len(self._tasks) - len(first))
        sizes = [task.moved for task in self._tasks]
        self.foot.show_words(
            "",
            tr("%n transfers, {size}", "1 transfer, {size}", len(self._tasks)).format(
                size=units.size(sum(sizes))
            ),
            buttons=False,
        )
        self._turn_to(self._sheet_page)
        side = round((TILE - 8) * self.devicePixelRatioF())
        for number, task in enumerate(first):
            if task.file:
                self._put(number, task.file, QSize(side, side))

    def _retint(self) -> None:
        icon, role = self._symbol
        self.symbol.setPixmap(theme.pixmap(icon, role, 64, self.devicePixelRatioF()))
        self.canvas.update()
        self.sheet.update()
        self.zoom.setIcon(theme.icon("zoom-in", "muted"))

    # Asking

    def _space(self) -> QSize:
        """What a picture may fill, its words being below it."""
        words = max(self.foot.sizeHint().height(), self.foot.heightForWidth(self.width()))
        return QSize(self.width(), self.height() - self._head.height() - words - 12)

    def _room(self) -> QSize:
        size = (self._space() - QSize(2 * MARGIN, 0)).expandedTo(
            QSize(120, 120)
        ) * self.devicePixelRatioF()
        return size.boundedTo(QSize(FULL, FULL))

    def _ask(self, room: QSize) -> None:
        self._asked = room
        self._put(0, self._tasks[0].file, room)

    def _put(self, number: int, path: str, room: QSize, *, partial: bool = False) -> None:
        self.pictures.ask(
            Question(
                generation=self._generation,
                number=number,
                path=path,
                width=room.width(),
                height=room.height(),
                partial=partial,
            )
        )

    def _answered(self, answer: PictureAnswer) -> None:
        if answer.question.generation != self._generation:
            return
        if len(self._tasks) > 1:
            if answer.image is not None:
                self.sheet.set_image(answer.question.number, answer.image)
        else:
            self._show_answer(answer)
        self.shown.emit()

    def _show_answer(self, answer: PictureAnswer) -> None:
        name = name_of(self._tasks[0])
        if answer.question.partial:
            self._arrival.answered(answer)
            if answer.image is None:  # not enough of it is here
                return
        length = units.size(answer.length) if answer.length >= 0 else ""
        if answer.image is None:
            words = ", ".join(part for part in (theme.file_words(name), length) if part)
            self.foot.show_words(name, words, buttons=answer.reason != "missing")
            sentence = tr(SENTENCES.get(answer.reason, ""))
            self._show_card("image-off" if sentence else theme.file_icon(name), "muted", sentence)
            return
        self._answer = answer
        width, height = answer.full
        here = (
            tr("{size} so far, still arriving").format(size=length)
            if answer.question.partial
            else length
        )
        self.foot.show_words(
            name,
            f"{width} × {height}  ·  {answer.kind}  ·  {here}",
            buttons=not answer.question.partial,
        )
        self.canvas.setAccessibleName(
            tr("Picture, {width} by {height} pixels").format(width=width, height=height)
        )
        self.zoom.setVisible(True)
        self.canvas.show_image(answer.image, answer.full, actual=self.zoom.isChecked())
        self._turn_to(self.canvas)

    def _zoomed(self, on: bool) -> None:
        self.zoom.setText(tr("Fit") if on else "100 %")
        if self._answer is None:
            return
        self.canvas.show_image(self.canvas.image, self._answer.full, actual=on)
        self._fit_page()
        self._ask_larger()

    def _ask_larger(self) -> None:
        """The picture in more pixels, when more are seen now than were asked for."""
        if self._answer is None or self._answer.image is None:
            return
        wanted = (
            QSize(*self._answer.full).boundedTo(QSize(FULL, FULL))
            if self.zoom.isChecked()
            else self._room()
        )
        has = self._answer.image.size()
        full = QSize(*self._answer.full)
        if has != full and (
            wanted.width() > self._asked.width() or wanted.height() > self._asked.height()
        ):
            self._asked = wanted
            self._put(0, self._answer.question.path, wanted, partial=self._answer.question.partial)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.foot.fit_buttons(self.width())
        self._fit_page()
        if self._answer is not None:
            self._again.start()

    def close(self) -> bool:
        """Ends the helper too."""
        self.pictures.close()
        return super().close()


def _identity(task: Task) -> tuple[object, ...]:
    return task.key, look_of(task), task.file, task.finished, task.name, task.part_path


def _readable(text: str) -> str:
    """JSON with its lines broken, and no character that would turn others around."""
    shown = text[:LONGEST_ANSWER]
    if len(text) <= LONGEST_ANSWER:
        with contextlib.suppress(ValueError):
            shown = json.dumps(json_text.loads(text), indent=2, ensure_ascii=False)
    lines = [units.clean(line, LONGEST_ANSWER) for line in shown.splitlines()]
    return "\n".join([*lines, "…"] if len(text) > LONGEST_ANSWER else lines)
