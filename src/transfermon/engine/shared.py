"""What all sessions of one engine share, in one place.

Rule: no decisions here. A session and a download get the engine handed in; nobody reaches for a
global.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from transfermon.engine.answers import Answers
from transfermon.engine.event_bus import Delivered, EventBus
from transfermon.engine.host_pace import HostPaces, base_of
from transfermon.engine.queue import Slots
from transfermon.http import cookies, proxies, public_suffixes
from transfermon.http.cookies import Cookie, of_host
from transfermon.http.upload_protocols.versions import SpokenVersions
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.events import Event, NetworkSimulationEvent
from transfermon.model.metrics import Trace
from transfermon.model.request_options import NONE as NO_OPTIONS
from transfermon.model.request_options import RequestOptions
from transfermon.model.task import Progress, Task, TaskKey, changed
from transfermon.model.wake_policy import AppState, RateLimiter, Wake
from transfermon.storage.changes import Change, ResumeRow
from transfermon.storage.filer import Filer
from transfermon.storage.name_trial import Targets
from transfermon.storage.secrets import Vault
from transfermon.storage.settings import Settings
from transfermon.storage.store import Store
from transfermon.system.clock import Clock
from transfermon.system.network_status import Connectivity, Policy
from transfermon.system.runners import Runners
from transfermon.wire.rate_limit import Limiter
from transfermon.wire.simulation import NONE, Simulation, slower

if TYPE_CHECKING:  # TLS and h11 take their time to load: with the first transfer, on another thread
    from transfermon.wire.transport import Transport

E = TypeVar("E", bound=Event)
FILER_FOLDERS = "filer"  # the value of the database that `Filer` keeps
_LOGIN = ":login"
_COOKIES = ":cookies"  # beside a task's headers; no header has such a name


class Engine:
    """The shared parts of one state directory's owner."""

    def __init__(self, state_dir: str, settings: Settings, *, clock: Clock | None = None) -> None:
        self.state_dir = state_dir
        self.settings = settings
        self.clock = clock or Clock()
        self.now = self.clock.now
        self.app_state = AppState.FOREGROUND
        self.limiter = RateLimiter()  # of tasks made in the background, under "strict" (B-16)
        self.random = random.random
        self.runners = Runners()
        self.bus = EventBus(self.runners)
        # `Delivery` puts itself before it
        self.tell: Callable[[Event, Delivered | None], None] = self.bus.publish
        self.store = Store(f"{state_dir}/transfermon.db")
        self.vault = Vault(f"{state_dir}/secrets.json")
        self.paces = HostPaces()
        self.slots = Slots(settings.running_tasks, self.paces.limit)
        self.answers = Answers()
        self.targets = Targets()
        self.filer = Filer(self.targets, self._keep_folders)
        self.progress: dict[TaskKey, Progress] = {}  # of running downloads, live
        self.allowed_hosts: set[str] = set(settings.allowed_hosts)
        self.resume_rows: dict[str, ResumeRow] = {}
        self.sequence = 0
        self.database_id = ""
        self.closing = False
        # whether a failed one can be answered so
        self.wants_login: Callable[[Task], bool] = lambda _task: False
        # False: no app listens, terminal events wait for it unacknowledged (E-10)
        self.attached = True
        self.connectivity = Connectivity()  # the monitor puts in those that ask the system
        self.policy = Policy()
        self.simulation = NONE  # of a bad network; it ends with the engine
        self.spoken_versions = SpokenVersions()  # of the hosts that were uploaded to
        self.transport: Transport | None = None
        # a task was accepted, in the same turn
        self.on_created: Callable[[Task], None] | None = None
        # a download began: the progress clock must run
        self.on_moving: Callable[[], None] | None = None
        self._limiters: dict[str, Limiter] = {}  # by owner: "" is the whole app
        self._loading = asyncio.Lock()
        # those of the last task and its session, and what they make together
        self._options: tuple[RequestOptions, SessionConfiguration | None, RequestOptions] = (
            NO_OPTIONS,
            None,
            NO_OPTIONS,
        )

    def __repr__(self) -> str:
        return f"<Engine {self.state_dir} sequence={self.sequence}>"

    def stamp(self, event: E, **place: Any) -> E:
        """The event with its place in the order, and with these fields. Only journalled events take
        a number of their own.
        """
        if event.journalled:
            self.sequence += 1
        # only kept ones are told again
        event_id = f"{self.database_id}-{self.sequence}" if event.journalled else ""
        return changed(event, sequence=self.sequence, event_id=event_id, time=self.now(), **place)

    def _keep_folders(self, listed: str) -> asyncio.Future[None]:
        return self.store.commit(Change(value=(FILER_FOLDERS, listed)))

    def answered(self, url: str, trace: Trace) -> None:
        """A request of a task with this address has its answer: its server may get more
        connections from now on, or fewer.
        """
        if trace.status is None or trace.response_start is None or trace.request is None:
            return
        pace = self.paces.pace_of(base_of(url))
        before = pace.limit
        pace.answered(
            trace.status,
            began=trace.request[0],
            given=trace.request[1],
            came=trace.response_start,
            size=max(trace.request_body_bytes, trace.response_body_bytes),
        )
        if pace.limit > before:
            self.slots.reconsider()

    @property
    def strict(self) -> bool:
        """Whether the limits of background work hold for everything, wakes by hand too."""
        return self.settings.wake_policy == "strict"

    def record(self, event: Event, *, wake: Wake | None = None) -> asyncio.Future[None]:
        """Remember, then tell, an event that belongs to no session: a wake-up, a notification."""
        told = self.stamp(event)
        change = Change(event=told if told.journalled else None, wake=wake)
        return self.store.commit(change, then=lambda: self.tell(told, None))

    async def lines(self) -> Transport:
        """The transport, loaded on first use without holding up the window."""
        async with self._loading:
            if self.transport is None:
                module: Any = await asyncio.to_thread(
                    importlib.import_module, "transfermon.wire.transport"
                )
                self.transport = module.Transport()
                self.transport.on_answered = self._follow_simulation
                if self.simulation.on:
                    self.transport.simulate(self.simulation)
            assert self.transport is not None
            return self.transport

    def simulate(self, simulation: Simulation) -> None:
        """Let the network be like that, at once, for what runs and for what comes."""
        if simulation == self.simulation:
            return
        self._follow_simulation(simulation)
        self.set_speed_limit(self.settings.speed_limit)
        # first: what can go on later is stopped, not broken
        self.connectivity.cut(simulation.offline)
        if self.transport is not None:
            self.transport.simulate(simulation)

    def _follow_simulation(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.record(NetworkSimulationEvent(simulation=simulation))

    def keep_proxy(self, session: str, proxy: str | None) -> str | None:
        """The proxy's address without its credentials, which are kept with the other secrets.
        Raises ValueError with a sentence for an address that cannot be used.
        """
        if not proxy or (parsed := proxies.parse(proxy)).user is None:
            return proxy
        self.vault.put(f"{session} proxy", {"url": proxy})
        return parsed.bare

    def proxy_of(self, session: str, proxy: str | None) -> str | None:
        """The address with the credentials that `keep_proxy` kept."""
        return self.vault.get(f"{session} proxy").get("url", proxy)

    def keep_proxy_login(self, session: str, proxy: str, login: str) -> None:
        """The system's proxy, by its bare address, is asked with the address `login` in that
        session from now on.
        """
        self.vault.put(f"{session} proxy", {**self.proxy_logins(session), proxy: login})

    def proxy_logins(self, session: str) -> dict[str, str]:
        """What `keep_proxy_login` kept."""
        return self.vault.get(f"{session} proxy")

    def secrets_of(self, task: Task) -> dict[str, str]:
        """The request's own headers with their values."""
        kept = self.vault.get(str(task.key)).items()
        return {name: value for name, value in kept if not name.startswith(":")}

    def keep_secrets(self, task: Task, headers: Mapping[str, str]) -> None:
        """These headers in place of those that the task had."""
        kept = self.vault.get(str(task.key)).items()
        self.vault.drop(str(task.key))
        self.vault.put(
            str(task.key),
            {**{name: value for name, value in kept if name.startswith(":")}, **headers},
        )

    def note_login(self, task: Task) -> None:
        """The Authorization that is kept now was given by a person whom the task's server had
        asked.
        """
        self.vault.put(str(task.key), {**self.vault.get(str(task.key)), _LOGIN: "given"})

    def login_of(self, task: Task) -> str:
        """The Authorization that `note_login` was told of; "" when there is none."""
        kept = self.vault.get(str(task.key))
        return next(
            (
                value
                for name, value in kept.items()
                if name.lower() == "authorization" and _LOGIN in kept
            ),
            "",
        )

    def keep_cookies(self, task: Task, given: Sequence[Cookie]) -> None:
        """Of these cookies of a file those that the task's host gets, in place of those that it
        had.
        """
        host = urlsplit(task.url).hostname or ""
        fitting = of_host(given, host, public_suffixes.is_public, self.now())
        kept = {
            name: value for name, value in self.vault.get(str(task.key)).items() if name != _COOKIES
        }
        if fitting:
            kept[_COOKIES] = json.dumps([cookies.to_dict(cookie) for cookie in fitting])
        self.vault.drop(str(task.key))
        self.vault.put(str(task.key), kept)

    def options_of(self, task: Task, own: SessionConfiguration) -> dict[str, Any]:
        """What of a task's options, over its session's, is a call's: here a new one takes effect."""
        options = self._over(task.options, own)
        stored = self.vault.get(str(task.key)).get(_COOKIES)
        return {
            "ca_file": options.ca_file,
            "tls_keys": options.tls_keys,
            "allows_insecure_redirects": options.insecure_redirects
            or own.allows_insecure_redirects,
            "cookies": own.http_should_set_cookies,
            "sent_along": frozenset(options.send_along),
            "own_cookies": tuple(cookies.from_dict(cookie) for cookie in json.loads(stored))
            if stored
            else (),
        }

    def _over(self, options: RequestOptions, own: SessionConfiguration) -> RequestOptions:
        """Most tasks of a session have the same ones, which were worked out for the last."""
        asked, session, found = self._options
        if options is not asked or own is not session:
            found = options.over(own)
            self._options = options, own, found
        return found

    def limiters_for(self, task: Task, session_limit: int) -> list[Limiter]:
        """The app's, the session's and the task's own; their rates may change while they work."""
        own = [self._limiter(str(task.key), task.speed_limit)] if task.speed_limit else []
        return [
            self._limiter("", self._whole_rate(self.settings.speed_limit)),
            self._limiter(task.session, session_limit),
            *own,
        ]

    def set_speed_limit(self, rate: int) -> None:
        """Bytes per second over all, at once; 0 lifts it."""
        if "" in self._limiters:
            self._limiters[""].rate = self._whole_rate(rate)

    def limit_task(self, key: TaskKey, rate: int) -> None:
        """Change the rate of a task that has a limit already; another one gets it with its next
        attempt.
        """
        if str(key) in self._limiters:
            self._limiters[str(key)].rate = rate

    def drop_limiter(self, key: TaskKey) -> None:
        """The task has left the list."""
        self._limiters.pop(str(key), None)

    def rates_of(self, key: TaskKey) -> list[tuple[float, int]]:
        """The limits under which a running task moves, in bytes per second, and how many running
        ones share each.
        """
        limits = self._limiters
        sharing = {
            "": len(self.progress),
            key.session: sum(one.session == key.session for one in self.progress),
        }
        return [
            (limits[owner].rate, sharing.get(owner, 1))
            for owner in ("", key.session, str(key))
            if owner in limits
        ]

    def _whole_rate(self, limit: int) -> int:
        # What is simulated is one more limit of the whole app: no transfer has a limiter more for
        # it.
        return slower(limit, self.simulation.rate)

    def _limiter(self, owner: str, rate: int) -> Limiter:
        limiter = self._limiters.get(owner)
        if limiter is None:
            limiter = self._limiters[owner] = Limiter(rate)
        elif limiter.rate != rate:
            limiter.rate = rate
        return limiter
