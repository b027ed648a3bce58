"""Whether the desktop starts the app at login: a file in the XDG autostart folder.

Rule: the file is ours alone and written whole; what a person or the desktop has changed in it is
respected when it is read, and replaced when it is set.
"""

from __future__ import annotations

import configparser
import contextlib
import os
import sys
from collections.abc import Sequence

from transfermon.model.lazy_pattern import lazy_pattern
from transfermon.storage.settings import write_whole

NAME = "transfermon.desktop"
_RESERVED = lazy_pattern(r"""[\s"'\\><~|&;$*?#()`=%]""")
_IN_QUOTES = lazy_pattern(r'(["`$\\])')
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def autostart_path() -> str:
    """Where the file is. A relative XDG_CONFIG_HOME counts as none, as the specification
    wants it.
    """
    config = os.environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(config):
        config = os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(config, "autostart", NAME)


def is_autostarted() -> bool:
    """Whether the app starts at login. An entry that is hidden, or that the desktop has switched
    off, does not.
    """
    found = _entry()
    return bool(found) and not (
        _says(found, "Hidden", "true") or _says(found, "X-GNOME-Autostart-enabled", "false")
    )


def starts_minimized() -> bool:
    """Whether it starts in the tray then. Where there is no tray, `gui --minimized` never hides the
    window.
    """
    return "--minimized" in _entry().get("Exec", "").split()


def set_enabled(on: bool, *, minimized: bool) -> None:
    """Start the app at each login from now on, or never. Raises OSError when that cannot be
    written.
    """
    if not on:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(autostart_path())
        return
    words = [*start_command(), "gui", *(["--minimized"] if minimized else [])]
    os.makedirs(os.path.dirname(autostart_path()), mode=0o700, exist_ok=True)
    write_whole(autostart_path(), desktop_entry(words).encode("utf-8", "surrogateescape"))


def start_command() -> list[str]:
    """How this installation is started, whatever PATH and folder the session begins with."""
    script = os.path.join(os.path.dirname(sys.executable), "transfermon")
    if os.access(script, os.X_OK):
        return [script]
    # -P: not one that lies in the current folder
    return [sys.executable, "-P", "-m", "transfermon"]


def desktop_entry(words: Sequence[str]) -> str:
    """The text of a desktop entry that runs these words."""
    return "\n".join(
        (
            "[Desktop Entry]",
            "Type=Application",
            "Name=Transfermon",
            "Comment=Goes on with the transfers after login",
            f"TryExec={_escaped(words[0])}",
            f"Exec={exec_line(words)}",
            "Icon=transfermon",
            "Terminal=false",
            "X-GNOME-Autostart-enabled=true",
            "",
        )
    )


def exec_line(words: Sequence[str]) -> str:
    """The value of the key Exec: each word quoted where it must be, then escaped as every string of
    an entry is.
    """
    return _escaped(" ".join(map(_quoted, words)))


def _quoted(word: str) -> str:
    doubled = word.replace("%", "%%")  # a single one would be a field code
    if word and not _RESERVED.search(word):
        return doubled
    return '"' + _IN_QUOTES.sub(r"\\\1", doubled) + '"'


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(letter, letter) for letter in text)


def _entry() -> dict[str, str]:
    """The keys of the file's main group; none when there is no such file, or it cannot be read."""
    parser = configparser.RawConfigParser(delimiters=("=",), comment_prefixes=("#",), strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        with open(autostart_path(), encoding="utf-8", errors="surrogateescape") as file:
            parser.read_file(file)
        return dict(parser["Desktop Entry"])
    except (OSError, KeyError, configparser.Error):
        return {}


def _says(found: dict[str, str], key: str, value: str) -> bool:
    return found.get(key, "").strip().lower() == value
