"""Where things live, and the preferences on disk.

Rule: everything here is owner-only (0700, 0600), written whole or not at all (W14), and a damaged
file is set aside, never trusted and never lost.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import stat
from dataclasses import field
from functools import cache
from typing import Any, Self

from transfermon.model import json_text
from transfermon.model.checked_text import is_text
from transfermon.model.errors import StateError
from transfermon.model.option_table import MOST_CONNECTIONS
from transfermon.model.record import record

ENVIRONMENT = "TRANSFERMON_STATE_DIR"
NEVER = -1.0  # JSON has no infinity


def state_folder(given: str | None = None) -> str:
    """The absolute path of the state directory: as given, else from the environment, else the
    user's own.
    """
    chosen = given or os.environ.get(ENVIRONMENT)
    if not chosen:
        import platformdirs  # 20 ms that a command with --state-dir does not pay

        chosen = platformdirs.user_state_dir("transfermon", appauthor=False)
    return os.path.abspath(os.path.expanduser(chosen))


@cache
def download_folder() -> str:
    """The desktop's folder for downloads, as it was at first look; it is made when the first file
    arrives.
    """
    import platformdirs

    return platformdirs.user_downloads_dir()


def ensure_private(folder: str) -> None:
    """Make the folder if it is missing, owner-only. Raises StateError when it is a link, someone
    else's, or cannot be made or written (R12).
    """
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        found = os.lstat(folder)
    except OSError as exc:
        raise StateError(
            f"The state folder {folder} cannot be made: {exc.strerror}.",
            "Choose another with --state-dir.",
        ) from exc
    if not stat.S_ISDIR(found.st_mode):
        raise StateError(
            f"The state folder {folder} is not a folder.", "Choose another with --state-dir."
        )
    if found.st_uid != os.getuid():
        raise StateError(
            f"The state folder {folder} belongs to another user.",
            "Choose another with --state-dir.",
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        # where there are no rights, nothing can be closed: `open_to_others`
        with contextlib.suppress(OSError):
            os.chmod(folder, 0o700)
    if not os.access(folder, os.W_OK):
        raise StateError(
            f"The state folder {folder} is read-only.", "Choose another with --state-dir."
        )


def open_to_others(folder: str) -> str:
    """A sentence where the state folder cannot be closed to other users: NTFS, FAT and the like
    keep no rights.
    """
    try:
        is_open = stat.S_IMODE(os.stat(folder).st_mode) & 0o077
    except OSError:
        return ""
    if not is_open:
        return ""
    return f"Other users of this computer can read the state folder {folder}: its disk keeps no rights."


def write_whole(path: str, data: bytes) -> None:
    """Replace a small file so that a crash leaves the old or the new one, never a piece (W14)."""
    folder = os.path.dirname(path)
    temporary = f"{path}.tmp"  # always the same: the next save takes away what a crash has left
    fd = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    try:
        with open(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder_fd)
    finally:
        os.close(folder_fd)


def keep_whole(path: str, data: bytes) -> None:
    """As `write_whole`; a file that has that content already costs no write."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        if file.read() == data:
            os.chmod(path, 0o600)
            return
    write_whole(path, data)


