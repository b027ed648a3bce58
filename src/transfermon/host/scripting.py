"""`transfermon run`: a handler script, inside the app or in an engine of its own.

Rule: a script runs on the engine's loop, its top level before the first event is delivered, so that
nothing overtakes the listeners it registers (B-02). What goes wrong in it is told in one line, with
where, and never ends a transfer.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import signal
import sys
import traceback
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from types import CodeType
from typing import TYPE_CHECKING, Any

from transfermon.host.terminal import DONE, FAILED, INTERRUPTED, USAGE, Wrong, complain
from transfermon.model import units
from transfermon.model.errors import EngineBusyError
from transfermon.model.events import Event
from transfermon.system.runners import Runners
from transfermon.text import advice

if TYPE_CHECKING:  # the engine is loaded when the script could be read
    from transfermon.engine.monitor import Monitor
    from transfermon.system.notifier import Notifier

WAKES = ("backgroundfetch", "silentpush")


class Script:
    """One script: read, run once, and what became of it."""

    def __init__(self, path: str, code: CodeType, arguments: Sequence[str]) -> None:
        self.path = path
        self._compiled = code
        self._arguments = tuple(arguments)
        self._runners = Runners()
        self._open = ExitStack()
        self._monitor: Monitor | None = None
        self.code = DONE  # the exit code so far
        self.running = False  # whether its `main` has still to end
        self.listens = False  # whether it waits for fetches or pushes
        self.tell: Callable[[str], None] = _on_stderr
        # its `main` has ended, or it wants to end it all
        self.on_ended: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return f"<Script {self.path} code={self.code}>"

    @classmethod
    def read(cls, path: str, arguments: Sequence[str] = ()) -> Script:
        """Raises Wrong, with a sentence, for a file that cannot be read or is no Python."""
        whole = os.path.abspath(path)
        try:
            with open(whole, "rb") as file:
                source = file.read()
            code = compile(source, whole, "exec")
        except OSError as exc:
            raise Wrong(f"The script {path} cannot be read: {exc.strerror}.") from None
        except (SyntaxError, ValueError) as exc:  # ValueError: a NUL in the source
            line = f" in line {exc.lineno}" if isinstance(exc, SyntaxError) and exc.lineno else ""
            raise Wrong(f"The script {path} is not usable{line}: {_last_line(exc)}.") from None
        return cls(whole, code, arguments)

    @property
    def name(self) -> str:
        return os.path.basename(self.path)

    def begin(self, monitor: Monitor) -> bool:
        """Run the top level, and start `main` where it is a coroutine function. False when the
        script ended there: `code` then says how. Call it before `monitor.ready`.
        """
        from transfermon import urlsession

        self._monitor = monitor
        self._open.enter_context(urlsession.attached(monitor))
        self._open.enter_context(self._as_main(module := types.ModuleType("__main__")))
        monitor.bus.on_failed = self._listener_failed
        self._open.callback(setattr, monitor.bus, "on_failed", None)
        module.__dict__.update(__file__=self.path, monitor=monitor)
        try:
            exec(self._compiled, module.__dict__)  # noqa: S102 - the person's own program, named on the command line
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - whatever a person's program may raise
            self._failed("", exc, USAGE if isinstance(exc, ImportError | SyntaxError) else FAILED)
            return False
        self.listens = any(map(monitor.bus.listens, WAKES))
        main = getattr(module, "main", None)
        if inspect.iscoroutinefunction(main):
            self.running = True
            self._runners.spawn(self._main(main), f"main of {self.name}")
        return True

    async def end(self) -> None:
        """Its `main` is cancelled; its listeners go with the monitor."""
        await self._runners.close()
        self._open.close()

    async def _main(self, main: Callable[[], Any]) -> None:
        try:
            await main()
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - as above
            self._failed("", exc, FAILED)
        finally:
            self.running = False
            if self.on_ended is not None:
                self.on_ended()

    def _listener_failed(self, event: Event, exc: BaseException) -> bool:
        if self._line_of(exc) == 0:
            return False  # a listener of ours
        self._failed(f" on {event.type}", exc, FAILED)
        return True

    def _failed(self, where: str, exc: BaseException, code: int) -> None:
        if isinstance(exc, SystemExit):
            self._exit(exc)
            return
        line = self._line_of(exc)
        self.code = max(self.code, code)
        self.tell(
            f"{self.name} failed{where}{f' in line {line}' if line else ''}: {_last_line(exc)}"
        )

    def _line_of(self, exc: BaseException) -> int:
        """Where in the script it happened; 0 when the script has no part in it."""
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(exc.__traceback__)
            if frame.filename == self.path
        ]
        return (lines[-1] or 0) if lines else 0

    def _exit(self, exc: SystemExit) -> None:
        """As Python's own: None is 0, a number is itself, anything else is said. The engine ends,
        too.
        """
        if exc.code is None or isinstance(exc.code, int):
            self.code = exc.code or self.code
        else:
            self.tell(str(exc.code))
            self.code = FAILED
        if self._monitor is not None:
            self._monitor.request_quit()

    @contextlib.contextmanager
    def _as_main(self, module: types.ModuleType) -> Iterator[None]:
        """The script sees what it would see under `python`: its arguments, its folder, itself as
        `__main__`.
        """
        before = sys.argv, sys.path[:], sys.modules["__main__"]
        sys.argv = [self.path, *self._arguments]
        sys.path.insert(0, os.path.dirname(self.path))
        sys.modules["__main__"] = module
        try:
            yield
        finally:
            sys.argv, sys.path[:], sys.modules["__main__"] = before


def _last_line(exc: BaseException) -> str:
    return units.clean(traceback.format_exception_only(exc)[-1].strip(), 500)


def _on_stderr(text: str) -> None:
    complain(text, code=FAILED)


def refuse_beside(state_dir: str) -> None:
    """Raises EngineBusyError, with what to do, where an engine runs: a script is a part of the
    engine it runs in.
    """
    from transfermon.control.client import Client, NoEngine

    try:
        status, body = Client(state_dir, timeout=3.0).request("GET", "/v1/status")
    except NoEngine:
        return
    way = "transfermon quit" if status == 200 and body.get("window") else "transfermon release"
    raise EngineBusyError(
        f"transfermon is running already (process {body.get('pid', 'unknown')}), and a script runs inside it from the start.",
        f"End it with `{way}`, then run the script again: its transfers go on.",
    )


# ---- an engine of its own


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
        self._changed = asyncio.Event()
        self._over = False
        self._signalled = False

    def __repr__(self) -> str:
        return f"<Headless {self._script!r}>"

    async def live(self) -> int:
        from transfermon.engine.monitor import AppState, Monitor
        from transfermon.system.stay_awake import COMMAND, Inhibitor

        what, inhibitor = f"transfermon run {self._script.name}", Inhibitor(after=COMMAND)
        async with Monitor.open(self._state_dir, what=what, inhibitor=inhibitor) as monitor:
            monitor.presence.set_state(AppState.BACKGROUND)
            with self._signals():
                try:
                    if self._script.begin(monitor):
                        await self._work(monitor)
                finally:
                    await self._script.end()
            left = advice.left_of(monitor.tasks())
            if monitor.released:
                complain(
                    "Another transfermon has taken the transfers over; the script has ended.",
                    code=DONE,
                )
        if self._signalled:
            return complain(advice.stopped(left), code=INTERRUPTED)
        return self._script.code

    async def _work(self, monitor: Monitor) -> None:
        from transfermon.control.server import ControlServer
        from transfermon.host.announcer import Announcer
        from transfermon.system.notifier import Notifier
        from transfermon.videofarm.sync import VideoSync

        leave = monitor.subscribe(lambda _: self._changed.set())
        self._script.on_ended = self._changed.set
        announcer = Announcer(monitor, self._notifier or Notifier())
        sync = VideoSync(monitor)
        server = ControlServer(monitor)
        quitting = asyncio.create_task(monitor.quitting.wait())
        quitting.add_done_callback(lambda _: self._end())
        try:
            monitor.ready()
            while not self._over:
                await server.start()
                await self._until_quiet(monitor)
                await server.close()  # what was accepted until now is work again
                if not self._needed(monitor):
                    break
            await announcer.finish()
        finally:
            self._script.on_ended = None
            quitting.cancel()
            leave()
            await announcer.close()
            await server.close()
            sync.close()

    async def _until_quiet(self, monitor: Monitor) -> None:
        """Until nothing is left to wait for, every listener has been told, and what they did is
        told, too.
        """
        while not self._over:
            self._changed.clear()
            if self._needed(monitor):
                await self._changed.wait()
                continue
            # it is read after all that was decided before was told
            await monitor.overview.history(limit=1)
            while monitor.bus.telling and not self._over:
                await asyncio.sleep(0.02)
            if not self._changed.is_set():
                return

    def _needed(self, monitor: Monitor) -> bool:
        from transfermon.host.standby import busy

        return (
            self._script.running
            or self._script.listens
            or monitor.presence.suspended
            or busy(monitor)
        )

    def _end(self) -> None:
        self._over = True
        self._changed.set()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        all_of_them = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        wanted = [number for number in all_of_them if signal.getsignal(number) != signal.SIG_IGN]

        def stop() -> None:
            self._signalled = True
            self._end()

        for number in wanted:
            loop.add_signal_handler(number, stop)
        try:
            yield
        finally:
            for number in wanted:
                loop.remove_signal_handler(number)
