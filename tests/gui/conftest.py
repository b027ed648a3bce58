"""Widgets of one test are gone before the next."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QCoreApplication, QEvent


@pytest.fixture(autouse=True)
def _widgets_die_on_this_thread() -> Iterator[None]:
    # What a test leaves behind would else be collected whenever Python likes, and on whichever
    # thread runs then: a timer that dies on another thread than its own is a warning of Qt's, and
    # may be a crash.
    yield
    if QCoreApplication.instance() is not None:
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        gc.collect()
