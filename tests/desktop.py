"""A desktop for the real app, as far as it needs one: a D-Bus of its own and a notification server on it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusSignature
from dbus_fast.service import ServiceInterface, dbus_method

DAEMON = shutil.which("dbus-daemon")
WHY_NOT = "dbus-daemon is not installed (make test installs it where it may)"


@dataclass(frozen=True)
class Shown:
    """One notification as the desktop got it."""

    title: str
    body: str
    actions: list[str] = field(default_factory=list)


class _Notifications(ServiceInterface):
    def __init__(self) -> None:
        super().__init__("org.freedesktop.Notifications")
        self.shown: list[Shown] = []

    @dbus_method()
    def GetCapabilities(self) -> Annotated[list[str], DBusSignature("as")]:
        return ["body", "actions"]

    @dbus_method()
    def GetServerInformation(self) -> Annotated[tuple[str, str, str, str], DBusSignature("ssss")]:
        return ("tests", "transfermon", "1", "1.2")

    @dbus_method()
    def Notify(
        self,
        app: Annotated[str, DBusSignature("s")],
        replaces: Annotated[int, DBusSignature("u")],
        icon: Annotated[str, DBusSignature("s")],
        summary: Annotated[str, DBusSignature("s")],
        body: Annotated[str, DBusSignature("s")],
        actions: Annotated[list[str], DBusSignature("as")],
        hints: Annotated[dict[str, Any], DBusSignature("a{sv}")],
        timeout: Annotated[int, DBusSignature("i")],
    ) -> Annotated[int, DBusSignature("u")]:
        self.shown.append(Shown(summary, body, list(actions)))
        return len(self.shown)

    @dbus_method()
    def CloseNotification(self, number: Annotated[int, DBusSignature("u")]):
        pass


class Desktop:
    """`address` goes into DBUS_SESSION_BUS_ADDRESS; `shown` grows."""

    def __init__(self, address: str, service: _Notifications) -> None:
        self.address = address
        self._service = service

    @property
    def shown(self) -> list[Shown]:
        return list(self._service.shown)


@contextmanager
def a_bus() -> Iterator[str]:
    """The address of a bus of our own for as long as the block lasts."""
    assert DAEMON is not None, WHY_NOT
    daemon = subprocess.Popen(
        [DAEMON, "--session", "--nofork", "--print-address=1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert daemon.stdout is not None
    try:
        yield daemon.stdout.readline().decode().strip()
    finally:
        daemon.terminate()
        daemon.wait(10)
        daemon.stdout.close()


@contextmanager
def running() -> Iterator[Desktop]:
    """A bus and a notification server for as long as the block lasts."""
    with a_bus() as address, _serving(address) as service:
        yield Desktop(address, service)


@contextmanager
def _serving(address: str) -> Iterator[_Notifications]:
    loop = asyncio.new_event_loop()
    up, service = threading.Event(), _Notifications()
    over = asyncio.Event()

    async def serve() -> None:
        bus = await MessageBus(bus_address=address).connect()
        bus.export("/org/freedesktop/Notifications", service)
        await bus.request_name("org.freedesktop.Notifications")
        up.set()
        await over.wait()
        bus.disconnect()
        await bus.wait_for_disconnect()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="notifications")
    thread.start()
    try:
        assert up.wait(10), "the notification server did not come up"
        yield service
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()
