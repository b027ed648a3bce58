"""Faults, group D: connections that are refused, lost, slow, proxied, or too many."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import namespaces, nginx
from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, reply
from tests.helpers.namespaces import SERVER, SERVER_6, NameServer, Network, failed, found
from tests.helpers.recorder import LIMIT, RECORDERS, Recorder, eventually, recorder_of
from tests.helpers.sessions import code_of, default_session, engine_process, quick_session
from transfermon.engine.monitor import Monitor
from transfermon.model.configuration import RetryPolicy
from transfermon.model.task import Activity, State
from transfermon.storage.settings import Settings
from transfermon.system import network_status as door
from transfermon.system.network_status import SystemConnectivity
from transfermon.text.humanize import status
from transfermon.wire.transport import Transport

pytestmark = pytest.mark.anyio


class Pulse:
    """Notes the longest time for which the loop did not run."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = time.monotonic()
        self._task = asyncio.ensure_future(self._beat())

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(0.005)
            now = time.monotonic()
            self.longest = max(self.longest, now - self._last)
            self._last = now

    async def stop(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


# ---- D1, D2


async def test_fault_d1_a_refused_connection_waits_and_goes_on_when_the_port_opens(
    monitor: Monitor, resource: Resource, recorder: Recorder
):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    task = quick_session(monitor).download_task(f"http://127.0.0.1:{port}/a")
    await recorder.wait_for("taskstate", task, count=3)
    assert task.state is State.RUNNING
    reasons = {event.reason for event in recorder.of("taskstate", task)}
    assert reasons == {"The server at 127.0.0.1 refused the connection."}
    with ByteServer(Resource(b"here"), port=port):
        assert (await task.wait()).succeeded


@pytest.mark.parametrize("kind", ["unreachable", "no route"])
async def test_fault_d1_without_a_way_there_it_waits_and_goes_on_when_there_is_one(
    net: Network, watching: Monitor, resource: Resource, kind: str
):
    recorder = recorder_of(watching)
    with net.on_server():
        namespaces.run("ip", "addr", "add", "10.88.0.1/32", "dev", "lo")
        server = ByteServer(resource, address="10.88.0.1")
    if kind == "unreachable":
        net.ip("route", "add", "unreachable", "10.88.0.0/16")
    else:
        net.ip("route", "del", "default")
    with server:
        session = quick_session(watching, retry_policy=RetryPolicy(minimum=100, maximum=100))
        task = session.download_task(server.url("/a"))
        await recorder.wait_for_state(task, State.RUNNING, Activity.WAITING_FOR_CONNECTIVITY)
        # without a default route the watcher may say so before the attempt has failed
        words = ["no way to 10.88.0.1", *(["no network"] if kind == "no route" else [])]
        await eventually(
            lambda: any(said in status(task.record, time.time()) for said in words),
            "the list says why it waits",
        )
        if kind == "unreachable":
            net.ip("route", "del", "unreachable", "10.88.0.0/16")
            # a change that the kernel tells of
            net.ip("route", "add", "10.88.0.0/16", "via", SERVER)
        else:
            net.ip("route", "add", "default", "via", SERVER)
        assert (await task.wait()).succeeded


@pytest.mark.slow
async def test_fault_d1_a_host_that_is_switched_off_is_unreachable(net: Network, watching: Monitor):
    task = default_session(watching, timeout_interval_for_request=6).download_task(
        "http://10.77.0.9/a"
    )
    await task.wait()
    # nobody answers where it should be, which takes three seconds to find out
    assert code_of(task) == -1009


def black_hole(net: Network, address: str) -> None:
    """Packets to this address leave and are never answered."""
    net.ip("neigh", "add", address, "dev", "c0", "lladdr", "02:00:00:00:00:09", "nud", "permanent")


async def test_fault_d2_a_black_hole_ends_by_time_and_holds_nobody_up(
    net: Network, monitor: Monitor, recorder: Recorder
):
    black_hole(net, "10.77.0.9")
    pulse = Pulse()
    session = quick_session(monitor, timeout_interval_for_request=0.4)
    task = session.download_task("http://10.77.0.9/a")
    event = await recorder.wait_for("taskstate", task)
    assert event.reason == "10.77.0.9 could not be reached in time."
    await pulse.stop()
    assert pulse.longest < 1
    assert task.state is State.RUNNING


@pytest.mark.slow
async def test_fault_d2_connecting_takes_fifteen_seconds_at_the_most(
    net: Network, monitor: Monitor
):
    black_hole(net, "10.77.0.9")
    began = time.monotonic()
    task = default_session(monitor).download_task("http://10.77.0.9/a")
    await task.wait()
    assert code_of(task) == -1001
    assert 14 < time.monotonic() - began < 60  # the kernel alone would try for two minutes


# ---- D3


@pytest.fixture
def alone() -> Iterator[None]:
    """A namespace with nothing but loopback, in which the resolver's server is ours."""
    if namespaces.why_not():
        pytest.skip(namespaces.why_not())
    with namespaces.network():
        yield


async def test_fault_d3_a_name_that_does_not_exist_fails_after_few_attempts(
    alone: None, monitor: Monitor
):
    with NameServer(lambda name, kind: failed(3)):
        task = quick_session(monitor).download_task("http://files.example.test/a")
        record = await task.wait()
    assert code_of(task) == -1003
    assert record.attempt == 3
    assert record.error is not None
    assert record.error.message == "There is no server named files.example.test."


@pytest.mark.parametrize("fault", ["servfail", pytest.param("silent", marks=pytest.mark.slow)])
async def test_fault_d3_a_resolver_in_trouble_is_waited_for(
    alone: None,
    monitor: Monitor,
    resource: Resource,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
):
    monkeypatch.setenv("RES_OPTIONS", "timeout:1 attempts:1")  # how long the C library itself waits
    broken = True

    def answer(name: str, kind: int) -> bytes | None:
        if not broken:
            return found("127.0.0.1", kind)
        return failed(2) if fault == "servfail" else None

    with NameServer(answer), ByteServer(resource) as server:
        pulse = Pulse()
        session = quick_session(monitor, timeout_interval_for_request=0.5)
        task = session.download_task(server.url("/a", "files.example.test"))
        await recorder.wait_for("taskstate", task)
        assert task.state is State.RUNNING
        await pulse.stop()
        assert pulse.longest < 1  # names are looked up elsewhere
        broken = False
        assert (await task.wait()).succeeded


async def test_fault_d3_a_slow_resolver_blocks_nobody(
    alone: None, monitor: Monitor, resource: Resource
):
    def answer(name: str, kind: int) -> bytes:
        time.sleep(0.5)
        return found("127.0.0.1", kind)

    with NameServer(answer), ByteServer(resource) as server:
        pulse = Pulse()
        slow = quick_session(monitor).download_task(server.url("/a", "files.example.test"))
        assert (await quick_session(monitor).download_task(server.url("/b")).wait()).succeeded
        assert slow.state is State.RUNNING
        assert (await slow.wait()).succeeded
        await pulse.stop()
        assert pulse.longest < 1


async def test_fault_d3_a_name_without_addresses_has_no_server(alone: None, monitor: Monitor):
    with NameServer(lambda name, kind: failed(0)):
        task = quick_session(monitor).download_task("http://files.example.test/a")
        await task.wait()
    assert code_of(task) == -1003


# ---- D4, D5


@pytest.mark.parametrize("size", [100_000, 1_000_000], ids=["through h11", "through the pump"])
@pytest.mark.parametrize("share", [0.0, 0.4])
async def test_fault_d4_a_server_that_stalls_is_left_and_asked_for_the_rest(
    monitor: Monitor,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    size: int,
    share: float,
):
    resource.body = (resource.body * 4)[:size]
    resource.stall_after = int(size * share)
    task = quick_session(monitor, timeout_interval_for_request=0.3).download_task(
        server.url("/a.bin")
    )
    event = await recorder.wait_for("taskstate", task)
    assert event.reason == "127.0.0.1 sent nothing for too long."
    assert event.task is not None
    assert event.task.received == int(size * share)
    resource.stall_after = None
    assert (await task.wait()).succeeded
    assert (downloads / "a.bin").read_bytes() == resource.body
    assert task.record.restarts == 0


@pytest.mark.parametrize("size", [1000, 1_000_000], ids=["through h11", "through the pump"])
async def test_fault_d5_a_drip_counts_as_silence(
    monitor: Monitor,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    size: int,
):
    resource.body = (resource.body * 4)[:size]
    resource.piece, resource.pause = 1, 0.1
    task = quick_session(monitor, timeout_interval_for_request=0.6).download_task(
        server.url("/a.bin")
    )
    event = await recorder.wait_for("taskstate", task)
    assert event.activity == "retrying"
    assert 0 < task.count_of_bytes_received < 20
    resource.piece, resource.pause = 100_000, 0.0
    assert (await task.wait()).succeeded
    assert (downloads / "a.bin").read_bytes() == resource.body


async def test_fault_d5_a_head_that_drips_counts_as_silence(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    head = reply(200, {}, b"x")
    dripped = []

    def drops() -> Iterator[bytes]:
        for at in range(len(head)):
            dripped.append(at)
            yield head[at : at + 1]

    def drip(conn: Conn, request: Request) -> bool:
        with contextlib.suppress(OSError):
            conn.send_slowly(drops(), 0.1)
        return True

    resource.before = drip
    task = default_session(monitor, timeout_interval_for_request=0.5).download_task(
        server.url("/a")
    )
    await task.wait()
    assert code_of(task) == -1001
    assert len(dripped) < len(head), "the head never came to its end"


# ---- D7, D8


def shaped(net: Network, *words: str) -> None:
    """Put a queueing discipline on the servers' end; skips where the kernel has none of that
    kind.
    """
    if shutil.which("tc") is None:
        pytest.skip("tc (iproute2) is not installed")
    with net.on_server():
        try:
            namespaces.run("tc", *words)
        except subprocess.CalledProcessError as exc:
            pytest.skip(f"this kernel cannot shape traffic: {exc.stderr[:100]}")


async def test_fault_d7_a_slow_link_is_steady_and_told_truly(
    net: Network, monitor: Monitor, resource: Resource, recorder: Recorder
):
    shaped(
        net,
        *[
            "qdisc",
            "add",
            "dev",
            "s0",
            "root",
            "tbf",
            "rate",
            "64kbit",
            "burst",
            "3kb",
            "latency",
            "2s",
        ],
    )
    with net.on_server():
        server = ByteServer(resource, address=SERVER)
    with server:
        task = quick_session(monitor).download_task(server.url("/a"))
        # 64 kbit/s are 8000 bytes a second, heads of packets included
        await recorder.until(
            lambda: bool(told(recorder)) and told(recorder)[-1].total_bytes_written > 50_000
        )
        last = told(recorder)[-1]
        # over a while: one may come late
        first = [event for event in told(recorder) if event.time < last.time - 3][-1]
        truth = (last.total_bytes_written - first.total_bytes_written) / (last.time - first.time)
        assert 0.5 * truth < last.speed < 2 * truth
        assert 0.5 * 8_000 < truth < 1.05 * 8_000
        task.suspend()
        await recorder.wait_for_state(task, State.SUSPENDED)
        await eventually(lambda: monitor.overview.progress(task.key) is None)
        assert task.count_of_bytes_received < len(resource.body)
        shaped(net, *["qdisc", "del", "dev", "s0", "root"])
        task.resume()
        assert (await task.wait()).succeeded


def told(recorder: Recorder) -> list[Any]:
    return recorder.of("downloadprogress")


async def test_fault_d8_a_twentieth_of_all_packets_lost(
    net: Network, monitor: Monitor, resource: Resource, downloads: Path
):
    if shutil.which("nft") is not None:
        with net.on_server():
            namespaces.run("nft", "add table inet faults")
            namespaces.run("nft", "add chain inet faults in { type filter hook input priority 0; }")
            namespaces.run(
                "nft", "add chain inet faults out { type filter hook output priority 0; }"
            )
            for chain in ("in", "out"):
                namespaces.run(
                    "nft", f"add rule inet faults {chain} numgen random mod 20 == 0 drop"
                )
    else:
        shaped(net, *["qdisc", "add", "dev", "s0", "clsact"])
        for way in ("ingress", "egress"):
            loses = "action gact pass random netrand drop 20"
            shaped(net, *f"filter add dev s0 {way} matchall {loses}".split())
    resource.body = os.urandom(2_000_000)
    with net.on_server():
        server = ByteServer(resource, address=SERVER)
    with server:
        tasks = [quick_session(monitor).download_task(server.url(f"/{n}.bin")) for n in range(3)]
        async with asyncio.timeout(60):
            for task in tasks:
                assert (await task.wait()).succeeded
        for n in range(3):
            assert (downloads / f"{n}.bin").read_bytes() == resource.body


# ---- D9, D10


async def test_fault_d9_the_link_goes_and_comes_back_with_another_address(
    net: Network, watching: Monitor, resource: Resource, downloads: Path
):
    recorder = recorder_of(watching)
    resource.body *= 4
    with net.on_server():
        server = ByteServer(resource, address=SERVER)
    with server:
        resource.stall_after = 400_000
        session = quick_session(watching, retry_policy=RetryPolicy(minimum=100, maximum=100))
        running = session.download_task(server.url("/a.bin"))
        await recorder.wait_for("downloadprogress", running)
        net.down()
        await recorder.wait_for_state(running, State.RUNNING, Activity.WAITING_FOR_CONNECTIVITY)
        later = session.download_task(server.url("/b.bin"))
        assert later.activity is Activity.WAITING_FOR_CONNECTIVITY
        assert status(running.record, time.time()) == "Waiting: there is no network"
        resource.stall_after = None
        net.up("10.77.0.3")
        async with asyncio.timeout(LIMIT):
            assert (await running.wait()).succeeded
            assert (await later.wait()).succeeded
        assert (running.record.attempt, later.record.attempt) == (2, 1)  # offline none was counted
        assert running.record.restarts == 0
        assert (downloads / "a.bin").read_bytes() == resource.body


async def test_fault_d9_a_default_session_fails_while_offline(net: Network, watching: Monitor):
    net.down()
    await eventually(lambda: not watching._engine.connectivity.online)
    task = default_session(watching).download_task(f"http://{SERVER}/a")
    await task.wait()
    assert code_of(task) == -1009


async def test_fault_d9_an_interface_without_a_carrier_is_no_network(net: Network):
    assert door.ways_out()
    with net.on_server():
        namespaces.run("ip", "link", "set", "s0", "down")  # the other end of the cable
    await eventually(lambda: not door.ways_out())  # the kernel takes a second to believe it


async def test_fault_d9_loopback_alone_is_no_network_and_needs_none(
    net: Network, watching: Monitor, resource: Resource
):
    net.down()
    await eventually(lambda: not watching._engine.connectivity.online)
    with ByteServer(resource) as server:
        assert (await quick_session(watching).download_task(server.url("/a")).wait()).succeeded


async def test_fault_d10_where_nobody_tells_of_the_network_retries_find_out(
    tmp_path: Path, settings: Settings, resource: Resource, monkeypatch: pytest.MonkeyPatch
):
    for name in ("DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    deaf = SystemConnectivity()
    deaf._watch = door._Netlink(29, 1, deaf._look, deaf._note)  # a protocol that no kernel has
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with Monitor.open(
        str(tmp_path / "state"), settings=settings, connectivity=deaf
    ) as monitor:
        recorder = RECORDERS[monitor] = Recorder(monitor)
        assert deaf.online
        task = quick_session(monitor).download_task(f"http://0.0.0.0:{port}/a")
        await recorder.wait_for("taskstate", task)
        with ByteServer(Resource(b"here"), port=port):
            assert (await task.wait()).succeeded


# ---- D13


async def test_fault_d13_a_kept_connection_that_dies_under_the_request_costs_no_attempt(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    resource.body = resource.body[:1000]

    def dying(conn: Conn, request: Request) -> bool:
        first_on_this = sum(one.connection == request.connection for one in server.requests) == 1
        if not first_on_this:
            conn.reset()
        return not first_on_this

    resource.before = dying
    session = default_session(monitor)  # which tries nothing again by itself
    for n in range(4):
        record = await session.download_task(server.url(f"/{n}")).wait()
        assert record.succeeded
        assert record.attempt == 1
        assert len(record.metrics.transactions) == 1
    assert server.connections == 4


async def test_fault_d13_a_new_connection_that_dies_is_a_failure(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    def dying(conn: Conn, request: Request) -> bool:
        conn.reset()
        return True

    resource.before = dying
    task = default_session(monitor).download_task(server.url("/a"))
    await task.wait()
    assert code_of(task) == -1005
    assert len(server.requests) == 1


# ---- D16


@pytest.mark.parametrize("broken", ["IPv6", "IPv4"])
async def test_fault_d16_an_address_family_without_a_way_is_passed_over(
    net: Network, monitor: Monitor, resource: Resource, broken: str
):
    good, bad = (SERVER, "2001:db8::1") if broken == "IPv6" else (SERVER_6, "198.51.100.1")
    net.ip("route", "del", "default")
    with net.on_server():
        server = ByteServer(resource, address=good) if broken == "IPv6" else Server6(resource, good)
    with (
        NameServer(lambda name, kind: found(good if (kind == 28) == (":" in good) else bad, kind)),
        server,
    ):
        task = quick_session(monitor).download_task(server.url("/a", "files.example.test"))
        record = await task.wait()
        assert record.succeeded
        assert record.attempt == 1
        assert record.response is not None
        assert record.response.remote_address == good


class Server6(ByteServer):
    """A byte server on IPv6."""

    def __init__(self, handler: Any, address: str) -> None:
        create = socket.create_server

        def create_6(where: tuple[str, int], **options: Any) -> socket.socket:
            return create(where, family=socket.AF_INET6, **options)

        socket.create_server = create_6  # type: ignore[assignment]
        try:
            super().__init__(handler, address=address)
        finally:
            socket.create_server = create


@pytest.mark.slow
async def test_fault_d16_a_black_hole_under_one_address_costs_seconds(
    net: Network, monitor: Monitor, resource: Resource
):
    """Less than half a second: the next address is tried beside it (RFC 8305)."""
    net.ip(
        "-6",
        "neigh",
        "add",
        "fd77::9",
        "dev",
        "c0",
        "lladdr",
        "02:00:00:00:00:09",
        "nud",
        "permanent",
    )
    with net.on_server():
        server = ByteServer(resource, address=SERVER)
    with NameServer(lambda name, kind: found("fd77::9" if kind == 28 else SERVER, kind)), server:
        session = quick_session(monitor)
        times = []
        for host in (SERVER, "files.example.test"):
            began = time.monotonic()
            record = await session.download_task(server.url("/a", host)).wait()
            times.append(time.monotonic() - began)
            assert record.succeeded
            assert record.attempt == 1
        assert times[1] < times[0] + 0.5


# ---- D17


class Proxy:
    """Answers plain requests itself, opens tunnels to a port of this machine, and notes what it was
    asked.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.server = ByteServer(self)

    def __call__(self, conn: Conn, request: Request) -> None:
        if request.method != "CONNECT":
            conn.send(reply(200, {}, b"by proxy"))
            return
        with socket.create_connection(("127.0.0.1", self.port)) as upstream:
            conn.send(b"HTTP/1.1 200 OK\r\n\r\n")
            ends = {conn.sock: upstream, upstream: conn.sock}
            while not conn.server.stopping.is_set():
                for sock in select.select(list(ends), [], [], 0.05)[0]:
                    data = sock.recv(65536)
                    if not data:
                        conn.close()
                        return
                    ends[sock].sendall(data)

    @property
    def asked(self) -> list[str]:
        return [f"{request.method} {request.target}" for request in self.server.requests]


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    proxy = Proxy()
    with proxy.server:
        yield proxy


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


FAR = "http://files.example.test/a"


async def test_fault_d17_the_environment_s_proxy_is_used_except_for_this_machine(
    monitor: Monitor,
    proxy: Proxy,
    server: ByteServer,
    downloads: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("http_proxy", proxy.server.url("/"))
    session = quick_session(monitor)
    assert (await session.download_task(FAR).wait()).succeeded
    assert (downloads / "a").read_bytes() == b"by proxy"
    assert (await session.download_task(server.url("/near")).wait()).succeeded
    assert (await session.download_task(server.url("/near", "localhost")).wait()).succeeded
    assert proxy.asked == [f"GET {FAR}"]


async def test_fault_d17_no_proxy_names_who_is_reached_directly(
    monitor: Monitor, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("http_proxy", proxy.server.url("/"))
    monkeypatch.setenv("no_proxy", "0.0.0.0,example.org")
    with ByteServer(Resource(b"direct")) as server:
        assert (
            await quick_session(monitor).download_task(server.url("/a", "0.0.0.0")).wait()
        ).succeeded
    assert proxy.asked == []


@pytest.mark.parametrize("kind", ["setting", "none"])
async def test_fault_d17_the_session_s_own_setting_wins(
    monitor: Monitor, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, kind: str
):
    other = Proxy()
    with other.server, ByteServer(Resource(b"direct")) as server:
        monkeypatch.setenv("http_proxy", other.server.url("/"))
        session = quick_session(monitor, proxy=proxy.server.url("/") if kind == "setting" else "")
        url = FAR if kind == "setting" else server.url("/a", "0.0.0.0")
        assert (await session.download_task(url).wait()).succeeded
        assert other.asked == []
        assert proxy.asked == ([f"GET {FAR}"] if kind == "setting" else [])


async def test_fault_d17_the_proxy_s_password_goes_to_the_proxy_only(
    monitor: Monitor, resource: Resource
):
    with ByteServer(resource, tls=True) as server:
        proxy = Proxy(server.port)
        with proxy.server:
            monitor._engine.transport = Transport(tls_context=server.client_context())
            address = proxy.server.url("/").replace("//", "//user:canary@", 1)
            # A name that is in the certificate and does not look like this machine to the rule for
            # proxies.
            session = quick_session(monitor, proxy=address)
            task = session.download_task(f"https://elsewhere.example:{server.port}/a")
            await task.wait()
            assert proxy.asked == [f"CONNECT elsewhere.example:{server.port}"]
            assert proxy.server.requests[0].header("Proxy-Authorization").startswith("Basic ")
            assert code_of(task) == -1202  # the name is checked behind a proxy, too
            assert server.requests == []
            record = task.record
            assert "canary" not in str(record)
    with ByteServer(resource, tls=True, certificate=elsewhere()) as server:
        proxy = Proxy(server.port)
        with proxy.server:
            address = proxy.server.url("/").replace("//", "//user:canary@", 1)
            session = quick_session(monitor, "com.example.second", proxy=address)
            assert (
                await session.download_task(f"https://elsewhere.example:{server.port}/a").wait()
            ).succeeded
            assert "authorization" not in server.requests[0].raw.decode().lower()


def elsewhere() -> Any:
    from tests.helpers.byte_server import authority

    return authority().issue_cert("elsewhere.example")


# ---- D20, D21


async def test_fault_d20_fifty_tasks_never_open_more_connections_than_allowed(
    monitor: Monitor, tmp_path: Path, downloads: Path
):
    if nginx.PATH is None:
        pytest.skip(nginx.WHY_NOT)
    root = tmp_path / "www"
    root.mkdir()
    for n in range(50):
        (root / f"{n}.bin").write_bytes(b"x" * (3_000_000 if n % 10 == 0 else 20_000))
    http = "limit_conn_zone $binary_remote_addr zone=each:1m;"
    server = "limit_conn each 6; limit_conn_status 503;"
    with nginx.running(tmp_path / "nginx", root, http=http, server=server) as web:
        session = quick_session(monitor, http_maximum_connections_per_host=6)
        tasks = [session.download_task(web.url(f"/{n}.bin")) for n in range(50)]
        for task in tasks:
            record = await task.wait()
            assert record.succeeded
            assert record.attempt == 1
        assert {line.split()[2] for line in web.requests()} == {"200"}


async def test_fault_d20_small_tasks_do_not_starve_behind_large_ones(
    monitor: Monitor, server: ByteServer, resource: Resource, recorder: Recorder
):
    go = threading.Event()

    def before(conn: Conn, request: Request) -> bool:
        if "large" in request.target:
            go.wait(LIMIT)
        return False

    resource.body, resource.before = resource.body[:1000], before
    session = quick_session(monitor, http_maximum_connections_per_host=6)
    large = [session.download_task(server.url(f"/large{n}")) for n in range(5)]
    small = [session.download_task(server.url(f"/small{n}")) for n in range(45)]
    for task in small:
        assert (await task.wait()).succeeded
    assert all(task.state is State.RUNNING for task in large)
    ended = [event.task_identifier for event in recorder.of("sessioncompleted")]
    # the only free connection serves them in the order in which they came
    assert ended == sorted(ended)
    assert server.most_open <= 6
    go.set()
    for task in large:
        assert (await task.wait()).succeeded


async def test_fault_d21_with_few_file_descriptors_tasks_wait_and_all_end_well(
    server: ByteServer, resource: Resource, tmp_path: Path, downloads: Path
):
    resource.body = resource.body * 2
    resource.piece, resource.pause = 50_000, 0.01
    body = f"""
import json, os, resource
await session.download_task({server.url("/first")!r}).wait()
used = len(os.listdir("/proc/self/fd"))
resource.setrlimit(resource.RLIMIT_NOFILE, (used + 6, used + 6))
reasons = set()
def note(event):
    if event.type == "taskstate" and event.reason:
        reasons.add(event.reason)
monitor.subscribe(note)
tasks = [session.download_task({server.url("/")!r} + str(n)) for n in range(12)]
for task in tasks:
    await task.wait()
stored = await monitor.overview.history(limit=100000)
ended = sum(event.type == "sessioncompleted" for event in stored)
errors = [str(task.error) for task in tasks if task.error]
print(json.dumps([sorted(reasons), errors, ended]), flush=True)
"""
    with engine_process(tmp_path, body) as process:
        assert process.stdout is not None
        line = await asyncio.to_thread(process.stdout.readline)
    reasons, errors, ended = json.loads(line)
    assert errors == []
    assert ended == 13
    assert reasons == ["Too many files are open."]
    assert len(list(downloads.iterdir())) == 13
