"""A NetworkManager on a bus of its own, as far as it says whether the network is metered."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from tests.helpers import desktop

NAME = "org.freedesktop.NetworkManager"
PATH = "/org/freedesktop/NetworkManager"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_TYPES = {"Metered": "u", "State": "u", "Startup": "b"}
UNKNOWN, YES, NO, GUESS_YES, GUESS_NO = range(5)  # NMMetered
DISCONNECTED, CONNECTING, CONNECTED = 20, 40, 70  # NMState


@dataclass
class NetworkManager:
    """`environment` leads a process, or this one, to it; `asked` counts the questions."""

    address: str
    said: dict[str, Any] = field(
        default_factory=lambda: {"Metered": GUESS_NO, "State": CONNECTED, "Startup": False}
    )
    asked: int = 0
    hangs: bool = False
    _bus: Any = None
    _run: Callable[[Coroutine[Any, Any, Any]], Any] = bool

    @property
    def environment(self) -> dict[str, str]:
        return {"DBUS_SYSTEM_BUS_ADDRESS": self.address}

    def say(self, **changes: Any) -> None:
        """It is so from now on, and everybody is told."""
        self._run(self._say(changes))

    def come(self, **said: Any) -> None:
        """It starts, knowing this."""
        self.said.update(said)
        self._run(self._bus.request_name(NAME))

    def go(self) -> None:
        """It ends; the network stays."""
        self._run(self._bus.release_name(NAME))

    async def _say(self, changes: dict[str, Any]) -> None:
        self.said.update(changes)
        told = {name: Variant(_TYPES[name], value) for name, value in changes.items()}
        signal = Message.new_signal(
            PATH, _PROPERTIES, "PropertiesChanged", "sa{sv}as", [NAME, told, []]
        )
        await self._bus.send(signal)

    def hear(self, message: Message) -> bool:
        if message.message_type is not MessageType.METHOD_CALL or message.member != "GetAll":
            return False
        assert (message.path, message.body) == (PATH, [NAME])
        self.asked += 1
        if not self.hangs:
            values = {name: Variant(_TYPES[name], value) for name, value in self.said.items()}
            self._bus.send(Message.new_method_return(message, "a{sv}", [values]))
        return True


@contextmanager
def managing(*, there: bool = True, **said: Any) -> Iterator[NetworkManager]:
    """One that says this, for as long as the block lasts; not `there` it is still to `come`."""
    with desktop.a_bus() as address:
        manager = NetworkManager(address)
        manager.said.update(said)
        loop, up, over = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

        async def serve() -> None:
            bus = manager._bus = await MessageBus(bus_address=address).connect()
            bus.add_message_handler(manager.hear)
            if there:
                await bus.request_name(NAME)
            up.set()
            await over.wait()
            bus.disconnect()
            await bus.wait_for_disconnect()

        manager._run = lambda work: asyncio.run_coroutine_threadsafe(work, loop).result(10)
        thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="manager")
        thread.start()
        try:
            assert up.wait(10), "the manager did not come up"
            yield manager
        finally:
            loop.call_soon_threadsafe(over.set)
            thread.join(10)
            loop.close()
