"""Which mirrors may be asked, and why one is not used."""

from __future__ import annotations

import pytest

from transfermon.http import mirrors
from transfermon.http.mirrors import checked_mirrors, is_elsewhere, proof, shown_name, why_not_used
from transfermon.model.errors import Code, Retry, TransferError, TransferFailure
from transfermon.model.request_options import RequestOptions
from transfermon.model.task import Response

TOTAL = 10_000_000
URL = "https://files.example/a.bin"
ASKED = proof(100_000, 65_536)


def response(status: int = 206, **fields: str) -> Response:
    headers = {
        "ETag": '"m"',
        "Content-Range": f"bytes {ASKED.start}-{ASKED.end - 1}/{TOTAL}",
        "Content-Length": str(ASKED.end - ASKED.start),
    }
    headers |= {name.replace("_", "-"): value for name, value in fields.items()}
    return Response(status=status, url="http://m.example/a", headers=tuple(headers.items()))


def test_a_mirror_is_asked_for_stored_bytes_without_a_condition():
    assert ASKED.headers(None) == {"Range": "bytes=100000-165535"}
    assert ASKED.before == 65_536


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (response(), ""),
        (response(Content_Range=f"bytes 100000-165535/{TOTAL - 1}"), mirrors.OTHER_SIZE),
        (response(416), mirrors.OTHER_SIZE),
        (response(200, Content_Length=str(TOTAL + 1)), mirrors.OTHER_SIZE),
        (response(200, Content_Length=str(TOTAL)), "It sends whole files only."),
        (response(200, Content_Length="5", Content_Encoding="gzip"), "It sends whole files only."),
        (response(ETag='W/"m"'), "It sends no strong entity tag, by which it could be seen that"),
        (response(ETag=""), "It sends no strong entity tag, by which it could be seen that"),
        (response(401), "It asks for a login."),
        (response(407), "It asks for a login."),
        (response(404), "It answers 404."),
        (response(503), "It answers 503."),
        (response(Content_Range="bytes 100000-165535/*"), mirrors.ODD_ANSWER),
        (response(Content_Range=f"bytes 100001-165536/{TOTAL}"), mirrors.ODD_ANSWER),
        (response(Content_Range=f"bytes 100000-165534/{TOTAL}"), mirrors.ODD_ANSWER),
        (response(Content_Range="rubbish"), mirrors.ODD_ANSWER),
        (response(Content_Encoding="gzip"), mirrors.ODD_ANSWER),
        (response(Content_Length="7"), mirrors.ODD_ANSWER),
    ],
)
def test_why_a_mirror_is_not_used(answer: Response, reason: str):
    found = why_not_used(ASKED, TOTAL, answer)
    assert found.startswith(reason)
    assert bool(found) == bool(reason)


def test_mirrors_are_each_there_once_and_none_of_them_is_the_address():
    given = RequestOptions(
        mirrors=("HTTP://M.example:80/a b", "http://m.example/a%20b", URL),
        mirrors_are_the_same=True,
    )
    assert checked_mirrors(given, URL, "").mirrors == ("http://m.example/a%20b",)


def test_mirrors_need_a_checksum_or_a_word():
    given = RequestOptions(mirrors=("http://m.example/a",))
    with pytest.raises(ValueError, match="your word"):
        checked_mirrors(given, URL, "")
    assert checked_mirrors(given, URL, "sha-256:00") == given


def test_a_mirror_that_cannot_be_one_is_refused():
    given = RequestOptions(mirrors=("http://m.example:0/a",), mirrors_are_the_same=True)
    with pytest.raises(TransferFailure):
        checked_mirrors(given, URL, "")


@pytest.mark.parametrize(
    ("mirror", "elsewhere", "name"),
    [
        ("https://files.example/other", False, "files.example"),
        ("https://files.example:8443/a.bin", True, "files.example:8443"),
        ("http://files.example/a.bin", True, "files.example"),
        ("https://m.example/a.bin", True, "m.example"),
    ],
)
def test_another_port_or_scheme_is_another_origin(mirror: str, elsewhere: bool, name: str):
    assert is_elsewhere(mirror, URL) is elsewhere
    assert shown_name(mirror) == name


@pytest.mark.parametrize(
    ("reason", "retry", "may"),
    [
        ("srv.http-404", Retry.FINAL, True),
        ("net.refused", Retry.RETRY, True),
        ("tls.expired", Retry.FINAL, True),
        ("net.captive", Retry.WAIT, False),  # no server is at fault
        ("disk.full", Retry.RETRY, False),
        ("srv.changed", Retry.FINAL, False),  # the whole file has another checksum
        ("pol.private-address", Retry.FINAL, False),
    ],
)
def test_which_failures_of_the_first_address_a_mirror_makes_good(
    reason: str, retry: Retry, may: bool
):
    error = TransferError(code=Code.UNKNOWN, message="x", reason=reason, retry=retry)
    assert mirrors.may_replace(error) is may
