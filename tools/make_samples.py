"""Paints the pictures that VideoFarm serves. Run once after a change here: python
tools/make_samples.py [FOLDER].

The one rule to keep: no randomness without a seed, so that the same code paints the same pictures.
"""

from __future__ import annotations

import math
import os
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QBuffer, QIODevice, QPointF, QRectF, Qt
from PySide6.QtGui import (
    QBrush,
    QColor,
    QGuiApplication,
    QImage,
    QImageWriter,
    QLinearGradient,
    QPainter,
    QPainterPath,
    QPen,
    QPolygonF,
    QRadialGradient,
)

WIDTH, HEIGHT = 1200, 800
LARGEST = 246_000  # bytes, of all pictures together
Stops = Sequence[tuple[float, str]]
Line = Callable[[float], float]


def colour(text: str, alpha: float = 1.0) -> QColor:
    made = QColor(text)
    made.setAlphaF(alpha)
    return made


def mixed(one: str, other: str, part: float) -> str:
    a, b = QColor(one), QColor(other)
    channels = zip((a.red(), a.green(), a.blue()), (b.red(), b.green(), b.blue()), strict=True)
    return "#" + "".join(f"{round(x + (y - x) * part):02x}" for x, y in channels)


def noise(seed: int, step: float, octaves: int = 5, fall: float = 0.5) -> Line:
    """A smooth random line between about -1 and 1; `step` is the width of its largest waves in
    pixels.
    """
    values = [
        [random.Random(seed * 1000 + octave * 7919 + i).uniform(-1, 1) for i in range(512)]
        for octave in range(octaves)
    ]

    def at(x: float) -> float:
        total, size, width = 0.0, 1.0, step
        for octave in range(octaves):
            place = x / width + 37.0
            index = math.floor(place)
            part = place - index
            part = part * part * (3 - 2 * part)
            row = values[octave]
            total += size * (row[index % 512] * (1 - part) + row[(index + 1) % 512] * part)
            size, width = size * fall, width / 2
        return total

    return at


