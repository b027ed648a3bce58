"""How a person is told by the window: a banner while the app is in the background, a message in its
window otherwise. When, and of how many at once, `engine/notification_batches` decides.

Rule: everything goes through `monitor.notify`, so all that was ever told is in the Events view;
showing starts from the NotificationEvent that comes back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from transfermon.engine.notification_batches import NotificationBatches
from transfermon.gui.window.context import WindowContext
from transfermon.gui.window.task_commands import open_task, retry_task, show_task_folder
from transfermon.model.events import Event, NotificationEvent
from transfermon.model.task import TaskKey
from transfermon.model.translate import tr
from transfermon.system.notifier import Button, Notifier
from transfermon.system.runners import Runners
from transfermon.text.notification_texts import BannerText, discreet

if TYPE_CHECKING:  # the monitor brings the engine, which loads after the window shows
    from transfermon.engine.monitor import Monitor


class Notifications:
    """Tells what the batches hand over, and shows every notification once."""

    def __init__(
        self,
        monitor: Monitor,
        notifier: Notifier,
        context: WindowContext,
        runners: Runners,
        *,
        in_background: Callable[[], bool],
    ) -> None:
        self._monitor = monitor
        self._notifier = notifier
        self._context = context
        self._runners = runners
        self._in_background = in_background
        self.batches = NotificationBatches(monitor, runners, self._tell)
        self._shown: dict[str, None] = {}

    def __repr__(self) -> str:
        return f"<Notifications {self.batches!r} shown={len(self._shown)}>"

    def apply(self, event: Event) -> None:
        """Hear one event of the bridge."""
        if isinstance(event, NotificationEvent):
            self._show(event)
        else:
            self.batches.take_event(event)

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
