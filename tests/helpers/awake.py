"""The services that keep a computer awake, on a bus of their own, and who holds them."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

from tests.helpers import desktop

LOGIN = "org.freedesktop.login1"
GNOME = "org.gnome.SessionManager"
POWER = "org.freedesktop.PowerManagement"
PORTAL = "org.freedesktop.portal.Desktop"
_ANSWERS: dict[str, tuple[str, list[Any]]] = {
    GNOME: ("u", [7]),
    POWER: ("u", [8]),
    PORTAL: ("o", ["/a/request"]),
}


@dataclass
class Keepers:
    """Speaks for the services; `environment` leads a process, or this one, to them."""

    address: str
    # by service: "no" or "nothing"; else it says yes
    answers: dict[str, str] = field(default_factory=dict)
    # service, interface, arguments
    asked: list[tuple[str, str, list[Any]]] = field(default_factory=list)
    taken: int = 0
    released: int = 0
    delaying: int = 0  # who is waited for before the computer sleeps
    locks: Callable[[], object] = bool  # say that the screen is locked
    sleeps: Callable[[bool], object] = bool  # say that the computer is going to sleep, or has woken

    @property
    def environment(self) -> dict[str, str]:
        return {"DBUS_SYSTEM_BUS_ADDRESS": self.address, "DBUS_SESSION_BUS_ADDRESS": self.address}

    @property
    def held(self) -> int:
        """By how many the computer is kept awake now."""
        return self.taken - self.released


class _Service:
    def __init__(self, keepers: Keepers, bus: MessageBus) -> None:
        self._keepers = keepers
        self._bus = bus
        self._callers: list[str] = []

    def hear(self, message: Message) -> bool:
        if message.member == "NameOwnerChanged" and not message.body[2]:
            self._keepers.released += self._callers.count(message.body[0])
        if message.message_type is not MessageType.METHOD_CALL or message.member != "Inhibit":
            return False
        service = str(message.destination)
        if service == LOGIN and message.body[3] == "delay":
            self._lend(message, delay=True)
            return True
        self._keepers.asked.append((service, str(message.interface), list(message.body)))
        answer = self._keepers.answers.get(service, "")
        if answer == "no":
            self._bus.send(
                Message.new_error(message, "org.freedesktop.DBus.Error.AccessDenied", "no")
            )
        elif not answer and service == LOGIN:
            self._lend(message)
        elif not answer:
            self._callers.append(str(message.sender))
            self._keepers.taken += 1
            self._bus.send(Message.new_method_return(message, *_ANSWERS[service]))
        return True

    def say_sleep(self, going: bool) -> None:
        interface = "org.freedesktop.login1.Manager"
        self._bus.send(
            Message.new_signal(
                "/org/freedesktop/login1", interface, "PrepareForSleep", "b", [going]
            )
        )

    def say_lock(self) -> None:
        interface = "org.freedesktop.login1.Session"
        self._bus.send(Message.new_signal("/org/freedesktop/login1/session/_31", interface, "Lock"))

    def _lend(self, message: Message, *, delay: bool = False) -> None:
        """A descriptor; the hold ends when nobody has it open any more."""
        ours, theirs = os.pipe()
        loop = asyncio.get_running_loop()

        def ended() -> None:
            loop.remove_reader(ours)
            os.close(ours)
            if delay:
                self._keepers.delaying -= 1
            else:
                self._keepers.released += 1

        loop.add_reader(ours, ended)
        if delay:
            self._keepers.delaying += 1
        else:
            self._keepers.taken += 1
        sent = self._bus.send(Message.new_method_return(message, "h", [0], [theirs]))
        sent.add_done_callback(lambda _: os.close(theirs))


@contextmanager
def keeping(names: Sequence[str]) -> Iterator[Keepers]:
    """Those services, for as long as the block lasts; all must have been let go at its end."""
    with desktop.a_bus() as address:
        keepers = Keepers(address)
        loop, up, over = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

        async def serve() -> None:
            bus = await MessageBus(bus_address=address, negotiate_unix_fd=True).connect()
            service = _Service(keepers, bus)
            bus.add_message_handler(service.hear)
            keepers.locks = lambda: loop.call_soon_threadsafe(service.say_lock)
            keepers.sleeps = lambda going: loop.call_soon_threadsafe(service.say_sleep, going)
            rule = "type='signal',interface='org.freedesktop.DBus',member='NameOwnerChanged'"
            await bus.call(
                Message(
                    destination="org.freedesktop.DBus",
                    path="/org/freedesktop/DBus",
                    interface="org.freedesktop.DBus",
                    member="AddMatch",
                    signature="s",
                    body=[rule],
                )
            )
            for name in names:
                await bus.request_name(name)
            up.set()
            await over.wait()
            bus.disconnect()
            await bus.wait_for_disconnect()

        thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="keepers")
        thread.start()
        try:
            assert up.wait(10), "the services did not come up"
            yield keepers
        finally:
            loop.call_soon_threadsafe(over.set)
            thread.join(10)
            loop.close()
