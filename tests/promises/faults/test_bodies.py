"""Group A: the truth of the body. Lengths, framing, codings, and servers that lie about them."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import itertools
import os
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, chunked, reply, rest
from tests.helpers.recorder import LIMIT, Recorder, eventually
from tests.helpers.sessions import parts_in, quick_session
from transfermon.engine.monitor import DownloadTask, Monitor, Session
from transfermon.model import units
from transfermon.model.configuration import RetryPolicy
from transfermon.model.task import UNKNOWN, Activity, State, Task
from transfermon.storage.settings import Settings
from transfermon.text import humanize

pytestmark = pytest.mark.anyio
SIZES = [60_000, 400_000]  # through the loop, and through the pump
Handler = Callable[[Conn, Request], None]
Serve = Callable[[Handler | bytes], ByteServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A server with one handler; bytes are sent to everyone, and then the connection ends."""
    servers: list[ByteServer] = []

    def start(handler: Handler | bytes) -> ByteServer:
        def send(conn: Conn, request: Request) -> None:
            assert isinstance(handler, bytes)
            conn.send(handler)
            conn.close()

        servers.append(ByteServer(send if isinstance(handler, bytes) else handler))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    return tmp_path / "downloads"


@pytest.fixture
async def monitor(tmp_path: Path, downloads: Path) -> AsyncIterator[Monitor]:
    async with Monitor.open(
        str(tmp_path / "state"), settings=Settings(download_folder=str(downloads))
    ) as monitor:
        recorder = Recorder(monitor)
        monitor.ready()
        yield monitor
    recorder.check()


@pytest.fixture
def session(monitor: Monitor) -> Session:
    return quick_session(monitor)


async def end_of(task: DownloadTask) -> Task:
    async with asyncio.timeout(LIMIT):
        return await task.wait()


async def failed(task: DownloadTask, reason: str, downloads: Path) -> Task:
    """The record of a task that must end in failure: in words, and without a file under a final
    name (I1, I9).
    """
    record = await end_of(task)
    assert record.error is not None
    assert record.error.reason == reason
    words = humanize.error(record.error)
    assert words
    assert "Traceback" not in str(words)
    assert not downloads.exists() or set(downloads.iterdir()) == set(parts_in(downloads))
    return record


def ranged(body: bytes, first_of: int) -> tuple[str, int, bytes]:
    return f"bytes {first_of}-{len(body) - 1}/{len(body)}", first_of, body[first_of:]


def breaks_once(body: bytes, at: int, ending: str) -> Handler:
    """The first answer ends after `at` bytes; later ones are whole, and ranges are served."""
    count = itertools.count()

    def handle(conn: Conn, request: Request) -> None:
        asked = request.header("Range")
        if asked:
            value, _, rest = ranged(body, int(asked[6:-1]))
            conn.send(reply(206, {"ETag": '"v1"', "Content-Range": value}, rest))
        else:
            cut = at if next(count) == 0 else len(body)
            conn.send(reply(200, {"ETag": '"v1"', "Content-Length": str(len(body))}) + body[:cut])
            if cut < len(body):
                getattr(conn, ending)()

    return handle


@pytest.mark.parametrize("size", SIZES)
async def test_fault_a1_a_body_that_ends_early_goes_on_where_it_ended(
    monitor: Monitor, serve: Serve, downloads: Path, size: int
):
    # it is looked at meanwhile
    session = quick_session(monitor, retry_policy=RetryPolicy(minimum=0.5, maximum=0.5))
    body, at = os.urandom(size), size * 6 // 10
    server = serve(breaks_once(body, at, "close"))
    seen: list[tuple[str, list[int], bool]] = []

    def look(event: object) -> None:
        record = task.record
        if record.activity is Activity.RETRYING:
            parts = [part.stat().st_size for part in parts_in(downloads)]
            seen.append((record.waiting_reason, parts, (downloads / "a.bin").exists()))

    monitor.add_event_listener("taskstate", look)
    task = session.download_task(server.url("/a.bin"))
    assert (await end_of(task)).succeeded
    ((reason, parts, there),) = seen
    assert "early" in reason
    assert (parts, there) == ([at], False)
    assert [request.header("Range") for request in server.requests] == ["", rest(at)]
    assert (downloads / "a.bin").read_bytes() == body


