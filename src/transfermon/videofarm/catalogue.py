"""The farm's records: which videos there are, kept in one file of the data folder.

The one rule to keep: a video is in the list only after the file that says so is whole on the disk.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from transfermon.model.record import record
from transfermon.videofarm import samples
from transfermon.videofarm.bodies import Content, content_of_file

# the sample videos of a new farm are a day apart, from this millisecond on
_FIRST_CREATED = 1_714_543_200_000
_DAY = 86_400_000


class FarmError(Exception):
    """The data folder is of no use; the text is one sentence for a person."""


@record
class Video:
    """`created` is in milliseconds since 1970, `duration` in seconds. Without `movie` nothing was
    uploaded yet.
    """

    id: int
    title: str
    description: str
    thumbnail: str
    movie: str | None
    duration: float | None
    created: int
    media_type: str = "video/x-msvideo"  # of the movie


def iso_time(milliseconds: int) -> str:
    """ISO 8601 with milliseconds and zone. The zone is a Z: a plus sign in a query would become a
    space.
    """
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> int:
    """Milliseconds since 1970. Raises ValueError for what is no time, or a time without a zone."""
    moment = datetime.fromisoformat(text.strip().replace(" ", "+"))
    if moment.tzinfo is None:
        raise ValueError("a zone is missing")
    return round(moment.timestamp() * 1000)


class Catalogue:
    """The records and the files they name. Its methods block for as long as the disk does, and may
    run in any thread.
    """

    def __init__(self, data_dir: Path, *, empty: bool = False) -> None:
        """Opens the farm in `data_dir`, or makes a new one there, without sample videos if it is to
        be `empty`.

        Raises FarmError.
        """
        self._folder, self._empty = data_dir, empty
        self._lock = threading.Lock()
        try:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            samples.write_samples(data_dir)
            self._videos = self._load()
        except (OSError, ValueError, TypeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise FarmError(f"The data folder {data_dir} cannot be used: {reason}.") from error

    def __repr__(self) -> str:
        return f"<Catalogue {self._folder} videos={len(self._videos)}>"

    def videos(self) -> Sequence[Video]:
        """Oldest first."""
        return tuple(self._videos.values())

    def video(self, video_id: str) -> Video | None:
        return self._videos.get(video_id)

    def publish(self, now: int) -> Video:
        """Adds the next sample video, created at `now` (milliseconds) or just after the newest.
        Raises OSError.
        """
        with self._lock:
            newest = max((video.created for video in self._videos.values()), default=0)
            number = max((video.id for video in self._videos.values()), default=0) + 1
            return self._add(_record(number, max(now, newest + 1)))

    def create(self, title: str, description: str, picture: bytes, ending: str, now: int) -> Video:
        """A new video without a movie. Raises OSError; then nothing is stored."""
        name = f"{secrets.token_hex(8)}{ending}"
        path = self._folder / "pictures" / name
        _store(path, picture)
        try:
            with self._lock:
                newest = max((video.created for video in self._videos.values()), default=0)
                number = max((video.id for video in self._videos.values()), default=0) + 1
                return self._add(
                    Video(
                        id=number,
                        title=title,
                        description=description,
                        thumbnail=name,
                        movie=None,
                        duration=None,
                        created=max(now, newest + 1),
                    )
                )
        except OSError:
            path.unlink(missing_ok=True)
            raise

    def put_movie(self, video_id: str, whole: Path, media_type: str) -> bool:
        """Take a whole, synced file as the movie of a video; True when it has replaced another
        (V-04).

        Raises FileNotFoundError when the video has gone meanwhile, OSError.
        """
        with self._lock:
            video = self._videos.get(video_id)
            if video is None:
                raise FileNotFoundError(video_id)
            name = f"{secrets.token_hex(8)}.movie"
            folder = self._folder / "movies"
            folder.mkdir(exist_ok=True)
            os.replace(whole, folder / name)
            _sync(folder)
            old = video.movie
            self._add(replace(video, movie=name, media_type=media_type))
        if old is not None and samples.video_of_movie(old) is None:
            (folder / old).unlink(missing_ok=True)  # who reads it still has it
        return old is not None

    def remove(self, video: Video) -> None:
        """Raises OSError."""
        with self._lock:
            videos = {key: other for key, other in self._videos.items() if other.id != video.id}
            self._save(videos)
            self._videos = videos
        if video.movie is not None and samples.video_of_movie(video.movie) is None:
            (self._folder / "movies" / video.movie).unlink(missing_ok=True)

    def movie(self, video: Video) -> Content:
        """The movie that the video has now, also when it has been replaced since `video` was looked
        up (V-04).

        Raises FileNotFoundError while there is none, OSError when a sample film cannot be written.
        """
        while True:
            now = self._videos.get(str(video.id), video)
            if now.movie is None:
                raise FileNotFoundError(video.title)
            try:
                return self._open_movie(now, now.movie)
            except FileNotFoundError:
                if self._videos.get(str(video.id)) in (now, None):
                    raise

    def _open_movie(self, video: Video, name: str) -> Content:
        path = self._folder / "movies" / name
        # A sample film is made when somebody asks for it: most farms live for a minute and serve
        # one or two.
        if (sample := samples.video_of_movie(name)) is not None and not path.exists():
            with self._lock:
                if not path.exists():
                    samples.write_movie(path.parent, sample)
        return content_of_file(
            path,
            video.media_type,
            filename=f"{_as_filename(video.title)}{path.suffix}",
            attachment=True,
        )

    def thumbnail(self, video: Video) -> Content:
        return self._picture(video.thumbnail, video.title)

    def photo(self, photo: samples.SamplePicture) -> Content:
        return self._picture(photo.file, photo.title)

    def files(self) -> list[tuple[str, int]]:
        """Name and size of each plain file."""
        with os.scandir(self._folder / "files") as entries:
            return sorted(
                (entry.name, entry.stat().st_size)
                for entry in entries
                if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False)
            )

    def file(self, name: str) -> Content:
        """Raises FileNotFoundError, also for a name that is more than a name."""
        if name.startswith(".") or any(sign in name for sign in "/\\\0"):
            raise FileNotFoundError(name)
        return content_of_file(
            self._folder / "files" / name, media_type_of(name), filename=name, attachment=True
        )

    def _picture(self, file: str, title: str) -> Content:
        path = self._folder / "pictures" / file
        name = f"{_as_filename(title)}{path.suffix}"
        return content_of_file(path, media_type_of(file), filename=name, attachment=False)

    def _load(self) -> dict[str, Video]:
        try:
            rows: list[dict[str, Any]] = json.loads((self._folder / "videos.json").read_bytes())
        except FileNotFoundError:
            count = 0 if self._empty else len(samples.FIRST_VIDEOS)
            first = {
                str(n): _record(n, _FIRST_CREATED + (n - 1) * _DAY) for n in range(1, count + 1)
            }
            self._save(first)
            return first
        return {str(video.id): video for video in (Video(**row) for row in rows)}

    def _add(self, video: Video) -> Video:
        videos = {**self._videos, str(video.id): video}
        self._save(videos)
        self._videos = videos
        return video

    def _save(self, videos: dict[str, Video]) -> None:
        path = self._folder / "videos.json"
        with open(new := path.with_suffix(".new"), "w", encoding="utf-8") as file:
            json.dump(
                [asdict(video) for video in videos.values()], file, ensure_ascii=False, indent=1
            )
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)


def _store(path: Path, data: bytes) -> None:
    """Whole and durable, or not at all."""
    new = path.with_suffix(".new")
    try:
        with open(new, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _record(number: int, created: int) -> Video:
    sample = samples.sample_video(number)
    return Video(
        id=number,
        title=sample.title,
        description=sample.description,
        thumbnail=sample.thumbnail,
        movie=sample.movie,
        duration=sample.duration,
        created=created,
    )


def _as_filename(title: str) -> str:
    return "".join(
        sign if sign.isprintable() and sign not in '/\\:*?"<>|' else "_" for sign in title
    )[:120].strip(". ")


_MEDIA_TYPES = {
    ".avi": "video/x-msvideo",
    ".csv": "text/csv; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
    ".zip": "application/zip",
}


def media_type_of(name: str) -> str:
    return _MEDIA_TYPES.get(Path(name).suffix.lower(), "application/octet-stream")
