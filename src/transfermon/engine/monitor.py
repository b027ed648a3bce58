"""The facade for every front end: one state directory, its sessions, its events, its commands.

Rule: a front end (window, command line, control socket, script) knows this module and the rules
only. It subscribes first and takes a snapshot in the same turn of the loop; events up to the
snapshot's sequence are in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from transfermon.engine.alerts import PENDING, Alerts, LocalNotification, made
from transfermon.engine.approvals import WAITING, Approvals
from transfermon.engine.bad_network import NetworkSimulation
from transfermon.engine.event_bus import Listener
from transfermon.engine.handlers import FetchResult
from transfermon.engine.logins import Logins
from transfermon.engine.new_task import TEMPORARY
from transfermon.engine.overview import Overview, SessionInfo, Snapshot
from transfermon.engine.preferences import LiveSettings
from transfermon.engine.presence import AppPresence
from transfermon.engine.progress_clock import ProgressClock
from transfermon.engine.push_channel import PushChannel
from transfermon.engine.restore import loss_in_words
from transfermon.engine.session import Session
from transfermon.engine.session_register import SessionRegister
from transfermon.engine.shared import Engine
from transfermon.engine.small_answer import read_small, transport_for_scripts
from transfermon.engine.system_watch import SystemWatch
from transfermon.engine.task_commands import TaskCommands
from transfermon.engine.task_ends import USER_FORCE_QUIT
from transfermon.engine.task_handles import DataTask, DownloadTask, TransferTask, UploadTask
from transfermon.engine.wake_engine import FETCH_STATE, PUSH_TIMES, Background
from transfermon.model.configuration import PROGRESS_PER_SECOND, SessionConfiguration
from transfermon.model.events import Event, NotificationEvent
from transfermon.model.push_payload import Payload
from transfermon.model.task import Origin, Task, TaskKey
from transfermon.model.wake_policy import MODE_OF, AppState, Wake
from transfermon.storage.changes import Change, Remembered
from transfermon.storage.settings import Settings, ensure_private, open_to_others, state_folder
from transfermon.system.clock import Clock
from transfermon.system.lock import EngineLock
from transfermon.system.network_status import Connectivity, Policy, SystemConnectivity, SystemPolicy
from transfermon.system.sleep import Sleep
from transfermon.system.stay_awake import Inhibitor

if TYPE_CHECKING:
    from transfermon.wire.httpx_transport import HttpxTransport

__all__ = [
    "TEMPORARY",
    "AppState",
    "DataTask",
    "DownloadTask",
    "FetchResult",
    "Monitor",
    "Session",
    "SessionInfo",
    "Snapshot",
    "TransferTask",
    "UploadTask",
]
log = logging.getLogger(__name__)
# slower than the limit: the last one comes on top, and Qt's timers are early (D-05)
_TICK = 1.2 / PROGRESS_PER_SECOND
_PRIVACY = "privacy"  # what was said of the state folder
_MOVE_IT = "Choose one on another disk with --state-dir."
_LOOK = 1.0  # seconds between two looks at what goes too slowly
_FLUSH_SECONDS = 5.0
_SHORT = 0.02  # seconds between two looks at something that ends soon


class Monitor:
    """Made by `Monitor.open`. What it does for one task, for a login, for the settings and for
    whoever looks is done by its parts: `commands`, `logins`, `preferences`, `overview`, `presence`,
    `background`, `push_channel`, `approvals`, `bad_network` and `bus`.
    """

    def __init__(
        self,
        engine: Engine,
        lock: EngineLock,
        inhibitor: Inhibitor | None = None,
        sleep: Sleep | None = None,
    ) -> None:
        self._engine = engine
        self._lock = lock
        self._register = SessionRegister(engine)
        self._sessions = self._register.active
        self._values: dict[str, str] = {}
        self.background = Background(engine)
        self.push_channel = PushChannel(engine, self.background)
        self.approvals = Approvals(engine, self._sessions)
        self.system_watch = SystemWatch(engine, self._sessions, inhibitor, sleep)
        self.presence = AppPresence(engine, self.background, self._sessions)
        self.overview = Overview(engine, self._sessions, lambda: self.presence.in_words)
        self.commands = TaskCommands(engine, self._sessions)
        self.logins = Logins(engine, self._sessions)
        self.bad_network = NetworkSimulation(engine)
        self.bus = engine.bus
        self.preferences = LiveSettings(
            engine, self.background, self.push_channel, self._sessions, self.system_watch.stay_awake
        )
        self._clock = ProgressClock(engine, self._sessions)
        self._alerts = Alerts(engine)
        self.quitting = asyncio.Event()
        self.released = False  # another engine asked for the state directory
        # the person wants the transfers to go on after this quit, whatever the settings say
        self.keep_going = False
        # "Quit and stop all transfers": nothing may go on or be started again (B-07)
        self.force_quit = False
        self.on_show: Callable[[], None] | None = None
        # other programs' addresses: ask about them
        self.on_given: Callable[[Sequence[str]], None] | None = None
        self.set_aside = ""  # what was damaged and is kept under another name, in words

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        state_dir: str | None = None,
        *,
        settings: Settings | None = None,
        what: str = "",
        lock: EngineLock | None = None,
        attached: bool = True,
        connectivity: Connectivity | None = None,
        policy: Policy | None = None,
        clock: Clock | None = None,
        inhibitor: Inhibitor | None = None,
        sleep: Sleep | None = None,
    ) -> AsyncIterator[Monitor]:
        """Own a state directory for as long as the block lasts.

        Takes the engine lock, restores sessions and tasks; nothing runs before `ready`. On the way
        out transfers stop where they are: they are remembered as running, and the next engine goes
        on from the stored bytes. `lock` is one that is held already, and is let go like one of its
        own. Without an app that is `attached` terminal events stay unacknowledged, so that the next
        one is told of them (E-10). `connectivity` and `policy` say whether there is a network, its
        price and power; without them the system is asked (T-17, T-18). `clock` moves the scheduler and the
        notifications. `inhibitor` keeps the computer awake while transfers run, if the settings
        want it; without one it may go to sleep. `sleep` says when it does: what arrived is stored
        before, and after it every transfer goes on over a new connection, with no attempt counted
        (T3). Raises EngineBusyError when another process owns it, StateError when it cannot be
        used.
        """
        folder = state_folder(state_dir)
        ensure_private(folder)
        lock = lock or EngineLock.acquire(folder, what)
        try:
            preferences = settings or Settings.load(os.path.join(folder, "settings.json"))
            engine = Engine(folder, preferences, clock=clock)
            engine.attached = attached
            engine.connectivity = connectivity or SystemConnectivity()
            engine.policy = policy or SystemPolicy()
            monitor = cls(engine, lock, inhibitor, sleep)
            try:
                await monitor._restore(await engine.store.open())
                monitor.system_watch.watch_sleep()
                yield monitor
            finally:
                await monitor._close()
        finally:
            lock.release()

    # ---- life

    @property
    def state_dir(self) -> str:
        return self._engine.state_dir

    @property
    def settings(self) -> Settings:
        return self._engine.settings

    async def _restore(self, remembered: Remembered) -> None:
        engine = self._engine
        engine.sequence, engine.database_id = remembered.sequence, remembered.database_id
        self._values = dict(remembered.values)
        self.background.restore(remembered.wakes, self.recall(FETCH_STATE), self.recall(PUSH_TIMES))
        self.background.on_taken_back = self.commands.take_back
        self._alerts.restore(self.recall(PENDING))
        self.push_channel.restore(self._values)
        self.approvals.restore(self.recall(WAITING))
        self.presence.unheard = remembered.unheard
        self.set_aside = await asyncio.to_thread(loss_in_words, engine, remembered)
        self.system_watch.watch()
        await self._register.restore(remembered)

    def ready(self, *, start_restored: bool = True) -> None:
        """The front end has subscribed: restored tasks go on, and in the next turn its listeners
        are told what an absence has stored for them (B-02). Without `start_restored` the tasks wait
        to be named, the events for the app.
        """
        if self.set_aside:
            self.notify("The list of transfers was damaged", self.set_aside, identifier="set-aside")
        if faults := self.settings.faults:
            self.notify("Some settings cannot be used", " ".join(faults[:5]), identifier="settings")
        self._tell_privacy()
        if start_restored:
            self.background.ready()
            self._alerts.ready()
            self.push_channel.ready()
            self.presence.deliver_unheard()
            for session in list(self._sessions.values()):
                session.start_restored()

    def _tell_privacy(self) -> None:
        """Once, where others can read what is remembered."""
        said = open_to_others(self.state_dir)
        if said:
            log.warning("%s", said)
        if said != self.recall(_PRIVACY):
            self.remember(_PRIVACY, said)
            if said:
                self.notify(
                    "The state folder is not private", f"{said} {_MOVE_IT}", identifier="privacy"
                )

    async def heard(self, key: TaskKey) -> None:
        """Done when every listener has had the end of that task (O-16); at once when none is being
        told.
        """
        session = self._sessions.get(key.session)
        if session is not None and (run := session.tasks.find_run(key.number)) is not None:
            await run.heard()

    def run_only(self, keys: Iterable[TaskKey]) -> None:
        """Let these restored tasks go on, and no others: what an engine opened by a command
        does.
        """
        for key in keys:
            self._sessions[key.session].tasks.run_of(key.number).start()

    async def _close(self) -> None:
        engine = self._engine
        engine.closing = True
        self.system_watch.leave()
        self.background.close()
        self._alerts.close()
        self.push_channel.close()
        self.presence.close()
        self._clock.close()
        await asyncio.gather(*(session.stop() for session in list(self._sessions.values())))
        await self.system_watch.close()
        await self.system_watch.flush()
        engine.bus.close()
        await engine.runners.close()
        if engine.transport is not None:
            await engine.transport.aclose()
        with contextlib.suppress(OSError):
            await engine.vault.saved()
        await self.system_watch.flush()  # what ended last is durable: its parts may go
        await engine.filer.close()
        await engine.store.close()

    def request_quit(self, *, released: bool = False) -> None:
        """Ask whoever opened the monitor to end; `released`: another engine waits for the state
        directory.
        """
        self.released = self.released or released
        self.quitting.set()

    async def stop_transfers(self) -> None:
        """B-07: end every outstanding task with -999 and the reason 0 (X-10), with resume data
        where possible, and let nobody go on after this engine. Done when all have ended;
        `request_quit` is up to the caller.
        """
        self.force_quit = True
        self.background.force_quit()
        await asyncio.gather(
            *(session.end_all(USER_FORCE_QUIT) for session in list(self._sessions.values()))
        )

    def show(self) -> bool:
        """Raise the window; False when this engine has none."""
        if self.on_show is None:
            return False
        self.on_show()
        return True

    # ---- sessions

    def create_session(self, configuration: SessionConfiguration) -> Session:
        """The identical object while a session with this identifier is active (S-06).

        Raises SessionInvalidatingError while one is finishing (S-07), TypeError or ValueError for a
        bad configuration, whose `ca_file` is read now.
        """
        return self._register.create(configuration)

    def session(self, identifier: str) -> Session:
        """The background session of that name, made with the app's defaults when there is none
        (TR-03).
        """
        return self._register.named(identifier)

    def find_session(self, key: str) -> Session | None:
        return self._sessions.get(key)

    @property
    def sessions(self) -> tuple[Session, ...]:
        return tuple(self._sessions.values())

    # ---- looking

    def tasks(self) -> tuple[Task, ...]:
        """All records, in the order in which they were added."""
        return self.overview.tasks()

    def task(self, key: TaskKey) -> Task:
        """Raises KeyError."""
        return self._sessions[key.session].tasks.record(key.number)

    def handle(self, key: TaskKey) -> TransferTask:
        """The live object. Raises KeyError."""
        return self._sessions[key.session].task(key.number)

    @property
    def sequence(self) -> int:
        return self._engine.sequence

    # ---- listening

    def subscribe(self, observer: Callable[[Event], None]) -> Callable[[], None]:
        """Every event, progress too, as soon as it may be told; returns the way out."""
        return self._engine.bus.subscribe(observer)

    def add_event_listener(self, name: str, listener: Listener) -> None:
        """E-01: `listener(event)`, a function or a coroutine function, for the named event of every
        session.

        Without the background mode that the event needs an error is logged, and nothing is attached
        (B-09, P-09).
        """
        mode = MODE_OF.get(name)
        if mode is not None and mode not in self.settings.background_modes:
            log.error("nobody can listen to %s: the background mode “%s” is off", name, mode)
            return
        self._engine.bus.add_listener(name, listener)

    def remove_event_listener(self, name: str, listener: Listener) -> None:
        """E-02."""
        self._engine.bus.remove_listener(name, listener)

    def events(self, *names: str) -> AsyncIterator[Event]:
        return self._engine.bus.stream(*names)

    # ---- background

    async def fetch(self, *, by_hand: bool = True) -> Wake:
        """Ask for a background fetch; the answer says whether it was delivered, and under which
        handler.
        """
        return self.background.fetch(by_hand=by_hand)

    async def push(self, payload: Payload | str, *, by_hand: bool = True, source: str = "") -> Wake:
        """Take a push, as `fetch`. Raises ValueError for an unusable payload. `source` names the
        channel.
        """
        return self.background.push(payload, by_hand=by_hand, source=source)

    @property
    def background_modes(self) -> frozenset[str]:
        """Which of “fetch” and “remote-notification” are on."""
        return frozenset(self.settings.background_modes)

    def set_minimum_background_fetch_interval(self, seconds: float) -> None:
        """Seconds between two background fetches at the least, from MIN to NEVER, which is infinite
        (B-08).
        """
        self.preferences.set_fetch_interval(seconds)

    def end_background_handler(
        self, handler_id: str, result: FetchResult = FetchResult.NO_DATA
    ) -> bool:
        """B-04."""
        return self.background.handlers.end(handler_id, result)

    def notify(
        self,
        title: str,
        body: str,
        *,
        user_info: Mapping[str, Any] | None = None,
        identifier: str = "",
        shown: bool = False,
    ) -> None:
        """Record that a notification was given, so that the events show everything that was ever
        notified.
        """
        self._engine.record(
            NotificationEvent(
                alert_title=title,
                alert_body=body,
                user_info=user_info or {},
                identifier=identifier,
                shown=shown,
            )
        )

    def schedule_local_notification(self, alert_body: str, **options: Any) -> LocalNotification:
        """Show a notification at its time, or at once when that is not in the future (N-01). It
        survives a restart, and then comes late rather than early (N-02). In the background it is a
        banner; in front only the `notification` event is told, unless `show_in_foreground` is set
        (N-03).

        Options are `alert_title`, `date` (milliseconds since the epoch, or an aware datetime),
        `repeat` ("daily", "weekly", "monthly", "yearly"), `user_info`, `identifier` and
        `show_in_foreground`. Raises ValueError or TypeError for one that cannot be.
        """
        alert = made(alert_body, **options)
        self._alerts.schedule(alert)
        return alert

    def cancel_local_notification(self, identifier: str) -> bool:
        """False when none of that name waits (N-02)."""
        return self._alerts.cancel(identifier)

    def cancel_all_local_notifications(self) -> None:
        """N-02."""
        self._alerts.cancel_all()

    @property
    def scheduled_notifications(self) -> tuple[LocalNotification, ...]:
        """Those that wait, next first."""
        return self._alerts.pending

    async def read(self, url: str, *, limit: int = 1 << 20, origin: Origin = Origin.TYPED) -> bytes:
        """A small answer in memory. Raises TransferFailure, also for a status of 400 and above or a
        larger body.
        """
        return await read_small(self._engine, url, limit=limit, origin=origin)

    async def http_transport(self, *, origin: Origin = Origin.TYPED) -> HttpxTransport:
        """For an `httpx.AsyncClient` of a script: its requests go over the engine's connections and
        proxies, and to private addresses only as `origin` and the settings let them. It is of use
        as long as the monitor is open.
        """
        return await transport_for_scripts(self._engine, origin)

    def recall(self, name: str) -> str:
        """A value that `remember` kept; "" when there is none."""
        return self._values.get(name, "")

    def remember(self, name: str, value: str) -> None:
        """Keep a small value across restarts."""
        self._values[name] = value
        self._engine.store.commit(Change(value=(name, value)))
