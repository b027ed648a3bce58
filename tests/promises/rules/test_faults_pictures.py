"""Faults, group M: pictures that lie, explode, move, or change under the hand."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QBuffer, QByteArray, QIODevice
from PySide6.QtGui import QColor, QImage

from tests.helpers.records import a_finished_task, a_task
from transfermon.gui.panels.pictures import Helper, HelperError, Question
from transfermon.gui.panels.preview import Preview

JPEG = b"\xff\xd8"


@pytest.fixture
def helper() -> Iterator[Helper]:
    made = Helper()
    yield made
    made.end()


def question(path: Path, side: int = 100) -> Question:
    return Question(generation=0, number=0, path=str(path), width=side, height=side)


def refused(helper: Helper, path: Path) -> str:
    with pytest.raises(HelperError) as caught:
        helper.ask(question(path))
    return caught.value.reason


def outcome(helper: Helper, path: Path) -> str:
    """ "drawn", or why not."""
    try:
        image, _, _ = helper.ask(question(path))
    except HelperError as exc:
        return exc.reason
    return "drawn" if 0 < image.width() <= 100 else "empty"


def picture(width: int, height: int, kind: str = "PNG") -> bytes:
    """Left half red, right half blue."""
    image = QImage(width, height, QImage.Format.Format_RGB32)
    image.fill(QColor("red"))
    for x in range(width // 2, width):
        for y in range(height):
            image.setPixelColor(x, y, QColor("blue"))
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    assert image.save(buffer, kind, 95)  # type: ignore[call-overload]  # the stub wants bytes, Qt a string
    return bytes(data.data())


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, rows: bytes, *, depth: int = 8, more: bytes = b"") -> bytes:
    """A grey picture of these rows, and whatever chunks stand before them."""
    head = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + more
        + chunk(b"IDAT", rows)
        + chunk(b"IEND", b"")
    )


def peak(pid: int | None) -> int:
    """The most bytes that it ever had in memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the helper has ended")


def test_fault_m1_a_small_file_of_64_megapixels_is_refused_unread(helper: Helper, tmp_path: Path):
    (tmp_path / "a.png").write_bytes(picture(40, 20))
    helper.ask(question(tmp_path / "a.png"))
    before = peak(helper.pid)
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(png(8000, 8000, zlib.compress(bytes(8001) * 8000, 9)))
    assert bomb.stat().st_size < 80_000
    assert refused(helper, bomb) == "large"
    assert peak(helper.pid) - before < 16 << 20


LYING = {
    "a.png": png(65_535, 65_535, zlib.compress(bytes(100))),
    "b.png": png(0x7FFFFFFF, 0x7FFFFFFF, zlib.compress(bytes(100))),
    "a.gif": b"GIF89a"
    + struct.pack("<HH", 65_535, 65_535)
    + b"\x80\0\0"
    + bytes(6)
    + b"\x2c"
    + bytes(40),
    "a.webp": b"RIFF"
    + struct.pack("<I", 30)
    + b"WEBPVP8X"
    + struct.pack("<I", 10)
    + b"\0" * 4
    + b"\xff" * 6,
    "a.bmp": b"BM"
    + struct.pack("<IHHIIiiHH", 100, 0, 0, 54, 40, 65_535, 65_535, 1, 24)
    + bytes(60),
    "a.tiff": b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 256, 4, 1, 65_535) + bytes(20),
}


@pytest.mark.parametrize("name", LYING)
def test_fault_m2_a_header_that_lies_is_refused_at_once(helper: Helper, tmp_path: Path, name: str):
    (tmp_path / "good.png").write_bytes(picture(40, 20))
    helper.ask(question(tmp_path / "good.png"))  # it is up
    (tmp_path / name).write_bytes(LYING[name])
    pid = helper.pid
    assert refused(helper, tmp_path / name) in ("large", "damaged", "format")
    assert helper.pid == pid, "it was ended for taking too long"


def test_fault_m3_of_an_endless_animation_the_first_frame_is_drawn_and_then_nothing_runs(
    helper: Helper, tmp_path: Path
):
    screen = b"GIF89a" + struct.pack("<HH", 4, 4) + b"\x80\0\0" + b"\xff\0\0" + b"\0\0\xff"
    for_ever = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
    pause = b"\x21\xf9\x04\0\0\0\0\0"
    red = b"\x2c" + struct.pack("<HHHH", 0, 0, 4, 4) + b"\0\x02" + lzw([0] * 16)
    blue = b"\x2c" + struct.pack("<HHHH", 0, 0, 1, 1) + b"\0\x02" + lzw([1])
    (tmp_path / "a.gif").write_bytes(
        screen + for_ever + pause + red + (pause + blue) * 100_000 + b";"
    )
    image, kind, full = helper.ask(question(tmp_path / "a.gif"))
    assert (kind, full) == ("GIF", (4, 4))
    assert image.pixelColor(0, 0) == QColor("red")
    used = ticks(helper.pid)
    helper.ask(question(tmp_path / "a.gif"))
    # half a second for a hundred thousand frames would be reading them all
    assert ticks(helper.pid) - used < 50


