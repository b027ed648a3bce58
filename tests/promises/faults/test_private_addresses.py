"""P6: what a push names in a private network is not touched: no packet goes there.

The addresses are put on the loopback of a network of our own, with a listener behind them, so that
a program that fails here still sends nothing out.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Resource, reply
from tests.helpers.namespaces import NameServer, Network, found
from tests.helpers.recorder import LIMIT, eventually
from tests.helpers.sessions import always
from transfermon.engine.monitor import Monitor
from transfermon.model.task import Task
from transfermon.model.wake_policy import WakeOutcome
from transfermon.videofarm.sync import VideoSync

pytestmark = pytest.mark.anyio
PRIVATE = [
    "169.254.169.254",  # where a cloud keeps the credentials of a machine
    "10.20.30.40",
    "172.16.5.5",
    "192.168.1.5",
    "100.64.7.7",
    "fc00::5",
    "fd12:3456::7",
    "fe80::77",
]


@pytest.fixture
def canary(net: Network) -> Iterator[socket.socket]:
    """Listens at every address of the network; the kernel answers for it, so an attempt is seen
    without an `accept`.
    """
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        listener.setblocking(False)
        yield listener


@pytest.fixture
def sync(watching: Monitor) -> Iterator[VideoSync]:
    made = VideoSync(watching)
    yield made
    made.close()


def visited(canary: socket.socket) -> bool:
    """Whether somebody connected since the last question."""
    with contextlib.suppress(BlockingIOError):
        canary.accept()[0].close()
        return True
    return False


def packets() -> int:
    """What went over the loopback of this network so far."""
    for line in Path("/proc/thread-self/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == "lo":
            return int(numbers.split()[1])
    raise AssertionError("there is no loopback")


async def pushed(monitor: Monitor, url: str) -> Task:
    """The task that a push from outside made of this address, at its end."""
    payload = {"content-available": 1, "download_url": url}
    await monitor.push(json.dumps(payload), by_hand=False)
    await eventually(
        lambda: monitor.background.ledger[-1].outcome is not WakeOutcome.NONE,
        "the end of its handler",
    )
    (task,) = monitor.tasks()
    # a name that nobody has allowed yet waits for a person, who allows it here
    monitor.commands.resume(task.key)
    async with asyncio.timeout(LIMIT):
        return await monitor.handle(task.key).wait()


def place(net: Network, address: str) -> None:
    """This address is on the loopback from now on."""
    if ":" in address:
        net.ip("-6", "addr", "add", f"{address}/128", "dev", "lo", "nodad")
    else:
        net.ip("addr", "add", f"{address}/32", "dev", "lo")


def reaches(there: tuple[str, int]) -> bool:
    try:
        socket.create_connection(there, timeout=5).close()
    except OSError:
        return False
    return True


def spelled(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@pytest.mark.parametrize("address", PRIVATE)
async def test_fault_p6_no_packet_goes_to_a_private_address_that_a_push_names(
    net: Network, watching: Monitor, sync: VideoSync, canary: socket.socket, address: str
):
    place(net, address)
    port = canary.getsockname()[1]
    there = (f"{address}%lo" if address.startswith("fe80") else address, port)
    # the kernel makes it when it has a moment
    await eventually(lambda: reaches(there), "a way to the address")
    assert visited(canary)  # whoever tries gets there
    before = packets()
    task = await pushed(watching, f"http://{spelled(address)}:{port}/latest/meta-data/")
    assert task.error is not None
    assert task.error.reason == "pol.private-address"
    assert packets() == before
    assert not visited(canary)


@pytest.mark.parametrize("address", PRIVATE)
async def test_fault_p6_a_name_that_stands_for_a_private_address_is_not_followed_there(
    net: Network, watching: Monitor, sync: VideoSync, canary: socket.socket, address: str
):
    place(net, address)
    with NameServer(lambda name, kind: found(address, kind)) as names:
        task = await pushed(watching, f"http://metadata.example.com:{canary.getsockname()[1]}/")
    assert names.asked
    assert task.error is not None
    assert task.error.reason == "pol.private-address"
    assert not visited(canary)


async def test_fault_p6_a_redirect_does_not_lead_to_a_private_address(
    net: Network, watching: Monitor, sync: VideoSync, canary: socket.socket
):
    place(net, PRIVATE[0])
    moved = always(reply(302, {"Location": f"http://{PRIVATE[0]}:{canary.getsockname()[1]}/"}))
    with ByteServer(Resource(b"", before=moved)) as server:
        watching._engine.allowed_hosts.add(f"127.0.0.1:{server.port}")
        task = await pushed(watching, server.url("/a"))
        assert len(server.requests) == 1
    assert task.error is not None
    assert task.error.reason == "pol.private-address"
    assert not visited(canary)
