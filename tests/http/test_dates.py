"""Dates in fields: what is read here is what the standard library reads."""

from __future__ import annotations

import subprocess
import sys
from email.utils import formatdate, parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfermon.http.dates import date_field, http_date

USUAL = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    "text",
    [USUAL, f" {USUAL}\t", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
)
def test_all_three_forms_of_a_date_are_read(text: str):
    assert http_date(text) == 784111777.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
    ],
)
def test_what_is_no_date_is_none(text: str):
    assert http_date(text) is None


# the years 1000 to 9999
@given(st.integers(-30_610_224_000, 253_402_300_799))
def test_every_date_is_written_and_read_as_the_standard_library_does(seconds: int):
    text = formatdate(seconds, usegmt=True)
    assert date_field(seconds) == text
    assert http_date(text) == parsedate_to_datetime(text).timestamp() == seconds


def test_a_date_as_it_should_be_loads_no_library():
    script = (
        "import sys\n"
        "from transfermon.http.dates import date_field, http_date\n"
        f"assert date_field(http_date({USUAL!r})) == {USUAL!r}\n"
        "assert 'email' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
