"""Faults, group V, and C17 and G17: what can go wrong with an upload to a server that cannot
resume.
"""

from __future__ import annotations

import asyncio
import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, reply
from tests.helpers.recorder import LIMIT, Recorder, eventually
from tests.helpers.sessions import code_of, quick_session
from tests.promises.rules.conftest import OpenMonitor
from transfermon.engine.monitor import Monitor
from transfermon.model.task import Activity, State
from transfermon.text.humanize import status

pytestmark = pytest.mark.anyio
plain_session = partial(quick_session, upload_protocol="plain")
M = 1_000_000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "private folder" / "film.bin"
    path.parent.mkdir()
    path.write_bytes(os.urandom(3 * M))
    return path


class Receiver:
    """Takes whole bodies; `first` answers the first request."""

    def __init__(self, first: Any = None) -> None:
        self.first = first
        self.bodies: list[bytes] = []

    def __call__(self, conn: Conn, request: Request) -> None:
        if self.first is not None:
            first, self.first = self.first, None
            first(conn, request)
            return
        self.bodies.append(conn.read_body(request))
        conn.send(reply(201))


async def test_fault_v1_a_cut_plain_upload_waits_says_that_it_starts_over_and_does(
    monitor: Monitor, recorder: Recorder, source: Path
):
    def cut(conn: Conn, request: Request) -> None:
        conn.read_some(1_800_000)
        conn.reset()

    receiver = Receiver(cut)
    with ByteServer(receiver, reads_bodies=False) as server:
        task = plain_session(monitor).upload_task(server.url("/a"), source, method="PUT")
        assert "starts over" in task.record.not_resumable
        await recorder.wait_for_state(task, State.RUNNING, Activity.RETRYING)
        assert (await task.wait()).succeeded
    assert receiver.bodies == [source.read_bytes()]
    assert [t.request_body_bytes for t in task.metrics.transactions][-1] == 3 * M


@pytest.mark.parametrize("harm", ["grown", "truncated", "deleted", "rewritten"])
async def test_fault_v2_a_source_that_changes_while_it_is_sent_is_never_whole_on_the_server(
    monitor: Monitor, source: Path, harm: str
):
    receiver = Receiver()
    with ByteServer(receiver, reads_bodies=False) as server:
        task = plain_session(monitor).upload_task(
            server.url("/a"), source, method="PUT", speed_limit=3 * M
        )
        await eventually(lambda: task.count_of_bytes_sent > 100_000)
        if harm == "grown":
            with source.open("ab") as file:
                file.write(b"x")
        elif harm == "truncated":
            os.truncate(source, M)
        elif harm == "deleted":
            source.unlink()
        else:
            with source.open("r+b") as file:  # the same size, other bytes
                file.write(bytes(100))
        record = await task.wait()
    assert record.error is not None
    assert (record.error.code, record.error.reason) == (-1021, "file.changed")
    assert "changed" in status(record, time.time())
    assert receiver.bodies == []


async def test_fault_v3_only_ordinary_files_are_sent_and_each_other_kind_has_its_words(
    monitor: Monitor, tmp_path: Path
):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    (tmp_path / "loop").symlink_to("loop")
    receiver = Receiver()
    with ByteServer(receiver, reads_bodies=False) as server:
        session = plain_session(monitor)
        found = {}
        for path in ("pipe", "/dev/zero", "folder", "loop", "empty", "name\0with nul"):
            if "\0" in path:
                with pytest.raises(ValueError, match="path"):
                    session.upload_task(server.url("/a"), path)
                continue
            record = await session.upload_task(
                server.url("/a"), tmp_path / path, method="PUT"
            ).wait()
            found[path] = (record.error.code, record.error.message) if record.error else None
    assert {path: error and error[0] for path, error in found.items()} == {
        "pipe": -1102,
        "/dev/zero": -1102,
        "folder": -1101,
        "loop": -1102,
        "empty": None,
    }
    assert receiver.bodies == [b""]
    assert all(error[1] for error in found.values() if error)


