"""Everything about one transfer: its facts, headers, timings, events and speed.

Rule: every value is plain text that can be selected and copied, and a URL's secrets are as the
record has them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QGridLayout,
    QLabel,
    QLineEdit,
    QScrollArea,
    QStackedWidget,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from transfermon.gui.list.painter import BARS
from transfermon.gui.list.scope import look_of
from transfermon.gui.panels.connections import ConnectionsBar, words_of
from transfermon.gui.panels.event_log import (
    EventColumn,
    EventLine,
    EventModel,
    EventTable,
    merged_events,
)
from transfermon.gui.panels.headers import Headers
from transfermon.gui.panels.speed_graph import SpeedGraph
from transfermon.gui.panels.waterfall import Waterfall
from transfermon.gui.toolkit import theme
from transfermon.http.mirrors import shown_name
from transfermon.http.upload_protocols.places import server_name
from transfermon.http.upload_protocols.registry import find_protocol
from transfermon.model import units
from transfermon.model.events import Event
from transfermon.model.task import Kind, Progress, State, Task, TaskKey, parts_of
from transfermon.model.translate import marked, tr
from transfermon.text import humanize

WIDE = (
    marked("URL"),
    marked("Final URL"),
    marked("Mirrors"),
    marked("Save path"),
    marked("Source"),
    marked("Stored as"),
    marked("Method"),
    marked("State"),
    marked("Connections"),
    marked("Parts"),
)
LEFT = (
    marked("Size"),
    marked("Progress"),
    marked("Attempts"),
    marked("HTTP status"),
    marked("Speed"),
)
RIGHT = (
    marked("Session"),
    marked("Added"),
    marked("Finished"),
    marked("Validators"),
    marked("Resumable"),
)
# left out where they have nothing to say
OPTIONAL = frozenset({*WIDE, marked("Speed"), marked("Resumable")})
LONGEST = 4000  # characters of an address that are shown


def facts_of(
    task: Task, progress: Progress | None, now: float, monotonic: float, *, connections: str = ""
) -> dict[str, str]:
    """The words of the form, by title; an empty one has nothing to say. `now` in epoch seconds,
    `connections` those to its server.
    """
    live = progress if progress is not None and task.state is State.RUNNING else None
    received = live.received if live else task.moved
    expected = live.expected if live else task.total
    speed = live.rate.per_second(monotonic) if live else 0.0
    mirrors = mirrors_of(task)
    final = task.response.url if task.response is not None else task.current_url
    return {
        "URL": units.clean(task.url, LONGEST),
        "Final URL": units.clean(final, LONGEST) if final and final != task.url else "",
        "Mirrors": units.clean(", ".join(mirrors), LONGEST),
        "Save path": units.clean(
            "" if task.kind is not Kind.DOWNLOAD else task.final_path or _planned(task), LONGEST
        ),
        "Source": units.clean(task.file, LONGEST) if task.kind is Kind.UPLOAD else "",
        "Stored as": units.clean(task.stored_as, LONGEST),
        "Method": task.method if task.kind is not Kind.DOWNLOAD else "",
        "State": humanize.status(task, now),
        "Size": units.size(expected) if expected >= 0 else tr("Not told by the server"),
        "Progress": units.progress(received, expected),
        "Speed": _speed(received, expected, speed) if look_of(task) == "running" else "",
        "Attempts": _attempts(task),
        "HTTP status": _status(task),
        "Connections": connections,
        "Parts": words_of(parts_of(task, live), mirrors),
        "Session": units.clean(task.session, 200),
        "Added": _moment(task.added),
        "Finished": _moment(task.finished),
        "Resumable": says_resumable(task),
        "Validators": _validators(task),
    }


def mirrors_of(task: Task) -> tuple[str, ...]:
    """Their names, in their order."""
    return tuple(shown_name(address) for address in task.options.mirrors)


def says_resumable(task: Task) -> str:
    """Whether a pause or a break keeps the bytes, and why; "" for a finished transfer, which has no
    need of it.
    """
    if task.succeeded:
        return ""
    if task.not_resumable:
        return tr("No: {not_resumable}").format(not_resumable=units.clean(task.not_resumable))
    if task.kind is Kind.UPLOAD:
        return _upload_resumable(task)
    if task.validators is None:
        return tr("Not known before the server answers")
    if not (task.moved or task.outstanding):
        return tr("Yes, but nothing was kept")
    if task.validators.etag:
        return tr("Yes: the server sends an entity tag")
    if task.validators.last_modified:
        return tr("Yes: the server sends a date")
    return tr("Yes: its start and end are compared")


def _upload_resumable(task: Task) -> str:
    if task.upload is not None:
        known = find_protocol(task.upload.protocol)
        protocol = tr(known.label) if known is not None else task.upload.protocol
        if task.upload.elsewhere:
            protocol = tr("{protocol}, at {server}").format(
                protocol=protocol, server=server_name(task.upload.url)
            )
        return tr("Yes: the server keeps what it has got ({protocol})").format(protocol=protocol)
    return tr("Not known before the server answers")


def _planned(task: Task) -> str:
    return f"{task.folder.rstrip('/')}/{task.name}" if task.folder and task.name else task.folder


def _speed(received: int, expected: int, speed: float) -> str:
    left = units.time_left(received, expected, speed)
    return (
        units.rate(speed)
        if left == "–"
        else tr("{rate}, {left} left").format(rate=units.rate(speed), left=left)
    )


def _attempts(task: Task) -> str:
    if not task.attempt:
        return tr("None yet")
    if not task.restarts:
        return str(task.attempt)
    return tr("{attempt}, {restarts} from the start again").format(
        attempt=task.attempt, restarts=task.restarts
    )


def _status(task: Task) -> str:
    if task.response is None:
        status = task.error.status if task.error is not None else None
        return str(status) if status else ""
    return units.clean(f"{task.response.status} ({task.response.http_version})")


def _moment(when: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when)) if when else ""


def _validators(task: Task) -> str:
    if task.validators is None:
        return ""
    found = (task.validators.etag, task.validators.last_modified)
    return units.clean(", ".join(part for part in found if part)) or tr("None")


class Value(QLineEdit):
    """One line of text that is selected and copied like any other, and never breaks the form."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.setObjectName("fact_" + title.lower().replace(" ", "_"))
        self.setAccessibleName(tr(title))
        self.setReadOnly(True)
        self.setFrame(False)
        self.setProperty("role", "value")

    def show_text(self, text: str) -> None:
        if text != self.text():  # else a selection would be lost
            self.setText(text)
            self.setCursorPosition(0)
            self.setToolTip(theme.plain_tip(text) if len(text) > 40 else "")

    def minimumSizeHint(self) -> QSize:
        return QSize(60, super().minimumSizeHint().height())


