"""Pictures from strangers' files: decoded in a helper process, asked for by a thread, answered by a
signal.

Rule: nothing of a picture is decoded in this process, and no answer of the helper is trusted.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import stat
import subprocess
import sys
import threading
import time

import PySide6
import shiboken6
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from transfermon.gui.panels.picture_helper import magic_of
from transfermon.gui.toolkit.thread_signal import Bell, Rope
from transfermon.model.record import record
from transfermon.model.translate import marked

HELPER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "picture_helper.py")
ANSWER_LIMIT = 2.0  # seconds for one picture
START_LIMIT = 10.0
IDLE = 30.0  # seconds without work after which the helper ends
SENTENCES = {
    "damaged": marked("This picture is damaged and cannot be shown."),
    "large": marked("This picture is too large to show here."),
    "slow": marked("This picture takes too long to show."),
    "missing": marked("The file is no longer where it was saved."),
    "helper": marked("Pictures cannot be shown now."),
}


@record
class Question:
    generation: int  # what it belongs to; older ones are passed over
    number: int
    path: str
    width: int
    height: int
    partial: bool = False  # the file is still arriving: only a JPEG shows something then


@record
class PictureAnswer:
    """`image` is there or `reason` says why not: a key of `SENTENCES`, or "format" for what is no
    picture.
    """

    question: Question
    image: QImage | None = None
    reason: str = ""
    kind: str = ""
    full: tuple[int, int] = (0, 0)
    length: int = -1  # bytes of the file


class HelperError(Exception):
    """The helper gave no usable answer and was ended; `reason` is a key of `SENTENCES`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Helper:
    """The process and the pipes to it. For one thread."""

    def __init__(self, script: str = HELPER, limit: float = ANSWER_LIMIT) -> None:
        self._script = script
        self._limit = limit
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""

    def __repr__(self) -> str:
        return f"<Helper pid={self.pid}>"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def ask(self, question: Question) -> tuple[QImage, str, tuple[int, int]]:
        """Image, format and full size. Raises HelperError; the next question then starts a new
        helper.

        A refusal is a HelperError too, but leaves the helper as it is.
        """
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        line = f"{question.width} {question.height} {os.fsencode(question.path).hex()}\n".encode()
        end = time.monotonic() + self._limit
        try:
            self._process.stdin.write(line)
            words = self._line(end).decode("ascii", "replace").split()
            if words[:1] == ["no"]:
                raise HelperError(
                    words[1] if len(words) > 1 and words[1] in (*SENTENCES, "format") else "damaged"
                )
            return self._image(question, words, end)
        except TimeoutError:
            self.end()
            raise HelperError("slow") from None
        except (OSError, EOFError, ValueError):
            self.end()
            raise HelperError("damaged") from None

    def _image(
        self, question: Question, words: list[str], end: float
    ) -> tuple[QImage, str, tuple[int, int]]:
        if len(words) != 8 or words[0] != "ok" or words[5] not in ("JPEG", "PNG", "GIF", "WebP"):
            raise ValueError("not an answer")
        width, height, stride, count, full_width, full_height = (
            int(words[at]) for at in (1, 2, 3, 4, 6, 7)
        )
        if not (0 < width <= question.width and 0 < height <= question.height):
            raise ValueError("not the size that was asked for")
        if not (4 * width <= stride <= 4 * width + 64 and count == stride * height):
            raise ValueError("not so many bytes")
        while len(self._buffer) < count:
            self._fill(end)
        pixels, self._buffer = self._buffer[:count], self._buffer[count:]
        # QImage does not keep the bytes; the copy does.
        image = QImage(pixels, width, height, stride, QImage.Format.Format_RGBA8888).copy()
        return image, words[5], (full_width, full_height)

    def _start(self) -> None:
        folders = dict.fromkeys(
            os.path.dirname(module.__path__[0]) for module in (PySide6, shiboken6)
        )
        self._buffer = b""
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", self._script, *folders],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "QT_QPA_PLATFORM": "offscreen"},
            cwd="/",
            start_new_session=True,
            bufsize=0,
        )
        try:
            ready = self._line(time.monotonic() + START_LIMIT) == b"ready"
        except (OSError, EOFError, TimeoutError, ValueError):
            ready = False
        if not ready:
            self.end()
            raise HelperError("helper")

    def _line(self, end: float) -> bytes:
        while b"\n" not in self._buffer:
            if len(self._buffer) > 200:
                raise ValueError("not a line")
            self._fill(end)
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _fill(self, end: float) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        output = self._process.stdout.fileno()
        if not select.select([output], [], [], max(0.0, end - time.monotonic()))[0]:
            raise TimeoutError
        data = os.read(output, 1 << 20)
        if not data:
            raise EOFError
        self._buffer += data

    def interrupt(self) -> None:
        """From another thread: a question that is being answered fails at once."""
        process = self._process
        if process is not None:
            process.kill()

    def end(self) -> None:
        """At once, and reaped. May be called at any time."""
        process, self._process = self._process, None
        self._buffer = b""
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.wait()


