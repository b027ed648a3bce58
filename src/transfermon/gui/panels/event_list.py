"""All events, in order, with brackets around what belongs together: filter, pause, clear, copy,
export.

Rule: it listens only. Pausing or filtering hides events; it never stops anything.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence

from PySide6.QtCore import QStandardPaths, Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QComboBox, QFileDialog, QLineEdit, QToolButton, QVBoxLayout, QWidget

from transfermon.gui.panels.event_brackets import Brackets
from transfermon.gui.panels.event_log import (
    GROUPS,
    MOST,
    EventLine,
    EventModel,
    EventTable,
    as_ndjson,
    group_of,
    merged_events,
)
from transfermon.gui.toolkit import theme
from transfermon.gui.toolkit.collapsing_bars import Bar, Note
from transfermon.gui.toolkit.thread_signal import Bell, Rope
from transfermon.model.events import Event
from transfermon.model.translate import marked, tr

GATHER_MS = 100
ALL_KINDS, ALL_SESSIONS = marked("All kinds"), marked("All sessions")


class EventsView(QWidget):
    """The newest `MOST` events. `exported` carries the path, or a sentence of why it could not be
    written.
    """

    exported = Signal(str, str)

    def __init__(self, parent: QWidget | None = None, *, most: int = MOST) -> None:
        super().__init__(parent)
        self.setObjectName("events")
        self._all: deque[EventLine] = deque(maxlen=most)
        self._new: list[EventLine] = []
        self._held: deque[EventLine] = deque(maxlen=most)  # came while paused
        self.model = EventModel(self, most=most)
        self.table = EventTable(self.model, "events_table", brackets=True)
        self._brackets = Brackets()
        self._clock = QTimer(self)  # while the budget of a handler runs and somebody sees it
        self._clock.setInterval(500)
        self._clock.timeout.connect(self._tick)
        self._gather = QTimer(self)
        self._gather.setSingleShot(True)
        self._gather.setInterval(GATHER_MS)
        self._gather.timeout.connect(self.flush)
        self._build()
        self._retint()
        theme.themed.changed.connect(self._retint)
        self.exported.connect(self._say_exported)

    def __repr__(self) -> str:
        return f"<EventsView lines={len(self._all)} paused={self.paused}>"

    def _build(self) -> None:
        self.words = QLineEdit()
        self.words.setObjectName("events_filter")
        self.words.setAccessibleName(tr("Filter the events"))
        self.words.setPlaceholderText(tr("Filter"))
        self.words.setClearButtonEnabled(True)
        self.words.setMaximumWidth(200)
        self.words.textChanged.connect(self._filter)
        self.kinds = self._menu("events_kind", tr("Kind of event"), (ALL_KINDS, *GROUPS))
        self.sessions = self._menu("events_session", tr("Session"), (ALL_SESSIONS,))
        self.note = Note("events_note")
        self.pause_button = self._button("events_pause", tr("Pause"), tr("Hold new events back"))
        self.pause_button.setCheckable(True)
        self.pause_button.toggled.connect(self._paused)
        self.clear_button = self._button(
            "events_clear", tr("Clear"), tr("Clear this view; the journal keeps the events")
        )
        self.clear_button.clicked.connect(self.clear)
        self.copy_button = self._button(
            "events_copy", tr("Copy"), tr("Copy the selected events, or all that are shown")
        )
        self.copy_button.clicked.connect(self.table.copy)
        self.export_button = self._button(
            "events_export", tr("Export…"), tr("Save what is shown as NDJSON")
        )
        self.export_button.clicked.connect(self.ask_export)
        buttons = (self.pause_button, self.clear_button, self.copy_button, self.export_button)
        bar = Bar(
            [self.words, self.kinds, self.sessions, self.note, *buttons],
            giving=[[self.pause_button]],
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(bar)
        column.addWidget(self.table)

    def _menu(self, name: str, accessible: str, items: Sequence[str]) -> QComboBox:
        menu = QComboBox()
        menu.setObjectName(name)
        menu.setAccessibleName(accessible)
        menu.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        menu.setMaximumWidth(180)
        menu.setMinimumWidth(70)
        for item in items:
            menu.addItem(tr(item), item)
        menu.currentTextChanged.connect(self._filter)
        return menu

    def _button(self, name: str, text: str, tip: str) -> QToolButton:
        button = QToolButton()
        button.setObjectName(name)
        button.setAccessibleName(text)
        button.setText(text)
        button.setToolTip(tip)
        button.setProperty("flat", True)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return button

    def _retint(self) -> None:
        self.pause_button.setIcon(theme.icon("play" if self.paused else "pause", "muted"))
        for button, name in (
            (self.clear_button, "eraser"),
            (self.copy_button, "copy"),
            (self.export_button, "save"),
        ):
            button.setIcon(theme.icon(name, "muted"))

    # Events

    def reset(self, events: Sequence[Event]) -> None:
        """Show this history, and after it what was told while it was being read."""
        live = [line.event for line in (*self._all, *self._new)]
        self._new.clear()
        self._all.clear()
        self._brackets = Brackets()
        self._take([EventLine(event) for event in merged_events(events, live)])
        self._filter()

    def apply(self, event: Event) -> None:
        """Shown within a tenth of a second, together with what else came."""
        (self._held if self.paused else self._new).append(EventLine(event))
        if not self._gather.isActive():
            self._gather.start()

    def flush(self) -> None:
        """Show now what was gathered. Happens by itself."""
        if self.paused:
            self.pause_button.setText(
                tr("Go on (%n new)", "Go on (1 new)", len(self._held))
                if self._held
                else tr("Go on")
            )
        new, self._new = self._new, []
        self._take(new)
        self.model.append(self._passing(new))
        self._count()

    def _take(self, lines: Sequence[EventLine]) -> None:
        for line in lines:
            line.marks = self._brackets.take(line.event)
        self._all.extend(lines)
        if any(line.marks for line in lines):
            self._tick()
        for session in dict.fromkeys(line.session for line in lines):
            if session and self.sessions.findText(session) < 0:
                self.sessions.addItem(session, session)

    @property
    def paused(self) -> bool:
        return self.pause_button.isChecked()

    def _paused(self, on: bool) -> None:
        if not on:
            self._new += self._held
            self._held.clear()
        self.pause_button.setText(tr("Go on") if on else tr("Pause"))
        self._retint()
        self.flush()

    def clear(self) -> None:
        for kept in (self._all, self._new, self._held):
            kept.clear()
        self.model.reset([])
        self._count()

    @property
    def ticking(self) -> bool:
        return self._clock.isActive()

    def _tick(self) -> None:
        self.table.viewport().update()  # an end also changes how the line of the beginning looks
        if not (self.isVisible() and self._brackets.counts_down(time.time())):
            self._clock.stop()
        elif not self._clock.isActive():
            self._clock.start()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._tick()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._clock.stop()

    # Filter

    def _passing(self, lines: Iterable[EventLine]) -> list[EventLine]:
        """Those that are to be shown; what was chosen is asked once, not for each of thousands."""
        kind, session = self.kinds.currentData(), self.sessions.currentData()
        found = list(lines)
        if kind != ALL_KINDS:
            found = [line for line in found if group_of(line.event) == kind]
        if session != ALL_SESSIONS:
            found = [line for line in found if line.session == session]
        if words := self.words.text().lower().split():
            found = [line for line in found if line.has_all(words)]
        return found

    def _filter(self) -> None:
        self.model.reset(self._passing(self._all))
        self._count()

    def _count(self) -> None:
        shown, there = len(self.model.lines), len(self._all)
        events = tr("%n events", "1 event", there)
        self.note.setText(
            events if shown == there else tr("{shown} of {there}").format(shown=shown, there=there)
        )

    # Export

    def ask_export(self) -> None:
        """Ask for a file and write what is shown to it."""
        folder = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
        dialog = QFileDialog(self, tr("Export events"), os.path.join(folder, "events.ndjson"))
        dialog.setObjectName("events_export_dialog")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilter("NDJSON (*.ndjson)")
        dialog.setDefaultSuffix("ndjson")
        dialog.fileSelected.connect(self.export)
        dialog.open()

    def export(self, path: str) -> None:
        """Write what is shown, off the window's thread; `exported` tells when it is there."""
        text = as_ndjson([line.event for line in self.model.lines])
        bell = Bell(self)

        def told(failure: str) -> None:
            bell.close()
            self.exported.emit("" if failure else path, failure)

        bell.rang.connect(told)
        threading.Thread(
            target=_write, args=(path, text, bell.rope), name="export of events", daemon=True
        ).start()

    def _say_exported(self, path: str, failure: str) -> None:
        self.note.setText(failure or tr("Saved as {path}").format(path=os.path.basename(path)))


def _write(path: str, text: str, rope: Rope) -> None:
    try:
        with open(path, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError as exc:
        rope.pull(tr("The file could not be written: {strerror}.").format(strerror=exc.strerror))
    else:
        rope.pull("")