class Canvas:
    """A picture in work, with the few strokes that the scenes are made of."""

    def __init__(self) -> None:
        self.image = QImage(WIDTH, HEIGHT, QImage.Format.Format_RGB32)
        self.painter = QPainter(self.image)
        self.painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self.painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        self.painter.setPen(Qt.PenStyle.NoPen)

    def fade(
        self, top: float, bottom: float, stops: Stops, alphas: Sequence[float] | None = None
    ) -> None:
        gradient = QLinearGradient(0, top, 0, bottom)
        for i, (place, text) in enumerate(stops):
            gradient.setColorAt(place, colour(text, alphas[i] if alphas else 1.0))
        self.painter.fillRect(QRectF(0, top, WIDTH, bottom - top), gradient)

    def glow(
        self, x: float, y: float, radius: float, text: str, alpha: float, flat: float = 1.0
    ) -> None:
        gradient = QRadialGradient(QPointF(0, 0), radius)
        for i in range(9):
            place = i / 8
            gradient.setColorAt(place, colour(text, alpha * (1 - place) ** 2.2))
        self.painter.save()
        self.painter.translate(x, y)
        self.painter.scale(1, flat)
        self.painter.setBrush(gradient)
        self.painter.drawEllipse(QPointF(0, 0), radius, radius)
        self.painter.restore()

    def disc(self, x: float, y: float, radius: float, text: str, alpha: float = 1.0) -> None:
        self.painter.setBrush(colour(text, alpha))
        self.painter.drawEllipse(QPointF(x, y), radius, radius)

    def land(self, line: Line, top: str, bottom: str, depth: float, step: int = 3) -> QPainterPath:
        """Everything below `line`, fading from `top` at its highest point to `bottom` over `depth`
        pixels.
        """
        points = [QPointF(x, line(x)) for x in range(-6, WIDTH + 7, step)]
        highest = min(point.y() for point in points)
        path = QPainterPath()
        path.addPolygon(
            QPolygonF([QPointF(-6, HEIGHT + 5), *points, QPointF(WIDTH + 6, HEIGHT + 5)])
        )
        gradient = QLinearGradient(0, highest, 0, highest + depth)
        gradient.setColorAt(0, QColor(top))
        gradient.setColorAt(1, QColor(bottom))
        self.painter.fillPath(path, gradient)
        return path

    def shape(
        self, points: Sequence[tuple[float, float]], brush: QBrush | QColor | QLinearGradient
    ) -> None:
        path = QPainterPath()
        path.addPolygon(QPolygonF([QPointF(x, y) for x, y in points]))
        path.closeSubpath()
        self.painter.fillPath(path, brush)

    def stars(self, count: int, bottom: float, seed: int, text: str = "#ffffff") -> None:
        chance = random.Random(seed)
        for _ in range(count):
            x, y = chance.uniform(0, WIDTH), bottom * chance.random() ** 1.4
            size = 0.5 + 1.3 * chance.random() ** 4
            self.disc(x, y, size, text, chance.uniform(0.35, 1.0) * (1 - 0.7 * y / bottom))

    def clouds(
        self, seed: int, rows: Sequence[tuple[float, float, float]], text: str, alpha: float
    ) -> None:
        """Soft long clouds; each row is (y, thickness, length)."""
        chance = random.Random(seed)
        for y, thick, length in rows:
            x = chance.uniform(0.05, 0.85) * WIDTH
            for _ in range(26):
                self.glow(
                    x + chance.gauss(0, length / 3),
                    y + chance.gauss(0, thick / 3),
                    chance.uniform(0.25, 0.6) * length,
                    text,
                    alpha * chance.uniform(0.3, 1),
                    thick / length,
                )

    def cumulus(self, x: float, y: float, size: float, seed: int, lit: str, shade: str) -> None:
        chance = random.Random(seed)
        puffs = [
            (
                x + u * size,
                y - chance.random() ** 1.2 * size * 0.4 * (1 - u * u),
                size * chance.uniform(0.16, 0.27) * (1.15 - abs(u)),
            )
            for u in (chance.uniform(-0.8, 0.8) for _ in range(90))
        ]
        for px, py, radius in puffs:
            self.glow(px + radius * 0.2, py + radius * 0.6, radius * 1.7, shade, 0.4, 0.6)
        for px, py, radius in sorted(puffs, key=lambda puff: puff[1]):
            self.glow(px - radius * 0.1, py - radius * 0.15, radius * 1.5, lit, 0.5, 0.8)

    def mirror(self, horizon: int, seed: int, squeeze: float, sway: float) -> None:
        """What is above `horizon`, upside down below it, in rows that sway more and more towards
        the front.
        """
        self.painter.end()
        soft = Qt.TransformationMode.SmoothTransformation
        aspect = Qt.AspectRatioMode.IgnoreAspectRatio
        copy = self.image.scaled(WIDTH // 3, HEIGHT // 3, aspect, soft).scaled(
            WIDTH, HEIGHT, aspect, soft
        )
        self.painter.begin(self.image)
        self.painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self.painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        self.painter.setPen(Qt.PenStyle.NoPen)
        wave = noise(seed, 9.0, 3)
        for y in range(horizon, HEIGHT):
            depth = (y - horizon) / (HEIGHT - horizon)
            source = horizon - 1 - (y - horizon) / squeeze
            shift = wave(4000 + y / (1.2 + 2.6 * depth)) * sway * (0.05 + depth)
            line = min(max(source, 0.0), horizon - 1.0)
            self.painter.drawImage(
                QRectF(-30 + shift, y, WIDTH + 60, 1), copy, QRectF(0, line, WIDTH, 1)
            )

    def glitter(
        self, x: float, top: float, seed: int, text: str, count: int, spread: float
    ) -> None:
        """Light on water: short strokes below `x`, wider towards the front."""
        chance = random.Random(seed)
        for _ in range(count):
            depth = chance.random() ** 1.3
            y = top + depth * (HEIGHT - top)
            width = (4 + 46 * depth) * chance.uniform(0.4, 1.2)
            place = x + chance.gauss(0, 1) * spread * (0.25 + depth)
            away = abs(place - x) / (spread * (0.25 + depth))
            self.painter.setBrush(colour(text, 0.65 * chance.random() * math.exp(-away * away / 2)))
            self.painter.drawEllipse(QPointF(place, y), width / 2, 0.7 + 1.7 * depth)

    def finish(self) -> None:
        self.painter.end()

    def encoded(self, quality: int) -> bytes:
        # Not progressive: the same bytes are the frames of a film.
        buffer = QBuffer()
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        writer = QImageWriter(buffer, b"jpeg")
        writer.setQuality(quality)
        writer.setOptimizedWrite(True)
        writer.write(self.image)
        return bytes(buffer.data().data())


def hills(
    seed: int, base: float, height: float, step: float, octaves: int = 5, fall: float = 0.5
) -> Line:
    line = noise(seed, step, octaves, fall)
    return lambda x: base - height * line(x)


def ridges(seed: int, base: float, height: float, step: float) -> Line:
    """Like hills, with sharp tops."""
    line, fine = noise(seed, step, 2, 0.45), noise(seed + 50, step / 5, 5, 0.55)
    return lambda x: base - height * (1.15 - 1.9 * abs(line(x))) - height * 0.16 * fine(x)


def pine(canvas: Canvas, x: float, foot: float, height: float, text: str, seed: int) -> None:
    chance = random.Random(seed)
    points = [(x, foot - height)]
    rows = 7
    right, left = [], []
    for row in range(1, rows + 1):
        y = foot - height + height * 0.95 * row / rows
        reach = height * 0.21 * (row / rows) ** 0.85
        right += [
            (x + reach * chance.uniform(0.8, 1.15), y + height * 0.02),
            (x + reach * 0.45, y - height * 0.005),
        ]
        left += [
            (x - reach * chance.uniform(0.8, 1.15), y + height * 0.02),
            (x - reach * 0.45, y - height * 0.005),
        ]
    points += [*right, (x + height * 0.02, foot), (x - height * 0.02, foot), *reversed(left)]
    canvas.shape(points, QColor(text))


