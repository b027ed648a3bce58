"""Addresses are checked before they are connected to, and what fails keeps its cause."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.byte_server import ByteServer, reply
from transfermon.http.addresses import ServerOrigin
from transfermon.wire.connect import AddressRefused
from transfermon.wire.http_client import ClientKey, HttpClient
from transfermon.wire.network_errors import ConnectError
from transfermon.wire.reach import Reach
from transfermon.wire.surroundings import Surroundings

pytestmark = pytest.mark.anyio


@pytest.fixture
def surroundings() -> Iterator[Surroundings]:
    surroundings = Surroundings()
    yield surroundings
    surroundings.close()


def client_for(host: str, port: int, reach: Reach, surroundings: Surroundings) -> HttpClient:
    key = ClientKey(session="", reach=reach, proxy="", secure=False)
    return HttpClient(key, ServerOrigin("http", host, port), surroundings)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "0177.0.0.1"]
)
async def test_a_private_address_is_refused_before_anything_is_sent(surroundings, host):
    with ByteServer(lambda conn, request: conn.send(reply(200))) as server:
        client = client_for(host, server.port, Reach(anywhere=False), surroundings)
        with pytest.raises(AddressRefused):
            await client.connect(5)
        assert server.connections == 0


async def test_a_name_with_several_addresses_reaches_the_one_that_answers(surroundings):
    with ByteServer(lambda conn, request: conn.send(reply(200))) as server:
        client = client_for("localhost", server.port, Reach(), surroundings)
        await client.connect(5)
        assert client.connection is not None
        assert client.connection.stream.socket.getpeername()[1] == server.port
        client.close()


async def test_a_refused_connection_keeps_its_cause(surroundings):
    with ByteServer(lambda conn, request: None) as server:
        port = server.port
    with pytest.raises(ConnectError) as caught:
        await client_for("127.0.0.1", port, Reach(), surroundings).connect(5)
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
