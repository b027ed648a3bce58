from __future__ import annotations

import gc
import threading
import weakref

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QObject, QThread

from transfermon.gui.toolkit.thread_signal import Bell


@pytest.fixture
def parent(qapp):
    parent = QObject()
    yield parent
    parent.deleteLater()


def in_a_thread(work) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_values_of_a_thread_arrive_in_order_on_the_windows_thread(parent, qtbot):
    bell = Bell(parent)
    heard: list[int] = []
    threads = set()

    def hear(value: int) -> None:
        heard.append(value)
        threads.add(QThread.currentThread() is parent.thread())

    bell.rang.connect(hear)
    rope = bell.rope

    def pull() -> None:
        for number in range(5000):
            rope.pull(number)

    in_a_thread(pull)
    assert heard == []
    qtbot.waitUntil(lambda: len(heard) == 5000)
    assert heard == list(range(5000))
    assert threads == {True}


def test_a_closed_bell_hears_nothing_and_the_rope_may_still_be_pulled(parent, qapp):
    bell = Bell(parent)
    rope = bell.rope
    heard: list[object] = []
    bell.rang.connect(heard.append)
    rope.pull(1)
    bell.close()
    QCoreApplication.processEvents()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    in_a_thread(lambda: rope.pull(2))
    assert heard == []


def test_a_thread_that_outlives_the_bell_keeps_none_of_qts_objects(qapp):
    parent = QObject()
    bell = Bell(parent)
    rope, gone = bell.rope, weakref.ref(bell)
    parent.deleteLater()
    del bell, parent
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
    assert gone() is None
    in_a_thread(lambda: rope.pull("too late"))