CROWN = (  # clumps of leaves, in heights of the tree: across, up, radius
    (0.0, 0.02, 0.24),
    (-0.2, -0.06, 0.17),
    (0.21, -0.05, 0.17),
    (-0.13, 0.14, 0.17),
    (0.13, 0.15, 0.17),
    (0.0, 0.25, 0.13),
    (-0.29, 0.04, 0.11),
    (0.3, 0.06, 0.11),
    (-0.05, -0.12, 0.15),
)


def tree(
    canvas: Canvas,
    x: float,
    foot: float,
    height: float,
    dark: str,
    lit: str,
    seed: int,
    light: float = -1,
) -> None:
    chance = random.Random(seed)
    wide = height * 0.034
    canvas.shape(
        [
            (x - wide, foot + 3),
            (x - wide * 0.5, foot - height * 0.55),
            (x + wide * 0.5, foot - height * 0.55),
            (x + wide, foot + 3),
        ],
        QColor(dark),
    )
    crowns = [(x + u * height, foot - height * (0.66 + v), height * r) for u, v, r in CROWN]
    leaves = []
    for px, py, radius in crowns:
        for _ in range(60):
            angle, far = chance.uniform(0, math.tau), chance.random() ** 0.55
            leaves.append(
                (px + math.cos(angle) * far * radius, py + math.sin(angle) * far * radius * 0.9, py)
            )
    outline = QPainterPath()
    for px, py, radius in crowns:
        clump = QPainterPath()
        clump.addEllipse(QPointF(px, py), radius, radius * 0.95)
        outline = outline.united(clump)
    canvas.painter.fillPath(outline, QColor(dark))
    canvas.painter.save()
    canvas.painter.setClipPath(outline)
    for place, (px, py, middle) in enumerate(leaves):
        across, up = (px - x) * light / height, (foot - height * 0.6 - py) / height
        part = min(
            1.0,
            max(
                0.0,
                0.36
                + across * 0.9
                + up * 0.9
                + (middle - py) / height * 1.6
                + chance.uniform(-0.1, 0.1),
            ),
        )
        canvas.glow(
            px,
            py,
            height * chance.uniform(0.035, 0.065) * (1.7 if place % 3 else 1.1),
            mixed(dark, lit, part),
            1.0,
        )
    canvas.painter.restore()


def birds(
    canvas: Canvas, x: float, y: float, count: int, size: float, text: str, seed: int
) -> None:
    chance = random.Random(seed)
    for _ in range(count):
        px, py, span = (
            x + chance.gauss(0, 70),
            y + chance.gauss(0, 26),
            size * chance.uniform(0.6, 1.1),
        )
        path = QPainterPath(QPointF(px - span, py - span * 0.25))
        path.quadTo(px - span * 0.4, py - span * 0.55, px, py)
        path.quadTo(px + span * 0.4, py - span * 0.6, px + span, py - span * 0.2)
        canvas.painter.setPen(
            QPen(
                QColor(text), max(1.2, span * 0.13), Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap
            )
        )
        canvas.painter.setBrush(Qt.BrushStyle.NoBrush)
        canvas.painter.drawPath(path)
    canvas.painter.setPen(Qt.PenStyle.NoPen)


def valley_mist() -> Canvas:
    canvas = Canvas()
    canvas.fade(
        0,
        HEIGHT,
        [(0, "#4f6fa5"), (0.22, "#8c9fc4"), (0.42, "#e6b9b0"), (0.56, "#ffd9a8"), (1, "#ffe9c9")],
    )
    canvas.clouds(5, [(95, 26, 340), (150, 20, 300), (215, 16, 380)], "#ffe3d0", 0.16)
    canvas.glow(820, 330, 620, "#ffd28a", 0.75)
    canvas.glow(820, 330, 210, "#fff0c4", 0.9)
    canvas.disc(820, 330, 43, "#fffbe9")
    layers = 7
    for i in range(layers):
        part = i / (layers - 1)
        body = mixed("#c9a5b0", "#1d2b47", part**0.8)
        base = 400 + 355 * part**1.05
        line = ridges(11 + i * 3, base, 78 + 14 * part, 520 - 60 * part)
        canvas.land(line, body, mixed(body, "#f5cbb0", 0.75 - 0.55 * part), 230)
        if i < layers - 1:
            canvas.fade(
                base - 20,
                base + 130,
                [(0, "#ffdcbc"), (1, "#ffe0c4")],
                [0.0, 0.42 * (1 - part) + 0.1],
            )
    canvas.glow(820, 420, 560, "#ffcf8f", 0.28, 0.55)
    front = hills(77, 772, 22, 420)
    canvas.land(front, "#111a2e", "#0b1120", 90)
    chance = random.Random(3)
    for _ in range(46):
        x = chance.choice(
            (chance.uniform(-20, 420), chance.uniform(930, 1220), chance.uniform(-20, 1220))
        )
        pine(canvas, x, front(x) + 12, chance.uniform(38, 112), "#0f1829", chance.randrange(10**6))
    birds(canvas, 520, 235, 7, 13, "#4c4a66", 8)
    return canvas


