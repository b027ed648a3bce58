"""Commands for many transfers, in slices, so that ten thousand do not stall the window."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from transfermon.model.errors import InvalidAction
from transfermon.model.task import TaskKey

SLICE = 0.002  # seconds of commands before the window gets its turn


async def in_slices(keys: Sequence[TaskKey], command: Callable[[TaskKey], object]) -> None:
    """Give it to each that can still take it."""
    begin = time.monotonic()
    for key in keys:
        tolerant(command, key)
        if time.monotonic() - begin > SLICE:
            await asyncio.sleep(0)
            begin = time.monotonic()


def tolerant(command: Callable[[TaskKey], object], key: TaskKey) -> None:
    """A command to a task that may have moved on, or gone, since the person looked."""
    try:
        command(key)
    except (KeyError, InvalidAction):
        return
