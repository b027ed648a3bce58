"""What goes along to another origin, and what stays behind for good."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfermon.http.carried_headers import carried, first, referer_for, with_cookies

DEFAULTS = {"Accept": "*/*", "User-Agent": "ours/1"}
HERE, THERE = "https://a.example/x", "https://b.example/y"


def names(fields):
    return {name.lower() for name, _ in fields}


@pytest.mark.parametrize(
    ("name", "value", "arrives"),
    [
        ("User-Agent", "Mozilla/5.0", "Mozilla/5.0"),
        ("accept", "image/*", "image/*"),
        ("Accept-Language", "de", "de"),
        ("Referer", "https://a.example/secret?token=1", "https://a.example/"),
        ("Authorization", "Bearer s", ""),
        ("Cookie", "a=1", ""),
        ("X-Api-Key", "s", ""),
        ("X-Anything", "s", ""),
        ("Proxy-Authorization", "Basic s", ""),
        ("Accept-Encoding", "gzip", ""),
        ("Origin", "https://a.example", ""),
    ],
)
def test_of_the_persons_headers_few_arrive_at_another_origin(name, value, arrives):
    sent = carried(
        first({name: value}, DEFAULTS),
        base=HERE,
        target=THERE,
        person={name.lower()},
        marked=(),
        defaults=DEFAULTS,
    )
    assert dict(sent).get(name, "") == arrives
    assert {"accept", "user-agent"} <= names(sent)


@pytest.mark.parametrize("name", ["Authorization", "Cookie", "X-Api-Key"])
def test_what_is_marked_goes_along(name):
    sent = carried(
        ((name, "s"),),
        base=HERE,
        target=THERE,
        person={name.lower()},
        marked={name.lower()},
        defaults=DEFAULTS,
    )
    assert dict(sent)[name] == "s"


def test_a_proxys_credentials_go_to_no_origin_marked_or_not():
    assert names(first({"Proxy-Authorization": "s"}, {})) == set()


def test_the_products_own_fields_stay():
    own = (("Range", "bytes=5-"), ("If-Range", '"v"'), ("Accept-Encoding", "identity"))
    assert carried(own, base=HERE, target=THERE, person=(), defaults={}) == own


@pytest.mark.parametrize(
    ("value", "base", "target", "told"),
    [
        ("https://a.example:8443/p?q#f", HERE, THERE, "https://a.example:8443/"),
        ("http://a.example/p", "http://a.example/", THERE, "http://a.example/"),
        (
            "http://user:secret@a.example/p",
            "http://a.example/",
            "http://b.example/",
            "http://a.example/",
        ),
        ("https://a.example/", HERE, "http://b.example/", ""),
        ("http://elsewhere.example/", HERE, "http://b.example/", ""),
        ("http://[::1]:80/x", "http://a.example/", "http://b.example/", "http://[::1]:80/"),
        ("a word", HERE, THERE, ""),
        ("", HERE, THERE, ""),
        ("http://a.example:port/", HERE, THERE, ""),
    ],
)
def test_a_referer_tells_its_origin_and_nothing_on_an_open_way(value, base, target, told):
    assert referer_for(value, base, target) == told


header = st.sampled_from(
    [
        "User-Agent",
        "Accept",
        "Referer",
        "Cookie",
        "X-Key",
        "Authorization",
        "Range",
        "Accept-Language",
    ]
)


@given(
    fields=st.dictionaries(header, st.sampled_from(["canary", "https://a.example/canary"])),
    marked=st.sets(header),
    hops=st.lists(
        st.sampled_from(["https://b.example/", "http://c.example/", "https://a.example/"]),
        max_size=4,
    ),
)
def test_what_was_dropped_does_not_come_back_on_any_way(fields, marked, hops):
    person = {name.lower() for name in fields}
    low = {name.lower() for name in marked}
    now, base = first(fields, DEFAULTS), HERE
    for target in hops:
        before = names(now)
        now = carried(now, base=base, target=target, person=person, marked=low, defaults=DEFAULTS)
        assert names(now) <= before
        secrets = {"cookie", "x-key", "authorization", "range"} & person
        assert not (secrets - low) & names(now)
        base = target


@pytest.mark.parametrize(
    ("own", "others", "sent"),
    [
        ((), [("a", "1")], "a=1"),
        (("b=2",), [("a", "1")], "b=2; a=1"),
        (("a=mine",), [("a", "1"), ("c", "3")], "a=mine; c=3"),
        (("b=2; ",), [("a", "1")], "b=2; a=1"),
        (("b=2",), [], "b=2"),
        ((), [], None),
    ],
)
def test_own_cookies_and_set_ones_go_in_one_field(own, others, sent):
    fields = with_cookies((("X", "y"), *(("Cookie", value) for value in own)), others)
    assert [value for name, value in fields if name == "Cookie"] == ([] if sent is None else [sent])
    assert ("X", "y") in fields
