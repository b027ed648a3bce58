"""Which proxy is used, what is shown of it, and when there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfermon.http import proxies
from transfermon.http.addresses import ServerOrigin
from transfermon.http.proxies import Proxy, excepted, named_by, parse, shown
from transfermon.model.errors import Code, Retry


@pytest.mark.parametrize(
    ("text", "bare", "user", "password"),
    [
        ("http://proxy.example:3128", "http://proxy.example:3128", None, ""),
        ("proxy.example:3128", "http://proxy.example:3128", None, ""),
        ("http://proxy.example", "http://proxy.example:80", None, ""),
        ("https://proxy.example/", "https://proxy.example:443", None, ""),
        ("socks5://127.0.0.1", "socks5://127.0.0.1:1080", None, ""),
        ("SOCKS5H://Proxy.Example:9050", "socks5h://proxy.example:9050", None, ""),
        ("socks4a://proxy.example", "socks4a://proxy.example:1080", None, ""),
        ("socks4://me@proxy.example", "socks4://proxy.example:1080", "me", ""),
        ("socks://127.0.0.1:1080/", "socks5h://127.0.0.1:1080", None, ""),  # as GNOME writes it
        ("http://[::1]:3128", "http://[::1]:3128", None, ""),
        ("http://u:p%40ss@h:1", "http://h:1", "u", "p@ss"),
        ("http://u:p@ss@h:1", "http://h:1", "u", "p@ss"),
        ("http://u:half#half@h:1", "http://h:1", "u", "half#half"),
        ("http://u:a/b?c#d@h:1/path", "http://h:1", "u", "a/b?c#d"),
        ("u:p#q@h:1", "http://h:1", "u", "p#q"),
        ("  http://h:1  ", "http://h:1", None, ""),
    ],
)
def test_an_address_is_read_and_shown_without_its_secret(text, bare, user, password):
    proxy = parse(text)
    assert (proxy.bare, proxy.user, proxy.password) == (bare, user, password)
    assert shown(text) == bare
    assert not password or password not in repr(proxy)
    assert parse(proxy.with_login("a:@/#?", "b:@/#?")) == Proxy(
        kind=proxy.kind, host=proxy.host, port=proxy.port, user="a:@/#?", password="b:@/#?"
    )


@pytest.mark.parametrize(
    "text",
    [
        "ftp://u:canary@h:1",
        "http://",
        "http://u:canary@",
        "http://u:canary@h:99999",
        "http://u:canary@h:0",
        "http://u:canary@h:port",
        "http://canary host:1",
        "http://[canary]:1",
        "socks5://u:" + "canary" * 50 + "@h",
    ],
)
def test_an_unusable_address_is_refused_in_words_that_hold_nothing_of_it(text):
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert "canary" not in str(caught.value)
    assert str(caught.value).endswith(".")
    assert shown(text) == ""


@given(st.text(min_size=1), st.text(), st.sampled_from(["http", "https", "socks5h"]))
def test_no_password_is_ever_shown(user, password, kind):
    said = shown(text := f"{kind}://canary{user}:canary{password}@proxy.example:3128")
    try:
        said += repr(parse(text))
    except ValueError as exc:
        said += str(exc)
    assert "canary" not in said


FAR = ServerOrigin("https", "far.example", 443)


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, ""),
        ({"https_proxy": "http://a:1"}, "http://a:1"),
        ({"HTTPS_PROXY": "http://a:1"}, "http://a:1"),
        ({"https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:1"}, "http://a:1"),
        ({"http_proxy": "http://a:1"}, ""),
        ({"all_proxy": "socks5h://a:1"}, "socks5h://a:1"),
        ({"ALL_PROXY": "socks5h://a:1"}, "socks5h://a:1"),
        ({"https_proxy": "http://a:1", "all_proxy": "socks5h://b:1"}, "http://a:1"),
        ({"https_proxy": "", "all_proxy": "socks5h://b:1"}, "socks5h://b:1"),
        ({"https_proxy": "a:1"}, "http://a:1"),
        ({"all_proxy": "http://a:1", "no_proxy": "far.example"}, ""),
        ({"all_proxy": "http://a:1", "NO_PROXY": "far.example"}, ""),
        ({"all_proxy": "http://a:1", "no_proxy": "*"}, ""),
    ],
)
def test_the_environment_names_a_proxy(environment, named):
    assert named_by(environment, FAR) == named


def test_a_variable_that_a_web_server_sets_counts_for_nothing():
    origin = ServerOrigin("http", "far.example", 80)
    assert named_by({"HTTP_PROXY": "http://a:1"}, origin) == "http://a:1"
    assert named_by({"HTTP_PROXY": "http://a:1", "REQUEST_METHOD": "GET"}, origin) == ""


@pytest.mark.parametrize(
    "host",
    ["localhost", "a.localhost", "localhost.", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"],
)
def test_this_machine_is_reached_directly(host):
    assert named_by({"all_proxy": "http://a:1"}, ServerOrigin("http", host, 80)) == ""


@pytest.mark.parametrize(
    ("exceptions", "host", "direct"),
    [
        ("*", "any.example", True),
        ("a.example,*", "any.example", False),
        ("example.com", "example.com", True),
        ("example.com", "www.example.com", True),
        ("example.com", "notexample.com", False),
        (".example.com", "example.com", True),
        (".example.com", "www.example.com", True),
        ("example.com.", "www.example.com", True),
        ("example.com", "www.example.com.", True),
        ("EXAMPLE.com", "www.example.COM", True),
        ("a.example , b.example", "b.example", True),
        ("a.example,\tb.example ", "b.example", True),
        ("a.example,,  ,b.example", "b.example", True),
        ("a.example b.example,c.example", "a.example", True),
        ("a.example b.example,c.example", "c.example", False),  # a blank inside ends the list
        ("example.com:80", "example.com", False),  # a port is no part of a name
        ("192.168.0.0/16", "192.168.7.9", True),
        ("192.168.0.0/16", "192.169.0.1", False),
        ("192.168.0.9/16", "192.168.7.9", True),
        ("10.0.0.0/8, 192.168.1.1/31", "192.168.1.0", True),
        ("192.168.1.1", "192.168.1.1", True),
        ("192.168.1.1/32", "192.168.1.2", False),
        ("192.168.1.1/33", "192.168.1.1", False),
        ("192.168.1.1/", "192.168.1.1", False),
        ("192.168.1.1/x", "192.168.1.1", False),
        ("192.168.1.1/0", "192.168.1.2", False),
        ("192.168.0.0/16", "a.192.168.0.0", False),
        ("2001:db8::/32", "2001:db8:1::9", True),
        ("2001:db8::/32", "2001:db9::1", False),
        ("::ffff:0:0/96", "192.168.1.1", False),
        ("168.1.1", "192.168.1.1", False),
        ("", "a.example", False),
        (".", "a.example", False),
        (",", "a.example", False),
    ],
)
def test_exceptions_are_read_as_curl_reads_them(exceptions, host, direct):
    assert excepted(host, exceptions) == direct


@given(
    st.text(alphabet="a.,/ 0123456789:*-[]"),
    st.sampled_from(["a.example", "10.0.0.1", "2001:db8::1"]),
)
def test_no_list_breaks_anything(exceptions, host):
    excepted(host, exceptions)


@pytest.mark.parametrize(
    ("host", "judged"),
    [
        ("93.184.216.34", True),
        ("10.0.0.1", True),
        ("fd00::1", True),
        ("intranet", True),
        ("intranet.", True),
        ("2130706433", True),
        ("127.1", True),
        ("0x7f.1", True),
        ("far.example.0x7f000001", True),
        ("far.example", False),
        ("far.example.", False),
        ("1.example", False),
    ],
)
def test_a_host_that_says_by_itself_where_it_leads_is_judged_here(host, judged):
    assert proxies.is_judged_here(host) == judged


@pytest.mark.parametrize("word", sorted(proxies._ANSWERS))
def test_every_answer_of_a_proxy_names_the_one_that_failed(word):
    proxy = parse("socks5h://me:canary@proxy.example:1080")
    error = proxies.answered(proxy, word, "http://far.example/x?token=canary")
    assert "proxy at proxy.example:1080" in error.message
    assert "canary" not in str(error)
    assert error.message[0].isupper()
    assert error.hint


def test_who_gave_no_login_is_asked_for_one():
    error = proxies.answered(parse("socks5h://proxy.example"), "login", "http://far.example/")
    assert (error.code, error.reason, error.retry) == (
        Code.AUTHENTICATION_REQUIRED,
        "net.proxy-auth",
        Retry.FINAL,
    )
    assert "needs a user name" in error.message


@pytest.mark.parametrize(
    ("status", "fields", "own"),
    [
        (407, {}, True),
        (503, {"X-Squid-Error": "ERR_DNS_FAIL 0", "Via": "1.1 x (squid)"}, True),
        (502, {"Proxy-Status": "edge; error=dns_error"}, True),
        (502, {"Proxy-Status": "edge; received-status=502"}, False),
        (500, {"Server": "tinyproxy/1.11.1"}, True),
        (500, {"Server": "tinyproxy/1.11.1", "Via": "1.1 x (tinyproxy/1.11.1)"}, False),
        (200, {"Server": "tinyproxy/1.11.1"}, False),
        (502, {"Server": "nginx"}, False),
        (401, {}, False),
    ],
)
def test_an_answer_of_the_proxys_own_is_known(status, fields, own):
    assert proxies.answers_itself(status, lambda name: fields.get(name, "")) == own
