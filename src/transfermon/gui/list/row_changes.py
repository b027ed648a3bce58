"""Which rows of the list have changed, and when the views hear of it.

Rule: rows side by side are told of at once, and none between those that are not: what is out of
sight is not painted. A row that was told of a moment ago, and one of many that change one by one,
has its turn a little later, with all its cells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from PySide6.QtCore import QObject, QTimer

from transfermon.gui.list.columns import Column, Row

# seconds between two changes of one row that are told: four paints a second, with some slack
PACE = 0.26
CATCH_UP_MS = 130
SINGLY = 4  # rows told of one by one in that time; a batch of small files changes hundreds
# of rows that changed, told one by one; more cost more than to paint what is in view
MOST_RUNS = 200


def runs(places: Iterable[int]) -> list[tuple[int, int]]:
    """First and last of each unbroken run; one over all when there are very many."""
    out: list[tuple[int, int]] = []
    for place in sorted(places):
        if out and place <= out[-1][1] + 1:
            out[-1] = out[-1][0], place
        else:
            out.append((place, place))
    return out if len(out) <= MOST_RUNS else [(out[0][0], out[-1][1])]


class RowChanges:
    """Of one model. `place` says where a row is shown, less than 0 where it is not; `tell` is given
    the first and the last of some rows, and of the columns that changed in them.
    """

    def __init__(
        self,
        parent: QObject,
        clock: Callable[[], float],
        *,
        place: Callable[[Row], int],
        tell: Callable[[int, int, int, int], None],
    ) -> None:
        self._clock = clock
        self._place = place
        self._tell = tell
        self._late: dict[int, Row] = {}  # by identity
        self._since = float("-inf")  # when the first of those that are told of singly was
        self._singly = 0
        self._timer = QTimer(parent)
        self._timer.setSingleShot(True)
        self._timer.setInterval(CATCH_UP_MS)
        self._timer.timeout.connect(self._catch_up)

    def __repr__(self) -> str:
        return f"<RowChanges late={len(self._late)}>"

    def __len__(self) -> int:
        return len(self._late)

    def clear(self) -> None:
        """There are other rows."""
        self._late.clear()

    def take(self, row: Row) -> None:
        """All of a row has changed."""
        now = self._clock()
        if now - self._since >= CATCH_UP_MS / 1000:
            self._since, self._singly = now, 0
        if self._singly >= SINGLY:
            self._late[id(row)] = row
            self._catch_up_soon()
            return
        self._singly += 1
        self.take_together([row], 0, len(Column) - 1)

    def take_together(self, rows: Iterable[Row], first: int, last: int) -> None:
        """These columns of them have changed."""
        now = self._clock()
        places = []
        for row in rows:
            if now - row.told < PACE:
                self._late[id(row)] = row
            elif (at := self._place(row)) >= 0:
                row.told = now
                places.append(at)
        for top, bottom in runs(places):
            self._tell(top, bottom, first, last)
        if self._late:
            self._catch_up_soon()

    def _catch_up_soon(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _catch_up(self) -> None:
        late = list(self._late.values())
        self._late.clear()
        self.take_together(late, 0, len(Column) - 1)
