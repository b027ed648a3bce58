"""Fixtures for every test."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # before PySide6 is imported


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
