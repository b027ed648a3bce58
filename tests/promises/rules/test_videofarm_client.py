"""V-10 to V-16 and V12: VideoFarm's client against its server, over restarts."""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.helpers.byte_server import ByteServer, reply
from tests.helpers.farm import Farm
from tests.helpers.recorder import eventually
from tests.helpers.sessions import App
from tests.promises.rules.conftest import OpenMonitor
from transfermon import urlsession
from transfermon.engine.monitor import Monitor
from transfermon.model.errors import InvalidAction, TransferFailure
from transfermon.model.task import State, TaskKey
from transfermon.model.wake_policy import WakeOutcome
from transfermon.storage.settings import Settings
from transfermon.text.notification_texts import return_notice
from transfermon.videofarm.client import SESSION, Notice, VideoFarmClient, multipart
from transfermon.videofarm.sync import VideoSync

pytestmark = pytest.mark.anyio


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG = (  # one grey pixel
    b"\x89PNG\r\n\x1a\n"
    + _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    + _chunk(b"IDAT", zlib.compress(b"\0\x80"))
    + _chunk(b"IEND", b"")
)


@pytest.fixture
def farm() -> Iterator[Farm]:
    with Farm.start() as running:
        yield running


@pytest.fixture
def slow_farm() -> Iterator[Farm]:
    with Farm.start("--fault", "/videos/2/movie:rate=300k") as running:
        yield running


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "shot.png"
    path.write_bytes(PNG)
    return str(path)


@pytest.fixture
def movie(tmp_path: Path) -> str:
    path = tmp_path / "movie.mp4"
    path.write_bytes(bytes(range(256)) * 2000)
    return str(path)


async def got(farm: Farm, path: str) -> bytes:
    def read() -> bytes:
        with urlopen(farm.url.rstrip("/") + path) as answer:
            body: bytes = answer.read()
            return body

    return await asyncio.to_thread(read)


# ---- V-10, V-11


async def test_v10_a_video_is_prepared_without_following_the_redirect(
    monitor: Monitor, farm: Farm, picture: str
):
    path = await VideoFarmClient(monitor, farm.url).prepare_video(
        "A “new” one", picture, "ünder the bridge"
    )
    assert path.startswith("/videos/")
    found = json.loads(await got(farm, path))
    assert (found["title"], found["description"]) == ("A “new” one", "ünder the bridge")


async def test_v10_a_refusal_says_what_the_server_says(monitor: Monitor, farm: Farm, picture: str):
    with pytest.raises(TransferFailure, match="title"):
        await VideoFarmClient(monitor, farm.url).prepare_video("", picture)


async def test_v11_a_movie_is_put_and_its_record_comes_before_the_start(
    monitor: Monitor, farm: Farm, picture: str, movie: str
):
    client = VideoFarmClient(monitor, farm.url)
    path = await client.prepare_video("New", picture)
    seen: list[bool] = []

    def look(notice: Notice) -> None:
        if notice.kind == "started":
            record = monitor.task(TaskKey(notice.session, notice.task))
            seen.append(
                client.uploads[-1].task == str(record.key) and record.state is State.SUSPENDED
            )

    client.observe(look)
    task = client.upload_video(movie, path)
    record = await task.wait()
    assert (record.error, record.method, record.session) == (None, "PUT", SESSION)
    assert seen == [True]
    assert await got(farm, path + "/movie") == Path(movie).read_bytes()
    client.close()


# ---- V-12 to V-14


async def test_v12_movie_and_thumbnail_are_two_tasks_and_one_progress(monitor: Monitor, farm: Farm):
    client = VideoFarmClient(monitor, farm.url)
    video = (await client.fetch_videos())[0]
    download = client.download_movie_and_thumbnail(video)
    assert len(download.tasks) == 2
    records = [await monitor.handle(key).wait() for key in download.tasks]
    total = sum(record.total for record in records)
    assert client.progress(download) == (total, total)
    assert not client.is_downloading_movie(video)


