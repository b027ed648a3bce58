"""Which rows the list shows, and in what order.

Rule: raw values are compared, in one go; nothing here tells anybody of a change.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from PySide6.QtCore import Qt

from transfermon.gui.list.columns import VALUES, Column, Row, Search
from transfermon.gui.list.scope import Scope
from transfermon.model.record import record


class RowFilter:
    """The rows of a scope that match the words."""

    def __init__(self) -> None:
        self.scope = Scope()
        self._words, self._search = "", Search("")

    def __repr__(self) -> str:
        return f"<RowFilter {self.scope.kind} {self._words!r}>"

    def set_words(self, text: str) -> None:
        self._words = text.strip()
        self._search = Search(self._words)

    @property
    def shows_all(self) -> bool:
        return self.scope.kind == "all" and not self._words

    def passes(self, row: Row) -> bool:
        return (self.scope.kind == "all" or self.scope.holds(row.task)) and self._search.finds(row)

    def chosen(self, rows: Sequence[Row]) -> list[Row]:
        return list(rows) if self.shows_all else [row for row in rows if self.passes(row)]


@record
class RowOrder:
    """By one column. Those that are alike keep their order, so the shown ones are always in the
    order of all.
    """

    column: Column = Column.ADDED
    direction: Qt.SortOrder = Qt.SortOrder.DescendingOrder

    def arranged(self, rows: Iterable[Row]) -> list[Row]:
        return sorted(
            rows, key=VALUES[self.column], reverse=self.direction is Qt.SortOrder.DescendingOrder
        )

    def place(self, row: Row, rows: Sequence[Row]) -> int:
        """Where a new row belongs among sorted ones."""
        value = VALUES[self.column]
        if self.direction is Qt.SortOrder.AscendingOrder:
            return bisect_left(rows, value(row), key=value)
        low, high, mine = 0, len(rows), value(row)
        while low < high:
            middle = (low + high) // 2
            if value(rows[middle]) > mine:
                low = middle + 1
            else:
                high = middle
        return low
