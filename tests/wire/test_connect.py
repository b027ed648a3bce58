"""Addresses that race, and ways through SOCKS proxies, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, authority, reply
from tests.helpers.socks_server import GRANTED, SocksServer, Talk
from transfermon.http.proxies import KINDS
from transfermon.model.errors import Code, Retry, TransferFailure
from transfermon.model.task import Origin, Progress
from transfermon.wire import connect
from transfermon.wire.call import Call
from transfermon.wire.connect import in_turn, race
from transfermon.wire.proxy_talks import TALKS
from transfermon.wire.transport import Transport

pytestmark = pytest.mark.anyio
SIX, FOUR = socket.AF_INET6, socket.AF_INET
FAR = "http://far.example/x"


# ---- addresses


@pytest.mark.parametrize(
    ("found", "order"),
    [
        ("", ""),
        ("a", "a"),
        ("AB", "AB"),
        ("ABCab", "AaBbC"),
        ("abA", "aAb"),
        ("aAbB", "aAbB"),
    ],
)
def test_families_take_turns_and_the_resolvers_first_stays_first(found, order):
    addresses = [(SIX if letter.isupper() else FOUR, (letter, 80)) for letter in found]
    assert "".join(address[1][0] for address in in_turn(addresses)) == order


class Line:
    """Pretended addresses: each answers, fails or is silent when it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.made: dict[str, socket.socket] = {}
        self.ends: dict[str, asyncio.Future[None]] = {}

    async def connect(self, name: str) -> socket.socket:
        self.asked.append(name)
        await self.ends.setdefault(name, asyncio.get_running_loop().create_future())
        self.made[name], far = socket.socketpair()
        far.close()
        return self.made[name]

    def settle(self, name: str, error: OSError | None = None) -> None:
        end = self.ends.setdefault(name, asyncio.get_running_loop().create_future())
        end.set_exception(error) if error else end.set_result(None)


async def test_a_silent_address_costs_a_quarter_of_a_second():
    line = Line()
    line.settle("living")
    began = asyncio.get_running_loop().time()
    with await race(["dead", "living"], line.connect) as won:
        assert won is line.made["living"]
    assert 0.2 < asyncio.get_running_loop().time() - began < 0.5
    assert connect.NEXT_ADDRESS == 0.25


async def test_an_address_that_fails_costs_nothing():
    line = Line()
    line.settle("a", ConnectionRefusedError())
    line.settle("b", OSError())
    line.settle("c")
    began = asyncio.get_running_loop().time()
    (await race(["a", "b", "c", "d"], line.connect)).close()
    assert asyncio.get_running_loop().time() - began < 0.2
    assert line.asked == ["a", "b", "c"]


async def test_one_that_answers_late_still_wins_and_the_other_is_closed():
    line = Line()
    racing = asyncio.ensure_future(race(["late", "silent"], line.connect))
    while line.asked != ["late", "silent"]:
        await asyncio.sleep(0.01)
    line.settle("late")
    line.settle("silent")
    (await racing).close()
    while line.made["silent"].fileno() != -1:
        await asyncio.sleep(0.01)


async def test_all_failures_are_told_in_their_order():
    line = Line()
    line.settle("a", OSError("first"))
    line.settle("b", ConnectionRefusedError("second"))
    with pytest.raises(ExceptionGroup) as caught:
        await race(["a", "b"], line.connect)
    assert [str(exc) for exc in caught.value.exceptions] == ["first", "second"]


async def test_a_name_that_is_not_found_after_its_asker_has_gone_is_nobodys_failure(monkeypatch):
    loop = asyncio.get_running_loop()
    asked, answer, unheard = asyncio.Event(), asyncio.Event(), []

    async def getaddrinfo(*_: object, **__: object) -> None:
        asked.set()
        with contextlib.suppress(asyncio.CancelledError):  # the system's own look-up goes on, too
            await answer.wait()
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    loop.set_exception_handler(lambda _, context: unheard.append(context))
    asking = asyncio.ensure_future(connect._resolve("nowhere.example", 80, 60))
    await asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    answer.set()
    for _ in range(3):
        await asyncio.sleep(0)
    gc.collect()
    loop.set_exception_handler(None)
    assert unheard == []


