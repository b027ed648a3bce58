"""`transfermon run --headless`: the engine without a window that a script runs in.

Rule: it lasts as long as the script needs it, or something goes on by itself.
"""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from transfermon.host.hosting import Host
from transfermon.host.script import Script
from transfermon.host.terminal import DONE, INTERRUPTED, complain
from transfermon.model.wake_policy import AppState
from transfermon.text import advice

if TYPE_CHECKING:  # the engine is loaded when it is clear that there is none yet
    from transfermon.engine.monitor import Monitor
    from transfermon.system.notifier import Notifier

LAST_WORDS = 2.0  # seconds that banners get when the end is wanted: a window may wait for the lock


def run_headless(state_dir: str, script: Script) -> int:
    """Be the engine, without a window, for as long as the script needs one; the exit code.

    It ends by itself when no transfer is left to wait for, no handler is open, the script listens
    neither to fetches nor to pushes, and its `main` has ended. Raises EngineBusyError when there is
    an engine, StateError when the folder cannot be used.
    """
    return asyncio.run(Headless(state_dir, script).live())


class Headless:
    """One run."""

    def __init__(self, state_dir: str, script: Script, notifier: Notifier | None = None) -> None:
        self._state_dir = state_dir
        self._script = script
        self._notifier = notifier  # None: that of the desktop

    def __repr__(self) -> str:
        return f"<Headless {self._script!r}>"

    async def live(self) -> int:
        from transfermon.system.stay_awake import COMMAND, Inhibitor

        host, script = Host(), self._script
        what, inhibitor = f"transfermon run {script.name}", Inhibitor(after=COMMAND)
        with host.heeding(signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            async with host.owning(self._state_dir, what, inhibitor=inhibitor) as monitor:
                monitor.presence.set_state(AppState.BACKGROUND)
                try:
                    if not host.ending and script.begin(monitor):
                        await self._work(host, monitor)
                finally:
                    script.on_ended = None
                    await script.end()
                stopped, left = host.signalled, advice.left_of(monitor.tasks())
                if monitor.released:
                    complain(
                        "Another transfermon has taken the transfers over; the script has ended.",
                        code=DONE,
                    )
        if stopped:
            return complain(advice.stopped(left), code=INTERRUPTED)
        return script.code

    async def _work(self, host: Host, monitor: Monitor) -> None:
        from transfermon.host import windowless
        from transfermon.system.notifier import Notifier

        def needed() -> bool:
            return (
                self._script.running
                or self._script.listens
                or monitor.presence.suspended
                or windowless.is_busy(monitor)
            )

        self._script.on_ended = host.changed.set
        await windowless.work_until_quiet(
            host, monitor, self._notifier or Notifier(), needed=needed, last_words=LAST_WORDS
        )
