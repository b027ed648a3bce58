"""How an upload finds out what a server speaks: tus by its discovery, the draft in four versions,
or nothing at all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, reply
from tests.helpers.recorder import eventually
from tests.helpers.sessions import code_of, quick_session
from tests.helpers.tusd import Tusd
from tests.helpers.upload_server import Kept, UploadServer, serving
from transfermon.engine.monitor import Monitor
from transfermon.http.upload_protocols.ietf import PROTOCOL as IETF

pytestmark = pytest.mark.anyio
SIZE = 3_000_000


@pytest.fixture
def body() -> bytes:
    return os.urandom(SIZE)


@pytest.fixture
def source(tmp_path: Path, body: bytes) -> Path:
    (tmp_path / "film.mp4").write_bytes(body)
    return tmp_path / "film.mp4"


@pytest.fixture
def farm() -> UploadServer:
    return UploadServer()


@pytest.fixture
def server(farm: UploadServer) -> Iterator[ByteServer]:
    with serving(farm) as server:
        yield server


def methods(farm: UploadServer) -> list[str]:
    return [method for method, _, _ in farm.said]


def asked(farm: UploadServer, method: str) -> list[str]:
    """The versions of the requests with that method."""
    return [
        one.header("Upload-Draft-Interop-Version") for one in farm.heads if one.method == method
    ]


async def test_tus_is_seen_by_its_discovery_and_gets_the_collection(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path, body: bytes
):
    fields = {
        "Tus-Resumable": "1.0.0",
        "Tus-Version": "1.0.0,0.2.2",
        "Tus-Extension": "creation,expiration",
    }
    farm.answers["OPTIONS"] = [reply(204, fields)]
    farm.cuts = [700_000]
    task = quick_session(monitor).upload_task(
        server.url("/files/"), source, method="PUT", into_folder=True
    )
    record = await task.wait()
    assert (record.succeeded, record.protocol) == (True, "tus")
    assert farm.said[1][:2] == ("POST", "/files/")
    assert (farm.stored, farm.received) == ([body], SIZE)


@pytest.mark.parametrize("size", [0, 5, 200_000])
async def test_a_small_file_that_is_refused_goes_by_tus_where_that_is_the_way(
    monitor: Monitor, tmp_path: Path, size: int
):
    (tmp_path / "small").write_bytes(b"s" * size)
    farm = Tusd()
    with ByteServer(farm, reads_bodies=False) as server:
        task = quick_session(monitor).upload_task(
            server.url("/f/"), tmp_path / "small", method="PUT", into_folder=True
        )
        record = await task.wait()
    assert (record.succeeded, record.protocol) == (True, "tus"), record.error
    assert [bytes(found) for _, found in farm.uploads.values()] == [b"s" * size]
    assert [method for method, _ in farm.said[:3]] == ["PUT", "OPTIONS", "POST"]


async def test_a_small_file_that_is_refused_elsewhere_fails_with_that_answer(
    monitor: Monitor, farm: UploadServer, server: ByteServer, tmp_path: Path
):
    (tmp_path / "small").write_bytes(b"s")
    farm.answers = {"PUT": [reply(404, {}, b"no such folder")]}
    record = (
        await quick_session(monitor)
        .upload_task(server.url("/in"), tmp_path / "small", method="PUT")
        .wait()
    )
    assert record.error is not None
    assert (record.error.status, record.error.said) == (404, "no such folder")


@pytest.mark.parametrize("fields", [{"Tus-Version": "1.0.0"}, {"Tus-Resumable": "1.0.0"}])
async def test_one_field_of_the_discovery_is_enough(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path, fields: dict[str, str]
):
    farm.answers["OPTIONS"] = [reply(200, fields)]
    assert (
        await quick_session(monitor).upload_task(server.url("/in"), source).wait()
    ).protocol == "tus"


@pytest.mark.parametrize(
    "fields",
    [{"Tus-Version": "0.2.2"}, {"Tus-Version": "1.0.0", "Tus-Extension": "termination"}],
)
async def test_a_server_that_cannot_create_by_tus_gets_the_file_whole(
    monitor: Monitor,
    farm: UploadServer,
    server: ByteServer,
    source: Path,
    body: bytes,
    fields: dict[str, str],
):
    farm.answers["OPTIONS"] = [reply(200, fields)] * len(IETF.versions)
    assert (
        await quick_session(monitor).upload_task(server.url("/in"), source, method="PUT").wait()
    ).succeeded
    assert farm.whole == [body]


async def test_a_collection_that_announces_tus_and_takes_no_creation_gets_the_file_whole(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path, body: bytes
):
    farm.answers = {"OPTIONS": [reply(200, {"Tus-Version": "1.0.0"})], "POST": [reply(405)]}
    assert (
        await quick_session(monitor).upload_task(server.url("/in"), source, method="PUT").wait()
    ).succeeded
    assert farm.whole == [body]


@pytest.mark.parametrize("version", IETF.versions)
@pytest.mark.parametrize("names", [False, True])
async def test_every_version_of_the_draft_is_found_and_resumed(
    monitor: Monitor, source: Path, body: bytes, version: str, names: bool
):
    farm = UploadServer(version=version, names_version=names, cuts=[1_000_000])
    farm.final = reply(
        200, {"Upload-Incomplete": "?0"} if version == "3" else {"Upload-Complete": "?1"}
    )
    with serving(farm) as server:
        session = quick_session(monitor)
        assert (await session.upload_task(server.url("/in"), source, method="PUT").wait()).succeeded
        assert (farm.stored, farm.received) == ([body], SIZE)
        tried = asked(farm, "OPTIONS")
        assert tried == (
            [*dict.fromkeys(["8", version])]
            if names
            else [*IETF.versions[: IETF.versions.index(version) + 1]]
        )
        assert asked(farm, "PUT") == [version]
        assert (await session.upload_task(server.url("/in"), source, method="PUT").wait()).succeeded
        assert asked(farm, "OPTIONS")[len(tried) :] == [version]  # it is remembered of the host


@pytest.mark.parametrize("version", IETF.versions)
async def test_who_insists_on_the_draft_needs_no_announcement(
    monitor: Monitor, source: Path, body: bytes, version: str
):
    farm = UploadServer(version=version, names_version=True, cuts=[1_000_000])
    with serving(farm) as server:
        task = quick_session(monitor).upload_task(
            server.url("/in"), source, method="PUT", protocol="ietf"
        )
        assert (await task.wait()).succeeded
        assert (farm.stored, farm.received) == ([body], SIZE)
        one = quick_session(monitor, "one").upload_task(
            server.url("/in"), source, method="PUT", protocol=f"ietf:{version}"
        )
        assert (await one.wait()).succeeded
    assert "OPTIONS" not in methods(farm)


async def test_one_version_that_was_asked_for_is_the_only_one_that_is_tried(
    monitor: Monitor, source: Path
):
    farm = UploadServer(version="6")
    with serving(farm) as server:
        task = quick_session(monitor).upload_task(
            server.url("/in"), source, method="PUT", protocol="ietf:5"
        )
        record = await task.wait()
    assert record.error is not None
    assert record.error.reason == "srv.protocol"
    assert asked(farm, "PUT") == ["5"]


@pytest.mark.parametrize("version", IETF.versions)
async def test_a_104_makes_a_whole_upload_resumable(
    monitor: Monitor, source: Path, body: bytes, version: str
):
    """No OPTIONS speaks for the draft, so no empty creation is sent; each request tries another
    version.
    """
    turns = IETF.versions.index(version)
    farm = UploadServer(version=version, offers=True, cuts=[1_000_000])

    def cut_before(conn: Conn, request: Request) -> None:
        if request.method == "OPTIONS":
            # a kept connection that dies is no attempt
            conn.send(reply(405, {"Connection": "close"}))
            conn.close()
        elif request.method == "PUT" and len(asked(farm, "PUT")) < turns:
            farm.heads.append(request)
            conn.read_some(100_000)
            conn.reset()
        else:
            farm(conn, request)

    with ByteServer(cut_before, reads_bodies=False) as server:
        task = quick_session(monitor).upload_task(server.url("/in"), source, method="PUT")
        record = await task.wait()
    assert record.succeeded, record.error
    assert asked(farm, "PUT") == list(IETF.versions[: turns + 1])
    assert record.protocol == "ietf"
    assert (farm.stored, farm.received) == ([body], SIZE)
    assert all(
        int(one.header("Content-Length")) == SIZE for one in farm.heads if one.method == "PUT"
    )


async def test_a_104_counts_while_the_body_is_on_its_way(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path, body: bytes
):
    farm.offers = True
    farm.answers = {"OPTIONS": [reply(405)] * 9}
    # a POST
    task = quick_session(monitor, speed_limit=3_000_000).upload_task(server.url("/in"), source)
    await eventually(lambda: SIZE > task.count_of_bytes_sent > 500_000)
    assert task.record.upload is not None
    assert (task.record.not_resumable, task.record.exposed) == ("", False)
    task.suspend()
    await eventually(lambda: monitor.overview.progress(task.key) is None)
    assert (await task.resume().wait()).succeeded
    assert farm.stored == [body]
    assert methods(farm)[-2:] == ["HEAD", "PATCH"]


@pytest.mark.parametrize("reads", [0, SIZE])
@pytest.mark.parametrize("location", [True, False])
async def test_a_final_answer_that_calls_the_whole_upload_incomplete_is_not_the_end(
    monitor: Monitor, farm: UploadServer, source: Path, body: bytes, reads: int, location: bool
):
    """A server that reads the fields, sends no 104, and has taken all or nothing of the body."""

    def begins(conn: Conn, request: Request) -> None:
        if request.method == "PUT":
            farm.uploads["/uploads/1"] = Kept(SIZE, "PUT", bytearray(conn.read_some(reads)))
            fields = {"Upload-Complete": "?0", "Connection": "close"} | (
                {"Location": "/uploads/1"} if location else {}
            )
            conn.send(reply(201, fields))
            conn.close()
        elif request.method == "OPTIONS":
            conn.send(reply(404))
        else:
            farm(conn, request)

    with ByteServer(begins, reads_bodies=False) as server:
        record = (
            await quick_session(monitor).upload_task(server.url("/in"), source, method="PUT").wait()
        )
    if location:
        assert record.succeeded, record.error
        assert farm.stored == [body]
    else:
        assert record.error is not None
        assert record.error.reason == "srv.early-answer"


async def test_a_104_of_another_version_is_none(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path, body: bytes
):
    def other(conn: Conn, request: Request) -> None:
        if request.method == "PUT":
            conn.send(reply(104, {"Location": "/uploads/1", "Upload-Draft-Interop-Version": "5"}))
        farm(conn, request)

    farm.announce = "none"
    with ByteServer(other, reads_bodies=False) as server:
        record = (
            await quick_session(monitor).upload_task(server.url("/in"), source, method="PUT").wait()
        )
    assert (record.succeeded, record.upload, farm.whole) == (True, None, [body])


async def test_a_server_that_stumbles_over_the_fields_gets_the_file_without_them(
    monitor: Monitor, source: Path, body: bytes
):
    bodies: list[bytes] = []

    def strict(conn: Conn, request: Request) -> None:
        found = conn.read_body(request)
        if request.method == "OPTIONS" or request.header("Upload-Complete"):
            conn.send(reply(400))
        else:
            bodies.append(found)
            conn.send(reply(201))

    with ByteServer(strict, reads_bodies=False) as server:
        assert (
            await quick_session(monitor).upload_task(server.url("/in"), source, method="PUT").wait()
        ).succeeded
    assert bodies == [body]


# ---- a server with both protocols, in the form of the one that is used most


@pytest.mark.parametrize("version", ["", "3", "5", "6"])
async def test_a_server_of_that_form_resumes_by_either_protocol(
    monitor: Monitor, source: Path, body: bytes, version: str
):
    farm = Tusd(cuts=[1_000_000, 500_000])
    with ByteServer(farm, reads_bodies=False) as server:
        protocol = f"ietf:{version}" if version else ""
        record = (
            await quick_session(monitor)
            .upload_task(server.url("/files/"), source, protocol=protocol)
            .wait()
        )
    assert record.succeeded, record.error
    assert record.protocol == ("ietf" if version else "tus")
    assert [bytes(found) for _, found in farm.uploads.values()] == [body]
    assert farm.received == SIZE
    assert (farm.metadata != "") is (version == "")


async def test_its_versions_are_tried_in_turn(monitor: Monitor, source: Path, body: bytes):
    farm = Tusd(cuts=[1_000_000])
    with ByteServer(farm, reads_bodies=False) as server:
        assert (
            await quick_session(monitor)
            .upload_task(server.url("/f"), source, protocol="ietf")
            .wait()
        ).succeeded
    assert farm.said[:2] == [("POST", "8"), ("POST", "6")]
    assert farm.received == SIZE


async def test_without_tus_its_draft_is_found(monitor: Monitor, source: Path, body: bytes):
    farm = Tusd(tus=False, cuts=[1_000_000])
    with ByteServer(farm, reads_bodies=False) as server:
        record = await quick_session(monitor).upload_task(server.url("/f"), source).wait()
    assert (record.succeeded, record.protocol, farm.received) == (True, "ietf", SIZE)


# ---- the probe


@pytest.mark.parametrize("status", [408, 425, 429, 502, 503, 504, 520, 530])
async def test_trouble_at_the_probe_is_waited_out_and_not_remembered(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path, body: bytes, status: int
):
    farm.answers["OPTIONS"] = [reply(status, {"Retry-After": "0"})]
    farm.cuts = [1_000_000]
    record = (
        await quick_session(monitor).upload_task(server.url("/in"), source, method="PUT").wait()
    )
    assert (record.succeeded, record.protocol) == (True, "ietf")
    assert methods(farm)[:3] == ["OPTIONS", "OPTIONS", "PUT"]
    assert (farm.stored, farm.received) == ([body], SIZE)


async def test_a_probe_that_is_in_trouble_for_ever_does_not_keep_the_file_back(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path, body: bytes
):
    farm.answers["OPTIONS"] = [reply(503)] * 99
    record = (
        await quick_session(monitor).upload_task(server.url("/in"), source, method="PUT").wait()
    )
    assert (record.succeeded, record.protocol, farm.whole) == (True, "", [body])
    assert methods(farm) == ["OPTIONS"] * 4 + ["PUT"]


async def test_a_login_that_is_missing_at_the_probe_is_asked_for_and_then_it_is_asked_again(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path, body: bytes
):
    farm.answers["OPTIONS"] = [reply(401, {"WWW-Authenticate": 'Basic realm="x"'})]
    task = quick_session(monitor).upload_task(server.url("/in"), source, method="PUT")
    assert code_of(await task.wait()) == -1013
    assert methods(farm) == ["OPTIONS"]
    monitor.logins.give(task.key, "me", "secret")
    record = await task.wait()
    assert (record.succeeded, record.protocol, farm.stored) == (True, "ietf", [body])


@pytest.mark.parametrize("end", ["close", "reset", "garbage"])
async def test_a_server_that_cannot_answer_options_is_uploaded_to(
    monitor: Monitor, farm: UploadServer, source: Path, body: bytes, end: str
):
    def no_options(conn: Conn, request: Request) -> None:
        if request.method != "OPTIONS":
            farm(conn, request)
        elif end == "garbage":
            conn.send(b"what?\r\n\r\n")
            conn.close()
        else:
            getattr(conn, end)()

    with ByteServer(no_options, reads_bodies=False) as server:
        record = (
            await quick_session(monitor).upload_task(server.url("/in"), source, method="PUT").wait()
        )
    assert (record.succeeded, farm.whole) == (True, [body])


@pytest.mark.parametrize(
    ("limit", "whole"), [("min-size=3000001", True), ("min-size=3000000", False)]
)
async def test_a_file_below_the_least_size_goes_whole(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path, limit: str, whole: bool
):
    farm.announce, farm.limit = "limit", limit
    assert (
        await quick_session(monitor).upload_task(server.url("/in"), source, method="PUT").wait()
    ).succeeded
    assert bool(farm.whole) is whole


# ---- where to


@pytest.mark.parametrize(("method", "target"), [("PUT", "/in/film.mp4?a=1"), ("POST", "/in/?a=1")])
@pytest.mark.parametrize("announce", ["accept", "none"])
async def test_the_name_of_a_file_is_put_behind_the_slash_of_a_folder(
    monitor: Monitor,
    farm: UploadServer,
    server: ByteServer,
    source: Path,
    method: str,
    target: str,
    announce: str,
):
    farm.announce = announce
    task = quick_session(monitor).upload_task(
        server.url("/in/?a=1"), source, method=method, into_folder=True
    )
    assert (await task.wait()).succeeded
    assert {path for said, path, _ in farm.said if said == method} == {target}


async def test_a_name_is_coded(
    monitor: Monitor, farm: UploadServer, server: ByteServer, tmp_path: Path
):
    for name in ("ä b#?%.bin", os.fsdecode(b"caf\xe9.bin"), "a&b=c.bin"):
        (tmp_path / name).write_bytes(b"x")
        task = quick_session(monitor).upload_task(
            server.url("/in/"), tmp_path / name, method="PUT", into_folder=True
        )
        assert (await task.wait()).succeeded
    assert [path for _, path, _ in farm.said] == [
        "/in/%C3%A4%20b%23%3F%25.bin",
        "/in/caf%E9.bin",
        "/in/a%26b%3Dc.bin",
    ]


async def test_the_library_sends_to_the_address_that_it_is_given(
    monitor: Monitor, farm: UploadServer, server: ByteServer, tmp_path: Path
):
    (tmp_path / "a").write_bytes(b"x")
    assert (
        await quick_session(monitor)
        .upload_task(server.url("/in/"), tmp_path / "a", method="PUT")
        .wait()
    ).succeeded
    assert farm.said == [("PUT", "/in/", "")]


def secure(farm: UploadServer) -> ByteServer:
    return ByteServer(farm, tls=True, reads_bodies=False)


async def test_an_http_location_under_https_is_the_same_server(
    monitor: Monitor, source: Path, body: bytes, **_: Any
):
    from transfermon.wire import transport

    farm = UploadServer()
    with secure(farm) as server:
        monitor._engine.transport = transport.Transport(tls_context=ByteServer.client_context())
        farm.location = lambda path: f"http://127.0.0.1:{server.port}{path}"
        headers = {"Authorization": "Bearer 1"}
        task = quick_session(monitor).upload_task(
            server.url("/in"), source, method="PUT", request_headers=headers
        )
        record = await task.wait()
        assert record.succeeded, record.error
        farm.location = lambda path: f"http://127.0.0.1{path}"
        assert (
            await quick_session(monitor, "b")
            .upload_task(server.url("/in"), source, method="PUT")
            .wait()
        ).succeeded
    assert farm.stored == [body] * 2
    assert {one.header("Authorization") for one in farm.heads[:3]} == {"Bearer 1"}


async def test_a_way_out_of_encryption_is_refused(monitor: Monitor, source: Path):
    from transfermon.wire import transport

    farm = UploadServer(location=lambda path: f"http://other.localhost:1{path}")
    with secure(farm) as server:
        monitor._engine.transport = transport.Transport(tls_context=ByteServer.client_context())
        record = (
            await quick_session(monitor).upload_task(server.url("/in"), source, method="PUT").wait()
        )
    assert code_of(record) == -1022
    assert "http://other.localhost:1" in record.error.message  # type: ignore[union-attr]
