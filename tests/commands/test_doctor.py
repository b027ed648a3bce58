"""`transfermon doctor`: the prognosis for an address is what a download would get; looking changes
nothing.
"""

from __future__ import annotations

import gzip
import json
import os
import random

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, chunked, reply
from transfermon.commands.main import main
from transfermon.system.lock import EngineLock

BODY = bytes(range(256)) * 1024  # 256 KiB, four times the overlap
CODED = gzip.compress(random.Random(1).randbytes(len(BODY)), mtime=0)
GZIP = {"Content-Encoding": "gzip"}
OLD = "Mon, 02 Nov 2026 10:00:00 GMT"
SENT = "Fri, 27 Nov 2026 10:00:00 GMT"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TRANSFERMON_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("NO_PROXY", "*")

    def one(*argv: str) -> tuple[int, str, str]:
        code = main(["doctor", *argv])
        out, err = capsys.readouterr()
        return code, out, err

    return one


def whole(headers: dict[str, str], body: bytes = BODY):
    """A server that knows no ranges."""

    def handler(conn: Conn, request: Request) -> None:
        conn.send(reply(200, headers, body))

    return handler


def plainly(headers: dict[str, str]):
    """A server that knows no ranges and does not know how long its file is."""

    def handler(conn: Conn, request: Request) -> None:
        conn.send(reply(200, {"Transfer-Encoding": "chunked", **headers}) + chunked([BODY]))

    return handler


def ranged(form: str):
    """A server with a form of Content-Range of its own."""

    def handler(conn: Conn, request: Request) -> None:
        if not request.header("Range"):
            conn.send(reply(200, {"ETag": '"v1"'}, BODY))
            return
        first = int(request.header("Range")[6:].partition("-")[0])
        where = {"Content-Range": form.format(first, len(BODY) - 1, len(BODY))} if form else {}
        conn.send(reply(206, {"ETag": '"v1"', **where}, BODY[first:]))

    return handler


CASES = [
    (Resource(BODY, etag='"v1"'), 0, "yes", ""),
    (
        Resource(BODY, etag='W/"v1"'),
        0,
        "with care",
        "No strong validator: the last 64 KiB are fetched again",
    ),
    (
        Resource(BODY, last_modified=OLD, headers={"Date": SENT}),
        0,
        "with care",
        "No strong validator",
    ),
    (Resource(b"ab", etag='"v1"'), 0, "yes", ""),
    (Resource(b"a", etag='"v1"'), 1, "no", "It is so small that it comes in one piece."),
    (whole({"ETag": '"v1"'}), 1, "no", "The server sent the whole file again."),
    (
        whole({"ETag": '"v1"', "Accept-Ranges": "none"}),
        1,
        "no",
        "The server does not support ranges.",
    ),
    (whole({}), 1, "no", "The server sent the whole file again."),
    (
        Resource(BODY),
        0,
        "with care",
        "The server sends neither an entity tag nor a date. The start and the end of what",
    ),
    (plainly({}), 1, "no", "The server sends neither an entity tag nor a date."),  # nor a length
    (ranged("bytes={}-{}/{}"), 0, "yes", ""),
    (ranged("items {}-{}/{}"), 1, "no", "The server sent another part of the file than asked for."),
    (ranged(""), 1, "no", "The server did not say which part of the file it sends."),
    (
        whole({"ETag": '"v1"', "Content-Encoding": "gzip"}, CODED),
        1,
        "no",
        "The server compresses its answer.",
    ),
    # a .gz file
    (
        Resource(CODED, etag='"v1"', headers={**GZIP, "Content-Type": "application/gzip"}),
        0,
        "yes",
        "",
    ),
    (Resource(BODY, etag='"v1"', headers=GZIP), 0, "yes", ""),  # a label without a reason
    (Resource(BODY, etag='"v1"', headers={"Content-Encoding": "aws-chunked"}), 0, "yes", ""),
]


