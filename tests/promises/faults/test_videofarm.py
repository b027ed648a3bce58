"""Faults of the VideoFarm server (L5, L7, M11, V16 to V18), and V1, V8, V11 against servers that
can resume.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.helpers.byte_server import reply
from tests.helpers.farm import Farm, wait_until
from tests.helpers.harness import ROOT, mounted
from tests.helpers.recorder import eventually
from tests.helpers.sessions import code_of, quick_session
from tests.helpers.upload_server import UploadServer, serving
from transfermon.engine.monitor import Monitor
from transfermon.videofarm import samples

pytestmark = pytest.mark.anyio
PICTURE = samples.PHOTOS[0].data


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "farm"


@pytest.fixture
def farm(data_dir: Path) -> Iterator[Farm]:
    with Farm.start("--data-dir", str(data_dir), "--empty") as running:
        yield running


def client(farm: Farm) -> httpx.Client:
    return httpx.Client(
        base_url=farm.url, timeout=60, trust_env=False, headers={"accept-encoding": "identity"}
    )


def a_video(web: httpx.Client, title: str = "Dunes") -> str:
    answer = web.post(
        "videos", data={"title": title}, files={"thumbnail": ("d.jpg", PICTURE, "image/jpeg")}
    )
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + head
        + chunk(b"IDAT", zlib.compress(bytes(100)))
        + chunk(b"IEND", b"")
    )


# ---- L5, L7


def test_fault_l5_the_server_is_on_loopback_and_answers_no_foreign_host_or_origin(farm: Farm):
    listening = Path("/proc/net/tcp").read_text().splitlines()[1:]
    own = [line.split()[1] for line in listening if line.split()[1].endswith(f":{farm.port:04X}")]
    assert {place.partition(":")[0] for place in own} == {"0100007F"}
    with client(farm) as web:
        assert web.get("videos").status_code == 200
        for headers in (
            {"Host": "evil.example"},
            {"Host": f"evil.example:{farm.port}"},
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
        ):
            for method in ("GET", "POST", "PUT", "OPTIONS", "DELETE"):
                assert web.request(method, "videos", headers=headers).status_code == 403, (
                    method,
                    headers,
                )


@pytest.mark.parametrize(
    "path",
    [
        "/videos/../x",
        "/videos/%2e%2e/videos.json",
        "/files/..%2fvideos.json",
        "/files/%2e%2e%2fvideos.json",
        "/files/.hidden",
        "/files/a%00b",
        "/files/link",
        "/uploads/..%2f..%2fvideos",
        "/photos/..%2fvideos.json",
        "//etc/passwd",
        "/files/..\\videos.json",
    ],
)
def test_fault_l7_no_address_leads_out_of_the_store(
    farm: Farm, data_dir: Path, tmp_path: Path, path: str
):
    (tmp_path / "outside").write_text("secret")
    (data_dir / "files").mkdir(exist_ok=True)
    link = data_dir / "files" / "link"
    if not link.is_symlink():
        link.symlink_to(tmp_path / "outside")
    with socket.create_connection(("127.0.0.1", farm.port), timeout=60) as connection:
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{farm.port}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode("latin-1"))
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.split(b" ")[1] == b"404"
    assert b"secret" not in answer


# ---- M11


@pytest.mark.parametrize(
    ("picture", "status"),
    [
        (b"", 422),
        (b"GIF89a no", 422),
        (b"<svg/>", 422),
        (png(60000, 60000), 422),
        (png(0, 5), 422),
        (png(10, 10)[:20], 422),
        (b"\xff\xd8\xff\xe0" + bytes(50), 422),
        (png(10, 10) + bytes(6 << 20), 413),
    ],
    ids=["empty", "gif", "svg", "bomb", "no width", "cut", "broken jpeg", "large"],
)
def test_fault_m11_a_thumbnail_that_is_none_changes_nothing(
    farm: Farm, data_dir: Path, picture: bytes, status: int
):
    before = sorted(data_dir.rglob("*"))
    with client(farm) as web:
        answer = web.post(
            "videos", data={"title": "A"}, files={"thumbnail": ("a.png", picture, "image/png")}
        )
        assert answer.status_code == status
        assert web.get("videos").json() == []
    assert sorted(data_dir.rglob("*")) == before


# ---- V16 to V18


@pytest.mark.parametrize("moment", ["POST", "PUT", "GET"])
def test_fault_v16_a_killed_server_lists_nothing_that_is_not_whole(data_dir: Path, moment: str):
    farm = Farm.start("--data-dir", str(data_dir), "--empty")
    with client(farm) as web:
        path = a_video(web)
        web.put(f"{path}/movie", content=b"first" * 100_000)
    port = farm.port
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        target = {"POST": "/videos", "PUT": f"{path}/movie", "GET": f"{path}/movie"}[moment]
        kind = "Content-Type: multipart/form-data; boundary=x\r\n" if moment == "POST" else ""
        length = "" if moment == "GET" else f"{kind}Content-Length: 5000000\r\n"
        connection.sendall(
            f"{moment} {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{length}\r\n".encode()
        )
        if moment == "GET":
            assert connection.recv(1000)
        else:
            connection.sendall(bytes(2_000_000))
        if moment == "PUT":
            wait_until(
                lambda: any(
                    file.stat().st_size > 1_000_000
                    for file in (data_dir / "uploads").glob("*.part")
                )
            )
        farm.kill()
    with Farm.start("--data-dir", str(data_dir), "--empty") as again, client(again) as web:
        (video,) = web.get("videos").json()
        assert web.get(f"{path}/movie").content == b"first" * 100_000
        assert web.get(f"{path}/thumbnail").content == PICTURE
        assert video["title"] == "Dunes"


def test_fault_v17_two_puts_and_reads_meanwhile_see_whole_movies_only(farm: Farm):
    movies = [bytes([number]) * 1_500_000 for number in range(4)]
    with client(farm) as web:
        path = a_video(web)[1:]
        web.put(f"{path}/movie", content=movies[0])

        def put(movie: bytes) -> None:
            with client(farm) as own:
                assert own.put(f"{path}/movie", content=movie).status_code == 204

        threads = [threading.Thread(target=put, args=(movie,)) for movie in movies]
        for thread in threads:
            thread.start()
        for _ in range(15):
            assert web.get(f"{path}/movie").content in movies
        for thread in threads:
            thread.join()
        assert web.get(f"{path}/movie").content in movies


def test_fault_v18_a_full_disk_is_told_and_leaves_the_store_as_it_was(tmp_path: Path):
    if not ROOT:
        pytest.skip("no small file system can be mounted by this user")
    try:
        with (
            mounted(tmp_path / "disk", "tmpfs", "size=6m") as disk,
            Farm.start("--data-dir", str(disk / "farm"), "--empty") as farm,
            client(farm) as web,
        ):
            path = a_video(web)
            assert web.put(f"{path}/movie", content=b"old").status_code == 201
            answer = web.put(f"{path}/movie", content=bytes(20_000_000))
            assert answer.status_code == 507
            assert "disk" in answer.json()["detail"]
            assert web.get(f"{path}/movie").content == b"old"
            assert web.put(f"{path}/movie", content=b"new").status_code == 204
            assert len(web.get("videos").json()) == 1
    except RuntimeError as exc:
        pytest.skip(f"no small file system can be mounted here: {exc}")


# ---- V1, V8, V11 with servers that can resume


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "film").write_bytes(os.urandom(3_000_000))
    return tmp_path / "film"


@pytest.mark.parametrize("protocol", ["ietf", "tus"])
async def test_fault_v1_a_cut_upload_goes_on_at_the_server_s_offset(
    monitor: Monitor, source: Path, protocol: str
):
    server = UploadServer(cuts=[1_800_000])
    with serving(server) as listener:
        record = (
            await quick_session(monitor)
            .upload_task(listener.url("/in"), source, method="PUT", protocol=protocol)
            .wait()
        )
    assert record.succeeded
    assert server.stored == [source.read_bytes()]
    assert server.received == 3_000_000


@pytest.mark.parametrize(
    ("answers", "stored"),
    [
        ({"PATCH": [reply(409, {"Tus-Resumable": "1.0.0"})]}, True),
        ({"PATCH": [reply(423)], "HEAD": [reply(423)]}, True),
        ({"PATCH": [reply(460)]}, False),
        ({"PATCH": [reply(410)]}, True),
        ({"HEAD": [reply(404)], "PATCH": [reply(500)]}, True),
        ({"HEAD": [reply(200, {"Upload-Offset": "lots"})], "PATCH": [reply(500)]}, False),
        ({"HEAD": [reply(200, {"Upload-Offset": "99999999"})], "PATCH": [reply(500)]}, False),
    ],
    ids=["409", "423", "460", "410", "404", "no number", "too far"],
)
async def test_fault_v8_each_answer_of_a_tus_server_has_its_consequence(
    monitor: Monitor, source: Path, answers: dict[str, list[bytes]], stored: bool
):
    server = UploadServer(answers={method: list(found) for method, found in answers.items()})
    with serving(server) as listener:
        task = quick_session(monitor).upload_task(
            listener.url("/files"), source, protocol="tus", maximum_attempts=5
        )
        record = await task.wait()
    assert record.succeeded is stored
    assert server.stored == ([source.read_bytes()] if stored else [])
    if not stored:
        assert record.error is not None
        assert record.error.message


async def test_fault_v11_a_cancel_takes_the_server_s_part_away(monitor: Monitor, source: Path):
    server = UploadServer()
    with serving(server) as listener:
        session = quick_session(monitor, speed_limit=2_000_000)
        task = session.upload_task(listener.url("/in"), source, method="PUT")
        await eventually(lambda: task.count_of_bytes_sent > 200_000)
        task.cancel()
        assert code_of(await task.wait()) == -999
        await eventually(lambda: server.uploads == {})
