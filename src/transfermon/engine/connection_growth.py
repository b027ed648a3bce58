"""When one more connection for the same file is worth it.

Rule: plain values in, plain values out; the clock and the counters are handed in.

A connection is added when the rate has stopped growing, and another one as long as the last one
made all of them together a fifth faster. Some servers send in bursts with half a second between
two: then a rate is measured over that time at the least, and nobody decides in the first silence.
None is added where all of them fill a fast line, or this process is as busy as it can be: then it
is not the server that is slow. One whose first packets had to stand in line behind the bytes of the
others tells that the line is full, before it has brought anything; another one is tried later.
"""

from __future__ import annotations

from collections import deque

LEAST_WINDOW = 0.25  # seconds over which a rate is measured at the least
MOST_WINDOW = 2.0  # and at the most
ROUND_TRIPS = 4  # that it takes at the least
GAIN = 1.2  # what the last connection must have made of the rate
GROWING = 1.2  # what one half of the window makes of the half before it while a line warms up
PATIENCE = 4  # windows over which a gain is looked for that one window did not show
SILENCE = 0.1  # seconds without a byte: it comes in bursts
FAST = 100e6  # bytes per second that more connections do not make more
BUSY = 0.8  # of one processor
LONGER = 1.25  # what standing in line makes of a round trip
LONGER_BY = 0.005  # and seconds that it takes more at the least
FULL = 5.0  # seconds for which a line is taken to stay full; twice as many each time


def stands_in_line(round_trip: float, before: float) -> bool:
    """Whether a further connection's shortest round trip tells that its packets waited behind those
    of the others, where the first one's was `before`; seconds, 0 where it is not known.
    """
    return before > 0 and round_trip > max(LONGER * before, before + LONGER_BY)


class ConnectionGrowth:
    """Of one file, for as long as connections may be added."""

    def __init__(self, round_trip: float, now: float, total: int) -> None:
        """`round_trip` is in seconds; `now` in monotonic ones, when `total` bytes were there."""
        self._window = min(MOST_WINDOW, max(LEAST_WINDOW, ROUND_TRIPS * round_trip))
        self._points = deque([(now, float(total))])
        self._worked: deque[tuple[float, float]] = deque()  # when, and processor seconds until then
        self._since = now  # of the last connection
        self._came = now  # of the last bytes
        self._in_bursts = False
        self._before = 0.0  # bytes per second before the last connection came; 0: it is the first
        self._helped = False  # one of them
        self._not_before = now
        self._full = FULL
        self.exhausted = False  # more connections bring nothing

    def __repr__(self) -> str:
        return f"<ConnectionGrowth {self._before:.0f} bytes/s before, {self._window:.2f} s>"

    def note(self, now: float, total: int, worked: float = 0.0) -> None:
        """So many bytes are there, over all connections; to be told some times in a window.
        `worked`: seconds of processor time that this process has used.
        """
        self._worked.append((now, worked))
        while now - self._worked[0][0] > self._window:
            self._worked.popleft()
        if total != self._points[-1][1]:
            # whoever did not look in between has seen no silence
            unseen = self._points[-1][0] == self._came
            silence, self._came = now - self._came, now
            if silence >= SILENCE and not unseen:
                self._in_bursts = True
                self._window = min(MOST_WINDOW, max(self._window, silence))
        self._points.append((now, float(total)))
        while now - self._points[1][0] > 2 * PATIENCE * MOST_WINDOW:
            self._points.popleft()

    def added(self, now: float) -> None:
        """One more connection brings bytes from now on."""
        self._before, self._since = self.rate(now), now

    def line_is_full(self, now: float) -> None:
        """One more connection would only have stood in line."""
        self._not_before, self._full = now + self._full, 2 * self._full

    def rate(self, now: float) -> float:
        """Bytes per second over the last window, as of the last look: what came since then is not
        known.
        """
        now = min(now, self._points[-1][0])
        begin = max(now - self._window, self._points[0][0])
        return self._moved(begin, now) / max(now - begin, 1e-3)

    def wants_another(self, now: float) -> bool:
        """Whether one more connection is worth it now."""
        elapsed = now - self._since
        if self.exhausted or now < self._not_before:
            return False
        if elapsed < self._window or not self._is_steady(now):
            return False
        if self.rate(now) >= FAST or self._is_busy():
            return False
        if not self._before:
            return True
        if self.rate(now) >= GAIN * self._before:
            self._helped = True
            return True
        if elapsed < PATIENCE * self._window:
            return False
        self.exhausted = self._moved(self._since, now) / elapsed < GAIN * self._before
        self._helped |= not self.exhausted
        return not self.exhausted

    def in_vain(self, now: float) -> bool:
        """Whether more connections were tried, none has helped, and the line is as full as before:
        what another one takes over then only costs.
        """
        return self.exhausted and not self._helped and self.rate(now) * GAIN >= self._before

    def first_piece(self, now: float) -> int:
        """Bytes that a further connection takes over at the most; 0: half of a rest. Until one has
        helped it is as much as is needed to see that: where it is in vain, nearly all bytes go on
        coming in their order.
        """
        if self._helped:
            return 0
        return max(1, int(self.rate(now) * (PATIENCE + 1) * self._window))

    def _is_steady(self, now: float) -> bool:
        silence = now - self._came
        if self._in_bursts:
            return silence <= self._window
        middle = now - self._window / 2
        first, second = self._moved(now - self._window, middle), self._moved(middle, now)
        return silence < SILENCE and second <= GROWING * first

    def _is_busy(self) -> bool:
        (begin, before), (now, worked) = self._worked[0], self._worked[-1]
        return now > begin and (worked - before) / (now - begin) >= BUSY

    def _moved(self, begin: float, end: float) -> float:
        """Bytes that came in that time."""
        return self._total_at(end) - self._total_at(begin)

    def _total_at(self, when: float) -> float:
        """Between two looks it is taken to have come evenly."""
        now, more = self._points[-1]
        if when >= now:
            return more
        for then, total in reversed(self._points):  # it is about the last ones
            if then <= when:
                return total + (more - total) * (when - then) / (now - then)
            now, more = then, total
        return more
