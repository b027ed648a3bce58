"""How fast bytes may go: token buckets, shared by whoever should be slow together."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence


class Limiter:
    """A token bucket of bytes per second, shared by whoever should be slow together; any thread may
    use it.

    The bucket holds a tenth of a second, so what passes is smooth and no second exceeds the rate by
    more.
    """

    PIECE = 256 * 1024

    def __init__(self, rate: float = 0) -> None:
        self._lock = threading.Lock()
        self._rate = float(rate)
        self._tokens = self._capacity
        self._then = time.monotonic()

    def __repr__(self) -> str:
        return f"<Limiter {self._rate:.0f} bytes/s>"

    @property
    def rate(self) -> float:
        """Bytes per second; 0 lets everything pass. A new value acts within a tenth of a second."""
        return self._rate

    @rate.setter
    def rate(self, value: float) -> None:
        with self._lock:
            self._refill()
            self._rate = float(value)
            self._tokens = min(self._tokens, self._capacity)

    @property
    def piece(self) -> int:
        """The smallest amount worth a system call at this rate."""
        return max(1, min(self.PIECE, int(self._rate / 20))) if self._rate > 0 else self.PIECE

    def take(self, wanted: int) -> int:
        """How many of `wanted` bytes may pass now; 0 means wait for `delay()`."""
        if self._rate <= 0:  # most: nothing is counted, so nothing is to be guarded
            return wanted
        with self._lock:
            if self._rate <= 0:
                return wanted
            self._refill()
            if self._tokens < min(wanted, self.piece):
                return 0
            granted = min(wanted, int(self._tokens))
            self._tokens -= granted
            return granted

    def charge(self, count: int) -> None:
        """Count bytes that passed unasked, such as those that came with a head; later ones wait for
        them.
        """
        with self._lock:
            if self._rate > 0:
                self._refill()
                self._tokens -= count

    def give_back(self, count: int) -> None:
        if self._rate <= 0:
            return
        with self._lock:
            self._tokens = min(self._tokens + count, self._capacity)

    def delay(self) -> float:
        """Seconds until the next piece may pass."""
        with self._lock:
            if self._rate <= 0:
                return 0.0
            self._refill()
            return min(1.0, max(0.0, (self.piece - self._tokens) / self._rate))

    @property
    def _capacity(self) -> float:
        return max(1.0, self._rate / 10)

    def _refill(self) -> None:
        now = time.monotonic()
        self._tokens = min(self._tokens + (now - self._then) * self._rate, self._capacity)
        self._then = now


def admitted(limiters: Sequence[Limiter], wanted: int) -> tuple[int, float]:
    """What all limiters together let pass now, and, when that is nothing, the seconds to wait."""
    granted = wanted
    for index, limiter in enumerate(limiters):
        share = limiter.take(granted)
        for earlier in limiters[:index]:
            earlier.give_back(granted - share)
        granted = share
        if not granted:
            return 0, max(0.001, limiter.delay())
    return granted, 0.0


def give_back(limiters: Sequence[Limiter], count: int) -> None:
    """Return what was admitted and did not arrive."""
    if count > 0:
        for limiter in limiters:
            limiter.give_back(count)
