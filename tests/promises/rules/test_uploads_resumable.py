"""U-14 to U-25: uploads that go on where they were, by the IETF draft and by tus."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, reply
from tests.helpers.recorder import Recorder, eventually, recorder_of
from tests.helpers.sessions import code_of, engine_process, quick_session
from tests.helpers.upload_server import Kept, UploadServer, serving
from tests.promises.rules.conftest import OpenMonitor
from transfermon.engine.monitor import Monitor, UploadTask
from transfermon.http.upload_protocols.ietf import PROTOCOL as IETF
from transfermon.model.errors import TransferFailure
from transfermon.model.task import Origin
from transfermon.storage.records import task_text
from transfermon.text.humanize import status

pytestmark = pytest.mark.anyio
SIZE = 3_000_000
BOTH = pytest.mark.parametrize("protocol", ["ietf", "tus"])


@pytest.fixture
def farm() -> UploadServer:
    return UploadServer()


@pytest.fixture
def server(farm: UploadServer) -> Iterator[ByteServer]:
    with serving(farm) as server:
        yield server


@pytest.fixture
def body() -> bytes:
    return os.urandom(SIZE)


@pytest.fixture
def source(tmp_path: Path, body: bytes) -> Path:
    (tmp_path / "film.bin").write_bytes(body)
    return tmp_path / "film.bin"


def methods(farm: UploadServer) -> list[str]:
    return [method for method, _, _ in farm.said]


def offsets(farm: UploadServer) -> list[str]:
    return [offset for method, _, offset in farm.said if method == "PATCH"]


async def in_the_middle(task: UploadTask) -> None:
    await eventually(lambda: SIZE > task.count_of_bytes_sent > 300_000, "a part of the upload")


def slowly(monitor: Monitor, **changes: Any) -> Any:
    """A session whose uploads take a second, so that a test can look on."""
    return quick_session(monitor, speed_limit=3_000_000, **changes)


# ---- U-14


@pytest.mark.parametrize(
    ("announce", "resumable"), [("accept", True), ("limit", True), ("none", False)]
)
async def test_u14_a_probe_finds_out_what_the_server_can(
    monitor: Monitor,
    farm: UploadServer,
    server: ByteServer,
    source: Path,
    body: bytes,
    announce: str,
    resumable: bool,
):
    farm.announce = announce
    task = quick_session(monitor).upload_task(server.url("/in"), source, method="PUT")
    record = await task.wait()
    assert record.succeeded
    # a good answer may be for one version only
    asked = ["OPTIONS"] if resumable else ["OPTIONS"] * len(IETF.versions)
    assert methods(farm) == [*asked, "PUT", *(["PATCH"] if resumable else [])]
    assert (record.not_resumable == "") is resumable
    assert farm.stored == ([body] if resumable else [])
    assert record.protocol == ("ietf" if resumable else "plain")


@pytest.mark.parametrize("status", [404, 405, 501, 500])
async def test_u14_a_server_that_knows_no_options_gets_a_plain_upload(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path, status: int
):
    farm.answers["OPTIONS"] = [reply(status, {"Accept-Patch": "application/partial-upload"})]
    assert (
        await quick_session(monitor).upload_task(server.url("/in"), source, method="PUT").wait()
    ).succeeded
    assert methods(farm) == ["OPTIONS", "PUT"]


async def test_u14_nobody_is_asked_where_the_caller_has_decided_or_nothing_is_to_be_won(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path, tmp_path: Path
):
    (tmp_path / "small").write_bytes(b"small")
    session = quick_session(monitor)
    for path, protocol in ((source, "plain"), (tmp_path / "small", "")):
        assert (
            await session.upload_task(
                server.url("/in"), path, method="PUT", protocol=protocol
            ).wait()
        ).succeeded
    assert methods(farm) == ["PUT", "PUT"]
    with pytest.raises(ValueError, match="protocol"):
        session.upload_task(server.url("/in"), source, protocol="ftp")


# ---- U-15, U-16


async def test_u15_the_creation_is_empty_and_its_resource_is_kept_before_any_data(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path, body: bytes
):
    task = slowly(monitor, upload_digests=True).upload_task(
        server.url("/in"), source, method="POST", request_headers={"Authorization": "Bearer 1"}
    )
    await in_the_middle(task)
    upload = task.record.upload
    assert upload is not None
    assert upload.url == server.url("/uploads/1")
    assert (await task.wait()).succeeded
    _, created, appended = farm.heads
    assert (created.method, created.header("Upload-Complete")) == ("POST", "?0")
    assert created.header("Upload-Length") == str(SIZE)
    assert created.header("Content-Length") == "0"
    assert created.header("Upload-Draft-Interop-Version") == IETF.versions[0] == "8"
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    assert created.header("Repr-Digest") == f"sha-256=:{digest}:"
    assert {request.header("Authorization") for request in farm.heads} == {"Bearer 1"}
    assert appended.header("Repr-Digest") == ""


async def test_u16_data_goes_by_patch_and_the_last_part_says_so(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path, body: bytes
):
    farm.limit = "max-append-size=1000000"
    assert (
        await quick_session(monitor).upload_task(server.url("/in"), source, method="PUT").wait()
    ).succeeded
    patches = [request for request in farm.heads if request.method == "PATCH"]
    assert [request.header("Content-Type") for request in patches] == [
        "application/partial-upload"
    ] * 3
    assert offsets(farm) == ["0", "1000000", "2000000"]
    assert [request.header("Upload-Complete") for request in patches] == ["?0", "?0", "?1"]
    assert farm.stored == [body]


# ---- U-17


@BOTH
async def test_u17_after_a_cut_the_server_is_asked_and_the_rest_is_sent(
    monitor: Monitor,
    recorder: Recorder,
    farm: UploadServer,
    server: ByteServer,
    source: Path,
    body: bytes,
    protocol: str,
):
    farm.cuts = [1_000_000, 700_000]
    task = quick_session(monitor).upload_task(
        server.url("/in"), source, method="PUT", protocol=protocol
    )
    record = await task.wait()
    assert record.succeeded
    assert farm.stored == [body]
    assert offsets(farm) == ["0", "1000000", "1700000"]
    assert farm.received == SIZE
    assert methods(farm)[-4:] == ["HEAD", "PATCH", "HEAD", "PATCH"]
    totals = [event.total_bytes_sent for event in recorder.of("uploadprogress", task)]
    assert totals[-1] == SIZE


@BOTH
async def test_u17_a_pause_goes_on_where_the_server_is(
    monitor: Monitor,
    farm: UploadServer,
    server: ByteServer,
    source: Path,
    body: bytes,
    protocol: str,
):
    task = slowly(monitor).upload_task(server.url("/in"), source, method="PUT", protocol=protocol)
    await in_the_middle(task)
    assert task.record.not_resumable == ""
    task.suspend()
    await eventually(lambda: monitor.overview.progress(task.key) is None)
    assert (await task.resume().wait()).succeeded
    assert farm.stored == [body]
    assert int(offsets(farm)[1]) > 0
    assert farm.received == SIZE


@BOTH
async def test_u17_a_killed_engine_sends_the_rest_only(
    open_monitor: OpenMonitor,
    farm: UploadServer,
    server: ByteServer,
    source: Path,
    body: bytes,
    tmp_path: Path,
    protocol: str,
):
    script = f"""
