"""The sample content: pictures that come with the package, films made of them, and bytes that
anyone can check.

The one rule to keep: everything here is a plain function of its arguments; the same call gives the
same bytes on any machine, so that a test knows what must arrive.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from transfermon.model.record import record

PICTURES = Path(__file__).with_name("samples")
FRAMES_PER_SECOND = 25
_SCENE = 2 * FRAMES_PER_SECOND  # frames until the film cuts to its next picture
_BLOCK = 1 << 20
_STEP = 40503  # odd, so the first 2**20 blocks all begin at another place of the pattern
MADE_AT = 1_714_543_200  # 2024-05-01T06:00:00Z: the date of everything that was made, not uploaded


@record
class SamplePicture:
    name: str
    title: str

    @property
    def file(self) -> str:
        return f"{self.name}.jpg"

    @property
    def data(self) -> bytes:
        return _picture(self.file)


@record
class SampleVideo:
    """A video still to be made. `size` is wanted, in bytes; the film comes within one frame
    of it.
    """

    title: str
    description: str
    scenes: tuple[str, ...]
    size: int
    movie: str

    @property
    def frames(self) -> int:
        return _frame_count(self)

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.frames / FRAMES_PER_SECOND

    @property
    def thumbnail(self) -> str:
        return f"{self.scenes[0]}.jpg"


PHOTOS = (
    SamplePicture(name="farm-dusk", title="The farm at dusk"),
    SamplePicture(name="valley-mist", title="Morning mist in the valley"),
    SamplePicture(name="moon-sea", title="Full moon over the sea"),
    SamplePicture(name="lake-evening", title="Evening at the lake"),
    SamplePicture(name="northern-lights", title="Northern lights above the cabin"),
    SamplePicture(name="spring-meadow", title="Sheep on the spring meadow"),
)


def _video(title: str, scenes: str, megabytes: float, description: str) -> SampleVideo:
    name = "".join(
        letter if letter.isascii() and letter.isalnum() else "-" for letter in title.lower()
    )
    return SampleVideo(
        title=title,
        description=description,
        scenes=tuple(scenes.split()),
        size=int(megabytes * 1_000_000),
        movie=f"{name}.avi",
    )


FIRST_VIDEOS = (
    _video(
        "Dusk at the farm",
        "farm-dusk",
        12,
        "The last light on the furrows, and somebody is still in the barn.",
    ),
    _video(
        "Morning in the valley", "valley-mist", 6, "The mist lifts from one ridge after the other."
    ),
    _video("Night watch", "moon-sea", 18, "A small boat passes the lighthouse under a full moon."),
    _video(
        "Evening at the lake",
        "lake-evening lake-evening valley-mist",
        25,
        "No wind at all. The sun goes down twice.",
    ),
    _video(
        "Northern lights",
        "northern-lights",
        32,
        "A cold night, a warm cabin, and the sky does the rest.",
    ),
    _video(
        "Counting sheep", "spring-meadow", 8.5, "There are five of them. Count again to be sure."
    ),
    _video(
        "A day in the country",
        "valley-mist spring-meadow farm-dusk moon-sea",
        45,
        "From the first light to the moon.",
    ),
    _video(
        "The whole year",
        "spring-meadow lake-evening farm-dusk northern-lights",
        60,
        "Four seasons in one film. The longest one here, good for trying pause and resume.",
    ),
)
MORE_VIDEOS = (
    _video(
        "Fresh from the meadow", "spring-meadow", 7, "Filmed this morning. The flowers are out."
    ),
    _video("Lights in the barn", "farm-dusk", 9, "The harvest is in and the door stands open."),
    _video("The jetty", "lake-evening", 11, "Nobody sits there yet."),
    _video("Lighthouse keeper", "moon-sea", 8, "Two beams, all night long."),
    _video("Smoke from the chimney", "northern-lights", 13, "Tea is ready."),
    _video("Above the fog", "valley-mist", 10, "Seven ridges, and one lone peak in front."),
)


def sample_video(number: int) -> SampleVideo:
    """The video number `number`, from 1. There is no last one: later ones are new takes with the
    films of MORE_VIDEOS.
    """
    if number <= len(FIRST_VIDEOS):
        return FIRST_VIDEOS[number - 1]
    take, place = divmod(number - 1 - len(FIRST_VIDEOS), len(MORE_VIDEOS))
    video = MORE_VIDEOS[place]
    return replace(video, title=f"{video.title}, take {take + 1}") if take else video


def video_of_movie(movie: str) -> SampleVideo | None:
    return next((video for video in (*FIRST_VIDEOS, *MORE_VIDEOS) if video.movie == movie), None)


@cache
def _picture(file: str) -> bytes:
    return (PICTURES / file).read_bytes()


def picture_size(jpeg: bytes) -> tuple[int, int]:
    """Width and height in pixels, from the frame header. Raises ValueError for what is no JPEG."""
    at = 2
    while jpeg[:2] == b"\xff\xd8" and at + 9 <= len(jpeg) and jpeg[at] == 0xFF:
        marker = jpeg[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", jpeg, at + 5)
            return width, height
        at += 2 + struct.unpack_from(">H", jpeg, at + 2)[0]
    raise ValueError("not a JPEG picture")


# Films: AVI with one stream of Motion JPEG, whose frames are the pictures as they are.


def _chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _scene_frames(video: SampleVideo) -> list[bytes]:
    return [_chunk(b"00dc", _picture(f"{scene}.jpg")) for scene in video.scenes]


@cache
def _frame_count(video: SampleVideo) -> int:
    sizes = [len(frame) + 16 for frame in _scene_frames(video)]  # 16 for its line in the index
    count, total = 0, 0
    while total < video.size:
        total += sizes[count // _SCENE % len(sizes)]
        count += 1
    return count


def _avi_head(width: int, height: int, frames: Sequence[bytes], movi: int) -> bytes:
    """Everything up to the first frame; `movi` is the size of all frames in bytes."""
    largest, count = max(map(len, frames)), len(frames)
    main = struct.pack(
        "<14I", 1_000_000 // FRAMES_PER_SECOND, largest * FRAMES_PER_SECOND, 0, 0x10, count, 0, 1, largest,
        width, height, 0, 0, 0, 0,
    )  # fmt: skip
    stream = struct.pack(
        "<4s4sIHHIIIIIIII4H", b"vids", b"MJPG", 0, 0, 0, 0, 1, FRAMES_PER_SECOND, 0, count, largest, 0xFFFFFFFF, 0,
        0, 0, width, height,
    )  # fmt: skip
    image = struct.pack(
        "<IiiHH4sIiiII", 40, width, height, 1, 24, b"MJPG", width * height * 3, 0, 0, 0, 0
    )
    streams = _chunk(b"LIST", b"strl" + _chunk(b"strh", stream) + _chunk(b"strf", image))
    headers = _chunk(b"LIST", b"hdrl" + _chunk(b"avih", main) + streams)
    riff = 4 + len(headers) + 12 + movi + 8 + 16 * count
    return (
        b"RIFF" + struct.pack("<I", riff) + b"AVI " + headers + b"LIST" + struct.pack("<I", 4 + movi) + b"movi"
    )  # fmt: skip


def write_movie(folder: Path, video: SampleVideo) -> Path:
    """Makes the film in `folder` and returns its path; it appears whole or not at all. Blocks.
    Raises OSError.
    """
    scenes = _scene_frames(video)
    frames = [scenes[number // _SCENE % len(scenes)] for number in range(video.frames)]
    width, height = picture_size(_picture(video.thumbnail))
    index, at = [], 4
    for frame in frames:
        index.append(
            struct.pack("<4sIII", b"00dc", 0x10, at, struct.unpack_from("<I", frame, 4)[0])
        )
        at += len(frame)
    return _write_whole(
        folder / video.movie,
        [_avi_head(width, height, frames, at - 4), *frames, _chunk(b"idx1", b"".join(index))],
    )


def _write_whole(path: Path, parts: Sequence[bytes]) -> Path:
    number, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    try:
        with open(number, "wb") as file:
            file.writelines(parts)
        # A fixed date makes the entity tag the same after the file was made again.
        os.utime(name, (MADE_AT, MADE_AT))
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    return path


# Plain files and endless bytes.

_README = """VideoFarm
=========
A small farm of sample videos, pictures and files, made for trying transfers.

