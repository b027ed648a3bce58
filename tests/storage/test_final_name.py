"""The ways to a final name; `test_part_file` shows what comes of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from transfermon.storage.final_name import _link_and_unlink, _replace_placeholder
from transfermon.storage.linux_calls import rename_noreplace


@pytest.mark.parametrize("move", [rename_noreplace, _link_and_unlink, _replace_placeholder])
def test_every_way_to_the_final_name_refuses_a_name_that_is_taken(
    move: Callable[..., object], tmp_path: Path
):
    source, target = str(tmp_path / "part"), str(tmp_path / "final")
    Path(source).write_text("new")
    Path(target).write_text("old")
    with pytest.raises(FileExistsError):
        move(source, target, None)
    assert Path(target).read_text() == "old"
    os.unlink(target)
    move(source, target, None)
    assert Path(target).read_text() == "new"
    assert os.listdir(tmp_path) == ["final"]


def test_a_placeholder_that_could_not_be_replaced_is_taken_away(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        _replace_placeholder(str(tmp_path / "none"), str(tmp_path / "final"), None)
    assert os.listdir(tmp_path) == []
