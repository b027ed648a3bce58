"""One file from several addresses: all are used at once, and what they have is never mixed."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, reply
from tests.helpers.recorder import eventually, recorder_of
from tests.helpers.sessions import default_session, quick_session
from tests.helpers.shared_file import M, SharedFile
from transfermon.engine.monitor import Monitor, Session, TransferTask
from transfermon.http import mirrors
from transfermon.http.cookies import Cookie
from transfermon.http.segments import SEAM
from transfermon.model.events import DownloadResumedEvent, MirrorDroppedEvent
from transfermon.model.ranges import NOBODY
from transfermon.model.request_options import RequestOptions
from transfermon.model.task import Activity, State

pytestmark = pytest.mark.anyio
OLD, NEW = os.urandom(12 * M + 17), os.urandom(12 * M + 17)
TAG = '"of-the-mirror"'
Serve = Callable[..., ByteServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[ByteServer] = []

    def start(handler: Callable[[Conn, Request], None]) -> ByteServer:
        servers.append(ByteServer(handler))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def at_mirror(body: bytes = OLD, **more: Any) -> SharedFile:
    """The file as a mirror has it, under a tag of its own; it waits for nothing."""
    file = SharedFile(body, etag=TAG, **more)
    file.go.set()
    return file


def fetch(
    session: Session,
    first: ByteServer,
    *others: ByteServer,
    folder: Path,
    count: int = 2,
    digest: bool = True,
    **more: Any,
) -> TransferTask:
    return session.download_task(
        first.url("/a.bin"),
        destination=f"{folder}/",
        options=RequestOptions(
            connections=count,
            mirrors=tuple(other.url("/pub/a.bin") for other in others),
            mirrors_are_the_same=not digest,
            **more.pop("options", {}),
        ),
        expected_digest=f"sha-256:{hashlib.sha256(OLD).hexdigest()}" if digest else None,
        **more,
    )


async def ended(task: TransferTask, folder: Path) -> None:
    """With the file of the first address, and nothing else in its folder."""
    await eventually(lambda: task.record.state is State.COMPLETED)
    await task.wait()  # everybody was told
    assert task.record.error is None, task.record.error
    assert os.listdir(folder) == ["a.bin"]
    assert (folder / "a.bin").read_bytes() == OLD, "a mix"
    assert task.record.ranges == ()


def dropped(monitor: Monitor) -> list[str]:
    """Why mirrors were left out."""
    told = recorder_of(monitor).events
    return [event.reason for event in told if isinstance(event, MirrorDroppedEvent)]


def resumed(monitor: Monitor) -> list[DownloadResumedEvent]:
    told = recorder_of(monitor).events
    return [event for event in told if isinstance(event, DownloadResumedEvent)]


def gone(conn: Conn, request: Request) -> None:
    conn.send(reply(404, {}, b"not here"))


# ---- both are used


@pytest.mark.parametrize("digest", [True, False])
async def test_the_first_address_and_its_mirror_bring_one_file(
    monitor: Monitor, session: Session, serve: Serve, folder: Path, digest: bool
):
    first, mirror, most = SharedFile(OLD, after=1000), at_mirror(), [0]
    task = fetch(session, serve(first), server := serve(mirror), folder=folder, digest=digest)

    def look() -> bool:
        progress = monitor.overview.progress(task.key)
        if progress is not None and progress.shared is not None:
            busy = [one.by for one in progress.shared() if one.by != NOBODY]
            most[0] = max(most[0], len(busy))
        return mirror.sent >= 6 * M

    await eventually(look)
    first.go.set()
    await ended(task, folder)
    assert first.plain == 1
    assert mirror.plain == 0
    assert 1 <= most[0] <= 2  # the sum is that of one address
    assert (task.record.restarts, task.record.wasted) == (0, 0)
    assert task.record.evidence.mirrored
    # bytes that were there are compared before any of its own count; its tag is its own
    begin, end = mirror.ranges[0]
    assert 0 < end - begin <= SEAM <= end <= first.first
    assert mirror.conditions[0] == ""
    assert set(mirror.conditions[1:]) == {TAG}
    assert {request.target for request in server.requests} == {"/pub/a.bin"}
    assert dropped(monitor) == []


async def test_the_connections_to_each_host_are_counted_for_it(
    monitor: Monitor, serve: Serve, folder: Path
):
    """One to a host, and yet two for the file."""
    session = quick_session(monitor, http_maximum_connections_per_host=1)
    first, mirror = SharedFile(OLD, after=1000), at_mirror()
    task = fetch(session, serve(first), serve(mirror), folder=folder, count=4)
    await eventually(lambda: mirror.sent >= 6 * M)
    first.go.set()
    await ended(task, folder)
    assert first.ranges == []


async def test_a_mirror_is_used_where_nobody_gave_a_number(
    session: Session, serve: Serve, folder: Path
):
    first, mirror = SharedFile(OLD, after=1000), at_mirror()
    task = fetch(session, serve(first), serve(mirror), folder=folder, count=-1)
    await eventually(lambda: mirror.sent >= 6 * M)
    first.go.set()
    await ended(task, folder)


async def test_a_mirror_may_redirect(session: Session, serve: Serve, folder: Path):
    first, mirror = SharedFile(OLD, after=1000), at_mirror()
    target = serve(mirror).url("/deep/a.bin")
    asked: list[str] = []

    def redirect(conn: Conn, request: Request) -> None:
        asked.append(request.target)
        conn.send(reply(302, {"Location": target}))

    task = fetch(session, serve(first), serve(redirect), folder=folder)
    await eventually(lambda: mirror.sent >= 6 * M)
    first.go.set()
    await ended(task, folder)
    assert len(asked) == 1  # where it led is asked from then on


class WithCookie(SharedFile):
    def fields(self) -> dict[str, str]:
        return {**super().fields(), "Set-Cookie": f"of={self.etag[1:3]}; Path=/"}


async def test_nothing_that_belongs_to_the_request_goes_to_a_mirror(
    monitor: Monitor, serve: Serve, folder: Path
):
    """Both are at 127.0.0.1, at ports of their own: another origin."""
    session = quick_session(monitor)
    first, mirror = WithCookie(OLD, after=1000), WithCookie(OLD, etag=TAG)
    server, other = serve(first), serve(mirror)
    task = session.download_task(
        server.url("/a.bin"),
        destination=f"{folder}/",
        request_headers={
            "Authorization": "Basic c2VjcmV0",
            "X-Key": "secret",
            "Cookie": "k=secret",
        },
        cookies=[Cookie(name="c", value="secret", domain="127.0.0.1")],
        options=RequestOptions(
            connections=2,
            mirrors=(other.url("/a.bin"),),
            mirrors_are_the_same=True,
            send_along=("x-key",),
        ),
    )
    await eventually(lambda: mirror.sent >= 6 * M)
    first.go.set()
    await ended(task, folder)
    assert len(other.requests) >= 2
    for request in other.requests:
        assert b"secret" not in request.raw
        assert not {"authorization", "cookie", "x-key"} & {
            name.lower() for name, _ in request.headers
        }
    for request in server.requests:
        assert request.header("X-Key") == "secret"
        assert "of=of" not in request.header("Cookie")


# ---- it has another file


@pytest.mark.parametrize(
    ("body", "reason"), [(OLD[:-1], mirrors.OTHER_SIZE), (NEW, mirrors.OTHER_BYTES)]
)
async def test_a_mirror_that_is_seen_to_have_another_file_brings_nothing(
    monitor: Monitor, session: Session, serve: Serve, folder: Path, body: bytes, reason: str
):
    first, mirror = SharedFile(OLD, after=1000), at_mirror(body)
    task = fetch(session, serve(first), serve(mirror), folder=folder, digest=False)
    await eventually(lambda: bool(dropped(monitor)))
    first.go.set()
    await ended(task, folder)
    assert dropped(monitor) == [reason]
    assert len(mirror.ranges) == 1
    assert (first.plain, task.record.restarts) == (1, 0)
    assert not task.record.evidence.mirrored


async def test_where_two_addresses_meet_it_is_seen_that_they_differ(
    monitor: Monitor, session: Session, serve: Serve, folder: Path
):
    first, mirror = SharedFile(OLD, after=1000), at_mirror(OLD[: 2 * M] + NEW[2 * M :])
    task = fetch(session, serve(first), serve(mirror), folder=folder, digest=False)
    await eventually(lambda: mirror.sent >= 5 * M)
    first.go.set()
    await ended(task, folder)
    assert [event.reason for event in resumed(monitor)] == [mirrors.DIFFER]
    assert (first.plain, task.record.restarts) == (2, 1)
    assert not task.record.evidence.mirrored


async def test_a_difference_that_only_the_checksum_sees_starts_over_from_the_first_address_alone(
    monitor: Monitor, session: Session, serve: Serve, folder: Path
):
    at = 11 * M
    first = SharedFile(OLD, after=1000)
    mirror = at_mirror(OLD[:at] + bytes([OLD[at] ^ 1]) + OLD[at + 1 :])
    task = fetch(session, serve(first), serve(mirror), folder=folder)
    await eventually(lambda: mirror.sent >= 6 * M)
    first.go.set()
    await eventually(lambda: first.plain == 2)
    asked = len(mirror.ranges)
    await ended(task, folder)
    (event,) = resumed(monitor)
    assert event.file_offset == 0
    assert "sha-256 of the file is not the expected one" in event.reason
    assert "A mirror has another file" in event.reason
    assert (first.plain, task.record.restarts) == (2, 1)
    assert len(mirror.ranges) == asked  # nobody asks it any more


async def test_a_mirror_whose_file_changes_is_left_out(
    monitor: Monitor, session: Session, serve: Serve, folder: Path
):
    def ranged(conn: Conn, request: Request, start: int, end: int, number: int) -> bool:
        if number > 1:
            mirror.etag, mirror.body = '"another"', NEW
        return False

    first, mirror = SharedFile(OLD, after=1000), at_mirror(ranged=ranged)
    task = fetch(session, serve(first), serve(mirror), folder=folder)
    await eventually(lambda: bool(dropped(monitor)))
    first.go.set()
    await ended(task, folder)
    assert dropped(monitor) == [mirrors.NEW_VERSION]
    assert (first.plain, task.record.restarts) == (1, 0)


# ---- it does not answer


def login(conn: Conn, request: Request) -> None:
    conn.send(reply(401, {"WWW-Authenticate": 'Basic realm="x"'}))


def whole(conn: Conn, request: Request) -> None:
    conn.send(reply(200, {"ETag": TAG, "Content-Length": str(len(OLD))}))
    conn.close()


def no_tag(conn: Conn, request: Request) -> None:
    SharedFile(OLD, etag="")(conn, request)


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (login, "asks for a login"),
        (gone, "answers 404"),
        (whole, "whole files only"),
        (no_tag, "no strong entity tag"),
        (lambda conn, request: conn.reset(), ""),
    ],
)
async def test_a_mirror_that_is_of_no_use_is_left_out_with_its_reason(
    monitor: Monitor,
    session: Session,
    serve: Serve,
    folder: Path,
    handler: Callable[[Conn, Request], None],
    words: str,
):
    first, good = SharedFile(OLD, after=1000), at_mirror()
    task = fetch(session, serve(first), serve(handler), serve(good), folder=folder, count=3)
    await eventually(lambda: bool(dropped(monitor)) and task.count_of_bytes_received >= 8 * M)
    first.go.set()
    await ended(task, folder)
    (reason,) = dropped(monitor)
    assert words in reason
    assert (first.plain, task.record.restarts) == (1, 0)


async def test_a_mirror_that_dies_in_the_middle_leaves_its_rest_to_the_others(
    monitor: Monitor, session: Session, serve: Serve, folder: Path
):
    def ranged(conn: Conn, request: Request, start: int, end: int, number: int) -> bool:
        if number == 2:
            mirror.part(conn, start, end, most=2 * M)
        elif number > 2:
            conn.reset()
        return number > 1

    first, mirror = SharedFile(OLD, after=1000), at_mirror(ranged=ranged)
    task = fetch(session, serve(first), serve(mirror), folder=folder)
    await eventually(lambda: len(mirror.ranges) >= 2 and task.count_of_bytes_received >= 3 * M)
    first.go.set()
    await ended(task, folder)
    assert (task.record.restarts, task.record.wasted) == (0, 0)


# ---- the first address does not answer


class Dying(SharedFile):
    """The first bytes, and then nothing any more."""

    def __init__(self, after_that: Callable[[Conn, Request], None]) -> None:
        super().__init__(OLD, after=1000)
        self.after_that = after_that
        self.dead = threading.Event()

    def __call__(self, conn: Conn, request: Request) -> None:
        if self.dead.is_set() or request.header("Range"):
            self.after_that(conn, request)
            return
        self.plain += 1
        conn.send(reply(200, {**self.fields(), "Content-Length": str(len(OLD))}) + OLD[:M])
        while not self.dead.wait(0.02) and not conn.server.stopping.is_set():
            pass
        conn.reset()


def hangs_up(conn: Conn, request: Request) -> None:
    conn.reset()


@pytest.mark.parametrize("after_that", [gone, hangs_up])
@pytest.mark.parametrize("count", [1, 2])
async def test_a_mirror_finishes_what_the_first_address_began(
    monitor: Monitor,
    serve: Serve,
    folder: Path,
    after_that: Callable[[Conn, Request], None],
    count: int,
):
    session = default_session(monitor)  # which tries nothing twice
    first, mirror = Dying(after_that), at_mirror()
    task = fetch(session, serve(first), serve(mirror), folder=folder, count=count)
    least = M if count == 1 else 6 * M
    await eventually(lambda: task.count_of_bytes_received >= least)
    first.dead.set()
    await ended(task, folder)
    assert first.plain == 1
    assert mirror.plain == 0
    assert task.record.response is not None
    assert task.record.response.status in (200, 206)
    assert task.record.current_url == task.record.url


async def test_a_mirror_whose_connection_breaks_is_asked_again(
    monitor: Monitor, serve: Serve, folder: Path
):
    def ranged(conn: Conn, request: Request, start: int, end: int, number: int) -> bool:
        mirror.part(conn, start, end, most=5 * M)
        return True

    first, mirror = Dying(gone), at_mirror(ranged=ranged)
    task = fetch(default_session(monitor), serve(first), serve(mirror), folder=folder, count=1)
    await eventually(lambda: task.count_of_bytes_received >= M)
    first.dead.set()
    await ended(task, folder)
    assert dropped(monitor) == []


async def test_a_mirror_finishes_what_was_stored_before_the_first_address_was_gone(
    monitor: Monitor, session: Session, serve: Serve, folder: Path
):
    first, mirror = Dying(gone), at_mirror()
    task = fetch(session, serve(first), serve(mirror), folder=folder, count=1)
    await eventually(lambda: task.count_of_bytes_received >= M)
    task.suspend()
    await eventually(lambda: task.record.state is State.SUSPENDED and task.record.received >= M)
    first.dead.set()
    task.resume()
    await ended(task, folder)
    (event,) = resumed(monitor)
    assert (event.file_offset, event.reason) == (M, mirrors.GOES_ON)
    assert mirror.ranges[0] == (M - SEAM, M)


async def test_a_mirror_that_brings_the_rest_alone_is_not_ended_for_a_task_that_waits(
    monitor: Monitor, serve: Serve, folder: Path
):
    def ranged(conn: Conn, request: Request, start: int, end: int, number: int) -> bool:
        if number == 1:  # it shows what it has
            return False
        head = {**mirror.fields(), "Content-Range": f"bytes {start}-{end - 1}/{len(OLD)}"}
        head["Content-Length"] = str(end - start)
        mirror.give(conn, reply(206, head), OLD[start : start + M])
        while not mirror.go.wait(0.05) and not conn.server.stopping.is_set():
            pass
        mirror.give(conn, b"", OLD[start + M : end])
        return True

    session = default_session(monitor, http_maximum_connections_per_host=1)
    first, mirror = Dying(gone), SharedFile(OLD, etag=TAG, after=1000, ranged=ranged)
    at = serve(mirror)
    task = fetch(session, serve(first), at, folder=folder, count=1)
    await eventually(lambda: task.count_of_bytes_received >= M)
    first.dead.set()
    await eventually(lambda: task.count_of_bytes_received > M)
    other = session.download_task(at.url("/b.bin"), destination=f"{folder}/b.bin")
    await eventually(lambda: other.record.activity is Activity.QUEUED)
    mirror.go.set()
    await eventually(lambda: task.record.state is State.COMPLETED is other.record.state)
    assert (task.record.error, other.record.error) == (None, None)
    assert (folder / "a.bin").read_bytes() == (folder / "b.bin").read_bytes() == OLD
    assert len(mirror.ranges) == 2


@pytest.mark.parametrize("size", [0, 1000, 12 * M + 17])
async def test_a_mirror_brings_all_of_it_where_the_first_address_has_nothing(
    monitor: Monitor, serve: Serve, folder: Path, size: int
):
    session, mirror = default_session(monitor), at_mirror(OLD[:size])
    other = serve(mirror)
    task = session.download_task(
        serve(gone).url("/a.bin"),
        destination=f"{folder}/",
        request_headers={"X-Key": "secret"},
        options=RequestOptions(mirrors=(other.url("/a.bin"),), mirrors_are_the_same=True),
    )
    await eventually(lambda: task.record.state is State.COMPLETED)
    assert task.record.error is None, task.record.error
    assert (folder / "a.bin").read_bytes() == OLD[:size]
    assert mirror.plain == 1
    assert all(not request.header("X-Key") for request in other.requests)
    assert task.record.current_url in ("", task.record.url)


async def test_where_no_mirror_has_it_the_first_address_s_failure_stays(
    monitor: Monitor, serve: Serve, folder: Path
):
    session = default_session(monitor)
    task = fetch(session, serve(gone), serve(login), folder=folder)
    await eventually(lambda: task.record.state is State.COMPLETED)
    assert task.record.error is not None
    assert task.record.error.status == 404
    await task.wait()
    assert dropped(monitor) == ["It asks for a login."]
    assert os.listdir(folder) == []


# ---- what may be asked for


async def test_mirrors_without_a_checksum_or_a_word_are_refused(
    session: Session, serve: Serve, folder: Path
):
    server = serve(gone)
    with pytest.raises(ValueError, match=r"^Mirrors are used with a SHA-256 checksum"):
        session.download_task(
            server.url("/a"), options=RequestOptions(mirrors=("http://m.example/a",))
        )


async def test_a_mirror_that_is_the_address_itself_is_none(
    session: Session, serve: Serve, folder: Path
):
    file = SharedFile(OLD)
    file.go.set()
    url = serve(file).url("/a.bin")
    task = session.download_task(
        url, destination=f"{folder}/", options=RequestOptions(mirrors=(f"{url}#top",))
    )
    assert task.record.options.mirrors == ()
    await ended(task, folder)
