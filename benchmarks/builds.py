"""Builds of the program that are compared: this checkout, and an earlier commit or work tree.

Rule: a build is run from its own sources, compiled into a folder of its own as an installed app is,
and with the packages of its own lock where it is an earlier commit.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "build" / "benchmarks"  # earlier builds, each made once


@dataclass(frozen=True, kw_only=True)
class Build:
    """A checkout and the Python that runs it."""

    name: str
    checkout: Path
    compiled: Path

    @property
    def python(self) -> str:
        """Of its own `.venv` where it has one, else this one."""
        own = self.checkout / ".venv" / "bin" / "python"
        return str(own) if own.exists() else sys.executable

    @property
    def environment(self) -> dict[str, str]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.checkout / "src"),
            "PYTHONPYCACHEPREFIX": str(self.compiled),
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        return environment

    def command(self, state: Path, *words: str) -> list[str]:
        return [self.python, "-m", "transfermon", "--state-dir", str(state), *words]


def earlier(words: str) -> Path:
    """The work tree that a path names, or that of a commit, which is made with its packages.

    Raises RuntimeError, in words, where the commit is not in this checkout's history or its packages
    cannot be had.
    """
    if Path(words, "src", "transfermon").is_dir():
        return Path(words).resolve()
    commit = _run(["git", "-C", str(ROOT), "rev-parse", "--verify", f"{words}^{{commit}}"]).strip()
    folder = KEPT / commit[:12]
    if (folder / ".complete").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    print(f"making the build {commit[:12]} with its packages in {folder.relative_to(ROOT)}")
    archive = folder / "tree.tar"
    _run(["git", "-C", str(ROOT), "archive", "-o", str(archive), commit])
    _run(["tar", "-xf", str(archive), "-C", str(folder)])
    archive.unlink()
    _run([sys.executable, "-m", "venv", str(folder / ".venv")])
    pip = [str(folder / ".venv" / "bin" / "python"), "-m", "pip", "install", "-q"]
    _run([*pip, "--require-hashes", "-r", str(folder / "requirements.lock")])
    (folder / ".complete").touch()
    return folder


def _run(command: list[str]) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} ...: {ended.stderr.strip()[-500:]}")
    return ended.stdout
