"""One exchange: redirects, connections, proxies, trust, codings, and every failure in words."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import errno
import gzip
import os
import socket
import ssl
import threading
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpcore
import pytest
import trustme

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, authority, chunked, reply
from transfermon.http import addresses
from transfermon.model.errors import Code, Retry, TransferFailure
from transfermon.model.task import Origin, Progress, Response
from transfermon.wire import proxy_choice, redirects
from transfermon.wire.call import Call
from transfermon.wire.codings import Decoder
from transfermon.wire.connect import AddressRefused
from transfermon.wire.failures import translate_failure
from transfermon.wire.http11 import ClosedEarly, HeadTooLarge, NotHTTP
from transfermon.wire.reach import Reach
from transfermon.wire.transport import Transport

pytestmark = pytest.mark.anyio
Handler = Callable[[Conn, Request], None]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    transport = Transport(tls_context=ByteServer.client_context())
    yield transport
    await transport.aclose()


@pytest.fixture
def serve() -> Iterator[Callable[..., ByteServer]]:
    servers: list[ByteServer] = []

    def start(answer: bytes | Handler, **settings: Any) -> ByteServer:
        handler = answer if callable(answer) else lambda conn, request: conn.send(answer)
        servers.append(ByteServer(handler, **settings))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "part", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    yield fd
    os.close(fd)


async def get(transport: Transport, url: str, **settings: Any) -> tuple[int, bytes]:
    answer = await transport.open(Call(url=url, **{"idle_timeout": 10.0, **settings}))
    try:
        return answer.response.status, await answer.read(10**6)
    finally:
        await answer.aclose()


async def refused(transport: Transport, url: str, **settings: Any) -> TransferFailure:
    with pytest.raises(TransferFailure) as caught:
        await get(transport, url, **settings)
    error = caught.value.error
    assert error.message.strip()
    assert error.url
    return caught.value


def moved(location: str, status: int = 302) -> bytes:
    return reply(status, {"Location": location}, b"moved")


NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def certificate(*names: str, begins: int = -1, ends: int = 1, ca: trustme.CA | None = None) -> trustme.LeafCert:
    return (ca or authority()).issue_cert(*names, not_before=NOW + begins * DAY, not_after=NOW + ends * DAY)


# ---- requests


async def test_a_request_says_what_it_must_and_no_more(serve, transport):
    server = serve(reply(200, {}, b"x"))
    await get(transport, server.url("/a b?q=ü"), headers={"X-Key": "ä", "Authorization": "Bearer t"})
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
    assert bool(server.requests[0].header("Transfer-Encoding")) == (content == "pieces" and length is None)


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


# ---- redirects


async def test_redirects_are_followed_and_remembered(serve, transport):
    def handler(conn: Conn, request: Request) -> None:
        number = int(request.target.removeprefix("/"))
        statuses = [301, 302, 303, 307, 308]
        conn.send(moved(f"{number + 1}", statuses[number]) if number < 5 else reply(200, {}, b"there"))

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


@pytest.mark.parametrize("location", [None, "", "http://", "a\\b", "file:///etc/passwd", "x" * 64_000])
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
    server = serve(lambda conn, request: conn.send(moved("/b") if request.target == "/a" else reply(200)))
    await get(transport, server.url("/a"), headers={"X-Api-Key": "s"}, sensitive=frozenset({"x-api-key"}))
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
    [(303, "PUT", "GET"), (302, "POST", "GET"), (301, "POST", "GET"), (307, "POST", "POST"), (308, "PUT", "PUT")],
)
async def test_the_method_changes_only_where_it_must(serve, transport, status, method, then):
    server = serve(lambda conn, request: conn.send(moved("/b", status) if request.target == "/a" else reply(200)))
    await get(transport, server.url("/a"), method=method, content=b"body", headers={"Content-Type": "x/y"})
    second = server.requests[1]
    assert second.method == then
    assert second.body == (b"body" if then == method else b"")
    assert bool(second.header("Content-Type")) == (then == method)


async def test_an_upload_is_not_sent_on_to_another_origin(serve, transport):
    other = serve(reply(200))
    server = serve(lambda conn, request: conn.send(moved(other.url(), 307)))
    assert (await refused(transport, server.url(), method="PUT", content=b"x")).error.reason == "pol.redirected-upload"
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
    server = serve(lambda conn, request: conn.send(moved(other.url()) if request.target == "/m" else reply(200)))
    settings = {"origin": Origin.GIVEN, "allowed": frozenset({f"127.0.0.1:{server.port}"})}
    assert (await get(transport, server.url(), **settings))[0] == 200
    assert (await refused(transport, server.url("/m"), **settings)).error.reason == "pol.private-address"
    assert other.connections == 0


async def test_a_given_address_uses_no_connection_that_a_typed_one_opened(serve, transport):
    server = serve(reply(200))
    await get(transport, server.url())
    assert (await refused(transport, server.url(), origin=Origin.GIVEN)).error.reason == "pol.private-address"
    assert len(server.requests) == 1


@pytest.mark.parametrize(("seen_at", "stays"), [("93.184.216.34", False), ("192.168.1.5", True)])
def test_a_typed_address_on_the_internet_may_not_redirect_into_a_private_network(seen_at, stays):
    call = Call(url="http://example.org/")
    hop = redirects.first_hop(call)
    head = Response(status=302, url=call.url, headers=(), remote_address=seen_at)
    following = redirects.next_hop(call, hop, head, "http://192.168.1.1/")
    assert following.reach == Reach(anywhere=stays)


# ---- connections


async def test_connections_are_kept_and_never_shared_between_sessions(serve, transport):
    server = serve(reply(200, {}, b"x"))
    for session in ("a", "b", "a", "b"):
        await get(transport, server.url(), session=session)
    assert server.connections == 2
    assert {request.connection for request in server.requests[::2]} == {server.requests[0].connection}
    transport.drop_idle("a")
    await get(transport, server.url(), session="b")
    assert server.connections == 2
    await get(transport, server.url(), session="a")
    assert server.connections == 3


async def test_connections_to_a_host_never_outnumber_the_calls(serve, transport):
    release = asyncio.Event()
    server = serve(lambda conn, request: conn.send_slowly([reply(200, {"Content-Length": "1"}), b"x"], 0.01))

    async def call(origin: Origin) -> None:
        await release.wait()
        for _ in range(5):
            allowed = frozenset({f"127.0.0.1:{server.port}"})
            await get(transport, server.url(), origin=origin, allowed=allowed)

    calls = [asyncio.ensure_future(call(origin)) for origin in (Origin.TYPED, Origin.GIVEN, Origin.TYPED)]
    release.set()
    await asyncio.gather(*calls)
    assert server.most_open <= 3
    assert len(server.requests) == 15


@pytest.mark.parametrize(("method", "requests"), [("GET", 3), ("POST", 2)])
async def test_a_kept_connection_that_died_costs_an_idempotent_request_nothing(serve, transport, method, requests):
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


# ---- failures


async def test_a_refused_connection_a_silent_server_and_an_early_end_have_their_codes(serve, transport):
    gone = serve(reply(200))
    gone.stop()
    failure = await refused(transport, gone.url("/x?key=secret"))
    assert (failure.code, failure.error.reason) == (Code.CANNOT_CONNECT, "net.refused")
    assert failure.title == "The server at 127.0.0.1 refused the connection."
    assert "secret" not in failure.error.url
    silent = serve(lambda conn, request: conn.stall())
    failure = await refused(transport, silent.url(), idle_timeout=0.2)
    assert (failure.code, failure.error.reason) == (Code.TIMED_OUT, "net.timeout")


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9\r\n",
        b"HTTP/1.1 nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3x\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nA: b\x00c\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"3;" + b"x" * 200_000 + b"\r\nabc",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 200_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 102 P\r\n\r\n" * 100,
    ],
)
async def test_a_malformed_answer_is_told_as_such(serve, transport, answer):
    failure = await refused(transport, serve(answer).url())
    assert (failure.code, failure.error.reason) == (Code.CANNOT_PARSE_RESPONSE, "srv.protocol")
    assert not failure.retryable


@pytest.mark.parametrize("length", ["3", "3, 3"])
async def test_equal_lengths_are_one_length(serve, transport, length):
    server = serve(b"HTTP/1.1 200 OK\r\nContent-Length: " + length.encode() + b"\r\n\r\nabc")
    assert await get(transport, server.url()) == (200, b"abc")


async def test_a_folded_field_and_odd_bytes_are_no_reason_to_fail(serve, transport):
    server = serve(b"HTTP/1.1 200 \xfcber\r\nA: b\r\n  c\r\nB: \xff\r\nContent-Length: 1\r\n\r\nx")
    assert await get(transport, server.url()) == (200, b"x")


@pytest.mark.parametrize("limit", [999, 300_000])
async def test_a_body_beyond_the_limit_is_stopped(serve, transport, fd, limit):
    for body in (
        reply(200, {}, b"x" * 400_000),
        reply(200, {"Transfer-Encoding": "chunked"}, chunked([b"x" * 500] * 800)),
    ):
        answer = await transport.open(Call(url=serve(body).url()))
        with pytest.raises(TransferFailure) as caught:
            await answer.receive(fd, 0, Progress(), limit=limit)
        await answer.aclose()
        assert (caught.value.code, caught.value.error.reason) == (Code.DATA_TOO_LARGE, "pol.too-big")
        assert os.fstat(fd).st_size <= limit


# ---- codings


async def decoded(transport: Transport, url: str, fd: int, **settings: Any) -> bytes:
    answer = await transport.open(Call(url=url))
    try:
        count = await answer.receive(fd, 0, Progress(), decode=answer.content_coding, **settings)
        return os.pread(fd, count, 0)
    finally:
        await answer.aclose()


BODY = os.urandom(200_000) + b"x" * 3_000_000
BARE = zlib.compressobj(wbits=-15)
CODED = {
    "gzip": gzip.compress(BODY),
    "x-gzip": gzip.compress(BODY[:100]) + gzip.compress(BODY[100:]) + b"\0\0",
    "deflate": zlib.compress(BODY),
    "Deflate": BARE.compress(BODY) + BARE.flush(),
}


@pytest.mark.parametrize("coding", CODED)
@pytest.mark.parametrize("framed", ["length", "chunked"])
async def test_a_coding_that_the_server_insists_on_is_undone(serve, transport, fd, coding, framed):
    headers = {"Content-Encoding": coding}
    if framed == "chunked":
        coded = CODED[coding]
        answer = reply(
            200,
            {**headers, "Transfer-Encoding": "chunked"},
            chunked(coded[i : i + 999] for i in range(0, len(coded), 999)),
        )
    else:
        answer = reply(200, headers, CODED[coding])
    assert await decoded(transport, serve(answer).url(), fd) == BODY


async def test_a_coded_body_can_be_kept_as_it_came(serve, transport, fd):
    server = serve(reply(200, {"Content-Encoding": "gzip"}, CODED["gzip"]))
    answer = await transport.open(Call(url=server.url()))
    assert answer.content_coding == "gzip"
    count = await answer.receive(fd, 0, Progress())
    await answer.aclose()
    assert os.pread(fd, count, 0) == CODED["gzip"]


@pytest.mark.parametrize(
    ("coding", "coded", "code"),
    [
        ("gzip", CODED["gzip"][:-4], Code.CANNOT_DECODE_RAW_DATA),
        ("gzip", CODED["gzip"][:-8] + b"12345678", Code.CANNOT_DECODE_RAW_DATA),
        ("gzip", b"plain text", Code.CANNOT_DECODE_RAW_DATA),
        ("deflate", CODED["deflate"][:-1], Code.CANNOT_DECODE_RAW_DATA),
        ("br", b"whatever", Code.CANNOT_DECODE_RAW_DATA),
        ("zstd", b"whatever", Code.CANNOT_DECODE_RAW_DATA),
        ("compress", b"whatever", Code.CANNOT_DECODE_CONTENT),
        ("gzip, gzip", gzip.compress(CODED["gzip"]), Code.CANNOT_DECODE_CONTENT),
    ],
)
async def test_a_damaged_or_unknown_coding_is_a_failure(serve, transport, fd, coding, coded, code):
    server = serve(reply(200, {"Content-Encoding": coding}, coded))
    with pytest.raises(TransferFailure) as caught:
        await decoded(transport, server.url(), fd)
    assert caught.value.code == code


async def test_a_coded_body_that_ends_with_the_connection_must_be_whole(serve, transport, fd):
    def handler(conn: Conn, request: Request) -> None:
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + CODED["gzip"][:-100])
        conn.close()

    with pytest.raises(TransferFailure) as caught:
        await decoded(transport, serve(handler).url(), fd)
    assert caught.value.code == Code.CONNECTION_LOST


async def test_a_compression_bomb_stops_at_the_limit(serve, transport, fd):
    server = serve(reply(200, {"Content-Encoding": "gzip"}, gzip.compress(b"\0" * 50_000_000)))
    with pytest.raises(TransferFailure) as caught:
        await decoded(transport, server.url(), fd, limit=2_000_000)
    assert caught.value.error.reason == "pol.too-big"
    assert os.fstat(fd).st_size <= 2_000_000
    assert len((await get(transport, server.url()))[1]) == 10**6


def test_a_decoder_hands_out_small_pieces():
    decoder = Decoder("gzip")
    pieces = list(decoder.decode(gzip.compress(b"\0" * 10_000_000)))
    assert max(map(len, pieces)) <= 1 << 20
    assert sum(map(len, pieces)) == 10_000_000
    assert decoder.whole


# ---- proxies


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
    assert (await refused(transport, "https://far.example/", proxy=proxy.url())).error.reason == "tls.hostname"


@pytest.mark.parametrize(
    ("status", "code"), [(407, Code.AUTHENTICATION_REQUIRED), (502, Code.CANNOT_CONNECT), (403, Code.CANNOT_CONNECT)]
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
    assert proxy_choice.configured_proxy(Call(url="x", proxy=""), addresses.Origin("http", "far.example", 80)) == ""
    assert proxy_choice.configured_proxy(Call(url="x"), addresses.Origin("http", "near.localhost", 80)) == ""


async def test_given_addresses_need_a_permission_behind_a_proxy(serve, transport):
    proxy = serve(forwarding)
    settings: dict[str, Any] = {"origin": Origin.GIVEN, "proxy": proxy.url()}
    assert (await refused(transport, "http://far.example/", **settings)).error.reason == "pol.proxy"
    assert proxy.connections == 0
    assert (await get(transport, "http://far.example/", allowed=frozenset({"far.example:80"}), **settings))[0] == 200


async def test_a_redirect_behind_a_proxy_may_not_name_a_private_address(serve, transport):
    proxy = serve(moved("http://10.0.0.1/"))
    assert (await refused(transport, "http://far.example/", proxy=proxy.url())).error.reason == "pol.private-address"
    assert len(proxy.requests) == 1


async def test_a_proxy_of_another_kind_is_refused_in_words(transport):
    failure = await refused(transport, "http://far.example/", proxy="ftp://user:canary@127.0.0.1:1")
    assert "canary" not in str(failure.error)
    assert (failure.code, failure.error.reason) == (Code.CANNOT_CONNECT, "net.proxy")


# ---- trust


@pytest.mark.parametrize(
    ("names", "settings", "code", "reason"),
    [
        (["127.0.0.1"], {"begins": -9, "ends": -2}, Code.TLS_BAD_DATE, "tls.expired"),
        (["127.0.0.1"], {"begins": 2, "ends": 9}, Code.TLS_NOT_YET_VALID, "tls.not-yet-valid"),
        (["example.org"], {}, Code.TLS_UNTRUSTED, "tls.hostname"),
        (["127.0.0.1"], {"ca": trustme.CA()}, Code.TLS_UNKNOWN_ROOT, "tls.unknown-root"),
    ],
)
async def test_a_certificate_that_is_wrong_ends_the_task(serve, transport, names, settings, code, reason):
    server = serve(reply(200), tls=True, certificate=certificate(*names, **settings))
    failure = await refused(transport, server.url())
    assert (failure.code, failure.error.reason, failure.error.retry) == (code, reason, Retry.FINAL)
    assert server.requests == []


async def test_plain_text_on_a_secure_port_is_told_as_such(transport):
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        sock, _ = listener.accept()
        with sock, contextlib.suppress(ConnectionError):
            sock.recv(1000)
            sock.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")
            sock.recv(1000)

    answering = asyncio.ensure_future(asyncio.to_thread(answer))
    failure = await refused(transport, f"https://127.0.0.1:{listener.getsockname()[1]}/")
    await answering
    listener.close()
    assert (failure.code, failure.error.reason) == (Code.TLS_FAILED, "tls.not-tls")


async def test_the_system_s_trust_knows_no_test_authority(serve):
    server = serve(reply(200), tls=True)
    transport = Transport()
    try:
        failure = await refused(transport, server.url())
        assert failure.code in (Code.TLS_UNKNOWN_ROOT, Code.TLS_UNTRUSTED)
    finally:
        await transport.aclose()


# ---- words


def failed(kind: type[Exception], cause: BaseException | None) -> Exception:
    exc = kind("")
    exc.__context__ = cause
    return exc


def verify_error(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    return error


def alert(name: str) -> ssl.SSLError:
    error = ssl.SSLError(1, name)
    error.reason = name
    return error


@pytest.mark.parametrize(
    ("exc", "code", "reason", "retry"),
    [
        (failed(httpcore.ConnectError, OSError(errno.ECONNREFUSED, "")), -1004, "net.refused", Retry.RETRY),
        (failed(httpcore.ConnectError, OSError(errno.ENETUNREACH, "")), -1009, "net.unreachable", Retry.WAIT),
        (failed(httpcore.ConnectError, OSError(errno.EHOSTUNREACH, "")), -1009, "net.unreachable", Retry.WAIT),
        (failed(httpcore.ConnectError, OSError(errno.ETIMEDOUT, "")), -1001, "net.timeout", Retry.RETRY),
        (failed(httpcore.ConnectError, OSError(errno.EMFILE, "")), -1004, "sys.too-many-files", Retry.RETRY),
        (failed(httpcore.ConnectError, socket.gaierror(socket.EAI_NONAME, "")), -1003, "net.unknown-host", Retry.RETRY),
        (failed(httpcore.ConnectError, socket.gaierror(socket.EAI_AGAIN, "")), -1006, "net.dns", Retry.RETRY),
        (failed(httpcore.ConnectError, ssl.SSLEOFError(8, "")), -1005, "net.closed", Retry.RETRY),
        (failed(httpcore.ConnectError, verify_error(10)), -1201, "tls.expired", Retry.FINAL),
        (failed(httpcore.ConnectError, verify_error(18)), -1202, "tls.untrusted", Retry.FINAL),
        (failed(httpcore.ConnectError, verify_error(20)), -1203, "tls.unknown-root", Retry.FINAL),
        (failed(httpcore.ConnectError, verify_error(9)), -1204, "tls.not-yet-valid", Retry.FINAL),
        (failed(httpcore.ConnectError, alert("TLSV1_ALERT_UNKNOWN_CA")), -1205, "tls.client-rejected", Retry.FINAL),
        (
            failed(httpcore.ReadError, alert("TLSV13_ALERT_CERTIFICATE_REQUIRED")),
            -1206,
            "tls.client-required",
            Retry.FINAL,
        ),
        (failed(httpcore.ConnectError, alert("SSLV3_ALERT_HANDSHAKE_FAILURE")), -1200, "tls.failed", Retry.FINAL),
        (failed(httpcore.ReadError, OSError(errno.ECONNRESET, "")), -1005, "net.reset", Retry.RETRY),
        (failed(httpcore.WriteError, OSError(errno.EPIPE, "")), -1005, "net.closed", Retry.RETRY),
        (failed(httpcore.ReadError, OSError(errno.ENETUNREACH, "")), -1005, "net.closed", Retry.RETRY),
        (httpcore.ConnectTimeout(), -1001, "net.timeout", Retry.RETRY),
        (httpcore.WriteTimeout(), -1001, "net.timeout", Retry.RETRY),
        (httpcore.RemoteProtocolError(), -1017, "srv.protocol", Retry.FINAL),
        (AddressRefused(), -1004, "pol.private-address", Retry.FINAL),
        (NotHTTP(), -1017, "srv.protocol", Retry.FINAL),
        (HeadTooLarge(), -1017, "srv.protocol", Retry.FINAL),
        (ClosedEarly(), -1005, "net.closed", Retry.RETRY),
        (RuntimeError(), -1, "net.unknown", Retry.FINAL),
    ],
)
@pytest.mark.parametrize("responded", [True, False])
def test_every_failure_has_a_code_a_reason_and_words(exc, code, reason, retry, responded):
    error = translate_failure(exc, "https://me:secret@example.org/x?key=secret", responded=responded)
    assert (error.code, error.reason, error.retry) == (code, reason, retry)
    assert error.message.endswith(".")
    assert "secret" not in repr(error)
