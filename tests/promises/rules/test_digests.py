"""D-18 and R-20: digests that the server announces (RFC 9530)."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, reply, rest
from tests.helpers.recorder import BOTH_LOOPS, Recorder, recorder_of
from tests.helpers.sessions import always, code_of, default_session, parts_in, quick_session
from tests.promises.rules.conftest import OpenMonitor
from transfermon.engine.monitor import Monitor, Session
from transfermon.model.task import Activity

pytestmark = pytest.mark.anyio
ALGORITHMS = ["sha-256", "sha-512"]


def field(data: bytes, algorithm: str = "sha-256") -> str:
    """The value of a digest field for these bytes."""
    digest = hashlib.new(algorithm.replace("-", ""), data).digest()
    return f"{algorithm}=:{base64.b64encode(digest).decode()}:"


def damaged(body: bytes) -> bytes:
    return body[:-1] + bytes([body[-1] ^ 1])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("size", [0, 1000, 2_000_000])
async def test_d18_a_digest_that_agrees_is_checked_before_the_file_appears(
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    algorithm: str,
    size: int,
):
    resource.body = resource.body[: min(size, 1000)] * (size // 1000 if size else 1)
    resource.headers["Repr-Digest"] = field(resource.body, algorithm)
    task = session.download_task(server.url("/a.bin"))
    assert (await task.wait()).succeeded
    assert (downloads / "a.bin").read_bytes() == resource.body
    assert Activity.VERIFYING.value in recorder.activities(task)


@BOTH_LOOPS
async def test_d18_a_mismatch_starts_over_once_and_succeeds(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    right = resource.body
    resource.headers["Repr-Digest"] = field(right)
    resource.body = damaged(right)

    def mended(conn: Conn, request: Request) -> bool:
        if len(server.requests) > 1:
            resource.body = right
        return False

    resource.before = mended
    task = session.download_task(server.url("/a.bin"))
    record = await task.wait()
    assert record.succeeded
    assert (downloads / "a.bin").read_bytes() == right
    assert (record.restarts, len(server.requests), server.requests[1].header("Range")) == (1, 2, "")
    assert len(recorder.of("downloadcompleted")) == 1
    assert [event.file_offset for event in recorder.of("downloadresumed")] == [0]


@pytest.mark.parametrize("kind", ["background", "default"])
@pytest.mark.parametrize("name", ["Repr-Digest", "Content-Digest"])
async def test_d18_a_mismatch_that_stays_fails_and_leaves_nothing(
    monitor: Monitor,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    kind: str,
    name: str,
):
    resource.headers[name] = field(b"something else")
    session = quick_session(monitor) if kind == "background" else default_session(monitor)
    task = session.download_task(server.url("/a.bin"))
    record = await task.wait()
    assert code_of(task) == -1011
    assert record.error is not None
    assert "announced" in record.error.message
    assert len(server.requests) == 2
    assert recorder.of("downloadcompleted") == []
    assert list(downloads.iterdir()) == []


@pytest.mark.parametrize(
    "value",
    ["md5=:AAAA:", "sha-256=:AAAA:", "sha-256", "nonsense ===", "unixsum=30637", 'sha-256="x"', ""],
)
async def test_d18_unknown_algorithms_and_malformed_fields_are_ignored(
    session: Session, server: ByteServer, resource: Resource, value: str
):
    resource.headers["Repr-Digest"] = resource.headers["Content-Digest"] = value
    assert (await session.download_task(server.url("/a")).wait()).succeeded


async def test_d18_every_known_digest_is_checked(
    session: Session, server: ByteServer, resource: Resource
):
    resource.headers["Repr-Digest"] = f"{field(resource.body)}, {field(b'x', 'sha-512')}"
    task = session.download_task(server.url("/a"))
    await task.wait()
    assert code_of(task) == -1011


async def test_d18_the_callers_digest_counts_beside_the_server_s(
    session: Session, server: ByteServer, resource: Resource
):
    resource.headers["Repr-Digest"] = field(resource.body, "sha-512")
    task = session.download_task(
        server.url("/a"), expected_digest="sha-256:" + hashlib.sha256(b"x").hexdigest()
    )
    await task.wait()
    assert task.record.error is not None
    assert "expected" in task.record.error.message
    right = "sha-256:" + hashlib.sha256(resource.body).hexdigest()
    assert (await session.download_task(server.url("/a"), expected_digest=right).wait()).succeeded


async def test_d18_a_body_that_is_decoded_is_not_measured_by_the_digest_of_its_coding(
    session: Session, server: ByteServer, downloads: Path, resource: Resource
):
    import gzip

    coded = gzip.compress(resource.body)
    fields = {
        "Content-Encoding": "gzip",
        "Repr-Digest": field(coded),
        "Content-Digest": field(coded),
    }
    resource.before = always(reply(200, fields, coded))
    assert (await session.download_task(server.url("/a.txt")).wait()).succeeded
    assert (downloads / "a.txt").read_bytes() == resource.body


# ----


class Ranged:
    """Adds the two fields to the answers of a resource; `part` and `whole` give the digested
    bytes.
    """

    def __init__(self, resource: Resource, part: Any, whole: Any) -> None:
        self.resource, self.part, self.whole = resource, part, whole

    def __call__(self, conn: Conn, request: Request) -> bool:
        begin, end, status = self.resource._wanted(request)
        body = self.resource.body
        self.resource.headers = {}
        if status == 206:
            if self.part is not None:
                self.resource.headers["Content-Digest"] = field(self.part(body[begin:end]))
            if self.whole is not None:
                self.resource.headers["Repr-Digest"] = field(self.whole(body))
        self.resource.cut_after = (
            200_000 if status == 200 and len(conn.server.requests) == 1 else None
        )
        return False


def same(data: bytes) -> bytes:
    return data


@pytest.mark.parametrize("etag", ['"v1"', 'W/"v1"'], ids=["strong", "compared"])
@pytest.mark.parametrize(("part", "whole"), [(same, same), (same, None), (None, same)])
async def test_r20_both_fields_of_a_206_that_agree(
    monitor: Monitor,
    server: ByteServer,
    resource: Resource,
    downloads: Path,
    etag: str,
    part: Any,
    whole: Any,
):
    resource.body, resource.etag = resource.body * 4, etag
    resource.before = Ranged(resource, part, whole)
    task = quick_session(monitor).download_task(server.url("/a.bin"))
    record = await task.wait()
    assert record.succeeded
    assert record.response is not None
    assert record.response.status == 206
    assert (record.restarts, len(server.requests)) == (0, 2)
    assert (downloads / "a.bin").read_bytes() == resource.body


@pytest.mark.parametrize(
    ("part", "whole"), [(damaged, None), (None, damaged)], ids=["content", "repr"]
)
async def test_r20_a_206_that_does_not_agree_starts_over(
    monitor: Monitor, server: ByteServer, resource: Resource, downloads: Path, part: Any, whole: Any
):
    resource.before = Ranged(resource, part, whole)
    task = quick_session(monitor).download_task(server.url("/a.bin"))
    record = await task.wait()
    assert record.succeeded
    assert record.restarts == 1
    assert [request.header("Range") for request in server.requests] == ["", rest(200_000), ""]
    assert (downloads / "a.bin").read_bytes() == resource.body
    assert parts_in(downloads) == []


async def test_r20_the_digest_of_the_first_answer_still_counts_after_a_206_without_one(
    monitor: Monitor, server: ByteServer, resource: Resource
):
    announced = field(resource.body)

    def before(conn: Conn, request: Request) -> bool:
        first = len(server.requests) == 1
        resource.headers = {"Repr-Digest": announced} if first else {}
        resource.cut_after = 200_000 if first else None
        if len(server.requests) == 2:
            resource.body = damaged(resource.body)  # under the same entity tag: the server lies
        return False

    resource.before = before
    task = quick_session(monitor).download_task(server.url("/a"))
    record = await task.wait()
    assert (record.restarts, len(server.requests)) == (1, 3)
    assert record.succeeded  # the third answer announced nothing


async def test_r20_it_is_remembered_over_a_restart_of_the_engine(
    open_monitor: OpenMonitor, server: ByteServer, resource: Resource
):
    resource.headers["Repr-Digest"] = field(b"something else")
    resource.stall_after = 200_000
    async with open_monitor() as monitor:
        task = quick_session(monitor).download_task(server.url("/a"))
        await recorder_of(monitor).wait_for("downloadprogress", task)
    resource.stall_after = None
    resource.headers.clear()
    async with open_monitor() as monitor:
        record = await monitor.handle(task.key).wait()
        assert record.restarts == 1
