from __future__ import annotations

import os
from pathlib import Path

import pytest

from transfermon.model.errors import TransferFailure
from transfermon.storage import name_trial

MARK = "abcdef0123"


@pytest.mark.parametrize(
    ("name", "given", "overwrite", "tried"),
    [
        ("plain.zip", False, False, ("plain.zip",)),
        ("naïve.zip", False, False, ("naïve.zip", "naive.zip")),
        ("naïve.zip", True, False, ("naïve.zip",)),
        ("文.zip", False, False, ("文.zip", "_.zip")),
        ("é" * 120 + ".zip", True, False, ("é" * 120 + ".zip", "é" * 64 + ".zip")),
        ("é" * 120 + ".zip", True, True, ("é" * 120 + ".zip",)),
    ],
)
def test_what_a_person_named_is_shortened_at_most(
    name: str, given: bool, overwrite: bool, tried: tuple[str, ...]
):
    assert name_trial.candidates(name, given=given, overwrite=overwrite) == tried


def test_the_first_name_that_fits_is_taken_and_nothing_stays(tmp_path: Path):
    assert name_trial.first_fit(str(tmp_path), ["x" * 300, "fits", "too"]) == "fits"
    assert name_trial.first_fit(str(tmp_path), ["x" * 300]) == ""
    assert os.listdir(tmp_path) == []


def test_a_file_of_that_name_is_not_touched(tmp_path: Path):
    (tmp_path / "mine").write_bytes(b"mine")
    assert name_trial.first_fit(str(tmp_path), ["mine"]) == "mine"
    assert (tmp_path / "mine").read_bytes() == b"mine"


def test_where_nothing_can_be_tried_the_real_attempt_says_why(tmp_path: Path):
    assert name_trial.first_fit(str(tmp_path / "missing"), ["x" * 300]) == "x" * 300


@pytest.mark.parametrize("name", ["half \ud800.bin", "x" * 256])
def test_a_name_that_cannot_be_is_refused_in_words(tmp_path: Path, name: str):
    with pytest.raises(TransferFailure) as caught:
        name_trial.Targets().settled(str(tmp_path), name, given=True, overwrite=True)
    assert (caught.value.error.code, caught.value.error.reason) == (-3000, "disk.name")


def test_a_folder_is_not_replaced_by_a_file(tmp_path: Path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(TransferFailure, match="A folder has the name"):
        name_trial.Targets().settled(str(tmp_path), "taken", given=True, overwrite=True)
    assert (
        name_trial.Targets().settled(str(tmp_path), "taken", given=True, overwrite=False) == "taken"
    )


def test_ordinary_names_are_tried_once_in_a_folder_and_others_each_time(tmp_path: Path):
    settling = name_trial.Targets()

    def looked(name: str) -> bool:
        before = tmp_path.stat().st_mtime_ns
        os.utime(tmp_path, ns=(1, 1))
        assert settling.settled(str(tmp_path), name, given=False, overwrite=False) == name
        return tmp_path.stat().st_mtime_ns not in (1, before)

    names = ["naïve.zip", "a.zip", "b.zip", "naïve.zip", "long" * 20, "c_1-2.tar.gz"]
    assert not settling.is_proven(str(tmp_path))
    assert [looked(name) for name in names] == [True, True, False, True, True, False]
    assert settling.is_proven(str(tmp_path))
    assert [name_trial.is_ordinary(name) for name in names] == [
        False,
        True,
        True,
        False,
        False,
        True,
    ]


def test_what_a_crash_left_is_swept_and_nothing_else(tmp_path: Path):
    for mark in ("abcdef", "123456"):
        trial = tmp_path / f".transfermon-{mark}0123456789.try"
        trial.mkdir()
        (trial / "name.zip").touch()
    theirs = tmp_path / ".transfermon-abcdef0123456788.try"
    theirs.mkdir()
    (theirs / "data").write_bytes(b"not empty")
    name_trial.sweep([str(tmp_path), str(tmp_path / "missing")], MARK)
    assert sorted(os.listdir(tmp_path)) == [".transfermon-1234560123456789.try", theirs.name]
    assert os.listdir(theirs) == ["data"]
