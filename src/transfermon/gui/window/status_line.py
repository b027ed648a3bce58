"""The status line: rates, counts, what is wrong, and the states of channel, network and app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QStatusBar

from transfermon.gui.window.simulation_menu import SimulationMark
from transfermon.model import units
from transfermon.model.translate import marked, tr

if TYPE_CHECKING:  # the monitor brings the engine, which loads after the window shows
    from transfermon.engine.overview import Status

APP_STATES = {
    "foreground": marked("Foreground"),
    "background": marked("Background"),
    "suspended": marked("Suspended"),
}


class StatusLine:
    """The labels of one window's status bar."""

    def __init__(self) -> None:
        self.rate_label = _label("status_rate", tr("Rates of downloads and uploads"))
        self.network_label = _label("status_network", tr("Network"))
        self.count_label = _label("status_counts", tr("Transfers"))
        self.warning_label = _label("status_warning", tr("Warning"))
        self.warning_label.setProperty("role", "bad")
        self.warning_label.hide()
        self.state_label = _label("status_app_state", tr("App state"))
        self.channel_label = _label("status_channel", tr("Push channel"))
        self.channel_label.hide()
        self.simulation_mark = SimulationMark()

    def __repr__(self) -> str:
        return f"<StatusLine {self.count_label.text()!r}>"

    def place_in(self, bar: QStatusBar) -> None:
        bar.setSizeGripEnabled(False)
        bar.addWidget(self.rate_label)
        bar.addWidget(self.count_label)
        bar.addWidget(self.warning_label, 1)
        bar.addPermanentWidget(self.simulation_mark)
        bar.addPermanentWidget(self.channel_label)
        bar.addPermanentWidget(self.network_label)
        bar.addPermanentWidget(self.state_label)

    def show_status(self, status: Status) -> bool:
        """Whether the app's state is another than before."""
        self.rate_label.setText(f"↓ {_rate(status.down_rate)}   ↑ {_rate(status.up_rate)}")
        self.network_label.setText(_network(status))
        self.count_label.setText(
            counts_line(status.running, status.queued, status.waiting, status.failed)
        )
        frozen = status.frozen_reason
        self.warning_label.setText(
            tr("Changes cannot be stored now: {frozen}").format(frozen=units.clean(frozen))
            if frozen
            else ""
        )
        self.warning_label.setVisible(bool(frozen))
        state = tr(APP_STATES.get(status.app_state, status.app_state))
        changed = state != self.state_label.text()
        if changed:
            self.state_label.setText(state)
        return changed


def _label(name: str, accessible: str) -> QLabel:
    label = QLabel()
    label.setObjectName(name)
    label.setAccessibleName(accessible)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label


def _network(status: Status) -> str:
    if not status.online:
        return tr("No network")
    return tr("Online, metered") if status.metered else tr("Online")


def _rate(rate: float) -> str:
    return units.rate(rate) if rate >= 1 else "–"


def counts_line(running: int, queued: int, waiting: int, failed: int) -> str:
    """`3 active · 5 queued`, and what else is not zero."""
    parts = [tr("%n active", "1 active", running), tr("%n queued", "1 queued", queued)]
    if waiting:
        parts.append(tr("%n waiting", "1 waiting", waiting))
    if failed:
        parts.append(tr("%n failed", "1 failed", failed))
    return "  ·  ".join(parts)
