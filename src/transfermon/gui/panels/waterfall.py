"""Where the time of each request went: a bar of its phases, and the same in words.

Rule: the words say all that the bar says, with milliseconds; the bar is for the eye. An attempt
begins at the left edge, and a request that followed a redirect begins where it began.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from PySide6.QtCore import QEvent, QRect, QRectF, QSize, Qt
from PySide6.QtGui import (
    QGuiApplication,
    QHelpEvent,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPainterPath,
    QPaintEvent,
)
from PySide6.QtWidgets import QScrollArea, QToolTip, QWidget

from transfermon.gui.toolkit import theme
from transfermon.model import units
from transfermon.model.metrics import REDIRECTS, TransactionMetrics
from transfermon.model.record import record
from transfermon.model.translate import marked, tr

ROW = 50  # pixels
LABEL = 170
TOTAL = 84
MARGIN = 16
BAR = 8
LEAST = 3.0  # pixels of a phase, so that a short one is seen beside a long one
DESCRIBED = 12  # requests that the accessible description names: the newest
EMPTY = marked("No timings yet. They come with the end of an attempt.")

COLORS = {
    marked("DNS"): "bar_idle",
    marked("Connect"): "bar_warn",
    marked("TLS"): "violet",
    marked("Sending"): "muted",
    marked("Waiting"): "bar_good",
    marked("Receiving"): "bar",
}


@record
class Phase:
    """A part of a request; seconds since its attempt began."""

    name: str  # a key of COLORS
    begin: float
    end: float

    @property
    def words(self) -> str:
        return f"{tr(self.name)} {duration_of(self.end - self.begin)}"


@record
class PhaseBar:
    """One request."""

    title: str
    place: str  # the host and port that it went to
    url: str
    outcome: str
    role: str  # of the outcome
    first: bool  # of its attempt
    begin: float
    end: float
    phases: tuple[Phase, ...]
    note: str = ""  # what there is to say beside the phases

    @property
    def words(self) -> str:
        parts = ", ".join(
            [*(phase.words for phase in self.phases), *([self.note] if self.note else [])]
        )
        return f"{self.title}, {self.outcome}, {duration_of(self.end - self.begin)}" + (
            f": {parts}" if parts else ""
        )


def duration_of(seconds: float) -> str:
    """ "35 ms", "1,240 ms", "41.3 s", "8 min"."""
    if seconds < 0.0005:
        return tr("under 1 ms")
    if seconds < 10:
        return tr("{number:,.0f} ms").format(number=seconds * 1000)
    return tr("{number:.1f} s").format(number=seconds) if seconds < 100 else units.duration(seconds)


def phase_bars(transactions: Sequence[TransactionMetrics]) -> list[PhaseBar]:
    """What is painted, oldest first."""
    out: list[PhaseBar] = []
    attempt, began, before = 0, 0.0, 0
    for sent in transactions:
        if sent.fetch_start is None:
            continue
        first = sent.attempt != attempt
        if first:
            attempt, began = sent.attempt, sent.fetch_start
        then = (
            tr("Redirected")
            if before in REDIRECTS
            else tr("Then {method}").format(method=units.clean(sent.method, 20))
        )
        out.append(
            _bar(
                sent,
                tr("Attempt {attempt}").format(attempt=sent.attempt) if first else then,
                first,
                began,
            )
        )
        before = sent.status or 0
    return out


def _bar(sent: TransactionMetrics, title: str, first: bool, began: float) -> PhaseBar:
    assert sent.fetch_start is not None
    begin = max(0.0, sent.fetch_start - began)
    phases = tuple(
        Phase(
            name=name, begin=max(begin, start - began), end=max(begin, start - began, end - began)
        )
        for name, start, end in _marks(sent)
    )
    return PhaseBar(
        title=title,
        place=_place(sent),
        url=units.clean(f"{sent.method} {sent.url}", 1000),
        outcome=tr("No answer")
        if sent.status is None
        else tr("HTTP {status}").format(status=sent.status),
        role="bad"
        if sent.status is None or sent.status >= 400
        else "warn"
        if sent.status >= 300
        else "good",
        first=first,
        begin=begin,
        end=max([begin, *(phase.end for phase in phases)]),
        phases=phases,
        note=tr("on an open connection") if sent.is_reused_connection else "",
    )


def _marks(sent: TransactionMetrics) -> list[tuple[str, float, float]]:
    connected = (
        sent.secure_connection_start
        if sent.secure_connection_start is not None
        else sent.connect_end
    )
    waited = (
        None if sent.request_end is None or sent.response_start is None else sent.response_start
    )
    found = (
        ("DNS", sent.domain_lookup_start, sent.domain_lookup_end),
        ("Connect", sent.connect_start, connected),
        ("TLS", sent.secure_connection_start, sent.secure_connection_end),
        ("Sending", sent.request_start, sent.request_end if sent.request_body_bytes else None),
        ("Waiting", sent.request_end, waited),
        ("Receiving", sent.response_start, sent.response_end),
    )
    return [
        (name, start, end) for name, start, end in found if start is not None and end is not None
    ]


def _place(sent: TransactionMetrics) -> str:
    try:
        return units.clean(urlsplit(sent.url).netloc, 200)
    except ValueError:
        return ""


class Waterfall(QScrollArea):
    """Ctrl+C copies the words of all requests."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("details_timing")
        self.setAccessibleName(tr("Timing"))
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.page = _Page()
        self.setWidget(self.page)
        self._shown: Sequence[TransactionMetrics] | None = None

    def __repr__(self) -> str:
        return f"<Waterfall bars={len(self.page.bars)}>"

    def show_transactions(self, transactions: Sequence[TransactionMetrics]) -> None:
        if transactions == self._shown:
            return
        self._shown = transactions
        self.page.show_bars(phase_bars(transactions))
        words = [bar.words for bar in self.page.bars]
        self.setAccessibleDescription(". ".join(words[-DESCRIBED:]) or tr(EMPTY))

    @property
    def text(self) -> str:
        """For the clipboard."""
        return "\n".join(f"{bar.words}  {bar.url}" for bar in self.page.bars)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            QGuiApplication.clipboard().setText(self.text)
        else:
            super().keyPressEvent(event)


