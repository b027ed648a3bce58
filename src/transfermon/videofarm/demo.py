"""The demo: a VideoFarm server of its own, two sessions, and transfers of every fate.

Rule: it lives in a state folder of its own, wiped at each start; a folder that is not marked as the
demo's is never touched. Its server may be reached by given addresses only while the demo lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import sys
from urllib.parse import urlsplit

from transfermon.engine.monitor import Monitor
from transfermon.model.errors import EngineBusyError, StateError, TransferFailure
from transfermon.storage.settings import ensure_private, state_folder
from transfermon.system.lock import NAME as LOCK
from transfermon.system.lock import EngineLock
from transfermon.videofarm.client import VideoFarmClient

MARK = "demo-folder"
PHOTOS = "com.example.photos"
VIDEOS = "com.example.videos"
STARTED_VIDEOS = 6  # of the eight that the server begins with; a background fetch finds the others
VIDEOS_AT_ONCE = 3  # so that some wait for their turn, which is to be seen, too
START_SECONDS = 20.0  # that the server may take on a slow machine
STOP_SECONDS = 3.0

# One by one slow enough to watch, some two minutes for all at three at a time.
FAULTS = (
    "/videos:rate=2M",
    "/videos/1/movie:rate=500k",
    "/videos/2/movie:rate=300k",
    "/videos/3/movie:rate=450k",
    "/videos/4/movie:rate=600k",
    "/videos/5/movie:rate=700k",
    "/videos/6/movie:rate=300k",
    "/files/harvest.csv:status=503x4,retry-after=30",
)
_ANNOUNCEMENT = re.compile(r"VideoFarm at (http://\S+)")
_PASSED_ON = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TMPDIR", "HOME", "SYSTEMROOT")


def fresh_folder(given: str | None = None) -> str:
    """The demo's state folder, emptied; as it is while another demo runs in it.

    Raises StateError for a folder that holds something and is not a demo's.
    """
    folder = state_folder(given) if given else state_folder() + "-demo"
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        found = set(os.listdir(folder))
        if found - {LOCK} and MARK not in found:
            raise StateError(
                f"{folder} is not a folder of the demo, so the demo does not use it.",
                "Choose an empty one.",
            )
    ensure_private(folder)
    try:
        lock = EngineLock.acquire(folder, "the demo")
    except EngineBusyError:
        return folder
    try:
        with open(os.path.join(folder, MARK), "wb"):
            pass
        for name in os.listdir(folder):
            if name not in (LOCK, MARK):  # a lock is never unlinked: two files would be two owners
                _wipe(os.path.join(folder, name))
    finally:
        lock.release()
    return folder


def _wipe(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


class Demo:
    """One demo in one monitor, whose settings must not be on disk."""

    def __init__(self, monitor: Monitor) -> None:
        assert not monitor.settings.path, "the demo's settings must not be kept"
        self._monitor = monitor
        self._server: asyncio.subprocess.Process | None = None
        self.url = ""

    def __repr__(self) -> str:
        return f"<Demo {self.url or 'not running'}>"

    async def start(self) -> None:
        """Start the server and the first transfers. Raises StateError when the server does not come
        up.
        """
        self.url = await self._serve()
        self._monitor.preferences.update(
            videofarm_url=self.url, allowed_hosts=(urlsplit(self.url).netloc,)
        )
        try:
            await self._begin()
        except TransferFailure as exc:
            raise StateError("The demo's server does not answer.", exc.title) from exc

    async def stop(self) -> None:
        """End the server and take back what it was allowed. May be called twice."""
        server, self._server = self._server, None
        if server is None:
            return
        self._monitor.preferences.update(allowed_hosts=())
        if server.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                server.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await server.communicate()
        except TimeoutError:
            server.kill()
            await server.communicate()

    async def _serve(self) -> str:
        folder = os.path.join(self._monitor.state_dir, "videofarm")
        options = [part for fault in FAULTS for part in ("--fault", fault)]
        self._server = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "transfermon.videofarm.server", "--port", "0", "--data-dir", folder,
            "--new-video-every", "60", "--exit-with-parent", str(os.getpid()), *options,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        )  # fmt: skip
        assert self._server.stdout is not None
        try:
            async with asyncio.timeout(START_SECONDS):
                line = (await self._server.stdout.readline()).decode("utf-8", "replace").strip()
        except TimeoutError:
            line = "it did not start in time"
        match = _ANNOUNCEMENT.fullmatch(line)
        if match is None:
            await self.stop()
            raise StateError("The demo's server did not start.", line[:200] or "It ended at once.")
        return match.group(1).rstrip("/")

    async def _begin(self) -> None:
        photos, videos = self._monitor.session(PHOTOS), self._monitor.session(VIDEOS)
        for photo in json.loads(await self._monitor.read(f"{self.url}/photos")):
            photos.download_task(photo["url"], name=f"{photo['title']}.jpg", user_initiated=True)
        photos.download_task(
            f"{self.url}/files/harvest.csv", name="harvest.csv", user_initiated=True
        )
        photos.download_task(
            f"{self.url}/photos/99", name="The photo that never was.jpg", user_initiated=True
        )
        videos.reconfigure(http_maximum_connections_per_host=VIDEOS_AT_ONCE)
        found = await VideoFarmClient(self._monitor, self.url).fetch_videos()
        for video in found[:STARTED_VIDEOS]:
            videos.download_task(
                video.movie_url,
                name=f"{video.title}.avi",
                description=video.title,
                user_initiated=True,
            )
