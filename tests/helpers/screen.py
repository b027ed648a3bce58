"""A screen for the real app: an X server whose picture a test can read."""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from PySide6.QtCore import QRect
from PySide6.QtGui import QImage

from transfermon.gui.app import plugin_problem

XVFB = shutil.which("Xvfb")
WIDTH, HEIGHT = 1280, 800


def why_not() -> str:
    """Why no screen can be had here; "" when it can."""
    if XVFB is None:
        return "Xvfb is not installed (make test-all installs it where it may)"
    return plugin_problem({"QT_QPA_PLATFORM": "xcb"}, sys.platform)


class Screen:
    """`name` is what DISPLAY has to be."""

    def __init__(self, name: str, file: Path) -> None:
        self.name = name
        self._file = file

    def picture(self) -> QImage:
        """What is on the screen now. The server keeps it in a file in the format of xwd."""
        data = self._file.read_bytes()
        size, _, _, depth, width, height = struct.unpack(">6I", data[:24])
        (line,) = struct.unpack(">I", data[48:52])
        (colors,) = struct.unpack(">I", data[76:80])
        assert depth == 24
        return QImage(
            data[size + colors * 12 :], width, height, line, QImage.Format.Format_RGB32
        ).copy()


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Screen]:
    """A screen of its own on a free number, for as long as the block lasts."""
    assert XVFB is not None
    here, there = os.pipe()
    options = [
        "-displayfd",
        str(there),
        "-screen",
        "0",
        f"{WIDTH}x{HEIGHT}x24",
        "-fbdir",
        str(folder),
    ]
    server = subprocess.Popen(
        [XVFB, *options, "-nolisten", "tcp", "-noreset"],
        pass_fds=[there],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(there)
    try:
        with open(here, encoding="ascii") as file:
            number = file.readline().strip()
        assert number, "the X server did not come up"
        yield Screen(f":{number}", folder / "Xvfb_screen0")
    finally:
        server.terminate()
        server.wait(10)


def colors_in(image: QImage, where: QRect | None = None) -> Counter[int]:
    """How often each colour is seen, in steps of 16 a channel, at every other pixel."""
    area = where or image.rect()
    found: Counter[int] = Counter()
    for y in range(area.top(), area.bottom(), 2):
        found.update(image.pixel(x, y) & 0xF0F0F0 for x in range(area.left(), area.right(), 2))
    return found


def is_seen(picture: QImage, on: QImage) -> bool:
    """Whether a photo is to be seen somewhere at the right of the screen, by the colours that it
    has most of.
    """
    right = QRect(on.width() * 3 // 5, 0, on.width() * 2 // 5, on.height())
    there = colors_in(on, right)
    wanted = [color for color, _ in colors_in(picture.scaledToWidth(240)).most_common(40)]
    return sum(there[color] > 8 for color in wanted) > 0.8 * len(wanted)