async def test_who_gives_up_leaves_no_connection_behind():
    line = Line()
    racing = asyncio.ensure_future(race(["a", "b"], line.connect))
    while len(line.asked) < 2:
        await asyncio.sleep(0.01)
    racing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await racing
    await asyncio.sleep(0)
    assert all(end.cancelled() for end in line.ends.values())


# ---- SOCKS


def test_every_kind_of_proxy_speaks_http_or_has_its_talk():
    assert {name for name, kind in KINDS.items() if not kind.speaks_http} == TALKS.keys()


@pytest.fixture
def far() -> Iterator[ByteServer]:
    """The server that every way leads to."""
    with ByteServer(lambda conn, request: conn.send(reply(200, {}, b"far"))) as server:
        yield server


async def get(transport: Transport, url: str, proxy: str, **settings: Any) -> bytes:
    answer = await transport.open(Call(url=url, proxy=proxy, **{"idle_timeout": 10.0, **settings}))
    try:
        return await answer.read(10**6)
    finally:
        await answer.aclose()


async def refused(transport: Transport, url: str, proxy: str, **settings: Any) -> TransferFailure:
    with pytest.raises(TransferFailure) as caught:
        await get(transport, url, proxy, **settings)
    error = caught.value.error
    assert "canary" not in str(error)
    return caught.value


Script = Callable[[Talk], None]


def way_5(far: ByteServer, seen: list[Any]) -> Script:
    """A proxy for which every host is that server."""

    def script(talk: Talk) -> None:
        talk.greet()
        seen.append(talk.asked())
        talk.send(GRANTED)
        talk.carry(far.port)

    return script


async def test_socks5h_gives_the_name_to_the_proxy(transport, far):
    seen: list[Any] = []
    with SocksServer(way_5(far, seen)) as proxy:
        assert await get(transport, FAR, proxy.url()) == b"far"
        transport.drop_idle()
    assert seen == [("far.example", 80)]
    assert far.requests[0].header("Host") == "far.example"


async def test_socks5_looks_the_name_up_here(transport, far):
    seen: list[Any] = []
    with SocksServer(way_5(far, seen)) as proxy:
        assert await get(transport, "http://93.184.216.34:81/x", proxy.url("socks5")) == b"far"
        failure = await refused(transport, "http://nobody.invalid/x", proxy.url("socks5"))
        transport.drop_idle()
    assert seen == [("93.184.216.34", 81)]
    assert "nobody.invalid" in failure.error.message
    assert "proxy" not in failure.error.message.lower()


async def test_a_login_goes_to_a_proxy_that_wants_one_and_to_nobody_else(transport, far):
    logins = []

    def script(talk: Talk) -> None:
        assert talk.greet(b"\x05\x02") == b"\x00\x02"
        logins.append(talk.login())
        talk.asked()
        talk.send(GRANTED)
        talk.carry(far.port)

    with SocksServer(script) as proxy:
        assert await get(transport, FAR, proxy.url(login="us%40er:p#a:ss@")) == b"far"
        transport.drop_idle()
    assert logins == [(b"us@er", b"p#a:ss")]
    assert b"ss" not in far.requests[0].raw.replace(b"far.example", b"")


