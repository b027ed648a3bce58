"""Is it still the same file: servers that forget their tags, keep them, change them, or answer
something else.

Each server here is one that was seen, or that somebody has reported; what it sends is written out
byte by byte.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, reply, rest
from tests.helpers.recorder import Recorder, eventually, recorder_of
from tests.helpers.sessions import engine_process, parts_in, quick_session, sent
from tests.promises.rules.conftest import OpenMonitor
from transfermon.engine.monitor import DownloadTask, Monitor, Session
from transfermon.http import resume

pytestmark = pytest.mark.anyio
SIZE, AT = 700_000, 400_000
OLD_DATE, NEW_DATE = "Mon, 01 Jun 2026 10:00:00 GMT", "Mon, 01 Jun 2026 10:30:00 GMT"
Before = Callable[[Conn, Request], bool]


@pytest.fixture
def session(monitor: Monitor) -> Session:
    return quick_session(monitor)


@pytest.fixture
def resource() -> Resource:
    return Resource(os.urandom(SIZE), etag='"v1"', last_modified=OLD_DATE)


async def paused(task: DownloadTask, resource: Resource, at: int = AT) -> None:
    """Let the task come to `at` bytes and suspend it there; the server then sends whole bodies."""
    resource.stall_after = at
    await eventually(lambda: task.count_of_bytes_received == at, f"{at} bytes")
    task.suspend()
    await eventually(
        lambda: task.session._engine.progress.get(task.key) is None, "the attempt to let go"
    )
    resource.stall_after = None


def asked(server: ByteServer) -> list[str]:
    return [request.header("Range") for request in server.requests]


def ranged(answer: Callable[[int, int], bytes]) -> Before:
    """Answers every question for the rest with `answer(first, last)`; -1 stands for a last that was
    not named.
    """

    def before(conn: Conn, request: Request) -> bool:
        value = request.header("Range")
        if not value:
            return False
        first, _, last = value.removeprefix("bytes=").partition("-")
        return sent(conn, answer(int(first), int(last or -1)))

    return before


def part_of(body: bytes, first: int, last: int, **fields: str) -> bytes:
    end = len(body) if last < 0 else last + 1
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    where = f"bytes {first}-{end - 1}/{len(body)}"
    return reply(206, {"Content-Range": where, **named}, body[first:end])


def only(folder: Path, body: bytes, name: str = "a.bin") -> bool:
    return [path.name for path in folder.iterdir()] == [name] and (
        folder / name
    ).read_bytes() == body


# ---- the same tag, the same length, other bytes


@pytest.mark.parametrize(
    "date", [OLD_DATE, NEW_DATE, ""], ids=["same date", "another date", "no date"]
)
@pytest.mark.parametrize("etag", ['"v1"', 'W/"v1"', ""], ids=["strong", "weak", "none"])
async def test_a_replaced_file_behind_the_same_tag_is_never_mixed(
    session: Session, server: ByteServer, resource: Resource, downloads: Path, etag: str, date: str
):
    resource.etag = etag
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    new = os.urandom(SIZE)
    named = {**({"ETag": etag} if etag else {}), **({"Last-Modified": date} if date else {})}
    resource.before = ranged(lambda first, last: part_of(new, first, last, **named))
    resource.body = new
    record = await task.resume().wait()
    assert record.succeeded
    assert only(downloads, new)
    assert record.wasted == AT


async def test_a_tag_that_outlives_its_file_by_the_date_alone(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    """The new file differs behind what is stored only: the date is all that tells."""
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    new = (
        resource.body[: AT - 100_000]
        + os.urandom(20_000)
        + resource.body[AT - 80_000 : AT]
        + os.urandom(SIZE - AT)
    )
    resource.body, resource.last_modified = new, NEW_DATE
    assert (await task.resume().wait()).succeeded
    assert only(downloads, new)


@pytest.mark.parametrize("by", ["etag", "last_modified"])
async def test_nodes_that_disagree_start_over_once_and_then_go_on(
    session: Session, server: ByteServer, resource: Resource, downloads: Path, by: str
):
    """A tag for each range, or a date for each node: once it is believed, then three places are
    compared.
    """

    def before(conn: Conn, request: Request) -> bool:
        number = len(server.requests)
        if by == "etag":
            resource.etag = f'"{request.header("Range") or "whole"}"'
            resource.headers = {"ETag": resource.etag}
            if request.header("If-Range"):  # it does not look at conditions
                first = int(request.header("Range")[6:].partition("-")[0])
                conn.send(
                    part_of(resource.body, first, -1, ETag=resource.etag, Last_Modified=OLD_DATE)
                )
                return True
        else:
            resource.headers = {"Last-Modified": f"Mon, 01 Jun 2026 10:00:{number:02} GMT"}
        resource.cut_after = None if request.header("Range") else AT + number
        return False

    resource.before = before
    record = await session.download_task(server.url("/a.bin")).wait()
    assert record.succeeded
    assert only(downloads, resource.body)
    assert record.restarts == 1
    assert record.evidence.ignored == (by,)
    wanted = [value for value in asked(server) if value]
    assert wanted[-3].startswith("bytes=0-")  # the start, the middle, the end
    assert len({value.partition("-")[0] for value in wanted[-3:]}) == 3


async def test_a_206_without_the_tag_it_was_asked_under_is_compared(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    resource.before = ranged(lambda first, last: part_of(resource.body, first, last))
    record = await task.resume().wait()
    assert (record.wasted, record.restarts) == (0, 0)
    assert asked(server) == ["", rest(AT)]
    assert only(downloads, resource.body)


async def test_a_mirror_without_tags_and_with_another_build_is_not_mixed(
    monitor: Monitor, session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    build = os.urandom(SIZE)
    mirror = Resource(build)

    def before(conn: Conn, request: Request) -> bool:
        if request.target != "/mirror":
            return len(server.requests) > 1 and sent(conn, reply(403, {}, b""))
        first = request.header("Range")
        if first:
            conn.send(part_of(build, int(first[6:].partition("-")[0]), -1))
        else:
            mirror(conn, request)
        return True

    resource.before, resource.cut_after = before, AT
    task = session.download_task(server.url("/signed"), destination=downloads / "a.bin")
    record = await task.wait()
    assert record.error is not None
    assert record.error.status == 403
    assert [part.stat().st_size for part in parts_in(downloads)] == [AT]
    assert asked(server)[1:] == [rest(AT), ""]  # plainly, before it gives up
    monitor.commands.retry(task.key, server.url("/mirror"))
    assert (await task.wait()).succeeded
    assert only(downloads, build)


# ---- no validator


async def test_without_a_validator_it_goes_on_and_says_so(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    """A script that knows ranges, but neither the end of one nor a validator."""
    resource.etag = resource.last_modified = ""
    resource.before = ranged(lambda first, last: part_of(resource.body, first, -1))
    resource.cut_after = AT
    record = await session.download_task(server.url("/a.bin")).wait()
    assert (record.wasted, record.restarts) == (0, 0)
    assert asked(server) == ["", f"bytes=0-{resume.OVERLAP - 1}", rest(AT)]
    (event,) = recorder.of("downloadresumed")
    assert "start and the end" in event.reason
    assert only(downloads, resource.body)


@pytest.mark.parametrize("where", ["start", "end"])
async def test_without_a_validator_either_place_tells_the_versions_apart(
    session: Session, server: ByteServer, resource: Resource, downloads: Path, where: str
):
    resource.etag = resource.last_modified = ""
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    new = bytearray(resource.body)
    new[10 if where == "start" else AT - 10] ^= 1
    new[AT:] = os.urandom(SIZE - AT)
    resource.body = bytes(new)
    assert (await task.resume().wait()).succeeded
    assert only(downloads, resource.body)


async def test_a_hole_at_the_end_of_what_is_stored_proves_nothing(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    """A disk image: zeros at the end of what is stored, so the nearest block before them is
    compared.
    """
    resource.body = resource.body[:200_000] + bytes(SIZE - 200_000)
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    new = os.urandom(200_000) + bytes(SIZE - 200_000 - 10) + b"0123456789"
    resource.body = new  # under the same tag and date
    assert (await task.resume().wait()).succeeded
    assert only(downloads, new)
    block = asked(server)[1]
    assert 0 < int(block[6:].partition("-")[0]) < 200_000


# ---- 200 where a 206 was asked for


@pytest.mark.parametrize("says_where", [True, False])
@pytest.mark.parametrize("etag", ['"v1"', ""])
async def test_the_rest_under_200_is_the_rest(
    session: Session,
    server: ByteServer,
    resource: Resource,
    downloads: Path,
    says_where: bool,
    etag: str,
):
    resource.etag = etag
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)

    def answer(first: int, last: int) -> bytes:
        body = resource.body[first : SIZE if last < 0 else last + 1]
        where = (
            {"Content-Range": f"bytes {first}-{first + len(body) - 1}/{SIZE}"} if says_where else {}
        )
        return reply(206 if last >= 0 else 200, {**where, **({"ETag": etag} if etag else {})}, body)

    if etag == "":
        resource.last_modified = OLD_DATE
    resource.before = ranged(answer)
    record = await task.resume().wait()
    assert record.succeeded
    assert only(downloads, resource.body)
    assert record.wasted == 0


async def test_the_rest_of_another_version_under_200_is_not(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    resource.body = os.urandom(SIZE)
    resource.before = ranged(
        lambda first, last: reply(200, {"ETag": '"v1"'}, resource.body[first:])
    )
    assert (await task.resume().wait()).succeeded
    assert asked(server) == ["", rest(AT), ""]
    assert only(downloads, resource.body)


async def test_another_length_under_the_same_strong_tag_is_asked_for_plainly(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    resource.body = os.urandom(300_000)
    resource.before = ranged(lambda first, last: reply(200, {"ETag": '"v1"'}, b"less"))
    assert (await task.resume().wait()).succeeded
    assert asked(server) == ["", rest(AT), ""]
    assert only(downloads, resource.body)


async def test_a_part_of_it_on_a_plain_request_is_a_failure(
    session: Session, server: ByteServer, resource: Resource
):
    where = {"Content-Range": f"bytes 0-99/{SIZE}"}
    resource.before = lambda conn, request: sent(conn, reply(200, where, resource.body[:100]))
    record = await session.download_task(server.url("/a.bin")).wait()
    assert record.error is not None
    assert record.error.reason == "srv.protocol"


NOTES = [
    ("text/plain", b"expired"),
    ("application/json", b'{"error": "link expired"}'),
    ("application/xml", b"<Error><Code>AccessDenied</Code></Error>"),
    ("text/html", b"<html>" * 20_000),
    ("application/zip", b""),
    ("application/zip", b"gone"),
]


@pytest.mark.parametrize(
    ("kind", "note"), NOTES, ids=[f"{kind} {len(note)}" for kind, note in NOTES]
)
@pytest.mark.parametrize("coded", [False, True], ids=["with a length", "chunked"])
async def test_a_note_in_the_place_of_the_file_costs_nothing(
    monitor: Monitor,
    session: Session,
    server: ByteServer,
    resource: Resource,
    downloads: Path,
    kind: str,
    note: bytes,
    coded: bool,
):
    resource.headers["Content-Type"] = "application/zip"
    task = session.download_task(server.url("/f.zip"))
    await paused(task, resource)
    body = (
        (b"%x\r\n" % len(note) + note + b"\r\n" if note else b"") + b"0\r\n\r\n" if coded else note
    )
    fields = {"Content-Type": kind, **({"Transfer-Encoding": "chunked"} if coded else {})}
    resource.before = lambda conn, request: sent(conn, reply(200, fields, body))
    record = await task.resume().wait()
    assert record.error is not None
    assert (record.error.reason, record.received) == ("srv.note", AT)
    assert "expired" in record.error.message
    assert [part.read_bytes() for part in parts_in(downloads)] == [resource.body[:AT]]
    resource.before = None
    monitor.commands.retry(task.key, server.url("/f.zip?new=1"))
    assert (await task.wait()).succeeded
    assert only(downloads, resource.body, "f.zip")
    assert server.requests[-1].header("Range") == rest(AT)


@pytest.mark.parametrize("size", [0, 10, 100_000])
async def test_a_true_new_version_is_taken_however_short_it_is(
    session: Session, server: ByteServer, resource: Resource, downloads: Path, size: int
):
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    resource.body, resource.etag = os.urandom(size), '"v2"'
    assert (await task.resume().wait()).succeeded
    assert only(downloads, resource.body)


# ---- two parts


async def a_new_version_that_breaks(
    task: DownloadTask, resource: Resource, recorder: Recorder, at: int, new: bytes | None = None
) -> bytes:
    """Go on against a new version whose answer stops at `at` bytes; the old bytes."""
    old, resource.body, resource.etag = resource.body, new or os.urandom(SIZE), '"v2"'
    resource.stall_after = at
    task.resume()
    await eventually(
        lambda: (
            (task.count_of_bytes_received == at and task.record.older_part is not None) or at > AT
        )
    )
    await eventually(lambda: task.count_of_bytes_received == at)
    return old


async def test_the_old_part_stays_until_the_new_one_holds_more(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    old = await a_new_version_that_breaks(task, resource, recorder, 100_000)
    assert sorted(part.read_bytes() for part in parts_in(downloads)) == sorted(
        [old[:AT], resource.body[:100_000]]
    )
    await paused(task, resource, 100_000)
    assert len(parts_in(downloads)) == 2
    assert (await task.resume().wait()).succeeded
    assert only(downloads, resource.body)
    assert task.record.older_part is None


async def test_a_new_version_that_turns_out_to_be_none_gives_way_to_the_old_part(
    session: Session, server: ByteServer, resource: Resource, recorder: Recorder, downloads: Path
):
    """Two nodes of two minds: the first version comes back, and nothing of it was lost."""
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    old = await a_new_version_that_breaks(task, resource, recorder, 100_000)
    await paused(task, resource, 100_000)
    resource.body, resource.etag = old, '"v1"'
    assert (await task.resume().wait()).succeeded
    assert only(downloads, old)
    assert asked(server)[-1] == rest(AT)
    assert recorder.of("downloadresumed")[-1].file_offset == AT


@pytest.mark.parametrize("end", ["remove", "cancel", "resume data"])
async def test_whoever_lets_go_of_the_task_lets_go_of_both_parts(
    monitor: Monitor,
    session: Session,
    server: ByteServer,
    resource: Resource,
    recorder: Recorder,
    downloads: Path,
    end: str,
):
    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    await a_new_version_that_breaks(task, resource, recorder, 100_000)
    if end == "resume data":
        data = await task.cancel_by_producing_resume_data()
        assert data is not None
        assert len(parts_in(downloads)) == 2
        resource.stall_after = None
        again = session.download_task_with_resume_data(data)
        assert (await again.wait()).succeeded
        assert only(downloads, resource.body)
        return
    if end == "remove":
        monitor.commands.remove(task.key)
        await recorder.wait_for("taskremoved", task)
    else:
        task.cancel()
        await task.wait()
    assert parts_in(downloads) == []


@pytest.mark.parametrize("harm", ["none", "old part gone", "new part gone", "both gone"])
async def test_after_a_kill_both_parts_are_known_and_neither_is_an_orphan(
    open_monitor: OpenMonitor,
    server: ByteServer,
    resource: Resource,
    downloads: Path,
    tmp_path: Path,
    harm: str,
):
    async with open_monitor() as monitor:
        task = quick_session(monitor).download_task(server.url("/a.bin"))
        await paused(task, resource)
    (old_part,) = parts_in(downloads)
    resource.body, resource.etag, resource.stall_after = os.urandom(SIZE), '"v2"', 100_000
    script = """
