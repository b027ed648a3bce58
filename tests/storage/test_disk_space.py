"""What of a disk may still be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from transfermon.model.errors import TransferFailure
from transfermon.storage.disk_space import free_space


def test_free_space_of_a_missing_folder_fails_in_words(tmp_path: Path):
    with pytest.raises(TransferFailure) as caught:
        free_space(str(tmp_path / "none"))
    assert caught.value.code == -3000
