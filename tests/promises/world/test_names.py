"""Names as servers send them, and bodies that are not what was asked for, through whole runs of the
command.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, reply
from tests.helpers.owners import Place

# a command for each name; the rules themselves are in test_naming and test_disposition
pytestmark = pytest.mark.slow

PAGE = b"<!doctype html><title>Sign in</title>"
MOVIE = b"\0\0\0\x18ftypmp42" + bytes(2000)
ANSWERS: dict[str, tuple[dict[str, str], bytes]] = {
    "/1": ({"Content-Disposition": 'attachment; filename="=?UTF-8?B?SsOkbm5lci5wZGY=?="'}, b"hi"),
    "/2": ({"Content-Disposition": 'attachment; filename="mein%20bericht.pdf"'}, b"hi"),
    "/3": ({"Content-Disposition": "attachment; filename*=GBK''%B8%B1%B1%BE.doc"}, b"hi"),
    "/4": ({"Content-Disposition": 'attachment; filename="..%2F..%2Fevil%00.txt"'}, b"hi"),
    "/media/EhJ6U?format=jpg": ({"Content-Type": "image/jpeg"}, b"hi"),
    "/report.pdf;jsessionid=1A2B": ({"Content-Type": "application/pdf"}, b"hi"),
    "/docs/": ({"Content-Type": "text/html"}, b"hi"),
    "/movie.mp4": ({"Content-Type": "text/html; charset=utf-8"}, PAGE),
    "/page/movie.mp4": ({"Content-Type": "text/html; charset=utf-8"}, PAGE),
    "/true/movie.mp4": ({"Content-Type": "text/html"}, MOVIE),
    "/coded/movie.mp4": (
        {"Content-Type": "text/html", "Content-Encoding": "gzip"},
        gzip.compress(PAGE),
    ),
    "/empty/movie.mp4": ({"Content-Type": "application/xhtml+xml"}, b""),
    "/named": (
        {"Content-Type": "text/html", "Content-Disposition": 'attachment; filename="a.pdf"'},
        PAGE,
    ),
    "/get.php?file=movie.mp4": ({"Content-Type": "text/html"}, PAGE),
}


def answer(conn: Conn, request: Request) -> None:
    fields, body = ANSWERS[request.target]
    conn.send(reply(200, fields, body))


@pytest.fixture
def server() -> Iterator[ByteServer]:
    with ByteServer(answer) as found:
        yield found


@pytest.fixture
def get(place: Place, server: ByteServer) -> Callable[..., tuple[int, str, str]]:
    def run(path: str, *words: str) -> tuple[int, str, str]:
        folder = [] if "-o" in words else ["-d", str(place.out)]
        return place.run("get", *folder, *words, server.url(path))

    return run


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/1", "Jänner.pdf"),
        ("/2", "mein bericht.pdf"),
        ("/3", "副本.doc"),
        ("/4", "evil_.txt"),
        ("/media/EhJ6U?format=jpg", "EhJ6U.jpg"),
        ("/report.pdf;jsessionid=1A2B", "report.pdf"),
        ("/docs/", "download.html"),
    ],
)
def test_a_file_gets_the_name_that_a_browser_gives_it(path: str, name: str, get, place: Place):
    assert get(path)[0] == 0
    assert os.listdir(place.out) == [name]


def test_a_name_that_was_given_gets_no_ending(get, place: Place):
    assert get("/media/EhJ6U?format=jpg", "-o", str(place.out / "mine"))[0] == 0
    assert os.listdir(place.out) == ["mine"]


def test_a_page_in_place_of_a_movie_is_saved_as_a_page_and_is_no_success(get, place: Place):
    code, out, err = get("/movie.mp4")
    assert code == 1
    assert "movie.mp4.html" in out
    assert "a web page instead of a video" in err
    assert (place.out / "movie.mp4.html").read_bytes() == PAGE
    assert os.listdir(place.out) == ["movie.mp4.html"]
    assert "a web page instead of a video" in place.run("list")[1]


@pytest.mark.parametrize(
    ("path", "name", "words"),
    [
        ("/coded/movie.mp4", "movie.mp4.html", "a web page instead of a video"),
        ("/empty/movie.mp4", "movie.mp4.xhtml", "a web page instead of a video"),
        ("/named", "a.pdf.html", "a web page instead of a PDF"),
    ],
)
def test_a_page_is_a_page_however_it_comes(path: str, name: str, words: str, get, place: Place):
    code, _, err = get(path)
    assert code == 1
    assert words in err
    assert os.listdir(place.out) == [name]


def test_an_address_that_promises_nothing_may_answer_with_a_page(get, place: Place):
    assert get("/get.php?file=movie.mp4")[0] == 0
    assert os.listdir(place.out) == ["get.php"]


def test_a_page_does_not_overwrite_what_is_there(get, place: Place):
    (place.out / "film.mp4").write_bytes(MOVIE)
    assert get("/page/movie.mp4", "--overwrite", "-o", str(place.out / "film.mp4"))[0] == 1
    assert (place.out / "film.mp4").read_bytes() == MOVIE
    assert os.listdir(place.out) == ["film.mp4"]


@pytest.mark.parametrize("name", ["film.mp4", "film"])
def test_a_page_never_gets_a_name_that_was_given(name: str, get, place: Place):
    code, out, err = get("/page/movie.mp4", "-o", str(place.out / name))
    assert (code, out) == (1, "")
    assert "The server sent a web page instead of a video." in err
    assert os.listdir(place.out) == []


def test_a_movie_that_is_called_a_page_is_a_movie(get, place: Place):
    assert get("/true/movie.mp4")[0] == 0
    assert (place.out / "movie.mp4").read_bytes() == MOVIE
