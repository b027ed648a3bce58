"""A transport and servers for it, without the proxies of whoever runs the tests."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request
from transfermon.wire.transport import Transport

Handler = Callable[[Conn, Request], None]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    transport = Transport(tls_context=ByteServer.client_context())
    yield transport
    await transport.aclose()


@pytest.fixture
def serve() -> Iterator[Callable[..., ByteServer]]:
    servers: list[ByteServer] = []

    def start(answer: bytes | Handler, **settings: Any) -> ByteServer:
        handler = answer if callable(answer) else lambda conn, request: conn.send(answer)
        servers.append(ByteServer(handler, **settings))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "part", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    yield fd
    os.close(fd)
