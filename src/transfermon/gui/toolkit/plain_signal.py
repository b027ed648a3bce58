"""Word from one part of the window to others, as by a signal of Qt's, and on the same thread.

Rule: for what comes by the thousand. Qt takes ten times as long to hand an object of Python's to a
function of Python's; in all else it is the same: who fails keeps nobody else from hearing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PlainSignal(Generic[T]):
    """Whoever is connected hears what is emitted, in the order in which they came."""

    def __init__(self) -> None:
        self._listeners: tuple[Callable[[T], object], ...] = ()

    def __repr__(self) -> str:
        return f"<PlainSignal to {len(self._listeners)}>"

    def connect(self, listener: Callable[[T], object]) -> None:
        """It is held until it is disconnected, or all are."""
        self._listeners = (*self._listeners, listener)

    def disconnect(self, listener: Callable[[T], object]) -> None:
        """A no-op for one that is not connected."""
        self._listeners = tuple(one for one in self._listeners if one != listener)

    def disconnect_all(self) -> None:
        self._listeners = ()

    def emit(self, word: T) -> None:
        for listener in self._listeners:
            try:
                listener(word)
            except Exception:  # noqa: BLE001 - as Qt does with a slot that fails
                sys.excepthook(*sys.exc_info())
