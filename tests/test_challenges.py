"""Who asks for a user name and password, and where the answer goes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.byte_server import ByteServer, Conn, Request, reply
from transfermon import humanize
from transfermon.challenges import Challenge, basic, basic_realm
from transfermon.configuration import SessionConfiguration
from transfermon.errors import InvalidAction
from transfermon.events import TaskStateEvent
from transfermon.monitor import Monitor
from transfermon.settings import Settings
from transfermon.standby import Standby
from transfermon.task import Activity, Origin, State, changed

pytestmark = pytest.mark.anyio
RIGHT = "Basic " + base64.b64encode("mé:s:e c@/ret".encode()).decode()
BODY = b"the file" * 100


@pytest.mark.parametrize(
    ("field", "realm"),
    [
        ('Basic realm="The \\"house\\""', 'The "house"'),
        ("basic realm=house", "house"),
        ("Basic", ""),
        ('Basic charset="UTF-8", realm="a, Basic b"', "a, Basic b"),
        ('Digest realm="d", nonce="Basic realm=x", Basic realm="b"', "b"),
        ('Basic realm="b", Digest realm="d"', "b"),
        ("Negotiate abc==, Basic realm=b", "b"),
        ('Bearer realm="Basic"', None),
        ('Digest realm="d", basic="x"', None),
        ("", None),
        ('Basic realm="open', ""),
        ('"Basic', None),
    ],
)
def test_the_basic_challenge_is_found_among_others(field, realm):
    assert basic_realm(field) == realm


@pytest.mark.parametrize(("user", "password"), [("", "p"), ("a:b", "p"), ("a\n", "p"), ("a", "p\r\nX: y")])
def test_what_basic_cannot_carry_is_refused(user, password):
    with pytest.raises(ValueError, match=r"user name"):
        basic(user, password)


def guarded(conn: Conn, request: Request) -> None:
    """A server behind a password; /away leads to it from elsewhere, /digest wants something else."""
    if request.target == "/away":
        _, _, port = request.header("Host").partition(":")
        conn.send(reply(302, {"Location": f"http://localhost:{port}/"}))
    elif request.target == "/digest":
        conn.send(reply(401, {"WWW-Authenticate": 'Digest realm="d", nonce="n"'}))
    elif request.header("Authorization") == RIGHT:
        conn.send(reply(200, {}, BODY))
    else:
        conn.send(reply(401, {"WWW-Authenticate": 'Basic realm="The house"'}))


def proxy(conn: Conn, request: Request) -> None:
    if request.header("Proxy-Authorization") == RIGHT and request.method == "GET":
        conn.send(reply(200, {}, BODY))
    else:
        conn.send(reply(407, {"Proxy-Authenticate": 'Basic realm="The gate"'}))


@pytest.fixture
def server() -> Iterator[ByteServer]:
    with ByteServer(guarded) as server:
        yield server


@pytest.fixture
def gate() -> Iterator[ByteServer]:
    with ByteServer(proxy) as server:
        yield server


def opened(tmp_path: Path) -> Any:
    return Monitor.open(str(tmp_path / "state"), settings=Settings(download_folder=str(tmp_path / "out")))


async def failed(monitor: Monitor, url: str, *, session: str = "s", **options: Any) -> Any:
    task = monitor.session(session).download_task(url, **options)
    await task.wait()
    assert task.record.failed
    return task


async def test_credentials_are_asked_for_by_the_server_and_the_task_goes_on_with_them(server, tmp_path):
    async with opened(tmp_path) as monitor:
        monitor.ready()
        task = await failed(
            monitor, server.url("/a"), request_headers={"X-Own": "1", "authorization": "Basic d3Jvbmc6"}
        )
        assert monitor.challenge(task.key) == Challenge(
            authority=f"127.0.0.1:{server.port}", realm="The house", protected=True
        )
        with pytest.raises(ValueError, match="colon"):
            monitor.give_credentials(task.key, "m:e", "x")
        assert task.record.failed
        monitor.give_credentials(task.key, "mé", "wrong")
        await task.wait()
        assert monitor.challenge(task.key) is not None  # and asked again
        monitor.give_credentials(task.key, "mé", "s:e c@/ret")
        await task.wait()
        assert task.record.succeeded
        assert Path(task.record.final_path).read_bytes() == BODY
        assert server.requests[-1].header("X-Own") == "1"
        assert monitor.challenge(task.key) is None
        with pytest.raises(InvalidAction):
            monitor.give_credentials(task.key, "mé", "x")


async def test_a_password_is_in_the_vault_while_it_is_needed_and_nowhere_else(server, tmp_path):
    state = tmp_path / "state"
    async with opened(tmp_path) as monitor:
        monitor.ready()
        task = await failed(monitor, server.url("/a"))
        monitor.give_credentials(task.key, "mé", "not this one")
        await task.wait()
        wrong = base64.b64encode("mé:not this one".encode()).decode()
        assert json.loads((state / "secrets.json").read_text())["s:1"]["Authorization"] == f"Basic {wrong}"
        told = json.dumps([event.to_dict() for event in await monitor.history()])
        monitor.remove(task.key)
    assert wrong not in told
    for path in (path for path in state.rglob("*") if path.is_file()):
        assert wrong.encode() not in path.read_bytes()
        assert b"not this one" not in path.read_bytes()


async def test_nobody_is_asked_where_the_password_would_go_elsewhere_or_not_as_basic(server, tmp_path):
    async with opened(tmp_path) as monitor:
        monitor.ready()
        for path in ("/away", "/digest"):
            task = await failed(monitor, server.url(path))
            assert task.record.error.status == 401
            assert monitor.challenge(task.key) is None
            with pytest.raises(InvalidAction):
                monitor.give_credentials(task.key, "me", "x")


async def test_a_stranger_s_address_asks_nobody(server, tmp_path):
    async with opened(tmp_path) as monitor:
        monitor.ready()
        monitor.update_settings(allowed_hosts=(f"127.0.0.1:{server.port}",))
        task = await failed(monitor, server.url("/a"), origin=Origin.GIVEN)
        assert task.record.error.status == 401
        assert monitor.challenge(task.key) is None


@pytest.mark.parametrize("own", [True, False], ids=["the session's", "the system's"])
async def test_a_proxy_s_password_is_its_session_s(own, gate, tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    configuration = SessionConfiguration.background("s")
    if own:
        configuration.proxy = gate.url("")
    else:
        monkeypatch.setenv("http_proxy", gate.url(""))
    async with opened(tmp_path) as monitor:
        monitor.ready()
        monitor.create_session(configuration)
        task = await failed(monitor, "http://far.example/a")
        asked = monitor.challenge(task.key)
        assert asked == Challenge(authority=f"127.0.0.1:{gate.port}", realm="The gate", of_proxy=True, protected=True)
        monitor.give_credentials(task.key, "mé", "s:e c@/ret")
        await task.wait()
        assert task.record.succeeded
        assert gate.requests[-1].header("Authorization") == ""  # what is the proxy's is not told to the server
    async with opened(tmp_path) as monitor:  # another task, another day
        monitor.ready()
        task = monitor.session("s").download_task("http://far.example/b")
        await task.wait()
        assert task.record.succeeded


async def test_a_proxy_that_opens_no_tunnel_asks_too_and_a_server_without_a_proxy_does_not(gate, tmp_path):
    configuration = SessionConfiguration.background("s")
    configuration.proxy = gate.url("")
    async with opened(tmp_path) as monitor:
        monitor.ready()
        monitor.create_session(configuration)
        task = await failed(monitor, "https://far.example/a")
        asked = monitor.challenge(task.key)
        assert asked is not None
        assert (asked.of_proxy, asked.authority) == (True, f"127.0.0.1:{gate.port}")
        direct = await failed(monitor, gate.url("/a"), session="other")
        assert direct.record.error.status == 407
        assert monitor.challenge(direct.key) is None


async def test_without_a_window_a_task_waits_for_a_password_and_the_window_asks_for_it(tmp_path: Path):
    with ByteServer(guarded) as server:
        async with Monitor.open(str(tmp_path), settings=Settings()) as monitor:
            session = monitor.session("s")
            await session.download_task(server.url("/"), destination=str(tmp_path / "a")).accepted
        await Standby(str(tmp_path)).live()  # it ends: nothing goes on by itself
        asked = len(server.requests)
        assert asked == 1
        async with Monitor.open(str(tmp_path), settings=Settings()) as monitor:
            (task,) = monitor.tasks()
            assert (task.state, task.error) == (State.RUNNING, None)
            told = [event for event in await monitor.history(task=task.key) if isinstance(event, TaskStateEvent)]
            waiting = changed(task, activity=Activity(told[-1].activity), waiting_reason=told[-1].reason)
            words = humanize.status(waiting, 0.0)
            assert words == "Waiting: a user name and password are asked for. Open Transfermon"
            monitor.ready()
            end = await monitor.handle(task.key).wait()
            assert end.error is not None
            assert monitor.challenge(task.key) is not None
            monitor.give_credentials(task.key, "mé", "s:e c@/ret")
            assert (await monitor.handle(task.key).wait()).succeeded