def farm_dusk() -> Canvas:
    canvas = Canvas()
    canvas.fade(
        0,
        560,
        [(0, "#1e1f4b"), (0.3, "#5a3a78"), (0.58, "#c2566e"), (0.8, "#f28a4e"), (1, "#ffd07a")],
    )
    canvas.stars(90, 230, 4)
    canvas.clouds(
        21,
        [(165, 22, 420), (240, 26, 520), (300, 18, 460), (352, 16, 380), (120, 15, 300)],
        "#ff9a76",
        0.22,
    )
    canvas.clouds(9, [(270, 14, 420), (390, 12, 460)], "#ffe0a0", 0.26)
    canvas.glow(330, 520, 640, "#ffb347", 0.7, 0.7)
    canvas.disc(330, 500, 50, "#ffe9ad")
    canvas.land(hills(31, 505, 24, 500), "#8f4a63", "#b3606a", 60)
    canvas.land(hills(32, 528, 22, 420), "#643455", "#7d4159", 60)
    far = hills(33, 556, 14, 600)
    canvas.land(far, "#43264a", "#2d1b3b", 130)
    chance = random.Random(6)
    for _ in range(34):
        x = chance.uniform(480, 1220)
        size = chance.uniform(9, 25)
        canvas.disc(x, far(x) - size * 0.4, size, "#371f42")
    furrows(canvas, 330, 575)
    farm(canvas)
    windmill(canvas, 610, 572, 150)
    for x in range(-10, 560, 62):
        canvas.painter.fillRect(QRectF(x, 700 + x * 0.012, 8, 62), QColor("#150d1f"))
    for y in (712, 736):
        canvas.shape([(-10, y), (520, y + 6), (520, y + 11), (-10, y + 6)], QColor("#150d1f"))
    tree(canvas, 1085, 690, 330, "#170d22", "#59304a", 12)
    grass(canvas, 792, 40, "#100a19", 260, 17)
    birds(canvas, 470, 330, 9, 12, "#3a2146", 5)
    return canvas


def furrows(canvas: Canvas, x: float, top: float) -> None:
    canvas.fade(top, HEIGHT, [(0, "#5b3049"), (0.4, "#35203a"), (1, "#1a1124")])
    for i in range(-16, 17):
        near, far = x + i * 132, x + i * 26
        warm = mixed("#c9744f", "#2a1a30", min(1.0, abs(i) / 12))
        gradient = QLinearGradient(0, top, 0, HEIGHT)
        gradient.setColorAt(0, colour(warm, 0.85))
        gradient.setColorAt(0.6, colour(warm, 0.35))
        gradient.setColorAt(1, colour(warm, 0.05))
        canvas.shape(
            [(far, top), (far + 9, top), (near + 46, HEIGHT), (near, HEIGHT)], QBrush(gradient)
        )
    canvas.glow(x, top, 420, "#ffb05c", 0.35, 0.25)


def farm(canvas: Canvas) -> None:
    wall = QLinearGradient(760, 0, 1010, 0)
    wall.setColorAt(0, QColor("#7a2f36"))
    wall.setColorAt(1, QColor("#3a1a2c"))
    canvas.shape([(780, 640), (780, 548), (852, 486), (924, 548), (924, 640)], QBrush(wall))
    canvas.shape([(924, 640), (924, 548), (1010, 548), (1010, 640)], QColor("#34182a"))
    canvas.shape([(852, 478), (944, 478), (1022, 552), (930, 552)], QColor("#24142a"))
    canvas.shape(
        [(852, 476), (936, 550), (925, 556), (852, 491), (779, 556), (768, 550)], QColor("#2c1730")
    )
    canvas.shape([(1034, 640), (1034, 500), (1078, 500), (1078, 640)], QColor("#2b1a33"))
    canvas.painter.setBrush(QColor("#241429"))
    canvas.painter.drawChord(QRectF(1031, 472, 50, 58), 0, 180 * 16)
    light = QColor("#ffd98a")
    for x, y, w, h in ((836, 520, 32, 26), (951, 578, 22, 26), (980, 578, 22, 26)):
        canvas.glow(x + w / 2, y + h / 2, 70, "#ffc25e", 0.55)
        canvas.painter.fillRect(QRectF(x, y, w, h), light)
        canvas.painter.fillRect(QRectF(x + w / 2 - 1, y, 2, h), QColor("#3a1a2c"))
        canvas.painter.fillRect(QRectF(x, y + h / 2 - 1, w, 2), QColor("#3a1a2c"))
    canvas.shape([(826, 640), (826, 580), (878, 580), (878, 640)], QColor("#251226"))
    door = QLinearGradient(0, 580, 0, 640)
    door.setColorAt(0, QColor("#ffcf73"))
    door.setColorAt(1, QColor("#e8893e"))
    canvas.shape([(831, 640), (831, 585), (873, 585), (873, 640)], QBrush(door))
    canvas.glow(852, 645, 150, "#ffb45a", 0.5, 0.3)


