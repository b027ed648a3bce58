from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from tests.helpers.farm import Farm, expected_bytes, expected_sha256, wait_until

QUICK = httpx.Timeout(20)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("farm")


@pytest.fixture(scope="module")
def farm(data_dir: Path) -> Iterator[Farm]:
    with Farm.start("--data-dir", str(data_dir), "--fault-queries") as running:
        yield running


@pytest.fixture
def web(farm: Farm) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=farm.url, timeout=QUICK, headers={"accept-encoding": "identity"}
    ) as client:
        yield client


def raw(farm: Farm, request: str) -> bytes:
    """All that the server sends until it closes, for a request given byte by byte."""
    with socket.create_connection(("127.0.0.1", farm.port), timeout=60) as connection:
        connection.sendall(request.encode("latin-1"))
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def is_problem(response: httpx.Response, status: int) -> bool:
    body = response.json()
    return (
        response.status_code == body["status"] == status
        and response.headers["content-type"] == "application/problem+json"
        and bool(body["title"])
        and bool(body["detail"])
    )


# REST


def test_v01_the_list_has_the_eight_keys_and_absolute_addresses(web, farm):
    videos = web.get("videos").json()
    assert len(videos) >= 8
    for video in videos:
        assert set(video) == {
            "id",
            "title",
            "description",
            "url",
            "image",
            "movie",
            "duration",
            "created",
        }
        assert video["url"] == f"{farm.url}videos/{video['id']}"
        assert datetime.fromisoformat(video["created"]).tzinfo is not None
        assert video["created"][-5] == "."
        assert video["duration"] > 0
        assert web.get(video["url"]).json() == video


def test_addresses_are_on_the_host_of_the_request(web, farm):
    host = f"localhost:{farm.port}"
    video = web.get("videos/1", headers={"host": host}).json()
    assert {video[key].split("/")[2] for key in ("url", "image", "movie")} == {host}


@pytest.mark.parametrize(
    "path",
    [
        "nothing",
        "videos/",
        "videos/99999",
        "videos/0",
        "videos/x",
        "videos/" + "9" * 5000,
        "videos/99999/movie",
        "videos/99999/thumbnail",
        "photos/99",
        "files/nothing",
        "files/.new-x",
        "files/..%2fvideos.json",
        "files/%2e%2e",
        "files/a%00b",
        "files/%2fetc%2fpasswd",
        "bytes/-1",
        "bytes/x",
        "bytes/" + "9" * 17,
    ],
)
def test_v03_what_is_not_there_is_a_404_with_a_problem_body(web, path):
    assert is_problem(web.get(path), 404)


def test_dots_in_a_raw_path_lead_nowhere(farm):
    answer = raw(
        farm, "GET /files/../videos.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 404 ")


def test_a_link_in_the_folder_of_files_is_not_followed(web, data_dir):
    (data_dir / "files" / "link.txt").symlink_to(data_dir / "videos.json")
    assert is_problem(web.get("files/link.txt"), 404)
    assert "link.txt" not in [file["name"] for file in web.get("files").json()]


def test_v03_a_video_without_a_movie_answers_404_for_the_movie_only(tmp_path):
    with Farm.start("--data-dir", str(tmp_path)) as farm:
        assert farm.stop() == 0
    rows = json.loads((tmp_path / "videos.json").read_text())
    (tmp_path / "videos.json").write_text(json.dumps([{**rows[0], "movie": None}]))
    with Farm.start("--data-dir", str(tmp_path)) as farm:
        assert is_problem(httpx.get(farm.url + "videos/1/movie"), 404)
        assert httpx.get(farm.url + "videos/1").status_code == 200


def test_v05_the_movie_has_everything_a_resume_needs(web):
    first, again = web.get("videos/2/movie"), web.head("videos/2/movie")
    assert first.status_code == again.status_code == 200
    assert first.content[:4] + first.content[8:12] == b"RIFFAVI "
    assert (
        len(first.content)
        == int(first.headers["content-length"])
        == int(again.headers["content-length"])
    )
    assert again.content == b""
    for response in (first, again):
        assert response.headers["accept-ranges"] == "bytes"
        assert response.headers["etag"].startswith('"')
        assert response.headers["last-modified"].endswith(" GMT")
        assert response.headers["content-type"] == "video/x-msvideo"
        assert (
            response.headers["content-disposition"]
            == 'attachment; filename="Morning in the valley.avi"'
        )
    assert first.headers["etag"] == again.headers["etag"]


