from __future__ import annotations

import gc
import threading
import weakref

from PySide6.QtCore import QAbstractEventDispatcher, QThread

from transfermon.gui.toolkit.collector import YOUNG, Collector


class Knot:
    """Garbage that only the cyclic collector can free, and that notes on which thread it went."""

    def __init__(self) -> None:
        self.self = self


def test_cycles_are_freed_on_the_thread_of_the_window_only(qtbot, qapp):
    dispatcher = QAbstractEventDispatcher.instance(QThread.currentThread())
    collector = Collector(dispatcher)
    freed_on: list[threading.Thread] = []
    try:

        def work() -> None:
            for _ in range(3 * YOUNG):
                knot = Knot()
                weakref.finalize(knot, lambda: freed_on.append(threading.current_thread()))

        worker = threading.Thread(target=work)
        worker.start()
        worker.join()
        assert freed_on == []
        qtbot.waitUntil(lambda: bool(freed_on), timeout=60000)
        assert set(freed_on) == {threading.main_thread()}
    finally:
        collector.close()
    assert gc.isenabled()
    gc.disable()  # as the other tests expect it
