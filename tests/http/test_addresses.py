"""One parser, and nothing ambiguous gets through it."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfermon.http import addresses
from transfermon.http.addresses import (
    ServerOrigin,
    check_url,
    origin_of,
    redirect_target,
    without_credentials,
)
from transfermon.model.errors import Code, TransferFailure


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("http://example.org", "http://example.org/"),
        ("  HTTPS://Example.ORG:443/a b?q=ü#part\n", "https://example.org/a%20b?q=%C3%BC"),
        ("http://example.org:80/%7euser/%zz", "http://example.org/%7euser/%25zz"),
        ("http://bücher.example:8080/", "http://xn--bcher-kva.example:8080/"),
        # not strasse: that is another owner's
        ("http://straße.example/", "http://xn--strae-oqa.example/"),
        ("http://①②⑦.⓪.⓪.①/", "http://127.0.0.1/"),
        ("http://127。0。0。1/", "http://127.0.0.1/"),
        ("http://[0:0::1]:80/x", "http://[::1]/x"),
        ("http://user:p%40ss@host/x", "http://user:p%40ss@host/x"),
        ("http://host/a;b=c?x=[1]&y=a+b", "http://host/a;b=c?x=%5B1%5D&y=a+b"),
        ("http://127.0.0.1#@good/", "http://127.0.0.1/"),
    ],
)
def test_an_address_has_one_normal_form(url, normal):
    assert check_url(url) == normal
    assert check_url(normal) == normal


@pytest.mark.parametrize("url", ["", "   ", "\n"])
def test_an_empty_address_is_a_mistake_of_the_caller(url):
    with pytest.raises(ValueError):
        check_url(url)


def test_what_is_no_text_is_a_mistake_of_the_caller():
    with pytest.raises(TypeError):
        check_url(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url",
    [
        "example.org/file",
        "localhost:8080/file",
        "/file",
        "//host/file",
        "http:host/file",
        "http:///file",
        "http://",
        "http://host:0/",
        "http://host:99999/",
        "http://host:port/",
        "http://good\\@127.0.0.1/",
        "http://good%2Fbad/",
        "http://a@b@c/",
        "http://a..b/",
        "http://-a/",
        "http://a b/",
        "http://℀.example/",
        "http://[::1/",
        "http://[::1%25lo]/",
        "http://[v1.x]/",
        "http://a\nb/",
        "http://a/\x00",
        "http://a/\ud800",
        "http://a/" + "x" * 20_000,
    ],
)
def test_a_malformed_or_ambiguous_address_is_refused_in_words(url):
    with pytest.raises(TransferFailure) as caught:
        check_url(url)
    assert caught.value.code == Code.BAD_URL
    assert caught.value.title.endswith(".")
    assert caught.value.hint.endswith(".")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://host/x", "data:,x", "javascript:alert(1)", "smb://h/x"]
)
def test_another_scheme_is_not_supported(url):
    with pytest.raises(TransferFailure) as caught:
        check_url(url)
    assert (caught.value.code, caught.value.error.reason) == (Code.UNSUPPORTED_URL, "pol.scheme")


@given(st.text(max_size=60))
def test_any_text_is_normal_refused_or_empty(text):
    for url in (text, "http://" + text, "http://host/" + text):
        try:
            normal = check_url(url)
        except (ValueError, TransferFailure):
            continue
        assert normal.isascii()
        assert check_url(str(normal)) == normal
        assert check_url(normal) is normal
        parts = urlsplit(normal)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        assert origin_of(normal) == ServerOrigin(parts.scheme, parts.hostname or "", port)
        assert origin_of(normal).host


def test_an_origin_knows_the_default_ports():
    assert origin_of(check_url("https://host/x")) == ServerOrigin("https", "host", 443)
    assert origin_of(check_url("http://[::1]:81/")).authority == "[::1]:81"


def test_user_information_becomes_an_authorization():
    assert without_credentials(check_url("http://me:p%40ss@host/x?y")) == (
        "http://host/x?y",
        "Basic bWU6cEBzcw==",
    )
    assert without_credentials(check_url("http://host/x")) == ("http://host/x", "")


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/b", "http://host/b"),
        ("b?c", "http://host/dir/b?c"),
        ("../b c", "http://host/b%20c"),
        ("//other/b", "http://other/b"),
        ("https://other/b#part", "https://other/b"),
        ("http://user:secret@other/", "http://other/"),
        ("?q", "http://host/dir/a?q"),
    ],
)
def test_a_location_may_be_relative(location, target):
    assert redirect_target("http://host/dir/a?x", location, allows_insecure=False) == target


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("", "srv.redirect"),
        (" ", "srv.redirect"),
        ("a\tb", "srv.redirect"),
        ("a\\b", "srv.redirect"),
        ("http://", "srv.redirect"),
        ("http://host:0/", "srv.redirect"),
        ("x" * 64_000, "srv.redirect"),
        ("file:///etc/passwd", "pol.scheme"),
        ("javascript:alert(1)", "pol.scheme"),
        ("ftp://host/", "pol.scheme"),
    ],
)
def test_an_unusable_location_is_a_redirect_without_target(location, reason):
    with pytest.raises(TransferFailure) as caught:
        redirect_target("http://host/", location, allows_insecure=False)
    assert (caught.value.code, caught.value.error.reason) == (Code.REDIRECT_WITHOUT_TARGET, reason)


def test_a_way_from_https_to_http_needs_a_permission():
    with pytest.raises(TransferFailure) as caught:
        redirect_target("https://host/", "http://host/", allows_insecure=False)
    assert caught.value.code == Code.INSECURE_LOAD_REFUSED
    assert redirect_target("https://host/", "http://host/", allows_insecure=True) == "http://host/"


@given(st.from_regex(addresses._PLAIN.pattern, fullmatch=True))
def test_an_address_that_is_plain_at_first_sight_is_in_its_normal_form(text: str):
    assert addresses._normal(text, addresses._scheme(text)) == text
    assert check_url(text) == text
