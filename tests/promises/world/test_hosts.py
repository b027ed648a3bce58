"""Hosts whose names IDNA 2008 refuses and browsers open, all the way to the request."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, reply
from tests.helpers.sessions import quick_session
from transfermon.engine.monitor import Monitor

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("host", ["xn--i-7iq.example", "i❤.example", "I❤️.example"])
async def test_a_name_with_an_emoji_is_a_name_like_any_other(
    monitor: Monitor, downloads: Path, host: str
):
    body = os.urandom(5000)

    def proxy(conn: Conn, request: Request) -> None:
        if request.target.endswith("/here"):
            conn.send(
                reply(302, {"Location": "http://I❤.example/f.zip".encode().decode("latin-1")})
            )
        elif request.header("Authorization"):
            conn.send(reply(200, {}, body))
        else:
            conn.send(reply(401, {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'}))

    with ByteServer(proxy) as server:
        session = quick_session(monitor, proxy=server.url("/"))
        record = await session.download_task(f"http://me:secret@{host}/here").wait()
        assert record.succeeded, record.error
        assert {request.header("Host") for request in server.requests} == {"xn--i-7iq.example"}
        assert server.requests[-1].target == "http://xn--i-7iq.example/f.zip"
    assert (downloads / "f.zip").read_bytes() == body