class _Page(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.setProperty("ground", "base")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.bars: list[PhaseBar] = []
        theme.themed.changed.connect(self.update)

    def show_bars(self, found: list[PhaseBar]) -> None:
        self.bars = found
        self.setMinimumHeight(len(found) * ROW + MARGIN)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(400, len(self.bars) * ROW + MARGIN)

    def row_at(self, y: int) -> PhaseBar | None:
        row = (y - MARGIN // 2) // ROW
        return self.bars[row] if 0 <= row < len(self.bars) else None

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            bar = self.row_at(event.pos().y())
            QToolTip.showText(
                event.globalPos(), theme.plain_tip(f"{bar.url} – {bar.words}") if bar else "", self
            )
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self.bars:
            painter.setPen(theme.color("muted"))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, tr(EMPTY))
            return
        longest = max(max(bar.end for bar in self.bars), 1e-3)
        for row, bar in enumerate(self.bars):
            where = QRect(MARGIN, MARGIN // 2 + row * ROW, self.width() - 2 * MARGIN, ROW)
            if where.intersects(event.rect()):
                if bar.first and row:
                    painter.fillRect(
                        QRect(where.x(), where.y(), where.width(), 1), theme.color("line")
                    )
                self._paint_bar(painter, where, bar, longest)

    def _paint_bar(self, painter: QPainter, where: QRect, bar: PhaseBar, longest: float) -> None:
        label = min(LABEL, where.width() * 2 // 5)
        upper = QRect(where.x(), where.y() + 6, label - 12, 19)
        lower = upper.translated(0, 19)
        width = painter.fontMetrics().horizontalAdvance(bar.title + "  ")
        _draw(painter, upper, bar.title, "text" if bar.first else "muted")
        _draw(painter, upper.adjusted(width, 0, 0, 0), bar.outcome, bar.role)
        _draw(painter, lower, bar.place, "muted", elide=Qt.TextElideMode.ElideMiddle)
        middle = QRect(where.x() + label, upper.y(), where.width() - label - TOTAL, upper.height())
        self._paint_phases(painter, middle, bar, longest)
        right = QRect(middle.right(), upper.y(), TOTAL, upper.height())
        _draw(
            painter,
            right,
            duration_of(bar.end - bar.begin),
            "text",
            align=Qt.AlignmentFlag.AlignRight,
        )
        self._paint_words(painter, middle.translated(0, 19).adjusted(0, 0, TOTAL, 0), bar)

    def _paint_phases(self, painter: QPainter, where: QRect, bar: PhaseBar, longest: float) -> None:
        track = QRectF(where.x(), where.center().y() - BAR / 2 + 1, where.width(), BAR)
        shape = QPainterPath()
        shape.addRoundedRect(track, BAR / 2, BAR / 2)
        painter.save()
        painter.fillPath(shape, theme.color("track"))
        painter.setClipPath(shape)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        for phase, (left, right) in zip(
            bar.phases, phase_spans(bar.phases, longest, track.width()), strict=True
        ):
            painter.fillRect(
                QRectF(track.x() + left, track.y(), right - left, BAR),
                theme.color(COLORS[phase.name]),
            )
        painter.restore()

    def _paint_words(self, painter: QPainter, where: QRect, bar: PhaseBar) -> None:
        x = where.x()
        for phase in bar.phases:
            width = painter.fontMetrics().horizontalAdvance(phase.words)
            if x + 12 + width > where.right():
                _draw(painter, QRect(x, where.y(), where.right() - x, where.height()), "…", "muted")
                return
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.color(COLORS[phase.name]))
            painter.drawEllipse(QRectF(x, where.center().y() - 2.5, 7, 7))
            _draw(
                painter, QRect(x + 12, where.y(), width + 4, where.height()), phase.words, "muted"
            )
            x += 12 + width + 16
        _draw(painter, QRect(x, where.y(), where.right() - x, where.height()), bar.note, "muted")


def phase_spans(phases: Sequence[Phase], longest: float, width: float) -> list[tuple[float, float]]:
    """Where each phase is, in pixels: in proportion, but none shorter than `LEAST`, none over the
    one before it, and none past the right end.
    """
    out: list[tuple[float, float]] = []
    before = 0.0
    for place, phase in enumerate(phases):
        room = width - LEAST * (len(phases) - place)  # what follows has its own
        left = min(max(before, phase.begin / longest * width), room)
        right = min(max(left + LEAST, phase.end / longest * width), room + LEAST)
        out.append((left, right))
        before = right
    return out


def _draw(
    painter: QPainter,
    where: QRect,
    text: str,
    role: str,
    *,
    align: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft,
    elide: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
) -> None:
    painter.setPen(theme.color(role))
    fitting = painter.fontMetrics().elidedText(text, elide, max(0, where.width()))
    painter.drawText(where, align | Qt.AlignmentFlag.AlignVCenter, fitting)