async def test_fault_v3_a_sparse_file_of_a_terabyte_starts_at_once_and_is_cancelled_at_once(
    monitor: Monitor, tmp_path: Path
):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    with ByteServer(lambda conn, request: conn.stall(), reads_bodies=False) as server:
        task = plain_session(monitor).upload_task(
            server.url("/a"), tmp_path / "sparse", method="PUT"
        )
        await eventually(lambda: task.count_of_bytes_sent > M)
        assert task.count_of_bytes_expected_to_send == 1 << 40
        task.cancel()
        assert code_of(await task.wait()) == -999


@pytest.mark.parametrize(("code", "error"), [(413, -1011), (401, -1013), (507, -1011)])
async def test_fault_v4_an_answer_in_the_middle_stops_the_sending_and_is_shown(
    monitor: Monitor, tmp_path: Path, code: int, error: int
):
    def refuse(conn: Conn, request: Request) -> None:
        conn.read_some(100_000)
        conn.send(reply(code))
        conn.stall()

    (tmp_path / "a").write_bytes(bytes(30 * M))
    with ByteServer(refuse, reads_bodies=False) as server:
        record = await plain_session(monitor).upload_task(server.url("/a"), tmp_path / "a").wait()
    assert record.error is not None
    assert (record.error.code, record.error.status) == (error, code)
    assert str(code) in record.error.message
    assert record.sent < 30 * M


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_fault_v5_no_answer_after_the_whole_body(monitor: Monitor, source: Path, method: str):
    taken = []

    def whole_then_reset(conn: Conn, request: Request) -> None:
        taken.append(conn.read_body(request))
        conn.reset()

    receiver = Receiver(whole_then_reset)
    with ByteServer(receiver, reads_bodies=False) as server:
        task = plain_session(monitor).upload_task(server.url("/a"), source, method=method)
        record = await task.wait()
        if method == "PUT":
            assert record.succeeded
            assert len(receiver.bodies) == 1
            return
        assert record.error is not None
        assert record.error.reason == "net.unknown-outcome"
        assert "not known whether the server has" in record.error.message
        assert len(server.requests) == len(taken) == 1


async def test_fault_v5_a_post_with_a_key_may_be_repeated(monitor: Monitor, source: Path):
    receiver = Receiver(lambda conn, request: (conn.read_body(request), conn.reset()))
    with ByteServer(receiver, reads_bodies=False) as server:
        headers = {"Idempotency-Key": '"8e03978e"'}
        record = (
            await plain_session(monitor)
            .upload_task(server.url("/a"), source, request_headers=headers)
            .wait()
        )
        assert record.succeeded
        assert [request.header("Idempotency-Key") for request in server.requests] == [
            '"8e03978e"'
        ] * 2


async def test_fault_v7_we_never_wait_for_100_continue_and_take_a_late_one(
    monitor: Monitor, source: Path
):
    def late(conn: Conn, request: Request) -> None:
        assert request.header("Expect") == ""
        conn.read_body(request)
        conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        conn.send(reply(201))

    with ByteServer(late, reads_bodies=False) as server:
        assert (await plain_session(monitor).upload_task(server.url("/a"), source).wait()).succeeded


async def test_fault_v7_a_417_is_a_failure_in_words(monitor: Monitor, source: Path):
    receiver = Receiver(lambda conn, request: (conn.send(reply(417)), conn.stall()))
    with ByteServer(receiver, reads_bodies=False) as server:
        record = await plain_session(monitor).upload_task(server.url("/a"), source).wait()
    assert record.error is not None
    assert (record.error.code, record.error.status) == (-1011, 417)


async def test_fault_v11_only_what_the_network_took_counts_and_a_cancel_is_quick(
    monitor: Monitor, tmp_path: Path
):
    (tmp_path / "a").write_bytes(bytes(50 * M))
    taken = 0

    def little(conn: Conn, request: Request) -> None:
        nonlocal taken
        taken = len(conn.read_some(100_000))
        conn.server.stopping.wait(120)

    with ByteServer(little, reads_bodies=False) as server:
        task = plain_session(monitor).upload_task(server.url("/a"), tmp_path / "a", method="PUT")
        seen = -1

        def settled() -> bool:  # the queues of both ends are full
            nonlocal seen
            before, seen = seen, task.count_of_bytes_sent
            return seen > 100_000 and seen == before

        await eventually(settled)
        assert taken <= task.count_of_bytes_sent < 30 * M
        task.cancel()
        async with asyncio.timeout(LIMIT):  # the server reads nothing for minutes
            assert code_of(await task.wait()) == -999


