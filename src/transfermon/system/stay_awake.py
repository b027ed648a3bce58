"""Keeping the computer awake, through whichever D-Bus service offers it. Only this module knows the
D-Bus library.

Rule: nobody waits for a bus and nothing fails without one. What keeps the computer awake is a
connection or a descriptor of this process: closing it is the release, and the kernel closes it when
the process is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from transfermon.model.record import record
from transfermon.system.runners import Runners

log = logging.getLogger(__name__)

ANSWER = 3.0  # seconds that one service may take; one that hangs is as good as none
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
        self._not_before = 0.0
        self._said = False

    def __repr__(self) -> str:
        return f"<Inhibitor wanted={self._wanted} holding={self.holding}>"

    @property
    def holding(self) -> str:
        """The service that keeps the computer awake now; "" when none does."""
        return self._line.service.name if self._line is not None else ""

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
            line = BusLine(service)
            try:
                async with asyncio.timeout(ANSWER):
                    await line.ask()
                self._line = line
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


class BusLine:
    """A connection to one service, and the descriptors that came over it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._bus: Any = None  # dbus_fast.aio.MessageBus
        self._descriptors: list[int] = []
        self._closed = False

    def __repr__(self) -> str:
        return f"<Line {self.service.name} {len(self._descriptors)} descriptors>"

    async def ask(self, hear: Callable[[Any], None] | None = None, rule: str = "") -> None:
        """Done when the service has said yes; raises when it has not. `hear` gets the messages that
        match `rule`.
        """
        # 40 ms that the window does not pay
        dbus = await asyncio.to_thread(importlib.import_module, "dbus_fast")
        aio = await asyncio.to_thread(importlib.import_module, "dbus_fast.aio")
        service = self.service
        bus = aio.MessageBus(bus_type=dbus.BusType[service.bus], negotiate_unix_fd=True)
        await bus.connect()
        self._bus = bus
        bus.add_message_handler(self._keep)
        if hear is not None:
            bus.add_message_handler(hear)
            await self._call(
                dbus.Message(
                    destination="org.freedesktop.DBus",
                    path="/org/freedesktop/DBus",
                    interface="org.freedesktop.DBus",
                    member="AddMatch",
                    signature="s",
                    body=[rule],
                )
            )
        await self.hold()

    async def hold(self) -> None:
        """Ask for it, once more where it was let go; raises when the service says no."""
        dbus, service = sys.modules["dbus_fast"], self.service
        await self._call(
            dbus.Message(
                destination=service.name,
                path=service.path,
                interface=service.interface,
                member="Inhibit",
                signature=service.signature,
                body=list(service.body),
                # one that had to be started would know of no desktop
                flags=dbus.MessageFlag.NO_AUTOSTART,
            )
        )

    async def _call(self, message: Any) -> None:
        answer = await self._bus.call(message)
        if answer is None or answer.message_type is not type(message.message_type).METHOD_RETURN:
            raise ConnectionRefusedError(
                f"{answer.error_name}: {answer.body[:1]}" if answer else "no answer"
            )

    def _keep(self, message: Any) -> None:
        # As they come in, not from the answer: one whose waiter was just cancelled would stay open
        # for ever.
        self._descriptors.extend(message.unix_fds)
        if self._closed:  # the library still reads what had come before the end
            self.drop()

    def close(self) -> None:
        """The service has been told on return: by the system, which closes our ends."""
        self._closed = True
        self.drop()
        if self._bus is not None and self._bus.connected:
            self._bus.disconnect()

    def drop(self) -> None:
        """Let go of what the service has lent; the connection stays."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    async def closed(self) -> None:
        """Done when the library has let go of the connection, too."""
        if self._bus is not None:
            with contextlib.suppress(Exception):  # it raises why the other side had closed it
                async with asyncio.timeout(ANSWER):
                    await self._bus.wait_for_disconnect()
