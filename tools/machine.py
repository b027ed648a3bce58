"""A Debian of its own in a folder, as small as debootstrap makes it, with this system's way to the
packages.

Its mounts and processes live in namespaces of their own that end with this process: nothing stays
mounted or running, whatever happens. Needs root.
"""

from __future__ import annotations

import ast
import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

USER, HOME = 1000, "/home/newcomer"
PLAIN = {"HOME": HOME, "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
ADMIN = {
    "HOME": "/root",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}
BASE_LASTS = 30 * 86400
UBUNTU = ("noble",)
AUTHORITIES = "/etc/ssl/authorities-of-pip.pem"  # where no package of the machine writes
OF_APT = re.compile(r"^Acquire::((https?|ftp)::|(Check-Valid-Until|Check-Date|Retries) )")
OWN_NAMESPACES = (
    "setpriv",
    "--pdeathsig",
    "KILL",
    "unshare",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child=KILL",
)

MOUNTS = """
set -e
cd "$1"
mount -t proc proc proc
mount --rbind /sys sys
mount -t tmpfs -o mode=755 dev dev
for node in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "dev/${node%:*}" c 1 "${node#*:}"; done
mknod -m 666 dev/tty c 5 0
for link in fd stdin:/0 stdout:/1 stderr:/2; do ln -s "/proc/self/fd${link#"${link%%:*}"}" "dev/${link%%:*}"; done
ln -s pts/ptmx dev/ptmx
mkdir dev/shm dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=755 run run
mount --bind "$2" var/cache/apt/archives
mkdir -p -m 1777 tmp/.X11-unix
if [ -d /tmp/.X11-unix ]; then mount --bind /tmp/.X11-unix tmp/.X11-unix; fi
echo ready
exec </dev/null >/dev/null 2>&1
while :; do sleep 3600; done  # the machine's first process takes in orphans and buries them
"""


class UnavailableError(Exception):
    """This system has no way to the machine; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """How this system reaches packages, as files that a new machine gets."""

    mirrors: Mapping[str, str]  # by "Debian" and "Ubuntu"
    files: Mapping[str, str]  # text by absolute path
    copies: Mapping[str, str]  # where files and folders of this system go

    def mirror_of(self, release: str) -> str:
        """Raises UnavailableError for a family that apt has no mirror of; debootstrap knows one of
        Debian by itself.
        """
        family = "Ubuntu" if release in UBUNTU else "Debian"
        if family not in self.mirrors and family != "Debian":
            raise UnavailableError(f"apt has no mirror of {family} here")
        return self.mirrors.get(family, "")


def pip_settings(listed: str, environment: Mapping[str, str]) -> dict[str, str]:
    """From `pip config list`: what another machine may use, too. A folder of this system is left
    out.
    """
    found: dict[str, str] = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        scope, _, name = name.rpartition(".")
        if scope.strip(":.") not in ("global", "env", "install") or not value.startswith(
            ("'", '"')
        ):
            continue
        text = str(ast.literal_eval(value))
        name = name.removeprefix("default-")
        if name in ("index-url", "extra-index-url", "find-links", "proxy"):
            text = " ".join(
                word for word in text.split() if "://" in word and not word.startswith("file:")
            )
        elif name not in ("trusted-host", "cert", "timeout"):
            continue
        if text:
            found.setdefault(name, text)
    for name, variables in (
        ("cert", ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")),
        ("proxy", ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY")),
    ):
        for variable in variables:
            if environment.get(variable):
                found.setdefault(name, environment[variable])
    return found


def mirrors(targets: str) -> dict[str, str]:
    """From apt's index targets ("origin|label|address" a line): a mirror of each family."""
    found: dict[str, str] = {}
    for line in targets.splitlines():
        origin, label, address = line.split("|", 2)
        for family in ("Debian", "Ubuntu"):
            # before its first update apt knows no origin, only the address
            if (origin == label == family) or (
                "$(" in origin and address.rstrip("/").endswith(f"/{family.lower()}")
            ):
                found.setdefault(family, address)
    return found


def way_here() -> Way:
    def said(*command: str) -> str:
        try:
            return subprocess.run(command, capture_output=True, text=True, check=False).stdout
        except FileNotFoundError:
            return ""

    pip = pip_settings(said("python3", "-m", "pip", "config", "list"), os.environ)
    apt = [
        line for line in said("apt-config", "dump", "Acquire").splitlines() if OF_APT.match(line)
    ]
    proxy = os.environ.get("http_proxy") or os.environ.get("HTTP_PROXY")
    if proxy and not any("::Proxy " in line for line in apt):
        apt.append(f'Acquire::http::Proxy "{proxy}";')
    targets = said(
        "apt-get",
        "indextargets",
        "--format",
        "$(ORIGIN)|$(LABEL)|$(REPO_URI)",
        "Created-By: Packages",
    )
    copies = {
        path: path
        for path in (
            "/etc/apt/trusted.gpg.d",
            "/etc/apt/keyrings",
            "/etc/hosts",
            "/etc/resolv.conf",
        )
    }
    if "cert" in pip:
        copies[pip["cert"]] = AUTHORITIES
        pip["cert"] = AUTHORITIES
    return Way(
        mirrors=mirrors(targets),
        files={
            "/etc/pip.conf": "".join(
                ["[global]\n", *(f"{name} = {value}\n" for name, value in pip.items())]
            ),
            "/etc/apt/apt.conf.d/90reach": "".join(f"{line}\n" for line in apt),
        },
        copies={here: there for here, there in copies.items() if os.path.exists(here)},
    )


class Machine:
    """One that runs; `root` is its root folder. Its user `newcomer` has an empty home."""

    def __init__(self, root: Path, first: int) -> None:
        self.root = root
        self._enter = ("nsenter", "-t", str(first), "-m", "-p", "--", "chroot")
        self._started: list[subprocess.Popen[bytes]] = []

    def start(
        self, command: str, output: IO[bytes], variables: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a line of shell as the user, in the checkout, with nothing else in its
        environment.
        """
        return self._start(
            USER, f"cd {HOME}/transfermon && {command}", output, {**PLAIN, **(variables or {})}
        )

    def as_root(self, command: str, output: IO[bytes]) -> int:
        """The exit code of a line of shell that root runs."""
        return self._start(0, command, output, ADMIN).wait()

    def answer(self, command: str) -> str:
        """What a line of shell says to the user, errors too."""
        with (self.root / "tmp/answer").open("w+b") as output:
            self.start(command, output).wait(60)
            output.seek(0)
            return output.read().decode(errors="replace").strip()

    def end_all(self) -> None:
        """End every process of the user."""
        self._start(USER, "kill -TERM -1; sleep 1; kill -KILL -1", None, PLAIN).wait()
        for process in self._started:
            process.wait()
        self._started.clear()

    def _start(
        self, user: int, command: str, output: IO[bytes] | None, environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        words = [f"{name}={value}" for name, value in environment.items()]
        process = subprocess.Popen(
            [
                *self._enter,
                f"--userspec={user}:{user}",
                str(self.root),
                "env",
                "-i",
                *words,
                "sh",
                "-c",
                command,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if output is None else output,
            stderr=subprocess.STDOUT,
        )
        self._started.append(process)
        return process


def why_not() -> str:
    """Why no machine can be made on this system; "" when it can."""
    if os.geteuid() != 0:
        return "it needs root"
    for program in ("debootstrap", "unshare", "nsenter", "setpriv", "chroot", "git"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "true"], check=False, capture_output=True
    ).returncode:
        return "this system allows no namespaces"
    return ""


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "/var/cache") / "transfermon-fresh"


def base_of(release: str, way: Way, *, again: bool) -> Path:
    """The release as debootstrap makes it, from the cache where it is not older than a month.

    Raises UnavailableError.
    """
    base = cache() / "base" / release
    if base.is_dir() and not again and time.time() - base.stat().st_mtime < BASE_LASTS:
        return base
    mirror = way.mirror_of(release)
    new = base.with_name(f"{release}.new")
    for old in (new, base):
        shutil.rmtree(old, ignore_errors=True)
    new.parent.mkdir(parents=True, exist_ok=True)
    command = ["debootstrap", "--variant=minbase", release, str(new), mirror]
    if not Path(f"/usr/share/debootstrap/scripts/{release}").exists():
        command.append(
            "/usr/share/debootstrap/scripts/" + ("gutsy" if release in UBUNTU else "sid")
        )
    done = subprocess.run(
        [word for word in command if word], capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        shutil.rmtree(new, ignore_errors=True)
        raise UnavailableError(lines[-1].strip() if lines else "debootstrap failed")
    os.utime(new)
    new.rename(base)
    return base


def furnish(root: Path, way: Way, checkout: Path) -> None:
    """What a person's system has before the first command: the way to packages, `make`, a user, and
    the clone.
    """
    for path, text in way.files.items():
        (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (root / path[1:]).write_text(text, encoding="utf-8")
    for here, path in way.copies.items():
        there = root / path[1:]
        there.parent.mkdir(parents=True, exist_ok=True)
        if os.path.isdir(here):
            shutil.copytree(here, there, dirs_exist_ok=True)
        else:
            there.unlink(missing_ok=True)
            shutil.copyfile(here, there)
    policy = root / "usr/sbin/policy-rc.d"  # no package starts a service
    policy.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    policy.chmod(0o755)
    with (root / "etc/passwd").open("a", encoding="utf-8") as users:
        users.write(f"newcomer:x:{USER}:{USER}::{HOME}:/bin/sh\n")
    with (root / "etc/group").open("a", encoding="utf-8") as groups:
        groups.write(f"newcomer:x:{USER}:\n")
    home = root / HOME[1:]
    home.mkdir(parents=True)
    anybody = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }
    clone = ["git", "clone", "-q", "--no-hardlinks", str(checkout), str(home / "transfermon")]
    subprocess.run(clone, check=True, env={**os.environ, **anybody})
    subprocess.run(["chown", "-R", f"{USER}:{USER}", str(home)], check=True)


@contextlib.contextmanager
def running(release: str, way: Way, checkout: Path, *, again: bool = False) -> Iterator[Machine]:
    """A new machine of this release with the checkout's HEAD in its user's home. Raises
    UnavailableError.
    """
    base = base_of(release, way, again=again)
    root = cache() / "work" / f"{release}-{os.getpid()}"
    debs = cache() / "debs" / release
    debs.mkdir(parents=True, exist_ok=True)
    root.parent.mkdir(exist_ok=True)
    clear(root.parent)
    first: subprocess.Popen[bytes] | None = None
    try:
        subprocess.run(["cp", "-a", "--reflink=auto", str(base), str(root)], check=True)
        furnish(root, way, checkout)
        first = subprocess.Popen(
            [*OWN_NAMESPACES, "sh", "-c", MOUNTS, "machine", str(root), str(debs)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert first.stdout is not None
        if first.stdout.readline() != b"ready\n":
            raise UnavailableError("this system does not let a machine mount what it needs")
        (child,) = (
            Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text(encoding="ascii").split()
        )
        machine = Machine(root, int(child))
        with (root / "tmp/make.log").open("wb") as log:
            if machine.as_root(
                "apt-get update && apt-get install -y --no-install-recommends make", log
            ):
                raise UnavailableError(
                    "apt cannot install make in it: " + last_line(root / "tmp/make.log")
                )
        yield machine
    finally:
        if first is not None:
            first.kill()  # and with it everything that runs in the machine
            first.wait()
        remove(root)


def last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def clear(folder: Path) -> None:
    """Remove the machines of runs that are no more."""
    for root in folder.iterdir():
        if not os.path.exists(f"/proc/{root.name.rpartition('-')[2]}"):
            remove(root)


def remove(root: Path) -> None:
    """Its mounts were in a namespace that is gone; so nothing but the folder itself can be
    meant.
    """
    shutil.rmtree(root, ignore_errors=True)
