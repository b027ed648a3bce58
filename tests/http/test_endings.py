"""The ending of a type, and bodies that are not what their name promises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfermon.http.endings import (
    KINDS,
    charset,
    instead,
    is_page,
    is_text,
    media_type,
    with_ending,
)
from transfermon.http.filenames import safe

PAGE = b"<!DOCTYPE html>\n<title>Sign in</title>"


@pytest.mark.parametrize(
    ("name", "content_type", "made"),
    [
        ("EhJ6U", "image/jpeg", "EhJ6U.jpg"),
        ("EhJ6U", "Image/JPEG; charset=binary", "EhJ6U.jpg"),
        ("report", "application/pdf", "report.pdf"),
        ("download", "video/mp4", "download.mp4"),
        ("download", "text/html; charset=utf-8", "download.html"),
        ("song", "audio/mpeg", "song.mp3"),
        ("all", "application/zip", "all.zip"),
        ("2301.00001", "application/pdf", "2301.00001.pdf"),
        ("v1.2.3", "application/gzip", "v1.2.3.gz"),
        ("Mr. Smith", "image/png", "Mr. Smith.png"),
        ("notes", "text/plain", "notes.txt"),
        # What has an ending keeps it, whatever the type
        ("photo.png", "image/jpeg", "photo.png"),
        ("get.php", "application/pdf", "get.php"),
        ("film.rar.001", "application/vnd.rar", "film.rar.001"),
        ("a.tar.gz", "application/x-tar", "a.tar.gz"),
        ("report.final", "application/pdf", "report.final"),
        # Names that have none by custom
        ("README", "text/plain", "README"),
        ("SHA256SUMS", "text/plain; charset=utf-8", "SHA256SUMS"),
        ("Makefile", "text/plain", "Makefile"),
        ("README", "text/html", "README.html"),
        # No ending of a program, and none from a type that says nothing
        ("setup", "application/x-msdownload", "setup"),
        ("setup", "application/vnd.debian.binary-package", "setup"),
        ("setup", "application/java-archive", "setup"),
        ("run", "text/x-sh", "run"),
        ("run", "application/x-sh", "run"),
        ("code", "text/javascript", "code"),
        ("disk", "application/x-iso9660-image", "disk"),
        ("EhJ6U", "application/octet-stream", "EhJ6U"),
        ("EhJ6U", "", "EhJ6U"),
        ("EhJ6U", "image", "EhJ6U"),
    ],
)
def test_an_ending_is_added_where_there_is_none(name: str, content_type: str, made: str):
    assert with_ending(name, content_type) == made


@given(
    st.text(max_size=300).map(safe),
    st.sampled_from(["image/jpeg", "text/plain", "application/pdf", "x/y"]),
)
def test_a_name_with_its_ending_is_as_safe_as_it_was(name: str, content_type: str):
    made = with_ending(name, content_type)
    assert safe(made) == made
    assert made == name or made.startswith(name[:40])
    assert with_ending(made, content_type) == made


def test_a_type_is_read_without_its_parameters():
    assert media_type(" Text/HTML ; charset=x") == "text/html"
    assert charset('text/html; a=b; CharSet = "GBK"') == "GBK"
    assert charset("text/html") == ""


@pytest.mark.parametrize(
    ("name", "address", "head", "said"),
    [
        ("movie.mp4", "movie.mp4", PAGE, "a web page instead of a video"),
        ("movie.mp4", "movie.mp4", b"hello", "a web page instead of a video"),
        ("movie.mp4", "movie.mp4", b"", "a web page instead of a video"),
        ("photo.JPG", "photo.JPG", PAGE, "a web page instead of a picture"),
        ("song.flac", "x", PAGE, "a web page instead of a sound"),
        ("a.tar.gz", "a.tar.gz", PAGE, "a web page instead of an archive"),
        ("a.pdf", "a.pdf", PAGE, "a web page instead of a PDF"),
        ("setup.exe", "setup.exe", PAGE, "a web page instead of a program"),
        ("data.bin", "data.bin", PAGE, "a web page instead of a file"),
        ("given", "movie.mp4", PAGE, "a web page instead of a video"),
        # It is what the name says, or no page, or nobody can know
        ("movie.mp4", "movie.mp4", b"\0\0\0\x18ftypmp42", ""),
        ("photo.jpg", "photo.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF", ""),
        ("a.pdf", "a.pdf", b"\n%PDF-1.4", ""),
        ("movie.mp4", "movie.mp4", b"\0\1\2\3 unknown", ""),
        ("data.bin", "data.bin", b"plain words", ""),
        ("page.html", "movie.mp4", PAGE, ""),
        ("page.php", "page.php", PAGE, ""),
        ("page", "page", PAGE, ""),
        ("notes.txt", "notes.txt", PAGE, ""),
    ],
)
def test_a_page_in_place_of_a_file_is_told_by_its_first_bytes(
    name: str, address: str, head: bytes, said: str
):
    assert instead(name, address, "text/html; charset=utf-8", head) == said


@pytest.mark.parametrize(
    "content_type", ["video/mp4", "application/octet-stream", "text/plain", ""]
)
def test_only_the_type_of_a_page_raises_the_question(content_type: str):
    assert instead("movie.mp4", "movie.mp4", content_type, PAGE) == ""


@given(st.binary(max_size=64), st.sampled_from(sorted(KINDS)))
def test_a_body_with_the_marks_of_its_kind_is_never_called_a_page(head: bytes, ending: str):
    fits = KINDS[ending].fits
    if fits is not None and fits(head):
        assert instead(f"a{ending}", "", "text/html", head) == ""


@pytest.mark.parametrize(
    "head",
    [b"<html>", b"  \n<!doctype HTML>", b"\xef\xbb\xbf<?xml version", b"<!-- x --><p>", b"<P>"],
)
def test_the_beginning_of_a_page(head: bytes):
    assert is_page(head)
    assert is_text(head)


@pytest.mark.parametrize("head", [b"<htmlx", b"GIF89a", b"", b"<pre", b"a <html>"])
def test_what_is_no_beginning_of_a_page(head: bytes):
    assert not is_page(head)
