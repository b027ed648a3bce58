"""Bodies past h11, byte by byte: what is taken over, what is not, and how each ending comes out."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, chunked, reply
from tests.helpers.qt_loop import qt_backend
from transfermon.model.errors import Code, Retry, TransferFailure
from transfermon.model.task import Progress
from transfermon.wire.answer import Answer
from transfermon.wire.call import TAKEOVER, Call
from transfermon.wire.rate_limit import Limiter
from transfermon.wire.transport import Transport

pytestmark = pytest.mark.anyio

SIZE = TAKEOVER + 50_001
BODY = bytes(range(256)) * (SIZE // 256) + b"the end"[: SIZE % 256]
BODY = BODY + b"." * (SIZE - len(BODY))
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX: y\r\n\r\n" % SIZE


@pytest.fixture(params=["asyncio", "qasync"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    if request.param == "asyncio":
        return "asyncio"
    return qt_backend(request.getfixturevalue("qapp"))


@pytest.fixture(params=[False, True], ids=["http", "tls"])
def tls(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def serve(tls: bool) -> Iterator[Callable[..., ByteServer]]:
    """Starts a server whose handler sends the given bytes, or is the given handler."""
    servers: list[ByteServer] = []

    def start(answer: bytes | Callable[[Conn, Request], None]) -> ByteServer:
        handler = answer if callable(answer) else lambda conn, request: conn.send(answer)
        servers.append(ByteServer(handler, tls=tls))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    transport = Transport(tls_context=ByteServer.client_context())
    yield transport
    await transport.aclose()


class File:
    """An open file and the counter that goes with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self.progress = Progress()

    @property
    def content(self) -> bytes:
        return self.path.read_bytes()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[File]:
    file = File(tmp_path / "part")
    yield file
    os.close(file.fd)


async def load(transport: Transport, url: str, file: File, **settings: Any) -> Answer:
    """One exchange to its end; the answer is closed."""
    answer = await transport.open(Call(url=url, idle_timeout=settings.pop("idle_timeout", 10.0)))
    try:
        await answer.receive(file.fd, 0, file.progress, **settings)
    finally:
        await answer.aclose()
    return answer


async def failing(transport: Transport, url: str, file: File, **settings: Any) -> TransferFailure:
    with pytest.raises(TransferFailure) as caught:
        await load(transport, url, file, **settings)
    return caught.value


async def test_a_large_body_of_known_length_is_taken_over(serve, transport, file):
    answer = await load(transport, serve(HEAD + BODY).url(), file)
    assert answer.taken_over
    assert file.content == BODY
    assert file.progress.received == SIZE


async def test_a_small_body_stays_with_h11_and_its_connection_is_kept(serve, transport, file):
    server = serve(reply(200, {}, b"small"))
    for _ in range(3):
        answer = await load(transport, server.url(), file)
        assert not answer.taken_over
        assert file.content == b"small"
    assert server.connections == 1


@pytest.mark.parametrize("line", [b"\r\n", b"\n"], ids=["crlf", "lf"])
async def test_the_head_may_be_split_anywhere(serve, transport, file, line):
    head = HEAD.replace(b"\r\n", line)
    cuts = iter(range(1, len(head)))

    def handler(conn: Conn, request: Request) -> None:
        cut = next(cuts)
        conn.send_slowly([head[:cut], head[cut:] + BODY], 0.002)

    server = serve(handler)
    for _ in range(len(head) - 1):
        answer = await load(transport, server.url(), file)
        assert answer.taken_over
        assert file.content == BODY


async def test_a_head_that_comes_byte_by_byte_is_seen(serve, transport, file):
    pieces = [bytes([byte]) for byte in HEAD] + [BODY]
    answer = await load(
        transport, serve(lambda conn, request: conn.send_slowly(pieces, 0.001)).url(), file
    )
    assert answer.taken_over
    assert file.content == BODY


