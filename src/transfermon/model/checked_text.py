"""What may come in as text, or as a path, by any door: Python, the command line, the control
socket, a dialog.

Rule: what cannot be stored and said again is refused here, in one sentence, before anything is made
of it.
"""

from __future__ import annotations

import os
from typing import Any


def is_text(value: str) -> bool:
    """False where half a character is in it: a stray byte of a Latin-1 terminal, or a lone
    surrogate from JSON.
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def checked_text(value: str, what: str) -> str:
    """The text. Raises ValueError with a sentence about `what` ("the identifier") where it is
    none.
    """
    if not is_text(value):
        raise ValueError(
            f"{what} holds half a character or a stray byte and is no valid text (UTF-8)"
        )
    return value


def checked_path(value: str, what: str) -> str:
    """The path. A name of a file may hold any bytes, so one that only is no text passes; ValueError
    with a sentence for what can be no path at all.
    """
    if "\0" in value:
        raise ValueError(f"{what} holds a NUL, which no path can")
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        raise ValueError(
            f"{what} holds half a character (a lone surrogate), which no path can"
        ) from None
    return value


def without_text(value: Any) -> str | None:
    """The first text in a JSON value that is none; None where all are. Keys count, too."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            if not one.isascii() and not is_text(one):
                return one
        elif isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            waiting += one
    return None
