"""V-01 to V-09: the VideoFarm server, asked by httpx and by our own client."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.helpers.farm import Farm, wait_until
from tests.helpers.recorder import eventually
from tests.helpers.sessions import quick_session
from transfermon.engine.monitor import Monitor, UploadTask
from transfermon.videofarm import samples

pytestmark = pytest.mark.anyio
KEYS = {"id", "title", "description", "url", "image", "movie", "duration", "created"}
PICTURE = samples.PHOTOS[0].data
VERSION = {"Upload-Draft-Interop-Version": "8"}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "farm"


@pytest.fixture
def farm(data_dir: Path) -> Iterator[Farm]:
    with Farm.start("--data-dir", str(data_dir), "--empty", "--fault-queries") as running:
        yield running


@pytest.fixture
def web(farm: Farm) -> Iterator[httpx.Client]:
    headers = {"accept-encoding": "identity"}
    with httpx.Client(base_url=farm.url, timeout=60, headers=headers, trust_env=False) as client:
        yield client


def a_video(web: httpx.Client, title: str = "Dunes", picture: bytes = PICTURE) -> str:
    """The path of a new one."""
    answer = web.post(
        "videos",
        data={"title": title, "description": "Sand."},
        files={"thumbnail": ("d.jpg", picture, "image/jpeg")},
    )
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def is_problem(answer: httpx.Response, status: int) -> bool:
    body = answer.json()
    kind = answer.headers["content-type"]
    return (
        kind == "application/problem+json"
        and answer.status_code == body["status"] == status
        and bool(body["title"])
    )


def test_v01_the_list_is_empty_at_first_and_has_eight_keys(web: httpx.Client):
    assert web.get("videos").json() == []
    path = a_video(web)
    (video,) = web.get("videos").json()
    assert set(video) == KEYS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", video["created"])
    assert video["title"] == "Dunes"
    assert web.get(path).json() == video


def test_v02_a_new_video_is_at_its_location_and_in_the_list(web: httpx.Client):
    path = a_video(web)
    assert re.fullmatch(r"/videos/\d+", path)
    assert a_video(web, "Sea") != path
    assert [video["title"] for video in web.get("videos").json()] == ["Dunes", "Sea"]


@pytest.mark.parametrize(
    ("form", "files", "status"),
    [
        ({}, {"thumbnail": ("a.jpg", PICTURE)}, 400),
        ({"title": " "}, {"thumbnail": ("a.jpg", PICTURE)}, 400),
        ({"title": "x" * 201}, {"thumbnail": ("a.jpg", PICTURE)}, 400),
        ({"title": "A"}, {"other": ("a.jpg", PICTURE)}, 400),
        ({"title": "A"}, {"thumbnail": ("a.jpg", b"")}, 422),
        ({"title": "A"}, {"thumbnail": ("a.jpg", b"no picture")}, 422),
    ],
)
def test_v03_what_is_incomplete_is_refused_and_stores_nothing(
    web: httpx.Client, data_dir: Path, form: Any, files: Any, status: int
):
    before = sorted(data_dir.rglob("*"))
    assert is_problem(web.post("videos", data=form, files=files), status)
    assert web.get("videos").json() == []
    assert sorted(data_dir.rglob("*")) == before


def test_v03_unknown_identifiers_and_movies_that_are_not_there_are_404(web: httpx.Client):
    path = a_video(web)
    for missing in (
        "videos/99",
        "videos/99/movie",
        "videos/99/thumbnail",
        "videos/x",
        f"{path}/movie",
    ):
        assert is_problem(web.get(missing), 404), missing
    assert is_problem(web.put("videos/99/movie", content=b"x"), 404)
    assert is_problem(web.post("videos", json={"title": "A"}), 415)
    assert is_problem(web.patch(path), 405)


def test_v04_a_movie_is_created_and_then_replaced(web: httpx.Client, data_dir: Path):
    path = a_video(web)
    first, second = os.urandom(3_000_000), os.urandom(10)
    assert web.put(f"{path}/movie", content=first).status_code == 201
    assert web.get(f"{path}/movie").content == first
    assert web.put(f"{path}/movie", content=second).status_code == 204
    assert web.get(f"{path}/movie").content == second
    assert len(list((data_dir / "movies").iterdir())) == 1
    assert list((data_dir / "uploads").iterdir()) == []


def test_v04_a_put_that_breaks_off_leaves_what_was_there(
    farm: Farm, web: httpx.Client, data_dir: Path
):
    path = a_video(web)
    for existing in (None, b"the old one"):
        if existing is not None:
            web.put(f"{path}/movie", content=existing)
        with socket.create_connection(("127.0.0.1", farm.port)) as connection:
            head = f"PUT {path}/movie HTTP/1.1\r\nHost: 127.0.0.1:{farm.port}\r\nContent-Length: 1000000\r\n\r\n"
            connection.sendall(head.encode() + bytes(400_000))
        wait_until(lambda: not list((data_dir / "uploads").iterdir()))
        answer = web.get(f"{path}/movie")
        assert (answer.status_code, answer.content) == (
            (200, existing) if existing else (404, answer.content)
        )


def test_v05_the_movie_comes_back_with_all_that_a_client_needs_to_resume(web: httpx.Client):
    path, movie = a_video(web), os.urandom(500_000)
    web.put(f"{path}/movie", content=movie, headers={"Content-Type": "video/mp4"})
    answer = web.get(f"{path}/movie")
    assert answer.content == movie
    assert answer.headers["content-length"] == "500000"
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["accept-ranges"] == "bytes"
    assert re.fullmatch(r'"[^"]+"', answer.headers["etag"])
    assert answer.headers["last-modified"].endswith("GMT")
    web.put(f"{path}/movie", content=movie[::-1])
    assert web.get(f"{path}/movie").headers["etag"] != answer.headers["etag"]


def test_v06_ranges_and_their_conditions(web: httpx.Client):
    path, movie = a_video(web), os.urandom(1000)
    web.put(f"{path}/movie", content=movie)
    tag = web.head(f"{path}/movie").headers["etag"]
    for asked, status, part in (
        ({"Range": "bytes=100-"}, 206, movie[100:]),
        ({"Range": "bytes=0-9", "If-Range": tag}, 206, movie[:10]),
        ({"Range": "bytes=-5"}, 206, movie[-5:]),
        ({"Range": "bytes=0-9", "If-Range": '"other"'}, 200, movie),
        ({"Range": "lines=1-2"}, 200, movie),
    ):
        answer = web.get(f"{path}/movie", headers=asked)
        assert (answer.status_code, answer.content) == (status, part), asked
    beyond = web.get(f"{path}/movie", headers={"Range": "bytes=1000-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */1000")


def test_v07_the_thumbnail_is_the_one_that_was_given(web: httpx.Client):
    answer = web.get(f"{a_video(web)}/thumbnail")
    assert (answer.content, answer.headers["content-type"]) == (PICTURE, "image/jpeg")


# ---- V-08, V-09


def begun(web: httpx.Client, path: str, length: int) -> str:
    answer = web.put(
        f"{path}/movie",
        headers={
            **VERSION,
            "Upload-Complete": "?0",
            "Upload-Length": str(length),
            "Content-Length": "0",
        },
    )
    assert answer.status_code == 201
    assert answer.headers["upload-complete"] == "?0"
    return answer.headers["location"]


def part(
    web: httpx.Client, where: str, offset: int, data: bytes, *, last: bool, **more: str
) -> httpx.Response:
    fields = {
        **VERSION,
        "Content-Type": "application/partial-upload",
        "Upload-Offset": str(offset),
        "Upload-Complete": "?1" if last else "?0",
    }
    return web.patch(where, content=data, headers=fields | more)


def test_v08_the_movie_takes_resumable_uploads_and_shows_nothing_before_the_end(web: httpx.Client):
    path, movie = a_video(web), os.urandom(700_000)
    options = web.options(f"{path}/movie")
    assert "application/partial-upload" in options.headers["accept-patch"]
    assert "max-size=" in options.headers["upload-limit"]
    where = begun(web, path, len(movie))
    assert part(web, where, 0, movie[:300_000], last=False).headers["upload-offset"] == "300000"
    head = web.head(where, headers=VERSION)
    assert (head.headers["upload-offset"], head.headers["upload-complete"]) == ("300000", "?0")
    assert head.headers["upload-length"] == "700000"
    assert web.get(f"{path}/movie").status_code == 404
    done = part(web, where, 300_000, movie[300_000:], last=True)
    assert (done.status_code, done.headers["upload-complete"]) == (201, "?1")
    assert web.get(f"{path}/movie").content == movie
    again = web.head(where, headers=VERSION)
    assert (again.headers["upload-offset"], again.headers["upload-complete"]) == ("700000", "?1")


def test_v08_an_upload_that_is_not_whole_cannot_be_complete(web: httpx.Client):
    path = a_video(web)
    where = begun(web, path, 10)
    assert is_problem(part(web, where, 0, b"12345", last=True), 400)
    assert is_problem(part(web, where, 5, b"123456", last=True), 413)
    assert web.get(f"{path}/movie").status_code == 404


def test_v09_addresses_are_unguessable_expire_and_can_be_given_up(
    farm: Farm, web: httpx.Client, data_dir: Path
):
    path = a_video(web)
    places = {begun(web, path, 5) for _ in range(5)}
    tokens = {where.rpartition("/")[2] for where in places}
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", token) for token in tokens)
    assert len(tokens) == 5
    one, two, *_ = tokens
    assert web.delete(f"uploads/{one}").status_code == 204
    assert is_problem(
        web.request("PATCH", f"uploads/{one}", headers={"Upload-Complete": "?0"}), 404
    )
    record = data_dir / "uploads" / f"{two}.json"
    record.write_text(re.sub(r'"created": [0-9.]+', '"created": 1000', record.read_text()))
    assert web.head(f"uploads/{two}").status_code == 404
    for odd in ("x", "..%2f..%2fvideos", "%00", "a" * 43):
        assert web.head(f"uploads/{odd}").status_code == 404


def test_v09_a_mismatch_says_the_right_offset(web: httpx.Client):
    path = a_video(web)
    where = begun(web, path, 10)
    part(web, where, 0, b"1234", last=False)
    answer = part(web, where, 9, b"5", last=False)
    assert (answer.status_code, answer.headers["upload-offset"]) == (409, "4")
    assert answer.json()["expected-offset"] == 4
    assert answer.headers["content-type"] == "application/problem+json"
    for field, value in (
        ("Upload-Offset", "x"),
        ("Upload-Complete", "yes"),
        ("Content-Type", "text/plain"),
    ):
        assert part(web, where, 4, b"5", last=False, **{field: value}).status_code in (400, 415)


@pytest.mark.parametrize("second", ["HEAD", "PATCH", "DELETE"])
def test_v09_a_second_request_ends_the_first(
    farm: Farm, web: httpx.Client, data_dir: Path, second: str
):
    path, movie = a_video(web), os.urandom(200_000)
    where = begun(web, path, len(movie))
    token = where.rpartition("/")[2]
    with socket.create_connection(("127.0.0.1", farm.port), timeout=60) as first:
        head = (
            f"PATCH /uploads/{token} HTTP/1.1\r\nHost: 127.0.0.1:{farm.port}\r\nUpload-Offset: 0\r\n"
            f"Upload-Complete: ?1\r\nContent-Type: application/partial-upload\r\nContent-Length: {len(movie)}\r\n\r\n"
        )
        first.sendall(head.encode() + movie[:50_000])
        if second == "DELETE":
            assert web.delete(where).status_code == 204
            assert web.head(where).status_code == 404
        else:
            wait_until(lambda: int(web.head(where).headers["upload-offset"]) >= 0)
            offset = int(web.head(where).headers["upload-offset"])
            if second == "PATCH":
                assert part(web, where, offset, movie[offset:], last=True).status_code == 201
                assert web.get(f"{path}/movie").content == movie
        ended = first.recv(1000)
        assert ended == b"" or ended.startswith(b"HTTP/1.1 4")


# ---- our client


def has_sent(task: UploadTask, goal: int) -> bool:
    return task.count_of_bytes_sent > goal


@pytest.mark.parametrize("kills", [0, 3])
async def test_v08_our_client_uploads_over_killed_servers(
    monitor: Monitor, data_dir: Path, tmp_path: Path, kills: int
):
    movie = os.urandom(12_000_000)
    (tmp_path / "film").write_bytes(movie)
    farm = Farm.start("--data-dir", str(data_dir), "--empty")
    try:
        with httpx.Client(base_url=farm.url, trust_env=False) as web:
            path = a_video(web)
        session = quick_session(monitor, speed_limit=8_000_000 if kills else 0)
        task = session.upload_task(f"{farm.url}{path[1:]}/movie", tmp_path / "film", method="PUT")
        for number in range(kills):
            await eventually(partial(has_sent, task, 2_000_000 * (number + 1)))
            farm.kill()
            farm = await asyncio.to_thread(
                Farm.start, "--data-dir", str(data_dir), "--empty", "--port", str(farm.port)
            )
        record = await task.wait()
        assert record.succeeded, record.error
        assert record.protocol == "ietf"
        with httpx.Client(base_url=farm.url, trust_env=False) as web:
            assert web.get(f"{path[1:]}/movie").content == movie
        sent = sum(transaction.request_body_bytes for transaction in record.metrics.transactions)
        assert sent <= len(movie) + kills * 8_000_000
    finally:
        farm.stop()


def test_v04_two_clients_at_once_leave_one_whole_movie(web: httpx.Client, farm: Farm):
    path = a_video(web)
    movies = [bytes([number]) * 2_000_000 for number in range(6)]

    def put(movie: bytes) -> None:
        assert httpx.put(
            f"{farm.url}{path[1:]}/movie", content=movie, trust_env=False
        ).status_code in (201, 204)

    threads = [threading.Thread(target=put, args=(movie,)) for movie in movies]
    for thread in threads:
        thread.start()
    for _ in range(20):
        answer = web.get(f"{path}/movie")
        assert answer.status_code == 404 or answer.content in movies
    for thread in threads:
        thread.join()
    assert web.get(f"{path}/movie").content in movies
