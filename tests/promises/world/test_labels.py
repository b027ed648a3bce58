"""Answers under a Content-Encoding: the file that was meant, whatever the label says, or the bytes
as they came.
"""

from __future__ import annotations

import functools
import gzip
import io
import os
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import brotli
import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, chunked, reply
from tests.helpers.owners import Place
from tests.helpers.recorder import LIMIT, eventually
from tests.helpers.sessions import always, parts_in, quick_session
from transfermon.engine.monitor import Monitor, Session
from transfermon.model.errors import Code, TransferFailure
from transfermon.model.task import UNKNOWN, Progress
from transfermon.wire.call import Call
from transfermon.wire.codings import zstd
from transfermon.wire.transport import Transport

pytestmark = pytest.mark.anyio
TEXT = b"".join(b"line %d of a text\n" % n for n in range(50_000))
packed = functools.partial(gzip.compress, mtime=0)  # the same bytes in every process
ZIP = b"PK\x03\x04" + os.urandom(400_000)


def tar_gz() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("folder/file"), io.BytesIO())
        info = tarfile.TarInfo("folder/other")
        info.size = len(ZIP)
        tar.addfile(info, io.BytesIO(ZIP))
    return out.getvalue()


TAR_GZ = tar_gz()


async def saved(
    session: Session, server: ByteServer, path: str, destination: str | None = None
) -> bytes:
    record = await session.download_task(server.url(path), destination=destination).wait()
    assert record.succeeded, record.error
    return Path(record.final_path).read_bytes()


@pytest.mark.parametrize(
    "label", ["aws-chunked", "none", "binary", "UTF-8", "8bit", "identity, aws-chunked"]
)
@pytest.mark.parametrize("body", [b"", bytes(range(256)) * 20, ZIP])
async def test_a_label_that_is_no_coding_changes_nothing(
    session: Session, server: ByteServer, resource, downloads: Path, label: str, body: bytes
):
    resource.before = always(reply(200, {"Content-Encoding": label, "ETag": '"v1"'}, body))
    record = await session.download_task(server.url("/a.csv")).wait()
    assert (downloads / "a.csv").read_bytes() == body
    assert (record.remark, record.not_resumable) == ("", "")


async def test_a_file_under_a_label_that_is_none_goes_on_where_it_stopped(
    session: Session, server: ByteServer, resource, downloads: Path
):
    resource.headers["Content-Encoding"] = "aws-chunked"
    resource.cut_after = len(resource.body) * 2 // 3
    assert await saved(session, server, "/a.bin") == resource.body
    assert server.requests[1].header("Range")


@pytest.mark.parametrize(
    ("label", "body", "path", "kind", "stored"),
    [
        ("gzip", packed(ZIP), "/f.zip", "application/zip", ZIP),
        ("gzip", ZIP, "/f.zip", "application/zip", ZIP),
        ("gzip", TEXT, "/f.csv", "text/csv", TEXT),
        ("x-gzip", TAR_GZ, "/f.tar.gz", "", TAR_GZ),
        ("gzip", TAR_GZ, "/f.tar.gz", "application/octet-stream", TAR_GZ),
        ("gzip", packed(TAR_GZ), "/f.tar.gz", "application/gzip", TAR_GZ),
        ("gzip, gzip", packed(TEXT), "/f.txt", "", TEXT),
        ("br", brotli.compress(TEXT, quality=5), "/f.txt", "text/plain", TEXT),
        ("zstd", zstd().compress(TEXT), "/f.txt", "text/plain", TEXT),
        ("br", ZIP, "/f.zip", "", ZIP),
        ("zstd", b"{}", "/f.json", "application/json", b"{}"),
        ("zstd", zstd().compress(TEXT), "/f.tar.zst", "", zstd().compress(TEXT)),
        ("compress", b"\x1f\x9d\x90" + ZIP, "/f.Z", "", b"\x1f\x9d\x90" + ZIP),
    ],
)
@pytest.mark.parametrize("framing", ["length", "chunks", "close"])
@pytest.mark.parametrize("named", ["", "mine"])
async def test_the_bytes_and_the_server_s_name_decide(
    session: Session,
    server: ByteServer,
    resource,
    tmp_path,
    label,
    body,
    path,
    kind,
    stored,
    framing,
    named,
):
    def send(conn: Conn, request: Request) -> bool:
        assert request.header("Accept-Encoding") == "identity"
        fields = {"Content-Encoding": label, **({"Content-Type": kind} if kind else {})}
        if framing == "length":
            conn.send(reply(200, fields, body))
        elif framing == "chunks":
            pieces = [body[at : at + 999] for at in range(0, len(body), 999)]
            conn.send(reply(200, {**fields, "Transfer-Encoding": "chunked"}, chunked(pieces)))
        else:
            conn.send(reply(200, {**fields, "Transfer-Encoding": "identity"}, body))
            conn.close()
        return True

    resource.before = send
    place = str(tmp_path / named) if named else None
    assert await saved(session, server, path, place) == stored


