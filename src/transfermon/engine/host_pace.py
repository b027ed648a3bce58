"""How many connections a server gets where nobody set a number: six, more for many small files
while it answers quickly, fewer when it says that it is too much.

Rule: nothing here looks at a clock or at a task; each answer is told of with its times, and the
number follows. Refusals of what was asked for before the number fell are of the same burst and count
once. It is forgotten with the engine: a server that was busy yesterday is asked anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from transfermon.model.configuration import USUAL_CONNECTIONS
from transfermon.model.translate import tr

USUAL: Final = USUAL_CONNECTIONS
MOST: Final = 16
SMALL: Final = 1 << 20  # bytes; for larger files more connections only share the same line
BUSY: Final = frozenset({429, 503})
WINDOW: Final = 8  # answers that are looked at together
PATIENCE: Final = 4 * WINDOW  # good answers after a refusal before one more connection is tried
QUIET: Final = 60.0  # seconds without a refusal that are as good, where answers are few
SLACK: Final = 0.030  # seconds that every answer may take longer, whatever the quickest took


class HostPace:
    """Of one origin."""

    __slots__ = ("_best", "_calm", "_changed", "_latencies", "_refused", "limit")

    def __init__(self) -> None:
        self.limit = USUAL
        self._best = 0.0  # the quickest median of a window, in seconds; 0.0: none yet
        self._latencies: deque[float] = deque(maxlen=WINDOW)
        self._refused = 0  # the last status that said so, until the number is the usual one again
        self._calm = 0  # good answers since then
        self._changed = 0.0  # when the number was last changed because of one

    def __repr__(self) -> str:
        return f"<HostPace {self.limit} connections>"

    def answered(self, status: int, *, began: float, given: float, came: float, size: int) -> None:
        """An answer: when its request began, when that was given whole, and when the first byte
        came, in monotonic seconds; `size` of the larger body of the two.
        """
        if status in BUSY:
            if not self._refused or began >= self._changed:
                self.limit = max(1, self.limit // 2)
            self._refused, self._calm, self._changed = status, 0, came
            self._latencies.clear()
        elif status < 500:
            self._latencies.append(max(0.0, came - given))
            self._calm += 1
            if self._refused:
                self._recover(came)
            elif size >= SMALL:
                self.limit = min(self.limit, USUAL)
            elif len(self._latencies) == WINDOW:
                self._judge()

    def _recover(self, now: float) -> None:
        if self._calm < PATIENCE and now - self._changed < QUIET:
            return
        self._calm, self._changed = 0, now
        self.limit += 1
        if self.limit >= USUAL:
            self._refused = 0

    def _judge(self) -> None:
        """One window of small answers: quick ones are a reason for more, slow ones for fewer."""
        now = _median(self._latencies)
        self._latencies.clear()
        self._best = min(self._best, now) if self._best else now
        if now <= 1.5 * self._best + SLACK:
            self.limit = min(MOST, self.limit + 2)
        elif now > 3 * self._best + SLACK:
            self.limit = max(USUAL, self.limit - 2)

    def reason(self, held: int) -> str:
        """How many there are now, how many there may be, and why, for a person."""
        if self._refused:
            text = tr("{held} of {most}: the server said that more are too many ({status})")
        elif self.limit > USUAL:
            text = tr("{held} of {most}: its small files come quickly")
        else:
            text = tr("{held} of {most}, as browsers have")
        return text.format(held=held, most=self.limit, status=self._refused)


def _median(window: Collection[float]) -> float:
    """Of an even number; `statistics` takes longer to load than a small file to come."""
    ordered, middle = sorted(window), len(window) // 2
    return (ordered[middle - 1] + ordered[middle]) / 2


def base_of(url: str) -> str:
    """The part of an address by which connections are counted: scheme://host:port as it stands."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class HostPaces:
    """Of every origin that was asked."""

    def __init__(self) -> None:
        self._paces: dict[str, HostPace] = {}

    def __repr__(self) -> str:
        return f"<HostPaces {len(self._paces)}>"

    def pace_of(self, origin: str) -> HostPace:
        """`origin` is scheme://host:port as the address has it."""
        pace = self._paces.get(origin)
        if pace is None:
            pace = self._paces[origin] = HostPace()
        return pace

    def limit(self, origin: str) -> int:
        pace = self._paces.get(origin)
        return USUAL if pace is None else pace.limit
