from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, cast

import pytest

from tests.helpers.recorder import eventually
from transfermon.engine.monitor import Monitor
from transfermon.gui.window.context import WindowContext
from transfermon.gui.window.notifications import Notifications
from transfermon.model.errors import Code, TransferError
from transfermon.model.events import (
    Event,
    NotificationEvent,
    SessionIdleEvent,
    TaskCompletedEvent,
    TaskCreatedEvent,
)
from transfermon.model.task import Kind, State, Task, TaskKey
from transfermon.storage.settings import Settings
from transfermon.system.notifier import Button, Notifier
from transfermon.system.runners import Runners
from transfermon.text.notification_texts import notice_for, start_notice, worth_telling

pytestmark = pytest.mark.anyio
FAILED = TransferError(code=Code.CANNOT_CONNECT, message="The server refused the connection.")
CANCELLED = TransferError(code=Code.CANCELLED, message="Cancelled.")


def a_task(number: int = 1, **fields: Any) -> Task:
    values = {
        "session": "s",
        "number": number,
        "kind": Kind.DOWNLOAD,
        "url": "https://example.com/a.zip",
        **fields,
    }
    return Task(state=State.COMPLETED, **{"name": f"{number}.zip", "received": 1_000_000, **values})


@pytest.mark.parametrize(
    ("tasks", "title", "body"),
    [
        ([a_task()], "Transfer finished", "1.zip, 1.0 MB"),
        ([a_task(error=FAILED)], "Transfer failed", "1.zip: The server refused the connection."),
        ([a_task(1), a_task(2)], "Transfers finished", "2 files, 2.0 MB in s"),
        (
            [a_task(1), a_task(2, error=FAILED)],
            "1 of 2 transfers failed",
            "The other 1 finished in s",
        ),
        (
            [a_task(1, error=FAILED), a_task(2, error=FAILED)],
            "Transfers failed",
            "2 transfers failed in s",
        ),
    ],
)
def test_the_words_for_what_ended_together(tasks, title, body):
    notice = notice_for(tasks, "s")
    assert (notice.title, notice.body) == (title, body)


def test_a_click_leads_to_the_first_failure():
    assert notice_for([a_task(1), a_task(2, error=FAILED)], "s").user_info["task"] == "s:2"


def test_the_words_for_a_start_in_the_background():
    assert start_notice([a_task()]).body == "1.zip"
    assert start_notice([a_task(1), a_task(2)]).body == "2 files"


def test_what_a_person_cancelled_is_not_told():
    assert not worth_telling(a_task(error=CANCELLED))
    assert worth_telling(a_task(error=FAILED))


