"""The app's own loop, for tests that run under anyio."""

from __future__ import annotations

import asyncio
from typing import Any

from PySide6.QtWidgets import QApplication

from transfermon.gui.toolkit.app_loop import new_loop

# kept: a Qt object must not be collected on another thread
_LOOPS: list[asyncio.AbstractEventLoop] = []


def qt_backend(app: QApplication) -> tuple[str, dict[str, Any]]:
    """What anyio wants to know of it. The loop does not end with the first window, as in the
    app.
    """
    app.setQuitOnLastWindowClosed(False)

    def loop() -> asyncio.AbstractEventLoop:
        _LOOPS.append(new_loop(app))
        return _LOOPS[-1]

    return "asyncio", {"loop_factory": loop}
