"""The network that is simulated, as all connections of one transport meet it.

Rule: what is simulated is a plain value of `simulation`; here it acts. No server hears of a request
that is answered here.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
from collections.abc import Callable

from transfermon.wire.network_errors import ConnectError
from transfermon.wire.simulation import NONE, Simulation


class SimulatedNetwork:
    """What all connections of one transport pretend to meet."""

    def __init__(self) -> None:
        self.simulation: Simulation = NONE
        # told when an answer of a count was given
        self.on_answered: Callable[[Simulation], None] | None = None
        self.random = random.random

    def __repr__(self) -> str:
        return f"<SimulatedNetwork {self.simulation.words or 'none'}>"

    @property
    def loses(self) -> bool:
        """Whether a connection breaks now, by chance."""
        return bool(self.simulation.loss) and self.random() < self.simulation.loss

    def take_answer(self) -> int:
        """The status that is simulated for the next request, or 0; a counted one is used up."""
        status, left = self.simulation.status, self.simulation.answered()
        if left != self.simulation:
            self.simulation = left
            if self.on_answered is not None:
                self.on_answered(left)
        return status

    def require_network(self) -> None:
        """Raises ConnectError, as without any network, while it is offline."""
        if self.simulation.offline:
            cause = OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
            raise ConnectError("the network simulation is offline") from cause

    async def delay(self) -> None:
        """The time of a round trip."""
        await asyncio.sleep(self.simulation.latency)
