"""One file by several connections: it is brought whole, and is never made of two versions."""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import nginx
from tests.helpers.byte_server import ByteServer, Conn, Request, reply
from tests.helpers.recorder import eventually, recorder_of
from tests.helpers.sessions import default_session, quick_session
from tests.helpers.shared_file import M, SharedFile
from transfermon.engine import download_segments
from transfermon.engine.monitor import Monitor, Session, TransferTask
from transfermon.model.events import DownloadProgressEvent, DownloadResumedEvent
from transfermon.model.request_options import RequestOptions
from transfermon.model.task import State

pytestmark = pytest.mark.anyio
OLD, NEW = os.urandom(12 * M + 17), os.urandom(12 * M + 17)
DATE, LATER = "Mon, 01 Jun 2026 10:00:00 GMT", "Mon, 01 Jun 2026 10:30:00 GMT"


@pytest.fixture
def serve() -> Iterator[Callable[[SharedFile], str]]:
    servers: list[ByteServer] = []

    def start(file: SharedFile) -> str:
        servers.append(ByteServer(file))
        return servers[-1].url("/a.bin")

    yield start
    for server in servers:
        server.stop()


def fetch(session: Session, url: str, folder: Path, count: int = 4, **more: Any) -> TransferTask:
    return session.download_task(
        url,
        destination=f"{folder}/",
        options=RequestOptions(connections=count),
        **more,
    )


async def ended(task: TransferTask, folder: Path, *bodies: bytes) -> bytes:
    """The file, which is one of these, and the only thing in its folder."""
    await eventually(lambda: task.record.state is State.COMPLETED)
    assert task.record.error is None, task.record.error
    assert os.listdir(folder) == ["a.bin"]
    found = (folder / "a.bin").read_bytes()
    assert len(found) in map(len, bodies)
    assert found in bodies, "a mix"
    assert task.record.ranges == ()
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


async def test_several_connections_bring_one_file(
    monitor: Monitor, session: Session, serve: Callable[[SharedFile], str], folder: Path
):
    file = SharedFile(OLD, after=3)
    task = fetch(session, serve(file), folder, expected_digest=_sha256(OLD))
    await ended(task, folder, OLD)
    assert file.plain == 1
    assert len(file.ranges) >= 3
    assert set(file.conditions) == {'"v1"'}
    assert (task.record.restarts, task.record.wasted) == (0, 0)
    told = [
        event for event in recorder_of(monitor).events if isinstance(event, DownloadProgressEvent)
    ]
    assert sum(event.bytes_written for event in told) == len(OLD)
    assert len(task.record.transactions) >= 1 + len(file.ranges)


def _sha256(body: bytes) -> str:
    return f"sha-256:{hashlib.sha256(body).hexdigest()}"


async def test_a_session_says_how_many_and_a_task_may_say_otherwise(
    monitor: Monitor, serve: Callable[[SharedFile], str], folder: Path
):
    session = quick_session(monitor, connections=3)
    file = SharedFile(OLD, after=2)
    task = fetch(session, url := serve(file), folder, 0)
    await ended(task, folder, OLD)
    asked = len(file.ranges)
    assert asked >= 2
    await fetch(session, url, folder, 1).wait()
    assert (file.plain, len(file.ranges)) == (2, asked)


@pytest.mark.parametrize("number", [-1, 9])
async def test_no_session_has_another_number_of_connections(monitor: Monitor, number: int):
    with pytest.raises(ValueError, match=r"^connections is 1 to 8, or 0 for as many as help"):
        quick_session(monitor, connections=number)


@pytest.mark.parametrize(
    ("etag", "date", "count"),
    [('W/"v1"', DATE, 4), ("", DATE, 4), ("", "", 4), ('"v1"', "", 1)],
)
async def test_one_connection_is_enough_without_a_strong_tag_or_by_choice(
    session: Session,
    serve: Callable[[SharedFile], str],
    folder: Path,
    etag: str,
    date: str,
    count: int,
):
    file = SharedFile(OLD, etag=etag, date=date)
    file.go.set()
    task = fetch(session, serve(file), folder, count)
    await ended(task, folder, OLD)
    assert (file.plain, file.ranges) == (1, [])


