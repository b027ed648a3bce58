"""What requests carry, where it goes, and whom they trust, as people meet it: from the order to the
wire.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, authority, reply
from tests.helpers.recorder import eventually
from tests.helpers.sessions import parts_in, quick_session
from tests.helpers.socks_server import GRANTED, SocksServer, Talk
from transfermon.commands import main, transfer
from transfermon.commands import orders as command_orders
from transfermon.commands.show import _facts
from transfermon.control.api import Api
from transfermon.control.json_records import task_dict
from transfermon.engine.monitor import Monitor
from transfermon.http.addresses import redirect_target
from transfermon.model.errors import TransferFailure
from transfermon.model.request_options import RequestOptions, content_type_of
from transfermon.model.task import Task, TaskKey
from transfermon.system.network_status import Connectivity

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


def orders(*words: str) -> list[dict[str, Any]]:
    """What a command line asks of the engine."""
    arguments = main._parser(words).parse_args(words)
    made = {
        "get": command_orders.download_orders,
        "put": command_orders.upload_orders,
        "send": command_orders.data_orders,
    }
    return made[words[0]](arguments)


async def run(monitor: Monitor, *words: str) -> Task:
    """The task of a command, when it has ended."""
    (order,) = orders(*words, "--retry", "1")
    answer = await Api(monitor).answer("POST", "/v1/tasks", json.dumps(order).encode())
    assert answer.status in (200, 201), answer.body
    return await monitor.handle(TaskKey.parse(str(answer.body["id"]))).wait()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of whoever types commands."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ByteServer]]:
    """Serve all hosts of the world by a proxy that the environment names."""
    servers: list[ByteServer] = []

    def start(handler: Callable[[Conn, Request], None]) -> ByteServer:
        servers.append(ByteServer(handler))
        monkeypatch.setenv("http_proxy", servers[-1].url("/"))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


# ---- headers at another origin


async def test_the_other_host_gets_what_says_how_to_read_it_and_no_secret(
    monitor, server, resource, here
):
    with ByteServer(Resource(b"x" * 5000)) as other:
        target = other.url("/object/abc.zip", "localhost")
        resource.before = lambda conn, request: conn.send(reply(302, {"Location": target})) is None
        task = await run(
            monitor,
            "get",
            "-H",
            "User-Agent: Mozilla/5.0",
            "-H",
            "X-Api-Key: canary",
            "-H",
            "Referer: http://site.example/page?token=canary",
            server.url("/start.zip"),
        )
        assert task.succeeded
        assert (here / "abc.zip").exists()
        (request,) = other.requests
    assert request.header("User-Agent") == "Mozilla/5.0"
    assert request.header("Referer") == "http://site.example/"
    assert request.header("Accept") == "*/*"
    assert b"canary" not in request.raw


async def test_what_was_dropped_on_the_way_does_not_come_back_when_it_goes_on(
    monitor, server, resource, downloads
):
    """A chain that leads away and back: where it ended is asked again without what stayed
    behind.
    """
    resource.body, resource.etag, resource.cut_after = os.urandom(1_000_000), '"v1"', 600_000
    with ByteServer(
        lambda conn, request: conn.send(reply(302, {"Location": server.url("/end")}))
    ) as second:

        def before(conn: Conn, request: Request) -> bool:
            if request.target == "/a":
                conn.send(reply(302, {"Location": second.url("/b", "localhost")}))
            elif request.header("Range"):
                resource.cut_after = None
            return request.target == "/a"

        resource.before = before
        task = quick_session(monitor).download_task(
            server.url("/a"), request_headers={"X-Api-Key": "canary"}
        )
        assert (await task.wait()).succeeded
    assert (downloads / "end").read_bytes() == resource.body
    assert [
        request.header("X-Api-Key") for request in server.requests if request.target == "/end"
    ] == ["", ""]


async def test_what_is_marked_goes_along(monitor, server, resource, here):
    with ByteServer(Resource(b"x")) as other:
        resource.before = lambda conn, request: (
            conn.send(reply(302, {"Location": other.url("/a", "localhost")})) is None
        )
        headers = ("-H", "X-Api-Key: key", "-H", "X-Other: canary", "--send-along", "x-api-key")
        assert (await run(monitor, "get", *headers, server.url("/a"))).succeeded
        assert other.requests[0].header("X-Api-Key") == "key"
        assert b"canary" not in other.requests[0].raw


async def test_a_proxys_credentials_in_a_header_reach_no_server(monitor, server, here):
    line = ("-H", "Proxy-Authorization: Basic canary")
    assert (await run(monitor, "get", *line, server.url("/a"))).succeeded
    assert b"canary" not in server.requests[0].raw


@pytest.mark.parametrize("name", ["Proxy-Authorization", "no name"])
def test_what_cannot_be_marked_is_refused_in_words(name, here):
    with pytest.raises(ValueError, match=r"\.$"):
        orders("get", "--send-along", name, "http://h.example/")


# ---- cookies


def site(conn: Conn, request: Request) -> None:
    if request.target.startswith("http://login.example.org/"):
        location = {
            "Location": "http://dl.example.org/f.zip",
            "Set-Cookie": "sid=1; Domain=.example.org; Path=/",
        }
        conn.send(reply(302, location))
    elif "sid=1" in request.header("Cookie"):
        conn.send(reply(200, {"Content-Type": "application/zip"}, b"z" * 5000))
    else:
        conn.send(reply(403))


async def test_a_cookie_of_the_sign_in_host_opens_the_download_host(monitor, proxied, here):
    proxied(site)
    assert (await run(monitor, "get", "http://login.example.org/x")).succeeded
    assert (here / "f.zip").read_bytes() == b"z" * 5000


async def test_own_cookies_go_beside_those_that_were_set(monitor, proxied, here):
    def gate(conn: Conn, request: Request) -> None:
        if request.header("Cookie") == "own=1; sid=2":
            conn.send(reply(200, {}, b"in"))
        else:
            conn.send(reply(302, {"Location": "/in", "Set-Cookie": "sid=2; Path=/"}))

    server = proxied(gate)
    assert (
        await run(monitor, "get", "-H", "Cookie: own=1", "http://files.example.org/x")
    ).succeeded
    assert server.requests[0].header("Cookie") == "own=1"


COOKIES = (
    "# Netscape HTTP Cookie File\n"
    "#HttpOnly_.example.org\tTRUE\t/\tFALSE\t0\tsid\tcanary-1\n"
    "other.example\tFALSE\t/\tFALSE\t0\tb\tcanary-2\n"
)


async def test_a_cookie_file_opens_the_way_and_what_is_of_others_is_not_kept(
    monitor, proxied, here
):
    def gate(conn: Conn, request: Request) -> None:
        conn.send(reply(200 if request.header("Cookie") == "sid=canary-1" else 403, {}, b"in"))

    server = proxied(gate)
    (here / "cookies.txt").write_text(COOKIES)
    secrets = Path(monitor.state_dir) / "secrets.json"
    (order,) = orders("get", "--cookies", "cookies.txt", "http://dl.example.org/x")
    assert "canary-2" not in json.dumps(order)
    answer = await Api(monitor).answer(
        "POST", "/v1/tasks", json.dumps({**order, "start": False}).encode()
    )
    task = monitor.handle(TaskKey.parse(str(answer.body["id"])))
    await monitor._engine.vault.saved()
    assert "canary-1" in secrets.read_text()
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    assert "canary" not in repr(task.record)
    assert (await task.resume().wait()).succeeded
    assert server.requests[0].header("Cookie") == "sid=canary-1"
    monitor.commands.remove(task.key)
    # when the removal is stored
    await eventually(lambda: "canary" not in secrets.read_text())


async def test_cookies_of_a_file_follow_a_redirect_by_their_own_domain_only(monitor, proxied, here):
    def away(conn: Conn, request: Request) -> None:
        if request.target.startswith("http://dl.example.org/"):
            conn.send(reply(302, {"Location": "http://cdn.example.org/y"}))
        elif request.target.startswith("http://cdn.example.org/"):
            conn.send(reply(302, {"Location": "http://elsewhere.example/z"}))
        else:
            conn.send(reply(200, {}, b"x"))

    server = proxied(away)
    (here / "cookies.txt").write_text(COOKIES)
    assert (
        await run(monitor, "get", "--cookies", "cookies.txt", "http://dl.example.org/x")
    ).succeeded
    assert [request.header("Cookie") for request in server.requests] == [
        "sid=canary-1",
        "sid=canary-1",
        "",
    ]


@pytest.mark.parametrize(
    "text", ["<html>", "dl.example.org\tFALSE\t/\tFALSE\t1\told\tcanary\n", ""]
)
def test_a_cookie_file_that_is_of_no_use_is_told(here, text):
    (here / "cookies.txt").write_text(text)
    with pytest.raises(ValueError, match="cookie file") as caught:
        orders("get", "--cookies", "cookies.txt", "http://dl.example.org/x")
    assert "canary" not in str(caught.value)


# ---- proxies


async def test_a_dead_proxy_is_not_blamed_on_the_server(monitor, here, monkeypatch):
    with ByteServer(Resource(b"")) as taken:
        port = taken.port
    monkeypatch.setenv("http_proxy", f"http://me:half#canary@127.0.0.1:{port}")
    task = await run(monitor, "get", "http://files.example.org/f.zip")
    assert task.error is not None
    assert task.error.message == f"The proxy at 127.0.0.1:{port} refused the connection."
    assert "canary" not in str(task)


async def test_a_socks_proxy_of_the_environment_is_used(monitor, here, monkeypatch):
    asked = []
    with ByteServer(Resource(b"z" * 5000)) as far:

        def script(talk: Talk) -> None:
            talk.greet()
            asked.append(talk.asked())
            talk.send(GRANTED)
            talk.carry(far.port)

        with SocksServer(script) as proxy:
            monkeypatch.setenv("all_proxy", proxy.url())
            assert (await run(monitor, "get", "http://files.example.org/f.zip")).succeeded
            monitor._engine.transport.drop_idle()
    assert asked == [("files.example.org", 80)]
    assert (here / "f.zip").read_bytes() == b"z" * 5000


async def test_a_proxy_on_this_machine_needs_no_network(
    monitor: Monitor, connectivity: Connectivity, proxied: Callable[..., ByteServer]
):
    proxied(lambda conn, request: conn.send(reply(200, {}, b"x")))
    connectivity.update(False)
    session = quick_session(monitor)
    assert (await session.download_task("http://files.example.org/f.zip").wait()).succeeded


async def test_a_dead_proxy_on_this_machine_is_not_waited_for_without_a_network(
    monitor: Monitor, connectivity: Connectivity, monkeypatch: pytest.MonkeyPatch
):
    with ByteServer(Resource(b"")) as taken:
        port = taken.port
    monkeypatch.setenv("all_proxy", f"socks5h://127.0.0.1:{port}")
    connectivity.update(False)
    record = (
        await quick_session(monitor)
        .download_task("http://files.example.org/f", maximum_attempts=2)
        .wait()
    )
    assert record.error is not None
    assert (record.error.reason, record.attempt) == ("net.proxy", 2)


async def test_the_credentials_of_a_sessions_proxy_are_kept_with_the_secrets_only(
    monitor: Monitor, tmp_path: Path
):
    quick_session(monitor, proxy="socks5h://me:half#canary@127.0.0.1:1080")
    await monitor._engine.vault.saved()
    await monitor._engine.store.read(lambda database: None)
    state = Path(monitor.state_dir)
    holders = [
        path.name for path in state.rglob("*") if path.is_file() and b"canary" in path.read_bytes()
    ]
    assert holders == ["secrets.json"]


async def test_a_sessions_proxy_that_cannot_be_used_is_refused_at_once(monitor: Monitor):
    with pytest.raises(ValueError) as caught:
        quick_session(monitor, proxy="gopher://me:canary@h:1")
    assert "canary" not in str(caught.value)


# ---- types, methods, and a command that is run again


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'{"a": 1}', "application/json"),
        (b" [1, 2]\n", "application/json"),
        (b'"text"', "application/json"),
        ('{"a": "\u00fc"}'.encode(), "application/json"),
        (b'{"a": \xfc}', "application/octet-stream"),
        (b'{"a": NaN}', "application/octet-stream"),
        (b"{a: 1}", "application/octet-stream"),
        (b"a=1&b=2", "application/octet-stream"),
        (b"", "application/octet-stream"),
        (b"[" * 200_000, "application/octet-stream"),
    ],
)
def test_what_is_json_is_sent_as_json(data, kind):
    assert content_type_of(data) == kind


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ((), "application/json"),
        (("--content-type", "application/vnd.api+json"), "application/vnd.api+json"),
        (("-H", "content-type: text/plain"), "text/plain"),
        (("-H", "content-type: text/plain", "--content-type", "x/y"), "x/y"),
        (("--no-content-type",), ""),
    ],
)
async def test_a_body_is_sent_with_the_type_that_is_wanted(monitor, server, here, words, kind):
    task = await run(monitor, "send", server.url("/api"), "--data", '{"a": 1}', *words)
    assert task.succeeded
    assert server.requests[0].header("Content-Type") == kind
    assert server.requests[0].body == b'{"a": 1}'


async def test_a_signed_upload_can_be_made_without_a_type(monitor, server, here):
    (here / "f.bin").write_bytes(b"x" * 100)
    server.handler = lambda conn, request: conn.send(reply(201))
    assert (
        await run(monitor, "put", "f.bin", server.url("/signed?X=1"), "--no-content-type")
    ).succeeded
    (request,) = server.requests
    assert (request.method, request.body) == ("PUT", b"x" * 100)
    assert "content-type" not in request.raw.decode().lower()


def password_wanted(conn: Conn, request: Request) -> None:
    if request.header("Authorization") == "Basic bWU6cmlnaHQ=":
        conn.send(reply(200, {}, b"in"))
    else:
        conn.send(
            reply(403 if request.header("X-Wrong") else 401, {"WWW-Authenticate": "Basic realm=x"})
        )


async def test_a_command_with_another_password_does_not_use_the_old_one(monitor, server, here):
    server.handler = password_wanted
    url = server.url("/a.bin")
    wrong = await run(monitor, "get", url.replace("//", "//me:wrong@"))
    assert wrong.failed
    assert (await run(monitor, "get", url.replace("//", "//me:right@"))).succeeded


async def test_a_command_without_the_header_that_was_wrong_goes_without_it(monitor, server, here):
    server.handler = lambda conn, request: conn.send(
        reply(400 if request.header("X-Wrong") else 200, {}, b"in")
    )
    first = await run(monitor, "get", "-H", "X-Wrong: 1", server.url("/a.bin"))
    assert first.failed
    second = await run(monitor, "get", server.url("/a.bin"))
    assert second.succeeded
    assert second.key == first.key


async def test_a_login_that_a_person_gave_stays_when_the_command_is_run_again(
    monitor, server, here
):
    server.handler = password_wanted
    first = await run(monitor, "get", server.url("/a.bin"))
    assert monitor.logins.challenge(first.key) is not None
    server.handler = lambda conn, request: conn.send(reply(500))
    monitor.logins.give(first.key, "me", "right")
    await monitor.handle(first.key).wait()
    server.handler = password_wanted
    assert (await run(monitor, "get", server.url("/a.bin"))).succeeded


# ---- whom a request trusts


def test_the_hint_for_an_insecure_redirect_names_an_option_that_there_is(capsys):
    with pytest.raises(TransferFailure) as caught:
        redirect_target("https://a.example/", "http://b.example/", allows_insecure=False)
    assert "--insecure-redirects" in caught.value.hint
    with pytest.raises(SystemExit):
        main._parser(["get"]).parse_args(["get", "--help"])
    assert "--insecure-redirects" in capsys.readouterr().out


async def test_a_redirect_to_http_is_followed_where_the_command_allows_it(monitor, here, tmp_path):
    authority().cert_pem.write_to_path(tmp_path / "ca.pem")
    with ByteServer(Resource(b"plain")) as plain:
        moved = reply(302, {"Location": plain.url("/f.bin")})
        with ByteServer(lambda conn, request: conn.send(moved), tls=True) as secure:
            trusting = ("--ca-file", str(tmp_path / "ca.pem"))
            refused = await run(monitor, "get", *trusting, secure.url("/a"))
            assert refused.error is not None
            assert refused.error.reason == "pol.insecure-redirect"
            assert (
                await run(monitor, "get", *trusting, "--insecure-redirects", secure.url("/a"))
            ).succeeded
    assert (here / "f.bin").read_bytes() == b"plain"


async def test_own_authorities_hold_for_one_command(monitor, here, tmp_path):
    authority().cert_pem.write_to_path(tmp_path / "ca.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    with ByteServer(Resource(b"x"), tls=True) as server:
        for words, trusted in [((), False), (("--ca-file", str(tmp_path / "other.pem")), False)]:
            task = await run(monitor, "get", *words, server.url("/a"))
            assert task.succeeded == trusted
        assert (
            await run(monitor, "get", "--ca-file", str(tmp_path / "ca.pem"), server.url("/a"))
        ).succeeded


@pytest.mark.parametrize("option", ["--ca-file", "--cookies"])
def test_a_file_that_is_not_there_is_told_before_anything_begins(here, option):
    with pytest.raises(ValueError, match=r"nothing\.txt cannot be read"):
        orders("get", option, "nothing.txt", "http://h.example/")


async def test_keys_are_written_where_a_person_says_so_and_by_no_variable(
    monitor, here, tmp_path, monkeypatch
):
    authority().cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "of the environment"))
    with ByteServer(Resource(b"x"), tls=True) as server:
        trusting = ("--ca-file", str(tmp_path / "ca.pem"))
        assert (await run(monitor, "get", *trusting, "-o", "1", server.url("/a"))).succeeded
        assert (
            await run(monitor, "get", *trusting, "-o", "2", "--tls-keys", "keys", server.url("/a"))
        ).succeeded
        written = (here / "keys").read_text()
        assert (await run(monitor, "get", *trusting, "-o", "3", server.url("/a"))).succeeded
    assert "CLIENT_TRAFFIC_SECRET" in written
    assert (here / "keys").read_text() == written  # the last command did not ask for it
    assert stat.S_IMODE((here / "keys").stat().st_mode) == 0o600
    assert not (tmp_path / "of the environment").exists()


def test_who_writes_keys_is_told_what_that_means(here, capsys, monkeypatch):
    words = ["get", "--tls-keys", "keys", "http://h.example/"]
    arguments = main._parser(words).parse_args(words)
    monkeypatch.setattr(transfer.Getter, "run", lambda self: 0)
    assert main._get(arguments) == 0
    said = capsys.readouterr().err
    assert f"{here}/keys" in said
    assert "who has them can read all that is sent" in said


@pytest.mark.parametrize(("typed", "number"), [("auto", -1), ("1", 1), ("8", 8)])
async def test_a_number_of_connections_goes_with_its_task(
    monitor, here, server, typed: str, number: int
):
    task = await run(monitor, "get", "--connections", typed, server.url("/a"))
    assert task.succeeded
    assert task.options == RequestOptions(connections=number)


@pytest.mark.parametrize("typed", ["0", "9", "many", "1.5"])
def test_a_wrong_number_of_connections_is_one_sentence(here, capsys, typed: str):
    assert main.main(["get", "--connections", typed, "http://h.example/"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert (
        said.err.strip()
        .splitlines()[-1]
        .endswith("One file has 1 to 8 connections at once, or “auto”.")
    )
    assert "Traceback" not in said.err


def test_what_is_sent_has_no_number_of_connections(here, capsys):
    with pytest.raises(SystemExit):
        orders("put", "--connections", "2", "a", "http://h.example/")
    assert "--connections" in capsys.readouterr().err


async def test_mirrors_go_with_their_task(monitor, here, server):
    words = ("--mirror", "http://m.example/a", "--mirror", "http://n.example/A?b=c")
    task = await run(monitor, "get", *words, "--mirrors-are-the-same", server.url("/a"))
    assert task.succeeded
    assert task.options == RequestOptions(
        mirrors=("http://m.example/a", "http://n.example/A?b=c"), mirrors_are_the_same=True
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--mirror", "http://m.example/a", "http://h.example/"), "a SHA-256 checksum"),
        (
            ("--mirror", "m.example", "--mirrors-are-the-same", "http://h.example/"),
            "begins with http",
        ),
        (
            (
                *("--mirror", "http://m.example/a", "--mirrors-are-the-same"),
                *("http://h.example/", "http://i.example/"),
            ),
            "--mirror is for one address at a time",
        ),
        (
            (
                *("--mirror", "http://u:secret@m.example/", "--mirrors-are-the-same"),
                "http://h.example/",
            ),
            "no user name and no password",
        ),
    ],
)
def test_mirrors_that_cannot_be_are_refused_in_one_sentence(here, capsys, words, said: str):
    assert main.main(["get", *words]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err.strip().splitlines()[-1]
    assert "secret" not in told.err


@pytest.mark.parametrize(("number", "shown"), [(3, "3"), (-1, "auto"), (0, "")])
async def test_a_number_of_connections_is_shown(monitor, server, number: int, shown: str):
    session = quick_session(monitor)
    options = RequestOptions(connections=number)
    task = session.download_task(server.url("/a"), options=options, start=False)
    facts = dict(_facts(task_dict(monitor.task(task.key))))
    assert facts.get("Connections", "") == shown


async def test_the_control_api_shows_no_secret_of_a_mirrors_address(monitor, server):
    session = quick_session(monitor)
    options = RequestOptions(mirrors=("http://m.example/a?key=secret",), mirrors_are_the_same=True)
    task = session.download_task(server.url("/a"), options=options, start=False)
    shown = task_dict(monitor.task(task.key))
    assert shown["options"]["mirrors"] == ["http://m.example/a?key=…"]


async def test_options_come_back_with_the_task(monitor, open_monitor, server):
    options = RequestOptions(send_along=("x-key",), insecure_redirects=True, no_content_type=True)
    session = quick_session(monitor)
    key = session.download_task(server.url("/a"), options=options, start=False).key
    assert monitor.task(key).options == options
    assert not parts_in(Path(monitor.state_dir))


@pytest.mark.parametrize(
    "options",
    [
        {"sendAlong": "x"},
        {"sendAlong": [1]},
        {"insecureRedirects": 1},
        {"caFile": "relative"},
        {"more": 1},
        {"tlsKeys": 3},
        {"connections": 9},
        {"connections": -2},
        {"connections": "4"},
        {"connections": True},
        {"connections": 2.0},
        {"mirrors": "http://m.example/a"},
        {"mirrors": ["http://m.example/a"]},  # nothing tells that it is the same file
        {"mirrors": ["ftp://m.example/a"], "mirrorsAreTheSame": True},
    ],
)
async def test_the_control_api_refuses_options_that_cannot_be(monitor, server, options):
    order = {"url": server.url("/a"), "options": options}
    answer = await Api(monitor).answer("POST", "/v1/tasks", json.dumps(order).encode())
    assert answer.status == 400


@pytest.mark.parametrize(
    "cookies",
    [
        [1],
        [{}],
        [{"name": "a"}],
        [{"name": "a", "value": "b\r\nX: y", "domain": "d", "expires": None}],
    ],
)
async def test_the_control_api_refuses_what_is_no_cookie(monitor, server, cookies):
    order = {"url": server.url("/a"), "cookies": cookies}
    answer = await Api(monitor).answer("POST", "/v1/tasks", json.dumps(order).encode())
    assert answer.status == 400
