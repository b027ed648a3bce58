"""How far the push channel has heard, so that each message is taken once and none is skipped.

Rule: where to go on is a time, since an identifier that the server does not keep means “all” to it,
and a delayed message bears an old one. What comes again because of that is known by its identifier.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field

from transfermon.engine.ntfy import KEEPALIVE, OPEN, NtfyLine
from transfermon.model.record import mutable

MARGIN = 120  # seconds before the newest line: clocks, and messages that fell due meanwhile
REMEMBERED = 86_400.0  # seconds
LEAST = 1000  # identifiers that are remembered however old they are
BLOCK = 200  # identifiers that are stored together: what one message costs to write
SAVED_AFTER = 600.0  # seconds of mere silence after which the time is stored again

# the stored values; the latter with the number of a block
PLACE, BLOCKS = "push.since", "push.ids."
Changes = list[tuple[str, str]]


@mutable
class _Block:
    number: int
    seen: dict[str, float] = field(default_factory=dict)  # identifier -> time

    def text(self) -> str:
        return json.dumps(self.seen)


class PushMemory:
    """What was heard from one server for some topics. Times are the server's, in epoch seconds."""

    def __init__(self, server: str = "", topics: str = "") -> None:
        self.server, self.topics = server, topics
        self._time = self._saved = 0.0
        self._asked = False  # whether the present connection asked for what it had missed
        self._settled = True  # whether that has come
        self._blocks: list[_Block] = []  # oldest first

    def __repr__(self) -> str:
        return (
            f"<PushMemory {self._time:.0f} {sum(len(block.seen) for block in self._blocks)} seen>"
        )

    @classmethod
    def restored(cls, values: Mapping[str, str], server: str, topics: str) -> PushMemory:
        """What was stored, where it belongs to this server and these topics; else a new one, which
        hears nothing old.
        """
        memory = cls(server, topics)
        if not values.get(PLACE):
            return memory
        try:
            place = json.loads(values[PLACE])
            if (place["server"], place["topics"]) != (server, topics):
                return memory
            memory._time = memory._saved = float(place["time"])
            for key in sorted(
                (key for key in values if key.startswith(BLOCKS)),
                key=lambda key: int(key[len(BLOCKS) :]),
            ):
                seen = {
                    str(name): float(time) for name, time in json.loads(values[key] or "{}").items()
                }
                memory._blocks.append(_Block(number=int(key[len(BLOCKS) :]), seen=seen))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return cls(server, topics)
        memory._blocks = [block for block in memory._blocks if block.seen]
        memory._blocks.sort(key=lambda block: max(block.seen.values()))
        return memory

    def began(self) -> str:
        """A connection is made: the value of `since`, "" at the very first time."""
        self._asked = self.placed
        self._settled = not self._asked
        return str(max(0, int(self._time) - MARGIN)) if self._asked else ""

    @property
    def placed(self) -> bool:
        """Whether it is known where to go on."""
        return self._time > 0

    def drop_place(self) -> Changes:
        """The server does not understand where to go on: begin with what comes from now on."""
        self._time = self._saved = 0.0
        return [self._place()]

    def knows(self, identifier: str) -> bool:
        return any(identifier in block.seen for block in self._blocks)

    def heard(self, line: NtfyLine) -> Changes:
        """A line came: what is to be stored of it. One with an identifier that counts is known from
        now on.
        """
        self._advance(line)
        if line.event in (OPEN, KEEPALIVE):
            return (
                self.unsaved()
                if abs(self._time - self._saved) > SAVED_AFTER or not self._saved
                else []
            )
        if self.knows(line.identifier):
            return []
        block = self._block()
        block.seen[line.identifier] = line.time
        return [(f"{BLOCKS}{block.number}", block.text()), *self._forget(), self._place()]

    def unsaved(self) -> Changes:
        """What is not stored yet of how far it is."""
        return [self._place()] if self._time != self._saved else []

    def _advance(self, line: NtfyLine) -> None:
        """The newest line's time counts. While the missed messages come, in their order, it is the
        last one's; that of the line before them says nothing of them, unless the server's clock was
        put back.
        """
        if not line.time:
            return
        if line.event == OPEN and self._asked:
            self._time = min(self._time, line.time)
        elif self._settled or line.event == KEEPALIVE:
            self._settled = True
            self._time = max(self._time, line.time)
        else:
            self._time = line.time

    def _place(self) -> tuple[str, str]:
        self._saved = self._time
        return PLACE, json.dumps({"server": self.server, "topics": self.topics, "time": self._time})

    def _block(self) -> _Block:
        if not self._blocks or len(self._blocks[-1].seen) >= BLOCK:
            taken = {block.number for block in self._blocks}
            self._blocks.append(
                _Block(
                    number=next(number for number in range(len(taken) + 1) if number not in taken)
                )
            )
        return self._blocks[-1]

    def _forget(self) -> Changes:
        """Whole blocks that are over a day old, as long as 1,000 identifiers stay."""
        gone: Changes = []
        while self._blocks and sum(len(block.seen) for block in self._blocks[1:]) >= LEAST:
            oldest = self._blocks[0]
            if max(oldest.seen.values()) > self._time - REMEMBERED:
                break
            del self._blocks[0]
            gone.append((f"{BLOCKS}{oldest.number}", ""))
        return gone