async def test_a_small_file_is_brought_by_one_connection(
    session: Session, serve: Callable[[SharedFile], str], folder: Path
):
    file = SharedFile(OLD[: 8 * M - 1])
    file.go.set()
    await ended(fetch(session, serve(file), folder), folder, file.body)
    assert file.ranges == []


def other_tag(file: SharedFile, conn: Conn, start: int, end: int) -> None:
    file.body, file.etag = NEW, '"v2"'
    file.part(conn, start, end)


def other_date(file: SharedFile, conn: Conn, start: int, end: int) -> None:
    file.body, file.date = NEW, LATER
    file.part(conn, start, end)


def other_total(file: SharedFile, conn: Conn, start: int, end: int) -> None:
    file.body = NEW[:-1]
    file.part(conn, start, min(end, len(file.body)))


def whole_new_one(file: SharedFile, conn: Conn, start: int, end: int) -> None:
    file.body, file.etag = NEW, '"v2"'
    file.give(conn, reply(200, {**file.fields(), "Content-Length": str(len(NEW))}), NEW)


@pytest.mark.parametrize("change", [other_tag, other_date, other_total, whole_new_one])
@pytest.mark.parametrize("when", [1, 2])
async def test_a_file_that_changes_between_two_ranges_is_fetched_anew_once(
    monitor: Monitor,
    session: Session,
    serve: Callable[[SharedFile], str],
    folder: Path,
    change: Callable[..., None],
    when: int,
):
    def ranged(conn: Conn, request: Request, start: int, end: int, number: int) -> bool:
        if number == when:
            change(file, conn, start, end)
        return number == when

    file = SharedFile(OLD, date=DATE, ranged=ranged, after=1000)
    task = fetch(session, serve(file), folder)
    await eventually(lambda: file.plain == 2)
    asked = len(file.ranges)
    file.go.set()
    await ended(task, folder, file.body)
    assert file.body is not OLD
    assert task.record.restarts == 1
    assert file.plain == 2
    # by one connection; the server may read late what another one had sent before
    assert len(file.ranges) <= asked + 1
    resumed = [
        event for event in recorder_of(monitor).events if isinstance(event, DownloadResumedEvent)
    ]
    assert [event.file_offset for event in resumed] == [0]


@pytest.mark.parametrize("when", [1, 2, 3])
async def test_bytes_that_differ_where_two_connections_meet_start_over_once(
    session: Session, serve: Callable[[SharedFile], str], folder: Path, when: int
):
    """The server gives another version under the same tag."""
    begun = threading.Event()  # what that one brings is stored: nobody takes it for hardly begun

    def ranged(conn: Conn, request: Request, start: int, end: int, number: int) -> bool:
        while number != when and not begun.wait(0.05):
            if conn.server.stopping.is_set():
                return True
        file.part(conn, start, end, body=NEW if number == when else OLD)
        return True

    file = SharedFile(OLD, ranged=ranged, after=1000)
    task = fetch(session, serve(file), folder)
    await eventually(lambda: task.count_of_bytes_received >= file.first + M)
    begun.set()
    # all but the rest of the first connection is there
    await eventually(lambda: file.plain == 2 or task.count_of_bytes_received >= 9 * M)
    file.go.set()
    await ended(task, folder, OLD)
    assert (task.record.restarts, file.plain) == (1, 2)
    assert task.record.evidence.one_connection


def no_ranges(file: SharedFile, conn: Conn, start: int, end: int) -> None:
    file.give(conn, reply(200, {**file.fields(), "Content-Length": str(len(OLD))}), OLD)


def another_part(file: SharedFile, conn: Conn, start: int, end: int) -> None:
    file.part(conn, start, end, Content_Range=f"bytes {start + 1}-{end}/{len(OLD)}")


def unreadable(file: SharedFile, conn: Conn, start: int, end: int) -> None:
    file.part(conn, start, end, Content_Range="rubbish")


def without_tag(file: SharedFile, conn: Conn, start: int, end: int) -> None:
    file.part(conn, start, end, ETag="")


def busy(file: SharedFile, conn: Conn, start: int, end: int) -> None:
    conn.send(reply(429, {"Retry-After": "1"}, b"too many"))


def unavailable(file: SharedFile, conn: Conn, start: int, end: int) -> None:
    conn.send(reply(503, {}, b"too many"))


