"""What a disk refuses, in words."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from transfermon.model.errors import Retry
from transfermon.storage.disk_failures import disk_failure


def test_a_write_that_the_device_refuses_is_translated(tmp_path: Path):
    fd = os.open("/dev/full", os.O_RDWR)
    with pytest.raises(OSError) as caught:
        os.pwrite(fd, b"x", 0)
    os.close(fd)
    error = disk_failure(caught.value, -3003, str(tmp_path / "f")).error
    assert (error.code, error.reason, error.retry) == (-3003, "disk.full", Retry.WAIT)


@pytest.mark.parametrize("code", [-3000, -3001, -3003, -3004, -3005])
@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "disk.full"),
        (errno.EDQUOT, "disk.full"),
        (errno.EROFS, "disk.read-only"),
        (errno.EACCES, "disk.permission"),
        (errno.EPERM, "disk.permission"),
        (errno.ENOENT, "disk.missing-folder"),
        (errno.ENOTDIR, "disk.missing-folder"),
        (errno.EIO, "disk.io"),
        (errno.EMFILE, "sys.too-many-files"),
        (errno.ENAMETOOLONG, "disk.name"),
        (errno.EFBIG, "disk.too-large"),
    ],
)
def test_every_error_of_the_disk_has_a_reason_a_sentence_and_a_hint(
    code: int, number: int, reason: str
):
    error = disk_failure(OSError(number, os.strerror(number)), code, "/somewhere/else").error
    assert (error.code, error.reason) == (code, reason)
    assert error.message.endswith(".")
    assert error.hint.endswith(".")
