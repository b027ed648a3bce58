"""N-04 to N-06 in the window: the summary of an absence, a click, and a desktop that shows
nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from tests.gui.window.test_main_window import Server, World, in_a_world, until
from tests.helpers.qt_loop import qt_backend
from transfermon.gui.window.notifications import Notifications
from transfermon.model.errors import Code, TransferError
from transfermon.model.task import Kind, State, Task
from transfermon.system.notifier import Button, Notifier
from transfermon.system.runners import Runners
from transfermon.text.notification_texts import return_notice

pytestmark = pytest.mark.anyio
FAILED = TransferError(code=Code.CANNOT_CONNECT, message="The server refused the connection.")


@pytest.fixture
def anyio_backend(qapp: Any) -> Any:
    return qt_backend(qapp)


class Desktop:
    """A notification service that keeps what it was given; `there` says whether it answers."""

    def __init__(self, *, there: bool) -> None:
        self.available = there
        self.banners: list[tuple[str, str, Callable[[], None] | None]] = []

    async def send(
        self,
        title: str,
        body: str,
        *,
        on_clicked: Callable[[], None] | None = None,
        buttons: list[Button] | None = None,
    ) -> bool:
        if self.available:
            self.banners.append((title, body, on_clicked))
        return self.available


def listening(world: World, desktop: Desktop, runners: Runners) -> Notifications:
    """The window's notifications while the app is in the background."""
    notifications = Notifications(
        world.monitor,
        cast(Notifier, desktop),
        world.window.context,
        runners,
        in_background=lambda: True,
    )
    world.monitor.subscribe(notifications.apply)
    return notifications


def ended(number: int, error: TransferError | None = None) -> Task:
    url = "https://example.com/a"
    return Task(
        session="s", number=number, kind=Kind.DOWNLOAD, url=url, state=State.COMPLETED, error=error
    )


# ---- N-04


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ([ended(1), ended(2)], "2 transfers finished while you were away"),
        ([ended(1), ended(2, FAILED)], "1 of 2 transfers failed while you were away"),
        ([ended(1, FAILED)], "1 transfer failed while you were away"),
    ],
)
def test_n04_the_summary_is_a_failure_if_any_failed(tasks: list[Task], words: str):
    assert return_notice(tasks).body.startswith(words)


@in_a_world
async def test_n04_one_summary_is_shown_for_all_that_ended(world: World, server: Server) -> None:
    desktop, runners = Desktop(there=True), Runners()
    notifications = listening(world, desktop, runners)
    notifications.tell_return(return_notice([ended(1), ended(2), ended(3, FAILED)]), False)
    await until(lambda: bool(desktop.banners))
    assert [body for _, body, _ in desktop.banners] == [
        "1 of 3 transfers failed while you were away"
    ]
    await runners.close()


# ---- N-05


@pytest.mark.qt_log_ignore("does not support raise")  # the offscreen platform says so
@in_a_world
async def test_n05_a_click_brings_the_window_back_with_the_transfer_selected(
    world: World, server: Server
) -> None:
    desktop, runners = Desktop(there=True), Runners()
    listening(world, desktop, runners)
    world.add(f"{server.url}/a.bin")
    await until(lambda: len(desktop.banners) == 1)
    world.add(f"{server.url}/slow")
    await until(lambda: world.window.panels.model.rowCount() == 2)
    world.window.hide()
    clicked = desktop.banners[0][2]
    assert clicked is not None
    clicked()
    assert world.window.isVisible()
    assert world.window.context.selected == [world.monitor.tasks()[0].key]
    await runners.close()


# ---- N-06


@in_a_world
async def test_n06_without_a_service_nothing_fails_and_the_window_says_it(
    world: World, server: Server
) -> None:
    desktop, runners = Desktop(there=False), Runners()
    listening(world, desktop, runners)
    world.add(f"{server.url}/a.bin")
    await until(lambda: any("Transfer finished" in text for text in world.said()))
    assert desktop.banners == []
    assert world.monitor.tasks()[0].succeeded
    history = await world.monitor.overview.history()
    (told,) = (event for event in history if event.type == "notification")
    assert not told.to_dict()["shown"]  # all that was ever notified is in the events
    await asyncio.sleep(0)
    await runners.close()
