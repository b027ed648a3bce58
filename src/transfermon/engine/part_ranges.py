"""What of a part is stored while several connections write into it.

Rule: a range of the part is written by one connection at a time. Its counter is the pump's, the
rest is the loop's; what it all means is told by `model/ranges`.
"""

from __future__ import annotations

import threading

from transfermon.model import ranges
from transfermon.model.ranges import NOBODY, Picture, Ranges, Stretch
from transfermon.model.task import Progress
from transfermon.storage.part_file import PartFile
from transfermon.storage.range_map import RangeMap
from transfermon.wire.movable_end import MovableEnd


class StoredRange(Progress):
    """From `start` on, `received` bytes are stored; up to `end` they are to be. It is the counter
    of the connection that brings them.
    """

    def __init__(self, whole: PartRanges, start: int, at: int, end: int) -> None:
        super().__init__(received=at - start)
        self.start = start
        self.movable = MovableEnd(end)
        self.end = end
        self.busy = False  # a connection brings it
        self.by = 0  # the number of the address that it comes from, while it does
        self.compared = 0  # bytes of the next range that were equal to what came behind the end
        self.row = 0  # of the map
        self._whole = whole

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<StoredRange {self.start} {self.at} {self.end}>"

    @property
    def at(self) -> int:
        return self.start + self.received

    @property
    def rest(self) -> int:
        return self.end - self.at

    def add(self, count: int) -> None:
        """On whatever thread has written them."""
        self.received += count
        self._whole.count(count)
        self._whole.put(self)


class PartRanges:
    """Of one part of a file of `total` bytes; `progress` is the sum of all."""

    def __init__(self, total: int, stored: Ranges, progress: Progress) -> None:
        self.total = total
        self.scattered = False  # bytes may be stored behind others that are to come
        self._map: RangeMap | None = None
        self._mapping = threading.Lock()  # what is written last tells most, and into an open file
        self._progress = progress
        self._lock = threading.Lock()
        self.told_before = 0  # bytes that come once more: the sum never goes back
        self.ranges = [StoredRange(self, *one) for one in stored]

    def __repr__(self) -> str:
        return f"<PartRanges {self.ranges}>"

    # ---- what is stored

    def snapshot(self) -> Ranges:
        """What is stored now; written, but not necessarily synced."""
        return ranges.of_stored(self._pairs(), self.total)

    def recorded(self, snapshot: Ranges) -> Ranges:
        """What a record has to say: nothing of bytes that come in their order."""
        return snapshot if self.scattered else ()

    def _pairs(self) -> list[tuple[int, int]]:
        return [(one.start, one.at + one.compared) for one in self.ranges]

    def picture(self) -> Picture:
        """For whoever shows it: each range, and which address brings it."""
        return tuple(
            Stretch(one.start, one.at, one.end, one.by if one.busy else NOBODY)
            for one in self.ranges
        )

    @property
    def whole(self) -> bool:
        """Whether all is there, and all comparisons are made."""
        return ranges.prefix(self.snapshot()) == self.total

    @property
    def rest(self) -> int:
        """Bytes that are to come."""
        return sum(one.rest for one in self.ranges)

    def count(self, count: int) -> None:
        """On any thread."""
        with self._lock:
            again = min(count, self.told_before)
            self.told_before -= again
            self._progress.received += count - again

    # ---- what is fetched

    def after(self, one: StoredRange) -> StoredRange | None:
        """Its neighbour; None for the last one."""
        index = self.ranges.index(one) + 1
        return self.ranges[index] if index < len(self.ranges) else None

    def idle(self) -> StoredRange | None:
        """One that nobody brings, of which bytes are to come or an end is to be compared."""
        for one in self.ranges:
            if not one.busy and (one.rest or (one.end < self.total and not one.compared)):
                return one
        return None

    def shared(self, least: int, most: int = 0) -> StoredRange | None:
        """A new range: the second half of the largest rest that a connection brings, or the last
        `most` bytes of it. None where it would be smaller than `least` bytes, or nothing more can
        be kept in mind.
        """
        busy = [one for one in self.ranges if one.busy]
        taken = ranges.steal([(one.at, one.end) for one in busy], least)
        if taken is None or (self._map is not None and self._map.full):
            return None
        victim, end = busy[taken[0]], busy[taken[0]].end
        begin = max(taken[1], end - max(least, most)) if most else taken[1]
        # where it ends now: what is being written is not taken away
        middle = victim.movable.move(begin)
        victim.end = middle
        if end - middle < least:
            victim.end = victim.movable.move(end)
            return None
        new = StoredRange(self, middle, middle, end)
        if self._map is not None:
            new.row = self._map.add(middle)
        self.ranges.insert(self.ranges.index(victim) + 1, new)
        return new

    def absorb(self, one: StoredRange) -> None:
        """It reaches to the end of its neighbour, which is no more; what the neighbour has is
        fetched again. Nobody may be bringing that one.
        """
        other = self.after(one)
        assert other is not None
        assert not other.busy
        with self._lock:
            self.told_before += other.received
        other.received = 0
        self.put(other)
        self.ranges.remove(other)
        one.end = one.movable.move(other.end)

    def leave(self, one: StoredRange) -> None:
        """Nobody brings it any more; one that has nothing is its neighbour's again."""
        index = self.ranges.index(one) if one in self.ranges else 0
        if index and not one.received:
            self.absorb(self.ranges[index - 1])

    def agreed(self, one: StoredRange, compared: int) -> None:
        """So many bytes behind its end are the neighbour's, too."""
        one.compared = compared
        self.put(one)

    def join(self) -> None:
        """Those that were compared where they meet become the first one: it ends where the next
        answer begins. Nobody may be bringing any.
        """
        first = self.ranges[0]
        while first.compared:
            other = self.ranges.pop(1)
            first.received = other.at - first.start
            first.end, first.compared = first.movable.move(other.end), other.compared
            self.put(first)

    # ---- beside the part

    def scatter(self, part: PartFile) -> None:
        """Blocking. From now on bytes may be stored behind others that are to come. Raises
        TransferFailure where no map can be made; then the last checkpoint counts alone.
        """
        self.scattered = True
        if self._map is None:
            for row, one in enumerate(self.ranges):
                one.row = row
            self._map = part.new_map(self.total, self._pairs())
            for one in self.ranges:  # what was written meanwhile
                self.put(one)

    def put(self, one: StoredRange) -> None:
        """On any thread."""
        with self._mapping:
            if self._map is not None:
                self._map.put(one.row, one.at + one.compared)

    def close(self) -> None:
        """Nobody writes any more. The map stays."""
        with self._mapping:
            found, self._map = self._map, None
        if found is not None:
            found.close()
