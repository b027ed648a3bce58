"""One client of the control socket: its requests, answered one after the other, and the events that
it follows.

Rule: every byte goes out through `ControlConnection.send`, which waits for slow readers and gives way to
the window every 2 ms.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import h11

from transfermon.control.answers import ApiAnswer, problem_answer
from transfermon.control.api import Api, events_since
from transfermon.control.json_records import event_dict
from transfermon.control.orders import number_of, reason_of
from transfermon.model.events import DownloadProgressEvent, Event, UploadProgressEvent
from transfermon.system.runners import LongWork

if TYPE_CHECKING:  # handed in
    from transfermon.engine.monitor import Monitor

LARGEST_BODY = 1 << 20  # bytes
PIECE = 32768  # bytes of events in one write
PATIENCE = 30.0  # seconds that a request may take to arrive
BACKLOG = 2000  # live events that wait for one follower; after that it catches up from the journal


class Feed:
    """The events for one follower: from the journal first, then live, none missing and none twice.

    What a slow one does not take is not kept for it: it catches up from the journal.
    """

    def __init__(
        self, monitor: Monitor, since: int, *, progress: bool, wake: asyncio.Event
    ) -> None:
        self._monitor = monitor
        self._since = since
        self._progress = progress
        self._wake = wake
        self._behind = True
        self._live: deque[Event] = deque()
        self.leave = monitor.subscribe(self._take)

    def _take(self, event: Event) -> None:
        if not self._progress and isinstance(event, DownloadProgressEvent | UploadProgressEvent):
            return
        if not self._behind:
            if len(self._live) < BACKLOG:
                self._live.append(event)
            else:
                self._behind = True
        self._wake.set()

    async def batches(self) -> AsyncIterator[Event]:
        """Everything there is now; call it again when `wake` is set."""
        while True:
            while self._live:
                event = self._live.popleft()
                if self._is_new(event):
                    yield event
            if not self._behind:
                return
            self._behind = False  # from here on live events are kept, while the journal is read
            for event in await events_since(self._monitor, self._since):
                if self._is_new(event):
                    yield event

    def _is_new(self, event: Event) -> bool:
        if not event.journalled:
            return True
        if event.sequence <= self._since:
            return False
        self._since = event.sequence
        return True


class ControlConnection:
    """One client. Raises OSError when it goes away."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, api: Api, monitor: Monitor
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._api = api
        self._monitor = monitor
        self.answering = False
        self.last = False  # no request after this one
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=65536)
        self._turns = LongWork()

    def abort(self) -> None:
        self._writer.transport.abort()

    async def serve(self) -> None:
        """Requests one after the other, until either side has enough."""
        try:
            while await self._exchange():
                self._http.start_next_cycle()
        except h11.RemoteProtocolError as exc:
            if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                status = 413 if isinstance(exc, _TooLarge) else exc.error_status_hint or 400
                await self._reply(problem_answer(status, reason_of(exc)))

    async def _exchange(self) -> bool:
        async with asyncio.timeout(PATIENCE):
            request = await self._next()
            if not isinstance(request, h11.Request):
                return False
            body = await self._body(request)
        method, target = request.method.decode("ascii"), request.target.decode("ascii", "replace")
        path, _, query = target.partition("?")
        if method == "GET" and path == "/v1/events":
            await self._events(query)
        else:
            self.answering = True
            answer = await self._api.answer(method, target, body)
            await self._reply(answer)
            self.answering = False
            if answer.then is not None:
                answer.then()
        return (
            not self.last
            and self._http.our_state is h11.DONE
            and self._http.their_state is h11.DONE
        )

    async def _next(self) -> h11.Event | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(65536))
        return event  # type: ignore[return-value]  # NEED_DATA is used up above

    async def _body(self, request: h11.Request) -> bytes:
        announced = dict(request.headers).get(b"content-length", b"0")
        if int(announced) > LARGEST_BODY:
            raise _TooLarge("The body is larger than 1 MiB")
        if self._http.they_are_waiting_for_100_continue:
            await self.send(h11.InformationalResponse(status_code=100, headers=[]))
        body = bytearray()
        while isinstance(event := await self._next(), h11.Data):
            body += event.data
            if len(body) > LARGEST_BODY:
                raise _TooLarge("The body is larger than 1 MiB")
        return bytes(body)

    async def _reply(self, answer: ApiAnswer) -> None:
        data = await self._encoded(answer.body)
        kind = "application/problem+json" if answer.status >= 400 else "application/json"
        headers = [
            ("content-type", kind),
            ("content-length", str(len(data))),
            ("cache-control", "no-store"),
        ]
        if answer.allow:
            headers.append(("allow", answer.allow))
        await self.send(
            h11.Response(status_code=answer.status, headers=headers),
            h11.Data(data=data),
            h11.EndOfMessage(),
        )

    async def _encoded(self, body: Mapping[str, Any]) -> bytes:
        """JSON, a list item by item: ten thousand tasks take a while, and the encoder itself never
        gives way.
        """
        fields = []
        for key, value in body.items():
            if isinstance(value, list):
                items = []
                for item in value:
                    items.append(json.dumps(item))
                    await self._turns.give_way()
                text = f"[{', '.join(items)}]"
            else:
                text = json.dumps(value)
            fields.append(f"{json.dumps(key)}: {text}")
        return f"{{{', '.join(fields)}}}".encode()

    async def _events(self, query: str) -> None:
        try:
            since, follow, progress = (
                number_of(query, name) for name in ("since", "follow", "progress")
            )
        except ValueError as exc:
            await self._reply(problem_answer(400, str(exc)))
            return
        wake = asyncio.Event()
        feed = Feed(self._monitor, since, progress=bool(progress), wake=wake)
        # a follower may leave while nothing happens
        gone = asyncio.ensure_future(self._reader.read(1))
        gone.add_done_callback(lambda _: wake.set())
        headers = [("content-type", "application/x-ndjson"), ("transfer-encoding", "chunked")]
        try:
            await self.send(h11.Response(status_code=200, headers=headers))
            while not gone.done():
                wake.clear()
                await self._lines(feed)
                if not follow:
                    break
                await wake.wait()
            if not gone.done():
                await self.send(h11.EndOfMessage())
        finally:
            feed.leave()
            gone.cancel()
            await asyncio.wait([gone])
            if not gone.cancelled():
                gone.exception()  # seen: a reset ends it like an end

    async def _lines(self, feed: Feed) -> None:
        lines: list[bytes] = []
        size = 0
        async for event in feed.batches():
            line = json.dumps(event_dict(event)).encode() + b"\n"
            lines.append(line)
            size += len(line)
            if size >= PIECE:
                await self.send(h11.Data(data=b"".join(lines)))
                lines, size = [], 0
        if lines:
            await self.send(h11.Data(data=b"".join(lines)))

    async def send(self, *events: h11.Event) -> None:
        """Neither `drain` nor the handlers suspend while a client keeps up: without the pause the
        window stalls.
        """
        for event in events:
            if data := self._http.send(event):
                self._writer.write(data)
        await self._writer.drain()
        await self._turns.give_way()


class _TooLarge(h11.RemoteProtocolError):
    pass
