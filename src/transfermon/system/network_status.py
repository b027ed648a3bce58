"""Whether there is a network at all, and whether large transfers are welcome on it (T-17, T-18).

Rule: nobody polls. The kernel tells of changes through netlink, and where it cannot be asked, all
counts as well: then retries find out (D10). Loopback is no network, and never waits for one.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import glob
import ipaddress
import logging
import socket
import struct
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

from transfermon.system.metered import MeteredWatch

log = logging.getLogger(__name__)

# linux/rtnetlink.h: RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE
_ROUTE_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
_KERNEL_UEVENTS = 1  # the group that the kernel itself sends to; unprivileged readers are welcome
_NETLINK_ROUTE, _NETLINK_KOBJECT_UEVENT = 0, 15
_TAKEN_AWAY = frozenset({17, 21, 25})  # RTM_DELLINK, RTM_DELADDR, RTM_DELROUTE
_SETTLE = 0.05  # seconds; one change of the network is a burst of messages
_RTF_UP = 0x1
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_SIOCGIFFLAGS = 0x8913
ON_BATTERY = "The computer runs on battery."
METERED = "The network is metered."
UNSURE = "Whether the network is metered is not known yet."


def is_local(url: str) -> bool:
    """Whether an address leads to this machine, which needs no network."""
    return _is_local_host((urlsplit(url).hostname or "").rstrip("."))


@functools.lru_cache(maxsize=256)
def _is_local_host(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Connectivity:
    """What is known of the network. This one is told by `update`; `SystemConnectivity` asks the
    kernel.
    """

    def __init__(self) -> None:
        self._there = True
        self.cut_off = False  # by a simulation: this machine cannot be reached, either
        self.changed: Callable[[], None] | None = None  # called on the loop after each change
        self._ways: frozenset[str] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'online' if self.online else 'offline'}>"

    def open(self) -> None:
        """Begin to watch, on the running loop."""

    def close(self) -> None:
        self.changed = None
        self.cut_off = False

    @property
    def online(self) -> bool:
        return self._there and not self.cut_off

    def leads_to(self, url: str) -> bool:
        """Whether there is a way to this address, as far as anybody can know."""
        return not self.cut_off and (self._there or is_local(url))

    def cut(self, off: bool) -> None:
        """Pretend that there is no network at all, or end that."""
        if off != self.cut_off:
            self.cut_off = off
            log.info("a network without any way is %s", "simulated" if off else "simulated no more")
            if self.changed is not None:
                self.changed()

    def update(
        self, online: bool, ways: frozenset[str] = frozenset(), *, anew: bool = False
    ) -> None:
        """Take note; `ways` are the routes, so that a move to another network is a change too; so
        is a network that went and came back at once (`anew`).
        """
        if (
            online == self._there
            and ways == (self._ways if self._ways is not None else ways)
            and not anew
        ):
            self._ways = ways
            return
        self._there, self._ways = online, ways
        log.info("the network is %s", "there" if online else "gone")
        if self.changed is not None:
            self.changed()


class SystemConnectivity(Connectivity):
    """Linux: online while an interface other than loopback is running and has a route that is not
    link-local.
    """

    def __init__(self) -> None:
        super().__init__()
        self._watch = _Netlink(_NETLINK_ROUTE, _ROUTE_GROUPS, self._look, self._note)
        self._lost = False  # something was taken away since the last look

    def open(self) -> None:
        if self._watch.open():
            self._look()

    def close(self) -> None:
        super().close()
        self._watch.close()

    def _note(self, messages: bytes) -> bool:
        at = 0
        while at + 16 <= len(messages):
            length, kind = struct.unpack_from("=IH", messages, at)
            self._lost |= kind in _TAKEN_AWAY
            at += max(16, (length + 3) & ~3)
        return True

    def _look(self) -> None:
        lost, self._lost = self._lost, False
        try:
            ways = ways_out()
        except OSError as exc:
            log.info("the routes cannot be read, so the network counts as there: %s", exc)
            self.update(True)
        else:
            self.update(bool(ways), ways, anew=lost)


def ways_out() -> frozenset[str]:
    """The routes that lead off this machine, as text. Raises OSError where /proc does not show
    them.
    """
    found: set[str] = set()
    running: dict[str, bool] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for interface, route in [*_routes_of_4(), *_routes_of_6()]:
            if interface not in running:
                running[interface] = _is_running(asking, interface)
            if running[interface]:
                found.add(f"{interface} {route}")
    return frozenset(found)


# The files are those of this thread's network namespace; /proc/net are those of the process's first
# thread.
def _lines(name: str) -> list[list[str]]:
    with open(f"/proc/thread-self/net/{name}", encoding="ascii", errors="replace") as file:
        return [line.split() for line in file]


def _routes_of_4() -> list[tuple[str, str]]:
    return [
        (fields[0], " ".join((*fields[1:3], fields[7])))
        for fields in _lines("route")[1:]
        # 169.254, reversed
        if fields[0] != "lo" and int(fields[3], 16) & _RTF_UP and not fields[1].endswith("FEA9")
    ]


def _routes_of_6() -> list[tuple[str, str]]:
    try:
        lines = _lines("ipv6_route")
    except FileNotFoundError:  # a kernel without IPv6
        return []
    return [
        (fields[9], " ".join((*fields[:2], fields[4])))
        for fields in lines
        if fields[9] != "lo"
        and int(fields[8], 16) & _RTF_UP
        and not fields[0].startswith(("fe8", "ff"))
    ]


def _is_running(asking: socket.socket, interface: str) -> bool:
    """Up and with a carrier: a route through an unplugged cable stays in the table."""
    import fcntl  # this line is reached on Linux only

    request = struct.pack("16sh14x", interface.encode("ascii", "replace")[:15], 0)
    try:
        answer = fcntl.ioctl(asking.fileno(), _SIOCGIFFLAGS, request)
    except OSError:
        return False
    (flags,) = struct.unpack_from("H", answer, 16)
    wanted = _IFF_UP | _IFF_RUNNING
    return bool(flags & wanted == wanted)


class Policy:
    """Whether a discretionary task may start: mains power and an unmetered network (T-18). Told by
    `update`.
    """

    def __init__(self) -> None:
        self.on_battery = False
        self.metered: bool | None = False  # None: it is not known yet
        self.changed: Callable[[], None] | None = None  # called on the loop after each change

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.why_not() or 'allows all'}>"

    def open(self) -> None:
        """Begin to watch, on the running loop."""

    def close(self) -> None:
        self.changed = None

    async def closed(self) -> None:
        """Done when nothing is watched any more."""

    def ask_metered(self) -> None:
        """Somebody needs to know it: from now on `metered` follows the network."""

    def why_not(self) -> str:
        """Why discretionary tasks wait, in words; "" when they may start."""
        return ON_BATTERY if self.on_battery else self.why_unwanted()

    def why_unwanted(self) -> str:
        """Why tasks wait that must not use a metered network; "" when they may start."""
        return UNSURE if self.metered is None else METERED if self.metered else ""

    def update(self, *, on_battery: bool | None = None, metered: bool | None = None) -> None:
        """Take note of what is given."""
        before = (self.on_battery, self.metered)
        self.on_battery = self.on_battery if on_battery is None else on_battery
        self.metered = self.metered if metered is None else metered
        self._tell_since(before)

    def note_metered(self, metered: bool | None) -> None:
        """Take note of it; None: it is not known for now."""
        before = (self.on_battery, self.metered)
        self.metered = metered
        self._tell_since(before)

    def _tell_since(self, before: tuple[bool, bool | None]) -> None:
        if before != (self.on_battery, self.metered) and self.changed is not None:
            self.changed()


class SystemPolicy(Policy):
    """Linux: power as /sys/class/power_supply says it, the price of the network as NetworkManager
    does, which is asked when the first task comes that minds it.
    """

    def __init__(self, folder: str = "/sys/class/power_supply") -> None:
        super().__init__()
        self._folder = folder
        self._watch = _Netlink(_NETLINK_KOBJECT_UEVENT, _KERNEL_UEVENTS, self._look, _is_of_power)
        self._metered_watch = MeteredWatch()
        self._may_ask = False

    def open(self) -> None:
        self._may_ask = True
        self._look()
        if glob.glob(f"{self._folder}/*"):  # a machine without a battery has no news of it
            self._watch.open()

    def close(self) -> None:
        super().close()
        self._may_ask = False
        self._watch.close()

    async def closed(self) -> None:
        await self._metered_watch.close()

    def ask_metered(self) -> None:
        if self._may_ask:
            self._may_ask = False
            self.metered = None  # nobody needed to know it before, so nobody is told
            self._metered_watch.watch(self.note_metered)

    def _look(self) -> None:
        self.update(on_battery=on_battery(self._folder))


def on_battery(folder: str) -> bool:
    """Whether a battery is being drained and no mains supply is connected."""
    draining = False
    for supply in glob.glob(f"{folder}/*"):
        kind = _first_line(f"{supply}/type")
        if kind in ("Mains", "USB") and _first_line(f"{supply}/online") == "1":
            return False
        own = _first_line(f"{supply}/scope") != "Device"  # a mouse has a battery too
        draining |= kind == "Battery" and own and _first_line(f"{supply}/status") == "Discharging"
    return draining


def _is_of_power(message: bytes) -> bool:
    return b"SUBSYSTEM=power_supply" in message


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""


class _Netlink:
    """One multicast subscription on the loop; calls back once for a burst of messages."""

    def __init__(
        self,
        protocol: int,
        groups: int,
        told: Callable[[], None],
        concerns: Callable[[bytes], bool],
    ) -> None:
        self._protocol = protocol
        self._groups = groups
        self._told = told
        self._concerns = concerns
        self._sock: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None

    def open(self) -> bool:
        """False where the kernel has no such thing or does not let us."""
        if sys.platform != "linux":
            return False
        try:
            flags = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            self._sock = socket.socket(socket.AF_NETLINK, flags, self._protocol)
            self._sock.bind((0, self._groups))
        except OSError as exc:
            log.info("changes are not told by the kernel: %s", exc)
            self.close()
            return False
        asyncio.get_running_loop().add_reader(self._sock.fileno(), self._read)
        return True

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._sock is not None:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(self._sock.fileno())
            self._sock.close()
            self._sock = None

    def _read(self) -> None:
        assert self._sock is not None
        wanted = False
        while True:
            try:
                wanted |= self._concerns(self._sock.recv(65536))
            except BlockingIOError:
                break
            except OSError:  # ENOBUFS: some were lost, so look
                wanted = True
                break
        if wanted and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_SETTLE, self._settled)

    def _settled(self) -> None:
        self._timer = None
        self._told()