@pytest.mark.parametrize("singly", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize(
    "granted",
    [
        GRANTED,
        b"\x05\x00\x00\x04" + bytes(16) + b"\x00\x50",
        b"\x05\x00\x00\x03\x09localhost\x00\x50",
        b"\x05\x00\x00\x03\x00\x00\x50",
        b"\x05\x00\x00\x03\x02\xff\xfe\x00\x50",
    ],
    ids=["v4", "v6", "name", "empty name", "no text"],
)
async def test_every_form_of_a_grant_is_read_to_its_last_byte(transport, far, granted, singly):
    def script(talk: Talk) -> None:
        talk.greet(b"\x05\x00")
        talk.asked()
        talk.send(granted, singly=singly)
        talk.carry(far.port)

    with SocksServer(script) as proxy:
        assert await get(transport, FAR, proxy.url()) == b"far"
        transport.drop_idle()


@pytest.mark.parametrize(("user", "sent"), [("", b""), ("me@", b"me")])
async def test_socks4a_gives_the_name_and_a_user(transport, far, user, sent):
    seen: list[Any] = []

    def script(talk: Talk) -> None:
        seen.append(talk.asked_4())
        talk.send(b"\x00\x5a" + bytes(6), singly=True)
        talk.carry(far.port)

    with SocksServer(script) as proxy:
        assert await get(transport, FAR, proxy.url("socks4a", user)) == b"far"
        assert await get(transport, "http://93.184.216.34/", proxy.url("socks4", user)) == b"far"
        transport.drop_idle()
    assert seen == [("far.example", 80, sent), ("93.184.216.34", 80, sent)]


async def test_tls_and_the_pump_go_through_a_proxy(transport, tmp_path):
    resource = Resource(os.urandom(400_000))
    with ByteServer(
        resource, tls=True, certificate=authority().issue_cert("far.example")
    ) as server:
        seen: list[Any] = []
        with SocksServer(way_5(server, seen)) as proxy, (tmp_path / "part").open("w+b") as file:
            answer = await transport.open(Call(url="https://far.example/", proxy=proxy.url()))
            assert await answer.receive(file.fileno(), 0, Progress()) == 400_000
            assert answer.taken_over
            await answer.aclose()
            assert (tmp_path / "part").read_bytes() == resource.body
        assert seen == [("far.example", 443)]


async def test_a_certificate_of_another_host_is_the_servers_fault(transport):
    server = ByteServer(
        Resource(b"x"), tls=True, certificate=authority().issue_cert("other.example")
    )
    with server, SocksServer(way_5(server, [])) as proxy:
        failure = await refused(transport, "https://far.example/", proxy.url())
    assert failure.error.reason == "tls.hostname"
    assert "far.example" in failure.error.message


def answers(*data: bytes) -> Script:
    """A proxy that says this at the methods, at the login and at the request."""

    def script(talk: Talk) -> None:
        talk.greet(data[0])
        if data[0] == b"\x05\x02":
            talk.login(data[1])
        if len(data) > 1 and data[0] == b"\x05\x00":
            talk.asked()
            talk.send(data[1])

    return script


SAYS_NO = [
    # short, and closes
    (answers(b"\x05\x00", b"\x05\x01\x00\x01"), Code.CANNOT_CONNECT, "net.proxy", Retry.RETRY),
    (
        answers(b"\x05\x00", b"\x05\x02\x00\x01" + bytes(6)),
        Code.CANNOT_CONNECT,
        "net.proxy",
        Retry.FINAL,
    ),
    (
        answers(b"\x05\x00", b"\x05\x03\x00\x01" + bytes(6)),
        Code.CANNOT_CONNECT,
        "net.proxy",
        Retry.RETRY,
    ),
    (
        answers(b"\x05\x00", b"\x05\x04\x00\x01" + bytes(6)),
        Code.CANNOT_CONNECT,
        "net.proxy",
        Retry.RETRY,
    ),
    (
        answers(b"\x05\x00", b"\x05\x05\x00\x01" + bytes(6)),
        Code.CANNOT_CONNECT,
        "net.refused",
        Retry.RETRY,
    ),
    (
        answers(b"\x05\x00", b"\x05\x06\x00\x01" + bytes(6)),
        Code.TIMED_OUT,
        "net.timeout",
        Retry.RETRY,
    ),
    (
        answers(b"\x05\x00", b"\x05\x08\x00\x01" + bytes(6)),
        Code.CANNOT_CONNECT,
        "net.proxy",
        Retry.FINAL,
    ),
    (
        answers(b"\x05\x00", b"\x05\x63\x00\x01" + bytes(6)),
        Code.CANNOT_CONNECT,
        "net.proxy",
        Retry.RETRY,
    ),
    (answers(b"\x05\xff"), Code.AUTHENTICATION_REQUIRED, "net.proxy-auth", Retry.FINAL),
    # GSSAPI, which nobody offered
    (answers(b"\x05\x01"), Code.CANNOT_CONNECT, "net.proxy", Retry.FINAL),
    (
        answers(b"\x05\x00", b"\x05\x00\x00\x07\x00\x00\x00"),
        Code.CANNOT_CONNECT,
        "net.proxy",
        Retry.FINAL,
    ),
    (answers(b"HTTP/1.1 400 Bad\r\n\r\n"), Code.CANNOT_CONNECT, "net.proxy", Retry.FINAL),
    (answers(b""), Code.CONNECTION_LOST, "net.closed", Retry.RETRY),
    (answers(b"\x05"), Code.CONNECTION_LOST, "net.closed", Retry.RETRY),
    (answers(b"\x05\x00", b"\x05\x00\x00"), Code.CONNECTION_LOST, "net.closed", Retry.RETRY),
]


@pytest.mark.parametrize(("script", "code", "reason", "retry"), SAYS_NO)
async def test_every_no_of_a_proxy_is_told_with_its_name(transport, script, code, reason, retry):
    with SocksServer(script) as proxy:
        error = (await refused(transport, FAR, proxy.url())).error
    assert (error.code, error.reason, error.retry) == (code, reason, retry)
    assert f"proxy at 127.0.0.1:{proxy.port}" in error.message


@pytest.mark.parametrize("answer", [b"\x01\x01", b"\x01\xff", b"\x05\x01"])
async def test_a_wrong_login_is_told_as_such(transport, answer):
    with SocksServer(answers(b"\x05\x02", answer)) as proxy:
        error = (await refused(transport, FAR, proxy.url(login="me:canary@"))).error
    assert error.reason == "net.proxy-auth"
    assert "does not accept" in error.message


async def test_a_login_that_answers_with_another_version_is_accepted(transport, far):
    def script(talk: Talk) -> None:
        talk.greet(b"\x05\x02")
        talk.login(b"\x05\x00")
        talk.asked()
        talk.send(GRANTED)
        talk.carry(far.port)

    with SocksServer(script) as proxy:
        assert await get(transport, FAR, proxy.url(login="me:canary@")) == b"far"
        transport.drop_idle()


@pytest.mark.parametrize(
    ("code", "reason"), [(0x5B, "net.proxy"), (0x5C, "net.proxy-auth"), (0x5D, "net.proxy-auth")]
)
async def test_socks4_says_no_in_its_own_numbers(transport, code, reason):
    def script(talk: Talk) -> None:
        talk.asked_4()
        talk.send(bytes([0, code]) + bytes(6))

    with SocksServer(script) as proxy:
        assert (await refused(transport, FAR, proxy.url("socks4a"))).error.reason == reason
        ipv6 = (
            await refused(transport, "http://[2606:2800:220:1::1]/", proxy.url("socks4a"))
        ).error
    assert (ipv6.reason, ipv6.retry) == ("net.proxy", Retry.FINAL)


async def test_a_silent_proxy_is_told_after_the_idle_time(transport):
    def silent(talk: Talk) -> None:
        talk.read(1000)

    with SocksServer(silent) as proxy:
        error = (await refused(transport, FAR, proxy.url(), idle_timeout=0.2)).error
    assert error.code == Code.TIMED_OUT
    assert f"proxy at 127.0.0.1:{proxy.port}" in error.message


@pytest.mark.parametrize("kind", ["http", "https", "socks4a", "socks5", "socks5h"])
async def test_a_dead_proxy_is_not_blamed_on_the_server(transport, kind):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    error = (
        await refused(transport, "http://93.184.216.34/x", f"{kind}://me:canary@127.0.0.1:{port}")
    ).error
    assert (error.code, error.reason) == (Code.CANNOT_CONNECT, "net.proxy")
    assert error.message == f"The proxy at 127.0.0.1:{port} refused the connection."


@pytest.mark.parametrize("url", ["http://far.example/x", "https://far.example/x"])
@pytest.mark.parametrize(
    "does",
    [
        lambda conn: conn.close(),
        lambda conn: conn.reset(),
        lambda conn: conn.send(b"no HTTP at all\r\n\r\n") or conn.close(),
        lambda conn: conn.send(b"HTTP/1.1 200") or conn.close(),
        lambda conn: conn.stall(),
    ],
    ids=["closes", "resets", "talks", "stops", "is silent"],
)
async def test_an_http_proxy_that_breaks_is_named(transport, url, does):
    with ByteServer(lambda conn, request: does(conn)) as proxy:
        error = (
            await refused(
                transport, url, proxy.url("").replace("//", "//me:canary@"), idle_timeout=0.3
            )
        ).error
    assert f"he proxy at 127.0.0.1:{proxy.port}" in error.message
    assert "far.example" not in error.message


async def test_https_through_an_https_proxy_is_refused_in_words(transport):
    error = (
        await refused(transport, "https://far.example/", "https://me:canary@127.0.0.1:1")
    ).error
    assert (error.reason, error.retry) == ("net.proxy", Retry.FINAL)
    assert "https proxy" in error.message


async def test_the_certificate_of_an_https_proxy_is_told_as_the_proxys(transport):
    with ByteServer(
        Resource(b"x"), tls=True, certificate=authority().issue_cert("other.example")
    ) as proxy:
        error = (await refused(transport, FAR, proxy.url(""))).error
    assert error.reason == "tls.hostname"
    assert f"the proxy at 127.0.0.1:{proxy.port}" in error.message


async def test_a_proxy_without_an_address_is_named(transport):
    error = (await refused(transport, FAR, "socks5h://proxy.invalid:1080")).error
    assert error.code in (Code.CANNOT_FIND_HOST, Code.DNS_LOOKUP_FAILED)
    assert "proxy.invalid:1080" in error.message
    assert "far.example" not in error.message


# ---- whom a proxy may be asked for (R3)


async def test_a_proxy_that_cannot_reach_one_address_is_asked_for_the_next(
    transport, far, monkeypatch
):
    found = [(SIX, ("2606:4700::1", 80, 0, 0)), (FOUR, ("93.184.216.34", 80))]
    told = [(family, socket.SOCK_STREAM, 6, "", address) for family, address in found]
    real = socket.getaddrinfo

    def lookup(host: str, *more: Any, **options: Any) -> Any:
        return told if host == "far.example" else real(host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    asked = []

    def script(talk: Talk) -> None:
        talk.greet()
        asked.append(talk.asked()[0])
        if ":" in asked[-1]:
            talk.send(b"\x05\x04\x00\x01" + bytes(6))
            return
        talk.send(GRANTED)
        talk.carry(far.port)

    with SocksServer(script) as proxy:
        assert await get(transport, FAR, proxy.url("socks5")) == b"far"
        transport.drop_idle()
    assert asked == ["2606:4700::1", "93.184.216.34"]


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "127.1", "2130706433", "intranet", "[fd00::1]", "0x7f.1"]
)
@pytest.mark.parametrize("kind", ["socks5h", "socks4a", "http"])
async def test_a_private_address_from_others_reaches_no_proxy(transport, host, kind):
    with SocksServer(lambda talk: None) as proxy:
        url = f"http://{host}/x"
        failure = await refused(transport, url, proxy.url(kind), origin=Origin.GIVEN)
        assert failure.error.reason == "pol.private-address"
        assert proxy.connections == 0