@pytest.mark.parametrize("label", ["gzip, br", "compress", "exi", "dcb"])
async def test_what_cannot_be_undone_is_stored_and_said(label: str, place: Place):
    with ByteServer(always_sends(reply(200, {"Content-Encoding": label}, ZIP))) as server:
        code, out, _ = place.run("get", "-d", str(place.out), server.url("/f.txt"))
    assert code == 0
    assert f"still coded as “{label}”" in out
    assert (place.out / "f.txt").read_bytes() == ZIP


def always_sends(answer: bytes) -> Callable[[Conn, Request], None]:
    return lambda conn, request: conn.send(answer)


@pytest.mark.parametrize("label", ["br", "zstd"])
async def test_a_bomb_under_another_label_stops_at_the_limit(
    monitor: Monitor, server: ByteServer, resource, downloads: Path, label: str
):
    bomb = (brotli.compress if label == "br" else zstd().compress)(bytes(50_000_000))
    resource.before = always(reply(200, {"Content-Encoding": label}, bomb))
    limited = quick_session(monitor, "com.example.limited", maximum_bytes=1_000_000)
    record = await limited.download_task(server.url("/a.txt")).wait()
    assert record.error is not None
    assert record.error.reason == "pol.too-big"
    assert sum(part.stat().st_size for part in parts_in(downloads)) <= 1_000_000
    with pytest.raises(TransferFailure) as caught:
        await monitor.read(server.url("/a.txt"), limit=1_000_000)
    assert caught.value.code == Code.DATA_TOO_LARGE


@pytest.mark.parametrize(
    ("label", "body", "read"),
    [
        ("utf-8", TEXT, TEXT),
        ("gzip", TEXT, TEXT),
        ("gzip", packed(TEXT), TEXT),
        ("br", brotli.compress(b'{"a": 1}', quality=1), b'{"a": 1}'),
        ("zstd", zstd().compress(TEXT), TEXT),
    ],
)
async def test_an_answer_in_memory_is_read_by_the_same_rule(
    monitor: Monitor, server: ByteServer, resource, label: str, body: bytes, read: bytes
):
    resource.before = always(
        reply(200, {"Content-Encoding": label, "Content-Type": "application/json"}, body)
    )
    assert await monitor.read(server.url("/a"), limit=10_000_000) == read


async def test_a_coded_answer_tells_no_fraction_before_its_end(
    session: Session, server: ByteServer, resource, recorder, downloads: Path
):
    coded, gate = packed(TEXT), threading.Event()

    def in_two_pieces(conn: Conn, request: Request) -> bool:
        head = {"Content-Encoding": "gzip", "Content-Length": str(len(coded))}
        conn.send(reply(200, {**head, "Content-Type": "text/plain"}) + coded[: len(coded) // 2])
        gate.wait(LIMIT)
        conn.send(coded[len(coded) // 2 :])
        return True

    resource.before = in_two_pieces
    task = session.download_task(server.url("/a.txt"))
    await eventually(
        lambda: any(e.total_bytes_written for e in recorder.of("downloadprogress", task)),
        "the first half to be told of",
    )
    assert all(
        event.fraction is None and event.total_bytes_expected_to_write in (0, UNKNOWN)
        for event in recorder.of("downloadprogress", task)
    )
    gate.set()
    assert (await task.wait()).succeeded
    last = recorder.of("downloadprogress", task)[-1]
    assert last.total_bytes_written == last.total_bytes_expected_to_write == len(TEXT)


@pytest.mark.parametrize("label", ["gzip", "x-gzip"])
async def test_an_archive_that_is_only_labelled_goes_on_where_it_stopped(
    session: Session, server: ByteServer, resource, downloads: Path, label: str
):
    resource.body = TAR_GZ
    resource.headers["Content-Encoding"] = label
    resource.cut_after = len(TAR_GZ) * 2 // 3
    assert await saved(session, server, "/a.tar.gz") == TAR_GZ
    assert server.requests[1].header("Range")


@pytest.mark.parametrize("label", ["aws-chunked", "gzip", "zstd"])
async def test_a_large_file_that_is_only_labelled_still_goes_past_the_parser(
    label: str, tmp_path: Path
):
    transport = Transport()
    with ByteServer(always_sends(reply(200, {"Content-Encoding": label}, ZIP))) as server:
        answer = await transport.open(Call(url=server.url("/f.zip")))
        assert (await answer.judged("f.zip")).undo == ""
        with (tmp_path / "part").open("w+b") as file:
            assert await answer.receive(file.fileno(), 0, Progress()) == len(ZIP)
            assert answer.taken_over
            assert file.read() == ZIP
        await answer.aclose()
    await transport.aclose()
