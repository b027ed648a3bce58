"""What one attempt keeps of what it has sent."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, reply
from tests.helpers.recorder import LIMIT, eventually
from tests.helpers.sessions import quick_session
from tests.helpers.upload_server import UploadServer, serving
from transfermon.engine.monitor import Monitor
from transfermon.model.metrics import MOST_KEPT

pytestmark = pytest.mark.anyio
PIECES, PIECE = 300, 1000


async def test_t19_of_an_upload_in_very_many_pieces_the_newest_and_all_redirects_are_kept(
    tmp_path: Path,
):
    farm = UploadServer(limit=f"max-append-size={PIECE}")
    looked, redirected = threading.Event(), []

    def counting(conn: Conn, request: Request) -> None:
        if request.method == "PATCH" and len(redirected) < 3:
            redirected.append(conn.read_body(request))
            conn.send(reply(307, {"Location": request.target}))
            return
        if request.header("Upload-Offset") == str((PIECES - 1) * PIECE):
            looked.wait(LIMIT)
        farm(conn, request)

    with serving(farm) as server:
        server.handler = counting
        async with Monitor.open(str(tmp_path / "state")) as monitor:
            monitor.ready()
            session = quick_session(monitor)
            task = session.upload_task(server.url("/in"), bytes(PIECES * PIECE), protocol="ietf")
            await eventually(lambda: offset_of_last(server) == (PIECES - 1) * PIECE)
            attempt = session.tasks.run_of(task.task_identifier).attempt
            assert attempt is not None
            upload = attempt._transfer._attempt
            assert len(upload._sent) <= 2 * MOST_KEPT
            # its server's pace has heard of all that are over, while it goes on
            assert [traces for traces, _ in upload._paced] == [[]]
            looked.set()
            async with asyncio.timeout(LIMIT):
                assert (await task.wait()).succeeded
            metrics = task.metrics
    assert farm.stored == [bytes(PIECES * PIECE)]
    assert metrics.redirect_count == 3
    assert len(metrics.transactions) == MOST_KEPT
    assert {transaction.method for transaction in metrics.transactions} == {"PATCH"}


def offset_of_last(server: ByteServer) -> int:
    return int(server.requests[-1].header("Upload-Offset", "0")) if server.requests else 0
