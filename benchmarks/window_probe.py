"""Inside a build of any age: fills a state directory, or watches the window of `transfermon gui`.

`window_builds` starts it with the build on the path. Rule: it uses what scripts may use, the command
line, and the names and models of Qt's objects; nothing else is the same in all builds. It imports
nothing of this checkout.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
from pathlib import Path
from typing import Any

POLL = 0.02  # seconds between two looks while it starts
SECONDS = 4.0  # of watching slow transfers
UPDATES = 600
AT_ONCE = 16  # small files
BEAT = 0.008  # seconds of the timer whose lateness counts
LIVE = 50  # rows that move, as `window_builds` has them
STEP = 250_000  # bytes that each row goes on by in an update


def settle(state: str, running: int) -> None:
    """How many transfers run at once, and where files go."""
    settings = {
        "download_folder": os.path.join(os.path.dirname(state), "downloads"),
        "running_tasks": running,
        "connections_per_host": running,
        "keep_transferring": False,
    }
    Path(state, "settings.json").write_text(json.dumps(settings), encoding="utf-8")


def fill(state: str, address: str, small: int, live: int) -> None:
    """So many finished downloads, and so many that the next engine goes on with."""
    import asyncio

    from transfermon import Monitor, SessionConfiguration

    settle(state, live)

    async def fill_state() -> None:
        async with Monitor.open(state) as monitor:
            monitor.ready()
            configuration = SessionConfiguration.background("org.example.bench")
            configuration.http_maximum_connections_per_host = live
            session = monitor.create_session(configuration)
            finished = [session.download_task(f"{address}/small/{n}.bin") for n in range(small)]
            for task in finished:
                record = await task.wait()
                assert record.succeeded, record.error
            for n in range(live):
                session.download_task(f"{address}/live/{n}.bin")

    asyncio.run(fill_state())


def fill_paused(state: str, live_address: str, live: int, address: str, small: int) -> None:
    """Small downloads of `address` that are paused, and large ones that the next engine goes on
    with.
    """
    import asyncio

    from transfermon import Monitor, SessionConfiguration

    settle(state, live + AT_ONCE)

    async def fill_state() -> None:
        async with Monitor.open(state) as monitor:
            monitor.ready()
            for name, count, at_once in (("small", small, AT_ONCE), ("live", live, live)):
                configuration = SessionConfiguration.background(f"org.example.{name}")
                configuration.http_maximum_connections_per_host = at_once
                session = monitor.create_session(configuration)
                for n in range(count):
                    if name == "small":
                        session.download_task(f"{address}/small{n}.bin", start=False)
                    else:
                        session.download_task(f"{live_address}/live/{n}.bin")

    asyncio.run(fill_state())


class Watch:
    """Looks from a timer for the window and its list, then makes rows move and goes."""

    def __init__(self, answer: Path, rows: int, begin: float) -> None:
        from PySide6.QtCore import QTimer

        self._answer, self._rows, self._begin = answer, rows, begin
        self._seen: dict[str, float] = {}
        self._started = 0.0
        self._cpu = 0.0
        self._table: Any = None
        self._look: Any = self._look_for_window
        self._timer = QTimer()
        self._timer.setInterval(round(POLL * 1000))
        self._timer.timeout.connect(lambda: self._look())
        self._timer.start()

    def _look_for_window(self) -> None:
        from PySide6.QtWidgets import QApplication, QTableView

        for window in QApplication.topLevelWidgets():
            if window.objectName() == "main_window" and window.isVisible():
                self._seen["window_cpu"] = time.process_time()
                self._table = window.findChild(QTableView, "task_table")
                self._look = self._look_for_list

    def _look_for_list(self) -> None:
        if self._table.model().rowCount() < self._rows or not self._table.isVisible():
            return
        self._table.viewport().repaint()
        self._seen["list_cpu"] = time.process_time()
        self._seen["list_wall"] = time.monotonic() - self._begin
        self._look = self._look_for_movement

    def _moving(self) -> list[Any]:
        """The rows of tasks that bytes have come for."""
        return [
            row
            for row in self._table.model().rows
            if row.task.activity.value == "transferring" and row.received > 0
        ]

    def _look_for_movement(self) -> None:
        if len(self._moving()) < LIVE:
            return
        first = min(self._table.model().row_of(row.task.key) for row in self._moving())
        self._table.scrollTo(
            self._table.model().index(first, 0), self._table.ScrollHint.PositionAtTop
        )
        self._started, self._cpu = time.monotonic(), time.process_time()
        self._look = self._look_at_clock

    def _look_at_clock(self) -> None:
        passed = time.monotonic() - self._started
        if passed < SECONDS:
            return
        self._seen["live_cpu"] = (time.process_time() - self._cpu) / passed
        self._update_rows()
        self._end()

    def _end(self) -> None:
        """Write down what was seen, and go."""
        self._timer.stop()
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        self._seen["resident"] = pages * os.sysconf("SC_PAGE_SIZE")
        self._answer.write_text(json.dumps(self._seen), encoding="utf-8")
        os._exit(0)  # the state is a copy, and how it ends is not measured

    def _update_rows(self) -> None:
        """In one turn of the loop, so that nothing of the app comes between."""
        from PySide6.QtCore import QCoreApplication, QEvent

        from transfermon.task import Progress

        rows = self._moving()
        live = {row.task.key: Progress(received=0, expected=100_000_000) for row in rows}
        window, now = self._table.window(), time.monotonic()
        begin = time.thread_time()
        for number in range(1, UPDATES + 1):
            for progress in live.values():
                progress.received += STEP
                progress.rate.add(now + number / 10, progress.received)
            for row in rows:
                row.told = float("-inf")  # views hear of each row four times a second, else
            self._table.model().apply_progress(live, now + number / 10)
            QCoreApplication.sendPostedEvents()
            QCoreApplication.sendEvent(window, QEvent(QEvent.Type.UpdateRequest))
        self._seen["update_cpu"] = (time.thread_time() - begin) / UPDATES


class Arrivals(Watch):
    """Once the live rows move, lets the paused files come, and notes how late a timer is meanwhile."""

    def __init__(self, answer: Path, rows: int, begin: float) -> None:
        super().__init__(answer, rows, begin)
        self._wanted = rows - LIVE
        self._folder = ""
        self._first = (0.0, 0)  # when the first files were seen, and how many
        self._late: list[float] = []
        self._due = 0.0
        self._beat: Any = None
        self._looks = 0

    def _look_at_clock(self) -> None:
        from PySide6.QtCore import Qt, QTimer
        from PySide6.QtGui import QAction

        self._folder = json.loads(self._settings.read_text(encoding="utf-8"))["download_folder"]
        self._table.window().findChild(QAction, "action_resume_all").trigger()
        self._beat = QTimer()
        self._beat.setTimerType(Qt.TimerType.PreciseTimer)
        self._beat.setInterval(round(BEAT * 1000))
        self._beat.timeout.connect(self._note)
        self._due = time.perf_counter() + BEAT
        self._beat.start()
        self._look = self._look_for_files

    @property
    def _settings(self) -> Path:
        return Path(sys.argv[sys.argv.index("--state-dir") + 1], "settings.json")

    def _note(self) -> None:
        now = time.perf_counter()
        self._late.append(max(0.0, now - self._due))
        self._due = now + BEAT

    def _look_for_files(self) -> None:
        self._looks += 1
        if self._looks % 3 or not os.path.isdir(self._folder):  # a look costs most of a millisecond
            return
        count = sum(name.endswith(".bin") for name in os.listdir(self._folder))
        now = time.monotonic()
        if count and not self._first[1]:
            self._first = (now, count)
            self._cpu = time.process_time()
        elif count >= self._wanted:
            began, had = self._first
            share = self._wanted / (self._wanted - had)
            self._beat.stop()
            late = sorted(self._late)
            self._seen["seconds"] = (now - began) * share
            self._seen["cpu"] = (time.process_time() - self._cpu) * share
            self._seen["late_p99"] = late[int(len(late) * 0.99)] * 1000
            self._seen["late_max"] = late[-1] * 1000
            self._end()


def watch(
    kind: type[Watch], state: str, answer: str, checkout: str, rows: int, begin: float
) -> None:
    """`transfermon gui`, with one more timer."""
    from PySide6 import QtWidgets

    class Watched(QtWidgets.QApplication):
        def __init__(self, *words: Any) -> None:
            super().__init__(*words)
            self.watch = kind(Path(answer), rows, begin)

    import transfermon

    assert Path(transfermon.__file__).is_relative_to(checkout), transfermon.__file__
    QtWidgets.QApplication = Watched  # type: ignore[assignment, misc]
    sys.argv = ["transfermon", "--state-dir", state, "gui"]
    runpy.run_module("transfermon", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    what, *words = sys.argv[1:]
    if what == "fill":
        fill(words[0], words[1], int(words[2]), int(words[3]))
    elif what == "fill_paused":
        fill_paused(words[0], words[1], int(words[2]), words[3], int(words[4]))
    else:
        kind = Arrivals if what == "arrivals" else Watch
        watch(kind, words[0], words[1], words[2], int(words[3]), float(words[4]))