task = session.upload_task({server.url("/in")!r}, {str(source)!r}, protocol={protocol!r}, speed_limit=3_000_000)
while task.count_of_bytes_sent < 500_000:
    await asyncio.sleep(0.005)
print("there", flush=True)
await asyncio.Event().wait()
"""
    with engine_process(tmp_path, script) as process:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "there\n"
        process.kill()
        process.wait()
    async with open_monitor() as monitor:
        (record,) = monitor.tasks()
        assert (await monitor.handle(record.key).wait()).succeeded
    assert farm.stored == [body]
    assert len(farm.uploads) == 1
    assert farm.received == SIZE


# ---- U-11, and a login in the middle


@BOTH
@pytest.mark.parametrize("asks", ["redirect", "login"])
@pytest.mark.parametrize("size", [100_000, 600_000])  # small ones go over the loop
async def test_u11_a_piece_that_is_asked_for_twice_goes_twice(
    monitor: Monitor,
    recorder: Recorder,
    farm: UploadServer,
    server: ByteServer,
    protocol: str,
    asks: str,
    size: int,
):
    body = os.urandom(size)
    refused: list[bytes] = []

    def once_more(conn: Conn, request: Request) -> None:
        if request.method != "PATCH" or refused:
            farm(conn, request)
            return
        refused.append(conn.read_body(request))
        fields = (
            {"Location": request.target}
            if asks == "redirect"
            else {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'}
        )
        conn.send(reply(307 if asks == "redirect" else 401, fields))

    server.handler = once_more
    url = server.url("/in").replace("//", "//me:secret@")
    task = quick_session(monitor).upload_task(url, body, protocol=protocol)
    record = await task.wait()
    assert record.succeeded, record.error
    assert refused == farm.stored == [body]
    assert record.sent == size
    assert max(event.total_bytes_sent for event in recorder.of("uploadprogress", task)) == size


# ---- U-18


@pytest.mark.parametrize("told", ["field", "problem"])
async def test_u18_a_mismatch_goes_on_where_the_server_says(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path, body: bytes, told: str
):
    if told == "field":
        farm.answers["PATCH"] = [reply(409, {"Upload-Offset": "0"})]
    else:
        farm.shift = 5
    record = (
        await quick_session(monitor).upload_task(server.url("/in"), source, method="PUT").wait()
    )
    assert record.succeeded, record.error
    assert farm.stored == [body]
    assert offsets(farm) == ["0", "0"]


async def test_u18_a_server_that_never_agrees_ends_the_upload(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path
):
    farm.answers["PATCH"] = [reply(409, {"Upload-Offset": "0"})] * 9
    record = (
        await quick_session(monitor).upload_task(server.url("/in"), source, method="PUT").wait()
    )
    assert record.error is not None
    assert record.error.reason == "srv.offset"
    assert len(offsets(farm)) == 3


# ---- U-19


async def test_u19_a_file_that_is_too_large_is_not_sent(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path
):
    farm.announce, farm.limit = "limit", "max-size=2999999, max-age=60"
    record = (
        await quick_session(monitor).upload_task(server.url("/in"), source, method="PUT").wait()
    )
    assert code_of(record) == -1103
    assert "2999999" in record.error.message  # type: ignore[union-attr]
    assert methods(farm) == ["OPTIONS"]


async def test_u19_an_upload_that_has_expired_begins_again(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path, body: bytes
):
    farm.limit = "max-age=1000"
    task = slowly(monitor).upload_task(server.url("/in"), source, method="PUT")
    await in_the_middle(task)
    task.suspend()
    await eventually(lambda: monitor.overview.progress(task.key) is None)
    monitor._engine.now = lambda now=monitor._engine.now: now() + 1001  # type: ignore[misc]
    assert (await task.resume().wait()).succeeded
    assert len(farm.uploads) == 2
    assert farm.stored == [body]
    assert offsets(farm) == ["0", "0"]


# ---- U-20, U-21


@pytest.mark.parametrize("status", [200, 422, 503])
async def test_u20_a_final_answer_is_the_result_whatever_its_status(
    monitor: Monitor,
    recorder: Recorder,
    farm: UploadServer,
    server: ByteServer,
    source: Path,
    status: int,
):
    farm.final = reply(status, {"Upload-Complete": "?1", "Content-Type": "text/plain"}, b"said")
    task = quick_session(monitor).upload_task(
        server.url("/in"), source, method="PUT", maximum_attempts=3
    )
    record = await task.wait()
    assert record.succeeded is (status == 200)
    (event,) = recorder.of("sessioncompleted", task)
    assert (event.status_code, event.response_text) == (status, "said")
    assert methods(farm) == ["OPTIONS", "PUT", "PATCH"]


async def test_u20_an_early_final_answer_ends_the_sending(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path
):
    farm.answers["PATCH"] = [reply(413, {"Upload-Complete": "?1"})]
    record = (
        await quick_session(monitor).upload_task(server.url("/in"), source, method="PUT").wait()
    )
    assert record.error is not None
    assert record.error.status == 413
    assert methods(farm) == ["OPTIONS", "PUT", "PATCH"]


@pytest.mark.parametrize("status", [400, 403, 415])
@pytest.mark.parametrize("method", ["PATCH", "HEAD"])
async def test_u21_a_refusal_ends_the_upload(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path, status: int, method: str
):
    farm.cuts = [100_000]
    farm.answers[method] = [reply(status)]
    record = (
        await quick_session(monitor).upload_task(server.url("/in"), source, method="PUT").wait()
    )
    assert record.error is not None
    assert record.error.status == status
    assert methods(farm)[-1] == method


@BOTH
@pytest.mark.parametrize("method", ["PATCH", "HEAD"])
async def test_u21_trouble_in_the_server_leads_to_the_offset_and_on(
    monitor: Monitor,
    farm: UploadServer,
    server: ByteServer,
    source: Path,
    body: bytes,
    method: str,
    protocol: str,
):
    farm.cuts = [100_000]
    farm.answers[method] = [reply(503)]
    task = quick_session(monitor).upload_task(
        server.url("/in"), source, method="PUT", protocol=protocol
    )
    assert (await task.wait()).succeeded
    assert farm.stored == [body]
    assert "HEAD" in methods(farm)


@BOTH
async def test_u21_an_upload_that_the_server_forgot_begins_again_once(
    monitor: Monitor,
    farm: UploadServer,
    server: ByteServer,
    source: Path,
    body: bytes,
    protocol: str,
):
    farm.cuts, farm.forget = [100_000], 0
    session = quick_session(monitor)
    task = session.upload_task(server.url("/in"), source, method="PUT", protocol=protocol)
    await eventually(lambda: not farm.cuts)
    farm.forget = 1
    assert (await task.wait()).succeeded
    assert farm.stored == [body]
    farm.cuts, farm.forget = [], 99
    record = await session.upload_task(
        server.url("/in"), source, method="PUT", protocol=protocol
    ).wait()
    assert record.error is not None
    assert record.error.reason == "srv.upload-gone"


# ---- U-22


@BOTH
async def test_u22_a_cancel_deletes_the_server_s_half_once(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path, protocol: str
):
    task = slowly(monitor).upload_task(server.url("/in"), source, method="PUT", protocol=protocol)
    await in_the_middle(task)
    task.cancel()
    assert code_of(await task.wait()) == -999
    await eventually(lambda: "DELETE" in methods(farm))
    assert methods(farm).count("DELETE") == 1
    assert farm.uploads == {}


async def test_u22_a_redirect_of_the_deletion_gets_none_of_the_person_s_headers_elsewhere(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path
):
    with serving(UploadServer()) as other:
        farm.answers["DELETE"] = [reply(307, {"Location": other.url("/uploads/1")})]
        task = slowly(monitor).upload_task(
            server.url("/in"),
            source,
            method="PUT",
            protocol="tus",
            request_headers={"X-Api-Key": "secret"},
        )
        await in_the_middle(task)
        task.cancel()
        await eventually(lambda: other.requests)
        assert farm.heads[-1].header("X-Api-Key") == "secret"
        assert not other.requests[0].header("X-Api-Key")


@BOTH
async def test_u22_data_of_a_cancelled_upload_goes_on_even_in_the_next_engine(
    open_monitor: OpenMonitor,
    farm: UploadServer,
    server: ByteServer,
    source: Path,
    body: bytes,
    protocol: str,
):
    async with open_monitor() as monitor:
        task = slowly(monitor).upload_task(
            server.url("/in"), source, method="PUT", protocol=protocol
        )
        await in_the_middle(task)
        data = await task.cancel_by_producing_resume_data()
        assert data is not None
        assert code_of(await task.wait()) == -999
        assert b"uploads" not in data
    assert "DELETE" not in methods(farm)
    async with open_monitor() as monitor:
        session = quick_session(monitor)
        again = session.upload_task_with_resume_data(data)
        assert code_of(await session.upload_task_with_resume_data(data).wait()) == -1002
        assert code_of(await session.download_task_with_resume_data(data).wait()) == -1002
        assert (await again.wait()).succeeded
        assert again.key != task.key
        recorder_of(monitor).check()
    assert farm.stored == [body]
    assert farm.received == SIZE


# ---- U-23


@BOTH
async def test_u23_there_are_never_two_requests_at_once(
    monitor: Monitor,
    farm: UploadServer,
    server: ByteServer,
    source: Path,
    body: bytes,
    protocol: str,
):
    farm.cuts = [200_000] * 5
    task = slowly(monitor).upload_task(server.url("/in"), source, method="PUT", protocol=protocol)
    for _ in range(3):
        await eventually(
            lambda: monitor.overview.progress(task.key) is not None or not task.record.outstanding
        )
        task.suspend()
        task.resume()
    assert (await task.wait()).succeeded
    assert farm.stored == [body]
    assert farm.most_busy == 1


# ---- U-24


async def test_u24_tus_has_its_own_words(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path, body: bytes
):
    record = (
        await quick_session(monitor, upload_protocol="tus")
        .upload_task(server.url("/files/"), source)
        .wait()
    )
    assert record.succeeded
    created, appended = farm.heads
    assert (created.method, created.header("Upload-Length")) == ("POST", str(SIZE))
    pairs = dict(pair.split(" ") for pair in created.header("Upload-Metadata").split(","))
    told = {key: base64.b64decode(value).decode() for key, value in pairs.items()}
    assert told == {"filename": "film.bin", "filetype": "application/octet-stream"}
    assert {request.header("Tus-Resumable") for request in farm.heads} == {"1.0.0"}
    assert appended.header("Content-Type") == "application/offset+octet-stream"
    assert farm.stored == [body]


# ---- U-25


async def test_u25_the_resource_is_kept_and_shown_to_nobody(
    monitor: Monitor, recorder: Recorder, farm: UploadServer, server: ByteServer, source: Path
):
    task = slowly(monitor).upload_task(server.url("/in"), source, method="PUT")
    await in_the_middle(task)
    assert "/uploads/1" in task_text(task.record)  # the owner's own database
    assert task.upload_resource == server.url("/…")
    assert "/uploads/1" not in repr(task.record)
    assert (await task.wait()).succeeded
    assert not any("/uploads/1" in str(event.to_dict()) for event in recorder.events)
    assert "/uploads/1" not in str(task.metrics)


async def test_u25_a_resource_at_another_server_is_followed_bare_and_named_for_a_typed_address(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path, body: bytes
):
    there = UploadServer(uploads={"/uploads/1": Kept(SIZE, "PUT")})
    with serving(there) as other:
        farm.location = lambda path: other.url(path, host="localhost")
        headers = {"Authorization": "Bearer 1", "Cookie": "a=b", "X-Key": "k"}
        task = slowly(monitor).upload_task(
            server.url("/in"), source, method="PUT", request_headers=headers
        )
        await in_the_middle(task)
        assert status(task.record, 0) == f"Uploading to http://localhost:{other.port}"
        assert (await task.wait()).succeeded
    assert there.stored == [body]
    assert methods(farm) == ["OPTIONS", "PUT"]
    (request,) = there.heads
    assert not {"authorization", "cookie", "x-key"} & {name.lower() for name, _ in request.headers}


async def test_u25_a_resource_at_another_server_is_refused_and_named_for_an_address_of_others(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path
):
    farm.location = lambda path: f"http://localhost:1{path}"
    monitor._engine.allowed_hosts.add(f"127.0.0.1:{server.port}")
    task = quick_session(monitor).upload_task(
        server.url("/in"), source, method="PUT", origin=Origin.GIVEN
    )
    record = await task.wait()
    assert record.error is not None
    assert record.error.reason == "pol.redirected-upload"
    assert "http://localhost:1" in record.error.message
    assert methods(farm) == ["OPTIONS", "PUT"]


async def test_u09_a_file_that_changed_in_a_pause_is_not_mixed(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path, body: bytes
):
    task = slowly(monitor).upload_task(server.url("/in"), source, method="PUT")
    await in_the_middle(task)
    task.suspend()
    await eventually(lambda: monitor.overview.progress(task.key) is None)
    source.write_bytes(body[::-1])
    assert code_of(await task.resume().wait()) == -1021
    assert farm.stored == []
    monitor.commands.retry(task.key)  # as it is now, from its beginning
    assert (await task.wait()).succeeded
    assert farm.stored == [body[::-1]]


async def test_a_typed_address_with_a_password_is_no_failure(
    monitor: Monitor, farm: UploadServer, source: Path
):
    with serving(farm) as server:
        url = server.url("/in").replace("http://", "http://me:s3cret@")
        assert (
            await quick_session(monitor).upload_task(url, source, method="PUT").wait()
        ).succeeded
        with pytest.raises(TransferFailure):
            quick_session(monitor).upload_task("http://[bad/", source)
    assert {request.header("Authorization") for request in farm.heads} == {"Basic bWU6czNjcmV0"}


@pytest.mark.parametrize(("method", "connections"), [("PUT", 1), ("POST", 2)])
async def test_what_may_be_repeated_goes_over_the_connection_of_the_question(
    monitor: Monitor,
    farm: UploadServer,
    server: ByteServer,
    source: Path,
    method: str,
    connections: int,
):
    farm.answers["OPTIONS"] = [reply(405, {"Content-Type": "text/html"}, b"<html>no</html>")]
    task = quick_session(monitor).upload_task(server.url("/in"), source, method=method)
    assert (await task.wait()).succeeded
    assert methods(farm) == ["OPTIONS", method]
    assert server.connections == connections
