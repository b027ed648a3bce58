"""Whether the computer stays awake exactly while transfers run."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.helpers import desktop
from tests.helpers.awake import GNOME, LOGIN, PORTAL, POWER, Keepers, keeping
from tests.helpers.byte_server import ByteServer, Resource
from tests.helpers.owners import LIMIT, quick, slow, until
from tests.host.test_script import DOWNLOAD
from transfermon.engine.monitor import Monitor
from transfermon.storage.settings import Settings
from transfermon.system import stay_awake
from transfermon.system.bus_line import ANSWER, BusLine
from transfermon.system.stay_awake import Inhibitor

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(desktop.DAEMON is None, reason=desktop.WHY_NOT)]
ALL = (LOGIN, GNOME, POWER, PORTAL)
BODY = bytes(range(256)) * 4000


@contextmanager
def reached(names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> Iterator[Keepers]:
    with keeping(names) as keepers:
        for name, value in keepers.environment.items():
            monkeypatch.setenv(name, value)
        yield keepers


@pytest.fixture
def keepers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Keepers]:
    with reached(ALL, monkeypatch) as keepers:
        yield keepers


async def comes(what: str, condition: Callable[[], Any]) -> None:
    await asyncio.to_thread(until, what, condition)


# ---- the services


@pytest.mark.parametrize(
    ("there", "interface", "arguments"),
    [
        (
            LOGIN,
            "org.freedesktop.login1.Manager",
            ["sleep", "Transfermon", "Transfers are running", "block"],
        ),
        (GNOME, "org.gnome.SessionManager", ["transfermon", 0, "Transfers are running", 4]),
        (
            POWER,
            "org.freedesktop.PowerManagement.Inhibit",
            ["Transfermon", "Transfers are running"],
        ),
        (PORTAL, "org.freedesktop.portal.Inhibit", ["", 4, {}]),
    ],
)
async def test_what_the_desktop_offers_is_used_and_let_go(there, interface, arguments, monkeypatch):
    with reached((there,), monkeypatch) as keepers:
        awake = Inhibitor()
        awake.want(True)
        await comes("the hold", lambda: awake.holding == there)
        assert keepers.held == 1
        assert keepers.asked == [(there, interface, arguments)]
        awake.want(False)
        assert awake.holding == ""
        await comes("the release", lambda: keepers.held == 0)
        await awake.close()


async def test_one_is_enough(keepers):
    awake = Inhibitor()
    awake.want(True)
    await comes("the hold", lambda: awake.holding)
    assert [service for service, _, _ in keepers.asked] == [LOGIN]
    await awake.close()
    await comes("the release", lambda: keepers.held == 0)


async def test_where_the_system_says_no_the_session_is_asked(keepers):
    keepers.answers[LOGIN] = "no"
    awake = Inhibitor()
    awake.want(True)
    await comes("the hold", lambda: awake.holding == GNOME)
    await awake.close()
    await comes("the release", lambda: keepers.held == 0)


async def test_a_service_that_hangs_is_passed_and_blocks_nobody(keepers, monkeypatch):
    monkeypatch.setattr(stay_awake, "ANSWER", 0.2)
    keepers.answers[LOGIN] = "nothing"
    awake = Inhibitor()
    awake.want(True)
    await comes("the hold", lambda: awake.holding == GNOME)
    await awake.close()
    await comes("the release", lambda: keepers.held == 0)


async def test_a_bus_that_never_speaks_blocks_nobody(tmp_path, monkeypatch):
    path = str(tmp_path / "bus")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        for name in ("DBUS_SYSTEM_BUS_ADDRESS", "DBUS_SESSION_BUS_ADDRESS"):
            monkeypatch.setenv(name, f"unix:path={path}")
        listener.settimeout(10)
        awake = Inhibitor()
        awake.want(True)
        caller, _ = await asyncio.to_thread(listener.accept)
        with caller:
            async with asyncio.timeout(ANSWER):  # it does not wait for its answer
                await awake.close()
        monkeypatch.setattr(stay_awake, "ANSWER", 0.05)
        patient = Inhibitor()
        patient.want(True)
        await comes("the end of the search", lambda: not len(patient._runners))
        assert patient.holding == ""
        await patient.close()


async def test_changing_one_s_mind_at_any_moment_leaves_nothing_held(keepers):
    awake = Inhibitor()
    for turns in range(60):
        awake.want(True)
        for _ in range(turns):
            await asyncio.sleep(0)
        awake.want(False)
    awake.want(True)
    await comes("the hold", lambda: awake.holding == LOGIN and keepers.held == 1)
    await awake.close()
    await comes("the release", lambda: keepers.held == 0)


async def test_a_yes_that_was_not_read_yet_when_nobody_wanted_it_any_more_holds_nothing(keepers):
    line = BusLine("SYSTEM")

    async def ask() -> None:
        await line.connect()
        await stay_awake.inhibit(line, stay_awake.SERVICES[0])

    asking = asyncio.ensure_future(ask())
    # then the question was sent, and nothing is read before the next turn of the loop
    while line._bus is None:
        await asyncio.sleep(0)
    # a descriptor, by its signature
    until("the answer", lambda: b"\x01h\x00" in waits_in(line._bus._sock))
    assert keepers.held == 1
    line.close()
    await line.closed()
    await asyncio.gather(asking, return_exceptions=True)
    await comes("the release", lambda: keepers.held == 0)


def waits_in(sock: socket.socket) -> bytes:
    try:
        return sock.recv(4096, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return b""


async def test_without_a_bus_one_line_is_logged_and_nobody_is_asked_again_soon(
    tmp_path, monkeypatch, caplog
):
    for name in ("DBUS_SYSTEM_BUS_ADDRESS", "DBUS_SESSION_BUS_ADDRESS"):
        monkeypatch.setenv(name, f"unix:path={tmp_path}/none")
    caplog.set_level(logging.INFO, stay_awake.__name__)
    now = 1000.0
    awake = Inhibitor(clock=lambda: now)
    for _ in range(3):
        awake.want(True)
        await comes("the end of the search", lambda: not len(awake._runners))
        awake.want(False)
        now += stay_awake.AGAIN / 4
    now += stay_awake.AGAIN
    with keeping((LOGIN,)) as keepers:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", keepers.address)
        awake.want(True)
        await comes("the hold", lambda: awake.holding == LOGIN)
        await awake.close()
    assert len(caplog.records) == 1


async def test_a_bus_that_goes_away_does_no_harm(monkeypatch):
    awake = Inhibitor()
    with reached((GNOME,), monkeypatch):
        awake.want(True)
        await comes("the hold", lambda: awake.holding)
    awake.want(False)
    await awake.close()
    assert awake.holding == ""


# ---- the transfers


@pytest.fixture
def resource() -> Resource:
    return Resource(BODY, etag='"v1"', stall_after=1000)


@pytest.fixture
def server(resource: Resource) -> Iterator[ByteServer]:
    with ByteServer(resource) as server:
        yield server


async def test_the_computer_is_awake_while_a_task_runs_and_sleeps_while_it_is_paused(
    keepers, resource, server, tmp_path
):
    opened = Monitor.open(str(tmp_path / "state"), settings=Settings(), inhibitor=Inhibitor())
    async with opened as monitor:
        monitor.ready()
        task = monitor.session("s").download_task(
            server.url(), destination=str(tmp_path / "a"), start=False
        )
        assert keepers.asked == []
        for _ in range(2):
            monitor.commands.resume(task.key)
            await comes("the hold", lambda: keepers.held == 1)
            monitor.commands.suspend(task.key)
            await comes("the release", lambda: keepers.held == 0)
        resource.stall_after = None
        monitor.commands.resume(task.key)
        await task.wait()
        await comes("the release at the end", lambda: (keepers.taken, keepers.released) == (3, 3))


async def test_one_of_two_is_enough_and_a_failure_is_an_end(keepers, resource, server, tmp_path):
    resource.before = lambda conn, request: request.target == "/gone" and _not_found(conn)
    opened = Monitor.open(str(tmp_path / "state"), settings=Settings(), inhibitor=Inhibitor())
    async with opened as monitor:
        monitor.ready()
        session = monitor.session("s")
        long = session.download_task(server.url("/long"), destination=str(tmp_path / "a"))
        await comes("the hold", lambda: keepers.held == 1)
        short = session.download_task(server.url("/gone"), destination=str(tmp_path / "b"))
        await short.wait()
        assert short.record.error is not None
        assert keepers.held == 1
        assert keepers.taken == 1
        monitor.commands.cancel(long.key)
        await comes("the release", lambda: keepers.held == 0)
        again = session.download_task(server.url("/gone"), destination=str(tmp_path / "c"))
        await again.wait()
        assert again.record.error is not None
        await comes("the release after a failure", lambda: keepers.held == 0)


def _not_found(conn: Any) -> bool:
    conn.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    return True


async def test_a_task_that_waits_lets_the_computer_sleep(keepers, resource, server, tmp_path):
    resource.before = lambda conn, request: _busy(conn)
    opened = Monitor.open(str(tmp_path / "state"), settings=Settings(), inhibitor=Inhibitor())
    async with opened as monitor:
        monitor.ready()
        monitor.session("s").download_task(server.url(), destination=str(tmp_path / "a"))
        await comes("the wait", lambda: monitor.overview.status().waiting == 1)
        await comes("the release", lambda: keepers.held == 0)


def _busy(conn: Any) -> bool:
    conn.send(b"HTTP/1.1 503 Busy\r\nRetry-After: 600\r\nContent-Length: 0\r\n\r\n")
    return True


async def test_the_setting_is_obeyed_at_once(keepers, server, tmp_path):
    opened = Monitor.open(
        str(tmp_path / "state"), settings=Settings(inhibit_sleep=False), inhibitor=Inhibitor()
    )
    async with opened as monitor:
        monitor.ready()
        monitor.session("s").download_task(server.url(), destination=str(tmp_path / "a"))
        await comes("bytes", lambda: monitor.overview.running_progress() and server.requests)
        assert keepers.asked == []
        monitor.preferences.update(inhibit_sleep=True)
        await comes("the hold", lambda: keepers.held == 1)
        monitor.preferences.update(inhibit_sleep=False)
        await comes("the release", lambda: keepers.held == 0)
        monitor.preferences.update(inhibit_sleep=True)
        await comes("the hold", lambda: keepers.held == 1)
    await comes("the release with the engine", lambda: keepers.held == 0)


@pytest.mark.slow
def test_a_killed_app_holds_nothing_and_the_standby_holds_its_own(keepers, resource, server, place):
    resource.body, resource.stall_after = BODY * 12, None
    slow(resource)
    place.environment.update(keepers.environment)
    app = place.app()
    place.add(server.url())
    until("the app's hold", lambda: keepers.held == 1)
    waiter = place.waiter()
    place.kill(app)
    until("the release", lambda: keepers.released == 1)
    place.successor(waiter)
    until("the standby's hold", lambda: (keepers.taken, keepers.held) == (2, 1))
    quick(resource)
    until("the last release", lambda: keepers.held == 0)
    assert keepers.taken == 2


@pytest.mark.parametrize("command", ["get", pytest.param("run", marks=pytest.mark.slow)])
def test_a_command_that_takes_its_time_keeps_the_computer_awake(
    command, keepers, resource, server, place, tmp_path
):
    resource.body, resource.stall_after = BODY * 12, None
    slow(resource)
    place.environment.update(keepers.environment)
    words = ["get", server.url(), "--directory", str(tmp_path)]
    if command == "run":
        (script := tmp_path / "script.py").write_text(DOWNLOAD)
        words = ["run", str(script), "--headless", server.url()]
    process = place.start(*words)
    until("the hold", lambda: keepers.held == 1)
    quick(resource)
    assert process.wait(LIMIT) == 0
    until("the release", lambda: keepers.held == 0)
