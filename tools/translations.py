"""Brings the texts for translators up to date: `make translations`.

Writes the template of all texts, adds new ones to each language that there is, and compiles the
languages.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from glob import glob
from pathlib import Path

import PySide6

SOURCES = Path(__file__).resolve().parent.parent / "src" / "transfermon"
FOLDER = SOURCES / "translations"
TEMPLATE = FOLDER / "transfermon.ts"


def program(name: str) -> str:
    """Qt's own, which comes with PySide6. Raises FileNotFoundError where it does not."""
    path = os.path.join(os.path.dirname(PySide6.__file__), name)
    if not os.path.exists(path):
        raise FileNotFoundError(f"PySide6 has come without {name}: {path}")
    return path


def collect(target: Path) -> None:
    """Bring a file of texts up to date with the sources; translations in it stay."""
    everything = sorted(SOURCES.rglob("*.py"))
    files = [
        str(path)
        for path in everything
        if "transfermon.model.translate" in path.read_text(encoding="utf-8")
    ]
    options = ["-silent", "-no-obsolete", "-locations", "none", "-sort-messages"]
    _run(
        [
            program("lupdate"),
            *options,
            "-tr-function-alias",
            "QT_TR_NOOP+=marked",
            *files,
            "-ts",
            str(target),
        ]
    )


def compile_to(target: Path, source: Path) -> None:
    _run([program("lrelease"), "-silent", str(source), "-qm", str(target)])


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in [str(TEMPLATE), *sorted(glob(str(FOLDER / "transfermon_*.ts")))]:
        collect(Path(name))
        if name != str(TEMPLATE):
            compile_to(Path(name).with_suffix(".qm"), Path(name))


if __name__ == "__main__":
    main()