def forbidden(file: SharedFile, conn: Conn, start: int, end: int) -> None:
    conn.send(reply(403, {}, b"one is enough"))


@pytest.mark.parametrize(
    "refuse", [no_ranges, another_part, unreadable, without_tag, busy, unavailable, forbidden]
)
@pytest.mark.parametrize("when", [1, 2])
async def test_a_connection_that_is_refused_is_the_last_one_that_is_asked_for(
    session: Session,
    serve: Callable[[SharedFile], str],
    folder: Path,
    refuse: Callable[..., None],
    when: int,
):
    def ranged(conn: Conn, request: Request, start: int, end: int, number: int) -> bool:
        if number < when:
            file.part(conn, start, end)
            return True
        if number == when:
            file.go.set()
            refuse(file, conn, start, end)
        else:  # had been asked for at the same time, or goes on where another one has ended
            file.part(conn, start, end)
        return True

    file = SharedFile(OLD, ranged=ranged, after=1000)
    task = fetch(session, serve(file), folder)
    await ended(task, folder, OLD)
    assert (task.record.restarts, task.record.wasted, file.plain) == (0, 0, 1)
    # those of the same moment, and the rest of the file where the first connection has come to
    # what others had brought
    assert len(file.ranges) <= 3 + when


async def test_half_of_the_connections_are_cut(
    session: Session, serve: Callable[[SharedFile], str], folder: Path
):
    def ranged(conn: Conn, request: Request, start: int, end: int, number: int) -> bool:
        most = (end - start) // 2 if number % 2 and end - start > M else None
        file.part(conn, start, end, most=most)
        return True

    file = SharedFile(OLD, ranged=ranged, after=2)
    task = fetch(session, serve(file), folder)
    await ended(task, folder, OLD)
    assert (task.record.restarts, file.plain) == (0, 1)


async def test_a_connection_that_broke_and_was_refused_again_fails_nothing_that_one_would_bring(
    monitor: Monitor, serve: Callable[[SharedFile], str], folder: Path
):
    """The first one brings its range to the end afterwards."""

    def ranged(conn: Conn, request: Request, start: int, end: int, number: int) -> bool:
        if number == 1:
            file.part(conn, start, end, most=2 * M)
        elif number == 2:
            unavailable(file, conn, start, end)
        else:
            file.part(conn, start, end)
        return True

    session = default_session(monitor)  # which tries nothing twice
    file = SharedFile(OLD, ranged=ranged, after=2)
    task = fetch(session, serve(file), folder, 2)
    await ended(task, folder, OLD)
    assert (task.record.restarts, task.record.wasted, file.plain) == (0, 0, 1)


@pytest.mark.parametrize("other", [False, True])
async def test_what_several_have_brought_is_gone_on_with_and_compared_each_time(
    monitor: Monitor, serve: Callable[[SharedFile], str], folder: Path, other: bool
):
    """The server sends little at a time and refuses more, again and again, and in the end it may
    have another file under the same tag.
    """

    def ranged(conn: Conn, request: Request, start: int, end: int, number: int) -> bool:
        if number in (2, 4):
            unavailable(file, conn, start, end)
        else:
            body = NEW if other and number == 5 else OLD
            file.part(conn, start, min(end, start + 2 * M), body=body)
        return True

    session = default_session(monitor)  # which tries nothing twice
    file = SharedFile(OLD, ranged=ranged, after=2)
    task = fetch(session, serve(file), folder, 2)
    await ended(task, folder, OLD)
    assert (task.record.restarts, file.plain) == ((1, 2) if other else (0, 1))


async def test_an_address_that_expires_is_asked_for_anew_where_it_came_from(
    session: Session, folder: Path
):
    """A redirect leads to one that is good for one request."""
    given, used = list[str](), set[str]()

    def once(conn: Conn, request: Request) -> None:
        if request.target == "/a.bin":
            given.append(f"/{len(given)}/a.bin")
            conn.send(reply(302, {"Location": given[-1]}))
        elif request.target in used:
            conn.send(reply(403, {}, b"it has expired"))
        else:
            used.add(request.target)
            file(conn, request)

    file = SharedFile(OLD, after=2)
    with ByteServer(once) as server:
        task = fetch(session, server.url("/a.bin"), folder, 3)
        await ended(task, folder, OLD)
    assert file.plain == 1
    assert task.record.attempt == 1


