"""The real push channel: ntfy's JSON stream, one connection for all topics.

Rule: it only listens. What a message may do is decided in `payload`, `wakes` and where the address
is used; whatever comes is either delivered once, or entered in the ledger with the reason why not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from enum import Enum
from typing import Any
from urllib.parse import quote

from transfermon.engine.ntfy import DELETE, KEEPALIVE, MESSAGE, OPEN, NtfyLine, line_of, payload_in
from transfermon.engine.push_memory import Changes, PushMemory
from transfermon.engine.shared import Engine
from transfermon.engine.wake_engine import Background
from transfermon.model.errors import Code, TransferFailure
from transfermon.model.events import PushChannelEvent
from transfermon.model.record import record
from transfermon.model.task import Origin
from transfermon.model.translate import marked, tr
from transfermon.storage.changes import Change
from transfermon.wire.call import Call

log = logging.getLogger(__name__)
SECRETS = "push channel"  # the owner of its headers in the vault
IDLE = 77.0  # seconds without a byte; the server says something every 45
LINE_LIMIT = 64 * 1024  # bytes; a longer line is no push
BACK_OFF_FIRST, BACK_OFF_MOST = 2.0, 120.0
_UNUSABLE = frozenset({Code.BAD_URL, Code.UNSUPPORTED_URL})
_FINAL = {
    401: "it wants a token",
    403: "it does not let you read this topic",
    404: "there is no such topic",
}


class ChannelState(Enum):
    OFF = "off"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    WAITING = "waiting"  # until the next try
    # by the server, or the address is unusable; no other try until the settings change
    REFUSED = "refused"


_WORDS = {
    ChannelState.OFF: marked("Push channel off"),
    ChannelState.CONNECTING: marked("Push channel connecting"),
    ChannelState.CONNECTED: marked("Push channel connected"),
}


@record
class ChannelStatus:
    """What is known of the channel. `at` is in epoch seconds: connected since, or waiting until."""

    state: ChannelState = ChannelState.OFF
    reason: str = ""
    at: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        return {"state": self.state.value, "reason": self.reason, "at": self.at}

    @property
    def words(self) -> str:
        if self.state is ChannelState.REFUSED:
            return tr("Push channel refused: {reason}").format(reason=self.reason)
        if self.state is ChannelState.WAITING:
            return tr("Push channel waiting: {reason}").format(reason=self.reason)
        return tr(_WORDS[self.state])


class PushChannel:
    """Runs while the settings say so. Made and used on the loop."""

    def __init__(self, engine: Engine, background: Background) -> None:
        self._engine = engine
        self._background = background
        self._status = ChannelStatus()
        self._runner: asyncio.Task[None] | None = None
        self._memory = PushMemory()
        self._wanted: tuple[Any, ...] = ()
        self._ready = False

    def __repr__(self) -> str:
        return f"<PushChannel {self._status.state.value}>"

    @property
    def status(self) -> ChannelStatus:
        return self._status

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where a sender publishes."""
        settings = self._engine.settings
        return tuple(
            f"{settings.push_server.rstrip('/')}/{quote(topic)}" for topic in settings.push_topics
        )

    @property
    def has_token(self) -> bool:
        """Whether a token of the server's is kept."""
        return bool(self._engine.vault.get(SECRETS))

    def restore(self, values: Mapping[str, str]) -> None:
        """Take back how far it was; another server and other topics begin anew."""
        self._memory = PushMemory.restored(values, self._server, self._topics)

    def ready(self) -> None:
        """Listen from now on, if it is switched on."""
        self._ready = True
        self.settings_changed()

    def close(self) -> None:
        self._ready = False
        self._keep(self._memory.unsaved())
        if self._runner is not None:
            self._runner.cancel()

    def settings_changed(self) -> None:
        """Start, stop, or begin again at another address."""
        settings = self._engine.settings
        on = settings.push_enabled and bool(settings.push_topics)
        wanted = (
            (settings.push_server, settings.push_topics, self._engine.vault.get(SECRETS))
            if on
            else ()
        )
        if not self._ready or wanted == self._wanted:
            return
        self._wanted = wanted
        if wanted and (self._memory.server, self._memory.topics) != (self._server, self._topics):
            self._memory = PushMemory(self._server, self._topics)
        if self._runner is not None:
            self._runner.cancel()
            self._runner = None
        if wanted:
            self._runner = self._engine.runners.spawn(self._run(), "push channel")
        else:
            self._say(ChannelStatus())

    @property
    def _server(self) -> str:
        return self._engine.settings.push_server.rstrip("/")

    @property
    def _topics(self) -> str:
        return ",".join(self._engine.settings.push_topics)

    async def _run(self) -> None:
        failures = 0
        while True:
            self._say(ChannelStatus(state=ChannelState.CONNECTING))
            delay = 0.0
            try:
                status, delay = await self._listen()
                if status in _FINAL:
                    self._say(
                        ChannelStatus(
                            state=ChannelState.REFUSED, reason=f"{_FINAL[status]} ({status})."
                        )
                    )
                    return
                reason = (
                    f"the server answered {status}."
                    if status != 200
                    else "the server closed the connection."
                )
                if status == 200:
                    failures = 0
                elif status == 400 and self._memory.placed:
                    self._keep(self._memory.drop_place())  # it does not understand where to go on
                    continue
            except TransferFailure as failure:
                reason = failure.title
                if failure.error.code in _UNUSABLE:
                    self._say(ChannelStatus(state=ChannelState.REFUSED, reason=reason))
                    return
                if self._status.state is ChannelState.CONNECTED:
                    failures = 0
            wait = delay or back_off(failures, self._engine.random())
            failures += 1
            until = self._engine.now() + wait
            self._say(ChannelStatus(state=ChannelState.WAITING, reason=reason, at=until))
            await self._until(until)

    async def _until(self, when: float) -> None:
        come = asyncio.Event()
        timer = self._engine.clock.at(when, come.set)
        try:
            await come.wait()
        finally:
            timer.cancel()

    async def _listen(self) -> tuple[int, float]:
        """One connection to its end: the status, and how long the server asked to wait."""
        transport = await self._engine.lines()
        url = f"{self._server}/{quote(self._topics, safe=',')}/json"
        if since := self._memory.began():
            url += f"?since={since}"
        headers = {"Accept-Encoding": "identity", **self._engine.vault.get(SECRETS)}
        call = Call(
            url=url,
            headers=headers,
            origin=Origin.TYPED,
            session=SECRETS,
            idle_timeout=IDLE,
            secret_path=True,
        )
        answer = await transport.open(call)
        try:
            if answer.response.status != 200:
                return answer.response.status, _asked_wait(answer.response.headers)
            self._say(ChannelStatus(state=ChannelState.CONNECTED, at=self._engine.now()))
            async for line in lines(answer.chunks()):
                self._take(line)
            return 200, 0.0
        finally:
            await answer.aclose()

    def _take(self, text: bytes) -> None:
        try:
            line = line_of(text)
        except ValueError:
            log.warning("the push channel sent a line that is no JSON")
            return
        if line is None or line.event not in (OPEN, KEEPALIVE, MESSAGE, DELETE):
            return  # message_clear, poll_request, and what later versions may say
        known = self._memory.knows(line.identifier)
        self._keep(self._memory.heard(line))
        if line.event in (MESSAGE, DELETE) and not known:
            self._judge(line)

    def _judge(self, line: NtfyLine) -> None:
        if line.topic not in self._engine.settings.push_topics:
            self._background.refuse(
                None, source="ntfy", reason="It came for a topic that nobody asked for."
            )
        elif line.event == DELETE:
            self._background.take_back(f"{line.topic}/{line.sequence}")
        elif 0 < line.expires < self._engine.now():
            self._background.refuse(None, source="ntfy", reason="It has expired.")
        else:
            self._deliver(line)

    def _deliver(self, line: NtfyLine) -> None:
        try:
            payload = payload_in(line.said, self._engine.now())
            self._background.push(
                payload, by_hand=False, source="ntfy", sequence=f"{line.topic}/{line.sequence}"
            )
        except ValueError as exc:
            self._background.refuse(None, source="ntfy", reason=str(exc))

    def _keep(self, changes: Changes) -> None:
        for value in changes:
            self._engine.store.commit(Change(value=value))

    def _say(self, status: ChannelStatus) -> None:
        if status != self._status:
            self._status = status
            self._engine.record(PushChannelEvent(channel=status))


def back_off(failures: int, random: float) -> float:
    """Seconds before the next try: 2 s, doubled by each failure up to 2 min, with up to half taken
    off by jitter.
    """
    return min(BACK_OFF_MOST, BACK_OFF_FIRST * float(2 ** min(failures, 10))) * (1 - random / 2)


async def lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Split at line feeds only: JSON text may hold U+0085 and U+2028. A line over 64 KiB is left
    out, and so is one that a cut has left without its end.
    """
    rest, skipping = b"", False
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            if not skipping and line.strip() and len(line) <= LINE_LIMIT:
                yield line
            skipping = False
        if len(rest) > LINE_LIMIT:
            rest, skipping = b"", True


def _asked_wait(headers: tuple[tuple[str, str], ...]) -> float:
    """Seconds of Retry-After, at most an hour; 0 when there is none."""
    for name, value in headers:
        if name.lower() == "retry-after" and value.isascii() and value.isdigit():
            return min(3600.0, float(value))
    return 0.0
