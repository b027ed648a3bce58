"""A file in memory, for bytes that are compared and thrown away."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from transfermon.model.errors import Code
from transfermon.storage.disk_failures import disk_failure


@contextlib.contextmanager
def memory_file() -> Iterator[int]:
    """An open one; it is gone afterwards. Raises TransferFailure -3001 where too many are open."""
    try:
        fd = os.memfd_create("transfermon", os.MFD_CLOEXEC)
    except OSError as error:
        raise disk_failure(error, Code.CANNOT_OPEN_FILE, "") from error
    try:
        yield fd
    finally:
        os.close(fd)