async def test_what_every_connection_has_brought_is_kept_where_a_redirect_leads_elsewhere(
    monitor: Monitor, session: Session, serve: Callable[[SharedFile], str], folder: Path
):
    """The server that answered is gone, and another one has the file under a tag of its own."""

    def ranged(conn: Conn, request: Request, start: int, end: int, number: int) -> bool:
        if gone.is_set():
            conn.send(reply(404, {}, b"gone"))
        else:
            one.part(conn, start, end, most=M + number)
        return True

    def redirect(conn: Conn, request: Request) -> None:
        conn.send(reply(302, {"Location": leads_to[-1]}))

    gone = threading.Event()
    one = SharedFile(OLD, ranged=ranged, after=1000)
    other = SharedFile(OLD, etag='"of-the-other"')
    other.go.set()
    leads_to, there = [serve(one)], serve(other)
    with ByteServer(redirect) as server:
        task = fetch(session, server.url("/a.bin"), folder)
        await eventually(lambda: task.count_of_bytes_received >= 4 * M)
        task.suspend()
        await eventually(lambda: task.record.state is State.SUSPENDED and bool(task.record.ranges))
        await eventually(lambda: not parts_open(folder))
        record = task.record
        gone.set()
        leads_to.append(there)
        task.resume()
        await ended(task, folder, OLD)
    told = recorder_of(monitor).events
    (resumed,) = [event for event in told if isinstance(event, DownloadResumedEvent)]
    assert resumed.file_offset == record.received >= 4 * M
    assert (task.record.wasted, other.plain) == (0, 0)
    assert '"of-the-other"' in other.conditions  # more than one of them


async def test_another_server_of_the_name_with_a_tag_of_its_own_costs_nothing_that_is_stored(
    session: Session, serve: Callable[[SharedFile], str], folder: Path
):
    """Apache with tags of inodes behind one name: the file is the same."""

    def ranged(conn: Conn, request: Request, start: int, end: int, number: int) -> bool:
        if number == 1:
            file.part(conn, start, end, ETag='"of-the-other"')
        return number == 1

    file = SharedFile(OLD, ranged=ranged, after=1000)
    task = fetch(session, serve(file), folder, 2)
    await ended(task, folder, OLD)
    assert (file.plain, task.record.restarts, task.record.wasted) == (1, 0, 0)
    assert len(file.ranges) == 2  # one connection brought the rest


async def test_the_others_do_not_wait_for_one_that_is_left_behind(
    monkeypatch, monitor: Monitor, serve: Callable[[SharedFile], str], folder: Path
):
    """One stands still, and what is left to it is too little to be shared."""

    def ranged(conn: Conn, request: Request, start: int, end: int, number: int) -> bool:
        if number > 1:
            return False
        stands.append(conn)
        file.give(
            conn,
            reply(
                206,
                {
                    **file.fields(),
                    "Content-Range": f"bytes {start}-{end - 1}/{len(OLD)}",
                    "Content-Length": str(end - start),
                },
            ),
            OLD[start : start + M],
        )
        conn.stall()
        return True

    stands = list[Conn]()
    monkeypatch.setattr(download_segments, "_FAIR", 0.3)
    session = quick_session(monitor, timeout_interval_for_request=600)
    file = SharedFile(OLD, ranged=ranged)
    task = fetch(session, serve(file), folder, 2)
    await ended(task, folder, OLD)
    assert len(stands) == 1
    assert (task.record.restarts, task.record.wasted, file.plain) == (0, 0, 1)
    assert task.record.attempt == 1


async def test_answers_to_less_than_what_was_asked_for_are_gone_on_with(
    session: Session, serve: Callable[[SharedFile], str], folder: Path
):
    def ranged(conn: Conn, request: Request, start: int, end: int, number: int) -> bool:
        file.part(conn, start, min(end, start + M))
        return True

    file = SharedFile(OLD, ranged=ranged)
    await ended(fetch(session, serve(file), folder), folder, OLD)
    assert file.plain == 1


