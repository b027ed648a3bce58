"""Inside the app: its own window on a prepared state directory, watched while it starts, works,
scrolls and rests.

`python -m benchmarks.gui_probe CASE FOLDER ANSWER BEGIN`; `benchmarks.gui` starts it. What was seen
goes to the file ANSWER as JSON. BEGIN is when the process was started, in seconds of the monotonic
clock, which all processes share.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, cast

from PySide6.QtCore import QCoreApplication, QEvent, QObject, QRect, Qt, QTimer
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QApplication, QTableView, QWidget

BEAT = 0.008  # seconds of the timer whose lateness counts
FRAME_MS = 16
BUSY = 0.9  # of the transfers that may run at once must be running
PATIENCE = 60.0  # seconds
# seconds: the first files on a tmpfs need fresh pages, later ones use those that were freed
WARM = 3.0
RESTS, SCROLLS, HIDES, IDLES = 8.0, 4.0, 3.0, 10.0  # seconds of each part
Answer = dict[str, Any]


def bare(begin: float) -> Answer:
    """An empty window of Qt, for comparison."""
    app = QApplication(sys.argv[:1])
    window = QWidget()
    window.resize(1200, 720)
    paints = Paints()
    window.installEventFilter(paints)
    paints.first = app.quit
    window.show()
    app.exec()
    return {"shown": time.monotonic() - begin, "resident": resident()}


class Paints(QObject):
    """Counts the paint events of the widgets on which it is installed, and calls `first` at the
    first one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.first: Callable[[], object] | None = None

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() is QEvent.Type.Paint:
            self.count += 1
            if self.first is not None:
                first, self.first = self.first, None
                first()
        return False


class RowPaints(QObject):
    """When each row of a table was painted."""

    def __init__(self, table: QTableView) -> None:
        super().__init__()
        self._table = table
        self.times: dict[int, list[float]] = {}
        table.viewport().installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QPaintEvent):
            now = time.monotonic()
            rows: set[int] = set()
            for rect in cast(Iterable[QRect], event.region()):  # its type hints leave that out
                last = self._table.rowAt(rect.bottom())
                last = last if last >= 0 else self._table.model().rowCount() - 1
                rows.update(range(max(0, self._table.rowAt(rect.top())), last + 1))
            for row in rows:
                self.times.setdefault(row, []).append(now)
        return False

    def close(self) -> None:
        self._table.viewport().removeEventFilter(self)

    def most(self) -> int:
        """Paints of one row within one second."""
        return max((busiest(times) for times in self.times.values()), default=0)


def busiest(times: list[float], span: float = 1.0) -> int:
    """How many of these ascending times lie within one span at the most."""
    most = first = 0
    for place, at in enumerate(times):
        while at - times[first] >= span:
            first += 1
        most = max(most, place - first + 1)
    return most


