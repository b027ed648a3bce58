"""The settings, as a person changes them: applied and saved at once, and shown wherever they are
seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

from transfermon.gui.dialogs.preference_pages import Channel, StartAtLogin
from transfermon.gui.dialogs.preferences import Preferences
from transfermon.gui.toolkit import theme
from transfermon.gui.window.command import Command
from transfermon.gui.window.context import WindowContext
from transfermon.model.configuration import BACKGROUND_FETCH_INTERVAL_NEVER
from transfermon.model.translate import marked, tr
from transfermon.system import autostart


def show_general_settings(context: WindowContext) -> None:
    show_settings(context, "General")


def show_push_settings(context: WindowContext) -> None:
    show_settings(context, "Push")


def show_settings(context: WindowContext, page: str) -> None:
    """The settings, turned to this page."""
    if not context.attached:
        return
    if not context.window.isVisible():
        context.raise_to_front()  # asked for in the tray
    dialog = Preferences(
        context.window,
        settings=context.monitor.settings,
        login=StartAtLogin(starts=autostart.is_autostarted(), hidden=autostart.starts_minimized()),
        channel=_channel(context),
        state_dir=context.state_dir,
        tray=context.tray_available(),
    )
    dialog.changed.connect(lambda changes: change_settings(context, changes))
    dialog.login_changed.connect(lambda login: _change_login(context, login))
    dialog.channel_switched.connect(lambda on: switch_channel(context, on))
    dialog.token_given.connect(lambda token: _give_token(context, token))
    dialog.show_page(page)
    context.show_dialog("settings", dialog)


def change_settings(context: WindowContext, changes: Mapping[str, Any]) -> None:
    """Apply and save at once."""
    changes = dict(changes)
    if (scheme := changes.get("theme")) is not None:
        set_theme(context, str(scheme))
        return
    try:
        if (interval := changes.pop("fetch_interval", None)) is not None:
            set_fetch_interval(
                context, BACKGROUND_FETCH_INTERVAL_NEVER if interval < 0 else interval
            )
        if changes:
            context.monitor.preferences.update(**changes)
    except OSError as exc:
        _say_not_saved(context, exc)
    context.panels.wakes.refresh()
    show_channel(context)
    context.refresh_soon()
    context.settings_changed.emit()


def _say_not_saved(context: WindowContext, exc: OSError) -> None:
    context.toast(
        tr("The setting applies now but could not be saved: {strerror}.").format(
            strerror=exc.strerror
        )
    )


def set_theme(context: WindowContext, scheme: str) -> None:
    """Change the colours at once and keep the choice."""
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.apply(app, scheme)
    mark_theme(context, scheme)
    if context.attached:
        try:
            context.monitor.preferences.update(theme=scheme)
        except OSError as exc:
            _say_not_saved(context, exc)


def mark_theme(context: WindowContext, scheme: str) -> None:
    """In the menu."""
    for action in context.theme_actions.actions():
        action.setChecked(action.data() == scheme)


def set_fetch_interval(context: WindowContext, seconds: float) -> None:
    try:
        context.monitor.set_minimum_background_fetch_interval(seconds)
    except OSError as exc:
        _say_not_saved(context, exc)
    context.panels.wakes.set_interval(context.monitor.background.interval)


def _change_login(context: WindowContext, login: StartAtLogin) -> None:
    try:
        autostart.set_enabled(login.starts, minimized=login.hidden)
    except OSError as exc:
        context.toast(
            tr("The app cannot be started at login: {strerror}.").format(strerror=exc.strerror)
        )


# The push channel


def switch_channel(context: WindowContext, on: bool) -> None:
    try:
        context.monitor.preferences.switch_push_channel(on)
    except OSError as exc:
        _say_not_saved(context, exc)
    if on:
        (address, *_) = context.monitor.push_channel.addresses
        context.toast(
            tr("Push channel on. Whoever knows this address can push: {address}").format(
                address=address
            ),
            action=tr("Copy"),
            on_action=lambda: QGuiApplication.clipboard().setText(address),
        )
    show_channel(context)


def _give_token(context: WindowContext, token: str) -> None:
    try:
        context.monitor.preferences.switch_push_channel(
            context.monitor.settings.push_enabled, token=token
        )
    except OSError as exc:
        _say_not_saved(context, exc)
    show_channel(context)


def _channel(context: WindowContext) -> Channel:
    channel = context.monitor.push_channel
    return Channel(
        words=channel.status.words, addresses=channel.addresses, has_token=channel.has_token
    )


def show_channel(context: WindowContext) -> None:
    """Its state, wherever it is seen."""
    channel, on = context.monitor.push_channel, context.monitor.settings.push_enabled
    words = channel.status.words
    label = context.panels.status.channel_label
    label.setText(words if on else "")
    context.actions["channel"].setText(f"{words.replace('&', '&&')}…")
    label.setVisible(on)
    context.panels.wakes.show_channel(
        on,
        f"{words}\n{', '.join(channel.addresses)}"
        if on
        else tr("{words}; click to switch it on").format(words=words),
    )
    if isinstance(dialog := context.dialogs.get("settings"), Preferences):
        dialog.push.show_channel(on, _channel(context), context.monitor.settings.push_topics)


COMMANDS = (
    Command(id="settings", run=show_general_settings, text=marked("&Settings…"), menu="Edit/", icon="sliders-horizontal", keys="Ctrl+,", tip=marked("How the app behaves")),
)  # fmt: skip
