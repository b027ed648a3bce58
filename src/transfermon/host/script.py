"""A handler script of `transfermon run`, inside the app or in an engine of its own.

Rule: a script runs on the engine's loop, its top level before the first event is delivered, so that
nothing overtakes the listeners it registers (B-02). What goes wrong in it is told in one line, with
where, and never ends a transfer.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
import traceback
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from types import CodeType
from typing import TYPE_CHECKING, Any

from transfermon.host.terminal import DONE, FAILED, USAGE, Wrong, complain
from transfermon.model import units
from transfermon.model.errors import EngineBusyError
from transfermon.model.events import Event
from transfermon.system.runners import Runners

if TYPE_CHECKING:  # the engine is loaded when the script could be read
    from transfermon.engine.monitor import Monitor

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