async def test_v13_a_pause_keeps_resume_data_and_a_resume_makes_new_tasks(
    monitor: Monitor, slow_farm: Farm
):
    client = VideoFarmClient(monitor, slow_farm.url)
    video = next(found for found in await client.fetch_videos() if found.id == "2")
    download = client.download_movie_and_thumbnail(video)
    await eventually(
        lambda: client.progress(download)[0] > 100_000 and client.progress(download)[1] > 0,
        "some bytes",
    )
    assert client.is_downloading_movie(video)
    await monitor.handle(TaskKey.parse(download.thumbnail)).wait()
    paused = await client.pause_downloads(download)
    assert (paused.movie, bool(paused.movie_resume)) == ("", True)
    assert paused.thumbnail == download.thumbnail  # it had finished
    assert client.downloads == (paused,)
    done, total = client.progress(paused)
    assert 100_000 < done < total
    assert total == sum(client.progress(found)[1] for found in client.downloads)
    resumed = client.resume_downloads(paused)
    assert resumed.movie not in ("", download.movie)
    assert client.progress(resumed)[0] >= done
    await eventually(lambda: client.progress(resumed)[0] > 150_000, "more bytes")
    client.cancel_request(*TaskKey.parse(resumed.movie))


async def test_v13_without_resume_data_a_fresh_task_starts(monitor: Monitor, farm: Farm):
    client = VideoFarmClient(monitor, farm.url)
    video = (await client.fetch_videos())[0]
    paused = await client.pause_downloads(client.download_movie_and_thumbnail(video))
    resumed = client.resume_downloads(paused)
    for key in resumed.tasks:
        assert (await monitor.handle(key).wait()).error is None


async def test_v14_a_restart_finds_the_transfers_again(
    open_monitor: OpenMonitor, slow_farm: Farm, settings: Settings
):
    async with open_monitor() as monitor:
        client = VideoFarmClient(monitor, slow_farm.url)
        video = next(found for found in await client.fetch_videos() if found.id == "2")
        before = client.download_movie_and_thumbnail(video)
        await eventually(lambda: client.progress(before)[0] > 100_000, "some bytes")
    async with open_monitor() as monitor:
        client = VideoFarmClient(monitor, slow_farm.url)
        (found,) = client.downloads
        assert found == before
        assert client.is_downloading_movie(video)
        assert client.progress(found)[0] > 100_000
        client.cancel_request(*TaskKey.parse(found.movie))


async def test_v14_a_restart_forgets_neither_bytes_nor_total_of_a_paused_one(
    open_monitor: OpenMonitor, slow_farm: Farm, settings: Settings
):
    async with open_monitor() as monitor:
        client = VideoFarmClient(monitor, slow_farm.url)
        video = next(found for found in await client.fetch_videos() if found.id == "2")
        download = client.download_movie_and_thumbnail(video)
        await eventually(
            lambda: client.progress(download)[0] > 100_000 and client.progress(download)[1] > 0,
            "bytes",
        )
        before = client.progress(await client.pause_downloads(download))
    async with open_monitor() as monitor:
        client = VideoFarmClient(monitor, slow_farm.url)
        assert client.progress(client.downloads[0]) == before
        assert 100_000 < before[0] < before[1]


async def test_v13_a_failed_part_starts_again_and_a_finished_one_stays(monitor: Monitor):
    with Farm.start("--fault", "/videos/2/movie:status=404x1") as farm:
        client = VideoFarmClient(monitor, farm.url)
        video = next(found for found in await client.fetch_videos() if found.id == "2")
        download = client.download_movie_and_thumbnail(video)
        movie, thumbnail = [await monitor.handle(key).wait() for key in download.tasks]
        assert (movie.failed, thumbnail.succeeded) == (True, True)
        again = client.resume_downloads(download)
        assert (again.movie != download.movie, again.thumbnail) == (True, download.thumbnail)
        assert (await monitor.handle(TaskKey.parse(again.movie)).wait()).succeeded


# ---- the shared client


