"""Brings servers from the registries into the cache folder: PyPI and npm packages, and a layer of
Debian packages.

Rule: nothing outside the cache folder changes. Each set-up has a folder of its own for its Python
or Node packages, so no two of them share a dependency. Debian's packages are installed into an
overlay over this system's root, which only a mount namespace of our own ever sees; that needs root.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path

PYTHON: str = getattr(sys, "_base_executable", sys.executable)
DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")
OWN_NAMESPACE = (*DIES_WITH_US, "unshare", "--pid", "--fork", "--kill-child")
# what policy-rc.d answers so that an installation starts nothing
_NO_SERVICES = "#!/bin/sh\nexit 101\n"


class UnavailableError(Exception):
    """This set-up cannot be had here; the text says why."""


def name_of(pin: str) -> str:
    """The package's name: `moto` of `moto[s3]==5.2.5`, `@tus/server` of `@tus/server@2.4.5`."""
    if "=" in pin:
        return pin.partition("=")[0].partition("[")[0]
    at = pin.rfind("@")
    return pin[:at] if at > 0 else pin


class Registries:
    """What was installed, below one folder that may be deleted whenever nothing runs from it."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.layer = cache / "debian"
        self._one_at_a_time = threading.Lock()

    def python_packages(self, key: str, pins: Sequence[str]) -> Path:
        """The folder to put on PYTHONPATH."""
        folder = self.cache / "pypi" / key
        command = [
            PYTHON,
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "--target",
            str(folder),
        ]
        self._install(folder, [*command, *pins], pins)
        return folder

    def node_packages(self, key: str, pins: Sequence[str]) -> Path:
        """The folder whose node_modules holds them; run from below it, so that `import` finds
        them.
        """
        folder = self.cache / "npm" / key
        command = [
            "npm",
            "install",
            "--loglevel=error",
            "--no-audit",
            "--no-fund",
            "--prefix",
            str(folder),
        ]
        self._install(folder, [*command, *pins], pins)
        return folder

    def debian_packages(self, pins: Sequence[str]) -> None:
        """Installed into the layer. A version that Debian no longer has gives way to the one that
        it has now.
        """
        with self._one_at_a_time:
            missing = [pin for pin in pins if not self.debian_version(name_of(pin))]
            if not missing:
                return
            if os.geteuid() != 0:
                raise UnavailableError(
                    "Debian's packages are laid over this system's root, which only root may do"
                )
            install = (
                "apt-get install -y -q --no-install-recommends -o Dpkg::Options::=--force-confold"
            )
            names = shlex.join(name_of(pin) for pin in missing)
            script = (
                f"printf %s {shlex.quote(_NO_SERVICES)} > /usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d\n"
                f"{install} {shlex.join(missing)} || {{ apt-get update -q && {install} {names}; }}"
            )
            _run(inside(self.layer, ["sh", "-c", script]))

    def _install(self, folder: Path, command: Sequence[str], pins: Sequence[str]) -> None:
        """Unless exactly this was installed there already; anything else is cleared away first."""
        with self._one_at_a_time:
            note = folder / "pins"
            if note.exists() and note.read_text(encoding="utf-8").split() == list(pins):
                return
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            _run(command)
            note.write_text("\n".join(pins), encoding="utf-8")

    def debian_version(self, name: str) -> str:
        """The version in the layer, else that of the system below it; "" where there is none."""
        for root in (self.layer / "upper", Path("/")):
            status = root / "var/lib/dpkg"
            if not (status / "status").exists():
                continue
            command = [
                "dpkg-query",
                f"--admindir={status}",
                "-W",
                "-f",
                "${db:Status-Status} ${Version}",
                name,
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            state, _, version = done.stdout.partition(" ")
            if state == "installed":
                return version
        return ""

    def node_version(self, key: str, name: str) -> str:
        about = self.cache / "npm" / key / "node_modules" / name / "package.json"
        return str(json.loads(about.read_text(encoding="utf-8"))["version"])

    def python_version(self, key: str, name: str) -> str:
        wanted = name.lower().replace("_", "-")
        for found in distributions(path=[str(self.cache / "pypi" / key)]):
            if found.name.lower().replace("_", "-") == wanted:
                return found.version
        return ""


def inside(layer: Path, command: Sequence[str], *, own: Path | None = None) -> list[str]:
    """`command` with / being this system's root below the layer, in a mount and process namespace
    of its own.

    What it writes goes into the layer; with a folder `own`, into that one, in which it starts and
    which is the real one. Its end takes every process with it that it left.
    """
    steps = [_overlay("/", layer)]
    root = layer / "mount"
    if own is not None:
        # The layer lies in the tree below it, so it cannot be a lower layer itself; what is mounted
        # from it can.
        steps += [_overlay(str(root), own / "written")]
        root = own / "written/mount"
        steps += [f"mkdir -p {root}/{own} && mount --bind {own} {root}/{own}"]
    steps += [f"mount --rbind /dev {root}/dev", f"mount -t proc proc {root}/proc"]
    steps += [f'exec chroot {root} /usr/bin/env -C "$0" "$@"']
    return [*OWN_NAMESPACE, "--mount", "sh", "-c", " && ".join(steps), str(own or "/"), *command]


def _overlay(below: str, layer: Path) -> str:
    for name in ("upper", "work", "mount"):
        (layer / name).mkdir(parents=True, exist_ok=True)
    where = f"lowerdir={below},upperdir={layer}/upper,workdir={layer}/work"
    # two at once clear one work folder
    return f"flock {layer}/lock mount -t overlay overlay -o {where} {layer}/mount"


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise UnavailableError(f"not installed: {' '.join(lines[-3:])[:300]}")
