"""Statuses, Retry-After and back-off."""

from __future__ import annotations

import random
from dataclasses import replace
from email.utils import formatdate

import pytest

from transfermon.http.retry import LONGEST_WAIT, judge_status, next_delay, retry_after
from transfermon.model.configuration import RetryPolicy
from transfermon.model.errors import Retry, TransferError
from transfermon.model.task import Response

NOW = 1_800_000_000.0
POLICY = RetryPolicy()
REFUSED = TransferError(code=-1004, message="The server refused the connection.", retry=Retry.RETRY)


def an_answer(status: int, **headers: str) -> Response:
    fields = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Response(status=status, url="http://user:pw@host/f.bin?key=secret", headers=fields)


def half() -> float:
    return 0.5


@pytest.mark.parametrize(
    ("status", "code", "retry"),
    [
        (400, -1011, Retry.FINAL),
        (401, -1013, Retry.FINAL),
        (403, -1011, Retry.FINAL),
        (404, -1011, Retry.FINAL),
        (407, -1013, Retry.FINAL),
        (408, -1011, Retry.RETRY),
        (410, -1011, Retry.FINAL),
        (412, -1011, Retry.RESTART),
        (425, -1011, Retry.RETRY),
        (429, -1011, Retry.RETRY),
        (500, -1011, Retry.RETRY),
        (501, -1011, Retry.FINAL),
        (502, -1011, Retry.RETRY),
        (503, -1011, Retry.RETRY),
        (504, -1011, Retry.RETRY),
        (505, -1011, Retry.FINAL),
        (599, -1011, Retry.FINAL),
    ],
)
def test_each_status_has_its_code_and_its_class(status: int, code: int, retry: Retry):
    error = judge_status(an_answer(status), "status", now=NOW)
    assert error is not None
    assert (error.code, error.retry, error.status) == (code, retry, status)
    own = {401: "srv.auth", 403: "srv.forbidden", 407: "net.proxy-auth"}
    assert error.reason == own.get(status, f"srv.http-{status}")


def test_a_failure_is_a_sentence_and_names_the_address_without_secrets():
    error = judge_status(an_answer(404), "status", now=NOW)
    assert error is not None
    assert error.message == "The server answered 404: not found."
    assert error.url == "http://host/f.bin?key=…"


@pytest.mark.parametrize("status", [200, 204, 206, 304, 399])
def test_below_400_nothing_failed(status: int):
    assert judge_status(an_answer(status), "status", now=NOW) is None


@pytest.mark.parametrize("status", [401, 404, 503])
def test_the_transport_policy_lets_every_status_pass(status: int):
    assert judge_status(an_answer(status), "transport", now=NOW) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        (" 120 ", 120.0),
        ("0", 0.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        ("9" * 400, LONGEST_WAIT),
        (formatdate(NOW + 30 * LONGEST_WAIT, usegmt=True), LONGEST_WAIT),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("Fri, 99 Foo 2026 10:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_or_junk(value: str, seconds: float | None):
    assert retry_after(value, NOW) == seconds


def test_retry_after_counts_only_where_there_is_a_retry():
    busy = judge_status(an_answer(503, Retry_After="7"), "status", now=NOW)
    gone = judge_status(an_answer(410, Retry_After="7"), "status", now=NOW)
    assert busy is not None
    assert busy.retry_after == 7.0
    assert gone is not None
    assert gone.retry_after is None


@pytest.mark.parametrize(
    ("failures", "ceiling"),
    [(1, 1.0), (2, 2.0), (3, 4.0), (9, 256.0), (10, 300.0), (5000, 300.0)],
)
def test_the_ceiling_doubles_up_to_five_minutes(failures: int, ceiling: float):
    assert next_delay(failures, POLICY, REFUSED, lambda: 1.0) == ceiling
    assert next_delay(failures, POLICY, REFUSED, lambda: 0.0) == 1.0


def test_the_delay_lies_anywhere_between_minimum_and_ceiling():
    dice = random.Random(1)
    delays = [next_delay(12, POLICY, REFUSED, dice.random) or 0.0 for _ in range(500)]
    assert min(delays) < 20 < 280 < max(delays) <= 300.0
    assert min(delays) >= 1.0


def test_the_server_knows_best_when_to_come_back():
    assert next_delay(1, POLICY, replace(REFUSED, retry_after=3.0), half) == 3.0
    assert next_delay(8, POLICY, replace(REFUSED, retry_after=3.0), half) == 3.0
    assert next_delay(8, POLICY, replace(REFUSED, retry_after=4000.0), half) == 4000.0


def test_a_server_that_always_says_at_once_is_not_asked_in_a_busy_loop():
    at_once = replace(REFUSED, retry_after=0.0)
    assert next_delay(1, POLICY, at_once, half) == 0.0
    assert next_delay(2, POLICY, at_once, half) == 1.5
    assert next_delay(9, POLICY, at_once, half) == 128.5


def test_an_unknown_host_is_final_after_three_attempts_but_a_failing_lookup_is_not():
    unknown = replace(REFUSED, code=-1003)
    assert next_delay(2, POLICY, unknown, half) is not None
    assert next_delay(3, POLICY, unknown, half) is None
    assert next_delay(30, POLICY, replace(REFUSED, code=-1006), half) is not None


def test_a_limit_on_attempts_holds_and_waiting_for_the_network_does_not_count():
    five = RetryPolicy(attempts=5)
    assert next_delay(4, five, REFUSED, half) is not None
    assert next_delay(5, five, REFUSED, half) is None
    assert next_delay(50, five, replace(REFUSED, retry=Retry.WAIT), half) is not None


def test_final_gives_up_and_restart_starts_at_once():
    assert next_delay(1, POLICY, replace(REFUSED, retry=Retry.FINAL), half) is None
    assert next_delay(1, POLICY, replace(REFUSED, retry=Retry.RESTART), half) == 0.0
