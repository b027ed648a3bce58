"""Names from headers, addresses and strangers."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transfermon.http import filenames
from transfermon.http.filenames import numbered, safe, shortened, split
from transfermon.http.naming import suggested
from transfermon.model.task import Response


def an_answer(disposition: str, url: str = "http://host/from-url.bin") -> Response:
    return Response(
        status=200, url=url, headers=(("Content-Disposition", disposition),) if disposition else ()
    )


@pytest.mark.parametrize(
    ("disposition", "url", "name"),
    [
        ('attachment; filename="a.bin"', "http://host/b.bin", "a.bin"),
        ("attachment", "http://host/b.bin", "b.bin"),
        ("", "http://host/dir/b.bin?x=/c.bin#/d.bin", "b.bin"),
        ("", "http://host/caf%C3%A9.txt", "café.txt"),
        ("", "http://host/caf%E9.txt", "café.txt"),
        ("", "http://host/a%20b+c.txt", "a b+c.txt"),
        ("", "http://host/..%2f..%2fetc%2fpasswd", "passwd"),
        ("", "http://host/%2e%2e%2f", "download"),
        ("", "http://host/a%5c..%5cb.txt", "b.txt"),
        ("", "http://host/a%00b.txt", "a_b.txt"),
        ("", "http://host/..", "download"),
        ("", "http://host/dir/", "download"),
        ("", "http://host////", "download"),
        ("", "http://host", "download"),
        ("", "http://[broken/x", "download"),
        ("", "http://host/@2x~1.png", "@2x~1.png"),
        ("", "http://host/report.pdf;jsessionid=1A2B", "report.pdf"),
        ("", "http://host/report.pdf;v=2;jsessionid=1A2B.node;x=", "report.pdf"),
        ("", "http://host/a;b.txt", "a;b.txt"),
        ("", "http://host/a%3Bb=c.txt", "a;b=c.txt"),
        ("", "http://host/;jsessionid=1", "download"),
        ("", "http://host/%E5%89%AF%E6%9C%AC.doc", "副本.doc"),
        ("", "http://host/%B8%B1%B1%BE.doc", "副本.doc"),
    ],
)
def test_the_suggested_name_falls_from_header_to_address_to_download(
    disposition: str, url: str, name: str
):
    assert suggested(an_answer(disposition, url), "http://host/original") == name


def test_without_an_answer_the_original_address_names_the_file():
    assert suggested(None, "http://host/original.zip") == "original.zip"


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("photo.jpg", "photo.jpg"),
        ("It's 100% (final), v2 [ok] & more!.tar.gz", "It's 100% (final), v2 [ok] & more!.tar.gz"),
        ("文書.pdf", "文書.pdf"),
        ("setup.desktop", "setup.desktop"),
        ("run.sh", "run.sh"),
        ("../../.bashrc", "bashrc"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\x", "x"),
        ("C:\\x", "x"),
        ("f:foo", "f_foo"),
        ("x:ads", "x_ads"),
        ("%2e%2e%2f", "%2e%2e%2f"),
        ("", "download"),
        (".", "download"),
        ("..", "download"),
        ("...", "download"),
        (" ", "download"),
        ("///", "download"),
        ("dir/", "dir"),
        (".hidden", "hidden"),
        (". .x", "x"),
        ("~", "_"),
        ("-rf", "_rf"),
        ("a.", "a"),
        ("a ", "a"),
        ("a. . .", "a"),
        ("a\nb\x1b[31m\x7f\x9b.txt", "a_b_[31m__.txt"),
        ("zero\u200bwidth\ufeff.txt", "zero_width_.txt"),
        ("evil\u202egpj.exe", "evil_gpj.exe"),
        ("line\u2028sep", "line_sep"),
        ("half\ud800", "half_"),
        ('a<b>c"d|e?f*g', "a_b_c_d_e_f_g"),
        ("no\u00a0break", "no break"),
        ("cafe\u0301", "café"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("aux .tar.gz", "_aux .tar.gz"),
        ("COM1", "_COM1"),
        ("lpt³.x", "_lpt³.x"),
        ("conductor.txt", "conductor.txt"),
        ("con" + " " * 300 + "x", "_con"),
    ],
)
def test_a_strangers_name_becomes_one_visible_file(name: str, made: str):
    assert safe(name) == made


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("ä" * 200 + ".jpeg", ".jpeg"),
        ("x" * 400 + ".tar.gz", ".tar.gz"),
        ("😀" * 100, "😀"),
        ("a." + "b" * 400, "b"),
    ],
)
def test_a_long_name_is_cut_between_characters_and_keeps_its_extension(name: str, ending: str):
    made = safe(name)
    assert 250 < len(made.encode()) <= 255
    assert made.endswith(ending)
    assert name.startswith(made[:40])


ODD = st.text(
    alphabet=st.sampled_from("conaux123.. //\\\\:-~_\u202e\u0301\0\n\ud800äé"), max_size=40
)
ANY = st.text(alphabet=st.characters(exclude_categories=[]), max_size=300)


@given(ODD | ANY)
def test_safe_is_idempotent_and_always_a_single_component(name: str):
    made = safe(name)
    assert safe(made) == made
    assert 0 < len(made.encode("utf-8")) <= 255
    assert made not in (".", "..")
    assert not set(made) & set('/\\:*?"<>|\0')
    assert made[0] not in ".-~ "
    assert made[-1] not in ". "
    assert all(unicodedata.category(char) not in ("Cc", "Cf", "Cs") for char in made)


@given(ODD | ANY | st.from_regex(filenames._ORDINARY.pattern, fullmatch=True))
@example("con.txt")
@example("nul .x")
def test_a_name_is_taken_as_it_stands_only_where_nothing_is_wrong_with_it(name: str):
    if safe(name) == name:
        assert filenames._cleaned(name) == name


@pytest.mark.parametrize(
    ("name", "number", "made"),
    [
        ("a.txt", 0, "a.txt"),
        ("a.txt", 1, "a (1).txt"),
        ("a.tar.gz", 2, "a (2).tar.gz"),
        ("README", 3, "README (3)"),
        ("Mr. Smith", 1, "Mr. Smith (1)"),
        (".profile", 1, ".profile (1)"),
    ],
)
def test_the_number_goes_before_the_extension(name: str, number: int, made: str):
    assert numbered(name, number) == made


@given(st.text(min_size=1, max_size=300).map(safe), st.integers(1, 10**6))
def test_a_numbered_name_still_fits(name: str, number: int):
    made = numbered(name, number)
    assert len(made.encode()) <= 255
    assert f"({number})" in made


def test_an_extension_is_short_and_has_no_blanks():
    assert split("a.b.c") == ("a.b", ".c")
    assert split("x.TAR.xz") == ("x", ".TAR.xz")
    assert split("no extension. really") == ("no extension. really", "")
    assert shortened("abc.txt", 6) == "ab.txt"
    assert shortened("abc.txt", 3) == "abc"
