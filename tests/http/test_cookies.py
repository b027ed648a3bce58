"""RFC 6265: what a field sets, where a cookie goes, and how much of it all is kept."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfermon.http import public_suffixes
from transfermon.http.cookies import (
    LONGEST_HEADER,
    MOST,
    MOST_OF_DOMAIN,
    NEVER,
    Cookie,
    Jar,
    cookie_date,
    default_path,
    from_dict,
    from_file,
    of_host,
    to_dict,
)

NOW = 1_800_000_000.0
PAGE = "http://home.example.org/dir/page"


def sent(*fields: str, to: str = "http://home.example.org/dir/other", page: str = PAGE) -> str:
    jar = Jar(public_suffixes.is_public)
    jar.take(page, fields, NOW)
    return "; ".join(f"{name}={value}" for name, value in jar.pairs(to, NOW))


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("a=1", "a=1"),
        (" a = 1 ; x", "a=1"),
        ("a=b=c", "a=b=c"),
        ('a="q"', 'a="q"'),
        ("a=", "a="),
        ("a", ""),
        ("=1", ""),
        ("", ""),
        (";a=1", ""),
        ("a=1\x01", ""),
        ("a=\xe4", "a=\xe4"),
        ("a=1; unknown=2; Version=1", "a=1"),
    ],
)
def test_a_pair_is_read_as_servers_write_it(field, expected):
    assert sent(field) == expected


@pytest.mark.parametrize(
    ("attribute", "to", "arrives"),
    [
        ("", "http://home.example.org/dir/", True),
        ("", "http://sub.home.example.org/dir/", False),  # host-only
        ("", "http://example.org/dir/", False),
        ("Domain=home.example.org", "http://sub.home.example.org/dir/", True),
        ("Domain=.example.org", "http://dl.example.org/dir/", True),
        ("Domain=example.org", "http://example.org/dir/", True),
        ("Domain=EXAMPLE.org", "http://dl.example.org/dir/", True),
        ("Domain=example.org", "http://badexample.org/dir/", False),
        ("Domain=example.org.", "http://home.example.org/dir/", False),
        ("Domain=..example.org", "http://home.example.org/dir/", False),
        ("Domain=other.example.org", "http://other.example.org/dir/", False),
        ("Domain=sub.home.example.org", "http://sub.home.example.org/dir/", False),
        ("Domain=org", "http://home.example.org/dir/", False),
        ("Domain=.org", "http://home.example.org/dir/", False),
        ("Domain=", "http://home.example.org/dir/", True),
        ("Domain=", "http://sub.home.example.org/dir/", False),
        ("Domain=example.com; Domain=example.org", "http://home.example.org/dir/", True),
        ("Domain=example.org; Domain=example.com", "http://home.example.org/dir/", False),
    ],
)
def test_a_cookie_goes_as_far_as_its_domain(attribute, to, arrives):
    assert sent(f"a=1; {attribute}", to=to) == ("a=1" if arrives else "")


@pytest.mark.parametrize(
    ("page", "domain", "to", "arrives"),
    [
        ("http://me.github.io/", "github.io", "http://you.github.io/", False),
        ("http://a.co.uk/", "co.uk", "http://b.co.uk/", False),
        ("http://github.io/", "github.io", "http://github.io/", True),  # it becomes its host's own
        ("http://github.io/", "github.io", "http://you.github.io/", False),
        ("http://intranet/", "intranet", "http://intranet/", True),
        ("http://127.0.0.1/", "127.0.0.1", "http://127.0.0.1/", True),
        ("http://127.0.0.1/", "0.1", "http://127.0.0.1/", False),
        ("http://[::1]/", "", "http://[::1]/", True),
        ("http://x.xn--p1ai/", "xn--p1ai", "http://y.xn--p1ai/", False),
        (
            "http://b.xn--bcher-kva.example/",
            "b\xfccher.example",
            "http://a.xn--bcher-kva.example/",
            True,
        ),
    ],
)
def test_no_cookie_is_set_for_all_of_a_public_suffix(page, domain, to, arrives):
    assert sent(f"a=1; Domain={domain}; Path=/", page=page, to=to) == ("a=1" if arrives else "")


@pytest.mark.parametrize(
    ("path", "to", "arrives"),
    [
        ("", "/dir/x", True),
        ("", "/other", False),
        ("Path=/", "/other", True),
        ("Path=relative", "/dir/x", True),
        ("Path=relative", "/other", False),
        ("Path=/dir", "/dir", True),
        ("Path=/dir", "/dirx", False),
        ("Path=/dir/", "/dir", False),
        ("Path=/dir/", "/dir/x", True),
    ],
)
def test_a_cookie_goes_as_far_as_its_path(path, to, arrives):
    assert bool(sent(f"a=1; {path}", to="http://home.example.org" + to)) == arrives


@pytest.mark.parametrize("word", ["Secure", "secure", "Secure=", "Secure=no", "SECURE = x"])
def test_secure_is_secure_whatever_stands_behind_it(word):
    assert sent(f"a=1; {word}", page="https://home.example.org/dir/page") == ""
    assert (
        sent(
            f"a=1; {word}",
            page="https://home.example.org/dir/page",
            to="https://home.example.org/dir/x",
        )
        == "a=1"
    )


@pytest.mark.parametrize(
    ("field", "lives"),
    [
        ("__Secure-a=1; Secure; Path=/", True),
        ("__Secure-a=1; Path=/", False),
        ("__Host-a=1; Secure; Path=/", True),
        ("__Host-a=1; Secure; Path=/dir", False),
        ("__Host-a=1; Secure; Path=/; Domain=home.example.org", False),
    ],
)
def test_what_a_name_promises_is_held(field, lives):
    secure = "https://home.example.org/dir/x"
    assert bool(sent(field, page=secure, to=secure)) == lives
    assert sent(field, to=secure) == ""  # over an open line nothing of it is true


@pytest.mark.parametrize(
    ("ending", "lives"),
    [
        ("Max-Age=10", True),
        ("Max-Age=0", False),
        ("Max-Age=-1", False),
        ("Max-Age=x", True),
        ("Expires=Thu, 01 Jan 1970 00:00:00 GMT", False),
        ("Expires=Fri, 07 Aug 2099 08:04:19 GMT", True),
        ("Expires=nonsense", True),
        ("Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=10", True),
        ("Max-Age=0; Expires=Fri, 07 Aug 2099 08:04:19 GMT", False),
    ],
)
def test_a_cookie_ends_when_it_was_said(ending, lives):
    assert bool(sent(f"a=1; {ending}")) == lives


def test_what_is_set_and_deleted_in_one_answer_is_gone():
    assert sent("a=1", "a=2; Max-Age=0") == ""
    assert sent("a=1; Max-Age=0", "a=2") == "a=2"
    assert sent("a=1; Domain=example.org", "a=2; Max-Age=0") == "a=1"  # another cookie of that name


def test_longer_paths_come_first_then_what_was_set_first():
    assert sent("a=1; Path=/", "b=2; Path=/dir", "c=3; Path=/", "a=4; Path=/") == "b=2; a=4; c=3"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Wed, 09 Jun 2021 10:18:14 GMT", 1623233894),
        ("Wednesday, 09-Jun-21 10:18:14 GMT", 1623233894),
        ("Wed Jun  9 10:18:14 2021", 1623233894),
        ("10:18:14 9 june 2021", 1623233894),
        ("9 jun 70 00:00:00", 13737600),
        ("31 feb 2021 00:00:00", None),
        ("9 jun 1600 00:00:00", None),
        ("9 jun 2021 24:00:00", None),
        ("9 jun 2021", None),
        ("", None),
    ],
)
def test_dates_are_read_as_loosely_as_browsers_do(text, seconds):
    assert cookie_date(text) == seconds


@given(st.text(max_size=80))
def test_no_date_and_no_field_breaks_anything(text):
    cookie_date(text)
    sent(text)
    sent(f"a=1; Domain={text}; Path={text}; Expires={text}; Max-Age={text}")


@pytest.mark.parametrize(
    ("path", "own"), [("/", "/"), ("/a", "/"), ("/a/", "/a"), ("/a/b", "/a"), ("", "/")]
)
def test_the_path_of_a_cookie_without_one(path, own):
    assert default_path(path) == own


def test_what_is_kept_is_bounded():
    jar = Jar(public_suffixes.is_public)
    for host in range(20):
        jar.take(
            f"http://h{host}.example/", [f"c{number}={'x' * 2000}" for number in range(200)], NOW
        )
        assert len(jar.pairs(f"http://h{host}.example/", NOW)) <= MOST_OF_DOMAIN
        assert (
            sum(map(len, map("".join, jar.pairs(f"http://h{host}.example/", NOW))))
            <= LONGEST_HEADER
        )
    assert len(jar._kept) <= MOST
    assert (
        jar.pairs("http://h19.example/", NOW)[-1][0] == "c199"
        or len(jar.pairs("http://h19.example/", NOW)) < 50
    )


# ---- files


FILE = """# Netscape HTTP Cookie File
# a comment

