"""A desktop for the real app, as far as it needs one: a D-Bus of its own and a notification server
on it.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusSignature
from dbus_fast.constants import PropertyAccess
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal

DAEMON = shutil.which("dbus-daemon")
TRAY = "org.kde.StatusNotifierWatcher"
WHY_NOT = "dbus-daemon is not installed (make test installs it where it may)"


@dataclass(frozen=True)
class Shown:
    """One notification as the desktop got it."""

    title: str
    body: str
    actions: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)  # their names


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
        self.shown.append(Shown(summary, body, list(actions), sorted(hints)))
        return len(self.shown)

    @dbus_signal()
    def ActionInvoked(
        self, number: int, action: str
    ) -> Annotated[tuple[int, str], DBusSignature("us")]:
        return number, action

    @dbus_method()
    def CloseNotification(self, number: Annotated[int, DBusSignature("u")]):
        pass


class _Tray(ServiceInterface):
    """A host of status notifier items: whom a desktop's panel is, as far as an app can see."""

    def __init__(self) -> None:
        super().__init__("org.kde.StatusNotifierWatcher")
        self.items: list[str] = []

    @dbus_method()
    def RegisterStatusNotifierItem(self, service: Annotated[str, DBusSignature("s")]):
        self.items.append(service)

    @dbus_property(access=PropertyAccess.READ)
    def IsStatusNotifierHostRegistered(self) -> Annotated[bool, DBusSignature("b")]:
        return True


class Desktop:
    """`address` goes into DBUS_SESSION_BUS_ADDRESS; `shown` grows."""

    def __init__(
        self,
        address: str,
        service: _Notifications,
        tray: _Tray,
        bus: MessageBus,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.address = address
        self._service, self._tray, self._bus, self._loop = service, tray, bus, loop

    @property
    def shown(self) -> list[Shown]:
        return list(self._service.shown)

    @property
    def tray_items(self) -> list[str]:
        """The apps that have an icon in the tray, by their names on the bus."""
        return list(self._tray.items)

    def click_notification(self, shown: Shown, action: str = "default") -> None:
        """A person clicks on a banner, or on one of its buttons."""
        number = self._service.shown.index(shown) + 1
        self._loop.call_soon_threadsafe(self._service.ActionInvoked, number, action)

    def end_tray(self) -> None:
        """The panel with the tray ends, and forgets its icons."""
        asyncio.run_coroutine_threadsafe(self._bus.release_name(TRAY), self._loop).result(10)
        self._tray.items.clear()

    def begin_tray(self) -> None:
        """The panel is there again."""
        asyncio.run_coroutine_threadsafe(self._bus.request_name(TRAY), self._loop).result(10)

    def click_tray(self) -> None:
        """A person clicks on the newest icon in the tray."""
        asyncio.run_coroutine_threadsafe(self._activate(self._tray.items[-1]), self._loop).result(
            10
        )

    async def _activate(self, item: str) -> None:
        service, path = (item, "/StatusNotifierItem") if not item.startswith("/") else ("", item)
        answer = await self._bus.call(
            Message(
                destination=service,
                path=path,
                interface="org.kde.StatusNotifierItem",
                member="Activate",
                signature="ii",
                body=[0, 0],
            )
        )
        assert answer is not None
        assert answer.message_type is MessageType.METHOD_RETURN, answer.body


@contextmanager
def a_bus() -> Iterator[str]:
    """The address of a bus of our own for as long as the block lasts."""
    assert DAEMON is not None, WHY_NOT
    daemon = subprocess.Popen(
        [DAEMON, "--session", "--nofork", "--print-address=1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert daemon.stdout is not None
    try:
        yield daemon.stdout.readline().decode().strip()
    finally:
        daemon.terminate()
        daemon.wait(10)
        daemon.stdout.close()


@contextmanager
def running(*, tray: bool = False) -> Iterator[Desktop]:
    """A bus and a notification server for as long as the block lasts, and a tray where one is
    wanted.
    """
    with a_bus() as address, _serving(address, tray=tray) as made:
        yield made


@contextmanager
def _serving(address: str, *, tray: bool) -> Iterator[Desktop]:
    loop = asyncio.new_event_loop()
    up, over = threading.Event(), asyncio.Event()
    made: list[Desktop] = []

    async def serve() -> None:
        bus = await MessageBus(bus_address=address).connect()
        made.append(Desktop(address, _Notifications(), _Tray(), bus, loop))
        bus.export("/org/freedesktop/Notifications", made[0]._service)
        await bus.request_name("org.freedesktop.Notifications")
        if tray:
            bus.export("/StatusNotifierWatcher", made[0]._tray)
            await bus.request_name(TRAY)
        up.set()
        await over.wait()
        bus.disconnect()
        await bus.wait_for_disconnect()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="notifications")
    thread.start()
    try:
        assert up.wait(10), "the notification server did not come up"
        yield made[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()
