"""What is said under a failure, by what follows it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import transfermon
from tests.helpers.records import a_queued_task
from transfermon.model.errors import Retry, TransferError
from transfermon.model.task import PLAIN_UPLOAD, Kind, UploadResource, changed
from transfermon.text.advice import Decision, hint, kept_of, stopped

LOST = TransferError(
    code=-1005, message="h ended the connection too early.", reason="net.closed", retry=Retry.RETRY
)
FULL = TransferError(
    code=-3003,
    message="The disk is full.",
    reason="disk.full",
    hint="Free some space.",
    retry=Retry.WAIT,
)
MISSING = TransferError(
    code=-1011, message="The server answered 404: not found.", hint="Check the address."
)
BARE = TransferError(code=-1011, message="The server answered 418: it refuses the request.")
RECEIVED = "What was received (600 kB) is kept, and a retry goes on with it."


@pytest.mark.parametrize(
    ("error", "decision", "kept", "said"),
    [
        (LOST, Decision.RETRY, 600_000, "It is tried again by itself."),
        (LOST, Decision.END, 600_000, f"Try again later. {RECEIVED}"),
        (LOST, Decision.END, 0, "Try again later."),
        (LOST, Decision.WAIT, 0, "It goes on by itself."),
        (FULL, Decision.WAIT, 600_000, "Free some space. It goes on by itself then."),
        (FULL, Decision.RETRY, 0, "Free some space. It is tried again by itself."),
        (FULL, Decision.END, 600_000, f"Free some space. {RECEIVED}"),
        (FULL, Decision.END, 0, "Free some space."),
        (FULL, Decision.RESTART, 0, "Free some space. It is begun again at once."),
        (MISSING, Decision.END, 0, "Check the address."),
        (MISSING, Decision.END, 600_000, f"Check the address. {RECEIVED}"),
        (BARE, Decision.END, 0, ""),
    ],
)
def test_the_hint_follows_from_the_failure_and_what_comes_next(error, decision, kept, said):
    assert hint(error, decision, kept=kept) == said


def test_an_upload_says_what_the_server_has():
    assert hint(LOST, Decision.END, kept=600_000, kind=Kind.UPLOAD) == (
        "Try again later. The server has 600 kB of it, and a retry goes on there."
    )


def test_only_what_a_retry_goes_on_with_counts_as_kept():
    task = changed(
        a_queued_task(), part_path="/d/.transfermon-0011223344556677.part", received=600_000
    )
    assert kept_of(task) == 600_000
    assert kept_of(changed(task, not_resumable="The server does not support ranges.")) == 0
    assert kept_of(changed(task, part_path="")) == 0
    sent = changed(task, kind=Kind.UPLOAD, sent=600_000)
    assert kept_of(sent) == 0
    upload = UploadResource(protocol="tus", url="http://h/1", length=1_000_000, offset=500_000)
    assert kept_of(changed(sent, upload=upload)) == 500_000


MANY = (
    "Stopped. The same command goes on; "
    + ", ".join(f"{name} starts from zero" for name in "abc")
    + " and others do, too."
)


@pytest.mark.parametrize(
    ("left", "said"),
    [
        ([], "Stopped. What is there is kept; the same command goes on."),
        ([("a", 0, "no")], "Stopped. What is there is kept; the same command goes on."),
        ([("a", 5, "")], "Stopped. What is there is kept; the same command goes on."),
        (
            [("a", 5, ""), ("b", 5, PLAIN_UPLOAD)],
            "Stopped. The same command goes on; b starts from zero.",
        ),
        ([(name, 5, PLAIN_UPLOAD) for name in "abcd"], MANY),
    ],
)
def test_a_stopped_command_promises_only_what_is_kept(left, said):
    assert stopped(left) == said


PROMISES = (
    "tried again by itself",
    "goes on by itself",
    "asked again by itself",
    "is kept",
    "then goes on",
)


def test_no_failure_says_what_follows_it_where_it_is_made():
    """Every text of a failure stands beside the word `hint` or in a call of it: none of them
    promises anything.
    """
    found = []
    for path in Path(transfermon.__file__).parent.rglob("*.py"):
        if path.name == "advice.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                texts = [
                    item
                    for item in ast.walk(node)
                    if isinstance(item, ast.Constant) and _is_failure(node)
                ]
                found += [
                    f"{path.name}:{text.lineno} {text.value!r}"
                    for text in texts
                    if _promises(text.value)
                ]
    assert found == []


def _is_failure(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name in (
        "TransferError",
        "TransferFailure",
        "refused",
        "_failure",
        "_say",
        "say",
        "_bad",
        "partial",
    ) or any(keyword.arg == "hint" for keyword in call.keywords)


def _promises(text: object) -> bool:
    return isinstance(text, str) and any(promise in text for promise in PROMISES)