@pytest.mark.parametrize("size", SIZES)
async def test_fault_a2_a_reset_in_the_body_has_words_and_goes_on(
    monitor: Monitor, session: Session, serve: Serve, downloads: Path, size: int
):
    body = os.urandom(size)
    server = serve(breaks_once(body, size // 2, "reset"))
    reasons: set[str] = set()
    monitor.add_event_listener("taskstate", lambda event: reasons.update({event.reason} - {""}))
    assert (await end_of(session.download_task(server.url("/a.bin")))).succeeded
    assert reasons == {"The connection to 127.0.0.1 was reset."}
    assert (downloads / "a.bin").read_bytes() == body


@pytest.mark.parametrize("size", [3, *SIZES])
@pytest.mark.parametrize("together", [True, False])
async def test_fault_a3_bytes_behind_the_body_reach_no_file_and_no_later_answer(
    session: Session, serve: Serve, downloads: Path, size: int, together: bool
):
    body = os.urandom(size)
    extra = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"

    def handle(conn: Conn, request: Request) -> None:
        head = reply(200, {"Content-Length": str(size)})
        if together:
            conn.send(head + body + extra)
        else:
            conn.send(head + body)
            conn.send(extra)

    server = serve(handle)
    for n in range(3):
        assert (await end_of(session.download_task(server.url(f"/{n}.bin")))).succeeded
        assert (downloads / f"{n}.bin").read_bytes() == body
    assert len({request.connection for request in server.requests}) == 3


async def test_fault_a4_two_different_lengths_are_no_answer(
    session: Session, serve: Serve, downloads: Path
):
    server = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!")
    await failed(session.download_task(server.url("/a.bin")), "srv.protocol", downloads)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "length", ["-1", "5x", "0x5", "5, 6", "", "+5", "9223372036854775809", "1" * 30, "5 5"]
)
async def test_fault_a5_a_length_that_is_none_is_no_answer(
    session: Session, serve: Serve, downloads: Path, length: str
):
    server = serve(b"HTTP/1.1 200 OK\r\nContent-Length: %b\r\n\r\nhello" % length.encode())
    record = await failed(session.download_task(server.url("/a.bin")), "srv.protocol", downloads)
    assert record.received == 0
    assert parts_in(downloads) == []


@pytest.mark.parametrize("lengths", ["5, 5", "5\r\nContent-Length: 5"])
async def test_fault_a5_the_same_length_twice_is_one_length(
    session: Session, serve: Serve, downloads: Path, lengths: str
):
    server = serve(b"HTTP/1.1 200 OK\r\nContent-Length: %b\r\n\r\nhello" % lengths.encode())
    assert (await end_of(session.download_task(server.url("/a.bin")))).expected == 5
    assert (downloads / "a.bin").read_bytes() == b"hello"


@pytest.mark.parametrize("lie", [3, 10_000_000])
async def test_fault_a7_with_length_and_chunks_the_chunks_are_believed(
    monitor: Monitor, session: Session, serve: Serve, downloads: Path, lie: int
):
    body = os.urandom(300_000)

    def handle(conn: Conn, request: Request) -> None:
        fields = {"Content-Length": str(lie), "Transfer-Encoding": "chunked"}
        conn.send(reply(200, fields) + chunked([body[:100_000], body[100_000:]]))

    server = serve(handle)
    expected: set[int] = set()
    monitor.add_event_listener("taskactivity", lambda event: expected.update({event.task.expected}))
    for n in range(2):
        assert (await end_of(session.download_task(server.url(f"/{n}.bin")))).succeeded
        assert (downloads / f"{n}.bin").read_bytes() == body
    assert expected == {UNKNOWN, len(body)}
    assert len(server.requests) == 2
    assert len({request.connection for request in server.requests}) == 2


async def test_fault_a8_a_chunked_body_without_its_end_is_tried_again(
    session: Session, serve: Serve, downloads: Path
):
    body = os.urandom(50_000)
    whole = reply(200, {"Transfer-Encoding": "chunked"}) + chunked([body])
    answers = iter([whole[:-5], whole[: len(whole) // 2], whole[:-2], whole])

    def handle(conn: Conn, request: Request) -> None:
        conn.send(next(answers))
        conn.close()

    server = serve(handle)
    assert (await end_of(session.download_task(server.url("/a.bin")))).succeeded
    assert len(server.requests) == 4
    assert (downloads / "a.bin").read_bytes() == body


@pytest.mark.parametrize(
    "chunk",
    [
        b"xyz\r\nhello\r\n",
        b"-5\r\nhello\r\n",
        b"F" * 40 + b"\r\nhello\r\n",
        b"5;" + b"x" * 200_000 + b"\r\nhello\r\n",
    ],
)
async def test_fault_a9_an_illegal_chunk_is_no_answer(
    session: Session, serve: Serve, downloads: Path, chunk: bytes
):
    server = serve(reply(200, {"Transfer-Encoding": "chunked"}) + chunk + b"0\r\n\r\n")
    await failed(session.download_task(server.url("/a.bin")), "srv.protocol", downloads)


async def test_fault_a12_an_empty_file_is_a_file(
    monitor: Monitor, session: Session, serve: Serve, downloads: Path
):
    server = serve(reply(200, {"Content-Length": "0"}))
    fractions: list[float] = []
    monitor.add_event_listener("downloadprogress", lambda event: fractions.append(event.fraction))
    record = await end_of(session.download_task(server.url("/a.bin")))
    assert (record.expected, record.received) == (0, 0)
    assert (downloads / "a.bin").read_bytes() == b""
    assert fractions == [1.0]


ZIP = b"PK\x03\x04" + bytes(range(256)) * 2000


@pytest.mark.parametrize(
    ("path", "kind", "body", "name"),
    [
        ("/a.tar.gz", "", gzip.compress(ZIP), "a.tar.gz"),
        ("/a.tgz", "text/plain", gzip.compress(ZIP), "a.tgz"),
        ("/a", "application/gzip", gzip.compress(ZIP), "a.gz"),
        ("/a.zip", "application/zip", ZIP, "a.zip"),
    ],
)
@pytest.mark.parametrize("coding", ["gzip", "x-gzip"])
async def test_fault_a17_a_compressed_file_that_is_called_coded_is_kept_as_it_came(
    session: Session,
    serve: Serve,
    downloads: Path,
    path: str,
    kind: str,
    body: bytes,
    name: str,
    coding: str,
):
    fields = {"Content-Encoding": coding, **({"Content-Type": kind} if kind else {})}
    server = serve(reply(200, fields, body))
    record = await end_of(session.download_task(server.url(path)))
    assert record.succeeded
    assert record.expected == len(body)
    assert hashlib.sha256((downloads / name).read_bytes()).digest() == hashlib.sha256(body).digest()


@pytest.mark.parametrize(("path", "inner"), [("/a.zip", ZIP), ("/a.tar.gz", gzip.compress(ZIP))])
async def test_fault_a17_a_compressed_file_that_is_coded_once_more_is_undone_once(
    session: Session, serve: Serve, downloads: Path, path: str, inner: bytes
):
    server = serve(reply(200, {"Content-Encoding": "gzip"}, gzip.compress(inner)))
    assert (await end_of(session.download_task(server.url(path)))).succeeded
    assert (downloads / path[1:]).read_bytes() == inner


async def test_fault_a18_a_text_that_is_coded_all_the_same_is_undone_and_checked(
    session: Session, serve: Serve, downloads: Path
):
    text = b"a line of text\n" * 100_000
    good = gzip.compress(text)
    bad = good[:-8] + bytes(4) + good[-4:]  # another checksum
    server = serve(
        lambda conn, request: conn.send(
            reply(
                200,
                {"Content-Encoding": "gzip", "Content-Type": "text/plain"},
                bad if "bad" in request.target else good,
            )
        )
    )
    record = await end_of(session.download_task(server.url("/good.txt")))
    assert record.succeeded
    assert record.expected == len(text)  # and not the length on the wire
    assert (downloads / "good.txt").read_bytes() == text
    (downloads / "good.txt").unlink()
    await failed(session.download_task(server.url("/bad.txt")), "srv.coding", downloads)


async def test_fault_a20_a_coded_part_is_refused_and_all_is_asked_for_again(
    session: Session, serve: Serve, downloads: Path
):
    body = os.urandom(400_000)

    def handle(conn: Conn, request: Request) -> None:
        if request.header("Range"):
            value, _, rest = ranged(body, int(request.header("Range")[6:-1]))
            fields = {"ETag": '"v1"', "Content-Range": value, "Content-Encoding": "gzip"}
            conn.send(reply(206, fields, gzip.compress(rest)))
        elif len(server.requests) == 1:
            conn.send(
                reply(200, {"ETag": '"v1"', "Content-Length": str(len(body))}) + body[:300_000]
            )
            conn.close()
        else:
            conn.send(reply(200, {"ETag": '"v1"'}, body))

    server = serve(handle)
    record = await end_of(session.download_task(server.url("/a.bin")))
    assert record.succeeded
    assert [request.header("Range") for request in server.requests] == ["", rest(300_000), ""]
    assert (downloads / "a.bin").read_bytes() == body
    assert record.wasted == 300_000


@pytest.mark.parametrize("lines", [1, 100_000])
async def test_fault_a23_a_head_without_end_is_no_answer(
    session: Session, serve: Serve, downloads: Path, lines: int
):
    value = b"x" * (4_000_000 // lines)

    def handle(conn: Conn, request: Request) -> None:
        conn.send(b"HTTP/1.1 200 OK\r\n")
        for n in range(lines):
            conn.send(b"X-%d: %b\r\n" % (n, value))
        conn.send(b"\r\n")

    server = serve(handle)
    await failed(session.download_task(server.url("/a.bin")), "srv.protocol", downloads)


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>an answer of 1991</html>",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        b"220 ftp.example.org\r\n",
        b"\0" * 500,
    ],
)
async def test_fault_a25_what_is_not_http_is_told_as_such_and_not_tried_again(
    session: Session, serve: Serve, downloads: Path, answer: bytes
):
    server = serve(answer)
    record = await failed(session.download_task(server.url("/a.bin")), "srv.protocol", downloads)
    assert record.error is not None
    assert "not HTTP" in record.error.message
    assert len(server.requests) == 1


async def test_fault_a25_an_empty_answer_is_tried_again(
    session: Session, serve: Serve, downloads: Path
):
    answers = iter([b"", b"", reply(200, {}, b"hello")])

    def handle(conn: Conn, request: Request) -> None:
        conn.send(next(answers))
        conn.close()

    server = serve(handle)
    assert (await end_of(session.download_task(server.url("/a.bin")))).succeeded
    assert len(server.requests) == 3
    assert (downloads / "a.bin").read_bytes() == b"hello"


@pytest.mark.parametrize("field", [b"X-A: a\0b", b"X-A: a\rb", b"X\0A: b", b"X A: a\rb"])
async def test_fault_a26_a_field_with_nul_or_a_bare_return_is_no_answer(
    session: Session, serve: Serve, downloads: Path, field: bytes
):
    server = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n%b\r\n\r\nhello" % field)
    await failed(session.download_task(server.url("/a.bin")), "srv.protocol", downloads)


async def test_fault_a26_folded_and_eight_bit_fields_are_read(
    session: Session, serve: Serve, downloads: Path
):
    server = serve(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: one\r\n two\r\nX-B: \xff\xe4\x1b[31m\r\n\r\nhello"
    )
    record = await end_of(session.download_task(server.url("/a.bin")))
    assert record.succeeded
    assert record.response is not None
    assert record.response.header("X-A").split() == ["one", "two"]
    assert "\x1b" not in units.clean(record.response.header("X-B"))


@pytest.mark.parametrize("ranged_only", [True, False])
async def test_fault_a29_several_parts_are_never_taken_for_one(
    session: Session, serve: Serve, downloads: Path, ranged_only: bool
):
    body = os.urandom(400_000)

    def handle(conn: Conn, request: Request) -> None:
        asked = request.header("Range")
        if asked:
            value, _, rest = ranged(body, int(asked[6:-1]))
            many = b"--THE-BOUNDARY\r\nContent-Range: %b\r\n\r\n%b\r\n--THE-BOUNDARY--\r\n" % (
                value.encode(),
                rest,
            )
            fields = {"ETag": '"v1"', "Content-Type": "multipart/byteranges; boundary=THE-BOUNDARY"}
            if not ranged_only:
                fields["Content-Range"] = value
            conn.send(reply(206, fields, many))
        elif len(server.requests) == 1:
            conn.send(
                reply(200, {"ETag": '"v1"', "Content-Length": str(len(body))}) + body[:300_000]
            )
            conn.close()
        else:
            conn.send(reply(200, {"ETag": '"v1"'}, body))

    server = serve(handle)
    assert (await end_of(session.download_task(server.url("/a.bin")))).succeeded
    assert (downloads / "a.bin").read_bytes() == body
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "trailer", [b"X-A: 1\r\n", b"Content-Length: 3\r\n", b"Content-Range: bytes 0-1/2\r\n"]
)
async def test_fault_a30_trailers_change_nothing(
    session: Session, serve: Serve, downloads: Path, trailer: bytes
):
    body = os.urandom(50_000)
    server = serve(
        reply(200, {"Transfer-Encoding": "chunked"}) + chunked([body])[:-2] + trailer + b"\r\n"
    )
    record = await end_of(session.download_task(server.url("/a.bin")))
    assert record.succeeded
    assert record.expected == len(body)
    assert (downloads / "a.bin").read_bytes() == body


async def test_fault_a30_a_trailer_with_nul_is_no_success_of_another_file(
    session: Session, serve: Serve, downloads: Path
):
    body = os.urandom(50_000)
    server = serve(
        reply(200, {"Transfer-Encoding": "chunked"}) + chunked([body])[:-2] + b"X-A: \0\r\n\r\n"
    )
    record = await end_of(session.download_task(server.url("/a.bin")))
    if record.succeeded:
        assert (downloads / "a.bin").read_bytes() == body
    else:
        assert record.error is not None
        assert record.error.reason == "srv.protocol"


async def test_fault_a18_a_bare_deflate_stream_is_undone_too(
    session: Session, serve: Serve, downloads: Path
):
    text = b"a line of text\n" * 10_000
    packer = zlib.compressobj(wbits=-15)
    server = serve(
        reply(200, {"Content-Encoding": "deflate"}, packer.compress(text) + packer.flush())
    )
    assert (await end_of(session.download_task(server.url("/a.txt")))).succeeded
    assert (downloads / "a.txt").read_bytes() == text


async def test_fault_a1_a_server_that_always_ends_early_is_not_taken_for_done(
    monitor: Monitor, session: Session, serve: Serve, downloads: Path
):
    server = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 60)
    task = session.download_task(server.url("/a.bin"))
    await eventually(lambda: task.record.attempt >= 4)
    assert task.state is State.RUNNING
    assert not (downloads / "a.bin").exists()
    task.cancel()
    await end_of(task)
    assert list(downloads.iterdir()) == []
