"""A bar that shows where the bytes of a file are when several connections bring it.

Rule: nothing is said by colour alone. What is stored is filled, what a connection is about to bring
is tinted, with stripes where it comes from a mirror, and a line stands where its bytes arrive.
"""

from __future__ import annotations

from PySide6.QtCore import QLineF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPainterPath, QPen

from transfermon.gui.toolkit import theme
from transfermon.model.ranges import NOBODY, Picture, Stretch

COMING = 0.3  # how much of its colour what is to come has
FRONT = 2.0  # pixels of the line where bytes arrive
OVER = 3.0  # by which it stands out above and below


def draw_ranges(painter: QPainter, track: QRectF, picture: Picture, role: str) -> None:
    """A rounded bar, filled where bytes are stored and tinted where a connection brings some."""
    painter.save()
    _clip(painter, track)
    painter.fillRect(track, theme.color("track"))
    total = max(1, picture[-1].end)
    for one in picture:
        if one.at > one.start:
            stored = _between(painter, track, one.start / total, one.at / total)
            painter.fillRect(stored, theme.color(role))
        if one.by != NOBODY and one.end > one.at:
            coming = _between(painter, track, one.at / total, one.end / total)
            painter.fillRect(coming, _tint(_role_of(one, role), COMING))
    painter.restore()


def draw_connections(painter: QPainter, track: QRectF, picture: Picture, role: str) -> None:
    """As `draw_ranges`, with where each connection is, and what comes from a mirror."""
    draw_ranges(painter, track, picture, role)
    total = max(1, picture[-1].end)
    busy = [one for one in picture if one.by != NOBODY]
    painter.save()
    _clip(painter, track)
    for one in busy:
        if one.by > 0:
            coming = _between(painter, track, one.at / total, one.end / total)
            stripes = _tint(_role_of(one, role), 2 * COMING)
            painter.fillRect(coming, QBrush(stripes, Qt.BrushStyle.BDiagPattern))
    painter.setPen(QPen(theme.color("base"), 1))
    for one in picture[1:]:
        at = _between(painter, track, one.start / total, one.start / total).left()
        painter.drawLine(QLineF(at, track.top(), at, track.bottom()))
    painter.restore()
    painter.save()
    painter.setPen(QPen(theme.color("text"), FRONT, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap))
    for one in busy:
        at = _between(painter, track, one.at / total, one.at / total).left()
        at = min(max(at, track.left() + FRONT / 2), track.right() - FRONT / 2)
        painter.drawLine(QLineF(at, track.top() - OVER, at, track.bottom() + OVER))
    painter.restore()


def _role_of(one: Stretch, role: str) -> str:
    return "violet" if one.by > 0 else role


def _tint(role: str, alpha: float) -> QColor:
    color = theme.color(role)
    color.setAlphaF(alpha)
    return color


def _clip(painter: QPainter, track: QRectF) -> None:
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    outline = QPainterPath()
    outline.addRoundedRect(track, track.height() / 2, track.height() / 2)
    painter.setClipPath(outline, Qt.ClipOperation.IntersectClip)


def _between(painter: QPainter, track: QRectF, begin: float, end: float) -> QRectF:
    """That part of the track, on whole pixels of the device, and of one at the least."""
    ratio = painter.device().devicePixelRatioF()
    left = round((track.left() + track.width() * begin) * ratio) / ratio
    right = round((track.left() + track.width() * end) * ratio) / ratio
    return QRectF(left, track.top(), max(1 / ratio, right - left), track.height())
