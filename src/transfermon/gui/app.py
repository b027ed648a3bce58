"""Starts the window: looks first whether this desktop can show one, and says in a sentence what is
missing.

Rule: nothing of Qt is imported before the looking is done, so that a missing library is a sentence
and never Qt's abort.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from transfermon.gui.launch import NOTHING, Asked, another_shows
from transfermon.model.errors import TransfermonError
from transfermon.storage.settings import ensure_private, state_folder

if TYPE_CHECKING:  # handed through
    from transfermon.host.script import Script

UNUSABLE = 2  # what is wrong before a task exists
PACKAGES = (
    "libgl1 libegl1 libglib2.0-0 libdbus-1-3 libfontconfig1 libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 "
    "libxcb-shape0 libxkbcommon-x11-0"
)
_LIBRARY = re.compile(r"(lib[\w.+-]+\.so[.\d]*): cannot open shared object file")


def run(
    state_dir: str | None = None,
    *,
    demo: bool = False,
    minimized: bool = False,
    script: Script | None = None,
    asked: Asked = NOTHING,
) -> int:
    """The whole life of the app; its exit code. With `demo` the state is the demo's own, fresh one.

    Raises EngineBusyError when there is a `script` and an engine runs already.
    """
    problem = display_problem(os.environ, sys.platform) or plugin_problem(os.environ, sys.platform)
    if problem:
        return _unusable(problem)
    try:
        folder = _folder(state_dir, demo=demo)
        if script is None and another_shows(folder, asked):
            return 0
        from transfermon.gui import app_life
    except ImportError as exc:
        problem = missing_library(str(exc))
        if not problem:
            raise
        return _unusable(problem)
    except TransfermonError as exc:
        return _unusable(f"{exc.title} {exc.hint}".strip())
    return app_life.run(folder, demo=demo, minimized=minimized, script=script, asked=asked)


def display_problem(environment: Mapping[str, str], platform: str) -> str:
    """Why there is nothing to show a window on; "" when there is."""
    if not platform.startswith("linux"):
        return ""
    if any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")):
        return ""
    return "There is no display here: neither DISPLAY nor WAYLAND_DISPLAY is set. `transfermon get` works without one."


def plugin_problem(environment: Mapping[str, str], platform: str) -> str:
    """Which library Qt's X11 part misses, and how to get it; "" when it loads or is not needed."""
    chosen = environment.get("QT_QPA_PLATFORM", "xcb")
    wayland = bool(environment.get("WAYLAND_DISPLAY")) and "QT_QPA_PLATFORM" not in environment
    if not platform.startswith("linux") or wayland or not chosen.startswith("xcb"):
        return ""
    found = importlib.util.find_spec("PySide6")
    if found is None or not found.submodule_search_locations:
        return ""
    plugin = os.path.join(
        found.submodule_search_locations[0], "Qt", "plugins", "platforms", "libqxcb.so"
    )
    if not os.path.exists(plugin):
        return ""
    try:
        ctypes.CDLL(plugin)
    except OSError as exc:
        return missing_library(str(exc))
    return ""


def missing_library(text: str) -> str:
    """The sentence for what the loader says; "" when it is about something else."""
    match = _LIBRARY.search(text)
    if match is None:
        return ""
    return (
        f"The window needs the system library {match.group(1)}. On Debian and Ubuntu: "
        f"sudo apt-get install -y --no-install-recommends {PACKAGES}"
    )


def _folder(state_dir: str | None, *, demo: bool) -> str:
    if demo:
        from transfermon.videofarm.demo import fresh_folder

        return fresh_folder(state_dir)
    folder = state_folder(state_dir)
    ensure_private(folder)
    return folder


def _unusable(sentence: str) -> int:
    sys.stderr.write(f"transfermon: {sentence}\n")
    return UNUSABLE
