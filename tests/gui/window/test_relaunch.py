"""The app is back: one summary of what ended, handlers closed, and nothing shown twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, Resource, reply
from transfermon.engine.monitor import Monitor
from transfermon.gui.window.context import WindowContext
from transfermon.gui.window.notifications import Notifications
from transfermon.gui.window.relaunch import Relaunch
from transfermon.model.errors import Code, TransferError
from transfermon.model.task import Kind, State, Task
from transfermon.storage.settings import Settings
from transfermon.system.notifier import Notifier
from transfermon.system.runners import Runners
from transfermon.text.notification_texts import BannerText, return_notice

FAILED = TransferError(code=Code.CANNOT_CONNECT, message="The server refused the connection.")


def a_task(number: int = 1, **fields: Any) -> Task:
    values = {
        "session": "s",
        "number": number,
        "kind": Kind.DOWNLOAD,
        "url": "https://example.com/a.zip",
        **fields,
    }
    return Task(state=State.COMPLETED, **values)


@pytest.mark.parametrize(
    ("tasks", "body"),
    [
        ([a_task()], "1 transfer finished while you were away, 0 bytes lost"),
        (
            [a_task(1), a_task(2), a_task(3)],
            "3 transfers finished while you were away, 0 bytes lost",
        ),
        (
            [a_task(1, wasted=1500), a_task(2)],
            "2 transfers finished while you were away, 1.5 kB lost",
        ),
        ([a_task(1, error=FAILED)], "1 transfer failed while you were away"),
        (
            [a_task(1), a_task(2, error=FAILED), a_task(3)],
            "1 of 3 transfers failed while you were away",
        ),
        (
            [a_task(1, error=FAILED), a_task(2, error=FAILED)],
            "2 transfers failed while you were away",
        ),
    ],
)
def test_the_words_of_a_return(tasks, body):
    assert return_notice(tasks).body == body


def test_a_click_on_the_summary_leads_to_the_first_failure():
    assert return_notice([a_task(1), a_task(2, error=FAILED)]).user_info["task"] == "s:2"


# ---- with an engine


@pytest.fixture
def server() -> Iterator[ByteServer]:
    def missing(conn: Conn, request: Request) -> bool:
        if request.target == "/gone":
            conn.send(reply(404))
            return True
        return False

    with ByteServer(Resource(b"body" * 100, before=missing)) as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(download_folder=str(tmp_path / "downloads"))


@contextlib.asynccontextmanager
async def opened(tmp_path: Path, settings: Settings, *, attached: bool) -> AsyncIterator[Monitor]:
    async with Monitor.open(
        str(tmp_path / "state"), settings=settings, attached=attached
    ) as monitor:
        yield monitor


async def ended_while_away(
    tmp_path: Path, settings: Settings, server: ByteServer, *paths: str
) -> None:
    async with opened(tmp_path, settings, attached=False) as monitor:
        monitor.ready()
        for path in paths:
            await (
                monitor.session(f"com.example{path.replace('/', '.')}")
                .download_task(server.url(path))
                .wait()
            )


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.anyio
async def test_one_summary_comes_when_all_is_told_and_every_handler_is_closed(
    tmp_path, settings, server
):
    await ended_while_away(tmp_path, settings, server, "/a", "/gone", "/b")
    told: list[tuple[BannerText, bool]] = []
    names: list[str] = []
    async with opened(tmp_path, settings, attached=True) as monitor:
        relaunch = Relaunch(monitor, lambda notice, before: told.append((notice, before)))
        monitor.subscribe(lambda event: names.append(event.type))
        monitor.ready()
        await until(lambda: names.count("handlerended") == 3)
        assert monitor.background.open_handlers == ()
        ((notice, before),) = told
        assert notice.body == "1 of 3 transfers failed while you were away"
        assert not before
        await monitor.session("com.example.c").download_task(server.url("/c")).wait()
        assert len(told) == 1
        relaunch.close()
    # The window shows what an observer hears, and the journal: each event once.
    assert names.count("sessioncompleted") == 1
    async with opened(tmp_path, settings, attached=True) as monitor:
        ids = [event.event_id for event in await monitor.overview.history()]
        assert len(ids) == len(set(ids))
        Relaunch(monitor, lambda notice, before: told.append((notice, before)))
        monitor.ready()
        await monitor.overview.history()
        assert len(told) == 1


@pytest.mark.anyio
async def test_a_banner_of_the_standby_is_known(tmp_path, settings, server):
    await ended_while_away(tmp_path, settings, server, "/a")
    async with opened(tmp_path, settings, attached=False) as monitor:
        monitor.notify("Transfer finished", "a", shown=True)
    told: list[bool] = []
    async with opened(tmp_path, settings, attached=True) as monitor:
        Relaunch(monitor, lambda notice, before: told.append(before))
        monitor.ready()
        await until(lambda: told)
    assert told == [True]


class Desk:
    """A monitor and a window that write down what they are asked for."""

    def __init__(self, notify: str = "batch") -> None:
        self.settings = Settings(notify=notify)
        self.available = True
        self.notified: list[tuple[str, str]] = []
        self.toasts: list[str] = []

    def notify(self, title: str, body: str, *, user_info: Any, shown: bool) -> None:
        self.notified.append((title, body))

    def toast(self, text: str, _action: str, _on_action: object) -> None:
        self.toasts.append(text)


@pytest.mark.parametrize(
    ("notify", "told", "background", "where"),
    [
        ("batch", False, False, "event without a title"),
        ("batch", False, True, "event"),
        ("batch", True, False, "toast"),
        ("batch", True, True, "toast"),
        ("off", False, True, "toast"),
    ],
)
def test_the_summary_is_a_banner_only_where_nobody_has_seen_one(notify, told, background, where):
    desk = Desk(notify)
    notifications = Notifications(
        cast(Monitor, desk),
        cast(Notifier, desk),
        cast(WindowContext, desk),
        cast(Runners, None),
        in_background=lambda: background,
    )
    notice = return_notice([a_task()])
    notifications.tell_return(notice, told)
    assert desk.toasts == ([notice.body] if where == "toast" else [])
    title = {"event": [("Welcome back", notice.body)], "event without a title": [("", notice.body)]}
    assert desk.notified == title.get(where, [])
