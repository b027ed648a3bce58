"""Answers with odd heads, in every place where one is read, as curl, wget and browsers take
them.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import trustme

from tests.helpers.byte_server import ByteServer, Conn, Request, authority, chunked
from transfermon.engine.monitor import Session
from transfermon.model.errors import Code, TransferFailure
from transfermon.model.task import Progress, Task
from transfermon.wire.call import Call
from transfermon.wire.transport import Transport

pytestmark = pytest.mark.anyio
BODY = bytes(range(256)) * 4
OK = b"HTTP/1.1 200 OK\r\n"
Serve = Callable[..., ByteServer]

DROPPED = [
    b"Last Modified: yesterday",
    b"X-Served-By : cache-7",
    b"get-to-cache/forum.php: userdata not supported",
    b'"X-XSS-Protection: 0"',
    b"X@Y: 1",
    b"X-F\xc3\xb6\xc3\xb6: 1",
    b": nothing",
    b"no colon",
    b"X-Cache[1]: MISS\r\n from a\r\n\tfrom b",
    b"X-A: a\x0cb",
]
REFUSED = [
    b"Content-Length : 5",
    b'"Content-Length: 5"',
    b"Transfer-Encoding\t: chunked",
    b"X Content-Length: 5",
    b"X-A: a\0b",
    b"X Y: a\rb",
]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[ByteServer] = []

    def start(answer: bytes | Callable[[Conn, Request], None], **settings: object) -> ByteServer:
        handler = answer if callable(answer) else lambda conn, request: conn.send(answer)
        servers.append(ByteServer(handler, **settings))  # type: ignore[arg-type]
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    transport = Transport(tls_context=ByteServer.client_context())
    yield transport
    await transport.aclose()


async def fetched(session: Session, url: str, downloads: Path) -> tuple[Task, bytes | None]:
    """The record of a download that has ended, and the file."""
    record = await session.download_task(url).wait()
    return record, (downloads / record.name).read_bytes() if record.succeeded else None


def with_line(line: bytes, length: int = len(BODY)) -> bytes:
    return OK + b'ETag: "v1"\r\n%b\r\nContent-Length: %d\r\n\r\n' % (line, length)


@pytest.mark.parametrize("line", DROPPED)
async def test_one_odd_line_costs_the_line_and_the_connection(
    session: Session, serve: Serve, downloads: Path, line: bytes
):
    server = serve(with_line(line) + BODY)
    for name in ("a.bin", "b.bin"):
        record, body = await fetched(session, server.url(f"/{name}"), downloads)
        assert body == BODY
        assert record.response is not None
        assert [name for name, _ in record.response.headers] == ["ETag", "Content-Length"]
    assert [request.connection for request in server.requests] == [1, 2]


@pytest.mark.parametrize("line", REFUSED)
async def test_a_line_that_may_be_about_the_body_s_end_is_no_answer(
    session: Session, serve: Serve, downloads: Path, line: bytes
):
    server = serve(with_line(line) + BODY)
    record, _ = await fetched(session, server.url("/a.bin"), downloads)
    assert record.error is not None
    assert (record.error.code, record.error.reason) == (Code.CANNOT_PARSE_RESPONSE, "srv.protocol")
    assert not downloads.exists() or list(downloads.iterdir()) == []


STATUS_LINES = [
    *(
        b"HTTP/1 200 OK",
        b"HTTP/1 200",
        b"http/1.1 200 OK",
        b"HTTP/1.1  200 OK",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 ",
    ),
    *(
        b"HTTP/1.1 200OK",
        b"HTTP/1.1 200\tOK",
        b"HTTP/2 200 OK",
        b"HTTP/1.1 200 O\x0bK",
        b"HTTP 200 OK",
    ),
]


@pytest.mark.parametrize("line", STATUS_LINES)
async def test_a_status_line_in_another_form_is_an_answer(
    session: Session, serve: Serve, downloads: Path, line: bytes
):
    server = serve(line + b"\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY)
    assert (await fetched(session, server.url("/a.bin"), downloads))[1] == BODY


@pytest.mark.parametrize("coding", [b"", b" identity", b" Identity, identity", b" ,"])
@pytest.mark.parametrize("length", [b"", b"Content-Length: %d\r\n" % len(BODY)])
async def test_a_transfer_coding_that_is_none_leaves_the_length_or_the_end_of_the_connection(
    session: Session, serve: Serve, downloads: Path, coding: bytes, length: bytes
):
    def handler(conn: Conn, request: Request) -> None:
        conn.send(OK + b"Transfer-Encoding:" + coding + b"\r\n" + length + b"\r\n" + BODY)
        conn.close()

    record, body = await fetched(session, serve(handler).url("/a.bin"), downloads)
    assert body == BODY
    assert record.expected == len(BODY)


CHUNKED = b"Transfer-Encoding: chunked\r\n"
CODED = chunked([BODY])


@pytest.mark.parametrize(
    ("fields", "coded"),
    [
        (b"Transfer-Encoding: identity, chunked\r\n", CODED),
        (CHUNKED * 2, CODED),
        (CHUNKED, b"400\n" + BODY + b"\n0\n\n"),
        (CHUNKED, b"400 ;name=value\r\n" + BODY + b"\r\n0\r\n\r\n"),
        (CHUNKED, CODED[:-2] + b"X Y: 1\r\n folded\r\n\r\n"),
        (CHUNKED, CODED[:-2] + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n"),
        (CHUNKED, CODED[:-2] + b"Transfer-Encoding: gzip\nno colon\n\n"),
    ],
)
async def test_chunks_and_trailers_with_odd_lines_are_the_file(
    session: Session, serve: Serve, downloads: Path, fields: bytes, coded: bytes
):
    server = serve(OK + fields + b"\r\n" + coded)
    for name in ("a.bin", "b.bin"):
        assert (await fetched(session, server.url(f"/{name}"), downloads))[1] == BODY
    assert [request.connection for request in server.requests] == [1, 2]


async def test_well_formed_trailers_keep_the_connection(
    session: Session, serve: Serve, downloads: Path
):
    server = serve(OK + CHUNKED + b"\r\n" + CODED[:-2] + b"X-Kept: 1\r\n\r\n")
    for name in ("a.bin", "b.bin"):
        assert (await fetched(session, server.url(f"/{name}"), downloads))[1] == BODY
    assert [request.connection for request in server.requests] == [1, 1]


@pytest.mark.parametrize("line", REFUSED)
async def test_trailers_are_refused_for_what_a_head_is(
    session: Session, serve: Serve, downloads: Path, line: bytes
):
    record, _ = await fetched(
        session,
        serve(OK + CHUNKED + b"\r\n" + CODED[:-2] + line + b"\r\n\r\n").url("/a.bin"),
        downloads,
    )
    assert record.error is not None
    assert record.error.reason == "srv.protocol"


@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 103 Early\r\nX Y: 1\r\n\r\n",
        b"http/1.1 100 Continue\r\n\r\n",
        b"HTTP/1  102 P\r\n\r\n",
    ],
)
async def test_an_odd_interim_answer_costs_the_connection_only(
    session: Session, serve: Serve, downloads: Path, interim: bytes
):
    server = serve(interim + OK + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)
    for name in ("a.bin", "b.bin"):
        assert (await fetched(session, server.url(f"/{name}"), downloads))[1] == BODY
    assert [request.connection for request in server.requests] == [1, 2]


async def test_an_interim_answer_that_may_be_about_a_body_is_no_answer(
    session: Session, serve: Serve, downloads: Path
):
    interim = b"HTTP/1.1 103 Early\r\nContent-Length : 5\r\n\r\n"
    record, _ = await fetched(
        session, serve(interim + OK + b"Content-Length: 0\r\n\r\n").url("/a.bin"), downloads
    )
    assert record.error is not None
    assert record.error.reason == "srv.protocol"


@pytest.mark.parametrize("value", [b"/b\x0cc", b"", b"http://[::1/", b"http://caf\xe9\\x/"])
async def test_a_location_that_cannot_be_read_is_told_as_such(
    session: Session, serve: Serve, downloads: Path, value: bytes
):
    server = serve(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + value + b"\r\n\r\n")
    record, _ = await fetched(session, server.url("/a"), downloads)
    assert record.error is not None
    assert (record.error.code, record.error.reason) == (
        Code.REDIRECT_WITHOUT_TARGET,
        "srv.redirect",
    )


async def test_a_large_file_behind_an_odd_head_still_goes_past_the_parser(
    serve: Serve, transport: Transport, tmp_path: Path
):
    large = os.urandom(1 << 20)
    answer = await transport.open(Call(url=serve(with_line(b"X Y: 1", len(large)) + large).url()))
    fd = os.open(tmp_path / "part", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        assert await answer.receive(fd, 0, Progress()) == len(large)
        assert answer.taken_over
        assert os.pread(fd, len(large), 0) == large
    finally:
        os.close(fd)
        await answer.aclose()


# ---- a proxy's answer to CONNECT


def tunnel(port: int, head: bytes) -> Callable[[Conn, Request], None]:
    """A proxy that opens the way to one port of this machine with this head."""

    def handler(conn: Conn, request: Request) -> None:
        assert request.method == "CONNECT"
        with socket.create_connection(("127.0.0.1", port)) as far:
            conn.send(head)
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


@pytest.fixture
def certificate() -> trustme.LeafCert:
    return authority().issue_cert("far.example")


@pytest.mark.parametrize(
    ("head", "connections"),
    [
        (b"HTTP/1.1 200 Connected\r\nA: b\r\n\r\n", 1),
        (b"HTTP/1 200\r\n\r\n", 2),
        (b"http/1.0  200 Connected\r\nX Y: 1\r\n: 2\r\n\r\n", 2),
        (b"HTTP/1.1 200 Connected\r\nTransfer-Encoding:\r\nProxy Agent: a\r\n folded\r\n\r\n", 2),
    ],
)
async def test_an_odd_answer_to_connect_opens_a_way_for_one_request(
    serve: Serve, transport: Transport, certificate: trustme.LeafCert, head: bytes, connections: int
):
    whole = OK + b"Content-Length: 5\r\n\r\nhello"
    server = serve(whole, tls=True, certificate=certificate)
    proxy = serve(tunnel(server.port, head))
    for _ in range(2):
        answer = await transport.open(Call(url="https://far.example/", proxy=proxy.url()))
        assert await answer.read(100) == b"hello"
        await answer.aclose()
    assert proxy.connections == connections


@pytest.mark.parametrize("line", REFUSED)
async def test_an_answer_to_connect_is_refused_for_what_a_head_is(
    serve: Serve, transport: Transport, line: bytes
):
    proxy = serve(b"HTTP/1.1 200 Connected\r\n" + line + b"\r\n\r\n")
    with pytest.raises(TransferFailure) as caught:
        await transport.open(Call(url="https://far.example/", proxy=proxy.url()))
    assert caught.value.error.reason == "srv.protocol"
