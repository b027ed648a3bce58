"""Where redirects lead, what goes along, and where nothing may go."""

from __future__ import annotations

import pytest

from tests.helpers.answers import get, moved, refused
from tests.helpers.byte_server import Conn, Request, reply
from transfermon.http.addresses import check_url
from transfermon.model.errors import Code, Retry
from transfermon.model.task import Origin, Response
from transfermon.wire import redirects
from transfermon.wire.call import Call
from transfermon.wire.reach import Reach

pytestmark = pytest.mark.anyio


# ---- redirects


async def test_redirects_are_followed_and_remembered(serve, transport):
    def handler(conn: Conn, request: Request) -> None:
        number = int(request.target.removeprefix("/"))
        statuses = [301, 302, 303, 307, 308]
        conn.send(
            moved(f"{number + 1}", statuses[number]) if number < 5 else reply(200, {}, b"there")
        )

    server = serve(handler)
    answer = await transport.open(Call(url=server.url("/0")))
    assert await answer.read(100) == b"there"
    await answer.aclose()
    assert answer.response.url == server.url("/5")
    assert answer.redirects == tuple(server.url(f"/{number}") for number in range(5))
    assert server.connections == 1


async def test_the_redirect_after_the_last_allowed_one_is_not_followed(serve, transport):
    server = serve(lambda conn, request: conn.send(moved(f"/{len(conn.server.requests)}")))
    failure = await refused(transport, server.url())
    assert failure.code == Code.TOO_MANY_REDIRECTS
    assert len(server.requests) == 21


@pytest.mark.parametrize(
    "location", [None, "", "http://", "a\\b", "file:///etc/passwd", "x" * 64_000]
)
async def test_a_redirect_without_a_usable_target_fails(serve, transport, location):
    server = serve(reply(302, {} if location is None else {"Location": location}))
    assert (await refused(transport, server.url())).code == Code.REDIRECT_WITHOUT_TARGET


async def test_two_different_locations_are_no_target(serve, transport):
    server = serve(b"HTTP/1.1 302 F\r\nLocation: /a\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n")
    assert (await refused(transport, server.url())).code == Code.REDIRECT_WITHOUT_TARGET


async def test_a_status_300_or_304_is_no_redirect(serve, transport):
    assert (await get(transport, serve(reply(300, {"Location": "/x"}, b"")).url()))[0] == 300


async def test_no_secret_follows_to_another_origin(serve, transport):
    there = serve(reply(200, {}, b"there"))
    back = serve(lambda conn, request: conn.send(moved(there.url())))
    here = serve(lambda conn, request: conn.send(moved(back.url("/x", host="localhost"))))
    headers = {
        "Authorization": "Bearer s",
        "Cookie": "s",
        "Proxy-Authorization": "s",
        "X-Api-Key": "s",
        "Range": "bytes=5-",
    }
    await get(transport, here.url(), headers=headers, sensitive=frozenset({"x-api-key"}))
    assert here.requests[0].header("X-Api-Key") == "s"
    for server in (back, there):
        request = server.requests[0]
        assert not any(request.header(name) for name in headers if name != "Range")
        assert request.header("Range") == "bytes=5-"


async def test_secrets_follow_within_the_origin(serve, transport):
    server = serve(
        lambda conn, request: conn.send(moved("/b") if request.target == "/a" else reply(200))
    )
    await get(
        transport, server.url("/a"), headers={"X-Api-Key": "s"}, sensitive=frozenset({"x-api-key"})
    )
    assert server.requests[1].header("X-Api-Key") == "s"


async def test_a_redirect_to_http_is_refused_unless_allowed(serve, transport):
    plain = serve(reply(200, {}, b"plain"))
    secure = serve(lambda conn, request: conn.send(moved(plain.url())), tls=True)
    failure = await refused(transport, secure.url())
    assert failure.code == Code.INSECURE_LOAD_REFUSED
    assert plain.connections == 0
    assert (await get(transport, secure.url(), allows_insecure_redirects=True))[1] == b"plain"


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (303, "PUT", "GET"),
        (302, "POST", "GET"),
        (301, "POST", "GET"),
        (307, "POST", "POST"),
        (308, "PUT", "PUT"),
    ],
)
async def test_the_method_changes_only_where_it_must(serve, transport, status, method, then):
    server = serve(
        lambda conn, request: conn.send(
            moved("/b", status) if request.target == "/a" else reply(200)
        )
    )
    await get(
        transport, server.url("/a"), method=method, content=b"body", headers={"Content-Type": "x/y"}
    )
    second = server.requests[1]
    assert second.method == then
    assert second.body == (b"body" if then == method else b"")
    assert bool(second.header("Content-Type")) == (then == method)


async def test_an_upload_is_not_sent_on_to_another_origin(serve, transport):
    other = serve(reply(200))
    server = serve(lambda conn, request: conn.send(moved(other.url(), 307)))
    assert (
        await refused(transport, server.url(), method="PUT", content=b"x")
    ).error.reason == "pol.redirected-upload"
    assert other.connections == 0


# ---- where it may go


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1"])
async def test_a_given_address_never_reaches_a_private_one(serve, transport, host):
    server = serve(reply(200))
    failure = await refused(transport, server.url(host=host), origin=Origin.GIVEN)
    assert (failure.error.reason, failure.error.retry) == ("pol.private-address", Retry.FINAL)
    assert server.connections == 0


async def test_an_allowed_host_and_port_is_reached_and_no_redirect_from_it(serve, transport):
    other = serve(reply(200))
    server = serve(
        lambda conn, request: conn.send(
            moved(other.url()) if request.target == "/m" else reply(200)
        )
    )
    settings = {"origin": Origin.GIVEN, "allowed": frozenset({f"127.0.0.1:{server.port}"})}
    assert (await get(transport, server.url(), **settings))[0] == 200
    assert (
        await refused(transport, server.url("/m"), **settings)
    ).error.reason == "pol.private-address"
    assert other.connections == 0


async def test_a_given_address_uses_no_connection_that_a_typed_one_opened(serve, transport):
    server = serve(reply(200))
    await get(transport, server.url())
    assert (
        await refused(transport, server.url(), origin=Origin.GIVEN)
    ).error.reason == "pol.private-address"
    assert len(server.requests) == 1


@pytest.mark.parametrize(("seen_at", "stays"), [("93.184.216.34", False), ("192.168.1.5", True)])
def test_a_typed_address_on_the_internet_may_not_redirect_into_a_private_network(seen_at, stays):
    call = Call(url="http://example.org/")
    hop = redirects.first_hop(call)
    head = Response(status=302, url=call.url, headers=(), remote_address=seen_at)
    following = redirects.next_hop(call, hop, head, check_url("http://192.168.1.1/"))
    assert following.reach == Reach(anywhere=stays)
