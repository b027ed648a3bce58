"""When a picture is looked at again while its file arrives.

Rule: at most once a second, never for more than a fifth of the time, and only when more of it came.
A file that is no picture, or that takes too long, is left alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer

from transfermon.gui.list.columns import name_of
from transfermon.gui.panels.pictures import PictureAnswer
from transfermon.model.task import Kind, Task

# it is looked at again after so many seconds, or so many times what it took
SOON, REST = 1.0, 4
LONGEST_MAGIC = 16  # bytes by which a format is told
MORE = 0.04  # of the file, that must have come meanwhile


class ArrivalWatch:
    """`due` gets the task when its file is to be asked about again."""

    def __init__(self, parent: QObject, due: Callable[[Task], None]) -> None:
        self._due = due
        self._asked_at = 0.0
        self.next_look = 0.0  # monotonic seconds; infinite until there is an answer
        self._seen = 0  # bytes that the file had when it was asked about
        self._grown: tuple[Task, int, int] | None = None  # since then
        self._timer = QTimer(parent)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._look)

    def forget(self) -> None:
        """Another file, or another state of it, is shown from now on."""
        self.next_look, self._seen, self._grown = 0.0, 0, None
        self._timer.stop()

    def note_progress(self, task: Task, received: int, expected: int) -> None:
        self._grown = task, received, expected
        self._look()

    def asked(self) -> None:
        self._asked_at, self.next_look = time.monotonic(), math.inf

    def answered(self, answer: PictureAnswer) -> None:
        hopeless = answer.reason == "slow" or (
            answer.reason == "format" and answer.length >= LONGEST_MAGIC
        )
        if not hopeless:
            now = time.monotonic()
            self.next_look = now + max(SOON, REST * (now - self._asked_at))
            self._look()

    def _look(self) -> None:
        """If enough came, and as soon as it is time for it."""
        task, received, expected = self._grown or (None, 0, 0)
        if (
            task is None
            or received - self._seen < max(1, round(expected * MORE))
            or self.next_look == math.inf
        ):
            return
        if (wait := self.next_look - time.monotonic()) > 0:
            self._timer.start(round(wait * 1000) + 1)
            return
        self._seen = received
        self._due(task)


def arrives(task: Task) -> bool:
    """Whether it is a JPEG of which something may be here already; its bytes lie in their order."""
    kind = task.response.header("Content-Type") if task.response is not None else ""
    named = (
        name_of(task).lower().endswith((".jpg", ".jpeg"))
        or kind.partition(";")[0].strip().lower() == "image/jpeg"
    )
    return named and task.kind is Kind.DOWNLOAD and bool(task.part_path) and not task.file
