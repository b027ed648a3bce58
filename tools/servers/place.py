"""A running set-up: its folder, its port, its processes, and the files that it serves.

Rule: it ends for sure. Each process is the first of a process namespace of its own where that is
allowed, so that nothing which it started outlives it.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools.servers.asking import Reply, ask
from tools.servers.registries import (
    DIES_WITH_US,
    OWN_NAMESPACE,
    PYTHON,
    Registries,
    UnavailableError,
    inside,
    name_of,
)
from tools.servers.setups import Request, Setup
from tools.servers.signing import signed

START_SECONDS = 45.0
HOUR = 3600


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def content(seed: str, size: int) -> bytes:
    """The same bytes for the same seed; they cannot be compressed, and two seeds share no
    stretch.
    """
    return hashlib.shake_128(seed.encode()).digest(size)


class Place:
    """Made by `running`."""

    def __init__(
        self, setup: Setup, all_setups: dict[str, Setup], registries: Registries, folder: Path
    ) -> None:
        self.setup = setup
        self.port = free_port()
        self._all, self._registries, self.folder = all_setups, registries, folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self.root = folder / "root"
        self.root.mkdir()
        for path in (folder, self.root):
            path.chmod(0o777)  # some servers change their user

    # ---- its files

    def path_of(self, name: str) -> str:
        return self.setup.path.replace("@NAME@", name + self.setup.ending)

    def content(self, seed: str, size: int) -> bytes:
        """Bytes for a file of this set-up; a gzip file of as many bytes where its names end so."""
        body = content(seed, size)
        return gzip.compress(body, 0, mtime=0) if self.setup.ending.endswith(".gz") else body

    def put(self, name: str, body: bytes, *, changed_ns: int) -> None:
        """The file of this name is these bytes from now on, last changed then (a store has its own
        clock).
        """
        if self.setup.store is not None:
            self._send(self.setup.store.put, body, name + self.setup.ending)
            return
        path = self.root / (name + self.setup.ending)
        self._replace(path, body, changed_ns)
        if self.setup.coded:
            coded = path.with_name(f"{path.name}.gz")
            self._replace(coded, gzip.compress(body, 1, mtime=0), changed_ns)

    def changed_ns(self, name: str) -> int:
        path = self.root / (name + self.setup.ending)
        return path.stat().st_mtime_ns if path.exists() else time.time_ns()

    def has_received(self, body: bytes) -> bool:
        """Whether a file of these bytes lies anywhere in the server's folder."""
        files = (
            path for path in self.folder.rglob("*") if path.is_file() and not path.is_symlink()
        )
        return any(path.stat().st_size == len(body) and path.read_bytes() == body for path in files)

    @staticmethod
    def _replace(path: Path, body: bytes, changed_ns: int) -> None:
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_bytes(body)
        fresh.chmod(0o644)
        os.utime(fresh, ns=(changed_ns, changed_ns))
        fresh.replace(path)

    def _send(self, request: Request, body: bytes, name: str) -> None:
        assert self.setup.store is not None
        path = request.path.replace("@NAME@", name)
        path = signed(self.setup.store.sign, request.method, f"127.0.0.1:{self.port}", path)
        reply = ask(self.port, path, method=request.method, fields=request.headers, body=body)
        if not 200 <= reply.status < 300:
            raise UnavailableError(
                f"{request.method} {request.path}: {reply.status} {reply.body[:200]!r}"
            )

    # ---- its life

    def start(self, origin: Place | None, names: Sequence[str], size: int) -> None:
        """With these files in it, an hour old. Raises UnavailableError with the server's own
        words.
        """
        body = self.content("one", size)
        words = {
            "@PORT@": str(self.port),
            "@ROOT@": str(self.root),
            "@DIR@": str(self.folder),
            "@ORIGIN@": str(origin.port) if origin else "",
            "@PYTHON@": PYTHON,
        }
        environment = {"HOME": str(self.folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        if self.setup.pypi:
            packages = self._registries.python_packages(self.setup.group, self.setup.pypi)
            environment |= {
                "PYTHONPATH": f"{packages}:{self.folder}",
                "PYTHONDONTWRITEBYTECODE": "1",
            }
        if self.setup.npm:
            packages = self._registries.node_packages(self.setup.group, self.setup.npm)
            words["@MODULES@"] = str(packages / "node_modules")
            os.symlink(packages / "node_modules", self.folder / "node_modules")
        environment |= {
            name: _filled(value, words) for name, value in self.setup.environment.items()
        }
        for name, text in self.setup.files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_filled(text, words), encoding="utf-8")
            path.chmod(0o755)
        if self.setup.store is None and origin is None:
            for name in names:
                self.put(name, body, changed_ns=time.time_ns() - HOUR * 10**9)
        self._run([_filled(word, words) for word in self.setup.command], environment)
        self._wait_until_it_listens()
        if self.setup.store is not None:
            for request in self.setup.store.first:
                self._send(request, b"", "")
            for name in names:
                self.put(name, body, changed_ns=0)
        if self.setup.download:
            self._wait_until_it_serves(names[0])

    def stop(self) -> None:
        for process in self._processes:
            # the first of its process namespace, which ends with it
            for child in _children(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    # here: one that changed its user is not told of its parent's death
                    os.kill(child, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    @property
    def version(self) -> str:
        package = self.setup.package or name_of(
            (*self.setup.debian, *self.setup.pypi, *self.setup.npm)[0]
        )
        if self.setup.debian:
            return self._registries.debian_version(package)
        if self.setup.pypi:
            return self._registries.python_version(self.setup.group, package)
        return self._registries.node_version(self.setup.group, package)

    def _run(self, command: Sequence[str], environment: dict[str, str]) -> None:
        if self.setup.debian:
            self._registries.debian_packages(self.setup.debian)
            command = inside(self._registries.layer, command, own=self.folder)
        elif os.geteuid() == 0:
            command = [*OWN_NAMESPACE, "--mount-proc", *command]
        else:
            command = [*DIES_WITH_US, *command]
        with open(self.folder / "log", "wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=environment,
                start_new_session=True,
            )
        self._processes.append(process)

    def _wait_until_it_listens(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self._processes[-1].poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise UnavailableError(f"it did not start: {self._last_words()}")

    def _wait_until_it_serves(self, name: str) -> None:
        end = time.monotonic() + START_SECONDS
        reply = Reply(status=0)
        while time.monotonic() < end and self._processes[-1].poll() is None:
            reply = ask(self.port, self.path_of(name))
            if reply.status == 200:
                return
            time.sleep(0.2)
        raise UnavailableError(f"it answers {reply.status}: {self._last_words()}")

    def _last_words(self) -> str:
        lines = (self.folder / "log").read_text(errors="replace").strip().splitlines()
        return " / ".join(lines[-4:])[-600:]


def _children(process: int) -> list[int]:
    try:
        return [
            int(word)
            for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()
        ]
    except OSError:
        return []


def _filled(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text


@contextmanager
def running(
    setup: Setup,
    all_setups: dict[str, Setup],
    registries: Registries,
    names: Sequence[str],
    size: int,
) -> Iterator[tuple[Place, Place]]:
    """The set-up, and the place where its files lie: itself, or the origin that it stands in front
    of.
    """
    runs = registries.cache / "run"
    runs.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{setup.key}-", dir=runs))
    folder.chmod(0o755)
    places: list[Place] = []
    try:
        origin = None
        if setup.origin:
            (folder / "origin").mkdir()
            origin = Place(all_setups[setup.origin], all_setups, registries, folder / "origin")
            places.append(origin)
            origin.start(None, names, size)
        (folder / "server").mkdir()
        place = Place(setup, all_setups, registries, folder / "server")
        places.append(place)
        place.start(origin, names, size)
        yield place, origin or place
    finally:
        for each in reversed(places):
            each.stop()
        shutil.rmtree(folder, ignore_errors=True)
