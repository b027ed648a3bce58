"""The connections that bring one file: a bar of what each has stored and what it brings, and the
same in words.

Rule: it is there for a file of several ranges only, and made of what the transfer itself keeps in
mind; nothing is asked of the disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from PySide6.QtCore import QEvent, QRectF
from PySide6.QtGui import QHelpEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QToolTip, QWidget

from transfermon.gui.toolkit import theme
from transfermon.gui.toolkit.range_bar import OVER, draw_connections
from transfermon.model import units
from transfermon.model.ranges import NOBODY, Picture, Stretch
from transfermon.model.translate import tr

BAR = 12  # pixels
MOST_NAMED = 12  # stretches that the words name


def words_of(picture: Picture, mirrors: Sequence[str]) -> str:
    """ "3 connections, 1 of them to m.example: 0–25 %, 31–48 % are there"; "" for no picture.
    `mirrors` are their names, in their order.
    """
    if not picture:
        return ""
    there = tr("{percents} are there").format(percents=", ".join(_stored(picture)) or "0 %")
    busy = [one.by for one in picture if one.by != NOBODY]
    if not busy:
        return there
    said = [tr("%n connections", "1 connection", len(busy))]
    said += [
        tr("%n of them to {mirror}", "1 of them to {mirror}", busy.count(number)).format(
            mirror=_name(number, mirrors)
        )
        for number in sorted({by for by in busy if by > 0})
    ]
    return f"{', '.join(said)}: {there}"


def words_of_stretch(one: Stretch, total: int, mirrors: Sequence[str]) -> str:
    """What there is to know of one range."""
    ends = f"{units.percent(one.start, total) or '0 %'} – {units.percent(one.end, total)}"
    done = units.progress(one.at - one.start, one.end - one.start)
    if one.by == NOBODY:
        return f"{ends}: {done}"
    source = tr("from the first address")
    if one.by > 0:
        source = tr("from {mirror}").format(mirror=_name(one.by, mirrors))
    return f"{ends}: {done}, {source}"


def _name(number: int, mirrors: Sequence[str]) -> str:
    return units.clean(mirrors[number - 1], 100) if number <= len(mirrors) else str(number)


def _stored(picture: Picture) -> list[str]:
    """In whole per cent, what touches as one."""
    total = max(1, picture[-1].end)
    found: list[list[int]] = []
    for one in picture:
        if one.at <= one.start:
            continue
        if found and found[-1][1] == one.start:
            found[-1][1] = one.at
        else:
            found.append([one.start, one.at])
    percents = [f"{start * 100 // total}–{at * 100 // total} %" for start, at in found]
    return percents if len(percents) <= MOST_NAMED else [*percents[:MOST_NAMED], "…"]


class ConnectionsBar(QWidget):
    """The picture. It takes no room while there is none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("details_connections")
        self.setAccessibleName(tr("Parts"))
        self.setFixedHeight(BAR + 2 * round(OVER) + 6)
        self.hide()
        self.picture: Picture = ()
        self._mirrors: Sequence[str] = ()
        self._role = "bar"

    def __repr__(self) -> str:
        return f"<ConnectionsBar of {len(self.picture)}>"

    def show_picture(self, picture: Picture, words: str, mirrors: Sequence[str], role: str) -> None:
        """`words` are those of `words_of`, `role` the colour of what is stored."""
        if (picture, role) == (self.picture, self._role):
            return
        self.picture, self._mirrors, self._role = picture, mirrors, role
        self.setVisible(bool(picture))
        if words != self.accessibleDescription():
            self.setAccessibleDescription(words)
        self.update()

    def stretch_at(self, x: float) -> Stretch | None:
        """The range that is shown there."""
        if not self.picture:
            return None
        place = x / max(1, self.width()) * self.picture[-1].end
        for one, other in pairwise(self.picture):
            if place < other.start:
                return one
        return self.picture[-1]

    def paintEvent(self, _event: QPaintEvent) -> None:
        if not self.picture:
            return
        painter = QPainter(self)
        track = QRectF(0, (self.height() - BAR) / 2, self.width(), BAR)
        draw_connections(painter, track, self.picture, self._role)
        painter.end()

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            one = self.stretch_at(event.pos().x())
            if one is not None:
                words = words_of_stretch(one, self.picture[-1].end, self._mirrors)
                QToolTip.showText(event.globalPos(), theme.plain_tip(words), self)
                return True
        return super().event(event)
