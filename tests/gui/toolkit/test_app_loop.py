"""The app's loop: in order, no faster than the window can bear, also in a loop of Qt's inside."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QEventLoop, QTimer

from transfermon.gui.toolkit.app_loop import SLICE, AppLoop


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
