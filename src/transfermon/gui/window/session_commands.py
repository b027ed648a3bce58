"""The menu of one session, and what it does."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMenu

from transfermon.gui.dialogs.add import clipboard_links
from transfermon.gui.dialogs.questions import ask
from transfermon.gui.panels.sidebar import SessionProperties, properties_of, session_items
from transfermon.gui.window.adding import show_add
from transfermon.gui.window.context import WindowContext
from transfermon.model import units
from transfermon.model.translate import marked, tr


def session_menu(context: WindowContext, key: str) -> QMenu:
    """What can be done with one session."""
    session = context.monitor.find_session(key)
    name = (session.identifier if session is not None else None) or ""
    menu = QMenu(context.window)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    does: dict[str, Callable[[], object]] = {
        "new": lambda: show_add(context, clipboard_links(), session=name),
        "finish": lambda: _end(context, key, cancel=False),
        "cancel": lambda: _ask_to_cancel_all(context, key),
        "flush": lambda: _flush(context, key),
        "reset": lambda: _ask_to_reset(context, key),
        "copy": lambda: QGuiApplication.clipboard().setText(name),
        "properties": lambda: show_session(context, key),
    }
    for item in session_items(session.state.value if session is not None else "", named=bool(name)):
        if item is None:
            menu.addSeparator()
        else:
            action = menu.addAction(item.text, does[item.action])
            action.setObjectName(f"session_{item.action}")
            action.setEnabled(item.enabled)
    return menu


def _flush(context: WindowContext, key: str) -> None:
    session = context.monitor.find_session(key)
    if session is not None:
        session.flush(
            lambda _done: context.toast(tr("Everything is stored; idle connections are closed."))
        )


def _ask_to_reset(context: WindowContext, key: str) -> None:
    def answered(answer: str, _remember: bool) -> None:
        session = context.monitor.find_session(key)
        if answer == "Reset" and session is not None:
            session.reset(lambda _done: context.toast(tr("The session was reset.")))

    title = tr("Reset {key}?").format(key=units.clean(key, 60))
    text = tr(
        "Its cookies, the passwords of ended transfers and parts of files that no transfer knows are forgotten. "
        "Transfers and finished files stay."
    )
    ask(context.window, title, text, [marked("Reset"), marked("Cancel")], answered, warning=True)


def show_session(context: WindowContext, key: str) -> None:
    """The properties of one session."""
    session = context.monitor.find_session(key)
    infos = [info for info in context.monitor.overview.session_infos() if info.key == key]
    if session is not None and infos:
        rows = properties_of(infos[0], session.own_configuration, session.default_folder)
        context.show_dialog("session", SessionProperties(context.window, rows))


def _ask_to_cancel_all(context: WindowContext, key: str) -> None:
    def answered(answer: str, _remember: bool) -> None:
        if answer == "Cancel all":
            _end(context, key, cancel=True)

    title = tr("Cancel all transfers of {key}?").format(key=units.clean(key, 60))
    text = tr("The session ends. Finished files stay; what is under way is lost.")
    ask(
        context.window,
        title,
        text,
        [marked("Cancel all"), marked("Keep them")],
        answered,
        warning=True,
    )


def _end(context: WindowContext, key: str, *, cancel: bool) -> None:
    session = context.monitor.find_session(key)
    if session is not None and cancel:
        session.invalidate_and_cancel()
    elif session is not None:
        session.finish_tasks_and_invalidate()
