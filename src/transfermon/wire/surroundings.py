"""What all connections of one transport share."""

from __future__ import annotations

from transfermon.wire.deadlines import Deadlines
from transfermon.wire.simulated_network import SimulatedNetwork
from transfermon.wire.turns import Turns

READ_SIZE = 256 * 1024  # the best size through h11; larger ones make it copy fresh pages


class Surroundings:
    """Of one transport, on one loop."""

    def __init__(self) -> None:
        self.deadlines = Deadlines()
        self.turns = Turns()
        self.bad_network = SimulatedNetwork()
        # for records of TLS; used between two awaits only
        self.buffer = memoryview(bytearray(READ_SIZE))

    def __repr__(self) -> str:
        return f"<Surroundings {self.bad_network}>"

    def close(self) -> None:
        self.deadlines.close()