async def test_the_shared_client_follows_the_monitor_and_its_address(monitor: Monitor, farm: Farm):
    with pytest.raises(InvalidAction, match="monitor"):
        VideoFarmClient.shared()
    with urlsession.attached(monitor):
        with pytest.raises(InvalidAction, match="set_shared_endpoint"):
            VideoFarmClient.shared()
        VideoFarmClient.set_shared_endpoint("http://127.0.0.1:9")
        try:
            shared = VideoFarmClient.shared()
            assert (shared.endpoint, shared.monitor) == ("http://127.0.0.1:9/", monitor)
            VideoFarmClient.set_shared_endpoint(farm.url)
            assert VideoFarmClient.shared() is shared
            assert len(await shared.fetch_videos()) == 8
        finally:
            VideoFarmClient.set_shared_endpoint("")


# ---- V-15, V-16


async def test_v15_a_pause_is_told_as_a_pause_by_every_client(monitor: Monitor, slow_farm: Farm):
    client, other = (VideoFarmClient(monitor, slow_farm.url) for _ in range(2))
    notices: list[Notice] = []
    client.observe(notices.append)
    other.observe(notices.append)
    video = next(found for found in await client.fetch_videos() if found.id == "2")
    download = client.download_movie_and_thumbnail(video)
    number = TaskKey.parse(download.movie).number
    await eventually(
        lambda: client.progress(download)[0] > 100_000 and client.progress(download)[1] > 0,
        "some bytes",
    )
    paused = await client.pause_downloads(download)

    def ends() -> list[Notice]:
        return [
            told
            for told in notices
            if told.task == number and told.kind not in ("started", "progress")
        ]

    await eventually(lambda: len(ends()) == 2, "both to hear of it")
    assert {(told.kind, told.error, told.done, told.total) for told in ends()} == {
        ("paused", None, *client.progress(paused))
    }
    resumed = client.resume_downloads(paused)
    client.cancel_request(*TaskKey.parse(resumed.movie))
    await eventually(
        lambda: sum(told.kind == "failed" for told in notices) == 2, "a cancel is no pause"
    )
    client.close()
    other.close()


async def test_v15_each_transfer_is_started_moves_and_ends_once(monitor: Monitor, farm: Farm):
    client = VideoFarmClient(monitor, farm.url)
    notices: list[Notice] = []
    client.observe(notices.append)
    video = (await client.fetch_videos())[0]
    download = client.download_movie_and_thumbnail(video)
    for key in download.tasks:
        await monitor.handle(key).wait()
    await eventually(lambda: sum(notice.kind == "completed" for notice in notices) == 2, "two ends")
    for key in download.tasks:
        kinds = [notice.kind for notice in notices if notice.task == key.number]
        assert kinds[0] == "started"
        assert kinds[-1] == "completed"
        assert set(kinds[1:-1]) <= {"progress"}
        assert kinds.count("completed") == 1
    client.close()


async def test_v15_a_failure_carries_its_error_and_comes_into_the_summary(
    monitor: Monitor, farm: Farm, movie: str
):
    client = VideoFarmClient(monitor, farm.url)
    notices: list[Notice] = []
    client.observe(notices.append)
    record = await client.upload_video(movie, "/videos/none").wait()
    await eventually(lambda: notices and notices[-1].kind == "failed", "a failure")
    assert notices[-1].upload
    assert notices[-1].error == record.error is not None
    assert return_notice([record]).body.startswith("1 transfer failed")
    client.close()


@pytest.mark.parametrize(
    ("seen", "there", "result"),
    [(False, True, "new_data"), (True, True, "no_data"), (False, False, "failed")],
)
async def test_v16_a_fetch_says_what_it_found(
    monitor: Monitor, farm: Farm, seen: bool, there: bool, result: str
):
    monitor.preferences.update(videofarm_url=farm.url if there else "http://127.0.0.1:9/")
    app = App(monitor, "handlerended")
    sync = VideoSync(monitor)
    try:
        if seen:
            await monitor.fetch()
            await app.hears("handlerended")
        await monitor.fetch()
        *_, ended = await app.hears("handlerended", 1 + seen)
        assert ended.result == result
    finally:
        sync.close()


# ---- V12


