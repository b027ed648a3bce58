"""What servers answered to uploads and data tasks: kept in memory, all of them together within
bounds.

Rule: the newest is always there; what had to go for it is known to be gone, and nobody takes it for
an empty answer.
"""

from __future__ import annotations

from collections import OrderedDict

from transfermon.model.record import record
from transfermon.model.task import Kind, TaskKey

MIB = 1 << 20
MOST = 32 * MIB  # bytes of all answers of one engine
LONGEST = {Kind.UPLOAD: MIB, Kind.DATA: 8 * MIB}  # bytes of one
_TOLD = MIB  # characters of one that an event carries, and the journal keeps


@record
class KeptAnswer:
    """`text` is None where there was no answer, or it is gone. `whole`: nothing of the answer is
    missing.
    """

    text: str | None = None
    whole: bool = True


class Answers:
    """One for the whole engine."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[TaskKey, tuple[bytes, bool]] = OrderedDict()
        self._gone: set[TaskKey] = set()
        self._size = 0

    def __repr__(self) -> str:
        return f"<Answers {len(self._kept)}, {self._size} bytes>"

    def put(self, key: TaskKey, text: str, *, whole: bool) -> None:
        """Keep it; the oldest ones go where there are too many."""
        self.drop(key)
        data = text.encode("utf-8", "surrogatepass")
        self._kept[key] = (data, whole)
        self._size += len(data)
        while self._size > self._most and len(self._kept) > 1:
            oldest, (gone, _) = self._kept.popitem(last=False)
            self._size -= len(gone)
            self._gone.add(oldest)

    def get(self, key: TaskKey) -> KeptAnswer:
        if key in self._kept:
            data, whole = self._kept[key]
            return KeptAnswer(text=data.decode("utf-8", "surrogatepass"), whole=whole)
        return KeptAnswer(whole=key not in self._gone)

    def told(self, key: TaskKey) -> str | None:
        """What of the answer an event carries."""
        if key not in self._kept:
            return None
        text = self.get(key).text
        return None if text is None else text[:_TOLD]

    def drop(self, key: TaskKey) -> None:
        """The task has left, or is tried again."""
        self._gone.discard(key)
        data, _ = self._kept.pop(key, (b"", True))
        self._size -= len(data)
