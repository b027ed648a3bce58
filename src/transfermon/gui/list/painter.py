"""How a row of the list is painted: in one go for all that is in view, with texts that are laid out
once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import (
    QAccessible,
    QFont,
    QFontMetrics,
    QPainter,
    QPaintEvent,
    QStaticText,
    QTextOption,
)
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem, QTableView, QWidget

from transfermon.gui.list.columns import KINDS, MUTED, NUMBERS, Column, Row
from transfermon.gui.list.model import ROW_ROLE, Index, TaskModel
from transfermon.gui.list.scope import LOOKS
from transfermon.gui.toolkit import theme
from transfermon.gui.toolkit.range_bar import draw_ranges
from transfermon.model.task import Kind

PAD = 8  # pixels left and right of what a cell shows
ICON = 24  # and of an icon before the words
LETTERED = 2048  # texts that are kept laid out
BARS = {
    "running": "bar",
    "done": "bar_good",
    "failed": "bar_bad",
    "unsure": "bar_warn",
    "waiting": "bar_warn",
    "paused": "bar_warn",
}


class TaskDelegate(QStyledItemDelegate):
    """How wide a cell wants to be; `TaskPainter` paints it."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        text = str(index.data(Qt.ItemDataRole.DisplayRole))
        extra = {Column.NAME: 22, Column.STATUS: 22, Column.PROGRESS: 90}.get(
            Column(index.column()), 0
        )
        return QSize(option.fontMetrics.horizontalAdvance(text) + extra + 2 * PAD + 2, theme.ROW)


class Lettering:
    """Texts that are cut to a width and laid out, for one font: that costs five times as much as to
    draw them.
    """

    def __init__(self) -> None:
        self._font = QFont()
        self._metrics = QFontMetrics(self._font)
        self.cut = lru_cache(maxsize=LETTERED)(self._cut)

    def use(self, font: QFont) -> None:
        if font != self._font:
            self._font, self._metrics = QFont(font), QFontMetrics(font)
            self.cut.cache_clear()

    def width(self, text: str) -> int:
        return self._metrics.horizontalAdvance(text)

    def _cut(self, text: str, mode: Qt.TextElideMode, width: int) -> tuple[QStaticText, int, int]:
        # Laid out, how wide that is, and how far below the top of its row it stands.
        text = self._metrics.elidedText(text, mode, width)
        out = QStaticText(text)
        out.setTextFormat(Qt.TextFormat.PlainText)  # else it would read markup in a name (U1)
        out.setTextOption(QTextOption(Qt.AlignmentFlag.AlignLeft))
        out.prepare(font=self._font)
        return out, self.width(text), (theme.ROW - self._metrics.height()) // 2

    def draw(
        self,
        painter: QPainter,
        text: str,
        where: QRect,
        *,
        right: bool = False,
        middle: bool = False,
    ) -> None:
        """In one row; what does not fit is cut at the end or in the `middle`."""
        if not text:
            return
        mode = Qt.TextElideMode.ElideMiddle if middle else Qt.TextElideMode.ElideRight
        out, width, down = self.cut(text, mode, where.width())
        x = where.x() + (where.width() - width if right else 0)
        painter.drawStaticText(x, where.y() + down, out)


@dataclass(frozen=True, slots=True)
class RowLine:
    """A row that is being painted: its place in the list, its top in the viewport, and what it
    shows.
    """

    place: int
    top: int
    row: Row