ODD_ANSWERS = {
    "100 MB": (b"x" * 100 * M, "application/json"),
    "deep": (b"[" * M, "application/json"),
    "duplicate keys": (b'{"a": 1, "a": 2}', "application/json"),
    "NaN": (b'{"a": NaN}', "application/json"),
    "wrong charset": ("ü".encode("latin-1"), "text/plain; charset=utf-8"),
    "no such charset": (b"a", "text/plain; charset=\x00"),
    "HTML": (b"<html>", "text/html"),
}


@pytest.mark.parametrize("case", list(ODD_ANSWERS))
async def test_fault_v14_no_answer_of_a_data_task_hurts(
    monitor: Monitor, recorder: Recorder, case: str
):
    body, kind = ODD_ANSWERS[case]
    head = f"HTTP/1.1 200 X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    if "\x00" in kind:
        head = head.replace(b"\x00", b"?")

    def answer(conn: Conn, request: Request) -> None:
        conn.send(head)
        for at in range(0, len(body), M):
            conn.send(body[at : at + M])

    with ByteServer(answer) as server:
        task = plain_session(monitor).data_task(server.url("/a"), {"a": 1})
        assert (await task.wait()).succeeded
        (event,) = recorder.of("sessioncompleted", task)
    assert event.response_text is not None
    assert len(event.response_text) <= 1 << 20
    await monitor.overview.history()  # the engine is well


async def test_fault_c17_a_redirected_body_is_sent_whole_from_its_start_and_within_the_origin_only(
    monitor: Monitor, source: Path
):
    body = source.read_bytes()
    with ByteServer(Receiver(), reads_bodies=False) as other:
        for status_code in (307, 308):
            here = Receiver(early_redirect(status_code, "/b"))
            with ByteServer(here, reads_bodies=False) as server:
                record = (
                    await plain_session(monitor)
                    .upload_task(server.url("/a"), source, method="PUT")
                    .wait()
                )
                assert record.succeeded
                assert here.bodies == [body]
            away = Receiver(early_redirect(status_code, other.url("/b")))
            with ByteServer(away, reads_bodies=False) as server:
                record = (
                    await plain_session(monitor)
                    .upload_task(server.url("/a"), source, method="PUT")
                    .wait()
                )
            assert record.error is not None
            assert record.error.reason == "pol.redirected-upload"
            assert "another server" in record.error.message
        assert other.requests == []


def early_redirect(status_code: int, location: str) -> Any:
    def redirect(conn: Conn, request: Request) -> None:
        conn.read_some(50_000)  # half a body is never the beginning of the next
        conn.send(reply(status_code, {"Location": location, "Connection": "close"}))
        conn.stall()

    return redirect


async def test_fault_g17_the_server_learns_nothing_of_our_folders(monitor: Monitor, source: Path):
    receiver = Receiver()
    with ByteServer(receiver, reads_bodies=False) as server:
        assert (
            await plain_session(monitor)
            .upload_task(server.url("/put"), source, method="PUT")
            .wait()
        ).succeeded
        head = server.requests[0].raw
    assert b"private" not in head
    assert b"film.bin" not in head


async def test_an_engine_that_ends_leaves_an_upload_that_goes_on(
    open_monitor: OpenMonitor, source: Path
):
    def stalled(conn: Conn, request: Request) -> None:
        conn.read_some(100_000)
        conn.stall()

    receiver = Receiver(stalled)
    with ByteServer(receiver, reads_bodies=False) as server:
        async with open_monitor() as monitor:
            task = plain_session(monitor).upload_task(server.url("/a"), source, method="PUT")
            await eventually(lambda: task.count_of_bytes_sent > 100_000)
        async with open_monitor() as monitor:
            assert (await monitor.handle(task.key).wait()).succeeded
    assert receiver.bodies == [source.read_bytes()]
