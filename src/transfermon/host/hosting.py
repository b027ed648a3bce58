"""How a process is the engine: who may end it, how the state becomes its own, and how commands
reach it. The window, the standby, `transfermon run`, `get` and a command's own engine all do it so.

Rule: signals, `quit` and `release` only ask for the end; the host puts things down itself. The
control socket is gone before it is decided that nothing is left, and the lock is let go last.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING

from transfermon.host.terminal import DONE, complain
from transfermon.model.errors import EngineBusyError

if TYPE_CHECKING:  # loaded when there is an engine to host: the window shows before, and a command to a running one needs none
    from transfermon.control.api import Api
    from transfermon.control.server import ControlServer
    from transfermon.engine.monitor import Monitor
    from transfermon.storage.settings import Settings
    from transfermon.system.lock import EngineLock
    from transfermon.system.sleep import Sleep
    from transfermon.system.stay_awake import Inhibitor

log = logging.getLogger(__name__)
_OBJECTS = 50_000  # new ones between two looks for cycles


class Host:
    """One process, from before it is the engine to after. It belongs to the loop that runs."""

    def __init__(self) -> None:
        self.end_wanted = asyncio.Event()  # by a signal, a command, a person or the host itself
        # an event of the engine, or that wish: there is something to look at
        self.changed = asyncio.Event()
        self.signalled = False

    def __repr__(self) -> str:
        return f"<Host{' ending' if self.ending else ''}{' signalled' if self.signalled else ''}>"

    @property
    def ending(self) -> bool:
        return self.end_wanted.is_set()

    def end(self) -> None:
        """Ask for it: whoever waits for `end_wanted` or `changed` goes on."""
        self.end_wanted.set()
        self.changed.set()

    @contextlib.contextmanager
    def heeding(self, *signals: signal.Signals) -> Iterator[None]:
        """These ask for the end while the block lasts. One that was ignored before stays ignored:
        nohup stays nohup.
        """
        loop = asyncio.get_running_loop()
        wanted = [number for number in signals if signal.getsignal(number) != signal.SIG_IGN]
        for number in wanted:
            loop.add_signal_handler(number, self._signal)
        try:
            yield
        finally:
            for number in wanted:
                loop.remove_signal_handler(number)

    def _signal(self) -> None:
        self.signalled = True
        self.end()

    @contextlib.asynccontextmanager
    async def owning(
        self,
        state_dir: str,
        what: str,
        *,
        patience: float = 0.0,
        settings: Settings | None = None,
        lock: EngineLock | None = None,
        attached: bool = True,
        inhibitor: Inhibitor | None = None,
        sleep: Sleep | None = None,
    ) -> AsyncIterator[Monitor]:
        """Be the engine for as long as the block lasts; nothing runs before `monitor.ready`. The
        rest is as in `Monitor.open`.

        An owner without a window gets `patience` seconds to hand over; without any, and where the
        owner has a window, EngineBusyError is raised. Raises StateError as `Monitor.open` does.
        """
        from transfermon.engine.monitor import Monitor

        deadline = time.monotonic() + patience
        async with contextlib.AsyncExitStack() as stack:
            while True:
                try:
                    monitor = await stack.enter_async_context(
                        Monitor.open(
                            state_dir,
                            settings=settings,
                            what=what,
                            lock=lock,
                            attached=attached,
                            inhibitor=inhibitor,
                            sleep=sleep,
                        )
                    )
                    break
                except EngineBusyError:
                    if not patience or time.monotonic() > deadline:
                        raise
                    if await asyncio.to_thread(_is_kept_by_a_window, state_dir, patience):
                        raise
                    await asyncio.sleep(0.02)
            stack.enter_context(_what_is_loaded_stays())
            stack.callback(monitor.subscribe(lambda _: self.changed.set()))
            following = asyncio.create_task(self._follow(monitor), name="waiting for a quit")
            stack.push_async_callback(_ended, following)
            yield monitor

    async def _follow(self, monitor: Monitor) -> None:
        await monitor.quitting.wait()
        self.end()

    @contextlib.asynccontextmanager
    async def serving(
        self, monitor: Monitor, *, api: Api | None = None, wakes: bool = True
    ) -> AsyncIterator[ControlServer]:
        """What every engine has beside the monitor: the control socket, which the block opens, and
        with `wakes` the default listeners of fetches and pushes. A script's own come first: it has
        begun before. `close` the socket earlier where it matters what is left.
        """
        from transfermon.control.server import ControlServer

        server = ControlServer(monitor, api)
        with _default_listeners(monitor) if wakes else contextlib.nullcontext():
            try:
                yield server
            finally:
                await server.close()

    async def until_quiet(self, monitor: Monitor, needed: Callable[[], bool]) -> None:
        """Until nothing is needed any more, every listener has been told, and what they did is
        told, too; or until the end is wanted.
        """
        while not self.ending:
            self.changed.clear()
            if needed():
                await self.changed.wait()
                continue
            # it is read after all that was decided before was told
            await monitor.overview.history(limit=1)
            while monitor.bus.telling and not self.ending:
                await asyncio.sleep(0.02)
            if not self.changed.is_set():
                return


@contextlib.contextmanager
def _what_is_loaded_stays() -> Iterator[None]:
    """The collector of cycles need not look at what was there before the engine, and at the rest
    less often: a transfer makes many objects and no cycles.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextlib.contextmanager
def _default_listeners(monitor: Monitor) -> Iterator[None]:
    from transfermon.videofarm.sync import VideoSync

    with contextlib.closing(VideoSync(monitor)):
        yield


async def open_or_warn(server: ControlServer) -> bool:
    """Have the socket listen; where it cannot be made the transfers matter more."""
    try:
        await server.start()
    except OSError as exc:
        log.warning("no control socket: %s", exc)
        return False
    return True


def complain_of_settings(monitor: Monitor) -> None:
    """On stderr: who runs a command sees no notification."""
    for fault in monitor.settings.faults:
        complain(fault, code=DONE)


async def _ended(runner: asyncio.Task[None]) -> None:
    runner.cancel()
    await asyncio.wait([runner])


def _is_kept_by_a_window(state_dir: str, timeout: float) -> bool:
    """Whether the owner has a window; one without is asked to release (again and again: it may be
    another by now). One that does not answer is starting or ending.
    """
    from transfermon.control.client import Client, NoEngine

    try:
        client = Client(state_dir, timeout=timeout)
        status, engine = client.request("GET", "/v1/status")
        if status == 200 and engine.get("window"):
            return True
        client.request("POST", "/v1/release")
    except NoEngine:
        pass
    return False
