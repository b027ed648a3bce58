"""Who asks for a user name and password, and where the answer goes."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import apache
from tests.helpers.byte_server import ByteServer, Conn, Request, reply
from transfermon.engine.monitor import Monitor
from transfermon.host.standby import Standby
from transfermon.http.challenges import (
    Challenge,
    basic_login,
    challenges_in,
    digest_login,
    digest_offer,
    login_hint,
    login_in,
)
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.errors import InvalidAction
from transfermon.model.events import TaskStateEvent
from transfermon.model.task import Activity, Origin, State, changed
from transfermon.storage.settings import Settings
from transfermon.text import humanize

pytestmark = pytest.mark.anyio
AUTH = ("auth_digest", "authn_core", "authn_file", "authz_user")
DIGEST = 'AuthType Digest\nAuthName "The house"\nAuthUserFile {root}/users\nRequire valid-user'
REALM = "Ä b".encode().decode("latin-1")
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
    found = [
        values.get("realm", "") for scheme, values in challenges_in(field) if scheme == "basic"
    ]
    bare = [value[1:-1].replace("\\", "") if value.startswith('"') else value for value in found]
    assert bare == ([] if realm is None else [realm])


@pytest.mark.parametrize(
    ("field", "nonce"),
    [
        ('Digest realm="d", nonce="1"', '"1"'),
        (
            'Basic realm="b", DIGEST Realm="d", Nonce=1, qop="auth-int, auth", algorithm=sha-256',
            "1",
        ),
        (
            'Digest realm="d", nonce="1", algorithm=SHA-512-256, Digest realm="d", nonce="2", algorithm="MD5"',
            '"2"',
        ),
        ('Digest realm="d", nonce="1", qop="auth-int"', None),
        ('Digest realm="d"', None),
        ('Digest realm="d", nonce=', None),
        ("Digest", None),
        ("", None),
    ],
)
def test_the_digest_challenge_is_one_that_can_be_answered(field, nonce):
    assert (digest_offer(field) or {}).get("nonce") == nonce


def test_a_login_is_told_from_every_other_value():
    assert login_in(digest_login("mé", "s:e c@/ret")) == ("mé", "s:e c@/ret")
    for value in ("", "Basic bWU6eA==", "Digest-Login", "Digest-Login ???", 'Digest username="me"'):
        assert login_in(value) is None


@pytest.mark.parametrize(
    ("status", "field", "words"),
    [
        (401, 'Basic realm="x"', ""),
        (401, 'Digest realm="x", nonce="n"', ""),
        (407, 'Digest realm="x", nonce="n"', "does not have: digest"),
        (401, "Negotiate, NTLM", "does not have: negotiate, ntlm"),
        (401, 'Bearer realm="x"', "Authorization: Bearer"),
        (401, "", ""),
    ],
)
def test_a_way_to_sign_in_that_is_not_here_is_named(status, field, words):
    said = login_hint(status, field)
    assert words in said
    assert bool(words) == bool(said)


@pytest.mark.parametrize(
    ("user", "password"), [("", "p"), ("a:b", "p"), ("a\n", "p"), ("a", "p\r\nX: y")]
)
def test_what_basic_cannot_carry_is_refused(user, password):
    with pytest.raises(ValueError, match=r"user name"):
        basic_login(user, password)


def guarded(conn: Conn, request: Request) -> None:
    """A server behind a password; /away leads to it from elsewhere, /other wants something else."""
    if request.target == "/away":
        _, _, port = request.header("Host").partition(":")
        conn.send(reply(302, {"Location": f"http://localhost:{port}/"}))
    elif request.target == "/other":
        conn.send(reply(401, {"WWW-Authenticate": "Negotiate"}))
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
    return Monitor.open(
        str(tmp_path / "state"), settings=Settings(download_folder=str(tmp_path / "out"))
    )


async def failed(monitor: Monitor, url: str, *, session: str = "s", **options: Any) -> Any:
    task = monitor.session(session).download_task(url, **options)
    await task.wait()
    assert task.record.failed
    return task


async def test_credentials_are_asked_for_by_the_server_and_the_task_goes_on_with_them(
    server, tmp_path
):
    async with opened(tmp_path) as monitor:
        monitor.ready()
        task = await failed(
            monitor,
            server.url("/a"),
            request_headers={"X-Own": "1", "authorization": "Basic d3Jvbmc6"},
        )
        assert monitor.logins.challenge(task.key) == Challenge(
            authority=f"127.0.0.1:{server.port}", realm="The house", protected=True
        )
        with pytest.raises(ValueError, match="colon"):
            monitor.logins.give(task.key, "m:e", "x")
        assert task.record.failed
        monitor.logins.give(task.key, "mé", "wrong")
        await task.wait()
        assert monitor.logins.challenge(task.key) is not None  # and asked again
        monitor.logins.give(task.key, "mé", "s:e c@/ret")
        await task.wait()
        assert task.record.succeeded
        assert Path(task.record.final_path).read_bytes() == BODY
        assert server.requests[-1].header("X-Own") == "1"
        assert monitor.logins.challenge(task.key) is None
        with pytest.raises(InvalidAction):
            monitor.logins.give(task.key, "mé", "x")


class Hashing:
    """A server that wants Digest (RFC 7616) and takes each nonce so many times."""

    def __init__(self, algorithm: str, uses: int) -> None:
        self._algorithm, self._uses = algorithm, uses
        self._counts: list[int] = []  # of each nonce
        self.refused = 0

    def __call__(self, conn: Conn, request: Request) -> None:
        given = next(
            (
                values
                for scheme, values in challenges_in(request.header("Authorization"))
                if scheme == "digest"
            ),
            {},
        )
        if given and self._is_right(
            request, {name: value.strip('"') for name, value in given.items()}
        ):
            conn.send(reply(200, {}, BODY))
            return
        self.refused += 1
        self._counts.append(0)
        offer = f'realm="{REALM}", nonce="n{len(self._counts) - 1}", qop="auth,auth-int", opaque="o", algorithm={self._algorithm}'
        conn.send(reply(401, {"WWW-Authenticate": f"Digest {offer}"}, b"no" * 100))

    def _is_right(self, request: Request, given: dict[str, str]) -> bool:
        def digest(*parts: str) -> str:
            name = self._algorithm.lower().removesuffix("-sess").replace("-", "")
            return hashlib.new(name, ":".join(parts).encode("latin-1")).hexdigest()

        number = int(given["nonce"][1:])
        secret = digest("me", REALM, "s:e c@/ret")
        if self._algorithm.endswith("-sess"):
            secret = digest(secret, given["nonce"], given["cnonce"])
        asked = digest(request.method, request.target)
        wanted = digest(secret, given["nonce"], given["nc"], given["cnonce"], "auth", asked)
        self._counts[number] += 1
        fresh = self._counts[number] <= self._uses and int(given["nc"], 16) == self._counts[number]
        return (
            fresh
            and given["uri"] == request.target
            and given["response"] == wanted
            and given["opaque"] == "o"
        )


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "MD5-sess"])
async def test_digest_is_answered_without_the_password_and_for_each_request_anew(
    algorithm, tmp_path
):
    guard = Hashing(algorithm, uses=2)
    with ByteServer(guard) as server:
        async with opened(tmp_path) as monitor:
            monitor.ready()
            tasks = [
                await failed(monitor, server.url(f"/a{number}?b=c%20d")) for number in range(4)
            ]
            asked = monitor.logins.challenge(tasks[0].key)
            assert asked is not None
            assert (asked.digest, asked.protected) == (True, True)
            for task in tasks:
                monitor.logins.give(task.key, "me", "s:e c@/ret")
                await task.wait()
                assert task.record.succeeded
                assert Path(task.record.final_path).read_bytes() == BODY
            # each without a login, then for the first nonce and for the third use of it
            assert guard.refused == 4 + 2
            told = json.dumps([event.to_dict() for event in await monitor.overview.history()])
        sent = " ".join(request.header("Authorization") for request in server.requests)
        for secret in (
            "s:e c@/ret",
            base64.b64encode(b"me:s:e c@/ret").decode(),
            "Digest-Login",
            "Basic",
        ):
            assert secret not in sent + told


async def test_a_password_in_the_address_answers_digest_too(tmp_path):
    guard = Hashing("MD5", uses=9)
    with ByteServer(guard) as server:
        async with opened(tmp_path) as monitor:
            monitor.ready()
            for name in ("a", "b"):
                task = monitor.session("s").download_task(
                    f"http://me:s%3Ae%20c%40%2Fret@127.0.0.1:{server.port}/{name}"
                )
                await task.wait()
                assert task.record.succeeded
        schemes = [request.header("Authorization").partition(" ")[0] for request in server.requests]
        assert schemes == ["Basic", "Digest", "Digest"]


async def test_a_session_that_is_reset_forgets_the_logins_that_it_answered(tmp_path):
    with ByteServer(Hashing("MD5", uses=9)) as server:
        async with opened(tmp_path) as monitor:
            monitor.ready()
            task = await failed(monitor, server.url("/a"))
            monitor.logins.give(task.key, "me", "s:e c@/ret")
            await task.wait()
            assert monitor._engine.transport._digest_logins
            await monitor.session("s").reset()
            assert not monitor._engine.transport._digest_logins


async def test_basic_that_a_server_refuses_is_not_tried_again_as_digest(tmp_path):
    def both(conn: Conn, _request: Request) -> None:
        conn.send(reply(401, {"WWW-Authenticate": 'Digest realm="d", nonce="n", Basic realm="b"'}))

    with ByteServer(both) as server:
        async with opened(tmp_path) as monitor:
            monitor.ready()
            await failed(monitor, f"http://me:x@127.0.0.1:{server.port}/a")
        assert len(server.requests) == 1


async def test_a_wrong_password_for_digest_is_refused_and_asked_for_again(tmp_path):
    with ByteServer(Hashing("MD5", uses=9)) as server:
        async with opened(tmp_path) as monitor:
            monitor.ready()
            task = await failed(monitor, server.url("/a"))
            monitor.logins.give(task.key, "me", "wrong")
            await task.wait()
            assert task.record.error.status == 401
            assert monitor.logins.challenge(task.key) is not None
            assert len(server.requests) == 3


async def test_an_upload_answers_digest_and_counts_its_bytes_once(tmp_path):
    guard = Hashing("SHA-256", uses=1)
    source = tmp_path / "source"
    source.write_bytes(b"x" * 100_000)
    with ByteServer(guard) as server:
        async with opened(tmp_path) as monitor:
            monitor.ready()
            task = monitor.session("s").upload_task(
                server.url("/up"), source, method="PUT", protocol="plain"
            )
            await task.wait()
            monitor.logins.give(task.key, "me", "s:e c@/ret")
            await task.wait()
            assert task.record.succeeded
            assert task.count_of_bytes_sent == 100_000


@pytest.mark.skipif(apache.PATH is None, reason=apache.WHY_NOT)
async def test_apache_lets_a_large_file_through_that_is_behind_digest(tmp_path):
    secret = hashlib.md5(b"me:The house:s:e c@/ret").hexdigest()
    with apache.running(tmp_path / "apache", access=DIGEST, modules=AUTH) as server:
        server.put("users", f"me:The house:{secret}\n".encode(), age=1000.0)
        content = random.Random(1).randbytes(8_000_000)
        server.put("film.mp4", content, age=1000.0)
        async with opened(tmp_path) as monitor:
            monitor.ready()
            task = await failed(monitor, server.url("/film.mp4"))
            monitor.logins.give(task.key, "me", "s:e c@/ret")
            await task.wait()
            assert task.record.succeeded
            assert Path(task.record.final_path).read_bytes() == content


async def test_a_password_is_in_the_vault_while_it_is_needed_and_nowhere_else(server, tmp_path):
    state = tmp_path / "state"
    async with opened(tmp_path) as monitor:
        monitor.ready()
        task = await failed(monitor, server.url("/a"))
        monitor.logins.give(task.key, "mé", "not this one")
        await task.wait()
        wrong = base64.b64encode("mé:not this one".encode()).decode()
        assert (
            json.loads((state / "secrets.json").read_text())["s:1"]["Authorization"]
            == f"Basic {wrong}"
        )
        told = json.dumps([event.to_dict() for event in await monitor.overview.history()])
        monitor.commands.remove(task.key)
    assert wrong not in told
    for path in (path for path in state.rglob("*") if path.is_file()):
        assert wrong.encode() not in path.read_bytes()
        assert b"not this one" not in path.read_bytes()


async def test_nobody_is_asked_where_the_password_would_go_elsewhere_or_in_another_way(
    server, tmp_path
):
    async with opened(tmp_path) as monitor:
        monitor.ready()
        for path in ("/away", "/other"):
            task = await failed(monitor, server.url(path))
            assert task.record.error.status == 401
            assert monitor.logins.challenge(task.key) is None
            with pytest.raises(InvalidAction):
                monitor.logins.give(task.key, "me", "x")


async def test_a_stranger_s_address_asks_nobody(server, tmp_path):
    async with opened(tmp_path) as monitor:
        monitor.ready()
        monitor.preferences.update(allowed_hosts=(f"127.0.0.1:{server.port}",))
        task = await failed(monitor, server.url("/a"), origin=Origin.GIVEN)
        assert task.record.error.status == 401
        assert monitor.logins.challenge(task.key) is None


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
        asked = monitor.logins.challenge(task.key)
        assert asked == Challenge(
            authority=f"127.0.0.1:{gate.port}", realm="The gate", of_proxy=True, protected=True
        )
        monitor.logins.give(task.key, "mé", "s:e c@/ret")
        await task.wait()
        assert task.record.succeeded
        # what is the proxy's is not told to the server
        assert gate.requests[-1].header("Authorization") == ""
    async with opened(tmp_path) as monitor:  # another task, another day
        monitor.ready()
        task = monitor.session("s").download_task("http://far.example/b")
        await task.wait()
        assert task.record.succeeded


async def test_a_proxy_that_opens_no_tunnel_asks_too_and_a_server_without_a_proxy_does_not(
    gate, tmp_path
):
    configuration = SessionConfiguration.background("s")
    configuration.proxy = gate.url("")
    async with opened(tmp_path) as monitor:
        monitor.ready()
        monitor.create_session(configuration)
        task = await failed(monitor, "https://far.example/a")
        asked = monitor.logins.challenge(task.key)
        assert asked is not None
        assert (asked.of_proxy, asked.authority) == (True, f"127.0.0.1:{gate.port}")
        direct = await failed(monitor, gate.url("/a"), session="other")
        assert direct.record.error.status == 407
        assert monitor.logins.challenge(direct.key) is None


async def test_without_a_window_a_task_waits_for_a_password_and_the_window_asks_for_it(
    tmp_path: Path,
):
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
            told = [
                event
                for event in await monitor.overview.history(task=task.key)
                if isinstance(event, TaskStateEvent)
            ]
            waiting = changed(
                task, activity=Activity(told[-1].activity), waiting_reason=told[-1].reason
            )
            words = humanize.status(waiting, 0.0)
            assert words == "Waiting: a user name and password are asked for. Open Transfermon"
            monitor.ready()
            end = await monitor.handle(task.key).wait()
            assert end.error is not None
            assert monitor.logins.challenge(task.key) is not None
            monitor.logins.give(task.key, "mé", "s:e c@/ret")
            assert (await monitor.handle(task.key).wait()).succeeded
