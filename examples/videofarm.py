"""The course's VideoFarm app without its window: list, download, pause, resume, and upload a new
video.

    transfermon videofarm                                # in another terminal: the server
    transfermon run examples/videofarm.py [ADDRESS]      # in the app, or with --headless without a window

It takes the two shortest videos. Each line is what has just happened; what an observer was told
begins with its kind.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from transfermon.task import Task, TaskKey
from transfermon.urlsession import monitor
from transfermon.videofarm import Notice, VideoDownload, VideoFarmClient

ADDRESS = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8787/"

moved: set[tuple[str, int]] = set()  # tasks, as session and number
ended: set[tuple[str, int]] = set()
news = asyncio.Event()


def on_notice(notice: Notice) -> None:
    what = "upload" if notice.upload else "download"
    print(
        notice.kind,
        what,
        f"{notice.session}:{notice.task}",
        f"{notice.done} of {notice.total} bytes",
    )
    if notice.kind == "progress":
        moved.add((notice.session, notice.task))
    if notice.kind in ("paused", "completed", "failed"):
        ended.add((notice.session, notice.task))
    news.set()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        news.clear()
        await news.wait()


async def finished(key: TaskKey) -> Task:
    record = await monitor.handle(key).wait()
    if record.error is not None:
        raise SystemExit(record.error.message)
    return record


async def files_of(download: VideoDownload) -> list[str]:
    """Movie and thumbnail, as they lie on the disk."""
    files = [(await finished(key)).file for key in download.tasks]
    for file in files:
        print("file", file)
    return files


async def main() -> None:
    client = VideoFarmClient(monitor, ADDRESS)
    client.observe(on_notice)

    videos = await client.fetch_videos()
    for video in videos:
        print("video", video.id, video.title)
    short = sorted(
        (video for video in videos if video.duration), key=lambda video: video.duration or 0
    )

    # Movie and thumbnail of a video are one thing
    first, second = (client.download_movie_and_thumbnail(video) for video in short[:2])

    # A pause ends the tasks and keeps their resume data; new tasks go on from there
    tasks = set(second.tasks)
    await until(lambda: bool(tasks & moved) or tasks <= ended)
    second = await client.pause_downloads(second)
    await until(lambda: tasks <= ended)
    print("resuming", second.title, "at {} of {} bytes".format(*client.progress(second)))
    second = client.resume_downloads(second)

    movie, thumbnail = await files_of(first)
    await files_of(second)

    # A new video: first its title and picture, then its movie to the path that the server gives
    path = await client.prepare_video(f"{first.title}, again", thumbnail, "Sent back to the farm")
    print("prepared", path)
    await finished(client.upload_video(movie, path).key)
    print("stored", len(await client.fetch_videos()), "videos")
    client.close()