task = session.task(1).resume()
while not task.record.older_part or task.count_of_bytes_received < 100_000:
    await asyncio.sleep(0.005)
print("there", flush=True)
await asyncio.Event().wait()
"""
    with engine_process(tmp_path, script) as process:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "there\n"
    parts = parts_in(downloads)
    assert len(parts) == 2
    gone = {"none": [], "old part gone": [old_part], "both gone": parts}
    for part in gone.get(harm, [part for part in parts if part != old_part]):
        part.unlink()
    resource.stall_after = None
    async with open_monitor() as monitor:
        record = await monitor.handle(task.key).wait()
        assert record.succeeded
        assert recorder_of(monitor).of("downloadcompleted")
    assert only(downloads, resource.body)


async def test_a_disk_without_room_for_both_keeps_the_old_one_until_a_validator_speaks(
    session: Session,
    server: ByteServer,
    resource: Resource,
    downloads: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    from transfermon.storage import disk_space

    task = session.download_task(server.url("/a.bin"))
    await paused(task, resource)
    real = disk_space.free_space

    def little(folder: str, needed: int = 0) -> int:
        used = sum(part.stat().st_size for part in parts_in(Path(folder)))
        return min(real(folder), SIZE + 100_000 - used)

    monkeypatch.setattr(disk_space, "free_space", little)
    # the same file, whole: compared, for there is no room beside it
    resource.before = lambda conn, request: (
        bool(request.header("Range")) and sent(conn, reply(200, {"ETag": '"v1"'}, resource.body))
    )
    record = await task.resume().wait()
    assert (record.succeeded, record.wasted) == (True, 0)
    assert only(downloads, resource.body)
    (downloads / "a.bin").unlink()
    resource.before, resource.etag = None, '"v1"'
    other = session.download_task(server.url("/a.bin"))
    await paused(other, resource)
    resource.body, resource.etag = os.urandom(SIZE), '"v2"'
    record = await other.resume().wait()
    assert (record.succeeded, record.wasted) == (True, AT)
    assert only(downloads, resource.body)


# ---- hosts


async def test_a_redirector_that_switches_its_mirror_costs_nothing(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    """The same file behind two servers that make their tags in different ways; the first one has
    gone.
    """
    there = Resource(resource.body, etag='"t1"', last_modified=OLD_DATE)
    elsewhere = Resource(resource.body, etag='"t2-of-another-kind"', last_modified=OLD_DATE)
    first, second = ByteServer(there), ByteServer(elsewhere)
    with second:
        with first:
            resource.before = lambda conn, request: sent(
                conn, reply(302, {"Location": first.url("/a.bin")})
            )
            task = session.download_task(server.url("/a.bin"), destination=downloads / "a.bin")
            await paused(task, there)
        resource.before = lambda conn, request: sent(
            conn, reply(302, {"Location": second.url("/a.bin")})
        )
        record = await task.resume().wait()
        assert record.succeeded
        assert (record.wasted, record.restarts, record.attempt) == (0, 0, 2)
        assert [
            (request.header("Range"), request.header("If-Range")) for request in second.requests
        ] == [
            (rest(AT), '"t1"'),  # which it does not know
            (rest(AT), ""),
        ]
        assert record.validators is not None
        assert record.validators.etag == '"t2-of-another-kind"'
        assert only(downloads, resource.body)


async def test_secrets_do_not_go_along_to_where_a_redirect_led(
    session: Session, server: ByteServer, resource: Resource, downloads: Path
):
    there = Resource(resource.body, etag='"t1"')
    with ByteServer(there) as place:
        resource.before = lambda conn, request: sent(
            conn, reply(302, {"Location": place.url("/a.bin")})
        )
        headers = {"Authorization": "Bearer secret", "X-Api-Key": "secret"}
        task = session.download_task(server.url("/a.bin"), request_headers=headers)
        await paused(task, there)
        assert (await task.resume().wait()).succeeded
        assert [request.header("Range") for request in place.requests] == ["", rest(AT)]
        assert all("secret" not in request.raw.decode("latin-1") for request in place.requests)
    assert len(server.requests) == 1  # the place that answered last was asked at once


# ---- labels


@pytest.mark.parametrize("same", [True, False])
async def test_what_is_stored_as_it_came_under_a_label_goes_on_under_the_same_label(
    session: Session, server: ByteServer, resource: Resource, downloads: Path, same: bool
):
    """A .tar.gz that servers call coded: its bytes are kept as they come, and so is its length."""
    resource.body = b"\x1f\x8b" + resource.body[2:]
    resource.headers = {"Content-Encoding": "gzip", "Content-Type": "application/x-tar"}
    task = session.download_task(server.url("/f.tar.gz"))
    await paused(task, resource)
    assert task.record.not_resumable == ""
    if not same:
        resource.before = ranged(
            lambda first, last: part_of(
                resource.body, first, last, ETag='"v1"', Content_Encoding="br"
            )
        )
    record = await task.resume().wait()
    assert (record.succeeded, record.wasted) == (True, 0 if same else AT)
    assert asked(server) == ["", rest(AT), *([] if same else [""])]
    assert only(downloads, resource.body, "f.tar.gz")
