"""Whose certificates are believed, and how a refusal is told."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
import trustme

from tests.helpers.answers import refused
from tests.helpers.byte_server import reply
from tests.helpers.certificates import certificate
from transfermon.model.errors import Code, Retry
from transfermon.wire.transport import Transport

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("names", "settings", "code", "reason"),
    [
        (["127.0.0.1"], {"begins": -9, "ends": -2}, Code.TLS_BAD_DATE, "tls.expired"),
        (["127.0.0.1"], {"begins": 2, "ends": 9}, Code.TLS_NOT_YET_VALID, "tls.not-yet-valid"),
        (["example.org"], {}, Code.TLS_UNTRUSTED, "tls.hostname"),
        (["127.0.0.1"], {"ca": trustme.CA()}, Code.TLS_UNKNOWN_ROOT, "tls.unknown-root"),
    ],
)
async def test_a_certificate_that_is_wrong_ends_the_task(
    serve, transport, names, settings, code, reason
):
    server = serve(reply(200), tls=True, certificate=certificate(*names, **settings))
    failure = await refused(transport, server.url())
    assert (failure.code, failure.error.reason, failure.error.retry) == (code, reason, Retry.FINAL)
    assert server.requests == []


async def test_plain_text_on_a_secure_port_is_told_as_such(transport):
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        sock, _ = listener.accept()
        with sock, contextlib.suppress(ConnectionError):
            sock.recv(1000)
            sock.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")
            sock.recv(1000)

    answering = asyncio.ensure_future(asyncio.to_thread(answer))
    failure = await refused(transport, f"https://127.0.0.1:{listener.getsockname()[1]}/")
    await answering
    listener.close()
    assert (failure.code, failure.error.reason) == (Code.TLS_FAILED, "tls.not-tls")


async def test_the_system_s_trust_knows_no_test_authority(serve):
    server = serve(reply(200), tls=True)
    transport = Transport()
    try:
        failure = await refused(transport, server.url())
        assert failure.code in (Code.TLS_UNKNOWN_ROOT, Code.TLS_UNTRUSTED)
    finally:
        await transport.aclose()
