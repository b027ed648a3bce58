"""Which transfers are so slow that they should not keep others waiting.

Rule: plain values in, plain values out; the clock and the counters are handed in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping

from transfermon.model.task import TaskKey

SLOW = 1_000  # bytes per second; less than it does not count against the tasks that may run
WINDOW = 60.0  # seconds that it must have been so slow


def by_our_doing(rates: Collection[tuple[float, int]]) -> bool:
    """Whether limits of ours may be why it is slow. Each is bytes per second, 0 for none, and how
    many share them.
    """
    return any(0 < rate < SLOW * max(1, sharing) for rate, sharing in rates)


class Pace:
    """Looks at the counters from time to time, and remembers a minute of them."""

    def __init__(self, window: float = WINDOW) -> None:
        self._window = window
        self._seen: dict[TaskKey, deque[tuple[float, int]]] = {}

    def __repr__(self) -> str:
        return f"<Pace of {len(self._seen)}>"

    def look(self, now: float, moved: Mapping[TaskKey, int]) -> set[TaskKey]:
        """The slow ones among the running transfers. `now` in monotonic seconds, `moved` their
        bytes so far.
        """
        for gone in self._seen.keys() - moved.keys():
            del self._seen[gone]
        return {key for key, count in moved.items() if self._is_slow(key, now, count)}

    def _is_slow(self, key: TaskKey, now: float, count: int) -> bool:
        seen = self._seen.setdefault(key, deque())
        if seen and count < seen[-1][1]:  # it started over
            seen.clear()
        seen.append((now, count))
        while len(seen) > 1 and now - seen[1][0] >= self._window:
            seen.popleft()
        began, first = seen[0]
        return now - began >= self._window and count - first < SLOW * (now - began)
