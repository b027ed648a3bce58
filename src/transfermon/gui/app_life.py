"""The app's life on the qasync loop: the window first, then the engine behind it, and a clean end.

Rule: tray, menus and window are destroyed while QApplication lives, and every coroutine has ended
before `live` returns; otherwise the interpreter crashes at exit now and then.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QAbstractEventDispatcher,
    QBuffer,
    QByteArray,
    QCoreApplication,
    QEvent,
    QIODevice,
    QLoggingCategory,
    QObject,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QFontInfo, QGuiApplication
from PySide6.QtWidgets import QApplication

from transfermon.gui.launch import NOTHING, Asked, another_shows
from transfermon.gui.toolkit import theme, translation
from transfermon.gui.toolkit.app_loop import new_loop
from transfermon.gui.toolkit.collector import Collector
from transfermon.gui.window.adding import show_given
from transfermon.gui.window.bridge import Bridge
from transfermon.gui.window.commands import TRAY
from transfermon.gui.window.main_window import MainWindow
from transfermon.gui.window.notifications import Notifications
from transfermon.gui.window.tray import Tray, tray_state
from transfermon.host.hosting import Host, open_or_warn
from transfermon.model.errors import EngineBusyError, TransfermonError
from transfermon.model.events import Event, TaskCompletedEvent
from transfermon.model.task import TaskKey
from transfermon.model.translate import tr
from transfermon.model.wake_policy import AppState
from transfermon.storage.settings import Settings, keep_whole
from transfermon.system.crash_log import CrashLog
from transfermon.system.notifier import Notifier
from transfermon.system.runners import Runners
from transfermon.system.sleep import Sleep
from transfermon.system.stay_awake import Inhibitor
from transfermon.text.notification_texts import worth_telling

if TYPE_CHECKING:  # the engine loads after the window shows
    from transfermon.control.server import ControlServer
    from transfermon.engine.monitor import Monitor
    from transfermon.host.script import Script
    from transfermon.host.waiter import Waiter

log = logging.getLogger(__name__)

RELEASE_SECONDS = 5.0  # that an engine without a window may take to hand over
INACTIVE_MS = 2000  # the focus may be on its way from one of our windows to another
QUIET = "qt.qpa.theme.*=false\nqt.qpa.services=false\nqt.qpa.wayland.*=false"


def run(
    folder: str,
    *,
    demo: bool,
    minimized: bool,
    script: Script | None = None,
    asked: Asked = NOTHING,
) -> int:
    """Make the application and live. The state folder exists and is ours. Raises EngineBusyError
    for a script only.
    """
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # at DEBUG it has a line for each socket event
    logging.getLogger("qasync").setLevel(logging.INFO)
    QLoggingCategory.setFilterRules(QUIET)
    app = Application(sys.argv[:1])
    app.setApplicationName("transfermon")
    app.setApplicationDisplayName("Transfermon")
    app.setDesktopFileName("transfermon")
    app.setQuitOnLastWindowClosed(False)
    translation.install(app)
    settings = _settings(folder, demo=demo)
    theme.apply(app, settings.theme)
    if not QFontInfo(app.font()).family():  # Qt lists three families even where there is none
        sys.stderr.write(
            "transfermon: no font is installed, so no text can be seen. Install one (fonts-dejavu-core).\n"
        )
    app.setWindowIcon(theme.app_icon())
    collector = Collector(QAbstractEventDispatcher.instance(app.thread()))
    try:
        with asyncio.Runner(loop_factory=lambda: new_loop(app)) as runner:
            life = Life(
                app, folder, settings, demo=demo, minimized=minimized, script=script, asked=asked
            )
            return runner.run(life.live())
    finally:
        collector.close()


def _settings(folder: str, *, demo: bool) -> Settings:
    if demo:  # in memory: the demo's address is of no use to anybody later
        return Settings(
            download_folder=os.path.join(folder, "downloads"),
            keep_transferring=False,
            keep_after_quit="no",
        )
    return Settings.load(os.path.join(folder, "settings.json"))


class Application(QApplication):
    """`end_wanted` is emitted when the desktop ends its session. Qt would close the windows first,
    and one that asks would keep the desktop waiting (T8).
    """

    end_wanted = Signal()

    def event(self, event: QEvent) -> bool:
        if event.type() is not QEvent.Type.Quit:
            return super().event(event)
        self.end_wanted.emit()
        return True


class Presence(QObject):
    """Whether the app is in front of a person: active and visible, or hidden at once, or inactive
    for a while.
    """

    def __init__(
        self,
        *,
        is_active: Callable[[], bool],
        is_visible: Callable[[], bool],
        tell: Callable[[AppState], None],
    ) -> None:
        super().__init__()
        self._is_active = is_active
        self._is_visible = is_visible
        self._tell = tell
        self.state = AppState.FOREGROUND
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(INACTIVE_MS)
        self._timer.timeout.connect(lambda: self._set(AppState.BACKGROUND))

    def __repr__(self) -> str:
        return f"<Presence {self.state.value}>"

    def look(self) -> None:
        """Something changed: the focus, or what can be seen."""
        if not self._is_visible():
            self._set(AppState.BACKGROUND)
        elif self._is_active():
            self._set(AppState.FOREGROUND)
        elif self.state is AppState.FOREGROUND and not self._timer.isActive():
            self._timer.start()

    def close(self) -> None:
        self._timer.stop()

    def _set(self, state: AppState) -> None:
        self._timer.stop()
        if state is not self.state:
            self.state = state
            self._tell(state)


class Life:
    """One run of the app."""

    def __init__(
        self,
        app: Application,
        folder: str,
        settings: Settings,
        *,
        demo: bool,
        minimized: bool,
        script: Script | None = None,
        asked: Asked = NOTHING,
    ) -> None:
        self._app = app
        self._asked = asked
        self._folder = folder
        self._settings = settings
        self._demo = demo
        self._minimized = minimized
        self._script = script
        self._host = Host()
        self._unseen_failure = False
        self._notifier: Notifier | None = None

    async def live(self) -> int:
        """Until someone quits; the exit code."""
        with self._host.heeding(signal.SIGINT, signal.SIGTERM):
            return await self._live()

    async def _live(self) -> int:
        with theme.building(self._app):
            window = MainWindow(state_dir=self._folder)
        tray = Tray(
            window.show_action,
            [window.context.actions[name] if name else None for name in TRAY],
        )
        self._report_to(window, asyncio.get_running_loop())
        window.context.quit_wanted.connect(self._host.end)
        self._app.end_wanted.connect(self._host.end)
        try:
            self._show(window, tray)
            await asyncio.sleep(0)
            return await self._work(window, tray)
        finally:
            sys.excepthook = sys.__excepthook__
            window.let_go()
            tray.close()
            window.deleteLater()
            await asyncio.sleep(0)
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)

    def _show(self, window: MainWindow, tray: Tray) -> None:
        tray.show()
        if not self._minimized:
            window.show()
        elif not Tray.available():  # without a tray the app never starts hidden
            window.showMinimized()

    async def _work(self, window: MainWindow, tray: Tray) -> int:
        try:
            # a script runs in the engine from its start: nobody is asked to hand over
            owning = self._host.owning(
                self._folder,
                "transfermon",
                patience=RELEASE_SECONDS if self._script is None else 0.0,
                settings=self._settings,
                inhibitor=Inhibitor(),
                sleep=Sleep(),
            )
            async with owning as monitor:
                if self._script is not None:
                    await self._run_script(self._script, monitor, window, tray)
                elif not self._host.ending:
                    await self._with(monitor, window, tray)
        except EngineBusyError as exc:
            if self._script is not None:
                raise
            if another_shows(self._folder, self._asked, timeout=RELEASE_SECONDS):
                return 0
            sys.stderr.write(f"transfermon: {exc.title} {exc.hint}\n")
            return 2
        except TransfermonError as exc:
            sys.stderr.write(f"transfermon: {exc.title} {exc.hint}\n")
            return 2
        return self._script.code if self._script is not None else 0

    async def _run_script(
        self, script: Script, monitor: Monitor, window: MainWindow, tray: Tray
    ) -> None:
        """Its listeners are there before anybody is told of anything."""
        on_stderr = script.tell

        def tell(text: str) -> None:
            on_stderr(text)
            window.context.toast(text)

        script.tell = tell
        try:
            if script.begin(monitor) and not self._host.ending:
                await self._with(monitor, window, tray)
        finally:
            await script.end()

    async def _with(self, monitor: Monitor, window: MainWindow, tray: Tray) -> None:
        """Until the end is wanted. Whoever waits behind the app is told last, while the lock is
        still ours: what came over the socket until then is work, too.
        """
        from transfermon.host.waiter import Waiter

        waiter, crashes = Waiter(self._folder), CrashLog(self._folder)
        try:
            async with self._host.serving(monitor) as server:
                await self._connected(monitor, window, tray, server, waiter, crashes)
        finally:
            await self._leave_to(waiter, monitor, crashed=not self._host.ending)
            crashes.end()

    async def _connected(
        self,
        monitor: Monitor,
        window: MainWindow,
        tray: Tray,
        server: ControlServer,
        waiter: Waiter,
        crashes: CrashLog,
    ) -> None:
        """All that hears the monitor is connected in this one turn; then the restored transfers go
        on.
        """
        from transfermon.gui.window.relaunch import Relaunch

        runners = Runners()
        # All of Qt's objects hang on the window: what Python's collector frees may go in any
        # thread, and crash.
        bridge = Bridge(monitor, window)
        notifier = self._notifier = Notifier(icon=self._icon_path())
        if self._demo:
            bridge.told.connect(FirstPicture(window).apply)
        presence = self._presence(monitor, window)
        notifications = Notifications(
            monitor,
            notifier,
            window.context,
            runners,
            in_background=lambda: presence.state is AppState.BACKGROUND,
        )
        relaunch = Relaunch(monitor, notifications.tell_return)
        window.attach(monitor, bridge, runners)
        bridge.told.connect(notifications.apply)
        bridge.told.connect(lambda event: self._note_failure(event, presence))

        def update_tray() -> None:
            if not window.isVisible():
                tray.look()
            live = monitor.overview.running_progress()
            tray.update(
                tray_state(
                    monitor.overview.tallies().values(),
                    live,
                    time.monotonic(),
                    failed=self._unseen_failure,
                )
            )

        window.refreshed.connect(update_tray)
        bridge.pulse.connect(update_tray)
        tray.toggled.connect(window.toggle_visible)
        tray.lost.connect(window.come_back)
        monitor.on_show = window.context.raise_to_front
        monitor.on_given = lambda words: show_given(window.context, words)
        monitor.system_watch.on_frozen = lambda _reason: window.context.refresh_soon()
        monitor.system_watch.on_surroundings = window.context.refresh_soon
        monitor.system_watch.ask_metered()
        presence.look()
        demo = self._made_demo(monitor)
        monitor.ready()
        self._tell_of_a_crash(monitor, crashes.begin())
        try:
            await self._start(server, window)
            await self._wait_behind(waiter, monitor)
            window.context.settings_changed.connect(
                lambda: runners.spawn(
                    self._wait_behind(waiter, monitor), "a change of the settings"
                )
            )
            runners.spawn(notifier.probe(), "looking for a notification service")
            if demo is not None:
                runners.spawn(self._run_demo(demo, window), "demo")
            if self._asked.add or self._asked.urls:
                show_given(window.context, self._asked.urls)
            if self._asked.fetch:
                runners.spawn(monitor.fetch(), "the fetch that was asked for at the start")
            await self._host.end_wanted.wait()
        finally:
            monitor.on_show = monitor.on_given = None
            monitor.system_watch.on_frozen = monitor.system_watch.on_surroundings = None
            window.refreshed.disconnect(update_tray)
            presence.close()
            window.detach()
            bridge.close()
            notifications.batches.close()
            await runners.close()
            if demo is not None:
                await demo.stop()
            relaunch.close()

    def _tell_of_a_crash(self, monitor: Monitor, report: str) -> None:
        if report:
            monitor.notify(
                tr("Transfermon crashed the last time"),
                tr("What is known about it is in {report}.").format(report=report),
            )

    async def _wait_behind(self, waiter: Waiter, monitor: Monitor) -> None:
        """Have a small process wait for our end, or none. The demo's state is of no use to anybody
        after it.
        """
        if self._demo or not monitor.settings.keep_transferring:
            await waiter.end()
            return
        try:
            waiter.start()
        except OSError as exc:
            log.warning("nobody goes on if the app crashes: %s", exc)

    async def _leave_to(self, waiter: Waiter, monitor: Monitor, *, crashed: bool) -> None:
        """While the lock is still ours: the one that waits gets it, or ends with us."""
        from transfermon.host.waiter import goes_on

        if not self._demo and goes_on(monitor, crashed=crashed):
            with contextlib.suppress(OSError):
                waiter.start()
            waiter.leave()
        else:
            await waiter.end()

    async def _start(self, server: ControlServer, window: MainWindow) -> None:
        if not await open_or_warn(server):
            window.context.toast(
                tr("Commands from a terminal cannot reach this window: its socket cannot be made.")
            )

    def _made_demo(self, monitor: Monitor) -> Any:
        if not self._demo:
            return None
        from transfermon.videofarm.demo import Demo

        return Demo(monitor)

    async def _run_demo(self, demo: Any, window: MainWindow) -> None:
        try:
            await demo.start()
        except TransfermonError as exc:
            window.context.toast(f"{exc.title} {exc.hint}".strip())

    def _presence(self, monitor: Monitor, window: MainWindow) -> Presence:
        presence = Presence(
            is_active=lambda: (
                QGuiApplication.applicationState() is Qt.ApplicationState.ApplicationActive
            ),
            is_visible=lambda: window.context.watched,
            tell=lambda state: self._present(monitor, window, state),
        )
        self._app.applicationStateChanged.connect(presence.look)
        window.visibility_changed.connect(presence.look)
        presence.setParent(window)
        return presence

    def _present(self, monitor: Monitor, window: MainWindow, state: AppState) -> None:
        monitor.presence.set_state(state)
        if state is AppState.FOREGROUND:
            self._unseen_failure = False
        window.context.refresh_soon()

    def _note_failure(self, event: Event, presence: Presence) -> None:
        if (
            isinstance(event, TaskCompletedEvent)
            and not event.success
            and presence.state is AppState.BACKGROUND
        ):
            self._unseen_failure |= event.task is not None and worth_telling(event.task)

    def _icon_path(self) -> str:
        """The banner's picture, as a file for the notification service."""
        path = os.path.join(self._folder, "icon.png")
        picture = QByteArray()
        buffer = QBuffer(picture)
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        theme.app_icon().pixmap(128, 128).save(buffer, "PNG")
        try:
            keep_whole(path, bytes(picture.data()))
        except OSError as exc:
            log.warning("%s cannot be written: %s", path, exc)
            return ""
        return path

    def _report_to(self, window: MainWindow, loop: asyncio.AbstractEventLoop) -> None:
        """What nobody caught is logged, and the person hears that something went wrong."""

        def say() -> None:
            window.context.toast(
                tr("Something went wrong inside the app; the details are in its log.")
            )

        def hook(
            kind: type[BaseException], exc: BaseException, trace: TracebackType | None
        ) -> None:
            log.error("not caught", exc_info=(kind, exc, trace))
            say()

        def handler(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            log.error("%s", context.get("message", "not caught"), exc_info=context.get("exception"))
            say()

        sys.excepthook = hook
        loop.set_exception_handler(handler)


class FirstPicture(QObject):
    """The demo has something to look at from the beginning: the newest picture, until a person
    chooses.
    """

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._shown: TaskKey | None = None

    def apply(self, event: Event) -> None:
        key = event.task_key
        if not isinstance(event, TaskCompletedEvent) or not event.success or key is None:
            return
        newer = self._shown is None or (
            key.session == self._shown.session and key.number > self._shown.number
        )
        if newer and self._window.context.selected == ([self._shown] if self._shown else []):
            self._shown = key
            self._window.context.select(key)