class TaskPainter:
    """Paints the rows of a table whole, column by column: ground, selection, icon, bar, text. Qt's
    own way, a call of a delegate for each cell, takes four times as long.
    """

    def __init__(self, table: PaintedTable) -> None:
        self._table = table
        self._letters = Lettering()

    def paint(self, painter: QPainter, rect: QRect) -> None:
        """Every pixel of a part of the viewport."""
        self._letters.use(painter.font())
        painter.setClipRect(rect)
        lines = self._lines(rect)
        self._grounds(painter, rect, lines)
        for column in self._columns(rect) if lines else ():
            left, width = (
                self._table.columnViewportPosition(column),
                self._table.columnWidth(column),
            )
            room = self._table.status_room(wide=True)[1] if column is Column.STATUS else width
            painter.setClipRect(QRect(left, rect.y(), room, rect.height()) & rect)
            cells = [
                (QRect(left + PAD, line.top, width - 2 * PAD, theme.ROW), line.row)
                for line in lines
            ]
            self._cells(painter, column, cells)

    def _lines(self, rect: QRect) -> list[RowLine]:
        table, model = self._table, self._table.model()
        place = table.rowAt(rect.top()) if model is not None else -1
        if place < 0:
            return []
        top = table.rowViewportPosition(place)
        end = min(model.rowCount(), place + 1 + (rect.bottom() - top) // theme.ROW)
        return [
            RowLine(at, top + (at - place) * theme.ROW, model.index(at, 0).data(ROW_ROLE))
            for at in range(place, end)
        ]

    def _columns(self, rect: QRect) -> list[Column]:
        table = self._table
        out = []
        for column in Column:
            if table.isColumnHidden(column):
                continue
            left, width = table.columnViewportPosition(column), table.columnWidth(column)
            if column is Column.STATUS:
                width = table.status_room(wide=True)[1]
            if left <= rect.right() and left + width > rect.left():
                out.append(column)
        return out

    def _grounds(self, painter: QPainter, rect: QRect, lines: Sequence[RowLine]) -> None:
        table = self._table
        colors = theme.color("base"), theme.color("alternate")
        chosen = table.selectionModel()
        for line in lines:
            ground = QRect(rect.x(), line.top, rect.width(), theme.ROW)
            painter.fillRect(ground, colors[line.place % 2])
            if chosen.isSelected(table.model().index(line.place, 0)):
                painter.fillRect(ground, theme.color("selection"))
            elif line.place == table.hovered:
                painter.fillRect(ground, theme.color("hover"))
        if lines and table.hasFocus():
            current = table.currentIndex().row()
            for line in lines:
                if line.place == current:
                    mark = QRect(-table.horizontalOffset(), line.top + 4, 3, theme.ROW - 8)
                    painter.fillRect(mark, theme.color("accent"))
        below = lines[-1].top + theme.ROW if lines else rect.y()
        if below <= rect.bottom():
            painter.fillRect(
                QRect(rect.x(), below, rect.width(), rect.bottom() - below + 1), colors[0]
            )

    def _cells(self, painter: QPainter, column: Column, cells: Sequence[tuple[QRect, Row]]) -> None:
        painter.setPen(theme.color("muted" if column in MUTED else "text"))
        if column is Column.NAME:
            self._names(painter, cells)
        elif column is Column.KIND:
            for cell, row in cells:
                theme.draw_icon(painter, KINDS[row.task.kind][0], "muted", _icon_in(cell))
        elif column is Column.PROGRESS:
            self._bars(painter, cells)
        elif column is Column.STATUS:
            for cell, row in cells:
                self._status(painter, cell, row)
        else:
            for cell, row in cells:
                text = self._table.tasks.words(row, column)
                self._letters.draw(
                    painter, text, cell, right=column in NUMBERS, middle=column is Column.PATH
                )

    def _names(self, painter: QPainter, cells: Sequence[tuple[QRect, Row]]) -> None:
        for cell, row in cells:
            theme.draw_icon(painter, theme.file_icon(row.name), "muted", _icon_in(cell))
            self._letters.draw(painter, row.name, cell.adjusted(ICON, 0, 0, 0), middle=True)

    def _bars(self, painter: QPainter, cells: Sequence[tuple[QRect, Row]]) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for cell, row in cells:
            side = _side(row)
            track = QRectF(cell.x(), cell.center().y() - 2, max(0, cell.width() - side), 6)
            role = BARS.get(row.look, "bar_idle")
            if parts := row.parts:
                draw_ranges(painter, track, parts, role)
            else:
                draw_bar(painter, track, row.fraction, role, row.step)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        for cell, row in cells:
            painter.setPen(
                theme.color("text" if row.look in ("running", "done", "unsure") else "muted")
            )
            words = self._table.tasks.words(row, Column.PROGRESS)
            self._letters.draw(
                painter, words, cell.adjusted(cell.width() - _side(row), 0, 0, 0), right=True
            )

    def _status(self, painter: QPainter, cell: QRect, row: Row) -> None:
        words = self._table.tasks.words(row, Column.STATUS)
        icon, role = LOOKS[row.look]
        if row.look == "running" and row.task.kind is not Kind.DOWNLOAD:
            icon = "circle-arrow-up"
        theme.draw_icon(painter, icon, role, _icon_in(cell), 15)
        painter.setPen(theme.color("bad" if row.look == "failed" else "text"))
        # Speed and time left say nothing about a task that does not run: its reason may use their
        # room.
        width = self._table.status_room(wide=row.look != "running")[1] - 2 * PAD
        cell = QRect(cell.x() + 23, cell.y(), width - 23, cell.height())
        if row.counts_down and self._letters.width(words) > cell.width():
            # The end of the sentence is when it goes on: that must be seen, whatever the reason's
            # length.
            when = words.rpartition(" ")[2]
            self._letters.draw(painter, when, cell, right=True)
            cell.adjust(0, 0, -self._letters.width(when) - 10, 0)
        self._letters.draw(painter, words, cell)


def _icon_in(cell: QRect) -> QRect:
    return QRect(cell.x(), cell.y(), 16, cell.height())


def _side(row: Row) -> int:
    return 62 if row.fraction is None else 48  # bytes so far, or percent


def draw_bar(
    painter: QPainter, track: QRectF, fraction: float | None, role: str, step: int = 0
) -> None:
    """A rounded bar; an unknown fraction is a piece that moves with each `step`."""
    radius = track.height() / 2
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme.color("track"))
    painter.drawRoundedRect(track, radius, radius)
    done = QRectF(track)
    if fraction is None:
        place = step % 12 / 11 if step // 12 % 2 == 0 else 1 - step % 12 / 11
        done.setWidth(track.width() * 0.28)
        done.moveLeft(track.x() + (track.width() - done.width()) * place)
    elif fraction <= 0:
        return
    else:
        done.setWidth(max(track.height(), track.width() * fraction))
    painter.setBrush(theme.color(role))
    painter.drawRoundedRect(done, radius, radius)


