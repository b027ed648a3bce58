"""A start in the middle of finishing."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from transfermon.storage.finish_state import FinishState, drop_claim, finish_state
from transfermon.storage.part_names import remove_part


def a_finishing_pair(tmp_path: Path, part: bytes | None, final: bytes | None) -> tuple[str, str]:
    one, two = tmp_path / ".transfermon-0123456789abcdef.part", tmp_path / "final"
    if part is not None:
        one.write_bytes(part)
    if final is not None:
        two.write_bytes(final)
    return str(one), str(two)


@pytest.mark.parametrize(
    ("part", "final", "size", "state"),
    [
        (b"abc", None, 3, FinishState.REPEAT),
        (b"abc", b"abc", 3, FinishState.DONE_REMOVE_PART),
        (b"abc", b"xyz", 3, FinishState.REPEAT),
        (b"abc", b"", 3, FinishState.REPEAT),
        (None, b"abc", 3, FinishState.DONE),
        (None, b"abc", -1, FinishState.DONE),
        (None, b"abcd", 3, FinishState.MISSING),
        (None, None, 3, FinishState.MISSING),
    ],
)
def test_a_start_in_the_middle_of_finishing_knows_what_to_do(
    tmp_path: Path, part: bytes | None, final: bytes | None, size: int, state: FinishState
):
    assert finish_state(*a_finishing_pair(tmp_path, part, final), size=size) is state


def test_two_names_of_one_file_mean_that_only_the_part_name_is_left_over(tmp_path: Path):
    one, two = a_finishing_pair(tmp_path, b"abc", None)
    os.link(one, two)
    assert finish_state(one, two, size=3) is FinishState.DONE_REMOVE_PART
    assert remove_part(one) is True
    assert Path(two).read_bytes() == b"abc"


def test_a_known_digest_decides_whether_the_final_file_is_ours(tmp_path: Path):
    one, two = a_finishing_pair(tmp_path, None, b"abc")
    right = "sha-256:" + hashlib.sha256(b"abc").hexdigest()
    assert finish_state(one, two, size=3, digest=right) is FinishState.DONE
    assert finish_state(one, two, size=3, digest="sha-256:" + "0" * 64) is FinishState.MISSING


@pytest.mark.parametrize(
    ("claim", "age", "dropped"),
    [(b"", 0, True), (b"", 60, False), (b"x", 0, False), (None, 0, False)],
)
def test_only_an_empty_file_that_is_no_older_than_the_part_is_a_claim_of_ours(
    tmp_path: Path, claim: bytes | None, age: int, dropped: bool
):
    part, final = tmp_path / "part", tmp_path / "a.bin"
    part.write_bytes(b"abc")
    if claim is not None:
        final.write_bytes(claim)
        os.utime(final, ns=(0, part.stat().st_mtime_ns - age * 1_000_000_000))
    assert drop_claim(str(part), str(final)) == dropped
    assert final.exists() == (claim is not None and not dropped)
