"""The speed of a transfer over the last five minutes: the samples, and the graph.

Rule: samples are made of totals that others count, at most one a second and task, and are bounded;
the graph is made when it is painted, and nothing ticks while it is hidden or has nothing to show.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, Qt, QTimer
from PySide6.QtGui import (
    QHelpEvent,
    QHideEvent,
    QLinearGradient,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QShowEvent,
)
from PySide6.QtWidgets import QToolTip, QWidget

from transfermon.gui.toolkit import theme
from transfermon.model import units
from transfermon.model.record import record
from transfermon.model.task import TaskKey
from transfermon.model.translate import marked, tr

SPAN = 300  # seconds that are shown, and as many columns
MOST_TASKS = 100  # of more the ones that moved longest ago are forgotten
# seconds between two samples; after a longer pause nothing had moved until one second ago
TOGETHER = 2.5
LEFT, RIGHT, TOP, BOTTOM = 84, 16, 30, 24
EMPTY = marked("Nothing was measured in the last five minutes.")


class Sample(NamedTuple):
    end: float  # monotonic seconds
    length: float
    moved: int


class _Track:
    __slots__ = ("samples", "time", "total")

    def __init__(self, now: float, total: int) -> None:
        self.time, self.total = now, total
        self.samples: deque[Sample] = deque(maxlen=SPAN)


class Speeds:
    """What moved, by task. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._tracks: dict[TaskKey, _Track] = {}  # in the order in which they moved last

    def __repr__(self) -> str:
        return f"<Speeds tasks={len(self._tracks)}>"

    def __len__(self) -> int:
        return len(self._tracks)

    def add(self, key: TaskKey, total: int, now: float) -> None:
        """Note that `total` bytes have moved. The first total of a task and one that is smaller
        than the last are only where counting begins; one that comes sooner than a second after the
        last waits for the next.
        """
        track = self._tracks.get(key)
        if track is None:
            self._tracks[key] = _Track(now, total)
            if len(self._tracks) > MOST_TASKS:
                del self._tracks[next(iter(self._tracks))]
            return
        if total < track.total:
            track.time, track.total = now, total
            return
        if total == track.total or now - track.time < 0.95:
            return
        length = now - track.time
        track.samples.append(Sample(now, length if length < TOGETHER else 1.0, total - track.total))
        track.time, track.total = now, total
        self._tracks[key] = self._tracks.pop(key)

    def columns(self, key: TaskKey, now: float) -> list[float]:
        """Bytes per second in each of the last `SPAN` seconds, oldest first; empty when nothing
        moved in them.
        """
        track = self._tracks.get(key)
        samples = [s for s in track.samples if s.end > now - SPAN] if track else []
        if not samples:
            return []
        last = samples[-1].end  # the second that is not sampled yet is not shown as a fall
        begin = (last if now - last < TOGETHER else now) - SPAN
        out = [0.0] * SPAN
        for sample in samples:
            left, right = sample.end - sample.length - begin, sample.end - begin
            for column in range(max(0, int(left)), min(SPAN, int(right) + 1)):
                share = max(0.0, min(right, column + 1) - max(left, column))
                out[column] += sample.moved / sample.length * share
        return out


@record
class Summary:
    """Bytes per second."""

    now: float
    average: float  # from the first second in which something moved to the last
    highest: float

    @property
    def words(self) -> str:
        return tr("Now {now}, average {average}, highest {highest}").format(
            now=units.rate(self.now),
            average=units.rate(self.average),
            highest=units.rate(self.highest),
        )


def speed_summary(columns: Sequence[float]) -> Summary:
    moving = [column for column, rate in enumerate(columns) if rate > 0]
    if not moving:
        return Summary(now=0.0, average=0.0, highest=0.0)
    lasted = moving[-1] - moving[0] + 1
    return Summary(now=sum(columns[-3:]) / 3, average=sum(columns) / lasted, highest=max(columns))


def graph_scale(highest: float) -> float:
    """The top of the graph: 1, 2 or 5 times a power of ten, at or above the highest, 1 kB/s at the
    least.
    """
    top = 1000.0
    while top < highest:
        for factor in (2, 2.5, 2):
            top *= factor
            if top >= highest:
                break
    return top