@pytest.mark.parametrize("pause", [0.0, 0.005])
async def test_interim_answers_come_before_the_final_one(serve, transport, file, pause):
    interim = [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"]
    pieces = [*interim, HEAD, BODY] if pause else [b"".join(interim) + HEAD + BODY]
    answer = await load(
        transport, serve(lambda conn, request: conn.send_slowly(pieces, pause)).url(), file
    )
    assert answer.response.status == 200
    assert answer.taken_over
    assert file.content == BODY


async def test_bytes_behind_the_length_are_in_no_file_and_in_no_later_answer(
    serve, transport, file
):
    server = serve(HEAD + BODY + b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad")
    for _ in range(2):
        await load(transport, server.url(), file)
        assert file.content == BODY
    server.handler = lambda conn, request: conn.send(
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngoodHTTP/1.1 200 OK"
    )
    for _ in range(2):
        os.ftruncate(file.fd, 0)
        await load(transport, server.url(), file)
        assert file.content == b"good"
    assert len(server.requests) == server.connections == 4


async def test_an_early_end_is_a_lost_connection_and_keeps_the_bytes(serve, transport, file):
    def handler(conn: Conn, request: Request) -> None:
        conn.send(HEAD + BODY[:-1000])
        conn.close()

    failure = await failing(transport, serve(handler).url(), file)
    assert (failure.code, failure.error.reason) == (Code.CONNECTION_LOST, "net.closed")
    assert failure.error.retry is Retry.RETRY
    assert file.progress.received == SIZE - 1000
    assert file.content == BODY[:-1000]


async def test_a_cut_is_told_apart_from_an_end(serve, transport, file):
    def handler(conn: Conn, request: Request) -> None:
        conn.send(HEAD + BODY[:-1000])
        conn.cut()

    failure = await failing(transport, serve(handler).url(), file)
    assert failure.code == Code.CONNECTION_LOST
    assert file.content == BODY[:-1000]


async def test_a_reset_is_a_lost_connection(serve, transport, file):
    def handler(conn: Conn, request: Request) -> None:
        conn.send(HEAD + BODY[:-1000])
        while file.progress.received < SIZE - 1000 and not conn.server.stopping.wait(0.001):
            pass
        conn.reset()

    failure = await failing(transport, serve(handler).url(), file)
    assert failure.code == Code.CONNECTION_LOST
    assert failure.error.reason in ("net.reset", "net.closed")
    assert failure.error.message
    assert file.content == BODY[:-1000]


async def test_a_stall_ends_the_attempt_by_the_idle_time(serve, transport, file):
    def handler(conn: Conn, request: Request) -> None:
        conn.send(HEAD + BODY[:-1000])
        conn.stall()

    failure = await failing(transport, serve(handler).url(), file, idle_timeout=0.3)
    assert (failure.code, failure.error.reason) == (Code.TIMED_OUT, "net.timeout")
    assert file.content == BODY[:-1000]


async def test_a_server_that_drips_counts_as_silent(serve, transport, file):
    def handler(conn: Conn, request: Request) -> None:
        conn.send(HEAD + BODY[:-1000])
        conn.send_slowly([b"x"] * 100, 0.1)

    failure = await failing(transport, serve(handler).url(), file, idle_timeout=1.0)
    assert failure.code == Code.TIMED_OUT


async def test_a_chunked_body_stays_with_h11(serve, transport, file):
    pieces = [BODY[at : at + 70_000] for at in range(0, SIZE, 70_000)]
    answer = await load(
        transport, serve(reply(200, {"Transfer-Encoding": "chunked"}, chunked(pieces))).url(), file
    )
    assert not answer.taken_over
    assert answer.content_length is None
    assert file.content == BODY
    assert file.progress.received == SIZE


async def test_a_chunked_body_cut_before_its_last_chunk_is_lost(serve, transport, file):
    def handler(conn: Conn, request: Request) -> None:
        conn.send(reply(200, {"Transfer-Encoding": "chunked"}, chunked([BODY])[:-5]))
        conn.close()

    failure = await failing(transport, serve(handler).url(), file)
    assert failure.code == Code.CONNECTION_LOST
    assert file.content == BODY


async def test_length_and_chunked_together_are_read_as_chunked(serve, transport, file):
    headers = {"Transfer-Encoding": "chunked", "Content-Length": str(SIZE + 5)}
    server = serve(reply(200, headers, chunked([BODY])))
    answer = await load(transport, server.url(), file)
    assert not answer.taken_over
    assert answer.content_length is None
    assert file.content == BODY


async def test_a_body_until_the_end_of_the_connection_stays_with_h11(serve, transport, file):
    def handler(conn: Conn, request: Request) -> None:
        conn.send(b"HTTP/1.1 200 OK\r\n\r\n" + BODY)
        conn.close()

    answer = await load(transport, serve(handler).url(), file)
    assert not answer.taken_over
    assert file.content == BODY


async def test_a_body_until_the_end_must_not_be_cut_under_tls(serve, transport, file, tls):
    if not tls:
        pytest.skip("a plain connection cannot tell")

    def handler(conn: Conn, request: Request) -> None:
        conn.send(b"HTTP/1.1 200 OK\r\n\r\n" + BODY)
        conn.cut()

    failure = await failing(transport, serve(handler).url(), file)
    assert failure.code == Code.CONNECTION_LOST
    assert file.content == BODY


@pytest.mark.parametrize("framed", ["length", "chunked"])
async def test_a_cancel_leaves_what_was_counted_and_nobody_writing(serve, transport, file, framed):
    def handler(conn: Conn, request: Request) -> None:
        if framed == "length":
            conn.send(HEAD + BODY[:-1000])
        else:
            conn.send(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked([BODY])[:-5]
            )
        conn.stall()

    answer = await transport.open(Call(url=serve(handler).url()))
    receiving = asyncio.ensure_future(answer.receive(file.fd, 0, file.progress))
    while file.progress.received == 0:
        await asyncio.sleep(0.005)
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    assert answer.taken_over == (framed == "length")
    assert file.progress.received == os.fstat(file.fd).st_size > 0
    assert BODY.startswith(file.content)
    await answer.aclose()


@pytest.mark.parametrize("framed", ["length", "chunked", "small"])
async def test_a_full_disk_is_told_as_such(serve, transport, framed):
    answers = {
        "length": HEAD + BODY,
        "chunked": reply(200, {"Transfer-Encoding": "chunked"}, chunked([BODY])),
        "small": reply(200, {}, b"small"),
    }
    answer = await transport.open(Call(url=serve(answers[framed]).url()))
    fd = os.open("/dev/full", os.O_WRONLY | os.O_CLOEXEC)
    progress = Progress()
    try:
        with pytest.raises(TransferFailure) as caught:
            await answer.receive(fd, 0, progress)
    finally:
        os.close(fd)
        await answer.aclose()
    assert (caught.value.code, caught.value.error.reason) == (Code.CANNOT_WRITE_FILE, "disk.full")
    assert progress.received == 0


async def test_a_body_may_be_taken_in_parts(serve, transport, file):
    answer = await transport.open(Call(url=serve(HEAD + BODY).url()))
    for begin, length in ((0, 100), (100, 65_536), (65_636, None)):
        await answer.receive(file.fd, begin, file.progress, length=length)
        assert file.progress.received == (begin + length if length else SIZE)
    await answer.aclose()
    assert file.content == BODY


async def test_a_limiter_slows_the_pump_and_h11_alike(serve, transport, file):
    server = serve(HEAD + BODY)
    limiter = Limiter(1_000_000)
    began = asyncio.get_running_loop().time()
    await load(transport, server.url(), file, limiters=[limiter, Limiter(0)])
    server.handler = lambda conn, request: conn.send(
        reply(200, {"Transfer-Encoding": "chunked"}, chunked([BODY]))
    )
    await load(transport, server.url(), file, limiters=[limiter])
    seconds = asyncio.get_running_loop().time() - began
    assert 2 * SIZE / seconds < 1_250_000
    assert file.content == BODY


def descriptors() -> int:
    """Open files, sockets and pipes; the threads of an executor bring event counters of their own
    at any time.
    """
    found = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found += "eventfd" not in os.readlink(f"/proc/self/fd/{name}")
    return found


async def test_no_descriptor_is_left_behind(serve, file):
    def handler(conn: Conn, request: Request) -> None:
        conn.send(HEAD + BODY[:-1000])
        conn.close()

    server = serve(handler)
    before = descriptors()
    transport = Transport(tls_context=ByteServer.client_context())
    for _ in range(3):
        await failing(transport, server.url(), file)
    server.handler = lambda conn, request: conn.send(reply(200, {}, b"small"))
    await load(transport, server.url(), file)
    await transport.aclose()
    server.stop()
    assert descriptors() <= before