async def test_a_pause_keeps_what_every_connection_has_brought(
    monitor: Monitor, session: Session, serve: Callable[[SharedFile], str], folder: Path
):
    def ranged(conn: Conn, request: Request, start: int, end: int, number: int) -> bool:
        if held:
            file.part(conn, start, end, most=M + number)
        return bool(held)

    held = [True]
    file = SharedFile(OLD, ranged=ranged, after=1000)
    # a cut connection is replaced; the first one waits
    task = fetch(session, serve(file), folder)
    await eventually(lambda: task.count_of_bytes_received >= 4 * M)
    task.suspend()
    await eventually(lambda: task.record.state is State.SUSPENDED and bool(task.record.ranges))
    await eventually(lambda: not parts_open(folder))
    record, held[:] = task.record, []
    assert record.received == sum(at - start for start, at, _ in record.ranges) >= 4 * M
    file.go.set()
    task.resume()
    await ended(task, folder, OLD)
    assert file.plain == 1
    told = recorder_of(monitor).events
    (resumed,) = [event for event in told if isinstance(event, DownloadResumedEvent)]
    assert resumed.file_offset == record.received
    rest = [
        event.bytes_written
        for event in told[told.index(resumed) :]
        if isinstance(event, DownloadProgressEvent)
    ]
    assert resumed.file_offset + sum(rest) == len(OLD)