class Worker:
    """The thread that asks the helper. It knows nothing of Qt's objects: see `Bell`."""

    def __init__(self, helper: Helper, rope: Rope, idle: float) -> None:
        self.helper = helper
        self.generation = 0
        self._rope = rope
        self._idle = idle
        self._questions: queue.SimpleQueue[Question | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="pictures", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"<Worker generation={self.generation}>"

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def ask(self, question: Question) -> None:
        self._questions.put(question)

    def end(self) -> None:
        """Waits for the thread, which ends the helper."""
        self._questions.put(None)
        self.helper.interrupt()  # or the window would wait for a hostile picture
        self._thread.join(ANSWER_LIMIT + 1)

    def _run(self) -> None:
        try:
            while (question := self._next()) is not None:
                if question.generation == self.generation:
                    self._rope.pull(self._answer(question))
        finally:
            self.helper.end()

    def _next(self) -> Question | None:
        if self.helper.pid is not None:
            try:
                return self._questions.get(timeout=self._idle)
            except queue.Empty:
                self.helper.end()
        return self._questions.get()

    def _answer(self, question: Question) -> PictureAnswer:
        try:
            head, length = _look_at(question.path)
        except OSError:
            return PictureAnswer(question=question, reason="missing")
        kind = magic_of(head)
        if not kind or (question.partial and kind != "JPEG"):
            return PictureAnswer(question=question, reason="format", length=length)
        try:
            image, kind, full = self.helper.ask(question)
        except HelperError as exc:
            return PictureAnswer(question=question, reason=exc.reason, length=length)
        return PictureAnswer(question=question, image=image, kind=kind, full=full, length=length)


class Pictures(QObject):
    """Answers questions with a thread that starts with the first one. `answered` carries an
    `PictureAnswer`.
    """

    answered = Signal(object)

    def __init__(self, parent: QObject | None = None, *, idle: float = IDLE) -> None:
        super().__init__(parent)
        self._idle = idle
        self._generation = 0
        self._worker: Worker | None = None
        self._bell: Bell | None = None
        self.helper = Helper()

    def __repr__(self) -> str:
        return f"<Pictures generation={self._generation} {self.helper!r}>"

    @property
    def worker(self) -> Worker | None:
        return self._worker

    def new_generation(self) -> int:
        """From now on earlier questions are passed over."""
        self._generation += 1
        if self._worker is not None:
            self._worker.generation = self._generation
        return self._generation

    def ask(self, question: Question) -> None:
        if self._worker is None:
            self._bell = Bell(self)
            self._bell.rang.connect(self.answered)
            self._worker = Worker(self.helper, self._bell.rope, self._idle)
            self._worker.generation = self._generation
        self._worker.ask(question)

    def close(self) -> None:
        """End the thread and the helper; a later question starts them again."""
        self.new_generation()
        worker, self._worker = self._worker, None
        bell, self._bell = self._bell, None
        if worker is not None:
            worker.end()
        if bell is not None:
            bell.close()


def _look_at(path: str) -> tuple[bytes, int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError("not a regular file")
        return os.read(descriptor, 16), found.st_size
    finally:
        os.close(descriptor)