class General(QScrollArea):
    """The form: addresses over the whole width, then two columns of facts."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("details_general")
        self.setAccessibleName(tr("General"))
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        page = QWidget()
        page.setProperty("ground", "base")
        self.setWidget(page)
        self._values: dict[str, tuple[QLabel, Value]] = {}
        column = QVBoxLayout(page)
        column.setContentsMargins(16, 10, 16, 10)
        column.setSpacing(4)
        column.addWidget(self._make_problem())
        self.connections = ConnectionsBar()
        column.addWidget(self.connections)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(10)
        self._grid.setVerticalSpacing(3)
        self._grid.setColumnStretch(1, 3)
        self._grid.setColumnStretch(3, 4)
        column.addLayout(self._grid)
        column.addStretch(1)
        for row, title in enumerate(WIDE):
            self._add(title, row, 0, span=3)
        for place, (left, right) in enumerate(zip(LEFT, RIGHT, strict=True)):
            self._add(left, len(WIDE) + place, 0)
            self._add(right, len(WIDE) + place, 2)

    def _make_problem(self) -> QLabel:
        self.problem = QLabel()
        self.problem.setObjectName("fact_error")
        self.problem.setAccessibleName(tr("Error"))
        self.problem.setTextFormat(Qt.TextFormat.PlainText)
        self.problem.setProperty("role", "bad")
        self.problem.setWordWrap(True)
        self.problem.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.problem.hide()
        return self.problem

    def _add(self, title: str, row: int, column: int, span: int = 1) -> None:
        label, value = QLabel(tr(title)), Value(title)
        label.setProperty("role", "muted")
        label.setBuddy(value)
        self._grid.addWidget(label, row, column)
        self._grid.addWidget(value, row, column + 1, 1, span)
        self._values[title] = label, value

    def show_facts(self, found: dict[str, str], problem: str) -> None:
        for title, (label, value) in self._values.items():
            text = found[title]
            value.show_text(text)
            optional = title in OPTIONAL
            label.setVisible(bool(text) or not optional)
            value.setVisible(bool(text) or not optional)
            if not text:
                value.setPlaceholderText("–")
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))

    def text_of(self, title: str) -> str:
        return self._values[title][1].text()


class Details(QWidget):
    """The tabs about the selected transfer."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("details")
        self._task: Task | None = None
        self._progress: Progress | None = None
        self.general = General()
        self.headers = Headers()
        self.timing = Waterfall()
        self.speed = SpeedGraph()
        self.model = EventModel(self)
        self.table = EventTable(self.model, "details_events")
        for column in (EventColumn.SEQUENCE, EventColumn.SESSION, EventColumn.TASK):
            self.table.setColumnHidden(column, True)
        self.tabs = QTabWidget()
        self.tabs.setObjectName("details_tabs")
        self.tabs.setAccessibleName(tr("Details"))
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(self.general, tr("General"))
        self.tabs.addTab(self.headers, tr("Headers"))
        self.tabs.addTab(self.timing, tr("Timing"))
        self.tabs.addTab(self.table, tr("Events"))
        self.tabs.addTab(self.speed, tr("Speed"))
        self.tabs.currentChanged.connect(self._show_tab)
        self.nothing = QLabel(tr("Select one transfer to see its details."))
        self.nothing.setObjectName("details_nothing")
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.nothing.setProperty("role", "muted")
        self.pages = QStackedWidget()
        self.pages.addWidget(self.nothing)
        self.pages.addWidget(self.tabs)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.pages)
        self._clock = QTimer(self)
        self._clock.setInterval(1000)
        self._clock.timeout.connect(self._show)
        # the names of a session's own headers
        self.session_headers: Callable[[str], Iterable[str]] = lambda _key: ()

        # how many there are to a task's server, and why
        self.connections: Callable[[Task], str] = lambda _task: ""

    def __repr__(self) -> str:
        return f"<Details {self._task.key if self._task else None} lines={len(self.model.lines)}>"

    def show_task(self, task: Task | None) -> None:
        """Show this record; None when not exactly one is selected. Another task's events are taken
        away.
        """
        if task is None or self._task is None or task.key != self._task.key:
            self._progress = None
            self.model.reset([])
        self._task = task
        self.speed.show_key(None if task is None else task.key)
        self.pages.setCurrentWidget(self.nothing if task is None else self.tabs)
        self._show()
        self._run_clock()

    def set_history(self, events: Sequence[Event]) -> None:
        """The journal of this task, oldest first; what was told meanwhile stays after it."""
        live = [line.event for line in self.model.lines]
        self.model.reset([EventLine(event) for event in merged_events(events, live)])

    def apply(self, event: Event) -> None:
        """One more event of this task; others are passed over."""
        if self._task is None or event.task_key != self._task.key:
            return
        self.model.append([EventLine(event)])
        if event.task is not None:
            self._task = event.task
            self._show()
            self._run_clock()

    def set_progress(self, progress: Progress) -> None:
        self._progress = progress
        self._show()

    def note_totals(self, moved: Mapping[TaskKey, int]) -> None:
        """What all running tasks have moved so far, for the graph of any that is selected later."""
        now = time.monotonic()
        for key, total in moved.items():
            self.speed.add(key, total, now)

    def _show(self) -> None:
        if self._task is None:
            return
        error = self._task.error
        problem = (
            humanize.error(error) if error is not None and look_of(self._task) == "failed" else ""
        )
        if self._task.waiting and self._task.waiting_hint:
            problem = units.clean(f"{self._task.waiting_reason} {self._task.waiting_hint}".strip())
        problem = problem or humanize.unconfirmed(self._task)
        found = facts_of(
            self._task,
            self._progress,
            time.time(),
            time.monotonic(),
            connections=self.connections(self._task),
        )
        self.general.show_facts(found, problem)
        look = look_of(self._task)
        self.general.connections.show_picture(
            parts_of(self._task, self._progress if look == "running" else None),
            found["Parts"],
            mirrors_of(self._task),
            BARS.get(look, "bar_idle"),
        )
        self._show_tab()

    def _show_tab(self) -> None:
        """What is behind another tab is made when it is looked at."""
        if self._task is None:
            return
        if self.tabs.currentWidget() is self.headers:
            self.headers.show_task(self._task, self.session_headers(self._task.session))
        elif self.tabs.currentWidget() is self.timing:
            self.timing.show_transactions(self._task.metrics.transactions)

    # A clock only while a countdown is seen

    def _run_clock(self) -> None:
        task = self._task
        counts = task is not None and task.waiting and task.waiting_until is not None
        if counts and self.isVisible():
            self._clock.start()
        else:
            self._clock.stop()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._run_clock()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._clock.stop()
