"""What real servers of other people have in common in tests: a process of our own on a free port, a
folder, a log.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path


def program(name: str) -> str | None:
    """Where it is, if it is installed; a normal user's path does not name the folder of servers."""
    aside = f"/usr/sbin/{name}"
    return shutil.which(name) or (aside if os.access(aside, os.X_OK) else None)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class RealServer:
    """`folder` is its own, `root` what it serves."""

    def __init__(self, folder: Path, root: Path, port: int, command: Sequence[str]) -> None:
        self.folder, self.root, self.port = folder, root, port
        self._command = command
        self.process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url()}>"

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def put(self, name: str, content: bytes, *, age: float) -> None:
        """A file that was changed `age` seconds ago, with an inode of its own as a publisher's
        tools make one; the server's user may read it.
        """
        fresh = self.root / f"{name}.fresh"
        fresh.write_bytes(content)
        fresh.chmod(0o644)
        os.utime(fresh, (time.time() - age, time.time() - age))
        os.replace(fresh, self.root / name)

    def requests(self) -> list[str]:
        """Lines of `METHOD URI STATUS BYTES "RANGE" "IF-RANGE" CONNECTION`, oldest first."""
        return (
            (self.folder / "access.log").read_text(encoding="utf-8", errors="replace").splitlines()
        )

    def start(self) -> None:
        """Raises RuntimeError when it ends at once or does not answer."""
        self.process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                assert self.process.stderr is not None
                log = self.folder / "error.log"
                raise RuntimeError(
                    self.process.stderr.read().decode() + (log.read_text() if log.exists() else "")
                )
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise RuntimeError(f"{self._command[0]} does not answer")

    def stop(self) -> None:
        """Ends all connections at once."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            if self.process.stderr is not None:
                self.process.stderr.close()
            self.process = None
