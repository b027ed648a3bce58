"""Fetches, pushes and suspensions by hand, and the demo."""

from __future__ import annotations

import sys

from PySide6.QtCore import QProcess

from transfermon.gui.dialogs.push_composer import PushComposer, earlier_payloads
from transfermon.gui.window import settings_commands
from transfermon.gui.window.command import Command
from transfermon.gui.window.context import WindowContext
from transfermon.model.errors import InvalidAction, TransfermonError
from transfermon.model.translate import marked, tr
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


COMMANDS = (
    Command(id="fetch", run=fetch_in_background, text=marked("Background &fetch"), menu="Background", icon="download-cloud", keys="Ctrl+Shift+B", tip=marked("Let the app look for new content now, as in the background")),
    Command(id="push", run=compose_push, text=marked("&Silent push…"), label=marked("Silent push"), menu="Background", icon="bell", keys="Ctrl+Shift+S", tip=marked("Write a push payload and deliver it to this app")),
    Command(id="channel", run=settings_commands.show_push_settings, text=marked("Push &channel…"), menu="Background", icon="bell", tip=marked("Its state, and the settings of the push channel")),
    Command(id="simulate", run=simulate_suspension, text=marked("&Simulate a suspension, or wake the app"), menu="Background/", tip=marked("Listeners hear nothing while the app is suspended; transfers go on")),
    Command(id="demo", run=start_demo, text=marked("Start the &demo"), menu="Help", icon="video"),
)  # fmt: skip
