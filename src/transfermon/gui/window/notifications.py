"""When a person is told, and how: a banner while the app is in the background, a message in its
window otherwise.

Rule: everything goes through `monitor.notify`, so all that was ever told is in the Events view;
showing starts from the NotificationEvent that comes back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer

from transfermon.engine.notification_batches import BURST, Gathering, session_of
from transfermon.gui.window.context import WindowContext
from transfermon.gui.window.task_commands import open_task, retry_task, show_task_folder
from transfermon.model.events import (
    Event,
    NotificationEvent,
    SessionIdleEvent,
    TaskCompletedEvent,
    TaskCreatedEvent,
)
from transfermon.model.task import Task, TaskKey
from transfermon.model.translate import tr
from transfermon.system.notifier import Button, Notifier
from transfermon.system.runners import Runners
from transfermon.text.notification_texts import (
    BannerText,
    discreet,
    notice_for,
    start_notice,
    worth_telling,
)

if TYPE_CHECKING:  # the monitor brings httpx, which loads after the window shows
    from transfermon.engine.monitor import Monitor

BATCH_MS = 10_000  # a batch that stays open longer is told of
START_MS = 1_000  # downloads that one push or fetch starts within this are told of together


class Notifications(QObject):
    """Collects what ended, tells of it as the settings say, and shows every notification once."""

    def __init__(
        self,
        monitor: Monitor,
        notifier: Notifier,
        context: WindowContext,
        runners: Runners,
        *,
        in_background: Callable[[], bool],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._monitor = monitor
        self._notifier = notifier
        self._context = context
        self._runners = runners
        self._in_background = in_background
        self._batches: dict[str, list[Task]] = {}
        self._ended: Gathering[Task] = Gathering()
        self._singly: Gathering[Task] = Gathering(burst=BURST)  # where each is to be told of
        self._started: dict[str, list[Task]] = {}
        self._shown: dict[str, None] = {}

    def __repr__(self) -> str:
        return f"<Notifications batches={len(self._batches)}>"

    def apply(self, event: Event) -> None:
        """Hear one event of the bridge."""
        task = event.task
        if isinstance(event, NotificationEvent):
            self._show(event)
        elif isinstance(event, SessionIdleEvent):
            self._close_batch(event.session)
        elif isinstance(event, TaskCompletedEvent) and task is not None:
            self._completed(task)
        elif isinstance(event, TaskCreatedEvent) and task is not None and task.handler_id:
            self._background_start(task)

    def _completed(self, task: Task) -> None:
        how = self._monitor.settings.notify
        if how == "off" or not worth_telling(task):
            return
        if how == "task":
            self._gather(self._singly, [task])
            return
        batch = self._batches.setdefault(task.session, [])
        if not batch and how != "session":
            QTimer.singleShot(BATCH_MS, self, lambda: self._close_batch(task.session))
        batch.append(task)

    def _close_batch(self, session: str) -> None:
        if batch := self._batches.pop(session, []):
            self._gather(self._ended, batch)

    def _gather(self, gathering: Gathering[Task], tasks: list[Task]) -> None:
        wait = gathering.add(tasks, time.monotonic())
        if wait == 0:
            self._tell_gathered(gathering)
        elif wait is not None:
            QTimer.singleShot(round(wait * 1000) + 1, self, lambda: self._tell_gathered(gathering))

    def _tell_gathered(self, gathering: Gathering[Task]) -> None:
        if tasks := gathering.take(time.monotonic()):
            found = self._monitor.find_session(session_of(tasks))
            self._runners.spawn(
                self._tell_when_heard(tasks, (found.identifier or "") if found else ""),
                "telling what ended",
            )

    async def _tell_when_heard(self, tasks: list[Task], session: str) -> None:
        for task in tasks:
            await self._monitor.heard(task.key)  # listeners come first (O-16)
        self._tell(notice_for(tasks, session))

    def tell_return(self, notice: BannerText, told: bool) -> None:
        """The summary of an absence; in the window only when the desktop has told of it before
        (N-04).
        """
        if told or self._monitor.settings.notify == "off":
            key = TaskKey.parse(notice.user_info["task"])
            self._context.toast(notice.body, tr("Show"), lambda: self._context.raise_to_front(key))
        elif self._in_background():
            self._tell(notice)
        else:
            self._monitor.notify("", notice.body, user_info=notice.user_info, shown=False)

    def _background_start(self, task: Task) -> None:
        if not self._monitor.settings.notify_background_start:
            return
        started = self._started.setdefault(task.handler_id, [])
        if not started:
            QTimer.singleShot(START_MS, self, lambda: self._close_start(task.handler_id))
        started.append(task)

    def _close_start(self, handler: str) -> None:
        self._tell(start_notice(self._started.pop(handler)))

    def _tell(self, notice: BannerText) -> None:
        shown = self._in_background() and self._notifier.available
        self._monitor.notify(notice.title, notice.body, user_info=notice.user_info, shown=shown)

    def _show(self, event: NotificationEvent) -> None:
        if event.event_id:
            if event.event_id in self._shown:
                return  # an event may be delivered again; it is shown once
            self._shown[event.event_id] = None
        if self._in_background() or event.in_front == "banner":
            self._runners.spawn(self._banner(event), "notification")
        elif event.in_front == "message":
            self._toast(event)

    async def _banner(self, event: NotificationEvent) -> None:
        key = _key(event)
        title, body = event.alert_title, event.alert_body
        if not self._monitor.settings.notify_names:
            title, body = discreet(title, body, event.user_info)
        shown = await self._notifier.send(
            title,
            body,
            on_clicked=lambda: self._context.raise_to_front(key),
            buttons=self._buttons(event, key),
        )
        if not shown:
            self._toast(event)

    def _buttons(self, event: NotificationEvent, key: TaskKey | None) -> list[Button]:
        info = event.user_info
        if key is None or info.get("started"):
            return []
        if info.get("failed"):
            return [Button(title=tr("Retry"), pressed=lambda: retry_task(self._context, key))]
        buttons = [
            Button(title=tr("Show in folder"), pressed=lambda: show_task_folder(self._context, key))
        ]
        if info.get("count") == 1:
            buttons.insert(
                0, Button(title=tr("Open"), pressed=lambda: open_task(self._context, key))
            )
        return buttons

    def _toast(self, event: NotificationEvent) -> None:
        key = _key(event)
        text = ": ".join(part for part in (event.alert_title, event.alert_body) if part)
        self._context.toast(
            text,
            tr("Show") if key else "",
            (lambda: self._context.raise_to_front(key)) if key else None,
        )


def _key(event: NotificationEvent) -> TaskKey | None:
    """The task that a notification is about; a script's own `user_info` may hold anything."""
    text = event.user_info.get("task")
    try:
        return TaskKey.parse(text) if isinstance(text, str) else None
    except ValueError:
        return None
