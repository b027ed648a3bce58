"""The small process behind the app that becomes the engine when the app is gone, however that
happens.

Rule: it is started and ended while the engine lock is held. What it runs is `standby_wait.py`, and
that becomes `transfermon standby` by exec.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from transfermon.host.windowless import is_busy

if TYPE_CHECKING:  # handed in
    from transfermon.engine.monitor import Monitor

log = logging.getLogger(__name__)

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "standby_wait.py")
LOCK = "standby.lock"
ENDING = 2.0  # seconds that a waiter may take to end


class Waiter:
    """The small process that becomes the engine when this one is gone, however that happens."""

    def __init__(self, state_dir: str) -> None:
        self._state_dir = state_dir
        self._process: subprocess.Popen[bytes] | None = None
        self._watch = -1  # a descriptor of the process: readable when it has ended

    def __repr__(self) -> str:
        return f"<Waiter {self._state_dir} pid={self.pid}>"

    @property
    def pid(self) -> int | None:
        """None when it does not run; it does not where one of an earlier owner waits already."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """A no-op while it runs. Raises OSError when no process can be made."""
        if self._process is not None:
            return
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", SCRIPT, self._state_dir],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # the end of our terminal is not its end
            cwd="/",
        )
        if hasattr(os, "pidfd_open"):  # else it stays a zombie until `end`, when it ends first
            self._watch = os.pidfd_open(self._process.pid)
            asyncio.get_running_loop().add_reader(self._watch, self._reap)

    def _reap(self) -> None:
        self._forget()
        if self._process is not None:
            self._process.wait()
            self._process = None

    def _forget(self) -> None:
        if self._watch >= 0:
            asyncio.get_running_loop().remove_reader(self._watch)
            os.close(self._watch)
            self._watch = -1

    async def end(self) -> None:
        """Nobody waits any more, one of an earlier owner included. Call it before the engine lock
        is let go.
        """
        self._forget()
        process, self._process = self._process, None
        if process is not None:
            process.terminate()  # ends it at once, also inside flock
            await asyncio.to_thread(process.wait)
        if not await asyncio.to_thread(_end_waiting, self._state_dir):
            log.warning("a standby still waits for %s", self._state_dir)

    def leave(self) -> None:
        """It goes on: this process ends and the transfers do not."""
        self._forget()
        if self._process is not None:
            self._process.returncode = 0  # not ours any more, and nothing to warn of
            self._process = None


def _end_waiting(state_dir: str) -> bool:
    """End the one that holds `standby.lock`, whoever started it; False when it does not end."""
    try:
        fd = os.open(os.path.join(state_dir, LOCK), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return True  # there never was one
    deadline = time.monotonic() + ENDING
    try:
        while not _takes(fd):
            if time.monotonic() > deadline:
                return False
            _terminate(fd)
            time.sleep(0.01)
        return True
    finally:
        os.close(fd)


def _takes(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _terminate(fd: int) -> None:
    """Only while the lock is held by the process that the file names: a number may have become
    another's.
    """
    text = os.pread(fd, 20, 0)
    if not text.isdigit() or not hasattr(os, "pidfd_open"):
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        process = os.pidfd_open(int(text))
        try:
            if not _takes(fd) and os.pread(fd, 20, 0) == text:
                signal.pidfd_send_signal(process, signal.SIGTERM)
                select.select([process], [], [], ENDING)
        finally:
            os.close(process)


def goes_on(monitor: Monitor, *, crashed: bool) -> bool:
    """Whether a waiter takes over when the app ends now. After a crash it does; after a quit if the
    person wants it; not when another engine asked for the state, or everything was to stop (B-07).
    """
    if monitor.released or monitor.force_quit:
        return False
    settings = monitor.settings
    if crashed:
        return settings.keep_transferring
    return (monitor.keep_going or settings.keep_after_quit == "yes") and is_busy(monitor)
