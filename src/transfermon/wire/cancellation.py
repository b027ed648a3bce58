"""Awaiting what must not be left half done, also by whoever is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def until_done(work: Awaitable[T]) -> T:
    """The result, awaited to the end even when we are cancelled: a thread may still use the
    descriptors.
    """
    future = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            try:
                await asyncio.wait({future})
            except asyncio.CancelledError:
                continue
        if not future.cancelled():
            future.exception()  # seen; the cancel is what counts
        raise
