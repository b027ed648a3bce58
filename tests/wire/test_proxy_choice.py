"""Which proxy is asked, and what a proxy's failures are."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.helpers.answers import get, moved, refused
from tests.helpers.byte_server import Conn, Request, Resource, reply
from tests.helpers.certificates import certificate
from transfermon.http import addresses
from transfermon.model.errors import Code
from transfermon.model.task import Origin, Progress
from transfermon.wire import proxy_choice
from transfermon.wire.call import Call

pytestmark = pytest.mark.anyio
Handler = Callable[[Conn, Request], None]


def forwarding(conn: Conn, request: Request) -> None:
    """A proxy that answers absolute requests itself."""
    conn.send(reply(200, {}, request.target.encode()))


def tunnel_to(port: int) -> Handler:
    """A proxy for which every name leads to one port of this machine."""

    def handler(conn: Conn, request: Request) -> None:
        assert request.method == "CONNECT"
        with socket.create_connection(("127.0.0.1", port)) as far:
            conn.send(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=carry, args=(far, conn.sock))
            back.start()
            carry(conn.sock, far)
            back.join()
        conn.close()

    return handler


def carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


async def test_plain_requests_go_through_the_proxy(serve, transport):
    proxy = serve(forwarding)
    url = proxy.url().replace("//", "//me:secret@")
    status, body = await get(transport, "http://far.example/x", proxy=url)
    assert (status, body) == (200, b"http://far.example/x")
    assert proxy.requests[0].header("Proxy-Authorization") == "Basic bWU6c2VjcmV0"


async def test_secure_requests_tunnel_through_the_proxy_and_are_taken_over(serve, transport, fd):
    server = serve(Resource(b"x" * 400_000), tls=True, certificate=certificate("far.example"))
    proxy = serve(tunnel_to(server.port))
    answer = await transport.open(Call(url="https://far.example/", proxy=proxy.url()))
    assert await answer.receive(fd, 0, Progress()) == 400_000
    assert answer.taken_over
    await answer.aclose()
    assert proxy.requests[0].target == "far.example:443"
    assert server.requests[0].header("Host") == "far.example"


async def test_a_tunnel_does_not_change_whose_certificate_is_needed(serve, transport):
    server = serve(reply(200), tls=True, certificate=certificate("other.example"))
    proxy = serve(tunnel_to(server.port))
    assert (
        await refused(transport, "https://far.example/", proxy=proxy.url())
    ).error.reason == "tls.hostname"


@pytest.mark.parametrize(
    ("status", "code"),
    [(407, Code.AUTHENTICATION_REQUIRED), (502, Code.CANNOT_CONNECT), (403, Code.CANNOT_CONNECT)],
)
async def test_a_proxy_that_opens_no_tunnel_is_told_as_such(serve, transport, status, code):
    proxy = serve(reply(status))
    assert (await refused(transport, "https://far.example/", proxy=proxy.url())).code == code


async def test_the_system_s_proxy_is_used_and_its_exceptions_hold(serve, transport, monkeypatch):
    proxy, server = serve(forwarding), serve(reply(200, {}, b"direct"))
    monkeypatch.setenv("http_proxy", proxy.url())
    monkeypatch.setenv("no_proxy", "near.localhost")
    assert (await get(transport, "http://far.example/"))[1] == b"http://far.example/"
    assert (await get(transport, server.url()))[1] == b"direct"  # loopback never goes through one
    assert (
        proxy_choice.configured_proxy(
            Call(url="x", proxy=""), addresses.ServerOrigin("http", "far.example", 80)
        )
        == ""
    )
    assert (
        proxy_choice.configured_proxy(
            Call(url="x"), addresses.ServerOrigin("http", "near.localhost", 80)
        )
        == ""
    )


async def test_given_addresses_need_a_permission_behind_a_proxy(serve, transport):
    proxy = serve(forwarding)
    settings: dict[str, Any] = {"origin": Origin.GIVEN, "proxy": proxy.url()}
    assert (await refused(transport, "http://far.example/", **settings)).error.reason == "pol.proxy"
    assert proxy.connections == 0
    assert (
        await get(
            transport, "http://far.example/", allowed=frozenset({"far.example:80"}), **settings
        )
    )[0] == 200


async def test_a_redirect_behind_a_proxy_may_not_name_a_private_address(serve, transport):
    proxy = serve(moved("http://10.0.0.1/"))
    assert (
        await refused(transport, "http://far.example/", proxy=proxy.url())
    ).error.reason == "pol.private-address"
    assert len(proxy.requests) == 1


async def test_a_proxy_of_another_kind_is_refused_in_words(transport):
    failure = await refused(transport, "http://far.example/", proxy="ftp://user:canary@127.0.0.1:1")
    assert "canary" not in str(failure.error)
    assert (failure.code, failure.error.reason) == (Code.CANNOT_CONNECT, "net.proxy")
