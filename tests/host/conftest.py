"""Fixtures of the hosts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from transfermon.storage.settings import ensure_private
from transfermon.system.lock import EngineLock


@pytest.fixture
def state(tmp_path: Path) -> str:
    folder = str(tmp_path / "state")
    ensure_private(folder)
    return folder


@pytest.fixture
def held(state: str) -> Iterator[EngineLock]:
    """The engine lock, so that a waiter waits."""
    lock = EngineLock.acquire(state, "a test")
    yield lock
    lock.release()
