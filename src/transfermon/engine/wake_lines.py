"""The lines of the ledger: what woke the app or wanted to, and what became of it.

Rule: a line is written here before anything is done about it, and each change of one is stored and
told.
"""

from __future__ import annotations

from collections.abc import Iterable

from transfermon.engine.shared import Engine
from transfermon.model.configuration import WAKES_KEPT
from transfermon.model.events import WakeChangedEvent
from transfermon.model.task import changed
from transfermon.model.wake_policy import Wake, WakeOutcome


class WakeLedger:
    """The newest 1,000, oldest first."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._wakes: dict[str, Wake] = {}

    def __repr__(self) -> str:
        return f"<WakeLedger {len(self._wakes)} waiting={len(self.waiting())}>"

    def restore(self, remembered: Iterable[Wake]) -> None:
        """Take the lines as they were stored. A handler that was open has nobody to end it any
        more.
        """
        for wake in remembered:
            self._wakes[wake.identifier] = wake
            if wake.open:
                self.update(
                    changed(wake, outcome=WakeOutcome.INTERRUPTED, ended=self._engine.clock.now())
                )

    @property
    def lines(self) -> tuple[Wake, ...]:
        return tuple(self._wakes.values())

    def __getitem__(self, identifier: str) -> Wake:
        return self._wakes[identifier]

    def find(self, identifier: str) -> Wake | None:
        return self._wakes.get(identifier)

    def waiting(self) -> list[Wake]:
        """Those that are held or delayed, as they are now."""
        return [wake for wake in self._wakes.values() if wake.waiting]

    def update(self, wake: Wake) -> Wake:
        self._wakes[wake.identifier] = wake
        while len(self._wakes) > WAKES_KEPT:
            del self._wakes[next(iter(self._wakes))]
        self._engine.record(WakeChangedEvent(wake=wake), wake=wake)
        return wake

    def drop(self, wake: Wake, note: str) -> None:
        """It will not be delivered; `note` says why."""
        now = self._engine.clock.now()
        self.update(changed(wake, outcome=WakeOutcome.DROPPED, note=note, ended=now))

    def keep_newest(self, newest: Wake, note: str) -> None:
        """Drop the others of its kind that wait."""
        for wake in self.waiting():
            if wake.kind is newest.kind and wake.identifier != newest.identifier:
                self.drop(wake, note)

    def supersede(self, sequence: str, note: str) -> list[Wake]:
        """Mark the lines of this sequence as taken back, and drop those that wait. Returns those
        that were not marked before; without a sequence there are none.
        """
        found = [
            wake
            for wake in self._wakes.values()
            if sequence and wake.sequence == sequence and not wake.superseded
        ]
        for wake in found:
            taken = self.update(changed(wake, superseded=True))
            if taken.waiting:
                self.drop(taken, note)
        return found
