"""The facade for every front end: one state directory, its sessions, its events, its commands.

Rule: a front end (window, command line, control socket, script) knows this module and the rules only. It subscribes
first and takes a snapshot in the same turn of the loop; events up to the snapshot's sequence are in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any

from transfermon.engine import surroundings, task_orders, task_progress
from transfermon.engine.alerts import PENDING, Alerts, LocalNotification, made
from transfermon.engine.answers import Kept
from transfermon.engine.approvals import WAITING, Approvals
from transfermon.engine.delivery import Delivery
from transfermon.engine.event_bus import Listener
from transfermon.engine.new_tasks import TEMPORARY
from transfermon.engine.pace import Pace, by_our_doing
from transfermon.engine.push_channel import SECRETS, PushChannel
from transfermon.engine.session import Session
from transfermon.engine.session_core import SessionState
from transfermon.engine.shared import Engine
from transfermon.engine.task_ends import USER_FORCE_QUIT
from transfermon.engine.task_handles import DataTask, DownloadTask, TransferTask, UploadTask
from transfermon.engine.task_run import TaskRun
from transfermon.engine.wake_engine import FETCH_STATE, PUSH_TIMES, Background, FetchResult
from transfermon.http import proxies, retry
from transfermon.http.addresses import check_url, origin_of
from transfermon.http.challenges import Challenge, basic, challenge_of, digest_login
from transfermon.http.cookies import Cookie
from transfermon.model.configuration import (
    BACKGROUND_FETCH_INTERVAL_NEVER,
    PROGRESS_PER_SECOND,
    RetryPolicy,
    SessionConfiguration,
)
from transfermon.model.errors import InvalidAction, SessionInvalidatingError, StateError, TransferFailure
from transfermon.model.events import Event, NotificationEvent, TaskCompletedEvent
from transfermon.model.push_payload import Payload
from transfermon.model.record import record
from transfermon.model.request_options import RequestOptions
from transfermon.model.tally import Fate, Tally
from transfermon.model.task import Action, Kind, Origin, Progress, Task, TaskKey
from transfermon.model.wake_policy import BACKGROUND_MODES, MODE_OF, AppState, Wake, clamped
from transfermon.storage import name_trial, part_names, tables
from transfermon.storage.changes import Change, Remembered, SessionRow, Unheard
from transfermon.storage.settings import NEVER, Settings, download_folder, ensure_private, open_to_others, state_folder
from transfermon.system.clock import Clock
from transfermon.system.lock import EngineLock
from transfermon.system.network_status import Connectivity, Policy, SystemConnectivity, SystemPolicy
from transfermon.system.sleep import Sleep
from transfermon.system.stay_awake import Inhibitor
from transfermon.wire.call import Call
from transfermon.wire.simulation import Simulation
from transfermon.wire.trust import trust

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
_TICK = 1.2 / PROGRESS_PER_SECOND  # slower than the limit: the last one comes on top, and Qt's timers are early (D-05)
_PRIVACY = "privacy"  # what was said of the state folder
_MOVE_IT = "Choose one on another disk with --state-dir."
_LOOK = 1.0  # seconds between two looks at what goes too slowly
_FLUSH_SECONDS = 5.0
_SHORT = 0.02  # seconds between two looks at something that ends soon


@record
class SessionInfo:
    """A session as front ends show it."""

    key: str
    identifier: str | None
    state: str
    outstanding: int
    completed: int
    failed: int


@record
class Snapshot:
    """Everything as it was decided up to `sequence`."""

    sequence: int
    tasks: tuple[Task, ...]
    sessions: tuple[SessionInfo, ...]


@record
class Status:
    """What `GET /v1/status` and the status bar say."""

    pid: int
    version: str
    state_dir: str
    app_state: str
    running: int
    queued: int
    waiting: int
    finished: int
    failed: int
    down_rate: float  # bytes per second
    up_rate: float
    online: bool  # whether there is a network, as far as anybody can know
    sequence: int
    frozen_reason: str  # "" or why nothing can be stored now


class Monitor:
    """Made by `Monitor.open`."""

    def __init__(self, engine: Engine, lock: EngineLock) -> None:
        self._engine = engine
        self._lock = lock
        self._sessions: dict[str, Session] = {}
        self._retired: dict[str, SessionRow] = {}  # invalidated ones: their numbers are not given again (S-08)
        self._values: dict[str, str] = {}
        self._clock: asyncio.TimerHandle | None = None
        self._pace = Pace()
        self._next_look = 0.0
        self.background = Background(engine)
        self._alerts = Alerts(engine)
        self.push_channel = PushChannel(engine, self.background)
        self.approvals = Approvals(engine, self._sessions)
        self._delivery = Delivery(engine, self.background, self._sessions)
        self._unheard = Unheard()
        self._delivering = False
        self.quitting = asyncio.Event()
        self.released = False  # another engine asked for the state directory
        self.keep_going = False  # the person wants the transfers to go on after this quit, whatever the settings say
        self.force_quit = False  # "Quit and stop all transfers": nothing may go on or be started again (B-07)
        self.on_show: Callable[[], None] | None = None
        self.on_given: Callable[[Sequence[str]], None] | None = None  # other programs' addresses: ask about them
        self.on_frozen: Callable[[str], None] | None = None
        self._defaults = 0
        self.inhibitor: Inhibitor | None = None
        self._sleep: Sleep | None = None
        self._asleep = False
        self.set_aside = ""  # what was damaged and is kept under another name, in words

    def __repr__(self) -> str:
        return f"<Monitor {self.state_dir} {len(self._sessions)} sessions>"

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

        Takes the engine lock, restores sessions and tasks; nothing runs before `ready`. On the way out transfers
        stop where they are: they are remembered as running, and the next engine goes on from the stored bytes.
        `lock` is one that is held already, and is let go like one of its own. Without an app that is `attached`
        terminal events stay unacknowledged, so that the next one is told of them (E-10). `connectivity` and `policy`
        say whether there is a network and power; without them the system is asked (T-17, T-18). `clock` moves the
        scheduler and the notifications. `inhibitor` keeps the computer awake while transfers run, if the settings
        want it; without one it may go to sleep. `sleep` says when it does: what arrived is stored before, and after it
        every transfer goes on over a new connection, with no attempt counted (FAULTS T3).
        Raises EngineBusyError when another process owns it, StateError when it cannot be used.
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
            monitor = cls(engine, lock)
            engine.store.on_frozen = monitor._frozen
            monitor.inhibitor, monitor._sleep = inhibitor, sleep
            try:
                await monitor._restore(await engine.store.open())
                if sleep is not None:
                    sleep.watch(monitor._before_sleep, monitor._after_sleep)
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
        engine.resume_rows = {row.token: row for row in remembered.resume}
        self._values = dict(remembered.values)
        self.background.restore(remembered.wakes, self.recall(FETCH_STATE), self.recall(PUSH_TIMES))
        self._alerts.restore(self.recall(PENDING))
        self.push_channel.restore(self._values)
        self.background.on_taken_back = self._take_back
        self.approvals.restore(self.recall(WAITING))
        if remembered.set_aside:
            self.set_aside = await asyncio.to_thread(self._loss, remembered)
        engine.on_moving = self._start_clock
        engine.wants_login = lambda task: self._challenge_of(task) is not None
        engine.connectivity.changed = self._network_changed
        engine.policy.changed = self._reconsider
        engine.connectivity.open()
        engine.policy.open()
        engine.bus.subscribe(lambda _: self._stay_awake())
        await asyncio.to_thread(engine.vault.load)
        if unfinished := [task for task in remembered.tasks if task.outstanding]:
            parts = os.path.join(self.state_dir, "parts")
            everybody = (*remembered.tasks, *(row.task for row in remembered.resume))
            known = {path for task in everybody for path in task.part_paths}
            folders = {task.folder or parts for task in unfinished}
            await asyncio.to_thread(part_names.sweep_parts, folders, engine.database_id, known)
            await asyncio.to_thread(name_trial.sweep, folders, engine.database_id)
        self._unheard = remembered.unheard
        by_session: dict[str, list[Task]] = {}
        for task in remembered.tasks:
            by_session.setdefault(task.session, []).append(task)
        for row in remembered.sessions:
            if row.configuration.identifier is None:
                await self._drop_default(row, by_session.get(row.key, []))
            elif row.state == SessionState.INVALIDATED.value:
                self._retired[row.key] = row
            else:
                tasks = tuple(by_session.get(row.key, []))
                self._sessions[row.key] = Session(engine, row, tasks=tasks, forget=self._forget)

    def _loss(self, remembered: Remembered) -> str:
        """Blocking. In words: what was damaged, where it is now, and what is left (FAULTS K18)."""
        kept = f"The damaged file is kept as {remembered.set_aside}."
        if remembered.from_backup is None:
            left = "The list starts empty."
        else:
            day = time.strftime("%d %B %Y, %H:%M", time.localtime(remembered.from_backup))
            left = f"The list is as it was on {day}; what was added since is missing."
        folders = {os.path.join(self.state_dir, "parts"), self.settings.download_folder or download_folder()}
        parts = [path for folder in folders for path in part_names.parts_in(folder)]
        if not parts:
            return f"{kept} {left}"
        return f"{kept} {left} Unfinished files are not touched: {', '.join(parts[:3])}{' …' if parts[3:] else ''}"

    async def _drop_default(self, row: SessionRow, tasks: Iterable[Task]) -> None:
        """A default session ended with its process; its parts are of no use to anybody."""
        for task in tasks:
            for path in task.part_paths:
                with contextlib.suppress(OSError):
                    await asyncio.to_thread(os.unlink, path)
        for event in self._unheard.events:
            if event.session == row.key:
                self._engine.store.acknowledge(event.sequence)
        self._engine.store.commit(Change(session_removed=row.key))
        self._defaults = max(self._defaults, _default_number(row.key))

    def ready(self, *, start_restored: bool = True) -> None:
        """The front end has subscribed: restored tasks go on, and in the next turn its listeners are told what an
        absence has stored for them (B-02). Without `start_restored` the tasks wait to be named, the events for the app.
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
            self._deliver_unheard()
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
                self.notify("The state folder is not private", f"{said} {_MOVE_IT}", identifier="privacy")

    def _deliver_unheard(self) -> None:
        if self._engine.attached and not self._delivering:
            self._delivering = True
            stored = [event for event in self._unheard.events if event.session_identifier is not None]
            self._delivery.begin(stored, self._unheard.idle)

    @property
    def ended_away(self) -> tuple[TaskKey, ...]:
        """The tasks whose ends were stored and not told when this engine opened."""
        return tuple(
            TaskKey(event.session, event.task_identifier)
            for event in self._unheard.events
            if isinstance(event, TaskCompletedEvent) and event.session_identifier is not None
        )

    @property
    def notified_away(self) -> bool:
        """Whether a banner has told of anything since the first of them."""
        return self._unheard.notified

    async def heard(self, key: TaskKey) -> None:
        """Done when every listener has had the end of that task (O-16); at once when none is being told."""
        session = self._sessions.get(key.session)
        if session is not None and (run := session.find_run(key.number)) is not None:
            await run.heard()

    def run_only(self, keys: Iterable[TaskKey]) -> None:
        """Let these restored tasks go on, and no others: what an engine opened by a command does (DESIGN 9)."""
        for key in keys:
            self._run_of(key).start()

    async def _close(self) -> None:
        engine = self._engine
        engine.closing = True
        engine.connectivity.close()
        engine.policy.close()
        self.background.close()
        self._alerts.close()
        self.push_channel.close()
        self._delivery.close()
        if self._clock is not None:
            self._clock.cancel()
        await asyncio.gather(*(session.stop() for session in list(self._sessions.values())))
        for watched in (self.inhibitor, self._sleep):
            if watched is not None:
                await watched.close()
        await self._flush()
        engine.bus.close()
        await engine.runners.close()
        if engine.transport is not None:
            await engine.transport.aclose()
        with contextlib.suppress(OSError):
            await engine.vault.saved()
        await engine.store.close()

    async def _flush(self) -> None:
        """Let everybody hear what was decided until now, unless the disk refuses it."""
        if not self._engine.store.frozen:
            with contextlib.suppress(TimeoutError, StateError):
                async with asyncio.timeout(_FLUSH_SECONDS):
                    await self._engine.store.read(lambda database: None)

    def _network_changed(self) -> None:
        for session in list(self._sessions.values()):
            if self._engine.connectivity.online:
                surroundings.network_returned(session.runs)
            else:
                surroundings.network_lost(session.runs)

    def _reconsider(self) -> None:
        for session in list(self._sessions.values()):
            surroundings.reconsider(session.runs)

    def _frozen(self, reason: str) -> None:
        """Nothing goes on that cannot be remembered; all goes on by itself when it can (F3, K19)."""
        self._may_run()
        if self.on_frozen is not None:
            self.on_frozen(reason)

    def _may_run(self) -> None:
        hold = bool(self._engine.store.frozen) or self._asleep
        self._engine.slots.close(closed=hold)
        if hold:
            for session in list(self._sessions.values()):
                session.hold()
        self._stay_awake()

    async def _before_sleep(self) -> None:
        """Done when all transfers have let go and what arrived survives a battery that runs empty."""
        self._asleep = True
        self._may_run()
        while self._engine.progress:
            await asyncio.sleep(_SHORT)
        if self._engine.transport is not None:
            for key in self._sessions:
                self._engine.transport.drop_idle(key)  # they would be dead when it wakes
        await self._flush()

    def _after_sleep(self) -> None:
        self._asleep = False
        self._may_run()

    def _stay_awake(self) -> None:
        """The computer may sleep while tasks merely wait, or nothing can be stored."""
        if self.inhibitor is None:
            return
        engine = self._engine
        may_run = engine.settings.inhibit_sleep and not engine.store.frozen and not engine.closing
        self.inhibitor.want(may_run and any(session.tally.running for session in self._sessions.values()))

    def request_quit(self, *, released: bool = False) -> None:
        """Ask whoever opened the monitor to end; `released`: another engine waits for the state directory."""
        self.released = self.released or released
        self.quitting.set()

    async def stop_transfers(self) -> None:
        """B-07: end every outstanding task with -999 and the reason 0 (X-10), with resume data where possible, and
        let nobody go on after this engine. Done when all have ended; `request_quit` is up to the caller.
        """
        self.force_quit = True
        self.background.force_quit()
        await asyncio.gather(*(session.end_all(USER_FORCE_QUIT) for session in list(self._sessions.values())))

    def show(self) -> bool:
        """Raise the window; False when this engine has none."""
        if self.on_show is None:
            return False
        self.on_show()
        return True

    def update_settings(self, **changes: Any) -> None:
        """Save and apply at once. Raises OSError when they cannot be saved; they apply all the same."""
        old = self._engine.settings
        new = self._engine.settings = dataclasses.replace(old, **changes)
        self._engine.slots.set_running(new.running_tasks)
        self._engine.set_speed_limit(new.speed_limit)
        self._engine.allowed_hosts |= set(new.allowed_hosts)
        self._engine.allowed_hosts -= set(old.allowed_hosts) - set(new.allowed_hosts)
        self.background.settings_changed()
        self.push_channel.settings_changed()
        self._stay_awake()
        for session in list(self._sessions.values()):
            self._follow(session, old)
        new.replaced()

    def _follow(self, session: Session, old: Settings) -> None:
        """A session that has the limits of the settings until now gets those of the new ones."""
        own, new = session.row.configuration, self.settings
        if not own.is_background or session.state is not SessionState.ACTIVE:
            return
        changes: dict[str, Any] = {}
        if own.http_maximum_connections_per_host == old.connections_per_host:
            changes["http_maximum_connections_per_host"] = new.connections_per_host
        if own.retry_policy == RetryPolicy(attempts=old.attempts):
            changes["retry_policy"] = RetryPolicy(attempts=new.attempts)
        session.reconfigure(**changes)

    def switch_push_channel(self, on: bool, *, token: str | None = None) -> None:
        """Listen to the push channel or not, at once. Without a topic a random one of 128 bits is made: whoever knows
        it can push. `token` is the server's; it is kept with the other secrets, and "" forgets it. Raises OSError as
        `update_settings`.
        """
        if token:
            self._engine.vault.put(SECRETS, {"Authorization": f"Bearer {token}"})
        elif token is not None:
            self._engine.vault.drop(SECRETS)
        topics = self.settings.push_topics or ((secrets.token_hex(16),) if on else ())
        self.update_settings(push_enabled=on, push_topics=topics)

    @property
    def app_state(self) -> AppState:
        return self._engine.app_state

    def set_app_state(self, state: AppState) -> None:
        """Say whether a person has the app in front. Held pushes come with it (P-10), and tasks that the rate
        limiter held back (B-16).
        """
        if state is self._engine.app_state:
            return
        self._engine.app_state = state
        self.background.state_changed(state)
        if state is AppState.FOREGROUND:
            for session in list(self._sessions.values()):
                surroundings.came_to_front(session.runs)

    @property
    def suspended(self) -> bool:
        """Whether a suspension of the app is being simulated."""
        return self._delivery.suspended

    def suspend_app(self) -> None:
        """Simulate that the system suspends the app: listeners hear nothing, transfers go on (SPEC 2.3, B-17).

        What ends meanwhile is kept in the journal, also across a crash. Observers go on: they show what happens.
        """
        self._delivery.suspend()

    def wake_app(self) -> None:
        """End the simulated suspension: `backgroundtransfer` where the last task of a session ended meanwhile, the
        stored events in order, `sessioneventscompleted`, and the progress of what is unfinished. A fetch or a push
        wakes the app, too.
        """
        self._delivery.wake()

    @property
    def simulation(self) -> Simulation:
        """What of a bad network is simulated now; it ends with this engine."""
        return self._engine.simulation

    def simulate(self, simulation: Simulation) -> None:
        """Simulate a bad network, at once and for all transfers; `simulation.NONE` ends it. Observers are told."""
        self._engine.simulate(simulation)

    def drop_connections(self) -> int:
        """Break all open connections as a bad line would, and say how many; transfers go on from what is stored."""
        return self._engine.transport.cut() if self._engine.transport is not None else 0

    # ---- sessions

    def create_session(self, configuration: SessionConfiguration) -> Session:
        """SPEC 2.1. The identical object while a session with this identifier is active (S-06).

        Raises SessionInvalidatingError while one is finishing (S-07), TypeError or ValueError for a bad
        configuration, whose `ca_file` is read now.
        """
        own = configuration.copy()
        if own.ca_file:
            _check_authorities(own.ca_file)
        key = own.identifier
        if key is None:
            self._defaults += 1
            key = f"(default {self._defaults})"
        existing = self._sessions.get(key)
        if existing is not None:
            if existing.state is not SessionState.ACTIVE:
                raise SessionInvalidatingError(f"session {key} is still finishing")
            if existing.configuration != own:
                log.warning("session %s exists; its settings stay as they are", key)
            return existing
        headers, own.http_header_fields = own.http_header_fields, {}
        self._engine.vault.put(key, headers)
        own.proxy = self._engine.keep_proxy(key, own.proxy)
        retired = self._retired.pop(key, None)
        row = SessionRow(key=key, configuration=own, next_number=retired.next_number if retired else 1)
        session = self._sessions[key] = Session(self._engine, row, forget=self._forget)
        session.announce()
        return session

    def session(self, identifier: str) -> Session:
        """The background session of that name, made with the app's defaults when there is none (TR-03)."""
        existing = self._sessions.get(identifier)
        if existing is not None and existing.state is SessionState.ACTIVE:
            return existing
        configuration = SessionConfiguration.background(identifier)
        configuration.http_maximum_connections_per_host = self.settings.connections_per_host
        configuration.retry_policy = RetryPolicy(attempts=self.settings.attempts)
        return self.create_session(configuration)

    def find_session(self, key: str) -> Session | None:
        return self._sessions.get(key)

    @property
    def sessions(self) -> tuple[Session, ...]:
        return tuple(self._sessions.values())

    def _forget(self, session: Session) -> None:
        self._sessions.pop(session.key, None)
        self._retired[session.key] = session.row

    # ---- looking

    def snapshot(self) -> Snapshot:
        """Take it in the turn in which you subscribed."""
        return Snapshot(
            sequence=self._engine.sequence,
            tasks=self.tasks(),
            sessions=self.session_infos(),
        )

    def session_infos(self) -> tuple[SessionInfo, ...]:
        return tuple(_info(session) for session in self._sessions.values())

    def tallies(self) -> dict[str, Tally]:
        """How many tasks each session has of each fate, by its key, without looking at them all. To read only."""
        return {key: session.tally for key, session in self._sessions.items()}

    def tasks(self) -> tuple[Task, ...]:
        """All records, in the order in which they were added."""
        found = [task for session in self._sessions.values() for task in session.records()]
        return tuple(sorted(found, key=lambda task: (task.added, task.session, task.number)))

    def task(self, key: TaskKey) -> Task:
        """Raises KeyError."""
        return self._sessions[key.session].record(key.number)

    def tasks_of(self, session: str, url: str) -> list[Task]:
        """The records of one address in one session, oldest first."""
        found = self._sessions.get(session)
        return found.records_of(url) if found is not None else []

    def response_text(self, key: TaskKey) -> str | None:
        """What the server answered to an upload or a data task, as long as there is room for it (U-07). KeyError."""
        return self.kept_response(key).text

    def kept_response(self, key: TaskKey) -> Kept:
        """The same, and whether it is all of the answer. KeyError."""
        handle = self.handle(key)
        return handle.kept_response if isinstance(handle, UploadTask) else Kept()

    def handle(self, key: TaskKey) -> TransferTask:
        """The live object. Raises KeyError."""
        return self._sessions[key.session].task(key.number)

    def progress(self, key: TaskKey) -> Progress | None:
        """Live counters; None for a task that moves nothing now."""
        return self._engine.progress.get(key)

    def running_progress(self) -> Mapping[TaskKey, Progress]:
        return self._engine.progress

    @property
    def sequence(self) -> int:
        return self._engine.sequence

    @property
    def frozen_reason(self) -> str:
        """Why nothing can be stored now, in words; "" when all is well."""
        return self._engine.store.frozen

    def status(self) -> Status:
        found: Counter[Fate] = Counter()
        for session in self._sessions.values():
            found.update(session.tally.fates)
        now = time.monotonic()
        rates = {False: 0.0, True: 0.0}  # by whether it goes up
        for key, progress in self._engine.progress.items():
            rates[self._sends(key)] += progress.rate.per_second(now)
        return Status(
            pid=os.getpid(),
            version=_version(),
            state_dir=self.state_dir,
            app_state="suspended" if self.suspended else self.app_state.value,
            running=found[Fate.RUNNING],
            queued=found[Fate.QUEUED],
            waiting=found[Fate.WAITING],
            finished=found[Fate.FINISHED],
            failed=found[Fate.FAILED],
            down_rate=rates[False],
            up_rate=rates[True],
            online=self._engine.connectivity.online,
            sequence=self.sequence,
            frozen_reason=self._engine.store.frozen,
        )

    def _sends(self, key: TaskKey) -> bool:
        session = self._sessions.get(key.session)
        task = session.find(key.number) if session is not None else None
        return task is not None and task.kind is Kind.UPLOAD

    async def history(self, *, since: int = 0, task: TaskKey | None = None, limit: int = 1000) -> list[Event]:
        """Journalled events after `since`, oldest first; the newest `limit` of them."""
        return await self._engine.store.read(tables.history(since, task, limit))

    # ---- commands

    def _run_of(self, key: TaskKey) -> TaskRun:
        """Raises KeyError."""
        return self._sessions[key.session].run_of(key.number)

    def resume(self, key: TaskKey) -> None:
        self._run_of(key).resume()

    def suspend(self, key: TaskKey) -> None:
        self._run_of(key).suspend()

    def cancel(self, key: TaskKey) -> None:
        self._run_of(key).cancel()

    def hasten(self, key: TaskKey, url: str | None = None) -> None:
        """End a task's wait for its next attempt; with `url`, ask that address from now on."""
        task_orders.hasten(self._run_of(key), url)

    def retry(self, key: TaskKey, url: str | None = None) -> None:
        """Raises InvalidAction for a task that has not failed."""
        self._run_of(key).retry(url)

    def remove(self, key: TaskKey, *, delete_file: bool = False) -> None:
        self._run_of(key).remove(delete_file=delete_file)

    def move_in_queue(self, keys: Sequence[TaskKey], *, first: bool) -> None:
        """Let queued tasks start before, or after, all others of the same priority; among them they keep this order.
        Others are passed over. It holds until this engine ends: the next one starts with the order of their adding.
        """
        for key in reversed(keys) if first else keys:
            self._engine.slots.move(key, first=first)

    def adjust(
        self,
        key: TaskKey,
        *,
        speed_limit: int | None = None,
        maximum_attempts: int | None = None,
        request_headers: Mapping[str, str] | None = None,
        options: RequestOptions | None = None,
        cookies: Sequence[Cookie] | None = None,
        method: str = "",
        protocol: str = "",
    ) -> None:
        """Other options for a task that exists. Raises KeyError, and as `task_orders.adjust`."""
        task_orders.adjust(
            self._run_of(key),
            speed_limit=speed_limit,
            maximum_attempts=maximum_attempts,
            request_headers=request_headers,
            options=options,
            cookies=cookies,
            method=method,
            protocol=protocol,
        )

    def challenge(self, key: TaskKey) -> Challenge | None:
        """Who asked a failed task for a user name and password that `give_credentials` can give. Raises KeyError."""
        return self._challenge_of(self.task(key))

    def _challenge_of(self, task: Task) -> Challenge | None:
        if task.error is None:
            return None
        return challenge_of(task, proxy=self._proxy_of(task) if task.error.reason == "net.proxy-auth" else "")

    def give_credentials(self, key: TaskKey, user: str, password: str) -> None:
        """Answer the challenge of a failed task and run it again. Those of a server are the task's own and go when it
        has finished or is removed; those of a proxy are its session's. They are kept with the other secrets only.

        Raises KeyError, ValueError with a sentence for what cannot be given, InvalidAction for a task that nobody
        asked, and as `retry`.
        """
        task, challenge = self.task(key), self.challenge(key)
        if challenge is None or not task.can(Action.RETRY):
            raise InvalidAction(f"nobody asked task {key} for credentials")
        value = (digest_login if challenge.digest else basic)(user, password)
        if challenge.of_proxy:
            self._log_in_at_proxy(task, user, password)
        else:
            kept = self._engine.secrets_of(task).items()
            others = {name: text for name, text in kept if name.lower() != "authorization"}
            self.adjust(key, request_headers={**others, "Authorization": value})
            self._engine.note_login(task)
        self.retry(key)

    def with_login(self, key: TaskKey, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers for a task, with the login that a person gave when it was asked for one, unless they bring another."""
        login = self._engine.login_of(self.task(key))
        brings = any(name.lower() == "authorization" for name in headers)
        return {**headers, "Authorization": login} if login and not brings else dict(headers)

    def _proxy_of(self, task: Task) -> str:
        """The bare address of the proxy that a task goes through; "" when through none."""
        own = self._sessions[task.session].row.configuration.proxy
        return proxies.shown(proxies.named_by(os.environ, origin_of(task.url)) if own is None else own)

    def _log_in_at_proxy(self, task: Task, user: str, password: str) -> None:
        proxy = self._proxy_of(task)
        login = proxies.parse(proxy).with_login(user, password)
        if self._sessions[task.session].row.configuration.proxy is None:
            self._engine.keep_proxy_login(task.session, proxy, login)
        else:
            self._engine.keep_proxy(task.session, login)

    # ---- listening

    def subscribe(self, observer: Callable[[Event], None]) -> Callable[[], None]:
        """Every event, progress too, as soon as it may be told; returns the way out."""
        return self._engine.bus.subscribe(observer)

    def add_event_listener(self, name: str, listener: Listener) -> None:
        """E-01: `listener(event)`, a function or a coroutine function, for the named event of every session.

        Without the background mode that the event needs an error is logged, and nothing is attached (B-09, P-09).
        """
        mode = MODE_OF.get(name)
        if mode is not None and mode not in self.settings.background_modes:
            log.error("nobody can listen to %s: the background mode “%s” is off", name, mode)
            return
        self._engine.bus.add_listener(name, listener)

    def remove_event_listener(self, name: str, listener: Listener) -> None:
        """E-02."""
        self._engine.bus.remove_listener(name, listener)

    def listens(self, name: str) -> bool:
        """Whether anybody listens to the named event."""
        return self._engine.bus.listens(name)

    @property
    def telling(self) -> bool:
        """Whether listeners still have to be told of something, or are at it."""
        return self._engine.bus.telling

    def on_listener_failed(self, hook: Callable[[Event, BaseException], bool] | None) -> None:
        """Hear of exceptions in listeners; `hook` answers whether it has told of this one. Others are logged (E-07)."""
        self._engine.bus.on_failed = hook

    def events(self, *names: str) -> AsyncIterator[Event]:
        return self._engine.bus.stream(*names)

    # ---- background

    async def fetch(self, *, by_hand: bool = True) -> Wake:
        """Ask for a background fetch; the answer says whether it was delivered, and under which handler."""
        return self.background.fetch(by_hand=by_hand)

    def _take_back(self, tasks: tuple[str, ...]) -> None:
        """Take tasks off the list that nobody has begun with."""
        for key in map(TaskKey.parse, tasks):
            session = self._sessions.get(key.session)
            task = session.find(key.number) if session is not None else None
            if session is not None and task is not None and task.outstanding and task.started is None:
                session.run_of(key.number).remove()

    async def push(self, payload: Payload | str, *, by_hand: bool = True, source: str = "") -> Wake:
        """Take a push, as `fetch`. Raises ValueError for an unusable payload. `source` names the channel."""
        return self.background.push(payload, by_hand=by_hand, source=source)

    @property
    def background_modes(self) -> frozenset[str]:
        """Which of “fetch” and “remote-notification” are on."""
        return frozenset(self.settings.background_modes)

    def set_background_modes(self, modes: Iterable[str]) -> None:
        """Raises ValueError for an unknown one, OSError as `update_settings`."""
        wanted = set(modes)
        if unknown := wanted - set(BACKGROUND_MODES):
            raise ValueError(f"there is no background mode “{min(unknown)}”")
        self.update_settings(background_modes=tuple(mode for mode in BACKGROUND_MODES if mode in wanted))

    def set_minimum_background_fetch_interval(self, seconds: float) -> None:
        """Seconds between two background fetches at the least, from MIN to NEVER, which is infinite (B-08)."""
        interval = clamped(seconds)
        self.update_settings(fetch_interval=NEVER if interval == BACKGROUND_FETCH_INTERVAL_NEVER else interval)

    def end_background_handler(self, handler_id: str, result: FetchResult = FetchResult.NO_DATA) -> bool:
        """B-04."""
        return self.background.end(handler_id, result)

    def notify(
        self,
        title: str,
        body: str,
        *,
        user_info: Mapping[str, Any] | None = None,
        identifier: str = "",
        shown: bool = False,
    ) -> None:
        """Record that a notification was given, so that the events show everything that was ever notified."""
        self._engine.record(
            NotificationEvent(
                alert_title=title, alert_body=body, user_info=user_info or {}, identifier=identifier, shown=shown
            )
        )

    def schedule_local_notification(self, alert_body: str, **options: Any) -> LocalNotification:
        """Show a notification at its time, or at once when that is not in the future (N-01). It survives a restart,
        and then comes late rather than early (N-02). In the background it is a banner; in front only the
        `notification` event is told, unless `show_in_foreground` is set (N-03).

        Options are `alert_title`, `date` (milliseconds since the epoch, or an aware datetime), `repeat` ("daily",
        "weekly", "monthly", "yearly"), `user_info`, `identifier` and `show_in_foreground`. Raises ValueError or
        TypeError for one that cannot be.
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
        """A small answer in memory. Raises TransferFailure, also for a status of 400 and above or a larger body."""
        transport = await self._engine.lines()
        call = Call(url=check_url(url), origin=origin, allowed=frozenset(self._engine.allowed_hosts))
        answer = await transport.open(call)
        try:
            error = retry.judge_status(answer.response, "status", now=self._engine.now(), url=url)
            if error is not None:
                raise TransferFailure(error)
            data = await answer.read(limit + 1)
            if len(data) > limit:
                raise answer.too_big(limit)
            return data
        finally:
            await answer.aclose()

    def recall(self, name: str) -> str:
        """A value that `remember` kept; "" when there is none."""
        return self._values.get(name, "")

    def remember(self, name: str, value: str) -> None:
        """Keep a small value across restarts."""
        self._values[name] = value
        self._engine.store.commit(Change(value=(name, value)))

    # ---- the progress clock: it runs only while something moves

    def _start_clock(self) -> None:
        if self._clock is None and not self._engine.closing:
            self._clock = asyncio.get_running_loop().call_later(_TICK, self._tick)

    def _tick(self) -> None:
        self._clock = None
        now = time.monotonic()
        for key, progress in list(self._engine.progress.items()):
            progress.rate.add(now, progress.received)
            if (run := self._sessions[key.session].find_run(key.number)) is not None:
                task_progress.tell_progress(run, progress, progress.rate.per_second(now))
        if now >= self._next_look:
            self._next_look = now + _LOOK
            self._look_after(now)
        if self._engine.progress:
            self._start_clock()

    def _look_after(self, now: float) -> None:
        """Let no slow transfer and no silent disk go unnoticed."""
        engine = self._engine
        moved = {key: progress.received for key, progress in engine.progress.items()}
        slow = self._pace.look(now, moved)
        engine.slots.set_slow({key for key in slow if not by_our_doing(engine.rates_of(key))})
        for key in moved:
            if (run := self._sessions[key.session].find_run(key.number)) is not None:
                task_progress.tell_disk(run)


def _info(session: Session) -> SessionInfo:
    fates = session.tally.fates
    return SessionInfo(
        key=session.key,
        identifier=session.identifier,
        state=session.state.value,
        outstanding=session.outstanding,
        completed=fates[Fate.FINISHED],
        failed=fates[Fate.FAILED] + fates[Fate.CANCELLED],
    )


def _check_authorities(path: str) -> None:
    try:
        trust(path)
    except OSError as exc:
        reason = exc.strerror if exc.filename or exc.errno else ""
        raise ValueError(
            f"ca_file {path} holds no certificates that can be used{f': {reason}' if reason else ''}"
        ) from exc


def _default_number(key: str) -> int:
    digits = key.removeprefix("(default ").removesuffix(")")
    return int(digits) if digits.isdigit() else 0


def _version() -> str:
    from transfermon import __version__

    return __version__
