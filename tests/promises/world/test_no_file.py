"""Successes without a file, and the troubles of servers behind a proxy."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, reply
from tests.helpers.sessions import quick_session, sent
from transfermon.engine.monitor import Monitor, Session
from transfermon.http.retry import LONGEST_MAKING, judge_download
from transfermon.model.configuration import RetryPolicy
from transfermon.model.errors import Code, Retry
from transfermon.model.task import Response

pytestmark = pytest.mark.anyio
NOW = 1_796_000_000.0
NOTE = b"Preparing your archive, come back later"


@pytest.mark.parametrize("status", [204, 205])
async def test_no_content_is_no_file(
    session: Session, server: ByteServer, resource: Resource, downloads: Path, status: int
):
    resource.before = lambda conn, request: sent(conn, reply(status))
    record = await session.download_task(server.url("/f.zip")).wait()
    assert record.error is not None
    assert (record.error.code, record.error.retry) == (Code.BAD_SERVER_RESPONSE, Retry.FINAL)
    assert (
        record.error.message == f"The server answered {status}: there is no file at this address."
    )
    assert record.error.hint
    assert len(server.requests) == 1
    assert not downloads.exists() or list(downloads.iterdir()) == []


@pytest.mark.parametrize("field", [{"Retry-After": "0"}, {}])
async def test_a_file_that_is_being_made_is_waited_for(
    session: Session, server: ByteServer, resource: Resource, downloads: Path, field: dict[str, str]
):
    count = itertools.count()

    def before(conn: Conn, request: Request) -> bool:
        return next(count) < 3 and sent(
            conn, reply(202, {"Content-Type": "text/plain", **field}, NOTE)
        )

    resource.before = before
    record = await session.download_task(server.url("/a.bin")).wait()
    assert record.succeeded
    assert record.making_since is None
    assert (downloads / "a.bin").read_bytes() == resource.body


async def test_a_file_that_is_made_anew_costs_no_part(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    resource.cut_after = len(resource.body) * 2 // 3

    def before(conn: Conn, request: Request) -> bool:
        return len(server.requests) == 2 and sent(conn, reply(202, {"Retry-After": "0"}, NOTE))

    resource.before = before
    assert (await session.download_task(server.url("/a.bin")).wait()).succeeded
    assert (downloads / "a.bin").read_bytes() == resource.body
    assert [bool(request.header("Range")) for request in server.requests] == [False, True, True]


async def test_who_gives_up_says_that_the_file_is_not_ready(
    monitor: Monitor, server: ByteServer, resource: Resource, downloads: Path
):
    resource.before = lambda conn, request: sent(conn, reply(202, {}, NOTE))
    once = quick_session(monitor, "com.example.once", retry_policy=RetryPolicy(attempts=1))
    record = await once.download_task(server.url("/a.bin")).wait()
    assert record.error is not None
    assert record.error.message == "The server answered 202: the file is not ready yet."
    assert not downloads.exists() or list(downloads.iterdir()) == []


@pytest.mark.parametrize(
    ("waited", "asked", "retry", "after"),
    [
        (None, "", Retry.RETRY, None),
        (None, "7", Retry.RETRY, 7.0),
        (0.0, "86400", Retry.RETRY, LONGEST_MAKING),
        (3000.0, "86400", Retry.RETRY, 600.0),
        (3599.0, "", Retry.RETRY, None),
        (3600.0, "7", Retry.FINAL, None),
    ],
)
def test_the_waiting_for_a_file_ends_after_an_hour(
    waited: float | None, asked: str, retry: Retry, after: float | None
):
    answer = Response(
        status=202, url="http://host/a", headers=(("Retry-After", asked),) if asked else ()
    )
    since = None if waited is None else NOW - waited
    error = judge_download(answer, "status", now=NOW, making_since=since)
    assert error is not None
    assert (error.retry, error.retry_after) == (retry, after)
    assert ("after an hour" in error.message) is (retry is Retry.FINAL)


@pytest.mark.parametrize("status", [202, 204, 205])
def test_under_the_transport_policy_every_success_is_one(status: int):
    assert (
        judge_download(Response(status=status, url="http://host/a"), "transport", now=NOW) is None
    )


@pytest.mark.parametrize("status", [*range(520, 528), 530])
async def test_what_a_proxy_says_of_the_server_behind_it_is_tried_again(
    session: Session, server: ByteServer, resource: Resource, downloads: Path, status: int
):
    resource.before = lambda conn, request: (
        len(server.requests) == 1 and sent(conn, reply(status, {}, b"oops"))
    )
    assert (await session.download_task(server.url("/a.bin")).wait()).succeeded
    assert len(server.requests) == 2
    assert (downloads / "a.bin").read_bytes() == resource.body