@pytest.mark.parametrize(
    "name", ['a"b.png', "a\r\nX-Evil: 1.png", "ünïcode – 日本.png", "semi;colon=1.png"]
)
async def test_fault_v12_a_filename_stays_inside_its_quotes(name: str):
    body, kind = multipart({"title": 'x"; name="y'}, "thumbnail", f"/data/{name}", PNG)
    raw = f"Content-Type: {kind}\r\nMIME-Version: 1.0\r\n\r\n".encode() + body
    title, file = email.message_from_bytes(raw, policy=email.policy.HTTP).iter_parts()
    assert title.get_payload() == 'x"; name="y'
    assert file.keys() == ["Content-Disposition", "Content-Type"]
    escaped = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    assert f'filename="{escaped}"'.encode() in body


@pytest.mark.parametrize(
    ("begin", "kind"),
    [(PNG, "image/png"), (b"\xff\xd8\xff\xe0", "image/jpeg"), (b"BM", "application/octet-stream")],
)
async def test_a_picture_is_sent_as_what_it_is(begin: bytes, kind: str):
    body, _ = multipart({}, "thumbnail", "a.png", begin)
    assert f"Content-Type: {kind}\r\n".encode() in body


def test_the_public_names_come_when_they_are_asked_for():
    script = (
        "import sys, transfermon.videofarm as farm\n"
        "before = 'transfermon.engine.monitor' in sys.modules\n"
        "print(before, farm.VideoFarmClient.__name__, farm.Notice.__name__, hasattr(farm, 'Nothing'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "False VideoFarmClient Notice False\n"


async def test_fault_v12_the_server_reads_what_was_written(
    monitor: Monitor, farm: Farm, tmp_path: Path
):
    path = tmp_path / 'a"\n b – ü.png'
    path.write_bytes(PNG)
    where = await VideoFarmClient(monitor, farm.url).prepare_video("Odd", str(path))
    assert await got(farm, where + "/thumbnail") == PNG


# ---- what a stranger's server says

GOOD = {
    "id": 1,
    "title": "A",
    "url": "videos/1",
    "image": "i.png",
    "movie": "m.avi",
    "duration": 1.5,
    "created": "x",
}
ODD: list[object] = [
    {**GOOD, "movie": "http://[bad"},
    {**GOOD, "image": "http://h:99999/"},
    {**GOOD, "url": None},
    {"id": 1},
    {**GOOD, "title": "\ud800"},
    7,
    None,
    [GOOD],
]


@pytest.fixture
def says() -> Iterator[Callable[[bytes], str]]:
    """The address of a server whose list of videos is this."""
    servers: list[ByteServer] = []

    def start(body: bytes) -> str:
        servers.append(ByteServer(lambda conn, _: conn.send(reply(200, {}, body))))
        return servers[-1].__enter__().url("/")

    yield start
    for server in servers:
        server.__exit__(None, None, None)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b'[{"a":' * 100_000,
        b"{}",
        b"null",
        b"\xff",
        b"",
        b"[1e999",
        json.dumps(ODD).encode(),
        b"[" + b"9" * 5000 + b"]",
    ],
)
async def test_fault_v_a_list_that_cannot_be_read_is_one_sentence_and_ends_the_wake(
    monitor: Monitor, says: Callable[[bytes], str], body: bytes
):
    url = says(body)
    with pytest.raises(TransferFailure) as caught:
        await VideoFarmClient(monitor, url).fetch_videos()
    assert str(caught.value) == "The server's list of videos cannot be read."
    monitor.preferences.update(videofarm_url=url)
    sync = VideoSync(monitor)
    wake = await monitor.fetch()
    await eventually(
        lambda: monitor.background.ledger[-1].outcome is WakeOutcome.FAILED,
        "the end of its handler",
    )
    assert monitor.background.ledger[-1].identifier == wake.identifier
    assert monitor.background.overruns == 0
    sync.close()


async def test_one_odd_entry_costs_no_other(monitor: Monitor, says: Callable[[bytes], str]):
    odd = [
        *ODD,
        GOOD,
        {**GOOD, "id": 2, "duration": True},
        {**GOOD, "id": 3, "duration": float("nan")},
    ]
    client = VideoFarmClient(monitor, says(json.dumps(odd).encode()))
    found = await client.fetch_videos()
    assert [(video.id, video.duration) for video in found] == [("1", 1.5), ("2", None), ("3", None)]
    assert client.left_out == len(ODD)
    assert found[0].movie_url == f"{client.endpoint}m.avi"
