"""An X server of this system whose picture can be kept: for programs that run elsewhere and reach
it by its socket.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# It ends with this process, however that ends.
XVFB = (
    "setpriv",
    "--pdeathsig",
    "TERM",
    "Xvfb",
    "-screen",
    "0",
    "1280x800x24",
    "-ac",
    "-nolisten",
    "tcp",
    "-noreset",
)
PROGRAMS = ("Xvfb", "xdotool", "setpriv")


def why_not() -> str:
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"{missing[0]} is not installed" if missing else ""


@dataclass(frozen=True)
class Screen:
    """`name` is what DISPLAY has to be; the server keeps its picture in a file in the format of
    xwd.
    """

    name: str
    file: Path

    def has_window(self, title: str) -> bool:
        words = ["xdotool", "search", "--onlyvisible", "--name", title]
        done = subprocess.run(
            words, env={**os.environ, "DISPLAY": self.name}, capture_output=True, check=False
        )
        return bool(done.stdout.strip())

    def save(self, path: Path) -> None:
        """The picture as PNG."""
        data = self.file.read_bytes()
        size, _, _, _, width, height = struct.unpack(">6I", data[:24])
        (stride,) = struct.unpack(">I", data[48:52])
        (colors,) = struct.unpack(">I", data[76:80])
        begin = size + colors * 12
        rows = bytearray()
        for y in range(height):
            # blue, green, red, nothing
            line = data[begin + y * stride : begin + y * stride + 4 * width]
            row = bytearray(3 * width)
            row[0::3], row[1::3], row[2::3] = line[2::4], line[1::4], line[0::4]
            rows += b"\0" + row
        path.write_bytes(png(width, height, bytes(rows)))


def png(width: int, height: int, rows: bytes) -> bytes:
    """A picture of rows in RGB, each behind its filter byte."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@contextlib.contextmanager
def running() -> Iterator[Screen]:
    """A screen on a free number, open to every user of this system, for as long as the block
    lasts.
    """
    with tempfile.TemporaryDirectory() as folder:
        here, there = os.pipe()
        server = subprocess.Popen(
            [*XVFB, "-displayfd", str(there), "-fbdir", folder],
            pass_fds=[there],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(there)
        try:
            with open(here, encoding="ascii") as file:
                number = file.readline().strip()
            if not number:
                raise RuntimeError("Xvfb does not start")
            yield Screen(f":{number}", Path(folder) / "Xvfb_screen0")
        finally:
            server.terminate()
            server.wait(10)
