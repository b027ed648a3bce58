"""Faults, group A, the rest: answers that disagree, bodies without an end, bombs, and digests that
servers announce.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import resource as process
import zlib
from pathlib import Path

import httpx
import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, chunked, reply
from tests.helpers.recorder import Recorder, eventually
from tests.helpers.sessions import always, parts_in, quick_session, sent
from transfermon.engine.monitor import Monitor, Session
from transfermon.http.resume import OVERLAP
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.errors import Code, Retry, TransferFailure
from transfermon.model.task import Activity, Origin, Task

pytestmark = pytest.mark.anyio
LIMIT = 1_000_000
KILO = 1024


@pytest.fixture
def session(monitor: Monitor) -> Session:
    return quick_session(monitor)


@pytest.fixture
def limited(monitor: Monitor) -> Session:
    """A session that takes no download of more than `LIMIT` bytes."""
    return quick_session(monitor, "com.example.limited", maximum_bytes=LIMIT)


def bomb(megabytes: int) -> bytes:
    """So much nothing in gzip, made without ever having it in memory."""
    packer, block = zlib.compressobj(1, wbits=31), bytes(1 << 20)
    return b"".join([*(packer.compress(block) for _ in range(megabytes)), packer.flush()])


def peak() -> int:
    """Bytes of memory that this process has had at the most."""
    return process.getrusage(process.RUSAGE_SELF).ru_maxrss * KILO


def digest_field(data: bytes, algorithm: str = "sha-256") -> str:
    value = hashlib.new(algorithm.replace("-", ""), data).digest()
    return f"{algorithm}=:{base64.b64encode(value).decode()}:"


def refused(record: Task) -> None:
    """A download over the limit: said in words, and not tried again by itself."""
    assert record.error is not None
    assert (record.error.code, record.error.reason) == (Code.DATA_TOO_LARGE, "pol.too-big")
    assert record.error.retry is Retry.FINAL
    assert f"{LIMIT}" in record.error.message
    assert record.error.hint


# ---- A14


async def test_fault_a14_only_the_answer_to_get_counts_where_head_says_something_else(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    wrong = {
        "Content-Length": "5",
        "ETag": '"another"',
        "Content-Type": "text/html",
        "Accept-Ranges": "none",
    }
    resource.before = lambda conn, request: (
        request.method == "HEAD" and sent(conn, reply(200, wrong))
    )
    resource.cut_after = 100_000
    task = session.download_task(server.url("/a.bin"))
    await eventually(lambda: task.record.received >= 100_000)
    resource.cut_after = None
    record = await task.wait()
    assert record.succeeded
    assert record.expected == len(resource.body)
    assert record.validators is not None
    assert record.validators.etag == '"v1"'
    assert {request.method for request in server.requests} == {"GET"}
    assert server.requests[-1].header("Range")
    assert (downloads / "a.bin").read_bytes() == resource.body


# ---- A15


async def test_fault_a15_a_body_without_an_end_stops_at_the_limit(
    limited: Session, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    def endless(conn: Conn, request: Request) -> bool:
        conn.send(reply(200, {"Transfer-Encoding": "chunked", "ETag": '"v1"'}))
        piece = chunked([os.urandom(50_000)])[:-5]
        while not conn.server.stopping.is_set():
            conn.send(piece)  # until the client has had enough
        return True

    resource.before = endless
    task = limited.download_task(server.url("/a.bin"))
    refused(await task.wait())
    assert len(server.requests) == 1
    assert recorder.of("downloadcompleted") == []
    sizes = [part.stat().st_size for part in parts_in(downloads)]
    assert sum(part.stat().st_blocks * 512 for part in parts_in(downloads)) <= LIMIT + (1 << 20)
    assert sum(sizes) <= LIMIT
    assert [path for path in downloads.iterdir() if path not in parts_in(downloads)] == []


@pytest.mark.parametrize("size", [LIMIT + 1, 1 << 50])
async def test_fault_a15_an_announced_length_over_the_limit_takes_no_space(
    limited: Session, server: ByteServer, resource: Resource, downloads: Path, size: int
):
    def before(conn: Conn, request: Request) -> bool:
        conn.send(reply(200, {"Content-Length": str(size), "ETag": '"v1"'}) + bytes(1000))
        conn.stall()
        return True

    resource.before = before
    task = limited.download_task(server.url("/a.bin"))
    refused(await task.wait())
    assert len(server.requests) == 1
    assert not downloads.exists() or list(downloads.iterdir()) == []


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_fault_a15_a_body_of_exactly_the_limit_is_taken(
    limited: Session, server: ByteServer, resource: Resource, downloads: Path, framing: str
):
    resource.body = os.urandom(LIMIT)
    if framing == "chunks":
        coded = chunked([resource.body[:300_000], resource.body[300_000:]])
        resource.before = always(reply(200, {"Transfer-Encoding": "chunked"}, coded))
    assert (await limited.download_task(server.url("/a.bin")).wait()).succeeded
    assert (downloads / "a.bin").read_bytes() == resource.body


async def test_fault_a15_the_limit_counts_over_all_attempts(
    limited: Session, server: ByteServer, resource: Resource, downloads: Path
):
    resource.body = os.urandom(LIMIT)
    resource.cut_after = 400_000
    assert (await limited.download_task(server.url("/a.bin")).wait()).succeeded
    assert len(server.requests) == 3
    assert (downloads / "a.bin").read_bytes() == resource.body


async def test_fault_a15_parts_of_an_unknown_whole_stop_at_the_limit_too(
    limited: Session, server: ByteServer, resource: Resource, downloads: Path
):
    def before(conn: Conn, request: Request) -> bool:
        begin = int(request.header("Range")[6:-1] or "0")
        if not begin:
            conn.send(reply(200, {"Transfer-Encoding": "chunked", "ETag": '"v1"'}))
            conn.send(b"%x\r\n" % 300_000 + bytes(300_000) + b"\r\n")
            conn.close()
            return True
        fields = {"ETag": '"v1"', "Content-Range": f"bytes {begin}-{begin + 299_999}/*"}
        return sent(conn, reply(206, fields, bytes(300_000)))

    resource.before = before
    refused(await limited.download_task(server.url("/a.bin")).wait())
    assert len(server.requests) == 4
    # once compared
    assert sum(part.stat().st_size for part in parts_in(downloads)) == 900_000 - OVERLAP
    assert [path for path in downloads.iterdir() if path not in parts_in(downloads)] == []


def test_fault_a15_a_limit_is_no_negative_number():
    with pytest.raises(ValueError, match="maximum_bytes"):
        SessionConfiguration(maximum_bytes=-1).check()


# ---- A21


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_fault_a21_a_bomb_in_an_answer_stops_at_the_limit_in_little_memory(
    monitor: Monitor, server: ByteServer, resource: Resource, framing: str
):
    coded = bomb(128)
    assert len(coded) < 1_000_000
    fields = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    if framing == "chunks":
        resource.before = always(
            reply(200, {**fields, "Transfer-Encoding": "chunked"}, chunked([coded]))
        )
    else:
        resource.before = always(reply(200, fields, coded))
    before = peak()
    with pytest.raises(TransferFailure) as caught:
        await monitor.read(server.url("/videos"), limit=LIMIT)
    assert peak() - before < 32 << 20
    assert caught.value.error.reason == "pol.too-big"


@pytest.mark.parametrize("coding", ["gzip, gzip, gzip", "gzip,deflate", "br, gzip", "gzip, br"])
async def test_fault_a21_chained_codings_are_not_undone(
    monitor: Monitor, server: ByteServer, resource: Resource, coding: str
):
    coded = gzip.compress(gzip.compress(bomb(32)))
    resource.before = always(reply(200, {"Content-Encoding": coding}, coded))
    before = peak()
    with pytest.raises(TransferFailure) as caught:
        await monitor.read(server.url("/videos"), limit=LIMIT)
    assert peak() - before < 32 << 20
    assert caught.value.error.reason == "srv.coding"


async def test_fault_a21_an_answer_of_exactly_the_limit_is_read(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    text = b'{"a": 1}' * 1000
    resource.before = always(reply(200, {"Content-Encoding": "gzip"}, gzip.compress(text)))
    assert await monitor.read(server.url("/videos"), limit=len(text)) == text
    with pytest.raises(TransferFailure):
        await monitor.read(server.url("/videos"), limit=len(text) - 1)


async def test_a_script_s_httpx_client_asks_over_the_engine_s_connections(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    resource.before = always(reply(200, {}, b'{"a": 1}'))
    async with httpx.AsyncClient(transport=await monitor.http_transport()) as web:
        assert (await web.get(server.url("/videos"))).json() == {"a": 1}
    given = await monitor.http_transport(origin=Origin.GIVEN)
    async with httpx.AsyncClient(transport=given) as web:
        with pytest.raises(httpx.ConnectError, match="private"):
            await web.get(server.url("/videos"))
    assert server.connections == 1


async def test_fault_a21_a_bomb_in_a_download_stops_at_its_session_s_limit(
    limited: Session, server: ByteServer, resource: Resource, downloads: Path
):
    fields = {"Content-Encoding": "gzip", "Content-Type": "text/plain"}
    resource.before = always(reply(200, fields, bomb(128)))
    before = peak()
    refused(await limited.download_task(server.url("/a.txt")).wait())
    assert peak() - before < 32 << 20
    assert sum(part.stat().st_size for part in parts_in(downloads)) <= LIMIT
    assert not (downloads / "a.txt").exists()


# ---- A27


@pytest.mark.parametrize("name", ["Repr-Digest", "Content-Digest"])
@pytest.mark.parametrize("size", [1000, 2_000_000])
async def test_fault_a27_a_digest_that_agrees_changes_nothing_but_the_trust(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    name: str,
    size: int,
):
    resource.body = os.urandom(size)
    resource.headers[name] = digest_field(resource.body)
    task = session.download_task(server.url("/a.bin"))
    assert (await task.wait()).succeeded
    assert (Activity.VERIFYING.value in recorder.activities(task)) is (name == "Repr-Digest")
    assert len(server.requests) == 1
    assert (downloads / "a.bin").read_bytes() == resource.body


@pytest.mark.parametrize("name", ["Repr-Digest", "Content-Digest"])
async def test_fault_a27_a_wrong_digest_fails_after_one_more_attempt_from_the_start(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    name: str,
):
    resource.headers[name] = digest_field(b"another file")
    record = await session.download_task(server.url("/a.bin")).wait()
    assert record.error is not None
    assert record.error.reason == "srv.changed"
    assert [request.header("Range") for request in server.requests] == ["", ""]
    assert recorder.of("downloadcompleted") == []
    assert list(downloads.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Repr-Digest", "sha3-999=:AAAA:"),
        ("Repr-Digest", "md5=:AAAA:, crc32c=:AAAA:"),
        ("Content-Digest", "junk;;;"),
        ("Digest", "SHA-256=AAAA"),  # RFC 3230, obsolete
    ],
)
async def test_fault_a27_an_unknown_algorithm_is_passed_over(
    session: Session, server: ByteServer, resource: Resource, downloads: Path, name: str, value: str
):
    resource.headers[name] = value
    assert (await session.download_task(server.url("/a.bin")).wait()).succeeded
    assert len(server.requests) == 1
    assert (downloads / "a.bin").read_bytes() == resource.body
