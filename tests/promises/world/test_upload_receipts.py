"""Nothing is called sent that is not: what answers prove, in bytes, and what row, command and exit
code say.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, chunked, reply
from tests.helpers.owners import Place
from tests.helpers.recorder import Recorder, eventually
from tests.helpers.sessions import quick_session
from tests.helpers.upload_server import Kept, UploadServer, serving
from tests.promises.rules.conftest import OpenMonitor
from transfermon.engine.monitor import Monitor
from transfermon.http.upload_protocols.pieces import MIB
from transfermon.model.task import Task
from transfermon.text.humanize import status

pytestmark = pytest.mark.anyio
SIZE = 3_000_000
BODY = os.urandom(SIZE)
OLD = "Mon, 01 Jan 2024 00:00:00 GMT"
BOTH = pytest.mark.parametrize("protocol", ["ietf", "tus"])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "film.mp4").write_bytes(BODY)
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


def reason(record: Task) -> str:
    assert record.error is not None, record
    return record.error.reason


# ---- resumable: complete is what is said to be, and no more than that


async def test_half_an_upload_is_no_upload(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path
):
    """The last append is answered as if it had been another one, with half the file."""
    lost = [True]

    def forgets_half(conn: Conn, request: Request) -> None:
        if request.method == "PATCH" and lost:
            lost.clear()
            kept = farm.uploads[request.target]
            kept.body += conn.read_body(request)
            del kept.body[SIZE // 2 :]
            conn.send(reply(204, {"Upload-Complete": "?0", "Upload-Offset": str(SIZE // 2)}))
        else:
            farm(conn, request)

    server.handler = forgets_half
    record = (
        await quick_session(monitor).upload_task(server.url("/in"), source, method="PUT").wait()
    )
    assert record.succeeded
    assert farm.stored == [BODY]


@BOTH
async def test_a_server_that_keeps_half_for_ever_is_a_failure(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path, protocol: str
):
    def half(conn: Conn, request: Request) -> None:
        if request.method == "PATCH":
            conn.read_body(request)
            conn.send(reply(204, {"Upload-Complete": "?0", "Upload-Offset": str(SIZE // 2)}))
        else:
            farm(conn, request)

    server.handler = half
    task = quick_session(monitor).upload_task(
        server.url("/in"), source, method="PUT", protocol=protocol
    )
    assert reason(await task.wait()) == "srv.offset"
    server.handler = farm
    monitor.commands.retry(task.key)  # with another resource
    assert (await task.wait()).succeeded
    assert farm.stored == [BODY]


def _after_all(conn: Conn, request: Request, fields: dict[str, str]) -> None:
    conn.read_body(request)
    conn.send(reply(200, fields, b"ok"))


@pytest.mark.parametrize(
    ("fields", "head", "state"),
    [
        ({"Upload-Complete": "?1"}, {}, "done"),
        ({"Upload-Incomplete": "?0"}, {}, "done"),  # the other version's field
        ({"Upload-Offset": str(SIZE)}, {}, "done"),
        ({}, {"Upload-Offset": str(SIZE)}, "done"),
        ({}, {"Upload-Offset": str(SIZE), "Upload-Complete": "?1"}, "done"),
        ({}, {}, "unsure"),
        ({"Upload-Complete": "?1", "Upload-Offset": "5"}, {}, "srv.early-answer"),
        ({}, {"Upload-Offset": "5", "Upload-Complete": "?1"}, "srv.early-answer"),
        ({}, {"Upload-Offset": str(SIZE + 1)}, "srv.offset-beyond"),
        ({"Upload-Offset": str(SIZE + 1)}, {}, "srv.offset-beyond"),
    ],
)
async def test_what_the_draft_calls_complete(
    monitor: Monitor,
    farm: UploadServer,
    server: ByteServer,
    source: Path,
    fields: dict[str, str],
    head: dict[str, str],
    state: str,
):
    def answers(conn: Conn, request: Request) -> None:
        if request.method == "PATCH":
            _after_all(conn, request, fields)
        elif request.method == "HEAD":
            conn.send(reply(200, head))
        else:
            farm(conn, request)

    server.handler = answers
    record = (
        await quick_session(monitor).upload_task(server.url("/in"), source, method="PUT").wait()
    )
    found = (
        reason(record) if record.error is not None else "unsure" if record.unconfirmed else "done"
    )
    assert found == state


@pytest.mark.parametrize(
    ("status_code", "confirmed"), [(404, False), (410, False), (405, False), (200, True)]
)
async def test_a_resource_that_is_gone_after_the_last_byte_confirms_nothing(
    monitor: Monitor,
    farm: UploadServer,
    server: ByteServer,
    source: Path,
    status_code: int,
    confirmed: bool,
):
    def answers(conn: Conn, request: Request) -> None:
        if request.method == "PATCH":
            _after_all(conn, request, {})
        elif request.method == "HEAD":
            conn.send(reply(status_code, {"Upload-Offset": str(SIZE)} if confirmed else {}))
        else:
            farm(conn, request)

    server.handler = answers
    record = (
        await quick_session(monitor).upload_task(server.url("/in"), source, method="PUT").wait()
    )
    assert record.succeeded
    assert (record.unconfirmed == "") is confirmed
    assert status(record, 0) == ("Done" if confirmed else "Sent, not confirmed")


async def test_an_answer_without_an_offset_is_asked_again_by_tus(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path
):
    def shy(conn: Conn, request: Request) -> None:
        if request.method == "PATCH":
            farm.uploads[request.target].body += conn.read_body(request)
            conn.send(reply(204))
        else:
            farm(conn, request)

    server.handler = shy
    task = quick_session(monitor).upload_task(server.url("/in"), source, protocol="tus")
    assert (await task.wait()).succeeded
    assert methods(farm) == ["POST", "HEAD"]


@BOTH
@pytest.mark.parametrize("complete", ["", "?1"])
async def test_a_good_answer_before_the_last_byte_is_never_the_end(
    monitor: Monitor,
    farm: UploadServer,
    server: ByteServer,
    source: Path,
    protocol: str,
    complete: str,
):
    early = [True]

    def hasty(conn: Conn, request: Request) -> None:
        if request.method == "PATCH" and early:
            early.clear()
            farm.uploads[request.target].body += conn.read_some(100_000)
            fields = {"Upload-Complete": complete} if complete else {"Upload-Offset": "100000"}
            conn.send(reply(200, {**fields, "Connection": "close"}))
            conn.close()
        else:
            farm(conn, request)

    with ByteServer(hasty, reads_bodies=False) as server:
        session = quick_session(monitor, speed_limit=1_500_000)
        record = await session.upload_task(
            server.url("/in"), source, method="PUT", protocol=protocol
        ).wait()
    if protocol == "ietf" and complete:
        assert reason(record) == "srv.early-answer"
    else:
        assert record.succeeded, record.error
        assert farm.stored == [BODY]


# ---- an offset that nobody can have


@BOTH
async def test_an_offset_beyond_what_was_given_is_a_failure_and_the_next_try_starts_anew(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path, protocol: str
):
    lies = [True]

    def liar(conn: Conn, request: Request) -> None:
        if request.method == "PATCH" and lies:
            conn.read_some(500_000)
            conn.reset()
        elif request.method == "HEAD" and lies:
            conn.send(
                reply(
                    200,
                    {
                        "Upload-Offset": str(SIZE),
                        "Upload-Length": str(SIZE),
                        "Upload-Complete": "?1",
                    },
                )
            )
        else:
            farm(conn, request)

    with ByteServer(liar, reads_bodies=False) as server:
        session = quick_session(monitor, speed_limit=1_500_000)
        task = session.upload_task(server.url("/in"), source, method="PUT", protocol=protocol)
        record = await task.wait()
        assert reason(record) == "srv.offset-beyond"
        assert str(SIZE) in record.error.message  # type: ignore[union-attr]
        lies.clear()
        monitor.commands.retry(task.key)
        assert (await task.wait()).succeeded
    assert farm.stored == [BODY]
    assert len(farm.uploads) == 2


@BOTH
async def test_after_a_restart_of_the_engine_an_offset_is_still_checked(
    open_monitor: OpenMonitor, farm: UploadServer, source: Path, protocol: str
):
    def liar(conn: Conn, request: Request) -> None:
        if request.method == "PATCH":
            conn.read_some(500_000)
            conn.stall()
        elif request.method == "HEAD":
            conn.send(reply(200, {"Upload-Offset": str(SIZE - 1), "Upload-Length": str(SIZE)}))
        else:
            farm(conn, request)

    with ByteServer(liar, reads_bodies=False) as server:
        async with open_monitor() as monitor:
            session = quick_session(monitor, speed_limit=1_000_000)
            task = session.upload_task(server.url("/in"), source, method="PUT", protocol=protocol)
            await eventually(lambda: task.count_of_bytes_sent > 300_000)
        async with open_monitor() as monitor:
            assert reason(await monitor.handle(task.key).wait()) == "srv.offset-beyond"


# ---- pieces


def proxied(farm: UploadServer, limit: int, *, cuts: int = 0) -> Callable[[Conn, Request], None]:
    """As behind a proxy that takes whole requests of `limit` bytes at the most, and loses those
    that are cut.
    """
    left = [cuts]

    def handle(conn: Conn, request: Request) -> None:
        length = int(request.header("Content-Length", "0"))
        if length > limit:
            conn.send(
                reply(
                    413,
                    {"Connection": "close"},
                    b"<html><head><title>413</title></head><h1>413 Too Large</h1>",
                )
            )
            conn.close()
        elif request.method == "PATCH" and left[0] and length > 2 * MIB:
            left[0] -= 1
            conn.read_some(length // 2)
            conn.reset()
        else:
            farm(conn, request)

    return handle


@BOTH
@pytest.mark.parametrize("limit", [MIB, 2 * MIB + 5, 2_900_000])
async def test_what_is_too_large_at_once_goes_in_pieces(
    monitor: Monitor, farm: UploadServer, source: Path, protocol: str, limit: int
):
    with ByteServer(proxied(farm, limit), reads_bodies=False) as server:
        task = quick_session(monitor).upload_task(
            server.url("/in"), source, method="PUT", protocol=protocol
        )
        record = await task.wait()
    assert record.succeeded, record.error
    assert farm.stored == [BODY]
    sizes = [int(one.header("Content-Length")) for one in farm.heads if one.method == "PATCH"]
    assert max(sizes) == (MIB if limit == MIB else 2 * MIB)


@BOTH
async def test_behind_a_proxy_that_loses_what_is_cut_pieces_get_through(
    monitor: Monitor, farm: UploadServer, source: Path, protocol: str
):
    with ByteServer(proxied(farm, SIZE, cuts=99), reads_bodies=False) as server:
        task = quick_session(monitor).upload_task(
            server.url("/in"), source, method="PUT", protocol=protocol
        )
        record = await task.wait()
    assert record.succeeded, record.error
    assert farm.stored == [BODY]


async def test_a_limit_that_the_413_tells_is_kept(
    monitor: Monitor, farm: UploadServer, server: ByteServer, source: Path
):
    farm.answers["PATCH"] = [
        reply(413, {"Upload-Limit": "max-append-size=700000, min-append-size=600000"})
    ]
    assert (
        await quick_session(monitor).upload_task(server.url("/in"), source, method="PUT").wait()
    ).succeeded
    sizes = [int(one.header("Content-Length")) for one in farm.heads if one.method == "PATCH"]
    assert sizes == [SIZE, *[700_000] * 4, 200_000]
    assert farm.stored == [BODY]


@BOTH
async def test_where_even_the_smallest_piece_is_too_large_the_server_s_words_are_the_end(
    monitor: Monitor, farm: UploadServer, source: Path, protocol: str
):
    with ByteServer(proxied(farm, 500_000), reads_bodies=False) as server:
        task = quick_session(monitor).upload_task(
            server.url("/in"), source, method="PUT", protocol=protocol
        )
        record = await task.wait()
    assert record.error is not None
    assert (record.error.status, record.error.said) == (413, "413 Too Large")


async def test_a_plain_upload_is_never_cut(monitor: Monitor, farm: UploadServer, source: Path):
    farm.announce = "none"
    with ByteServer(proxied(farm, MIB), reads_bodies=False) as server:
        record = (
            await quick_session(monitor).upload_task(server.url("/in"), source, method="PUT").wait()
        )
        assert record.error is not None
        assert (record.error.status, record.error.said) == (413, "413 Too Large")
        puts = [one for one in server.requests if one.method == "PUT"]
    assert [one.header("Content-Length") for one in puts] == [str(SIZE)]
    assert puts[0].header("Content-Range") == ""


# ---- plain


def like_get(
    answer: bytes, head: bytes | None, *, reads: bool = True
) -> Callable[[Conn, Request], None]:
    """A server that answers a PUT with `answer`, and HEAD with `head`."""

    def handle(conn: Conn, request: Request) -> None:
        if request.method == "HEAD":
            if head is None:
                conn.close()
            else:
                conn.send(head)
        elif request.method == "PUT":
            if reads:
                conn.read_body(request)
            conn.send(answer)
            if not reads:
                conn.stall()
        else:
            conn.send(reply(405))

    return handle


def now(offset: float = 0.0) -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + offset))


FILE = reply(
    200, {"Accept-Ranges": "bytes", "Last-Modified": OLD, "Content-Type": "video/mp4"}, b"x" * 100
)
PAGE = reply(200, {"Content-Type": "text/html"}, b"<!doctype html><title>App</title>")
TAGGED = reply(200, {"Accept-Ranges": "bytes", "ETag": f'"{hashlib.md5(BODY).hexdigest()}"'})
SAME = reply(200, {"Content-Length": str(SIZE)})
CHUNKED = reply(200, {"Accept-Ranges": "bytes", "Transfer-Encoding": "chunked"})
PLAIN_CASES = {
    "201": (reply(201), None, "done"),
    "204": (reply(204), None, "done"),
    "200 and nothing": (reply(200), None, "done"),
    "200 and words": (reply(200, {"Content-Type": "text/plain"}, b"thanks"), None, "done"),
    "200 and JSON": (reply(200, {"Content-Type": "application/json"}, b'{"id": 1}'), None, "done"),
    "a file's answer, another length": (
        FILE,
        reply(200, {"Content-Length": "100"}),
        "srv.not-stored",
    ),
    "a file's answer, no HEAD": (FILE, reply(405), "unsure"),
    "a file's answer, HEAD breaks": (FILE, None, "unsure"),
    "a file's answer, coded HEAD": (
        FILE,
        reply(200, {"Content-Length": "9", "Content-Encoding": "gzip"}),
        "unsure",
    ),
    "a file's answer, the right length": (FILE, reply(200, {"Content-Length": str(SIZE)}), "done"),
    "the old file of that length": (
        FILE,
        reply(200, {"Content-Length": str(SIZE), "Last-Modified": OLD, "Date": now()}),
        "srv.not-stored",
    ),
    "another file of that length, shown": (
        reply(200, {"ETag": '"a"', "Accept-Ranges": "bytes"}, BODY[::-1]),
        SAME,
        "srv.not-stored",
    ),
    "another file, shown in pieces": (CHUNKED + chunked([BODY[::-1]]), SAME, "srv.not-stored"),
    "this file, shown": (reply(200, {"ETag": '"a"', "Accept-Ranges": "bytes"}, BODY), SAME, "done"),
    "this file, shown in pieces": (CHUNKED + chunked([BODY]), SAME, "done"),
    "a new file of that length": (
        FILE,
        reply(200, {"Content-Length": str(SIZE), "Last-Modified": now(), "Date": now()}),
        "done",
    ),
    "a page": (PAGE, reply(200, {"Content-Length": "33"}), "srv.not-stored"),
    "a page, no length": (PAGE, reply(200, {"Transfer-Encoding": "chunked"}), "unsure"),
    "206": (
        reply(206, {"Content-Range": "bytes 0-0/5"}, b"a"),
        reply(200, {"Content-Length": "5"}),
        "srv.not-stored",
    ),
    "a storage server's tag, HEAD is not allowed": (TAGGED, reply(403), "done"),
    "another tag, HEAD is not allowed": (
        reply(200, {"Accept-Ranges": "bytes", "ETag": f'"{"0" * 32}"'}),
        reply(403),
        "unsure",
    ),
    "304": (reply(304), None, "srv.http-304"),
}


@pytest.mark.parametrize("case", PLAIN_CASES)
async def test_what_a_plain_answer_proves(
    monitor: Monitor, recorder: Recorder, source: Path, case: str
):
    answer, head, state = PLAIN_CASES[case]
    with ByteServer(like_get(answer, head), reads_bodies=False) as server:
        task = quick_session(monitor).upload_task(
            server.url("/a"), source, method="PUT", protocol="plain"
        )
        record = await task.wait()
    found = (
        reason(record) if record.error is not None else "unsure" if record.unconfirmed else "done"
    )
    assert found == state


@pytest.mark.parametrize(
    "case", ["a file's answer, another length", "a page", "another file of that length, shown"]
)
async def test_a_post_is_not_judged_by_what_is_at_its_address(
    monitor: Monitor, source: Path, case: str
):
    """Its file goes elsewhere: a page is what came of it, and an answer like one to GET leaves it
    open.
    """
    answer, head, _ = PLAIN_CASES[case]
    assert head is not None
    handle = like_get(answer, head)

    def posted(conn: Conn, request: Request) -> None:
        handle(
            conn,
            dataclasses.replace(request, method="PUT") if request.method == "POST" else request,
        )

    with ByteServer(posted, reads_bodies=False) as server:
        record = (
            await quick_session(monitor)
            .upload_task(server.url("/a"), source, protocol="plain")
            .wait()
        )
    assert record.succeeded
    assert (record.unconfirmed == "") is (case == "a page")


async def test_a_good_answer_before_the_last_byte_of_a_plain_upload_is_a_failure(
    monitor: Monitor, tmp_path: Path
):
    (tmp_path / "a").write_bytes(bytes(30_000_000))
    with ByteServer(like_get(FILE, None, reads=False), reads_bodies=False) as server:
        task = quick_session(monitor).upload_task(
            server.url("/a"), tmp_path / "a", method="PUT", protocol="plain"
        )
        record = await task.wait()
    assert reason(record) == "srv.early-answer"
    assert record.sent < 30_000_000


# ---- what row, command and exit code say


def put(place: Place, source: Path, url: str, *words: str) -> tuple[int, str, str]:
    return place.run("put", "--retry", "2", str(source), url, *words)


@pytest.mark.slow
def test_sent_and_not_confirmed_is_neither_done_nor_failed(place: Place, source: Path):
    with ByteServer(like_get(FILE, reply(405)), reads_bodies=False) as server:
        code, out, err = put(place, source, server.url("/a"), "--protocol", "plain")
    assert code == 1
    assert out == ""
    assert "film.mp4: sent, not confirmed." in err
    assert "Sent, not confirmed" in place.run("list")[1]


@pytest.mark.slow
def test_another_place_is_told(place: Place, source: Path):
    moved = like_get(reply(201, {"Location": "/in/film-2.mp4?sig=s3cret"}), None)
    with ByteServer(moved, reads_bodies=False) as server:
        code, out, _ = put(place, source, server.url("/in/"), "--protocol", "plain")
        assert code == 0
        assert f"stored as {server.url('/in/film-2.mp4?sig=…')}" in out
        assert "Done: stored as film-2.mp4" in place.run("list")[1]


@pytest.mark.parametrize("location", ["", "/in/film.mp4", "film.mp4", "/in/fil%6d.mp4"])
def test_the_place_that_was_asked_for_is_no_news(place: Place, source: Path, location: str):
    same = like_get(reply(201, {"Location": location} if location else {}), None)
    with ByteServer(same, reads_bodies=False) as server:
        code, out, _ = put(place, source, server.url("/in/"), "--protocol", "plain")
    assert (code, "stored as" in out) == (0, False)


def test_the_server_s_reason_is_shown_as_plain_text(place: Place, source: Path):
    words = "Quota exceeded: \x1b[31m5 GB\x07 of 5 GB. " + "x" * 400
    refusing = like_get(reply(507, {"Content-Type": "text/plain"}, words.encode()), None)
    with ByteServer(refusing, reads_bodies=False) as server:
        code, _, err = put(place, source, server.url("/a"), "--protocol", "plain")
    assert code == 1
    assert "It says: “Quota exceeded: �[31m5 GB� of 5 GB. xxx" in err
    assert "\x1b" not in err
    assert "x" * 300 not in err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "second", "used"),
    [
        ("tus", "", "tus"),
        ("tus", "plain", "plain"),
        ("plain", "auto", ""),
    ],
)
def test_a_protocol_is_remembered_until_another_is_asked_for(
    place: Place,
    source: Path,
    farm: UploadServer,
    server: ByteServer,
    first: str,
    second: str,
    used: str,
):
    farm.answers = {"POST": [reply(403)], "PUT": [reply(403)]}
    assert put(place, source, server.url("/a"), "--protocol", first)[0] == 1
    farm.answers.clear()
    farm.said.clear()
    assert put(place, source, server.url("/a"), *(["--protocol", second] if second else []))[0] == 0
    assert (
        methods(farm)
        == {"tus": ["POST", "PATCH"], "plain": ["PUT"], "": ["OPTIONS", "PUT", "PATCH"]}[used]
    )


@pytest.mark.slow
@pytest.mark.parametrize(("second", "used"), [("", "POST"), ("PUT", "PUT")])
def test_a_method_is_remembered_until_another_is_asked_for(
    place: Place, source: Path, farm: UploadServer, server: ByteServer, second: str, used: str
):
    farm.answers = {"POST": [reply(403)]}
    plain = ["--protocol", "plain"]
    assert put(place, source, server.url("/a"), *plain, "--method", "POST")[0] == 1
    assert put(place, source, server.url("/a"), *(["--method", second] if second else []))[0] == 0
    assert methods(farm) == ["POST", used]
    assert farm.uploads == {} or isinstance(next(iter(farm.uploads.values())), Kept)