def test_v06_ranges_put_together_are_the_whole_movie(web):
    whole = web.get("videos/2/movie")
    size, cut = len(whole.content), 1_234_567
    if_range = {"if-range": whole.headers["etag"]}
    head = web.get("videos/2/movie", headers={"range": f"bytes=0-{cut - 1}", **if_range})
    tail = web.get("videos/2/movie", headers={"range": f"bytes={cut}-", **if_range})
    assert (head.status_code, tail.status_code) == (206, 206)
    assert head.headers["content-range"] == f"bytes 0-{cut - 1}/{size}"
    assert tail.headers["content-range"] == f"bytes {cut}-{size - 1}/{size}"
    assert int(tail.headers["content-length"]) == size - cut
    assert head.content + tail.content == whole.content


def test_v06_a_false_if_range_gets_the_whole_movie(web):
    response = web.get("videos/2/movie", headers={"range": "bytes=100-", "if-range": '"another"'})
    assert response.status_code == 200
    assert "content-range" not in response.headers


def test_v06_a_range_after_the_end_is_a_416_with_the_whole_length(web):
    size = web.head("videos/2/movie").headers["content-length"]
    response = web.get("videos/2/movie", headers={"range": f"bytes={size}-"})
    assert (response.status_code, response.headers["content-range"]) == (416, f"bytes */{size}")


def test_v07_the_thumbnail_is_a_picture(web):
    response = web.get("videos/3/thumbnail")
    assert response.headers["content-type"] == "image/jpeg"
    assert response.headers["content-disposition"] == 'inline; filename="Night watch.jpg"'
    assert response.content.startswith(b"\xff\xd8\xff")
    assert response.content.endswith(b"\xff\xd9")


def test_the_photos_are_pictures_of_the_size_they_say(web):
    photos = web.get("photos").json()
    assert len(photos) == 6
    assert set(photos[0]) == {"id", "title", "url", "image", "width", "height"}
    bodies = [web.get(photo["url"]).content for photo in photos]
    assert len(set(bodies)) == 6
    assert all(body.startswith(b"\xff\xd8\xff") for body in bodies)
    assert {(photo["width"], photo["height"]) for photo in photos} == {(1200, 800)}


def test_every_listed_file_can_be_fetched(web):
    files = web.get("files").json()
    assert {"readme.txt", "empty.txt", "sample.bin", "harvest.csv"} <= {
        file["name"] for file in files
    }
    for file in files:
        assert len(web.get(file["url"]).content) == file["size"]


def test_an_empty_file_is_an_empty_answer_with_a_length(web):
    response = web.get("files/empty.txt")
    assert (response.status_code, response.headers["content-length"], response.content) == (
        200,
        "0",
        b"",
    )


def test_the_bytes_are_those_that_were_promised(web):
    size = 3_333_333
    assert hashlib.sha256(web.get(f"bytes/{size}").content).hexdigest() == expected_sha256(size)
    tail = web.get(f"bytes/{size}", headers={"range": "bytes=2000000-"})
    assert tail.status_code == 206
    assert tail.content == b"".join(expected_bytes(size, start=2_000_000))


def test_a_range_at_the_far_end_of_very_many_bytes_is_as_quick_as_any(web):
    size = 1 << 50
    response = web.get(f"bytes/{size}", headers={"range": "bytes=-100"})
    assert response.status_code == 206
    assert response.content == b"".join(expected_bytes(size, start=size - 100))


def test_the_index_is_a_page_that_loads_nothing_from_elsewhere(web):
    response = web.get("")
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "Dusk at the farm" in response.text


def test_what_is_unchanged_is_not_sent_again(web):
    etag = web.get("videos/1/thumbnail").headers["etag"]
    response = web.get("videos/1/thumbnail", headers={"if-none-match": etag})
    assert (response.status_code, response.content) == (304, b"")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "POST"])