@pytest.mark.parametrize("kind", ["socks5h", "socks4a"])
async def test_a_name_from_others_needs_a_permission_where_the_proxy_looks_it_up(
    transport, far, kind
):
    def script(talk: Talk) -> None:
        if kind == "socks4a":
            talk.asked_4()
            talk.send(b"\x00\x5a" + bytes(6))
        else:
            talk.greet()
            talk.asked()
            talk.send(GRANTED)
        talk.carry(far.port)

    with SocksServer(script) as proxy:
        failure = await refused(transport, FAR, proxy.url(kind), origin=Origin.GIVEN)
        assert failure.error.reason == "pol.proxy"
        assert proxy.connections == 0
        allowed = frozenset({"far.example:80"})
        assert (
            await get(transport, FAR, proxy.url(kind), origin=Origin.GIVEN, allowed=allowed)
            == b"far"
        )
        transport.drop_idle()


@pytest.mark.parametrize("kind", ["socks5", "socks4"])
async def test_an_address_from_others_is_judged_here_where_the_names_are_looked_up_here(
    transport, far, kind
):
    def script(talk: Talk) -> None:
        if kind == "socks4":
            talk.asked_4()
            talk.send(b"\x00\x5a" + bytes(6))
        else:
            talk.greet()
            talk.asked()
            talk.send(GRANTED)
        talk.carry(far.port)

    with SocksServer(script) as proxy:
        url = proxy.url(kind)
        assert await get(transport, "http://93.184.216.34/", url, origin=Origin.GIVEN) == b"far"
        failure = await refused(transport, "http://10.0.0.1/", url, origin=Origin.GIVEN)
        assert failure.error.reason == "pol.private-address"
        assert proxy.connections == 1
        transport.drop_idle()


