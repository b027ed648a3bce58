"""Ranges that do not work: whatever a server makes of one, a plain request is tried before the
download is given up.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, reply, rest
from tests.helpers.recorder import Recorder
from tests.helpers.sessions import parts_in, quick_session
from transfermon.engine.monitor import Monitor, Session

pytestmark = pytest.mark.anyio
SIZE, AT = 300_000, 200_000
NEGATIVE = (
    b"HTTP/1.1 206 X\r\nContent-Range: bytes 200000-299999/300000\r\nContent-Length: -5\r\n\r\n"
)


@pytest.fixture
def session(monitor: Monitor) -> Session:
    return quick_session(monitor)


@pytest.fixture
def resource() -> Resource:
    return Resource(os.urandom(SIZE), etag='"v1"')


class NoRanges:
    """Every question for a range gets this answer; the first whole answer breaks off, and `cuts`
    more of them.
    """

    def __init__(self, resource: Resource, answer: bytes, *, cuts: int = 0) -> None:
        self.resource, self.answer, self.left = resource, answer, cuts + 1

    def __call__(self, conn: Conn, request: Request) -> bool:
        if request.header("Range"):
            conn.send(self.answer)
            conn.close()
            return True
        self.left -= 1
        self.resource.cut_after = AT if self.left >= 0 else None
        return False


def asked(server: ByteServer) -> list[str]:
    return [request.header("Range") for request in server.requests]


@pytest.mark.parametrize(
    ("answer", "ranged"),
    [
        (reply(400), 1),
        (reply(403), 1),
        (reply(501), 1),
        (reply(416), 1),
        (NEGATIVE, 1),
        (reply(206, {"Content-Range": "bytes 200000--1/300000"}, b"x"), 1),
        (reply(206, {}, b"x"), 1),
        (reply(500), 3),  # a server in trouble is given some time
        (reply(503), 3),
        (reply(504), 3),
        (reply(521), 3),
    ],
    ids=[
        "400",
        "403",
        "501",
        "416",
        "negative length",
        "negative range",
        "no range",
        "500",
        "503",
        "504",
        "521",
    ],
)
async def test_a_refused_range_is_followed_by_a_plain_request(
    session: Session,
    server: ByteServer,
    resource: Resource,
    downloads: Path,
    answer: bytes,
    ranged: int,
):
    resource.before = NoRanges(resource, answer)
    record = await session.download_task(server.url("/a.bin")).wait()
    assert record.succeeded
    assert asked(server) == ["", *[rest(AT)] * ranged, ""]
    assert (downloads / "a.bin").read_bytes() == resource.body
    assert parts_in(downloads) == []


@pytest.mark.parametrize("status", [401, 404, 410])
async def test_what_has_nothing_to_do_with_ranges_is_not_asked_twice(
    session: Session, server: ByteServer, resource: Resource, downloads: Path, status: int
):
    resource.before = NoRanges(resource, reply(status))
    record = await session.download_task(server.url("/a.bin")).wait()
    assert record.error is not None
    assert record.error.status == status
    assert asked(server) == ["", rest(AT)]
    assert [part.read_bytes() for part in parts_in(downloads)] == [resource.body[:AT]]


async def test_too_many_requests_are_not_answered_with_a_larger_one(
    session: Session, server: ByteServer, resource: Resource
):
    resource.before = NoRanges(resource, reply(429))
    record = await session.download_task(server.url("/a.bin"), maximum_attempts=5).wait()
    assert record.error is not None
    assert record.error.status == 429
    assert asked(server) == ["", *[rest(AT)] * 4]


async def test_it_is_remembered_for_this_host_and_task_until_there_is_another_address(
    monitor: Monitor,
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
):
    resource.before = NoRanges(resource, reply(400), cuts=2)
    task = session.download_task(server.url("/a.bin"), maximum_attempts=3)
    record = await task.wait()
    assert record.error is not None
    assert asked(server) == ["", rest(AT), "", ""]  # once refused, not asked again
    assert record.evidence.no_ranges == f"127.0.0.1:{server.port}"
    assert record.received == AT
    resource.before = None
    monitor.commands.retry(task.key, server.url("/b.bin"))
    assert (await task.wait()).succeeded
    assert asked(server)[-1] == rest(AT)


async def test_a_file_that_became_shorter_is_a_new_version(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    short = os.urandom(50_000)

    def before(conn: Conn, request: Request) -> bool:
        resource.cut_after = AT if len(server.requests) == 1 else None
        if len(server.requests) > 1:
            resource.body = short  # under the same tag, and its server knows no If-Range
            if request.header("Range"):
                conn.send(reply(416, {"Content-Range": f"bytes */{len(short)}"}))
                return True
        return False

    resource.before = before
    assert (await session.download_task(server.url("/a.bin")).wait()).succeeded
    assert asked(server) == ["", rest(AT), ""]
    assert (downloads / "a.bin").read_bytes() == short