class PaintedTable(QTableView):
    """A table of tasks that is painted so; a `hovered` row has another ground."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.hovered = -1
        self._painter = TaskPainter(self)
        # so that a scrolled row is copied
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setItemDelegate(TaskDelegate(self))

    @property
    def tasks(self) -> TaskModel:
        return cast(TaskModel, self.model())

    def visualColumn(self, column: int) -> int:
        return self.horizontalHeader().visualIndex(column)

    def status_runs_over(self) -> bool:
        """Whether speed and time left stand right of the status, so that its words can go on
        there.
        """
        place = self.visualColumn(Column.STATUS)
        return [self.visualColumn(Column.SPEED), self.visualColumn(Column.LEFT)] == [
            place + 1,
            place + 2,
        ]

    def status_room(self, *, wide: bool) -> tuple[int, int]:
        """Left edge and width of what the status may use, in the viewport."""
        columns = [Column.STATUS]
        if wide and self.status_runs_over():
            columns += [Column.SPEED, Column.LEFT]
        return self.columnViewportPosition(Column.STATUS), sum(
            self.columnWidth(column) for column in columns
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        for rect in cast(Iterable[QRect], event.region()):  # its type hints leave that out
            self._painter.paint(painter, rect)
        painter.end()

    def dataChanged(self, first: Index, last: Index, roles: Sequence[int] = ()) -> None:
        # a screen reader hears of it from Qt, which paints the whole list for any range
        if QAccessible.isActive():
            super().dataChanged(first, last, roles)
        else:
            self.viewport().update(self._place_of(first, last))

    def _place_of(self, first: Index, last: Index) -> QRect:
        # Of these cells, in the viewport; empty when they are out of sight.
        top = self.rowViewportPosition(first.row())
        bottom = self.rowViewportPosition(last.row()) + theme.ROW
        if bottom <= 0 or top >= self.viewport().height():
            return QRect()
        shown = [
            at for at in range(first.column(), last.column() + 1) if not self.isColumnHidden(at)
        ]
        lefts = [self.columnViewportPosition(at) for at in shown]
        right = max(
            (left + self.columnWidth(at) for left, at in zip(lefts, shown, strict=True)), default=0
        )
        left = min(lefts, default=0)
        return QRect(left, top, right - left, bottom - top)