/videos            the list; each has a movie and a thumbnail
/photos            six painted landscapes
/files             what lies in this folder
/bytes/1000000     any number of bytes, always the same ones
"""


def _harvest() -> str:
    rows = ["year,field,crop,tonnes"]
    crops = ("barley", "oats", "rye", "clover", "potatoes")
    rows += [
        f"{year},{field},{crops[(year + field) % 5]},{(year * 37 + field * 91) % 60 + 12}"
        for year in range(1990, 2025)
        for field in range(1, 13)
    ]
    return "\n".join(rows) + "\n"


def write_samples(data_dir: Path) -> None:
    """Fills the folders of a new farm; keeps what is there. Blocks. Raises OSError."""
    contents = {
        "files/readme.txt": _README.encode(),
        "files/harvest.csv": _harvest().encode(),
        "files/empty.txt": b"",
        "files/sample.bin": b"".join(expected_bytes(_BLOCK)),
        **{f"pictures/{photo.file}": photo.data for photo in PHOTOS},
    }
    for folder in ("files", "pictures", "movies"):
        (data_dir / folder).mkdir(mode=0o700, exist_ok=True)
    for name, data in contents.items():
        if not (data_dir / name).exists():
            _write_whole(data_dir / name, [data])


@cache
def _pattern() -> bytes:
    block = b"".join(
        hashlib.sha256(struct.pack("<I", place)).digest() for place in range(_BLOCK // 32)
    )
    return block + block


def pattern(offset: int, size: int) -> bytes:
    """`size` bytes of /bytes from `offset` on. Blocks of 1 MiB, each the same pattern from another
    place on.
    """
    parts = []
    while size > 0:
        number, within = divmod(offset, _BLOCK)
        start = number * _STEP % _BLOCK + within
        parts.append(_pattern()[start : start + min(size, _BLOCK - within)])
        offset, size = offset + len(parts[-1]), size - len(parts[-1])
    return b"".join(parts)


def expected_bytes(n: int, start: int = 0) -> Iterator[bytes]:
    """What `GET /bytes/n` must deliver, from `start` on, in pieces of at most 1 MiB."""
    for offset in range(start, n, _BLOCK):
        yield pattern(offset, min(_BLOCK, n - offset))
