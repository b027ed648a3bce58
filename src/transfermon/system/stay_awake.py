"""Keeping the computer awake, through whichever D-Bus service offers it.

Rule: nobody waits for a bus and nothing fails without one. What keeps the computer awake is a
connection or a descriptor of this process: closing it is the release, and the kernel closes it when
the process is killed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from transfermon.model.record import record
from transfermon.system.bus_line import ANSWER, BusLine
from transfermon.system.runners import Runners

log = logging.getLogger(__name__)

COMMAND = 2.0  # seconds that a command may run before the desktop is asked
AGAIN = 300.0  # seconds after which a desktop that offered nothing is asked once more
WHO = "Transfermon"
WHY = "Transfers are running"
_SUSPEND = 4  # the flag of the portal and of GNOME; the screen may go dark


@record
class Service:
    """One that can be asked; its method's answer needs no look: the connection is what counts."""

    bus: str  # "SYSTEM" or "SESSION", as the library names them
    name: str
    path: str
    interface: str
    signature: str
    body: tuple[Any, ...]


# The first that says yes. “sleep” alone: to block “idle” as well would keep the screen lit on some
# desktops.
SERVICES = (
    Service(
        bus="SYSTEM",
        name="org.freedesktop.login1",
        path="/org/freedesktop/login1",
        interface="org.freedesktop.login1.Manager",
        signature="ssss",
        body=("sleep", WHO, WHY, "block"),
    ),
    Service(
        bus="SESSION",
        name="org.gnome.SessionManager",
        path="/org/gnome/SessionManager",
        interface="org.gnome.SessionManager",
        signature="susu",
        body=("transfermon", 0, WHY, _SUSPEND),
    ),
    Service(
        bus="SESSION",
        name="org.freedesktop.PowerManagement",
        path="/org/freedesktop/PowerManagement/Inhibit",
        interface="org.freedesktop.PowerManagement.Inhibit",
        signature="ss",
        body=(WHO, WHY),
    ),
    Service(
        bus="SESSION",
        name="org.freedesktop.portal.Desktop",
        path="/org/freedesktop/portal/desktop",
        interface="org.freedesktop.portal.Inhibit",
        signature="sua{sv}",
        body=("", _SUSPEND, {}),
    ),
)


class Inhibitor:
    """Says on the desktop that the computer may not go to sleep, for as long as it is wanted.

    `after` so many seconds of that: a command that is done at once need not ask.
    """

    def __init__(self, *, after: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._after = after
        self._clock = clock
        self._runners = Runners()
        self._wanted = False
        self._asking: asyncio.Task[None] | None = None
        self._line: BusLine | None = None  # what keeps the computer awake
        self._holder = ""  # who gave it
        self._not_before = 0.0
        self._said = False

    def __repr__(self) -> str:
        return f"<Inhibitor wanted={self._wanted} holding={self.holding}>"

    @property
    def holding(self) -> str:
        """The service that keeps the computer awake now; "" when none does."""
        return self._holder if self._line is not None else ""

    def want(self, wanted: bool) -> None:
        """Keep the computer awake, or let it sleep. Returns at once; letting go has happened
        then.
        """
        if wanted == self._wanted:
            return
        self._wanted = wanted
        if not wanted:
            self._let_go()
        elif self._clock() >= self._not_before:
            self._asking = self._runners.spawn(self._ask(), "asking the desktop to stay awake")

    async def close(self) -> None:
        """Let go, for good."""
        self.want(False)
        await self._runners.close()

    def _let_go(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None
        if self._line is not None:
            line, self._line = self._line, None
            line.close()
            self._runners.spawn(line.closed(), "closing a connection to D-Bus")

    async def _ask(self) -> None:
        await asyncio.sleep(self._after)
        for service in SERVICES:
            line = BusLine(service.bus)
            try:
                async with asyncio.timeout(ANSWER):
                    await line.connect()
                    await inhibit(line, service)
                self._line, self._holder = line, service.name
                return
            except Exception as exc:  # noqa: BLE001 - no library, bus or service, a refusal: each has its exceptions
                log.debug(
                    "%s does not keep the computer awake: %s: %s",
                    service.name,
                    type(exc).__name__,
                    exc,
                )
            finally:
                if self._line is not line:
                    line.close()
                    await line.closed()
        self._not_before = self._clock() + AGAIN
        if not self._said:
            log.info("nobody on this desktop keeps the computer awake during transfers")
        self._said = True


async def inhibit(line: BusLine, service: Service) -> None:
    """Ask for it, once more where it was let go; raises when the service says no."""
    await line.call(
        service.name, service.path, service.interface, "Inhibit", service.signature, *service.body
    )
