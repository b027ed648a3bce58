"""The app's loop: in order, no faster than the window can bear, also in a loop of Qt's inside."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import time
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QEventLoop, QTimer

from transfermon.gui.toolkit import app_loop
from transfermon.gui.toolkit.app_loop import SLICE, SPARED, AppLoop


@pytest.fixture
def loop(qapp) -> Iterator[AppLoop]:
    found = AppLoop(qapp)
    yield found
    found.close()


def test_callbacks_run_in_their_order_and_those_that_were_cancelled_do_not(loop):
    ran: list[int] = []

    async def main() -> None:
        handles = [loop.call_soon(ran.append, number) for number in range(6)]
        handles[2].cancel()
        loop.call_soon(loop.call_soon, ran.append, 6)
        while len(ran) < 6:
            await asyncio.sleep(0)

    loop.run_until_complete(main())
    assert ran == [0, 1, 3, 4, 5, 6]


def test_a_callback_has_the_context_in_which_it_was_asked_for(loop):
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []

    async def main() -> None:
        variable.set("mine")
        loop.call_soon(lambda: seen.append(variable.get()))
        loop.call_soon(lambda: seen.append(variable.get()), context=contextvars.Context())
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    loop.run_until_complete(main())
    assert seen == ["mine", "none"]


def test_qt_has_its_turn_between_callbacks_that_take_long(loop):
    order: list[str] = []
    timer = QTimer()
    timer.timeout.connect(lambda: order.append("qt"))

    async def main() -> None:
        timer.start(0)
        for _ in range(50):
            loop.call_soon(order.append, "ours")
            loop.call_soon(time.sleep, SLICE)
        while order.count("ours") < 50:
            await asyncio.sleep(0)
        timer.stop()

    loop.run_until_complete(main())
    last = len(order) - 1 - order[::-1].index("ours")
    assert "qt" in order[order.index("ours") : last]


def test_what_waits_goes_on_in_a_loop_of_qts_inside(loop):
    ran: list[str] = []

    def inside() -> None:
        nested = QEventLoop()
        loop.call_soon(nested.quit)
        nested.exec()
        ran.append("inside is over")

    async def main() -> None:
        loop.call_soon(inside)
        loop.call_soon(ran.append, "after it")
        while len(ran) < 2:
            await asyncio.sleep(0.001)

    loop.run_until_complete(main())
    assert ran == ["after it", "inside is over"]


def test_threads_and_timers_work_as_ever(loop):
    async def main() -> tuple[str, int]:
        word = await asyncio.to_thread(lambda: "from a thread")
        async with asyncio.timeout(60):
            await asyncio.sleep(0.01)
        tasks = [asyncio.create_task(asyncio.sleep(0, number)) for number in range(10)]
        return word, sum(await asyncio.gather(*tasks))

    assert loop.run_until_complete(main()) == ("from a thread", 45)


def test_what_callbacks_ask_for_runs_in_the_same_turn_while_there_is_time(loop, monkeypatch):
    monkeypatch.setattr(app_loop, "SLICE", 60.0)
    order: list[str] = []
    timer = QTimer()
    timer.timeout.connect(lambda: order.append("qt"))

    def chain(left: int) -> None:
        order.append("ours")
        if left:
            loop.call_soon(chain, left - 1)

    async def main() -> None:
        timer.start(0)
        loop.call_soon(chain, 9)
        while order.count("ours") < 10:
            await asyncio.sleep(0)
        timer.stop()

    loop.run_until_complete(main())
    first = order.index("ours")
    turns = order[first : len(order) - order[::-1].index("ours")]
    assert "qt" not in turns


def test_what_is_due_later_comes_in_the_order_of_its_time_and_not_too_early(loop):
    ran: list[tuple[int, float]] = []

    async def main() -> None:
        begin = loop.time()
        for delay in (30, 10, 20, 0):
            loop.call_later(
                delay / 1000, lambda delay=delay: ran.append((delay, loop.time() - begin))
            )
        loop.call_later(0.015, ran.append, (15, 1.0)).cancel()
        while len(ran) < 4:
            await asyncio.sleep(0.005)

    loop.run_until_complete(main())
    assert [delay for delay, _ in ran] == [0, 10, 20, 30]
    assert all(late >= delay / 1000 for delay, late in ran)


def test_timeouts_that_were_cancelled_do_not_gather(loop):
    async def main() -> int:
        for _ in range(50 * SPARED):
            loop.call_later(600_000, print).cancel()
        kept = loop.call_later(600_000, print)
        found = len(loop._later)
        kept.cancel()
        return found

    assert loop.run_until_complete(main()) < 4 * SPARED


def test_a_time_that_is_farther_off_than_qt_counts_is_no_failure(loop):
    async def main() -> bool:
        far = loop.call_later(400 * 86_400, print)
        await asyncio.sleep(0.01)
        found = bool(far.cancelled())
        far.cancel()
        return found

    assert loop.run_until_complete(main()) is False


def test_what_threads_ask_for_runs_in_their_order_and_none_of_it_is_missed(loop):
    heard: list[tuple[int, int]] = []

    def ask(thread: int) -> None:
        for number in range(500):
            loop.call_soon_threadsafe(heard.append, (thread, number))

    async def main() -> None:
        await asyncio.gather(*(asyncio.to_thread(ask, thread) for thread in range(3)))
        async with asyncio.timeout(60):
            while len(heard) < 1500:
                await asyncio.sleep(0.001)

    loop.run_until_complete(main())
    for thread in range(3):
        assert [number for who, number in heard if who == thread] == list(range(500))


def test_a_thread_is_told_that_the_loop_is_closed(qapp):
    closed = AppLoop(qapp)
    closed.close()
    with pytest.raises(RuntimeError):
        closed.call_soon_threadsafe(print)


def test_signals_are_heard(loop):
    heard: list[str] = []

    async def main() -> None:
        loop.add_signal_handler(signal.SIGUSR1, heard.append, "usr1")
        os.kill(os.getpid(), signal.SIGUSR1)
        async with asyncio.timeout(60):
            while not heard:
                await asyncio.sleep(0.001)
        loop.remove_signal_handler(signal.SIGUSR1)

    loop.run_until_complete(main())
    assert heard == ["usr1"]
