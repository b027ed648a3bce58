"""Part files by their names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from transfermon.storage.part_file import PartFile
from transfermon.storage.part_names import remove_part


def test_removing_by_path_takes_only_parts_of_ours(tmp_path: Path):
    part = PartFile.create(str(tmp_path))
    part.close()
    assert remove_part(part.path) is True
    assert remove_part(part.path) is False
    (tmp_path / "precious").write_text("x")
    with pytest.raises(ValueError):
        remove_part(str(tmp_path / "precious"))
    os.mkdir(part.path)
    assert remove_part(part.path) is False
    assert os.path.isdir(part.path)