.example.org\tTRUE\t/\tFALSE\t0\tsid\t1
#HttpOnly_dl.example.org\tFALSE\t/files\tTRUE\t1900000000\ttoken\tabc=
other.example\tFALSE\t/\tFALSE\t1900000000.5\tb\t
ended.example.org\tFALSE\t/\tFALSE\t1\told\tx
"""


def test_a_file_in_netscapes_form_is_read():
    sid, token, empty, _ = from_file(FILE)
    assert (sid.domain, sid.host_only, sid.expires) == ("example.org", False, NEVER)
    assert (token.name, token.value, token.domain) == ("token", "abc=", "dl.example.org")
    assert (token.secure, token.path) == (True, "/files")
    assert (empty.name, empty.value) == ("b", "")
    assert from_file("\ufeff" + FILE.replace("\n", "\r\n")) == from_file(FILE)
    assert all(
        from_dict(json.loads(json.dumps(to_dict(cookie)))) == cookie for cookie in from_file(FILE)
    )


@pytest.mark.parametrize(
    "text",
    ["a=1", "<html>", "x\ty\tz\n", ".e.org TRUE / FALSE 0 sid 1", "e\tTRUE\t/\tFALSE\tx\ta\tb"],
)
def test_another_form_is_refused_in_words_and_without_its_text(text):
    with pytest.raises(ValueError, match=r"Line 1 of the cookie file is not in Netscape's form"):
        from_file(text)


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("dl.example.org", ["sid", "token"]),
        ("example.org", ["sid"]),
        ("www.example.org", ["sid"]),
        ("ended.example.org", ["sid"]),
        ("other.example", ["b"]),
        ("sub.other.example", []),
        ("org", []),
    ],
)
def test_only_what_a_host_gets_is_kept_of_a_file(host, names):
    assert [
        cookie.name for cookie in of_host(from_file(FILE), host, public_suffixes.is_public, NOW)
    ] == names


def test_a_file_sets_nothing_for_a_public_suffix():
    everywhere = Cookie(name="a", value="1", domain="org", host_only=False)
    assert of_host([everywhere], "example.org", public_suffixes.is_public, NOW) == []


def test_a_server_replaces_and_ends_what_a_file_gave():
    given = [
        Cookie(name="a", value="file", domain="home.example.org"),
        Cookie(name="b", value="2", domain="home.example.org"),
    ]
    jar = Jar(public_suffixes.is_public)
    assert jar.pairs(PAGE, NOW, given) == [("a", "file"), ("b", "2")]
    jar.take(PAGE, ["a=new; Path=/", "b=; Max-Age=0; Path=/"], NOW)
    assert jar.pairs(PAGE, NOW, given) == [("a", "new")]
