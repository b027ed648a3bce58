"""What an engine does that has no window: it works until nothing is left, and tells on the desktop
what the window would have told.

Rule: the socket is closed before it is decided that nothing is left; what was accepted until then
is work again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from transfermon.engine.start_conditions import LOGIN
from transfermon.host.announcer import LAST_WORDS, Announcer
from transfermon.host.hosting import Host, open_or_warn
from transfermon.model.task import State, Task

if TYPE_CHECKING:  # handed in
    from transfermon.engine.monitor import Monitor
    from transfermon.system.notifier import Notifier


def is_busy(monitor: Monitor) -> bool:
    """Whether something runs or will run by itself: a transfer, a wake-up, a notification that
    waits for its time. Paused transfers, and those that are asked for a password, wait for a
    person, who is not here.
    """
    if monitor.overview.running_progress() or monitor.background.open_handlers:
        return True
    if (
        monitor.background.expects
        or monitor.scheduled_notifications
        or monitor.settings.push_enabled
    ):
        return True
    return any(_goes_on(task) for session in monitor.sessions for task in session.tasks.records())


def _goes_on(task: Task) -> bool:
    return task.state in (State.RUNNING, State.CANCELING) and not (
        task.waiting and task.waiting_reason == LOGIN
    )


async def work_until_quiet(
    host: Host,
    monitor: Monitor,
    notifier: Notifier,
    *,
    needed: Callable[[], bool],
    last_words: float = 0.0,
    says_it_goes_on: bool = False,
) -> None:
    """Until nothing is `needed` any more, or the end is wanted: banners get `last_words` seconds
    then, for somebody waits. A person may be told that transfers go on.
    """
    announcer = Announcer(monitor, notifier)
    try:
        async with host.serving(monitor) as server:
            await open_or_warn(server)  # before the transfers: the app may be back already
            monitor.ready()
            if says_it_goes_on:
                going_on = sum(map(_goes_on, monitor.tasks()))
                announcer.batches.tell_that_transfers_go_on(going_on)
            while True:
                await host.until_quiet(monitor, needed)
                if not host.ending or last_words:
                    await announcer.finish(last_words if host.ending else LAST_WORDS)
                await server.close()
                if host.ending or not needed():
                    return
                await open_or_warn(server)
    finally:
        await announcer.close()
