"""A small answer, read into memory."""

from __future__ import annotations

from transfermon.engine.shared import Engine
from transfermon.http import retry
from transfermon.http.addresses import check_url
from transfermon.model.errors import TransferFailure
from transfermon.model.task import Origin
from transfermon.wire.call import Call


async def read_small(engine: Engine, url: str, *, limit: int, origin: Origin) -> bytes:
    """Raises TransferFailure, also for a status of 400 and above or a larger body."""
    transport = await engine.lines()
    call = Call(url=check_url(url), origin=origin, allowed=frozenset(engine.allowed_hosts))
    answer = await transport.open(call)
    try:
        error = retry.judge_status(answer.response, "status", now=engine.now(), url=url)
        if error is not None:
            raise TransferFailure(error)
        data = await answer.read(limit + 1)
        if len(data) > limit:
            raise answer.too_big(limit)
        return data
    finally:
        await answer.aclose()
