"""Reads a text file that a person chose: a list of addresses, or a push for the composer.

Rule: a stranger may have written it (L16): a regular file, of bounded size, and text, or one
sentence why not.
"""

from __future__ import annotations

import os
import stat

from transfermon.model.translate import tr


def read_text(path: str, longest: int) -> str:
    """Its text, UTF-8 with or without a mark. Raises ValueError with a sentence; never waits for a
    pipe or a device, and never reads more than `longest` bytes.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError(tr("This is not an ordinary file."))
            raw = file.read(longest + 1)
    except OSError as exc:
        raise ValueError(
            tr("The file cannot be read: {strerror}.").format(strerror=exc.strerror)
        ) from exc
    if len(raw) > longest:
        raise ValueError(tr("The file is too large for a list of addresses or a push."))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ValueError(tr("The file is not text.")) from exc
    if "\0" in text:
        raise ValueError(tr("The file is not text."))
    return text


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
