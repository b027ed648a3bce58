"""Which bytes of a file are stored when they do not come in their order: ranges that lie side by
side and cover it.

Rule: plain functions on plain values, no I/O. A range is (start, at, end): [start, at) is stored,
[at, end) is to come. The first one begins at 0, each ends where the next one begins, the last one
at the end of the file. A whole range beside the next one stays a range of its own until the place
where they meet was compared: then they overlap in what is known of them, and become one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

Range = tuple[int, int, int]
Ranges = tuple[Range, ...]
NOBODY = -1


class Stretch(NamedTuple):
    """A range, and the number of the address that brings it now: 0 is the first one, the N-th
    mirror is N.
    """

    start: int
    at: int
    end: int
    by: int = NOBODY


Picture = tuple[Stretch, ...]


def picture_of(ranges: Ranges) -> Picture:
    """Of ranges that nobody brings anything of."""
    return tuple(Stretch(*one) for one in ranges)


def of_stored(pairs: Iterable[tuple[int, int]], total: int) -> Ranges:
    """The ranges of a file of `total` bytes of which these stretches, [start, at), are stored.

    Stretches that overlap become one. What touches without overlapping was not compared there, and
    stays two. Empty stretches, and what lies outside of the file, count for nothing.
    """
    stored: list[list[int]] = []
    for start, at in sorted((max(0, start), min(at, total)) for start, at in pairs):
        if start >= at:
            continue
        if stored and start < stored[-1][1]:
            stored[-1][1] = max(stored[-1][1], at)
        else:
            stored.append([start, at])
    if not stored or stored[0][0] > 0:
        stored.insert(0, [0, 0])
    ends = [start for start, _ in stored[1:]] + [total]
    return tuple((start, at, end) for (start, at), end in zip(stored, ends, strict=True))


def pairs_of(ranges: Ranges) -> tuple[tuple[int, int], ...]:
    """The stretches that are stored."""
    return tuple((start, at) for start, at, _ in ranges if at > start)


def received(ranges: Ranges) -> int:
    """Stored bytes, over all ranges."""
    return sum(at - start for start, at, _ in ranges)


def prefix(ranges: Ranges) -> int:
    """Bytes that are stored from the first one of the file on, all comparisons made."""
    return ranges[0][1] if ranges else 0


def is_one_prefix(ranges: Ranges) -> bool:
    """Whether nothing is stored behind the first range."""
    return len(ranges) <= 1


def split(ranges: Ranges, index: int, middle: int) -> Ranges:
    """Range number `index` ends at `middle`, and another one begins there, with nothing stored."""
    start, at, end = ranges[index]
    if not at <= middle < end or middle <= start:
        raise ValueError(f"{ranges[index]} cannot be split at {middle}")
    return (*ranges[:index], (start, at, middle), (middle, middle, end), *ranges[index + 1 :])


def steal(rests: Sequence[tuple[int, int]], least: int) -> tuple[int, int] | None:
    """Whose rest is shared, and from where on: the second half of the largest of these stretches
    that are to come, [at, end).

    None where the halves would be smaller than `least` bytes.
    """
    index = max(range(len(rests)), key=lambda i: rests[i][1] - rests[i][0], default=None)
    if index is None:
        return None
    at, end = rests[index]
    return (index, at + (end - at) // 2) if end - at >= 2 * least else None


def cut(ranges: Ranges, length: int) -> Ranges:
    """What of it a file has that is only `length` bytes long.

    A range that the file ends in is not believed at all: something has happened to it.
    """
    if not ranges:
        return ()
    return of_stored([pair for pair in pairs_of(ranges) if pair[1] <= length], ranges[-1][2])


def believed(checkpoint: Ranges, mapped: Iterable[tuple[int, int]] | None, length: int) -> Ranges:
    """What is stored after a restart: what the map beside the part says, where there is one that
    may be believed, else what the last checkpoint says; of that what a file of `length` bytes has.

    Nothing at all where the first bytes are gone.
    """
    total = checkpoint[-1][2]
    found = of_stored(mapped, total) if mapped is not None else checkpoint
    found = cut(found, length)
    return found if prefix(found) else of_stored((), total)