class Beat:
    """A timer on the window's thread that notes how late it is, in seconds."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self._due = time.perf_counter() + BEAT
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(round(BEAT * 1000))
        self._timer.timeout.connect(self._fire)
        self._timer.start()

    def _fire(self) -> None:
        now = time.perf_counter()
        self.late.append(max(0.0, now - self._due))
        self._due = now + BEAT

    def stop(self) -> list[float]:
        self._timer.stop()
        return self.late


def resident() -> int:
    """Bytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak() -> int:
    """Bytes of resident memory at the most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        await asyncio.sleep(0.02)


class App:
    """The app's window, monitor and tray, once they are connected."""

    def __init__(self, monitor: Any, window: Any, begin: float, answer: Answer) -> None:
        self.monitor, self.window, self.begin, self.answer = monitor, window, begin, answer
        self.table: QTableView = window.panels.table

    # ---- the parts

    async def filled(self) -> None:
        """Until the list has been painted with its rows."""
        painted = Paints()
        self.table.viewport().installEventFilter(painted)

        def note() -> None:
            self.answer["filled"] = time.monotonic() - self.begin

        if self.table.model().rowCount():
            painted.first = note
            await until(lambda: "filled" in self.answer, "the list is not painted")
        self.table.viewport().removeEventFilter(painted)
        self.answer["rows"] = self.table.model().rowCount()

    async def start(self) -> None:
        await asyncio.sleep(1.0)  # what the start leaves behind
        self.answer["resident"] = resident()

    async def idle(self) -> None:
        """What the app costs while nothing is to be done: seen, and hidden."""
        await asyncio.sleep(2.0)
        for name, seen in (("idle_shown", True), ("idle_hidden", False)):
            self.window.setVisible(seen)
            await asyncio.sleep(0.5)
            cpu, begin = time.process_time(), time.monotonic()
            await asyncio.sleep(IDLES)
            self.answer[name] = (time.process_time() - cpu) / (time.monotonic() - begin)

    async def full(self) -> None:
        """All the transfers that may run are running."""
        wanted = round(self.monitor.settings.running_tasks * BUSY)
        await until(
            lambda: len(self.monitor.overview.running_progress()) >= wanted, "too few transfers run"
        )
        await asyncio.sleep(WARM)
        moved = [self._moved()]
        await self._rest("rest", RESTS)
        moved.append(self._moved())
        self.answer["rate"] = (moved[1] - moved[0]) / RESTS
        await self._scroll()
        await self._filter()
        await self._out_of_sight()
        await self._hidden()
        self.answer["running"] = len(self.monitor.overview.running_progress())
        self.answer["peak"] = peak()
        self.answer["resident"] = resident()

    def _moved(self) -> int:
        live = self.monitor.overview.running_progress()
        return sum(
            live[task.key].received if task.key in live else task.moved
            for task in self.monitor.tasks()
        )

    async def _rest(self, name: str, seconds: float) -> None:
        self._show_moving()
        self._draw()  # that is no repaint of a row that moves
        rows, beat = RowPaints(self.table), Beat()
        cpu, begin = time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        self.answer[name] = beat.stop()
        self.answer["cpu"] = (time.process_time() - cpu) / (time.monotonic() - begin)
        self.answer["row_paints"] = rows.most()
        rows.close()

    def _show_moving(self) -> None:
        """Scroll to rows that will move for a while: those that began last."""
        live = self.monitor.overview.running_progress()
        places = sorted(self.window.panels.model.row_of(key) for key in live)
        self.table.scrollTo(
            self.table.model().index(places[0], 0), QTableView.ScrollHint.PositionAtTop
        )

    async def _scroll(self) -> None:
        """A frame each 16 ms: small steps, then whole pages."""
        bar = self.table.verticalScrollBar()
        beat = Beat()
        for name, step in (("steps", 23), ("pages", self.table.viewport().height())):
            frames: list[float] = []
            end = time.monotonic() + SCROLLS / 2
            while time.monotonic() < end:
                begin = time.perf_counter()
                bar.setValue(bar.value() + step if bar.value() < bar.maximum() else 0)
                self._draw()
                frames.append(time.perf_counter() - begin)
                await asyncio.sleep(max(0.0, FRAME_MS / 1000 - frames[-1]))
            self.answer[name] = frames
        self.answer["scroll"] = beat.stop()

    def _draw(self) -> None:
        """Paint what is due, now and not in a later turn."""
        QCoreApplication.sendPostedEvents()
        QCoreApplication.sendEvent(self.window, QEvent(QEvent.Type.UpdateRequest))

    async def _filter(self) -> None:
        """From the last letter to the new list on the screen."""
        took: list[float] = []
        for words in ("7", "77", "state:failed", "file-1", "no such name", ""):
            begin = time.perf_counter()
            self.window.panels.words.setText(words)
            self._draw()
            took.append(time.perf_counter() - begin)
            await asyncio.sleep(0.3)
        self.answer["filter"] = took

    async def _out_of_sight(self) -> None:
        """Rows that move are above the ones in view."""
        bar = self.table.verticalScrollBar()
        bar.setValue(bar.maximum())
        await asyncio.sleep(0.3)
        paints = Paints()
        self.table.viewport().installEventFilter(paints)
        await asyncio.sleep(HIDES)
        self.table.viewport().removeEventFilter(paints)
        self.answer["out_of_sight_paints"] = paints.count
        bar.setValue(0)

    async def _hidden(self) -> None:
        self.window.hide()
        await asyncio.sleep(0.3)
        paints = Paints()
        for widget in (self.window, *self.window.findChildren(QWidget)):
            widget.installEventFilter(paints)
        beat = Beat()
        await asyncio.sleep(HIDES)
        self.answer["hidden"] = beat.stop()
        self.answer["hidden_paints"] = paints.count
        self.window.show()


