"""Names beyond ASCII become what browsers make of them, or nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from transfermon.http.addresses import check_url, origin_of
from transfermon.http.host_names import ascii_name
from transfermon.model.errors import TransferFailure


@pytest.mark.parametrize(
    ("name", "ascii_form"),
    [
        ("Example.ORG", "example.org"),
        ("xn--i-7iq.ws", "xn--i-7iq.ws"),
        ("i❤.ws", "xn--i-7iq.ws"),
        ("i❤️.ws", "xn--i-7iq.ws"),  # with the selector that asks for a coloured one
        ("☃.net", "xn--n3h.net"),
        ("💩.la", "xn--ls8h.la"),
        ("√.com", "xn--19g.com"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("ς.gr", "xn--3xa.gr"),
        ("faß。example", "xn--fa-hia.example"),
        ("ﬁle.example", "file.example"),
        ("a\u00adb.ü.example", "ab.xn--tda.example"),
        ("日本語.jp", "xn--wgv71a119e.jp"),
        ("א1.example", "xn--1-zhc.example"),
    ],
)
def test_a_name_is_written_as_browsers_write_it(name: str, ascii_form: str):
    assert ascii_name(name) == ascii_form
    assert origin_of(check_url(f"http://{name}/")).host == ascii_form


@pytest.mark.parametrize(
    "name",
    [
        "a\u200db.example",  # a joiner that joins nothing
        "👨\u200d👩.example",
        "\u0301a.example",  # begins with a mark
        "1א.example",
        "⒈example",
        "\u0378.example",  # not assigned
        "a℀b.example",  # would hold a slash
        "ü℀.example",
        "＠ü.example",
        "ü" * 60 + ".example",
        "a..ü",
        "☃\u2026.net",
        "xn--ü.example",
    ],
)
def test_a_name_that_no_browser_takes_is_refused(name: str):
    with pytest.raises(TransferFailure):
        check_url(f"http://{name}/")


def test_the_tables_are_loaded_when_such_a_name_comes():
    script = "import sys, transfermon.http.addresses as u\nu.check_url('http://a.example/')\nassert 'idna' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
