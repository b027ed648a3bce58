"""A protocol for uploads is one object in the registry: all that asks which there are asks
there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.byte_server import ByteServer
from tests.helpers.parcels import PROTOCOL, ParcelServer
from tests.helpers.recorder import eventually
from tests.helpers.sessions import quick_session
from transfermon.commands.arguments import protocol_name
from transfermon.engine.monitor import Monitor
from transfermon.http.upload_protocols import registry

pytestmark = pytest.mark.anyio
SIZE = 1_000_000


@pytest.fixture
def farm() -> ParcelServer:
    return ParcelServer()


@pytest.fixture
def server(farm: ParcelServer) -> Iterator[ByteServer]:
    with ByteServer(farm, reads_bodies=False) as server:
        yield server


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "film.bin").write_bytes(os.urandom(SIZE))
    return tmp_path / "film.bin"


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the line in the registry does."""
    monkeypatch.setattr(registry, "RESUMABLE", (*registry.RESUMABLE, PROTOCOL))


@pytest.mark.usefixtures("registered")
async def test_a_registered_protocol_is_found_and_goes_on_where_it_was(
    monitor: Monitor, farm: ParcelServer, server: ByteServer, source: Path
):
    farm.cuts = [300_000]
    record = await quick_session(monitor).upload_task(server.url("/in"), source).wait()
    assert record.succeeded
    assert (record.protocol, record.sent) == ("parcels", SIZE)
    assert bytes(farm.body) == source.read_bytes()
    assert farm.said == [
        "OPTIONS 2",
        "OPTIONS 1",
        "POST creation",
        "POST from 0",
        "GET",
        "POST from 300000",
    ]


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("version", ["1", "2"])
async def test_another_version_is_tried_where_the_first_is_not_understood(
    monitor: Monitor, farm: ParcelServer, server: ByteServer, source: Path, version: str
):
    farm.version = version
    session = quick_session(monitor, upload_protocol="parcels")
    assert (await session.upload_task(server.url("/in"), source).wait()).succeeded
    assert bytes(farm.body) == source.read_bytes()
    assert farm.said == ["POST creation", "POST from 0"]


@pytest.mark.usefixtures("registered")
async def test_a_registered_protocol_can_be_asked_for_by_its_name(
    monitor: Monitor, farm: ParcelServer, server: ByteServer, source: Path
):
    task = quick_session(monitor, upload_protocol="parcels:1", speed_limit=500_000).upload_task(
        server.url("/in"), source
    )
    await eventually(lambda: len(farm.body) > 0, "a part of the upload")
    assert farm.said == ["POST creation", "POST from 0"]
    task.cancel()
    await eventually(lambda: farm.said[-1] == "POST forget", "the end of the upload resource")


async def test_only_a_registered_protocol_can_be_asked_for(
    monitor: Monitor, server: ByteServer, source: Path, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(ValueError, match="upload_protocol: the protocol is “auto”, “plain”, “ietf"):
        quick_session(monitor, upload_protocol="parcels")
    with pytest.raises(ValueError, match="the protocol is"):
        quick_session(monitor).upload_task(server.url("/in"), source, protocol="parcels:1")
    monkeypatch.setattr(registry, "RESUMABLE", (PROTOCOL,))
    assert protocol_name("parcels:1") == "parcels:1"
    with pytest.raises(ValueError, match=r"“plain”, “parcels” or “parcels:N” \(N one of 2, 1\)$"):
        quick_session(monitor, upload_protocol="tus")
    session = quick_session(monitor, "com.example.other", upload_protocol="parcels:2")
    with pytest.raises(ValueError, match="upload_protocol: the protocol is"):
        session.reconfigure(upload_protocol="parcels:3")
    assert session.configuration.upload_protocol == "parcels:2"


async def test_a_task_of_a_protocol_that_is_gone_fails_in_words(
    monitor: Monitor,
    farm: ParcelServer,
    server: ByteServer,
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    with monkeypatch.context() as patched:
        patched.setattr(registry, "RESUMABLE", (PROTOCOL,))
        session = quick_session(monitor, upload_protocol="parcels:1", speed_limit=500_000)
        task = session.upload_task(server.url("/in"), source)
        await eventually(lambda: len(farm.body) > 0, "a part of the upload")
        task.suspend()
        await eventually(lambda: task.record.upload is not None, "the upload resource")
        await eventually(lambda: task.record.activity.name == "NONE", "the end of the attempt")
    task.resume()
    record = await task.wait()
    assert record.error is not None
    assert (record.error.reason, record.error.status) == ("upload.protocol", None)
    assert "does not know the upload protocol “parcels”" in record.error.message
