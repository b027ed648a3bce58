"""Requests as they go out, and the connections that are kept for the next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.helpers.answers import get, refused
from tests.helpers.byte_server import Conn, Request, Resource, reply
from transfermon.model.errors import Code, Retry
from transfermon.model.task import Origin
from transfermon.wire.call import Call

pytestmark = pytest.mark.anyio


# ---- requests


async def test_a_request_says_what_it_must_and_no_more(serve, transport):
    server = serve(reply(200, {}, b"x"))
    await get(
        transport, server.url("/a b?q=ü"), headers={"X-Key": "ä", "Authorization": "Bearer t"}
    )
    request = server.requests[0]
    assert (request.method, request.target) == ("GET", "/a%20b?q=%C3%BC")
    assert {name.lower() for name, _ in request.headers} == {
        *("host", "accept", "accept-encoding", "user-agent", "x-key", "authorization")
    }
    assert request.header("Accept-Encoding") == "identity"
    assert request.header("User-Agent").startswith("transfermon/")
    assert request.header("Host") == f"127.0.0.1:{server.port}"


async def test_headers_of_the_caller_win(serve, transport):
    server = serve(reply(200))
    await get(transport, server.url(), headers={"accept-encoding": "gzip", "USER-AGENT": "me"})
    assert server.requests[0].header("Accept-Encoding") == "gzip"
    assert server.requests[0].header("User-Agent") == "me"


async def test_user_information_in_a_typed_address_is_sent_as_a_header_only(serve, transport):
    server = serve(reply(200))
    url = server.url("/x").replace("//", "//me:secret@")
    answer = await transport.open(Call(url=url))
    await answer.aclose()
    assert server.requests[0].header("Authorization") == "Basic bWU6c2VjcmV0"
    assert "secret" not in answer.response.url
    assert (await refused(transport, url, origin=Origin.GIVEN)).code == Code.BAD_URL


async def test_an_answer_comes_as_a_record(serve, transport):
    server = serve(reply(404, {"X": "\xe4", "Set-Cookie": "a"}, b"no"))
    answer = await transport.open(Call(url=server.url()))
    assert answer.response.status == 404
    assert answer.response.header("x") == "\xe4"
    assert ("Set-Cookie", "a") in answer.response.headers
    assert answer.response.remote_address == "127.0.0.1"
    assert answer.content_length == 2
    assert answer.timing.start <= answer.timing.connected <= answer.timing.head
    await answer.aclose()


@pytest.mark.parametrize(("content", "length"), [(b"bytes", None), ("pieces", 6), ("pieces", None)])
async def test_a_body_is_sent_whole(serve, transport, content, length):
    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"
        yield b"def"

    server = serve(reply(201))
    body = pieces if content == "pieces" else content
    await get(transport, server.url(), method="PUT", content=body, content_length=length)
    assert server.requests[0].body == (b"abcdef" if content == "pieces" else b"bytes")
    assert bool(server.requests[0].header("Transfer-Encoding")) == (
        content == "pieces" and length is None
    )


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body_keeps_its_connection(serve, transport, status):
    server = serve(reply(status))
    for _ in range(3):
        answer = await transport.open(Call(url=server.url()))
        await answer.aclose()
    assert server.connections == 1


async def test_a_head_request_has_a_length_and_no_body(serve, transport):
    server = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    assert await get(transport, server.url(), method="HEAD") == (200, b"")
    assert await get(transport, server.url(), method="HEAD") == (200, b"")
    assert server.connections == 1


# ---- connections


async def test_connections_are_kept_and_never_shared_between_sessions(serve, transport):
    server = serve(reply(200, {}, b"x"))
    for session in ("a", "b", "a", "b"):
        await get(transport, server.url(), session=session)
    assert server.connections == 2
    assert {request.connection for request in server.requests[::2]} == {
        server.requests[0].connection
    }
    transport.drop_idle("a")
    await get(transport, server.url(), session="b")
    assert server.connections == 2
    await get(transport, server.url(), session="a")
    assert server.connections == 3


async def test_connections_to_a_host_never_outnumber_the_calls(serve, transport):
    release = asyncio.Event()
    server = serve(
        lambda conn, request: conn.send_slowly([reply(200, {"Content-Length": "1"}), b"x"], 0.01)
    )

    async def call(origin: Origin) -> None:
        await release.wait()
        for _ in range(5):
            allowed = frozenset({f"127.0.0.1:{server.port}"})
            await get(transport, server.url(), origin=origin, allowed=allowed)

    calls = [
        asyncio.ensure_future(call(origin)) for origin in (Origin.TYPED, Origin.GIVEN, Origin.TYPED)
    ]
    release.set()
    await asyncio.gather(*calls)
    assert server.most_open <= 3
    assert len(server.requests) == 15


@pytest.mark.parametrize(("method", "requests"), [("GET", 3), ("POST", 2)])
async def test_a_kept_connection_that_died_costs_an_idempotent_request_nothing(
    serve, transport, method, requests
):
    def handler(conn: Conn, request: Request) -> None:
        if len(conn.server.requests) == 2:
            conn.close()  # as the second request arrives
        else:
            conn.send(reply(200, {}, b"x"))

    server = serve(handler)
    await get(transport, server.url(), method=method)
    if method == "GET":
        await get(transport, server.url(), method=method)
    else:
        failure = await refused(transport, server.url(), method=method)
        assert (failure.code, failure.error.retry) == (Code.CONNECTION_LOST, Retry.RETRY)
    assert len(server.requests) == requests


async def test_a_fresh_connection_that_dies_is_not_tried_again_here(serve, transport):
    server = serve(lambda conn, request: conn.close())
    failure = await refused(transport, server.url())
    assert (failure.code, failure.error.reason) == (Code.CONNECTION_LOST, "net.closed")
    assert len(server.requests) == 1


async def test_a_connection_with_an_unread_body_is_closed(serve, transport):
    server = serve(Resource(b"x" * 200_000))
    for _ in range(2):
        answer = await transport.open(Call(url=server.url()))
        assert await answer.read(10) == b"x" * 10
        await answer.aclose()
        await answer.aclose()
    assert server.connections == 2


async def test_a_body_that_came_with_its_head_keeps_the_connection_though_nobody_reads_it(
    serve, transport
):
    server = serve(reply(405, {"Content-Type": "text/html"}, b"<html>not allowed</html>"))
    for _ in range(3):
        answer = await transport.open(Call(url=server.url(), method="OPTIONS"))
        await answer.aclose()
    assert server.connections == 1
    await get(transport, server.url())
    assert server.connections == 1


@pytest.mark.parametrize("rest", [b"", b"<html>ab", b"<html>and more"])
async def test_a_body_that_is_not_what_was_announced_keeps_no_connection(serve, transport, rest):
    server = serve(b"HTTP/1.1 405 No\r\nContent-Length: 10\r\n\r\n" + rest)
    for _ in range(2):
        answer = await transport.open(Call(url=server.url(), method="OPTIONS"))
        await answer.aclose()
    assert server.connections == 2


async def test_a_cancelled_open_leaves_no_connection(serve, transport):
    server = serve(lambda conn, request: conn.stall())
    opening = asyncio.ensure_future(transport.open(Call(url=server.url())))
    while not server.requests:
        await asyncio.sleep(0.005)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    while server.open_now:
        await asyncio.sleep(0.005)


async def test_a_body_that_cannot_be_made_leaves_no_connection_open(serve, transport):
    def body() -> AsyncIterator[bytes]:
        raise LookupError("gone")

    server = serve(reply(200))
    await get(transport, server.url())
    with pytest.raises(LookupError):
        await transport.open(Call(url=server.url(), method="PUT", content=body))
    assert len(list(transport._clients._all)) == 1
    await get(transport, server.url())
    assert server.connections == 1


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/a/../b", "/b"),
        ("/a/./b/..", "/a/"),
        ("/../../x", "/x"),
        ("/.well-known/a..b", "/.well-known/a..b"),
    ],
)
async def test_dots_in_a_path_are_resolved_before_it_is_asked_for(serve, transport, path, target):
    server = serve(reply(200))
    await get(transport, server.url(path))
    assert server.requests[0].target == target


@pytest.mark.parametrize(
    "headers", [{"X": "a\r\nY: b"}, {"X Y": "a"}, {"X": "a\0"}, {"X: Y": "b"}, {"X\xe4": "b"}]
)
async def test_a_header_that_cannot_be_sent_is_refused_before_anything_is(
    serve, transport, headers
):
    server = serve(reply(200))
    failure = await refused(transport, server.url(), headers=headers)
    assert failure.error.reason == "req.header"
    assert not server.requests


@pytest.mark.parametrize("length", [5, 7])
async def test_a_body_of_another_length_than_announced_is_a_failure(serve, transport, length):
    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"
        yield b"def"

    server = serve(reply(200))
    failure = await refused(
        transport, server.url(), method="PUT", content=pieces, content_length=length
    )
    assert failure.error.reason == "req.header"