def lzw(indexes: list[int]) -> bytes:
    """The data of a frame, each index in three bits after a clear code."""
    bits, count = 0, 0
    for code in [part for index in indexes for part in (4, index)] + [5]:
        bits |= code << count
        count += 3
    data = bits.to_bytes((count + 7) // 8, "little")
    return bytes([len(data)]) + data + b"\0"


def ticks(pid: int | None) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def exif(orientation: int, *, place: bytes = b"") -> bytes:
    """An APP1 segment that says how the camera was held, and where."""
    tiff = (
        b"II*\0\x08\0\0\0"
        + struct.pack("<H", 1)
        + struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
        + bytes(4)
    )
    body = b"Exif\0\0" + tiff + place
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


@pytest.mark.parametrize("orientation", range(1, 9))
def test_fault_m7_a_picture_is_turned_as_the_camera_was_held(
    helper: Helper, tmp_path: Path, orientation: int
):
    data = picture(80, 40, "JPEG")
    (tmp_path / "a.jpg").write_bytes(JPEG + exif(orientation, place=b"GPS 52.5 N") + data[2:])
    image, _, full = helper.ask(question(tmp_path / "a.jpg"))
    assert full == ((80, 40) if orientation < 5 else (40, 80))
    first = image.pixelColor(2, 2)
    # the left edge of the picture is at the left or at the top then
    red_first = orientation in (1, 4, 5, 6)
    assert (first.red() > 200) is red_first
    assert (first.blue() > 200) is not red_first


ODD = {
    "cut.jpg": picture(200, 200, "JPEG")[:700],
    "head.jpg": JPEG + b"\xff\xe0\0\x10JFIF",
    "16-bit.png": png(10, 10, zlib.compress(bytes(21) * 10), depth=16),
    "profile.png": png(
        10,
        10,
        zlib.compress(bytes(11) * 10),
        more=chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(50_000_000))),
    ),
    "profile.jpg": JPEG
    + (b"\xff\xe2\xff\xffICC_PROFILE\0\x01\x01" + b"\xff" * 65_519) * 20
    + picture(20, 20, "JPEG")[2:],
}


@pytest.mark.parametrize("name", ODD)
def test_fault_m7_an_odd_picture_is_drawn_or_refused_and_the_next_one_is_shown(
    helper: Helper, tmp_path: Path, name: str
):
    (tmp_path / name).write_bytes(ODD[name])
    assert outcome(helper, tmp_path / name) in ("drawn", "damaged", "large", "slow")
    (tmp_path / "good.png").write_bytes(picture(40, 20))
    assert helper.ask(question(tmp_path / "good.png"))[2] == (40, 20)


def test_fault_m8_a_picture_that_is_replaced_deleted_or_made_a_pipe_stops_nothing(
    helper: Helper, tmp_path: Path
):
    path = tmp_path / "a.png"
    path.write_bytes(picture(40, 20))
    assert helper.ask(question(path))[2] == (40, 20)
    pid = helper.pid
    (tmp_path / "b.png").write_bytes(picture(60, 30))
    (tmp_path / "b.png").replace(path)
    assert helper.ask(question(path))[2] == (60, 30)
    path.unlink()
    assert refused(helper, path) == "missing"
    os.mkfifo(path)
    assert refused(helper, path) == "missing"
    path.unlink()
    path.symlink_to("/dev/zero")
    assert refused(helper, path) == "missing"
    assert helper.pid == pid


def test_fault_m9_a_part_file_is_shown_as_such_if_at_all(qtbot, tmp_path: Path):
    part = tmp_path / ".transfermon-0123456789abcdef.part"
    part.write_bytes(picture(40, 20))
    preview = Preview()
    qtbot.addWidget(preview, before_close_func=lambda preview: preview.pictures.close())
    preview.show()
    preview.show_tasks([a_task(name="a.png", part_path=str(part), final_path=str(part))])
    assert preview.pictures.worker is None  # half of a PNG is no picture
    assert preview.sentence.text() == "Downloading."
    with qtbot.waitSignal(preview.shown, timeout=60_000):
        # the same bytes, when they are whole
        preview.show_tasks([a_finished_task(name="a.png", final_path=str(part))])
    jpeg = picture(400, 300, "JPEG")
    part.write_bytes(jpeg[: len(jpeg) // 2])
    with qtbot.waitSignal(preview.shown, timeout=60_000):
        preview.show_tasks([a_task(name="b.jpg", number=2, part_path=str(part))])
    assert preview.foot.facts.text().endswith("so far, still arriving")
    assert not preview.foot.buttons.isVisible()
    assert preview.pictures.helper.pid is not None  # and not in this process


def test_fault_m9_hostile_bytes_that_arrive_stop_nothing(qtbot, tmp_path: Path):
    part = tmp_path / ".transfermon-0123456789abcdef.part"
    preview = Preview()
    qtbot.addWidget(preview, before_close_func=lambda preview: preview.pictures.close())
    preview.show()
    for number, data in enumerate(
        (b"", JPEG, JPEG + b"\xff" + bytes(1000), picture(40, 20)[:30], b"\xff" * 5000)
    ):
        part.write_bytes(data)
        with qtbot.waitSignal(preview.shown, timeout=60_000):
            preview.show_tasks([a_task(name="b.jpg", number=number, part_path=str(part))])
        assert preview.pages.currentWidget() is preview.card
        assert preview.sentence.text() == "Downloading."
