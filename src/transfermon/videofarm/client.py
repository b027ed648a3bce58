"""The client side of a VideoFarm server: what it offers, as values, and the transfers of its
videos.

Rule: what a server says is a stranger's word: types are checked, addresses are resolved against the
server's own, and nothing in it chooses a path. A transfer is written down before it starts, so that
a restart finds it again.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import secrets
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, ClassVar
from urllib.parse import urljoin, urlsplit

from transfermon import urlsession
from transfermon.engine.monitor import DownloadTask, Monitor, TransferTask, UploadTask
from transfermon.http.addresses import check_url, origin_of
from transfermon.model import json_text
from transfermon.model.checked_text import is_text
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.errors import Code, InvalidAction, TransferError, TransferFailure, redacted
from transfermon.model.events import (
    DownloadProgressEvent,
    Event,
    TaskCompletedEvent,
    UploadProgressEvent,
)
from transfermon.model.record import record
from transfermon.model.task import UNKNOWN, Origin, Task, TaskKey, changed

LIMIT = 1 << 20  # bytes of a list
SESSION = "videofarm"  # of the background transfers
log = logging.getLogger(__name__)
_DOWNLOADS, _UPLOADS = "videofarm.downloads", "videofarm.uploads"  # stored values
PARTS = ("movie", "thumbnail")  # of a download; each has fields that begin with its name
_NEEDED = ("id", "title", "url", "image", "movie")  # the fields that an entry of a list must have
_KEPT = 500  # records of each kind, the newest


@record
class RemoteVideo:
    """A video as the server lists it."""

    id: str
    title: str
    description: str
    url: str
    thumbnail_url: str
    movie_url: str
    duration: float | None
    created: str


@record
class VideoDownload:
    """Movie and thumbnail of one video, as one thing. Remembered across restarts."""

    video: str  # its identifier
    title: str
    movie_url: str
    thumbnail_url: str
    movie: str = ""  # the task, as SESSION:NUMBER; "" while paused
    thumbnail: str = ""
    movie_resume: str = ""  # base64; "" when a new task starts over
    thumbnail_resume: str = ""
    # the task that the last pause has ended, or is about to: its end is no failure
    movie_paused: str = ""
    thumbnail_paused: str = ""
    movie_bytes: int = 0  # as of the last pause: what a new task has to begin with
    movie_total: int = UNKNOWN
    thumbnail_bytes: int = 0
    thumbnail_total: int = UNKNOWN

    @property
    def tasks(self) -> tuple[TaskKey, ...]:
        return tuple(TaskKey.parse(text) for text in (self.movie, self.thumbnail) if text)

    def has(self, task: str) -> bool:
        """Whether it is one of its tasks now."""
        return task in (self.movie, self.thumbnail)

    def has_paused(self, task: str) -> bool:
        """Whether the last pause has ended it."""
        return task in (self.movie_paused, self.thumbnail_paused)


@record
class VideoUpload:
    """A movie on its way to a prepared video. Remembered across restarts."""

    path: str  # at the server, such as /videos/3
    file: str
    task: str = ""  # as SESSION:NUMBER


@record
class Notice:
    """What happened to a transfer of a video (V-15). `kind` is "started", "progress", "paused",
    "completed" or "failed".
    """

    kind: str
    upload: bool
    session: str
    task: int
    done: int = 0  # bytes; of a download, those of movie and thumbnail
    total: int = UNKNOWN
    error: TransferError | None = None  # of "failed"


class VideoFarmClient:
    """Speaks through a monitor, so that its limits, proxies and address rules hold."""

    _shared: ClassVar[VideoFarmClient | None] = None
    _shared_endpoint: ClassVar[str] = ""

    def __init__(self, monitor: Monitor, endpoint: str) -> None:
        self.monitor = monitor
        self.endpoint = _as_folder(endpoint)
        self._observers: list[Callable[[Notice], None]] = []
        self._leave: Callable[[], None] | None = None
        self.left_out = 0  # entries of the last list that could not be read

    def __repr__(self) -> str:
        return f"<VideoFarmClient {self.endpoint}>"

    @classmethod
    def shared(cls) -> VideoFarmClient:
        """The one of the monitor that `transfermon.urlsession` speaks to; it asks the server of
        `set_shared_endpoint`, or else that of the settings. Raises InvalidAction while there is no
        monitor or no address.
        """
        monitor = urlsession.monitor
        if cls._shared is None or cls._shared.monitor is not monitor:
            endpoint = cls._shared_endpoint or monitor.settings.videofarm_url
            if not endpoint:
                raise InvalidAction(
                    "no VideoFarm server is known: call `VideoFarmClient.set_shared_endpoint(url)` first"
                )
            cls._shared = cls(monitor, endpoint)
        return cls._shared

    @classmethod
    def set_shared_endpoint(cls, url: str) -> None:
        """Which server the shared client asks from now on, whoever has it already; "" is that of
        the settings again.
        """
        cls._shared_endpoint = url
        if not url:
            cls._shared = None
        elif cls._shared is not None:
            cls._shared.endpoint = _as_folder(url)

    async def fetch_videos(self) -> list[RemoteVideo]:
        """What the server has now; entries that cannot be read are left out and counted in
        `left_out`. Raises TransferFailure: unreachable, an error status, not a list of videos, or a
        list with none that can be read.
        """
        url = urljoin(self.endpoint, "videos")
        body = await self.monitor.read(url, limit=LIMIT)
        try:
            listed = json_text.loads(body)
            if not isinstance(listed, list):
                raise ValueError("not a list")
        except ValueError as exc:
            raise TransferFailure(_no_list(url)) from exc
        videos = [video for item in listed if (video := self._video(item)) is not None]
        self.left_out = len(listed) - len(videos)
        if self.left_out:
            log.warning(
                "%d entries in the list of videos of %s cannot be read",
                self.left_out,
                redacted(url),
            )
            if not videos:
                raise TransferFailure(_no_list(url))
        return videos

    def _video(self, item: object) -> RemoteVideo | None:
        """None for an entry that cannot be read: a field is missing or no text, an address cannot
        be.
        """
        if not isinstance(item, dict):
            return None
        texts = {name: str(item.get(name, "")) for name in (*_NEEDED, "description", "created")}
        if any(item.get(name) is None for name in _NEEDED) or not all(map(is_text, texts.values())):
            return None
        try:
            addresses = [_address(self.endpoint, texts[name]) for name in ("url", "image", "movie")]
        except ValueError:
            return None
        return RemoteVideo(
            id=texts["id"],
            title=texts["title"],
            description=texts["description"],
            url=addresses[0],
            thumbnail_url=addresses[1],
            movie_url=addresses[2],
            duration=json_text.number(item.get("duration")),
            created=texts["created"],
        )

    def origin_of(self, url: str) -> Origin:
        """Whose address it is: one at the server that a person chose is theirs, any other is what a
        stranger said.
        """
        try:
            own = origin_of(check_url(url)) == origin_of(check_url(self.endpoint))
        except TransferFailure:  # refused where it is used
            own = False
        return Origin.TYPED if own else Origin.GIVEN

    # ---- new videos

    async def prepare_video(self, title: str, thumbnail: str, description: str = "") -> str:
        """Make a video at the server, with a PNG or JPEG as its thumbnail; the path for its movie
        (V-10).

        Raises TransferFailure when the server refuses or cannot be reached, OSError when the
        picture cannot be read.
        """
        picture = await asyncio.to_thread(_content, thumbnail)
        body, kind = multipart(
            {"title": title, "description": description}, "thumbnail", thumbnail, picture
        )
        configuration = SessionConfiguration.default()
        configuration.follows_redirects = False
        configuration.http_error_policy = "transport"
        session = self.monitor.create_session(configuration)
        try:
            task = session.data_task(
                urljoin(self.endpoint, "videos"), body, request_headers={"Content-Type": kind}
            )
            record = await task.wait()
        finally:
            session.finish_tasks_and_invalidate()
        if record.error is not None:
            raise TransferFailure(record.error)
        response = record.response
        location = response.header("location") if response is not None else ""
        if response is None or response.status != 303 or not location:
            raise TransferFailure(
                _refused(task.response_text, response.status if response else 0, record.url)
            )
        return urlsplit(urljoin(self.endpoint, location)).path

    def upload_video(self, file: str, path: str) -> UploadTask:
        """Send a movie to a prepared video. Its record is written before the task starts (V-11)."""
        url = urljoin(self.endpoint, path.rstrip("/") + "/movie")
        task = self.monitor.session(SESSION).upload_task(url, file, method="PUT", start=False)
        upload = VideoUpload(path=path, file=os.path.abspath(file), task=str(task.key))
        self._remember(_UPLOADS, [*self._records(_UPLOADS), asdict(upload)])
        self._post("started", task.record)
        return task.resume()

    @property
    def uploads(self) -> tuple[VideoUpload, ...]:
        """All that are remembered, oldest first."""
        return tuple(VideoUpload(**stored) for stored in self._records(_UPLOADS))

    # ---- movie and thumbnail, as one thing

    def download_movie_and_thumbnail(self, video: RemoteVideo) -> VideoDownload:
        """Start both downloads (V-12). Raises TransferFailure for an address that cannot be."""
        download = VideoDownload(
            video=video.id,
            title=video.title,
            movie_url=video.movie_url,
            thumbnail_url=video.thumbnail_url,
        )
        return self.resume_downloads(download)

    async def pause_downloads(self, download: VideoDownload) -> VideoDownload:
        """Cancel what is unfinished and keep its resume data, its bytes and its total (V-13). What
        had finished before the cancel reached it stays finished.
        """
        running = {
            name: task
            for name in PARTS
            if (task := self._unfinished(getattr(download, name))) is not None
        }
        # Kept first: the tasks end while we wait, and whoever hears of it finds here that it is a
        # pause.
        download = changed(
            download, **{f"{name}_paused": str(task.key) for name, task in running.items()}
        )
        self._keep(download)
        for name, task in running.items():
            data = await task.cancel_by_producing_resume_data()
            if task.record.succeeded:
                continue
            download = changed(
                download,
                **{
                    name: "",
                    f"{name}_resume": base64.b64encode(data).decode() if data else "",
                    f"{name}_bytes": task.record.received if data else 0,
                    f"{name}_total": task.record.expected,
                },
            )
        self._keep(download)
        return download

    def _unfinished(self, key: str) -> DownloadTask | None:
        task = self._task(key)
        return task if isinstance(task, DownloadTask) and task.record.outstanding else None

    def resume_downloads(self, download: VideoDownload) -> VideoDownload:
        """New tasks from the resume data, or fresh ones where there is none (V-13), also for what
        has failed; what is on its way or finished stays.
        """
        session = self.monitor.session(SESSION)
        made: list[TransferTask] = []
        for name, url in (("thumbnail", download.thumbnail_url), ("movie", download.movie_url)):
            data = base64.b64decode(getattr(download, f"{name}_resume"))
            if isinstance(task := self._task(getattr(download, name)), DownloadTask):
                if not task.record.failed:
                    continue
                data = task.resume_data or b""
            if data:
                new = session.download_task_with_resume_data(data, start=False)
            else:
                new = session.download_task(
                    url, description=download.title, start=False, origin=self.origin_of(url)
                )
            download = changed(download, **{name: str(new.key), f"{name}_resume": ""})
            made.append(new)
        self._keep(download)
        for task in made:
            self._post("started", task.record)
            task.resume()
        return download

    @property
    def downloads(self) -> tuple[VideoDownload, ...]:
        """All that are remembered, oldest first (V-14)."""
        return tuple(VideoDownload(**stored) for stored in self._records(_DOWNLOADS))

    def progress(self, download: VideoDownload) -> tuple[int, int]:
        """Bytes of both over the totals of both; -1 while a total is unknown (V-12). A pause
        forgets neither.
        """
        counts = [self._counts(download, name) for name in PARTS]
        known = all(total >= 0 for _, total in counts)
        return sum(done for done, _ in counts), sum(
            total for _, total in counts
        ) if known else UNKNOWN

    def _counts(self, download: VideoDownload, name: str) -> tuple[int, int]:
        if (task := self._task(getattr(download, name))) is not None:
            return task.progress.received, task.progress.expected
        return getattr(download, f"{name}_bytes"), getattr(download, f"{name}_total")

    def is_downloading_movie(self, video: RemoteVideo) -> bool:
        """Whether its movie is on its way now."""
        for download in self.downloads:
            task = self._task(download.movie) if download.movie_url == video.movie_url else None
            if task is not None and task.record.outstanding:
                return True
        return False

    def cancel_request(self, session: str, task_identifier: int) -> None:
        """Raises KeyError."""
        self.monitor.commands.cancel(TaskKey(session, task_identifier))

    # ---- notices

    def observe(self, observer: Callable[[Notice], None]) -> None:
        """Hear of every transfer of a video from now on: started, progress, and one of completed,
        failed or paused (V-15).
        """
        self._observers.append(observer)
        if self._leave is None:
            self._leave = self.monitor.subscribe(self._hear)

    def close(self) -> None:
        self._observers.clear()
        if self._leave is not None:
            self._leave()
            self._leave = None

    def _hear(self, event: Event) -> None:
        key = event.task_key
        if key is None or key.session != SESSION or event.task is None:
            return
        if isinstance(event, DownloadProgressEvent | UploadProgressEvent):
            self._post("progress", event.task)
        elif isinstance(event, TaskCompletedEvent):
            self._post("completed" if event.success else "failed", event.task)

    def _post(self, kind: str, task: Task) -> None:
        key = str(task.key)
        download = next(
            (found for found in self.downloads if found.has(key) or found.has_paused(key)), None
        )
        upload = any(found.task == key for found in self.uploads)
        if download is None and not upload:
            return
        cancelled = task.error is not None and task.error.code == Code.CANCELLED
        paused = (
            kind == "failed" and cancelled and download is not None and download.has_paused(key)
        )
        done, total = self.progress(download) if download is not None else (task.moved, task.total)
        notice = Notice(
            kind="paused" if paused else kind,
            upload=upload,
            session=task.session,
            task=task.number,
            done=done,
            total=total,
            error=None if paused else task.error,
        )
        for observer in list(self._observers):
            observer(notice)

    # ---- records

    def _task(self, key: str) -> TransferTask | None:
        if not key:
            return None
        try:
            return self.monitor.handle(TaskKey.parse(key))
        except KeyError:  # taken off the list
            return None

    def _keep(self, download: VideoDownload) -> None:
        others = [
            stored
            for stored in self._records(_DOWNLOADS)
            if stored["movie_url"] != download.movie_url
        ]
        self._remember(_DOWNLOADS, [*others, asdict(download)])

    def _records(self, name: str) -> list[dict[str, Any]]:
        stored = self.monitor.recall(name)
        return json.loads(stored) if stored else []

    def _remember(self, name: str, records: list[dict[str, Any]]) -> None:
        self.monitor.remember(name, json.dumps(records[-_KEPT:]))


def multipart(fields: dict[str, str], name: str, path: str, data: bytes) -> tuple[bytes, str]:
    """A form with one file, and its Content-Type. What stands in a name is escaped as browsers do
    it: quotes and line breaks as %22, %0D and %0A, the rest as UTF-8 (V12).
    """
    boundary = secrets.token_hex(24)
    parts: list[bytes] = []
    for field, value in fields.items():
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_escaped(field)}"\r\n\r\n'
        parts += [head.encode(), value.encode(), b"\r\n"]
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{_escaped(name)}";'
        f' filename="{_escaped(os.path.basename(path))}"\r\nContent-Type: {_picture_type(data)}\r\n\r\n'
    )
    parts += [head.encode("utf-8", "replace"), data, f"\r\n--{boundary}--\r\n".encode()]
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


def _picture_type(data: bytes) -> str:
    # By content, as the server looks at it; a name may say anything.
    for begin, media_type in ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg")):
        if data.startswith(begin):
            return media_type
    return "application/octet-stream"


def _as_folder(url: str) -> str:
    return url.rstrip("/") + "/"


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _escaped(text: str) -> str:
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _address(base: str, reference: str) -> str:
    """Raises ValueError for one that cannot be; whether it may be used is found out where it is."""
    url = urljoin(base, reference)
    try:
        check_url(url)
    except TransferFailure as exc:
        if exc.code == Code.BAD_URL:
            raise ValueError(str(exc)) from exc
    return url


def _no_list(url: str) -> TransferError:
    return TransferError(
        code=Code.CANNOT_PARSE_RESPONSE,
        message="The server's list of videos cannot be read.",
        reason="srv.protocol",
        hint="Check that the address is that of a VideoFarm server.",
        url=redacted(url),
    )


def _refused(text: str | None, status: int, url: str) -> TransferError:
    try:
        detail = str(json_text.loads(text or "")["detail"])
    except (ValueError, TypeError, KeyError):
        detail = f"The server answered {status}."
    return TransferError(
        code=Code.BAD_SERVER_RESPONSE,
        message=detail,
        reason="srv.refused",
        url=redacted(url),
        status=status,
    )
