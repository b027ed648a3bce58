"""Decodes strangers' pictures in a process of its own, with limits; it is started by file path and
imports nothing of ours.

Rule: whatever the picture does, it does it here. Reads `WIDTH HEIGHT PATH-IN-HEX` lines, answers
each with a line `ok WIDTH HEIGHT STRIDE BYTES FORMAT FULL-WIDTH FULL-HEIGHT` and the pixels (RGBA),
or with `no REASON`. Ends with its standard input.
"""

from __future__ import annotations

import os
import resource
import stat
import sys
from typing import BinaryIO

MEMORY = 400 << 20  # bytes beyond what the imports have mapped
ALLOCATION = 200  # MiB that Qt may take for one picture: 50 megapixels
PIXELS = 50_000_000
CPU = 2  # seconds for one picture


def magic_of(head: bytes) -> str:
    """The format by its first bytes: JPEG, PNG, GIF, WebP, or "". Nothing else is decoded."""
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    return "WebP" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else ""


def limit() -> None:
    """After the imports: Qt alone maps several hundred megabytes."""
    with open("/proc/self/statm", "rb") as file:
        mapped = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, mapped + MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_time() -> None:
    # RLIMIT_CPU counts the whole life of the process: the soft limit moves on with each picture.
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(
        resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + CPU + 1, resource.RLIM_INFINITY)
    )


def head_of(path: bytes) -> bytes:
    """Of a regular file only: another may block, or do something."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("not a regular file")
        return os.read(descriptor, 16)
    finally:
        os.close(descriptor)


def decode(path: bytes, width: int, height: int) -> tuple[bytes, bytes]:
    """The answer's line and the pixels. Raises ValueError with a reason, OSError, MemoryError."""
    from PySide6.QtCore import QSize, Qt
    from PySide6.QtGui import QImage, QImageIOHandler, QImageReader

    kind = magic_of(head_of(path))
    if not kind:
        raise ValueError("format")
    reader = QImageReader(os.fsdecode(path), kind.lower().encode())
    reader.setAutoTransform(True)
    size = reader.size()
    if not size.isValid():
        raise ValueError("damaged")
    if size.width() * size.height() > PIXELS:
        raise ValueError("large")
    turned = bool(
        reader.transformation().value & QImageIOHandler.Transformation.TransformationRotate90.value
    )
    box = QSize(height, width) if turned else QSize(width, height)
    if size.width() > box.width() or size.height() > box.height():
        reader.setScaledSize(
            size.scaled(box, Qt.AspectRatioMode.KeepAspectRatio).expandedTo(QSize(1, 1))
        )
    image = reader.read()
    del reader
    if image.isNull():
        raise ValueError("damaged")
    image = image.convertToFormat(QImage.Format.Format_RGBA8888)
    pixels = bytes(image.constBits())  # a copy: the view does not keep the image alive
    full = (size.height(), size.width()) if turned else (size.width(), size.height())
    numbers = (image.width(), image.height(), image.bytesPerLine(), len(pixels))
    return f"ok {' '.join(map(str, numbers))} {kind} {full[0]} {full[1]}\n".encode(), pixels


def answer(line: bytes) -> tuple[bytes, bytes]:
    width, height, path = line.split()
    limit_time()
    try:
        return decode(bytes.fromhex(path.decode()), int(width), int(height))
    except ValueError as exc:
        return f"no {exc}\n".encode(), b""
    except MemoryError:
        return b"no large\n", b""
    except OSError:
        return b"no missing\n", b""


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    for line in questions:
        answers.writelines(answer(line))
        answers.flush()


def main() -> None:
    sys.path.extend(sys.argv[1:])
    from PySide6.QtGui import QImageReader

    QImageReader.setAllocationLimit(ALLOCATION)
    limit()
    sys.stdout.buffer.write(b"ready\n")
    sys.stdout.buffer.flush()
    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