@record
class Settings:
    """Preferences. Changes are made with `replaced`, which also saves."""

    path: str = ""  # where they are kept; "" keeps them in memory
    theme: str = "system"  # or "light", "dark"
    close_to: str = "ask"  # or "tray", "quit"
    download_folder: str = ""  # "": the desktop's
    running_tasks: int = 8  # over all sessions
    connections_per_host: int = 0  # for sessions without a number of their own; 0: automatic
    connections: int = 0  # at once for one file; 0: as many as help
    speed_limit: int = 0  # bytes per second over all; 0: none
    # when the app's process dies, a process without a window goes on
    keep_transferring: bool = True
    keep_after_quit: str = "ask"  # or "yes", "no": whether it goes on after a quit, too
    # of a transfer of the app's own sessions before it counts as failed; 0: until its time is over
    attempts: int = 0
    inhibit_sleep: bool = True  # whether the computer stays awake while transfers run
    notify: str = "batch"  # or "task", "session", "off"
    notify_background_start: bool = True
    # whether banners name files and sessions; a locked screen shows them to everybody
    notify_names: bool = True
    # whether a finished file's extended attributes say where it came from
    note_origin: bool = False
    videofarm_url: str = ""  # where a background fetch asks for new videos
    background_modes: tuple[str, ...] = ("fetch", "remote-notification")
    # seconds between two background fetches as asked for; below 0: never (B-08)
    fetch_interval: float = NEVER
    # wakes by hand are always delivered; "strict": the limits hold for them, too
    wake_policy: str = "teach"
    push_enabled: bool = False  # whether the push channel listens
    push_server: str = "https://ntfy.sh"
    # whoever knows one can push: a random one is made when it is switched on
    push_topics: tuple[str, ...] = ()
    push_hosts: tuple[str, ...] = ()  # where pushes may start downloads from without a question
    push_folder: str = ""  # for what pushes bring; "": the download folder
    # of one download that a push has started; 0: any length
    push_maximum_bytes: int = 4_000_000_000
    # "host:port" that addresses given by others may reach although private
    allowed_hosts: tuple[str, ...] = ()
    # what in the file cannot be used, a sentence each
    faults: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def load(cls, path: str) -> Self:
        """From disk; defaults where there is no file or a value is not usable: `faults` says which.
        A damaged file becomes `settings.json.damaged`.
        """
        try:
            return cls.look(path)
        except (ValueError, OSError):
            with contextlib.suppress(OSError):
                os.replace(path, path + ".damaged")
            said = f"The settings could not be read and are the defaults; what was there is in {path}.damaged."
            return cls(path=path, faults=(said,))

    @classmethod
    def look(cls, path: str) -> Self:
        """The same, and nothing is touched. Raises ValueError for a damaged file, OSError for one
        that cannot be read.
        """
        try:
            with open(path, "rb") as file:
                stored = json_text.loads(file.read())
        except FileNotFoundError:
            return cls(path=path)
        if not isinstance(stored, dict):
            raise ValueError("not an object")
        if stored.get("format", 1) == 1 and stored.get("connections_per_host") == OLD_CONNECTIONS:
            del stored["connections_per_host"]  # nobody set it: that was the default
        usable, faults = _usable(cls, stored)
        return cls(path=path, faults=faults, **usable)

    def replaced(self, **changes: Any) -> Self:
        """These settings with changes, saved when they have a path. Raises OSError when they cannot
        be saved.
        """
        new = dataclasses.replace(self, faults=(), **changes)
        if new.path:
            stored = {
                key: value
                for key, value in dataclasses.asdict(new).items()
                if key not in _NOT_STORED
            }
            stored["format"] = FORMAT
            write_whole(new.path, json.dumps(stored, indent=2).encode())
        return new


FORMAT = 2  # of the file: 1 knew no automatic number of connections
OLD_CONNECTIONS = 3  # to one host, the default of format 1
_NOT_STORED = frozenset({"path", "faults"})
_WORDS = {  # the only values there are
    "theme": ("system", "light", "dark"),
    "close_to": ("ask", "tray", "quit"),
    "keep_after_quit": ("ask", "yes", "no"),
    "notify": ("batch", "task", "session", "off"),
    "wake_policy": ("teach", "strict"),
}
_LEAST = {  # bounds of numbers
    "running_tasks": 1,
    "connections_per_host": 0,
    "connections": 0,
    "speed_limit": 0,
    "attempts": 0,
    "push_maximum_bytes": 0,
}
_MOST = {"running_tasks": 1_000, "connections_per_host": 1_000, "connections": MOST_CONNECTIONS}
_LARGEST = 1 << 62


def is_usable(name: str, value: object) -> bool:
    """Whether a setting can have that value, which has the type of its default."""
    if isinstance(value, bool):
        return True
    if isinstance(value, int | float):
        least, most = _LEAST.get(name, -_LARGEST), _MOST.get(name, _LARGEST)
        return math.isfinite(value) and least <= value <= most
    if isinstance(value, tuple):
        return all(isinstance(one, str) and is_text(one) for one in value)
    return (
        isinstance(value, str)
        and "\0" not in value
        and is_text(value)
        and value in _WORDS.get(name, (value,))
    )


def _usable(cls: type[Settings], stored: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The stored values that can be used, and a sentence for each of the others."""
    out: dict[str, Any] = {}
    faults = []
    for item in dataclasses.fields(cls):
        if item.name in _NOT_STORED or item.name not in stored:
            continue
        value = stored[item.name]
        if isinstance(item.default, tuple) and isinstance(value, list):
            value = tuple(value)
        if isinstance(item.default, float) and type(value) is int:
            value = float(value) if abs(value) <= _LARGEST else math.inf
        if type(value) is type(item.default) and is_usable(item.name, value):
            out[item.name] = value
        else:
            shown = json.dumps(stored[item.name])[:40]
            used = json.dumps(item.default)
            faults.append(f"The setting “{item.name}” cannot be {shown}; {used} is used.")
    return out, tuple(faults)
