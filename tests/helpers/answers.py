"""What a transport answers, in a word."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.byte_server import reply
from transfermon.model.errors import TransferFailure
from transfermon.wire.call import Call
from transfermon.wire.transport import Transport


async def get(transport: Transport, url: str, **settings: Any) -> tuple[int, bytes]:
    answer = await transport.open(Call(url=url, **{"idle_timeout": 60.0, **settings}))
    try:
        return answer.response.status, await answer.read(10**6)
    finally:
        await answer.aclose()


async def refused(transport: Transport, url: str, **settings: Any) -> TransferFailure:
    with pytest.raises(TransferFailure) as caught:
        await get(transport, url, **settings)
    error = caught.value.error
    assert error.message.strip()
    assert error.url
    return caught.value


def moved(location: str, status: int = 302) -> bytes:
    return reply(status, {"Location": location}, b"moved")
