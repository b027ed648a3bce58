"""The network simulation in the window: a menu to order a bad network, and the mark in the status
bar while there is one.

Rule: both show what the monitor says, never what was clicked.
"""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QPushButton, QWidget

from transfermon.model import units
from transfermon.model.record import record
from transfermon.model.translate import tr
from transfermon.wire.simulation import NONE, PROFILES, Simulation

LOSSES = (0.01, 0.05, 0.2)


@record
class Choice:
    """A line of the menu, and what is simulated after it was chosen."""

    text: str
    then: Simulation
    checked: bool | None = None  # None: it is no state that can be left again
    opens_group: bool = False


def choices(now: Simulation) -> list[Choice]:
    """What can be ordered. A line that is checked ends what it says; the order is always the
    same.
    """
    found = [
        Choice(text=tr("&Offline"), then=replace(now, offline=not now.offline), checked=now.offline)
    ]
    for profile in PROFILES:
        on = now.profile == profile
        text = tr("{name}: {rate}, {latency:.0f} ms").format(
            name=profile.name, rate=units.rate(profile.rate), latency=profile.latency * 1000
        )
        then = replace(now, profile=None if on else profile)
        found.append(Choice(text=text, then=then, checked=on, opens_group=profile is PROFILES[0]))
    for loss in LOSSES:
        on = now.loss == loss
        then = replace(now, loss=0.0 if on else loss)
        found.append(
            Choice(
                text=tr("{share:.3g} % lost").format(share=loss * 100),
                then=then,
                checked=on,
                opens_group=loss == LOSSES[0],
            )
        )
    for count, text in ((1, tr("Answer 503 o&nce")), (0, tr("Answer 503 to &all requests"))):
        on = (now.status, now.answers) == (503, count)
        then = replace(now, status=0 if on else 503, answers=0 if on else count)
        found.append(Choice(text=text, then=then, checked=on, opens_group=count == 1))
    return [*found, Choice(text=tr("&Change every ETag"), then=now.next_version())]


class SimulationMenu(QMenu):
    """Made once; `show_state` keeps its marks true."""

    wanted = Signal(object)  # the Simulation that was chosen
    drop_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(tr("&Network simulation"), parent)
        self._now = NONE
        self.actions_of_choices: list[QAction] = []
        for index, choice in enumerate(choices(NONE)):
            if choice.opens_group:
                self.addSeparator()
            action = self.addAction(choice.text)
            action.setCheckable(choice.checked is not None)
            action.triggered.connect(lambda _=False, index=index: self._choose(index))
            self.actions_of_choices.append(action)
        self.drop_action = self.addAction(tr("&Drop all connections now"))
        self.drop_action.triggered.connect(lambda: self.drop_wanted.emit())
        self.addSeparator()
        self.off_action = self.addAction(tr("&Switch off"))
        self.off_action.triggered.connect(lambda: self.wanted.emit(NONE))
        self.show_state(NONE)

    def show_state(self, now: Simulation) -> None:
        self._now = now
        for action, choice in zip(self.actions_of_choices, choices(now), strict=True):
            action.setChecked(bool(choice.checked))
        self.off_action.setEnabled(now.on)

    def _choose(self, index: int) -> None:
        then = choices(self._now)[index].then
        self.show_state(self._now)  # the click has moved the mark already
        self.wanted.emit(then)


class SimulationMark(QPushButton):
    """Hidden while nothing is simulated; a click ends it."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("status_simulation")
        self.setProperty("role", "warn")
        self.setFlat(True)
        self.setToolTip(tr("The network is not as it seems. Click to end the simulation."))
        self.hide()

    def show_state(self, now: Simulation) -> None:
        words = tr("Network simulation: {words}").format(words=now.words)
        self.setText(words)
        self.setAccessibleName(words)
        self.setVisible(now.on)
