"""Addresses are checked before they are connected to, and what fails keeps its cause."""

from __future__ import annotations

from collections.abc import Iterator

import httpcore
import pytest

from tests.helpers.byte_server import ByteServer, reply
from transfermon.wire.backend import Backend
from transfermon.wire.connect import AddressRefused
from transfermon.wire.reach import Reach
from transfermon.wire.surroundings import Surroundings

pytestmark = pytest.mark.anyio


@pytest.fixture
def surroundings() -> Iterator[Surroundings]:
    surroundings = Surroundings()
    yield surroundings
    surroundings.close()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "0177.0.0.1"]
)
async def test_a_private_address_is_refused_before_anything_is_sent(surroundings, host):
    with ByteServer(lambda conn, request: conn.send(reply(200))) as server:
        backend = Backend(Reach(anywhere=False), surroundings)
        with pytest.raises(AddressRefused):
            await backend.connect_tcp(host, server.port, timeout=5)
        assert server.connections == 0


async def test_a_name_with_several_addresses_reaches_the_one_that_answers(surroundings):
    with ByteServer(lambda conn, request: conn.send(reply(200))) as server:
        stream = await Backend(Reach(), surroundings).connect_tcp(
            "localhost", server.port, timeout=5
        )
        assert stream.get_extra_info("server_addr")[1] == server.port
        await stream.aclose()


async def test_a_refused_connection_keeps_its_cause(surroundings):
    with ByteServer(lambda conn, request: None) as server:
        port = server.port
    with pytest.raises(httpcore.ConnectError) as caught:
        await Backend(Reach(), surroundings).connect_tcp("127.0.0.1", port, timeout=5)
    assert isinstance(caught.value.__context__, ConnectionRefusedError)
