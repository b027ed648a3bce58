"""The panels of the window, and where they stand.

Rule: nobody is connected here, and nothing is known of the monitor.
"""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMainWindow,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from transfermon.gui.list.model import TaskModel
from transfermon.gui.list.table import TaskTable
from transfermon.gui.panels.details import Details
from transfermon.gui.panels.event_list import EventsView
from transfermon.gui.panels.preview import Preview
from transfermon.gui.panels.sidebar import Sidebar
from transfermon.gui.panels.wake_ledger import WakesView
from transfermon.gui.toolkit import theme
from transfermon.gui.toolkit.toasts import Toasts
from transfermon.gui.window.simulation_menu import SimulationMenu
from transfermon.gui.window.status_line import StatusLine
from transfermon.model.translate import tr

START_LIST, START_DETAILS = 9 * theme.ROW + theme.ROW + 31, 260  # ten whole rows at the start size


class EmptyPage(QWidget):
    """Where the list would be, while there are no transfers."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("empty_state")
        sentence = QLabel(tr("Nothing is being transferred. Add an address, or drop a link here."))
        sentence.setObjectName("empty_text")
        sentence.setProperty("role", "muted")
        sentence.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.add_button = QPushButton(tr("Add a URL"))
        self.add_button.setObjectName("empty_add")
        self.add_button.setProperty("primary", True)
        self.demo_button = QPushButton(tr("Start the demo"))
        self.demo_button.setObjectName("empty_demo")
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.add_button)
        row.addWidget(self.demo_button)
        row.addStretch(1)
        column = QVBoxLayout(self)
        column.addStretch(2)
        column.addWidget(sentence)
        column.addSpacing(12)
        column.addLayout(row)
        column.addStretch(3)


class Panels:
    """What one window shows; the filter, the simulation menu and the status line get their places
    from `build`.
    """

    def __init__(self, window: QMainWindow) -> None:
        self.sidebar = Sidebar()
        self.model = TaskModel(window)
        self.table = TaskTable()
        self.table.setModel(self.model)
        self.details = Details()
        self.events = EventsView()
        self.wakes = WakesView()
        self.preview = Preview()
        self.empty = EmptyPage()
        self.pages = QStackedWidget()
        self.pages.addWidget(self.empty)
        self.pages.addWidget(self.table)
        self.tabs = QTabWidget()
        self.tabs.setObjectName("bottom_tabs")
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(self.details, tr("Details"))
        self.tabs.addTab(self.events, tr("All events"))
        self.tabs.addTab(self.wakes, tr("Background"))
        self.words = _filter_field()
        self.simulation_menu = SimulationMenu(window)
        self.status = StatusLine()
        self._lay_out(window)

    def __repr__(self) -> str:
        return f"<Panels {self.model}>"

    def _lay_out(self, window: QMainWindow) -> None:
        self.middle = QSplitter(Qt.Orientation.Vertical)
        self.middle.addWidget(self.pages)
        self.middle.addWidget(self.tabs)
        self.across = QSplitter(Qt.Orientation.Horizontal)
        for panel in (self.sidebar, self.middle, self.preview):
            self.across.addWidget(panel)
        widths = start_widths(window.width())
        for splitter, sizes in ((self.across, widths), (self.middle, [START_LIST, START_DETAILS])):
            splitter.setHandleWidth(1)
            splitter.setChildrenCollapsible(False)
            splitter.setSizes(sizes)
        self.across.setStretchFactor(1, 4)
        self.across.setStretchFactor(2, 1)
        self.middle.setStretchFactor(0, 1)
        # a splitter takes every child for a pane, so the messages need another parent
        ground = QWidget()
        column = QVBoxLayout(ground)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.across)
        window.setCentralWidget(ground)
        self.toasts = Toasts(ground)

    def turn_to(self, tab: QWidget) -> None:
        """One of the tabs below the list."""
        self.tabs.setCurrentWidget(tab)
        self.tabs.show()


def _filter_field() -> QLineEdit:
    made = QLineEdit()
    made.setObjectName("filter")
    made.setAccessibleName(tr("Filter"))
    made.setPlaceholderText(tr("Filter"))
    made.setClearButtonEnabled(True)
    made.setMinimumWidth(120)
    made.setMaximumWidth(220)
    return made


def start_size(room: QSize) -> QSize:
    """Never larger than the screen, whose frame and title take some of it."""
    return QSize(1200, 720).boundedTo(room - QSize(8, 40))


def start_widths(width: int) -> list[int]:
    """Of sidebar, list and preview: the list's names come first, then sessions and pictures get a
    part of plenty.
    """
    sidebar, preview = (
        min(240, max(174, round(width * 0.172))),
        min(420, max(240, round(width * 0.205))),
    )
    return [sidebar, width - sidebar - preview - 2, preview]
