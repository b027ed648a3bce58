"""The sleep of the computer: told of before it, and after it.

Rule: nobody waits for a bus. Where logind is not there, a sleep is like a network that was gone for
a while: the connections are found dead when they are used.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from transfermon.model.task import changed
from transfermon.system.bus_line import ANSWER, BusLine
from transfermon.system.runners import Runners
from transfermon.system.stay_awake import SERVICES, WHO, inhibit

log = logging.getLogger(__name__)

BEFORE = 4.0  # seconds for what is done before; logind waits for five
AWAKE = 60.0  # seconds awake after which nobody waits for the word any more that it has woken
_LOGIND = changed(SERVICES[0], body=("sleep", WHO, "Transfers are stored first", "delay"))
_RULE = "type='signal',interface='org.freedesktop.login1.Manager',member='PrepareForSleep'"


class Sleep:
    """Asks logind to wait a moment before the computer sleeps, and says when it has woken."""

    def __init__(self) -> None:
        self._runners = Runners()

    def __repr__(self) -> str:
        return f"<Sleep {'watched' if len(self._runners) else 'not watched'}>"

    def watch(self, before: Callable[[], Awaitable[None]], after: Callable[[], None]) -> None:
        """From now on `before` is awaited before each sleep, for `BEFORE` seconds at most, and
        `after` called when it is over. Returns at once; without logind neither happens.
        """
        self._runners.spawn(self._watch(before, after), "listening for the computer's sleep")

    async def close(self) -> None:
        await self._runners.close()

    async def _watch(
        self, before: Callable[[], Awaitable[None]], after: Callable[[], None]
    ) -> None:
        told: asyncio.Queue[bool] = asyncio.Queue()

        def hear(message: Any) -> None:
            if message.member == "PrepareForSleep" and message.interface == _LOGIND.interface:
                told.put_nowait(bool(message.body[0]))

        line = BusLine(_LOGIND.bus)
        try:
            async with asyncio.timeout(ANSWER):
                await line.connect()
                await line.follow(_RULE, hear)
                await inhibit(line, _LOGIND)
            going = False
            while True:
                try:
                    # this clock stands still in a sleep
                    async with asyncio.timeout(AWAKE if going else None):
                        going = await told.get()
                except (
                    TimeoutError
                ):  # logind ended meanwhile, or its word was lost: transfers must not wait for ever
                    going = False
                if going:
                    await _in_time(before)
                    line.drop()
                else:
                    after()
                    async with asyncio.timeout(ANSWER):
                        await inhibit(line, _LOGIND)
        except Exception as exc:  # noqa: BLE001 - no library, bus or service, a refusal: each has its exceptions
            log.debug("nobody says when the computer sleeps: %s: %s", type(exc).__name__, exc)
        finally:
            line.close()
            await line.closed()


async def _in_time(before: Callable[[], Awaitable[None]]) -> None:
    try:
        async with asyncio.timeout(BEFORE):
            await before()
    except TimeoutError:
        log.warning("the computer sleeps before everything was stored")
