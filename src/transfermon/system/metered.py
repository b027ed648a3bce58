"""Whether the network is metered: NetworkManager knows, and says when that changes.

Rule: nobody polls, and nobody waits for a bus. Where NetworkManager is not there, or does not know,
a network counts as not metered. While it connects, starts or is away for a moment it is not known;
what must not use a metered network then waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from transfermon.model.record import record
from transfermon.system.bus_line import ANSWER, DAEMON, BusLine
from transfermon.system.runners import Runners

log = logging.getLogger(__name__)

NETWORK_MANAGER = "org.freedesktop.NetworkManager"
PATH = "/org/freedesktop/NetworkManager"
PROPERTIES = "org.freedesktop.DBus.Properties"
PATIENCE = 30.0  # seconds without news, after which what is not known yet counts as not metered
_SETTLE = 0.05  # seconds; one change of the network is a burst of signals
_CONNECTING = 40  # NMState: there is no network yet, and one is on its way
_CHANGES = (
    f"type='signal',sender='{NETWORK_MANAGER}',path='{PATH}',"
    f"interface='{PROPERTIES}',member='PropertiesChanged',arg0='{NETWORK_MANAGER}'"
)
_COMING_AND_GOING = (
    f"type='signal',sender='{DAEMON}',interface='{DAEMON}',"
    f"member='NameOwnerChanged',arg0='{NETWORK_MANAGER}'"
)


@record
class Word:
    """What NetworkManager says of the network."""

    metered: bool | None  # None: it is not known yet
    in_words: str


_WORDS = {  # by NMMetered
    1: Word(metered=True, in_words="metered, says NetworkManager"),
    2: Word(metered=False, in_words="not metered, says NetworkManager"),
    3: Word(metered=True, in_words="metered, guesses NetworkManager"),
    4: Word(metered=False, in_words="not metered, guesses NetworkManager"),
}
_UNKNOWN: Final = Word(metered=False, in_words="taken as not metered: NetworkManager does not know")
_ON_ITS_WAY: Final = Word(metered=None, in_words="not known yet: NetworkManager connects")
_ABSENT: Final = Word(metered=False, in_words="taken as not metered: no NetworkManager answers")
_AWAY: Final = Word(metered=None, in_words="not known now: NetworkManager has gone")


def judged(said: Mapping[str, Any]) -> Word:
    """Of the properties of NetworkManager's object. Its own guesses count as knowledge."""
    word = _WORDS.get(said.get("Metered", 0))
    if word is not None:
        return word
    on_its_way = said.get("State") == _CONNECTING or said.get("Startup")
    return _ON_ITS_WAY if on_its_way else _UNKNOWN


class MeteredWatch:
    """Asks NetworkManager, and follows it from then on."""

    def __init__(self) -> None:
        self._runners = Runners()

    def __repr__(self) -> str:
        return f"<MeteredWatch {'watching' if len(self._runners) else 'idle'}>"

    def watch(self, tell: Callable[[bool | None], None]) -> None:
        """`tell` gets what is known: once soon, and again when it may have changed; None while it
        is not known. Returns at once.
        """
        self._runners.spawn(self._watch(tell), "listening to NetworkManager")

    async def close(self) -> None:
        await self._runners.close()

    async def _watch(self, tell: Callable[[bool | None], None]) -> None:
        line = BusLine("SYSTEM")
        try:
            await _follow(line, tell)
        except Exception as exc:  # noqa: BLE001 - no library, no bus: each has its exceptions
            log.debug("nobody says whether the network is metered: %s: %s", type(exc).__name__, exc)
        finally:
            line.close()
            await line.closed()
        tell(False)


async def _follow(line: BusLine, tell: Callable[[bool | None], None]) -> None:
    """Until the bus ends."""
    news = asyncio.Event()

    def hear(message: Any) -> None:
        if message.member in ("PropertiesChanged", "NameOwnerChanged"):
            news.set()

    async with asyncio.timeout(ANSWER):
        await line.connect()
        for rule in (_CHANGES, _COMING_AND_GOING):
            await line.follow(rule, hear)
    ending = asyncio.ensure_future(line.lost())
    ending.add_done_callback(lambda _: news.set())
    before, impatient = _ABSENT, False
    while not ending.done():
        news.clear()
        word = await _asked(line)
        if word is _ABSENT and before is not _ABSENT:
            word = _AWAY
        if word is not before:
            before, impatient = word, False
        metered = False if impatient and word.metered is None else word.metered
        tell(metered)
        try:
            async with asyncio.timeout(PATIENCE if metered is None else None):
                await news.wait()
        except TimeoutError:
            impatient = True
        else:
            await asyncio.sleep(_SETTLE)


async def _asked(line: BusLine) -> Word:
    try:
        async with asyncio.timeout(ANSWER):
            (said,) = await line.call(
                NETWORK_MANAGER, PATH, PROPERTIES, "GetAll", "s", NETWORK_MANAGER
            )
    except (TimeoutError, ConnectionRefusedError) as exc:
        log.debug("no word from NetworkManager: %s", exc)
        return _ABSENT
    return judged({name: variant.value for name, variant in said.items()})


async def metered_now() -> Word:
    """What NetworkManager says now, asked once."""
    line = BusLine("SYSTEM")
    try:
        async with asyncio.timeout(ANSWER):
            await line.connect()
        return await _asked(line)
    except Exception as exc:  # noqa: BLE001 - no library, no bus: each has its exceptions
        log.debug("nobody says whether the network is metered: %s: %s", type(exc).__name__, exc)
        return _ABSENT
    finally:
        line.close()
        await line.closed()
