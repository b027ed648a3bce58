"""Life without the window: the waiter that the app starts, and the engine that takes over when the
app is gone.

Rule: an engine that is asked to release ends; it never waits again for the lock that it has just
let go, or it would have it back before the one who asked. The waiter is started and ended while the
engine lock is held.
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
from collections.abc import Iterator
from typing import TYPE_CHECKING

from transfermon.engine.start_conditions import LOGIN
from transfermon.host.announcer import Announcer
from transfermon.model.task import State, Task
from transfermon.model.wake_policy import AppState
from transfermon.system.lock import EngineLock
from transfermon.system.notifier import Notifier
from transfermon.system.sleep import Sleep
from transfermon.system.stay_awake import Inhibitor

if TYPE_CHECKING:  # the waiter's owner has these already, or does not need them
    from transfermon.control.server import ControlServer
    from transfermon.engine.monitor import Monitor

log = logging.getLogger(__name__)

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "standby_wait.py")
LOCK = "standby.lock"
LOG = "standby.log"
WHAT = "transfermon standby"
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
    return (monitor.keep_going or settings.keep_after_quit == "yes") and busy(monitor)


# ---- the engine without a window


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


def busy(monitor: Monitor) -> bool:
    """Whether something runs or will run by itself: a transfer, a wake-up, a notification that
    waits for its time. Paused transfers, and those that are asked for a password, wait for a
    person, who is not here.
    """
    if monitor.overview.running_progress() or monitor.background.open_handlers:
        return True
    if (
        monitor.background.expects
        or monitor.scheduled_notifications
        or monitor.settings.push_enabled
    ):
        return True
    return any(_goes_on(task) for session in monitor.sessions for task in session.tasks.records())


def _goes_on(task: Task) -> bool:
    return task.state in (State.RUNNING, State.CANCELING) and not (
        task.waiting and task.waiting_reason == LOGIN
    )


class Standby:
    """One run of the engine without a window."""

    def __init__(self, state_dir: str, lock: EngineLock | None = None) -> None:
        self._state_dir = state_dir
        self._lock = lock
        self._changed = asyncio.Event()
        self._done = False  # somebody asked for the end

    def __repr__(self) -> str:
        return f"<Standby {self._state_dir}>"

    async def live(self) -> None:
        from transfermon.engine.monitor import Monitor

        opened = Monitor.open(
            self._state_dir,
            what=WHAT,
            lock=self._lock,
            attached=False,
            inhibitor=Inhibitor(),
            sleep=Sleep(),
        )
        async with opened as monitor:
            monitor.presence.set_state(AppState.BACKGROUND)
            with self._signals():
                if busy(monitor):
                    await self._work(monitor)

    async def _work(self, monitor: Monitor) -> None:
        from transfermon.control.server import ControlServer
        from transfermon.videofarm.sync import VideoSync

        leave = monitor.subscribe(lambda _: self._changed.set())
        announcer = Announcer(monitor, self._notifier())
        sync = VideoSync(monitor)
        server = ControlServer(monitor)
        quitting = asyncio.create_task(monitor.quitting.wait())
        quitting.add_done_callback(self._end)
        try:
            await self._listen(server)  # before the transfers: the app may be back already
            monitor.ready()
            announcer.batches.tell_that_transfers_go_on(sum(map(_goes_on, monitor.tasks())))
            while not self._done and busy(monitor):
                await self._until_quiet(monitor)
                if not self._done:
                    await announcer.finish()
                await server.close()  # what was accepted until now is work again
                if not self._done and busy(monitor):
                    await self._listen(server)
        finally:
            quitting.cancel()
            leave()
            await announcer.close()
            await server.close()
            sync.close()

    def _end(self, _: object = None) -> None:
        self._done = True
        self._changed.set()

    async def _until_quiet(self, monitor: Monitor) -> None:
        while not self._done and busy(monitor):
            self._changed.clear()
            await self._changed.wait()

    async def _listen(self, server: ControlServer) -> None:
        try:
            await server.start()
        except OSError as exc:
            log.warning("no control socket: %s", exc)

    def _notifier(self) -> Notifier:
        icon = os.path.join(self._state_dir, "icon.png")  # the app leaves it there
        return Notifier(icon=icon if os.path.exists(icon) else "")

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        wanted = [
            number
            for number in (signal.SIGINT, signal.SIGTERM)
            if signal.getsignal(number) != signal.SIG_IGN
        ]
        for number in wanted:
            loop.add_signal_handler(number, self._end)
        try:
            yield
        finally:
            for number in wanted:
                loop.remove_signal_handler(number)
