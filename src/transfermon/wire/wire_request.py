"""A request ready to be written, with a body that is counted and may be slowed down."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from transfermon.model.record import record
from transfermon.model.task import Progress
from transfermon.wire.rate_limit import Limiter


def field_bytes(value: str) -> bytes:
    """A field's value as it goes out: in Latin 1 where it can be, as fields are read."""
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8")


@record
class Outgoing:
    """The body of a request on its way out: who counts what the system has taken, and who slows it
    down.

    With `give` the bytes go from a file to the socket on another thread. It gets the socket, the
    count and the seconds of silence allowed.
    """

    counter: Progress
    limiters: Sequence[Limiter] = ()
    give: Callable[[socket.socket, int, float], Awaitable[Given]] | None = None
    # told what came before the final answer, perhaps twice
    heard: Callable[[bytes], None] | None = None


@record
class Given:
    """How the giving of a body ended."""

    count: int
    # None: all; else answered, closed, reset, stalled, cancelled, source or bug
    reason: str | None = None
    error: BaseException | None = None
    early: bytes = b""  # what the server said meanwhile


class WireRequest:
    """A request ready to be written. The head ends with its blank line."""

    __slots__ = ("body", "fields", "head", "keeps", "length", "method", "outgoing")

    def __init__(
        self,
        method: str,
        head: bytes,
        fields: Sequence[tuple[str, str]],
        *,
        body: bytes | AsyncIterator[bytes] | None = None,
        length: int | None = 0,
        keeps: bool = True,
        outgoing: Outgoing | None = None,
    ) -> None:
        self.method = method
        self.head = head
        self.fields = fields
        self.body = body
        self.length = length  # of the body; None: it goes out chunked
        self.keeps = keeps  # whether another request may follow on this connection
        self.outgoing = outgoing

    def __repr__(self) -> str:
        return f"<WireRequest {self.method} with {self.length} bytes>"
