"""Fetches, pushes and suspensions by hand, and the demo."""

from __future__ import annotations

import sys

from PySide6.QtCore import QProcess

from transfermon.gui.dialogs.push_composer import PushComposer, earlier_payloads
from transfermon.gui.window.context import WindowContext
from transfermon.model.errors import InvalidAction, TransfermonError
from transfermon.model.translate import tr
from transfermon.model.wake_policy import WakeVerdict, verdict_text


def fetch_in_background(context: WindowContext) -> None:
    context.spawn(_fetch(context), "background fetch by hand")


async def _fetch(context: WindowContext) -> None:
    try:
        wake = await context.monitor.fetch()
    except (TransfermonError, InvalidAction) as exc:
        context.toast(str(exc))
    else:
        if wake.verdict is not WakeVerdict.GRANTED or wake.policy:
            context.toast(verdict_text(wake))


def compose_push(context: WindowContext) -> None:
    show_composer(context, "")


def show_composer(context: WindowContext, text: str) -> None:
    """The composer of silent pushes, with this payload or the usual one."""
    farm = context.monitor.settings.videofarm_url
    composer = PushComposer(
        context.window,
        text=text,
        picture=farm.rstrip("/") + "/photos/4" if farm else "",
        allowed_hosts=context.monitor.settings.allowed_hosts,
        earlier=earlier_payloads(context.monitor.background.ledger),
    )
    composer.send_wanted.connect(
        lambda payload: context.spawn(_push(context, composer, payload), "push by hand")
    )
    context.show_dialog("push", composer)


async def _push(context: WindowContext, composer: PushComposer, payload: str) -> None:
    try:
        wake = await context.monitor.push(payload)
    except (ValueError, TransfermonError, InvalidAction) as exc:
        composer.refused(str(exc))
    else:
        composer.answered(wake)


def simulate_suspension(context: WindowContext) -> None:
    """What a phone does to an app that is not in front; a second call wakes it."""
    if context.monitor.presence.suspended:
        context.monitor.presence.wake()
        context.toast(tr("The app is awake again; what ended meanwhile is told now."))
    else:
        context.monitor.presence.suspend()
        context.toast(
            tr("The app is suspended: transfers go on, listeners hear nothing until it wakes.")
        )


def drop_connections(context: WindowContext) -> None:
    count = context.monitor.bad_network.drop_connections()
    context.toast(tr("%n connections were dropped.", "1 connection was dropped.", count))


def start_demo(context: WindowContext) -> None:
    """In a process of its own, with a state folder of its own: a person's transfers are not
    touched.
    """
    if not QProcess.startDetached(sys.executable, ["-m", "transfermon", "gui", "--demo"])[0]:
        context.toast(tr("The demo could not be started."))
