"""A real Apache of our own on a free loopback port: a second opinion beside nginx and the servers that we wrote."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MODULES = Path("/usr/lib/apache2/modules")
PATH = shutil.which("apache2") or ("/usr/sbin/apache2" if os.access("/usr/sbin/apache2", os.X_OK) else None)
if not MODULES.is_dir():
    PATH = None
WHY_NOT = "apache2 is not installed (make test installs apache2-bin where it may)"

_CONFIG = """
ServerRoot "{folder}"
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile "{folder}/httpd.pid"
DefaultRuntimeDir "{folder}"
Mutex file:{folder}
ErrorLog "{folder}/error.log"
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule env_module {modules}/mod_env.so
LoadModule headers_module {modules}/mod_headers.so
LoadModule ratelimit_module {modules}/mod_ratelimit.so
{identity}
ServerLimit 1
StartServers 1
ThreadsPerChild 16
MaxRequestWorkers 16
LogFormat "%m %U %>s %B \\"%{{Range}}i\\" \\"%{{If-Range}}i\\" %{{remote}}p" requests
CustomLog "{folder}/access.log" requests
DocumentRoot "{root}"
<Directory "{root}">
  Require all granted
  {directory}
</Directory>
"""


class Apache:
    """Started and stopped by `running`. `root` is the folder that it serves."""

    def __init__(self, folder: Path, root: Path, port: int) -> None:
        self.folder, self.root, self.port = folder, root, port
        self.process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<Apache {self.url()}>"

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def requests(self) -> list[str]:
        """Lines of `METHOD URI STATUS BYTES "RANGE" "IF-RANGE" CONNECTION`, oldest first."""
        return (self.folder / "access.log").read_text(encoding="utf-8", errors="replace").splitlines()

    def put(self, name: str, content: bytes, *, age: float) -> None:
        """A file that was changed `age` seconds ago; the server's user may read it."""
        path = self.root / name
        path.write_bytes(content)
        path.chmod(0o644)
        os.utime(path, (time.time() - age, time.time() - age))

    def start(self) -> None:
        assert PATH is not None, WHY_NOT
        command = [PATH, "-d", str(self.folder), "-f", str(self.folder / "apache.conf"), "-DFOREGROUND"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                assert self.process.stderr is not None
                log = self.folder / "error.log"
                raise RuntimeError(self.process.stderr.read().decode() + (log.read_text() if log.exists() else ""))
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise RuntimeError("apache2 does not answer")

    def stop(self) -> None:
        """Ends all connections at once."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            if self.process.stderr is not None:
                self.process.stderr.close()
            self.process = None


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def running(folder: Path, *, directory: str = "") -> Iterator[Apache]:
    """An Apache with a configuration of its own; `directory` are directives for the folder that it serves."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="transfermon-apache-") as root:
        identity = ""
        if os.geteuid() == 0:  # Apache serves nothing as root, and another user does not get into a test's folder
            os.chmod(root, 0o755)
            identity = f'LoadModule unixd_module {MODULES}/mod_unixd.so\nUser "#65534"\nGroup "#65534"'
            if not (MODULES / "mod_unixd.so").exists():  # compiled in, as Debian does
                identity = identity.partition("\n")[2]
        apache = Apache(folder, Path(root), _free_port())
        (folder / "apache.conf").write_text(
            _CONFIG.format(
                folder=folder, root=root, port=apache.port, modules=MODULES, identity=identity, directory=directory
            ),
            encoding="utf-8",
        )
        apache.start()
        try:
            yield apache
        finally:
            apache.stop()