def windmill(canvas: Canvas, x: float, foot: float, height: float) -> None:
    dark = QColor("#2a1733")
    canvas.shape(
        [
            (x - 20, foot),
            (x - 9, foot - height * 0.72),
            (x + 9, foot - height * 0.72),
            (x + 20, foot),
        ],
        dark,
    )
    canvas.shape(
        [(x - 13, foot - height * 0.71), (x, foot - height * 0.84), (x + 13, foot - height * 0.71)],
        dark,
    )
    canvas.painter.save()
    canvas.painter.translate(x, foot - height * 0.73)
    canvas.painter.rotate(22)
    for _ in range(4):
        canvas.painter.rotate(90)
        canvas.painter.fillRect(QRectF(-1.5, 0, 3, height * 0.52), dark)
        canvas.painter.fillRect(QRectF(1, height * 0.1, 10, height * 0.42), colour("#2a1733", 0.78))
    canvas.painter.restore()


def grass(canvas: Canvas, foot: float, height: float, text: str, count: int, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(count):
        x, tall = (
            chance.uniform(-10, WIDTH + 10),
            height * chance.uniform(0.3, 1) * (0.7 + 0.3 * math.sin(chance.random() * 9)),
        )
        lean = chance.gauss(0, tall * 0.22)
        base = foot + chance.uniform(0, 22)
        canvas.shape(
            [(x - 4, base + 12), (x + lean, base - tall), (x + 4, base + 12)], QColor(text)
        )


def moon_sea() -> Canvas:
    canvas = Canvas()
    horizon = 470
    canvas.fade(0, horizon, [(0, "#060b24"), (0.45, "#122352"), (0.8, "#2c4d86"), (1, "#6d8fb8")])
    canvas.stars(190, 430, 15, "#eaf2ff")
    canvas.glow(790, 205, 560, "#9fc0ff", 0.42)
    canvas.glow(790, 205, 165, "#e8f0ff", 0.75)
    canvas.disc(790, 205, 55, "#f7f6ea")
    for x, y, size in (
        (774, 188, 26),
        (802, 198, 22),
        (786, 222, 24),
        (812, 224, 15),
        (766, 214, 14),
        (796, 178, 13),
    ):
        canvas.glow(x, y, size, "#b4b8c2", 0.6)
    canvas.clouds(
        33, [(330, 14, 420), (372, 18, 520), (408, 12, 480), (286, 10, 330)], "#b9cdf0", 0.16
    )
    canvas.land(
        lambda x: horizon - max(0.0, 62 - (x - 60) ** 2 / 900) - 5 * noise(4, 70, 4)(x),
        "#16264a",
        "#0e1a38",
        80,
    )
    canvas.painter.fillRect(QRectF(0, horizon, WIDTH, 2), QColor("#9db8d8"))
    canvas.fade(
        horizon, HEIGHT, [(0, "#3f6598"), (0.25, "#1c3b70"), (0.65, "#0d2148"), (1, "#060f28")]
    )
    canvas.glow(790, horizon, 460, "#a9c8f5", 0.42, 0.32)
    chance = random.Random(8)
    for _ in range(260):
        depth = chance.random() ** 1.2
        y, width = horizon + 4 + depth * 330, 12 + 100 * depth * chance.random()
        canvas.painter.setBrush(
            colour(chance.choice(("#5f8cc4", "#050d24", "#2f5590")), 0.2 * chance.random())
        )
        canvas.painter.drawEllipse(QPointF(chance.uniform(0, WIDTH), y), width, 0.8 + 2.2 * depth)
    canvas.glitter(790, horizon + 3, 14, "#f3f3e2", 420, 62)
    sail(canvas, 372, 540)
    lighthouse(canvas, 92, 424)
    return canvas


def sail(canvas: Canvas, x: float, y: float) -> None:
    canvas.shape([(x, y - 132), (x, y - 14), (x + 60, y - 14)], QColor("#dfe7f2"))
    canvas.shape([(x - 5, y - 118), (x - 5, y - 14), (x - 44, y - 14)], QColor("#b7c6de"))
    canvas.painter.fillRect(QRectF(x - 4, y - 138, 3, 130), QColor("#0b1430"))
    canvas.shape(
        [(x - 58, y - 10), (x + 70, y - 10), (x + 50, y + 8), (x - 42, y + 8)], QColor("#0b1430")
    )
    chance = random.Random(2)
    for i in range(70):
        depth = i / 70
        canvas.painter.setBrush(colour("#cfdcf0", 0.34 * (1 - depth) * chance.random()))
        canvas.painter.drawEllipse(
            QPointF(x + 6 + chance.gauss(0, 16), y + 12 + 105 * depth),
            12 + 20 * chance.random(),
            1.4,
        )


def lighthouse(canvas: Canvas, x: float, foot: float) -> None:
    for sign, reach in ((1, 560.0), (-1, 240.0)):
        beam = QLinearGradient(x, 0, x + sign * reach, 0)
        beam.setColorAt(0, colour("#fff3c4", 0.5))
        beam.setColorAt(1, colour("#fff3c4", 0.0))
        canvas.shape(
            [(x, foot - 108), (x + sign * reach, foot - 140), (x + sign * reach, foot - 52)],
            QBrush(beam),
        )
    canvas.shape(
        [(x - 12, foot), (x - 7, foot - 98), (x + 7, foot - 98), (x + 12, foot)], QColor("#c6d3e6")
    )
    for y in (20, 54):
        canvas.shape(
            [
                (x - 11, foot - y),
                (x - 10, foot - y - 16),
                (x + 10, foot - y - 16),
                (x + 11, foot - y),
            ],
            QColor("#8b3a4c"),
        )
    canvas.painter.fillRect(QRectF(x - 9, foot - 114, 18, 16), QColor("#fff1b8"))
    canvas.shape([(x - 11, foot - 114), (x, foot - 128), (x + 11, foot - 114)], QColor("#0e1a38"))
    canvas.glow(x, foot - 106, 90, "#fff0b8", 0.85)


def lake_evening() -> Canvas:
    canvas = Canvas()
    horizon = 440
    canvas.fade(
        0,
        horizon,
        [(0, "#27447c"), (0.35, "#7b6fa6"), (0.65, "#ee9a8a"), (0.88, "#ffc98a"), (1, "#ffe2a6")],
    )
    canvas.clouds(
        44,
        [(80, 34, 520), (150, 28, 460), (205, 20, 520), (255, 18, 420), (300, 12, 420)],
        "#ffd3c0",
        0.26,
    )
    canvas.clouds(45, [(120, 16, 420), (232, 13, 380)], "#6c5c97", 0.2)
    canvas.glow(640, 395, 520, "#ffd890", 0.8, 0.8)
    canvas.disc(640, 385, 39, "#fff6d6")
    canvas.land(ridges(3, 372, 96, 430), "#8d7fae", "#e5a596", 150)
    canvas.land(ridges(9, 412, 78, 330), "#665f96", "#c98d90", 120)
    canvas.land(hills(56, 428, 26, 260), "#3c4270", "#73608a", 60)
    shore = hills(58, 434, 7, 200)
    canvas.land(shore, "#222b4e", "#2a2f52", 20)
    chance = random.Random(10)
    for _ in range(70):
        x = chance.choice((chance.uniform(-10, 400), chance.uniform(850, 1210)))
        pine(canvas, x, shore(x) + 4, chance.uniform(16, 54), "#1d2646", chance.randrange(10**6))
    canvas.mirror(horizon, 5, 1.0, 15)
    canvas.fade(
        horizon, HEIGHT, [(0, "#20335f"), (0.4, "#20335f"), (1, "#0f1c3c")], [0.05, 0.18, 0.62]
    )
    canvas.fade(
        horizon - 3,
        horizon + 12,
        [(0, "#ffe9c0"), (0.3, "#ffe9c0"), (1, "#ffe9c0")],
        [0.0, 0.45, 0.0],
    )
    canvas.glitter(640, horizon + 8, 4, "#ffe9b8", 200, 34)
    jetty(canvas)
    for x in (30, 84, 150, 1140, 1185):
        reed(canvas, x, x)
    birds(canvas, 830, 190, 6, 14, "#3f3a68", 21)
    return canvas


def jetty(canvas: Canvas) -> None:
    wood = QLinearGradient(0, 560, 0, HEIGHT)
    wood.setColorAt(0, QColor("#4a3d5c"))
    wood.setColorAt(1, QColor("#1a1830"))
    canvas.shape([(846, 566), (884, 566), (1066, 805), (888, 805)], QBrush(wood))
    for i in range(1, 15):
        part = (i / 15) ** 1.7
        y = 566 + 240 * part
        canvas.shape(
            [
                (846 + 42 * part, y),
                (884 + 182 * part, y),
                (884 + 182 * part, y + 1 + 3 * part),
                (846 + 42 * part, y + 1 + 3 * part),
            ],
            QColor("#120f22"),
        )
    for x, y, size in ((844, 556, 0.7), (886, 556, 0.7), (859, 640, 1.2), (950, 640, 1.2)):
        canvas.painter.fillRect(QRectF(x - 4 * size, y, 9 * size, 62 * size), QColor("#1c1830"))


def reed(canvas: Canvas, x: float, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(7):
        foot, tall, lean = (
            x + chance.uniform(-22, 22),
            chance.uniform(110, 230),
            chance.gauss(0, 26),
        )
        path = QPainterPath(QPointF(foot, HEIGHT + 4))
        path.quadTo(foot, HEIGHT - tall * 0.6, foot + lean, HEIGHT - tall)
        canvas.painter.setPen(
            QPen(QColor("#0e1328"), 2.6, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap)
        )
        canvas.painter.setBrush(Qt.BrushStyle.NoBrush)
        canvas.painter.drawPath(path)
        canvas.painter.setPen(Qt.PenStyle.NoPen)
        if chance.random() < 0.6:
            canvas.painter.setBrush(QColor("#2a1c2c"))
            canvas.painter.drawEllipse(QPointF(foot + lean, HEIGHT - tall), 4.6, 18)


def aurora() -> Canvas:
    canvas = Canvas()
    canvas.fade(0, 640, [(0, "#040818"), (0.5, "#0b2038"), (0.85, "#15464f"), (1, "#2b6a68")])
    canvas.stars(170, 560, 51)
    curtain(canvas, 61, 300, 90, 330, "#3dffb0", "#8a5cff", 0.95)
    curtain(canvas, 64, 205, 70, 250, "#52f5c8", "#d45cff", 0.62)
    canvas.glow(560, 420, 620, "#2ee6a0", 0.2, 0.5)
    canvas.land(ridges(24, 585, 120, 430), "#20495c", "#3d7a80", 190)
    canvas.land(ridges(27, 640, 84, 360), "#2f6275", "#8fc3c4", 150)
    ground = hills(70, 690, 20, 620, 3)
    canvas.land(ground, "#a9d6d6", "#36637c", 150)
    canvas.glow(560, 705, 620, "#7dffd0", 0.26, 0.14)
    chance = random.Random(30)
    for _ in range(44):
        x = chance.choice(
            (chance.uniform(-20, 330), chance.uniform(820, 1220), chance.uniform(760, 1220))
        )
        pine(
            canvas,
            x,
            ground(x) + chance.uniform(0, 18),
            chance.uniform(46, 150),
            chance.choice(("#0b2230", "#0e2a38", "#123343")),
            chance.randrange(10**6),
        )
    front = hills(71, 768, 16, 520, 3)
    canvas.land(front, "#cfe9ea", "#4d7c95", 70)
    for x, tall in ((40, 250), (1125, 290), (1050, 180), (118, 165), (1190, 220)):
        pine(canvas, x, front(x) + 22, tall, "#071821", int(x))
    cabin(canvas, 590, ground(590) + 10)
    return canvas


def curtain(
    canvas: Canvas,
    seed: int,
    base: float,
    wave: float,
    tall: float,
    low: str,
    high: str,
    alpha: float,
) -> None:
    fold, light = noise(seed, 330, 3), noise(seed + 1, 60, 4, 0.6)
    part_of = 6  # painted narrow and stretched: no seams between the columns
    small = QImage(WIDTH // part_of, HEIGHT, QImage.Format.Format_ARGB32_Premultiplied)
    small.fill(Qt.GlobalColor.transparent)
    painter = QPainter(small)
    for column in range(small.width()):
        x = column * part_of
        foot = base + wave * fold(x) + 110
        size = tall * (0.7 + 0.3 * light(x * 1.4))
        bright = min(1.0, alpha * (0.55 + 0.6 * max(0.0, light(x))))
        gradient = QLinearGradient(0, foot, 0, foot - size)
        for place, text, part in (
            (0.0, low, 0.0),
            (0.08, low, 1.0),
            (0.3, low, 0.6),
            (0.62, high, 0.4),
            (1.0, high, 0.0),
        ):
            gradient.setColorAt(place, colour(text, bright * part))
        painter.fillRect(QRectF(column, foot - size, 1, size), gradient)
    painter.end()
    canvas.painter.drawImage(QRectF(-20, 0, WIDTH + 40, HEIGHT), small, QRectF(small.rect()))


def cabin(canvas: Canvas, x: float, foot: float) -> None:
    canvas.shape(
        [(x - 46, foot), (x - 46, foot - 36), (x + 46, foot - 36), (x + 46, foot)],
        QColor("#132430"),
    )
    canvas.shape(
        [(x - 58, foot - 32), (x - 30, foot - 70), (x + 30, foot - 70), (x + 58, foot - 32)],
        QColor("#dcf1f0"),
    )
    canvas.painter.fillRect(QRectF(x + 14, foot - 84, 11, 20), QColor("#132430"))
    for place in (x - 28, x + 10):
        canvas.glow(place + 9, foot - 19, 60, "#ffbe5c", 0.6)
        canvas.painter.fillRect(QRectF(place, foot - 27, 18, 15), QColor("#ffdf94"))
    canvas.glow(x, foot + 4, 120, "#ffc870", 0.4, 0.2)
    for i in range(14):
        canvas.glow(
            x + 20 + i * i * 0.34, foot - 92 - i * 10, 9 + i * 2.6, "#cfe5e5", 0.2 * (1 - i / 15)
        )


def spring_meadow() -> Canvas:
    canvas = Canvas()
    canvas.fade(0, 520, [(0, "#2f7fd0"), (0.5, "#78b6ea"), (1, "#d8eefb")])
    canvas.glow(200, 60, 520, "#fffbe0", 0.6)
    canvas.clouds(81, [(70, 16, 480), (110, 12, 400)], "#ffffff", 0.16)
    for x, y, size, seed in (
        (845, 225, 205, 3),
        (470, 172, 120, 4),
        (1120, 320, 110, 8),
        (150, 318, 115, 6),
        (620, 345, 82, 9),
    ):
        canvas.cumulus(x, y, size, seed, "#ffffff", "#b9cfe6")
    canvas.land(ridges(43, 470, 62, 400), "#86abc9", "#b9d3dd", 120)
    canvas.land(hills(92, 490, 26, 420, 3), "#7fae9c", "#a9cba0", 90)
    slope = hills(94, 540, 36, 620, 2)
    canvas.land(slope, "#7dbb62", "#5a9c4e", 150)
    chance = random.Random(41)
    for _ in range(46):
        across = chance.uniform(0, WIDTH)
        bush = chance.uniform(5, 14)
        canvas.disc(
            across,
            slope(across) - bush * 0.3,
            bush,
            chance.choice(("#3f7d45", "#4b8b49", "#38703f")),
        )
    canvas.land(
        lambda x: 605 + 0.00009 * (x - 260) ** 2 - 6 * noise(96, 300, 3)(x),
        "#a5d257",
        "#4c9440",
        210,
    )
    path_through(canvas)
    tree(canvas, 905, 652, 300, "#2d5a2f", "#a6d65c", 7)
    tree(canvas, 1080, 628, 150, "#34653a", "#9fcf5f", 9)
    canvas.glow(880, 664, 190, "#1f4a22", 0.5, 0.16)
    sheep(canvas)
    canvas.land(
        lambda x: 735 - 0.00006 * (x - 700) ** 2 - 9 * noise(97, 260, 3)(x),
        "#6fb540",
        "#2f7a34",
        90,
    )
    grass(canvas, 800, 56, "#3a8635", 150, 18)
    flowers(canvas)
    return canvas


def path_through(canvas: Canvas) -> None:
    path = QPainterPath(QPointF(300, 806))
    path.cubicTo(380, 720, 600, 700, 520, 650)
    path.cubicTo(470, 622, 380, 622, 405, 607)
    path.lineTo(415, 607)
    path.cubicTo(400, 620, 520, 620, 570, 650)
    path.cubicTo(680, 712, 500, 730, 470, 806)
    sand = QLinearGradient(0, 605, 0, HEIGHT)
    sand.setColorAt(0, QColor("#e9dcae"))
    sand.setColorAt(1, QColor("#cdb27c"))
    canvas.painter.fillPath(path, sand)


def sheep(canvas: Canvas) -> None:
    for x, y, size in (
        (690, 668, 1.0),
        (745, 690, 1.15),
        (640, 655, 0.8),
        (250, 650, 0.9),
        (205, 668, 1.1),
    ):
        canvas.glow(x, y + 13 * size, 30 * size, "#2c5a26", 0.5, 0.25)
        for dx in (-9, -4, 6, 11):
            canvas.painter.fillRect(
                QRectF(x + dx * size, y + 4 * size, 2.4 * size, 12 * size), QColor("#3b3634")
            )
        for dx, dy, radius in ((-10, 0, 9), (0, -3, 11), (10, 0, 9), (0, 3, 10)):
            canvas.disc(x + dx * size, y + dy * size, radius * size, "#f7f4ea")
        canvas.disc(x + 19 * size, y - 4 * size, 5.6 * size, "#3b3634")


def flowers(canvas: Canvas) -> None:
    chance = random.Random(55)
    for _ in range(120):
        depth = chance.random() ** 0.6
        x, y, size = chance.uniform(0, WIDTH), 728 + 70 * depth, 2.6 + 5.4 * depth
        text = chance.choice(("#ffffff", "#ffe04a", "#ff6f61", "#ffd1e8", "#b57edc", "#ffe04a"))
        for i in range(5):
            angle = i * math.tau / 5 + x
            canvas.disc(
                x + math.cos(angle) * size * 0.7,
                y + math.sin(angle) * size * 0.6,
                size * 0.55,
                text,
            )
        canvas.disc(x, y, size * 0.4, "#f2a61d" if text != "#ffe04a" else "#b5761a")


SCENES: dict[str, Callable[[], Canvas]] = {
    "valley-mist": valley_mist,
    "farm-dusk": farm_dusk,
    "moon-sea": moon_sea,
    "lake-evening": lake_evening,
    "northern-lights": aurora,
    "spring-meadow": spring_meadow,
}


def main() -> int:
    folder = (
        Path(sys.argv[1])
        if len(sys.argv) > 1
        else Path(__file__).parents[1] / "src/transfermon/videofarm/samples"
    )
    app = QGuiApplication.instance() or QGuiApplication(sys.argv[:1])
    painted = {name: paint() for name, paint in SCENES.items()}
    for canvas in painted.values():
        canvas.finish()
    for quality in range(84, 50, -1):
        files = {name: canvas.encoded(quality) for name, canvas in painted.items()}
        if sum(map(len, files.values())) <= LARGEST:
            break
    for name, data in files.items():
        (folder / f"{name}.jpg").write_bytes(data)
        print(f"{name}.jpg: {len(data):,} bytes, quality {quality}")
    del app
    return 0


if __name__ == "__main__":
    sys.exit(main())