def test_nothing_can_be_written_to_what_is_only_read(web, method):
    response = web.request(method, "photos/1")
    assert is_problem(response, 405)
    assert "GET" in response.headers["allow"]


# New videos


def test_a_published_video_is_what_came_since(web):
    before = web.get("videos").json()
    newest = before[-1]["created"]
    assert web.get("videos", params={"since": newest}).json() == []
    response = web.post("demo/publish")
    assert response.status_code == 201
    assert web.get("videos", params={"since": newest}).json() == [response.json()]
    assert web.get(response.headers["location"]).json() == response.json()
    assert len(web.get("videos").json()) == len(before) + 1


@pytest.mark.parametrize("since", ["", "yesterday", "2024-05-01", "2024-05-01T06:00:00"])
def test_a_time_that_is_none_is_a_bad_request(web, since):
    assert is_problem(web.get("videos", params={"since": since}), 400)


def test_new_videos_come_by_themselves():
    with Farm.start("--new-video-every", "0.1") as farm:
        wait_until(lambda: len(httpx.get(farm.url + "videos").json()) >= 10)


# Strangers


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil:1", "[::2]", "a b", "1.2.3.4"],
)
def test_l5_a_foreign_host_is_refused(web, host):
    assert is_problem(web.get("videos", headers={"host": host}), 403)


@pytest.mark.parametrize("host", ["127.0.0.1", "LOCALHOST:1234", "[::1]:80", "127.0.0.1:1"])
def test_a_loopback_name_is_served(web, host):
    assert web.get("videos", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["null", "http://evil.example", "http://127.0.0.1:1", "https://127.0.0.1"]
)
@pytest.mark.parametrize(("method", "path"), [("GET", "videos"), ("POST", "demo/publish")])
def test_l5_a_foreign_origin_is_refused(web, method, path, origin):
    assert is_problem(web.request(method, path, headers={"origin": origin}), 403)


def test_its_own_origin_is_served(web, farm):
    assert web.get("videos", headers={"origin": farm.url.rstrip("/")}).status_code == 200


# Faults


