"""Timings and byte counts of what was sent for a task (T-19).

Rule: what is stored with a task are rows, short and closed; `TransactionMetrics` is how programs
see a row. Times are epoch seconds; those of things that did not happen are None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transfermon.model.record import mutable, record

MOST_KEPT = 64  # transactions of one task; of more the oldest are dropped
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@record
class TransactionMetrics:
    """One request and its answer: an attempt, or a redirect on the way. The order of the fields is
    that of a row.
    """

    attempt: int
    method: str
    url: str  # redacted
    status: int | None = None  # None: no answer came
    fetch_start: float | None = None
    domain_lookup_start: float | None = None  # None: an address, or a connection that was open
    domain_lookup_end: float | None = None
    connect_start: float | None = None
    connect_end: float | None = None  # with TLS its end too
    secure_connection_start: float | None = None
    secure_connection_end: float | None = None
    request_start: float | None = None
    request_end: float | None = None
    response_start: float | None = None  # the first byte of the head
    response_end: float | None = None  # the last byte of the body that was read
    network_protocol_name: str = ""
    is_reused_connection: bool = False
    remote_address: str = ""
    request_header_bytes: int = 0
    request_body_bytes: int = 0
    response_header_bytes: int = 0
    response_body_bytes: int = 0  # as received, in the coding of the transfer

    @property
    def request(self) -> str:
        """The request line, redacted."""
        return f"{self.method} {self.url}"

    @property
    def response(self) -> int | None:
        """The status of the answer; None when none came."""
        return self.status


@record
class TaskMetrics:
    """What a task remembers of its time and of its requests (T-19)."""

    # from its making to its end; None while it is outstanding
    task_interval: tuple[float, float | None]
    redirect_count: int
    transactions: tuple[TransactionMetrics, ...]  # oldest first; the newest 64 of them


@mutable
class Trace:
    """The clock marks of one exchange while it happens, in monotonic seconds; the transport and its
    user fill it in.
    """

    method: str
    url: str  # redacted
    fetch_start: float
    status: int | None = None
    reused: bool = False
    remote_address: str = ""
    protocol: str = ""
    lookup: tuple[float, float] | None = None
    connect: tuple[float, float] | None = None
    secure: tuple[float, float] | None = None
    request: tuple[float, float] | None = None
    response_start: float | None = None
    response_end: float | None = None
    request_header_bytes: int = 0
    request_body_bytes: int = 0
    response_header_bytes: int = 0
    response_body_bytes: int = 0

    def row(self, attempt: int, wall_minus_monotonic: float) -> tuple[Any, ...]:
        """What is stored of it."""

        def at(moment: float | None) -> float | None:
            return None if moment is None else round(moment + wall_minus_monotonic, 6)

        def both(pair: tuple[float, float] | None) -> tuple[float | None, float | None]:
            return (None, None) if pair is None else (at(pair[0]), at(pair[1]))

        lookup, connect, secure, request = (
            both(p) for p in (self.lookup, self.connect, self.secure, self.request)
        )
        return (  # in the order of the fields of `TransactionMetrics`
            attempt,
            self.method,
            self.url,
            self.status,
            at(self.fetch_start),
            *lookup,
            connect[0],
            secure[1] if secure[1] is not None else connect[1],
            *secure,
            *request,
            at(self.response_start),
            at(self.response_end),
            self.protocol,
            self.reused,
            self.remote_address,
            self.request_header_bytes,
            self.request_body_bytes,
            self.response_header_bytes,
            self.response_body_bytes,
        )


_FIELDS = tuple(TransactionMetrics.__dataclass_fields__)


def task_metrics(
    added: float, finished: float | None, redirect_count: int, rows: Sequence[Sequence[Any]]
) -> TaskMetrics:
    """From what is stored; a row of an older version lacks its last fields."""
    transactions = tuple(
        TransactionMetrics(**dict(zip(_FIELDS, row, strict=False))) for row in rows
    )
    return TaskMetrics(
        task_interval=(added, finished), redirect_count=redirect_count, transactions=transactions
    )