def parts_open(folder: Path) -> list[str]:
    """Files in a folder that this process has open."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            path = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if path.startswith(f"{folder}/"):
            found.append(path)
    return found


async def test_connections_are_given_back_to_tasks_that_wait(
    monitor: Monitor, serve: Callable[[SharedFile], str], folder: Path
):
    def ranged(conn: Conn, request: Request, start: int, end: int, number: int) -> bool:
        file.give(
            conn,
            b"",
            reply(
                206,
                {
                    **file.fields(),
                    "Content-Range": f"bytes {start}-{end - 1}/{len(OLD)}",
                    "Content-Length": str(end - start),
                },
                OLD[start : start + M],
            ),
        )
        while not file.go.wait(0.05) and not conn.server.stopping.is_set():
            pass
        file.give(conn, b"", OLD[start + M : end])
        return True

    session = quick_session(monitor, http_maximum_connections_per_host=2)
    file = SharedFile(OLD, ranged=ranged, after=1000)
    url = serve(file)
    task = session.download_task(
        url, destination=f"{folder}/", options=RequestOptions(connections=2)
    )
    await eventually(lambda: task.count_of_bytes_received >= M + 1)
    await eventually(lambda: len(file.ranges) == 1)
    other = session.download_task(url, destination=f"{folder}/b.bin")
    await eventually(lambda: file.plain == 2)  # it has its slot
    file.go.set()
    await eventually(lambda: task.record.state is State.COMPLETED is other.record.state)
    assert (folder / "a.bin").read_bytes() == (folder / "b.bin").read_bytes() == OLD


async def test_what_one_connection_cannot_go_on_with_is_told_before_it_is_fetched_again(
    monitor: Monitor, session: Session, serve: Callable[[SharedFile], str], folder: Path
):
    """The last connection breaks, and from then on the server's answers are none that several may
    bring: what lies behind the first gap is dropped.
    """

    def ranged(conn: Conn, request: Request, start: int, end: int, number: int) -> bool:
        if broken.is_set():
            file.part(conn, start, end, Accept_Ranges="none")
        elif number == 1:
            file.part(conn, start, end)
        else:
            forbidden(file, conn, start, end)
        return True

    def whole(conn: Conn, request: Request) -> None:
        if request.header("Range"):
            file(conn, request)
            return
        conn.send(reply(200, {**file.fields(), "Content-Length": str(len(OLD))}) + OLD[:M])
        while not broken.wait(0.05) and not conn.server.stopping.is_set():
            pass
        conn.close()

    broken = threading.Event()
    file = SharedFile(OLD, ranged=ranged, after=1000)
    with ByteServer(whole) as server:
        task = fetch(session, server.url("/a.bin"), folder, 2)
        # the further connection brings its half and no more
        await eventually(lambda: task.count_of_bytes_received >= 6 * M)
        await eventually(lambda: len(file.ranges) >= 2)
        broken.set()
        await ended(task, folder, OLD)
    told = recorder_of(monitor).events
    (resumed,) = [event for event in told if isinstance(event, DownloadResumedEvent)]
    assert M <= resumed.file_offset < 6 * M
    assert "one connection only" in resumed.reason
    assert task.record.wasted >= 5 * M
    rest = [
        event.bytes_written
        for event in told[told.index(resumed) :]
        if isinstance(event, DownloadProgressEvent)
    ]
    assert resumed.file_offset + sum(rest) == len(OLD)


BEHAVIOURS = (
    "right",
    "right",
    "right",
    "new",
    "new under the same tag",
    "new at the end",
    "whole",
    "new whole",
    "short",
    "cut",
    "nothing",
    "another part",
    "busy",
)


@pytest.mark.parametrize("seed", range(24))
async def test_whatever_further_connections_bring_the_file_is_no_mixture(
    monitor: Monitor, serve: Callable[[SharedFile], str], folder: Path, seed: int
):
    chosen = random.Random(seed)
    plan = [chosen.choice(BEHAVIOURS) for _ in range(8)]

    def ranged(conn: Conn, request: Request, start: int, end: int, number: int) -> bool:
        what = plan[number - 1] if number <= len(plan) else "right"
        old, total = {**file.fields(), "ETag": '"v1"'}, len(OLD)
        if what == "new":
            file.part(conn, start, end, body=NEW, ETag='"v2"')
        elif what == "new under the same tag":
            file.part(conn, start, end, body=NEW)
        elif what == "new at the end" and end < total:  # else nobody could know
            middle = (start + end) // 2
            file.part(conn, start, end, body=OLD[:middle] + NEW[middle:])
        elif what == "whole":
            file.give(conn, reply(200, {**old, "Content-Length": str(total)}), OLD)
        elif what == "new whole":
            file.give(conn, reply(200, {"ETag": '"v2"', "Content-Length": str(total)}), NEW)
        elif what == "short":
            file.part(conn, start, start + max(1, (end - start) // 3))
        elif what == "cut":
            file.part(conn, start, end, most=(end - start) // 3)
        elif what == "nothing":
            conn.reset()
        elif what == "another part":
            another_part(file, conn, start, end)
        elif what == "busy":
            busy(file, conn, start, end)
        else:
            file.part(conn, start, end)
        return True

    session = quick_session(monitor)
    file = SharedFile(OLD, ranged=ranged, after=chosen.choice((1, 2, 4)))
    task = fetch(session, serve(file), folder, chosen.choice((2, 4, 8)))
    await eventually(lambda: bool(file.ranges))
    file.go.set()
    await ended(task, folder, OLD, NEW)


class OneLine(SharedFile):
    """All connections share 20 MB/s: one of them fills the line."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.go.set()
        self.free = 0.0  # monotonic seconds: the line is, then
        self.line = threading.Lock()

    def give(self, conn: Conn, head: bytes, data: bytes) -> None:
        conn.send(head)
        for begin in range(0, len(data), 65536):
            piece = data[begin : begin + 65536]
            with self.line:
                now = time.monotonic()
                self.free = max(now, self.free) + len(piece) / 20e6
                conn.server.stopping.wait(self.free - now)
                self.sent += len(piece)
            conn.send(piece)


async def test_a_line_that_one_connection_fills_carries_hardly_a_byte_more(
    monitor: Monitor, serve: Callable[[SharedFile], str], folder: Path
):
    """Nobody has given a number. What it carries in vain is what several connections cost there."""
    session, body = quick_session(monitor), os.urandom(64 * M)
    file = OneLine(body)
    task = session.download_task(
        serve(file), destination=f"{folder}/", expected_digest=_sha256(body)
    )
    await ended(task, folder, body)
    assert file.plain == 1
    assert file.sent <= 1.05 * len(body)


@pytest.mark.skipif(nginx.PATH is None, reason=nginx.WHY_NOT)
async def test_a_server_that_limits_each_connection_is_asked_by_more_than_one(
    monitor: Monitor, tmp_path: Path, folder: Path
):
    """Nobody has given a number."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.bin").write_bytes(body := os.urandom(28 * M))
    session = quick_session(monitor)
    with nginx.running(tmp_path / "nginx", tmp_path / "root", server="limit_rate 4m;") as server:
        task = session.download_task(server.url("/a.bin"), destination=f"{folder}/")
        await ended(task, folder, body)
        assert len(server.requests()) >= 2