def test_a_body_that_is_cut_ends_after_exactly_so_many_bytes(farm):
    answer = raw(farm, "GET /bytes/900000?fault=cut=300001 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-length: 900000" in head
    assert body == b"".join(expected_bytes(300_001))


def test_a_cut_beyond_the_end_cuts_nothing(web):
    assert len(web.get("bytes/1000", params={"fault": "cut=1000"}).content) == 1000


def test_a_reset_is_a_reset(farm):
    with socket.create_connection(("127.0.0.1", farm.port), timeout=60) as connection:
        connection.sendall(
            b"GET /bytes/900000?fault=reset=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        with pytest.raises(ConnectionResetError):
            list(iter(lambda: connection.recv(65536), b""))


def test_a_short_body_lacks_its_last_bytes(farm):
    answer = raw(farm, "GET /bytes/5000?fault=short=7 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-length: 5000" in head
    assert body == b"".join(expected_bytes(4993))


def test_a_stalled_body_stops_and_the_connection_stays(farm):
    with socket.create_connection(("127.0.0.1", farm.port), timeout=60) as connection:
        connection.sendall(b"GET /bytes/5000?fault=stall=100 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = b""
        while b"\r\n\r\n" not in received or len(received.partition(b"\r\n\r\n")[2]) < 100:
            received += connection.recv(65536)
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_a_counted_fault_is_over_after_its_count(web):
    query = {"fault": "status=503x2,retry-after=7"}
    responses = [web.get("bytes/11", params=query) for _ in range(3)]
    assert [response.status_code for response in responses] == [503, 503, 200]
    assert responses[0].headers["retry-after"] == "7"
    assert is_problem(responses[0], 503)


def test_without_ranges_the_whole_comes_and_nothing_is_promised(web):
    response = web.get("bytes/100", params={"fault": "no-range"}, headers={"range": "bytes=50-"})
    assert (response.status_code, len(response.content)) == (200, 100)
    assert "accept-ranges" not in response.headers


def test_a_changing_resource_has_other_bytes_and_another_tag_each_time(web):
    original = b"".join(expected_bytes(1000))
    responses = [web.get("bytes/1000", params={"fault": "etag=change"}) for _ in range(3)]
    assert len({response.headers["etag"] for response in responses}) == 3
    assert len({response.headers["last-modified"] for response in responses}) == 3
    for version, response in enumerate(responses):
        assert response.content == bytes((byte + version) % 256 for byte in original)


def test_weak_and_missing_validators(web):
    weak = web.get("bytes/10", params={"fault": "etag=weak"})
    none = web.get("bytes/10", params={"fault": "etag=none,modified=none"})
    assert weak.headers["etag"].startswith('W/"')
    assert {"etag", "last-modified"}.isdisjoint(none.headers)


def test_compression_that_nobody_asked_for(farm):
    answer = raw(
        farm,
        "GET /videos/1/thumbnail?fault=gzip HTTP/1.1\r\nHost: localhost\r\n"
        "Accept-Encoding: identity\r\nConnection: close\r\n\r\n",
    )
    assert b"content-encoding: gzip" in answer
    assert b"content-length" not in answer.partition(b"\r\n\r\n")[0]
    whole = httpx.get(f"{farm.url}videos/1/thumbnail").content
    assert httpx.get(f"{farm.url}videos/1/thumbnail?fault=gzip").content == whole
    with httpx.stream("GET", f"{farm.url}videos/1/thumbnail?fault=gzip") as response:
        assert gzip.decompress(b"".join(response.iter_raw())) == whole


def test_without_a_length_the_body_comes_in_chunks(web):
    response = web.get("bytes/700000", params={"fault": "no-length"})
    assert response.headers["transfer-encoding"] == "chunked"
    assert response.content == b"".join(expected_bytes(700_000))


def test_latency_and_rate_make_it_slow_but_not_wrong(web):
    began = time.monotonic()
    response = web.get("bytes/200000", params={"fault": "latency=0.2,rate=500k"})
    assert response.content == b"".join(expected_bytes(200_000))
    assert time.monotonic() - began > 0.5


def test_a_slow_body_costs_the_server_next_to_nothing(web, farm):
    def used() -> float:
        fields = Path(f"/proc/{farm.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before = used()
    assert len(web.get("bytes/500000", params={"fault": "rate=500k"}).content) == 500_000
    assert used() - before < 0.3


def test_a_wrong_fault_in_the_address_is_a_bad_request(web):
    response = web.get("bytes/1", params={"fault": "rate=fast"})
    assert is_problem(response, 400)
    assert "rate=fast" in response.json()["detail"]


def test_faults_of_the_command_line_hold_where_they_should_and_the_address_is_not_asked():
    with Farm.start(
        "--fault", "/videos/2/movie:status=503x1", "--fault", "/files:no-range"
    ) as farm:
        movie = farm.url + "videos/2/movie"
        assert [httpx.head(movie).status_code for _ in range(2)] == [503, 200]
        assert "accept-ranges" not in httpx.head(farm.url + "files/sample.bin").headers
        assert httpx.head(farm.url + "bytes/10?fault=status=500").status_code == 200


# Load and life


@pytest.mark.anyio
@pytest.mark.slow
async def test_two_hundred_clients_at_once_all_get_their_bytes(farm):
    size = 1_500_000
    expected = expected_sha256(size)

    async def fetch(client: httpx.AsyncClient, path: str) -> str:
        digest = hashlib.sha256()
        async with client.stream("GET", path) as response:
            async for piece in response.aiter_raw():
                digest.update(piece)
        return digest.hexdigest()

    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(base_url=farm.url, timeout=100, limits=limits) as client:
        movie = await fetch(client, "videos/2/movie")
        paths = [f"bytes/{size}"] * 180 + ["videos/2/movie"] * 20
        digests = await asyncio.gather(*(fetch(client, path) for path in paths))
    assert digests == [expected] * 180 + [movie] * 20


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_with_clients_in_the_middle(number, tmp_path):
    command = [
        sys.executable,
        "-m",
        "transfermon.videofarm.server",
        "--port",
        "0",
        "--fault",
        "/bytes:rate=100k",
    ]
    process = subprocess.Popen(
        [*command, "--fault", "/files:latency=60", "--fault", "/photos:stall=10"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert process.stdout is not None
    port = int(process.stdout.readline().rsplit(":", 1)[1].rstrip("/\n"))
    with contextlib.ExitStack() as stack:
        for path in ("/bytes/9999999", "/photos/1"):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert client.recv(100)
        waiting = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
        waiting.sendall(b"GET /files HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert list(tmp_path.iterdir())
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_it_ends_with_the_process_that_started_it(tmp_path):
    script = (
        "import subprocess, sys, time\n"
        "server = [sys.executable, '-m', 'transfermon.videofarm.server', '--port', '0', '--exit-with-parent']\n"
        "subprocess.Popen(server)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    port = int(parent.stdout.readline().rsplit(":", 1)[1].rstrip("/\n"))
    assert httpx.get(f"http://127.0.0.1:{port}/videos").status_code == 200
    parent.kill()
    parent.wait()
    parent.stdout.read()  # the pipe ends when the server has closed its side
    parent.stdout.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=60)


def test_the_end_of_the_thread_that_started_it_does_not_end_it():
    script = (
        "import subprocess, sys, threading\n"
        "server = [sys.executable, '-m', 'transfermon.videofarm.server', '--port', '0', '--exit-with-parent']\n"
        "started = []\n"
        "def start():\n"
        "    process = subprocess.Popen(server, stdout=subprocess.PIPE, text=True)\n"
        "    started.append((process, process.stdout.readline()))\n"
        "thread = threading.Thread(target=start); thread.start(); thread.join()\n"
        "print(started[0][1].strip(), flush=True)\n"
        "sys.stdin.read()\n"
        "started[0][0].terminate()\n"
        "sys.exit(started[0][0].wait())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().removeprefix("VideoFarm at ").strip()
        assert all(httpx.get(url + "videos").status_code == 200 for _ in range(3))
        parent.communicate(timeout=60)
    assert parent.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fault", "slow"], "there is no fault 'slow'"),
        (["--port", "99999"], "There is no port 99999."),
        (
            ["--port", "0", "--data-dir", "/proc/nothing"],
            "The data folder /proc/nothing cannot be used",
        ),
        (["--port", "0", "--host", "192.0.2.1"], "Cannot listen on 192.0.2.1"),
        (["--port", "0", "--new-video-every", "-1"], "--new-video-every"),
    ],
)
def test_what_cannot_work_is_one_sentence_and_code_2(arguments, words):
    done = subprocess.run(
        [sys.executable, "-m", "transfermon.videofarm.server", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_taken_port_is_one_sentence_and_code_2(farm):
    done = subprocess.run(
        [sys.executable, "-m", "transfermon.videofarm.server", "--port", str(farm.port)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert f"port {farm.port}" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_same_port_and_folder_can_be_used_again_and_a_resume_goes_on(tmp_path):
    with Farm.start("--data-dir", str(tmp_path)) as farm:
        first = httpx.get(farm.url + "videos/2/movie", headers={"range": "bytes=0-99"})
        farm.kill()
        with Farm.start("--data-dir", str(tmp_path), "--port", str(farm.port)) as again:
            headers = {"range": "bytes=100-199", "if-range": first.headers["etag"]}
            assert httpx.get(again.url + "videos/2/movie", headers=headers).status_code == 206


def test_the_server_needs_nothing_else_of_transfermon_but_its_records_and_no_qt():
    script = (
        "import sys, transfermon.videofarm.server\n"
        "ours = [n for n in sys.modules if n.startswith('transfermon.') and not n.startswith('transfermon.videofarm')]\n"
        "print(ours, [n for n in sys.modules if n.startswith(('PySide6', 'httpx', 'qasync'))])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "['transfermon.model', 'transfermon.model.record'] []\n"


def test_the_help_explains_the_faults():
    done = subprocess.run(
        [sys.executable, "-m", "transfermon.videofarm.server", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "status=CODE" in done.stdout
    assert "[/PATH:] FAULT" in done.stdout
