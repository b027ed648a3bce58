"""VideoFarm's client against a real nginx, for what is plain HTTP: the list, movies and pictures,
the upload.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import nginx
from tests.helpers.byte_server import rest
from tests.helpers.recorder import eventually
from transfermon.engine.monitor import Monitor
from transfermon.model.task import Task
from transfermon.videofarm import VideoDownload, VideoFarmClient

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(nginx.PATH is None, reason=nginx.WHY_NOT)]
MOVIE, PICTURE = os.urandom(3_000_000), b"\x89PNG\r\n\x1a\n" + os.urandom(20_000)
_CONFIG = """
location = /videos {{ alias {root}/videos.json; default_type application/json; }}
location ~ /movie$ {{ dav_methods PUT; create_full_put_path on; client_max_body_size 0; limit_rate 2m; }}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One video in a folder."""
    folder = tmp_path / "root"
    (folder / "videos" / "1").mkdir(parents=True)
    (folder / "videos" / "1" / "movie").write_bytes(MOVIE)
    (folder / "videos" / "1" / "thumbnail").write_bytes(PICTURE)
    for path in folder.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    listed = {
        "id": 1,
        "title": "Static",
        "url": "videos/1",
        "image": "videos/1/thumbnail",
        "movie": "videos/1/movie",
    }
    (folder / "videos.json").write_text(json.dumps([listed]))
    return folder


@pytest.fixture
def server(tmp_path: Path, root: Path) -> Iterator[nginx.Nginx]:
    with nginx.running(tmp_path / "nginx", root, server=_CONFIG.format(root=root)) as running:
        yield running


@pytest.fixture
def client(monitor: Monitor, server: nginx.Nginx) -> Iterator[VideoFarmClient]:
    with contextlib.closing(VideoFarmClient(monitor, server.url("/"))) as client:
        yield client


async def ends(monitor: Monitor, download: VideoDownload) -> list[Task]:
    return [await monitor.handle(key).wait() for key in download.tasks]


async def test_a_list_that_is_a_file_is_read(client: VideoFarmClient, server: nginx.Nginx):
    (video,) = await client.fetch_videos()
    assert (video.id, video.title, video.duration) == ("1", "Static", None)
    assert (video.movie_url, video.thumbnail_url) == (
        server.url("/videos/1/movie"),
        server.url("/videos/1/thumbnail"),
    )


async def test_movie_and_picture_arrive_as_they_are_over_a_pause(
    monitor: Monitor, client: VideoFarmClient, server: nginx.Nginx
):
    (video,) = await client.fetch_videos()
    download = client.download_movie_and_thumbnail(video)
    assert (await monitor.handle(download.tasks[1]).wait()).succeeded
    await eventually(lambda: client.progress(download)[0] > 200_000, "some of the movie")
    paused = await client.pause_downloads(download)
    done, total = client.progress(paused)
    assert 200_000 < done < total == len(MOVIE) + len(PICTURE)
    resumed = client.resume_downloads(paused)
    movie, picture = await ends(monitor, resumed)
    assert (Path(movie.file).read_bytes(), Path(picture.file).read_bytes()) == (MOVIE, PICTURE)
    assert client.progress(resumed) == (total, total)
    asked = f'"{rest(done - len(PICTURE))}"'
    await eventually(
        lambda: any(" 206 " in line and asked in line for line in server.requests()),
        "the rest by range",
    )


async def test_a_movie_is_put_where_its_path_says(
    monitor: Monitor, client: VideoFarmClient, root: Path
):
    source = root.parent / "new.mp4"
    source.write_bytes(MOVIE[::-1])
    record = await client.upload_video(str(source), "/videos/2").wait()
    assert (record.error, record.protocol) == (None, "plain")
    assert record.response is not None
    assert record.response.status == 201
    assert (root / "videos" / "2" / "movie").read_bytes() == MOVIE[::-1]
