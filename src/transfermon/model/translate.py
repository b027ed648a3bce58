"""The words that a person reads: English here, and another language where the window has brought
one.

Rule: `tr` gets literal texts, or texts that were `marked` where they stand in a table, so that
lupdate finds them all. What other programs read (records, JSON, logs, the words of a filter) does
not go through here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

# a text, its English singular, and a count or -1; the text itself if unknown
LookUp = Callable[[str, str, int], str]

_look_up: LookUp | None = None
_known: dict[str, str] = {}  # a painted cell asks for the same words again and again


def use(look_up: LookUp | None) -> None:
    """Translate with this from now on; None brings English back. What is shown already stays as it
    is.
    """
    global _look_up
    _look_up = look_up
    _known.clear()


def marked(text: str) -> str:
    """The text as it is: it stands in a table, and `tr` gets it when it is shown."""
    return text


def tr(text: str, one: str = "", n: int = -1) -> str:
    """The text in the language of the window. With a count, `%n` in it becomes that number; `one`
    is the English text for one, which Qt could only give by a translation into English.
    """
    if n < 0:
        if _look_up is None or not text:
            return text
        if (found := _known.get(text)) is None:
            found = _known[text] = _look_up(text, "", -1)
        return found
    english = (one if n == 1 else text).replace("%n", str(n))
    if _look_up is None:
        return english
    found = _look_up(text, one, n)
    return english if found == text.replace("%n", str(n)) else found


@contextlib.contextmanager
def in_english() -> Iterator[None]:
    """For what another program will read although a person's words are made of it."""
    global _look_up
    before, _look_up = _look_up, None
    try:
        yield
    finally:
        _look_up = before
