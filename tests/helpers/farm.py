"""A real VideoFarm server in a process of its own, for any test that needs an opponent.

The one rule to keep: a farm that was started is stopped, by `stop()` or by `with`; if the test
process dies, it ends by itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable
from types import TracebackType

from transfermon.videofarm.samples import expected_bytes

__all__ = ["Farm", "expected_bytes", "expected_sha256"]


class Farm:
    """`Farm.start("--fault", "rate=1M")`; then `url` ends with a slash, and `url + "videos"` is the
    list.
    """

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process, self.url = process, url

    def __repr__(self) -> str:
        return f"<Farm {self.url} pid={self.process.pid}>"

    @classmethod
    def start(cls, *args: str, timeout: float = 60.0) -> Farm:
        """Starts the server on a free port, or the one in `args`. Raises AssertionError when it
        does not come up.
        """
        port = () if "--port" in args else ("--port", "0")
        command = [
            sys.executable,
            "-m",
            "transfermon.videofarm.server",
            *port,
            "--exit-with-parent",
            str(os.getpid()),
        ]
        process = subprocess.Popen([*command, *args], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            line = process.stdout.readline() if selector.select(timeout) else ""
        if not line.startswith("VideoFarm at "):
            process.kill()
            raise AssertionError(f"the farm did not start (exit code {process.wait()}): {line!r}")
        return cls(process, line.removeprefix("VideoFarm at ").strip())

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1].rstrip("/"))

    def stop(self, timeout: float = 60.0) -> int:
        """Ends the server and returns its exit code; harmless when it has ended."""
        self.process.terminate()
        try:
            return self.process.wait(timeout)
        finally:
            self._forget()

    def kill(self) -> None:
        """Ends it without warning, as a crash would."""
        self.process.kill()
        self.process.wait()
        self._forget()

    def _forget(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def __enter__(self) -> Farm:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.stop()


def wait_until(condition: Callable[[], bool], *, timeout: float = 60.0) -> None:
    """Looks at `condition()` again and again until it is true. Raises AssertionError after
    `timeout` seconds.
    """
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.01)


def expected_sha256(n: int) -> str:
    """The digest of the whole body of `GET /bytes/n`, in hex."""
    digest = hashlib.sha256()
    for piece in expected_bytes(n):
        digest.update(piece)
    return digest.hexdigest()
