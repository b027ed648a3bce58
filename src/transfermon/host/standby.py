"""`transfermon standby`: the engine that takes over when the app is gone.

Rule: an engine that is asked to release ends; it never waits again for the lock that it has just
let go, or it would have it back before the one who asked.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from functools import partial

from transfermon.host import windowless
from transfermon.host.hosting import Host
from transfermon.model.wake_policy import AppState
from transfermon.system.lock import EngineLock
from transfermon.system.notifier import Notifier
from transfermon.system.sleep import Sleep
from transfermon.system.stay_awake import Inhibitor

LOG = "standby.log"
WHAT = "transfermon standby"


def run(state_dir: str, lock_fd: int | None = None) -> int:
    """Be the engine until nothing is left to do, or somebody else wants to be it; the exit code.

    `lock_fd` is the engine lock, as the waiter got it. Without it the lock is taken now: raises
    EngineBusyError when there is an engine, StateError when the folder cannot be used.
    """
    lock = None
    if lock_fd is not None:
        lock = EngineLock.adopt(state_dir, lock_fd, WHAT)
        _log_to(os.path.join(state_dir, LOG))
    asyncio.run(Standby(state_dir, lock).live())
    return 0


def _log_to(path: str) -> None:
    """Nobody sees what a detached process prints."""
    import faulthandler

    try:
        fd = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
    except OSError:
        return  # a full disk: the transfers matter more
    stream = open(fd, "w", encoding="utf-8", errors="replace")  # noqa: SIM115 - for life
    logging.basicConfig(
        level=logging.WARNING,
        stream=stream,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    faulthandler.enable(stream)


class Standby:
    """One run of it."""

    def __init__(self, state_dir: str, lock: EngineLock | None = None) -> None:
        self._state_dir = state_dir
        self._lock = lock

    def __repr__(self) -> str:
        return f"<Standby {self._state_dir}>"

    async def live(self) -> None:
        host = Host()
        owning = host.owning(
            self._state_dir,
            WHAT,
            lock=self._lock,
            attached=False,
            inhibitor=Inhibitor(),
            sleep=Sleep(),
        )
        with host.heeding(signal.SIGINT, signal.SIGTERM):
            async with owning as monitor:
                monitor.presence.set_state(AppState.BACKGROUND)
                needed = partial(windowless.is_busy, monitor)
                if needed() and not host.ending:
                    await windowless.work_until_quiet(
                        host, monitor, self._notifier(), needed=needed, says_it_goes_on=True
                    )

    def _notifier(self) -> Notifier:
        icon = os.path.join(self._state_dir, "icon.png")  # the app leaves it there
        return Notifier(icon=icon if os.path.exists(icon) else "")
