"""A real Apache of our own on a free loopback port: a second opinion beside nginx and the servers
that we wrote.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.helpers.real_server import RealServer, free_port, program

MODULES = Path("/usr/lib/apache2/modules")
PATH = program("apache2") if MODULES.is_dir() else None
WHY_NOT = "apache2 is not installed (make test-all installs apache2-bin where it may)"

_CONFIG = """
ServerRoot "{folder}"
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile "{folder}/httpd.pid"
DefaultRuntimeDir "{folder}"
Mutex file:{folder}
ErrorLog "{folder}/error.log"
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule alias_module {modules}/mod_alias.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule env_module {modules}/mod_env.so
LoadModule headers_module {modules}/mod_headers.so
LoadModule ratelimit_module {modules}/mod_ratelimit.so
{more}
{identity}
ServerLimit 1
StartServers 1
ThreadsPerChild 16
MaxRequestWorkers 16
LogFormat "%m %U %>s %B \\"%{{Range}}i\\" \\"%{{If-Range}}i\\" %{{remote}}p" requests
CustomLog "{folder}/access.log" requests
DocumentRoot "{root}"
<Directory "{root}">
  {access}
  {directory}
</Directory>
"""

OPEN = "Require all granted"


class Apache(RealServer):
    """Started and stopped by `running`."""

    def __init__(self, folder: Path, root: Path, port: int) -> None:
        assert PATH is not None, WHY_NOT
        super().__init__(
            folder,
            root,
            port,
            [PATH, "-d", str(folder), "-f", str(folder / "apache.conf"), "-DFOREGROUND"],
        )


@contextmanager
def running(
    folder: Path, *, directory: str = "", access: str = OPEN, modules: Sequence[str] = ()
) -> Iterator[Apache]:
    """An Apache with a configuration of its own; `directory` are directives for the folder that it
    serves, `access` those that say who may read there ({root} is its path), `modules` what they
    need.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="transfermon-apache-") as root:
        identity = ""
        # Apache serves nothing as root, and another user does not get into a test's folder
        if os.geteuid() == 0:
            os.chmod(root, 0o755)
            identity = (
                f'LoadModule unixd_module {MODULES}/mod_unixd.so\nUser "#65534"\nGroup "#65534"'
            )
            if not (MODULES / "mod_unixd.so").exists():  # compiled in, as Debian does
                identity = identity.partition("\n")[2]
        more = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in modules)
        apache = Apache(folder, Path(root), free_port())
        (folder / "apache.conf").write_text(
            _CONFIG.format(
                folder=folder,
                root=root,
                port=apache.port,
                modules=MODULES,
                identity=identity,
                more=more,
                access=access.replace("{root}", root),
                directory=directory,
            ),
            encoding="utf-8",
        )
        apache.start()
        try:
            yield apache
        finally:
            apache.stop()
