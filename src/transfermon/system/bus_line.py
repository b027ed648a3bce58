"""A connection to D-Bus. Only this module knows the D-Bus library.

Rule: nothing here fails where there is no library, no bus and no service but the one call that
asked; whoever asks gives it `ANSWER` seconds and goes on without.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

ANSWER = 3.0  # seconds that one service may take; one that hangs is as good as none
DAEMON = "org.freedesktop.DBus"


class BusLine:
    """A connection to one bus, "SYSTEM" or "SESSION", and the descriptors that came over it."""

    def __init__(self, bus: str) -> None:
        self._name = bus
        self._bus: Any = None  # dbus_fast.aio.MessageBus
        self._descriptors: list[int] = []
        self._closed = False

    def __repr__(self) -> str:
        return f"<BusLine {self._name} {len(self._descriptors)} descriptors>"

    async def connect(self) -> None:
        """Once, before all else. Raises what the library raises where there is no such bus."""
        # 40 ms that the window does not pay
        dbus = await asyncio.to_thread(importlib.import_module, "dbus_fast")
        aio = await asyncio.to_thread(importlib.import_module, "dbus_fast.aio")
        bus = aio.MessageBus(bus_type=dbus.BusType[self._name], negotiate_unix_fd=True)
        await bus.connect()
        self._bus = bus
        bus.add_message_handler(self._keep)

    async def follow(self, rule: str, hear: Callable[[Any], None]) -> None:
        """From now on the messages that match `rule` come, and `hear` gets every message."""
        self._bus.add_message_handler(hear)
        await self.call(DAEMON, "/org/freedesktop/DBus", DAEMON, "AddMatch", "s", rule)

    async def call(
        self, service: str, path: str, interface: str, member: str, signature: str, *arguments: Any
    ) -> list[Any]:
        """What the method answers. A service that does not run is not started for it. Raises
        ConnectionRefusedError where it says no, or is not there.
        """
        dbus = sys.modules["dbus_fast"]
        message = dbus.Message(
            destination=service,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(arguments),
            # one that had to be started would know of no desktop, and of no network
            flags=dbus.MessageFlag.NO_AUTOSTART,
        )
        answer = await self._bus.call(message)
        if answer is None or answer.message_type is not dbus.MessageType.METHOD_RETURN:
            raise ConnectionRefusedError(
                f"{answer.error_name}: {answer.body[:1]}" if answer else "no answer"
            )
        return list(answer.body)

    def _keep(self, message: Any) -> None:
        # As they come in, not from the answer: one whose waiter was just cancelled would stay open
        # for ever.
        self._descriptors.extend(message.unix_fds)
        if self._closed:  # the library still reads what had come before the end
            self.drop()

    def close(self) -> None:
        """The services have been told on return: by the system, which closes our ends."""
        self._closed = True
        self.drop()
        if self._bus is not None and self._bus.connected:
            self._bus.disconnect()

    def drop(self) -> None:
        """Let go of what the services have lent; the connection stays."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    async def lost(self) -> None:
        """Done when the connection has ended, whoever ended it. Not to be cancelled: close the
        line.
        """
        with contextlib.suppress(Exception):  # it raises why the other side had closed it
            await self._bus.wait_for_disconnect()

    async def closed(self) -> None:
        """Done when the library has let go of the connection, too."""
        if self._bus is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ANSWER):
                    await self.lost()
