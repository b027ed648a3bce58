"""An answer that h11 reads: whatever is not plain, from its first byte on.

Rule: h11 gets the header blocks healed and whole, and is told of the request what an answer to it
depends on. How the request's body went out is not its business.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import h11

from transfermon.http.framing import is_beyond_files
from transfermon.wire.network_errors import BadAnswer, BadRequest

LIMIT = 100 * 1024  # bytes that may lie there without a whole line or head

Fields = list[tuple[bytes, bytes]]


class UnusualHead(NamedTuple):
    """A final head as h11 reads it; its fields may be those of any framing."""

    status: int
    fields: tuple[tuple[str, str], ...]
    version: str
    reason: str


def checked_head(method: str, target: str, fields: Fields) -> bytes:
    """The head of a request as h11 writes it. Raises BadRequest for what must not be sent."""
    try:
        request = h11.Request(method=method, target=target, headers=fields)
        return h11.Connection(h11.CLIENT).send(request) or b""
    except h11.LocalProtocolError as exc:
        raise BadRequest(str(exc)) from exc


class UnusualAnswer:
    """The answer to one request; `fields` are its own but for those of its body."""

    def __init__(self, method: str, fields: Fields) -> None:
        self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=LIMIT)
        self._parser.send(h11.Request(method=method, target="/", headers=fields))
        self._parser.send(h11.EndOfMessage())
        self._ended = False

    def __repr__(self) -> str:
        return f"<UnusualAnswer {self._parser.their_state}>"

    def head(self, block: bytes) -> UnusualHead | None:
        """What a header block says; None for an interim answer. Raises BadAnswer."""
        self._parser.receive_data(block)
        event = self._next_event()
        if not isinstance(event, h11.Response | h11.InformationalResponse):
            raise BadAnswer(f"no head: {event}")
        if isinstance(event, h11.InformationalResponse) and event.status_code != 101:
            return None
        fields = event.headers.raw_items()
        if any(
            name.lower() == b"content-length" and is_beyond_files(text) for name, text in fields
        ):
            raise BadAnswer("no file can have that length")
        return UnusualHead(
            status=event.status_code,
            fields=tuple((name.decode("latin-1"), text.decode("latin-1")) for name, text in fields),
            version=f"HTTP/{event.http_version.decode('ascii', 'replace')}",
            reason=event.reason.decode("ascii", "ignore"),
        )

    async def next_chunk(self, read: Callable[[], Awaitable[bytes]]) -> bytes:
        """The next bytes of the body, from what `read` brings; b"" at its end. Raises BadAnswer."""
        while not self._ended:
            event = self._next_event()
            if event is h11.NEED_DATA:
                self._parser.receive_data(await read())
            elif isinstance(event, h11.Data):
                return bytes(event.data)
            else:
                self._ended = True
        return b""

    @property
    def keeps(self) -> bool:
        """Whether the body was seen to its end, and another request may follow."""
        return self._parser.our_state is h11.DONE and self._parser.their_state is h11.DONE

    def _next_event(self) -> object:
        try:
            return self._parser.next_event()
        except h11.RemoteProtocolError as exc:
            raise BadAnswer(str(exc)) from exc
