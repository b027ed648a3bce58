"""An httpx client of a script over our connections: its requests, its answers and its failures."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.helpers.answers import moved
from tests.helpers.byte_server import ByteServer, Conn, Request, chunked, reply
from transfermon.model.task import Origin
from transfermon.wire.call import Call
from transfermon.wire.httpx_transport import HttpxTransport

pytestmark = pytest.mark.anyio


@pytest.fixture
async def web(transport) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=HttpxTransport(transport, Call(url=""))) as client:
        yield client


async def test_requests_and_answers_are_those_of_any_client(serve, web):
    coded = reply(200, {"Content-Encoding": "gzip", "X": "1"}, gzip.compress(b'{"a": 1}'))
    server = serve(coded)
    for _ in range(3):
        answer = await web.get(server.url("/a"), params={"q": "ü"}, headers={"X-Key": "k"})
        assert (answer.status_code, answer.json(), answer.headers["x"]) == (200, {"a": 1}, "1")
    assert answer.http_version == "HTTP/1.1"
    request = server.requests[0]
    assert (request.target, request.header("X-Key")) == ("/a?q=%C3%BC", "k")
    assert request.header("Host") == f"127.0.0.1:{server.port}"
    assert server.connections == 1


async def test_a_body_goes_out_with_its_length_or_in_chunks(serve, web):
    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"
        yield b"def"

    server = serve(reply(201))
    await web.post(server.url(), json={"a": 1})
    await web.put(server.url(), content=pieces())
    await web.post(server.url())
    assert [request.body for request in server.requests] == [b'{"a":1}', b"abcdef", b""]
    assert [request.header("Content-Length") for request in server.requests] == ["7", "", "0"]


async def test_redirects_are_the_clients(serve, web):
    server = serve(
        lambda conn, request: conn.send(
            reply(200, {}, b"there") if request.target == "/b" else moved("/b")
        )
    )
    assert (await web.get(server.url("/a"))).status_code == 302
    assert (await web.get(server.url("/a"), follow_redirects=True)).content == b"there"


async def test_a_body_that_is_given_up_costs_its_connection(serve, web):
    server = serve(reply(200, {"Transfer-Encoding": "chunked"}, chunked([b"x" * 99_999] * 20)))
    for _ in range(2):
        async with web.stream("GET", server.url()) as answer:
            assert b"x" in await anext(answer.aiter_bytes())
    assert server.connections == 2


@pytest.mark.parametrize("when", ["before", "within"])
async def test_failures_are_those_of_httpx_with_our_words(serve, web, when):
    def handler(conn: Conn, request: Request) -> None:
        if when == "within":
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        conn.close()

    with pytest.raises(httpx.ReadError, match=r"127\.0\.0\.1"):
        await web.get(serve(handler).url())
    with pytest.raises(httpx.UnsupportedProtocol):
        await web.get("ftp://127.0.0.1/")
    with ByteServer(handler) as gone:
        pass
    with pytest.raises(httpx.ConnectError, match="refused"):
        await web.get(gone.url())
    silent = serve(lambda conn, request: conn.stall())
    with pytest.raises(httpx.TimeoutException):
        await web.get(silent.url(), timeout=0.1)


async def test_an_address_of_others_leads_into_no_private_network(serve, transport):
    server = serve(reply(200))
    ours = HttpxTransport(transport, Call(url="", origin=Origin.GIVEN))
    async with httpx.AsyncClient(transport=ours) as web:
        with pytest.raises(httpx.ConnectError, match="private"):
            await web.get(server.url())
    assert not server.requests
