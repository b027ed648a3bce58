"""The icon theme's pictures, rendered from assets/transfermon.svg.

    .venv/bin/python tools/make_icons.py [--folder assets/icons]

Run it after a change of the drawing; a test says when it was forgotten.
"""

from __future__ import annotations

import argparse
import os
import shutil

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QRectF
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

ASSETS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "assets")
DRAWING = os.path.join(ASSETS, "transfermon.svg")
SIZES = (16, 22, 24, 32, 48, 64, 128, 256)


def rendered(drawing: str, size: int) -> QImage:
    """The drawing on a transparent square."""
    image = QImage(size, size, QImage.Format.Format_ARGB32)
    image.fill(0)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    QSvgRenderer(drawing).render(painter, QRectF(0, 0, size, size))
    painter.end()
    return image


def place(folder: str, size: int | None) -> str:
    """Where an icon theme looks for the app's icon of a size; None is the drawing itself."""
    where = f"{size}x{size}" if size else "scalable"
    return os.path.join(
        folder, "hicolor", where, "apps", "transfermon.png" if size else "transfermon.svg"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", default=os.path.join(ASSETS, "icons"))
    folder = parser.parse_args().folder
    app = QGuiApplication([])
    for size in SIZES:
        os.makedirs(os.path.dirname(place(folder, size)), exist_ok=True)
        image = rendered(DRAWING, size)
        if not image.save(place(folder, size), quality=0):
            raise SystemExit(f"{place(folder, size)} cannot be written")
    os.makedirs(os.path.dirname(place(folder, None)), exist_ok=True)
    shutil.copyfile(DRAWING, place(folder, None))
    app.quit()


if __name__ == "__main__":
    main()
