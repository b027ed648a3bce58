"""The name that a download gets: whatever a server says, a safe one, and no ending by which a
program runs.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfermon.http.endings import as_page, with_ending
from transfermon.http.filenames import safe, split
from transfermon.http.naming import suggested
from transfermon.model.task import Response

FIELD = (
    "attachment",
    "filename",
    "filename*",
    "=",
    ";",
    '"',
    "UTF-8''",
    "GBK''",
    "=?UTF-8?B?",
    "=?iso-8859-1?Q?",
    "?=",
    "%2F",
)
BITS = (
    "%00",
    "%2e%2e",
    "../",
    "\\",
    "con",
    ".exe",
    ".pdf",
    " ",
    "\xe4",
    "\xb8\xb1\xb1\xbe",
    "a",
    ".",
    "%",
    "'",
)
PARTS = st.sampled_from(FIELD + BITS)
TYPES = st.sampled_from(
    [
        "",
        "image/jpeg",
        "text/html; charset=gbk",
        "application/pdf",
        "text/plain",
        "application/x-sh",
    ]
)
PROGRAMS = (
    "exe com bat cmd msi scr pif js jse vbs vbe wsf hta ps1 sh bash csh run bin app appimage apk jar deb rpm desktop lnk "
    "url reg dll so py pl rb php asp aspx jsp docm xlsm iso dmg pkg"
)


@given(st.lists(PARTS, max_size=12).map("".join), TYPES, st.lists(PARTS, max_size=6).map("".join))
def test_any_answer_gives_one_safe_name(disposition: str, content_type: str, path: str):
    fields = (("Content-Disposition", disposition), ("Content-Type", content_type))
    response = Response(
        status=200, url=f"http://h/{path}", headers=tuple(one for one in fields if one[1])
    )
    name = suggested(response, "http://h/x")
    assert safe(name) == name
    assert 0 < len(name.encode()) <= 255
    assert safe(as_page(name, content_type)) == as_page(name, content_type)


@pytest.mark.parametrize("ending", PROGRAMS.split())
def test_no_type_gives_a_program_its_ending(ending: str):
    for kind in (
        f"application/{ending}",
        f"application/x-{ending}",
        f"text/{ending}",
        f"text/x-{ending}",
    ):
        assert split(with_ending("file", kind))[1] != f".{ending}"


def test_without_an_answer_the_address_names_the_file():
    assert suggested(None, "http://h/a/report.pdf;jsessionid=1?x") == "report.pdf"
