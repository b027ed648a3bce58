"""Requests beside the transfers: a small answer in memory, and the transport for a script's httpx."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING, Any

from transfermon.engine.shared import Engine
from transfermon.http import retry
from transfermon.http.addresses import check_url
from transfermon.model.errors import TransferFailure
from transfermon.model.task import Origin
from transfermon.wire.call import Call

if TYPE_CHECKING:
    from transfermon.wire.httpx_transport import HttpxTransport


async def read_small(engine: Engine, url: str, *, limit: int, origin: Origin) -> bytes:
    """Raises TransferFailure, also for a status of 400 and above or a larger body."""
    transport = await engine.lines()
    call = _call(engine, check_url(url), origin)
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


async def transport_for_scripts(engine: Engine, origin: Origin) -> HttpxTransport:
    """httpx is loaded for it, in a thread."""
    module: Any = await asyncio.to_thread(
        importlib.import_module, "transfermon.wire.httpx_transport"
    )
    made: HttpxTransport = module.HttpxTransport(await engine.lines(), _call(engine, "", origin))
    return made


def _call(engine: Engine, url: str, origin: Origin) -> Call:
    return Call(url=url, origin=origin, allowed=frozenset(engine.allowed_hosts))
