"""Tells on the desktop, without a window, what the window would have told: batches of transfers, and
everything notified.

Rule: as in the window, everything goes through `monitor.notify`, and showing starts from the
NotificationEvent that comes back.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from transfermon.engine.notification_batches import NotificationBatches
from transfermon.model.events import Event, NotificationEvent
from transfermon.system.notifier import Button, Notifier
from transfermon.system.runners import Runners
from transfermon.text.notification_texts import BannerText, discreet

if TYPE_CHECKING:  # handed in
    from transfermon.engine.monitor import Monitor

LAST_WORDS = 5.0  # seconds that banners get at the end


class Announcer:
    """From its making to `close`."""

    def __init__(self, monitor: Monitor, notifier: Notifier) -> None:
        self._monitor = monitor
        self._notifier = notifier
        self._runners = Runners()
        self._probe = self._runners.spawn(notifier.probe(), "looking for a notification service")
        self.batches = NotificationBatches(monitor, self._runners, self._tell)
        self._leave = monitor.subscribe(self._hear)

    def __repr__(self) -> str:
        return f"<Announcer {self.batches!r}>"

    async def finish(self, seconds: float = LAST_WORDS) -> None:
        """Tell what waits to be told, and wait until it was. What listeners have not had by then
        is not told: it counts as not heard, and the next start tells it.
        """
        await self._all_told()
        self.batches.close_all()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while await self._is_telling():
                    await asyncio.sleep(0.01)

    async def _is_telling(self) -> bool:
        if not len(self._runners):
            await self._all_told()  # a notice comes back, to be shown
        return len(self._runners) > 0

    async def _all_told(self) -> None:
        # the journal is read after all that was decided before was told
        await self._monitor.overview.history(limit=1)

    async def close(self) -> None:
        self._leave()
        self.batches.close()
        await self._runners.close()

    def _hear(self, event: Event) -> None:
        if isinstance(event, NotificationEvent):
            self._runners.spawn(self._show(event), "notification")
        else:
            self.batches.take_event(event)

    def _tell(self, notice: BannerText) -> None:
        self._runners.spawn(self._tell_truly(notice), "notice")

    async def _tell_truly(self, notice: BannerText) -> None:
        shown = await self._probe
        self._monitor.notify(notice.title, notice.body, user_info=notice.user_info, shown=shown)

    async def _show(self, event: NotificationEvent) -> None:
        stop = Button(title="Stop", pressed=self._monitor.request_quit)
        title, body = event.alert_title, event.alert_body
        if not self._monitor.settings.notify_names:
            title, body = discreet(title, body, event.user_info)
        await self._notifier.send(
            title, body, buttons=[stop] if event.user_info.get("standby") else []
        )
