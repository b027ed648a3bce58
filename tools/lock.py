"""Writes the locks from pyproject.toml: tools/lock.py [--upgrade]

requirements.lock is what the app needs and what installs it from a checkout, requirements-dev.lock
what tests and checks need on top. Both hold for every Python that pyproject.toml allows, by
markers, and name no place to fetch from: the settings of pip and uv on this machine are left aside.
Without --upgrade a pin that still fits stays as it is.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
APP, DEV = ROOT / "requirements.lock", ROOT / "requirements-dev.lock"
UV = "uv>=0.9,<1"
LINUX = "sys_platform == 'linux'"


def pins(lock: str) -> dict[str, str]:
    """Each pin with its hashes, by the line that names package, version and marker."""
    blocks = re.split(r"\n(?=\S)", lock.strip())
    return {block.partition(" \\")[0]: block for block in blocks if "==" in block}


def dev_only(everything: str, app: str) -> str:
    """The pins of everything that the app's lock does not have."""
    known = pins(app)
    return "".join(f"{block}\n" for line, block in pins(everything).items() if line not in known)


def uv_in(folder: Path) -> Path:
    venv.create(folder, with_pip=True)
    subprocess.run([folder / "bin/python", "-m", "pip", "install", "-q", UV], check=True)
    return folder / "bin/uv"


def compile_lock(uv: Path, out: Path, *groups: str, options: list[str]) -> None:
    """Compile over what out holds: a pin there is kept where it fits."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_"))
    }
    command: list[str | Path] = [
        uv,
        "pip",
        "compile",
        "pyproject.toml",
        "-q",
        "-o",
        out,
        "--universal",
    ]
    command += ["--generate-hashes", "--no-header", "--no-annotate", "--no-config", *options]
    for group in groups:
        command += ["--group", group]
    subprocess.run(command, check=True, cwd=ROOT, env=clean)


def main(options: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        uv = uv_in(Path(folder) / "venv")
        compile_lock(uv, APP, "build", options=options)
        app = APP.read_text(encoding="utf-8")
        both = Path(folder) / "both.lock"
        both.write_text(
            app + (DEV.read_text(encoding="utf-8") if DEV.exists() else ""), encoding="utf-8"
        )
        compile_lock(uv, both, "build", "dev", options=[*options, "-c", str(APP)])
        DEV.write_text(dev_only(both.read_text(encoding="utf-8"), app), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