async def test_localhost_is_never_asked_of_a_proxy(transport, far):
    with SocksServer(lambda talk: None) as proxy:
        for host in ("localhost", "127.0.0.1"):
            assert await get(transport, far.url("/", host), proxy.url()) == b"far"
        failure = await refused(
            transport, far.url("/", "localhost"), proxy.url(), origin=Origin.GIVEN
        )
        assert failure.error.reason == "pol.private-address"
        assert proxy.connections == 0


async def test_a_redirect_through_a_proxy_into_its_own_network_is_refused(transport):
    server = ByteServer(
        lambda conn, request: conn.send(reply(302, {"Location": "http://intranet/"}))
    )
    with server, SocksServer(way_5(server, [])) as proxy:
        failure = await refused(transport, FAR, proxy.url())
        assert failure.error.reason == "pol.private-address"
        assert proxy.connections == 1
        transport.drop_idle()


@pytest.mark.parametrize(
    ("kind", "host"), [("socks5h", "intranet"), ("socks5h", "10.0.0.1"), ("socks5", "10.0.0.1")]
)
async def test_what_a_person_typed_may_redirect_inside_its_own_network(transport, kind, host):
    def moved(conn: Conn, request: Request) -> None:
        conn.send(
            reply(302, {"Location": "/b"}) if request.target == "/a" else reply(200, {}, b"in")
        )

    with ByteServer(moved) as server, SocksServer(way_5(server, [])) as proxy:
        assert await get(transport, f"http://{host}/a", proxy.url(kind)) == b"in"
        transport.drop_idle()


async def test_what_was_typed_on_the_internet_may_not_lead_inside_through_a_proxy_either(transport):
    server = ByteServer(
        lambda conn, request: conn.send(reply(302, {"Location": "http://10.0.0.1/"}))
    )
    with server, SocksServer(way_5(server, [])) as proxy:
        for kind in ("socks5", "socks5h"):
            failure = await refused(transport, "http://93.184.216.34/a", proxy.url(kind))
            assert failure.error.reason == "pol.private-address"
        transport.drop_idle()
