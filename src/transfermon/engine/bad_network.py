"""A bad network, simulated for all transfers of an engine, and for as long as it lives."""

from __future__ import annotations

from transfermon.engine.shared import Engine
from transfermon.wire.simulation import Simulation


class NetworkSimulation:
    """That of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def simulation(self) -> Simulation:
        """What is simulated now."""
        return self._engine.simulation

    def simulate(self, simulation: Simulation) -> None:
        """At once and for all transfers; `simulation.NONE` ends it. Observers are told."""
        self._engine.simulate(simulation)

    def drop_connections(self) -> int:
        """Break all open connections as a bad line would, and say how many; transfers go on from
        what is stored.
        """
        return self._engine.transport.cut() if self._engine.transport is not None else 0
