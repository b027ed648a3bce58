"""Columns that give way where a table has too little room for its last one, and come back where it
has.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QTableView


class GivingColumns:
    """Of one table, whose last column takes what the others leave; `fit` at each of its resizes.

    A column that somebody else has hidden stays so.
    """

    def __init__(self, table: QTableView, order: Sequence[int], *, least: int) -> None:
        """`order`: which go, the first first, while the last column has less than `least`
        pixels.
        """
        self._table = table
        self._order = tuple(order)
        self._least = least
        self._away: list[int] = []

    def __repr__(self) -> str:
        return f"<Giving {self._away} of {self._order}>"

    def fit(self) -> None:
        header = self._table.horizontalHeader()
        for column in self._away:
            self._table.showColumn(column)
        self._away = []
        others = [header.sectionSize(column) for column in range(header.count() - 1)]
        room = self._table.viewport().width() - sum(others)
        for column in self._order:
            if room >= self._least:
                break
            if not self._table.isColumnHidden(column):
                room += others[column]
                self._table.hideColumn(column)
                self._away.append(column)
        # it grows by itself only
        header.resizeSection(header.count() - 1, max(header.minimumSectionSize(), room))
