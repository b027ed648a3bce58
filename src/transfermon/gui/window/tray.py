"""The tray icon: what goes on at a glance, and the few commands that people want without the
window.

Rule: at most one change a second, and only when something to be seen changed; no timer while
nothing changes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field

from PySide6.QtCore import QObject, QPointF, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QColor, QIcon, QPainter, QPen, QPixmap, QPolygonF
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from transfermon.model import units
from transfermon.model.record import record
from transfermon.model.tally import Fate, Tally
from transfermon.model.task import Progress, Task, TaskKey
from transfermon.model.translate import tr

SIZES = (22, 32, 64)
STEPS = 16  # positions of the ring
INTERVAL_MS = 1000
ROWS = 5  # of the tooltip

HOST = "org.kde.StatusNotifierWatcher"
IDLE, ACTIVE, ERROR = "#8a93a0", "#2f7de1", "#d1242f"


@record
class TrayState:
    """All that can be seen of the tray icon."""

    running: int = 0
    step: int | None = None  # 0 to STEPS; None when nothing runs or no total is known
    failed: bool = False
    line: str = field(default_factory=lambda: tr("No active transfers"))
    tip: str = "Transfermon"


def tray_state(
    tallies: Iterable[Tally],
    progress: Mapping[TaskKey, Progress],
    now: float,
    *,
    failed: bool = False,
) -> TrayState:
    """From the counts and the live counters; `now` in monotonic seconds, `failed` when a failure
    was not yet seen.
    """
    tallies = list(tallies)
    running = [task for tally in tallies for task in tally.running.values()]
    if not running:
        waiting = sum(tally.fates[Fate.QUEUED] + tally.fates[Fate.WAITING] for tally in tallies)
        if not waiting:
            return TrayState(failed=failed)
        return TrayState(failed=failed, line=tr("%n waiting", "1 waiting", waiting))
    received = expected = 0
    rate = 0.0
    rows: list[str] = []
    for task in running:
        live = progress.get(task.key)
        done = live.received if live else task.moved
        total = live.expected if live else task.total
        rate += live.rate.per_second(now) if live else 0.0
        if total > 0:
            received += min(done, total)
            expected += total
        if live and len(rows) < ROWS:
            rows.append(
                f"{_short(task)}  {units.percent(done, total) if total > 0 else units.size(done)}"
            )
    step = round(STEPS * received / expected) if expected else None
    line = _line(len(running), rate, expected - received)
    return TrayState(
        running=len(running), step=step, failed=failed, line=line, tip="\n".join([line, *rows])
    )


def _line(running: int, rate: float, left: int) -> str:
    parts = [tr("%n active", "1 active", running)]
    if rate >= 1:
        parts.append(units.rate(rate))
        if left > 0:
            parts.append(tr("{time} left").format(time=units.duration(left / rate)))
    return ", ".join(parts)


def _short(task: Task) -> str:
    name = units.clean(task.name or task.url.rpartition("/")[2] or task.url)
    return name if len(name) <= 32 else f"{name[:15]}…{name[-16:]}"


def painted(state: TrayState) -> QIcon:
    """An arrow in a ring: grey when idle, blue and filling when active, with a red dot after a
    failure.
    """
    icon = QIcon()
    for size in SIZES:
        icon.addPixmap(_pixmap(state, size))
    return icon


def _pixmap(state: TrayState, size: int) -> QPixmap:
    pixmap = QPixmap(size, size)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    unit = size / 32
    ring = QRectF(3 * unit, 3 * unit, 26 * unit, 26 * unit)
    color = QColor(ACTIVE if state.running else IDLE)
    pale = QColor(color)
    pale.setAlpha(90)
    painter.setPen(QPen(pale if state.running else color, 3.4 * unit))
    painter.drawEllipse(ring)
    if state.running:
        share = 0.25 if state.step is None else max(state.step / STEPS, 0.02)
        painter.setPen(QPen(color, 3.4 * unit, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap))
        painter.drawArc(ring, 90 * 16, -round(360 * 16 * share))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    painter.drawRect(QRectF(14.2 * unit, 9 * unit, 3.6 * unit, 8 * unit))
    head = [(10, 15.5), (22, 15.5), (16, 22.5)]
    painter.drawPolygon(QPolygonF([QPointF(x * unit, y * unit) for x, y in head]))
    if state.failed:
        painter.setBrush(QColor(ERROR))
        painter.drawEllipse(QRectF(20 * unit, 20 * unit, 11 * unit, 11 * unit))
    painter.end()
    return pixmap


class Tray(QObject):
    """The icon with its menu. Give it the window's own actions, so that a command is the same
    everywhere.
    """

    toggled = Signal()
    lost = Signal()  # the desktop's tray went away, and the icon with it

    def __init__(
        self, show: QAction, commands: Sequence[QAction | None], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._state = TrayState()
        self._wanted = self._state
        self.menu = QMenu()
        self.menu.setObjectName("tray_menu")
        self.menu.addAction(show)
        self.line = self.menu.addAction(self._state.line)
        self.line.setEnabled(False)
        self.menu.addSeparator()
        for command in commands:
            if command is None:
                self.menu.addSeparator()
            else:
                self.menu.addAction(command)
        self.icon = QSystemTrayIcon(painted(self._state), self)
        self.icon.setToolTip(self._state.tip)
        self.icon.setContextMenu(self.menu)
        self.icon.activated.connect(self._activated)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(INTERVAL_MS)
        self._timer.timeout.connect(self._settled)

    def __repr__(self) -> str:
        return f"<Tray {self._state.line!r} visible={self.icon.isVisible()}>"

    @property
    def state(self) -> TrayState:
        """What is seen now."""
        return self._state

    @staticmethod
    def available() -> bool:
        """Whether this desktop has a tray at this moment; it can come and go."""
        return QSystemTrayIcon.isSystemTrayAvailable()

    def show(self) -> None:
        self.icon.show()
        self._watch_host()

    def _watch_host(self) -> None:
        # Qt does not tell when the host goes; the bus does, where the tray is on the bus. Older
        # ones are looked for with `look`, when something happens anyway.
        if not sys.platform.startswith("linux"):
            return
        from PySide6.QtDBus import QDBusConnection, QDBusServiceWatcher

        bus = QDBusConnection.sessionBus()
        if bus.isConnected():
            gone = QDBusServiceWatcher.WatchModeFlag.WatchForUnregistration
            watcher = QDBusServiceWatcher(HOST, bus, gone, self)
            watcher.serviceUnregistered.connect(self.look)

    def look(self) -> None:
        """Tell when there is no tray any more."""
        if not self.available():
            self.lost.emit()

    def update(self, state: TrayState) -> None:
        """See this state: at once, or when the last change is a second old."""
        self._wanted = state
        if not self._timer.isActive() and state != self._state:
            self._apply()

    def close(self) -> None:
        """Take icon and menu away while the application still lives."""
        self._timer.stop()
        self.icon.hide()
        self.icon.setContextMenu(None)  # type: ignore[arg-type]
        self.menu.deleteLater()
        self.deleteLater()

    def _apply(self) -> None:
        old, self._state = self._state, self._wanted
        seen = (old.running > 0, old.step, old.failed)
        if seen != (self._state.running > 0, self._state.step, self._state.failed):
            self.icon.setIcon(painted(self._state))
        if old.tip != self._state.tip:
            self.icon.setToolTip(self._state.tip)
        self.line.setText(self._state.line)
        self._timer.start()

    def _settled(self) -> None:
        if self._wanted != self._state:
            self._apply()

    def _activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason is QSystemTrayIcon.ActivationReason.Trigger:
            self.toggled.emit()