@pytest.mark.parametrize(("handler", "code", "verdict", "reason"), CASES)
def test_the_prognosis_for_an_address(run, tmp_path, handler, code, verdict, reason):
    with ByteServer(handler) as server:
        found_code, out, err = run(server.url("/a.bin"), "--json")
        found = json.loads(out)
        assert (found_code, err) == (code, "")
        assert found["resumes"] == verdict
        assert reason in found["reason"]
        assert found["url"] == server.url("/a.bin")
        _, words, _ = run(server.url("/a.bin"))
        assert words.splitlines()[0].split(maxsplit=1)[1].startswith(verdict)
        assert "Entity tag" in words
    assert not (tmp_path / "state").exists()


def test_the_question_for_the_rest_is_asked_at_the_end_of_the_redirects_and_carries_the_headers(
    run,
):
    def handler(conn: Conn, request: Request) -> None:
        if request.target == "/old":
            conn.send(reply(302, {"Location": "/new"}))
        elif request.header("X-Key") != "k":
            conn.send(reply(403))
        else:
            Resource(BODY, etag='"v1"')(conn, request)

    with ByteServer(handler) as server:
        code, out, _ = run(server.url("/old"), "-H", "X-Key: k", "--json")
        assert (code, json.loads(out)["resumes"], json.loads(out)["redirects"]) == (0, "yes", 1)
        assert [request.target for request in server.requests] == ["/old", "/new", "/new"]
        assert server.requests[-1].header("Range") == "bytes=65536-"
        assert server.requests[-1].header("If-Range") == '"v1"'


@pytest.mark.parametrize(("status", "words"), [(404, "404"), (401, "401"), (503, "503")])
def test_an_address_that_answers_with_an_error_is_one_sentence_and_exit_code_1(run, status, words):
    with ByteServer(lambda conn, request: conn.send(reply(status))) as server:
        code, out, err = run(server.url("/a"))
    assert (code, out) == (1, "")
    assert err.startswith("transfermon: ")
    assert words in err
    assert len(err.splitlines()) == 1


def test_an_address_that_cannot_be_is_exit_code_2_and_one_that_cannot_be_reached_is_1(run):
    assert run("ftp://example.org/a")[0] == 2
    assert run("http://a/", "-H", "broken")[0] == 2
    code, _, err = run("http://127.0.0.1:1/a")
    assert code == 1
    assert "Traceback" not in err


def test_alone_it_says_how_the_installation_stands_and_touches_nothing(run, tmp_path):
    code, out, err = run("--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert found["Engine"] == "none runs"
    assert found["State folder"].startswith(str(tmp_path / "state"))
    assert "not made yet" in found["State folder"]
    assert found["Tray"] == "none: closing the window minimises it"  # of the offscreen platform
    for name in (
        "transfermon",
        "Python",
        "SQLite",
        "PySide6-Essentials",
        "qasync",
        "httpx",
        "Open files",
    ):
        assert found[name]
    assert not (tmp_path / "state").exists()
    assert "Engine" in run()[1]


def test_a_damaged_settings_file_is_named_and_left_where_it_is(run, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "settings.json").write_text("{")
    assert "cannot be read" in json.loads(run("--json")[1])["Settings"]
    assert os.listdir(tmp_path / "state") == ["settings.json"]


def test_an_owner_that_does_not_answer_is_named(run, tmp_path):
    (tmp_path / "state").mkdir()
    lock = EngineLock.acquire(str(tmp_path / "state"), "a sleeping engine")
    try:
        assert json.loads(run("--json")[1])["Engine"].startswith(
            f"process {os.getpid()} holds the lock"
        )
    finally:
        lock.release()


def test_a_path_that_is_too_long_for_curl_comes_with_the_way_round(run, tmp_path):
    deep = tmp_path / ("d" * 100)
    assert (
        f"--unix-socket {'control.sock'}"
        in json.loads(run("--state-dir", str(deep), "--json")[1])["Control socket"]
    )