class Told:
    """A monitor, a desktop and a window that write down what they are asked for."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.notified: list[tuple[str, str, bool]] = []
        self.toasts: list[str] = []
        self.banners: list[tuple[str, list[str]]] = []
        self.background = False
        self.available = True
        self.on_event: Callable[[Event], None] | None = None
        self.done = asyncio.Event()

    def find_session(self, _key: str) -> None:
        return None

    async def heard(self, _key: TaskKey) -> None:
        return None

    def notify(self, title: str, body: str, *, user_info: Any, shown: bool) -> None:
        self.notified.append((title, body, shown))
        assert self.on_event is not None
        event = NotificationEvent(
            alert_title=title,
            alert_body=body,
            user_info=user_info,
            shown=shown,
            event_id=f"e{len(self.notified)}",
        )
        self.on_event(event)
        self.on_event(event)  # an event may come again

    def toast(self, text: str, _action: str, _on_action: object) -> None:
        self.toasts.append(text)

    def spawn(self, work: Any, _name: str) -> None:
        with contextlib.suppress(StopIteration):
            for _ in range(1000):  # on a busy machine it gives way now and then
                work.send(None)
            pytest.fail("the work waits for something")

    async def send(
        self,
        title: str,
        body: str,
        *,
        on_clicked: Callable[[], None] | None = None,
        buttons: list[Button],
    ) -> bool:
        self.banners.append((title, [button.title for button in buttons]))
        return self.available


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def notifications(told):
    made = Notifications(
        cast(Monitor, told),
        cast(Notifier, told),
        cast(WindowContext, told),
        cast(Runners, told),
        in_background=lambda: told.background,
    )
    told.on_event = made.apply
    yield made
    made.batches.close()


def ended(task: Task) -> TaskCompletedEvent:
    return TaskCompletedEvent(
        session="s", task_identifier=task.number, task=task, success=task.error is None
    )


IDLE = SessionIdleEvent(session="s")


async def test_a_batch_is_told_once_when_the_session_has_nothing_left(told, notifications):
    for number in range(1, 4):
        notifications.apply(ended(a_task(number)))
    assert told.notified == []
    notifications.apply(IDLE)
    assert [title for title, _, _ in told.notified] == ["Transfers finished"]
    notifications.apply(IDLE)
    assert len(told.notified) == 1


async def test_links_that_end_one_after_the_other_are_told_of_together(told, notifications):
    """The session has nothing left after each of them."""
    for number in range(1, 13):
        notifications.apply(ended(a_task(number)))
        notifications.apply(IDLE)
    assert [title for title, _, _ in told.notified] == ["Transfer finished"]
    notifications.batches.close_all()  # as after ten seconds
    assert told.notified[1][:2] == ("Transfers finished", "11 files, 11.0 MB")


async def test_where_each_is_wanted_many_are_a_sum(told, notifications):
    told.settings = Settings(notify="task")
    for number in range(1, 41):
        notifications.apply(ended(a_task(number, error=FAILED)))
    assert [title for title, _, _ in told.notified] == ["Transfer failed"] * 3
    notifications.batches.close_all()
    assert told.notified[3][:2] == ("Transfers failed", "37 transfers failed")


@pytest.mark.parametrize(("how", "count"), [("batch", 1), ("task", 2), ("off", 0)])
async def test_the_setting_says_how_often(told, notifications, how, count):
    told.settings = Settings(notify=how)
    notifications.apply(ended(a_task(1)))
    notifications.apply(ended(a_task(2)))
    notifications.apply(IDLE)
    assert len(told.notified) == count


async def test_in_front_it_is_a_message_in_the_window_once(told, notifications):
    notifications.apply(ended(a_task()))
    notifications.apply(IDLE)
    assert told.toasts == ["Transfer finished: 1.zip, 1.0 MB"]
    assert told.banners == []


async def test_in_the_background_it_is_a_banner_with_buttons(told, notifications):
    told.background = True
    notifications.apply(ended(a_task()))
    notifications.apply(IDLE)
    assert told.banners == [("Transfer finished", ["Open", "Show in folder"])]
    assert told.toasts == []
    assert told.notified[0][2] is True


async def test_a_failure_offers_to_try_again(told, notifications):
    told.background = True
    notifications.apply(ended(a_task(error=FAILED)))
    notifications.apply(IDLE)
    assert told.banners == [("Transfer failed", ["Retry"])]


async def test_without_a_service_the_window_says_it(told, notifications):
    told.background = True
    told.available = False
    notifications.apply(ended(a_task()))
    notifications.apply(IDLE)
    assert told.toasts == ["Transfer finished: 1.zip, 1.0 MB"]
    assert told.notified[0][2] is False


async def test_a_download_that_a_push_started_is_told_of(told, notifications):
    for number in (1, 2):
        task = a_task(number, handler_id="SilentPush-1")
        notifications.apply(TaskCreatedEvent(session="s", task_identifier=number, task=task))
    notifications.apply(TaskCreatedEvent(session="s", task_identifier=3, task=a_task(3)))  # by hand
    await eventually(lambda: len(told.notified) == 1)
    assert told.notified[0][:2] == ("Background downloads started", "2 files")


async def test_the_setting_can_keep_the_start_quiet(told, notifications):
    told.settings = Settings(notify_background_start=False)
    notifications.apply(
        TaskCreatedEvent(session="s", task_identifier=1, task=a_task(handler_id="Fetch-1"))
    )
    assert repr(notifications.batches) == "<NotificationBatches ended=0 started=0>"


async def test_what_a_script_notifies_is_shown_too(told, notifications):
    notifications.apply(NotificationEvent(alert_title="Hello", user_info={"task": 5}))
    assert told.toasts == ["Hello"]


@pytest.mark.parametrize(
    ("in_front", "toasts", "banners"), [("message", 1, 0), ("banner", 0, 1), ("nothing", 0, 0)]
)
async def test_n03_what_was_scheduled_says_what_happens_in_front(
    told, notifications, in_front, toasts, banners
):
    notifications.apply(NotificationEvent(event_id="e-1", alert_body="Ready", in_front=in_front))
    assert (len(told.toasts), len(told.banners)) == (toasts, banners)