def in_app(case: str, folder: str, begin: float) -> Answer:
    """Run the app as `transfermon gui` does, with one more part that watches and then quits."""
    from transfermon.gui import app_life

    answer: Answer = {}

    class Watched(app_life.Life):
        def _show(self, window: Any, tray: Any) -> None:
            paints = Paints()
            paints.first = lambda: answer.__setitem__("shown", time.monotonic() - begin)
            paints.setParent(window)
            window.installEventFilter(paints)
            super()._show(window, tray)

        async def _with(self, monitor: Any, window: Any, tray: Any) -> None:
            app = App(monitor, window, begin, answer)
            parts = {"start": app.start, "idle": app.idle, "full": app.full}
            outputs = monitor.subscribe(lambda event: _drop(event, monitor))
            watching = asyncio.ensure_future(self._watch(app, parts[case]))
            try:
                await super()._with(monitor, window, tray)
            finally:
                outputs()
            await watching

        async def _watch(self, app: App, part: Callable[[], Coroutine[Any, Any, None]]) -> None:
            try:
                await app.filled()
                await part()
            finally:
                self._host.end()

    app_life.Life = Watched  # type: ignore[misc]
    app_life.run(folder, demo=False, minimized=False)
    return answer


def _drop(event: Any, monitor: Any) -> None:
    """Take finished files away at once: all of them together would not fit."""
    if event.type == "sessioncompleted" and event.task is not None and event.task.file:
        asyncio.get_running_loop().run_in_executor(None, os.unlink, event.task.file)


def rows(folder: str, begin: float) -> Answer:
    """The list alone: how long rows take to load, what they weigh, and what a progress of many of
    them costs.
    """
    from tests.helpers.records import NOW, a_progress, a_task
    from transfermon.gui.list.model import TaskModel
    from transfermon.gui.list.table import TaskTable
    from transfermon.gui.toolkit import theme

    app = QApplication(sys.argv[:1])
    theme.apply(app, "light")
    model, table = TaskModel(), TaskTable()
    table.setModel(model)
    table.resize(1000, 600)
    table.show()
    answer: Answer = {}
    for count in (10_000, 100_000):
        tasks = [
            a_task(number=number, session="bench", added=NOW + number)
            for number in range(1, count + 1)
        ]
        took: list[float] = []
        for _ in range(3):
            model.reset([])
            _turn()
            before, at = resident(), time.perf_counter()
            model.reset(tasks)
            took.append(time.perf_counter() - at)
            answer.setdefault(f"weight_{count}", resident() - before)
            _turn()
        answer[f"load_{count}"] = min(took)
        if count > 10_000:
            break
        for moving in (100, count):
            answer[f"flush_{moving}"] = [
                _flush(model, tasks[:: count // moving], received, a_progress)
                for received in range(20)
            ]
    return answer


def _flush(model: Any, tasks: list[Any], received: int, a_progress: Callable[..., Any]) -> float:
    moved = {task.key: a_progress(received * 1000) for task in tasks}
    begin = time.perf_counter()
    model.apply_progress(moved, 10.0)
    took = time.perf_counter() - begin
    _turn()
    return took


def _turn() -> None:
    for _ in range(3):
        QCoreApplication.processEvents()


def main(case: str, folder: str, answer: str, begin: str) -> int:
    seen = (
        bare(float(begin))
        if case == "bare"
        else rows(folder, float(begin))
        if case == "rows"
        else in_app(case, folder, float(begin))
    )
    Path(answer).write_text(json.dumps(seen), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