class SpeedGraph(QWidget):
    """One task's speed. It paints what `speeds` holds when it is seen, once a second."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("details_speed")
        self.setAccessibleName(tr("Speed of the last five minutes"))
        self.setAccessibleDescription(tr(EMPTY))
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setMinimumSize(160, 90)
        self.speeds = Speeds()
        self.columns: list[float] = []
        self._key: TaskKey | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(1000)
        self._timer.timeout.connect(self.refresh)
        theme.themed.changed.connect(self.update)

    def __repr__(self) -> str:
        return f"<SpeedGraph {self._key} ticking={self.ticking}>"

    @property
    def ticking(self) -> bool:
        return self._timer.isActive()

    def show_key(self, key: TaskKey | None) -> None:
        if key != self._key:
            self._key = key
            self.refresh()

    def add(self, key: TaskKey, total: int, now: float) -> None:
        """See `Speeds.add`. What is shown begins to tick when something moves."""
        self.speeds.add(key, total, now)
        if key == self._key and not self.ticking:
            self.refresh()

    def refresh(self) -> None:
        """Make the graph anew where it is seen. Happens by itself."""
        if not self.isVisible():
            self._timer.stop()
            return
        self.columns = (
            self.speeds.columns(self._key, time.monotonic()) if self._key is not None else []
        )
        self.setAccessibleDescription(
            speed_summary(self.columns).words if self.columns else tr(EMPTY)
        )
        if self.columns and not self.ticking:
            self._timer.start()
        elif not self.columns:
            self._timer.stop()
        self.update()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.refresh()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()

    # Painting

    def _plot(self) -> QRectF:
        return QRectF(
            LEFT, TOP, max(1, self.width() - LEFT - RIGHT), max(1, self.height() - TOP - BOTTOM)
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), theme.color("base"))
        painter.setPen(theme.color("muted"))
        if not self.columns:
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, tr(EMPTY))
            return
        found, plot = speed_summary(self.columns), self._plot()
        top = graph_scale(found.highest)
        head = QRect(LEFT, 4, int(plot.width()), TOP - 8)
        words = painter.fontMetrics().elidedText(
            found.words, Qt.TextElideMode.ElideRight, head.width()
        )
        painter.setPen(theme.color("text"))
        painter.drawText(head, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, words)
        self._paint_grid(painter, plot, top)
        self._paint_curve(painter, plot, top)

    def _paint_grid(self, painter: QPainter, plot: QRectF, top: float) -> None:
        middle = Qt.AlignmentFlag.AlignVCenter
        for share in (0.0, 0.5, 1.0):
            y = round(plot.bottom() - share * plot.height())
            painter.fillRect(QRectF(plot.left(), y, plot.width(), 1), theme.color("line"))
            painter.setPen(theme.color("muted"))
            label = units.rate(top * share) if share else "0"
            painter.drawText(
                QRect(0, y - 10, LEFT - 10, 20), Qt.AlignmentFlag.AlignRight | middle, label
            )
        below = QRect(int(plot.left()), int(plot.bottom()) + 3, int(plot.width()), BOTTOM - 4)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft | middle, tr("5 min ago"))
        painter.drawText(below, Qt.AlignmentFlag.AlignRight | middle, tr("now"))

    def _paint_curve(self, painter: QPainter, plot: QRectF, top: float) -> None:
        step = plot.width() / (SPAN - 1)
        line = QPainterPath()
        for column, rate in enumerate(self.columns):
            point = QPointF(plot.left() + column * step, plot.bottom() - rate / top * plot.height())
            line.lineTo(point) if column else line.moveTo(point)
        area = QPainterPath(line)
        area.lineTo(plot.bottomRight())
        area.lineTo(plot.bottomLeft())
        area.closeSubpath()
        shade = QLinearGradient(plot.topLeft(), plot.bottomLeft())
        for place, alpha in ((0.0, 0.34), (1.0, 0.05)):
            color = theme.color("bar")
            color.setAlphaF(alpha)
            shade.setColorAt(place, color)
        painter.fillPath(area, shade)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(
            QPen(
                theme.color("bar"),
                1.6,
                Qt.PenStyle.SolidLine,
                Qt.PenCapStyle.RoundCap,
                Qt.PenJoinStyle.RoundJoin,
            )
        )
        painter.setClipRect(plot.adjusted(0, -1, 0, 1))
        painter.drawPath(line)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.words_at(event.pos().x()), self)
            return True
        return super().event(event)

    def words_at(self, x: int) -> str:
        """How fast it was at that place of the graph; "" outside."""
        plot = self._plot()
        if not self.columns or not plot.left() <= x <= plot.right():
            return ""
        column = round((x - plot.left()) / plot.width() * (SPAN - 1))
        ago = SPAN - 1 - column
        rate = units.rate(self.columns[column])
        if not ago:
            return tr("{rate}, now").format(rate=rate)
        return tr("{rate}, {time} ago").format(rate=rate, time=units.duration(ago))
